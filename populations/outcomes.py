"""Potential outcomes: when each would leave the list, die, or lose a graft, and from what."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from populations import hazards
from populations.hazards import Health
from populations.parameters import Parameters
from populations.people import Floats, Streams, relative
from populations.status import StatusPath, over
from populations.streams import stream

_FOR_EVER = 1e6  # years: a status that never changes, in a number that can be counted with
_CHUNK = 1_000  # people at a time: their yearly hazards stay in the processor's cache

# What ends waiting without a deceased donor's kidney; codes index into this.
DEPARTURES: tuple[str, ...] = ("died", "too_sick", "living_donor", "other")


def draw_outcomes(
    p: Parameters,
    streams: Streams,
    since: Floats,
    people: dict[str, NDArray[Any]],
    status: StatusPath,
    effect: Floats,
) -> dict[str, NDArray[Any]]:
    """When and why each would leave the list, and when each would die, without a kidney.

    Also the draws behind what would follow with one.

    Parameters
    ----------
    since : ndarray, shape (n,)
        When follow-up begins, years from the start of the run.
    people : dict of ndarray
        As ``draw_people`` returns them.
    status : StatusPath
        While inactive, the hazards of death and of becoming too sick are 2.21 times as high.
    effect : ndarray, shape (n,)
        Added to the log hazard of death while waiting; see ``waiting_effect``.
    """
    n = len(since)
    draws = np.stack([streams(cause).standard_exponential(n) for cause in DEPARTURES])
    after = streams("death after leaving").standard_exponential(n)
    relative_hazard = np.exp(effect)
    left, cause, death = np.empty(n), np.empty(n, dtype=np.int8), np.empty(n)
    for start in range(0, n, _CHUNK):
        rows = slice(start, start + _CHUNK)
        dialysis_in = people["dialysis_start"][rows] - since[rows]
        health = Health(
            people["age"][rows],
            np.maximum(-dialysis_in, 0.0),
            people["diabetes"][rows],
            people["prior_transplant"][rows],
        )
        yearly = hazards.waiting_hazards(health, dialysis_in)
        died, too_sick, *others = draws[:, rows]
        mortal = _of_the_list(p, died / relative_hazard[rows], too_sick)
        times = _times_by_status(yearly, mortal, status.active[rows], status.changes[rows])
        left[rows], cause[rows], death[rows] = _leaving(p, health, times, others, after[rows])
    return {
        "departure": since + left,
        "departure_cause": cause,
        "untreated_death": since + death,
        "survival_draw": streams("survival with a kidney").standard_exponential(n),
        "graft_draw": streams("graft failure").standard_exponential(n),
        "relists": streams("relisting").random(n) < p.relisting.share,
    }


def waiting_effect(
    p: Parameters, centre_waiting: Floats, centre: NDArray[Any], race: NDArray[Any]
) -> Floats:
    """Effect of each candidate's centre and race on the log hazard of death while waiting; (n,).

    Parameters
    ----------
    centre_waiting : ndarray, shape (C,)
        Of each centre, as in ``World``.
    centre, race : ndarray of int, shape (n,)
    """
    with np.errstate(divide="ignore"):  # where a preset lets nobody of a race die
        of_race = np.log(relative(p.waiting.ratio_by_race, p.race.shares))
    return np.asarray(centre_waiting[centre] + of_race[race])


def _of_the_list(p: Parameters, died: Floats, too_sick: Floats) -> Floats:
    """Draws of the two causes in units of the cumulative ``waiting_hazards``; shape (2, n)."""
    level = p.waiting.level
    return np.stack([over(died, level), over(too_sick, level * p.waiting.too_sick_ratio)])


def _times_by_status(
    yearly: Floats, draws: Floats, active: NDArray[np.bool_], changes: Floats
) -> Floats:
    """When hazards of n people, higher while inactive, have used up their draws; shape (c, n).

    Exact: within a stretch of one status the hazard is the yearly one times a constant, so every
    draw turns into the cumulative yearly hazard at which it is used up.

    Parameters
    ----------
    yearly : ndarray, shape (n, GRID_YEARS)
    draws : ndarray, shape (c, n)
    active, changes : ndarray
        As in ``StatusPath``.
    """
    ends = hazards.cumulative_hazard(yearly, np.minimum(changes, _FOR_EVER))
    begins = np.concatenate([np.zeros((len(ends), 1)), ends[:, :-1]], axis=1)
    is_active = active[:, None] ^ (np.arange(ends.shape[1] + 1) % 2 == 1)
    ratio = np.where(is_active, 1.0, hazards.INACTIVE_HAZARD_RATIO)
    used = np.cumsum(ratio[:, :-1] * (ends - begins), axis=1)  # by the end of each stretch
    rows = np.arange(len(ends))
    times = np.empty_like(draws)
    for cause, draw in enumerate(draws):
        stretch = (used < draw[:, None]).sum(axis=1)
        last = np.maximum(stretch - 1, 0)
        of_before = np.where(stretch > 0, used[rows, last], 0.0)
        begun = np.where(stretch > 0, ends[rows, last], 0.0)
        reached = begun + (draw - of_before) / ratio[rows, stretch]
        times[cause] = hazards.time_of_event(yearly, reached)
    return times


def _leaving(
    p: Parameters, health: Health, times: Floats, others: list[Floats], after: Floats
) -> tuple[Floats, NDArray[np.intp], Floats]:
    """Years to the first way of leaving, which it is, and years to death; each shape (n,).

    Parameters
    ----------
    times : ndarray, shape (2, n)
        Years to death on the list and to being too sick.
    others : list of two ndarrays, shape (n,)
        Draws behind a living donor's kidney and all other reasons.
    after : ndarray, shape (n,)
        Draws behind death after leaving.
    """
    living, other = others
    rates = (p.waiting.living_donor_per_year, p.waiting.other_per_year)
    every = np.stack([*times, over(living, rates[0]), over(other, rates[1])])
    left, cause = every.min(axis=0), every.argmin(axis=0)
    return left, cause, left + _survival_after_leaving(health, left, cause, after)


def _survival_after_leaving(
    health: Health, left: Floats, cause: NDArray[np.intp], draw: Floats
) -> Floats:
    """Years lived after leaving the list without a deceased donor's kidney; 0 if by death.

    Too sick: hazard on dialysis times the published ratio of inactive to active candidates (D).
    Living donor: published survival. Other: hazard on dialysis (A).
    """
    age = health.age + np.where(np.isfinite(left), left, 0.0)
    years = draw / hazards.dialysis_hazard(age)
    years[cause == DEPARTURES.index("too_sick")] /= hazards.INACTIVE_HAZARD_RATIO
    years[cause == DEPARTURES.index("died")] = 0.0
    living = np.flatnonzero(cause == DEPARTURES.index("living_donor"))
    if len(living):
        treated = Health(
            age[living],
            health.dialysis_years[living],
            health.diabetes[living],
            health.prior_transplant[living],
        )
        yearly = hazards.living_donor_hazards(treated)
        years[living] = hazards.time_of_event(yearly, draw[living])
    return np.asarray(years)


def graft_course(
    health: Health,
    log_kdri: Floats,
    log_extra_death: Floats,
    log_extra_graft: Floats,
    survival_draw: Floats,
    graft_draw: Floats,
) -> tuple[Floats, Floats]:
    """When the graft of each of n recipients fails, and when each dies without another kidney.

    What is left of the draw behind survival when the graft fails runs on at the hazard of
    dialysis, at the age of the failure. The published hazards of death hold deaths after a failure
    too, so these count twice: patients' survival comes out lower than published. By how much, for
    whom, is in the validation.

    Parameters
    ----------
    health : Health
        At the time of transplant.
    log_kdri : ndarray, shape (n,)
        Log of the unscaled Rao (2009) KDRI of the kidney each received.
    log_extra_death, log_extra_graft : ndarray, shape (n,)
        Added to the log hazards of death and of graft failure: cold time, centre, mismatches.
    survival_draw, graft_draw : ndarray, shape (n,)
        Unit-exponential draws.

    Returns
    -------
    failure, death : ndarray, shape (n,)
        Years from transplant; ``failure`` is infinite for those who die with a working graft.
    """
    dying = hazards.deceased_donor_hazards(health, log_kdri, log_extra_death)
    failing = hazards.graft_hazards(health, log_kdri, log_extra_graft)
    death = hazards.time_of_event(dying, survival_draw)
    failure = hazards.time_of_event(failing, graft_draw)
    fails = failure < death
    at = np.where(fails, failure, 0.0)
    left = survival_draw - hazards.cumulative_hazard(dying, at[:, None])[:, 0]
    after = at + left / hazards.dialysis_hazard(health.age + at)
    return np.where(fails, failure, np.inf), np.where(fails, after, death)


def return_departure(
    parameters: Parameters,
    seed: int,
    world_number: int,
    row: int,
    spell: int,
    health_at_return: Health,
    effect: float,
) -> tuple[float, int, float]:
    """What becomes of one candidate back on the list after a failed graft, without another kidney.

    Hazards of death and of becoming too sick are those of a like candidate never transplanted,
    times 1.78 (Rao 2007). Returning candidates have no status of their own: theirs is the mean over
    active and inactive ones (A).

    Parameters
    ----------
    row, spell : int
        Row of the candidate, and which return this is; they key the draws.
    health_at_return : Health
        Of this one person, columns of length 1.
    effect : float
        Added to the log hazard of death while waiting; see ``waiting_effect``.

    Returns
    -------
    left : float
        Years until leaving the list.
    cause : int
        Why: index into ``DEPARTURES``.
    death : float
        Years until death.
    """
    p, share = parameters, parameters.status.inactive_on_list
    draws = stream(seed, world_number, f"return {row} {spell}").standard_exponential((5, 1))
    never = health_at_return._replace(prior_transplant=np.zeros(1, dtype=np.int8))
    mean_of_status = 1.0 + share * (hazards.INACTIVE_HAZARD_RATIO - 1.0)
    yearly = hazards.waiting_hazards(never, -health_at_return.dialysis_years)
    yearly *= hazards.FAILED_GRAFT_HAZARD_RATIO * mean_of_status
    died, too_sick, *others, after = draws
    mortal = _of_the_list(p, died / np.exp(effect), too_sick)
    times = hazards.time_of_event(np.repeat(yearly, 2, axis=0), mortal[:, 0])[:, None]
    left, cause, death = _leaving(p, health_at_return, times, others, after)
    return float(left[0]), int(cause[0]), float(death[0])
