"""How unequally something is shared, and how much of it was decided by lots.

Inequality of a yes/no transplant after the fact depends on the number of kidneys alone: its Gini
index is 1 - p. What a policy changes is the inequality of *chances* before the lots are drawn.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import xlogy

from measures.outcomes import years_lived
from measures.registry import measure
from measures.table import (
    FULL_DETAIL_ONLY,
    Floats,
    about_lottery,
    column,
    groups,
    tidy,
    with_lottery,
)
from populations.errors import InputError
from sim.record import Record


def _shares(values: ArrayLike) -> Floats:
    x = np.asarray(values, dtype=np.float64).ravel()
    if (x < 0).any() or not np.isfinite(x).all():
        raise InputError("inequality: values: must be finite and not negative")
    return x


def gini(values: ArrayLike) -> float:
    """Gini index, sum_i (2i - n - 1) x_(i) / (n sum x), in [0, 1). Zeros are fine.

    NaN if there is nothing to share (no values, or all zero).

    Raises
    ------
    InputError
        If a value is negative or not finite; so for every index below.
    """
    x = np.sort(_shares(values))
    total = x.sum()
    if total == 0:
        return float("nan")
    rank = 2 * np.arange(1, x.size + 1) - x.size - 1
    return max(0.0, float(rank @ (x / total)) / x.size)


def generalised_entropy(values: ArrayLike, order: float) -> float:
    """Generalised entropy GE(a) = mean[(x/m)^a - 1] / (a (a - 1)), 0 if all have the same.

    GE(1) is Theil's T, mean of (x/m) ln(x/m), in [0, ln n]; GE(0) is Theil's L, the mean of
    -ln(x/m); GE(2) is half the squared coefficient of variation. The lower the order, the more the
    index is about those who have least: at order 0 and below a single zero makes it infinite,
    whatever the others have; above, zeros are fine. NaN if there is nothing to share.
    """
    x = _shares(values)
    if x.sum() == 0:
        return float("nan")
    if order <= 0 and (x == 0).any():
        return float("inf")
    share = x / x.mean()
    if order == 0:
        return -float(np.mean(np.log(share)))
    if order == 1:
        return float(xlogy(share, share).mean())
    return float(np.mean(share**order) - 1) / (order * (order - 1))


def theil_between(values: ArrayLike, codes: ArrayLike) -> float:
    """The part of Theil's T that lies between groups: T had everybody the mean of their group.

    The rest, T - between, is the mean of the groups' own T weighted by their shares of the total
    (D: the decomposition is exact).

    Parameters
    ----------
    values : array-like, shape (n,)
    codes : array-like of int >= 0, shape (n,)
        The group of each.

    Returns
    -------
    float
        In [0, T]. NaN if there is nothing to share.
    """
    x, of = _shares(values), np.asarray(codes, dtype=np.intp)
    if x.sum() == 0:
        return float("nan")
    people = np.bincount(of)
    total = np.bincount(of, weights=x)
    share = np.divide(total, people * x.mean(), out=np.zeros_like(total), where=people > 0)
    return float(people @ xlogy(share, share)) / x.size


def atkinson(values: ArrayLike, aversion: float) -> float:
    """Atkinson index 1 - [mean x^(1-e)]^(1/(1-e)) / m, in [0, 1], aversion e > 0.

    At e = 1 it is 1 - geometric mean / mean. From e = 1 on a single zero makes it 1, whatever
    the others have: use it on quantities that are always positive. NaN if there is nothing to
    share.
    """
    if aversion <= 0:
        raise InputError(f"atkinson: aversion: {aversion}; must be positive")
    x = _shares(values)
    if x.sum() == 0:
        return float("nan")
    if aversion >= 1 and (x == 0).any():
        return 1.0
    share = x / x.mean()
    if aversion == 1:
        return 1 - float(np.exp(np.mean(np.log(share))))
    return 1 - float(np.mean(share ** (1 - aversion)) ** (1 / (1 - aversion)))


def chance_variance(drawn: ArrayLike) -> float:
    """Variance over candidates of what each can expect, from K independent histories.

    Parameters
    ----------
    drawn : array-like, shape (K, n)
        What became of each candidate (a 0/1 outcome, or any amount) in each of K >= 2 histories.

    Returns
    -------
    float
        Exactly unbiased (D), for it multiplies only outcomes of different histories:
        mean_i of x_is x_it, less the product of the means of s and t, averaged over pairs s != t.
        So it may fall a little below 0.
    """
    x = np.asarray(drawn, dtype=np.float64)
    pairs = len(x) * (len(x) - 1)
    means = x.mean(axis=1)
    products = np.mean(x.sum(axis=0) ** 2 - (x**2).sum(axis=0))
    return float((products - means.sum() ** 2 + (means**2).sum()) / pairs)


def determinism_index(transplanted: ArrayLike) -> float:
    """Share of the variance of being transplanted that was settled before lots were drawn.

    D = Var_i(p_i) / (pbar (1 - pbar)), p_i the chance of candidate i over tie seeds. 1: who is
    transplanted is certain; 0: everybody had the same chance; 1 - D is the share of luck.

    Parameters
    ----------
    transplanted : array-like of 0/1, shape (K, n)
        One row per tie seed (K >= 2), one column per candidate. To ask about some candidates
        only, hand in their columns.

    Returns
    -------
    float
        Var_i(p_i) is estimated without bias (`chance_variance`), so the estimate may fall a little
        outside [0, 1]. NaN if nobody, or everybody, is ever transplanted.

    Raises
    ------
    InputError
        If there are fewer than two rows or no column, or a value is not 0 or 1.
    """
    drawn = np.asarray(transplanted, dtype=np.float64)
    if drawn.ndim != 2 or drawn.shape[0] < 2 or drawn.shape[1] < 1:
        raise InputError(f"determinism_index: shape: {drawn.shape}; must be (K >= 2, n >= 1)")
    if not ((drawn == 0) | (drawn == 1)).all():
        raise InputError("determinism_index: transplanted: must be 0 or 1")
    mean = drawn.mean()
    if mean in (0.0, 1.0):
        return float("nan")
    return chance_variance(drawn) / float(mean * (1 - mean))


def _transplanted(record: Record) -> Floats:
    return np.asarray(record.fates["fate"] == "transplanted", dtype=np.float64)


def transplanted_by_seed(records: Sequence[Record], measure: str) -> Floats:
    """Who was transplanted under each tie seed, 0/1, shape (K, n).

    Raises
    ------
    InputError
        Naming ``measure``, if the records are not of one policy and world under different tie
        seeds.
    """
    for name in ("policy", "seed", "world"):
        if any(r.meta[name] != records[0].meta[name] for r in records):
            raise InputError(f"{measure}: {name}: differs; only the tie seed may differ")
    if len({r.meta["tie_seed"] for r in records}) < max(2, len(records)):
        raise InputError(f"{measure}: tie_seed: two or more records are needed, each its own")
    return np.stack([_transplanted(r) for r in records])


def _chances_by_seed(records: Sequence[Record]) -> Floats | None:
    """Chances each candidate was given in all, shape (K, n); None unless all records have them."""
    if not all("chance" in record.fates for record in records):
        return None
    return np.stack([column(record.fates, "chance") for record in records])


@measure(
    formula="D = Var(p_i) / (pbar (1 - pbar)), unbiased; Gini of the chances given, averaged over "
    "tie seeds (of p_i where they are not recorded); ex-post Gini 1 - pbar",
    unit="index in [0, 1]",
    direction="none",
    discipline="ethics of lotteries, welfare economics",
    protects="those who lose a choice too close to call every time, instead of half the time",
    cannot_see="whether the settled differences in chance were deserved; with few tie seeds the "
    "Gini of chances is too high, since it counts luck as inequality: much too high where it rests "
    "on outcomes, less where it rests on chances given (D is not). Chances given are those of "
    "being offered a kidney first, before any centre has answered",
    source="determinism index and its estimator (D); Gini (M)",
    invariant_details=("gini_ex_post",),
    reads="tie_seeds",
    by="never",
)
def ex_ante(records: Sequence[Record]) -> pd.DataFrame:
    """Determinism index and inequality of chances, from one world under several tie seeds.

    Rows ``ex_ante.determinism``, ``ex_ante.gini`` and, for comparison, ``ex_ante.gini_ex_post``,
    which no policy can change while every kidney finds a taker. ``denominator`` is the number of
    tie seeds.

    Raises
    ------
    InputError
        If the records are not of one policy and world under different tie seeds.
    """
    drawn = transplanted_by_seed(records, "ex_ante")
    chance = _chances_by_seed(records)
    about = about_lottery(records[0])
    answers = {
        "determinism": (determinism_index(drawn), ""),
        "gini": (
            gini((drawn if chance is None else chance).mean(axis=0)),
            f"of {'outcomes' if chance is None else 'chances given'} averaged over {len(records)} "
            "tie seeds: too high, the more so the fewer they are"
            + (f"; {about}" if about and chance is not None else ""),
        ),
        "gini_ex_post": (float(np.mean([gini(row) for row in drawn])), ""),
    }
    return tidy(
        {
            "measure": f"ex_ante.{name}",
            "value": value,
            "denominator": len(records),
            "note": "undefined: all or none transplanted" if np.isnan(value) else note,
        }
        for name, (value, note) in answers.items()
    )


@measure(
    formula="Gini of the 0/1 outcome = 1 - share transplanted",
    unit="index in [0, 1]",
    direction="none",
    discipline="welfare economics",
    protects="nobody: printed beside the inequality of chances so that the two are not confused",
    cannot_see="anything a policy does while every kidney finds a taker",
    source="identity (D)",
    policy_invariant=True,
)
def transplant_gini(record: Record, by: str | None = None) -> pd.DataFrame:
    """Gini index of having been transplanted, after the fact."""
    names, codes = groups(record, by)
    drawn = _transplanted(record)
    found = [gini(drawn[codes == i]) for i in range(len(names))]
    return tidy(
        {
            "measure": "transplant_gini",
            "grouping": by or "all",
            "group": group,
            "value": value,
            "note": "no transplants" if np.isnan(value) else "",
        }
        for group, value in zip(names, found, strict=True)
    )


# Each is defined with zeros among the values: many candidates are never given a chance.
_INDICES: dict[str, Callable[[Floats], float]] = {
    "gini": gini,
    "theil": lambda x: generalised_entropy(x, 1),
    "ge2": lambda x: generalised_entropy(x, 2),
    "atkinson0.5": lambda x: atkinson(x, 0.5),
}
_INDEX_FORMULA = (
    "Gini; Theil T = GE(1) = mean x/m ln(x/m); GE(2) = (mean (x/m)^2 - 1)/2; Atkinson "
    "1 - (mean sqrt x)^2 / m; between_share = T between groups / T; x = "
)
_INDEX_UNIT = "index >= 0, 0 if all have the same; share of Theil's T"
_INDEX_SOURCE = "Gini, generalised entropy, Atkinson 1970 (M), checked against PySAL (D)"


def _index_rows(
    name: str, record: Record, by: str | None, values: Floats, empty: str
) -> pd.DataFrame:
    """Every index within each group and, with a grouping, the share of Theil's T between them."""
    names, codes = groups(record, by)
    rows: list[dict[str, Any]] = []
    for i, group in enumerate(names):
        mine = values[codes == i]
        for index, found in _INDICES.items():
            value = found(mine)
            note = empty if mine.size else "nobody in this group"
            row = {"measure": f"{name}.{index}", "grouping": by or "all", "group": group}
            rows.append(row | {"value": value, "note": note if np.isnan(value) else ""})
    if by is not None:
        total = generalised_entropy(values, 1)
        between = theil_between(values, codes)
        rows.append(
            {
                "measure": f"{name}.between_share",
                "grouping": by,
                "group": "all",
                "value": between / total if total else np.nan,
                "numerator": between,
                "denominator": total,
                "note": "" if total > 0 else empty if np.isnan(total) else "all have the same",
            }
        )
    return tidy(rows)


@measure(
    formula=_INDEX_FORMULA + "min(death, horizon) - entry",
    unit=_INDEX_UNIT,
    direction="lower",
    discipline="health economics, welfare economics",
    protects="those whose lives are short",
    cannot_see="that late entrants have fewer years to live before the horizon, which is part of "
    "every index under every policy: compare arms, do not read its level; small groups lie apart "
    "by chance, which raises between_share",
    source=_INDEX_SOURCE,
)
def life_years_inequality(record: Record, by: str | None = None) -> pd.DataFrame:
    """Inequality of the years candidates live by the end of the run, from entry.

    Rows ``.gini``, ``.theil``, ``.ge2`` and ``.atkinson0.5`` within each group. With a grouping
    also ``.between_share``, group "all": how much of Theil's T would be left had everybody the mean
    of their group (``numerator``, of ``denominator``).
    """
    return _index_rows(
        "life_years_inequality", record, by, years_lived(record), "nobody in this group"
    )


@measure(
    formula=_INDEX_FORMULA + "sum over kidneys of the chance of being offered it first",
    unit=_INDEX_UNIT,
    direction="lower",
    discipline="ethics of lotteries, welfare economics",
    protects="those who are never given a chance",
    cannot_see="that the sum depends on how this one history went (who left the list when), and "
    "that candidates waiting longer are in more draws; what centres answer; ex_ante averages over "
    "histories",
    source=_INDEX_SOURCE,
)
def chance_inequality(record: Record, by: str | None = None) -> pd.DataFrame:
    """Inequality of the chances candidates were given in all (needs ``detail="full"``).

    Rows as in `life_years_inequality`.
    """
    if "chance" not in record.fates:
        nothing = np.zeros(len(record.fates))
        return _index_rows("chance_inequality", record, by, nothing, FULL_DETAIL_ONLY)
    chance = column(record.fates, "chance")
    rows = _index_rows("chance_inequality", record, by, chance, "nobody was given a chance")
    return with_lottery(rows, record)
