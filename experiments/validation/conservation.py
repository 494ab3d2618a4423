"""Rung 2: counts that must balance in every run, to the last person and kidney."""

import pandas as pd

from experiments.validation.check import Check, exact
from experiments.validation.spells import spells
from sim.record import FATES, Record


def conservation(record: Record) -> list[Check]:
    """Check that people, kidneys and graft failures of a run balance."""
    every, kidneys = spells(record), record.decisions
    fates = every["fate"].value_counts()
    used = kidneys[kidneys["outcome"] == "transplanted"]
    got = every.loc[every["fate"] == "transplanted", "kidney"]
    accepted = record.offers[record.offers["accepted"].astype(bool)]
    last = record.snapshots.iloc[-1]
    pairs = {
        "registrations = waiting + every way of leaving": (
            len(record.candidates) + len(record.returns),
            sum(int(fates.get(fate, 0)) for fate in FATES),
        ),
        "kidneys = transplanted + unused": (
            len(kidneys),
            len(used) + int((kidneys["candidate"] < 0).sum()),
        ),
        "recipients = kidneys transplanted": (len(used), len(got)),
        "no kidney is given twice": (len(got), got.nunique()),
        "each kidney went to who its decision names": (len(used), _as_decided(used, every)),
        "offers accepted = kidneys transplanted": (len(used), len(accepted)),
        "offers made = offers recorded": (int(kidneys["offers"].sum()), len(record.offers)),
        "listed in the last count = waiting + left in it": (
            int(last["listed"]),
            sum(int(last[fate]) for fate in FATES),
        ),
        "nobody leaves before they enter": (0, int((every["exit"] < every["entry"]).sum())),
        "every return follows a graft failed in the run": (
            len(record.returns),
            _after_failure(every),
        ),
        "nobody is on the list twice at a time": (0, _overlaps(every)),
    }
    return [exact("conserved", name, *pair) for name, pair in pairs.items()]


def _as_decided(used: pd.DataFrame, every: pd.DataFrame) -> int:
    """Kidneys whose decision and whose recipient name each other."""
    recipients = every.loc[every["fate"] == "transplanted", ["kidney", "candidate"]]
    return len(used.merge(recipients, on=["kidney", "candidate"]))


def _in_order(every: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Registrations of the same candidate that follow each other: the former, the latter."""
    ordered = every.sort_values(["candidate", "began"], kind="stable").reset_index(drop=True)
    follows = ordered["candidate"].eq(ordered["candidate"].shift())
    return ordered.shift()[follows], ordered[follows]


def _after_failure(every: pd.DataFrame) -> int:
    """Returns to the list at a time when the graft before had failed."""
    former, latter = _in_order(every)
    failed = former["graft_failure"].astype(float) <= latter["began"]
    return int((failed & (former["fate"] == "transplanted")).sum())


def _overlaps(every: pd.DataFrame) -> int:
    """Registrations that begin before the candidate's last one has ended."""
    former, latter = _in_order(every)
    return int((latter["began"] < former["exit"].astype(float)).sum())
