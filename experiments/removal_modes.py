"""What replaces the coin? The same values, with indecision removed in every way.

Copy this file, change STUDY, run it: `python -m experiments.removal_modes`.
"""

import os

from rich.console import Console

from experiments.compare import compare
from experiments.runner import process_pool
from experiments.study import Study
from experiments.tables import print_results

MODES = ("renormalise", "argmax", "first_listed", "last_listed", "stable_id", "attribute:race")
STUDY = Study(
    population="survey",
    policies=("human", *(f"forced(human, {mode})" for mode in MODES), "lottery"),
    worlds=6,
    years=10,
    out="results/removal_modes",
)

if __name__ == "__main__":
    with process_pool(os.cpu_count() or 1) as pool:
        print_results(compare(STUDY, pool), Console())
    print(f"Tables and figures: {STUDY.out}")
