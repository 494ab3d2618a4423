"""Do the intervals hold what they promise? Studies of a small waitlist, repeated 400 times."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments.inference import differences
from policies.registry import make_policy
from populations.presets import load_population
from populations.world import make_world
from sim.record import Record
from sim.waitlist import simulate

POOL, WORLDS, TIE_SEEDS, STUDIES = 150, 8, 2, 400
ARMS = {"first-come": 1, "human": TIE_SEEDS}  # and how many different histories each has


def recipients_age(record: Record) -> float:
    """Mean age of recipients in years: differs between arms, and is far from degenerate."""
    return float(record.candidates["age"][record.fates["fate"] == "transplanted"].mean())


@pytest.fixture(scope="module")
def pool() -> pd.DataFrame:
    """One number for each arm, world and tie seed, as a study writes it."""
    size = ["list.initial=30", "arrivals.per_year=20", "kidneys.per_year=25"]
    parameters = load_population("teaching", size).parameters
    rows = []
    for number in range(POOL):
        world = make_world(parameters, 11, number, 1.0)
        for arm, histories in ARMS.items():
            policy = make_policy(arm, Path("unused"))
            ages = [
                recipients_age(simulate(world, policy, tie_seed=seed)) for seed in range(histories)
            ]
            rows += [
                (arm, number, seed, "recipients_age", "all", "all", ages[seed % histories])
                for seed in range(TIE_SEEDS)
            ]
    columns = ["arm", "world", "tie_seed", "measure", "grouping", "group", "value"]
    return pd.DataFrame(rows, columns=columns).assign(numerator=1.0, denominator=1.0)


@pytest.fixture(scope="module")
def studies(pool: pd.DataFrame) -> pd.DataFrame:
    """Studies of some worlds each, drawn from all there are; each a group of one frame."""
    rng = np.random.default_rng(2)
    of_world = dict(list(pool.groupby("world")))
    parts = []
    for study in range(STUDIES):
        drawn = [of_world[world] for world in rng.choice(POOL, WORLDS, replace=False)]
        parts.append(pd.concat(drawn).assign(group=f"study {study}"))
    return pd.concat(parts)


def truth(pool: pd.DataFrame) -> float:
    means = pool.groupby("arm")["value"].mean()
    return float(means["human"] - means["first-come"])


def test_the_paired_interval_covers_the_difference_in_95_of_100_studies(
    pool: pd.DataFrame, studies: pd.DataFrame
) -> None:
    true = truth(pool)
    assert true < -0.5  # people favour the young
    table = differences(studies, "first-come")
    covered = (table["low"] <= true) & (true <= table["high"])
    # Worlds of a study are drawn from a pool without putting back: a little too many are covered.
    assert covered.size == STUDIES and 0.93 <= covered.mean() <= 0.985
    assert ((table["p"] < 0.05) == ((table["low"] > 0) | (table["high"] < 0))).all()


def test_tie_seeds_taken_for_worlds_would_cover_too_seldom(
    pool: pd.DataFrame, studies: pd.DataFrame
) -> None:
    """What the interval would be worth if 8 worlds of 2 tie seeds passed for 16 worlds."""
    numbered = studies.assign(world=TIE_SEEDS * studies["world"] + studies["tie_seed"], tie_seed=0)
    table, true = differences(numbered, "first-come"), truth(pool)
    assert (table["worlds"] == WORLDS * TIE_SEEDS).all()
    covered = (table["low"] <= true) & (true <= table["high"])
    assert covered.mean() < 0.92


def test_unpaired_worlds_would_be_less_precise(pool: pd.DataFrame) -> None:
    """Same worlds under both arms: the variance of the difference is the smaller for it."""
    means = pool.groupby(["arm", "world"])["value"].mean().unstack("arm")
    paired = (means["human"] - means["first-come"]).var()
    assert paired < 0.8 * (means["human"].var() + means["first-come"].var())
