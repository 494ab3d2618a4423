"""Speed of the simulator: CPU seconds of one arm under each policy; ``make bench``."""

import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from policies.registry import make_policy
from populations.presets import load_population
from populations.world import make_world
from sim.waitlist import simulate

POLICIES = ("first-come", "points", "us-kas-2021", "lottery", "human")


def timed[T](work: Callable[[], T]) -> tuple[T, float]:
    """What ``work`` returns, and the CPU seconds of this process it took."""
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def calibration() -> None:
    """A fixed piece of arithmetic: 2,000 times an argmax and an exp of 40,000 doubles."""
    values = np.linspace(-1.0, 1.0, 40_000)
    for _ in range(2000):
        np.argmax(values)
        np.exp(values)


def peak_memory() -> float:
    """Most memory this process has held so far, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)  # bytes there, KiB elsewhere


@click.command()
@click.option("--population", default="us-national", show_default=True)
@click.option("--years", type=click.FloatRange(0, min_open=True), default=10.0, show_default=True)
def main(population: str, years: float) -> None:
    """Time one arm under each of the common policies, and the making of its world."""
    parameters = load_population(population).parameters
    _, unit = timed(calibration)
    world, making = timed(lambda: make_world(parameters, seed=1, number=0, years=years))
    kidneys = len(world.kidneys["time"])
    table = Table("", "CPU s", "ms per kidney", "x calibration", "peak MiB")
    table.add_row("calibration loop", f"{unit:.2f}", "", "1.0", "")

    def add(label: str, seconds: float) -> None:
        each = f"{1000 * seconds / kidneys:.3f}" if kidneys else ""
        ratio = f"{seconds / unit:.1f}"
        table.add_row(label, f"{seconds:.2f}", each, ratio, f"{peak_memory():.0f}")

    add("making the world", making)
    for name in POLICIES:
        policy = make_policy(name, Path("unused"))
        add(name, timed(partial(simulate, world, policy))[1])
    table.caption = f"{population}, {years:g} years, {kidneys:,} kidneys"
    Console().print(table)


if __name__ == "__main__":
    main()
