"""Presets of other countries and of one centre: their figures from the sources, a second time."""

import numpy as np
import pytest

from populations.presets import load_population

ABROAD = ["australia", "eurotransplant", "uk"]

# de Ferrante, The ETKidney simulator: Austria, Belgium, Croatia, Germany, Hungary, Netherlands,
# Slovenia. Registered on 1 April 2021, activated in the 2.75 years after, donors used then.
REGISTERED = [807, 1223, 374, 9513, 1006, 1631, 93]
ACTIVATED = [859, 1461, 352, 4547, 665, 1406, 103]
USED_DONORS = [372, 627, 189, 2072, 265, 704, 97]
GAVE_TWO = [260, 471, 127, 1625, 208, 532, 71]
YEARS = 2.75
# One row for each class: registered, then activated, by country.
CANDIDATES = {
    "sex.shares": [
        [287, 486, 114, 3528, 402, 651, 32, 292, 528, 129, 1682, 264, 527, 29],
        [520, 737, 260, 5985, 604, 980, 61, 567, 933, 223, 2865, 401, 879, 74],
    ],
    "blood_type.shares": [
        [408, 654, 145, 4216, 368, 826, 38, 332, 656, 132, 1730, 182, 617, 42],
        [239, 332, 133, 3468, 372, 478, 24, 365, 583, 130, 1962, 303, 522, 44],
        [131, 200, 75, 1383, 206, 278, 22, 108, 159, 72, 618, 121, 210, 14],
        [29, 37, 21, 446, 60, 49, 9, 54, 63, 18, 237, 59, 57, 3],
    ],
    "cpra.shares": [
        [479, 694, 189, 5573, 717, 1085, 50, 675, 1059, 221, 3249, 510, 1016, 72],
        [209, 299, 100, 2650, 173, 337, 19, 134, 298, 101, 970, 94, 282, 20],
        [119, 230, 85, 1290, 116, 209, 24, 50, 104, 30, 328, 61, 108, 11],
    ],
}


def figure(name: str, key: str):
    value = load_population(name).parameters
    for part in key.split("."):
        value = getattr(value, part)
    return value


@pytest.mark.parametrize("key", CANDIDATES)
def test_eurotransplant_shares_add_up_list_and_listings_of_the_countries(key):
    counts = np.sum(CANDIDATES[key], axis=1)
    assert counts.sum() == sum(REGISTERED) + sum(ACTIVATED)  # nobody lost on the way here
    assert np.allclose(figure("eurotransplant", key), counts / counts.sum(), atol=0.0008)


def test_eurotransplant_ages():
    registered = np.array([5007, 6854, 2578])
    activated = np.array([3165, 3912, 1953])
    children = (208, 362)
    assert registered.sum() + children[0] == sum(REGISTERED)
    assert activated.sum() + children[1] == sum(ACTIVATED) - 1  # as printed, for Slovenia
    adults = registered + activated
    young = 0.083 / (0.083 + 0.240)  # of those under 50, as in the United States
    ages = np.array([adults[0] * young, adults[0] * (1 - young), *adults[1:]])
    assert np.allclose(figure("eurotransplant", "age.shares"), ages / ages.sum(), atol=0.0008)


def test_eurotransplant_flows():
    p = load_population("eurotransplant").parameters
    assert p.list.initial == sum(REGISTERED) == 14647
    assert p.arrivals.per_year == round(sum(ACTIVATED) / YEARS)
    used = sum(USED_DONORS) + sum(GAVE_TWO)
    assert p.kidneys.per_year == round(used / YEARS / (1 - 0.24))
    assert p.kidneys.per_donor == pytest.approx(used / sum(USED_DONORS), abs=0.0006)
    donors = np.array([1671, 1901, 551, 203])
    assert donors.sum() == sum(USED_DONORS)
    assert np.allclose(p.kidneys.blood_type, donors / donors.sum(), atol=0.0008)


@pytest.mark.parametrize(
    ("key", "counts", "of"),
    [
        ("status.inactive_on_list", [244, 316, 239, 3033, 236, 919, 47], REGISTERED),
        ("dialysis.none_on_list", [18, 59, 16, 16, 82, 176, 3], REGISTERED),
        ("dialysis.none_at_listing", [56, 214, 25, 68, 79, 349, 7], ACTIVATED),
        (
            "prior_transplant.share",
            [226, 251, 70, 1700, 65, 310, 19, 138, 183, 24, 569, 56, 233, 15],
            REGISTERED + ACTIVATED,
        ),
    ],
)
def test_eurotransplant_single_shares(key, counts, of):
    assert figure("eurotransplant", key) == pytest.approx(sum(counts) / sum(of), abs=0.0006)


@pytest.mark.parametrize(
    ("when", "means", "of"),
    [
        ("on_list", [3.2, 3.1, 3.4, 5.7, 3.0, 1.9, 4.0], REGISTERED),
        ("at_listing", [1.7, 1.3, 1.6, 2.4, 1.2, 1.0, 2.4], ACTIVATED),
    ],
)
def test_eurotransplant_years_of_dialysis_have_the_published_mean(when, means, of):
    edges, shares, none = (
        np.array(figure("eurotransplant", f"dialysis.{part}_{when}"))
        for part in ("edges", "shares", "none")
    )
    modelled = (1 - none) * np.dot(shares, (edges[1:] + edges[:-1]) / 2)
    assert modelled == pytest.approx(np.average(means, weights=of), rel=0.04)


def test_eurotransplant_deaths_are_fewer_than_american_ones():
    """The hazards themselves, at level 1, are 0.161 a year in the United States and 0.166 here."""
    deaths = 1140 / (14260 * YEARS)
    level = figure("eurotransplant", "waiting.level") / figure("us-national", "waiting.level")
    assert level == pytest.approx(deaths / 0.050 * 0.161 / 0.166, rel=0.02)
    removals = 1469 / (14260 * YEARS) - 1.014 * deaths
    assert figure("eurotransplant", "waiting.other_per_year") == pytest.approx(removals, abs=0.0006)


def test_figures_of_one_centre():
    p = load_population("us-centre").parameters
    assert p.arrivals.per_year == 160
    assert p.list.initial == round(90000 * 160 / 44000)
    assert p.kidneys.per_year == round(30799 * 160 / 44000)
    assert p.centres.count == p.geography.areas == p.geography.regions == 1


def test_figures_of_the_united_kingdom():
    p = load_population("uk").parameters
    assert (p.list.initial, p.arrivals.per_year) == (5300, 8200 / 5)
    assert p.kidneys.per_year == round(4100 / 4 * 1.885)
    assert (p.centres.count, p.geography.areas) == (23, 12)
    asian, black = np.array([12.4, 6.7]) / (12.4 + 6.7) / 3
    assert np.allclose(p.race.shares, [asian, black, 0, 2 / 3, 0], atol=0.0005)
    by_race = [[0.44, 0.42, 0.10, 0.04], [0.35, 0.23, 0.34, 0.08], [0.49, 0.26, 0.20, 0.05]]
    assert np.allclose(p.blood_type.shares, np.dot([2 / 3, asian, black], by_race), atol=0.001)


def test_figures_of_australia():
    p = load_population("australia").parameters
    assert p.kidneys.per_year == round(548 * 1.885)
    assert p.geography.areas == p.geography.regions
    assert p.blood_type.shares == p.kidneys.blood_type


@pytest.mark.parametrize("name", ABROAD)
def test_what_is_american_elsewhere_is_said(name):
    """Who reads the list of presets sees it, and no American class is left in a foreign preset."""
    population = load_population(name)
    american = load_population("us-national").origins
    inherited = {key for key, origin in population.origins.items() if origin == american[key]}
    assert "American stand-ins" in population.description
    assert {"diabetes.share_by_age", "acceptance.slope"} <= inherited
    own = ["list.initial", "arrivals", "kidneys.per_year", "kidneys.blood_type", "blood_type"]
    own += ["centres.count", "geography", "race", "insurance"]
    assert not [key for key in inherited if key.startswith(tuple(own))]
    assert population.parameters.insurance.shares == [0, 0, 0, 1]
