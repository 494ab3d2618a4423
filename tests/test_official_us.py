"""US allocation rules: points and orders worked out by hand; what also holds for the composite."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from us_rules import (
    dense,
    raw_epts,
    read_aloud,
    run,
    spoken_2014,
    spoken_2021,
    spoken_pre_kas,
    varied,
)

from policies.composite import composite
from policies.official import kas, pre_kas
from policies.official.classes import LOCAL, NATION, REGION, whole_percent
from policies.official.longevity import top_longevity
from policies.protocol import Kidney
from policies.registry import make_policy
from populations.formulae import epts_percent, kdpi_percent, kdri_from_kdpi

US = [kas.kas(), kas.kas_2021(), pre_kas.pre_kas()]
EXAMPLE = Path(pre_kas.__file__).parent / "example_weights.toml"


def order(policy, match) -> list[int]:
    """Places of the candidates as they would be offered the kidney."""
    return np.argsort(-policy.scores(match), kind="stable").tolist()


# --- KDPI and EPTS ---


BORDERS = {
    "A": (0, 20, 20.4),
    "B": (20.5, 21, 34.4),
    "C": (34.5, 35, 85, 85.49),
    "D": (85.5, 86, 100),
}


@pytest.mark.parametrize(
    ("letter", "kdpi"), [(letter, kdpi) for letter in BORDERS for kdpi in BORDERS[letter]]
)
def test_sequences_begin_at_whole_percents(letter, kdpi):
    assert kas.sequence(kdpi) == letter


def test_rounding_is_what_the_mapping_table_does():
    kdpi = np.concatenate([np.arange(2, 98) + 0.2, np.arange(2, 98) + 0.8])
    by_table = kdpi_percent(kdri_from_kdpi(kdpi, "rao-2023"), "rao-2023")
    assert [whole_percent(each) for each in kdpi] == by_table.tolist()


def test_longevity_matching_is_for_kdpi_20_and_epts_20():
    birth = np.array([-53.0, -52.7, -60.0])  # 28 x 0.047 + 0.315 ln 2 = 1.534, above 1.522
    match = run(20.4, birth=birth, listed=np.array([-5.0, -1.0, -9.0]))
    assert match["epts"][:2].tolist() == [21, 20]
    assert order(kas.kas(), match) == [1, 2, 0]
    assert order(kas.kas_2021(), match) == [1, 2, 0]
    match.kidney = Kidney(0, 0, 20.6, 40.0)
    assert order(kas.kas(), match) == [2, 0, 1]
    assert order(pre_kas.pre_kas(), match) == [2, 0, 1]


@pytest.mark.parametrize("time", [0.0, 0.5, 3.0, 9.0])
def test_who_has_epts_of_at_most_20_is_known_without_the_score(time):
    """Of 20,000 people at any time, but for those who cross the border about that day."""
    match = varied(20_000, seed=11)
    started = np.random.default_rng(12).uniform(-20, 12, 20_000)
    match.columns["dialysis_start"] = np.maximum(started, match["birth"])
    match.time = time
    raw = raw_epts(match)
    top = epts_percent(raw) <= 20
    clear = np.abs(raw - 1.52214579) > 0.001  # the border in the mapping table
    assert 0.1 < top.mean() < 0.9
    assert (top_longevity(match) == top)[clear].all()
    assert (~clear).mean() < 0.01


# --- Sensitisation and place ---


def test_cpra_98_99_100_reach_further_and_are_rounded():
    """97.5 counts as 98: local only. 98.5 as 99: to the region. 99.5 as 100: everywhere."""
    cpra = np.repeat([97.4, 97.5, 98.0, 98.5, 99.4, 99.5], 3)
    level = np.tile([LOCAL, REGION, NATION], 6)
    rows = kas.classification_2014(run(50, cpra=cpra, level=level)).reshape(6, 3)
    says = [[kas.TABLES_2014["C"].rules[row].says for row in each] for each in rows]
    assert says == [
        ["local", "regional", "national"],
        ["cPRA 98, local", "regional", "national"],
        ["cPRA 98, local", "regional", "national"],
        ["cPRA 99, local", "cPRA 99, regional", "national"],
        ["cPRA 99, local", "cPRA 99, regional", "national"],
        ["cPRA 100, local", "cPRA 100, regional", "cPRA 100, national"],
    ]


def test_the_circle_ends_at_250_nautical_miles():
    distance = np.array([0.0, 249.9, 250.0, np.nextafter(np.float32(250), np.inf)], np.float32)
    match = run(50, distance_nm=distance, level=np.array([2, 2, 2, 0]))
    rules = kas.TABLES_2021["C"].rules
    says = [rules[row].says for row in kas.classification_2021(match)]
    assert says == ["local", "local", "local", "national"]
    # In 2014 the same four are ranked by area and region.
    rules = kas.TABLES_2014["C"].rules
    says = [rules[row].says for row in kas.classification_2014(match)]
    assert says == ["national", "national", "national", "local"]


def test_proximity_points_by_hand():
    """2 (250 - d) / 250 inside; 4 (2500 - d) / 2250 outside; none beyond 2500."""
    distance = np.array([0.0, 125.0, 250.0, 1375.0, 2500.0, 4000.0])
    assert kas.proximity_points(distance) == pytest.approx([2.0, 1.0, 0.0, 2.0, 0.0, 0.0])
    assert kas.proximity_points(np.array([250.0001])) == pytest.approx([4.0], abs=1e-5)


# --- Points ---


def test_points_of_2014_by_hand():
    match = run(
        30,
        birth=np.array([-50.0, -50.0, -50.0, -50.0, -9.0, -9.0, -15.0]),
        listed=np.array([-2.0, -2.0, -3.0, 0.0, -1.0, -1.0, -1.0]),
        dialysis_start=np.array([-1.0, -6.5, 1.0, 0.0, -1.0, -1.0, -1.0]),
        cpra=np.array([0.0, 98.0, 25.0, 0.0, 0.0, 0.0, 0.0]),
        prior_living_donor=np.array([0, 0, 1, 0, 0, 0, 0]),
        mismatches_dr=np.array([2, 0, 1, 2, 0, 2, 0]),
        mismatches=np.array([4, 1, 2, 5, 0, 4, 0]),
    )
    by_hand = [
        2.0,  # listed before dialysis: 2 years; two DR mismatches
        6.5 + 24.40 + 2.0,  # 6.5 years of dialysis, cPRA 98, no DR mismatch
        3.0 + 0.08 + 4.0 + 1.0,  # not on dialysis yet, cPRA 20-29, donor, one DR mismatch
        0.0,  # just listed, two DR mismatches
        1.0 + 2.0 + 4.0 + 1.0,  # 9 years old: no mismatch 4, KDPI below 35 one more
        1.0 + 1.0,  # 9 years old with mismatches
        1.0 + 2.0 + 3.0,  # 15 years old, no mismatch
    ]
    assert kas.points_2014(match) == pytest.approx(by_hand)
    match.time = 1.5
    assert kas.points_2014(match)[:4] == pytest.approx(np.array(by_hand)[:4] + 1.5)
    match.time = 0.0
    match.kidney = Kidney(0, 0, 34.6, 40.0)  # counts as 35: no point for the youngest
    assert kas.points_2014(match)[4:6] == pytest.approx([7.0, 1.0])
    match.columns["distance_nm"] = np.full(7, 125.0)
    assert kas.points_2021(match) - kas.points_2014(match) == pytest.approx(np.ones(7))


def test_points_before_2014_by_hand():
    """Full years, and the share of the longest waiting; dialysis counts for nothing."""
    match = run(
        50,
        listed=np.array([-4.0, -3.9, -1.0, -0.5, -2.0]),
        dialysis_start=np.array([-9.0, -9.0, -9.0, -9.0, -9.0]),
        cpra=np.array([79.4, 0.0, 79.5, 100.0, 0.0]),
        prior_living_donor=np.array([0, 0, 0, 0, 1]),
        mismatches_dr=np.array([2, 1, 0, 2, 2]),
    )
    by_hand = [4 + 1, 3 + 0.975 + 1, 1 + 0.25 + 2 + 4, 0.125 + 4, 2 + 0.5 + 4]
    assert pre_kas.points(match) == pytest.approx(by_hand)
    match.kidney = Kidney(0, 0, 85.4, 40.0)
    assert pre_kas.points(match) == pytest.approx(by_hand)
    match.kidney = Kidney(0, 0, 85.6, 40.0)  # expanded: waiting alone
    assert pre_kas.points(match) == pytest.approx([5, 3.975, 1.25, 0.125, 2.5])


@pytest.mark.parametrize(("donor_age", "more"), [(34.9, 1.0), (35.0, 0.0)])
def test_children_had_points_before_2014(donor_age, more):
    """Below 11: one for a young donor. No mismatch: 4 below 11, 3 below 18. All waited 2 years."""
    match = run(
        50,
        donor_age=donor_age,
        birth=np.array([-10.9, -10.9, -11.0, -17.9, -18.0]),
        mismatches=np.array([3, 0, 0, 0, 0]),
        mismatches_dr=np.array([2, 0, 0, 0, 0]),
    )
    assert pre_kas.points(match) == pytest.approx([3 + more, 9 + more, 8, 8, 5])


def test_everybody_just_listed_has_no_waiting_points():
    match = run(50, listed=np.zeros(2), mismatches_dr=np.array([2, 1]))
    assert pre_kas.points(match).tolist() == [0.0, 1.0]


# --- Worked orders ---


def test_order_of_2014_for_an_excellent_kidney():
    """Ten candidates, one for each part of sequence A, longest waiting last in their own class."""
    match = run(
        10,
        listed=-np.arange(1.0, 11.0),
        dialysis_start=np.zeros(10),
        birth=-np.array([75.0, 75, 75, 40, 75, 12, 35, 75, 75, 30]),
        cpra=np.array([100.0, 99.0, 98.0, 0, 0, 0, 0, 30.0, 0, 0]),
        level=np.array([2, 1, 0, 0, 0, 0, 0, 2, 0, 1]),
        mismatches=np.array([4, 4, 4, 0, 4, 4, 4, 0, 4, 4]),
        prior_living_donor=np.array([0, 0, 0, 0, 1, 0, 0, 0, 0, 0]),
    )
    # cPRA 100 far away, 99 in the region, 98 local, no mismatch and low EPTS, prior donor, child,
    # low EPTS, no mismatch with cPRA 30 far away, another local one, low EPTS in the region.
    assert order(kas.kas(), match) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_children_and_donors_moved_up_with_the_circles():
    """In 2014 behind cPRA 98 and no mismatch, in 2021 directly behind cPRA 100."""
    match = run(
        30,
        birth=np.array([-50.0, -10.0, -50.0, -50.0, -50.0]),
        cpra=np.array([0.0, 0.0, 98.0, 100.0, 0.0]),
        mismatches=np.array([3, 3, 3, 3, 0]),
        prior_living_donor=np.array([1, 0, 0, 0, 0]),
    )
    assert order(kas.kas(), match) == [3, 2, 4, 0, 1]
    assert order(kas.kas_2021(), match) == [3, 0, 1, 2, 4]


def test_somebody_listed_as_a_child_keeps_the_class_but_not_the_points():
    """Listed at 17.9, now 19.9: still first among locals for KDPI < 35; not at 18.0."""
    match = run(30, birth=np.array([-19.9, -20.0]), listed=np.array([-2.0, -2.0]))
    rows = [kas.TABLES_2014["B"].rules[row].says for row in kas.classification_2014(match)]
    assert rows == ["listed below 18 years, local", "local"]
    assert np.ptp(kas.points_2014(match)) == 0


def test_poor_kidneys_are_shared_in_the_region_in_2014():
    match = run(90, level=np.array([0, 1, 2]), listed=np.array([-2.0, -3.0, -9.0]))
    assert order(kas.kas(), match) == [1, 0, 2]
    match.kidney = Kidney(0, 0, 50.0, 40.0)
    assert order(kas.kas(), match) == [0, 1, 2]


def test_children_came_first_for_young_donors_before_2014():
    match = run(
        50,
        donor_age=34.9,
        birth=np.array([-50.0, -12.0, -50.0]),
        listed=np.array([-9.0, -0.5, -1.0]),
        mismatches=np.array([3, 3, 0]),
    )
    assert order(pre_kas.pre_kas(), match) == [2, 1, 0]
    match.kidney = Kidney(0, 0, 50.0, 35.0)
    assert order(pre_kas.pre_kas(), match) == [2, 0, 1]


def test_before_2014_kidneys_without_mismatch_went_far_to_the_sensitised_alone():
    match = run(
        50,
        level=np.array([0, 2, 2, 2]),
        cpra=np.array([0.0, 20.4, 20.5, 80.0]),
        mismatches=np.array([3, 0, 0, 0]),
    )
    assert order(pre_kas.pre_kas(), match) == [3, 2, 0, 1]


@pytest.mark.parametrize(("kdpi", "letter"), [(5, "A"), (30, "B"), (60, "C"), (95, "D")])
def test_classes_are_the_rules_read_aloud(kdpi, letter):
    match = varied(6000, seed=kdpi, kdpi=kdpi)
    expected = read_aloud(match, match["level"], lambda c: spoken_2014(c, letter))
    assert dense(kas.classification_2014(match)) == expected
    place = 2 * (match["distance_nm"] > 250)
    expected = read_aloud(match, place, lambda c: spoken_2021(c, letter))
    assert dense(kas.classification_2021(match)) == expected


@pytest.mark.parametrize(
    ("kdpi", "donor_age", "kind"), [(50, 60.0, "old"), (50, 20.0, "young"), (90, 20.0, "expanded")]
)
def test_classes_before_2014_are_the_rules_read_aloud(kdpi, donor_age, kind):
    match = varied(6000, seed=7)
    match.kidney = Kidney(0, 0, kdpi, donor_age)
    expected = read_aloud(match, match["level"], lambda c: spoken_pre_kas(c, kind))
    assert dense(pre_kas.classification(match)) == expected


@pytest.mark.parametrize(
    "table",
    [
        *kas.TABLES_2014.values(),
        *kas.TABLES_2021.values(),
        pre_kas.STANDARD,
        pre_kas.YOUNG_DONOR,
        pre_kas.EXPANDED,
    ],
)
def test_every_row_is_somebodys_and_the_documentation_has_it(table):
    match = varied(30_000, seed=1)
    place = match["level"] * (1 if any(rule.within == REGION for rule in table.rules) else 2)
    rows = table.classes(match, np.minimum(place, NATION))
    assert set(rows.tolist()) == set(range(len(table.rules)))
    docs = Path(__file__).parents[1] / "docs" / "policies.md"
    assert "; ".join(rule.says for rule in table.rules) in " ".join(docs.read_text().split())


# --- What holds for every rule ---

CHECKED = [*US, composite(str(EXAMPLE))]


def value(policy, match):
    return policy.points(match) if policy.name.startswith("composite") else policy.scores(match)


@pytest.mark.parametrize("policy", CHECKED, ids=lambda policy: policy.name[:12])
@given(seed=st.integers(0, 2**32 - 1), kdpi=st.floats(0, 100))
@settings(max_examples=25, deadline=None)
def test_the_order_of_the_list_does_not_matter(policy, seed, kdpi):
    match = varied(40, seed, kdpi)
    shuffled = varied(40, seed, kdpi)
    new = np.random.default_rng(seed).permutation(40)
    shuffled.columns.update({name: column[new] for name, column in match.columns.items()})
    before = {name: column.copy() for name, column in match.columns.items()}
    assert value(policy, shuffled).tolist() == value(policy, match)[new].tolist()
    chances = policy.choose(match).dense(match)
    assert policy.choose(shuffled).dense(shuffled).tolist() == chances[new].tolist()
    assert policy.choose(match).dense(match).tolist() == chances.tolist()
    for name, column in before.items():  # the match run's own columns are left alone
        assert (match[name] == column).all()


@pytest.mark.parametrize("policy", US, ids=lambda policy: policy.name)
def test_class_comes_before_points_and_points_within(policy):
    match = varied(500, seed=3, kdpi=15.0)
    lexicographic = np.lexsort((-policy.points(match), policy.classification(match)))
    by_score = np.argsort(-policy.scores(match), kind="stable")
    assert (policy.scores(match)[lexicographic] == policy.scores(match)[by_score]).all()
    choice = policy.choose(match)
    assert match.slots[lexicographic[0]] in choice.slots
    assert policy.card["provenance"].startswith("M, from memory")


def test_exact_equals_draw_lots():
    match = run(50, listed=np.array([-2.0, -2.0, -1.0]))
    choice = kas.kas().choose(match)
    assert choice.dense(match).tolist() == [0.5, 0.5, 0.0]
    assert choice.tie == 1.0


def test_policies_are_known_by_name_and_travel():
    for name in ("us-kas", "us-kas-2021", "us-pre-kas", f"composite({EXAMPLE})"):
        policy = make_policy(name, Path("none"))
        assert policy.name == name
        assert pickle.loads(pickle.dumps(policy)).name == name
