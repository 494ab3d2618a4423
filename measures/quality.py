"""Quality of the years lived: on dialysis, with a working graft, and what losing one costs."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from measures.grafts import grafts
from measures.outcomes import years_lived
from measures.registry import measure
from measures.survival import clopper_pearson
from measures.table import Floats, column, groups, mean_rows, tidy, totals
from sim.record import Record

# Kaufmann et al., inputs of a microsimulation of older candidates (R); 1 is full health.
ON_DIALYSIS = 0.71
WITH_KIDNEY = 0.82  # also before dialysis, for which nothing was found (A)
GRAFT_LOSS = 0.20  # quality-adjusted years, taken off once at each failure (A: for how long)
DISCOUNT = 0.03  # per year


class Dialysis(NamedTuple):
    """One row per time on dialysis within the run: row of the candidate, and its two years."""

    person: NDArray[np.intp]
    start: Floats
    end: Floats


def dialysis(record: Record) -> Dialysis:
    """When each candidate is on dialysis, from entry to death or the end of the run.

    From the year dialysis starts to the first graft, and from the failure of a graft to the next.
    Removal from the list changes nothing (A): who recovers, or is transplanted elsewhere, is not
    told apart.
    """
    every = grafts(record)
    last = np.minimum(column(record.fates, "death"), record.years)
    n = last.size
    first = np.full(n, np.inf)
    np.minimum.at(first, every.person, every.start)
    begun = column(record.candidates, "dialysis_start")
    same = np.append(every.person[1:] == every.person[:-1], False)[: every.person.size]
    following = np.where(same, np.append(every.start[1:], np.inf)[: same.size], np.inf)
    who = every.person[every.failed]
    person = np.concatenate([np.arange(n), who])
    start = np.concatenate(
        [np.maximum(begun, column(record.fates, "entry")), every.end[every.failed]]
    )
    end = np.minimum(np.concatenate([first, following[every.failed]]), last[person])
    some = end > start
    return Dialysis(person[some], start[some], end[some])


def _worth(since: Floats, start: Floats, end: Floats, rate: float) -> Floats:
    """Years from ``start`` to ``end``, each worth (1 + rate)^-t, t years after ``since``."""
    if rate == 0:
        return end - start
    force = np.log1p(rate)
    return np.asarray((np.exp(-force * (start - since)) - np.exp(-force * (end - since))) / force)


def quality_years(record: Record, rate: float = 0.0) -> Floats:
    """Quality-adjusted years of each candidate from entry within the run, shape (n,).

    Parameters
    ----------
    record : Record
    rate : float
        Yearly discount, counted from each candidate's entry.
    """
    entry, lived = column(record.fates, "entry"), years_lived(record)
    spent, every = dialysis(record), grafts(record)
    worth = _worth(entry[spent.person], spent.start, spent.end, rate)
    lost = every.failed & (every.end < record.years)
    since = every.end[lost] - entry[every.person[lost]]
    loss = totals((1 + rate) ** -since, every.person[lost], entry.size)
    return (
        WITH_KIDNEY * _worth(entry, entry, entry + lived, rate)
        - (WITH_KIDNEY - ON_DIALYSIS) * totals(worth, spent.person, entry.size)
        - GRAFT_LOSS * loss
    )


@measure(
    formula=".82 * years lived with a working graft or before dialysis + .71 * years on dialysis "
    "- .20 * grafts lost, per candidate, from entry to death or the end of the run; discounted: "
    "each at 1.03^-(years since entry)",
    unit="quality-adjusted years per candidate",
    direction="higher",
    discipline="health economics",
    protects="everybody listed: those spared dialysis, not only those kept alive",
    cannot_see="life after the run, where most of what a kidney gives lies; quality that differs "
    "with age, illness, or time since transplant; what dialysis and grafts cost; failure of living "
    "donors' grafts; and a year of the old or frail is worth no less here, which other utilities "
    "would change",
    source="utilities .71 and .82, a disutility of .20 for losing a graft and 3 % a year: Kaufmann "
    "et al., microsimulation of older candidates (R, model inputs of 2022; a later version puts "
    "people of 65 or more at .34-.46 on dialysis and .46-.66 with a graft); that the .20 is taken "
    "off once (A); before dialysis .82 as with a graft, so that a transplant before dialysis "
    "neither gains nor loses quality by itself (A); after a failure, and after removal from the "
    "list, on dialysis (A)",
)
def quality_adjusted_life_years(record: Record, by: str | None = None) -> pd.DataFrame:
    """Mean quality-adjusted years by the end of the run, per candidate, from entry.

    Rows ``quality_adjusted_life_years`` and ``quality_adjusted_life_years.discounted``:
    ``numerator`` quality-adjusted years, ``denominator`` candidates.
    """
    names, codes = groups(record, by)
    people = totals(np.ones(codes.size), codes, len(names))
    rows: list[dict[str, Any]] = []
    for name, rate in (
        ("quality_adjusted_life_years", 0.0),
        ("quality_adjusted_life_years.discounted", DISCOUNT),
    ):
        years = totals(quality_years(record, rate), codes, len(names))
        rows += mean_rows(name, by, names, years, people)
    return tidy(rows)


@measure(
    formula="mean over candidates of years on dialysis between entry and death or the end of the "
    "run; a policy's minus the reference's are the years it adds, or avoids",
    unit="years per candidate",
    direction="none",
    discipline="health economics, transplant policy",
    protects="those kept alive by a machine while they wait, or again after a graft fails",
    cannot_see="that it falls when people on dialysis die sooner, so fewer years are a good only "
    "beside life_years; dialysis before entry and after the run; whether at home or in a centre",
    source="bookkeeping (D); after a graft fails, and after removal from the list, on dialysis (A)",
)
def dialysis_years(record: Record, by: str | None = None) -> pd.DataFrame:
    """Mean years lived on dialysis by the end of the run, per candidate, from entry.

    ``numerator`` years, ``denominator`` candidates.
    """
    names, codes = groups(record, by)
    spent = dialysis(record)
    years = totals(spent.end - spent.start, codes[spent.person], len(names))
    people = totals(np.ones(codes.size), codes, len(names))
    return tidy(mean_rows("dialysis_years", by, names, years, people))


@measure(
    formula="deceased-donor transplants before the recipient's dialysis starts / deceased-donor "
    "transplants, first ones in the run; exact binomial interval",
    unit="share of transplants",
    direction="none",
    discipline="transplant policy (OPTN, SRTR)",
    protects="those who could be spared dialysis; at the cost of those already on it",
    cannot_see="living donors' transplants, which are before dialysis more often; who was listed "
    "too late to be spared; transplants after a graft failed, all of them counted as on dialysis",
    source="9.8 % of recipients, United States 2005-10: Parker, NASEM 2021 (R)",
)
def preemptive_transplants(record: Record, by: str | None = None) -> pd.DataFrame:
    """Share of deceased donors' kidneys given to people who have not started dialysis."""
    names, codes = groups(record, by)
    received = np.asarray(record.fates["fate"] == "transplanted")
    begun = column(record.candidates, "dialysis_start")
    early = received & (begun >= column(record.fates, "exit"))
    count, whole = (totals(who, codes, len(names)) for who in (early, received))
    rows = mean_rows("preemptive_transplants", by, names, count, whole)
    for row, low, high in zip(rows, *clopper_pearson(count, whole), strict=True):
        row |= {"low": low, "high": high} if row["denominator"] else {"note": "no transplants"}
    return tidy(rows)
