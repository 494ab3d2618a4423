"""How each kidney was decided: indecision, and distance from a reference policy."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from measures.registry import measure
from measures.table import FULL_DETAIL_ONLY, Floats, column, tidy
from sim.record import Record

REFERENCE_MASS = 0.95
_ROUNDING = 1e-9  # candidates with the same chance up to this are in or out together


class Split(NamedTuple):
    """How far one decision is from a reference, and in which way; all in [0, 1].

    Parameters
    ----------
    distance : float
        Total variation from the reference's chances; ``misalignment + over_decisiveness`` exactly.
    misalignment : float
        Chance beyond the reference's own, given outside its favourites H: sum of (q_i - h_i)^+.
    over_decisiveness : float
        Chance beyond the reference's own, within H.
    """

    distance: float
    misalignment: float
    over_decisiveness: float


def favourites(reference: Floats) -> NDArray[np.bool_]:
    """Whom a reference would have considered: its favourites H.

    The smallest set of candidates that holds 95 % of the reference's chance, together with all who
    have the same chance as its last member (an even lottery's H is everybody). What is missing to a
    sum of 1 is "nobody", who counts as one more candidate.

    Parameters
    ----------
    reference : ndarray, shape (n,), n >= 1
        Chances that sum to 1 or less.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    return reference >= _least(reference, _nobody(reference))


def _nobody(chances: Floats) -> float:
    nobody = 1.0 - float(chances.sum())
    return nobody if nobody > _ROUNDING else 0.0


def _least(reference: Floats, nobody: float) -> float:
    """The chance from which on a candidate, or nobody, is in H."""
    rising = np.append(reference, nobody) if nobody else reference.copy()
    rising.sort()
    held = rising[::-1].cumsum()
    last = int(held.searchsorted(REFERENCE_MASS - _ROUNDING))
    return float(rising[max(rising.size - 1 - last, 0)]) * (1 - _ROUNDING)


def compare(chances: Floats, reference: Floats) -> tuple[float, float, float, NDArray[np.bool_]]:
    """The `split_distance` of a decision and the reference's `favourites`, in one go.

    What `sim.detail.Detail` asks of every decision.
    """
    q_nobody, h_nobody = _nobody(chances), _nobody(reference)
    least = _least(reference, h_nobody)
    inside = reference >= least
    beyond = chances - reference
    np.maximum(beyond, 0.0, out=beyond)
    over = float(beyond[inside].sum())
    misalignment = float(beyond[~inside].sum())
    if h_nobody >= least:
        over += max(q_nobody - h_nobody, 0.0)
    else:
        misalignment += max(q_nobody - h_nobody, 0.0)
    return misalignment + over, misalignment, over, inside


def split_distance(chances: Floats, reference: Floats) -> Split:
    """Split a decision's distance from a reference into wrong values and missing indecision.

    Parameters
    ----------
    chances, reference : ndarray, shape (n,), n >= 1
        Chances q and h of the same candidates under the policy and under the reference; each sums
        to 1 or less. What is missing is "nobody", one more candidate.

    Returns
    -------
    Split
        Derived here (D): TV(q, h) = M + I holds exactly, and a reference is at distance 0 from
        itself. For a reference that draws even lots in its `favourites`, M is the chance given
        outside them.
    """
    return Split(*compare(chances, reference)[:3])


def _real(record: Record) -> pd.DataFrame:
    """Decisions with somebody to choose between: two candidates shown, or more."""
    return record.decisions[record.decisions["shown"] >= 2]


def _mean(values: Floats, name: str, empty: str) -> dict[str, Any]:
    return {
        "measure": name,
        "value": float(values.mean()) if values.size else np.nan,
        "numerator": float(values.sum()),
        "denominator": values.size,
        "note": "" if values.size else empty,
    }


_NO_CHOICE = "no kidney with two candidates to choose between"
_LOTS = "those between whom there is no good reason to choose"


@measure(
    formula="mean over kidneys of the probability that lots were drawn",
    unit="share of kidneys",
    direction="none",
    discipline="social choice, machine ethics",
    protects=_LOTS,
    cannot_see="whether lots were drawn in the right cases; a model that answers at random "
    "without saying so",
    source="share of coin answers in the surveys of McElfresh et al. (R2), carried to match runs "
    "(D)",
    by="never",
)
def indecision_rate(record: Record) -> pd.DataFrame:
    """Mean probability that a kidney was left to lots, where there was a choice."""
    return tidy([_mean(column(_real(record), "tie"), "indecision_rate", _NO_CHOICE)])


@measure(
    formula="mean, 10th, 50th, 90th percentile and maximum of the number sharing the top chance",
    unit="candidates",
    direction="none",
    discipline="social choice",
    protects=_LOTS,
    cannot_see="near-ties: candidates a hair below the top chance",
    source="D",
    by="never",
)
def tied_set(record: Record) -> pd.DataFrame:
    """How many candidates shared the highest chance, where there was a choice.

    ``tied_set.several`` is the share of kidneys where it was more than one.
    """
    tied = column(_real(record), "tied")
    rows = [
        _mean(tied, "tied_set.mean", _NO_CHOICE),
        _mean((tied > 1).astype(np.float64), "tied_set.several", _NO_CHOICE),
    ]
    for name, share in (("p10", 0.1), ("p50", 0.5), ("p90", 0.9), ("max", 1.0)):
        rows.append(
            {
                "measure": f"tied_set.{name}",
                "value": float(np.quantile(tied, share)) if tied.size else np.nan,
                "note": "" if tied.size else _NO_CHOICE,
            }
        )
    return tidy(rows)


@measure(
    formula="mean over kidneys of 1 / sum of squared chances",
    unit="candidates",
    direction="none",
    discipline="information theory, ecology (inverse Simpson index)",
    protects=_LOTS,
    cannot_see="who the candidates are",
    source="inverse Simpson index (M)",
    by="never",
)
def effective_number(record: Record) -> pd.DataFrame:
    """Mean effective number of candidates with a chance, where there was a choice."""
    return tidy([_mean(column(_real(record), "effective"), "effective_number", _NO_CHOICE)])


@measure(
    formula="mean position of the recipient among the eligible, 0 = longest listed",
    unit="places",
    direction="none",
    discipline="transplant policy (OPTN)",
    protects="those who have waited longest",
    cannot_see="why somebody was passed over; refusals push it up as choices do",
    source="D",
    by="never",
)
def winner_position(record: Record) -> pd.DataFrame:
    """Mean place in the match run of those transplanted, where there was a choice."""
    decisions = _real(record)
    place = column(decisions[decisions["outcome"] == "transplanted"], "position")
    return tidy([_mean(place, "winner_position", "no transplant where there was a choice")])


def _against_reference(record: Record, name: str) -> pd.DataFrame:
    if name not in record.decisions:
        return tidy([{"measure": name, "note": FULL_DETAIL_ONLY}])
    return tidy([_mean(column(_real(record), name), name, _NO_CHOICE)])


@measure(
    formula="M: mean over kidneys of sum of (q_i - h_i)^+ outside the reference's 95 % set H",
    unit="probability",
    direction="lower",
    discipline="alignment",
    protects="those the reference would have considered",
    cannot_see="how bad the wrong choice is in life-years; every fault of the reference itself; "
    "that a policy always takes the same few of those the reference considers, for which M is 0 "
    "(read over_decisiveness with it)",
    source="D",
    by="never",
)
def misalignment(record: Record) -> pd.DataFrame:
    """Mean chance given to candidates the reference would not consider (``detail="full"``)."""
    return _against_reference(record, "misalignment")


@measure(
    formula="I: mean over kidneys of sum of (q_i - h_i)^+ within H",
    unit="probability",
    direction="lower",
    discipline="alignment, ethics of lotteries",
    protects=_LOTS,
    cannot_see="which way chance moved within H: even lots have I > 0 where the reference is not "
    "even (read entropy_gap for the way); whether it fell on the reference's own first choice; "
    "lottery numbers for life, whose chances are even at every kidney and settled before the first",
    source="D",
    by="never",
)
def over_decisiveness(record: Record) -> pd.DataFrame:
    """Mean chance beyond the reference's own among those it considers (``detail="full"``)."""
    return _against_reference(record, "over_decisiveness")


@measure(
    formula="mean over kidneys of the total variation of chances from the reference's = M + I",
    unit="probability",
    direction="lower",
    discipline="alignment",
    protects="those the reference would have treated otherwise",
    cannot_see="which way the difference went (read M and I) and what it cost",
    source="D",
    by="never",
)
def distance(record: Record) -> pd.DataFrame:
    """Mean distance of decisions from the reference policy's (``detail="full"``)."""
    return _against_reference(record, "distance")


@measure(
    formula="mean over kidneys of H(h) - H(q), entropies of the reference's and policy's chances",
    unit="nats",
    direction="none",
    discipline="information theory, alignment",
    protects=_LOTS,
    cannot_see="whom the chances favour; above 0 the policy is surer than the reference, below 0 "
    "less sure, and 0 may be a mean of both",
    source="difference of Shannon entropies (D)",
    by="never",
)
def entropy_gap(record: Record) -> pd.DataFrame:
    """How much surer of its choices a policy is than the reference (``detail="full"``)."""
    return _against_reference(record, "entropy_gap")
