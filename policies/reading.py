"""Reading an answer: next-token probabilities, or text by a strict parser, never by guessing."""

import json
import math
import re
import string
from typing import NamedTuple

from policies.answers import Answer
from policies.categories import categorise

_AROUND = " \t\n.,:;!*_`\"'()[]"
_PATIENT = r"(?:choose |give )?(?:option |patient )?{letter}(?: the kidney)?"
_LETTER = r"(?:choose |option )?{letter}"
# What stands for not choosing, beside its letter. The side of a coin is not the model's to name:
# "heads" says that a coin was flipped, and the coin is ours.
_INDECISION = {
    "none": "",
    "coin": r"flip a coin|coin flip|heads|tails",
    "study": r"flip a coin|coin flip|heads|tails",
    "undecided": r"(?:i )?(?:cannot|can't) decide|undecided",
}


class Form(NamedTuple):
    """What an answer may be.

    Parameters
    ----------
    size : int
        Patients shown, lettered from A.
    option : {"none", "coin", "undecided", "study"}
        What was offered beside them; it has the letter after the last patient's.
    reasoning : bool
        Whether the answer is a last line "Answer: X" after anything else.
    """

    size: int
    option: str
    reasoning: bool

    @property
    def letters(self) -> str:
        """The letters that may be answered, the option's last."""
        return string.ascii_uppercase[: self.size + (self.option != "none")]


def parse_text(text: str, form: Form) -> str | None:
    """The letter that a whole answer states, or None if it does anything else.

    With reasoning, its last line must be "Answer: " and the statement.
    """
    if form.reasoning:
        *_, last = ["", *text.strip().splitlines()]
        before, colon, text = last.replace("*", "").partition(":")
        if not colon or before.strip(_AROUND + "#").casefold() not in ("answer", "final answer"):
            return None
    plain = " ".join(text.strip(_AROUND).casefold().replace("*", "").replace("\u2019", "'").split())
    for number, letter in enumerate(form.letters):
        says = (_PATIENT if number < form.size else _LETTER).format(letter=letter.casefold())
        if number == form.size:
            says = f"{says}|{_INDECISION[form.option]}"
        if re.fullmatch(rf"(?:answer\W+)?(?:{says})(?:\W+(?:{says}))?", plain):
            return letter
    return None


def letter_masses(tokens: list[tuple[str, float]], letters: str) -> dict[str, float]:
    """Probability that the next token is each letter, summed over variants such as "A", " A", "A.".

    Parameters
    ----------
    tokens : list of (token, natural logarithm of its probability)
    letters : str
        The letters that may be answered.
    """
    masses = dict.fromkeys(letters, 0.0)
    for token, log_probability in tokens:
        letter = token.strip(_AROUND)
        if letter in masses:
            masses[letter] += math.exp(log_probability)
    return masses


def read_answer(
    text: str, tokens: list[tuple[str, float]], form: Form, *, cut: bool = False
) -> Answer:
    """An answer from next-token probabilities, or from the text where there are none.

    What is neither a patient nor the option offered (a refusal, rambling, a coin that was not
    offered) is "other", never "coin".

    Parameters
    ----------
    text : str
        What the model wrote.
    tokens : list of (token, natural logarithm of its probability)
        The most likely first tokens; empty where they are not known or an answer ends in its
        letter.
    form : Form
        What it may answer.
    cut : bool
        Whether the model was stopped before it ended.
    """
    masses = letter_masses(tokens, form.letters)
    stated = parse_text(text, form)
    likeliest = max(tokens, key=lambda token: token[1])[0].strip(_AROUND) if tokens else ""
    by_letter = any(masses.values()) and (
        likeliest in masses
        if stated is not None
        # A first word that only looks like a letter ("A patient should not ...") is no answer.
        else not re.match(rf"\W*[{form.letters}](?:['\u2019]|[ \t]+\w)", text)
    )
    if not by_letter:
        ended = not (form.reasoning and cut)
        masses = {letter: float(letter == stated and ended) for letter in form.letters}
    total = max(1.0, math.fsum(masses.values()))  # rounding can carry a sum beyond 1
    shares = [mass / total for mass in masses.values()]
    chosen, coin = tuple(shares[: form.size]), sum(shares[form.size :])
    other = max(0.0, 1.0 - math.fsum(shares))
    raw = json.dumps({"text": text, "tokens": tokens}) if tokens else text
    # Probabilities without a letter among them are as clear an answer as those with one.
    read = "logprobs" if by_letter or (tokens and stated is None) else "text"
    return Answer(chosen, coin, other, categorise(chosen, coin, other, text, cut=cut), read, raw)
