"""Transplant and mortality rates on the waitlist per 100 person-years, and their ratios."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import betaincinv, gammaincinv, ndtri

from measures.registry import Table, measure
from measures.table import Floats, column, groups, levels, tidy, totals
from populations.errors import InputError
from sim.record import Record

PER = 100.0  # person-years
Z = float(ndtri(0.975))
PRIOR = 2.0  # SRTR's Gamma(2, 2) prior of a ratio: two events observed where two were expected
# The group others are compared with unless the caller names one; elsewhere the first level.
# A (ours): the larger group in United States waitlist reports.
REFERENCES = {"sex": "male", "race": "White"}


def garwood(count: Floats) -> tuple[Floats, Floats]:
    """Exact 95 % limits of the mean of a Poisson count.

    Parameters
    ----------
    count : ndarray of non-negative whole numbers, any shape

    Returns
    -------
    low, high : ndarray, same shape
        ``chi2(.025; 2d) / 2`` (0 at d = 0) and ``chi2(.975; 2d + 2) / 2`` (Garwood 1936, M;
        equal to the "exact-c" interval of statsmodels, D).
    """
    count = np.asarray(count, dtype=np.float64)
    low = np.where(count > 0, gammaincinv(np.maximum(count, 1), 0.025), 0.0)
    return low, np.asarray(gammaincinv(count + 1, 0.975))


def reference_group(by: str, reference: str | None = None) -> str:
    """Group of a grouping that the others are compared with: the one named, or the usual one.

    Raises
    ------
    InputError
        If the grouping has no such group.
    """
    if reference is None:
        reference = REFERENCES.get(by, levels(by)[0])
    if reference not in levels(by):
        raise InputError(f"measure: reference: {reference!r} is not one of {', '.join(levels(by))}")
    return reference


def log_ratio_limits(events: float, base: float, ratio: float) -> tuple[float, float]:
    """95 % limits ``ratio exp(-+1.96 sqrt(1/events + 1/base))`` of a ratio of two Poisson rates.

    ``events`` and ``base`` are the counts in the two groups, both above 0.
    """
    spread = float(np.exp(Z * np.sqrt(1 / events + 1 / base)))
    return ratio / spread, ratio * spread


def exact_ratio_limits(
    events: ArrayLike, years: ArrayLike, base_events: ArrayLike, base_years: ArrayLike
) -> tuple[Floats, Floats]:
    """Exact 95 % limits of a ratio of two Poisson rates, given the sum of their counts.

    Given their sum, the one count is binomial with p = RR PY1 / (RR PY1 + PY0); the limits are the
    Clopper-Pearson limits of p, turned back into ratios.

    Parameters
    ----------
    events, base_events : array-like of non-negative whole numbers
        Counts above and below the line.
    years, base_years : array-like, above 0
        Person-years above and below the line.

    Returns
    -------
    low, high : ndarray
        0 where nothing happened above the line, infinite where nothing happened below it.
        Przyborowski and Wilenski 1940 (M), checked against statsmodels (D).
    """
    d1, d0 = np.asarray(events, dtype=np.float64), np.asarray(base_events, dtype=np.float64)
    scale = np.asarray(base_years, dtype=np.float64) / np.asarray(years, dtype=np.float64)
    # The odds p / (1 - p), each part by itself: 1 - p would lose digits where p is near 1.
    above, below = np.maximum(d1, 1), np.maximum(d0, 1)
    low = betaincinv(above, d0 + 1, 0.025) / betaincinv(d0 + 1, above, 0.975)
    high = betaincinv(d1 + 1, below, 0.975) / betaincinv(below, d1 + 1, 0.025)
    return np.where(d1 > 0, low, 0.0) * scale, np.where(d0 > 0, high, np.inf) * scale


def counts(
    record: Record, fate: str, by: str | None, start: float = 0.0, end: float = np.inf
) -> tuple[tuple[str, ...], Floats, Floats]:
    """Names of the groups, events and person-years on the list in the window, per group."""
    if not start < end:
        raise InputError(f"measure: window: [{start}, {end}) is empty; start must be before end")
    names, codes = groups(record, by)
    entry, exit_ = column(record.fates, "entry"), column(record.fates, "exit")
    overlap = np.clip(np.minimum(exit_, end) - np.maximum(entry, start), 0.0, None)
    event = (np.asarray(record.fates["fate"]) == fate) & (exit_ >= start) & (exit_ < end)
    return names, totals(event, codes, len(names)), totals(overlap, codes, len(names))


def _rate(
    name: str, record: Record, fate: str, by: str | None, start: float, end: float
) -> pd.DataFrame:
    names, events, years = counts(record, fate, by, start, end)
    low, high = garwood(events)
    rows: list[dict[str, Any]] = []
    for i, group in enumerate(names):
        observed = years[i] > 0
        scale = PER / years[i] if observed else np.nan
        rows.append(
            {
                "measure": name,
                "grouping": by or "all",
                "group": group,
                "value": events[i] * scale if events[i] else np.nan,
                "low": low[i] * scale,
                "high": high[i] * scale,
                "numerator": events[i],
                "denominator": years[i],
                "note": ("" if events[i] else "no events") if observed else "no person-years",
            }
        )
    return tidy(rows)


def _ratio(
    name: str,
    record: Record,
    fate: str,
    by: str,
    reference: str | None,
    start: float,
    end: float,
) -> pd.DataFrame:
    reference = reference_group(by, reference)
    names, events, years = counts(record, fate, by, start, end)
    base = names.index(reference)
    rows: list[dict[str, Any]] = []
    for i, group in enumerate(names):
        missing = [
            f"no {what} in {names[j]}"
            for j in dict.fromkeys((i, base))
            for what, amount in (("person-years", years[j]), ("events", events[j]))
            if amount == 0
        ]
        row: dict[str, Any] = {"measure": name, "grouping": by, "group": group}
        row |= {"exact_low": np.nan, "exact_high": np.nan}
        if i != base and years[i] and years[base]:
            row["exact_low"], row["exact_high"] = exact_ratio_limits(
                events[i], years[i], events[base], years[base]
            )
        if missing:
            row["note"] = "; ".join(missing)
        elif i == base:
            row |= {"value": 1.0, "note": "reference group"}
        else:
            ratio = (events[i] / years[i]) / (events[base] / years[base])
            row["value"] = ratio
            row["low"], row["high"] = log_ratio_limits(events[i], events[base], ratio)
            row["note"] = f"against {reference}"
        rows.append(row)
    return tidy(rows)


def _shrunken(
    name: str, record: Record, fate: str, by: str, start: float, end: float
) -> pd.DataFrame:
    names, events, years = counts(record, fate, by, start, end)
    rows: list[dict[str, Any]] = []
    for group, observed, waited in zip(names, events, years, strict=True):
        row: dict[str, Any] = {"measure": name, "grouping": by, "group": group}
        if not events.sum():
            row["note"] = "no events"
        elif not waited:
            row["note"] = "no person-years"
        else:
            expected = waited * events.sum() / years.sum()
            row["value"] = (observed + PRIOR) / (expected + PRIOR)
            row["low"], row["high"] = gammaincinv(observed + PRIOR, [0.025, 0.975]) / (
                expected + PRIOR
            )
            row |= {"numerator": observed, "denominator": expected}
            row["note"] = "against everybody's rate"
        rows.append(row)
    return tidy(rows)


_RATE_SOURCE = (
    "OPTN/SRTR reports: events divided by patient years on the waiting list (R); interval "
    "Garwood 1936 (M), checked against statsmodels (D)"
)
_RATIO_FORMULA = (
    "(d1 / PY1) / (d0 / PY0), 0 the reference group (male; White; else the first level; the note "
    "names it); log interval RR exp(+-1.96 sqrt(1/d1 + 1/d0)); exact: Clopper-Pearson given d1 + d0"
)
_RATIO_SOURCE = (
    "log Wald and conditional binomial intervals of a ratio of Poisson rates (M), checked against "
    "statsmodels (D)"
)
_SHRUNKEN_FORMULA = (
    "(O + 2) / (E + 2), E = the group's person-years x the rate of everybody (the group included); "
    "interval: 2.5 and 97.5 % of Gamma(O + 2, E + 2)"
)
_SHRUNKEN_SOURCE = (
    "SRTR program-specific reports: ratio of observed to expected with a Gamma(2, 2) prior (R2); "
    "E unadjusted for case mix (D), where SRTR adjusts it"
)
_SHRUNKEN_BLIND = (
    "differences in need or case mix, which E does not know; a group that makes up most of the "
    "list is compared mostly with itself"
)


@measure(
    formula="100 * transplants / person-years on the list; exact Poisson interval",
    unit="per 100 person-years",
    direction="higher",
    discipline="transplant policy (OPTN, SRTR)",
    protects="groups kept waiting longer than others",
    cannot_see="who within a group is chosen, how well the kidney serves them; people back on the "
    "list (read retransplants); a group's rate rises when its members die early, since "
    "person-years shrink",
    source=_RATE_SOURCE,
)
def transplant_rate(
    record: Record, by: str | None = None, start: float = 0.0, end: float = np.inf
) -> pd.DataFrame:
    """Deceased-donor transplants per 100 person-years on the list.

    Parameters
    ----------
    record : Record
    by : str, optional
        A category of the schema or ``"age_band"``.
    start, end : float
        Window [start, end) in years of the run: person-years are the overlap of each candidate's
        [entry, exit) with it, events those whose exit lies in it.

    Returns
    -------
    DataFrame
        ``numerator`` events, ``denominator`` person-years. A group without an event has no rate
        (NaN, and a note): its count and its exact upper limit stay.
    """
    return _rate("transplant_rate", record, "transplanted", by, start, end)


@measure(
    formula="100 * deaths on the list / person-years on the list; exact Poisson interval",
    unit="per 100 person-years",
    direction="lower",
    discipline="transplant policy (OPTN, SRTR)",
    protects="those who die waiting",
    cannot_see="deaths after removal as too sick or after a transplant, also back on the list; "
    "which deaths a different choice would have prevented; a group kept waiting has more "
    "person-years: its deaths rise, its rate does not (read fate_counts.died with it)",
    source=_RATE_SOURCE,
)
def mortality_rate(
    record: Record, by: str | None = None, start: float = 0.0, end: float = np.inf
) -> pd.DataFrame:
    """Deaths on the list per 100 person-years on the list (parameters: `transplant_rate`)."""
    return _rate("mortality_rate", record, "died", by, start, end)


@measure(
    formula=_RATIO_FORMULA,
    unit="ratio",
    direction="none",
    discipline="epidemiology",
    protects="groups transplanted more slowly than the reference group",
    cannot_see="differences in medical need between the groups; individuals; a harm spread evenly "
    "over all groups",
    source=_RATIO_SOURCE,
    by="always",
)
def transplant_rate_ratio(
    record: Record,
    by: str,
    reference: str | None = None,
    start: float = 0.0,
    end: float = np.inf,
) -> pd.DataFrame:
    """Transplant rate of each group over that of a reference group.

    ``reference`` defaults to male, White, and otherwise the first level. Where either group has
    no event or no person-years the ratio is NaN and the note says which. Columns ``exact_low`` and
    ``exact_high`` hold the exact interval, also where only one of the groups has events (it then
    starts at 0 or has no upper end). Window: `transplant_rate`.
    """
    return _ratio("transplant_rate_ratio", record, "transplanted", by, reference, start, end)


@measure(
    formula=_RATIO_FORMULA,
    unit="ratio",
    direction="none",
    discipline="epidemiology",
    protects="groups dying faster on the list than the reference group",
    cannot_see="differences in illness between the groups; deaths after leaving the list",
    source=_RATIO_SOURCE,
    by="always",
)
def mortality_rate_ratio(
    record: Record,
    by: str,
    reference: str | None = None,
    start: float = 0.0,
    end: float = np.inf,
) -> pd.DataFrame:
    """Waitlist mortality of each group over that of a reference group.

    Reference group, exact interval and undefined ratios as in `transplant_rate_ratio`.
    """
    return _ratio("mortality_rate_ratio", record, "died", by, reference, start, end)


@measure(
    formula=_SHRUNKEN_FORMULA,
    unit="ratio",
    direction="none",
    discipline="transplant policy (SRTR)",
    protects="small groups transplanted more slowly than everybody, from being judged on chance",
    cannot_see=_SHRUNKEN_BLIND,
    source=_SHRUNKEN_SOURCE,
    by="always",
)
def shrunken_transplant_rate_ratio(
    record: Record, by: str, start: float = 0.0, end: float = np.inf
) -> pd.DataFrame:
    """Transplants of each group over those expected at everybody's rate, drawn towards 1.

    ``numerator`` observed, ``denominator`` expected. NaN where nobody of the group was on the list
    or nothing happened to anybody: 1 would be the prior's word alone. Window: `transplant_rate`.
    """
    return _shrunken("shrunken_transplant_rate_ratio", record, "transplanted", by, start, end)


@measure(
    formula=_SHRUNKEN_FORMULA,
    unit="ratio",
    direction="lower",
    discipline="transplant policy (SRTR)",
    protects="small groups dying faster on the list than everybody, from being judged on chance",
    cannot_see=_SHRUNKEN_BLIND,
    source=_SHRUNKEN_SOURCE,
    by="always",
)
def shrunken_mortality_rate_ratio(
    record: Record, by: str, start: float = 0.0, end: float = np.inf
) -> pd.DataFrame:
    """Deaths on the list over those expected at everybody's rate, drawn towards 1.

    Columns and undefined ratios as in `shrunken_transplant_rate_ratio`.
    """
    return _shrunken("shrunken_mortality_rate_ratio", record, "died", by, start, end)


def rolling(
    rate: Table, record: Record, by: str | None = None, width: float = 1.0, step: float = 0.25
) -> pd.DataFrame:
    """A rate or rate ratio over time, in windows ``width`` years long that start ``step`` apart.

    Parameters
    ----------
    rate : callable
        A function of this module taking ``record, by, start, end``.
    width, step : float
        Years; only windows that lie wholly within the run are used.

    Returns
    -------
    DataFrame
        The rows of ``rate`` for each window, with columns ``start`` and ``end`` in years.

    Raises
    ------
    InputError
        If no window fits into the run, or ``width`` or ``step`` is not positive.
    """
    if width <= 0 or step <= 0 or width > record.years:
        raise InputError(
            f"measure: width, step: {width}, {step} years; both must be positive and the width at "
            f"most the run's {record.years:g} years"
        )
    n_windows = int(np.floor((record.years - width) / step + 1e-9)) + 1
    frames = []
    for i in range(n_windows):
        start = i * step
        frame = rate(record, by, start=start, end=start + width)
        frames.append(frame.assign(start=start, end=start + width))
    return pd.concat(frames, ignore_index=True)
