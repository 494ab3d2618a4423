"""What the measures of judges share: answers as arrays, and intervals by resampling pairs."""

import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from measures.table import Floats
from populations.errors import InputError

COIN = 2
DRAWS = 1000
_SEED = 20250530
_ENDS = (0.025, 0.975)
_SAME = 1e-12  # probabilities closer than this differ by rounding alone

# From how often each of n pairs counts, shape (draws, n), to values, shape (draws,) or (draws, k).
Statistic = Callable[[Floats], Floats]


def as_answers(answers: ArrayLike, name: str) -> Floats:
    """P(a), P(b), P(coin) of n pairs, checked, as an array of shape (n, questions, 3).

    Parameters
    ----------
    answers : array-like, shape (n, 3) or (n, questions, 3)
        ``questions`` are ways to ask about the same pair, such as the two orders; the columns are
        always about the same patients a and b, whoever was shown first. Rows sum to 1.
    name : str
        What errors call them.

    Raises
    ------
    InputError
        If the shape is wrong or a row is not a probability.
    """
    p = np.asarray(answers, dtype=np.float64)
    p = p[:, None] if p.ndim == 2 else p
    if p.ndim != 3 or p.shape[2] != 3 or not p.size:
        raise InputError(f"{name}: shape: {np.shape(answers)}; must be (n, 3) or (n, k, 3), n >= 1")
    # Written so that NaN fails it too.
    if not ((p >= 0).all() and (np.abs(p.sum(axis=-1) - 1) < 1e-6).all()):
        raise InputError(f"{name}: P(a), P(b), P(coin): each row must be >= 0 and sum to 1")
    return p


def both_answers(one: ArrayLike, other: ArrayLike, names: tuple[str, str]) -> tuple[Floats, Floats]:
    """Two sets of answers to the same questions, checked, each of shape (n, questions, 3).

    Raises
    ------
    InputError
        If either is no set of answers, or their shapes differ.
    """
    p, q = as_answers(one, names[0]), as_answers(other, names[1])
    if p.shape != q.shape:
        raise InputError(f"{', '.join(names)}: shapes {p.shape} and {q.shape} must be equal")
    return p, q


def most_likely(p: Floats) -> Floats:
    """The most likely answer of each row as a 0/1 row; answers that tie share the 1 evenly."""
    top = (p >= p.max(axis=-1, keepdims=True) - _SAME).astype(np.float64)
    return np.asarray(top / top.sum(axis=-1, keepdims=True))


def over_pairs(statistic: Statistic, n: int, draws: int = DRAWS) -> tuple[Floats, Floats, Floats]:
    """A statistic of n pairs and its 95 % percentile interval by resampling the pairs.

    The same pairs are drawn for every judge and measure. Draws in which the statistic is undefined
    are left out.

    Returns
    -------
    tuple of ndarray
        Value, low, high. The interval is NaN where all draws give the same value: that every pair
        seen agrees does not say that every pair would.
    """
    value = np.asarray(statistic(np.ones((1, n)))[0], dtype=np.float64)
    low, high = percentiles(statistic(_resamples(n, draws)))
    unknown = ~np.isfinite(value) | (high - low < _SAME)
    return value, np.where(unknown, np.nan, low), np.where(unknown, np.nan, high)


@lru_cache(maxsize=2)
def _resamples(n: int, draws: int) -> Floats:
    """How often each of n pairs is drawn in each resample, shape (draws, n); read-only."""
    rng = np.random.default_rng([_SEED, n])
    counts = rng.multinomial(n, np.full(n, 1 / n), size=draws).astype(np.float64)
    counts.flags.writeable = False  # shared by all that ask
    return counts


def percentiles(drawn: Floats) -> tuple[Floats, Floats]:
    """2.5 % and 97.5 % of the finite draws, over the first axis; NaN where there are none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # nothing but NaN gives NaN, as it should
        low, high = np.nanquantile(np.where(np.isfinite(drawn), drawn, np.nan), _ENDS, axis=0)
    return low, high


def ratio(numerator: Floats, denominator: Floats) -> Statistic:
    """Sum of one thing over the sum of another, both shape (n,); NaN where that is 0."""

    def statistic(counts: Floats) -> Floats:
        above, below = counts @ numerator, counts @ denominator
        return np.asarray(
            np.divide(above, below, out=np.full(len(counts), np.nan), where=below > 0)
        )

    return statistic


def mean_row(name: str, values: Floats, counted: Floats | None = None, none: str = "") -> Any:
    """A row with the mean of what counts and its interval over pairs.

    Parameters
    ----------
    name : str
        The measure.
    values : ndarray, shape (n, questions)
    counted : ndarray, shape (n, questions), optional
        How much each value counts, 0 to 1; all by default.
    none : str
        What to note if nothing counts.

    Returns
    -------
    dict
        ``denominator`` is in pairs.
    """
    counted = np.ones_like(values) if counted is None else counted
    above, below = (values * counted).mean(axis=1), counted.mean(axis=1)
    value, low, high = over_pairs(ratio(above, below), len(values))
    return {
        "measure": name,
        "value": float(value),
        "low": float(low),
        "high": float(high),
        "numerator": float(above.sum()),
        "denominator": float(below.sum()),
        "note": "" if below.any() else none,
    }
