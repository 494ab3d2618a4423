"""To whom the kidneys went: transplant rates by the attributes that choices are made by."""

from pathlib import Path

import numpy as np
import pandas as pd

from measures.rates import PER
from sim.record import Record

# Attributes and the values that make a group: numbers one by one, ages by band.
GROUPS: dict[str, str] = {
    "age_band": "age",
    "drinks_per_day": "drinks a day",
    "child_dependents": "child dependents",
    "race": "race",
    "sex": "sex",
}


def transplants_by_group(folders: dict[tuple[str, int], Path], tie_seeds: int) -> pd.DataFrame:
    """Transplants per 100 person-years on the list, by group, of every run.

    Parameters
    ----------
    folders : dict of (arm, world) to Path
        Of finished runs.
    tie_seeds : int
        How many records there are in each.

    Returns
    -------
    DataFrame
        Rows of measures as ``experiments.inference`` reads them: ``transplant_rate`` by grouping
        and group, with its numerator (transplants) and denominator (person-years).
    """
    frames = []
    for (arm, world), folder in folders.items():
        for tie_seed in range(tie_seeds):
            rates = _rates(Record.load(folder / f"tie{tie_seed}"))
            frames.append(rates.assign(arm=arm, world=world, tie_seed=tie_seed))
    return pd.concat(frames, ignore_index=True).assign(measure="transplant_rate")


def _rates(record: Record) -> pd.DataFrame:
    people = record.people()
    counted = pd.DataFrame(
        {
            "numerator": (people["fate"] == "transplanted").astype(float),
            "denominator": people["exit"] - people["entry"],
        }
    )
    frames = []
    for grouping in GROUPS:
        group = people[grouping]
        named = group.map("{:g}".format) if group.dtype.kind in "fi" else group.astype(str)
        sums = counted.groupby(named.rename("group")).sum().reset_index()
        frames.append(sums.assign(grouping=grouping))
    rates = pd.concat(frames, ignore_index=True)
    waited = rates["denominator"].where(rates["denominator"] > 0, np.nan)
    return rates.assign(value=PER * rates["numerator"] / waited)
