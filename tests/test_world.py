"""Worlds: the same seed gives the same world, and nothing hangs on what it should not."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from populations.presets import load_population
from populations.schema import AGE_BANDS, SCHEMA, age_band
from populations.streams import stream
from populations.world import DEPARTURES, World, make_world

OUTCOMES = ("departure", "departure_cause", "untreated_death", "survival_draw")
RACES = SCHEMA["race"].levels


def world(*overrides, seed=7, number=0, years=3.0, preset="us-opo") -> World:
    return make_world(load_population(preset, overrides).parameters, seed, number, years)


def columns(w: World) -> dict[str, np.ndarray]:
    return {**w.candidates, **{name: getattr(w, name) for name in OUTCOMES}}


def differing(one: dict, other: dict) -> set[str]:
    assert set(one) == set(other)
    return {name for name in one if not np.array_equal(one[name], other[name])}


@pytest.fixture(scope="module")
def big() -> World:
    """Enough people and kidneys for shares to be exact to about half a percent."""
    return world("list.initial=60000", "arrivals.per_year=20000", "kidneys.per_year=20000")


@pytest.fixture(scope="module")
def base() -> World:
    return world()


def started(w: World) -> np.ndarray:
    return w.candidates["listed"] < 0


# ---- the same world ------------------------------------------------------------------------------


def test_same_seed_same_world(base):
    assert world().digest() == base.digest()


@pytest.mark.parametrize(
    "other", [{"seed": 8}, {"number": 1}, {"years": 3.5}, {"preset": "teaching"}]
)
def test_another_seed_number_length_or_preset_is_another_world(base, other):
    assert world(**other).digest() != base.digest()


def test_seed_and_number_are_not_interchangeable():
    assert world(seed=1, number=2).digest() != world(seed=2, number=1).digest()


@pytest.mark.parametrize("array", [*OUTCOMES, "accepts"])
def test_the_digest_sees_every_outcome(base, array):
    changed = getattr(base, array).copy()
    changed.flat[-1] = not changed.flat[-1] if changed.dtype == bool else changed.flat[-1] + 1
    assert dataclasses.replace(base, **{array: changed}).digest() != base.digest()


@pytest.mark.parametrize("table", ["candidates", "kidneys"])
def test_the_digest_sees_every_column(base, table):
    for name, column in getattr(base, table).items():
        changed = column.copy()
        changed[-1] += 1
        one_changed = {**getattr(base, table), name: changed}
        assert dataclasses.replace(base, **{table: one_changed}).digest() != base.digest(), name


def test_streams_are_keyed_by_all_three():
    draws = {
        float(stream(*key).random())
        for key in [(1, 2, "age"), (2, 1, "age"), (1, 2, "sex"), (1, 3, "age"), (12, 0, "age")]
    }
    assert len(draws) == 5
    assert stream(1, 2, "age").random() == stream(1, 2, "age").random()


# ---- a longer world begins with the shorter one ------------------------------------------------


def test_a_longer_world_begins_with_the_shorter_one(base):
    longer = world(years=20.0)
    assert len(longer.departure) > len(base.departure) + 5_000
    for name, column in columns(base).items():
        assert np.array_equal(column, columns(longer)[name][: len(column)]), name
    for name, column in base.kidneys.items():
        assert np.array_equal(column, longer.kidneys[name][: len(column)]), name
    assert np.array_equal(base.accepts, longer.accepts[: len(base.accepts)])
    assert np.array_equal(base.tickets(3), longer.tickets(3)[: len(base.accepts)])
    assert (longer.candidates["listed"][len(base.departure) :] >= 3.0).all()
    assert (longer.kidneys["time"][len(base.accepts) :] >= 3.0).all()


def test_lottery_tickets():
    w = world("acceptance.max_centres=4")
    tickets = w.tickets(0)
    assert tickets.shape == (len(w.kidneys["time"]), 4)
    assert tickets.mean() == pytest.approx(0.5, abs=0.02)
    assert np.array_equal(tickets, w.tickets(0))
    assert not np.isin(tickets, w.tickets(1)).any()


# ---- one parameter changes what it should, and nothing else -------------------------------------

HEALTH_OUTCOMES = {"departure", "departure_cause", "untreated_death"}
CHANGES = [
    ("cpra.shares=[0.1, 0.2, 0.3, 0.4]", {"cpra"}),
    ("kidneys.per_year=300", set()),
    ("kidneys.blood_type=[0.1, 0.2, 0.3, 0.4]", set()),
    ("acceptance.intercept=3.0", set()),
    ("sex.shares=[0.9, 0.1]", {"sex"}),
    ("insurance.shares=[0.1, 0.2, 0.3, 0.4]", {"insurance"}),
    ("neighbourhood.shares=[0.9, 0.1, 0, 0, 0]", {"neighbourhood"}),
    ("blood_type.shares=[0.1, 0.2, 0.3, 0.4]", {"blood_type"}),
    ("drinks_per_day.shares=[0.1, 0.1, 0.8]", {"drinks_per_day"}),
    ("skin_cancer.share_by_age=[0.5, 0.5, 0.5, 0.5]", {"skin_cancer"}),
    (
        "child_dependents.shares_by_age=[[0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 1, 0]]",
        {"child_dependents"},
    ),
    ("centres.count=9", {"centre"}),
    ("waiting.living_donor_per_year=0.5", HEALTH_OUTCOMES),
    ("diabetes.share_by_age=[0, 0, 0, 0]", {"diabetes", "epts"} | HEALTH_OUTCOMES),
    ("prior_transplant.share=0.9", {"prior_transplant", "epts"} | HEALTH_OUTCOMES),
    (
        "race.shares=[0.6, 0.1, 0.1, 0.1, 0.1]",
        {"race", "age", "birth", "dialysis_start", "dialysis_years", "diabetes", "epts"}
        | {"prior_transplant", "child_dependents", "skin_cancer"}
        | HEALTH_OUTCOMES,
    ),
]


@pytest.mark.parametrize(("override", "may_change"), CHANGES, ids=[row[0] for row in CHANGES])
def test_one_parameter_leaves_the_rest_alone(base, override, may_change):
    changed = differing(columns(base), columns(world(override)))
    assert changed <= may_change
    if may_change:
        assert changed  # and it does something


def test_more_people_at_the_start_leave_arrivals_and_kidneys_alone(base):
    more = world("list.initial=3000")
    for name, column in columns(base).items():
        if name != "candidate":
            later = columns(more)[name][~started(more)]
            assert np.array_equal(column[~started(base)], later), name
    assert not differing(base.kidneys, more.kidneys)
    assert np.array_equal(base.accepts, more.accepts)


def test_fewer_kidneys_are_the_same_donors_further_apart(base):
    fewer = world("kidneys.per_year=275")
    n = len(fewer.kidneys["time"])
    for name, column in fewer.kidneys.items():
        scale = 2.0 if name == "time" else 1
        assert np.allclose(column, base.kidneys[name][:n] * scale, rtol=1e-12), name
    assert np.array_equal(fewer.accepts, base.accepts[:n])


# ---- marginals -----------------------------------------------------------------------------------


def shares(codes, count) -> np.ndarray:
    return np.bincount(codes, minlength=count) / len(codes)


def test_shares_are_the_parameters(big):
    p, c = big.parameters, big.candidates
    for column, expected in [
        ("sex", p.sex.shares),
        ("race", p.race.shares),
        ("blood_type", p.blood_type.shares),
        ("insurance", p.insurance.shares),
        ("neighbourhood", p.neighbourhood.shares),
        ("centre", [0.2] * 5),
    ]:
        assert shares(c[column], len(expected)) == pytest.approx(expected, abs=0.006), column
    drinks = [np.mean(c["drinks_per_day"] == value) for value in p.drinks_per_day.values]
    assert drinks == pytest.approx(p.drinks_per_day.shares, abs=0.006)
    assert c["prior_transplant"].mean() == pytest.approx(0.118, abs=0.004)


@pytest.mark.parametrize("initial", [True, False])
def test_age_bands_are_the_parameters_in_spite_of_shifts_by_race(big, initial):
    who = started(big) == initial
    age = (np.where(started(big), 0.0, big.candidates["listed"]) - big.candidates["birth"])[who]
    assert shares(age_band(age), 4) == pytest.approx(big.parameters.age.shares, abs=0.007)
    assert age.min() >= 18 and age.max() < 81
    assert len(np.unique(age)) > 0.999 * len(age)  # nobody piled up on the first or last year
    race = big.candidates["race"][who]
    medians = {name: np.median(age[race == code]) for code, name in enumerate(RACES)}
    # Published differences of recipients' medians: Black -5, Hispanic -4, Asian -1 to White.
    for name, gap in (("Black", -5), ("Hispanic", -4), ("Asian", -1)):
        assert medians[name] - medians["White"] == pytest.approx(gap, abs=1.0), name


def test_diabetes_and_dialysis(big):
    c, initial = big.candidates, started(big)
    assert c["diabetes"].mean() == pytest.approx(0.468, abs=0.006)
    ratios = np.array([1.03, 1.03, 1.23, 0.89, 1.0])
    ratios /= np.dot(ratios, big.parameters.race.shares)
    band = age_band(np.where(initial, 0.0, c["listed"]) - c["birth"])
    for b, share in enumerate(big.parameters.diabetes.share_by_age):
        here = [c["diabetes"][(band == b) & (c["race"] == code)].mean() for code in range(4)]
        assert here == pytest.approx(share * ratios[:4], abs=0.04), AGE_BANDS[b]
    waiting = c["dialysis_start"] > np.maximum(c["listed"], 0)
    assert waiting[initial].mean() == pytest.approx(0.182, abs=0.006)
    assert waiting[~initial].mean() == pytest.approx(0.22, abs=0.006)
    assert (c["dialysis_years"][~initial] == 0).mean() == pytest.approx(0.22, abs=0.006)
    quartiles = np.quantile(c["dialysis_years"][~initial], [0.25, 0.5, 0.75])
    assert quartiles == pytest.approx([0.12, 0.90, 2.18], rel=0.15)  # ratios by race widen it
    years = -c["dialysis_start"][initial]
    on_list = [np.mean((years >= low) & (years < high)) for low, high in ((0, 1), (1, 3), (3, 5))]
    assert on_list == pytest.approx([0.116, 0.213, 0.167], abs=0.02)
    pre = [np.mean(waiting[initial & (c["race"] == code)]) / 0.182 for code in range(4)]
    assert pre == pytest.approx(np.array([0.70, 0.53, 0.51, 1.53]) / 0.906, abs=0.05)


def test_those_not_on_dialysis_start_at_the_given_rate(big):
    c = big.candidates
    until = (c["dialysis_start"] - np.maximum(c["listed"], 0))[c["dialysis_start"] > c["listed"]]
    assert until[until > 0].mean() == pytest.approx(10.0, rel=0.03)


def test_time_waited_so_far(big):
    waited = -big.candidates["listed"][started(big)]
    expected = big.parameters.list.waiting_years.shares
    observed = np.histogram(waited, [0, 1, 2, 3, 4, 5, 12])[0] / len(waited)
    assert observed == pytest.approx(expected, abs=0.007)


def test_moral_attributes_depend_on_age_and_on_nothing_else(big):
    c = big.candidates
    band = age_band(np.where(started(big), 0.0, c["listed"]) - c["birth"])
    p = big.parameters
    for code in range(len(AGE_BANDS)):
        expected = [np.dot(p.child_dependents.values, p.child_dependents.shares_by_age[code])]
        for other in ("race", "sex"):
            for level in range(2):
                here = (band == code) & (c[other] == level)
                assert c["child_dependents"][here].mean() == pytest.approx(expected[0], abs=0.06)
    mean = np.dot(p.drinks_per_day.values, p.drinks_per_day.shares)
    for level in range(4):
        assert c["drinks_per_day"][c["race"] == level].mean() == pytest.approx(mean, abs=0.05)


def test_skin_cancer_by_age():
    w = world("skin_cancer.share_by_age=[0.1, 0.3, 0.5, 0.7]", "list.initial=20000")
    band = age_band(np.where(started(w), 0.0, w.candidates["listed"]) - w.candidates["birth"])
    by_band = [w.candidates["skin_cancer"][band == code].mean() for code in range(4)]
    assert by_band == pytest.approx([0.1, 0.3, 0.5, 0.7], abs=0.03)


def test_the_survey_preset_is_even_as_in_the_studies():
    w = world("list.initial=60000", preset="survey")
    c, first = w.candidates, started(w)
    ages = np.rint(-c["birth"][first])
    assert ages == pytest.approx(-c["birth"][first], abs=1e-9)
    values, counts = np.unique(ages, return_counts=True)
    assert list(values) == list(range(25, 71))
    assert counts / len(ages) == pytest.approx(np.full(46, 1 / 46), abs=0.004)
    for name, levels in (("drinks_per_day", range(1, 6)), ("child_dependents", range(3))):
        values, counts = np.unique(c[name], return_counts=True)
        assert list(values) == list(levels)
        assert counts / len(c[name]) == pytest.approx(
            np.full(len(levels), 1 / len(levels)), abs=0.01
        )
        assert abs(np.corrcoef(c[name][first], ages)[0, 1]) < 0.02
    for code in range(5):
        assert ages[c["race"][first] == code].mean() == pytest.approx(47.5, abs=1.2)


# ---- kidneys -------------------------------------------------------------------------------------


def test_kidneys(big):
    k, p = big.kidneys, big.parameters.kidneys
    assert len(k["time"]) == pytest.approx(60_000, rel=0.02)
    assert (np.diff(k["time"]) >= 0).all()
    assert k["time"].min() >= 0 and k["time"].max() < 3.0
    assert np.histogram(k["time"], 3)[0] / len(k["time"]) == pytest.approx([1 / 3] * 3, abs=0.01)
    assert shares(k["blood_type"], 4) == pytest.approx(p.blood_type, abs=0.007)
    deciles = np.histogram(k["kdpi"], np.arange(0, 101, 10))[0] / len(k["kdpi"])
    assert deciles == pytest.approx([0.1] * 10, abs=0.008)
    drawn = [k[name] for name in ("time", "blood_type", "kdpi", "crossmatch", "appeal")]
    assert np.corrcoef(drawn) == pytest.approx(np.eye(5), abs=0.03)
    per_donor = np.bincount(k["donor"])
    assert set(per_donor) == {1, 2}
    assert per_donor.mean() == pytest.approx(p.per_donor, abs=0.01)


def test_both_kidneys_of_a_donor_are_alike_but_accepted_separately(big):
    k = big.kidneys
    second = np.flatnonzero(np.diff(k["donor"]) == 0) + 1
    assert len(second) > 1000
    for name in ("time", "blood_type", "kdpi", "crossmatch"):
        assert (k[name][second] == k[name][second - 1]).all(), name
    agree = big.accepts[second] == big.accepts[second - 1]
    assert 0.5 < agree.mean() < 0.95
    assert len(np.unique(k["crossmatch"])) == k["donor"].max() + 1


@pytest.mark.parametrize(("per_donor", "counts"), [(1, {1}), (2, {2})])
def test_one_or_two_kidneys_of_every_donor(per_donor, counts):
    w = world(f"kidneys.per_donor={per_donor}", "kidneys.per_year=2000")
    assert set(np.bincount(w.kidneys["donor"])) == counts
    assert len(w.kidneys["time"]) == pytest.approx(6000, rel=0.06)


def test_better_kidneys_are_accepted_more_as_the_logit_says():
    w = world("acceptance.centre_sd=0", "acceptance.kidney_sd=0", "kidneys.per_year=20000")
    a, x = w.parameters.acceptance, w.kidneys["kdpi"] / 100
    expected = 1 / (1 + np.exp(-(a.intercept + a.slope * x + a.curvature * x**2)))
    for low in np.arange(0, 1, 0.2):
        here = (x >= low) & (x < low + 0.2)
        assert w.accepts[here].mean() == pytest.approx(expected[here].mean(), abs=0.01)
    assert w.accepts.shape == (len(x), 5)


def test_centres_differ_and_kidneys_differ_by_their_sd():
    even = ("acceptance.slope=0", "acceptance.curvature=0", "acceptance.intercept=0")
    w = world(*even, "acceptance.centre_sd=2", "acceptance.kidney_sd=0", "centres.count=200")
    rates = np.clip(w.accepts.mean(axis=0), 0.002, 0.998)
    assert np.log(rates / (1 - rates)).std() == pytest.approx(2, abs=0.35)
    w = world(*even, "acceptance.centre_sd=0", "acceptance.kidney_sd=2", "centres.count=1000")
    rates = np.clip(w.accepts.mean(axis=1), 0.001, 0.999)
    assert np.log(rates / (1 - rates)).std() == pytest.approx(2, abs=0.1)


def test_cpra_is_the_chance_of_a_positive_crossmatch(big):
    c, positions = big.candidates, big.kidneys["crossmatch"][:4000]
    cpra = c["cpra"]
    assert ((cpra == 0) | (cpra >= 1)).all() and cpra.max() <= 100
    classes = [(cpra == 0), (cpra >= 1) & (cpra < 51), (cpra >= 51) & (cpra < 85), cpra >= 85]
    assert [k.mean() for k in classes] == pytest.approx([0.7, 0.1, 0.1, 0.1], abs=0.006)
    for people in classes:
        some = np.flatnonzero(people)[:300]
        after = (positions[None, :] - c["crossmatch_start"][some, None]) % 1.0
        positive = (after < cpra[some, None] / 100).mean(axis=1)
        assert positive == pytest.approx(cpra[some] / 100, abs=0.04)


# ---- potential outcomes --------------------------------------------------------------------------


def ordered(w: World) -> None:
    c = w.candidates
    listed, n = c["listed"], len(c["listed"])
    assert (np.diff(listed) >= 0).all() and listed.max(initial=-1) < w.years
    assert np.array_equal(c["candidate"], np.arange(n))
    for name, column in columns(w).items():
        assert len(column) == n and not np.isnan(column).any(), name
    assert (w.departure >= np.maximum(listed, 0)).all()
    assert (w.untreated_death >= w.departure).all()
    assert (w.survival_draw >= 0).all()
    died = w.departure_cause == DEPARTURES.index("died")
    assert (w.untreated_death[died] == w.departure[died]).all()
    assert (w.untreated_death[~died] > w.departure[~died]).all()
    assert ((c["age"] >= 0) & (c["age"] <= 100)).all()
    for name, attribute in SCHEMA.items():
        assert ((c[name] >= attribute.low) & (c[name] <= attribute.high)).all(), name
    assert (c["dialysis_start"] >= c["birth"]).all()
    assert not w.accepts.size or np.isfinite(w.log_kdri()).all()


@pytest.mark.parametrize("preset", ["us-opo", "survey", "teaching"])
def test_outcomes_are_in_order(preset):
    ordered(world(preset=preset))


def test_columns_at_listing(base):
    c = base.candidates
    assert c["age"] == pytest.approx(c["listed"] - c["birth"], abs=1e-12)
    assert c["dialysis_years"] == pytest.approx(np.maximum(c["listed"] - c["dialysis_start"], 0))
    assert len(np.unique(c["registration"])) == len(c["registration"])


def test_rates_of_leaving(big):
    """Person-years to departure or to the horizon against the parameters' constant rates."""
    w = big.parameters.waiting
    start = np.maximum(big.candidates["listed"], 0)
    end = np.minimum(big.departure, 3.0)
    years = (end - start).sum()
    left = big.departure < 3.0
    rates = [np.sum(left & (big.departure_cause == code)) / years for code in range(4)]
    assert rates[2] == pytest.approx(w.living_donor_per_year, rel=0.05)
    assert rates[3] == pytest.approx(w.other_per_year, rel=0.05)
    assert rates[1] / rates[0] == pytest.approx(w.too_sick_ratio, rel=0.06)
    # SRTR 2023: 5.0 deaths per 100 person-years on the list, 2.04 / 7.48 youngest / oldest
    assert rates[0] == pytest.approx(0.050, abs=0.012)
    band = age_band(start - big.candidates["birth"])
    died = left & (big.departure_cause == 0)
    by_age = [died[band == b].sum() / (end - start)[band == b].sum() for b in range(4)]
    assert (np.diff(by_age) > 0).all()
    assert by_age == pytest.approx([0.0204, 0.0301, 0.0520, 0.0748], rel=0.3)


def test_after_leaving_too_sick_death_is_near(big):
    """Hazard on dialysis times 2.21; living-donor recipients outlive everyone else."""
    after = big.untreated_death - big.departure
    age = big.departure - big.candidates["birth"]
    middle = (age >= 45) & (age < 65)
    by_cause = {
        cause: after[middle & (big.departure_cause == code)].mean()
        for code, cause in enumerate(DEPARTURES)
    }
    assert by_cause["too_sick"] == pytest.approx(1 / (0.1215 * 2.21), rel=0.06)
    assert by_cause["other"] == pytest.approx(1 / 0.1215, rel=0.06)
    assert by_cause["living_donor"] > 2 * by_cause["other"]
    assert big.survival_draw.mean() == pytest.approx(1.0, abs=0.02)


# ---- edges ---------------------------------------------------------------------------------------

NO_WAY_OUT = [
    "waiting.level=0",
    "waiting.living_donor_per_year=0",
    "waiting.other_per_year=0",
]


@pytest.mark.parametrize(
    "overrides",
    [
        ["list.initial=0"],
        ["arrivals.per_year=0"],
        ["kidneys.per_year=0"],
        ["list.initial=0", "arrivals.per_year=0", "kidneys.per_year=0"],
        ["waiting.dialysis_start_per_year=0"],
        ["waiting.too_sick_ratio=0"],
        ["waiting.living_donor_per_year=0"],
        ["list.initial=1", "arrivals.per_year=1e-9", "kidneys.per_year=1e-9"],
        ["dialysis.ratio_by_race=[1, 0.2, 0.2, 0.2, 0.2]"],
        ["race.shares=[0, 0, 0, 0, 1]", "dialysis.none_ratio_by_race=[1, 1, 1, 1, 0]"],
        ["diabetes.share_by_age=[1, 1, 1, 1]", "dialysis.none_on_list=1"],
        ["acceptance.intercept=-1000", "acceptance.slope=-1000"],
        ["acceptance.kidney_sd=1000000"],
    ],
)
def test_extreme_parameters_make_orderly_worlds(overrides):
    ordered(world(*overrides, preset="teaching"))


def test_nobody_leaves_where_every_rate_is_zero():
    w = world(*NO_WAY_OUT, preset="teaching")
    assert np.isposinf(w.departure).all() and np.isposinf(w.untreated_death).all()
    assert not np.isnan(w.survival_draw).any()


def test_nothing_to_draw_gives_empty_columns():
    w = world("list.initial=0", "arrivals.per_year=0", "kidneys.per_year=0", preset="teaching")
    assert {len(column) for column in columns(w).values()} == {0}
    assert {len(column) for column in w.kidneys.values()} == {0}
    assert w.accepts.shape == (0, 5)
    assert w.tickets(0).shape == (0, 5)
    assert len(w.digest()) == 64


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**64),
    st.integers(0, 10**6),
    st.sampled_from([0.0, 1e-9, 0.01, 1.0, 5.0]),
    st.sampled_from([0.0, 1e-9, 1.0, 90.0, 400.0]),
)
def test_small_worlds_of_any_seed_are_in_order(seed, number, years, rate):
    rates = [f"arrivals.per_year={rate}", f"kidneys.per_year={rate}", "list.initial=7"]
    w = world(*rates, seed=seed, number=number, years=years, preset="teaching")
    ordered(w)
    assert (w.kidneys["time"] < years).all() or not years
    assert world(*rates, seed=seed, number=number, years=years, preset="teaching").digest() == (
        w.digest()
    )
