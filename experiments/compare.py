"""The main job: the same waitlists under several policies, side by side."""

import json
import platform
import shlex
import sys
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from experiments import figures, inference, judging, sequential, warm_up, worlds
from experiments.arms import make_arm
from experiments.conflict import Conflict, conflict
from experiments.progress import Progress, silent
from experiments.runner import FRAMES, make_tasks, read_frame, run_tasks
from experiments.sequential import Precision
from experiments.study import Study
from experiments.warm_up import WarmUp
from experiments.worlds import Folders
from measures.registry import MEASURES
from policies.protocol import Policy
from populations.errors import InputError
from populations.presets import Population

_TABLES = (
    *("measures", "levels", "differences", "steady_levels", "steady_differences"),
    *("ledger", "floor", "over_time", "incidence", "lorenz", "alignment", "weights"),
)


@dataclass(frozen=True)
class Results:
    """What a study found.

    Parameters
    ----------
    study : Study
        With the number of worlds there are in the end.
    population : Population
    arms : list of str
        In order; ``reference`` is one of them.
    reference : str
    measures : DataFrame
        Every measure of every run: ``arm, world, tie_seed, measure, grouping, group, value, ...``.
    levels, differences : DataFrame
        Means by arm, and paired differences from the reference arm with tests, with 95 % intervals
        over worlds (see ``experiments.inference``): of whole histories.
    steady_levels, steady_differences : DataFrame
        The same of rates and ratios after ``warm_up`` (see ``experiments.warm_up``), all of it
        exploratory: what is declared is about whole histories.
    warm_up : WarmUp
    precision : Precision or None
        How narrow the intervals became, where the study asked for a precision.
    over_time, incidence, lorenz : DataFrame
        What the figures draw (see ``experiments.series``).
    ledger, floor : DataFrame
        Who won and who lost; ``floor`` is the ledger of every arm against itself (see
        ``experiments.ledger``). ``patients.parquet`` has it by candidate.
    conflict : Conflict
        How the arms rank by each definition of fairness.
    alignment, weights : DataFrame
        Judgement of pairs against people's; fitted values (see ``experiments.judging``).
    cards : dict
        By arm: how a policy was fitted and how well, and assumptions to know of.
    """

    study: Study
    population: Population
    arms: list[str]
    reference: str
    measures: pd.DataFrame
    levels: pd.DataFrame
    differences: pd.DataFrame
    steady_levels: pd.DataFrame
    steady_differences: pd.DataFrame
    warm_up: WarmUp
    precision: Precision | None
    over_time: pd.DataFrame
    incidence: pd.DataFrame
    lorenz: pd.DataFrame
    ledger: pd.DataFrame
    floor: pd.DataFrame
    conflict: Conflict
    alignment: pd.DataFrame
    weights: pd.DataFrame
    cards: dict[str, dict[str, Any]]


def compare(study: Study, executor: Executor | None = None, progress: Progress = silent) -> Results:
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
    arms, values, reference = _policies(study, progress)
    out = Path(study.out)
    out.mkdir(parents=True, exist_ok=True)
    run = partial(_run, population, arms, values, executor, progress)
    folders, precision = _run_worlds(study, reference, run)
    study = replace(study, worlds=len({world for _, world in folders}))
    frames = {name: _read(folders, name) for name in FRAMES}
    measures = _with_arms(frames.pop("measures"))
    warm = warm_up.find(worlds.snapshots(folders, study.tie_seeds), measures, study.years)
    steady, ledgers, floor = worlds.side_by_side(
        folders,
        reference,
        study.tie_seeds,
        warm.years,
        out / "patients.parquet",
        executor,
        lambda done, total: progress("comparing candidate by candidate", done, total),
    )
    results = Results(
        study=study,
        population=population,
        arms=list(arms),
        reference=reference,
        measures=measures,
        levels=inference.levels(measures),
        differences=inference.differences(measures, reference, study.declared),
        steady_levels=inference.levels(steady),
        steady_differences=inference.differences(steady, reference, declared=()),
        warm_up=warm,
        precision=precision,
        ledger=ledgers,
        floor=floor,
        conflict=conflict(measures, reference, study.seed),
        alignment=judging.alignment(list(arms.values()), values),
        weights=judging.weights(list(arms.values())),
        cards=judging.cards(list(arms.values())),
        **frames,
    )
    _write(results, out, _versions(next(iter(folders.values()))))
    return results


def _policies(study: Study, progress: Progress) -> tuple[dict[str, Policy], Policy, str]:
    """The arms by name, the policy whose values count as people's, and the reference's name."""
    policies = {text: make_arm(text, study, progress) for text in study.policies}
    values = policies.get(study.values) or make_arm(study.values, study, progress)
    arms = {policy.name: policy for policy in policies.values()}
    if len(arms) < len(policies):
        raise InputError(f"policies {', '.join(policies)!r}: two of them are the same")
    return arms, values, policies[study.reference_arm].name


def _run(
    population: Population,
    arms: dict[str, Policy],
    values: Policy,
    executor: Executor | None,
    progress: Progress,
    study: Study,
    first: int,
) -> Folders:
    """Run a study's worlds from ``first`` on."""
    tasks = make_tasks(study, population.parameters, arms, values)
    new = [task for task in tasks if task.world >= first]
    stage = f"running, up to world {study.worlds}" if first else "running"
    return run_tasks(new, executor, lambda done, total: progress(stage, done, total))


def _run_worlds(
    study: Study, reference: str, run: Callable[[Study, int], Folders]
) -> tuple[Folders, Precision | None]:
    """Run a study's worlds, and more of them until its precision is met, if it asks for one."""
    folders: Folders = {}
    first, number = 0, study.worlds
    measures: list[pd.DataFrame] = []
    while True:
        new = run(replace(study, worlds=number), first)
        folders |= new
        if not study.precision:
            return folders, None
        measures.append(_read(new, "measures"))
        found = sequential.assess(
            pd.concat(measures, ignore_index=True), reference, study.declared, study.precision
        )
        if found.settled or number >= study.worlds_most:
            return folders, found
        first, number = number, min(number + sequential.LOOK_AHEAD, study.worlds_most)


def _read(folders: Folders, name: str) -> pd.DataFrame:
    return pd.concat([read_frame(folder, name) for folder in folders.values()], ignore_index=True)


def _with_arms(measures: pd.DataFrame) -> pd.DataFrame:
    """With the measures that are about all arms together; those have no tie seeds."""
    cards = [card for card in MEASURES.values() if card.reads == "arms"]
    together = [card.function(measures).assign(tie_seed=0) for card in cards]
    return pd.concat([measures, *together], ignore_index=True)


def _write(results: Results, out: Path, versions: dict[str, str]) -> None:
    # A folder with study.json is whole: it goes first and comes last.
    (out / "study.json").unlink(missing_ok=True)
    for name in _TABLES:
        getattr(results, name).to_csv(out / f"{name}.csv", index=False)
    results.conflict.scores.to_csv(out / "conflict.csv", index=False)
    results.conflict.tau.to_csv(out / "conflict_tau.csv", index=False)
    settings = {**_settings(results), "versions": versions}
    draw(results, out / "figures")
    (out / "study.json").write_text(json.dumps(settings, indent=1, default=str))


def _settings(results: Results) -> dict[str, Any]:
    """Everything a reader needs to run the study again, and where each figure comes from."""
    population, precision = results.population, results.precision
    return {
        "study": vars(results.study),
        "arms": results.arms,
        "reference": results.reference,
        "command": _command(),
        "warm_up": asdict(results.warm_up),
        "precision": precision and precision.summary(),
        "population": population.parameters.model_dump(),
        "origins": {key: origin._asdict() for key, origin in population.origins.items()},
        "cards": results.cards,
    }


def _command() -> str:
    """How this was started; `python -m experiments.cli` is `equipoise`."""
    name = Path(sys.argv[0]).name
    return shlex.join(["equipoise" if name == "cli.py" else name, *sys.argv[1:]])


def _versions(folder: Path) -> dict[str, str]:
    """Of what made a run, and of what made tables of it."""
    meta = json.loads((folder / "tie0" / "meta.json").read_text())
    ours = {name: version(name) for name in ("scipy", "pandas")}
    return {"python": platform.python_version(), **meta["versions"], **ours}


def draw(results: Results, folder: Path) -> None:
    """Draw every figure of a study into ``folder``, and remove those of an earlier one."""
    figures.remove_figures(folder)
    study = results.study
    lots = "" if study.lottery == "fresh" else ", one lottery number a person"
    caption = (
        f"Population {results.population.name}, seed {study.seed}, discretion {study.discretion}"
        f"{lots}."
    )
    given = {"reference": results.reference, "caption": caption, "arms": results.arms}
    plots = _of_arms(results, given)
    if len(results.arms) > 1:
        plots |= _of_comparisons(results, given)
    if len(results.weights):
        plots["weights"] = figures.weights(
            results.weights, results.reference, judging.WEIGHTS_CAPTION, results.arms
        )
    figures.save_figures(plots, folder)


def _of_arms(results: Results, given: dict[str, Any]) -> dict[str, figures.Plot]:
    """What each arm does."""
    return {
        "fairness_over_time": figures.fairness_over_time(results.over_time, **given),
        "cumulative_incidence": figures.cumulative_incidence(results.incidence, **given),
        "lorenz": figures.lorenz(results.lorenz, **given),
        **{
            f"forest_{grouping}": figures.forest(
                results.levels, results.measures, grouping=grouping, **given
            )
            for grouping in ("race", "age_band", "sex")
        },
    }


def _of_comparisons(results: Results, given: dict[str, Any]) -> dict[str, figures.Plot]:
    """How the arms differ."""
    floor = results.floor if len(results.floor) else None
    # These are drawn from means over worlds: they cannot count the worlds themselves.
    of_means = {**given, "caption": f"{given['caption']} {figures.design(results.measures)}."}
    plots = {
        "paired_difference_over_time": figures.paired_difference_over_time(
            results.over_time, **given
        ),
        "winners_and_losers": figures.winners_and_losers(results.ledger, floor=floor, **given),
        "frontier": figures.frontier(results.measures, **given),
    }
    if (results.differences["family"] == "declared").any():
        plots["heat_map"] = figures.heat_map(results.differences, **of_means)
    found = results.conflict
    if found.scores["rank"].notna().any():
        plots["conflict"] = figures.conflict_matrix(found.scores, found.tau, **of_means)
    return plots
