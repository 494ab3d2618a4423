"""Every attribute of a candidate: its role, unit and range, in one place."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Role = Literal["moral", "clinical", "audit"]
Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Attribute:
    """One attribute of a candidate.

    Parameters
    ----------
    name : str
        Column name.
    role : {"moral", "clinical", "audit"}
        ``moral`` may drive a choice, ``clinical`` drives eligibility and outcomes, ``audit`` must
        not drive a choice and is what fairness is measured on.
    unit : str
        Unit of a number, or ``"category"``.
    low, high : float
        Allowed range of a number, both ends included; for a category, of its code.
    levels : tuple of str
        Names of the codes 0, 1, ... of a category; empty for a number.
    description : str
        One line for a reader.
    """

    name: str
    role: Role
    unit: str
    low: float
    high: float
    description: str
    levels: tuple[str, ...] = ()


def _number(
    name: str, role: Role, unit: str, low: float, high: float, description: str
) -> Attribute:
    return Attribute(name, role, unit, low, high, description)


def _category(name: str, role: Role, levels: tuple[str, ...], description: str) -> Attribute:
    return Attribute(name, role, "category", 0, len(levels) - 1, description, levels)


_YES_NO = ("no", "yes")

SCHEMA: dict[str, Attribute] = {
    attribute.name: attribute
    for attribute in (
        _number("age", "moral", "years", 0, 100, "age"),
        _number(
            "drinks_per_day", "moral", "drinks/day", 0, 20, "alcoholic drinks before diagnosis"
        ),
        _number("child_dependents", "moral", "children", 0, 10, "children who depend on them"),
        _category("skin_cancer", "moral", _YES_NO, "skin cancer in remission"),
        _category("blood_type", "clinical", ("O", "A", "B", "AB"), "ABO blood type"),
        _number(
            "cpra",
            "clinical",
            "percent",
            0,
            100,
            "share of donors who have an antigen that is unacceptable to them",
        ),
        _category("diabetes", "clinical", _YES_NO, "diabetes"),
        _category("prior_transplant", "clinical", _YES_NO, "an earlier solid-organ transplant"),
        _category("prior_living_donor", "clinical", _YES_NO, "gave an organ while living"),
        _number("dialysis_years", "clinical", "years", 0, 60, "time on dialysis, 0 if not on it"),
        _number("epts", "clinical", "percent", 0, 100, "estimated post-transplant survival score"),
        _category("sex", "audit", ("female", "male"), "sex"),
        _category(
            "race", "audit", ("Asian", "Black", "Hispanic", "White", "Other"), "race or ethnicity"
        ),
        _category(
            "insurance", "audit", ("Private", "Medicare", "Medicaid", "Other"), "main insurance"
        ),
        _category(
            "neighbourhood",
            "audit",
            ("Q1", "Q2", "Q3", "Q4", "Q5"),
            "quintile of neighbourhood deprivation, Q5 the most deprived",
        ),
    )
}

ADULT = 18.0  # years; every hazard of the model is of adults
AGE_BANDS: tuple[str, ...] = ("18-34", "35-49", "50-64", "65+")
_BAND_STARTS = np.array([35.0, 50.0, 65.0])


def age_band(age: NDArray[np.floating]) -> NDArray[np.int8]:
    """Code of the age band (index into ``AGE_BANDS``) of each age in years, shape (n,)."""
    return np.searchsorted(_BAND_STARTS, age, side="right").astype(np.int8)


def nearest_percent(percent: NDArray[np.floating]) -> NDArray[np.float64]:
    """Percents rounded to whole ones, halves up, as allocation reads a cPRA; shape (n,)."""
    return np.floor(percent + 0.5)
