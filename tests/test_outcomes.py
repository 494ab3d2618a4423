"""Potential outcomes: grafts that fail, death after it, and what becomes of those listed again."""

import time

import numpy as np
import pytest

from populations import hazards
from populations.hazards import Health
from populations.outcomes import DEPARTURES, graft_course, return_departure
from populations.presets import load_population

# SRTR ADR 2023, deceased donor: all-cause graft survival and patient survival at 1, 3, 5 years.
PUBLISHED = {
    (18, 35): ((0.964, 0.898, 0.822), (0.990, 0.977, 0.957)),
    (35, 50): ((0.961, 0.908, 0.835), (0.984, 0.959, 0.914)),
    (50, 65): ((0.940, 0.871, 0.768), (0.963, 0.909, 0.820)),
    (65, 81): ((0.915, 0.811, 0.661), (0.939, 0.845, 0.701)),
}
US = load_population("us-national").parameters


def person(age=50.0, dialysis=2.0, diabetes=0, prior=0) -> Health:
    return Health(
        np.array([float(age)]), np.array([float(dialysis)]), np.array([diabetes]), np.array([prior])
    )


def course(health: Health, survival: float, graft: float, **extra: float) -> tuple[float, float]:
    given = (extra.get("log_kdri", 0.2), extra.get("death", 0.0), extra.get("failure", 0.0))
    columns = [np.array([value]) for value in (*given, survival, graft)]
    failure, death = graft_course(health, *columns)
    return float(failure[0]), float(death[0])


def yearly(health: Health, log_kdri=0.2) -> tuple[np.ndarray, np.ndarray]:
    kdri, none = np.array([log_kdri]), np.zeros(1)
    return (
        hazards.deceased_donor_hazards(health, kdri, none)[0],
        hazards.graft_hazards(health, kdri, none)[0],
    )


# ---- after a transplant --------------------------------------------------------------------------


def test_death_with_a_working_graft():
    dying, _ = yearly(person())
    failure, death = course(person(), survival=dying[0] + dying[1] / 2, graft=1e9)
    assert failure == np.inf
    assert death == pytest.approx(1.5)


def test_what_is_left_of_life_runs_on_at_the_hazard_of_dialysis():
    """The graft fails after two years and a quarter, at 66.25 where the hazard is 0.1956."""
    health = person(age=64)
    dying, failing = yearly(health)
    graft = failing[0] + failing[1] + failing[2] / 4
    used = dying[0] + dying[1] + dying[2] / 4
    failure, death = course(health, survival=used + 0.5, graft=graft)
    assert failure == pytest.approx(2.25)
    assert death == pytest.approx(2.25 + 0.5 / 0.1956)


def test_a_graft_does_not_fail_after_death():
    dying, failing = yearly(person())
    failure, death = course(person(), survival=dying[0] / 2, graft=failing[0])
    assert (failure, death) == (np.inf, pytest.approx(0.5))


def test_extra_log_hazards_act_on_their_own_event():
    graft = yearly(person())[1].cumsum()[2]
    base = course(person(), survival=9.0, graft=graft)
    assert base[0] == pytest.approx(3.0)
    doubled = course(person(), survival=9.0, graft=2 * graft, failure=np.log(2))
    assert doubled[0] == pytest.approx(3.0)
    assert course(person(), survival=9.0, graft=graft, death=0.5)[0] == pytest.approx(3.0)
    assert course(person(), survival=9.0, graft=graft, death=0.5)[1] < base[1]


RECIPIENTS = {
    (18, 35): (0.05, (0.78, 0.91, 1.02)),
    (35, 50): (0.18, (0.82, 0.97, 1.39)),
    (50, 65): (0.58, (1.07, 1.32, 1.72)),
    (65, 81): (0.58, (1.08, 1.35, 1.79)),
}


@pytest.mark.parametrize("band", PUBLISHED, ids=str)
def test_published_graft_survival_comes_back(band):
    """Recipients and kidneys as the model has them in each band: see ``hazards``.

    Patients die a little sooner than published, as deaths after a failure are counted twice: in
    the published hazards of death, and on dialysis.
    """
    graft, patient = PUBLISHED[band]
    diabetes, thirds = RECIPIENTS[band]
    rng = np.random.default_rng(8)
    n = 40_000
    health = Health(
        rng.uniform(*band, n),
        np.where(rng.random(n) < 0.10, 0.0, 5.0),
        (rng.random(n) < diabetes).astype(int),
        (rng.random(n) < 0.11).astype(int),
    )
    kdri = np.log(np.array(thirds))[rng.integers(0, 3, n)]
    none = np.zeros(n)
    failure, death = graft_course(
        health, kdri, none, none, rng.exponential(size=n), rng.exponential(size=n)
    )
    for years, with_graft, alive in zip((1, 3, 5), graft, patient, strict=True):
        assert (np.minimum(failure, death) > years).mean() == pytest.approx(with_graft, abs=0.012)
        assert -0.025 < (death > years).mean() - alive < 0.005


# ---- back on the list ----------------------------------------------------------------------------


def returns(n: int, health: Health, effect=0.0, parameters=US) -> tuple[np.ndarray, ...]:
    rows = [return_departure(parameters, 1, 0, row, 0, health, effect) for row in range(n)]
    return tuple(np.array(column) for column in zip(*rows, strict=True))


def test_returns_are_keyed_by_world_row_and_spell():
    same = [return_departure(US, 1, 0, 7, 1, person(), 0.0) for _ in range(2)]
    assert same[0] == same[1]
    others = [(2, 0, 7, 1), (1, 1, 7, 1), (1, 0, 8, 1), (1, 0, 7, 11), (1, 0, 71, 1)]
    drawn = {return_departure(US, *key, person(), 0.0) for key in others}
    assert len(drawn) == len(others) and same[0] not in drawn


def test_returns_die_at_the_published_ratio_of_candidates_never_transplanted():
    """1.78 times (Rao 2007), of a list with the usual share of inactive candidates."""
    health = person(age=45, dialysis=1.0, prior=1)
    w = US.waiting
    left, cause, death = returns(4000, health)
    on_list = 1 + US.status.inactive_on_list * 1.21
    never = hazards.waiting_hazards(person(age=45, dialysis=1.0, prior=0), np.array([-1.0]))
    hazard = w.level * 1.78 * on_list * never[0]
    early = np.minimum(left, 3.0)  # hazards in the first three years are close to their mean
    expected = np.sum([hazard[y] * np.clip(early - y, 0, 1).sum() for y in range(3)])
    assert ((cause == 0) & (left < 3)).sum() == pytest.approx(expected, rel=0.1)
    assert ((cause == 1) & (left < 3)).sum() == pytest.approx(expected * w.too_sick_ratio, rel=0.1)
    for code, rate in ((2, w.living_donor_per_year), (3, w.other_per_year)):
        assert (cause == code).sum() / left.sum() == pytest.approx(rate, rel=0.1)
    assert (death[cause == 0] == left[cause == 0]).all()
    assert (death[cause != 0] > left[cause != 0]).all()
    # An earlier transplant is in the ratio, and counts no second time.
    assert returns(5, health)[0].tolist() == returns(5, person(age=45, dialysis=1.0))[0].tolist()


def test_a_centres_effect_is_on_death_on_the_list():
    """Log 4: all causes as before, but death four times as fast."""
    u = float(np.log(4.0))
    _, cause, _ = returns(3000, person(), u)
    died, sick = (cause == 0).sum(), (cause == 1).sum()
    assert died / sick == pytest.approx(4 / US.waiting.too_sick_ratio, rel=0.12)


def test_after_leaving_life_goes_on_by_why():
    left, cause, death = returns(4000, person(age=46))
    by_cause = [(death - left)[cause == code].mean() for code in range(len(DEPARTURES))]
    assert by_cause[0] == 0
    assert by_cause[1] < 0.6 * by_cause[3]  # too sick: 2.21 times the hazard
    assert by_cause[2] > 1.5 * by_cause[3]  # a living donor's kidney


def test_nobody_leaves_where_every_rate_is_zero():
    rates = ["level", "living_donor_per_year", "other_per_year"]
    still = load_population("us-national", [f"waiting.{rate}=0" for rate in rates]).parameters
    left, _, death = returns(3, person(), parameters=still)
    assert np.isposinf(left).all() and np.isposinf(death).all()


def test_a_return_is_quick():
    """Thousands in a run: a quarter of a millisecond here, ten times that allowed."""
    returns(20, person())
    start = time.process_time()
    returns(200, person())
    assert (time.process_time() - start) / 200 < 0.0025
