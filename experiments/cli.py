"""The command line: `equipoise run compare`, and lists of what there is."""

from typing import Any

import click

from experiments.commands.align import align_command
from experiments.commands.answers import answers_command
from experiments.commands.elicit import elicit_command
from experiments.commands.factorial import factorial_command
from experiments.commands.finetune import finetune_command
from experiments.commands.fit import fit_command
from experiments.commands.measures import measures_command
from experiments.commands.odd import odd_command
from experiments.commands.populations import populations_command
from experiments.commands.report import report_command
from experiments.commands.sensitivity import sensitivity_command
from experiments.commands.study_options import (
    processes,
    study_options,
)
from experiments.commands.validate import validate_command
from experiments.terminal import Reporter, console, plain_errors


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="equipoise")
def main() -> None:
    """Who gets the kidney, under whose values, and what follows."""


@main.group()
def run() -> None:
    """Run a study."""


@run.command("compare")
@study_options(population="us-opo", worlds=6, years=10.0, tie_seeds=2, out="results/compare")
@click.option(
    "--policies",
    default="human,llm:local,lottery,first-come",
    help="Comma-separated; the first is the reference.",
)
@click.option("--reference", default="", help="Arm to take differences against.")
@click.option(
    "--precision",
    default=0.0,
    type=float,
    help="Add worlds until the 95 % interval of every declared rate ratio against the reference is "
    "this narrow: half-width on the log scale, as in 0.05; 0 adds none.",
)
@click.option(
    "--worlds-most", default=100, type=int, help="Where --precision gives up adding worlds."
)
@plain_errors
def run_compare(policies: str, workers: int, **options: Any) -> None:
    """The same waitlists under several policies, side by side."""
    from experiments.compare import compare
    from experiments.runner import process_pool
    from experiments.study import Study
    from experiments.tables import print_results
    from policies.registry import split_policies

    study = Study(policies=split_policies(policies), **options)
    workers = processes(workers)
    terminal = console()
    with Reporter() as progress, process_pool(workers) as pool:
        results = compare(study, pool if workers > 1 else None, progress)
    print_results(results, terminal)
    terminal.print(f"Tables and figures: {study.out}", markup=False)


@main.command("policies")
@plain_errors
def list_policies() -> None:
    """List the policies there are."""
    from experiments.tables import listing
    from policies.forced import MODES
    from policies.registry import PATTERNS, POLICIES

    rows = [(name, entry.description) for name, entry in POLICIES.items()]
    modes = [(f"  MODE {name}", description) for name, description in MODES.items()]
    every = [*rows, *PATTERNS.items(), *modes]
    console().print(listing("Policies", every, ("name", "who decides")))


run.add_command(factorial_command)
run.add_command(sensitivity_command)
main.add_command(align_command)
main.add_command(answers_command)
main.add_command(elicit_command)
main.add_command(finetune_command)
main.add_command(fit_command)
main.add_command(measures_command)
main.add_command(odd_command)
main.add_command(populations_command)
main.add_command(report_command)
main.add_command(validate_command)

if __name__ == "__main__":
    main()
