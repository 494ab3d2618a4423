"""Sentences made of text and of numbers, each number tied to the cell of the file it came from."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from experiments.tables import number


class Row(NamedTuple):
    """What a sentence rests on: a row of a file, or the mean of a column over several.

    Parameters
    ----------
    table : str
        The file's name without ``.csv``.
    lines : tuple of int
    column : str
        Of a mean; empty for a single row.
    """

    table: str
    lines: tuple[int, ...]
    column: str = ""

    @property
    def place(self) -> str:
        """As a reader would look it up: levels.csv, line 7."""
        if self.column:
            return f"{self.table}.csv, mean of {self.column} over {len(self.lines)} lines"
        return f"{self.table}.csv, line {self.lines[0]}"


@dataclass(frozen=True)
class Number:
    """A number as it is printed, and where it stands.

    Parameters
    ----------
    value : float
        The cell, or the mean of the cells of several lines.
    text : str
        As printed.
    table : str
    lines : tuple of int
    column : str
    """

    value: float
    text: str
    table: str
    lines: tuple[int, ...]
    column: str

    @property
    def cells(self) -> str:
        """``table:line,line:column``."""
        return f"{self.table}:{','.join(map(str, self.lines))}:{self.column}"


class Reference(NamedTuple):
    """A mark in a sentence that leads to rows."""

    rows: tuple[Row, ...]


class Claim(NamedTuple):
    """The words that say it, set off from the numbers."""

    text: str


Part = str | Claim | Number | Reference


@dataclass(frozen=True)
class Finding:
    """One sentence.

    Parameters
    ----------
    parts : tuple of Part
    kind : {"declared", "exploratory", ""}
        Whether it rests on comparisons named before the numbers were seen; empty if on none.
    """

    parts: tuple[Part, ...]
    kind: str = ""

    @property
    def rows(self) -> Iterator[Row]:
        """Every row that the sentence rests on, in the order in which it does."""
        for part in self.parts:
            if isinstance(part, Reference):
                yield from part.rows


@dataclass(frozen=True)
class Block:
    """Sentences about one arm beside the reference."""

    arm: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Topic:
    """A part of the findings: what is asked in it, and the sentences about each arm."""

    title: str
    name: str
    introduction: str
    blocks: tuple[Block, ...]


P_VALUE = "p"  # a format beside those of Python


def plain(text: str) -> str:
    """A formatted number with a true minus, and with its unit on the same line."""
    return text.replace("-", "\N{MINUS SIGN}").replace(" ", "\N{NO-BREAK SPACE}")


def finer(how: str, digits: int) -> str:
    """A format with so many more digits after the point: ".1%" and 1 give ".2%"."""
    start, point, rest = how.partition(".")
    return f"{start}{point}{int(rest[:-1]) + digits}{rest[-1]}"


def printed(value: float, how: str, *, signed: bool = False) -> str:
    """A number as the page shows it; the format ``P_VALUE`` says no more than "<0.001"."""
    if how == P_VALUE:
        return "<0.001" if value < 0.001 else f"{value:.3f}"
    return plain(number(value, how, signed))


def cell(row: pd.Series, table: str, column: str, how: str, *, signed: bool = False) -> Number:
    """The number in one cell."""
    value = float(row[column])
    text = printed(value, how, signed=signed)
    return Number(value, text, table, (_line(row),), column)


def mean_cell(rows: pd.DataFrame, table: str, column: str, how: str) -> Number:
    """The mean of one column over rows, one for each world."""
    value = float(rows[column].mean())
    return Number(value, printed(value, how), table, tuple(map(int, rows.index)), column)


def reference(*rows: tuple[str, pd.Series]) -> Reference:
    """A mark that leads to single rows."""
    return Reference(tuple(Row(table, (_line(row),)) for table, row in rows))


def mean_of(*numbers: Number) -> Reference:
    """A mark that leads to the lines of means."""
    return Reference(tuple(Row(each.table, each.lines, each.column) for each in numbers))


def _line(row: pd.Series) -> int:
    return int(str(row.name))


def join(items: Sequence[Iterable[Part]], between: str = "; ") -> list[Part]:
    """Parts of several items in one list of parts."""
    parts: list[Part] = []
    for place, item in enumerate(items):
        parts += [between, *item] if place else item
    return parts
