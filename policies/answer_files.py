"""Answers as Parquet files: exported, imported, and shipped with Equipoise."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from policies.answers import COLUMNS, KEY, Answer, AnswerStore, Asked, Questions, fault
from populations.errors import InputError

SHIPPED = Path(__file__).with_name("answer_tables")
_METADATA = b"equipoise"
_TEXTS = (*KEY[:-1], "category", "read", "raw", "created")


def _schema(note: dict[str, Any]) -> Any:
    import pyarrow as pa

    types = {
        **dict.fromkeys(_TEXTS, pa.string()),
        "sample": pa.int64(),
        "chosen": pa.list_(pa.float64()),
        "coin": pa.float64(),
        "other": pa.float64(),
    }
    fields = [(name, types[name]) for name in COLUMNS]
    return pa.schema(fields, metadata={_METADATA: json.dumps(note).encode()})


def export_answers(
    store: AnswerStore,
    path: Path,
    *,
    model: str = "",
    prompt: str = "",
    schema: str = "",
    raw: bool = True,
    note: str = "",
) -> int:
    """Write answers to a Parquet file, with how it was made in its metadata.

    Parameters
    ----------
    store : AnswerStore
        Where they are kept.
    path : Path
        The file; replaced if it exists.
    model, prompt, schema : str
        Only answers of these, as the store names them; a prompt's hash may be left out.
    raw : bool
        Whether to write what the models returned word for word.
    note : str
        How the answers came about, in the author's words.

    Returns
    -------
    int
        How many were written.

    Raises
    ------
    InputError
        If there are none.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = {"model": model, "prompt": prompt, "schema": schema}
    rows = store.rows(**wanted)
    if not rows:
        which = ", ".join(f"{name} {value!r}" for name, value in wanted.items() if value)
        raise InputError(f"answer store {store.path}: no answers{' of ' if which else ''}{which}")
    if not raw:
        rows = [{**row, "raw": None} for row in rows]
    filters = {name: value for name, value in wanted.items() if value}
    made = {"made_by": "equipoise answers export", "answers": len(rows), **filters, "note": note}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=_schema(made)), path)
    return len(rows)


def import_answers(store: AnswerStore, path: Path) -> tuple[int, int]:
    """Take the answers of a Parquet file into a store; answers that are there stay.

    Returns
    -------
    tuple of int
        How many were new, and how many the file has.

    Raises
    ------
    InputError
        If a column or a value is not what `export_answers` writes; nothing is taken then.
    """
    rows = list(_read(path))
    return store.add_rows(rows), len(rows)


def _read(
    path: Path, wanted: list[tuple[str, str, str]] | None = None
) -> Iterator[tuple[Questions, Asked, Answer, str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, filters=wanted)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: {error}; expected a Parquet file of answers") from error
    lacking = [name for name in COLUMNS if name not in table.column_names and name != "raw"]
    if lacking:
        raise InputError(f"{path}: no column {', '.join(lacking)}; expected those of an export")
    for number, row in enumerate(table.to_pylist(), 1):
        row["raw"] = row.get("raw") or ""
        wrong = [name for name in _TEXTS if not isinstance(row[name], str)]
        if wrong or not isinstance(row["sample"], int) or not isinstance(row["chosen"], list):
            name = [*wrong, "sample or chosen"][0]
            raise InputError(f"{path}: row {number}: {name} has no value of its kind")
        # What is not printable could tell a terminal what to do; a model's words are checked
        # where they are printed.
        odd = [name for name in _TEXTS if name != "raw" and not row[name].isprintable()]
        if odd:
            raise InputError(
                f"{path}: row {number}: {odd[0]} {row[odd[0]][:60]!a} is not printable text"
            )
        questions = Questions(*(row[name] for name in Questions._fields))
        asked = Asked(*(row[name] for name in Asked._fields))
        answer = Answer(tuple(row["chosen"]), *(row[name] for name in Answer._fields[1:]))
        if wrong_answer := fault(asked, answer):
            raise InputError(f"{path}: row {number}: {wrong_answer}")
        yield questions, asked, answer, row["created"]


def shipped_answers(questions: Questions) -> dict[Asked, Answer]:
    """The answers to these questions that come with Equipoise."""
    return _shipped(SHIPPED, questions)


@cache
def _shipped(folder: Path, questions: Questions) -> dict[Asked, Answer]:
    wanted = [(name, "==", value) for name, value in questions._asdict().items()]
    return {
        asked: answer
        for path in sorted(folder.glob("*.parquet"))
        for _, asked, answer, _ in _read(path, wanted)
    }
