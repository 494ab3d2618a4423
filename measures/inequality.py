"""How unequally something is shared, and how much of it was decided by lots.

Inequality of a yes/no transplant after the fact depends on the number of kidneys alone: its Gini
index is 1 - p. What a policy changes is the inequality of *chances* before the lots are drawn.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from measures.outcomes import years_lived
from measures.registry import measure
from measures.table import FULL_DETAIL_ONLY, Floats, column, groups, tidy
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


def generalised_entropy(values: ArrayLike) -> float:
    """Generalised entropy of order 2, half the squared coefficient of variation. Zeros are fine.

    NaN if there is nothing to share.
    """
    x = _shares(values)
    if x.sum() == 0:
        return float("nan")
    return float(np.mean((x / x.mean()) ** 2) - 1) / 2


def theil(values: ArrayLike) -> float:
    """Theil's T, mean of (x/m) ln(x/m), in [0, ln n]. A zero adds 0, its limit.

    NaN if there is nothing to share.
    """
    x = _shares(values)
    if x.sum() == 0:
        return float("nan")
    share = x / x.mean()
    return float(np.sum(share * np.log(share, where=share > 0, out=np.zeros_like(share)))) / x.size


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
        Var_i(p_i) is estimated by Var_i(phat_i) - mean_i phat_i (1 - phat_i) / (K - 1), unbiased
        when every tie seed gives the same number of transplants (D); so the estimate may fall a
        little outside [0, 1]. NaN if nobody, or everybody, is ever transplanted.

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
    chance = drawn.mean(axis=0)
    mean = chance.mean()
    if mean in (0.0, 1.0):
        return float("nan")
    noise = np.mean(chance * (1 - chance)) / (drawn.shape[0] - 1)
    return float((chance.var() - noise) / (mean * (1 - mean)))


def _transplanted(record: Record) -> Floats:
    return np.asarray(record.fates["fate"] == "transplanted", dtype=np.float64)


@measure(
    formula="D = Var(p_i) / (pbar (1 - pbar)), unbiased; Gini of p_i; ex-post Gini 1 - pbar",
    unit="index in [0, 1]",
    direction="none",
    discipline="ethics of lotteries, welfare economics",
    protects="those who lose a choice too close to call every time, instead of half the time",
    cannot_see="whether the settled differences in chance were deserved; with few tie seeds the "
    "Gini of the estimated chances is too high (D is not)",
    source="determinism index and its estimator (D); Gini (M)",
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
    for name in ("policy", "seed", "world"):
        if any(r.meta[name] != records[0].meta[name] for r in records):
            raise InputError(f"ex_ante: {name}: differs; only the tie seed may differ")
    if len({r.meta["tie_seed"] for r in records}) < max(2, len(records)):
        raise InputError("ex_ante: tie_seed: two or more records are needed, each its own")
    drawn = np.stack([_transplanted(r) for r in records])
    chance = drawn.mean(axis=0)
    answers = {
        "determinism": determinism_index(drawn),
        "gini": gini(chance),
        "gini_ex_post": float(np.mean([gini(row) for row in drawn])),
    }
    return tidy(
        {
            "measure": f"ex_ante.{name}",
            "value": value,
            "denominator": len(records),
            "note": "undefined: all or none transplanted" if np.isnan(value) else "",
        }
        for name, value in answers.items()
    )


def _gini_rows(
    name: str, record: Record, by: str | None, values: NDArray[Any], empty: str
) -> pd.DataFrame:
    names, codes = groups(record, by)
    found = [gini(values[codes == i]) for i in range(len(names))]
    return tidy(
        {
            "measure": name,
            "grouping": by or "all",
            "group": group,
            "value": value,
            "note": empty if np.isnan(value) else "",
        }
        for group, value in zip(names, found, strict=True)
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
    return _gini_rows("transplant_gini", record, by, _transplanted(record), "no transplants")


@measure(
    formula="Gini of min(death, horizon) - entry over candidates",
    unit="index in [0, 1]",
    direction="lower",
    discipline="health economics",
    protects="those whose lives are short",
    cannot_see="that late entrants have fewer years to live before the horizon, which is part of "
    "the index under every policy: compare arms, do not read its level",
    source="Gini (M) applied to life-years (D)",
)
def life_years_gini(record: Record, by: str | None = None) -> pd.DataFrame:
    """Gini index of the years candidates live by the end of the run."""
    return _gini_rows("life_years_gini", record, by, years_lived(record), "nobody in this group")


@measure(
    formula="Gini of the sum of the chances each candidate was given",
    unit="index in [0, 1]",
    direction="lower",
    discipline="ethics of lotteries, welfare economics",
    protects="those who are never given a chance",
    cannot_see="that the sum depends on how this one history went (who left the list when), and "
    "that candidates waiting longer are in more draws; ex_ante averages over histories",
    source="Gini (M) applied to accumulated chances (D)",
)
def chance_gini(record: Record, by: str | None = None) -> pd.DataFrame:
    """Gini index of the chances candidates were given in all (needs ``detail="full"``)."""
    if "chance" not in record.fates:
        nobody = np.zeros(len(record.fates))
        return _gini_rows("chance_gini", record, by, nobody, FULL_DETAIL_ONLY)
    return _gini_rows(
        "chance_gini", record, by, column(record.fates, "chance"), "nobody was given a chance"
    )
