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


_WORD = 2**64 - 1


def _mixed(word: int) -> int:
    """SplitMix64's finaliser (Steele, Lea & Flood 2014): near words become unrelated ones."""
    word = (word + 0x9E3779B97F4A7C15) & _WORD
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _WORD
    return word ^ (word >> 31)


def pair_uniform(key: int, first: int, second: int) -> float:
    """A draw uniform on [0, 1) that belongs to a pair, without a table of all pairs.

    Parameters
    ----------
    key : int
        Of the purpose, drawn from its stream.
    first, second : int
        The pair, in order, both >= 0.
    """
    return (_mixed(_mixed(key ^ first) ^ second) >> 11) * 2.0**-53
