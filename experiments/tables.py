"""Tables for the terminal."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from experiments.compare import Results
from populations.presets import TAGS, Population
from populations.schema import AGE_BANDS, SCHEMA

# Heading, measure and format of the columns of the main table.
HEADLINES: tuple[tuple[str, str, str], ...] = (
    ("transplants\n/100 p-y", "transplant_rate", ".1f"),
    ("deaths\n/100 p-y", "mortality_rate", ".2f"),
    ("waiting\nat end", "fate_counts.waiting", ",.0f"),
    ("life-years\nper candidate", "life_years", ".3f"),
    ("kidneys\nnot used", "non_use", ".1%"),
    ("transplanted\nin 3 years", "cumulative_incidence.transplanted.3y", ".1%"),
    ("recipient's\nplace in list", "winner_position", ",.0f"),
    ("left to\nlots", "indecision_rate", ".1%"),
    ("misalign-\nment M", "misalignment", ".3f"),
    ("over-deci-\nsiveness I", "over_decisiveness", ".3f"),
    ("determin-\nism D", "ex_ante.determinism", ".3f"),
)
REFERENCES = {"race": "White", "age_band": AGE_BANDS[0], "sex": "male"}


def print_results(results: Results, console: Console) -> None:
    """Everything a reader should see first, in order."""
    study = results.study
    console.print(
        f"\n[bold]{study.population}[/], {study.years:g} years, {study.worlds} worlds, "
        f"{study.tie_seeds} tie seeds, seed {study.seed}, discretion {study.discretion}. "
        "Same patients, same kidneys in every arm."
    )
    console.print(_headline_table(results))
    if study.worlds > 1:
        console.print(_difference_table(results))
    else:
        console.print("One world: no intervals. Use --worlds 2 or more to compare policies.")
    console.print(_access_table(results))
    _print_models(results, console)
    _print_flags(results, console)


def _cell(values: pd.DataFrame, arm: str, measure: str, group: str = "all") -> pd.Series | None:
    rows = values[
        (values["arm"] == arm) & (values["measure"] == measure) & (values["group"] == group)
    ]
    return rows.iloc[0] if len(rows) else None


def _format(value: float, how: str, signed: bool = False) -> str:
    if not np.isfinite(value):
        return "-"
    text = format(value, f"+{how}" if signed else how)
    return text.replace("%", " %")


def _arms(results: Results) -> list[str]:
    return list(dict.fromkeys(results.measures["arm"]))


def _headline_table(results: Results) -> Table:
    table = Table(title="What happened (means over worlds)")
    table.add_column("policy")
    for heading, _, _ in HEADLINES:
        table.add_column(heading, justify="right")
    for arm in _arms(results):
        cells = [
            "-" if row is None else _format(row["value"], how)
            for _, measure, how in HEADLINES
            for row in [_cell(results.levels, arm, measure)]
        ]
        table.add_row(arm, *cells)
    table.caption = (
        "p-y: person-years on the list. M, I: chance moved away from the choices of "
        f"{results.study.values}, to others and among its favourites. D: 1 = who is transplanted "
        "is settled before lots are drawn, 0 = everybody has the same chance."
    )
    return table


def _difference_table(results: Results) -> Table:
    arms = [arm for arm in _arms(results) if arm in set(results.differences["arm"])]
    reference = next(arm for arm in _arms(results) if arm not in arms)
    table = Table(title=f"Paired difference from {reference} (95 % t interval over worlds)")
    table.add_column("measure")
    for arm in arms:
        table.add_column(arm, justify="right")
    for heading, measure, how in HEADLINES:
        cells = []
        for arm in arms:
            row = _cell(results.differences, arm, measure)
            if row is None or not np.isfinite(row["value"]):
                cells.append("-")
                continue
            value, low, high = (_format(row[c], how, True) for c in ("value", "low", "high"))
            clear = row["low"] > 0 or row["high"] < 0
            cells.append(
                f"{'[bold]' if clear else ''}{value}{'[/]' if clear else ''} ({low}, {high})"
            )
        table.add_row(heading.replace("-\n", "").replace("\n", " "), *cells)
    table.caption = "Bold: the interval excludes no difference. Not adjusted for many comparisons."
    return table


def _access_table(results: Results) -> Table:
    table = Table(title="Access: transplant rate ratio to the first-named group of each block")
    table.add_column("policy")
    groups = [
        (grouping, level)
        for grouping, reference in REFERENCES.items()
        for level in (AGE_BANDS if grouping == "age_band" else SCHEMA[grouping].levels)
        if level != reference
    ]
    for grouping, level in groups:
        table.add_column(f"{level}\n/ {REFERENCES[grouping]}", justify="right")
    for arm in _arms(results):
        rows = [_cell(results.levels, arm, "transplant_rate_ratio", level) for _, level in groups]
        table.add_row(arm, *("-" if r is None else _format(r["value"], ".2f") for r in rows))
    table.caption = "1.00 is parity; '-': a group had no transplant, so its ratio is undefined."
    return table


def _print_models(results: Results, console: Console) -> None:
    for arm, card in results.cards.items():
        if "model" in card:
            console.print(model_table(arm, card))
            console.print(model_sentence(arm, card))


def model_table(arm: str, card: Mapping[str, Any]) -> Table:
    """What a language model did with the battery, and how well its stand-in predicts it."""
    table = Table(title=f"{arm}: how the model answered (it acts through a fitted {card['way']})")
    table.add_column("", justify="left")
    table.add_column("", justify="right")
    shares = {
        "pairs asked, each in both orders": ("pairs", ",d"),
        "mean P(first shown)": ("mean_first", ".3f"),
        "mean P(second shown)": ("mean_second", ".3f"),
        "mean P(coin)": ("mean_coin", ".3f"),
        "probability on anything else": ("other_mass", ".3f"),
        "answers that are no choice": ("unusable", ".1%"),
        "pairs where the same position won both orders": ("same_position", ".1%"),
        "pairs where the same patient won both orders": ("same_patient", ".1%"),
        "pairs left to the coin in both orders": ("coin_both", ".1%"),
        "order effect (utility of being shown first)": ("order", "+.3f"),
        "held-out: total variation": ("held_out_total_variation", ".3f"),
        "held-out: same most likely answer": ("held_out_agreement", ".1%"),
    }
    for label, (key, how) in shares.items():
        if key in card and card[key] is not None:
            table.add_row(label, _format(float(card[key]), how.replace("d", ".0f")))
    return table


def model_sentence(arm: str, card: Mapping[str, Any]) -> str:
    """What the answers mean for who gets a kidney, in one sentence."""
    if card["same_position"] > 0.5:
        who = "first" if card["mean_first"] > card["mean_second"] else "last"
        return (
            f"{arm} answers by position: in {card['same_position']:.0%} of pairs whoever was shown "
            f"{'first' if who == 'first' else 'second'} won in both orders. In the waitlist the "
            f"order of the list decides, in favour of those listed {who}."
        )
    if card["coin_both"] > 0.5:
        return f"{arm} leaves {card['coin_both']:.0%} of pairs to the coin: close to a lottery."
    return f"{arm} chooses the same patient in both orders in {card['same_patient']:.0%} of pairs."


def _print_flags(results: Results, console: Console) -> None:
    """Figures from memory or assumed, wherever they were used."""
    for arm, card in results.cards.items():
        if "provenance" in card:
            console.print(f"[yellow]{arm}: {card['provenance']}[/]")
    unsourced = [
        key for key, origin in results.population.origins.items() if origin.tag in ("M", "A")
    ]
    console.print(
        f"[yellow]{len(unsourced)} of {len(results.population.origins)} population figures are "
        f"assumptions or from memory: see `equipoise populations {results.study.population}`.[/]"
    )


def population_table(population: Population) -> Table:
    """Every figure of a population, with its tag and source."""
    table = Table(title=f"{population.name}: {population.description}", show_lines=False)
    for heading in ("figure", "value", "tag", "source"):
        table.add_column(heading, overflow="fold")
    for key, origin in sorted(population.origins.items()):
        value: Any = population.parameters
        for part in key.split("."):
            value = getattr(value, part)
        table.add_row(key, str(value), origin.tag, origin.source)
    table.caption = "; ".join(f"{tag}: {meaning}" for tag, meaning in TAGS.items())
    return table


def listing(title: str, rows: Iterable[tuple[str, ...]], headings: tuple[str, ...]) -> Table:
    """A plain table of names and one-line descriptions."""
    table = Table(title=title)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
