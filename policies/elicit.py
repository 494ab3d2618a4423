"""Asking a language model a declared battery of pairs, each in both orders."""

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from policies.answers import Answer, AnswerStore, Questions
from policies.ask import LOCAL, Messages, asking
from policies.local_model import MODEL
from policies.schemas import SCHEMAS, Profile
from populations.errors import InputError
from populations.schema import Columns

Progress = Callable[[int, int], None]

PROMPTS = Path(__file__).with_name("prompts")
DEFAULT_PROMPT = "study-1"
ORDERS = ("ab", "ba")


@dataclass(frozen=True)
class Battery:
    """Which questions are asked.

    Parameters
    ----------
    schema : str
        A name in ``SCHEMAS``.
    n_pairs : int
        Pairs of different profiles, each asked in both orders; a schema with fewer has all asked.
    seed : int
        Which pairs are drawn. The first pairs of a larger battery are those of a smaller one.
    coin : bool
        Whether flipping a coin is offered.
    prompt : str
        Name of the prompt: ``prompts/<prompt>-coin.txt`` or ``-forced.txt``.

    Raises
    ------
    InputError
        If there is no such schema or prompt, or ``n_pairs`` is less than 2.
    """

    schema: str = "indecision3"
    n_pairs: int = 120
    seed: int = 1
    coin: bool = True
    prompt: str = DEFAULT_PROMPT

    def __post_init__(self) -> None:
        if self.schema not in SCHEMAS:
            raise InputError(f"schema {self.schema!r}: expected one of {', '.join(SCHEMAS)}")
        if self.n_pairs < 2:
            raise InputError(f"n_pairs = {self.n_pairs}: expected 2 or more pairs to ask about")
        if not self._prompt_file.is_file():
            raise InputError(f"prompt {self.prompt!r}: there is no {self._prompt_file}")

    @property
    def _prompt_file(self) -> Path:
        return PROMPTS / f"{self.prompt}-{'coin' if self.coin else 'forced'}.txt"

    def pairs(self) -> list[tuple[Profile, Profile]]:
        """The pairs, in the order in which they are asked."""
        levels = list(SCHEMAS[self.schema].levels.values())
        profiles = list(itertools.product(*levels))
        everything = len(profiles) * (len(profiles) - 1) // 2
        rng = np.random.default_rng([self.seed, len(profiles)])
        drawn: dict[frozenset[int], tuple[Profile, Profile]] = {}
        while len(drawn) < min(self.n_pairs, everything):
            a, b = (int(number) for number in rng.integers(len(profiles), size=2))
            if a != b:
                drawn.setdefault(frozenset((a, b)), (profiles[a], profiles[b]))
        return list(drawn.values())

    def messages(self, first: Profile, second: Profile) -> Messages:
        """The question about two patients, in the order shown."""
        describe = SCHEMAS[self.schema].describe
        system, user = self._prompt_file.read_text(encoding="utf-8").split("---\n")
        shown = user.format(a=describe(first), b=describe(second))
        return [
            {"role": "system", "content": system.strip()},
            {"role": "user", "content": shown.strip()},
        ]

    def questions(self, model: str) -> Questions:
        """Under what the answers are kept: any change of wording makes them new questions."""
        levels = SCHEMAS[self.schema].levels.values()
        ends = [tuple(values[i] for values in levels) for i in (0, -1)]
        wording = repr([self.messages(*ends), self.messages(*reversed(ends))])
        digest = hashlib.sha256(wording.encode()).hexdigest()[:8]
        kept_as = f"{LOCAL}/{MODEL}" if model == LOCAL else model
        return Questions(kept_as, f"{self.prompt}-{digest}", self.schema, self.coin)


@dataclass(frozen=True)
class Answered:
    """A battery's answers, two rows per pair: as drawn, and swapped.

    Parameters
    ----------
    a, b : Columns
        Attributes of the patient shown first and second, shape (2 * pairs,).
    pair : ndarray of int, shape (2 * pairs,)
        Number of the pair.
    answers : list of Answer
        One per row.
    """

    a: Columns
    b: Columns
    pair: NDArray[np.int_]
    answers: list[Answer]


def elicit(
    model: str, battery: Battery, answers: Path, progress: Progress | None = None
) -> Answered:
    """All answers of a model to a battery; what is not in the store yet is asked now, and kept.

    Parameters
    ----------
    model : str
        ``local`` or a litellm name.
    answers : Path
        The answer store.
    progress : callable, optional
        Told (done, total) after every answer.

    Raises
    ------
    InputError
        If the model does not answer, or the store cannot be used. Answers so far are kept.
    """
    shown = [
        (number, order, pair if order == "ab" else pair[::-1])
        for number, pair in enumerate(battery.pairs())
        for order in ORDERS
    ]
    questions = battery.questions(model)
    with AnswerStore(answers) as store:
        known = store.load(questions)
        missing = [row for row in shown if _key(row) not in known]
        if missing:
            with asking(model) as ask:
                for done, row in enumerate(missing, len(shown) - len(missing) + 1):
                    answer = ask(battery.messages(*row[2]), battery.coin)
                    store.add(questions, *_key(row), answer)
                    if progress is not None:
                        progress(done, len(shown))
            known = store.load(questions)
    names = list(SCHEMAS[battery.schema].levels)
    first, second = (np.array([row[2][side] for row in shown], dtype=float).T for side in (0, 1))
    return Answered(
        dict(zip(names, first, strict=True)),
        dict(zip(names, second, strict=True)),
        np.array([row[0] for row in shown]),
        [known[_key(row)] for row in shown],
    )


def _key(row: tuple[int, str, tuple[Profile, Profile]]) -> tuple[str, str]:
    """What the pair is called in the store (the same in both orders), and the order."""
    _, order, pair = row
    a, b = pair if order == "ab" else pair[::-1]
    return " | ".join(",".join(f"{value:g}" for value in p) for p in (a, b)), order
