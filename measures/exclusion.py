"""The same rule everywhere: who is failed by every one of several hospitals.

Tie seeds are read as K hospitals that run one policy on the same patients, each with lots of its
own. One arbitrary rule applied everywhere fails the same people everywhere; lots spread failure.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from measures.inequality import transplanted_by_seed
from measures.registry import measure
from measures.table import Floats, groups, tidy
from sim.record import Record


@measure(
    formula="share of candidates transplanted under none of the K tie seeds; independent: product "
    "over tie seeds of the group's shares not transplanted",
    unit="share of candidates",
    direction="lower",
    discipline="algorithmic monoculture",
    protects="those failed by every hospital",
    cannot_see="that it falls with the number of tie seeds (compare arms of one study); that "
    "without lots it is the share not transplanted, which the supply of kidneys nearly fixes; that "
    "all differ in need and in how long they can wait, which fails the same people everywhere "
    "under any policy",
    source="systemic exclusion rate: Jain, Creel & Wilson 2024 (R); baseline of independent "
    "failures: Toups et al. 2023 (R2)",
    invariant_details=("independent",),
    reads="tie_seeds",
)
def systemic_exclusion(records: Sequence[Record], by: str | None = None) -> pd.DataFrame:
    """Share of candidates transplanted by none of K hospitals with the same policy.

    Rows ``systemic_exclusion`` (``numerator`` candidates of ``denominator``) and
    ``systemic_exclusion.independent``, the value if one hospital's failure told nothing about the
    next's.

    Raises
    ------
    InputError
        If the records are not of one policy and world under different tie seeds.
    """
    failed = 1.0 - transplanted_by_seed(records, "systemic_exclusion")
    names, codes = groups(records[0], by)
    note = f"{len(records)} tie seeds"
    rows: list[dict[str, Any]] = []
    for i, group in enumerate(names):
        key: dict[str, Any] = {"grouping": by or "all", "group": group}
        observed = {"measure": "systemic_exclusion", **key, "note": "nobody in this group"}
        independent: dict[str, Any] = {**observed, "measure": "systemic_exclusion.independent"}
        mine = failed[:, codes == i]
        people = mine.shape[1]
        if people:
            count = int(mine.all(axis=0).sum())
            # No interval: candidates compete for the same kidneys, so they are no independent
            # trials; without lots the count is hardly free at all.
            observed |= {"value": count / people, "note": note}
            observed |= {"numerator": count, "denominator": people}
            independent |= {"value": float(mine.mean(axis=1).prod()), "note": note}
            independent["denominator"] = people
        rows += [observed, independent]
    return tidy(rows)


@measure(
    formula="individual: share failed under all tie seeds / prod_k e_k; with a grouping: average "
    "sum_g prod_k f_g e_gk / (prod_k e_k sum_g prod_k f_g), uniform mean_g prod_k e_gk / prod_k "
    "e_k, worst max_g prod_k e_gk / prod_k e_k; e share not transplanted, f share of candidates",
    unit="ratio, 1 = as if failures were independent",
    direction="lower",
    discipline="algorithmic monoculture",
    protects="those, or the groups, who are failed everywhere",
    cannot_see="that it grows with the number of tie seeds (compare arms of one study); by group, "
    "anything within a group: it is then about differing rates, not about lots",
    source="Bommasani et al. 2022 (R); K tie seeds as deciders (D)",
    reads="tie_seeds",
)
def homogenisation(records: Sequence[Record], by: str | None = None) -> pd.DataFrame:
    """How much oftener people, or groups, are failed by all K hospitals than by independent ones.

    Without a grouping ``homogenisation.individual``; with one ``.average``, ``.uniform`` and
    ``.worst`` over its groups, all in group "all". Groups of nobody are left out.

    Raises
    ------
    InputError
        If the records are not of one policy and world under different tie seeds.
    """
    failed = 1.0 - transplanted_by_seed(records, "homogenisation")
    independent = float(failed.mean(axis=1).prod())
    if by is None:
        joint = {"individual": float(failed.all(axis=0).mean())}
    else:
        names, codes = groups(records[0], by)
        joint = _by_group(failed, [codes == i for i in range(len(names)) if (codes == i).any()])
    note = f"{len(records)} tie seeds" if independent else "undefined: nobody failed"
    return tidy(
        {
            "measure": f"homogenisation.{name}",
            "grouping": by or "all",
            "value": value / independent if independent else np.nan,
            "numerator": value,
            "denominator": independent,
            "note": note,
        }
        for name, value in joint.items()
    )


def _by_group(failed: Floats, members: list[NDArray[np.bool_]]) -> dict[str, float]:
    """Joint failure of groups: weighted by their sizes, one group as good as another, the worst."""
    together = np.array([failed[:, mine].mean(axis=1).prod() for mine in members])
    weights = np.array([mine.mean() for mine in members]) ** len(failed)
    return {
        "average": float(weights @ together / weights.sum()),
        "uniform": float(together.mean()),
        "worst": float(together.max()),
    }
