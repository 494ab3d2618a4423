"""What `equipoise fit` prints."""

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from experiments.fitting import Fitted, parameter_names
from policies.choice_models import MODELS
from policies.choices import coding_text
from policies.likelihood import Floats
from populations.schema import SCHEMA

_DECLARED = {1: "+", -1: "-", 0: "?"}
_MOST_CLOSE = 2.0  # log-loss differences within so many standard errors are called alike


def print_fit(fitted: Fitted, console: Console) -> None:
    """Everything a reader should see first, in order."""
    choices = fitted.choices
    shares = ", ".join(
        f"{share:.1%} {answer}"
        for answer, share in zip(
            ("left", "right", "coin"), choices.answers.mean(axis=0), strict=True
        )
    )
    console.print(
        f"{len(choices.answers):,} answers of {choices.people:,} people about "
        f"{choices.pair.max() + 1:,} pairs in {choices.source} (coded "
        f"{coding_text(choices.coding)}): {shares}.",
        markup=False,
    )
    console.print(_weight_table(fitted))
    console.print(_trade_off_table(fitted))
    if fitted.models:
        console.print(_model_table(fitted))
        console.print(_verdict(fitted), markup=False)
    if fitted.mixture:
        console.print(_mixture_table(fitted))
        console.print(_class_table(fitted))
    if fitted.people:
        console.print(_people_table(fitted))
        console.print(
            f"As a policy, all {len(fitted.people.parameters)} are asked about every kidney: slow "
            "on a long list. For national waitlists use --kind mixture, or these as a judge of "
            "pairs.",
            markup=False,
        )
    for warning in fitted.warnings:
        console.print(f"Warning: {warning}.", style="yellow", markup=False)


def _span(low: float, high: float, how: str = "+.3f") -> str:
    return f"({low:{how}}, {high:{how}})"


def _unit(name: str) -> str:
    unit = SCHEMA[name].unit if name in SCHEMA else ""
    return "" if unit == "category" else unit


def _weight_table(fitted: Fitted) -> Table:
    asked = fitted.choices.asked
    table = Table(title="Fitted values of everyone together (95 % intervals)")
    for heading in ("", "declared", "range", "over the range", "", "s.e.", "per unit", ""):
        table.add_column(heading, justify="left" if heading in ("", "range") else "right")
    lows, highs = fitted.interval(fitted.draws)
    rows = zip(parameter_names(fitted), fitted.pooled, lows, highs, fitted.errors, strict=True)
    for name, value, low, high, error in rows:
        told = (f"{value:+.3f}", _span(low, high), f"{error:.3f}")
        if name not in asked.scale:
            label = "lambda: coin" if name == "log_tie" else "shown on the left"
            table.add_row(label, "", "", *told, "", "")
            continue
        ends = asked.scale[name]
        span = ends[1] - ends[0]
        table.add_row(
            name,
            _DECLARED[asked.directions[name]],
            f"{ends[0]:g} to {ends[1]:g} {_unit(name)}".strip(),
            *told,
            f"{value / span:+.4f}",
            _span(low / span, high / span, "+.4f"),
        )
    table.caption = (
        "The log-odds of left against right are twice the difference in utility. Intervals and "
        f"standard errors (s.e.) by drawing people again, {fitted.options.resamples} times."
    )
    return table


def trade_offs(fitted: Fitted) -> dict[str, tuple[float, float, float]]:
    """How much more of the first attribute one more of each other counts as much as.

    Returns
    -------
    dict
        Attribute to (value, low, high), in units of the first attribute; empty if the first's
        interval includes 0, since that would divide by next to nothing.
    """
    scale = fitted.choices.asked.scale
    spans = np.array([high - low for low, high in scale.values()])

    def ratios(parameters: Floats) -> Floats:
        slopes = parameters[..., : len(spans)] / spans
        return np.asarray(slopes[..., 1:] / slopes[..., :1])

    low, high = fitted.interval(fitted.draws[:, 0])
    if low <= 0 <= high:
        return {}
    values = ratios(fitted.pooled)
    lows, highs = fitted.interval(ratios(fitted.draws))
    return {
        name: (float(value), float(low), float(high))
        for name, value, low, high in zip(list(scale)[1:], values, lows, highs, strict=True)
    }


def _trade_off_table(fitted: Fitted) -> Table | str:
    first = next(iter(fitted.choices.asked.scale))
    found = trade_offs(fitted)
    if not found:
        return f"No trade-offs: the weight of {first} is not clear of 0."
    unit = _unit(first)
    table = Table(title=f"Trade-offs, in {escape(unit or 'units')} of {escape(first)}")
    for heading in ("one more of", "counts as much as", "95 % interval"):
        table.add_column(heading, justify="left" if heading == "one more of" else "right")
    for name, (value, low, high) in found.items():
        what = f"{name} ({_unit(name)})" if _unit(name) else name
        ends = sorted((low, high) if value > 0 else (-low, -high))
        one = f"{abs(value):.1f} {unit} {'more' if value > 0 else 'less'}"
        table.add_row(what, " ".join(one.split()), f"{ends[0]:.1f} to {ends[1]:.1f}")
    return table


def _model_table(fitted: Fitted) -> Table:
    table = Table(title="Choice models on answers held out: log-loss an answer (s.e. over people)")
    table.add_column("model")
    table.add_column("idea")
    table.add_column("parameters", justify="right")
    for what in fitted.models:
        for heading in (f"new {what}", "over min_diff", "accuracy"):
            table.add_column(heading, justify="right")
    for model, idea in MODELS.items():
        cells = []
        for scores in fitted.models.values():
            score = scores[model]
            cells += [
                f"{score.log_loss:.4f} ({score.log_loss_error:.4f})",
                "" if model == "min_diff" else f"{score.excess:+.4f} ({score.excess_error:.4f})",
                f"{score.accuracy:.1%}",
            ]
        parameters = next(iter(fitted.models.values()))[model].parameters
        table.add_row(model, idea, str(parameters), *cells)
    uniform = [f"{np.log(3):.4f}", "", ""] * len(fitted.models)
    table.add_row("uniform", "each answer a third of the time", "0", *uniform)
    table.caption = (
        "Lower log-loss is better; 0 would be certainty. Accuracy: how often the most likely "
        "answer was given."
    )
    return table


def _verdict(fitted: Fitted) -> str:
    """Which model predicts best, and that a policy is always min_diff."""
    scores = fitted.models["people"]
    best = min(scores, key=lambda model: scores[model].log_loss)
    if best == "min_diff":
        return "min_diff predicts new people best; the policy is of this kind."
    score = scores[best]
    alike = score.excess > -_MOST_CLOSE * score.excess_error
    return (
        f"{best} predicts new people best"
        + (", though not clearly better than min_diff." if alike else ", clearly.")
        + " The policy is min_diff all the same: of these it alone has a form for many candidates."
    )


def _mixture_table(fitted: Fitted) -> Table:
    assert fitted.mixture is not None
    table = Table(title="Classes of people, on people held out: log-loss an answer (s.e.)")
    for heading in (
        "classes",
        "parameters",
        "nothing known of the person",
        "accuracy",
        "class inferred from their other answers",
        "accuracy",
    ):
        table.add_column(heading, justify="right")
    for score in fitted.mixtures:
        kept = score.classes == len(fitted.mixture.shares)
        table.add_row(
            str(score.classes),
            str(score.parameters),
            f"{score.population:.4f} ({score.population_error:.4f})",
            f"{score.accuracy:.1%}",
            f"{score.personal:.4f} ({score.personal_error:.4f})",
            f"{score.personal_accuracy:.1%}",
            style="bold" if kept else None,
        )
    table.caption = "Bold: kept, as the best at predicting people of whom nothing is known."
    return table


def _class_table(fitted: Fitted) -> Table:
    assert fitted.mixture is not None
    table = Table(title="The classes (weights over the range)")
    table.add_column("class")
    table.add_column("share", justify="right")
    for name in parameter_names(fitted):
        table.add_column("lambda" if name == "log_tie" else name, justify="right")
    directions = list(fitted.choices.asked.directions.values())
    declared = np.append(directions, np.zeros(len(fitted.pooled) - len(directions)))
    rows = zip(fitted.mixture.shares, fitted.mixture.parameters, strict=True)
    for number, (share, parameters) in enumerate(rows, 1):
        against = np.where(parameters * declared < 0, "*", "")
        cells = [f"{mark}{value:+.2f}" for value, mark in zip(parameters, against, strict=True)]
        table.add_row(str(number), f"{share:.1%}", *cells)
    table.caption = "*: against the direction declared for people in general."
    return table


def _people_table(fitted: Fitted) -> Table:
    people = fitted.people
    assert people is not None
    table = Table(title=f"{len(people.parameters)} people, each with values of their own")
    table.add_column("")
    for heading in ("mean", "s.d.", "lowest tenth", "median", "highest tenth"):
        table.add_column(heading, justify="right")
    for name, values in zip(parameter_names(fitted), people.parameters.T, strict=True):
        summary = (values.mean(), values.std(), *np.quantile(values, [0.1, 0.5, 0.9]))
        table.add_row(
            "lambda" if name == "log_tie" else name, *(f"{value:+.2f}" for value in summary)
        )
    table.caption = (
        f"Pooled partially: normal prior around the values of everyone together, s.d. "
        f"{people.spread:g} (weights) and {people.tie_spread:g} (lambda), chosen by predicting "
        f"each tenth of everyone's answers from the rest: log-loss {people.log_loss:.4f} "
        f"({people.log_loss_error:.4f}; of everyone together {fitted.log_loss:.4f}), accuracy "
        f"{people.accuracy:.1%}."
    )
    return table
