"""From worlds to intervals and tests: the world is the unit, tie seeds are averaged within it."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import expit, logit
from scipy.stats import t as student

from measures.rates import reference_group
from measures.registry import MEASURES, is_invariant, is_ratio
from measures.table import Floats
from measures.table import levels as levels_of
from populations.errors import InputError

KEY = ["measure", "grouping", "group"]
RATES = ("transplant_rate", "mortality_rate")
LEVEL = 0.05
_SHARES = ("share", "probability", "index in [0, 1]")
ROUNDING = 1e-12  # differences this small, absolutely or relatively, are none


class Question(NamedTuple):
    """A difference from the reference that a study set out to test before it was run.

    Parameters
    ----------
    measure, grouping, group : str
        As in a study's tables.
    reason : str
        Why it is among the few.
    """

    measure: str
    grouping: str = "all"
    group: str = "all"
    reason: str = ""


# What a study tests unless it declares its own; whatever else it prints is exploratory. The choice
# is ours (A): few, each somebody's question, none that a policy cannot change.
DECLARED: tuple[Question, ...] = (
    Question("mortality_rate", reason="deaths on the list"),
    Question("life_years", reason="what kidneys are for; the number of transplants hardly differs"),
    Question("ex_ante.determinism", reason="who is left without a chance when no lots are drawn"),
    *(
        Question("transplant_rate_ratio", grouping, group, why)
        for grouping, why in (
            ("race", "access, where race must not count"),
            ("sex", "access, where sex must not count"),
            ("age_band", "access, where age is counted by some and not by others"),
        )
        for group in levels_of(grouping)
        if group != reference_group(grouping)
    ),
)


def check_declared(declared: Sequence[Question]) -> None:
    """Raise InputError unless every question is about a known measure and group, each once.

    What is nearly the same under every policy is no outcome of one, and no question.
    """
    asked = [(question.measure, question.grouping, question.group) for question in declared]
    for measure, grouping, group in asked:
        if measure.partition(".")[0] not in MEASURES:
            raise InputError(f"declared: measure {measure!r}: see `equipoise measures`")
        if is_invariant(measure):
            raise InputError(
                f"declared: measure {measure!r}: is nearly the same under every policy, so no "
                "outcome of one; see `equipoise measures`"
            )
        known = ("all",) if grouping == "all" else levels_of(grouping)
        if group not in known:
            raise InputError(
                f"declared: {measure}, {grouping}: group {group!r}: expected one of "
                + ", ".join(known)
            )
    if len(set(asked)) < len(asked):
        raise InputError("declared: a question is there twice; expected each once")


def by_world(measures: pd.DataFrame) -> pd.DataFrame:
    """Measures of each (arm, world), averaged over tie seeds; ratios as logarithms.

    Undefined in one tie seed is undefined in the world. But a rate without events counts as 0
    here: a mean over the worlds that happened to have events would be biased upwards.
    """
    values = measures.copy()
    no_events = values["measure"].isin(RATES) & (values["numerator"] == 0)
    values.loc[no_events & (values["denominator"] > 0), "value"] = 0.0
    ratios = values["measure"].map(is_ratio).astype(bool)
    positive = values.loc[ratios, "value"].where(lambda ratio: ratio > 0)
    values.loc[ratios, "value"] = np.log(positive)
    grouped = values.groupby(["arm", "world", *KEY], sort=False)["value"]
    return grouped.mean(skipna=False).reset_index()


def paired(measures: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Each arm minus the reference in the same world, ratios as logarithms.

    Returns
    -------
    DataFrame
        ``arm, world, measure, grouping, group, value``; two values that differ by rounding alone
        differ by 0.
    """
    worlds = by_world(measures)
    base = worlds[worlds["arm"] == reference].drop(columns="arm")
    pairs = worlds[worlds["arm"] != reference].merge(
        base, on=["world", *KEY], suffixes=("", "_reference")
    )
    mine, theirs = pairs["value"], pairs.pop("value_reference")
    same = np.isclose(mine, theirs, rtol=ROUNDING, atol=ROUNDING)
    return pairs.assign(value=(mine - theirs).mask(same, 0.0))


def shares(measures: pd.DataFrame) -> set[str]:
    """Measures that lie between 0 and 1: by the unit on their cards, and wherever they were taken.

    A difference of shares has their unit, but is seen below 0 sooner or later.
    """
    seen = measures.groupby("measure")["value"].agg(["min", "max"])
    within = seen.index[(seen["min"] >= 0) & (seen["max"] <= 1)]
    return {measure for measure in within if _unit(measure).startswith(_SHARES)}


def _unit(measure: str) -> str:
    """A measure's unit, or nothing where it has several."""
    card = MEASURES.get(measure.partition(".")[0])
    return card.unit if card and ";" not in card.unit else ""


def half_width(std: ArrayLike, n: ArrayLike) -> Floats:
    """Half of the 95 % t interval of a mean of n values; NaN for fewer than two."""
    sizes = np.asarray(n, dtype=np.float64)
    quantile = student.ppf(1 - LEVEL / 2, np.where(sizes > 1, sizes - 1, np.nan))
    return np.asarray(quantile * np.asarray(std) / np.sqrt(sizes), dtype=np.float64)


def summarise(values: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Mean, 95 % t interval and standard ``error`` over worlds of ``value`` by ``keys``.

    Undefined unless defined in every world: the worlds where, say, a median is not reached are not
    like the others. Where all worlds agree the error is 0.
    """
    grouped = values.groupby(keys, sort=False)["value"]
    table = grouped.agg(["mean", "std", "count", "size"]).reset_index()
    worlds, everywhere = table.pop("count"), table.pop("size")
    mean = table.pop("mean").where(worlds == everywhere)
    std = table.pop("std")
    std = std.mask(std <= ROUNDING * np.maximum(1.0, mean.abs()), 0.0)
    half = half_width(std, worlds)
    table = table.assign(value=mean, low=mean - half, high=mean + half, worlds=worlds)
    return table.assign(error=std / np.sqrt(worlds))


def tested(table: pd.DataFrame) -> pd.DataFrame:
    """Summaries of differences, ``error`` replaced by the two-sided ``p`` of none.

    Where all worlds agree on some difference there is no variance for a t test, and no interval;
    p is that of the two-sided sign test, 2 (1/2)^worlds (D).
    """
    size, worlds = table["value"].abs().to_numpy(), table["worlds"].to_numpy()
    error = table.pop("error").to_numpy()
    known = np.isfinite(size) & np.isfinite(error)
    score = np.divide(size, error, out=np.zeros_like(size), where=known & (error > 0))
    p = 2 * student.sf(score, np.maximum(worlds - 1, 1))
    agreed = known & (error == 0) & (size > ROUNDING)
    p = np.where(agreed, np.exp2(1.0 - worlds), np.where(known, p, np.nan))
    table.loc[agreed, ["low", "high"]] = np.nan
    return table.assign(p=p)


def _unlogged(table: pd.DataFrame) -> pd.DataFrame:
    logs = table["measure"].map(is_ratio).astype(bool)
    table.loc[logs, ["value", "low", "high"]] = np.exp(table.loc[logs, ["value", "low", "high"]])
    return table


def levels(measures: pd.DataFrame, also_shares: Collection[str] = ()) -> pd.DataFrame:
    """Mean of every measure by arm with its 95 % interval over worlds.

    Parameters
    ----------
    measures : DataFrame
        Every measure of every run.
    also_shares : collection of str
        What lies between 0 and 1 besides the measures whose card says so.

    Returns
    -------
    DataFrame
        ``arm, measure, grouping, group, value, low, high, worlds``: ``worlds`` counts those where
        the measure was defined; unless it was in all, the rest is NaN. Ratios are averaged on the
        log scale. The interval is a t interval; that of a share has the half-width of its logit by
        the delta method, s / (m (1 - m)), around the logit of the mean m, so that it stays within
        0 and 1 and its centre is still the mean (D).
    """
    table = summarise(by_world(measures), ["arm", *KEY]).drop(columns="error")
    mean = table["value"]
    known = shares(measures).union(also_shares)
    inner = table["measure"].isin(known) & (mean > 0) & (mean < 1)
    m, half = mean[inner], (table["high"] - mean)[inner]
    spread = half / (m * (1 - m))
    table.loc[inner, "low"] = expit(logit(m) - spread)
    table.loc[inner, "high"] = expit(logit(m) + spread)
    return _unlogged(table)


def differences(
    measures: pd.DataFrame, reference: str, declared: Sequence[Question] = DECLARED
) -> pd.DataFrame:
    """Every measure's paired difference from the reference arm, with its interval and test.

    Parameters
    ----------
    measures : DataFrame
        Every measure of every run.
    reference : str
    declared : sequence of Question
        The family of tests: each question for each arm.

    Returns
    -------
    DataFrame
        As ``levels``; ``value`` is the mean over worlds of arm minus reference in the same world,
        for ratios arm divided by reference, on the log scale. ``p`` is that of the two-sided
        paired t test over worlds (of equal logarithms for ratios). Where the difference is the
        same in every world, and not none, it is that of the sign test, and the interval is NaN.
        ``family`` is "declared", "exploratory" or "invariant" (nearly the same under every policy,
        so no outcome of one). ``p_holm`` is p adjusted for all declared tests that could be made
        (Holm 1979, M); NaN where not declared. Intervals of shares end at -1 and 1.
    """
    table = tested(summarise(paired(measures, reference), ["arm", *KEY]))
    bounded = table["measure"].isin(shares(measures))
    table.loc[bounded, ["low", "high"]] = table.loc[bounded, ["low", "high"]].clip(-1.0, 1.0)
    asked = {(question.measure, question.grouping, question.group) for question in declared}
    ours = [key in asked for key in table[KEY].itertuples(index=False, name=None)]
    others = np.where(table["measure"].map(is_invariant), "invariant", "exploratory")
    table["family"] = np.where(ours, "declared", others)
    family = table.index[np.array(ours, dtype=bool) & table["p"].notna()]
    table["p_holm"] = np.nan
    table.loc[family, "p_holm"] = holm(table.loc[family, "p"].to_numpy())
    return _unlogged(table)


def holm(p: Floats) -> Floats:
    """Holm's (1979) step-down adjustment of m p values, shape (m,), none NaN.

    The k-th smallest is multiplied by m - k + 1, and is at least what the one before it became.
    """
    order = np.argsort(p)
    steps = p[order] * np.arange(p.size, 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def contrast(measures: pd.DataFrame, weights: Mapping[str, float]) -> pd.DataFrame:
    """A weighted sum of arms, taken within each world, with its 95 % t interval.

    ``{"a": 1, "b": -1}`` is the paired difference of a from b.

    Returns
    -------
    DataFrame
        As ``differences``, without ``arm`` and the families; ratios are summed on the log scale,
        and intervals of shares end at the least and the most that the weights allow.
    """
    worlds = by_world(measures)
    table = worlds.pivot(index=["world", *KEY], columns="arm", values="value")[list(weights)]
    total = (table * pd.Series(weights)).sum(axis=1, skipna=False)
    total = total.mask(total.abs() <= ROUNDING * table.abs().max(axis=1).clip(lower=1.0), 0.0)
    found = tested(summarise(total.rename("value").reset_index(), KEY))
    bounded = found["measure"].isin(shares(measures))
    ends = [sum(min(w, 0.0) for w in weights.values()), sum(max(w, 0.0) for w in weights.values())]
    found.loc[bounded, ["low", "high"]] = found.loc[bounded, ["low", "high"]].clip(*ends)
    return _unlogged(found)


def detectable(found: pd.Series) -> bool:
    """Whether a difference, a row with ``low, high, p``, is told from none, not adjusted.

    By its 95 % interval; by p where all worlds agree and there is none.
    """
    if not np.isfinite(found["low"]):
        return bool(found["p"] < LEVEL)
    none = 1.0 if is_ratio(str(found["measure"])) else 0.0
    return bool(found["low"] > none or found["high"] < none)
