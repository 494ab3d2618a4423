"""Values x indecision: effects by hand, planted policies that have one fault without the other."""

import json
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy.stats import t as student

from experiments import compare, factorial, factorial_design, factorial_tables
from experiments.cli import main
from experiments.factorial import (
    EFFECTS,
    INDECISION,
    INTERACTION,
    MISALIGNMENT,
    PEOPLE,
    POSITION,
    REST,
    TEMPERATURE,
    WHOLE,
    calibrations,
    effects,
    factors,
    run_factorial,
    studies,
)
from experiments.factorial_design import FACTORS, Cells, Design, Level, answers_drawn
from experiments.factorial_outcomes import Asked, outcome_of, outcomes
from experiments.factorial_tables import (
    decides,
    draw,
    effect_sentences,
    factor_sentences,
    print_factorial,
    unlike,
    weak_values,
)
from experiments.figures.effects import Panel
from experiments.figures.effects import effects as figure_of
from experiments.inference import detectable
from experiments.inference import levels as levels_of
from experiments.sentences import Outcome
from experiments.study import Study
from experiments.terminal import console
from measures import decisions, rates
from measures.outcomes import life_years
from policies.calibrated import calibrated
from policies.davidson import Davidson
from policies.human import human, human_half_a
from policies.registry import POLICIES, Entry, make_policy
from populations.errors import InputError
from populations.presets import load_population
from populations.world import make_world
from sim.detail import Detail
from sim.waitlist import simulate

NO_LEVELS = SimpleNamespace(
    levels=pd.DataFrame(columns=["arm", "measure", "grouping", "group", "value"])
)
OVERRIDES = ("list.initial=60", "arrivals.per_year=30", "kidneys.per_year=20")
MEASURED = (
    decisions.indecision_rate,
    decisions.distance,
    decisions.over_decisiveness,
    life_years,
    rates.transplant_rate,
)
DESIGN = Design(model="llm:m")
CELLS = DESIGN.cells()


def frame(values: dict[str, list[float]], measure: str = "life_years") -> pd.DataFrame:
    """Rows of measures: by arm, the value in each world, split over two tie seeds around it."""
    rows = [
        {"arm": arm, "world": world, "tie_seed": seed, "measure": measure, "value": value * factor}
        for arm, worlds in values.items()
        for world, value in enumerate(worlds)
        for seed, factor in enumerate((0.5, 2.0) if measure.endswith("_ratio") else (0.5, 1.5))
    ]
    blank = {"grouping": "all", "group": "all", "numerator": 1.0, "denominator": 1.0, "note": ""}
    return pd.DataFrame(rows).assign(low=np.nan, high=np.nan, **blank)


def made_up(seed: int = 3, worlds: int = 4) -> dict[str, list[float]]:
    rng = np.random.default_rng(seed)
    return {arm: list(rng.uniform(1, 9, worlds)) for arm in DESIGN.arms}


def one(found: pd.DataFrame, effect: str) -> pd.Series:
    rows = found[found["effect"] == effect]
    assert len(rows) == 1
    return rows.iloc[0]


def test_effects_of_two_by_two_by_hand():
    """One world each way: 10, 12 with human values, 15, 21 with the model's."""
    cells = dict(zip(CELLS, ([10.0] * 2, [12.0] * 2, [15.0] * 2, [21.0] * 2), strict=True))
    rest = {arm: [30.0] * 2 for arm in DESIGN.arms if arm not in CELLS}
    found = effects(frame(cells | rest), DESIGN)
    value = found.set_index("effect")["value"]
    assert value[MISALIGNMENT] == pytest.approx((5 + 9) / 2)
    assert value[INDECISION] == pytest.approx((2 + 6) / 2)
    assert value["both"] == pytest.approx(11)
    assert value[INTERACTION] == pytest.approx(4)
    assert value["misalignment, coin kept"] == pytest.approx(5)
    assert value["misalignment, coin removed"] == pytest.approx(9)
    assert value["missing indecision, human values"] == pytest.approx(2)
    assert value["missing indecision, model's values"] == pytest.approx(6)
    assert value[REST] == pytest.approx(9) and value[WHOLE] == pytest.approx(20)
    assert value["anchor: lottery"] == pytest.approx(20) and value[PEOPLE] == 0


def test_parts_add_up_to_the_whole():
    found = effects(frame(made_up()), DESIGN).set_index("effect")["value"]
    assert found[MISALIGNMENT] + found[INDECISION] == pytest.approx(found["both"])
    assert found["both"] + found[REST] == pytest.approx(found[WHOLE])
    assert found[TEMPERATURE] + found[POSITION] == pytest.approx(found[REST])


def test_intervals_are_over_worlds_tie_seeds_averaged_first():
    values = made_up()
    found = effects(frame(values), DESIGN)
    for effect, weights in EFFECTS.items():
        by_world = sum(w * np.array(values[arm]) for w, arm in zip(weights, CELLS, strict=True))
        half = student.ppf(0.975, 3) * by_world.std(ddof=1) / 2
        got = one(found, effect)
        assert got["value"] == pytest.approx(by_world.mean())
        assert got["high"] - got["value"] == pytest.approx(half)
        assert got["value"] - got["low"] == pytest.approx(half)
        assert got["worlds"] == 4


def test_ratios_multiply():
    values = made_up()
    found = effects(frame(values, "transplant_rate_ratio"), DESIGN).set_index("effect")["value"]
    logs = {arm: np.log(worlds).mean() for arm, worlds in values.items()}
    hk, hn, lk, ln = (logs[arm] for arm in CELLS)
    assert found[MISALIGNMENT] == pytest.approx(np.exp((lk - hk + ln - hn) / 2))
    assert found[INTERACTION] == pytest.approx(np.exp(ln - lk - hn + hk))
    assert found[MISALIGNMENT] * found[INDECISION] == pytest.approx(found["both"])
    assert found["both"] * found[REST] == pytest.approx(found[WHOLE])


def test_undefined_in_a_world_is_undefined():
    values = made_up()
    values[CELLS.model_kept][1] = np.nan
    found = effects(frame(values), DESIGN).set_index("effect")["value"]
    assert np.isnan(found[MISALIGNMENT]) and np.isfinite(found[REST])


def test_of_answers_that_are_drawn_the_rest_has_no_parts():
    """A step from the model without its coin to its likeliest answers leads away from it."""
    found = effects(frame(made_up()), DESIGN, drawn=True)
    assert not {TEMPERATURE, POSITION} & set(found["effect"])
    value = found.set_index("effect")["value"]
    assert value["both"] + value[REST] == pytest.approx(value[WHOLE])


@pytest.mark.parametrize("drawn", [True, False])
def test_the_steps_of_the_figure_lead_to_the_model(drawn: bool):
    measured = frame(made_up())
    panel = Panel("life-years", "life_years", "all", "all", ratio=False)
    found = effects(measured, DESIGN, drawn)
    plot = figure_of(levels_of(measured), found, CELLS, DESIGN.model, [panel], "On nothing")
    steps = plot.data[plot.data["panel"] == "steps"]
    parts = ["rest"] if drawn else ["rest:\ntemperature", "rest: position,\nits own coin"]
    ends = ("human,\nwith coin", "model\nas used")
    named = [ends[0], "misalignment", "missing\nindecision", *parts, ends[1]]
    assert list(steps["step"]) == named
    labels = [tick.get_text() for tick in plot.figure.axes[1].get_xticklabels()]
    assert labels == named
    assert steps["end"].iloc[-2] == pytest.approx(steps["value"].iloc[-1])


def of_missing(human: list[float], model: list[float]) -> tuple[SimpleNamespace, Outcome]:
    """A study in which missing indecision does this in each world, by whose values."""
    zeros = [0.0] * len(human)
    cells = dict(zip(CELLS, (zeros, human, zeros, model), strict=True))
    found = SimpleNamespace(effects=effects(frame(cells), DESIGN))
    return found, Outcome("life-years", "life_years", ".2f")


def test_an_average_of_unlike_effects_is_not_shown_alone():
    opposite, outcome = of_missing([-1.0, -1.1, -0.9], [1.0, 1.1, 0.9])
    assert not np.isclose(one(opposite.effects, INTERACTION)["value"], 0)
    assert one(opposite.effects, INDECISION)["value"] == pytest.approx(0)
    parts = unlike(opposite, outcome)
    assert [(whose, each["value"]) for whose, each in parts] == [
        ("human values", pytest.approx(-1.0)),
        ("model's values", pytest.approx(1.0)),
    ]
    # One of them alone is told from none, though they are not told from one another.
    alone, _ = of_missing([1.0, 1.1, 0.9], [-0.5, 3.0, 0.2])
    assert not detectable(one(alone.effects, INTERACTION)) and len(unlike(alone, outcome)) == 2
    alike, _ = of_missing([1.0, 1.1, 0.9], [1.1, 0.9, 1.0])
    assert unlike(alike, outcome) == []
    undefined, _ = of_missing([1.0, 1.1, 0.9], [1.1, np.nan, 1.0])
    assert unlike(undefined, outcome) == []
    shown = factorial_tables._effects_table(
        SimpleNamespace(effects=opposite.effects, design=DESIGN, base=NO_LEVELS), [outcome], "T"
    )
    column = next(iter(shown.columns[3].cells))
    assert "human values: [bold]-1.00" in column and "model's values: [bold]+1.00" in column


def test_weak_values_are_warned_of():
    rows = [
        {"arm": "calibrated(weak, human)", "factor": 1.0, "spread": 0.009, "spread_other": 1.09},
        {"arm": "calibrated(weak, human, 2)", "factor": 2.0, "spread": 0.009, "spread_other": 1.09},
        {"arm": "calibrated(strong, human)", "factor": 1.0, "spread": 0.11, "spread_other": 1.09},
        {"arm": "calibrated(weak, band)", "factor": 1.0, "spread": 0.009, "spread_other": None},
    ]
    found = SimpleNamespace(calibration=pd.DataFrame(rows), design=DESIGN)
    (said,) = weak_values(found)
    for part in ("calibrated(weak, human) are weak", "0.009, against 1.090 for human", "A)"):
        assert part in said


def test_removed_by_argmax_there_is_no_more_temperature():
    design = Design(model="llm:m", mode="argmax")
    values = {arm: [float(number), 2.0] for number, arm in enumerate(design.arms)}
    found = effects(frame(values), design).set_index("effect")["value"]
    assert found[TEMPERATURE] == 0 and found[POSITION] == pytest.approx(found[REST])


def test_a_level_and_its_change_from_the_base():
    cells = Cells("human", "b", "c", "d")
    levels = [Level("base", "", "", CELLS), Level("x", "1", "said", cells)]
    assert levels[1].arms == levels[1].cells
    values = dict(zip(CELLS, ([10.0] * 2, [12.0] * 2, [15.0] * 2, [21.0] * 2), strict=True))
    values |= {"b": [10.0, 12.0], "c": [11.0, 13.0], "d": [14.0, 20.0]}
    found = factors(frame(values), levels)
    rows = found.set_index(["factor", "quantity", "effect"])["value"]
    # human kept stays 10: misalignment ((1, 3) + (4, 8)) / 2 averages to 4, the base has 7.
    assert rows["x", "effect", MISALIGNMENT] == pytest.approx(4)
    assert rows["x", "change", MISALIGNMENT] == pytest.approx(4 - 7)
    assert rows["x", "effect", INDECISION] == pytest.approx(3)
    assert rows["x", "change", INDECISION] == pytest.approx(3 - 4)
    assert rows["base", "effect", INTERACTION] == pytest.approx(4)
    changed = Level("x", "1", "said", cells, {"discretion": "pair"})
    assert changed.arms == Cells("human [x 1]", "b [x 1]", "c [x 1]", "d [x 1]")


def test_calibrations_are_told_once_each():
    same = calibrated(human_half_a(), human(), 0.5)
    cards = {same.name: same.card, f"forced({same.name}, argmax)": same.card, "llm:m": {"pairs": 1}}
    table, curves = calibrations(cards)
    assert list(table["arm"]) == [same.name] and len(curves) == 6
    assert table.loc[0, "factor"] == 0.5
    assert table.loc[0, "coin"] == pytest.approx(table.loc[0, "coin_other"] / 2, abs=1e-9)
    assert (curves["curve"] < curves["curve_other"]).all()


def test_cells_and_levels():
    assert (
        Cells(
            "human",
            "forced(human, renormalise)",
            "calibrated(llm:m, human)",
            "forced(calibrated(llm:m, human), renormalise)",
        )
        == CELLS
    )
    levels = DESIGN.levels()
    assert levels[0].cells == CELLS
    assert {level.factor for level in levels[1:]} == set(FACTORS)
    named = {(level.factor, level.name) for level in levels}
    assert ("mode", "argmax") in named and ("mode", "renormalise") not in named
    assert ("lottery-memory", "persistent") in named
    assert {("discretion", "pair"), ("discretion", "top:10")} < named
    kept = next(level for level in levels if level.factor == "listing-order")
    assert kept.cells.model_kept == "with_coin(llm:m, calibrated(llm:m, human))"
    half = next(level for level in levels if level.name == "0.5")
    assert half.cells.model_removed == "forced(calibrated(llm:m, human, 0.5), renormalise)"
    assert half.cells[:2] == CELLS[:2]


def test_no_study_runs_what_another_has():
    main_arms = set(DESIGN.arms)
    for name, arms, changes in studies(DESIGN, DESIGN.levels()):
        assert len(set(arms)) == len(arms), name
        assert set(arms) == set(CELLS) if changes else not set(arms) & main_arms
    sizes = {name: len(arms) for name, arms, _ in studies(DESIGN, DESIGN.levels())}
    assert sizes == {
        "mode": 11,
        "listing-order": 2,
        "lottery-memory persistent": 4,
        "discretion top:10": 4,
        "discretion pair": 4,
        "calibration": 4,
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"factors": ("mood",)}, "factor 'mood'"),
        ({"study": Study(worlds=1)}, "worlds = 1"),
        ({"model": "human"}, "model 'human'"),
        ({"mode": "argmin"}, "unknown mode"),
    ],
)
def test_wrong_designs_are_refused(changes: dict, said: str):
    with pytest.raises(InputError, match=said):
        Design(**changes).check()


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch):
    """Makes a fitted policy known by name for one test."""

    def plant(name: str, values: Davidson, log_tie: float, order: float = 0.0) -> str:
        policy = Davidson(name, values.values, log_tie, order)
        monkeypatch.setitem(POLICIES, name, Entry("planted for a test", lambda: policy))
        return name

    return plant


def simulated(design: Design) -> pd.DataFrame:
    """A few measures of the main study's arms in two small worlds, without the runner."""
    population = load_population("teaching", OVERRIDES).parameters
    nowhere = Path("no-such-folder")
    detail = Detail(make_policy(design.human, nowhere), decisions.compare)
    frames = []
    for number in (0, 1):
        world = make_world(population, 1, number, 2.0)
        for arm in dict.fromkeys((*design.cells(), design.decisive, design.model)):
            record = simulate(world, make_policy(arm, nowhere), "all", 0, deepcopy(detail))
            parts = [measure(record) for measure in MEASURED]
            parts.append(rates.transplant_rate_ratio(record, "race"))
            frames.append(pd.concat(parts).assign(arm=arm, world=number, tie_seed=0))
    return pd.concat(frames, ignore_index=True)


def effects_of(design: Design) -> dict[str, pd.Series]:
    """Effects by name, then by measure and group, ratios as logarithms, where defined."""
    drawn = answers_drawn(make_policy(design.model, Path("no-such-folder")))
    found = effects(simulated(design), design, drawn).set_index(["effect", "measure", "group"])
    ratios = found.index.get_level_values("measure").str.endswith("_ratio")
    values = found["value"].mask(ratios, np.log(found["value"].where(ratios))).dropna()
    return {name: part.droplevel(0) for name, part in values.groupby(level="effect")}


def test_the_values_of_people_are_not_misaligned(planted):
    """Other indecision and an advantage of position are no misalignment."""
    found = effects_of(Design(model=planted("planted", human(), log_tie=1.0, order=1.5)))
    for name in (MISALIGNMENT, INTERACTION):
        assert len(found[name]) > 5
        np.testing.assert_allclose(found[name], 0, atol=1e-9)
    assert found[INDECISION]["indecision_rate", "all"] < -0.3
    assert found[INDECISION]["over_decisiveness", "all"] > 0.05
    assert found[REST].abs().max() > 0  # where its position is, and its own coin
    assert POSITION not in found


def test_where_nobody_flips_no_indecision_is_missing(planted):
    found = effects_of(
        Design(
            model=planted("planted", human_half_a(), log_tie=0.5),
            human=planted("decisive", human(), log_tie=-40.0),
        )
    )
    for name in (INDECISION, INTERACTION):
        np.testing.assert_allclose(found[name], 0, atol=1e-9)
    assert found[MISALIGNMENT]["distance", "all"] > 0.01


def test_what_is_written_said_and_drawn(planted, tmp_path: Path, monkeypatch, capsys):
    """The whole, with fewer anchors and levels; the figures of the main study are not its own."""
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(compare, "draw", lambda results, folder: None)
    monkeypatch.setattr(factorial_design, "_DISCRETIONS", ("all", "pair"))
    for module in (factorial, factorial_design, factorial_tables):
        monkeypatch.setattr(module, "ANCHORS", ("lottery",))
    study = Study(
        population="teaching",
        overrides=OVERRIDES,
        worlds=2,
        years=1,
        tie_seeds=1,
        out=tmp_path,
        answers=tmp_path / "answers.sqlite",
    )
    model = planted("planted", human_half_a(), log_tie=1.0, order=0.5)
    found = run_factorial(Design(study, model, factors=("discretion",)))
    asked = [Asked.read(text) for text in ("life_years", "transplant_rate:sex=female")]
    shown = [outcome_of(each, found) for each in asked]
    print_factorial(found, shown, console())
    draw(found, shown)
    said = " ".join(capsys.readouterr().out.split())
    for part in (
        "Who decides, and how",
        "1: answers are drawn",
        "0: the likeliest answer, always",
        "removed: renormalise",
        "People against people: human-half-b",
        "One factor at a time: life-years",
        "discretion pair instead of all",
        "Missing indecision. ",
    ):
        assert part in said or part.replace(" ", "\n") in said, part
    assert "No detectable difference" in " ".join(effect_sentences(found))
    assert "no detectable difference" in " ".join(factor_sentences(found, shown))
    # Its answers are drawn, so the rest has no parts.
    assert "What the rest is made of" not in said
    assert not {TEMPERATURE, POSITION} & set(found.effects["effect"])
    assert "SD of" in said and "are weak" not in said
    assert {path.name for path in tmp_path.iterdir()} == {
        "factorial.csv",
        "factors.csv",
        "calibration.csv",
        "calibration_curves.csv",
        "factorial.json",
        "figures",
        "cells",
    }
    pair = found.factors[found.factors["level"] == "pair"]
    assert set(pair["quantity"]) == {"effect", "change"}
    changed = pair[(pair["measure"] == "indecision_rate") & (pair["quantity"] == "change")]
    assert changed["value"].abs().max() > 0.1  # a pair is seldom undecided, a list often
    table = pd.read_csv(tmp_path / "factorial.csv")
    assert list(table) == [
        *("effect", "measure", "grouping", "group", "value", "low", "high", "worlds", "p")
    ]
    calibration = pd.read_csv(tmp_path / "calibration.csv").set_index("arm")
    assert len(calibration) == 1
    np.testing.assert_allclose(
        calibration["coin"], calibration["coin_other"] * calibration["factor"], atol=1e-9
    )
    assert json.loads((tmp_path / "factorial.json").read_text())["mode"] == "renormalise"
    steps = pd.read_csv(tmp_path / "figures" / "effects.csv")
    steps = steps[(steps["panel"] == "steps") & (steps["measure"] == "life_years")]
    assert steps["start"].iloc[-1] == pytest.approx(steps["value"].iloc[-1])  # the bars meet it
    assert (tmp_path / "figures" / "effects.png").stat().st_size > 10_000
    with pytest.raises(InputError, match="not in this study"):
        outcome_of(Asked("life_years.total"), found)


@pytest.mark.parametrize(
    ("text", "temperature", "coin"),
    [
        ("human", "1:", "kept"),
        ("forced(human, renormalise)", "1:", "removed: renormalise"),
        ("forced(human, argmax)", "0:", "removed: argmax"),
        ("forced(human, stable_id)", "1:", "removed: stable_id"),
        ("forced(modal(human), stable_id)", "0:", "removed: stable_id"),
        ("modal(human)", "0:", "its own"),
        ("lottery", "lots alone", ""),
        ("first-come", "a rule", "none"),
    ],
)
def test_temperature_is_told(text: str, temperature: str, coin: str):
    said = decides(make_policy(text, Path("no-such-folder")))
    assert said[0].startswith(temperature) and said[1].startswith(coin)


def test_what_no_policy_changes_is_no_outcome():
    names = ("systemic_exclusion", "systemic_exclusion.independent", "life_years")
    measured = [frame({arm: [1.0, 2.0] for arm in CELLS}, name) for name in names]
    base = SimpleNamespace(levels=levels_of(pd.concat(measured)))
    there = [each.measure for each in outcomes(SimpleNamespace(base=base))]
    assert sorted(there) == ["life_years", "systemic_exclusion"]
    with pytest.raises(InputError, match="nearly the same under every policy"):
        Asked.read("systemic_exclusion.independent")


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("human", True),
        ("modal(human)", False),
        ("forced(human, renormalise)", True),
        ("forced(human, argmax)", False),
        ("forced(modal(human), stable_id)", False),
        ("first-come", False),
    ],
)
def test_whether_answers_are_drawn(text: str, drawn: bool):
    assert answers_drawn(make_policy(text, Path("no-such-folder"))) is drawn


@pytest.mark.parametrize(
    ("option", "wrong"),
    [
        ("--factors", "mood"),
        ("--measures", "life_yaers"),
        ("--measures", "life_years:race=Blue"),
        ("--measures", "transplant_gini"),
        ("--measures", "ex_ante.gini_ex_post"),
        ("--mode", "argmin"),
        ("--workers", "-1"),
    ],
)
def test_the_command_refuses_in_one_line(tmp_path: Path, option: str, wrong: str):
    result = CliRunner().invoke(
        main, ["run", "factorial", option, wrong, "--out", str(tmp_path / "out")]
    )
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert wrong.partition("=")[2] in result.stderr
    assert not (tmp_path / "out").exists()
