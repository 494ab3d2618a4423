"""Several hospitals with one policy: who is failed by all of them, and is it more than chance."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from measures.exclusion import homogenisation, systemic_exclusion
from measures.rates import Z
from populations.errors import InputError
from sim.record import Record


def records(transplanted, sex=None) -> list[Record]:
    """One record per row of ``transplanted``, shape (K, n)."""
    drawn = np.asarray(transplanted)
    nothing = pd.DataFrame()
    people = pd.DataFrame({"sex": sex if sex is not None else ["male"] * drawn.shape[1]})
    return [
        Record(
            people,
            pd.DataFrame({"fate": np.where(row, "transplanted", "waiting")}),
            *(nothing, nothing, nothing),
            {"policy": "p", "seed": 1, "world": 0, "tie_seed": seed},
        )
        for seed, row in enumerate(drawn)
    ]


def values(table: pd.DataFrame, by: str = "measure") -> dict[str, float]:
    return dict(zip(table[by], table["value"], strict=True))


def test_by_hand() -> None:
    drawn = [[1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 0, 1]]
    found = values(systemic_exclusion(records(drawn)))
    assert found == {
        "systemic_exclusion": 0.25,  # the third alone
        "systemic_exclusion.independent": pytest.approx(0.5 * 0.5 * 0.75),
    }
    ratio = values(homogenisation(records(drawn)))
    assert ratio == {"homogenisation.individual": pytest.approx(0.25 / 0.1875)}
    by_sex = systemic_exclusion(records(drawn, ["female", "male", "female", "male"]), "sex")
    women = values(by_sex[by_sex["group"] == "female"])
    assert women["systemic_exclusion"] == 0.5
    assert women["systemic_exclusion.independent"] == pytest.approx(0.5 * 1 * 1)
    row = by_sex.iloc[0]
    assert (row["numerator"], row["denominator"], row["note"]) == (1, 2, "3 tie seeds")
    assert np.isnan(row["low"]) and np.isnan(row["high"])  # candidates compete: no trials


def test_one_rule_everywhere_fails_the_same_people_everywhere() -> None:
    drawn = np.random.default_rng(0).random(1000) < 0.3
    same = records([drawn] * 4)
    found = values(systemic_exclusion(same))
    assert found["systemic_exclusion"] == pytest.approx(1 - drawn.mean())
    assert values(homogenisation(same))["homogenisation.individual"] == pytest.approx(
        1 / (1 - drawn.mean()) ** 3
    )


def test_lots_everywhere_fail_people_as_independence_says() -> None:
    drawn = np.random.default_rng(1).random((4, 20_000)) < 0.3
    table = systemic_exclusion(records(drawn))
    found = values(table)
    assert found["systemic_exclusion"] == pytest.approx(0.7**4, abs=0.01)
    assert found["systemic_exclusion.independent"] == pytest.approx(0.7**4, abs=0.01)
    error = Z * np.sqrt((1 - 0.7**4) / 0.7**4 / 20_000)
    assert abs(values(homogenisation(records(drawn)))["homogenisation.individual"] - 1) < error


@given(hnp.arrays(np.int64, (3, 12), elements=st.integers(0, 1)), st.integers(1, 11))
def test_homogenisation_of_groups_is_its_formula(drawn, women) -> None:
    """Bommasani et al.'s three, group by group and decider by decider."""
    failed = 1 - drawn
    assume((failed.mean(axis=1) > 0).all())
    sex = ["female"] * women + ["male"] * (12 - women)
    found = values(homogenisation(records(drawn, sex), "sex"))
    joint, weight, together = {}, {}, 1.0
    for hospital in failed:
        together *= hospital.mean()
    for group in ("female", "male"):
        mine = np.array(sex) == group
        joint[group] = weight[group] = 1.0
        for hospital in failed:
            joint[group] *= hospital[mine].mean()
            weight[group] *= mine.mean()
    average = sum(joint[g] * weight[g] for g in joint) / sum(weight.values())
    assert found == {
        "homogenisation.average": pytest.approx(average / together),
        "homogenisation.uniform": pytest.approx(np.mean(list(joint.values())) / together),
        "homogenisation.worst": pytest.approx(max(joint.values()) / together),
    }


def test_what_is_undefined_says_so() -> None:
    everybody = records([[1, 1], [1, 1]])
    [row] = homogenisation(everybody).to_dict("records")
    assert np.isnan(row["value"]) and row["note"] == "undefined: nobody failed"
    nobody = systemic_exclusion(everybody, "sex")
    women = nobody[nobody["group"] == "female"]
    assert women["value"].isna().all() and women["note"].eq("nobody in this group").all()
    # A group of nobody is not a group that never fails.
    assert values(homogenisation(records([[0, 1], [1, 0]]), "sex"))["homogenisation.uniform"] == 1


@pytest.mark.parametrize("measure", [systemic_exclusion, homogenisation])
def test_one_history_is_not_enough(measure) -> None:
    one = records([[1, 0]])
    with pytest.raises(InputError, match=f"{measure.__name__}: tie_seed"):
        measure(one)
    other = replace(one[0], meta={**one[0].meta, "tie_seed": 1, "policy": "q"})
    with pytest.raises(InputError, match=f"{measure.__name__}: policy"):
        measure([*one, other])
