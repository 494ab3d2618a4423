"""HLA antigens: against all pairs of haplotypes, drawn donors and cases worked by hand."""

import csv
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from populations import hla
from populations.errors import InputError

TABLE = Path(hla.__file__).parent / "tables" / "haplotypes.csv"
SEEDS = st.integers(0, 2**32 - 1)


def mask(*names):
    return np.uint64(sum(1 << hla.ANTIGENS.index(name) for name in names))


@pytest.fixture(scope="module")
def pairs():
    """Antigens and probability of every ordered pair of haplotypes of the file."""
    with TABLE.open() as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    frequency = np.array([float(row["frequency"]) for row in rows])
    masks = np.array([mask(row["a"], row["b"], row["dr"]) for row in rows])
    return (masks[:, None] | masks).ravel(), np.outer(frequency, frequency).ravel()


@pytest.fixture(scope="module")
def people():
    return hla.draw_hla(np.random.default_rng(7), 3000)


def test_the_table_is_a_distribution_over_haplotypes_of_the_published_antigens(pairs):
    assert len(hla.ANTIGENS) == len(set(hla.ANTIGENS)) == 58
    assert pairs[1].sum() == pytest.approx(1, abs=1e-12)
    assert (pairs[1] > 0).all()
    bits = hla.LOCUS_BITS
    assert np.bitwise_count(bits["a"] | bits["b"] | bits["dr"]) == 58
    assert sum(np.bitwise_count(bits[locus]) for locus in ("a", "b", "dr")) == 58
    assert {name for i, name in enumerate(hla.ANTIGENS) if bits["dr"] >> np.uint64(i) & 1} == {
        f"DR{i}" for i in (1, 3, 4, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)
    }
    # Of 75,986 chromosomes; A74, A80 and seven antigens of B are left out (85 + 59 and 196).
    for name, carried, of in (("A2", 20899, 75842), ("B44", 11426, 75790), ("DR7", 13448, 75986)):
        without = pairs[1][(pairs[0] & mask(name)) == 0].sum()
        assert 1 - without**0.5 == pytest.approx(carried / of, abs=2e-5)


def test_drawn_people_are_as_the_table_says_with_its_linkage(pairs, people):
    drawn = hla.draw_hla(np.random.default_rng(3), 100_000)
    for names in (("A2",), ("DR9",), ("A1", "B8", "DR3"), ("A2", "B8")):
        wanted = mask(*names)
        share = pairs[1][(pairs[0] & wanted) == wanted].sum()
        error = 4 * (share * (1 - share) / len(drawn)) ** 0.5
        assert np.mean((drawn & wanted) == wanted) == pytest.approx(share, abs=error)
    for bits in hla.LOCUS_BITS.values():
        assert set(np.bitwise_count(people & bits).tolist()) == {1, 2}


def test_a_haplotype_takes_exactly_its_millionths():
    # The first two of the file: A1 B8 DR3 with 31,481 and A2 B44 DR4 with 21,355.
    edges = np.array([[0, 31480], [31481, 31481 + 21354], [31480, 31481]])
    drawn = hla.draw_hla(SimpleNamespace(integers=lambda high, size: edges), 3)
    first, second = mask("A1", "B8", "DR3"), mask("A2", "B44", "DR4")
    assert drawn.tolist() == [first, second, first | second]


@pytest.mark.parametrize(
    "names", [(), ("A2",), ("A69",), ("A1", "B8", "DR3"), ("B44", "DR7", "DR4", "A2"), hla.ANTIGENS]
)
def test_cpra_is_the_share_of_pairs_of_haplotypes_that_carry_an_unacceptable_antigen(pairs, names):
    got = hla.cpra(np.array([mask(*names)]))[0]
    assert got == pytest.approx(100 * pairs[1][(pairs[0] & mask(*names)) != 0].sum(), abs=1e-9)


def test_cpra_of_one_antigen_by_hand():
    # A25 is on 1,220 of 75,842 chromosomes: 100 (1 - (1 - 1220/75842)^2) = 3.1913 %.
    assert hla.cpra(np.array([mask("A25")]))[0] == pytest.approx(3.1913, abs=2e-3)
    assert hla.cpra(np.array([np.uint64(0), mask(*hla.ANTIGENS)])).tolist() == [0.0, 100.0]


def test_cpra_of_drawn_donors(people):
    rng = np.random.default_rng(5)
    target = np.resize([5.0, 40.0, 85.0, 99.0], 40)
    unacceptable, cpra = hla.draw_unacceptable(rng, people[:40], target)
    donors = hla.draw_hla(rng, 100_000)
    for mine, percent in zip(unacceptable, cpra, strict=True):
        share = percent / 100
        error = 5 * (share * (1 - share) / len(donors)) ** 0.5
        assert np.mean((donors & mine) != 0) == pytest.approx(share, abs=error)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**58 - 1), st.integers(0, 2**58 - 1))
def test_more_unacceptable_antigens_never_lower_cpra(one, two):
    few, many = hla.cpra(np.array([one & two, one], dtype=np.uint64))
    assert 0 <= few <= many <= 100


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.lists(st.floats(0, 100), min_size=1, max_size=20))
def test_ones_own_antigens_are_never_unacceptable(seed, targets):
    rng = np.random.default_rng(seed)
    mine = hla.draw_hla(rng, len(targets))
    unacceptable, cpra = hla.draw_unacceptable(rng, mine, np.array(targets))
    assert not (unacceptable & mine).any()
    assert (cpra == hla.cpra(unacceptable)).all()
    assert (cpra < 100).all()
    assert not unacceptable[np.array(targets) == 0].any()
    # So a donor without a mismatch is never positive in a crossmatch.
    for donor in np.concatenate([mine, hla.draw_hla(rng, 20)]):
        fits = hla.mismatches(donor, mine) == 0
        assert not (donor & unacceptable[fits]).any()


def test_cpra_comes_near_its_target(people):
    # Measured on 9,000 people each: half within 0.04, nine in ten within 0.2 percentage points.
    for target in (5.0, 20.0, 50.0, 80.0, 95.0, 99.0, 99.5, 99.95):
        goal = np.full(len(people), target)
        _, cpra = hla.draw_unacceptable(np.random.default_rng(1), people, goal)
        assert np.median(np.abs(cpra - target)) < 0.06
        assert np.quantile(np.abs(cpra - target), 0.9) < 0.25
        assert abs(np.mean(cpra) - target) < 0.06


def test_a_higher_target_gives_everybody_a_higher_cpra(people):
    got = [
        hla.draw_unacceptable(np.random.default_rng(1), people, np.full(len(people), target))[1]
        for target in (0.0, 10.0, 40.0, 70.0, 90.0, 98.0)
    ]
    assert (np.diff(got, axis=0) > 0).all()


def test_people_of_the_same_target_are_sensitised_against_different_antigens(people):
    goal = np.full(len(people), 50.0)
    unacceptable, _ = hla.draw_unacceptable(np.random.default_rng(1), people, goal)
    assert len(np.unique(unacceptable)) > 0.95 * len(people)
    for bit in range(len(hla.ANTIGENS)):
        assert (unacceptable >> np.uint64(bit) & np.uint64(1)).any()


def test_draws_depend_on_the_seed_alone_and_not_on_others(people):
    target = np.resize([0.0, 30.0, 99.0], len(people))

    def draw(n, goal):
        return hla.draw_unacceptable(np.random.default_rng(4), people[:n], goal[:n])

    whole, part = draw(3000, target), draw(1100, target)
    assert (draw(3000, target)[0] == whole[0]).all()
    assert (part[0] == whole[0][:1100]).all() and (part[1] == whole[1][:1100]).all()
    others = np.where(np.arange(3000) % 3 == 2, target, 0.0)
    assert (draw(3000, others)[0][2::3] == whole[0][2::3]).all()
    longer = hla.draw_hla(np.random.default_rng(7), 5000)
    assert (longer[:3000] == people).all()
    each = np.array([hla.cpra(mine[None])[0] for mine in whole[0][:1100]])
    assert (each == whole[1][:1100]).all()


@pytest.mark.parametrize("target", [-0.1, 100.5, float("nan")])
def test_a_target_outside_0_to_100_is_refused(people, target):
    with pytest.raises(InputError, match=r"target: cPRA is .*; it must be from 0 to 100 percent"):
        hla.draw_unacceptable(np.random.default_rng(1), people[:2], np.array([50.0, target]))


def test_mismatches_by_hand():
    donor = mask("A1", "A2", "B8", "DR3", "DR4")  # carries B8 twice: one mismatch at most
    mine = np.array(
        [
            donor,
            mask("A2", "A3", "B44", "DR3", "DR7"),
            mask("A11", "A24", "B35", "B51", "DR1", "DR15"),
            mask("A1", "A2", "B7", "B8", "DR3", "DR4"),
        ]
    )
    assert hla.mismatches(donor, mine).tolist() == [0, 3, 5, 0]
    assert hla.mismatches(donor, mine, "a").tolist() == [0, 1, 2, 0]
    assert hla.mismatches(donor, mine, "b").tolist() == [0, 1, 1, 0]
    assert hla.mismatches(int(donor), mine, "dr").tolist() == [0, 1, 2, 0]
    assert hla.mismatches(donor, mine).dtype == np.uint8


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_mismatches_of_the_loci_add_up_to_six_at_most(seed):
    drawn = hla.draw_hla(np.random.default_rng(seed), 50)
    by_locus = [hla.mismatches(drawn[0], drawn, locus) for locus in ("a", "b", "dr")]
    assert (np.sum(by_locus, axis=0) == hla.mismatches(drawn[0], drawn)).all()
    assert np.max(by_locus) <= 2
    lacking = [set_of(drawn[0]) - set_of(mine) for mine in drawn]
    assert hla.mismatches(drawn[0], drawn).tolist() == [len(names) for names in lacking]


def set_of(antigens):
    return {name for i, name in enumerate(hla.ANTIGENS) if int(antigens) >> i & 1}


def test_match_probability_is_that_over_all_pairs_of_haplotypes(pairs, people):
    common = mask("A1", "A2", "B8", "B44", "DR3", "DR4")
    mine = np.concatenate([[common, mask("A2", "B44", "DR4")], people])
    none, one = hla.match_probability(mine)
    for i in (0, 1, 2, 40, 1024, 3001):  # also beyond the first chunk
        lacks = np.bitwise_count(pairs[0] & ~mine[i])
        assert none[i] == pytest.approx(pairs[1][lacks == 0].sum(), rel=1e-9)
        assert one[i] == pytest.approx(pairs[1][lacks == 1].sum(), rel=1e-9)
    assert none[0] > none[1] > 0
