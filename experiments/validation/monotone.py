"""Rung 5: what must follow when a world is changed in one respect, and what must not."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from experiments.validation.check import Check, exact
from experiments.validation.queue import queue
from policies.rules import FirstCome, Points
from populations.schema import SCHEMA
from populations.world import World
from sim.record import TABLES, Record
from sim.waitlist import simulate

KEPT = (0.2, 0.5, 0.8, 0.95, 1.0)  # shares of the kidneys that are left, each within the next


def fewer_kidneys(world: World, rows: np.ndarray) -> World:
    """The same world with the kidneys in ``rows`` (ascending) alone."""
    return replace(world, kidneys={name: column[rows] for name, column in world.kidneys.items()})


def more_kidneys(worlds: int) -> list[Check]:
    """More of the same kidneys never mean fewer transplants."""
    pairs = falls = gained = 0
    for number in range(worlds):
        world = queue(number)
        order = np.random.default_rng(number).permutation(len(world.kidneys["time"]))
        counts = []
        for kept in KEPT:
            rows = np.sort(order[: int(kept * len(order))])
            fates = simulate(fewer_kidneys(world, rows), FirstCome()).fates["fate"]
            counts.append(int((fates == "transplanted").sum()))
        pairs += len(counts) - 1
        falls += sum(later < earlier for earlier, later in pairwise(counts))
        gained += counts[-1] > counts[0]
    said = f"{pairs} pairs of worlds, one with a part of the other's kidneys"
    return [
        exact("monotone", "more kidneys, fewer transplants", 0, falls, said),
        exact("monotone", "five times the kidneys, more transplants", worlds, gained),
    ]


def relabelled(world: World, attribute: str) -> World:
    """The same world with the groups of an audit attribute renamed, in reverse order."""
    codes = world.candidates[attribute]
    other = (len(SCHEMA[attribute].levels) - 1 - codes).astype(codes.dtype)
    return replace(world, candidates={**world.candidates, attribute: other})


def audit_labels(world: World) -> list[Check]:
    """What groups are called changes nothing, under a rule that does not read them.

    For a world in which nobody returns: how long they live on the list then is drawn in the run, by
    race.
    """
    before = simulate(world, Points())
    checks = []
    for name, attribute in SCHEMA.items():
        if attribute.role == "audit":
            after = simulate(relabelled(world, name), Points())
            said = f"decisions, offers and fates that change when {name} is relabelled"
            checks.append(exact("monotone", said, 0, _changed(before, after)))
    return checks


def _changed(one: Record, other: Record) -> int:
    """Rows that differ in tables without names of groups."""
    changed = 0
    for table in TABLES:
        if table in ("candidates", "ties"):
            continue
        a, b = getattr(one, table), getattr(other, table)
        if len(a) != len(b):
            changed += abs(len(a) - len(b))
            continue
        same = (a.eq(b) | (a.isna() & b.isna())).all(axis=1)
        changed += int((~same).sum())
    return changed
