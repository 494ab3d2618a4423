"""Whether a centre takes a kidney for a candidate: one answer for each pair, whoever decides."""

import math

import numpy as np
from numpy.typing import NDArray

from populations.streams import pair_uniform, stream
from populations.world import World


class Acceptance:
    """Every centre's answer to every offer: a logit, and a uniform draw that belongs to the pair.

    The logit adds up what is known of the kidney (KDPI, its square, and an effect of its own), of
    the centre, of the candidate, and of the two together: who is expected to live long with a graft
    (EPTS as at first listing) declines a poor kidney.

    Parameters
    ----------
    world : World
        Effects and draws are the same for every policy.
    """

    def __init__(self, world: World) -> None:
        a = world.parameters.acceptance
        x = world.kidneys["kdpi"] / 100.0
        appeal = a.kidney_sd * world.kidneys["appeal"]
        self._kidney: NDArray[np.float64] = a.intercept + a.slope * x + a.curvature * x**2 + appeal
        self._longevity = a.longevity * x
        self._long_lived = 1.0 - world.candidates["epts"] / 100.0
        of_centre = world.centre_acceptance[world.candidates["centre"]]
        self._candidate: NDArray[np.float64] = (
            a.candidate_sd * world.candidates["willingness"] + of_centre
        )
        self._key = int(stream(world.seed, world.number, "acceptance").integers(0, 2**63))

    def answer(self, kidney: int, row: int) -> bool:
        """Whether the candidate's centre takes the kidney for them."""
        logit = float(
            self._kidney[kidney]
            + self._candidate[row]
            + self._longevity[kidney] * self._long_lived[row]
        )
        chance = 1.0 / (1.0 + math.exp(-logit)) if logit > -700.0 else 0.0
        return pair_uniform(self._key, kidney, row) < chance
