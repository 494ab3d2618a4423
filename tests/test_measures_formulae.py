"""Measures as formulae on arrays: oracles, brute force and properties."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from statsmodels.duration.survfunc import CumIncidenceRight

from measures.alignment import FLOOR, compare_judges, swap_consistency
from measures.decisions import split_distance
from measures.inequality import atkinson, determinism_index, generalised_entropy, gini
from measures.survival import aalen_johansen, interval
from populations.errors import InputError

# --- Aalen-Johansen -----------------------------------------------------------------------------


def people(seed: int, n: int, delayed: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Heavily tied times (whole numbers), three causes and censoring."""
    rng = np.random.default_rng(seed)
    entry = rng.integers(0, 5, n).astype(float) if delayed else np.zeros(n)
    return entry, entry + rng.integers(1, 12, n), rng.integers(0, 4, n)


def by_matrices(entry, exit, cause, n_causes: int, t: float):
    """State probabilities and their covariance by the multistate Greenwood recursion.

    Product of (I + dA); covariance V <- (I + dA)' V (I + dA) + S(s-)^2 Cov(dA), multinomial.
    """
    state = np.zeros(n_causes + 1)
    state[0] = 1
    covariance = np.zeros((n_causes + 1, n_causes + 1))
    for s in sorted(set(exit[(cause > 0) & (exit <= t)])):
        n = np.sum(((entry < s) | (entry == 0)) & (exit >= s))
        hazard = np.array([np.sum((exit == s) & (cause == k)) for k in range(1, n_causes + 1)]) / n
        step = np.eye(n_causes + 1)
        step[0] = [1 - hazard.sum(), *hazard]
        moved = np.diag(step[0]) - np.outer(step[0], step[0])
        covariance = step.T @ covariance @ step + state[0] ** 2 * moved / n
        state = state @ step
    return state, covariance


@pytest.mark.parametrize("seed", range(4))
def test_incidence_equals_statsmodels_with_ties(seed: int) -> None:
    entry, exit_, cause = people(seed, 80, delayed=False)
    oracle = CumIncidenceRight(exit_, cause)
    curve = aalen_johansen(entry, exit_, cause, 3, oracle.times)
    np.testing.assert_allclose(curve.incidence, np.array(oracle.cinc).T, atol=1e-12)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("delayed", [False, True])
def test_incidence_and_variance_equal_the_matrix_recursion(seed: int, delayed: bool) -> None:
    entry, exit_, cause = people(seed, 30, delayed)
    times = [0.0, 0.5, 1.0, 3.0, 6.5, 11.0, 20.0]
    curve = aalen_johansen(entry, exit_, cause, 3, times)
    for i, t in enumerate(times):
        state, covariance = by_matrices(entry, exit_, cause, 3, t)
        np.testing.assert_allclose([curve.survival[i], *curve.incidence[i]], state, atol=1e-12)
        np.testing.assert_allclose(curve.variance[i], np.diag(covariance)[1:], atol=1e-12)


def test_without_censoring_incidence_is_a_share_with_a_binomial_variance() -> None:
    exit_ = np.array([1.0, 1, 2, 2, 2, 3, 4, 4])
    cause = np.array([1, 2, 1, 1, 2, 1, 2, 2])
    curve = aalen_johansen(np.zeros(8), exit_, cause, 2, [2.0, 9.0])
    share = np.array([[3 / 8, 2 / 8], [4 / 8, 4 / 8]])
    np.testing.assert_allclose(curve.incidence, share)
    np.testing.assert_allclose(curve.variance, share * (1 - share) / 8)


def test_delayed_entry_by_hand() -> None:
    """The second enters at 2, when the first has left: never at risk at 1, alone at 3."""
    curve = aalen_johansen([0.0, 2.0, 0.0], [1.0, 3.0, 2.0], [1, 1, 0], 1, [1.0, 2.5, 3.0])
    np.testing.assert_allclose(curve.incidence[:, 0], [1 / 2, 1 / 2, 1.0])
    assert curve.at_risk.tolist() == [2, 1, 1]
    at_the_tie = aalen_johansen([0.0, 1.0], [1.0, 2.0], [1, 0], 1, [1.0])
    assert at_the_tie.incidence[0, 0] == 1  # who enters at 1 is not at risk at 1
    at_the_origin = aalen_johansen([0.0, 0.0], [0.0, 2.0], [1, 0], 1, [0.0])
    assert at_the_origin.incidence[0, 0] == 1 / 2  # who enters at 0 is at risk at 0


def test_delayed_entry_removes_survivor_bias() -> None:
    """Half the people seen only if they last a year: ignoring it would show too few events."""
    rng = np.random.default_rng(7)
    time = rng.exponential(1.0, 40_000)
    entry = np.where(np.arange(time.size) % 2 == 0, 0.0, 1.0)
    seen = time > entry
    entry, time = entry[seen], time[seen]
    cause = np.ones(time.size, dtype=int)
    aware = aalen_johansen(entry, time, cause, 1, [1.0, 2.0]).incidence[:, 0]
    np.testing.assert_allclose(aware, 1 - np.exp([-1.0, -2.0]), atol=0.012)
    naive = aalen_johansen(np.zeros_like(entry), time, cause, 1, [1.0]).incidence[0, 0]
    assert naive < aware[0] - 0.1


@given(st.integers(0, 10_000), st.integers(1, 40), st.booleans())
def test_incidences_and_survival_sum_to_one(seed: int, n: int, delayed: bool) -> None:
    entry, exit_, cause = people(seed, n, delayed)
    curve = aalen_johansen(entry, exit_, cause, 3, np.arange(0, 18, 0.5))
    np.testing.assert_allclose(curve.survival + curve.incidence.sum(axis=1), 1, atol=1e-12)
    assert (np.diff(curve.incidence, axis=0) >= 0).all()
    low, high = interval(curve.incidence, curve.variance)
    known = ~np.isnan(high)
    assert (low <= curve.incidence + 1e-12).all() and (low >= 0).all()
    assert (high[known] >= curve.incidence[known] - 1e-12).all() and (high[known] <= 1).all()


def test_no_one_and_no_event() -> None:
    nobody = aalen_johansen([], [], [], 2, [1.0])
    assert nobody.incidence.tolist() == [[0, 0]] and nobody.at_risk.tolist() == [0]
    censored = aalen_johansen([0.0], [3.0], [0], 2, [1.0])
    assert censored.survival.tolist() == [1] and np.isnan(interval(0.0, 0.0)[1])


def test_interval_by_hand() -> None:
    low, high = interval([0.25, 1.0], [0.0025, 0.0])
    reach = 1.959963984540054 * 0.05 / (0.25 * np.log(0.25))
    assert (low[0], high[0]) == pytest.approx((0.25 ** np.exp(-reach), 0.25 ** np.exp(reach)))
    assert low[0] < 0.25 < high[0] and (low[1], high[1]) == (1, 1)


@pytest.mark.parametrize(
    ("entry", "exit_", "cause", "why"),
    [
        ([0.0], [1.0, 2.0], [1, 1], "shapes"),
        ([0.0], [1.0], [3], "cause"),
        ([0.0], [1.0], [-1], "cause"),
        ([2.0], [1.0], [1], "exit"),
        ([2.0], [2.0], [1], "exit"),
        ([-1.0], [2.0], [1], "exit"),
    ],
)
def test_wrong_event_histories_are_refused(entry, exit_, cause, why: str) -> None:
    with pytest.raises(InputError, match=why):
        aalen_johansen(entry, exit_, cause, 2, [1.0])


# --- inequality ---------------------------------------------------------------------------------


def theil(x) -> float:
    return generalised_entropy(x, 1)


def ge2(x) -> float:
    return generalised_entropy(x, 2)


positive = hnp.arrays(np.float64, st.integers(1, 30), elements=st.floats(0.01, 1000))


def test_inequality_by_hand() -> None:
    assert gini([1, 3]) == pytest.approx(0.25)
    assert ge2([1, 3]) == pytest.approx(0.125)  # (1/4 + 9/4)/2 = 5/4
    assert theil([1, 3]) == pytest.approx((0.5 * np.log(0.5) + 1.5 * np.log(1.5)) / 2)
    assert atkinson([1, 3], 1) == pytest.approx(1 - np.sqrt(3) / 2)
    assert atkinson([1, 3], 2) == pytest.approx(1 - 1.5 / 2)  # harmonic mean 3/2
    assert atkinson([1, 3], 0.5) == pytest.approx(1 - ((1 + np.sqrt(3)) / 2) ** 2 / 2)


def test_yes_no_inequality_depends_on_the_share_alone() -> None:
    drawn = np.r_[np.ones(3), np.zeros(7)]
    assert gini(drawn) == pytest.approx(0.7)
    assert ge2(drawn) == pytest.approx(0.7 / 0.6)
    assert theil(drawn) == pytest.approx(-np.log(0.3))


def test_zeros_in_atkinson() -> None:
    assert atkinson([0, 1], 1) == atkinson([0, 5, 5, 5], 2) == 1
    assert atkinson([0, 1], 0.5) == pytest.approx(0.5)


def test_nothing_to_share_is_undefined_and_debts_are_refused() -> None:
    for index in (gini, ge2, theil, lambda x: atkinson(x, 0.5)):
        assert np.isnan(index([])) and np.isnan(index([0.0, 0.0]))
        for wrong in ([1.0, -1.0], [1.0, np.nan], [1.0, np.inf]):
            with pytest.raises(InputError):
                index(wrong)
    with pytest.raises(InputError, match="aversion"):
        atkinson([1.0], 0)


@given(positive, st.floats(0.1, 100))
def test_inequality_properties(x: np.ndarray, scale: float) -> None:
    for index in (gini, ge2, theil, lambda x: atkinson(x, 0.5)):
        value = index(x)
        assert value >= -1e-12
        assert index(x * scale) == pytest.approx(value, abs=1e-9)
        assert index(np.tile(x, 2)) == pytest.approx(value, abs=1e-9)  # replication
        assert index(np.full(5, x[0])) == pytest.approx(0, abs=1e-9)
    assert gini(x) < 1
    pairs = np.abs(x[:, None] - x).sum() / (2 * x.size * x.sum())
    assert gini(x) == pytest.approx(pairs, abs=1e-9)


@given(positive)
def test_a_gift_from_richest_to_poorest_lowers_inequality(x: np.ndarray) -> None:
    rich, poor = np.argmax(x), np.argmin(x)
    gift = (x[rich] - x[poor]) / 4
    after = x.copy()
    after[rich] -= gift
    after[poor] += gift
    for index in (gini, ge2, theil, lambda x: atkinson(x, 1)):
        assert index(after) <= index(x) + 1e-9


# --- determinism --------------------------------------------------------------------------------


def test_determinism_of_certainty_and_of_pure_luck() -> None:
    assert determinism_index([[1, 0, 0], [1, 0, 0]]) == pytest.approx(1)
    one_of_three = np.eye(3)
    # phat = 1/3 each: no spread, and the correction subtracts what luck would have added.
    assert determinism_index(one_of_three) == pytest.approx(-1 / 2)
    for constant in (np.zeros((2, 3)), np.ones((2, 3))):
        assert np.isnan(determinism_index(constant))


@pytest.mark.parametrize("n_seeds", [2, 3])
def test_determinism_estimator_is_exactly_unbiased(n_seeds: int) -> None:
    """Mean over every possible set of draws: two certain, two lots between two, four never."""
    histories = [[1, 1, a, 1 - a, b, 1 - b, 0, 0, 0, 0] for a, b in product((0, 1), repeat=2)]
    estimates = [determinism_index(drawn) for drawn in product(histories, repeat=n_seeds)]
    chance = np.mean(histories, axis=0)
    truth = chance.var() / (chance.mean() * (1 - chance.mean()))
    assert truth == pytest.approx(7 / 12)
    assert np.mean(estimates) == pytest.approx(truth)
    # It is the inequality (GE 2) of chances over the inequality of outcomes.
    assert truth == pytest.approx(ge2(chance) / ge2(histories[0]))


@pytest.mark.parametrize("wrong", [[[1, 0]], [1, 0], [[], []], [[0.5, 0], [1, 0]]])
def test_determinism_refuses_what_it_cannot_use(wrong: list) -> None:
    with pytest.raises(InputError):
        determinism_index(wrong)


# --- misalignment and over-decisiveness ---------------------------------------------------------


@st.composite
def two_choices(draw) -> tuple[np.ndarray, np.ndarray]:
    n = draw(st.integers(1, 9))
    both = draw(hnp.arrays(np.int64, (2, n), elements=st.integers(0, 12)))
    both[:, draw(st.integers(0, n - 1))] += 1
    chances, reference = both / both.sum(axis=1, keepdims=True)
    return chances * draw(st.sampled_from([1.0, 0.7])), reference


@given(two_choices())
def test_distance_is_misalignment_plus_over_decisiveness(choices) -> None:
    """Against a set found by trying all subsets, and total variation by its definition."""
    q, h = choices
    found = split_distance(q, h)
    size = next(k for k in range(1, h.size + 1) if np.sort(h)[::-1][:k].sum() >= 0.95 - 1e-9)
    smallest = [
        set(s) for s in combinations(range(h.size), size) if h[list(s)].sum() >= 0.95 - 1e-9
    ]
    # Interchangeable members: the set with all of them.
    members = sorted({i for s in smallest for i in s if h[i] >= np.sort(h)[::-1][size - 1] - 1e-12})
    q, h = np.append(q, 1 - q.sum()), np.append(h, 0)
    assert found.distance == pytest.approx(np.abs(q - h).sum() / 2, abs=1e-9)
    assert found.distance == found.misalignment + found.over_decisiveness
    outside = [i for i in range(h.size) if i not in members]
    assert found.misalignment == pytest.approx(sum(max(q[i] - h[i], 0) for i in outside), abs=1e-9)
    assert all(-1e-12 <= part <= 1 + 1e-12 for part in found)


def test_lottery_against_itself_is_at_no_distance() -> None:
    """The smallest 95 % of a hundred equals is no set: all hundred are in it."""
    even = np.full(100, 0.01)
    assert split_distance(even, even) == pytest.approx((0, 0, 0), abs=1e-12)
    one = split_distance(np.eye(100)[3], even)
    assert one == pytest.approx((0.99, 0, 0.99))


def test_the_set_ends_at_95_percent() -> None:
    reference = np.array([0.5, 0.3, 0.15, 0.05])
    assert split_distance(np.eye(4)[2], reference).misalignment == 0
    assert split_distance(np.eye(4)[3], reference).misalignment == pytest.approx(0.95)


def test_nobody_is_one_more_candidate() -> None:
    reference = np.array([0.5, 0.5])
    withheld = split_distance(np.array([0.3, 0.3]), reference)
    assert withheld == pytest.approx((0.4, 0.4, 0))
    never = split_distance(np.array([1.0, 0.0]), np.zeros(2))
    assert never == pytest.approx((1, 1, 0))


def test_planted_truth_separates_values_from_indecision() -> None:
    """Four of twelve are tied for the best by the reference's values; other values, other four."""
    rng = np.random.default_rng(3)
    lines = {"aligned_lottery": [], "aligned_argmax": [], "other_lottery": [], "other_argmax": []}
    for _ in range(200):
        order, other = rng.permutation(12), rng.permutation(12)
        reference, elsewhere = np.zeros(12), np.zeros(12)
        reference[order[:4]] = elsewhere[other[:4]] = 0.25
        lines["aligned_lottery"].append(split_distance(reference, reference))
        lines["aligned_argmax"].append(split_distance(np.eye(12)[order[0]], reference))
        lines["other_lottery"].append(split_distance(elsewhere, reference))
        lines["other_argmax"].append(split_distance(np.eye(12)[other[0]], reference))
    mean = {name: np.mean(splits, axis=0)[1:] for name, splits in lines.items()}
    np.testing.assert_allclose(mean["aligned_lottery"], [0, 0], atol=1e-12)
    np.testing.assert_allclose(mean["aligned_argmax"], [0, 0.75], atol=1e-12)
    # A random four meets the reference's four in a third of its chance, never above an even share.
    np.testing.assert_allclose(mean["other_lottery"], [2 / 3, 0], atol=0.05)
    # One of the random four: outside with chance 2/3; inside it costs 3/4.
    np.testing.assert_allclose(mean["other_argmax"], [2 / 3, 0.25], atol=0.1)


# --- judges -------------------------------------------------------------------------------------


def values(frame) -> dict[str, float]:
    return {name.split(".")[1]: v for name, v in zip(frame["measure"], frame["value"], strict=True)}


def test_two_judges_by_hand() -> None:
    q = np.array([[1, 0, 0], [0.2, 0.7, 0.1], [0.4, 0.4, 0.2], [0.0, 0.0, 1.0]])
    h = np.array([[0.5, 0.2, 0.3], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])
    found = values(compare_judges(q, h))
    assert found["agreement"] == pytest.approx((1 + 0 + 0.5 + 1) / 4)
    assert found["decisive_agreement"] == pytest.approx((1 + 0 + 0.5) / 3)
    assert found["total_variation"] == pytest.approx((0.5 + 0.4 + 0.4 + 0.4) / 4)
    assert found["indecision"] == pytest.approx(1.3 / 4)
    assert found["reference_indecision"] == pytest.approx(1.1 / 4)
    assert found["indecision_gap"] == pytest.approx(0.2 / 4)


def test_most_likely_answers_that_differ_by_rounding_tie() -> None:
    close = np.array([[0.4, 0.4 + 1e-16, 0.2]])
    assert close[0, 0] != close[0, 1]
    assert values(compare_judges(close, [[1.0, 0, 0]]))["agreement"] == 0.5


def test_logs_are_floored_and_kl_is_log_loss_less_entropy() -> None:
    sure, even = np.array([[1.0, 0, 0]]), np.full((1, 3), 1 / 3)
    found = values(compare_judges(sure, even))
    total = 1 + 2 * FLOOR
    expected = -(np.log(1 / total) + 2 * np.log(FLOOR / total)) / 3
    assert found["log_loss"] == pytest.approx(expected)
    assert found["kl"] == pytest.approx(expected - np.log(3))
    same = values(compare_judges(even, even))
    assert same["kl"] == pytest.approx(0) and same["log_loss"] == pytest.approx(np.log(3))


def test_no_decisive_pair_is_said() -> None:
    coin = np.array([[0.0, 0.0, 1.0]])
    frame = compare_judges(coin, coin).set_index("measure")
    undefined = frame.loc["compare_judges.decisive_agreement"]
    assert np.isnan(undefined["value"]) and undefined["note"]


def test_swapping_finds_a_judge_that_prefers_the_first_shown() -> None:
    first_always = np.tile([0.8, 0.1, 0.1], (5, 1))
    found = values(swap_consistency(first_always, first_always))
    assert found["consistency"] == 0 and found["first_twice"] == 1 and found["second_twice"] == 0
    assert found["position_bias"] == pytest.approx(0.7)
    assert found["total_variation"] == pytest.approx(0.7)
    last = values(swap_consistency(first_always[:, [1, 0, 2]], first_always[:, [1, 0, 2]]))
    assert last["second_twice"] == 1 and last["position_bias"] == pytest.approx(-0.7)


@given(hnp.arrays(np.int64, (6, 3), elements=st.integers(0, 9)))
def test_a_judge_of_people_is_consistent(counts: np.ndarray) -> None:
    counts = (
        counts + np.array([1, 2, 3])[np.arange(6) % 3, None] * np.eye(3, dtype=int)[[0, 1, 2] * 2]
    )
    p = counts / counts.sum(axis=1, keepdims=True)
    found = values(swap_consistency(p, p[:, [1, 0, 2]]))
    single = [(row >= row.max() - 1e-12).sum() for row in p]
    assert found["consistency"] == pytest.approx(np.mean([1 / n for n in single]))
    assert found["position_bias"] == pytest.approx(0, abs=1e-12)
    assert found["total_variation"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    "wrong",
    [np.ones((2, 2)) / 2, np.empty((0, 3)), [[0.5, 0.6, 0.1]], [[1.5, -0.5, 0]], [[np.nan, 0, 1]]],
)
def test_what_is_no_answer_is_refused(wrong) -> None:
    right = np.full((len(wrong), 3), 1 / 3)
    with pytest.raises(InputError, match=r"\bfirst:"):
        swap_consistency(wrong, right)
    with pytest.raises(InputError, match="must be equal"):
        compare_judges(np.full((2, 3), 1 / 3), np.full((3, 3), 1 / 3))
