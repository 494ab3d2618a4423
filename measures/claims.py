"""Claims and chances: whether chances follow the strength of claims, and are equal where it is.

Where a good cannot be divided, a fair lottery gives each claimant a chance in proportion to their
claim (Broome 1990). What counts as a claim here is what the reference policy would have given.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from measures.inequality import chance_variance, transplanted_by_seed
from measures.registry import measure
from measures.table import FULL_DETAIL_ONLY, Floats, column, groups, tidy, totals, with_lottery
from sim.record import Record

CLASSES = 10  # of equal claim: tenths of the candidates


@measure(
    formula="1/2 sum |p_i / sum p - c_i / sum c|, p_i the chances given, c_i those the reference "
    "would have given, over candidates or over groups; excess p_g / sum p - c_g / sum c",
    unit="share of all chances, in [0, 1]",
    direction="lower",
    discipline="ethics of lotteries",
    protects="those given less than their claim",
    cannot_see="faults of the reference itself; claims in match runs that this policy kept from "
    "happening: who waits at each kidney is this history's, whoever put them there. Chances are "
    "of being offered a kidney first, before any centre has answered",
    source="claims satisfied in proportion to their strength: Broome 1990 (R2); this index (D)",
)
def broome_gap(record: Record, by: str | None = None) -> pd.DataFrame:
    """Share of all chances that went elsewhere than to claims (needs ``detail="full"``).

    Without a grouping the sum is over candidates. With one, row ``broome_gap``, group "all", is the
    gap between the groups' shares, never more than that between candidates; and
    ``broome_gap.excess`` is each group's share of the chances (``numerator``) less its share of the
    claims (``denominator``): they add up to 0, and their positive part to the gap.
    """
    names, codes = groups(record, by)
    rows: list[dict[str, Any]] = [{"measure": "broome_gap", "grouping": by or "all"}]
    if by is not None:
        rows += [{"measure": "broome_gap.excess", "grouping": by, "group": name} for name in names]
    if not {"chance", "reference_chance"} <= set(record.fates):
        return tidy(row | {"note": FULL_DETAIL_ONLY} for row in rows)
    given, claims = (column(record.fates, name) for name in ("chance", "reference_chance"))
    if given.sum() == 0 or claims.sum() == 0:
        return tidy(row | {"note": "no chances were given"} for row in rows)
    given, claims = given / given.sum(), claims / claims.sum()
    if by is not None:
        given, claims = (totals(shares, codes, len(names)) for shares in (given, claims))
        for row, share, claim in zip(rows[1:], given, claims, strict=True):
            row |= {"value": share - claim, "numerator": share, "denominator": claim}
    rows[0]["value"] = float(np.abs(given - claims).sum()) / 2
    return with_lottery(tidy(rows), record)


def equal_claims(claims: Floats, n_classes: int) -> NDArray[np.intp]:
    """Class of each claim: ``n_classes`` classes as equal in size as ties allow, shape (n,).

    Equal claims are in the same class, so classes may be empty.
    """
    below = np.searchsorted(np.sort(claims), claims, side="left")
    return (below * n_classes) // max(claims.size, 1)


@measure(
    formula="sqrt of Var(p_i) within tenths of claim, unbiased before the root; determinism: "
    "Var(p_i) within tenths over pbar (1 - pbar) within tenths",
    unit="probability; index in [0, 1]",
    direction="lower",
    discipline="ethics of lotteries",
    protects="those with as good a claim as others and less of a chance",
    cannot_see="what no policy can make equal: blood type, sensitisation, the date of listing and "
    "how long each can wait part people of equal claim under every policy (compare arms with an "
    "even lottery). Claims are as at listing; within a tenth they are nearly equal, no more. The "
    "largest gap between two people is not printed: from few tie seeds it is always near 1. "
    "For the gap at each decision read over_decisiveness",
    source="equal claims, equal chances: Broome 1990 (R2); estimators (D)",
    reads="tie_seeds",
    by="never",
)
def equal_chance_gap(records: Sequence[Record]) -> pd.DataFrame:
    """How far chances of a transplant differ between people of nearly equal claim.

    Rows ``equal_chance_gap``, a standard deviation, and ``equal_chance_gap.determinism``, how much
    of who is transplanted among people of equal claim was settled before any lots were drawn (see
    `determinism_index`); classes are averaged by size. ``denominator`` is the number of tie seeds.
    The class of each is by their claim under the reference, ``candidates["claim"]`` (needs
    ``detail="full"``).

    Raises
    ------
    InputError
        If the records are not of one policy and world under different tie seeds.
    """
    drawn = transplanted_by_seed(records, "equal_chance_gap")
    names = ("equal_chance_gap", "equal_chance_gap.determinism")
    if "claim" not in records[0].candidates:
        note = f"no claims: {FULL_DETAIL_ONLY}, where the reference judges pairs"
        return tidy({"measure": name, "note": note} for name in names)
    of = equal_claims(column(records[0].candidates, "claim"), CLASSES)
    settled = total = 0.0
    for i in np.unique(of):
        mine = drawn[:, of == i]
        mean = float(mine.mean())
        settled += mine.shape[1] * chance_variance(mine)
        total += mine.shape[1] * mean * (1 - mean)
    apart = float(np.sqrt(max(settled / of.size, 0.0)))
    values = (apart, settled / total if total else np.nan)
    note = "" if total else "undefined: all or none transplanted"
    return tidy(
        {
            "measure": name,
            "value": value,
            "denominator": len(records),
            "note": note if np.isnan(value) else "",
        }
        for name, value in zip(names, values, strict=True)
    )
