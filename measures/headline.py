"""All headline measures of one record in one tidy frame."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from measures.registry import MEASURES
from measures.table import COLUMNS
from sim.record import GROUPINGS, Record


def summary(record: Record, by: Sequence[str] = GROUPINGS) -> pd.DataFrame:
    """Every measure that reads one record, for everybody and for each grouping.

    Parameters
    ----------
    record : Record
    by : sequence of str
        Categories of the schema or ``"age_band"``.

    Returns
    -------
    DataFrame
        Columns ``measures.table.COLUMNS``, one row per (measure, grouping, group). The keys depend
        on ``by`` alone, never on what happened, so frames of two arms join on them one to one.
    """
    return _every("record", record, by)


def over_tie_seeds(records: Sequence[Record], by: Sequence[str] = GROUPINGS) -> pd.DataFrame:
    """Every measure that reads records of one policy and world under several tie seeds.

    Parameters and rows as in `summary`.
    """
    return _every("tie_seeds", records, by)


def _every(reads: str, subject: Any, by: Sequence[str]) -> pd.DataFrame:
    frames = []
    for card in MEASURES.values():
        if card.reads != reads:
            continue
        if card.by == "never":
            frames.append(card.function(subject))
            continue
        overall = [None] if card.by == "optional" else []
        frames.extend(card.function(subject, grouping) for grouping in [*overall, *by])
    return pd.concat([frame[list(COLUMNS)] for frame in frames], ignore_index=True)
