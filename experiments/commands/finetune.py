"""`equipoise finetune`: low-rank tuning of a model on few answers of people."""

from pathlib import Path
from typing import Any

import click

from experiments.commands.layout import layout_options, read_people
from experiments.terminal import Reporter, console, plain_errors

_RESAMPLES = 100


@click.command("finetune")
@click.option(
    "--base",
    default="local",
    help="The embedded model, or what transformers can load: a folder, or a hub's name.",
)
@click.option("--human", default="human", help="The reference; its answers are drawn from it.")
@click.option(
    "--people",
    type=click.Path(path_type=Path),
    help="Tune on the answers in this CSV file instead (read as by `equipoise fit`).",
)
@layout_options
@click.option("--sizes", default="1024", help="How many answers to tune on; several by commas.")
@click.option("--control", is_flag=True, help="Tune on shuffled answers too, of the largest size.")
@click.option("--schema", default="indecision3", help="What is said about a patient.")
@click.option("--option", default="coin", help="What is offered beside the patients.")
@click.option("--prompt", default="study-1", help="Name of the prompt.")
@click.option("--pairs", "n_pairs", default=300, type=int, help="Pairs to judge the result on.")
@click.option("--steps", default=100, type=int, help="Most steps.")
@click.option("--batch", default=128, type=int, help="Questions per step.")
@click.option("--rank", default=48, type=int, help="Rank of the low-rank maps.")
@click.option("--layers", default=2, type=int, help="How many layers, the last ones, to change.")
@click.option("--learning-rate", default=5e-4, type=float, help="Its highest value.")
@click.option("--weight-decay", default=100.0, type=float, help="Of AdamW.")
@click.option("--seed", default=0, type=int, help="Everything random follows from it.")
@click.option("--threads", default=1, type=int, help="Processor cores to use.")
@click.option(
    "--out", default="results/finetune", type=click.Path(path_type=Path), help="Results folder."
)
@plain_errors
def finetune_command(
    base: str,
    human: str,
    people: Path | None,
    sizes: str,
    control: bool,
    schema: str,
    option: str,
    prompt: str,
    n_pairs: int,
    threads: int,
    out: Path,
    **more: Any,
) -> None:
    """Tune a model on answers of people and judge it on pairs it has not seen.

    Every adapter gets a folder under --out. One of the embedded model is asked like any other
    model: `equipoise align local local+OUT/1024`. What is finished is not made again.
    """
    from experiments.tuning import Tuning, tune
    from experiments.tuning_report import draw, tuning_table
    from policies.elicit import Battery
    from policies.finetune.base import use_threads
    from policies.finetune.recipe import Recipe
    from policies.registry import make_policy

    settings = ("layers", "rank", "learning_rate", "weight_decay", "steps", "batch", "seed")
    recipe = Recipe(**{name: more[name] for name in settings})
    battery = Battery(schema, n_pairs, option=option, prompt=prompt)
    tuning = Tuning(base, battery, _sizes(sizes), control, recipe, human)
    tuning.check()
    use_threads(threads)
    reference = make_policy(human, Path("results/answers.sqlite"))
    layout = {name: more[name] for name in ("person", "decision", "coding", "left", "right")}
    with Reporter() as progress:
        choices = _people(people, schema, layout, progress) if people is not None else None
        measures = tune(tuning, reference, choices, out, progress)
    terminal = console()
    terminal.print(tuning_table(measures, reference.name))
    draw(measures, reference.name, out)
    terminal.print(f"Adapters, tables and figure: {out}", markup=False)


def _sizes(text: str) -> tuple[int, ...]:
    from populations.errors import InputError

    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--sizes {text!r}: expected numbers by commas, as in 16,64") from None


def _people(path: Path, schema: str, layout: dict[str, Any], progress: Any) -> Any:
    """The answers in a file; a wrong coding is refused before anything is learned from it."""
    from experiments.fitting import FitOptions, fit_values

    choices = read_people(path, schema, **layout)
    fit_values(choices, FitOptions(compare=False, resamples=_RESAMPLES), progress)
    return choices
