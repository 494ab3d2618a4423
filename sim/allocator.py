"""Where a kidney goes: the match run, the policy's chances, the ticket, the centres' answers."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from mesa import Agent
from numpy.typing import NDArray

from policies.protocol import EVERY_SLOT, Choice, Kidney, Policy
from populations.errors import InputError
from populations.formulae import abo_compatible
from sim.agents import Centre
from sim.detail import Detail, Tally
from sim.lots import SUM_TOLERANCE, Lots
from sim.match import Match, discretion_limit
from sim.store import Subset

if TYPE_CHECKING:
    from sim.waitlist import Waitlist

_EQUAL = 1e-12


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
        lots: Callable[[Match, Choice], Lots],
        discretion: str,
        detail: Detail | None,
    ) -> None:
        super().__init__(model)
        self.policy = policy
        self.centres = centres
        self.detail = detail
        self.tally = Tally(model.world, detail.compare) if detail else None
        self.decisions: list[Decision] = []
        self.offers: list[tuple[int, int, int, int, bool]] = []
        self._tickets = tickets
        self._lots = lots
        self._limit = discretion_limit(discretion)
        codes = np.arange(4)
        self._compatible = [np.flatnonzero(abo_compatible(donor, codes)) for donor in codes]
        self._crossmatch = model.world.kidneys["crossmatch"]
        self._identical_first = model.world.parameters.allocation.blood_groups == "identical"

    def eligible(self, kidney: Kidney) -> Match:
        """The match run of those who may medically take a kidney, in order of listing."""
        if self._identical_first:
            match = self._match(kidney, kidney.blood_type)
            if len(match):
                return match
        matches = [self._match(kidney, int(code)) for code in self._compatible[kidney.blood_type]]
        rows = np.sort(np.concatenate([match.rows for match in matches]))
        everyone = np.ones(len(rows), dtype=bool)
        return Match(self.model.candidates, Subset(rows), everyone, kidney, self.model.time)

    def _match(self, kidney: Kidney, blood_type: int) -> Match:
        group = self.model.groups[blood_type]
        mask = group.crossmatch_negative(float(self._crossmatch[kidney.number]))
        return Match(self.model.candidates, group, mask, kidney, self.model.time)

    def allocate(self, kidney: Kidney) -> int:
        """Offer a kidney until it is taken; the row of who got it, or -1."""
        match = self.eligible(kidney)
        if len(match) == 0:
            self.decisions.append(_decision(kidney, self.model.time, outcome="no_candidate"))
            return -1
        shown = match.head(self._limit)
        choice = self._ask(self.policy, shown)
        summary = self._summary(match, shown, choice)
        lots, left = self._lots(shown, choice), match
        refused: list[int] = []
        end: dict[str, Any] = {"outcome": "refused"}
        for offer, ticket in enumerate(self._tickets[kidney.number].tolist()):
            if lots.exhausted:
                left = left.without(refused)
                if len(left) == 0:
                    break
                shown = left.head(self._limit)
                lots = self._lots(shown, self._ask(self.policy, shown))
                refused = []
            row, centre, chance = lots.draw(ticket)
            if offer == 0 and self.tally:
                self.tally.first_offer(kidney.number, row)
            if row < 0:
                end = {"outcome": "withheld"}
                break
            summary["offers"] = offer + 1
            accepted = self.centres[centre].answer(kidney.number)
            self.offers.append((kidney.number, offer, row, centre, accepted))
            if accepted:
                end = {"outcome": "transplanted", "candidate": row, "chance": chance}
                end["position"] = match.position(row)
                break
            refused.append(centre)
            lots.drop(centre)
        self.decisions.append(_decision(kidney, self.model.time, **summary, **end))
        return int(end.get("candidate", -1))

    def _ask(self, policy: Policy, match: Match) -> Choice:
        """A policy's choice, checked: policies are written by users."""
        where = f"policy {policy.name!r}: kidney {match.kidney.number}"
        try:
            choice = policy.choose(match)
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"{where}: {type(error).__name__}: {error}") from error
        problem = _problem(choice, match)
        if problem:
            raise InputError(f"{where}: {problem}")
        return choice

    def _summary(self, match: Match, shown: Match, choice: Choice) -> dict[str, Any]:
        """What the record keeps of the choice before any centre has answered."""
        chances = choice.chances
        if len(chances) == 1:
            tied, squares = 1, float(chances[0]) ** 2
        else:
            tied = int(np.count_nonzero(chances >= chances.max() * (1.0 - _EQUAL)))
            squares = float((chances * chances).sum())
        summary = {
            "eligible": len(match),
            "shown": len(shown),
            "tie": choice.tie,
            "tied": min(tied, len(shown)),  # where no one has a chance, slots outside count too
            "effective": 1.0 / max(squares, _EQUAL),
        }
        if self.detail is None or self.tally is None:
            return summary
        reference = self._ask(self.detail.reference, shown).dense(shown)
        return summary | self.tally.decision(shown, choice.dense(shown), reference)


def _problem(choice: Choice, match: Match) -> str:
    """What is wrong with a choice; empty if nothing is."""
    if not isinstance(choice, Choice):
        return f"choose() must return a Choice; got {type(choice).__name__}"
    chances, slots = choice.chances, choice.slots
    if not (isinstance(choice.tie, int | float) and -_EQUAL <= choice.tie <= 1.0 + _EQUAL):
        return f"tie = {choice.tie!r}: expected a probability"
    if not (isinstance(chances, np.ndarray) and chances.dtype == np.float64):
        return "chances must be a NumPy array of float64"
    if slots is None:
        expected = len(match)
    elif isinstance(slots, slice):
        if slots != EVERY_SLOT:
            return f"slots = {slots}: expected EVERY_SLOT or an array"
        expected = len(match.mask)
    else:
        if not _names_candidates(slots, match.mask):
            return "slots must be whole numbers, ascending, each a slot of this match run"
        expected = len(slots)
    if chances.shape != (expected,) or expected == 0:
        return f"chances must have shape ({expected},), one or more; got {chances.shape}"
    if expected == 1:
        total = low = float(chances[0])
    else:
        total, low = float(chances.sum()), float(chances.min())
    if not (total <= 1.0 + SUM_TOLERANCE and low >= 0.0):
        return f"chances must be >= 0 and sum to at most 1; got {low:g} at least, sum {total:g}"
    return ""


def _names_candidates(slots: NDArray[np.intp], mask: NDArray[np.bool_]) -> bool:
    if slots.dtype.kind != "i" or slots.ndim != 1:
        return False
    if len(slots) == 1:  # most choices of most rules
        return bool(0 <= slots[0] < len(mask) and mask[slots[0]])
    if (slots[1:] <= slots[:-1]).any():
        return False
    return len(slots) == 0 or bool(slots[0] >= 0 and slots[-1] < len(mask) and mask[slots].all())


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
    entropy_gap: float = np.nan
    distance: float = np.nan
    misalignment: float = np.nan
    over_decisiveness: float = np.nan


def _decision(kidney: Kidney, time: float, **known: Any) -> Decision:
    return Decision(kidney.number, time, kidney.blood_type, kidney.kdpi, **known)
