"""The alignment report for the terminal: measures in rows, the reference and the judges beside."""

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from experiments.align import Report
from experiments.align_files import PEOPLE
from experiments.judging import YEARS

# Sections; of each row the label, the measure, and whether the reference has it as well.
_SECTIONS: tuple[tuple[str, tuple[tuple[str, str, bool], ...]], ...] = (
    (
        "Against {reference}",
        (
            ("most likely answers agree", "compare_judges.agreement", False),
            ("  where it is decided", "compare_judges.agreement_decided", False),
            ("  where it has a majority (> 1/2)", "compare_judges.agreement_majority", False),
            ("one answer drawn from each agrees", "compare_judges.sampled_agreement", False),
            ("  from two of its people", "compare_judges.reference_sampled_agreement", True),
            ("total variation", "compare_judges.total_variation", False),
            ("log-loss (nats)", "compare_judges.log_loss", True),
            ("  floor: its own answers", "compare_judges.log_loss_floor", True),
            ("  ceiling: its rates of answers alone", "compare_judges.log_loss_ceiling", True),
            ("  every answer alike", "compare_judges.log_loss_uniform", True),
        ),
    ),
    (
        "Indecision",
        (
            ("mean P(coin)", "compare_judges.indecision", True),
            ("  difference from {reference}", "compare_judges.indecision_gap", False),
            ("calibration error of P(coin) (ECE)", "indecision_calibration.ece", False),
            ("slope of P(coin) over utility gap", "indecision_calibration.slope", True),
        ),
    ),
    (
        "Orders swapped",
        (
            ("same answer", "swap_consistency.consistency", True),
            ("  of decisive answers: same patient", "swap_consistency.decisive_consistency", True),
            ("first shown both times", "swap_consistency.first_twice", True),
            ("second shown both times", "swap_consistency.second_twice", True),
            ("coin both times", "swap_consistency.coin_twice", True),
            ("P(first shown) - P(second shown)", "swap_consistency.position_bias", True),
        ),
    ),
    (
        "Asked again",
        (
            ("two answers drawn agree", "repetition_stability.agreement", True),
            ("share of the most frequent answer", "repetition_stability.modal_share", True),
        ),
    ),
    (
        "Coherence",
        (
            ("dominated patient chosen", "dominance_violations.violations", True),
            ("P(coin) where one dominates", "dominance_violations.coin", True),
            ("cycles among profiles", "cycles.strict", True),
            ("  by probability", "cycles.soft", True),
        ),
    ),
    (
        "No choice",
        (
            ("answers that are none", "no_choice.answers", True),
            ("pairs left out for it", "no_choice.pairs", True),
        ),
    ),
)
_KNOWN = {
    "another_person": "another person agrees",
    "asked_again_easy": "the same person asked again agrees, easy pairs",
    "asked_again_hard": "hard pairs",
    "dominated_chosen": "a dominated patient is chosen",
    "dominated_chosen_forced": "forced",
}


def print_report(found: Report, console: Console) -> None:
    """One table of everything, and what it must be read beside."""
    reference = found.judges[0]
    table = Table(title=f"Alignment with {escape(reference)}, {len(found.gaps)} pairs, both orders")
    table.add_column("measure", min_width=36)
    for judge in found.judges:
        table.add_column(escape(judge), justify="right")
    for title, rows in _SECTIONS:
        table.add_section()
        table.add_row(f"[bold]{escape(title.format(reference=reference))}[/]")
        for label, measure, of_reference in rows:
            shown = [
                number_cell(found.measures, judge, measure)
                if of_reference or judge != reference
                else ""
                for judge in found.judges
            ]
            table.add_row(escape(label.format(reference=reference)), *shown)
    _add_values(table, found)
    table.caption = (
        "In brackets: 95 % intervals by resampling pairs, both orders together (people's values: "
        "by resampling people). None where every pair gives the same. '-': undefined or not asked. "
        "Pairs with an answer that is no choice are left out. Cycles: 0.25 for a random tournament."
    )
    console.print(table)
    known = "; ".join(
        f"{_KNOWN[name]} {_range(low, high)} ({source})" for name, low, high, source in PEOPLE
    )
    console.print(f"Known of people: {known}.", markup=False)
    noted = found.values[found.values["note"] != ""]
    for (judge, note), rows in noted.groupby(["policy", "note"], sort=False):
        terms = ", ".join(str(term).replace("_", " ") for term in rows["term"])
        console.print(f"{judge}, {terms}: {note}.", markup=False)


def _add_values(table: Table, found: Report) -> None:
    table.add_section()
    table.add_row("[bold]Values fitted to the answers (utility over the range; lambda)[/]")
    for term, rows in found.values.groupby("term", sort=False):
        years = (rows["unit"] == YEARS).all()
        name = f"{term} in {YEARS}" if years else str(term).replace("_", " ")
        of_judge = {row["policy"]: row for _, row in rows.iterrows()}
        shown = [
            _number(of_judge[judge], ".1f" if years else ".3f") if judge in of_judge else ""
            for judge in found.judges
        ]
        table.add_row(escape(name), *shown)


def number_cell(measures: pd.DataFrame, judge: str, measure: str) -> str:
    """A judge's value of a measure with its interval; "-" if it is undefined or was not measured.

    Parameters
    ----------
    measures : DataFrame
        Columns ``judge``, ``measure``, ``value``, ``low``, ``high``.
    """
    rows = measures[(measures["judge"] == judge) & (measures["measure"] == measure)]
    return _number(rows.iloc[0], ".3f") if len(rows) else "-"


def _number(row: pd.Series, how: str) -> str:
    if np.isneginf(row["value"]):
        return "never"
    if not np.isfinite(row["value"]):
        return "-"
    value, low, high = (_plain(format(row[name], how)) for name in ("value", "low", "high"))
    return f"{value} ({low}, {high})" if np.isfinite(row["low"]) else value


def _plain(number: str) -> str:
    """Without the sign of a zero."""
    return number.lstrip("-") if not number.strip("-0.") else number


def _range(low: float, high: float) -> str:
    return f"{low:.3f}" if low == high else f"{low:.3f}-{high:.3f}"
