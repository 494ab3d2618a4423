"""Reading your own data: a CSV file against its declared columns, every problem with its line."""

import csv
import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from populations.bring_columns import CANDIDATES, Column, parse, unknown_column
from populations.errors import InputError
from populations.hla import LOCI
from populations.schema import ADULT

Floats = NDArray[np.float64]
Strings = NDArray[np.object_]
Cells = dict[str, Strings]
Wrong = tuple[str, int, str]  # a column, the row where it is wrong, and what would be right
MOST_BYTES = 200_000_000
MOST_ROWS = 1_000_000
SHOWN = 10  # problems that an error lists; the profile has them all
OLDEST = 100.0  # years; the range of the schema's age
_NOT_KNOWN = {"NA"}  # as R writes a blank


class Problem(NamedTuple):
    """One thing that makes a file unusable: where (line 1 is the header), what, what is right."""

    line: int
    column: str
    value: str
    right: str

    def __str__(self) -> str:
        cell = f"{self.column} = {shown(self.value)}: " if self.column else ""
        what = cell or (f"{shown(self.value)}: " if self.value else "")
        return f"line {self.line}: {what}{self.right}"


@dataclass(frozen=True)
class Sheet:
    """A file as read.

    Parameters
    ----------
    path, sha256 : str
        Where it is, and the digest of its bytes.
    declared : mapping of str to Column
        What it may say.
    lines : ndarray of int, shape (n,)
        The line each row begins on.
    cells : dict of ndarray of str, each shape (n,)
        The declared columns there are, as written.
    values : dict of ndarray, each shape (n,)
        The same as numbers (see `bring_columns.parse`); NaN where blank or wrong. Not ``id``.
    places : dict of tuple of str
        Of a place given by name: the names, in the order of their numbers.
    problems : tuple of Problem
        In order of line.
    """

    path: str
    sha256: str
    declared: Mapping[str, Column]
    lines: NDArray[np.int64]
    cells: Cells
    values: dict[str, Floats]
    places: dict[str, tuple[str, ...]]
    problems: tuple[Problem, ...]

    def checked(self) -> "Sheet":
        """Itself.

        Raises
        ------
        InputError
            If there are problems: how many, and the first ten.
        """
        if not self.problems:
            return self
        told = "; ".join(map(str, self.problems[:SHOWN]))
        n, more = len(self.problems), len(self.problems) - SHOWN
        raise InputError(
            f"{self.path}: {n} problem{'s' if n > 1 else ''}: {told}"
            + (f"; and {more} more" if more > 0 else "")
        )


def shown(text: str) -> str:
    """A cell as one short printable word."""
    return ascii(text) if len(text) <= 40 else f"{text[:37]!a}..."


def read_sheet(
    path: str,
    declared: Mapping[str, Column],
    start: str = "",
    places: Mapping[str, int] = MappingProxyType({}),
) -> Sheet:
    """Read a CSV file, noting all that is wrong in it.

    Parameters
    ----------
    path : str
        UTF-8, commas, a header line.
    declared : mapping of str to Column
        What it may say: `CANDIDATES` or `DONORS`.
    start : str
        The ISO date that time is counted from; empty if the file gives years.
    places : mapping of str to int
        How many there are of what a ``place`` column names; any number if not given.

    Raises
    ------
    InputError
        If it cannot be read as a table at all.
    """
    data = _bytes(path)
    header, rows, lines, problems = _table(path, data)
    problems += _header_problems(header, declared)
    if not rows:
        problems.append(Problem(1, "", "", "no rows below: expected one for each"))
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(header)
    cells = {
        name: np.array(column, dtype=object)
        for name, column in zip(header, columns, strict=True)
        if name in declared
    }
    values, names, wrong = _numbers(cells, declared, start, places)
    wrong += _impossible(values) if declared is CANDIDATES else []
    wrong += _half_typed(cells) + _fractions(values)
    problems += [
        Problem(int(lines[row]), name, cells[name][row], right) for name, row, right in wrong
    ]
    return Sheet(
        path=path,
        sha256=hashlib.sha256(data).hexdigest(),
        declared=declared,
        lines=lines,
        cells=cells,
        values=values,
        places=names,
        problems=tuple(sorted(problems, key=lambda problem: problem.line)),
    )


def _bytes(path: str) -> bytes:
    try:
        if not Path(path).is_file():  # a device would never end
            raise InputError(f"{path!r}: no such file")
        with Path(path).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path!r}: cannot be read: {error}") from error
    if len(data) > MOST_BYTES:
        raise InputError(
            f"{path}: larger than {MOST_BYTES // 1_000_000} MB: expected a file of at most that; "
            "leave out columns that are not used"
        )
    return data


def _table(
    path: str, data: bytes
) -> tuple[list[str], list[list[str]], NDArray[np.int64], list[Problem]]:
    """Header, rows as wide as it, the line each begins on, and rows of another width."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}: line {line}: not UTF-8 text; save it as CSV UTF-8") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    rows, lines, problems = [], [], []
    begins = 1
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            line, begins = begins, reader.line_num + 1
            if not any(cells):
                continue
            if not header:
                header = cells
            elif len(cells) != len(header):
                right = f"{len(cells)} cells: expected {len(header)}, as in the first line"
                problems.append(Problem(line, "", "", right))
            else:
                rows.append(["" if cell in _NOT_KNOWN else cell for cell in cells])
                lines.append(line)
            if len(rows) > MOST_ROWS:
                raise InputError(f"{path}: more than {MOST_ROWS:,} rows: expected at most that")
    except csv.Error as error:
        raise InputError(f"{path}: line {begins}: not CSV: {error}") from error
    if not header:
        raise InputError(f"{path}: empty: expected a first line of column names, and rows")
    if len(header) == 1 and ";" in header[0]:
        raise InputError(f"{path}: line 1: columns stand between semicolons: expected commas")
    return header, rows, np.array(lines, dtype=np.int64), problems


def _header_problems(header: list[str], declared: Mapping[str, Column]) -> list[Problem]:
    problems = []
    for i, name in enumerate(header):
        if name in header[:i]:
            problems.append(Problem(1, "", name, "the column is there twice"))
        elif name not in declared:
            problems.append(Problem(1, "", name, unknown_column(name, declared)))
        elif declared[name].instead_of in header:
            right = f"says the same as {declared[name].instead_of}: give one of them"
            problems.append(Problem(1, "", name, right))
    for column in declared.values():
        others = [other.name for other in declared.values() if other.instead_of == column.name]
        if column.required and not {column.name, *others} & set(header):
            right = f"expected a column {' or '.join((column.name, *others))}"
            problems.append(Problem(1, "", "", right))
    return problems


def _numbers(
    cells: Cells, declared: Mapping[str, Column], start: str, places: Mapping[str, int]
) -> tuple[dict[str, Floats], dict[str, tuple[str, ...]], list[Wrong]]:
    """The numbers that cells stand for, names of places, and which cells are wrong."""
    values: dict[str, Floats] = {}
    names: dict[str, tuple[str, ...]] = {}
    wrong: list[Wrong] = []
    day = date.fromisoformat(start) if start else None
    for name, column in cells.items():
        if declared[name].kind == "place":
            values[name], names[name], why = _places(name, column, places.get(name, MOST_ROWS))
        elif declared[name].kind == "text":
            continue
        else:
            values[name], why = _parsed(declared[name], column, day)
        wrong += why
    return values, {name: of for name, of in names.items() if of}, wrong


def _parsed(column: Column, cells: Strings, start: date | None) -> tuple[Floats, list[Wrong]]:
    """Each cell's number, and what is wrong where; every distinct cell is parsed once."""
    codes, distinct = pd.factorize(cells)
    numbers = np.full(len(distinct), np.nan)
    why: dict[int, str] = {}
    for code, cell in enumerate(distinct):
        try:
            if cell:
                numbers[code] = parse(column, cell, start)
            elif column.required or column.instead_of == "age":
                raise ValueError("blank: expected a value in every row")
        except ValueError as error:
            why[code] = str(error)
    rows = np.flatnonzero(np.isin(codes, list(why)))
    return numbers[codes], [(column.name, int(row), why[codes[row]]) for row in rows]


def _where(name: str, bad: NDArray[np.bool_], right: str) -> list[Wrong]:
    """The same said of every row where ``bad``, shape (n,)."""
    return [(name, int(row), right) for row in np.flatnonzero(bad)]


def _places(name: str, cells: Strings, most: int) -> tuple[Floats, tuple[str, ...], list[Wrong]]:
    """Numbers of places, their names if they have any, and what is wrong where."""
    codes, distinct = pd.factorize(cells, sort=True)
    given = [cell for cell in distinct if cell]
    if all(cell.isascii() and cell.isdigit() and len(cell) < 10 for cell in given):
        numbers = np.array([float(cell) if cell else np.nan for cell in distinct])[codes]
        right = f"expected a number from 0 to {most - 1}, or names"
        return numbers, (), _where(name, numbers >= most, right)
    number_of = {cell: float(i) for i, cell in enumerate(given)}
    numbers = np.array([number_of.get(cell, np.nan) for cell in distinct])[codes]
    right = f"the {len(given)}th name in order, but the population has {most}"
    return numbers, tuple(given), _where(name, numbers >= most, right)


def _impossible(values: dict[str, Floats]) -> list[Wrong]:
    """Candidates who cannot be."""
    says = "birth" if "birth" in values else "age"
    if not {"listed", says} <= set(values):
        return []
    listed = values["listed"]
    birth = values["birth"] if says == "birth" else listed - values["age"]
    unborn = listed < birth
    followed = np.maximum(listed, 0.0) - birth
    # Days make uneven years: nobody is refused for a day.
    young = (followed < ADULT - 0.01) & ~unborn
    adults = f"under {ADULT:g} when followed from: the model is of adults, leave it out"
    wrong = [
        *_where(says, unborn, "listed before birth"),
        *_where(says, young, adults),
        *_where(says, followed > OLDEST, f"over {OLDEST:g} when followed from"),
    ]
    if "dialysis_start" in values:
        early = values["dialysis_start"] < birth
        wrong += _where("dialysis_start", early, "dialysis before birth")
    elif "dialysis_years" in values:
        longer = (values["dialysis_years"] > listed - birth) & ~unborn
        wrong += _where("dialysis_years", longer, "on dialysis for longer than alive")
    return wrong


def _half_typed(cells: Cells) -> list[Wrong]:
    """Antigens at some loci only, or a second antigen without a first."""
    typed = [name for name in cells if name[:-1] in LOCI]
    some = np.any([cells[name] != "" for name in typed], axis=0) if typed else np.zeros(0, bool)
    absent = [f"{locus}1" for locus in LOCI if f"{locus}1" not in cells]
    if typed and absent:
        return _where(typed[0], some, f"expected antigens at every locus: no column {absent[0]}")
    first = [f"{locus}1" for locus in LOCI if typed]
    right = "blank: expected antigens at every locus, or at none"
    return [found for name in first for found in _where(name, some & (cells[name] == ""), right)]


def _fractions(values: dict[str, Floats]) -> list[Wrong]:
    """Percentages given as fractions: none above 1, some between 0 and 1."""
    wrong: list[Wrong] = []
    for name in {"cpra", "kdpi"} & set(values):
        between = np.flatnonzero((values[name] > 0) & (values[name] < 1))
        if len(between) and np.nanmax(values[name]) <= 1:
            right = "no value is above 1: expected percent, not fractions"
            wrong.append((name, int(between[0]), right))
    return wrong
