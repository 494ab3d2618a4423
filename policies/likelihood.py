"""The likelihood of Davidson's model with its parameters free, and its maximum, many fits at once.

The parameters of one fit are one weight per column of differences, then lambda where a coin was
offered. With s = differences . weights, the scores of first, second and coin are s, -s, lambda, so
the loss of an answer y is log(e^s + e^-s + e^lambda) - (y_1 - y_2) s - y_3 lambda: convex.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from policies.schemas import Scale
from populations.schema import Columns

Floats = NDArray[np.float64]
Ints = NDArray[np.int_]

# Half of this times the squared parameters is added to the negative log-likelihood, in answers.
# Without it a model that answers by position alone has an infinite order effect. It moves the fit
# to 5,000 human answers by about 1e-5.
RIDGE = 0.01
_MOST_STEPS = 100
_MOST_HALVINGS = 40
_CLOSE = 1e-12  # Newton decrement, in nats, under which a fit is done


def differences(a: Columns, b: Columns, scale: Scale, order: bool) -> Floats:
    """What is between first and second, in ranges of each attribute; shape (n, attributes + order).

    The order effect, if it is fitted, is a last column of ones.
    """
    columns = [(a[name] - b[name]) / (high - low) for name, (low, high) in scale.items()]
    if order:
        columns.append(np.ones(len(columns[0])))
    return np.stack(columns, axis=1).astype(float)


def chances(advantage: Floats, log_tie: Floats | float) -> Floats:
    """P(first), P(second), P(coin) in a new last axis; ``log_tie`` is ``-inf`` without a coin."""
    top = np.maximum(np.abs(advantage), log_tie)
    weights = np.stack(
        [np.exp(advantage - top), np.exp(-advantage - top), np.exp(log_tie - top)], axis=-1
    )
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def log_losses(x: Floats, answers: Floats, parameters: Floats) -> Floats:
    """Negative log-probability of each of n answers under each of B fits with a coin, (B, n)."""
    return _losses(parameters[:, :-1] @ x.T, parameters[:, -1:], answers)


def _losses(advantage: Floats, log_tie: Floats | float, answers: Floats) -> Floats:
    normaliser = np.logaddexp(np.logaddexp(advantage, -advantage), log_tie)
    losses = normaliser - (answers[..., 0] - answers[..., 1]) * advantage
    return losses - answers[..., 2] * log_tie if np.all(np.isfinite(log_tie)) else losses


def maximise(
    x: Floats,
    answers: Floats,
    weights: Floats,
    *,
    coin: bool = True,
    start: Floats | None = None,
    centre: Floats | float = 0.0,
    precision: Floats | float = RIDGE,
    steps: int = _MOST_STEPS,
) -> Floats:
    """Parameters of B penalised maximum-likelihood fits, by damped Newton steps.

    Parameters
    ----------
    x : ndarray, shape (m, k) or (B, m, k)
        Differences: the same rows for every fit, or each fit its own.
    answers : ndarray, shape (m, 3) or (B, m, 3)
    weights : ndarray, shape (B, m)
        How many answers each row stands for in each fit.
    start : ndarray, shape (B, p), optional
        Zeros by default.
    centre, precision : ndarray, shape (p,), or number
        Half of precision * (parameters - centre)^2 is added to the loss: a normal prior.
    steps : int
        The most Newton steps.

    Returns
    -------
    ndarray, shape (B, p)
        p is k + 1 with a coin, else k.
    """
    rows = x if x.ndim == 3 else x[None]
    k = rows.shape[2]
    p = k + coin
    products = (rows[..., :, None] * rows[..., None, :]).reshape(*rows.shape[:2], k * k)
    precision = np.broadcast_to(precision, p)

    def split(parameters: Floats) -> tuple[Floats, Floats | float]:
        advantage = (rows @ parameters[:, :k, None])[..., 0]
        return advantage, parameters[:, k:] if coin else -np.inf

    def value(parameters: Floats) -> Floats:
        loss = np.sum(weights * _losses(*split(parameters), answers), axis=1)
        return np.asarray(loss + 0.5 * (precision * (parameters - centre) ** 2).sum(axis=1))

    def newton(parameters: Floats) -> tuple[Floats, Floats]:
        first, second, tie = np.moveaxis(chances(*split(parameters)), -1, 0)
        lead = first - second
        slope = weights * (lead - answers[..., 0] + answers[..., 1])
        gradient, hessian = np.zeros((len(weights), p)), np.zeros((len(weights), p, p))
        gradient[:, :k] = (slope[:, None, :] @ rows)[:, 0]
        curve = weights * (first + second - lead**2)
        hessian[:, :k, :k] = (curve[:, None, :] @ products).reshape(-1, k, k)
        if coin:
            gradient[:, k] = np.sum(weights * (tie - answers[..., 2]), axis=1)
            cross = ((-weights * lead * tie)[:, None, :] @ rows)[:, 0]
            hessian[:, :k, k] = hessian[:, k, :k] = cross
            hessian[:, k, k] = np.sum(weights * tie * (1 - tie), axis=1)
        gradient += precision * (parameters - centre)
        return gradient, hessian + np.diag(precision)

    found = np.zeros((len(weights), p)) if start is None else start.copy()
    loss = value(found)
    for _ in range(steps):
        gradient, hessian = newton(found)
        step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
        if np.max(np.sum(gradient * step, axis=1)) < _CLOSE:
            break
        found, loss = _descend(value, found, loss, step)
    return found


def _descend(
    value: Callable[[Floats], Floats], found: Floats, loss: Floats, step: Floats
) -> tuple[Floats, Floats]:
    """A whole Newton step for every fit, halved for those that it makes worse."""
    size = np.ones((len(found), 1))
    for _ in range(_MOST_HALVINGS):
        trial = found - size * step
        tried = value(trial)
        worse = tried > loss + 1e-12 * np.abs(loss)
        if not worse.any():
            break
        size[worse] /= 2
    return np.where(worse[:, None], found, trial), np.where(worse, loss, tried)


def folds(group: Ints, count: int, seed: int) -> Ints:
    """Which of at most ``count`` folds each row is in, groups kept whole; shape (n,)."""
    groups, code = np.unique(group, return_inverse=True)
    shuffled = np.random.default_rng(seed).permutation(len(groups))
    return np.asarray((shuffled % min(count, len(groups)))[code])


def resample_people(
    x: Floats,
    answers: Floats,
    person: Ints,
    start: Floats,
    resamples: int,
    seed: int | tuple[int, int],
) -> Floats:
    """Fits to people drawn with replacement, shape (resamples, p): their spread is the error.

    Parameters
    ----------
    person : ndarray of int, shape (n,)
        Codes from 0.
    start : ndarray, shape (p,)
        The fit to everybody.
    """
    count = int(person.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), resamples)
    return maximise(
        x, answers, drawn[:, person].astype(float), start=np.tile(start, (resamples, 1))
    )
