"""The report: every sentence traced to its row, a page that loads nothing, and bad folders."""

import base64
import csv
import json
import math
import re
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from report_folder import Page, card, difference, differences, settings, tables, write

from experiments.cli import main
from experiments.compare import compare
from experiments.report.arms import description
from experiments.report.page import write_report
from experiments.study import Study
from populations.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "results", settings(), tables())


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("whole") / "results", settings(), tables())


@pytest.fixture(scope="module")
def page(untouched: Path) -> Page:
    return read(untouched)


def read(folder: Path) -> Page:
    out = folder / "report.html"
    write_report(folder, out)
    return Page(out.read_text(encoding="utf-8"))


def shown(text: str) -> tuple[float, float]:
    """A printed number, and half a unit of its last digit."""
    plain = text.replace("\N{MINUS SIGN}", "-").replace(",", "").replace("\N{NO-BREAK SPACE}", " ")
    assert plain.startswith("<") or re.fullmatch(r"[-+]?\d+(\.\d+)?( %| pp)?", plain), text
    digits = plain.rstrip(" %p").lstrip("<+")
    unit = 100.0 if plain.endswith(("%", "pp")) else 1.0
    decimals = len(digits.partition(".")[2])
    return float(digits) / unit, 0.5001 * 10**-decimals / unit


def cells(folder: Path, where: str) -> list[str]:
    """The cells a number claims to come from, read without the code under test."""
    name, lines, column = where.split(":")
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    return [rows[int(line) - 1][rows[0].index(column)] for line in lines.split(",")]


def check_row(told: list[str], place: str, folder: Path) -> None:
    """The row that a mark leads to is the row of the file that it names."""
    if "mean of" in place:
        return
    name, line = re.fullmatch(r"(\w+)\.csv, line (\d+)", place).groups()  # type: ignore[union-attr]
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        row = list(csv.reader(file))[int(line) - 1]
    assert line in told
    for cell in filter(None, row):
        try:
            value = float(cell)
        except ValueError:
            assert cell in told
        else:
            assert any(math.isclose(float(text), value, rel_tol=1e-5) for text in numbers(told))


def numbers(texts: list[str]) -> list[str]:
    return [text for text in texts if re.fullmatch(r"-?[\d.]+(e[-+]\d+)?", text)]


def check_traced(page: Page, folder: Path) -> None:
    """Every number of every finding is in the files, where it says, and is told as it is there."""
    assert page.findings
    for finding in page.findings:
        cited = {place for _, place in finding["rows"]}
        for number in finding["numbers"]:
            values = [float(cell) for cell in cells(folder, number["data-cells"])]
            mean = sum(values) / len(values)
            assert math.isclose(float(number["value"]), mean, rel_tol=1e-12, abs_tol=1e-15)
            printed, half = shown(number["text"])
            if number["text"].startswith("<"):
                assert 0 <= mean < printed
            else:
                assert abs(printed - mean) <= half, finding["text"]
            name, lines, column = number["data-cells"].split(":")
            count = len(lines.split(","))
            several = f"{name}.csv, mean of {column} over {count} lines"
            assert (several if count > 1 else f"{name}.csv, line {lines}") in cited
        for anchor, place in finding["rows"]:
            check_row(page.texts[anchor].split("|"), place, folder)
        digits = re.sub(
            r"\d+-\d+|65\+|95\N{NO-BREAK SPACE}%|Q\d|\d+ worlds or more", "", finding["text"]
        )
        for number in finding["numbers"]:
            digits = digits.replace(number["text"], "", 1)
        assert finding["rows"] or not re.search(r"\d", digits), finding["text"]


def test_every_number_of_every_finding_is_in_the_files(page: Page, untouched: Path) -> None:
    check_traced(page, untouched)


def test_findings_of_a_real_study_are_traced(tmp_path: Path) -> None:
    out = tmp_path / "study"
    study = Study(
        population="teaching", policies=("human", "lottery"), worlds=2, years=1, seed=3, out=out,
        answers=tmp_path / "answers.sqlite",
    )  # fmt: skip
    compare(study)
    page = read(out)
    check_traced(page, out)
    check_sound(page)
    assert "Not in this folder of results" not in page.html and len(page.all("img")) >= 4


def check_sound(page: Page) -> None:
    """Nothing is loaded or run; images, headings, tables and links are as they should be."""
    for _, given in page.tags:
        for name, value in given.items():
            assert not name.startswith("on")
            if name in ("src", "href", "srcset", "poster", "action", "data"):
                assert value.startswith(("#", "data:")), value
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "iframe", "object", "embed", "base", "form", "video"}
    style = "".join(re.findall(r"<style>(.*?)</style>", page.html, re.S))
    assert style and "url(" not in style and "@import" not in style
    policies = [each["content"] for each in page.all("meta") if "http-equiv" in each]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    assert [each["lang"] for each in page.all("html")] == ["en-GB"]
    for image in page.all("img"):
        assert image["alt"] and int(image["width"]) > 0 and int(image["height"]) > 0
        kind, _, content = image["src"].partition(",")
        assert kind == "data:image/svg+xml;base64" and b"<svg" in base64.b64decode(content)
    heads = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert heads[0] == 1 and heads.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(heads))
    ids = [given["id"] for _, given in page.tags if "id" in given]
    assert len(ids) == len(set(ids))
    targets = [each["href"][1:] for each in page.all("a")]
    targets += [given["aria-labelledby"] for _, given in page.tags if "aria-labelledby" in given]
    assert set(targets) <= set(ids)
    assert len(page.all("caption")) == len(page.all("table")) > 0
    assert all("scope" in each for each in page.all("th"))
    assert all(each["tabindex"] == "0" for _, each in page.tags if each.get("class") == "scroll")


def test_the_page_loads_nothing_and_is_accessible(page: Page) -> None:
    check_sound(page)


def test_colours_can_be_read(page: Page) -> None:
    style = "".join(re.findall(r"<style>(.*?)</style>", page.html, re.S))
    named = dict(re.findall(r"--(\w+): (#\w{6});", style))
    grounds = [named["ground"], named["tint"], *re.findall(r"background: (#\w{6})", style)]
    assert len(grounds) >= 4
    for text in ("ink", "soft", "link", "warn"):
        assert all(contrast(named[text], ground) >= 4.5 for ground in grounds)


def contrast(one: str, other: str) -> float:
    """Of WCAG 2: (L1 + 0.05) / (L2 + 0.05)."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Under llm:local more candidates died while waiting: 5.71 per 100 years", "declared"),
        ("a difference of +1.11 (95 % interval +0.59 to +1.63; Holm-adjusted p <0.001)",
         "declared"),
        ("Differs taken alone, but not clearly once all declared comparisons are counted: years "
         "lived by the end of the run -0.044", "declared"),
        ("No difference from human was detected in: how many were still waiting at the end +12.4",
         "exploratory"),
        ("Under llm:local fewer decisions were left to lots: 97.1 % of them", "exploratory"),
        ("Under llm:local candidates aged 65+ were transplanted at a lower rate, relative to those "
         "aged 18-34: at 1.25 times their rate, under human at 0.25, that is, 0.08 times as high "
         "(95 % interval 0.06 to 0.11; Holm-adjusted p 0.003)", "declared"),
        ("No difference from human was detected in: deaths while waiting -0.40", "declared"),
        ("Under lottery candidates lived longer by the end of the run", "declared"),
        ("Under lottery fewer candidates were still waiting at the end", "exploratory"),
        ("lottery and human cannot be compared in how much was settled before lots were drawn",
         "exploratory"),
        ("On average over runs, 91.0 people were transplanted under lottery but not under human, "
         "and 92.0 the other way round; together 38.0 % of all transplants of both. Between two "
         "runs of human that differ by lottery tickets alone it is 31.0 %.", "exploratory"),
        ("llm:local is the least fair by “inequality of chances” (adjusted p 0.023); “deaths "
         "while waiting”", "exploratory"),
        ("No difference from human was detected in: the transplant rate ratio of female candidates "
         "0.90 times as high (95 % interval 0.69 to 1.17)", "exploratory"),
        ("Under lottery transplants came at a lower rate among Black candidates: 23.0 per 100 "
         "years that people spent waiting against 25.0 under human, a difference of -3.0",
         "exploratory"),
        ("lottery is the fairest by “inequality of chances” (adjusted p <0.001)", "exploratory"),
        ("human is not told apart as the fairest or the least fair by any.", ""),
        ("Most opposed are “inequality of chances” and “deaths while waiting”: of their orders of "
         "the policies, Kendall's tau (1 the same order, -1 the reverse) is -0.91.", "exploratory"),
        ("How many are transplanted hangs on the kidneys", ""),
    ],
)  # fmt: skip
def test_what_is_said(page: Page, said: str, kind: str) -> None:
    found = [each for each in page.findings if said in ascii_text(each["text"])]
    assert found and {each["kind"].strip() for each in found} == {kind}


def ascii_text(text: str) -> str:
    plain = text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{MINUS SIGN}", "-")
    return " ".join(plain.split())


def test_nothing_is_said_twice_or_left_out(page: Page) -> None:
    """Each difference within the page's scope is in one sentence of its part (and in short)."""
    parts = page.html.split('<h2 id="findings">')
    full = Page("<p>" + parts[1].split('<h2 id="images">')[0])
    told = [place for each in full.findings for _, place in each["rows"]]
    rows = [place for place in told if place.startswith("differences")]
    lines = range(2, len(differences()) + 1)  # but the last, which another row is told for
    assert sorted(rows) == sorted(f"differences.csv, line {line}" for line in lines)


def test_hostile_names_are_text(tmp_path: Path) -> None:
    nasty = (
        '"><img src=http://x.example/y onerror=alert(1)>{{ 7*7 }}</style><script>alert(2)</script>'
    )
    study, rows = settings(), tables()
    study = json.loads(json.dumps(study).replace("llm:local", json.dumps(nasty)[1:-1]))
    study["study"]["population"] = nasty
    study["command"] = nasty
    study["versions"][nasty] = nasty
    study["origins"][nasty] = {"tag": "A", "source": nasty}
    study["cards"] = {nasty: {"provenance": nasty}}
    for table in rows.values():
        for row in table:
            row |= {key: nasty for key, value in row.items() if value == "llm:local"}
    folder = write(tmp_path / "results", study, rows)
    said = dict.fromkeys(("title", "caption", "alt"), nasty)
    (folder / "figures" / "captions.json").write_text(json.dumps({"rates": said}))
    page = read(folder)
    check_sound(page)
    check_traced(page, folder)
    assert "49" not in [each["text"] for each in page.findings] and "{{ 7*7 }}" in page.html


def test_missing_files_are_named_with_what_makes_them(folder: Path) -> None:
    for name in tables():
        if name not in ("levels", "differences"):
            (folder / f"{name}.csv").unlink()
    (folder / "floor.csv").write_text("arm,world,tie_seed\n")  # as of one tie seed
    shutil.rmtree(folder / "figures")
    page = read(folder)
    check_sound(page)
    check_traced(page, folder)
    for name in ("ledger.csv", "floor.csv", "alignment.csv", "conflict.csv", "captions.json"):
        assert re.search(rf"{name}[^<]*: made by equipoise run compare", page.html)
    assert not page.all("img") and "Not known for this study" in page.html


def broken(folder: Path, name: str, change: Any) -> None:
    path = folder / name
    path.write_text(change(path.read_text()))


def without(key: str, inner: str = "") -> Any:
    def change(text: str) -> str:
        content = json.loads(text)
        del (content[key] if inner else content)[inner or key]
        return json.dumps(content)

    return change


def with_card(**changed: Any) -> Any:
    def change(text: str) -> str:
        content = json.loads(text)
        content["cards"] = {"llm:local": card() | changed}
        return json.dumps(content)

    return change


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("study.json", lambda text: text[:-5], ("study.json", "damaged")),
        ("study.json", lambda text: text.replace('"arms": [', '"arms": ["human", '),
         ("study.json", "arms", "each once")),
        ("study.json", lambda text: text.replace("small enough", "\\ud800"),
         ("study.json", "content.origins.list.initial.source", "half of a character")),
        ("study.json", with_card(), ("study.json", "'llm:local'", "way", "missing")),
        ("study.json", with_card(way="magic"), ("cards", "'llm:local'", "way", "'magic'", "table")),
        ("study.json", with_card(way="live"), ("cards", "'llm:local'", "kept", "missing")),
        ("study.json", with_card(way="table", first_modal="most"),
         ("cards", "first_modal", "'most'", "number")),
        ("study.json", with_card(way="table", coin_both=1.5),
         ("cards", "coin_both", "1.5", "share from 0 to 1")),
        ("study.json", with_card(way="table", same_patient=None), ("same_patient", "None")),
        ("study.json", lambda text: "[]", ("study.json", "content")),
        ("study.json", without("reference"), ("study.json", "reference", "required")),
        ("study.json", without("study", "years"), ("study.json", "study.years", "required")),
        ("study.json", lambda text: text.replace('"worlds": 6', '"worlds": "many"'),
         ("study.json", "study.worlds", "integer")),
        ("study.json", lambda text: text.replace('"reference": "human"', '"reference": "x"'),
         ("study.json", "reference", "'x'", "human, llm:local, lottery")),
        ("levels.csv", lambda text: "", ("levels.csv", "damaged")),
        ("levels.csv", lambda text: text.splitlines()[0] + "\n",
         ("levels.csv", "arm 'human'", "every arm")),
        ("levels.csv", lambda text: text[: len(text) // 2], ("levels.csv", "last line", "cut off")),
        ("levels.csv", lambda text: "".join(text.splitlines(keepends=True)[:12]),
         ("levels.csv", "arm 'lottery'", "every arm")),
        ("levels.csv", lambda text: text + text.partition("\n")[2],
         ("levels.csv", "line 26", "'human, mortality_rate, all, all'", "once")),
        ("levels.csv", lambda text: text.replace(",6\n", ",\n"),
         ("levels.csv", "line 2", "worlds", "nan", "whole number")),
        ("levels.csv", lambda text: text.replace(",6\n", ",inf\n"),
         ("levels.csv", "line 2", "worlds", "inf", "whole number")),
        ("differences.csv", lambda text: "\n".join(text.splitlines()[:7]) + "\n",
         ("differences.csv", "arm 'lottery'", "every arm")),
        ("differences.csv", lambda text: text.replace(",0.078,", ",-0.078,"),
         ("differences.csv", "line 7", "value", "-0.078", "ratio above 0")),
        ("differences.csv", lambda text: text.replace(",declared,0.0004", ",declared,4"),
         ("differences.csv", "line 2", "p_holm", "4.0", "0 to 1")),
        ("differences.csv", lambda text: text.replace(",exploratory,", ",explored,", 1),
         ("differences.csv", "line 5", "family", "'explored'", "declared, exploratory")),
        ("differences.csv", lambda text: text.replace("p_holm", "p_home"),
         ("differences.csv", "'p_holm'", "missing")),
        ("differences.csv", lambda text: text.replace("1.114", "one"),
         ("differences.csv", "line 2", "value", "'one'", "number")),
        ("ledger.csv", lambda text: text.replace("lottery", "lotery"),
         ("ledger.csv", "'lotery'", "human, llm:local, lottery")),
        ("figures/captions.json", lambda text: text.replace('"alt"', '"alternative"'),
         ("captions.json", "rates", "alt")),
        ("figures/captions.json", lambda text: text.replace('"rates"', '"../../etc/passwd"'),
         ("captions.json", "../../etc/passwd", "name of a figure")),
        ("figures/captions.json", lambda text: text.replace('"rates"', '"ra\\u0000tes"'),
         ("captions.json", "ra\\x00tes", "name of a figure")),
        ("figures/captions.json", lambda text: text.replace("Rates fall", "\\ud83d"),
         ("captions.json", "content.rates.alt", "half of a character")),
        ("figures/rates.svg", lambda text: text[:40], ("rates.svg", "damaged")),
        ("figures/rates.svg", lambda text: '<?xml version="1.0" encoding="no-such"?>' + text,
         ("rates.svg", "damaged")),
        ("figures/rates.svg", lambda text: text.replace("518.4pt", "1.2.3pt"),
         ("rates.svg", "1.2.3pt", "points")),
        ("figures/rates.svg", lambda text: text.replace("518.4pt", "0pt"),
         ("rates.svg", "'0pt'", "points")),
        ("figures/rates.svg", lambda text: text.replace("width", "breadth"),
         ("rates.svg", "width")),
        ("figures/rates.svg", lambda text: "<html width='1' height='1'/>", ("rates.svg", "SVG")),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(
    folder: Path, name: str, change: Any, words: tuple[str, ...]
) -> None:
    broken(folder, name, change)
    with pytest.raises(InputError) as error:
        write_report(folder, folder / "report.html")
    assert all(word in str(error.value) for word in words), str(error.value)
    assert "\n" not in str(error.value) and not (folder / "report.html").exists()


def test_one_world_and_one_arm(tmp_path: Path) -> None:
    rows = tables()
    for row in [*rows["levels"], *rows["differences"]]:
        row |= {"low": math.nan, "high": math.nan, "worlds": 1, "p_holm": math.nan, "p": math.nan}
    for row in rows["conflict"]:
        row |= {"p_fairest": math.nan, "p_least_fair": math.nan}
    page = read(write(tmp_path / "one-world", settings(), rows))
    assert page.saying("No policy is called the fairest") and not page.saying("not told apart")
    assert page.saying("One world gives no interval: whether this is more than luck is not known.")
    assert not page.saying("No difference from human was detected")
    alone = settings() | {"arms": ["human"]}
    mine = {
        name: [row for row in each if row.get("arm", "human") == "human"]
        for name, each in tables().items()
        if name in ("levels", "alignment", "weights")
    }
    folder = write(tmp_path / "one-arm", alone, mine)
    (folder / "differences.csv").write_text(",".join(differences()[0]) + "\n")
    page = read(folder)
    check_sound(page)
    assert not page.findings and "nothing to compare it with" in page.html


def test_the_page_says_what_it_must(page: Page) -> None:
    html = page.html
    for heading in ("1. Purpose and patterns", "2. Entities, state variables, and scales",
                    "3. Process overview and scheduling", "4. Design concepts",
                    "5. Initialisation", "6. Input data", "7. Submodels"):  # fmt: skip
        assert f"<h3>{heading}</h3>" in html
    assert "equipoise run compare --population teaching" in html and "3.12.1" in html
    assert "Not for clinical use" in html and "in the spirit of" in html and "MIT" in html
    assert "replicat" not in html and "runs of at least 41 years" in html
    assumed, derived = html.index("list.initial"), html.index("arrivals.per_year")
    assert assumed < derived  # what nobody has checked comes first
    for name in ("mortality_rate", "ex_ante", "compare_judges"):
        assert f'id="card-{name}"' in html
    assert 'id="card-tied_set"' not in html  # not in this study


def test_same_folder_same_bytes(page: Page, untouched: Path) -> None:
    assert read(untouched).html == page.html


def test_command(folder: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke(
        main, ["report", str(folder), "--out", str(tmp_path / "new" / "r.html")]
    )
    assert run.exit_code == 0 and "new/r.html" in run.output and "MB" in run.output
    assert (tmp_path / "new" / "r.html").stat().st_size > 20_000
    assert CliRunner().invoke(main, ["report", str(folder)]).exit_code == 0
    assert (folder / "report.html").exists()
    run = CliRunner().invoke(main, ["report", str(tmp_path / "nowhere")])
    assert run.exit_code == 2 and "study.json" in run.output and "Traceback" not in run.output
    assert "interrupted" in run.output and "same command again" in run.output
    folder.rename(tmp_path / "cells")
    run = CliRunner().invoke(main, ["report", str(tmp_path)])
    assert run.exit_code == 2 and str(tmp_path / "cells") in run.output


def test_arms_are_described() -> None:
    assert description("lottery") == "every eligible candidate has the same chance"
    forced = description("forced(human, argmax)")
    assert "the best always wins" in forced and "fitted to people's answers" in forced
    assert "surrogate" in description("llm:openai/gpt-4o")
    assert "temperature 1" in description("sampled(llm:local)")
    assert description("my-own") == "a policy of this study's own"
    assert "attribute" in description("forced(human, attribute:age)")
    assert "no coin" in description("forced()") and "no coin" in description("forced(human)")
    assert "lots among all" in description("band()")
    assert "more than 0.2 in utility" in description("band(human, 0.2)")
    calibrated = description("calibrated(llm:local, human, 0.5)")
    assert "as human on the same pairs, times 0.5" in calibrated and "OTHER" not in calibrated


def with_differences(folder: Path, rows: list[dict[str, Any]], **files: Any) -> Page:
    """The page of a study with other differences; those of arms without any are invariant."""
    others = [
        difference(arm, "transplant_count", 0.1, 0.5) | {"family": "invariant"}
        for arm in ("llm:local", "lottery")
    ]
    page = read(write(folder, settings(), tables() | files | {"differences": [*rows, *others]}))
    check_traced(page, folder)
    return page


def test_what_is_the_same_is_not_said_to_differ(tmp_path: Path) -> None:
    """One world and two identical policies: a ratio of 1 is no difference, as is one of 0."""
    unknown = {"low": math.nan, "high": math.nan, "worlds": 1, "p": math.nan}
    old = {"grouping": "age_band", "group": "65+"}
    rows = [
        difference("lottery", "mortality_rate", 0.0, 1.0),
        difference("lottery", "transplant_rate_ratio", 1.0, 1.1, **old),
        difference("llm:local", "some_ratio", 0.9, 1.1, p_holm=0.5) | {"p_holm": math.nan},
        difference("lottery", "some_ratio", 1.0, 1.1, p_holm=0.5) | {"p_holm": math.nan},
    ]
    page = with_differences(tmp_path / "same", [row | unknown for row in rows])
    for words in (
        "there was no difference in deaths while waiting:",
        "there was no difference in the transplant rate of candidates aged 65+, relative to",
        "Under lottery there was no difference in the measure some_ratio",
        "Under llm:local the measure some_ratio was lower: 0.90 times as high",
    ):
        assert page.saying(words), words
    told = " ".join(ascii_text(each["text"]) for each in page.findings if "1.00" in each["text"])
    assert told and not re.search("higher|lower", told)
    assert "In others there may be one" not in told and "in others there may be one" in told


def test_digits_show_what_is_said(tmp_path: Path) -> None:
    """No number that differs is printed as no difference beside a claim that it does."""
    old = {"grouping": "age_band", "group": "65+"}
    rows = [
        difference("lottery", "life_years", -0.00037, 0.00036),
        difference("lottery", "mortality_rate", 0.001, 0.4),
        difference("lottery", "transplant_rate_ratio", 0.99, 1.0084, **old),
        difference("lottery", "indecision_rate", 0.0004, 0.00039),
    ]
    page = with_differences(tmp_path / "digits", rows)
    (lived,) = (ascii_text(each["text"]) for each in page.saying("lived less long")[:1])
    assert "a difference of -0.00037 (95 % interval -0.00073 to -0.00001)" in lived
    (rate,) = (ascii_text(each["text"]) for each in page.saying("at a lower rate")[:1])
    assert "0.990 times as high (95 % interval 0.982 to 0.998)" in rate
    (lots,) = (ascii_text(each["text"]) for each in page.saying("left to lots")[:1])
    assert "+0.040 pp (95 % interval +0.001 pp to +0.079 pp)" in lots
    assert page.saying("deaths while waiting 0.00 (95 % interval")  # as it is
    cell = page.html.split("life-years by the end, per candidate")[2].split("</tr>")[0]
    assert "<strong>\N{MINUS SIGN}0.00037</strong>" in cell


def test_means_told_apart_are_printed_apart(tmp_path: Path) -> None:
    rows = tables()
    for row in rows["levels"]:
        if row["measure"] == "life_years":
            row["value"] = 0.82604 if row["arm"] == "lottery" else 0.82646
    folder = tmp_path / "means"
    page = read(write(folder, settings(), rows))
    check_traced(page, folder)
    (lived,) = (ascii_text(each["text"]) for each in page.saying("lived longer")[:1])
    assert "0.8260 years each against 0.8265 under human" in lived
    old = {"grouping": "age_band", "group": "65+"}
    for row in rows["levels"]:
        if row["group"] == "65+" and row["arm"] == "lottery":
            row["value"] = 0.0004
    tiny = difference("lottery", "transplant_rate_ratio", 0.0052, 1.05, **old)
    page = with_differences(tmp_path / "tiny", [tiny], levels=rows["levels"])
    (rate,) = (ascii_text(each["text"]) for each in page.saying("at a lower rate")[:1])
    assert "at 0.0004 times their rate, under human at 0.2500, that is, 0.0052 times" in rate
    assert "(95 % interval 0.0050 to 0.0055)" in rate


def test_worlds_that_agree_and_what_no_policy_changes(tmp_path: Path) -> None:
    agreed = {"low": math.nan, "high": math.nan}
    rows = [
        difference("lottery", "mortality_rate", 0.5, 0.1) | agreed | {"p": 0.03125},
        difference("lottery", "life_years", -0.5, 0.1) | agreed | {"p": 0.25, "worlds": 3},
        difference("llm:local", "mortality_rate", 0.5, 0.1, p_holm=0.2) | agreed | {"p": 0.03125},
    ]
    page = with_differences(tmp_path / "agreed", rows)
    said = " (the same in all 6 worlds"
    assert any(said in each["text"] for each in page.saying("more candidates died while waiting"))
    assert page.saying(
        f"Differs taken alone, but not clearly once all declared comparisons are "
        f"counted: deaths while waiting +0.50{said}; Holm-adjusted p 0.200)"
    )
    assert not page.saying("lived less long") and page.saying("(the same in all 3 worlds)")
    assert not page.saying("One world") and not page.saying("transplant_count")
    assert page.html.count("others are not, and some") == 1 and "; 2 others are not" in page.html


def test_how_many_worlds_were_chosen_is_said(tmp_path: Path) -> None:
    asked = {"target": 0.1, "met": False, "worlds": 40, "look_ahead": 5, "contrasts": []}
    for met, left_out in ((True, []), (False, ["transplant_rate_ratio of Other under lottery"])):
        precision = asked | {"met": met, "left_out": left_out}
        page = read(write(tmp_path / str(met), settings() | {"precision": precision}, tables()))
        said = f"That was {'' if met else 'not '}met with 40 worlds."
        assert "chosen by looking at the widths of the intervals" in page.html
        assert "0.1 either way on the log scale (a factor of 1.11)" in page.html
        assert said in page.html and ("Left out, since" in page.html) is not met
        assert "a little too narrow" in page.html


def test_no_kidneys(tmp_path: Path) -> None:
    rows = tables()
    for row in [*rows["ledger"], *rows["floor"]]:
        row |= {"n": 0, "share": math.nan}
    folder = write(tmp_path / "none", settings(), rows)
    page = read(folder)
    check_traced(page, folder)
    assert 'value="nan"' not in page.html
    (said,) = (ascii_text(each["text"]) for each in page.saying("under lottery but not under")[:1])
    assert said.endswith("and 0.0 the other way round.")


def test_one_arm_is_not_ranked(tmp_path: Path) -> None:
    rows = {
        name: [row for row in each if row.get("arm") == "human"]
        for name, each in tables().items()
        if name in ("levels", "conflict")
    }
    folder = write(tmp_path / "one", settings() | {"arms": ["human"]}, rows)
    (folder / "differences.csv").write_text(",".join(differences()[0]) + "\n")
    page = read(folder)
    assert not page.findings and "Not known for this study" in page.html


def test_a_report_is_kept_if_the_next_fails(folder: Path) -> None:
    first = read(folder).html
    broken(folder, "figures/captions.json", lambda text: text.replace("Ribbon", "\\ud800"))
    with pytest.raises(InputError, match="half of a character"):
        read(folder)
    assert (folder / "report.html").read_text(encoding="utf-8") == first


def test_cards_of_models_are_told(tmp_path: Path) -> None:
    cards = {"llm:local": card() | {"way": "surrogate", "same_patient": math.nan}}
    page = read(write(tmp_path / "cards", settings() | {"cards": cards}, tables()))
    assert "By surrogate: it acts through a fitted surrogate." in page.html
    live = {key: card()[key] for key in ("model", "prompt", "schema", "coin_offered")}
    cards = {"llm:local": live | {"way": "live", "kept": 7, "kept_unusable": 1}}
    page = read(write(tmp_path / "live", settings() | {"cards": cards}, tables()))
    assert "was asked about the very candidates" in page.html
