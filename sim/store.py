"""Who waits, one store per blood type: row numbers in order of listing, removed lazily."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]


class BloodGroup:
    """Waiting candidates of one blood type, as packed columns in order of listing.

    A removal only marks its place; places are freed once a sixteenth of them are marked. The
    crossmatch columns are packed with the rows because every kidney reads them.
    """

    def __init__(self, columns: dict[str, NDArray[Any]]) -> None:
        # Single precision halves what every kidney reads; each pair still has one answer.
        start = columns["crossmatch_start"].astype(np.float32)
        self._start_of = start
        self._end_of = start + (columns["cpra"] / 100.0).astype(np.float32)
        self._place = np.full(len(start), -1, dtype=np.intp)
        self._count = self._removed = 0
        self._allocate(64)

    def _allocate(self, size: int) -> None:
        self._rows = np.empty(size, dtype=np.intp)
        self._alive = np.zeros(size, dtype=bool)
        self._start = np.empty(size, dtype=np.float32)
        self._end = np.empty(size, dtype=np.float32)

    def __len__(self) -> int:
        return self._count - self._removed

    def add(self, rows: Rows) -> None:
        """Append candidates listed after all that are here."""
        end = self._count + len(rows)
        if end > len(self._rows):
            self._pack(self.rows(), 2 * end)
            end = self._count + len(rows)
        self._write(rows, self._count)
        self._count = end

    def _write(self, rows: Rows, at: int) -> None:
        here = slice(at, at + len(rows))
        self._rows[here] = rows
        self._alive[here] = True
        self._start[here] = self._start_of[rows]
        self._end[here] = self._end_of[rows]
        self._place[rows] = np.arange(at, at + len(rows))

    def _pack(self, rows: Rows, size: int) -> None:
        self._allocate(size)
        self._write(rows, 0)
        self._count, self._removed = len(rows), 0

    def remove(self, row: int) -> None:
        """Take one candidate off the list."""
        self._alive[self._place[row]] = False
        self._removed += 1
        if self._removed > max(64, self._count // 16):
            self._pack(self.rows(), len(self._rows))

    def rows(self) -> Rows:
        """Rows of all who wait, in order of listing."""
        return self._rows[: self._count][self._alive[: self._count]]

    def crossmatch_negative(self, position: float) -> Rows:
        """Rows of those who could take a kidney at ``position`` on the crossmatch circle."""
        n = self._count
        start, end = self._start[:n], self._end[:n]
        here, once_round = np.float32(position), np.float32(position + 1.0)
        positive = (start <= here) & (here < end)
        positive |= once_round < end
        return self._rows[:n][self._alive[:n] & ~positive]
