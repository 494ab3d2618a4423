"""Rungs 3 and 4: the engine against queueing theory, where the answer has a closed form.

With one blood group, no antibodies, everybody active and every offer accepted the list is an
M/M/1 queue with impatience: listings are a Poisson process, kidneys come as one, and whoever waits
leaves at a constant rate. The chance that nobody waits is then 1 / 1F1(1; 1 + k/l; a/l), with a
listings and k kidneys a year and l the rate of leaving (Ancker & Gafarian 1963, with a service that
is not interrupted by impatience; derived here from the balance equations).
"""

from functools import cache

import numpy as np
from scipy.special import hyp1f1

from experiments.validation.check import Check, by_theory
from policies.rules import Lottery
from populations.presets import load_population
from populations.world import World, make_world
from sim.record import Record
from sim.waitlist import simulate

ARRIVALS, KIDNEYS, LEAVING = 30.0, 27.0, 0.5  # per year
YEARS, WARM_UP = 40.0, 8.0
SETTLED = YEARS - 14.0  # 14 years are enough for all but one in a thousand to leave
SOURCE = "queueing theory: M/M/1 with impatience"


@cache
def queue(number: int) -> World:
    """World ``number`` of the queue: no antibodies, no refusals, nobody inactive or returning."""
    overrides = [
        "list.initial=0",
        f"arrivals.per_year={ARRIVALS}",
        f"kidneys.per_year={KIDNEYS}",
        "kidneys.per_donor=1",
        "kidneys.blood_type=[1, 0, 0, 0]",
        "blood_type.shares=[1, 0, 0, 0]",
        "waiting.level=0",
        "waiting.too_sick_ratio=0",
        "waiting.living_donor_per_year=0",
        f"waiting.other_per_year={LEAVING}",
        "cpra.edges=[0, 1e-9, 51, 85, 100]",
        "cpra.shares=[1, 0, 0, 0]",
        "acceptance.intercept=50",
        "acceptance.slope=0",
        "acceptance.curvature=0",
        "acceptance.longevity=0",
        "status.inactive_at_listing=0",
        "status.inactive_on_list=0",
        "status.inactivation=0",
        "relisting.share=0",
    ]
    return make_world(load_population("teaching", overrides).parameters, 7, number, YEARS)


@cache
def history(number: int) -> Record:
    """What became of world ``number`` under lots, where the order does not matter."""
    return simulate(queue(number), Lottery())


def mean_length(record: Record) -> float:
    """Mean number waiting after the warm-up."""
    entry, end = record.fates["entry"], record.fates["exit"]
    waited = np.maximum(end - entry.clip(lower=WARM_UP), 0.0)
    return float(waited.sum() / (YEARS - WARM_UP))


def idle() -> float:
    """Chance that nobody waits, in the long run."""
    return float(1.0 / hyp1f1(1.0, 1.0 + KIDNEYS / LEAVING, ARRIVALS / LEAVING))


def closed_forms(worlds: int) -> list[Check]:
    """Length of the list, share transplanted and share of kidneys unused against their formulae."""
    lengths, shares, unused = [], [], []
    for number in range(worlds):
        record = history(number)
        lengths.append(mean_length(record))
        fates, kidneys = record.fates, record.decisions
        late = (fates["exit"] > WARM_UP) & (fates["fate"] == "transplanted")
        shares.append(float(late.sum()) / (ARRIVALS * (YEARS - WARM_UP)))
        later = kidneys[kidneys["time"] > WARM_UP]
        unused.append(float((later["outcome"] == "no_candidate").mean()))
    used = KIDNEYS * (1.0 - idle())
    return [
        by_theory(
            "closed form", "mean number waiting", (ARRIVALS - used) / LEAVING, lengths, SOURCE
        ),
        by_theory("closed form", "share transplanted", used / ARRIVALS, shares, SOURCE),
        by_theory("closed form", "kidneys that nobody waits for", idle(), unused, SOURCE),
    ]


def littles_law(worlds: int) -> list[Check]:
    """Mean number waiting against listings a year times mean years on the list."""
    gaps = []
    for number in range(worlds):
        record = history(number)
        entry, end = record.fates["entry"], record.fates["exit"]
        cohort = (entry > WARM_UP) & (entry < SETTLED)
        gaps.append(mean_length(record) / (ARRIVALS * float((end - entry)[cohort].mean())))
    source = "Little 1961"
    return [by_theory("little", "number waiting : arrivals x years waited", 1.0, gaps, source)]
