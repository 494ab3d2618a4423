"""What every command shares: the terminal, progress, and errors in one line."""

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from populations.errors import InputError

WIDTH_WHEN_PIPED = 160


def console() -> Console:
    """The terminal, wide when piped."""
    wide = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    # A name such as values:cat:x is no emoji.
    return Console(width=WIDTH_WHEN_PIPED if wide else None, emoji=False)


def plain_errors(command: Callable[..., None]) -> Callable[..., None]:
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


class Reporter:
    """A progress bar on a terminal; quiet when piped, but for a line where a stage begins."""

    def __init__(self) -> None:
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True, emoji=False),
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
