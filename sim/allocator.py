"""Where a kidney goes: the match run, the policy's chances, the ticket, the centres' answers."""

from array import array
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from mesa import Agent
from numpy.typing import NDArray

from policies.protocol import EVERY_SLOT, Choice, Kidney, Policy
from populations.errors import InputError
from populations.formulae import abo_compatible
from sim.agents import Centre
from sim.detail import Detail, Tally
from sim.lots import NOBODY, SUM_TOLERANCE, Lots
from sim.match import Match, discretion_limit
from sim.store import BloodGroup, Subset

if TYPE_CHECKING:
    from sim.waitlist import Waitlist

_EQUAL = 1e-12


class Allocator(Agent):
    """Gives out kidneys by one policy; keeps one row per decision, and who was offered each.

    A refused kidney goes down the same match run: to whomever else the policy gave a chance, by
    their chances, then to those it named to come after; when they have refused too, the policy is
    asked again about who remains.
    """

    model: "Waitlist"

    def __init__(
        self,
        model: "Waitlist",
        policy: Policy,
        centres: list[Centre],
        tickets: Iterator[list[float]],
        lots: Lots,
        discretion: str,
        detail: Detail | None,
    ) -> None:
        super().__init__(model)
        self.policy = policy
        self.centres = centres
        self.detail = detail
        self.tally = Tally(model.world, detail.compare) if detail else None
        self.decisions: list[Decision] = []
        self.offered = array("i")  # rows, one after the other; each decision has its count
        self._tickets = tickets
        self._lots = lots
        self._limit = discretion_limit(discretion)
        codes = np.arange(4)
        self._compatible = [np.flatnonzero(abo_compatible(donor, codes)) for donor in codes]
        self._antigens = model.world.kidneys["hla"]
        self._centre_of = model.world.candidates["centre"]
        self._max_offers = model.world.parameters.acceptance.max_offers
        self._identical_first = model.world.parameters.allocation.blood_groups == "identical"

    def eligible(self, kidney: Kidney) -> Match:
        """The match run of those who may medically take a kidney, in order of listing."""
        if self._identical_first:
            match = self._match(kidney, kidney.blood_type)
            if len(match):
                return match
        return self._of_groups(kidney, self._compatible[kidney.blood_type])

    def _others(self, kidney: Kidney, match: Match) -> Match | None:
        """Those of compatible blood groups, where the run was of the donor's own group alone."""
        if not isinstance(match.pool, BloodGroup):
            return None
        compatible = self._compatible[kidney.blood_type]
        others = self._of_groups(kidney, compatible[compatible != kidney.blood_type])
        return others if len(others) else None

    def _of_groups(self, kidney: Kidney, codes: NDArray[np.intp]) -> Match:
        rows = [self._match(kidney, int(code)).rows for code in codes]
        joined = np.concatenate(rows) if rows else np.empty(0, dtype=np.intp)
        joined = joined[np.argsort(self.model.candidates.listed[joined], kind="stable")]
        everyone = np.ones(len(joined), dtype=bool)
        return Match(self.model.candidates, Subset(joined), everyone, kidney, self.model.time)

    def _match(self, kidney: Kidney, blood_type: int) -> Match:
        group = self.model.groups[blood_type]
        mask = group.crossmatch_negative(int(self._antigens[kidney.number]))
        return Match(self.model.candidates, group, mask, kidney, self.model.time)

    def allocate(self, kidney: Kidney) -> int:
        """Offer a kidney until it is taken; the row of who got it, or -1."""
        tickets = iter(next(self._tickets))
        match = self.eligible(kidney)
        if len(match) == 0:
            self.decisions.append(_decision(kidney, self.model.time, outcome="no_candidate"))
            return -1
        shown = match.head(self._limit)
        choice = self._ask(self.policy, shown)
        summary = self._summary(match, shown, choice)
        end: dict[str, Any] = {"outcome": "refused"}
        offers = 0
        for row, chance in self._in_turn(match, shown, choice, tickets):
            if offers == 0 and self.tally:
                self.tally.first_offer(kidney.number, row)
            if row == NOBODY:
                end = {"outcome": "withheld"}
                break
            offers += 1
            self.offered.append(row)
            if self.centres[self._centre_of[row]].answer(kidney.number, row):
                end = {"outcome": "transplanted", "candidate": row, "chance": chance}
                end["position"] = self._position(match, row)
                break
            if offers == self._max_offers:
                break
        self.decisions.append(_decision(kidney, self.model.time, offers=offers, **summary, **end))
        return int(end.get("candidate", -1))

    def _position(self, match: Match, row: int) -> int:
        """Place in the match run; whoever is of another blood group comes after all of it."""
        if self.model.world.candidates["blood_type"][row] == match.kidney.blood_type:
            return match.position(row)
        others = self._others(match.kidney, match)
        return len(match) + others.position(row) if others else match.position(row)

    def _in_turn(
        self, match: Match, shown: Match, choice: Choice, tickets: Iterator[float]
    ) -> Iterator[tuple[int, float]]:
        """Whom a kidney is offered to as long as it is refused: row and chance, or ``NOBODY``."""
        kidney, first = match.kidney, match
        while True:
            asked: list[int] = []
            for slot, chance in self._lots(shown, choice, tickets):
                if slot == NOBODY:
                    yield NOBODY, 0.0
                    return
                asked.append(int(shown.pool.rows[slot]))
                yield asked[-1], chance
            for row in () if choice.then is None else shown.pool.rows[choice.then].tolist():
                if row not in asked:
                    asked.append(row)
                    yield row, 1.0
            if not asked:
                return  # tickets for as many offers as there may be are used up
            match = match.without(asked)
            if len(match) == 0:
                others = self._others(kidney, first)
                if others is None:
                    return
                match = first = others
            shown = match.head(self._limit)
            choice = self._ask(self.policy, shown)

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
        if not _of_the_run(slots, match.mask) or (slots[1:] <= slots[:-1]).any():
            return "slots must be whole numbers, ascending, each a slot of this match run"
        expected = len(slots)
    if chances.shape != (expected,) or expected == 0:
        return f"chances must have shape ({expected},), one or more; got {chances.shape}"
    if choice.then is not None and not _of_the_run(choice.then, match.mask):
        return "then must be whole numbers, each a slot of this match run"
    if expected == 1:
        total = low = float(chances[0])
    else:
        total, low = float(chances.sum()), float(chances.min())
    if not (total <= 1.0 + SUM_TOLERANCE and low >= 0.0):
        return f"chances must be >= 0 and sum to at most 1; got {low:g} at least, sum {total:g}"
    return ""


def _of_the_run(slots: NDArray[np.intp], mask: NDArray[np.bool_]) -> bool:
    if slots.dtype.kind != "i" or slots.ndim != 1:
        return False
    if len(slots) == 1:  # most choices of most rules
        return bool(0 <= slots[0] < len(mask) and mask[slots[0]])
    inside = len(slots) == 0 or (slots.min() >= 0 and slots.max() < len(mask))
    return bool(inside and mask[slots].all())


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
