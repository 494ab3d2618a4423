"""Reading a results folder, and saying what is missing or wrong in it."""

import json
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from experiments.report.cards import check_cards
from measures.registry import is_ratio
from populations.errors import InputError

_COMMAND = "equipoise run compare"
_WHERE = ("arm", "measure", "grouping", "group")
_ESTIMATE = ("value", "low", "high")

# Columns of each table: text first, then numbers. Whatever else a file holds is kept.
_TEXT: dict[str, tuple[str, ...]] = {
    "levels": _WHERE,
    "differences": (*_WHERE, "family"),
    "ledger": ("arm", "what"),
    "floor": ("arm", "what"),
    "alignment": ("arm", "measure"),
    "weights": ("policy", "term", "unit"),
    "steady_levels": _WHERE,
    "steady_differences": (*_WHERE, "family"),
    "conflict": ("definition", "arm"),
    "conflict_tau": ("definition_a", "definition_b"),
}
_NUMBERS: dict[str, tuple[str, ...]] = {
    "levels": (*_ESTIMATE, "worlds"),
    "differences": (*_ESTIMATE, "worlds", "p", "p_holm"),
    "ledger": ("world", "n", "share"),
    "floor": ("world", "n", "share"),
    "alignment": ("value",),
    "weights": _ESTIMATE,
    "steady_levels": (*_ESTIMATE, "worlds"),
    "steady_differences": (*_ESTIMATE, "worlds", "p", "p_holm"),
    "conflict": ("score", "rank", "p_fairest", "p_least_fair"),
    "conflict_tau": ("tau", "same_sign_share"),
}
_NEEDED = ("levels", "differences")
# Tables where these columns together name a row: all of their text, but for the family.
_KEYS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("levels", "differences", "steady_levels", "steady_differences"), _WHERE),
    "alignment": _TEXT["alignment"],
    "conflict": _TEXT["conflict"],
    "conflict_tau": _TEXT["conflict_tau"],
}
_FAMILIES = ("declared", "exploratory", "invariant")


class _File(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class Settings(_File):
    """What was asked; see ``experiments.study.Study``."""

    population: str
    worlds: int = Field(ge=1)
    years: float = Field(gt=0)
    tie_seeds: int = Field(ge=1)
    seed: int
    discretion: str
    values: str
    lottery: Literal["fresh", "persistent"]
    declared: list[tuple[str, str, str, str]]


class Source(_File):
    """Where a figure of the population comes from; see ``populations.presets.Origin``."""

    tag: str
    source: str


class WarmUp(_File):
    """When the list had forgotten how it began; see ``experiments.warm_up.WarmUp``."""

    years: float
    steady: bool
    needed: float


class Precision(_File):
    """How narrow intervals were wanted; see ``experiments.sequential.Precision``."""

    target: float = Field(gt=0, allow_inf_nan=False)
    met: bool
    worlds: int = Field(ge=1)
    left_out: list[str]


class StudyFile(_File):
    """What ``study.json`` must hold."""

    study: Settings
    population: dict[str, Any]
    origins: dict[str, Source]
    cards: dict[str, dict[str, Any]]
    arms: list[str] = Field(min_length=1)
    reference: str
    command: str
    versions: dict[str, str]
    warm_up: WarmUp
    precision: Precision | None = None


@dataclass(frozen=True)
class Found:
    """A results folder.

    Parameters
    ----------
    folder : Path
    file : StudyFile
    tables : dict of DataFrame
        By name without ``.csv``; the index is each row's line in its file, whose first line holds
        the names of the columns.
    missing : tuple of str
        Tables that are not there, or have nothing in them.
    captions : dict
        By figure: ``title``, ``caption`` and ``alt``.
    """

    folder: Path
    file: StudyFile
    tables: dict[str, pd.DataFrame]
    missing: tuple[str, ...]
    captions: dict[str, dict[str, str]]

    @property
    def others(self) -> list[str]:
        """The arms that are compared with the reference, in order."""
        return [arm for arm in self.file.arms if arm != self.file.reference]

    def rows(self, table: str, **where: str) -> pd.DataFrame:
        """Rows of a table that hold these values; none if the table is missing."""
        found = self.tables.get(table, pd.DataFrame(columns=list(where)))
        for column, value in where.items():
            found = found[found[column] == value]
        return found

    def row(self, table: str, **where: str) -> pd.Series | None:
        """The one row of a table that holds these values, if there is one."""
        found = self.rows(table, **where)
        return found.iloc[0] if len(found) else None


def read_results(folder: Path) -> Found:
    """Read what ``equipoise run compare --out FOLDER`` wrote.

    Raises
    ------
    InputError
        If the folder is none of a study's, or one of its files is damaged; naming file and field.
    """
    file = _study(folder / "study.json")
    found = {
        name: _table(folder / f"{name}.csv", name, file)
        for name in _TEXT
        if name in _NEEDED or (folder / f"{name}.csv").exists()
    }
    _whole(folder, file, found)
    tables = {name: table for name, table in found.items() if len(table) or name in _NEEDED}
    missing = tuple(name for name in _TEXT if name not in tables)
    return Found(folder, file, tables, missing, _captions(folder / "figures" / "captions.json"))


def _json(path: Path) -> Any:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        _check_text(content, path, "content")
    except (OSError, RecursionError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: damaged: {error}; run `{_COMMAND}` again") from None
    return content


def _check_text(content: Any, path: Path, field: str) -> None:
    """Raise InputError if some text is none: JSON can hold half of a character."""
    if isinstance(content, str) and not content.isascii():
        try:
            content.encode()
        except UnicodeEncodeError:
            raise InputError(
                f"{path}: {field}: {content[:60]!a}: expected text, found half of a character"
            ) from None
    if isinstance(content, dict):
        for key, value in content.items():
            _check_text(key, path, field)
            _check_text(value, path, f"{field}.{key}")
    if isinstance(content, list):
        for value in content:
            _check_text(value, path, field)


def _study(path: Path) -> StudyFile:
    if not path.exists():
        cells = path.parent / "cells"
        if (cells / path.name).exists():
            raise InputError(
                f"{path}: missing; this is the folder of a factorial study: the report is of the "
                f"study of its cells, {cells}"
            )
        raise InputError(
            f"{path}: missing: the study was interrupted (run the same command again), or this is "
            f"no results folder (make one by `{_COMMAND} --out FOLDER`)"
        )
    try:
        file = StudyFile.model_validate(_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "content"
        message = first["msg"][:1].lower() + first["msg"][1:]
        raise InputError(f"{path}: {field}: {message}; run `{_COMMAND}` again") from None
    if file.reference not in file.arms:
        expected = ", ".join(file.arms)
        raise InputError(f"{path}: reference: {file.reference!r}: expected one of {expected}")
    if len(set(file.arms)) < len(file.arms):
        raise InputError(f"{path}: arms: {', '.join(file.arms)}: expected each once")
    check_cards(file.cards, path)
    return file


def _whole(folder: Path, file: StudyFile, tables: dict[str, pd.DataFrame]) -> None:
    """Raise InputError unless every arm is where it must be."""
    others = [arm for arm in file.arms if arm != file.reference]
    for name, arms in (("levels", file.arms), ("differences", others)):
        lacking = set(arms) - set(tables[name]["arm"])
        if lacking:
            raise InputError(
                f"{folder / name}.csv: arm {min(lacking)!r}: expected rows of every arm of "
                f"study.json, found none of this; run `{_COMMAND}` again"
            )


def _table(path: Path, name: str, file: StudyFile) -> pd.DataFrame:
    text, numbers = _TEXT[name], _NUMBERS[name]
    try:
        content = path.read_bytes()
        if content and not content.endswith(b"\n"):
            raise ValueError("its last line is cut off")
        table = pd.read_csv(
            BytesIO(content), dtype=dict.fromkeys(text, str), keep_default_na=False, na_values=[""]
        )
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: missing or damaged ({error}); run `{_COMMAND}` again") from None
    if table.empty and name not in _NEEDED:
        return table  # nothing to tell, as of one policy alone
    for column in (*text, *numbers):
        if column not in table:
            raise InputError(f"{path}: column {column!r} is missing; run `{_COMMAND}` again")
    for column in numbers:
        table[column] = _numeric(table[column], path)
    table[list(text)] = table[list(text)].fillna("")
    unknown = set(table["arm"]) - set(file.arms) if "arm" in table else set()
    if unknown:
        expected = ", ".join(file.arms)
        raise InputError(f"{path}: arm {min(unknown)!r}: expected one of {expected}")
    table.index = pd.RangeIndex(2, len(table) + 2, name="line")
    _check_rows(table, path, _KEYS.get(name, ()))
    return table


def _check_rows(table: pd.DataFrame, path: Path, key: tuple[str, ...]) -> None:
    """Raise InputError at the first row that is there twice, or holds what cannot be."""
    if key:
        names = table[list(key)].agg(", ".join, axis=1)
        _refuse(table[list(key)].duplicated(), names, path, f"{', '.join(key)}: expected once")
    if "measure" in table:
        ratios = table["measure"].map(is_ratio).astype(bool)
        for column in ("value", "low", "high"):
            if column in table:
                wrong = ratios & (table[column] <= 0)
                _refuse(wrong, table[column], path, f"{column}: expected a ratio above 0")
    for column in ("p", "p_holm"):
        if column in table:
            wrong = (table[column] < 0) | (table[column] > 1)
            _refuse(wrong, table[column], path, f"{column}: expected a number from 0 to 1")
    if "worlds" in table:
        wrong = ~table["worlds"].between(0, 1e9) | (table["worlds"] % 1 != 0)
        _refuse(wrong, table["worlds"], path, "worlds: expected a whole number from 0")
    if "family" in table:
        wrong = ~table["family"].isin(_FAMILIES)
        _refuse(wrong, table["family"], path, f"family: expected one of {', '.join(_FAMILIES)}")


def _refuse(wrong: pd.Series, values: pd.Series, path: Path, field: str) -> None:
    """Raise InputError at the first line that is wrong."""
    if wrong.any():
        line = wrong.idxmax()
        name, _, right = field.rpartition(": ")
        raise InputError(f"{path}: line {line}, {name}: {values[line]!r}: {right}")


def _numeric(column: pd.Series, path: Path) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce").astype(float)
    wrong = column.notna() & numbers.isna()
    if wrong.any():
        place = int(wrong.to_numpy().argmax())
        raise InputError(
            f"{path}: line {place + 2}, {column.name}: {column.iloc[place]!r}: expected a number"
        )
    return numbers


def _captions(path: Path) -> dict[str, dict[str, str]]:
    if not path.exists():
        return {}
    captions = _json(path)
    keys = ("title", "caption", "alt")
    if not isinstance(captions, dict):
        raise InputError(f"{path}: expected an object with one entry for each figure")
    for name, entry in captions.items():
        if name != Path(name).name or name.startswith(".") or not name.isprintable():
            raise InputError(f"{path}: {name!a}: expected the name of a figure in this folder")
        for key in keys:
            if not (isinstance(entry, dict) and isinstance(entry.get(key), str) and entry[key]):
                raise InputError(f"{path}: {name}: {key}: expected some text")
    return captions
