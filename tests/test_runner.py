"""Finished runs are used again when they would come out the same, and only then."""

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from experiments import runner
from experiments.compare import compare
from experiments.runner import make_tasks, process_pool, read_frame, run_task
from experiments.study import Study
from measures.registry import MEASURES
from policies.human import human
from policies.live import live_policy
from policies.protocol import Choice, MatchRun
from policies.registry import POLICIES, register
from policies.rules import Lottery
from populations.errors import InputError
from populations.presets import load_population
from sim.record import Record

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _registry():
    before = dict(POLICIES)
    yield
    POLICIES.clear()
    POLICIES.update(before)


@dataclass
class Remembering:
    """A policy with a state of its own: it must not carry over from run to run."""

    name: str = "remembering"
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def choose(self, match: MatchRun) -> Choice:
        chances = self.rng.dirichlet(np.ones(len(match)))
        return Choice(chances / max(chances.sum(), 1.0), 0.0)


@dataclass(frozen=True)
class Unpicklable:
    name: str = "unpicklable"
    secret: object = field(default_factory=lambda: lambda: None)

    def choose(self, match: MatchRun) -> Choice:
        return Choice(np.full(len(match), 1 / len(match)), 1.0)


@dataclass(frozen=True)
class Vandal:
    """Tries to make everybody younger."""

    name: str = "vandal"

    def choose(self, match: MatchRun) -> Choice:
        match.constant(_vandalise)
        return Choice(np.full(len(match), 1 / len(match)), 1.0)


def _vandalise(columns):
    columns["birth"][:] = 0.0
    return columns["birth"]


def small(out: Path, policies: list[str], **changes: object) -> Study:
    given = {"population": "teaching", "worlds": 2, "years": 1, "tie_seeds": 1, **changes}
    return Study(policies=policies, out=out, **given)


def test_a_policy_with_a_state_starts_afresh_in_every_run(tmp_path: Path) -> None:
    register("remembering", "for this test")(Remembering)
    one = compare(small(tmp_path / "one", ["remembering"], tie_seeds=2))
    with process_pool(2) as pool:
        two = compare(small(tmp_path / "two", ["remembering"], tie_seeds=2), pool)
    assert one.measures.equals(two.measures)


def test_what_cannot_be_sent_to_a_process_is_refused(tmp_path: Path) -> None:
    register("unpicklable", "for this test")(Unpicklable)
    with pytest.raises(InputError, match=r"unpicklable.*another process"):
        compare(small(tmp_path, ["unpicklable"]))


def test_no_policy_can_change_the_world(tmp_path: Path) -> None:
    register("vandal", "for this test")(Vandal)
    with pytest.raises(InputError, match=r"vandal.*read-only"):
        compare(small(tmp_path, ["vandal"]))


def keys(out: Path, **changes: object) -> set[str]:
    study = small(out, ["human"], **changes)
    parameters = load_population(study.population, study.overrides).parameters
    tasks = make_tasks(study, parameters, {"human": human()}, human())
    return {task.folder.name for task in tasks}


def test_everything_a_run_rests_on_is_in_its_key(tmp_path: Path) -> None:
    same = keys(tmp_path)
    assert keys(tmp_path) == same
    for changes in (
        {"seed": 2},
        {"years": 2},
        {"tie_seeds": 2},
        {"discretion": "pair"},
        {"lottery": "persistent"},
        {"overrides": ("arrivals.per_year=99",)},
    ):
        assert not keys(tmp_path, **changes) & same
    other = make_tasks(
        small(tmp_path, ["human"]),
        load_population("teaching").parameters,
        {"human": human()},
        Lottery(),
    )
    assert not {task.folder.name for task in other} & same


def test_a_live_model_that_has_changed_is_run_again(tmp_path: Path) -> None:
    def key(answers: str) -> bytes:
        return runner._key(live_policy(f"local+{tmp_path}", tmp_path / answers))

    adapter = tmp_path / "adapter.gguf"
    adapter.write_bytes(b"low rank")
    before = key("a.sqlite")
    assert key("elsewhere.sqlite") == before  # the same answers, kept in another place
    adapter.write_bytes(b"another")
    assert key("a.sqlite") != before


@pytest.mark.parametrize("name", ["code.py", "table.csv", "prompt.toml"])
def test_code_tables_and_prompts_are_in_the_key(name: str, tmp_path: Path, monkeypatch) -> None:
    package = SimpleNamespace(__file__=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(runner, "policies", package)
    digests = []
    for content in ("one", "two"):
        (tmp_path / name).write_text(content)
        digests.append(runner._source_digest.__wrapped__())
    assert digests[0] != digests[1]


USER_POLICY = """
from dataclasses import dataclass
from policies.protocol import Choice
SIGN = {sign}
def score(match):
    return SIGN * match["age"]
@dataclass(frozen=True)
class Mine:
    name: str = "mine"
    def choose(self, match):
        best = score(match) == score(match).max()
        return Choice(best / best.sum(), 0.0)
"""
USE_IT = """
import sys; sys.path[:0] = [{root!r}, "."]
from experiments.compare import compare; from experiments.study import Study
from policies.registry import register
import userpolicy
register("mine", "by age")(userpolicy.Mine)
results = compare(Study(population="teaching", policies=["mine"], worlds=1, years=1, tie_seeds=1))
people = results.measures.query("measure == 'transplant_rate' and grouping == 'age_band'")
print(people["numerator"].tolist())
"""


def test_changed_code_of_a_user_is_run_again(tmp_path: Path) -> None:
    """Also where only a constant beside the class has changed."""
    printed = []
    for sign in ("1.0", "-1.0"):
        (tmp_path / "userpolicy.py").write_text(USER_POLICY.format(sign=sign))
        done = subprocess.run(
            [sys.executable, "-c", USE_IT.format(root=str(ROOT))],
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout)
    assert printed[0] != printed[1]


def test_a_damaged_result_is_named_and_never_read(tmp_path: Path) -> None:
    study = small(tmp_path, ["lottery"])
    compare(study)
    damaged = next((tmp_path / "runs").rglob("measures.parquet"))
    damaged.write_bytes(b"")
    with pytest.raises(InputError, match=f"{damaged.parent.name}.*delete"):
        compare(study)


@pytest.mark.parametrize("tie_seeds", [1, 2])
def test_a_run_has_every_frame_and_every_measure(tie_seeds: int, tmp_path: Path) -> None:
    study = small(tmp_path, ["human"], worlds=1, tie_seeds=tie_seeds, lottery="persistent")
    parameters = load_population("teaching").parameters
    [task] = make_tasks(study, parameters, {"human": human()}, human())
    folder = run_task(task)
    frames = {name: read_frame(folder, name) for name in runner.FRAMES}
    for frame in frames.values():
        assert {"arm", "world", "tie_seed"} <= set(frame.columns) and len(frame)
    found = {name.partition(".")[0] for name in frames["measures"]["measure"]}
    reads = ["record", "tie_seeds"][:tie_seeds]
    assert found == {card.name for card in MEASURES.values() if card.reads in reads}
    across = [card.name for card in MEASURES.values() if card.reads == "tie_seeds"]
    names = frames["measures"]["measure"].str.partition(".")[0]
    assert frames["measures"]["tie_seed"][names.isin(across)].eq(0).all()
    keys = ["measure", "grouping", "group", "tie_seed"]
    assert not frames["measures"].duplicated(keys).any()
    assert frames["lorenz"]["tie_seeds"].eq(tie_seeds).all()
    for seed in range(tie_seeds):
        record = Record.load(folder / f"tie{seed}")
        assert (record.meta["lottery"], record.meta["tie_seed"]) == ("persistent", seed)
        assert len(record.ties) > 0 and "claim" in record.candidates


def test_a_failing_run_leaves_nothing_behind(tmp_path: Path) -> None:
    parameters = load_population("teaching").parameters
    [task] = make_tasks(small(tmp_path, ["v"], worlds=1), parameters, {"v": Vandal()}, human())
    with pytest.raises(InputError):
        run_task(task)
    assert list((tmp_path / "runs").iterdir()) == []


def test_figures_of_an_earlier_study_do_not_stay(tmp_path: Path) -> None:
    compare(small(tmp_path, ["human", "lottery"]))
    assert (tmp_path / "figures" / "winners_and_losers.png").exists()
    mine = tmp_path / "figures" / "mine.png"
    mine.write_text("not of a study")
    compare(small(tmp_path, ["lottery"]))
    assert not (tmp_path / "figures" / "winners_and_losers.png").exists()
    assert mine.exists()


def test_a_folder_with_its_study_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compare(small(tmp_path, ["lottery"]))
    assert (tmp_path / "study.json").exists()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("experiments.compare.draw", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compare(small(tmp_path, ["lottery"]))
    assert not (tmp_path / "study.json").exists()
