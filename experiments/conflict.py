"""Where definitions of fairness disagree: each ranks the same arms, and the rankings are compared.

No definition is right by itself. A policy that is the fairest by one may be the least fair by
another, and a study that reports one of them only has chosen. Every definition here gives each arm
a distance from its own ideal, smaller is fairer; how the arms rank, how sure that is, and how far
two definitions agree on it are what is reported.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import kendalltau, rankdata
from scipy.stats import t as student

from experiments.inference import by_world
from measures.table import Floats
from populations.streams import stream

RESAMPLES = 2000
SURE = 0.95  # share of resamples in which an arm must stay first or last to be called so
FEWEST_ARMS = 3
FEW_WORLDS = 6  # below this resampling is said to be too sure: there are few resamples to draw (A)
_DIGITS = 10  # significant digits: what differs less is rounding, not a ranking


@dataclass(frozen=True)
class Definition:
    """A definition of fairness as a distance from its ideal.

    Parameters
    ----------
    name : str
        As tables and figures call it.
    measure : str
        The measure it is read from, as in a study's table of measures.
    score : str
        How a world's rows become a distance: ``value``, the value itself (the ideal is 0, or as
        low as can be); ``minus``, its negative (as high as can be); ``spread``, the largest
        difference between two groups; ``from one``, the farthest a group's value is from 1; ``below
        four fifths``, how far a ratio is below 0.8. Of measures named ratio, logarithms are taken
        first.
    grouping : str
        Whose rows.
    """

    name: str
    measure: str
    score: Literal["value", "minus", "spread", "from one", "below four fifths"]
    grouping: str = "all"


# Which definitions there are is our choice (A); each is somebody's. Groups are those of race, where
# one grouping stands for all: ours too (A). Nothing a policy cannot change is among them.
DEFINITIONS: tuple[Definition, ...] = (
    Definition("equal rates by race", "demographic_parity.rate_ratio", "minus", "race"),
    Definition("equal rates by sex", "demographic_parity.rate_ratio", "minus", "sex"),
    Definition("equal rates by age", "demographic_parity.rate_ratio", "minus", "age_band"),
    Definition("four-fifths rule by race", "four_fifths.impact_ratio", "below four fifths", "race"),
    Definition("equal rates at equal claim", "conditional_parity.rate_ratio", "spread", "race"),
    Definition("equal opportunity by race", "equal_opportunity.difference", "value", "race"),
    Definition("best for the worst-off race", "worst_off.life_years.3y", "minus", "race"),
    Definition("Nash welfare of races", "nash_welfare.life_years.3y", "minus", "race"),
    Definition("equal access, audit (ATS)", "access_to_transplant.sd_audit", "value"),
    Definition("equal chances at equal claim", "equal_chance_gap", "value"),
    Definition("chances as claims (Broome)", "broome_gap", "value"),
    Definition("left to lots (determinism D)", "ex_ante.determinism", "value"),
    Definition("fair lots by race (ledger O/E)", "tie_ledger", "from one", "race"),
    Definition("nobody always excluded", "systemic_exclusion", "value"),
    Definition("equal chances for all (Gini)", "chance_inequality.gini", "value"),
    Definition("equal life-years (Gini)", "life_years_inequality.gini", "value"),
    Definition("people's values (misalignment)", "misalignment", "value"),
    Definition("fewest deaths on the list", "fate_counts.died", "value"),
    Definition("most life-years (utilitarian)", "life_years", "minus"),
)


@dataclass(frozen=True)
class Conflict:
    """What the definitions say of the arms, and of each other.

    Parameters
    ----------
    scores : DataFrame
        ``definition, arm, score, low, high, rank, top_share, bottom_share, note``: the mean
        distance over worlds (smaller is fairer) with its 95 % t interval; its rank (1 is fairest,
        equal scores share the better rank); the shares of resamples of the worlds in which the arm
        ranks first and last (an arm tied with others counts as its part of one). Definitions left
        out have NaN, and the reason in ``note``.
    tau : DataFrame
        ``definition_a, definition_b, tau, same_sign_share``: Kendall's tau-b between the rankings
        of every two definitions, -1 (reversed) to 1 (the same), and the share of resamples of the
        worlds in which it has the same sign; NaN where one of them ranks all arms the same, and
        everywhere with fewer than three arms.
    sentences : list of str
        What may be said: an arm is called fairest or least fair only where at least 95 % of
        resamples agree.
    """

    scores: pd.DataFrame
    tau: pd.DataFrame
    sentences: list[str]


def conflict(
    measures: pd.DataFrame,
    reference: str,
    seed: int,
    definitions: Sequence[Definition] = DEFINITIONS,
) -> Conflict:
    """Rank the arms of a study by every definition, and compare the rankings.

    Parameters
    ----------
    measures : DataFrame
        Every measure of every run of a study: ``arm, world, tie_seed, measure, grouping, group,
        value, numerator, denominator, note``.
    reference : str
        The arm named first in sentences.
    seed : int
        Which resamples of the worlds are drawn.
    definitions : sequence of Definition, optional

    Notes
    -----
    A definition is left out if its measure is missing, or undefined in any world under any arm:
    the worlds where it is defined are not like the others. Kendall's tau-b: Kendall 1945 (M), as
    SciPy has it. The rest is derived here (D). The largest of several groups' noisy values is too
    high on average, the more so the smaller the groups; it is so under every arm, so ranks are
    less affected than scores.
    """
    arms = list(dict.fromkeys(measures["arm"]))
    worlds = sorted(set(measures["world"]))
    rows = measures[measures["measure"].isin({each.measure for each in definitions})]
    values = by_world(rows)
    resamples = stream(seed, 0, "resampled worlds").integers(
        len(worlds), size=(RESAMPLES, len(worlds))
    )
    frames, kept, drawn = [], {}, {}
    for definition in definitions:
        table, reason = _distances(definition, values, rows, arms, worlds)
        if table is None:
            frames.append(_left_out(definition, arms, reason))
            continue
        kept[definition.name] = _rounded(table.mean(axis=1))
        drawn[definition.name] = _rounded(table[:, resamples].mean(axis=2))
        frames.append(_ranked(definition, table, arms, drawn[definition.name]))
    scores = pd.concat(frames, ignore_index=True)
    tau = _agreement(kept, drawn if len(worlds) > 1 else {})
    return Conflict(scores, tau, _sentences(scores, tau, arms, reference, len(worlds)))


def _distances(
    definition: Definition,
    values: pd.DataFrame,
    rows: pd.DataFrame,
    arms: Sequence[str],
    worlds: Sequence[int],
) -> tuple[Floats | None, str]:
    """Distance from the ideal, shape (arms, worlds); or None and the reason why there is none."""
    of_measure = (values["measure"] == definition.measure, values["grouping"])
    here = values[of_measure[0] & (of_measure[1] == definition.grouping)]
    if here.empty:
        return None, f"left out: {definition.measure} was not computed"
    undefined = here[here["value"].isna()]
    if len(undefined):
        first = undefined.iloc[0]
        same = rows[(rows["measure"] == definition.measure) & rows["value"].isna()]
        same = same[(same["arm"] == first["arm"]) & (same["world"] == first["world"])]
        why = next((str(note) for note in same["note"] if isinstance(note, str) and note), "")
        said = f"{definition.measure} undefined in world {first['world']} under {first['arm']}"
        return None, f"left out: {said}" + (f": {why}" if why else "")
    groups = here.pivot(index=["arm", "world"], columns="group", values="value")
    every = pd.MultiIndex.from_product([arms, worlds])
    if len(groups) < len(every) or groups.isna().to_numpy().any():
        return None, f"left out: {definition.measure} is missing in some world of some arm"
    table = groups.loc[every].to_numpy(dtype=np.float64)
    return _score(table, definition.score).reshape(len(arms), len(worlds)), ""


def _score(table: Floats, how: str) -> Floats:
    """Distance from the ideal by row of ``table``, shape (rows, groups)."""
    if how == "spread":
        return np.asarray(table.max(axis=1) - table.min(axis=1))
    if how == "from one":
        return np.asarray(np.abs(table - 1).max(axis=1))
    if table.shape[1] != 1:
        raise ValueError(f"score {how!r} needs one row per world, got {table.shape[1]}")
    value = table[:, 0]
    if how == "below four fifths":
        return np.asarray(np.maximum(np.log(0.8) - value, 0.0))
    return -value if how == "minus" else value


def _rounded(scores: Floats) -> Floats:
    """Scores without the differences that rounding makes, so that equal arms tie."""
    largest = np.abs(scores).max(axis=0, keepdims=True)
    unit = 10.0 ** (np.floor(np.log10(np.where(largest > 0, largest, 1.0))) + 1 - _DIGITS)
    return np.asarray(np.round(scores / unit) * unit)


def _ranked(
    definition: Definition, table: Floats, arms: Sequence[str], drawn: Floats
) -> pd.DataFrame:
    """Rows of one definition from its distances by world, and its means in every resample."""
    mean, worlds = table.mean(axis=1), table.shape[1]
    half = np.full(len(arms), np.nan)
    top, bottom = half.copy(), half.copy()
    if worlds > 1:
        half = student.ppf(0.975, worlds - 1) * table.std(axis=1, ddof=1) / np.sqrt(worlds)
        top = _share_of(drawn == drawn.min(axis=0))
        bottom = _share_of(drawn == drawn.max(axis=0))
    return pd.DataFrame(
        {
            "definition": definition.name,
            "arm": arms,
            "score": mean,
            "low": mean - half,
            "high": mean + half,
            "rank": rankdata(_rounded(mean), method="min").astype(np.float64),
            "top_share": top,
            "bottom_share": bottom,
            "note": "",
        }
    )


def _share_of(there: NDArray[np.bool_]) -> Floats:
    """How often each arm (row) is there, one shared out among those there together."""
    return np.asarray((there / there.sum(axis=0)).mean(axis=1))


def _left_out(definition: Definition, arms: Sequence[str], reason: str) -> pd.DataFrame:
    numbers = dict.fromkeys(("score", "low", "high", "rank", "top_share", "bottom_share"), np.nan)
    return pd.DataFrame({"definition": definition.name, "arm": arms, **numbers, "note": reason})


def _agreement(kept: dict[str, Floats], drawn: dict[str, Floats]) -> pd.DataFrame:
    """Kendall's tau-b of every two definitions, and how often resamples keep its sign."""
    orders = {name: _orders(means) for name, means in drawn.items()}
    rows = []
    for one, scores in kept.items():
        for other, others in kept.items():
            tau = share = np.nan
            if scores.size >= FEWEST_ARMS and np.ptp(scores) > 0 and np.ptp(others) > 0:
                tau = float(kendalltau(scores, others, variant="b").statistic)
                if drawn:
                    signs = np.sign((orders[one] * orders[other]).sum(axis=0))
                    share = float(np.mean(signs == np.sign(tau)))
            rows.append((one, other, tau, share))
    return pd.DataFrame(rows, columns=["definition_a", "definition_b", "tau", "same_sign_share"])


def _orders(means: Floats) -> Floats:
    """Which of every two arms is fairer, -1, 0 or 1, shape (pairs of arms, resamples)."""
    one, other = np.triu_indices(len(means), 1)
    return np.asarray(np.sign(means[one] - means[other]))


def _sentences(
    scores: pd.DataFrame, tau: pd.DataFrame, arms: Sequence[str], reference: str, worlds: int
) -> list[str]:
    found = scores[scores["score"].notna()]
    said = []
    if len(arms) > 1 and worlds > 1 and len(found):
        for arm in sorted(arms, key=lambda each: each != reference):
            said.append(_of_arm(arm, found[found["arm"] == arm]))
    elif worlds == 1:
        said.append("One world: how sure a ranking is cannot be told.")
    if 1 < worlds < FEW_WORLDS:
        said.append(f"{worlds} worlds: resampling so few makes rankings look surer than they are.")
    said.append(_of_definitions(tau, len(arms)))
    for reason in dict.fromkeys(scores.loc[scores["score"].isna(), "note"]):
        names = dict.fromkeys(scores.loc[scores["note"] == reason, "definition"])
        said.append(f"{_listed(list(names))}: {reason}.")
    return said


def _of_arm(arm: str, rows: pd.DataFrame) -> str:
    first = list(rows.loc[rows["top_share"] >= SURE, "definition"])
    last = list(rows.loc[rows["bottom_share"] >= SURE, "definition"])
    parts = [
        f"fairest under {_listed(first)}" if first else "",
        f"least fair under {_listed(last)}" if last else "",
    ]
    if not (first or last):
        return f"{arm} is not told apart as fairest or least fair under any definition."
    return f"{arm} is {'; '.join(part for part in parts if part)}."


def _of_definitions(tau: pd.DataFrame, arms: int) -> str:
    if arms < FEWEST_ARMS:
        return f"{arms} arms: too few to compare how definitions rank them; use three or more."
    known = tau.set_index(["definition_a", "definition_b"])
    names = list(dict.fromkeys(tau["definition_a"]))
    pairs = known.loc[list(combinations(names, 2))].dropna(subset="tau")
    if pairs.empty:
        return "Fewer than two definitions rank the arms: nothing to compare."
    opposed = pairs[pairs["tau"] < 0]
    sure = opposed[opposed["same_sign_share"] >= SURE]
    text = (
        f"{len(opposed)} of {len(pairs)} pairs of definitions disagree on the order of the arms "
        f"more than they agree, {len(sure)} of them in {100 * SURE:.0f} % of resamples"
    )
    if sure.empty:
        return f"{text}."
    one, other = sure["tau"].idxmin()
    return f"{text}; most of all {one} and {other} (tau {sure['tau'].min():+.2f})."


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + (" and " if names[:-1] else "") + names[-1]
