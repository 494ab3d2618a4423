"""How far each policy's judgement of pairs is from people's, on one frozen set of pairs."""

from typing import Any

import numpy as np
import pandas as pd

from measures.alignment import compare_judges, swap_consistency
from policies.davidson import Davidson, Linear
from policies.forced import Forced
from policies.protocol import Judge, Policy
from populations.schema import SCHEMA, Columns

FROZEN_PAIRS = 1000
_FROZEN_SEED = 20250530
# Standard errors of the pooled human fit by resampling people (D; McElfresh 2021, study 2).
_HUMAN_ERRORS = {
    "age": 0.148,
    "drinks_per_day": 0.124,
    "child_dependents": 0.105,
    "indecision": 0.121,
}
_ONE_OF = {"drinks_per_day": "one drink a day", "child_dependents": "one child dependent"}
# Below this a trade-off in years of age divides by next to nothing and says nothing (A).
_LEAST_AGE_WEIGHT = 0.1
WEIGHTS_CAPTION = (
    "Fitted utilities over the range of the choice study (ages 25-70, 1-5 drinks a day, 0-2 child "
    "dependents); human: 95 % intervals from resampling people; a model's are fitted to its "
    "answers. Trade-offs are left out where age hardly counts."
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
        values: Any = model.values
        errors = _HUMAN_ERRORS if policy.name == "human" else {}
        terms = {name: weight for name, (weight, _, _) in values.weights.items()}
        terms |= {"indecision": model.log_tie, "shown first": model.order}
        for term, value in terms.items():
            half = 1.96 * errors.get(term, np.nan)
            unit = "utility over the study's range" if term in values.weights else "utility"
            rows.append((policy.name, term, value, value - half, value + half, unit))
        slopes = {
            name: weight / (high - low) for name, (weight, low, high) in values.weights.items()
        }
        if abs(terms.get("age", 0.0)) < _LEAST_AGE_WEIGHT:
            continue
        for name, slope in slopes.items():
            if name != "age":
                worth = slope / -slopes["age"]
                one = _ONE_OF.get(name, f"one more of {name}")
                rows.append((policy.name, one, worth, np.nan, np.nan, "years of age"))
    return pd.DataFrame(rows, columns=["policy", "term", "value", "low", "high", "unit"])


def cards(policies: list[Policy]) -> dict[str, dict[str, Any]]:
    """What must be shown beside every result of a policy, by arm."""
    return {policy.name: card for policy in policies if (card := getattr(policy, "card", {}))}
