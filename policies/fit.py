"""Fitting Davidson's model to answers by maximum likelihood, and how well it predicts new pairs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax, xlogy

from policies.schemas import Scale
from populations.errors import InputError
from populations.schema import Columns

Floats = NDArray[np.float64]

# Half of this times the squared parameters is added to the negative log-likelihood, in answers.
# Without it a model that answers by position alone has an infinite order effect. It moves the fit
# to 5,000 human answers by about 1e-5.
RIDGE = 0.01
FOLDS = 10
_FOLD_SEED = 0


@dataclass(frozen=True)
class Fit:
    """Parameters of a fitted Davidson model.

    Parameters
    ----------
    weights : dict of attribute to (weight, low, high)
        Utility of ``high`` over ``low``, and the scale's ends in the attribute's unit.
    log_tie : float
        lambda; ``-inf`` if no coin was offered.
    order : float
        Advantage of being shown first; 0 if it was not fitted.
    """

    weights: dict[str, tuple[float, float, float]]
    log_tie: float
    order: float


def fit_davidson(
    a: Columns,
    b: Columns,
    answers: Floats,
    scale: Scale,
    *,
    coin: bool = True,
    order: bool = True,
    counts: Floats | None = None,
) -> Fit:
    """Maximum-likelihood Davidson model of n answered pairs, with a small ridge.

    Parameters
    ----------
    a, b : Columns
        Attributes of the patient shown first and second, each shape (n,).
    answers : ndarray, shape (n, 3)
        Probabilities (or one-hot choices) of first, second, coin; rows sum to 1.
    scale : mapping of attribute to (low, high)
        The attributes that may matter, and the ends of the range a weight refers to.
    coin : bool
        Whether a coin was offered; if not, the third column must be 0.
    order : bool
        Whether to fit an advantage of being shown first.
    counts : ndarray, shape (n,), optional
        How many answers each row stands for; 1 each by default.

    Raises
    ------
    InputError
        If the answers are not probabilities, or a coin is flipped that was not offered.
    """
    answers = _checked(answers, coin)
    features = _features(a, b, scale, coin, order)
    best = _maximise(features, answers, np.ones(len(answers)) if counts is None else counts)
    k = len(scale)
    weights = {
        name: (float(weight), *scale[name]) for name, weight in zip(scale, best[:k], strict=True)
    }
    return Fit(weights, float(best[-1]) if coin else -np.inf, float(best[k]) if order else 0.0)


def held_out(
    a: Columns,
    b: Columns,
    answers: Floats,
    scale: Scale,
    pair: NDArray[np.int_],
    *,
    coin: bool = True,
    order: bool = True,
) -> dict[str, float]:
    """How well a fit predicts pairs that it has not seen: cross-validation by pair.

    Parameters
    ----------
    a, b, answers, scale, coin, order
        As in `fit_davidson`.
    pair : ndarray of int, shape (n,)
        Which pair each answer is about: all answers about a pair are left out together, so that the
        other order cannot give one away.

    Returns
    -------
    dict
        Means over answers of ``total_variation``, ``modal_agreement`` (the same most likely answer)
        and ``log_loss`` (nats); each again with the suffix ``_constant`` for a model that knows
        only how often each answer was given; ``entropy_floor``, the log-loss of perfect prediction.

    Raises
    ------
    InputError
        If there are fewer than two pairs.
    """
    answers = _checked(answers, coin)
    pairs = np.unique(pair)
    if len(pairs) < 2:
        raise InputError(f"held-out fidelity: {len(pairs)} answered pairs: expected 2 or more")
    features = _features(a, b, scale, coin, order)
    folds = np.random.default_rng(_FOLD_SEED).permutation(len(pairs)) % min(FOLDS, len(pairs))
    fold = folds[np.searchsorted(pairs, pair)]
    fitted, constant = np.empty_like(answers), np.empty_like(answers)
    for number in range(folds.max() + 1):
        test, train = fold == number, fold != number
        parameters = _maximise(features[train], answers[train], np.ones(train.sum()))
        fitted[test] = softmax(features[test] @ parameters, axis=1)
        # One more answer, spread evenly: an answer never given is rare, not impossible.
        total = answers[train].sum(axis=0) + 1 / answers.shape[1]
        constant[test] = total / total.sum()
    scores = {
        **_scores(answers, fitted),
        **{f"{name}_constant": value for name, value in _scores(answers, constant).items()},
    }
    scores["entropy_floor"] = float(-xlogy(answers, answers).sum(axis=1).mean())
    return scores


def _checked(answers: Floats, coin: bool) -> Floats:
    if np.any(answers < 0) or not np.allclose(answers.sum(axis=1), 1):
        raise InputError("answers to fit: expected probabilities >= 0 that sum to 1 in every row")
    if coin:
        return answers
    if np.any(answers[:, 2] > 0):
        raise InputError("answers to fit: a coin was flipped that was not offered")
    return answers[:, :2]


def _features(a: Columns, b: Columns, scale: Scale, coin: bool, order: bool) -> Floats:
    """What multiplies the parameters in each answer's score, shape (n, answers, parameters).

    The parameters are one weight per attribute, the order effect, lambda; the scores are
    d.w + order, -(d.w + order) and lambda.
    """
    columns = [(a[name] - b[name]) / (high - low) for name, (low, high) in scale.items()]
    if order:
        columns.append(np.ones(len(columns[0])))
    difference = np.stack(columns, axis=1).astype(float)
    n, k = difference.shape
    if not coin:
        return np.stack([difference, -difference], axis=1)
    features = np.zeros((n, 3, k + 1))
    features[:, 0, :k], features[:, 1, :k] = difference, -difference
    features[:, 2, k] = 1.0
    return features


def _maximise(features: Floats, answers: Floats, counts: Floats) -> Floats:
    """Parameters of the best multinomial logit: a convex problem, solved by Newton steps."""

    def loss(parameters: Floats) -> tuple[float, Floats]:
        scores = features @ parameters
        value = -np.sum(counts[:, None] * answers * log_softmax(scores, axis=1))
        residual = counts[:, None] * (softmax(scores, axis=1) - answers)
        gradient = np.einsum("na,nap->p", residual, features)
        return value + RIDGE / 2 * parameters @ parameters, gradient + RIDGE * parameters

    def curvature(parameters: Floats) -> Floats:
        chances = softmax(features @ parameters, axis=1)
        mean = np.einsum("na,nap->np", chances, features)
        centred = features - mean[:, None, :]
        weighted = (counts[:, None] * chances)[:, :, None] * centred
        hessian = np.einsum("nap,naq->pq", weighted, centred)
        return np.asarray(hessian + RIDGE * np.eye(len(parameters)))

    start = np.zeros(features.shape[2])
    result = minimize(
        loss, start, jac=True, hess=curvature, method="trust-exact", options={"gtol": 1e-6}
    )
    return np.asarray(result.x)


def _scores(observed: Floats, predicted: Floats) -> dict[str, float]:
    return {
        "total_variation": float(0.5 * np.abs(observed - predicted).sum(axis=1).mean()),
        "modal_agreement": float(np.mean(observed.argmax(axis=1) == predicted.argmax(axis=1))),
        "log_loss": float(-xlogy(observed, predicted).sum(axis=1).mean()),
    }
