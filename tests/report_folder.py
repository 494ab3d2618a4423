"""A results folder made by hand, and a report as its tests read it."""

import json
import math
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="518.4pt" height="216pt"><path id="a"/></svg>'
ARMS = ["human", "llm:local", "lottery"]
COLUMNS = ["arm", "measure", "grouping", "group", "value", "low", "high", "worlds"]
KINDS = {
    "mortality_rate": 5.0,
    "life_years": 2.8,
    "fate_counts.waiting": 1180.0,
    "transplant_count": 262.0,
    "ex_ante.determinism": 0.5,
    "indecision_rate": 0.85,
}


def difference(
    arm: str, measure: str, value: float, half: float, *, p_holm: float = math.nan, **group: str
) -> dict[str, Any]:
    """A row of differences.csv; declared if it has an adjusted p."""
    ratio = measure.endswith("_ratio")
    ends = (value / half, value * half) if ratio else (value - half, value + half)
    where = {"grouping": "all", "group": "all"} | group
    family = "exploratory" if math.isnan(p_holm) else "declared"
    row = {"arm": arm, "measure": measure, **where, "value": value, "low": ends[0], "high": ends[1]}
    return row | {"worlds": 6, "p": 0.03, "family": family, "p_holm": p_holm}


def differences() -> list[dict[str, Any]]:
    black = {"grouping": "race", "group": "Black"}
    old = {"grouping": "age_band", "group": "65+"}
    return [
        difference("llm:local", "mortality_rate", 1.114, 0.52, p_holm=0.0004),
        difference("llm:local", "life_years", -0.0441, 0.02, p_holm=0.21),
        difference("llm:local", "ex_ante.determinism", 0.5155, 0.04, p_holm=0.01),
        difference("llm:local", "fate_counts.waiting", 12.4, 20.0),
        difference("llm:local", "indecision_rate", -0.8512, 0.02),
        difference("llm:local", "transplant_rate_ratio", 0.078, 1.4, p_holm=0.003, **old),
        difference("lottery", "mortality_rate", -0.4, 0.5, p_holm=0.3),
        difference("lottery", "life_years", 0.001, 0.0004, p_holm=0.002),
        difference("lottery", "ex_ante.determinism", math.nan, 0.1, p_holm=math.nan),
        difference("lottery", "fate_counts.waiting", -31.0, 20.0),
        difference("lottery", "transplant_rate_ratio", 5.0, 1.3, p_holm=0.0001, **old),
        difference("lottery", "transplant_rate", -3.0, 0.5, **black),
        difference("lottery", "transplant_rate_ratio", 0.9, 1.3, grouping="sex", group="female"),
        # Told by the rate instead: in some world no White candidate was transplanted.
        difference(
            "lottery", "transplant_rate_ratio", math.nan, 1.3, grouping="race", group="Black"
        ),
    ]


def levels() -> list[dict[str, Any]]:
    rows = []
    for place, arm in enumerate(ARMS):
        for measure, value in KINDS.items():
            got = value * (1 + place / 7)
            ends = {"low": got * 0.9, "high": got * 1.1, "worlds": 6}
            where = {"arm": arm, "measure": measure, "grouping": "all", "group": "all"}
            rows.append(where | {"value": got} | ends)
        ratio = {"arm": arm, "measure": "transplant_rate_ratio", "grouping": "age_band"}
        rows.append(ratio | {"group": "65+", "value": 0.25 + place, "low": 0.2, "high": 3.0})
        rows[-1]["worlds"] = 6
        rate = {"arm": arm, "measure": "transplant_rate", "grouping": "race", "group": "Black"}
        rows.append(rate | {"value": 25.0 - place, "low": 20.0, "high": 30.0, "worlds": 6})
    return rows


def changes(arms: list[str], offset: float) -> list[dict[str, Any]]:
    return [
        {"arm": arm, "world": world, "what": what, "n": n + world}
        | {"share": share + world / 100 + place / 50}
        for place, arm in enumerate(arms)
        for world in range(3)
        for what, n, share in (
            ("gained", 90 + offset, 0.13), ("lost", 91, 0.14), ("churn", 181, 0.35 - offset / 100)
        )
    ]  # fmt: skip


def conflict() -> list[dict[str, Any]]:
    p = {"human": (1.0, 0.2), "llm:local": (1.0, 0.023), "lottery": (0.0004, 1.0)}
    return [
        {"definition": name, "arm": arm, "score": 0.5 + place, "rank": place + 1}
        | {"p_fairest": p[arm][0], "p_least_fair": p[arm][1], "note": ""}
        for name in ("inequality of chances", "deaths while waiting")
        for place, arm in enumerate(ARMS)
    ]


def card() -> dict[str, Any]:
    """Of a language model asked about pairs, but for ``way``."""
    shares = (
        *("unusable", "other_mass", "mean_first", "mean_second", "mean_coin", "first_modal"),
        *("second_modal", "coin_modal", "same_position", "same_patient", "coin_both"),
    )
    known = {"model": "m", "prompt": "p", "schema": "s", "coin_offered": True, "pairs": 12}
    return known | dict.fromkeys(shares, 0.25)


def settings() -> dict[str, Any]:
    asked = {
        "population": "teaching", "policies": ARMS, "worlds": 6, "years": 5.0, "seed": 1,
        "tie_seeds": 2, "discretion": "all", "lottery": "fresh", "values": "human",
        "declared": [["mortality_rate", "all", "all", "deaths on the list"]],
    }  # fmt: skip
    return {
        "study": asked,
        "population": {"list": {"initial": 200}, "arrivals": {"per_year": 98.0}},
        "origins": {
            "arrivals.per_year": {"tag": "D", "source": "44,000 x 200 / 90,000"},
            "list.initial": {"tag": "A", "source": "small enough to read by eye"},
        },
        "cards": {},
        "arms": ARMS,
        "reference": "human",
        "command": "equipoise run compare --population teaching",
        "versions": {"python": "3.12.1", "equipoise": "0.1.0"},
        "warm_up": {"years": 2.5, "steady": False, "needed": 41.0},
    }


def write(folder: Path, study: dict[str, Any], tables: dict[str, list[dict[str, Any]]]) -> Path:
    (folder / "figures").mkdir(parents=True)
    (folder / "study.json").write_text(json.dumps(study))
    for name, rows in tables.items():
        pd.DataFrame(rows).to_csv(folder / f"{name}.csv", index=False)
    said = {"title": "Rates over time", "caption": "Ribbon: worlds.", "alt": "Rates fall to 0.05."}
    (folder / "figures" / "rates.svg").write_text(SVG)
    (folder / "figures" / "captions.json").write_text(json.dumps({"rates": said}))
    return folder


def tables() -> dict[str, list[dict[str, Any]]]:
    one, other = "inequality of chances", "deaths while waiting"
    tau = [(one, one, 1.0, 1.0), (one, other, -0.91, 0.99), (other, one, -0.91, 0.99)]
    names = ("definition_a", "definition_b", "tau", "same_sign_share")
    steady = [row for row in differences() if row["measure"] == "mortality_rate"]
    return {
        "levels": levels(),
        "differences": differences(),
        "ledger": changes(ARMS[1:], 0.0),
        "floor": changes(ARMS, 5.0),
        "alignment": [
            {"arm": arm, "measure": "compare_judges.agreement", "value": 0.51, "note": ""}
            for arm in ARMS
        ],
        "weights": [
            {"policy": "human", "term": "age", "value": -1.675, "low": -2.0, "high": -1.4}
            | {"unit": "utility over the study's range", "note": ""}
        ],
        "conflict": conflict(),
        "conflict_tau": [dict(zip(names, row, strict=True)) for row in tau],
        "steady_levels": levels(),
        "steady_differences": steady,
    }


class Page(HTMLParser):
    """What is checked of a page."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.html = html
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, str] = {}
        self.findings: list[dict[str, Any]] = []
        self._open: list[tuple[str, dict[str, str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append((tag, given))
        if tag in ("br", "img", "meta", "link", "path"):
            return
        self._open.append((tag, given))
        if given.get("class") == "finding":
            self.findings.append({"text": "", "numbers": [], "rows": [], "kind": ""})
        if self._in_finding():
            if tag == "data":
                self.findings[-1]["numbers"].append({**given, "text": ""})
            if given.get("href", "").startswith("#row-"):
                self.findings[-1]["rows"].append((given["href"][1:], given["title"]))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        for _, given in self._open:
            if "id" in given:
                self.texts[given["id"]] = self.texts.get(given["id"], "") + data + "|"
        if self._in_finding():
            inside = [tag for tag, _ in self._open]
            if "sup" not in inside:
                key = "kind" if self._open[-1][1].get("class") == "kind" else "text"
                self.findings[-1][key] += data
            if inside[-1] == "data":
                self.findings[-1]["numbers"][-1]["text"] += data

    def _in_finding(self) -> bool:
        return any(given.get("class") == "finding" for _, given in self._open)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [given for name, given in self.tags if name == tag]

    def saying(self, words: str) -> list[dict[str, Any]]:
        return [each for each in self.findings if words in " ".join(each["text"].split())]
