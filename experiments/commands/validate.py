"""`equipoise validate`: published figures and theory beside what is simulated, misses as misses."""

import click

from experiments.commands.study_options import seed_option, set_option
from experiments.terminal import console, plain_errors


@click.command("validate")
@click.option("--population", default="us-national", help="The preset to check.")
@click.option("--policy", default="us-kas-2021", help="Under which published figures are compared.")
@click.option("--years", default=5.0, type=float, help="Length of the histories compared.")
@click.option("--worlds", default=1, type=int, help="How many, averaged.")
@click.option("--rungs", default="all", help="Comma-separated rungs of the ladder, or all.")
@click.option("--markdown", is_flag=True, help="Print the table as docs/validation.md has it.")
@seed_option
@set_option
@plain_errors
def validate_command(
    population: str,
    policy: str,
    years: float,
    worlds: int,
    rungs: str,
    markdown: bool,
    seed: int,
    overrides: tuple[str, ...],
) -> None:
    """Climb the ladder of validation: by hand, by theory, by published figures, by a prediction.

    The rungs traced, conserved, little, closed form and monotone take seconds whatever the
    population; published and predicted take minutes for a whole country.
    """
    from experiments.study import check_run
    from experiments.validation import ladder
    from populations.errors import InputError
    from populations.presets import load_population

    check_run(years, seed)
    if worlds < 1:
        raise InputError(f"--worlds {worlds}: expected 1 or more")
    chosen = ladder.chosen_rungs(rungs)
    resolved = load_population(population, overrides)
    checks = ladder.climb(chosen, resolved, policy, seed, worlds, years)
    said = f"{population}, {worlds} x {years:g} years under `{policy}`"
    if markdown:
        click.echo(ladder.markdown(checks, said), nl=False)
    else:
        console().print(ladder.table(checks, said))
