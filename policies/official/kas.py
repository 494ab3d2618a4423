"""The US Kidney Allocation System: of December 2014, and with circles since 15 March 2021.

Where it is from
----------------
R : kidneys with KDPI <= 20 go to adults with EPTS <= 20 first, then to the other adults (OPTN,
    "The New Kidney Allocation System: Frequently Asked Questions", optn.transplant.hrsa.gov).
R2 : national priority at cPRA 100, regional at 99, local at 98; children first for KDPI < 35;
    regional sharing for KDPI > 85; points from cPRA 20 on; waiting from the start of dialysis, in
    fractions of years (J Am Soc Nephrol, new allocation policy against the old, table 4,
    jasn.asnjournals.org/highwire/markup/42364; read as text without its columns).
R2 : 250 nautical miles and the nation instead of areas and regions; at most 2 points for proximity
    inside, at most 4 outside (OPTN, "Frequently asked questions about the removal of DSA and
    region"), linear in distance; prior living donors and children directly below cPRA 100 in the
    circle (American Transplant Congress 2020, abstract 233, of the proposal).
M : from memory: the order of the rows otherwise, how far and for whom zero-mismatch sharing
    reaches, every point value, proximity points ending at 2500 nautical miles. Check them against
    OPTN policy 8 before publishing.

Left out: A2 and A2B kidneys for blood group B, medical urgency, kidneys with other organs, the
safety net after another organ, variances, Alaska, dual and en bloc kidneys. Which blood groups a
kidney goes to is the preset's.
"""

import numpy as np
from numpy.typing import NDArray

from policies.official.classes import (
    LOCAL,
    NATION,
    PLACES,
    REGION,
    Classes,
    Classified,
    Floats,
    Rule,
    Table,
    children_points,
    whole_percent,
    zero_mismatch,
)
from policies.protocol import MatchRun
from populations.formulae import cpra_points
from populations.schema import Columns

CIRCLE_NM = 250.0
_FAR_NM = 2500.0
_TABLES = ("A", "B", "C", "D")


def sequence(kdpi: float) -> str:
    """Sequence of a KDPI in percent: A to 20, B 21-34, C 35-85, D above; after rounding."""
    return _TABLES[int(np.searchsorted([20, 34, 85], whole_percent(kdpi), side="left"))]


def _sensitised(cpra: int, places: tuple[int, ...]) -> list[Rule]:
    """Rows of a cPRA, place by place; no mismatch before the others (M)."""
    return [
        Rule(f"cPRA {cpra}{', no mismatch' if zero else ''}, {PLACES[within]}", within, cpra, zero)
        for within in places
        for zero in (True, False)
    ]


_DONOR = Rule("prior living donor, local", LOCAL, prior_donor=True)
_CHILD = [
    Rule(f"listed below 18 years, {PLACES[within]}", within, listed_young=True)
    for within in (LOCAL, REGION, NATION)
]
_TOP = [
    Rule(f"EPTS at most 20, {PLACES[within]}", within, top=True)
    for within in (LOCAL, REGION, NATION)
]
_ALL = [Rule(PLACES[within], within) for within in (LOCAL, REGION, NATION)]


def _table_2014(kind: str) -> Table:
    first = [
        *_sensitised(100, (LOCAL, REGION, NATION)),
        *_sensitised(99, (LOCAL, REGION)),
        *_sensitised(98, (LOCAL,)),
    ]
    if kind == "D":
        shared = Rule("local or regional", REGION)
        return Table(*first, *zero_mismatch(children=False), shared, _ALL[NATION])
    first += [*zero_mismatch(top=kind == "A"), _DONOR]
    if kind == "C":
        return Table(*first, *_ALL)
    if kind == "B":
        by_place = zip(_CHILD, _ALL, strict=True)
        return Table(*first, *(row for rows in by_place for row in rows))
    local = [_CHILD[LOCAL], _TOP[LOCAL], *zero_mismatch(children=False), _ALL[LOCAL]]
    afar = zip(_CHILD[REGION:], _TOP[REGION:], _ALL[REGION:], strict=True)
    return Table(*first, *local, *(row for rows in afar for row in rows))


def _table_2021(kind: str) -> Table:
    """Within the circle is ``LOCAL``, everybody else ``NATION``; there is no ``REGION``."""
    children = _CHILD if kind in "AB" else []
    first = _sensitised(100, (LOCAL, NATION))
    first += [_DONOR] if kind != "D" else []
    first += children[:1]
    first += [*_sensitised(99, (LOCAL,)), *_sensitised(98, (LOCAL,))]
    first += zero_mismatch(afar=(NATION,), children=kind != "D", top=kind == "A")
    afar = [*children[NATION:], _ALL[NATION]]
    if kind != "A":
        return Table(*first, _ALL[LOCAL], *afar)
    afar.insert(1, _TOP[NATION])
    rest = zero_mismatch(afar=(NATION,), children=False)
    return Table(*first, _TOP[LOCAL], *rest, _ALL[LOCAL], *afar)


TABLES_2014 = {kind: _table_2014(kind) for kind in _TABLES}
TABLES_2021 = {kind: _table_2021(kind) for kind in _TABLES}


def classification_2014(match: MatchRun) -> Classes:
    """Row of the sequence's table, 0 is offered first, shape (n,)."""
    return TABLES_2014[sequence(match.kidney.kdpi)].classes(match, match["level"])


def classification_2021(match: MatchRun) -> Classes:
    """As in 2014, with a circle of 250 nautical miles (its edge is inside) for area and region."""
    outside = np.int8(NATION) * (match["distance_nm"] > CIRCLE_NM)
    return TABLES_2021[sequence(match.kidney.kdpi)].classes(match, outside)


def qualifying_start(columns: Columns) -> Floats:
    """Time waiting counts from, shape (n,): listing or the start of dialysis, the earlier.

    Both are new after a return to the list. Everybody is taken to qualify when listed (GFR at most
    20 or on dialysis; A).
    """
    return np.minimum(columns["listed"], columns["dialysis_start"])


def _points_at_start(columns: Columns) -> Floats:
    """Points as if everybody were waiting at the start of the run; all gain one a year."""
    points = cpra_points(columns["cpra"]) + 4.0 * columns["prior_living_donor"]
    return points - qualifying_start(columns)


def points_2014(match: MatchRun) -> Floats:
    """Points, shape (n,): one a year, cPRA, prior living donor, DR mismatches, children."""
    points = match.constant(_points_at_start) + (match.time + 2.0)
    points -= match["mismatches_dr"]
    points += children_points(match, good_donor=whole_percent(match.kidney.kdpi) < 35)
    return points


def proximity_points(distance: NDArray[np.floating]) -> NDArray[np.floating]:
    """Points for nearness, shape (n,): 2 falling to 0 at 250 nautical miles, then 4 to 0 at 2500.

    Those outside the circle are in other classes, so that the second 4 compares only them.
    """
    inside = 2.0 - (2.0 / CIRCLE_NM) * distance
    outside = (4.0 / (_FAR_NM - CIRCLE_NM)) * (_FAR_NM - distance)
    return np.maximum(np.where(distance <= CIRCLE_NM, inside, outside), 0.0)


def points_2021(match: MatchRun) -> Floats:
    """Points of 2014 and those for nearness, shape (n,)."""
    points = points_2014(match)
    points += proximity_points(match["distance_nm"])
    return points


_PROVENANCE = (
    "M, from memory: point values, the cPRA scale, most of the order of classes; R, R2: longevity "
    "matching, reach of cPRA 98-100, {}. Left out: A2 to B, medical urgency, multi-organ, safety "
    "net, variances"
)


def kas() -> Classified:
    """The US Kidney Allocation System as of December 2014."""
    card = {"provenance": _PROVENANCE.format("children first for KDPI < 35")}
    return Classified("us-kas", classification_2014, points_2014, card)


def kas_2021() -> Classified:
    """The US Kidney Allocation System since 15 March 2021."""
    card = {"provenance": _PROVENANCE.format("250 nautical miles")}
    return Classified("us-kas-2021", classification_2021, points_2021, card)
