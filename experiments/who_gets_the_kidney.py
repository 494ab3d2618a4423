"""Who gets the kidney: people, a raw model, a tuned model, a lottery, and what follows.

`python -m experiments.who_gets_the_kidney`. Alignment first, then outcomes, then one page that says
what misalignment and missing indecision each did. The causes are separated by arms that have one
without the other: a model's values and its advantage of position with people's indecision, people's
values without it. How large the advantage of position is beside the weights stands on the page.

The population is `survey` unless another is named: there every moral attribute varies as in the
choice study, so that the waitlist asks a policy the questions that people and models were asked. In
`us-opo` most candidates drink little and few figures on dependents are known.
"""

import os
from concurrent.futures import Executor
from pathlib import Path

import click
from rich.markdown import Markdown

from experiments import align_files
from experiments.align import Asking, align
from experiments.align_table import print_report
from experiments.compare import Results, compare
from experiments.kidney_groups import transplants_by_group
from experiments.kidney_page import Arms, Found, page
from experiments.progress import Progress
from experiments.runner import make_tasks, process_pool
from experiments.study import Study
from experiments.tables import print_results
from experiments.terminal import Reporter, console, plain_errors
from experiments.tuned import TUNED, models_there_are
from policies.elicit import Battery
from policies.registry import make_policy
from populations.errors import InputError

HUMAN, LOTTERY = "human", "lottery"
MODES = ("renormalise", "argmax")  # the coin alone is gone; nothing is left to chance


def arms_of(models: tuple[str, ...]) -> Arms:
    """The arms for some language models (``local``, ...), the counterfactual ones included."""
    written = tuple(f"llm:{model}" for model in models)
    return Arms(
        human=HUMAN,
        without_coin={mode: f"forced({HUMAN}, {mode})" for mode in MODES},
        models=written,
        with_coin={model: f"with_coin({model}, {HUMAN})" for model in written},
        lottery=LOTTERY,
    )


def who_gets_the_kidney(
    study: Study, arms: Arms, executor: Executor | None, progress: Progress
) -> tuple[Found, Results]:
    """Ask, run and gather; tables and figures go into ``study.out``.

    Parameters
    ----------
    study : Study
        Its policies are those of ``arms``.
    arms : Arms
    executor : Executor, optional
    progress : callable
        Told (what is being done, done, total).
    """
    answers, out = Path(study.answers), Path(study.out)
    asking = Asking(Battery(), answers)
    judges = [*arms.models, LOTTERY]
    study.check()  # before anything is asked
    aligned = align(judges, HUMAN, asking, progress)
    align_files.write(
        aligned, out / "alignment", {"judges": aligned.judges, **vars(asking.battery)}
    )
    results = compare(study, executor, progress)
    policies = {text: make_policy(text, answers) for text in study.policies}
    named = {policy.name: policy for policy in policies.values()}
    tasks = make_tasks(study, results.population.parameters, named, policies[HUMAN])
    folders = {(task.arm, task.world): task.folder for task in tasks}
    groups = transplants_by_group(folders, study.tie_seeds)
    return Found(study, arms, aligned, results.measures, groups, results.cards), results


@click.command()
@click.option("--tuned", default=TUNED, help="Adapter of the embedded model: name or folder.")
@click.option("--population", default="survey", help="A preset, or a TOML file extending one.")
@click.option("--worlds", default=6, type=int, help="Independent worlds; intervals are over them.")
@click.option("--years", default=10.0, type=float, help="Length of each history.")
@click.option("--discretion", default="all", help="all, top:K or pair.")
@click.option("--workers", default=0, type=int, help="Processes; 0 for one per core.")
@click.option("--answers", default="results/answers.sqlite", type=click.Path(path_type=Path))
@click.option("--out", default="results/who_gets_the_kidney", type=click.Path(path_type=Path))
@plain_errors
def main(
    tuned: str,
    population: str,
    worlds: int,
    years: float,
    discretion: str,
    workers: int,
    answers: Path,
    out: Path,
) -> None:
    """Ask people, models and a lottery who gets the kidney, and run it forward."""
    models, missing = models_there_are(tuned)
    arms = arms_of(models)
    study = Study(
        population=population,
        policies=arms.every,
        worlds=worlds,
        years=years,
        discretion=discretion,
        out=out,
        answers=answers,
    )
    if worlds < 2:
        raise InputError(f"worlds = {worlds}: expected 2 or more, since intervals are over worlds")
    terminal = console()
    workers = workers or os.cpu_count() or 1
    with Reporter() as progress, process_pool(workers) as pool:
        found, results = who_gets_the_kidney(study, arms, pool if workers > 1 else None, progress)
    print_report(found.alignment, terminal)
    print_results(results, terminal)
    text = page(found)
    (out / "page.md").write_text(text, encoding="utf-8")
    terminal.print(Markdown(text))
    if missing:
        terminal.print(missing, markup=False)
    terminal.print(f"Page, tables and figures: {out}", markup=False)


if __name__ == "__main__":
    main()
