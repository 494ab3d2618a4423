"""A language model by table: the rule for many candidates, and what is asked."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from fake_model import FakeModel, age, first, younger
from hypothesis import given, settings
from hypothesis import strategies as st
from match_run import Run, people

from policies.elicit import Battery
from policies.levels import nearest_levels, profile_numbers, profiles
from policies.llm import COIN, FIRST, SECOND
from policies.registry import make_policy
from policies.schemas import SCHEMAS
from policies.table import Table, table_policy
from populations.errors import InputError

MODEL = "openai/fake"
EIGHT = "freedman3"


def run_of(schema: str, numbers: list[int]) -> Run:
    """Candidates who are exactly these profiles."""
    names, levels = zip(*SCHEMAS[schema].levels.items(), strict=True)
    places = np.unravel_index(numbers, tuple(map(len, levels)))
    columns = zip(names, levels, places, strict=True)
    return Run(**{name: np.array(values)[place] for name, values, place in columns})


# ---- candidates as profiles ----------------------------------------------------------------------


def test_the_nearest_level_and_of_two_as_near_the_lower():
    run = Run(
        age=[18.0, 32.5, 32.51, 47.5, 62.4, 99.0],
        drinks_per_day=[0.0, 2.0, 2.1, 4.0, 4.5, 20.0],
        child_dependents=[0.0, 0.5, 0.6, 1.5, 1.6, 9.0],
    )
    assert nearest_levels("indecision3-coarse", run).tolist() == [
        [0, 0, 0],
        [0, 0, 0],
        [1, 1, 1],
        [1, 1, 1],
        [2, 2, 2],
        [3, 2, 2],
    ]
    assert profiles("indecision3-coarse", run)[2] == (40, 3, 1)
    assert profiles("indecision3", run)[1] == (32, 2, 0)
    assert profile_numbers("indecision3-coarse", run).tolist() == [0, 0, 13, 13, 26, 35]


@given(st.lists(st.integers(0, 35), min_size=1, max_size=9))
def test_who_is_a_profile_counts_as_that_profile(numbers):
    run = run_of("indecision3-coarse", numbers)
    assert profile_numbers("indecision3-coarse", run).tolist() == numbers


# ---- the rule ------------------------------------------------------------------------------------


def outcomes(seed: int, p: int = 8, coins: float = 0.3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    drawn = rng.choice([FIRST, SECOND, COIN], (p, p), p=[(1 - coins) / 2, (1 - coins) / 2, coins])
    np.fill_diagonal(drawn, COIN)
    return drawn.astype(np.int8)


def by_pairs(table: np.ndarray, numbers: list[int]) -> list[int]:
    """Places of the tied, every pair one by one."""
    beaten = [0] * len(numbers)
    for i in range(len(numbers)):
        for j in range(i + 1, len(numbers)):
            outcome = table[numbers[i], numbers[j]]
            beaten[j] += outcome == FIRST
            beaten[i] += outcome == SECOND
    return [i for i, count in enumerate(beaten) if count == min(beaten)]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 7), min_size=1, max_size=12), st.integers(0, 50))
def test_the_least_beaten_are_tied(numbers, seed):
    table = Table("t", EIGHT, outcomes(seed))
    run = run_of(EIGHT, numbers)
    tied = by_pairs(table.outcomes, numbers)
    assert table.tied(run).tolist() == tied
    choice = table.choose(run)
    expected = np.zeros(len(numbers))
    expected[tied] = 1 / len(tied)
    assert choice.dense(run).tolist() == pytest.approx(expected.tolist())
    assert choice.tie == float(len(tied) > 1)


@given(st.integers(0, 7), st.integers(0, 7), st.integers(0, 50))
def test_of_two_the_policy_does_as_the_judge(one, other, seed):
    table = Table("t", EIGHT, outcomes(seed))
    run = run_of(EIGHT, [one, other])
    p_one, p_other, coin = table.judge(run.one(0), run.one(1))[0]
    assert table.choose(run).dense(run).tolist() == [p_one + coin / 2, p_other + coin / 2]
    assert table.choose(run).tie == coin


def test_whoever_nobody_beats_wins_even_if_others_beat_more():
    table = np.full((8, 8), COIN, dtype=np.int8)
    table[0, 1] = FIRST  # 0 beats 1; nobody beats 0, 2
    assert Table("t", EIGHT, table).tied(run_of(EIGHT, [0, 1, 2])).tolist() == [0, 2]


def test_in_a_circle_those_beaten_by_the_fewest_are_tied():
    table = np.full((8, 8), COIN, dtype=np.int8)
    table[0, 1] = table[1, 2] = FIRST
    table[0, 2] = SECOND
    circle = Table("t", EIGHT, table)
    assert circle.tied(run_of(EIGHT, [0, 1, 2])).tolist() == [0, 1, 2]
    assert circle.choose(run_of(EIGHT, [0, 1, 2])).tie == 1
    table[3, 0] = FIRST  # 0 is beaten twice now, 3 by 1
    table[3, 1] = SECOND
    table[1, 2] = FIRST
    assert Table("t", EIGHT, table).tied(run_of(EIGHT, [3, 0, 1, 2])).tolist() == [0, 2, 3]


# ---- what is asked -------------------------------------------------------------------------------


def test_every_pair_in_both_orders_once(monkeypatch, tmp_path):
    model = FakeModel(younger)
    model.serve(monkeypatch)
    told: list[tuple[int, int]] = []
    text = f"table(llm:{MODEL}, {EIGHT})"
    policy = make_policy(text, tmp_path / "a.sqlite", lambda *done: told.append(done))
    assert isinstance(policy, Table) and policy.name == text
    assert len(model.asked) == len(set(model.asked)) == 56 and told[-1] == (56, 56)
    assert policy.card["way"] == "table" and policy.card["pairs"] == 28
    assert policy.card["unusable"] == 0 and "weights" not in policy.card
    run = Run(age=[60.0, 50.0, 24.0, 51.0])  # 50 is as near to 30 as to 70
    assert policy.tied(run).tolist() == [1, 2]
    assert policy.judge(run.one(0), run.one(1)).tolist() == [[0, 1, 0]]
    assert policy.judge(run.one(1), run.one(0)).tolist() == [[1, 0, 0]]
    assert policy.judge(run.one(1), run.one(2)).tolist() == [[0, 0, 1]]
    again = make_policy(text, tmp_path / "a.sqlite")
    assert len(model.asked) == 56
    assert pickle.dumps(again) == pickle.dumps(policy)


def test_the_usual_table_has_all_pairs_of_the_coarse_schema(monkeypatch):
    batteries: list[Battery] = []

    def stop(model: str, battery: Battery, *rest: object) -> None:
        batteries.append(battery)
        raise InputError("enough")

    monkeypatch.setattr("policies.table.elicit", stop)
    with pytest.raises(InputError, match="enough"):
        make_policy(f"table(llm:{MODEL})", Path("none"))
    assert batteries[0].schema == "indecision3-coarse" and batteries[0].option == "coin"
    assert len(batteries[0].rows(MODEL)) == 1260


def test_a_model_that_chooses_by_position_makes_the_list_decide(monkeypatch, tmp_path):
    FakeModel(first).serve(monkeypatch)
    policy = table_policy(MODEL, tmp_path / "a.sqlite", schema=EIGHT)
    assert policy.tied(run_of(EIGHT, [7, 0, 4, 1])).tolist() == [0]
    assert policy.tied(run_of(EIGHT, [7, 0, 7, 1])).tolist() == [0]  # the other 7 is beaten by 0
    assert policy.card["same_position"] == 1


def test_refusals_are_ties_and_counted(monkeypatch, tmp_path):
    def shy(patients: list[str]) -> list[float]:
        if age(patients[0]) == 70:
            return [0.3, 0.1, 0.05]  # most of it is something else
        return younger(patients)

    FakeModel(shy).serve(monkeypatch)
    policy = table_policy(MODEL, tmp_path / "a.sqlite", schema=EIGHT)
    assert policy.card["unusable"] == 0.5
    old_first, young_first = Run(age=[70.0, 30.0]), Run(age=[30.0, 70.0])
    assert policy.choose(old_first).tie == 1
    assert policy.choose(young_first).dense(young_first).tolist() == [1, 0]


def test_as_likely_as_each_other_is_a_tie(monkeypatch, tmp_path):
    FakeModel(lambda patients: [0.4, 0.4, 0.2]).serve(monkeypatch)
    policy = table_policy(MODEL, tmp_path / "a.sqlite", schema=EIGHT)
    assert (policy.outcomes == COIN).all() and policy.card["coin_modal"] == 1


def test_without_a_coin(monkeypatch, tmp_path):
    FakeModel(younger).serve(monkeypatch)
    text = f"forced(table(llm:{MODEL}, {EIGHT}), as_measured)"
    policy = make_policy(text, tmp_path / "a.sqlite")
    assert policy.name == text and policy.card["coin_offered"] is False
    text = f"forced(table(llm:{MODEL}, {EIGHT}), first_listed)"
    forced, run = make_policy(text, tmp_path / "a.sqlite"), Run(age=[60.0, 26.0, 24.0])
    assert forced.choose(run).dense(run).tolist() == [0, 1, 0]
    assert forced.choose(run).tie == 0 and forced.card["way"] == "table"
    with pytest.raises(InputError, match="as_measured or an order"):
        make_policy(f"forced(table(llm:{MODEL}, {EIGHT}), argmax)", tmp_path / "a.sqlite")


def test_a_model_that_never_chooses(monkeypatch, tmp_path):
    FakeModel(lambda patients: [0.0, 0.0, 0.0]).serve(monkeypatch)
    with pytest.raises(InputError, match=r"0 of 56 answers are a choice.*refusal 56"):
        table_policy(MODEL, tmp_path / "a.sqlite", schema=EIGHT)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("table(llm:fake, indecision3)", "237,705 pairs, too many.*indecision3-coarse, freedman3"),
        ("table(llm:fake, indecision-coarse)", "did you mean 'indecision3-coarse'"),
        ("table(llm:fake, duke8)", "serious_crimes.*do not have; expected one of indecision3"),
        ("table(human)", r"expected table\(llm:MODEL\)"),
        ("table(llm:fake, freedman3, 1)", r"expected table\(llm:MODEL\) or"),
        ("table(forced(llm:fake, as_measured))", r"expected table\(llm:MODEL\)"),
        ("forced(table(human), as_measured)", r"expected table\(llm:MODEL\)"),
        ("forced(table(llm:fake, freedman3), argmax)", "as_measured or an order"),
        ("forced(table (llm:fake), renormalise)", "nothing to rescale"),
        ("forced(table(llm:fake), argmin)", "unknown mode"),
    ],
)
def test_wrong_tables_are_refused_before_anything_is_asked(text, said, tmp_path, monkeypatch):
    model = FakeModel(younger)
    model.serve(monkeypatch)
    with pytest.raises(InputError, match=said):
        make_policy(text, Path(tmp_path / "a.sqlite"))
    assert model.asked == []


def test_a_long_list_is_decided_like_a_short_one():
    table = Table("t", "indecision3-coarse", outcomes(3, 36, 0.5))
    run = people(400, 5)
    numbers = profile_numbers("indecision3-coarse", run).tolist()
    assert table.tied(run).tolist() == by_pairs(table.outcomes, numbers)
