"""Intervals over worlds, against hand-computed values."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from experiments.inference import differences, levels


def frame(values: dict[str, list[list[float]]], measure: str = "deaths") -> pd.DataFrame:
    """``values[arm][world][tie_seed]`` as the runner writes it."""
    rows = [
        (arm, world, tie_seed, measure, "all", "all", value)
        for arm, worlds in values.items()
        for world, ties in enumerate(worlds)
        for tie_seed, value in enumerate(ties)
    ]
    columns = ["arm", "world", "tie_seed", "measure", "grouping", "group", "value"]
    return pd.DataFrame(rows, columns=columns).assign(numerator=1.0, denominator=1.0)


def test_difference_is_paired_by_world_after_averaging_tie_seeds() -> None:
    measured = frame({"h": [[1, 3], [10, 10], [20, 22]], "x": [[4, 4], [11, 13], [24, 24]]})
    row = differences(measured, "h").iloc[0]
    paired = np.array([2.0, 2.0, 3.0])
    low, high = stats.t.interval(0.95, 2, paired.mean(), stats.sem(paired))
    assert row["arm"] == "x" and row["worlds"] == 3
    assert (row["value"], row["low"], row["high"]) == pytest.approx((paired.mean(), low, high))


def test_tie_seeds_do_not_narrow_the_interval() -> None:
    once = frame({"h": [[0.0], [0.0]], "x": [[1.0], [3.0]]})
    often = frame({"h": [[0.0] * 9, [0.0] * 9], "x": [[1.0] * 9, [3.0] * 9]})
    pd.testing.assert_frame_equal(differences(once, "h"), differences(often, "h"))


def test_ratios_are_compared_on_the_log_scale() -> None:
    measured = frame({"h": [[0.5], [1.0]], "x": [[1.0], [4.0]]}, "transplant_rate_ratio")
    row = differences(measured, "h").iloc[0]
    assert row["value"] == pytest.approx(np.sqrt(2 * 4))
    assert row["low"] * row["high"] == pytest.approx(row["value"] ** 2)
    assert levels(measured).set_index("arm").loc["x", "value"] == pytest.approx(2.0)


def test_undefined_in_one_world_is_undefined() -> None:
    """Where a median was not reached, worlds are not like the others: no mean over the rest."""
    measured = frame({"h": [[1.0], [2.0], [3.0]], "x": [[np.nan], [3.0], [5.0]]})
    row = differences(measured, "h").iloc[0]
    assert row["worlds"] == 2 and np.isnan(row["value"]) and np.isnan(row["low"])
    one_tie_seed = frame({"h": [[1.0, 1.0], [2.0, 2.0]], "x": [[np.nan, 3.0], [5.0, 5.0]]})
    assert np.isnan(differences(one_tie_seed, "h").iloc[0]["value"])


def test_a_rate_without_events_counts_as_none() -> None:
    measured = frame({"h": [[np.nan], [4.0]]}, "mortality_rate")
    assert np.isnan(levels(measured.assign(numerator=0, denominator=0)).iloc[0]["value"])
    counted = measured.assign(numerator=[0, 2], denominator=[50, 50])
    assert levels(counted).iloc[0]["value"] == pytest.approx(2.0)


def test_ratios_of_tie_seeds_are_averaged_on_the_log_scale() -> None:
    measured = frame({"h": [[1.0, 1.0]] * 2, "x": [[4.0, 0.25]] * 2}, "transplant_rate_ratio")
    assert differences(measured, "h").iloc[0]["value"] == pytest.approx(1.0)


def test_one_world_gives_no_interval() -> None:
    row = differences(frame({"h": [[1.0]], "x": [[2.0]]}), "h").iloc[0]
    assert row["value"] == 1.0 and np.isnan(row["low"]) and np.isnan(row["high"])


def test_coverage_of_the_paired_interval() -> None:
    """400 studies of 8 worlds with a true difference of 1."""
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(400):
        base = rng.normal(0, 5, 8)
        arms = {"h": base[:, None].tolist(), "x": (base + rng.normal(1, 0.5, 8))[:, None].tolist()}
        row = differences(frame(arms), "h").iloc[0]
        covered += row["low"] <= 1.0 <= row["high"]
    assert 0.93 <= covered / 400 <= 0.97
