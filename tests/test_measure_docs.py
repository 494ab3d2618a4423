"""The cards of the measures: every one is shown whole, and the documentation is what they say."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from experiments import measure_docs
from experiments.cli import main
from experiments.measure_docs import card_lines, card_of, discipline, markdown
from measures.registry import MEASURES, is_invariant
from populations.errors import InputError
from populations.presets import TAGS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs" / "measures.md"


def invoke(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner(env={"COLUMNS": "160"}).invoke(main, ["measures", *arguments])
    return result.exit_code, result.stdout, result.stderr


def squeezed(text: str) -> str:
    """Text without a table's borders and line breaks."""
    return "".join(c for c in text if not c.isspace() and c not in "│┃├┤─┌┐└┘")


def test_the_documentation_is_what_the_registry_says() -> None:
    # In a process of its own: tests before this one may have registered measures.
    code = "from experiments.measure_docs import markdown; print(markdown(), end='')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert DOCS.read_text() == done.stdout, (
        f"docs/measures.md is out of date; refresh it with: {measure_docs.REFRESH}"
    )


def test_every_card_is_in_the_documentation_once_and_whole() -> None:
    text = markdown()
    for card in MEASURES.values():
        section = text.split(f"### `{card.name}`\n")
        assert len(section) == 2
        lines = section[1].split("\n#")[0]
        assert f"`{card.formula}`" in lines
        plain = lines.replace("\\", "").replace("`", "")
        for field in ("unit", "discipline", "protects", "cannot_see", "source", "description"):
            assert getattr(card, field).replace("`", "") in plain, (card.name, field)


def test_sections_are_disciplines_and_tags_are_explained() -> None:
    text = markdown()
    headings = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert len(headings) == len(set(headings))
    assert all(f"**{tag}**" in text for tag in TAGS if tag != "user")
    under = dict.fromkeys(headings, "") | dict(
        part.split("\n", 1) for part in text.split("\n## ")[1:]
    )
    for card in MEASURES.values():
        heading = discipline(card)
        assert f"### `{card.name}`" in under[heading[:1].upper() + heading[1:]]


def test_first_discipline_is_found_with_commas_in_brackets() -> None:
    card = replace(card_of("transplant_rate"), discipline="transplant policy (OPTN, SRTR), ethics")
    assert discipline(card) == "transplant policy"


def test_policy_invariant_measures_are_said_never_to_be_an_outcome() -> None:
    invariant = {name for name, card in MEASURES.items() if card.policy_invariant}
    assert invariant == {"transplant_gini"}
    section = markdown().split("## Never an outcome")[1].split("\n## ")[0]
    assert {name for name in MEASURES if f"- `{name}`:" in section} == invariant
    for detail in ("ex_ante.gini_ex_post", "systemic_exclusion.independent"):
        whole = card_of(detail)
        assert f"- `{detail}`:" in section and not whole.policy_invariant
        never = dict(card_lines(whole))["Never an outcome"]
        assert never.startswith(f"`{detail}`: policy-invariant")
    assert section.count("\n- ") == len(invariant) + sum(
        len(card.invariant_details) for card in MEASURES.values()
    )
    for name in ("transplant_gini",):
        assert (
            "never to be read as an outcome" in dict(card_lines(card_of(name)))["Never an outcome"]
        )
        assert squeezed("so never to be read as an outcome") in squeezed(invoke(name)[1])
    assert "Never an outcome" not in dict(card_lines(card_of("life_years")))


def test_details_are_invariant_by_their_own_name() -> None:
    asked = ("transplant_gini", "transplant_gini.x", "ex_ante.gini_ex_post")
    assert all(is_invariant(name) for name in asked)
    others = ("ex_ante", "ex_ante.gini", "systemic_exclusion", "life_years", "nothing")
    assert not any(is_invariant(name) for name in others)


def test_no_measure_is_called_fairness() -> None:
    for card in MEASURES.values():
        name = card.name.lower().replace("_", " ")
        assert name not in ("fairness", "unfairness", "fair"), card.name
        assert not card.description.lower().startswith(("fairness.", "fairness of", "the fairness"))


def test_list_names_every_measure_and_marks_the_invariant() -> None:
    code, out, _ = invoke()
    assert code == 0
    for card in MEASURES.values():
        assert squeezed(card.name) in squeezed(out)
    assert out.count("(policy-") + out.count("(policy-invariant)") >= 2
    assert "Policy-invariant" in out and "never" in out


def test_card_is_printed_whole_also_for_a_detail() -> None:
    for name in ("life_years", "ex_ante.gini"):
        code, out, _ = invoke(name)
        card = card_of(name)
        assert code == 0
        for heading, text in card_lines(card):
            assert squeezed(heading) in squeezed(out)
            assert squeezed(text.replace("`", "")) in squeezed(out)
    assert "determinism" in invoke("ex_ante")[1]  # the names of its rows are in its details


def test_unknown_name_suggests_the_nearest() -> None:
    code, _, err = invoke("life_yeers")
    assert code == 2 and "did you mean 'life_years'" in err and err.strip().count("\n") == 0
    with pytest.raises(InputError, match="lists what there is"):
        card_of("zzzzz")
    assert invoke("life_years", "--markdown")[0] == 2


def test_markdown_goes_to_standard_output() -> None:
    code, out, err = invoke("--markdown")
    assert code == 0 and not err and out == markdown()
