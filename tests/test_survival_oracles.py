"""Survival measures against scikit-survival, statsmodels, and histories traced by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sksurv.nonparametric import cumulative_incidence_competing_risks, kaplan_meier_estimator
from statsmodels.duration.survfunc import SurvfuncRight
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.rates import confint_poisson
from test_measures_record import RECORD, row

from measures import outcomes, survival
from measures.survival import CAUSES, aalen_johansen, clopper_pearson
from policies.rules import LifeYears, Lottery
from populations.presets import load_population
from populations.world import make_world
from sim.record import FATES, Record
from sim.waitlist import simulate


def crowd(seed: int, n: int = 300) -> Record:
    """Candidates listed at random times of ten years, heavily tied; some before the start."""
    rng = np.random.default_rng(seed)
    listed = rng.integers(-8, 36, n) / 4
    entry = np.maximum(listed, 0.0)
    death = listed + 0.25 + rng.integers(0, 60, n) / 4
    death = np.maximum(death, entry + 0.25)
    leaves = np.minimum(entry + 0.25 + rng.integers(0, 30, n) / 4, death)
    fate = np.where(leaves == death, "died", rng.choice([FATES[1], *FATES[3:]], n))
    waiting = leaves >= 10
    candidates = pd.DataFrame({"candidate": np.arange(n), "listed": listed, "age": 50.0})
    candidates["sex"] = rng.choice(["female", "male"], n)
    fates = pd.DataFrame({"entry": entry, "exit": np.where(waiting, 10.0, leaves), "death": death})
    fates["fate"] = np.where(waiting, "waiting", fate)
    return replace(RECORD, candidates=candidates, fates=fates, meta=RECORD.meta | {"years": 10.0})


def area(time: np.ndarray, alive: np.ndarray, horizon: float) -> float:
    """Area under a survival curve that steps down at ``time``, from 0 to ``horizon``."""
    edges = np.r_[0.0, np.minimum(time, horizon), horizon]
    return float(np.diff(edges) @ np.r_[1.0, alive])


@pytest.fixture(scope="module")
def simulated() -> dict[str, Record]:
    parameters = load_population("teaching").parameters
    world = make_world(parameters, 11, 0, 6.0)
    return {policy.name: simulate(world, policy) for policy in (Lottery(), LifeYears())}


# --- oracles ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_incidence_equals_scikit_survival(seed: int) -> None:
    record = crowd(seed)
    found = survival.cumulative_incidence(record).set_index(["fate", "time"])["value"]
    seen = record.candidates["listed"] >= 0
    years = (record.fates["exit"] - record.candidates["listed"])[seen].to_numpy()
    cause = record.fates["fate"][seen].map(FATES.index).to_numpy()
    time, incidence = cumulative_incidence_competing_risks(cause, years)
    for t in (1.0, 3.0, 5.0):
        by_then = incidence[:, np.searchsorted(time, t, side="right") - 1]
        for k, fate in enumerate(CAUSES, 1):
            assert found[fate, t] == pytest.approx(by_then[k], abs=1e-12)
    assert found["transplanted", 5.0] > 0 and found["died", 5.0] > 0


@pytest.mark.parametrize("seed", range(3))
def test_one_cause_equals_kaplan_meier(seed: int) -> None:
    rng = np.random.default_rng(seed)
    years, died = rng.integers(1, 15, 120).astype(float), rng.random(120) < 0.6
    time, alive = kaplan_meier_estimator(died, years)
    curve = aalen_johansen(np.zeros(120), years, died.astype(int), 1, time)
    np.testing.assert_allclose(curve.survival, alive, atol=1e-12)
    again = SurvfuncRight(years, died.astype(int))
    curve = aalen_johansen(np.zeros(120), years, died.astype(int), 1, again.surv_times)
    np.testing.assert_allclose(curve.survival, again.surv_prob, atol=1e-12)
    np.testing.assert_allclose(np.sqrt(curve.variance[:, 0]), again.surv_prob_se, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_restricted_life_years_are_the_area_under_kaplan_meier(seed: int) -> None:
    record = crowd(seed)
    found = outcomes.restricted_life_years(record, "sex")
    for horizon in (1.0, 3.0, 5.0):
        for sex in ("female", "male"):
            listed = record.candidates["listed"]
            followed = listed.between(0.0, 10.0 - horizon) & (record.candidates["sex"] == sex)
            years = (record.fates["death"] - listed)[followed].to_numpy()
            everybody = np.ones(len(years), dtype=bool)
            expected = area(*kaplan_meier_estimator(everybody, years), horizon)
            mine = row(found, sex, f"restricted_life_years.{horizon:g}y")
            assert mine["value"] == pytest.approx(expected)
            lived = np.minimum(years, horizon)
            half = 1.959963984540054 * lived.std(ddof=1) / np.sqrt(len(lived))
            assert (mine["low"], mine["high"]) == pytest.approx((expected - half, expected + half))
            assert (mine["numerator"], mine["denominator"]) == (lived.sum(), len(lived))


@pytest.mark.parametrize("seed", range(3))
def test_survival_after_transplant_equals_kaplan_meier(seed: int) -> None:
    record = crowd(seed)
    received = record.fates["fate"] == "transplanted"
    years = (record.fates["death"] - record.fates["exit"])[received].to_numpy()
    time, alive = kaplan_meier_estimator(np.ones(len(years), dtype=bool), years)
    record = replace(record, fates=record.fates.assign(kidney=-1))
    found = survival.post_transplant_survival(record)
    for t in (1.0, 3.0, 5.0):
        mine = row(found[found["grouping"] == "all"], measure=f"post_transplant_survival.{t:g}y")
        assert mine["value"] == pytest.approx(alive[np.searchsorted(time, t, side="right") - 1])
        limits = proportion_confint(mine["numerator"], len(years), method="beta")
        assert (mine["low"], mine["high"]) == pytest.approx(limits)


def test_binomial_limits_equal_statsmodels_also_at_the_ends() -> None:
    for count, trials in ((0, 1), (1, 1), (0, 7), (7, 7), (3, 7), (812, 1000)):
        low, high = clopper_pearson(np.array([float(count)]), np.array([float(trials)]))
        expected = proportion_confint(count, trials, method="beta")
        assert (low[0], high[0]) == pytest.approx(expected)


# --- by hand ------------------------------------------------------------------------------------


def test_restricted_life_years_by_hand() -> None:
    """Followed for 3 of 4 years: candidates 2 to 5, who live 3, 3, 2 and 1.5 of them."""
    found = outcomes.restricted_life_years(RECORD)
    assert row(found, measure="restricted_life_years.1y")["denominator"] == 6  # not 0 and 1
    assert row(found, measure="restricted_life_years.3y")["value"] == pytest.approx(9.5 / 4)
    late = row(found, measure="restricted_life_years.5y")
    assert np.isnan([late["value"], late["low"], late["high"]]).all()
    assert late["note"] == "nobody listed in the run and followed for 5 years"
    female = row(outcomes.restricted_life_years(RECORD, "sex"), "female", found["measure"][1])
    assert female["value"] == pytest.approx(2.25)
    assert female["high"] - female["value"] == pytest.approx(1.959963984540054 * 0.75)
    black = row(outcomes.restricted_life_years(RECORD, "race"), "Black", found["measure"][1])
    assert black["value"] == 3 and np.isnan(black["low"])  # one candidate has no spread


def test_pre_transplant_mortality_by_hand() -> None:
    """Candidates 1 and 4 die waiting, 5 half a year after removal as too sick."""
    found = row(outcomes.pre_transplant_mortality(RECORD))
    assert (found["numerator"], found["denominator"]) == (3, 15.5)
    assert found["value"] == pytest.approx(300 / 15.5)
    limits = np.array(confint_poisson(3, 15.5, method="exact-c")) * 100
    assert (found["low"], found["high"]) == pytest.approx(tuple(limits))
    race = outcomes.pre_transplant_mortality(RECORD, "race")
    assert row(race, "Black")["value"] == 0 and row(race, "Black")["high"] > 0
    assert row(race, "Asian")["note"] == "no person-years"


@pytest.mark.parametrize(
    ("fate", "death", "deaths", "years"),
    [
        ("too_sick", 4.5, 2, 15.5 + 1.5),  # dies after the end: followed until it
        ("living_donor", 2.5, 2, 15.5 - 0.5),  # a transplant ends follow-up
        ("other", 2.5, 2, 15.5 - 0.5),
    ],
)
def test_follow_up_before_transplant_ends(fate, death, deaths, years) -> None:
    fates = RECORD.fates.copy()
    fates.loc[5, ["fate", "death"]] = fate, death
    found = row(outcomes.pre_transplant_mortality(replace(RECORD, fates=fates)))
    assert (found["numerator"], found["denominator"]) == (deaths, years)


def test_survival_after_transplant_by_hand() -> None:
    """Recipients 0, 2 and 6 live 8, 1.5 and 6.5 years with kidneys of KDPI 20, 34 and 85."""
    found = survival.post_transplant_survival(RECORD)
    overall = found[found["grouping"] == "all"].set_index("measure")["value"]
    assert overall.tolist() == pytest.approx([1, 2 / 3, 2 / 3])
    bands = found[found["measure"] == "post_transplant_survival.3y"]
    bands = bands[bands["grouping"] == "kdpi_band"].set_index("group")
    assert bands["value"].tolist()[:3] == [1, 0, 1] and np.isnan(bands["value"]["86-100"])
    assert bands["note"]["86-100"] == "no transplants" and np.isnan(bands["high"]["86-100"])
    sexes = survival.post_transplant_survival(RECORD, "sex")
    female = row(sexes, "female", "post_transplant_survival.3y")
    assert (female["numerator"], female["denominator"]) == (1, 2)
    fates = RECORD.fates.copy()
    fates.loc[2, "death"] = 2.5  # exactly one year: dead by then, as Kaplan-Meier counts
    again = survival.post_transplant_survival(replace(RECORD, fates=fates), "sex")
    assert row(again, "female", "post_transplant_survival.1y")["value"] == 1 / 2


# --- on simulated histories ---------------------------------------------------------------------


def test_life_years_gained_compare_the_same_people(simulated) -> None:
    """Both lifetimes are the world's, so gains differ between arms by just the years lived."""
    lottery, greedy = simulated["lottery"], simulated["life-years"]
    total = {}
    for name, record in simulated.items():
        others = record.fates["fate"] != "transplanted"
        pd.testing.assert_series_equal(
            record.fates["death"][others],
            record.fates["untreated_death"][others],
            check_names=False,
        )
        found = outcomes.life_years_gained(record)
        total[name] = row(found, measure="life_years_gained.total")["value"]
    pd.testing.assert_series_equal(
        lottery.fates["untreated_death"], greedy.fates["untreated_death"]
    )
    lived = outcomes.years_lived(greedy).sum() - outcomes.years_lived(lottery).sum()
    assert total["life-years"] - total["lottery"] == pytest.approx(lived)
    assert lived != 0


def test_deaths_before_transplant_are_those_waiting_and_some_of_the_removed(simulated) -> None:
    fates = simulated["lottery"].fates
    found = row(outcomes.pre_transplant_mortality(simulated["lottery"]))
    removed = fates[fates["fate"] == "too_sick"]
    after = (removed["death"] < 6).sum()
    assert 0 < after < len(removed)
    assert found["numerator"] == (fates["fate"] == "died").sum() + after
    extra = np.minimum(removed["death"], 6.0) - removed["exit"]
    waited = (fates["exit"] - fates["entry"]).sum()
    assert found["denominator"] == pytest.approx(waited + extra.sum())
