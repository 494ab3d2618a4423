"""The description of the model says everything there is, and nothing that is not there."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import jinja2
import pytest
from click.testing import CliRunner

from experiments.cli import main
from experiments.figures.fates import FATE_NAMES
from experiments.odd import document, reading
from experiments.report.model import odd
from measures.registry import MEASURES
from policies.registry import PATTERNS, POLICIES
from populations.geography import Geography
from populations.parameters import Parameters
from populations.presets import Population, load_population, preset_names
from populations.schema import SCHEMA
from populations.world import World
from sim.record import FATES, TABLES

ROOT = Path(__file__).parents[1]
POPULATION = load_population(document.POPULATION)
PLAIN = document.markdown(POPULATION).replace("\\", "")


def test_the_documentation_is_what_the_code_says() -> None:
    # In a process of its own: tests before this one may have registered measures.
    code = "import sys; from experiments.cli import main; main(['odd'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert (ROOT / "docs" / "odd.md").read_text() == done.stdout, (
        f"docs/odd.md is out of date; refresh it with: {document.REFRESH}"
    )


def test_every_element_of_the_protocol_is_there_in_order() -> None:
    headings = [line[6:] for line in PLAIN.splitlines() if line.startswith("## ")]
    assert headings == [
        "Purpose and patterns",
        "Entities, state variables, and scales",
        "Process overview and scheduling",
        "Design concepts",
        "Initialisation",
        "Input data",
        "Submodels",
    ]


@pytest.mark.parametrize("name", SCHEMA)
def test_every_attribute_is_described(name: str) -> None:
    attribute = SCHEMA[name]
    row = next(line for line in PLAIN.splitlines() if line.startswith(f"| `{name}` |"))
    for said in (attribute.role, attribute.unit, attribute.description, *attribute.levels):
        assert said in row


@pytest.mark.parametrize("name", Parameters.model_fields)
def test_every_section_is_described_with_every_figure_and_its_source(name: str) -> None:
    assert f"`[{name}]`" in PLAIN
    keys = [key for key in POPULATION.origins if key.split(".")[0] == name]
    assert keys or not Parameters.model_fields[name].is_required()
    for key in keys:
        row = next(line for line in PLAIN.splitlines() if line.startswith(f"| {key} |"))
        tag, source = POPULATION.origins[key]
        assert row.endswith(f"| {tag} | {source} |")


def test_a_figure_stands_with_its_limits_value_tag_and_source() -> None:
    # As the preset's file and `populations.parameters` have it.
    source = "30,799 kidneys from 16,335 donors, OPTN/SRTR ADR 2023"
    assert f"| kidneys.per_donor | 1 to 2 | 1.885 | D | {source} |" in PLAIN


def test_every_fate_table_policy_measure_and_preset_is_named() -> None:
    for fate in FATES:
        assert f"- `{fate}`: {FATE_NAMES[fate]}" in PLAIN
    for table in TABLES:
        assert f"- **`{table}`** (DataFrame" in PLAIN
    for name in (*POLICIES, *MEASURES, *preset_names()):
        assert f"| `{name}` |" in PLAIN
    for pattern in PATTERNS:
        assert f"| {pattern} |" in PLAIN


@pytest.mark.parametrize("described", [World, Geography])
def test_every_field_of_a_world_is_in_its_docstring(described: type) -> None:
    path = f"{described.__module__}:{described.__name__}"
    named = {name for each in reading.entries(path) for name in each.name.split(", ")}
    made = {field.name for field in fields(described)}
    assert made - named <= {"parameters", "seed", "number", "years"}
    assert named <= made


def test_what_is_no_longer_there_stops_the_rendering() -> None:
    with pytest.raises(LookupError, match=r"names 'populations.hazards:NO_SUCH'"):
        reading.named("populations.hazards:NO_SUCH")
    with pytest.raises(LookupError, match="no_such_module"):
        reading.named("populations.no_such_module")
    with pytest.raises(LookupError, match=r"'Sources' of 'populations.schema': not there"):
        reading.section("populations.schema", "Sources")


def test_a_section_that_is_not_described_stops_the_rendering(monkeypatch) -> None:
    more = {**Parameters.model_fields, "weather": Parameters.model_fields["sex"]}
    monkeypatch.setattr(Parameters, "__pydantic_fields__", more)
    with pytest.raises(LookupError, match="not described: weather"):
        document.markdown(None)


def test_a_fate_without_words_stops_the_rendering(monkeypatch) -> None:
    monkeypatch.setattr(document, "FATES", (*FATES, "emigrated"))
    with pytest.raises(KeyError, match="emigrated"):
        document.markdown(None)


def test_a_quantity_that_the_template_misspells_stops_the_rendering(monkeypatch) -> None:
    content = document._content
    monkeypatch.setattr(
        document,
        "_content",
        lambda *given: {name: each for name, each in content(*given).items() if name != "fates"},
    )
    with pytest.raises(jinja2.UndefinedError, match="fates"):
        document.markdown(None)


def test_a_figure_without_a_source_stops_the_rendering() -> None:
    origins = {k: origin for k, origin in POPULATION.origins.items() if k != "waiting.level"}
    bare = Population("bare", "", POPULATION.parameters, origins)
    with pytest.raises(LookupError, match=r"bare: waiting\.level has no tag and no source"):
        document.markdown(bare)


def test_another_population_changes_its_figures_alone() -> None:
    changed = load_population("us-opo", ["kidneys.per_donor=1.5"])
    text = document.markdown(changed).replace("\\", "")
    assert "| kidneys.per_donor | 1 to 2 | 1.5 | user | --set kidneys.per_donor=1.5 |" in text
    assert "`us-opo`" in text and len(text.splitlines()) == len(PLAIN.splitlines())


def test_the_command_prints_a_population_and_says_what_is_wrong() -> None:
    done = CliRunner().invoke(main, ["odd", "--population", "teaching"])
    assert done.exit_code == 0 and "population `teaching`" in done.stdout
    wrong = CliRunner().invoke(main, ["odd", "--population", "teachin"])
    assert wrong.exit_code == 2 and "did you mean" in wrong.stderr


def test_the_report_describes_the_model_without_figures_of_another_population() -> None:
    html = odd()
    assert "<h2>The model, by the ODD protocol</h2>" in html
    assert "kidneys.per_donor" in html and "1.885" not in html
    assert "those of the study" in html
