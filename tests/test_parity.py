"""Parity of groups on records made by hand, against fairlearn and statsmodels."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from fairlearn.metrics import (
    MetricFrame,
    demographic_parity_difference,
    demographic_parity_ratio,
    equal_opportunity_difference,
    true_positive_rate,
)
from hand_made import hand_made, one
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import StratifiedTable
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.rates import confint_poisson_2indep

from experiments.inference import levels as means
from measures import parity, rates
from measures.registry import MEASURES
from measures.table import FULL_DETAIL_ONLY
from populations.errors import InputError
from sim.record import Record

MINE = ("demographic_parity", "four_fifths", "conditional_parity", "equal_opportunity")


def selected(seed: int, n: int = 400) -> Record:
    """Everybody on the list for the first of ten years; who is transplanted depends on race."""
    rng = np.random.default_rng(seed)
    race = rng.choice(["Black", "White", "Asian"], n, p=[0.5, 0.4, 0.1])
    chance = pd.Series(race).map({"Black": 0.3, "White": 0.5, "Asian": 0.7}).to_numpy()
    return hand_made(
        race=race,
        exit=1.0,
        fate=np.where(rng.random(n) < chance, "transplanted", "died"),
        considered=rng.integers(0, 3, n),
        claim=rng.random(n),
    )


def rowwise(record: Record) -> tuple[np.ndarray, pd.Series]:
    return (record.fates["fate"] == "transplanted").to_numpy(), record.candidates["race"]


# --- demographic parity and the four-fifths rule -------------------------------------------------

# Transplants / person-years: Black 1 / 8, White 3 / 6, Hispanic 0 / 1, the others nobody.
RECORD = hand_made(
    race=["Black", "Black", "White", "White", "White", "White", "Hispanic"],
    exit=[4.0, 4.0, 1.0, 1.0, 1.0, 3.0, 1.0],
    fate=[
        "transplanted",
        "waiting",
        "transplanted",
        "transplanted",
        "transplanted",
        "died",
        "died",
    ],
)


def test_demographic_parity_by_hand() -> None:
    found = parity.demographic_parity(RECORD, "race")
    rate = one(found, "demographic_parity.rate_difference")
    assert rate["value"] == pytest.approx(50.0)
    assert rate["note"] == "lowest Hispanic, highest White; without Asian, Other"
    assert one(found, "demographic_parity.rate_ratio")["value"] == 0.0
    # Three years after listing 0 of 2, 3 of 4 and 0 of 1 have been transplanted.
    assert one(found, "demographic_parity.incidence_difference")["value"] == pytest.approx(0.75)
    assert one(found, "demographic_parity.incidence_ratio")["value"] == 0.0
    assert found["grouping"].eq("race").all() and found["group"].eq("all").all()


def test_demographic_parity_of_rates_and_of_incidence_are_two_things() -> None:
    """Equal shares transplanted within three years, one group twice as fast."""
    record = hand_made(
        sex=["male", "male", "female", "female"],
        exit=[1.0, 1.0, 2.0, 2.0],
        fate=["transplanted", "died"] * 2,
    )
    found = parity.demographic_parity(record, "sex")
    assert one(found, "demographic_parity.rate_ratio")["value"] == pytest.approx(0.5)
    assert one(found, "demographic_parity.rate_difference")["value"] == pytest.approx(25.0)
    assert one(found, "demographic_parity.incidence_ratio")["value"] == pytest.approx(1.0)
    assert one(found, "demographic_parity.incidence_difference")["value"] == pytest.approx(0.0)


@pytest.mark.parametrize("seed", range(3))
def test_demographic_parity_against_fairlearn(seed: int) -> None:
    """With a year each, a rate per person-year is a selection rate; so is the incidence."""
    record = selected(seed)
    chosen, race = rowwise(record)
    found = parity.demographic_parity(record, "race")
    gap = demographic_parity_difference(chosen, chosen, sensitive_features=race)
    ratio = demographic_parity_ratio(chosen, chosen, sensitive_features=race)
    assert one(found, "demographic_parity.rate_difference")["value"] == pytest.approx(100 * gap)
    assert one(found, "demographic_parity.incidence_difference")["value"] == pytest.approx(gap)
    for kind in ("rate", "incidence"):
        name = f"demographic_parity.{kind}_ratio"
        assert one(found, name)["value"] == pytest.approx(ratio)


def test_incidence_counts_those_listed_after_the_start_by_years_since_listing() -> None:
    record = hand_made(
        8.0,
        sex=["male", "male", "female", "female", "female"],
        listed=[0.0, 0.0, 4.0, 4.0, -1.0],
        exit=[2.9, 3.1, 6.9, 6.9, 0.5],
        fate="transplanted",
    )
    found = one(parity.demographic_parity(record, "sex"), "demographic_parity.incidence_difference")
    assert found["value"] == pytest.approx(0.5) and found["note"] == "lowest male, highest female"


def test_parity_needs_two_groups_and_a_transplant() -> None:
    alone = hand_made(sex=["male"] * 2, exit=[1.0, 2.0], fate="transplanted")
    waiting = hand_made(sex=["male", "female"], exit=[4.0, 4.0], fate="waiting")
    for measured in (parity.demographic_parity, parity.four_fifths):
        found = measured(alone, "sex")
        assert found["value"].isna().all()
        assert found["note"].eq("fewer than two groups to compare").all()
        ratios = measured(waiting, "sex").query("measure.str.endswith('_ratio')")
        assert ratios["value"].isna().all() and ratios["note"].eq("no transplants").all()
    gap = one(parity.demographic_parity(waiting, "sex"), "demographic_parity.rate_difference")
    assert gap["value"] == 0


def of_rates(events: int, years: float, base_events: int, base_years: float) -> Record:
    n = base_events + events
    return hand_made(
        100.0,
        sex=["female"] * events + ["male"] * base_events,
        exit=[years / events] * events + [base_years / base_events] * base_events,
        fate=["transplanted"] * n,
    )


def test_four_fifths_is_the_lowest_rate_over_the_highest_with_the_log_interval() -> None:
    found = one(
        parity.four_fifths(of_rates(30, 100.0, 50, 100.0), "sex"), "four_fifths.impact_ratio"
    )
    assert found["value"] == pytest.approx(0.6)
    expected = confint_poisson_2indep(30, 100, 50, 100, method="wald-log", compare="ratio")
    assert (found["low"], found["high"]) == pytest.approx(expected)
    assert found["note"] == ("below 4/5, interval on both sides; lowest female, highest male")


def test_four_fifths_says_on_which_side_it_lies() -> None:
    def note(*counts) -> str:
        return one(parity.four_fifths(of_rates(*counts), "sex"), "four_fifths.impact_ratio")["note"]

    assert note(300, 1000.0, 500, 1000.0).startswith("below 4/5; lowest female")
    assert note(950, 1000.0, 900, 1000.0).startswith("not below 4/5; lowest male, highest female")
    assert note(9, 10.0, 10, 10.0).startswith("not below 4/5, interval on both sides")
    # Exactly four fifths is no adverse impact: the rule says "less than".
    assert note(4, 4.0, 5, 4.0).startswith("not below 4/5")


def test_four_fifths_flags_a_group_without_transplants() -> None:
    found = one(parity.four_fifths(RECORD, "race"), "four_fifths.impact_ratio")
    assert found["value"] == 0 and np.isnan([found["low"], found["high"]]).all()
    assert found["note"].startswith("below 4/5; lowest Hispanic, highest White; without")


def test_parity_is_the_same_whatever_the_groups_are_called() -> None:
    other = {"Black": "White", "White": "Asian", "Asian": "Other"}
    record = selected(1)
    renamed = hand_made(
        race=record.candidates["race"].map(other),
        **{k: record.fates[k] for k in ("exit", "fate", "considered")},
    )
    for measured in (parity.demographic_parity, parity.four_fifths, parity.equal_opportunity):
        ours, theirs = measured(record, "race"), measured(renamed, "race")
        ours = ours[ours["group"] == "all"].reset_index(drop=True)
        theirs = theirs[theirs["group"] == "all"].reset_index(drop=True)
        np.testing.assert_allclose(ours[["value", "low", "high"]], theirs[["value", "low", "high"]])
        named = "lowest Black, highest Asian"
        assert ours["note"].str.contains(named).all()
        assert theirs["note"].str.contains("lowest White, highest Other").all()


# --- conditional parity --------------------------------------------------------------------------


def test_mantel_haenszel_by_hand() -> None:
    ratio, low, high = parity.mantel_haenszel([2, 3], [10, 30], [1, 4], [30, 10])
    above, below = 2 * 30 / 40 + 3 * 10 / 40, 1 * 10 / 40 + 4 * 30 / 40
    assert ratio == pytest.approx(above / below)
    variance = (3 * 300 / 1600 + 7 * 300 / 1600) / (above * below)
    spread = np.exp(1.959964 * np.sqrt(variance))
    assert (low, high) == pytest.approx((ratio / spread, ratio * spread), rel=1e-6)


STRATUM = st.tuples(
    st.integers(1, 40), st.integers(50, 900), st.integers(1, 40), st.integers(50, 900)
)


@given(st.lists(STRATUM, min_size=1, max_size=6))
def test_mantel_haenszel_against_statsmodels(strata) -> None:
    """Its pooled risk ratio takes people where this takes person-time; the formula is the same."""
    tables = [np.array([[a, n1 - a], [b, n0 - b]]) for a, n1, b, n0 in strata]
    ratio, _, _ = parity.mantel_haenszel(*zip(*strata, strict=True))
    assert ratio == pytest.approx(StratifiedTable(tables).riskratio_pooled)


def test_mantel_haenszel_agrees_with_a_regression_on_strata_where_the_ratio_is_one() -> None:
    rng = np.random.default_rng(3)
    years = rng.uniform(200, 900, (2, 8))
    events = rng.poisson(years * np.exp(rng.normal(-1, 0.7, 8)) * np.array([[1.3], [1.0]]))
    ratio, low, high = parity.mantel_haenszel(events[0], years[0], events[1], years[1])
    group = np.repeat([1.0, 0.0], 8)
    columns = np.column_stack([group, np.tile(np.eye(8), (2, 1))])
    fitted = sm.GLM(
        events.ravel(), columns, family=sm.families.Poisson(), offset=np.log(years.ravel())
    ).fit()
    assert np.log(ratio) == pytest.approx(fitted.params[0], abs=0.01)
    expected = fitted.conf_int()[0]
    assert np.log([low, high]) == pytest.approx(expected, abs=0.015)


def test_mantel_haenszel_of_one_stratum_is_the_plain_ratio_with_its_log_interval() -> None:
    found = parity.mantel_haenszel([7], [20.0], [12], [55.0])
    ratio = (7 / 20) / (12 / 55)
    assert found == pytest.approx((ratio, *rates.log_ratio_limits(7, 12, ratio)))


@given(st.lists(STRATUM, min_size=1, max_size=6), st.floats(0.01, 100))
def test_mantel_haenszel_turns_over_and_ignores_unit_and_empty_strata(strata, unit) -> None:
    a, n1, b, n0 = (np.array(x, dtype=float) for x in zip(*strata, strict=True))
    ratio, low, high = parity.mantel_haenszel(a, n1, b, n0)
    turned = parity.mantel_haenszel(b, n0, a, n1)
    assert turned == pytest.approx((1 / ratio, 1 / high, 1 / low))
    assert parity.mantel_haenszel(a, unit * n1, b, unit * n0) == pytest.approx((ratio, low, high))
    # Nothing happened; nobody; only the one; only the other, though with an event.
    blank = [(0, 50, 0, 70), (0, 0, 0, 0), (3, 9, 0, 0), (0, 0, 2, 8)]
    more = (np.append(x, y) for x, y in zip((a, n1, b, n0), zip(*blank, strict=True), strict=True))
    assert parity.mantel_haenszel(*more) == pytest.approx((ratio, low, high))


def test_mantel_haenszel_without_events_on_a_side() -> None:
    ratio, *limits = parity.mantel_haenszel([0, 0], [5, 5], [1, 2], [5, 5])
    assert ratio == 0 and np.isnan(limits).all()  # a group that gets nothing must count
    assert np.isnan(parity.mantel_haenszel([1, 2], [5, 5], [0, 0], [5, 5])).all()
    assert np.isnan(parity.mantel_haenszel([1, 0], [5, 0], [0, 2], [0, 5])).all()


def by_claim() -> Record:
    """The rate is the claim's; women's claims are the stronger ones nine times in ten."""
    rows = []
    for tenth in range(10):
        for sex in ("female", "male"):
            strong = tenth >= 5
            n = 90 if strong == (sex == "female") else 10
            claim = np.full(n, tenth / 10 + 0.05)
            fate = np.where(np.arange(n) % 10 < (8 if strong else 2), "transplanted", "died")
            rows.append(pd.DataFrame({"sex": sex, "claim": claim, "fate": fate, "exit": 2.0}))
    return hand_made(**pd.concat(rows, ignore_index=True).to_dict("series"))


def test_equal_rates_at_equal_claims_are_conditional_parity() -> None:
    record = by_claim()
    plain = one(rates.transplant_rate_ratio(record, "sex"), "transplant_rate_ratio", "female")
    assert plain["value"] == pytest.approx((0.9 * 0.8 + 0.1 * 0.2) / (0.1 * 0.8 + 0.9 * 0.2))
    found = parity.conditional_parity(record, "sex")
    female = one(found, "conditional_parity.rate_ratio", "female")
    assert female["value"] == pytest.approx(1.0) and female["low"] < 1 < female["high"]
    assert female["note"] == "against male in 10 of 10 tenths of the claim"
    male = one(found, "conditional_parity.rate_ratio", "male")
    assert male["value"] == 1 and male["note"] == "reference group"
    assert np.isnan([male["low"], male["high"]]).all()


def test_conditional_parity_is_mantel_haenszel_over_tenths_of_all_claims() -> None:
    rng = np.random.default_rng(5)
    n = 600
    record = hand_made(
        sex=rng.choice(["female", "male"], n),
        claim=rng.random(n).round(2),
        listed=rng.uniform(-1, 4, n),
        exit=rng.uniform(4.1, 9, n),
        fate=rng.choice(["transplanted", "died"], n),
    )
    found = one(parity.conditional_parity(record, "sex"), "conditional_parity.rate_ratio", "female")
    people = record.people()
    cuts = np.quantile(people["claim"], np.arange(0.1, 0.95, 0.1))
    people["tenth"] = [sum(claim >= cut for cut in cuts) for claim in people["claim"]]
    assert people["tenth"].nunique() == 10
    people["years"] = people["exit"] - people["entry"]
    people["had"] = people["fate"] == "transplanted"
    cells = people.groupby(["sex", "tenth"])[["had", "years"]].sum()
    women, men = cells.loc["female"], cells.loc["male"]
    expected = parity.mantel_haenszel(women["had"], women["years"], men["had"], men["years"])
    assert (found["value"], found["low"], found["high"]) == pytest.approx(expected)


def test_conditional_parity_with_one_claim_for_all_is_the_plain_ratio() -> None:
    record = hand_made(
        race=["White"] * 4 + ["Black"] * 4,
        claim=0.5,
        exit=[1.0, 2.0, 3.0, 4.0, 2.0, 4.0, 6.0, 8.0],
        fate=["transplanted", "transplanted", "died", "died"] * 2,
    )
    found = one(parity.conditional_parity(record, "race"), "conditional_parity.rate_ratio", "Black")
    plain = one(rates.transplant_rate_ratio(record, "race"), "transplant_rate_ratio", "Black")
    for name in ("value", "low", "high"):
        assert found[name] == pytest.approx(plain[name])
    assert found["note"] == "against White in 1 of 10 tenths of the claim"
    nobody = one(
        parity.conditional_parity(record, "race"), "conditional_parity.rate_ratio", "Asian"
    )
    assert np.isnan(nobody["value"])
    assert nobody["note"] == "no events of Asian or White in any tenth they share"
    against = parity.conditional_parity(record, "race", reference="Asian")
    assert against["value"].isna().all() and against["note"].str.contains("Asian").all()
    with pytest.raises(InputError, match="'Martian' is not one of"):
        parity.conditional_parity(record, "race", reference="Martian")


# --- equal opportunity ---------------------------------------------------------------------------


def test_equal_opportunity_by_hand() -> None:
    record = hand_made(
        6.0,
        sex=["male"] * 4 + ["female"] * 5,
        listed=[-1.0, 0.0, 1.0, 2.0, 0.0, 3.0, 3.1, 0.0, 0.0],
        exit=[1.0, 2.0, 5.0, 6.0, 4.0, 6.0, 6.0, 4.0, 2.0],
        fate=np.r_[
            ["transplanted", "transplanted", "transplanted", "waiting"],
            ["transplanted", "waiting", "waiting", "died", "transplanted"],
        ],
        considered=np.r_[[3, 1, 0, 2], [1, 1, 5, 2, 0]],
    )
    found = parity.equal_opportunity(record, "sex")
    # Not counted: one of each never considered, and a woman listed less than 3 years ago.
    male = one(found, "equal_opportunity.true_positive_rate", "male")
    assert (male["numerator"], male["denominator"]) == (2, 3)
    female = one(found, "equal_opportunity.true_positive_rate", "female")
    assert (female["numerator"], female["denominator"]) == (1, 3)
    assert (female["low"], female["high"]) == pytest.approx(proportion_confint(1, 3, method="beta"))
    gap = one(found, "equal_opportunity.difference")
    assert gap["value"] == pytest.approx(1 / 3)
    assert gap["note"] == "lowest female, highest male"


@pytest.mark.parametrize("seed", range(3))
def test_equal_opportunity_against_fairlearn(seed: int) -> None:
    record = selected(seed)
    chosen, race = rowwise(record)
    qualified = (record.fates["considered"] >= 1).to_numpy()
    found = parity.equal_opportunity(record, "race")
    gap = equal_opportunity_difference(qualified, chosen, sensitive_features=race)
    assert one(found, "equal_opportunity.difference")["value"] == pytest.approx(gap)
    frame = MetricFrame(
        metrics=true_positive_rate, y_true=qualified, y_pred=chosen, sensitive_features=race
    )
    for group, expected in frame.by_group.items():
        share = one(found, "equal_opportunity.true_positive_rate", group)
        assert share["value"] == pytest.approx(expected)


def test_growth_of_a_group_does_not_look_like_a_lack_of_opportunity() -> None:
    """Both wait two years for a kidney; women have only lately begun to be listed."""
    listed = np.r_[np.linspace(0, 9.9, 100), np.linspace(5, 9.9, 100)]
    late = listed + 2 > 10
    record = hand_made(
        sex=["male"] * 100 + ["female"] * 100,
        listed=listed,
        exit=np.minimum(listed + 2, 10),
        fate=np.where(late, "waiting", "transplanted"),
        considered=1,
    )
    gap = one(parity.equal_opportunity(record, "sex"), "equal_opportunity.difference")
    assert gap["value"] == 0
    raw = (~late).reshape(2, 100).mean(axis=1)
    assert raw[0] - raw[1] > 0.15


def test_equal_opportunity_says_who_is_missing() -> None:
    record = hand_made(
        4.0, race=["White", "Black"], listed=[0.0, 2.0], exit=4.0, fate="waiting", considered=1
    )
    found = parity.equal_opportunity(record, "race")
    black = one(found, "equal_opportunity.true_positive_rate", "Black")
    assert np.isnan([black["value"], black["low"]]).all()
    assert black["note"] == "nobody considered who was observed for 3 years"
    assert one(found, "equal_opportunity.difference")["note"].startswith("fewer than two")


# --- all of them ---------------------------------------------------------------------------------

KEYS = {name: MEASURES[name].function(selected(0, 20), "race")["measure"].tolist() for name in MINE}


def test_what_was_not_recorded_is_not_measured() -> None:
    for name in ("conditional_parity", "equal_opportunity"):
        found = MEASURES[name].function(RECORD, "race")
        assert found["value"].isna().all() and found["note"].eq(FULL_DETAIL_ONLY).all()
        full = MEASURES[name].function(selected(0), "race")
        assert found[["measure", "group"]].equals(full[["measure", "group"]])


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["Black", "White", "Asian"]),
            st.sampled_from(["transplanted", "died", "waiting"]),
            st.floats(0, 9),
            st.floats(0, 1),
            st.integers(0, 2),
        ),
        max_size=12,
    )
)
def test_every_row_has_a_value_or_says_why_not(people) -> None:
    race, fate, listed, claim, considered = zip(*people, strict=True) if people else ([],) * 5
    record = hand_made(
        race=pd.Series(race, dtype=object),
        fate=pd.Series(fate, dtype=object),
        listed=pd.Series(listed, dtype=float),
        exit=pd.Series(listed, dtype=float) + 1,
        claim=pd.Series(claim, dtype=float),
        considered=pd.Series(considered, dtype=int),
    )
    for name in MINE:
        found = MEASURES[name].function(record, "race")
        assert found["measure"].tolist() == KEYS[name]
        assert found.loc[found["value"].isna(), "note"].str.len().gt(0).all()
        assert not np.isinf(found[["value", "low", "high"]].to_numpy(dtype=float)).any()


def test_ratios_are_averaged_on_the_log_scale() -> None:
    rows = [
        parity.four_fifths(of_rates(*counts), "sex").assign(arm="a", world=world)
        for world, counts in enumerate([(30, 100.0, 60, 100.0), (8, 16.0, 16, 4.0)])
    ]
    found = means(pd.concat(rows, ignore_index=True))
    assert found["value"].item() == pytest.approx(np.sqrt(0.5 * 0.125))
