"""Whether a model's surrogate and the model itself, asked in the run, lead to the same outcomes.

`python -m experiments.surrogate_and_live` (minutes: the embedded model answers some three questions
a second). One small population whose attributes vary as in the questions that the surrogate is
fitted to; everything else about the waitlist as in `us-opo`.
"""

import os
from concurrent.futures import Executor
from pathlib import Path

import click
import pandas as pd
from rich.markdown import Markdown

from experiments import inference
from experiments.arms import check_arm
from experiments.progress import Progress
from experiments.runner import make_tasks, process_pool, read_frame, run_tasks
from experiments.sentences import Outcome, headlines, row, verdict
from experiments.study import Study
from experiments.tables import number
from experiments.terminal import Reporter, console, plain_errors
from experiments.tuned import TUNED, models_there_are
from policies.registry import make_policy
from sim.record import Record

SMALL = ("list.initial=100", "arrivals.per_year=49", "kidneys.per_year=34")
OUTCOMES = [
    *headlines(
        "transplant_rate", "mortality_rate", "life_years", "winner_position", "indecision_rate"
    ),
    Outcome("65+ : 18-34 transplant rate ratio", "transplant_rate_ratio", ".2f", "age_band", "65+"),
]
ALIKE = Outcome("decided alike", "decided_alike", ".1%")
MOVED = Outcome("chance given to others", "chance_moved", ".3f")
_SAME_CHANCES = 1e-9


def same_decisions(record: Record) -> list[dict[str, object]]:
    """How the reference would have decided this record's own match runs, as rows of measures.

    ``decided_alike``: share of the kidneys with a choice where both gave everybody the same chance;
    ``chance_moved``: mean total variation of the two.
    """
    real = record.decisions[record.decisions["shown"] >= 2]
    alike = (real["distance"] < _SAME_CHANCES).astype(float)
    return [
        {
            "measure": outcome.measure,
            "grouping": "all",
            "group": "all",
            "value": values.mean(),
            "numerator": values.sum(),
            "denominator": len(values),
        }
        for outcome, values in ((ALIKE, alike), (MOVED, real["distance"]))
    ]


def decisions(study: Study, executor: Executor | None, progress: Progress) -> pd.DataFrame:
    """Every measure of every run of a study, `same_decisions` of its first arm included."""
    population = study.check()
    answers = Path(study.answers)
    arms = {}
    for text in study.policies:
        arms[text] = make_policy(
            text, answers, lambda *done, t=text: progress(f"asking {t}", *done)
        )
        check_arm(arms[text], study.discretion)
    values = make_policy(study.values, answers)
    tasks = make_tasks(study, population.parameters, arms, values)
    running = f"running {study.policies[0]}, {study.discretion}, beside {study.values}"
    folders = run_tasks(tasks, executor, lambda *done: progress(running, *done))
    frames = [read_frame(folder, "measures") for folder in folders.values()]
    first = study.policies[0]
    rows = [
        {"arm": first, "world": world, "tie_seed": 0, **found}
        for (arm, world), folder in folders.items()
        if arm == first
        for found in same_decisions(Record.load(folder / "tie0"))
    ]
    return pd.concat([*frames, pd.DataFrame(rows)], ignore_index=True)


def report(
    model: str, study: Study, executor: Executor | None, progress: Progress
) -> tuple[str, pd.DataFrame]:
    """What was found for one model and one discretion, in sentences and as a table.

    Parameters
    ----------
    model : str
        ``local``, ``local+ADAPTER``, or a litellm name.
    study : Study
        Its arms are the model live and by surrogate; values: the surrogate's.
    """
    live, surrogate = study.policies
    measures = decisions(study, executor, progress)
    alone = Study(**{**vars(study), "policies": (live,), "values": "first-come"})
    levels = inference.levels(measures)
    of_live = levels[levels["arm"] == live]
    order = inference.levels(decisions(alone, executor, progress))
    differences = inference.differences(measures, live)
    kidneys = measures.loc[measures["measure"] == ALIKE.measure, "denominator"].sum()
    answers = Path(study.answers)
    card = make_policy(surrogate, answers).card  # type: ignore[attr-defined]
    kept = make_policy(live, answers).card  # type: ignore[attr-defined]
    alike, moved, by_order = (
        _level(values, outcome)
        for values, outcome in ((of_live, ALIKE), (of_live, MOVED), (order, ALIKE))
    )
    said = [
        f"## {model}, discretion {study.discretion}",
        f"On the live runs' own {kidneys:.0f} decisions the surrogate decided alike (the same "
        f"chances for everybody) in {alike}; it gave {moved} of the chance to others. For scale: "
        f"always choosing the longest listed would be alike in {by_order}.",
        "Held out of the surrogate's fit: agreement on the most likely answer "
        f"{number(card['held_out_modal_agreement'], '.1%')}, total variation "
        f"{number(card['held_out_total_variation'], '.3f')} "
        f"({number(card['held_out_total_variation_constant'], '.3f')} if it ignored the patients).",
        f"Answers kept to questions of these wordings, the surrogate's among them: "
        f"{kept['kept']}; no choice, and so a tie: {kept['kept_unusable']}.",
        f"Outcomes of the surrogate against the live model (worlds: {study.worlds}, years: "
        f"{study.years:g}): {verdict(differences, OUTCOMES)}",
    ]
    table = pd.concat([of_live, levels[levels["arm"] == surrogate]]).assign(what="level")
    table = pd.concat([table, differences.assign(what="difference from live")], ignore_index=True)
    return "\n\n".join(said), table.assign(model=model, discretion=study.discretion)


def _level(levels: pd.DataFrame, outcome: Outcome) -> str:
    found = row(levels, outcome)
    assert found is not None  # of every run
    value, low, high = (number(found[key], outcome.how) for key in ("value", "low", "high"))
    return value if low == "-" else f"{value} ({low} to {high})"


@click.command()
@click.option("--models", default="", help="By commas; else local, and local+human-1024 if made.")
@click.option("--discretions", default="pair,top:4", help="By commas.")
@click.option("--population", default="survey", help="A preset, made small.")
@click.option("--worlds", default=5, type=int, help="Intervals are over worlds.")
@click.option("--years", default=2.0, type=float, help="Length of each history.")
@click.option("--workers", default=0, type=int, help="Processes; 0 for one per core.")
@click.option("--answers", default="results/answers.sqlite", type=click.Path(path_type=Path))
@click.option("--out", default="results/surrogate_and_live", type=click.Path(path_type=Path))
@plain_errors
def main(
    models: str,
    discretions: str,
    population: str,
    worlds: int,
    years: float,
    workers: int,
    answers: Path,
    out: Path,
) -> None:
    """Compare each model asked inside the run with its surrogate, in one small population."""
    workers = workers or os.cpu_count() or 1
    pages, tables = [], []
    known, missing = models_there_are(TUNED)
    with Reporter() as progress, process_pool(workers) as pool:
        for model in models.split(",") if models else known:
            for discretion in discretions.split(","):
                study = Study(
                    population=population,
                    policies=(f"live(llm:{model})", f"llm:{model}"),
                    values=f"llm:{model}",
                    worlds=worlds,
                    years=years,
                    tie_seeds=1,
                    discretion=discretion,
                    overrides=SMALL,
                    out=out,
                    answers=answers,
                )
                page, table = report(model, study, pool if workers > 1 else None, progress)
                pages.append(page)
                tables.append(table)
    head = (
        "# A language model and its surrogate\n\n"
        f"Population {population} with {', '.join(SMALL)}. Brackets: 95 % t intervals over worlds."
    )
    text = "\n\n".join([head, *pages])
    (out / "page.md").write_text(text + "\n", encoding="utf-8")
    pd.concat(tables, ignore_index=True).to_csv(out / "outcomes.csv", index=False)
    terminal = console()
    terminal.print(Markdown(text))
    if missing and not models:
        terminal.print(missing, markup=False)
    terminal.print(f"Page and table: {out}", markup=False)


if __name__ == "__main__":
    main()
