"""Keyed random streams: what is drawn depends on (seed, world, purpose, entity), never on order.

Each purpose ("age of an arrival", "crossmatch position of a kidney") has a stream of its own, and
entity i takes the i-th draw of it. So a longer run, another policy or one more attribute leaves
every other draw where it was. Keys are hashed, never multiplied or added, so that no two meet.
"""

import hashlib

import numpy as np


def stream(seed: int, world: int, purpose: str) -> np.random.Generator:
    """The generator for one purpose in one world.

    Parameters
    ----------
    seed, world : int
        The study's seed and the number of the world, both >= 0.
    purpose : str
        What the draws are for; any text.
    """
    digest = hashlib.sha256(purpose.encode()).digest()
    words = np.frombuffer(digest[:16], dtype=np.uint32)
    return np.random.default_rng(np.random.SeedSequence([seed, world, *words.tolist()]))
