"""What a history means: outcomes, fairness, alignment and uncertainty, measured on records.

Importing this package fills ``measures.registry.MEASURES`` with the card of every measure.
"""

from measures import alignment, decisions, inequality, outcomes, rates, survival

__all__ = ["alignment", "decisions", "inequality", "outcomes", "rates", "survival"]
