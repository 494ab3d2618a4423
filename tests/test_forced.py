"""Taking indecision away: every mode against tied pairs settled one by one."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from match_run import Run, people

from policies.davidson import Band, Davidson, modal
from policies.forced import MODES, SPLIT_EVENLY, force
from policies.human import freedman, human, human_assembly
from policies.rules import FirstCome, LifeYears, Lottery, Points
from populations.errors import InputError

ORDERS = ["first_listed", "last_listed", "stable_id", "attribute:race", "attribute:age"]
ALL_MODES = ["renormalise", "argmax", "forced_human", *ORDERS]
FITTED = [human(), human_assembly(), freedman()]
BAND = Band("band(human, 0.3)", human(), 0.3)
CASES = [
    *[(base, mode) for base in FITTED for mode in ALL_MODES],
    *[(BAND, mode) for mode in ["argmax", *ORDERS]],
    *[(modal(human()), mode) for mode in ["argmax", *ORDERS]],
    *[(Lottery(), mode) for mode in ORDERS],
]
every_case = pytest.mark.parametrize(
    ("base", "mode"), CASES, ids=[f"{base.name}, {mode}" for base, mode in CASES]
)


def worth(columns) -> np.ndarray:
    return np.asarray(columns["age"], dtype=float)


def first_wins(mode: str, run: Run, i: int, j: int) -> bool:
    """Who wins a tie of i and j (i listed before j), in words of the mode."""
    if mode == "first_listed":
        return True
    if mode == "last_listed":
        return False
    if mode == "stable_id":
        return bool(run["registration"][i] <= run["registration"][j])
    column = run[mode.removeprefix("attribute:")]
    return bool(column[i] >= column[j])


# ---- what holds for all --------------------------------------------------------------------------


@every_case
def test_no_coin_is_left(base, mode):
    policy = force(base, mode)
    for n in (1, 2, 3, 7, 40):
        run = people(n, n)
        choice = policy.choose(run)
        assert choice.tie == 0.0
        chances = choice.dense(run)
        assert chances.shape == (n,) and (chances >= 0).all()
        assert chances.sum() == pytest.approx(1.0, abs=1e-12)
    rows = policy.judge(people(200, 1).columns, people(200, 2).columns)
    assert (rows[:, 2] == 0).all()
    assert (rows >= 0).all() and rows.sum(axis=1) == pytest.approx(1.0, abs=1e-12)
    assert policy.name == f"forced({base.name}, {mode})"


@every_case
def test_two_candidates_are_the_pair(base, mode):
    policy = force(base, mode)
    for seed in range(30):
        run = people(2, seed)
        a, b, _ = policy.judge(run.one(0), run.one(1))[0]
        assert policy.choose(run).dense(run) == pytest.approx([a, b], abs=1e-12)


@every_case
def test_exact_equals_go_to_the_first_or_by_the_mode(base, mode):
    policy = force(base, mode)
    run = Run(age=[50.0, 50.0], registration=[9, 4])
    rows = policy.judge(run.one(0), run.one(1))
    assert policy.choose(run).dense(run) == pytest.approx(rows[0, :2], abs=1e-12)
    if mode in ("last_listed", "stable_id"):
        assert rows[0, 0] < 0.5
    elif mode in ("renormalise", "forced_human"):
        assert rows[0, 0] == pytest.approx(0.5)
    else:
        assert rows[0, 0] > 0.5


# ---- mode by mode --------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(ORDERS),
    st.lists(st.floats(-2, 2), min_size=4, max_size=4),
    st.lists(st.integers(0, 4), min_size=4, max_size=4),
    st.permutations([3, 1, 4, 2]),
    st.sampled_from([-1.0, 0.0, 1.5]),
)
def test_ties_settled_pair_by_pair(mode, u, race, registration, log_tie):
    run = Run(age=u, race=race, registration=registration)
    won = np.exp(2 * np.array(u))
    total = won.sum()
    for i, j in combinations(range(4), 2):
        tied = np.exp(log_tie + u[i] + u[j])
        total += tied
        won[i if first_wins(mode, run, i, j) else j] += tied
    policy = force(Davidson("model", worth, log_tie), mode)
    assert policy.choose(run).dense(run) == pytest.approx(won / total, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("mode", "winner"),
    [
        ("first_listed", 1),
        ("last_listed", 4),
        ("stable_id", 2),
        ("attribute:race", 4),
        ("attribute:cpra", 1),
        ("argmax", 3),
    ],
)
def test_ties_within_a_band(mode, winner):
    run = Run(
        age=[0.0, 0.8, 0.9, 1.0, 0.75],
        race=[4, 1, 2, 2, 3],
        registration=[1, 8, 3, 9, 7],
        cpra=[99.0, 20.0, 20.0, 3.0, 0.0],
    )
    band = Band("band", Davidson("model", worth, 0.0), 0.25)
    assert list(force(band, mode).choose(run).dense(run)) == list(np.eye(5)[winner])


@pytest.mark.parametrize(("mode", "winner"), [("first_listed", 0), ("last_listed", 2)])
def test_a_lottery_without_lots(mode, winner):
    run = people(3)
    assert force(Lottery(), mode).choose(run).dense(run)[winner] == 1.0
    assert force(Lottery(), "attribute:race").choose(run).dense(run).argmax() == np.argmax(
        run["race"]
    )


def test_renormalise_drops_the_coin():
    policy, run = force(human(), "renormalise"), people(6)
    alone = replace(human(), log_tie=-np.inf)
    assert policy.choose(run).dense(run) == pytest.approx(alone.choose(run).dense(run))
    a, b, _ = human().judge(run.one(0), run.one(1))[0]
    assert policy.judge(run.one(0), run.one(1))[0] == pytest.approx([a / (a + b), b / (a + b), 0])


def test_argmax_takes_the_best():
    run = Run(age=[0.5, 0.51, -3.0])
    policy = force(Davidson("model", worth, 3.0), "argmax")
    assert list(policy.choose(run).dense(run)) == [0, 1, 0]
    equal = Run(age=[0.5, 0.5])
    assert list(policy.choose(equal).dense(equal)) == [1, 0]


def test_forced_people():
    """Half of the coin's mass evenly, half rescaled; the better of two stays the better."""
    assert SPLIT_EVENLY == 0.5
    policy = force(human(), "forced_human")
    for seed in range(50):
        run = people(2, seed)
        a, b, coin = human().judge(run.one(0), run.one(1))[0]
        expected = 0.5 * (a + coin / 2) + 0.5 * a / (a + b)
        assert policy.judge(run.one(0), run.one(1))[0, 0] == pytest.approx(expected)
        p_a, p_b = policy.choose(run).dense(run)
        assert (p_a > p_b) == (a > b)
    run = people(5)
    with_coin, without = human(), replace(human(), log_tie=-np.inf)
    expected = 0.5 * with_coin.choose(run).dense(run) + 0.5 * without.choose(run).dense(run)
    assert policy.choose(run).dense(run) == pytest.approx(expected)


def test_what_replaces_the_coin_matters():
    run = people(12)
    chances = {mode: force(human(), mode).choose(run).dense(run) for mode in ALL_MODES}
    for one, other in combinations(ALL_MODES, 2):
        assert np.abs(chances[one] - chances[other]).max() > 0.001, (one, other)
    with_coin = human().choose(run).dense(run)
    head = chances["first_listed"] - with_coin
    assert head[0] > 0 > head[-1]
    assert chances["last_listed"][-1] > with_coin[-1]


def test_an_assembly_is_forced_citizen_by_citizen():
    run, assembly = people(6), human_assembly()
    for mode in ALL_MODES:
        expected = sum(
            share * force(member, mode).choose(run).dense(run)
            for share, member in zip(assembly.shares, assembly.members, strict=True)
        )
        assert force(assembly, mode).choose(run).dense(run) == pytest.approx(expected)


def test_the_card_is_kept():
    assert force(freedman(), "argmax").card == freedman().card
    assert force(human_assembly(), "argmax").card == {}


# ---- what means nothing --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "mode", "said"),
    [
        (human(), "toss", "unknown mode"),
        (human(), "", "unknown mode"),
        (human(), "attribute:", "unknown mode"),
        (human(), "attribute:NAME", "one of age"),
        (human(), "attribute:waiting_years", "one of age"),
        (human(), "age", "unknown mode"),
        (human(), "as_measured", "only a language model"),
        (FirstCome(), "argmax", "no coin"),
        (Points(), "first_listed", "no coin"),
        (LifeYears(), "renormalise", "no coin"),
        (force(human(), "argmax"), "argmax", "no coin"),
        (BAND, "renormalise", "nothing to rescale"),
        (BAND, "forced_human", "nothing to rescale"),
        (Lottery(), "renormalise", "nothing to rescale"),
        (Lottery(), "argmax", "no candidate better"),
        (object(), "argmax", "no coin"),
    ],
)
def test_refused(base, mode, said):
    with pytest.raises(InputError, match=said) as caught:
        force(base, mode)
    assert len(str(caught.value).splitlines()) == 1


def test_every_mode_of_the_list_is_known():
    for mode in set(MODES) - {"as_measured", "attribute:NAME"}:
        assert force(human(), mode).mode == mode


@pytest.mark.parametrize("order", [0.8, -0.8])
@pytest.mark.parametrize(
    "mode", ["renormalise", "argmax", "first_listed", "last_listed", "forced_human"]
)
@pytest.mark.parametrize("banded", [False, True])
def test_two_candidates_are_the_pair_with_an_advantage_of_position(order, mode, banded):
    """The pair as judged in the order of the list is what two candidates get."""
    base = Davidson("model", worth, -0.5, order)
    if banded and mode in ("renormalise", "forced_human"):
        return
    policy = force(Band("band", base, 0.3) if banded else base, mode)
    for u in ([0.2, 0.5], [0.5, 0.2], [0.0, 2.0]):
        run = Run(age=np.array(u))
        row = policy.judge({"age": np.array(u[:1])}, {"age": np.array(u[1:])})[0]
        assert policy.choose(run).dense(run) == pytest.approx(row[:2], abs=1e-12)


def test_among_many_an_always_first_model_takes_the_first_listed():
    run = Run(age=np.array([0.1, 0.3, 0.0, 0.2]))
    assert list(modal(Davidson("m", worth, -1.0, order=5.0)).choose(run).dense(run)) == [1, 0, 0, 0]
    assert list(modal(Davidson("m", worth, -1.0, order=-5.0)).choose(run).dense(run)) == [
        0,
        0,
        0,
        1,
    ]


def test_the_least_beaten_win_where_everybody_is_beaten():
    """First beats second by order, second third, and third first by far: a circle."""
    run = Run(age=np.array([0.0, 0.6, 1.25]))
    won = modal(Davidson("m", worth, -1.0, order=0.7)).choose(run)
    # Beaten by: first 0.55 (by third), second 0.1 (by first), third 0.05 (by second).
    assert list(won.dense(run)) == [0, 0, 1]
