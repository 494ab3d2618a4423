import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from populations import formulae
from populations.errors import InputError
from populations.formulae import (
    Donor,
    abo_compatible,
    abo_identical,
    cpra_points,
    epts_percent,
    epts_raw,
    kdpi_percent,
    kdri_from_kdpi,
    kdri_rao,
    kdri_refit,
)

TABLES = Path(formulae.__file__).parent / "tables"
REFERENCES = [*(f"rao-{year}" for year in range(2014, 2024)), "refit-2023", "refit-2024"]
STANDARD = Donor(40, 170, 80, 1, 0, 0, 0, 0)

ages = st.floats(0, 99)
flags = st.integers(0, 1)
donors = st.builds(
    Donor,
    age=ages,
    height=st.floats(50, 220),
    weight=st.floats(3, 200),
    creatinine=st.floats(0.1, 20),
    hypertension=flags,
    diabetes=flags,
    stroke=flags,
    dcd=flags,
)


# EPTS: published worked values, then values worked by hand from the published coefficients.
@pytest.mark.parametrize(
    ("candidate", "raw", "percent"),
    [
        ((23.5838467, 0, 1, 5.0814511), 0.966652, 9),
        ((52.8788501, 0, 0, 0), 1.440306, 18),
        ((22.5242984, 1, 1, 6.8747433), 1.868751, 33),
        ((50, 0, 0, 3), 1.611683, 23),
        ((60, 1, 0, 4), 2.729639, 82),
        ((30, 0, 0, 0), 0.365, 2),
        ((70, 1, 1, 10), 3.380945, 100),
    ],
)
def test_epts_reference_values(
    candidate: tuple[float, int, int, float], raw: float, percent: float
) -> None:
    score = epts_raw(*candidate)
    assert score == pytest.approx(raw, abs=5e-7)
    assert epts_percent(score) == percent


@pytest.mark.parametrize(
    ("candidate", "raw"),
    [
        ((25, 0, 0, 0), 0.130),  # not on dialysis
        ((25, 1, 0, 0), 0.130 - 0.348 + 1.262),
        ((25, 1, 1, 0), 0.130 - 0.348 + 1.262 + 0.398 - 0.237),
        ((25, 0, 0, np.e - 1), 0.315),
        ((25, 1, 0, np.e - 1), 0.315 - 0.099 + 1.262),
        ((35, 1, 0, np.e - 1), 0.315 - 0.099 + 1.262 + 0.47 - 0.15),
    ],
)
def test_epts_one_term_at_a_time(candidate: tuple[float, int, int, float], raw: float) -> None:
    assert epts_raw(*candidate) == pytest.approx(raw, abs=1e-12)


@pytest.mark.parametrize(
    ("reference", "cuts"),
    [
        ("2018", {20: 1.52214579, 50: 2.2167886, 80: 2.6963709, 98: 3.1633656}),
        ("later", {20: 1.5202115, 50: 2.2126242, 80: 2.6775142, 98: 3.152864, 100: 3.7684496}),
    ],
)
def test_epts_published_cuts(reference: str, cuts: dict[int, float]) -> None:
    for percent, cut in cuts.items():
        assert epts_percent(cut - 1e-6, reference) == percent
        assert epts_percent(cut + 1e-6, reference) == min(percent + 1, 100) + (
            reference == "2018" and percent == 98  # that table has no row for 99
        )


def test_epts_lookup() -> None:
    assert epts_percent(1.54) == 21
    assert epts_percent(-1) == 0
    assert epts_percent(10, "later") == 100


# KDRI and KDPI
def test_kdri_rao_reference_values() -> None:
    worked = kdri_rao(Donor(52, 183, 81, 1.7, 1, 0, 1, 1), black=0, hcv=0)
    assert np.log(worked) == pytest.approx(0.57398, abs=1e-12)
    assert round(float(worked / 1.25061), 2) == 1.42
    assert worked / 1.2506957544151 == pytest.approx(1.41946, abs=5e-6)
    assert kdpi_percent(worked, "rao-2018") == 83
    other = kdri_rao(STANDARD._replace(creatinine=120 / 88.4), black=0, hcv=0)
    assert round(float(other / 1.25061), 2) == 0.87
    assert kdpi_percent(other, "rao-2018") == 35


def test_kdri_refit_worked_example_of_the_optn() -> None:
    kdri = kdri_refit(Donor(52, 183, 81, 1.7, 1, 0, 1, 1))
    assert np.log(kdri) == pytest.approx(0.53787, abs=1e-12)
    assert kdri == pytest.approx(1.71235565748184, abs=1e-14)
    assert kdri / 1.30900852563932 == pytest.approx(1.308132, abs=5e-7)
    assert kdpi_percent(kdri, "refit-2023") == 79
    assert kdri / 1.40436817065005 == pytest.approx(1.219307, abs=5e-7)
    assert kdpi_percent(kdri, "refit-2024") == 72


@pytest.mark.parametrize(
    ("donor", "scaled", "percent"),
    [
        (STANDARD, 0.71206, 16),
        (Donor(25, 175, 75, 0.9, 0, 0, 0, 0), 0.61054, 6),
        (Donor(65, 165, 70, 1.5, 1, 1, 1, 0), 1.88582, 99),
        (Donor(15, 165, 55, 0.8, 0, 0, 0, 0), 0.63655, 8),
    ],
)
def test_kdri_refit_derived_values(donor: Donor, scaled: float, percent: float) -> None:
    kdri = kdri_refit(donor)
    assert kdri / 1.40436817065005 == pytest.approx(scaled, abs=5e-6)
    assert kdpi_percent(kdri, "refit-2024") == percent


@pytest.mark.parametrize(
    ("change", "black", "hcv", "log_kdri"),
    [
        ({}, 0, 0, 0),
        ({"age": 10}, 0, 0, -0.384 + 0.1552),
        ({"age": 60}, 0, 0, 0.256 + 0.107),
        ({"height": 180}, 0, 0, -0.0464),
        ({"weight": 60}, 0, 0, 0.0796),
        ({"weight": 120}, 0, 0, 0),
        ({}, 1, 0, 0.179),
        ({"hypertension": 1}, 0, 0, 0.126),
        ({"diabetes": 1}, 0, 0, 0.130),
        ({"stroke": 1}, 0, 0, 0.0881),
        ({"creatinine": 2}, 0, 0, 0.22 - 0.1045),
        ({"creatinine": 8}, 0, 0, 1.54 - 1.3585),
        ({"creatinine": 12}, 0, 0, 1.54 - 1.3585),  # capped at 8
        ({}, 0, 1, 0.240),
        ({"dcd": 1}, 0, 0, 0.133),
    ],
)
def test_kdri_rao_one_term_at_a_time(
    change: dict[str, float], black: int, hcv: int, log_kdri: float
) -> None:
    kdri = kdri_rao(STANDARD._replace(**change), black, hcv)
    assert np.log(kdri) == pytest.approx(log_kdri, abs=1e-12)


@pytest.mark.parametrize(
    ("change", "log_kdri"),
    [
        ({"age": 10}, -0.276 - 0.0904),
        ({"age": 60}, 0.184 + 0.067),
        ({"height": 180}, -0.0557),
        ({"weight": 60}, 0.1332),
        ({"hypertension": 1}, 0.1106),
        ({"diabetes": 1}, 0.2577),
        ({"stroke": 1}, 0.0743),
        ({"creatinine": 2}, 0.2128 - 0.10995),
        ({"creatinine": 12}, 7 * 0.2128 - 6.5 * 0.2199),
        ({"dcd": 1}, 0.1966),
    ],
)
def test_kdri_refit_one_term_at_a_time(change: dict[str, float], log_kdri: float) -> None:
    assert np.log(kdri_refit(STANDARD._replace(**change))) == pytest.approx(log_kdri, abs=1e-12)


@pytest.mark.parametrize(
    ("scaled", "percent"),
    [
        (0, 0),
        (0.43756347366936, 0),
        (0.43756347366937, 1),
        (1.0, 50),
        (1.005, 51),
        (2.82070964079594, 100),
        (5, 100),
    ],
)
def test_kdpi_published_lookups(scaled: float, percent: float) -> None:
    lookup = formulae._percent(formulae._KDPI_TABLE, "refit-2024", np.asarray(scaled))
    assert lookup == percent


def test_kdpi_lookups_of_2018() -> None:
    lookup = formulae._percent(formulae._KDPI_TABLE, "rao-2018", np.array([1.42, 0.87]))
    assert lookup.tolist() == [83, 35]


def table_rows(table: str, reference: str) -> list[tuple[float, float]]:
    with (TABLES / table).open(newline="") as file:
        return [(float(row[1]), float(row[2])) for row in csv.reader(file) if row[0] == reference]


@pytest.mark.parametrize(
    ("table", "reference", "last"),
    [
        ("epts_mapping_2018_and_later.csv", "2018", 98),
        ("epts_mapping_2018_and_later.csv", "later", 100),
        *(("kdpi_mapping_2014_2024.csv", reference, 100) for reference in REFERENCES),
    ],
)
def test_every_bound_belongs_to_its_own_row(table: str, reference: str, last: int) -> None:
    rows = table_rows(table, reference)
    assert [percent for _, percent in rows] == list(range(last + 1))
    for row, (bound, percent) in enumerate(rows):
        above = rows[row + 1][1] if row < last else 100
        scores = np.array([np.nextafter(bound, -np.inf), bound, np.nextafter(bound, np.inf)])
        assert formulae._percent(table, reference, scores).tolist() == [percent, percent, above]


def test_scaling_makes_the_median_donor_one() -> None:
    # The median of the reference population has KDRI 1 after scaling, which ends row 50.
    for reference in REFERENCES:
        rows = table_rows("kdpi_mapping_2014_2024.csv", reference)
        bounds = {percent: bound for bound, percent in rows}
        assert bounds[50] == pytest.approx(1, abs=1e-9)


# From KDPI back to KDRI
@pytest.mark.parametrize("reference", REFERENCES)
def test_kdri_from_kdpi_lies_in_the_row(reference: str) -> None:
    percents = np.arange(1, 101)
    kdri = kdri_from_kdpi(percents, reference)
    assert (kdpi_percent(kdri, reference) == percents).all()


def test_kdri_from_kdpi_by_hand() -> None:
    # Rows 49 to 51 of the table of 2023, and its scaling factor.
    ends = [bound for bound, percent in table_rows("kdpi_mapping_2014_2024.csv", "rao-2023")]
    middle = (ends[49] + ends[50]) / 2 * 1.3816521593545
    after = (ends[50] + ends[51]) / 2 * 1.3816521593545
    assert kdri_from_kdpi(50) == pytest.approx(middle, rel=1e-12)
    assert kdri_from_kdpi(50.25) == pytest.approx(0.75 * middle + 0.25 * after, rel=1e-12)
    assert kdri_from_kdpi(0) == pytest.approx(0.44025551707404 * 1.3816521593545, rel=1e-12)


@given(st.floats(0, 100), st.floats(0, 100), st.sampled_from(REFERENCES))
def test_kdri_from_kdpi_grows(one: float, other: float, reference: str) -> None:
    low, high = sorted((one, other))
    assert kdri_from_kdpi(low, reference) <= kdri_from_kdpi(high, reference)


# Properties
@given(ages, st.floats(0, 20), flags, st.floats(0, 30), st.floats(0.001, 20))
def test_epts_grows_with_age_and_dialysis(
    age: float, older: float, diabetes: int, dialysis: float, longer: float
) -> None:
    base = epts_raw(age, diabetes, 0, dialysis)
    assert epts_raw(age + older, diabetes, 0, dialysis) >= base
    assert epts_raw(age, diabetes, 1, dialysis) > base
    if dialysis > 0:
        assert epts_raw(age, diabetes, 0, dialysis + longer) >= base
    assert epts_percent(base) <= epts_percent(base + 0.5)


@given(donors, flags, flags)
def test_kdri_grows_with_each_risk(donor: Donor, black: int, hcv: int) -> None:
    clear = donor._replace(hypertension=0, diabetes=0, stroke=0, dcd=0)
    for field in ("hypertension", "diabetes", "stroke", "dcd"):
        worse = clear._replace(**{field: 1})
        assert kdri_rao(worse, black, hcv) > kdri_rao(clear, black, hcv)
        assert kdri_refit(worse) > kdri_refit(clear)
    assert kdri_rao(clear, 1, 1) > kdri_rao(clear, 0, 1) > kdri_rao(clear, 0, 0)
    assert kdri_refit(clear._replace(height=221)) < kdri_refit(clear)


@given(st.lists(donors, min_size=1, max_size=8))
def test_vector_equals_scalars(drawn: list[Donor]) -> None:
    columns = Donor(*(np.array(column, dtype=float) for column in zip(*drawn, strict=True)))
    rao = kdri_rao(columns, columns.stroke, columns.dcd)
    refit = kdri_refit(columns)
    one_by_one = [float(kdri_rao(donor, donor.stroke, donor.dcd)) for donor in drawn]
    assert rao.tolist() == pytest.approx(one_by_one, rel=1e-14)
    assert refit.tolist() == pytest.approx([float(kdri_refit(donor)) for donor in drawn], rel=1e-14)
    percents = kdpi_percent(refit, "refit-2024").tolist()
    assert percents == [float(kdpi_percent(kdri, "refit-2024")) for kdri in refit]
    epts = epts_raw(columns.age, columns.diabetes, columns.dcd, columns.creatinine)
    single = [float(epts_raw(d.age, d.diabetes, d.dcd, d.creatinine)) for d in drawn]
    assert epts.tolist() == pytest.approx(single, rel=1e-14)


# ABO
def test_abo_by_names() -> None:
    names = ["O", "A", "B", "AB"]
    takes = {"O": {"O"}, "A": {"O", "A"}, "B": {"O", "B"}, "AB": {"O", "A", "B", "AB"}}
    donor, recipient = np.meshgrid(np.arange(4), np.arange(4), indexing="ij")
    compatible = abo_compatible(donor, recipient)
    identical = abo_identical(donor, recipient)
    for d, r in np.ndindex(4, 4):
        assert compatible[d, r] == (names[d] in takes[names[r]])
        assert identical[d, r] == (d == r)
    assert abo_compatible(1, np.array([0, 1, 2, 3])).tolist() == [False, True, False, True]


# cPRA
@pytest.mark.parametrize(
    ("cpra", "points"),
    [
        (0, 0),
        (19.49, 0),
        (19.5, 0.08),
        (20, 0.08),
        (30, 0.21),
        (40, 0.34),
        (50, 0.48),
        (60, 0.81),
        (70, 1.09),
        (74.4, 1.09),
        (75, 1.58),
        (80, 2.46),
        (85, 4.05),
        (90, 6.71),
        (94.49, 6.71),
        (95, 10.82),
        (96, 12.17),
        (97, 17.30),
        (97.498, 17.30),  # the UNOS example of rounding
        (98, 24.40),
        (98.49, 24.40),
        (98.5, 50.09),
        (99.49, 50.09),
        (99.5, 202.10),
        (100, 202.10),
    ],
)
def test_cpra_points(cpra: float, points: float) -> None:
    assert cpra_points(cpra) == points


@given(st.floats(0, 100), st.floats(0, 100))
def test_cpra_points_grow(one: float, other: float) -> None:
    low, high = cpra_points(sorted((one, other)))
    assert low <= high


# Wrong input
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: epts_raw([50, -1], 0, 0, 0), "EPTS: age is -1; it must be between 0 and 120"),
        (lambda: epts_raw(50, 2, 0, 0), "EPTS: diabetes is 2; it must be 0 or 1"),
        (lambda: epts_raw(50, 0, np.nan, 0), "EPTS: prior_transplant is nan"),
        (lambda: epts_raw(50, 0, 0, -0.5), "EPTS: dialysis_years is -0.5"),
        (lambda: epts_percent(np.nan), "EPTS: raw is nan; it must be a number"),
        (lambda: epts_percent(1, "2019"), "reference is '2019'; it must be one of 2018, later"),
        (lambda: kdri_refit(STANDARD._replace(age=100)), "age is 100; .* between 0 and 99"),
        (lambda: kdri_refit(STANDARD._replace(height=1.7)), "height is 1.7"),
        (lambda: kdri_refit(STANDARD._replace(weight=np.inf)), "weight is inf"),
        (lambda: kdri_refit(STANDARD._replace(creatinine=120)), "refit 2024.*creatinine is 120"),
        (lambda: kdri_rao(STANDARD._replace(creatinine=0), 0, 0), "Rao 2009.*creatinine is 0"),
        (lambda: kdri_rao(STANDARD, 0.5, 0), "black is 0.5"),
        (lambda: kdri_rao(STANDARD, 0, -1), "hcv is -1"),
        (lambda: kdpi_percent(-0.1, "rao-2023"), "KDPI: kdri is -0.1"),
        (lambda: kdpi_percent(1, "rao-2024"), "reference is 'rao-2024'; .*refit-2024"),
        (lambda: kdri_from_kdpi(100.1), "kdpi is 100.1; it must be between 0 and 100"),
        (lambda: abo_compatible(4, 0), "ABO: donor is 4; .* O, A, B, AB"),
        (lambda: abo_identical(0, -1), "ABO: recipient is -1"),
        (lambda: cpra_points([0, np.nan]), "cPRA points: cpra is nan"),
        (lambda: cpra_points(100.5), "cpra is 100.5"),
    ],
)
def test_wrong_input_names_field_and_value(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
