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
    """A transplant centre: takes or refuses the kidneys offered to its candidates."""

    model: "Waitlist"

    def __init__(self, model: "Waitlist", number: int) -> None:
        super().__init__(model)
        self.number = number
        self.offered = 0
        self.transplanted = 0

    def answer(self, kidney: int) -> bool:
        """Whether this centre takes the kidney; fixed by the world, whoever is to receive it."""
        accepted = bool(self.model.world.accepts[kidney, self.number])
        self.offered += 1
        self.transplanted += accepted
        return accepted
