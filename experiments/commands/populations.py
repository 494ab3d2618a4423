"""`equipoise populations`: what there is, every figure of one, and your own data checked."""

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from experiments.commands.study_options import set_option
from experiments.terminal import console, plain_errors
from populations.errors import InputError
from populations.presets import load_population, preset_names, resolve_population

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console
    from rich.table import Table

    from populations.bring_profile import Profile

_PROBLEMS_SHOWN = 20


@click.command("populations")
@click.argument("name", required=False)
@set_option
@click.option("--check", is_flag=True, help="Profile its own data; exit 1 if unusable.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=None,
    help="With --check: a folder to write the profile to, as CSV.",
)
@click.option(
    "--template",
    type=click.Path(path_type=Path),
    default=None,
    help="Write a population with data of its own into this folder, to fill with yours.",
)
@plain_errors
def populations_command(
    name: str | None,
    overrides: tuple[str, ...],
    check: bool,
    out: Path | None,
    template: Path | None,
) -> None:
    """List the populations, or every figure of one with its source; check your own data."""
    from experiments.tables import listing, population_table

    terminal = console()
    if template:
        _write_template(template, terminal)
    elif check:
        if not name:
            raise InputError("--check: name a population, as in populations mine.toml --check")
        sys.exit(0 if _check(name, overrides, out, terminal) else 1)
    elif out:
        raise InputError("--out: goes with --check")
    elif name:
        terminal.print(population_table(load_population(name, overrides)))
    else:
        rows = [(preset, load_population(preset).description) for preset in preset_names()]
        terminal.print(listing("Populations", rows, ("name", "what it is")))


def _write_template(folder: Path, terminal: "Console") -> None:
    from populations.bring_template import write_template

    for path in write_template(folder):
        terminal.print(str(path), markup=False, soft_wrap=True)


def _check(name: str, overrides: tuple[str, ...], out: Path | None, terminal: "Console") -> bool:
    """Print, and write, the profile of each file; whether the population can be used."""
    from populations.bring import DECLARED
    from populations.bring_profile import profile

    parameters = resolve_population(name, overrides).parameters
    found = {file: profile(parameters, file) for file in DECLARED}
    profiles = {file: of for file, of in found.items() if of}
    if not profiles:
        raise InputError(
            f"{name}: has no data of its own: name a file with [data] candidates or donors"
        )
    for file, of in profiles.items():
        _print(file, of, terminal)
        if out:
            out.mkdir(parents=True, exist_ok=True)
            for table in ("columns", "problems", "warnings"):
                getattr(of, table).to_csv(out / f"{file}_{table}.csv", index=False)
    if any(len(of.problems) for of in profiles.values()):
        terminal.print("Not usable yet: put right what is listed under problems.", markup=False)
        return False
    load_population(name, overrides)  # what the files count may contradict what is set
    terminal.print("Usable.", markup=False)
    return True


def _print(file: str, of: "Profile", terminal: "Console") -> None:
    given = of.columns[of.columns["column"].isin(of.given)].drop(columns="kind")
    given["problems"] = given["problems"].map(lambda n: f"{n:,}" if n else "")
    title = f"{file}: {of.path}: {of.rows:,} rows, {len(of.problems):,} problems"
    terminal.print(_table(title, given))
    if len(of.problems):
        more = len(of.problems) > _PROBLEMS_SHOWN
        which = f", the first {_PROBLEMS_SHOWN} of {len(of.problems):,}" if more else ""
        terminal.print(_table(f"{file}: problems{which}", of.problems.head(_PROBLEMS_SHOWN)))
    if len(of.warnings):
        terminal.print(_table(f"{file}: warnings", of.warnings))
    for note in of.notes:
        terminal.print(f"{file}: {note}", markup=False)


def _table(title: str, frame: "pd.DataFrame") -> "Table":
    """A frame as it is, without columns that say nothing."""
    from rich.markup import escape

    from experiments.tables import listing

    cells = frame.map(_cell)
    cells = cells.loc[:, (cells != "").any()]
    return listing(escape(title), cells.itertuples(index=False), tuple(cells.columns))


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4g}"
    return str(value)
