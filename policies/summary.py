"""What a model did with a battery: counts and shares, for pairs and lists alike."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.categories import CATEGORIES, LEAST_MASS
from policies.elicit import Answered
from policies.likelihood import Floats


@dataclass(frozen=True)
class Summary:
    """Counts of answers, and shares from 0 to 1 of those that are a choice.

    Parameters
    ----------
    categories : dict of category to count
        Every answer, by what it is.
    reads : dict of str to count
        Every answer, by what it was read from.
    positions : tuple of float
        Mean probability of the patient shown first, second, ...; with ``coin`` they sum to 1.
    coin : float
        Mean probability of the indecision option.
    same_patient, same_position, coin_both : float
        Of the questions with a choice in both orders: the most likely answer is the same patient
        (swap consistency), the same place in the list, the indecision option both times. NaN where
        there is none. The middle of a list of odd length is its own mirror and counts as both. A
        tie is the indecision option.
    """

    categories: dict[str, int]
    reads: dict[str, int]
    positions: tuple[float, ...]
    coin: float
    same_patient: float
    same_position: float
    coin_both: float


def choices(answered: Answered) -> tuple[Floats, np.ndarray]:
    """Answers rescaled to the k patients in the order shown, then the coin: shape (n, k + 1).

    With them, which rows have any of those.

    A row counts if a choice is more likely than not. The others (refusals, text that cannot be
    read, a letter that is hardly likely at all) are 0.
    """
    given = np.array([(*answer.chosen, answer.coin) for answer in answered.answers])
    mass = given.sum(axis=1, keepdims=True)
    usable = mass >= LEAST_MASS
    return np.divide(given, mass, out=np.zeros_like(given), where=usable), usable[:, 0]


def most_likely(chosen: Floats) -> NDArray[np.intp]:
    """Most likely answer of each row, shape (n,): a place, or the last one, the coin.

    A row whose best are equal, or that is 0 (see `choices`), is a tie: the coin.

    Parameters
    ----------
    chosen : ndarray, shape (n, k + 1)
        Probability of each of k patients, then of the coin.
    """
    shared = (chosen == chosen.max(axis=1, keepdims=True)).sum(axis=1) > 1
    return np.where(shared, chosen.shape[1] - 1, chosen.argmax(axis=1))


def summarise(answered: Answered) -> Summary:
    """Summary of a battery's answers; a row counts as a choice if one is more likely than not."""
    answers, size = answered.answers, len(answered.shown)
    chosen, usable = choices(answered)
    shares = chosen[usable].mean(axis=0) if usable.any() else np.full(size + 1, np.nan)
    likeliest = most_likely(chosen)
    both = usable[0::2] & usable[1::2]  # rows come as drawn, then reversed
    drawn, reversed_ = likeliest[0::2][both], likeliest[1::2][both]
    coin = (drawn == size) | (reversed_ == size)
    counted = Counter(answer.category for answer in answers)
    return Summary(
        {category: counted[category] for category in CATEGORIES},
        dict(Counter(answer.read for answer in answers)),
        tuple(float(share) for share in shares[:size]),
        float(shares[size]),
        mean(~coin & (drawn + reversed_ == size - 1)),
        mean(~coin & (drawn == reversed_)),
        mean((drawn == size) & (reversed_ == size)),
    )


def mean(values: np.ndarray) -> float:
    """Mean of values; NaN if there are none."""
    return float(np.mean(values)) if len(values) else float("nan")
