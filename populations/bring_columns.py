"""The columns of your own data: what a file of candidates and a file of donors may say.

Everything a file leaves out, a whole column or single cells, is drawn from the parameters.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from populations.errors import did_you_mean
from populations.hla import ANTIGENS, LOCI, LOCUS_BITS
from populations.schema import SCHEMA

Kind = Literal["number", "level", "time", "place", "antigen", "text"]
DAYS_PER_YEAR = 365.25
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


@dataclass(frozen=True)
class Column:
    """One declared column.

    Parameters
    ----------
    name : str
        As in the file's first line.
    kind : str
        ``number``; ``level``, one of ``levels``; ``time``, years from the start of the run or an
        ISO date; ``place``, a whole number from 0 or a name; ``antigen``, a name; ``text``.
    role : str
        The schema's role of an attribute, else what the column is about.
    unit : str
        Unit of a number or time.
    description : str
        One line for a reader.
    required : bool
        Whether the file must have it, without blanks.
    low, high : float
        Allowed range of a number or time, both ends included.
    levels : tuple of str
        What a level may be; codes count from 0.
    instead_of : str
        The column that this one says in another way: never both.
    """

    name: str
    kind: Kind
    role: str
    unit: str
    description: str
    required: bool = False
    low: float = 0.0
    high: float = 0.0
    levels: tuple[str, ...] = ()
    instead_of: str = ""


def _attribute(name: str, description: str = "") -> Column:
    """A column of the schema."""
    of = SCHEMA[name]
    return Column(
        name=name,
        kind="level" if of.levels else "number",
        role=of.role,
        unit=of.unit,
        description=description or of.description,
        required=name in ("age", "blood_type"),
        low=of.low,
        high=of.high,
        levels=of.levels,
    )


def _antigens(whose: str) -> tuple[Column, ...]:
    """Two columns for each locus."""
    return tuple(
        Column(
            f"{locus}{i}",
            "antigen",
            "clinical",
            "",
            f"{'first' if i == 1 else 'second'} HLA antigen of the {whose} at locus "
            f"{locus.upper()}{'' if i == 1 else '; blank if the same as the first'}",
            levels=locus_antigens(locus),
        )
        for locus in LOCI
        for i in (1, 2)
    )


def locus_antigens(locus: str) -> tuple[str, ...]:
    """Names of the antigens of locus ``"a"``, ``"b"`` or ``"dr"``."""
    bits = int(LOCUS_BITS[locus])
    return tuple(name for bit, name in enumerate(ANTIGENS) if bits >> bit & 1)


_WHEN = "years or date"
_AT_LISTING = {
    "age": "age at listing; from 18 on when followed: at listing, or at the start if listed before",
    "dialysis_years": "time on dialysis at listing, 0 if not on it",
    "cpra": "calculated panel-reactive antibody, percent of donors; antigens are drawn to match it",
}
_COMPUTED = {"epts": "computed from age, diabetes, prior_transplant and dialysis_years"}

CANDIDATES: dict[str, Column] = {
    column.name: column
    for column in (
        Column(
            "listed",
            "time",
            "time",
            _WHEN,
            "when listed; before the start (negative): still waiting at the start",
            required=True,
            low=-60,
            high=100,
        ),
        *(_attribute(name, _AT_LISTING.get(name, "")) for name in SCHEMA if name not in _COMPUTED),
        Column("birth", "time", "time", _WHEN, "when born", low=-160, high=82, instead_of="age"),
        Column(
            "dialysis_start",
            "time",
            "time",
            _WHEN,
            "when dialysis began, or will begin; blank if not known",
            low=-160,
            high=100,
            instead_of="dialysis_years",
        ),
        Column("centre", "place", "place", "", "transplant centre: a number from 0, or a name"),
        *_antigens("candidate"),
        Column("id", "text", "label", "", "your own name for the row: not used, never stored"),
    )
}
DONORS: dict[str, Column] = {
    column.name: column
    for column in (
        Column("time", "time", "time", _WHEN, "when the kidneys come", required=True, high=100),
        Column(
            "blood_type",
            "level",
            "clinical",
            "category",
            "ABO blood type",
            required=True,
            levels=SCHEMA["blood_type"].levels,
        ),
        Column("kdpi", "number", "clinical", "percent", "KDPI", required=True, high=100),
        Column("kidneys", "level", "clinical", "category", "kidneys given", levels=("1", "2")),
        Column("donor_age", "number", "clinical", "years", "age of the donor", high=99),
        Column("hospital", "place", "place", "", "donor hospital: a number from 0, or a name"),
        *_antigens("donor"),
        Column("id", "text", "label", "", "your own name for the row: not used, never stored"),
    )
}


def unknown_column(name: str, declared: Mapping[str, Column]) -> str:
    """What to do about a column that is not declared."""
    if name in _COMPUTED:
        return f"{_COMPUTED[name]}: leave it out"
    return f"unknown column: {nearest(name, declared)}leave it out or rename it"


def nearest(word: str, known: Iterable[str]) -> str:
    """As `did_you_mean`, whatever the case of the letters."""
    lower = {name.lower(): name for name in known}
    if word.lower() in lower:
        return f"did you mean {lower[word.lower()]!r}? "
    return did_you_mean(word, lower.values())


def parse(column: Column, cell: str, start: date | None) -> float:
    """The number a cell stands for: a value, a code, or days before and after ``start`` in years.

    Raises
    ------
    ValueError
        Saying what would be right.
    """
    if column.kind == "level":
        return _code(column, cell, f"expected one of {', '.join(column.levels)}")
    if column.kind == "antigen":
        return ANTIGENS.index(column.levels[int(_code(column, cell, _locus_hint(column)))])
    if column.kind == "time" and _DATE.fullmatch(cell):
        return _in_range(column, _years(cell, start))
    if not _NUMBER.fullmatch(cell):
        raise ValueError(
            "expected years from the start, or a date such as 2021-03-31"
            if column.kind == "time"
            else "expected a number, with a decimal point if it needs one"
        )
    return _in_range(column, float(cell))


def _locus_hint(column: Column) -> str:
    return (
        f"expected an antigen of locus {column.name[:-1].upper()}: one of "
        f"{', '.join(column.levels)}"
    )


def _code(column: Column, cell: str, right: str) -> int:
    if cell not in column.levels:
        raise ValueError(nearest(cell, column.levels) + right)
    return column.levels.index(cell)


def _years(cell: str, start: date | None) -> float:
    try:
        day = date.fromisoformat(cell)
    except ValueError:
        raise ValueError("no such day; expected a date such as 2021-03-31") from None
    if start is None:
        raise ValueError("dates need a day the run starts on, as in [data] start = 2021-01-01")
    return (day - start).days / DAYS_PER_YEAR


def _in_range(column: Column, value: float) -> float:
    if not column.low <= value <= column.high:
        unit = "years from the start" if column.kind == "time" else column.unit
        raise ValueError(f"expected {column.low:g} to {column.high:g} {unit}")
    return value
