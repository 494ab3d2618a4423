"""How many worlds are enough: worlds are added until the intervals are narrow, and stay so.

The rule of Hoad, Robinson & Davies (2010): stop once the interval of the mean is as narrow as asked
and still is in each of the next few replications, since the first time may be luck (R2). The world
is the replication here, the target is absolute, and all contrasts have to meet it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from experiments.inference import KEY, Question, half_width, paired
from measures.registry import is_ratio
from measures.table import Floats
from populations.errors import InputError

LOOK_AHEAD = 5  # worlds; and how many are added at a time. The rule's usual choice (M).
LEAST = 3  # worlds before an interval is looked at: a deviation from fewer says little (M)


@dataclass(frozen=True)
class Precision:
    """How narrow the intervals of the declared ratios are.

    Parameters
    ----------
    target : float
        Largest half-width wanted, of a logarithm of a ratio.
    worlds : int
        How many there are so far.
    contrasts : DataFrame
        ``arm, measure, grouping, group, half_width, met, needed`` of each declared ratio defined in
        every world: its half-width now; whether it meets the target, and did so for the last
        ``LOOK_AHEAD`` worlds; and about how many worlds would: (t s / target)^2.
    left_out : tuple of str
        Those undefined in some world (a group had no event): no number of worlds mends that.
    """

    target: float
    worlds: int
    contrasts: pd.DataFrame
    left_out: tuple[str, ...]

    @property
    def met(self) -> bool:
        """Whether there is a contrast, and every one meets the target."""
        return bool(len(self.contrasts) and self.contrasts["met"].all())

    @property
    def settled(self) -> bool:
        """Whether more worlds are of no use: the target is met, or there is nothing to meet it."""
        return self.met or self.contrasts.empty

    def summary(self) -> dict[str, Any]:
        """As it is kept with a study's settings."""
        contrasts = self.contrasts.to_dict(orient="records")
        return {
            "target": self.target,
            "met": self.met,
            "worlds": self.worlds,
            "look_ahead": LOOK_AHEAD,
            "left_out": self.left_out,
            "contrasts": contrasts,
        }


def check_precision(
    precision: float, worlds: int, worlds_most: int, declared: Sequence[Question]
) -> None:
    """Raise InputError unless a study can be run to this precision; 0 is always right."""
    if not (math.isfinite(precision) and precision >= 0):
        raise InputError(f"precision = {precision}: expected 0 (off) or a positive number")
    if not precision:
        return
    if worlds_most < max(worlds, LEAST + LOOK_AHEAD):
        raise InputError(
            f"worlds_most = {worlds_most}: expected at least {max(worlds, LEAST + LOOK_AHEAD)} "
            f"(the worlds to begin with, and {LEAST} + {LOOK_AHEAD} for a precision)"
        )
    if not any(is_ratio(question.measure) for question in declared):
        raise InputError("precision: expected a ratio among the declared differences")


def assess(
    measures: pd.DataFrame, reference: str, declared: Sequence[Question], target: float
) -> Precision:
    """How narrow the declared ratios' differences from the reference arm are.

    Parameters
    ----------
    measures : DataFrame
        Every measure of every run so far.
    reference : str
        An arm.
    declared : sequence of Question
        Only ratios among them count.
    target : float
    """
    asked = pd.DataFrame([question[:3] for question in declared], columns=KEY)
    asked = asked[asked["measure"].map(is_ratio).astype(bool)]
    pairs = paired(measures.merge(asked, on=KEY), reference)
    table = pairs.pivot(index=["arm", *KEY], columns="world", values="value")
    table = table.reindex(columns=sorted(measures["world"].unique()))
    defined = table.notna().all(axis=1)
    values = table[defined].to_numpy(dtype=np.float64)
    contrasts = table[defined].index.to_frame(index=False)
    worlds = table.shape[1]
    widths = half_widths(values)
    last = widths[:, max(LEAST - 1, worlds - 1 - LOOK_AHEAD) :]
    enough = worlds >= LEAST + LOOK_AHEAD
    contrasts["half_width"] = widths[:, -1]
    contrasts["met"] = (last <= target).all(axis=1) & enough
    contrasts["needed"] = np.ceil(worlds * (widths[:, -1] / target) ** 2)
    left_out = tuple(
        f"{measure} of {group} under {arm}"
        for arm, measure, _, group in table.index[~defined].to_list()
    )
    return Precision(target, worlds, contrasts, left_out)


def half_widths(values: Floats) -> Floats:
    """Half-width of the 95 % interval of the mean of the first n values, for every n.

    Parameters
    ----------
    values : ndarray, shape (contrasts, N)

    Returns
    -------
    ndarray, shape (contrasts, N)
        NaN for n = 1.
    """
    n = np.arange(1, values.shape[1] + 1)
    centred = values - values[:, :1]  # variances do not change, and lose fewer digits
    mean = np.cumsum(centred, axis=1) / n
    squares = np.cumsum(centred**2, axis=1) - n * mean**2
    std = np.sqrt(np.maximum(squares, 0.0) / np.maximum(n - 1, 1))
    return half_width(std, n)


def sentence(precision: Precision) -> str:
    """Whether the precision was met, with how many worlds, and what is missing."""
    found, target = precision.contrasts, f"+/- {precision.target:g} on the log scale"
    out = ""
    if precision.left_out:
        out = (
            " Left out, since undefined in some world (a group had no event): "
            f"{'; '.join(precision.left_out)}."
        )
    if found.empty:
        return f"Precision {target}: no declared ratio is defined in every world.{out}"
    widest = found.loc[found["half_width"].idxmax()]
    where = f"{widest['measure']} of {widest['group']} under {widest['arm']}"
    where += f", +/- {widest['half_width']:.3f}"
    if precision.met:
        return f"Precision {target}: met with {precision.worlds} worlds (widest: {where}).{out}"
    unmet = int((~found["met"]).sum())
    need = f"about {widest['needed']:,.0f} worlds would be needed"
    if widest["half_width"] <= precision.target:
        need = f"narrow enough, but not yet for {LOOK_AHEAD} worlds more"
    return (
        f"Precision {target}: not met with {precision.worlds} worlds, the most allowed, by {unmet} "
        f"of {len(found)} ratios (widest: {where}; {need}).{out}"
    )
