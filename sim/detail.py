"""What is kept of every decision when asked for: the same match run through a reference's eyes."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import entr

from policies.protocol import Chances, Judge, Policy
from populations.errors import InputError
from populations.schema import AGE_BANDS, SCHEMA, age_band
from populations.streams import stream
from populations.world import World
from sim.match import Candidates, Match
from sim.record import GROUPINGS, TIE_COLUMNS, no_ties
from sim.store import Rows

Compare = Callable[[Chances, Chances], tuple[float, float, float, NDArray[np.bool_]]]
COMPARED = ("distance", "misalignment", "over_decisiveness")
_COMPARED_WITH = 64  # others each candidate is judged against for their claim
_CHUNK = 50_000  # candidates judged at a time
_LEAST_HELD = 2**17  # entries, one per candidate shown
_SUMS = ("chance", "reference_chance", "fair_wins", "exposure", "exposure_before")
_HALVES = (GROUPINGS[:3], GROUPINGS[3:])


class Detail(NamedTuple):
    """What to keep of each decision beyond its summary; costs a few passes over the list.

    Parameters
    ----------
    reference : Policy
        Asked about the same match run; if it is also a judge of pairs, candidates' claims are its.
    compare : callable
        From the policy's and the reference's chances, both shape (n,), to the distance, the
        misalignment, the over-decisiveness, and a mask of the reference's favourites H, shape (n,).
    """

    reference: Policy
    compare: Compare


class Tally:
    """What became of every candidate, decision by decision, and every draw within H.

    A kidney is a draw within H if H holds two or more and the candidate first offered it is among
    them; a candidate's fair share of it is h_i / sum of h over H. Decisions are held and added up
    many at a time, which costs a third of adding up each.
    """

    def __init__(self, world: World, compare: Compare) -> None:
        n = len(world.candidates["listed"])
        self._compare = compare
        self._sums = {name: np.zeros(n) for name in _SUMS}
        self._considered, self._wins = np.zeros((2, n), dtype=np.int64)
        self._first_win = np.full(n, np.iinfo(np.int64).max)  # number of the draw
        self._cells = [_Cells(world, groupings) for groupings in _HALVES]
        self._draws: list[tuple[int, int]] = []
        self._by_group: list[NDArray[np.float64]] = []
        self._most_held = max(_LEAST_HELD, n)
        self._forget()

    def _forget(self) -> None:
        self._held = 0
        self._shown: list[tuple[Rows, Chances, Chances]] = []
        self._favourites: list[Rows] = []
        self._lots: list[tuple[Rows, Chances]] = []

    def decision(self, shown: Match, chances: Chances, reference: Chances) -> dict[str, float]:
        """Enter both vectors of chances, shape (n,); what to keep of the decision."""
        if self._held > self._most_held:
            self._add_up()
        *compared, inside = self._compare(chances, reference)
        # Copies: a policy may write its next answer into the same array.
        self._shown.append((shown.rows, chances.copy(), reference.copy()))
        self._favourites.append(shown.rows[inside])
        self._weights = reference[inside]
        self._held += len(chances)
        kept = dict(zip(COMPARED, compared, strict=True))
        entropy = float(entr(chances).sum())
        gap = float(entr(reference).sum()) - entropy
        return kept | {"entropy": entropy, "entropy_gap": gap}

    def first_offer(self, kidney: int, row: int) -> None:
        """Enter who was offered the kidney first, of the decision entered last."""
        favourites = self._favourites[-1]
        if len(favourites) < 2:
            return
        if not (favourites == row).any():
            return
        self._lots.append((favourites, self._weights / self._weights.sum()))
        self._wins[row] += 1
        self._first_win[row] = min(self._first_win[row], len(self._draws))
        self._draws.append((kidney, row))

    def _add_up(self) -> None:
        n = len(self._wins)
        if self._shown:
            rows, chances, reference = map(np.concatenate, zip(*self._shown, strict=True))
            self._sums["chance"] += np.bincount(rows, chances, n)
            self._sums["reference_chance"] += np.bincount(rows, reference, n)
            self._considered += np.bincount(np.concatenate(self._favourites), minlength=n)
        if self._lots:
            rows, share = map(np.concatenate, zip(*self._lots, strict=True))
            of_draw = np.repeat(np.arange(len(self._lots)), [len(s) for _, s in self._lots])
            draw = of_draw + (len(self._draws) - len(self._lots))
            step, first_win = -np.log1p(-share), self._first_win[rows]
            self._sums["fair_wins"] += np.bincount(rows, share, n)
            self._sums["exposure"] += np.bincount(rows, step * (draw <= first_win), n)
            self._sums["exposure_before"] += np.bincount(rows, step * (draw < first_win), n)
            halves = [cells.sums(rows, share, of_draw) for cells in self._cells]
            self._by_group.append(np.concatenate(halves, axis=1))
        self._forget()

    def fates(self, seen: Rows) -> dict[str, NDArray[Any]]:
        """Columns of the record's fates."""
        self._add_up()
        columns = {**self._sums, "considered": self._considered, "wins": self._wins}
        return {name: c[seen] for name, c in columns.items()} | {"ever_won": self._wins[seen] > 0}

    def ties(self) -> pd.DataFrame:
        """The record's ties."""
        self._add_up()
        if not self._draws:
            return no_ties()
        columns = [*np.array(self._draws).T, *np.concatenate(self._by_group).T]
        return pd.DataFrame(dict(zip(TIE_COLUMNS, columns, strict=True)))


class _Cells:
    """Sums by the groups of a few groupings, from one pass over the candidates' cells."""

    def __init__(self, world: World, groupings: tuple[str, ...]) -> None:
        c = world.candidates
        codes, sizes = [], []
        for name in groupings:
            if name == "age_band":
                codes.append(age_band(c["age"] + np.maximum(c["listed"], 0.0) - c["listed"]))
                sizes.append(len(AGE_BANDS))
            else:
                codes.append(c[name])
                sizes.append(len(SCHEMA[name].levels))
        self._cell = np.ravel_multi_index(tuple(code.astype(np.intp) for code in codes), sizes)
        places = np.unravel_index(np.arange(np.prod(sizes)), sizes)
        of_group = [np.eye(size)[place] for size, place in zip(sizes, places, strict=True)]
        self._groups = np.concatenate(of_group, axis=1)  # (cells, groups of all groupings)

    def sums(self, rows: Rows, values: Chances, draw: NDArray[np.intp]) -> NDArray[np.float64]:
        """Sum of the values of the candidates in ``rows`` by draw and group, draws from 0 on."""
        cells = len(self._groups)
        place = draw * cells + self._cell[rows]
        draws = int(draw[-1]) + 1
        by_cell = np.bincount(place, values, draws * cells).reshape(draws, cells)
        return np.asarray(by_cell @ self._groups)


def claims(judge: Judge, world: World, candidates: Candidates) -> NDArray[np.float64]:
    """Probability that a judge prefers each candidate to another one, all as at listing.

    The others are a fixed sample of ``_COMPARED_WITH`` candidates of the world; half of them are
    shown second and half first, and the coin counts as half.

    Returns
    -------
    ndarray, shape (all candidates,)
        In [0, 1]; NaN if there is nobody else.
    """
    n = len(world.candidates["listed"])
    draws = stream(world.seed, world.number, "claims")
    sample = draws.choice(n, min(_COMPARED_WITH, n), replace=False)
    others = candidates.at_listing(sample)
    total, count = np.zeros(n), np.full(n, float(len(sample)))
    count[sample] -= 1.0  # nobody is compared with themselves
    for start in range(0, n, _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, n))
        here = candidates.at_listing(rows)
        for place, other in enumerate(sample):
            one = {name: np.broadcast_to(c[place], len(rows)) for name, c in others.items()}
            first = place % 2 == 0
            answers = judge.judge(here, one) if first else judge.judge(one, here)
            if np.shape(answers) != (len(rows), 3):
                raise InputError(
                    f"policy {judge.name!r}: judge() must return shape ({len(rows)}, 3); got "
                    f"{np.shape(answers)}"
                )
            preferred = answers[:, 0 if first else 1] + 0.5 * answers[:, 2]
            total[rows] += np.where(rows == other, 0.0, preferred)
    return np.asarray(np.divide(total, count, where=count > 0, out=np.full(n, np.nan)))
