"""What a question says about a patient: the attributes of the human studies, and their words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Profile = tuple[float, ...]
Scale = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class ProfileSchema:
    """What a patient in a question is.

    Parameters
    ----------
    levels : dict of attribute to values, in the attribute's unit
        Every combination is a profile.
    directions : dict of attribute to +1 or -1
        +1 where people were found to favour more of it, -1 where less; what dominance and the
        check of a coding's signs are judged by.
    describe : callable
        The words that a profile is shown in.
    """

    levels: dict[str, tuple[float, ...]]
    directions: dict[str, int]
    describe: Callable[[Profile], str]

    @property
    def scale(self) -> Scale:
        """The lowest and highest value of each attribute."""
        return {name: (values[0], values[-1]) for name, values in self.levels.items()}


def _count(number: float, one: str, more: str = "") -> str:
    return f"{number:.0f} {one if number == 1 else more or one + 's'}"


def _indecision3(profile: Profile) -> str:
    age, drinks, dependents = profile
    return (
        f"{age:.0f} years old, {_count(drinks, 'drink')} per day prediagnosis, "
        f"{_count(dependents, 'child dependent')}"
    )


def _freedman3(profile: Profile) -> str:
    age, drinks, cancer = profile
    drinking = "5 alcoholic drinks per day" if drinks > 1 else "1 alcoholic drink per month"
    health = "skin cancer in remission" if cancer else "no other major health problems"
    return f"{age:.0f} years old, {drinking} prediagnosis, {health}"


def _stability5(profile: Profile) -> str:
    elderly, life_years, obesity, hours, waiting = profile
    return (
        f"{_count(elderly, 'elderly dependent')}, {_count(life_years, 'year')} of life expected to "
        f"be gained, obesity level {obesity:.0f} of 4, works {_count(hours, 'hour')} per week, "
        f"{_count(waiting, 'year')} on the waiting list"
    )


def _duke8(profile: Profile) -> str:
    dependents, life_years, waiting, hours, drinks, crimes, obesity, rejection = profile
    return (
        f"{_count(dependents, 'dependent')}, {_count(life_years, 'year')} of life expected to be "
        f"gained, {_count(waiting, 'year')} on the waiting list, works {_count(hours, 'hour')} per "
        f"week, {_count(drinks, 'drink')} per day prediagnosis, "
        f"{_count(crimes, 'serious crime')} committed, obesity level {obesity:.0f} of 4, "
        f"{rejection:.0f}% chance of rejecting the kidney"
    )


_INDECISION_DIRECTIONS = {"age": -1, "drinks_per_day": -1, "child_dependents": 1}

SCHEMAS: dict[str, ProfileSchema] = {
    # Ranges, words and directions of McElfresh et al. 2021, study 2 (R; directions D).
    "indecision3": ProfileSchema(
        {
            "age": tuple(range(25, 71)),
            "drinks_per_day": (1, 2, 3, 4, 5),
            "child_dependents": (0, 1, 2),
        },
        _INDECISION_DIRECTIONS,
        _indecision3,
    ),
    # The same on a grid coarse enough to ask about every pair (A).
    "indecision3-coarse": ProfileSchema(
        {"age": (25, 40, 55, 70), "drinks_per_day": (1, 3, 5), "child_dependents": (0, 1, 2)},
        _INDECISION_DIRECTIONS,
        _indecision3,
    ),
    # The eight profiles of Freedman et al. 2020 (R); numbers and words from memory (M).
    "freedman3": ProfileSchema(
        {"age": (30, 70), "drinks_per_day": (1 / 30, 5), "skin_cancer": (0, 1)},
        {"age": -1, "drinks_per_day": -1, "skin_cancer": -1},
        _freedman3,
    ),
    # Attributes and ranges of Boerstler et al. 2024, study 2 (R; directions D); steps and words
    # are ours (A).
    "stability5": ProfileSchema(
        {
            "elderly_dependents": (0, 1, 2, 3),
            "life_years_gained": (5, 10, 15, 20, 25),
            "obesity": (0, 1, 2, 3, 4),
            "weekly_work_hours": (0, 10, 20, 30, 40, 50),
            "waiting_years": (1, 2, 3, 4, 5, 6, 7),
        },
        {
            "elderly_dependents": 1,
            "life_years_gained": 1,
            "obesity": -1,
            "weekly_work_hours": 1,
            "waiting_years": 1,
        },
        _stability5,
    ),
    # Attributes and ranges of Keswani et al. 2026 (R), directions from what 301 of its people said
    # matters (D); steps and words are ours (A).
    "duke8": ProfileSchema(
        {
            "dependents": (0, 1, 2, 3, 4),
            "life_years_gained": (5, 10, 15, 20, 25),
            "waiting_years": (1, 3, 5, 7, 9, 11),
            "weekly_work_hours": (10, 20, 30, 40),
            "drinks_per_day": (0, 1, 2, 3),
            "serious_crimes": (0, 1, 2),
            "obesity": (0, 1, 2, 3, 4),
            "rejection_percent": (1, 5, 10, 15, 20),
        },
        {
            "dependents": 1,
            "life_years_gained": 1,
            "waiting_years": 1,
            "weekly_work_hours": 1,
            "drinks_per_day": -1,
            "serious_crimes": -1,
            "obesity": -1,
            "rejection_percent": -1,
        },
        _duke8,
    ),
}
