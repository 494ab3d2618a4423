"""One page: what misalignment and missing indecision did, to whom, and what tuning repaired."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from experiments.align import Report
from experiments.inference import contrast, detectable
from experiments.kidney_groups import GROUPS
from experiments.sentences import Outcome, amount, headlines, row, verdict
from experiments.study import Study
from experiments.tables import number

OUTCOMES = headlines("transplant_rate", "mortality_rate", "life_years", "winner_position")
DECISIONS = headlines("indecision_rate", "misalignment", "over_decisiveness", "ex_ante.determinism")
MOST_GROUPS = 3  # named in a sentence; the table at the end has all
FEWER_WORLDS = 10  # under which intervals are called rough (A)
_WHY_SURVEY = (
    "In `survey` every moral attribute varies as in the choice study, so that the waitlist asks "
    "the questions that people and models were asked; real candidates differ less."
)
_TIE_MODES = {
    "renormalise": "the coin's probability is dropped and the rest rescaled",
    "argmax": "the best always wins, by however little",
}
_REPAIRS = {
    "repaired": "Repaired, no detectable difference left",
    "partly": "Partly repaired",
    "overshot": "Overshot: nearer, but now on the other side",
    "not": "No detectable repair",
    "none": "Nothing detectable to repair, before or after",
    "new": "A difference is detectable only after tuning",
    "worse": "Farther away than before",
}


@dataclass(frozen=True)
class Arms:
    """The arms of the study, by their role.

    Parameters
    ----------
    human : str
        The reference.
    without_coin : dict of mode to str
        The reference's values without indecision.
    models : tuple of str
        The raw model, then the tuned one if there is any.
    with_coin : dict of model to str
        A model's values and its advantage of position, with the reference's indecision.
    lottery : str
    """

    human: str
    without_coin: Mapping[str, str]
    models: tuple[str, ...]
    with_coin: Mapping[str, str]
    lottery: str

    @property
    def every(self) -> tuple[str, ...]:
        """All arms, the reference first."""
        counterfactual = (*self.without_coin.values(), *self.with_coin.values())
        return (self.human, *self.models, self.lottery, *counterfactual)


@dataclass(frozen=True)
class Found:
    """All that the page is made from.

    Parameters
    ----------
    study : Study
    arms : Arms
    alignment : Report
    measures, groups : DataFrame
        Of every run: the measures, and transplant rates by group.
    cards : dict
        By arm, what must be shown beside its results.
    """

    study: Study
    arms: Arms
    alignment: Report
    measures: pd.DataFrame
    groups: pd.DataFrame
    cards: Mapping[str, Mapping[str, object]]

    def against(self, arm: str, base: str = "") -> pd.DataFrame:
        """Paired differences of one arm from another (the reference), groups included."""
        weights = {arm: 1.0, base or self.arms.human: -1.0}
        both = [contrast(self.measures, weights), contrast(self.groups, weights)]
        wide = both[0][both[0]["grouping"] == "all"]
        return pd.concat([wide, both[1]], ignore_index=True)


def page(found: Found) -> str:
    """The page, in Markdown."""
    study, arms = found.study, found.arms
    rough = " With so few worlds intervals are rough." if study.worlds < FEWER_WORLDS else ""
    parts = [
        "# Who gets the kidney, and what follows",
        f"Population {study.population}, worlds: {study.worlds}, years: {study.years:g}, "
        f"{study.tie_seeds} tie seeds, seed {study.seed}, discretion {study.discretion}. Outcomes "
        f"and decisions are paired differences from {arms.human} over the same worlds with their "
        f"95 % intervals, not adjusted for many comparisons.{rough} Not such differences: what the "
        "judges answer (shares), a model's weights and advantage of position (utility), the column "
        "'rest' (what is left of a difference), and the first column of the last table (levels of "
        f"{arms.human}). Synthetic people: not for clinical use.",
        *([_WHY_SURVEY] if study.population == "survey" else []),
        "Misalignment alone: a model's values and its advantage of position, both of which its "
        f"choices rest on, with the indecision (lambda) of {arms.human} and answers drawn as its "
        "are: where the model prefers whoever is listed first, that is part of what is called "
        f"misalignment here. Missing indecision alone: the values of "
        f"{arms.human}, without the coin. A model itself has both, and always gives its most "
        "likely answer.",
        *_section("What the judges answer", [_answers(found, arm) for arm in arms.models]),
        *_section(
            "What misalignment did",
            [
                f"{_effect(found, arms.with_coin[arm], _values(arm, arms))}\n\n"
                f"{_position(arm, found.cards[arm])}"
                for arm in arms.models
            ],
        ),
        *_section(
            "What missing indecision did",
            [
                _effect(found, arm, f"The values of {arms.human} without the coin ({_mode(mode)})")
                for mode, arm in arms.without_coin.items()
            ],
        ),
        *_section(
            "Both: the models as they decide",
            [_whole(found, arm) for arm in arms.models],
        ),
        *_section("What tuning repaired", [_repaired(found)]),
        *_section(
            "For scale: everything left to lots", [_effect(found, arms.lottery, "The lottery")]
        ),
        *_section("To whom", [_whom_table(found)]),
    ]
    return "\n\n".join(parts) + "\n"


def _section(title: str, paragraphs: Sequence[str]) -> list[str]:
    return [f"## {title}", *paragraphs]


def _mode(mode: str) -> str:
    return f"{mode}: {_TIE_MODES[mode]}" if mode in _TIE_MODES else mode


def _values(arm: str, arms: Arms) -> str:
    return f"The values of {arm} and its advantage of position, with the indecision of {arms.human}"


def _position(arm: str, card: Mapping[str, Any]) -> str:
    """How large the advantage of position is beside the largest weight."""
    weights, order = card["weights"], card["order"]
    largest = max(weights, key=lambda name: abs(weights[name]))
    return (
        f"What this consists of: in the fit to {arm}, being listed first of two counts "
        f"{number(order, '.3f', True)}; the largest weight, {largest}, counts "
        f"{number(weights[largest], '.3f', True)} from one end of its scale to the other (both in "
        "utility)."
    )


def _answers(found: Found, arm: str) -> str:
    measures = found.alignment.measures
    human = found.alignment.judges[0]

    def value(judge: str, measure: str) -> str:
        here = measures[(measures["judge"] == judge) & (measures["measure"] == measure)]
        if here.empty or not np.isfinite(here.iloc[0]["value"]):
            return "undefined"
        got = here.iloc[0]
        span = f" ({got['low']:.2f} to {got['high']:.2f})" if np.isfinite(got["low"]) else ""
        return f"{got['value']:.2f}{span}"

    card = found.cards[arm]
    return (
        f"**{arm}**: its most likely answer is that of {human} in "
        f"{value(arm, 'compare_judges.agreement')} of pairs; it gives the coin "
        f"{value(arm, 'compare_judges.indecision')}, {human} "
        f"{value(human, 'compare_judges.indecision')}; with the orders swapped it gives the same "
        f"answer in {value(arm, 'swap_consistency.consistency')}. It decides in the waitlist "
        f"through its {card['way']}: held-out agreement on the most likely answer "
        f"{_share(card, 'held_out_modal_agreement')}, against "
        f"{_share(card, 'held_out_modal_agreement_constant')} of one that ignores the patients."
    )


def _share(card: Mapping[str, object], key: str) -> str:
    value = card[key]
    assert isinstance(value, float)
    return number(value, ".1%")


def _effect(found: Found, arm: str, who: str) -> str:
    differences = found.against(arm)
    return (
        f"**{who}**. {_whom(found, differences)}\n\nOutcomes: {verdict(differences, OUTCOMES)}\n\n"
        f"Decisions: {verdict(differences, DECISIONS)}"
    )


def _whole(found: Found, arm: str) -> str:
    """A model against the reference, and how its two parts add up."""
    arms = found.arms
    mode, without = list(arms.without_coin.items())[-1]
    parts = [found.against(arm), found.against(arms.with_coin[arm]), found.against(without)]
    weights = {arm: 1.0, arms.with_coin[arm]: -1.0, without: -1.0, arms.human: 1.0}
    parts.append(contrast(found.measures, weights))
    lines = [
        f"| {arm} against {arms.human} | whole | its values and position alone "
        f"| no coin alone ({mode}) "
        "| rest |",
        "|---|---|---|---|---|",
    ]
    for outcome in [*OUTCOMES, *DECISIONS]:
        cells = [_cell(part, outcome) for part in parts]
        lines.append(f"| {outcome.label} | {' | '.join(cells)} |")
    note = "Rest: what neither part alone explains, since the two do not simply add up."
    return "\n\n".join([_effect(found, arm, arm), "\n".join(lines), note])


def _cell(differences: pd.DataFrame, outcome: Outcome) -> str:
    got = row(differences, outcome)
    if got is None or not np.isfinite(got["value"]):
        return "-"
    text = amount(got, outcome)
    return f"**{text}**" if detectable(got) else text


def _groups(found: Found) -> list[Outcome]:
    known = found.groups[["grouping", "group"]].drop_duplicates().itertuples(index=False)
    outcomes = [
        Outcome(f"{GROUPS[grouping]} {group}", "transplant_rate", ".1f", grouping, group)
        for grouping, group in known
    ]
    order = list(GROUPS)
    return sorted(outcomes, key=lambda each: (order.index(each.grouping), each.group))


def _whom(found: Found, differences: pd.DataFrame) -> str:
    """Groups transplanted detectably more and less often, the most affected first."""
    clear = []
    for outcome in _groups(found):
        got = row(differences, outcome)
        if got is not None and np.isfinite(got["value"]) and detectable(got):
            clear.append((float(got["value"]), f"{outcome.label} {amount(got, outcome)}"))
    said = []
    for word, sign in (("more", 1), ("less", -1)):
        ordered = sorted(clear, key=lambda each: -sign * each[0])
        named = [text for value, text in ordered if sign * value > 0]
        if named:
            more = len(named) - MOST_GROUPS
            others = f"; and {more} more, in the table" if more > 0 else ""
            said.append(
                f"Transplanted {word} often (difference per 100 person-years): "
                f"{'; '.join(named[:MOST_GROUPS])}{others}."
            )
    return " ".join(said) or "No group was detectably transplanted more or less often."


def _repaired(found: Found) -> str:
    if len(found.arms.models) < 2:
        return (
            "There is no tuned model here. `make finetune` makes one; then name its folder, as in "
            "`--tuned results/finetune/1024`."
        )
    raw, tuned = found.arms.models
    gap, left, change = (
        found.against(raw),
        found.against(tuned),
        found.against(tuned, raw),
    )
    said: dict[str, list[str]] = {key: [] for key in _REPAIRS}
    for outcome in [*OUTCOMES, *DECISIONS, *_groups(found)]:
        rows = [row(each, outcome) for each in (gap, left, change)]
        verdict_, text = _repair(rows, outcome)
        said[verdict_].append(text)
    return "\n\n".join(
        f"{_REPAIRS[key]}: {'; '.join(texts)}." for key, texts in said.items() if texts
    )


def _repair(rows: Sequence[pd.Series | None], outcome: Outcome) -> tuple[str, str]:
    """Whether tuning closed a gap: by the paired change, not by who is significant."""
    gap, left, change = rows
    if gap is None or left is None or change is None or not np.isfinite(change["value"]):
        return "none", f"{outcome.label} (undefined)"
    text = f"{outcome.label} from {amount(gap, outcome)} to {amount(left, outcome)}"
    before, after = detectable(gap), detectable(left)
    if not before and not after:
        return "none", outcome.label
    moved = detectable(change)
    if moved and abs(left["value"]) >= abs(gap["value"]):
        return "worse", text
    if not before:
        return "new", text
    if not moved:
        return "not", text
    if after and left["value"] * gap["value"] < 0:
        return "overshot", text
    return ("partly" if after else "repaired"), text


def _whom_table(found: Found) -> str:
    """Transplants per 100 person-years by group: the reference's, and differences from it."""
    arms = found.arms
    others = [arm for arm in arms.every if arm != arms.human]
    differences = {arm: found.against(arm) for arm in others}
    own = contrast(found.groups, {arms.human: 1.0})
    lines = [
        "Transplants per 100 person-years of waiting, and differences from it; bold: the interval "
        "excludes none.",
        "",
        f"| group | {' | '.join(arms.every)} |",
        "|---" * (len(arms.every) + 1) + "|",
    ]
    for outcome in _groups(found):
        level = row(own, outcome)
        shown = "-" if level is None else number(level["value"], outcome.how)
        cells = [_cell(differences[arm], outcome) for arm in others]
        lines.append(f"| {outcome.label} | {shown} | {' | '.join(cells)} |")
    return "\n".join(lines)
