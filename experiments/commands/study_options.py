"""What every command that runs studies asks for, in one place."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from populations.errors import InputError

Command = Callable[..., Any]
set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a parameter, as in arrivals.per_year=900; may be repeated.",
)
seed_option = click.option("--seed", default=1, type=int, help="Everything random follows from it.")


def study_options(
    *, population: str, worlds: int, years: float, tie_seeds: int, out: str, worlds_help: str = ""
) -> Callable[[Command], Command]:
    """The options of a study, with a command's own defaults, in the order of its help."""
    options = (
        click.option(
            "--population", default=population, help="A preset, or a TOML file extending one."
        ),
        click.option(
            "--worlds",
            default=worlds,
            type=int,
            help=f"Independent worlds; intervals are over them.{worlds_help}",
        ),
        click.option("--years", default=years, type=float, help="Length of each history."),
        seed_option,
        click.option(
            "--tie-seeds",
            default=tie_seeds,
            type=int,
            help="How often each world is run, each time with other lottery tickets: two or more "
            "show how much lots decide.",
        ),
        click.option(
            "--discretion",
            default="all",
            help="Whom a policy may choose from: all, top:K (the first K listed), or pair.",
        ),
        click.option(
            "--lottery",
            default="fresh",
            help="fresh: lots are drawn anew for every kidney; persistent: one number for life.",
        ),
        set_option,
        click.option("--workers", default=0, type=int, help="Processes; 0 for one per core."),
        click.option("--out", default=out, type=click.Path(path_type=Path), help="Results folder."),
        click.option(
            "--answers",
            default="results/answers.sqlite",
            type=click.Path(path_type=Path),
            help="Where answers of language models are kept.",
        ),
    )

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def processes(workers: int) -> int:
    """How many processes ``--workers`` asks for.

    Raises
    ------
    InputError
        If it is negative.
    """
    if workers < 0:
        raise InputError(f"--workers {workers}: expected 0 or more")
    return workers or os.cpu_count() or 1
