"""Taking indecision away: what happens to the coin when a policy may no longer flip it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from policies.davidson import Assembly, Band, Davidson, mix
from policies.protocol import Chances, Choice, MatchRun, certain, in_order
from policies.rules import Lottery
from policies.table import Table
from populations.errors import InputError
from populations.schema import SCHEMA, Columns

MODES: dict[str, str] = {
    "renormalise": "the coin's probability is dropped, the rest rescaled",
    "argmax": "the best always wins, by however little",
    "first_listed": "ties go to whoever was listed first",
    "last_listed": "ties go to whoever was listed last",
    "stable_id": "ties go to the lower registration number, an arbitrary one",
    "attribute:NAME": "ties go to the higher value (or later category) of an attribute",
    "as_measured": "the model's own answers when it is offered no coin (llm: only)",
    "forced_human": "half of the ties by lot, half rescaled: what forced people were seen to do",
}
# Forced people who would have flipped chose as if 0.47 to 0.54 of the coin's mass were split evenly
# (D, from McElfresh 2021 with and without the coin).
SPLIT_EVENLY = 0.5

Tieing = Davidson | Assembly | Band | Lottery | Table


def force(policy: object, mode: str) -> "Forced":
    """``policy`` without its coin.

    Raises
    ------
    InputError
        If the mode is unknown, or means nothing for this policy.
    """
    name = getattr(policy, "name", str(policy))
    attribute = mode.removeprefix("attribute:") if mode.startswith("attribute:") else ""
    known = mode in MODES and mode not in ("as_measured", "attribute:NAME")
    if mode == "as_measured":
        raise InputError(f"forced({name}, as_measured): only a language model can be asked again")
    if not known and attribute not in SCHEMA:
        allowed = ", ".join(MODES) if not attribute else f"attribute: one of {', '.join(SCHEMA)}"
        raise InputError(f"forced({name}, {mode}): unknown mode; expected {allowed}")
    if not isinstance(policy, Tieing):
        raise InputError(f"forced({name}, {mode}): {name} has no coin to take away")
    if mode in ("renormalise", "forced_human") and not isinstance(policy, Davidson | Assembly):
        raise InputError(
            f"forced({name}, {mode}): {name} is undecided or not, with nothing to rescale; "
            "use argmax or an order"
        )
    if mode == "argmax" and isinstance(policy, Table):
        raise InputError(
            f"forced({name}, argmax): {name} has most likely answers alone, without a degree; use "
            "as_measured or an order"
        )
    if mode == "argmax" and isinstance(policy, Lottery):
        raise InputError(f"forced({name}, argmax): {name} holds no candidate better than another")
    return Forced(f"forced({name}, {mode})", policy, mode, getattr(policy, "card", {}))


@dataclass(frozen=True)
class Forced:
    """A policy whose ties are settled without lots; made by ``force``.

    An exact tie that the mode leaves (equal utilities under ``argmax``, equal attributes) goes to
    whoever was listed first, so that P(coin) is 0 always.
    """

    name: str
    base: Tieing
    mode: str
    card: dict[str, Any] = field(default_factory=dict)

    def judge(self, a: Columns, b: Columns) -> Chances:
        """P(a), P(b), 0; shape (n, 3)."""
        if isinstance(self.base, Assembly):
            members = [Forced(m.name, m, self.mode).judge(a, b) for m in self.base.members]
            return np.tensordot(self.base.shares, members, axes=1)
        p_a, p_b, coin = self.base.judge(a, b).T
        if self.mode == "argmax":
            davidson = self._fitted()
            first = davidson.values(a) - davidson.values(b) + davidson.order >= 0
            return np.stack([first, ~first, np.zeros(len(first), dtype=bool)], axis=1).astype(float)
        if self.mode in ("renormalise", "forced_human"):
            split = SPLIT_EVENLY if self.mode == "forced_human" else 0.0
            share = split * (p_a + coin / 2) + (1 - split) * p_a / (p_a + p_b)
            return np.stack([share, 1 - share, np.zeros_like(share)], axis=1)
        to_a = coin * self._a_wins_ties(a, b)
        return np.stack([p_a + to_a, p_b + coin - to_a, np.zeros_like(coin)], axis=1)

    def _fitted(self) -> Davidson:
        """The model whose utilities ``argmax`` compares."""
        davidson = self.base.base if isinstance(self.base, Band) else self.base
        assert isinstance(davidson, Davidson)  # force() refuses the rest
        return davidson

    def _a_wins_ties(self, a: Columns, b: Columns) -> np.ndarray:
        if self.mode == "stable_id":
            return np.asarray(a["registration"] <= b["registration"])
        if self.mode.startswith("attribute:"):
            name = self.mode.removeprefix("attribute:")
            return np.asarray(a[name] >= b[name])
        n = len(next(iter(a.values())))
        return np.full(n, self.mode == "first_listed")

    def choose(self, match: MatchRun) -> Choice:
        """Chances with no lots drawn: ``tie`` is 0."""
        if isinstance(self.base, Assembly):
            members = [Forced(m.name, m, self.mode).choose(match) for m in self.base.members]
            return mix(members, self.base.shares, match)
        if self.mode == "argmax":
            davidson = self._fitted()
            if davidson.steady and davidson.order == 0.0:
                return in_order(match.top(davidson.values)[0])
            return certain(int(match.slots[np.argmin(davidson.defeat(match))]))
        if isinstance(self.base, Davidson):
            return Choice(self._settled(self.base, match), 0.0)
        tied = self.base.tied(match)
        order = np.argsort(self._ranks(match)[tied], kind="stable")
        return in_order(match.slots[tied[order]])

    def _settled(self, base: Davidson, match: MatchRun) -> Chances:
        model = base.ties(match)
        rescaled = model.roots**2 / np.sum(model.roots**2)
        if self.mode == "renormalise":
            return np.asarray(rescaled)
        if self.mode == "forced_human":
            by_lot = model.decided + model.shared
            return np.asarray(SPLIT_EVENLY * by_lot + (1 - SPLIT_EVENLY) * rescaled)
        order = np.argsort(self._ranks(match), kind="stable")
        roots = model.roots[order]
        beaten = roots.sum() - np.cumsum(roots)  # sum over those each one beats in a tie
        chances = model.decided.copy()
        chances[order] += model.pair_weight * roots * np.maximum(beaten, 0.0)
        return np.asarray(chances)

    def _ranks(self, match: MatchRun) -> np.ndarray:
        """Lower wins a tie; equal ranks go to the first listed."""
        position = np.arange(len(match))
        if self.mode == "last_listed":
            return -position
        if self.mode == "stable_id":
            return np.asarray(match["registration"])
        if self.mode.startswith("attribute:"):
            return -match[self.mode.removeprefix("attribute:")].astype(float)
        return position
