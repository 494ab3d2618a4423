"""What holds for the study as a whole: definitions that disagree, and what cannot be told."""

from collections.abc import Iterable
from itertools import combinations

import numpy as np
import pandas as pd

from experiments.conflict import FEWEST_WORLDS, SURE
from experiments.inference import LEVEL
from experiments.report.results import Found
from experiments.report.sentences import P_VALUE, Finding, Part, cell, join, reference
from experiments.report.wording import GROUPINGS, wording
from measures.registry import MEASURES

FEW_WORLDS = 10  # under which intervals are called rough (A)


def number_of_transplants(found: Found) -> list[Finding]:
    """How many were transplanted, and that policies can hardly change it."""
    rows = [
        found.row("levels", arm=arm, measure="transplant_count", grouping="all", group="all")
        for arm in found.file.arms
    ]
    known = [row for row in rows if row is not None and np.isfinite(row["value"])]
    if len(known) < 2:
        return []
    items: list[list[Part]] = [
        [f"{row['arm']} ", cell(row, "levels", "value", ",.1f"), reference(("levels", row))]
        for row in known
    ]
    opening = (
        "How many are transplanted hangs on the kidneys; policies change it only by how many are "
        "declined too often. People transplanted in one world, on average: "
    )
    return [Finding((opening, *join(items), "."))]


def definitions(found: Found) -> list[Finding]:
    """Under which definitions of fairness each arm is the fairest, and the least fair."""
    if "conflict" not in found.tables or not found.others:
        return []
    ranked = found.rows("conflict")
    if ranked["rank"].notna().any() and ranked["p_fairest"].isna().all():
        nothing = (
            "No policy is called the fairest or the least fair by any definition: that takes two "
            f"policies and {FEWEST_WORLDS} worlds or more."
        )
        return [Finding((nothing,)), *_opposed(found)]
    said = []
    for arm in found.file.arms:
        rows = found.rows("conflict", arm=arm)
        best = _named(rows[rows["p_fairest"] < LEVEL], "p_fairest")
        worst = _named(rows[rows["p_least_fair"] < LEVEL], "p_least_fair")
        if rows["rank"].isna().all():
            continue
        if not (best or worst):
            nothing = f"{arm} is not told apart as the fairest or the least fair by any."
            said.append(Finding((nothing,)))
            continue
        parts: list[Part] = [f"{arm} is "]
        if best:
            parts += ["the fairest by ", *join(best)]
        if worst:
            parts += [", and " if best else "", "the least fair by ", *join(worst)]
        said.append(Finding((*parts, "."), "exploratory"))
    return said + _opposed(found)


def _named(rows: pd.DataFrame, column: str) -> list[list[Part]]:
    return [
        [
            f"“{row['definition']}” (adjusted p ",
            cell(row, "conflict", column, P_VALUE),
            ")",
            reference(("conflict", row)),
        ]
        for _, row in rows.iterrows()
    ]


def _opposed(found: Found) -> list[Finding]:
    """The two definitions whose orders of the arms are surely most opposed."""
    if "conflict_tau" not in found.tables:
        return []
    tau = found.tables["conflict_tau"]
    names = list(dict.fromkeys(tau["definition_a"]))
    once = set(combinations(names, 2))
    keys = zip(tau["definition_a"], tau["definition_b"], strict=True)
    tau = tau[[key in once for key in keys]]
    sure = tau[(tau["tau"] < 0) & (tau["same_sign_share"] >= SURE)]
    if sure.empty:
        return []
    row = sure.loc[sure["tau"].idxmin()]
    parts: list[Part] = [
        f"Most opposed are “{row['definition_a']}” and “{row['definition_b']}”: of their orders of "
        "the policies, Kendall's tau (1 the same order, \N{MINUS SIGN}1 the reverse) is ",
        cell(row, "conflict_tau", "tau", ".2f", signed=True),
        reference(("conflict_tau", row)),
        ".",
    ]
    return [Finding(tuple(parts), "exploratory")]


def declared(found: Found) -> list[str]:
    """What the study set out to compare, with the reason for each."""
    by: dict[tuple[str, str, str], list[str]] = {}
    for measure, grouping, group, reason in found.file.study.declared:
        by.setdefault((measure, grouping, reason), []).append(group)
    return [
        wording(measure, found.file.study.values).noun
        + ("" if grouping == "all" else f" by {GROUPINGS.get(grouping, grouping)}")
        + ("" if grouping == "all" else f" ({', '.join(groups)})")
        + (f" ({reason})" if reason else "")
        for (measure, grouping, reason), groups in by.items()
    ]


def limits(found: Found) -> list[str]:
    """What this study cannot tell, as sentences."""
    return [
        "What would have happened to anybody: the people are synthetic, their attributes published "
        "averages or assumptions and mostly independent of each other.",
        *_of_worlds(found),
        *_of_precision(found),
        '"No difference was detected" does not mean that there is none: read the interval, which '
        "says how large a difference could be.",
        *_of_families(found),
        *_of_models(found),
        *_of_undefined(found),
        *_of_origins(found),
        "What people value: the reference is a fitted model of survey answers about pairs, spread "
        "over whole lists by a formula. It is no standard of right, and no measure here says which "
        "policy is the fair one.",
        "Anything that the model leaves out; see what the model is.",
    ]


def worlds(found: Found) -> int:
    """How many worlds the numbers rest on."""
    return int(found.tables["levels"]["worlds"].max())


def precision(found: Found) -> str:
    """How the number of worlds was chosen, where intervals decided it."""
    asked = found.file.precision
    if asked is None:
        return ""
    out = (
        f" Left out, since undefined in some world: {'; '.join(asked.left_out)}."
        if asked.left_out
        else ""
    )
    return (
        "The number of worlds was chosen by looking at the widths of the intervals: worlds were "
        "added until those of the declared ratios reached no further than "
        f"{asked.target:g} either way on the log scale (a factor of {np.exp(asked.target):.3g}). "
        f"That was {'' if asked.met else 'not '}met with {asked.worlds} worlds.{out}"
    )


def _of_precision(found: Found) -> list[str]:
    if found.file.precision is None:
        return []
    return [
        "How wide the intervals would be with a number of worlds fixed beforehand: it was chosen "
        "by looking at their widths, and to stop where they happen to be narrow makes them a "
        "little too narrow."
    ]


def _of_worlds(found: Found) -> list[str]:
    if worlds(found) == 1:
        return ["Whether any difference is more than luck: one world gives no interval."]
    if worlds(found) < FEW_WORLDS:
        return [
            f"Small differences, and intervals exactly: {worlds(found)} worlds are few, and "
            "intervals from so few are wide and rough."
        ]
    return []


def _of_families(found: Found) -> list[str]:
    table = found.tables["differences"]
    declared = int(table["p_holm"].notna().sum())
    others = int(((table["family"] == "exploratory") & table["value"].notna()).sum())
    if not len(table):
        return []
    return [
        f"Which exploratory differences are real: {declared:,} comparisons were declared before "
        f"the study ran and are adjusted together (Holm); {others:,} others are not, and some "
        "of those that stand out do so by luck."
    ]


def _of_models(found: Found) -> list[str]:
    stand_ins = [arm for arm, card in found.file.cards.items() if card.get("way") == "surrogate"]
    if not stand_ins:
        return []
    return [
        f"How {_and(stand_ins)} would decide about the very candidates: a stand-in decides, "
        "fitted to answers about pairs; how well it predicts answers it has not seen is in the "
        "table of answers."
    ]


def _of_undefined(found: Found) -> list[str]:
    table = found.tables["levels"]
    nothing = table[table["value"].isna()]
    if nothing.empty:
        return []
    names = sorted({str(name).partition(".")[0] for name in nothing["measure"]})
    return [
        f"{len(nothing):,} of {len(table):,} means: undefined in at least one world, such as a "
        "median that is not reached, or a rate of a group to whom nothing happened. They are left "
        f"out, not counted as 0. Measures concerned: {', '.join(names)}."
    ]


def _of_origins(found: Found) -> list[str]:
    origins = found.file.origins
    unsure = [key for key, origin in origins.items() if origin.tag in ("M", "A")]
    if not unsure:
        return []
    return [
        f"What hangs on {len(unsure)} of {len(origins)} figures of the population: they are "
        "assumptions, or from memory. They are listed first under where the figures come from."
    ]


def missing(found: Found) -> list[str]:
    """What is not in the folder, and how to get it."""
    made_by = "equipoise run compare"
    needs = {
        "ledger": "who gained and lost (ledger.csv, with two policies or more)",
        "floor": "how much lots alone change (floor.csv, with --tie-seeds 2 or more)",
        "alignment": "judgement of pairs (alignment.csv, of policies that judge pairs)",
        "weights": "fitted values (weights.csv, of policies that have them)",
        "steady_levels": "rates after the warm-up (steady_levels.csv)",
        "steady_differences": "differences after the warm-up (steady_differences.csv)",
        "conflict": "how definitions of fairness rank the policies (conflict.csv)",
        "conflict_tau": "how far two definitions agree (conflict_tau.csv)",
    }
    said = [f"{needs[name]}: made by {made_by}" for name in found.missing if name in needs]
    if not found.captions:
        said.append(f"the figures (figures/captions.json): made by {made_by}")
    return said


def used_measures(found: Found) -> list[str]:
    """Names of the measures on this page and in its tables, in the order of the register."""
    tables: Iterable[pd.DataFrame] = (
        found.tables[name]["measure"]
        for name in ("levels", "differences", "alignment")
        if name in found.tables
    )
    there = {str(name).partition(".")[0] for table in tables for name in table.unique()}
    return [name for name in MEASURES if name in there]


def _and(names: list[str]) -> str:
    return ", ".join(names[:-1]) + (" and " if names[:-1] else "") + names[-1]
