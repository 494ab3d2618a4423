"""US rules as they are written: an ordered table of classes, and points within a class.

A candidate belongs to the first row of the table whose conditions hold. Every condition is a
minimum ("local", "cPRA at least 80"), so that a table can be read downwards like the policy's own.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from policies.official.longevity import top_longevity
from policies.protocol import Choice, MatchRun, ranked
from populations.schema import Columns, nearest_percent

Floats = NDArray[np.float64]
Classes = NDArray[np.int8]

LOCAL, REGION, NATION = range(3)
PLACES = ("local", "regional", "national")
_ADULT = 18.0  # years
_SMALL = 11.0  # years
_CPRA_BANDS = np.array([0, 21, 80, 98, 99, 100])  # whole percents at which some rule begins
_CLASS_STEP = 1e4  # more than any difference in points

# A candidate as one number: the sum of these, each times its value.
_SHAPE = (2, 2, 2, 2, 2, 3, len(_CPRA_BANDS))
_TOP, _ZERO, _YOUNG, _LISTED_YOUNG, _DONOR, _PLACE, _BAND = (
    int(np.prod(_SHAPE[axis + 1 :])) for axis in range(len(_SHAPE))
)


class Rule(NamedTuple):
    """One row of a table of classes; a condition left out asks nothing.

    Parameters
    ----------
    says : str
        The row in words.
    within : int
        ``LOCAL``, ``REGION`` or ``NATION``: how far away the candidate's centre may be.
    cpra : int
        Lowest cPRA in whole percent: 0, 21, 80, 98, 99 or 100.
    zero : bool
        Only with no HLA-A, -B or -DR mismatch.
    young, listed_young : bool
        Only below 18 years: now; when listed.
    prior_donor : bool
        Only prior living donors.
    top : bool
        Only EPTS of at most 20, or below 18 years now.
    """

    says: str
    within: int = NATION
    cpra: int = 0
    zero: bool = False
    young: bool = False
    listed_young: bool = False
    prior_donor: bool = False
    top: bool = False


class Table:
    """Rows of a table of classes, first offered first, and the class of every kind of candidate."""

    def __init__(self, *rules: Rule) -> None:
        self.rules = rules
        self._asks_epts = any(rule.top for rule in rules)
        top, zero, young, listed_young, donor, place, band = np.indices(_SHAPE).reshape(7, -1)
        self._classes = np.full(top.size, len(rules), dtype=np.int8)
        for number, rule in reversed(list(enumerate(rules))):
            holds = (
                (place <= rule.within)
                & (_CPRA_BANDS[band] >= rule.cpra)
                & (zero >= rule.zero)
                & (young >= rule.young)
                & (listed_young >= rule.listed_young)
                & (donor >= rule.prior_donor)
                & (top >= rule.top)
            )
            self._classes[holds] = number

    def classes(self, match: MatchRun, place: NDArray[np.integer]) -> Classes:
        """Row of each candidate, 0 is offered first, shape (n,).

        Parameters
        ----------
        match : MatchRun
        place : ndarray of int, shape (n,)
            ``LOCAL``, ``REGION`` or ``NATION``.
        """
        code = match.constant(_lasting).astype(np.int16)
        code += _PLACE * place.astype(np.int16)
        code += np.int16(_ZERO) * (match["mismatches"] == 0)
        young = match["age"] < _ADULT
        code += np.int16(_YOUNG) * young
        if self._asks_epts:
            code += np.int16(_TOP) * (top_longevity(match) | young)
        return self._classes[code]


def _lasting(columns: Columns) -> Floats:
    """The part of a candidate's number that does not change while they wait, shape (n,).

    cPRA is rounded to a whole percent as the OPTN does (halves up, A).
    """
    whole = nearest_percent(columns["cpra"])
    code = _BAND * (np.searchsorted(_CPRA_BANDS, whole, side="right") - 1.0)
    code += _DONOR * (columns["prior_living_donor"] == 1)
    code += _LISTED_YOUNG * (columns["listed"] - columns["birth"] < _ADULT)
    return np.asarray(code)


def zero_mismatch(
    *, afar: tuple[int, ...] = (REGION, NATION), children: bool = True, top: bool = False
) -> list[Rule]:
    """Rows for kidneys without a mismatch: local, then afar the sensitised and children (M)."""
    steps = [(80, False, "cPRA 80 or more"), (21, False, "cPRA 21-79")]
    if children:
        steps[1:1] = [(21, True, "child, cPRA 21-79"), (0, True, "child, cPRA 0-20")]
    return [
        Rule("no mismatch, local", LOCAL, zero=True, top=top),
        *(
            Rule(f"no mismatch, {PLACES[within]}, {who}", within, cpra, True, young, top=top)
            for cpra, young, who in steps
            for within in afar
        ),
    ]


def children_points(match: MatchRun, good_donor: bool) -> Floats:
    """Points of those below 18 years now, shape (n,): the same before and since 2014 (M).

    Without a mismatch 4 below 11 years and 3 from 11 to 17; below 11 one more from a good donor
    (KDPI below 35 %; before December 2014 a donor below 35 years).
    """
    points = np.zeros(len(match))
    age = match["age"]
    places = np.flatnonzero(age < _ADULT)
    if places.size:
        small = age[places] < _SMALL
        zero = match["mismatches"][places] == 0
        points[places] = zero * (3.0 + small) + good_donor * small
    return points


def whole_percent(percent: float) -> int:
    """A KDPI as the OPTN's mapping table gives it: a whole percent; of ours the nearest, halves up.

    Our KDPI is continuous and ``populations.formulae.kdri_from_kdpi`` puts whole percents at the
    middles of the table's rows, so that the nearest is the row.
    """
    return int(nearest_percent(np.asarray(percent)))


@dataclass(frozen=True)
class Classified:
    """Offers by class, then by points; lots among exact equals (A).

    Parameters
    ----------
    name : str
    classification : callable
        Match run to the class of each candidate, 0 is offered first; int, shape (n,).
    points : callable
        Match run to points; float, shape (n,).
    card : dict
        What is shown beside every result: ``provenance`` first of all.
    """

    name: str
    classification: Callable[[MatchRun], Classes]
    points: Callable[[MatchRun], Floats]
    card: dict[str, Any] = field(default_factory=dict)

    def scores(self, match: MatchRun) -> Floats:
        """Class and points as one number, the highest is offered first; shape (n,)."""
        scores = self.points(match)
        scores -= _CLASS_STEP * self.classification(match)
        return scores

    def choose(self, match: MatchRun) -> Choice:
        """The highest score, then the next."""
        return ranked(match, self.scores(match))
