"""The design: values x indecision, and further factors changed one at a time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from experiments.study import Study
from policies.davidson import Assembly, Davidson
from policies.forced import Forced, force
from policies.protocol import Policy
from policies.registry import make_policy
from populations.errors import InputError

ANCHORS = ("lottery", "first-come", "life-years")
HALVES = ("human-half-a", "human-half-b")
FACTORS: Mapping[str, str] = {
    "mode": "what replaces the coin",
    "listing-order": "the model's advantage of position, taken out or kept",
    "lottery-memory": "a fresh draw for every kidney, or one lottery number for life",
    "discretion": "how much of the list a policy may choose from",
    "calibration": "how often the model's values are undecided, as a multiple of the human rate",
}
# as_measured would be another model: its values fitted to answers to another question.
_MODES = (
    "renormalise",
    "argmax",
    "first_listed",
    "last_listed",
    "stable_id",
    "attribute:race",
    "forced_human",
)
_DISCRETIONS = ("all", "top:10", "pair")
_LOTTERIES = ("fresh", "persistent")
_SCALES = (0.5, 2.0)
BASE = "base"


def answers_drawn(policy: Policy) -> bool:
    """Whether a policy draws its answers (temperature 1) instead of giving the likeliest."""
    if isinstance(policy, Forced):
        return policy.mode != "argmax" and isinstance(policy.base, Davidson | Assembly)
    return isinstance(policy, Davidson | Assembly)


class Cells(NamedTuple):
    """The policies of the four cells."""

    human_kept: str
    human_removed: str
    model_kept: str
    model_removed: str


class Level(NamedTuple):
    """One factor at one level, all else as in the base.

    Parameters
    ----------
    factor, name : str
    changed : str
        What is different from the base.
    cells : Cells
        As written in its study.
    study : mapping of str to str
        Fields of the study that change; empty where only policies do.
    """

    factor: str
    name: str
    changed: str
    cells: Cells
    study: Mapping[str, str] = {}

    @property
    def run(self) -> str:
        """What its runs are called: a factor's together, unless the study changes."""
        return f"{self.factor} {self.name}" if self.study else self.factor

    @property
    def arms(self) -> Cells:
        """The cells by their names among the arms of all studies together."""
        return Cells(*map(self.arm, self.cells)) if self.study else self.cells

    def arm(self, policy: str) -> str:
        """A policy in this level's own study, told apart from the same policy in the base."""
        return f"{policy} [{self.run}]"


@dataclass(frozen=True)
class Design:
    """What is crossed, and on which worlds.

    Parameters
    ----------
    study : Study
        Population, worlds and so on; its policies, reference and values are those of the design.
    model : str
        The policy whose values are set against people's: a fitted one, as ``llm:local``.
    human : str
        The policy that stands for people.
    mode : str
        How the coin is removed, as in ``forced(POLICY, MODE)``. ``renormalise`` takes the coin
        alone and leaves answers to be drawn; ``argmax`` takes the rest of chance as well.
    factors : tuple of str
        Further factors, among ``FACTORS``.
    """

    study: Study = field(default_factory=Study)
    model: str = "llm:local"
    human: str = "human"
    mode: str = "renormalise"
    factors: tuple[str, ...] = tuple(FACTORS)

    def cells(self, mode: str = "", factor: str = "") -> Cells:
        """The four cells, with another mode of removal or scale of calibration."""
        scale = f", {factor}" if factor else ""
        return self._crossed(f"calibrated({self.model}, {self.human}{scale})", mode or self.mode)

    def _crossed(self, model: str, mode: str) -> Cells:
        removed = (f"forced({values}, {mode})" for values in (self.human, model))
        return Cells(self.human, next(removed), model, next(removed))

    @property
    def decisive(self) -> str:
        """The model's values at temperature 0, its advantage of position taken out."""
        return self.cells("argmax").model_removed

    @property
    def arms(self) -> tuple[str, ...]:
        """The policies of the main study: cells, the model as used, and anchors."""
        every = (*self.cells(), self.decisive, self.model, *ANCHORS, *HALVES)
        return tuple(dict.fromkeys(every))

    def levels(self) -> list[Level]:
        """The base, then every level of the further factors that is not the base's."""
        base = self.cells()
        found = [Level(BASE, "", "", base)]
        if "mode" in self.factors:
            found += [
                Level("mode", mode, f"removed by {mode} instead of {self.mode}", self.cells(mode))
                for mode in _MODES
                if mode != self.mode
            ]
        if "listing-order" in self.factors:
            # With the lambda of the calibrated cell, so that position alone is added.
            placed = self._crossed(f"with_coin({self.model}, {base.model_kept})", self.mode)
            said = "the model's advantage of position kept, lambda as in the base"
            found.append(Level("listing-order", "kept", said, placed))
        for factor, name, levels in (
            ("lottery-memory", "lottery", _LOTTERIES),
            ("discretion", "discretion", _DISCRETIONS),
        ):
            now = getattr(self.study, name)
            found += [
                Level(factor, level, f"{name} {level} instead of {now}", base, {name: level})
                for level in levels
                if factor in self.factors and level != now
            ]
        if "calibration" in self.factors:
            for scale in _SCALES:
                said = (
                    f"the model's values undecided {scale:g} times as often as {self.human} on the "
                    "frozen pairs"
                )
                cells = self.cells(factor=f"{scale:g}")
                found.append(Level("calibration", f"{scale:g}", said, cells))
        return found

    def check(self) -> None:
        """Raise InputError for a design that makes no sense, before anything is run."""
        for factor in self.factors:
            if factor not in FACTORS:
                raise InputError(f"factor {factor!r}: expected among {', '.join(FACTORS)}")
        if self.study.worlds < 2:
            raise InputError(
                f"worlds = {self.study.worlds}: expected 2 or more, since intervals are over worlds"
            )
        if self.model == self.human:
            raise InputError(f"model {self.model!r}: expected another policy than {self.human!r}")
        force(make_policy(self.human, Path(self.study.answers)), self.mode)
