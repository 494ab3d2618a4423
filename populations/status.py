"""Active and inactive candidates: who may be offered a kidney when, whatever the policy does.

Sources
-------
Grams et al. 2013: 31.4 % of listings begin inactive; of those 52.7 % are active after a year and
66.3 % after three; the hazard of death is 2.21 times that of active candidates (tag R).
Delmonico et al. 2008: 32.8 % of the list was inactive at the end of 2007 (tag R).
Rates of change are derived from these in the presets (tag D).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from populations.parameters import Parameters, Status
from populations.people import Floats, Streams

CHANGES = 4  # of status that one person can have; the last status holds for ever (A)


class StatusPath(NamedTuple):
    """Status of n people over time.

    Parameters
    ----------
    active : ndarray of bool, shape (n,)
        When follow-up begins.
    changes : ndarray, shape (n, CHANGES)
        Years from then to each change between active and inactive, ascending; may be infinite.
    """

    active: NDArray[np.bool_]
    changes: Floats


class StatusEvents(NamedTuple):
    """Changes of status in order of time, each array shape (k,): when, whose, and to what."""

    time: Floats
    row: NDArray[np.int64]
    active: NDArray[np.bool_]


def draw_status(p: Parameters, streams: Streams, waited: Floats, initial: bool) -> StatusPath:
    """Draw a path of status for each of n people; none depends on whether they live to see it.

    Parameters
    ----------
    waited : ndarray, shape (n,)
        Years on the list before follow-up. Those inactive have been so for a share of them that
        is drawn evenly (A).
    initial : bool
        Whether these are the people on the list at the start.
    """
    share = p.status.inactive_on_list if initial else p.status.inactive_at_listing
    n = len(waited)
    active = streams("status at entry").random(n) >= share
    inactive_for = streams("status inactive for").random(n) * waited
    draws = streams("status changes").standard_exponential((n, CHANGES))
    changes = np.empty((n, CHANGES))
    now, time = active, np.zeros(n)
    for change in range(CHANGES):
        draw = draws[:, change]
        lasts = np.where(
            now,
            over(draw, p.status.inactivation),
            _years_inactive(p.status, draw, inactive_for),
        )
        time = time + lasts
        changes[:, change] = time
        now, inactive_for = ~now, np.zeros(n)
    return StatusPath(active, changes)


def over(draw: Floats, rate: float) -> Floats:
    """When an event of a constant rate comes: unit-exponential draws over it, never if 0; (n,)."""
    return draw / rate if rate > 0 else np.full(len(draw), np.inf)


def _years_inactive(status: Status, draw: Floats, inactive_for: Floats) -> Floats:
    """Years until active again: one rate within the first year of being inactive, one later."""
    soon = np.maximum(1.0 - inactive_for, 0.0)
    of_first_year = status.activation_first_year * soon
    return np.where(
        draw < of_first_year,
        over(draw, status.activation_first_year),
        soon + over(draw - of_first_year, status.activation_later),
    )


def status_events(path: StatusPath, since: Floats, until: Floats) -> StatusEvents:
    """All changes of status after ``since`` and before ``until``, both shape (n,), in years."""
    times = since[:, None] + path.changes
    row, change = np.nonzero(times < until[:, None])
    time = times[row, change]
    order = np.argsort(time, kind="stable")
    active = path.active[row] ^ (change % 2 == 0)
    return StatusEvents(time[order], row[order], active[order])
