"""The command line: `equipoise run compare`, and lists of what there is."""

import os
from pathlib import Path
from typing import Any

import click

from experiments.commands.align import align_command
from experiments.commands.answers import answers_command
from experiments.commands.elicit import elicit_command
from experiments.commands.finetune import finetune_command
from experiments.commands.fit import fit_command
from experiments.terminal import Reporter, console, plain_errors
from populations.errors import InputError
from populations.presets import load_population, preset_names

_set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a parameter, as in arrivals.per_year=900; may be repeated.",
)
_seed_option = click.option(
    "--seed", default=1, type=int, help="Everything random follows from it."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="equipoise")
def main() -> None:
    """Who gets the kidney, under whose values, and what follows."""


@main.group()
def run() -> None:
    """Run a study."""


@run.command("compare")
@click.option("--population", default="us-opo", help="A preset, or a TOML file extending one.")
@click.option(
    "--policies",
    default="human,llm:local,lottery,first-come",
    help="Comma-separated; the first is the reference.",
)
@click.option("--reference", default="", help="Arm to take differences against.")
@click.option("--worlds", default=6, type=int, help="Independent worlds; intervals are over them.")
@click.option("--years", default=10.0, type=float, help="Length of each history.")
@_seed_option
@click.option(
    "--tie-seeds",
    default=2,
    type=int,
    help="How often each world is run, each time with other lottery tickets.",
)
@click.option(
    "--discretion",
    default="all",
    help="Whom a policy may choose from: all, the first K listed, or pair.",
)
@_set_option
@click.option("--workers", default=0, type=int, help="Processes; 0 for one per core.")
@click.option(
    "--out", default="results/compare", type=click.Path(path_type=Path), help="Results folder."
)
@click.option(
    "--answers",
    default="results/answers.sqlite",
    type=click.Path(path_type=Path),
    help="Where answers of language models are kept.",
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
    if workers < 0:
        raise InputError(f"--workers {workers}: expected 0 or more")
    workers = workers or os.cpu_count() or 1
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


@main.command("populations")
@click.argument("name", required=False)
@_set_option
@plain_errors
def list_populations(name: str | None, overrides: tuple[str, ...]) -> None:
    """List the populations, or every figure of one with its source."""
    from experiments.tables import listing, population_table

    if name:
        console().print(population_table(load_population(name, overrides)))
        return
    rows = [(preset, load_population(preset).description) for preset in preset_names()]
    console().print(listing("Populations", rows, ("name", "what it is")))


@main.command("measures")
@plain_errors
def list_measures() -> None:
    """List the measures, and what each cannot see."""
    import measures  # noqa: F401  (fills the registry)
    from experiments.tables import listing
    from measures.registry import MEASURES

    rows = [
        (
            card.name,
            card.description + (" (policy-invariant)" if card.policy_invariant else ""),
            card.unit,
            card.cannot_see,
        )
        for card in MEASURES.values()
    ]
    console().print(listing("Measures", rows, ("name", "what it is", "unit", "cannot see")))


@main.command("validate")
@click.option("--population", default="us-national", help="The preset to check.")
@click.option("--years", default=5.0, type=float, help="Length of the history.")
@_seed_option
@_set_option
@plain_errors
def validate_command(population: str, years: float, seed: int, overrides: tuple[str, ...]) -> None:
    """Print published figures beside simulated ones, misses as misses."""
    from experiments.study import check_run
    from experiments.validate import validate, validation_table

    check_run(years, seed)
    resolved = load_population(population, overrides)
    console().print(validation_table(validate(resolved, seed, years), population, years))


main.add_command(align_command)
main.add_command(answers_command)
main.add_command(elicit_command)
main.add_command(finetune_command)
main.add_command(fit_command)

if __name__ == "__main__":
    main()
