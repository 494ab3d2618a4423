"""The Davidson fit against planted parameters and an independent implementation."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from human_answers import PEOPLE, columns, study, write_csv
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.discrete.conditional_models import ConditionalLogit

from experiments.cli import main
from experiments.fitting import FitOptions, as_values, fit_values
from experiments.fitting_tables import trade_offs
from policies.choices import (
    CODING,
    Asked,
    Choices,
    Layout,
    asked_about,
    parse_coding,
    read_choices,
)
from policies.fit import Fit, fit_davidson, held_out
from policies.likelihood import differences, log_losses, maximise, resample_people
from policies.registry import make_policy
from policies.signs import check_signs
from populations.errors import InputError
from populations.schema import Columns

SCALE = {"age": (25.0, 70.0), "drinks_per_day": (1.0, 5.0), "child_dependents": (0.0, 2.0)}
HUMAN = np.array([-1.675, -1.163, 1.222])
LOG_TIE = -0.504


def people(n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {
        "age": rng.integers(25, 71, n).astype(float),
        "drinks_per_day": rng.integers(1, 6, n).astype(float),
        "child_dependents": rng.integers(0, 3, n).astype(float),
    }


def scaled_difference(a: Columns, b: Columns) -> np.ndarray:
    return np.stack(
        [
            (a["age"] - b["age"]) / 45,
            (a["drinks_per_day"] - b["drinks_per_day"]) / 4,
            (a["child_dependents"] - b["child_dependents"]) / 2,
        ],
        axis=1,
    )


def davidson(a: Columns, b: Columns, log_tie: float, order: float = 0.0) -> np.ndarray:
    """P(first), P(second), P(coin) written out from the definition."""
    advantage = scaled_difference(a, b) @ HUMAN + order
    worth = np.stack(
        [np.exp(advantage), np.exp(-advantage), np.full(len(advantage), np.exp(log_tie))], axis=1
    )
    return worth / worth.sum(axis=1, keepdims=True)


def parameters(fit: Fit) -> np.ndarray:
    return np.array([*(weight for weight, _, _ in fit.weights.values()), fit.order, fit.log_tie])


def drawn(chances: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.eye(3)[(rng.random((len(chances), 1)) > chances.cumsum(axis=1)).sum(axis=1)]


def test_planted_weights_are_recovered_as_another_program_does() -> None:
    rng = np.random.default_rng(1)
    a, b = people(5297, rng), people(5297, rng)
    answers = drawn(davidson(a, b, LOG_TIE), rng)
    fit = fit_davidson(a, b, answers, SCALE, order=False)
    # A conditional logit over the three answers of each question is the same model.
    d = scaled_difference(a, b)
    zero = np.zeros((len(d), 1))
    rows = np.stack([np.hstack([d, zero]), np.hstack([-d, zero]), np.hstack([0 * d, zero + 1])], 1)
    oracle = ConditionalLogit(
        answers.ravel(), rows.reshape(-1, 4), groups=np.repeat(np.arange(len(d)), 3)
    ).fit(disp=False)
    found = np.delete(parameters(fit), 3)
    np.testing.assert_allclose(found, oracle.params, atol=2e-3)
    assert np.all(np.abs(found - [*HUMAN, LOG_TIE]) < 2 * oracle.bse)
    assert fit.order == 0.0
    assert fit.weights["age"][1:] == (25.0, 70.0)


@settings(max_examples=20, deadline=None)
@given(order=st.floats(-2, 2), log_tie=st.floats(-3, 2), seed=st.integers(0, 99))
def test_a_model_of_this_family_is_recovered_from_its_probabilities(
    order: float, log_tie: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    a, b = people(300, rng), people(300, rng)
    fit = fit_davidson(a, b, davidson(a, b, log_tie, order), SCALE)
    np.testing.assert_allclose(parameters(fit), [*HUMAN, order, log_tie], atol=0.02)


def test_without_a_coin_there_are_no_ties() -> None:
    rng = np.random.default_rng(3)
    a, b = people(300, rng), people(300, rng)
    fit = fit_davidson(a, b, davidson(a, b, -np.inf, 0.4), SCALE, coin=False)
    np.testing.assert_allclose(parameters(fit)[:4], [*HUMAN, 0.4], atol=0.02)
    assert fit.log_tie == -np.inf


@pytest.mark.parametrize("coin", [True, False])
def test_answering_by_position_alone_gives_a_finite_order_effect(coin: bool) -> None:
    rng = np.random.default_rng(3)
    a, b = people(100, rng), people(100, rng)
    always_first = np.tile([1.0, 0.0, 0.0], (100, 1))
    fit = fit_davidson(a, b, always_first, SCALE, coin=coin)
    assert 2 < fit.order < 10
    assert all(abs(weight) < 0.5 for weight, _, _ in fit.weights.values())


def test_counts_stand_for_repeated_answers() -> None:
    rng = np.random.default_rng(5)
    a, b = people(60, rng), people(60, rng)
    answers = drawn(davidson(a, b, LOG_TIE), rng)
    counts = rng.integers(0, 4, 60)
    again = np.repeat(np.arange(60), counts)
    repeated = fit_davidson(
        {name: column[again] for name, column in a.items()},
        {name: column[again] for name, column in b.items()},
        answers[again],
        SCALE,
    )
    weighted = fit_davidson(a, b, answers, SCALE, counts=counts.astype(float))
    np.testing.assert_allclose(parameters(weighted), parameters(repeated), atol=1e-6)


def test_held_out_scores_by_hand() -> None:
    # Two identical pairs, both orders each: one always goes to the first, the other to the second.
    # Whoever knows only the other pair gives the right answer (0 + 1/3) / (2 + 1) = 1/9.
    same = {"age": np.full(4, 50.0)}
    answers = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]], dtype=float)
    scores = held_out(same, same, answers, {"age": (25.0, 70.0)}, np.array([0, 0, 1, 1]))
    assert scores["log_loss_constant"] == pytest.approx(np.log(9))
    assert scores["total_variation_constant"] == pytest.approx(8 / 9)
    assert scores["modal_agreement_constant"] == 0.0
    assert scores["modal_agreement"] == 0.0
    assert scores["entropy_floor"] == 0.0


def test_held_out_fidelity_of_a_model_of_this_family_is_near_perfect() -> None:
    rng = np.random.default_rng(11)
    a, b = people(120, rng), people(120, rng)
    answers = davidson(a, b, LOG_TIE, 0.3)
    scores = held_out(a, b, answers, SCALE, np.arange(120) // 2)
    assert scores["total_variation"] < 0.005 < 0.2 < scores["total_variation_constant"]
    assert scores["modal_agreement"] > 0.98
    entropy = float(-(answers * np.log(answers)).sum(axis=1).mean())
    assert scores["entropy_floor"] == pytest.approx(entropy)
    assert scores["entropy_floor"] <= scores["log_loss"] < entropy + 1e-3


@pytest.mark.parametrize(
    "answers, coin, message",
    [
        ([[0.5, 0.2, 0.2]] * 2, True, "sum to 1"),
        ([[1.5, -0.5, 0.0]] * 2, True, "probabilities"),
        ([[0.5, 0.2, 0.3]] * 2, False, "not offered"),
    ],
)
def test_answers_that_cannot_be(answers: list[list[float]], coin: bool, message: str) -> None:
    two = {"age": np.array([30.0, 40.0])}
    with pytest.raises(InputError, match=message):
        fit_davidson(two, two, np.array(answers), {"age": (25.0, 70.0)}, coin=coin)


def test_one_pair_cannot_be_held_out() -> None:
    two = {"age": np.array([30.0, 40.0])}
    with pytest.raises(InputError, match="1 answered pairs"):
        held_out(two, two, np.eye(3)[:2], {"age": (25.0, 70.0)}, np.array([0, 0]))


# ---- errors by drawing people again --------------------------------------------------------------


def test_planted_weights_are_within_two_errors() -> None:
    left, right, answers, person = study(np.random.default_rng(21))
    x = differences(columns(left), columns(right), SCALE, False)
    fit = maximise(x, answers, np.ones((1, len(x))))[0]
    errors = resample_people(x, answers, person, fit, 200, 1).std(axis=0, ddof=1)
    assert np.all(np.abs(fit - [*HUMAN, LOG_TIE]) < 2 * errors)
    assert np.all(errors < 0.08)


def test_errors_agree_with_the_sandwich_where_people_differ() -> None:
    rng = np.random.default_rng(22)
    own = HUMAN + rng.normal(0, 1, (PEOPLE, 3))
    left, right, answers, person = study(rng, own, rng.normal(LOG_TIE, 1, PEOPLE))
    x = differences(columns(left), columns(right), SCALE, False)
    fit = maximise(x, answers, np.ones((1, len(x))))[0]
    draws = resample_people(x, answers, person, fit, 600, 1)
    # Independent: derivatives of the log-likelihood taken numerically.
    step = 1e-4 * np.eye(4)

    def slopes(at: np.ndarray) -> np.ndarray:
        both = log_losses(x, answers, np.concatenate([at + step, at - step]))
        return ((both[:4] - both[4:]) / 2e-4).T

    by_person = np.stack([np.bincount(person, column) for column in slopes(fit).T], axis=1)
    bend = np.stack([slopes(fit + s).sum(0) - slopes(fit - s).sum(0) for s in step]) / 2e-4
    sandwich = np.linalg.inv(bend) @ (by_person.T @ by_person) @ np.linalg.inv(bend)
    errors = np.sqrt(np.diag(sandwich) * PEOPLE / (PEOPLE - 1))
    np.testing.assert_allclose(draws.std(axis=0, ddof=1), errors, rtol=0.12)
    assert np.all(errors > 1.3 * np.sqrt(np.diag(np.linalg.inv(bend))))  # answers alone say less


# ---- from a file to values -----------------------------------------------------------------------

QUICK = FitOptions(compare=False, resamples=60)
README = ("1=left,2=right,0=coin", "0=left,1=right,2=coin")


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Answers coded 0 left, 1 right, 2 coin."""
    path = tmp_path_factory.mktemp("answers") / "coded.csv"
    return write_csv(path, *study(np.random.default_rng(23), n=1200, people=40), ("0", "1", "2"))


def test_right_codings_pass(coded: Path) -> None:
    fitted = fit_values(read_choices(coded, coding=parse_coding(README[1])), QUICK)
    assert fitted.warnings == ()
    assert fitted.errors.shape == (4,)


def test_a_wrong_coding_is_refused_and_the_right_one_named(coded: Path) -> None:
    choices = read_choices(coded, coding=parse_coding(README[0]))
    with pytest.raises(InputError) as caught:
        fit_values(choices, QUICK)
    said = str(caught.value)
    assert len(said.splitlines()) == 1
    for part in ("coded.csv", "age has weight +", "declared direction is -", "child_dependents"):
        assert part in said
    assert f"With --coding {README[1]} all 3 signs agree" in said
    assert "--allow-signs" in said
    allowed = fit_values(choices, replace(QUICK, allow_signs=True))
    assert any(README[1] in warning for warning in allowed.warnings)
    assert as_values(allowed, "kept").made.warnings == allowed.warnings


def test_left_and_right_exchanged_is_refused(coded: Path) -> None:
    with pytest.raises(InputError, match=README[1]):
        fit_values(read_choices(coded, coding=parse_coding("1=left,0=right,2=coin")), QUICK)


def test_right_and_coin_exchanged_is_warned_of(coded: Path) -> None:
    choices = read_choices(coded, coding=parse_coding("0=left,2=right,1=coin"))
    (warning,) = fit_values(choices, QUICK).warnings
    assert f"coded {README[1]} the answers would fit better" in warning


def test_columns_exchanged_on_one_attribute_are_no_coding(coded: Path) -> None:
    choices = read_choices(
        coded,
        coding=parse_coding(README[1]),
        attributes=("age=25:70:+", "drinks_per_day=1:5:-", "child_dependents=0:2:?"),
    )
    with pytest.raises(InputError, match="with no other meaning of the answers do all"):
        fit_values(choices, QUICK)


def test_an_unclear_contradiction_is_a_warning() -> None:
    path_free = Asked("own", SCALE, {"age": 1, "drinks_per_day": -1, "child_dependents": 1})
    left, right, answers, person = study(
        np.random.default_rng(24), np.array([-0.02, -1, 1]), n=600, people=30
    )
    choices = Choices(
        columns(left), columns(right), answers, person, np.arange(600), path_free, CODING, "s", ""
    )
    weights, intervals = np.array([-0.1, -1, 1]), np.array([[-0.3, 0.1], [-2, -1], [1, 2]])
    (warning,) = check_signs(choices, weights, intervals, False, False)
    assert "age has weight -0.100" in warning and "includes 0" in warning
    intervals[0] = [-0.3, -0.01]
    with pytest.raises(InputError, match="age has weight"):
        check_signs(choices, weights, intervals, False, False)


def test_trade_offs_by_hand(coded: Path) -> None:
    fitted = fit_values(read_choices(coded, coding=parse_coding(README[1])), QUICK)
    exact = replace(fitted, pooled=np.array([-1.8, -1.2, 1.4, 0.0]))
    found = trade_offs(exact)
    assert found["child_dependents"][0] == pytest.approx(-17.5)  # 0.7 each against 0.04 a year
    assert found["drinks_per_day"][0] == pytest.approx(7.5)
    for value, low, high in trade_offs(fitted).values():
        assert low < value < high
    unclear = replace(fitted, draws=fitted.draws * np.array([0, 1, 1, 1]))
    assert trade_offs(unclear) == {}


def test_every_kind_and_the_order_effect() -> None:
    rng = np.random.default_rng(25)
    left, right, answers, person = study(rng, order=0.6, n=900, people=30)
    asked = asked_about()
    choices = Choices(
        columns(left), columns(right), answers, person, np.arange(900), asked, CODING, "s.csv",
        "0" * 64,
    )  # fmt: skip
    told: list[tuple[str, int, int]] = []
    for kind, count in (("pooled", 1), ("people", 30), ("mixture", 2)):
        options = FitOptions(kind, (2,), order=True, compare=False, resamples=30)
        fitted = fit_values(choices, options, lambda *report: told.append(report))
        values = as_values(fitted, "x")
        assert len(values.members) == count
        assert set(values.errors) == {*SCALE, "order", "log_tie"}
        order = sum(member.share * member.order for member in values.members)
        assert order == pytest.approx(0.6, abs=0.25)
        assert fitted.pooled[3] == pytest.approx(0.6, abs=0.15)
    assert {stage for stage, _, _ in told} == {
        "people resampled",
        "fits of every person",
        "mixtures on people held out",
    }


@pytest.mark.parametrize(
    ("rows", "options", "said"),
    [
        (lambda p, a: (p * 0, a), {}, "one person"),
        (lambda p, a: (p, np.eye(3)[a.argmax(1) % 2]), {}, "no answer is coin"),
        (lambda p, a: (p, a), {"kind": "mixture", "classes": (6,)}, "6 classes of 10 people"),
        (lambda p, a: (p, a), {"kind": "median"}, "expected one of pooled"),
        (lambda p, a: (p, a), {"classes": (0,)}, "classes 0"),
        (lambda p, a: (p, a), {"resamples": 1}, "resamples = 1"),
        (lambda p, a: (p, a), {"seed": -1}, "seed = -1"),
    ],
)
def test_what_cannot_be_fitted(rows: Any, options: dict[str, Any], said: str) -> None:
    left, right, answers, person = study(np.random.default_rng(26), n=60, people=10)
    person, answers = rows(person, answers)
    choices = Choices(
        columns(left),
        columns(right),
        answers,
        person,
        np.arange(60),
        asked_about(),
        CODING,
        "s",
        "",
    )
    with pytest.raises(InputError, match=said):
        fit_values(choices, FitOptions(**options))


def test_an_attribute_that_never_differs() -> None:
    left, right, answers, person = study(np.random.default_rng(27), n=60, people=10)
    right[:, 1] = left[:, 1]
    choices = Choices(
        columns(left),
        columns(right),
        answers,
        person,
        np.arange(60),
        asked_about(),
        CODING,
        "s",
        "",
    )
    with pytest.raises(InputError, match="drinks_per_day never differs"):
        fit_values(choices, QUICK)


# ---- the command ---------------------------------------------------------------------------------


def equipoise_fit(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["fit", *map(str, arguments)])


def test_the_command_makes_a_policy(
    coded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")  # a narrow table cuts its words
    done = equipoise_fit(
        coded, "--coding", README[1], "--resamples", 20, "--name", "citizens", "--kind", "mixture",
        "--classes", "1-2",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    for part in ("min_diff", "uniform", "1.0986", "years less", "lambda", "values:citizens"):
        assert part in done.output, part
    policy = make_policy("values:citizens", tmp_path)
    assert policy.name == "values:citizens"
    a, b = people(5, np.random.default_rng(1)), people(5, np.random.default_rng(2))
    assert policy.judge(a, b).shape == (5, 3)  # type: ignore[attr-defined]
    assert "1,200 answers of 40 people in coded.csv" in policy.card["provenance"]  # type: ignore[attr-defined]


def test_the_command_without_a_name_writes_nothing(
    coded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = equipoise_fit(coded, "--coding", README[1], "--resamples", 20, "--no-compare")
    assert done.exit_code == 0, done.output
    assert "Nothing written" in done.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "expected one of left=left"),
        (("--coding", README[0]), README[1]),
        (("--coding", "0=left"), "no value means right"),
        (("--out", "values.txt"), "ends in .toml"),
        (("--name", "my values"), "letters, digits"),
        (("--classes", "6-1"), "FROM <= TO"),
        (("--classes", "many"), "K or FROM-TO"),
        (("--left", "a,b"), "expected 3"),
    ],
)
def test_the_command_refuses(coded: Path, arguments: tuple[str, ...], said: str) -> None:
    done = equipoise_fit(coded, *arguments)
    assert done.exit_code == 2
    assert said in done.output
    assert "Traceback" not in done.output


REAL = "EQUIPOISE_HUMAN_ANSWERS"


@pytest.mark.skipif(REAL not in os.environ, reason=f"{REAL} names no file of human answers")
def test_published_human_answers() -> None:
    layout = Layout(
        "user_id", left=("left_1", "left_2", "left_3"), right=("right_1", "right_2", "right_3")
    )
    wrong, right = (
        read_choices(os.environ[REAL], columns=layout, coding=parse_coding(coding))
        for coding in README
    )
    with pytest.raises(InputError, match=README[1]):
        fit_values(wrong, QUICK)
    fitted = fit_values(right, QUICK)
    assert len(right.answers) == 5297 and right.people == 132
    found = [-1.675, -1.163, 1.222, -0.504]
    np.testing.assert_allclose(fitted.pooled, found, atol=1e-3)
    np.testing.assert_allclose(fitted.errors, [0.148, 0.108, 0.105, 0.121], rtol=0.25)
