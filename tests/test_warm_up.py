"""Warm-up: the truncation rule, the slowest arm, and rates after it."""

import numpy as np
import pandas as pd
import pytest
from two_histories import A, pick

from experiments.warm_up import after, find, mser5, sentence
from measures import rates

STEP = 0.25


def brute_force(series: np.ndarray) -> tuple[int, list[float]]:
    """MSER-5 word by word: sum over the kept of squared deviations over their number squared."""
    batches = [np.mean(series[i : i + 5]) for i in range(0, len(series) - 4, 5)]
    scores = []
    for d in range(len(batches) // 2 + 1):
        kept = batches[d:]
        mean = sum(kept) / len(kept)
        scores.append(sum((y - mean) ** 2 for y in kept) / len(kept) ** 2)
    return 5 * scores.index(min(scores)), scores


@pytest.mark.parametrize("seed", range(20))
def test_mser_is_the_smallest_error_of_the_mean(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(40, 200))
    series = 50 * np.exp(-np.arange(n) / rng.uniform(2, 60)) + rng.normal(0, 1, n)
    best, scores = brute_force(series)
    last = 5 * (len(scores) - 1)
    assert mser5(series) == (None if best == last else best)


def test_mser_by_hand() -> None:
    """Three batches of 9, 1, 1 and three more of 1: deleting one batch leaves no error at all."""
    series = np.repeat([9.0, 1.0, 1.0, 1.0, 1.0, 1.0], 5)
    assert mser5(series) == 5
    assert mser5(np.repeat([9.0, 9.0, 1.0, 1.0, 1.0, 1.0], 5)) == 10
    assert mser5(np.ones(30)) == 0
    # What is left of a batch at the end does not count.
    assert mser5([*series, 1e9, 1e9]) == 5


def test_a_series_that_never_settles_has_no_truncation() -> None:
    assert mser5(np.arange(100.0)) is None
    assert mser5(np.ones(9)) is None  # one batch: too short to tell


def inputs(
    lists: dict[str, np.ndarray], leave: dict[str, float]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sizes of the list by quarter; 100 person-years a run, of whom ``leave`` die."""
    sizes, counts = [], []
    for arm, waiting in lists.items():
        for off in (-10.0, 10.0):  # two runs whose mean is the series
            time = STEP * np.arange(len(waiting))
            sizes.append(pd.DataFrame({"arm": arm, "time": time, "waiting": waiting + off}))
        for measure, value, denominator in (
            ("transplant_rate", 20.0, 100.0),
            ("fate_counts.died", leave[arm], 400.0),
            ("fate_counts.waiting", 300.0, 400.0),
        ):
            counts.append((arm, measure, "all", "all", value, denominator))
    columns = ["arm", "measure", "grouping", "group", "value", "denominator"]
    return pd.concat(sizes), pd.DataFrame(counts, columns=columns)


def settling(quarters: int, until: int) -> np.ndarray:
    """High for the first ``until`` quarters, then even."""
    return np.where(np.arange(quarters) < until, 300.0, 200.0)


def test_all_arms_get_the_longest_warm_up() -> None:
    lists = {"h": settling(401, 20), "x": settling(401, 60), "y": settling(401, 10)}
    found = find(*inputs(lists, {"h": 100.0, "x": 100.0, "y": 100.0}), years=100.0)
    assert found.truncation == {"h": 5.0, "x": 15.0, "y": 2.5}
    assert found.slow_mode == {"h": 1.0, "x": 1.0, "y": 1.0}
    assert found.steady and found.years == 15.0 and found.needed == 30.0
    assert "after the first 15.0 years" in sentence(found, 100.0)


def test_it_is_no_shorter_than_the_slow_mode_of_the_slowest_arm() -> None:
    """5 of 100 leave in a year under x: a deviation lasts 20 years, the warm-up 100."""
    lists = {"h": settling(401, 20), "x": settling(401, 20)}
    found = find(*inputs(lists, {"h": 50.0, "x": 20.0}), years=100.0)
    assert found.slow_mode == {"h": 2.0, "x": 5.0}
    assert found.steady and found.years == 25.0
    slower = find(*inputs(lists, {"h": 50.0, "x": 5.0}), years=100.0)
    assert not slower.steady and slower.years == 50.0 and slower.needed == 200.0
    said = sentence(slower, 100.0)
    assert "No steady state in 100 years" in said and "at least 200 years" in said


def test_a_list_still_moving_half_way_is_not_steady() -> None:
    lists = {"h": settling(401, 20), "x": np.linspace(300, 100, 401)}
    found = find(*inputs(lists, {"h": 100.0, "x": 100.0}), years=100.0)
    assert found.truncation["x"] is None and not found.steady and found.years == 50.0
    assert "had not settled half-way" in sentence(found, 100.0)


def test_nobody_leaving_without_a_kidney_is_never_steady() -> None:
    found = find(*inputs({"h": settling(401, 20)}, {"h": 0.0}), years=100.0)
    assert not found.steady and found.needed == np.inf


def test_rates_after_the_warm_up_by_hand() -> None:
    table = after(A, 1.0)
    # From year 1 on: 0 waits .5, 1 waits 1, 3 waits 2, 4 waits 1.25, 5 waits 1.5; 0 and 5 are
    # transplanted, 1 dies.
    row = pick(table, measure="transplant_rate", grouping="all")
    assert (row["numerator"], row["denominator"]) == (2, 6.25)
    assert pick(table, measure="mortality_rate", grouping="all")["numerator"] == 1
    women = pick(table, measure="transplant_rate", grouping="sex", group="female")
    assert (women["numerator"], women["denominator"]) == (1, 3.5)
    ratio = pick(table, measure="transplant_rate_ratio", grouping="sex", group="female")
    assert ratio["value"] == pytest.approx((1 / 3.5) / (1 / 2.75))


def test_after_nothing_is_the_whole_run_and_keeps_the_same_rows() -> None:
    whole = after(A, 0.0)
    expected = rates.transplant_rate(A, "race")
    mine = whole[(whole["measure"] == "transplant_rate") & (whole["grouping"] == "race")]
    pd.testing.assert_frame_equal(
        mine.reset_index(drop=True), expected[mine.columns], check_dtype=False
    )
    keys = ["measure", "grouping", "group"]
    pd.testing.assert_frame_equal(after(A, 2.0)[keys], whole[keys])
    assert not whole.duplicated(keys).any()


def test_nothing_that_reads_a_whole_life_is_in_the_steady_view() -> None:
    names = set(after(A, 1.0)["measure"])
    assert {"transplant_rate", "mortality_rate", "transplant_rate_ratio"} <= names
    assert not names & {"life_years", "transplant_count", "non_use"}
