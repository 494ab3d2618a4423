"""The two views of a decider: a judge of pairs and a policy for one kidney."""

from collections.abc import Callable
from math import nan
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from populations.schema import Columns

Chances = NDArray[np.float64]


class Kidney(NamedTuple):
    """The kidney on offer: number in the world, blood type (code), KDPI (percent), donor age."""

    number: int
    blood_type: int
    kdpi: float
    donor_age: float = nan


class MatchRun(Protocol):
    """One kidney and the n candidates it may go to, longest listed first.

    ``match["age"]`` is a column, shape (n,), with its value now. Beside the schema's attributes
    there are ``candidate`` (id), ``registration`` (an arbitrary stable number), ``centre``,
    ``listed``, ``birth`` and ``dialysis_start`` (years from the start of the run),
    ``waiting_years``, ``returned`` (1: listed again after a graft failed in the run) and ``hla`` (a
    bit for each antigen, ``populations.hla``); and for this kidney ``life_years_gained`` (expected,
    years), ``level`` (0 local, 1 regional, 2 national), ``distance_nm`` (nautical miles), and
    ``mismatches``, ``mismatches_a``, ``mismatches_b`` and ``mismatches_dr`` (antigens).
    """

    kidney: Kidney
    time: float

    def __len__(self) -> int: ...

    def __getitem__(self, column: str) -> NDArray[Any]: ...

    def constant(self, function: Callable[[Columns], Chances]) -> Chances:
        """``function`` of the candidates, shape (n,), computed once per run.

        For values whose differences between candidates do not change while they wait: the
        columns it is given hold each candidate's age and dialysis at the start of the run, the
        rest as at listing. Each one's value must follow from their own columns alone: it is
        computed again, for them alone, when they come back to the list. Pass the same function
        object every time.
        """
        ...

    # The rest is for speed alone. The simulator keeps candidates in slots, more than n of them; a
    # choice that names slots spares it gathering the n.

    @property
    def slots(self) -> NDArray[np.intp]:
        """Slot of each of the n candidates, ascending, shape (n,)."""
        ...

    def first(self, count: int) -> NDArray[np.intp]:
        """Slots of the (at most) ``count`` candidates listed longest ago, ascending."""
        ...

    def top(self, function: Callable[[Columns], Chances]) -> tuple[NDArray[np.intp], int]:
        """Slots of the candidates with the highest ``constant``, and how many share the highest.

        Best first, equals in order of listing: ``FURTHER`` of them, or all who share the highest
        if they are more, or all there are.
        """
        ...

    def masked(self, function: Callable[[Columns], Chances]) -> Chances:
        """``constant`` (finite) in every slot, 0 where no candidate of this run is; a new array."""
        ...


EVERY_SLOT = slice(None)
FURTHER = 64  # as many as a kidney is ever offered to: the rest of a ranking is never read


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
    then : ndarray of int, optional
        Slots to offer the kidney to, in this order, once all who have a chance have refused it.
        After them, and without it, the policy is asked again about who remains.
    """

    chances: Chances
    tie: float
    slots: NDArray[np.intp] | slice | None = None
    then: NDArray[np.intp] | None = None

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


def in_order(slots: NDArray[np.intp], tied: int = 1) -> Choice:
    """The first wins, by lots if the first ``tied`` are equal; the others follow as they stand."""
    return equal_chances(np.sort(slots[:tied]))._replace(then=slots[tied:])


def ranked(match: MatchRun, scores: Chances) -> Choice:
    """The highest score first, lots between exact equals; nobody with a score of -inf.

    Parameters
    ----------
    match : MatchRun
        Of n candidates.
    scores : ndarray, shape (n,)
        Later ones that are equal are offered the kidney in order of listing.
    """
    highest = scores.max()
    if not np.isfinite(highest):
        return Choice(np.zeros(1), 0.0, match.slots[:1])
    least = np.partition(scores, -FURTHER)[-FURTHER] if len(scores) > FURTHER else -np.inf
    near = np.flatnonzero((scores >= least) & (scores > -np.inf))
    order = near[np.argsort(-scores[near], kind="stable")]
    return in_order(match.slots[order], int(np.count_nonzero(scores == highest)))


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
