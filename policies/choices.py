"""Reading a table of people's answers: who was asked which pair, and what they chose."""

import csv
import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from policies.likelihood import Floats, Ints
from policies.schemas import SCHEMAS, Scale
from populations.errors import InputError, did_you_mean
from populations.schema import Columns

ANSWERS = ("left", "right", "coin")
CODING: Mapping[str, str] = {answer: answer for answer in ANSWERS}
OWN_SCHEMA = "own"
_DIRECTIONS: dict[str, int] = {"+": 1, "-": -1, "?": 0}
_SHOWN = 40


@dataclass(frozen=True)
class Asked:
    """What the people were told about each patient.

    Parameters
    ----------
    schema : str
        A name in `policies.schemas.SCHEMAS`, or ``own``.
    scale : mapping of attribute to (low, high)
        The range that may occur, in the attribute's unit; fitted weights refer to it.
    directions : mapping of attribute to +1, -1 or 0
        Whether people are expected to favour more or less of it; 0 where nothing is declared.
    """

    schema: str
    scale: Scale
    directions: Mapping[str, int]


class Layout(NamedTuple):
    """Which columns of the file hold what; attributes in the order of the schema.

    Empty ``left`` and ``right`` mean ``left_<attribute>`` and ``right_<attribute>``.
    """

    person: str = "person"
    decision: str = "decision"
    left: tuple[str, ...] = ()
    right: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choices:
    """n answers of people to "left, right, or flip a coin?".

    Parameters
    ----------
    a, b : Columns
        Attributes of the patient on the left and on the right, each shape (n,).
    answers : ndarray, shape (n, 3)
        One-hot: left, right, coin.
    person : ndarray of int, shape (n,)
        Who answered, from 0 in order of appearance.
    pair : ndarray of int, shape (n,)
        Which two profiles were compared, whichever was on the left; from 0.
    asked : Asked
        The attributes.
    coding : dict of str to {"left", "right", "coin"}
        What each value of the decision column was taken to mean.
    source, sha256 : str
        The file's name, without its folders, and the hash of its bytes.
    """

    a: Columns
    b: Columns
    answers: Floats
    person: Ints
    pair: Ints
    asked: Asked
    coding: Mapping[str, str]
    source: str
    sha256: str

    @property
    def people(self) -> int:
        """How many people answered."""
        return int(self.person.max()) + 1


def asked_about(schema: str = "indecision3", attributes: Sequence[str] = ()) -> Asked:
    """The attributes of a schema by name, or written out as ``name=low:high:direction``.

    Parameters
    ----------
    attributes : sequence of str
        As in ``age=25:70:-``: people are expected to favour more (+) or less (-) of it, or nothing
        is declared (?). If there are any, ``schema`` is not used.

    Raises
    ------
    InputError
        If the schema is unknown or an attribute is not written so.
    """
    if not attributes:
        if schema not in SCHEMAS:
            hint = did_you_mean(schema, SCHEMAS)
            raise InputError(f"schema {schema!r}: {hint}expected one of {', '.join(SCHEMAS)}")
        known = SCHEMAS[schema]
        return Asked(schema, known.scale, known.directions)
    scale: dict[str, tuple[float, float]] = {}
    directions: dict[str, int] = {}
    for text in attributes:
        name, _, rest = text.partition("=")
        parts = rest.split(":")
        wrong = InputError(
            f"attribute {text[:60]!r}: expected NAME=LOW:HIGH:DIRECTION with a new name of "
            "letters, digits and _, LOW < HIGH, and DIRECTION +, - or ?, as in age=25:70:-"
        )
        if not (name.isidentifier() and name.isascii()) or name in scale or len(parts) != 3:
            raise wrong
        low, high = _number(parts[0]), _number(parts[1])
        if not -math.inf < low < high < math.inf or parts[2] not in _DIRECTIONS:
            raise wrong
        scale[name], directions[name] = (low, high), _DIRECTIONS[parts[2]]
    return Asked(OWN_SCHEMA, scale, directions)


def parse_coding(text: str) -> dict[str, str]:
    """``"0=left,1=right,2=coin"`` as a dictionary.

    Raises
    ------
    InputError
        If a value is given twice, an answer is unknown, or left or right is missing.
    """
    coding: dict[str, str] = {}
    for part in text.split(","):
        value, _, answer = (word.strip() for word in part.partition("="))
        if not value or value in coding or answer not in ANSWERS:
            raise InputError(
                f"coding {text[:60]!r}: {part[:_SHOWN]!r}: expected VALUE=ANSWER with each value "
                f"once and the answer one of {', '.join(ANSWERS)}, as in 0=left,1=right,2=coin"
            )
        coding[value] = answer
    for answer in ("left", "right"):
        if answer not in coding.values():
            raise InputError(f"coding {text[:60]!r}: no value means {answer}")
    return coding


def coding_text(coding: Mapping[str, str]) -> str:
    """A coding as `parse_coding` reads it."""
    return ",".join(f"{value}={answer}" for value, answer in coding.items())


def read_choices(
    path: str | Path,
    schema: str = "indecision3",
    columns: Layout | None = None,
    coding: Mapping[str, str] = CODING,
    attributes: Sequence[str] = (),
) -> Choices:
    """Answers in a CSV file with a header, one row each.

    Parameters
    ----------
    schema, attributes
        As in `asked_about`.
    columns : Layout, optional
        Which columns to read; others are ignored.
    coding : mapping of str to {"left", "right", "coin"}
        What the decision column's values mean.

    Raises
    ------
    InputError
        Naming the file, row, column and value, if anything at all cannot be read; no row is ever
        left out.
    """
    path = Path(path)
    asked = asked_about(schema, attributes)
    columns = _complete(columns or Layout(), asked)
    try:
        content = path.read_bytes()
        lines = content.decode("utf-8-sig").splitlines(keepends=True)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}: expected a CSV file of answers") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text: {error.reason} at byte {error.start}") from None
    profiles: list[list[float]] = []
    decisions: list[int] = []
    people: dict[str, int] = {}
    person: list[int] = []
    for where, row in _rows(path, lines, columns):
        who = row[columns.person]
        if not who:
            raise InputError(f"{where}, column {columns.person!r}: empty: expected who answered")
        person.append(people.setdefault(who, len(people)))
        decisions.append(_decision(where, columns.decision, row[columns.decision], coding))
        profiles.append(
            [
                _value(f"{where}, column {column!r}", row[column], name, asked.scale[name])
                for side in (columns.left, columns.right)
                for name, column in zip(asked.scale, side, strict=True)
            ]
        )
    if not profiles:
        raise InputError(f"{path}: no answers: expected rows below the header")
    left, right = np.split(np.array(profiles), 2, axis=1)
    return Choices(
        a=dict(zip(asked.scale, left.T, strict=True)),
        b=dict(zip(asked.scale, right.T, strict=True)),
        answers=np.eye(3)[decisions],
        person=np.array(person),
        pair=_pairs(left, right),
        asked=asked,
        coding=dict(coding),
        source=path.name,
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _complete(columns: Layout, asked: Asked) -> Layout:
    left = tuple(columns.left) or tuple(f"left_{name}" for name in asked.scale)
    right = tuple(columns.right) or tuple(f"right_{name}" for name in asked.scale)
    for side, names in (("left", left), ("right", right)):
        if len(names) != len(asked.scale):
            raise InputError(
                f"columns on the {side}: {', '.join(names)}: expected {len(asked.scale)}, one each "
                f"for {', '.join(asked.scale)}, in this order"
            )
    columns = columns._replace(left=left, right=right)
    every = [columns.person, columns.decision, *columns.left, *columns.right]
    for name in every:
        if every.count(name) > 1:
            raise InputError(f"column {name!r}: to be read as two things: expected one column each")
    return columns


def _rows(path: Path, lines: list[str], columns: Layout) -> Iterator[tuple[str, dict[str, str]]]:
    """Where each row is, in words, and its columns."""
    reader = csv.reader(lines, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        needed = [columns.person, columns.decision, *columns.left, *columns.right]
        for name in needed:
            if header.count(name) != 1:
                has = " ".join(", ".join(header).split())[:200] or "nothing"
                hint = did_you_mean(name, header)
                raise InputError(
                    f"{path}: {header.count(name)} columns {name!r}: {hint}expected one; the "
                    f"header has {has}"
                )
        for row in reader:
            where = f"{path}, row {reader.line_num}"
            if len(row) != len(header):
                raise InputError(
                    f"{where}: {len(row)} fields: expected {len(header)}, as in the header"
                )
            yield where, {name: row[header.index(name)].strip() for name in needed}
    except csv.Error as error:
        raise InputError(f"{path}, row {reader.line_num}: {error}: expected CSV") from None


def _decision(where: str, column: str, value: str, coding: Mapping[str, str]) -> int:
    if value not in coding:
        raise InputError(
            f"{where}, column {column!r}: {value[:_SHOWN]!r}: expected one of {coding_text(coding)}"
        )
    return ANSWERS.index(coding[value])


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _value(where: str, text: str, name: str, ends: tuple[float, float]) -> float:
    value = _number(text)
    if not ends[0] <= value <= ends[1]:
        raise InputError(
            f"{where}: {text[:_SHOWN]!r}: expected {name} from {ends[0]:g} to {ends[1]:g}"
        )
    return value


def _pairs(left: Floats, right: Floats) -> Ints:
    """A code for each unordered pair of profiles, shape (n,)."""
    n = len(left)
    _, code = np.unique(np.concatenate([left, right]), axis=0, return_inverse=True)
    both = np.sort(np.stack([code[:n], code[n:]], axis=1), axis=1)
    return np.asarray(np.unique(both, axis=0, return_inverse=True)[1].reshape(-1))
