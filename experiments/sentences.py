"""Plain sentences made from the numbers: what differs, by how much, and what cannot be told."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from experiments.headlines import HEADLINES
from experiments.inference import detectable
from experiments.tables import number
from measures.registry import is_ratio


class Outcome(NamedTuple):
    """Something measured, as a sentence calls it.

    Parameters
    ----------
    label : str
    measure : str
        As in a study's tables of levels and differences.
    how : str
        Format of the number.
    grouping, group : str
        Of whom.
    """

    label: str
    measure: str
    how: str
    grouping: str = "all"
    group: str = "all"

    @property
    def is_ratio(self) -> bool:
        """Whether a difference of it is a factor."""
        return is_ratio(self.measure)


def headlines(*measures: str) -> list[Outcome]:
    """The rows of the main tables with these measures, in their order there."""
    return [
        Outcome(label, measure, how) for label, measure, how in HEADLINES if measure in measures
    ]


def row(values: pd.DataFrame, outcome: Outcome) -> pd.Series | None:
    """The row of an outcome in a table of one arm; None if there is none."""
    here = values[
        (values["measure"] == outcome.measure)
        & (values["grouping"] == outcome.grouping)
        & (values["group"] == outcome.group)
    ]
    return here.iloc[0] if len(here) else None


def amount(found: pd.Series, outcome: Outcome) -> str:
    """A difference and its interval: "+0.12 (+0.05 to +0.19)", or "x 1.10 (1.02 to 1.18)".

    Where worlds agree there is none: "+1 (in each of 4 worlds)".
    """
    signed = not outcome.is_ratio
    value, low, high = (number(found[key], outcome.how, signed) for key in ("value", "low", "high"))
    times = "x " if outcome.is_ratio else ""
    if np.isfinite(found["low"]):
        return f"{times}{value} ({low} to {high})"
    agreed = f" (in each of {found['worlds']:.0f} worlds)" if np.isfinite(found["p"]) else ""
    return f"{times}{value}{agreed}"


def verdict(differences: pd.DataFrame, outcomes: Iterable[Outcome]) -> str:
    """What differs and what does not, as one or more sentences.

    Parameters
    ----------
    differences : DataFrame
        Differences of one arm from what the sentence says it is compared with.
    outcomes : iterable of Outcome
    """
    differs, same, agreed, unknown = [], [], [], []
    for outcome in outcomes:
        found = row(differences, outcome)
        if found is None or not np.isfinite(found["value"]):
            unknown.append(outcome.label)
        elif detectable(found):
            differs.append(f"{outcome.label} {amount(found, outcome)}")
        elif np.isfinite(found["p"]) and not np.isfinite(found["low"]):
            agreed.append(f"{outcome.label} {amount(found, outcome)}")
        else:
            same.append(f"{outcome.label} {amount(found, outcome)}")
    said = [f"Differs in {_listed(differs)}." if differs else ""]
    said.append(f"No detectable difference in {_listed(same)}." if same else "")
    few = f"The same in every world, too few to rule out chance: {_listed(agreed)}."
    said.append(few if agreed else "")
    said.append(f"Undefined in some world: {_listed(unknown)}." if unknown else "")
    return " ".join(part for part in said if part)


def _listed(parts: Sequence[str]) -> str:
    return "; ".join(parts)
