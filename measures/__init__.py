"""What a history means: outcomes, fairness, alignment and uncertainty, measured on records.

Importing this package fills ``measures.registry.MEASURES`` with the card of every measure.
"""

from measures import (
    access,
    alignment,
    claims,
    coherence,
    decisions,
    exclusion,
    grafts,
    indecision,
    inequality,
    listing,
    lots,
    offers,
    outcomes,
    parity,
    quality,
    rates,
    survival,
    welfare,
)

__all__ = [
    "access",
    "alignment",
    "claims",
    "coherence",
    "decisions",
    "exclusion",
    "grafts",
    "indecision",
    "inequality",
    "listing",
    "lots",
    "offers",
    "outcomes",
    "parity",
    "quality",
    "rates",
    "survival",
    "welfare",
]
