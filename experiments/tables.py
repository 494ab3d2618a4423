"""Tables for the terminal."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from experiments.compare import Results
from populations.presets import TAGS, Population
from populations.schema import AGE_BANDS, SCHEMA

# Label, measure and format of the rows of the main tables.
HEADLINES: tuple[tuple[str, str, str], ...] = (
    ("transplants per 100 person-years", "transplant_rate", ".1f"),
    ("deaths per 100 person-years", "mortality_rate", ".2f"),
    ("waiting at the end", "fate_counts.waiting", ",.0f"),
    ("life-years by the end, per candidate", "life_years", ".3f"),
    ("kidneys not used", "non_use", ".1%"),
    ("transplanted within 3 years of listing", "cumulative_incidence.transplanted.3y", ".1%"),
    ("median years to transplant", "time_to_transplant.p50", ".2f"),
    ("recipient's place in the list", "winner_position", ",.0f"),
    ("decisions left to lots", "indecision_rate", ".1%"),
    ("misalignment M", "misalignment", ".3f"),
    ("over-decisiveness I", "over_decisiveness", ".3f"),
    ("determinism D", "ex_ante.determinism", ".3f"),
)
WAYS = {
    "surrogate": "it acts through a fitted surrogate",
    "table": "it acts through the table of its answers to every pair of profiles",
    "live": "it was asked inside the run",
}
REFERENCES = {"race": "White", "age_band": AGE_BANDS[0], "sex": "male", "blood_type": "O"}


def print_results(results: Results, console: Console) -> None:
    """Everything a reader should see first, in order."""
    study = results.study
    console.print(
        f"\n[bold]{escape(study.population)}[/], {study.years:g} years, {study.worlds} worlds, "
        f"{study.tie_seeds} tie seeds, seed {study.seed}, discretion {study.discretion}. "
        "Same patients, same kidneys in every arm."
    )
    console.print(_headline_table(results))
    if study.worlds == 1:
        console.print("One world: no intervals. Use --worlds 2 or more to compare policies.")
    elif len(results.differences):
        console.print(_difference_table(results))
    console.print(_access_table(results))
    _print_models(results, console)
    _print_flags(results, console)


def _cell(
    values: pd.DataFrame, arm: str, measure: str, grouping: str = "all", group: str = "all"
) -> pd.Series | None:
    where = (values["grouping"] == grouping) & (values["group"] == group)
    rows = values[where & (values["arm"] == arm) & (values["measure"] == measure)]
    return rows.iloc[0] if len(rows) else None


def number(value: float, how: str, signed: bool = False) -> str:
    """A number as tables show it; ``signed`` for differences, those of shares in points."""
    if not np.isfinite(value):
        return "-"
    text = format(value, f"+{how}" if signed else how)
    if float(format(value, how).rstrip("%").replace(",", "")) == 0:
        text = text.lstrip("+-")
    return text.replace("%", " pp" if signed else " %")  # differences of shares: points


def _arms(results: Results) -> list[str]:
    return list(dict.fromkeys(results.measures["arm"]))


def _headline_table(results: Results) -> Table:
    table = Table(title="What happened (means over worlds)")
    _fill(table, results.levels, _arms(results), lambda row, how: number(row["value"], how))
    table.caption = (
        f"M, I: chance moved away from the choices of {results.study.values}: to those it hardly "
        "considers, and among those it does. D: 1 if who is transplanted is settled before lots "
        "are drawn. '-': undefined, or not reached, in at least one world."
    )
    return table


def _difference_table(results: Results) -> Table:
    different = set(results.differences["arm"])
    arms = [arm for arm in _arms(results) if arm in different]
    reference = next(arm for arm in _arms(results) if arm not in different)
    table = Table(title=f"Paired difference from {escape(reference)} (95 % t interval over worlds)")
    _fill(table, results.differences, arms, _difference)
    table.caption = (
        "Bold: the interval excludes no difference. Not adjusted for many comparisons."
        + (" Few worlds: intervals are wide and rough." if results.study.worlds < 10 else "")
    )
    return table


def _fill(
    table: Table, values: pd.DataFrame, arms: list[str], text: Callable[[pd.Series, str], str]
) -> None:
    """One row per headline, one column per arm."""
    table.add_column("measure")
    for arm in arms:
        table.add_column(escape(arm), justify="right")
    for label, measure, how in HEADLINES:
        rows = [_cell(values, arm, measure) for arm in arms]
        table.add_row(label, *("-" if row is None else text(row, how) for row in rows))


def _difference(row: pd.Series, how: str) -> str:
    if not np.isfinite(row["value"]):
        return "-"
    value, low, high = (number(row[column], how, True) for column in ("value", "low", "high"))
    clear = row["low"] > 0 or row["high"] < 0
    return f"[bold]{value}[/]\n({low}, {high})" if clear else f"{value}\n({low}, {high})"


def _access_table(results: Results) -> Table:
    table = Table(title="Access: transplant rate ratios (means over worlds)")
    table.add_column("group")
    for arm in _arms(results):
        table.add_column(escape(arm), justify="right")
    for grouping, reference in REFERENCES.items():
        for level in AGE_BANDS if grouping == "age_band" else SCHEMA[grouping].levels:
            if level == reference:
                continue
            rows = [
                _cell(results.levels, arm, "transplant_rate_ratio", grouping, level)
                for arm in _arms(results)
            ]
            cells = ("-" if row is None else number(row["value"], ".2f") for row in rows)
            table.add_row(f"{level} : {reference}", *cells)
    table.caption = "1.00 is parity. '-': undefined, since a group had no transplant in some world."
    return table


def _print_models(results: Results, console: Console) -> None:
    for arm, card in results.cards.items():
        if "model" in card:
            console.print(model_table(arm, card))
            console.print(model_sentence(arm, card), markup=False)


def model_table(arm: str, card: Mapping[str, Any]) -> Table:
    """What a language model did with the battery, and how well its stand-in predicts it."""
    table = Table(title=f"{escape(arm)}: how the model answered ({WAYS[card['way']]})")
    table.add_column("", justify="left")
    table.add_column("", justify="right")
    shares = {
        "pairs asked, each in both orders": ("pairs", ",d"),
        "mean P(first shown), rescaled to the choices offered": ("mean_first", ".3f"),
        "mean P(second shown), likewise": ("mean_second", ".3f"),
        "mean P(coin), likewise": ("mean_coin", ".3f"),
        "mean probability of anything else": ("other_mass", ".3f"),
        "answers that are no choice": ("unusable", ".1%"),
        "most likely answer is the first shown": ("first_modal", ".1%"),
        "most likely answer is the second shown": ("second_modal", ".1%"),
        "most likely answer is the coin": ("coin_modal", ".1%"),
        "pairs where the same position won both orders": ("same_position", ".1%"),
        "pairs where the same patient won both orders": ("same_patient", ".1%"),
        "pairs left to the coin in both orders": ("coin_both", ".1%"),
        "order effect (utility of being shown first)": ("order", "+.3f"),
        "held-out total variation, stand-in to answers": ("held_out_total_variation", ".3f"),
        "  of a stand-in that ignores the patients": ("held_out_total_variation_constant", ".3f"),
        "held-out agreement on the most likely answer": ("held_out_modal_agreement", ".1%"),
        "  of one that ignores the patients": ("held_out_modal_agreement_constant", ".1%"),
        "answers kept, whichever study they were asked for": ("kept", ",d"),
        "  of those, no choice (a tie here)": ("kept_unusable", ",d"),
    }
    for label, (key, how) in shares.items():
        if key in card and card[key] is not None:
            table.add_row(label, number(float(card[key]), how.replace("d", ".0f")))
    return table


def model_sentence(arm: str, card: Mapping[str, Any]) -> str:
    """What the answers mean for who gets a kidney, in one sentence."""
    if card["way"] == "live":
        return f"{arm} was asked about the very candidates, in the order of the list."
    said = (
        f"{arm} answered {card['first_modal']:.0%} first shown, {card['second_modal']:.0%} second "
        f"shown, {card['coin_modal']:.0%} coin; the same patient won in both orders in "
        f"{card['same_patient']:.0%} of pairs."
    )
    constant = card.get("held_out_total_variation_constant", np.inf)
    if card.get("held_out_total_variation", 0.0) >= 0.99 * constant:
        said += " Knowing the patients does not help to predict its answers."
    if card["coin_both"] > 0.5:
        return f"{said} It leaves most pairs to the coin: close to a lottery."
    if card["same_patient"] >= 0.5:
        return f"{said} It chooses by patient."
    if not card["same_position"] > card["same_patient"]:
        return f"{said} It answers neither by patient nor by position in most pairs."
    where = "first" if card["first_modal"] > card["second_modal"] else "last"
    return (
        f"{said} It answers by position, not by patient: in the waitlist the order of the list "
        f"decides, in favour of those listed {where}."
    )


def _print_flags(results: Results, console: Console) -> None:
    """Figures from memory or assumed, wherever they were used."""
    for arm, card in results.cards.items():
        if "provenance" in card:
            console.print(f"{arm}: {card['provenance']}", style="yellow", markup=False)
    unsourced = [
        key for key, origin in results.population.origins.items() if origin.tag in ("M", "A")
    ]
    console.print(
        f"{len(unsourced)} of {len(results.population.origins)} population figures are outright "
        f"assumptions or from memory: see `equipoise populations {results.study.population}`.",
        style="yellow",
        markup=False,
    )


def population_table(population: Population) -> Table:
    """Every figure of a population, with its tag and source."""
    table = Table(title=escape(f"{population.name}: {population.description}"), show_lines=False)
    for heading in ("figure", "value", "tag", "source"):
        table.add_column(heading, overflow="fold")
    for key, origin in sorted(population.origins.items()):
        value: Any = population.parameters
        for part in key.split("."):
            value = getattr(value, part)
        table.add_row(*map(Text, (key, str(value), origin.tag, origin.source)))
    table.caption = "; ".join(f"{tag}: {meaning}" for tag, meaning in TAGS.items())
    return table


def listing(title: str, rows: Iterable[tuple[str, ...]], headings: tuple[str, ...]) -> Table:
    """A plain table of names and one-line descriptions."""
    table = Table(title=title)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell.replace("``", "")) for cell in row))
    return table
