"""What each policy values, and how far its judgement of pairs is from people's."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from measures.alignment import compare_judges, cosine, rank_correlation, swap_consistency
from measures.judges import over_pairs, percentiles
from measures.table import Floats
from policies.davidson import Davidson, Linear
from policies.forced import Forced
from policies.likelihood import chances, differences, maximise
from policies.protocol import Judge, Policy
from policies.schemas import Scale
from populations.schema import SCHEMA, Columns

FROZEN_PAIRS = 1000
_FROZEN_SEED = 20250530
# Standard errors of the pooled human fit by resampling people (D; McElfresh 2021, study 2).
_HUMAN_ERRORS = {
    "age": 0.148,
    "drinks_per_day": 0.124,
    "child_dependents": 0.105,
    "log_tie": 0.121,
}
# Mean utility gap, and share of coin, of six groups of the 5,297 answers that fit is to (D).
_HUMAN_OBSERVED = {
    "gap": (0.13, 0.38, 0.66, 0.96, 1.37, 2.11),
    "value": (0.287, 0.230, 0.195, 0.158, 0.089, 0.054),
}
_ONE_OF = {"drinks_per_day": "one drink a day", "child_dependents": "one child dependent"}
_ERROR_DRAWS = 4000
# Mean probability of the answers given above which more decisive values would fit as well (A).
_SEPARATED = 0.95
VALUE_COLUMNS = ["policy", "term", "value", "low", "high", "unit", "note"]
YEARS, OVER_RANGE = "years of age", "utility over the study's range"
INDECISION, SHOWN_FIRST = "indecision", "shown first"
COSINE, RANKS = "cosine of weights", "rank correlation of utilities"
# Below this a trade-off in years of age divides by next to nothing and says nothing (A).
_LEAST_AGE_WEIGHT = 0.1
WEIGHTS_CAPTION = (
    "Fitted utilities over the range of the choice study (ages 25-70, 1-5 drinks a day, 0-2 child "
    "dependents); human: 95 % intervals from resampling people (of trade-offs: as if the errors of "
    "weights were independent, A); a model's are fitted to its answers. Trade-offs are left out "
    "where age hardly counts."
)


def frozen_pairs() -> tuple[Columns, Columns]:
    """The same pairs of profiles in every study: drawn as in the choice study, all else evenly."""
    rng = np.random.default_rng(_FROZEN_SEED)

    def profiles() -> dict[str, np.ndarray]:
        columns: dict[str, np.ndarray] = {
            name: rng.uniform(attribute.low, attribute.high, FROZEN_PAIRS)
            if not attribute.levels
            else rng.integers(0, len(attribute.levels), FROZEN_PAIRS)
            for name, attribute in SCHEMA.items()
        }
        columns["age"] = rng.integers(25, 71, FROZEN_PAIRS).astype(float)
        columns["drinks_per_day"] = rng.integers(1, 6, FROZEN_PAIRS).astype(float)
        columns["child_dependents"] = rng.integers(0, 3, FROZEN_PAIRS).astype(float)
        columns["registration"] = rng.permutation(FROZEN_PAIRS)
        return columns

    return profiles(), profiles()


def alignment(policies: list[Policy], values: Policy) -> pd.DataFrame:
    """Agreement, distance, indecision and swap consistency of every policy that judges pairs.

    Returns
    -------
    DataFrame
        ``arm``, ``measure``, ``value``, ``note``; empty if nobody judges pairs.
    """
    a, b = frozen_pairs()
    frames = []
    for policy in policies:
        if not isinstance(policy, Judge):
            continue
        answers, swapped = policy.judge(a, b), policy.judge(b, a)
        parts = [swap_consistency(answers, swapped)]
        if isinstance(values, Judge):
            parts.append(compare_judges(answers, values.judge(a, b)))
        frames.append(pd.concat(parts).assign(arm=policy.name))
    columns = ["arm", "measure", "value", "note"]
    return pd.concat(frames)[columns] if frames else pd.DataFrame(columns=columns)


def fitted(policy: Any) -> Davidson | None:
    """The Davidson model with additive values inside a policy, if there is one."""
    while not isinstance(policy, Davidson):
        if not hasattr(policy, "base"):
            return None
        policy = policy.base
    return policy if isinstance(policy.values, Linear) else None


def observed(name: str) -> pd.DataFrame | None:
    """Shares of coin in the answers that a policy is fitted to, by ``gap``; None if not known."""
    return pd.DataFrame(_HUMAN_OBSERVED) if name == "human" else None


def years_of_age(slopes: Floats, names: Sequence[str]) -> tuple[list[str], Floats]:
    """How many years of being younger one more of each other attribute counts for.

    Parameters
    ----------
    slopes : ndarray, shape (..., k)
        Utility of one unit of each attribute.
    names : sequence of str
        The k attributes.

    Returns
    -------
    tuple of list of str and ndarray, shape (..., k - 1)
        What is exchanged ("one child dependent"), and the years; nothing where there is no age.
    """
    if "age" not in names:
        return [], slopes[..., :0]
    others = [place for place, name in enumerate(names) if name != "age"]
    age = -slopes[..., [names.index("age")]]
    out = np.full((*slopes.shape[:-1], len(others)), np.nan)
    years = np.divide(slopes[..., others], age, out=out, where=age != 0)
    labels = [_ONE_OF.get(names[place], f"one more of {names[place]}") for place in others]
    return labels, years


def weights(policies: list[Policy]) -> pd.DataFrame:
    """Fitted values side by side, for policies that have them.

    Returns
    -------
    DataFrame
        ``policy``, ``term`` (an attribute, ``indecision``: lambda, or ``shown first``), ``value``,
        ``low``, ``high`` (95 %, where an error is known), ``unit``. With unit ``years of age``: how
        many years of being younger one unit of another attribute counts for.
    """
    rows = []
    for policy in policies:
        model = fitted(policy)
        if model is None or isinstance(policy, Forced) or policy.name.startswith("band("):
            continue  # their values are those of the policy they change
        rows += known_values(policy, model)
    return pd.DataFrame(rows, columns=VALUE_COLUMNS)


def known_values(
    policy: Policy, model: Davidson, scale: Scale | None = None
) -> list[dict[str, Any]]:
    """Rows of ``weights`` for the Davidson model with additive values inside one policy.

    Weights refer to the ranges in ``scale``, by default to the policy's own.
    """
    values: Any = model.values
    known = _HUMAN_ERRORS if policy.name == "human" else getattr(policy, "card", {}).get("errors")
    known, names = known or {}, list(values.weights)
    own = {name: (low, high) for name, (_, low, high) in values.weights.items()}
    spread, wanted = (_ranges(ends, names) for ends in (own, scale or own))
    slopes = np.array([weight for weight, _, _ in values.weights.values()]) / spread
    errors = np.array([known.get(name, np.nan) for name in names]) / spread
    rows = []
    for name, value, error in zip(names, slopes * wanted, errors * wanted, strict=True):
        reach = 1.96 * error
        rows.append(_row(policy.name, name, value, value - reach, value + reach, OVER_RANGE))
    for name, value, key in (
        (INDECISION, model.log_tie, "log_tie"),
        (SHOWN_FIRST, model.order, "order"),
    ):
        reach = 1.96 * known.get(key, np.nan)
        rows.append(_row(policy.name, name, value, value - reach, value + reach, "utility"))
    age, unsure = values.weights.get("age", (0.0,))[0], 1.96 * known.get("age", 0.0)
    if abs(age) <= max(_LEAST_AGE_WEIGHT, unsure):
        return rows
    drawn = np.random.default_rng(_FROZEN_SEED).normal(size=(_ERROR_DRAWS, len(names)))
    low, high = percentiles(years_of_age(slopes + errors * drawn, names)[1])
    labels, years = years_of_age(slopes, names)
    for label, *numbers in zip(labels, years, low, high, strict=True):
        rows.append(_row(policy.name, label, numbers[0], numbers[1], numbers[2], YEARS))
    return rows


def _ranges(scale: Scale, names: Sequence[str]) -> Floats:
    return np.array([scale[name][1] - scale[name][0] for name in names])


def answered_values(
    name: str, a: Columns, b: Columns, answers: Floats, scale: Scale, reference: Floats | None
) -> list[dict[str, Any]]:
    """Values fitted to answers, with 95 % intervals by resampling pairs, as rows of ``weights``.

    Parameters
    ----------
    name : str
        Whose answers they are.
    a, b : Columns
        Attributes of n pairs, each shape (n,).
    answers : ndarray, shape (n, 2, 3)
        P(a), P(b), P(coin) when a was shown first, and when b was.
    scale : mapping of attribute to (low, high)
        The k attributes, and the range a weight refers to.
    reference : ndarray, shape (k,), optional
        The reference's weights over the same ranges.

    Returns
    -------
    list of dict
        Trade-offs are undefined, with a ``note``, where the interval of the weight of age includes
        0; weights have a note where answers follow the fit almost without exception, so that any
        larger weights would fit as well. With a reference also ``cosine of weights`` and ``rank
        correlation of utilities`` (of the profiles in the pairs; Spearman).
    """
    names, coin = list(scale), bool((answers[..., 2] > 0).any())
    x = np.concatenate([differences(a, b, scale, True), differences(b, a, scale, True)])
    given = np.concatenate([answers[:, 0], answers[:, 1][:, [1, 0, 2]]])
    k, spread = len(names), _ranges(scale, names)
    profiles = np.stack([np.concatenate([a[key], b[key]]) for key in names], axis=1) / spread
    labels = years_of_age(spread, names)[0]

    def statistic(counts: Floats) -> Floats:
        found = maximise(x, given, np.tile(counts, (1, 2)), coin=coin)
        found = found if coin else np.column_stack([found, np.full(len(found), -np.inf)])
        parts = [found, years_of_age(found[:, :k] / spread, names)[1]]
        if reference is not None:
            parts.append(cosine(found[:, :k], reference)[:, None])
            utilities = found[:, :k] @ profiles.T
            parts.append(rank_correlation(utilities, profiles @ reference)[:, None])
        return np.concatenate(parts, axis=1)

    terms = [(key, OVER_RANGE) for key in names]
    terms += [(SHOWN_FIRST, "utility"), (INDECISION, "utility")]
    terms += [(label, YEARS) for label in labels]
    terms += [(COSINE, ""), (RANKS, "")] if reference is not None else []
    rows = [
        _row(name, term, value, low, high, unit)
        for (term, unit), value, low, high in zip(
            terms, *over_pairs(statistic, len(answers)), strict=True
        )
    ]
    age = next((row for row in rows if row["term"] == "age"), None)
    # Written so that an unknown interval counts as one with 0 in it.
    if age and not (age["low"] > 0 or age["high"] < 0):
        for row in rows:
            if row["unit"] == YEARS:
                row |= dict.fromkeys(("value", "low", "high"), np.nan)
                row["note"] = "undefined: the interval of the weight of age includes 0"
    fit = np.array([row["value"] for row in rows[: k + 2]])
    predicted = chances(x @ fit[: k + 1], fit[k + 1])
    if (given * predicted).sum(axis=1).mean() > _SEPARATED:
        for row in rows[: k + 2]:
            row["note"] = "only ratios mean anything: its answers follow a rule almost strictly"
    return rows


def _row(
    policy: str, term: str, value: float, low: float, high: float, unit: str
) -> dict[str, Any]:
    numbers = {"value": float(value), "low": float(low), "high": float(high)}
    return {"policy": policy, "term": term, **numbers, "unit": unit, "note": ""}


def cards(policies: list[Policy]) -> dict[str, dict[str, Any]]:
    """What must be shown beside every result of a policy, by arm."""
    return {policy.name: card for policy in policies if (card := getattr(policy, "card", {}))}
