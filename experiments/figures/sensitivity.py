"""What a comparison hangs on: Morris effects, and Sobol shares of variance."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from experiments.figures.style import (
    GREY,
    PALETTE,
    SMALL,
    STYLE,
    Plot,
    legend,
    new_figure,
    save_figures,
    sentences,
    wrapped,
)
from experiments.sensitivity import KEY, Outcome, Sensitivity, outcome_name
from experiments.sensitivity_tables import is_log
from populations.errors import InputError

_MARKERS = "os^DvPX"
_FIRST, _TOTAL = "#0072B2", "#E69F00"  # Okabe & Ito's (M)
_COLUMNS = 2


def save_figures_of(result: Sensitivity) -> None:
    """Draw both figures of an analysis into ``figures/`` of its results folder."""
    study = result.settings.study
    worlds = f"{study.worlds} world{'s' * (study.worlds != 1)}, the same at every point"
    caption = f"Population {study.population}, seed {study.seed}, {worlds}."
    plots = {"sensitivity_morris": morris_effects(result.indices, caption)}
    if (result.indices["method"] == "sobol").any():
        plots["sensitivity_sobol"] = sobol_shares(result.indices, caption)
    save_figures(plots, Path(study.out) / "figures")


def _outcomes(frame: pd.DataFrame, method: str) -> list[tuple[Outcome, pd.DataFrame]]:
    rows = frame[frame["method"] == method]
    if rows.empty:
        raise InputError(f"figure: frame: no rows of method {method!r} to draw")
    return list(rows.groupby(KEY, sort=False))


def _panels(figure: Figure, count: int) -> list[Axes]:
    columns = min(_COLUMNS, count)
    lines = -(-count // columns)
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for empty in axes[count:]:
        empty.set_axis_off()
    return list(axes[:count])


def _title(key: Outcome) -> str:
    scale = "log ratio" if is_log(key[1]) else "difference"
    return wrapped(f"{outcome_name(*key)} ({scale})", 56)


@matplotlib.rc_context(STYLE)
def morris_effects(frame: pd.DataFrame, caption: str) -> Plot:
    """How much each parameter moves a contrast (mu*), and how unevenly (sigma).

    Parameters
    ----------
    frame : DataFrame
        ``indices`` of ``experiments.sensitivity.Sensitivity``.
    caption : str
        First sentences of the footer.

    Returns
    -------
    Plot
        A panel per contrast. Dotted: what mu* would be by chance alone. On the dashed line sigma
        is as large as mu*: above it, the size or sign of an effect depends on the rest.

    Raises
    ------
    InputError
        If there are no rows of method "morris".
    """
    parts = _outcomes(frame, "morris")
    names = _parameters(frame, "mu_star")
    text = sentences(
        caption,
        "Effects of moving a parameter over its whole range, at random places of the others; bars: "
        "95 % intervals over trajectories",
        "Dashed: sigma = mu*; above it the effect is uneven or depends on other parameters",
        "Dotted: mu* that noise alone would give",
    )
    figure = new_figure(0.45 + 2.1 * -(-len(parts) // _COLUMNS), text)
    styles = {name: _style(place) for place, name in enumerate(names)}
    for axes, (key, rows) in zip(_panels(figure, len(parts)), parts, strict=True):
        _effects(axes, rows, styles)
        axes.set_title(_title(key))
        axes.set_xlabel("mu* (mean size of effect)")
        axes.set_ylabel("sigma")
    handles = [Line2D([], [], ls="", ms=4.5, **styles[name]) for name in names]
    legend(figure, handles, names)
    return _plot(figure, frame, "morris", text, "mu_star", "Which assumptions move the result")


def _style(place: int) -> dict[str, Any]:
    return {"color": PALETTE[place % len(PALETTE)], "marker": _MARKERS[place % len(_MARKERS)]}


def _parameters(frame: pd.DataFrame, index: str) -> list[str]:
    return list(dict.fromkeys(frame.loc[frame["index"] == index, "parameter"]))


def _effects(axes: Axes, rows: pd.DataFrame, styles: dict[str, dict[str, Any]]) -> None:
    values = rows.set_index(["parameter", "index"])
    for name, style in styles.items():
        effect, sigma = values.loc[(name, "mu_star")], values.loc[(name, "sigma"), "value"]
        axes.plot([effect["low"], effect["high"]], [sigma, sigma], color=style["color"], lw=1.0)
        axes.plot(effect["value"], sigma, ls="", ms=4.5, **style)
    effects, uneven = (values.xs(index, level="index") for index in ("mu_star", "sigma"))
    right = max(1.05 * effects["high"].clip(upper=2 * effects["value"].max()).max(), 1e-12)
    top = max(1.15 * uneven["value"].max(), right / 4)
    axes.plot([0, right], [0, right], color=GREY, lw=0.8, ls="--", zorder=0)
    floor = values.loc[("all", "mu_star_of_noise"), "value"]
    if np.isfinite(floor):
        axes.axvline(floor, color=GREY, lw=0.9, ls=":", zorder=0)
        right = max(right, 1.05 * floor)
    axes.set_xlim(0, right)
    axes.set_ylim(0, top)


@matplotlib.rc_context(STYLE)
def sobol_shares(frame: pd.DataFrame, caption: str) -> Plot:
    """Share of a contrast's variance that each parameter accounts for, by itself and in all.

    Parameters
    ----------
    frame : DataFrame
        ``indices`` of ``experiments.sensitivity.Sensitivity``.
    caption : str
        First sentences of the footer.

    Returns
    -------
    Plot
        A panel per contrast. Dotted: the share of the variance that is noise, which a total share
        of a parameter without effect may reach.

    Raises
    ------
    InputError
        If there are no rows of method "sobol".
    """
    parts = _outcomes(frame, "sobol")
    names = _parameters(frame, "ST")
    text = sentences(
        caption,
        "Other parameters stay in the middle of their ranges; bars: 95 % intervals by resampling "
        "points, cut at the axis",
        "Total minus first order: interactions, and noise",
        "Dotted: share of the variance that is noise",
    )
    per_panel = 0.75 + 0.34 * len(names)
    figure = new_figure(0.35 + per_panel * -(-len(parts) // _COLUMNS), text)
    for axes, (key, rows) in zip(_panels(figure, len(parts)), parts, strict=True):
        _bars(axes, rows, names)
        axes.set_title(_title(key))
        axes.set_xlabel("share of the variance over the ranges")
    handles = [Patch(color=_FIRST), Patch(color=_TOTAL)]
    legend(figure, handles, ["first order (by itself)", "total (with interactions)"])
    return _plot(figure, frame, "sobol", text, "ST", "What the variance of the result is made of")


def _bars(axes: Axes, rows: pd.DataFrame, names: Sequence[str]) -> None:
    values = rows.set_index(["parameter", "index"])
    for place, name in enumerate(names):
        for index, shift, colour in (("S1", -0.18, _FIRST), ("ST", 0.18, _TOTAL)):
            row = values.loc[(name, index)]
            axes.barh(place + shift, np.clip(row["value"], 0, 1), 0.32, color=colour)
            ends = np.clip([row["low"], row["high"]], 0, 1.02)
            axes.plot(ends, [place + shift] * 2, color="black", lw=0.9)
    noise = values.loc[("all", "noise_share"), "value"]
    if np.isfinite(noise):
        axes.axvline(min(noise, 1.0), color=GREY, lw=1.0, ls=":")
    axes.set_yticks(range(len(names)), names, size=SMALL)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(0, 1.02)


def _plot(
    figure: Figure, frame: pd.DataFrame, method: str, caption: str, index: str, title: str
) -> Plot:
    parts = []
    for key, rows in _outcomes(frame, method):
        here = rows[rows["index"] == index].sort_values("value", ascending=False)
        told = ", ".join(f"{row.parameter} {row.value:.2f}" for row in here.itertuples())
        parts.append(f"{outcome_name(*key)}: {told}")
    what = "mu*" if index == "mu_star" else "total share of variance"
    text = {"title": title, "caption": caption, "alt": f"By {what}. {'; '.join(parts)}."}
    return Plot(figure, frame[frame["method"] == method].reset_index(drop=True), text)
