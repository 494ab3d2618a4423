"""The official formulae: EPTS, KDRI and KDPI, ABO compatibility, cPRA points.

Sources
-------
EPTS : OPTN policy text, the raw score (tag R, as transcribed in transplantr, CRAN). Mapping tables:
    "2018" (R2, transplantr; it has no row for 99, so that whatever lies above 98 is 100) and
    "later" (R2, a public transcription of a newer OPTN table that does not state its year).
KDRI, Rao : Rao et al., Transplantation 2009; 88:231-236 (R). OPTN scaling factors and mapping
    tables of the reference years 2014 to 2023 (R2).
KDRI, refit : OPTN 2024, race and hepatitis C removed, in force from 31 October 2024, with the
    scaling factors and mapping tables of the donor populations of 2023 and 2024 (R2, three
    transcriptions of the OPTN guide to KDPI of 21 April 2025).
cPRA points : OPTN policy, kidney allocation points. The point values are from memory (M, confidence
    0.95: check against the policy before publishing); that a cPRA is rounded to a whole percent
    before it is used is from UNOS, "Clarification of CPRA calculation value and display" (R).
ABO : blood group rules; compatible is wider than what US policy offers in practice.

In every mapping table the upper bound of a row belongs to that row.
Ranges that inputs are checked against: donor age up to 99 years, height up to 241.3 cm, weight
0.454 to 294 kg are OPTN's (R2); the others only catch wrong units (assumptions, A).
"""

import csv
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from populations.errors import InputError
from populations.schema import SCHEMA, nearest_percent

Floats = NDArray[np.float64]

_TABLES = Path(__file__).parent / "tables"
_EPTS_TABLE = "epts_mapping_2018_and_later.csv"
_KDPI_TABLE = "kdpi_mapping_2014_2024.csv"
_SCALING_TABLE = "kdri_scaling_2014_2024.csv"

_CREATININE_CAP = 8.0  # mg/dL

# Donor (row) to recipient (column), codes in the schema's order O, A, B, AB.
_COMPATIBLE = np.array(
    [
        [True, True, True, True],
        [False, True, False, True],
        [False, False, True, True],
        [False, False, False, True],
    ]
)

# First whole percent of each band, and its points.
_CPRA_SCALE = {
    0: 0.0,
    20: 0.08,
    30: 0.21,
    40: 0.34,
    50: 0.48,
    60: 0.81,
    70: 1.09,
    75: 1.58,
    80: 2.46,
    85: 4.05,
    90: 6.71,
    95: 10.82,
    96: 12.17,
    97: 17.30,
    98: 24.40,
    99: 50.09,
    100: 202.10,
}
_CPRA_STARTS = np.array(list(_CPRA_SCALE))
_CPRA_POINTS = np.array(list(_CPRA_SCALE.values()))


class Donor(NamedTuple):
    """What KDRI needs to know of n donors: each field a number or an array of shape (n,).

    ``age`` years, ``height`` cm, ``weight`` kg, ``creatinine`` mg/dL; ``hypertension``,
    ``diabetes``, ``stroke`` (cause of death) and ``dcd`` (donation after circulatory death) 0 or 1.
    """

    age: ArrayLike
    height: ArrayLike
    weight: ArrayLike
    creatinine: ArrayLike
    hypertension: ArrayLike
    diabetes: ArrayLike
    stroke: ArrayLike
    dcd: ArrayLike


def epts_raw(
    age: ArrayLike, diabetes: ArrayLike, prior_transplant: ArrayLike, dialysis_years: ArrayLike
) -> Floats:
    """Raw score of Estimated Post-Transplant Survival; higher is shorter expected survival.

    Parameters
    ----------
    age, dialysis_years : array_like, shape (n,)
        Decimal years; zero years of dialysis means not on dialysis.
    diabetes, prior_transplant : array_like, shape (n,)
        0 or 1; a prior transplant is of any solid organ.

    Returns
    -------
    ndarray, shape (n,)

    Raises
    ------
    InputError
        If a value is missing, or out of range.
    """
    years = _checked("EPTS", "age", age, 0, 120)
    dm = _flag("EPTS", "diabetes", diabetes)
    prior = _flag("EPTS", "prior_transplant", prior_transplant)
    dialysis = _checked("EPTS", "dialysis_years", dialysis_years, 0, 120)
    over_25 = np.maximum(years - 25, 0)
    log_dialysis = np.log1p(dialysis)
    not_on_dialysis = dialysis == 0
    without_diabetes = (
        0.047 * over_25 + 0.398 * prior + 0.315 * log_dialysis + 0.130 * not_on_dialysis
    )
    added_by_diabetes = (
        1.262 - 0.015 * over_25 - 0.237 * prior - 0.099 * log_dialysis - 0.348 * not_on_dialysis
    )
    return np.asarray(without_diabetes + dm * added_by_diabetes)


def epts_percent(raw: ArrayLike, reference: str = "2018") -> Floats:
    """EPTS in percent, 0 to 100, of raw scores, shape (n,).

    Parameters
    ----------
    raw : array_like, shape (n,)
    reference : {"2018", "later"}
        Mapping table. The default is the one whose year is known, so that it can be cited.

    Raises
    ------
    InputError
        If a score is not a number, or the reference is unknown.
    """
    score = _checked("EPTS", "raw", raw, -np.inf, np.inf)
    return _percent(_EPTS_TABLE, reference, score)


def kdri_rao(donor: Donor, black: ArrayLike, hcv: ArrayLike) -> Floats:
    """Kidney Donor Risk Index of Rao et al. 2009, before scaling; 1 is their reference donor.

    Parameters
    ----------
    donor : Donor
        Of n donors.
    black, hcv : array_like, shape (n,)
        0 or 1: African-American race, hepatitis C.

    Returns
    -------
    ndarray, shape (n,)

    Raises
    ------
    InputError
        If a value is missing, or out of range.
    """
    source = "KDRI (Rao 2009)"
    d = _checked_donor(source, donor)
    creatinine = np.minimum(d.creatinine, _CREATININE_CAP)
    return np.exp(
        0.0128 * (d.age - 40)
        - 0.0194 * np.minimum(d.age - 18, 0)
        + 0.0107 * np.maximum(d.age - 50, 0)
        - 0.0464 * (d.height - 170) / 10
        - 0.0199 * np.minimum(d.weight - 80, 0) / 5
        + 0.179 * _flag(source, "black", black)
        + 0.126 * d.hypertension
        + 0.130 * d.diabetes
        + 0.0881 * d.stroke
        + 0.220 * (creatinine - 1)
        - 0.209 * np.maximum(creatinine - 1.5, 0)
        + 0.240 * _flag(source, "hcv", hcv)
        + 0.133 * d.dcd
    )


def kdri_refit(donor: Donor) -> Floats:
    """Kidney Donor Risk Index refitted by the OPTN in 2024, before scaling, shape (n,).

    The creatinine cap of 8 mg/dL is printed for the index of 2009 and taken over here (A).

    Raises
    ------
    InputError
        If a value is missing, or out of range.
    """
    d = _checked_donor("KDRI (refit 2024)", donor)
    creatinine = np.minimum(d.creatinine, _CREATININE_CAP)
    return np.exp(
        0.0092 * (d.age - 40)
        + 0.0113 * np.minimum(d.age - 18, 0)
        + 0.0067 * np.maximum(d.age - 50, 0)
        - 0.0557 * (d.height - 170) / 10
        - 0.0333 * np.minimum(d.weight - 80, 0) / 5
        + 0.1106 * d.hypertension
        + 0.2577 * d.diabetes
        + 0.0743 * d.stroke
        + 0.2128 * (creatinine - 1)
        - 0.2199 * np.maximum(creatinine - 1.5, 0)
        + 0.1966 * d.dcd
    )


def kdpi_percent(kdri: ArrayLike, reference: str) -> Floats:
    """Kidney Donor Profile Index in percent, 0 to 100, of unscaled KDRI, shape (n,).

    Parameters
    ----------
    kdri : array_like, shape (n,)
        From ``kdri_rao`` for a reference that begins with "rao", else from ``kdri_refit``.
    reference : {"rao-2014", ..., "rao-2023", "refit-2023", "refit-2024"}
        Formula, and the donor year whose scaling factor and mapping table are used.

    Raises
    ------
    InputError
        If a KDRI is not a number or negative, or the reference is unknown.
    """
    unscaled = _checked("KDPI", "kdri", kdri, 0, np.inf)
    return _percent(_KDPI_TABLE, reference, unscaled / _scaling(reference))


def kdri_from_kdpi(kdpi: ArrayLike, reference: str = "rao-2023") -> Floats:
    """Unscaled KDRI typical of kidneys with a KDPI in percent, shape (n,).

    The middle of the row of the mapping table, times the scaling factor; between whole percents,
    linear between the middles. Row 0 has no lower end: its upper bound stands for it.

    Parameters
    ----------
    kdpi : array_like, shape (n,)
        Percent, need not be whole.
    reference : str
        As in ``kdpi_percent``. The default is the newest for Rao's index, which survival models
        with ln KDRI as a covariate use.

    Raises
    ------
    InputError
        If a KDPI is missing or outside 0 to 100, or the reference is unknown.
    """
    percent = _checked("KDRI", "kdpi", kdpi, 0, 100)
    bounds, percents = _rows(_KDPI_TABLE, reference)
    middles = np.append(bounds[0], (bounds[:-1] + bounds[1:]) / 2)
    return np.asarray(np.interp(percent, percents, middles) * _scaling(reference))


def abo_identical(donor: ArrayLike, recipient: ArrayLike) -> NDArray[np.bool_]:
    """Whether donor and recipient have the same blood type; codes O, A, B, AB = 0, 1, 2, 3."""
    return np.asarray(_blood_type("donor", donor) == _blood_type("recipient", recipient))


def abo_compatible(donor: ArrayLike, recipient: ArrayLike) -> NDArray[np.bool_]:
    """Whether the recipient's blood type can take the donor's; codes O, A, B, AB = 0, 1, 2, 3.

    The two broadcast: a scalar donor and recipients of shape (n,) give shape (n,). Subtype A2
    counts as A.

    Raises
    ------
    InputError
        If a code is not one of 0, 1, 2, 3.
    """
    codes = _blood_type("donor", donor), _blood_type("recipient", recipient)
    return np.asarray(_COMPATIBLE[codes])


def cpra_points(cpra: ArrayLike) -> Floats:
    """Allocation points for sensitisation: the sliding scale of US kidney allocation.

    Parameters
    ----------
    cpra : array_like, shape (n,)
        Percent, with decimals. Rounded to a whole percent first, as the OPTN does, halves up (A):
        98.49 counts as 98, 98.5 as 99, 99.5 as 100.

    Returns
    -------
    ndarray, shape (n,)
        0 to 202.10; one point is a year of waiting.

    Raises
    ------
    InputError
        If a cPRA is missing or outside 0 to 100.
    """
    limits = SCHEMA["cpra"]
    percent = _checked("cPRA points", "cpra", cpra, limits.low, limits.high)
    whole = nearest_percent(percent)
    return np.asarray(_CPRA_POINTS[np.searchsorted(_CPRA_STARTS, whole, side="right") - 1])


class _CheckedDonor(NamedTuple):
    age: Floats
    height: Floats
    weight: Floats
    creatinine: Floats
    hypertension: Floats
    diabetes: Floats
    stroke: Floats
    dcd: Floats


def _checked_donor(source: str, donor: Donor) -> _CheckedDonor:
    return _CheckedDonor(
        age=_checked(source, "age", donor.age, 0, 99),
        height=_checked(source, "height", donor.height, 20, 241.3),
        weight=_checked(source, "weight", donor.weight, 0.454, 294),
        creatinine=_checked(source, "creatinine", donor.creatinine, 0.01, 40),
        hypertension=_flag(source, "hypertension", donor.hypertension),
        diabetes=_flag(source, "diabetes", donor.diabetes),
        stroke=_flag(source, "stroke", donor.stroke),
        dcd=_flag(source, "dcd", donor.dcd),
    )


def _checked(source: str, field: str, value: ArrayLike, low: float, high: float) -> Floats:
    """``value`` as floats, all within [low, high]; a NaN is not."""
    values = np.asarray(value, dtype=np.float64)
    wrong = values[~((values >= low) & (values <= high))]
    if wrong.size:
        right = "a number" if low == -np.inf else f"between {low:g} and {high:g}"
        raise InputError(f"{source}: {field} is {wrong.flat[0]:g}; it must be {right}")
    return values


def _flag(source: str, field: str, value: ArrayLike) -> Floats:
    values = np.asarray(value, dtype=np.float64)
    wrong = values[(values != 0) & (values != 1)]
    if wrong.size:
        raise InputError(f"{source}: {field} is {wrong.flat[0]:g}; it must be 0 or 1")
    return values


def _blood_type(field: str, value: ArrayLike) -> NDArray[np.intp]:
    codes = np.asarray(value)
    wrong = codes[~np.isin(codes, np.arange(len(_COMPATIBLE)))]
    if wrong.size:
        levels = ", ".join(SCHEMA["blood_type"].levels)
        raise InputError(f"ABO: {field} is {wrong.flat[0]}; it must be 0, 1, 2 or 3 (for {levels})")
    return codes.astype(np.intp)


def _percent(table: str, reference: str, score: Floats) -> Floats:
    """Percent of the first row of a mapping table whose upper bound is not below the score."""
    bounds, percents = _rows(table, reference)
    return np.asarray(np.append(percents, 100.0)[np.searchsorted(bounds, score, side="left")])


def _scaling(reference: str) -> float:
    return float(_rows(_SCALING_TABLE, reference)[0][0])


@cache
def _rows(table: str, reference: str) -> NDArray[np.float64]:
    """Columns of a shipped table after the first, for one reference; shape (columns, rows)."""
    with (_TABLES / table).open(newline="") as file:
        _, *rows = csv.reader(file)
    chosen = [row[1:] for row in rows if row[0] == reference]
    if not chosen:
        known = ", ".join(dict.fromkeys(row[0] for row in rows))
        raise InputError(f"{table}: reference is {reference!r}; it must be one of {known}")
    return np.array(chosen, dtype=np.float64).T
