"""The composite of attributes: ratings by hand, the user's weights, wrong weights."""

from pathlib import Path

import numpy as np
import pytest
from us_rules import run, varied

from policies.composite import ATTRIBUTES, RATINGS, composite
from policies.official import kas
from policies.registry import make_policy
from populations.errors import InputError

EXAMPLE = Path(kas.__file__).parent / "example_weights.toml"


def test_ratings_by_hand():
    """Each attribute alone with the whole weight."""
    match = run(
        20,
        cpra=np.array([0.0, 50.0, 100.0]),
        mismatches_dr=np.array([0, 1, 2]),
        distance_nm=np.array([0.0, 1250.0, 3000.0]),
        blood_type=np.array([0, 1, 3]),
        listed=np.array([-5.0, -2.0, -20.0]),
        dialysis_start=np.array([0.0, -4.0, 0.0]),
        birth=np.array([-22.9, -20.0, -50.0]),
        prior_living_donor=np.array([0, 1, 0]),
    )
    match.columns["epts"] = np.array([0.0, 50.0, 100.0])
    by_hand = {
        "hla_match": [1.0, 0.5, 0.0],
        "longevity_match": [0.8, 0.4, 0.0],
        "cpra": [0.0, 9.0 / 99.0, 1.0],  # (100^0.5 - 1) / 99
        "blood_type": [0.5186, 0.1813, 0.0],
        "paediatric": [1.0, 0.0, 0.0],
        "prior_living_donor": [0.0, 1.0, 0.0],
        "waiting": [0.5, 0.4, 1.0],
        "proximity": [1.0, 0.5, 0.0],
    }
    assert set(by_hand) == set(ATTRIBUTES)
    for name, ratings in by_hand.items():
        assert composite(f"{name}=1").points(match) == pytest.approx(ratings), name


def test_blood_groups_are_rated_by_the_donors_they_cannot_take():
    """O takes O; A takes O, A; B takes O, B; AB takes all. Donors .4814, .3373, .1428, .0385."""
    rated = composite("blood_type=1").points(run(50, blood_type=np.arange(4)))
    assert rated == pytest.approx([0.5186, 0.1428 + 0.0385, 0.3373 + 0.0385, 0.0])


def test_weights_and_settings_count():
    match = run(50, cpra=np.array([0.0, 50.0]), listed=np.array([-4.0, 0.0]))
    written = "waiting=0.25, cpra = 0.75, waiting_years=8, cpra_base=9"
    # 9^0.5 = 3: (3 - 1) / 8 = 0.25. Everybody has been on dialysis for a year: 1/8.
    by_hand = [0.25 * 0.5, 0.75 * 0.25 + 0.25 * 0.125]
    assert composite(written).points(match) == pytest.approx(by_hand)


def test_scores_are_from_0_to_1():
    score = composite(str(EXAMPLE)).points(varied(5000, seed=2, kdpi=30.0))
    assert 0 <= score.min() < 0.2
    assert 0.6 < score.max() <= 1


def test_the_example_file_is_labelled_and_complete():
    policy = composite(str(EXAMPLE))
    assert set(policy.card["weights"]) == set(ATTRIBUTES)
    assert policy.ratings == {name: default for name, (default, _) in RATINGS.items()}
    assert EXAMPLE.read_text().startswith("# ILLUSTRATIVE (A)")
    assert "none of them official" in policy.card["provenance"]


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("waiting=0.5, cpra=0.4", "weights sum to 0.9; they must sum to 1"),
        ("waitin=1", "did you mean 'waiting'?"),
        ("waiting=-1, cpra=2", "waiting = -1.0: expected a weight from 0 to 1"),
        ("waiting=nan", "waiting = nan: expected a weight from 0 to 1"),
        ("waiting=lots", "waiting = 'lots': expected a weight"),
        ("waiting=1, cpra_base=1", "cpra_base = 1.0: expected a number > 1"),
        ("waiting=1, proximity_nm=inf", "proximity_nm = inf: expected a number > 0"),
        ("waiting=0.5, waiting=0.5", "'waiting' is given twice"),
        ("waiting=1, cpra", "'cpra' has no value"),
        ("medical_urgency=1", "medical_urgency = 1.0: expected a weight of hla_match"),
        ("no-such.toml", "composite(no-such.toml): cannot read it"),
    ],
)
def test_wrong_weights_are_one_line(written, problem):
    with pytest.raises(InputError) as caught:
        make_policy(f"composite({written})", Path("none"))
    assert problem in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("waiting = 1", "'waiting': expected only the tables [weights], [ratings]"),
        ("[weights]\nwaitng = 1", "[weights] waitng: did you mean 'waiting'? expected hla_match"),
        ("[weights]\ncpra_base = 9", "[weights] cpra_base: it belongs in [ratings]"),
        ("[ratings]\ncpra = 9", "[ratings] cpra: it belongs in [weights]"),
        ("[weights]\ncpra = true", "cpra = True: expected a weight from 0 to 1"),
        ("[weights]", "weights sum to 0"),
        ("[weights", "not a TOML file"),
    ],
)
def test_wrong_files_are_one_line(tmp_path, content, problem):
    path = tmp_path / "mine.toml"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        composite(str(path))
    assert problem in str(caught.value)
    assert str(path) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
