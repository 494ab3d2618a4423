"""US kidney allocation until December 2014.

Where it is from
----------------
R2 : kidneys without a mismatch go first; children listed below 18 years are first locally for
    donors below 35 years, "Share 35" (J Am Soc Nephrol 2014, issue 4, article 23, address
    journals.lww.com/jasn). Waiting from listing, not in fractions of years; points from cPRA 80 on;
    kidneys of expanded criteria apart (same journal, new allocation policy against the old, table
    4, jasn.asnjournals.org/highwire/markup/42364; read as text without its columns).
R2 : 4 points for sensitisation of 80 % and more; one point for the longest waiting, and a share of
    it in proportion for the others (UNOS points of the 1990s in a textbook's figure,
    rrnursingschool.biz, figure 812).
M : from memory: a point for each full year of waiting, 2 and 1 points for no and one DR mismatch, 4
    points and local priority for prior living donors, points for children, expanded criteria by
    waiting alone, children first beyond the area too, reach of zero-mismatch sharing.
A : expanded criteria are KDPI above 85; the longest waiting is that in the match run.

Left out: paybacks between areas, donors after circulatory death apart, sensitised adults who lead
the list before children, A2 kidneys for blood group B, medical urgency, kidneys with other organs,
variances.
"""

import numpy as np

from policies.official.classes import (
    LOCAL,
    PLACES,
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
from populations.schema import Columns

EXPANDED_ABOVE = 85  # percent KDPI
YOUNG_DONOR_BELOW = 35.0  # years

_DONOR = Rule("prior living donor, local", LOCAL, prior_donor=True)
_ALL = [Rule(where, within) for within, where in enumerate(PLACES)]
_CHILDREN_FIRST = [
    rule
    for within, where in enumerate(PLACES)
    for rule in (
        Rule(f"listed below 18 years, {where}", within, listed_young=True),
        Rule(where, within),
    )
]
STANDARD = Table(*zero_mismatch(), _DONOR, *_ALL)
YOUNG_DONOR = Table(*zero_mismatch(), _DONOR, *_CHILDREN_FIRST)
EXPANDED = Table(*zero_mismatch(children=False), *_ALL)


def classification(match: MatchRun) -> Classes:
    """Row of the table for this kind of donor, 0 is offered first, shape (n,)."""
    if _expanded(match):
        table = EXPANDED
    else:
        table = YOUNG_DONOR if match.kidney.donor_age < YOUNG_DONOR_BELOW else STANDARD
    return table.classes(match, match["level"])


def points(match: MatchRun) -> Floats:
    """Points, shape (n,): waiting; unless expanded, also DR, cPRA, donors and children."""
    waiting = match.time - match["listed"]
    longest = waiting.max()
    found = np.floor(waiting)
    if longest > 0:
        found += waiting / longest
    if _expanded(match):
        return found
    found += 2.0 - match["mismatches_dr"]
    found += match.constant(_static_points)
    found += children_points(match, good_donor=match.kidney.donor_age < YOUNG_DONOR_BELOW)
    return found


def _expanded(match: MatchRun) -> bool:
    return whole_percent(match.kidney.kdpi) > EXPANDED_ABOVE


def _static_points(columns: Columns) -> Floats:
    """4 for a cPRA that rounds to 80 and more, 4 for a prior living donor; shape (n,)."""
    return 4.0 * (columns["cpra"] >= 79.5) + 4.0 * columns["prior_living_donor"]


def pre_kas() -> Classified:
    """US kidney allocation until December 2014."""
    card = {
        "provenance": "M, from memory: most point values, order of classes; R2: waiting from "
        "listing, 4 points from cPRA 80, children first for donors below 35 years; A: expanded "
        "criteria are KDPI > 85. Left out: paybacks, A2 to B, medical urgency, multi-organ, "
        "variances",
    }
    return Classified("us-pre-kas", classification, points, card)
