"""`equipoise report`: the results of a study as one page."""

from pathlib import Path

import click

from experiments.terminal import console, plain_errors


@click.command("report")
@click.argument("results", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The file to write; report.html in RESULTS if left.",
)
@plain_errors
def report_command(results: Path, out: Path | None) -> None:
    """Write what a study found as one page for people who do not know this tool.

    RESULTS is the folder that `equipoise run compare --out RESULTS` wrote. The page holds its
    figures and loads nothing: it can be mailed, and printed from any browser.
    """
    from experiments.report.page import write_report

    path = out or results / "report.html"
    write_report(results, path)
    size = path.stat().st_size / 1e6
    console().print(f"Report: {path} ({size:.1f} MB)", markup=False, soft_wrap=True)
