"""`equipoise answers`: what is in the answer store; export and import."""

from pathlib import Path

import click

from experiments.terminal import console, plain_errors
from populations.errors import InputError

_store_option = click.option(
    "--answers",
    "store",
    default="results/answers.sqlite",
    type=click.Path(path_type=Path),
    help="Where answers are kept.",
)


@click.group("answers", invoke_without_command=True)
@_store_option
@click.pass_context
@plain_errors
def answers_command(context: click.Context, store: Path) -> None:
    """List the answers that are kept; export and import them."""
    if context.invoked_subcommand is not None:
        return
    from experiments.tables import listing
    from policies.answers import AnswerStore

    with AnswerStore(_there(store)) as kept:
        rows = [tuple(map(str, row)) for row in kept.counts()]
    header = ("model", "adapter", "prompt", "steer", "schema", "option", "answers")
    console().print(listing(f"Answers in {store}", rows, header))


@answers_command.command("export")
@click.argument("file", type=click.Path(path_type=Path))
@_store_option
@click.option("--model", default="", help="Only this model's, as `equipoise answers` names it.")
@click.option("--prompt", default="", help="Only this prompt's; its hash may be left out.")
@click.option("--schema", default="", help="Only about these attributes.")
@click.option("--without-raw", is_flag=True, help="Leave out what the models said word for word.")
@click.option("--note", default="", help="How the answers came about; kept in the file.")
@plain_errors
def export_command(
    file: Path, store: Path, model: str, prompt: str, schema: str, without_raw: bool, note: str
) -> None:
    """Write answers to the Parquet FILE, for someone without keys or without the model."""
    from policies.answer_files import export_answers
    from policies.answers import AnswerStore

    with AnswerStore(_there(store)) as kept:
        count = export_answers(
            kept, file, model=model, prompt=prompt, schema=schema, raw=not without_raw, note=note
        )
    click.echo(f"{count} answers written to {file}")


@answers_command.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@_store_option
@plain_errors
def import_command(file: Path, store: Path) -> None:
    """Take the answers of the Parquet FILE into the store; answers that are there stay."""
    from policies.answer_files import import_answers
    from policies.answers import AnswerStore

    with AnswerStore(store) as kept:
        new, total = import_answers(kept, file)
    click.echo(f"{new} of {total} answers are new in {store}")


def _there(store: Path) -> Path:
    if not store.is_file():
        raise InputError(f"answer store {store}: no such file; `equipoise elicit` makes one")
    return store
