"""The choice model: values, decisiveness and indecision as three separate knobs.

For a pair, P(a), P(b), P(coin) are proportional to exp(u_a - u_b), exp(u_b - u_a), exp(lambda):
the "min_diff" indecision model of McElfresh et al. (2021), which is Davidson's (1970)
Bradley-Terry model with ties at worth alpha = exp(2u), tie parameter nu = exp(lambda). For n
candidates it becomes Davidson-Luce with ties of pairs (Firth, Kosmidis & Turner 2019): with
r_i = sqrt(alpha_i) and S = sum r_i,

    chance_i  is proportional to  alpha_i + (nu / 2) r_i (S - r_i),

half of each tied pair's weight going to each of the two. At n = 2 it is the pairwise model.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from policies.protocol import EVERY_SLOT, Chances, Choice, MatchRun, equal_chances
from populations.errors import InputError
from populations.schema import Columns

Values = Callable[[Columns], Chances]
_SAFE_SQUARE = 1e-200
_MANY_TIES = 1e3


@dataclass(frozen=True)
class Linear:
    """Utility additive in attributes: sum of weight * (x - low) / (high - low).

    Parameters
    ----------
    weights : mapping of attribute name to (weight, low, high)
        ``low`` and ``high`` are the scale's ends in the attribute's own unit; values beyond them
        are extrapolated.
    """

    weights: Mapping[str, tuple[float, float, float]]

    def __call__(self, columns: Columns) -> Chances:
        """Utility of each candidate, shape (n,)."""
        try:
            terms = [
                weight * (columns[name] - low) / (high - low)
                for name, (weight, low, high) in self.weights.items()
            ]
        except KeyError as missing:
            raise InputError(
                f"values depend on {missing}: expected candidates of whom it is known"
            ) from missing
        # One after the other: np.sum would round differently for one candidate and for many.
        return np.asarray(sum(terms))


class TieModel(NamedTuple):
    """Davidson-Luce weights of one match run.

    Parameters
    ----------
    decided : ndarray, shape (n,)
        Probability that each candidate is preferred outright.
    roots : ndarray, shape (n,)
        r_i, up to a factor; at most 1.
    pair_weight : float
        Probability of a tie of i and j is ``pair_weight * r_i * r_j``.
    tie : float
        Probability that lots are drawn.
    """

    decided: Chances
    roots: Chances
    pair_weight: float
    tie: float

    @property
    def shared(self) -> Chances:
        """Probability that each wins by lot, shape (n,)."""
        shared = self.roots.sum() - self.roots
        shared *= self.roots  # in place: the list is long
        shared *= 0.5 * self.pair_weight
        return shared


def tie_model(roots: Chances, log_tie: float) -> TieModel:
    """Davidson-Luce probabilities from r_i up to a factor; 0 for whoever takes no part."""
    worths = roots * roots
    outright = worths.sum()
    nu = np.exp(log_tie)
    tied_pairs = 0.5 * nu * max(roots.sum() ** 2 - outright, 0.0)
    total = outright + tied_pairs
    worths /= total
    return TieModel(worths, roots, float(nu / total), float(tied_pairs / total))


def _every_slot(roots: Chances, outright: float, half_nu: float) -> Choice:
    """The chances of ``tie_model``, lots included, in as few passes over the list as possible."""
    total_root = float(roots.sum())
    tied_pairs = half_nu * max(total_root**2 - outright, 0.0)
    total = outright + tied_pairs
    chances = roots * ((1.0 - half_nu) / total)
    chances += half_nu * total_root / total
    chances *= roots
    return Choice(chances, tied_pairs / total, EVERY_SLOT)


@dataclass(frozen=True)
class _Roots:
    """r_i of everyone in the world; infinite beyond what numbers can hold."""

    values: Values

    def __call__(self, columns: Columns) -> Chances:
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(self.values(columns)))


@dataclass(frozen=True)
class Davidson:
    """Values with indecision; optionally an advantage of being listed first.

    Parameters
    ----------
    name : str
        What results call it.
    values : callable
        Utility u of n candidates from their columns, shape (n,).
    log_tie : float
        lambda = log nu; ``-inf`` never ties.
    order : float
        Added to u_a - u_b for the one shown first.
    steady : bool
        Whether differences in u between candidates stay the same as they all grow older.
    card : dict
        What should be shown beside every result (how it was fitted, how well).
    """

    name: str
    values: Values
    log_tie: float
    order: float = 0.0
    steady: bool = True
    card: dict[str, Any] = field(default_factory=dict)

    def judge(self, a: Columns, b: Columns) -> Chances:
        """P(a), P(b), P(coin), ``a`` shown first; shape (n, 3)."""
        difference = self.values(a) - self.values(b) + self.order
        scores = np.stack([difference, -difference, np.full(len(difference), self.log_tie)], axis=1)
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    def utilities(self, match: MatchRun) -> Chances:
        """Utility of each candidate, shape (n,), without the advantage of position."""
        if self.steady:
            return match.constant(self.values)
        return self.values(match)  # type: ignore[arg-type]  # a match run reads like columns

    def defeat(self, match: MatchRun) -> Chances:
        """By how much each is beaten by whoever beats them most, shape (n,).

        Every pair is judged in the order of the list. The least beaten comes first; with
        ``order`` 0 that is the highest utility.
        """
        u = self.utilities(match)
        if self.order == 0.0:
            return np.asarray(u.max() - u)
        earlier = np.concatenate([[-np.inf], np.maximum.accumulate(u)[:-1]])
        later = np.concatenate([np.maximum.accumulate(u[::-1])[-2::-1], [-np.inf]])
        return np.maximum(earlier + self.order, later - self.order) - u

    def ties(self, match: MatchRun) -> TieModel:
        """The probabilities of outright wins and of tied pairs.

        Among n the advantage of position falls evenly from +order/2 for the first listed to
        -order/2 for the last, which is the pairwise advantage at n = 2.
        """
        u = self.utilities(match)
        if self.order != 0.0:
            u = u + self.order * np.linspace(0.5, -0.5, len(u))
        return tie_model(np.exp(u - u.max()), self.log_tie)

    @cached_property
    def _roots(self) -> _Roots:
        return _Roots(self.values)

    def choose(self, match: MatchRun) -> Choice:
        """Davidson-Luce chances."""
        half_nu = 0.5 * float(np.exp(self.log_tie))
        # With many ties the sum of two opposite terms below would lose digits.
        if self.steady and self.order == 0.0 and half_nu < _MANY_TIES:
            with np.errstate(over="ignore", invalid="ignore"):
                roots = match.masked(self._roots)
                outright = float((roots * roots).sum())
            # Where squares would underflow or overflow, scale to this run's best instead.
            if _SAFE_SQUARE < outright < 1.0 / _SAFE_SQUARE:
                return _every_slot(roots, outright, half_nu)
        model = self.ties(match)
        return Choice(model.decided + model.shared, model.tie)


@dataclass(frozen=True)
class Band:
    """Everyone whom nobody beats by more than ``delta`` is tied, and lots are drawn among them.

    Without an advantage of position: everyone within delta of the best utility of this match run.
    Ties include a difference of exactly delta. Indifference is not transitive, and with an
    advantage of position neither is preference, so the rule is stated: where everyone is beaten by
    more, those beaten by least are tied.
    """

    name: str
    base: Davidson
    delta: float
    card: dict[str, Any] = field(default_factory=dict)

    def judge(self, a: Columns, b: Columns) -> Chances:
        """One-hot rows, shape (n, 3)."""
        difference = self.base.values(a) - self.base.values(b) + self.base.order
        return np.stack(
            [difference > self.delta, difference < -self.delta, np.abs(difference) <= self.delta],
            axis=1,
        ).astype(float)

    def tied(self, match: MatchRun) -> NDArray[np.intp]:
        """Places of those in the band, ascending."""
        defeat = self.base.defeat(match)
        return np.flatnonzero(defeat <= max(self.delta, defeat.min()))

    def choose(self, match: MatchRun) -> Choice:
        """Equal chances within the band."""
        return equal_chances(match.slots[self.tied(match)])


def modal(base: Davidson) -> Band:
    """A Davidson model that always gives its most likely answer (temperature 0).

    Of a pair it answers "coin" when |u_a - u_b| <= lambda: the band of that width.
    """
    return Band(f"modal({base.name})", base, max(base.log_tie, 0.0), base.card)


@dataclass(frozen=True)
class Assembly:
    """A citizen drawn for every decision from classes of citizens; chances are the mixture's."""

    name: str
    members: tuple[Davidson, ...]
    shares: tuple[float, ...]
    card: dict[str, Any] = field(default_factory=dict)

    def judge(self, a: Columns, b: Columns) -> Chances:
        """Mean of the classes' judgements by their shares, shape (n, 3)."""
        return np.tensordot(self.shares, [m.judge(a, b) for m in self.members], axes=1)

    def choose(self, match: MatchRun) -> Choice:
        """Mean of the classes' chances by their shares."""
        return mix([m.choose(match) for m in self.members], self.shares, match)


def mix(choices: list[Choice], shares: tuple[float, ...], match: MatchRun) -> Choice:
    """The mixture of several deciders' choices about one match run."""
    tie = sum(share * choice.tie for share, choice in zip(shares, choices, strict=True))
    everywhere = all(isinstance(choice.slots, slice) for choice in choices)
    parts = [choice.chances if everywhere else choice.dense(match) for choice in choices]
    chances = sum(share * part for share, part in zip(shares, parts, strict=True))
    return Choice(np.asarray(chances), float(tie), EVERY_SLOT if everywhere else None)
