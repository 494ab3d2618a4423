"""The waitlist as a Mesa model in continuous time; one time unit is one year."""

import heapq
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import mesa
import numpy as np
import pandas as pd
from mesa.time import Schedule
from numpy.typing import NDArray

from policies.protocol import Judge, Kidney, Policy
from populations.acceptance import Acceptance
from populations.geography import LEVELS, cold_hours
from populations.hla import mismatches
from populations.outcomes import return_departure, waiting_effect
from populations.schema import SCHEMA
from populations.world import DEPARTURES, World
from sim.agents import Centre, Patient
from sim.allocator import Allocator, Decision
from sim.detail import COMPARED, Detail, claims
from sim.grafts import Grafts, distances
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
        self.acceptance = Acceptance(world)
        self.grafts = Grafts(world, self.candidates)
        unacceptable = self.candidates.unacceptable
        self.groups = [BloodGroup(unacceptable) for _ in SCHEMA["blood_type"].levels]
        self.fate = np.full(n, _NOT_LISTED, dtype=np.int8)  # of first registrations
        self.left = np.full(n, world.years)
        self.kidney_of = np.full(n, -1, dtype=np.int64)
        self.counts = dict.fromkeys(("listed", *FATES), 0)  # registrations, returns included
        self._blood_type = world.candidates["blood_type"]
        self._departures = np.argsort(world.departure, kind="stable")
        self._listed = self._departed = self._changed = self._next_kidney = 0
        # A heap: when they leave, row, which return it is, fate.
        self._returned: list[tuple[float, int, int, int]] = []
        self._patients: dict[int, Patient] = {}
        centres = [Centre(self, number) for number in range(len(world.centre_acceptance))]
        lots = lots_of(world, tie_seed, lottery)
        self.allocator = Allocator(
            self, policy, centres, world.tickets(tie_seed), lots, discretion, detail
        )
        self.datacollector = mesa.DataCollector(
            model_reporters={
                "time": "time",
                **{name: _counter(name) for name in self.counts},
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
                number,
                int(kidneys["blood_type"][number]),
                float(kidneys["kdpi"][number]),
                float(kidneys["donor_age"][number]),
            )
            row = self.allocator.allocate(kidney)
            if row >= 0:
                self._leave(row, self.time, _TRANSPLANTED, number)
                offers = self.allocator.decisions[-1].offers
                self.grafts.transplanted(row, number, self.time, offers)
            self._next_kidney += 1
        self._schedule_donor()

    def _snapshot(self) -> None:
        self._advance_to(self.time)
        self.datacollector.collect(self)

    def _advance_to(self, time: float) -> None:
        """The list as it is at ``time``: who has come, who has left, who is active, who is back."""
        for back in self.grafts.back_by(time):
            self._list_new(back.time)  # who was listed before them stands before them
            self._list_again(back.row, back.time, back.failed, back.antibodies)
        self._list_new(time)
        departure, order = self.world.departure, self._departures
        while self._departed < len(order) and departure[order[self._departed]] <= time:
            row = int(order[self._departed])
            if self.fate[row] == _WAITING:
                cause = int(_FATE_OF_DEPARTURE[self.world.departure_cause[row]])
                self._leave(row, float(departure[row]), cause)
            self._departed += 1
        self._change_status(time)
        while self._returned and self._returned[0][0] <= time:
            left, row, spell, cause = heapq.heappop(self._returned)
            if row in self._patients and self.grafts.spell(row) == spell:
                self._leave(row, left, cause)

    def _list_new(self, time: float) -> None:
        listed = self.world.candidates["listed"]
        until = int(np.searchsorted(listed, time, side="right"))
        if until == self._listed:
            return
        rows = np.arange(self._listed, until)
        blood_types = self._blood_type[rows]
        for code, group in enumerate(self.groups):
            of_type = rows[blood_types == code]
            if len(of_type):
                group.add(of_type, self.world.active_at_entry[of_type])
        self.fate[rows] = _WAITING
        self._patients.update((row, Patient(self, row)) for row in rows.tolist())
        self.counts["listed"] += len(rows)
        self.counts["waiting"] += len(rows)
        self._listed = until

    def _change_status(self, time: float) -> None:
        """Changes of status since the last time, of whoever still waits on first registration."""
        world = self.world
        until = int(np.searchsorted(world.status_time, time, side="right"))
        changes = slice(self._changed, until)
        rows, active = world.status_row[changes].tolist(), world.status_active[changes].tolist()
        for row, status in zip(rows, active, strict=True):
            if self.fate[row] == _WAITING:
                self.groups[self._blood_type[row]].set_active(row, status)
        self._changed = until

    def _list_again(self, row: int, time: float, failed: float, antibodies: int) -> None:
        """Someone whose graft failed comes back, active, with antibodies against what it bore."""
        self.candidates.back(row, time, failed, antibodies)
        spell = self.grafts.spell(row) + 1
        health = self.candidates.health(np.array([row]), time)
        world = self.world
        one = slice(row, row + 1)
        centre, race = world.candidates["centre"][one], world.candidates["race"][one]
        effect = waiting_effect(world.parameters, world.centre_waiting, centre, race)
        years, cause, death = return_departure(
            world.parameters, world.seed, world.number, row, spell, health, float(effect[0])
        )
        self.grafts.listed(row, time, time + death)
        left_for = int(_FATE_OF_DEPARTURE[cause])
        heapq.heappush(self._returned, (time + years, row, spell, left_for))
        self.groups[self._blood_type[row]].add(np.array([row]), np.ones(1, dtype=bool))
        self._patients[row] = Patient(self, row)
        self.counts["listed"] += 1
        self.counts["waiting"] += 1

    def _leave(self, row: int, time: float, fate: int, kidney: int = -1) -> None:
        latest = self.grafts.latest(row)
        if latest:
            latest.exit, latest.fate, latest.kidney = time, fate, kidney
        else:
            self.fate[row], self.left[row], self.kidney_of[row] = fate, time, kidney
        self.counts["waiting"] -= 1
        self.counts[FATES[fate]] += 1
        self.groups[self._blood_type[row]].remove(row)
        self._patients.pop(row).remove()

    def value(self, column: str, row: int) -> float:
        """One candidate's column now; what ``Patient`` attributes read."""
        return float(self.candidates.column(column, np.array([row]), self.time, -1)[0])

    def record(self) -> Record:
        """What the run leaves, up to now."""
        self._advance_to(self.time)
        self.grafts.work_out()
        seen = np.flatnonzero(self.fate != _NOT_LISTED)
        tally = self.allocator.tally
        returns = self.grafts.table()
        returns["exit"] = returns["exit"].fillna(self.time)
        return Record(
            candidates=self._candidate_table(seen),
            fates=self._fates(seen),
            decisions=self._decision_table(),
            offers=self._offer_table(),
            snapshots=self.datacollector.get_model_vars_dataframe(),
            returns=returns,
            meta=self._meta(),
            **({"ties": tally.ties()} if tally else {}),
        )

    def _fates(self, seen: NDArray[np.intp]) -> pd.DataFrame:
        world = self.world
        waiting = self.fate[seen] == _WAITING
        entry = np.maximum(world.candidates["listed"][seen], 0.0)
        leaving = np.where(waiting, self.time, self.left[seen])
        active_years, inactive = self._statuses(seen, entry, leaving)
        fates = pd.DataFrame(
            {
                "candidate": seen,
                "entry": entry,
                "exit": leaving,
                "fate": pd.Categorical.from_codes(self.fate[seen], list(FATES)),
                "kidney": self.kidney_of[seen],
                "death": self.grafts.death[seen],
                "untreated_death": world.untreated_death[seen],
                "graft_failure": self.grafts.failure[seen],
                "active_years": active_years,
                "inactive": inactive,
            }
        )
        tally = self.allocator.tally
        return fates.assign(**tally.fates(seen)) if tally else fates

    def _statuses(
        self, seen: NDArray[np.intp], entry: NDArray[np.float64], leaving: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Years with active status, and whether inactive in the end, of first registrations."""
        world = self.world
        until = np.zeros(len(self.fate))
        until[seen] = leaving
        rows, times = world.status_row, world.status_time
        change = np.where(world.status_active, 1.0, -1.0) * (times < until[rows])
        active = world.active_at_entry + np.bincount(rows, change, len(until))
        added = np.bincount(rows, change * (until[rows] - times), len(until))
        years = world.active_at_entry[seen] * (leaving - entry) + added[seen]
        return years, active[seen] < 0.5

    def _candidate_table(self, seen: NDArray[np.intp]) -> pd.DataFrame:
        columns: dict[str, Any] = {
            name: self.world.candidates[name][seen]
            for name in ("candidate", "listed", "centre", "dialysis_start")
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
            columns["claim"] = claims(detail.reference, self.world, Candidates(self.world))[seen]
        return pd.DataFrame(columns)

    def _decision_table(self) -> pd.DataFrame:
        world = self.world
        table = pd.DataFrame(self.allocator.decisions, columns=list(Decision._fields))
        levels = list(SCHEMA["blood_type"].levels)
        table["blood_type"] = pd.Categorical.from_codes(table["blood_type"].astype(int), levels)
        table["outcome"] = table["outcome"].astype("category")
        kidneys = table["kidney"].to_numpy(dtype=int)
        table["donor_age"] = world.kidneys["donor_age"][kidneys]
        used = table["candidate"].to_numpy() >= 0
        kidneys, rows = kidneys[used], table["candidate"].to_numpy(dtype=int)[used]
        distance = distances(world, kidneys, rows)
        at = world.kidneys["hospital"][kidneys], world.candidates["centre"][rows]
        offers = table["offers"].to_numpy()[used]
        donor, own = world.kidneys["hla"][kidneys], world.candidates["hla"][rows]
        table.loc[used, "distance_nm"] = distance
        table.loc[used, "cold_hours"] = cold_hours(world.parameters, distance, offers)
        table.loc[used, "mismatches"] = mismatches(donor, own, None).astype(float)
        level = np.full(len(used), -1)
        level[used] = world.geography.level[at]
        table["level"] = pd.Categorical.from_codes(level, list(LEVELS))
        return (
            table
            if self.allocator.detail
            else table.drop(columns=["entropy", "entropy_gap", *COMPARED])
        )

    def _offer_table(self) -> pd.DataFrame:
        decisions = self.allocator.decisions
        offers = np.array([d.offers for d in decisions], dtype=np.int64)
        candidate = np.array(self.allocator.offered, dtype=np.int32)
        start = np.cumsum(offers) - offers
        accepted = np.zeros(len(candidate), dtype=bool)
        taken = np.array([d.outcome == "transplanted" for d in decisions], dtype=bool)
        accepted[(start + offers - 1)[taken]] = True
        return pd.DataFrame(
            {
                "kidney": np.repeat([d.kidney for d in decisions], offers).astype(np.int32),
                "offer": (np.arange(len(candidate)) - np.repeat(start, offers)).astype(np.int16),
                "candidate": candidate,
                "centre": self.world.candidates["centre"][candidate],
                "accepted": accepted,
            }
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


def _counter(name: str) -> Any:
    return lambda model: model.counts[name]


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
