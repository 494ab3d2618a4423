"""The card of every measure, and the table that lists them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

import pandas as pd

Table = Callable[..., pd.DataFrame]
F = TypeVar("F", bound=Table)
Reads = Literal["record", "tie_seeds", "judges", "arms"]


@dataclass(frozen=True)
class Measure:
    """What a reader must know before quoting a number.

    Parameters
    ----------
    name : str
        Name of the function; the ``measure`` column holds it, or it and a dotted detail
        (``fate_counts.died``).
    description : str
        One line.
    formula, unit : str
        How ``value`` is computed, and in what unit.
    direction : {"higher", "lower", "none"}
        Which way is better, where there is a better.
    discipline, protects, cannot_see, source : str
        Where the measure comes from, whom it protects, what it is blind to, and who says so.
        Provenance of the source: R read in source, R2 secondary, D derived here, M from memory,
        A an assumption of ours with no source.
    policy_invariant : bool
        Follows from how many are transplanted, in which policies differ by the few per cent of
        kidneys declined too often, so never to be read as the effect of a policy on who is.
    invariant_details : tuple of str
        Dotted details of which that is true where it is not of the whole measure.
    reads : {"record", "tie_seeds", "judges", "arms"}
        What it is computed from: one record; records of one world under several tie seeds; the
        probabilities of two judges; or the measures of every run of a study, all arms together
        (its rows then have columns ``arm`` and ``world``).
    by : {"never", "optional", "always"}
        Whether it takes a grouping of the candidates.
    function : callable
        The measure itself.
    """

    name: str
    description: str
    formula: str
    unit: str
    direction: Literal["higher", "lower", "none"]
    discipline: str
    protects: str
    cannot_see: str
    source: str
    policy_invariant: bool
    invariant_details: tuple[str, ...]
    reads: Reads
    by: Literal["never", "optional", "always"]
    function: Table


MEASURES: dict[str, Measure] = {}


def is_invariant(name: str) -> bool:
    """Whether a measure, or a detail by its dotted name, is nearly the same under every policy."""
    whole, _, detail = name.partition(".")
    card = MEASURES.get(whole)
    return card is not None and (card.policy_invariant or detail in card.invariant_details)


def measure(
    *,
    formula: str,
    unit: str,
    direction: Literal["higher", "lower", "none"],
    discipline: str,
    protects: str,
    cannot_see: str,
    source: str,
    policy_invariant: bool = False,
    invariant_details: tuple[str, ...] = (),
    reads: Reads = "record",
    by: Literal["never", "optional", "always"] = "optional",
) -> Callable[[F], F]:
    """Enter the decorated function, with its card, in ``MEASURES``.

    The card's name is the function's name and its description the first line of its docstring.
    """

    def enter(function: F) -> F:
        MEASURES[function.__name__] = Measure(
            name=function.__name__,
            description=(function.__doc__ or "").strip().split("\n")[0],
            formula=formula,
            unit=unit,
            direction=direction,
            discipline=discipline,
            protects=protects,
            cannot_see=cannot_see,
            source=source,
            policy_invariant=policy_invariant,
            invariant_details=invariant_details,
            reads=reads,
            by=by,
            function=function,
        )
        return function

    return enter


def is_ratio(measure: str) -> bool:
    """Whether a measure, by its name, is a ratio: averaged and compared as a logarithm."""
    return measure.endswith("_ratio")
