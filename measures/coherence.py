"""Whether one judge agrees with itself: repeated, on obvious pairs, and round a circle.

Answers are arrays of P(a), P(b), P(coin), rows summing to 1. Intervals are 95 %, by resampling
pairs; a round robin of a few profiles has none, since its triples share their pairs.
"""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from measures.judges import COIN, as_answers, mean_row
from measures.registry import measure
from measures.table import Floats, tidy
from populations.errors import InputError
from populations.schema import Columns


@measure(
    formula="agreement: mean over pairs of samples k, l of sum p_k p_l (share of equal answers); "
    "for a single row of probabilities sum p^2; modal_share: largest mean p",
    unit="share",
    direction="none",
    discipline="evaluation of language models",
    protects="those whose fate would change if the question were put again",
    cannot_see="a judge that is stable and wrong; with few samples modal_share is biased upwards",
    source="after Shi et al. 2024 (R2); expected agreement D",
    reads="judges",
    by="never",
)
def repetition_stability(samples: ArrayLike) -> pd.DataFrame:
    """Whether a judge gives the same answer when it is asked the same again.

    Parameters
    ----------
    samples : array-like, shape (n, questions, samples, 3)
        The answers to each question about each of n pairs. A single sample is read as the
        probabilities from which answers would be drawn.

    Returns
    -------
    DataFrame
        Rows ``repetition_stability.agreement`` (two answers to the same question are the same) and
        ``.modal_share`` (an answer is the most frequent one).

    Raises
    ------
    InputError
        If the shape is wrong or a row is not a probability.
    """
    p = _as_samples(samples)
    as_answers(p.reshape(len(p), -1, 3), "samples")
    k = p.shape[2]
    total = p.sum(axis=2)
    square = (total**2).sum(axis=-1)
    own = (p**2).sum(axis=(2, 3))
    agreement = own if k == 1 else (square - own) / (k * (k - 1))
    return tidy(
        [
            mean_row("repetition_stability.agreement", agreement),
            mean_row("repetition_stability.modal_share", total.max(axis=-1) / k),
        ]
    )


@measure(
    formula="answers: share that is no choice; pairs: share without a choice in both orders",
    unit="share",
    direction="lower",
    discipline="evaluation of language models",
    protects="readers of every other measure, which leaves these answers out",
    cannot_see="why: a refusal and an answer that cannot be read count alike",
    source="D",
    reads="judges",
    by="never",
)
def no_choice(samples: ArrayLike) -> pd.DataFrame:
    """How many answers are no choice, and how many pairs that leaves out.

    Parameters
    ----------
    samples : array-like, shape (n, questions, samples, 3)
        The answers to each question about each of n pairs; NaN where an answer is no choice.

    Returns
    -------
    DataFrame
        Rows ``no_choice.answers`` and ``no_choice.pairs`` (a question of theirs has no choice).

    Raises
    ------
    InputError
        If the shape is wrong.
    """
    missing = np.isnan(_as_samples(samples)).any(axis=-1)
    left_out = missing.all(axis=2).any(axis=1, keepdims=True)
    return tidy(
        [
            mean_row("no_choice.answers", np.asarray(missing.mean(axis=2), dtype=np.float64)),
            mean_row("no_choice.pairs", left_out.astype(np.float64)),
        ]
    )


def _as_samples(samples: ArrayLike) -> Floats:
    p = np.asarray(samples, dtype=np.float64)
    if p.ndim != 4 or p.shape[-1] != 3 or not p.size:
        raise InputError(f"samples: shape: {p.shape}; must be (n, questions, samples, 3), n >= 1")
    return p


def dominant(a: Columns, b: Columns, directions: Mapping[str, int]) -> NDArray[np.int_]:
    """Which patient is no worse in every attribute and better in one: 1 a, -1 b, 0 neither.

    Parameters
    ----------
    a, b : Columns
        Attributes of n pairs of patients, each shape (n,).
    directions : mapping of attribute to +1 or -1
        +1 where more of it speaks for a patient, -1 where it speaks against.
    """
    lead = np.array([(a[name] - b[name]) * sign for name, sign in directions.items()])
    for_a = (lead >= 0).all(axis=0) & (lead > 0).any(axis=0)
    for_b = (lead <= 0).all(axis=0) & (lead < 0).any(axis=0)
    return np.asarray(for_a.astype(int) - for_b.astype(int))


@measure(
    formula="violations: sum P(the dominated) / sum of P(a) + P(b), coin: mean P(coin), over pairs "
    "where one patient is no worse in every attribute and better in one",
    unit="share",
    direction="lower",
    discipline="decision theory",
    protects="those who are better placed on every count and would still lose",
    cannot_see="anything about pairs in conflict; whether the directions are right",
    source="standard definition (M); directions by what people favoured (D)",
    reads="judges",
    by="never",
)
def dominance_violations(answers: ArrayLike, better: ArrayLike) -> pd.DataFrame:
    """How often a patient wins who is better in nothing and worse in something.

    Parameters
    ----------
    answers : array-like, shape (n, 3) or (n, questions, 3)
        P(a), P(b), P(coin) of n pairs.
    better : array-like of int, shape (n,)
        1 where a dominates, -1 where b does, 0 elsewhere (see ``dominant``).

    Returns
    -------
    DataFrame
        Rows ``dominance_violations.violations``, its ``denominator`` the probability (in pairs) of
        a decisive answer, and ``dominance_violations.coin``.

    Raises
    ------
    InputError
        If a shape is wrong or a row is not a probability.
    """
    p, sign = as_answers(answers, "answers"), np.asarray(better)
    if sign.shape != (len(p),):
        raise InputError(f"better: shape: {sign.shape}; must be ({len(p)},)")
    loser = np.where(sign > 0, 1, 0)
    worse = np.take_along_axis(p, loser[:, None, None], axis=-1)[..., 0]
    decisive = 1 - p[..., COIN]
    share = np.divide(worse, decisive, out=np.zeros_like(worse), where=decisive > 0)
    here = np.broadcast_to((sign != 0)[:, None], worse.shape).astype(np.float64)
    none = "no pair in which one patient dominates" if not here.any() else "coin on every such pair"
    return tidy(
        [
            mean_row("dominance_violations.violations", share, here * decisive, none),
            mean_row("dominance_violations.coin", p[..., COIN], here, none),
        ]
    )


@measure(
    formula="strict: triples in which each is more likely than not preferred to the next, all the "
    "way round / all triples; soft: mean over triples of p_ij p_jk p_ki + p_ik p_kj p_ji",
    unit="share of triples",
    direction="lower",
    discipline="decision theory",
    protects="those whose fate would depend on whom they happened to be compared with first",
    cannot_see="indifference that is not transitive, which is no incoherence; anyone who sometimes "
    "errs has a soft share above 0: compare with the reference's",
    source="after Kendall & Babington Smith 1940 (M); soft version D; a random tournament has 1/4",
    reads="judges",
    by="never",
)
def cycles(beats: ArrayLike) -> pd.DataFrame:
    """Preferences that run in a circle: a before b, b before c, c before a.

    Parameters
    ----------
    beats : array-like, shape (m, m), m >= 3
        ``beats[i, j]``: probability that i is chosen over j; with ``beats[j, i]`` it sums to at
        most 1, the rest being the coin. The diagonal is not read.

    Returns
    -------
    DataFrame
        Rows ``cycles.strict`` (i is preferred to j if that is more likely than the coin and than
        the opposite) and ``cycles.soft``; ``denominator`` is the number of triples.

    Raises
    ------
    InputError
        If the shape is wrong or these are no probabilities.
    """
    p = np.array(beats, dtype=np.float64)
    if p.ndim != 2 or len(p) < 3 or p.shape[0] != p.shape[1]:
        raise InputError(f"beats: shape: {p.shape}; must be (m, m), m >= 3")
    np.fill_diagonal(p, 0)
    if not ((p >= 0).all() and (p + p.T <= 1 + 1e-6).all()):
        raise InputError("beats: must be >= 0, and beats[i, j] + beats[j, i] at most 1")
    preferred = (p > p.T + 1e-12) & (p > 1 - p - p.T + 1e-12)
    triples = np.array(list(combinations(range(len(p)), 3)))
    rows = []
    for name, wins in (("strict", preferred.astype(np.float64)), ("soft", p)):
        found = _round_trips(wins, triples) + _round_trips(wins.T, triples)
        row = {"measure": f"cycles.{name}", "value": found.mean(), "numerator": found.sum()}
        rows.append(row | {"denominator": len(triples)})
    return tidy(rows)


def _round_trips(wins: Floats, triples: NDArray[np.int_]) -> Floats:
    """Product of wins of i over j, j over k, k over i for each triple."""
    i, j, k = triples.T
    return np.asarray(wins[i, j] * wins[j, k] * wins[k, i])
