"""One lottery number for life, or lots drawn anew for every kidney: the same chances, once."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy.stats import chisquare

from experiments.cli import main
from experiments.study import Study
from policies.human import human
from policies.protocol import Choice, Kidney, Policy
from policies.rules import FirstCome, Lottery
from populations.errors import InputError
from populations.presets import load_population
from populations.world import World, make_world
from sim.lots import lots_of, persistent_lots
from sim.match import Candidates, Match
from sim.record import TABLES, Record
from sim.store import Subset
from sim.waitlist import Waitlist, simulate

SURE = 1e-4  # fixed seeds: a right simulator never fails, a wrong one is far beyond


@cache
def world(years: float = 3.0, *overrides: str) -> World:
    return make_world(load_population("teaching", overrides).parameters, 2, 0, years)


def run_of(w: World, n: int) -> Match:
    everyone = np.ones(n, dtype=bool)
    return Match(Candidates(w), Subset(np.arange(n)), everyone, Kidney(0, 0, 50.0), 1.0)


def drawn(chances: np.ndarray, nobody: bool = False) -> list[list[int]]:
    """Who is drawn, one after the other, under many sets of lottery numbers; -1 is nobody."""
    n, draws = len(chances), 20_000
    match, rng = run_of(world(), n), np.random.default_rng(5)
    return [
        [
            slot
            for slot, _ in persistent_lots(rng.standard_exponential(n))(
                match, Choice(chances, 0.0), iter(rng.random(64).tolist())
            )
        ]
        for _ in range(draws)
    ]


def test_a_number_draws_candidates_with_their_chances() -> None:
    chances = np.random.default_rng(0).dirichlet(np.full(30, 0.5))
    chances[3] = 0.0
    chances *= 0.8 / chances.sum()
    seen = np.bincount([order[0] % 31 for order in drawn(chances)], minlength=31)
    expected = np.append(chances, 0.2)  # -1 is the last
    assert seen[3] == 0
    likely = expected * seen.sum() > 5
    pooled = [np.append(x[likely], x[~likely].sum()) for x in (seen, expected * seen.sum())]
    assert chisquare(*pooled).pvalue > SURE


def test_after_refusals_the_chances_are_those_of_the_others() -> None:
    chances = np.random.default_rng(1).dirichlet(np.ones(5))
    orders = drawn(chances)
    assert all(sorted(order) == list(range(5)) for order in orders)
    seen = np.bincount([5 * order[0] + order[1] for order in orders], minlength=25)
    expected = (chances[:, None] * chances / (1 - chances[:, None])).ravel()
    expected[::6] = 0.0  # nobody twice
    assert chisquare(seen[expected > 0], expected[expected > 0] * len(orders)).pvalue > SURE
    assert not seen[expected == 0].any()


def test_a_chance_too_small_for_the_arithmetic_is_late_and_not_never() -> None:
    match, chances = run_of(world(), 30), np.zeros(30)
    chances[7] = 5e-324
    lots = persistent_lots(np.ones(30))(match, Choice(chances, 0.0), iter([0.0] * 3))
    assert [slot for slot, _ in lots] == [7]


@pytest.mark.parametrize("policy", [Lottery(), human()], ids=lambda p: p.name)
def test_both_memories_give_one_kidney_with_the_policys_chances(policy: Policy) -> None:
    w = world(1.0, "list.initial=160", "arrivals.per_year=0")
    model = Waitlist(w, policy)
    model.run_until(float(w.kidneys["time"][0]) - 1e-6)
    kidney = Kidney(0, int(w.kidneys["blood_type"][0]), float(w.kidneys["kdpi"][0]))
    match = model.allocator.eligible(kidney)
    choice = policy.choose(match)
    chances = choice.dense(match)
    assert len(chances) > 5
    for lottery in ("fresh", "persistent"):
        rows = [
            match.pool.rows[
                next(lots_of(w, seed, lottery)(match, choice, iter(next(w.tickets(seed)))))[0]
            ]
            for seed in range(3000)
        ]
        seen = np.count_nonzero(np.array(rows) == match.rows[:, None], axis=1)
        assert seen.sum() == 3000
        assert chisquare(seen, chances * 3000).pvalue > SURE, lottery


def first_offers(lottery: str) -> pd.DataFrame:
    """Where nobody accepts, so that the same people are offered kidneys again and again."""
    w = world(2.0, "acceptance.intercept=-900")
    offers = simulate(w, Lottery(), lottery=lottery).offers
    offers = offers[offers["offer"] == 0]
    return offers.assign(blood_type=w.kidneys["blood_type"][offers["kidney"]])


def test_luck_is_of_a_moment_or_for_life() -> None:
    fresh, persistent = (first_offers(lottery)["candidate"] for lottery in ("fresh", "persistent"))
    assert len(fresh) == len(persistent) > 100
    assert fresh.nunique() > 0.6 * len(fresh)
    assert persistent.nunique() < 0.4 * len(persistent)
    # The smallest number of those who may have it always wins.
    numbers = world(2.0).lottery_numbers(0)
    assert numbers[persistent].mean() < 0.3 * numbers.mean()


def test_no_lots_no_memory() -> None:
    fresh, persistent = (
        simulate(world(), FirstCome(), lottery=lottery) for lottery in ("fresh", "persistent")
    )
    for table in TABLES:
        pd.testing.assert_frame_equal(getattr(fresh, table), getattr(persistent, table))


def test_numbers_are_the_candidates_own() -> None:
    short, long = world(1.5), world(3.0)
    few = short.lottery_numbers(1)
    np.testing.assert_array_equal(few, long.lottery_numbers(1)[: len(few)])
    assert not np.array_equal(few, short.lottery_numbers(0))
    a, b = (simulate(w, human(), lottery="persistent", tie_seed=1) for w in (short, long))
    pd.testing.assert_frame_equal(
        a.decisions, b.decisions.iloc[: len(a.decisions)], check_categorical=False
    )
    assert a.meta["lottery"] == "persistent"
    assert simulate(short, human()).meta["lottery"] == "fresh"


def test_a_record_says_how_lots_were_drawn(tmp_path) -> None:
    record = simulate(world(), human(), lottery="persistent")
    record.save(tmp_path)
    assert Record.load(tmp_path).meta["lottery"] == "persistent"


def test_an_unknown_memory_is_refused() -> None:
    with pytest.raises(InputError, match="lottery 'eternal': expected one of fresh, persistent"):
        simulate(world(), Lottery(), lottery="eternal")
    with pytest.raises(InputError, match="lottery 'eternal'"):
        Study(population="teaching", policies=("lottery",), lottery="eternal").check()
    command = ["run", "compare", "--policies", "lottery", "--lottery", "eternal"]
    said = CliRunner().invoke(main, command)
    assert said.exit_code != 0 and "lottery 'eternal'" in said.output
