"""`equipoise fit`: people's answers become a policy."""

from pathlib import Path

import click

from experiments.commands.layout import layout_options, read_people
from experiments.terminal import Reporter, console, plain_errors
from populations.errors import InputError


@click.command("fit")
@click.argument("answers", type=click.Path(path_type=Path))
@click.option(
    "--schema", default="indecision3", help="What was said about a patient, by name of the study."
)
@click.option(
    "--attribute",
    "attributes",
    multiple=True,
    metavar="NAME=LOW:HIGH:DIR",
    help="Instead of a schema: an attribute, its range, and whether more (+) or less (-) of it is "
    "expected to be favoured, or nothing (?), as in age=25:70:-; repeat for each.",
)
@layout_options
@click.option(
    "--kind",
    default="pooled",
    type=click.Choice(["pooled", "people", "mixture"]),
    help="One set of values for all, one for each person, or one for each class of people.",
)
@click.option(
    "--classes", default="1-6", help="How many classes: K, or FROM-TO to keep the best of."
)
@click.option("--order", is_flag=True, help="Fit an advantage of being shown on the left.")
@click.option("--allow-signs", is_flag=True, help="Keep weights that contradict their direction.")
@click.option(
    "--compare/--no-compare",
    default=True,
    help="Compare choice models on people and pairs held out.",
)
@click.option("--resamples", default=200, type=int, help="People drawn again, for errors.")
@click.option("--seed", default=1, type=int, help="Everything random follows from it.")
@click.option("--name", default="", help="What the values are called; the name of --out if left.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="File to write; values/NAME.toml if left."
)
@plain_errors
def fit_command(
    answers: Path,
    schema: str,
    attributes: tuple[str, ...],
    kind: str,
    classes: str,
    order: bool,
    allow_signs: bool,
    compare: bool,
    resamples: int,
    seed: int,
    name: str,
    out: Path | None,
    **layout: str,
) -> None:
    """Fit values to people's ANSWERS (a CSV file) and make them a policy."""
    from experiments.fitting import FitOptions, as_values, fit_values
    from experiments.fitting_tables import print_fit
    from policies.values_file import FOLDER, save_values, values_path

    if out is not None and out.suffix != ".toml":
        raise InputError(f"--out {out}: expected a name that ends in .toml")
    name = name or (out.stem if out else "")
    if name and not name.replace("-", "_").isidentifier():
        raise InputError(f"--name {name!r}: expected letters, digits, - and _")
    options = FitOptions(
        kind=kind,
        classes=_sizes(classes),
        order=order,
        compare=compare,
        resamples=resamples,
        seed=seed,
        allow_signs=allow_signs,
    )
    choices = read_people(answers, schema, attributes=attributes, **layout)
    with Reporter() as progress:
        fitted = fit_values(choices, options, progress)
    terminal = console()
    print_fit(fitted, terminal)
    if not name:
        terminal.print("Nothing written: give --name NAME to make these values a policy.")
        return
    path = out or values_path(name)
    save_values(as_values(fitted, name), path)
    policy = f"values:{name if path == FOLDER / f'{name}.toml' else path}"
    terminal.print(
        f"Written: {path}\nUse it: equipoise run compare --policies {policy},lottery", markup=False
    )


def _sizes(text: str) -> tuple[int, ...]:
    low, dash, high = text.partition("-")
    if not low.isdecimal() or (dash and not high.isdecimal()) or len(text) > 9:
        raise InputError(f"--classes {text[:20]!r}: expected K or FROM-TO, as in 4 or 1-6")
    sizes = range(int(low), int(high or low) + 1)
    if not sizes:
        raise InputError(f"--classes {text!r}: expected FROM <= TO")
    return tuple(sizes[:1000])
