"""What a file of your own data holds, column by column, before it is used."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from populations.bring import covered_by, sheet_of, times_of
from populations.bring_columns import CANDIDATES, Column
from populations.bring_read import Sheet, shown
from populations.parameters import Parameters
from populations.schema import ADULT

_FORMULA = ("=", "+", "-", "@", "\t")  # what a spreadsheet may run
_MOST_LEVELS = 8  # listed with their counts
_LINES = 10  # listed of those a warning or problem is about


class Profile(NamedTuple):
    """What a file holds.

    Parameters
    ----------
    path : str
    rows : int
    given : tuple of str
        The declared columns that it has.
    columns : DataFrame, one row per declared column
        ``column``, ``role``, ``kind``, ``unit``, ``n``, ``missing`` (blank: to be drawn), ``min``,
        ``q25``, ``median``, ``q75``, ``max``, ``levels`` (counts), ``problems``, ``lines``
        (of the first ten).
    problems : DataFrame, one row per problem
        ``line``, ``column``, ``value``, ``right``. The file can be used if there is none.
    warnings : DataFrame, one row per warning
        ``column``, ``warning``, ``lines`` (of the first ten).
    notes : tuple of str
        What the file gives, and what is drawn.
    """

    path: str
    rows: int
    given: tuple[str, ...]
    columns: pd.DataFrame
    problems: pd.DataFrame
    warnings: pd.DataFrame
    notes: tuple[str, ...]


def profile(p: Parameters, file: str) -> Profile | None:
    """Profile the population's file of ``"candidates"`` or ``"donors"``; None if it has none.

    Raises
    ------
    InputError
        If it cannot be read as a table at all.
    """
    sheet = sheet_of(p, file)
    if sheet is None:
        return None
    problems = pd.DataFrame(
        [(q.line, q.column, shown(q.value), q.right) for q in sheet.problems],
        columns=["line", "column", "value", "right"],
    )
    warnings = [] if sheet.problems else [*_odd_rows(sheet), *_odd_columns(p, sheet)]
    return Profile(
        path=sheet.path,
        rows=len(sheet.lines),
        given=tuple(sheet.cells),
        columns=pd.DataFrame([_row(sheet, column) for column in sheet.declared.values()]),
        problems=problems,
        warnings=pd.DataFrame(warnings, columns=["column", "warning", "lines"]),
        notes=() if sheet.problems else _notes(p, sheet),
    )


def _row(sheet: Sheet, column: Column) -> dict[str, Any]:
    """One column's line of the profile."""
    name = column.name
    lines = [problem.line for problem in sheet.problems if problem.column == name]
    row: dict[str, Any] = {
        "column": name,
        "role": column.role,
        "kind": column.kind,
        "unit": column.unit,
        "n": 0,
        "missing": len(sheet.lines),
        **dict.fromkeys(("min", "q25", "median", "q75", "max"), np.nan),
        "levels": "",
        "problems": len(lines),
        "lines": _told(lines),
    }
    if name not in sheet.cells:
        return row
    written = sheet.cells[name] != ""
    row["n"] = int(written.sum())
    row["missing"] -= row["n"]
    values = sheet.values.get(name, np.empty(0))
    values = values[~np.isnan(values)]
    if column.kind in ("number", "time") and len(values):
        five = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
        row |= dict(zip(("min", "q25", "median", "q75", "max"), five, strict=True))
    elif column.kind in ("level", "place", "antigen"):
        row["levels"] = _levels(sheet.cells[name][written])
    return row


def _levels(cells: NDArray[np.object_]) -> str:
    """Counts of levels as written, the most frequent first."""
    counts = (
        pd.Series(cells, dtype=object)
        .value_counts()
        .sort_index()
        .sort_values(ascending=False, kind="stable")
    )
    told = [f"{level if level.isalnum() else shown(level)}: {n:,}" for level, n in counts.items()]
    more = len(told) - _MOST_LEVELS
    return ", ".join(told[:_MOST_LEVELS]) + (f", and {more} more" if more > 0 else "")


def _told(lines: list[int]) -> str:
    more = len(lines) - _LINES
    return ", ".join(map(str, lines[:_LINES])) + (f", and {more} more" if more > 0 else "")


def _lines(sheet: Sheet, rows: NDArray[np.bool_]) -> str:
    return _told(sheet.lines[rows].tolist())


def _odd_rows(sheet: Sheet) -> list[tuple[str, str, str]]:
    """Warnings about single rows: possible, but seldom meant."""
    found = []
    cells = pd.DataFrame(sheet.cells)
    twice = cells.drop(columns="id", errors="ignore").duplicated(keep=False).to_numpy()
    if twice.any():
        says = f"{twice.sum():,} rows are the same as another: each counts as somebody else"
        found.append(("", says, _lines(sheet, twice)))
    if "id" in cells:
        again = (cells["id"].duplicated(keep=False) & (cells["id"] != "")).to_numpy()
        if again.any():
            says = f"{again.sum():,} rows share an id: each counts as somebody else"
            found.append(("id", says, _lines(sheet, again)))
    for name, column in sheet.declared.items():
        if name in cells and column.kind in ("text", "place"):
            risky = cells[name].str.startswith(_FORMULA).to_numpy(dtype=bool)
            if risky.any():
                says = f"{risky.sum():,} cells begin as a spreadsheet formula does"
                found.append((name, says, _lines(sheet, risky)))
    if sheet.declared is CANDIDATES:
        listed = times_of(sheet)
        age = listed - sheet.values["birth"] if "birth" in cells else sheet.values["age"]
        minor = age < ADULT
        if minor.any():
            says = f"{minor.sum():,} listed under {ADULT:g}: followed as adults from the start on"
            found.append(("age", says, _lines(sheet, minor)))
    return found


def _odd_columns(p: Parameters, sheet: Sheet) -> list[tuple[str, str, str]]:
    """Warnings about whole columns."""
    found = []
    n = len(sheet.lines)
    for name, values in sheet.values.items():
        known = values[~np.isnan(values)]
        if len(known) > 1 and len(np.unique(known)) == 1:
            found.append((name, "the same for everybody", ""))
        if (n - len(known)) / n > 0.5 and sheet.declared[name].kind != "antigen":
            blank = n - len(known)
            found.append((name, f"{blank:,} of {n:,} cells are blank, and will be drawn", ""))
    covered, last = covered_by(p, sheet), float(times_of(sheet).max())
    if np.isfinite(covered) and last < 0.9 * covered:
        says = f"the last row is at {last:.2f} years, but the file is taken to cover {covered:g}"
        found.append(("", says, ""))
    return found


def _notes(p: Parameters, sheet: Sheet) -> tuple[str, ...]:
    """What the file gives, and what is left to be drawn."""
    covered = covered_by(p, sheet)
    until = f"in {covered:g} years; no run may be longer"
    absent = [
        name
        for name, column in sheet.declared.items()
        if name not in sheet.cells and not column.instead_of and column.kind != "text"
    ]
    drawn = (f"drawn as for synthetic people: {', '.join(absent)}",) if absent else ()
    places = tuple(
        f"{name}: numbered in order of name, from {shown(names[0])}, 0, to {shown(names[-1])}, "
        f"{len(names) - 1}"
        for name, names in sheet.places.items()
    )
    if sheet.declared is not CANDIDATES:
        return (f"{len(sheet.lines):,} donors {until}", *drawn, *places)
    before = int(np.sum(times_of(sheet) < 0))
    after = len(sheet.lines) - before
    return (
        f"{before:,} waiting at the start"
        if before
        else f"nobody waits at the start: {p.list.initial:,} are drawn (list)",
        f"{after:,} listed {until}"
        if after
        else f"nobody is listed later: {p.arrivals.per_year:g} a year are drawn (arrivals)",
        *drawn,
        *places,
    )
