"""Whether groups fare alike: outright, given equal claims, and among those people would choose."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from measures import rates
from measures.registry import measure
from measures.survival import clopper_pearson, cumulative_incidence
from measures.table import FULL_DETAIL_ONLY, Floats, column, groups, mean_rows, tidy, totals
from sim.record import Record

HORIZON = 3.0  # years since listing of the incidence compared; also the least to be observed for
STRATA = 10
FOUR_FIFTHS = 0.8
_EXTREMES = (
    "that the extremes are picked from the same data: the gap is wide by chance alone where groups "
    "are many or small, so read it beside a lottery's in the same worlds"
)


class Extremes(NamedTuple):
    """The two groups furthest apart: index and value of the lowest and of the highest."""

    lowest: int
    low: float
    highest: int
    high: float
    note: str


def extremes(names: tuple[str, ...], values: Floats) -> Extremes | None:
    """Find the lowest and the highest of the groups that have a value; None if fewer than two."""
    undefined = np.isnan(values)
    if (~undefined).sum() < 2:
        return None
    low, high = int(np.nanargmin(values)), int(np.nanargmax(values))
    note = f"lowest {names[low]}, highest {names[high]}"
    if undefined.any():
        note += f"; without {', '.join(np.array(names)[undefined])}"
    return Extremes(low, float(values[low]), high, float(values[high]), note)


def _difference(found: Extremes | None) -> dict[str, Any]:
    if found is None:
        return {"note": "fewer than two groups to compare"}
    return {"value": found.high - found.low, "note": found.note}


def _ratio(found: Extremes | None) -> dict[str, Any]:
    if found is None:
        return {"note": "fewer than two groups to compare"}
    if found.high == 0:
        return {"note": "no transplants"}
    return {"value": found.low / found.high, "note": found.note}


def _rates(record: Record, by: str) -> tuple[tuple[str, ...], Floats, Floats]:
    """Groups, transplants and rates: 0 for a group without transplants, NaN if nobody waited."""
    names, events, years = rates.counts(record, "transplanted", by)
    rate = np.full(len(names), np.nan)
    return names, events, np.divide(rates.PER * events, years, out=rate, where=years > 0)


@measure(
    formula="max_g s_g - min_g s_g and min_g s_g / max_g s_g, s_g the group's transplants per 100 "
    "person-years, and its cumulative incidence of transplant 3 years after listing",
    unit="per 100 person-years; probability; ratios",
    direction="none",
    discipline="algorithmic fairness, over time at risk",
    protects="the group served least, whichever it is",
    cannot_see="differences in need, claim or compatibility between groups; " + _EXTREMES,
    source="demographic parity difference and ratio as in fairlearn (D, checked against it), with "
    "rates in place of selection rates, since the share transplanted so far is lower in recent "
    "cohorts whoever they are (D)",
    by="always",
)
def demographic_parity(record: Record, by: str) -> pd.DataFrame:
    """Gap between the groups transplanted most and least: difference and ratio.

    Rows ``demographic_parity.rate_difference``, ``.rate_ratio``, ``.incidence_difference`` and
    ``.incidence_ratio`` (0 equal, 1 equal, 0, 1), group ``all``; the note names the two groups, and
    those with nobody to count, which are left out. A group without a transplant counts as 0.
    """
    names, _, rate = _rates(record, by)
    incidence = cumulative_incidence(record, by, times=(HORIZON,))
    reached = column(incidence[incidence["fate"] == "transplanted"], "value")
    rows: list[dict[str, Any]] = []
    for kind, values in (("rate", rate), ("incidence", reached)):
        found = extremes(names, values)
        for detail, answer in (("difference", _difference(found)), ("ratio", _ratio(found))):
            name = f"demographic_parity.{kind}_{detail}"
            rows.append({"measure": name, "grouping": by, **answer})
    return tidy(rows)


@measure(
    formula="min_g r_g / max_g r_g, r_g transplants per person-year; log interval of a ratio of "
    "two rates",
    unit="ratio",
    direction="higher",
    discipline="US employment law (adverse impact)",
    protects="the group with the lowest rate, whichever it is",
    cannot_see="chance: 4/5 is a convention without probability content, easily missed by small "
    "groups and met by large ones that truly differ; reasons for the difference; the interval "
    "takes the two groups as named beforehand, which they are not; " + _EXTREMES,
    source="29 CFR 1607.4(D): a rate below four fifths of the highest group's is generally "
    "regarded as evidence of adverse impact (R); applied to rates per person-year (D)",
    by="always",
)
def four_fifths(record: Record, by: str) -> pd.DataFrame:
    """Screen of the four-fifths rule: the lowest group's transplant rate over the highest's.

    Row ``four_fifths.impact_ratio``, group ``all``; the note names the two groups and says on which
    side of 4/5 the ratio and its interval lie. No interval where the lowest has no transplants.
    """
    names, events, rate = _rates(record, by)
    found = extremes(names, rate)
    row: dict[str, Any] = {"measure": "four_fifths.impact_ratio", "grouping": by, **_ratio(found)}
    if found and found.high > 0:
        ratio = row["value"]
        side = "below 4/5" if ratio < FOUR_FIFTHS else "not below 4/5"
        if found.low > 0:
            low, high = rates.log_ratio_limits(events[found.lowest], events[found.highest], ratio)
            row |= {"low": low, "high": high}
            side += ", interval on both sides" if low < FOUR_FIFTHS <= high else ""
        row["note"] = f"{side}; {found.note}"
    return tidy([row])


def mantel_haenszel(
    events: ArrayLike, years: ArrayLike, base_events: ArrayLike, base_years: ArrayLike
) -> tuple[float, float, float]:
    """Ratio of two rates pooled over strata, and its 95 % limits.

    Parameters
    ----------
    events, years, base_events, base_years : array-like, shape (strata,)
        Events and person-time of the group and of the one it is compared with.

    Returns
    -------
    ratio, low, high : float
        Sum of a N0 / T over sum of b N1 / T, T = N1 + N0; log interval with variance sum of
        (a + b) N1 N0 / T^2 over the product of the two sums (Greenland and Robins 1985, M). A
        stratum where nothing happened, or where one of the two has no person-time, adds nothing.
        0, without limits, where nothing happened to the group; NaN where nothing happened to the
        one it is compared with.
    """
    a, n1, b, n0 = (
        np.asarray(x, dtype=np.float64) for x in (events, years, base_events, base_years)
    )
    total = n1 + n0
    weight = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)
    above, below = float((a * n0 * weight).sum()), float((b * n1 * weight).sum())
    if above == 0 or below == 0:
        return 0.0 if below > 0 else float("nan"), float("nan"), float("nan")
    error = np.sqrt(((a + b) * n1 * n0 * weight**2).sum() / (above * below))
    spread = float(np.exp(rates.Z * error))
    ratio = above / below
    return ratio, ratio / spread, ratio * spread


def _strata(claim: Floats) -> NDArray[np.intp]:
    """Tenth of the claims of all candidates in which each lies, 0 the weakest; equals together."""
    if not claim.size:
        return np.zeros(0, dtype=np.intp)
    cuts = np.quantile(claim, np.arange(1, STRATA) / STRATA)
    return np.searchsorted(cuts, claim, side="right")


@measure(
    formula="Mantel-Haenszel ratio of transplant rates per person-year, group over reference group "
    "(male; White; else the first level; the note names it), over tenths of the claim",
    unit="ratio",
    direction="none",
    discipline="algorithmic fairness, epidemiology",
    protects="members of a group passed over for others whose claim is no stronger",
    cannot_see="groups whose claims themselves are held too low by the reference; a ratio that "
    "differs from one tenth to another; compatibility, which is no part of the claim",
    source="conditional demographic parity, claim = chance that the reference prefers the "
    "candidate to another at random (D); estimator of Greenland and Robins 1985 (M), checked "
    "against statsmodels (D)",
    by="always",
)
def conditional_parity(record: Record, by: str, reference: str | None = None) -> pd.DataFrame:
    """Transplant rate of each group over the reference group's among candidates of equal claim.

    Row ``conditional_parity.rate_ratio`` for each group. The tenths are of all candidates of the
    world, so they are the same under every policy. Reference group: `rates.transplant_rate_ratio`.
    """
    reference = rates.reference_group(by, reference)
    names, codes = groups(record, by)
    blank = {"measure": "conditional_parity.rate_ratio", "grouping": by}
    if "claim" not in record.candidates:
        return tidy({**blank, "group": group, "note": FULL_DETAIL_ONLY} for group in names)
    cells = _strata(column(record.candidates, "claim")) + STRATA * codes
    waited = column(record.fates, "exit") - column(record.fates, "entry")
    had = np.asarray(record.fates["fate"] == "transplanted")
    shape = (len(names), STRATA)
    events = totals(had, cells, STRATA * len(names)).reshape(shape)
    years = totals(waited, cells, STRATA * len(names)).reshape(shape)
    base = names.index(reference)
    rows: list[dict[str, Any]] = []
    for i, group in enumerate(names):
        if i == base and years[i].any():
            rows.append({**blank, "group": group, "value": 1.0, "note": "reference group"})
            continue
        ratio, low, high = mantel_haenszel(events[i], years[i], events[base], years[base])
        shared = (years[i] > 0) & (years[base] > 0) & (events[i] + events[base] > 0)
        note = f"against {reference} in {shared.sum()} of {STRATA} tenths of the claim"
        if np.isnan(ratio):
            note = f"no events of {group} or {reference} in any tenth they share"
        rows.append({**blank, "group": group, "value": ratio, "low": low, "high": high})
        rows[-1]["note"] = note
    return tidy(rows)


@measure(
    formula="by group, transplanted / (considered by the reference at least once), among those "
    "observed for 3 years or more; max_g - min_g of it; exact binomial interval of the shares",
    unit="probability",
    direction="none",
    discipline="algorithmic fairness",
    protects="those the reference would have considered, in groups the policy passes over",
    cannot_see="how soon, and how often they were considered: who waits longer is considered more "
    "often, so the policy itself has a hand in who counts, and beside a reference that leaves most "
    "to lots nearly everybody does; those the reference never considered; " + _EXTREMES,
    source="true positive rates after Hardt, Price and Srebro 2016 (M), checked against fairlearn "
    "(D); qualified = in the reference's 95 % set for at least one kidney (D)",
    by="always",
)
def equal_opportunity(record: Record, by: str) -> pd.DataFrame:
    """Share transplanted among candidates whom the reference considered, and the largest gap.

    Both are counted from entry to the end of the run, for those who entered 3 years or more before
    it: among the last to be listed hardly anybody has had the time. Rows
    ``equal_opportunity.true_positive_rate`` for each group (``numerator`` transplanted,
    ``denominator`` considered) and ``equal_opportunity.difference``, group ``all``.
    """
    names, codes = groups(record, by)
    name = "equal_opportunity.true_positive_rate"
    gap: dict[str, Any] = {"measure": "equal_opportunity.difference", "grouping": by}
    if "considered" not in record.fates:
        rows = [{"measure": name, "grouping": by, "group": group} for group in names]
        return tidy({**row, "note": FULL_DETAIL_ONLY} for row in [*rows, gap])
    early = column(record.fates, "entry") <= record.years - HORIZON
    qualified = early & (column(record.fates, "considered") >= 1)
    had = np.asarray(record.fates["fate"] == "transplanted")
    chosen = totals(qualified & had, codes, len(names))
    whole = totals(qualified, codes, len(names))
    rows = mean_rows(name, by, names, chosen, whole)
    for row, low, high in zip(rows, *clopper_pearson(chosen, whole), strict=True):
        if row["denominator"]:
            row |= {"low": low, "high": high}
        else:
            row["note"] = f"nobody considered who was observed for {HORIZON:g} years"
    shares = np.array([row["value"] for row in rows])
    return tidy([*rows, gap | _difference(extremes(names, shares))])
