"""Definitions of fairness rank arms, and their rankings are compared: by hand and by oracle."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.text import Text

import measures  # noqa: F401  (fills the registry)
from experiments.conflict import DEFINITIONS, Conflict, Definition, conflict
from experiments.figures.conflict import conflict_matrix
from experiments.figures.style import SMALL
from measures.registry import MEASURES
from populations.errors import InputError

LOW = Definition("deaths", "deaths", "value")
HIGH = Definition("years", "years", "minus")
GAP = Definition("parity", "rate_ratio", "spread", "sex")
FIFTHS = Definition("four-fifths", "impact_ratio", "below four fifths")
LOTS = Definition("lots", "ledger", "from one", "sex")


def rows(
    measure: str, of: dict[str, list[float]], grouping: str = "all", group: str = "all"
) -> pd.DataFrame:
    """Values of a measure by arm, one per world."""
    return pd.DataFrame(
        [
            {"arm": arm, "world": world, "tie_seed": 0, "measure": measure, "grouping": grouping}
            | {"group": group, "value": value, "numerator": 1.0, "denominator": 1.0, "note": ""}
            for arm, values in of.items()
            for world, value in enumerate(values)
        ]
    )


def cell(found: Conflict, definition: str, arm: str, column: str) -> float:
    table = found.scores.set_index(["definition", "arm"])
    return float(table.loc[(definition, arm), column])


def tau(found: Conflict, one: str, other: str, column: str = "tau") -> float:
    return float(found.tau.set_index(["definition_a", "definition_b"]).loc[(one, other), column])


THREE = pd.concat(
    [
        rows("deaths", {"a": [1, 2, 3], "b": [4, 5, 6], "c": [7, 8, 9]}),
        rows("years", {"a": [1, 1, 1], "b": [2, 2, 2], "c": [3, 3, 3]}),
        rows("rate_ratio", {"a": [2, 2, 2], "b": [0.25, 0.25, 0.25], "c": [1, 1, 1]}, "sex", "m"),
        rows("rate_ratio", {"a": [1, 1, 1], "b": [1, 1, 1], "c": [1, 1, 1]}, "sex", "f"),
        rows("impact_ratio", {"a": [0.4, 0.4, 0.4], "b": [0.8, 0.8, 0.8], "c": [1, 1, 1]}),
        rows("ledger", {"a": [1, 1, 1], "b": [0, 0, 0], "c": [1.5, 1.5, 1.5]}, "sex", "m"),
        rows("ledger", {"a": [1, 1, 1], "b": [1.2, 1.2, 1.2], "c": [1, 1, 1]}, "sex", "f"),
    ]
)
ALL = [LOW, HIGH, GAP, FIFTHS, LOTS]


def test_scores_ranks_and_tau_by_hand() -> None:
    found = conflict(THREE, "a", 1, ALL)
    expected = {
        "deaths": ([2, 5, 8], [1, 2, 3]),
        "years": ([-1, -2, -3], [3, 2, 1]),
        "parity": ([np.log(2), np.log(4), 0], [2, 3, 1]),
        "four-fifths": ([np.log(2), 0, 0], [3, 1, 1]),
        "lots": ([0, 1, 0.5], [1, 3, 2]),
    }
    for name, (scores, ranks) in expected.items():
        assert [cell(found, name, arm, "score") for arm in "abc"] == pytest.approx(scores)
        assert [cell(found, name, arm, "rank") for arm in "abc"] == ranks
    assert tau(found, "deaths", "years") == -1
    assert tau(found, "deaths", "deaths") == 1
    assert tau(found, "deaths", "parity") == pytest.approx(-1 / 3)
    assert tau(found, "deaths", "four-fifths") == pytest.approx(-2 / np.sqrt(3 * 2))
    assert tau(found, "deaths", "years", "same_sign_share") == 1
    # t interval of 1, 2, 3: mean 2, standard error 1 / sqrt(3), t(.975, 2) = 4.3027
    assert cell(found, "deaths", "a", "high") == pytest.approx(2 + 4.302653 / np.sqrt(3))
    assert cell(found, "deaths", "a", "low") == pytest.approx(2 - 4.302653 / np.sqrt(3))


def test_sentences_name_only_what_is_sure() -> None:
    said = " ".join(conflict(THREE, "b", 1, ALL).sentences)
    assert said.startswith("b is least fair under parity and lots.")
    assert "a is fairest under deaths and lots; least fair under years and four-fifths." in said
    assert "c is fairest under years and parity; least fair under deaths." in said
    assert "most of all deaths and years (tau -1.00)" in said and "3 worlds: resampling" in said


def test_share_of_resamples_is_what_enumerating_them_gives() -> None:
    # World 0: a better by 1; world 1: b better by 2. Of the four resamples a wins only (0, 0).
    found = conflict(rows("deaths", {"a": [0, 2], "b": [1, 0]}), "a", 4, [LOW])
    assert cell(found, "deaths", "a", "top_share") == pytest.approx(0.25, abs=0.04)
    assert cell(found, "deaths", "b", "top_share") == pytest.approx(0.75, abs=0.04)
    assert cell(found, "deaths", "a", "bottom_share") == pytest.approx(0.75, abs=0.04)
    assert found.sentences[0].startswith("a is not told apart")


def test_arms_that_are_the_same_share_the_place() -> None:
    same = {"a": [0.1 + 0.2, 1], "b": [0.3, 1], "c": [5, 6]}  # a and b differ by rounding only
    found = conflict(rows("deaths", same), "a", 1, [LOW])
    assert [cell(found, "deaths", arm, "rank") for arm in "abc"] == [1, 1, 3]
    assert [cell(found, "deaths", arm, "top_share") for arm in "abc"] == [0.5, 0.5, 0]
    assert found.sentences[2] == "c is least fair under deaths."


def test_ranking_that_ties_all_arms_has_no_tau() -> None:
    deaths = THREE[THREE["measure"] == "deaths"]
    flat = rows("years", {arm: [1.0, 1.0, 1.0] for arm in "abc"})
    found = conflict(pd.concat([deaths, flat]), "a", 1, [LOW, HIGH])
    assert np.isnan(tau(found, "deaths", "years"))
    assert "nothing to compare" in found.sentences[-1]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, 4), min_size=2, max_size=2), min_size=3, max_size=6))
def test_tau_is_concordance_counted(values: list[list[int]]) -> None:
    first = {f"arm{i}": [float(x), float(x)] for i, (x, _) in enumerate(values)}
    second = {f"arm{i}": [float(y), float(y)] for i, (_, y) in enumerate(values)}
    both = pd.concat([rows("deaths", first), rows("years", second)])
    found = conflict(both, "arm0", 1, [LOW, Definition("years", "years", "value")])
    agree = left = right = 0
    for (x, y), (u, v) in combinations(values, 2):
        agree += int(np.sign(x - u) * np.sign(y - v))
        left, right = left + (x != u), right + (y != v)
    got = tau(found, "deaths", "years")
    if left and right:
        assert got == pytest.approx(agree / np.sqrt(left * right))
        assert tau(found, "years", "deaths") == pytest.approx(got)
        assert tau(found, "deaths", "years", "same_sign_share") == 1  # worlds are alike
    else:
        assert np.isnan(got)


def test_same_seed_same_answer_whatever_the_order_of_rows() -> None:
    noisy = rows(
        "deaths", {a: list(np.random.default_rng(i).random(6)) for i, a in enumerate("abc")}
    )
    one, two = conflict(noisy, "a", 1, [LOW]), conflict(noisy, "a", 1, [LOW])
    pd.testing.assert_frame_equal(one.scores, two.scores)
    shuffled = noisy.sort_values(["world", "arm"], ascending=[False, True])
    pd.testing.assert_frame_equal(one.scores, conflict(shuffled, "a", 1, [LOW]).scores)
    other = conflict(noisy, "a", 2, [LOW]).scores
    assert not other["top_share"].equals(one.scores["top_share"])


def damaged(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Conflict:
    return conflict(change(THREE.reset_index(drop=True)), "a", 1, ALL)


def undefined(frame: pd.DataFrame) -> pd.DataFrame:
    here = (frame["measure"] == "deaths") & (frame["arm"] == "b") & (frame["world"] == 1)
    frame.loc[here, ["value", "note"]] = [np.nan, "no events in m"]
    return frame


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (undefined, "deaths undefined in world 1 under b: no events in m"),
        (lambda f: f[f["measure"] != "deaths"], "deaths was not computed"),
        (
            lambda f: f[~((f["measure"] == "deaths") & (f["world"] == 2) & (f["arm"] == "c"))],
            "deaths is missing in some world of some arm",
        ),
    ],
)
def test_definitions_not_defined_everywhere_are_left_out_with_the_reason(
    change: Callable[[pd.DataFrame], pd.DataFrame], reason: str
) -> None:
    found = damaged(change)
    out = found.scores[found.scores["definition"] == "deaths"]
    assert out["note"].tolist() == [f"left out: {reason}"] * 3 and out["score"].isna().all()
    assert "deaths" not in set(found.tau["definition_a"])
    assert f"deaths: left out: {reason}." in found.sentences
    assert cell(found, "years", "c", "rank") == 1


def test_ratio_of_zero_is_undefined_not_infinite() -> None:
    zero = THREE.copy()
    zero.loc[(zero["measure"] == "rate_ratio") & (zero["arm"] == "a"), "value"] = 0.0
    found = conflict(zero, "a", 1, [GAP, LOW])
    assert np.isnan(cell(found, "parity", "a", "score"))
    assert "undefined in world 0 under a" in found.sentences[-1]


def test_two_arms_are_ranked_but_not_compared() -> None:
    found = conflict(THREE[THREE["arm"] != "c"], "a", 1, ALL)
    assert found.tau["tau"].isna().all()
    assert cell(found, "deaths", "a", "rank") == 1
    assert any("too few" in said for said in found.sentences)


def test_one_world_gives_ranks_without_shares() -> None:
    found = conflict(THREE[THREE["world"] == 0], "a", 1, ALL)
    assert cell(found, "deaths", "a", "rank") == 1 and tau(found, "deaths", "years") == -1
    assert found.scores[["top_share", "bottom_share", "low", "high"]].isna().to_numpy().all()
    assert not any("fairest" in said for said in found.sentences)
    assert "One world" in found.sentences[0]


def test_declared_definitions_read_measures_that_a_policy_can_move() -> None:
    names = [each.name for each in DEFINITIONS]
    assert len(set(names)) == len(names) >= 10
    for each in DEFINITIONS:
        card = MEASURES[each.measure.partition(".")[0]]
        assert not card.policy_invariant and not each.measure.endswith("gini_ex_post")
        assert (each.grouping != "all") or card.by != "always"
        if each.score == "minus":
            assert card.direction != "lower"
        if each.score == "value":
            assert card.direction != "higher"


def test_figure_draws_every_rank_and_tau_and_says_what_it_shows() -> None:
    found = damaged(undefined)
    plot = conflict_matrix(found.scores, found.tau, "b", "Three arms.")
    drawn = [text.get_text() for axes in plot.figure.axes for text in axes.texts]
    names = [d.name for d in ALL if d.name != "deaths"]
    n_tau = len(names) * (len(names) - 1) // 2
    assert len(drawn) == len(names) * 3 + n_tau
    ranks, taus = plot.figure.axes
    assert [tick.get_text() for tick in ranks.get_xticklabels()] == ["b", "a", "c"]
    assert [tick.get_text() for tick in ranks.get_yticklabels()] == [
        f"{name}  {place}" for place, name in enumerate(names, 1)
    ]
    assert [text.get_text() for text in ranks.texts[:3]] == ["2", "3", "1"]  # years of b, a, c
    assert taus.texts[0].get_text() == ".3"  # years and parity: 1/3
    assert set(plot.text) == {"title", "caption", "alt"} and "deaths" in plot.text["caption"]
    assert "four-fifths: b and c" in plot.text["alt"]
    pd.testing.assert_frame_equal(plot.data, found.scores)
    sizes = [text.get_fontsize() for text in plot.figure.findobj(Text) if text.get_text()]
    assert min(sizes) >= SMALL


def test_figure_of_two_arms_has_ranks_only_and_of_no_definition_is_refused() -> None:
    found = conflict(THREE[THREE["arm"] != "c"], "a", 1, ALL)
    plot = conflict_matrix(found.scores, found.tau, "a", "Two arms.")
    assert len(plot.figure.axes) == 1 and "three policies" in plot.text["caption"]
    none = conflict(THREE, "a", 1, [Definition("other", "other", "value")])
    with pytest.raises(InputError, match="no definition"):
        conflict_matrix(none.scores, none.tau, "a", "None.")
