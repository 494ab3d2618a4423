"""The main job: the same waitlists under several policies, side by side."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from experiments import figures, inference, judging, series
from experiments.arms import check_arm
from experiments.runner import FRAMES, make_tasks, read_frame, run_tasks
from experiments.study import Study
from policies.protocol import Policy
from policies.registry import make_policy
from populations.errors import InputError
from populations.presets import Population
from sim.record import Record

Progress = Callable[[str, int, int], None]


def _silent(stage: str, done: int, total: int) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class Results:
    """What a study found.

    Parameters
    ----------
    study : Study
    population : Population
    measures : DataFrame
        Every measure of every run: ``arm, world, tie_seed, measure, grouping, group, value, ...``.
    levels, differences : DataFrame
        Means by arm, and paired differences from the reference arm, with 95 % t intervals over
        worlds (see ``experiments.inference``).
    over_time, incidence, ledger, floor : DataFrame
        What the figures draw (see ``experiments.series``); ``floor`` is the ledger of two tie seeds
        of the same arm.
    alignment, weights : DataFrame
        Judgement of pairs against people's; fitted values (see ``experiments.judging``).
    cards : dict
        By arm: how a policy was fitted and how well, and assumptions to know of.
    """

    study: Study
    population: Population
    measures: pd.DataFrame
    levels: pd.DataFrame
    differences: pd.DataFrame
    over_time: pd.DataFrame
    incidence: pd.DataFrame
    ledger: pd.DataFrame
    floor: pd.DataFrame
    alignment: pd.DataFrame
    weights: pd.DataFrame
    cards: dict[str, dict[str, Any]]


def compare(
    study: Study, executor: Executor | None = None, progress: Progress = _silent
) -> Results:
    """Run a study and write its tables and figures into ``study.out``.

    Parameters
    ----------
    study : Study
    executor : Executor, optional
        Any of ``concurrent.futures``; None runs everything in this process.
    progress : callable, optional
        Told (what is being done, done, total).

    Raises
    ------
    InputError
        If the study makes no sense, before anything is run or overwritten.
    """
    population = study.check()
    answers = Path(study.answers)

    def made(text: str) -> Policy:
        policy = make_policy(
            text, answers, lambda done, all_: progress(f"asking {text}", done, all_)
        )
        check_arm(policy, study.discretion)
        return policy

    policies = {text: made(text) for text in study.policies}
    values = policies.get(study.values) or made(study.values)
    arms = {policy.name: policy for policy in policies.values()}
    if len(arms) < len(policies):
        raise InputError(f"policies {', '.join(policies)!r}: two of them are the same")
    reference = policies[study.reference_arm].name
    out = Path(study.out)
    out.mkdir(parents=True, exist_ok=True)
    tasks = make_tasks(study, population.parameters, arms, values)
    folders = run_tasks(tasks, executor, lambda done, total: progress("running", done, total))
    frames = {
        name: pd.concat(
            [read_frame(folder, name) for folder in folders.values()], ignore_index=True
        )
        for name in FRAMES
    }
    ledger, floor = _ledgers(folders, reference, study.tie_seeds)
    results = Results(
        study=study,
        population=population,
        levels=inference.levels(frames["measures"]),
        differences=inference.differences(frames["measures"], reference),
        ledger=ledger,
        floor=floor,
        alignment=judging.alignment(list(arms.values()), values),
        weights=judging.weights(list(arms.values())),
        cards=judging.cards(list(arms.values())),
        **frames,
    )
    _write(results, out, reference)
    return results


def _ledgers(
    folders: dict[tuple[str, int], Path], reference: str, tie_seeds: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Who gained and lost against the reference arm; and, as a floor, between two tie seeds."""
    ledgers, floors = [], []
    labels = ["arm", "world", "tie_seed"]
    for world in dict.fromkeys(world for _, world in folders):
        base = Record.load(folders[reference, world] / "tie0")
        for arm in (arm for arm, of_world in folders if of_world == world):
            folder = folders[arm, world]
            record = base if arm == reference else Record.load(folder / "tie0")
            if record.meta["exogenous"] != base.meta["exogenous"]:
                raise RuntimeError(f"{arm}, world {world}: not the same patients and kidneys")
            label = dict(zip(labels, (arm, world, 0), strict=True))
            if arm != reference:
                ledgers.append(series.ledger(record, base).assign(**label))
            if tie_seeds > 1:
                other = Record.load(folder / "tie1")
                floors.append(series.ledger(other, record).assign(**label))
    return tuple(
        pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=labels)
        for frames in (ledgers, floors)
    )


def _write(results: Results, out: Path, reference: str) -> None:
    for name in ("measures", "levels", "differences", "ledger", "floor", "alignment", "weights"):
        getattr(results, name).to_csv(out / f"{name}.csv", index=False)
    (out / "study.json").write_text(json.dumps(_settings(results), indent=1, default=str))
    draw(results, out / "figures", reference)


def _settings(results: Results) -> dict[str, Any]:
    """Everything a reader needs to run the study again, and where each figure comes from."""
    population = results.population
    return {
        "study": vars(results.study),
        "population": population.parameters.model_dump(),
        "origins": {key: origin._asdict() for key, origin in population.origins.items()},
        "cards": results.cards,
    }


def draw(results: Results, folder: Path, reference: str) -> None:
    """Draw every figure of a study into ``folder``, which then holds no other's."""
    shutil.rmtree(folder, ignore_errors=True)
    study = results.study
    arms = list(dict.fromkeys(results.measures["arm"]))
    caption = (
        f"Population {results.population.name}, seed {study.seed}, discretion {study.discretion}."
    )
    plots = {
        "fairness_over_time": figures.fairness_over_time(
            results.over_time, reference, caption, arms
        ),
        "cumulative_incidence": figures.cumulative_incidence(
            results.incidence, reference, caption, arms
        ),
    }
    if len(arms) > 1:
        plots["paired_difference_over_time"] = figures.paired_difference_over_time(
            results.over_time, reference, caption, arms
        )
        plots["winners_and_losers"] = figures.winners_and_losers(
            results.ledger, reference, caption, arms, results.floor if len(results.floor) else None
        )
    if len(results.weights):
        plots["weights"] = figures.weights(
            results.weights, reference, judging.WEIGHTS_CAPTION, arms
        )
    for name, plot in plots.items():
        figures.save_figure(*plot, folder, name)
