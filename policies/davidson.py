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
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from policies.protocol import Chances, Choice, MatchRun, equal_chances
from populations.schema import Columns

Values = Callable[[Columns], Chances]


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
        return np.sum(
            [
                weight * (columns[name] - low) / (high - low)
                for name, (weight, low, high) in self.weights.items()
            ],
            axis=0,
        )


class TieModel(NamedTuple):
    """Davidson-Luce weights of one match run.

    Parameters
    ----------
    decided : ndarray, shape (n,)
        Probability that each candidate is preferred outright.
    roots : ndarray, shape (n,)
        r_i, scaled to a maximum of 1.
    pair_weight : float
        Probability of a tie of i and j is ``pair_weight * r_i * r_j``.
    """

    decided: Chances
    roots: Chances
    pair_weight: float

    @property
    def shared(self) -> Chances:
        """Probability that each wins by lot, shape (n,)."""
        return 0.5 * self.pair_weight * self.roots * (self.roots.sum() - self.roots)


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
        Added to u_a - u_b for the one shown first. Among n it falls evenly from +order/2 for the
        first listed to -order/2 for the last, which is the same thing at n = 2.
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
        """u_i plus the advantage of position, shape (n,)."""
        u = match.constant(self.values) if self.steady else self.values(match)  # type: ignore[arg-type]
        n = len(match)
        if self.order == 0.0 or n == 1:
            return u
        return u + self.order * (0.5 - np.arange(n) / (n - 1))

    def ties(self, match: MatchRun) -> TieModel:
        """The probabilities of outright wins and of tied pairs."""
        u = self.utilities(match)
        roots = np.exp(u - u.max())
        worths = roots * roots
        outright = worths.sum()
        nu = np.exp(self.log_tie)
        tied_pairs = 0.5 * nu * max(roots.sum() ** 2 - outright, 0.0)
        total = outright + tied_pairs
        return TieModel(worths / total, roots, float(nu / total))

    def choose(self, match: MatchRun) -> Choice:
        """Davidson-Luce chances."""
        model = self.ties(match)
        return Choice(model.decided + model.shared, float(1.0 - model.decided.sum()))


@dataclass(frozen=True)
class Band:
    """Everyone within ``delta`` of the best utility is tied, and lots are drawn among them.

    Ties include a difference of exactly delta. Indifference is not transitive, so the rule is
    stated: the band lies around the best candidate of this match run.
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
        u = self.base.utilities(match)
        return np.flatnonzero(u >= u.max() - self.delta)

    def choose(self, match: MatchRun) -> Choice:
        """Equal chances within the band."""
        return equal_chances(self.tied(match))


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

    def judge(self, a: Columns, b: Columns) -> Chances:
        """Mean of the classes' judgements by their shares, shape (n, 3)."""
        return np.tensordot(self.shares, [m.judge(a, b) for m in self.members], axes=1)

    def choose(self, match: MatchRun) -> Choice:
        """Mean of the classes' chances by their shares."""
        return mix([m.choose(match) for m in self.members], self.shares, len(match))


def mix(choices: list[Choice], shares: tuple[float, ...], n: int) -> Choice:
    """The mixture of several deciders' choices among n candidates."""
    chances = sum(share * choice.dense(n) for share, choice in zip(shares, choices, strict=True))
    tie = sum(share * choice.tie for share, choice in zip(shares, choices, strict=True))
    return Choice(np.asarray(chances), float(tie))
