"""What became of people and kidneys: life-years, fates, non-use."""

from typing import Any

import numpy as np
import pandas as pd

from measures.registry import measure
from measures.table import Floats, column, groups, mean_rows, tidy, totals
from sim.record import FATES, Record

KDPI_BANDS: tuple[str, ...] = ("0-20", "21-34", "35-85", "86-100")
_KDPI_TOPS = np.array([20.0, 34.0, 85.0])  # each band includes its upper end


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


@measure(
    formula="sum of min(death, horizon) - min(death without a deceased-donor kidney, horizon)",
    unit="years (total; years per transplant)",
    direction="higher",
    discipline="health economics",
    protects="those who stand to gain most from a kidney",
    cannot_see="gains beyond the horizon, so late transplants look worse than they are; quality "
    "of life; who would have gained more",
    source="difference of each candidate's two potential lifetimes (D), after the life years from "
    "transplant of Wolfe et al. 2008 (R2)",
)
def life_years_gained(record: Record, by: str | None = None) -> pd.DataFrame:
    """Life-years gained by deceased-donor transplants by the end of the run.

    ``life_years_gained.total`` sums over the group; ``life_years_gained.per_transplant`` divides
    by its transplants.
    """
    names, codes = groups(record, by)
    with_kidney = np.minimum(column(record.fates, "death"), record.years)
    without = np.minimum(column(record.fates, "untreated_death"), record.years)
    gained = totals(with_kidney - without, codes, len(names))
    transplants = totals(_had(record, "transplanted"), codes, len(names))
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
    protects="nobody: printed so that an equal count is not mistaken for a policy without effect",
    cannot_see="anything a policy does: while the list is never empty the supply of kidneys fixes "
    "the count; only its split over groups is the policy's",
    source="bookkeeping (D)",
    policy_invariant=True,
)
def transplant_count(record: Record, by: str | None = None) -> pd.DataFrame:
    """Candidates transplanted by the end of the run (``denominator``: all candidates)."""
    return tidy(_count_rows("transplant_count", record, by, "transplanted"))


@measure(
    formula="number of candidates with each other fate at the end of the run",
    unit="candidates",
    direction="none",
    discipline="transplant policy (OPTN)",
    protects="nobody by itself: the accounts from which the rest follows",
    cannot_see="when it happened, and for how long people had waited",
    source="bookkeeping (D)",
)
def fate_counts(record: Record, by: str | None = None) -> pd.DataFrame:
    """Candidates per fate but transplant; ``fate_counts.waiting`` is the list at the end.

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
    band = np.searchsorted(_KDPI_TOPS, column(record.decisions, "kdpi"), side="left")
    n = len(KDPI_BANDS)
    whole, parts = totals(np.ones(band.size), band, n), totals(unused, band, n)
    rows = [
        *mean_rows("non_use", None, ("all",), parts.sum(keepdims=True), whole.sum(keepdims=True)),
        *mean_rows("non_use", "kdpi_band", KDPI_BANDS, parts, whole),
    ]
    for row in rows:
        row["note"] = "" if row["denominator"] else "no kidneys"
    return tidy(rows)
