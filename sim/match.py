"""One kidney and the candidates it may go to, as a policy sees them."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.protocol import FURTHER, Chances, Kidney
from populations.errors import InputError
from populations.formulae import epts_percent, epts_raw, kdri_from_kdpi
from populations.hazards import Health, life_years_gained
from populations.hla import LOCI, Locus, cpra, mismatches
from populations.schema import Columns
from populations.world import World
from sim.store import Mask, Pool, Rows, Subset

Values = Callable[[Columns], Chances]
Gather = Callable[[NDArray[Any]], NDArray[Any]]
_RETURN_CHANGES = ("listed", "dialysis_start", "prior_transplant", "unacceptable", "cpra", "epts")
_MISMATCHES: dict[str, Locus | None] = {
    "mismatches": None,
    **{f"mismatches_{locus}": locus for locus in LOCI},
}


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
    """Columns of a world's candidates at any time, and what is constant about them.

    The world's own columns are never written to; those that change for people who come back to the
    list are copies.
    """

    def __init__(self, world: World) -> None:
        n = len(world.candidates["listed"])
        self._columns: dict[str, NDArray[Any]] = {
            **world.candidates,
            **{name: world.candidates[name].copy() for name in _RETURN_CHANGES},
            "returned": np.zeros(n, dtype=np.int8),
        }
        self._kidneys = world.kidneys
        self._geography = world.geography
        self.log_kdri = world.log_kdri()
        waiting = world.parameters.waiting
        self._waiting_multiplier = waiting.level * (1.0 + waiting.too_sick_ratio)
        self.unacceptable = self._columns["unacceptable"]
        self.listed = self._columns["listed"]
        self._constants: dict[int, tuple[Values, Chances]] = {}
        self._at_start: dict[str, NDArray[Any]] = {
            **self._columns,
            "age": -world.candidates["birth"],
            "dialysis_years": np.maximum(-world.candidates["dialysis_start"], 0.0),
        }

    def column(self, name: str, rows: Rows, time: float, kidney: int) -> NDArray[Any]:
        """A column of ``rows`` at ``time``; what concerns a kidney is about this one."""
        return self.gathered(name, lambda values: values[rows], time, kidney)

    def gathered(self, name: str, gather: Gather, time: float, kidney: int) -> NDArray[Any]:
        """The same of those whom ``gather`` takes from a column of everybody."""
        columns = self._columns
        if name == "age":
            return np.asarray(time - gather(columns["birth"]))
        if name == "waiting_years":
            return time - gather(columns["listed"])
        if name == "dialysis_years":
            return np.maximum(time - gather(columns["dialysis_start"]), 0.0)
        if name == "epts":
            now = self._health(gather, time)
            raw = epts_raw(now.age, now.diabetes, now.prior_transplant, now.dialysis_years)
            return epts_percent(raw)
        if name == "life_years_gained":
            log_kdri = float(self.log_kdri[kidney])
            return life_years_gained(self._health(gather, time), log_kdri, self._waiting_multiplier)
        if name in ("level", "distance_nm"):
            from_hospital = getattr(self._geography, name)[self._kidneys["hospital"][kidney]]
            return np.asarray(from_hospital[gather(columns["centre"])])
        if name in _MISMATCHES:
            donor = int(self._kidneys["hla"][kidney])
            return mismatches(donor, gather(columns["hla"]), _MISMATCHES[name])
        if name not in columns:
            computed = ["waiting_years", "life_years_gained", "level", "distance_nm", *_MISMATCHES]
            raise InputError(
                f"a policy asked for column {name!r}: expected one of "
                f"{', '.join([*columns, *computed])}"
            )
        return gather(columns[name])

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
        return self._health(lambda values: values[rows], time)

    def _health(self, gather: Gather, time: float | NDArray[np.float64]) -> Health:
        columns = self._columns
        return Health(
            np.asarray(time - gather(columns["birth"])),
            np.maximum(time - gather(columns["dialysis_start"]), 0.0),
            gather(columns["diabetes"]),
            gather(columns["prior_transplant"]),
        )

    def constant(self, function: Values) -> Chances:
        """``function`` of everyone, computed once; shape (all candidates,)."""
        key = id(function)  # the function is kept beside the result, so its id is not reused
        if key not in self._constants:
            values = np.array(function(self._at_start), dtype=np.float64)
            self._constants[key] = (function, values)
        return self._constants[key][1]

    def back(self, row: int, listed: float, dialysis_start: float, antibodies: int) -> None:
        """Write down that someone whose graft failed is listed again.

        Parameters
        ----------
        row : int
            Who; nobody may hold a match run with them in it.
        listed, dialysis_start : float
            Years from the start of the run.
        antibodies : int
            A bit for each antigen they have antibodies against since; the cPRA follows from it.
        """
        c, one = self._columns, slice(row, row + 1)
        c["unacceptable"][row] |= np.uint64(antibodies)
        c["cpra"][one] = cpra(c["unacceptable"][one])
        c["listed"][row], c["dialysis_start"][row] = listed, dialysis_start
        c["prior_transplant"][row] = c["returned"][row] = 1
        self._at_start["dialysis_years"][row] = max(-dialysis_start, 0.0)
        c["epts"][one] = self.column("epts", np.array([row]), listed, -1)
        here = {name: column[one] for name, column in self._at_start.items()}
        for function, values in self._constants.values():
            values[one] = function(here)


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
        """Rows of the n candidates, longest listed first."""
        return self.pool.rows[self.slots]

    def __getitem__(self, column: str) -> NDArray[Any]:
        """A column, shape (n,), longest listed first."""
        return self._candidates.gathered(column, self._gather, self.time, self.kidney.number)

    def _gather(self, values: NDArray[Any]) -> NDArray[Any]:
        return self.pool.column(values)[self.slots]

    def constant(self, function: Values) -> Chances:
        """``function`` of the candidates, computed once per run; shape (n,)."""
        return self._gather(self._candidates.constant(function))

    def masked(self, function: Values) -> Chances:
        """``constant`` in every slot, 0 for whoever is not in the run; shape (slots,)."""
        values = self.mask.astype(np.float64)
        values *= self.pool.column(self._candidates.constant(function))
        return values

    def first(self, count: int) -> Rows:
        """Slots of the (at most) ``count`` candidates listed longest ago."""
        near = np.flatnonzero(self.mask[: 64 * count])
        return (near if len(near) >= count else self.slots)[:count]

    def top(self, function: Values) -> tuple[Rows, int]:
        """Slots of the highest ``constant``, best first, and how many share the highest."""
        values = self._candidates.constant(function)
        order, packed = self.pool.falling(values), self.pool.column(values)
        size = 4 * FURTHER
        while True:
            head = order[:size]
            best = head[self.mask[head]]
            tied = int(np.count_nonzero(packed[best] == packed[best[:1]]))
            if size >= len(order) or (len(best) >= FURTHER and tied < len(best)):
                return best[: max(FURTHER, tied)], tied
            size *= 4

    def without(self, rows: list[int]) -> "Match":
        """The run without some of its candidates."""
        mask = self.mask.copy()
        mask[[self.pool.slot(row) for row in rows]] = False
        return Match(self._candidates, self.pool, mask, self.kidney, self.time)

    def head(self, limit: int | None) -> "Match":
        """The run's first ``limit`` candidates; all if None."""
        if limit is None or limit >= len(self):
            return self
        pool = Subset(self.pool.rows[self.first(limit)])
        everyone = np.ones(limit, dtype=bool)
        return Match(self._candidates, pool, everyone, self.kidney, self.time)

    def position(self, row: int) -> int:
        """How many of the run were listed before ``row``."""
        return int(np.count_nonzero(self.mask[: self.pool.slot(row)]))
