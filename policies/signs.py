"""Catching answers that were coded wrongly: fitted weights against the directions declared."""

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from policies.choices import ANSWERS, Choices, coding_text
from policies.likelihood import Floats, differences, log_losses, maximise
from populations.errors import InputError

_CLEARLY_BETTER = 0.01  # nats an answer (A)
_SAID = {1: "more is favoured", -1: "less is favoured"}


@dataclass(frozen=True)
class Recoding:
    """What the weights' signs would be if the answers meant something else.

    Parameters
    ----------
    coding : str
        As in ``0=left,1=right,2=coin``.
    agree, declared : int
        Attributes whose fitted sign is the declared one, of those with a declared direction.
    log_loss : float
        Mean over answers, in nats, of the fit to answers so coded.
    """

    coding: str
    agree: int
    declared: int
    log_loss: float


def check_signs(
    choices: Choices, weights: Floats, intervals: Floats, order: bool, allow: bool
) -> list[str]:
    """Warnings about weights whose sign is not the declared one.

    Parameters
    ----------
    weights : ndarray, shape (attributes,)
        Of the pooled fit.
    intervals : ndarray, shape (attributes, 2)
        Their 95 % intervals.
    order : bool
        Whether an order effect is fitted.
    allow : bool
        Whether a clear contradiction is a warning too.

    Raises
    ------
    InputError
        If a weight contradicts its declared direction, its interval excludes 0, and that is not
        allowed; with the coding that would agree, if there is one.
    """
    clear: list[str] = []
    unclear: list[str] = []
    for (name, direction), weight, (low, high) in zip(
        choices.asked.directions.items(), weights, intervals, strict=True
    ):
        if weight * direction < 0:
            said = (
                f"{name} has weight {weight:+.3f} (95 % interval {low:+.3f} to {high:+.3f}), but "
                f"its declared direction is {'+' if direction > 0 else '-'}: {_SAID[direction]}"
            )
            (clear if low > 0 or high < 0 else unclear).append(said)
    warnings = [f"{said}; the interval includes 0" for said in unclear]
    now, *others = recodings(choices, order)
    agreeing = [other for other in others if other.agree == other.declared]
    best = min(agreeing, key=lambda other: other.log_loss, default=None)
    if not clear:
        # Right and coin exchanged leave every sign as it is; but then hardly anything fits.
        if best and best.log_loss < now.log_loss - _CLEARLY_BETTER:
            warnings.append(
                f"coded {best.coding} the answers would fit better (log-loss {best.log_loss:.3f} "
                f"an answer; {now.log_loss:.3f} with {now.coding}), every sign as declared: check "
                "what they mean"
            )
        return warnings
    told = f"{'; '.join(clear)}. {_advice(now, best)}"
    if allow:
        return [*warnings, f"signs contradict the declared directions: {told}"]
    raise InputError(
        f"{choices.source}: signs contradict the declared directions: {told}. "
        "Use --allow-signs if the answers do mean this"
    )


def _advice(now: Recoding, best: Recoding | None) -> str:
    """Which coding of the same answers would agree with every declared direction, in words."""
    if best is None:
        return (
            f"With {now.coding} {now.agree} of {now.declared} signs agree, and with no other "
            "meaning of the answers do all: check which columns are left and right, and the "
            "directions"
        )
    every = f"all {best.declared} signs agree" if best.declared > 1 else "the sign agrees"
    return (
        f"With --coding {best.coding} {every} (log-loss {best.log_loss:.3f} an answer; "
        f"{now.log_loss:.3f} with {now.coding})"
    )


def recodings(choices: Choices, order: bool) -> list[Recoding]:
    """The fit under each of the six meanings that the answers could have; the given one first."""
    x = differences(choices.a, choices.b, choices.asked.scale, order)
    directions = np.array(list(choices.asked.directions.values()))
    found = []
    for meaning in permutations(range(3)):
        answers = np.empty_like(choices.answers)
        answers[:, meaning] = choices.answers
        fit = maximise(x, answers, np.ones((1, len(x))))
        agree = np.sum(np.sign(fit[0, : len(directions)]) * directions > 0)
        meant = {value: meaning[ANSWERS.index(answer)] for value, answer in choices.coding.items()}
        coding = {value: ANSWERS[meant[value]] for value in sorted(meant, key=meant.__getitem__)}
        found.append(
            Recoding(
                coding_text(coding),
                int(agree),
                int(np.count_nonzero(directions)),
                float(log_losses(x, answers, fit).mean()),
            )
        )
    return found
