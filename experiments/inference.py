"""From worlds to intervals: the world is the unit, tie seeds are averaged within it first."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import t as student

KEY = ["measure", "grouping", "group"]
RATES = ("transplant_rate", "mortality_rate")


def by_world(measures: pd.DataFrame) -> pd.DataFrame:
    """Measures of each (arm, world), averaged over tie seeds; ratios as logarithms.

    Undefined in one tie seed is undefined in the world. But a rate without events counts as 0
    here: a mean over the worlds that happened to have events would be biased upwards.
    """
    values = measures.copy()
    no_events = values["measure"].isin(RATES) & (values["numerator"] == 0)
    values.loc[no_events & (values["denominator"] > 0), "value"] = 0.0
    ratios = _is_ratio(values["measure"])
    positive = values.loc[ratios, "value"].where(lambda ratio: ratio > 0)
    values.loc[ratios, "value"] = np.log(positive)
    grouped = values.groupby(["arm", "world", *KEY], sort=False)["value"]
    return grouped.mean(skipna=False).reset_index()


def _is_ratio(measure: pd.Series) -> pd.Series:
    return measure.str.endswith("_ratio")


def _summarise(values: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Mean and 95 % t interval over worlds of ``value`` by ``keys``, ratios from logarithms.

    Undefined unless defined in every world: the worlds where, say, a median is not reached are not
    like the others.
    """
    grouped = values.groupby(keys, sort=False)["value"]
    table = grouped.agg(["mean", "std", "count", "size"]).reset_index()
    worlds, everywhere = table.pop("count"), table.pop("size")
    half = student.ppf(0.975, worlds - 1) * table.pop("std") / np.sqrt(worlds)
    mean = table.pop("mean").where(worlds == everywhere)
    table = table.assign(value=mean, low=mean - half, high=mean + half, worlds=worlds)
    logs = _is_ratio(table["measure"])
    table.loc[logs, ["value", "low", "high"]] = np.exp(table.loc[logs, ["value", "low", "high"]])
    return table


def levels(measures: pd.DataFrame) -> pd.DataFrame:
    """Mean of every measure by arm with its 95 % t interval over worlds.

    Returns
    -------
    DataFrame
        ``arm, measure, grouping, group, value, low, high, worlds``: ``worlds`` counts those where
        the measure was defined; unless it was in all, the rest is NaN. Rate ratios are averaged on
        the log scale.
    """
    return _summarise(by_world(measures), ["arm", *KEY])


def differences(measures: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Every measure's paired difference from the reference arm, with its 95 % t interval.

    Returns
    -------
    DataFrame
        As ``levels``; ``value`` is the mean over worlds of arm minus reference in the same world.
        For rate ratios it is arm divided by reference, on the log scale.
    """
    worlds = by_world(measures)
    base = worlds[worlds["arm"] == reference].drop(columns="arm")
    pairs = worlds[worlds["arm"] != reference].merge(
        base, on=["world", *KEY], suffixes=("", "_reference")
    )
    pairs["value"] -= pairs["value_reference"]
    return _summarise(pairs, ["arm", *KEY])


def contrast(measures: pd.DataFrame, weights: Mapping[str, float]) -> pd.DataFrame:
    """A weighted sum of arms, taken within each world, with its 95 % t interval.

    ``{"a": 1, "b": -1}`` is the paired difference of a from b.

    Returns
    -------
    DataFrame
        As ``differences``, without ``arm``; rate ratios are summed on the log scale.
    """
    worlds = by_world(measures)
    table = worlds.pivot(index=["world", *KEY], columns="arm", values="value")[list(weights)]
    total = (table * pd.Series(weights)).sum(axis=1, skipna=False)
    return _summarise(total.rename("value").reset_index(), KEY)
