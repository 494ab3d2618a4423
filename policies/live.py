"""A language model asked inside the run, about the very candidates of each kidney."""

import atexit
import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from policies.answer_files import shipped_answers
from policies.answers import Answer, AnswerStore, Asked, Questions, in_order
from policies.ask import Door, asking
from policies.categories import LEAST_MASS
from policies.draws import most_lists
from policies.elicit import Battery
from policies.levels import check_simulated, profiles
from policies.protocol import Choice, MatchRun, certain, equal_chances
from policies.reading import Form
from policies.schemas import Profile
from policies.summary import most_likely
from policies.wording import MOST_PATIENTS
from populations.errors import InputError

SCHEMA = "indecision3"
_POLL_SECONDS = 0.05
_USABLE = ("choice", "coin")


@dataclass(frozen=True)
class Live:
    """A language model at temperature 0 that is asked which of the candidates to choose.

    Two candidates are a pair, more are a list, shown in the order of the match run; each as the
    schema's nearest profile. The coin, no usable answer, or several answers as likely as each other
    are a tie among all shown. Two candidates of the same profile are a tie too, and nothing is
    asked: the model would be told the same of both. In a list of more, identical profiles are shown
    as they are. Answers are kept in the store, so that no question is asked twice.

    Parameters
    ----------
    name : str
        What results call it.
    model : str
        As for `policies.elicit.elicit`.
    schema : str
        What the model is told about a patient.
    option : str
        What it is offered beside the patients.
    answers : Path
        The answer store.
    questions : tuple of Questions
        Under what the answers are kept, for 2, 3, ... candidates: the model (its adapter's content
        too) and the wording as they were when the policy was made.
    """

    name: str
    model: str
    schema: str
    option: str
    answers: Path
    questions: tuple[Questions, ...] = ()

    def without_place(self) -> "Live":
        """The same without the place of its store: all that its choices rest on."""
        return replace(self, answers=Path())

    @property
    def most_candidates(self) -> int:
        """Most candidates that a question can show."""
        sizes = range(2, MOST_PATIENTS + 1)
        return max(size for size in sizes if most_lists(self.schema, size) >= 2)

    def battery(self, size: int) -> Battery:
        """The wording of a question about so many patients."""
        return Battery(self.schema, 2, option=self.option, size=size)

    @property
    def card(self) -> dict[str, Any]:
        """What should be shown beside every result, counted from the store as it is now.

        Returns
        -------
        dict
            ``way``, ``model``, ``prompt`` (of pairs), ``schema``, ``coin_offered``;
            ``kept`` (answers in the store to questions of these wordings, whoever asked them),
            ``kept_unusable`` (of those, how many are no choice).
        """
        with AnswerStore(self.answers) as store:
            kept = [
                answer.category
                for questions in self.questions
                for answer in store.load(questions).values()
            ]
        pairs = self.questions[0]
        return {
            "way": "live",
            "model": pairs.model,
            "prompt": pairs.prompt,
            "schema": self.schema,
            "coin_offered": self.battery(2).offers_coin,
            "kept": len(kept),
            "kept_unusable": sum(category not in _USABLE for category in kept),
        }

    def choose(self, match: MatchRun) -> Choice:
        """Who the model's most likely answer names, for sure; equal chances where it is a tie."""
        n = len(match)
        if n == 1:
            return certain(int(match.slots[0]))
        if n > self.most_candidates:
            raise InputError(
                f"{self.name}: {n} candidates at once: expected at most {self.most_candidates}, "
                "as with discretion pair or top:K"
            )
        shown = profiles(self.schema, match)
        if n == 2 and shown[0] == shown[1]:
            return equal_chances(match.slots)
        asker = _asker(os.getpid(), self.model, self.battery(n), self.answers)
        winner = likeliest(asker.answer(shown))
        return equal_chances(match.slots) if winner is None else certain(int(match.slots[winner]))


def live_policy(model: str, answers: Path, *, schema: str = SCHEMA, coin: bool = True) -> Live:
    """A language model asked inside the run; nothing is asked yet.

    Parameters
    ----------
    model, answers, schema, coin
        As for `policies.llm.llm_policy`.

    Raises
    ------
    InputError
        If there is no such schema or adapter, or candidates lack an attribute.
    """
    written = f"llm:{model}" if schema == SCHEMA else f"llm:{model}, {schema}"
    name = f"live({written})" if coin else f"forced(live({written}), as_measured)"
    policy = Live(name, model, schema, "coin" if coin else "none", answers)
    policy.battery(2)  # refuses an unknown schema
    check_simulated(schema, name)
    sizes = range(2, policy.most_candidates + 1)
    questions = tuple(policy.battery(size).questions(model) for size in sizes)
    return replace(policy, questions=questions)


def likeliest(answer: Answer) -> int | None:
    """Place of the patient an answer names; None for a tie (see `Live`)."""
    masses = np.array([[*answer.chosen, answer.coin]])
    if masses.sum() < LEAST_MASS:
        return None
    place = int(most_likely(masses)[0])
    return place if place < len(answer.chosen) else None


@cache
def _asker(process: int, model: str, battery: Battery, answers: Path) -> "_Asker":
    """One for each process, so that a model is loaded once."""
    return _Asker(model, battery, answers)


@cache
def _door(process: int, model: str, form: Form) -> Door:
    """The model, from now on until the process ends."""
    opened = contextlib.ExitStack()
    atexit.register(opened.close)
    return opened.enter_context(asking(model, form))


class _Asker:
    """Answers to questions of one wording: known, kept by another process, or asked now."""

    def __init__(self, model: str, battery: Battery, answers: Path) -> None:
        self._model, self._battery, self._answers = model, battery, answers
        self._questions = battery.questions(model)
        self._known = dict(shipped_answers(self._questions))
        with AnswerStore(answers) as store:
            self._known |= store.load(self._questions)

    def answer(self, patients: Sequence[Profile]) -> Answer:
        """The answer about patients in this order."""
        asked = Asked(*in_order(patients), 0)
        while asked not in self._known:
            self._find(asked, patients)
        return self._known[asked]

    def _find(self, asked: Asked, patients: Sequence[Profile]) -> None:
        # The lock is for this question alone: other processes may ask others.
        this = self._questions._replace(prompt=f"{self._questions.prompt} {asked}")
        with AnswerStore(self._answers) as store, store.alone(this) as alone:
            if alone:
                self._known |= store.load(self._questions, asked.pair)
                if asked not in self._known:
                    door = _door(os.getpid(), self._model, self._battery.form)
                    answer = door(self._battery.messages(*patients))
                    store.add(self._questions, asked, answer)
                    self._known[asked] = answer
        if not alone:
            time.sleep(_POLL_SECONDS)
