"""What tuning reached, over the number of answers: a table and a figure."""

from pathlib import Path

import pandas as pd
from rich.markup import escape
from rich.table import Table

from experiments.align_table import number_cell
from experiments.figures.style import save_figures
from experiments.figures.tuning import few_sample_curve
from experiments.tuning import RAW

ROWS = (
    ("most likely answers agree", "compare_judges.agreement"),
    ("  where the reference has a majority (> 1/2)", "compare_judges.agreement_majority"),
    ("total variation", "compare_judges.total_variation"),
    ("log-loss (nats)", "compare_judges.log_loss"),
    ("same answer with the orders swapped", "swap_consistency.consistency"),
    ("P(first shown) - P(second shown)", "swap_consistency.position_bias"),
    ("mean P(coin)", "compare_judges.indecision"),
    ("slope of P(coin) over utility gap", "indecision_calibration.slope"),
    ("calibration error of P(coin) (ECE)", "indecision_calibration.ece"),
    ("log-loss of the answers of people held out", "people.log_loss"),
)


def judges_of(measures: pd.DataFrame, reference: str) -> list[str]:
    """The reference, the untuned model, then the adapters as they were made."""
    names = list(measures["judge"].unique())
    return [reference, RAW, *(name for name in names if name not in (reference, RAW))]


def tuning_table(measures: pd.DataFrame, reference: str) -> Table:
    """One column per adapter, named by its number of answers."""
    judges = judges_of(measures, reference)
    table = Table(
        title=f"Tuned on answers of {escape(reference)}",
        caption="Columns: adapters by the number of answers they were tuned on. Pairs that no "
        "adapter learned from, both orders. In brackets: 95 % intervals by resampling pairs.",
    )
    table.add_column("measure")
    for judge in judges:
        table.add_column(escape(judge), justify="right")
    present = set(measures["measure"])
    for label, measure in ROWS:
        if measure in present:
            table.add_row(label, *(number_cell(measures, judge, measure) for judge in judges))
    return table


def draw(measures: pd.DataFrame, reference: str, folder: Path) -> None:
    """Draw the few-sample curve into a folder."""
    save_figures({"few_sample_curve": few_sample_curve(measures, reference, RAW)}, folder)
