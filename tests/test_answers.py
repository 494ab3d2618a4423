"""The answer store: nothing lost, nothing asked twice, unusable files named."""

import sqlite3
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from policies.answers import Answer, AnswerStore, Questions
from populations.errors import InputError

QUESTIONS = Questions("some/model", "study-1-abc", "indecision3", True)
ANSWER = Answer(0.5, 0.25, 0.125, 0.125, "logprobs", '{"text": "A"}')


def test_an_answer_comes_back_as_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "answers.sqlite"
    with AnswerStore(path) as store:
        store.add(QUESTIONS, "30,1,0 | 40,1,0", "ab", ANSWER)
        # Another process sees it at once, before the first one closes the file.
        with AnswerStore(path) as other:
            assert other.load(QUESTIONS) == {("30,1,0 | 40,1,0", "ab"): ANSWER}


@pytest.mark.parametrize(
    "field, value",
    [("model", "other"), ("prompt", "study-2"), ("schema", "freedman3"), ("coin", False)],
)
def test_other_questions_have_other_answers(tmp_path: Path, field: str, value: object) -> None:
    with AnswerStore(tmp_path / "a.sqlite") as store:
        store.add(QUESTIONS, "pair", "ab", ANSWER)
        assert store.load(QUESTIONS._replace(**{field: value})) == {}


def test_the_first_answer_stays(tmp_path: Path) -> None:
    with AnswerStore(tmp_path / "a.sqlite") as store:
        store.add(QUESTIONS, "pair", "ab", ANSWER)
        store.add(QUESTIONS, "pair", "ab", ANSWER._replace(first=0.75, second=0.0))
        assert store.load(QUESTIONS) == {("pair", "ab"): ANSWER}


def _write(path: Path, writer: int) -> None:
    with AnswerStore(path) as store:
        for number in range(30):
            store.add(QUESTIONS, f"{writer}-{number}", "ab", ANSWER)


def test_several_processes_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        list(pool.map(_write, [path] * 3, range(3)))
    with AnswerStore(path) as store:
        assert len(store.load(QUESTIONS)) == 90


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.sqlite"
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(InputError, match=r"broken\.sqlite.*not a database"):
        AnswerStore(path)
    assert path.read_bytes().startswith(b"this is not")


def test_another_programs_table_is_named(tmp_path: Path) -> None:
    path = tmp_path / "foreign.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE answers (question TEXT, reply TEXT)")
    connection.close()
    with AnswerStore(path) as store, pytest.raises(InputError, match=r"foreign\.sqlite"):
        store.load(QUESTIONS)


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=str(tmp_path)):
        AnswerStore(tmp_path)
