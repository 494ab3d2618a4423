"""Policies by name: every one works, is described, travels; wrong names are one line."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from match_run import Run, people

from policies import registry
from policies.davidson import Band, Davidson
from policies.forced import Forced
from policies.protocol import Policy
from policies.registry import PATTERNS, POLICIES, make_policy, register, split_policies
from policies.rules import Lottery
from populations.errors import InputError

ANSWERS = Path("no-such-folder")  # nothing here asks a language model
WRITTEN = [
    *POLICIES,
    "modal(human)",
    "band(human, 0.3)",
    "band(freedman, 0)",
    "forced(human, argmax)",
    "forced(human-assembly, first_listed)",
    "forced(band(human, 0.3), attribute:race)",
    "forced(modal(freedman), stable_id)",
    "forced(lottery, last_listed)",
    "with_coin(human, freedman)",
]


def make(text: str) -> Policy:
    return make_policy(text, ANSWERS)


def refused(text: str) -> str:
    with pytest.raises(InputError) as caught:
        make(text)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def test_the_policies_are_these():
    assert set(POLICIES) >= {
        "lottery",
        "first-come",
        "points",
        "life-years",
        "human",
        "human-assembly",
        "freedman",
    }
    for name, entry in POLICIES.items():
        assert len(entry.description) > 10, name
        assert entry.make().name == name
    assert all(len(line) > 10 for line in PATTERNS.values())


@pytest.mark.parametrize("text", WRITTEN)
def test_every_policy_answers(text):
    policy = make(text)
    assert isinstance(policy, Policy)
    assert policy.name == text
    for n in (1, 2, 9):
        run = people(n, n)
        choice = policy.choose(run)
        chances = choice.dense(run)
        assert chances.shape == (n,)
        assert (chances >= 0).all() and chances.sum() == pytest.approx(1.0)
        assert -1e-12 <= choice.tie <= 1


@pytest.mark.parametrize("text", WRITTEN)
def test_every_policy_travels_to_another_process(text):
    policy, run = make(text), people(9)
    before = policy.choose(run).dense(run)
    there = pickle.loads(pickle.dumps(policy))
    assert there.name == policy.name
    assert np.array_equal(there.choose(run).dense(run), before)
    if hasattr(policy, "judge"):
        pair = people(5, 1).columns, people(5, 2).columns
        assert np.array_equal(there.judge(*pair), policy.judge(*pair))


# ---- rules ---------------------------------------------------------------------------------------


def chances(text: str, run: Run) -> list[float]:
    return list(make(text).choose(run).dense(run))


def test_lottery():
    run = people(4)
    assert chances("lottery", run) == [0.25] * 4
    assert Lottery().choose(run).tie == 1.0
    assert Lottery().choose(people(1)).tie == 0.0
    assert Lottery().judge(run.columns, run.columns).tolist() == [[0, 0, 1]] * 4


def test_first_come():
    assert chances("first-come", people(3)) == [1, 0, 0]


def test_life_years():
    run = Run(age=[50.0] * 4, life_years_gained=[-1.0, 2.0, 2.0, 1.0])
    assert chances("life-years", run) == [0, 0.5, 0.5, 0]
    assert make("life-years").choose(run).tie == 1.0


def test_points_count_from_listing_or_dialysis_whichever_was_first():
    run = Run(
        age=[50.0] * 4, cpra=[0.0] * 4, listed=[-4.0, -3, -2, -1], dialysis_start=[9.0, -3.5, -5, 0]
    )
    assert chances("points", run) == [0, 0, 1, 0]
    run.columns["dialysis_start"] = np.full(4, np.inf)
    assert chances("points", run) == [1, 0, 0, 0]
    run.columns["cpra"] = np.array([0.0, 25.0, 80.0, 99.5])  # 4, 3.08, 4.46 and 203.1 points
    assert chances("points", run) == [0, 0, 0, 1]
    run.columns["cpra"] = np.array([0.0, 25.0, 80.0, 80.0])
    assert chances("points", run) == [0, 0, 1, 0]
    run.columns |= {"cpra": np.zeros(4), "listed": np.array([-4.0, -4, -2, -1])}
    assert chances("points", run) == [0.5, 0.5, 0, 0]


# ---- reading names -------------------------------------------------------------------------------


def test_splitting():
    assert split_policies("a") == ["a"]
    assert split_policies(" a , forced(b, argmax),band(modal(c), 1) ") == [
        "a",
        "forced(b, argmax)",
        "band(modal(c), 1)",
    ]
    assert split_policies("") == [""]
    assert split_policies("a,,b") == ["a", "", "b"]
    for text in ("f(a", "a)", ")(", "f(a))(", "((a)"):
        with pytest.raises(InputError, match="bracket"):
            split_policies(text)


def test_spaces_do_not_matter():
    policy = make("  forced ( band( human ,0.2 ) ,  attribute:race )  ")
    assert isinstance(policy, Forced) and isinstance(policy.base, Band)
    assert (policy.mode, policy.base.delta) == ("attribute:race", 0.2)
    assert make(" human ").name == "human"


def test_a_model_at_either_temperature_is_another_arm():
    assert make("sampled(human)").name == "sampled(human)"
    assert make("modal(human)").name == "modal(human)"


def test_wrappers():
    band = make("band(human, 0.25)")
    assert isinstance(band, Band) and band.delta == 0.25 and band.base.name == "human"
    assert make("modal(human)").delta == 0.0  # people's log_tie is below 0
    assert isinstance(make("sampled(human)"), Davidson)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("humna", "did you mean 'human'"),
        ("Lottery", "did you mean 'lottery'"),
        ("first_come", "did you mean 'first-come'"),
        ("freedmann", "did you mean 'freedman'"),
        ("", "expected one of lottery"),
        ("(human)", "unknown policy"),
        ("xyzzy", "expected one of lottery"),
        ("human(3)", "unknown policy"),
        ("bend(human, 3)", "expected"),
        ("forced(human)", "forced(POLICY, MODE)"),
        ("forced(human, argmax, argmax)", "forced(POLICY, MODE)"),
        ("forced(human, )", "unknown mode"),
        ("forced(, argmax)", "unknown policy ''"),
        ("forced(human, argmin)", "renormalise"),
        ("forced(human, as_measured)", "only a language model"),
        ("forced(points, argmax)", "no coin"),
        ("forced(humna, argmax)", "did you mean 'human'"),
        ("forced(human, argmax", "closing bracket"),
        ("forced(human, argmax)x", "closing bracket"),
        ("forced(human, argmax))", "bracket"),
        ("band(human)", "band(POLICY, DELTA)"),
        ("band(human, -0.1)", "'-0.1'"),
        ("band(human, nan)", "'nan'"),
        ("band(human, inf)", "'inf'"),
        ("band(human, wide)", "'wide'"),
        ("band(human, )", "''"),
        ("band(points, 0.1)", "points has no fitted utilities"),
        ("band(human-assembly, 0.1)", "no fitted utilities"),
        ("band(forced(human, argmax), 0.1)", "no fitted utilities"),
        ("band(band(human, 0.1), 0.2)", "no fitted utilities"),
        ("modal(band(human, 0.1))", "no fitted utilities"),
        ("modal(lottery)", "no fitted utilities"),
        ("modal()", "unknown policy ''"),
        ("modal(human, human)", "modal(POLICY)"),
        ("with_coin(human)", "with_coin(POLICY, OTHER)"),
        ("with_coin(human, lottery)", "lottery has no fitted utilities"),
        ("with_coin(points, human)", "points has no fitted utilities"),
        ("table(human)", "expected table(llm:MODEL)"),
        ("live(lottery)", "expected live(llm:MODEL)"),
        ("live()", "expected live(llm:MODEL)"),
        ("forced(live(human), as_measured)", "expected live(llm:MODEL)"),
    ],
)
def test_wrong_names(text, said):
    assert said in refused(text)


PARTS = [
    "human",
    "freedman",
    "lottery",
    "points",
    "forced",
    "band",
    "modal",
    "sampled",
    "table",
    "live",
]
PIECES = [
    *PARTS,
    "with_coin",
    "(",
    ")",
    "(",
    ")",
    ",",
    " ",
    "argmax",
    "0.1",
    "nan",
    "attribute:race",
    "-",
    "1e400",
    "é",
]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join) | st.text(max_size=20))
def test_any_text_is_a_policy_or_refused(text):
    if "llm" in text:
        return
    try:
        policy = make(text)
    except InputError:
        return
    assert isinstance(policy, Policy)
    assert policy.choose(people(3)).dense(people(3)).sum() == pytest.approx(1.0)


def test_values_of_one_with_the_indecision_of_another():
    values, coin = make("human"), make("freedman")
    both = make("with_coin(human, freedman)")
    assert isinstance(values, Davidson) and isinstance(coin, Davidson)
    assert isinstance(both, Davidson) and both.values == values.values
    assert (both.log_tie, both.order, both.card) == (coin.log_tie, values.order, {})
    run = people(2)
    a, b = run.one(0), run.one(1)
    p, q = values.judge(a, b)[0], both.judge(a, b)[0]
    assert q[0] / q[1] == pytest.approx(p[0] / p[1])  # the coin takes from both alike


def test_it_says_that_the_advantage_of_position_comes_with_the_values(monkeypatch):
    listed_first = replace(make("human"), order=0.455)
    monkeypatch.setitem(POLICIES, "listed", registry.Entry("for this test", lambda: listed_first))
    assert make("with_coin(listed, freedman)").order == 0.455
    assert "and its advantage of position" in PATTERNS["with_coin(POLICY, OTHER)"]


@pytest.mark.parametrize("mode", ["renormalise", "forced_human", "argmin", "attribute:beauty"])
def test_a_mode_that_a_language_model_cannot_have_is_refused_before_asking(mode, monkeypatch):
    monkeypatch.setattr(registry, "llm_policy", None)  # whoever asks breaks the test
    assert f"forced(llm:fake, {mode})" in refused(f"forced(llm:fake, {mode})")


def test_registering_a_policy(monkeypatch):
    monkeypatch.setattr(registry, "POLICIES", dict(POLICIES))

    @register("second", "always the second of the list, if there is one")
    class Second(Lottery):
        pass

    assert isinstance(make("second"), Second)
    assert registry.POLICIES["second"].description.startswith("always")
    assert "second" in refused("secnod")
    assert "second" not in POLICIES
