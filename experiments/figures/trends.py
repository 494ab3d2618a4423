"""Fairness over time, and its difference from a reference policy in the same worlds."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.figures.style import (
    GREY,
    GROUPING_NAMES,
    RATIO_LIMITS,
    SMALL,
    STYLE,
    THICK,
    Plot,
    against,
    arms_of,
    design,
    line_legend,
    line_styles,
    mean_interval,
    new_figure,
    over_tie_seeds,
    ratio_ticks,
    sentences,
)
from measures.rates import reference_group
from measures.registry import MEASURES
from measures.table import Floats
from populations.errors import InputError

Key = tuple[str, str]  # grouping, group
RATIO = "transplant_rate_ratio"
FOUR_FIFTHS = 0.8
_COLUMNS = 4
_PANEL = 1.5  # inches high
_FEW = 40  # worlds: with fewer, 2.5 % is less than one of them
_PANEL_KEYS = ["grouping", "group"]
_KEYS = [*_PANEL_KEYS, "time"]


@matplotlib.rc_context(STYLE)
def fairness_over_time(
    frame: pd.DataFrame, reference: str, caption: str, arms: Sequence[str] | None = None
) -> Plot:
    """Transplant rate ratio of each group against its reference group, over the years.

    Parameters
    ----------
    frame : DataFrame
        `experiments.series.over_time` of every run, with ``arm``, ``world``, ``tie_seed``.
    reference : str
        Arm drawn as the reference policy.
    caption : str
        First sentences of the footer.
    arms : sequence of str, optional
        All arms of the study in order, which fixes their colours; default: as in the frame.

    Returns
    -------
    Plot
        Lines: ratio of the mean rates over worlds, which a world without a transplant in the group
        neither breaks nor biases. Ribbons: 2.5 to 97.5 % of worlds' ratios. The data have columns
        ``arm``, ``grouping``, ``group``, ``time``, ``value``, ``low``, ``high``, ``worlds``.
    """
    order = arms_of(frame, arms, None)
    ratios = frame[frame["measure"] == RATIO]
    data = _ratio_over_worlds(over_tie_seeds(ratios, _KEYS, ["numerator", "denominator"]))
    worlds = frame["world"].nunique()
    spread = "ribbon: 2.5-97.5 % of worlds"
    if worlds < _FEW:
        spread += ", with so few nearly their full range"
    if worlds == 1:
        spread = "one world, so no ribbon"
    text = sentences(
        caption,
        f"{design(frame)}, {frame['time'].max():g} years; windows of 12 months, plotted at their "
        f"end; log axes; line: ratio of the mean rates over worlds; {spread}",
        "Dashed: parity; dotted: 0.8",
        _beyond(data, "beyond the axis, or no transplant at all"),
    )
    figure, panels = _facets(data, text, "transplant rate ratio")
    for (grouping, group), axes in panels.items():
        axes.axhline(1.0, color=GREY, lw=0.8, ls="--", zorder=1)
        axes.axhline(FOUR_FIFTHS, color=GREY, lw=0.8, ls=":", zorder=1)
        bottom, top = _log_axis(axes, data[data["grouping"] == grouping], FOUR_FIFTHS)
        panel = data[(data["grouping"] == grouping) & (data["group"] == group)]
        _lines(axes, panel, order, reference, bottom, top)
    line_legend(figure, _drawn(order, data), order, reference)
    title = "Transplant rate ratios over time"
    return Plot(
        figure, data, {"title": title, "caption": text, "alt": _levels_alt(data, reference)}
    )


@matplotlib.rc_context(STYLE)
def paired_difference_over_time(
    frame: pd.DataFrame,
    reference: str,
    caption: str,
    arms: Sequence[str] | None = None,
    measure: str = RATIO,
) -> Plot:
    """Each arm minus the reference arm in the same world, over the years.

    Parameters
    ----------
    frame, caption, arms
        As in `fairness_over_time`.
    reference : str
        Arm that is subtracted.
    measure : str
        ``transplant_rate_ratio`` (difference of logarithms, drawn as a ratio of ratios),
        ``transplant_rate`` or ``mortality_rate`` (difference per 100 person-years).

    Returns
    -------
    Plot
        Lines: mean over worlds of the difference; ribbons: its 95 % t interval. A gap where a
        world has no value in either arm. Columns of the data as in `fairness_over_time`.

    Raises
    ------
    InputError
        If the reference arm, another arm or the measure is not in the frame.
    """
    order = arms_of(frame, arms, reference)
    others = against(frame, order, reference)
    rows = frame[frame["measure"] == measure]
    if rows.empty:
        known = ", ".join(dict.fromkeys(frame["measure"]))
        raise InputError(f"figure: measure: {measure!r} is not in the data; choose {known}")
    log = measure == RATIO
    data = _paired(rows, reference, log)
    text = sentences(
        caption,
        _paired_note(frame, data, reference, measure),
        _beyond(data, "beyond the axis") if log else "",
    )
    figure, panels = _facets(data, text, "policy / reference" if log else "policy - reference")
    for (grouping, group), axes in panels.items():
        axes.axhline(1.0 if log else 0.0, color=GREY, lw=0.8, ls="--", zorder=1)
        same = data[data["grouping"] == grouping]
        limits = _log_axis(axes, same, 1.0) if log else _linear_axis(axes, same)
        panel = same[same["group"] == group]
        _lines(axes, panel, order, reference, *limits)
    line_legend(figure, others, order, reference)
    what = measure.replace("_", " ")
    title = f"{what[:1].upper()}{what[1:]} over time, difference from {reference}"
    alt = f"Difference of the {what} from {reference}. {_differences_alt(data, log)}"
    return Plot(figure, data, {"title": title, "caption": text, "alt": alt})


def _ratio_over_worlds(worlds: pd.DataFrame) -> pd.DataFrame:
    worlds = worlds.assign(
        ratio=(worlds["numerator"] / worlds["denominator"]).where(worlds["denominator"] > 0)
    )
    grouped = worlds.groupby(["arm", *_KEYS], sort=False, observed=True)
    mean = grouped[["numerator", "denominator"]].mean()
    value = (mean["numerator"] / mean["denominator"]).where(mean["denominator"] > 0)
    table = pd.DataFrame({"value": value, "low": np.nan, "high": np.nan, "worlds": grouped.size()})
    if worlds["world"].nunique() > 1:
        table["low"], table["high"] = (
            grouped["ratio"].quantile(0.025),
            grouped["ratio"].quantile(0.975),
        )
    return table.reset_index()


def _paired(rows: pd.DataFrame, reference: str, log: bool) -> pd.DataFrame:
    if log:
        rows = rows.assign(value=np.log(rows["value"].where(rows["value"] > 0)))
    worlds = over_tie_seeds(rows, _KEYS, ["value"])
    base = worlds[worlds["arm"] == reference].drop(columns="arm")
    others = worlds[worlds["arm"] != reference]
    pairs = others.merge(base, on=["world", *_KEYS], suffixes=("", "_reference"))
    pairs["value"] = pairs["value"] - pairs["value_reference"]
    data = mean_interval(pairs, ["arm", *_KEYS], "value").rename(columns={"mean": "value"})
    if log:
        data[["value", "low", "high"]] = np.exp(data[["value", "low", "high"]])
    return data


def _paired_note(frame: pd.DataFrame, data: pd.DataFrame, reference: str, measure: str) -> str:
    what = "difference of log transplant rate ratios, shown as a ratio on a log axis"
    if measure != RATIO:
        what = f"difference of the {measure.replace('_', ' ')}, {MEASURES[measure].unit}"
    interval = "ribbon: 95 % t interval of that mean (pointwise)"
    if frame["world"].nunique() == 1:
        interval = "one world, so no interval"
    gaps = " Gaps: no transplant in a group in some world." if data["value"].isna().any() else ""
    return (
        f"Policy against {reference} in the same world ({what}), line: mean over worlds; "
        f"{interval}. {design(frame)}, {frame['time'].max():g} years; windows of 12 months, "
        f"plotted at their end.{gaps}"
    )


def _last(data: pd.DataFrame) -> pd.DataFrame:
    """Defined values of the last window, with what they are of, in words."""
    last = data[(data["time"] == data["time"].max()) & data["value"].notna()]
    of = [_title(data, *key) for key in zip(last["grouping"], last["group"], strict=True)]
    return last.assign(of=of)


def _levels_alt(data: pd.DataFrame, reference: str) -> str:
    last = _last(data)
    panels = len(data.groupby(_PANEL_KEYS))
    text = (
        f"Transplant rate ratios over {data['time'].max():g} years, {panels} panels of groups, "
        f"policies: {', '.join(dict.fromkeys(data['arm']))}."
    )
    own, distance = last["arm"] == reference, np.abs(np.log(last["value"].clip(*RATIO_LIMITS)))
    for said, rows in ((f"under {reference}", own), ("of all policies", own | ~own)):
        if rows.any():
            row = last.loc[distance[rows].idxmax()]
            by = "" if said.startswith("under") else f" under {row['arm']}"
            text += f" In the last window furthest from parity {said}: {row['of']}, "
            text += f"{row['value']:.2f}{by}."
    return text


def _differences_alt(data: pd.DataFrame, log: bool) -> str:
    last = _last(data)
    if last.empty:
        return "In the last window no difference is defined."
    none, sign = (1.0, "") if log else (0.0, "+")
    apart = (last["low"] > none) | (last["high"] < none)
    size = last["value"].map(np.log) if log else last["value"]
    most = last.loc[size.abs().idxmax()]
    told = f"{most['of']} under {most['arm']}, {'factor ' if log else ''}{most['value']:{sign}.2f}"
    if last["low"].isna().all():
        return f"One world, so no intervals. In the last window the largest: {told}."
    return (
        f"In the last window {apart.sum()} of {len(last)} 95 % intervals exclude no difference; "
        f"the largest: {told} (95 % interval {most['low']:{sign}.2f} to {most['high']:{sign}.2f})."
    )


def _beyond(data: pd.DataFrame, why: str) -> str:
    value = data["value"]
    outside = (value < RATIO_LIMITS[0]) | (value > RATIO_LIMITS[1])
    return f"Triangles at the edge: {why}" if outside.any() else ""


def _facets(data: pd.DataFrame, caption: str, ylabel: str) -> tuple[Figure, dict[Key, Axes]]:
    """A panel for each group; a grouping stays together in a row and has one y axis."""
    keys = list(dict.fromkeys(zip(data["grouping"], data["group"], strict=True)))
    rows = _rows(keys)
    columns = max(map(len, rows))
    figure = new_figure(0.55 + _PANEL * len(rows), caption)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    panels: dict[Key, Axes] = {}
    for i, row in enumerate(rows):
        for j, axes in enumerate(grid[i]):
            if j >= len(row):
                axes.remove()
                continue
            grouping, group = row[j]
            axes.set_title(_title(data, grouping, group), size=7.5)
            axes.set_xlim(0, data["time"].max())
            last = i + 1 == len(rows)
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            axes.tick_params(
                labelbottom=last or j >= len(rows[i + 1]),
                labelleft=j == 0 or row[j - 1][0] != grouping,
            )
            axes.set(xlabel="years since start" if last else "", ylabel="" if j else ylabel)
            panels[row[j]] = axes
    return figure, panels


def _rows(keys: Sequence[Key]) -> list[list[Key]]:
    """Each grouping in the first row with room for all of its groups."""
    groupings = [list(part) for _, part in groupby(keys, key=lambda key: key[0])]
    room = max(_COLUMNS, *map(len, groupings), 0)
    rows: list[list[Key]] = []
    for part in groupings:
        home = next((row for row in rows if len(row) + len(part) <= room), None)
        if home is None:
            rows.append(part)
        else:
            home.extend(part)
    return rows


def _title(data: pd.DataFrame, grouping: str, group: str) -> str:
    if grouping == "all":
        return GROUPING_NAMES["all"]
    name = f"{GROUPING_NAMES.get(grouping, grouping)}: {group}"
    other = reference_group(grouping)
    compared = other not in set(data.loc[data["grouping"] == grouping, "group"])
    return f"{name} vs {other}" if compared else name


def _lines(
    axes: Axes, panel: pd.DataFrame, order: Sequence[str], reference: str, bottom: float, top: float
) -> None:
    styles = line_styles(order)
    if panel["value"].isna().all():
        middle: dict[str, Any] = {"ha": "center", "va": "bottom", "transform": axes.transAxes}
        axes.text(0.5, 0.55, "undefined in\nsome world", size=SMALL, color=GREY, **middle)
    shade = 0.18 if len(set(panel["arm"])) <= 4 else 0.09
    for arm in _drawn(order, panel):
        mine = panel[panel["arm"] == arm].sort_values("time")
        time, value = mine["time"].to_numpy(), mine["value"].to_numpy()
        colour = styles[arm]["color"]
        low, high = mine["low"].clip(lower=bottom), mine["high"]
        axes.fill_between(time, low, high, color=colour, alpha=shade, lw=0, zorder=2)
        above = {"zorder": 3, "linewidth": THICK} if arm == reference else {"zorder": 4}
        axes.plot(time, value, label=arm, **(styles[arm] | above))
        for beyond, edge, marker in ((value < bottom, bottom, "v"), (value > top, top, "^")):
            if beyond.any():
                at = np.full(beyond.sum(), edge)
                edges: dict[str, Any] = {"ms": 3, "markevery": 2, "clip_on": False}
                axes.plot(time[beyond], at, marker, color=colour, label="_edge", zorder=5, **edges)


def _log_axis(axes: Axes, data: pd.DataFrame, at_least: float) -> tuple[float, float]:
    """Limits that hold every line of the grouping and ribbons up to 1.5 times beyond the lines."""
    lines, ribbons = (_finite(data[names]) for names in (["value"], ["low", "high"]))
    bottom = min([0.95 * at_least, 0.9, *0.97 * np.maximum(ribbons, _lowest(lines) / 1.5)])
    bottom = min([bottom, *0.97 * lines])
    top = max([1.1, *1.03 * np.minimum(ribbons, max([1.0, *lines]) * 1.5), *1.03 * lines])
    axes.set_yscale("log")
    axes.set_ylim(bottom, top)
    ratio_ticks(axes.yaxis, bottom, top)
    return bottom, top


def _finite(table: pd.DataFrame) -> Floats:
    values = table.to_numpy(dtype=np.float64)
    return np.asarray(np.clip(values[np.isfinite(values)], *RATIO_LIMITS))


def _lowest(lines: Floats) -> float:
    return float(min([1.0, *lines]))


def _linear_axis(axes: Axes, data: pd.DataFrame) -> tuple[float, float]:
    """Limits that hold every line of the grouping and ribbons up to as far again."""
    lines, ribbons = data["value"].dropna(), data[["low", "high"]].to_numpy()
    low, high = min([0.0, *lines]), max([0.0, *lines])
    reach = high - low or 1.0
    seen = np.clip(ribbons[np.isfinite(ribbons)], low - reach, high + reach)
    bottom, top = min([low - 0.05 * reach, *seen]), max([high + 0.05 * reach, *seen])
    axes.set_ylim(bottom, top)
    return bottom, top


def _drawn(order: Sequence[str], data: pd.DataFrame) -> list[str]:
    present = set(data["arm"])
    return [arm for arm in order if arm in present]
