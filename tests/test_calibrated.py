"""Values with another's indecision: the rate is hit, position is gone, whatever the values."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from measures.indecision import indecision_by_gap
from policies.calibrated import calibrated
from policies.davidson import Davidson, Linear
from policies.draws import frozen_pairs
from policies.human import AGE, DEPENDENTS, DRINKS, human, human_half_a, human_half_b
from policies.protocol import Policy
from policies.registry import make_policy
from policies.rules import FirstCome, Lottery
from populations.errors import InputError

NAMES = ("age", "drinks_per_day", "child_dependents")
WEIGHTS = st.floats(-8, 8)


def pairs() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The frozen pairs, read here once more."""
    profiles = np.array(frozen_pairs("indecision3", "frozen-1"))
    a, b = profiles[:, 0].T, profiles[:, 1].T
    return dict(zip(NAMES, a, strict=True)), dict(zip(NAMES, b, strict=True))


def model(age=0.0, drinks=0.0, dependents=0.0, log_tie=-1.0, order=0.0) -> Davidson:
    ends = zip((age, drinks, dependents), (AGE, DRINKS, DEPENDENTS), strict=True)
    weights = {name: (weight, *end) for name, (weight, end) in zip(NAMES, ends, strict=True)}
    return Davidson("model", Linear(weights), log_tie, order)


def coin_rate(policy: Davidson) -> float:
    a, b = pairs()
    return float(policy.judge(a, b)[:, 2].mean())


@settings(max_examples=60, deadline=None)
@given(WEIGHTS, WEIGHTS, WEIGHTS, st.floats(-4, 3), st.floats(-3, 3), st.floats(0.01, 5.0))
def test_the_rate_is_hit(age, drinks, dependents, log_tie, order, factor):
    found = calibrated(model(age, drinks, dependents, log_tie, order), human(), factor)
    assert coin_rate(found) == pytest.approx(factor * coin_rate(human()), abs=1e-9)
    assert found.order == 0.0


def test_no_values_have_a_closed_form():
    """With P(a) = P(b), P(coin) = r means e^lambda / 2 = r / (1 - r)."""
    rate = coin_rate(human())
    found = calibrated(model(order=0.46, log_tie=0.39), human())
    assert found.log_tie == pytest.approx(np.log(2 * rate / (1 - rate)), abs=1e-9)


def test_the_same_values_get_the_same_lambda():
    found = calibrated(replace(human(), log_tie=2.0), human())
    assert found.log_tie == pytest.approx(human().log_tie, abs=1e-9)
    assert found.card["calibration"]["largest_gap"] == pytest.approx(0, abs=1e-9)


def test_a_model_that_never_flips_can_be_calibrated():
    found = calibrated(model(-2.0, log_tie=-np.inf), human())
    assert coin_rate(found) == pytest.approx(coin_rate(human()), abs=1e-9)
    assert found.card["calibration"]["log_tie_before"] is None
    assert found.card["calibration"]["coin_before"] == 0.0


def test_the_card_says_what_was_done():
    before = model(-3.0, -0.5, 0.2, log_tie=0.4, order=0.7)
    found = calibrated(before, human(), 0.5)
    card = found.card["calibration"]
    a, b = pairs()
    both = np.mean([before.judge(a, b)[:, 2], before.judge(b, a)[:, 2]])
    assert found.name == "calibrated(model, human, 0.5)"
    assert (card["log_tie_before"], card["log_tie"]) == (0.4, found.log_tie)
    assert card["coin_before"] == pytest.approx(both)
    assert card["coin"] == pytest.approx(card["coin_other"] / 2, abs=1e-9)
    assert card["coin_other"] == pytest.approx(coin_rate(human()))


def test_the_curve_is_that_of_the_measure():
    found = calibrated(model(-3.0, -0.5, 0.2), human())
    a, b = pairs()
    rows = indecision_by_gap(found.judge(a, b), human().judge(a, b))
    mine = rows[rows["measure"] == "indecision_by_gap.answers"]
    theirs = rows[rows["measure"] == "indecision_by_gap.reference"]
    card = found.card["calibration"]
    np.testing.assert_allclose(card["curve"], mine["value"])
    np.testing.assert_allclose(card["curve_other"], theirs["value"])
    np.testing.assert_allclose(card["gap"], mine["gap"])
    apart = np.abs(mine["value"].to_numpy() - theirs["value"].to_numpy()).max()
    assert card["largest_gap"] == pytest.approx(apart) and apart > 0.01


def test_the_spread_of_utilities_is_on_the_card():
    """Calibration sets how often the coin is tossed, not how strongly anything is valued."""
    a, b = pairs()
    weak = model(-0.03, log_tie=1.0, order=0.4)
    card = calibrated(weak, human()).card["calibration"]
    for policy, key in ((weak, "spread"), (human(), "spread_other")):
        assert card[key] == pytest.approx(np.std(policy.values(a) - policy.values(b)))
    ten = calibrated(model(-0.3), human(), 2.0).card["calibration"]
    assert ten["spread"] == pytest.approx(10 * card["spread"]) and card["coin"] * 2 == (
        pytest.approx(ten["coin"], abs=1e-9)
    )


def test_against_somebody_certain_there_is_no_curve():
    """One-hot judgements have no gap in utility; their coin rate is a target like any other."""
    band = make("band(human, 0.5)")
    card = calibrated(model(-2.0), band).card["calibration"]
    assert 0.1 < card["coin"] < 0.5 and card["coin"] == pytest.approx(card["coin_other"], abs=1e-9)
    assert card["gap"] is card["curve"] is card["largest_gap"] is card["spread_other"] is None
    assert card["spread"] > 0


def test_position_counts_in_neither_order():
    a, b = pairs()
    found = calibrated(model(-1.0, order=2.0), human())
    np.testing.assert_allclose(found.judge(a, b), found.judge(b, a)[:, [1, 0, 2]])


@pytest.mark.parametrize(
    ("other", "factor", "said"),
    [
        (human(), 6.0, "6 times the coin rate 0.172 of human is 1.035"),
        (human(), 0.0, "0 times"),
        (Lottery(), 1.0, "1 times the coin rate 1.000 of lottery is 1.000"),
        (FirstCome(), 1.0, "first-come judges no pairs"),
    ],
)
def test_what_cannot_be(other: Policy, factor: float, said: str):
    with pytest.raises(InputError) as caught:
        calibrated(model(), other, factor)
    assert said in str(caught.value) and len(str(caught.value).splitlines()) == 1


def make(text: str) -> Policy:
    return make_policy(text, Path("no-such-folder"))


def test_written():
    found = make("calibrated(human-half-a, human)")
    assert isinstance(found, Davidson) and found.name == "calibrated(human-half-a, human)"
    assert coin_rate(found) == pytest.approx(coin_rate(human()), abs=1e-9)
    twice = make("calibrated(human-half-a, human, 2)")
    assert isinstance(twice, Davidson) and twice.name == "calibrated(human-half-a, human, 2)"
    assert coin_rate(twice) == pytest.approx(2 * coin_rate(human()), abs=1e-9)
    forced = make("forced(calibrated(human-half-a, human), renormalise)")
    assert forced.name == "forced(calibrated(human-half-a, human), renormalise)"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("calibrated(human)", "expected calibrated(POLICY, OTHER)"),
        ("calibrated(human, human, 1, 2)", "expected calibrated(POLICY, OTHER)"),
        ("calibrated(human, human, much)", "FACTOR = 'much': expected a number > 0"),
        ("calibrated(human, human, nan)", "FACTOR = 'nan': expected a number > 0"),
        ("calibrated(lottery, human)", "lottery has no fitted utilities"),
        ("calibrated(freedman, human)", "freedman cannot judge the frozen pairs of indecision3"),
    ],
)
def test_written_wrongly(text: str, said: str):
    with pytest.raises(InputError) as caught:
        make(text)
    assert said in str(caught.value)


def test_the_halves_surround_the_whole():
    """Two fits to disjoint halves average to about the fit of all, and are two samples of it."""
    a, b = human_half_a(), human_half_b()
    whole = human()
    for name in NAMES:
        halves = [each.values.weights[name][0] for each in (a, b)]
        assert np.mean(halves) == pytest.approx(whole.values.weights[name][0], abs=0.02)
        assert halves[0] != halves[1]
        errors = [each.card["errors"][name] for each in (a, b)]
        assert abs(halves[0] - halves[1]) < 3 * np.hypot(*errors)
    assert np.mean([a.log_tie, b.log_tie]) == pytest.approx(whole.log_tie, abs=0.02)
