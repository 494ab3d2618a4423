"""Reading a results folder, and saying what is missing or wrong in it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

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
    "conflict": ("score", "rank", "top_share", "bottom_share"),
    "conflict_tau": ("tau", "same_sign_share"),
}
_NEEDED = ("levels", "differences")


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
    tables = {name: table for name, table in found.items() if len(table) or name in _NEEDED}
    missing = tuple(name for name in _TEXT if name not in tables)
    return Found(folder, file, tables, missing, _captions(folder / "figures" / "captions.json"))


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        what = "not a results folder" if path.name == "study.json" else "damaged"
        raise InputError(f"{path}: {what}: {error}; make it by `{_COMMAND} --out FOLDER`") from None


def _study(path: Path) -> StudyFile:
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
    return file


def _table(path: Path, name: str, file: StudyFile) -> pd.DataFrame:
    text, numbers = _TEXT[name], _NUMBERS[name]
    try:
        table = pd.read_csv(
            path, dtype=dict.fromkeys(text, str), keep_default_na=False, na_values=[""]
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
    return table


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
        for key in keys:
            if not (isinstance(entry, dict) and isinstance(entry.get(key), str) and entry[key]):
                raise InputError(f"{path}: {name}: {key}: expected some text")
        if name != Path(name).name or name.startswith("."):
            raise InputError(f"{path}: {name!r}: expected the name of a figure in this folder")
    return captions
