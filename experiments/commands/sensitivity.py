"""`equipoise run sensitivity`: what a comparison of policies hangs on."""

from typing import TYPE_CHECKING, Any

import click

from experiments.commands.study_options import processes, study_options
from experiments.terminal import Reporter, console, plain_errors

if TYPE_CHECKING:
    from experiments.sensitivity_settings import Settings


@click.command("sensitivity")
@study_options(population="teaching", worlds=4, years=5.0, tie_seeds=1, out="results/sensitivity")
@click.option(
    "--policies",
    default="human,first-come",
    help='Comma-separated; the first is the reference. "band(human, {x})" varies with --vary x=...',
)
@click.option("--reference", default="", help="Arm to take contrasts against.")
@click.option(
    "--vary",
    multiple=True,
    metavar="NAME=LOW..HIGH",
    help="A figure of the population, as in kidneys.per_year=400..600, or an {x} of the policies; "
    "may be repeated. Default: what makes kidneys scarce, each by a fifth to either side.",
)
@click.option(
    "--measure",
    "questions",
    multiple=True,
    metavar="NAME[:GROUPING:GROUP]",
    help="Whose contrast is analysed, as in transplant_rate_ratio:race:Black; may be repeated. "
    "Default: life_years, mortality_rate, transplant_rate_ratio:race:Black, misalignment.",
)
@click.option("--trajectories", default=5, type=int, help="Of the screening (Morris).")
@click.option(
    "--samples", default=16, type=int, help="Of the shares of variance (Sobol), a power of 2; or 0."
)
@click.option("--top", default=2, type=int, help="Parameters the screening passes on, at most 6.")
@click.option(
    "--sobol", "named", multiple=True, metavar="NAME", help="Pass on these instead; repeatable."
)
@click.option("--dry-run", is_flag=True, help="Say how many runs it takes; run nothing.")
@plain_errors
def sensitivity_command(
    policies: str,
    vary: tuple[str, ...],
    questions: tuple[str, ...],
    trajectories: int,
    samples: int,
    top: int,
    named: tuple[str, ...],
    workers: int,
    dry_run: bool,
    **options: Any,
) -> None:
    """Vary assumptions over ranges: how policy minus reference moves, and its sign with it.

    Parameters that are not among those whose shares of variance are computed stay in the middle of
    their ranges there. Finished runs are kept: the same command goes on where it was.
    """
    from experiments.figures.sensitivity import save_figures_of
    from experiments.runner import process_pool
    from experiments.sensitivity import sensitivity
    from experiments.sensitivity_settings import Settings, check, question
    from experiments.sensitivity_tables import print_sensitivity
    from experiments.study import Study
    from policies.registry import split_policies

    asked = {"questions": tuple(question(text) for text in questions)} if questions else {}
    study = Study(policies=split_policies(policies), **options)
    settings = Settings(
        study,
        vary,
        trajectories=trajectories,
        samples=samples,
        top=top,
        named=tuple(dict.fromkeys(named)),
        **asked,
    )
    workers = processes(workers)
    ranges = check(settings)
    _announce(settings, len(ranges))
    if dry_run:
        return
    terminal = console()
    with Reporter() as progress, process_pool(workers) as pool:
        result = sensitivity(settings, pool if workers > 1 else None, progress)
    save_figures_of(result)
    print_sensitivity(result, terminal)
    terminal.print(f"Tables and figures: {study.out}", markup=False)


def _announce(settings: "Settings", parameters: int) -> None:
    from experiments.sensitivity_settings import sizes

    found, study = sizes(settings, parameters), settings.study
    click.echo(
        f"{found['screening']} points of screening over {parameters} parameters, {found['sobol']} "
        f"of shares of variance; x {len(study.policies)} policies x {study.worlds} worlds x "
        f"{study.tie_seeds} tie seeds = {found['runs']:,} runs at most (finished ones, and those "
        "that points share, are used again).",
        err=True,
    )
