"""Australia's allocation before 2021: the national score, then the score of the donor's state.

Source: the "current" national algorithm and that of New South Wales and the ACT, as transcribed in
simKAP (SydneyBioX; R); that it was replaced in 2021 is from memory (M). Those with a national score
of 54,000,000 or more come before the state's list.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.protocol import Chances, Choice, MatchRun, ranked

CHILD = 18  # years

_MILLION = 1e6
_MONTHS = 12  # in a year

_CARD = {
    "provenance": (
        "R: scores. A: every state allocates as New South Wales does, a state is a region, and a "
        "kidney nobody in the state takes goes by national score"
    ),
    "left_out": "the balance of kidneys between states",
}


def national_score(
    mismatches: NDArray[Any],
    mismatches_dr: NDArray[Any],
    pra: Chances,
    age: Chances,
    dialysis_years: Chances,
) -> Chances:
    """National score, shape (n,): classes of match and sensitisation, then months on dialysis.

    Parameters
    ----------
    mismatches, mismatches_dr : ndarray of int, shape (n,)
        On A, B and DR together, and on DR.
    pra : ndarray, shape (n,)
        Panel reactive antibodies, percent.
    age, dialysis_years : ndarray, shape (n,)
        Years.
    """
    sensitised = pra > 80
    millions = np.select(
        [
            (mismatches == 0) & (pra >= 50),
            (mismatches == 1) & sensitised,
            (mismatches == 2) & sensitised,
            mismatches == 0,
            (mismatches == 1) & (mismatches_dr == 0),
            (mismatches == 2) & (mismatches_dr == 0),
        ],
        [60, 59, 58, 57, 56, 55],
        0,
    )
    return millions * _MILLION + 30_000 * (age < CHILD) + _MONTHS * dialysis_years


def state_score(
    mismatches: NDArray[Any], mismatches_dr: NDArray[Any], age: Chances, dialysis_years: Chances
) -> Chances:
    """Score of New South Wales, shape (n,): no mismatch on DR and at most two others, then time.

    Parameters
    ----------
    mismatches, mismatches_dr : ndarray of int, shape (n,)
        On A, B and DR together, and on DR.
    age, dialysis_years : ndarray, shape (n,)
        Years.
    """
    millions = np.where((mismatches_dr == 0) & (mismatches <= 2), 50 - mismatches, 40)
    return millions * _MILLION + 100_000 * (age < CHILD) + 100 * _MONTHS * dialysis_years


@dataclass(frozen=True)
class AustraliaOld:
    """Australia before 2021: the country's well matched candidates, the state's, then others."""

    name: str = "australia-old"
    card: dict[str, Any] = field(default_factory=_CARD.copy)

    def choose(self, match: MatchRun) -> Choice:
        """The highest score of the first list that anybody is on, first."""
        mismatches, mismatches_dr = match["mismatches"], match["mismatches_dr"]
        age, dialysis = match["age"], match["dialysis_years"]
        national = national_score(mismatches, mismatches_dr, match["cpra"], age, dialysis)
        state = state_score(mismatches, mismatches_dr, age, dialysis)
        # The scores keep the lists apart: 55 million and more, 40 to 51, less than one.
        by_state = (national < 54e6) & (match["level"] <= 1)
        return ranked(match, np.where(by_state, state, national))
