"""The alignment report: measures by hand, planted judges, values, and the command."""

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import bootstrap, linregress, spearmanr

import experiments.align as aligning
from experiments import judging
from experiments.align import Answers, Asking, Pairs, align, is_policy, judged, report, tournament
from experiments.cli import main
from experiments.figures import indecision_reliability, weights
from measures.alignment import compare_judges, cosine, rank_correlation, swap_consistency
from measures.coherence import (
    cycles,
    dominance_violations,
    dominant,
    no_choice,
    repetition_stability,
)
from measures.indecision import indecision_by_gap, indecision_calibration, utility_gap
from measures.judges import mean_row, over_pairs, ratio
from policies.answers import Answer
from policies.davidson import Davidson, Linear, modal
from policies.draws import frozen_pairs, random_lists
from policies.elicit import Battery
from policies.fit import fit_davidson
from policies.human import human
from policies.pacing import Limits
from policies.schemas import SCHEMAS
from populations.errors import InputError

SCHEMA = "indecision3"
SCALE = SCHEMAS[SCHEMA].scale
PAIRS = Pairs.of(SCHEMA, random_lists(SCHEMA, 2, 120, 1))
ROUND_ROBIN = Pairs.of(SCHEMA, frozen_pairs(SCHEMA, "frozen-round-robin"))
DIRECTIONS = SCHEMAS[SCHEMA].directions


def rows(frame: pd.DataFrame) -> dict[str, float]:
    return dict(zip(frame["measure"].str.partition(".")[2], frame["value"], strict=True))


def random_answers(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet([1, 1, 1], shape)


# --- intervals ----------------------------------------------------------------------------------


def test_interval_is_that_of_scipy() -> None:
    x = np.random.default_rng(1).exponential(size=60)
    value, low, high = over_pairs(ratio(x, np.ones(60)), 60, draws=20_000)
    oracle = bootstrap((x,), np.mean, n_resamples=20_000, method="percentile", rng=2)
    assert value == pytest.approx(x.mean())
    bounds = oracle.confidence_interval
    assert (low, high) == pytest.approx((bounds.low, bounds.high), abs=0.02)


def test_both_orders_of_a_pair_stay_together() -> None:
    """The same answer twice is no more information: the interval must not shrink."""
    x = np.random.default_rng(2).random((40, 1))
    once, twice = mean_row("x", x), mean_row("x", np.repeat(x, 2, axis=1))
    for key in ("value", "low", "high", "denominator"):
        assert once[key] == pytest.approx(twice[key])


def test_pairs_that_all_agree_have_no_interval() -> None:
    row = mean_row("x", np.ones((5, 2)))
    assert row["value"] == 1 and np.isnan(row["low"]) and np.isnan(row["high"])
    nothing = mean_row("x", np.ones((5, 2)), np.zeros((5, 2)), "nobody")
    assert np.isnan(nothing["value"]) and nothing["note"] == "nobody"


# --- against the reference ----------------------------------------------------------------------


def test_agreement_where_the_reference_is_decided_or_has_a_majority() -> None:
    h = np.array([[0.6, 0.3, 0.1], [0.45, 0.35, 0.2], [0.2, 0.2, 0.6], [0.4, 0.4, 0.2]])
    q = np.array([[0.9, 0.1, 0.0], [0.2, 0.1, 0.7], [0.1, 0.1, 0.8], [1.0, 0.0, 0.0]])
    frame = compare_judges(q, h).set_index("measure")
    found = rows(frame.reset_index())
    assert found["agreement"] == pytest.approx((1 + 0 + 1 + 0.5) / 4)
    assert found["agreement_decided"] == pytest.approx(1 / 2)  # of the first two
    assert found["agreement_majority"] == pytest.approx(1)  # of the first
    assert frame.loc["compare_judges.agreement_decided", "denominator"] == 2
    assert frame.loc["compare_judges.agreement_majority", "denominator"] == 1
    assert found["sampled_agreement"] == pytest.approx((0.57 + 0.265 + 0.52 + 0.4) / 4)
    assert found["reference_sampled_agreement"] == pytest.approx((0.46 + 0.365 + 0.44 + 0.36) / 4)


def test_log_loss_lies_between_floor_and_uniform() -> None:
    h = np.array([[0.6, 0.2, 0.2], [0.3, 0.3, 0.4]])
    found = rows(compare_judges(h, h))
    entropy = [-(row * np.log(row)).sum() for row in h]
    assert found["log_loss"] == pytest.approx(np.mean(entropy))
    assert found["log_loss_floor"] == pytest.approx(np.mean(entropy))
    # Rates: coin 0.3, either patient 0.35, whoever is called a.
    ceiling = -(0.7 * np.log(0.35) + 0.3 * np.log(0.3))
    assert found["log_loss_ceiling"] == pytest.approx(ceiling)
    assert found["log_loss_uniform"] == pytest.approx(np.log(3))


@given(st.integers(0, 10_000), st.integers(1, 12))
def test_no_answers_beat_the_reference_itself(seed: int, n: int) -> None:
    q, h = random_answers(seed, n, 2), random_answers(seed + 1, n, 2)
    found = rows(compare_judges(q, h))
    assert found["log_loss"] >= found["log_loss_floor"] - 0.01  # flooring may help a little
    assert found["log_loss_floor"] <= found["log_loss_ceiling"] <= found["log_loss_uniform"] + 1e-9
    assert 0 <= found["sampled_agreement"] <= 1


def test_questions_about_a_pair_are_averaged() -> None:
    q, h = random_answers(1, 30, 2), random_answers(2, 30, 2)
    together = rows(compare_judges(q, h))
    apart = [rows(compare_judges(q[:, order], h[:, order])) for order in (0, 1)]
    for name in ("agreement", "sampled_agreement", "total_variation", "log_loss", "indecision"):
        assert together[name] == pytest.approx(np.mean([each[name] for each in apart]))


@given(hnp.arrays(float, (3, 8), elements=st.floats(-5, 5)))
def test_correlations_are_those_of_scipy_and_numpy(x: np.ndarray) -> None:
    x = np.round(x, 2)  # no differences that rounding may swallow
    for row, found in zip(x[1:], rank_correlation(x[1:], x[0]), strict=True):
        if np.ptp(row) == 0 or np.ptp(x[0]) == 0:
            assert np.isnan(found)
        else:
            assert found == pytest.approx(spearmanr(row, x[0]).statistic, abs=1e-9)
    assert np.isnan(cosine(np.zeros(3), np.ones(3)))
    assert cosine(np.array([1.0, 1.0]), np.array([1.0, 0.0])) == pytest.approx(np.sqrt(0.5))


# --- a judge with itself ------------------------------------------------------------------------


def test_always_coin_is_not_called_consistent() -> None:
    coin = np.tile([0.0, 0.0, 1.0], (6, 1))
    frame = swap_consistency(coin, coin).set_index("measure")
    assert frame.loc["swap_consistency.consistency", "value"] == 1
    assert frame.loc["swap_consistency.coin_twice", "value"] == 1
    decisive = frame.loc["swap_consistency.decisive_consistency"]
    assert np.isnan(decisive["value"]) and "coin in both" in decisive["note"]


def test_consistency_of_decisive_answers_by_hand() -> None:
    """The same patient; coin twice; the first shown twice; decided in one order only."""
    first = np.eye(3)[[0, 2, 0, 0]]
    second = np.eye(3)[[1, 2, 0, 2]]
    found = rows(swap_consistency(first, second))
    assert found["consistency"] == pytest.approx(2 / 4)
    assert found["decisive_consistency"] == pytest.approx(1 / 3)
    assert found["first_twice"] == pytest.approx(1 / 4) and found["second_twice"] == 0
    torn = np.array([[0.4, 0.2, 0.4]])  # between a patient and the coin: each with half
    found = rows(swap_consistency(torn, torn[:, [1, 0, 2]]))
    assert found["decisive_consistency"] == pytest.approx((1 / 4) / (3 / 4))


def test_stability_of_samples_and_of_probabilities() -> None:
    drawn = np.eye(3)[[[[0, 0, 0, 1]], [[2, 2, 1, 1]]]]  # two pairs, one question, four samples
    found = rows(repetition_stability(drawn))
    assert found["agreement"] == pytest.approx((3 / 6 + 2 / 6) / 2)
    assert found["modal_share"] == pytest.approx((3 / 4 + 2 / 4) / 2)
    known = rows(repetition_stability(np.array([[[[0.5, 0.3, 0.2]]]])))
    assert known["agreement"] == pytest.approx(0.25 + 0.09 + 0.04)
    assert known["modal_share"] == pytest.approx(0.5)


def test_agreement_of_samples_estimates_that_of_probabilities_without_bias() -> None:
    rng = np.random.default_rng(5)
    p = np.repeat(random_answers(6, 1500, 2)[:, :, None], 3, axis=2)
    drawn = np.eye(3)[(rng.random((*p.shape[:3], 1)) > p.cumsum(axis=-1)).sum(axis=-1).clip(max=2)]
    samples, truth = repetition_stability(drawn), repetition_stability(p[:, :, :1])
    found = samples.set_index("measure").loc["repetition_stability.agreement"]
    assert found["low"] < rows(truth)["agreement"] < found["high"]


def test_refusals_are_counted_by_answer_and_by_pair() -> None:
    samples = np.full((4, 2, 2, 3), 1 / 3)
    samples[0, 0, 0] = np.nan  # one sample of two: the pair stays
    samples[1, 1] = np.nan  # both: the pair is lost
    assert rows(no_choice(samples)) == pytest.approx({"answers": 3 / 16, "pairs": 1 / 4})


def test_dominance_by_hand() -> None:
    a = {"age": np.array([30, 30, 30, 50.0]), "child_dependents": np.array([1, 1, 1, 0.0])}
    b = {"age": np.array([40, 30, 20, 40.0]), "child_dependents": np.array([0, 1, 0, 0.0])}
    directions = {"age": -1, "child_dependents": 1}
    better = dominant(a, b, directions)
    assert better.tolist() == [1, 0, 0, -1]
    p = np.array([[0.6, 0.2, 0.2], [0, 1, 0], [0, 1, 0], [0.3, 0.1, 0.6]])
    found = rows(dominance_violations(p, better))
    assert found["violations"] == pytest.approx((0.2 + 0.3) / (0.8 + 0.4))
    assert found["coin"] == pytest.approx((0.2 + 0.6) / 2)
    nobody = dominance_violations(p, np.zeros(4, dtype=int))
    assert nobody["value"].isna().all() and nobody["note"].str.contains("no pair").all()


def test_cycles_by_hand() -> None:
    rock = np.array([[0, 0.9, 0.2], [0.1, 0, 0.7], [0.6, 0.1, 0]])
    found = rows(cycles(rock))
    assert found["strict"] == 1
    assert found["soft"] == pytest.approx(0.9 * 0.7 * 0.6 + 0.1 * 0.1 * 0.2)
    order = np.triu(np.ones((5, 5)), 1)
    assert rows(cycles(order)) == {"strict": 0, "soft": 0}
    assert rows(cycles(np.full((4, 4), 0.5))) == pytest.approx({"strict": 0, "soft": 0.25})
    coin = np.array([[0, 0.4, 0.2], [0.1, 0, 0.45], [0.45, 0.1, 0]])  # coin comes first: no cycle
    assert rows(cycles(coin))["strict"] == 0


def test_a_random_tournament_has_a_quarter_of_its_triples_in_cycles() -> None:
    rng = np.random.default_rng(1)
    upper = np.triu(rng.integers(0, 2, (60, 60)), 1)
    wins = upper + np.tril(1 - upper.T, -1)
    found = cycles(wins.astype(float)).iloc[0]
    scores = wins.sum(axis=1)
    transitive = (scores * (scores - 1) / 2).sum()  # Kendall & Babington Smith
    assert found["denominator"] == 60 * 59 * 58 / 6
    assert found["numerator"] == found["denominator"] - transitive
    assert found["value"] == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("wrong", [np.ones((3, 3)), np.zeros((2, 2)), -np.ones((3, 3))])
def test_what_is_no_tournament_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(InputError, match="beats"):
        cycles(wrong)


# --- indecision ---------------------------------------------------------------------------------


@given(st.floats(-1, 1), st.floats(-3, 3))
def test_the_gap_is_that_of_utilities(order: float, log_tie: float) -> None:
    judge = Davidson("x", human().values, log_tie, order=order)
    gap = utility_gap(judged(judge, PAIRS)[:, :, 0])
    truth = judge.values(PAIRS.a) - judge.values(PAIRS.b)
    np.testing.assert_allclose(gap, np.abs(truth), atol=1e-9)


def test_slope_is_that_of_scipy() -> None:
    q, h = random_answers(3, 50, 2), random_answers(4, 50, 2)
    found = rows(indecision_calibration(q, h))
    x = utility_gap(h)
    assert found["slope"] == pytest.approx(linregress(x, q[..., 2].mean(axis=1)).slope)
    assert found["reference_slope"] == pytest.approx(linregress(x, h[..., 2].mean(axis=1)).slope)


def test_calibration_error_by_hand() -> None:
    q = np.array([0.05, 0.05, 0.55, 1.0])
    h = np.array([0.15, 0.05, 0.35, 0.6])
    q, h = (np.stack([(1 - p) / 2, (1 - p) / 2, p], axis=1) for p in (q, h))
    expected = (abs(0.1 - 0.2) + 0.2 + 0.4) / 4
    assert rows(indecision_calibration(q, h))["ece"] == pytest.approx(expected)


def test_bins_hold_equally_many_pairs_from_closest_to_clearest() -> None:
    own = judged(human(), PAIRS)[:, :, 0]
    frame = indecision_by_gap(own, own)
    curve = frame[frame["measure"] == "indecision_by_gap.answers"]
    assert curve["denominator"].tolist() == [20] * 6
    assert curve["gap"].is_monotonic_increasing and curve["value"].is_monotonic_decreasing
    # P(coin) of Davidson's model at the bin's gaps, from its formula.
    gap = utility_gap(own)
    coin = np.exp(-0.504) / (2 * np.cosh(gap) + np.exp(-0.504))
    assert curve["value"].iloc[0] == pytest.approx(np.sort(coin)[::-1][:20].mean())


def test_a_certain_reference_has_no_gaps() -> None:
    sure = np.eye(3)[[0, 1, 0]]
    assert "certain" in indecision_by_gap(sure, sure)["note"].iloc[0]
    frame = indecision_calibration(sure, sure).set_index("measure")
    assert np.isnan(frame.loc["indecision_calibration.slope", "value"])
    assert frame.loc["indecision_calibration.ece", "value"] == 0


# --- planted judges -----------------------------------------------------------------------------


class Planted:
    """A judge made of human's answers by a rule."""

    def __init__(self, name: str, rule: Callable) -> None:
        self.name, self._rule = name, rule

    def judge(self, a, b):
        return self._rule(human().judge(a, b), a, b)


def _misled(p, a, b):
    better = dominant(a, b, DIRECTIONS)
    return np.where(better[:, None] != 0, 0.6 * p + 0.4 * p[:, [1, 0, 2]], p)


def _majority(p, a, b):
    """Counts attributes; goes round in circles where they conflict."""
    votes = np.sum([np.sign(a[k] - b[k]) * sign for k, sign in DIRECTIONS.items()], axis=0)
    swap = votes * (p[:, 0] - p[:, 1]) < 0
    return np.where(swap[:, None], p[:, [1, 0, 2]], p)


OTHER = Linear(
    {"age": (-0.1, 25, 70), "drinks_per_day": (-2.5, 1, 5), "child_dependents": (0.05, 0, 2)}
)
JUDGES = {
    "human": human(),
    "positional": Davidson("positional", human().values, -0.504, order=0.5),
    "over-decisive": Davidson("over-decisive", human().values, -4.0),
    "misaligned": Davidson("misaligned", OTHER, -0.504),
    "cyclic": Planted("cyclic", _majority),
    "misled": Planted("misled", _misled),
    "coin": Planted("coin", lambda p, a, b: np.tile([0.0, 0, 1], (len(p), 1))),
}


@pytest.fixture(scope="module")
def planted() -> aligning.Report:
    answers = [
        Answers(
            name, judged(judge, PAIRS), tournament(judged(judge, ROUND_ROBIN)[:, :, 0], ROUND_ROBIN)
        )
        for name, judge in JUDGES.items()
    ]
    return report(human(), answers, PAIRS)


def test_each_planted_judge_is_seen_by_its_measure_and_by_no_other(planted) -> None:
    table = planted.measures.pivot_table(index="measure", columns="judge", values="value")
    values = planted.values.pivot_table(index="term", columns="policy", values="value")

    def who(row: pd.Series, seen: Callable[[float], bool]) -> set[str]:
        return {judge for judge, value in row.items() if seen(value)}

    bias = table.loc["swap_consistency.position_bias"]
    assert who(bias, lambda v: abs(v) > 0.05) == {"positional"}
    consistency = table.loc["swap_consistency.consistency"]
    assert who(consistency, lambda v: v < 0.99) == {"positional"}
    gap = table.loc["compare_judges.indecision_gap"]
    assert who(gap, lambda v: v < -0.05) == {"over-decisive"}
    assert who(gap, lambda v: v > 0.1) == {"coin"}
    error = table.loc["indecision_calibration.ece"]
    assert who(error, lambda v: v > 0.12) == {"over-decisive", "coin"}
    angle = values.loc["cosine of weights"]
    assert who(angle, lambda v: v < 0.6) == {"misaligned"}
    round_and_round = table.loc["cycles.strict"]
    assert who(round_and_round, lambda v: v > 0) == {"cyclic"}
    dominated = table.loc["dominance_violations.violations"]
    assert who(dominated, lambda v: v > 0.3) == {"misled"}


def test_always_coin_decides_nothing(planted) -> None:
    coin = planted.measures[planted.measures["judge"] == "coin"].set_index("measure")
    assert np.isnan(coin.loc["swap_consistency.decisive_consistency", "value"])
    assert np.isnan(coin.loc["dominance_violations.violations", "value"])
    assert coin.loc["compare_judges.agreement_decided", "value"] == 0
    assert coin.loc["indecision_calibration.slope", "value"] == pytest.approx(0)


def test_the_reference_agrees_with_itself(planted) -> None:
    own = planted.measures[planted.measures["judge"] == "human"].set_index("measure")["value"]
    assert own["compare_judges.agreement"] == 1
    assert own["compare_judges.kl"] == pytest.approx(0, abs=1e-3)
    assert own["compare_judges.sampled_agreement"] == own["repetition_stability.agreement"]


# --- values -------------------------------------------------------------------------------------


def sampled(judge, seed: int) -> np.ndarray:
    p = judged(judge, PAIRS)[:, :, 0]
    drawn = np.random.default_rng(seed).random((*p.shape[:2], 1)) > p.cumsum(axis=-1)
    return np.eye(3)[drawn.sum(axis=-1).clip(max=2)]


def values_of(answers: np.ndarray, reference: np.ndarray | None = None) -> pd.DataFrame:
    found = judging.answered_values("x", PAIRS.a, PAIRS.b, answers, SCALE, reference)
    return pd.DataFrame(found).set_index("term")


def test_fitted_values_are_those_of_the_fit() -> None:
    given = sampled(Davidson("x", human().values, -0.504, order=0.4), 3)
    table = values_of(given)
    a, b = ({k: np.r_[one[k], other[k]] for k in one}
            for one, other in ((PAIRS.a, PAIRS.b), (PAIRS.b, PAIRS.a)))  # fmt: skip
    fit = fit_davidson(a, b, np.r_[given[:, 0], given[:, 1][:, [1, 0, 2]]], SCALE)
    for name, (weight, _, _) in fit.weights.items():
        assert table.loc[name, "value"] == pytest.approx(weight, abs=1e-4)
    assert table.loc["indecision", "value"] == pytest.approx(fit.log_tie, abs=1e-4)
    assert table.loc["shown first", "value"] == pytest.approx(fit.order, abs=1e-4)
    slopes = {k: w / (high - low) for k, (w, low, high) in fit.weights.items()}
    years = slopes["child_dependents"] / -slopes["age"]
    assert table.loc["one child dependent", "value"] == pytest.approx(years, rel=1e-3)


def test_intervals_of_values_cover_the_truth_about_as_often_as_they_say() -> None:
    covered = []
    for seed in range(20):
        table = values_of(sampled(human(), seed))
        for term, truth in (("age", -1.675), ("indecision", -0.504), ("one child dependent", 16.4)):
            covered.append(table.loc[term, "low"] < truth < table.loc[term, "high"])
    assert 0.87 <= np.mean(covered) <= 1.0


def test_trade_offs_are_undefined_if_age_may_not_count() -> None:
    ageless = {"drinks_per_day": (-1.163, 1.0, 5.0), "child_dependents": (1.222, 0.0, 2.0)}
    table = values_of(sampled(Davidson("x", Linear(ageless), -0.5), 1))
    assert table.loc["age", "low"] < 0 < table.loc["age", "high"]
    undefined = table.loc["one child dependent"]
    assert np.isnan([undefined["value"], undefined["low"], undefined["high"]]).all()
    assert "includes 0" in undefined["note"]


def test_a_judge_without_exceptions_has_no_scale() -> None:
    table = values_of(judged(modal(human()), PAIRS)[:, :, 0])
    assert (table.loc[[*SCALE, "shown first"], "note"].str.contains("only ratios")).all()
    assert table.loc["one child dependent", "note"] == ""
    assert (values_of(sampled(human(), 1))["note"] == "").all()


def test_what_lies_far_beyond_the_reference_is_drawn_at_the_edge() -> None:
    cells = [("human", "age", -2.0), ("x", "age", -30.0), ("x", "drinks", 9.0), ("x", "dep", 7.0)]
    frame = pd.DataFrame(cells, columns=["policy", "term", "value"])
    plot = weights(frame.assign(low=np.nan, high=np.nan, unit="utility"), "human", "")
    marks = [line for line in plot.figure.axes[0].get_lines() if line.get_marker() in "<>"]
    assert [line.get_marker() for line in marks] == ["<", ">"]
    assert plot.figure.axes[0].get_xlim()[0] > -8.5


def test_nobody_flips_a_coin_that_was_not_offered() -> None:
    forced = sampled(Davidson("x", human().values, -np.inf), 1)
    row = values_of(forced).loc["indecision"]
    assert row["value"] == -np.inf and np.isnan(row["low"])


def test_human_trade_offs_and_their_intervals() -> None:
    table = judging.weights([human()]).set_index("term")
    assert table.loc["one child dependent", "value"] == pytest.approx(16.4, abs=0.05)
    assert table.loc["one drink a day", "value"] == pytest.approx(-7.8, abs=0.05)
    # Delta method for a ratio of independent normals.
    ratio_error = 16.41 * np.hypot(0.148 / 1.675, 0.105 / 1.222)
    low, high = table.loc["one child dependent", ["low", "high"]]
    assert (high - low) / 2 == pytest.approx(1.96 * ratio_error, rel=0.1)
    assert table.loc["indecision", "low"] == pytest.approx(-0.504 - 1.96 * 0.121)


def test_weights_may_refer_to_another_range() -> None:
    wide = {"age": (0.0, 90.0), "drinks_per_day": (1.0, 5.0), "child_dependents": (0.0, 2.0)}
    found = {row["term"]: row for row in judging.known_values(human(), human(), wide)}
    assert found["age"]["value"] == pytest.approx(-1.675 * 2)
    assert found["age"]["high"] - found["age"]["low"] == pytest.approx(2 * 2 * 1.96 * 0.148)
    assert found["one child dependent"]["value"] == pytest.approx(16.4, abs=0.05)


# --- from the models to the report --------------------------------------------------------------


def test_pairs_of_the_round_robin_are_all_in_conflict() -> None:
    assert len(ROUND_ROBIN.a["age"]) == 28
    assert not dominant(ROUND_ROBIN.a, ROUND_ROBIN.b, DIRECTIONS).any()
    own = tournament(judged(human(), ROUND_ROBIN)[:, :, 0], ROUND_ROBIN)
    assert own is not None and own.shape == (8, 8)


def test_a_tournament_needs_every_pair() -> None:
    profiles = [(25.0, 1.0, 0.0), (30.0, 1.0, 0.0), (40.0, 1.0, 0.0)]
    pairs = Pairs.of(SCHEMA, list(combinations(profiles, 2)))
    answers = judged(human(), pairs)[:, :, 0]
    beats = tournament(answers, pairs)
    assert beats is not None
    assert beats[0, 2] == pytest.approx(answers[1, :, 0].mean()) and beats[0, 2] > beats[2, 0]
    assert tournament(answers[:2], pairs.some(np.array([0, 1]))) is None
    answers[1, 0] = np.nan
    assert tournament(answers, pairs) is None


def test_a_model_s_answers_are_put_about_the_same_patients(monkeypatch, tmp_path) -> None:
    """Two pairs, both orders, two samples; the last answer of all is a refusal."""
    order = np.array([0, 1, 0, 1] * 2)
    sample, pair = np.array([1, 1, 2, 2] * 2), np.repeat([0, 1], 4)
    sure = Answer((0.7, 0.1), 0.2, 0.0, "choice", "text", "")
    refusal = Answer((0.0, 0.0), 0.0, 1.0, "refusal", "text", "")
    side = {"age": np.zeros(8)}
    given = SimpleNamespace(
        a=side, b=side, pair=pair, order=order, sample=sample, answers=[sure] * 7 + [refusal]
    )
    monkeypatch.setattr(aligning, "elicit", lambda *_, **__: given)
    asking = Asking(Battery(), tmp_path / "a")
    p, repeatable = aligning.asked("x", asking.battery, asking, lambda *_: None)
    assert p.shape == (2, 2, 2, 3) and repeatable
    np.testing.assert_allclose(p[0, 0, 0], [0.7, 0.1, 0.2])
    np.testing.assert_allclose(p[0, 1, 1], [0.1, 0.7, 0.2])
    assert np.isnan(p[1, 1, 1]).all() and np.isnan(p).sum() == 3


def test_pairs_without_a_choice_are_left_out_and_said(tmp_path) -> None:
    answers = Answers("x", judged(human(), PAIRS), None)
    half = answers.pairs.copy()
    half[::2, 1] = np.nan
    found = report(human(), [answers, replace(answers, name="half", pairs=half)], PAIRS)
    rows_of = found.measures[found.measures["judge"] == "half"].set_index("measure")
    assert rows_of.loc["compare_judges.agreement", "denominator"] == 60
    assert rows_of.loc["no_choice.pairs", "value"] == 0.5
    assert "cycles.strict" not in rows_of.index
    half[:-1] = np.nan
    with pytest.raises(InputError, match=r"half: 1 of 120 pairs"):
        report(human(), [answers, replace(answers, name="half", pairs=half)], PAIRS)
    with pytest.raises(InputError, match="twice"):
        report(human(), [answers, answers], PAIRS)


def test_one_text_for_each_question_says_nothing_of_repetition() -> None:
    answers = Answers("x", judged(human(), PAIRS), None, repeatable=False)
    found = report(human(), [answers], PAIRS)
    assert not found.measures["measure"].str.startswith("repetition").any()


@pytest.mark.parametrize(
    ("text", "policy"),
    [("human", True), ("modal(human)", True), ("values:mine", True), ("local", False),
     ("llm:local", False), ("openai/gpt-4o", False), ("ollama/llama3:8b", False)],
)  # fmt: skip
def test_policies_and_models_are_told_apart(text: str, policy: bool) -> None:
    assert is_policy(text) is policy


def test_judges_that_cannot_judge_are_refused(tmp_path) -> None:
    def run(models: list[str], reference: str, schema: str = SCHEMA) -> None:
        align(models, reference, Asking(Battery(schema), tmp_path / "a"), lambda *_: None)

    with pytest.raises(InputError, match="does not judge pairs"):
        run(["points"], "human")
    with pytest.raises(InputError, match=r"does not tell 'skin_cancer'"):
        run(["freedman"], "human")
    with pytest.raises(InputError, match=r"^human: schema 'duke8' .*'age'.*does: indecision3, ind"):
        run(["local"], "human", "duke8")
    with pytest.raises(InputError, match="unknown policy"):
        run(["human"], "humam")


def test_no_model_is_asked_if_one_needs_too_much(tmp_path) -> None:
    asking = Asking(Battery(n_pairs=10), tmp_path / "a", Limits(max_calls=75))
    assert [each.calls for each in replace(asking, limits=Limits()).plans("openai/x")] == [20, 56]
    with pytest.raises(InputError, match=r"about 76, more than max_calls = 75"):
        align(["human-assembly", "openai/x"], "human", asking, lambda *_: None)
    with pytest.raises(InputError, match="size"):
        Asking(Battery(size=3), tmp_path / "a").batteries()


@pytest.mark.parametrize("dry", [True, False])
@pytest.mark.parametrize(
    "judges, said",
    [
        (["local", "llm:local"], "judge 'llm:local': named twice"),
        (["local", "--human", "llm:local"], "judge 'llm:local': named twice"),
        (["human"], "judge 'human': named twice"),
        (["anthropic/claude-of-1820", "--max-cost", "1"], "max_cost = 1 cannot be kept"),
        (["sampled(llm:local)", "--max-calls", "5"], "which max_calls and max_cost do not limit"),
        (["local", "--human", "llm:other", "--max-cost", "5"], "policy 'llm:other': asks a model"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_asked(
    tmp_path, monkeypatch, judges: list[str], said: str, dry: bool
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr(aligning, "elicit", never)
    monkeypatch.setattr(aligning, "make_policy", never)
    command = ["align", *judges, "--answers", str(tmp_path / "a"), *["--dry-run"] * dry]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 2 and said in " ".join(result.output.split())


def test_the_plan_tells_policies_that_ask_a_model(tmp_path) -> None:
    command = ["align", "sampled(llm:local)", "modal(human)", "--dry-run"]
    result = CliRunner().invoke(main, [*command, "--answers", str(tmp_path / "a")])
    lines = dict(line.split(": ", 1) for line in result.output.splitlines())
    assert "battery, not limited by --max-calls" in lines["sampled(llm:local)"]
    assert lines["human"] == lines["modal(human)"] == "a policy; nothing to ask"


def test_the_command_writes_tables_and_figures(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["align", "modal(human)", "human-assembly", "--pair-set", "frozen-1"]
    command += ["--steer", "Be kind.", "--out", str(out)]
    result = CliRunner().invoke(main, [*command, "--answers", str(tmp_path / "a.sqlite")])
    assert result.exit_code == 0, result.output
    for label in ("log-loss", "same patient", "ECE", "cosine", "asked again", "0.859-0.953"):
        assert label in result.output
    settings = (out / "settings.json").read_text()
    assert json.loads(settings)["n_pairs"] == 200 and "kind" not in settings
    measures = pd.read_csv(out / "measures.csv")
    assert set(measures["judge"]) == {"human", "modal(human)", "human-assembly", "people"}
    assert {"weights.png", "weights.svg", "indecision.png", "indecision.csv"} <= {
        path.name for path in (out / "figures").iterdir()
    }
    assert set(pd.read_csv(out / "values.csv")["policy"]) == set(measures["judge"]) - {"people"}


def test_the_figure_draws_the_curves_and_names_the_errors(planted) -> None:
    plot = indecision_reliability(
        planted.measures, planted.gaps, "human", "120 pairs.", planted.judges,
        judging.observed("human"),
    )  # fmt: skip
    upper, _ = plot.figure.axes
    texts = [text.get_text() for text in plot.figure.legends[0].get_texts()]
    assert "human (reference)" in texts and any(t.startswith("coin, ECE 0.8") for t in texts)
    black = next(line for line in upper.get_lines() if line.get_color() == "#000000")
    own = planted.measures.query("judge == 'human' and measure == 'indecision_by_gap.answers'")
    np.testing.assert_allclose(black.get_ydata(), own["value"])
    assert plot.data.query("judge == 'pairs'")["value"].sum() == 120
    assert (plot.data["judge"] == "people's answers").sum() == 6
