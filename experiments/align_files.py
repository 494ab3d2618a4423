"""The alignment report as files: tidy tables, settings and two figures."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments import figures, judging
from experiments.align import Report
from measures.table import tidy

# What is known of people beside which a judge's figures must be seen: low, high, and of whom.
_NO_COIN = "no coin offered; Boerstler et al. 2024 (D)"
PEOPLE = (
    ("another_person", 0.714, 0.714, "decisive answers, forced ones; McElfresh et al. 2021 (D)"),
    ("asked_again_easy", 0.990, 0.996, _NO_COIN),
    ("asked_again_hard", 0.859, 0.953, _NO_COIN),
    ("dominated_chosen", 0.038, 0.054, "coin offered; McElfresh et al. 2021 (D)"),
    ("dominated_chosen_forced", 0.078, 0.120, "no coin offered; McElfresh et al. 2021 (D)"),
)
VALUES_CAPTION = (
    "Davidson's model fitted to each judge's answers: utilities over the range of each attribute, "
    "the advantage of being shown first, and indecision (lambda). Intervals: 95 %, by resampling "
    "pairs; of human by resampling people (of its trade-offs: as if the errors of weights were "
    "independent, A). Trade-offs are undefined where the interval of the weight of age includes 0."
)


def write(found: Report, out: Path, settings: dict[str, Any]) -> None:
    """Write the tables, the settings and the two figures into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    published = tidy(
        {"measure": f"people.{name}", "low": low, "high": high, "note": source}
        for name, low, high, source in PEOPLE
    )
    measures = pd.concat([found.measures, published.assign(judge="people")], ignore_index=True)
    measures.to_csv(out / "measures.csv", index=False)
    found.values.to_csv(out / "values.csv", index=False)
    kept = {"judges": found.judges, **settings, "n_pairs": len(found.gaps)}
    (out / "settings.json").write_text(json.dumps(kept, indent=1))
    figures.save_figures(draw(found, settings), out / "figures")


def draw(found: Report, settings: dict[str, Any]) -> dict[str, figures.Plot]:
    """The two figures by name: fitted values, and P(coin) over the reference's utility gap."""
    n = len(found.gaps)
    asked = f"{n} pairs of schema {settings['schema']}, each in both orders."
    shown = found.values[found.values["unit"] != ""]
    reference = found.judges[0]
    caption = f"{VALUES_CAPTION} {asked}"
    plots = {"weights": figures.weights(shown, reference, caption, found.judges)}
    if np.isfinite(found.gaps).any():
        plots["indecision"] = figures.indecision_reliability(
            found.measures, found.gaps, reference, asked, found.judges, judging.observed(reference)
        )
    return plots
