"""The engine against queueing theory, where the answer has a closed form."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from experiments.validation.queue import (
    ARRIVALS,
    KIDNEYS,
    LEAVING,
    WARM_UP,
    YEARS,
    idle,
    mean_length,
    queue,
)
from policies.rules import FirstCome, Lottery
from sim.record import Record
from sim.waitlist import simulate

WORLDS = 12


@cache
def records(policy: type) -> list[Record]:
    return [simulate(queue(number), policy()) for number in range(WORLDS)]


def assert_near(samples: list[float], expected: float) -> None:
    error = np.std(samples, ddof=1) / np.sqrt(len(samples))
    assert error < 0.1 * max(abs(expected), 1.0), "too few worlds to say anything"
    assert abs(np.mean(samples) - expected) < 4 * error


IDLE = idle()
LENGTH = (ARRIVALS - KIDNEYS * (1.0 - IDLE)) / LEAVING


@pytest.mark.parametrize("policy", [FirstCome, Lottery])
def test_list_length_and_transplants_have_their_closed_form(policy) -> None:
    assert 0.02 < IDLE < 0.5  # the closed form differs from the fluid limit
    assert_near([mean_length(record) for record in records(policy)], LENGTH)
    shares, unused = [], []
    for record in records(policy):
        fates = record.fates
        late = fates[(fates["exit"] > WARM_UP) & (fates["fate"] == "transplanted")]
        shares.append(len(late) / (ARRIVALS * (YEARS - WARM_UP)))
        kidneys = record.decisions[record.decisions["time"] > WARM_UP]
        unused.append(float((kidneys["outcome"] == "no_candidate").mean()))
    assert_near(shares, KIDNEYS * (1.0 - IDLE) / ARRIVALS)
    assert_near(unused, IDLE)  # kidneys see time averages


@pytest.mark.parametrize("policy", [FirstCome, Lottery])
def test_littles_law(policy) -> None:
    gaps = []
    for record in records(policy):
        entry, end = record.fates["entry"], record.fates["exit"]
        # 14 years are enough for all but one in a thousand to leave.
        cohort = (entry > WARM_UP) & (entry < YEARS - 14.0)
        predicted = ARRIVALS * float((end - entry)[cohort].mean())
        gaps.append((mean_length(record) - predicted) / LENGTH)
    assert_near(gaps, 0.0)


def test_the_length_of_the_list_is_the_same_under_every_order() -> None:
    """Leaving is memoryless here, so who is chosen cannot change how many wait."""
    difference = [
        mean_length(a) - mean_length(b)
        for a, b in zip(records(FirstCome), records(Lottery), strict=True)
    ]
    assert abs(np.mean(difference)) < 4 * np.std(difference, ddof=1) / np.sqrt(WORLDS)
    waits = [
        [record.fates.query("fate == 'transplanted'").eval("exit - entry").std() for record in runs]
        for runs in (records(FirstCome), records(Lottery))
    ]
    assert np.mean(waits[0]) < np.mean(waits[1])  # but the order does change who waits how long


def test_more_kidneys_never_mean_fewer_transplants() -> None:
    for number in range(4):
        w = queue(number)
        order = np.random.default_rng(number).permutation(len(w.kidneys["time"]))
        transplants = []
        for kept in (0.2, 0.5, 0.8, 0.95, 1.0):
            rows = np.sort(order[: int(kept * len(order))])
            fewer = replace(w, kidneys={name: c[rows] for name, c in w.kidneys.items()})
            fates = simulate(fewer, FirstCome()).fates["fate"]
            transplants.append(int((fates == "transplanted").sum()))
        assert transplants == sorted(transplants)
        assert transplants[0] < transplants[-1]
