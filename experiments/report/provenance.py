"""Where everything comes from: figures, constants, measures."""

from typing import Any, NamedTuple

from experiments.inference import LEVEL
from experiments.measure_docs import Line, card_lines
from experiments.report.general import used_measures
from experiments.report.results import Found
from measures.decisions import REFERENCE_MASS
from measures.registry import MEASURES
from policies.davidson import Linear
from policies.human import human
from populations import hazards
from populations.presets import TAGS

FLAGGED = ("A", "M")  # shown first: nobody has checked them


class Figure(NamedTuple):
    """One figure or constant, and where it comes from."""

    name: str
    value: str
    tag: str
    source: str

    @property
    def flagged(self) -> bool:
        """Whether it is an assumption or from memory."""
        return self.tag in FLAGGED


class Card(NamedTuple):
    """A measure's card."""

    name: str
    lines: tuple[Line, ...]


def figures(found: Found) -> list[Figure]:
    """Every figure of the population, those from memory or assumed first."""
    listed = [
        Figure(key, _value(found.file.population, key), origin.tag, origin.source)
        for key, origin in found.file.origins.items()
    ]
    order = [*FLAGGED, *(tag for tag in TAGS if tag not in FLAGGED)]
    return sorted(listed, key=lambda each: order.index(each.tag) if each.tag in order else -1)


def _value(population: dict[str, Any], key: str) -> str:
    value: Any = population
    for part in key.split("."):
        value = value.get(part, "") if isinstance(value, dict) else ""
    return str(value)


def _people() -> str:
    """The fitted weights of the policy `human`."""
    people = human()
    assert isinstance(people.values, Linear)  # that fit is
    weights = ", ".join(f"{name} {each[0]:g}" for name, each in people.values.weights.items())
    return f"{weights}; lambda {people.log_tie:g}"


# What results rest on beside the population's figures, what is assumed or from memory first.
CONSTANTS: tuple[Figure, ...] = (
    Figure(
        "Whom people's values would have considered (H)",
        f"the smallest set holding {REFERENCE_MASS:.0%} of the chance",
        "A",
        "ours; M and I depend on it",
    ),
    Figure(
        "Years over which the policy life-years counts a kidney's gain",
        f"{hazards.GAIN_HORIZON:g}",
        "A",
        "ours; used by that policy alone",
    ),
    Figure("Level of intervals and tests", f"{1 - LEVEL:.0%}", "A", "convention"),
    Figure(
        "cPRA points of the policy points",
        "a sliding scale",
        "M",
        "OPTN policy, from memory; used by that policy alone",
    ),
    Figure(
        "Weights of the policy human, and lambda",
        _people(),
        "D",
        "fitted to 5,297 answers of 132 people, McElfresh et al. 2021, study 2",
    ),
    Figure(
        "Deaths a year on the list, before waiting.level, of the reference patient",
        f"{hazards.BASELINE:g}",
        "D",
        "reproduces the survival printed by Parker et al. 2021; its coefficients are R",
    ),
    Figure(
        "Deaths a year after a kidney, by age and time since",
        f"{hazards.DECEASED_DONOR.tolist()}",
        "D",
        "from survival at 1, 3 and 5 years, SRTR/OPTN Annual Data Report 2023 (R2)",
    ),
    Figure(
        "The same after a living donor's kidney",
        f"{hazards.LIVING_DONOR.tolist()}",
        "D",
        "from the same report (R2)",
    ),
    Figure(
        "Deaths a year on dialysis, by age",
        f"{hazards.DIALYSIS.tolist()}",
        "R2",
        "USRDS Annual Data Report 2023 (year 2019)",
    ),
    Figure(
        "Deaths of those removed as too sick against those on dialysis",
        f"{hazards.INACTIVE_HAZARD_RATIO:g}",
        "R",
        "Grams et al. 2013, inactive against active candidates",
    ),
    Figure(
        "EPTS, KDPI and KDRI",
        "published coefficients and mapping tables",
        "R2",
        "OPTN; Rao et al. 2009 (R)",
    ),
)


def cards(found: Found) -> list[Card]:
    """The card of every measure in this study's tables."""
    return [Card(name, tuple(card_lines(MEASURES[name]))) for name in used_measures(found)]
