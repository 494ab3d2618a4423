"""From worlds to intervals: the world is the unit, tie seeds are averaged within it first."""

import numpy as np
import pandas as pd
from scipy.stats import t as student

KEY = ["measure", "grouping", "group"]


def by_world(measures: pd.DataFrame) -> pd.DataFrame:
    """Measures of each (arm, world), averaged over tie seeds; undefined ones stay NaN."""
    return measures.groupby(["arm", "world", *KEY], sort=False, as_index=False)["value"].mean()


def _is_ratio(measure: pd.Series) -> pd.Series:
    return measure.str.endswith("_ratio")


def _summarise(values: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Mean and 95 % t interval over worlds of ``value`` by ``keys``; ratios as logarithms."""
    values = values.copy()
    logs = _is_ratio(values["measure"])
    values.loc[logs, "value"] = np.log(values.loc[logs, "value"].where(lambda ratio: ratio > 0))
    table = values.groupby(keys, sort=False)["value"].agg(["mean", "std", "count"]).reset_index()
    worlds = table.pop("count")
    half = student.ppf(0.975, worlds - 1) * table.pop("std") / np.sqrt(worlds)
    table = table.rename(columns={"mean": "value"})
    table = table.assign(low=table["value"] - half, high=table["value"] + half, worlds=worlds)
    logs = _is_ratio(table["measure"])
    table.loc[logs, ["value", "low", "high"]] = np.exp(table.loc[logs, ["value", "low", "high"]])
    return table


def levels(measures: pd.DataFrame) -> pd.DataFrame:
    """Mean of every measure by arm with its 95 % t interval over worlds.

    Returns
    -------
    DataFrame
        ``arm, measure, grouping, group, value, low, high, worlds``: ``worlds`` counts those where
        the measure was defined. Rate ratios are averaged on the log scale.
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
    ratio = _is_ratio(pairs["measure"])
    with np.errstate(divide="ignore", invalid="ignore"):
        pairs["value"] = np.where(
            ratio,
            pairs["value"] / pairs["value_reference"],
            pairs["value"] - pairs["value_reference"],
        )
    return _summarise(pairs, ["arm", *KEY])
