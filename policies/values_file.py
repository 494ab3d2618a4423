"""Fitted values as a file: written by ``equipoise fit``, used as the policy ``values:NAME``."""

import json
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from policies.davidson import Assembly, Davidson, Linear
from populations.errors import InputError
from populations.schema import SCHEMA

FOLDER = Path("values")
# Attributes that grow differently while people wait, or that only a match run knows: values that
# depend on any other attribute of the simulation keep their differences for ever.
_UNSTEADY = {"epts", "dialysis_years"}

Kind = Literal["pooled", "people", "mixture"]
Direction = Annotated[int, Field(ge=-1, le=1)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Member(_Part):
    """A class of people, or one person.

    Parameters
    ----------
    share : float
        Probability that a decision is theirs.
    log_tie, order : float
        As in `policies.davidson.Davidson`.
    weights : dict of attribute to float
        Utility of the scale's high end over its low end.
    """

    share: Annotated[float, Field(ge=0, le=1)]
    log_tie: Number
    order: Number
    weights: dict[str, Number]


class Made(_Part):
    """How values were made: enough to make them again from the same file.

    Parameters
    ----------
    source, sha256 : str
        Name and hash of the file of answers.
    answers, people : int
    coding : str
        What the answers' values were taken to mean.
    order : bool
        Whether an order effect was fitted.
    seed, resamples : int
        Seed of everything random; people resampled for the errors.
    warnings : tuple of str
        What was said about signs.
    """

    source: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    answers: Annotated[int, Field(ge=1)]
    people: Annotated[int, Field(ge=1)]
    coding: str
    order: bool
    seed: int
    resamples: Annotated[int, Field(ge=0)]
    warnings: tuple[str, ...] = ()


class FittedValues(_Part):
    """Values fitted to a file of answers.

    Parameters
    ----------
    kind : {"pooled", "people", "mixture"}
        One model; one per person; one per class of people.
    provenance : str
        The tag ``user``: figures given by the user.
    scale : dict of attribute to (low, high)
        What weights refer to, in the attribute's unit.
    directions : dict of attribute to -1, 0 or 1
        What was declared.
    members : tuple of Member
    errors : dict of parameter to float
        Standard errors of the pooled fit, by resampling people: attributes, ``log_tie``, ``order``.
    statistics : dict of str to float
        How well the fit predicts answers held out; see the command's table.
    """

    name: Annotated[str, Field(pattern=r"^[\w-]+$")]
    kind: Kind
    provenance: Literal["user"]
    schema_name: str
    scale: dict[str, tuple[Number, Number]]
    directions: dict[str, Direction]
    made: Made
    errors: dict[str, Positive]
    statistics: dict[str, Number]
    members: Annotated[tuple[Member, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for name, (low, high) in self.scale.items():
            if not low < high:
                raise ValueError(f"scale.{name} = [{low:g}, {high:g}]: expected low < high")
        for number, member in enumerate(self.members):
            if set(member.weights) != set(self.scale):
                raise ValueError(
                    f"members.{number}.weights: for {', '.join(member.weights) or 'nothing'}: "
                    f"expected one each for {', '.join(self.scale)}"
                )
        total = math.fsum(member.share for member in self.members)
        if not math.isclose(total, 1.0, abs_tol=1e-6):
            raise ValueError(f"members.share: sum to {total:g}: expected 1")
        if self.kind == "pooled" and len(self.members) != 1:
            raise ValueError(f"members: {len(self.members)} of kind pooled: expected one")
        return self


def save_values(values: FittedValues, path: Path) -> None:
    """Write values as TOML, making the folder if need be."""
    content = values.model_dump()
    members = content.pop("members")
    lines = ["# Made by `equipoise fit` from a file of answers."]
    lines += [f"{key} = {_toml(value)}" for key, value in content.items() if not _table(value)]
    for key, value in content.items():
        if _table(value):
            lines += ["", f"[{key}]", *(f"{name} = {_toml(part)}" for name, part in value.items())]
    for member in members:
        lines += ["", "[[members]]", *(f"{name} = {_toml(part)}" for name, part in member.items())]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _table(value: Any) -> bool:
    return isinstance(value, Mapping)


def _toml(value: Any) -> str:
    """A value on one line of TOML; strings and numbers are written as in JSON."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(part)}" for key, part in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(part) for part in value) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def values_path(name: str) -> Path:
    """The file that ``values:NAME`` means: NAME if it ends in .toml, else values/NAME.toml."""
    return Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"


def load_values(path: Path) -> FittedValues:
    """Values from a file.

    Raises
    ------
    InputError
        Naming the file, the field and what is right.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"values {path}: {error.strerror}: expected a file written by `equipoise fit`"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"values {path}: not TOML: {' '.join(str(error).split())}") from None
    try:
        return FittedValues.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "value_error":
            raise InputError(f"values {path}: {first['ctx']['error']}") from None
        field = ".".join(map(str, first["loc"]))
        given = " " if first["type"] == "missing" else f" = {str(first['input'])[:40]!r}"
        raise InputError(f"values {path}: {field}{given.rstrip()}: {first['msg']}") from None


def values_policy(name: str) -> Davidson | Assembly:
    """The policy ``values:NAME``: one Davidson model, or people drawn by their shares.

    Every member looks at every kidney: against a pooled policy, 132 people took 13 times as long
    over ten years of one organ procurement organisation, and four classes half as long again.

    Raises
    ------
    InputError
        As `load_values`.
    """
    path = values_path(name)
    values = load_values(path)
    called = f"values:{name}"
    steady = set(values.scale) <= SCHEMA.keys() - _UNSTEADY
    card = values_card(values)

    def member(called: str, of: Member, card: dict[str, Any]) -> Davidson:
        weights = {key: (weight, *values.scale[key]) for key, weight in of.weights.items()}
        return Davidson(called, Linear(weights), of.log_tie, of.order, steady, card)

    if values.kind == "pooled":
        return member(called, values.members[0], card)
    members = tuple(
        member(f"{called} {number}", of, {}) for number, of in enumerate(values.members, 1)
    )
    return Assembly(called, members, tuple(of.share for of in values.members), card)


def values_card(values: FittedValues) -> dict[str, Any]:
    """What should be shown beside every result: how the values were made, how well they predict."""
    made = values.made
    warned = f"; {'; '.join(made.warnings)}" if made.warnings else ""
    return {
        "provenance": (
            f"{values.kind} values fitted to {made.answers:,} answers of {made.people:,} people in "
            f"{made.source} (sha256 {made.sha256[:12]}), coded {made.coding} (tag user){warned}"
        ),
        "way": "fitted values",
        "values": values.name,
        "kind": values.kind,
        "errors": dict(values.errors),
        **values.statistics,
    }
