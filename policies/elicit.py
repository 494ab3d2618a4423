"""Asking a language model a declared battery of questions, each in two orders."""

import asyncio
import hashlib
import itertools
import queue
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from policies.answer_files import shipped_answers
from policies.answers import Answer, AnswerStore, Asked, Questions, in_order
from policies.ask import (
    LOCAL,
    Door,
    Messages,
    answer_tokens,
    asking,
    count_tokens,
    in_background,
    kept_as,
    price,
    split_model,
)
from policies.draws import frozen_pairs, most_lists, random_lists
from policies.pacing import Limits
from policies.reading import Form
from policies.schemas import SCHEMAS, Profile
from policies.wording import MOST_PATIENTS, messages, prompt
from populations.errors import InputError, did_you_mean
from populations.schema import Columns

Progress = Callable[[int, int], None]
Known = dict[Asked, Answer]

OPTIONS = ("none", "coin", "undecided", "study")
DEFAULT_PROMPT = "study-1"
RANDOM = "random"
MOST_PAIRS = 10**6
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Battery:
    """Which questions are asked.

    Parameters
    ----------
    schema : str
        A name in ``SCHEMAS``.
    n_pairs : int
        Pairs (or lists) of different patients, each asked in both orders; at most as many as the
        schema or the frozen set has.
    seed : int
        Which are drawn. The first pairs of a larger battery are those of a smaller one.
    option : {"coin", "none", "undecided", "study"}
        What is offered beside the patients: flipping a coin, nothing, "cannot decide", or a coin
        in the words and at the place of the study's buttons.
    prompt : str
        Name of the prompt: a file of ``policies/prompts/``.
    reasoning : bool
        Whether the model may think before it answers; read from text then.
    samples : int
        1: the likeliest answer, at temperature 0, with next-token probabilities where the model
        gives them. More: so many draws at temperature 1, for models that only give text; the
        embedded model, whose one answer is the whole distribution, is still asked once.
    steer : str
        Text put before the question.
    pairs : str
        ``random``, or the name of a frozen set (``frozen-1``).
    size : int
        Patients per question; more than 2 is list elicitation, shown as drawn and reversed.

    Raises
    ------
    InputError
        If there is no such schema, prompt, option or set, or a number is out of range.
    """

    schema: str = "indecision3"
    n_pairs: int = 120
    seed: int = 1
    option: str = "coin"
    prompt: str = DEFAULT_PROMPT
    reasoning: bool = False
    samples: int = 1
    steer: str = ""
    pairs: str = RANDOM
    size: int = 2

    def __post_init__(self) -> None:
        _known("schema", self.schema, SCHEMAS)
        _known("option", self.option, OPTIONS)
        _known("option", self.option, prompt(self.prompt)["options"])
        for name, least in (("n_pairs", 2), ("seed", 0), ("samples", 1), ("size", 2)):
            if getattr(self, name) < least:
                raise InputError(f"{name} = {getattr(self, name)}: expected {least} or more")
        if self.n_pairs > MOST_PAIRS:
            raise InputError(f"n_pairs = {self.n_pairs}: expected at most {MOST_PAIRS:,}")
        if self.size > MOST_PATIENTS or most_lists(self.schema, self.size) < 2:
            raise InputError(
                f"size = {self.size}: expected at most {MOST_PATIENTS} patients per question, and "
                f"two different lists of them (schema {self.schema})"
            )
        if self.pairs != RANDOM:
            frozen_pairs(self.schema, self.pairs)
            if self.size > 2:
                raise InputError(f"pairs {self.pairs!r}: lists of {self.size} are drawn: random")

    @property
    def form(self) -> Form:
        """What an answer may be."""
        return Form(self.size, self.option, self.reasoning)

    @property
    def offers_coin(self) -> bool:
        """Whether there is any way of not choosing."""
        return self.option != "none"

    def lists(self) -> list[tuple[Profile, ...]]:
        """The patients of each question as drawn, in the order in which they are asked."""
        if self.pairs == RANDOM:
            return random_lists(self.schema, self.size, self.n_pairs, self.seed)
        return list(frozen_pairs(self.schema, self.pairs)[: self.n_pairs])

    def messages(self, *patients: Profile) -> Messages:
        """The question about these patients, in the order shown."""
        return messages(self.prompt, self.form, self.schema, patients, self.steer)

    def questions(self, model: str) -> Questions:
        """Under what the answers are kept: a change of wording makes them new questions.

        The hash is of the questions about the two extreme profiles (every attribute at its first
        level, and at its last), in both orders: words that only profiles between them have do not
        change it.
        """
        levels = SCHEMAS[self.schema].levels.values()
        ends = [tuple(values[i] for values in levels) for i in (0, -1)]
        shown = tuple(itertools.islice(itertools.cycle(ends), self.size))
        wording = [
            messages(self.prompt, self.form, self.schema, patients)
            for patients in (shown, shown[::-1])
        ]
        return Questions(
            *kept_as(model),
            f"{self._prompt_name}-{_digest(repr(wording))}",
            _digest(self.steer.strip()) if self.steer.strip() else "",
            self.schema,
            self.option,
        )

    @property
    def _prompt_name(self) -> str:
        thinking = "-reasoning" if self.reasoning else ""
        return self.prompt + thinking + (f"-list{self.size}" if self.size > 2 else "")

    def rows(self, model: str) -> list["Row"]:
        """Every question to this model: list by list, sample by sample, as drawn and reversed."""
        samples = [0] if self.one_is_enough(model) else range(1, self.samples + 1)
        return [
            Row(number, order, patients, Asked(*in_order(patients), sample))
            for number, drawn in enumerate(self.lists())
            for sample in samples
            for order, patients in enumerate((drawn, drawn[::-1]))
        ]

    def one_is_enough(self, model: str) -> bool:
        """Whether each question is asked once, at temperature 0, whatever ``samples`` is."""
        return self.samples == 1 or (split_model(model)[0] == LOCAL and not self.reasoning)


class Row(NamedTuple):
    """One question: the number of its list, 0 as drawn or 1 reversed, who is shown, its key."""

    number: int
    order: int
    patients: tuple[Profile, ...]
    asked: Asked


@dataclass(frozen=True)
class Plan:
    """What a battery needs before it is asked.

    Parameters
    ----------
    calls : int
        Questions still to be asked.
    answered, shipped : int
        Questions already answered in the store, and in the answer tables that come with Equipoise.
    cost : float or None
        What the calls cost, about, US dollars; None if that is not known.
    why : str
        What the cost rests on, or why it is not known.
    """

    calls: int
    answered: int
    shipped: int
    cost: float | None
    why: str


@dataclass(frozen=True)
class Answered:
    """A battery's answers, in the order of `Battery.rows`: each list as drawn, then reversed.

    Parameters
    ----------
    shown : tuple of Columns
        Attributes of the patients shown first, second, ..., each shape (n,).
    pair : ndarray of int, shape (n,)
        Number of the pair or list.
    order : ndarray of int, shape (n,)
        0 as drawn, 1 reversed.
    sample : ndarray of int, shape (n,)
        0 for an answer at temperature 0, else the number of the draw.
    answers : list of Answer, length n
    """

    shown: tuple[Columns, ...]
    pair: NDArray[np.int_]
    order: NDArray[np.int_]
    sample: NDArray[np.int_]
    answers: list[Answer]

    @property
    def a(self) -> Columns:
        """Attributes of the patient shown first."""
        return self.shown[0]

    @property
    def b(self) -> Columns:
        """Attributes of the patient shown second."""
        return self.shown[1]


def plan(model: str, battery: Battery, answers: Path, *, fresh: bool = False) -> Plan:
    """What asking a battery takes: nothing is asked.

    Parameters
    ----------
    model, battery, answers, fresh
        As for `elicit`.
    """
    questions, rows = battery.questions(model), battery.rows(model)
    with AnswerStore(answers) as store:
        kept = store.load(questions)
    shipped = {} if fresh else shipped_answers(questions)
    missing = [row for row in rows if row.asked not in kept and row.asked not in shipped]
    stored = sum(row.asked in kept for row in rows)
    cost, why = _cost(model, battery, missing)
    return Plan(len(missing), stored, len(rows) - stored - len(missing), cost, why)


def elicit(
    model: str,
    battery: Battery,
    answers: Path,
    progress: Progress | None = None,
    limits: Limits | None = None,
    *,
    fresh: bool = False,
) -> Answered:
    """All answers of a model to a battery; what is not known yet is asked now, and kept.

    Parameters
    ----------
    model : str
        ``local``, ``local+ADAPTER``, or a litellm name.
    answers : Path
        The answer store. Looked up first; then the answer tables that come with Equipoise.
    progress : callable, optional
        Told (done, total) after every answer.
    limits : Limits, optional
        How much may be asked, and how fast.
    fresh : bool
        Whether to ask even what the shipped answer tables know.

    Raises
    ------
    InputError
        If it would take more calls or cost than allowed, the model does not answer, or the store
        cannot be used. Answers so far are kept.
    """
    limits = limits or Limits()
    questions, rows = battery.questions(model), battery.rows(model)
    shipped = {} if fresh else shipped_answers(questions)
    with AnswerStore(answers) as store:
        left: set[Asked] = set()

        def unanswered() -> list[Row]:
            missing = [row for row in rows if row.asked not in known]
            left.clear()
            left.update(row.asked for row in missing)
            return missing

        def tell() -> None:
            if progress is not None:
                progress(len(rows) - len(left), len(rows))

        def keep(row: Row, answer: Answer) -> None:
            store.add(questions, row.asked, answer)
            left.discard(row.asked)
            tell()

        known = shipped | store.load(questions)
        while unanswered():
            with store.alone(questions) as alone:
                known = shipped | store.load(questions)  # another process may just have ended
                missing = unanswered()
                if alone and missing:
                    _check(model, battery, missing, limits)
                    _ask(model, battery, missing, limits, keep)
                    known = shipped | store.load(questions)
            if not alone:  # another process is asking these questions
                tell()
                time.sleep(_POLL_SECONDS)
    return _answered(battery, rows, known)


def _check(model: str, battery: Battery, missing: list[Row], limits: Limits) -> None:
    calls = len(missing)
    if limits.max_calls is not None and calls > limits.max_calls:
        raise InputError(
            f"model {model!r}: {calls} questions are not answered yet, more than max_calls = "
            f"{limits.max_calls}; nothing was asked"
        )
    if limits.max_cost is None:
        return
    cost, why = _cost(model, battery, missing)
    if cost is None:
        raise InputError(
            f"model {model!r}: max_cost = {limits.max_cost:g} cannot be kept: {why}; nothing was "
            "asked (max_calls limits the questions instead)"
        )
    if cost > limits.max_cost:
        raise InputError(
            f"model {model!r}: {calls} questions cost about {cost:.4f} US dollars, more than "
            f"max_cost = {limits.max_cost:g}; nothing was asked"
        )


def _cost(model: str, battery: Battery, missing: list[Row]) -> tuple[float | None, str]:
    """About what questions cost, US dollars, and on what that rests."""
    if not missing:
        return 0.0, "nothing to ask"
    if split_model(model)[0] == LOCAL:
        return 0.0, "it runs on this machine"
    longest = max((missing[0], missing[-1]), key=lambda row: len(str(row.patients)))
    tokens = count_tokens(battery.messages(*longest.patients))
    most = answer_tokens(model, battery.form)
    each = price(model, tokens, most)
    if each is None:
        return None, f"litellm's price table has no price of {model}"
    return each * len(missing), (
        f"litellm's price table: about {tokens} tokens asked and at most {most} answered, each"
    )


def _ask(
    model: str,
    battery: Battery,
    missing: list[Row],
    limits: Limits,
    keep: Callable[[Row, Answer], None],
) -> None:
    """Ask what is missing, several questions in flight; ``keep`` runs in this thread alone."""
    come: queue.SimpleQueue[tuple[Row, Answer] | None] = queue.SimpleQueue()
    left = iter(missing)
    at_once = 1 if split_model(model)[0] == LOCAL else limits.concurrency

    async def work(door: Door) -> None:
        for row in left:
            come.put((row, await door.answer(battery.messages(*row.patients), row.asked.sample)))
            if limits.max_cost is not None and door.cost > limits.max_cost:
                raise InputError(
                    f"model {model!r}: {door.cost:.4f} US dollars paid, more than max_cost = "
                    f"{limits.max_cost:g}; stopped, the answers so far are kept"
                )
            if door.stopped:
                return

    async def work_all(door: Door) -> None:
        workers = [asyncio.create_task(work(door)) for _ in range(at_once)]
        try:
            done, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
            door.stop()  # one failed or all are done: what is being answered is paid for, and kept
            await asyncio.gather(*workers, return_exceptions=True)
            for worker in done:
                worker.result()
        finally:
            for worker in workers:
                worker.cancel()
            come.put(None)

    with asking(model, battery.form, limits) as door:
        asked = in_background(work_all(door))
        try:
            while (item := come.get()) is not None:
                keep(*item)
            asked.result()
        finally:
            asked.cancel()
            while not come.empty():
                if (item := come.get()) is not None:
                    keep(*item)


def _answered(battery: Battery, rows: list[Row], known: Known) -> Answered:
    names = list(SCHEMAS[battery.schema].levels)
    shown = (
        np.array([row.patients[place] for row in rows], dtype=float).T
        for place in range(battery.size)
    )
    return Answered(
        tuple(dict(zip(names, columns, strict=True)) for columns in shown),
        np.array([row.number for row in rows]),
        np.array([row.order for row in rows]),
        np.array([row.asked.sample for row in rows]),
        [known[row.asked] for row in rows],
    )


def _known(field: str, value: str, names: Iterable[str]) -> None:
    known = list(names)
    if value not in known:
        raise InputError(
            f"{field} {value!r}: {did_you_mean(value, known)}expected one of {', '.join(known)}"
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
