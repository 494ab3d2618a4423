"""The cards of the measures in words: one for the terminal, all of them for `docs/measures.md`."""

import inspect
import re
from typing import NamedTuple

import measures  # noqa: F401  (fills the registry)
from experiments.conflict import DEFINITIONS
from measures.registry import MEASURES, Measure
from populations.errors import InputError, did_you_mean
from populations.presets import TAGS

REFRESH = "equipoise measures --markdown > docs/measures.md"
NEVER_AN_OUTCOME = (
    "policy-invariant: nearly the same under every policy that leaves no kidney idle, so never to "
    "be read as an outcome of one"
)
_DIRECTIONS = {
    "higher": "higher is better",
    "lower": "lower is better",
    "none": "neither way is better by itself",
}
_READS = {
    "record": "one run",
    "tie_seeds": "runs of one policy in one world under several tie seeds",
    "judges": "the answers of two judges to the same pairs",
    "arms": "all arms of a study together",
}
_BY = {
    "never": "no groups",
    "optional": "everybody, or each group of a grouping",
    "always": "always the groups of a grouping",
}
_INTRODUCTION = f"""\
# The measures

Every number a study prints is one of these. Each card says how the number is computed and what it
cannot see: read that line before quoting it. No measure is called fairness, since there is no
such one thing: definitions of it disagree, and a study prints which of them would rank the same
policies the other way round.

`equipoise measures` lists them and `equipoise measures NAME` prints one card. A dotted name, such
as `time_to_transplant.p50`, is a detail of the measure before the dot.

This file is written by `{REFRESH}`.

## Where a card's source comes from

Behind every source stands how far it can be trusted:

{{tags}}

Check what is marked M or A before you rest a conclusion on it.

## Never an outcome

While kidneys are scarcer than patients, every policy that leaves none idle transplants nearly the
same number of people. What follows from that number alone is the same under every policy. These
measures are printed so that nobody takes their sameness for a finding, and they are never an
outcome of a policy:

{{invariant}}
"""


class Line(NamedTuple):
    """One line of a card."""

    heading: str
    text: str


def card_of(name: str) -> Measure:
    """The card of a measure, or of the measure that a dotted name is a detail of.

    Raises
    ------
    InputError
        If there is none; the nearest name is suggested.
    """
    whole = name.partition(".")[0]
    if whole not in MEASURES:
        hint = did_you_mean(whole, MEASURES)
        raise InputError(f"measure {name!r}: {hint}`equipoise measures` lists what there is")
    return MEASURES[whole]


def card_lines(card: Measure) -> list[Line]:
    """A whole card, line by line, as plain text with code in backticks."""
    details = _details(card)
    return [
        Line("What it is", card.description),
        *([Line("Details", details)] if details else []),
        *([Line("Never an outcome", never)] if (never := _never(card)) else []),
        Line("Formula", card.formula),
        Line("Unit", card.unit),
        Line("Better", _DIRECTIONS[card.direction]),
        Line("Discipline", card.discipline),
        Line("Protects", card.protects),
        Line("Cannot see", card.cannot_see),
        Line("Source", card.source),
        Line("Computed from", f"{_READS[card.reads]}; {_BY[card.by]}"),
    ]


# Measures that compare with what the reference policy would have done.
_OF_THE_REFERENCE = (
    *("broome_gap", "conditional_parity", "equal_chance_gap", "equal_opportunity"),
    *("tie_ledger", "distance"),
)
_SCORES = {
    "value": "the value",
    "minus": "the value with a minus sign: more is better",
    "below one": "1 minus the ratio of the lowest group to the highest",
    "below four fifths": "how far that ratio is below 0.8",
    "gap": "1 minus the lowest group's ratio over the highest's",
    "misplaced": "share of wins that went to another group than fair lots would have had it",
    "excess": "excess over independent failures, as a part of what one rule without lots gives",
}


def _never(card: Measure) -> str:
    """That a card, or which of its details, is no outcome of a policy; or nothing."""
    if card.policy_invariant:
        return NEVER_AN_OUTCOME
    names = ", ".join(f"`{card.name}.{detail}`" for detail in card.invariant_details)
    return f"{names}: {NEVER_AN_OUTCOME}" if names else ""


def _details(card: Measure) -> str:
    """What the docstring says after its first line and before its first section."""
    text = inspect.getdoc(card.function) or ""
    body = re.split(r"\n[A-Z][A-Za-z ]+\n-{3,}", text)[0].partition("\n")[2]
    return " ".join(body.split()).replace("``", "`")


def discipline(card: Measure) -> str:
    """The first of a card's disciplines: the heading it stands under."""
    return re.sub(r"\s*\(.*?\)", "", card.discipline).split(",")[0].strip()


def markdown() -> str:
    """`docs/measures.md`: every card whole, by discipline, with the tags of sources explained."""
    tags = "\n".join(f"- **{tag}**: {said}" for tag, said in TAGS.items() if tag != "user")
    listed = "\n".join(line for card in MEASURES.values() for line in _invariant(card))
    parts = [_INTRODUCTION.format(tags=tags, invariant=listed)]
    for heading in sorted({discipline(card) for card in MEASURES.values()}, key=str.lower):
        parts.append(f"## {heading[:1].upper()}{heading[1:]}\n")
        cards = [card for card in MEASURES.values() if discipline(card) == heading]
        parts += [_section(card) for card in sorted(cards, key=lambda card: card.name)]
    return "\n".join([*parts, _definitions()])


def _definitions() -> str:
    """The definitions that a study ranks its arms by."""
    lines = [
        "## Definitions of fairness that are ranked",
        "",
        "What the conflict matrix of a study ranks its policies by; smaller is fairer. Definitions "
        "marked * take the reference policy's choices for their ideal, so that the reference comes "
        "first by construction, or nearly.",
        "",
        "| definition | row it is read from | by | score |",
        "|---|---|---|---|",
    ]
    for each in DEFINITIONS:
        mark = " *" if each.measure.partition(".")[0] in _OF_THE_REFERENCE else ""
        said = _SCORES[each.score]
        lines.append(f"| {each.name}{mark} | `{each.measure}` | {each.grouping} | {said} |")
    return "\n".join([*lines, ""])


def _invariant(card: Measure) -> list[str]:
    """A card's part in the list of what is never an outcome."""
    if card.policy_invariant:
        return [f"- `{card.name}`: {escaped(card.description)}"]
    details = card.invariant_details
    return [f"- `{card.name}.{detail}`: a detail of `{card.name}`" for detail in details]


def _section(card: Measure) -> str:
    lines = [
        f"- **{heading}**: {f'`{text}`' if heading == 'Formula' else escaped(text)}"
        for heading, text in card_lines(card)
    ]
    return "\n".join([f"### `{card.name}`", "", *lines, ""])


def escaped(text: str) -> str:
    """Text with the stars, bars and underscores that Markdown would read as its own."""
    pieces = re.split(r"(`[^`]*`)", text.replace("``", "`"))
    return "".join(
        piece if piece.startswith("`") else re.sub(r"([\\*_|<>\[\]])", r"\\\1", piece)
        for piece in pieces
    )
