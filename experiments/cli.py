"""The command line: `equipoise run compare`, and lists of what there is."""

import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from populations.errors import InputError
from populations.presets import load_population, preset_names

WIDTH_WHEN_PIPED = 160


def _console() -> Console:
    wide = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(width=WIDTH_WHEN_PIPED if wide else None)


def _plain_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Bad input ends in one line and exit code 2; Ctrl-C says what is kept."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except InputError as error:
            click.echo(f"equipoise: {error}", err=True)
            sys.exit(2)
        except OSError as error:
            place = f"{error.filename}: {error.strerror}" if error.filename else str(error)
            click.echo(f"equipoise: {place}", err=True)
            sys.exit(2)
        except KeyboardInterrupt:
            click.echo(
                "equipoise: interrupted. Finished runs and answers are kept; the same command "
                "goes on from there.",
                err=True,
            )
            sys.exit(130)

    return wrapped


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
@_plain_errors
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
    console = _console()
    with _Reporter() as progress, process_pool(workers) as pool:
        results = compare(study, pool if workers > 1 else None, progress)
    print_results(results, console)
    console.print(f"Tables and figures: {study.out}", markup=False)


class _Reporter:
    """A progress bar on a terminal; quiet when piped, but for a line where a stage begins."""

    def __init__(self) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Callable[[str, int, int], None]:
        self._bars.start()
        return self._report

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def _report(self, stage: str, done: int, total: int) -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=total)
            if self._bars.disable:
                click.echo(f"{stage}: {total}", err=True)
        self._bars.update(self._tasks[stage], completed=done, total=total)


@main.command("policies")
@_plain_errors
def list_policies() -> None:
    """List the policies there are."""
    from experiments.tables import listing
    from policies.forced import MODES
    from policies.registry import PATTERNS, POLICIES

    rows = [(name, entry.description) for name, entry in POLICIES.items()]
    modes = [(f"  MODE {name}", description) for name, description in MODES.items()]
    every = [*rows, *PATTERNS.items(), *modes]
    _console().print(listing("Policies", every, ("name", "who decides")))


@main.command("populations")
@click.argument("name", required=False)
@_set_option
@_plain_errors
def list_populations(name: str | None, overrides: tuple[str, ...]) -> None:
    """List the populations, or every figure of one with its source."""
    from experiments.tables import listing, population_table

    if name:
        _console().print(population_table(load_population(name, overrides)))
        return
    rows = [(preset, load_population(preset).description) for preset in preset_names()]
    _console().print(listing("Populations", rows, ("name", "what it is")))


@main.command("measures")
@_plain_errors
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
    _console().print(listing("Measures", rows, ("name", "what it is", "unit", "cannot see")))


@main.command("validate")
@click.option("--population", default="us-national", help="The preset to check.")
@click.option("--years", default=5.0, type=float, help="Length of the history.")
@_seed_option
@_set_option
@_plain_errors
def validate_command(population: str, years: float, seed: int, overrides: tuple[str, ...]) -> None:
    """Print published figures beside simulated ones, misses as misses."""
    from experiments.study import check_run
    from experiments.validate import validate, validation_table

    check_run(years, seed)
    resolved = load_population(population, overrides)
    _console().print(validation_table(validate(resolved, seed, years), population, years))


if __name__ == "__main__":
    main()
