"""How far a tuned model comes, over the number of answers it was tuned on."""

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from experiments.figures.style import (
    GREY,
    PALETTE,
    STYLE,
    Plot,
    legend,
    new_figure,
    sentences,
)

_PANELS = (
    ("compare_judges.agreement", "Most likely answers agree"),
    ("swap_consistency.consistency", "Same, orders swapped"),
    ("compare_judges.total_variation", "Total variation"),
    ("compare_judges.indecision", "Mean P(coin)"),
)
_SHUFFLED = "-shuffled"


@matplotlib.rc_context(STYLE)
def few_sample_curve(measures: pd.DataFrame, reference: str, untuned: str) -> Plot:
    """Agreement, consistency, distance and indecision over the number of answers.

    Parameters
    ----------
    measures : DataFrame
        ``judge``, ``measure``, ``value``, ``low``, ``high``; adapters are judges named by their
        number of answers, ``-shuffled`` after it where those were shuffled.
    reference, untuned : str
        The judges drawn as horizontal lines.
    """
    wanted = [measure for measure, _ in _PANELS]
    data = measures[measures["measure"].isin(wanted)]
    data = data[["judge", "measure", "value", "low", "high"]].reset_index(drop=True)
    text = sentences(
        "Pairs that no adapter learned from, each in both orders",
        "Bars: 95 % intervals by resampling pairs",
        "Open: tuned on the same questions with shuffled answers",
    )
    figure = new_figure(2.2, text)
    for ax, (measure, title) in zip(figure.subplots(1, len(_PANELS)), _PANELS, strict=True):
        _panel(ax, data[data["measure"] == measure], reference, untuned)
        ax.set_title(title, loc="left")
        ax.set_xlabel("answers")
    handles = [
        Line2D([], [], color=PALETTE[0], marker="o", markersize=4),
        Line2D([], [], color=PALETTE[0], marker="o", markersize=4, mfc="white", linestyle=""),
        Line2D([], [], color=GREY, linestyle="--"),
        Line2D([], [], color="black"),
    ]
    legend(figure, handles, ["tuned", "shuffled answers", untuned, reference])
    said = {"title": "Tuning by the number of answers", "caption": text}
    return Plot(figure, data, said | {"alt": _alt(data, reference, untuned)})


def _alt(data: pd.DataFrame, reference: str, untuned: str) -> str:
    parts = []
    for measure, title in _PANELS:
        found = data[data["measure"] == measure].set_index("judge")["value"]
        sizes = sorted((judge for judge in found.index if judge.isdigit()), key=int)
        shown = [
            (untuned, untuned),
            *((size, f"{size} answers") for size in sizes[:1] + sizes[1:][-1:]),
        ]
        values = [f"{name} {found[judge]:.2f}" for judge, name in shown if judge in found]
        if values:
            parts.append(f"{title}: {', '.join(values)}")
    return f"Tuned models against {reference}. {'; '.join(parts)}."


def _panel(ax: Axes, rows: pd.DataFrame, reference: str, untuned: str) -> None:
    by_judge = rows.set_index("judge")
    for judge, colour, line in ((reference, "black", "-"), (untuned, GREY, "--")):
        if judge in by_judge.index:
            y = float(by_judge.at[judge, "value"])
            ax.axhline(y, linewidth=1, zorder=1, color=colour, linestyle=line)
    adapters = by_judge.drop(index=[reference, untuned], errors="ignore")
    shuffled = adapters.index.str.endswith(_SHUFFLED)
    sizes = adapters.index.str.removesuffix(_SHUFFLED).astype(int)
    for chosen, face, line in ((~shuffled, PALETTE[0], "-"), (shuffled, "white", "")):
        part, x = adapters[chosen], sizes[chosen]
        errors = [part["value"] - part["low"], part["high"] - part["value"]]
        ax.errorbar(
            x,
            part["value"],
            yerr=errors,
            color=PALETTE[0],
            marker="o",
            markersize=4,
            markerfacecolor=face,
            linestyle=line,
            linewidth=1.2,
            elinewidth=0.8,
        )
    ax.set_xscale("log", base=2)
    ticks = sorted(set(sizes))
    ax.set_xticks(ticks, [str(size) for size in ticks])
    ax.minorticks_off()
