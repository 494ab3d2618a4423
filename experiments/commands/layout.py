"""The options that say how a CSV file of people's answers is laid out."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from policies.choices import Choices

_OPTIONS = (
    click.option("--person", default="person", help="Column of who answered."),
    click.option("--decision", default="decision", help="Column of the answer."),
    click.option(
        "--coding",
        default="left=left,right=right,coin=coin",
        help="What the answer's values mean, as in 0=left,1=right,2=coin.",
    ),
    click.option(
        "--left",
        default="",
        metavar="COLUMNS",
        help="Columns of the patient on the left, in the order of the attributes; by default "
        "left_<attribute>.",
    ),
    click.option("--right", default="", metavar="COLUMNS", help="Likewise on the right."),
)


def layout_options[**P](command: Callable[P, None]) -> Callable[P, None]:
    """Decorator that adds the options; pass them on to `read_people`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def read_people(
    path: Path,
    schema: str,
    *,
    person: str,
    decision: str,
    coding: str,
    left: str,
    right: str,
    attributes: tuple[str, ...] = (),
) -> "Choices":
    """The answers in a file, laid out as the options say."""
    from policies.choices import Layout, parse_coding, read_choices

    columns = Layout(person, decision, _columns(left), _columns(right))
    return read_choices(path, schema, columns, parse_coding(coding), attributes)


def _columns(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",")) if text else ()
