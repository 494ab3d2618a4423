"""A language model by table: every pair of a few profiles asked once, in both orders."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.draws import most_lists
from policies.elicit import Battery, Progress, elicit
from policies.levels import check_simulated, number_of_profiles, profile_numbers
from policies.llm import COIN, FIRST, SECOND, card, no_choice
from policies.protocol import Chances, Choice, MatchRun, equal_chances
from policies.schemas import SCHEMAS
from policies.summary import choices, most_likely
from populations.errors import InputError
from populations.schema import Columns

COARSE = "indecision3-coarse"
MOST_PAIRS = 5_000


@dataclass(frozen=True, eq=False)
class Table:
    """A language model at temperature 0, by its answers to every pair of profiles.

    A candidate counts as the nearest profile. Two of the same profile are a tie: the model is not
    asked to tell apart whom it would be told the same of (`live` does the same with a pair; in a
    longer list it shows identical profiles as they are).

    Parameters
    ----------
    name : str
        What results call it.
    schema : str
        A name in ``SCHEMAS``, with p profiles.
    outcomes : ndarray of int8, shape (p, p)
        Most likely answer, ``FIRST``, ``SECOND`` or ``COIN``, by the profiles shown first and
        second.
    card : dict
        What should be shown beside every result.
    """

    name: str
    schema: str
    outcomes: NDArray[np.int8]
    card: dict[str, Any] = field(default_factory=dict)

    def judge(self, a: Columns, b: Columns) -> Chances:
        """One-hot rows, shape (n, 3)."""
        numbers = (profile_numbers(self.schema, side) for side in (a, b))
        return np.asarray(np.eye(3)[self.outcomes[tuple(numbers)]])

    def defeats(self, match: MatchRun) -> NDArray[np.intp]:
        """By how many others each is beaten, every pair judged in list order; shape (n,).

        Counted by profile, so that the cost grows with n times p.
        """
        numbers, p = profile_numbers(self.schema, match), len(self.outcomes)
        here = np.eye(p, dtype=np.intp)[numbers]
        up_to = here.cumsum(axis=0)  # of each profile, how many are listed up to here
        by_earlier = (self.outcomes == FIRST).T[numbers]
        by_later = (self.outcomes == SECOND)[numbers]
        earlier, later = up_to - here, up_to[-1] - up_to
        return np.asarray((earlier * by_earlier + later * by_later).sum(axis=1))

    def tied(self, match: MatchRun) -> NDArray[np.intp]:
        """Places of those beaten by the fewest, ascending: by nobody, unless there is a cycle."""
        defeats = self.defeats(match)
        return np.flatnonzero(defeats == defeats.min())

    def choose(self, match: MatchRun) -> Choice:
        """Equal chances for those beaten by the fewest."""
        return equal_chances(match.slots[self.tied(match)])


def table_policy(
    model: str,
    answers: Path,
    *,
    schema: str = COARSE,
    coin: bool = True,
    progress: Progress | None = None,
) -> Table:
    """A language model's table; what is not known of it yet is asked now.

    Parameters
    ----------
    model, answers, coin, progress
        As for `policies.llm.llm_policy`.
    schema : str
        A schema of few profiles.

    Raises
    ------
    InputError
        If the schema has too many pairs, or shows what candidates do not have; if the model does
        not answer, or no answer is a choice.
    """
    written = f"llm:{model}" if schema == COARSE else f"llm:{model}, {schema}"
    name = f"table({written})" if coin else f"forced(table({written}), as_measured)"
    battery = Battery(schema, option="coin" if coin else "none")
    check_simulated(schema, name)
    pairs = most_lists(schema, 2)
    if pairs > MOST_PAIRS:
        few = [each for each in SCHEMAS if most_lists(each, 2) <= MOST_PAIRS]
        raise InputError(
            f"policy {name!r}: schema {schema!r} has {pairs:,} pairs, too many for a table: "
            f"expected at most {MOST_PAIRS:,}, as {', '.join(few)} have"
        )
    battery = dataclasses.replace(battery, n_pairs=pairs)
    answered = elicit(model, battery, answers, progress)
    chosen, usable = choices(answered)
    if not usable.any():
        raise no_choice(model, answered)
    p = number_of_profiles(schema)
    outcomes = np.full((p, p), COIN, dtype=np.int8)
    shown = tuple(profile_numbers(schema, side) for side in answered.shown)
    outcomes[shown] = most_likely(chosen)
    return Table(name, schema, outcomes, {"way": "table", **card(battery, model, answered)})
