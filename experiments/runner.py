"""Running arms x worlds: work handed to an executor, finished runs kept and used again."""

import hashlib
import json
import os
import pickle
import pickletools
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import pandas as pd

import experiments
import measures
import policies
import populations
import sim
from experiments import series
from experiments.study import Study
from measures.decisions import compare
from measures.headline import over_tie_seeds, summary
from policies.protocol import Policy
from populations.errors import InputError
from populations.parameters import Parameters
from populations.world import World, make_world
from sim.detail import Detail
from sim.record import Record
from sim.waitlist import simulate

# What is saved beside each record, so that tables and figures need not read records again.
FRAMES = ("measures", "over_time", "incidence", "lorenz")
_PACKAGES = {
    package.__name__: package for package in (populations, policies, sim, measures, experiments)
}


@dataclass(frozen=True)
class Task:
    """One arm in one world, with all its tie seeds; ``folder`` is where its results will be."""

    parameters: Parameters
    seed: int
    world: int
    years: float
    arm: str
    policy: Policy
    values: Policy
    tie_seeds: int
    discretion: str
    lottery: str
    folder: Path


def make_tasks(
    study: Study, parameters: Parameters, arms: dict[str, Policy], values: Policy
) -> list[Task]:
    """Every arm in every world of a study, world by world.

    A folder's name ends in a hash of all that its results rest on, code included, so that they are
    used again when, and only when, the same run would give the same.
    """
    keys = {arm: _key(policy) for arm, policy in arms.items()}
    rests_on = [
        parameters.model_dump_json().encode(),
        json.dumps(
            [study.seed, float(study.years), study.tie_seeds, study.discretion, study.lottery]
        ).encode(),
        _key(values),
        _source_digest(),
    ]
    tasks = []
    for world in range(study.worlds):
        for arm, policy in arms.items():
            whole = b"\0".join([*rests_on, str(world).encode(), keys[arm]])
            slug = "".join(c if c.isalnum() else "-" for c in arm).strip("-")[:80]
            name = f"{slug}_world{world}_{hashlib.sha256(whole).hexdigest()[:12]}"
            tasks.append(
                Task(
                    parameters=parameters,
                    seed=study.seed,
                    world=world,
                    years=float(study.years),
                    arm=arm,
                    policy=policy,
                    values=values,
                    tie_seeds=study.tie_seeds,
                    discretion=study.discretion,
                    lottery=study.lottery,
                    folder=Path(study.out) / "runs" / name,
                )
            )
    return tasks


def _key(policy: Policy) -> bytes:
    """What a policy is: its content, and the code of every module it refers to that is not ours.

    A policy that keeps something somewhere may have ``without_place()``: itself, without where.
    """
    try:
        content = pickle.dumps(policy)
        if hasattr(policy, "without_place"):
            content = pickle.dumps(policy.without_place())
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InputError(
            f"policy {policy.name!r} cannot be sent to another process: {error}; define its class "
            "at the top of a module, and keep open files and lambdas out of it"
        ) from error
    parts = [content]
    words = {argument for _, argument, _ in pickletools.genops(content)}
    for name in sorted(word for word in words if isinstance(word, str) and word in sys.modules):
        if name.partition(".")[0] in _PACKAGES:
            continue
        source = getattr(sys.modules[name], "__file__", None)
        if source:
            parts.append(Path(source).read_bytes())
        elif name == "__main__":  # typed at a prompt: nothing says if it is the same
            parts.append(os.urandom(16))
    return b"\0".join(parts)


@lru_cache(maxsize=1)
def _source_digest() -> bytes:
    """Hash of all that makes results: our code, tables and prompts, and the versions it runs on."""
    digest = hashlib.sha256(sys.version.encode())
    for name in ("numpy", "scipy", "pandas", "statsmodels", "mesa", "pyarrow"):
        digest.update(version(name).encode())
    for package in (populations, policies, sim, measures):
        for path in sorted(Path(str(package.__file__)).parent.rglob("*")):
            if path.suffix in (".py", ".csv", ".toml"):
                digest.update(path.read_bytes())
    for module in (str(series.__file__), __file__):
        digest.update(Path(module).read_bytes())
    return digest.digest()


@lru_cache(maxsize=1)
def _world(parameters: str, seed: int, number: int, years: float) -> World:
    return make_world(Parameters.model_validate_json(parameters), seed, number, years)


def run_task(task: Task) -> Path:
    """Run one arm in one world unless it has been; returns its folder.

    The folder appears whole or not at all.
    """
    folder = task.folder
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    world = _world(task.parameters.model_dump_json(), task.seed, task.world, task.years)
    detail = Detail(task.values, compare)
    records = [
        # A copy each time: what a policy remembers must not depend on what ran before it.
        simulate(
            world, deepcopy(task.policy), task.discretion, tie_seed, deepcopy(detail), task.lottery
        )
        for tie_seed in range(task.tie_seeds)
    ]
    unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=folder.parent))
    try:
        for tie_seed, record in enumerate(records):
            record.save(unfinished / f"tie{tie_seed}")
        for name, frame in _frames(records).items():
            frame.insert(0, "world", task.world)
            frame.insert(0, "arm", task.arm)
            frame.to_parquet(unfinished / f"{name}.parquet", index=False)
        unfinished.rename(folder)
    except OSError:
        if not folder.exists():  # else another process has finished the same run
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _frames(records: list[Record]) -> dict[str, pd.DataFrame]:
    parts: dict[str, list[pd.DataFrame]] = {name: [] for name in FRAMES}
    for tie_seed, record in enumerate(records):
        for name, frame in (
            ("measures", summary(record)),
            ("over_time", series.over_time(record)),
            ("incidence", series.incidence(record)),
        ):
            parts[name].append(frame.assign(tie_seed=tie_seed))
    if len(records) > 1:
        parts["measures"].append(over_tie_seeds(records).assign(tie_seed=0))
    parts["lorenz"].append(series.lorenz(records).assign(tie_seed=0))
    return {name: pd.concat(frames, ignore_index=True) for name, frames in parts.items()}


@contextmanager
def process_pool(workers: int) -> Iterator[Executor]:
    """A pool of processes, each with one thread for linear algebra (more only slow each other)."""
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in threads}
    os.environ.update(dict.fromkeys(threads, "1"))
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def read_frame(folder: Path, name: str) -> pd.DataFrame:
    """One of the ``FRAMES`` of a finished run.

    Raises
    ------
    InputError
        If it is missing or damaged, saying what to do.
    """
    try:
        return pd.read_parquet(folder / f"{name}.parquet")
    except (OSError, ValueError) as error:  # pyarrow's errors are among these
        raise InputError(
            f"{folder / name}.parquet: damaged or missing ({error}); delete {folder} and run the "
            "same command again"
        ) from error


def run_tasks(
    tasks: Iterable[Task], executor: Executor | None, progress: Callable[[int, int], None]
) -> dict[tuple[str, int], Path]:
    """Run all tasks; the folder of each (arm, world).

    Parameters
    ----------
    tasks : iterable of Task
    executor : Executor, optional
        Any of ``concurrent.futures``; None runs them here, one after the other.
    progress : callable
        Told (done, total).
    """
    todo = list(tasks)
    progress(0, len(todo))
    if executor is None:
        folders = {}
        for done, task in enumerate(todo, 1):
            folders[task.arm, task.world] = run_task(task)
            progress(done, len(todo))
        return folders
    futures: dict[Future[Path], Task] = {executor.submit(run_task, task): task for task in todo}
    try:
        for done, _ in enumerate(map(Future.result, as_completed(futures)), 1):
            progress(done, len(todo))
    except BaseException:
        for future in futures:
            future.cancel()
        raise
    return {(task.arm, task.world): future.result() for future, task in futures.items()}
