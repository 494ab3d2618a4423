"""Figures of a study: each function turns a tidy frame into a figure and the data drawn in it."""

from experiments.figures.alignment import indecision_reliability
from experiments.figures.conflict import conflict_matrix
from experiments.figures.fates import cumulative_incidence
from experiments.figures.flows import winners_and_losers
from experiments.figures.forest import forest
from experiments.figures.frontier import frontier
from experiments.figures.heat_map import heat_map
from experiments.figures.inequality import lorenz
from experiments.figures.style import Plot, design, remove_figures, save_figure, save_figures
from experiments.figures.trends import fairness_over_time, paired_difference_over_time
from experiments.figures.values import weights

__all__ = [
    "Plot",
    "conflict_matrix",
    "cumulative_incidence",
    "design",
    "fairness_over_time",
    "forest",
    "frontier",
    "heat_map",
    "indecision_reliability",
    "lorenz",
    "paired_difference_over_time",
    "remove_figures",
    "save_figure",
    "save_figures",
    "weights",
    "winners_and_losers",
]
