"""`equipoise elicit`: ask a language model a declared battery of questions."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from experiments.terminal import Reporter, console, plain_errors

if TYPE_CHECKING:
    from rich.console import Console

    from policies.elicit import Answered, Battery, Plan

_WORDS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")


@click.command("elicit")
@click.argument("model")
@click.option("--schema", default="indecision3", help="Which attributes of a patient are shown.")
@click.option(
    "--pairs",
    "n_pairs",
    type=int,
    default=None,
    show_default="120, or all of a frozen set",
    help="Pairs (or lists), each asked in both orders.",
)
@click.option("--pair-set", "pairs", default="random", help="random, or a frozen set: frozen-1.")
@click.option("--option", default="coin", help="Offered beside: none, coin, undecided, study.")
@click.option("--prompt", default="study-1", help="Version of the prompt.")
@click.option("--reasoning", is_flag=True, help="Let the model think before it answers.")
@click.option(
    "--samples", default=1, type=int, help="1 at temperature 0; more are draws at temperature 1."
)
@click.option("--steer", default="", help="Text to put before the question.")
@click.option("--size", default=2, type=int, help="Patients per question; above 2, lists.")
@click.option("--seed", default=1, type=int, help="Which pairs are drawn.")
@click.option("--max-calls", type=int, help="Do not begin if it takes more calls.")
@click.option("--max-cost", type=float, help="Do not pay more than so many US dollars.")
@click.option("--concurrency", default=4, type=int, help="Questions in flight at once.")
@click.option("--requests-per-minute", type=float, help="Most requests per minute.")
@click.option("--timeout", type=float, help="Seconds of silence after which to ask again.")
@click.option(
    "--answers",
    default="results/answers.sqlite",
    type=click.Path(path_type=Path),
    help="Where answers are kept.",
)
@click.option("--fresh", is_flag=True, help="Ask even what the shipped answer tables know.")
@click.option("--show-answers", is_flag=True, help="Print what the model said, word for word.")
@click.option("--dry-run", is_flag=True, help="Print what would be asked, and ask nothing.")
@plain_errors
def elicit_command(
    model: str,
    n_pairs: int | None,
    answers: Path,
    fresh: bool,
    show_answers: bool,
    dry_run: bool,
    max_calls: int | None,
    max_cost: float | None,
    concurrency: int,
    requests_per_minute: float | None,
    timeout: float | None,
    **questions: Any,
) -> None:
    """Ask MODEL which of two patients should get the kidney, many times.

    MODEL is "local" (embedded), "local+ADAPTER", or a litellm name such as openai/gpt-4o, its key
    in the environment. Answers are kept: a second run asks only what is missing.
    """
    from policies.draws import frozen_pairs
    from policies.elicit import Battery, elicit, plan
    from policies.pacing import Limits

    limits = Limits(max_calls, max_cost, concurrency, requests_per_minute, timeout)
    if n_pairs is None:
        frozen = questions["pairs"] != "random"
        n_pairs = len(frozen_pairs(questions["schema"], questions["pairs"])) if frozen else 120
    battery = Battery(n_pairs=n_pairs, **questions)
    terminal = console()
    _print_plan(terminal, battery, plan(model, battery, answers, fresh=fresh), model)
    if dry_run:
        return
    with Reporter() as progress:
        answered = elicit(
            model, battery, answers, lambda *done: progress("asking", *done), limits, fresh=fresh
        )
    _print_answered(terminal, battery, model, answered)
    if show_answers:
        for row, answer in zip(battery.rows(model), answered.answers, strict=True):
            asked = row.asked
            said = (
                json.loads(answer.raw)["text"] if answer.raw.startswith('{"text"') else answer.raw
            )
            said = "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in said)
            terminal.print(
                f"{asked.pair} ({asked.shown}, {asked.sample}): {answer.category}: {said}",
                markup=False,
                highlight=False,
            )


def _print_plan(terminal: "Console", battery: "Battery", plan: "Plan", model: str) -> None:
    kept = battery.questions(model)
    what = f"{kept.model}{' + ' + kept.adapter if kept.adapter else ''}, prompt {kept.prompt}"
    cost = "cost not known" if plan.cost is None else f"about {plan.cost:.4f} US dollars"
    terminal.print(
        f"{what}, {battery.schema}, option {battery.option}"
        f"{', steered ' + kept.steer if kept.steer else ''}\n"
        f"Questions: {plan.calls + plan.answered + plan.shipped}; {plan.answered} answered before, "
        f"{plan.shipped} from shipped tables, {plan.calls} calls to make; {cost} ({plan.why})",
        markup=False,
        highlight=False,
    )
    if battery.samples > 1 and battery.one_is_enough(model):
        terminal.print(
            f"Asked once, not {battery.samples} times: one answer in next-token probabilities is "
            "the whole distribution"
        )


def _print_answered(
    terminal: "Console", battery: "Battery", model: str, answered: "Answered"
) -> None:
    from experiments.tables import listing
    from policies.summary import summarise

    summary = summarise(answered)
    total = len(answered.answers)
    rows = [
        (f"answers: {category}", str(count), _share(count / total))
        for category, count in summary.categories.items()
    ]
    rows += [(f"read from {read}", str(count), "") for read, count in summary.reads.items()]
    rows += [
        (f"chosen when shown {_place(place)}", "", _share(share))
        for place, share in enumerate(summary.positions)
    ]
    if battery.offers_coin:
        rows.append(("left undecided", "", _share(summary.coin)))
    rows += [
        ("same patient in both orders", "", _share(summary.same_patient)),
        ("same position in both orders", "", _share(summary.same_position)),
    ]
    if battery.offers_coin:
        rows.append(("left undecided in both orders", "", _share(summary.coin_both)))
    terminal.print(listing(f"{model}: {total} answers", rows, ("what", "count", "share")))
    terminal.print(
        "Shares below the counts are means over answers that are a choice, and over questions with "
        "a choice in both orders."
    )


def _place(place: int) -> str:
    return _WORDS[place] if place < len(_WORDS) else f"{place + 1}th"


def _share(value: float) -> str:
    return "-" if value != value else f"{value:.1%}"
