"""What is asked: a population, the policies, how many worlds, for how long."""

import math
from dataclasses import dataclass
from pathlib import Path

from experiments.inference import DECLARED, Question, check_declared
from experiments.sequential import check_precision
from populations.bring import check_covered
from populations.errors import InputError
from populations.parameters import Parameters
from populations.presets import Population, load_population
from sim.lots import check_lottery
from sim.match import discretion_limit


@dataclass(frozen=True)
class Study:
    """Arms x worlds: the same patients and the same kidneys under each policy.

    Parameters
    ----------
    population : str
        A preset's name or the path of a TOML file that extends one.
    policies : sequence of str
        The arms, as in ``equipoise policies``; the first is the reference that differences are
        taken against unless ``reference`` names another.
    worlds : int
        How many independent worlds; intervals are over worlds, so one gives none.
    years : float
        Length of each history.
    seed : int
        Everything random follows from it.
    tie_seeds : int
        How often each world is run with other lottery tickets; two or more show how much of a
        candidate's fate the lots decided.
    discretion : str
        ``all``, ``top:K`` or ``pair``.
    lottery : {"fresh", "persistent"}
        Lots drawn anew for every kidney, or one lottery number per candidate for life.
    reference : str
        The arm that others are compared with; empty for the first.
    values : str
        The policy whose choices count as people's in the split of misalignment and
        over-decisiveness.
    overrides : sequence of str
        Population parameters, as in ``"arrivals.per_year=900"``.
    declared : sequence of Question
        The differences that are tested together; all others are exploratory.
    precision : float
        Worlds are added until the interval of every declared ratio is at most this wide to either
        side, on the log scale (see ``experiments.sequential``); 0 runs ``worlds`` and no more.
    worlds_most : int
        Where adding worlds ends.
    out : Path
        Results folder. Finished runs in it are used again, whichever study they were made for.
    answers : Path
        Where the answers of language models are kept.
    """

    population: str = "us-opo"
    policies: tuple[str, ...] | list[str] = ("human", "llm:local", "lottery", "first-come")
    worlds: int = 4
    years: float = 10.0
    seed: int = 1
    tie_seeds: int = 2
    discretion: str = "all"
    lottery: str = "fresh"
    reference: str = ""
    values: str = "human"
    overrides: tuple[str, ...] | list[str] = ()
    declared: tuple[Question, ...] = DECLARED
    precision: float = 0.0
    worlds_most: int = 100
    out: Path | str = Path("results/compare")
    answers: Path | str = Path("results/answers.sqlite")

    @property
    def reference_arm(self) -> str:
        """The arm that differences are taken against."""
        return self.reference or self.policies[0]

    def check(self) -> Population:
        """The resolved population, after everything that can be checked before running.

        Raises
        ------
        InputError
            Naming the field, its value and what is right.
        """
        arms = list(self.policies)
        if not arms or len(set(arms)) < len(arms):
            raise InputError(f"policies {', '.join(arms)!r}: expected one or more, each once")
        for name, low in (("worlds", 1), ("tie_seeds", 1), ("worlds_most", 1)):
            if getattr(self, name) < low:
                raise InputError(f"{name} = {getattr(self, name)}: expected at least {low}")
        check_run(self.years, self.seed)
        check_declared(self.declared)
        if self.precision and len(arms) < 2:
            raise InputError(
                f"precision = {self.precision:g}: expected two policies or more to be compared"
            )
        check_precision(self.precision, self.worlds, self.worlds_most, self.declared)
        if self.reference_arm not in arms:
            raise InputError(
                f"reference {self.reference!r}: expected one of the policies {', '.join(arms)}"
            )
        discretion_limit(self.discretion)
        check_lottery(self.lottery)
        population = load_population(self.population, self.overrides)
        self._check_size(population.parameters)
        check_covered(population.parameters, self.years)
        return population

    def _check_size(self, p: Parameters) -> None:
        people = p.list.initial + p.arrivals.per_year * self.years
        kidneys = p.kidneys.per_year * self.years
        worlds = max(self.worlds, self.worlds_most if self.precision else 0)
        runs = worlds * len(self.policies) * self.tie_seeds
        if people == 0:
            raise InputError(
                "list.initial = 0 and arrivals.per_year = 0: expected somebody to wait"
            )
        for what, size, most in (
            ("candidates in a world (list.initial + arrivals.per_year x years)", people, 5e6),
            ("kidneys in a world (kidneys.per_year x years)", kidneys, 5e6),
            ("runs (worlds x policies x tie seeds)", runs, 1e6),
        ):
            if size > most:
                raise InputError(f"{what} = {size:,.0f}: expected at most {most:,.0f}")


def check_run(years: float, seed: int) -> None:
    """Raise InputError unless a run can be this long and have this seed."""
    if not (math.isfinite(years) and 1 <= years <= 100):
        raise InputError(f"years = {years}: expected 1 to 100")
    if seed < 0:
        raise InputError(f"seed = {seed}: expected 0 or more")
