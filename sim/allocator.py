"""Where a kidney goes: the match run, the policy's chances, the ticket, the centres' answers."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from mesa import Agent
from numpy.typing import NDArray
from scipy.special import entr

from policies.protocol import Chances, Choice, Kidney, Policy
from populations.errors import InputError
from populations.formulae import abo_compatible
from sim.agents import Centre
from sim.match import Match, discretion_limit
from sim.store import Rows

if TYPE_CHECKING:
    from sim.waitlist import Waitlist

Compare = Callable[[Chances, Chances], tuple[float, float, float, float]]
_SUM_TOLERANCE = 1e-9
_EQUAL = 1e-12


class Detail(NamedTuple):
    """What to keep of each decision beyond its summary; costs a pass over the list.

    Parameters
    ----------
    reference : Policy
        Asked about the same match run.
    compare : callable
        From the two vectors of chances to distance, misalignment, over-decisiveness and total
        variation.
    """

    reference: Policy
    compare: Compare


class Allocator(Agent):
    """Gives out kidneys by one policy; keeps one row per decision and per offer.

    A refused kidney goes down the same match run: the chances are conditioned on the candidates of
    centres not asked yet, and only when none of them has a chance is the policy asked again.
    """

    model: "Waitlist"

    def __init__(
        self,
        model: "Waitlist",
        policy: Policy,
        centres: list[Centre],
        tickets: NDArray[np.float64],
        discretion: str,
        detail: Detail | None,
    ) -> None:
        super().__init__(model)
        self.policy = policy
        self.centres = centres
        self.detail = detail
        self.chance_given = np.zeros(len(model.world.candidates["candidate"]))
        self.decisions: list[Decision] = []
        self.offers: list[tuple[int, int, int, int, bool]] = []
        self._tickets = tickets
        self._limit = discretion_limit(discretion)
        codes = np.arange(4)
        self._compatible = [np.flatnonzero(abo_compatible(donor, codes)) for donor in codes]
        self._identical_first = model.world.parameters.allocation.blood_groups == "identical"

    def eligible(self, kidney: Kidney) -> Rows:
        """Rows of those who may medically take a kidney, in order of listing."""
        position = float(self.model.world.kidneys["crossmatch"][kidney.number])
        groups = self.model.groups
        if self._identical_first:
            rows = groups[kidney.blood_type].crossmatch_negative(position)
            if len(rows):
                return rows
        compatible = [
            groups[code].crossmatch_negative(position)
            for code in self._compatible[kidney.blood_type]
        ]
        return np.sort(np.concatenate(compatible))

    def allocate(self, kidney: Kidney) -> int:
        """Offer a kidney until it is taken; the row of who got it, or -1."""
        rows = self.eligible(kidney)
        if len(rows) == 0:
            self.decisions.append(_decision(kidney, self.model.time, "no_candidate"))
            return -1
        centre_of = self.model.world.candidates["centre"]
        shown = rows[: self._limit]
        choice = self._ask(kidney, shown)
        summary = self._summary(kidney, rows, shown, choice)
        refused: list[int] = []
        lots = Lots(shown, choice, centre_of)
        for offer, ticket in enumerate(self._tickets[kidney.number]):
            if lots.exhausted(refused):
                still_open = np.ones(len(self.centres), dtype=bool)
                still_open[refused] = False
                left = rows[still_open[centre_of[rows]]]
                if len(left) == 0:
                    break
                shown = left[: self._limit]
                lots = Lots(shown, self._ask(kidney, shown), centre_of)
            row, chance = lots.draw(ticket, refused)
            if row < 0:
                self.decisions.append(summary._replace(outcome="withheld", offers=offer))
                return -1
            centre = self.centres[centre_of[row]]
            accepted = centre.answer(kidney.number)
            self.offers.append((kidney.number, offer, row, centre.number, accepted))
            summary = summary._replace(offers=offer + 1)
            if accepted:
                summary = summary._replace(
                    outcome="transplanted",
                    candidate=row,
                    chance=chance,
                    position=int(np.searchsorted(rows, row)),
                )
                break
            refused.append(centre.number)
        self.decisions.append(summary)
        return summary.candidate

    def _ask(self, kidney: Kidney, shown: Rows) -> Choice:
        match = Match(self.model.candidates, shown, kidney, self.model.time)
        choice = self.policy.choose(match)
        speaks_of = len(shown) if choice.places is None else len(choice.places)
        right_shape = np.shape(choice.chances) == (speaks_of,) and speaks_of > 0
        total = choice.chances.sum() if right_shape else np.nan
        if not (total <= 1.0 + _SUM_TOLERANCE and choice.chances.min() >= 0.0):
            raise InputError(
                f"policy {self.policy.name!r}: kidney {kidney.number}: chances must have shape "
                f"({speaks_of},), be >= 0 and sum to at most 1; got shape "
                f"{np.shape(choice.chances)}, sum {total:g}"
            )
        return choice

    def _summary(self, kidney: Kidney, rows: Rows, shown: Rows, choice: Choice) -> "Decision":
        """The decision so far, before any centre has answered."""
        chances = choice.chances
        decision = _decision(kidney, self.model.time, "refused")._replace(
            eligible=len(rows),
            shown=len(shown),
            tie=choice.tie,
            tied=int(np.count_nonzero(chances >= chances.max() * (1.0 - _EQUAL))),
            effective=1.0 / max(float(np.square(chances).sum()), _EQUAL),
        )
        if self.detail is None:
            return decision
        chances = choice.dense(len(shown))
        self.chance_given[shown] += chances
        match = Match(self.model.candidates, shown, kidney, self.model.time)
        reference = self.detail.reference.choose(match).dense(len(shown))
        compared = self.detail.compare(chances, reference)
        return decision._replace(
            entropy=float(entr(chances).sum()), **dict(zip(COMPARED, compared, strict=True))
        )


class Lots:
    """Drawing from a choice again and again while centres refuse.

    Centres first, then a candidate of that centre: the same distribution as drawing candidates, and
    a refusal costs a look at the centres instead of a pass over the list.
    """

    def __init__(self, shown: Rows, choice: Choice, centre_of: NDArray[np.int16]) -> None:
        self._rows = shown if choice.places is None else shown[choice.places]
        self._chances = choice.chances
        self._centres = centre_of[self._rows]
        self._mass = np.bincount(self._centres, weights=choice.chances)
        self._nobody = 1.0 - float(self._mass.sum())

    def exhausted(self, refused: list[int]) -> bool:
        """Whether no candidate of another centre has a chance."""
        self._mass[[centre for centre in refused if centre < len(self._mass)]] = 0.0
        return bool(refused) and not self._mass.any()

    def draw(self, ticket: float, refused: list[int]) -> tuple[int, float]:
        """Row and chance of the ticket's candidate; row -1 if it falls on nobody."""
        cumulative = np.cumsum(self._mass)
        total = cumulative[-1]
        nobody = self._nobody if self._nobody > _SUM_TOLERANCE else 0.0  # rounding is nobody
        point = ticket * (total + nobody)
        if point >= total and nobody:
            return -1, 0.0
        centre = min(int(np.searchsorted(cumulative, point, "right")), len(cumulative) - 1)
        of_centre = np.flatnonzero(self._centres == centre)
        within = np.cumsum(self._chances[of_centre])
        past = point - (cumulative[centre] - self._mass[centre])
        place = of_centre[min(int(np.searchsorted(within, past, "right")), len(within) - 1)]
        return int(self._rows[place]), float(self._chances[place])


class Decision(NamedTuple):
    """One row of the record's decisions; see ``sim.record.Record``."""

    kidney: int
    time: float
    blood_type: int
    kdpi: float
    outcome: str
    eligible: int = 0
    shown: int = 0
    tie: float = 0.0
    tied: int = 0
    effective: float = np.nan
    offers: int = 0
    candidate: int = -1
    chance: float = np.nan
    position: int = -1
    entropy: float = np.nan
    distance: float = np.nan
    misalignment: float = np.nan
    over_decisiveness: float = np.nan
    total_variation: float = np.nan


COMPARED = ("distance", "misalignment", "over_decisiveness", "total_variation")


def _decision(kidney: Kidney, time: float, outcome: str) -> Decision:
    return Decision(kidney.number, time, kidney.blood_type, kidney.kdpi, outcome)
