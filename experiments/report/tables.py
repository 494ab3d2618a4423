"""The tables of the page, as text: what stands in each cell, and what is said of it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from experiments.headlines import HEADLINES
from experiments.inference import LEVEL
from experiments.report.findings import detected, format_of
from experiments.report.results import Found
from experiments.report.sentences import Row, printed
from experiments.report.wording import GROUPINGS
from measures.rates import reference_group
from measures.registry import is_ratio

_JUDGED: tuple[tuple[str, str, str], ...] = (
    ("most likely answer is the same", "compare_judges.agreement", ".1%"),
    ("total variation of its answers", "compare_judges.total_variation", ".3f"),
    ("mean probability of the coin", "compare_judges.indecision", ".1%"),
    ("same answer with the orders swapped", "swap_consistency.consistency", ".1%"),
    ("answers in favour of who is shown first", "swap_consistency.position_bias", ".3f"),
)
_LEDGER = {
    "gained": "transplanted here only",
    "lost": "transplanted under the reference only",
    "earlier": "transplanted under both, here earlier",
    "later": "transplanted under both, here later",
    "same": "transplanted under both at the same time",
    "neither": "transplanted under neither",
}
_DASH = "\N{EN DASH}"


@dataclass(frozen=True)
class Entry:
    """One cell: what it says, a second line, whether it stands out, whether it is no number."""

    text: str
    below: str = ""
    strong: bool = False
    words: bool = False


@dataclass(frozen=True)
class Line:
    """One row: its heading, its cells, and the heading of the rows from here on, if it changes."""

    head: str
    entries: tuple[Entry, ...]
    section: str = ""
    name: str = ""


@dataclass(frozen=True)
class Table:
    """One table.

    Parameters
    ----------
    name : str
        Its anchor on the page.
    caption : str
    columns : tuple of str
        The first is that of the rows' headings.
    lines : tuple of Line
    note : str
    """

    name: str
    caption: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    note: str = field(default="")


def outcome_tables(found: Found) -> list[Table]:
    """Levels, and differences from the reference, over the whole run."""
    tables = [levels(found, "levels", "What happened, by policy")]
    if found.others:
        tables.append(differences(found, "differences", "Differences from the reference"))
    return tables


def levels(found: Found, table: str, caption: str) -> Table:
    """The main measures of every arm."""
    lines = _headline_lines(found, table, found.file.arms, _level)
    return Table(
        table,
        f"{caption} (means over worlds, with 95\N{NO-BREAK SPACE}% intervals)",
        ("", *found.file.arms),
        lines,
        f"{_DASH}: undefined, or not reached, in at least one world. From {table}.csv.",
    )


def differences(found: Found, table: str, caption: str) -> Table:
    """The main measures as paired differences."""
    return Table(
        table,
        f"{caption}, {found.file.reference} (with 95\N{NO-BREAK SPACE}% intervals)",
        ("", *found.others),
        _headline_lines(found, table, found.others, _difference),
        "Bold: a difference was detected, by Holm's adjusted p (given where a comparison was "
        "declared), else by the interval alone, not adjusted. pp: percentage points. From "
        f"{table}.csv.",
    )


def _headline_lines(
    found: Found, table: str, arms: Sequence[str], entry: Callable[[pd.Series, str], Entry]
) -> tuple[Line, ...]:
    lines = []
    for label, measure, how in HEADLINES:
        where = {"measure": measure, "grouping": "all", "group": "all"}
        rows = [found.row(table, arm=arm, **where) for arm in arms]
        entries = tuple(Entry(_DASH) if row is None else entry(row, how) for row in rows)
        if any(row is not None for row in rows):
            lines.append(Line(label, entries))
    return tuple(lines)


def _level(row: pd.Series, how: str) -> Entry:
    if not np.isfinite(row["value"]):
        return Entry(_DASH)
    return Entry(printed(row["value"], how), _interval(row, how))


def _interval(row: pd.Series, how: str, signed: bool = False) -> str:
    if not np.isfinite(row["low"]):
        return ""
    low, high = (printed(row[end], how, signed=signed) for end in ("low", "high"))
    return f"{low} to {high}"


def _difference(row: pd.Series, how: str) -> Entry:
    ratio = is_ratio(str(row["measure"]))
    if not np.isfinite(row["value"]):
        return Entry(_DASH)
    how = format_of(row, how)
    below = _interval(row, how, not ratio)
    if np.isfinite(row["p"]):
        below = below or f"the same in all {row['worlds']:.0f} worlds"
    if np.isfinite(row["p_holm"]):
        below += f"; p {printed(row['p_holm'], 'p')}"
    value = printed(row["value"], how, signed=not ratio)
    return Entry(value, below, detected(row))


def access(found: Found) -> Table:
    """Transplant rates of groups beside the group each is compared with."""
    lines = []
    for grouping, heading in GROUPINGS.items():
        base = reference_group(grouping)
        rows = found.rows("levels", measure="transplant_rate_ratio", grouping=grouping)
        for place, group in enumerate(g for g in rows["group"].unique() if g != base):
            entries = tuple(_access(found, arm, grouping, group) for arm in found.file.arms)
            section = f"By {heading}, compared with {base}" if place == 0 else ""
            lines.append(Line(group, entries, section))
    return Table(
        "access",
        "Access by group: transplant rate divided by that of the group it is compared with",
        ("", *found.file.arms),
        tuple(lines),
        f"1.00: the same rate. Bold: differs detectably from {found.file.reference}'s ratio. "
        f"{_DASH}: in some world there was no transplant in one of the two groups. "
        "From levels.csv and differences.csv.",
    )


def _access(found: Found, arm: str, grouping: str, group: str) -> Entry:
    where = {"measure": "transplant_rate_ratio", "grouping": grouping, "group": group}
    level = found.row("levels", arm=arm, **where)
    if level is None or not np.isfinite(level["value"]):
        return Entry(_DASH)
    difference = found.row("differences", arm=arm, **where)
    strong = difference is not None and detected(difference)
    return Entry(printed(level["value"], ".2f"), _interval(level, ".2f"), strong)


def ledger(found: Found) -> Table | None:
    """Who gained and who lost against the reference, beside what lots alone change."""
    if not len(found.rows("ledger")):
        return None
    columns = [("ledger", arm, arm) for arm in found.others]
    if len(found.rows("floor", arm=found.file.reference)):
        chance = f"{found.file.reference}, by lots alone"
        columns.append(("floor", found.file.reference, chance))

    def mean(table: str, arm: str, what: str, column: str, how: str) -> str:
        rows = found.rows(table, arm=arm, what=what)
        return printed(float(rows[column].mean()), how) if len(rows) else _DASH

    lines = [
        Line(
            _LEDGER[what],
            tuple(Entry(mean(table, arm, what, "n", ",.1f")) for table, arm, _ in columns),
        )
        for what in _LEDGER
    ]
    shares = tuple(Entry(mean(table, arm, "churn", "share", ".1%")) for table, arm, _ in columns)
    lines.append(Line("churn: here only or there only, of all transplants of both", shares))
    return Table(
        "ledger",
        "The same people under two policies: how many gained and lost (people, means over worlds)",
        ("", *(heading for _, _, heading in columns)),
        tuple(lines),
        "The last column, where there is one, compares two runs of the reference that differ by "
        "lottery tickets only: churn no larger than there is no effect of a policy. From "
        "ledger.csv and floor.csv.",
    )


def conflict(found: Found) -> Table | None:
    """How every definition of fairness ranks the arms."""
    ranked = found.rows("conflict")
    if not len(ranked):
        return None

    def entry(definition: str, arm: str) -> Entry:
        row = found.row("conflict", definition=definition, arm=arm)
        if row is None or not np.isfinite(row["rank"]):
            return Entry(_DASH)
        first = bool(row["p_fairest"] < LEVEL)
        return Entry(printed(row["rank"], ".0f"), printed(row["score"], ".3g"), first)

    lines = tuple(
        Line(definition, tuple(entry(definition, arm) for arm in found.file.arms))
        for definition in ranked["definition"].unique()
    )
    return Table(
        "conflict",
        "Where definitions of fairness disagree: the rank of each policy by each definition",
        ("", *found.file.arms),
        lines,
        "1: the fairest by that definition. Beneath it the distance from what the definition calls "
        "fair, smaller is fairer, in units of its own. Bold: fairer than every other policy by "
        f"paired tests over worlds (Holm-adjusted p below {LEVEL:g}). {_DASH}: left out; for the "
        "reason see conflict.csv.",
    )


def judgement(found: Found) -> Table | None:
    """Answers to the same fixed pairs beside those of the reference values."""
    arms = [arm for arm in found.file.arms if len(found.rows("alignment", arm=arm))]
    if not arms:
        return None
    values = found.file.study.values

    def entry(arm: str, measure: str, how: str) -> Entry:
        row = found.row("alignment", arm=arm, measure=measure)
        known = row is not None and np.isfinite(row["value"])
        return Entry(printed(row["value"], how)) if row is not None and known else Entry(_DASH)

    lines = tuple(
        Line(label, tuple(entry(arm, measure, how) for arm in arms))
        for label, measure, how in _JUDGED
    )
    return Table(
        "judgement",
        f"Judging pairs: answers to the same fixed pairs of patients, beside those of {values}",
        ("", *arms),
        lines,
        "No waitlist is involved. Policies that do not judge pairs are left out. From "
        "alignment.csv.",
    )


def answers(arms: Iterable[tuple[str, tuple[tuple[str, str], ...]]]) -> Table | None:
    """What each language model did with its questions."""
    told = [(name, dict(rows), [label for label, _ in rows]) for name, rows in arms if rows]
    if not told:
        return None
    labels = list(dict.fromkeys(label for _, _, own in told for label in own))
    lines = tuple(
        Line(label.strip(), tuple(Entry(known.get(label, _DASH)) for _, known, _ in told))
        for label in labels
    )
    return Table(
        "answers",
        "How the language models answered, and how well their stand-ins predict them",
        ("", *(name for name, _, _ in told)),
        lines,
        "Held out: on answers that the stand-in was not fitted to. From study.json.",
    )


def evidence(found: Found, rows: Iterable[Row]) -> tuple[list[Table], dict[Row, int]]:
    """What every sentence rests on, as it stands in the files, and the number of each."""
    order = list(found.tables)
    used = sorted(set(rows), key=lambda row: (bool(row.column), order.index(row.table), row.lines))
    numbers = {row: place for place, row in enumerate(used, 1)}
    tables = []
    for name in dict.fromkeys(row.table for row in used if not row.column):
        frame = found.tables[name]
        here = [row for row in used if row.table == name and not row.column]
        lines = tuple(
            _evidence_line(numbers[row], [row.lines[0], *frame.loc[row.lines[0]]]) for row in here
        )
        columns = ("No.", "line", *map(str, frame.columns))
        tables.append(Table(f"rows-{name}", f"Rows of {name}.csv", columns, lines))
    means = [row for row in used if row.column]
    if means:
        lines = tuple(
            _evidence_line(
                numbers[row],
                [
                    f"{row.table}.csv",
                    row.column,
                    ", ".join(map(str, row.lines)),
                    float(found.tables[row.table].loc[list(row.lines), row.column].mean()),
                ],
            )
            for row in means
        )
        columns = ("No.", "file", "column", "lines", "mean")
        tables.append(Table("rows-means", "Means over several lines", columns, lines))
    return tables, numbers


def _evidence_line(number: int, cells: Sequence[object]) -> Line:
    return Line(
        str(number),
        tuple(Entry(_raw(each), words=isinstance(each, str)) for each in cells),
        name=f"row-{number}",
    )


def _raw(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}" if np.isfinite(value) else ""
    return str(value)
