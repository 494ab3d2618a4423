"""What became of candidates: stacked cumulative incidence, and who won and who lost."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from experiments.figures.style import (
    GREY,
    GROUPING_NAMES,
    SMALL,
    STYLE,
    WIDTH,
    Plot,
    against,
    arms_of,
    design,
    legend,
    line_styles,
    mean_interval,
    new_figure,
    over_tie_seeds,
    sentences,
    wrapped,
)
from populations.errors import InputError

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
_PER = 1000.0  # candidates


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
        Rows: everybody, then the groups of this grouping.

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
        "Numbers beneath panels: candidates still followed (mean per world)",
    )
    figure = new_figure(0.75 + 1.02 * len(groups), text, min(WIDTH, 1.8 + 1.7 * len(order)))
    grid = figure.subplots(len(groups), len(order), sharex=True, sharey=True, squeeze=False)
    for i, (kind, group) in enumerate(groups):
        for j, arm in enumerate(order):
            of_group = (data["grouping"] == kind) & (data["group"] == group)
            _stack(grid[i, j], data[of_group & (data["arm"] == arm)], frame["years"].max())
            _numbers_at_risk(grid[i, j], data[of_group & (data["arm"] == arm)], len(order) > 5)
        name = GROUPING_NAMES["all"] if kind == "all" else group
        grid[i, 0].set_ylabel(name.replace(" ", "\n"))
    for j, arm in enumerate(order):
        grid[0, j].set_title(wrapped(arm, max(12, 88 // len(order))), size=7.5)
        grid[-1, j].tick_params(axis="x", pad=11)
    grid[-1, 0].set_xlabel("years since listing", loc="left")
    handles = [Patch(color=colour) for colour in FATE_COLOURS.values()]
    legend(figure, handles, [FATE_NAMES[cause] for cause in FATE_COLOURS])
    return Plot(figure, data)


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


@matplotlib.rc_context(STYLE)
def winners_and_losers(
    frame: pd.DataFrame,
    reference: str,
    caption: str,
    arms: Sequence[str] | None = None,
    floor: pd.DataFrame | None = None,
) -> Plot:
    """Who is transplanted only under a policy, only under the reference, earlier, or later.

    Parameters
    ----------
    frame : DataFrame
        `experiments.series.ledger` of every run against the reference arm's run of the same world
        and tie seed, with ``arm``, ``world``, ``tie_seed``.
    reference : str
        The reference arm; its own rows, if any, are not drawn.
    caption : str
        First sentences of the footer.
    arms : sequence of str, optional
        All arms of the study in order, which fixes their colours; default: as in the frame.
    floor : DataFrame, optional
        The same for two tie seeds of one arm: the churn that chance alone makes.

    Returns
    -------
    Plot
        Bars: means over worlds, per cent of candidates; points: means over worlds and 95 % t
        intervals. Columns of the data: ``arm``, ``what``, ``reference_fate``, ``fate``, ``mean``,
        ``low``, ``high``, ``worlds``; ``what`` is ``flow``, a change, ``churn``, ``churn_floor``
        (shares) or ``life_years`` (per 1,000 candidates).

    Raises
    ------
    InputError
        If no arm but the reference is in the frame.
    """
    order = arms_of(frame, arms, None)
    shown = against(frame, order, reference)
    data = _ledger_means(frame[frame["arm"] != reference], floor)
    figure = new_figure(0.95 + 0.55 * len(shown), sentences(caption, _ledger_note(frame, floor)))
    bars, churn, years = figure.subplots(1, 3, sharey=True, width_ratios=[3.2, 1.3, 1.3])
    for place, arm in enumerate(shown):
        _bars(bars, data[data["arm"] == arm], place)
    bars.axvline(0, color="black", lw=0.6)
    bars.set_yticks(range(len(shown)), [wrapped(arm, 20) for arm in shown])
    bars.set_ylim(len(shown) - 0.45, -0.75)
    bars.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{abs(100 * share):g}"))
    bars.set_xlabel("candidates (%)")
    bars.margins(x=0.12)
    bars.set_title("Transplanted under one policy only, by fate under the other", size=7.5)
    for text, align in (("lost, or later  ", "right"), ("  gained, or earlier", "left")):
        bars.text(0, -0.4, text, ha=align, va="bottom", size=SMALL, color="#333333")
    colours = {arm: style["color"] for arm, style in line_styles(order).items()}
    _points(churn, data[data["what"] == "churn"], shown, colours)
    _points(churn, data[data["what"] == "churn_floor"], shown, colours, hollow=True)
    own = data[(data["what"] == "churn_floor") & (data["arm"] == reference)]
    for row in own.itertuples():
        churn.axvline(row.mean, color=colours[reference], lw=1.0, zorder=1)
        if np.isfinite(row.low):
            churn.axvspan(row.low, row.high, color=colours[reference], alpha=0.12, lw=0, zorder=0)
    churn.set_xlim(left=0)
    churn.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}"))
    churn.set(xlabel="churn\n(% of transplants)")
    _points(years, data[data["what"] == "life_years"], shown, colours)
    years.axvline(0, color=GREY, lw=0.8, ls="--", zorder=1)
    years.set(xlabel="life-years per 1,000\ncandidates, difference")
    for axes in (churn, years):
        axes.grid(axis="y", color="#EEEEEE", lw=0.6)
    for axes in (bars, churn, years):
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
    _ledger_legend(figure, floor is not None)
    return Plot(figure, data)


def _ledger_means(frame: pd.DataFrame, floor: pd.DataFrame | None) -> pd.DataFrame:
    keys = ["what", "reference_fate", "fate"]
    runs = ["arm", "world", "tie_seed"]
    # A pair of fates that does not occur in a run has no row there: it is 0, not missing.
    wide = frame.pivot_table(index=runs, columns=keys, values="share", dropna=False, observed=True)
    wide = wide.loc[:, wide.notna().any()]
    present = wide.index.isin(pd.MultiIndex.from_frame(frame[runs]))
    flows = wide.columns.get_level_values("what") == "flow"
    wide = wide[present].astype(float)
    wide.loc[:, flows] = wide.loc[:, flows].fillna(0.0)
    shares = wide.stack(keys, future_stack=True).rename("value").reset_index()
    moved = frame[frame["what"] == "flow"].groupby(runs, sort=False, observed=True)
    totals = (_PER * moved["life_years"].sum() / moved["n"].sum()).rename("value").reset_index()
    parts = [shares, totals.assign(what="life_years")]
    if floor is not None:
        noise = floor[floor["what"] == "churn"].rename(columns={"share": "value"})
        parts.append(noise[[*runs, "value"]].assign(what="churn_floor"))
    table = pd.concat(parts).fillna({"reference_fate": "", "fate": ""})
    worlds = over_tie_seeds(table, keys, ["value"])
    return mean_interval(worlds, ["arm", *keys], "value")


def _ledger_note(frame: pd.DataFrame, floor: pd.DataFrame | None) -> str:
    interval = "points: mean and 95 % t interval over worlds"
    if frame["world"].nunique() == 1:
        interval = "one world, so no intervals"
    noise = (
        "; hollow, and for the reference the vertical line and band: the same policy with two "
        "tie seeds, that is by lots alone"
        if floor is not None
        else ""
    )
    return (
        "Each candidate under the policy and under the reference in the same world. Coloured bars: "
        "transplanted only under the policy, by what happened to them under the reference (right), "
        "and only under the reference, by what happened to them under the policy (left). Churn: "
        f"candidates gained or lost / transplants of both runs{noise}. Life-years: by the horizon. "
        f"{design(frame)}, {frame['horizon'].max():g} years; bars: means over worlds; {interval}."
    )


def _bars(axes: Axes, data: pd.DataFrame, place: int) -> None:
    flows = data[data["what"] == "flow"]
    fates = [fate for fate in reversed(FATE_COLOURS) if fate != "transplanted"]
    for sign, mine, other in ((1, "fate", "reference_fate"), (-1, "reference_fate", "fate")):
        only = flows[(flows[mine] == "transplanted")].set_index(other)["mean"]
        left = 0.0
        for fate in fates:
            width = sign * float(only.get(fate, 0.0))
            axes.barh(place - 0.1, width, 0.42, left=left, color=FATE_COLOURS[fate])
            left += width
        axes.text(
            left,
            place - 0.1,
            f" {abs(100 * left):.1f} ",
            size=SMALL,
            va="center",
            ha="left" if sign > 0 else "right",
        )
    change = data.set_index("what")["mean"]
    axes.barh(place + 0.23, change["earlier"], 0.14, color="#777777")
    axes.barh(place + 0.23, -change["later"], 0.14, color="#BBBBBB")


def _points(
    axes: Axes,
    data: pd.DataFrame,
    shown: Sequence[str],
    colours: Mapping[str, str],
    hollow: bool = False,
) -> None:
    for row in data[data["arm"].isin(shown)].itertuples():
        fill = "white" if hollow else colours[row.arm]
        colour, place = colours[row.arm], shown.index(row.arm) + (0.2 if hollow else 0.0)
        axes.plot([row.low, row.high], [place, place], color=colour, lw=1.2)
        axes.plot(row.mean, place, "o", ms=4.5, color=colour, mfc=fill, clip_on=False, zorder=3)


def _ledger_legend(figure: matplotlib.figure.Figure, floor: bool) -> None:
    fates = [fate for fate in reversed(FATE_COLOURS) if fate != "transplanted"]
    handles: list[Patch | Line2D] = [Patch(color=FATE_COLOURS[fate]) for fate in fates]
    labels = [FATE_NAMES[fate] for fate in fates]
    handles += [Patch(color="#777777"), Patch(color="#BBBBBB")]
    labels += ["transplanted earlier", "transplanted later"]
    if floor:
        handles.append(Line2D([], [], marker="o", ls="", mfc="white", color=GREY))
        labels.append("churn by chance alone")
    legend(figure, handles, labels)
