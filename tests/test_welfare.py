"""Welfare of groups and its price, on histories traced by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from test_measures_record import RECORD, row

from measures import welfare
from measures.registry import MEASURES


def test_the_worst_off_group_by_hand() -> None:
    """Of 3 years: women live 3 and 1.5, men 3 and 2; 2 transplants in 5.5 years, 1 in 9.5."""
    found = welfare.worst_off(RECORD, "sex")
    years = row(found, measure="worst_off.life_years.3y")
    assert years["value"] == pytest.approx(2.25) and years["denominator"] == 2
    assert (years["grouping"], years["note"]) == ("sex", "lowest: female")
    rate = row(found, measure="worst_off.transplant_rate")
    assert rate["value"] == pytest.approx(100 / 9.5) and rate["note"] == "lowest: male"
    assert rate["denominator"] == pytest.approx(9.5)
    late = row(found, measure="worst_off.life_years.5y")
    assert np.isnan(late["value"]) and "followed for 5 years" in late["note"]


def test_a_group_without_a_transplant_is_the_worst_off_and_an_empty_one_is_none() -> None:
    found = welfare.worst_off(RECORD, "race")
    rate = row(found, measure="worst_off.transplant_rate")
    assert rate["value"] == 0 and rate["note"] in ("lowest: White", "lowest: Hispanic")
    years = row(found, measure="worst_off.life_years.3y")
    assert years["note"] == "lowest: White" and years["value"] == pytest.approx(6.5 / 3)


def test_nash_welfare_by_hand() -> None:
    found = welfare.nash_welfare(RECORD, "sex")
    years = row(found, measure="nash_welfare.life_years.3y")
    assert years["value"] == pytest.approx(np.sqrt(2.25 * 2.5)) and years["denominator"] == 2
    rate = row(found, measure="nash_welfare.transplant_rate")
    assert rate["value"] == pytest.approx(100 * np.sqrt(2 / 5.5 / 9.5))
    race = welfare.nash_welfare(RECORD, "race")
    nothing = row(race, measure="nash_welfare.transplant_rate")
    assert nothing["value"] == 0 and nothing["denominator"] == 3
    assert nothing["note"].startswith("nothing for ") and "Asian" not in nothing["note"]
    assert "White" in nothing["note"] and "Hispanic" in nothing["note"]
    years = row(race, measure="nash_welfare.life_years.3y")
    assert years["value"] == pytest.approx(np.sqrt(3 * 6.5 / 3)) and years["denominator"] == 2


def test_nash_lies_between_the_worst_off_and_the_mean() -> None:
    for by in ("sex", "race", "age_band"):
        worst = welfare.worst_off(RECORD, by)["value"].to_numpy()
        nash = welfare.nash_welfare(RECORD, by)["value"].to_numpy()
        known = ~np.isnan(worst)
        assert (np.isnan(nash) == ~known).all() and known.any()
        assert (nash[known] >= worst[known] - 1e-12).all()


def test_nobody_anywhere() -> None:
    nobody = replace(RECORD, candidates=RECORD.candidates.iloc[:0], fates=RECORD.fates.iloc[:0])
    for measured in (welfare.worst_off, welfare.nash_welfare):
        found = measured(nobody, "sex")
        assert found["value"].isna().all() and found["note"].str.len().gt(0).all()


# --- price of fairness --------------------------------------------------------------------------


def runs(rows: list[tuple]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["arm", "world", "tie_seed", "group", "value"])
    grouping = np.where(frame["group"] == "all", "all", "sex")
    return frame.assign(measure="life_years_gained.total", grouping=grouping)


def test_price_of_fairness_by_hand() -> None:
    frame = runs(
        [
            ("life-years", 0, 0, "all", 90.0),
            ("life-years", 0, 1, "all", 110.0),  # 100 on average
            ("lottery", 0, 0, "all", 70.0),
            ("lottery", 0, 1, "all", 80.0),
            ("lottery", 0, 0, "female", 1000.0),
            ("life-years", 1, 0, "all", 50.0),
            ("lottery", 1, 0, "all", 60.0),
        ]
    )
    other = frame[frame["arm"] == "lottery"].assign(measure="life_years_gained.per_transplant")
    found = welfare.price_of_fairness(pd.concat([frame, other.assign(grouping="all")]))
    price = found.set_index(["arm", "world"])
    assert price["value"].to_dict() == pytest.approx(
        {
            ("life-years", 0): 0.0,
            ("lottery", 0): 0.25,
            ("life-years", 1): 0.0,
            ("lottery", 1): -0.2,  # greedy is no optimum
        }
    )
    assert price.loc[("lottery", 0), ["numerator", "denominator"]].tolist() == [25, 100]
    assert set(found["measure"]) == {"price_of_fairness"}


def test_price_of_fairness_says_why_it_is_undefined() -> None:
    frame = runs([("lottery", 0, 0, "all", 70.0), ("human", 0, 0, "all", 60.0)])
    found = welfare.price_of_fairness(frame)
    assert list(found["arm"]) == ["lottery", "human"] and found["value"].isna().all()
    assert found["note"].eq("the study has no arm life-years").all()
    harmful = runs([("lottery", 0, 0, "all", 70.0), ("life-years", 0, 0, "all", -1.0)])
    found = welfare.price_of_fairness(harmful)
    assert found["value"].isna().all() and found["note"].str.startswith("no life-years").all()


def test_cards_say_what_is_read() -> None:
    assert MEASURES["price_of_fairness"].reads == "arms"
    assert MEASURES["worst_off"].by == MEASURES["nash_welfare"].by == "always"
    assert "graft" in MEASURES["post_transplant_survival"].cannot_see
