"""How unequal the access to a transplant is over everybody on the list: the ATS score's spread."""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from measures.registry import measure
from measures.table import Floats, codes_of, column, tidy, totals
from populations.errors import InputError
from populations.schema import SCHEMA
from sim.record import Record

PERIOD = 1.0  # years in a cohort: a quarter of a small list has too few transplants
# Expected transplants below which a level of a category joins its attribute's largest level. A.
FEW = 5.0
EVENTS_PER_COEFFICIENT = 5.0  # A: below, the regression and its standard errors mean little
WINSORISED = 0.01
# Candidates the regression looks at, at most. All 500,000 of ten national years would take a
# minute and 5 GB; some 17,000 transplants among these leave an error of about 0.02 in an SD of 1.
MOST = 40_000
# EPTS is a formula of age, dialysis, diabetes and an earlier transplant, which are there already.
ATTRIBUTES: tuple[str, ...] = tuple(name for name in SCHEMA if name != "epts")
POLICY_INTENDED: tuple[str, ...] = tuple(
    name for name in ATTRIBUTES if SCHEMA[name].role == "moral"
)
_LEAST_COMPATIBLE = 0.005  # cPRA is published in whole per cent: 100 is 99.5 or more
_LARGEST_ERROR = 10.0  # of a coefficient per standard deviation; beyond, there is no finite one


class Registrations(NamedTuple):
    """One row for each candidate in each period in which they were on the list.

    Parameters
    ----------
    person : ndarray of int, shape (n,)
        Row of the candidate in the record.
    period : ndarray of int, shape (n,)
    since : ndarray, shape (n,)
        Year of the run at which they were first on the list in that period.
    years : ndarray, shape (n,)
        Person-years on the list in that period, above 0.
    transplanted : ndarray, shape (n,)
        1 if transplanted in that period, else 0.
    """

    person: NDArray[np.intp]
    period: NDArray[np.intp]
    since: Floats
    years: Floats
    transplanted: Floats


def registrations(record: Record, every: int = 1) -> Registrations:
    """Cut the time on the list of each ``every``-th candidate into yearly periods of the run."""
    entry, exit_ = column(record.fates, "entry"), column(record.fates, "exit")
    asked = np.arange(entry.size) % every == 0
    had = np.asarray(record.fates["fate"] == "transplanted", dtype=np.float64)
    parts = []
    for period in range(int(np.ceil(record.years / PERIOD))):
        low, high = period * PERIOD, (period + 1) * PERIOD
        person = np.flatnonzero(asked & (entry < high) & (exit_ > low) & (exit_ > entry))
        since, until = np.maximum(entry[person], low), np.minimum(exit_[person], high)
        left = exit_[person] <= high
        code = np.full(person.size, period)
        parts.append((person, code, since, until - since, had[person] * left))
    return Registrations(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _numbers(record: Record, rows: Registrations, name: str) -> Floats:
    """A number of each registration as it was in its period, on the scale of the regression."""
    value = column(record.candidates, name)[rows.person]
    waited = rows.since - column(record.candidates, "listed")[rows.person]
    if name == "age":
        return value + waited
    if name == "dialysis_years":
        return np.maximum(rows.since - column(record.candidates, "dialysis_start")[rows.person], 0)
    if name == "cpra":  # among donors at random the rate is proportional to the share compatible
        return np.log(np.maximum(1 - value / 100, _LEAST_COMPATIBLE))
    return value


class _Design(NamedTuple):
    """Columns of the regression by attribute, and what it cannot tell.

    ``informative`` marks the rows that are in neither a starved level nor a year without
    transplants: the others fix nothing but their own coefficient, at minus infinity. ``starved``
    lists by attribute the levels without a transplant where some were due, ``unresolved`` the
    levels too small to be told apart and the attributes that repeat what the ones before them say.
    """

    blocks: dict[str, Floats]
    periods: Floats
    informative: NDArray[np.bool_]
    starved: dict[str, list[str]]
    unresolved: list[str]


def _design(record: Record, rows: Registrations) -> _Design:
    blocks: dict[str, Floats] = {}
    starved: dict[str, list[str]] = {}
    unresolved: list[str] = []
    rate = rows.transplanted.sum() / rows.years.sum()
    per_period = totals(rows.transplanted, rows.period, int(rows.period.max()) + 1)
    informative = per_period[rows.period] > 0
    for name in ATTRIBUTES:
        levels = SCHEMA[name].levels
        if not levels:
            blocks[name] = _standardised(_numbers(record, rows, name))
            continue
        codes = codes_of(record.candidates[name], levels)[rows.person]
        expected = totals(rows.years, codes, len(levels)) * rate
        base = np.arange(len(levels)) == np.argmax(expected)
        few = (expected < FEW) & ~base
        without = (totals(rows.transplanted, codes, len(levels)) == 0) & ~few
        unresolved += [f"{name} {levels[i]}" for i in np.flatnonzero(few & (expected > 0))]
        starved[name] = [f"{name} {levels[i]}" for i in np.flatnonzero(without)]
        informative &= ~without[codes]
        blocks[name] = (codes[:, None] == np.flatnonzero(~few & ~base)).astype(np.float64)
    periods = np.flatnonzero(per_period) == rows.period[:, None]
    design = _Design(blocks, periods.astype(np.float64), informative, starved, unresolved)
    return _without_repetition(design)


def _without_repetition(design: _Design) -> _Design:
    """Drop each column that is a sum of earlier ones wherever there is anything to learn."""
    columns = np.column_stack([design.periods, *design.blocks.values()])[design.informative]
    if len(columns) < columns.shape[1]:  # too few to fit anyway
        return design
    own = np.abs(np.diag(np.linalg.qr(columns, mode="r")))
    new = own > 1e-8 * np.linalg.norm(columns, axis=0)
    blocks, unresolved = {}, list(design.unresolved)
    at = design.periods.shape[1]
    for name, block in design.blocks.items():
        kept = new[at : at + block.shape[1]]
        at += block.shape[1]
        blocks[name] = block[:, kept]
        if not kept.all() and not design.starved.get(name):
            unresolved.append(name)
    return design._replace(blocks=blocks, unresolved=unresolved)


def _standardised(values: Floats) -> Floats:
    """As one column of mean 0 and SD 1; as no column where all are equal."""
    spread = values.std()
    if spread <= 1e-9 * np.abs(values).max():  # not exactly 0 for equal numbers
        return np.empty((values.size, 0))
    return ((values - values.mean()) / spread)[:, None]


def _fit(rows: Registrations, design: _Design) -> tuple[Floats, Floats] | str:
    """Coefficients of the attributes' columns and their covariance; or why there are none."""
    # Takes a second to import, and is needed nowhere else here.
    from statsmodels.genmod.families import Poisson
    from statsmodels.genmod.generalized_linear_model import GLM

    use = design.informative
    columns = np.column_stack([*design.blocks.values(), design.periods])[use]
    events, needed = rows.transplanted.sum(), columns.shape[1]
    if events < EVENTS_PER_COEFFICIENT * needed:
        least = f"{EVENTS_PER_COEFFICIENT:g} transplants for each coefficient"
        return f"needs {least}, and there are {events:.0f} for {needed}"
    offset = np.log(rows.years[use])
    model = GLM(rows.transplanted[use], columns, family=Poisson(), offset=offset)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # what it would warn of is looked at below
        fitted = model.fit(maxiter=50)
    width = needed - design.periods.shape[1]
    coefficients = np.asarray(fitted.params)[:width]
    errors = np.asarray(fitted.cov_params())[:width, :width]
    largest = np.sqrt(np.diag(errors)).max(initial=0.0)
    if not (fitted.converged and np.isfinite(coefficients).all() and largest < _LARGEST_ERROR):
        return "the regression has no finite solution"
    return coefficients, errors


class _Scores(NamedTuple):
    """A fitted regression: columns, their weights, coefficients, and the two covariances."""

    columns: Floats
    weights: Floats
    coefficients: Floats
    errors: Floats
    scatter: Floats

    def spread(self, chosen: NDArray[np.bool_]) -> tuple[float, float]:
        """SD and winsorised SD of the score over person-years, from the chosen columns.

        The expected square of an estimated spread is the true one and what the sampling error of
        the coefficients adds, the sum of errors x scatter: that is taken off. The winsorised SD is
        reduced in the same proportion.
        """
        b, both = self.coefficients[chosen], np.ix_(chosen, chosen)
        apparent = float(b @ self.scatter[both] @ b)
        noise = float(np.sum(self.errors[both] * self.scatter[both]))
        if apparent <= noise:
            return 0.0, 0.0
        score = self.columns[:, chosen] @ b
        low, high = np.quantile(
            score, [WINSORISED, 1 - WINSORISED], weights=self.weights, method="inverted_cdf"
        )
        score = np.clip(score, low, high)
        mean = np.average(score, weights=self.weights)
        drawn_in = float(np.average((score - mean) ** 2, weights=self.weights))
        kept = 1 - noise / apparent
        return float(np.sqrt(apparent * kept)), float(np.sqrt(drawn_in * kept))


def _scores(rows: Registrations, design: _Design) -> _Scores | str:
    fitted = _fit(rows, design)
    if isinstance(fitted, str):
        return fitted
    columns = np.column_stack(list(design.blocks.values()))
    centred = columns - np.average(columns, axis=0, weights=rows.years)
    scatter = (centred * rows.years[:, None]).T @ centred / rows.years.sum()
    return _Scores(columns, rows.years, *fitted, scatter)


def _questions(held: Sequence[str]) -> dict[str, list[str]]:
    """By name of the row, the attributes whose spread it tells, all others held at their means."""
    free = [name for name in ATTRIBUTES if name not in held]
    asked = {"sd": free, "sd_winsorised": free}
    for role in ("clinical", "audit"):
        asked[f"sd_{role}"] = [name for name in free if SCHEMA[name].role == role]
    return asked | {f"sd_{name}": [name] for name in free}


@measure(
    formula="SD over person-years of x'b, the log transplant rate predicted by a Poisson "
    "regression on the attributes, policy-intended ones held at their means; less sampling noise: "
    "sqrt(max(0, b'Cb - tr(CV))), C covariance of x, V of b",
    unit="log rate",
    direction="lower",
    discipline="transplant policy (OPTN access-to-transplant score)",
    protects="anybody whose access differs for a reason that no policy intends",
    cannot_see="whether the attributes named policy-intended ought to be: that choice is a value "
    "judgement and changes the answer; access by anything but the attributes, or not log-linear "
    "in them (cPRA: in the log of the share of compatible donors); chance alone puts a true 0 "
    "slightly above it, since no SD is negative",
    source="Stewart et al. 2018 (R, abstract), quarterly cohorts; winsorised at 1 and 99 % (M); "
    "here one regression over all years with yearly cohorts, an effect of each year, person-years "
    "as weights, and sampling noise taken off (D); the policy-intended attributes (A)",
    by="never",
)
def access_to_transplant(record: Record, held: Sequence[str] = POLICY_INTENDED) -> pd.DataFrame:
    """Spread of access to a transplant over everybody on the list (ATS score); 0 is equal access.

    A lottery is not at 0: blood type and sensitisation decide which kidneys one can take.

    Parameters
    ----------
    record : Record
    held : sequence of str
        Policy-intended attributes, held at their means; by default the schema's moral ones.

    Returns
    -------
    DataFrame
        ``access_to_transplant.sd`` and ``.sd_winsorised`` from all other attributes,
        ``.sd_clinical`` and ``.sd_audit`` from those of one role, ``.sd_<attribute>`` from one
        alone. ``numerator`` transplants, ``denominator`` person-years; the note names the
        attributes held. EPTS is left out: it is a formula of others. Dialysis that starts while
        waiting is not in the score.

    Raises
    ------
    InputError
        If an attribute to be held is unknown.
    """
    for name in held:
        if name not in ATTRIBUTES:
            raise InputError(
                f"measure: held: {name!r} is not an attribute; choose from {', '.join(ATTRIBUTES)}"
            )
    every = -(-len(record.candidates) // MOST)  # rounded up
    rows = registrations(record, max(every, 1))
    if not rows.transplanted.any():
        return _undefined(held, "no transplants" if rows.person.size else "nobody on the list")
    design = _design(record, rows)
    scores = _scores(rows, design)
    if isinstance(scores, str):
        return _undefined(held, scores)
    owner = np.array([name for name, block in design.blocks.items() for _ in block.T], dtype=str)
    notes = [f"held as policy-intended: {', '.join(held) or 'none'}"]
    if every > 1:
        notes.append(f"one candidate in {every}")
    if design.unresolved:
        notes.append(f"cannot be told apart from others: {', '.join(design.unresolved)}")
    answers: list[dict[str, Any]] = []
    for question, asked in _questions(held).items():
        starved = [level for name in asked for level in design.starved.get(name, [])]
        answer: dict[str, Any] = {"measure": f"access_to_transplant.{question}"}
        answer |= {"numerator": rows.transplanted.sum(), "denominator": rows.years.sum()}
        if starved:
            answer["note"] = f"no transplants in {', '.join(starved)}: no finite spread"
        else:
            answer["value"] = scores.spread(np.isin(owner, asked))[question == "sd_winsorised"]
            answer["note"] = "; ".join(notes)
        answers.append(answer)
    return tidy(answers)


def _undefined(held: Sequence[str], note: str) -> pd.DataFrame:
    return tidy(
        {"measure": f"access_to_transplant.{question}", "note": note}
        for question in _questions(held)
    )
