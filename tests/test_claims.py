"""Claims and chances: gaps by hand, estimators on draws whose chances are known."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from test_measures_record import RECORD, make_record, row

from measures import claims
from populations.errors import InputError
from sim.record import Record

# --- Broome's gap -------------------------------------------------------------------------------

GIVEN = [1.0, 1, 1, 0, 0, 0, 0, 0]


def judged(chance, reference) -> Record:
    return replace(RECORD, fates=RECORD.fates.assign(chance=chance, reference_chance=reference))


def test_broome_gap_by_hand() -> None:
    """Shares 1/3 each of three against 1/8 each of eight; women have 2/3 against 1/2."""
    record = judged(GIVEN, [0.5] * 8)
    assert row(claims.broome_gap(record))["value"] == pytest.approx(3 * (1 / 3 - 1 / 8))
    found = claims.broome_gap(record, "sex")
    assert row(found, "all", "broome_gap")["value"] == pytest.approx(1 / 6)
    female = row(found, "female", "broome_gap.excess")
    assert female["value"] == pytest.approx(1 / 6)
    assert (female["numerator"], female["denominator"]) == pytest.approx((2 / 3, 1 / 2))
    assert row(found, "male", "broome_gap.excess")["value"] == pytest.approx(-1 / 6)
    race = claims.broome_gap(record, "race")
    assert row(race, "Asian", "broome_gap.excess")["value"] == 0


def test_broome_gap_is_undefined_without_chances() -> None:
    for record in (RECORD, replace(RECORD, fates=RECORD.fates.assign(chance=GIVEN))):
        for by in (None, "sex"):
            found = claims.broome_gap(record, by)
            assert found["value"].isna().all()
            assert found["note"].eq('recorded only with detail="full"').all()
    found = claims.broome_gap(judged(GIVEN, [0.0] * 8), "sex")
    assert found["value"].isna().all() and found["note"].eq("no chances were given").all()


@given(
    hnp.arrays(np.float64, 8, elements=st.floats(0.01, 5)),
    hnp.arrays(np.float64, 8, elements=st.floats(0.01, 5)),
    st.floats(0.1, 10),
)
def test_broome_gap_properties(chance, reference, scale: float) -> None:
    value = row(claims.broome_gap(judged(chance, reference)))["value"]
    assert -1e-12 <= value <= 1
    again = row(claims.broome_gap(judged(reference * scale, chance)))["value"]
    assert again == pytest.approx(value, abs=1e-9)
    assert row(claims.broome_gap(judged(chance * scale, chance)))["value"] == pytest.approx(0)
    found = claims.broome_gap(judged(chance, reference), "race")
    between = row(found, "all", "broome_gap")["value"]
    assert between <= value + 1e-12
    excess = found.loc[found["measure"] == "broome_gap.excess", "value"]
    assert excess.sum() == pytest.approx(0, abs=1e-12)
    assert excess.clip(lower=0).sum() == pytest.approx(between, abs=1e-12)


# --- equal claims -------------------------------------------------------------------------------


def drawn(tie_seed: int, transplanted: list[int], **meta) -> Record:
    """Candidates 0 to 3 have one claim, 4 to 7 another."""
    record = make_record(tie_seed=tie_seed, **meta)
    fate = np.where(np.isin(np.arange(8), transplanted), "transplanted", "waiting")
    fates = record.fates.assign(fate=fate)
    claim = [0.2] * 4 + [0.8] * 4
    return replace(record, fates=fates, candidates=record.candidates.assign(claim=claim))


def values(records: list[Record]) -> list[float]:
    return claims.equal_chance_gap(records)["value"].tolist()


def test_certainty_between_equal_claims_by_hand() -> None:
    """The same two of the first four every time: Var 1/4 there, 0 in the other class."""
    found = claims.equal_chance_gap([drawn(0, [0, 1]), drawn(1, [0, 1])])
    assert found["measure"].tolist() == [
        "equal_chance_gap",
        "equal_chance_gap.determinism",
    ]
    assert found["value"].tolist() == pytest.approx([np.sqrt(1 / 8), 1])
    assert found["denominator"].eq(2).all()


def test_lots_between_equal_claims_by_hand() -> None:
    """One always, one of two by lots, one never: that the lots fell apart says it was luck."""
    assert values([drawn(0, [0, 1]), drawn(1, [0, 2])]) == pytest.approx([0, 0])


def test_difference_between_classes_is_no_gap() -> None:
    """All of one claim and none of the other: chances follow claims, and nothing is left."""
    found = claims.equal_chance_gap([drawn(0, [4, 5, 6, 7]), drawn(1, [4, 5, 6, 7])])
    assert found["value"][0] == 0 and np.isnan(found["value"][1])
    assert found["note"][1] == "undefined: all or none transplanted"


def test_gap_is_unbiased_before_the_root() -> None:
    histories = ([0, 4], [0, 5, 6], [1, 4, 2])
    chance = np.mean([np.isin(np.arange(8), history) for history in histories], axis=0)
    truth = (chance[:4].var() + chance[4:].var()) / 2
    squares = []
    for pair in product(histories, repeat=2):
        apart = [drawn(seed, history) for seed, history in enumerate(pair)]
        of = [np.isin(np.arange(8), history).astype(float) for history in pair]
        settled = np.mean(
            [claims.chance_variance(np.stack(of)[:, s]) for s in (slice(4), slice(4, 8))]
        )
        assert values(apart)[0] == pytest.approx(np.sqrt(max(settled, 0)))
        squares.append(settled)
    assert np.mean(squares) == pytest.approx(truth)


@given(hnp.arrays(np.int64, st.integers(1, 60), elements=st.integers(0, 9)))
def test_classes_keep_equal_claims_together_and_in_order(claim: np.ndarray) -> None:
    of = claims.equal_claims(claim.astype(float), 10)
    assert of.min() == 0 and of.max() <= 9
    for a, b in product(range(claim.size), repeat=2):
        assert of[a] == of[b] if claim[a] == claim[b] else True
        assert of[a] <= of[b] if claim[a] < claim[b] else True


def test_classes_are_tenths_where_claims_differ() -> None:
    of = claims.equal_claims(np.random.default_rng(0).random(200), 10)
    assert np.bincount(of).tolist() == [20] * 10


def test_records_must_fit_and_have_claims() -> None:
    found = claims.equal_chance_gap([make_record(tie_seed=0), make_record(tie_seed=1)])
    assert found["value"].isna().all() and found["note"].str.startswith("no claims").all()
    with pytest.raises(InputError, match="equal_chance_gap: policy: differs"):
        claims.equal_chance_gap([drawn(0, [0]), drawn(1, [0], policy="q")])
    with pytest.raises(InputError, match="two or more"):
        claims.equal_chance_gap([drawn(0, [0])])
