"""How much of the list a policy may choose from: the same values at `pair`, `top:10` and `all`.

Copy this file, change the studies, run it: `python -m experiments.discretion`.
"""

import os

import pandas as pd

from experiments.compare import compare
from experiments.runner import process_pool
from experiments.study import Study

STUDIES = {
    discretion: Study(
        population="us-opo",
        policies=("human", "lottery", "first-come"),
        worlds=4,
        years=10,
        discretion=discretion,
        out=f"results/discretion/{discretion.replace(':', '')}",
    )
    for discretion in ("pair", "top:10", "all")
}

if __name__ == "__main__":
    with process_pool(os.cpu_count() or 1) as pool:
        found = {name: compare(study, pool).differences for name, study in STUDIES.items()}
    rows = pd.concat(found, names=["discretion"]).reset_index(level=0)
    rates = rows[rows["measure"].isin(["mortality_rate", "life_years"]) & (rows["group"] == "all")]
    print("Difference from `human`:")
    print(rates[["discretion", "arm", "measure", "value", "low", "high"]].to_string(index=False))
