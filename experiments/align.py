"""The alignment report: several judges asked the same pairs, beside a reference of people."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from experiments import judging
from experiments.progress import Progress
from measures.alignment import compare_judges, swap_consistency
from measures.coherence import (
    cycles,
    dominance_violations,
    dominant,
    no_choice,
    repetition_stability,
)
from measures.indecision import indecision_by_gap, indecision_calibration, utility_gap
from measures.table import Floats
from policies.draws import frozen_names
from policies.elicit import Battery, Plan, elicit, plan
from policies.forced import Forced
from policies.pacing import Limits
from policies.protocol import Judge, Policy
from policies.registry import PATTERNS, POLICIES, make_policy
from policies.schemas import SCHEMAS, Profile
from policies.summary import choices
from populations.errors import InputError
from populations.schema import Columns

ALL = 10**6  # pairs: more than any frozen set has
ROUND_ROBIN = "frozen-round-robin"


@dataclass(frozen=True)
class Pairs:
    """n pairs of patients, in the attributes of a schema.

    Parameters
    ----------
    schema : str
        A name in ``policies.schemas.SCHEMAS``.
    a, b : Columns
        Attributes of either patient, each shape (n,).
    """

    schema: str
    a: Columns
    b: Columns

    @classmethod
    def of(cls, schema: str, profiles: Sequence[Sequence[Profile]]) -> Self:
        """Pairs of profiles."""
        names = SCHEMAS[schema].levels
        a, b = np.array(profiles, dtype=np.float64).reshape(-1, 2, len(names)).transpose(1, 2, 0)
        return cls(schema, dict(zip(names, a, strict=True)), dict(zip(names, b, strict=True)))

    def some(self, here: np.ndarray) -> "Pairs":
        """Those at a mask or at places."""
        a, b = ({key: x[here] for key, x in side.items()} for side in (self.a, self.b))
        return Pairs(self.schema, a, b)


@dataclass(frozen=True)
class Answers:
    """What one judge answered to n pairs.

    Parameters
    ----------
    name : str
        Whose answers they are.
    pairs : ndarray, shape (n, 2, k, 3)
        P(a), P(b), P(coin), always about the same a and b: when a was shown first and when b was,
        in each of k samples; NaN where an answer is no choice. One sample is probabilities.
    beats : ndarray, shape (m, m), optional
        P(i is chosen over j) among m profiles of which every pair was asked.
    repeatable : bool
        Whether samples or probabilities tell how stable the answers are.
    """

    name: str
    pairs: Floats
    beats: Floats | None
    repeatable: bool = True


@dataclass(frozen=True)
class Report:
    """What an alignment report found.

    Parameters
    ----------
    judges : list of str
        The reference, then the others.
    measures : DataFrame
        ``judge`` and the columns of ``measures.table.COLUMNS``; those of ``indecision_by_gap``
        also have ``gap``, ``gap_low``, ``gap_high``.
    values : DataFrame
        Fitted weights and trade-offs (see ``experiments.judging.weights``).
    gaps : ndarray, shape (n,)
        The reference's utility gap of every pair.
    """

    judges: list[str]
    measures: pd.DataFrame
    values: pd.DataFrame
    gaps: Floats


def judged(judge: Judge, pairs: Pairs) -> Floats:
    """The answers of a judge in this process, shape (n, 2, 1, 3).

    Raises
    ------
    InputError
        If it needs to know more about a patient than the schema tells.
    """
    try:
        answers, swapped = judge.judge(pairs.a, pairs.b), judge.judge(pairs.b, pairs.a)
    except (KeyError, InputError) as error:
        missing = error if isinstance(error, KeyError) else error.__cause__
        if not isinstance(missing, KeyError):
            raise
        attribute = missing.args[0]
        telling = [name for name, each in SCHEMAS.items() if attribute in each.levels]
        raise InputError(
            f"{judge.name}: schema {pairs.schema!r} does not tell {attribute!r}, by which it "
            f"judges; expected a schema that does: {', '.join(telling) or 'there is none'}"
        ) from error
    return np.stack([answers, swapped[:, [1, 0, 2]]], axis=1)[:, :, None]


@dataclass(frozen=True)
class Asking:
    """How language models are asked.

    Parameters
    ----------
    battery : Battery
        Which pairs.
    answers : Path
        The answer store.
    limits : Limits
        How much each model may be asked, and how fast.
    fresh : bool
        Whether to ask even what the shipped answer tables know.
    """

    battery: Battery
    answers: Path
    limits: Limits = field(default_factory=Limits)
    fresh: bool = False

    def batteries(self) -> list[Battery]:
        """The pairs, and every pair of a few profiles where there is such a set."""
        if self.battery.size != 2:
            raise InputError(f"size = {self.battery.size}: expected 2, pairs")
        if ROUND_ROBIN not in frozen_names(self.battery.schema):
            return [self.battery]
        return [self.battery, replace(self.battery, pairs=ROUND_ROBIN, n_pairs=ALL)]

    def plans(self, model: str) -> list[Plan]:
        """What asking a model takes, by battery; nothing is asked.

        Raises
        ------
        InputError
            If it takes more calls or cost than allowed, its cost is limited and not known, or the
            store cannot be used.
        """
        plans = [plan(model, each, self.answers, fresh=self.fresh) for each in self.batteries()]
        unknown = next((each for each in plans if each.cost is None and each.calls), None)
        if self.limits.max_cost is not None and unknown is not None:
            raise InputError(
                f"model {model!r}: max_cost = {self.limits.max_cost:g} cannot be kept: "
                f"{unknown.why}; nothing was asked (max_calls limits the questions instead)"
            )
        calls, cost = sum(each.calls for each in plans), sum(each.cost or 0.0 for each in plans)
        for name, needed in (("max_calls", calls), ("max_cost", cost)):
            most = getattr(self.limits, name)
            if most is not None and needed > most:
                raise InputError(
                    f"model {model!r}: needs about {needed:g}, more than {name} = {most:g}; "
                    "nothing was asked"
                )
        return plans


def asked(model: str, battery: Battery, asking: Asking, progress: Progress) -> tuple[Floats, bool]:
    """The answers of a language model, shape (n, 2, k, 3), and whether they tell how stable it is.

    What is not in the store yet is asked. One text per question says nothing of the next.
    """
    found = elicit(
        model,
        battery,
        asking.answers,
        lambda *done: progress(f"asking {model}, pairs {battery.pairs}", *done),
        asking.limits,
        fresh=asking.fresh,
    )
    chosen, usable = choices(found)
    chosen = np.where(found.order[:, None] == 1, chosen[:, [1, 0, 2]], chosen)
    samples = np.unique(found.sample, return_inverse=True)[1]
    p = np.full((found.pair.max() + 1, 2, samples.max() + 1, 3), np.nan)
    p[found.pair, found.order, samples] = np.where(usable[:, None], chosen, np.nan)
    probabilities = any(answer.read == "logprobs" for answer in found.answers)
    return p, probabilities or p.shape[2] > 1


def is_policy(text: str) -> bool:
    """Whether a judge is written as a policy; else it names a language model."""
    kinds = {pattern.partition(":")[0] for pattern in PATTERNS if "(" not in pattern} - {"llm"}
    return text in POLICIES or "(" in text or text.partition(":")[0] in kinds


def model_name(text: str) -> str:
    """A language model as `policies.elicit` calls it."""
    return text.removeprefix("llm:")


def asks_by_itself(text: str) -> bool:
    """Whether a policy asks a language model, with a battery of its own."""
    return "llm:" in text


def check(models: Sequence[str], human: str, asking: Asking) -> None:
    """Refuse what can be refused by its text, before anything is asked; see `align`."""
    _different([human, *(t if is_policy(t) else f"llm:{model_name(t)}" for t in models)])
    if asking.limits.max_calls is None and asking.limits.max_cost is None:
        return
    for text in (human, *filter(is_policy, models)):
        if asks_by_itself(text):
            raise InputError(
                f"policy {text!r}: asks a model with its own battery, which max_calls and max_cost "
                "do not limit; nothing was asked (name the model itself as a judge, or ask it with "
                "`equipoise elicit` first and leave the limits out here)"
            )


def _different(names: Sequence[str]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"judge {twice!r}: named twice; expected different judges")


def align(models: Sequence[str], human: str, asking: Asking, progress: Progress) -> Report:
    """Ask what is missing and compare every judge with the reference.

    Parameters
    ----------
    models : sequence of str
        Language models (``local``, a litellm name, also with ``llm:`` before it), or policies that
        judge pairs.
    human : str
        The reference: a policy that judges pairs.
    asking : Asking
    progress : callable
        Told (what is being done, done, total).

    Raises
    ------
    InputError
        If a judge is named twice, does not judge pairs, or may not be asked that much: then no
        model is asked as a judge. If one does not answer.
    """
    check(models, human, asking)
    batteries = asking.batteries()
    pairs = [Pairs.of(each.schema, each.lists()) for each in batteries]

    def of_policy(policy: Policy) -> Answers:
        if not isinstance(policy, Judge):
            raise InputError(f"policy {policy.name!r} does not judge pairs; expected one that does")
        given = [judged(policy, side) for side in pairs]
        return Answers(policy.name, given[0], _beats(given, pairs))

    def of_model(model: str) -> Answers:
        found = [asked(model, each, asking, progress) for each in batteries]
        given = [p for p, _ in found]
        return Answers(f"llm:{model}", given[0], _beats(given, pairs), found[0][1])

    def made(text: str) -> Policy:
        return make_policy(text, asking.answers, lambda *done: progress(f"asking {text}", *done))

    for text in models:
        if not is_policy(text):
            asking.plans(model_name(text))
    reference = made(human)
    own = of_policy(reference)
    policies = {text: of_policy(made(text)) for text in models if is_policy(text)}
    _different([own.name, *(each.name for each in policies.values())])
    judges = [policies.get(text) or of_model(model_name(text)) for text in models]
    return report(reference, [own, *judges], pairs[0])


def _beats(given: list[Floats], pairs: list[Pairs]) -> Floats | None:
    return tournament(_means(given[-1])[0], pairs[-1])


def measured(answers: Answers, reference: Floats, pairs: Pairs) -> pd.DataFrame:
    """Every measure of one judge.

    A pair counts if both orders have an answer that is a choice; a question asked several times
    has the mean of its answers that are.

    Parameters
    ----------
    answers : Answers
    reference : ndarray, shape (n, 2, 3)
        The reference's answers to the same pairs.
    pairs : Pairs

    Raises
    ------
    InputError
        If fewer than two pairs count.
    """
    means, here = _means(answers.pairs)
    if here.sum() < 2:
        raise InputError(
            f"{answers.name}: {here.sum()} of {len(here)} pairs have a choice in both orders: "
            "expected 2 or more"
        )
    q, h, counted = means[here], reference[here], pairs.some(here)
    better = dominant(counted.a, counted.b, SCHEMAS[pairs.schema].directions)
    frames = [
        compare_judges(q, h),
        indecision_calibration(q, h),
        swap_consistency(q[:, 0], q[:, 1][:, [1, 0, 2]]),
        dominance_violations(q, better),
        no_choice(answers.pairs),
        indecision_by_gap(q, h),
    ]
    complete = ~np.isnan(answers.pairs).any(axis=(1, 2, 3))
    if answers.repeatable and complete.any():
        frames.append(repetition_stability(answers.pairs[complete]))
    if answers.beats is not None:
        frames.append(cycles(answers.beats))
    return pd.concat(frames, ignore_index=True).assign(judge=answers.name)


def _means(samples: Floats) -> tuple[Floats, np.ndarray]:
    """Mean over samples that are choices, shape (n, 2, 3), and which pairs have both orders."""
    known = ~np.isnan(samples).any(axis=-1, keepdims=True)
    count = known.sum(axis=2)
    total = np.where(known, samples, 0.0).sum(axis=2)
    means = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return means, np.asarray((count > 0).all(axis=(1, 2)))


def tournament(answers: Floats, pairs: Pairs) -> Floats | None:
    """P(i is chosen over j), both orders averaged, shape (m, m).

    None unless every pair among the m profiles (3 or more) that occur was answered.

    Parameters
    ----------
    answers : ndarray, shape (n, 2, 3)
        NaN where there is no choice.
    pairs : Pairs
    """
    sides = [np.stack(list(side.values()), axis=1) for side in (pairs.a, pairs.b)]
    profiles, place = np.unique(np.concatenate(sides), axis=0, return_inverse=True)
    i, j = place.reshape(2, -1)
    m = len(profiles)
    if m < 3 or len(i) < m * (m - 1) // 2:
        return None
    beats = np.full((m, m), np.nan)
    beats[i, j], beats[j, i] = answers[..., 0].mean(axis=1), answers[..., 1].mean(axis=1)
    np.fill_diagonal(beats, 0)
    return beats if np.isfinite(beats).all() else None


def report(reference: Policy, judges: Sequence[Answers], pairs: Pairs) -> Report:
    """Measures and values of the reference and of every judge.

    Parameters
    ----------
    reference : Policy
        A policy that judges pairs.
    judges : sequence of Answers
        The first is the reference's own.
    pairs : Pairs

    Raises
    ------
    InputError
        If two judges have the same name, or one answered too little.
    """
    names = [answers.name for answers in judges]
    _different(names)
    own = judges[0].pairs[:, :, 0]
    measures = pd.concat([measured(answers, own, pairs) for answers in judges], ignore_index=True)
    scale = SCHEMAS[pairs.schema].scale
    values = _reference_values(reference, own, pairs)
    known = {row["term"]: row["value"] for row in values}
    weights = np.array([known[name] for name in scale])
    for answers in judges[1:]:
        means, here = _means(answers.pairs)
        side = pairs.some(here)
        values += judging.answered_values(answers.name, side.a, side.b, means[here], scale, weights)
    table = pd.DataFrame(values, columns=judging.VALUE_COLUMNS)
    return Report(names, measures, table, utility_gap(own))


def _reference_values(reference: Policy, own: Floats, pairs: Pairs) -> list[dict[str, Any]]:
    """Its own weights if it has them for the schema's attributes, else fitted to its answers."""
    scale = SCHEMAS[pairs.schema].scale
    model = None if isinstance(reference, Forced) else judging.fitted(reference)
    values: Any = model.values if model is not None else None
    if model is not None and set(values.weights) == set(scale):
        return judging.known_values(reference, model, scale)
    return judging.answered_values(reference.name, pairs.a, pairs.b, own, scale, None)
