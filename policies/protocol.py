"""The two views of a decider: a judge of pairs and a policy for one kidney."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from populations.schema import Columns

Chances = NDArray[np.float64]


class Kidney(NamedTuple):
    """The kidney on offer: its number in the world, blood type (code), KDPI in percent."""

    number: int
    blood_type: int
    kdpi: float


class MatchRun(Protocol):
    """One kidney and the n candidates it may go to, longest listed first.

    ``match["age"]`` is a column, shape (n,), with its value now. Beside the schema's attributes
    there are ``candidate`` (id), ``registration`` (an arbitrary stable number), ``centre``,
    ``waiting_years`` and ``life_years_gained`` (expected, with this kidney, years).
    """

    kidney: Kidney
    time: float

    def __len__(self) -> int: ...

    def __getitem__(self, column: str) -> NDArray[Any]: ...

    def constant(self, function: Callable[[Columns], Chances]) -> Chances:
        """``function`` of the candidates, shape (n,), computed once per run.

        For values whose differences between candidates do not change while they wait: the
        columns it is given hold each candidate's age and dialysis at the start of the run, the
        rest as at listing. Pass the same
        function object every time.
        """
        ...

    # The rest is for speed alone. The simulator keeps candidates in slots, more than n of them; a
    # choice that names slots spares it gathering the n.

    @property
    def slots(self) -> NDArray[np.intp]:
        """Slot of each of the n candidates, ascending, shape (n,)."""
        ...

    def first(self) -> int:
        """Slot of the candidate listed longest ago."""
        ...

    def best(self, function: Callable[[Columns], Chances]) -> NDArray[np.intp]:
        """Slots of those with the highest ``constant``, exact equals included, ascending."""
        ...

    def masked(self, function: Callable[[Columns], Chances]) -> Chances:
        """``constant`` (finite) in every slot, 0 where no candidate of this run is; a new array."""
        ...


EVERY_SLOT = slice(None)


class Choice(NamedTuple):
    """What a policy says about one kidney.

    Parameters
    ----------
    chances : ndarray, shape (n,), or one for each of ``slots`` where that is given
        Probability that the kidney is offered to each candidate; sums to 1, or to less where
        the rest is "nobody".
    tie : float
        Probability that the decision was left to lots, in [0, 1].
    slots : ndarray of int, shape (k,), or ``EVERY_SLOT``, optional
        Whom ``chances`` speaks of, by the match run's slots, ascending; nobody else has a chance.
    """

    chances: Chances
    tie: float
    slots: NDArray[np.intp] | slice | None = None

    def dense(self, match: MatchRun) -> Chances:
        """Chances of all n candidates of the match run that was asked about, shape (n,)."""
        if self.slots is None:
            return self.chances
        if isinstance(self.slots, slice):
            return self.chances[match.slots]
        chances = np.zeros(len(match))
        chances[np.searchsorted(match.slots, self.slots)] = self.chances
        return chances


def certain(slot: int) -> Choice:
    """One candidate wins for sure."""
    return Choice(np.ones(1), 0.0, np.array([slot], dtype=np.intp))


def equal_chances(slots: NDArray[np.intp]) -> Choice:
    """Equal chances for the candidates in ``slots``; a tie if there is more than one."""
    count = len(slots)
    return Choice(np.full(count, 1.0 / count), float(count > 1), slots)


@runtime_checkable
class Policy(Protocol):
    """Who decides: one kidney, n candidates, a chance for each."""

    @property
    def name(self) -> str:
        """What results call it."""
        ...

    def choose(self, match: MatchRun) -> Choice:
        """Chances over the n candidates of a match run (n >= 1)."""
        ...


@runtime_checkable
class Judge(Protocol):
    """The pairwise view of a decider."""

    @property
    def name(self) -> str:
        """What results call it."""
        ...

    def judge(self, a: Columns, b: Columns) -> Chances:
        """P(a), P(b), P(coin) for n pairs, ``a`` shown first; shape (n, 3), rows sum to 1."""
        ...
