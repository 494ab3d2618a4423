"""What a history means: outcomes, fairness, alignment and uncertainty, measured on records.

Importing this package fills ``measures.registry.MEASURES`` with the card of every measure.
"""

from measures import (
    alignment,
    coherence,
    decisions,
    indecision,
    inequality,
    outcomes,
    rates,
    survival,
)

__all__ = [
    "alignment",
    "coherence",
    "decisions",
    "indecision",
    "inequality",
    "outcomes",
    "rates",
    "survival",
]
