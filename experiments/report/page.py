"""The page: everything a reader needs, in one file that loads nothing."""

from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

from experiments.report import findings, general, images, model, provenance, tables
from experiments.report.arms import describe
from experiments.report.results import Found, read_results
from experiments.report.sentences import Claim, Finding, Number, Reference, Topic
from populations.presets import TAGS, load_population, preset_names


def write_report(results: Path, out: Path) -> None:
    """Read a results folder and write its report.

    Parameters
    ----------
    results : Path
        What ``equipoise run compare --out RESULTS`` wrote.
    out : Path
        The HTML file; its folder is made if need be.

    Raises
    ------
    InputError
        If the folder is none of a study's, or one of its files is damaged.
    """
    html = page(read_results(results)).encode()  # all of it before an earlier report is lost
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(html)


def page(found: Found) -> str:
    """The report as HTML."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.tests |= {
        "number": lambda part: isinstance(part, Number),
        "claim": lambda part: isinstance(part, Claim),
        "reference": lambda part: isinstance(part, Reference),
    }
    return environment.from_string(_file("template.html.jinja")).render(_content(found))


def _content(found: Found) -> dict[str, Any]:
    topics = findings.topics(found)
    transplants = general.number_of_transplants(found)
    disagreements = general.definitions(found)
    told = [*_findings(topics), *transplants, *disagreements]
    evidence, numbers = tables.evidence(found, (row for each in told for row in each.rows))
    described = [describe(arm, found.file.cards.get(arm, {})) for arm in found.file.arms]
    steady = {"steady_levels", "steady_differences"} <= found.tables.keys()
    return {
        "found": found,
        "study": found.file.study,
        "reference": found.file.reference,
        "worlds": general.worlds(found),
        "precision": general.precision(found),
        "population": _population(found.file.study.population),
        "arms": described,
        "summary": _summary(topics, found),
        "topics": topics,
        "transplants": transplants,
        "disagreements": disagreements,
        "declared": general.declared(found),
        "limits": general.limits(found),
        "missing": general.missing(found),
        "images": images.images(found),
        "outcomes": tables.outcome_tables(found),
        "steady": [
            tables.levels(found, "steady_levels", "Later years: rates, by policy"),
            tables.differences(found, "steady_differences", "Later years: differences from"),
        ]
        if steady
        else [],
        "tables": [
            table
            for table in (
                tables.access(found),
                tables.ledger(found),
                tables.conflict(found),
                tables.judgement(found),
                tables.answers((each.name, each.answers) for each in described),
            )
            if table is not None
        ],
        "evidence": evidence,
        "numbers": numbers,
        "figures": provenance.figures(found),
        "constants": provenance.CONSTANTS,
        "tags": TAGS,
        "cards": provenance.cards(found),
        "odd": model.odd(),
        "style": _file("style.css"),
    }


def _file(name: str) -> str:
    return (files("experiments.report") / name).read_text(encoding="utf-8")


def _findings(topics: Iterable[Topic]) -> list[Finding]:
    return [finding for topic in topics for block in topic.blocks for finding in block.findings]


def _summary(topics: Iterable[Topic], found: Found) -> list[tuple[str, list[Finding]]]:
    """The first sentence of every topic, by arm."""
    said: dict[str, list[Finding]] = {arm: [] for arm in found.others}
    for topic in topics:
        for block in topic.blocks:
            said[block.arm].append(block.findings[0])
    return [(arm, sentences) for arm, sentences in said.items() if sentences]


def _population(name: str) -> str:
    """What a preset is; nothing of a file that may have changed since."""
    return load_population(name).description if name in preset_names() else ""
