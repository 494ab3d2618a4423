"""The answer store: what language models answered, kept for ever so that nothing is asked twice."""

import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from populations.errors import InputError

_CREATE = """
CREATE TABLE IF NOT EXISTS answers (
    model TEXT, prompt TEXT, schema TEXT, coin INTEGER, pair TEXT, shown TEXT,
    p_a REAL NOT NULL, p_b REAL NOT NULL, p_coin REAL NOT NULL, other REAL NOT NULL,
    read TEXT NOT NULL, raw TEXT NOT NULL, created TEXT NOT NULL,
    PRIMARY KEY (model, prompt, schema, coin, pair, shown)
)
"""
_BUSY_SECONDS = 60.0


class Questions(NamedTuple):
    """What a set of answers has in common.

    Parameters
    ----------
    model : str
        Name of the model.
    prompt : str
        Version of the prompt.
    schema : str
        Name of the set of attributes shown.
    coin : bool
        Whether flipping a coin was offered.
    """

    model: str
    prompt: str
    schema: str
    coin: bool


class Answer(NamedTuple):
    """One answer of a model to one pair in one order.

    Parameters
    ----------
    first, second, coin, other : float
        Probability of choosing the patient shown first (A), shown second (B), the coin (C), and of
        anything else; they sum to 1.
    read : {"logprobs", "text"}
        From next-token probabilities, or from the text of one answer at temperature 0.
    raw : str
        What the model returned.
    """

    first: float
    second: float
    coin: float
    other: float
    read: str
    raw: str


class AnswerStore:
    """A SQLite file of answers, usable by several processes at once; a context manager.

    Every answer is committed by itself, so that a crash or Ctrl-C loses none.

    Parameters
    ----------
    path : Path
        The file; made with its folders if it does not exist.

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
            self._execute(_CREATE, ())
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

    def load(self, questions: Questions) -> dict[tuple[str, str], Answer]:
        """All answers to these questions, by (pair, order shown)."""
        rows = self._execute(
            "SELECT pair, shown, p_a, p_b, p_coin, other, read, raw FROM answers "
            "WHERE model = ? AND prompt = ? AND schema = ? AND coin = ?",
            questions,
        )
        for pair, shown, *masses, _, _ in rows:
            if not all(isinstance(mass, float) and 0 <= mass <= 1 for mass in masses):
                raise self._unusable(
                    ValueError(f"pair {pair!r} shown {shown!r}: {masses} are not probabilities")
                )
        return {(pair, shown): Answer(*values) for pair, shown, *values in rows}

    def add(self, questions: Questions, pair: str, shown: str, answer: Answer) -> None:
        """Keep one answer; the first one stays if another process was quicker."""
        self._execute(
            "INSERT OR IGNORE INTO answers VALUES "
            "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))",
            (*questions, pair, shown, *answer),
        )

    def _execute(self, statement: str, values: tuple[object, ...]) -> list[Any]:
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> InputError:
        return InputError(
            f"answer store {self.path}: {error}; expected a file of answers made by equipoise "
            "in a folder that can be written to (move a damaged one away to ask again)"
        )
