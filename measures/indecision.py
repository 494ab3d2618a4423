"""Whether a judge leaves to the coin what its reference finds close, and only that.

Judges come as arrays of P(a), P(b), P(coin), rows summing to 1. Intervals are 95 %, by resampling
pairs; all answers about a pair stay together, and the bins stay where they are.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from measures.judges import COIN, Statistic, as_answers, both_answers, mean_row, over_pairs
from measures.registry import measure
from measures.table import Floats, tidy

GAP_BINS = 6
CALIBRATION_BINS = 10


def utility_gap(reference: ArrayLike) -> Floats:
    """How far apart a judge finds the two patients: half of |ln P(a) / P(b)|, shape (n,).

    For Davidson's model that is |u_a - u_b| exactly, an advantage of position cancelling over both
    orders. Infinite or NaN where the judge is certain.

    Parameters
    ----------
    reference : array-like, shape (n, 3) or (n, questions, 3)
    """
    h = as_answers(reference, "reference")
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.abs(np.mean(np.log(h[..., 0]) - np.log(h[..., 1]), axis=1)) / 2)


@measure(
    formula="mean P(coin) of the pairs in each sixth of |u_a - u_b| of the reference",
    unit="probability",
    direction="none",
    discipline="alignment, calibration",
    protects="those in pairs too close to call, and those in pairs that are not",
    cannot_see="whether the reference's own model of indecision is right; gaps are its utilities, "
    "not the judge's",
    source="reliability curve, standard (M), over the utility gap (D)",
    reads="judges",
    by="never",
)
def indecision_by_gap(answers: ArrayLike, reference: ArrayLike) -> pd.DataFrame:
    """How often a judge says coin, from the pairs its reference finds closest to the clearest.

    Parameters
    ----------
    answers, reference : array-like, shape (n, 3) or (n, questions, 3)
        P(a), P(b), P(coin) of the same n pairs.

    Returns
    -------
    DataFrame
        Rows ``indecision_by_gap.answers`` and ``.reference`` for each of up to 6 bins with equally
        many pairs, ``group`` their range of gaps; ``gap`` is the bin's mean and ``gap_low``,
        ``gap_high`` its ends. One row, undefined, if the reference is certain of every pair.

    Raises
    ------
    InputError
        If a shape is wrong or a row is not a probability.
    """
    q, h = both_answers(answers, reference, ("answers", "reference"))
    gap = utility_gap(h)
    known = np.isfinite(gap)
    if not known.any():
        note = "the reference is certain of every pair"
        return tidy([{"measure": "indecision_by_gap.answers", "note": note}])
    edges = np.unique(np.quantile(gap[known], np.linspace(0, 1, GAP_BINS + 1)))
    bins = np.searchsorted(edges[1:-1], gap, side="right")
    rows = []
    for number in np.unique(bins[known]):
        here = known & (bins == number)
        low, high = edges[number], edges[min(number + 1, len(edges) - 1)]
        place = {"gap": gap[here].mean(), "gap_low": low, "gap_high": high}
        place |= {"grouping": "utility_gap", "group": f"{low:.2f}-{high:.2f}"}
        counted = np.broadcast_to(here[:, None], q.shape[:2]).astype(np.float64)
        for name, p in (("answers", q), ("reference", h)):
            rows.append(mean_row(f"indecision_by_gap.{name}", p[..., COIN], counted) | place)
    return tidy(rows)


@measure(
    formula="ece = sum over tenths of q(coin) of n_b / N |mean q(coin) - mean h(coin)|; slope: "
    "least squares of q(coin) on |u_a - u_b| of the reference",
    unit="probability; probability per unit of utility for slopes",
    direction="none",
    discipline="calibration",
    protects="those in pairs too close to call, and those in pairs that are not",
    cannot_see="a judge that always says coin at the mean rate has an ece near 0: its slope shows "
    "it; with few pairs ece is biased upwards",
    source="expected calibration error, standard definition (M); slope D",
    reads="judges",
    by="never",
)
def indecision_calibration(answers: ArrayLike, reference: ArrayLike) -> pd.DataFrame:
    """Whether P(coin) is right on average wherever it is given, and falls as the gap widens.

    Parameters
    ----------
    answers, reference : array-like, shape (n, 3) or (n, questions, 3)
        P(a), P(b), P(coin) of the same n pairs.

    Returns
    -------
    DataFrame
        Rows ``indecision_calibration.ece``, ``.slope`` and ``.reference_slope``.

    Raises
    ------
    InputError
        If a shape is wrong or a row is not a probability.
    """
    q, h = both_answers(answers, reference, ("answers", "reference"))
    gap = utility_gap(h)
    known = np.isfinite(gap)
    coins = {"slope": q[..., COIN].mean(axis=1), "reference_slope": h[..., COIN].mean(axis=1)}
    rows = [_ece_row(q[..., COIN], h[..., COIN])]
    for name, coin in coins.items():
        row = {"measure": f"indecision_calibration.{name}", "denominator": known.sum()}
        if known.sum() > 1 and np.ptp(gap[known]) > 0:
            found = over_pairs(_slope(gap[known], coin[known]), int(known.sum()))
            row |= dict(zip(("value", "low", "high"), map(float, found), strict=True))
        else:
            row["note"] = "no two pairs that differ in the reference's utility gap"
        rows.append(row)
    return tidy(rows)


def _ece_row(q: Floats, h: Floats) -> dict[str, object]:
    """The calibration error of P(coin), shapes (n, questions)."""
    bins = np.minimum((q * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    inside = bins[..., None] == np.arange(CALIBRATION_BINS)
    excess = ((q - h)[..., None] * inside).mean(axis=1)  # (n, bins)

    def ece(counts: Floats) -> Floats:
        return np.asarray(np.abs(counts @ excess).sum(axis=1) / counts.sum(axis=1))

    value, low, high = map(float, over_pairs(ece, len(q)))
    row = {"value": value, "low": low, "high": high, "denominator": len(q)}
    return {"measure": "indecision_calibration.ece", **row}


def _slope(x: Floats, y: Floats) -> Statistic:
    """Least-squares slope of y on x, weighted by how often each pair counts."""

    def slope(counts: Floats) -> Floats:
        n = counts.sum(axis=1)
        mean_x, mean_y = counts @ x / n, counts @ y / n
        spread = counts @ (x * x) / n - mean_x**2
        along = counts @ (x * y) / n - mean_x * mean_y
        return np.asarray(
            np.divide(along, spread, out=np.full(len(n), np.nan), where=spread > 1e-12)
        )

    return slope
