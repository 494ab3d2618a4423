"""What becomes of people with a graft: how long it lasts, when they die, who is listed again."""

import heapq
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from populations.geography import cold_hours
from populations.hazards import cold_time_effect, mismatch_effect
from populations.hla import LOCI, mismatches
from populations.outcomes import graft_course
from populations.streams import pair_uniform, stream
from populations.world import World
from sim.match import Candidates
from sim.record import FATES

LEAST_DELAY = 1.0 / 12.0  # nobody is listed again sooner, so grafts may be worked out in batches


@dataclass
class Return:
    """One row of the record's returns; see ``sim.record.Record``."""

    candidate: int
    listed: float
    exit: float = math.nan
    fate: int = FATES.index("waiting")
    kidney: int = -1
    graft_failure: float = math.nan


class _Transplant(NamedTuple):
    row: int
    kidney: int
    time: float
    offers: int


class _Due(NamedTuple):
    time: float
    row: int
    failed: float
    antibodies: int


class Grafts:
    """Every transplant of a run, worked out many at a time; keeps who comes back, and when.

    Parameters
    ----------
    world : World
    candidates : Candidates
        Columns of the run.
    """

    def __init__(self, world: World, candidates: Candidates) -> None:
        self._world = world
        self._candidates = candidates
        self._waiting: list[_Transplant] = []  # to be worked out
        self._due: list[_Due] = []  # a heap
        self._keys = [
            int(stream(world.seed, world.number, purpose).integers(0, 2**63))
            for purpose in ("survival with a later graft", "failure of a later graft")
        ]
        self.failure = np.full(len(world.survival_draw), np.nan)
        self.death = world.untreated_death.copy()
        self.returns: list[Return] = []
        self._latest: dict[int, Return] = {}
        self._spells: dict[int, int] = {}

    def latest(self, row: int) -> Return | None:
        """The last return to the list of a candidate; None if there was none."""
        return self._latest.get(row)

    def spell(self, row: int) -> int:
        """How often a candidate has come back so far."""
        return self._spells.get(row, 0)

    def transplanted(self, row: int, kidney: int, time: float, offers: int) -> None:
        """Enter a transplant, of a kidney taken at the given offer."""
        self._waiting.append(_Transplant(row, kidney, time, offers))

    def back_by(self, time: float) -> list[_Due]:
        """Who is to be listed again by ``time``, in order; each is told of once."""
        if self._waiting and time - self._waiting[0].time >= LEAST_DELAY:
            self.work_out()
        back = []
        while self._due and self._due[0].time <= time:
            back.append(heapq.heappop(self._due))
        return back

    def listed(self, row: int, time: float, death: float) -> None:
        """Enter that someone is on the list again, and when they would die without a kidney."""
        self._latest[row] = Return(row, time)
        self._spells[row] = self.spell(row) + 1
        self.returns.append(self._latest[row])
        self.death[row] = death

    def work_out(self) -> None:
        """Failure and death of every transplant entered since the last time."""
        if not self._waiting:
            return
        world = self._world
        rows, kidneys, times, offers = map(np.array, zip(*self._waiting, strict=True))
        self._waiting = []
        centre = world.candidates["centre"][rows]
        hours = cold_hours(world.parameters, distances(world, kidneys, rows), offers)
        on_death = cold_time_effect(hours) + world.centre_survival[centre]
        own, donor = world.candidates["hla"][rows], world.kidneys["hla"][kidneys]
        on_graft = on_death + mismatch_effect(*(mismatches(donor, own, at) for at in LOCI))
        failure, death = graft_course(
            self._candidates.health(rows, times),
            self._candidates.log_kdri[kidneys],
            on_death,
            on_graft,
            *self._draws(rows),
        )
        self.death[rows] = times + death
        self._enter_failures(rows, times + failure, donor & ~own)

    def _draws(self, rows: NDArray[np.intp]) -> list[NDArray[np.float64]]:
        draws = [self._world.survival_draw[rows], self._world.graft_draw[rows]]
        for place in np.flatnonzero([row in self._latest for row in rows.tolist()]):
            row = int(rows[place])
            for draw, key in zip(draws, self._keys, strict=True):
                draw[place] = -math.log1p(-pair_uniform(key, row, self.spell(row)))
        return draws

    def _enter_failures(
        self,
        rows: NDArray[np.intp],
        failed: NDArray[np.float64],
        antibodies: NDArray[np.uint64],
    ) -> None:
        again = self._world.parameters.relisting.delay_years
        for row, time, against in zip(
            rows.tolist(), failed.tolist(), antibodies.tolist(), strict=True
        ):
            last = self._latest.get(row)
            if last is None:
                self.failure[row] = time
            else:
                last.graft_failure = time
            back = time + again
            if self._world.relists[row] and back < min(self.death[row], self._world.years):
                heapq.heappush(self._due, _Due(back, row, time, against))

    def table(self) -> pd.DataFrame:
        """The record's returns."""
        columns = list(Return.__annotations__)
        rows = [[getattr(r, name) for name in columns] for r in self.returns]
        table = pd.DataFrame(rows, columns=columns).astype(
            {"candidate": int, "fate": int, "kidney": int}
        )
        table["fate"] = pd.Categorical.from_codes(table["fate"], list(FATES))
        return table


def distances(
    world: World, kidneys: NDArray[np.intp], rows: NDArray[np.intp]
) -> NDArray[np.float64]:
    """From each kidney's hospital to each candidate's centre, nautical miles; shape (n,)."""
    hospital, centre = world.kidneys["hospital"][kidneys], world.candidates["centre"][rows]
    return np.asarray(world.geography.distance_nm[hospital, centre], dtype=np.float64)
