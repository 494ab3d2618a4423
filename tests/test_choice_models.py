"""Accounts of when a coin is flipped: by hand, told apart on simulated answers, and mixtures."""

import numpy as np
import pytest
import statsmodels.api as sm
from human_answers import HUMAN, LOG_TIE, SPANS, columns, davidson, drawn, profiles, study

from policies.choice_models import (
    MODELS,
    clustered_mean,
    compare_models,
    fit_model,
    hits,
    predict,
)
from policies.likelihood import differences, folds, log_losses
from policies.mixture import Mixture, compare_classes, fit_mixture, personal_shares
from policies.persons import fit_people

SCALE = {"age": (25.0, 70.0), "drinks_per_day": (1.0, 5.0), "child_dependents": (0.0, 2.0)}
U = np.array([-2.0, 1.5])
ONE = np.array([[0.5, 0.25]])  # u.d = -0.625; parts -1 and 0.375


def softmax(*scores: float) -> list[float]:
    weights = np.exp(scores)
    return list(weights / weights.sum())


@pytest.mark.parametrize(
    ("model", "parameters", "expected"),
    [
        ("min_diff", [*U, 0.3], softmax(-0.625, 0.625, 0.3)),
        ("max_diff", [*U, 0.3], softmax(-0.625, 0.625, 2 * 0.625 - 0.3)),
        ("dom", [*U, 0.3], softmax(-1.0, -0.375, 0.3)),
        ("constant", [*U, 0.2], [*(0.8 * np.array(softmax(-0.625, 0.625))), 0.2]),
        ("shares", [0.5, 0.3, 0.2], [0.5, 0.3, 0.2]),
    ],
)
def test_probabilities_by_hand(model, parameters, expected):
    found = predict(model, np.array(parameters), ONE)
    np.testing.assert_allclose(found, [expected])


def test_order_is_added_to_the_first():
    with_order = np.hstack([ONE, [[1.0]]])
    parameters = np.array([*U, 0.4, 0.3])
    for model, expected in {
        "min_diff": softmax(-0.225, 0.225, 0.3),
        "max_diff": softmax(-0.225, 0.225, 2 * 0.225 - 0.3),
        "dom": softmax(-0.6, -0.775, 0.3),
    }.items():
        found = predict(model, parameters, with_order, order=True)
        np.testing.assert_allclose(found, [expected], err_msg=model)


def simulated(model, parameters, n, seed, order=False):
    rng = np.random.default_rng(seed)
    x = (profiles(n, rng) - profiles(n, rng)) / SPANS
    if order:
        x = np.hstack([x, np.ones((n, 1))])
    return x, drawn(predict(model, np.array(parameters), x, order), rng)


PLANTED = {
    "min_diff": [*HUMAN, LOG_TIE],
    "max_diff": [*HUMAN, 1.0],
    "dom": [-3.0, -2.2, 2.4, -1.9],
    "constant": [*HUMAN, 0.2],
    "shares": [0.5, 0.3, 0.2],
}


@pytest.mark.parametrize("model", MODELS)
def test_planted_parameters_are_recovered(model):
    x, answers = simulated(model, PLANTED[model], 20_000, 3)
    np.testing.assert_allclose(fit_model(model, x, answers, 1), PLANTED[model], atol=0.12)


@pytest.mark.parametrize("model", ["max_diff", "dom"])
def test_planted_order_is_recovered(model):
    planted = [*PLANTED[model][:3], 0.5, PLANTED[model][3]]
    x, answers = simulated(model, planted, 20_000, 4, order=True)
    np.testing.assert_allclose(fit_model(model, x, answers, 1, order=True), planted, atol=0.12)


def test_a_constant_coin_leaves_the_logit_of_the_decided():
    x, answers = simulated("constant", PLANTED["constant"], 2000, 5)
    found = fit_model("constant", x, answers, 1)
    decided = answers[:, 2] == 0
    oracle = sm.Logit(answers[decided, 0], 2 * x[decided]).fit(disp=False)
    np.testing.assert_allclose(found[:3], oracle.params, atol=3e-3)
    assert found[3] == pytest.approx(answers[:, 2].mean(), abs=1e-3)


@pytest.mark.parametrize("truth", MODELS)
def test_the_true_model_predicts_best(truth):
    x, answers = simulated(truth, PLANTED[truth], 1500, 6)
    person = np.arange(1500) % 30
    scores = compare_models(x, answers, person, person, 1)
    best = min(scores, key=lambda model: scores[model].log_loss)
    assert best == truth
    assert scores["min_diff"].excess == 0
    for score in scores.values():
        assert score.excess == pytest.approx(score.log_loss - scores["min_diff"].log_loss)
        assert 0 < score.log_loss_error < 0.05


def test_held_out_means_held_out():
    # Each pair's answer is one, whoever is asked: shares of the other folds know nothing of it.
    x, _ = simulated("shares", PLANTED["shares"], 60, 7)
    pair = np.arange(60) // 30
    answers = np.eye(3)[pair]
    scores = compare_models(x, answers, np.arange(60) % 6, pair, 1)
    assert scores["shares"].log_loss == pytest.approx(np.log(31 * 3))  # (0 + 1/3) / (30 + 1)
    assert scores["shares"].accuracy == 0


def test_folds_keep_groups_whole():
    group = np.array([5, 5, 9, 1, 9, 5, 2])
    fold = folds(group, 10, 1)
    assert sorted(set(fold)) == [0, 1, 2, 3]
    for code in set(group):
        assert len(set(fold[group == code])) == 1
    assert set(np.bincount(folds(np.arange(100), 10, 1))) == {10}


def test_errors_are_over_people():
    # Two people, four answers each, all alike: as uncertain as two numbers.
    values, person = np.array([1.0] * 4 + [3.0] * 4), np.repeat([0, 1], 4)
    mean, error = clustered_mean(values, person)
    assert mean == 2
    assert error == pytest.approx(np.std([1, 3], ddof=1) / np.sqrt(2))
    assert clustered_mean(np.full(5, 0.3), np.arange(5)) == (pytest.approx(0.3), pytest.approx(0))


def test_hits():
    predicted = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])
    assert hits(np.eye(3)[[0, 1]], predicted).tolist() == [1, 0]


# ---- classes of people ---------------------------------------------------------------------------

CLASSES = np.array([[-1.3, -2.9, 1.2, 0.1], [-2.8, -1.1, 0.9, -2.2], [-1.0, -0.8, 3.1, -0.5]])
SHARES = np.array([0.5, 0.3, 0.2])


@pytest.fixture(scope="module")
def of_classes():
    belongs = np.repeat([0, 1, 2], [60, 36, 24])
    rng = np.random.default_rng(8)
    left, right, answers, person = study(
        rng, CLASSES[belongs, :3], CLASSES[belongs, 3], n=120 * 60, people=120
    )
    return differences(columns(left), columns(right), SCALE, False), answers, person


def test_planted_classes_are_found(of_classes):
    x, answers, person = of_classes
    mixture = fit_mixture(x, answers, person, 3, seed=1)
    np.testing.assert_allclose(mixture.shares, SHARES, atol=0.05)
    np.testing.assert_allclose(mixture.parameters, CLASSES, atol=0.4)
    # The likelihood, written out.
    log_chances = np.zeros((3, 120))
    for number, (*weights, tie) in enumerate(mixture.parameters):
        chances = np.sum(answers * davidson(x @ np.array(weights), tie), axis=1)
        log_chances[number] = np.bincount(person, np.log(chances))
    joint = mixture.shares @ np.exp(log_chances)
    assert mixture.log_likelihood == pytest.approx(np.log(joint).sum(), abs=0.01)
    assert mixture.log_likelihood > fit_mixture(x, answers, person, 1, seed=1).log_likelihood
    again = fit_mixture(x, answers, person, 3, seed=2)
    assert again.log_likelihood == pytest.approx(mixture.log_likelihood, abs=0.05)


def test_personal_shares_by_hand():
    rng = np.random.default_rng(9)
    left, right, answers, person = study(rng, n=12, people=4)
    x = differences(columns(left), columns(right), SCALE, False)
    mixture = Mixture(SHARES, CLASSES, 0.0)
    known = personal_shares(mixture, x, answers, person)
    for answer in range(12):
        others = [i for i in range(12) if person[i] == person[answer] and i != answer]
        weight = SHARES.copy()
        for other in others:
            weight *= np.exp(-log_losses(x[[other]], answers[[other]], CLASSES)[:, 0])
        np.testing.assert_allclose(known[:, answer], weight / weight.sum())


def test_the_number_of_classes_and_what_knowing_a_person_is_worth(of_classes):
    x, answers, person = of_classes
    told = []
    scores = compare_classes(x, answers, person, [1, 3], 1, lambda *done: told.append(done))
    one, three = scores
    assert one.population == one.personal
    assert three.population < one.population
    assert three.personal < three.population - 0.05
    assert three.personal_accuracy > three.accuracy
    assert (one.parameters, three.parameters) == (4, 14)
    assert told[-1] == (10, 10)


def test_classes_are_judged_on_people_they_have_not_seen():
    left, right, answers, person = study(np.random.default_rng(13), n=200, people=2)
    x = differences(columns(left), columns(right), SCALE, False)
    losses = np.empty(200)
    for one in (0, 1):
        other = person != one
        fit = fit_mixture(x[other], answers[other], person[other], 1, 1).parameters
        losses[~other] = log_losses(x[~other], answers[~other], fit)[0]
    (score,) = compare_classes(x, answers, person, [1], 1)
    assert score.population == pytest.approx(losses.mean())


# ---- one person each -----------------------------------------------------------------------------


def test_people_who_differ_are_told_apart():
    rng = np.random.default_rng(10)
    own = HUMAN + rng.normal(0, 1.5, (60, 3))
    ties = rng.normal(LOG_TIE, 1.5, 60)
    left, right, answers, person = study(rng, own, ties, n=60 * 60, people=60)
    x = differences(columns(left), columns(right), SCALE, False)
    people = fit_people(x, answers, person, seed=1)
    assert 1.0 <= people.spread <= 3.0 and 1.0 <= people.tie_spread <= 3.0
    truth = np.column_stack([own, ties])
    for found, true in zip(people.parameters.T, truth.T, strict=True):
        assert np.corrcoef(found, true)[0, 1] > 0.8
    pooled = fit_mixture(x, answers, person, 1, 1)
    assert people.log_loss < -pooled.log_likelihood / len(x) - 0.05


def test_people_who_are_alike_are_pooled():
    rng = np.random.default_rng(11)
    left, right, answers, person = study(rng, n=2400, people=60)
    x = differences(columns(left), columns(right), SCALE, False)
    people = fit_people(x, answers, person, seed=1)
    assert people.spread <= 0.5 and people.tie_spread <= 0.5
    pooled = fit_mixture(x, answers, person, 1, 1).parameters[0]
    assert np.abs(people.parameters - pooled).max() < 0.8


def test_a_person_who_hardly_answered_is_like_everyone():
    rng = np.random.default_rng(12)
    own = HUMAN + rng.normal(0, 2, (40, 3))
    left, right, answers, person = study(rng, own, n=1601, people=40)
    person = np.where(np.arange(1601) == 1600, 40, person)
    x = differences(columns(left), columns(right), SCALE, False)
    people = fit_people(x, answers, person, seed=1)
    pooled = fit_mixture(x, answers, person, 1, 1).parameters[0]
    distances = np.abs(people.parameters - pooled).sum(axis=1)
    assert distances.argmin() == 40 or distances[40] < np.median(distances) / 2
