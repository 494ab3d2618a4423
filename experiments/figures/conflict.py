"""How definitions of fairness rank the arms, beside how far they agree."""

from collections.abc import Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from experiments.conflict import FEWEST_ARMS, FEWEST_WORLDS, SURE
from experiments.figures.style import (
    SMALL,
    STYLE,
    Plot,
    arms_of,
    new_figure,
    sentences,
    wrapped,
)
from experiments.inference import LEVEL
from populations.errors import InputError

_CELL, _LETTER = 0.2, 0.06  # inches: height of a row, width of a letter
_RANKS, _AGREEMENT = (
    "cividis_r",
    "PuOr",
)  # both read the same by eyes that do not tell red and green
_DARK, _DARK_TAU = 0.55, 0.75  # rank, as part of the scale, and tau beyond which text is white
Matrix = NDArray[np.float64]


@matplotlib.rc_context(STYLE)
def conflict_matrix(
    frame: pd.DataFrame,
    tau: pd.DataFrame,
    reference: str,
    caption: str,
    arms: Sequence[str] | None = None,
) -> Plot:
    """Ranks of the arms under every definition of fairness, beside Kendall's tau of the rankings.

    Parameters
    ----------
    frame : DataFrame
        Columns ``definition``, ``arm``, ``rank``, ``p_fairest``, ``p_least_fair``, ``score``,
        ``low``, ``high``, ``note`` (see ``experiments.conflict``); definitions without a rank are
        named in the footer.
    tau : DataFrame
        Columns ``definition_a``, ``definition_b``, ``tau``, ``same_sign_share``.
    reference : str
        The arm in the first column.
    caption : str
        First sentences of the footer.
    arms : sequence of str, optional
        All arms in order; default: as in the frame.

    Returns
    -------
    Plot
        With fewer than three arms there is no tau to draw, only ranks. The data are the frame's
        rows.

    Raises
    ------
    InputError
        If no definition ranks the arms.
    """
    order = arms_of(frame, arms, reference)
    present = [arm for arm in order if arm in set(frame["arm"])]
    present.sort(key=lambda arm: arm != reference)
    ranked = frame[frame["rank"].notna()]
    names = list(dict.fromkeys(ranked["definition"]))
    if not names:
        raise InputError("figure: frame: no definition ranks the arms")
    left_out = [name for name in dict.fromkeys(frame["definition"]) if name not in names]
    with_tau = len(names) > 1 and len(present) >= FEWEST_ARMS and bool(tau["tau"].notna().any())
    text = sentences(caption, _note(ranked, with_tau), _left_out(left_out))
    labels = [wrapped(arm, 22) for arm in present]
    longest = max(len(line) for label in labels for line in label.split("\n"))
    figure = new_figure(0.35 + _LETTER * longest + _CELL * len(names), text)
    left, right = _panels(figure, len(present), len(names), with_tau)
    ranks, sure = _matrices(ranked, names, present)
    _draw_ranks(left, ranks, sure)
    left.set_xticks(range(len(present)), labels, rotation=90)
    left.set_yticks(range(len(names)), [f"{name}  {place}" for place, name in enumerate(names, 1)])
    left.set_title("Rank")
    if right is not None:
        _draw_tau(right, tau, names)
    return Plot(figure, frame.reset_index(drop=True), _said(text, ranked, sure, names, present))


def _note(ranked: pd.DataFrame, with_tau: bool) -> str:
    tested = bool(ranked["p_fairest"].notna().any())
    parts = (
        "Rank 1 is the fairest",
        "Framed: fairer, or less fair, than every other policy by paired t tests over worlds, "
        f"adjusted for all definitions and both ends (Holm, p < {LEVEL:g})"
        if tested
        else f"Nothing is called sure: that takes two policies and {FEWEST_WORLDS} worlds or more",
        f"Bold tau: of the same sign in at least {100 * SURE:.0f} % of resamples of the worlds"
        if tested and with_tau
        else "",
        "Tau of two definitions: 1 where they rank the policies the same way, -1 the opposite way; "
        "numbers as in the list on the left"
        if with_tau
        else "Tau needs two definitions and three policies or more that they rank differently",
    )
    return sentences(*parts)


def _left_out(names: Sequence[str]) -> str:
    return f"Left out, with the reason in the data: {', '.join(names)}" if names else ""


def _panels(figure: Figure, n_arms: int, n_names: int, with_tau: bool) -> tuple[Axes, Axes | None]:
    if not with_tau:
        return figure.subplots(), None
    left, right = figure.subplots(1, 2, width_ratios=(max(1.25 * n_arms, 5.5), n_names - 1))
    return left, right


def _matrices(
    ranked: pd.DataFrame, names: Sequence[str], present: Sequence[str]
) -> tuple[Matrix, Matrix]:
    """Ranks, and whether first or last place is sure, both shape (definitions, arms)."""
    table = ranked.assign(sure=ranked[["p_fairest", "p_least_fair"]].min(axis=1) < LEVEL)
    wide = table.pivot(index="definition", columns="arm", values=["rank", "sure"])
    ranks, sure = (
        wide[which].loc[list(names), list(present)].to_numpy(dtype=np.float64)
        for which in ("rank", "sure")
    )
    return ranks, sure


def _draw_ranks(axes: Axes, ranks: Matrix, sure: Matrix) -> None:
    last = ranks.shape[1]
    axes.imshow(ranks, cmap=_RANKS, vmin=1, vmax=max(last, 2), aspect="auto")
    for (row, column), rank in np.ndenumerate(ranks):
        dark = (rank - 1) / max(last - 1, 1) > _DARK
        axes.text(
            column,
            row,
            f"{rank:.0f}",
            size=SMALL,
            ha="center",
            va="center",
            color="white" if dark else "black",
            weight="bold" if sure[row, column] else "normal",
        )
        if sure[row, column]:
            corner = (column - 0.44, row - 0.40)
            colour = "white" if dark else "black"
            axes.add_patch(Rectangle(corner, 0.88, 0.80, fill=False, ec=colour, lw=1.0))
    _plain(axes)


def _draw_tau(axes: Axes, tau: pd.DataFrame, names: Sequence[str]) -> None:
    wide = tau.pivot(index="definition_a", columns="definition_b")
    square, sure = (
        wide[which].loc[list(names), list(names)].to_numpy(dtype=np.float64)
        for which in ("tau", "same_sign_share")
    )
    below = np.tril(np.ones_like(square, dtype=bool), -1)
    axes.imshow(np.where(below, square, np.nan), cmap=_AGREEMENT, vmin=-1, vmax=1, aspect="auto")
    for row, column in np.argwhere(below):
        axes.text(
            column,
            row,
            _short(square[row, column]),
            size=SMALL,
            ha="center",
            va="center",
            color="white" if abs(square[row, column]) > _DARK_TAU else "black",
            weight="bold" if sure[row, column] >= SURE else "normal",
        )
    n_names = len(names)
    axes.set_xticks(range(n_names - 1), [str(place) for place in range(1, n_names)])
    axes.set_yticks(range(1, n_names), [str(place) for place in range(2, n_names + 1)])
    axes.set_xlim(-0.5, n_names - 1.5)
    axes.set_title("Kendall's tau")
    _plain(axes)


def _short(value: float) -> str:
    """A number from -1 to 1 in three characters: "-.4", "0", "1"."""
    if np.isnan(value):
        return "-"
    tenths = round(10 * abs(value))
    sign = "\N{MINUS SIGN}" if value < 0 and tenths else ""
    return sign + ({0: "0", 10: "1"}.get(tenths) or f".{tenths}")


def _plain(axes: Axes) -> None:
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _said(
    text: str, ranked: pd.DataFrame, sure: Matrix, names: Sequence[str], present: Sequence[str]
) -> dict[str, str]:
    first = ranked[ranked["rank"] == 1].groupby("definition", sort=False)["arm"].agg(" and ".join)
    told = "; ".join(f"{name}: {first[name]}" for name in names)
    return {
        "title": "Definitions of fairness rank the policies differently",
        "caption": text,
        "alt": (
            f"Ranks of {len(present)} policies under {len(names)} definitions of fairness; "
            f"under {int(sure.any(axis=1).sum())} of them one is surely the fairest or the least "
            f"fair. First by mean score: {told}."
        ),
    }
