"""All measures at a glance: how clearly each policy differs from the reference in each of them."""

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from scipy.special import ndtri

from experiments.figures.style import (
    DIVERGING,
    LETTER,
    LINE,
    SMALL,
    STYLE,
    WIDTH,
    Plot,
    arms_of,
    extent,
    new_figure,
    sentences,
    wrapped,
)
from experiments.headlines import row_label
from measures.registry import MEASURES, is_ratio
from populations.errors import InputError

# Lower and higher, where neither is better: ColorBrewer's purple and green (M).
NEUTRAL = LinearSegmentedColormap.from_list(
    "lower_higher", ["#762A83", "#AF8DC3", "#E6E6E6", "#7FBF7B", "#1B7837"]
)
_FULL = 4.0  # standard errors at which a colour is at its strongest
_DARK = 2.6  # beyond which text on it is white
_LARGEST = 99.9
_ROW, _BAR, _AROUND = 0.19, 0.07, 0.75  # inches: rows, colour bars, what stands around them
_SHORTEST = 16  # letters in a line of a name that is written upright
_TOLD = 4  # kinds of difference named in the alternative text
_SIGNS = {"higher": 1.0, "lower": -1.0, "none": 0.0}
_ARROWS = {"higher": " \N{UPWARDS ARROW}", "lower": " \N{DOWNWARDS ARROW}", "none": ""}
_KEY = ["measure", "grouping", "group"]


@matplotlib.rc_context(STYLE)
def heat_map(
    differences: pd.DataFrame,
    reference: str,
    caption: str,
    arms: Sequence[str] | None = None,
    measures: Sequence[str] | None = None,
) -> Plot:
    """Standardised paired differences from the reference, measures in rows, policies in columns.

    Parameters
    ----------
    differences : DataFrame
        `experiments.inference.differences`: ``arm``, ``measure``, ``grouping``, ``group``,
        ``value``, ``low``, ``high``, ``worlds``, ``p``, ``family``, ``p_holm``.
    reference : str
        The policy the differences are from.
    caption : str
        First sentences of the footer.
    arms : sequence of str, optional
        All arms of the study in order; default: as in the frame.
    measures : sequence of str, optional
        Names of the measures to show; default: those declared.

    Returns
    -------
    Plot
        In each cell z, the standard normal deviate with the same p as the paired t test over
        worlds, signed as the difference. The data have columns ``arm``, ``measure``,
        ``grouping``, ``group``, ``value``, ``low``, ``high``, ``worlds``, ``p``, ``p_holm``, ``z``
        and ``direction`` ("higher", "lower" or "none" is better).

    Raises
    ------
    InputError
        If none of the measures is in the frame.
    """
    order = [arm for arm in arms_of(differences, arms, None) if arm in set(differences["arm"])]
    wanted = differences["family"] == "declared"
    if measures is not None:
        wanted = differences["measure"].isin(measures)
    rows = differences[wanted & (differences["arm"] != reference)]
    if rows.empty:
        asked = "declared measures" if measures is None else ", ".join(measures)
        raise InputError(f"figure: measures: {asked}: no difference from {reference!r} in the data")
    data = _scored(rows)
    keys = list(dict.fromkeys(data[_KEY].itertuples(index=False, name=None)))
    shown = [arm for arm in order if arm in set(data["arm"])]
    worlds = int(data["worlds"].max())
    text = sentences(
        caption,
        f"Cells: difference from {reference} in the same world, in standard errors (z with the "
        f"same p as the paired t test over {worlds} world{'s' * (worlds != 1)}); plus: higher than "
        f"under {reference}",
        "Ratios: of logarithms. Arrow up: higher is better; down: lower is better; none: neither",
        "Bold: p below 0.05 after Holm's adjustment for all declared tests"
        if data["p_holm"].notna().any()
        else "No test is adjusted for the number of tests",
        "=: the same in every world" if (data["z"] == 0).any() else "",
        "Where the difference is the same in every world p is that of the sign test"
        if (data["p"].notna() & data["low"].isna()).any()
        else "",
        "-: undefined in some world, or one world only" if data["z"].isna().any() else "",
    )
    columns = _columns(shown, WIDTH - LETTER * (max(len(row_label(*key)) for key in keys) + 6))
    heights = [_ROW * len(keys), _BAR]
    figure = new_figure(columns.height + sum(heights) + _AROUND, text)
    places = figure.subplot_mosaic([["cells", "cells"], ["known", "none"]], height_ratios=heights)
    _cells(places["cells"], data, keys, shown)
    places["cells"].set_xticks(range(len(shown)), columns.names, rotation=columns.rotation)
    _bars(figure, places["known"], places["none"])
    title = f"How clearly policies differ from {reference}"
    said = {"title": title, "caption": text, "alt": _alt(data, reference)}
    return Plot(figure, data, said)


def _scored(rows: pd.DataFrame) -> pd.DataFrame:
    ratio = rows["measure"].map(is_ratio).astype(bool)
    size = rows["value"].where(~ratio, np.log(rows["value"].where(rows["value"] > 0)))
    z = np.sign(size) * -ndtri(rows["p"] / 2)
    cards = rows["measure"].str.partition(".")[0]
    direction = [MEASURES[name].direction if name in MEASURES else "none" for name in cards]
    kept = rows[["arm", *_KEY, "value", "low", "high", "worlds", "p", "p_holm"]]
    # No difference at all is z = 0, whatever sign rounding gave its p.
    return kept.assign(z=z.mask(size == 0, 0.0), direction=direction).reset_index(drop=True)


def _cells(
    axes: Axes, data: pd.DataFrame, keys: Sequence[tuple[str, ...]], shown: Sequence[str]
) -> None:
    norm = Normalize(-_FULL, _FULL, clip=True)
    directions: dict[tuple[str, ...], str] = {}
    for row in data.itertuples():
        key: tuple[str, ...] = (row.measure, row.grouping, row.group)
        directions[key] = row.direction
        x, y = shown.index(row.arm), keys.index(key)
        text, colour = "-", "white"
        if not np.isnan(row.z):
            sign = _SIGNS[row.direction]
            colour = DIVERGING(norm(sign * row.z)) if sign else NEUTRAL(norm(row.z))
            shown_z = round(float(np.clip(row.z, -_LARGEST, _LARGEST)), 1)
            text = f"{shown_z + 0.0:+.1f}" if row.z else "="
        axes.bar(x, 1, 1, bottom=y - 0.5, color=colour, ec="white", lw=1.2)
        axes.text(
            x,
            y,
            text,
            size=SMALL,
            ha="center",
            va="center",
            color="white" if abs(row.z) > _DARK else "black",
            weight="bold" if row.p_holm < 0.05 else "normal",
        )
    axes.set(xlim=(-0.5, len(shown) - 0.5), ylim=(len(keys) - 0.5, -0.5))
    axes.set_yticks(range(len(keys)), [row_label(*key) + _ARROWS[directions[key]] for key in keys])
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


class _Columns(NamedTuple):
    """Names of columns as they are written, and the height they need in inches."""

    names: list[str]
    rotation: int
    height: float


def _columns(shown: Sequence[str], width: float) -> _Columns:
    """Names across the columns, ``width`` wide together, where they fit; else upright."""
    room = width / len(shown)
    names = [wrapped(arm, max(int(room / LETTER) - 1, 1)) for arm in shown]
    lines, letters = extent(names)
    if letters * LETTER <= room:
        return _Columns(names, 0, lines * LINE)
    for width_of_name in range(_SHORTEST, max(map(len, shown)) + 1):
        names = [wrapped(arm, width_of_name) for arm in shown]
        lines, letters = extent(names)
        if lines * LINE <= room:
            break
    return _Columns(names, 90, letters * LETTER)


def _bars(figure: Figure, known: Axes, none: Axes) -> None:
    """What the colours mean, with a better direction and without."""
    for place, colours, label in (
        (known, DIVERGING, "worse - better"),
        (none, NEUTRAL, "lower - higher (neither is better)"),
    ):
        mappable = ScalarMappable(Normalize(-_FULL, _FULL), colours)
        bar = figure.colorbar(mappable, cax=place, orientation="horizontal")
        bar.set_label(label, size=SMALL)
        bar.set_ticks([-_FULL, -_FULL / 2, 0, _FULL / 2, _FULL])


def _alt(data: pd.DataFrame, reference: str) -> str:
    tested = data[data["z"].notna()]
    if tested.empty:
        return f"No difference from {reference} could be tested."
    clear = tested[tested["p_holm"] < 0.05]
    said = [
        row_label(*key) + (" higher" if z > 0 else " lower")
        for *key, z in clear[[*_KEY, "z"]].itertuples(index=False, name=None)
    ]
    often = pd.Series(said, dtype=object).value_counts()[:_TOLD]
    parts = [f"{what} under {n} of {data['arm'].nunique()} policies" for what, n in often.items()]
    return (
        f"{len(clear)} of {len(tested)} tested differences from {reference} are below p = 0.05 "
        f"after Holm's adjustment. " + (f"Most often: {'; '.join(parts)}." if parts else "")
    ).strip()
