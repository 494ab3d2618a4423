"""The Davidson fit against planted parameters and an independent implementation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.discrete.conditional_models import ConditionalLogit

from policies.fit import Fit, fit_davidson, held_out
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
