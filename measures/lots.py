"""Lots as they fell: whether ties were broken evenly, and who lost again and again.

All of it is about the draws within H (see ``sim.record.Record.ties``): kidneys offered first to one
of several candidates whom the reference would have considered. Had lots been drawn there by the
reference's chances, each would have won with their fair share s_i, whatever happened before.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import fft
from scipy.optimize import brentq

from measures.inequality import determinism_index, transplanted_by_seed
from measures.rates import PER, Z, garwood
from measures.registry import measure
from measures.survival import Curve, aalen_johansen, interval
from measures.table import FULL_DETAIL_ONLY, Floats, column, groups, tidy, with_lottery
from sim.record import Record

FAIR_SHARES: tuple[float, ...] = (0.5, 0.1, 0.01)  # of candidates whom fair lots leave without
_GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0
_TILT = 60.0  # log odds beyond which a chance is 0 or 1
_SMALLEST_P = 1e-10  # below it sums of rounded probabilities say nothing
_NO_DRAWS = "no draws within H"
_FOR_LIFE = "no interval: lottery numbers for life tie the draws to each other"


def poisson_binomial(p: Floats) -> Floats:
    """Distribution of the number of successes in independent trials of unequal chances.

    Parameters
    ----------
    p : ndarray, shape (n,)
        Chance of each, in [0, 1].

    Returns
    -------
    ndarray, shape (n + 1,) or longer
        Probability of 0, 1, ... successes, to about 1e-15: the distributions of single trials
        convolved pair by pair, by Fourier transform.
    """
    pmf = np.stack([1.0 - p, p], axis=1) if p.size else np.ones((1, 1))
    while len(pmf) > 1:
        if len(pmf) % 2:
            pmf = np.concatenate([pmf, np.eye(1, pmf.shape[1])])  # no trial: 0 for sure
        width = 2 * pmf.shape[1] - 1
        length = fft.next_fast_len(width, real=True)
        wave = fft.rfft(pmf, length)
        pmf = fft.irfft(wave[::2] * wave[1::2], length)[:, :width]
    return np.asarray(np.clip(pmf[0], 0.0, None))


def two_sided(count: int, p: Floats) -> float:
    """Exact probability of a count as far out as this, twice the smaller tail, at most 1.

    Never below ``_SMALLEST_P``, to which rounding adds up over many trials.
    """
    pmf = poisson_binomial(p)
    tails = pmf[: count + 1].sum(), pmf[count:].sum()
    return min(1.0, max(2.0 * float(min(tails)), _SMALLEST_P))


def tilted_limits(count: int, p: Floats) -> tuple[float, float]:
    """95 % limits of the expected count, the odds of every trial tilted by one factor.

    Score limits (D): the tilts at which ``count`` lies 1.96 standard deviations of its
    Poisson-binomial distribution from its mean.
    """
    odds = p / (1.0 - p)

    def beyond(log_tilt: float, side: float) -> float:
        tilted = odds * np.exp(log_tilt)
        variance = (tilted / (1.0 + tilted) ** 2).sum()  # never rounded to 0
        return float((tilted / (1.0 + tilted)).sum() + side * Z * np.sqrt(variance) - count)

    def limit(side: float) -> float:
        log_tilt = brentq(beyond, -_TILT, _TILT, args=(side,), xtol=1e-6)
        tilted = odds * np.exp(log_tilt)
        return float((tilted / (1.0 + tilted)).sum())

    possible = int(np.count_nonzero(p))
    return limit(1.0) if count else 0.0, limit(-1.0) if count < possible else float(possible)


@measure(
    formula="O/E: draws within H won by the group over the sum of its members' fair shares s_i = "
    "h_i / sum of h in H, h the reference's chances; score interval; exact two-sided p of O as a "
    "sum of independent trials (Poisson-binomial)",
    unit="ratio, 1 = as fair lots would have it",
    direction="none",
    discipline="ethics of lotteries, epidemiology (observed over expected)",
    protects="groups against whom ties are broken",
    cannot_see="choices outside H (read misalignment and the rate ratios); who within a group; "
    "why: where the reference is not even within H, other values, and even lots, are away from 1 "
    "as a hidden tie-breaker is; "
    "where lottery numbers are for life, losers of earlier draws are expected to lose, so a group "
    "that waits longer may be below 1 by fair lots, and no interval is given",
    source="D; wins of one draw change who is in later ones, so p holds up to that (D)",
    by="always",
)
def tie_ledger(record: Record, by: str) -> pd.DataFrame:
    """Draws won by each group over those fair lots would have given it (``detail="full"``).

    ``numerator`` wins, ``denominator`` expected wins; ``p`` is a column too, and in the note.
    """
    names, codes = groups(record, by)
    rows: list[dict[str, Any]] = []
    full = "fair_wins" in record.fates
    ties = record.ties
    group_of = pd.Series(codes, index=np.asarray(record.candidates["candidate"]))
    winners = np.asarray(group_of.reindex(ties["winner"]), dtype=np.intp)
    won = np.bincount(winners, minlength=len(names))
    for name, count in zip(names, won.tolist(), strict=True):
        share = column(ties, f"{by}.{name}")
        row: dict[str, Any] = {"measure": "tie_ledger", "grouping": by, "group": name, "p": np.nan}
        expected = float(share.sum())
        if not full or expected == 0:
            row["note"] = FULL_DETAIL_ONLY if not full else f"{_NO_DRAWS} for this group"
        else:
            row |= {"value": count / expected, "numerator": count, "denominator": expected}
            row |= _judged(record, count, share)
        rows.append(row)
    return tidy(rows)


def _judged(record: Record, count: int, share: Floats) -> dict[str, Any]:
    """Interval and p of one group's count."""
    if record.meta.get("lottery") == "persistent":
        return {"note": _FOR_LIFE}
    sure = share > 1 - 1e-9  # the whole of H is of this group: nothing was drawn between groups
    open_ = share[~sure]
    sure_wins = int(np.count_nonzero(sure))
    expected = float(share.sum())
    count -= sure_wins
    low, high = tilted_limits(count, open_)
    p = two_sided(count, open_)
    return {
        "low": (sure_wins + low) / expected,
        "high": (sure_wins + high) / expected,
        "p": p,
        "note": f"p = {p:.2g}" if p > _SMALLEST_P else f"p <= {p:.2g}",
    }


def _first_wins(record: Record, mine: NDArray[np.bool_]) -> Curve:
    """Kaplan-Meier on the scale of exposure, read where fair lots leave ``FAIR_SHARES``."""
    won = np.asarray(record.fates["ever_won"], dtype=bool)[mine]
    end = column(record.fates, "exposure")[mine]
    # Exposure comes in steps, one per draw. On its scale fair lots are a constant hazard, so a win
    # lies within its step as a truncated exponential does: at quantiles that fill (0, 1) evenly,
    # the same in every run (multiples of the golden ratio, in order of exposure).
    before = column(record.fates, "exposure_before")[mine]
    order = np.lexsort([before[won], end[won]])
    quantile = np.empty(order.size)
    quantile[order] = (np.arange(1, order.size + 1) * _GOLDEN) % 1.0
    step = end[won] - before[won]
    end[won] = before[won] - np.log1p(quantile * np.expm1(-step))
    times = -np.log(FAIR_SHARES)
    return aalen_johansen(np.zeros(end.size), end, won.astype(np.intp), 1, times)


@measure(
    formula="Kaplan-Meier share without a win when exposure, sum of -log(1 - s_i) over draws, has "
    "reached -log f: f under fair lots drawn afresh, f = 50, 10, 1 %; starved: died without a win "
    "at exposure >= -log 10 % per 100 candidates considered",
    unit="share of candidates; per 100 candidates ever in H",
    direction="lower",
    discipline="ethics of lotteries, survival analysis",
    protects="those who lose every tie: fair lots let nobody lose for ever",
    cannot_see="losses outside H; draws before the run began; an observed share near f says that "
    "losers were spread as lots spread them, not that H was right; why: values other than the "
    "reference's within H, and lottery numbers for life, leave losers as a tie-breaker does",
    source="under fair lots exposure at the first win is unit exponential, whatever ends a history "
    "(D)",
)
def repeat_losers(record: Record, by: str | None = None) -> pd.DataFrame:
    """Candidates still without a win where fair lots would leave 50, 10 and 1 % (full detail).

    ``measure`` is ``repeat_losers.at_<percent>``; ``denominator`` is how many were followed so far.
    ``repeat_losers.starved`` counts (``numerator``) candidates who died waiting although nine in
    ten like them would have won by then.
    """
    names, codes = groups(record, by)
    rows: list[dict[str, Any]] = []
    for i, group in enumerate(names):
        key = {"grouping": by or "all", "group": group}
        at = [
            {"measure": f"repeat_losers.at_{100 * share:g}", **key, "note": FULL_DETAIL_ONLY}
            for share in FAIR_SHARES
        ]
        starved = {"measure": "repeat_losers.starved", **key, "note": FULL_DETAIL_ONLY}
        if "exposure" in record.fates:
            mine = (codes == i) & (column(record.fates, "exposure") > 0)
            for row, found in zip(at, _shares_without(_first_wins(record, mine)), strict=True):
                row |= found
            starved |= _starved(record, codes == i)
        rows += [*at, starved]
    return with_lottery(tidy(rows), record)


def _shares_without(curve: Curve) -> list[dict[str, Any]]:
    rows = []
    for i, followed in enumerate(curve.at_risk):
        row: dict[str, Any] = {"denominator": followed, "note": ""}
        if followed > 0 or curve.survival[i] == 0:  # once everybody has won, it stays at 0
            low, high = interval(curve.incidence[i, 0], curve.variance[i, 0])
            row |= {"value": curve.survival[i], "low": 1.0 - high, "high": 1.0 - low}
        else:
            row["note"] = "nobody without a win was in so many draws"
        rows.append(row)
    return rows


def _starved(record: Record, mine: NDArray[np.bool_]) -> dict[str, Any]:
    fates = record.fates[mine]
    considered = int(np.count_nonzero(fates["considered"] > 0))
    if not considered:
        return {"note": "nobody in this group was ever in H"}
    without = (fates["fate"] == "died") & ~fates["ever_won"]
    count = int(np.count_nonzero(without & (fates["exposure"] >= -np.log(FAIR_SHARES[1]))))
    low, high = garwood(np.array([float(count)]))
    per = PER / considered
    return {
        "value": count * per,
        "low": float(low[0]) * per,
        "high": float(high[0]) * per,
        "numerator": count,
        "denominator": considered,
        "note": "",
    }


@measure(
    formula="D = Var(p_i) / (pbar (1 - pbar)), unbiased, over candidates in a draw within H",
    unit="index in [0, 1]",
    direction="none",
    discipline="ethics of lotteries",
    protects="those in ties, whose fate lots were to settle",
    cannot_see="whether the settled differences were deserved; who is in a draw depends on the "
    "history too, so candidates count who were in one under any of the tie seeds",
    source="determinism index and its estimator (D)",
    reads="tie_seeds",
    by="never",
)
def ex_ante_touched(records: Sequence[Record]) -> pd.DataFrame:
    """Determinism index among those ever in a draw within H (full detail), as in `ex_ante`.

    ``numerator`` candidates, ``denominator`` tie seeds.

    Raises
    ------
    InputError
        If the records are not of one policy and world under different tie seeds.
    """
    drawn = transplanted_by_seed(records, "ex_ante_touched")
    row: dict[str, Any] = {"measure": "ex_ante_touched", "denominator": len(records)}
    if any("fair_wins" not in record.fates for record in records):
        return tidy([row | {"note": FULL_DETAIL_ONLY}])
    touched = np.any([column(record.fates, "fair_wins") > 0 for record in records], axis=0)
    if not touched.any():
        return tidy([row | {"note": _NO_DRAWS}])
    value = determinism_index(drawn[:, touched])
    note = "undefined: all or none transplanted" if np.isnan(value) else ""
    return tidy([row | {"value": value, "numerator": int(touched.sum()), "note": note}])
