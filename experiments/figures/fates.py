"""What became of candidates: stacked cumulative incidence."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from experiments.figures.style import (
    GREY,
    GROUPING_NAMES,
    SMALL,
    STYLE,
    WIDTH,
    Plot,
    arms_of,
    design,
    legend,
    new_figure,
    over_tie_seeds,
    sentences,
    told,
    wrapped,
)
from populations.errors import InputError

_ACROSS = 6  # policies side by side

# From the bottom of a stack to its top. Tol's medium-contrast colours (M), none of them a policy's.
FATE_COLOURS: dict[str, str] = {
    "transplanted": "#004488",
    "living_donor": "#6699CC",
    "waiting": "#E4E4E4",
    "other": "#C8BFA0",
    "too_sick": "#EECC66",
    "died": "#994455",
}
FATE_NAMES: dict[str, str] = {
    "transplanted": "deceased-donor transplant",
    "living_donor": "living-donor transplant",
    "waiting": "still waiting",
    "other": "removed, other reason",
    "too_sick": "removed, too sick",
    "died": "died waiting",
}


@matplotlib.rc_context(STYLE)
def cumulative_incidence(
    frame: pd.DataFrame,
    reference: str,
    caption: str,
    arms: Sequence[str] | None = None,
    grouping: str = "race",
) -> Plot:
    """Shares transplanted, died, removed and waiting by years since listing.

    Parameters
    ----------
    frame : DataFrame
        `experiments.series.incidence` of every run, with ``arm``, ``world``, ``tie_seed``.
    reference : str
        Arm drawn first.
    caption : str
        First sentences of the footer.
    arms : sequence of str, optional
        All arms of the study in order; default: as in the frame.
    grouping : str
        Everybody, then the groups of this grouping: rows, or columns with many policies.

    Returns
    -------
    Plot
        Areas: means over worlds, up to the last year reached in every world; beneath each panel
        the mean number at risk. Columns of the data: ``arm``, ``grouping``, ``group``, ``cause``,
        ``years``, ``value``, ``at_risk``.

    Raises
    ------
    InputError
        If the grouping is not in the frame.
    """
    if grouping not in set(frame["grouping"]):
        raise InputError(f"figure: grouping: {grouping!r} is not in the data")
    order = arms_of(frame, arms, None)
    order = sorted((arm for arm in order if arm in set(frame["arm"])), key=lambda a: a != reference)
    rows = frame[frame["grouping"].isin(("all", grouping))]
    data = _mean_stacks(rows)
    groups = list(dict.fromkeys(zip(data["grouping"], data["group"], strict=True)))
    text = sentences(
        caption,
        f"Means over worlds; candidates listed after the start; Aalen-Johansen; {design(frame)}, "
        f"{frame['years'].max():g} years; curves end where follow-up does, or run on once "
        "everybody has left",
        "Over years since listing; numbers beneath panels: candidates still followed (mean per "
        "world)",
    )
    across = len(order) > _ACROSS  # many policies: one above the other, groups side by side
    shape = (len(order), len(groups)) if across else (len(groups), len(order))
    height = 0.75 + (0.92 if across else 1.02) * shape[0]
    figure = new_figure(height, text, min(WIDTH, 1.8 + 1.7 * shape[1]))
    grid = figure.subplots(*shape, sharex=True, sharey=True, squeeze=False)
    by_group = grid.T if across else grid
    for i, (kind, group) in enumerate(groups):
        of_group = data[(data["grouping"] == kind) & (data["group"] == group)]
        for j, arm in enumerate(order):
            panel = of_group[of_group["arm"] == arm]
            _stack(by_group[i, j], panel, frame["years"].max())
            _numbers_at_risk(by_group[i, j], panel, shape[1] > 5)
    names = [GROUPING_NAMES["all"] if kind == "all" else group for kind, group in groups]
    _name_panels(grid, names, order, across)
    handles = [Patch(color=colour) for colour in FATE_COLOURS.values()]
    legend(figure, handles, [FATE_NAMES[cause] for cause in FATE_COLOURS])
    title = f"What had become of candidates, by years since listing, everybody and by {grouping}"
    alt = _stacks_alt(data, order, reference)
    return Plot(figure, data, {"title": title.replace("_", " "), "caption": text, "alt": alt})


def _name_panels(
    grid: NDArray[Any], names: Sequence[str], order: Sequence[str], across: bool
) -> None:
    if across:
        for arm, axes in zip(order, grid[:, 0], strict=True):
            axes.set_title(arm, size=7.5)
        for name, axes in zip(names, grid[-1], strict=True):
            axes.set_xlabel(name)
    else:
        for name, axes in zip(names, grid[:, 0], strict=True):
            axes.set_ylabel(name.replace(" ", "\n"))
        for arm, axes in zip(order, grid[0], strict=True):
            axes.set_title(wrapped(arm, max(12, 88 // len(order))), size=7.5)
        grid[-1, 0].set_xlabel("years since listing", loc="left")
    for axes in grid[-1]:
        axes.tick_params(axis="x", pad=11)


def _stacks_alt(data: pd.DataFrame, order: Sequence[str], reference: str) -> str:
    everybody = data[(data["grouping"] == "all") & data["value"].notna()]
    if everybody.empty:
        return "Stacked areas of what became of candidates; undefined, since nobody was followed."
    # The last year with a value under every policy: elsewhere they would not be compared alike.
    year = everybody.groupby("arm", observed=True)["years"].max().min()
    rows = everybody[everybody["years"] == year].set_index(["cause", "arm"])["value"]
    parts = [
        f"{FATE_NAMES[cause]}: "
        + told({arm: float(rows.get((cause, arm), np.nan)) for arm in order}, reference, ".1%")
        for cause in ("transplanted", "died")
    ]
    return f"Of all candidates {year:g} years after listing, {'; '.join(parts)}."


def _mean_stacks(rows: pd.DataFrame) -> pd.DataFrame:
    keys = ["grouping", "group", "cause", "years"]
    worlds = over_tie_seeds(rows, keys, ["value", "at_risk"])
    grouped = worlds.groupby(["arm", *keys], sort=False, observed=True)[["value", "at_risk"]]
    return grouped.mean(skipna=False).reset_index()


def _stack(axes: Axes, panel: pd.DataFrame, horizon: float) -> None:
    table = panel.pivot(index="years", columns="cause", values="value")[list(FATE_COLOURS)].dropna()
    axes.stackplot(table.index, table.to_numpy().T, colors=list(FATE_COLOURS.values()), lw=0)
    axes.set(xlim=(0, horizon), ylim=(0, 1), yticks=[0, 0.5, 1])
    axes.set_yticks([0, 0.5, 1], ["0", "50 %", "100 %"])
    axes.set_xticks([0.0, horizon / 2, horizon])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda year, _: f"{year:g}"))
    axes.tick_params(axis="x", length=0)


def _numbers_at_risk(axes: Axes, panel: pd.DataFrame, narrow: bool) -> None:
    """At the first two ticks; at the horizon nobody is left."""
    at_risk = panel.groupby("years")["at_risk"].first()
    for year, align in zip(axes.get_xticks()[:2], ("left", "center"), strict=True):
        n = at_risk.iloc[np.abs(at_risk.index - year).argmin()]
        text = f"{n / 1000:.1f}k" if narrow and n >= 1000 else f"{n:,.0f}"
        place = axes.get_xaxis_transform()
        axes.text(year, -0.04, text, transform=place, size=SMALL, color=GREY, ha=align, va="top")
