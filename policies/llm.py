"""A language model by surrogate: asked once, fitted, and used with what is known of the fit."""

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from policies.davidson import Band, Davidson, Linear, modal
from policies.elicit import Answered, Battery, Progress, elicit
from policies.fit import Fit, fit_davidson, held_out
from policies.schemas import SCHEMAS
from policies.summary import choices, mean, most_likely, summarise
from populations.errors import InputError

FIRST, SECOND, COIN = range(3)


def llm_policy(
    model: str,
    answers: Path,
    *,
    schema: str = "indecision3",
    coin: bool = True,
    n_pairs: int = 120,
    seed: int = 1,
    progress: Progress | None = None,
) -> Band:
    """A language model at temperature 0, through a Davidson model fitted to its answers.

    Parameters
    ----------
    model : str
        ``local`` for the embedded model, else a litellm name such as ``openai/gpt-4o``.
    answers : Path
        The answer store: nothing in it is asked again.
    schema : str
        What it is told about a patient (see `policies.elicit.SCHEMAS`).
    coin : bool
        Whether it is offered a coin flip.
    n_pairs, seed : int
        Pairs it is asked about, each in both orders, and which.
    progress : callable, optional
        Told (done, total) while it is asked.

    Returns
    -------
    Band
        With the fitted Davidson model as its ``base`` and what to show beside every result as its
        ``card`` (see `card`).

    Raises
    ------
    InputError
        If the model does not answer, or answers too few questions with a choice.
    """
    battery = Battery(schema, n_pairs, seed, "coin" if coin else "none")
    answered = elicit(model, battery, answers, progress)
    name = f"llm:{model}" if coin else f"forced(llm:{model}, as_measured)"
    chosen, usable = choices(answered)
    scale = SCHEMAS[schema].scale
    a, b = (
        {key: column[usable] for key, column in side.items()} for side in (answered.a, answered.b)
    )
    if len(np.unique(answered.pair[usable])) < 2:
        raise no_choice(model, answered)
    fit = fit_davidson(a, b, chosen[usable], scale, coin=coin)
    fidelity = held_out(a, b, chosen[usable], scale, answered.pair[usable], coin=coin)
    details = {"way": "surrogate", **card(battery, model, answered), **_fitted(fit, fidelity)}
    fitted = Davidson(name, Linear(fit.weights), fit.log_tie, fit.order, card=details)
    return dataclasses.replace(modal(fitted), name=name)


def no_choice(model: str, answered: Answered) -> InputError:
    """What to raise where hardly any answer is a choice."""
    usable = choices(answered)[1]
    kinds = Counter(answer.category for answer in answered.answers)
    counted = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common())
    return InputError(
        f"model {model!r}: {usable.sum()} of {len(usable)} answers are a choice, too few to use; "
        f"expected the letter of an answer, it gave: {counted}"
    )


def card(battery: Battery, model: str, answered: Answered) -> dict[str, Any]:
    """What a model did with a battery of questions, in shares from 0 to 1.

    Returns
    -------
    dict
        ``model``, ``prompt``, ``schema``, ``coin_offered``, ``pairs``; ``read`` (answers by how
        they were read); ``unusable`` (share of answers that are no choice at all); ``other_mass``
        (mean probability of anything but a choice); ``mean_first``, ``mean_second``,
        ``mean_coin`` (mean probability of each choice, rescaled over the choices);
        ``first_modal``, ``second_modal``, ``coin_modal`` (shares of answers by their most likely
        choice); of the pairs with a choice in both orders, the share won by the
        ``same_position``, by the ``same_patient`` (swap consistency), and left to the coin both
        times (``coin_both``).
    """
    questions = battery.questions(model)
    summary = summarise(answered)
    chosen, usable = choices(answered)
    likeliest = most_likely(chosen[usable])
    first, second = summary.positions
    return {
        "model": questions.model,
        "prompt": questions.prompt,
        "schema": battery.schema,
        "coin_offered": battery.offers_coin,
        "pairs": len(answered.answers) // 2,
        "read": summary.reads,
        "unusable": float(np.mean(~usable)),
        "other_mass": float(np.mean([answer.other for answer in answered.answers])),
        "mean_first": first,
        "mean_second": second,
        "mean_coin": summary.coin,
        "first_modal": mean(likeliest == FIRST),
        "second_modal": mean(likeliest == SECOND),
        "coin_modal": mean(likeliest == COIN),
        "same_position": summary.same_position,
        "same_patient": summary.same_patient,
        "coin_both": summary.coin_both,
    }


def _fitted(fit: Fit, fidelity: dict[str, float]) -> dict[str, Any]:
    """The fitted parameters (``log_tie`` None without a coin) and the ``held_out_...`` scores."""
    return {
        "weights": {name: weight for name, (weight, _, _) in fit.weights.items()},
        "log_tie": fit.log_tie if np.isfinite(fit.log_tie) else None,
        "order": fit.order,
        **{f"held_out_{name}": value for name, value in fidelity.items()},
    }
