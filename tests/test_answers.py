"""The answer store: nothing lost, nothing asked twice, unusable files named."""

import json
import multiprocessing
import sqlite3
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from policies.answer_files import export_answers, import_answers
from policies.answers import Answer, AnswerStore, Asked, Questions, fault, in_order
from populations.errors import InputError

QUESTIONS = Questions("some/model", "", "study-1-abc", "", "indecision3", "coin")
PAIR = "30,1,0 | 40,1,0"
ASKED = Asked(PAIR, "ab", 0)
ANSWER = Answer((0.5, 0.25), 0.125, 0.125, "choice", "logprobs", '{"text": "A"}')


def test_an_answer_comes_back_as_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "answers.sqlite"
    with AnswerStore(path) as store:
        store.add(QUESTIONS, ASKED, ANSWER)
        # Another process sees it at once, before the first one closes the file.
        with AnswerStore(path) as other:
            assert other.load(QUESTIONS) == {ASKED: ANSWER}


@pytest.mark.parametrize(
    "field, value",
    [
        ("model", "other"),
        ("adapter", "values@1"),
        ("prompt", "study-2"),
        ("steer", "abcd"),
        ("schema", "freedman3"),
        ("option", "none"),
    ],
)
def test_other_questions_have_other_answers(tmp_path: Path, field: str, value: object) -> None:
    with AnswerStore(tmp_path / "a.sqlite") as store:
        store.add(QUESTIONS, ASKED, ANSWER)
        assert store.load(QUESTIONS._replace(**{field: value})) == {}


def test_the_first_answer_stays(tmp_path: Path) -> None:
    with AnswerStore(tmp_path / "a.sqlite") as store:
        store.add(QUESTIONS, ASKED, ANSWER)
        store.add(QUESTIONS, ASKED, ANSWER._replace(chosen=(0.75, 0.0)))
        assert store.load(QUESTIONS) == {ASKED: ANSWER}


def _write(path: Path, writer: int) -> None:
    with AnswerStore(path) as store:
        for number in range(30):
            store.add(QUESTIONS, Asked(PAIR, "ab", 100 * writer + number), ANSWER)


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
    with pytest.raises(InputError, match=r"foreign\.sqlite.*other columns"):
        AnswerStore(path)


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=str(tmp_path)):
        AnswerStore(tmp_path)


def test_a_file_of_the_first_layout_is_carried_over(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    raw = json.dumps({"text": "A", "tokens": [["A", -0.1]]})
    rows = [
        ("m", "study-1-abc", "indecision3", 1, "40,1,0 | 30,1,0", "ab", 0.5, 0.2, 0.2, 0.1, raw),
        ("m", "study-1-abc", "indecision3", 1, "40,1,0 | 30,1,0", "ba", 0.1, 0.2, 0.7, 0.0, raw),
        ("m", "study-1-abc", "indecision3", 1, "9,1,0 | 30,1,0", "ba", 0.0, 0.0, 0.0, 1.0,
         "I can't help with that"),
        ("m", "study-1-def", "indecision3", 0, "9,1,0 | 30,1,0", "ab", 0.0, 1.0, 0.0, 0.0, "B"),
    ]  # fmt: skip
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE answers (model TEXT, prompt TEXT, schema TEXT, coin INTEGER, pair TEXT, "
            "shown TEXT, p_a REAL NOT NULL, p_b REAL NOT NULL, p_coin REAL NOT NULL, other REAL NOT"
            " NULL, read TEXT NOT NULL, raw TEXT NOT NULL, created TEXT NOT NULL, "
            "PRIMARY KEY (model, prompt, schema, coin, pair, shown))"
        )
        for *values, said in rows:
            connection.execute(
                f"INSERT INTO answers VALUES ({', '.join('?' * 13)})",
                (*values, "text", said, "2026-01-01T00:00:00Z"),
            )
    connection.close()
    questions = Questions("m", "", "study-1-abc", "", "indecision3", "coin")
    for _ in range(2):  # carried over once, then simply opened
        with AnswerStore(path) as store:
            # Patients have an order of their own: 40 shown before 30 is "ba".
            assert store.load(questions) == {
                Asked(PAIR, "ba", 0): Answer((0.5, 0.2), 0.2, 0.1, "choice", "text", raw),
                Asked(PAIR, "ab", 0): Answer((0.1, 0.2), 0.7, 0.0, "coin", "text", raw),
                Asked("9,1,0 | 30,1,0", "ba", 0): Answer(
                    (0.0, 0.0), 0.0, 1.0, "refusal", "text", "I can't help with that"
                ),
            }
            forced = questions._replace(prompt="study-1-def", option="none")
            assert [answer.second for answer in store.load(forced).values()] == [1.0]
            assert {row["created"] for row in store.rows()} == {"2026-01-01T00:00:00Z"}


def test_the_same_patients_are_one_pair_in_any_order() -> None:
    young, old, older = (9.0, 5.0), (30.0, 1.0), (30.0, 2.0)
    assert in_order([young, old]) == ("9,5 | 30,1", "ab")
    assert in_order([old, young]) == ("9,5 | 30,1", "ba")
    assert in_order([older, young, old]) == ("9,5 | 30,1 | 30,2", "cab")


@pytest.mark.parametrize(
    "change, said",
    [
        ({"chosen": (0.6, 0.25)}, "do not sum to 1"),
        ({"chosen": (1.5, -0.75)}, "not probabilities"),
        ({"chosen": (0.25, 0.25, 0.25)}, "3 probabilities"),
        ({"category": "maybe"}, "category 'maybe'"),
        ({"category": "refusal"}, "category 'refusal' contradicts"),
        ({"category": "coin"}, "category 'coin' contradicts"),
        ({"chosen": (0.1, 0.1), "other": 0.675}, "category 'choice' contradicts"),
        ({"read": "tea leaves"}, "read 'tea leaves'"),
    ],
)
def test_a_stored_answer_that_cannot_be_is_named(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    assert fault(ASKED, ANSWER) == ""
    with AnswerStore(tmp_path / "a.sqlite") as store:
        store.add(QUESTIONS, ASKED, ANSWER._replace(**change))  # type: ignore[arg-type]
        with pytest.raises(InputError, match=said):
            store.load(QUESTIONS)


@pytest.mark.parametrize(
    "asked, said",
    [
        (Asked(PAIR, "ab", -1), "sample -1"),
        (Asked("foo | bar", "ab", 0), "pair 'foo | bar'"),
        (Asked("40,1,0 | 30,1,0", "ab", 0), "ascending order"),
        (Asked("30,1,0 | 40,1", "ab", 0), "ascending order"),
        (Asked("30.0,1,0 | 40,1,0", "ab", 0), "ascending order"),
        (Asked("30,1,0 | inf,1,0", "ab", 0), "ascending order"),
    ],
)
def test_a_question_that_nobody_asks_is_named(asked: Asked, said: str) -> None:
    assert said in fault(asked, ANSWER)


@pytest.mark.parametrize("category", ["choice", "coin"])
def test_a_tie_may_have_been_called_either(category: str) -> None:
    tie = ANSWER._replace(chosen=(0.4, 0.1), coin=0.4, other=0.1, category=category)
    assert fault(ASKED, tie) == ""


def _hold(path: Path, held: Event, end: Event) -> None:
    with AnswerStore(path) as store, store.alone(QUESTIONS) as alone:
        assert alone
        held.set()
        end.wait(20)


def test_one_process_at_a_time_asks_the_same_questions(tmp_path: Path) -> None:
    path, context = tmp_path / "a.sqlite", multiprocessing.get_context("spawn")
    held, end = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(path, held, end))
    other.start()
    assert held.wait(20)
    with AnswerStore(path) as store:
        with store.alone(QUESTIONS) as alone:
            assert not alone
        with store.alone(QUESTIONS._replace(model="another")) as alone:
            assert alone
        other.kill()  # no farewell: the system gives the lock back
        other.join()
        with store.alone(QUESTIONS) as alone:
            assert alone


def _filled(path: Path) -> AnswerStore:
    store = AnswerStore(path)
    store.add(QUESTIONS, ASKED, ANSWER)
    store.add(QUESTIONS, Asked(PAIR, "ba", 0), ANSWER._replace(raw="B"))
    store.add(
        QUESTIONS._replace(model="m2", option="none"),
        Asked("1 | 2 | 3", "cab", 2),
        Answer((0.0, 0.0, 1.0), 0.0, 0.0, "choice", "text", "C"),
    )
    return store


def test_answers_travel_as_parquet(tmp_path: Path) -> None:
    file = tmp_path / "x" / "answers.parquet"
    with _filled(tmp_path / "a.sqlite") as store, AnswerStore(tmp_path / "b.sqlite") as other:
        assert export_answers(store, file, note="by hand") == 3
        assert import_answers(other, file) == (3, 3)
        assert other.rows() == store.rows()
        assert import_answers(other, file) == (0, 3)
    made = json.loads(pq.read_schema(file).metadata[b"equipoise"])
    assert made["answers"] == 3 and made["note"] == "by hand"


def test_an_answer_that_is_there_stays(tmp_path: Path) -> None:
    file = tmp_path / "answers.parquet"
    with _filled(tmp_path / "a.sqlite") as store, AnswerStore(tmp_path / "b.sqlite") as other:
        export_answers(store, file, model="some/model")
        mine = ANSWER._replace(chosen=(0.25, 0.5))
        other.add(QUESTIONS, ASKED, mine)
        assert import_answers(other, file) == (1, 2)
        assert other.load(QUESTIONS)[ASKED] == mine


def test_part_of_the_answers_and_without_words(tmp_path: Path) -> None:
    file = tmp_path / "answers.parquet"
    with _filled(tmp_path / "a.sqlite") as store, AnswerStore(tmp_path / "b.sqlite") as other:
        assert export_answers(store, file, prompt="study-1", model="m2", raw=False) == 1
        assert import_answers(other, file) == (1, 1)
        assert [row["raw"] for row in other.rows()] == [""]
        with pytest.raises(InputError, match="no answers of schema 'freedman3'"):
            export_answers(store, file, schema="freedman3")


@pytest.mark.parametrize(
    "column, value, said",
    [
        ("coin", 0.5, r"row 1: probabilities .* do not sum to 1"),
        ("category", "maybe", r"row 1: category 'maybe'"),
        ("shown", "ac", r"row 1: 2 probabilities for patients shown 'ac'"),
        ("model", None, r"row 1: model has no value"),
        ("chosen", None, r"row 1: sample or chosen has no value"),
        ("model", "a\x1b[2Jb", r"row 1: model 'a\\x1b\[2Jb' is not printable"),
        ("read", "", "no column read"),
    ],
)
def test_a_file_that_is_no_export_is_refused_whole(
    tmp_path: Path, column: str, value: object, said: str
) -> None:
    file = tmp_path / "answers.parquet"
    with _filled(tmp_path / "a.sqlite") as store, AnswerStore(tmp_path / "b.sqlite") as other:
        export_answers(store, file)
        table = pq.read_table(file)
        rows = table.to_pylist()
        place = next(i for i, row in enumerate(rows) if row["shown"] == "ba")
        rows = [rows[place], *rows[:place], *rows[place + 1 :]]
        rows[0][column] = value
        changed = pa.Table.from_pylist(rows, schema=table.schema)
        pq.write_table(changed.drop_columns([column]) if value == "" else changed, file)
        with pytest.raises(InputError, match=said):
            import_answers(other, file)
        assert other.rows() == []
        file.write_text("model,prompt\n")
        with pytest.raises(InputError, match="expected a Parquet file"):
            import_answers(other, file)
