"""`equipoise measures`: what is measured, and what each measure cannot see."""

import click

from experiments.terminal import console, plain_errors


@click.command("measures")
@click.argument("name", required=False)
@click.option("--markdown", is_flag=True, help="Print every card, as docs/measures.md has them.")
@plain_errors
def measures_command(name: str | None, markdown: bool) -> None:
    """List the measures, or print the whole card of one."""
    from experiments import measure_docs
    from populations.errors import InputError

    if markdown:
        if name:
            raise InputError(
                f"measures: {name!r}: --markdown prints every card; leave the name out"
            )
        click.echo(measure_docs.markdown(), nl=False)
    elif name:
        _print_card(name)
    else:
        _print_list()


def _print_list() -> None:
    from experiments.measure_docs import NEVER_AN_OUTCOME
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
    table = listing("Measures", rows, ("name", "what it is", "unit", "cannot see"))
    table.caption = (
        f"{NEVER_AN_OUTCOME[:1].upper()}{NEVER_AN_OUTCOME[1:]}. "
        "`equipoise measures NAME` prints a whole card."
    )
    console().print(table)


def _print_card(name: str) -> None:
    from rich.table import Table
    from rich.text import Text

    from experiments.measure_docs import card_lines, card_of
    from populations.presets import TAGS

    card = card_of(name)
    table = Table(title=card.name, show_header=False, show_lines=True)
    table.add_column("", style="bold", no_wrap=True)
    table.add_column("", overflow="fold")
    for heading, text in card_lines(card):
        table.add_row(heading, Text(text.replace("``", "").replace("`", "")))
    said = "; ".join(f"{tag}: {text}" for tag, text in TAGS.items() if tag != "user")
    table.caption = f"Tags of sources. {said}"
    console().print(table)
