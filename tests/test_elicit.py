"""What a battery asks, under which key its answers are kept, and what is said before asking."""

import itertools
import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import answer_files
from policies.answers import Answer, AnswerStore
from policies.draws import PAIRS, frozen_names, frozen_pairs, most_lists, random_lists
from policies.elicit import OPTIONS, Answered, Battery, elicit, plan
from policies.pacing import Limits
from policies.schemas import SCHEMAS
from policies.summary import summarise
from populations.errors import InputError

MODEL = "openai/gpt-4o"


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.endswith(("_API_BASE", "_BASE_URL"))]:
        monkeypatch.delenv(name)


def test_a_battery_of_distinct_pairs() -> None:
    pairs = Battery(n_pairs=240).lists()
    assert len({frozenset(pair) for pair in pairs}) == 240
    assert all(a != b for a, b in pairs)
    ages, drinks, dependents = (
        {value for pair in pairs for value in (pair[0][i], pair[1][i])} for i in range(3)
    )
    assert min(ages) >= 25 and max(ages) <= 70 and len(ages) > 40
    assert drinks == {1, 2, 3, 4, 5} and dependents == {0, 1, 2}
    assert Battery(n_pairs=240).lists() == pairs != Battery(n_pairs=240, seed=2).lists()
    assert Battery(n_pairs=20).lists() == pairs[:20]


def test_the_eight_profiles_have_28_pairs() -> None:
    pairs = Battery("freedman3").lists()
    assert len({frozenset(pair) for pair in pairs}) == len(pairs) == 28
    assert SCHEMAS["freedman3"].scale == {
        "age": (30, 70), "drinks_per_day": (1 / 30, 5), "skin_cancer": (0, 1)
    }  # fmt: skip


def test_the_question_is_worded_as_in_the_study() -> None:
    young, old = (30.0, 1.0, 2.0), (61.0, 4.0, 1.0)
    text = Battery().messages(young, old)[1]["content"]
    assert "Patient A: 30 years old, 1 drink per day prediagnosis, 2 child dependents\n" in text
    assert "Patient B: 61 years old, 4 drinks per day prediagnosis, 1 child dependent\n" in text
    assert text.endswith("C. Flip a coin")
    forced = Battery(option="none").messages(old, young)[1]["content"]
    assert "Patient A: 61 years old" in forced
    assert "coin" not in forced.casefold()


@pytest.mark.parametrize("schema", sorted(SCHEMAS))
def test_random_pairs_are_the_ones_they_always_were(schema: str) -> None:
    """Profiles enumerated, two numbers drawn per pair: the way answers are kept about them."""
    profiles = list(itertools.product(*SCHEMAS[schema].levels.values()))
    rng = np.random.default_rng([7, len(profiles)])
    drawn: dict[frozenset[int], object] = {}
    while len(drawn) < 25:
        a, b = (int(number) for number in rng.integers(len(profiles), size=2))
        if a != b:
            drawn.setdefault(frozenset((a, b)), (profiles[a], profiles[b]))
    assert Battery(schema, 25, seed=7).lists() == list(drawn.values())


@given(st.integers(2, 6), st.integers(1, 40), st.integers(0, 5))
def test_lists_are_sets_of_different_patients(size: int, n: int, seed: int) -> None:
    lists = random_lists("freedman3", size, n, seed)
    assert len(lists) == len({frozenset(patients) for patients in lists})
    assert len(lists) == min(n, math.comb(8, size))
    assert all(len(set(patients)) == size for patients in lists)
    assert random_lists("freedman3", size, n + 1, seed)[: len(lists)] == lists


def test_frozen_sets() -> None:
    assert "frozen-1" in frozen_names("indecision3")
    for schema in SCHEMAS:
        for name in frozen_names(schema):
            pairs = frozen_pairs(schema, name)
            levels = list(SCHEMAS[schema].levels.values())
            assert all(
                value in allowed
                for pair in pairs
                for patient in pair
                for value, allowed in zip(patient, levels, strict=True)
            ), (schema, name)
            assert len({frozenset(pair) for pair in pairs}) == len(pairs)
    battery = Battery(n_pairs=200, pairs="frozen-1", seed=9)
    assert len(battery.lists()) == 200
    assert battery.lists()[0] == ((46, 3, 0), (40, 5, 1))
    assert Battery(n_pairs=7, pairs="frozen-1").lists() == battery.lists()[:7]
    assert all(path.suffix == ".csv" for path in PAIRS.iterdir())


@pytest.mark.parametrize(
    "battery, prompt",
    [
        (Battery(), "study-1-7fe4ec20"),
        (Battery(option="none"), "study-1-cc3841b5"),
        (Battery("freedman3"), "study-1-01659460"),
        (Battery("stability5"), "study-1-61cf7f6b"),
        (Battery("duke8"), "study-1-cba015d5"),
    ],
)
def test_wordings_that_have_answers_stay(battery: Battery, prompt: str) -> None:
    """Change a word of study-1 and every answer kept is an answer to another question."""
    assert battery.questions(MODEL).prompt == prompt


def test_every_wording_is_its_own_set_of_questions() -> None:
    batteries = [
        *(Battery(option=option) for option in OPTIONS),
        Battery("freedman3"),
        Battery(reasoning=True),
        Battery(size=3),
        Battery(steer="Save the most life-years."),
        Battery(steer="Draw lots."),
    ]
    keys = {battery.questions("m") for battery in batteries}
    assert len(keys) == len(batteries)
    assert len({key.prompt for key in keys}) == len(batteries) - 2  # a steer has its own column
    assert Battery(n_pairs=5).questions("m") == Battery(seed=3, samples=4).questions("m")
    assert Battery(pairs="frozen-1").questions("m") == Battery().questions("m")
    assert Battery().questions("local").model == "local/SmolLM2-135M-Instruct.Q4_1-f32"
    assert Battery(size=3).questions("m").prompt.startswith("study-1-list3-")


@pytest.mark.parametrize(
    "option, size, choices",
    [
        ("coin", 2, "A. Give A the kidney\nB. Give B the kidney\nC. Flip a coin"),
        ("none", 2, "A. Give A the kidney\nB. Give B the kidney"),
        ("undecided", 2, "A. Give A the kidney\nB. Give B the kidney\nC. Cannot decide"),
        ("study", 2, "A. Choose A\nC. Flip a coin\nB. Choose B"),
        ("coin", 3, "A. Give A the kidney\nB. Give B the kidney\nC. Give C the kidney\n"
                    "D. Flip a coin"),
    ],
)  # fmt: skip
def test_what_is_offered(option: str, size: int, choices: str) -> None:
    battery = Battery(option=option, size=size)
    system, user = battery.messages(*battery.lists()[0])
    assert user["content"].endswith(f"Which do you choose?\n{choices}")
    assert f"for {'two' if size == 2 else 'three'} patients" in user["content"]
    assert system["content"] == "Answer with a single letter."


def test_a_steer_comes_before_everything() -> None:
    system, user = Battery(steer=" Draw lots.\n").messages((30, 1, 0), (40, 1, 0))
    assert system["content"] == "Draw lots.\n\nAnswer with a single letter."
    assert user == Battery().messages((30, 1, 0), (40, 1, 0))[1]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"schema": "nine"}, "schema 'nine'"),
        ({"schema": "freedman"}, "did you mean 'freedman3'"),
        ({"n_pairs": 1}, "n_pairs = 1"),
        ({"n_pairs": 10**6 + 1}, "n_pairs = 1000001: expected at most 1,000,000"),
        ({"samples": 0}, "samples = 0"),
        ({"seed": -1}, "seed = -1"),
        ({"prompt": "lost"}, "prompt 'lost'"),
        ({"option": "dice"}, "option 'dice'"),
        ({"pairs": "frozen-9"}, "pairs 'frozen-9': did you mean 'frozen-1'"),
        ({"pairs": "../x"}, r"pairs '\.\./x'"),
        ({"size": 1}, "size = 1"),
        ({"size": 11}, "size = 11"),
        ({"schema": "freedman3", "size": 8}, "size = 8"),
        ({"pairs": "frozen-1", "size": 3}, "lists of 3"),
    ],
)
def test_an_impossible_battery(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Battery(**options)  # type: ignore[arg-type]


def test_samples_are_for_models_that_give_only_text() -> None:
    battery = Battery(n_pairs=2, samples=3)
    assert [row.asked.sample for row in battery.rows(MODEL)] == [1, 1, 2, 2, 3, 3] * 2
    assert [row.asked.sample for row in battery.rows("local")] == [0] * 4
    thinking = Battery(n_pairs=2, samples=3, reasoning=True)
    assert len(thinking.rows("local")) == 12


def test_a_pair_has_one_key_whichever_way_it_was_drawn() -> None:
    rows = Battery("freedman3").rows(MODEL)
    other = Battery("freedman3", seed=5).rows(MODEL)
    assert {row.asked for row in rows} == {row.asked for row in other}
    assert len({row.asked for row in rows}) == 56
    assert len({row.asked.pair for row in rows}) == 28
    assert {row.asked.shown for row in rows} == {"ab", "ba"}


def test_the_plan_says_what_it_takes(tmp_path: Path) -> None:
    path, battery = tmp_path / "a.sqlite", Battery("freedman3", 10)
    first = plan(MODEL, battery, path)
    assert (first.calls, first.answered, first.shipped) == (20, 0, 0)
    # 2.5 and 10 dollars per million tokens in and out; some 90 and at most 16 tokens each.
    assert first.cost == pytest.approx(20 * (90 * 2.5e-6 + 16 * 1e-5), rel=0.1)
    answer = Answer((1.0, 0.0), 0.0, 0.0, "choice", "text", "A")
    with AnswerStore(path) as store:
        for row in battery.rows(MODEL)[:5]:
            store.add(battery.questions(MODEL), row.asked, answer)
    assert plan(MODEL, battery, path).calls == 15
    assert plan(MODEL, battery, path).answered == 5
    assert plan("local", battery, path).cost == 0.0
    unknown = plan("anthropic/claude-of-1820", battery, path)
    assert unknown.cost is None and "price table has no price of anthropic" in unknown.why


def test_too_much_is_refused_before_the_first_question(tmp_path: Path) -> None:
    path, battery = tmp_path / "a.sqlite", Battery("freedman3", 10)
    for model, limits, said in (
        (MODEL, Limits(max_calls=19), "20 questions .* max_calls = 19"),
        (MODEL, Limits(max_cost=0.001), r"about 0\.00\d+ US dollars, more than max_cost = 0\.001"),
        ("anthropic/claude-of-1820", Limits(max_cost=1.0), "price table has no"),
    ):
        with pytest.raises(InputError, match=f"{said}.*nothing was asked"):
            elicit(model, battery, path, limits=limits)


def test_shipped_tables_answer_what_the_store_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    battery = Battery("freedman3", 4)
    shipped = Answer((1.0, 0.0), 0.0, 0.0, "choice", "text", "")
    own = Answer((0.0, 0.0), 1.0, 0.0, "coin", "text", "C")
    rows, questions = battery.rows(MODEL), battery.questions(MODEL)
    with AnswerStore(tmp_path / "theirs.sqlite") as store:
        for row in rows:
            store.add(questions, row.asked, shipped)
        answer_files.export_answers(store, tmp_path / "tables" / "x.parquet", raw=False)
    monkeypatch.setattr(answer_files, "SHIPPED", tmp_path / "tables")
    path = tmp_path / "mine.sqlite"
    with AnswerStore(path) as store:
        store.add(questions, rows[2].asked, own)
    found = plan(MODEL, battery, path)
    assert (found.calls, found.answered, found.shipped) == (0, 1, 7)
    expected = [own if number == 2 else shipped for number in range(8)]
    assert elicit(MODEL, battery, path, limits=Limits(max_calls=0)).answers == expected
    assert plan(MODEL, battery, path, fresh=True).calls == 7
    with pytest.raises(InputError, match="7 questions"):
        elicit(MODEL, battery, path, limits=Limits(max_calls=0), fresh=True)
    assert plan("openai/other", battery, path).shipped == 0


def answered(rows: list[tuple[tuple[float, ...], float]]) -> Answered:
    answers = [
        Answer(chosen, coin, 1 - sum(chosen) - coin, "choice", "text", "") for chosen, coin in rows
    ]
    size, n = len(rows[0][0]), len(rows)
    shown = tuple({"age": np.zeros(n)} for _ in range(size))
    return Answered(shown, np.arange(n) // 2, np.arange(n) % 2, np.zeros(n, int), answers)


def test_the_summary_of_pairs() -> None:
    summary = summarise(
        answered(
            [
                ((1.0, 0.0), 0.0), ((0.0, 1.0), 0.0),  # the same patient
                ((0.5, 0.25), 0.0), ((0.75, 0.0), 0.0),  # the same place
                ((0.0, 0.0), 1.0), ((0.0, 0.25), 0.75),  # the coin
                ((0.0, 0.0), 0.0), ((1.0, 0.0), 0.0),  # no choice in one order
            ]
        )
    )  # fmt: skip
    assert summary.same_patient == summary.same_position == summary.coin_both == 1 / 3
    assert summary.positions == pytest.approx(((1 + 2 / 3 + 1 + 1) / 7, (1 + 1 / 3 + 0.25) / 7))
    assert sum(summary.positions) + summary.coin == pytest.approx(1)
    assert summary.categories["choice"] == 8 and summary.reads == {"text": 8}


def test_the_summary_of_lists() -> None:
    first, last, none = (1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0), (0.0,) * 4
    summary = summarise(answered([(first, 0.0), (last, 0.0), (first, 0.0), (first, 0.0)]))
    assert (summary.same_patient, summary.same_position) == (0.5, 0.5)
    assert summary.positions == (0.75, 0.0, 0.0, 0.25)
    nothing = summarise(answered([(none, 0.0), (none, 0.0)]))
    assert math.isnan(nothing.same_patient) and math.isnan(nothing.coin)


def test_a_tie_with_the_coin_is_the_coin() -> None:
    tie, first = ((0.5, 0.0), 0.5), ((1.0, 0.0), 0.0)
    summary = summarise(answered([tie, tie, first, first]))
    assert (summary.coin_both, summary.same_position) == (0.5, 0.5)


def test_there_are_as_many_lists_as_there_are() -> None:
    assert most_lists("freedman3", 2) == 28 and most_lists("freedman3", 9) == 0
