"""Two judges compared on the same pairs, and one judge with itself after swapping the order.

Judges come as arrays of P(a), P(b), P(coin), shape (n, 3), rows summing to 1.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from measures.registry import measure
from measures.table import Floats, tidy
from populations.errors import InputError

FLOOR = 1e-3  # a probability below it is raised to it (and rows rescaled) before taking logs
COIN = 2


def _answers(answers: ArrayLike, name: str) -> Floats:
    p = np.asarray(answers, dtype=np.float64)
    if p.ndim != 2 or p.shape[1] != 3 or not len(p):
        raise InputError(f"{name}: shape: {p.shape}; must be (n, 3), n >= 1")
    # Written so that NaN fails it too.
    if not ((p >= 0).all() and (np.abs(p.sum(axis=1) - 1) < 1e-6).all()):
        raise InputError(f"{name}: P(a), P(b), P(coin): each row must be >= 0 and sum to 1")
    return p


def _modal(p: Floats) -> Floats:
    """The most likely answer of each row as a 0/1 row; answers that tie share the 1 evenly."""
    top = (p >= p.max(axis=1, keepdims=True) - 1e-12).astype(np.float64)
    return np.asarray(top / top.sum(axis=1, keepdims=True))


def _decisive_agreement(p: Floats, q: Floats) -> tuple[Floats, int, str]:
    """Agreement on the pairs where neither most likely answer is coin."""
    decisive = (p[:, COIN] == 0) & (q[:, COIN] == 0)
    agreed = (p * q).sum(axis=1)[decisive]
    return agreed, agreed.size, "" if agreed.size else "no pair on which both are decisive"


@measure(
    formula="agreement: share with the same most likely answer; TV = half of sum |q - h|; "
    "log-loss = -sum h ln q, KL = sum h ln(h / q), q floored at 0.001; "
    "gap = mean q(coin) - h(coin)",
    unit="share; nats for log_loss and kl",
    direction="none",
    discipline="alignment, statistics",
    protects="those a judge's values would treat unlike the reference's",
    cannot_see="what the differences cost downstream; a reference that is wrong; compare with how "
    "far two halves of the reference's own people agree",
    source="standard definitions (M)",
    reads="judges",
    by="never",
)
def compare_judges(answers: ArrayLike, reference: ArrayLike) -> pd.DataFrame:
    """Agreement, distance and indecision of a judge against a reference judge.

    Parameters
    ----------
    answers, reference : array-like, shape (n, 3)
        P(a), P(b), P(coin) of the same n pairs, rows summing to 1.

    Returns
    -------
    DataFrame
        Rows ``compare_judges.<what>``: ``agreement`` (all three answers; ties of the most likely
        answer count in part), ``decisive_agreement`` (where neither says coin),
        ``total_variation``, ``log_loss``, ``kl``, ``indecision``, ``reference_indecision``,
        ``indecision_gap``; ``denominator`` is the number of pairs.

    Raises
    ------
    InputError
        If a shape is wrong or a row is not a probability.
    """
    q, h = _answers(answers, "answers"), _answers(reference, "reference")
    if q.shape != h.shape:
        raise InputError(f"answers, reference: shapes {q.shape} and {h.shape} must be equal")
    raised = np.maximum(q, FLOOR)
    logs = np.log(raised / raised.sum(axis=1, keepdims=True))
    entropy = -(h * np.log(h, where=h > 0, out=np.zeros_like(h))).sum(axis=1)
    loss = -(h * logs).sum(axis=1)
    modal_q, modal_h = _modal(q), _modal(h)
    agreed, n_decisive, note = _decisive_agreement(modal_q, modal_h)
    values: dict[str, Floats] = {
        "agreement": (modal_q * modal_h).sum(axis=1),
        "total_variation": np.abs(q - h).sum(axis=1) / 2,
        "log_loss": loss,
        "kl": loss - entropy,
        "indecision": q[:, COIN],
        "reference_indecision": h[:, COIN],
        "indecision_gap": q[:, COIN] - h[:, COIN],
    }
    rows: list[dict[str, Any]] = [
        {"measure": f"compare_judges.{name}", "value": float(v.mean()), "denominator": len(q)}
        for name, v in values.items()
    ]
    rows.append(
        {
            "measure": "compare_judges.decisive_agreement",
            "value": float(agreed.mean()) if n_decisive else np.nan,
            "denominator": n_decisive,
            "note": note,
        }
    )
    return tidy(rows)


@measure(
    formula="consistency: share of pairs with the same most likely answer in both orders; "
    "position bias: mean of P(shown first) - P(shown second) over both orders",
    unit="share; difference of probabilities for position_bias",
    direction="none",
    discipline="evaluation of language models",
    protects="those who would lose only for being named second",
    cannot_see="a bias that does not depend on the order",
    source="after Shi et al. 2024 (R2)",
    reads="judges",
    by="never",
)
def swap_consistency(first: ArrayLike, second: ArrayLike) -> pd.DataFrame:
    """Whether a judge answers alike when the two candidates change places.

    Parameters
    ----------
    first, second : array-like, shape (n, 3)
        What the judge returns for ``judge(a, b)`` and, for the same pairs, for ``judge(b, a)``:
        columns P(shown first), P(shown second), P(coin).

    Returns
    -------
    DataFrame
        Rows ``swap_consistency.<what>``: ``consistency``; ``total_variation`` between the two
        answers about the same candidates; ``first_twice`` and ``second_twice``, shares of pairs
        whose most likely answer is the one shown first (second) both times, a coin toss in
        hiding; ``position_bias``, positive if it favours the one shown first.

    Raises
    ------
    InputError
        If a shape is wrong or a row is not a probability.
    """
    p, swapped = _answers(first, "first"), _answers(second, "second")
    if p.shape != swapped.shape:
        raise InputError(f"first, second: shapes {p.shape} and {swapped.shape} must be equal")
    same = swapped[:, [1, 0, 2]]  # about the same candidates as p
    modal, modal_swapped = _modal(p), _modal(swapped)
    lead = (p[:, 0] - p[:, 1] + swapped[:, 0] - swapped[:, 1]) / 2
    values = {
        "consistency": (modal * modal_swapped[:, [1, 0, 2]]).sum(axis=1),
        "total_variation": np.abs(p - same).sum(axis=1) / 2,
        "first_twice": modal[:, 0] * modal_swapped[:, 0],
        "second_twice": modal[:, 1] * modal_swapped[:, 1],
        "position_bias": lead,
    }
    return tidy(
        {"measure": f"swap_consistency.{name}", "value": float(v.mean()), "denominator": len(p)}
        for name, v in values.items()
    )
