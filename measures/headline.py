"""All headline measures of one record in one tidy frame."""

from collections.abc import Sequence

import pandas as pd

from measures.registry import MEASURES
from measures.table import COLUMNS
from sim.record import Record

GROUPINGS: tuple[str, ...] = (
    "sex",
    "race",
    "insurance",
    "neighbourhood",
    "age_band",
    "blood_type",
)


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
    frames = []
    for card in MEASURES.values():
        if card.reads != "record":
            continue
        if card.by == "never":
            frames.append(card.function(record))
            continue
        overall = [None] if card.by == "optional" else []
        frames.extend(card.function(record, grouping) for grouping in [*overall, *by])
    return pd.concat([frame[list(COLUMNS)] for frame in frames], ignore_index=True)
