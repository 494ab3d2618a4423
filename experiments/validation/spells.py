"""Registrations, one row each: the first of every candidate, and each return to the list."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from populations.formulae import epts_percent, epts_raw
from populations.schema import AGE_BANDS, age_band, nearest_percent
from sim.record import Record

Floats = NDArray[np.float64]


def spells(record: Record) -> pd.DataFrame:
    """Every registration of a run with the candidate's attributes.

    Returns
    -------
    DataFrame
        The candidates' columns (``age`` and others as at the first listing), and ``began`` (year of
        this registration), ``entry``, ``exit``, ``fate``, ``kidney``, ``graft_failure``,
        ``returned`` (whether it is a return) and ``age_band`` (at entry).
    """
    first = record.fates.assign(began=record.candidates["listed"].to_numpy(), returned=False)
    again = record.returns.rename(columns={"listed": "began"})
    again = again.assign(entry=again["began"], returned=True)
    columns = ["candidate", "began", "entry", "exit", "fate", "kidney", "graft_failure", "returned"]
    every = pd.concat([first[columns], again[columns]], ignore_index=True)
    every = every.merge(record.candidates, on="candidate", how="left", validate="many_to_one")
    at_entry = (every["age"] + every["entry"] - every["listed"]).to_numpy()
    every["age_band"] = pd.Categorical.from_codes(age_band(at_entry), list(AGE_BANDS))
    return every


def recipients(record: Record) -> pd.DataFrame:
    """Those whose first registration ended in a deceased donor's kidney, as they were then.

    Returns
    -------
    DataFrame
        ``age``, ``age_band``, ``dialysis`` (years; 0 if not on it), ``diabetes`` and
        ``prior_transplant`` (bool), ``epts``, ``waited`` (years since listing), ``kdpi``,
        ``graft_years`` and ``patient_years`` (until the graft fails or they die; until they die).
    """
    people = record.people()
    people = people[people["fate"] == "transplanted"]
    kdpi = record.decisions.set_index("kidney")["kdpi"]
    waited = people["exit"] - people["listed"]
    frame = pd.DataFrame(
        {
            "age": people["age"] + waited,
            "dialysis": np.maximum(people["exit"] - people["dialysis_start"], 0.0),
            "diabetes": people["diabetes"] == "yes",
            "prior_transplant": people["prior_transplant"] == "yes",
            "prior_living_donor": people["prior_living_donor"] == "yes",
            "waited": waited,
            "kdpi": kdpi.reindex(people["kidney"]).to_numpy(),
            "patient_years": people["death"] - people["exit"],
            "graft_years": np.minimum(people["death"], people["graft_failure"]) - people["exit"],
        }
    )
    ages = frame["age"].to_numpy()
    diabetes, prior = (frame[n].to_numpy().astype(int) for n in ("diabetes", "prior_transplant"))
    raw = epts_raw(ages, diabetes, prior, frame["dialysis"].to_numpy())
    frame["epts"] = epts_percent(raw)
    frame["age_band"] = pd.Categorical.from_codes(age_band(ages), list(AGE_BANDS))
    return frame


def rate(every: pd.DataFrame, fate: str) -> float:
    """Registrations that ended so, per 100 person-years on the list."""
    waited = float((every["exit"] - every["entry"]).sum())
    return 100.0 * float((every["fate"] == fate).sum()) / waited if waited else float("nan")


def cpra_group(cpra: pd.Series) -> pd.Series:
    """The cPRA in whole percent, rounded as published groups are."""
    return pd.Series(nearest_percent(cpra.to_numpy()).astype(int), index=cpra.index)
