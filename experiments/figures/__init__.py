"""Figures of a study: each function turns a tidy frame into a figure and the data drawn in it."""

from experiments.figures.alignment import indecision_reliability
from experiments.figures.fates import cumulative_incidence, winners_and_losers
from experiments.figures.style import Plot, save_figure
from experiments.figures.trends import fairness_over_time, paired_difference_over_time
from experiments.figures.values import weights

__all__ = [
    "Plot",
    "cumulative_incidence",
    "fairness_over_time",
    "indecision_reliability",
    "paired_difference_over_time",
    "save_figure",
    "weights",
    "winners_and_losers",
]
