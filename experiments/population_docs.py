"""The tables of docs/populations.md, from the code: columns of your own data, presets by source.

``python -m experiments.population_docs`` writes them anew.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from populations.bring_columns import CANDIDATES, DONORS, Column, locus_antigens
from populations.hla import LOCI
from populations.presets import PRESETS, Origin, load_population, preset_names

PAGE = Path(__file__).parents[1] / "docs" / "populations.md"
_STANDING = {
    "read in a source or derived from one (R, R2, D)": ("R", "R2", "D"),
    "from memory (M): verify": ("M",),
    "assumed (A)": ("A",),
}


def refreshed(page: str) -> str:
    """The page with every table between its ``begin`` and ``end`` marks made anew."""
    tables = {
        "candidates": _columns(CANDIDATES),
        "donors": _columns(DONORS),
        "antigens": "\n".join(
            f"* {locus.upper()}: {', '.join(locus_antigens(locus))}" for locus in LOCI
        ),
        "presets": "\n\n".join(map(_preset, preset_names())),
    }
    for name, table in tables.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        before, rest = page.split(begin)
        page = f"{before}{begin}\n\n{table}\n\n{end}{rest.split(end)[1]}"
    return page


def _columns(declared: Mapping[str, Column]) -> str:
    lines = ["| column | | unit or levels | what |", "|---|---|---|---|"]
    for column in declared.values():
        needed = "required" if column.required else ""
        if column.instead_of:
            needed = f"instead of `{column.instead_of}`"
        lines.append(f"| `{column.name}` | {needed} | {_values(column)} | {column.description} |")
    return "\n".join(lines)


def _values(column: Column) -> str:
    if column.kind == "antigen":
        return f"{column.levels[0]} to {column.levels[-1]}, {len(column.levels)} names"
    if column.kind == "place":
        return "number from 0, or name"
    if column.kind == "number":
        return f"{column.low:g} to {column.high:g} {column.unit}"
    return ", ".join(column.levels) if column.kind == "level" else column.unit or "any text"


def _preset(name: str) -> str:
    """What one preset is, and how far its own figures can be trusted."""
    population = load_population(name)
    base = tomllib.loads((PRESETS / f"{name}.toml").read_text(encoding="utf-8")).get("extends")
    inherited = load_population(base).origins if base else {}
    own = {key: of for key, of in population.origins.items() if inherited.get(key) != of}
    rest = f"extends `{base}`, from which it has {len(population.origins) - len(own)} figures; "
    lines = [f"### `{name}`", "", f"{population.description}.", ""]
    lines.append(f"{(rest if base else '').capitalize()}{len(own)} of its own:")
    lines.append("")
    lines += [
        f"* {standing}: {_keys(own, tags)}"
        for standing, tags in _STANDING.items()
        if any(of.tag in tags for of in own.values())
    ]
    return "\n".join(lines)


def _keys(origins: Mapping[str, Origin], tags: tuple[str, ...]) -> str:
    return ", ".join(f"`{key}`" for key in sorted(origins) if origins[key].tag in tags)


if __name__ == "__main__":
    PAGE.write_text(refreshed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
