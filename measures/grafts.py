"""Grafts: how long they work, how often they fail, and who comes back to the list after."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from measures.outcomes import HORIZONS, KDPI_BANDS, bands_of_kidneys
from measures.rates import PER, garwood
from measures.registry import measure
from measures.survival import aalen_johansen, clopper_pearson, interval
from measures.table import Floats, column, groups, mean_rows, tidy, totals
from sim.record import Record

Rows = NDArray[np.intp]
Mask = NDArray[np.bool_]
GRAFTED = ("transplanted", "living_donor")
_NO_TRANSPLANTS = "no transplants"


class Grafts(NamedTuple):
    """One row per kidney transplanted, by recipient and then by time.

    Parameters
    ----------
    person : ndarray of int, shape (n,)
        Row of the recipient in the record.
    start, end : ndarray, shape (n,)
        Years in which it starts and stops working; by failure, or by death with it.
    failed : ndarray of bool, shape (n,)
        Whether it stops by failure. A living donor's graft never does: its failure is not modelled.
    kidney : ndarray of int, shape (n,)
        -1 for a living donor's.
    deceased : ndarray of bool, shape (n,)
        Whether the donor was deceased.
    again : ndarray of bool, shape (n,)
        Whether the recipient was back on the list after an earlier graft had failed in the run.
    """

    person: Rows
    start: Floats
    end: Floats
    failed: Mask
    kidney: NDArray[np.int64]
    deceased: Mask
    again: Mask


def grafts(record: Record) -> Grafts:
    """Every graft of the run, of first registrations and of returns to the list."""
    tables = (record.fates.assign(candidate=np.arange(len(record.fates))), record.returns)
    parts = [table[table["fate"].isin(GRAFTED)] for table in tables]
    person = np.concatenate([np.asarray(part["candidate"], dtype=np.intp) for part in parts])
    start, failure = (
        np.concatenate([column(part, name) for part in parts]) for name in ("exit", "graft_failure")
    )
    deceased = np.concatenate([np.asarray(part["fate"] == "transplanted") for part in parts])
    kidney = np.concatenate([np.asarray(part["kidney"], dtype=np.int64) for part in parts])
    again = np.repeat([False, True], [len(part) for part in parts])
    death = column(record.fates, "death")[person]
    end = np.fmin(failure, death)  # a failure that is not recorded never comes
    order = np.lexsort([start, person])
    columns = (person, start, end, failure < death, kidney, deceased, again)
    return Grafts(*(values[order] for values in columns))


@measure(
    formula="all_cause: share of grafts working t years after transplant, exact binomial interval; "
    "death_censored: Kaplan-Meier of failure, deaths censored, log-log interval; t = 1, 3, 5",
    unit="probability",
    direction="higher",
    discipline="transplant policy (SRTR)",
    protects="recipients; those given a kidney that will not last",
    cannot_see="everybody not transplanted; living donors' grafts; that death_censored answers "
    "what would be if nobody died with a working graft, and takes those who died for as likely to "
    "have lost it as the others, so a policy that chooses the frail is flattered by it: read "
    "all_cause",
    source="OPTN/SRTR annual data reports print all-cause graft survival after 1, 3 and 5 years "
    "(R2), and death-censored graft failure (M); with every failure and death known the all-cause "
    "share is the Kaplan-Meier estimate (D); checked against statsmodels and scikit-survival (D)",
)
def graft_survival(record: Record, by: str | None = None) -> pd.DataFrame:
    """Share of deceased donors' grafts working after 1, 3 and 5 years; overall also by KDPI band.

    ``measure`` is ``graft_survival.all_cause.<t>y`` (lost by failure or by death; ``numerator``
    working of ``denominator``) and ``graft_survival.death_censored.<t>y`` (lost by failure;
    ``denominator`` at risk then). All grafts count, those of people back on the list included and
    however late in the run: the record knows when each ends. Groups are of the recipients.
    """
    every = grafts(record)
    mine = every.deceased
    lasted, failed = (every.end - every.start)[mine], every.failed[mine]
    names, codes = groups(record, by)
    tables = [(by, names, codes[every.person[mine]])]
    if by is None:
        tables.append(("kdpi_band", KDPI_BANDS, bands_of_kidneys(record, every.kidney[mine])))
    rows: list[dict[str, Any]] = []
    for grouping, levels, of in tables:
        rows += _all_cause(grouping, levels, of, lasted)
        for i, group in enumerate(levels):
            key = {"grouping": grouping or "all", "group": group}
            rows += _death_censored(key, lasted[of == i], failed[of == i])
    return tidy(rows)


def _all_cause(
    grouping: str | None, levels: tuple[str, ...], of: Rows, lasted: Floats
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    whole = totals(np.ones(of.size), of, len(levels))
    for years in HORIZONS:
        working = totals(lasted > years, of, len(levels))
        name = f"graft_survival.all_cause.{years:g}y"
        found = mean_rows(name, grouping, levels, working, whole)
        for row, low, high in zip(found, *clopper_pearson(working, whole), strict=True):
            row |= {"low": low, "high": high} if row["denominator"] else {"note": _NO_TRANSPLANTS}
        rows += found
    return rows


def _death_censored(key: dict[str, str], lasted: Floats, failed: Mask) -> list[dict[str, Any]]:
    zero = np.zeros_like(lasted)
    curve = aalen_johansen(zero, lasted, failed.astype(np.intp), 1, HORIZONS)
    low, high = interval(curve.survival, curve.variance[:, 0])
    rows: list[dict[str, Any]] = []
    for i, years in enumerate(HORIZONS):
        row: dict[str, Any] = {"measure": f"graft_survival.death_censored.{years:g}y", **key}
        if not lasted.size:
            row["note"] = _NO_TRANSPLANTS
        elif curve.at_risk[i] == 0 and curve.survival[i] > 0:
            row["note"] = f"nobody followed for {years:g} years"
        else:
            row |= {"value": curve.survival[i], "denominator": curve.at_risk[i]}
            if curve.survival[i] < 1:
                row |= {"low": low[i], "high": high[i]}
            else:
                row["note"] = "no failures by then"
        rows.append(row)
    return rows


@measure(
    formula="100 * failures before death, and 100 * returns to the list, / years lived with a "
    "working deceased donor's graft in the run; exact Poisson interval",
    unit="per 100 graft-years",
    direction="lower",
    discipline="transplant policy (SRTR), epidemiology",
    protects="recipients who face dialysis, and the list, a second time",
    cannot_see="grafts of before the run and of living donors; that the rate falls as grafts grow "
    "older, so that it depends on the length of the run; that few returns are no success where "
    "people die before they can come back",
    source="events over years at risk (D); interval Garwood 1936 (M), checked against statsmodels "
    "(D)",
)
def graft_failure_rate(record: Record, by: str | None = None) -> pd.DataFrame:
    """Grafts that fail in the run, and recipients back on the list, per 100 graft-years.

    Rows ``graft_failure_rate`` and ``graft_failure_rate.returns``: ``numerator`` events,
    ``denominator`` graft-years.
    """
    names, codes = groups(record, by)
    every = grafts(record)
    mine = every.deceased
    of = codes[every.person[mine]]
    start, end = every.start[mine], every.end[mine]
    years = totals(np.clip(np.minimum(end, record.years) - start, 0.0, None), of, len(names))
    failures = totals(every.failed[mine] & (end < record.years), of, len(names))
    back = codes[np.asarray(record.returns["candidate"], dtype=np.intp)]
    returns = totals(np.ones(back.size), back, len(names))
    rows: list[dict[str, Any]] = []
    for name, events in (
        ("graft_failure_rate", failures),
        ("graft_failure_rate.returns", returns),
    ):
        found = mean_rows(name, by, names, events, years)
        for row, low, high in zip(found, *garwood(events), strict=True):
            if row["denominator"]:
                scale = PER / row["denominator"]
                row |= {"value": row["value"] * PER, "low": low * scale, "high": high * scale}
            else:
                row["note"] = "no graft-years"
        rows += found
    return tidy(rows)


@measure(
    formula="returned: deceased-donor transplants of people back on the list after a graft failed "
    "in the run / deceased-donor transplants; prior: those, or of people with an earlier "
    "transplant when first listed, / the same; exact binomial interval",
    unit="share of transplants",
    direction="none",
    discipline="transplant policy (OPTN, SRTR)",
    protects="those waiting for a first kidney if it is low, those who lost one if it is high",
    cannot_see="whether a second kidney would have done more for somebody without a first; "
    "returned starts at 0, since grafts of before the run count in prior only",
    source="14 % of recipients had had a transplant before, United States 2005-10: Parker, NASEM "
    "2021 (R)",
)
def retransplants(record: Record, by: str | None = None) -> pd.DataFrame:
    """Share of deceased donors' kidneys that go to people who have had a transplant before.

    Rows ``retransplants.returned`` and ``retransplants.prior``; groups are of the recipients.
    """
    names, codes = groups(record, by)
    every = grafts(record)
    mine = every.deceased
    of = codes[every.person[mine]]
    earlier = np.asarray(record.candidates["prior_transplant"] == "yes")[every.person[mine]]
    whole = totals(np.ones(of.size), of, len(names))
    rows: list[dict[str, Any]] = []
    for name, which in (
        ("retransplants.returned", every.again[mine]),
        ("retransplants.prior", every.again[mine] | earlier),
    ):
        count = totals(which, of, len(names))
        found = mean_rows(name, by, names, count, whole)
        for row, low, high in zip(found, *clopper_pearson(count, whole), strict=True):
            row |= {"low": low, "high": high} if row["denominator"] else {"note": _NO_TRANSPLANTS}
        rows += found
    return tidy(rows)
