import numpy as np
import pytest

from populations.errors import InputError
from populations.formulae_uk import (
    DONOR_CUTS,
    RECIPIENT_CUTS,
    donor_quarter,
    recipient_quarter,
    ukkdri,
    ukkrri,
)


# Published worked values: tests of transplantr (CRAN).
@pytest.mark.parametrize(("candidate", "index"), [((45, 0, 750, 0), 0.61), ((55, 1, 960, 1), 1.34)])
def test_recipient_index_reference_values(candidate: tuple[int, ...], index: float) -> None:
    assert np.round(ukkrri(*candidate), 2) == index


@pytest.mark.parametrize(
    ("donor", "index"), [((50, 170, 1, 1, 0, 90, 2), 1.00), ((55, 170, 0, 0, 0, 90, 0), 1.12)]
)
def test_donor_index_reference_values(donor: tuple[int, ...], index: float) -> None:
    assert np.round(ukkdri(*donor), 2) == index


@pytest.mark.parametrize(
    ("candidate", "log"),
    [
        ((75, 0, 950, 0), 0.0),
        ((26, 0, 950, 0), 0.016 * -49),
        ((25, 0, 950, 0), 0.0),  # age counts only above 25
        ((0, 0, 950, 0), 0.0),
        ((75, 1, 950, 0), 0.361),
        ((75, 0, 950 + 365.25, 0), 0.033),
        ((75, 0, 0, 0), -0.033 * 950 / 365.25),
        ((75, 0, 950, 1), 0.252),
    ],
)
def test_recipient_index_one_term_at_a_time(candidate: tuple[float, ...], log: float) -> None:
    assert np.log(ukkrri(*candidate)) == pytest.approx(log, abs=1e-12)


@pytest.mark.parametrize(
    ("donor", "log"),
    [
        ((50, 170, 0, 0, 0, 90, 0), 0.0),
        ((60, 170, 0, 0, 0, 90, 0), 0.23),
        ((50, 180, 0, 0, 0, 90, 0), -0.152),
        ((50, 170, 1, 0, 0, 90, 0), 0.149),
        ((50, 170, 0, 1, 0, 90, 0), -0.184),
        ((50, 170, 0, 0, 1, 90, 0), 0.190),
        ((50, 170, 0, 0, 0, 100, 0), -0.023),
        ((50, 170, 0, 0, 0, 90, 10), 0.15),
    ],
)
def test_donor_index_one_term_at_a_time(donor: tuple[float, ...], log: float) -> None:
    assert np.log(ukkdri(*donor)) == pytest.approx(log, abs=1e-12)


def test_quarters_of_published_values() -> None:
    assert recipient_quarter([0.74, 1.01]).tolist() == [1, 3]
    assert recipient_quarter([0.69, 0.75, 0.96, 1.36]).tolist() == [1, 2, 3, 4]
    assert donor_quarter([1.01, 1.36]).tolist() == [2, 3]
    assert donor_quarter([0.69, 1.01, 1.36, 1.54]).tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("quarter", "cuts", "printed"),
    [
        (recipient_quarter, RECIPIENT_CUTS, (0.74, 0.94, 1.20)),
        (donor_quarter, DONOR_CUTS, (0.79, 1.12, 1.50)),
    ],
)
def test_a_cut_point_belongs_to_the_lower_quarter(quarter, cuts, printed) -> None:
    assert cuts == printed
    assert quarter(cuts).tolist() == [1, 2, 3]
    assert quarter(np.nextafter(cuts, 9)).tolist() == [2, 3, 4]
    assert quarter(np.nextafter(cuts, 0)).tolist() == [1, 2, 3]


def test_arrays_give_the_same_as_one_at_a_time() -> None:
    rng = np.random.default_rng(3)
    age, days = rng.uniform(18, 80, 50), rng.uniform(0, 4000, 50)
    dialysis, diabetes = rng.integers(0, 2, (2, 50))
    together = ukkrri(age, dialysis, days, diabetes)
    one_by_one = [float(ukkrri(*one)) for one in zip(age, dialysis, days, diabetes, strict=True)]
    assert together.tolist() == one_by_one


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda: ukkrri(np.nan, 0, 0, 0), ("UKKRRI", "age", "nan")),
        (lambda: ukkrri(50, 2, 0, 0), ("UKKRRI", "dialysis_at_listing", "2")),
        (lambda: ukkrri(50, 0, -1, 0), ("UKKRRI", "waiting_days", "-1")),
        (lambda: ukkdri(50, 1.7, 0, 0, 0, 90, 0), ("UKKDRI", "height", "1.7")),
        (lambda: ukkdri(50, 170, 0, 0, 3, 90, 0), ("UKKDRI", "cmv", "3")),
        (lambda: recipient_quarter(np.nan), ("UKKRRI", "index", "nan")),
    ],
)
def test_wrong_input_is_named(call, names: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert all(name in str(caught.value) for name in names)
