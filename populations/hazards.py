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
Rao et al. 2009: the KDRI is the relative hazard of graft failure (tag R).
Rao et al. 2007: deaths of those back on the list after a failed graft, 1.78 times those of
candidates never transplanted (tag R).
Eurotransplant kidney simulator (de Ferrante), Weibull model of time to graft failure or return to
the list: HLA mismatches (tag R).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from populations.schema import age_band

Floats = NDArray[np.float64]
Codes = NDArray[np.integer]

BASELINE = 0.035  # per year; D, see above
INACTIVE_HAZARD_RATIO = 2.21  # R, Grams 2013
FAILED_GRAFT_HAZARD_RATIO = 1.78  # R, Rao 2007: on the list again against never transplanted
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
# Graft failures per year but by death, deceased donor, same bands and periods: all-cause graft
# failure minus death. D from R2, SRTR ADR 2023.
GRAFT_FAILURE = np.array(
    [
        [0.0273, 0.0284, 0.0336],
        [0.0231, 0.0157, 0.0176],
        [0.0241, 0.0095, 0.0113],
        [0.0253, 0.0081, 0.0092],
    ]
)
# Deaths per person-year on dialysis at ages 18-44, 45-64, 65-74, 75+. R2, USRDS 2023 (year 2019).
DIALYSIS = np.array([0.0706, 0.1215, 0.1956, 0.2896])
DIALYSIS_AGES = np.array([45.0, 65.0, 75.0])

AGE_SLOPE = 0.035 + 0.011  # log hazard per year of age with a transplant; R, Parker 2021
BAND_CENTRES = np.array([26.5, 42.5, 57.5, 73.0])  # D, mid-ages of recipients in each band


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


# Recipients of each age band in the model itself (us-national under us-kas-2021, D), so that their
# survival averages to what is published for the band: share with diabetes, and the KDRI of their
# kidneys at the middle of each third, unscaled. One mix for all ages would make the old, who have
# more diabetes and get kidneys of more risk, die too soon.
_REFERENCE_DIABETES = np.array([0.05, 0.18, 0.58, 0.58])
_REFERENCE_KDRI = np.array(
    [[0.78, 0.91, 1.02], [0.82, 0.97, 1.39], [1.07, 1.32, 1.72], [1.08, 1.35, 1.79]]
)


def _reference_log_mean() -> Floats:
    """Log of the mean ratio among recipients, by age band; makes ratios average to 1.

    Of all ages 11 % have had a transplant, 10 % are not on dialysis, others are for 5 years (D).
    """
    mean = np.zeros(len(BAND_CENTRES))
    for diabetes in (0, 1):
        share_diabetes = np.abs(1 - diabetes - _REFERENCE_DIABETES)
        for prior, share_prior in ((0, 0.89), (1, 0.11)):
            for dialysis, share_dialysis in ((0.0, 0.10), (5.0, 0.90)):
                for kdri in _REFERENCE_KDRI.T:
                    health = Health(
                        BAND_CENTRES,
                        np.full(len(BAND_CENTRES), dialysis),
                        np.full(len(BAND_CENTRES), diabetes),
                        np.full(len(BAND_CENTRES), prior),
                    )
                    share = share_diabetes * share_prior * share_dialysis / 3.0
                    mean += share * np.exp(_transplant_log_ratio(health, np.log(kdri)))
    return np.log(mean)


_REFERENCE = _reference_log_mean()


def _at_age(log_levels: Floats, age: Floats, slope: float) -> Floats:
    """Levels of the age bands, joined by straight lines on the log scale; shape (n, periods).

    So that nobody's hazard jumps on a birthday.

    Parameters
    ----------
    log_levels : ndarray, shape (bands, periods)
        At ``BAND_CENTRES``.
    slope : float
        Per year of age, below the first centre and above the last.
    """
    outside = age - np.clip(age, BAND_CENTRES[0], BAND_CENTRES[-1])
    inside = [np.interp(age, BAND_CENTRES, column) for column in log_levels.T]
    return np.asarray(np.exp(np.stack(inside, axis=1) + slope * outside[:, None]))


_PERIOD = np.searchsorted([1.0, 3.0], np.arange(GRID_YEARS), side="right")
_BEYOND_DATA = np.exp(AGE_SLOPE * np.maximum(np.arange(GRID_YEARS) - 4.0, 0.0))


# Logs of what multiplies the covariates, so that they average to the published tables.
_LOG_DEATH = np.log(DECEASED_DONOR) - _REFERENCE[:, None]
_LOG_FAILURE = np.log(GRAFT_FAILURE) - np.log(_REFERENCE_KDRI.mean(axis=1))[:, None]


def cold_time_effect(hours: Floats) -> Floats:
    """Log hazard after transplant for the time without blood, against 12 to 22 hours; (n,).

    Published for death (R, Parker 2021); used for graft failure too (A).
    """
    return np.select([hours < 12.0, hours > 22.0], [-0.036, 0.044], 0.0)


# Log of time by number of mismatches (0, 1, 2), R, and of a kidney without any. Weibull shape: R,
# between 0.91 and 1.11 by country, Germany's taken.
_MISMATCH_A = np.array([0.0, -0.070, -0.069])
_MISMATCH_B = np.array([0.0, -0.062, -0.132])
_MISMATCH_DR = np.array([0.0, -0.039, -0.029])
_ZERO_MISMATCH = 0.107
_WEIBULL_SHAPE = 1.03
_TYPICAL_MISMATCHES = (1, 2, 1)  # A: of the recipients behind GRAFT_FAILURE, at A, B and DR


def _mismatch_log_time(mm_a: Codes, mm_b: Codes, mm_dr: Codes) -> Floats:
    none = (mm_a == 0) & (mm_b == 0) & (mm_dr == 0)
    by_locus = _MISMATCH_A[mm_a] + _MISMATCH_B[mm_b] + _MISMATCH_DR[mm_dr]
    return np.asarray(by_locus + _ZERO_MISMATCH * none)


_TYPICAL_LOG_TIME = _mismatch_log_time(*(np.array(n) for n in _TYPICAL_MISMATCHES))


def mismatch_effect(mm_a: Codes, mm_b: Codes, mm_dr: Codes) -> Floats:
    """Log hazard of graft failure for HLA mismatches, against a typical recipient's; (n,).

    An effect on log time of a Weibull model, times its shape, is one on the log hazard (D).

    Parameters
    ----------
    mm_a, mm_b, mm_dr : ndarray of int, shape (n,)
        Antigens of the donor at each locus that the recipient lacks: 0, 1 or 2.
    """
    return np.asarray(_WEIBULL_SHAPE * (_TYPICAL_LOG_TIME - _mismatch_log_time(mm_a, mm_b, mm_dr)))


def graft_hazards(health: Health, log_kdri: Floats, log_extra: Floats) -> Floats:
    """Yearly hazards of graft failure but by death, deceased donor; shape (n, GRID_YEARS).

    In proportion to the KDRI over its mean among recipients of the age band (D; the KDRI is for
    graft failure by death too). After five years the last value holds (A).

    Parameters
    ----------
    health : Health
        At the time of transplant.
    log_kdri : ndarray, shape (n,)
        Log of the unscaled Rao (2009) KDRI of the kidney each received.
    log_extra : ndarray, shape (n,)
        Added to the log hazard: cold time, mismatches, centre.
    """
    levels = _at_age(_LOG_FAILURE, health.age, slope=0.0)
    return np.asarray(levels[:, _PERIOD] * np.exp(log_kdri + log_extra)[:, None])


def deceased_donor_hazards(health: Health, log_kdri: Floats, log_extra: Floats) -> Floats:
    """Yearly death hazards after a deceased-donor transplant, shape (n, GRID_YEARS).

    Parameters
    ----------
    health : Health
        At the time of transplant.
    log_kdri : ndarray, shape (n,)
        Log of the unscaled Rao (2009) KDRI of the kidney each received.
    log_extra : ndarray, shape (n,)
        Added to the log hazard: cold time, centre.
    """
    ratio = np.exp(_transplant_log_ratio(health, log_kdri) + log_extra)
    return np.asarray(_death_levels(health)[:, _PERIOD] * _BEYOND_DATA * ratio[:, None])


def _death_levels(health: Health) -> Floats:
    """Death after a deceased donor's kidney in each period, before covariates; (n, periods)."""
    return _at_age(_LOG_DEATH, health.age, AGE_SLOPE)


def living_donor_hazards(health: Health) -> Floats:
    """Yearly death hazards after a living-donor transplant, shape (n, GRID_YEARS)."""
    return np.asarray(LIVING_DONOR[age_band(health.age)][:, _PERIOD] * _BEYOND_DATA)


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
    middle = np.arange(GRID_YEARS) + 0.5
    later = Health(
        health.age[:, None] + middle,
        np.maximum(middle - dialysis_in[:, None], 0.0),
        health.diabetes[:, None],
        health.prior_transplant[:, None],
    )
    return np.asarray(BASELINE * np.exp(waiting_log_hazard(later)))


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


def cumulative_hazard(hazards: Floats, years: Floats) -> Floats:
    """Cumulative hazard of each row up to each of its times; the inverse of ``time_of_event``.

    Parameters
    ----------
    hazards : ndarray, shape (n, GRID_YEARS)
        Constant within a year; the last one holds for ever after.
    years : ndarray, shape (n, k)
        Times from the start of follow-up, finite.

    Returns
    -------
    ndarray, shape (n, k)
    """
    cumulative = np.cumsum(hazards, axis=1)
    year = np.minimum(years, hazards.shape[1] - 1).astype(np.intp)
    here = np.take_along_axis(hazards, year, axis=1)
    return np.asarray(np.take_along_axis(cumulative, year, axis=1) + here * (years - year - 1.0))


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
    kdri = np.full(len(health.age), log_kdri)
    five_years = _death_levels(health) @ np.array([0.2, 0.4, 0.4])
    with_kidney = five_years * np.exp(_transplant_log_ratio(health, kdri))
    return expected_years(with_kidney, GAIN_HORIZON) - expected_years(without, GAIN_HORIZON)
