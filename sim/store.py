"""Who waits, one store per blood type: packed columns in order of listing, removed lazily."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]
Mask = NDArray[np.bool_]


class Pool(Protocol):
    """Candidates in slots, in order of listing; ``rows`` are their row numbers in the world."""

    @property
    def rows(self) -> Rows:
        """Row of the candidate in each slot, ascending."""
        ...

    def column(self, values: NDArray[Any]) -> NDArray[Any]:
        """``values`` (one per candidate of the world) of the candidate in each slot."""
        ...


class Subset:
    """The candidates of any rows, gathered as they are asked for."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def column(self, values: NDArray[Any]) -> NDArray[Any]:
        """``values`` of these rows."""
        return values[self.rows]


class BloodGroup:
    """Waiting candidates of one blood type, as packed columns in order of listing.

    A removal only marks its slot; slots are freed once a sixteenth of them are marked. Columns are
    packed with the rows the first time they are read, and from then on kept in step.
    """

    def __init__(self, columns: dict[str, NDArray[Any]]) -> None:
        # Single precision halves what every kidney reads; each pair still has one answer.
        self._start = columns["crossmatch_start"].astype(np.float32)
        self._end = self._start + (columns["cpra"] / 100.0).astype(np.float32)
        self._slot_of = np.full(len(self._start), -1, dtype=np.intp)
        self._count = self._removed = 0
        self._rows = np.empty(64, dtype=np.intp)
        self._alive = np.empty(64, dtype=bool)
        # By identity of the whole column, which is kept beside it so that no other takes its id.
        self._packed: dict[int, tuple[NDArray[Any], NDArray[Any]]] = {}

    @property
    def rows(self) -> Rows:
        """Row of the candidate in each slot, those who have left included."""
        return self._rows[: self._count]

    def column(self, values: NDArray[Any]) -> NDArray[Any]:
        """``values`` (one per candidate of the world) in each slot; pass the same array again."""
        if id(values) not in self._packed:
            packed = np.empty(len(self._rows), dtype=values.dtype)
            packed[: self._count] = values[self.rows]
            self._packed[id(values)] = (values, packed)
        return self._packed[id(values)][1][: self._count]

    def add(self, rows: Rows) -> None:
        """Append candidates listed after all that are here."""
        if self._count + len(rows) > len(self._rows):
            self._pack(2 * (self._count + len(rows)))
        here = slice(self._count, self._count + len(rows))
        self._rows[here] = rows
        self._alive[here] = True
        for values, packed in self._packed.values():
            packed[here] = values[rows]
        self._slot_of[rows] = np.arange(here.start, here.stop)
        self._count = here.stop

    def remove(self, row: int) -> None:
        """Take one candidate off the list."""
        self._alive[self._slot_of[row]] = False
        self._removed += 1
        if self._removed > max(64, self._count // 16):
            self._pack(len(self._rows))

    def _pack(self, size: int) -> None:
        keep = np.flatnonzero(self._alive[: self._count])

        def moved(packed: NDArray[Any]) -> NDArray[Any]:
            fresh = np.empty(size, dtype=packed.dtype)
            fresh[: len(keep)] = packed[keep]
            return fresh

        self._rows = moved(self._rows)
        self._alive = moved(self._alive)
        self._packed = {
            key: (values, moved(packed)) for key, (values, packed) in self._packed.items()
        }
        self._count, self._removed = len(keep), 0
        self._slot_of[self.rows] = np.arange(len(keep))

    def crossmatch_negative(self, position: float) -> Mask:
        """Whether each slot's candidate could take a kidney at ``position`` on the circle."""
        start, end = self.column(self._start), self.column(self._end)
        here, once_round = np.float32(position), np.float32(position + 1.0)
        positive = start <= here
        positive &= here < end
        positive |= once_round < end
        return self._alive[: self._count] > positive  # alive and not positive
