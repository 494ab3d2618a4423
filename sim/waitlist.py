"""The waitlist as a Mesa model in continuous time; one time unit is one year."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

import mesa
import numpy as np
import pandas as pd
from mesa.time import Schedule
from numpy.typing import NDArray

from policies.protocol import Judge, Kidney, Policy
from populations.hazards import deceased_donor_hazards, time_of_event
from populations.schema import SCHEMA
from populations.world import DEPARTURES, World
from sim.agents import Centre, Patient
from sim.allocator import Allocator, Decision
from sim.detail import COMPARED, Detail, claims
from sim.lots import lots_of
from sim.match import Candidates
from sim.record import FATES, Record
from sim.store import BloodGroup

SNAPSHOT_YEARS = 0.25
_WAITING, _TRANSPLANTED = FATES.index("waiting"), FATES.index("transplanted")
_NOT_LISTED = -1
_FATE_OF_DEPARTURE = np.array([FATES.index(cause) for cause in DEPARTURES], dtype=np.int8)


class Waitlist(mesa.Model):
    """One world run forward under one policy.

    Between two kidneys nothing is stepped: who waits at a time follows from the world's listings
    and departures and from the transplants so far. ``run_until(world.years)``, then ``record()``.

    Parameters
    ----------
    world : World
        Patients, kidneys and potential outcomes, the same for every policy.
    policy : Policy
        Who decides.
    discretion : str
        ``all`` eligible candidates, ``top:K`` of the match run, or ``pair`` (its first two).
    tie_seed : int
        Which set of the kidneys' lottery tickets is used.
    detail : Detail, optional
        Keep whole-list figures of every decision, and the comparison with a reference policy.
    lottery : {"fresh", "persistent"}
        Whether lots are drawn anew for every kidney, or every candidate has one lottery number for
        life. The chances at a kidney are the same only before anything is known of the numbers.

    Raises
    ------
    InputError
        If ``discretion`` or ``lottery`` is none of these.
    """

    def __init__(
        self,
        world: World,
        policy: Policy,
        discretion: str = "all",
        tie_seed: int = 0,
        detail: Detail | None = None,
        lottery: str = "fresh",
    ) -> None:
        super().__init__(rng=world.seed)
        self.world = world
        self.policy = policy
        self.discretion = discretion
        self.tie_seed = tie_seed
        self.lottery = lottery
        n = len(world.candidates["listed"])
        self.candidates = Candidates(world)
        self.groups = [BloodGroup(world.candidates) for _ in SCHEMA["blood_type"].levels]
        self.fate = np.full(n, _NOT_LISTED, dtype=np.int8)
        self.left = np.full(n, world.years)
        self.kidney_of = np.full(n, -1, dtype=np.int64)
        self._blood_type = world.candidates["blood_type"]
        self._departures = np.argsort(world.departure, kind="stable")
        self._listed = self._departed = self._next_kidney = 0
        self._patients: dict[int, Patient] = {}
        centres = [Centre(self, number) for number in range(world.accepts.shape[1])]
        lots = lots_of(world, tie_seed, lottery)
        self.allocator = Allocator(
            self, policy, centres, world.tickets(tie_seed), lots, discretion, detail
        )
        self.datacollector = mesa.DataCollector(
            model_reporters={
                "time": "time",
                "listed": lambda model: int(np.count_nonzero(model.fate != _NOT_LISTED)),
                **{name: _counter(code) for code, name in enumerate(FATES)},
            }
        )
        self._advance_to(0.0)
        self.datacollector.collect(self)
        self.schedule_recurring(
            self._snapshot, Schedule(interval=SNAPSHOT_YEARS, start=SNAPSHOT_YEARS)
        )
        self._schedule_donor()

    def _schedule_donor(self) -> None:
        times = self.world.kidneys["time"]
        if self._next_kidney < len(times):
            self.schedule_event(self._donor, at=float(times[self._next_kidney]))

    def _donor(self) -> None:
        """Allocate the kidneys of one donor, one after the other."""
        kidneys = self.world.kidneys
        self._advance_to(self.time)
        donor = kidneys["donor"][self._next_kidney]
        while self._next_kidney < len(kidneys["time"]) and (
            kidneys["donor"][self._next_kidney] == donor
        ):
            number = self._next_kidney
            kidney = Kidney(
                number, int(kidneys["blood_type"][number]), float(kidneys["kdpi"][number])
            )
            row = self.allocator.allocate(kidney)
            if row >= 0:
                self.kidney_of[row] = number
                self._leave(row, self.time, _TRANSPLANTED)
            self._next_kidney += 1
        self._schedule_donor()

    def _snapshot(self) -> None:
        self._advance_to(self.time)
        self.datacollector.collect(self)

    def _advance_to(self, time: float) -> None:
        """List everyone listed by ``time``; take off everyone who has left by then."""
        listed = self.world.candidates["listed"]
        until = int(np.searchsorted(listed, time, side="right"))
        if until > self._listed:
            rows = np.arange(self._listed, until)
            blood_types = self._blood_type[rows]
            for code, group in enumerate(self.groups):
                of_type = rows[blood_types == code]
                if len(of_type):
                    group.add(of_type)
            self.fate[rows] = _WAITING
            self._patients.update((row, Patient(self, row)) for row in rows.tolist())
            self._listed = until
        departure, order = self.world.departure, self._departures
        while self._departed < len(order) and departure[order[self._departed]] <= time:
            row = int(order[self._departed])
            if self.fate[row] == _WAITING:
                cause = int(_FATE_OF_DEPARTURE[self.world.departure_cause[row]])
                self._leave(row, float(departure[row]), cause)
            self._departed += 1

    def _leave(self, row: int, time: float, fate: int) -> None:
        self.fate[row] = fate
        self.left[row] = time
        self.groups[self._blood_type[row]].remove(row)
        self._patients.pop(row).remove()

    def value(self, column: str, row: int) -> float:
        """One candidate's column now; what ``Patient`` attributes read."""
        return float(self.candidates.column(column, np.array([row]), self.time, -1)[0])

    def record(self) -> Record:
        """What the run leaves, up to now."""
        self._advance_to(self.time)
        seen = np.flatnonzero(self.fate != _NOT_LISTED)
        tally = self.allocator.tally
        return Record(
            candidates=self._candidate_table(seen),
            fates=self._fates(seen),
            decisions=self._decision_table(),
            offers=pd.DataFrame(
                self.allocator.offers,
                columns=["kidney", "offer", "candidate", "centre", "accepted"],
            ),
            snapshots=self.datacollector.get_model_vars_dataframe(),
            meta=self._meta(),
            **({"ties": tally.ties()} if tally else {}),
        )

    def _fates(self, seen: NDArray[np.intp]) -> pd.DataFrame:
        world = self.world
        death = world.untreated_death.copy()
        recipients = np.flatnonzero(self.kidney_of >= 0)
        at = self.left[recipients]
        grid = deceased_donor_hazards(
            self.candidates.health(recipients, at),
            world.log_kdri()[self.kidney_of[recipients]],
        )
        death[recipients] = at + time_of_event(grid, world.survival_draw[recipients])
        waiting = self.fate[seen] == _WAITING
        fates = pd.DataFrame(
            {
                "candidate": seen,
                "entry": np.maximum(world.candidates["listed"][seen], 0.0),
                "exit": np.where(waiting, self.time, self.left[seen]),
                "fate": pd.Categorical.from_codes(self.fate[seen], list(FATES)),
                "kidney": self.kidney_of[seen],
                "death": death[seen],
                "untreated_death": world.untreated_death[seen],
            }
        )
        tally = self.allocator.tally
        return fates.assign(**tally.fates(seen)) if tally else fates

    def _candidate_table(self, seen: NDArray[np.intp]) -> pd.DataFrame:
        columns: dict[str, Any] = {
            name: self.world.candidates[name][seen] for name in ("candidate", "listed", "centre")
        }
        for name, attribute in SCHEMA.items():
            values = self.world.candidates[name][seen]
            columns[name] = (
                pd.Categorical.from_codes(values, list(attribute.levels))
                if attribute.levels
                else values
            )
        detail = self.allocator.detail
        if detail and isinstance(detail.reference, Judge):
            columns["claim"] = claims(detail.reference, self.world, self.candidates)[seen]
        return pd.DataFrame(columns)

    def _decision_table(self) -> pd.DataFrame:
        table = pd.DataFrame(self.allocator.decisions, columns=list(Decision._fields))
        levels = list(SCHEMA["blood_type"].levels)
        table["blood_type"] = pd.Categorical.from_codes(table["blood_type"].astype(int), levels)
        table["outcome"] = table["outcome"].astype("category")
        return (
            table
            if self.allocator.detail
            else table.drop(columns=["entropy", "entropy_gap", *COMPARED])
        )

    def _meta(self) -> dict[str, Any]:
        return {
            "policy": self.policy.name,
            "population": self.world.parameters.model_dump(),
            "seed": self.world.seed,
            "world": self.world.number,
            "tie_seed": self.tie_seed,
            "lottery": self.lottery,
            "years": self.time,
            "discretion": self.discretion,
            "detail": "full" if self.allocator.detail else "summary",
            "exogenous": self.world.digest(),
            "versions": {name: _version(name) for name in ("equipoise", "mesa", "numpy")},
        }


def _counter(code: int) -> Any:
    return lambda model: int(np.count_nonzero(model.fate == code))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "source"


def simulate(
    world: World,
    policy: Policy,
    discretion: str = "all",
    tie_seed: int = 0,
    detail: Detail | None = None,
    lottery: str = "fresh",
) -> Record:
    """Run one world to its end under one policy and return its record."""
    model = Waitlist(world, policy, discretion, tie_seed, detail, lottery)
    model.run_until(world.years)
    return model.record()
