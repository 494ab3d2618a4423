"""A world: everything that does not depend on the policy, drawn before any decision."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from populations.bring import check_covered, given_candidates
from populations.donors import draw_kidneys
from populations.formulae import epts_percent, epts_raw, kdri_from_kdpi
from populations.geography import Geography, make_geography
from populations.outcomes import DEPARTURES, draw_outcomes, waiting_effect
from populations.parameters import TICKETS, Parameters
from populations.people import Floats, Streams, draw_histogram, draw_people, poisson_times
from populations.status import StatusPath, draw_status, status_events
from populations.streams import stream

__all__ = ["DEPARTURES", "TICKETS", "World", "make_world"]


_TICKET_BLOCK = 1024  # kidneys


@dataclass(frozen=True)
class World:
    """Candidates, kidneys and every potential outcome of one history. Times are years from start.

    Parameters
    ----------
    candidates : dict of ndarray, each shape (n,)
        In order of listing. The schema's attributes as at listing, ``listed``, ``birth``,
        ``dialysis_start``, ``centre``, ``registration``, ``candidate`` (row number), ``hla`` and
        ``unacceptable`` (antigens, each a bit of a uint64) and ``willingness`` (standard normal:
        to take an offered kidney).
    departure : ndarray, shape (n,)
        When each would leave the list without a deceased donor's kidney.
    departure_cause : ndarray of int, shape (n,)
        Why: index into ``DEPARTURES``.
    untreated_death : ndarray, shape (n,)
        When each would die without a deceased donor's kidney.
    survival_draw, graft_draw : ndarray, shape (n,)
        Unit-exponential draws behind their survival and their graft's with any given kidney.
    relists : ndarray of bool, shape (n,)
        Whether each would come back to the list if a graft failed.
    active_at_entry : ndarray of bool, shape (n,)
        Status at listing; of those on the list at the start, then.
    status_time, status_row, status_active : ndarray, shape (k,)
        Changes of status, ascending in time: when, whose and to what. Those after entry, before
        ``departure`` and before the end of the run.
    kidneys : dict of ndarray, each shape (m,)
        As ``populations.donors.draw_kidneys`` describes them.
    geography : Geography
        Where centres and donor hospitals are.
    centre_acceptance : ndarray, shape (C,)
        Effect of each centre on the logit of acceptance.
    centre_waiting, centre_survival : ndarray, shape (C,)
        Log hazards of death at each centre: on its list, and after a transplant there.
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
    graft_draw: Floats
    relists: NDArray[np.bool_]
    active_at_entry: NDArray[np.bool_]
    status_time: Floats
    status_row: NDArray[np.int64]
    status_active: NDArray[np.bool_]
    kidneys: dict[str, NDArray[Any]]
    geography: Geography
    centre_acceptance: Floats
    centre_waiting: Floats
    centre_survival: Floats

    def tickets(self, tie_seed: int) -> Iterator[list[float]]:
        """The lottery tickets of each kidney in turn: ``TICKETS``, uniform, one for each offer."""
        draws = stream(self.seed, self.number, f"tickets {tie_seed}")
        left = len(self.kidneys["time"])
        while left > 0:  # all at once they would take 160 MB in ten years of a country
            block = min(left, _TICKET_BLOCK)
            yield from draws.random((block, TICKETS)).tolist()
            left -= block

    def lottery_numbers(self, tie_seed: int) -> Floats:
        """The lottery number each candidate has for life, unit exponential; shape (n,)."""
        draws = stream(self.seed, self.number, f"lottery number {tie_seed}")
        return draws.standard_exponential(len(self.candidates["listed"]))

    def log_kdri(self) -> Floats:
        """Log of the unscaled Rao KDRI of each kidney, shape (m,)."""
        return np.log(kdri_from_kdpi(self.kidneys["kdpi"]))

    def arrays(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Every array of the world with its name, as in ``candidates.age``."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Geography):
                value = {inner.name: getattr(value, inner.name) for inner in fields(value)}
            if isinstance(value, dict):
                for name in sorted(value):
                    yield f"{field.name}.{name}", value[name]
            elif isinstance(value, np.ndarray):
                yield field.name, value

    def digest(self) -> str:
        """Hash of all that no policy can change; equal in every arm of a study."""
        digest = hashlib.sha256()
        for name, array in self.arrays():
            digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def make_world(parameters: Parameters, seed: int, number: int, years: float) -> World:
    """Draw world ``number`` of a study, ``years`` long.

    A longer world begins with the shorter one: what happens before ``years`` is the same.

    Raises
    ------
    InputError
        If a file of the population's data cannot be used, or ends before the run does.
    """
    check_covered(parameters, years)
    centres = _centre_effects(parameters, seed, number)
    cohorts = [
        _cohort(parameters, seed, number, years, centres["centre_waiting"], initial)
        for initial in (True, False)
    ]
    joined = {name: np.concatenate([c[name] for c in cohorts]) for name in cohorts[0]}
    joined["candidate"] = np.arange(len(joined["listed"]))
    outcomes: dict[str, Any] = {name: joined.pop(name) for name in _OUTCOMES}
    path = StatusPath(outcomes["active_at_entry"], joined.pop("status_changes"))
    entry = np.maximum(joined["listed"], 0.0)
    events = status_events(path, entry, np.minimum(outcomes["departure"], years))
    world = World(
        parameters=parameters,
        seed=seed,
        number=number,
        years=float(years),
        candidates=joined,
        kidneys=draw_kidneys(parameters, seed, number, years),
        geography=make_geography(parameters, stream(seed, number, "geography")),
        status_time=events.time,
        status_row=events.row,
        status_active=events.active,
        **outcomes,
        **centres,
    )
    for _, array in world.arrays():
        array.setflags(write=False)  # no policy can change the world, not even by mistake
    return world


_OUTCOMES = (
    "departure",
    "departure_cause",
    "untreated_death",
    "survival_draw",
    "graft_draw",
    "relists",
    "active_at_entry",
)


def _centre_effects(p: Parameters, seed: int, number: int) -> dict[str, Any]:
    """Effects of each centre: on acceptance, and on two log hazards that go together."""

    def normal(purpose: str) -> Floats:
        return stream(seed, number, f"centre {purpose}").standard_normal(p.centres.count)

    waiting, rho = normal("waiting"), p.centres.correlation
    survival = rho * waiting + np.sqrt(1.0 - rho**2) * normal("survival")
    return {
        "centre_acceptance": p.acceptance.centre_sd * normal("appetite"),
        # Less half the variance: the mean centre's hazard is the published one.
        "centre_waiting": p.centres.waiting_sd * waiting - p.centres.waiting_sd**2 / 2.0,
        "centre_survival": p.centres.survival_sd * survival - p.centres.survival_sd**2 / 2.0,
    }


def _cohort(
    p: Parameters, seed: int, number: int, years: float, centre_waiting: Floats, initial: bool
) -> dict[str, NDArray[Any]]:
    """Those on the list at the start, or those listed later, in order of listing."""
    name = "initial" if initial else "arrival"

    def streams(purpose: str) -> np.random.Generator:
        return stream(seed, number, f"{name} {purpose}")

    listed, given = given_candidates(p, streams, years, initial) or (
        _listed(p, streams, years, initial),
        {},
    )
    since = np.maximum(listed, 0.0)
    people = draw_people(p, streams, since, since - listed, initial, given)
    status = draw_status(p, streams, since - listed, initial)
    effect = waiting_effect(p, centre_waiting, people["centre"], people["race"])
    people |= draw_outcomes(p, streams, since, people, status, effect)
    people |= {
        "listed": listed,
        "active_at_entry": status.active,
        "status_changes": status.changes,
        "age": listed - people["birth"],
        "dialysis_years": np.maximum(listed - people["dialysis_start"], 0.0),
    }
    people["epts"] = epts_percent(
        epts_raw(
            people["age"], people["diabetes"], people["prior_transplant"], people["dialysis_years"]
        )
    )
    order = np.argsort(listed, kind="stable")
    return {column: values[order] for column, values in people.items()}


def _listed(p: Parameters, streams: Streams, years: float, initial: bool) -> Floats:
    """When synthetic candidates are listed."""
    if initial:
        waited = p.list.waiting_years
        return -draw_histogram(
            streams("waiting years"), p.list.initial, waited.edges, waited.shares
        )
    return poisson_times(streams("listing"), p.arrivals.per_year, years)
