"""Tuning a model on few answers of people: how many it takes, and a control without information."""

import importlib.metadata
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from experiments.align import Answers, Pairs, judged, report
from experiments.progress import Progress
from policies.choices import Choices
from policies.draws import frozen_names, frozen_pairs
from policies.elicit import Battery
from policies.finetune.adapter import save_adapter
from policies.finetune.base import Base, load_base
from policies.finetune.examples import Examples, Pair, Shown, drawn, from_people, split
from policies.finetune.prefixes import Prefixes, last_layers, read_prefixes
from policies.finetune.recipe import Recipe
from policies.finetune.training import Lesson, Tuned, log_loss, probabilities, tuned
from policies.protocol import Judge, Policy
from populations.errors import InputError

Ints = NDArray[np.int_]
Floats = NDArray[np.float64]

RAW = "untuned"
MEASURES, CARD = "measures.csv", "card.json"
LEAST_ANSWERS = 8
# What the untuned model's measures depend on.
_OF_ALL = (
    *("base", "prompt", "steer", "schema", "option", "reference", "judged_on_pairs"),
    *("answers_of", "answers_sha256"),
)
_KEPT_BACK = 0.2
_KEPT_BACK_SEED = 1_000


@dataclass(frozen=True)
class Tuning:
    """What is tuned, on what, and how it is judged.

    Parameters
    ----------
    base : str
        ``local``, or what transformers can load.
    battery : Battery
        The schema and the wording; its pairs are what the tuned model is judged on, and none of
        them is learned from.
    sizes : tuple of int
        How many answers to tune on; each size's answers are among those of the next.
    control : bool
        Whether to tune on the largest size with shuffled answers too.
    recipe : Recipe
    human : str
        Name of the reference, from which answers are drawn unless they come from a file.
    """

    base: str
    battery: Battery
    sizes: tuple[int, ...]
    control: bool
    recipe: Recipe
    human: str

    def check(self) -> None:
        """Raise InputError unless this can be tuned."""
        if not self.sizes or min(self.sizes) < LEAST_ANSWERS:
            raise InputError(f"sizes {self.sizes}: expected numbers of {LEAST_ANSWERS} or more")
        if not self.battery.offers_coin or self.battery.size != 2 or self.battery.reasoning:
            raise InputError("tuning needs pairs, an indecision option, and answers of one letter")


@dataclass(frozen=True)
class Course:
    """One adapter to be made.

    Parameters
    ----------
    name : str
        Its folder's name.
    parts : pair of Examples
        To learn from and to say when to stop, each answer in both orders.
    """

    name: str
    parts: tuple[Examples, Examples]


@dataclass(frozen=True)
class Bench:
    """A model with everything it will be asked: where adapters are made and judged.

    Parameters
    ----------
    base : Base
    part
        Its last layers.
    prefixes : Prefixes
        Of every question.
    places : dict of profiles as shown to int
        Where a question is among them.
    """

    base: Base
    part: Any
    prefixes: Prefixes
    places: dict[Shown, int]

    def rows(self, shown: Sequence[Shown]) -> Ints:
        """Places of questions, shape (n,)."""
        return np.array([self.places[each] for each in shown])

    def lesson(self, examples: Examples) -> Lesson:
        """Examples as the trainer wants them."""
        return Lesson(self.prefixes, self.rows(examples.shown()), examples.answer)

    def answers(self, model: Any, pairs: Sequence[Shown]) -> Floats:
        """P(a), P(b), P(coin) of n pairs in both orders, always about a and b: (n, 2, 1, 3)."""
        orders = []
        for shown in (pairs, [pair[::-1] for pair in pairs]):
            given = probabilities(model, self.base.letters, self.prefixes, self.rows(shown))
            orders.append(given / given.sum(axis=1, keepdims=True))
        orders[1] = orders[1][:, [1, 0, 2]]
        return np.stack(orders, axis=1)[:, :, None]


def tune(
    tuning: Tuning, human: Policy, people: Choices | None, out: Path, progress: Progress
) -> pd.DataFrame:
    """Make every adapter that ``out`` does not hold yet, and judge all of them.

    Parameters
    ----------
    human : Policy
        The reference; a judge of pairs.
    people : Choices, optional
        Answers from a file; a fifth of the people is kept for judging, with all pairs they judged.
    out : Path
        Folder of the adapters, each in a folder of its own (see `policies.finetune.adapter`), all
        their measures in ``measures.csv``.

    Returns
    -------
    DataFrame
        ``judge`` (the reference, ``untuned``, or an adapter) and the columns of an alignment
        report; ``people.log_loss`` is of the answers of the people kept for judging.

    Raises
    ------
    InputError
        If something is missing or makes no sense. Adapters that are finished are kept.
    """
    tuning.check()
    if not isinstance(human, Judge):
        raise InputError(f"policy {human.name!r} does not judge pairs; expected one that does")
    pairs = tuning.battery.lists()
    courses, kept_back = _courses(tuning, human, people)
    settings = {each.name: _settings(tuning, each, people) for each in courses}
    untuned = {key: settings[courses[0].name][key] for key in _OF_ALL}
    missing = [each for each in courses if _made(out / each.name) != settings[each.name]]
    if missing or _made(out / RAW) != untuned:
        shown = [order for pair in pairs for order in (pair, pair[::-1])]
        for examples in (kept_back, *(part for each in missing for part in each.parts)):
            shown += examples.shown()
        bench = _bench(tuning, list(dict.fromkeys(shown)), progress)

        def measured(name: str, model: Any) -> pd.DataFrame:
            test = Pairs.of(tuning.battery.schema, pairs)
            judges = [
                Answers(human.name, judged(human, test), None),
                Answers(name, bench.answers(model, pairs), None),
            ]
            found = report(human, judges, test).measures
            if not len(kept_back):
                return found
            loss = log_loss(model, bench.base.letters, bench.lesson(kept_back))
            row = {"judge": name, "measure": "people.log_loss", "value": loss}
            return pd.concat([found, pd.DataFrame([row])], ignore_index=True)

        _keep(out / RAW, measured(RAW, bench.part))
        (out / RAW / CARD).write_text(json.dumps({"made": untuned}, indent=1), encoding="utf-8")
        for course in missing:
            stage = f"tuning on {course.name}"
            learned, held_out = map(bench.lesson, course.parts)
            report_step = partial(progress, stage)
            letters = bench.base.letters
            with tuned(
                bench.part, letters, learned, held_out, tuning.recipe, report_step
            ) as result:
                found = measured(course.name, result.model)
                own = found[found["judge"] == course.name]
                card = _card(settings[course.name], result, own)
                folder = out / course.name
                _keep(folder, found)  # the card comes last: without it, the folder is unfinished
                save_adapter(bench.base, result.model, tuning.recipe.rank, card, folder)
    frames = [pd.read_csv(out / name / MEASURES) for name in (RAW, *settings)]
    measures = pd.concat(frames, ignore_index=True)
    measures = measures.drop_duplicates(["judge", "measure", "group"])
    measures.to_csv(out / MEASURES, index=False)
    return measures


def _courses(tuning: Tuning, human: Judge, people: Choices | None) -> tuple[list[Course], Examples]:
    """The adapters to make, and the answers of the people kept for judging (if they are people)."""
    schema, seed = tuning.battery.schema, tuning.recipe.seed
    # Those that other commands ask by default are set aside as well.
    usual = Battery(schema).lists()
    test: set[Pair] = {frozenset(pair) for pair in (*tuning.battery.lists(), *usual)}
    for name in frozen_names(schema):
        test |= {frozenset(pair) for pair in frozen_pairs(schema, name)}
    largest = max(tuning.sizes)
    if people is None:
        answers = drawn(human, schema, largest, seed, test)
        kept_back = answers.rows(slice(0))
    else:
        answers, kept_back = split(from_people(people), _KEPT_BACK, _KEPT_BACK_SEED)
        answers = answers.rows(np.array([pair not in test for pair in answers.pairs()]))
        answers = answers.rows(np.random.default_rng([seed, 4]).permutation(len(answers)))
        if len(answers) < largest:
            raise InputError(
                f"{people.source}: sizes: {largest}: there are {len(answers)} answers besides "
                "those of the people kept for judging"
            )
    courses = [_course(str(n), answers.rows(slice(n)), tuning) for n in sorted(set(tuning.sizes))]
    if tuning.control:
        shuffled = answers.rows(slice(largest)).shuffled(seed)
        courses.append(_course(f"{largest}-shuffled", shuffled, tuning))
    return courses, kept_back


def _course(name: str, answers: Examples, tuning: Tuning) -> Course:
    learned, held_out = split(answers, tuning.recipe.held_out, tuning.recipe.seed)
    return Course(name, (learned.both_orders(), held_out.both_orders()))


def _bench(tuning: Tuning, shown: list[Shown], progress: Progress) -> Bench:
    progress("loading the model", 0, 1)
    base = load_base(tuning.base)
    progress("loading the model", 1, 1)
    prompts = [base.tokens(tuning.battery.messages(*each)) for each in shown]
    layers = tuning.recipe.layers
    prefixes = read_prefixes(base, prompts, layers, partial(progress, "reading the questions"))
    return Bench(
        base, last_layers(base, layers), prefixes, {each: place for place, each in enumerate(shown)}
    )


def _settings(tuning: Tuning, course: Course, people: Choices | None) -> dict[str, Any]:
    """Everything an adapter depends on, as its card keeps it."""
    questions = tuning.battery.questions(tuning.base)
    learned, held_out = (len(part) // 2 for part in course.parts)
    return {
        "base": questions.model,
        "prompt": questions.prompt,
        "steer": questions.steer,
        "schema": questions.schema,
        "option": questions.option,
        "answers_of": tuning.human if people is None else people.source,
        "answers_sha256": "" if people is None else people.sha256,
        "reference": tuning.human,
        "judged_on_pairs": f"{tuning.battery.pairs}, {tuning.battery.n_pairs}, seed "
        f"{tuning.battery.seed}",
        "answers": learned + held_out,
        "answers_learned": learned,
        "answers_to_stop_by": held_out,
        "shuffled": course.name.endswith("shuffled"),
        "recipe": asdict(tuning.recipe),
    }


def _card(settings: dict[str, Any], result: Tuned, own: pd.DataFrame) -> dict[str, Any]:
    """What an adapter is, how it was made, and how it did."""
    packages = ("equipoise", "torch", "transformers", "peft")
    overall = own[own["group"].fillna("all") == "all"]
    return {
        "what": "low-rank adapter: answers about pairs of synthetic patients, in the spirit of "
        "people's; for research, not for clinical use",
        "made": settings,
        "steps_kept": result.step,
        "log_losses": [
            {"step": step, "learning": learning, "held_out": held_out}
            for step, learning, held_out in result.history
        ],
        "measures": {
            row.measure: [row.value, row.low, row.high]
            for row in overall.itertuples()
            if np.isfinite(row.value)
        },
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }


def _made(folder: Path) -> dict[str, Any] | None:
    """Settings of the adapter in a folder; None if it is not there or not finished."""
    card = folder / CARD
    if not card.is_file():
        return None
    made: dict[str, Any] = json.loads(card.read_text(encoding="utf-8"))["made"]
    return made


def _keep(folder: Path, measures: pd.DataFrame) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CARD).unlink(missing_ok=True)
    measures.to_csv(folder / MEASURES, index=False)
