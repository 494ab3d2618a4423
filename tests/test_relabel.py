"""Names are names: groups that swap labels swap their figures, and candidates' numbers are nothing.

Every registered measure is asked; a new one is asked as soon as it is registered.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

import measures  # noqa: F401  (fills the registry)
from measures import decisions, rates
from measures.headline import over_tie_seeds, summary
from measures.registry import MEASURES, Measure
from policies.davidson import Band
from policies.forced import force
from policies.human import human, human_assembly
from policies.protocol import Kidney, Policy
from policies.rules import FirstCome, LifeYears, Lottery, Points
from populations.presets import load_population
from populations.world import World, make_world
from sim.detail import Detail
from sim.match import Candidates, Match
from sim.record import TABLES, Record
from sim.store import Subset
from sim.waitlist import simulate

SWAP = {"Black": "White", "White": "Black"}
KEY = ["arm", "world", "measure", "grouping", "group"]
NUMBERS = ["value", "low", "high", "numerator", "denominator"]


@cache
def world() -> World:
    return make_world(load_population("teaching").parameters, 1, 0, 6.0)


ARMS = {"human": human(), "lottery": Lottery()}


@cache
def records(arm: str) -> tuple[Record, ...]:
    detail = Detail(human(), decisions.compare)
    return tuple(simulate(world(), ARMS[arm], tie_seed=seed, detail=detail) for seed in (0, 1))


def asked(card: Measure, arms: Sequence[Sequence[Record]]) -> pd.DataFrame:
    """What a measure says of runs of two arms, by race too where it can."""
    if card.reads == "arms":
        frames = [
            pd.concat([summary(runs[0], ["race"]), over_tie_seeds(runs, ["race"])]).assign(
                arm=runs[0].meta["policy"], world=0, tie_seed=0
            )
            for runs in arms
        ]
        return card.function(pd.concat(frames, ignore_index=True))
    subject = arms[0] if card.reads == "tie_seeds" else arms[0][0]
    groupings = {"never": [()], "optional": [(), ("race",)], "always": [("race",)]}[card.by]
    return pd.concat([card.function(subject, *by) for by in groupings], ignore_index=True)


def both_arms(change) -> list[list[Record]]:
    return [[change(record) for record in records(arm)] for arm in ARMS]


def assert_says_the_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Up to the order of sums; rows in any order."""
    keys = [key for key in KEY if key in expected]
    tables = [table.sort_values(keys).reset_index(drop=True) for table in (found, expected)]
    assert len(expected) and not tables[0].duplicated(keys).any()
    pd.testing.assert_frame_equal(*(t[keys] for t in tables), check_categorical=False)
    pd.testing.assert_frame_equal(*(t[NUMBERS].astype(float) for t in tables), rtol=1e-6, atol=1e-9)
    assert tables[0]["note"].tolist() == tables[1]["note"].tolist()


def swapped_text(text: str) -> str:
    return re.sub("Black|White", lambda match: SWAP[match[0]], text)


def swapped(record: Record) -> Record:
    """The same history with the labels Black and White exchanged."""
    race = record.candidates["race"]
    other = pd.Categorical(race.astype(str).replace(SWAP), race.cat.categories)
    names = {name: swapped_text(name) for name in record.ties}
    ties = record.ties.rename(columns=names)[list(record.ties)]
    return replace(record, candidates=record.candidates.assign(race=other), ties=ties)


READS_PEOPLE = [card for card in MEASURES.values() if card.reads != "judges"]
READS_JUDGES = [card for card in MEASURES.values() if card.reads == "judges"]


@pytest.mark.parametrize("card", READS_PEOPLE, ids=lambda card: card.name)
def test_groups_that_swap_names_swap_figures(card: Measure, monkeypatch) -> None:
    expected = asked(card, both_arms(lambda record: record))
    for column in ("group", "note"):
        expected[column] = expected[column].map(swapped_text)
    monkeypatch.setitem(rates.REFERENCES, "race", SWAP[rates.REFERENCES["race"]])
    assert_says_the_same(asked(card, both_arms(swapped)), expected)


@pytest.mark.parametrize("card", READS_JUDGES, ids=lambda card: card.name)
def test_judges_are_measured_without_groups(card: Measure) -> None:
    assert card.by == "never"  # arrays of probabilities: nobody's group is in them


def renumbered(record: Record) -> Record:
    """The same history, its candidates in another order under other numbers."""
    n = len(record.candidates)
    order = np.random.default_rng(0).permutation(n)  # new number -> old number
    new = np.append(np.argsort(order), -1)  # old number -> new number; -1 is nobody
    changes = {
        table: getattr(record, table)
        .iloc[order]
        .reset_index(drop=True)
        .assign(candidate=np.arange(n))
        for table in ("candidates", "fates")
    }
    of_candidates = ("decisions", "offers", "returns")
    for table, column in (*((name, "candidate") for name in of_candidates), ("ties", "winner")):
        old = getattr(record, table)
        changes[table] = old.assign(**{column: new[old[column]]})
    return replace(record, **changes)


@pytest.mark.parametrize("card", READS_PEOPLE, ids=lambda card: card.name)
def test_a_candidates_number_means_nothing(card: Measure) -> None:
    expected = asked(card, both_arms(lambda record: record))
    assert_says_the_same(asked(card, both_arms(renumbered)), expected)


POLICIES = [
    *(FirstCome(), Points(), Lottery(), LifeYears(), human(), human_assembly()),
    Band("band", human(), 0.4),
    *(force(human(), mode) for mode in ("renormalise", "argmax", "forced_human")),
    *(force(human(), mode) for mode in ("first_listed", "last_listed", "stable_id")),
    force(human(), "attribute:race"),
]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_registration_numbers_matter_to_an_arbitrary_order_only(policy: Policy) -> None:
    w = world()
    numbers = np.random.default_rng(0).permutation(w.candidates["registration"])
    other = replace(w, candidates={**w.candidates, "registration": numbers})
    one, two = simulate(w, policy), simulate(other, policy)
    if "stable_id" in policy.name:
        assert not one.fates["kidney"].equals(two.fates["kidney"])
        return
    for table in TABLES:
        pd.testing.assert_frame_equal(getattr(one, table), getattr(two, table))


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_places_in_the_list_matter_to_orders_of_listing_only(policy: Policy) -> None:
    """The same people in another order: the chances go with them."""
    order = np.random.default_rng(1).permutation(40)
    chances = []
    for rows in (np.arange(40), order):
        everyone = np.ones(40, dtype=bool)
        match = Match(Candidates(world()), Subset(rows), everyone, Kidney(0, 0, 50.0), 1.0)
        chances.append(policy.choose(match).dense(match))
    same = np.allclose(chances[0][order], chances[1], rtol=1e-9, atol=1e-12)
    # Of one race, the first listed wins a tie that is broken by race.
    by_place = policy.name == "first-come" or "listed" in policy.name or "race" in policy.name
    assert same != by_place


def test_every_table_is_renumbered() -> None:
    """So that a table added to the record is thought of here."""
    of_candidates = {"candidates", "fates", "returns", "decisions", "offers", "ties"}
    assert set(TABLES) == of_candidates | {"snapshots"}
