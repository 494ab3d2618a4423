"""Worlds are added until the intervals are narrow and stay so, and not for ever."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from experiments import compare, sequential
from experiments.inference import Question, differences
from experiments.sequential import LOOK_AHEAD, assess, half_widths, sentence
from experiments.study import Study
from populations.errors import InputError

RATIO = "transplant_rate_ratio"
DECLARED = (Question(RATIO, "race", "Black"), Question("life_years"))


def frame(logs: dict[str, list[float]], group: str = "Black", first: int = 0) -> pd.DataFrame:
    """One ratio per arm and world, given as logarithms."""
    rows = [
        (arm, world, 0, RATIO, "race", group, np.exp(value))
        for arm, values in logs.items()
        for world, value in enumerate(values, first)
    ]
    columns = ["arm", "world", "tie_seed", "measure", "grouping", "group", "value"]
    return pd.DataFrame(rows, columns=columns).assign(numerator=1.0, denominator=1.0)


def studied(values: list[float], target: float) -> sequential.Precision:
    return assess(frame({"h": [0.0] * len(values), "x": values}), "h", DECLARED, target)


def test_half_widths_are_those_of_the_first_n() -> None:
    values = 100 + np.random.default_rng(1).normal(size=(3, 12))
    widths = half_widths(values)
    assert np.isnan(widths[:, 0]).all()
    for n in range(2, 13):
        expected = stats.sem(values[:, :n], axis=1) * stats.t.ppf(0.975, n - 1)
        assert widths[:, n - 1] == pytest.approx(expected)


def test_width_is_that_of_the_table_of_differences() -> None:
    logs = {"h": [0.0, 0.3, 0.1, 0.5], "x": [0.4, 0.2, 0.9, 0.3]}
    row = differences(frame(logs), "h", DECLARED).iloc[0]
    found = assess(frame(logs), "h", DECLARED, 0.1).contrasts.iloc[0]
    assert found["half_width"] == pytest.approx(np.log(row["high"] / row["value"]))
    assert found["needed"] == np.ceil(4 * (found["half_width"] / 0.1) ** 2)


def test_narrow_once_is_not_enough() -> None:
    """The first six agree by luck; then come values that do not."""
    lucky = [0.0, 0.01, 0.0, 0.01, 0.0, 0.01]
    assert not studied([*lucky, 0.9, 0.0], 0.2).met
    assert studied([*lucky, 0.0, 0.01], 0.2).met
    # Narrow at 8 worlds, wide at 3 of them: within the look-ahead.
    opening = [0.0, 0.4, 0.0]
    assert half_widths(np.array([[*opening, 0.1, 0.1, 0.1, 0.1, 0.1]]))[0, -1] < 0.2
    assert not studied([*opening, 0.1, 0.1, 0.1, 0.1, 0.1], 0.2).met
    assert studied([*opening, *[0.1] * 12], 0.2).met


def test_few_worlds_never_meet_it() -> None:
    assert not studied([0.0] * (sequential.LEAST + LOOK_AHEAD - 1), 0.2).met
    assert studied([0.0] * (sequential.LEAST + LOOK_AHEAD), 0.2).met


def test_undefined_contrasts_are_left_out_and_named() -> None:
    both = pd.concat(
        [
            frame({"h": [0.0] * 8, "x": [0.1] * 8}),
            frame({"h": [0.0] * 8, "x": [0.1] * 7 + [np.nan]}, "Asian"),
        ]
    )
    declared = (*DECLARED, Question(RATIO, "race", "Asian"))
    found = assess(both, "h", declared, 0.05)
    assert found.met and found.left_out == (f"{RATIO} of Asian under x",)
    assert "Left out" in sentence(found) and "Asian" in sentence(found)
    only = assess(both, "h", declared[-1:], 0.05)
    assert only.settled and not only.met and "no declared ratio" in sentence(only)


def test_one_arm_has_nothing_to_be_precise_about() -> None:
    found = assess(frame({"h": [0.0] * 9}), "h", DECLARED, 0.05)
    assert found.settled and not found.met


def study(tmp_path: Path, **changes: object) -> Study:
    given = {"worlds": 2, "precision": 0.25, "worlds_most": 40, "declared": DECLARED}
    return Study(**{"policies": ("h", "x"), "out": tmp_path, **given, **changes})


def fake_run(values: np.ndarray, tmp_path: Path, asked: list[tuple[int, int]]):
    """Runs that give these differences, world by world, and note what was asked for."""

    def run(of: Study, first: int) -> dict[tuple[str, int], Path]:
        asked.append((first, of.worlds))
        folders = {}
        for world in range(first, of.worlds):
            for arm, value in (("h", 0.0), ("x", values[world])):
                folders[arm, world] = tmp_path / f"{arm}{world}"
                folders[arm, world].mkdir()
                table = frame({arm: [value]}, first=world)
                table.to_parquet(folders[arm, world] / "measures.parquet")
        return folders

    return run


def test_worlds_are_added_until_it_is_met(tmp_path: Path) -> None:
    values = np.random.default_rng(4).normal(0, 0.4, 40)
    asked: list[tuple[int, int]] = []
    run = fake_run(values, tmp_path, asked)
    folders, found = compare._run_worlds(study(tmp_path), "h", run)
    assert found is not None and found.met and f"met with {found.worlds} worlds" in sentence(found)
    assert len(folders) == 2 * found.worlds
    # No world twice, no gap, five at a time.
    assert asked[0] == (0, 2) and asked[-1][1] == found.worlds
    assert all(b == (a[1], a[1] + LOOK_AHEAD) for a, b in pairwise(asked))
    last = half_widths(values[None, : found.worlds])[0, -1 - LOOK_AHEAD :]
    assert (last <= 0.25).all()
    earlier = half_widths(values[None, : found.worlds - LOOK_AHEAD])[0, -1 - LOOK_AHEAD :]
    assert not (earlier <= 0.25).all()


def test_it_gives_up_at_the_most_and_says_how_many_would_do(tmp_path: Path) -> None:
    values = np.random.default_rng(4).normal(0, 3.0, 40)
    run = fake_run(values, tmp_path, [])
    folders, found = compare._run_worlds(study(tmp_path, worlds_most=14), "h", run)
    assert len(folders) == 2 * 14 and found is not None and not found.met
    spread = values[:14].std(ddof=1) * stats.t.ppf(0.975, 13)
    needed = int(np.ceil((spread / 0.25) ** 2))
    said = sentence(found)
    assert "not met with 14 worlds" in said and f"about {needed:,} worlds" in said
    assert "Black under x" in said and found.summary()["contrasts"][0]["needed"] == needed


def test_without_a_precision_nothing_is_added(tmp_path: Path) -> None:
    asked: list[tuple[int, int]] = []
    run = fake_run(np.zeros(40), tmp_path, asked)
    _, found = compare._run_worlds(study(tmp_path, precision=0.0), "h", run)
    assert found is None and asked == [(0, 2)]


def test_intervals_still_cover_after_stopping() -> None:
    """Stopping when narrow stops too early a little more often than not: the look-ahead helps."""
    rng = np.random.default_rng(8)
    covered = []
    for _ in range(600):
        values = rng.normal(0, 0.3, (1, 100))
        widths = half_widths(values)[0]
        n = next(
            n
            for n in range(sequential.LEAST + LOOK_AHEAD, 101, LOOK_AHEAD)
            if (widths[n - 1 - LOOK_AHEAD : n] <= 0.15).all()
        )
        covered.append(abs(values[0, :n].mean()) <= widths[n - 1])
    assert 0.92 <= np.mean(covered) <= 0.97


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"precision": -0.1}, "precision = -0.1"),
        ({"precision": np.nan}, "precision = nan"),
        ({"worlds_most": 7}, "worlds_most = 7"),
        ({"worlds_most": 0, "precision": 0.0}, "worlds_most = 0"),
        ({"policies": ["h"]}, "expected two policies"),
        ({"worlds": 50}, "worlds_most = 40"),
        ({"declared": (Question("life_years"),)}, "expected a ratio"),
    ],
)
def test_wrong_precision_is_refused(tmp_path: Path, changes: dict, says: str) -> None:
    asked = study(tmp_path, **changes)
    with pytest.raises(InputError, match=says):
        asked.check()
