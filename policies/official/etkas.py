"""Eurotransplant's kidney allocation: ETKAS, and ESP for donors of 65 and older.

Sources: points, tiers, age limits and shares of blood groups of the rules from 2021 onwards, as
transcribed in the ETKidney simulator (de Ferrante et al.; R); the formula of the mismatch
probability and worked examples in histoc (Lima & Reis, CRAN; R), after the Eurotransplant Manual.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.protocol import Chances, Choice, MatchRun, ranked
from populations.hla import LOCUS_BITS, match_probability
from populations.schema import Columns

CHILD = 18  # years: younger candidates and donors
SENIOR = 65  # years: the Senior Programme's candidates and donors

# Of donors, in the order of the schema's codes O, A, B, AB.
BLOOD_GROUPS = np.array([0.4400, 0.4174, 0.1148, 0.0416])

_POINTS_PER_YEAR = 100 / 3
_MOST_MATCH_POINTS = 400
_REGIONAL_POINTS, _NATIONAL_POINTS = 300, 100
_CHILD_POINTS = 100
_OFFERS = 1000  # in the definition of the mismatch probability
_TIER = 1e6  # more than anybody's points

_CARD = {
    "provenance": (
        "R: points and tiers. A: the whole is one country of Eurotransplant; a fully homozygous "
        "donor is known by a fully homozygous candidate without a mismatch; a kidney from a donor "
        "of 65 or older that no candidate of that age takes goes by ETKAS points"
    ),
    "left_out": (
        "balance between countries, high urgency, returned waiting time, the programme for the "
        "highly immunised, a candidate's choice between ETKAS and ESP"
    ),
}


def match_points(mismatches: NDArray[Any], child: NDArray[np.bool_]) -> Chances:
    """Points for few mismatches on A, B and DR (0 to 6), shape (n,); double for children."""
    return _MOST_MATCH_POINTS * (1 - mismatches / 6) * (1 + child)


def dialysis_points(years: Chances) -> Chances:
    """Points for years on dialysis, shape (n,)."""
    return _POINTS_PER_YEAR * years


def distance_points(level: NDArray[Any]) -> NDArray[Any]:
    """Points for a kidney from the candidate's own region (level 0 or 1), or country (2)."""
    return np.where(level <= 1, _REGIONAL_POINTS, _NATIONAL_POINTS)


def mismatch_points(few_mismatches: Chances, cpra: Chances, blood_group: Chances) -> Chances:
    """Mismatch probability: points, 0 to 100, for whom well matched kidneys are rare.

    Parameters
    ----------
    few_mismatches : ndarray, shape (n,)
        Probability that a random donor has no or one mismatch.
    cpra : ndarray, shape (n,)
        Percent.
    blood_group : ndarray, shape (n,)
        Share of donors with the candidate's blood group.

    Returns
    -------
    ndarray, shape (n,)
        100 times the probability that none of 1,000 donors has the blood group, no unacceptable
        antigen, and at most one mismatch.
    """
    suitable = blood_group * (1 - cpra / 100) * few_mismatches
    return np.asarray(100 * (1 - suitable) ** _OFFERS)


def etkas_points(match: MatchRun) -> Chances:
    """ETKAS points of the candidates of a match run, shape (n,), without tiers."""
    child = match["age"] < CHILD
    return np.asarray(
        match_points(match["mismatches"], child)
        + dialysis_points(match["dialysis_years"])
        + distance_points(match["level"])
        + _CHILD_POINTS * child
        + match.constant(_mismatch_points)
    )


def etkas_tier(match: MatchRun) -> NDArray[Any]:
    """Tier of each candidate, shape (n,), highest first.

    3 no mismatch and fully homozygous (so is the donor then), 2 no mismatch, 1 a child offered a
    child's kidney, 0 the rest.
    """
    none = match["mismatches"] == 0
    homozygous = match.constant(_fully_homozygous)
    child = (match["age"] < CHILD) & (match.kidney.donor_age < CHILD)
    return np.where(none, 2 + homozygous, child)


def senior_tier(match: MatchRun) -> NDArray[Any]:
    """ESP: 2 a candidate of 65 or older of the donor's region, 1 of elsewhere, 0 the rest."""
    return np.where(match["age"] >= SENIOR, 1 + (match["level"] <= 1), 0)


@dataclass(frozen=True)
class Etkas:
    """Eurotransplant: ETKAS points in tiers; donors of 65 and older to candidates of 65 and older.

    The latter are ranked by time on dialysis, those of the donor's region first.
    """

    name: str = "etkas"
    card: dict[str, Any] = field(default_factory=_CARD.copy)

    def choose(self, match: MatchRun) -> Choice:
        """The highest tier, and in it the most points, first."""
        points = etkas_points(match)
        tier = etkas_tier(match)
        if match.kidney.donor_age >= SENIOR:
            senior = senior_tier(match)
            points = np.where(senior > 0, dialysis_points(match["dialysis_years"]), points)
            tier = np.where(senior > 0, 3 + senior, tier)
        return ranked(match, _TIER * tier + points)


def _mismatch_points(columns: Columns) -> Chances:
    none, one = match_probability(columns["hla"])
    same_group = np.asarray(BLOOD_GROUPS[columns["blood_type"]])
    return mismatch_points(none + one, columns["cpra"], same_group)


def _fully_homozygous(columns: Columns) -> Chances:
    antigens = np.bitwise_count(columns["hla"])
    return np.asarray(antigens == len(LOCUS_BITS), dtype=np.float64)  # one on each locus
