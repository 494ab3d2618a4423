"""Values x indecision: how the two interact, and how people become the model step by step."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from experiments.figures.style import (
    GREY,
    SMALL,
    STYLE,
    Plot,
    legend,
    line_styles,
    new_figure,
    ratio_ticks,
    sentences,
)

_HEIGHT = 1.75  # inches per panel row
_SIDE = 0.06  # how far apart the two lines' bars are
_STEPS = (
    ("misalignment", "misalignment"),
    ("missing indecision", "missing\nindecision"),
    ("rest: temperature", "rest:\ntemperature"),
    ("rest: position and its own coin", "rest: position,\nits own coin"),
    ("rest", "rest"),  # where it has no parts
)
_ENDS = ("human,\nwith coin", "model\nas used")


class Panel(NamedTuple):
    """One measure: a row of two panels.

    Parameters
    ----------
    label, measure, grouping, group : str
    ratio : bool
        Whether effects multiply.
    """

    label: str
    measure: str
    grouping: str
    group: str
    ratio: bool

    def rows(self, table: pd.DataFrame) -> pd.DataFrame:
        """The rows of a study's table that are about this measure."""
        return table[
            (table["measure"] == self.measure)
            & (table["grouping"] == self.grouping)
            & (table["group"] == self.group)
        ]


@matplotlib.rc_context(STYLE)
def effects(
    levels: pd.DataFrame,
    found: pd.DataFrame,
    cells: Sequence[str],
    model: str,
    panels: Sequence[Panel],
    caption: str,
) -> Plot:
    """Left the four cells, right the steps from people with the coin to the model as used.

    Parameters
    ----------
    levels : DataFrame
        ``arm, measure, grouping, group, value, low, high`` of the main study.
    found : DataFrame
        ``effect`` and the same.
    cells : sequence of str
        Arms: human with coin, human without, model's values with, model's values without.
    model : str
        The arm of the model as it is used.
    panels : sequence of Panel
    caption : str
        What is drawn on: population, worlds.
    """
    styles = line_styles((cells[0], model))
    lines = {"human values": (cells[:2], cells[0]), "model's values": (cells[2:], model)}
    text = sentences(
        caption,
        "Bars: 95 % t intervals over worlds, of levels (left, ends of the right) and of paired "
        "effects (steps)",
        "Misalignment and missing indecision are average main effects, each with half of their "
        "interaction: parallel lines on the left mean none. Ratios multiply, on log axes",
    )
    figure = new_figure(_HEIGHT * len(panels) + 0.35, text)
    axes = figure.subplots(len(panels), 2, squeeze=False, width_ratios=(1, 2.1))
    data = []
    for (left, right), panel in zip(axes, panels, strict=True):
        here = panel.rows(levels).set_index("arm")
        for number, (values, (arms, colour)) in enumerate(lines.items()):
            drawn = here.loc[list(arms)]
            x = np.arange(2) + (number - 0.5) * 2 * _SIDE
            _bars(left, x, drawn, styles[colour] | {"linewidth": 1.6})
            data.append(drawn.reset_index().assign(panel="cells", step=values))
        left.set_xticks([0, 1], ["coin kept", "removed"])
        left.set_xlim(-0.4, 1.4)
        left.set_title(panel.label, loc="left")
        steps = panel.rows(found).set_index("effect")
        ends = here.loc[[cells[0], model]]
        data.append(_waterfall(right, steps, ends, panel.ratio, styles[model]["color"]))
        for ax in (left, right):
            ax.margins(y=0.12)
            if panel.ratio:
                ax.axhline(1.0, color=GREY, linewidth=0.6, linestyle="--", zorder=0)
                ax.set_yscale("log")
                ratio_ticks(ax.yaxis, *ax.get_ylim())
    handles = [
        Line2D([], [], **styles[colour] | {"linewidth": 1.6}, marker="o", markersize=4)
        for _, colour in lines.values()
    ]
    legend(figure, handles, [f"human values ({cells[0]})", f"model's values ({model})"])
    table = pd.concat(data, ignore_index=True)
    said = {"title": "Misalignment and missing indecision", "caption": text}
    return Plot(figure, table, said | {"alt": _alt(panels, table)})


def _bars(ax: Axes, x: Any, drawn: pd.DataFrame, style: Mapping[str, Any]) -> None:
    errors = np.abs([drawn["value"] - drawn["low"], drawn["high"] - drawn["value"]])
    known = np.isfinite(errors).all()
    ax.errorbar(
        x,
        drawn["value"],
        yerr=errors if known else None,
        marker="o",
        markersize=4,
        elinewidth=1.0,
        capsize=2.5,
        **style,
    )


def _waterfall(
    ax: Axes, steps: pd.DataFrame, ends: pd.DataFrame, ratio: bool, colour: str
) -> pd.DataFrame:
    """Floating bars from the first end to the last; what is drawn."""
    at = float(ends["value"].iloc[0])
    rows = [ends.iloc[0].to_dict() | {"step": _ENDS[0], "start": np.nan, "end": at}]
    drawn = [step for step in _STEPS if step[0] in steps.index]
    if len(drawn) == len(_STEPS):
        drawn.pop()
    for number, (effect, label) in enumerate(drawn, 1):
        got = steps.loc[effect]
        start = at

        def after(value: float, start: float = start) -> float:
            return start * value if ratio else start + value

        at = after(float(got["value"]))
        edge = "white" if effect.startswith("rest") else colour
        ax.bar(
            number,
            at - start,
            0.62,
            start,
            color=colour,
            alpha=0.35 if effect.startswith("rest") else 0.75,
            edgecolor=edge,
        )
        ax.plot([number - 0.31, number + 0.31], [at, at], color=colour, linewidth=1.4)
        low, high = after(float(got["low"])), after(float(got["high"]))
        if np.isfinite([low, high]).all():
            ax.plot([number, number], [low, high], color="black", linewidth=1.0)
        ax.plot([number - 0.69, number - 0.31], [start, start], color=GREY, linewidth=0.6)
        rows.append(got.to_dict() | {"step": label, "start": start, "end": at})
    rows.append(ends.iloc[1].to_dict() | {"step": _ENDS[1], "start": at, "end": np.nan})
    for place, colour_of, end in ((0, "black", 0), (len(drawn) + 1, colour, 1)):
        _bars(ax, [place], ends.iloc[[end]], {"color": colour_of, "linestyle": ""})
    labels = [_ENDS[0], *(label for _, label in drawn), _ENDS[1]]
    ax.set_xticks(range(len(labels)), labels, size=SMALL)
    ax.set_xlim(-0.5, len(labels) - 0.5)
    return pd.DataFrame(rows).assign(panel="steps")


def _alt(panels: Sequence[Panel], data: pd.DataFrame) -> str:
    parts = []
    for panel in panels:
        steps = panel.rows(data[data["panel"] == "steps"])
        values = (
            f"{s.replace(chr(10), ' ')} {v:.3g}"
            for s, v in zip(steps["step"], steps["value"], strict=True)
        )
        parts.append(f"{panel.label}: {', '.join(values)}")
    return f"From human values with the coin to the model as used. {'; '.join(parts)}."
