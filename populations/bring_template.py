"""A worked example of your own data: a population file and two CSV files to replace with yours."""

import csv
from pathlib import Path

import numpy as np

from populations.bring_columns import CANDIDATES, DONORS, Column, locus_antigens
from populations.errors import InputError
from populations.hla import ANTIGENS
from populations.presets import load_population
from populations.schema import Columns
from populations.world import make_world

PRESET = "teaching"
YEARS = 3
_TOML = f"""\
# Synthetic people in the form that your own take. Check a change before using it:
#   equipoise populations mine.toml --check
extends = "{PRESET}"
description = "My own list"

[data]
candidates = "candidates.csv"
donors = "donors.csv"
# start = 2021-01-01  # needed if times are dates: the day the run starts
# years = {YEARS}           # what the files cover; else up to the last row, in whole years
# resample = true     # draw rows with replacement for every world, instead of the same in each
"""


def write_template(folder: Path) -> list[Path]:
    """Write ``mine.toml``, ``candidates.csv`` and ``donors.csv``: synthetic people, ready to run.

    Raises
    ------
    InputError
        If one of them is there already.
    """
    places = [folder / name for name in ("mine.toml", "candidates.csv", "donors.csv")]
    for path in places:
        if path.exists():
            raise InputError(f"{path}: is there already; expected a folder without it")
    world = make_world(load_population(PRESET).parameters, 1, 0, YEARS)
    _, first, kidneys = np.unique(world.kidneys["donor"], return_index=True, return_counts=True)
    folder.mkdir(parents=True, exist_ok=True)
    places[0].write_text(_TOML, encoding="utf-8")
    _write(places[1], world.candidates, CANDIDATES)
    donors = {name: column[first] for name, column in world.kidneys.items()}
    _write(places[2], donors | {"kidneys": kidneys - 1}, DONORS)  # the code of "1" is 0
    return places


def _write(path: Path, columns: Columns, declared: dict[str, Column]) -> None:
    """Write what is declared of some columns, categories by name, antigens locus by locus."""
    cells: dict[str, list[str]] = {}
    for name, column in declared.items():
        if column.kind == "antigen":
            which = 0 if name.endswith("1") else 1
            cells[name] = [_antigen(int(mask), name[:-1], which) for mask in columns["hla"]]
        elif name not in columns or column.instead_of:
            continue
        elif column.kind == "level":
            cells[name] = [column.levels[code] for code in columns[name]]
        elif column.kind == "place":
            cells[name] = [str(number) for number in columns[name]]
        else:
            cells[name] = [f"{value:.4f}".rstrip("0").rstrip(".") for value in columns[name]]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(cells)
        writer.writerows(zip(*cells.values(), strict=True))


def _antigen(mask: int, locus: str, which: int) -> str:
    """The first or second antigen of a locus; nothing if there is no second."""
    carried = [name for name in locus_antigens(locus) if mask >> ANTIGENS.index(name) & 1]
    return carried[which] if which < len(carried) else ""
