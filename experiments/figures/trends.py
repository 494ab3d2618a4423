"""Fairness over time, and its difference from a reference policy in the same worlds."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from experiments.figures.style import (
    GREY,
    GROUPING_NAMES,
    STYLE,
    Plot,
    against,
    arms_of,
    blank,
    design,
    line_legend,
    line_styles,
    mean_interval,
    new_figure,
    over_tie_seeds,
    sentences,
)
from experiments.series import reference_group
from measures.registry import MEASURES
from populations.errors import InputError

RATIO = "transplant_rate_ratio"
FOUR_FIFTHS = 0.8
_COLUMNS = 3
_PANEL = 1.45  # inches high
_LIMITS = (0.04, 25.0)  # a ratio beyond them is drawn at the edge
_FINE = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 1.75, 2.0)
_COARSE = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
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
    spread = "ribbon 2.5-97.5 % of worlds (close to their full range when worlds are few)"
    if frame["world"].nunique() == 1:
        spread = "one world, so no ribbon"
    text = sentences(
        caption,
        f"{design(frame)}, {frame['time'].max():g} years; windows of 12 months, plotted at their "
        f"end; line: ratio of the mean rates over worlds; {spread}",
        "Dashed: parity; dotted: 0.8",
        "Triangles at the edge: beyond the axis, or no transplant at all"
        if (data["value"] < _LIMITS[0]).any()
        else "",
    )
    figure, panels = _facets(data, text)
    for (grouping, group), axes in panels.items():
        axes.axhline(1.0, color=GREY, lw=0.8, ls="--", zorder=1)
        axes.axhline(FOUR_FIFTHS, color=GREY, lw=0.8, ls=":", zorder=1)
        bottom, top = _log_axis(axes, data[data["grouping"] == grouping], FOUR_FIFTHS)
        panel = data[(data["grouping"] == grouping) & (data["group"] == group)]
        _lines(axes, panel, order, reference, bottom, top)
    figure.supylabel("transplant rate ratio (log axis)", size=8)
    line_legend(figure, _drawn(order, data), order, reference)
    return Plot(figure, data)


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
    text = sentences(caption, _paired_note(frame, data, reference, log))
    figure, panels = _facets(data, text)
    for (grouping, group), axes in panels.items():
        axes.axhline(1.0 if log else 0.0, color=GREY, lw=0.8, ls="--", zorder=1)
        same = data[data["grouping"] == grouping]
        limits = _log_axis(axes, same, 1.0) if log else _linear_axis(axes, same)
        panel = same[same["group"] == group]
        _lines(axes, panel, order, reference, *limits)
    unit = "rate ratio: policy / reference (log axis)"
    if not log:
        unit = f"{measure.replace('_', ' ')}: policy - reference ({MEASURES[measure].unit})"
    figure.supylabel(unit, size=8)
    line_legend(figure, others, order, reference)
    return Plot(figure, data)


def _ratio_over_worlds(worlds: pd.DataFrame) -> pd.DataFrame:
    worlds = worlds.assign(
        ratio=(worlds["numerator"] / worlds["denominator"]).where(worlds["denominator"] > 0)
    )
    grouped = worlds.groupby(["arm", *_KEYS], sort=False, observed=True)
    mean = grouped[["numerator", "denominator"]].mean()
    value = (mean["numerator"] / mean["denominator"]).where(mean["denominator"] > 0)
    table = pd.DataFrame({"value": value, "low": np.nan, "high": np.nan, "worlds": grouped.size()})
    if worlds["world"].nunique() > 1:
        table["low"], table["high"] = grouped["ratio"].quantile(0.025), grouped["ratio"].quantile(0.975)
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


def _paired_note(frame: pd.DataFrame, data: pd.DataFrame, reference: str, log: bool) -> str:
    what = "difference of log rate ratios, shown as a ratio" if log else "difference of rates"
    interval = "ribbon: 95 % t interval of that mean (pointwise)"
    if frame["world"].nunique() == 1:
        interval = "one world, so no interval"
    gaps = " Gaps: no transplant in a group in some world." if data["value"].isna().any() else ""
    return (
        f"Policy against {reference} in the same world ({what}), line: mean over worlds; "
        f"{interval}. {design(frame)}, {frame['time'].max():g} years; windows of 12 months, "
        f"plotted at their end.{gaps}"
    )


def _facets(data: pd.DataFrame, caption: str) -> tuple[Figure, dict[tuple[str, str], Axes]]:
    """A panel for each group, sharing the years."""
    keys = list(dict.fromkeys(zip(data["grouping"], data["group"], strict=True)))
    columns = min(_COLUMNS, len(keys))
    n_rows = -(-len(keys) // columns)
    figure = new_figure(0.5 + _PANEL * n_rows, caption)
    grid = figure.subplots(n_rows, columns, sharex=True, squeeze=False)
    flat = list(grid.ravel())
    for axes in flat[len(keys) :]:
        blank(axes)
    for place, ((grouping, group), axes) in enumerate(zip(keys, flat, strict=False)):
        axes.set_title(_title(data, grouping, group))
        axes.set_xlim(0, data["time"].max())
        if place + columns >= len(keys):
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("years since start")
    return figure, dict(zip(keys, flat, strict=False))


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
    shade = 0.18 if len(set(panel["arm"])) <= 4 else 0.09
    for arm in _drawn(order, panel):
        mine = panel[panel["arm"] == arm].sort_values("time")
        time, value = mine["time"].to_numpy(), mine["value"].to_numpy()
        above = {"zorder": 4, "lw": 2.0} if arm == reference else {"zorder": 3}
        ribbon: dict[str, Any] = {"color": styles[arm]["color"], "alpha": shade, "lw": 0}
        axes.fill_between(time, mine["low"].clip(lower=bottom), mine["high"], zorder=2, **ribbon)
        axes.plot(time, value, label=arm, **styles[arm], **above)
        for beyond, edge, marker in ((value < bottom, bottom, "v"), (value > top, top, "^")):
            axes.plot(
                time[beyond],
                np.full(beyond.sum(), edge),
                marker,
                ms=3,
                color=styles[arm]["color"],
                clip_on=False,
                label="_edge",
            )


def _log_axis(axes: Axes, data: pd.DataFrame, at_least: float) -> tuple[float, float]:
    """Limits that hold every line and ribbon of the grouping, and ticks that can be read."""
    shown = data[["value", "low", "high"]].to_numpy()
    shown = np.clip(shown[np.isfinite(shown)], *_LIMITS)
    bottom = min([at_least * 0.95, 0.9, *shown * 0.97])
    top = max([1.1, *shown * 1.03])
    axes.set_yscale("log")
    axes.set_ylim(bottom, top)
    fine = top / bottom < 3.5
    ticks = [tick for tick in (_FINE if fine else _COARSE) if bottom <= tick <= top]
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    return bottom, top


def _linear_axis(axes: Axes, data: pd.DataFrame) -> tuple[float, float]:
    shown = data[["value", "low", "high"]].to_numpy()
    low, high = np.nanmin([0.0, *shown.ravel()]), np.nanmax([0.0, *shown.ravel()])
    margin = 0.05 * (high - low) or 1.0
    axes.set_ylim(low - margin, high + margin)
    return low - margin, high + margin


def _drawn(order: Sequence[str], data: pd.DataFrame) -> list[str]:
    present = set(data["arm"])
    return [arm for arm in order if arm in present]
