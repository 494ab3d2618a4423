"""What a model did with a battery: counts and shares, for pairs and lists alike."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from policies.categories import CATEGORIES, LEAST_MASS
from policies.elicit import Answered
from policies.llm import most_likely


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


def summarise(answered: Answered) -> Summary:
    """Summary of a battery's answers; a row counts as a choice if one is more likely than not."""
    answers, size = answered.answers, len(answered.shown)
    given = np.array([(*answer.chosen, answer.coin) for answer in answers])
    mass = given.sum(axis=1)
    usable = mass >= LEAST_MASS
    shares = given[usable] / mass[usable, None]
    mean = shares.mean(axis=0) if len(shares) else np.full(size + 1, np.nan)
    likeliest = most_likely(given)
    both = usable[0::2] & usable[1::2]  # rows come as drawn, then reversed
    drawn, reversed_ = likeliest[0::2][both], likeliest[1::2][both]
    coin = (drawn == size) | (reversed_ == size)
    counted = Counter(answer.category for answer in answers)
    return Summary(
        {category: counted[category] for category in CATEGORIES},
        dict(Counter(answer.read for answer in answers)),
        tuple(float(share) for share in mean[:size]),
        float(mean[size]),
        _mean(~coin & (drawn + reversed_ == size - 1)),
        _mean(~coin & (drawn == reversed_)),
        _mean((drawn == size) & (reversed_ == size)),
    )


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
