"""The shape of every answer: tidy rows, and the groups of candidates they are about."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from populations.errors import InputError
from populations.schema import AGE_BANDS, SCHEMA, age_band
from sim.record import Record

COLUMNS: tuple[str, ...] = (
    "measure",
    "grouping",
    "group",
    "value",
    "low",
    "high",
    "numerator",
    "denominator",
    "note",
)
FULL_DETAIL_ONLY = 'recorded only with detail="full"'
_FOR_LIFE = (
    "lottery numbers for life: chances as stated at each kidney, though who has lost before is "
    "likelier to lose again"
)
Floats = NDArray[np.float64]


def tidy(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a frame with ``COLUMNS`` first; what a row leaves out is NaN, or "" in ``note``.

    ``low`` and ``high`` are a 95 % interval within the one run, NaN where a measure has none: the
    uncertainty of a comparison of policies comes from repeating it over worlds.
    """
    empty: dict[str, Any] = {"grouping": "all", "group": "all", "note": ""}
    listed = list(rows)
    names = dict.fromkeys([*COLUMNS, *(name for row in listed for name in row)])
    return pd.DataFrame(
        {name: [row.get(name, empty.get(name, np.nan)) for row in listed] for name in names}
    )


def about_lottery(record: Record) -> str:
    """What to know of chances where luck is drawn once for life; nothing where it is not."""
    return _FOR_LIFE if record.meta.get("lottery") == "persistent" else ""


def with_lottery(frame: pd.DataFrame, record: Record) -> pd.DataFrame:
    """Rows about chances, with ``about_lottery`` as a note where there is none yet."""
    plain = frame["value"].notna() & (frame["note"] == "")
    frame.loc[plain, "note"] = about_lottery(record)
    return frame


def levels(by: str) -> tuple[str, ...]:
    """Groups of a grouping, in order, whether or not anybody is in them.

    Raises
    ------
    InputError
        If ``by`` is neither ``"age_band"`` nor a category of the schema.
    """
    if by == "age_band":
        return AGE_BANDS
    if by in SCHEMA and SCHEMA[by].levels:
        return SCHEMA[by].levels
    known = ["age_band", *(name for name, attribute in SCHEMA.items() if attribute.levels)]
    raise InputError(f"measure: by: {by!r} is not a grouping; choose one of {', '.join(known)}")


def codes_of(values: pd.Series, names: Sequence[str]) -> NDArray[np.intp]:
    """Index of each value in ``names``, -1 if it is not there, shape (n,)."""
    categories = values.astype("category").cat.set_categories(list(names))
    return np.asarray(categories.cat.codes, dtype=np.intp)


def groups(record: Record, by: str | None) -> tuple[tuple[str, ...], NDArray[np.intp]]:
    """Names of the groups, and the index of each candidate's group, shape (n,).

    ``by=None`` puts everybody into one group, ``"all"``.

    Raises
    ------
    InputError
        If ``by`` is no grouping, or a candidate's value is none of its levels.
    """
    if by is None:
        return ("all",), np.zeros(len(record.candidates), dtype=np.intp)
    names = levels(by)
    if by == "age_band":
        since_listed = column(record.fates, "entry") - column(record.candidates, "listed")
        age = column(record.candidates, "age") + since_listed
        return names, age_band(age).astype(np.intp)
    values = record.candidates[by]
    codes = codes_of(values, names)
    if (codes < 0).any():
        wrong = values.iloc[int(np.argmax(codes < 0))]
        raise InputError(f"candidates: {by}: {wrong!r} is not one of {', '.join(names)}")
    return names, codes


def column(table: pd.DataFrame, name: str) -> Floats:
    """A column as an array of floats, shape (rows,)."""
    return np.asarray(table[name], dtype=np.float64)


def totals(values: NDArray[Any], codes: NDArray[np.intp], n_groups: int) -> Floats:
    """Sum of the values in each group, shape (n_groups,)."""
    return np.bincount(codes, weights=values, minlength=n_groups).astype(np.float64)


def mean_rows(
    name: str, by: str | None, names: tuple[str, ...], numerator: Floats, denominator: Floats
) -> list[dict[str, Any]]:
    """One row per group with ``numerator / denominator``, undefined where nobody is counted."""
    return [
        {
            "measure": name,
            "grouping": by or "all",
            "group": group,
            "value": part / whole if whole else np.nan,
            "numerator": part,
            "denominator": whole,
            "note": "" if whole else "nobody in this group",
        }
        for group, part, whole in zip(names, numerator, denominator, strict=True)
    ]
