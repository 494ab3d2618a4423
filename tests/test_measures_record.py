"""Measures of a record, on a history of eight candidates and five kidneys traced by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.rates import confint_poisson, confint_poisson_2indep

from measures import decisions, inequality, outcomes, rates, survival
from measures.headline import summary
from measures.registry import MEASURES
from measures.table import COLUMNS
from populations.errors import InputError
from populations.schema import SCHEMA
from sim.record import GROUPINGS, Record

PEOPLE = ["listed", "age", "sex", "race", "entry", "exit", "fate", "kidney"]
PEOPLE += ["death", "untreated_death"]
KIDNEYS = ["kidney", "time", "blood_type", "kdpi", "eligible", "shown", "tie", "tied", "effective"]
KIDNEYS += ["offers", "candidate", "chance", "position", "outcome"]


def make_record(**meta) -> Record:
    """Four years; candidates 0 and 1 were on the list when the run began."""
    people = pd.DataFrame(
        [
            (-1.0, 34.5, "female", "Black", 0.0, 1.0, "transplanted", 0, 9.0, 2.0),
            (-0.5, 40.0, "male", "White", 0.0, 2.0, "died", -1, 2.0, 2.0),
            (0.0, 50.0, "female", "Black", 0.0, 1.5, "transplanted", 1, 3.0, 3.5),
            (0.5, 64.0, "male", "White", 0.5, 4.0, "waiting", -1, 7.0, 7.0),
            (1.0, 20.0, "male", "White", 1.0, 3.0, "died", -1, 3.0, 3.0),
            (1.0, 70.0, "female", "White", 1.0, 2.0, "too_sick", -1, 2.5, 2.5),
            (1.5, 35.0, "male", "Black", 1.5, 3.5, "transplanted", 3, 10.0, 3.8),
            (2.0, 45.0, "female", "Hispanic", 2.0, 4.0, "waiting", -1, 5.0, 5.0),
        ],
        columns=PEOPLE,
    )
    n = len(people)
    candidates = pd.DataFrame({"candidate": np.arange(n), "listed": people["listed"], "centre": 0})
    candidates["dialysis_start"] = 0.0
    for name, attribute in SCHEMA.items():
        default = attribute.levels[0] if attribute.levels else attribute.low
        candidates[name] = people.get(name, pd.Series([default] * n))
    fates = people[["entry", "exit", "fate", "kidney", "death", "untreated_death"]].copy()
    fates.insert(0, "candidate", np.arange(n))
    fates["graft_failure"] = [8.0, np.nan, np.inf, *[np.nan] * 3, 9.0, np.nan]
    fates = fates.assign(active_years=fates["exit"] - fates["entry"], inactive=False)
    kidneys = pd.DataFrame(
        [
            (0, 1.0, "O", 20.0, 3, 2, 0.5, 2, 1.8, 1, 0, 0.6, 0, "transplanted"),
            (1, 1.5, "O", 34.0, 2, 2, 0.1, 1, 1.2, 2, 2, 0.3, 1, "transplanted"),
            (2, 2.0, "B", 34.5, 1, 1, 0.0, 1, 1.0, 1, -1, 0.0, -1, "refused"),
            (3, 3.5, "O", 85.0, 3, 3, 0.9, 3, 3.0, 1, 6, 0.33, 2, "transplanted"),
            (4, 3.9, "AB", 86.0, 0, 0, 0.0, 0, 0.0, 0, -1, 0.0, -1, "no_candidate"),
        ],
        columns=KIDNEYS,
    )
    used = kidneys["outcome"] == "transplanted"
    for name, hand in (("cold_hours", 12.0), ("distance_nm", 50.0), ("mismatches", 3.0)):
        kidneys[name] = np.where(used, hand, np.nan)
    kidneys["level"] = np.where(used, "local", None)
    offers = pd.DataFrame({"kidney": [0, 1, 1, 2, 3], "candidate": [0, 1, 2, 3, 6]})
    offers["accepted"] = [True, False, True, False, True]
    empty = pd.DataFrame()
    base = {"years": 4.0, "policy": "p", "seed": 1, "world": 0, "tie_seed": 0}
    return Record(candidates, fates, kidneys, offers, empty, base | meta)


RECORD = make_record()


def row(frame: pd.DataFrame, group: str = "all", measure: str | None = None) -> pd.Series:
    chosen = frame[frame["group"] == group]
    if measure is not None:
        chosen = chosen[chosen["measure"] == measure]
    assert len(chosen) == 1
    return chosen.iloc[0]


# --- rates --------------------------------------------------------------------------------------


def test_rates_by_hand() -> None:
    overall = row(rates.transplant_rate(RECORD))
    assert (overall["numerator"], overall["denominator"]) == (3, 15.0)
    assert overall["value"] == pytest.approx(20.0)
    assert row(rates.mortality_rate(RECORD))["value"] == pytest.approx(200 / 15)
    by_sex = rates.transplant_rate(RECORD, "sex")
    assert row(by_sex, "female")["value"] == pytest.approx(200 / 5.5)
    assert row(by_sex, "male")["value"] == pytest.approx(100 / 9.5)
    # 34.5 at listing, a year before the start: 35.5 at entry.
    by_age = rates.transplant_rate(RECORD, "age_band")
    assert row(by_age, "35-49")["numerator"] == 2
    assert row(by_age, "35-49")["denominator"] == pytest.approx(1 + 2 + 2 + 2)


def test_rate_in_a_window_counts_its_start_and_not_its_end() -> None:
    found = row(rates.transplant_rate(RECORD, start=1.0, end=2.0))
    assert (found["numerator"], found["denominator"]) == (2, 5.0)  # exits at 1.0 and 1.5
    deaths = row(rates.mortality_rate(RECORD, start=1.0, end=2.0))
    assert deaths["numerator"] == 0  # the death at 2.0 is the next window's


def test_rate_interval_is_the_exact_poisson_one() -> None:
    for count in (1, 2, 17, 400):
        low, high = rates.garwood(np.array([float(count)]))
        assert (low[0], high[0]) == pytest.approx(confint_poisson(count, 1, method="exact-c"))
    found = row(rates.transplant_rate(RECORD))
    expected = np.array(confint_poisson(3, 15.0, method="exact-c")) * 100
    assert (found["low"], found["high"]) == pytest.approx(tuple(expected))


def test_rate_without_events_is_undefined_with_an_upper_limit() -> None:
    found = row(rates.mortality_rate(RECORD, "sex"), "female")
    assert np.isnan(found["value"]) and found["note"] == "no events"
    assert found["numerator"] == 0 and found["low"] == 0
    assert found["high"] == pytest.approx(100 * -np.log(0.025) / 5.5)  # P(0 events) = 2.5 %


def test_rate_without_person_years_is_undefined() -> None:
    found = row(rates.transplant_rate(RECORD, "race"), "Asian")
    assert np.isnan([found["value"], found["low"], found["high"]]).all()
    assert found["note"] == "no person-years"


def test_rate_ratio_by_hand_and_against_statsmodels() -> None:
    ratio = rates.transplant_rate_ratio(RECORD, "sex")
    found = row(ratio, "female")
    assert found["value"] == pytest.approx((2 / 5.5) / (1 / 9.5))
    expected = confint_poisson_2indep(2, 5.5, 1, 9.5, method="wald-log", compare="ratio")
    assert (found["low"], found["high"]) == pytest.approx(expected)
    assert row(ratio, "male")["value"] == 1 and row(ratio, "male")["note"] == "reference group"
    turned = row(rates.transplant_rate_ratio(RECORD, "sex", reference="female"), "male")
    assert turned["value"] == pytest.approx(1 / found["value"])


def test_rate_ratio_says_why_it_is_undefined() -> None:
    deaths = rates.mortality_rate_ratio(RECORD, "sex")
    assert np.isnan(row(deaths, "female")["value"])
    assert row(deaths, "female")["note"] == "no events in female"
    deaths = rates.mortality_rate_ratio(RECORD, "sex", reference="female")
    assert deaths["value"].isna().all() and deaths["note"].eq("no events in female").all()
    asian = row(rates.transplant_rate_ratio(RECORD, "race", reference="Black"), "Asian")
    assert np.isnan(asian["value"]) and "no person-years in Asian" in asian["note"]


def test_rolling_windows_cover_the_run_and_equal_single_windows() -> None:
    rolled = rates.rolling(rates.transplant_rate, RECORD, "sex", width=1.0, step=0.25)
    assert sorted(rolled["start"].unique()) == [0.25 * i for i in range(13)]
    window = rolled[rolled["start"] == 1.0].drop(columns=["start", "end"])
    single = rates.transplant_rate(RECORD, "sex", start=1.0, end=2.0)
    pd.testing.assert_frame_equal(window.reset_index(drop=True), single)
    yearly = rates.rolling(rates.transplant_rate, RECORD, width=1.0, step=1.0)
    assert yearly["numerator"].sum() == 3 and yearly["denominator"].sum() == pytest.approx(15)
    with pytest.raises(InputError, match="run's 4 years"):
        rates.rolling(rates.transplant_rate, RECORD, width=5.0)


def test_wrong_grouping_reference_or_window_is_one_line() -> None:
    with pytest.raises(InputError, match="'cpra' is not a grouping"):
        rates.transplant_rate(RECORD, "cpra")
    with pytest.raises(InputError, match="'x' is not one of female, male"):
        rates.transplant_rate_ratio(RECORD, "sex", reference="x")
    with pytest.raises(InputError, match="is empty"):
        rates.transplant_rate(RECORD, start=2.0, end=2.0)
    odd = RECORD.candidates.assign(sex="unknown")
    with pytest.raises(InputError, match="'unknown' is not one of"):
        rates.transplant_rate(replace(RECORD, candidates=odd), "sex")


# --- cumulative incidence -----------------------------------------------------------------------


def test_cumulative_incidence_by_hand() -> None:
    """Six incident candidates: too sick at 1; tx at 1.5; died, tx, censored at 2; censored 3.5."""
    found = survival.cumulative_incidence(RECORD, times=(1.0, 3.0, 3.5, 5.0))
    value = found.set_index(["fate", "time"])["value"]
    assert value["too_sick", 1.0] == pytest.approx(1 / 6)
    assert value["transplanted", 1.0] == 0
    assert value["transplanted", 3.0] == pytest.approx(1 / 3)
    assert value["died", 3.0] == pytest.approx(1 / 6)
    risk = found[found["fate"] == "died"].set_index("time")["at_risk"]
    assert risk.to_dict() == {1.0: 6, 3.0: 1, 3.5: 1, 5.0: 0}
    late = found[found["time"] == 5.0]
    assert late["value"].isna().all() and late["note"].eq("nobody followed for 5 years").all()
    none_yet = row(found, measure="cumulative_incidence.transplanted.1y")
    assert none_yet["note"] == "no events by then" and np.isnan(none_yet["high"])


def test_cumulative_incidence_by_group() -> None:
    found = survival.cumulative_incidence(RECORD, "race", times=(2.0, 3.0))
    # Black, listed after the start: candidates 2 and 6, transplanted after 1.5 and 2 years.
    assert row(found, "Black", "cumulative_incidence.transplanted.2y")["value"] == 1
    # With nobody left to watch, the curve is known for ever.
    assert row(found, "Black", "cumulative_incidence.transplanted.3y")["value"] == 1
    asian = row(found, "Asian", "cumulative_incidence.transplanted.2y")
    assert np.isnan(asian["value"]) and asian["note"] == "nobody listed after the start"


def test_time_to_transplant_by_hand() -> None:
    found = survival.time_to_transplant(RECORD)
    assert row(found, measure="time_to_transplant.p10")["value"] == 1.5
    assert row(found, measure="time_to_transplant.p25")["value"] == 2.0
    median = row(found, measure="time_to_transplant.p50")
    assert np.isnan(median["value"]) and median["note"] == "not reached: 0.333 after 3.50 years"
    groups = survival.time_to_transplant(RECORD, "race")
    assert row(groups, "Black", "time_to_transplant.p50")["value"] == 1.5  # exactly half by 1.5
    assert "nobody listed" in row(groups, "Asian", "time_to_transplant.p50")["note"]


def test_limits_of_the_median_are_where_the_curve_limits_cross_half() -> None:
    n = 40
    fates = pd.DataFrame({"entry": np.zeros(n), "exit": np.arange(1.0, n + 1) / 10})
    fates["fate"] = "transplanted"
    record = replace(RECORD, fates=fates, candidates=pd.DataFrame({"listed": np.zeros(n)}))
    found = row(survival.time_to_transplant(record), measure="time_to_transplant.p50")
    assert found["value"] == 2.0
    share = np.arange(1, n) / n
    low, high = survival.interval(share, share * (1 - share) / n)
    assert found["low"] == fates["exit"][np.argmax(high >= 0.5)]
    assert found["high"] == fates["exit"][np.argmax(low >= 0.5)]
    assert found["low"] < 2.0 < found["high"]


# --- outcomes -----------------------------------------------------------------------------------


def test_life_years_by_hand() -> None:
    assert outcomes.years_lived(RECORD).tolist() == [4, 2, 3, 3.5, 2, 1.5, 2.5, 2]
    assert row(outcomes.life_years(RECORD))["value"] == pytest.approx(20.5 / 8)
    asian = row(outcomes.life_years(RECORD, "race"), "Asian")
    assert np.isnan(asian["value"]) and asian["note"] == "nobody in this group"


def test_life_years_gained_counts_harm_and_stops_at_the_horizon() -> None:
    found = outcomes.life_years_gained(RECORD)
    assert row(found, measure="life_years_gained.total")["value"] == pytest.approx(2 - 0.5 + 0.2)
    each = row(found, measure="life_years_gained.per_transplant")
    assert each["value"] == pytest.approx(1.7 / 3)
    by_race = outcomes.life_years_gained(RECORD, "race")
    assert row(by_race, "White", "life_years_gained.total")["value"] == 0
    none = row(by_race, "White", "life_years_gained.per_transplant")
    assert np.isnan(none["value"]) and none["note"] == "no transplants"


def test_fate_counts_account_for_everybody() -> None:
    found = outcomes.fate_counts(RECORD).set_index("measure")["value"]
    assert found.to_dict() == {
        "fate_counts.waiting": 2,
        "fate_counts.died": 2,
        "fate_counts.too_sick": 1,
        "fate_counts.living_donor": 0,
        "fate_counts.other": 0,
    }
    transplants = outcomes.transplant_count(RECORD, "sex")
    assert row(transplants, "female")["value"] == 2
    others = outcomes.fate_counts(RECORD, "sex")
    assert others["value"].sum() + transplants["value"].sum() == len(RECORD.candidates)


def test_non_use_by_kdpi_band_includes_upper_ends() -> None:
    found = outcomes.non_use(RECORD)
    assert row(found)["value"] == pytest.approx(2 / 5)
    bands = found[found["grouping"] == "kdpi_band"].set_index("group")
    assert bands["value"].to_dict() == {"0-20": 0, "21-34": 0, "35-85": 0.5, "86-100": 1}
    assert bands["denominator"].to_dict() == {"0-20": 1, "21-34": 1, "35-85": 2, "86-100": 1}
    none = replace(RECORD, decisions=RECORD.decisions.iloc[:0])
    assert outcomes.non_use(none)["note"].eq("no kidneys").all()


# --- decisions ----------------------------------------------------------------------------------


def test_decision_measures_use_kidneys_with_a_choice() -> None:
    assert row(decisions.indecision_rate(RECORD))["value"] == pytest.approx(0.5)
    assert row(decisions.effective_number(RECORD))["value"] == pytest.approx(2.0)
    assert row(decisions.winner_position(RECORD))["value"] == pytest.approx(1.0)
    tied = decisions.tied_set(RECORD).set_index("measure")["value"]
    assert tied["tied_set.mean"] == 2 and tied["tied_set.several"] == pytest.approx(2 / 3)
    assert tied["tied_set.p50"] == 2 and tied["tied_set.max"] == 3


def test_winner_position_leaves_out_unused_kidneys() -> None:
    unused = RECORD.decisions.copy()
    unused.loc[3, ["candidate", "position"]] = -1
    unused.loc[3, "outcome"] = "refused"
    found = row(decisions.winner_position(replace(RECORD, decisions=unused)))
    assert found["value"] == pytest.approx(0.5) and found["denominator"] == 2


@pytest.mark.parametrize("name", ["misalignment", "over_decisiveness", "distance", "entropy_gap"])
def test_reference_measures_need_full_detail(name: str) -> None:
    measured = MEASURES[name].function
    missing = row(measured(RECORD))
    assert np.isnan(missing["value"]) and 'detail="full"' in missing["note"]
    full = RECORD.decisions.assign(**{name: [0.1, 0.2, 9.0, 0.6, 9.0]})
    assert row(measured(replace(RECORD, decisions=full)))["value"] == pytest.approx(0.3)


def test_decision_measures_without_a_choice_are_undefined() -> None:
    alone = replace(RECORD, decisions=RECORD.decisions.assign(shown=1))
    for measured in (decisions.indecision_rate, decisions.tied_set, decisions.winner_position):
        found = measured(alone)
        assert found["value"].isna().all() and found["note"].str.len().gt(0).all()


# --- inequality of records ----------------------------------------------------------------------


def test_transplant_gini_is_the_share_left_out() -> None:
    assert row(inequality.transplant_gini(RECORD))["value"] == pytest.approx(1 - 3 / 8)
    white = row(inequality.transplant_gini(RECORD, "race"), "White")
    assert np.isnan(white["value"]) and white["note"] == "no transplants"


def redrawn(tie_seed: int, transplanted: list[int], **meta) -> Record:
    fate = np.where(np.isin(np.arange(8), transplanted), "transplanted", "waiting")
    record = make_record(tie_seed=tie_seed, **meta)
    return replace(record, fates=record.fates.assign(fate=fate))


def test_ex_ante_by_hand() -> None:
    """Candidate 0 always, 1 or 2 by lot, the rest never: p = 1, 1/2, 1/2, 0, ..."""
    found = inequality.ex_ante([redrawn(0, [0, 1]), redrawn(1, [0, 2])]).set_index("measure")
    # pbar = 1/4, Var(phat) = (1 + 1/4 + 1/4)/8 - 1/16 = 1/8, noise = (1/4 + 1/4)/8 = 1/16
    assert found["value"]["ex_ante.determinism"] == pytest.approx((1 / 16) / (3 / 16))
    assert found["value"]["ex_ante.gini"] == pytest.approx((0.5 * 3 + 0.5 * 5 + 1 * 7) / (8 * 2))
    assert found["value"]["ex_ante.gini_ex_post"] == pytest.approx(3 / 4)


def test_ex_ante_refuses_records_that_differ_in_more_than_the_tie_seed() -> None:
    with pytest.raises(InputError, match="policy: differs"):
        inequality.ex_ante([redrawn(0, [0]), redrawn(1, [0], policy="q")])
    with pytest.raises(InputError, match="world: differs"):
        inequality.ex_ante([redrawn(0, [0]), redrawn(1, [0], world=7)])
    for records in ([redrawn(0, [0]), redrawn(0, [1])], [redrawn(0, [0])], []):
        with pytest.raises(InputError, match="two or more"):
            inequality.ex_ante(records)


# --- summary and cards --------------------------------------------------------------------------


def test_summary_rows_join_one_to_one_between_histories() -> None:
    """An arm where nobody is transplanted has the same keys as one where three are."""
    keys = ["measure", "grouping", "group"]
    one = summary(RECORD)
    fates = RECORD.fates.assign(fate="waiting", exit=4.0)
    unused = RECORD.decisions.assign(outcome="refused", candidate=-1, position=-1)
    other = summary(replace(RECORD, fates=fates, decisions=unused))
    joined = one.merge(other, on=keys, how="outer", validate="one_to_one", indicator=True)
    assert joined["_merge"].eq("both").all()
    assert tuple(one.columns) == COLUMNS


def test_summary_says_why_wherever_there_is_no_value() -> None:
    found = summary(RECORD)
    assert found.loc[found["value"].isna(), "note"].str.len().gt(0).all()
    assert not np.isinf(found[["value", "low", "high"]].to_numpy(dtype=float)).any()


def test_summary_holds_every_record_measure_and_its_numbers() -> None:
    found = summary(RECORD, by=("sex",))
    names = {name.split(".")[0] for name in found["measure"]}
    assert names == {name for name, card in MEASURES.items() if card.reads == "record"}
    assert set(found["grouping"]) == {"all", "sex", "kdpi_band"}
    mine = found[(found["measure"] == "transplant_rate") & (found["group"] == "female")]
    assert mine["value"].item() == pytest.approx(200 / 5.5)
    everybody = found[(found["measure"] == "transplant_rate") & (found["group"] == "all")]
    assert everybody["value"].item() == pytest.approx(20.0)
    assert set(summary(RECORD)["grouping"]) == {"all", "kdpi_band", *GROUPINGS}


def test_swapping_labels_swaps_the_groups() -> None:
    other = {"female": "male", "male": "female"}
    mirror = RECORD.candidates.assign(sex=RECORD.candidates["sex"].map(other))
    ours = summary(RECORD, by=("sex",)).query("grouping == 'sex'")
    theirs = summary(replace(RECORD, candidates=mirror), by=("sex",)).query("grouping == 'sex'")
    ours = ours[~ours["measure"].str.endswith("_ratio")]  # a ratio keeps its reference group
    theirs = theirs.assign(group=theirs["group"].replace(other))
    joined = ours.merge(theirs, on=["measure", "group"], validate="one_to_one")
    assert len(joined) == len(ours)
    np.testing.assert_allclose(joined["value_x"], joined["value_y"])


def test_cards_are_complete_and_flag_what_no_policy_changes() -> None:
    for card in MEASURES.values():
        for field in ("description", "formula", "unit", "discipline", "protects", "cannot_see"):
            assert getattr(card, field), (card.name, field)
        assert any(tag in card.source for tag in ("R", "D", "M", "A"))
    fixed = {name for name, card in MEASURES.items() if card.policy_invariant}
    assert fixed == {"transplant_gini"}
    assert {card.reads for card in MEASURES.values()} == {"record", "tie_seeds", "judges", "arms"}
