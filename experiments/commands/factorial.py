"""`equipoise run factorial`: what misalignment and missing indecision each do."""

from typing import Any

import click

from experiments.commands.study_options import processes, study_options
from experiments.terminal import Reporter, console, plain_errors

DRAWN = "mortality_rate,ex_ante.determinism,transplant_rate_ratio:race=Black"


@click.command("factorial")
@study_options(
    population="us-opo",
    worlds=5,
    years=10.0,
    tie_seeds=2,
    out="results/factorial",
    worlds_help=" Each takes about 2.5 minutes on 2 cores with all factors, 40 seconds without.",
)
@click.option(
    "--model",
    default="local",
    help="The language model whose values are set against people's: local, local+human-1024, or a "
    "litellm name.",
)
@click.option("--human", default="human", help="The policy that stands for people.")
@click.option(
    "--mode",
    default="renormalise",
    help="How the coin is removed: renormalise takes the coin alone, answers are still drawn; "
    "argmax takes the rest of chance as well; others as in `equipoise policies`.",
)
@click.option(
    "--factors",
    default="all",
    help="Further factors, one at a time: all, none, or some of mode, listing-order, "
    "lottery-memory, discretion, calibration. They add 11, 2, 4, 8 and 4 arms to the 11 of the "
    "main study; time grows with the arms.",
)
@click.option(
    "--measures",
    "drawn",
    default=DRAWN,
    help="What the figure, the tables of factors and their sentences are about: MEASURE or "
    "MEASURE:GROUPING=GROUP as in factorial.csv, comma-separated.",
)
@plain_errors
def factorial_command(
    model: str, human: str, mode: str, factors: str, drawn: str, workers: int, **options: Any
) -> None:
    """Human or a model's values, with and without the coin, on the same worlds.

    Interrupted, the same command goes on where it was.
    """
    from experiments.factorial import run_factorial
    from experiments.factorial_design import FACTORS, Design
    from experiments.factorial_outcomes import Asked, outcome_of
    from experiments.factorial_tables import draw, print_factorial
    from experiments.runner import process_pool
    from experiments.study import Study

    workers = processes(workers)
    named = {"all": tuple(FACTORS), "none": ()}.get(factors, _parts(factors))
    wanted = [Asked.read(text) for text in _parts(drawn)]  # before anything is run
    design = Design(Study(**options), f"llm:{model}", human, mode, named)
    with Reporter() as progress, process_pool(workers) as pool:
        found = run_factorial(design, pool if workers > 1 else None, progress)
    terminal = console()
    outcomes = [outcome_of(asked, found) for asked in wanted]
    print_factorial(found, outcomes, terminal)
    draw(found, outcomes)
    terminal.print(f"Tables and figures: {options['out']}", markup=False)


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
