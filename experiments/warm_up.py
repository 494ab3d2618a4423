"""When a run has forgotten how it began: warm-up, and the rates after it.

Two views of one study are kept apart. The terminating view is the whole history, from a list as it
is today. The steady-state view leaves out the years in which the list still moves to where a policy
keeps it; it exists only if runs are long enough.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from measures.registry import MEASURES
from measures.table import COLUMNS
from sim.record import FATES, GROUPINGS, Record

BATCH = 5  # observations: the 5 of MSER-5
SLOW_MODES = 5.0  # a deviation that dies out as exp(-theta t) has then come down to 0.7 %


@dataclass(frozen=True)
class WarmUp:
    """How long it takes until a run has forgotten how it began; one length for all arms.

    Parameters
    ----------
    years : float
        What the steady-state view leaves out: the longest over arms of what MSER-5 says and of
        ``SLOW_MODES / theta``, but never more than half of the run.
    steady : bool
        Whether that is long enough. If not, the years after it are the second half of a run that
        still moves, and no steady state.
    needed : float
        Shortest run in which it could be: twice the longest that is known (inf if nobody leaves
        the list but by a transplant).
    truncation : mapping of str to float or None
        By arm: years that MSER-5 deletes; None if it did not find an end.
    slow_mode : mapping of str to float
        By arm: 1 / theta in years, theta the rate at which those waiting leave without a kidney.
    """

    years: float
    steady: bool
    needed: float
    truncation: Mapping[str, float | None]
    slow_mode: Mapping[str, float]


def mser5(series: ArrayLike) -> int | None:
    """How many of the first observations to delete, by MSER-5.

    With the means y_1 ... y_n of batches of five, d deletes the first 5 d for which
    sum_{i > d} (y_i - mean)^2 / (n - d)^2 is smallest, d <= n / 2 (White 1997; White, Cobb & Spratt
    2000; formula M). Picked as the most robust rule that needs no eye by Hoad, Robinson & Davies
    (2010, R2).

    Parameters
    ----------
    series : array-like, shape (observations,)
        Equally spaced; averaged over replications.

    Returns
    -------
    int or None
        None if the best d is the last one allowed: then the series has not settled, or is too
        short to tell.
    """
    x = np.asarray(series, dtype=np.float64)
    n = x.size // BATCH
    batches = x[: n * BATCH].reshape(n, BATCH).mean(axis=1)
    if n < 2:
        return None
    score = [float(np.sum((y - y.mean()) ** 2)) / y.size**2 for y in _tails(batches)]
    best = int(np.argmin(score))
    return None if best == n // 2 else BATCH * best


def _tails(batches: np.ndarray) -> list[np.ndarray]:
    return [batches[d:] for d in range(len(batches) // 2 + 1)]


def find(snapshots: pd.DataFrame, measures: pd.DataFrame, years: float) -> WarmUp:
    """The warm-up of a study.

    Parameters
    ----------
    snapshots : DataFrame
        ``arm, time, waiting``: the size of the list in every run, at the same times in all.
    measures : DataFrame
        Every measure of every run.
    years : float
        Length of the runs.
    """
    sizes = snapshots.pivot_table(index="time", columns="arm", values="waiting", sort=False)
    sizes = sizes.sort_index()
    step = float(np.diff(sizes.index[:2])[0])
    found = {str(arm): mser5(sizes[arm]) for arm in sizes}
    truncation = {arm: None if d is None else d * step for arm, d in found.items()}
    slow = _slow_modes(measures)
    known = [years for years in truncation.values() if years is not None]
    longest = max([*known, SLOW_MODES * max(slow.values())])
    half = years / 2
    steady = longest <= half and len(known) == len(found)
    return WarmUp(longest if steady else half, steady, 2 * longest, truncation, slow)


def _slow_modes(measures: pd.DataFrame) -> dict[str, float]:
    """1 / theta of each arm: person-years on the list per departure without a kidney."""
    everybody = measures[measures["grouping"] == "all"]
    gone = [f"fate_counts.{fate}" for fate in FATES if fate not in ("waiting", "transplanted")]
    left = everybody[everybody["measure"].isin(gone)].groupby("arm")["value"].sum()
    rates = everybody[everybody["measure"] == "transplant_rate"]
    waited = rates.groupby("arm")["denominator"].sum()
    return {str(arm): float(waited[arm] / left[arm]) if left[arm] else np.inf for arm in left.index}


def after(record: Record, start: float) -> pd.DataFrame:
    """Every measure of events and person-years that takes a window, from ``start`` to the end.

    Returns
    -------
    DataFrame
        As `measures.headline.summary`.
    """
    frames = []
    for card in MEASURES.values():
        if card.reads != "record" or "start" not in inspect.signature(card.function).parameters:
            continue
        groupings = [None, *GROUPINGS] if card.by == "optional" else GROUPINGS
        frames += [card.function(record, by, start=start, end=record.years) for by in groupings]
    return pd.concat([frame[list(COLUMNS)] for frame in frames], ignore_index=True)


def sentence(found: WarmUp, years: float) -> str:
    """What the steady-state view is, or that there is none."""
    slowest = max(found.slow_mode.values())
    if found.steady:
        return (
            f"Steady state: rates after the first {found.years:.1f} years, in every arm, are in "
            "steady_levels.csv and steady_differences.csv."
        )
    why = f"runs of at least {found.needed:,.0f} years would be needed"
    if found.needed <= years:
        why = "by MSER-5 the size of the list had not settled half-way"
    length = f"{years:g} year{'s' * (years != 1)}"
    return (
        f"No steady state in {length}: a list forgets how it began over some "
        f"{SLOW_MODES * slowest:.0f} years (five times 1/theta, theta the rate of leaving without "
        f"a kidney); {why}. steady_levels.csv and steady_differences.csv hold the last "
        f"{years - found.years:g} years, in which the list still moves."
    )
