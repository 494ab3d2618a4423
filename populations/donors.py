"""Deceased donors and their kidneys: when and from where they come, quality and tissue type."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from populations.bring import given_donors
from populations.formulae import kdri_from_kdpi
from populations.hla import draw_hla
from populations.parameters import Parameters
from populations.people import Floats, draw_category, filled, poisson_times
from populations.streams import stream

# Ages of 88,209 US donors 2000-15, years: mean and standard deviation (Husain 2018, table 1; R).
_AGE_MEAN, _AGE_SD = 37.0, 16.0
_AGES = (1.0, 85.0)  # A: kidneys of infants and of the very old are seldom offered singly
# Rao 2009: log KDRI rises by 0.0128 a year, and by 0.0107 more after 50, as a fifth of donors are.
_RAO_AGE_SLOPE = 0.0128 + 0.2 * 0.0107


def draw_kidneys(p: Parameters, seed: int, number: int, years: float) -> dict[str, NDArray[Any]]:
    """Kidneys of a world in order of time, each column shape (m,).

    Returns
    -------
    dict of ndarray
        ``time`` (years), ``donor``, ``blood_type``, ``kdpi`` (percent), ``donor_age`` (years),
        ``hla`` (antigens as bits), ``hospital`` and ``appeal`` (standard normal: what draws centres
        to a kidney beyond its KDPI). Both kidneys of a donor are alike in all of them.
    """

    def streams(purpose: str) -> np.random.Generator:
        return stream(seed, number, f"donor {purpose}")

    times, given = given_donors(p, streams, years) or (
        poisson_times(streams("time"), p.kidneys.per_year / p.kidneys.per_donor, years),
        {},
    )
    donors = len(times)
    # Even by construction of the index.
    kdpi = filled(given, "kdpi", 100.0 * streams("kdpi").random(donors))
    of_donor: dict[str, NDArray[Any]] = {
        "time": times,
        "donor": np.arange(donors),
        "blood_type": draw_category(streams("blood type"), donors, p.kidneys.blood_type),
        "kdpi": kdpi,
        "donor_age": _ages(streams("age"), kdpi),
        "hla": draw_hla(streams("hla"), donors),
        "hospital": streams("hospital").integers(0, p.geography.hospitals, donors).astype(np.int16),
        "appeal": streams("appeal").standard_normal(donors),
    }
    gives_two = streams("second kidney").random(donors) < p.kidneys.per_donor - 1.0
    rows = np.repeat(np.arange(donors), filled(given, "kidneys", 1 + gives_two))
    return {name: filled(given, name, column)[rows] for name, column in of_donor.items()}


def _ages(rng: np.random.Generator, kdpi: Floats) -> Floats:
    """Ages of donors given their KDPI: regression on log KDRI, with normal spread (D).

    Age's part of log KDRI is Rao's slope; what else is in it is taken as independent of age (A), so
    the correlation of the two is the spread of age's part over that of the whole.
    """
    every = np.log(kdri_from_kdpi(np.arange(0.5, 100.0)))
    correlation = _RAO_AGE_SLOPE * _AGE_SD / every.std()
    risk = (np.log(kdri_from_kdpi(kdpi)) - every.mean()) / every.std()
    other = np.sqrt(1.0 - correlation**2) * rng.standard_normal(len(kdpi))
    return np.asarray(np.clip(_AGE_MEAN + _AGE_SD * (correlation * risk + other), *_AGES))
