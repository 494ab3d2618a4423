"""Which patients a battery asks about: random pairs and lists, and frozen sets of pairs."""

import csv
import math
from functools import cache
from pathlib import Path

import numpy as np

from policies.schemas import SCHEMAS, Profile
from populations.errors import InputError, did_you_mean

PAIRS = Path(__file__).with_name("pairs")


def most_lists(schema: str, size: int) -> int:
    """How many sets of ``size`` different patients a schema has."""
    return math.comb(math.prod(map(len, SCHEMAS[schema].levels.values())), size)


def random_lists(schema: str, size: int, n: int, seed: int) -> list[tuple[Profile, ...]]:
    """Sets of ``size`` different patients, no set twice, at most as many as there are.

    The first sets of a longer list are those of a shorter one.
    """
    levels = tuple(SCHEMAS[schema].levels.values())
    counts = tuple(map(len, levels))
    profiles = math.prod(counts)
    # Pairs keep the seed they had before there were lists: answers are kept about them.
    rng = np.random.default_rng([seed, profiles] if size == 2 else [seed, profiles, size])
    drawn: dict[frozenset[int], tuple[Profile, ...]] = {}
    while len(drawn) < min(n, most_lists(schema, size)):
        numbers = [int(number) for number in rng.integers(profiles, size=size)]
        if len(set(numbers)) == size:
            places = (np.unravel_index(number, counts) for number in numbers)
            patients = tuple(
                tuple(values[i] for values, i in zip(levels, place, strict=True))
                for place in places
            )
            drawn.setdefault(frozenset(numbers), patients)
    return list(drawn.values())


def frozen_names(schema: str) -> list[str]:
    """The frozen sets of a schema."""
    return sorted(
        path.stem.removeprefix(f"{schema}-") for path in PAIRS.glob(f"{schema}-frozen-*.csv")
    )


@cache
def frozen_pairs(schema: str, name: str) -> tuple[tuple[Profile, Profile], ...]:
    """The pairs of a frozen set, in their order.

    Raises
    ------
    InputError
        If there is no such set.
    """
    names = frozen_names(schema)
    if name not in names:
        raise InputError(
            f"pairs {name!r}: {did_you_mean(name, names)}expected random"
            f"{''.join(f', {known}' for known in names)} (schema {schema})"
        )
    columns = [f"{side}.{attribute}" for side in "ab" for attribute in SCHEMAS[schema].levels]
    half = len(columns) // 2
    with (PAIRS / f"{schema}-{name}.csv").open(encoding="utf-8", newline="") as file:
        lines = csv.DictReader(line for line in file if not line.startswith("#"))
        rows = [[float(line[column]) for column in columns] for line in lines]
    return tuple((tuple(row[:half]), tuple(row[half:])) for row in rows)
