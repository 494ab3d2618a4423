"""What a model is tuned on."""

from types import SimpleNamespace

import numpy as np
import pytest

from policies.choices import read_choices
from policies.finetune.examples import COIN, FIRST, SECOND, Examples, drawn, from_people, split
from policies.human import human
from populations.errors import InputError


def _examples(n: int = 40, people: int = 8) -> Examples:
    answers = drawn(human(), "indecision3", n, seed=3)
    return Examples(
        answers.schema, answers.first, answers.second, answers.answer, np.arange(n) % people
    )


def test_drawn_answers_have_the_judges_rates() -> None:
    always = SimpleNamespace(
        name="planted", judge=lambda a, b: np.tile([0.2, 0.3, 0.5], (len(a["age"]), 1))
    )
    counts = np.bincount(drawn(always, "indecision3", 4000, seed=1).answer) / 4000
    assert counts == pytest.approx([0.2, 0.3, 0.5], abs=4 * np.sqrt(0.25 / 4000))


def test_drawn_answers_follow_the_order_shown() -> None:
    older_first = SimpleNamespace(
        name="planted",
        judge=lambda a, b: np.eye(3)[np.where(a["age"] > b["age"], FIRST, SECOND)],
    )
    answers = drawn(older_first, "indecision3", 200, seed=1)
    expected = np.where(answers.first[:, 0] > answers.second[:, 0], FIRST, SECOND)
    assert answers.answer.tolist() == expected.tolist()


def test_pairs_to_judge_by_are_never_drawn_and_no_pair_twice() -> None:
    # 36 profiles make 630 pairs: with half of them avoided, drawing the rest must miss them all.
    everything = drawn(human(), "indecision3-coarse", 630, seed=2).pairs()
    assert len(set(everything)) == 630
    avoid = everything[:315]
    rest = drawn(human(), "indecision3-coarse", 315, seed=9, avoid=avoid).pairs()
    assert not set(rest) & set(avoid)
    with pytest.raises(InputError, match="316 answers"):
        drawn(human(), "indecision3-coarse", 316, seed=9, avoid=avoid)


def test_more_answers_begin_with_the_same_ones() -> None:
    few, many = (drawn(human(), "indecision3", n, seed=5) for n in (16, 64))
    assert few.pairs() == many.pairs()[:16]


def test_both_orders_say_the_same_about_the_same_patients() -> None:
    examples = _examples()
    both = examples.both_orders()
    n = len(examples)
    assert len(both) == 2 * n
    for row in range(n):
        assert both.shown()[n + row] == both.shown()[row][::-1]
        swapped = {FIRST: SECOND, SECOND: FIRST, COIN: COIN}[int(both.answer[row])]
        assert both.answer[n + row] == swapped


def test_shuffling_keeps_questions_and_rates_and_nothing_else() -> None:
    examples = _examples(200)
    shuffled = examples.shuffled(seed=1)
    assert shuffled.shown() == examples.shown()
    assert sorted(shuffled.answer) == sorted(examples.answer)
    assert (shuffled.answer != examples.answer).mean() > 0.3


def test_people_and_their_pairs_are_held_out() -> None:
    examples = _examples(40, people=8)
    # Person 0 and person 1 judged the same pair: it must not be learned from if either is held out.
    first, second = examples.first.copy(), examples.second.copy()
    first[1], second[1] = second[0], first[0]
    examples = Examples(examples.schema, first, second, examples.answer, examples.person)
    for seed in range(20):
        learned, held_out = split(examples, 0.25, seed)
        assert len(set(held_out.person)) == 2
        assert not set(learned.person) & set(held_out.person)
        assert not set(learned.pairs()) & set(held_out.pairs())


def test_people_who_all_judged_the_same_pairs_leave_nothing_to_learn() -> None:
    few = _examples(4, people=1)
    same = Examples(
        few.schema,
        np.tile(few.first, (5, 1)),
        np.tile(few.second, (5, 1)),
        np.tile(few.answer, 5),
        np.repeat(np.arange(5), 4),
    )
    with pytest.raises(InputError, match="nothing to learn from"):
        split(same, 0.2, 0)


def test_one_person_cannot_be_held_out() -> None:
    with pytest.raises(InputError, match="1 people"):
        split(_examples(10, people=1), 0.5, 0)


def test_answers_from_a_file(tmp_path) -> None:
    file = tmp_path / "answers.csv"
    file.write_text(
        "person,decision,left_age,left_drinks_per_day,left_child_dependents,"
        "right_age,right_drinks_per_day,right_child_dependents\n"
        "x,right,30,1,0,40,2,1\n"
        "y,coin,50,5,2,25,1,0\n"
    )
    examples = from_people(read_choices(file))
    assert examples.shown() == [((30, 1, 0), (40, 2, 1)), ((50, 5, 2), (25, 1, 0))]
    assert examples.answer.tolist() == [SECOND, COIN]
    assert examples.person.tolist() == [0, 1]
    own = read_choices(
        file, attributes=["age=25:70:-", "drinks_per_day=1:5:-", "child_dependents=0:2:+"]
    )
    with pytest.raises(InputError, match="a prompt needs words"):
        from_people(own)
