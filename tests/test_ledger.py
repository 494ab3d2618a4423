"""Who won and who lost, on two histories of six candidates traced by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from two_histories import ARM, REFERENCE, A, B, make_record, pick

from experiments.ledger import CHANGES, floor, ledger, ledgers, patients
from populations.errors import InputError
from sim.record import FATES, Record

# The kidney of each transplanted candidate. Under the arm, 0's goes to 5, 2's to 1, 5's to nobody.
WITH_KIDNEYS = make_record(REFERENCE, (2, -1, 0, -1, -1, 5))
OTHERS = make_record(ARM, (9, 0, -1, -1, -1, 2))


def test_ledger_by_hand() -> None:
    changes = ledger(B, A).query("reference_fate == ''").set_index("what")
    assert changes["n"].to_dict() == {
        **{"gained": 1, "lost": 1, "earlier": 1, "later": 1, "same": 0, "neither": 2},
        **{"displaced": 0, "churn": 2, "regret": 2},
    }
    # Life-years by year 3: 1 lives 3 instead of 2, 2 lives 1 instead of 2.5, 5 lives 1 for 1.75.
    assert changes["life_years"][["gained", "lost", "earlier", "later"]].tolist() == pytest.approx(
        [1.0, -1.5, -0.75, 0.0]
    )
    assert changes.loc["churn", "share"] == pytest.approx(2 / 6)
    assert changes.loc["gained", "share"] == pytest.approx(1 / 6)
    flow = pick(ledger(B, A), what="flow", reference_fate="transplanted", fate="died")
    assert (flow["n"], flow["life_years"]) == (1, -1.5)
    flow = pick(ledger(B, A), what="flow", reference_fate="transplanted", fate="transplanted")
    assert flow["n"] == 2


def test_regret_counts_losses_and_no_gain() -> None:
    row = pick(ledger(B, A), what="regret")
    assert (row["n"], row["life_years"]) == (2, -2.25)
    assert row["mean"] == pytest.approx(2.25 / 6)
    back = pick(ledger(A, B), what="regret")
    assert back["mean"] == pytest.approx(1.0 / 6)


def test_displaced_are_those_whose_kidney_somebody_else_has() -> None:
    row = pick(ledger(OTHERS, WITH_KIDNEYS), what="displaced")
    assert row["n"] == 2  # 0 and 2; 5's kidney is not used
    assert row["life_years"] == pytest.approx(-1.5)  # 0 loses nothing, 2 loses 1.5 years
    assert pick(ledger(OTHERS, OTHERS), what="displaced")["n"] == 0


@pytest.mark.parametrize(("record", "reference"), [(A, B), (B, A), (A, A)])
def test_ledgers_balance(record: Record, reference: Record) -> None:
    table = ledger(record, reference)
    n = len(record.candidates)
    flows, changes = table[table["what"] == "flow"], table[table["what"].isin(CHANGES)]
    assert flows["n"].sum() == changes["n"].sum() == n
    assert flows["share"].sum() == pytest.approx(1) and changes["share"].sum() == pytest.approx(1)
    assert flows["life_years"].sum() == pytest.approx(changes["life_years"].sum())


fates = st.lists(st.sampled_from(FATES), min_size=6, max_size=6)


@given(fates, fates)
def test_gained_minus_lost_is_the_difference_in_transplants(now: list, before: list) -> None:
    """Equal numbers of transplants: as many gain as lose."""
    record, reference = (
        replace(A, fates=A.fates.assign(fate=list(each))) for each in (now, before)
    )
    n = ledger(record, reference).groupby("what")["n"].sum()
    assert n["gained"] - n["lost"] == now.count("transplanted") - before.count("transplanted")
    assert n["churn"] == n["gained"] + n["lost"]


def test_a_record_against_itself_has_no_churn() -> None:
    changes = ledger(A, A).set_index("what")
    assert changes.loc["churn", "share"] == 0 and changes.loc["same", "n"] == 3
    assert (changes["life_years"] == 0).all() and changes.loc["regret", "mean"] == 0


def test_every_tie_seed_counts() -> None:
    """Two tie seeds: 1 gains in one of them, 2 loses in one of them."""
    both = ledgers([B, A], [A, A])
    assert pick(both, what="churn", tie_seed=0)["n"] == 2
    assert pick(both, what="churn", tie_seed=1)["n"] == 0
    chance = both[both["what"] == "regret_chance"]
    assert chance["tie_seed"].tolist() == [0, 1] and (chance["n"] == 1).all()
    assert chance["mean"].tolist() == pytest.approx([0.5 / 6] * 2)  # 2's chance halves


def test_chance_regret_is_not_the_mean_of_single_losses() -> None:
    """Candidates who lose in one tie seed what they win in the other have lost no chance."""
    swapped = ledgers([B, A], [A, B])
    assert (swapped[swapped["what"] == "lost"]["n"] == 1).all()
    assert (swapped[swapped["what"] == "regret_chance"]["mean"] == 0).all()


def test_floor_is_the_churn_of_two_tie_seeds() -> None:
    alone = floor([A, B])
    assert alone[alone["what"] == "churn"]["share"].tolist() == pytest.approx([2 / 6, 2 / 6])
    of = alone[alone["tie_seed"] == 0].set_index("what")
    assert of.loc["gained", "n"] == of.loc["lost", "n"] == 1
    # One seed against one: 1 and 2 differ; each direction has one of them behind.
    assert of.loc["regret_chance", "mean"] == pytest.approx(1 / 6)
    assert of.loc["regret_chance", "n"] == 1
    # Either direction: 2.25 years lost, or 1.
    regret = alone[alone["what"] == "regret"]["mean"]
    assert sorted(regret) == pytest.approx([1 / 6, 2.25 / 6])
    same = floor([A, A, A])
    assert set(same["tie_seed"]) == {0, 1, 2}
    assert (same[same["what"].isin(["churn", "regret", "regret_chance"])]["n"] == 0).all()


def test_patients_sum_to_the_ledger() -> None:
    table = patients([OTHERS, WITH_KIDNEYS], [WITH_KIDNEYS, WITH_KIDNEYS])
    assert table["candidate"].tolist() == list(range(6))
    rows = ledgers([OTHERS, WITH_KIDNEYS], [WITH_KIDNEYS, WITH_KIDNEYS])
    n = rows.groupby("what")["n"].sum() / 2
    for what in (*CHANGES, "displaced"):
        assert table[what].sum() == pytest.approx(n[what])
    assert table[list(CHANGES)].sum(axis=1).to_numpy() == pytest.approx(np.ones(6))
    assert table["regret"].tolist() == pytest.approx([0, 0, 0.75, 0, 0, 0.375])
    assert table["regret_chance"].tolist() == pytest.approx([0, 0, 0.5, 0, 0, 0])
    assert table["transplanted"].tolist() == pytest.approx([1, 0.5, 0.5, 0, 0, 1])
    assert table.loc[2, "life_years"] == pytest.approx((1.0 + 2.5) / 2)
    assert table.loc[4, "age_band"] == "65+" and table["race"].dtype == "category"


def test_records_of_different_worlds_are_refused() -> None:
    with pytest.raises(InputError, match="exogenous"):
        ledger(A, make_record(ARM, exogenous="another"))
    with pytest.raises(InputError, match="years"):
        ledger(A, make_record(ARM, years=2.0))
    with pytest.raises(InputError, match="candidates"):
        patients([A], [make_record(ARM[:-1])])
    with pytest.raises(ValueError, match="shorter"):
        patients([A, A], [A])


def test_no_transplants_leave_churn_undefined() -> None:
    nobody = replace(A, fates=A.fates.assign(fate="waiting"))
    assert pd.isna(pick(ledger(nobody, nobody), what="churn")["share"])
