"""One Davidson model per person, partially pooled: a person's few answers, helped by everyone's."""

from dataclasses import dataclass

import numpy as np

from policies.choice_models import clustered_mean, hits
from policies.likelihood import Floats, Ints, chances, folds, maximise

FOLDS = 10
# Standard deviations of people around the pooled fit that are tried, in utility over an attribute's
# range: from all alike to hardly any pooling.
SPREADS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0)


@dataclass(frozen=True)
class People:
    """Everybody's own model.

    Parameters
    ----------
    parameters : ndarray, shape (people, p)
        As `policies.likelihood.maximise` returns them.
    spread, tie_spread : float
        Standard deviation of the normal prior around the pooled fit: of each weight (and the order
        effect), and of lambda.
    log_loss, log_loss_error : float
        Mean over answers, in nats, of each answer predicted from the others; standard error over
        people.
    accuracy : float
        Share of answers that were the most likely one, likewise.
    """

    parameters: Floats
    spread: float
    tie_spread: float
    log_loss: float
    log_loss_error: float
    accuracy: float


def fit_people(x: Floats, answers: Floats, person: Ints, seed: int) -> People:
    """The most probable model of each person under a normal prior centred on the pooled fit.

    How far people may stray from the pooled fit is chosen by predicting held-out answers of the
    same people, each in turn left out of their own fit and of the pooled one.

    Parameters
    ----------
    x : ndarray, shape (n, k)
    answers : ndarray, shape (n, 3)
    person : ndarray of int, shape (n,)
        Who answered, from 0 without gaps.
    """
    place = _places(person)
    shape = (int(person.max()) + 1, int(place.max()) + 1)
    own_x, own_answers = np.zeros((*shape, x.shape[1])), np.zeros((*shape, 3))
    own_x[person, place], own_answers[person, place] = x, answers
    fold = folds(np.arange(len(x)), FOLDS, seed)
    train = (np.arange(fold.max() + 1)[:, None] != fold).astype(float)
    centres = maximise(x, answers, train)

    def fit(weights: Floats, centre: Floats, spread: float, tie_spread: float) -> Floats:
        own_weights = np.zeros(shape)
        own_weights[person, place] = weights
        precision = np.append(np.full(x.shape[1], spread**-2), tie_spread**-2)
        start = np.tile(centre, (shape[0], 1))
        return maximise(
            own_x, own_answers, own_weights, start=start, centre=centre, precision=precision
        )

    def predict(spread: float, tie_spread: float) -> Floats:
        predicted = np.empty_like(answers)
        for number, centre in enumerate(centres):
            test = fold == number
            own = fit(train[number], centre, spread, tie_spread)[person[test]]
            advantage = np.sum(x[test] * own[:, :-1], axis=1)
            predicted[test] = chances(advantage, own[:, -1])
        return predicted

    tried = {
        (spread, tie_spread): predict(spread, tie_spread)
        for spread in SPREADS
        for tie_spread in SPREADS
    }
    losses = {key: -np.sum(answers * np.log(p), axis=1) for key, p in tried.items()}
    best = min(losses, key=lambda key: float(losses[key].mean()))
    pooled = maximise(x, answers, np.ones((1, len(x))))[0]
    return People(
        fit(np.ones(len(x)), pooled, *best),
        *best,
        *clustered_mean(losses[best], person),
        float(hits(answers, tried[best]).mean()),
    )


def _places(person: Ints) -> Ints:
    """The how-manieth of their person's answers each is, from 0; shape (n,)."""
    order = np.argsort(person, kind="stable")
    ordered = person[order]
    place = np.empty(len(person), dtype=int)
    place[order] = np.arange(len(person)) - np.searchsorted(ordered, ordered)
    return place
