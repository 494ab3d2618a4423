"""Synthetic candidates: attributes drawn from a population's parameters, one stream each."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from populations.hla import draw_hla, draw_unacceptable
from populations.parameters import Parameters
from populations.schema import ADULT, AGE_BANDS, age_band

Floats = NDArray[np.float64]
Streams = Callable[[str], np.random.Generator]


class Known(NamedTuple):
    """What a file says of n people: a value each, and whether it says it, both shape (n,)."""

    values: NDArray[Any]
    known: NDArray[np.bool_]


Given = Mapping[str, Known]


def filled(given: Given, name: str, drawn: NDArray[Any]) -> NDArray[Any]:
    """What is drawn, shape (n,), but where the attribute is known."""
    if name not in given:
        return drawn
    values, known = given[name]
    return np.where(known, values, drawn).astype(drawn.dtype)


def draw_category(rng: np.random.Generator, n: int, shares: Sequence[float]) -> NDArray[np.int8]:
    """Codes 0, 1, ... drawn with the given shares, shape (n,); one uniform draw for each."""
    cumulative = np.cumsum(shares)
    return np.searchsorted(cumulative / cumulative[-1], rng.random(n), side="right").astype(np.int8)


def draw_histogram(
    rng: np.random.Generator, n: int, edges: Sequence[float], shares: Sequence[float]
) -> Floats:
    """Numbers even within each class of a histogram, shape (n,); one uniform draw for each."""
    return np.interp(rng.random(n), _running(shares), edges)


def _running(shares: Sequence[float]) -> Floats:
    """Share below each edge of a histogram."""
    cumulative = np.concatenate([[0.0], np.cumsum(shares)])
    return np.asarray(cumulative / cumulative[-1])


def _place_in(values: Floats, edges: Sequence[float], shares: Sequence[float]) -> Floats:
    """Share of a histogram below each value, kept off 0 and 1; shape (n,)."""
    return np.clip(np.interp(values, edges, _running(shares)), 1e-9, 1.0 - 1e-9)


def poisson_times(rng: np.random.Generator, rate: float, years: float) -> Floats:
    """Times of a Poisson process before ``years``: a longer run continues the shorter one."""
    if rate <= 0:
        return np.empty(0)
    block = max(16, math.ceil(rate))
    times = np.empty(0)
    while len(times) == 0 or times[-1] < years:
        last = times[-1] if len(times) else 0.0
        gaps = rng.standard_exponential(block) / rate
        times = np.concatenate([times, last + np.cumsum(gaps)])
    return times[times < years]


def relative(ratios: Sequence[float], shares: Sequence[float]) -> Floats:
    """Ratios rescaled so that their mean over the races is 1 and totals stay as published.

    All 1 where every race with a ratio above 0 has a share of 0.
    """
    mean = np.average(ratios, weights=shares)
    return np.asarray(ratios) / mean if mean > 0 else np.ones(len(ratios))


def draw_people(
    parameters: Parameters,
    streams: Streams,
    since: Floats,
    waited: Floats,
    initial: bool,
    given: Given,
) -> dict[str, NDArray[Any]]:
    """Attributes of n people, as they are when follow-up of each begins.

    Parameters
    ----------
    parameters : Parameters
        The population.
    streams : callable
        Gives the generator for a purpose; entity i takes the i-th draw of each.
    since : ndarray, shape (n,)
        When follow-up begins: 0 for those on the list at the start, else the time of listing.
    waited : ndarray, shape (n,)
        Years on the list before that.
    initial : bool
        Whether these are the people on the list at the start.
    given : mapping of str to Known
        What is known of them already; what depends on it is drawn accordingly.

    Returns
    -------
    dict of ndarray, each shape (n,)
        The schema's attributes but ``epts``, with ``age`` at ``since``, and ``birth`` and
        ``dialysis_start`` (years from the start of the run), ``registration``, ``centre``, ``hla``
        and ``unacceptable`` (antigens as bits), and ``willingness`` (standard normal: to take an
        offered kidney).
    """
    n = len(since)
    p = parameters
    race = filled(given, "race", draw_category(streams("race"), n, p.race.shares))
    age = filled(given, "age", _ages(p, streams("age"), race, waited))
    band = age_band(age)
    diabetes = np.asarray(p.diabetes.share_by_age)[band]
    diabetes = diabetes * relative(p.diabetes.ratio_by_race, p.race.shares)[race]
    prior = p.prior_transplant.share * relative(p.prior_transplant.ratio_by_race, p.race.shares)
    drawn = {
        "age": age,
        "birth": since - age,
        "drinks_per_day": np.asarray(p.drinks_per_day.values, dtype=float)[
            draw_category(streams("drinks"), n, p.drinks_per_day.shares)
        ],
        "child_dependents": _dependents(p, streams("dependents"), band),
        "skin_cancer": _yes(streams("skin cancer"), np.asarray(p.skin_cancer.share_by_age)[band]),
        "blood_type": draw_category(streams("blood type"), n, p.blood_type.shares),
        **_antigens(p, streams, n, given),
        "diabetes": _yes(streams("diabetes"), diabetes),
        "prior_transplant": _yes(streams("prior transplant"), prior[race]),
        "prior_living_donor": _yes(
            streams("prior living donor"), np.full(n, p.prior_living_donor.share)
        ),
        "dialysis_start": since + np.maximum(_dialysis_in(p, streams, race, waited, initial), -age),
        "sex": draw_category(streams("sex"), n, p.sex.shares),
        "race": race,
        "insurance": draw_category(streams("insurance"), n, p.insurance.shares),
        "neighbourhood": draw_category(streams("neighbourhood"), n, p.neighbourhood.shares),
        "registration": streams("registration").integers(0, 2**62, n),
        "centre": streams("centre").integers(0, p.centres.count, n).astype(np.int16),
        "willingness": streams("willingness").standard_normal(n),
    }
    # cPRA is that of the antigens, which come as near to a known one as they can.
    told = {name: filled(given, name, drawn[name]) for name in given if name != "cpra"}
    return drawn | told


def _yes(rng: np.random.Generator, probability: Floats) -> NDArray[np.int8]:
    return (rng.random(len(probability)) < probability).astype(np.int8)


def _ages(
    p: Parameters, rng: np.random.Generator, race: NDArray[np.int8], waited: Floats
) -> Floats:
    """Ages shifted by race, then mapped rank by rank so that ``shares`` hold for all together.

    The few who would have been listed as children are as much older as they have to be.
    """
    edges, shift = np.asarray(p.age.edges), np.asarray(p.age.shift_by_race)
    cumulative = np.concatenate([[0.0], np.cumsum(p.age.shares)])
    cumulative /= cumulative[-1]
    shifted = draw_histogram(rng, len(race), p.age.edges, p.age.shares) + shift[race]
    knots = np.unique(edges[:, None] + shift)
    below = np.average(  # share of all races together that is younger, at each knot
        np.interp(knots[:, None] - shift, edges, cumulative), axis=1, weights=p.race.shares
    )
    age = np.interp(np.interp(shifted, knots, below), cumulative, edges)
    age = np.minimum(age, np.nextafter(edges[-1], -np.inf))
    least = np.minimum(ADULT, edges[0]) + waited
    if p.age.whole_years:
        age, least = np.floor(age), np.ceil(least)
    return np.asarray(np.maximum(age, least))


def _dependents(p: Parameters, rng: np.random.Generator, band: NDArray[np.int8]) -> Floats:
    uniform = rng.random(len(band))
    values = np.asarray(p.child_dependents.values, dtype=float)
    drawn = np.empty(len(band))
    for code in range(len(AGE_BANDS)):
        cumulative = np.cumsum(p.child_dependents.shares_by_age[code])
        here = band == code
        drawn[here] = values[np.searchsorted(cumulative / cumulative[-1], uniform[here], "right")]
    return drawn


def _antigens(p: Parameters, streams: Streams, n: int, given: Given) -> dict[str, NDArray[Any]]:
    """Antigens, those unacceptable, and the exact cPRA of these, as near its target as they can."""
    hla = filled(given, "hla", draw_hla(streams("hla"), n))
    drawn = draw_histogram(streams("cpra"), n, p.cpra.edges, p.cpra.shares)
    target = filled(given, "cpra", drawn)
    target = np.where(target < 1.0, 0.0, target)  # below 1 % nothing is listed as unacceptable
    unacceptable, cpra = draw_unacceptable(streams("unacceptable"), hla, target)
    return {"hla": hla, "unacceptable": unacceptable, "cpra": cpra}


def _dialysis_in(
    p: Parameters, streams: Streams, race: NDArray[np.int8], waited: Floats, initial: bool
) -> Floats:
    """Years until dialysis starts; negative if it already has.

    On the first list, who has been listed for long tends to have been on dialysis for long: their
    places in the two distributions, as normal scores, have the preset's correlation.
    """
    d, shares = p.dialysis, p.race.shares
    edges, weights, none = (
        (d.edges_on_list, d.shares_on_list, d.none_on_list)
        if initial
        else (d.edges_at_listing, d.shares_at_listing, d.none_at_listing)
    )
    none_by_race = none * relative(d.none_ratio_by_race, shares)
    place = streams("dialysis years").random(len(race))
    if initial:
        listed = _place_in(waited, p.list.waiting_years.edges, p.list.waiting_years.shares)
        rho = d.correlation_on_list
        score = rho * ndtri(listed) + np.sqrt(1.0 - rho**2) * ndtri(place)
        place = ndtr(score)
    years = np.interp(place, _running(weights), edges)
    years = years * relative(d.ratio_by_race, shares)[race]
    later = streams("dialysis start").standard_exponential(len(race))
    rate = p.waiting.dialysis_start_per_year
    later = later / rate if rate > 0 else np.full(len(race), np.inf)
    not_yet = streams("dialysis none").random(len(race)) < none_by_race[race]
    return np.where(not_yet, later, -years)
