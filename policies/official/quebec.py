"""Transplant Québec's attribution score of a kidney from a deceased donor.

Source: Transplant Québec, as transcribed in TQAttributionScore (P. L. Boivin) and
KidneyAllocation.jl (jojal5), both in Julia with tests (R). Years of age and on dialysis are
completed years, as there.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from policies.protocol import Chances, Choice, MatchRun, ranked
from populations.hla import LOCUS_BITS
from populations.schema import Columns

# By completed years on dialysis, 0 to 10 and more.
_WAIT_POINTS = np.array([0, 0.5, 1, 2, 4, 6, 8, 10, 12, 14, 18])
# By mismatches on DR (0, 1, 2); rows: candidate homozygous, heterozygous on DR.
_DR_POINTS = np.array([[4, 4, 0], [4, 1, 0.0]])
_CPRA_POINTS = np.array([0, 3, 8.0])  # below 20 %, below 80 %, from there on
_GAP_POINTS = np.array([4, 2, 0.0])  # up to 10 years, up to 20, more
_IDENTICAL_POINTS = 8

_CARD = {
    "provenance": (
        "R: points. A: without a mismatch on A, B and DR a candidate counts as identical to the "
        "donor (exact unless the donor is homozygous where the candidate is not)"
    ),
    "left_out": (
        "urgency, the Canadian programme for the highly sensitised, kidneys with other organs"
    ),
}


def wait_points(years: ArrayLike) -> Chances:
    """Points for years on dialysis, shape (n,), by completed years."""
    completed = np.minimum(np.floor(years), len(_WAIT_POINTS) - 1).astype(np.intp)
    return np.asarray(_WAIT_POINTS[completed])


def dr_points(
    mismatches: NDArray[Any], heterozygous: NDArray[np.bool_], identical: NDArray[np.bool_]
) -> Chances:
    """Points for mismatches on DR (0, 1 or 2), shape (n,).

    Parameters
    ----------
    mismatches : ndarray of int, shape (n,)
        On DR.
    heterozygous : ndarray of bool, shape (n,)
        Whether the candidate has two different DR antigens.
    identical : ndarray of bool, shape (n,)
        Whether candidate and donor have the same A, B and DR antigens.
    """
    points = _DR_POINTS[heterozygous.astype(np.intp), mismatches]
    return np.where(identical, _IDENTICAL_POINTS, points)


def cpra_points(cpra: ArrayLike) -> Chances:
    """Points for cPRA in percent, shape (n,)."""
    return np.asarray(_CPRA_POINTS[np.searchsorted([20, 80], cpra, side="right")])


def gap_points(donor_age: float, age: ArrayLike) -> Chances:
    """Points for a donor of like age, shape (n,): the difference of completed years."""
    gap = np.abs(np.floor(donor_age) - np.floor(age))
    return np.asarray(_GAP_POINTS[np.searchsorted([10, 20], gap, side="left")])


def age_points(age: ArrayLike) -> Chances:
    """Points for youth, shape (n,): 50 by completed years of age, at least 1; two decimals."""
    return np.asarray(np.round(50 / np.maximum(np.floor(age), 1), 2))


def attribution_score(match: MatchRun) -> Chances:
    """Sum of all points of the candidates of a match run, shape (n,), two decimals."""
    age = match["age"]
    heterozygous = match.constant(_dr_antigens) > 1
    score = (
        wait_points(match["dialysis_years"])
        + dr_points(match["mismatches_dr"], heterozygous, match["mismatches"] == 0)
        + match.constant(_cpra_points)
        + gap_points(match.kidney.donor_age, age)
        + age_points(age)
    )
    return np.asarray(np.round(score, 2))


@dataclass(frozen=True)
class Quebec:
    """Transplant Québec: the highest attribution score; lots between equals."""

    name: str = "quebec"
    card: dict[str, Any] = field(default_factory=_CARD.copy)

    def choose(self, match: MatchRun) -> Choice:
        """The highest score first."""
        return ranked(match, attribution_score(match))


def _dr_antigens(columns: Columns) -> Chances:
    return np.bitwise_count(columns["hla"] & LOCUS_BITS["dr"]).astype(np.float64)


def _cpra_points(columns: Columns) -> Chances:
    return cpra_points(columns["cpra"])
