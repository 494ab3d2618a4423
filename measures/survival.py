"""Survival analysis: what had become of candidates t years after listing, or after transplant.

Kaplan-Meier with the other exits censored answers a question nobody asks (how many would be
transplanted if nobody died); the Aalen-Johansen estimator answers the one they do.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

from measures.outcomes import HORIZONS, KDPI_BANDS, bands_of_kidneys
from measures.rates import Z
from measures.registry import measure
from measures.table import Floats, codes_of, column, groups, mean_rows, tidy, totals
from populations.errors import InputError
from sim.record import FATES, Record

CAUSES = FATES[1:]  # FATES[0] is "waiting", which is no exit: censored at the horizon
_ROUNDING = 1e-9  # ten steps of 0.1 must count as having reached 1


class Curve(NamedTuple):
    """An Aalen-Johansen estimate, one row per time.

    Parameters
    ----------
    time : ndarray, shape (m,)
    at_risk : ndarray, shape (m,)
        Under observation and event-free just before the time.
    survival : ndarray, shape (m,)
        Probability of no event by then.
    incidence, variance : ndarray, shape (m, n_causes)
        Cumulative incidence of each cause, and the estimated variance of it.
    """

    time: Floats
    at_risk: Floats
    survival: Floats
    incidence: Floats
    variance: Floats


def _at_risk(entry: Floats, exit: Floats, time: Floats) -> Floats:
    # Entering at 0 is entering at the origin: at risk from it on, itself included.
    late = np.sort(entry[entry > 0])
    left = np.searchsorted(np.sort(exit), time, side="left")
    unseen = late.size - np.searchsorted(late, time, side="left")
    return (exit.size - left - unseen).astype(np.float64)


def _variance(at_risk: Floats, events: Floats, survival: Floats, incidence: Floats) -> Floats:
    """Greenwood-type variance of every cause at every event time, O(m).

    At event time s those at risk (n) meet one of: cause k, another cause, survival. Seen from t
    these are worth 1, 0 and g = (F(t) - F(s)) / S(s) to F_k(t); the multinomial variance of that
    worth, times S(s-)^2 / n, is what time s adds. Expanded in powers of F(t) it needs running
    sums only.
    """
    before = np.concatenate([[1.0], survival[:-1]])
    total = events.sum(axis=1)
    hazard = events / at_risk[:, None]
    alive = survival > 0
    remaining = np.where(alive, at_risk - total, 1.0)
    own = np.cumsum((before**2 / at_risk)[:, None] * hazard * (1 - hazard), axis=0)
    square = np.where(alive, total / (at_risk * remaining), 0.0)[:, None]
    cross = np.where(alive, before / at_risk, 0.0)[:, None] * hazard
    spread = (
        incidence**2 * np.cumsum(square, axis=0)
        - 2 * incidence * np.cumsum(square * incidence, axis=0)
        + np.cumsum(square * incidence**2, axis=0)
    )
    shared = incidence * np.cumsum(cross, axis=0) - np.cumsum(cross * incidence, axis=0)
    return np.clip(own + spread - 2 * shared, 0.0, None)


def _at_events(entry: Floats, exit: Floats, cause: NDArray[np.intp], n_causes: int) -> Curve:
    happened = cause > 0
    time = np.unique(exit[happened])
    cell = np.searchsorted(time, exit[happened]) * n_causes + cause[happened] - 1
    counts = np.bincount(cell, minlength=time.size * n_causes)
    events = counts.reshape(time.size, n_causes).astype(np.float64)
    at_risk = _at_risk(entry, exit, time)
    survival = np.cumprod(1 - events.sum(axis=1) / at_risk)
    before = np.concatenate([[1.0], survival[:-1]])
    incidence = np.cumsum((before / at_risk)[:, None] * events, axis=0)
    variance = _variance(at_risk, events, survival, incidence)
    return Curve(time, at_risk, survival, incidence, variance)


def aalen_johansen(
    entry: ArrayLike, exit: ArrayLike, cause: ArrayLike, n_causes: int, times: ArrayLike
) -> Curve:
    """Cumulative incidence of competing causes, exact with ties, with delayed entry.

    F_k(t) = sum over event times s <= t of S(s-) d_ks / n_s, where n_s counts those with
    entry < s <= exit (entry = 0 is at risk from 0 on, 0 included) and S is the all-cause
    Kaplan-Meier. With delayed entry, a risk set that empties early sends S to 0 for good:
    look at ``at_risk``.

    Parameters
    ----------
    entry, exit : array-like, shape (n,)
        Years since the origin at which observation of each candidate starts and ends.
    cause : array-like of int, shape (n,)
        0 if censored at ``exit``, else the cause 1..n_causes.
    n_causes : int
    times : array-like, shape (t,)
        Years at which to read the curve.

    Returns
    -------
    Curve
        Rows for ``times``. Variance: Greenwood-type, recommended by Allignol, Schumacher and
        Beyersmann (2010), also under left truncation (R, abstract); this closed form is derived
        here (D).

    Raises
    ------
    InputError
        If shapes differ, a cause is out of range, or an exit is not after a delayed entry.
    """
    start, end = np.asarray(entry, dtype=np.float64), np.asarray(exit, dtype=np.float64)
    why = np.asarray(cause, dtype=np.intp)
    at = np.asarray(times, dtype=np.float64)
    if not start.shape == end.shape == why.shape == (start.size,):
        raise InputError(
            f"aalen_johansen: shapes: {start.shape}, {end.shape}, {why.shape}; all must be (n,)"
        )
    if why.size and not (why.min() >= 0 and why.max() <= n_causes):
        raise InputError(f"aalen_johansen: cause: must lie in 0..{n_causes}")
    if not ((end > start) | ((end == start) & (start == 0))).all() or (start < 0).any():
        raise InputError("aalen_johansen: exit: must be after entry, and entry at or after 0")
    curve = _at_events(start, end, why, n_causes)
    row = np.searchsorted(curve.time, at, side="right")  # 0: before the first event
    origin = np.zeros((1, n_causes))
    return Curve(
        at,
        _at_risk(start, end, at),
        np.concatenate([[1.0], curve.survival])[row],
        np.concatenate([origin, curve.incidence])[row],
        np.concatenate([origin, curve.variance])[row],
    )


def interval(incidence: ArrayLike, variance: ArrayLike) -> tuple[Floats, Floats]:
    """95 % limits F^exp(-+z se / (F ln F)) (log-log; Pintilie 2006, R2), within [0, 1].

    Before the first event (F = 0) the upper limit is unknown, NaN.
    """
    f = np.asarray(incidence, dtype=np.float64)
    error = np.sqrt(np.asarray(variance, dtype=np.float64))
    inside = (f > 0) & (f < 1 - _ROUNDING)  # the logarithm of 1 less a rounding error is no scale
    safe = np.where(inside, f, 0.5)
    power = np.exp(Z * error / (safe * np.log(safe)))
    low = np.where(inside, safe ** (1 / power), f)
    high = np.where(inside, safe**power, np.where(f > 0, f, np.nan))
    return low, high


def _cohorts(record: Record, by: str | None) -> list[tuple[str, Floats, NDArray[np.intp]]]:
    """For each group: name, years from listing to exit, cause; listed after the start only."""
    names, codes = groups(record, by)
    listed, exit_ = column(record.candidates, "listed"), column(record.fates, "exit")
    cause = codes_of(record.fates["fate"], FATES)
    cohorts = []
    for i, name in enumerate(names):
        mine = (codes == i) & (listed >= 0)
        cohorts.append((name, exit_[mine] - listed[mine], cause[mine]))
    return cohorts


@measure(
    formula="Aalen-Johansen F_k(t) = sum_{s<=t} S(s-) d_ks / n_s, t years since listing",
    unit="probability",
    direction="none",
    discipline="survival analysis",
    protects="groups whose candidates die or are removed before their turn comes",
    cannot_see="candidates already listed at the start; life after the exit; who within a group",
    source="Aalen-Johansen (M), checked against statsmodels (D); interval Pintilie 2006 (R2)",
)
def cumulative_incidence(
    record: Record, by: str | None = None, times: Sequence[float] = HORIZONS
) -> pd.DataFrame:
    """Share transplanted, died, ... by t years after listing, other exits competing.

    Parameters
    ----------
    record : Record
        Only candidates listed after the start are used: those on the list at the start are the
        survivors of their year of listing.
    by : str, optional
        A category of the schema or ``"age_band"``.
    times : sequence of float
        Years since listing.

    Returns
    -------
    DataFrame
        ``measure`` is ``cumulative_incidence.<fate>.<t>y``; ``fate``, ``time`` and ``at_risk``
        are columns too. NaN, and a note, where nobody was followed for so long.
    """
    rows: list[dict[str, Any]] = []
    for group, exit_, cause in _cohorts(record, by):
        curve = aalen_johansen(np.zeros_like(exit_), exit_, cause, len(CAUSES), times)
        low, high = interval(curve.incidence, curve.variance)
        for i, time in enumerate(times):
            followed = exit_.size > 0 and time <= record.years
            followed &= bool(curve.at_risk[i] > 0 or curve.survival[i] == 0)
            for k, fate in enumerate(CAUSES):
                row: dict[str, Any] = {
                    "measure": f"cumulative_incidence.{fate}.{time:g}y",
                    "grouping": by or "all",
                    "group": group,
                    "fate": fate,
                    "time": float(time),
                    "at_risk": curve.at_risk[i],
                }
                if followed:
                    row |= {"value": curve.incidence[i, k], "low": low[i, k], "high": high[i, k]}
                    row["note"] = "" if curve.incidence[i, k] else "no events by then"
                elif exit_.size:
                    row["note"] = f"nobody followed for {time:g} years"
                else:
                    row["note"] = "nobody listed after the start"
                rows.append(row)
    return tidy(rows)


def _first(reached: NDArray[np.bool_], time: Floats) -> float:
    return float(time[np.argmax(reached)]) if reached.any() else float("nan")


@measure(
    formula="inf{t: F_transplanted(t) >= q}; limits where the limits of F reach q",
    unit="years since listing",
    direction="lower",
    discipline="transplant policy (SRTR)",
    protects="groups whose wait is long or never ends",
    cannot_see="what happens to those never transplanted; a quantile that is not reached hides "
    "how far off it is (read the cumulative incidence)",
    source="SRTR program-specific reports print percentiles of time to transplant (R)",
)
def time_to_transplant(
    record: Record, by: str | None = None, shares: Sequence[float] = (0.10, 0.25, 0.50)
) -> pd.DataFrame:
    """Years since listing by which 10, 25 and 50 % have been transplanted, deaths competing.

    Candidates listed after the start only. ``measure`` is ``time_to_transplant.p<share>``. Where
    the share is never reached, ``value`` is NaN and the note says how far the curve went.
    """
    rows: list[dict[str, Any]] = []
    which = CAUSES.index("transplanted")
    for group, exit_, cause in _cohorts(record, by):
        curve = _at_events(np.zeros_like(exit_), exit_, cause, len(CAUSES))
        reached = curve.incidence[:, which]
        low, high = interval(reached, curve.variance[:, which])
        for share in shares:
            goal = share - _ROUNDING
            years = _first(reached >= goal, curve.time)
            note = ""
            if not exit_.size:
                note = "nobody listed after the start"
            elif np.isnan(years):
                last = reached[-1] if reached.size else 0.0
                note = f"not reached: {last:.3f} after {exit_.max():.2f} years"
            rows.append(
                {
                    "measure": f"time_to_transplant.p{100 * share:g}",
                    "grouping": by or "all",
                    "group": group,
                    "value": years,
                    "low": _first(high >= goal, curve.time),
                    "high": _first(low >= goal, curve.time),
                    "note": note,
                }
            )
    return tidy(rows)


def clopper_pearson(count: Floats, trials: Floats) -> tuple[Floats, Floats]:
    """Exact 95 % limits of a probability, from ``count`` successes in ``trials``.

    Parameters
    ----------
    count, trials : ndarray of whole numbers, same shape
        0 <= count <= trials.

    Returns
    -------
    low, high : ndarray, same shape
        Quantiles .025 of Beta(count, trials - count + 1) and .975 of Beta(count + 1, trials -
        count), 0 and 1 at the ends (M; equal to the "beta" interval of statsmodels, D).
    """
    failed = trials - count
    low = np.where(count > 0, betaincinv(np.maximum(count, 1), failed + 1, 0.025), 0.0)
    high = np.where(failed > 0, betaincinv(count + 1, np.maximum(failed, 1), 0.975), 1.0)
    return low, high


@measure(
    formula="share of recipients alive t years after transplant, t = 1, 3, 5; exact binomial "
    "interval",
    unit="probability",
    direction="higher",
    discipline="transplant policy (SRTR)",
    protects="recipients; those given a kidney that serves them badly",
    cannot_see="whether the graft still works: this is the survival of people, with it, on "
    "dialysis after it failed, or with another (read graft_survival with it); everybody not "
    "transplanted, so a policy that takes only the healthiest looks best",
    source="SRTR program-specific reports print patient survival after transplant (R, headings); "
    "with every death known the share is the Kaplan-Meier estimate (D); interval Clopper-Pearson "
    "(M), checked against statsmodels (D)",
)
def post_transplant_survival(record: Record, by: str | None = None) -> pd.DataFrame:
    """Share of recipients alive 1, 3 and 5 years after transplant; overall also by KDPI band.

    ``measure`` is ``post_transplant_survival.<t>y``; ``numerator`` alive, ``denominator``
    recipients. All recipients count, once, from their first transplant in the run and however late
    in it: the record knows when each dies, also after its end, so nobody is censored. Groups are of
    the recipients, the bands of their first kidneys.
    """
    received = np.asarray(record.fates["fate"] == "transplanted")
    lived = (column(record.fates, "death") - column(record.fates, "exit"))[received]
    names, codes = groups(record, by)
    tables = [(by, names, codes[received])]
    if by is None:
        kidneys = np.asarray(record.fates["kidney"])[received]
        tables.append(("kdpi_band", KDPI_BANDS, bands_of_kidneys(record, kidneys)))
    rows: list[dict[str, Any]] = []
    for grouping, levels, of in tables:
        recipients = totals(np.ones(of.size), of, len(levels))
        for years in HORIZONS:
            alive = totals(lived > years, of, len(levels))
            name = f"post_transplant_survival.{years:g}y"
            found = mean_rows(name, grouping, levels, alive, recipients)
            for row, low, high in zip(found, *clopper_pearson(alive, recipients), strict=True):
                if row["denominator"]:
                    row |= {"low": low, "high": high}
                else:
                    row["note"] = "no transplants"
            rows.extend(found)
    return tidy(rows)
