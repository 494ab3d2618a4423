"""Values x indecision on identical worlds: what misalignment and missing indecision each do.

Four cells: people's values or a model's, with the coin or without it. Effects are weighted sums of
the cells within each world, so they add up exactly; the model as it is used differs from the cell
"its values, no coin" by the rest: temperature, position, and its own coin. Further factors are
changed one at a time.
"""

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.arms import make_arm
from experiments.compare import Results, compare
from experiments.factorial_design import ANCHORS, HALVES, Cells, Design, Level, answers_drawn
from experiments.inference import KEY, contrast
from experiments.judging import cards as cards_of
from experiments.progress import Progress, silent
from experiments.runner import make_tasks, read_frame, run_tasks
from experiments.study import Study
from policies.registry import make_policy
from populations.errors import InputError

MISALIGNMENT, INDECISION, INTERACTION = "misalignment", "missing indecision", "interaction"
BOTH, REST, WHOLE = "both", "rest", "model as used"
TEMPERATURE, POSITION = "rest: temperature", "rest: position and its own coin"
PEOPLE = "people against people"
# Weights of human with coin, human without, model with, model without. The first two are the
# average main effects of a 2 x 2 design, which are its Shapley values (Shorrocks 2013, R2).
EFFECTS: Mapping[str, tuple[float, float, float, float]] = {
    MISALIGNMENT: (-0.5, -0.5, 0.5, 0.5),
    INDECISION: (-0.5, 0.5, -0.5, 0.5),
    BOTH: (-1.0, 0.0, 0.0, 1.0),
    INTERACTION: (1.0, -1.0, -1.0, 1.0),
    "misalignment, coin kept": (-1.0, 0.0, 1.0, 0.0),
    "misalignment, coin removed": (0.0, -1.0, 0.0, 1.0),
    "missing indecision, human values": (-1.0, 1.0, 0.0, 0.0),
    "missing indecision, model's values": (0.0, 0.0, -1.0, 1.0),
}
OF_FACTORS = (MISALIGNMENT, INDECISION, INTERACTION)
_FOUND = [*KEY, "value", "low", "high", "worlds", "p"]
_CURVE = ("gap", "curve", "curve_other")


@dataclass(frozen=True)
class Factorial:
    """What was found.

    Parameters
    ----------
    design : Design
    base : Results
        The main study: the cells, the model as used, the anchors.
    effects : DataFrame
        ``effect, measure, grouping, group, value, low, high, worlds, p``: ``EFFECTS``, the rest
        and its parts, the anchors' differences from people, and people's from one another.
    factors : DataFrame
        ``factor, level, changed, quantity, effect`` and the same: the ``effect`` at the level, and
        its paired ``change`` from the base. Of a ratio both are factors.
    calibration, curves : DataFrame
        One row per calibrated policy; and its P(coin) by the gap in people's utility.
    left_out : tuple of str
        Levels that there cannot be, and why.
    """

    design: Design
    base: Results
    effects: pd.DataFrame
    factors: pd.DataFrame
    calibration: pd.DataFrame
    curves: pd.DataFrame
    left_out: tuple[str, ...]


def run_factorial(
    design: Design, executor: Executor | None = None, progress: Progress = silent
) -> Factorial:
    """Run every study of a design and write its tables into ``design.study.out``.

    The main study is the folder ``cells`` there, as ``equipoise run compare`` writes it.

    Parameters
    ----------
    design : Design
    executor : Executor, optional
        Any of ``concurrent.futures``; None runs everything in this process.
    progress : callable, optional
        Told (what is being done, done, total).

    Raises
    ------
    InputError
        If the design makes no sense, before anything is run.
    """
    design.check()
    study = replace(
        design.study,
        policies=design.arms,
        reference=design.human,
        values=design.human,
        out=Path(design.study.out) / "cells",
    )
    base = compare(study, executor, progress)
    levels, left_out = _possible(design)
    measures, cards = [base.measures], dict(base.cards)
    for name, policies, changes in studies(design, levels):
        part, of_part = _run(
            replace(study, policies=policies, reference="", **changes),  # type: ignore[arg-type]
            f"factor {name}",
            executor,
            progress,
        )
        measures.append(part.assign(arm=part["arm"] + f" [{name}]") if changes else part)
        cards |= of_part
    calibration, curves = calibrations(cards)
    model = make_policy(design.model, Path(design.study.answers))
    found = Factorial(
        design=design,
        base=base,
        effects=effects(base.measures, design, answers_drawn(model)),
        factors=factors(pd.concat(measures, ignore_index=True), levels),
        calibration=calibration,
        curves=curves,
        left_out=left_out,
    )
    _write(found, levels)
    return found


def _run(
    study: Study, stage: str, executor: Executor | None, progress: Progress
) -> tuple[pd.DataFrame, dict[str, dict[str, Any]]]:
    """Measures of every run of a study, and its policies' cards.

    Without the figures and tables of a study of its own; finished runs are the main study's too.
    """
    population = study.check()
    values, *made = (make_arm(text, study, progress) for text in (study.values, *study.policies))
    arms = {policy.name: policy for policy in made}
    tasks = make_tasks(study, population.parameters, arms, values)
    folders = run_tasks(tasks, executor, lambda done, total: progress(stage, done, total))
    frames = [read_frame(folder, "measures") for folder in folders.values()]
    return pd.concat(frames, ignore_index=True), cards_of(made)


def _possible(design: Design) -> tuple[list[Level], tuple[str, ...]]:
    """The levels whose policies can be made, the base first, and why others cannot."""
    levels, left_out = [], []
    for level in design.levels():
        try:
            for cell in level.cells:
                make_policy(cell, Path(design.study.answers))
        except InputError as error:
            left_out.append(f"{level.factor} {level.name}: left out: {error}")
        else:
            levels.append(level)
    return levels, tuple(left_out)


def studies(
    design: Design, levels: Iterable[Level]
) -> list[tuple[str, tuple[str, ...], Mapping[str, str]]]:
    """Name, policies and changed fields of every study beside the main one.

    Levels that change policies alone share a study per factor, without what the main study has;
    levels that change the study run the four cells again.
    """
    found: dict[str, tuple[dict[str, None], Mapping[str, str]]] = {}
    for level in levels:
        known = () if level.study else design.arms
        cells = dict.fromkeys(cell for cell in level.cells if cell not in known)
        if cells:
            found.setdefault(level.run, ({}, level.study))[0].update(cells)
    return [(name, tuple(cells), changes) for name, (cells, changes) in found.items()]


def _weights(*signed: tuple[str, float]) -> dict[str, float]:
    """Weights by arm, added up where an arm has more than one part."""
    weights: dict[str, float] = {}
    for arm, weight in signed:
        weights[arm] = weights.get(arm, 0.0) + weight
    return weights


def of_cells(cells: Cells, effect: str) -> dict[str, float]:
    """What an effect is a weighted sum of."""
    return _weights(*zip(cells, EFFECTS[effect], strict=True))


def _contrast(measures: pd.DataFrame, weights: Mapping[str, float]) -> pd.DataFrame:
    return contrast(measures[measures["arm"].isin(list(weights))], weights)[_FOUND]


def effects(measures: pd.DataFrame, design: Design, drawn: bool = False) -> pd.DataFrame:
    """Every effect on every measure, with 95 % t intervals over worlds.

    Parameters
    ----------
    measures : DataFrame
        Of every run of the main study, as ``experiments.inference`` reads them. Where an arm is
        not there, neither are the effects that need it.
    design : Design
    drawn : bool
        Whether the model as used draws its answers. The rest then has no parts: the step to its
        likeliest answers leads away from it.
    """
    cells, human = design.cells(), (design.human, -1.0)
    removed = cells.model_removed
    every = {effect: of_cells(cells, effect) for effect in EFFECTS}
    every[REST] = _weights((design.model, 1.0), (removed, -1.0))
    if not drawn:
        every[TEMPERATURE] = _weights((design.decisive, 1.0), (removed, -1.0))
        every[POSITION] = _weights((design.model, 1.0), (design.decisive, -1.0))
    every[WHOLE] = _weights((design.model, 1.0), human)
    every |= {f"anchor: {anchor}": _weights((anchor, 1.0), human) for anchor in ANCHORS}
    every[PEOPLE] = _weights((HALVES[1], 1.0), (HALVES[0], -1.0))
    there = set(measures["arm"])
    frames = [
        _contrast(measures, weights).assign(effect=effect)
        for effect, weights in every.items()
        if there.issuperset(weights)
    ]
    return pd.concat(frames, ignore_index=True)[["effect", *_FOUND]]


def factors(measures: pd.DataFrame, levels: list[Level]) -> pd.DataFrame:
    """The main effects and their interaction at every level, and their changes from the base.

    Parameters
    ----------
    measures : DataFrame
        Of every run of every study; arms of a changed study by their names there (``Level.arms``).
    levels : list of Level
        The base first.
    """
    base, *others = levels
    frames = []
    for level in levels:
        for effect in OF_FACTORS:
            here = of_cells(level.arms, effect)
            quantities = {"effect": here}
            if level in others:
                minus = ((arm, -weight) for arm, weight in of_cells(base.arms, effect).items())
                quantities["change"] = _weights(*here.items(), *minus)
            for quantity, weights in quantities.items():
                label = {"factor": level.factor, "level": level.name, "changed": level.changed}
                label |= {"quantity": quantity, "effect": effect}
                frames.append(_contrast(measures, weights).assign(**label))
    table = pd.concat(frames, ignore_index=True)
    return table[["factor", "level", "changed", "quantity", "effect", *_FOUND]]


def calibrations(cards: Mapping[str, Mapping[str, Any]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What calibration did to each policy, and its curves of P(coin) by the gap in utility."""
    rows, curves = [], []
    for arm, card in cards.items():
        if not arm.startswith("calibrated("):
            continue  # a policy made from a calibrated one has the same card
        found = card["calibration"]
        rows.append({"arm": arm} | {key: found[key] for key in found if key not in _CURVE})
        if found["gap"] is not None:
            curves.append(pd.DataFrame({key: found[key] for key in _CURVE}).assign(arm=arm))
    columns = ["arm", *_CURVE]
    return pd.DataFrame(rows), pd.concat(curves)[columns] if curves else pd.DataFrame(
        columns=columns
    )


def _write(found: Factorial, levels: list[Level]) -> None:
    out = Path(found.design.study.out)
    for name, frame in (
        ("factorial", found.effects),
        ("factors", found.factors),
        ("calibration", found.calibration),
        ("calibration_curves", found.curves),
    ):
        frame.to_csv(out / f"{name}.csv", index=False)
    settings = {
        "model": found.design.model,
        "human": found.design.human,
        "mode": found.design.mode,
        "cells": found.design.cells()._asdict(),
        "levels": [level._asdict() for level in levels],
        "left_out": found.left_out,
    }
    (out / "factorial.json").write_text(json.dumps(settings, indent=1))
