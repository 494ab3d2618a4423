"""The choice model: its N-way form against brute force, and the fitted human values."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from match_run import Run, people

from policies.davidson import Assembly, Band, Davidson, Linear, modal
from policies.human import FREEDMAN_SCORES, freedman, freedman_profile, human, human_assembly

SMALL = st.floats(-3, 3)
LOG_TIES = st.sampled_from([-np.inf, -2.0, -0.504, 0.0, 1.5])


def worth(columns) -> np.ndarray:
    """Values that are given directly, in the column of ages."""
    return np.asarray(columns["age"], dtype=float)


def model(log_tie=-0.5, order=0.0) -> Davidson:
    return Davidson("model", worth, log_tie, order)


def chances(policy, u) -> np.ndarray:
    run = Run(age=np.asarray(u, dtype=float))
    return policy.choose(run).dense(run)


def brute_force(u, log_tie) -> tuple[np.ndarray, float]:
    """Outright wins and tied pairs, one by one, ties shared equally."""
    nu = np.exp(log_tie)
    won, tied = np.exp(2 * np.asarray(u, dtype=float)), np.zeros(len(u))
    weight_of_ties = 0.0
    for i, j in combinations(range(len(u)), 2):
        weight = nu * np.exp(u[i] + u[j])
        tied[i] += weight / 2
        tied[j] += weight / 2
        weight_of_ties += weight
    total = won.sum() + weight_of_ties
    return (won + tied) / total, weight_of_ties / total


# ---- N candidates --------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(st.lists(SMALL, min_size=1, max_size=6), LOG_TIES)
def test_davidson_luce_against_brute_force(u, log_tie):
    run = Run(age=u)
    choice = model(log_tie).choose(run)
    expected, tie = brute_force(u, log_tie)
    assert choice.dense(run) == pytest.approx(expected, rel=1e-9)
    assert choice.tie == pytest.approx(tie, abs=1e-12)
    assert choice.dense(run).sum() == pytest.approx(1.0, abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000))
def test_two_candidates_are_the_fitted_pair(seed):
    run, policy = people(2, seed), human()
    a, b, coin = policy.judge(run.one(0), run.one(1))[0]
    u = [float(policy.values(run.one(i))[0]) for i in (0, 1)]
    weights = np.exp([u[0] - u[1], u[1] - u[0], policy.log_tie])
    assert [a, b, coin] == pytest.approx(weights / weights.sum(), abs=1e-12)
    choice = policy.choose(run)
    assert choice.dense(run) == pytest.approx([a + coin / 2, b + coin / 2], abs=1e-12)
    assert choice.tie == pytest.approx(coin, abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.lists(SMALL, min_size=2, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_the_list_does_not_matter(u, random):
    order = list(range(len(u)))
    random.shuffle(order)
    assert chances(model(), np.array(u)[order]) == pytest.approx(chances(model(), u)[order])


@settings(max_examples=50, deadline=None)
@given(st.lists(SMALL, min_size=1, max_size=6), st.sampled_from([-300.0, -1.0, 5.0, 300.0]))
def test_only_differences_count(u, shift):
    assert chances(model(), np.array(u) + shift) == pytest.approx(chances(model(), u), abs=1e-9)


def test_extremes():
    assert list(chances(model(), [3.0])) == pytest.approx([1.0])
    assert model().choose(Run(age=[3.0])).tie == 0.0
    for policy in (model(), model(order=2.0), model(-np.inf)):
        for u, expected in (([1e6, 0, -1e6], [1, 0, 0]), ([-1e300, 0.0, -5.0], [0, 1, 0])):
            assert chances(policy, u) == pytest.approx(expected, abs=5e-2)
            rows = policy.judge({"age": np.array(u)}, {"age": np.zeros(3)})
            assert np.isfinite(rows).all() and rows.sum(axis=1) == pytest.approx(1.0)
    assert chances(model(-np.inf), [1.0, 1.0, 0.0])[:2] == pytest.approx(
        [np.e**2 / (2 * np.e**2 + 1)] * 2
    )
    assert chances(model(50.0), [2.0, 0.0]) == pytest.approx([0.5, 0.5])


@settings(max_examples=60, deadline=None)
@given(st.lists(SMALL, min_size=1, max_size=8), LOG_TIES, st.sampled_from([0.0, 0.7]))
def test_a_tie_is_a_probability(u, log_tie, order):
    tie = model(log_tie, order).choose(Run(age=u)).tie
    assert -1e-12 <= tie <= 1.0


# ---- the pairwise view ---------------------------------------------------------------------------

JUDGES = [human(), human_assembly(), freedman(), Band("band", human(), 0.3), modal(human())]


@pytest.mark.parametrize("judge", JUDGES, ids=lambda judge: judge.name)
def test_judges_are_even_handed(judge):
    a, b = people(300, 1).columns, people(300, 2).columns
    rows = judge.judge(a, b)
    assert rows.shape == (300, 3)
    assert (rows >= 0).all() and rows.sum(axis=1) == pytest.approx(1.0, abs=1e-12)
    assert judge.judge(b, a) == pytest.approx(rows[:, [1, 0, 2]], abs=1e-12)
    same = judge.judge(a, a)
    assert same[:, 0] == pytest.approx(same[:, 1], abs=1e-12)


@pytest.mark.parametrize("judge", JUDGES, ids=lambda judge: judge.name)
def test_judge_and_choice_agree_on_two(judge):
    for seed in range(40):
        run = people(2, seed)
        a, b, coin = judge.judge(run.one(0), run.one(1))[0]
        choice = judge.choose(run)
        assert choice.dense(run) == pytest.approx([a + coin / 2, b + coin / 2], abs=1e-12)
        assert choice.tie == pytest.approx(coin, abs=1e-12)


def test_advantage_of_being_first():
    policy = model(order=0.8)
    rows = policy.judge({"age": np.array([0.2])}, {"age": np.array([0.5])})
    weights = np.exp([0.2 - 0.5 + 0.8, 0.5 - 0.2 - 0.8, -0.5])
    assert rows[0] == pytest.approx(weights / weights.sum(), abs=1e-12)
    a, b, coin = rows[0]
    assert chances(policy, [0.2, 0.5]) == pytest.approx([a + coin / 2, b + coin / 2], abs=1e-12)
    assert list(chances(policy, [1.0])) == [1.0]


# ---- the band and the mode -----------------------------------------------------------------------


def test_a_band_includes_its_edge():
    band = Band("band", model(), 0.5)
    assert list(chances(band, [1.0, 0.5, 0.4999, -3])) == [0.5, 0.5, 0, 0]
    assert list(band.tied(Run(age=[0.25, 0.75, 0.5, 0.0]))) == [0, 1, 2]
    rows = band.judge({"age": np.array([0.5, 0.51, 0.0])}, {"age": np.array([0.0, 0.0, 0.51])})
    assert rows.tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert band.choose(Run(age=[1.0, 0.5, -3])).tie == 1.0
    assert band.choose(Run(age=[1.0, 0.0, -3])).tie == 0.0
    assert list(chances(Band("band", model(), 0.0), [1.0, 1.0, 0.0])) == [0.5, 0.5, 0]


def test_a_band_is_around_the_best_not_a_chain():
    assert list(chances(Band("band", model(), 0.5), [1.0, 0.6, 0.3])) == [0.5, 0.5, 0.0]


def test_a_band_knows_who_was_first():
    band = Band("band", model(order=0.4), 0.5)
    assert list(chances(band, [0.2, 0.0])) == [1.0, 0.0]
    assert list(chances(band, [0.0, 0.2])) == [0.5, 0.5]
    assert list(band.judge({"age": np.array([0.2])}, {"age": np.array([0.0])})[0]) == [1, 0, 0]


@pytest.mark.parametrize("log_tie", [-0.504, 0.0, 0.75])
def test_the_mode_is_the_most_likely_answer(log_tie):
    differences = np.array([-2, -0.76, -0.74, -0.2, -0.01, 0.01, 0.2, 0.74, 0.76, 2])
    pairs = {"age": differences}, {"age": np.zeros(len(differences))}
    most_likely = model(log_tie).judge(*pairs).argmax(axis=1)
    assert np.array_equal(modal(model(log_tie)).judge(*pairs).argmax(axis=1), most_likely)
    assert modal(model(log_tie)).judge(*pairs).max(axis=1).min() == 1.0


def test_the_mode_of_equals_without_indecision_is_lots():
    assert list(chances(modal(model(-2.0)), [1.0, 1.0, 0.0])) == [0.5, 0.5, 0.0]


# ---- several citizens ----------------------------------------------------------------------------


def test_an_assembly_is_the_mixture():
    members = (model(-np.inf), replace(model(1.0), values=lambda c: -worth(c)))
    assembly = Assembly("two", members, (0.25, 0.75))
    u = np.array([0.3, -0.2, 1.0])
    expected = 0.25 * brute_force(u, -np.inf)[0] + 0.75 * brute_force(-u, 1.0)[0]
    assert chances(assembly, u) == pytest.approx(expected)
    assert assembly.choose(Run(age=u)).tie == pytest.approx(0.75 * brute_force(-u, 1.0)[1])
    rows = assembly.judge({"age": u[:1]}, {"age": u[1:2]})
    parts = [m.judge({"age": u[:1]}, {"age": u[1:2]}) for m in members]
    assert rows == pytest.approx(0.25 * parts[0] + 0.75 * parts[1])


def test_the_citizens_are_the_published_mixture():
    assembly = human_assembly()
    assert sum(assembly.shares) == pytest.approx(1.0)
    assert assembly.shares == (0.296, 0.283, 0.280, 0.141)
    assert [m.log_tie for m in assembly.members] == [0.14, -2.24, -0.55, 1.71]
    fitted = [[w[0] for w in m.values.weights.values()] for m in assembly.members]
    assert fitted == [
        [-1.36, -2.93, 1.24],
        [-2.82, -1.18, 0.85],
        [-1.34, -0.74, 3.13],
        [-5.72, -0.44, 1.39],
    ]


# ---- fitted values -------------------------------------------------------------------------------


def test_linear_values_by_hand():
    values = Linear({"age": (2.0, 20.0, 40.0), "cpra": (-1.0, 0.0, 100.0)})
    columns = {"age": np.array([20, 30, 50]), "cpra": np.array([0, 50, 100])}
    assert list(values(columns)) == [0.0, 0.5, 2.0]


def test_trade_offs_of_people():
    def utility(**given_values) -> float:
        return float(human().values(Run(**{k: [v] for k, v in given_values.items()}).columns)[0])

    base = utility(age=45.0)
    per_year = utility(age=46.0) - base
    assert per_year == pytest.approx(-0.0372, abs=5e-5)
    assert (utility(age=45.0, child_dependents=1.0) - base) / -per_year == pytest.approx(
        16.4, abs=0.05
    )
    assert (utility(age=45.0, drinks_per_day=2.0) - base) / per_year == pytest.approx(7.8, abs=0.05)
    assert human().log_tie == -0.504


def profiles() -> Run:
    """Freedman's eight, in the order of the published table."""
    return Run(
        age=np.repeat([30.0, 70.0], 4),
        skin_cancer=np.tile([0, 0, 1, 1], 2),
        drinks_per_day=np.tile([0.03, 5.0], 4),
    )


def win(run: Run, i: int, j: int) -> tuple[float, float]:
    """P(i) against j without the coin, and P(coin)."""
    a, b, coin = freedman().judge(run.one(i), run.one(j))[0]
    return a / (a + b), coin


def test_freedman_profiles():
    run = profiles()
    assert list(freedman_profile(run.columns)) == list(range(8))
    assert list(freedman_profile(Run(age=[49.9, 50.0]).columns)) == [0, 4]
    assert list(freedman_profile(Run(age=[30.0, 30.0], drinks_per_day=[2, 5]).columns)) == [0, 1]
    ratio = np.exp(2 * freedman().values(run.columns))
    assert ratio / ratio[0] == pytest.approx(FREEDMAN_SCORES)


def test_freedman_win_rates():
    run = profiles()
    rates = [100 * np.mean([win(run, i, j)[0] for j in range(8) if j != i]) for i in range(8)]
    assert rates == pytest.approx([94.0, 63.2, 76.8, 43.5, 56.1, 23.7, 36.3, 6.4], abs=0.1)


@pytest.mark.parametrize(
    ("i", "j", "published"), [(0, 4, 0.935), (2, 1, 0.696), (4, 3, 0.662), (1, 4, 0.596)]
)
def test_freedman_pairs(i, j, published):
    assert win(profiles(), i, j)[0] == pytest.approx(published, abs=0.001)


def test_freedman_flips_as_often_as_people_did():
    run = profiles()
    coins = [win(run, i, j)[1] for i, j in combinations(range(8), 2)]
    assert len(coins) == 28
    assert np.mean(coins) == pytest.approx(0.169, abs=0.0005)


def test_freedman_people_change_profile_as_they_age():
    assert not freedman().steady
    assert human().steady
