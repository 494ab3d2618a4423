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

from experiments.inference import KEY, LEVEL, half_width, holm, summarise, tested
from measures.parity import FOUR_FIFTHS
from measures.table import Floats
from populations.streams import stream

RESAMPLES = 2000
SURE = 0.95  # share of resamples in which two definitions must stay opposed to be called so
FEWEST_ARMS = 3
FEWEST_WORLDS = 6  # below which nothing is called sure (A)
_DIGITS = 10  # significant digits: what differs less is rounding, not a ranking
_FAILED = "transplant_gini"  # the share not transplanted
_FOR_LIFE = "lottery numbers for life"  # as the ledger's notes say it
_ENDS = ["p_fairest", "p_least_fair"]
_COLUMNS = ["definition", "arm", "score", "low", "high", "rank", *_ENDS, "note"]


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
        How a world's rows, averaged over tie seeds, become a distance: ``value``, the value itself
        (the ideal is 0, or as low as can be); ``minus``, its negative (as high as can be); ``below
        one``, 1 minus the value, of a ratio of the lowest group to the highest; ``below four
        fifths``, how far such a ratio is below 0.8; ``gap``, 1 minus the lowest group's value over
        the highest's; ``misplaced``, sum over groups of abs(O - E) over twice the sum of E, the
        share of wins that went to another group than expected (O ``numerator``, E
        ``denominator``); ``excess``, how far the value is above what independent failures give, as
        a part of what one rule without lots gives: (value - independent) / (mean failure -
        independent), 1 for every arm without lots; of two tie seeds this is determinism, and the
        definition is left out.
        Logarithms are not taken: a group that gets nothing must count, and most of all.
    grouping : str
        Whose rows.
    """

    name: str
    measure: str
    score: Literal["value", "minus", "below one", "below four fifths", "gap", "misplaced", "excess"]
    grouping: str = "all"


# Which definitions there are is our choice (A); each is somebody's. Groups are those of race, where
# one grouping stands for all: ours too (A). Nothing a policy cannot change is among them.
DEFINITIONS: tuple[Definition, ...] = (
    Definition("equal rates by race", "demographic_parity.rate_ratio", "below one", "race"),
    Definition("equal rates by sex", "demographic_parity.rate_ratio", "below one", "sex"),
    Definition("equal rates by age", "demographic_parity.rate_ratio", "below one", "age_band"),
    Definition("four-fifths rule by race", "four_fifths.impact_ratio", "below four fifths", "race"),
    Definition("equal rates at equal claim", "conditional_parity.rate_ratio", "gap", "race"),
    Definition("equal opportunity by race", "equal_opportunity.difference", "value", "race"),
    Definition("best for the worst-off race", "worst_off.life_years.3y", "minus", "race"),
    Definition("Nash welfare of races", "nash_welfare.life_years.3y", "minus", "race"),
    Definition("equal access, audit (ATS)", "access_to_transplant.sd_audit", "value"),
    Definition("equal chances at equal claim", "equal_chance_gap", "value"),
    Definition("chances as claims (Broome)", "broome_gap", "value"),
    Definition("left to lots (determinism D)", "ex_ante.determinism", "value"),
    Definition("fair lots by race (ledger O/E)", "tie_ledger", "misplaced", "race"),
    Definition("nobody always excluded", "systemic_exclusion", "excess"),
    Definition("equal chances for all (Gini)", "chance_inequality.gini", "value"),
    Definition("equal life-years (Gini)", "life_years_inequality.gini", "value"),
    Definition("people's own chances (M + I)", "distance", "value"),
    Definition("fewest deaths on the list", "fate_counts.died", "value"),
    Definition("most life-years (utilitarian)", "life_years", "minus"),
)


@dataclass(frozen=True)
class Conflict:
    """What the definitions say of the arms, and of each other.

    Parameters
    ----------
    scores : DataFrame
        ``definition, arm, score, low, high, rank, p_fairest, p_least_fair, note``: the mean
        distance over worlds (smaller is fairer) with its 95 % t interval; its rank (1 is fairest,
        equal scores share the better rank); the p of the arm's being no fairer than every other
        one, and no less fair, adjusted for all definitions and both ends (see ``conflict``), NaN
        with fewer than six worlds. Definitions left out have NaN, and the reason in ``note``.
    tau : DataFrame
        ``definition_a, definition_b, tau, same_sign_share``: Kendall's tau-b between the rankings
        of every two definitions, -1 (reversed) to 1 (the same), and the share of resamples of the
        worlds in which it has the same sign; NaN where one of them ranks all arms the same, and
        everywhere with fewer than three arms; the share also with fewer than six worlds.
    sentences : list of str
        What may be said: an arm is called fairest or least fair only where its p is below .05.
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
        Which resamples of the worlds are drawn (for tau alone).
    definitions : sequence of Definition, optional

    Notes
    -----
    An arm is the fairest by a definition if it beats every other arm: the largest p of its paired
    two-sided t tests over worlds, 1 where the other arm is as fair or fairer, is its p (an
    intersection-union test: Berger 1982, M). These are adjusted (Holm 1979, M) over definitions
    and the two ends, so that luck makes a claim of either kind in at most 5 % of studies,
    as far as t tests hold (D).

    A definition is left out if its measure is missing, or undefined in any world under any arm:
    the worlds where it is defined are not like the others. Kendall's tau-b: Kendall 1945 (M), as
    SciPy has it. The rest is derived here (D). The largest of several groups' noisy values is too
    high on average, the more so the smaller the groups, and so is the sum of their distances; it
    is so under every arm, so ranks are less affected than scores.
    """
    arms = list(dict.fromkeys(measures["arm"]))
    worlds = sorted(set(measures["world"]))
    frames, tables = [], {}
    for definition in definitions:
        table, reason = _distances(definition, measures, arms, worlds)
        if table is not None:
            tables[definition.name] = table
        frames.append(_ranked(definition, table, arms, reason))
    enough = len(worlds) >= FEWEST_WORLDS
    places = _places(tables if enough and len(arms) > 1 else {}, arms)
    scores = pd.concat(frames).merge(places, how="left", on=["definition", "arm"])[_COLUMNS]
    drawn = stream(seed, 0, "resampled worlds").integers(
        len(worlds), size=(RESAMPLES if enough else 0, len(worlds))
    )
    tau = _agreement(tables, drawn)
    return Conflict(scores, tau, _sentences(scores, tau, arms, reference, len(worlds)))


def _distances(
    definition: Definition, measures: pd.DataFrame, arms: Sequence[str], worlds: Sequence[int]
) -> tuple[Floats | None, str]:
    """Distance from the ideal, shape (arms, worlds); or None and the reason why there is none."""
    names = [definition.measure]
    if definition.score == "excess":
        names += [f"{definition.measure}.independent", _FAILED]
    rows = measures[measures["measure"].isin(names) & (measures["grouping"] == definition.grouping)]
    absent = [name for name in names if name not in set(rows["measure"])]
    if absent:
        return None, f"left out: {' and '.join(absent)} was not computed"
    if definition.score == "excess" and measures["tie_seed"].nunique() <= 2:
        return None, "left out: with two tie seeds it is determinism D once more"
    if definition.score == "misplaced":
        if rows["note"].astype(str).str.contains(_FOR_LIFE).any():
            return None, f"left out: {_FOR_LIFE}: fair lots, too, are away from what is expected"
        # A group without draws has no value, and adds nothing.
        rows = rows.fillna({"numerator": 0.0, "denominator": 0.0})
    means = rows.groupby(["arm", "world", *KEY], sort=False)[["value", "numerator", "denominator"]]
    wide = means.mean(skipna=False).unstack(KEY).reindex(
        pd.MultiIndex.from_product([arms, worlds], names=["arm", "world"])
    )  # fmt: skip
    score = _score(wide, definition)
    if np.isnan(score).any():
        arm, world = wide.index[int(np.flatnonzero(np.isnan(score))[0])]
        return None, _reason(definition.measure, rows, arm, world)
    return score.reshape(len(arms), len(worlds)), ""


def _score(wide: pd.DataFrame, definition: Definition) -> Floats:
    """Distance from the ideal by row (arm and world); NaN where it is undefined."""
    value, won, expected = (
        wide[which].to_numpy(dtype=np.float64) for which in ("value", "numerator", "denominator")
    )
    how = definition.score
    with np.errstate(invalid="ignore", divide="ignore"):
        if how == "misplaced":
            return np.asarray(np.abs(won - expected).sum(axis=1) / (2 * expected.sum(axis=1)))
        if how == "gap":
            return np.asarray(1.0 - value.min(axis=1) / value.max(axis=1))
        if how == "excess":
            names = (definition.measure, f"{definition.measure}.independent", _FAILED)
            all_, independent, failed = (
                wide[("value", name, definition.grouping, "all")].to_numpy(dtype=np.float64)
                for name in names
            )
            most = failed - independent
            return np.asarray(np.where(most > 0, (all_ - independent) / most, np.nan))
    if value.shape[1] != 1:
        raise ValueError(f"score {how!r} needs one row per world, got {value.shape[1]}")
    one = value[:, 0]
    if how == "below four fifths":
        return np.asarray(np.maximum(FOUR_FIFTHS - one, 0.0))
    return np.asarray({"value": one, "minus": -one, "below one": 1.0 - one}[how])


def _reason(measure: str, rows: pd.DataFrame, arm: str, world: int) -> str:
    """Why a definition has no distance in a world under an arm."""
    here = rows[(rows["arm"] == arm) & (rows["world"] == world)]
    keys = set(here[KEY].itertuples(index=False, name=None))
    if len(keys) < len(rows[KEY].drop_duplicates()):
        return f"left out: {measure} is missing in world {world} under {arm}"
    notes = here.loc[here["value"].isna(), "note"]
    why = next((str(note) for note in notes if isinstance(note, str) and note), "")
    said = f"left out: {measure} undefined in world {world} under {arm}"
    return said + (f": {why}" if why else "")


def _rounded(scores: Floats) -> Floats:
    """Scores without the differences that rounding makes, so that equal arms tie."""
    largest = np.abs(scores).max(axis=0, keepdims=True)
    unit = 10.0 ** (np.floor(np.log10(np.where(largest > 0, largest, 1.0))) + 1 - _DIGITS)
    return np.asarray(np.round(scores / unit) * unit)


def _ranked(
    definition: Definition, table: Floats | None, arms: Sequence[str], reason: str
) -> pd.DataFrame:
    """Rows of one definition from its distances by world."""
    blank = dict.fromkeys(("score", "low", "high", "rank"), np.nan)
    rows = pd.DataFrame({"definition": definition.name, "arm": arms, **blank, "note": reason})
    if table is None:
        return rows
    mean, worlds = table.mean(axis=1), table.shape[1]
    half = np.full(len(arms), np.nan)
    if worlds > 1:
        half = half_width(table.std(axis=1, ddof=1), worlds)
    rank = rankdata(_rounded(mean), method="min").astype(np.float64)
    return rows.assign(score=mean, low=mean - half, high=mean + half, rank=rank)


def _places(tables: dict[str, Floats], arms: Sequence[str]) -> pd.DataFrame:
    """``definition, arm, p_fairest, p_least_fair``, adjusted; no rows without tables."""
    if not tables:
        return pd.DataFrame(columns=["definition", "arm", *_ENDS]).astype(
            dict.fromkeys(_ENDS, np.float64)
        )
    raw = _beaten(np.stack([_rounded(table) for table in tables.values()]))
    # One test for each definition and end: only the arm with the best mean can beat all others.
    adjusted = holm(raw.min(axis=2).ravel()).reshape(raw.shape[:2])
    p = np.where(raw < 1, adjusted[..., None], 1.0)
    index = pd.MultiIndex.from_product([list(tables), arms], names=["definition", "arm"])
    return pd.DataFrame(dict(zip(_ENDS, p.reshape(2, -1), strict=True)), index).reset_index()


def _beaten(scores: Floats) -> Floats:
    """Largest p of each arm's tests against the others, 1 if one of them is not beaten.

    ``scores`` has shape (definitions, arms, worlds), the result (2, definitions, arms): beaten by
    being fairer, and by being less fair.
    """
    by_pair = scores[:, None] - scores[:, :, None]  # how much fairer the first arm is
    shape = by_pair.shape[:3]
    pair = np.arange(np.prod(shape)).repeat(scores.shape[2])
    long = pd.DataFrame({"pair": pair, "value": by_pair.ravel()})
    tests = tested(summarise(long, ["pair"]))
    p = tests["p"].fillna(1.0).to_numpy(dtype=np.float64).reshape(shape)
    fairer = tests["value"].to_numpy(dtype=np.float64).reshape(shape)
    itself = np.eye(shape[1], dtype=bool)
    ends = [np.where(itself, 0.0, np.where(end * fairer > 0, p, 1.0)) for end in (1, -1)]
    return np.stack(ends).max(axis=3)


def _agreement(tables: dict[str, Floats], drawn: NDArray[np.intp]) -> pd.DataFrame:
    """Kendall's tau-b of every two definitions, and how often resamples keep its sign.

    ``drawn``: the worlds of each resample, shape (resamples, worlds).
    """
    means = {name: _rounded(table.mean(axis=1)) for name, table in tables.items()}
    orders = {
        name: _orders(_rounded(table[:, drawn].mean(axis=2))) for name, table in tables.items()
    }
    rows = []
    for one, scores in means.items():
        for other, others in means.items():
            tau = share = np.nan
            if scores.size >= FEWEST_ARMS and np.ptp(scores) > 0 and np.ptp(others) > 0:
                tau = float(kendalltau(scores, others, variant="b").statistic)
                if len(drawn):
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
    said = []
    if worlds < FEWEST_WORLDS:
        said.append(
            f"{worlds} {'world' if worlds == 1 else 'worlds'}: too few to call an arm the fairest "
            f"or the least fair; use {FEWEST_WORLDS} or more."
        )
    elif len(arms) > 1 and scores["score"].notna().any():
        for arm in sorted(arms, key=lambda each: each != reference):
            said.append(_of_arm(arm, scores[scores["arm"] == arm]))
    said.append(_of_definitions(tau, len(arms), worlds))
    for reason in dict.fromkeys(scores.loc[scores["score"].isna(), "note"]):
        names = dict.fromkeys(scores.loc[scores["note"] == reason, "definition"])
        said.append(f"{_listed(list(names))}: {reason}.")
    return said


def _of_arm(arm: str, rows: pd.DataFrame) -> str:
    first = list(rows.loc[rows["p_fairest"] < LEVEL, "definition"])
    last = list(rows.loc[rows["p_least_fair"] < LEVEL, "definition"])
    parts = [
        f"fairest under {_listed(first)}" if first else "",
        f"least fair under {_listed(last)}" if last else "",
    ]
    if not (first or last):
        return f"{arm} is not told apart as fairest or least fair under any definition."
    return f"{arm} is {'; '.join(part for part in parts if part)}."


def _of_definitions(tau: pd.DataFrame, arms: int, worlds: int) -> str:
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
        "more than they agree"
    )
    if worlds < FEWEST_WORLDS:
        return f"{text}; with so few worlds that may be luck."
    text += f", {len(sure)} of them in {100 * SURE:.0f} % of resamples of the worlds"
    if sure.empty:
        return f"{text}."
    one, other = sure["tau"].idxmin()
    return f"{text}; most of all {one} and {other} (tau {sure['tau'].min():+.2f})."


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + (" and " if names[:-1] else "") + names[-1]
