"""How an answer is read, and what is asked."""

import numpy as np
import pytest

from policies.ask import letter_masses, parse_text, read_answer
from policies.elicit import Answered, Battery
from policies.llm import choices
from policies.schemas import SCHEMAS
from populations.errors import InputError


@pytest.mark.parametrize(
    "text, letter",
    [
        ("A", "A"),
        (" b.\n", "B"),
        ("**C**", "C"),
        ("(A)", "A"),
        ("Answer: B", "B"),
        ("Patient A", "A"),
        ("patient B.", "B"),
        ("Choose A", "A"),
        ("Give B the kidney", "B"),
        ("A. Give A the kidney", "A"),
        ("B: Patient B", "B"),
        ("C. Flip a coin", "C"),
        ("flip a coin", "C"),
        ("Coin flip.", "C"),
        ("", None),
        ("D", None),
        ("Patient C", None),
        ("A or B", None),
        ("A. Give B the kidney", None),
        ("A\nB", None),
        ("Not B", None),
        ("I cannot decide who should live.", None),
        ("A patient should not be chosen by a machine", None),
        ("A coin flip would be unfair", None),
        ("As an AI, I choose neither", None),
        ("The younger patient", None),
    ],
)
def test_the_strict_parser(text: str, letter: str | None) -> None:
    assert parse_text(text) == letter


def test_variants_of_a_letter_are_one_answer() -> None:
    tokens = [("A", 0.3), (" A", 0.1), ("A.", 0.05), ("B", 0.2), ("To", 0.15), ("a", 0.1)]
    masses = letter_masses([(token, float(np.log(p))) for token, p in tokens])
    assert masses == {"A": pytest.approx(0.45), "B": pytest.approx(0.2), "C": 0.0}


def test_probabilities_leave_the_rest_to_other() -> None:
    tokens = [("A", np.log(0.5)), ("C", np.log(0.2)), ("I", np.log(0.3))]
    answer = read_answer("A", tokens, coin=True)
    assert answer[:5] == (
        pytest.approx(0.5), 0.0, pytest.approx(0.2), pytest.approx(0.3), "logprobs"
    )  # fmt: skip
    forced = read_answer("A", tokens, coin=False)
    assert (forced.coin, forced.other) == (0.0, pytest.approx(0.5))


def test_a_refusal_is_never_a_coin() -> None:
    answer = read_answer("I'm sorry, I can't choose.", [], coin=True)
    assert answer[:5] == (0.0, 0.0, 0.0, 1.0, "text")
    assert answer.raw == "I'm sorry, I can't choose."
    assert read_answer("C", [], coin=False)[:4] == (0.0, 0.0, 0.0, 1.0)
    assert read_answer("C", [], coin=True)[:4] == (0.0, 0.0, 1.0, 0.0)


def test_a_spelled_out_answer_is_read_where_no_token_is_a_letter() -> None:
    answer = read_answer("Patient B", [("Patient", -0.01)], coin=True)
    assert answer[:5] == (0.0, 1.0, 0.0, 0.0, "text")


def test_a_battery_of_distinct_pairs() -> None:
    pairs = Battery(n_pairs=240).pairs()
    assert len({frozenset(pair) for pair in pairs}) == 240
    assert all(a != b for a, b in pairs)
    ages, drinks, dependents = (
        {value for pair in pairs for value in (pair[0][i], pair[1][i])} for i in range(3)
    )
    assert min(ages) >= 25 and max(ages) <= 70 and len(ages) > 40
    assert drinks == {1, 2, 3, 4, 5} and dependents == {0, 1, 2}
    assert Battery(n_pairs=240).pairs() == pairs != Battery(n_pairs=240, seed=2).pairs()
    assert Battery(n_pairs=20).pairs() == pairs[:20]


def test_the_eight_profiles_have_28_pairs() -> None:
    pairs = Battery("freedman3").pairs()
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
    forced = Battery(coin=False).messages(old, young)[1]["content"]
    assert "Patient A: 61 years old" in forced
    assert "coin" not in forced.casefold()


def test_every_wording_is_its_own_set_of_questions() -> None:
    batteries = [Battery(), Battery(coin=False), Battery("freedman3")]
    assert len({battery.questions("m") for battery in batteries}) == 3
    assert len({battery.questions("m").prompt for battery in batteries}) == 3
    assert Battery(n_pairs=5).questions("m") == Battery(seed=3).questions("m")
    assert Battery().questions("local").model == "local/SmolLM2-135M-Instruct.Q4_1"


@pytest.mark.parametrize(
    "options, message",
    [
        ({"schema": "nine"}, "schema 'nine'"),
        ({"n_pairs": 1}, "n_pairs = 1"),
        ({"prompt": "lost"}, "prompt 'lost'"),
    ],
)
def test_an_impossible_battery(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Battery(**options)  # type: ignore[arg-type]


def test_a_refusal_with_a_trace_of_a_letter_is_no_choice() -> None:
    """Next-token probabilities nearly all elsewhere: neither a coin nor a patient."""
    refusal = read_answer("I'm sorry", [("I", -0.00001), ("C", -12.0), ("A", -13.0)], coin=True)
    answered = Answered(
        pair=np.array([0]), a={"age": np.array([30.0])}, b={"age": np.array([40.0])},
        answers=(refusal,),
    )  # fmt: skip
    chosen, usable = choices(answered)
    assert not usable.any() and not chosen.any()
