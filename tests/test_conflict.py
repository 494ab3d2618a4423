"""Definitions of fairness rank arms, and their rankings are compared: by hand and by oracle."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from scipy.stats import ttest_rel
from statsmodels.stats.multitest import multipletests

from experiments.conflict import DEFINITIONS, Conflict, Definition, _places, conflict
from experiments.figures.conflict import conflict_matrix
from experiments.figures.style import SMALL
from experiments.inference import LEVEL
from measures import lots
from measures.registry import MEASURES
from populations.errors import InputError

LOW = Definition("deaths", "deaths", "value")
HIGH = Definition("years", "years", "minus")
PARITY = Definition("parity", "lowest_ratio", "below one")
GAP = Definition("conditional", "rate_ratio", "gap", "sex")
FIFTHS = Definition("four-fifths", "impact_ratio", "below four fifths")
LOTS = Definition("lots", "ledger", "misplaced", "sex")
EXCESS = Definition("excluded", "excluded", "excess")


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


def ledger(group: str, won: dict[str, float], expected: float) -> pd.DataFrame:
    """Draws won and expected in each of three worlds."""
    found = rows("ledger", {arm: [n / expected] * 3 for arm, n in won.items()}, "sex", group)
    return found.assign(numerator=found["value"] * expected, denominator=expected)


THREE = pd.concat(
    [
        rows("deaths", {"a": [1, 2, 3], "b": [4, 5, 6], "c": [7, 8, 9]}),
        rows("years", {"a": [1, 1, 1], "b": [2, 2, 2], "c": [3, 3, 3]}),
        rows("lowest_ratio", {"a": [0.5] * 3, "b": [0, 0, 0.3], "c": [1, 1, 1]}),
        rows("rate_ratio", {"a": [2, 2, 2], "b": [0.25, 0.25, 0.25], "c": [1, 1, 1]}, "sex", "m"),
        rows("rate_ratio", {"a": [1, 1, 1], "b": [1, 1, 1], "c": [1, 1, 1]}, "sex", "f"),
        rows("impact_ratio", {"a": [0.4, 0.4, 0.4], "b": [0, 0.8, 0.8], "c": [1, 1, 1]}),
        ledger("m", {"a": 10, "b": 2, "c": 12}, 10),
        ledger("f", {"a": 30, "b": 38, "c": 28}, 30),
        rows("excluded", {"a": [0.5] * 3, "b": [0.4] * 3, "c": [0.6] * 3}),
        rows("excluded.independent", {"a": [0.25] * 3, "b": [0.3] * 3, "c": [0.36] * 3}),
        rows("transplant_gini", {"a": [0.5] * 3, "b": [0.5] * 3, "c": [0.6] * 3}),
    ]
)
THREE = pd.concat([THREE.assign(tie_seed=seed) for seed in range(3)], ignore_index=True)
ALL = [LOW, HIGH, PARITY, GAP, FIFTHS, LOTS, EXCESS]
FAILURES = ("excluded", "excluded.independent", "transplant_gini")


def test_scores_ranks_and_tau_by_hand() -> None:
    found = conflict(THREE, "a", 1, ALL)
    expected = {
        "deaths": ([2, 5, 8], [1, 2, 3]),
        "years": ([-1, -2, -3], [3, 2, 1]),
        "parity": ([0.5, 0.9, 0], [2, 3, 1]),
        "conditional": ([0.5, 0.75, 0], [2, 3, 1]),
        "four-fifths": ([0.4, 0.8 / 3, 0], [3, 2, 1]),
        "lots": ([0, 16 / 80, 4 / 80], [1, 3, 2]),
        "excluded": ([1, 0.5, 1], [2, 1, 2]),  # a and c: one rule without lots, whatever it gives
    }
    for name, (scores, ranks) in expected.items():
        assert [cell(found, name, arm, "score") for arm in "abc"] == pytest.approx(scores)
        assert [cell(found, name, arm, "rank") for arm in "abc"] == ranks
    assert tau(found, "deaths", "years") == -1
    assert tau(found, "deaths", "deaths") == 1
    assert tau(found, "deaths", "parity") == pytest.approx(-1 / 3)
    assert tau(found, "deaths", "excluded") == pytest.approx(0)
    assert tau(found, "parity", "excluded") == pytest.approx(-2 / np.sqrt(3 * 2))
    # t interval of 1, 2, 3: mean 2, standard error 1 / sqrt(3), t(.975, 2) = 4.3027
    assert cell(found, "deaths", "a", "high") == pytest.approx(2 + 4.302653 / np.sqrt(3))
    assert cell(found, "deaths", "a", "low") == pytest.approx(2 - 4.302653 / np.sqrt(3))


def test_tie_seeds_are_averaged_before_anything_is_made_of_them() -> None:
    men = [ledger("m", {"a": n, "b": n}, 10).assign(tie_seed=n) for n in (8, 12)]
    women = [ledger("f", {"a": 20 - n, "b": 20 - n}, 10).assign(tie_seed=n) for n in (8, 12)]
    found = conflict(pd.concat(men + women), "a", 1, [LOTS])
    assert found.scores["score"].tolist() == pytest.approx([0, 0])


def test_group_without_draws_adds_nothing_but_no_draws_at_all_is_undefined() -> None:
    few = THREE.copy()
    mine = (few["measure"] == "ledger") & (few["arm"] == "b")
    gone = ["value", "numerator", "denominator"]
    few.loc[mine & (few["group"] == "f"), gone] = np.nan
    found = conflict(few, "a", 1, [LOTS])
    assert [cell(found, "lots", arm, "score") for arm in "abc"] == pytest.approx([0, 0.4, 0.05])
    few.loc[mine, gone] = np.nan
    few.loc[mine, "note"] = "no draws"
    none = conflict(few, "a", 1, [LOTS])
    assert none.scores["note"].unique().tolist() == [
        "left out: ledger undefined in world 0 under b: no draws"
    ]


def test_lots_for_life_and_two_tie_seeds_leave_definitions_out() -> None:
    life = conflict(THREE.assign(note=lots._FOR_LIFE), "a", 1, [LOTS, LOW])
    assert np.isnan(cell(life, "lots", "a", "score")) and "for life" in life.sentences[-1]
    assert cell(life, "deaths", "a", "rank") == 1
    two = conflict(THREE[THREE["tie_seed"] < 2], "a", 1, [EXCESS])
    assert np.isnan(cell(two, "excluded", "a", "score")) and "determinism" in two.sentences[-1]


def test_excess_where_everybody_fails_is_undefined() -> None:
    failed = THREE.assign(value=THREE["value"].mask(THREE["measure"].isin(FAILURES), 1.0))
    found = conflict(failed, "a", 1, [EXCESS])
    assert found.scores["note"].unique().tolist() == [
        "left out: excluded undefined in world 0 under a"
    ]


def noisy(measure: str, means: dict[str, float], worlds: int = 10, seed: int = 1) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    return rows(measure, {arm: list(draw.normal(mean, 1.0, worlds)) for arm, mean in means.items()})


def largest_p(frame: pd.DataFrame, one: str, others: str) -> float:
    by = {arm: here["value"].to_numpy() for arm, here in frame.groupby("arm")}
    return max(float(ttest_rel(by[one], by[other]).pvalue) for other in others)


def test_p_is_the_largest_of_an_arms_tests_adjusted_for_definitions_and_ends() -> None:
    deaths = noisy("deaths", {"a": 0, "b": 2.0, "c": 4})
    years = noisy("years", {"a": 0, "b": 0.3, "c": 4}, seed=2)
    found = conflict(pd.concat([deaths, years]), "a", 1, [LOW, HIGH])
    low = str(years.groupby("arm")["value"].mean().idxmin())
    raw = [
        largest_p(deaths, "a", "bc"),
        largest_p(deaths, "c", "ab"),
        largest_p(years, "c", "ab"),
        largest_p(years, low, "abc".replace(low, "")),
    ]
    assert raw[3] > 0.05
    got = [
        cell(found, "deaths", "a", "p_fairest"),
        cell(found, "deaths", "c", "p_least_fair"),
        cell(found, "years", "c", "p_fairest"),
        cell(found, "years", low, "p_least_fair"),
    ]
    assert got == pytest.approx(multipletests(raw, method="holm")[1].tolist())
    assert found.scores[["p_fairest", "p_least_fair"]].eq(1).to_numpy().sum() == 12 - 4
    assert found.sentences[:3] == [
        "a is fairest under deaths.",
        "b is not told apart as fairest or least fair under any definition.",
        "c is fairest under years; least fair under deaths.",
    ]


def test_fairest_must_beat_every_other_arm_and_a_tie_is_no_win() -> None:
    far = noisy("deaths", {"a": 0, "c": 9})
    twin = far[far["arm"] == "a"].assign(arm="b")
    twin["value"] *= 1 + 1e-15  # rounding
    found = conflict(pd.concat([far, twin]), "a", 1, [LOW])
    assert [cell(found, "deaths", arm, "rank") for arm in "abc"] == [1, 1, 3]
    assert [cell(found, "deaths", arm, "p_fairest") for arm in "abc"] == [1, 1, 1]
    assert cell(found, "deaths", "c", "p_least_fair") < 0.001
    said = set(found.sentences)
    assert "a is not told apart as fairest or least fair under any definition." in said
    assert "c is least fair under deaths." in said


@pytest.mark.parametrize("worlds", [1, 2, 5, 6])
def test_nothing_is_claimed_with_fewer_than_six_worlds(worlds: int) -> None:
    means = {"a": 0.0, "b": 50.0, "c": 100.0}
    both = pd.concat([noisy("deaths", means, worlds), noisy("years", means, worlds)])
    found = conflict(both, "a", 1, [LOW, HIGH])
    assert cell(found, "deaths", "a", "rank") == 1 and tau(found, "deaths", "years") == -1
    said = " ".join(found.sentences)
    if worlds == 6:
        assert "a is fairest under deaths; least fair under years." in said
        assert "most of all deaths and years (tau -1.00)" in said
        assert tau(found, "deaths", "years", "same_sign_share") == 1
    else:
        assert found.scores[["p_fairest", "p_least_fair"]].isna().to_numpy().all()
        assert np.isnan(tau(found, "deaths", "years", "same_sign_share"))
        assert "too few to call" in found.sentences[0] and "may be luck" in found.sentences[1]
        assert "is fairest" not in said and "most of all" not in said
    assert found.scores["low"].isna().all() == (worlds == 1)


@pytest.mark.parametrize(("arms", "worlds"), [("ab", 6), ("ab", 20), ("abcd", 6)])
def test_arms_that_do_not_differ_are_seldom_told_apart(arms: str, worlds: int) -> None:
    """Luck makes a claim under any of eight definitions in at most 5 % of studies."""
    draw = np.random.default_rng(worlds)
    studies, wrong = 300, 0
    for _ in range(studies):
        tables = {f"d{i}": draw.normal(size=(len(arms), worlds)) for i in range(8)}
        places = _places(tables, list(arms))
        wrong += bool((places[["p_fairest", "p_least_fair"]] < LEVEL).to_numpy().any())
    assert wrong / studies <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / studies)


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
    else:
        assert np.isnan(got)


def test_same_seed_same_answer_whatever_the_order_of_rows() -> None:
    means = {"a": 0.0, "b": 0.1, "c": 0.2}
    both = pd.concat([noisy("deaths", means), noisy("years", means, seed=2)])
    one, two = conflict(both, "a", 1, [LOW, HIGH]), conflict(both, "a", 1, [LOW, HIGH])
    pd.testing.assert_frame_equal(one.scores, two.scores)
    pd.testing.assert_frame_equal(one.tau, two.tau)
    shuffled = both.sort_values(["world", "arm"], ascending=[False, True])
    again = conflict(shuffled, "a", 1, [LOW, HIGH])
    pd.testing.assert_frame_equal(one.scores, again.scores)
    pd.testing.assert_frame_equal(one.tau, again.tau)
    assert not conflict(both, "a", 2, [LOW, HIGH]).tau.equals(one.tau)


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
            "deaths is missing in world 2 under c",
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


def test_two_arms_are_ranked_but_not_compared() -> None:
    found = conflict(THREE[THREE["arm"] != "c"], "a", 1, ALL)
    assert found.tau["tau"].isna().all()
    assert cell(found, "deaths", "a", "rank") == 1
    assert any("too few" in said for said in found.sentences)


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
    assert len(drawn) == len(names) * 3 + n_tau and "Nothing is called" in plot.text["caption"]
    ranks, taus = plot.figure.axes
    assert [tick.get_text() for tick in ranks.get_xticklabels()] == ["b", "a", "c"]
    assert [tick.get_text() for tick in ranks.get_yticklabels()] == [
        f"{name}  {place}" for place, name in enumerate(names, 1)
    ]
    assert [text.get_text() for text in ranks.texts[:3]] == ["2", "3", "1"]  # years of b, a, c
    assert taus.texts[0].get_text() == ".3"  # years and parity: 1/3
    assert set(plot.text) == {"title", "caption", "alt"} and "deaths" in plot.text["caption"]
    assert "excluded: b" in plot.text["alt"] and "under 0 of them" in plot.text["alt"]
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


def test_figure_frames_what_is_sure() -> None:
    found = conflict(noisy("deaths", {"a": 0, "b": 5, "c": 5}), "a", 1, [LOW])
    plot = conflict_matrix(found.scores, found.tau, "b", "Three arms.")
    (ranks,) = plot.figure.axes
    frames = [each for each in ranks.patches if isinstance(each, Rectangle)]
    assert [round(each.get_x() + 0.44) for each in frames] == [1]  # a, second from the left
    bold = [text.get_text() for text in ranks.texts if text.get_fontweight() == "bold"]
    assert bold == ["1"] and "under 1 of them" in plot.text["alt"]
    assert "Framed" in plot.text["caption"]
