"""Records made by hand: who was listed when, left when and why."""

import numpy as np
import pandas as pd

from populations.schema import SCHEMA
from sim.record import Record, no_returns

OF_FATES = ("considered", "kidney", "death", "graft_failure", "active_years", "inactive")


def hand_made(
    years: float = 10.0,
    decisions: pd.DataFrame | None = None,
    offers: pd.DataFrame | None = None,
    returns: pd.DataFrame | None = None,
    **columns,
) -> Record:
    """A record of the candidates in ``columns``: ``exit`` and ``fate``, and whatever else matters.

    Everybody is listed at the start at the one centre and has the first level, or the least, of
    every attribute, unless a column says otherwise; a column may also be one of ``OF_FATES``.
    """
    people = pd.DataFrame(columns)
    candidates = pd.DataFrame({"candidate": np.arange(len(people))})
    candidates["listed"] = people.get("listed", 0.0)
    candidates["centre"] = people.get("centre", 0)
    candidates["dialysis_start"] = people.get("dialysis_start", 0.0)
    for name, attribute in SCHEMA.items():
        default = attribute.levels[0] if attribute.levels else attribute.low
        candidates[name] = people.get(name, default)
    if "claim" in people:
        candidates["claim"] = people["claim"]
    fates = candidates[["candidate"]].copy()
    fates["entry"] = candidates["listed"].clip(lower=0.0)
    for name in ("exit", "fate", *(name for name in OF_FATES if name in people)):
        fates[name] = people[name]
    empty = pd.DataFrame()
    return Record(
        candidates,
        fates,
        empty if decisions is None else decisions,
        empty if offers is None else offers,
        empty,
        {"years": years},
        returns=no_returns() if returns is None else returns,
    )


def one(frame: pd.DataFrame, measure: str, group: str = "all") -> pd.Series:
    """The one row of a measure and group."""
    chosen = frame[(frame["measure"] == measure) & (frame["group"] == group)]
    assert len(chosen) == 1, (measure, group, len(chosen))
    return chosen.iloc[0]
