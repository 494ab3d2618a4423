"""Rules and lotteries: deciders without fitted values."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.protocol import EVERY_SLOT, FURTHER, Chances, Choice, MatchRun, in_order, ranked
from populations.formulae import cpra_points
from populations.schema import Columns


@dataclass(frozen=True)
class Lottery:
    """Everyone eligible has the same chance."""

    name: str = "lottery"
    card: dict[str, Any] = field(default_factory=dict)

    def judge(self, a: Columns, b: Columns) -> Chances:
        """Always the coin, shape (n, 3)."""
        n = len(next(iter(a.values())))
        return np.tile([0.0, 0.0, 1.0], (n, 1))

    def tied(self, match: MatchRun) -> NDArray[np.intp]:
        """Places of everyone."""
        return np.arange(len(match))

    def choose(self, match: MatchRun) -> Choice:
        """Equal chances."""
        n = len(match)
        chances = match.masked(_one)
        chances *= 1.0 / n  # in place: the list is long
        return Choice(chances, float(n > 1), EVERY_SLOT)


def _one(columns: Columns) -> Chances:
    return np.ones(len(columns["age"]))


@dataclass(frozen=True)
class FirstCome:
    """The candidate listed longest ago."""

    name: str = "first-come"
    card: dict[str, Any] = field(default_factory=dict)

    def choose(self, match: MatchRun) -> Choice:
        """The head of the match run wins."""
        return in_order(match.first(FURTHER))


@dataclass(frozen=True)
class Points:
    """A point a year since listing or dialysis start, plus the US cPRA sliding scale.

    The two largest terms of the US kidney points (their values are from memory, tag M).
    """

    name: str = "points"
    card: dict[str, Any] = field(
        default_factory=lambda: {"provenance": "M: cPRA point values are from memory"}
    )

    def choose(self, match: MatchRun) -> Choice:
        """The most points win."""
        return in_order(*match.top(_points_at_start))


def _points_at_start(columns: Columns) -> Chances:
    """Points as if everyone were waiting now; all gain one a year, so the order never changes."""
    return cpra_points(columns["cpra"]) - np.minimum(columns["listed"], columns["dialysis_start"])


@dataclass(frozen=True)
class LifeYears:
    """The candidate expected to gain most years from this kidney."""

    name: str = "life-years"
    card: dict[str, Any] = field(default_factory=dict)

    def choose(self, match: MatchRun) -> Choice:
        """The largest expected gain wins."""
        return ranked(match, match["life_years_gained"])
