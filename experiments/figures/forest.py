"""Forest of rate ratios: every group against its reference group, under every policy."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.transforms import offset_copy

from experiments.figures.style import (
    GREY,
    GROUPING_NAMES,
    RATIO_LIMITS,
    SMALL,
    STYLE,
    Plot,
    arms_of,
    design,
    line_styles,
    new_figure,
    over_tie_seeds,
    ratio_ticks,
    row_places,
    sentences,
    told,
    wrapped,
)
from measures.rates import reference_group
from populations.errors import InputError

BAND = (0.8, 1.25)  # the four-fifths rule and its inverse
_ROW = 0.152  # inches
_NAME = 34  # letters in a line of a policy's name
_COLUMNS = (88, 160, 196, 250)  # points right of the axis where the columns of numbers end
_COUNTS = ["numerator", "denominator"]


@matplotlib.rc_context(STYLE)
def forest(
    levels: pd.DataFrame,
    measures: pd.DataFrame,
    reference: str,
    caption: str,
    arms: Sequence[str] | None = None,
    grouping: str = "race",
    measure: str = "transplant_rate_ratio",
) -> Plot:
    """Rate ratios of the groups of a grouping, with the events and person-years behind them.

    Parameters
    ----------
    levels : DataFrame
        Mean over worlds and 95 % interval of every measure and arm (``experiments.inference``).
    measures : DataFrame
        Every run's measures: ``arm``, ``world``, ``tie_seed``, ``measure``, ``grouping``,
        ``group``, ``numerator``, ``denominator``.
    reference : str
        The reference policy, drawn first in every group.
    caption : str
        First sentences of the footer.
    arms : sequence of str, optional
        All arms of the study in order, which fixes their colours; default: as in the levels.
    grouping : str
        Which groups.
    measure : str
        A ratio whose rate is a measure too: the name without ``_ratio``.

    Returns
    -------
    Plot
        Squares: means over worlds (of logarithms), lines: their 95 % t intervals; an end beyond
        the axis is an arrow, an undefined ratio is said to be so. Columns of the data: ``arm``,
        ``group``, ``value``, ``low``, ``high``, ``worlds``, and ``events``, ``person_years``
        (summed over worlds, means over tie seeds) and ``rate`` of the group, and
        ``reference_rate`` of the reference group.

    Raises
    ------
    InputError
        If there is no such ratio of that grouping.
    """
    rows = levels[(levels["measure"] == measure) & (levels["grouping"] == grouping)]
    rows = rows[rows["group"] != reference_group(grouping)]
    if rows.empty:
        raise InputError(f"figure: grouping: no {measure} by {grouping!r} in the data")
    order = arms_of(rows, arms, None)
    present = sorted((a for a in order if a in set(rows["arm"])), key=lambda a: a != reference)
    data = _with_counts(rows, measures, grouping, measure.removesuffix("_ratio"))
    what = "transplants" if measure.startswith("transplant") else "events"
    base = reference_group(grouping)
    worlds = measures["world"].nunique()
    text = sentences(
        caption,
        f"{design(measures)}. Squares: mean over worlds of the log ratio against {base}; "
        + ("lines: its 95 % t interval; " if worlds > 1 else "one world, so no intervals; ")
        + "shaded: 0.8 to 1.25. PY: person-years on the list; rates of the group and of "
        f"{base}; counts are sums over worlds of means over tie seeds, so the ratio of "
        "the two rates need not be the mean ratio",
        "Arrows: beyond the axis" if _beyond(data) else "",
        "Undefined: a group without an event in some world" if data["value"].isna().any() else "",
    )
    groups = list(dict.fromkeys(data["group"]))
    names = [wrapped(arm, _NAME) for arm in present]
    labels = [label for group in groups for label in (group, *names)]
    places, lines = row_places(labels)
    figure = new_figure(0.6 + _ROW * lines, text)
    axes = figure.subplots()
    _rows(axes, data, list(product(groups, ("", *present))), places, line_styles(order))
    _frame(axes, data, lines)
    axes.set_yticks(places, labels)
    for tick in axes.get_yticklabels()[:: len(names) + 1]:
        tick.set_fontweight("bold")
    heads = ("ratio (95 % CI)" if worlds > 1 else "ratio", f"{what} / PY", "/ 100 PY", base)
    _numbers(axes, -0.9, heads, color=GREY)
    axes.set_xlabel(f"{measure.replace('_', ' ')}, group / {base}")
    name = GROUPING_NAMES.get(grouping, grouping).lower()
    title = f"{measure.replace('_', ' ')[:1].upper()}{measure.replace('_', ' ')[1:]}s by {name}"
    said = {"title": title, "caption": text, "alt": _alt(data, groups, present, reference, base)}
    return Plot(figure, data, said)


def _with_counts(
    rows: pd.DataFrame, measures: pd.DataFrame, grouping: str, rate: str
) -> pd.DataFrame:
    """The ratios with events, person-years and rates of the group and the reference group."""
    of = measures[(measures["measure"] == rate) & (measures["grouping"] == grouping)]
    totals = over_tie_seeds(of, ["group"], _COUNTS).groupby(["arm", "group"])[_COUNTS].sum()
    totals.columns = pd.Index(["events", "person_years"])
    years = totals["person_years"]
    totals["rate"] = (100 * totals["events"] / years).where(years > 0)
    base = totals.xs(reference_group(grouping), level="group")["rate"].rename("reference_rate")
    kept = rows[["arm", "group", "value", "low", "high", "worlds"]]
    return kept.join(totals, on=["arm", "group"]).join(base, on="arm").reset_index(drop=True)


def _rows(
    axes: Axes,
    data: pd.DataFrame,
    rows: Sequence[tuple[str, str]],
    places: Sequence[float],
    styles: dict[str, dict[str, Any]],
) -> None:
    """Draw each group and policy in its place; without a policy it is the group's heading."""
    found = data.set_index(["group", "arm"])
    for (group, arm), at in zip(rows, places, strict=True):
        if not arm:
            continue
        row, colour = found.loc[(group, arm)], styles[arm]["color"]
        counts = f"{row['events']:,.0f} / {row['person_years']:,.0f}"
        ratio = "undefined"
        if np.isfinite(row["value"]):
            ratio = f"{row['value']:.2f}"
            _whisker(axes, at, row, colour)
        if np.isfinite(row["low"]):
            ratio += f" ({row['low']:.2f} to {row['high']:.2f})"
        rates = (f"{row[name]:.1f}" for name in ("rate", "reference_rate"))
        _numbers(axes, at, (ratio, counts, *rates), color="black")


def _whisker(axes: Axes, at: float, row: pd.Series, colour: str) -> None:
    low, high = (float(np.clip(row[end], *RATIO_LIMITS)) for end in ("low", "high"))
    axes.plot([low, high], [at, at], color=colour, lw=1.2, label="interval")
    for end, edge, mark in zip(RATIO_LIMITS, ("low", "high"), "<>", strict=True):
        reach = row[["value", edge]]  # without an interval it is the ratio that may be beyond
        if (reach < end if mark == "<" else reach > end).any():
            axes.plot(end, at, mark, color=colour, ms=3.5, clip_on=False)
    if RATIO_LIMITS[0] <= row["value"] <= RATIO_LIMITS[1]:
        axes.plot(row["value"], at, "s", color=colour, ms=4, clip_on=False, zorder=3, label="ratio")


def _beyond(data: pd.DataFrame) -> bool:
    ends = data[["value", "low", "high"]]
    return bool(((ends < RATIO_LIMITS[0]) | (ends > RATIO_LIMITS[1])).any(axis=None))


def _frame(axes: Axes, data: pd.DataFrame, lines: int) -> None:
    known = data[["value", "low", "high"]].to_numpy(dtype=float)
    known = np.clip(known[np.isfinite(known)], *RATIO_LIMITS)
    low, high = min([0.7, *known]) / 1.05, max([1.4, *known]) * 1.05
    axes.axvspan(*BAND, color="#EFEFEF", lw=0, zorder=0)
    axes.axvline(1.0, color=GREY, lw=0.8, ls="--", zorder=1)
    axes.set_xscale("log")
    axes.set(xlim=(low, high), ylim=(lines - 0.4, -0.5))
    ratio_ticks(axes.xaxis, low, high)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _numbers(axes: Axes, at: float, texts: Sequence[str], color: str) -> None:
    """Columns of numbers right of the axis."""
    right, figure = axes.get_yaxis_transform(), axes.get_figure(root=True)
    for points, text in zip(_COLUMNS, texts, strict=True):
        place = offset_copy(right, figure, x=points, units="points")
        axes.text(1, at, text, transform=place, size=SMALL, ha="right", va="center", color=color)


def _alt(
    data: pd.DataFrame, groups: Sequence[str], present: Sequence[str], reference: str, base: str
) -> str:
    found = data.set_index(["group", "arm"])["value"]
    parts = [
        f"{group}: {told({arm: float(found[group, arm]) for arm in present}, reference)}"
        for group in groups
    ]
    return f"Rate ratios against {base} (1 is parity). {'; '.join(parts)}."
