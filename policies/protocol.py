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
        columns it is given hold each candidate's age at the start of the run.
        """
        ...


class Choice(NamedTuple):
    """What a policy says about one kidney.

    Parameters
    ----------
    chances : ndarray, shape (n,), or (k,) where ``places`` is given
        Probability that the kidney is offered to each candidate; sums to 1, or to less where
        the rest is "nobody".
    tie : float
        Probability that the decision was left to lots, in [0, 1].
    places : ndarray of int, shape (k,), optional
        Which of the n candidates ``chances`` speaks of, ascending; nobody else has a chance. For
        rules that name few of many.
    """

    chances: Chances
    tie: float
    places: NDArray[np.intp] | None = None

    def dense(self, n: int) -> Chances:
        """Chances of all n candidates, shape (n,)."""
        if self.places is None:
            return self.chances
        chances = np.zeros(n)
        chances[self.places] = self.chances
        return chances


def certain(place: int) -> Choice:
    """One candidate wins for sure."""
    return Choice(np.ones(1), 0.0, np.array([place], dtype=np.intp))


def equal_chances(places: NDArray[np.intp]) -> Choice:
    """Equal chances for the candidates at ``places``; a tie if there is more than one."""
    count = len(places)
    return Choice(np.full(count, 1.0 / count), float(count > 1), places)


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
