"""The United Kingdom's risk indices of recipients and donors, and their quarters.

Source: NHS Blood and Transplant, the kidney offering scheme of September 2019 (policy POL186), as
transcribed in transplantr (Asher, CRAN 0.2.0; R: its formulae, cut points and tests).

An index equal to a cut point belongs to the lower quarter. Ranges that inputs are checked against
only catch wrong units (assumptions, A).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from populations.formulae import Floats, _checked, _flag

_DAYS = 365.25  # in a year

RECIPIENT_CUTS = (0.74, 0.94, 1.20)
DONOR_CUTS = (0.79, 1.12, 1.50)


def ukkrri(
    age: ArrayLike,
    dialysis_at_listing: ArrayLike,
    waiting_days: ArrayLike,
    diabetes: ArrayLike,
) -> Floats:
    """UK Kidney Recipient Risk Index; higher is shorter expected survival.

    Parameters
    ----------
    age : array_like, shape (n,)
        Years; up to 25 all the same.
    dialysis_at_listing, diabetes : array_like, shape (n,)
        0 or 1.
    waiting_days : array_like, shape (n,)
        Since the start of dialysis.

    Returns
    -------
    ndarray, shape (n,)

    Raises
    ------
    InputError
        If a value is missing, or out of range.
    """
    source = "UKKRRI"
    years = _checked(source, "age", age, 0, 120)
    dialysis = _flag(source, "dialysis_at_listing", dialysis_at_listing)
    days = _checked(source, "waiting_days", waiting_days, 0, 120 * _DAYS)
    return np.exp(
        0.016 * (years - 75) * (years > 25)
        + 0.361 * dialysis
        + 0.033 * (days - 950) / _DAYS
        + 0.252 * _flag(source, "diabetes", diabetes)
    )


def ukkdri(
    age: ArrayLike,
    height: ArrayLike,
    hypertension: ArrayLike,
    female: ArrayLike,
    cmv: ArrayLike,
    gfr: ArrayLike,
    hospital_days: ArrayLike,
) -> Floats:
    """UK Kidney Donor Risk Index of 2019; higher is shorter expected survival of the graft.

    Parameters
    ----------
    age : array_like, shape (n,)
        Years.
    height : array_like, shape (n,)
        cm.
    hypertension, female, cmv : array_like, shape (n,)
        0 or 1; ``cmv``: antibodies against cytomegalovirus.
    gfr : array_like, shape (n,)
        Estimated glomerular filtration rate at donation, mL/min.
    hospital_days : array_like, shape (n,)
        Days in hospital before donation.

    Returns
    -------
    ndarray, shape (n,)

    Raises
    ------
    InputError
        If a value is missing, or out of range.
    """
    source = "UKKDRI"
    return np.exp(
        0.023 * (_checked(source, "age", age, 0, 120) - 50)
        - 0.152 * (_checked(source, "height", height, 20, 250) - 170) / 10
        + 0.149 * _flag(source, "hypertension", hypertension)
        - 0.184 * _flag(source, "female", female)
        + 0.190 * _flag(source, "cmv", cmv)
        - 0.023 * (_checked(source, "gfr", gfr, 0, 400) - 90) / 10
        + 0.015 * _checked(source, "hospital_days", hospital_days, 0, 1000)
    )


def recipient_quarter(index: ArrayLike) -> NDArray[np.intp]:
    """Quarter of each UKKRRI, 1 to 4 (R1 to R4), shape (n,)."""
    return _quarter("UKKRRI", RECIPIENT_CUTS, index)


def donor_quarter(index: ArrayLike) -> NDArray[np.intp]:
    """Quarter of each UKKDRI, 1 to 4 (D1 to D4), shape (n,)."""
    return _quarter("UKKDRI", DONOR_CUTS, index)


def _quarter(source: str, cuts: tuple[float, ...], index: ArrayLike) -> NDArray[np.intp]:
    values = _checked(source, "index", index, 0, np.inf)
    return np.asarray(np.searchsorted(cuts, values, side="left") + 1)
