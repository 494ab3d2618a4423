"""The United Kingdom's kidney offering scheme of September 2019: tier A, then tier B by points.

Sources: NHS Blood and Transplant, policy POL186, as transcribed in histoc (Lima & Reis, CRAN; R:
points, levels, order within tier A, worked examples). One point for every day of waiting: NHS Blood
and Transplant, "Kidney offering and matching" (R). That matchability counts, of 10,000 donors,
those of the same blood group, without unacceptable antigen, with no mismatch on DR or one on DR and
none on B: simK (Lima; R2). Who enters tier A is from memory (M).
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from policies.protocol import Chances, Choice, MatchRun, ranked
from populations import hla
from populations.formulae_uk import recipient_quarter, ukkrri
from populations.schema import SCHEMA, Columns

_O, _B = (SCHEMA["blood_type"].levels.index(name) for name in ("O", "B"))
_DAYS = 365.25  # in a year
_TIER_A_DAYS = 7 * _DAYS
_TIER_A_CPRA = 99.5  # rounds to 100 %
_HARDEST = 10
_DONORS = 10_000

# Of donors, in the order of the schema's codes O, A, B, AB: people in the UK (Welsh Blood Service,
# R2), taken for donors (A).
DONOR_BLOOD_GROUPS = np.array([0.44, 0.42, 0.10, 0.04])

# Suitable donors in 10,000 that part the tenths of the preset "uk": of the 53,000 candidates on its
# first list in ten worlds (D).
_TENTHS = (10.7, 41, 73, 107, 154, 213, 274, 344, 419)

# Donor quarter (row, D1 to D4) and recipient quarter (column, R1 to R4).
_RISK_POINTS = np.array(
    [[1000, 700, 350, 0], [700, 1000, 500, 350], [350, 500, 1000, 700], [0, 350, 700, 1000.0]]
)
_MISMATCH_POINTS = np.array([0, -100, -150, -150, -250, -250, -250.0])
_B_POINTS = -1000.0
_PER_MATCHABILITY = 1e6  # more than anybody's days or points, so that tier A stays ahead

_CARD = {
    "provenance": (
        "R: points. M: tier A is for matchability 10, cPRA 100 % and 7 years of waiting. A: the "
        "donor's quarter is that of KDPI; matchability is a candidate's tenth among those of the "
        "preset uk; waiting counts from listing or the start of dialysis, whichever came first"
    ),
    "left_out": (
        "the UK's donor index (it needs CMV, GFR and days in hospital), children apart, kidneys "
        "with other organs, which blood groups a tier may take"
    ),
}


def risk_points(donor: int, recipients: NDArray[np.intp]) -> Chances:
    """Points for a donor and recipients of like risk, quarters 1 to 4, shape (n,)."""
    return np.asarray(_RISK_POINTS[donor - 1, recipients - 1])


def match_level(a: NDArray[Any], b: NDArray[Any], dr: NDArray[Any]) -> NDArray[np.intp]:
    """Level 1 (best) to 4 of mismatches on A, B and DR (0 to 2 each), shape (n,)."""
    return np.select(
        [
            (a == 0) & (b == 0) & (dr == 0),
            ((dr == 0) & (b <= 1)) | ((dr == 1) & (b == 0)),
            (dr == 0) | ((dr == 1) & (b == 1)),
        ],
        [1, 2, 3],
        4,
    )


def level_points(level: NDArray[np.intp], age: Chances) -> Chances:
    """Points for the level of mismatch at an age in years, shape (n,)."""
    points = 400 * np.sin(age / 50)
    for number, middle, size in ((1, 2300, 1200), (2, 1500, 750)):
        these = level == number  # few: everybody's cosine would take longer than all the rest
        points[these] = middle + size * np.cos(age[these] / 18)
    return np.asarray(points)


def matchability_points(matchability: ArrayLike) -> Chances:
    """Points for a matchability of 1 (easy) to 10 (hard to match), shape (n,)."""
    return 40 * (1 + (np.asarray(matchability) / 4.5) ** 4.7)


def age_points(donor_age: float, age: ArrayLike) -> Chances:
    """Points (none or fewer) for a difference of ages in years, shape (n,)."""
    return -0.5 * (donor_age - np.asarray(age)) ** 2


def mismatch_points(mismatches: NDArray[Any]) -> Chances:
    """Points (none or fewer) for 0 to 6 mismatches on A, B and DR, shape (n,)."""
    return np.asarray(_MISMATCH_POINTS[mismatches])


def blood_points(donor: int, blood_type: NDArray[Any]) -> Chances:
    """Points taken from candidates of group B offered a kidney of group O, shape (n,)."""
    return np.where((donor == _O) & (blood_type == _B), _B_POINTS, 0.0)


def donor_quarter(kdpi: float) -> int:
    """Quarter of KDPI in percent, 1 to 4, in place of the UK's donor index (A)."""
    return int(np.searchsorted([25, 50, 75], kdpi, side="left")) + 1


def matchability(columns: Columns) -> Chances:
    """1 (easy) to 10 (hard to match), shape (n,), of ``hla``, ``cpra`` and ``blood_type``."""
    compatible = 1 - columns["cpra"] / 100
    same_group = DONOR_BLOOD_GROUPS[columns["blood_type"]]
    suitable = _DONORS * same_group * compatible * _well_matched(columns["hla"])
    return np.asarray(_HARDEST - np.searchsorted(_TENTHS, suitable, side="left"), dtype=np.float64)


def _well_matched(antigens: NDArray[np.uint64]) -> Chances:
    """Chance that a donor has no mismatch on DR, or one and none on B, shape (n,)."""
    locus_b, locus_dr = hla.LOCUS_BITS["b"], hla.LOCUS_BITS["dr"]
    # Many have the same antigens of the two loci.
    own, whose = np.unique(antigens & (locus_b | locus_dr), return_inverse=True)
    foreign, foreign_dr = (locus_b | locus_dr) & ~own, locus_dr & ~own
    neither = _without(foreign)
    chance = _without(foreign_dr)
    for bit in np.uint64(1) << np.arange(64, dtype=np.uint64):
        if bit & locus_dr:  # donors who have no foreign antigen but this one, and do have it
            chance += _without(foreign & ~bit) - neither
    return np.asarray(chance[whose])


def _without(antigens: NDArray[np.uint64]) -> Chances:
    """Share of donors without any of the antigens, shape (n,)."""
    return 1 - hla.cpra(antigens) / 100


def tier_b_points(match: MatchRun, difficulty: Chances, days: Chances) -> Chances:
    """Points of the candidates of a match run, shape (n,), as if all were in tier B.

    Parameters
    ----------
    match : MatchRun
        Of n candidates.
    difficulty : ndarray, shape (n,)
        Matchability, 1 to 10.
    days : ndarray, shape (n,)
        Of waiting.
    """
    kidney, age = match.kidney, match["age"]
    on_dialysis = match.constant(_dialysis_at_listing)
    recipients = recipient_quarter(ukkrri(age, on_dialysis, days, match["diabetes"]))
    a, b, dr = (match[f"mismatches_{locus}"] for locus in ("a", "b", "dr"))
    return np.asarray(
        risk_points(donor_quarter(kidney.kdpi), recipients)
        + level_points(match_level(a, b, dr), age)
        + matchability_points(difficulty)
        + age_points(kidney.donor_age, age)
        + mismatch_points(match["mismatches"])
        + blood_points(kidney.blood_type, match["blood_type"])
        + days
    )


@dataclass(frozen=True)
class Uk:
    """UK 2019: tier A by matchability, then waiting; after it tier B by points."""

    name: str = "uk-2019"
    card: dict[str, Any] = field(default_factory=_CARD.copy)

    def choose(self, match: MatchRun) -> Choice:
        """Tier A first; in each tier the highest score first."""
        days = _DAYS * np.maximum(match["waiting_years"], match["dialysis_years"])
        difficulty = match.constant(matchability)
        tier_a = (difficulty >= _HARDEST) | (match["cpra"] >= _TIER_A_CPRA) | (days >= _TIER_A_DAYS)
        first = _PER_MATCHABILITY * difficulty + days
        return ranked(match, np.where(tier_a, first, tier_b_points(match, difficulty, days)))


def _dialysis_at_listing(columns: Columns) -> Chances:
    return np.asarray(columns["dialysis_start"] <= columns["listed"], dtype=np.float64)
