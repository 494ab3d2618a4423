"""Rung 1: histories so small that what must happen can be worked out by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from experiments.validation.check import Check, exact
from policies.rules import FirstCome
from populations.presets import load_population
from populations.schema import SCHEMA
from populations.world import DEPARTURES, World, make_world
from sim.waitlist import simulate

YEARS = 10.0
TAKEN, REFUSED = "acceptance.intercept=500", "acceptance.intercept=-500"
TYPE_O, TYPE_A, TYPE_B, TYPE_AB = range(len(SCHEMA["blood_type"].levels))
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Scenario:
    """One history to trace.

    Parameters
    ----------
    name : str
        What it shows.
    people : sequence of dict
        In order of listing: columns of ``World.candidates``, and ``leaves`` (year), ``cause``,
        ``relists``, ``graft_draw``; by default blood type O, nothing unacceptable, never leaving.
    kidneys : sequence of dict
        In order of time: columns of ``World.kidneys``; by default blood type O.
    given : tuple of int
        Who gets each kidney under ``first-come``, worked out by hand; -1 is nobody.
    fates : tuple of str
        What becomes of each person's first registration.
    overrides : tuple of str
        Of the teaching population's parameters.
    status : tuple of (year, person, active)
        Changes of status; everybody is active at first.
    returns : int
        How many come back to the list.
    """

    name: str
    people: Sequence[Row]
    kidneys: Sequence[Row]
    given: tuple[int, ...]
    fates: tuple[str, ...]
    overrides: tuple[str, ...] = (TAKEN,)
    status: tuple[tuple[float, int, bool], ...] = ()
    returns: int = 0
    offers: tuple[int, ...] = field(default=())


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "the longest listed first; who has died gets nothing",
        people=[{"listed": -3}, {"listed": -2, "leaves": 1.5, "cause": "died"}, {"listed": 0.5}],
        kidneys=[{"time": 1}, {"time": 2}, {"time": 3}],
        given=(0, 2, -1),
        fates=("transplanted", "died", "transplanted"),
    ),
    Scenario(
        "a kidney in the very year of leaving, after and before it",
        people=[{"listed": -1, "leaves": 2.0, "cause": "too_sick"}, {"listed": 0, "leaves": 4.1}],
        kidneys=[{"time": 2.1}, {"time": 4.0}],
        given=(1, -1),
        fates=("too_sick", "transplanted"),
    ),
    Scenario(
        "the kidney's own blood group first, then who is compatible, never who is not",
        people=[
            {"listed": -4, "blood_type": TYPE_A},
            {"listed": -3, "blood_type": TYPE_O},
            {"listed": -2, "blood_type": TYPE_B},
            {"listed": -1, "blood_type": TYPE_AB},
        ],
        kidneys=[
            {"time": 1, "blood_type": TYPE_O},
            {"time": 2, "blood_type": TYPE_O},
            {"time": 3, "blood_type": TYPE_A},
            {"time": 4, "blood_type": TYPE_A},
        ],
        given=(1, 0, 3, -1),
        fates=("transplanted", "transplanted", "waiting", "transplanted"),
    ),
    Scenario(
        "an unacceptable antigen bars exactly the kidneys that carry it",
        people=[{"listed": -2, "unacceptable": 0b0110}, {"listed": -1, "unacceptable": 0b1000}],
        kidneys=[
            {"time": 1, "hla": 0b0011},
            {"time": 2, "hla": 0b1010},
            {"time": 3, "hla": 0b0001},
        ],
        given=(1, -1, 0),
        fates=("transplanted", "transplanted"),
    ),
    Scenario(
        "whoever is inactive is passed over, and keeps their place",
        people=[{"listed": -2}, {"listed": -1}, {"listed": -0.5}],
        kidneys=[{"time": 1}, {"time": 2}],
        given=(1, 0),
        fates=("transplanted", "transplanted", "waiting"),
        status=((0.5, 0, False), (1.5, 0, True)),
    ),
    Scenario(
        "refused by each of three centres' candidates, a kidney goes unused",
        people=[
            {"listed": -2, "centre": 0},
            {"listed": -1, "centre": 1},
            {"listed": 0, "centre": 2},
        ],
        kidneys=[{"time": 1}],
        given=(-1,),
        fates=("waiting", "waiting", "waiting"),
        overrides=(REFUSED, "centres.count=3"),
        offers=(3,),
    ),
    Scenario(
        "refused by all of its own blood group, a kidney goes on to compatible ones",
        people=[{"listed": -3, "blood_type": TYPE_A}, {"listed": -2}, {"listed": -1}],
        kidneys=[{"time": 1, "blood_type": TYPE_O}],
        given=(-1,),
        fates=("waiting", "waiting", "waiting"),
        overrides=(REFUSED,),
        offers=(3,),
    ),
    Scenario(
        "a kidney is offered so many times and no more",
        people=[{"listed": -3}, {"listed": -2}, {"listed": -1}],
        kidneys=[{"time": 1}],
        given=(-1,),
        fates=("waiting", "waiting", "waiting"),
        overrides=(REFUSED, "acceptance.max_offers=2"),
        offers=(2,),
    ),
    Scenario(
        "who loses a graft comes back to the list, behind who came before",
        people=[
            {"listed": -2, "blood_type": TYPE_A, "relists": True, "graft_draw": 1e-6},
            {"listed": -1, "blood_type": TYPE_A, "graft_draw": 1e-6},
            {"listed": 1.1, "blood_type": TYPE_B},
        ],
        kidneys=[{"time": 1}, {"time": 3}, {"time": 4}, {"time": 5}],
        given=(0, 1, 2, 0),
        fates=("transplanted", "transplanted", "transplanted"),
        overrides=(TAKEN, "relisting.delay_years=0.5", "waiting.level=0"),
        returns=1,
    ),
    Scenario(
        "both kidneys of a donor: the second goes to the next",
        people=[{"listed": -2}, {"listed": -1}],
        kidneys=[{"time": 1, "donor": 0}, {"time": 1, "donor": 0}],
        given=(0, 1),
        fates=("transplanted", "transplanted"),
    ),
)

_PERSON: Row = {"blood_type": TYPE_O, "unacceptable": 0, "hla": 0, "centre": 0, "cpra": 0.0}
_KIDNEY: Row = {"blood_type": TYPE_O, "hla": 0, "kdpi": 50.0, "hospital": 0}


def by_hand(scenario: Scenario) -> World:
    """The world of a scenario: what it does not name is as in the teaching population."""
    n, m = len(scenario.people), len(scenario.kidneys)
    overrides = (
        "centres.count=1",
        f"list.initial={n}",
        "arrivals.per_year=0",
        "waiting.living_donor_per_year=0",
        "waiting.other_per_year=0",
        *("acceptance.slope=0", "acceptance.curvature=0", "acceptance.longevity=0"),
        *scenario.overrides,
    )
    drawn = make_world(load_population("teaching", overrides).parameters, 0, 0, YEARS)
    assert len(drawn.kidneys["time"]) >= m, "a teaching world has more kidneys than a scenario"
    events = sorted(scenario.status)
    return replace(
        drawn,
        candidates=_columns(drawn.candidates, n, [{**_PERSON, **p} for p in scenario.people]),
        kidneys=_columns(
            drawn.kidneys, m, [{**_KIDNEY, "donor": i, **k} for i, k in enumerate(scenario.kidneys)]
        ),
        departure=_of(scenario, "leaves", np.inf, float),
        departure_cause=np.array(
            [DEPARTURES.index(p.get("cause", "other")) for p in scenario.people], dtype=np.int8
        ),
        untreated_death=_of(scenario, "leaves", 1e3, float),
        survival_draw=np.full(n, 1e3),
        graft_draw=_of(scenario, "graft_draw", 1e3, float),
        relists=_of(scenario, "relists", False, bool),
        active_at_entry=np.ones(n, dtype=bool),
        status_time=np.array([time for time, _, _ in events], dtype=float),
        status_row=np.array([row for _, row, _ in events], dtype=np.int64),
        status_active=np.array([active for _, _, active in events], dtype=bool),
    )


def _columns(drawn: Mapping[str, np.ndarray], n: int, rows: Sequence[Row]) -> dict[str, np.ndarray]:
    """The first ``n`` rows of a table, with what the rows name in place of what was drawn."""
    columns = {name: column[:n].copy() for name, column in drawn.items()}
    for number, row in enumerate(rows):
        for name, value in row.items():
            if name in columns:
                columns[name][number] = value
    for column in columns.values():
        column.setflags(write=False)
    return columns


def _of(scenario: Scenario, name: str, default: Any, dtype: type) -> np.ndarray:
    return np.array([person.get(name, default) for person in scenario.people], dtype=dtype)


def traced() -> list[Check]:
    """How much of each scenario went as worked out by hand: one line for each."""
    return [_trace(scenario) for scenario in SCENARIOS]


def _trace(scenario: Scenario) -> Check:
    record = simulate(by_hand(scenario), FirstCome())
    expected = [*scenario.given, *scenario.fates, scenario.returns, *scenario.offers]
    found = [
        *record.decisions["candidate"],
        *record.fates["fate"],
        len(record.returns),
        *record.decisions["offers"][: len(scenario.offers)],
    ]
    held = sum(one == other for one, other in zip(expected, found, strict=True))
    said = "kidneys, fates, returns and offers as worked out"
    return exact("traced", scenario.name, len(expected), held, said)
