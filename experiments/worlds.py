"""What shows only with all arms of one world side by side, from their records."""

from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from experiments import ledger, warm_up
from sim.record import Record

Folders = dict[tuple[str, int], Path]  # of finished runs, by arm and world
_LABELS = ["arm", "world", "tie_seed"]


class Found(NamedTuple):
    """What is found in one world.

    Parameters
    ----------
    steady : DataFrame
        Rates and ratios of every run after the warm-up, as measures.
    ledger, floor : DataFrame
        Of every arm against the reference, and against itself.
    patients : DataFrame
        The ledger by candidate, every arm.
    """

    steady: pd.DataFrame
    ledger: pd.DataFrame
    floor: pd.DataFrame
    patients: pd.DataFrame


def snapshots(folders: Folders, tie_seeds: int) -> pd.DataFrame:
    """The size of the list over time in every run: ``arm, time, waiting``."""
    columns = ["time", "waiting"]
    frames = []
    for (arm, _), folder in folders.items():
        for seed in range(tie_seeds):
            path = folder / f"tie{seed}" / "snapshots.parquet"
            frames.append(pd.read_parquet(path, columns=columns).assign(arm=arm))
    return pd.concat(frames, ignore_index=True)


def side_by_side(
    folders: Folders,
    reference: str,
    tie_seeds: int,
    start: float,
    patients: Path,
    executor: Executor | None,
    progress: Callable[[int, int], None],
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Compare the arms of every world, and write ``patients``, world by world.

    Parameters
    ----------
    folders : dict of (arm, world) to Path
        Of finished runs.
    reference : str
        An arm.
    tie_seeds : int
        How many records there are in each folder.
    start : float
        Length of the warm-up in years.
    patients : Path
        Parquet: ``arm``, ``world`` and the columns of ``experiments.ledger.patients``.
    executor : Executor, optional
    progress : callable
        Told (done, total).

    Returns
    -------
    steady, ledger, floor : DataFrame
        With ``arm``, ``world`` and ``tie_seed``; ``floor`` is empty with one tie seed.
    """
    worlds: dict[int, dict[str, Path]] = {}
    for (arm, number), folder in folders.items():
        worlds.setdefault(number, {})[arm] = folder
    look = partial(_look, reference, tie_seeds, start)
    apply = executor.map if executor else map
    progress(0, len(worlds))
    found: list[Found] = []
    unfinished = patients.with_name(f".{patients.name}")
    writer: pq.ParquetWriter | None = None
    try:
        for world in apply(look, list(worlds), list(worlds.values())):
            table = pa.Table.from_pandas(world.patients, preserve_index=False)
            writer = writer or pq.ParquetWriter(unfinished, table.schema)
            writer.write_table(table)
            found.append(world._replace(patients=pd.DataFrame()))  # too many to keep
            progress(len(found), len(worlds))
    finally:
        if writer:
            writer.close()
    unfinished.replace(patients)
    steady, ledgers, floors, _ = (
        pd.concat(frames, ignore_index=True) for frames in zip(*found, strict=True)
    )
    return steady, ledgers, floors


def _look(
    reference: str, tie_seeds: int, start: float, world: int, folders: dict[str, Path]
) -> Found:
    def records(arm: str) -> list[Record]:
        return [Record.load(folders[arm] / f"tie{seed}") for seed in range(tie_seeds)]

    base = records(reference)
    steady, ledgers, floors, people = [], [], [], []
    for arm in folders:
        mine = base if arm == reference else records(arm)
        if any(record.meta["exogenous"] != base[0].meta["exogenous"] for record in mine):
            raise RuntimeError(f"{arm}, world {world}: not the same patients and kidneys")
        label = {"arm": arm, "world": world}
        for seed, record in enumerate(mine):
            steady.append(warm_up.after(record, start).assign(tie_seed=seed, **label))
        if arm != reference:
            ledgers.append(ledger.ledgers(mine, base).assign(**label))
        if tie_seeds > 1:
            floors.append(ledger.floor(mine).assign(**label))
        people.append(ledger.patients(mine, base).assign(**label))
    patients = pd.concat(people, ignore_index=True).astype({"arm": "category"})
    rates = pd.concat(steady, ignore_index=True)
    return Found(rates, _joined(ledgers), _joined(floors), patients)


def _joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Ledgers one below the other, labels first; no rows, but columns, if there is none."""
    columns = [*_LABELS, *ledger.COLUMNS]
    return (
        pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)
    )
