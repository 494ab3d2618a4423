"""Who won and who lost: the same candidates, the same kidneys, another policy."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from measures.outcomes import years_lived
from measures.table import Floats, codes_of, column
from populations.errors import InputError
from sim.record import FATES, GROUPINGS, Record

CHANGES: tuple[str, ...] = ("gained", "lost", "earlier", "later", "same", "neither")
COLUMNS = ("what", "reference_fate", "fate", "n", "share", "life_years", "mean", "horizon")
_SAME_MOMENT = 1e-9  # years
_TRANSPLANTED = FATES.index("transplanted")
Who = NDArray[np.bool_]


def ledger(record: Record, reference: Record) -> pd.DataFrame:
    """Who won and who lost: each candidate under one policy and under another, in one world.

    Parameters
    ----------
    record, reference : Record
        Two runs of the same world.

    Returns
    -------
    DataFrame
        Columns ``what``, ``reference_fate``, ``fate``, ``n`` (candidates), ``share`` (of all
        candidates), ``life_years`` (theirs by the horizon, ``record`` minus ``reference``, summed),
        ``mean`` (see below, else NaN) and ``horizon`` (length of the runs in years).

        * ``flow``: every pair of fates that occurs; together they are all candidates.
        * ``CHANGES``: deceased-donor transplant only in ``record`` (gained), only in ``reference``
          (lost), in both at an earlier, a later or the same time, in neither; together they are
          all candidates. Gained minus lost is the difference of the numbers of transplants.
        * ``displaced``: their kidney of ``reference`` goes to somebody else in ``record``, whatever
          becomes of them.
        * ``churn``: gained or lost; its ``share`` is n over the transplants of both runs,
          |A xor B| / (|A| + |B|), NaN if there were none.
        * ``regret``: those who live fewer years in ``record``; ``mean`` is the mean over all
          candidates of max(0, years in ``reference`` - years in ``record``). A person's lifetimes
          with and without a kidney are drawn independently, so single losses (and gains) are
          larger than they would be, and so is their sum: to be read beside its floor.

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
        _row("flow", flow == code, gain, FATES[code // len(FATES)], FATES[code % len(FATES)])
        for code in np.unique(flow)
    ]
    rows += [_row(name, changes == i, gain) for i, name in enumerate(CHANGES)]
    rows.append(_row("displaced", _displaced(record, reference), gain))
    churn = _row("churn", changes <= CHANGES.index("lost"), gain)
    both = np.count_nonzero(before == _TRANSPLANTED) + np.count_nonzero(after == _TRANSPLANTED)
    churn["share"] = churn["n"] / both if both else np.nan  # type: ignore[operator]
    regret = _row("regret", gain < 0, gain)
    regret["mean"] = float(np.maximum(0.0, -gain).mean()) if gain.size else np.nan
    return pd.DataFrame([*rows, churn, regret]).assign(horizon=record.years)


def ledgers(records: Sequence[Record], reference: Sequence[Record]) -> pd.DataFrame:
    """Who won and who lost under each of several tie seeds, and in their chances.

    Parameters
    ----------
    records, reference : sequence of Record
        Runs of one world under the same tie seeds, in the same order.

    Returns
    -------
    DataFrame
        ``ledger`` of each pair, with the number of the pair as ``tie_seed``, and a row
        ``regret_chance`` in each, which is the same in all of them: those who are transplanted
        under fewer tie seeds than in ``reference``; ``mean`` is the mean over all candidates of
        max(0, share of the tie seeds in ``reference`` - that in ``records``). With few tie seeds
        chance alone makes much of it: compare it with its floor.
    """
    behind = _transplanted(reference).mean(axis=0) - _transplanted(records).mean(axis=0)
    years = np.mean([years_lived(record) for record in records], axis=0)
    years -= np.mean([years_lived(record) for record in reference], axis=0)
    chance = _row("regret_chance", behind > 0, years)
    chance["mean"] = float(np.maximum(0.0, behind).mean()) if behind.size else np.nan
    frames = []
    for seed, (record, base) in enumerate(zip(records, reference, strict=True)):
        rows = pd.DataFrame([chance]).assign(horizon=record.years)
        frames.append(pd.concat([ledger(record, base), rows]).assign(tie_seed=seed))
    return pd.concat(frames, ignore_index=True)


def floor(records: Sequence[Record]) -> pd.DataFrame:
    """The ledger of a policy against itself: what lots alone make.

    Parameters
    ----------
    records : sequence of Record
        Runs of one world under K >= 2 tie seeds.

    Returns
    -------
    DataFrame
        As ``ledgers``: each run against the one with the next tie seed, the last against the
        first. Here ``regret_chance`` compares the first half of the tie seeds with as many others
        (in both directions, averaged): fewer than a ledger does, so it is no less than what lots
        make of that of a ledger.
    """
    frame = ledgers([*records[1:], records[0]], records)
    drawn = _transplanted(records)
    half = len(records) // 2
    apart = np.abs(drawn[:half].mean(axis=0) - drawn[half : 2 * half].mean(axis=0))
    chance = frame["what"] == "regret_chance"
    n = np.count_nonzero(apart) / 2
    frame["n"] = frame["n"].astype(float)
    frame.loc[chance, ["n", "share", "life_years", "mean"]] = (
        *(n, n / max(apart.size, 1), 0.0),
        float(apart.mean()) / 2 if apart.size else np.nan,
    )
    return frame


def patients(records: Sequence[Record], reference: Sequence[Record]) -> pd.DataFrame:
    """The ledger of each candidate, averaged over tie seeds.

    Parameters
    ----------
    records, reference : sequence of Record
        As for ``ledgers``.

    Returns
    -------
    DataFrame
        One row per candidate: ``candidate``, their groups (``GROUPINGS``); ``transplanted`` and
        ``reference_transplanted`` (share of the tie seeds), ``life_years`` and
        ``reference_life_years`` (mean, by the horizon); each of ``CHANGES`` and ``displaced``
        (share of the tie seeds); ``regret`` (years; mean over tie seeds of what was lost in each)
        and ``regret_chance``. Numbers are 4 bytes each: there may be millions of rows.
    """
    for record, base in zip(records, reference, strict=True):
        _check_same_world(record, base)
    pairs = list(zip(records, reference, strict=True))
    mine, theirs = (np.array([years_lived(r) for r in of]) for of in (records, reference))
    changes = np.array([_changes(record, base) for record, base in pairs])
    drawn, base_drawn = _transplanted(records).mean(axis=0), _transplanted(reference).mean(axis=0)
    columns = {
        "transplanted": drawn,
        "reference_transplanted": base_drawn,
        "life_years": mine.mean(axis=0),
        "reference_life_years": theirs.mean(axis=0),
        **{name: (changes == i).mean(axis=0) for i, name in enumerate(CHANGES)},
        "displaced": np.mean([_displaced(*pair) for pair in pairs], axis=0),
        "regret": np.maximum(0.0, theirs - mine).mean(axis=0),
        "regret_chance": np.maximum(0.0, base_drawn - drawn),
    }
    people = reference[0].people()[["candidate", *GROUPINGS]]
    numbers = pd.DataFrame(columns, dtype=np.float32)
    return pd.concat([people.astype(dict.fromkeys(GROUPINGS, "category")), numbers], axis=1)


def _check_same_world(record: Record, reference: Record) -> None:
    for name in ("exogenous", "years"):
        mine, other = record.meta.get(name), reference.meta.get(name)
        if mine != other:
            raise InputError(
                f"ledger: {name}: {mine!r} and {other!r}; compare two records of the same world"
            )
    if not np.array_equal(record.candidates["candidate"], reference.candidates["candidate"]):
        raise InputError("ledger: candidates: differ; compare two records of the same world")


def _transplanted(records: Sequence[Record]) -> Floats:
    """Whether each candidate was transplanted under each tie seed, shape (K, n)."""
    return np.array([record.fates["fate"] == "transplanted" for record in records], dtype=float)


def _changes(record: Record, reference: Record) -> NDArray[np.intp]:
    """Index into ``CHANGES`` of each candidate, shape (n,)."""
    now = np.asarray(record.fates["fate"] == "transplanted")
    then = np.asarray(reference.fates["fate"] == "transplanted")
    wait = column(record.fates, "exit") - column(reference.fates, "exit")
    both = now & then
    conditions = [now & ~then, then & ~now, both & (wait < -_SAME_MOMENT)]
    conditions += [both & (wait > _SAME_MOMENT), both]
    return np.select(conditions, range(len(conditions)), CHANGES.index("neither"))


def _displaced(record: Record, reference: Record) -> Who:
    """Whose kidney under the reference somebody else has now, shape (n,)."""
    before = np.asarray(reference.fates["kidney"], dtype=np.int64)
    now = np.asarray(record.fates["kidney"], dtype=np.int64)
    given = np.concatenate([now, record.returns["kidney"].to_numpy(dtype=np.int64)])
    return np.asarray((before >= 0) & np.isin(before, given) & (before != now))


def _row(
    what: str, who: Who, gain: Floats, reference_fate: str = "", fate: str = ""
) -> dict[str, object]:
    n = int(np.count_nonzero(who))
    return {
        "what": what,
        "reference_fate": reference_fate,
        "fate": fate,
        "n": n,
        "share": n / who.size if who.size else np.nan,
        "life_years": float(gain[who].sum()),
        "mean": np.nan,
    }
