"""Mesa's view of people and places: thin agents over the columns that hold the state."""

from typing import TYPE_CHECKING, Any

from mesa import Agent

from populations.schema import SCHEMA

if TYPE_CHECKING:
    from sim.waitlist import Waitlist


class Patient(Agent):
    """A candidate on the list: a view on one row of the world's columns, never a copy.

    Every attribute of the schema reads as an attribute, at the model's present time, categories by
    their name: ``patient.age``, ``patient.blood_type``; also ``patient.waiting_years``.
    """

    model: "Waitlist"

    def __init__(self, model: "Waitlist", row: int) -> None:
        super().__init__(model)
        self.row = row

    def __getattr__(self, name: str) -> Any:
        if name not in SCHEMA and name != "waiting_years":
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
        value = self.model.value(name, self.row)
        levels = SCHEMA[name].levels if name in SCHEMA else ()
        return levels[int(value)] if levels else float(value)


class Centre(Agent):
    """A transplant centre: takes or refuses the kidneys offered to its candidates.

    Parameters
    ----------
    model : Waitlist
    number : int
        Column of the world's geography; ``area``, ``appetite`` (its effect on the logit of
        acceptance) and ``outcome`` (on the log hazard after a transplant) are the world's.
    """

    model: "Waitlist"

    def __init__(self, model: "Waitlist", number: int) -> None:
        super().__init__(model)
        self.number = number
        self.area = int(model.world.geography.centre_area[number])
        self.appetite = float(model.world.centre_acceptance[number])
        self.outcome = float(model.world.centre_survival[number])
        self.offered = 0
        self.transplanted = 0

    def answer(self, kidney: int, row: int) -> bool:
        """Whether this centre takes a kidney for one of its candidates; fixed by the world."""
        accepted = self.model.acceptance.answer(kidney, row)
        self.offered += 1
        self.transplanted += accepted
        return accepted
