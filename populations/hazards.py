"""How long people live: on the waitlist, after leaving it, and with a transplant.

Sources
-------
Parker et al., paper commissioned by the US National Academies (NASEM) 2021, appendix table S2: one
Cox model with and without transplant, adults listed in the US 2005-10 (tag R). It prints
coefficients, not the baseline hazard: 0.035 a year reproduces its printed survival figures (tag D),
and its level is higher than today's list (see ``waiting.level`` in the presets).
SRTR/OPTN Annual Data Report 2023: patient survival after transplant at 1, 3 and 5 years by age,
2016-18 cohort, turned into piecewise-constant hazards (tags R2, D).
USRDS Annual Data Report 2023: deaths on dialysis by age, 2019 (tag R2).
Grams et al. 2013: death hazard of inactive against active candidates, 2.21 (tag R).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from populations.schema import age_band

Floats = NDArray[np.float64]

BASELINE = 0.035  # per year; D, see above
INACTIVE_HAZARD_RATIO = 2.21  # R, Grams 2013
GRID_YEARS = 40  # hazards are constant within a year of follow-up, and after the last

# Deaths per year in years 0-1, 1-3, 3-5 after transplant, by age band. D from R2, SRTR ADR 2023.
DECEASED_DONOR = np.array(
    [
        [0.0096, 0.0068, 0.0106],
        [0.0166, 0.0127, 0.0241],
        [0.0376, 0.0288, 0.0515],
        [0.0632, 0.0526, 0.0932],
    ]
)
LIVING_DONOR = np.array(
    [
        [0.0027, 0.0034, 0.0057],
        [0.0060, 0.0063, 0.0106],
        [0.0112, 0.0130, 0.0249],
        [0.0191, 0.0284, 0.0616],
    ]
)
# Deaths per person-year on dialysis at ages 18-44, 45-64, 65-74, 75+. R2, USRDS 2023 (year 2019).
DIALYSIS = np.array([0.0706, 0.1215, 0.1956, 0.2896])
DIALYSIS_AGES = np.array([45.0, 65.0, 75.0])

AGE_SLOPE = 0.035 + 0.011  # log hazard per year of age with a transplant; R, Parker 2021
BAND_CENTRES = np.array([27.0, 43.0, 58.0, 70.0])  # D, mid-ages of recipients in each band


class Health(NamedTuple):
    """Clinical columns, each shape (n,): ages and dialysis in years, the others 0 or 1.

    Zero years of dialysis means not on dialysis.
    """

    age: Floats
    dialysis_years: Floats
    diabetes: NDArray[np.integer]
    prior_transplant: NDArray[np.integer]


def waiting_log_hazard(health: Health) -> Floats:
    """Log of the yearly hazard of death without a transplant, relative to ``BASELINE``; (n,)."""
    a = np.maximum(health.age - 25.0, 0.0)
    dialysis = np.log1p(health.dialysis_years)
    never = health.dialysis_years <= 0.0
    diabetes, prior = health.diabetes, health.prior_transplant
    return np.asarray(
        0.035 * a
        + 0.122 * dialysis
        - 0.273 * never
        + 0.829 * diabetes
        + 0.238 * prior
        + diabetes * (-0.014 * a + 0.001 * dialysis + 0.084 * never - 0.029 * prior)
    )


def _transplant_log_ratio(health: Health, log_kdri: Floats) -> Floats:
    """Parker's covariates with a transplant, without its intercept and its main effect of age."""
    a = np.maximum(health.age - 25.0, 0.0)
    dialysis = np.log1p(health.dialysis_years)
    never = health.dialysis_years <= 0.0
    diabetes, prior = health.diabetes, health.prior_transplant
    added = (
        0.459 * log_kdri
        - 0.112 * dialysis
        - 0.060 * never
        + 0.277 * diabetes
        + 0.010 * prior
        + log_kdri
        * (0.003 * a + 0.050 * dialysis + 0.048 * never - 0.162 * diabetes + 0.086 * prior)
        + diabetes * (0.001 * a - 0.043 * dialysis - 0.038 * never - 0.146 * prior)
    )
    return np.asarray(waiting_log_hazard(health) - 0.035 * a + added)


def _reference_log_mean() -> Floats:
    """Log of the mean ratio among published recipients, by age band; makes ratios average to 1.

    Recipients (Parker 2021, n = 64,589, tag R): 35 % diabetes, 14 % earlier transplant, 9.8 % not
    on dialysis, others 3.9 years (D), KDRI at KDPI 21 / 43 / 66 in the years of the survival
    figures (unscaled 0.95 / 1.20 / 1.50, D): today's donors carry more risk at the same KDPI.
    """
    mean = np.zeros(len(BAND_CENTRES))
    for diabetes, share_diabetes in ((0, 0.65), (1, 0.35)):
        for prior, share_prior in ((0, 0.86), (1, 0.14)):
            for dialysis, share_dialysis in ((0.0, 0.098), (3.9, 0.902)):
                for kdri in (0.95, 1.20, 1.50):
                    ones = np.ones_like(BAND_CENTRES)
                    health = Health(
                        BAND_CENTRES,
                        dialysis * ones,
                        (diabetes * ones).astype(int),
                        (prior * ones).astype(int),
                    )
                    share = share_diabetes * share_prior * share_dialysis / 3.0
                    mean += share * np.exp(_transplant_log_ratio(health, np.log(kdri) * ones))
    return np.log(mean)


_REFERENCE = _reference_log_mean()


def transplant_ratio(health: Health, log_kdri: Floats) -> Floats:
    """Hazard ratio of each recipient with each kidney against their age band's mean; (n,)."""
    band = age_band(health.age)
    within_band = AGE_SLOPE * (health.age - BAND_CENTRES[band])
    log_ratio = _transplant_log_ratio(health, log_kdri) - _REFERENCE[band] + within_band
    return np.asarray(np.exp(log_ratio))


def _periods(table: Floats, health: Health) -> Floats:
    """Yearly hazards (n, GRID_YEARS) from a table by age band and period since transplant."""
    period = np.searchsorted([1.0, 3.0], np.arange(GRID_YEARS), side="right")
    hazards = table[age_band(health.age)][:, period]
    beyond_data = np.maximum(np.arange(GRID_YEARS) - 4.0, 0.0)
    return np.asarray(hazards * np.exp(AGE_SLOPE * beyond_data))


def deceased_donor_hazards(health: Health, log_kdri: Floats) -> Floats:
    """Yearly death hazards after a deceased-donor transplant, shape (n, GRID_YEARS).

    Parameters
    ----------
    health : Health
        At the time of transplant.
    log_kdri : ndarray, shape (n,)
        Log of the unscaled Rao (2009) KDRI of the kidney each received.
    """
    return _periods(DECEASED_DONOR, health) * transplant_ratio(health, log_kdri)[:, None]


def living_donor_hazards(health: Health) -> Floats:
    """Yearly death hazards after a living-donor transplant, shape (n, GRID_YEARS)."""
    return _periods(LIVING_DONOR, health)


def dialysis_hazard(age: Floats) -> Floats:
    """Yearly death hazard on dialysis, shape (n,)."""
    return np.asarray(DIALYSIS[np.searchsorted(DIALYSIS_AGES, age, side="right")])


def waiting_hazards(health: Health, dialysis_in: Floats) -> Floats:
    """Yearly death hazards without a transplant, before ``waiting.level``; (n, GRID_YEARS).

    Parameters
    ----------
    health : Health
        At the start of follow-up.
    dialysis_in : ndarray, shape (n,)
        Years until dialysis starts (0 or less: how long ago it did).
    """
    hazards = np.empty((len(health.age), GRID_YEARS))
    for year in range(GRID_YEARS):
        middle = year + 0.5
        dialysis = np.maximum(middle - dialysis_in, 0.0)
        later = health._replace(age=health.age + middle, dialysis_years=dialysis)
        hazards[:, year] = BASELINE * np.exp(waiting_log_hazard(later))
    return hazards


def time_of_event(hazards: Floats, draw: Floats) -> Floats:
    """When the cumulative hazard reaches each unit-exponential draw; years, shape (n,).

    Parameters
    ----------
    hazards : ndarray, shape (n, GRID_YEARS)
        Constant within a year; the last one holds for ever after.
    draw : ndarray, shape (n,)
        Unit-exponential draws.
    """
    cumulative = np.cumsum(hazards, axis=1)
    year = np.minimum((cumulative < draw[:, None]).sum(axis=1), hazards.shape[1] - 1)
    rows = np.arange(len(draw))
    before = cumulative[rows, year] - hazards[rows, year]
    return np.asarray(year + (draw - before) / hazards[rows, year])


def expected_years(hazard: Floats, horizon: float) -> Floats:
    """Expected years lived within ``horizon`` at a constant hazard (restricted mean); (n,)."""
    expected = np.full(len(hazard), horizon)  # what remains where the hazard is 0
    np.divide(-np.expm1(-hazard * horizon), hazard, out=expected, where=hazard > 0)
    return expected


GAIN_HORIZON = 10.0  # years over which a kidney's expected gain is counted (A: ours)


def life_years_gained(health: Health, log_kdri: float, waiting_multiplier: float) -> Floats:
    """Expected years gained within ``GAIN_HORIZON`` by a transplant now; shape (n,), years.

    Hazards are held at their present value: without a kidney, death or removal as too sick; with
    it, the average of the first five years.

    Parameters
    ----------
    health : Health
        Now.
    log_kdri : float
        Log of the unscaled Rao KDRI of the kidney.
    waiting_multiplier : float
        Today's hazard of death or removal as too sick, relative to the 2005-10 model.
    """
    without = BASELINE * waiting_multiplier * np.exp(waiting_log_hazard(health))
    five_years = DECEASED_DONOR @ np.array([0.2, 0.4, 0.4])
    kdri = np.full(len(health.age), log_kdri)
    with_kidney = five_years[age_band(health.age)] * transplant_ratio(health, kdri)
    return expected_years(with_kidney, GAIN_HORIZON) - expected_years(without, GAIN_HORIZON)
