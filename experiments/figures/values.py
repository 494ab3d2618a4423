"""What policies value: fitted weights, indecision, and trade-offs in years of age."""

from collections.abc import Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from experiments.figures.style import (
    GREY,
    STYLE,
    Plot,
    arms_of,
    legend,
    line_styles,
    new_figure,
    sentences,
)

YEARS = "years of age"
_COLUMNS = ["policy", "term", "value", "low", "high", "unit"]


@matplotlib.rc_context(STYLE)
def weights(
    frame: pd.DataFrame, reference: str, caption: str, arms: Sequence[str] | None = None
) -> Plot:
    """Weights of policies on attributes, their order effect and indecision, and their trade-offs.

    Parameters
    ----------
    frame : DataFrame
        Columns ``policy``, ``term``, ``value``, ``low``, ``high`` (NaN without an interval),
        ``unit``. Terms with unit "years of age" are trade-offs (positive: counts like being
        younger by so many years) and have a panel of their own; all others (weights, order
        effect, lambda) share the first. Rows in order of appearance.
    reference : str
        Policy drawn first in every row.
    caption : str
        First sentences of the footer; say there what the intervals are.
    arms : sequence of str, optional
        All arms of the study in order, which fixes their colours; default: as in the frame.

    Returns
    -------
    Plot
        Minus infinity (lambda of a policy without a coin) is a triangle at the left edge. The data
        are the frame's rows.
    """
    order = arms_of(frame.rename(columns={"policy": "arm"}), arms, None)
    present = [arm for arm in order if arm in set(frame["policy"])]
    present.sort(key=lambda arm: arm != reference)
    trade = frame["unit"] == YEARS
    parts = [part for part in (frame[~trade], frame[trade]) if not part.empty]
    rows = max(part["term"].nunique() for part in parts)
    text = sentences(caption, _note(frame))
    figure = new_figure(0.75 + rows * max(0.36, 0.1 + 0.085 * len(present)), text)
    panels = figure.subplots(1, len(parts), squeeze=False)[0]
    for axes, part in zip(panels, parts, strict=True):
        _panel(axes, part, present, order)
        exchange = (part["unit"] == YEARS).all()
        axes.set_xlabel(
            "counts like being this many years younger" if exchange else "weight (units of utility)"
        )
    styles = line_styles(order)
    handles = [
        Line2D([], [], color=styles[arm]["color"], marker="o", ms=4, ls="") for arm in present
    ]
    labels = [f"{arm} (reference policy)" if arm == reference else arm for arm in present]
    legend(figure, handles, labels)
    return Plot(figure, frame[_COLUMNS].reset_index(drop=True))


def _note(frame: pd.DataFrame) -> str:
    interval = "Lines: intervals where known." if frame["low"].notna().any() else "No intervals."
    never = " Triangle: minus infinity, the policy never flips a coin."
    return interval + (never if np.isneginf(frame["value"]).any() else "")


def _panel(axes: Axes, part: pd.DataFrame, present: Sequence[str], order: Sequence[str]) -> None:
    terms = list(dict.fromkeys(part["term"]))
    styles = line_styles(order)
    step = 0.7 / max(len(present), 2)
    for row in part.itertuples():
        colour = styles[row.policy]["color"]
        place = terms.index(row.term) + step * (present.index(row.policy) - (len(present) - 1) / 2)
        if np.isneginf(row.value):
            left = axes.get_yaxis_transform()
            axes.plot(0.015, place, "<", color=colour, ms=4, transform=left, label=row.policy)
            continue
        axes.plot([row.low, row.high], [place, place], color=colour, lw=1.2)
        axes.plot(row.value, place, "o", ms=4, color=colour, label=row.policy)
    for edge in range(1, len(terms)):
        axes.axhline(edge - 0.5, color="#DDDDDD", lw=0.6, zorder=0)
    axes.axvline(0, color=GREY, lw=0.8, ls="--", zorder=1)
    axes.set_ylim(len(terms) - 0.5, -0.5)
    axes.set_yticks(range(len(terms)), [_label(part, term) for term in terms])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.margins(x=0.08)


def _label(part: pd.DataFrame, term: str) -> str:
    unit = str(part.loc[part["term"] == term, "unit"].iloc[0])
    name = term.replace("_", " ")
    return name if unit in (YEARS, "") else f"{name}\n({unit})"
