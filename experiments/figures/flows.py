"""Winners and losers: what became of candidates under the reference, and under each policy."""

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from experiments.figures.fates import FATE_COLOURS
from experiments.figures.style import (
    DIVERGING,
    GREY,
    SMALL,
    STYLE,
    Plot,
    against,
    arms_of,
    design,
    extent,
    line_styles,
    mean_interval,
    new_figure,
    over_tie_seeds,
    row_places,
    sentences,
    told,
    wrapped,
)

_PER = 1000.0  # candidates
_MOVED = ("earlier", "later")
# From the top of a stack to its bottom; a transplant under both at another time is a place of its
# own under the policy.
_PLACES: dict[str, tuple[str, str]] = {
    "transplanted": ("transplanted", FATE_COLOURS["transplanted"]),
    "earlier": ("... earlier", "#33669F"),
    "later": ("... later", "#7799BB"),
    "waiting": ("waiting", "#AAAAAA"),
    "living_donor": ("living donor", FATE_COLOURS["living_donor"]),
    "other": ("removed, other", FATE_COLOURS["other"]),
    "too_sick": ("too sick", FATE_COLOURS["too_sick"]),
    "died": ("died", FATE_COLOURS["died"]),
}
_FACET = 1.35  # inches high
_LABEL = 0.118  # inches between two labels
_TITLE, _BAR = 0.126, 0.17  # inches: a line of a title, a bar of a line
_KEYS = ["what", "reference_fate", "fate"]
_RUNS = ["arm", "world", "tie_seed"]


class Link(NamedTuple):
    """Candidates with one outcome under the reference and another under a policy."""

    before: str
    after: str
    share: float
    life_years: float  # each, by the horizon, policy minus reference


@matplotlib.rc_context(STYLE)
def winners_and_losers(
    frame: pd.DataFrame,
    reference: str,
    caption: str,
    arms: Sequence[str] | None = None,
    floor: pd.DataFrame | None = None,
) -> Plot:
    """Flows from outcomes under the reference to outcomes under each policy, churn, life-years.

    Parameters
    ----------
    frame : DataFrame
        The ledger of every run against the reference arm's run of the same world and tie seed,
        with ``arm``, ``world``, ``tie_seed``. Rows other than flows, changes and churn are ignored.
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
        Flows: means over worlds, of candidates whose outcome differs; beneath, means over worlds
        and 95 % t intervals. Columns of the data: ``arm``, ``what``, ``reference_fate``, ``fate``,
        ``mean``, ``low``, ``high``, ``worlds``, ``life_years``; ``what`` is ``flow``, a change,
        ``churn``, ``churn_floor`` (shares) or ``life_years`` (per 1,000 candidates); the column
        ``life_years`` is the mean difference of each candidate in a flow or change.

    Raises
    ------
    InputError
        If no arm but the reference is in the frame.
    """
    order = arms_of(frame, arms, None)
    shown = against(frame, order, reference)
    data = _ledger_means(frame[frame["arm"] != reference], floor)
    links = {arm: _links(data[data["arm"] == arm]) for arm in shown}
    text = sentences(caption, _note(frame, reference, floor))
    titles = [_title(arm, links[arm]) for arm in shown]
    heights = [_facets_height(titles, reference), 0.5 + _BAR * row_places(_names(shown))[1]]
    figure = new_figure(sum(heights), text)
    halves = figure.add_gridspec(2, 1, height_ratios=heights)
    grid = halves[0].subgridspec(-(-len(shown) // 2), 2).subplots(squeeze=False)
    largest = max((abs(k.life_years) for ks in links.values() for k in ks), default=0.0)
    norm = Normalize(-largest or -1.0, largest or 1.0)
    height = _height(list(links.values()))
    for axes, arm, title in zip(grid.flat, shown, titles, strict=False):
        _facet(axes, links[arm], height, norm)
        axes.set_title(title, size=7.5)
    for axes in grid.flat[len(shown) :]:
        axes.remove()
    _headings(grid[0][: len(shown)], reference)
    _colour_bar(figure, list(grid.flat[: len(shown)]), norm)
    _summary(
        halves[1].subgridspec(1, 2).subplots(sharey=True, squeeze=False)[0],
        data,
        shown,
        order,
        reference,
    )
    title = f"Winners and losers against {reference}"
    return Plot(figure, data, {"title": title, "caption": text, "alt": _alt(data, links, shown)})


def _ledger_means(frame: pd.DataFrame, floor: pd.DataFrame | None) -> pd.DataFrame:
    frame = frame[
        frame["what"].isin(("flow", "gained", "lost", "same", "neither", "churn", *_MOVED))
    ]
    # A pair of fates that does not occur in a run has no row there: it is 0, not missing.
    wide = frame.pivot_table(
        index=_RUNS, columns=_KEYS, values="share", dropna=False, observed=True
    )
    wide = wide.loc[:, wide.notna().any()]
    present = wide.index.isin(pd.MultiIndex.from_frame(frame[_RUNS]))
    flows = wide.columns.get_level_values("what") == "flow"
    wide = wide[present].astype(float)
    wide.loc[:, flows] = wide.loc[:, flows].fillna(0.0)
    shares = wide.stack(_KEYS, future_stack=True).rename("value").reset_index()
    moved = frame[frame["what"] == "flow"].groupby(_RUNS, sort=False, observed=True)
    totals = (_PER * moved["life_years"].sum() / moved["n"].sum()).rename("value").reset_index()
    parts = [shares, totals.assign(what="life_years")]
    if floor is not None:
        noise = floor[floor["what"] == "churn"].rename(columns={"share": "value"})
        parts.append(noise[[*_RUNS, "value"]].assign(what="churn_floor"))
    table = pd.concat(parts).fillna({"reference_fate": "", "fate": ""})
    means = mean_interval(over_tie_seeds(table, _KEYS, ["value"]), ["arm", *_KEYS], "value")
    sums = frame.groupby(["arm", *_KEYS], sort=False, observed=True)[["life_years", "n"]].sum()
    each = (sums["life_years"] / sums["n"].where(sums["n"] > 0)).rename("life_years")
    return means.merge(each.reset_index(), on=["arm", *_KEYS], how="left")


def _links(data: pd.DataFrame) -> list[Link]:
    """Flows between different outcomes, and transplants moved in time."""
    flows = data[(data["what"] == "flow") & (data["reference_fate"] != data["fate"])]
    links = [Link(r.reference_fate, r.fate, r.mean, r.life_years) for r in flows.itertuples()]
    moved = data[data["what"].isin(_MOVED)]
    links += [Link("transplanted", r.what, r.mean, r.life_years) for r in moved.itertuples()]
    return [link for link in links if link.share > 0]


def _stack(links: Sequence[Link], side: str) -> dict[str, float]:
    """Share of candidates in each place of one side, from top to bottom."""
    shares = dict.fromkeys(_PLACES, 0.0)
    for link in links:
        shares[getattr(link, side)] += link.share
    return {place: share for place, share in shares.items() if share > 0}


def _tops(stack: dict[str, float], label: float) -> dict[str, float]:
    """Where each place begins, so that labels ``label`` high at their middles do not touch."""
    tops, end, middle = {}, 0.0, -np.inf
    for place, share in stack.items():
        tops[place] = max(end + 0.15 * label, middle + label - share / 2)
        end, middle = tops[place] + share, tops[place] + share / 2
    return tops


def _height(facets: Sequence[Sequence[Link]]) -> float:
    """Height of every facet in shares of candidates: one scale that holds the highest stack."""
    stacks = [_stack(links, side) for links in facets for side in ("before", "after") if links]
    height = max((sum(stack.values()) for stack in stacks), default=1.0)
    for _ in range(30):  # gaps are in inches, so they grow with the height: its fixed point
        label = _LABEL * height / _FACET
        ends = [max(top + stack[p] for p, top in _tops(stack, label).items()) for stack in stacks]
        height = max(ends, default=1.0) + 0.5 * label
    return height


def _title(arm: str, links: Sequence[Link]) -> str:
    unchanged = f"{100 * (1 - sum(link.share for link in links)):.0f}"
    return wrapped(f"{arm}, {unchanged}\N{NO-BREAK SPACE}%\N{NO-BREAK SPACE}unchanged", 42)


def _facets_height(titles: Sequence[str], reference: str) -> float:
    """Inches for all facets with their titles, headings and the colour bar."""
    lines = [extent(titles[i : i + 2])[0] for i in range(0, len(titles), 2)]
    lines.append(_heading(reference).count("\n"))
    return 0.42 + len(lines[:-1]) * (_FACET + 0.09) + _TITLE * sum(lines)


def _facet(axes: Axes, links: Sequence[Link], height: float, norm: Normalize) -> None:
    label = _LABEL * height / _FACET
    axes.set(xlim=(-0.02, 1.02), ylim=(height, -0.25 * label), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    if not links:
        axes.text(0.5, height / 2, "everybody's outcome is the same", ha="center", size=SMALL)
        return
    tops = {}
    for side, x, align in (("before", 0.0, "right"), ("after", 1.0, "left")):
        stack = _stack(links, side)
        tops[side] = _tops(stack, label)
        for place, share in stack.items():
            top = tops[side][place]
            name, colour = _PLACES[place]
            axes.bar(x, share, 0.03, bottom=top, color=colour, clip_on=False, zorder=3)
            at = x + (0.03 if x else -0.03)
            words = f"{name} {100 * share:.1f}"
            axes.text(at, top + share / 2, words, size=SMALL, ha=align, va="center")
    places = list(_PLACES)
    steps = np.linspace(0.0, 1.0, 60)
    rise = steps**2 * (3 - 2 * steps)
    for link in sorted(links, key=lambda k: (places.index(k.before), places.index(k.after))):
        left, right = tops["before"][link.before], tops["after"][link.after]
        edge = left + (right - left) * rise
        axes.fill_between(
            steps,
            edge,
            edge + link.share,
            color=DIVERGING(norm(link.life_years)),
            lw=0.3,
            alpha=0.9,
            label=f"{link.before} > {link.after}",
        )
        tops["before"][link.before] += link.share
        tops["after"][link.after] += link.share


def _heading(reference: str) -> str:
    return wrapped(f"under {reference}", 30)


def _headings(first: Sequence[Axes], reference: str) -> None:
    for axes in first:
        axes.xaxis.tick_top()
        axes.set_xticks([0, 1], [_heading(reference), "under the policy"])
        axes.tick_params(axis="x", length=0, pad=1, labelcolor=GREY)


def _colour_bar(figure: Figure, facets: list[Axes], norm: Normalize) -> None:
    bar = figure.colorbar(
        ScalarMappable(norm, DIVERGING),
        ax=facets,
        location="top",
        shrink=0.4,
        aspect=40,
        pad=0.02,
        anchor=(0.0, 1.0),
    )
    bar.set_label("life-years by the end, each, policy - reference", size=SMALL)
    bar.outline.set_visible(False)


def _names(shown: Sequence[str]) -> list[str]:
    return [wrapped(arm, 34) for arm in shown]


def _summary(
    panels: Sequence[Axes],
    data: pd.DataFrame,
    shown: Sequence[str],
    order: Sequence[str],
    reference: str,
) -> None:
    """Bars of churn with what lots alone make of it, and points of life-years."""
    churn, years = panels
    names = _names(shown)
    places, lines = row_places(names)
    colours = {arm: style["color"] for arm, style in line_styles(order).items()}
    for row in data[data["arm"].isin(shown)].itertuples():
        at, colour = places[shown.index(row.arm)], colours[row.arm]
        if row.what == "churn":
            churn.barh(at, 100 * row.mean, 0.6, color=colour, alpha=0.75)
            churn.plot([100 * row.low, 100 * row.high], [at, at], color="black", lw=1.0)
        elif row.what == "churn_floor":
            churn.barh(at, 100 * row.mean, 0.6, fill=False, ec="white", lw=2.4)
            churn.barh(at, 100 * row.mean, 0.6, fill=False, ec="black", lw=0.9, hatch="////")
        elif row.what == "life_years":
            years.plot([row.low, row.high], [at, at], color=colour, lw=1.4)
            years.plot(row.mean, at, "o", ms=4.5, color=colour, clip_on=False, zorder=3)
    own = data[(data["what"] == "churn_floor") & (data["arm"] == reference)]
    for row in own.itertuples():
        churn.axvline(100 * row.mean, color=colours[reference], lw=1.0, ls="--")
    years.axvline(0, color=GREY, lw=0.8, ls="--", zorder=1)
    churn.set(xlabel="churn (% of transplants)", xlim=(0, None))
    years.set(xlabel="life-years per 1,000 candidates, difference")
    churn.set_yticks(places, names)
    churn.set_ylim(lines - 0.4, -0.6)
    for axes in (churn, years):
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)


def _note(frame: pd.DataFrame, reference: str, floor: pd.DataFrame | None) -> str:
    interval = "lines: 95 % t intervals of the mean over worlds"
    if frame["world"].nunique() == 1:
        interval = "one world, so no intervals"
    noise = ""
    if floor is not None:
        noise = (
            "; hatched, and dashed for the reference: the same policy under two tie seeds, that is "
            "by lots alone"
        )
    return (
        f"Each candidate under {reference} (left) and under the policy (right) in the same world; "
        "height: candidates, per cent; one scale in all panels; only those whose outcome, or time "
        "of transplant, differs (the others are unchanged). Colour: life-years by the end of the "
        "run, mean of those in the flow. Outcomes are of first registrations. Churn: candidates "
        "transplanted under one of the two only / those transplanted under each, added up"
        f"{noise}. {design(frame)}, {frame['horizon'].max():g} years; means "
        f"over worlds; {interval}."
    )


def _alt(data: pd.DataFrame, links: dict[str, list[Link]], shown: Sequence[str]) -> str:
    changed = {arm: sum(link.share for link in found) for arm, found in links.items()}
    table = data[data["fate"] == ""].set_index(["what", "arm"])["mean"]

    def of(what: str) -> dict[str, float]:
        return {arm: float(table.get((what, arm), np.nan)) for arm in shown}

    text = (
        f"Candidates whose outcome differs: {told(changed, '', '.0%')}. "
        f"Churn: {told(of('churn'), '', '.0%')}. "
    )
    floor = of("churn_floor")
    if not all(map(np.isnan, floor.values())):
        text += f"By lots alone: {told(floor, '', '.0%')}. "
    years = told(of("life_years"), "", "+.1f")
    return f"{text}Life-years per 1,000 candidates, difference: {years}."
