"""Whether judges leave to the coin what the reference finds close."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

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

_COLUMN_WIDTH = 4.4  # inches
_COLUMNS = ["judge", "gap", "gap_low", "gap_high", "value", "low", "high", "denominator"]
_OBSERVED = "people's answers"


@matplotlib.rc_context(STYLE)
def indecision_reliability(
    frame: pd.DataFrame,
    gaps: ArrayLike,
    reference: str,
    caption: str,
    arms: Sequence[str] | None = None,
    observed: pd.DataFrame | None = None,
) -> Plot:
    """P(coin) of every judge over the reference's utility gap, with how many pairs have which.

    Parameters
    ----------
    frame : DataFrame
        Columns ``judge``, ``measure``, ``gap``, ``gap_low``, ``gap_high``, ``value``, ``low``,
        ``high``, ``denominator``: rows ``indecision_by_gap.answers`` of every judge are its curve,
        ``indecision_calibration.ece`` is in the legend; others are left out.
    gaps : array-like, shape (n,)
        The gap of every pair, for the histogram.
    reference : str
        The judge whose utilities the gaps are.
    caption : str
        First sentences of the footer; say there how many pairs there were.
    arms : sequence of str, optional
        All judges in order, which fixes their colours; default: as in the frame.
    observed : DataFrame, optional
        ``gap`` and ``value``: shares of coin in people's own answers.

    Returns
    -------
    Plot
        The data are the curves, the observed shares (judge "people's answers") and, as judge
        "pairs", the counts of the histogram.
    """
    curves = frame[frame["measure"] == "indecision_by_gap.answers"]
    order = arms_of(curves.rename(columns={"judge": "arm"}), arms, reference)
    present = [judge for judge in order if judge in set(curves["judge"])]
    ece = frame[frame["measure"] == "indecision_calibration.ece"].set_index("judge")["value"]
    seen = observed is not None and len(observed) > 0
    note = "Hollow: people's own answers, of which the reference is a fit." if seen else ""
    text = sentences(
        caption,
        "Each point: a sixth of the judge's pairs; bars: 95 % intervals by resampling pairs",
        "ECE: expected calibration error of P(coin) against the reference's",
        note,
    )
    figure = new_figure(3.3, text, _COLUMN_WIDTH)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    styles = line_styles(order)
    for place, judge in enumerate(present):
        shift = 0.006 * (place - (len(present) - 1) / 2)
        _curve(upper, curves[curves["judge"] == judge], styles[judge], shift)
    handles = [Line2D([], [], marker="o", ms=3.5, **styles[judge]) for judge in present]
    labels = [
        f"{judge} (reference)" if judge == reference else f"{judge}, ECE {ece[judge]:.3f}"
        for judge in present
    ]
    parts = [curves[_COLUMNS]]
    if observed is not None and seen:
        hollow: Any = {"ls": "", "marker": "s", "ms": 4.5, "mfc": "white", "mec": "black"}
        upper.plot(observed["gap"], observed["value"], **hollow, zorder=5)
        handles.append(Line2D([], [], **hollow))
        labels.append(_OBSERVED)
        parts.append(observed.assign(judge=_OBSERVED))
    parts.append(_histogram(lower, gaps))
    upper.set_ylabel("P(coin)")
    upper.set_ylim(bottom=0)
    lower.set_ylabel("pairs")
    lower.set_xlabel(f"utility gap between the two patients ({reference}'s utilities)")
    lower.set_xlim(left=0)
    legend(figure, handles, labels)
    alt = _alt(curves, present, reference)
    said = {"title": "Who leaves close choices to the coin", "caption": text, "alt": alt}
    return Plot(figure, pd.concat(parts, ignore_index=True)[_COLUMNS], said)


def _alt(curves: pd.DataFrame, present: Sequence[str], reference: str) -> str:
    ordered = curves.dropna(subset="value").sort_values("gap").groupby("judge")["value"]
    ends = [
        f"{what}: " + told({judge: float(found.get(judge, np.nan)) for judge in present}, reference)
        for what, found in (("smallest", ordered.first()), ("largest", ordered.last()))
    ]
    return (
        f"Probability of answering with the coin against {reference}'s utility gap. Where the gap "
        f"is {', where it is '.join(ends)}."
    )


def _curve(axes: Axes, rows: pd.DataFrame, style: dict[str, Any], shift: float) -> None:
    x = rows["gap"] + shift * rows["gap_high"].max()
    axes.plot(x, rows["value"], marker="o", ms=3.5, clip_on=False, **style)
    axes.vlines(x, rows["low"], rows["high"], color=style["color"], lw=1.0)


def _histogram(axes: Axes, gaps: ArrayLike) -> pd.DataFrame:
    """Draw how many pairs have which gap; the counts as rows of the data."""
    known = np.asarray(gaps, dtype=np.float64)
    counts, edges = np.histogram(known[np.isfinite(known)], bins=20)
    axes.stairs(counts, edges, fill=True, color=GREY, alpha=0.5)
    return pd.DataFrame(
        {"judge": "pairs", "gap_low": edges[:-1], "gap_high": edges[1:], "value": counts}
    )
