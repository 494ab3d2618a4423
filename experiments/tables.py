"""Tables for the terminal."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from experiments import sequential, warm_up
from experiments.compare import Results
from experiments.headlines import HEADLINES, row_label
from experiments.inference import LEVEL, RATES, Question, levels
from measures.rates import reference_group
from measures.registry import is_ratio
from measures.table import levels as levels_of
from populations.presets import TAGS, Population
from populations.schema import AGE_BANDS

WAYS = {
    "surrogate": "it acts through a fitted surrogate",
    "table": "it acts through the table of its answers to every pair of profiles",
    "live": "it was asked inside the run",
}
ACCESS = ("race", "age_band", "sex", "blood_type")
# Label, row of the ledger (of its floor, "lots"), column, per how many, format.
LEDGER: tuple[tuple[str, str, str, float, str], ...] = (
    ("gained: transplanted here only", "gained", "share", 1, ".1%"),
    ("lost: transplanted under the reference only", "lost", "share", 1, ".1%"),
    ("transplanted earlier", "earlier", "share", 1, ".1%"),
    ("transplanted later", "later", "share", 1, ".1%"),
    ("transplanted at the same time", "same", "share", 1, ".1%"),
    ("transplanted under neither", "neither", "share", 1, ".1%"),
    ("displaced: somebody else has their kidney", "displaced", "share", 1, ".1%"),
    ("churn: gained or lost, of all transplants", "churn", "share", 1, ".1%"),
    ("  by lots alone", "lots churn", "share", 1, ".1%"),
    ("regret in life-years, per 1,000 candidates", "regret", "mean", 1000, ".1f"),
    ("  by lots alone", "lots regret", "mean", 1000, ".1f"),
    ("regret in chance of a transplant", "regret_chance", "mean", 1, ".1%"),
    ("  by lots alone, at most", "lots regret_chance", "mean", 1, ".1%"),
)


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
    if results.precision:
        console.print(sequential.sentence(results.precision), markup=False)
    console.print(_access_table(results))
    console.print(_deaths_table(results))
    if len(results.ledger):
        console.print(_ledger_table(results))
    _print_steady(results, console)
    console.print("[bold]Where definitions of fairness disagree[/]")
    for said in results.conflict.sentences:
        console.print(said, markup=False)
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


def _headline_table(results: Results) -> Table:
    table = _table("What happened (means over worlds)", "measure", results.arms)
    _fill(table, results.levels, results.arms, map(_headline, HEADLINES), _level)
    table.caption = (
        f"M, I: chance moved away from the choices of {results.study.values}: to those it hardly "
        "considers, and among those it does. D: 1 if who is transplanted is settled before lots "
        "are drawn. '-': undefined, or not reached, in at least one world."
    )
    return table


class _Row(NamedTuple):
    """What a row of a table shows."""

    label: str
    how: str
    measure: str
    grouping: str = "all"
    group: str = "all"


def _headline(headline: tuple[str, str, str]) -> _Row:
    label, measure, how = headline
    return _Row(label, how, measure)


def _asked(question: Question) -> _Row:
    """A declared question's row, named as in the other tables where it is there."""
    measure, grouping, group, _ = question
    known = {name: how for _, name, how in HEADLINES}
    how = known.get(measure, ".2f" if is_ratio(measure) else ".3g")
    label = row_label(measure, grouping, group)
    return _Row(label, how, measure, grouping, group)


def _table(title: str, first: str, arms: Iterable[str]) -> Table:
    table = Table(title=title)
    table.add_column(first)
    for arm in arms:
        table.add_column(escape(arm), justify="right", overflow="fold")
    return table


def _difference_table(results: Results) -> Table:
    arms = [arm for arm in results.arms if arm != results.reference]
    title = f"Paired difference from {escape(results.reference)} (95 % t interval over worlds)"
    table = _table(title, "measure", arms)
    asked = [_asked(question) for question in results.study.declared]
    other = [row for row in map(_headline, HEADLINES) if row.measure not in _measures(asked)]
    tests = int(results.differences["p_holm"].notna().sum())
    table.add_row(f"[italic]declared ({tests} tests, adjusted together)[/]")
    _fill(table, results.differences, arms, asked, _difference)
    table.add_section()
    table.add_row("[italic]exploratory[/]")
    _fill(table, results.differences, arms, other, _difference)
    table.caption = (
        "Bold, *: differs, p < 0.05 in the paired t test after Holm's adjustment for all declared "
        "tests. Intervals are one by one; among so many, some of the exploratory ones exclude no "
        "difference by chance. Ratios of rates: x 2 is twice the reference's ratio."
        + (" Few worlds: intervals are wide and rough." if results.study.worlds < 10 else "")
    )
    return table


def _measures(rows: Iterable[_Row]) -> set[str]:
    return {row.measure for row in rows if row.grouping == "all"}


def _fill(
    table: Table,
    values: pd.DataFrame,
    arms: Iterable[str],
    rows: Iterable[_Row],
    text: Callable[[pd.Series, str], str],
) -> None:
    """One row per measure, one column per arm."""
    columns = list(arms)
    for row in rows:
        found = [_cell(values, arm, row.measure, row.grouping, row.group) for arm in columns]
        table.add_row(
            escape(row.label), *("-" if cell is None else text(cell, row.how) for cell in found)
        )


def _level(row: pd.Series, how: str) -> str:
    return number(row["value"], how)


def _with_interval(row: pd.Series, how: str) -> str:
    value, low, high = (number(row[column], how) for column in ("value", "low", "high"))
    return value if low == "-" else f"{value}\n({low}, {high})"


def _difference(row: pd.Series, how: str) -> str:
    if not np.isfinite(row["value"]):
        return "-"
    ratio = is_ratio(row["measure"])
    value, low, high = (number(row[name], how, not ratio) for name in ("value", "low", "high"))
    value = f"x {value}" if ratio else value
    value = f"[bold]{value} *[/]" if row["p_holm"] < LEVEL else value
    agreed = np.isfinite(row["p"]) and not np.isfinite(row["low"])
    return f"{value}\n(in every world)" if agreed else f"{value}\n({low}, {high})"


def _access_table(results: Results) -> Table:
    table = _table("Access: transplant rate ratios (means over worlds)", "group", results.arms)
    rows = [
        _Row(f"{group} : {reference_group(by)}", ".2f", "transplant_rate_ratio", by, group)
        for by in ACCESS
        for group in levels_of(by)
        if group != reference_group(by)
    ]
    _fill(table, results.levels, results.arms, rows, _level)
    table.caption = "1.00 is parity. '-': undefined, since a group had no transplant in some world."
    return table


def _deaths_table(results: Results) -> Table:
    """Who dies: in people, since a group kept waiting has more person-years to die in."""
    table = _table("Deaths on the list by age (people in a world, means)", "age", results.arms)
    rows = [_Row(band, ",.0f", "fate_counts.died", "age_band", band) for band in AGE_BANDS]
    _fill(table, results.levels, results.arms, rows, _level)
    return table


def _ledger_table(results: Results) -> Table:
    """Each candidate under the policy and under the reference; beside it, two draws of lots."""
    title = f"Winners and losers against {escape(results.reference)} (means over worlds)"
    table = _table(title, "share of candidates", results.arms)
    floor = results.floor.assign(what="lots " + results.floor["what"].astype(str))
    both = pd.concat([results.ledger, floor], ignore_index=True)
    for label, what, column, per, how in LEDGER:
        rows = both[both["what"] == what]
        values = rows.assign(
            measure=what, grouping="all", group="all", value=per * rows[column].astype(float),
            numerator=np.nan, denominator=np.nan,
        )  # fmt: skip
        text = (
            _with_interval if what.split()[-1] in ("churn", "regret", "regret_chance") else _level
        )
        means = levels(values, also_shares=[what] if how.endswith("%") else [])
        _fill(table, means, results.arms, [_Row(label, how, what)], text)
    table.caption = (
        "By lots alone: the same policy, its lots drawn again; churn and regret that are no more "
        "than that in the reference may be luck. Regret: what those lost who were better off under "
        "the reference, as a mean over all candidates, whatever others gained; too large in years, "
        "since lifetimes with and without a kidney are drawn independently, by lots alone too. "
        "Second lines: 95 % intervals over worlds."
    )
    return table


def _print_steady(results: Results, console: Console) -> None:
    found = results.warm_up
    if found.steady:
        title = f"Steady state: after {found.years:.1f} years (95 % t interval over worlds)"
        table = _table(title, "measure", results.arms)
        rates = [row for row in map(_headline, HEADLINES) if row.measure in RATES]
        _fill(table, results.steady_levels, results.arms, rates, _with_interval)
        console.print(table)
    console.print(warm_up.sentence(found, results.study.years), markup=False)


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
    for label, text in model_rows(card):
        table.add_row(label, text)
    return table


def model_rows(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The rows of ``model_table``, a label and a number each, of what its card knows."""
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
    return [
        (label, number(float(card[key]), how.replace("d", ".0f")))
        for label, (key, how) in shares.items()
        if key in card and card[key] is not None
    ]


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
    described = results.population.description  # says what stands in for what is not known
    console.print(
        f"{results.population.name}: {described}. {len(unsourced)} of "
        f"{len(results.population.origins)} population figures are outright assumptions or from "
        f"memory: see `equipoise populations {results.study.population}`.",
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
