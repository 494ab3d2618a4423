"""`equipoise odd`: the model described by the ODD protocol, from the code and a population."""

import click

from experiments.commands.study_options import set_option
from experiments.terminal import plain_errors


@click.command("odd")
@click.option("--population", default="us-national", help="A preset, or a TOML file extending one.")
@set_option
@plain_errors
def odd_command(population: str, overrides: tuple[str, ...]) -> None:
    """Print the description of the model (ODD protocol) as Markdown, as docs/odd.md has it."""
    from experiments.odd.document import markdown
    from populations.presets import load_population

    click.echo(markdown(load_population(population, overrides)), nl=False)
