"""What became of people and kidneys: life-years, deaths, fates, non-use."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from measures.rates import PER, Z, garwood
from measures.registry import measure
from measures.table import Floats, column, groups, mean_rows, tidy, totals
from sim.record import FATES, Record

KDPI_BANDS: tuple[str, ...] = ("0-20", "21-34", "35-85", "86-100")
_KDPI_TOPS = np.array([20.0, 34.0, 85.0])  # each band includes its upper end
HORIZONS: tuple[float, ...] = (1.0, 3.0, 5.0)  # years after listing, or after transplant
_ROUNDING = 1e-9  # listed at 2 in a run of 5 years is followed for 3


def kdpi_band(kdpi: Floats) -> NDArray[np.intp]:
    """Index of each KDPI (percent) in ``KDPI_BANDS``, shape (n,)."""
    return np.searchsorted(_KDPI_TOPS, kdpi, side="left")


def bands_of_kidneys(record: Record, kidneys: NDArray[Any]) -> NDArray[np.intp]:
    """Index in ``KDPI_BANDS`` of each kidney, by number, shape (n,)."""
    kdpi = record.decisions.set_index("kidney")["kdpi"].reindex(kidneys)
    return kdpi_band(np.asarray(kdpi, dtype=np.float64))


def years_lived(record: Record) -> Floats:
    """Years each candidate lives from entry to death or the end of the run, shape (n,)."""
    death = np.minimum(column(record.fates, "death"), record.years)
    return np.clip(death - column(record.fates, "entry"), 0.0, None)


@measure(
    formula="mean over candidates of min(death, horizon) - entry",
    unit="years per candidate",
    direction="higher",
    discipline="health economics",
    protects="everybody listed, transplanted or not",
    cannot_see="life beyond the horizon; quality of life; how the years are shared out",
    source="restricted mean survival time, counted from entry for all candidates so that "
    "nobody is immortal until their transplant (M)",
)
def life_years(record: Record, by: str | None = None) -> pd.DataFrame:
    """Mean years lived by the end of the run, per candidate, from entry.

    ``numerator`` total life-years, ``denominator`` candidates.
    """
    names, codes = groups(record, by)
    lived = totals(years_lived(record), codes, len(names))
    people = totals(np.ones(codes.size), codes, len(names))
    return tidy(mean_rows("life_years", by, names, lived, people))


def restricted_years(record: Record, horizon: float) -> Floats:
    """Years each candidate lives within ``horizon`` years of being listed, shape (n,).

    NaN for those on the list when the run began, who are the survivors of their year of listing,
    and for those listed less than ``horizon`` years before its end, whose fate is not settled.
    """
    listed = column(record.candidates, "listed")
    lived = np.minimum(column(record.fates, "death") - listed, horizon)
    followed = (listed >= 0) & (listed + horizon <= record.years + _ROUNDING)
    return np.where(followed, lived, np.nan)


@measure(
    formula="mean over candidates of min(death - listed, t), t = 1, 3, 5 years; interval "
    "mean +- 1.96 sd / sqrt(n)",
    unit="years per candidate",
    direction="higher",
    discipline="health economics, biostatistics",
    protects="everybody listed, transplanted or not",
    cannot_see="life after t years, where most of what a kidney gives lies; quality of life; those "
    "on the list when the run began, and those listed less than t years before its end",
    source="restricted mean survival time (M): with every death known no censoring is left, so the "
    "mean is the area under the survival curve (D, checked against scikit-survival)",
)
def restricted_life_years(record: Record, by: str | None = None) -> pd.DataFrame:
    """Mean years lived within 1, 3 and 5 years of listing, per candidate.

    ``measure`` is ``restricted_life_years.<t>y``; ``numerator`` years, ``denominator`` candidates.
    All candidates listed in the run, and early enough to be followed for t years, count from their
    listing on, so nobody is immortal until their transplant. The record knows when each dies,
    after whatever happened: nobody is censored.
    """
    names, codes = groups(record, by)
    rows: list[dict[str, Any]] = []
    for horizon in HORIZONS:
        lived = restricted_years(record, horizon)
        seen = ~np.isnan(lived)
        lived, of_group = lived[seen], codes[seen]
        people = totals(np.ones(lived.size), of_group, len(names))
        years = totals(lived, of_group, len(names))
        # Deviations from the group's own mean: its square summed would lose digits.
        mean = np.divide(years, people, out=np.zeros_like(years), where=people > 0)
        squares = totals((lived - mean[of_group]) ** 2, of_group, len(names))
        found = mean_rows(f"restricted_life_years.{horizon:g}y", by, names, years, people)
        for row, n, spread in zip(found, people, squares, strict=True):
            if n == 0:
                row["note"] = f"nobody listed in the run and followed for {horizon:g} years"
            elif n > 1:
                half = Z * np.sqrt(spread / (n - 1) / n)
                row |= {"low": row["value"] - half, "high": row["value"] + half}
        rows.extend(found)
    return tidy(rows)


@measure(
    formula="100 * deaths waiting or after removal as too sick / person-years until transplant, "
    "other removal, death or the end of the run; exact Poisson interval",
    unit="per 100 person-years",
    direction="lower",
    discipline="transplant policy (SRTR)",
    protects="those who die waiting, and those taken off the list because they are dying",
    cannot_see="deaths after a transplant, also of those back on the list after it failed, or "
    "after removal for other reasons; which deaths another choice would have prevented; removal as "
    "too sick is no event here, only the death after it",
    source="SRTR program-specific reports print pre-transplant mortality (R, headings); that "
    "follow-up goes on after removal, until transplant, recovery or transfer (M); interval Garwood "
    "1936 (M), checked against statsmodels (D)",
)
def pre_transplant_mortality(record: Record, by: str | None = None) -> pd.DataFrame:
    """Deaths before any transplant, on the list or removed from it as too sick, per 100 years.

    ``numerator`` deaths, ``denominator`` person-years, from entry. A living donor's transplant ends
    follow-up as a deceased donor's does.
    """
    names, codes = groups(record, by)
    fate = np.asarray(record.fates["fate"])
    entry, exit_ = column(record.fates, "entry"), column(record.fates, "exit")
    death = np.minimum(column(record.fates, "death"), record.years)
    end = np.where(fate == "too_sick", death, exit_)
    died = (fate == "died") | ((fate == "too_sick") & (death < record.years))
    deaths = totals(died, codes, len(names))
    years = totals(end - entry, codes, len(names))
    low, high = garwood(deaths)
    rows = mean_rows("pre_transplant_mortality", by, names, deaths, years)
    for i, row in enumerate(rows):
        if years[i] > 0:
            scale = PER / years[i]
            row |= {"value": deaths[i] * scale, "low": low[i] * scale, "high": high[i] * scale}
        else:
            row["note"] = "no person-years"
    return tidy(rows)


@measure(
    formula="sum of min(death, horizon) - min(death without a deceased-donor kidney, horizon); "
    "the same / deceased-donor transplants, those after a failed graft included",
    unit="years (total; years per transplant)",
    direction="higher",
    discipline="health economics",
    protects="those who stand to gain most from a kidney",
    cannot_see="gains beyond the horizon, so late transplants look worse than they are; quality "
    "of life; who would have gained more; what an unused kidney would have given. The gain of one "
    "person is not to be read: the two lifetimes are drawn independently (A), only sums are",
    source="difference of each candidate's two potential lifetimes, both fixed before any decision "
    "(D), after the life years from transplant of Wolfe et al. 2008 (R2)",
)
def life_years_gained(record: Record, by: str | None = None) -> pd.DataFrame:
    """Life-years gained by deceased-donor transplants by the end of the run.

    ``life_years_gained.total`` sums over the group; ``life_years_gained.per_transplant`` divides
    by its transplants, second ones of people back on the list included.
    """
    names, codes = groups(record, by)
    with_kidney = np.minimum(column(record.fates, "death"), record.years)
    without = np.minimum(column(record.fates, "untreated_death"), record.years)
    gained = totals(with_kidney - without, codes, len(names))
    again = np.asarray(record.returns["fate"] == "transplanted")
    back = np.asarray(record.returns["candidate"], dtype=np.intp)[again]
    transplants = totals(_had(record, "transplanted"), codes, len(names))
    transplants += totals(np.ones(back.size), codes[back], len(names))
    total = [
        {"measure": "life_years_gained.total", "grouping": by or "all", "group": g, "value": v}
        for g, v in zip(names, gained, strict=True)
    ]
    each = mean_rows("life_years_gained.per_transplant", by, names, gained, transplants)
    for row in each:
        row["note"] = "" if row["denominator"] else "no transplants"
    return tidy([*total, *each])


def _had(record: Record, fate: str) -> Floats:
    return np.asarray(record.fates["fate"] == fate, dtype=np.float64)


def _count_rows(name: str, record: Record, by: str | None, fate: str) -> list[dict[str, Any]]:
    names, codes = groups(record, by)
    counts = totals(_had(record, fate), codes, len(names))
    people = totals(np.ones(codes.size), codes, len(names))
    return [
        {
            "measure": name,
            "grouping": by or "all",
            "group": group,
            "value": count,
            "numerator": count,
            "denominator": whole,
        }
        for group, count, whole in zip(names, counts, people, strict=True)
    ]


@measure(
    formula="number of candidates transplanted with a deceased donor's kidney",
    unit="candidates",
    direction="none",
    discipline="transplant policy (OPTN)",
    protects="whoever a kidney that nobody took would have saved",
    cannot_see="who: policies differ in it only by how many kidneys are declined too often (a few "
    "per cent) and by those that go to people whose first graft of the run has failed",
    source="bookkeeping (D)",
)
def transplant_count(record: Record, by: str | None = None) -> pd.DataFrame:
    """Candidates transplanted by the end of the run (``denominator``: all candidates)."""
    return tidy(_count_rows("transplant_count", record, by, "transplanted"))


@measure(
    formula="number of candidates whose first registration has each other fate at the end of the "
    "run",
    unit="candidates",
    direction="none",
    discipline="transplant policy (OPTN)",
    protects="nobody by itself: the accounts from which the rest follows",
    cannot_see="when it happened, and for how long people had waited; those back on the list after "
    "a graft failed, whose fate here is transplanted",
    source="bookkeeping (D)",
)
def fate_counts(record: Record, by: str | None = None) -> pd.DataFrame:
    """Candidates per fate but transplant; ``fate_counts.waiting`` still wait for the first time.

    With ``transplant_count`` they add up to ``denominator``, all candidates.
    """
    fates = [fate for fate in FATES if fate != "transplanted"]
    return tidy(
        row for fate in fates for row in _count_rows(f"fate_counts.{fate}", record, by, fate)
    )


@measure(
    formula="kidneys not transplanted / kidneys recovered, overall and by KDPI",
    unit="share of kidneys",
    direction="lower",
    discipline="transplant policy (OPTN)",
    protects="those whom an unused kidney would have served",
    cannot_see="whether the kidney should have been used; how long it was offered",
    source="OPTN monitoring reports: recovered and not transplanted / recovered (R); bands of "
    "KDPI 0-20, 21-34, 35-85, 86-100 of the OPTN kidney policy (M)",
    by="never",
)
def non_use(record: Record) -> pd.DataFrame:
    """Share of kidneys not transplanted, overall and by KDPI band."""
    unused = (np.asarray(record.decisions["outcome"]) != "transplanted").astype(np.float64)
    band = kdpi_band(column(record.decisions, "kdpi"))
    n = len(KDPI_BANDS)
    whole, parts = totals(np.ones(band.size), band, n), totals(unused, band, n)
    rows = [
        *mean_rows("non_use", None, ("all",), parts.sum(keepdims=True), whole.sum(keepdims=True)),
        *mean_rows("non_use", "kdpi_band", KDPI_BANDS, parts, whole),
    ]
    for row in rows:
        row["note"] = "" if row["denominator"] else "no kidneys"
    return tidy(rows)
