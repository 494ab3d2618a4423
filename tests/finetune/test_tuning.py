"""Making adapters of several sizes, judging them, and going on after an interruption."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("torch", reason="torch is not installed: `make test-finetune`")

from experiments import tuning
from experiments.tuning import RAW, Tuning, tune
from policies.elicit import Battery
from policies.finetune.recipe import Recipe
from policies.human import human
from populations.errors import InputError

RECIPE = Recipe(layers=2, rank=4, steps=4, check_every=2, batch=8, seed=3)


def _tuning(*sizes: int, control: bool = True) -> Tuning:
    return Tuning("tiny", Battery(n_pairs=6), sizes, control, RECIPE, "human")


@pytest.fixture(autouse=True)
def small_model(base, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "load_base", lambda name: base)


def _quiet(stage: str, done: int, total: int) -> None:
    """Report nothing."""


def test_every_adapter_is_made_and_judged(tmp_path: Path) -> None:
    found = tune(_tuning(8, 24), human(), None, tmp_path, _quiet)
    assert list(found["judge"].unique()) == ["human", RAW, "8", "24", "24-shuffled"]
    card = json.loads((tmp_path / "24" / "card.json").read_text())
    assert card["made"]["answers_learned"] + card["made"]["answers_to_stop_by"] == 24
    assert card["made"]["recipe"]["seed"] == 3
    assert [each["step"] for each in card["log_losses"]] == [2, 4]
    agreement = card["measures"]["compare_judges.agreement"]
    row = found[(found["judge"] == "24") & (found["measure"] == "compare_judges.agreement")]
    assert agreement == pytest.approx(row[["value", "low", "high"]].iloc[0].tolist())
    assert (tmp_path / "24" / "peft" / "adapter_config.json").is_file()
    assert not (tmp_path / "24" / "adapter.gguf").exists()  # it is not the embedded model


def test_what_is_finished_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tune(_tuning(8, control=False), human(), None, tmp_path, _quiet)
    made = []
    original = tuning.tuned

    def counted(*arguments):
        made.append(arguments)
        return original(*arguments)

    monkeypatch.setattr(tuning, "tuned", counted)
    again = tune(_tuning(8, 16, control=False), human(), None, tmp_path, _quiet)
    assert len(made) == 1
    pd.testing.assert_frame_equal(again[again["judge"] == "8"], first[first["judge"] == "8"])
    other = Tuning("tiny", Battery(n_pairs=6, option="undecided"), (8,), False, RECIPE, "human")
    tune(other, human(), None, tmp_path, _quiet)
    assert len(made) == 2  # other questions, another adapter


def test_the_untuned_model_is_judged_anew_when_the_questions_change(tmp_path: Path) -> None:
    tune(_tuning(8, control=False), human(), None, tmp_path, _quiet)
    fewer = Tuning("tiny", Battery(n_pairs=4), (16,), False, RECIPE, "human")
    tune(fewer, human(), None, tmp_path, _quiet)
    again = tune(_tuning(8, control=False), human(), None, tmp_path, _quiet)
    counts = again[again["measure"] == "compare_judges.total_variation"]["denominator"]
    assert counts.nunique() == 1


def test_no_pair_it_is_judged_on_is_learned_from() -> None:
    battery = Battery("indecision3-coarse", n_pairs=60)
    plan = Tuning("tiny", battery, (200,), True, RECIPE, "human")
    courses, kept_back = tuning._courses(plan, human(), None)
    usual = Battery("indecision3-coarse").lists()  # what `equipoise align` asks
    judged = {frozenset(pair) for pair in (*battery.lists(), *usual)}
    assert len(kept_back) == 0
    for course in courses:
        learned, held_out = course.parts
        assert not judged & set(learned.pairs())
        assert not judged & set(held_out.pairs())
        assert not set(learned.pairs()) & set(held_out.pairs())
    assert np.array_equal(courses[0].parts[0].first, courses[1].parts[0].first)


def test_what_cannot_be_tuned() -> None:
    for plan in (
        _tuning(4),
        Tuning("tiny", Battery(option="none"), (16,), False, RECIPE, "human"),
        Tuning("tiny", Battery(size=3), (16,), False, RECIPE, "human"),
    ):
        with pytest.raises(InputError):
            plan.check()
