"""The ladder as a whole: which rungs are climbed, and one table of all of them."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from experiments.measure_docs import escaped
from experiments.validation.aggregates import against_published
from experiments.validation.change import predicted
from experiments.validation.check import POINTS, RUNGS, TOLERANCE, Check
from experiments.validation.conservation import conservation
from experiments.validation.monotone import audit_labels, more_kidneys
from experiments.validation.queue import closed_forms, littles_law
from experiments.validation.traced import traced
from policies.protocol import Policy
from policies.registry import make_policy
from policies.rules import Points
from populations.errors import InputError
from populations.presets import TAGS, Population, load_population
from populations.world import World, make_world
from sim.waitlist import simulate

POLICY = "us-kas-2021"
REFRESH = "equipoise validate --markdown > docs/validation.md"
QUEUES = 12  # worlds, for rungs that hold on average
USES = {
    "exact": "follows from arithmetic or theory",
    "input": "a parameter of the preset, or what a table in the code was made from",
    "fitted": "a parameter was set to meet it",
    "checked": "neither: it tests the model",
    "predicted": "a change that no parameter was set by",
}
HEADINGS = ("figure", "expected", "found", "ratio", "", "use", "tag", "source", "why it differs")


def chosen_rungs(text: str) -> list[str]:
    """The rungs that ``"traced, published"`` names; all for ``"all"``.

    Raises
    ------
    InputError
        If there is no such rung.
    """
    names = list(RUNGS) if text == "all" else [part.strip() for part in text.split(",")]
    for name in names:
        if name not in RUNGS:
            raise InputError(f"--rungs {name!r}: expected all, or some of {', '.join(RUNGS)}")
    return names


def climb(
    rungs: Sequence[str],
    population: Population,
    policy: str,
    seed: int,
    worlds: int,
    years: float,
) -> list[Check]:
    """Every line of the named rungs, in the order of the ladder."""
    ways: dict[str, Callable[[], list[Check]]] = {
        "traced": traced,
        "conserved": lambda: conservation(simulate(_small(returns=1.0), Points())),
        "little": lambda: littles_law(QUEUES),
        "closed form": lambda: closed_forms(QUEUES),
        "monotone": lambda: [*more_kidneys(4), *audit_labels(_small(returns=0.0))],
        "published": lambda: against_published(population, _made(policy), seed, worlds, years),
        "predicted": lambda: predicted(population, _made, seed, worlds),
    }
    return [check for rung in RUNGS if rung in rungs for check in ways[rung]()]


def _small(returns: float) -> World:
    """A list small enough to run in a second, to which a share of failed grafts lead back."""
    overrides = [f"relisting.share={returns}", "relisting.delay_years=0.1"]
    return make_world(load_population("teaching", overrides).parameters, 3, 0, 8.0)


def _made(policy: str) -> Policy:
    return make_policy(policy, Path("results/answers.sqlite"))


def title(checks: Iterable[Check]) -> str:
    """How many lines are met, and of those that test the model how many."""
    listed = list(checks)
    tests = [check for check in listed if check.use in ("checked", "predicted")]
    said = f"{sum(check.met for check in listed)} of {len(listed)} lines met"
    if tests:
        said += f"; of the {len(tests)} that were not fitted, {sum(c.met for c in tests)}"
    return said


def explained() -> str:
    """What the words and tags of the table mean."""
    uses = "; ".join(f"{name}: {said}" for name, said in USES.items())
    tags = "; ".join(f"{tag}: {said}" for tag, said in TAGS.items() if tag in ("R", "R2", "D"))
    return (
        f"within: {TOLERANCE:.0%} at most off (of survival {100 * POINTS:g} percentage points); "
        "direction: on the right side of 1, by another amount; "
        f"holds: exactly, or within four standard errors. Use. {uses}. Tags. {tags}. Counts of "
        "smaller populations are compared in proportion to their list. Age bands are at entry."
    )


def table(checks: Sequence[Check], said: str) -> Table:
    """All lines as one table for the terminal, misses as misses."""
    shown = Table(title=escape(f"{said}: {title(checks)}"))
    for heading in HEADINGS:
        shown.add_column(heading, justify="right" if heading in HEADINGS[1:4] else "left")
    for rung, named in RUNGS.items():
        lines = [check for check in checks if check.rung == rung]
        if lines:
            shown.add_section()
            shown.add_row(f"[bold]{named}[/]")
        for check in lines:
            figure, *numbers, verdict, use, tag, source, note = _cells(check)
            colour = "green" if check.met else "yellow" if verdict == "direction" else "red"
            shown.add_row(
                escape(figure),
                *numbers,
                f"[{colour}]{verdict}[/]",
                use,
                tag,
                escape(source),
                escape(note),
            )
    shown.caption = explained()
    return shown


def markdown(checks: Sequence[Check], said: str) -> str:
    """``docs/validation.md``: the same table, rung by rung."""
    parts = [
        "# Validation",
        "",
        f"{said}: {title(checks)}. Misses are printed as misses.",
        "",
        f"This file is written by `{REFRESH}` (minutes). {explained()}",
    ]
    for rung, named in RUNGS.items():
        lines = [check for check in checks if check.rung == rung]
        if lines:
            parts += ["", f"## {named}", "", *_rows([HEADINGS, ["---"] * len(HEADINGS)])]
            parts += _rows([escaped(cell) for cell in _cells(check)] for check in lines)
    return "\n".join([*parts, ""])


def _rows(rows: Iterable[Iterable[str]]) -> list[str]:
    return ["| " + " | ".join(row) + " |" for row in rows]


def _cells(check: Check) -> tuple[str, ...]:
    ratio = f"{check.found / check.expected:.3f}" if check.expected else ""
    return (
        check.name,
        _number(check.expected),
        _number(check.found),
        ratio,
        check.verdict,
        check.use,
        check.tag,
        check.source,
        check.note,
    )


def _number(value: float) -> str:
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
