"""What the numbers say of each arm, in plain sentences, what matters most first."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from experiments.inference import LEVEL, detectable
from experiments.report.results import Found
from experiments.report.sentences import (
    P_VALUE,
    Block,
    Claim,
    Finding,
    Part,
    Topic,
    cell,
    finer,
    join,
    mean_cell,
    mean_of,
    printed,
    reference,
)
from experiments.report.wording import GROUPINGS as GROUPING_NAMES
from experiments.report.wording import base_name, group_name, wording
from measures.rates import reference_group
from measures.registry import is_ratio
from populations.schema import AGE_BANDS
from sim.record import GROUPINGS

LIVES = (
    "mortality_rate",
    "life_years",
    "fate_counts.waiting",
    "fate_counts.too_sick",
    "pre_transplant_mortality",
    "cumulative_incidence.transplanted.3y",
    "life_years_gained.per_transplant",
)
DECISIONS = (
    "ex_ante.determinism",
    "indecision_rate",
    "misalignment",
    "over_decisiveness",
    "broome_gap",
    "repeat_losers.at_10",
    "systemic_exclusion",
    "winner_position",
)
SPREAD = ("access_to_transplant.sd_audit",)
MOST_NUMBERS = 6  # in one sentence; of more comparisons the numbers are in the tables
_MORE_DIGITS = 9  # than usual at most: what differs by less differs by rounding (A)
_RATIO, _RATE, _DIED = "transplant_rate_ratio", "transplant_rate", "fate_counts.died"
Tell = Callable[[str], Sequence[Finding]]


def topics(found: Found) -> list[Topic]:
    """Every finding about one arm and the reference, by topic."""
    asked = found.rows("differences", family="declared", grouping="all")["measure"]
    known = (*LIVES, *DECISIONS, *SPREAD)
    lives = [*LIVES, *(name for name in asked.unique() if name not in known)]

    def blocks(tell: Tell) -> tuple[Block, ...]:
        told = [(arm, tuple(tell(arm))) for arm in found.others]
        return tuple(Block(arm, said) for arm, said in told if said)

    every = [
        Topic(
            "Who lives, who dies, who waits",
            "lives",
            "What became of everybody on the list, whether they got a kidney or not.",
            blocks(lambda arm: [*outcomes(found, arm, lives), *deaths(found, arm)]),
        ),
        Topic(
            "Who gets the kidneys",
            "groups",
            "How fast each group was transplanted beside the group it is compared with, and how "
            "many people had another fate than under the reference.",
            blocks(
                lambda arm: [
                    *groups(found, arm),
                    *outcomes(found, arm, SPREAD),
                    *churn(found, arm),
                ]
            ),
        ),
        Topic(
            "How it was decided",
            "decisions",
            "Whether lots decided or not, whose values did, and how far down the list kidneys "
            "went.",
            blocks(lambda arm: outcomes(found, arm, DECISIONS)),
        ),
    ]
    return [topic for topic in every if topic.blocks]


def detected(difference: pd.Series) -> bool:
    """Whether a difference counts as found.

    By Holm's p where the comparison was declared, by its own 95 % interval where it is exploratory;
    never where it is nearly the same under every policy.
    """
    if difference["family"] == "declared":
        return bool(difference["p_holm"] < LEVEL)
    return difference["family"] == "exploratory" and detectable(difference)


def _none(difference: pd.Series) -> float:
    """What no difference is: ratios are factors."""
    return 1.0 if is_ratio(str(difference["measure"])) else 0.0


def format_of(difference: pd.Series, how: str) -> str:
    """``how``, or with so many more digits that nothing which differs is printed as no difference.

    Of a difference that may be none the numbers are left as short as they are.
    """
    none = _none(difference)
    if np.isfinite(difference["low"]) and not detectable(difference):
        return how
    found = [float(difference[name]) for name in ("value", "low", "high")]
    known = [value for value in found if np.isfinite(value) and value != none]
    pairs = [(value, none) for value in known]
    if is_ratio(str(difference["measure"])):  # which are above 0
        pairs += [(value, 0.0) for value in known]
    if np.isfinite(difference["low"]):
        pairs.append((found[1], found[2]))
    return _telling_apart(pairs, how)


def _telling_apart(pairs: Sequence[tuple[float, float]], how: str) -> str:
    """``how`` with as many more digits as it takes to print two different numbers differently."""
    for more in range(_MORE_DIGITS):
        fine = finer(how, more)
        if all(one == other or printed(one, fine) != printed(other, fine) for one, other in pairs):
            return fine
    return finer(how, _MORE_DIGITS)


def outcomes(found: Found, arm: str, measures: Sequence[str]) -> list[Finding]:
    """A sentence for each measure of everybody that differs, and one for those that do not."""
    rows = [_difference(found, arm, measure) for measure in measures]
    return _sorted_out(
        [row for row in rows if row is not None],
        lambda row: _differs(found, row),
        lambda row: wording(str(row["measure"]), found.file.study.values).noun,
        found,
    )


def deaths(found: Found, arm: str) -> list[Finding]:
    """Who dies waiting, by age, in people.

    A rate would hide it: a group kept waiting has more person-years to die in.
    """
    rows = [_difference(found, arm, _DIED, "age_band", band) for band in AGE_BANDS]
    return _sorted_out(
        [row for row in rows if row is not None],
        lambda row: _differs(found, row),
        lambda row: f"deaths among {group_name(*_group(row))}",
        found,
    )


def _sorted_out(
    rows: Sequence[pd.Series],
    tell: Callable[[pd.Series], Finding],
    name: Callable[[pd.Series], str],
    found: Found,
) -> list[Finding]:
    """Declared comparisons first; of each family what differs, what may, what does not."""
    reference_arm, said = found.file.reference, []
    for family in ("declared", "exploratory"):
        mine = [row for row in rows if row["family"] == family]
        known = [row for row in mine if np.isfinite(row["value"])]
        unsure = [row for row in known if np.isfinite(row["p"]) and not detected(row)]
        near = [row for row in unsure if detectable(row)]
        agreed = [row for row in unsure if not detectable(row) and not np.isfinite(row["low"])]
        same = [row for row in unsure if not detectable(row) and np.isfinite(row["low"])]
        clear = [row for row in known if all(row is not other for other in unsure)]
        said += [tell(row) for row in clear]
        said += _listed(
            "Differs taken alone, but not clearly once all declared comparisons are counted: ",
            near,
            name,
        )
        said += _listed(f"No difference from {reference_arm} was detected in: ", same, name)
        said += _listed(
            "The same difference in every world, too few of them to rule out chance: ", agreed, name
        )
        said += [_undefined(found, row, name(row)) for row in mine if not np.isfinite(row["value"])]
    return said


def _listed(
    opening: str, rows: Sequence[pd.Series], name: Callable[[pd.Series], str]
) -> list[Finding]:
    if not rows:
        return []
    family = str(rows[0]["family"])
    if len(rows) > MOST_NUMBERS:
        marks = reference(*(("differences", row) for row in rows))
        return [Finding((Claim(opening), _in_groups(rows, name), marks, "."), family)]
    items = [[f"{name(row)} ", *_amount(row)] for row in rows]
    return [Finding((Claim(opening), *join(items), "."), family)]


def _in_groups(rows: Sequence[pd.Series], name: Callable[[pd.Series], str]) -> str:
    """Many comparisons in few words: "the ratios by insurance (Medicare, Medicaid)"."""
    whole = [name(row) for row in rows if row["grouping"] == "all"]
    by: dict[str, list[str]] = {}
    for row in rows:
        if row["grouping"] != "all":
            by.setdefault(str(row["grouping"]), []).append(str(row["group"]))
    parts = [f"{GROUPING_NAMES.get(each, each)} ({', '.join(by[each])})" for each in by]
    return "; ".join([*whole, *([f"the rates by {', '.join(parts)}"] if parts else [])])


def _difference(
    found: Found, arm: str, measure: str, grouping: str = "all", group: str = "all"
) -> pd.Series | None:
    where = {"arm": arm, "measure": measure, "grouping": grouping, "group": group}
    return found.row("differences", **where)


def _level(found: Found, arm: str, difference: pd.Series) -> pd.Series | None:
    where = {key: str(difference[key]) for key in ("measure", "grouping", "group")}
    return found.row("levels", arm=arm, **where)


def _amount(difference: pd.Series) -> list[Part]:
    """A difference with its interval and adjusted p, as parts."""
    ratio = is_ratio(str(difference["measure"]))
    how = format_of(difference, ".2f" if ratio else wording(str(difference["measure"])).how)
    value, low, high = (
        cell(difference, "differences", column, how, signed=not ratio)
        for column in ("value", "low", "high")
    )
    parts: list[Part] = [value, " times as high" if ratio else ""]
    if np.isfinite(difference["p"]):
        if np.isfinite(difference["low"]):
            parts += [" (95\N{NO-BREAK SPACE}% interval ", low, " to ", high]
        else:
            worlds = cell(difference, "differences", "worlds", ".0f")
            parts += [" (the same in all ", worlds, " worlds"]
        if np.isfinite(difference["p_holm"]):
            parts += ["; Holm-adjusted p ", cell(difference, "differences", "p_holm", P_VALUE)]
        parts.append(")")
    return [*parts, reference(("differences", difference))]


def _differs(found: Found, difference: pd.Series) -> Finding:
    words = wording(str(difference["measure"]), found.file.study.values)
    change = words.more if difference["value"] > _none(difference) else words.less
    if difference["value"] == _none(difference):
        change = f"there was no difference in {words.noun}"
    among = ""
    if difference["grouping"] != "all":
        among = f" among {group_name(*_group(difference))}"
    parts: list[Part] = [f"Under {difference['arm']} ", Claim(change + among), ": "]
    mine = _level(found, str(difference["arm"]), difference)
    theirs = _level(found, found.file.reference, difference)
    if mine is not None and theirs is not None:
        how = _of_levels(difference, mine, theirs, words.how)
        parts += [
            cell(mine, "levels", "value", how),
            f" {words.unit} against ",
            cell(theirs, "levels", "value", how),
            f" under {found.file.reference}",
            reference(("levels", mine), ("levels", theirs)),
            ", a difference of " if not is_ratio(str(difference["measure"])) else ": ",
        ]
    parts += [*_amount(difference), "."]
    return Finding((*parts, *_one_world(difference)), str(difference["family"]))


def _of_levels(difference: pd.Series, mine: pd.Series, theirs: pd.Series, how: str) -> str:
    """Two means so that the difference between them can be seen, where one is told."""
    if difference["value"] == _none(difference) or mine["value"] == theirs["value"]:
        return how
    pairs = [(mine["value"], theirs["value"])]
    if is_ratio(str(difference["measure"])):  # which are above 0
        pairs += [(mine["value"], 0.0), (theirs["value"], 0.0)]
    return _telling_apart(pairs, format_of(difference, how))


def _one_world(difference: pd.Series) -> list[Part]:
    if np.isfinite(difference["p"]):
        return []
    if difference["value"] == _none(difference):
        return [" One world gives no interval: in others there may be one."]
    return [" One world gives no interval: whether this is more than luck is not known."]


def _undefined(found: Found, difference: pd.Series, name: str) -> Finding:
    parts = (
        f"{difference['arm']} and {found.file.reference} cannot be compared in {name}: it is "
        "undefined under one of them in some world; worlds where it is defined under both: ",
        cell(difference, "differences", "worlds", ".0f"),
        reference(("differences", difference)),
        ".",
    )
    return Finding(parts, str(difference["family"]))


def groups(found: Found, arm: str) -> list[Finding]:
    """Groups whose access differs, most first; then those where no difference was detected."""
    rows = []
    for grouping, group in _compared_groups(found):
        row = _difference(found, arm, _RATIO, grouping, group)
        if row is not None and not np.isfinite(row["value"]):
            # Somebody got nothing at all in some world: the rate itself is still defined.
            row = _difference(found, arm, _RATE, grouping, group)
        if row is not None:
            rows.append(row)
    rows.sort(
        key=lambda row: -abs(np.log(row["value"])) if is_ratio(str(row["measure"])) else -np.inf
    )
    asked = found.rows("differences", arm=arm, family="declared")
    asked = asked[(asked["grouping"] != "all") & (asked["measure"] != _RATIO)]
    return _sorted_out(
        [*rows, *(row for _, row in asked.iterrows())],
        lambda row: (_access if row["measure"] == _RATIO else _differs)(found, row),
        lambda row: _group_name(row, found.file.study.values),
        found,
    )


def _group_name(difference: pd.Series, values: str) -> str:
    measure = str(difference["measure"])
    what = "the transplant rate ratio of" if measure == _RATIO else wording(measure, values).noun
    among = "" if measure == _RATIO else " among"
    return f"{what}{among} {group_name(*_group(difference))}"


def _compared_groups(found: Found) -> list[tuple[str, str]]:
    rows = found.rows("differences", measure=_RATIO)[["grouping", "group"]].drop_duplicates()
    known = [
        (str(grouping), str(group))
        for grouping, group in rows.itertuples(index=False, name=None)
        if grouping in GROUPINGS and group != reference_group(grouping)
    ]
    return sorted(known, key=lambda each: GROUPINGS.index(each[0]))


def _access(found: Found, difference: pd.Series) -> Finding:
    """A group's rate beside that of the group it is compared with, under both policies."""
    arm, against = str(difference["arm"]), found.file.reference
    mine, theirs = _level(found, arm, difference), _level(found, against, difference)
    grouping, group = _group(difference)
    base = base_name(grouping, reference_group(grouping))
    change = "higher" if difference["value"] > 1 else "lower"
    who = group_name(grouping, group)
    claim = f"{who} were transplanted at a {change} rate, relative to {base}"
    if difference["value"] == 1:
        claim = f"there was no difference in the transplant rate of {who}, relative to {base}"
    parts: list[Part] = [f"Under {arm} ", Claim(claim), ": "]
    if mine is not None and theirs is not None:
        how = _of_levels(difference, mine, theirs, ".2f")
        parts += [
            "at ",
            cell(mine, "levels", "value", how),
            f" times their rate, under {against} at ",
            cell(theirs, "levels", "value", how),
            reference(("levels", mine), ("levels", theirs)),
            ", that is, ",
        ]
    parts += [*_amount(difference), "."]
    return Finding((*parts, *_one_world(difference)), str(difference["family"]))


def _group(difference: pd.Series) -> tuple[str, str]:
    return str(difference["grouping"]), str(difference["group"])


def churn(found: Found, arm: str) -> list[Finding]:
    """How many got a kidney under one policy only, beside how many do so by lots alone."""
    rows = {what: found.rows("ledger", arm=arm, what=what) for what in ("gained", "lost", "churn")}
    if any(each.empty for each in rows.values()):
        return []
    against = found.file.reference
    gained = mean_cell(rows["gained"], "ledger", "n", ",.1f")
    lost = mean_cell(rows["lost"], "ledger", "n", ",.1f")
    parts: list[Part] = [
        "On average over runs, ",
        gained,
        f" people were transplanted under {arm} but not under {against}, and ",
        lost,
        " the other way round",
    ]
    share = mean_cell(rows["churn"], "ledger", "share", ".1%")
    if not np.isfinite(share.value):  # of no transplants at all
        return [Finding((*parts, mean_of(gained, lost), "."), "exploratory")]
    parts += ["; together ", share, " of all transplants of both", mean_of(gained, lost, share)]
    floor = found.rows("floor", arm=against, what="churn")  # none from one tie seed
    chance = None if floor.empty else mean_cell(floor, "floor", "share", ".1%")
    if chance is not None and np.isfinite(chance.value):
        parts += [
            f". Between two runs of {against} that differ by lottery tickets alone it is ",
            chance,
            mean_of(chance),
        ]
    return [Finding((*parts, "."), "exploratory")]
