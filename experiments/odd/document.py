"""The description of the model by the ODD protocol (Grimm et al. 2020).

What a reader must be able to trust is read from the code: attributes, parameters with their limits
and sources, constants, tables of hazards, the record, policies, measures. The template holds the
prose between, and names quantities instead of writing them. A name that is gone, a parameter that
is not described, or a way of leaving the list without words for it stops the rendering.
"""

from collections.abc import Callable, Iterable
from importlib.resources import files
from typing import Any

import measures  # noqa: F401  (fills the registry)
from experiments.figures.fates import FATE_NAMES
from experiments.measure_docs import escaped
from experiments.odd import reading
from experiments.validation.published import PUBLISHED
from measures.registry import MEASURES
from policies.registry import PATTERNS, POLICIES
from populations import hazards
from populations.parameters import Parameters
from populations.presets import TAGS, Population, load_population, preset_names
from populations.schema import AGE_BANDS, SCHEMA, Attribute
from populations.world import DEPARTURES
from sim.record import FATES

POPULATION = "us-national"
REFRESH = f"equipoise odd --population {POPULATION} > docs/odd.md"
PERIODS = ("year 1", "years 2-3", "years 4-5")


def markdown(population: Population | None) -> str:
    """The description, as Markdown.

    Parameters
    ----------
    population : Population, optional
        Whose figures are printed with the parameters; without one, only what is allowed.

    Raises
    ------
    LookupError
        If something is described that is no longer there, or is there and not described.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters["value"] = reading.value
    described: list[str] = []
    text = (files("experiments.odd") / "template.md.jinja").read_text(encoding="utf-8")
    page = environment.from_string(text).render(_content(population, described))
    missing = set(Parameters.model_fields) - set(described)
    if missing:
        raise LookupError(f"not described: {', '.join(sorted(missing))}")
    return page


def _content(population: Population | None, described: list[str]) -> dict[str, Any]:
    return {
        "population": population,
        "tags": {tag: said for tag, said in TAGS.items() if tag != "user"},
        "refresh": REFRESH,
        "constant": reading.named,
        "quote": _quote,
        "sources": _sources,
        "entries": _entries,
        "figures": _figures(population, described),
        "attributes": _attributes(),
        "presets": _presets(),
        "records": _entries("sim.record:Record"),
        "fates": [(fate, FATE_NAMES[fate]) for fate in FATES],
        "departures": [FATE_NAMES[cause] for cause in DEPARTURES],
        "policies": _policies(),
        "patterns": _table(("name", "who decides"), PATTERNS.items()),
        "measures": _measures(),
        "checked": _checked(),
        "hazards": _hazards,
        "dialysis": _dialysis(),
    }


def _quote(path: str) -> str:
    """What a docstring says, as a quotation that names it."""
    text = reading.prose(path).replace("``", "`")
    said = f"`{path.replace(':', '.')}`: {text}"
    return "\n".join(f"> {line}".rstrip() for line in said.splitlines())


def _sources(module: str) -> str:
    """The sources that a module names."""
    return f"Sources of `{module}`. {reading.plain(reading.section(module, 'Sources'))}"


def _table(headings: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table in Markdown."""
    names = list(headings)
    lines = [names, ["---"] * len(names), *([escaped(str(cell)) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _entries(path: str) -> str:
    """What a docstring's Parameters section says, as a list."""
    return "\n".join(
        f"- **`{each.name}`** ({escaped(each.kind)}){': ' if each.text else ''}{escaped(each.text)}"
        for each in reading.entries(path)
    )


def _figures(population: Population | None, described: list[str]) -> Callable[..., str]:
    """Prints sections of the parameters: what each is, and its figures; notes which it printed."""

    def figures(*names: str) -> str:
        parts = []
        for name in names:
            rows: list[tuple[str, ...]] = list(reading.limits(name))
            field = Parameters.model_fields[name]
            if population:
                told = [row for row in rows if field.is_required() or row[0] in population.origins]
                rows = [(*row, *reading.figure(population, row[0])) for row in told] or rows
            model = field.annotation
            said = escaped(reading.plain(model.__doc__ or ""))
            headings = ("parameter", "allowed", "value", "tag", "source")[: len(rows[0])]
            parts.append(f"`[{name}]` {said}\n\n{_table(headings, rows)}")
        described.extend(names)
        return "\n\n".join(parts)

    return figures


def _attributes() -> str:
    headings = ("attribute", "role", "unit", "range", "what it is")
    return _table(
        headings,
        [
            (f"`{each.name}`", each.role, each.unit, _range(each), each.description)
            for each in SCHEMA.values()
        ],
    )


def _range(attribute: Attribute) -> str:
    if attribute.levels:
        return ", ".join(attribute.levels)
    return f"{attribute.low:g} to {attribute.high:g}"


def _presets() -> str:
    rows = []
    for name in preset_names():
        preset = load_population(name)
        p = preset.parameters
        counts = (p.list.initial, p.arrivals.per_year, p.kidneys.per_year, p.centres.count)
        rows.append((f"`{name}`", preset.description, *map(reading.value, counts)))
    return _table(
        (
            "preset",
            "what it is",
            "waiting at the start",
            "listed a year",
            "kidneys a year",
            "centres",
        ),
        rows,
    )


def _policies() -> str:
    """Every policy with a name, and what of it rests on memory or assumption."""
    rows = [
        (f"`{name}`", entry.description, getattr(entry.make(), "card", {}).get("provenance", ""))
        for name, entry in POLICIES.items()
    ]
    return _table(("name", "who decides", "provenance"), rows)


def _measures() -> str:
    rows = [(f"`{card.name}`", card.description, card.unit) for card in MEASURES.values()]
    return _table(("measure", "what it is", "unit"), sorted(rows))


def _checked() -> str:
    """Published figures that no parameter was set by or to: the patterns the model has to show."""
    rows = [
        (each.name, reading.value(float(f"{each.value:.4g}")), each.tag, each.source)
        for each in PUBLISHED
        if each.use == "checked"
    ]
    return _table(("pattern", "published", "tag", "source"), rows)


def _hazards(name: str) -> str:
    """A table of yearly hazards by age band and time since transplant."""
    table = getattr(hazards, name)
    rows = [(band, *line) for band, line in zip(AGE_BANDS, table.tolist(), strict=True)]
    return _table(("age", *PERIODS), rows)


def _dialysis() -> str:
    """Deaths a year on dialysis, by age."""
    starts = [18, *hazards.DIALYSIS_AGES.astype(int).tolist()]
    rows = zip(starts, hazards.DIALYSIS.tolist(), strict=True)
    return _table(("age from", "deaths a person-year"), rows)
