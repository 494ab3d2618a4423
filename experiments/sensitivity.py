"""What a comparison of policies hangs on: how its result moves as assumptions move.

What is analysed is the *contrast*, policy minus reference in the same worlds, at the points of a
design over the population's figures and the policies' own parameters. First a screening (Morris)
of all that varies, then the shares of variance (Sobol) of what matters most. The worlds are the
same at every point, so that they differ only by what varies; what noise is left is reported beside
the indices, since an index of noise looks like an interaction.
"""

import json
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.arms import make_arm
from experiments.inference import RATES, ROUNDING, Question, by_world, half_width
from experiments.progress import Progress, silent
from experiments.runner import Task, make_tasks, read_frame, run_tasks
from experiments.sensitivity_analysis import noise, screening, variance_shares
from experiments.sensitivity_design import (
    RANGES_OF_OURS,
    Range,
    policy_at,
    screening_points,
    sobol_points,
    study_at,
    values_at,
)
from experiments.sensitivity_settings import Settings, check
from measures.table import Floats
from policies.protocol import Policy
from populations.errors import InputError

KEY = ["arm", "measure", "grouping", "group"]


@dataclass(frozen=True)
class Sensitivity:
    """What an analysis found.

    Parameters
    ----------
    settings : Settings
    ranges : list of Range
    indices : DataFrame
        ``method`` ("morris", "sobol"), ``arm, measure, grouping, group, parameter, index, value,
        low, high``: effects and shares of ``sensitivity_analysis``, and, for parameter "all", the
        indices ``noise_share``, ``noise_share_unpaired`` and, for morris, ``mu_star_of_noise``.
    design : DataFrame
        ``design`` ("middle", "morris", "sobol"), ``point``, one column per parameter, and ``arm,
        measure, grouping, group, value, low, high, worlds``: the contrast at every point with its
        95 % t interval over worlds; none where all worlds agree on some difference, since then
        there is no variance to tell from.
    left_out : dict
        Question and arm, as text, to why it was left out.
    """

    settings: Settings
    ranges: list[Range]
    indices: pd.DataFrame
    design: pd.DataFrame
    left_out: dict[str, str]


class _Runs:
    """Runs points and keeps policies made on the way."""

    def __init__(
        self,
        settings: Settings,
        ranges: Sequence[Range],
        executor: Executor | None,
        progress: Progress,
    ) -> None:
        self.settings, self.ranges = settings, ranges
        self._executor, self._progress = executor, progress
        self._worlds = settings.study.worlds
        self._policies: dict[str, Policy] = {}

    def _policy(self, text: str) -> Policy:
        if text not in self._policies:
            self._policies[text] = make_arm(text, self.settings.study, self._progress)
        return self._policies[text]

    def arms_at(self, values: Sequence[float]) -> dict[str, Policy]:
        """The policies at a point, by their name in the study."""
        study = self.settings.study
        return {text: self._policy(policy_at(text, self.ranges, values)) for text in study.policies}

    def _tasks(self, values: Sequence[float]) -> list[tuple[str, Task]]:
        """Every run of a point, with its arm's name in the study, world by world."""
        study = study_at(self.settings.study, self.ranges, values)
        parameters = study.check().parameters
        reference = self._policy(study.values)
        by_arm = {
            text: make_tasks(study, parameters, {policy.name: policy}, reference)
            for text, policy in self.arms_at(values).items()
        }
        return [
            (text, tasks[world]) for world in range(study.worlds) for text, tasks in by_arm.items()
        ]

    def values(self, units: Floats, stage: str) -> pd.DataFrame:
        """Contrasts ``point, world, arm, measure, grouping, group, value`` at points."""
        points = [self._tasks(values) for values in values_at(self.ranges, units)]
        # Several points may share a run; it is done once.
        unique = {task.folder: task for point in points for _, task in point}
        run_tasks(
            unique.values(),
            self._executor,
            lambda done, total: self._progress(stage, done, total),
        )
        measures = pd.concat(
            [
                self._measures(text, task).assign(world=place * self._worlds + task.world)
                for place, tasks in enumerate(points)
                for text, task in tasks
            ],
            ignore_index=True,
        )
        # A world at a point pairs with itself alone: numbered through, they are taken all at once.
        found = contrasts(measures, self.settings.study.reference_arm)
        place, world = np.divmod(found["world"].to_numpy(), self._worlds)
        return found.assign(point=place, world=world)

    def _measures(self, arm: str, task: Task) -> pd.DataFrame:
        """The measures asked about, of one run."""
        frame = read_frame(task.folder, "measures")
        asked = frame["measure"].isin([each.measure for each in self.settings.questions])
        return frame[asked].assign(arm=arm)


def contrasts(measures: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Every arm minus the reference in the same world; of rates and ratios, the log ratio.

    Returns
    -------
    DataFrame
        ``arm, world, measure, grouping, group, value``; NaN where a rate is 0 or undefined.
    """
    values = by_world(measures)
    rates = values["measure"].isin(RATES)
    positive = values["value"].where(values["value"] > 0)
    values["value"] = values["value"].mask(rates, np.log(positive.where(rates)))
    base = values[values["arm"] == reference].drop(columns="arm")
    others = values[values["arm"] != reference]
    pairs = others.merge(base, on=["world", *KEY[1:]], suffixes=("", "_reference"))
    return pairs.assign(value=pairs["value"] - pairs.pop("value_reference"))


def sensitivity(
    settings: Settings, executor: Executor | None = None, progress: Progress = silent
) -> Sensitivity:
    """Run the designs, analyse them and write tables into ``settings.study.out``.

    Finished runs are used again, as in any study, so an interrupted analysis goes on where it was.

    Parameters
    ----------
    settings : Settings
    executor : Executor, optional
        Any of ``concurrent.futures``; None runs everything in this process.
    progress : callable, optional
        Told (what is being done, done, total).

    Raises
    ------
    InputError
        If the settings make no sense, before anything is run; or if every contrast is undefined
        at some point.
    """
    ranges = check(settings)
    seed = settings.study.seed
    runs = _Runs(settings, ranges, executor, progress)
    units = screening_points(len(ranges), settings.trajectories, seed)
    whole = np.vstack([np.full((1, len(ranges)), 0.5), units])
    values = runs.values(whole, "screening")
    found, left_out = _defined(values, settings.questions)
    names = [each.name for each in ranges]
    indices = [_screened(table[1:], units, names, key) for key, table in found.items()]
    designs = [_design_rows("morris", whole, ranges, found)]
    designs[0].loc[designs[0]["point"] == 0, "design"] = "middle"
    if settings.samples:
        kept = list(settings.named) or most_important(pd.concat(indices), settings.top)
        chosen = [names.index(name) for name in kept]
        more = np.full((settings.samples * (len(kept) + 2), len(ranges)), 0.5)
        more[:, chosen] = sobol_points(len(kept), settings.samples, seed)
        values = runs.values(more, "shares of variance")
        found, also = _defined(values, settings.questions)
        left_out |= also
        indices += [_shared(table, kept, key, seed) for key, table in found.items()]
        designs.append(_design_rows("sobol", more, ranges, found))
    result = Sensitivity(
        settings,
        ranges,
        pd.concat(indices, ignore_index=True),
        pd.concat(designs, ignore_index=True),
        left_out,
    )
    _write(result)
    return result


Outcome = tuple[str, ...]


def _defined(
    values: pd.DataFrame, asked: Sequence[Question]
) -> tuple[dict[Outcome, Floats], dict[str, str]]:
    """Contrasts defined everywhere, shape (points, worlds) by outcome; and why others are not."""
    tables: dict[Outcome, Floats] = {}
    left_out = {}
    computed = set(values["measure"])
    for each in asked:
        if each.measure not in computed:
            left_out[each.measure] = "was not computed; some need --tie-seeds of 2 or more"
    questions = pd.DataFrame(asked)[KEY[1:]]
    for key, rows in values.merge(questions, on=KEY[1:]).groupby(KEY, sort=False):
        table = rows.pivot(index="point", columns="world", values="value").to_numpy(np.float64)
        if np.isfinite(table).all():
            tables[key] = table
        else:
            points = int((~np.isfinite(table)).any(axis=1).sum())
            said = f"undefined in some world at {points} of {len(table)} points"
            left_out[outcome_name(*key)] = said
    if not tables:
        reasons = "; ".join(f"{name}: {why}" for name, why in left_out.items())
        raise InputError(f"sensitivity: no contrast is defined at every point ({reasons})")
    return tables, left_out


def outcome_name(arm: str, measure: str, grouping: str, group: str) -> str:
    """How an outcome is called: "arm: measure, group"."""
    return f"{arm}: {measure}" + (f", {group}" if grouping != "all" else "")


def _screened(values: Floats, units: Floats, names: list[str], key: Outcome) -> pd.DataFrame:
    heard = noise(values)
    table = screening(units, values, names)
    extra = {
        "noise_share": heard.share,
        "noise_share_unpaired": heard.unpaired,
        "mu_star_of_noise": heard.effect,
    }
    return _labelled("morris", table, extra, key)


def _shared(values: Floats, names: list[str], key: Outcome, seed: int) -> pd.DataFrame:
    heard = noise(values)
    extra = {"noise_share": heard.share, "noise_share_unpaired": heard.unpaired}
    return _labelled("sobol", variance_shares(values, names, seed), extra, key)


def _labelled(
    method: str, table: pd.DataFrame, extra: dict[str, float], key: Outcome
) -> pd.DataFrame:
    more = pd.DataFrame(
        {"parameter": "all", "index": list(extra), "value": list(extra.values())}, dtype=object
    ).astype({"value": float})
    labels: dict[str, Any] = dict(zip(KEY, key, strict=True))
    whole = pd.concat([table, more.assign(low=np.nan, high=np.nan)], ignore_index=True)
    return pd.DataFrame({"method": method, **labels}, index=whole.index).join(whole)


def most_important(indices: pd.DataFrame, top: int) -> list[str]:
    """Parameters with the largest ``mu_star``, each a share of its outcome's, averaged."""
    rows = indices[indices["index"] == "mu_star"]
    total = rows.groupby(KEY)["value"].transform("sum")
    share = (rows["value"] / total.where(total > 0)).fillna(0.0)
    mean = share.groupby(rows["parameter"], sort=False).mean()
    return list(mean.sort_values(ascending=False, kind="stable").index[:top])


def _design_rows(
    design: str, units: Floats, ranges: Sequence[Range], found: dict[Outcome, Floats]
) -> pd.DataFrame:
    at = pd.DataFrame(values_at(ranges, units), columns=[each.name for each in ranges])
    frames = []
    for key, table in found.items():
        mean, worlds = table.mean(axis=1), table.shape[1]
        half = half_width(table.std(axis=1, ddof=1), worlds) if worlds > 1 else np.nan
        agreed = (np.ptp(table, axis=1) <= ROUNDING) & (np.abs(mean) > ROUNDING)
        half = np.where(agreed, np.nan, half)
        at_point = at.assign(**dict(zip(KEY, key, strict=True)))
        at_point = at_point.assign(value=mean, low=mean - half, high=mean + half, worlds=worlds)
        at_point.insert(0, "point", range(len(at)))
        at_point.insert(0, "design", design)
        frames.append(at_point)
    return pd.concat(frames, ignore_index=True)


def _write(result: Sensitivity) -> None:
    settings = result.settings
    out = Path(settings.study.out)
    out.mkdir(parents=True, exist_ok=True)
    result.indices.to_csv(out / "sensitivity.csv", index=False)
    result.design.to_csv(out / "design.csv", index=False)
    said = {
        **vars(settings),
        "study": vars(settings.study),
        "ranges": [vars(each) for each in result.ranges],
        "ranges_from": "the user" if settings.vary else RANGES_OF_OURS,
        "left_out": result.left_out,
    }
    (out / "sensitivity.json").write_text(json.dumps(said, indent=1, default=str))
