"""Inequality against PySAL, its decomposition, and chances estimated from a few histories."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from inequality.atkinson import atkinson as pysal_atkinson
from inequality.gini import Gini
from inequality.theil import Theil, TheilD
from test_measures_record import RECORD, make_record, row

from measures import inequality
from measures.inequality import atkinson, chance_variance, generalised_entropy, gini, theil_between
from populations.errors import InputError

ORDERS = (-1.0, 0.0, 0.5, 1.0, 2.0, 3.0)
amounts = hnp.arrays(np.float64, st.integers(2, 25), elements=st.floats(0.05, 100))


@st.composite
def grouped(draw) -> tuple[np.ndarray, np.ndarray]:
    """Amounts, zeros among them, and a group for each; some groups may be empty."""
    x = draw(hnp.arrays(np.float64, st.integers(1, 25), elements=st.floats(0.05, 100)))
    some = draw(hnp.arrays(np.bool_, x.size))
    some[0] = True
    codes = draw(hnp.arrays(np.int64, x.size, elements=st.integers(0, 4)))
    return x * some, codes


# --- indices ------------------------------------------------------------------------------------


@given(amounts)
def test_indices_equal_pysal(x: np.ndarray) -> None:
    assert gini(x) == pytest.approx(Gini(x).g, abs=1e-10)
    assert generalised_entropy(x, 1) == pytest.approx(float(Theil(x).T), abs=1e-10)
    for aversion in (0.5, 1, 2):
        assert atkinson(x, aversion) == pytest.approx(pysal_atkinson(x, aversion), abs=1e-10)


def test_zeros_equal_pysal_where_it_takes_them() -> None:
    x = np.array([0.0, 0.0, 1.0, 3.0, 6.0])
    assert gini(x) == pytest.approx(Gini(x).g)
    assert generalised_entropy(x, 1) == pytest.approx(float(Theil(x).T))


def test_generalised_entropy_by_hand() -> None:
    """Of 1 and 3: shares of the mean 1/2 and 3/2."""
    assert generalised_entropy([1, 3], 0) == pytest.approx(-np.log(0.75) / 2)
    assert generalised_entropy([1, 3], 2) == pytest.approx(1 / 8)
    assert generalised_entropy([1, 3], -1) == pytest.approx(((2 + 2 / 3) / 2 - 1) / 2)
    assert generalised_entropy([1, 3], 3) == pytest.approx(((1 / 8 + 27 / 8) / 2 - 1) / 6)


@given(amounts)
def test_orders_join_up_and_agree_with_atkinson(x: np.ndarray) -> None:
    for order in (0, 1):
        beside = [generalised_entropy(x, order + step) for step in (-1e-5, 1e-5)]
        assert np.mean(beside) == pytest.approx(generalised_entropy(x, order), abs=1e-4, rel=1e-3)
    for aversion in (0.5, 2.0):
        order = 1 - aversion
        mean = order * (order - 1) * generalised_entropy(x, order) + 1
        assert atkinson(x, aversion) == pytest.approx(1 - mean ** (1 / order), abs=1e-9)
    assert atkinson(x, 1) == pytest.approx(1 - np.exp(-generalised_entropy(x, 0)), abs=1e-9)


@given(amounts, st.floats(0.1, 50))
def test_indices_do_not_depend_on_scale_or_order_of_people(x: np.ndarray, scale: float) -> None:
    for order in ORDERS:
        value = generalised_entropy(x, order)
        assert value >= -1e-9
        assert generalised_entropy(scale * x[::-1], order) == pytest.approx(
            value, rel=1e-6, abs=1e-8
        )


@given(amounts, st.integers(0, 24), st.integers(0, 24), st.floats(0.01, 0.49))
def test_any_transfer_to_a_poorer_person_lowers_inequality(x, i, j, share: float) -> None:
    rich, poor = sorted((i % x.size, j % x.size), key=lambda k: -x[k])
    if x[rich] - x[poor] < 1e-3:
        return
    after = x.copy()
    gift = share * (x[rich] - x[poor])
    after[rich] -= gift
    after[poor] += gift
    for order in ORDERS:
        assert generalised_entropy(after, order) < generalised_entropy(x, order)
    assert gini(after) <= gini(x) + 1e-12 and atkinson(after, 0.5) < atkinson(x, 0.5)


def test_zeros_make_low_orders_infinite_and_leave_high_ones_alone() -> None:
    for order in (-1, 0):
        assert generalised_entropy([0, 1, 5], order) == np.inf
    assert generalised_entropy([0, 2], 0.5) == pytest.approx(4 * (1 - np.sqrt(2) / 2))
    assert generalised_entropy([0, 2], 1) == pytest.approx(np.log(2))
    assert generalised_entropy([0, 2], 2) == pytest.approx(0.5)
    assert np.isnan(generalised_entropy([0.0, 0.0], 0)) and np.isnan(theil_between([0.0], [0]))


# --- decomposition ------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Setting the shape:DeprecationWarning:inequality")
@given(grouped())
def test_theil_splits_exactly(both) -> None:
    """Between, plus the groups' own T weighted by their shares of the total."""
    x, codes = both
    between = theil_between(x, codes)
    within = 0.0
    for group in np.unique(codes):
        mine = x[codes == group]
        if mine.sum() > 0:
            within += mine.sum() / x.sum() * generalised_entropy(mine, 1)
    assert between + within == pytest.approx(generalised_entropy(x, 1), abs=1e-9)
    assert between >= -1e-12
    pysal = TheilD(x, codes)
    assert between == pytest.approx(float(np.squeeze(pysal.bg)), abs=1e-9)
    means = np.array([x[codes == group].mean() for group in codes])
    assert between == pytest.approx(generalised_entropy(means, 1), abs=1e-9)


@given(grouped())
def test_groups_of_one_and_one_group_are_the_ends(both) -> None:
    x, _ = both
    assert theil_between(x, np.arange(x.size)) == pytest.approx(generalised_entropy(x, 1), abs=1e-9)
    assert theil_between(x, np.zeros(x.size)) == pytest.approx(0, abs=1e-9)


# --- chances over histories ---------------------------------------------------------------------


@pytest.mark.parametrize("n_seeds", [2, 3])
def test_variance_of_chances_is_unbiased_though_totals_differ(n_seeds: int) -> None:
    """Mean over every set of draws; one, two or three of five are transplanted."""
    histories = np.array([[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 0, 1, 1, 0]])
    estimates = [chance_variance(drawn) for drawn in product(histories, repeat=n_seeds)]
    assert np.mean(estimates) == pytest.approx(histories.mean(axis=0).var())
    # The usual correction assumes that every history transplants as many.
    naive = [np.mean(drawn, axis=0).var() for drawn in product(histories, repeat=n_seeds)]
    assert np.mean(naive) > histories.mean(axis=0).var() + 0.02


def test_variance_of_amounts_is_unbiased() -> None:
    histories = np.array([[0.2, 1.5, 0.0], [0.9, 0.1, 0.4]])
    estimates = [chance_variance(drawn) for drawn in product(histories, repeat=2)]
    assert np.mean(estimates) == pytest.approx(histories.mean(axis=0).var())


def with_chances(tie_seed: int, chance: list[float]):
    record = make_record(tie_seed=tie_seed)
    return replace(record, fates=record.fates.assign(chance=chance))


def test_ex_ante_inequality_is_of_chances_given_where_they_are_known() -> None:
    first, second = [2.0, 0, 0, 0, 0, 0, 0, 0], [0.0, 2, 0, 0, 0, 0, 0, 0]
    found = inequality.ex_ante([with_chances(0, first), with_chances(1, second)])
    mine = row(found, measure="ex_ante.gini")
    assert mine["value"] == pytest.approx(gini([1, 1, 0, 0, 0, 0, 0, 0]))
    assert mine["note"].startswith("of chances given averaged over 2 tie seeds: too high")
    found = inequality.ex_ante([with_chances(0, first), make_record(tie_seed=1)])
    mine = row(found, measure="ex_ante.gini")
    assert mine["value"] == pytest.approx(1 - 3 / 8)  # the same three in both
    assert mine["note"].startswith("of outcomes averaged over 2")


# --- records ------------------------------------------------------------------------------------

LIVED = np.array([4, 2, 3, 3.5, 2, 1.5, 2.5, 2])
FEMALE = np.array([True, False, True, False, False, True, False, True])


@pytest.mark.filterwarnings("ignore:Setting the shape:DeprecationWarning:inequality")
def test_inequality_of_life_years_by_hand() -> None:
    found = inequality.life_years_inequality(RECORD, "sex")
    female = row(found, "female", "life_years_inequality.theil")
    assert female["value"] == pytest.approx(float(Theil(LIVED[FEMALE]).T))
    overall = inequality.life_years_inequality(RECORD)
    pairs = np.abs(LIVED[:, None] - LIVED).sum() / (2 * 8 * LIVED.sum())
    assert row(overall, measure="life_years_inequality.gini")["value"] == pytest.approx(pairs)
    half = row(overall, measure="life_years_inequality.atkinson0.5")["value"]
    assert half == pytest.approx(1 - np.mean(np.sqrt(LIVED)) ** 2 / LIVED.mean())
    squares = row(overall, measure="life_years_inequality.ge2")["value"]
    assert squares == pytest.approx(LIVED.var() / LIVED.mean() ** 2 / 2)
    split = TheilD(LIVED, FEMALE)
    share = row(found, measure="life_years_inequality.between_share")
    assert share["value"] == pytest.approx(float(np.squeeze(split.bg) / split.T))
    assert "life_years_inequality.between_share" not in set(overall["measure"])
    race = inequality.life_years_inequality(RECORD, "race")
    asian = row(race, "Asian", "life_years_inequality.gini")
    assert np.isnan(asian["value"]) and asian["note"] == "nobody in this group"


def test_inequality_of_chances_needs_them() -> None:
    missing = inequality.chance_inequality(RECORD, "sex")
    assert missing["value"].isna().all()
    assert missing["note"].eq('recorded only with detail="full"').all()
    given = with_chances(0, [1.0, 1, 1, 0, 0, 0, 0, 0])
    found = inequality.chance_inequality(given)
    value = row(found, measure="chance_inequality.gini")["value"]
    assert value == pytest.approx(5 / 8)
    theil = row(found, measure="chance_inequality.theil")["value"]
    assert theil == pytest.approx(np.log(8 / 3))
    race = inequality.chance_inequality(given, "race")
    hispanic = row(race, "Hispanic", "chance_inequality.gini")
    assert hispanic["note"] == "nobody was given a chance"
    asian = row(race, "Asian", "chance_inequality.gini")
    assert asian["note"] == "nobody in this group"
    same = with_chances(0, [1.0] * 8)
    share = row(
        inequality.chance_inequality(same, "sex"), measure="chance_inequality.between_share"
    )
    assert np.isnan(share["value"]) and share["note"] == "all have the same"


def test_wrong_amounts_are_refused() -> None:
    for wrong in ([1.0, -1.0], [np.nan]):
        with pytest.raises(InputError):
            theil_between(wrong, [0] * len(wrong))
        with pytest.raises(InputError):
            generalised_entropy(wrong, 0)
