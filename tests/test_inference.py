"""Intervals and tests over worlds, against hand-computed values and other packages."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from experiments.inference import (
    DECLARED,
    Question,
    check_declared,
    contrast,
    detectable,
    differences,
    holm,
    levels,
)
from populations.errors import InputError


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
    """400 studies of 8 worlds with a true difference of 1, each a group of one frame."""
    rng = np.random.default_rng(5)
    parts = []
    for study in range(400):
        base = rng.normal(0, 5, 8)
        arms = {"h": base[:, None].tolist(), "x": (base + rng.normal(1, 0.5, 8))[:, None].tolist()}
        parts.append(frame(arms).assign(group=str(study)))
    table = differences(pd.concat(parts), "h")
    covered = ((table["low"] <= 1) & (table["high"] >= 1)).to_numpy()
    assert covered.size == 400 and 0.93 <= covered.mean() <= 0.97


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1), max_size=30))
def test_holm_is_that_of_statsmodels(p: list[float]) -> None:
    expected = multipletests(p, method="holm")[1] if p else []
    assert holm(np.array(p, dtype=float)) == pytest.approx(np.array(expected))


def test_holm_by_hand() -> None:
    # Sorted .01 x 4, .02 x 3, .04 x 2 and .03 x 1: the last two are held at what came before.
    adjusted = holm(np.array([0.04, 0.01, 0.03, 0.02]))
    assert adjusted == pytest.approx([0.06, 0.04, 0.06, 0.06])


def test_p_is_that_of_the_paired_t_test() -> None:
    rng = np.random.default_rng(3)
    arms = {arm: rng.normal(size=(7, 2)).tolist() for arm in ("h", "x", "y")}
    table = differences(frame(arms), "h").set_index("arm")
    for arm in ("x", "y"):
        expected = stats.ttest_rel(np.mean(arms[arm], axis=1), np.mean(arms["h"], axis=1)).pvalue
        assert table.loc[arm, "p"] == pytest.approx(expected)
    assert (table["family"] == "exploratory").all() and table["p_holm"].isna().all()
    ratios = {arm: np.exp(values).tolist() for arm, values in arms.items()}
    logs = differences(frame(ratios, "transplant_rate_ratio"), "h").set_index("arm")["p"]
    assert logs.to_numpy() == pytest.approx(table["p"].to_numpy())


def test_the_family_is_every_declared_test_of_every_arm() -> None:
    rng = np.random.default_rng(3)
    names = ("life_years", "mortality_rate", "non_use", "misalignment")
    arms = [{arm: rng.normal(size=(6, 1)).tolist() for arm in "hxy"} for _ in names]
    measured = pd.concat(frame(a, n) for a, n in zip(arms, names, strict=True))
    declared = (Question("life_years"), Question("mortality_rate"), Question("life_years", "sex"))
    table = differences(measured, "h", declared)
    ours = table[table["family"] == "declared"]
    assert set(ours["measure"]) == {"life_years", "mortality_rate"} and len(ours) == 4
    assert ours["p_holm"].to_numpy() == pytest.approx(multipletests(ours["p"], method="holm")[1])
    assert table.loc[table["family"] == "exploratory", "p_holm"].isna().all()
    assert differences(measured, "h", declared=())["p_holm"].isna().all()


def test_what_cannot_be_tested_is_no_test() -> None:
    """Undefined in a world: no p, and the others are adjusted for one test less."""
    known = frame({"h": [[1.0], [2.0], [3.0]], "x": [[1.5], [2.1], [3.4]]}, "life_years")
    unknown = frame({"h": [[1.0], [2.0], [3.0]], "x": [[np.nan], [3.0], [5.0]]}, "mortality_rate")
    unknown["denominator"] = 0.0
    table = differences(pd.concat([known, unknown]), "h").set_index("measure")
    assert table.loc["life_years", "p_holm"] == pytest.approx(table.loc["life_years", "p"])
    assert table.loc["mortality_rate", ["p", "p_holm"]].isna().all()
    assert (table["family"] == "declared").all()


def test_worlds_that_all_agree() -> None:
    """No variance: on none p is 1; on some it is the sign test's, there is no interval."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same = differences(frame({"h": [[1.0], [2.0]], "x": [[1.0], [2.0]]}), "h").iloc[0]
        apart = differences(frame({"h": [[1.0], [2.0]], "x": [[0.5], [1.5]]}), "h").iloc[0]
        one = differences(frame({"h": [[1.0]], "x": [[2.0]]}), "h").iloc[0]
    assert (same["value"], same["low"], same["high"], same["p"]) == (0, 0, 0, 1)
    assert (apart["value"], apart["p"]) == (-0.5, 0.5) and apart[["low", "high"]].isna().all()
    assert one[["low", "high", "p"]].isna().all()


@pytest.mark.parametrize("worlds", range(2, 9))
def test_agreement_is_tested_by_signs(worlds: int) -> None:
    """Whole numbers agree by chance: deaths 5 -> 6 and 7 -> 8 are no proof."""
    before = [[float(number)] for number in range(5, 5 + worlds)]
    after = [[number + 1] for (number,) in before]
    measured = frame({"h": before, "x": after}, "fate_counts.died")
    row = differences(measured, "h", (Question("fate_counts.died"),)).iloc[0]
    assert row["p"] == row["p_holm"] == stats.binomtest(worlds, worlds).pvalue
    assert row["value"] == 1 and row[["low", "high"]].isna().all()
    assert detectable(row) == (worlds >= 6)
    same = contrast(measured, {"x": 1.0, "h": -1.0}).iloc[0]
    assert same["p"] == row["p"] and np.isnan(same["low"])
    kept = levels(frame({"h": [[3.0]] * worlds})).iloc[0]  # of means, a point is an interval
    assert (kept["low"], kept["high"]) == (3, 3)


def test_one_constant_among_others_that_vary_is_an_ordinary_difference() -> None:
    row = differences(frame({"h": [[0.5], [0.6], [0.7]], "x": [[1.0]] * 3}), "h").iloc[0]
    paired = np.array([0.5, 0.4, 0.3])
    assert row["p"] == pytest.approx(stats.ttest_1samp(paired, 0).pvalue)
    assert (row["low"], row["high"]) == pytest.approx(
        stats.t.interval(0.95, 2, paired.mean(), stats.sem(paired))
    )


def test_what_no_policy_changes_is_of_no_family() -> None:
    rng = np.random.default_rng(3)
    names = ("transplant_gini", "ex_ante.gini_ex_post", "ex_ante.gini", "life_years")
    arms = [{arm: rng.normal(size=(4, 1)).tolist() for arm in "hx"} for _ in names]
    measured = pd.concat(frame(a, n) for a, n in zip(arms, names, strict=True))
    table = differences(measured, "h").set_index("measure")
    assert table["family"].to_dict() == {
        "transplant_gini": "invariant",
        "ex_ante.gini_ex_post": "invariant",
        "ex_ante.gini": "exploratory",
        "life_years": "declared",
    }
    assert table["p"].notna().all() and table["p_holm"].notna().sum() == 1


def test_rounding_is_no_difference() -> None:
    """0.1 + 0.2 under one arm and 0.3 under the other; and differences all alike but for bits."""
    rounded = frame({"h": [[0.3], [0.6], [0.3]], "x": [[0.1 + 0.2], [0.2 + 0.4], [0.1 + 0.2]]})
    row = differences(rounded, "h").iloc[0]
    assert row["value"] == 0 and row["p"] == 1
    alike = frame({"h": [[0.1], [0.2], [0.7]], "x": [[0.4], [0.5], [1.0]]})
    assert differences(alike, "h").iloc[0]["p"] == 0.25
    assert contrast(rounded, {"x": 1.0, "h": -1.0}).iloc[0]["p"] == 1


def test_intervals_of_shares_stay_within_0_and_1() -> None:
    values = [[0.01], [0.02], [0.16]]
    mean, half = np.mean(values), stats.sem(values)[0] * stats.t.ppf(0.975, 2)
    assert mean - half < 0
    row = levels(frame({"h": values}, "indecision_rate")).iloc[0]
    assert row["value"] == pytest.approx(mean) and 0 < row["low"] < mean < row["high"] < 1
    # Near the middle, and narrow, the logit changes nothing to speak of.
    middle = levels(frame({"h": [[0.50], [0.51], [0.49]]}, "indecision_rate")).iloc[0]
    plain = levels(frame({"h": [[0.50], [0.51], [0.49]]}, "life_years")).iloc[0]
    assert (middle["low"], middle["high"]) == pytest.approx((plain["low"], plain["high"]), abs=1e-4)
    for edge in (0.0, 1.0):
        row = levels(frame({"h": [[edge]] * 3}, "indecision_rate")).iloc[0]
        assert (row["low"], row["high"]) == (edge, edge)


def test_a_difference_of_shares_is_no_share() -> None:
    """Below 0 in one world: an interval that stops at 0 would claim what nobody knows."""
    row = levels(frame({"h": [[-0.05], [0.1], [0.2]]}, "broome_gap.excess")).iloc[0]
    half = row["high"] - row["value"]
    assert row["low"] == pytest.approx(row["value"] - half) and row["low"] < 0


def test_intervals_of_shares_cover_as_well_as_plain_ones() -> None:
    """Few worlds, shares near 0: the mean of each world's share is drawn from a beta."""
    rng = np.random.default_rng(6)
    draws = rng.beta(0.8, 8, size=(2000, 6))
    rows = [
        (f"study {i}", world, 0, "indecision_rate", "all", "all", value)
        for i, study in enumerate(draws)
        for world, value in enumerate(study)
    ]
    columns = ["arm", "world", "tie_seed", "measure", "grouping", "group", "value"]
    table = levels(pd.DataFrame(rows, columns=columns).assign(numerator=1.0, denominator=1.0))
    true = 0.8 / 8.8
    mine = ((table["low"] <= true) & (true <= table["high"])).mean()
    half = stats.t.ppf(0.975, 5) * stats.sem(draws, axis=1)
    plain = (np.abs(draws.mean(axis=1) - true) <= half).mean()
    assert mine >= plain - 0.01 and 0.9 <= mine <= 0.98


def test_differences_of_shares_end_at_one() -> None:
    wild = {"h": [[0.1], [0.9]], "x": [[0.9], [0.9]]}
    row = differences(frame(wild, "indecision_rate"), "h").iloc[0]
    assert (row["low"], row["high"]) == (-1, 1)
    years = differences(frame(wild, "life_years"), "h").iloc[0]
    assert years["high"] > 1


def test_declared_questions_are_answerable_and_each_there_once() -> None:
    check_declared(DECLARED)
    assert all(question.reason for question in DECLARED)
    assert not any(question.group in ("White", "male", "18-34") for question in DECLARED)


@pytest.mark.parametrize(
    ("question", "says"),
    [
        (Question("deaths"), "measure 'deaths'"),
        (Question("mortality_rate", "race", "Martian"), "group 'Martian'"),
        (Question("mortality_rate", "shoe_size", "44"), "shoe_size"),
        (Question("mortality_rate", "all", "White"), "group 'White'"),
        (Question("transplant_gini", "sex", "male"), "nearly the same under every policy"),
        (Question("ex_ante.gini_ex_post"), "nearly the same under every policy"),
        (Question("systemic_exclusion.independent"), "nearly the same under every policy"),
    ],
)
def test_what_cannot_be_measured_cannot_be_declared(question: Question, says: str) -> None:
    with pytest.raises(InputError, match=says):
        check_declared((question,))
    with pytest.raises(InputError, match="twice"):
        check_declared((Question("life_years"), Question("life_years", reason="again")))
