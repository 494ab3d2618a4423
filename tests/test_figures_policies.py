"""Figures that put policies side by side: forest, frontier, heat map."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from figure_checks import (
    LONG,
    MANY_LONG,
    check_labels,
    check_page,
    check_saved,
    check_ticks,
    inches,
    runs,
    words,
)
from matplotlib.colors import to_hex, to_rgb
from scipy.stats import f as fisher
from scipy.stats import norm
from scipy.stats import t as student

from experiments import inference
from experiments.figures import Plot, forest, frontier, heat_map
from experiments.figures.heat_map import NEUTRAL
from experiments.figures.style import DIVERGING
from experiments.headlines import row_label
from populations.errors import InputError

ARMS = ["human", "lottery", "life-years", "sampled(llm:local+human-1024)"]
TWELVE = [*ARMS, "first-come", "points", *(f"forced(human, attribute:{i})" for i in range(6))]
DEATHS = "deaths per 100 person-years \N{DOWNWARDS ARROW}"
YEARS = {"White": 200.0, "Black": 100.0, "Other": 50.0}
rng = np.random.default_rng(11)


def measures_frame(arms: list[str] = ARMS, worlds: int = 5, none: bool = False) -> pd.DataFrame:
    """Transplant rates, their ratios, deaths and life-years of every run.

    With ``none`` nobody of the group Other is transplanted under the lottery in world 0.
    """
    rows = []
    for run in runs(arms, worlds):
        counts = {group: int(rng.integers(10, 40)) for group in YEARS}
        if none and run["arm"] == "lottery" and run["world"] == 0:
            counts["Other"] = 0
        rates = {group: 100 * counts[group] / YEARS[group] for group in YEARS}
        of_race = {"grouping": "race", "low": np.nan, "high": np.nan}
        for group in YEARS:
            row = {"measure": "transplant_rate", "group": group, "denominator": YEARS[group]}
            value = rates[group] or np.nan
            rows.append(run | of_race | row | {"value": value, "numerator": counts[group]})
            ratio = {"measure": "transplant_rate_ratio", "group": group}
            value = rates[group] / rates["White"] or np.nan
            rows.append(run | of_race | ratio | {"value": value})
        everybody = {"grouping": "all", "group": "all"}
        life = {"measure": "life_years", "value": rng.normal(3.0, 0.1)}
        deaths = {"measure": "mortality_rate", "value": rng.normal(7.0, 0.5), "numerator": 9.0}
        rows += [run | everybody | life, run | everybody | deaths]
    return pd.DataFrame(rows)


def of(frame: pd.DataFrame, arm: str, measure: str, group: str = "all") -> pd.DataFrame:
    wanted = (frame["arm"] == arm) & (frame["measure"] == measure) & (frame["group"] == group)
    return frame[wanted].pivot(index="world", columns="tie_seed", values="value")


# --- forest -------------------------------------------------------------------------------------


def draw_forest(frame: pd.DataFrame, **options) -> Plot:
    return forest(inference.levels(frame), frame, "human", "Here.", **options)


def row_of(plot: Plot, group: str, arm: str) -> int:
    names = [tick.get_text() for tick in plot.figure.axes[0].get_yticklabels()]
    return names.index(arm, names.index(group))


def numbers(plot: Plot, at: int) -> list[str]:
    return [t.get_text() for t in plot.figure.axes[0].texts if t.get_position()[1] == at]


def test_squares_are_mean_log_ratios_and_whiskers_their_t_intervals() -> None:
    frame = measures_frame()
    plot = draw_forest(frame)
    axes, at = plot.figure.axes[0], row_of(plot, "Black", "lottery")
    logs = np.log(of(frame, "lottery", "transplant_rate_ratio", "Black")).mean(axis=1)
    half = student.ppf(0.975, 4) * logs.std() / np.sqrt(5)
    marks = [line for line in axes.get_lines() if list(line.get_ydata())[:1] == [at]]
    square = next(line for line in marks if line.get_marker() == "s")
    assert square.get_xdata()[0] == pytest.approx(np.exp(logs.mean()))
    whisker = next(line for line in marks if line.get_label() == "interval")
    assert whisker.get_xdata() == pytest.approx(np.exp([logs.mean() - half, logs.mean() + half]))
    human = row_of(plot, "Black", "human")
    colours = {
        line.get_color() for line in axes.get_lines() if list(line.get_ydata())[:1] == [human]
    }
    assert colours == {"#000000"}
    assert axes.get_xscale() == "log" and "5 worlds, 2 tie seeds each" in words(plot)
    band = next(patch for patch in axes.patches if patch.get_width() == pytest.approx(0.45))
    assert band.get_x() == pytest.approx(0.8)
    assert any(list(line.get_xdata()) == [1.0, 1.0] for line in axes.get_lines())


def test_columns_are_events_and_person_years_of_all_worlds() -> None:
    frame = measures_frame()
    plot = draw_forest(frame)
    rows = frame[(frame["arm"] == "lottery") & (frame["measure"] == "transplant_rate")]
    events = rows.groupby("group")["numerator"].sum() / 2  # two tie seeds
    ratio, counts, rate, base = numbers(plot, row_of(plot, "Black", "lottery"))
    assert counts == f"{events['Black']:,.0f} / 500"
    assert rate == f"{100 * events['Black'] / 500:.1f}"
    assert base == f"{100 * events['White'] / 1000:.1f}"
    logs = np.log(of(frame, "lottery", "transplant_rate_ratio", "Black")).mean(axis=1)
    assert ratio.startswith(f"{np.exp(logs.mean()):.2f} (")
    assert numbers(plot, -0.9) == ["ratio (95 % CI)", "transplants / PY", "/ 100 PY", "White"]
    assert "White" not in set(plot.data["group"])
    assert f"lottery {np.exp(logs.mean()):.2f}" in plot.text["alt"]


def test_an_undefined_ratio_keeps_its_counts() -> None:
    frame = measures_frame(none=True)
    plot = draw_forest(frame)
    at = row_of(plot, "Other", "lottery")
    assert numbers(plot, at)[0] == "undefined" and numbers(plot, at)[1].endswith("/ 250")
    assert not [line for line in plot.figure.axes[0].get_lines() if at in list(line.get_ydata())]
    assert "Undefined" in words(plot) and "(1 undefined)" in plot.text["alt"]
    assert "Undefined" not in words(draw_forest(measures_frame()))


def test_one_world_has_squares_only() -> None:
    plot = draw_forest(measures_frame(worlds=1))
    whiskers = [x for x in plot.figure.axes[0].get_lines() if x.get_label() == "interval"]
    assert whiskers and all(np.isnan(line.get_xdata()).all() for line in whiskers)
    assert "one world, so no intervals" in words(plot)
    assert "(" not in numbers(plot, row_of(plot, "Black", "lottery"))[0]


def test_what_is_beyond_the_axis_is_an_arrow() -> None:
    levels = inference.levels(measures_frame())
    mine = (levels["arm"] == "lottery") & (levels["group"] == "Black")
    mine &= levels["measure"] == "transplant_rate_ratio"
    levels.loc[mine, ["value", "low", "high"]] = [1.0, 0.001, 90.0]
    plot = forest(levels, measures_frame(), "human", "")
    marks = [x for x in plot.figure.axes[0].get_lines() if x.get_marker() in ("<", ">")]
    assert {(x.get_marker(), x.get_xdata()[0]) for x in marks} == {("<", 0.04), (">", 25.0)}
    assert "Arrows: beyond the axis" in words(plot)
    levels.loc[mine, ["value", "low", "high"]] = [0.002, np.nan, np.nan]
    plot = forest(levels, measures_frame(), "human", "")
    at = row_of(plot, "Black", "lottery")
    marks = [x for x in plot.figure.axes[0].get_lines() if list(x.get_ydata()) == [at]]
    assert [x.get_marker() for x in marks] == ["<"]  # no square where it is not
    assert numbers(plot, at)[0] == "0.00"
    assert "Arrows" not in words(draw_forest(measures_frame()))


def test_a_grouping_without_ratios_is_refused() -> None:
    with pytest.raises(InputError, match="'sex'"):
        draw_forest(measures_frame(), grouping="sex")


# --- frontier -----------------------------------------------------------------------------------


def lines(plot: Plot) -> dict[str, np.ndarray]:
    return {line.get_label(): line.get_xydata() for line in plot.figure.axes[0].get_lines()}


def test_points_are_mean_life_years_and_the_lowest_rate() -> None:
    frame = measures_frame()
    plot = frontier(frame, "human", "Here.")
    life = 100 * of(frame, "lottery", "life_years").to_numpy().mean()
    rates = {g: of(frame, "lottery", "transplant_rate", g).to_numpy().mean() for g in YEARS}
    lowest = min(rates, key=rates.get)
    assert lines(plot)["lottery"][0] == pytest.approx([life, rates[lowest]])
    row = plot.data.set_index("arm").loc["lottery"]
    assert row["group"] == lowest
    labels = [text.get_text() for text in plot.figure.legends[0].get_texts()]
    assert f"lottery: {lowest}" in labels and f"lottery {life:.1f}" in plot.text["alt"]


def test_the_ellipse_is_the_region_of_the_paired_difference() -> None:
    frame = measures_frame()
    plot = frontier(frame, "human", "")
    groups = plot.data.set_index("arm")["group"]
    pairs = {
        arm: np.stack(
            [
                100 * of(frame, arm, "life_years").mean(axis=1),
                of(frame, arm, "transplant_rate", groups[arm]).mean(axis=1),
            ]
        )
        for arm in ("human", "lottery")
    }
    spread = np.linalg.inv(np.cov(pairs["lottery"] - pairs["human"]) / 5)
    outline = lines(plot)["ellipse lottery"] - pairs["lottery"].mean(axis=1)
    reach = np.einsum("ij,jk,ik->i", outline, spread, outline)
    assert reach == pytest.approx(np.full(len(outline), 2 * 4 / 3 * fisher.ppf(0.95, 2, 3)))
    assert len(lines(plot)["ellipse human"]) == 0
    axes = plot.figure.axes[0]
    for x, y in (point for name in ARMS for point in lines(plot)[f"ellipse {name}"]):
        assert axes.get_xlim()[0] < x < axes.get_xlim()[1]
        assert axes.get_ylim()[0] < y < axes.get_ylim()[1]


def made(points: dict[str, tuple[float, float]]) -> pd.DataFrame:
    """One world in which every group of an arm has the same rate."""
    rows = []
    for arm, (life, rate) in points.items():
        run = {"arm": arm, "world": 0, "tie_seed": 0, "numerator": rate, "denominator": 100.0}
        everybody = {"measure": "life_years", "grouping": "all", "group": "all", "value": life}
        rows.append(run | everybody)
        for group in YEARS:
            of_race = {"measure": "transplant_rate", "grouping": "race", "group": group}
            rows.append(run | of_race | {"value": rate or np.nan})
    return pd.DataFrame(rows)


def test_the_line_joins_those_whom_none_betters() -> None:
    points = {"human": (2.0, 9.0), "lottery": (1.0, 10.0), "a": (2.0, 8.0), "b": (0.5, 10.0)}
    plot = frontier(made(points | {"life-years": (4.0, 0.0)}), "human", "")
    pareto = plot.data.set_index("arm")["pareto"]
    assert pareto[pareto].index.tolist() == ["human", "lottery", "life-years"]
    step = next(x for x in plot.figure.axes[0].get_lines() if x.get_linestyle() == ":")
    assert step.get_xydata().tolist() == [[100, 10], [200, 9], [400, 0]]
    assert step.get_drawstyle() == "steps-pre"  # falls at once beyond a point
    assert "No ellipses: fewer than 4 worlds" in words(plot)
    marks = {x.get_label(): x.get_marker() for x in plot.figure.axes[0].get_lines()}
    assert marks["lottery"] == marks["life-years"] == "D" and marks["human"] == "o"
    axes = plot.figure.axes[0]
    price = axes.child_axes[0]
    plot.figure.draw_without_rendering()
    for life, lost in ((400, 0.0), (200, 50.0), (100, 75.0)):  # per cent of 400
        place = price.transData.transform((lost, 0))[0]
        assert place == pytest.approx(axes.transData.transform((life, 0))[0])
    alone = frontier(made({"human": (2.0, 9.0)}), "human", "")
    assert not alone.figure.axes[0].child_axes


def test_a_group_nobody_is_in_is_left_out() -> None:
    frame = made({"human": (2.0, 9.0), "lottery": (1.0, 10.0)})
    empty = frame["group"] == "Other"
    frame.loc[empty, ["value", "numerator", "denominator"]] = [np.nan, 0.0, 0.0]
    frame.loc[frame["group"] == "Black", "value"] = 8.0
    assert set(frontier(frame, "human", "").data["group"]) == {"Black"}
    frame.loc[frame["grouping"] == "race", ["value", "denominator"]] = [np.nan, 0.0]
    nobody = frontier(frame, "human", "")
    assert "undefined under every policy" in nobody.text["alt"]
    nobody.figure.draw_without_rendering()
    with pytest.raises(InputError, match="life_years"):
        frontier(frame[frame["measure"] != "life_years"], "human", "")


def test_policies_that_do_the_same_have_no_extent() -> None:
    frame = measures_frame(["human"])
    same = pd.concat([frame, frame.assign(arm="copy")])
    plot = frontier(same, "human", "")
    outline = lines(plot)["ellipse copy"]
    assert outline == pytest.approx(np.tile(lines(plot)["human"], (len(outline), 1)))


# --- heat map -----------------------------------------------------------------------------------


def draw_heat(frame: pd.DataFrame, **options) -> Plot:
    return heat_map(inference.differences(frame, "human"), "human", "Here.", **options)


def cell(plot: Plot, arm: str, label: str):
    axes = plot.figure.axes[0]
    x = [tick.get_text() for tick in axes.get_xticklabels()].index(arm)
    y = [tick.get_text() for tick in axes.get_yticklabels()].index(label)
    patch = next(
        p for p in axes.patches if (p.get_x() + 0.5, p.get_y() + 0.5) == pytest.approx((x, y))
    )
    return patch, next(text for text in axes.texts if text.get_position() == (x, y))


def paired_z(frame: pd.DataFrame, arm: str, measure: str, group: str = "all") -> float:
    values = [of(frame, name, measure, group) for name in (arm, "human")]
    logs = [np.log(v) for v in values] if measure.endswith("_ratio") else values
    difference = (logs[0] - logs[1]).mean(axis=1)
    t = difference.mean() / (difference.std() / np.sqrt(len(difference)))
    return float(np.sign(t) * norm.isf(student.sf(abs(t), len(difference) - 1)))


def test_cells_are_z_of_the_paired_t_test() -> None:
    frame = measures_frame()
    plot = draw_heat(frame)
    for label, measure, group in (
        ("life-years by the end, per candidate \N{UPWARDS ARROW}", "life_years", "all"),
        (DEATHS, "mortality_rate", "all"),
        ("transplant rates, Black : White", "transplant_rate_ratio", "Black"),
    ):
        z = paired_z(frame, "lottery", measure, group)
        patch, text = cell(plot, "lottery", label)
        assert float(text.get_text()) == pytest.approx(z, abs=0.051)
        sign = {"life_years": 1, "mortality_rate": -1}.get(measure)
        colour = DIVERGING(0.5 + sign * z / 8) if sign else NEUTRAL(0.5 + z / 8)
        assert np.allclose(patch.get_facecolor()[:3], to_rgb(colour), atol=0.02), measure
    assert "human" not in [t.get_text() for t in plot.figure.axes[0].get_xticklabels()]


def differences(**columns) -> pd.DataFrame:
    row = {"arm": "lottery", "measure": "mortality_rate", "grouping": "all", "group": "all"}
    row |= {"value": -1.0, "low": -2.0, "high": -0.1, "worlds": 5, "p": 0.04}
    return pd.DataFrame([row | {"family": "declared", "p_holm": 0.04} | columns])


def test_fewer_deaths_are_better_and_blue() -> None:
    patch, text = cell(heat_map(differences(), "human", ""), "lottery", DEATHS)
    red, _, blue, _ = patch.get_facecolor()
    assert text.get_text() == "-2.1" and blue > red
    assert text.get_weight() == "bold"
    _, text = cell(heat_map(differences(p_holm=0.06), "human", ""), "lottery", DEATHS)
    assert text.get_weight() == "normal"


@pytest.mark.parametrize(
    ("columns", "shown", "said"),
    [
        ({"value": 0.0, "p": 1.0, "p_holm": 1.0}, "=", "=: the same in every world"),
        ({"value": np.nan, "p": np.nan, "p_holm": np.nan}, "-", "-: undefined"),
        ({"value": 2.0, "low": np.nan, "p": 0.5, "p_holm": 1.0}, "+0.7", "the sign test"),
        ({"value": -0.001, "p": 0.99, "p_holm": 1.0}, "+0.0", ""),
    ],
)
def test_what_has_no_z_says_why(columns: dict, shown: str, said: str) -> None:
    plot = heat_map(differences(**columns), "human", "")
    assert plot.figure.axes[0].texts[0].get_text() == shown and said in words(plot)
    plot.figure.draw_without_rendering()


def test_one_world_has_no_z() -> None:
    plot = draw_heat(measures_frame(worlds=1))
    assert {text.get_text() for text in plot.figure.axes[0].texts} == {"-"}
    assert "could be tested" in plot.text["alt"] and "No test is adjusted" in words(plot)


def test_rows_are_the_declared_or_those_asked_for() -> None:
    frame = measures_frame()
    assert "transplant_rate" not in set(draw_heat(frame).data["measure"])
    asked = draw_heat(frame, measures=["transplant_rate"]).data
    assert set(asked["measure"]) == {"transplant_rate"} and set(asked["group"]) == set(YEARS)
    with pytest.raises(InputError, match="no difference"):
        draw_heat(frame, measures=["nothing"])
    clear = draw_heat(frame).text["alt"]
    tested = inference.differences(frame, "human")
    n = (tested["p_holm"] < 0.05).sum()
    assert clear.startswith(f"{n} of ")


def test_rows_are_named_as_in_the_tables() -> None:
    assert row_label("ex_ante.determinism") == "determinism D"
    assert row_label("mortality_rate", "sex", "female") == "deaths per 100 person-years, female"
    assert row_label("transplant_rate_ratio", "age_band", "35-49") == (
        "transplant rates, 35-49 : 18-34"
    )
    assert row_label("shrunken_mortality_rate_ratio", "race", "Black") == (
        "shrunken mortality rates, Black : White"
    )
    assert row_label("four_fifths.impact_ratio", "race", "Black") == (
        "four fifths, impact ratio, Black"
    )


@pytest.mark.parametrize(("arms", "rotation"), [(ARMS, 0), (LONG, 0), (MANY_LONG, 90)])
def test_long_names_leave_rows_their_height(arms: list[str], rotation: int) -> None:
    plot = draw_heat(measures_frame(arms, 2))
    axes = plot.figure.axes[0]
    names = [tick for tick in axes.get_xticklabels() if tick.get_text()]
    assert {tick.get_rotation() for tick in names} == {rotation}
    assert [tick.get_text().replace("\n", "").replace(" ", "") for tick in names] == [
        arm.replace(" ", "") for arm in arms[1:]
    ]
    assert 0.17 < inches(plot, 0) / len(axes.get_yticklabels()) < 0.24


# --- all of them --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arms", "worlds"), [(ARMS[:2], 1), (ARMS, 3), (TWELVE, 3), (LONG, 3), (MANY_LONG, 2)]
)
def test_they_are_legible(arms: list[str], worlds: int, tmp_path: Path) -> None:
    frame = measures_frame(arms, worlds, none=True)
    plots = {
        "forest": draw_forest(frame),
        "frontier": frontier(frame, "human", "A caption. " * 9),
        "heat_map": draw_heat(frame),
    }
    for name, plot in plots.items():
        if len(arms) == len(ARMS):
            check_saved(plot, tmp_path / name)
        check_page(plot, name)
        check_labels(plot)
        check_ticks(plot)
    assert inches(plots["frontier"], 0) > 2
    assert plots["forest"].figure.axes[0].get_window_extent().width > 130  # at 100 to the inch
    black = [x for x in plots["frontier"].figure.axes[0].get_lines() if x.get_label() == "human"]
    assert to_hex(black[0].get_color()) == "#000000"
