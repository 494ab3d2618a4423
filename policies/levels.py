"""Candidates of the simulation as the profiles that a question can show."""

import math

import numpy as np
from numpy.typing import NDArray

from policies.protocol import MatchRun
from policies.schemas import SCHEMAS, Profile
from populations.errors import InputError
from populations.schema import SCHEMA, Columns

SIMULATED = {*SCHEMA, "waiting_years", "life_years_gained"}  # known of every candidate


def check_simulated(schema: str, policy: str) -> None:
    """Raise InputError unless candidates have every attribute that the schema shows."""
    lacking = [name for name in SCHEMAS[schema].levels if name not in SIMULATED]
    if lacking:
        usable = [name for name, each in SCHEMAS.items() if set(each.levels) <= SIMULATED]
        raise InputError(
            f"policy {policy!r}: schema {schema!r} shows {', '.join(lacking)}, which candidates of "
            f"the simulation do not have; expected one of {', '.join(usable)}"
        )


def number_of_profiles(schema: str) -> int:
    """How many profiles a schema has."""
    return math.prod(map(len, SCHEMAS[schema].levels.values()))


def nearest_levels(schema: str, candidates: Columns | MatchRun) -> NDArray[np.intp]:
    """Place of the level nearest to each candidate's value; of two as near, the lower one.

    Returns
    -------
    ndarray of int, shape (n, k)
        For each of the schema's k attributes, in its order.
    """
    places = []
    for name, values in SCHEMAS[schema].levels.items():
        levels = np.array(values, dtype=np.float64)
        halfway = (levels[1:] + levels[:-1]) / 2
        places.append(np.searchsorted(halfway, candidates[name], side="left"))
    return np.stack(places, axis=1)


def profile_numbers(schema: str, candidates: Columns | MatchRun) -> NDArray[np.intp]:
    """Number of each candidate's nearest profile, shape (n,)."""
    counts = tuple(map(len, SCHEMAS[schema].levels.values()))
    return np.asarray(np.ravel_multi_index(tuple(nearest_levels(schema, candidates).T), counts))


def profiles(schema: str, candidates: Columns | MatchRun) -> list[Profile]:
    """Each candidate's nearest profile, in the attributes' units."""
    levels = SCHEMAS[schema].levels.values()
    return [
        tuple(values[place] for values, place in zip(levels, row, strict=True))
        for row in nearest_levels(schema, candidates).tolist()
    ]
