"""Hazards: Parker's formula term by term, the published survival figures, exact event times."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from populations import hazards
from populations.formulae import kdri_from_kdpi
from populations.hazards import BAND_CENTRES, BASELINE, GRID_YEARS, Health

# Mid-ages of recipients and mean survival at 1, 3, 5 years by age band: SRTR ADR 2023.
DECEASED = {
    "18-34": (18, 35, 0.990, 0.977, 0.957),
    "35-49": (35, 50, 0.984, 0.959, 0.914),
    "50-64": (50, 65, 0.963, 0.909, 0.820),
    "65+": (65, 81, 0.939, 0.845, 0.701),
}
# Of the model's own recipients: share with diabetes, KDRI in the middle of each third.
RECIPIENTS = {
    "18-34": (0.05, (0.78, 0.91, 1.02)),
    "35-49": (0.18, (0.82, 0.97, 1.39)),
    "50-64": (0.58, (1.07, 1.32, 1.72)),
    "65+": (0.58, (1.08, 1.35, 1.79)),
}
LIVING = {
    "18-34": (0.997, 0.990, 0.979),
    "35-49": (0.994, 0.982, 0.961),
    "50-64": (0.989, 0.963, 0.917),
    "65+": (0.981, 0.927, 0.819),
}


def person(age=25.0, dialysis=1.0, diabetes=0, prior=0) -> Health:
    return Health(
        np.array([float(age)]), np.array([float(dialysis)]), np.array([diabetes]), np.array([prior])
    )


def recipients(n=40_000, low=None, high=None) -> tuple[Health, np.ndarray]:
    """Recipients with Parker 2021's published quartiles, independent of one another; and KDPI."""
    rng = np.random.default_rng(8)
    quartiles = [0, 0.25, 0.5, 0.75, 1]
    ages = np.interp(rng.random(n), quartiles, [20, 45, 55, 63, 76])
    if low is not None:
        ages = rng.uniform(low, high, n)
    dialysis = np.interp(rng.random(n), [0, 0.098, 0.25, 0.5, 0.75, 1], [0, 0, 1.6, 3.5, 5.8, 14])
    diabetes = (rng.random(n) < 0.35).astype(int)
    prior = (rng.random(n) < 0.14).astype(int)
    kdpi = np.interp(rng.random(n), quartiles, [0, 21, 43, 66, 100])
    return Health(ages, dialysis, diabetes, prior), kdpi


# ---- the formula ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("health", "log_hazard"),
    [
        (person(dialysis=math.e - 1), 0.122),
        (person(dialysis=0), -0.273),
        (person(age=20, dialysis=0), -0.273),
        (person(age=45, dialysis=math.e - 1), 0.035 * 20 + 0.122),
        (person(dialysis=math.e - 1, prior=1), 0.122 + 0.238),
        (person(dialysis=math.e - 1, diabetes=1), 0.122 + 0.829 + 0.001),
        (person(dialysis=0, diabetes=1), -0.273 + 0.829 + 0.084),
        (person(age=45, dialysis=0, diabetes=1), 0.7 - 0.273 + 0.829 + 0.084 - 0.014 * 20),
        (person(dialysis=0, diabetes=1, prior=1), -0.273 + 0.829 + 0.084 + 0.238 - 0.029),
        # a = 35, l = ln 5: 1.225 + .19635 + .829 + .238 - .49 + .00161 - .029
        (person(age=60, dialysis=4, diabetes=1, prior=1), 1.970961),
    ],
)
def test_waiting_log_hazard_term_by_term(health, log_hazard):
    assert hazards.waiting_log_hazard(health)[0] == pytest.approx(log_hazard, abs=1e-6)


def log_ratio(health: Health, log_kdri: float) -> float:
    return float(np.log(dying(health, log_kdri)[0]))


# Each person against one of the same age without any of it, with a kidney of KDRI 1; a = 20.
# Terms of the waiting model, then those that a transplant adds.
REFERENCE = person(age=45, dialysis=math.e - 1)


@pytest.mark.parametrize(
    ("health", "log_kdri", "added"),
    [
        (REFERENCE, 1.0, 0.459 + 0.003 * 20 + 0.050),
        (person(age=45, dialysis=math.exp(2) - 1), 0.0, 0.122 - 0.112),
        (person(age=45, dialysis=math.exp(2) - 1), 1.0, 0.122 - 0.112 + 0.459 + 0.060 + 0.100),
        (person(age=45, dialysis=0), 0.0, -0.273 - 0.060 - (0.122 - 0.112)),
        (person(age=45, dialysis=0), 1.0, -0.333 - 0.010 + 0.459 + 0.060 + 0.048),
        (person(age=45, dialysis=math.e - 1, prior=1), 0.0, 0.238 + 0.010),
        (person(age=45, dialysis=math.e - 1, prior=1), 1.0, 0.248 + 0.459 + 0.060 + 0.050 + 0.086),
        (
            person(age=45, dialysis=math.e - 1, diabetes=1),
            0.0,
            0.829 - 0.014 * 20 + 0.001 + 0.277 + 0.001 * 20 - 0.043,
        ),
        (
            person(age=45, dialysis=math.e - 1, diabetes=1),
            1.0,
            0.829 - 0.28 + 0.001 + 0.277 + 0.02 - 0.043 + 0.459 + 0.06 + 0.05 - 0.162,
        ),
        (
            person(age=45, dialysis=0, diabetes=1),
            0.0,
            -0.343 + 0.829 - 0.28 + 0.084 + 0.277 + 0.02 - 0.038,
        ),
        (
            person(age=45, dialysis=math.e - 1, diabetes=1, prior=1),
            0.0,
            0.829 - 0.28 + 0.001 + 0.277 + 0.02 - 0.043 + 0.238 - 0.029 + 0.010 - 0.146,
        ),
    ],
)
def test_transplant_ratio_term_by_term(health, log_kdri, added):
    assert log_ratio(health, log_kdri) - log_ratio(REFERENCE, 0.0) == pytest.approx(added, abs=1e-9)


@pytest.mark.parametrize("diabetes", [0, 1])
def test_nobodys_hazard_jumps_on_a_birthday(diabetes):
    """Nor falls much as they age; beyond the bands' centres the slope is Parker's 0.046 a year."""
    ages = np.arange(18.0, 85.0, 0.01)
    n = len(ages)
    health = Health(ages, np.full(n, 3.0), np.full(n, diabetes), np.zeros(n, dtype=int))
    for hazard in (hazards.deceased_donor_hazards, hazards.graft_hazards):
        steps = np.diff(np.log(hazard(health, np.zeros(n), np.zeros(n))), axis=0)
        assert np.abs(steps).max() < 0.002  # 0.01 years; a jump of a band is 0.2 and more
    gained = hazards.life_years_gained(health, 0.2, 0.5)
    assert np.abs(np.diff(gained)).max() < 0.01
    old, older = (log_ratio(person(age=age, diabetes=0), 0.0) for age in (80, 84))
    assert older - old == pytest.approx(4 * (0.035 + 0.011))


def test_median_hazard_ratio_long_after_transplant():
    """Published: 0.21 (0.17-0.28), all of them deaths per year with against without a kidney."""
    health, kdpi = recipients()
    with_kidney = hazards.deceased_donor_hazards(
        health, np.log(kdri_from_kdpi(kdpi)), np.zeros(len(kdpi))
    )
    without = BASELINE * np.exp(hazards.waiting_log_hazard(health))
    ratio = with_kidney[:, 1:5].mean(axis=1) / without  # the first year holds the operation
    assert np.median(ratio) == pytest.approx(0.21, abs=0.03)
    assert np.quantile(ratio, 0.25) == pytest.approx(0.17, abs=0.04)
    assert np.quantile(ratio, 0.75) == pytest.approx(0.28, abs=0.04)


def test_five_year_survival_of_recipients_without_a_kidney():
    """Published: mean 50.8 %, quartiles 38 and 66 %, at covariates as they were at transplant."""
    health, _ = recipients()
    survival = np.exp(-5 * BASELINE * np.exp(hazards.waiting_log_hazard(health)))
    assert survival.mean() == pytest.approx(0.508, abs=0.015)
    assert np.quantile(survival, 0.25) == pytest.approx(0.38, abs=0.03)
    assert np.quantile(survival, 0.75) == pytest.approx(0.66, abs=0.06)


# ---- survival with a kidney ----------------------------------------------------------------------


@pytest.mark.parametrize("band", DECEASED)
def test_survival_after_a_deceased_donors_kidney(band):
    low, high, *published = DECEASED[band]
    diabetes, thirds = RECIPIENTS[band]
    health, _ = recipients(low=low, high=high)
    n, rng = len(health.age), np.random.default_rng(9)
    health = health._replace(diabetes=(rng.random(n) < diabetes).astype(int))
    kdri = np.log(np.array(thirds))[rng.integers(0, 3, n)]
    yearly = hazards.deceased_donor_hazards(health, kdri, np.zeros(n))
    survival = np.exp(-np.cumsum(yearly, axis=1)).mean(axis=0)
    for years, expected in zip((1, 3, 5), published, strict=True):
        assert survival[years - 1] == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("band", LIVING)
def test_survival_after_a_living_donors_kidney(band):
    low, high, *_ = DECEASED[band]
    health = person(age=(low + high) / 2)
    survival = np.exp(-np.cumsum(hazards.living_donor_hazards(health), axis=1))[0]
    for years, expected in zip((1, 3, 5), LIVING[band], strict=True):
        assert survival[years - 1] == pytest.approx(expected, abs=0.002)


def test_hazards_beyond_the_data_grow_with_age():
    yearly = hazards.living_donor_hazards(person(age=50))[0]
    assert yearly.shape == (GRID_YEARS,)
    assert list(yearly[:5]) == [0.0112, 0.0130, 0.0130, 0.0249, 0.0249]
    assert yearly[5:] == pytest.approx(0.0249 * np.exp(0.046 * np.arange(1, GRID_YEARS - 4)))


def dying(health: Health, log_kdri: float, log_extra: float = 0.0) -> np.ndarray:
    return hazards.deceased_donor_hazards(health, np.array([log_kdri]), np.array([log_extra]))[0]


def test_a_worse_kidney_and_a_sicker_recipient_die_sooner():
    better = dying(person(age=50), 0.0)
    assert (dying(person(age=50), 0.5) > better).all()
    assert (dying(person(50, 1, 1), 0.0) > better).all()
    assert dying(person(age=50), 0.0, np.log(1.5)) == pytest.approx(1.5 * better)


# ---- graft failure -------------------------------------------------------------------------------


def failing(age: float, log_kdri: float, log_extra: float = 0.0) -> np.ndarray:
    return hazards.graft_hazards(person(age), np.array([log_kdri]), np.array([log_extra]))[0]


@pytest.mark.parametrize("band", DECEASED)
def test_graft_failure_is_all_cause_graft_failure_less_death(band):
    """Published all-cause graft survival, deceased donor, at 1, 3, 5 years: SRTR ADR 2023."""
    survival = {
        "18-34": (0.964, 0.898, 0.822),
        "35-49": (0.961, 0.908, 0.835),
        "50-64": (0.940, 0.871, 0.768),
        "65+": (0.915, 0.811, 0.661),
    }[band]
    grafts = np.diff([0.0, *-np.log(survival)]) / [1, 2, 2]
    deaths = np.diff([0.0, *-np.log(DECEASED[band][2:])]) / [1, 2, 2]
    age = BAND_CENTRES[list(DECEASED).index(band)]
    mean_kdri = np.log(np.mean(RECIPIENTS[band][1]))
    yearly = failing(age, mean_kdri)
    assert yearly[[0, 1, 2, 3, 4]] == pytest.approx((grafts - deaths)[[0, 1, 1, 2, 2]], abs=9e-4)
    assert (yearly[5:] == yearly[4]).all()


def test_graft_failure_is_in_proportion_to_kdri_and_extras():
    base = failing(50, 0.0)
    assert failing(50, np.log(2)) == pytest.approx(2 * base)
    assert failing(50, 0.0, np.log(3)) == pytest.approx(3 * base)


def test_cold_time():
    hours = np.array([0, 11.9, 12, 16, 22, 22.1, 60])
    assert list(hazards.cold_time_effect(hours)) == [-0.036, -0.036, 0, 0, 0, 0.044, 0.044]


@pytest.mark.parametrize(
    ("mismatches", "log_time"),
    [
        ((1, 2, 1), 0.0),  # the reference: -0.070 - 0.132 - 0.039 = -0.241
        ((0, 0, 0), 0.241 + 0.107),
        ((2, 2, 1), -0.069 + 0.070),
        ((1, 1, 1), -0.062 + 0.132),
        ((1, 0, 1), 0.132),
        ((1, 2, 2), -0.029 + 0.039),
        ((0, 2, 0), 0.070 + 0.039),
        ((0, 0, 1), 0.070 + 0.132),
    ],
)
def test_mismatches(mismatches, log_time):
    """Effects on log time of a Weibull model of shape 1.03, so on log hazard times -1.03."""
    columns = (np.array([count], dtype=np.uint8) for count in mismatches)
    assert hazards.mismatch_effect(*columns)[0] == pytest.approx(-1.03 * log_time, abs=1e-12)


def test_dialysis_hazard_by_age():
    ages = np.array([18, 44.99, 45, 64.99, 65, 74.99, 75, 100])
    expected = [0.0706, 0.0706, 0.1215, 0.1215, 0.1956, 0.1956, 0.2896, 0.2896]
    assert list(hazards.dialysis_hazard(ages)) == expected


# ---- waiting, year by year -----------------------------------------------------------------------


def test_waiting_hazards_follow_dialysis_and_age_year_by_year():
    """On dialysis for 2 years already; from 1.25 years on; never."""
    three = Health(np.array([40.0] * 3), np.array([2.0, 0, 0]), np.zeros(3, int), np.zeros(3, int))
    yearly = hazards.waiting_hazards(three, np.array([-2.0, 1.25, np.inf]))
    assert yearly.shape == (3, GRID_YEARS)
    for year in (0, 1, 2, 39):
        middle = year + 0.5
        aged = 0.035 * (15 + middle)
        started = 0.122 * math.log(middle - 1.25 + 1) if middle > 1.25 else -0.273
        expected = [aged + 0.122 * math.log(middle + 2 + 1), aged + started, aged - 0.273]
        assert np.log(yearly[:, year] / 0.035) == pytest.approx(expected, abs=1e-12)


# ---- times of events -----------------------------------------------------------------------------


def cumulative(yearly: np.ndarray, time: float) -> float:
    """Cumulative hazard at ``time``, added up year by year in plain Python."""
    total = 0.0
    for year, hazard in enumerate(yearly):
        end = math.inf if year == len(yearly) - 1 else year + 1
        total += float(hazard) * max(min(time, end) - year, 0.0)
    return total


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(1e-4, 5), min_size=GRID_YEARS, max_size=GRID_YEARS),
    st.lists(st.floats(0, 50), min_size=1, max_size=6),
)
def test_time_of_event_inverts_the_cumulative_hazard(yearly, draws):
    grid = np.tile(yearly, (len(draws), 1))
    times = hazards.time_of_event(grid, np.array(draws))
    for time, draw in zip(times, draws, strict=True):
        assert time >= 0
        assert cumulative(np.array(yearly), time) == pytest.approx(draw, rel=1e-9, abs=1e-9)
    assert (np.diff(times[np.argsort(draws)]) >= -1e-9).all()


def test_time_of_event_by_hand():
    grid = np.tile([0.5, 0.25, 1.0], (6, 1))
    draws = np.array([0.0, 0.25, 0.5, 0.625, 1.75, np.inf])
    assert list(hazards.time_of_event(grid, draws)) == [0.0, 0.5, 1.0, 1.5, 3.0, np.inf]
    assert hazards.time_of_event(grid[:1], np.array([4.75]))[0] == 6.0  # the last holds for ever


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(1e-4, 5), min_size=GRID_YEARS, max_size=GRID_YEARS),
    st.lists(st.floats(0, 90), min_size=1, max_size=6),
)
def test_cumulative_hazard_adds_up_and_is_inverted_by_time_of_event(yearly, times):
    both = hazards.cumulative_hazard(np.array([yearly, yearly]), np.array([times, times]))
    assert np.array_equal(both[0], both[1])
    for time, total in zip(times, both[0], strict=True):
        assert total == pytest.approx(cumulative(np.array(yearly), time), rel=1e-9, abs=1e-9)
    back = hazards.time_of_event(np.tile(yearly, (len(times), 1)), both[0])
    assert back == pytest.approx(times, rel=1e-6, abs=1e-6)


# ---- expected years ------------------------------------------------------------------------------


def test_expected_years():
    hazard = np.array([0.0, 1e-300, 1e-9, 0.1, 1.0, 1e9])
    expected = [10, 10, 10 * (1 - 5e-9), (1 - math.exp(-1)) / 0.1, 1 - math.exp(-10), 1e-9]
    assert hazards.expected_years(hazard, 10.0) == pytest.approx(expected, rel=1e-12)


def gain(health: Health, log_kdri: float = 0.0, multiplier: float = 0.62) -> float:
    return float(hazards.life_years_gained(health, log_kdri, multiplier)[0])


def test_life_years_gained_by_hand():
    health = person(age=58, dialysis=3, diabetes=0, prior=0)
    without = 0.035 * 0.62 * math.exp(0.035 * 33 + 0.122 * math.log(4))
    years = dying(health, 0.2)
    with_kidney = (years[0] + 2 * years[1] + 2 * years[3]) / 5
    expected = [(1 - math.exp(-10 * h)) / h for h in (with_kidney, without)]
    assert gain(health, 0.2) == pytest.approx(expected[0] - expected[1], rel=1e-9)


def test_signs_of_life_years_gained():
    good, bad = -0.4, 1.2
    for age in (20, 40, 60, 75):
        for diabetes in (0, 1):
            for dialysis in (0, 5):
                someone = person(age, dialysis, diabetes)
                assert gain(someone, good, 1.0) > 0  # as published: a kidney saves lives
                assert gain(someone, good) > gain(someone, bad)
                assert gain(someone, good, 2.0) > gain(someone, good, 1.0)
    assert gain(person(70, 1), bad, 0.1) < 0  # a bad kidney against an almost safe list
    assert -10 < gain(person(70, 1), bad, 0.0) < 0  # nobody dies waiting: a gain is not possible
