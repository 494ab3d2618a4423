"""How equally chances are shared: Lorenz curves before and after the lots are drawn."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from experiments.figures.style import (
    GREY,
    STYLE,
    THICK,
    Plot,
    arms_of,
    legend,
    legend_lines,
    line_styles,
    mean_interval,
    new_figure,
    sentences,
    told,
)

_COLUMN_WIDTH = 4.4  # inches
_EX_POST: dict[str, Any] = {"color": GREY, "ls": "--", "lw": 0.9}
_COLUMNS = ["arm", "kind", "people", "share", "gini", "gini_low", "gini_high", "worlds"]


@matplotlib.rc_context(STYLE)
def lorenz(
    frame: pd.DataFrame, reference: str, caption: str, arms: Sequence[str] | None = None
) -> Plot:
    """Cumulative share of all chances over the cumulative share of candidates.

    Parameters
    ----------
    frame : DataFrame
        `experiments.series.lorenz` of every arm and world, with ``arm``, ``world``.
    reference : str
        Arm drawn as the reference policy.
    caption : str
        First sentences of the footer.
    arms : sequence of str, optional
        All arms of the study in order, which fixes their colours; default: as in the frame.

    Returns
    -------
    Plot
        Solid: chances before the lots are drawn (ex ante), means over worlds. Dashed: transplants
        (ex post), a grey line for each policy. Columns of the data: ``arm``, ``kind``, ``people``,
        ``share``, ``gini`` with its 95 % t interval over worlds ``gini_low``, ``gini_high``, and
        ``worlds``; NaN where a world had nothing to share.
    """
    order = arms_of(frame, arms, None)
    present = [arm for arm in order if arm in set(frame["arm"])]
    data = _means(frame)
    ginis = data.drop_duplicates(["kind", "arm"]).set_index(["kind", "arm"])
    worlds = frame["world"].nunique()
    text = sentences(
        caption,
        f"{worlds} world{'s' * (worlds != 1)}, {frame['tie_seeds'].max()} tie seeds each; means "
        "over worlds" + ("; in brackets: 95 % t intervals" if worlds > 1 else ""),
        "Ex ante: the chances each candidate was given, summed over the run (more than one where "
        "kidneys offered to them were refused), mean over tie seeds; "
        "ex post: transplanted or not, which a policy hardly changes while every kidney finds a "
        "taker. Dotted: equal shares",
        "Undefined in some world, so not drawn" if data["share"].isna().any() else "",
    )
    labels = [_label(arm, ginis.loc[("ex_ante", arm)], reference) for arm in present]
    labels.append(f"ex post, all policies: Gini {_range(ginis.loc['ex_post', 'gini'])}")
    height = 3.2 + 0.155 * legend_lines(labels, _COLUMN_WIDTH)
    figure = new_figure(height, text, _COLUMN_WIDTH)
    axes = figure.subplots()
    styles = line_styles(order)
    for kind, arm in sorted(ginis.index, key=lambda key: key[0] == "ex_ante"):
        rows = data[(data["kind"] == kind) & (data["arm"] == arm)]
        above = {"linewidth": THICK, "zorder": 2.5} if arm == reference else {"zorder": 3}
        style = styles[arm] | above if kind == "ex_ante" else _EX_POST
        axes.plot(rows["people"], rows["share"], label=f"{kind} {arm}", **style)
    axes.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":")
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", ylabel="cumulative share of chances")
    axes.set_xlabel("cumulative share of candidates, least first")
    handles = [Line2D([], [], **styles[arm]) for arm in present]
    handles.append(Line2D([], [], **_EX_POST))
    legend(figure, handles, labels)
    said = {arm: float(ginis.loc[("ex_ante", arm), "gini"]) for arm in present}
    alt = (
        "Lorenz curves of chances among candidates (Gini index: 0 equal, 1 all to one). "
        f"Ex ante: {told(said, reference)}; ex post: {_range(ginis.loc['ex_post', 'gini'])}."
    )
    title = "How equally chances of a transplant are shared"
    return Plot(figure, data, {"title": title, "caption": text, "alt": alt})


def _means(frame: pd.DataFrame) -> pd.DataFrame:
    keys = ["arm", "kind", "people"]
    curves = mean_interval(frame, keys, "share")[[*keys, "mean"]].rename(columns={"mean": "share"})
    ginis = mean_interval(frame.drop_duplicates(["arm", "kind", "world"]), ["arm", "kind"], "gini")
    ginis = ginis.rename(columns={"mean": "gini", "low": "gini_low", "high": "gini_high"})
    return curves.merge(ginis, on=["arm", "kind"])[_COLUMNS]


def _label(arm: str, row: pd.Series, reference: str) -> str:
    name = f"{arm} (reference policy)" if arm == reference else arm
    if np.isnan(row["gini"]):
        return f"{name}: Gini undefined"
    interval = ""
    if np.isfinite(row["gini_low"]):
        interval = f" ({row['gini_low']:.2f} to {row['gini_high']:.2f})"
    return f"{name}: Gini {row['gini']:.2f}{interval}"


def _range(values: pd.Series) -> str:
    known = values.dropna()
    if known.empty:
        return "undefined"
    low, high = f"{known.min():.2f}", f"{known.max():.2f}"
    return low if low == high else f"{low} to {high}"
