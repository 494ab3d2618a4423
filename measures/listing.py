"""The list itself: who on it cannot be offered a kidney, and where one is listed."""

from typing import Any

import numpy as np
import pandas as pd

from measures.rates import PER, garwood
from measures.registry import measure
from measures.survival import clopper_pearson
from measures.table import column, groups, mean_rows, tidy, totals
from populations.schema import nearest_percent
from sim.record import Record

CPRA_BANDS: tuple[str, ...] = ("0-19", "20-79", "80-97", "98", "99", "100")
_CPRA_STARTS = np.array([20.0, 80.0, 98.0, 99.0, 100.0])  # whole percents


@measure(
    formula="at_end: inactive / waiting at the end of the run; years: 1 - years active / years on "
    "the list; deaths: inactive when they died / died on the list; exact binomial interval of "
    "at_end and deaths",
    unit="share of candidates, of person-years, or of deaths",
    direction="none",
    discipline="transplant policy (OPTN, SRTR)",
    protects="those who are on the list but cannot be offered a kidney",
    cannot_see="why they are inactive, and whether they ought to be; people back on the list; a "
    "policy has a hand in it only through who is taken off the list",
    source="32.8 % of the list inactive at the end of 2007, and 52 % of deaths: Delmonico et al. "
    "2008 (R)",
)
def inactive_status(record: Record, by: str | None = None) -> pd.DataFrame:
    """How much of the list is inactive: at the end, over the years, and among those who die.

    Rows ``inactive_status.at_end``, ``.years`` and ``.deaths``, of first registrations.
    """
    names, codes = groups(record, by)
    inactive = np.asarray(record.fates["inactive"], dtype=bool)
    fate = np.asarray(record.fates["fate"])
    waited = column(record.fates, "exit") - column(record.fates, "entry")
    idle = np.clip(waited - column(record.fates, "active_years"), 0.0, None)
    rows: list[dict[str, Any]] = []
    for detail, who, empty in (
        ("at_end", fate == "waiting", "nobody waiting at the end"),
        ("deaths", fate == "died", "no deaths on the list"),
    ):
        count, whole = (totals(each, codes, len(names)) for each in (who & inactive, who))
        found = mean_rows(f"inactive_status.{detail}", by, names, count, whole)
        for row, low, high in zip(found, *clopper_pearson(count, whole), strict=True):
            row |= {"low": low, "high": high} if row["denominator"] else {"note": empty}
        rows += found
    spent = (totals(each, codes, len(names)) for each in (idle, waited))
    found = mean_rows("inactive_status.years", by, names, *spent)
    for row in found:
        row["note"] = "" if row["denominator"] else "no person-years"
    return tidy([*rows, *found])


@measure(
    formula="100 * transplants / person-years on the list of those whose cPRA, rounded to a whole "
    "percent, is in the band; exact Poisson interval",
    unit="per 100 person-years",
    direction="none",
    discipline="transplant policy (OPTN, SRTR)",
    protects="the sensitised, whom few kidneys suit",
    cannot_see="how few kidneys suit whom within a band: at 99.99 % fifty times fewer than "
    "at 99.5 %; people back on the list; how many more would be found beyond a population that is "
    "smaller than a nation",
    source="bands of US kidney allocation: Gebel 2016 compares 98, 99 and 100 % (R)",
    by="never",
)
def access_by_cpra(record: Record) -> pd.DataFrame:
    """Deceased-donor transplants per 100 person-years by sensitisation at first listing.

    A row ``access_by_cpra.BAND`` for each of ``CPRA_BANDS``; ``numerator`` transplants,
    ``denominator`` person-years.
    """
    whole = nearest_percent(column(record.candidates, "cpra"))
    codes = np.searchsorted(_CPRA_STARTS, whole, side="right")
    waited = column(record.fates, "exit") - column(record.fates, "entry")
    given = np.asarray(record.fates["fate"]) == "transplanted"
    years, count = (totals(each, codes, len(CPRA_BANDS)) for each in (waited, given))
    rows = []
    for band, n, time, low, high in zip(CPRA_BANDS, count, years, *garwood(count), strict=True):
        row = {"measure": f"access_by_cpra.{band}", "numerator": n, "denominator": time}
        if time > 0:
            row |= {"value": PER * n / time, "low": PER * low / time, "high": PER * high / time}
        else:
            row["note"] = "no person-years"
        rows.append(row)
    return tidy(rows)


@measure(
    formula="iqr: 75 % - 25 % quantile over centres of 100 * transplants / person-years on the "
    "list; sd: sqrt(max(0, sum((O - E)^2 - E) / sum(E^2))), O a centre's transplants, E its "
    "person-years x the rate of all centres",
    unit="per 100 person-years; ratio to the mean rate",
    direction="lower",
    discipline="transplant policy (SRTR), geography of access",
    protects="those listed where kidneys are few or declined often",
    cannot_see="which centres, and what their patients need (one with many of blood type O is "
    "slower for no fault of its own); iqr holds chance too, and more of it the smaller the "
    "centres; sd takes the Poisson part of it off",
    source="quartiles of centres' shares transplanted within 12 months of listing, another unit: "
    "26.5 and 46.5 %, SRTR program-specific reports (R2); moment estimate of the variance of "
    "Poisson means (M); every centre counts once in iqr, by size in sd (D)",
    by="never",
)
def centre_spread(record: Record) -> pd.DataFrame:
    """How far transplant rates differ between centres.

    Rows ``centre_spread.iqr`` and ``centre_spread.sd``, the standard deviation of centres' rates
    over the mean rate without what chance adds; ``denominator`` centres. First registrations.
    """
    centre = np.asarray(record.candidates["centre"], dtype=np.intp)
    n = int(centre.max(initial=-1)) + 1
    waited = column(record.fates, "exit") - column(record.fates, "entry")
    had = np.asarray(record.fates["fate"] == "transplanted")
    years, events = (totals(each, centre, n) for each in (waited, had))
    years, events = years[years > 0], events[years > 0]
    rows: list[dict[str, Any]] = [
        {"measure": f"centre_spread.{detail}", "denominator": years.size}
        for detail in ("iqr", "sd")
    ]
    if years.size < 2 or not events.any():
        note = "no transplants" if years.size > 1 else "fewer than two centres"
        return tidy({**row, "note": note} for row in rows)
    low, high = np.quantile(PER * events / years, [0.25, 0.75])
    expected = years * events.sum() / years.sum()
    excess = float(np.sum((events - expected) ** 2 - expected) / np.sum(expected**2))
    rows[0]["value"] = float(high - low)
    rows[1]["value"] = float(np.sqrt(max(0.0, excess)))
    return tidy(rows)
