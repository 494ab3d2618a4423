"""A world: everything that does not depend on the policy, drawn before any decision."""

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from populations import hazards
from populations.formulae import epts_percent, epts_raw, kdri_from_kdpi
from populations.hazards import Health
from populations.parameters import Parameters
from populations.people import Floats, draw_category, draw_histogram, draw_people
from populations.streams import stream

_CHUNK = 50_000  # rows at a time where a yearly grid of hazards is held in memory

# What ends waiting without a deceased donor's kidney; codes index into this.
DEPARTURES: tuple[str, ...] = ("died", "too_sick", "living_donor", "other")


@dataclass(frozen=True)
class World:
    """Candidates, kidneys and every potential outcome of one history. Times are years from start.

    Parameters
    ----------
    candidates : dict of ndarray, each shape (n,)
        In order of listing. The schema's attributes as at listing, ``listed``, ``birth``,
        ``dialysis_start``, ``centre``, ``registration``, ``candidate`` (row number) and
        ``crossmatch_start``: the crossmatch is positive with kidneys whose ``crossmatch`` lies in
        the arc of length cPRA/100 that begins there (positions on a circle of circumference 1).
    departure : ndarray, shape (n,)
        When each would leave the list without a deceased donor's kidney.
    departure_cause : ndarray of int, shape (n,)
        Why: index into ``DEPARTURES``.
    untreated_death : ndarray, shape (n,)
        When each would die without a deceased donor's kidney.
    survival_draw : ndarray, shape (n,)
        Unit-exponential draw behind their survival with any given kidney.
    kidneys : dict of ndarray, each shape (m,)
        ``time`` (ascending), ``donor``, ``blood_type``, ``kdpi`` (percent), ``crossmatch``.
    accepts : ndarray of bool, shape (m, centres)
        Whether each centre would take each kidney.
    """

    parameters: Parameters
    seed: int
    number: int
    years: float
    candidates: dict[str, NDArray[Any]]
    departure: Floats
    departure_cause: NDArray[np.int8]
    untreated_death: Floats
    survival_draw: Floats
    kidneys: dict[str, NDArray[Any]]
    accepts: NDArray[np.bool_]

    def tickets(self, tie_seed: int) -> Floats:
        """The lottery tickets of each kidney, uniform; shape (m, centres asked at most)."""
        shape = (len(self.kidneys["time"]), self.parameters.acceptance.max_centres)
        return stream(self.seed, self.number, f"tickets {tie_seed}").random(shape)

    def lottery_numbers(self, tie_seed: int) -> Floats:
        """The lottery number each candidate has for life, unit exponential; shape (n,)."""
        draws = stream(self.seed, self.number, f"lottery number {tie_seed}")
        return draws.standard_exponential(len(self.candidates["listed"]))

    def log_kdri(self) -> Floats:
        """Log of the unscaled Rao KDRI of each kidney, shape (m,)."""
        return np.log(kdri_from_kdpi(self.kidneys["kdpi"]))

    def digest(self) -> str:
        """Hash of all that no policy can change; equal in every arm of a study."""
        digest = hashlib.sha256()
        for table in (self.candidates, self.kidneys):
            for name in sorted(table):
                digest.update(name.encode() + np.ascontiguousarray(table[name]).tobytes())
        for array in (
            self.departure,
            self.departure_cause,
            self.untreated_death,
            self.survival_draw,
            self.accepts,
        ):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def make_world(parameters: Parameters, seed: int, number: int, years: float) -> World:
    """Draw world ``number`` of a study, ``years`` long.

    A longer world begins with the shorter one: what happens before ``years`` is the same.
    """
    cohorts = [
        _cohort(parameters, seed, number, years, initial=True),
        _cohort(parameters, seed, number, years, initial=False),
    ]
    joined = {name: np.concatenate([c[name] for c in cohorts]) for name in cohorts[0]}
    outcomes: dict[str, Any] = {name: joined.pop(name) for name in _OUTCOMES}
    joined["candidate"] = np.arange(len(joined["listed"]))
    kidneys = _kidneys(parameters, seed, number, years)
    for column in (*joined.values(), *outcomes.values(), *kidneys.values()):
        column.setflags(write=False)  # no policy can change the world, not even by mistake
    accepts = _accepts(parameters, seed, number, kidneys)
    return World(
        parameters=parameters,
        seed=seed,
        number=number,
        years=float(years),
        candidates=joined,
        kidneys=kidneys,
        accepts=accepts,
        **outcomes,
    )


_OUTCOMES = ("departure", "departure_cause", "untreated_death", "survival_draw")


def _poisson_times(rng: np.random.Generator, rate: float, years: float) -> Floats:
    """Times of a Poisson process before ``years``: a longer run continues the shorter one."""
    if rate <= 0:
        return np.empty(0)
    block = max(16, math.ceil(rate))
    times = np.empty(0)
    while len(times) == 0 or times[-1] < years:
        last = times[-1] if len(times) else 0.0
        gaps = rng.standard_exponential(block) / rate
        times = np.concatenate([times, last + np.cumsum(gaps)])
    return times[times < years]


def _cohort(
    p: Parameters, seed: int, number: int, years: float, initial: bool
) -> dict[str, NDArray[Any]]:
    """Those on the list at the start, or those listed later, in order of listing."""
    name = "initial" if initial else "arrival"

    def streams(purpose: str) -> np.random.Generator:
        return stream(seed, number, f"{name} {purpose}")

    if initial:
        waited = p.list.waiting_years
        listed = -draw_histogram(
            streams("waiting years"), p.list.initial, waited.edges, waited.shares
        )
        since = np.zeros(p.list.initial)
    else:
        since = listed = _poisson_times(streams("listing"), p.arrivals.per_year, years)
    people = draw_people(p, streams, since, initial)
    people |= {"listed": listed}
    people |= _potential_outcomes(p, streams, since, people)
    people["age"] = listed - people["birth"]
    people["dialysis_years"] = np.maximum(listed - people["dialysis_start"], 0.0)
    people["epts"] = epts_percent(
        epts_raw(
            people["age"], people["diabetes"], people["prior_transplant"], people["dialysis_years"]
        )
    )
    order = np.argsort(listed, kind="stable")
    return {column: values[order] for column, values in people.items()}


def _potential_outcomes(
    p: Parameters, streams: Any, since: Floats, people: dict[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """When and why each would leave the list, and when each would die, without a kidney."""
    n = len(since)
    draws = {cause: streams(cause).standard_exponential(n) for cause in DEPARTURES}
    after = streams("death after leaving").standard_exponential(n)
    w = p.waiting
    left = np.empty(n)
    cause = np.empty(n, dtype=np.int8)
    death = np.empty(n)
    for start in range(0, n, _CHUNK):
        rows = slice(start, start + _CHUNK)
        here = {name: draw[rows] for name, draw in draws.items()}
        health = Health(
            people["age"][rows],
            np.maximum(since[rows] - people["dialysis_start"][rows], 0.0),
            people["diabetes"][rows],
            people["prior_transplant"][rows],
        )
        grid = hazards.waiting_hazards(health, people["dialysis_start"][rows] - since[rows])
        times = np.stack(
            [
                hazards.time_of_event(grid, _over(here["died"], w.level)),
                hazards.time_of_event(grid, _over(here["too_sick"], w.level * w.too_sick_ratio)),
                _over(here["living_donor"], w.living_donor_per_year),
                _over(here["other"], w.other_per_year),
            ]
        )
        cause[rows] = times.argmin(axis=0)
        left[rows] = times.min(axis=0)
        death[rows] = left[rows] + _survival_after_leaving(
            health, left[rows], cause[rows], after[rows]
        )
    return {
        "departure": since + left,
        "departure_cause": cause,
        "untreated_death": since + death,
        "survival_draw": streams("survival with a kidney").standard_exponential(n),
    }


def _over(draw: Floats, rate: float) -> Floats:
    return draw / rate if rate > 0 else np.full(len(draw), np.inf)


def _survival_after_leaving(
    health: Health, left: Floats, cause: NDArray[np.int8], draw: Floats
) -> Floats:
    """Years lived after leaving the list without a deceased donor's kidney; 0 if by death.

    Too sick: hazard on dialysis times the published ratio of inactive to active candidates (D).
    Living donor: published survival. Other: hazard on dialysis (A).
    """
    age = health.age + np.where(np.isfinite(left), left, 0.0)
    dialysis = hazards.dialysis_hazard(age)
    living = hazards.time_of_event(hazards.living_donor_hazards(health._replace(age=age)), draw)
    return np.select(
        [cause == DEPARTURES.index(name) for name in DEPARTURES],
        [
            np.zeros(len(draw)),
            draw / (dialysis * hazards.INACTIVE_HAZARD_RATIO),
            living,
            draw / dialysis,
        ],
    )


def _kidneys(p: Parameters, seed: int, number: int, years: float) -> dict[str, NDArray[Any]]:
    def streams(purpose: str) -> np.random.Generator:
        return stream(seed, number, f"donor {purpose}")

    donor_times = _poisson_times(streams("time"), p.kidneys.per_year / p.kidneys.per_donor, years)
    donors = len(donor_times)
    of_donor: dict[str, NDArray[Any]] = {
        "time": donor_times,
        "donor": np.arange(donors),
        "blood_type": draw_category(streams("blood type"), donors, p.kidneys.blood_type),
        "kdpi": 100.0 * streams("kdpi").random(donors),  # even by construction of the index
        "crossmatch": streams("crossmatch").random(donors),
        "appeal": streams("appeal").standard_normal(donors),
    }
    gives_two = streams("second kidney").random(donors) < p.kidneys.per_donor - 1.0
    rows = np.repeat(np.arange(donors), 1 + gives_two)
    return {name: column[rows] for name, column in of_donor.items()}


def _accepts(
    p: Parameters, seed: int, number: int, kidneys: dict[str, NDArray[Any]]
) -> NDArray[np.bool_]:
    """Whether each centre would take each kidney: a logit with centre and donor effects."""
    a = p.acceptance
    x = kidneys["kdpi"] / 100.0
    of_kidney = a.intercept + a.slope * x + a.curvature * x**2 + a.kidney_sd * kidneys["appeal"]
    of_centre = a.centre_sd * stream(seed, number, "centre appetite").standard_normal(
        p.centres.count
    )
    draws = stream(seed, number, "acceptance")
    accepts = np.empty((len(x), p.centres.count), dtype=bool)
    for start in range(0, len(x), 4096):
        rows = slice(start, start + 4096)
        logit = of_kidney[rows, None] + of_centre
        uniform = draws.random(logit.shape, dtype=np.float32)
        accepts[rows] = uniform < expit(logit)
    return accepts
