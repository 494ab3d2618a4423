"""How long work says how far it is."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Told (what is being done, done, total)."""


def silent(stage: str, done: int, total: int) -> None:
    """Report nothing."""
