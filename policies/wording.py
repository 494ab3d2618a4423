"""The words of a question: prompt files, filled in."""

import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from policies.ask import Messages
from policies.reading import Form
from policies.schemas import SCHEMAS, Profile
from populations.errors import InputError, did_you_mean

PROMPTS = Path(__file__).with_name("prompts")
_COUNTS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
MOST_PATIENTS = len(_COUNTS) + 1


@cache
def prompt(name: str) -> dict[str, Any]:
    """A prompt file's parts.

    Raises
    ------
    InputError
        If there is no such prompt.
    """
    known = sorted(path.stem for path in PROMPTS.glob("*.toml"))
    if name not in known:
        raise InputError(
            f"prompt {name!r}: {did_you_mean(name, known)}expected one of {', '.join(known)}"
        )
    return tomllib.loads((PROMPTS / f"{name}.toml").read_text(encoding="utf-8"))


def messages(
    name: str, form: Form, schema: str, patients: Sequence[Profile], steer: str = ""
) -> Messages:
    """The question about these patients, lettered in the order given.

    Parameters
    ----------
    name : str
        The prompt.
    form : Form
        What may be answered.
    schema : str
        Which words describe a patient.
    patients : sequence of tuple of float
        Profiles, as many as the form's size.
    steer : str
        Text put before everything else.
    """
    parts = prompt(name)
    option = parts["options"][form.option]
    describe = SCHEMAS[schema].describe
    letters = form.letters[: form.size]
    choices = [option["choice"].format(letter=letter) for letter in letters]
    if "indecision" in option:
        place = form.size if option["place"] == "last" else form.size // 2
        choices.insert(place, option["indecision"].format(letter=form.letters[-1]))
    shown = parts["question"].format(
        count=_COUNTS[form.size - 2],
        patients="\n".join(
            parts["patient"].format(letter=letter, description=describe(patient))
            for letter, patient in zip(letters, patients, strict=True)
        ),
        choices="\n".join(choices),
    )
    system = parts["reasoning" if form.reasoning else "system"]
    return [
        {"role": "system", "content": f"{steer.strip()}\n\n{system}" if steer.strip() else system},
        {"role": "user", "content": shown.strip()},
    ]
