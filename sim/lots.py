"""Turning chances into a person: a fresh ticket for every kidney, or one lottery number for life.

Before anything is known of their luck, a kidney goes to each candidate with the chance the policy
gave them either way. With a number for life, luck with one kidney tells of the next: whoever has
lost before is likelier to lose again than the chances stated at the kidney say.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from policies.protocol import Chances, Choice
from populations.errors import InputError
from populations.world import World
from sim.match import Match

LOTTERIES: tuple[str, ...] = ("fresh", "persistent")
SUM_TOLERANCE = 1e-9
_LARGEST = float(np.finfo(np.float64).max)


class Lots:
    """Drawing from a choice again and again while centres refuse, with a ticket each time.

    Centres first, then a candidate of that centre: the same distribution as drawing candidates, and
    a refusal costs a look at the centres instead of a pass over the list.
    """

    def __init__(self, shown: Match, choice: Choice) -> None:
        slots = shown.slots if choice.slots is None else choice.slots
        self._rows = shown.pool.rows[slots]
        self._centres = shown.centres[slots]
        self._chances = choice.chances
        self._single = len(choice.chances) == 1
        self._mask = shown.mask if isinstance(slots, slice) else None
        if self._single:
            nobody = 1.0 - float(choice.chances[0])
        else:
            self._bins = shown.centre_bins[slots]
            self._mass = np.bincount(self._bins, weights=choice.chances)
            nobody = 1.0 - float(self._mass.sum())
        self._nobody = nobody if nobody > SUM_TOLERANCE else 0.0  # rounding is nobody
        self.exhausted = False

    def drop(self, centre: int) -> None:
        """Take out a centre that refused; exhausted once no other has a candidate with a chance."""
        if not self._single:
            self._mass[centre] = 0.0
        self.exhausted = self._single or not self._mass.any()

    def draw(self, ticket: float) -> tuple[int, int, float]:
        """Row, centre and chance of who is drawn; row -1 if the ticket falls on nobody."""
        if self._single:
            if ticket >= 1.0 - self._nobody:
                return -1, -1, 0.0
            return int(self._rows[0]), int(self._centres[0]), float(self._chances[0])
        cumulative = self._mass.cumsum()
        total = float(cumulative[-1])
        point = ticket * (total + self._nobody)
        if point >= total and self._nobody:
            return -1, -1, 0.0
        place = self._winner(cumulative, point)
        if self._mask is not None and not self._mask[place]:
            raise InputError("a policy gave a chance to a slot that holds no candidate of the run")
        return int(self._rows[place]), int(self._centres[place]), float(self._chances[place])

    def _winner(self, cumulative: Chances, point: float) -> int:
        """Who holds the chance at ``point`` of the centres' ``cumulative`` mass."""
        centre = _place(cumulative, point)
        of_centre = (self._centres == centre).nonzero()[0]
        within = self._chances[of_centre].cumsum()
        past = point - float(cumulative[centre] - self._mass[centre])
        return int(of_centre[_place(within, past)])


class LotteryNumbers(Lots):
    """The same with a lottery number each for life: the smallest E_i / q_i wins.

    Times to the first event of independent Poisson processes with rates q_i: the first is i's with
    chance q_i over the sum, whoever has been taken out. Tickets only tell if it is anybody.

    Parameters
    ----------
    shown, choice
        As for ``Lots``.
    numbers : ndarray, shape (all candidates,)
        E_i, unit exponentials, the same at every kidney.
    """

    def __init__(self, shown: Match, choice: Choice, numbers: NDArray[np.float64]) -> None:
        super().__init__(shown, choice)
        if self._single:
            return
        inside = self._chances > 0.0
        with np.errstate(over="ignore"):  # a chance of 1e-310 is late, not never
            times = np.divide(
                numbers[self._rows], self._chances, where=inside, out=np.full(len(inside), np.inf)
            )
        self._times = np.minimum(times, _LARGEST, where=inside, out=times)
        self._first = np.full(len(self._mass), np.inf)
        np.minimum.at(self._first, self._bins, self._times)

    def drop(self, centre: int) -> None:
        """Take out a centre that refused."""
        super().drop(centre)
        if not self._single:
            self._first[centre] = np.inf

    def _winner(self, cumulative: Chances, point: float) -> int:
        centre = int(self._first.argmin())
        at = (self._times == self._first[centre]) & (self._centres == centre)
        return int(at.argmax())


def lots_of(world: World, tie_seed: int, lottery: str) -> Callable[[Match, Choice], Lots]:
    """What makes the lots of a match run, under one memory of luck.

    Raises
    ------
    InputError
        If ``lottery`` is not one of ``LOTTERIES``.
    """
    check_lottery(lottery)
    if lottery == "fresh":
        return Lots
    numbers = world.lottery_numbers(tie_seed)
    return lambda shown, choice: LotteryNumbers(shown, choice, numbers)


def check_lottery(lottery: str) -> None:
    """Raise InputError unless ``lottery`` is one of ``LOTTERIES``."""
    if lottery not in LOTTERIES:
        raise InputError(f"lottery {lottery!r}: expected one of {', '.join(LOTTERIES)}")


def _place(cumulative: Chances, point: float) -> int:
    """Where ``point`` falls; never on a place that adds nothing, however ``point`` was rounded."""
    inside = min(max(point, 0.0), math.nextafter(float(cumulative[-1]), 0.0))
    return int(cumulative.searchsorted(inside, "right"))
