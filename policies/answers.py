"""The answer store: what language models answered, kept for ever so that nothing is asked twice."""

import fcntl
import hashlib
import json
import math
import sqlite3
import string
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from policies.categories import CATEGORIES, LEAST_MASS, categorise
from populations.errors import InputError

READS = ("logprobs", "text")
KEY = (
    "model",
    "adapter",
    "prompt",
    "steer",
    "schema",
    "option",
    "pair",
    "shown",
    "sample",
)
COLUMNS = (*KEY, "chosen", "coin", "other", "category", "read", "raw", "created")

_CREATE = f"""
CREATE TABLE IF NOT EXISTS answers (
    model TEXT NOT NULL, adapter TEXT NOT NULL, prompt TEXT NOT NULL, steer TEXT NOT NULL,
    schema TEXT NOT NULL, option TEXT NOT NULL, pair TEXT NOT NULL, shown TEXT NOT NULL,
    sample INTEGER NOT NULL, chosen TEXT NOT NULL, coin REAL NOT NULL, other REAL NOT NULL,
    category TEXT NOT NULL, read TEXT NOT NULL, raw TEXT NOT NULL, created TEXT NOT NULL,
    PRIMARY KEY ({", ".join(KEY)})
)
"""
_INSERT = f"INSERT OR IGNORE INTO answers VALUES ({', '.join('?' * len(COLUMNS))})"
_NOW = "strftime('%Y-%m-%dT%H:%M:%SZ', 'now')"
_BUSY_SECONDS = 60.0
_ROUNDING = 1e-6


class Questions(NamedTuple):
    """What a set of answers has in common.

    Parameters
    ----------
    model : str
        Name of the model, and the host of its server if that is not its provider's.
    adapter : str
        Name and content hash of a LoRA adapter, "" without one.
    prompt : str
        Version of the prompt: its name and a hash of its wording.
    steer : str
        Hash of the text put before the question, "" without one.
    schema : str
        Name of the set of attributes shown.
    option : str
        Which way of not choosing was offered.
    """

    model: str
    adapter: str
    prompt: str
    steer: str
    schema: str
    option: str


class Asked(NamedTuple):
    """One question among `Questions`.

    Parameters
    ----------
    pair : str
        The patients, two or more, in an order of their own that is always the same.
    shown : str
        The order in which they were shown: "ab" is that order, "ba" the other; "cab" for three.
    sample : int
        0 for the answer at temperature 0, else the number of the draw at temperature 1.
    """

    pair: str
    shown: str
    sample: int


class Answer(NamedTuple):
    """One answer of a model to one question in one order.

    Parameters
    ----------
    chosen : tuple of float
        Probability of choosing each patient, in the order shown.
    coin, other : float
        Probability of the indecision option, and of anything else; all sum to 1.
    category : {"choice", "coin", "refusal", "unparseable", "cut off"}
        What the answer is; of next-token probabilities, the most likely outcome.
    read : {"logprobs", "text"}
        From next-token probabilities, or from the text of one answer.
    raw : str
        What the model returned.
    """

    chosen: tuple[float, ...]
    coin: float
    other: float
    category: str
    read: str
    raw: str

    @property
    def first(self) -> float:
        """Probability of choosing the patient shown first."""
        return self.chosen[0]

    @property
    def second(self) -> float:
        """Probability of choosing the patient shown second."""
        return self.chosen[1]


def fault(asked: Asked, answer: Answer) -> str:
    """What is wrong with a stored answer, in a few words; "" if nothing is."""
    masses = (*answer.chosen, answer.coin, answer.other)
    if not all(isinstance(mass, float) and 0 <= mass <= 1 for mass in masses):
        return f"{masses} are not probabilities"
    if abs(math.fsum(masses) - 1) > _ROUNDING:
        return f"probabilities {masses} do not sum to 1"
    size = len(answer.chosen)
    if size < 2 or "".join(sorted(asked.shown)) != string.ascii_lowercase[:size]:
        return f"{size} probabilities for patients shown {asked.shown!r}"
    if asked.pair.count(" | ") != size - 1:
        return f"{size} probabilities for patients {asked.pair!r}"
    if not _canonical(asked.pair):
        return f"pair {asked.pair!r} is not patients in numbers, in ascending order"
    if asked.sample < 0:
        return f"sample {asked.sample} is not 0 or more"
    if answer.category not in CATEGORIES:
        return f"category {answer.category!r} is not one of {', '.join(CATEGORIES)}"
    if answer.category not in _possible(answer):
        return f"category {answer.category!r} contradicts probabilities {masses}"
    if answer.read not in READS:
        return f"read {answer.read!r} is not one of {', '.join(READS)}"
    return ""


def _canonical(pair: str) -> bool:
    """Whether patients are called what `in_order` calls them."""
    try:
        patients = [tuple(map(float, patient.split(","))) for patient in pair.split(" | ")]
    except ValueError:
        return False
    alike = len({len(patient) for patient in patients}) == 1
    finite = all(math.isfinite(value) for patient in patients for value in patient)
    return alike and finite and in_order(patients)[0] == pair


def _possible(answer: Answer) -> list[str]:
    """The categories that an answer's probabilities allow; at a tie, those of either side."""
    rounded, best = _ROUNDING, max(answer.chosen)
    allowed = []
    if answer.other <= 1 - LEAST_MASS + rounded:
        allowed += ["choice"] * (best >= answer.coin - rounded)
        allowed += ["coin"] * (answer.coin >= best - rounded)
    if answer.other >= 1 - LEAST_MASS - rounded:
        allowed += [kind for kind in CATEGORIES if kind not in ("choice", "coin")]
    return allowed


class AnswerStore:
    """A SQLite file of answers, usable by several processes at once; a context manager.

    Every answer is committed by itself, so that a crash or Ctrl-C loses none. A file of the first
    layout (pairs only) is carried over when it is opened.

    Parameters
    ----------
    path : Path
        The file; made with its folders if it does not exist. A file ``<name>.lock`` beside it
        keeps two processes from asking the same questions at once.

    Raises
    ------
    InputError
        From every method, if the file cannot be read or written as a store of answers.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error
        try:
            if "p_a" in self._columns():
                self._carry_over()
            self._execute(_CREATE)
            if self._columns() != COLUMNS:
                raise self._unusable(ValueError("its table `answers` has other columns"))
        except InputError:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()

    def load(self, questions: Questions, pair: str = "") -> dict[Asked, Answer]:
        """All answers to these questions; with ``pair`` only those about these patients."""
        rows = self._execute(
            "SELECT pair, shown, sample, chosen, coin, other, category, read, raw FROM answers "
            "WHERE model = ? AND adapter = ? AND prompt = ? AND steer = ? AND schema = ? "
            "AND option = ? AND ? IN ('', pair)",
            (*questions, pair),
        )
        known = {}
        for *key, chosen, coin, other, category, read, raw in rows:
            asked = Asked(*key)
            try:
                answer = Answer(tuple(json.loads(chosen)), coin, other, category, read, raw)
                wrong = fault(asked, answer)
            except (TypeError, ValueError):
                wrong = f"{chosen!r} are not probabilities"
            if wrong:
                raise self._unusable(ValueError(f"pair {asked.pair!r}: {wrong}"))
            known[asked] = answer
        return known

    def add(self, questions: Questions, asked: Asked, answer: Answer) -> None:
        """Keep one answer; the first one stays if another process was quicker."""
        (created,) = self._execute(f"SELECT {_NOW}")[0]
        self._execute(_INSERT, _row(questions, asked, answer, created))

    def add_rows(self, rows: Iterable[tuple[Questions, Asked, Answer, str]]) -> int:
        """Keep many answers at once, each with when it was given; how many were new."""
        before = self._connection.total_changes
        self._execute("BEGIN IMMEDIATE")
        try:
            for row in rows:
                self._execute(_INSERT, _row(*row))
        except BaseException:
            self._connection.rollback()
            raise
        self._execute("COMMIT")
        return self._connection.total_changes - before

    def rows(self, **where: str) -> list[dict[str, Any]]:
        """Answers as columns by name (``chosen`` a list), those of a model, prompt or schema only.

        Parameters
        ----------
        where : str
            Columns and the values wanted; a prompt matches by the beginning of its name too.
        """
        chosen = {name: value for name, value in where.items() if value}
        clauses = [
            "(prompt = :prompt OR prompt GLOB :prompt || '-*')"
            if name == "prompt"
            else f"{name} = :{name}"
            for name in chosen
        ]
        condition = f" WHERE {' AND '.join(clauses)}" if clauses else ""
        rows = self._execute(
            f"SELECT {', '.join(COLUMNS)} FROM answers{condition} ORDER BY {', '.join(KEY)}", chosen
        )
        named = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
        return [{**row, "chosen": json.loads(row["chosen"])} for row in named]

    def counts(self) -> list[tuple[str, str, str, str, str, str, int]]:
        """How many answers there are, by `Questions`."""
        names = ", ".join(Questions._fields)
        return self._execute(
            f"SELECT {names}, COUNT(*) FROM answers GROUP BY {names} ORDER BY {names}"
        )

    @contextmanager
    def alone(self, questions: Questions) -> Iterator[bool]:
        """Whether this process is now the only one asking these questions, until the end.

        The system drops the lock of a process that dies, however it dies.
        """
        digest = hashlib.sha256(repr(tuple(questions)).encode()).digest()
        place = int.from_bytes(digest[:7])
        try:
            lock = self.path.with_name(f"{self.path.name}.lock").open("a")
        except OSError as error:
            raise self._unusable(error) from error
        with lock:
            try:
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
                free = True
            except BlockingIOError:
                free = False
            yield free

    def _columns(self) -> tuple[str, ...]:
        return tuple(row[1] for row in self._execute("PRAGMA table_info(answers)"))

    def _carry_over(self) -> None:
        """Turn a file of the first layout into one of this."""
        self._execute("BEGIN IMMEDIATE")
        try:
            if "p_a" in self._columns():  # not done by another process meanwhile
                self._execute("ALTER TABLE answers RENAME TO answers_1")
                self._execute(_CREATE)
                for row in self._execute(
                    "SELECT model, prompt, schema, coin, pair, shown, p_a, p_b, p_coin, other, "
                    "read, raw, created FROM answers_1"
                ):
                    self._execute(_INSERT, _carried(*row))
                self._execute("DROP TABLE answers_1")
        except BaseException:
            self._connection.rollback()
            raise
        self._execute("COMMIT")

    def _execute(self, statement: str, values: Any = ()) -> list[Any]:
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> InputError:
        return InputError(
            f"answer store {self.path}: {error}; expected a file of answers made by equipoise "
            "in a folder that can be written to (move a damaged one away to ask again)"
        )


def in_order(patients: Sequence[tuple[float, ...]]) -> tuple[str, str]:
    """What a question's patients are called in the store, and the order they were shown in.

    Parameters
    ----------
    patients : sequence of tuple of float
        The profiles in the order shown.

    Returns
    -------
    tuple of str
        ``pair`` and ``shown`` of `Asked`: the same patients have one ``pair`` in any order.
    """
    order = sorted(range(len(patients)), key=lambda place: patients[place])
    letters = dict(zip(order, string.ascii_lowercase, strict=False))
    names = (",".join(f"{value:g}" for value in patients[place]) for place in order)
    return " | ".join(names), "".join(letters[place] for place in range(len(patients)))


def _row(questions: Questions, asked: Asked, answer: Answer, created: str) -> tuple[object, ...]:
    return (*questions, *asked, json.dumps(answer.chosen), *answer[1:], created)


def _carried(
    model: str,
    prompt: str,
    schema: str,
    offered: int,
    pair: str,
    shown: str,
    a: float,
    b: float,
    coin: float,
    other: float,
    read: str,
    raw: str,
    created: str,
) -> tuple[object, ...]:
    """A row of the first layout (pairs; chances of the first and second shown) as one of this."""
    drawn = [tuple(float(value) for value in patient.split(",")) for patient in pair.split(" | ")]
    questions = Questions(model, "", prompt, "", schema, "coin" if offered else "none")
    asked = Asked(*in_order(drawn if shown == "ab" else drawn[::-1]), 0)
    text = json.loads(raw)["text"] if raw.startswith('{"text"') else raw
    answer = Answer((a, b), coin, other, categorise((a, b), coin, other, text), read, raw)
    return _row(questions, asked, answer, created)
