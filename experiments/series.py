"""Small tidy frames from whole records: what figures need, so that records need not be kept."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from measures import rates, survival
from measures.outcomes import years_lived
from measures.table import Floats, codes_of, column, groups, levels
from populations.errors import InputError
from sim.record import FATES, Record

GROUPINGS: tuple[str, ...] = ("sex", "race", "age_band", "blood_type")
WIDTH, STEP = 1.0, 0.25  # years: windows of 12 months that start every quarter
CHANGES: tuple[str, ...] = ("gained", "lost", "earlier", "later", "same", "neither")
_SAME_MOMENT = 1e-9  # years
RATES: dict[str, str] = {"transplant_rate": "transplanted", "mortality_rate": "died"}


def reference_group(grouping: str) -> str:
    """The group that the others of a grouping are compared with (as in `measures.rates`)."""
    return rates.REFERENCES.get(grouping, levels(grouping)[0])


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
                frames.append(_ratios(rate, reference_group(grouping)))
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


def ledger(record: Record, reference: Record) -> pd.DataFrame:
    """Who won and who lost: each candidate under one policy and under another, in one world.

    Parameters
    ----------
    record, reference : Record
        Two runs of the same world.

    Returns
    -------
    DataFrame
        Columns ``what``, ``reference_fate``, ``fate``, ``n`` (candidates), ``share``,
        ``life_years`` (theirs by the horizon, ``record`` minus ``reference``, summed) and
        ``horizon`` (length of the runs in years).
        Rows ``flow``: every pair of fates that occurs. Rows ``CHANGES``: deceased-donor transplant
        only in ``record`` (gained), only in ``reference`` (lost), in both at an earlier, a later or
        the same time, in neither. ``share`` is of all candidates, and each of the two sets of rows
        adds up to all of them. Row ``churn``: ``n`` gained or lost; ``share`` is n over the
        transplants of both runs, |A xor B| / (|A| + |B|), NaN if there were none.

    Raises
    ------
    InputError
        If the records are not of the same world and length.
    """
    _check_same_world(record, reference)
    before, after = codes_of(reference.fates["fate"], FATES), codes_of(record.fates["fate"], FATES)
    gain = years_lived(record) - years_lived(reference)
    flow, changes = before * len(FATES) + after, _changes(record, reference)
    rows = [
        _ledger_row("flow", flow == code, gain, FATES[code // len(FATES)], FATES[code % len(FATES)])
        for code in np.unique(flow)
    ]
    rows += [_ledger_row(name, changes == i, gain) for i, name in enumerate(CHANGES)]
    churn = _ledger_row("churn", changes <= CHANGES.index("lost"), gain)
    transplant = FATES.index("transplanted")
    both = np.count_nonzero(before == transplant) + np.count_nonzero(after == transplant)
    churn["share"] = churn["n"] / both if both else np.nan  # type: ignore[operator]
    return pd.DataFrame([*rows, churn]).assign(horizon=record.years)


def _check_same_world(record: Record, reference: Record) -> None:
    for name in ("exogenous", "years"):
        mine, other = record.meta.get(name), reference.meta.get(name)
        if mine != other:
            raise InputError(
                f"ledger: {name}: {mine!r} and {other!r}; compare two records of the same world"
            )
    if not np.array_equal(record.candidates["candidate"], reference.candidates["candidate"]):
        raise InputError("ledger: candidates: differ; compare two records of the same world")


def _changes(record: Record, reference: Record) -> Floats:
    """Index into ``CHANGES`` of each candidate, shape (n,)."""
    now = np.asarray(record.fates["fate"] == "transplanted")
    then = np.asarray(reference.fates["fate"] == "transplanted")
    wait = column(record.fates, "exit") - column(reference.fates, "exit")
    both = now & then
    conditions = [now & ~then, then & ~now, both & (wait < -_SAME_MOMENT)]
    conditions += [both & (wait > _SAME_MOMENT), both]
    return np.select(conditions, range(len(conditions)), CHANGES.index("neither"))


def _ledger_row(
    what: str, who: NDArray[np.bool_], gain: Floats, reference_fate: str = "", fate: str = ""
) -> dict[str, object]:
    n = int(np.count_nonzero(who))
    return {
        "what": what,
        "reference_fate": reference_fate,
        "fate": fate,
        "n": n,
        "share": n / who.size if who.size else np.nan,
        "life_years": float(gain[who].sum()),
    }
