"""Presets: populations as TOML, every figure with its source; loading, extending, overriding."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from populations.bring import counted
from populations.errors import InputError, did_you_mean
from populations.parameters import Parameters

PRESETS = files("populations") / "presets"
_LEAF = {"value", "tag", "source"}
_PATHS = ("data.candidates", "data.donors")  # as seen from the file that names them
TAGS: dict[str, str] = {
    "R": "read in the source",
    "R2": "read in a secondary transcription",
    "D": "derived",
    "M": "from memory: verify",
    "A": "an assumption of this model, no source",
    "user": "set by you",
}


class Origin(NamedTuple):
    """Where a figure comes from: a tag (see ``TAGS``) and a source in words."""

    tag: str
    source: str


@dataclass(frozen=True)
class Population:
    """A resolved population: its parameters and where each came from (by dotted key)."""

    name: str
    description: str
    parameters: Parameters
    origins: Mapping[str, Origin]


def preset_names() -> list[str]:
    """Names of the presets that come with Equipoise, sorted."""
    return sorted(entry.name[:-5] for entry in PRESETS.iterdir() if entry.name.endswith(".toml"))


def load_population(name: str, overrides: Iterable[str] = ()) -> Population:
    """Resolve a preset, or a TOML file that extends one, apply overrides, and check its data.

    Parameters
    ----------
    name : str
        A preset's name, or the path of a ``.toml`` file with ``extends = "preset"``.
    overrides : iterable of str
        ``"arrivals.per_year=900"``: dotted key, then a TOML value.

    Raises
    ------
    InputError
        Naming the file or option, the key, the value and what is allowed.
    """
    population, files_of = _resolved(name, overrides)
    parameters, sources = counted(population.parameters)
    ours = {f"{preset}.toml" for preset in preset_names()}
    for key, source in sources.items():
        if files_of[key] not in ours:
            raise InputError(f"{files_of[key]}: {key} is set, but {source}: leave it out")
    origins = {key: Origin("user", source) for key, source in sources.items()}
    return replace(population, parameters=parameters, origins={**population.origins, **origins})


def resolve_population(name: str, overrides: Iterable[str] = ()) -> Population:
    """As `load_population`, but with its data neither read nor counted."""
    return _resolved(name, overrides)[0]


def _resolved(name: str, overrides: Iterable[str]) -> tuple[Population, dict[str, str]]:
    """A population before its data is looked at, and where each key was set."""
    description, values, origins, files_of = _read(name, seen=())
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not key.strip():
            raise InputError(f"--set {override!r}: expected key=value, as in arrivals.per_year=900")
        key = key.strip()
        values[key] = _toml_value(text.strip())
        origins[key] = Origin("user", f"--set {override}")
        _last_set(files_of, key, "--set")
    parameters = _validated(values, files_of, name)
    return Population(Path(name).stem, description, parameters, origins), files_of


def _toml_value(text: str) -> Any:
    try:
        content = tomllib.loads(f"x = {text}")
    except (ValueError, RecursionError):  # not TOML, or too long a number or too deep for Python
        return text
    return content["x"] if len(content) == 1 else text


def _last_set(files_of: dict[str, str], key: str, label: str) -> None:
    """Note where ``key`` was set, and that this was done last of all."""
    files_of.pop(key, None)
    files_of[key] = label


def _read(
    name: str, seen: tuple[str, ...]
) -> tuple[str, dict[str, Any], dict[str, Origin], dict[str, str]]:
    """Description, values, origins and file of each dotted key, what it extends included."""
    if name in seen:
        raise InputError(f"{name}: extends itself through {' -> '.join((*seen, name))}")
    label, text = _text_of(name)
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # or too long a number, or too deep for Python
        raise InputError(f"{label}: not valid TOML: {error}") from error
    base = content.pop("extends", None)
    description = content.pop("description", None)
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    files_of: dict[str, str] = {}
    if base is not None:
        if not isinstance(base, str):
            raise InputError(f"{label}: extends = {base!r}: expected the name of a preset")
        inherited, values, origins, files_of = _read(base, (*seen, name))
        description = description or inherited
    for key, leaf in _leaves(content, ""):
        if isinstance(leaf, dict):
            told = all(isinstance(leaf.get(name, ""), str) for name in ("tag", "source"))
            if set(leaf) - _LEAF or not told or leaf.get("tag", "user") not in TAGS:
                raise InputError(
                    f"{label}: {key!r} = {_shown(leaf)}: a figure is a value, or "
                    f"{{ value, tag, source }} with tag one of {', '.join(TAGS)}"
                )
        figure = leaf if isinstance(leaf, dict) else {"value": leaf}
        values[key] = figure["value"]
        if key in _PATHS and isinstance(values[key], str):
            values[key] = str(Path(label).parent / values[key])
        origins[key] = Origin(figure.get("tag", "user"), figure.get("source", label))
        _last_set(files_of, key, label)
    return str(description or ""), values, origins, files_of


def _text_of(name: str) -> tuple[str, str]:
    if name.endswith(".toml"):
        try:
            return name, Path(name).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:  # ValueError: not UTF-8, or no path at all
            raise InputError(f"{name!r}: cannot be read: {error}") from error
    if name not in preset_names():
        raise InputError(
            f"unknown population {name!r}: {did_you_mean(name, preset_names())}"
            f"expected one of {', '.join(preset_names())}, or a .toml file"
        )
    return f"{name}.toml", (PRESETS / f"{name}.toml").read_text(encoding="utf-8")


def _leaves(table: Mapping[str, Any], prefix: str) -> Iterable[tuple[str, Any]]:
    for name, entry in table.items():
        key = f"{prefix}{name}"
        if isinstance(entry, dict) and "value" not in entry:
            yield from _leaves(entry, f"{key}.")
        else:
            yield key, entry


def _shown(value: object) -> str:
    """``value`` as one short line."""
    try:
        text = repr(value)
    except ValueError:  # Python refuses to print whole numbers of thousands of digits
        return "a number too long to show"
    return text if len(text) <= 80 else f"{text[:77]}..."


def _validated(values: Mapping[str, Any], files_of: Mapping[str, str], name: str) -> Parameters:
    nested: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):  # it would hide where the figures in it come from
            raise InputError(f"{files_of[key]}: {key!r} = {_shown(value)}: set its figures singly")
        *path, last = key.split(".")
        table = nested
        for part in path:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise InputError(f"{files_of[key]}: {key!r}: {part!r} is a figure, not a section")
        table[last] = value
    try:
        return Parameters.model_validate(nested)
    except ValidationError as error:
        raise InputError(_explain(error, files_of, name)) from error


def _explain(error: ValidationError, files_of: Mapping[str, str], name: str) -> str:
    """One line for the first thing that is wrong."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"] if not isinstance(part, int))
    within = [k for k in files_of if k == key or k.startswith(f"{key}.") or not key]
    source = files_of[within[-1]] if within else name
    if first["type"] == "extra_forbidden":
        allowed = _allowed(key.split(".")[:-1])
        hint = did_you_mean(key.split(".")[-1], allowed)
        return f"{source}: {key!r}: unknown key; {hint}allowed here: {', '.join(allowed)}"
    if first["type"] == "missing":
        return f"{name}: {key} is missing; give it, or extend a preset that has it"
    if first["type"] == "model_type":
        allowed = _allowed(key.split("."))
        return f"{source}: {key} = {_shown(first['input'])}: a section of {', '.join(allowed)}"
    message = first["msg"].removeprefix("Value error, ")
    given = "" if isinstance(first["input"], dict) else f" = {_shown(first['input'])}"
    return f"{source}: {key}{given}: {message[0].lower()}{message[1:]}"


def _allowed(path: list[str]) -> list[str]:
    model: Any = Parameters
    for name in path:
        model = model.model_fields[name].annotation
    return list(model.model_fields)
