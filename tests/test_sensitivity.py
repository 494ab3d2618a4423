"""What a comparison hangs on: analytic answers, noise, kept runs, wrong input."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from matplotlib.text import Text
from SALib.analyze import morris
from SALib.test_functions import Ishigami

from experiments import sensitivity as module
from experiments.cli import main
from experiments.figures.sensitivity import morris_effects, sobol_shares
from experiments.figures.style import SMALL
from experiments.inference import Question
from experiments.runner import Task
from experiments.sensitivity import Sensitivity, sensitivity
from experiments.sensitivity_analysis import elementary_effects, noise, screening, variance_shares
from experiments.sensitivity_design import (
    STEP,
    Range,
    policy_at,
    screening_points,
    sobol_points,
    values_at,
)
from experiments.sensitivity_settings import Settings, check, sizes
from experiments.sensitivity_tables import outcomes, verdict
from experiments.study import Study
from measures.table import tidy
from populations.errors import InputError

NAMES = ["a", "b", "c"]


def index(frame: pd.DataFrame, parameter: str, which: str, column: str = "value") -> float:
    here = frame[(frame["parameter"] == parameter) & (frame["index"] == which)]
    assert len(here) == 1
    return float(here[column].iloc[0])


# --- the analysis, on functions with known answers -----------------------------------------------


def test_sobol_shares_of_ishigami_are_the_analytic_ones() -> None:
    units = sobol_points(3, 1024, 5)
    values = Ishigami.evaluate(-np.pi + 2 * np.pi * units)
    found = variance_shares(values[:, None], NAMES, 0)
    variance = 7**2 / 8 + 0.1 * np.pi**4 / 5 + 0.1**2 * np.pi**8 / 18 + 0.5
    first = [0.5 * (1 + 0.1 * np.pi**4 / 5) ** 2 / variance, 7**2 / 8 / variance, 0.0]
    together = 0.1**2 * np.pi**8 * (1 / 18 - 1 / 50) / variance
    total = [first[0] + together, first[1], together]
    for name, one, all_ in zip(NAMES, first, total, strict=True):
        assert index(found, name, "S1") == pytest.approx(one, abs=0.03)
        assert index(found, name, "ST") == pytest.approx(all_, abs=0.03)
        assert index(found, name, "S1", "low") <= one <= index(found, name, "S1", "high")
    pd.testing.assert_frame_equal(found, variance_shares(values[:, None], NAMES, 0))


def test_screening_agrees_with_salib() -> None:
    units = screening_points(3, 12, 5)
    values = Ishigami.evaluate(-np.pi + 2 * np.pi * units)
    found = screening(units, values[:, None], NAMES)
    problem = {"num_vars": 3, "names": NAMES, "bounds": [[0, 1]] * 3}
    oracle = morris.analyze(problem, units, values, num_levels=4, seed=1)
    for place, name in enumerate(NAMES):
        for which in ("mu", "mu_star", "sigma"):
            assert index(found, name, which) == pytest.approx(float(oracle[which][place]))


def test_effects_of_a_linear_function_are_its_slopes() -> None:
    units = screening_points(3, 5, 2)
    worlds = np.array([0.5, 1.0, 1.5])
    values = units @ np.array([3.0, -2.0, 0.0])
    effects = elementary_effects(units, values[:, None] * worlds)
    assert effects.shape == (3, 5, 3)
    for slope, of_one in zip((3, -2, 0), effects, strict=True):
        assert of_one == pytest.approx(np.tile(slope * worlds, (5, 1)), abs=1e-12)
    found = screening(units, values[:, None] * worlds, NAMES)
    assert index(found, "b", "mu") == pytest.approx(-2)
    assert index(found, "b", "mu_star") == pytest.approx(2)
    assert index(found, "b", "sigma") == pytest.approx(0, abs=1e-12)
    assert index(found, "c", "mu_star") == pytest.approx(0, abs=1e-12)
    # Over worlds the slope is -1, -2, -3: t(.975, 2) = 4.302653, standard error 1 / sqrt(3).
    half = 4.302653 / np.sqrt(3)
    assert index(found, "b", "mu", "high") == pytest.approx(-2 + half)
    # Trajectories all tell the same, so where in the ranges makes no difference.
    assert index(found, "b", "mu_star", "high") == pytest.approx(2)


def test_interval_of_sigma_is_the_chi_squared_one() -> None:
    units, rng = screening_points(1, 40, 3), np.random.default_rng(0)
    steps = np.diff(units.reshape(40, 2, 1), axis=1).ravel()
    effects = rng.normal(0, 2, 40)
    values = np.stack([np.zeros(40), effects * steps], axis=1).reshape(-1, 1)
    found = screening(units, values, ["a"])
    assert index(found, "a", "sigma") == pytest.approx(effects.std(ddof=1))
    assert index(found, "a", "sigma", "low") < 2 < index(found, "a", "sigma", "high")
    # 39 degrees of freedom: chi-squared quantiles 23.654 and 58.120
    assert index(found, "a", "sigma", "high") == pytest.approx(
        effects.std(ddof=1) * np.sqrt(39 / 23.654), rel=1e-4
    )


def test_noise_share_is_the_share_of_chance_in_the_design() -> None:
    rng, points, worlds = np.random.default_rng(4), 4000, 5
    signal, of_world = rng.normal(0, 1.0, (points, 1)), rng.normal(0, 30.0, (1, worlds))
    values = signal + of_world + rng.normal(0, 2.0, (points, worlds))
    chance = 2.0**2 / worlds
    found = noise(values)
    assert found.share == pytest.approx(chance / (1 + chance), rel=0.08)
    between = values.var(axis=1, ddof=1).mean() / worlds
    assert found.unpaired == pytest.approx(between / values.mean(axis=1).var(ddof=1))
    assert found.unpaired > 10 * found.share  # the worlds' own level is shared by all points
    # Differences of two points over a step, by simulation.
    means = rng.normal(0, np.sqrt(chance), (100_000, 2))
    expected = np.abs(means[:, 0] - means[:, 1]).mean() / STEP
    assert found.effect == pytest.approx(expected, rel=0.05)


def test_noise_of_nothing_and_without_worlds() -> None:
    assert noise(np.ones((4, 3))).effect == 0 and np.isnan(noise(np.ones((4, 3))).share)
    assert np.isnan(noise(np.random.default_rng(0).random((4, 1)))).all()
    exact = noise(np.arange(4.0)[:, None] + np.array([[0.0, 5.0, 9.0]]))
    assert exact.share == pytest.approx(0, abs=1e-20) and exact.unpaired > 1


def test_noise_alone_looks_like_interaction_and_is_as_large_as_announced() -> None:
    """The floors that are reported are what a parameter without effect gets from noise alone."""
    rng = np.random.default_rng(6)
    units = screening_points(2, 400, 1)
    values = rng.normal(0, 1, (len(units), 4))
    found = screening(units, values, ["a", "b"])
    assert index(found, "a", "mu_star") == pytest.approx(noise(values).effect, rel=0.1)
    values = rng.normal(0, 1, (1024 * 4, 4))
    shares = variance_shares(values, ["a", "b"], 1)
    assert index(shares, "a", "ST") == pytest.approx(noise(values).share, abs=0.1)
    assert index(shares, "a", "S1") == pytest.approx(0, abs=0.1)


def test_a_contrast_that_never_changes_has_no_shares() -> None:
    found = variance_shares(np.full((4 * 8, 2), 0.3), ["a", "b"], 1)
    assert (found[["value", "low", "high"]] == 0).to_numpy().all()


# --- points ---------------------------------------------------------------------------------------


def test_whole_numbers_are_equally_likely_and_within_their_ends() -> None:
    whole = Range("centres.count", 2, 5, whole=True)
    values = [whole.at(u) for u in np.linspace(0, 1, 4001)]
    assert set(values) == {2, 3, 4, 5} and all(isinstance(value, int) for value in values)
    assert np.bincount(values)[2:] == pytest.approx([1000] * 4, abs=1)
    real = Range("kidneys.per_year", 50, 90)
    assert [real.at(u) for u in (0.0, 1 / 3, 1.0)] == [50, 63.3333, 90]


def test_placeholders_of_policies_are_filled_in() -> None:
    ranges = [Range("kidneys.per_year", 1, 2), Range("x", 0.0, 1.0)]
    assert policy_at("band(human, {x})", ranges, [1.5, 0.25]) == "band(human, 0.25)"
    assert values_at(ranges, np.array([[0.5, 0.5]])) == [[1.5, 0.5]]


# --- the whole path, with runs that are a formula ------------------------------------------------


def settings(out: Path, **changes: object) -> Settings:
    study = Study(
        population="teaching",
        policies=("human", "first-come"),
        worlds=3,
        years=1,
        tie_seeds=1,
        out=out,
        answers=out / "answers.sqlite",
    )
    given = {"vary": ("kidneys.per_year=50..90", "waiting.level=0.2..0.4", "centres.count=2..6")}
    return Settings(study, **{**given, "questions": (Question("life_years"),), **changes})


Formula = Callable[[Task], float]


@pytest.fixture
def formula(monkeypatch: pytest.MonkeyPatch) -> Callable[[Formula], list[Path]]:
    """Make every run a formula of its task; the folders that were run."""

    def use(of_task: Formula, measure: str = "life_years") -> list[Path]:
        tasks: dict[Path, Task] = {}

        def run(todo: Iterable[Task], executor: object, progress: object) -> None:
            for task in todo:
                assert task.folder not in tasks or tasks[task.folder] == task
                tasks[task.folder] = task
                ran.append(task.folder)

        def read(folder: Path, name: str) -> pd.DataFrame:
            task = tasks[folder]
            row = {"measure": measure, "value": of_task(task), "numerator": 1, "denominator": 1}
            return tidy([row]).assign(arm=task.arm, world=task.world, tie_seed=0)

        ran: list[Path] = []
        monkeypatch.setattr(module, "run_tasks", run)
        monkeypatch.setattr(module, "read_frame", read)
        return ran

    return use


def linear(task: Task) -> float:
    """First-come gains 3 over the range of kidneys, loses 1 over that of waiting.level.

    By .01 less in the first world and more in the third: were they all alike, there would be no
    interval.
    """
    gain = 3 * (task.parameters.kidneys.per_year - 50) / 40
    loss = (task.parameters.waiting.level - 0.2) / 0.2
    level = 100.0 * task.world + 7 * task.parameters.centres.count  # of the world: cancels out
    luck = 0.01 * (task.world - 1)
    return level + (gain - loss + luck if task.arm == "first-come" else 0.0)


def test_linear_contrast_through_the_whole_path(
    tmp_path: Path, formula: Callable[[Formula], list[Path]]
) -> None:
    ran = formula(linear)
    given = settings(tmp_path, trajectories=3, samples=32, top=3)
    found = sensitivity(given)
    effects = found.indices[found.indices["method"] == "morris"]
    for name, slope in (("kidneys.per_year", 3), ("waiting.level", -1), ("centres.count", 0)):
        assert index(effects, name, "mu") == pytest.approx(slope, abs=1e-4)
        assert index(effects, name, "mu_star") == pytest.approx(abs(slope), abs=1e-4)
        assert index(effects, name, "sigma") == pytest.approx(0, abs=1e-4)
    shares = found.indices[found.indices["method"] == "sobol"]
    for name, share in (("kidneys.per_year", 0.9), ("waiting.level", 0.1), ("centres.count", 0)):
        assert index(shares, name, "S1") == pytest.approx(share, abs=0.1)
        assert index(shares, name, "ST") == pytest.approx(share, abs=0.1)
    assert index(shares, "all", "noise_share") == pytest.approx(0, abs=1e-9)
    count = sizes(given, 3)
    assert count["screening"] == 13 and count["sobol"] == 32 * 5
    assert count["runs"] == (13 + 32 * 5) * 2 * 3 and len(ran) <= count["runs"]
    middle = found.design[found.design["design"] == "middle"].iloc[0]
    assert middle["value"] == pytest.approx(1.0) and middle["kidneys.per_year"] == 70
    assert len(found.design) == 13 + 32 * 5


def said(found: Sensitivity) -> str:
    (one,) = outcomes(found)
    return verdict(*one, "human")


def test_sentence_tells_what_it_hangs_on_and_where_the_sign_changes(
    tmp_path: Path, formula: Callable[[Formula], list[Path]]
) -> None:
    formula(linear)
    text = said(sensitivity(settings(tmp_path, trajectories=4, samples=32, top=3)))
    # t(.975, 2) = 4.302653 times .01 / sqrt(3)
    assert "+1.000 (+0.975 to +1.025) in the middle of the ranges" in text
    assert "It hangs on kidneys.per_year (total share 0.9" in text
    assert "waiting.level" in text.split("hangs on")[1] and "centres.count" not in text
    assert "Its sign changes" in text and "none of them" not in text
    assert "not adjusted for so many points, and all have the same worlds" in text
    assert "Noise is 0 % of the variance" in text
    formula(lambda task: 5 * linear(task) if task.arm == "human" else 5 * linear(task) + 6)
    text = said(sensitivity(settings(tmp_path, trajectories=4, samples=0)))
    assert "Its sign is the same at every point." in text


def test_noisy_contrast_is_called_noise(
    tmp_path: Path, formula: Callable[[Formula], list[Path]]
) -> None:
    def chance(task: Task) -> float:
        return float(np.random.default_rng(int(task.folder.name[-12:], 16)).normal())

    formula(chance)
    found = sensitivity(settings(tmp_path, trajectories=10, samples=32, top=3))
    assert index(
        found.indices[found.indices["method"] == "sobol"], "all", "noise_share"
    ) == pytest.approx(1, abs=0.35)
    text = said(found)
    assert "add worlds" in text and "No parameter" in text
    low, high = re.search(r"\((\S+) to (\S+)\) in the middle", text).groups()
    assert ("not told from none" in text) == (float(low) <= 0.0 <= float(high))  # 1 in 20 is
    assert "Taken one by one" in text and "not adjusted for so many points" in text
    formula(lambda task: 2.0)
    text = said(sensitivity(settings(tmp_path, trajectories=2, samples=4)))
    assert "It is none at every point. No parameter stands out" in text


def test_points_where_all_worlds_agree_have_no_interval(
    tmp_path: Path, formula: Callable[[Formula], list[Path]]
) -> None:
    """Whole numbers agree by chance, so such points are counted on neither side of none."""
    formula(lambda task: float(task.world + (task.arm == "first-come")))
    found = sensitivity(settings(tmp_path, trajectories=2, samples=0))
    assert (found.design["value"] == 1).all()
    assert found.design[["low", "high"]].isna().all(axis=None)
    text = said(found)
    assert ": +1.000 in the middle" in text and "There it is not told from none" in text
    assert "0 of 9 points have an interval above none and 0 one below" in text


def test_the_screening_passes_on_what_moves_most_unless_named(
    tmp_path: Path, formula: Callable[[Formula], list[Path]]
) -> None:
    formula(linear)
    found = sensitivity(settings(tmp_path, trajectories=2, samples=4, top=1))
    shares = found.indices[found.indices["index"] == "ST"]
    assert shares["parameter"].tolist() == ["kidneys.per_year"]
    held = found.design[found.design["design"] == "sobol"]
    assert set(held["waiting.level"]) == {0.3} and set(held["centres.count"]) == {4}
    named = replace(settings(tmp_path, trajectories=2, samples=4), named=("waiting.level",))
    shares = sensitivity(named).indices
    assert shares.loc[shares["index"] == "ST", "parameter"].tolist() == ["waiting.level"]


def test_rates_are_compared_as_log_ratios_and_undefined_ones_left_out(
    tmp_path: Path, formula: Callable[..., list[Path]]
) -> None:
    formula(lambda task: 8.0 if task.arm == "human" else 2.0, "mortality_rate")
    asked = (Question("mortality_rate"), Question("ex_ante.determinism"))
    found = sensitivity(settings(tmp_path, trajectories=2, samples=0, questions=asked))
    assert found.design["value"].unique() == pytest.approx([np.log(0.25)])
    assert "tie-seeds" in found.left_out["ex_ante.determinism"]
    formula(lambda task: 8.0 if task.arm == "human" else 0.0, "mortality_rate")
    with pytest.raises(InputError, match="undefined in some world at 9 of 9 points"):
        sensitivity(settings(tmp_path, trajectories=2, samples=0, questions=asked[:1]))


def test_same_seed_same_points_and_worlds(
    tmp_path: Path, formula: Callable[[Formula], list[Path]]
) -> None:
    ran = formula(linear)
    one = sensitivity(settings(tmp_path, trajectories=2, samples=4))
    first = list(ran)
    two = sensitivity(settings(tmp_path, trajectories=2, samples=4))
    assert ran[len(first) :] == first
    pd.testing.assert_frame_equal(one.indices, two.indices)
    pd.testing.assert_frame_equal(one.design, two.design)


# --- real runs ------------------------------------------------------------------------------------


def test_real_runs_are_kept_and_shared_between_points(tmp_path: Path) -> None:
    study = replace(
        settings(tmp_path).study,
        policies=("human", "band(human, {x})"),
        worlds=2,
        overrides=("list.initial=40", "arrivals.per_year=20", "kidneys.per_year=14"),
    )
    given = Settings(study, ("x=0.1..0.7",), (Question("life_years"),), 2, 0)
    found = sensitivity(given)
    runs = sorted((tmp_path / "runs").iterdir())
    points = found.design["x"].nunique()
    assert len(runs) == 2 * (1 + points)  # the reference does not depend on x
    stamps = [path.stat().st_mtime_ns for path in runs]
    again = sensitivity(given)
    assert [path.stat().st_mtime_ns for path in sorted((tmp_path / "runs").iterdir())] == stamps
    pd.testing.assert_frame_equal(found.design, again.design)
    assert set(found.design["arm"]) == {"band(human, {x})"}
    assert len(pd.read_csv(tmp_path / "sensitivity.csv")) == len(found.indices)
    assert len(pd.read_csv(tmp_path / "design.csv")) == 2 * 2 + 1
    assert json.loads((tmp_path / "sensitivity.json").read_text())["ranges"][0]["name"] == "x"


# --- command line ---------------------------------------------------------------------------------


def invoke(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner(env={"COLUMNS": "160"}).invoke(main, ["run", "sensitivity", *arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--vary", "kidneys.per_yer=3..4"], "did you mean 'kidneys.per_year'"),
        (["--vary", "kidneys.per_year=4"], "expected NAME=LOW..HIGH"),
        (["--vary", "kidneys.per_year=5..4"], "LOW below HIGH"),
        (["--vary", "kidneys.per_year=a..b"], "expected NAME=LOW..HIGH"),
        (["--vary", "kidneys.per_year=1..inf"], "expected NAME=LOW..HIGH"),
        (["--vary", "kidneys.per_year=-5..4"], "greater than or equal to 0"),
        (["--vary", "race.shares=0..1"], "is a list of 5 numbers"),
        (["--vary", "centres.count=1.5..3"], "whole number"),
        (["--vary", "centres.count=0..3"], "greater than or equal to 1"),
        (["--vary", "age.whole_years=0..1"], "only numbers"),
        (["--vary", "allocation.blood_groups=0..1"], "only numbers"),
        (["--vary", "waiting.level=0..1", "--vary", "waiting.level=1..2"], "is there twice"),
        (["--vary", "y=1..2"], "placeholder of the policies (none)"),
        (["--policies", "human,band(human, {x})"], "{x} has no range"),
        (["--policies", "human,band(human, {})"], "expected a name of letters"),
        (["--policies", "human,band(human, {x})", "--vary", "x=-1..1"], "DELTA"),
        (["--policies", "human"], "two or more"),
        (["--policies", "human,humen"], "did you mean 'human'"),
        (["--samples", "10"], "power of 2"),
        (["--trajectories", "1"], "2 or more"),
        (["--top", "7"], "expected 1 to 6"),
        (["--sobol", "waiting.lvl"], "varies nowhere"),
        (["--measure", "transplant_gini"], "no outcome"),
        (["--measure", "ex_ante.gini_ex_post"], "no outcome"),
        (["--measure", "systemic_exclusion.independent"], "no outcome"),
        (["--measure", "life_yeers"], "did you mean 'life_years'"),
        (["--measure", "life_years:race"], "NAME:GROUPING:GROUP"),
        (["--workers", "-1"], "--workers -1"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(
    arguments: list[str], says: str, tmp_path: Path
) -> None:
    code, _, err = invoke("--dry-run", "--out", str(tmp_path / "out"), *arguments)
    assert code == 2 and says in err and err.strip().count("\n") == 0
    assert not (tmp_path / "out").exists()


def test_dry_run_announces_the_runs_and_stops_there(tmp_path: Path) -> None:
    code, out, err = invoke("--dry-run", "--out", str(tmp_path / "out"), "--worlds", "3")
    # 5 parameters: 5 trajectories of 6 points and the middle; 16 x (2 + 2) points; 2 policies.
    assert code == 0 and not out
    assert "31 points of screening over 5 parameters, 64 of shares of variance" in err
    assert f"{(31 + 64) * 2 * 3} runs" in err and not (tmp_path / "out").exists()


def test_default_ranges_are_marked_as_assumed(
    tmp_path: Path, formula: Callable[[Formula], list[Path]]
) -> None:
    formula(linear)
    code, out, _ = invoke(
        *("--out", str(tmp_path), "--workers", "1", "--trajectories", "2", "--samples", "4"),
        *("--measure", "life_years"),
    )
    assert code == 0
    assert "A: no ranges given" in " ".join(out.split()) and "54.72..82.08" in out
    for words in ("in the middle of the ranges", "It hangs on", "total share", "mu*"):
        assert words in " ".join(out.split())  # wherever lines break
    for name in ("sensitivity_morris", "sensitivity_sobol"):
        for ending in ("png", "svg", "csv"):
            assert (tmp_path / "figures" / f"{name}.{ending}").stat().st_size > 500
    assert [each.high / each.low for each in check(settings(tmp_path, vary=()))] == pytest.approx(
        [1.5] * 5
    )


# --- figures --------------------------------------------------------------------------------------


def test_figures_draw_what_was_found(
    tmp_path: Path, formula: Callable[[Formula], list[Path]]
) -> None:
    formula(linear)
    found = sensitivity(settings(tmp_path, trajectories=3, samples=8, top=2))
    effects = morris_effects(found.indices, "A caption.")
    (axes,) = effects.figure.axes
    points = {
        (round(line.get_xdata()[0], 3), round(line.get_ydata()[0], 3))
        for line in axes.lines
        if line.get_marker() not in ("None", "")
    }
    assert points == {(3.0, 0.0), (1.0, 0.0), (0.0, 0.0)}
    shares = sobol_shares(found.indices, "A caption.")
    widths = [bar.get_width() for bar in shares.figure.axes[0].patches]
    drawn = found.indices[found.indices["index"].isin(["S1", "ST"])]["value"]
    assert widths == pytest.approx(np.clip(drawn, 0, 1).tolist())
    for plot, names in ((effects, 3), (shares, 2)):
        assert (
            set(plot.text) == {"title", "caption", "alt"} and "A caption." in plot.text["caption"]
        )
        assert plot.text["alt"].count("kidneys.per_year") == 1
        assert plot.data["parameter"].nunique() == names + 1
        sizes_ = [text.get_fontsize() for text in plot.figure.findobj(Text) if text.get_text()]
        assert min(sizes_) >= SMALL
    with pytest.raises(InputError, match="sobol"):
        sobol_shares(found.indices[found.indices["method"] == "morris"], "None.")
