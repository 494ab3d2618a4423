"""A policy's values with as much indecision as another's: the scale on which coins are compared.

Utilities of two fits are not on one scale, so the same lambda means more coins for whoever holds
weaker values. Here lambda is chosen so that the mean P(coin) over a frozen set of pairs is the
other's. What is left between the two is what they value and how strongly: with weaker values
answers are nearer to chance where no coin is tossed, too. Both scales are on the card.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit

from policies.davidson import Davidson
from policies.draws import frozen_pairs
from policies.protocol import Chances, Judge, Policy
from policies.schemas import SCHEMAS
from populations.errors import InputError
from populations.schema import Columns

# Uniform over the ages, drinks and dependents that people were asked about by McElfresh et al.
SCHEMA, PAIRS = "indecision3", "frozen-1"
BINS = 6
_COIN = 2


def calibrated(policy: Davidson, other: Policy, factor: float = 1.0) -> Davidson:
    """The values of ``policy``, as often undecided as ``other``, or ``factor`` times that.

    Its advantage of position is taken out: values are those behind its answers averaged over both
    orders, and position is another factor.

    Parameters
    ----------
    policy : Davidson
        Whose values; all may be 0.
    other : Policy
        A judge of pairs; P(coin) is its mean over both orders.
    factor : float
        Of the other's mean P(coin) over the frozen pairs.

    Returns
    -------
    Davidson
        Its card's ``calibration``: ``pairs``, ``factor``; ``log_tie_before`` (None if it never
        flipped) and ``log_tie``; mean P(coin) over the pairs ``coin_before`` (its advantage of
        position in it), ``coin`` and ``coin_other``; the standard deviation over the pairs of the
        difference in utility of the two patients, ``spread`` and ``spread_other``; and the curve by
        which a reader sees whether more than the mean is alike: mean utility ``gap`` to the other
        in each sixth of the pairs, mean P(coin) there, ``curve`` and ``curve_other``, and
        ``largest_gap`` between the two (these and ``spread_other`` are None where the other is
        certain of a pair).

    Raises
    ------
    InputError
        If the other is no judge, either cannot judge the pairs, or ``factor`` times the other's
        mean P(coin) is not between 0 and 1.
    """
    written = f"calibrated({policy.name}, {other.name}{'' if factor == 1.0 else f', {factor:g}'})"
    if not isinstance(other, Judge):
        raise InputError(f"{written}: {other.name} judges no pairs, so its coin rate is unknown")
    people = _both_orders(other, written)
    rate = float(people[:, _COIN].mean())
    target = factor * rate
    if not 0.0 < target < 1.0:
        raise InputError(
            f"{written}: {factor:g} times the coin rate {rate:.3f} of {other.name} is {target:.3f}:"
            " expected more than 0 and less than 1"
        )
    before = _both_orders(policy, written)
    level = replace(policy, name=written, order=0.0)
    log_tie = _solve(np.abs(_differences(level)), target)
    found = replace(level, log_tie=log_tie, card={})
    after = _both_orders(found, written)
    card: dict[str, Any] = {
        "pairs": f"{SCHEMA} {PAIRS}",
        "factor": factor,
        "log_tie_before": policy.log_tie if np.isfinite(policy.log_tie) else None,
        "log_tie": log_tie,
        "coin_before": float(before[:, _COIN].mean()),
        "coin": float(after[:, _COIN].mean()),
        "coin_other": rate,
        "spread": float(_differences(policy).std()),
        **_curves(after, people),
    }
    return replace(found, card={"calibration": card})


def _pairs() -> tuple[Columns, Columns]:
    """Attributes of both patients of every frozen pair, each shape (n,)."""
    profiles = np.array(frozen_pairs(SCHEMA, PAIRS))
    names = list(SCHEMAS[SCHEMA].levels)
    a, b = (dict(zip(names, profiles[:, side].T, strict=True)) for side in (0, 1))
    return a, b


def _both_orders(judge: Judge, written: str) -> Chances:
    """P(a), P(b), P(coin) of every frozen pair, averaged over both orders; shape (n, 3)."""
    a, b = _pairs()
    try:
        return np.asarray((judge.judge(a, b) + judge.judge(b, a)[:, [1, 0, 2]]) / 2)
    except (KeyError, InputError) as error:
        raise InputError(
            f"{written}: {judge.name} cannot judge the frozen pairs of {SCHEMA} "
            f"({', '.join(SCHEMAS[SCHEMA].levels)}): {error}"
        ) from error


def _differences(policy: Davidson) -> Chances:
    a, b = _pairs()
    return np.asarray(policy.values(a) - policy.values(b))


def _solve(gaps: Chances, target: float) -> float:
    """The lambda at which the mean of e^lambda / (e^lambda + 2 cosh gap) is ``target``."""
    decided = np.logaddexp(gaps, -gaps)

    def excess(log_tie: float) -> float:
        return float(np.mean(expit(log_tie - decided))) - target

    # One pair alone would need logit(target) + decided: all together, something between.
    low, high = logit(target) + decided.min() - 1.0, logit(target) + decided.max() + 1.0
    return float(brentq(excess, low, high, xtol=1e-13, rtol=1e-14))


def _curves(after: Chances, people: Chances) -> dict[str, Any]:
    """The other's spread, and how P(coin) falls as its utility gap widens, for both."""
    if np.any(people[:, :_COIN] <= 0):
        return dict.fromkeys(("spread_other", "gap", "curve", "curve_other", "largest_gap"))
    difference = np.log(people[:, 0] / people[:, 1]) / 2
    gap = np.abs(difference)
    edges = np.quantile(gap, np.linspace(0, 1, BINS + 1)[1:-1])
    bins = np.searchsorted(edges, gap, side="right")
    here = [bins == number for number in np.unique(bins)]
    curve, other = ([float(p[each, _COIN].mean()) for each in here] for p in (after, people))
    return {
        "spread_other": float(difference.std()),
        "gap": [float(gap[each].mean()) for each in here],
        "curve": curve,
        "curve_other": other,
        "largest_gap": float(np.max(np.abs(np.subtract(curve, other)))),
    }
