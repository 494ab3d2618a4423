"""Turning chances into people, one after the other: fresh lots, or one lottery number for life.

Before anything is known of their luck, a kidney goes to each candidate with the chance the policy
gave them either way. With a number for life, luck with one kidney tells of the next: whoever has
lost before is likelier to lose again than the chances stated at the kidney say.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from policies.protocol import FURTHER, Chances, Choice
from populations.errors import InputError
from populations.world import World
from sim.match import Match

LOTTERIES: tuple[str, ...] = ("fresh", "persistent")
SUM_TOLERANCE = 1e-9
NOBODY = -1
_LARGEST = float(np.finfo(np.float64).max)
_BELOW_ONE = math.nextafter(1.0, 0.0)
_NEARLY_ALL = 1e-6

Drawn = Iterator[tuple[int, float]]
Lots = Callable[[Match, Choice, Iterator[float]], Drawn]


def fresh_lots(shown: Match, choice: Choice, tickets: Iterator[float]) -> Drawn:
    """Slot and chance of whoever is drawn, one after the other, nobody twice.

    Each draw is by the chances of those not drawn before. Ends with ``NOBODY`` if a ticket falls on
    the chance the policy gave to nobody, or without it when all who have a chance were drawn.

    Parameters
    ----------
    shown : Match
    choice : Choice
        Of the policy, about ``shown``.
    tickets : iterator of float
        Uniform on [0, 1); one is used for every draw.
    """
    slots, left, nobody = _parts(shown, choice)
    cumulative = left.cumsum()
    drawn: list[int] = []
    unspent = float(cumulative[-1])  # roughly: when little is left, it is added up anew
    for ticket in tickets:
        point = ticket * (float(cumulative[-1]) + nobody)
        while True:
            total = float(cumulative[-1])
            if nobody and point >= total:
                yield NOBODY, 0.0
                return
            place = _place(cumulative, point)
            if place not in drawn:
                break
            # Drawn before: where in their share the ticket fell decides between the others.
            part = float(left[place])
            share = (point - (float(cumulative[place]) - part)) / part
            left, cumulative = _without(left, drawn)
            drawn.clear()
            unspent = float(cumulative[-1])
            point = min(max(share, 0.0), _BELOW_ONE) * (float(cumulative[-1]) + nobody)
        drawn.append(place)
        chance = float(choice.chances[place])
        yield _slot(shown, slots, place), chance
        unspent -= chance
        if unspent <= _NEARLY_ALL * float(cumulative[-1]):
            left, cumulative = _without(left, drawn)
            drawn.clear()
            unspent = float(cumulative[-1])
            if not unspent > 0.0:
                return


def _without(chances: Chances, places: list[int]) -> tuple[Chances, Chances]:
    """Chances with some taken out, and their running total."""
    left = chances.copy()
    left[places] = 0.0
    return left, left.cumsum()


def persistent_lots(numbers: NDArray[np.float64]) -> Lots:
    """The same with a lottery number each for life: the smallest E_i / q_i comes first.

    Times to the first event of independent Poisson processes with rates q_i: the first is i's with
    chance q_i over the sum, whoever has been taken out. Tickets only tell if it is anybody. At most
    ``FURTHER`` are drawn.

    Parameters
    ----------
    numbers : ndarray, shape (all candidates,)
        E_i, unit exponentials, the same at every kidney.
    """

    def lots(shown: Match, choice: Choice, tickets: Iterator[float]) -> Drawn:
        slots, chances, nobody = _parts(shown, choice)
        inside = np.flatnonzero(chances > 0.0)
        with np.errstate(over="ignore"):  # a chance of 1e-310 is late, not never
            times = numbers[shown.pool.rows[slots][inside]] / chances[inside]
        times = np.minimum(times, _LARGEST)
        if len(times) > FURTHER:
            near = np.flatnonzero(times <= np.partition(times, FURTHER - 1)[FURTHER - 1])
        else:
            near = np.arange(len(times))
        total = float(chances.sum())
        for place in inside[near[np.argsort(times[near], kind="stable")]].tolist():
            if nobody and next(tickets) * (total + nobody) >= total:
                yield NOBODY, 0.0
                return
            total -= float(chances[place])
            yield _slot(shown, slots, place), float(chances[place])

    return lots


def lots_of(world: World, tie_seed: int, lottery: str) -> Lots:
    """What draws from a policy's chances, under one memory of luck.

    Raises
    ------
    InputError
        If ``lottery`` is not one of ``LOTTERIES``.
    """
    check_lottery(lottery)
    if lottery == "fresh":
        return fresh_lots
    return persistent_lots(world.lottery_numbers(tie_seed))


def check_lottery(lottery: str) -> None:
    """Raise InputError unless ``lottery`` is one of ``LOTTERIES``."""
    if lottery not in LOTTERIES:
        raise InputError(f"lottery {lottery!r}: expected one of {', '.join(LOTTERIES)}")


def _parts(shown: Match, choice: Choice) -> tuple[NDArray[np.intp] | slice, Chances, float]:
    """Whom the chances speak of, the chances, and the chance of nobody."""
    slots = shown.slots if choice.slots is None else choice.slots
    nobody = 1.0 - float(choice.chances.sum())
    return slots, choice.chances, nobody if nobody > SUM_TOLERANCE else 0.0  # rounding is nobody


def _slot(shown: Match, slots: NDArray[np.intp] | slice, place: int) -> int:
    slot = place if isinstance(slots, slice) else int(slots[place])
    if not shown.mask[slot]:
        raise InputError("a policy gave a chance to a slot that holds no candidate of the run")
    return slot


def _place(cumulative: Chances, point: float) -> int:
    """Where ``point`` falls; never on a place that adds nothing, however ``point`` was rounded."""
    inside = min(max(point, 0.0), math.nextafter(float(cumulative[-1]), 0.0))
    return int(cumulative.searchsorted(inside, "right"))
