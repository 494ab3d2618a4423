"""Exact and log intervals of rate ratios, and shrunken ratios, against statsmodels and scipy."""

import numpy as np
import pandas as pd
import pytest
from hand_made import hand_made, one
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import gamma
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.rates import confint_poisson_2indep
from statsmodels.stats.rates import test_poisson_2indep as exact_test

from measures import rates
from measures.registry import MEASURES
from populations.errors import InputError

COUNT = st.integers(0, 3000)
YEARS = st.floats(0.01, 1e5)


@given(COUNT, YEARS, COUNT, YEARS)
def test_exact_limits_are_clopper_pearson_limits_turned_into_ratios(d1, y1, d0, y0) -> None:
    low, high = rates.exact_ratio_limits(d1, y1, d0, y0)
    if d1 + d0 == 0:
        assert (low, high) == (0, np.inf)
        return
    below, above = proportion_confint(d1, d1 + d0, method="beta")
    below, above = (0.0 if d1 == 0 else below), (1.0 if d0 == 0 else above)
    assert low == pytest.approx(below / (1 - below) * y0 / y1, rel=1e-8)
    assert high == (np.inf if d0 == 0 else pytest.approx(above / (1 - above) * y0 / y1, rel=1e-8))


@pytest.mark.parametrize("counts", [(2, 5.5, 1, 9.5), (40, 310.0, 77, 290.0), (5, 1.0, 1, 1.0)])
def test_at_the_exact_limits_the_exact_test_gives_one_in_forty(counts) -> None:
    low, high = rates.exact_ratio_limits(*counts)
    for limit, alternative in ((low, "larger"), (high, "smaller")):
        found = exact_test(*counts, value=limit, method="exact-cond", alternative=alternative)
        assert found.pvalue == pytest.approx(0.025, rel=1e-6)


@given(st.integers(1, 500), YEARS, st.integers(1, 500), YEARS)
def test_log_limits_against_statsmodels(d1, y1, d0, y0) -> None:
    found = rates.log_ratio_limits(d1, d0, (d1 / y1) / (d0 / y0))
    expected = confint_poisson_2indep(d1, y1, d0, y0, method="wald-log", compare="ratio")
    assert found == pytest.approx(expected, rel=1e-9)


@given(COUNT, YEARS, COUNT, YEARS, st.floats(0.01, 100))
def test_exact_limits_turn_over_with_the_groups_and_ignore_the_unit_of_time(
    d1, y1, d0, y0, unit
) -> None:
    low, high = rates.exact_ratio_limits(d1, y1, d0, y0)
    turned_low, turned_high = rates.exact_ratio_limits(d0, y0, d1, y1)
    assert low == pytest.approx(1 / turned_high if d0 or d1 else 0, rel=1e-9)
    assert high == (np.inf if d0 == 0 else pytest.approx(1 / turned_low, rel=1e-9))
    again = rates.exact_ratio_limits(d1, unit * y1, d0, unit * y0)
    assert again == pytest.approx((low, high), rel=1e-9)


# Male: 1 transplant and 2 deaths in 9.5 years. Female: 2 transplants in 5.5, no death.
RECORD = hand_made(
    4.0,
    sex=["male"] * 3 + ["female"] * 3,
    exit=[4.0, 3.5, 2.0, 1.0, 1.5, 3.0],
    fate=["died", "transplanted", "died", "transplanted", "transplanted", "waiting"],
)


def test_ratios_carry_the_exact_interval() -> None:
    found = rates.transplant_rate_ratio(RECORD, "sex")
    female = one(found, "transplant_rate_ratio", "female")
    assert female["value"] == pytest.approx((2 / 5.5) / (1 / 9.5))
    below, above = proportion_confint(2, 3, method="beta")
    odds = np.array([below / (1 - below), above / (1 - above)])
    assert female[["exact_low", "exact_high"]].tolist() == pytest.approx(odds * 9.5 / 5.5)
    assert female["exact_low"] < female["low"] < female["high"] < female["exact_high"]
    male = one(found, "transplant_rate_ratio", "male")
    assert np.isnan(male["exact_low"]) and male["note"] == "reference group"
    assert female["note"] == "against male"


def test_the_exact_interval_stays_where_a_group_has_no_events() -> None:
    deaths = one(rates.mortality_rate_ratio(RECORD, "sex"), "mortality_rate_ratio", "female")
    assert np.isnan(deaths["value"]) and deaths["exact_low"] == 0
    # P(none of two deaths is a woman's) = 2.5 % at the upper limit: (1 - p)^2 = .025.
    p = 1 - np.sqrt(0.025)
    assert deaths["exact_high"] == pytest.approx(p / (1 - p) * 9.5 / 5.5)
    turned = rates.mortality_rate_ratio(RECORD, "sex", reference="female")
    male = one(turned, "mortality_rate_ratio", "male")
    assert male["exact_low"] == pytest.approx(1 / deaths["exact_high"])
    assert male["exact_high"] == np.inf
    nobody = rates.transplant_rate_ratio(RECORD, "race", reference="Asian")
    assert one(nobody, "transplant_rate_ratio", "Black")[["exact_low", "exact_high"]].isna().all()


def test_shrunken_ratios_by_hand() -> None:
    found = rates.shrunken_transplant_rate_ratio(RECORD, "sex")
    female = one(found, "shrunken_transplant_rate_ratio", "female")
    expected = 3 * 5.5 / 15  # everybody: 3 transplants in 15 years
    assert female["value"] == pytest.approx((2 + 2) / (expected + 2))
    limits = gamma.ppf([0.025, 0.975], a=4, scale=1 / (expected + 2))
    assert female[["low", "high"]].tolist() == pytest.approx(limits)
    assert (female["numerator"], female["denominator"]) == (2, pytest.approx(expected))
    assert female["note"] == "against everybody's rate"
    deaths = rates.shrunken_mortality_rate_ratio(RECORD, "sex")
    none_died = one(deaths, "shrunken_mortality_rate_ratio", "female")
    assert none_died["value"] == pytest.approx(2 / (2 * 5.5 / 15 + 2))
    assert 0 < none_died["low"] < none_died["value"] < none_died["high"]
    assert found["numerator"].sum() == pytest.approx(found["denominator"].sum())


def test_shrunken_ratios_are_undefined_where_only_the_prior_would_speak() -> None:
    found = rates.shrunken_transplant_rate_ratio(RECORD, "race")
    black = one(found, "shrunken_transplant_rate_ratio", "Black")
    assert np.isnan(black["value"]) and black["note"] == "no person-years"
    early = rates.shrunken_transplant_rate_ratio(RECORD, "sex", start=0.0, end=0.5)
    assert early["value"].isna().all() and early["note"].eq("no events").all()


def test_shrinking_matters_less_the_more_there_is_to_see() -> None:
    n = 3000
    many = hand_made(
        4.0,
        sex=["male", "female"] * (n // 2),
        exit=[1.0, 2.0] * (n // 2),
        fate="transplanted",
    )
    found = one(
        rates.shrunken_transplant_rate_ratio(many, "sex"),
        "shrunken_transplant_rate_ratio",
        "female",
    )
    assert found["value"] == pytest.approx(0.75, rel=1e-3)  # 1/2 over 2/3
    assert found["value"] > 0.75  # and still towards 1
    few = hand_made(4.0, sex=["male", "female"], exit=[1.0, 2.0], fate="transplanted")
    found = one(
        rates.shrunken_transplant_rate_ratio(few, "sex"),
        "shrunken_transplant_rate_ratio",
        "female",
    )
    assert found["value"] == pytest.approx((1 + 2) / (4 / 3 + 2))


def test_swapping_labels_swaps_the_shrunken_ratios() -> None:
    other = {"female": "male", "male": "female"}
    mirror = hand_made(
        4.0,
        sex=RECORD.candidates["sex"].map(other),
        exit=RECORD.fates["exit"],
        fate=RECORD.fates["fate"],
    )
    ours = rates.shrunken_mortality_rate_ratio(RECORD, "sex").set_index("group")
    theirs = rates.shrunken_mortality_rate_ratio(mirror, "sex").set_index("group")
    pd.testing.assert_frame_equal(ours, theirs.rename(index=other).loc[ours.index])


def test_reference_groups() -> None:
    assert rates.reference_group("race") == "White"
    assert rates.reference_group("sex") == "male"
    assert rates.reference_group("blood_type") == "O"
    assert rates.reference_group("sex", "female") == "female"
    with pytest.raises(InputError, match="reference: 'Male' is not one of female, male"):
        rates.reference_group("sex", "Male")


def test_every_ratio_is_named_so_that_it_is_averaged_on_the_log_scale() -> None:
    for name in ("shrunken_transplant_rate_ratio", "shrunken_mortality_rate_ratio"):
        found = MEASURES[name].function(RECORD, "sex")
        assert found["measure"].eq(name).all() and name.endswith("_ratio")
