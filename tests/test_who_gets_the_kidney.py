"""The experiment and its page: every sentence comes from the numbers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from fake_model import FakeModel, age, first, serve

from experiments import kidney_page, surrogate_and_live, tuned, who_gets_the_kidney
from experiments.inference import contrast, detectable, differences
from experiments.kidney_groups import transplants_by_group
from experiments.sentences import Outcome, verdict
from experiments.tables import listing, model_sentence, number
from experiments.terminal import console
from policies import live
from sim.record import Record

RATE = Outcome("rate", "rate", ".2f")
RATIO = Outcome("ratio", "some_ratio", ".2f")


def of(
    outcome: Outcome, value: float, low: float, high: float, p: float = np.nan
) -> dict[str, object]:
    numbers = {"value": value, "low": low, "high": high, "p": p, "worlds": 4}
    return {"measure": outcome.measure, "grouping": "all", "group": "all", **numbers}


# ---- sentences -----------------------------------------------------------------------------------


def test_a_verdict_names_what_differs_and_what_does_not():
    other = RATE._replace(label="other", measure="other")
    lost = RATE._replace(label="lost", measure="lost")
    share = Outcome("share", "share", ".1%")
    found = pd.DataFrame(
        [
            of(RATE, 0.5, 0.25, 0.75),
            of(RATIO, 0.8, 0.5, 1.25),
            of(other, -0.004, -0.5, 0.5),
            of(share, -0.1, -0.2, -0.05),
            of(lost, np.nan, np.nan, np.nan),
        ]
    )
    assert verdict(found, [RATE, RATIO, other, share, lost, RATE._replace(group="x")]) == (
        "Differs in rate +0.50 (+0.25 to +0.75); share -10.0 pp (-20.0 pp to -5.0 pp). "
        "No detectable difference in ratio x 0.80 (0.50 to 1.25); other 0.00 (-0.50 to +0.50). "
        "Undefined in some world: lost; rate."
    )


def test_a_ratio_is_detectable_where_one_is_outside():
    for low, high, clear in ((0.5, 0.9, True), (0.9, 1.1, False), (1.1, 2.0, True)):
        assert detectable(pd.Series(of(RATIO, 1.0, low, high))) is clear
        assert detectable(pd.Series(of(RATE, 1.0, low, high))) is True
    assert not detectable(pd.Series(of(RATE, 1.0, np.nan, np.nan)))  # one world


def test_worlds_that_agree_are_said_to():
    few = pd.DataFrame([of(RATE, 1.0, np.nan, np.nan, 0.125)])
    assert verdict(few, [RATE]) == (
        "The same in every world, too few to rule out chance: rate +1.00 (in each of 4 worlds)."
    )
    many = pd.DataFrame([of(RATE, 1.0, np.nan, np.nan, 2.0**-9) | {"worlds": 10}])
    assert verdict(many, [RATE]) == "Differs in rate +1.00 (in each of 10 worlds)."


@pytest.mark.parametrize(
    ("gap", "left", "change", "said"),
    [
        ((1, 0.5, 1.5), (0.1, -0.2, 0.4), (-0.9, -1.2, -0.6), "repaired"),
        ((1, 0.5, 1.5), (0.4, 0.2, 0.6), (-0.6, -0.8, -0.4), "partly"),
        ((1, 0.5, 1.5), (0.6, -0.1, 1.3), (-0.4, -1.0, 0.2), "not"),  # only its noise differs
        ((1, 0.5, 1.5), (-2, -3, -1), (-3, -4, -2), "worse"),
        ((0.1, -0.5, 0.7), (0.2, -0.5, 0.9), (0.1, -0.1, 0.3), "none"),
        ((0.1, -0.1, 0.3), (1, 0.5, 1.5), (0.9, 0.5, 1.3), "worse"),
        ((1, 0.5, 1.5), (-0.8, -1.0, -0.6), (-1.8, -2.4, -1.2), "overshot"),
        ((0.3, -0.1, 0.7), (0.4, 0.2, 0.6), (0.1, -0.3, 0.5), "new"),
        ((0.9, -0.1, 1.9), (0.4, 0.2, 0.6), (-0.5, -0.9, -0.1), "new"),
    ],
)
def test_what_tuning_repaired_is_told_by_the_paired_change(gap, left, change, said):
    rows = [pd.Series(of(RATE, *numbers)) for numbers in (gap, left, change)]
    assert kidney_page._repair(rows, RATE)[0] == said


def test_the_advantage_of_position_is_named_beside_the_largest_weight():
    card = {"weights": {"age": -0.31, "drinks_per_day": 0.12}, "order": 0.455}
    said = kidney_page._position("llm:local", card)
    assert "being listed first of two counts +0.455; the largest weight, age, counts -0.310" in said


@pytest.mark.parametrize(
    ("patient", "position", "said"),
    [
        (0.6, 0.4, "by patient."),
        (0.1, 0.8, "by position, not by patient"),
        (0.4, 0.2, "neither by patient nor by position"),
        (np.nan, np.nan, "neither by patient nor by position"),
    ],
)
def test_what_a_model_answers_by(patient, position, said):
    card = {"way": "table", "first_modal": 0.5, "second_modal": 0.3, "coin_modal": 0.2,
            "coin_both": 0.1, "same_patient": patient, "same_position": position}  # fmt: skip
    assert said in model_sentence("table(llm:x)", card)


def test_a_name_is_no_emoji():
    terminal = console()
    with terminal.capture() as shown:
        terminal.print("values:cat:x", listing("policies", [("values:cat:x",)], ("name",)))
    assert shown.get().count("values:cat:x") == 2


def measures() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        [
            {"arm": arm, "world": world, "tie_seed": seed, "measure": measure, "grouping": "all",
             "group": "all", "value": rng.uniform(1, 2), "numerator": 1.0, "denominator": 1.0}
            for arm in "abc" for world in range(4) for seed in range(2)
            for measure in ("rate", "some_ratio")
        ]
    )  # fmt: skip


def test_a_contrast_of_two_is_the_paired_difference():
    expected = differences(measures(), "b").query("arm == 'a'").drop(columns="arm")
    found = contrast(measures(), {"a": 1, "b": -1})
    of_families = ["family", "p_holm"]  # a contrast is not declared
    expected = expected.drop(columns=of_families).reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected, check_like=True)


def test_a_contrast_is_taken_within_each_world():
    table = measures().query("measure == 'rate'")
    means = table.groupby(["arm", "world"])["value"].mean()
    within = means["a"] + 0.5 * means["b"] - 2 * means["c"]
    found = contrast(table, {"a": 1, "b": 0.5, "c": -2}).iloc[0]
    assert found["value"] == pytest.approx(within.mean())
    half = 3.18244630528 * within.std() / 2  # t with 3 degrees of freedom
    assert (found["low"], found["high"]) == pytest.approx(
        (within.mean() - half, within.mean() + half)
    )


# ---- the experiment ------------------------------------------------------------------------------


def oldest(patients: list[str]) -> list[float]:
    ages = list(map(age, patients))
    return [float(place == ages.index(max(ages))) for place in range(len(ages))] + [0.0]


def youngest(patients: list[str]) -> list[float]:
    ages = list(map(age, patients))
    return [float(place == ages.index(min(ages))) for place in range(len(ages))] + [0.0]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory):
    """The experiment with a raw model that wants the oldest and a tuned one that does not."""
    patch, folder = pytest.MonkeyPatch(), tmp_path_factory.mktemp("who")
    (folder / "tuned").mkdir()
    (folder / "tuned" / "adapter.gguf").write_bytes(b"low rank")
    raw, other = FakeModel(oldest), FakeModel(youngest)
    serve(patch, lambda name: other if "+" in name else raw)
    patch.setattr("experiments.compare.draw", lambda *_: None)
    patch.setattr("experiments.align_files.draw", lambda *_: {})
    patch.setattr("experiments.who_gets_the_kidney.process_pool", _no_pool)
    out = folder / "out"
    result = CliRunner().invoke(
        who_gets_the_kidney.main,
        ["--worlds", "2", "--years", "1", "--workers", "1", "--tuned", str(folder / "tuned"),
         "--population", str(_small(folder)), "--answers", str(folder / "a.sqlite"),
         "--out", str(out)],
    )  # fmt: skip
    patch.undo()
    assert result.exit_code == 0, result.output
    return out, result.output, f"local+{folder / 'tuned'}"


class _no_pool:  # noqa: N801
    def __init__(self, workers: int) -> None: ...

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def _small(folder: Path) -> Path:
    path = folder / "small.toml"
    path.write_text(
        'extends = "survey"\ndescription = "small"\n'
        'list = { initial = { value = 150, tag = "A", source = "small" } }\n'
        'arrivals = { per_year = { value = 75, tag = "A", source = "small" } }\n'
        'kidneys = { per_year = { value = 60, tag = "A", source = "small" } }\n'
    )
    return path


def test_all_arms_ran(done):
    out, _, changed = done
    levels = pd.read_csv(out / "levels.csv")
    assert list(dict.fromkeys(levels["arm"])) == [
        "human",
        "llm:local",
        f"llm:{changed}",
        "lottery",
        "forced(human, renormalise)",
        "forced(human, argmax)",
        "with_coin(llm:local, human)",
        f"with_coin(llm:{changed}, human)",
    ]


def test_the_page_says_what_the_tables_say(done):
    out, _, _ = done
    page = (out / "page.md").read_text()
    found = pd.read_csv(out / "differences.csv")
    for arm in ("llm:local", "forced(human, argmax)", "with_coin(llm:local, human)", "lottery"):
        here = found[(found["arm"] == arm) & (found["measure"] == "misalignment")].iloc[0]
        shown = [number(here[key], ".3f", True) for key in ("value", "low", "high")]
        assert f"misalignment M {shown[0]} ({shown[1]} to {shown[2]})" in page


def test_every_section_is_there(done):
    out, _, changed = done
    sections = (out / "page.md").read_text().split("\n## ")[1:]
    parts = {section.partition("\n")[0]: section for section in sections}
    assert parts["What the judges answer"].count("held-out agreement on the most likely") == 2
    for name in ("llm:local", f"llm:{changed}"):
        assert (
            f"The values of {name} and its advantage of position, with the indecision of human"
            in parts["What misalignment did"]
        )
        assert f"| {name} against human |" in parts["Both: the models as they decide"]
    assert parts["What missing indecision did"].count("The values of human without the coin") == 2
    assert parts["What tuning repaired"].count(" from ") + parts["What tuning repaired"].count(
        "Nothing detectable"
    )
    # Every group of five attributes: 4 ages, 5 drinks, 3 dependents, 5 races, 2 sexes.
    assert parts["To whom"].count("\n| ") == 1 + 4 + 5 + 3 + 5 + 2


def test_whom_it_touched_is_named_the_most_affected_first():
    rates = {"18-34": (9.0, 1.0), "35-49": (4.0, 6.0), "50-64": (5.0, 5.2), "65+": (1.0, 9.5)}
    rng = np.random.default_rng(0)
    groups = pd.DataFrame(
        [
            {"arm": arm, "world": world, "tie_seed": 0, "measure": "transplant_rate",
             "grouping": "age_band", "group": group, "value": both[place] + rng.normal(0, 0.3),
             "numerator": 1.0, "denominator": 1.0}
            for group, both in rates.items() for place, arm in enumerate(("human", "llm:local"))
            for world in range(5)
        ]
    )  # fmt: skip
    arms = who_gets_the_kidney.arms_of(("local",))
    found = kidney_page.Found(None, arms, None, groups, groups, {})  # type: ignore[arg-type]
    said = kidney_page._whom(found, contrast(groups, {"llm:local": 1, "human": -1}))
    more, less = said.split(" Transplanted less often ")
    assert more.index("age 65+ +8.") < more.index("age 35-49 +") and "50-64" not in said
    assert less.startswith("(difference per 100 person-years): age 18-34 -") and "65+" not in less
    nobody = groups[groups["group"] == "50-64"]
    found = replace(found, groups=nobody)
    said = kidney_page._whom(found, contrast(nobody, {"llm:local": 1, "human": -1}))
    assert said == "No group was detectably transplanted more or less often."


def test_the_terminal_shows_alignment_outcomes_and_page(done):
    _, shown, _ = done
    parts = ("Alignment with human", "What happened", "Paired difference", "held-out agreement")
    page = ("Who gets the kidney, and what follows", "What tuning repaired", "Page, tables")
    places = [shown.index(words) for words in (*parts, *page)]
    assert places == sorted(places)


def test_transplants_by_group_are_counted(done):
    out, _, _ = done
    folder = next((out / "runs").glob("lottery_world0_*"))
    record = Record.load(folder / "tie0")
    found = transplants_by_group({("lottery", 0): folder}, 1)
    people = record.people()
    for name, rows in found.groupby("grouping"):
        assert rows["numerator"].sum() == (people["fate"] == "transplanted").sum(), name
        assert rows["denominator"].sum() == pytest.approx((people["exit"] - people["entry"]).sum())
    heavy = people[people["drinks_per_day"] == 5]
    rate = 100 * (heavy["fate"] == "transplanted").sum() / (heavy["exit"] - heavy["entry"]).sum()
    row = found[(found["grouping"] == "drinks_per_day") & (found["group"] == "5")].iloc[0]
    assert row["value"] == pytest.approx(rate)


def test_without_an_adapter_it_says_how_to_make_one():
    models, missing = tuned.models_there_are("nobody-made-this")
    assert models == ("local",) and "make finetune" in missing
    arms = who_gets_the_kidney.arms_of(models)
    assert len(arms.every) == 6 and arms.models == ("llm:local",)
    empty = pd.DataFrame(columns=["grouping", "group"])
    found = kidney_page.Found(None, arms, None, empty, empty, {})  # type: ignore[arg-type]
    assert "make finetune" in kidney_page._repaired(found)
    assert replace(arms, models=("a", "b")).every[1:3] == ("a", "b")


def test_one_world_is_refused(tmp_path):
    result = CliRunner().invoke(
        who_gets_the_kidney.main, ["--worlds", "1", "--out", str(tmp_path / "out")]
    )
    assert result.exit_code == 2 and not (tmp_path / "out").exists()


# ---- surrogate and live --------------------------------------------------------------------------


def test_a_surrogate_of_a_simple_model_decides_alike(monkeypatch, tmp_path):
    live._asker.cache_clear()
    live._door.cache_clear()
    FakeModel(first).serve(monkeypatch)
    monkeypatch.setattr("experiments.surrogate_and_live.process_pool", _no_pool)
    result = CliRunner().invoke(
        surrogate_and_live.main,
        ["--models", "openai/fake", "--discretions", "pair,top:3", "--worlds", "2", "--years", "1",
         "--workers", "1", "--answers", str(tmp_path / "a.sqlite"), "--out", str(tmp_path)],
    )  # fmt: skip
    live._asker.cache_clear()
    live._door.cache_clear()
    assert result.exit_code == 0, result.output
    page = (tmp_path / "page.md").read_text()
    same = "decided alike (the same chances for everybody) in 100.0 % (100.0 % to 100.0 %)"
    assert page.count(same) == 2  # whoever is first wins both ways
    assert page.count("alike in 100.0 %") == 2 and page.count("Held out") == 2
    assert "no choice, and so a tie: 0" in page
    assert "Differs" not in page and "No detectable difference in transplants" in page
    outcomes = pd.read_csv(tmp_path / "outcomes.csv")
    assert set(outcomes["discretion"]) == {"pair", "top:3"}
    alike = outcomes[outcomes["measure"] == "decided_alike"]
    assert (alike["value"] == 1).all() and len(alike) == 2


def test_a_surrogate_that_misses_something_is_told(monkeypatch, tmp_path):
    """The model wants the oldest, but of two past fifty the younger: no utility does so."""

    def odd(patients: list[str]) -> list[float]:
        old = [age(patient) for patient in patients]
        return oldest(patients) if min(old) < 50 else youngest(patients)

    live._asker.cache_clear()
    live._door.cache_clear()
    FakeModel(odd).serve(monkeypatch)
    monkeypatch.setattr("experiments.surrogate_and_live.process_pool", _no_pool)
    result = CliRunner().invoke(
        surrogate_and_live.main,
        ["--models", "openai/fake", "--discretions", "pair", "--worlds", "2", "--years", "1",
         "--workers", "1", "--answers", str(tmp_path / "a.sqlite"), "--out", str(tmp_path)],
    )  # fmt: skip
    live._asker.cache_clear()
    live._door.cache_clear()
    assert result.exit_code == 0, result.output
    outcomes = pd.read_csv(tmp_path / "outcomes.csv")
    alike = outcomes[outcomes["measure"] == "decided_alike"]["value"].iloc[0]
    moved = outcomes[outcomes["measure"] == "chance_moved"]["value"].iloc[0]
    assert 0.5 < alike < 1 and moved >= 0.5 * (1 - alike)
