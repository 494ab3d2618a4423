"""Small tidy frames from whole records: what figures need, so that records need not be kept."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from measures import rates, survival
from measures.inequality import gini
from measures.table import FULL_DETAIL_ONLY, Floats, column, groups
from populations.errors import InputError
from sim.record import FATES, Record

GROUPINGS: tuple[str, ...] = ("sex", "race", "age_band", "blood_type")
WIDTH, STEP = 1.0, 0.25  # years: windows of 12 months that start every quarter
_SAME_MOMENT = 1e-9  # years
RATES: dict[str, str] = {"transplant_rate": "transplanted", "mortality_rate": "died"}


def over_time(record: Record) -> pd.DataFrame:
    """Rates on the waitlist and rate ratios in rolling windows.

    Parameters
    ----------
    record : Record
        At least one year long.

    Returns
    -------
    DataFrame
        Columns ``measure``, ``grouping``, ``group``, ``time`` (year in which the window of 12
        months ends; one window per quarter), ``value``, ``numerator``, ``denominator``.
        ``transplant_rate`` and ``mortality_rate`` (per 100 person-years; events, person-years) for
        everybody and each group of ``GROUPINGS``; a group that waits without an event has rate 0,
        since leaving such windows out would bias means upwards, and NaN if nobody waits.
        ``transplant_rate_ratio`` (rate of the group, rate of the reference group) for each group
        but the reference; 0 if only the group has no event, NaN if the reference group has none.

    Raises
    ------
    InputError
        If the run is shorter than a window.
    """
    if record.years < WIDTH:
        raise InputError(f"over_time: years: {record.years:g}; must be at least {WIDTH:g}")
    steps = int(np.floor((record.years - WIDTH) / STEP + _SAME_MOMENT)) + 1
    starts = np.asarray(np.arange(steps) * STEP, dtype=np.float64)
    frames = []
    for grouping in (None, *GROUPINGS):
        for measure, fate in RATES.items():
            rate = _rates(record, measure, fate, grouping, starts)
            frames.append(rate)
            if grouping and measure == "transplant_rate":
                frames.append(_ratios(rate, rates.reference_group(grouping)))
    return pd.concat(frames, ignore_index=True)


def _rates(
    record: Record, measure: str, fate: str, grouping: str | None, starts: Floats
) -> pd.DataFrame:
    """`measures.rates.rolling` of one rate, from running totals: it would outlast the run."""
    names, codes = groups(record, grouping)
    entry, exit_ = column(record.fates, "entry"), column(record.fates, "exit")
    happened = np.asarray(record.fates["fate"] == fate)
    events, years = np.empty((2, len(names), starts.size))
    for i in range(len(names)):
        mine = codes == i
        years[i] = _waited(entry[mine], exit_[mine], starts)
        exits = np.sort(exit_[mine & happened])
        events[i] = np.searchsorted(exits, starts + WIDTH) - np.searchsorted(exits, starts)
    rate = np.divide(rates.PER * events, years, out=np.full_like(years, np.nan), where=years > 0)
    return pd.DataFrame(
        {
            "measure": measure,
            "grouping": grouping or "all",
            "group": np.repeat(names, starts.size),
            "time": np.tile(starts + WIDTH, len(names)),
            "value": rate.ravel(),
            "numerator": events.ravel(),
            "denominator": years.ravel(),
        }
    )


def _waited(entry: Floats, exit_: Floats, starts: Floats) -> Floats:
    """Person-years on the list in each window, shape (windows,)."""
    return np.array(
        [
            np.clip(np.minimum(exit_, start + WIDTH) - np.maximum(entry, start), 0.0, None).sum()
            for start in starts
        ]
    )


def _ratios(frame: pd.DataFrame, reference: str) -> pd.DataFrame:
    base = frame[frame["group"] == reference].set_index("time")["value"]
    others = frame[frame["group"] != reference]
    numerator, denominator = others["value"], others["time"].map(base)
    return others.assign(
        measure="transplant_rate_ratio",
        value=(numerator / denominator).where(denominator > 0),
        numerator=numerator,
        denominator=denominator,
    )


def incidence(record: Record) -> pd.DataFrame:
    """Stacked cumulative incidence: what had become of candidates t years after listing.

    Parameters
    ----------
    record : Record
        Only candidates listed after the start are used.

    Returns
    -------
    DataFrame
        Columns ``grouping`` ("all", "race", "age_band"), ``group``, ``cause`` (the fates, waiting
        included), ``years`` (since listing: 0 to the horizon by 0.25), ``value`` (probability;
        the causes sum to 1; NaN where nobody was followed for so long) and ``at_risk``.
        Estimator: `measures.survival.cumulative_incidence`.
    """
    grid = np.arange(int(np.floor(record.years / STEP + _SAME_MOMENT)) + 1) * STEP
    keys = ["grouping", "group", "cause", "years"]
    frames = []
    for grouping in (None, "race", "age_band"):
        frame = survival.cumulative_incidence(record, grouping, tuple(grid))
        frame = frame.rename(columns={"fate": "cause", "time": "years"})
        gone = frame.groupby(["group", "years"], sort=False)
        waiting = frame[frame["cause"] == survival.CAUSES[0]].assign(cause=FATES[0])
        waiting["value"] = (1.0 - gone["value"].sum(min_count=1)).clip(lower=0.0).to_numpy()
        frames.append(pd.concat([waiting, frame])[[*keys, "value", "at_risk"]])
    return pd.concat(frames, ignore_index=True)


def lorenz(records: Sequence[Record]) -> pd.DataFrame:
    """How chances, and transplants, are shared among the candidates of one world.

    Parameters
    ----------
    records : sequence of Record
        One policy in one world under one or more tie seeds, with ``detail="full"``.

    Returns
    -------
    DataFrame
        Columns ``kind``, ``people`` (share of candidates, those with least first: 0 to 1 by 0.01),
        ``share`` (what they have of the whole; between candidates linear), ``gini`` (of all
        candidates, the same in every row) and ``tie_seeds`` (how many records).
        ``ex_ante``: the chances a candidate was given, summed over the run, averaged over tie
        seeds. ``ex_post``: having been transplanted, curve and index averaged over tie seeds.
        NaN if there was nothing to share.

    Raises
    ------
    InputError
        If there is no record, the records are not of one policy and world, or have no chances.
    """
    if not records:
        raise InputError("lorenz: records: none; expected one or more")
    for name in ("policy", "exogenous"):
        if len({record.meta.get(name) for record in records}) > 1:
            raise InputError(f"lorenz: {name}: differs; only the tie seed may differ")
    if any("chance" not in record.fates for record in records):
        raise InputError(f"lorenz: fates: no column chance; it is {FULL_DETAIL_ONLY}")
    chance = np.mean([column(record.fates, "chance") for record in records], axis=0)
    outcomes = [np.asarray(record.fates["fate"] == "transplanted", float) for record in records]
    people = np.linspace(0.0, 1.0, 101)
    kinds = {"ex_ante": [chance], "ex_post": outcomes}
    frames = [
        pd.DataFrame(
            {
                "kind": kind,
                "people": people,
                "share": np.mean([_lorenz_curve(values, people) for values in shared], axis=0),
                "gini": float(np.mean([gini(values) for values in shared])),
            }
        )
        for kind, shared in kinds.items()
    ]
    return pd.concat(frames, ignore_index=True).assign(tie_seeds=len(records))


def _lorenz_curve(values: Floats, people: Floats) -> Floats:
    """Share of the total that the given shares of people have, least first, shape of ``people``."""
    total = values.sum()
    if total == 0:
        return np.full_like(people, np.nan)
    held = np.concatenate([[0.0], np.cumsum(np.sort(values)) / total])
    return np.asarray(np.interp(people, np.linspace(0.0, 1.0, held.size), held))
