"""One kidney and the candidates it may go to, as a policy sees them."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.protocol import Chances, Kidney
from populations.errors import InputError
from populations.formulae import epts_percent, epts_raw, kdri_from_kdpi
from populations.hazards import Health, life_years_gained
from populations.schema import Columns
from populations.world import World
from sim.store import Mask, Pool, Rows, Subset

Values = Callable[[Columns], Chances]


def discretion_limit(discretion: str) -> int | None:
    """How many of the match run a policy may choose from; None for all.

    Raises
    ------
    InputError
        If it is not ``pair``, ``top:K`` or ``all``.
    """
    if discretion == "all":
        return None
    if discretion == "pair":
        return 2
    kind, _, number = discretion.partition(":")
    if kind == "top" and number.isdecimal() and int(number) >= 1:
        return int(number)
    raise InputError(f"discretion {discretion!r}: expected pair, all, or top:K with K >= 1")


class Candidates:
    """Columns of a world's candidates at any time, and what is constant about them."""

    def __init__(self, world: World) -> None:
        self._columns = world.candidates
        self._log_kdri = world.log_kdri()
        waiting = world.parameters.waiting
        self._waiting_multiplier = waiting.level * (1.0 + waiting.too_sick_ratio)
        self.centre = world.candidates["centre"]
        self.centre_bin = self.centre.astype(np.intp)  # as bincount reads it
        self._constants: dict[int, tuple[Values, Chances]] = {}
        self._ranks: dict[int, NDArray[np.int32]] = {}
        self._at_start: dict[str, NDArray[Any]] = {
            **world.candidates,
            "age": -world.candidates["birth"],
            "dialysis_years": np.maximum(-world.candidates["dialysis_start"], 0.0),
        }

    def column(self, name: str, rows: Rows, time: float, kidney: int) -> NDArray[Any]:
        """A column of ``rows`` at ``time``; ``life_years_gained`` is for this kidney."""
        columns = self._columns
        if name == "age":
            return self._age(rows, time)
        if name == "waiting_years":
            return time - columns["listed"][rows]
        if name == "dialysis_years":
            return self._dialysis_years(rows, time)
        if name == "epts":
            now = self.health(rows, time)
            raw = epts_raw(now.age, now.diabetes, now.prior_transplant, now.dialysis_years)
            return epts_percent(raw)
        if name == "life_years_gained":
            health = self.health(rows, time)
            log_kdri = float(self._log_kdri[kidney])
            return life_years_gained(health, log_kdri, self._waiting_multiplier)
        if name not in columns:
            raise InputError(
                f"a policy asked for column {name!r}: expected one of "
                f"{', '.join([*columns, 'waiting_years', 'life_years_gained'])}"
            )
        return columns[name][rows]

    def at_listing(self, rows: Rows) -> Columns:
        """Every column of ``rows`` as at listing, as a judge of pairs takes them.

        ``life_years_gained`` is from a kidney of median quality (KDPI 50 %; A).
        """
        columns = {name: column[rows] for name, column in self._columns.items()}
        columns["waiting_years"] = np.zeros(len(rows))
        health = Health(*(columns[name] for name in Health._fields))
        median = float(np.log(kdri_from_kdpi(np.array([50.0])))[0])
        columns["life_years_gained"] = life_years_gained(health, median, self._waiting_multiplier)
        return columns

    def health(self, rows: Rows, time: float | NDArray[np.float64]) -> Health:
        """The clinical columns that hazards need, at ``time`` (one, or one per row)."""
        columns = self._columns
        return Health(
            self._age(rows, time),
            self._dialysis_years(rows, time),
            columns["diabetes"][rows],
            columns["prior_transplant"][rows],
        )

    def _age(self, rows: Rows, time: float | NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(time - self._columns["birth"][rows])

    def _dialysis_years(self, rows: Rows, time: float | NDArray[np.float64]) -> NDArray[np.float64]:
        return np.maximum(time - self._columns["dialysis_start"][rows], 0.0)

    def constant(self, function: Values) -> Chances:
        """``function`` of everyone, computed once; shape (all candidates,)."""
        key = id(function)  # the function is kept beside the result, so its id is not reused
        if key not in self._constants:
            self._constants[key] = (function, function(self._at_start))
        return self._constants[key][1]

    def ranks(self, function: Values) -> NDArray[np.int32]:
        """Rank of everyone's constant from 1, equal for equals; shape (all candidates,)."""
        values = self.constant(function)
        if id(function) not in self._ranks:
            _, inverse = np.unique(values, return_inverse=True)
            self._ranks[id(function)] = (inverse + 1).astype(np.int32)
        return self._ranks[id(function)]


class Match:
    """The match run that a policy is shown; see ``policies.protocol.MatchRun``.

    Nothing is gathered before it is asked for: most rules need one pass over the slots.
    """

    def __init__(
        self, candidates: Candidates, pool: Pool, mask: Mask, kidney: Kidney, time: float
    ) -> None:
        self._candidates = candidates
        self.pool = pool
        self.mask = mask
        self.kidney = kidney
        self.time = time
        self._count = int(np.count_nonzero(mask))

    def __len__(self) -> int:
        return self._count

    @cached_property
    def slots(self) -> Rows:
        """Slots of the n candidates, ascending."""
        slots = np.flatnonzero(self.mask)
        slots.setflags(write=False)
        return slots

    @cached_property
    def rows(self) -> Rows:
        """Rows of the n candidates, ascending."""
        return self.pool.rows[self.slots]

    def __getitem__(self, column: str) -> NDArray[Any]:
        """A column, shape (n,), longest listed first."""
        return self._candidates.column(column, self.rows, self.time, self.kidney.number)

    def constant(self, function: Values) -> Chances:
        """``function`` of the candidates, computed once per run; shape (n,)."""
        return self.pool.column(self._candidates.constant(function))[self.slots]

    def masked(self, function: Values) -> Chances:
        """``constant`` in every slot, 0 for whoever is not in the run; shape (slots,)."""
        values = self.mask.astype(np.float64)
        values *= self.pool.column(self._candidates.constant(function))
        return values

    def first(self) -> int:
        """Slot of the candidate listed longest ago."""
        return int(self.mask.argmax())

    def best(self, function: Values) -> Rows:
        """Slots of the highest ``constant``, ascending."""
        ranks = self.mask.astype(np.int32)
        ranks *= self.pool.column(self._candidates.ranks(function))
        best = ranks.argmax()
        ties = ranks == ranks[best]
        return np.flatnonzero(ties) if np.count_nonzero(ties) > 1 else np.array([best])

    @property
    def centres(self) -> NDArray[np.int16]:
        """Centre of every slot."""
        return self.pool.column(self._candidates.centre)

    @property
    def centre_bins(self) -> NDArray[np.intp]:
        """Centre of every slot again, in the type that is fastest to count by."""
        return self.pool.column(self._candidates.centre_bin)

    def without(self, centres: list[int]) -> "Match":
        """The run without the candidates of some centres."""
        mask, centre_of = self.mask, self.centres
        for centre in centres:
            mask = mask & (centre_of != centre)
        return Match(self._candidates, self.pool, mask, self.kidney, self.time)

    def head(self, limit: int | None) -> "Match":
        """The run's first ``limit`` candidates; all if None."""
        if limit is None or limit >= len(self):
            return self
        near = np.flatnonzero(self.mask[: 64 * limit])
        slots = near if len(near) >= limit else self.slots
        pool = Subset(self.pool.rows[slots[:limit]])
        everyone = np.ones(limit, dtype=bool)
        return Match(self._candidates, pool, everyone, self.kidney, self.time)

    def position(self, row: int) -> int:
        """How many of the run were listed before ``row``."""
        return int(np.count_nonzero(self.mask[: np.searchsorted(self.pool.rows, row)]))
