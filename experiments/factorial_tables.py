"""The factorial study in the terminal: who decides how, effects, factors, and plain sentences."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from experiments.factorial import (
    EFFECTS,
    INDECISION,
    INTERACTION,
    MISALIGNMENT,
    OF_FACTORS,
    PEOPLE,
    POSITION,
    REST,
    TEMPERATURE,
    WHOLE,
    Factorial,
)
from experiments.factorial_design import ANCHORS, FACTORS, HALVES, answers_drawn
from experiments.factorial_outcomes import group_outcomes, outcomes
from experiments.figures.effects import Panel, effects
from experiments.figures.style import save_figures
from experiments.inference import detectable
from experiments.sentences import Outcome, amount, headlines, row, verdict
from experiments.tables import model_sentence, number
from policies.davidson import Band
from policies.forced import Forced
from policies.protocol import Policy
from policies.registry import make_policy
from policies.rules import Lottery

FEW_WORLDS = 10
WEAK = 0.1  # of the human SD of utility gaps: values under it decide next to nothing (A)
_CALIBRATION = {
    "log_tie_before": "lambda before",
    "log_tie": "after",
    "coin_before": "P(coin) before",
    "coin": "after",
    "coin_other": "human",
    "largest_gap": "largest gap",
    "spread": "SD of\nutility gaps",
    "spread_other": "human",
}
_MISSING = {
    f"{INDECISION}, human values": "human values",
    f"{INDECISION}, model's values": "model's values",
}
_SIMPLE = [effect for effect in EFFECTS if ", " in effect]
# What the smaller tables and the sentences are about, beside groups.
_MAIN = (
    "mortality_rate",
    "life_years",
    "indecision_rate",
    "misalignment",
    "over_decisiveness",
    "ex_ante.determinism",
)


def decides(policy: Policy) -> tuple[str, str]:
    """At which temperature a policy decides, and what has become of its coin."""
    coin = f"removed: {policy.mode}" if isinstance(policy, Forced) else "kept"
    if answers_drawn(policy):
        return "1: answers are drawn", coin
    if isinstance(policy, Forced):
        return "0: the likeliest answer, always", coin
    if isinstance(policy, Band):
        return "0: the likeliest answer, always", "its own, where likeliest"
    return ("lots alone", "nothing else") if isinstance(policy, Lottery) else ("a rule", "none")


def print_factorial(found: Factorial, drawn: Sequence[Outcome], console: Console) -> None:
    """Everything a reader should see first, in order.

    Parameters
    ----------
    found : Factorial
    drawn : sequence of Outcome
        What tables of factors and sentences about them are for.
    """
    study, design = found.design.study, found.design
    console.print(
        f"\n[bold]{escape(study.population)}[/], {study.years:g} years, {study.worlds} worlds, "
        f"{study.tie_seeds} tie seeds, seed {study.seed}. Values of {escape(design.human)} or "
        f"{escape(design.model)}, the coin kept or removed by {design.mode}: same patients, same "
        "kidneys in every cell."
    )
    console.print(_who_table(found))
    console.print(_calibration_table(found))
    for sentence in weak_values(found):
        console.print(sentence, markup=False, style="yellow")
    every, groups = outcomes(found), group_outcomes(found)
    console.print(_effects_table(found, every, "Effects"))
    console.print(
        _effects_table(
            found, groups, "Effects by group: transplant rate ratios, lots won of a fair share"
        )
    )
    main = [*(each for each in every if each.measure in _MAIN), *groups]
    console.print(_simple_table(found, main))
    if _split(found):
        console.print(_rest_table(found, main))
    console.print(_anchor_table(found, main))
    if found.factors["factor"].nunique() > 1:
        for outcome in drawn:
            console.print(_factor_table(found, outcome))
    for sentence in [*found.left_out, *effect_sentences(found), *factor_sentences(found, drawn)]:
        console.print(sentence, markup=False)
    card = found.base.cards.get(design.model, {})
    if "model" in card:
        console.print(model_sentence(design.model, card), markup=False)


def _split(found: Factorial) -> bool:
    """Whether the rest has parts: not where the model as used draws its answers."""
    return TEMPERATURE in set(found.effects["effect"])


def _who_table(found: Factorial) -> Table:
    """Every arm of the main study: its role, and at which temperature it decides."""
    design = found.design
    kept_h, removed_h, kept_m, removed_m = design.cells()
    roles = {
        kept_h: "human values, coin kept",
        removed_h: "human values, coin removed",
        kept_m: "model's values, coin kept",
        removed_m: "model's values, coin removed",
        design.model: "model as used",
        **dict.fromkeys(ANCHORS, "anchor"),
        **dict.fromkeys(HALVES, "half of the people"),
    }
    table = Table(title="Who decides, and how")
    for heading in ("role", "policy", "temperature", "coin"):
        table.add_column(heading, overflow="fold")
    for arm in design.arms:
        policy = make_policy(arm, Path(design.study.answers))
        role = roles.get(arm, "model's values, likeliest")
        table.add_row(role, escape(arm), *decides(policy))
    table.caption = (
        "How decisive a policy is is a treatment of its own: renormalise takes the coin alone and "
        "answers are still drawn; argmax takes the rest of chance as well."
    )
    return table


def _calibration_table(found: Factorial) -> Table:
    table = Table(title=f"Calibration: as often undecided as {escape(found.design.human)}")
    table.add_column("policy", overflow="fold")
    for heading in _CALIBRATION.values():
        table.add_column(heading, justify="right")
    for each in found.calibration.to_dict("records"):
        cells = (
            number(float("nan" if (v := each[key]) is None else v), ".3f") for key in _CALIBRATION
        )
        table.add_row(escape(str(each["arm"])), *cells)
    table.caption = (
        "Mean P(coin) over 200 frozen pairs, uniform over the ages, drinks and dependents of the "
        "choice study; in a waitlist, where patients are others and many, it is another. Largest "
        "gap: between the two curves of P(coin) over six sixths of the pairs by the human gap in "
        "utility; the mean is matched, the curve only so far. SD of utility gaps: of the "
        "difference in utility over the pairs; how decisive values are, which is not matched."
    )
    return table


def _interval(got: pd.Series | None, outcome: Outcome) -> str:
    if got is None or not np.isfinite(got["value"]):
        return "-"
    text = amount(got, outcome).replace(" (", "\n(")
    return f"[bold]{text}[/]" if detectable(got) else text


def _level(found: Factorial, arm: str, outcome: Outcome) -> str:
    levels = found.base.levels
    got = row(levels[levels["arm"] == arm], outcome)
    return "-" if got is None else number(got["value"], outcome.how)


def _of(table: pd.DataFrame, **where: str) -> pd.DataFrame:
    for column, value in where.items():
        table = table[table[column] == value]
    return table


def _fill(
    table: Table, found: Factorial, rows: Iterable[Outcome], effects: Mapping[str, str]
) -> Table:
    """One row per outcome that any effect on is known, one column per effect by its heading."""
    whole = REST in effects  # then the two ends stand at either side
    headings = [*effects.values()]
    if whole:
        headings = ["human,\nwith coin", *headings, "model\nas used"]
    table.add_column("")
    for heading in headings:
        table.add_column(heading, justify="right")
    parts = {effect: _of(found.effects, effect=effect) for effect in effects}
    for outcome in rows:
        cells = [_interval(row(part, outcome), outcome) for part in parts.values()]
        if set(cells) == {"-"}:
            continue
        if whole:
            cells[[*effects].index(INDECISION)] += _beneath(found, outcome)
        if whole:
            ends = (_level(found, arm, outcome) for arm in (found.design.human, found.design.model))
            cells = [next(ends), *cells, next(ends)]
        table.add_row(outcome.label, *cells)
    return table


def unlike(found: Factorial, outcome: Outcome) -> list[tuple[str, pd.Series]]:
    """The effects of missing indecision under either values, where their average hides them.

    That is where they differ detectably (the interaction), or one is detectable and one is not.
    """
    got = [row(_of(found.effects, effect=effect), outcome) for effect in (INTERACTION, *_MISSING)]
    known = [each for each in got if each is not None and np.isfinite(each["value"])]
    if len(known) < len(got):
        return []
    differ, human, model = map(detectable, known)
    simple = zip(_MISSING.values(), known[1:], strict=True)
    return list(simple) if differ or human != model else []


def _beneath(found: Factorial, outcome: Outcome) -> str:
    parts = unlike(found, outcome)
    return "".join(f"\n{whose}: {_interval(each, outcome)}" for whose, each in parts)


def _effects_table(found: Factorial, rows: Iterable[Outcome], title: str) -> Table:
    table = Table(title=f"{title} (95 % t intervals over worlds)")
    shown = {MISALIGNMENT: MISALIGNMENT, INDECISION: "missing\nindecision", REST: REST}
    few = " Few worlds: intervals are rough." if found.design.study.worlds < FEW_WORLDS else ""
    table.caption = (
        "Human with coin + misalignment + missing indecision = the model's values without coin; "
        "+ rest (temperature, position, its own coin) = the model as used; ratios multiply. "
        "Misalignment and missing indecision are average main effects: each holds half of their "
        "interaction. Where it hides two unlike effects of missing indecision, they stand beneath "
        "it, by whose values. Bold: the interval excludes no effect; not adjusted for many "
        f"comparisons.{few}"
    )
    return _fill(table, found, rows, shown)


def _simple_table(found: Factorial, rows: Iterable[Outcome]) -> Table:
    table = Table(title="Interaction and simple effects")
    shown = {INTERACTION: INTERACTION} | {each: each.replace(", ", ",\n") for each in _SIMPLE}
    table.caption = (
        "Interaction: missing indecision under the model's values minus under human values."
    )
    return _fill(table, found, rows, shown)


def _rest_table(found: Factorial, rows: Iterable[Outcome]) -> Table:
    table = Table(title="What the rest is made of")
    shown = {each: each.replace(": ", ":\n") for each in (TEMPERATURE, POSITION)}
    table.caption = (
        f"From the model's values without coin ({found.design.mode}) to the likeliest answer "
        "always, position taken out; from there to the model as used. Very weak values decide "
        "everything at temperature 0."
    )
    return _fill(table, found, rows, shown)


def _anchor_table(found: Factorial, rows: Iterable[Outcome]) -> Table:
    table = Table(title="For scale: differences from human with coin")
    shown = {WHOLE: WHOLE.replace(" as", "\nas")}
    shown |= {f"anchor: {anchor}": anchor for anchor in ANCHORS}
    shown[PEOPLE] = "people\nagainst people"
    table.caption = (
        f"Lottery: no values. People against people: {HALVES[1]} minus {HALVES[0]}, one model "
        "fitted to two random halves of the same 132 people: what disagreement among samples of "
        "66 people does alone."
    )
    return _fill(table, found, rows, shown)


def _factor_table(found: Factorial, outcome: Outcome) -> Table:
    table = Table(title=f"One factor at a time: {escape(outcome.label)}")
    for heading in ("factor", "what changed"):
        table.add_column(heading, overflow="fold")
    for effect in OF_FACTORS:
        table.add_column(effect, justify="right")
    levels = found.factors[["factor", "level", "changed"]].drop_duplicates()
    for factor, level, changed in levels.itertuples(index=False, name=None):
        here = _of(found.factors, factor=factor, level=level)
        cells = []
        for effect in OF_FACTORS:
            of_effect = _of(here, effect=effect)
            change = row(_of(of_effect, quantity="change"), outcome)
            mark = " *" if change is not None and detectable(change) else ""
            cells.append(_interval(row(_of(of_effect, quantity="effect"), outcome), outcome) + mark)
        said = changed or f"coin removed by {found.design.mode}"
        table.add_row(factor, escape(said), *cells)
    table.caption = (
        "*: detectably different from the base (paired over worlds; not adjusted for many "
        "comparisons)."
    )
    return table


def effect_sentences(found: Factorial) -> list[str]:
    """What misalignment, missing indecision and the rest did, in words."""
    groups = [each for each in group_outcomes(found) if each.is_ratio]
    rows = [*headlines(*_MAIN), *groups]
    who = {MISALIGNMENT: "Misalignment", INDECISION: "Missing indecision", REST: "The rest"}
    who |= {INTERACTION: "Their interaction", PEOPLE: "People against people"}
    said = [
        f"{name}. {verdict(_of(found.effects, effect=effect), rows)}"
        for effect, name in who.items()
    ]
    hidden = []
    for outcome in rows:
        parts = [f"{amount(each, outcome)} with {whose}" for whose, each in unlike(found, outcome)]
        if parts:
            hidden.append(f"{outcome.label} {', '.join(parts)}")
    if hidden:
        said.append(f"Missing indecision is not one effect in {'; '.join(hidden)}.")
    return said


def weak_values(found: Factorial) -> list[str]:
    """A warning for each calibrated policy whose values decide next to nothing."""
    table = found.calibration.dropna(subset=["spread", "spread_other"])
    table = table[(table["factor"] == 1) & (table["spread"] < WEAK * table["spread_other"])]
    return [
        f"The values in {each.arm} are weak: on the frozen pairs the SD of utility gaps is "
        f"{each.spread:.3f}, against {each.spread_other:.3f} for {found.design.human} (under "
        f"{WEAK:g} of it, A). They are near a lottery, with the coin or without: removing it "
        "hardly changes whom they choose, and their misalignment is mostly having no values."
        for each in table.itertuples()
    ]


def factor_sentences(found: Factorial, drawn: Sequence[Outcome]) -> list[str]:
    """Which factors change the effects, by outcome, in words."""
    changes = _of(found.factors, quantity="change")
    said = []
    for factor in (each for each in FACTORS if each in set(changes["factor"])):
        moved, still = [], 0
        for level in dict.fromkeys(_of(changes, factor=factor)["level"]):
            here = _of(changes, factor=factor, level=level)
            for outcome in drawn:
                for effect in (MISALIGNMENT, INDECISION):
                    got = row(_of(here, effect=effect), outcome)
                    if got is None or not np.isfinite(got["value"]):
                        continue
                    if detectable(got):
                        what = f"{effect} on {outcome.label} under {level}"
                        moved.append(f"{what} {amount(got, outcome)}")
                    else:
                        still += 1
        text = f"Factor {factor} ({FACTORS[factor]}), changes of main effects from the base. "
        text += f"Detectable: {'; '.join(moved)}. In {still} others" if moved else f"In all {still}"
        text += " no detectable difference."
        said.append(text)
    return said


def draw(found: Factorial, drawn: Sequence[Outcome]) -> None:
    """Draw the figure of effects into the results folder."""
    study, design = found.design.study, found.design
    panels = [Panel(o.label, o.measure, o.grouping, o.group, o.is_ratio) for o in drawn]
    caption = (
        f"Population {study.population}, {study.worlds} worlds, {study.tie_seeds} tie seeds, "
        f"{study.years:g} years, seed {study.seed}, discretion {study.discretion}. Coin removed by "
        f"{design.mode}"
    )
    if _split(found):
        caption += "; temperature: from there to the likeliest answer always"
    plot = effects(found.base.levels, found.effects, design.cells(), design.model, panels, caption)
    save_figures({"effects": plot}, Path(study.out) / "figures")
