"""Series for figures, on two histories of six candidates traced by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from two_histories import REFERENCE, A, B, make_record, pick

from experiments import series
from measures import rates, survival
from populations.errors import InputError
from sim.record import FATES, Record


def test_rates_over_time_by_hand() -> None:
    frame = series.over_time(A)
    # Second year, [1, 2): 0 waits .5, 1 waits 1, 3, 4 and 5 wait 1 each; one transplant.
    row = pick(frame, measure="transplant_rate", grouping="all", time=2.0)
    assert (row["numerator"], row["denominator"]) == (1, 4.5)
    assert row["value"] == pytest.approx(100 / 4.5)
    row = pick(frame, measure="transplant_rate", grouping="race", group="White", time=2.0)
    assert (row["numerator"], row["denominator"]) == (1, 2.5)
    # 1 dies at 2.0 exactly: in the window that starts there, not in the one that ends there.
    deaths = frame[(frame["measure"] == "mortality_rate") & (frame["grouping"] == "all")]
    assert deaths.set_index("time")["numerator"].loc[[2.0, 2.25, 3.0]].tolist() == [0, 1, 1]


def test_a_rate_without_events_is_zero_and_without_anybody_unknown() -> None:
    frame = series.over_time(A)
    silent = pick(frame, measure="transplant_rate", grouping="race", group="Black", time=2.0)
    nobody = pick(frame, measure="transplant_rate", grouping="race", group="Asian", time=2.0)
    assert silent["value"] == 0 and silent["denominator"] == 2
    assert np.isnan(nobody["value"]) and nobody["denominator"] == 0


def test_ratio_over_time_by_hand() -> None:
    ratios = series.over_time(A).query("measure == 'transplant_rate_ratio'")
    assert pick(ratios, grouping="race", group="Black", time=2.0)["value"] == 0
    # [0, 1): no White transplant. [.5, 1.5): White none (1.5 is the end), Black one at .5.
    assert np.isnan(pick(ratios, grouping="race", group="Black", time=1.0)["value"])
    # With 0 transplanted at 1.25, [.5, 1.5): one woman in 1 + .5 years, one man in .75 + 1 + .5.
    sooner = make_record([(-1.0, 40.0, "male", "White", 1.25, "transplanted", 9.0), *REFERENCE[1:]])
    both = series.over_time(sooner).query("measure == 'transplant_rate_ratio' and time == 1.5")
    row = pick(both, grouping="sex", group="female")
    assert (row["numerator"], row["denominator"]) == pytest.approx((100 / 1.5, 100 / 2.25))
    assert row["value"] == pytest.approx(1.5)
    assert set(ratios["grouping"]) == set(series.GROUPINGS)
    assert not (ratios["group"] == "White").any()


@pytest.mark.parametrize("record", [A, B])
def test_series_agree_with_the_measures(record: Record) -> None:
    frame = series.over_time(record)
    for rate in (rates.transplant_rate, rates.mortality_rate, rates.transplant_rate_ratio):
        for by in series.GROUPINGS:
            expected = rates.rolling(rate, record, by)
            mine = frame[(frame["measure"] == rate.__name__) & (frame["grouping"] == by)]
            both = expected.merge(mine, left_on=["group", "end"], right_on=["group", "time"])
            assert len(both) == len(mine)
            known = both["value_x"].notna()
            assert np.allclose(both["value_x"][known], both["value_y"][known])
            assert both["value_y"][~known].fillna(0).eq(0).all()


def test_a_run_shorter_than_a_window_is_refused() -> None:
    short = replace(A, meta={**A.meta, "years": 0.5})
    with pytest.raises(InputError, match="years"):
        series.over_time(short)


def test_incidence_by_hand() -> None:
    frame = series.incidence(A)
    # Followed from listing: 1 dies at 2, 2 is transplanted at .5, 3 is censored at 2.5, 4 is too
    # sick at 1.25, 5 is transplanted at 1.5.
    at_one = frame[(frame["grouping"] == "all") & (frame["years"] == 1.0)].set_index("cause")
    assert at_one["value"].to_dict() == pytest.approx(
        {
            "waiting": 0.8,
            "transplanted": 0.2,
            "died": 0,
            "too_sick": 0,
            "living_donor": 0,
            "other": 0,
        }
    )
    assert (at_one["at_risk"] == 4).all()
    at_two = frame[(frame["grouping"] == "all") & (frame["years"] == 2.0)].set_index("cause")
    assert at_two["value"].to_dict() == pytest.approx(
        {
            "waiting": 0.2,
            "transplanted": 0.4,
            "died": 0.2,
            "too_sick": 0.2,
            "living_donor": 0,
            "other": 0,
        }
    )
    black = frame[(frame["group"] == "Black") & (frame["years"] == 1.0)].set_index("cause")
    assert black.loc["transplanted", "value"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("record", [A, B])
def test_stacks_sum_to_one_or_are_unknown(record: Record) -> None:
    frame = series.incidence(record)
    stacks = frame.groupby(["grouping", "group", "years"])["value"]
    assert (stacks.size() == len(FATES)).all()
    total = stacks.sum(min_count=len(FATES))
    assert np.allclose(total.dropna(), 1)
    assert (stacks.count() % len(FATES) == 0).all()  # all of a stack or nothing of it
    assert frame["years"].max() == 3.0 and total.loc[("race", "Black", 3.0)] != 1
    assert set(frame["grouping"]) == {"all", "race", "age_band"}


def test_incidence_is_the_measure() -> None:
    frame = series.incidence(A).query("grouping == 'race'")
    expected = survival.cumulative_incidence(A, "race", (0.5, 1.5))
    both = expected.merge(
        frame, left_on=["group", "fate", "time"], right_on=["group", "cause", "years"]
    )
    assert len(both) == len(expected)
    pd.testing.assert_series_equal(both["value_x"], both["value_y"], check_names=False)
