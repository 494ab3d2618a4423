"""`equipoise align`: how far judges are from people."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from experiments.commands.elicit import elicit_command
from experiments.terminal import Reporter, console, plain_errors

if TYPE_CHECKING:
    from experiments.align import Asking

# Everything else is asked, limited and kept as in `equipoise elicit`, by the same options.
_NOT_HERE = ("model", "size", "show_answers")


@click.command(
    "align", params=[each for each in elicit_command.params if each.name not in _NOT_HERE]
)
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option("--human", default="human", help="The reference: a policy that judges pairs.")
@click.option(
    "--out", default="results/alignment", type=click.Path(path_type=Path), help="Results folder."
)
@plain_errors
def align_command(
    models: tuple[str, ...],
    human: str,
    out: Path,
    n_pairs: int | None,
    answers: Path,
    fresh: bool,
    dry_run: bool,
    max_calls: int | None,
    max_cost: float | None,
    concurrency: int,
    requests_per_minute: float | None,
    timeout: float | None,
    **questions: Any,
) -> None:
    """Compare MODELs with people: values, agreement, indecision, consistency.

    A MODEL is a language model ("local", "local+ADAPTER", or a litellm name) or a policy that
    judges pairs. What a language model has not answered yet is asked now, and kept; limits are for
    each model.
    """
    from experiments.align import ALL, Asking, align
    from experiments.align_files import write
    from experiments.align_table import print_report
    from policies.elicit import RANDOM, Battery
    from policies.pacing import Limits

    if n_pairs is None:
        n_pairs = 120 if questions["pairs"] == RANDOM else ALL
    limits = Limits(max_calls, max_cost, concurrency, requests_per_minute, timeout)
    asking = Asking(Battery(n_pairs=n_pairs, **questions), answers, limits, fresh)
    if dry_run:
        _print_plans(models, human, asking)
        return
    with Reporter() as progress:
        found = align(models, human, asking, progress)
    write(found, out, _settings(models, asking))
    terminal = console()
    print_report(found, terminal)
    terminal.print(f"Tables and figures: {out}", markup=False)


def _settings(models: tuple[str, ...], asking: "Asking") -> dict[str, Any]:
    """What was asked; the texts put before models by their hashes."""
    from experiments.align import is_policy, model_name

    battery = asking.battery
    asked = [model_name(text) for text in models if not is_policy(text)]
    settings = {name: value for name, value in vars(battery).items() if name != "steer"}
    return settings | {"questions": [battery.questions(model)._asdict() for model in asked]}


def _print_plans(models: tuple[str, ...], human: str, asking: "Asking") -> None:
    from experiments.align import asks_by_itself, check, is_policy, model_name

    check(models, human, asking)
    for text in (human, *models):
        if text == human or is_policy(text):
            what = (
                "a policy that asks a language model what is missing of its own battery, not "
                "limited by --max-calls and --max-cost"
                if asks_by_itself(text)
                else "a policy; nothing to ask"
            )
            click.echo(f"{text}: {what}")
            continue
        plans = asking.plans(model_name(text))
        costs = [plan.cost for plan in plans if plan.cost is not None]
        cost = f"about {sum(costs):.4f} US dollars" if len(costs) == len(plans) else plans[0].why
        click.echo(f"{text}: {sum(plan.calls for plan in plans)} calls to make; {cost}")
