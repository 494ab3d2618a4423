"""Figures: what is drawn is what was put in, and it can be saved."""

import json
import re
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from figure_checks import LONG, MANY_LONG, check_page, check_saved, runs, words
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from scipy.stats import t as student

from experiments.figures import (
    Plot,
    cumulative_incidence,
    fairness_over_time,
    paired_difference_over_time,
    save_figure,
    save_figures,
    weights,
)
from experiments.figures.style import (
    FIXED,
    STYLE,
    legend,
    legend_lines,
    line_styles,
    row_places,
    told,
    wrapped,
)
from populations.errors import InputError
from sim.record import FATES

ARMS = ["human", "lottery", "first-come", "forced(human, attribute:race)"]
EIGHT = [*ARMS, "points", "life-years", "freedman", "human-assembly"]
TIMES = np.arange(1.0, 3.01, 0.25)
rng = np.random.default_rng(3)


def rate_frame(arms: list[str] = ARMS, worlds: int = 5) -> pd.DataFrame:
    rows = []
    for run in runs(arms, worlds):
        for group in ("Black", "Hispanic"):
            for time in TIMES:
                top, bottom = rng.uniform(10, 40, 2)
                key = run | {"grouping": "race", "group": group, "time": time}
                ratio = {"value": top / bottom, "numerator": top, "denominator": bottom}
                rows.append(key | ratio | {"measure": "transplant_rate_ratio"})
                rate = {"value": top, "numerator": top / 2, "denominator": 50.0}
                rows.append(key | rate | {"measure": "mortality_rate"})
    return pd.DataFrame(rows)


def stack_frame(arms: list[str] = ARMS, worlds: int = 3) -> pd.DataFrame:
    rows = []
    for run in runs(arms, worlds):
        for grouping, group in (("all", "all"), ("race", "Black"), ("race", "White")):
            for years in (0.0, 0.5, 1.0, 1.5, 2.0):
                shares = rng.dirichlet(np.ones(len(FATES)))
                shares = shares if years < 2 else np.full(len(FATES), np.nan)
                for cause, value in zip(FATES, shares, strict=True):
                    key = {"grouping": grouping, "group": group, "cause": cause, "years": years}
                    rows.append(run | key | {"value": value, "at_risk": 1000 - 400 * years})
    return pd.DataFrame(rows)


def weight_frame() -> pd.DataFrame:
    columns = ["policy", "term", "value", "low", "high", "unit"]
    return pd.DataFrame(
        [
            ("llm:local", "age", -0.3, -0.5, -0.1, "25 to 70 years"),
            ("llm:local", "lambda", -np.inf, np.nan, np.nan, ""),
            ("llm:local", "one dependent", 5.0, np.nan, np.nan, "years of age"),
            ("human", "age", -1.675, -1.96, -1.38, "25 to 70 years"),
            ("human", "lambda", -0.504, np.nan, np.nan, ""),
            ("human", "one dependent", 16.4, 13.0, 20.0, "years of age"),
        ],
        columns=columns,
    )


def line(plot: Plot, panel: int, arm: str):
    lines = [line for line in plot.figure.axes[panel].get_lines() if line.get_label() == arm]
    assert len(lines) == 1
    return lines[0]


def drawn(frame: pd.DataFrame, arm: str, group: str = "Black") -> pd.DataFrame:
    measure = frame["measure"] == "transplant_rate_ratio"
    return frame[measure & (frame["arm"] == arm) & (frame["group"] == group)]


# --- over time ----------------------------------------------------------------------------------


def test_fairness_draws_the_ratio_of_mean_rates_and_the_worlds_spread() -> None:
    frame = rate_frame()
    plot = fairness_over_time(frame, "human", "Here.")
    assert len(plot.figure.axes) == 2
    mine = drawn(frame, "lottery")
    rates = mine.groupby(["time", "world"])[["numerator", "denominator"]].mean()
    mean = rates.groupby("time").mean()
    assert np.allclose(
        line(plot, 0, "lottery").get_ydata(), mean["numerator"] / mean["denominator"]
    )
    assert np.allclose(line(plot, 0, "lottery").get_xdata(), TIMES)
    low = (rates["numerator"] / rates["denominator"]).groupby("time").quantile(0.025)
    row = plot.data[(plot.data["arm"] == "lottery") & (plot.data["group"] == "Black")]
    assert np.allclose(row["low"], low) and (row["worlds"] == 5).all()
    assert len(plot.figure.axes[0].collections) == len(ARMS)
    assert "Here. 5 worlds, 2 tie seeds each, 3 years" in words(plot)
    assert plot.figure.axes[0].get_yscale() == "log"


def test_a_group_never_transplanted_is_marked_at_the_edge() -> None:
    frame = rate_frame()
    frame.loc[drawn(frame, "lottery").index, "numerator"] = 0.0
    plot = fairness_over_time(frame, "human", "")
    marks = [mark for mark in plot.figure.axes[0].get_lines() if mark.get_marker() == "v"]
    assert len(marks) == 1 and len(marks[0].get_xdata()) == len(TIMES)
    assert "Triangles" in words(plot) and "Triangles" not in words(
        fairness_over_time(rate_frame(), "human", "")
    )


def test_one_world_has_no_ribbon_and_says_so() -> None:
    frame = rate_frame(worlds=1)
    for plot in (fairness_over_time(frame, "human", ""), paired(frame)):
        assert plot.data[["low", "high"]].isna().all(axis=None)
        assert "ntervals exclude" not in plot.text["alt"]
        assert "one world, so no" in words(plot) and "1 world, 2 tie seeds" in words(plot)


def paired(frame: pd.DataFrame, **options) -> Plot:
    return paired_difference_over_time(frame, "human", "", **options)


def test_paired_difference_is_of_logs_within_worlds() -> None:
    frame = rate_frame()
    plot = paired(frame)
    logs = [
        np.log(drawn(frame, arm).set_index(["world", "tie_seed", "time"])["value"])
        .groupby(["world", "time"])
        .mean()
        for arm in ("lottery", "human")
    ]
    differences = (logs[0] - logs[1]).unstack("time")
    assert np.allclose(line(plot, 0, "lottery").get_ydata(), np.exp(differences.mean()))
    half = student.ppf(0.975, 4) * differences.std(ddof=1) / np.sqrt(5)
    row = plot.data[(plot.data["arm"] == "lottery") & (plot.data["group"] == "Black")]
    assert np.allclose(row["high"], np.exp(differences.mean() + half))
    assert set(plot.data["arm"]) == set(ARMS) - {"human"}


def test_paired_difference_of_a_rate_is_plain() -> None:
    frame = rate_frame()
    plot = paired(frame, measure="mortality_rate")
    mine = frame[(frame["measure"] == "mortality_rate") & (frame["group"] == "Black")]
    mean = mine.groupby(["arm", "time"])["value"].mean()
    expected = mean["lottery"] - mean["human"]
    assert np.allclose(line(plot, 0, "lottery").get_ydata(), expected)
    assert plot.figure.axes[0].get_yscale() == "linear"
    with pytest.raises(InputError, match="nothing"):
        paired(frame, measure="nothing")


def test_a_world_without_a_value_leaves_a_gap() -> None:
    frame = rate_frame()
    index = drawn(frame, "lottery").index[0]
    frame.loc[index, "value"] = 0.0
    plot = paired(frame)
    values = line(plot, 0, "lottery").get_ydata()
    assert np.isnan(values[0]) and np.isfinite(values[1:]).all()
    assert "Gaps" in words(plot) and "Gaps" not in words(paired(rate_frame()))


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(InputError, match="another arm"):
        paired(rate_frame(["human"]))
    with pytest.raises(InputError, match="'human' is not in the data"):
        paired(rate_frame(["lottery", "points"]))
    with pytest.raises(InputError, match="'first-come'"):
        fairness_over_time(rate_frame(), "human", "", arms=["human", "lottery"])
    with pytest.raises(InputError, match="no rows"):
        fairness_over_time(rate_frame().iloc[:0], "human", "")


# --- colours ------------------------------------------------------------------------------------


def test_a_policy_keeps_its_colour() -> None:
    styles = line_styles(EIGHT)
    colours = [style["color"] for style in styles.values()]
    assert len(set(colours)) == len(EIGHT)
    assert styles["human"]["color"] == FIXED["human"]
    frame = rate_frame(["human", "points"])
    plot = fairness_over_time(frame, "human", "", arms=EIGHT)
    assert to_hex(line(plot, 0, "points").get_color()) == styles["points"]["color"].lower()
    assert line_styles(["points"])["points"] != styles["points"]  # why the order can be given


# --- fates --------------------------------------------------------------------------------------


def test_stacks_are_the_means_over_worlds() -> None:
    frame = stack_frame()
    plot = cumulative_incidence(frame, "lottery", "")
    axes = plot.figure.axes
    assert len(axes) == 3 * len(ARMS)
    assert axes[0].get_title(loc="left") == "lottery"
    mine = frame[(frame["arm"] == "lottery") & (frame["group"] == "all")]
    mean = mine.groupby(["cause", "years"])["value"].mean()
    lowest = axes[0].collections[0].get_paths()[0].vertices
    for years in (0.0, 0.5, 1.0, 1.5):
        assert lowest[lowest[:, 0] == years, 1].max() == pytest.approx(mean["transplanted", years])
    highest = axes[0].collections[-1].get_paths()[0].vertices
    assert highest[:, 1].max() == pytest.approx(1) and highest[:, 0].max() == 1.5
    totals = plot.data.groupby(["arm", "grouping", "group", "years"])["value"].sum(min_count=6)
    assert np.allclose(totals.dropna(), 1)
    assert [text.get_text() for text in axes[0].texts] == ["1,000", "600"]
    with pytest.raises(InputError, match="sex"):
        cumulative_incidence(frame, "human", "", grouping="sex")


def test_many_policies_stand_one_above_the_other() -> None:
    plot = cumulative_incidence(stack_frame(EIGHT, 1), "human", "")
    titles = [axes.get_title(loc="left") for axes in plot.figure.axes]
    assert titles[::3] == EIGHT and not any(titles[1::3])
    assert [axes.get_xlabel() for axes in plot.figure.axes[-3:]] == [
        "All candidates",
        "Black",
        "White",
    ]


def test_nobody_followed_is_said_and_drawn_as_nothing() -> None:
    frame = stack_frame(["human"], 1).assign(value=np.nan, at_risk=0.0)
    plot = cumulative_incidence(frame, "human", "")
    assert "nobody was followed" in plot.text["alt"]
    plot.figure.draw_without_rendering()


# --- weights ------------------------------------------------------------------------------------


def test_weights_are_drawn_where_they_are() -> None:
    plot = weights(weight_frame(), "human", "")
    assert len(plot.figure.axes) == 2
    first, second = plot.figure.axes
    dots = {
        (mark.get_label(), mark.get_xdata()[0])
        for mark in first.get_lines()
        if mark.get_marker() == "o"
    }
    assert dots == {("llm:local", -0.3), ("human", -1.675), ("human", -0.504)}
    assert [mark.get_label() for mark in first.get_lines() if mark.get_marker() == "<"] == [
        "llm:local"
    ]
    assert {mark.get_xdata()[0] for mark in second.get_lines() if mark.get_marker() == "o"} == {
        5,
        16.4,
    }
    assert "never flips a coin" in words(plot)
    pd.testing.assert_frame_equal(plot.data, weight_frame())
    alone = weights(weight_frame().query("unit != 'years of age'"), "human", "")
    assert len(alone.figure.axes) == 1


# --- saving -------------------------------------------------------------------------------------


def all_plots(arms: list[str], worlds: int) -> dict[str, Plot]:
    rates = rate_frame(arms, worlds)
    plots = {
        "fairness": fairness_over_time(rates, "human", "A caption. " * 9),
        "incidence": cumulative_incidence(stack_frame(arms, worlds), "human", ""),
        "weights": weights(weight_frame(), "human", ""),
    }
    if len(arms) > 1:
        plots["paired"] = paired(rates)
    return plots


@pytest.mark.parametrize(("arms", "worlds"), [(["human"], 2), (ARMS, 1)])
def test_figures_are_saved_whole(arms: list[str], worlds: int, tmp_path: Path) -> None:
    for name, plot in all_plots(arms, worlds).items():
        check_saved(plot, tmp_path / name / "new")


def test_captions_are_saved_beside_the_figures(tmp_path: Path) -> None:
    plot = weights(weight_frame(), "human", "Here.")
    save_figures({"one": plot}, tmp_path / "new")
    assert json.loads((tmp_path / "new/captions.json").read_text()) == {"one": plot.text}
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "captions.json", "one.csv", "one.png", "one.svg",
    ]  # fmt: skip
    assert (
        plot.text["caption"].startswith("Here.")
        and "age: human -1.68, llm:local -0.3" in plot.text["alt"]
    )


def test_alternative_texts_give_the_findings() -> None:
    frame = rate_frame(["human", "lottery"], 2)
    at = (frame["measure"] == "transplant_rate_ratio") & (frame["time"] == 3)
    worst = at & (frame["arm"] == "lottery") & (frame["group"] == "Black")
    frame.loc[at, ["numerator", "denominator", "value"]] = [10.0, 10.0, 1.0]
    frame.loc[worst, ["numerator", "value"]] = [1.0, 0.1]
    alt = fairness_over_time(frame, "human", "").text["alt"]
    assert "of all policies: Race: Black vs White, 0.10 under lottery" in alt
    alt = paired(frame).text["alt"]
    assert (
        "95 % intervals exclude no difference" in alt
        and "Race: Black vs White under lottery, factor 0.10" in alt
    )
    stacks = stack_frame(["human", "lottery"], 1)
    mean = stacks[(stacks["years"] == 1.5) & (stacks["grouping"] == "all")]
    mean = mean.groupby(["arm", "cause"])["value"].mean()
    expected = f"died waiting: human {mean['human', 'died']:.1%}, lottery"
    assert expected in cumulative_incidence(stacks, "human", "").text["alt"]


def test_told_names_all_of_a_few_and_the_extremes_of_many() -> None:
    assert told({"a": 1.0, "b": np.nan}, "a") == "a 1.00 (1 undefined)"
    assert told({"a": np.nan}, "a") == "undefined under every policy"
    many = dict(zip("abcdef", (3.0, 2.0, 9.0, np.nan, 4.0, 5.0), strict=True))
    assert told(many, "a", ".0f") == "a 3, 5 policies from 2 (b) to 9 (c) (1 undefined)"
    assert told(many, "d", ".0f").startswith("5 policies")


def test_svg_is_the_same_twice(tmp_path: Path) -> None:
    frame = rate_frame(["human", "lottery"], 2)
    for folder in ("a", "b"):
        save_figure(fairness_over_time(frame, "human", ""), tmp_path / folder, "f")
    assert (tmp_path / "a/f.svg").read_bytes() == (tmp_path / "b/f.svg").read_bytes()
    assert b"<dc:date>" not in (tmp_path / "a/f.svg").read_bytes()


def test_the_last_bits_of_a_layout_do_not_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The solver of layouts gives other last bits in another process."""
    lay_out = ConstrainedLayoutEngine.execute
    up = True

    def nudged(engine: ConstrainedLayoutEngine, figure: Figure):
        grids = lay_out(engine, figure)
        for axes in figure.axes:
            place = np.array(axes.get_position(original=True).bounds)
            axes._set_position(np.nextafter(place, 1.0 if up else 0.0))
        return grids

    monkeypatch.setattr(ConstrainedLayoutEngine, "execute", nudged)
    frame, files = rate_frame(["human", "lottery"], 2), []
    for up in (True, False):
        save_figure(fairness_over_time(frame, "human", ""), tmp_path / str(up), "f")
        files.append((tmp_path / str(up) / "f.svg").read_bytes())
    assert files[0] == files[1]
    ids = re.findall(rb' id="([^"]+)"', files[0])
    used = set(re.findall(rb"url\(#([^)]+)\)", files[0]))
    assert len(set(ids)) == len(ids) and len(used) == 2 and used <= set(ids)


def test_names_are_wrapped_where_they_can_be_read() -> None:
    name = "forced(band(human-half-a, 0.12345), last_listed)"
    assert wrapped(name, 60) == name
    assert wrapped(name, 25) == "forced(band(human-half-a,\n0.12345), last_listed)"
    assert wrapped(name, 24) == "forced(band(human-half-\na, 0.12345),\nlast_listed)"
    assert wrapped("llm:local, lottery", 8) == "llm:\nlocal,\nlottery"
    for width in range(1, 50):
        lines = wrapped(name, width).split("\n")
        assert "".join(lines).replace(" ", "") == name.replace(" ", "")
        # No line could have held the beginning of the next.
        assert all(len(line) <= max(width, 12) for line in lines)
    assert row_places(["a", "b\nb", "c"]) == ([0.0, 1.5, 3.0], 4)


@pytest.mark.parametrize("labels", [LONG, MANY_LONG, ["one", "two"]])
@pytest.mark.parametrize("width", [4.4, 7.2])
def test_a_legend_is_as_high_as_said_and_on_the_page(labels: list[str], width: float) -> None:
    labels = [f"{label}: Gini 0.71 (0.64 to 0.78)" for label in labels]
    figure = Figure(figsize=(width, 6), layout="constrained")
    with matplotlib.rc_context(STYLE):
        legend(figure, [Line2D([], []) for _ in labels], labels)
        figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert box.x1 <= figure.bbox.x1 and box.x0 >= 0
    lines = legend_lines(labels, width)
    assert 0.10 * lines < box.height / figure.dpi < 0.17 * lines + 0.1


@pytest.mark.parametrize("arms", [ARMS, EIGHT])
def test_no_text_leaves_the_page(arms: list[str]) -> None:
    for name, plot in all_plots(arms, 2).items():
        check_page(plot, name)
