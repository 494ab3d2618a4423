"""Who has an EPTS of at most 20 now, without working out the score of the whole list.

EPTS rises with age and with time on dialysis and only jumps when dialysis begins. So whoever has at
most 20 leaves it at a time of their own: one before dialysis, one after its start. These are found
once in a run, to within a day, and asking who is above 20 is a comparison with the time.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from policies.protocol import MatchRun
from populations.formulae import epts_percent, epts_raw
from populations.schema import Columns

TOP_EPTS = 20  # percent
_OLD = 60.0  # years of age: nobody has at most 20 then, the healthiest have it until 57
_HALVINGS = 16  # of at most 60 years: to less than a day


def top_longevity(match: MatchRun) -> NDArray[np.bool_]:
    """Whether each candidate's EPTS is at most 20 percent, shape (n,)."""
    time = match.time
    on_dialysis = match["dialysis_start"] < time
    return np.where(
        on_dialysis, time < match.constant(_leaves_on_dialysis), time < match.constant(_leaves)
    )


def _leaves(columns: Columns) -> NDArray[np.float64]:
    """Time at which EPTS goes above 20, were dialysis never to begin, shape (n,)."""
    return _last(columns, np.full(len(columns["birth"]), np.inf), columns["birth"])


def _leaves_on_dialysis(columns: Columns) -> NDArray[np.float64]:
    """Time at which EPTS goes above 20 after the start of dialysis, shape (n,)."""
    start = np.clip(columns["dialysis_start"], columns["birth"], columns["birth"] + _OLD)
    return _last(columns, start, start)


def _last(
    columns: Columns, dialysis_start: NDArray[np.float64], earliest: NDArray[np.float64]
) -> NDArray[np.float64]:
    birth, diabetes = columns["birth"], columns["diabetes"]
    low, high = earliest.astype(np.float64), birth + _OLD
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        years = np.maximum(middle - dialysis_start, 0.0)
        raw = epts_raw(middle - birth, diabetes, columns["prior_transplant"], years)
        at_most = raw <= _highest()
        low, high = np.where(at_most, middle, low), np.where(at_most, high, middle)
    return low


@cache
def _highest() -> float:
    """The highest raw score that the mapping table gives at most 20 percent."""
    raw = np.linspace(0.0, 3.0, 300_001)
    return float(raw[epts_percent(raw) <= TOP_EPTS][-1])
