"""What all figures share: colours, sizes, legend, caption, averages over worlds, and saving."""

import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter
from scipy.special import stdtrit

from populations.errors import InputError

WIDTH = 7.2  # inches: two columns of a journal page
SMALL = 7.0  # points: the smallest text at print size
LETTER, LINE = SMALL * 0.535 / 72, SMALL * 1.2 / 72  # inches: mean width, height of such text
GREY = "#666666"
THICK = 2.6  # points: the reference policy, visible under the thinner lines of the others
STYLE: Any = {  # matplotlib's own type for it lists every setting's name
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "text.parse_math": False,  # names are text, whatever they hold
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "svg.hashsalt": "equipoise",
}
# The same in every study. Okabe & Ito's colour-blind-safe colours (M).
FIXED: Mapping[str, str] = {
    "human": "#000000",
    "lottery": "#8C8C8C",
    "llm:local": "#0072B2",
    "first-come": "#D55E00",
    "points": "#CC79A7",
    "life-years": "#009E73",
}
# Theirs that are left (yellow is too faint on white), two of Tol's, then the same and more again,
# dashed, so that colour is not all there is to go by (M).
PALETTE = ("#E69F00", "#56B4E9", "#882255", "#999933", "#0072B2", "#D55E00", "#009E73", "#CC79A7")
GROUPING_NAMES = {"sex": "Sex", "race": "Race", "age_band": "Age", "blood_type": "Blood type"}
GROUPING_NAMES |= {"all": "All candidates"}
# Worse, no difference, better: orange and blue are told apart by all (ColorBrewer's, M).
DIVERGING = LinearSegmentedColormap.from_list(
    "worse_better", ["#B35806", "#F1A340", "#E6E6E6", "#67A9CF", "#2166AC"]
)
RATIO_LIMITS = (0.04, 25.0)  # a ratio beyond them is drawn at the edge
_TICKS: dict[float, tuple[float, ...]] = {  # of log axes, by the ratio of their ends
    2.2: (0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 1.75, 2.0),
    8.0: (0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0),
    np.inf: (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0),
}
_EM, _HANDLE = 0.55, 4.4  # ems: mean width of a letter of a legend, of the line before its label
_DASHED = (4.0, 1.2)
_BREAKS = re.compile("(?<=[ :(])|(?<=[a-z]-)")
_DIGITS = 6  # of places in a figure, as shares of it
_TOLD = 4  # policies whose numbers are all in the alternative text


class Plot(NamedTuple):
    """A figure, the data drawn in it, and what is said of it.

    ``text`` has ``title``; ``caption``, the footer in the figure; and ``alt``, which tells somebody
    who cannot see the figure what it shows, with its main numbers.
    """

    figure: Figure
    data: pd.DataFrame
    text: dict[str, str]


def arms_of(frame: pd.DataFrame, arms: Sequence[str] | None, reference: str | None) -> list[str]:
    """Arms in the order that fixes their colours: as given, else as they appear.

    Raises
    ------
    InputError
        If the frame is empty, has an arm that is not among those given, or lacks ``reference``
        (pass None where it may be absent).
    """
    present = list(dict.fromkeys(frame["arm"]))
    if not present:
        raise InputError("figure: frame: no rows to draw")
    order = list(arms) if arms is not None else present
    unknown = [arm for arm in present if arm not in order]
    if unknown:
        raise InputError(f"figure: arms: {unknown[0]!r} is in the data; expected {order}")
    if reference is not None and reference not in present:
        raise InputError(f"figure: reference: {reference!r} is not in the data; choose {present}")
    return order


def against(frame: pd.DataFrame, order: Sequence[str], reference: str) -> list[str]:
    """The arms to compare with the reference, in order.

    Raises
    ------
    InputError
        If there is none.
    """
    present = set(frame["arm"]) - {reference}
    if not present:
        raise InputError(f"figure: arms: only {reference!r}; expected another arm to compare")
    return [arm for arm in order if arm in present]


def line_styles(arms: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Colour and line style of every arm, by its place in the order.

    Later arms are thinner, so that arms with the same results all show.
    """
    half = len(PALETTE) // 2
    dashes: list[Any] = ["-"] * half + [(0, _DASHED)] * half
    free = cycle(zip(PALETTE, dashes, strict=True))
    styles: dict[str, dict[str, Any]] = {}
    for arm, width in zip(arms, np.linspace(2.6, 0.9, len(arms)), strict=True):
        colour, dash = (FIXED[arm], "-") if arm in FIXED else next(free)
        styles[arm] = {"color": colour, "linestyle": dash, "linewidth": width}
    return styles


def over_tie_seeds(frame: pd.DataFrame, keys: Sequence[str], values: Sequence[str]) -> pd.DataFrame:
    """One row per arm, world and key: means over tie seeds, NaN if any is NaN."""
    grouped = frame.groupby(["arm", "world", *keys], sort=False, observed=True)[list(values)]
    return grouped.mean(skipna=False).reset_index()


def mean_interval(worlds: pd.DataFrame, keys: Sequence[str], value: str) -> pd.DataFrame:
    """Mean over worlds and its 95 % t interval, per key.

    Returns
    -------
    DataFrame
        The keys, ``mean``, ``low``, ``high``, ``worlds``; NaN where any world is NaN, no interval
        with fewer than two worlds.
    """
    grouped = worlds.groupby(list(keys), sort=False, observed=True)[value]
    table = pd.DataFrame({"mean": grouped.mean(skipna=False), "worlds": grouped.size()})
    n = table["worlds"].to_numpy()
    spread = grouped.std().where(table["mean"].notna()) / np.sqrt(n)
    half = spread * np.where(n > 1, stdtrit(np.maximum(n - 1, 1), 0.975), np.nan)
    table["low"], table["high"] = table["mean"] - half, table["mean"] + half
    return table.reset_index()[[*keys, "mean", "low", "high", "worlds"]]


def design(frame: pd.DataFrame) -> str:
    """How many worlds and tie seeds stand behind a figure, in words."""
    worlds = frame["world"].nunique()
    seeds = int(frame.groupby("world")["tie_seed"].nunique().max())
    text = f"{worlds} world" + "s" * (worlds != 1)
    return f"{text}, {seeds} tie seed" + ("s" if seeds != 1 else "") + " each"


def sentences(*parts: str) -> str:
    """Parts of a caption as sentences; empty ones are left out."""
    stripped = [part.strip().rstrip(".") for part in parts]
    return " ".join(f"{part[:1].upper()}{part[1:]}." for part in stripped if part)


def told(values: Mapping[str, float], reference: str, how: str = ".2f") -> str:
    """Values of policies in words for ``alt``: all of a few, else the reference's and extremes."""
    known = {arm: value for arm, value in values.items() if not np.isnan(value)}
    if not known:
        return "undefined under every policy"
    unknown = len(values) - len(known)
    undefined = f" ({unknown} undefined)" if unknown else ""
    if len(values) <= _TOLD:
        return ", ".join(f"{arm} {value:{how}}" for arm, value in known.items()) + undefined
    low, high = min(known, key=lambda arm: known[arm]), max(known, key=lambda arm: known[arm])
    first = f"{reference} {known[reference]:{how}}, " if reference in known else ""
    extremes = f"from {known[low]:{how}} ({low}) to {known[high]:{how}} ({high})"
    return f"{first}{len(known)} policies {extremes}{undefined}"


def ratio_ticks(axis: Axis, low: float, high: float) -> None:
    """Ticks of a log axis of ratios that people read, from ``low`` to ``high``."""
    choice = next(ticks for span, ticks in _TICKS.items() if high / low <= span)
    axis.set_major_locator(FixedLocator([tick for tick in choice if low <= tick <= high]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))


def wrapped(name: str, width: int) -> str:
    """A long policy name on several lines, broken after spaces, colons, brackets and hyphens."""
    lines = [""]
    for piece in _BREAKS.split(name):
        if lines[-1] and len(lines[-1] + piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def extent(labels: Sequence[str]) -> tuple[int, int]:
    """Most lines that any label has, and letters of the longest line."""
    lines = [label.split("\n") for label in labels]
    return max(map(len, lines)), max(len(line) for label in lines for line in label)


def row_places(labels: Sequence[str]) -> tuple[list[float], int]:
    """Middles of rows as high as their labels have lines (0, 1, 2 ... for one each); all lines."""
    lines = np.array([1 + label.count("\n") for label in labels])
    places: list[float] = (np.cumsum(lines) - lines / 2 - 0.5).tolist()
    return places, int(lines.sum())


def legend(figure: Figure, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """One legend above all panels, in as many columns as fit."""
    width = figure.get_figwidth()
    figure.legend(
        handles,
        _fitted(labels, width),
        loc="outside upper left",
        ncols=_columns(labels, width),
        handlelength=2.2,
        columnspacing=1.4,
        borderaxespad=0.1,
    )


def legend_lines(labels: Sequence[str], width: float = WIDTH) -> int:
    """Lines of text that ``legend`` takes in a figure of a width in inches."""
    rows = -(-len(labels) // _columns(labels, width))
    return rows + sum(label.count("\n") for label in _fitted(labels, width))


def _fitted(labels: Sequence[str], width: float) -> list[str]:
    """Labels, those too long for a line of their own wrapped."""
    letters = int((width * 72 / STYLE["legend.fontsize"] - _HANDLE) / _EM)
    return [wrapped(label, letters) for label in labels]


def _columns(labels: Sequence[str], width: float) -> int:
    """Most columns whose longest labels fit side by side; columns are filled one by one."""
    room = width * 72 / STYLE["legend.fontsize"]  # in ems
    for columns in range(len(labels), 1, -1):
        sizes = [-(-(len(labels) - i) // columns) for i in range(columns)]
        starts = np.cumsum([0, *sizes])
        longest = [max(map(len, labels[a:b])) for a, b in pairwise(starts)]
        if sum(_EM * n + _HANDLE for n in longest) <= room:
            return columns
    return 1


def line_legend(figure: Figure, arms: Sequence[str], order: Sequence[str], reference: str) -> None:
    """The arms' lines above all panels, the reference marked as such."""
    styles = line_styles(order)
    thick = {"linewidth": THICK}
    handles = [Line2D([], [], **styles[arm] | (thick if arm == reference else {})) for arm in arms]
    labels = [f"{arm} (reference policy)" if arm == reference else arm for arm in arms]
    legend(figure, handles, labels)


def new_figure(height: float, caption: str, width: float = WIDTH) -> Figure:
    """A figure with ``height`` inches for the panels and the caption beneath them."""
    characters = int(width / LETTER)
    lines = textwrap.wrap(caption.replace(" %", "\N{NO-BREAK SPACE}%"), characters)
    footer = len(lines) * SMALL * 1.25 / 72 + 0.08
    bottom = footer / (height + footer)
    layout = ConstrainedLayoutEngine(rect=(0, bottom, 1, 1 - bottom))
    figure = Figure(figsize=(width, height + footer), layout=layout)
    figure.text(
        0.04 / width,
        bottom - 0.02 / (height + footer),
        "\n".join(lines),
        size=SMALL,
        color="#333333",
        va="top",
        linespacing=1.25,
        in_layout=False,
    )
    return figure


def save_figure(plot: Plot, folder: Path, name: str) -> None:
    """Write ``name.png`` (200 dpi), ``name.svg`` and ``name.csv`` (the data drawn).

    The same figure gives the same bytes: the SVG carries no date and its ids do not vary. Title
    and alternative text are in the metadata of both images. The figure's layout is fixed from then
    on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    said = {"Title": plot.text["title"], "Description": plot.text["alt"]}
    with matplotlib.rc_context(STYLE):
        _settle(plot.figure)
        plot.figure.savefig(folder / f"{name}.png", dpi=200, metadata=said)
        plot.figure.savefig(folder / f"{name}.svg", metadata=said | {"Date": None})
    plot.data.to_csv(folder / f"{name}.csv", index=False)


def _settle(figure: Figure) -> None:
    """Lay out for good, in round places.

    The solver orders its variables by their addresses, so the last bits of the places differ from
    process to process, and the ids of clip paths in an SVG are hashes of all the bits.
    """
    for _ in range(2):  # the second makes room for the ticks that the first one chose
        figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position(np.round(axes.get_position(original=True).bounds, _DIGITS).tolist())


def save_figures(plots: Mapping[str, Plot], folder: Path) -> None:
    """Save every figure under its name, and what is said of them in ``captions.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    said = {name: plot.text for name, plot in plots.items()}
    # First, so that figures of an interrupted study are known as ours too.
    (folder / "captions.json").write_text(json.dumps(said, indent=1, ensure_ascii=False))
    for name, plot in plots.items():
        save_figure(plot, folder, name)


def remove_figures(folder: Path) -> None:
    """Remove the figures that ``save_figures`` wrote into ``folder``, and nothing else there."""
    captions = folder / "captions.json"
    if not captions.exists():
        return
    try:
        names = list(json.loads(captions.read_text()))
    except ValueError as error:
        raise InputError(f"{captions}: damaged ({error}); delete {folder}") from error
    for name in names:
        for kind in ("png", "svg", "csv"):
            (folder / f"{Path(name).name}.{kind}").unlink(missing_ok=True)
    captions.unlink()
