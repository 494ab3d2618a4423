"""What a sensitivity analysis found, in sentences and as tables for the terminal."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from experiments.inference import RATES
from experiments.sensitivity import KEY, Outcome, Sensitivity, outcome_name
from experiments.sensitivity_design import RANGES_OF_OURS
from experiments.tables import number
from measures.registry import is_ratio

MUCH_NOISE = 0.5
_INDICES = (("mu", "+.3f"), ("mu_star", ".3f"), ("sigma", ".3f"), ("S1", ".2f"), ("ST", ".2f"))
_HEADINGS = {
    "mu": "mean effect (over worlds)",
    "mu_star": "mu* (over trajectories)",
    "sigma": "sigma",
    "S1": "first-order share",
    "ST": "total share",
}
_UNADJUSTED = (
    "that is not adjusted for so many points, and all have the same worlds, so one chance moves "
    "them together"
)
_EXPLAINED = (
    "Effects are per whole range, in units of the contrast. mu*: mean size of an effect; sigma "
    "beside it: not linear, or depending on other parameters. Shares are of the variance over the "
    "ranges; total minus first order: interactions, and noise. 95 % intervals."
)


def outcomes(result: Sensitivity) -> Iterator[tuple[Outcome, pd.DataFrame, pd.DataFrame]]:
    """Each outcome with its rows of the design and of the indices."""
    for key, design in result.design.groupby(KEY, sort=False):
        here = (result.indices[KEY] == list(key)).all(axis=1)
        yield key, design, result.indices[here]


def is_log(measure: str) -> bool:
    """Whether the contrast of a measure is the logarithm of a ratio."""
    return measure in RATES or is_ratio(measure)


def _amount(value: float, measure: str) -> str:
    return f"x {np.exp(value):.2f}" if is_log(measure) else number(value, ".3f", signed=True)


def verdict(key: Outcome, design: pd.DataFrame, indices: pd.DataFrame, reference: str) -> str:
    """What the contrast is, whether its sign holds over the ranges, and what it hangs on."""
    arm, measure, *_ = key
    middle = design[design["design"] == "middle"].iloc[0]
    value, low, high = (_amount(middle[name], measure) for name in ("value", "low", "high"))
    within = f" ({low} to {high})" if np.isfinite(middle["low"]) else ""
    least, most = (_amount(x, measure) for x in (design["value"].min(), design["value"].max()))
    name = outcome_name(*key).removeprefix(f"{arm}: ")
    return " ".join(
        [
            f"{name}, {arm} against {reference}: {value}{within} in the middle of the ranges, "
            f"{least} to {most} over {len(design)} points.",
            _sign(design, middle),
            _hangs_on(indices),
            _noise(indices),
        ]
    )


def _sign(design: pd.DataFrame, middle: pd.Series) -> str:
    points = len(design)
    if not design["value"].any():
        return "It is none at every point."
    above, below = design["low"] > 0, design["high"] < 0
    if design["worlds"].max() < 2:
        n = int((np.sign(design["value"]) == -np.sign(middle["value"])).sum())
        other = f"is the other at {n} of {points} points" if n else "is the same at every point"
        return f"Its sign {other}; one world does not tell chance from effect."
    if not (middle["low"] > 0 or middle["high"] < 0):
        return (
            f"There it is not told from none. Taken one by one, {int(above.sum())} of {points} "
            f"points have an interval above none and {int(below.sum())} one below; {_UNADJUSTED}."
        )
    opposite = int((np.sign(design["value"]) == -np.sign(middle["value"])).sum())
    if not opposite:
        return "Its sign is the same at every point."
    sure = int((below if middle["value"] > 0 else above).sum())
    return (
        f"Its sign changes: {opposite} of {points} points, {sure or 'none'} of them with an "
        f"interval that excludes none; {_UNADJUSTED}."
    )


def _hangs_on(indices: pd.DataFrame) -> str:
    """The parameters that stand out from noise, by share of variance or else by effect."""
    of_all = indices[indices["parameter"] == "all"].set_index(["method", "index"])["value"]
    named: dict[str, str] = {}
    for method, index, floor_of, label in (
        ("sobol", "ST", "noise_share", "total share {:.2f}"),
        ("morris", "mu_star", "mu_star_of_noise", "mu* {:.3f}"),
    ):
        if not of_all.get((method, "noise_share"), np.nan) <= MUCH_NOISE:
            continue
        rows = indices[(indices["index"] == index) & (indices["low"] > of_all[method, floor_of])]
        for row in rows.sort_values("value", ascending=False).itertuples():
            named.setdefault(row.parameter, f"{row.parameter} ({label.format(row.value)})")
    if not named:
        return "No parameter stands out from noise."
    return f"It hangs on {', '.join(named.values())}."


def _noise(indices: pd.DataFrame) -> str:
    shares = indices[indices["index"] == "noise_share"].set_index("method")["value"]
    method = "sobol" if "sobol" in shares else "morris"
    share = shares[method]
    if not np.isfinite(share):
        return "How much of it is noise is not known."
    text = f"Noise is {min(share, 1):.0%} of the variance between points".replace("%", " %")
    return f"{text}: add worlds before reading its indices." if share > MUCH_NOISE else f"{text}."


def print_sensitivity(result: Sensitivity, console: Console) -> None:
    """A sentence on every outcome, then its indices."""
    study = result.settings.study
    for key, design, indices in outcomes(result):
        console.print(_table(result, key, indices))
        said = verdict(key, design, indices, study.reference_arm)
        console.print(said, markup=False, highlight=False)
        console.print()
    console.print(_EXPLAINED, markup=False, highlight=False)
    for name, why in result.left_out.items():
        console.print(f"Left out: {name}: {why}.", style="yellow", markup=False)
    if not result.settings.vary:
        console.print(RANGES_OF_OURS + ".", style="yellow", markup=False)


def _table(result: Sensitivity, key: Outcome, indices: pd.DataFrame) -> Table:
    scale = "log ratio" if is_log(key[1]) else "difference"
    table = Table(title=f"{escape(outcome_name(*key))} ({scale} from the reference)")
    table.add_column("parameter")
    table.add_column("range", justify="right")
    present = [(name, how) for name, how in _INDICES if name in set(indices["index"])]
    for name, _ in present:
        table.add_column(_HEADINGS[name], justify="right")
    values = indices.set_index(["parameter", "index"])
    for each in result.ranges:
        cells = [_cell(values, each.name, name, how) for name, how in present]
        table.add_row(escape(each.name), f"{each.low:g}..{each.high:g}", *cells)
    return table


def _cell(values: pd.DataFrame, parameter: str, index: str, how: str) -> str:
    if (parameter, index) not in values.index:
        return ""
    row = values.loc[(parameter, index)]
    text = number(row["value"], how)
    if not np.isfinite(row["low"]):
        return text
    return f"{text}\n({number(row['low'], how)}, {number(row['high'], how)})"
