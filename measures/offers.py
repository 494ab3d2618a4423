"""Offers and what becomes of kidneys on the way: how many, how long, how far, how well matched."""

from typing import Any

import numpy as np
import pandas as pd

from measures.rates import PER
from measures.registry import measure
from measures.table import Floats, column, groups, mean_rows, tidy, totals
from sim.record import Record

LEVELS: tuple[str, ...] = ("local", "regional", "national")
_NO_TRANSPLANTS = "no transplants"


def _given(record: Record) -> pd.DataFrame:
    """Decisions that ended in a transplant, those to people back on the list included."""
    return record.decisions[record.decisions["outcome"] == "transplanted"]


def _quantile(key: dict[str, str], values: Floats, share: float, empty: str) -> dict[str, Any]:
    """A row with a quantile of the values, and how many there are."""
    row: dict[str, Any] = {**key, "denominator": values.size}
    if values.size:
        return row | {"value": float(np.quantile(values, share, method="inverted_cdf"))}
    return row | {"note": empty}


@measure(
    formula="mean, median and 95 % quantile over transplanted kidneys of the offers made, the "
    "accepted one included",
    unit="offers per kidney",
    direction="lower",
    discipline="transplant policy (OPTN offer acceptance)",
    protects="those whom a kidney would serve better the sooner it is placed",
    cannot_see="kidneys never taken, which were offered most often; whether those asked first "
    "should have taken it",
    source="median of 7 offers before acceptance, United States 2007-12: Huml et al. 2017 (R)",
    by="never",
)
def offers_per_kidney(record: Record) -> pd.DataFrame:
    """How often a kidney that was transplanted had been offered until it was taken.

    Rows ``offers_per_kidney.mean``, ``.p50`` and ``.p95``; ``denominator`` transplanted kidneys.
    """
    made = column(_given(record), "offers")
    total = np.array([made.sum()]), np.array([float(made.size)])
    rows = mean_rows("offers_per_kidney.mean", None, ("all",), *total)
    rows[0]["note"] = "" if made.size else _NO_TRANSPLANTS
    for share in (0.5, 0.95):
        key = {"measure": f"offers_per_kidney.p{100 * share:g}"}
        rows.append(_quantile(key, made, share, _NO_TRANSPLANTS))
    return tidy(rows)


def offers_received(record: Record) -> Floats:
    """Offers made to each candidate while first on the list, shape (n,)."""
    who = np.asarray(record.offers["candidate"], dtype=np.intp)
    first = np.ones(who.size, dtype=bool)
    back = np.zeros(len(record.fates), dtype=bool)
    back[np.asarray(record.returns["candidate"], dtype=np.intp)] = True
    again = np.flatnonzero(back[who])  # only these can have been asked after their first exit
    times = pd.Series(column(record.decisions, "time"), index=record.decisions["kidney"])
    asked = np.asarray(times.reindex(record.offers["kidney"].iloc[again]), dtype=np.float64)
    first[again] = asked <= column(record.fates, "exit")[who[again]]
    return totals(first, who, back.size)


@measure(
    formula="rate: 100 * offers / person-years on the list; recipients: median offers until "
    "transplanted, the accepted one included; died: median offers to those who died on the list",
    unit="offers per 100 person-years; offers",
    direction="none",
    discipline="transplant policy (OPTN offer acceptance)",
    protects="those asked late or never; those who die although a kidney was there for them",
    cannot_see="whether the kidneys were worth having; that a group asked more often may be one "
    "whose centres decline more; offers to people back on the list",
    source="medians of 17 offers to recipients and 16 to those who died, United States 2008-15: "
    "Husain et al. 2019 (R)",
)
def offers_to_candidates(record: Record, by: str | None = None) -> pd.DataFrame:
    """How often candidates were offered a kidney while first on the list.

    Rows ``offers_to_candidates.rate`` (``numerator`` offers, ``denominator`` person-years),
    ``.recipients`` and ``.died`` (medians; ``denominator`` people).
    """
    names, codes = groups(record, by)
    received = offers_received(record)
    waited = column(record.fates, "exit") - column(record.fates, "entry")
    offers, years = (totals(values, codes, len(names)) for values in (received, waited))
    rows = mean_rows("offers_to_candidates.rate", by, names, offers, years)
    for row in rows:
        row["value"] *= PER
        row["note"] = "" if row["denominator"] else "no person-years"
    for detail, fate, empty in (
        ("recipients", "transplanted", _NO_TRANSPLANTS),
        ("died", "died", "no deaths on the list"),
    ):
        those = np.asarray(record.fates["fate"] == fate)
        for i, group in enumerate(names):
            key = {"measure": f"offers_to_candidates.{detail}", "grouping": by or "all"}
            key["group"] = group
            rows.append(_quantile(key, received[those & (codes == i)], 0.5, empty))
    return tidy(rows)


@measure(
    formula="offers declined / offers made",
    unit="share of offers",
    direction="none",
    discipline="transplant policy (OPTN offer acceptance)",
    protects="those whose centre says no for them",
    cannot_see="who declined, centre or candidate; whether a better kidney came, or none; that "
    "kidneys nobody wants are declined most and make up most offers",
    source="bookkeeping (D); 84 % of kidneys were declined for one candidate or more, United "
    "States 2008-15: Husain et al. 2019 (R)",
)
def decline_rate(record: Record, by: str | None = None) -> pd.DataFrame:
    """Share of offers that were declined; groups are of those asked."""
    names, codes = groups(record, by)
    of = codes[np.asarray(record.offers["candidate"], dtype=np.intp)]
    declined = ~np.asarray(record.offers["accepted"], dtype=bool)
    count, whole = totals(declined, of, len(names)), totals(np.ones(of.size), of, len(names))
    rows = mean_rows("decline_rate", by, names, count, whole)
    for row in rows:
        row["note"] = "" if row["denominator"] else "no offers"
    return tidy(rows)


@measure(
    formula="mean and median over transplanted kidneys of the hours without blood supply",
    unit="hours",
    direction="lower",
    discipline="transplant policy (OPTN)",
    protects="recipients: the longer it is cold, the worse a kidney works",
    cannot_see="kidneys never used; that a long way can lead to the right person",
    source="median 16 hours (quartiles 11 and 22), United States 2005-10: Parker, NASEM 2021 (R)",
)
def cold_time(record: Record, by: str | None = None) -> pd.DataFrame:
    """Cold ischaemia time of transplanted kidneys; groups are of the recipients.

    Rows ``cold_time.mean`` and ``cold_time.p50``; ``denominator`` transplanted kidneys.
    """
    names, codes = groups(record, by)
    given = _given(record)
    hours = column(given, "cold_hours")
    of = codes[np.asarray(given["candidate"], dtype=np.intp)]
    whole = totals(np.ones(of.size), of, len(names))
    rows = mean_rows("cold_time.mean", by, names, totals(hours, of, len(names)), whole)
    for row in rows:
        row["note"] = "" if row["denominator"] else _NO_TRANSPLANTS
    for i, group in enumerate(names):
        key = {"measure": "cold_time.p50", "grouping": by or "all", "group": group}
        rows.append(_quantile(key, hours[of == i], 0.5, _NO_TRANSPLANTS))
    return tidy(rows)


@measure(
    formula="transplanted kidneys whose recipient's centre is in the donor's area (local), "
    "elsewhere in its region (regional), or outside it (national) / transplanted kidneys; median "
    "distance between hospital and centre",
    unit="share of kidneys; nautical miles",
    direction="none",
    discipline="transplant policy (OPTN)",
    protects="candidates of areas with few donors, or donors' own areas: sharing serves the one "
    "at the other's cost",
    cannot_see="whether the way was worth it; areas and distances are drawn, not any country's map",
    source="bookkeeping (D)",
    by="never",
)
def placement(record: Record) -> pd.DataFrame:
    """How far kidneys travel.

    Rows ``placement.local``, ``.regional``, ``.national`` and ``placement.distance`` (median).
    """
    given = _given(record)
    whole = np.array([float(len(given))])
    rows: list[dict[str, Any]] = []
    for level in LEVELS:
        count = np.array([float((given["level"] == level).sum())])
        rows += mean_rows(f"placement.{level}", None, ("all",), count, whole)
        rows[-1]["note"] = "" if len(given) else _NO_TRANSPLANTS
    miles = column(given, "distance_nm")
    rows.append(_quantile({"measure": "placement.distance"}, miles, 0.5, _NO_TRANSPLANTS))
    return tidy(rows)


@measure(
    formula="mean over transplants of the donor's antigens at A, B and DR that the recipient "
    "lacks; share of transplants with none",
    unit="antigens, 0 to 6; share of transplants",
    direction="none",
    discipline="transplant policy (Eurotransplant, UK, OPTN)",
    protects="recipients: mismatched grafts fail sooner, and sensitise against the next",
    cannot_see="which antigens, of which those at DR weigh most; that matching favours people "
    "whose antigens are common among donors, which differs by descent",
    source="mismatches at A, B and DR, as in Eurotransplant's points (R)",
)
def hla_mismatches(record: Record, by: str | None = None) -> pd.DataFrame:
    """HLA mismatches of transplants; groups are of the recipients.

    Rows ``hla_mismatches.mean`` and ``hla_mismatches.none``; ``denominator`` transplants.
    """
    names, codes = groups(record, by)
    given = _given(record)
    counted = column(given, "mismatches")
    of = codes[np.asarray(given["candidate"], dtype=np.intp)]
    whole = totals(np.ones(of.size), of, len(names))
    rows: list[dict[str, Any]] = []
    for detail, values in (("mean", counted), ("none", counted == 0)):
        sums = totals(values, of, len(names))
        rows += mean_rows(f"hla_mismatches.{detail}", by, names, sums, whole)
    for row in rows:
        row["note"] = "" if row["denominator"] else _NO_TRANSPLANTS
    return tidy(rows)
