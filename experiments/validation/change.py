"""Rung 7: the new allocation rules of December 2014, predicted from the years before.

The population is set to the years before the change, its acceptance fitted to the share of kidneys
that went unused then, and each world run twice: under the old rules throughout, and under the old
rules until the year ``SWITCH``, when the new ones begin. Same candidates, same kidneys: what
differs in the nine months after is what the rules did. None of the changes below was looked at in
fitting.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from experiments.validation.check import Check, compared, compared_change
from experiments.validation.published import LIST
from experiments.validation.reasons import REASONS_OF_CHANGE, reason
from experiments.validation.spells import cpra_group, spells
from policies.protocol import Choice, MatchRun, Policy
from populations.parameters import Parameters
from populations.presets import Population
from populations.schema import nearest_percent
from populations.world import World, make_world
from sim.record import Record
from sim.waitlist import simulate

FITTED_ON, FIT_STEPS = 5_000.0, 8  # candidates of the list on which acceptance is fitted
SWITCH, WINDOW = 3.0, 0.75  # years; the sources look at the first nine months
OLD, NEW = "us-pre-kas", "us-kas"
UNUSED = 0.17  # R: "more than 17 %" of the kidneys recovered in 2013 (Reese et al. 2016)
# Of the years before, for a list of LIST: waiting (ADR 2014, "nearly 100,000", R), registrations a
# year (UNOS, KAS: the first year, 2016: some 3,200 in 30 days, R) and kidneys recovered (Reese et
# al. 2016: 11,000 transplanted, 17 % unused, D).
ERA = {"list.initial": 100_000, "arrivals.per_year": 39_000, "kidneys.per_year": 13_250}

_MASSIE = "Massie et al. 2016"
_TABLE = f"{_MASSIE}, adjusted rate ratios before and after"
_RATES = f"{_MASSIE}, adjusted change of the rate"
_GEBEL = "Gebel 2016"


@dataclass(frozen=True)
class Switched:
    """One policy until a year of the run, another from then on."""

    before: Policy
    after: Policy
    year: float
    card: dict[str, object] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What results call it."""
        return f"{self.before.name}, from year {self.year:g} {self.after.name}"

    def choose(self, match: MatchRun) -> Choice:
        """What the policy of the day says."""
        return (self.before if match.time < self.year else self.after).choose(match)


@dataclass(frozen=True)
class Change:
    """A figure before and after; ``before`` is NaN where only the ratio of the two is published."""

    name: str
    before: float
    change: float
    source: str


def _of(name: str, before: float, after: float, source: str) -> Change:
    return Change(name, before, after / before, source)


CHANGES: tuple[Change, ...] = (
    Change("transplant rate, Black", np.nan, 1.19, _RATES),
    Change("transplant rate, Hispanic", np.nan, 1.13, _RATES),
    Change("transplant rate, age 18-40", np.nan, 1.47, _RATES),
    Change("transplant rate, age 51-60", np.nan, 0.93, _RATES),
    Change("transplant rate, age over 70", np.nan, 0.90, _RATES),
    _of("transplant rate, Black : White", 0.90, 1.15, _TABLE),
    _of("transplant rate, Hispanic : White", 0.76, 0.99, _TABLE),
    _of("transplant rate, blood type A : O", 1.56, 1.44, _TABLE),
    _of("transplant rate, blood type B : O", 0.89, 0.90, _TABLE),
    _of("transplant rate, blood type AB : O", 2.57, 2.72, _TABLE),
    _of("transplants per 100 person-years, cPRA 98", 9.7, 13.2, _GEBEL),
    _of("transplants per 100 person-years, cPRA 99", 8.8, 21.6, _GEBEL),
    _of("transplants per 100 person-years, cPRA 100", 2.7, 19.1, _GEBEL),
    _of("recipients with cPRA 100", 0.010, 0.103, _MASSIE),
    _of("kidneys shared regionally", 0.088, 0.125, _MASSIE),
    _of("kidneys shared nationally", 0.127, 0.191, _MASSIE),
    _of("recipients over 30 years older than the donor", 0.194, 0.150, _MASSIE),
)


def predicted(
    population: Population,
    policies: Callable[[str], Policy],
    seed: int,
    worlds: int,
) -> list[Check]:
    """Predict the change in several worlds and compare it with what was published.

    Parameters
    ----------
    population : Population
        Of any size; its list, listings and kidneys are set to the years before.
    policies : callable
        Makes a policy from its name.
    """
    parameters = population.parameters
    scale = parameters.list.initial / LIST
    counts = {key: value * scale for key, value in ERA.items()}
    era = _set(parameters, counts, fit_acceptance(parameters, policies(OLD), seed))
    old, new = policies(OLD), Switched(policies(OLD), policies(NEW), SWITCH)
    runs: dict[str, list[Counts]] = {"old": [], "new": []}
    for number in range(worlds):
        world = make_world(era, seed, number, SWITCH + WINDOW)
        for arm, policy in (("old", old), ("new", new)):
            runs[arm].append(_counted(simulate(world, policy), world))
    before, after = (_figures(runs[arm]) for arm in ("old", "new"))
    return [line for each in CHANGES for line in _lines(each, before[each.name], after[each.name])]


def fit_acceptance(p: Parameters, policy: Policy, seed: int) -> float:
    """The ``acceptance.intercept`` under which ``UNUSED`` of the kidneys of those years go unused.

    Fitted by bisection under a policy, on one year of a list of ``FITTED_ON``.
    """
    scale = FITTED_ON / LIST
    counts = {key: value * scale for key, value in ERA.items()}
    low, high = -6.0, 12.0
    for _ in range(FIT_STEPS):
        middle = (low + high) / 2
        world = make_world(_set(p, counts, middle), seed, 0, 1.0)
        unused = (simulate(world, policy).decisions["outcome"] != "transplanted").mean()
        low, high = (middle, high) if unused > UNUSED else (low, middle)
    return (low + high) / 2


def _set(p: Parameters, counts: Mapping[str, float], intercept: float) -> Parameters:
    """Parameters with the counts of ``ERA`` and a level of acceptance."""
    content = p.model_dump()
    for key, value in counts.items():
        section, _, name = key.partition(".")
        content[section][name] = round(value) if key == "list.initial" else value
    content["acceptance"]["intercept"] = intercept
    return Parameters.model_validate(content)


Counts = dict[str, tuple[float, float]]  # events and what they are counted over, by name


def _counted(record: Record, world: World) -> Counts:
    """Events and exposure of every figure from ``SWITCH`` to the end of the run."""
    end = record.years
    every = spells(record)
    every["waited"] = (every["exit"].clip(upper=end) - every["entry"].clip(lower=SWITCH)).clip(0.0)
    every["got"] = (every["fate"] == "transplanted") & (every["exit"] >= SWITCH)
    every["age_now"] = every["age"] + every["entry"].clip(lower=SWITCH) - every["listed"]
    groups: dict[str, pd.Series] = {
        **{name: every["race"] == name for name in ("Black", "Hispanic", "White")},
        "age 18-40": every["age_now"] < 41,
        "age 51-60": (every["age_now"] >= 51) & (every["age_now"] < 61),
        "age over 70": every["age_now"] >= 71,
        **{f"blood type {name}": every["blood_type"] == name for name in ("O", "A", "B", "AB")},
        **{f"cPRA {whole}": cpra_group(every["cpra"]) == whole for whole in (98, 99, 100)},
    }
    counts = {
        name: (float(every.loc[here, "got"].sum()), float(every.loc[here, "waited"].sum()))
        for name, here in groups.items()
    }
    kidneys = record.decisions
    used = kidneys[(kidneys["outcome"] == "transplanted") & (kidneys["time"] >= SWITCH)]
    birth = world.candidates["birth"][used["candidate"]]
    older = used["time"] - birth - used["donor_age"] > 30
    cpra = world.candidates["cpra"][used["candidate"]]
    shares = {
        "recipients with cPRA 100": nearest_percent(cpra) >= 100,
        "kidneys shared regionally": used["level"] == "regional",
        "kidneys shared nationally": used["level"] == "national",
        "recipients over 30 years older than the donor": older,
    }
    return counts | {
        name: (float(np.sum(np.asarray(each))), len(used)) for name, each in shares.items()
    }


def _figures(worlds: list[Counts]) -> dict[str, float]:
    """The figures of ``CHANGES`` from the counts of all worlds together."""
    totals = {name: np.sum([each[name] for each in worlds], axis=0) for name in worlds[0]}
    share = {name: float(a / b) if b else np.nan for name, (a, b) in totals.items()}
    figures = {}
    for change in CHANGES:
        kind, _, who = change.name.partition(", ")
        if kind == "transplants per 100 person-years":
            figures[change.name] = 100.0 * share[who]
        elif kind == "transplant rate" and " : " in who:
            one, base = who.split(" : ")
            of = "blood type " if who.startswith("blood type") else ""
            figures[change.name] = share[one] / share[f"{of}{base}"]
        else:
            figures[change.name] = share[who] if who else share[kind]
    return figures


def _lines(change: Change, before: float, after: float) -> list[Check]:
    """What it was before, where that is published, and how it changed."""
    rows = []
    if np.isfinite(change.before):
        verdict = compared(change.before, before)
        rows.append(("before", change.before, before, verdict, "checked"))
    ratio = after / before if before else np.nan
    verdict = compared_change(change.change, ratio)
    rows.append(("after / before", change.change, ratio, verdict, "predicted"))
    why = reason(change.name, REASONS_OF_CHANGE)
    return [
        Check(
            "predicted",
            f"{change.name}: {what}",
            expected,
            found,
            verdict,
            use,
            "R",
            change.source,
            "" if verdict == "within" else why,
        )
        for what, expected, found, verdict, use in rows
    ]
