"""What the code says of itself: docstrings, limits of parameters, figures and constants."""

import inspect
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel

from populations.parameters import Parameters
from populations.presets import Population


class Entry(NamedTuple):
    """One name in a section of a docstring: what it is and what is said of it."""

    name: str
    kind: str
    text: str


def named(path: str) -> Any:
    """What ``"package.module:NAME"``, ``"package.module:Class.method"`` or a module is.

    Raises
    ------
    LookupError
        If there is no such module or name: something that is described was renamed.
    """
    module, _, name = path.partition(":")
    try:
        found: Any = import_module(module)
        for part in filter(None, name.split(".")):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise LookupError(f"the description of the model names {path!r}: {error}") from error
    return found


def _docstring(path: str) -> str:
    text = inspect.getdoc(named(path))
    if not text:
        raise LookupError(f"the description of the model quotes {path!r}, which has no docstring")
    return text


def prose(path: str) -> str:
    """A docstring's text before its first titled section, paragraphs and lists as they are."""
    return re.split(r"\n[A-Z][A-Za-z ]+\n-{3,}\n", _docstring(path))[0].strip()


def plain(text: str) -> str:
    """Docstring text in one line of Markdown."""
    return " ".join(text.split()).replace("``", "`")


def section(path: str, title: str) -> str:
    """The text of one titled section of a docstring, up to the next one."""
    parts = re.split(r"(?:^|\n)([A-Z][A-Za-z ]+)\n-{3,}\n", _docstring(path))
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    if title not in found:
        raise LookupError(f"the description of the model quotes {title!r} of {path!r}: not there")
    return found[title].strip()


def entries(path: str) -> list[Entry]:
    """What the Parameters section of a docstring says, entry by entry."""
    listed: list[Entry] = []
    for block in re.split(r"\n(?=\S)", section(path, "Parameters")):
        heading, _, text = block.partition("\n")
        name, _, kind = heading.partition(" : ")
        listed.append(Entry(name, kind, plain(text)))
    return listed


def value(found: Any) -> str:
    """A figure as text: numbers as they are read, lists in brackets."""
    if isinstance(found, np.ndarray):
        found = found.tolist()
    if isinstance(found, float | int) and not isinstance(found, bool):
        return f"{found:,.10g}"
    if isinstance(found, list | tuple):
        return "[" + ", ".join(value(each) for each in found) + "]"
    return str(found).lower() if isinstance(found, bool) else str(found)


def limits(section_name: str) -> list[tuple[str, str]]:
    """Every parameter of a section by its dotted key, and what is allowed."""
    return list(_leaves(Parameters.model_fields[section_name].annotation, section_name))


def figure(population: Population, key: str) -> tuple[str, str, str]:
    """The value of a parameter, its tag and its source.

    Raises
    ------
    LookupError
        If it has no origin.
    """
    if key not in population.origins:
        raise LookupError(f"population {population.name}: {key} has no tag and no source")
    found: Any = population.parameters.model_dump()
    for part in key.split("."):
        found = found[part]
    return (value(found), *population.origins[key])


def _leaves(model: Any, prefix: str) -> Iterator[tuple[str, str]]:
    """Dotted key of each figure below a model, and what is allowed there."""
    properties = model.model_json_schema()["properties"]
    for name, field in model.model_fields.items():
        inner = field.annotation
        if inspect.isclass(inner) and issubclass(inner, BaseModel):
            yield from _leaves(inner, f"{prefix}.{name}")
        else:
            yield f"{prefix}.{name}", _allowed(properties[name])


def _allowed(rule: Mapping[str, Any]) -> str:
    """What a JSON schema allows, in words."""
    if "enum" in rule:
        return " or ".join(rule["enum"])
    if rule.get("type") == "array":
        least, most = rule.get("minItems", 0), rule.get("maxItems")
        length = f"{least}" if least == most else f"{least} or more"
        return f"{length}: each {_allowed(rule['items'])}"
    if rule.get("type") == "boolean":
        return "true or false"
    if "maximum" not in rule:
        return str(rule.get("type", "any"))
    above = "above " if "exclusiveMinimum" in rule else ""
    low = rule["exclusiveMinimum"] if above else rule["minimum"]
    whole = "whole, " if rule["type"] == "integer" else ""
    return f"{whole}{above}{value(low)} to {value(rule['maximum'])}"
