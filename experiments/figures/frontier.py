"""Life-years against the worst-off group: what each policy gives up of one for the other."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from scipy.special import fdtri

from experiments.figures.style import (
    GREY,
    GROUPING_NAMES,
    STYLE,
    WIDTH,
    Plot,
    arms_of,
    design,
    legend,
    legend_lines,
    line_styles,
    new_figure,
    sentences,
    told,
)
from experiments.inference import by_world
from measures.table import Floats
from populations.errors import InputError

SYSTEM = "life-years"  # the arm against which a loss of life-years is counted
ANCHORS = ("lottery", SYSTEM)
_COLUMN_WIDTH = 4.4  # inches
_PER = 100.0  # candidates
_MANY = 6  # policies, that need the width of a page
_TICKS = 7  # intervals at most
_ENOUGH = 4  # worlds, for an ellipse: that of three is 16 standard errors long
_SPREAD = ["var_life_years", "cov", "var_rate"]


@matplotlib.rc_context(STYLE)
def frontier(
    measures: pd.DataFrame,
    reference: str,
    caption: str,
    arms: Sequence[str] | None = None,
    grouping: str = "race",
) -> Plot:
    """Mean life-years and the lowest group's transplant rate of every policy.

    Parameters
    ----------
    measures : DataFrame
        Every run's measures: ``arm``, ``world``, ``tie_seed``, ``measure``, ``grouping``,
        ``group``, ``value``, ``numerator``, ``denominator``; of them ``life_years`` of everybody
        and ``transplant_rate`` by ``grouping`` are used.
    reference : str
        The reference policy, which the others' differences are taken from.
    caption : str
        First sentences of the footer.
    arms : sequence of str, optional
        All arms of the study in order, which fixes their colours; default: as in the frame.
    grouping : str
        Whose lowest group counts: that with the lowest mean rate over worlds under the policy.
        Groups without person-years in some run are left out.

    Returns
    -------
    Plot
        Points: means over worlds. Ellipses: 95 % regions of the mean difference from the reference
        in the same world (Hotelling's T squared), drawn around the policy, from four worlds on: a
        policy whose ellipse leaves out the reference's point differs from it. Line: policies that
        no other beats on both axes. Columns of the data: ``arm``, ``life_years`` (per 100
        candidates), ``group``, ``rate``, ``worlds``, ``var_life_years``, ``cov``, ``var_rate``
        (of the mean difference), ``pareto``.

    Raises
    ------
    InputError
        If the measures lack either of the two.
    """
    order = arms_of(measures, arms, None)
    data = _points(measures, reference, grouping)
    present = [arm for arm in order if arm in set(data["arm"])]
    name = GROUPING_NAMES.get(grouping, grouping).lower()
    ellipses = data["var_rate"].notna().any()
    text = sentences(
        caption,
        f"{design(measures)}; points: means over worlds; diamonds: lottery and {SYSTEM}, the "
        "anchors",
        f"Ellipses: 95 % regions of the mean difference from {reference} in the same world, around "
        f"the policy: one that leaves out {reference}'s point differs from it"
        if ellipses
        else f"No ellipses: fewer than {_ENOUGH} worlds, or no difference from {reference}",
        "After each name its lowest group, by mean rate over worlds. Dotted: policies that no "
        "other betters on both axes",
    )
    many = len(present) > _MANY
    width = WIDTH if many else _COLUMN_WIDTH
    groups = data.set_index("arm")["group"]
    labels = [_label(arm, groups[arm], reference) for arm in present]
    figure = new_figure(3.2 + 0.14 * legend_lines(labels, width), text, width)
    axes = figure.subplots()
    styles = line_styles(order)
    rows = data.set_index("arm")
    outlines = {arm: _ellipse(rows.loc[arm]) for arm in present}
    for arm in present:
        x, y = rows.loc[arm, ["life_years", "rate"]]
        outline = styles[arm] | {"linewidth": 0.6 if many else 1.0}
        axes.plot(*outlines[arm], **outline, zorder=2, label=f"ellipse {arm}")
        axes.plot(x, y, **_mark(arm, styles), zorder=4, label=arm)
    best = data[data["pareto"]].sort_values("life_years")
    axes.step(best["life_years"], best["rate"], where="pre", color=GREY, lw=1.0, ls=":", zorder=3)
    _limits(axes, data, np.hstack(list(outlines.values())))
    # So many ticks whatever the size of the axes: else ticks and layout may chase each other.
    axes.xaxis.set_major_locator(MaxNLocator(_TICKS))
    axes.yaxis.set_major_locator(MaxNLocator(_TICKS))
    axes.set_xlabel(f"life-years by the end, per {_PER:g} candidates")
    axes.set_ylabel(f"transplants per 100 person-years,\nlowest group by {name}")
    if SYSTEM in present:
        _price_axis(axes, float(rows.loc[SYSTEM, "life_years"]))
    handles = [Line2D([], [], **_mark(arm, styles)) for arm in present]
    legend(figure, handles, labels)
    said = {"title": f"Life-years against the lowest group by {name}", "caption": text}
    return Plot(figure, data, said | {"alt": _alt(data, reference)})


def _points(measures: pd.DataFrame, reference: str, grouping: str) -> pd.DataFrame:
    wanted = (measures["measure"] == "life_years") & (measures["grouping"] == "all")
    rates = (measures["measure"] == "transplant_rate") & (measures["grouping"] == grouping)
    for what, rows in (("life_years", wanted), (f"transplant_rate by {grouping}", rates)):
        if not rows.any():
            raise InputError(f"figure: measures: no {what} in the data")
    worlds = by_world(measures[wanted | rates])
    life = _PER * worlds[worlds["grouping"] == "all"].pivot(
        index="world", columns="arm", values="value"
    )
    by_group = worlds[worlds["grouping"] != "all"].pivot(
        index="world", columns=["group", "arm"], values="value"
    )
    complete = by_group.notna().all().groupby("group").all()
    kept = [group for group in complete.index if complete[group]]
    table = []
    for arm in dict.fromkeys(measures["arm"]):
        means = by_group.xs(arm, axis=1, level="arm")[kept].mean()
        lowest = means.idxmin() if kept else ""
        row = {"arm": arm, "life_years": life[arm].mean(skipna=False), "group": lowest}
        row |= {"rate": means[lowest] if kept else np.nan, "worlds": len(life)}
        row |= dict.fromkeys(_SPREAD, np.nan)
        if kept and reference in life and arm != reference and len(life) >= _ENOUGH:
            own = np.stack([life[arm], by_group[lowest, arm]])
            base = by_group.xs(reference, axis=1, level="arm")[kept]
            theirs = np.stack([life[reference], base[base.mean().idxmin()]])
            spread = np.cov(own - theirs) / len(life)
            row |= dict(zip(_SPREAD, (spread[0, 0], spread[0, 1], spread[1, 1]), strict=True))
        table.append(row)
    data = pd.DataFrame(table)
    return data.assign(pareto=_unbeaten(data[["life_years", "rate"]].to_numpy(dtype=float)))


def _unbeaten(points: Floats) -> list[bool]:
    """Whether no other point is at least as high on both axes and higher on one."""
    return [
        bool(np.isfinite(p).all())
        and not any((other >= p).all() and (other > p).any() for other in points)
        for p in points
    ]


def _ellipse(row: pd.Series) -> Floats:
    """Outline of the 95 % region, shape (2, points); no points where there is none."""
    worlds = int(row["worlds"])
    if np.isnan([row[name] for name in [*_SPREAD, "life_years", "rate"]]).any():
        return np.empty((2, 0))
    spread = np.array([[row["var_life_years"], row["cov"]], [row["cov"], row["var_rate"]]])
    sizes, axes = np.linalg.eigh(spread.astype(float))
    reach = 2 * (worlds - 1) / (worlds - 2) * fdtri(2, worlds - 2, 0.95)
    turn = np.linspace(0, 2 * np.pi, 121)
    circle = np.stack([np.cos(turn), np.sin(turn)])
    scaled = axes @ (np.sqrt(np.maximum(sizes, 0.0) * reach)[:, None] * circle)
    centre = row[["life_years", "rate"]].to_numpy(dtype=np.float64)
    return np.asarray(centre[:, None] + scaled)


def _limits(axes: Axes, data: pd.DataFrame, outlines: Floats) -> None:
    """Limits that hold all points and ellipses: what cannot be told apart must look so."""
    for set_limits, points, reached in (
        (axes.set_xlim, data["life_years"].dropna(), outlines[0]),
        (axes.set_ylim, data["rate"].dropna(), outlines[1]),
    ):
        if points.empty:
            continue
        low, high = min([*points, *reached]), max([*points, *reached])
        margin = 0.06 * (high - low) or 0.06 * abs(high) or 1.0
        set_limits(low - margin, high + margin)


def _price_axis(axes: Axes, most: float) -> None:
    """A second axis above: the loss of life-years against the arm that seeks them."""
    if not most > 0:
        return

    def lost(x: Floats) -> Floats:
        return 100 * (1 - x / most)

    def kept(percent: Floats) -> Floats:
        return most * (1 - percent / 100)

    price = axes.secondary_xaxis("top", functions=(lost, kept))  # type: ignore[arg-type]
    price.set_xlabel(f"price: loss of life-years against the {SYSTEM} policy (%)")
    axes.spines["top"].set_visible(True)


def _mark(arm: str, styles: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A diamond for anchors, else a circle; hollow where lines are dashed."""
    colour, hollow = styles[arm]["color"], styles[arm]["linestyle"] != "-"
    fill = "white" if hollow else colour
    return {"marker": "D" if arm in ANCHORS else "o", "ms": 6, "ls": "", "c": colour, "mfc": fill}


def _label(arm: str, group: str, reference: str) -> str:
    name = f"{arm} (reference policy)" if arm == reference else arm
    return f"{name}: {group}" if group else name


def _alt(data: pd.DataFrame, reference: str) -> str:
    rows = data.set_index("arm")
    best = ", ".join(data.loc[data["pareto"], "arm"]) or "none"
    return (
        f"Life-years per {_PER:g} candidates: {told(dict(rows['life_years']), reference, '.1f')}. "
        f"Transplants per 100 person-years of the lowest group: "
        f"{told(dict(rows['rate']), reference, '.1f')}. Bettered by none on both: {best}."
    )
