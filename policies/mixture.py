"""Classes of people: a finite mixture of Davidson models, every person belonging to one class."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp, softmax

from policies.choice_models import clustered_mean, hits
from policies.likelihood import Floats, Ints, chances, folds, log_losses, maximise

FOLDS = 5
_STARTS = 6
_SHORT = 15  # rounds of EM by which the starts are compared
_MOST_ROUNDS = 1000
_CLOSE = 1e-3  # gain of a round, in nats over all answers, under which EM is done
_SPREAD = 1.0  # of starts around the pooled fit, in utility over an attribute's range

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Mixture:
    """K classes of people, the largest first.

    Parameters
    ----------
    shares : ndarray, shape (K,)
        Sum to 1.
    parameters : ndarray, shape (K, p)
        As `policies.likelihood.maximise` returns them.
    log_likelihood : float
        Of everybody's answers.
    """

    shares: Floats
    parameters: Floats
    log_likelihood: float


@dataclass(frozen=True)
class MixtureScore:
    """How well K classes predict the answers of people that they were not fitted to.

    Parameters
    ----------
    classes, parameters : int
    population, population_error : float
        Mean log-loss of an answer (nats) of somebody of whom nothing is known; standard errors are
        over people.
    personal, personal_error : float
        The same where the person's class is inferred from all their other answers.
    accuracy, personal_accuracy : float
        Shares of answers that were the most likely one.
    """

    classes: int
    parameters: int
    population: float
    population_error: float
    personal: float
    personal_error: float
    accuracy: float
    personal_accuracy: float


def fit_mixture(x: Floats, answers: Floats, person: Ints, classes: int, seed: int) -> Mixture:
    """K classes by expectation-maximisation over people, the best of several seeded starts.

    Parameters
    ----------
    x : ndarray, shape (n, k)
    answers : ndarray, shape (n, 3)
    person : ndarray of int, shape (n,)
        Who answered; codes need not be dense.
    classes : int
        K >= 1.
    """
    _, who = np.unique(person, return_inverse=True)
    pooled = maximise(x, answers, np.ones((1, len(x))))
    if classes == 1:
        return Mixture(np.ones(1), pooled, float(-log_losses(x, answers, pooled).sum()))
    rng = np.random.default_rng(seed)

    def climb(mixture: Mixture, rounds: int) -> Mixture:
        for _ in range(rounds):
            before = mixture.log_likelihood
            mixture = _round(mixture, x, answers, who)
            if abs(mixture.log_likelihood - before) < _CLOSE:
                break
        return mixture

    starts = [
        Mixture(
            np.full(classes, 1 / classes),
            pooled + rng.normal(0, _SPREAD, (classes, pooled.shape[1])),
            -np.inf,
        )
        for _ in range(_STARTS)
    ]
    short = [climb(start, _SHORT) for start in starts]
    best = climb(max(short, key=lambda mixture: mixture.log_likelihood), _MOST_ROUNDS)
    largest_first = np.argsort(-best.shares, kind="stable")
    return Mixture(best.shares[largest_first], best.parameters[largest_first], best.log_likelihood)


def _round(mixture: Mixture, x: Floats, answers: Floats, who: Ints) -> Mixture:
    """One round of EM; the likelihood it returns is that before the round."""
    joint = _person_sums(-log_losses(x, answers, mixture.parameters), who)
    joint += np.log(mixture.shares)[:, None]
    belongs = softmax(joint, axis=0)
    # One Newton step climbs enough: the next round's weights differ anyway.
    parameters = maximise(x, answers, belongs[:, who], start=mixture.parameters, steps=1)
    shares = np.maximum(belongs.mean(axis=1), 1e-12)
    return Mixture(shares / shares.sum(), parameters, float(logsumexp(joint, axis=0).sum()))


def _person_sums(values: Floats, who: Ints) -> Floats:
    """Sums over each person's answers, shape (K, people)."""
    return np.stack([np.bincount(who, row) for row in values])


def personal_shares(mixture: Mixture, x: Floats, answers: Floats, person: Ints) -> Floats:
    """Probability of each class given all of a person's answers but this one, shape (K, n)."""
    _, who = np.unique(person, return_inverse=True)
    log_chances = -log_losses(x, answers, mixture.parameters)
    others = _person_sums(log_chances, who)[:, who] - log_chances
    return np.asarray(softmax(others + np.log(mixture.shares)[:, None], axis=0))


def compare_classes(
    x: Floats,
    answers: Floats,
    person: Ints,
    classes: list[int],
    seed: int,
    progress: Progress | None = None,
) -> list[MixtureScore]:
    """Cross-validation by people of mixtures of several sizes.

    Parameters
    ----------
    x, answers, person, seed
        As in `fit_mixture`; at least two people.
    classes : list of int
        The sizes.
    progress : callable, optional
        Told (done, total) fits.
    """
    fold = folds(person, FOLDS, seed)
    count = int(fold.max()) + 1
    scores: list[MixtureScore] = []
    for size in classes:
        population, personal = np.empty_like(answers), np.empty_like(answers)
        for number in range(count):
            train, test = fold != number, fold == number
            mixture = fit_mixture(x[train], answers[train], person[train], size, seed)
            advantage = mixture.parameters[:, :-1] @ x[test].T
            each = chances(advantage, mixture.parameters[:, -1:])  # (K, tested, 3)
            population[test] = np.tensordot(mixture.shares, each, axes=1)
            known = personal_shares(mixture, x[test], answers[test], person[test])
            personal[test] = np.einsum("kn,kna->na", known, each)
            if progress:
                progress(len(scores) * count + number + 1, len(classes) * count)
        scores.append(
            MixtureScore(
                size,
                size * (x.shape[1] + 1) + size - 1,
                *clustered_mean(-np.sum(answers * np.log(population), axis=1), person),
                *clustered_mean(-np.sum(answers * np.log(personal), axis=1), person),
                float(hits(answers, population).mean()),
                float(hits(answers, personal).mean()),
            )
        )
    return scores
