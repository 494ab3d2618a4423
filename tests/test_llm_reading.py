"""How an answer is read, and what is asked."""

import numpy as np
import pytest

from policies.answers import Answer
from policies.elicit import Answered
from policies.reading import Form, letter_masses, parse_text, read_answer
from policies.summary import choices

COIN = Form(2, "coin", False)


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
    assert parse_text(text, COIN) == letter


@pytest.mark.parametrize(
    "option, text, letter",
    [
        ("coin", "Heads", "C"),
        ("coin", "tails.", "C"),
        ("study", "heads", "C"),
        ("study", "Choose A", "A"),
        ("undecided", "heads", None),
        ("none", "heads", None),
        ("none", "C", None),
        ("none", "flip a coin", None),
        ("undecided", "Flip a coin", None),
        ("undecided", "C. Cannot decide", "C"),
        ("undecided", "I can\u2019t decide.", "C"),
        ("coin", "I cannot decide", None),
        ("coin", "Heads, so A", None),
    ],
)
def test_what_stands_for_indecision(option: str, text: str, letter: str | None) -> None:
    assert parse_text(text, Form(2, option, False)) == letter


@pytest.mark.parametrize(
    "text, letter",
    [
        ("Both matter. A is younger.\nAnswer: B", "B"),
        ("So.\n\n**Answer: A**\n", "A"),
        ("**Final answer:** C. Flip a coin", "C"),
        ("Answer: heads", "C"),
        ("Answer: A", "A"),
        ("Answer: A\nBut B is younger.", None),
        ("A", None),
        ("My answer would be A", None),
        ("The answer: A", None),
        ("Answer: A or B", None),
        ("Answer:", None),
        ("", None),
    ],
)
def test_reasoning_ends_in_a_line_of_its_own(text: str, letter: str | None) -> None:
    assert parse_text(text, Form(2, "coin", True)) == letter


def test_a_list_has_a_letter_per_patient_and_one_for_the_coin() -> None:
    form = Form(4, "coin", False)
    assert form.letters == "ABCDE"
    assert parse_text("Give D the kidney", form) == "D"
    assert parse_text("Give E the kidney", form) is None
    assert parse_text("flip a coin", form) == "E"
    answer = read_answer("C", [("C", np.log(0.5)), ("E", np.log(0.25))], form)
    assert answer.chosen == (0.0, 0.0, pytest.approx(0.5), 0.0)
    assert (answer.coin, answer.other) == (pytest.approx(0.25), pytest.approx(0.25))


def test_variants_of_a_letter_are_one_answer() -> None:
    tokens = [("A", 0.3), (" A", 0.1), ("A.", 0.05), ("B", 0.2), ("To", 0.15), ("a", 0.1)]
    masses = letter_masses([(token, float(np.log(p))) for token, p in tokens], "ABC")
    assert masses == {"A": pytest.approx(0.45), "B": pytest.approx(0.2), "C": 0.0}


def masses(answer: Answer) -> tuple[float, ...]:
    return (*answer.chosen, answer.coin, answer.other)


def test_probabilities_leave_the_rest_to_other() -> None:
    tokens = [("A", np.log(0.5)), ("C", np.log(0.2)), ("I", np.log(0.3))]
    answer = read_answer("A", tokens, COIN)
    assert masses(answer) == pytest.approx((0.5, 0.0, 0.2, 0.3))
    assert (answer.first, answer.second) == answer.chosen
    assert (answer.category, answer.read) == ("choice", "logprobs")
    forced = read_answer("A", tokens, Form(2, "none", False))
    assert masses(forced) == pytest.approx((0.5, 0.0, 0.0, 0.5))


@pytest.mark.parametrize(
    "shares, category",
    [
        ((0.4, 0.2, 0.3), "choice"),
        ((0.1, 0.3, 0.4), "coin"),
        ((0.5, 0.0, 0.5), "coin"),
        ((0.2, 0.2, 0.05), "unparseable"),
        ((0.0, 0.0, 0.0), "unparseable"),
    ],
)
def test_the_category_is_that_of_the_likeliest_outcome(
    shares: tuple[float, ...], category: str
) -> None:
    rest = 1.0 - sum(shares)
    tokens = [(t, float(np.log(p))) for t, p in zip("ABCX", (*shares, rest), strict=True) if p > 0]
    assert read_answer("", tokens, COIN).category == category


@pytest.mark.parametrize(
    "text, cut, category",
    [
        ("B", False, "choice"),
        ("C", False, "coin"),
        ("tails", False, "coin"),
        ("I can't help with that", False, "refusal"),
        ("I'm sorry, but this is not for me to", True, "refusal"),
        ("As an AI language model, I", True, "refusal"),
        ("I am unable to choose.", False, "refusal"),
        ("Well, let us begin with", True, "cut off"),
        ("The younger one", False, "unparseable"),
        ("", False, "unparseable"),
    ],
)
def test_every_text_has_a_category(text: str, cut: bool, category: str) -> None:
    answer = read_answer(text, [], COIN, cut=cut)
    assert (answer.category, answer.read) == (category, "text")
    assert sum(masses(answer)) == 1.0
    assert answer.other == (category not in ("choice", "coin"))


def test_reasoning_that_was_cut_off_has_no_last_line() -> None:
    form = Form(2, "coin", True)
    assert read_answer("Hm.\nAnswer: A", [], form).category == "choice"
    assert read_answer("Hm.\nAnswer: A", [], form, cut=True).category == "cut off"


def test_a_refusal_is_never_a_coin() -> None:
    answer = read_answer("I'm sorry, I can't choose.", [], COIN)
    assert masses(answer) == (0.0, 0.0, 0.0, 1.0)
    assert (answer.category, answer.raw) == ("refusal", "I'm sorry, I can't choose.")


def test_a_spelled_out_answer_is_read_where_no_token_is_a_letter() -> None:
    tokens = [("Patient", -0.01), ("A", -6.0)]
    answer = read_answer("Patient B", tokens, COIN)
    assert (answer.chosen, answer.read) == ((0.0, 1.0), "text")


def test_a_word_that_looks_like_a_letter_is_no_choice() -> None:
    tokens = [("A", np.log(0.9)), ("B", np.log(0.05))]
    answer = read_answer("A patient should not be chosen by a machine", tokens, COIN)
    assert masses(answer) == (0.0, 0.0, 0.0, 1.0)
    assert answer.category == "unparseable"
    assert read_answer("A. Give A the kidney, since", tokens, COIN).first == pytest.approx(0.9)


def test_a_refusal_with_a_trace_of_a_letter_is_no_choice() -> None:
    """Next-token probabilities nearly all elsewhere: neither a coin nor a patient."""
    refusal = read_answer("I'm sorry", [("I", -0.00001), ("C", -12.0), ("A", -13.0)], COIN)
    assert refusal.category == "refusal"
    patients = ({"age": np.array([30.0])}, {"age": np.array([40.0])})
    zero = np.array([0])
    answered = Answered(patients, zero, zero, zero, [refusal])
    chosen, usable = choices(answered)
    assert not usable.any() and not chosen.any()
