"""Fitting Davidson's model to answers by maximum likelihood, and how well it predicts new pairs."""

from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from policies.likelihood import Floats as Floats  # for those who use a fit
from policies.likelihood import Ints, chances, differences, folds, maximise
from policies.schemas import Scale
from populations.errors import InputError
from populations.schema import Columns

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
    _check(answers, coin)
    weights = np.ones(len(answers)) if counts is None else counts
    x = differences(a, b, scale, order)
    return as_fit(maximise(x, answers, weights[None], coin=coin)[0], scale, coin, order)


def as_fit(parameters: Floats, scale: Scale, coin: bool, order: bool) -> Fit:
    """Parameters, shape (p,), by what they are: weights, then the order effect, then lambda."""
    k = len(scale)
    weights = {
        name: (float(weight), *scale[name])
        for name, weight in zip(scale, parameters[:k], strict=True)
    }
    log_tie = float(parameters[-1]) if coin else -np.inf
    return Fit(weights, log_tie, float(parameters[k]) if order else 0.0)


def held_out(
    a: Columns,
    b: Columns,
    answers: Floats,
    scale: Scale,
    pair: Ints,
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
    _check(answers, coin)
    pairs = np.unique(pair)
    if len(pairs) < 2:
        raise InputError(f"held-out fidelity: {len(pairs)} answered pairs: expected 2 or more")
    x = differences(a, b, scale, order)
    fold = folds(pair, FOLDS, _FOLD_SEED)
    train = np.arange(fold.max() + 1)[:, None] != fold
    fitted = maximise(x, answers, train.astype(float), coin=coin)[fold]
    advantage = np.sum(x * fitted[:, : x.shape[1]], axis=1)
    predicted = chances(advantage, fitted[:, -1] if coin else -np.inf)
    # One more answer, spread evenly: an answer never given is rare, not impossible.
    offered = np.array([1, 1, coin]) / (2 + coin)
    total = train @ answers + offered
    constant = (total / total.sum(axis=1, keepdims=True))[fold]
    scores = {
        **_scores(answers, predicted),
        **{f"{name}_constant": value for name, value in _scores(answers, constant).items()},
    }
    scores["entropy_floor"] = float(-xlogy(answers, answers).sum(axis=1).mean())
    return scores


def _check(answers: Floats, coin: bool) -> None:
    if np.any(answers < 0) or not np.allclose(answers.sum(axis=1), 1):
        raise InputError("answers to fit: expected probabilities >= 0 that sum to 1 in every row")
    if not coin and np.any(answers[:, 2] > 0):
        raise InputError("answers to fit: a coin was flipped that was not offered")


def _scores(observed: Floats, predicted: Floats) -> dict[str, float]:
    return {
        "total_variation": float(0.5 * np.abs(observed - predicted).sum(axis=1).mean()),
        "modal_agreement": float(np.mean(observed.argmax(axis=1) == predicted.argmax(axis=1))),
        "log_loss": float(-xlogy(observed, predicted).sum(axis=1).mean()),
    }
