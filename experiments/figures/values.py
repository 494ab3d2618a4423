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
    told,
)

YEARS = "years of age"
_REACH = 4.0  # times the reference's largest, beyond which nothing is drawn to scale
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
        Minus infinity (lambda of a policy without a coin), and whatever lies several times further
        from 0 than all of the reference's, is a triangle at the edge. The data are the frame's
        rows.
    """
    order = arms_of(frame.rename(columns={"policy": "arm"}), arms, None)
    present = [arm for arm in order if arm in set(frame["policy"])]
    present.sort(key=lambda arm: arm != reference)
    trade = frame["unit"] == YEARS
    parts = [part for part in (frame[~trade], frame[trade]) if not part.empty]
    rows = max(part["term"].nunique() for part in parts)
    text = sentences(caption, _note(frame, reference))
    figure = new_figure(0.75 + rows * max(0.36, 0.1 + 0.085 * len(present)), text)
    panels = figure.subplots(1, len(parts), squeeze=False)[0]
    for axes, part in zip(panels, parts, strict=True):
        _panel(axes, part, present, order, _reach(part, reference))
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
    said = {"title": "What policies value", "caption": text, "alt": _alt(frame, present, reference)}
    return Plot(figure, frame[_COLUMNS].reset_index(drop=True), said)


def _alt(frame: pd.DataFrame, present: Sequence[str], reference: str) -> str:
    parts = []
    for term, rows in frame.groupby("term", sort=False):
        found = rows.set_index("policy")["value"]
        values = told({arm: float(found.get(arm, np.nan)) for arm in present}, reference, ".3g")
        parts.append(f"{term}: {values}")
    return f"Fitted values of {', '.join(present)}. {'; '.join(parts)}."


def _note(frame: pd.DataFrame, reference: str) -> str:
    text = "Lines: intervals where known." if frame["low"].notna().any() else "No intervals."
    if np.isneginf(frame["value"]).any():
        text += " Triangle: minus infinity, the policy never flips a coin."
    parts = (part for _, part in frame.groupby(frame["unit"] == YEARS))
    finite = [(part["value"][np.isfinite(part["value"])], part) for part in parts]
    if any((values.abs() > _reach(part, reference)).any() for values, part in finite):
        text += " Triangle elsewhere: beyond the axis, see the data."
    return text


def _reach(part: pd.DataFrame, reference: str) -> float:
    """How far from 0 the axis may go."""
    own = part.loc[part["policy"] == reference, ["value", "low", "high"]].abs().to_numpy()
    known = own[np.isfinite(own)]
    return _REACH * float(known.max()) if known.size and known.max() > 0 else np.inf


def _panel(
    axes: Axes, part: pd.DataFrame, present: Sequence[str], order: Sequence[str], reach: float
) -> None:
    terms = list(dict.fromkeys(part["term"]))
    styles = line_styles(order)
    step = 0.7 / max(len(present), 2)
    for row in part.itertuples():
        colour = styles[row.policy]["color"]
        place = terms.index(row.term) + step * (present.index(row.policy) - (len(present) - 1) / 2)
        if np.isneginf(row.value) or abs(row.value) > reach:
            edge, mark = (0.015, "<") if row.value < 0 else (0.985, ">")
            across = axes.get_yaxis_transform()
            axes.plot(edge, place, mark, color=colour, ms=4, transform=across, label=row.policy)
            continue
        ends = np.clip([row.low, row.high], -reach, reach)
        axes.plot(ends, [place, place], color=colour, lw=1.2)
        axes.plot(row.value, place, "o", ms=4, color=colour, label=row.policy)
    for edge in range(1, len(terms)):
        axes.axhline(edge - 0.5, color="#DDDDDD", lw=0.6, zorder=0)
    axes.axvline(0, color=GREY, lw=0.8, ls="--", zorder=1)
    axes.set_ylim(len(terms) - 0.5, -0.5)
    axes.set_yticks(range(len(terms)), [term.replace("_", " ") for term in terms])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.margins(x=0.08)
