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
        """Row of the candidate in each slot."""
        ...

    def column(self, values: NDArray[Any]) -> NDArray[Any]:
        """``values`` (one per candidate of the world) of the candidate in each slot."""
        ...

    def falling(self, values: NDArray[np.float64]) -> Rows:
        """Slots in falling order of ``values`` (finite), equals in order of listing."""
        ...

    def slot(self, row: int) -> int:
        """Slot of a candidate who is here."""
        ...


class Subset:
    """The candidates of any rows, gathered as they are asked for."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def column(self, values: NDArray[Any]) -> NDArray[Any]:
        """``values`` of these rows."""
        return values[self.rows]

    def falling(self, values: NDArray[np.float64]) -> Rows:
        """Slots in falling order of ``values``."""
        return np.argsort(-values[self.rows], kind="stable")

    def slot(self, row: int) -> int:
        """Slot of a candidate who is here."""
        return int((self.rows == row).argmax())


class BloodGroup:
    """Waiting candidates of one blood type, as packed columns in order of listing.

    A removal only marks its slot; slots are freed once a sixteenth of them are marked. Columns are
    packed with the rows the first time they are read, and from then on kept in step; so are orders.

    Parameters
    ----------
    unacceptable : ndarray of uint64, shape (all candidates,)
        Antigens each has antibodies against; as the other columns, it may change for candidates
        who are not here.
    """

    def __init__(self, unacceptable: NDArray[np.uint64]) -> None:
        self._unacceptable = unacceptable
        self._slot_of = np.full(len(unacceptable), -1, dtype=np.intp)
        self._count = self._removed = 0
        self._rows = np.empty(64, dtype=np.intp)
        self._alive = np.empty(64, dtype=bool)
        self._active = np.empty(64, dtype=bool)  # and alive
        # By identity of the whole column, which is kept beside it so that no other takes its id.
        self._packed: dict[int, tuple[NDArray[Any], NDArray[Any]]] = {}
        self._orders: dict[int, _Order] = {}

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

    def falling(self, values: NDArray[np.float64]) -> Rows:
        """Slots in falling order of ``values``; pass the same array again."""
        return self._orders.setdefault(id(values), _Order()).slots(self.column(values))

    def slot(self, row: int) -> int:
        """Slot of a candidate who is here."""
        return int(self._slot_of[row])

    def add(self, rows: Rows, active: Mask) -> None:
        """Append candidates listed after all that are here."""
        if self._count + len(rows) > len(self._rows):
            self._pack(2 * (self._count + len(rows)))
        here = slice(self._count, self._count + len(rows))
        self._rows[here] = rows
        self._alive[here] = True
        self._active[here] = active
        for values, packed in self._packed.values():
            packed[here] = values[rows]
        self._slot_of[rows] = np.arange(here.start, here.stop)
        self._count = here.stop

    def remove(self, row: int) -> None:
        """Take one candidate off the list."""
        slot = self._slot_of[row]
        self._alive[slot] = self._active[slot] = False
        self._removed += 1
        if self._removed > max(64, self._count // 16):
            self._pack(len(self._rows))

    def set_active(self, row: int, active: bool) -> None:
        """Change the status of a candidate who is here."""
        self._active[self._slot_of[row]] = active

    def _pack(self, size: int) -> None:
        alive = self._alive[: self._count]
        keep = np.flatnonzero(alive)
        place = np.cumsum(alive) - 1

        def moved(packed: NDArray[Any]) -> NDArray[Any]:
            fresh = np.empty(size, dtype=packed.dtype)
            fresh[: len(keep)] = packed[keep]
            return fresh

        self._rows = moved(self._rows)
        self._active = moved(self._active)
        self._packed = {
            key: (values, moved(packed)) for key, (values, packed) in self._packed.items()
        }
        for order in self._orders.values():
            order.pack(alive, place)
        self._alive = moved(self._alive)
        self._count, self._removed = len(keep), 0
        self._slot_of[self.rows] = np.arange(len(keep))

    def crossmatch_negative(self, antigens: int) -> Mask:
        """Whether each slot's candidate is active and has no antibody against any antigen."""
        positive = self.column(self._unacceptable) & np.uint64(antigens)
        return self._active[: self._count] > positive.astype(bool)


class _Order:
    """Slots in falling order of a column; new ones are put in when the order is next read."""

    def __init__(self) -> None:
        self._slots = np.empty(0, dtype=np.intp)
        self._rising = np.empty(0)  # the column with its sign turned, in order
        self._ordered = 0  # slots from here on are new

    def slots(self, packed: NDArray[np.float64]) -> Rows:
        """The order, those who have left included, of a packed column."""
        if len(packed) > self._ordered:
            fresh = np.arange(self._ordered, len(packed))
            keys = -packed[self._ordered :]
            by_key = np.argsort(keys, kind="stable")
            keys, fresh = keys[by_key], fresh[by_key]
            place = self._rising.searchsorted(keys, side="right")  # after equals: listed later
            self._slots = np.insert(self._slots, place, fresh)
            self._rising = np.insert(self._rising, place, keys)
            self._ordered = len(packed)
        return self._slots

    def pack(self, alive: Mask, place: Rows) -> None:
        """Follow the slots to where packing moves them, and forget those who have left."""
        kept = alive[self._slots]
        self._slots = place[self._slots[kept]]
        self._rising = self._rising[kept]
        self._ordered = len(self._slots)
