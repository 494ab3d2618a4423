"""Fitted values as a file: a round trip, a policy, and errors that name the field."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from match_run import Run, people

from policies.davidson import Assembly, Davidson
from policies.registry import make_policy
from policies.values_file import (
    FittedValues,
    Made,
    Member,
    load_values,
    save_values,
    values_path,
    values_policy,
)
from populations.errors import InputError


def values(**changes) -> FittedValues:
    made = {
        "source": 'an "odd" name\\é.csv',
        "sha256": "0123456789abcdef" * 4,
        "answers": 5297,
        "people": 132,
        "coding": "0=left,1=right,2=coin",
        "order": False,
        "seed": 1,
        "resamples": 200,
        "warnings": ("age has weight +0.1; the interval includes 0",),
    }
    weights = {"age": -1.675, "drinks_per_day": -1.163, "child_dependents": 1.222}
    content = {
        "name": "citizens",
        "kind": "pooled",
        "provenance": "user",
        "schema_name": "indecision3",
        "scale": {
            "age": (25.0, 70.0),
            "drinks_per_day": (1.0, 5.0),
            "child_dependents": (0.0, 2.0),
        },
        "directions": {"age": -1, "drinks_per_day": -1, "child_dependents": 1},
        "made": Made(**made),
        "errors": {"age": 0.146, "log_tie": 1e-05},
        "statistics": {"log_loss_fitted": 0.7793},
        "members": (Member(share=1.0, log_tie=-0.504, order=0.0, weights=weights),),
    }
    return FittedValues(**(content | changes))


TWO = tuple(
    Member(
        share=share,
        log_tie=tie,
        order=order,
        weights={"age": age, "drinks_per_day": 0.0, "child_dependents": 1.0},
    )
    for share, tie, order, age in ((0.75, -1.0, 0.0, -2.0), (0.25, 1.0, 0.3, 0.5))
)


def saved(tmp_path, **changes):
    path = tmp_path / "new" / "citizens.toml"
    save_values(values(**changes), path)
    return path


@pytest.mark.parametrize("changes", [{}, {"kind": "mixture", "members": TWO}])
def test_what_is_written_is_read(tmp_path, changes):
    assert load_values(saved(tmp_path, **changes)) == values(**changes)


FINITE = st.floats(-1e300, 1e300)


@settings(max_examples=100, deadline=None)
@given(weight=FINITE, tie=FINITE, error=st.floats(0, 1e300), text=st.text(max_size=20))
def test_any_numbers_and_texts_survive(tmp_path_factory, weight, tie, error, text):
    text = text.encode(errors="ignore").decode()
    path = tmp_path_factory.mktemp("values") / "v.toml"
    member = Member(share=1.0, log_tie=tie, order=0.0, weights={"age": weight})
    wanted = values(
        scale={"age": (0.0, 1.0)},
        members=(member,),
        errors={"age": error},
        made=values().made.model_copy(update={"source": text, "warnings": (text, text)}),
    )
    save_values(wanted, path)
    assert load_values(path) == wanted


def test_the_policy_is_the_model_by_hand(tmp_path):
    policy = make_policy(f"values:{saved(tmp_path)}", tmp_path)
    assert isinstance(policy, Davidson) and policy.steady
    one = {"age": np.array([30.0]), "drinks_per_day": np.ones(1), "child_dependents": np.zeros(1)}
    other = one | {"age": np.array([60.0]), "child_dependents": np.array([2.0])}
    s = -1.675 * -30 / 45 + 1.222 * -1
    worth = np.exp([s, -s, -0.504])
    np.testing.assert_allclose(policy.judge(one, other), [worth / worth.sum()])
    assert policy.card["errors"] == {"age": 0.146, "log_tie": 1e-05}
    assert policy.card["log_loss_fitted"] == 0.7793
    for part in ("5,297 answers of 132 people", "0123456789ab", "tag user", "includes 0"):
        assert part in policy.card["provenance"]


def test_a_mixture_is_an_assembly(tmp_path):
    policy = make_policy(f"values:{saved(tmp_path, kind='mixture', members=TWO)}", tmp_path)
    assert isinstance(policy, Assembly)
    assert policy.shares == (0.75, 0.25)
    assert [member.log_tie for member in policy.members] == [-1.0, 1.0]
    assert [member.order for member in policy.members] == [0.0, 0.3]
    assert policy.card["kind"] == "mixture"
    run = people(9)
    expected = sum(
        share * member.choose(run).dense(run)
        for share, member in zip(policy.shares, policy.members, strict=True)
    )
    np.testing.assert_allclose(policy.choose(run).dense(run), expected)


def test_values_can_be_forced_and_banded(tmp_path):
    path = saved(tmp_path)
    for text in (f"forced(values:{path}, argmax)", f"band(values:{path}, 0.3)"):
        policy = make_policy(text, tmp_path)
        assert policy.name == text
        assert policy.choose(people(4)).dense(people(4)).sum() == pytest.approx(1)


def test_a_name_is_a_file_in_values(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_values(values(), values_path("citizens"))
    assert (tmp_path / "values" / "citizens.toml").exists()
    assert make_policy("values:citizens", tmp_path).name == "values:citizens"


def test_attributes_that_change_while_waiting_are_looked_up_every_time(tmp_path):
    scale = {"waiting_years": (0.0, 10.0)}
    member = Member(share=1.0, log_tie=-9.0, order=0.0, weights={"waiting_years": 5.0})
    policy = values_policy(str(saved(tmp_path, scale=scale, members=(member,))))
    assert not policy.steady
    run = Run(age=[50.0] * 2, waiting_years=[1.0, 9.0])
    assert policy.choose(run).dense(run)[1] > 0.99


def test_attributes_that_nobody_has_are_named(tmp_path):
    scale = {"elderly_dependents": (0.0, 3.0)}
    member = Member(share=1.0, log_tie=0.0, order=0.0, weights={"elderly_dependents": 1.0})
    policy = values_policy(str(saved(tmp_path, scale=scale, members=(member,))))
    with pytest.raises(InputError, match="'elderly_dependents'"):
        policy.judge({"age": np.ones(1)}, {"age": np.ones(1)})


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("log_tie = -0.504", 'log_tie = "much"', "members.0.log_tie = 'much'"),
        ("log_tie = -0.504\n", "", "members.0.log_tie: Field required"),
        ("log_tie = -0.504", "log_tie = nan", "members.0.log_tie = 'nan'"),
        ("share = 1.0", "share = 0.5", "members.share: sum to 0.5: expected 1"),
        ("share = 1.0", "share = 1.5", "members.0.share"),
        ('kind = "pooled"', 'kind = "median"', "kind = 'median'"),
        ('provenance = "user"', 'provenance = "R"', "provenance = 'R'"),
        ("age = [25.0, 70.0]", "age = [70.0, 25.0]", "scale.age = [70, 25]: expected low < high"),
        ("age = [25.0, 70.0]\n", "", "members.0.weights: for age"),
        ("answers = 5297", "answers = 0", "made.answers = '0'"),
        ("[errors]", "[more]\nx = 1\n[errors]", "more"),
        ("age = 0.146", "age = 0.1\nage = 0.2", "not TOML"),
        ("age = 0.146", "age = -0.146", "errors.age = '-0.146'"),
        ("age = -1\n", "age = 2\n", "directions.age = '2'"),
        ("[[members]]", "[[members", "not TOML"),
    ],
)
def test_a_bad_file_is_named(tmp_path, old, new, said):
    path = saved(tmp_path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        make_policy(f"values:{path}", tmp_path)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert str(path) in message and said in message


def test_no_file(tmp_path):
    for name in ("nobody", str(tmp_path / "none.toml"), "", "a/../b"):
        with pytest.raises(
            InputError, match=r"values .*expected a file written by `equipoise fit`"
        ):
            make_policy(f"values:{name}", tmp_path)
