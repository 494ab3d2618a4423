"""Active and inactive status: published shares, an independent simulation, and exact hazards."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from populations import hazards
from populations.hazards import GRID_YEARS, INACTIVE_HAZARD_RATIO
from populations.outcomes import _times_by_status
from populations.presets import load_population
from populations.status import CHANGES, StatusPath, draw_status, status_events
from populations.streams import stream
from populations.world import World, make_world

N = 60_000


def paths(*overrides: str, waited=None, initial=False, n=N) -> StatusPath:
    p = load_population("us-national", overrides).parameters
    waited = np.zeros(n) if waited is None else waited
    return draw_status(p, lambda purpose: stream(4, 0, purpose), waited, initial)


def active(path: StatusPath, time: float) -> np.ndarray:
    """Status of each at a time, changed as often as there were changes before it."""
    return path.active ^ ((path.changes < time).sum(axis=1) % 2 == 1)


# ---- the published figures ---------------------------------------------------------------------


def test_those_listed_inactive_become_active_as_published():
    """Grams 2013: 31.4 % of listings inactive; 52.7 % of these active by one year, 66.3 by three.

    The published shares count whoever became active at all, so nobody is made inactive again here.
    """
    path = paths("status.inactivation=0")
    inactive = ~path.active
    assert inactive.mean() == pytest.approx(0.314, abs=0.005)
    assert active(path, 1.0)[inactive].mean() == pytest.approx(0.527, abs=0.01)
    assert active(path, 3.0)[inactive].mean() == pytest.approx(0.663, abs=0.01)
    assert active(path, 3.0)[~inactive].all()


def test_who_is_inactive_and_dies_on_a_list_in_balance():
    """Delmonico 2008: 32.8 % of the list inactive (fitted), 52 % of deaths among them (a check).

    Paths alone, followed until each leaves at constant rates: 5.0 deaths per 100 person-years, as
    many too sick, 0.152 for other reasons, and 0.367 transplants a year while active.
    """
    path = paths()
    died = 0.05 / (1 + 0.328 * (INACTIVE_HAZARD_RATIO - 1))
    edges = np.column_stack([np.zeros(N), np.minimum(path.changes, 40.0), np.full(N, 40.0)])
    here, years, deaths = np.ones(N), {True: 0.0, False: 0.0}, {True: 0.0, False: 0.0}
    for stretch in range(CHANGES + 1):
        now = path.active ^ (stretch % 2 == 1)
        lasts = edges[:, stretch + 1] - edges[:, stretch]
        mortality = died * np.where(now, 1.0, INACTIVE_HAZARD_RATIO)
        leaving = 2 * mortality + 0.152 + 0.367 * now
        lived = here * -np.expm1(-leaving * lasts) / leaving
        for status in (True, False):
            years[status] += lived[now == status].sum()
            deaths[status] += (lived * mortality)[now == status].sum()
        here = here * np.exp(-leaving * lasts)
    assert years[False] / sum(years.values()) == pytest.approx(0.328, abs=0.008)
    assert deaths[False] / sum(deaths.values()) == pytest.approx(0.52, abs=0.012)
    assert sum(deaths.values()) / sum(years.values()) == pytest.approx(0.050, abs=0.001)


def test_the_initial_lists_share_and_later_rate():
    """Inactive for a share of the wait that is even: a year or more where that is above 1."""
    waited = np.full(N, 4.0)
    path = paths(waited=waited, initial=True)
    assert (~path.active).mean() == pytest.approx(0.328, abs=0.006)
    p = load_population("us-national").parameters.status
    first = path.changes[~path.active, 0]
    for time in (0.5, 1.0, 3.0):
        elapsed = np.linspace(0, 4, 4001)
        soon = np.clip(1 - elapsed, 0, time)
        hazard = p.activation_first_year * soon + p.activation_later * (time - soon)
        expected = np.mean(1 - np.exp(-hazard))
        assert (first < time).mean() == pytest.approx(expected, abs=0.01), time


def test_a_second_spell_of_inactivity_begins_anew():
    """Whatever the time on the list, the first year's rate holds in the first year inactive."""
    p = load_population("us-national").parameters.status
    path = paths(waited=np.full(N, 9.0), initial=True)
    begun_active = path.active
    lasts = (path.changes[:, 1] - path.changes[:, 0])[begun_active]
    assert (lasts < 1).mean() == pytest.approx(1 - math.exp(-p.activation_first_year), abs=0.01)
    gap = path.changes[begun_active, 0]
    assert gap.mean() == pytest.approx(1 / p.inactivation, rel=0.03)


# ---- the log of changes --------------------------------------------------------------------------


def test_changes_ascend_and_their_number_is_fixed():
    path = paths("status.inactivation=5", "status.activation_later=5")
    assert path.changes.shape == (N, CHANGES)
    assert (np.diff(path.changes, axis=1) > 0).all() and (path.changes > 0).all()


def test_the_log_by_hand():
    """Three people: two changes within follow-up, one only after leaving, one at the very end."""
    changes = np.array([[0.5, 2.0, 9, 9.5], [1.0, 1.5, 2, 3], [1.0, np.inf, np.inf, np.inf]])
    path = StatusPath(np.array([True, False, True]), changes)
    events = status_events(path, np.array([0.0, 4.0, 1.0]), np.array([3.0, 5.0, 2.5]))
    assert events.time.tolist() == [0.5, 2.0, 2.0]
    assert events.row.tolist() == [0, 0, 2]
    assert events.active.tolist() == [False, True, False]


def followed(w: World) -> tuple[np.ndarray, np.ndarray]:
    """Status of each when they leave or the run ends, and years inactive: change by change."""
    status = w.active_at_entry.copy()
    since = np.maximum(w.candidates["listed"], 0.0)
    inactive = np.zeros(len(status))
    for time, row, now in zip(w.status_time, w.status_row, w.status_active, strict=True):
        assert status[row] != now  # every entry is a change
        inactive[row] += (time - since[row]) * ~status[row]
        status[row], since[row] = now, time
    inactive += (np.minimum(w.departure, w.years) - since) * ~status
    return status, inactive


def test_the_inactive_die_faster_by_the_published_ratio():
    p = load_population("us-opo", ["list.initial=30000", "kidneys.per_year=1"]).parameters
    w = make_world(p, 5, 0, 6.0)
    status, inactive = followed(w)
    years = np.minimum(w.departure, 6.0) - np.maximum(w.candidates["listed"], 0)
    gone = w.departure < 6.0
    for cause, ratio in (("died", 2.21), ("too_sick", 2.21), ("living_donor", 1), ("other", 1)):
        left = gone & (
            w.departure_cause == ("died", "too_sick", "living_donor", "other").index(cause)
        )
        rates = (
            (left & ~status).sum() / inactive.sum(),
            (left & status).sum() / (years - inactive).sum(),
        )
        assert rates[0] / rates[1] == pytest.approx(ratio, rel=0.09), cause
    assert (status == w.active_at_entry).mean() < 0.9


def test_nothing_changes_where_both_rates_are_zero():
    rates = ("status.inactivation=0", "status.activation_first_year=0", "status.activation_later=0")
    assert np.isposinf(paths(*rates).changes).all()


# ---- exact times with a status that changes ------------------------------------------------------


def used_up(yearly: np.ndarray, active_first: bool, changes: np.ndarray, time: float) -> float:
    """Cumulative hazard at ``time``, stretch by stretch in plain Python."""
    cuts = sorted({0.0, time, *range(1, GRID_YEARS), *changes.tolist()})
    total = 0.0
    for start, end in pairwise(cuts):
        if end > time:
            break
        flips = sum(change <= start for change in changes)
        ratio = 1.0 if active_first ^ (flips % 2 == 1) else 2.21
        total += float(yearly[min(int(start), GRID_YEARS - 1)]) * ratio * (end - start)
    return total


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.floats(1e-3, 3), min_size=GRID_YEARS, max_size=GRID_YEARS),
    st.lists(st.floats(0.001, 60), min_size=CHANGES, max_size=CHANGES, unique=True),
    st.booleans(),
    st.lists(st.floats(0, 100), min_size=1, max_size=5),
)
def test_times_use_up_exactly_the_draw(yearly, changes, active_first, draws):
    changes = np.sort(np.array(changes))
    n = len(draws)
    times = _times_by_status(
        np.tile(yearly, (n, 1)),
        np.array([draws]),
        np.full(n, active_first),
        np.tile(changes, (n, 1)),
    )[0]
    for time, draw in zip(times, draws, strict=True):
        assert used_up(np.array(yearly), active_first, changes, time) == pytest.approx(
            draw, rel=1e-7, abs=1e-7
        )


def test_times_by_hand():
    """Hazard 0.1 a year, inactive from 2.5 to 4: 0.25, 0.25 + 0.15 x 2.21 = 0.5815, 0.1 a year."""
    yearly = np.full((4, GRID_YEARS), 0.1)
    changes = np.tile([2.5, 4.0, np.inf, np.inf], (4, 1))
    draws = np.array([[0.2, 0.25 + 0.221 * 0.5, 0.5815 + 0.1, np.inf]])
    times = _times_by_status(yearly, draws, np.ones(4, bool), changes)[0]
    assert times == pytest.approx([2.0, 3.0, 5.0, np.inf])
    always_inactive = np.full((4, CHANGES), np.inf)
    times = _times_by_status(yearly, draws, np.zeros(4, bool), always_inactive)[0]
    assert times[:3] == pytest.approx(draws[0, :3] / 0.221)


def test_one_status_for_ever_is_the_plain_hazard():
    rng = np.random.default_rng(2)
    yearly, draws = rng.uniform(0.01, 0.5, (200, GRID_YEARS)), rng.exponential(size=200)
    never = np.full((200, CHANGES), np.inf)
    times = _times_by_status(yearly, draws[None], np.ones(200, bool), never)[0]
    assert times == pytest.approx(hazards.time_of_event(yearly, draws))
