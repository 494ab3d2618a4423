"""Five accounts of when people choose and when they flip a coin, compared on answers held out.

All give first, second and coin the chances of a softmax over three scores. With u the weights, d
the difference first - second in ranges of each attribute and s = u.d (McElfresh et al. 2021, R):

* ``min_diff``: s, -s, lambda. Coin when the two are too alike. Davidson's (1970) model.
* ``max_diff``: s, -s, 2|s| - lambda. Coin when the two are too different.
* ``dom``: min_k u_k d_k, min_k -u_k d_k, lambda. Coin unless one is better in everything.
* ``constant``: the coin has the same chance for every pair; the rest is a logit on the difference,
  with log-odds 2s, so that its weights are on the scale of ``min_diff``'s.
* ``shares``: how often each answer was given, whoever was compared.

An order effect, where fitted, is added to the first's score and taken from the second's.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import softmax

from policies.likelihood import RIDGE, Floats, Ints, chances, folds, maximise

MODELS: dict[str, str] = {
    "min_diff": "coin when the two are too alike",
    "max_diff": "coin when the two are too different",
    "dom": "coin unless one is better in everything",
    "constant": "coin equally often for every pair",
    "shares": "the same answer shares for every pair",
}
FOLDS = 10
_STARTS = 4  # random ones, beside the min_diff fit
_SPREAD = 1.5  # of random starts, about the size of people's weights

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Score:
    """How well a model predicts answers of people, or about pairs, that it was not fitted to.

    Parameters
    ----------
    parameters : int
    log_loss, log_loss_error : float
        Mean over answers, in nats; standard errors throughout are over people, whose answers are
        not independent.
    accuracy, accuracy_error : float
        Share of answers that were the most likely one.
    excess, excess_error : float
        Log-loss over that of ``min_diff`` on the same answers.
    """

    parameters: int
    log_loss: float
    log_loss_error: float
    accuracy: float
    accuracy_error: float
    excess: float
    excess_error: float


def fit_model(model: str, x: Floats, answers: Floats, seed: int, order: bool = False) -> Floats:
    """Maximum-likelihood parameters of one of ``MODELS``, with the same small ridge for all.

    Parameters
    ----------
    x : ndarray, shape (n, k)
        From `policies.likelihood.differences`, the order effect's column included.
    answers : ndarray, shape (n, 3)
    seed : int
        ``max_diff`` and ``dom`` have several optima: they are started from the ``min_diff`` fit and
        from random weights, and the best is kept.

    Returns
    -------
    ndarray, shape (k + 1,)
        Weights, then lambda (``constant``: the coin's chance); for ``shares`` the three shares.
    """
    one = np.ones((1, len(x)))
    if model == "shares":
        # One more answer, spread evenly: an answer never given is rare, not impossible.
        return np.asarray((answers.sum(axis=0) + 1 / 3) / (len(x) + 1))
    if model == "constant":
        decided = answers[:, :2].sum(axis=1)
        share = (1 - decided).sum() + 1 / 3
        either = np.divide(answers, decided[:, None], where=decided[:, None] > 0, out=answers * 0)
        either[:, 2] = 0
        weights = maximise(x, either, decided[None], coin=False)[0]
        return np.append(weights, share / (len(x) + 1))
    alike: Floats = maximise(x, answers, one)[0]
    if model == "min_diff":
        return alike

    def loss(parameters: Floats) -> tuple[float, Floats]:
        scores, gradient = _scores(model, parameters, x, order)
        scores = scores - scores.max(axis=1, keepdims=True)
        weights = np.exp(scores)
        totals = weights.sum(axis=1, keepdims=True)
        value = np.log(totals).sum() - np.sum(answers * scores)
        slopes = weights / totals - answers
        penalty = RIDGE / 2 * parameters @ parameters
        return float(value + penalty), gradient(slopes) + RIDGE * parameters

    rng = np.random.default_rng(seed)
    starts = [alike, *rng.normal(0, _SPREAD, (_STARTS, len(alike)))]
    found = [minimize(loss, start, jac=True, method="BFGS") for start in starts]
    return np.asarray(min(found, key=lambda result: float(result.fun)).x)


def predict(model: str, parameters: Floats, x: Floats, order: bool = False) -> Floats:
    """P(first), P(second), P(coin), shape (n, 3); arguments as in `fit_model`."""
    if model == "shares":
        return np.tile(parameters, (len(x), 1))
    advantage = x @ parameters[:-1]
    if model == "constant":
        either: Floats = chances(advantage, -np.inf) * (1 - parameters[-1])
        either[:, 2] = parameters[-1]
        return either
    if model == "min_diff":
        return chances(advantage, float(parameters[-1]))
    return np.asarray(softmax(_scores(model, parameters, x, order)[0], axis=1))


def _scores(
    model: str, parameters: Floats, x: Floats, order: bool
) -> tuple[Floats, Callable[[Floats], Floats]]:
    """Scores, shape (n, 3), and what turns the loss's slopes by them into those by parameters."""
    weights, level = parameters[:-1], parameters[-1]
    if model == "max_diff":
        advantage = x @ weights
        side = 2 * np.sign(advantage)

        def far(slopes: Floats) -> Floats:
            first, second, coin = slopes.T
            return np.append(x.T @ (first - second + side * coin), -coin.sum())

        return np.stack([advantage, -advantage, 2 * np.abs(advantage) - level], axis=1), far
    attributes = len(weights) - order
    ahead = weights[-1] if order else 0.0
    parts = x[:, :attributes] * weights[:attributes]
    worst, best = parts.argmin(axis=1), parts.argmax(axis=1)
    row = np.arange(len(x))

    def dominance(slopes: Floats) -> Floats:
        first, second, coin = slopes.T
        by_attribute = np.bincount(worst, first * x[row, worst], attributes)
        by_attribute -= np.bincount(best, second * x[row, best], attributes)
        lead = [np.sum(first - second)] if order else []
        return np.concatenate([by_attribute, lead, [coin.sum()]])

    scores = [parts[row, worst] + ahead, -parts[row, best] - ahead, np.full(len(x), level)]
    return np.stack(scores, axis=1), dominance


def compare_models(
    x: Floats,
    answers: Floats,
    person: Ints,
    group: Ints,
    seed: int,
    *,
    order: bool = False,
    progress: Progress | None = None,
) -> dict[str, Score]:
    """Cross-validation of every model in folds that keep groups whole.

    Parameters
    ----------
    x, answers
        As in `fit_model`.
    person : ndarray of int, shape (n,)
        Who answered, for standard errors.
    group : ndarray of int, shape (n,)
        What is left out together: the same as ``person``, or pairs. At least two groups.
    progress : callable, optional
        Told (done, total) folds.
    """
    fold = folds(group, FOLDS, seed)
    predicted = {model: np.empty_like(answers) for model in MODELS}
    count = int(fold.max()) + 1
    for number in range(count):
        train, test = fold != number, fold == number
        for model in MODELS:
            parameters = fit_model(model, x[train], answers[train], seed, order)
            predicted[model][test] = predict(model, parameters, x[test], order)
        if progress:
            progress(number + 1, count)
    losses = {m: -np.sum(answers * np.log(p), axis=1) for m, p in predicted.items()}
    return {
        model: Score(
            2 if model == "shares" else x.shape[1] + 1,
            *clustered_mean(losses[model], person),
            *clustered_mean(hits(answers, predicted[model]), person),
            *clustered_mean(losses[model] - losses["min_diff"], person),
        )
        for model in MODELS
    }


def hits(answers: Floats, predicted: Floats) -> Floats:
    """1 where the most likely answer was given, shape (n,)."""
    return np.asarray(answers.argmax(axis=1) == predicted.argmax(axis=1)).astype(float)


def clustered_mean(values: Floats, person: Ints) -> tuple[float, float]:
    """Mean over n answers and its standard error, answers of one person being alike."""
    mean = float(values.mean())
    sums = np.bincount(person, values - mean)
    count = len(sums)
    error = np.sqrt(count / max(count - 1, 1) * np.sum(sums**2)) / len(values)
    return mean, float(error)
