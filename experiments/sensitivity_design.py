"""What a sensitivity analysis varies, over which ranges, and at which points."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from experiments.study import Study
from measures.table import Floats
from populations.errors import InputError, did_you_mean
from populations.presets import Population, load_population

LEVELS = 4  # of the grid that Morris trajectories walk on; each step is 2/3 of a range
STEP = LEVELS / (2 * (LEVELS - 1))
MOST_SOBOL = 6
_SPREAD = 0.2
_DIGITS = 6  # significant digits of a value: what is written down is what was run
# Varied unless the caller says what: what makes kidneys scarce and waiting dangerous. That these
# matter, and by how much they may be off (a fifth to either side), is assumed by us (A).
_DEFAULT = (
    "kidneys.per_year",
    "arrivals.per_year",
    "waiting.level",
    "waiting.too_sick_ratio",
    "waiting.living_donor_per_year",
)
RANGES_OF_OURS = (
    f"A: no ranges given; {', '.join(_DEFAULT)} vary by {_SPREAD:.0%} to either side of the "
    "population's figures, an assumption of this model"
)
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class Range:
    """A parameter and between what it varies, every value as likely as the next.

    Parameters
    ----------
    name : str
        A key of the population, or the name of a ``{placeholder}`` in a policy.
    low, high : float
        Ends, both included.
    whole : bool
        Whether only whole numbers make sense.
    """

    name: str
    low: float
    high: float
    whole: bool = False

    @property
    def of_policy(self) -> bool:
        """Whether it stands in a policy's name rather than in the population."""
        return "." not in self.name

    def at(self, share: float) -> float:
        """The value a share 0 to 1 of the way from ``low`` to ``high``."""
        if self.whole:
            return min(int(self.low + share * (self.high - self.low + 1)), int(self.high))
        return float(f"{self.low + share * (self.high - self.low):.{_DIGITS}g}")


def ranges_of(vary: Sequence[str], study: Study) -> list[Range]:
    """What ``--vary`` names, or the defaults if it names nothing.

    Parameters
    ----------
    vary : sequence of str
        ``"kidneys.per_year=400..600"``, a figure of the population; or ``"x=0.1..0.6"`` for the
        ``{x}`` in a policy, as in ``band(human, {x})``.
    study : Study

    Raises
    ------
    InputError
        If a range cannot be read, names nothing there is or what is not one number, is there
        twice, or its ends are not allowed; or if a placeholder of a policy has no range.
    """
    population = load_population(study.population, study.overrides)
    wanted = _placeholders(study)
    found = [_range(text, population, wanted) for text in vary] if vary else _defaults(population)
    names = [each.name for each in found]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"--vary {name}: is there twice; expected each once")
    missing = [name for name in wanted if name not in names]
    if missing:
        raise InputError(
            f"policies {', '.join(study.policies)!r}: {{{missing[0]}}} has no range; add "
            f"--vary {missing[0]}=LOW..HIGH"
        )
    for each in found:
        _check_ends(each, study)
    return found


def _placeholders(study: Study) -> list[str]:
    names = [name for text in study.policies for name in _PLACEHOLDER.findall(text)]
    for name in names:
        if not name.isidentifier():
            raise InputError(
                f"policies {', '.join(study.policies)!r}: {{{name}}}: expected a name of letters "
                "in the braces, as in band(human, {x})"
            )
    return list(dict.fromkeys(names))


def _range(text: str, population: Population, placeholders: Sequence[str]) -> Range:
    name, equals, ends = text.partition("=")
    name = name.strip()
    low_text, dots, high_text = ends.partition("..")
    try:
        low, high = float(low_text), float(high_text)
    except ValueError:
        low = high = np.nan
    if not (equals and dots and np.isfinite([low, high]).all() and low < high):
        raise InputError(
            f"--vary {text!r}: expected NAME=LOW..HIGH with LOW below HIGH, as in "
            "kidneys.per_year=400..600"
        )
    if name in placeholders:
        return Range(name, low, high)
    whole = isinstance(_figure(name, population, placeholders), int)
    if whole and not (low.is_integer() and high.is_integer()):
        raise InputError(f"--vary {text!r}: {name} is a whole number; expected whole LOW and HIGH")
    return Range(name, low, high, whole)


def _figure(name: str, population: Population, placeholders: Sequence[str]) -> float:
    """The population's own value of a figure, which must be one number."""
    known = list(population.origins)
    if name not in known:
        hint = did_you_mean(name, [*known, *placeholders])
        braces = ", ".join(f"{{{each}}}" for each in placeholders) or "none"
        raise InputError(
            f"--vary {name}: {hint}expected a figure of the population (see `equipoise populations "
            f"{population.name}`) or a placeholder of the policies ({braces})"
        )
    value: Any = population.parameters
    for part in name.split("."):
        value = getattr(value, part)
    if isinstance(value, bool | str):
        raise InputError(f"--vary {name}: is {value!r}; only numbers vary over a range")
    if isinstance(value, list):
        raise InputError(
            f"--vary {name}: is a list of {len(value)} numbers that must fit together (shares add "
            "up to 1); only single numbers vary over a range: compare two populations instead"
        )
    return float(value) if isinstance(value, float) else int(value)


def _defaults(population: Population) -> list[Range]:
    found = []
    for name in _DEFAULT:
        value = _figure(name, population, ())
        if value > 0:
            low, high = value * (1 - _SPREAD), value * (1 + _SPREAD)
            found.append(Range(name, low, high))
    return found


def _check_ends(each: Range, study: Study) -> None:
    for share in (0.0, 1.0):
        if not each.of_policy:
            try:
                study_at(study, [each], [each.at(share)]).check()
            except InputError as error:
                why = str(error).removeprefix("--set: ")
                text = f"--vary {each.name}={each.low:g}..{each.high:g}"
                raise InputError(f"{text}: {why}") from error


def study_at(study: Study, ranges: Sequence[Range], values: Sequence[float]) -> Study:
    """The study with the population's figures at these values; its policies keep their braces."""
    overrides = [
        f"{each.name}={value!r}"
        for each, value in zip(ranges, values, strict=True)
        if not each.of_policy
    ]
    return replace(study, overrides=(*study.overrides, *overrides))


def policy_at(text: str, ranges: Sequence[Range], values: Sequence[float]) -> str:
    """A policy's name with the values in place of its placeholders."""
    for each, value in zip(ranges, values, strict=True):
        if each.of_policy:
            text = text.replace(f"{{{each.name}}}", repr(value))
    return text


def values_at(ranges: Sequence[Range], units: Floats) -> list[list[float]]:
    """Values of the parameters at points of the unit cube, shape (points, parameters)."""
    return [[each.at(u) for each, u in zip(ranges, point, strict=True)] for point in units.tolist()]


def screening_points(parameters: int, trajectories: int, seed: int) -> Floats:
    """Morris trajectories in the unit cube, shape (trajectories * (parameters + 1), parameters).

    Each walks from a random point to another, one parameter changing at a time by ``STEP``.
    """
    from SALib.sample import morris

    problem = _unit_cube(parameters)
    points = morris.sample(problem, trajectories, num_levels=LEVELS, seed=seed)
    return np.asarray(points, dtype=np.float64)


def sobol_points(parameters: int, samples: int, seed: int) -> Floats:
    """Saltelli's points in the unit cube, shape (samples * (parameters + 2), parameters)."""
    from SALib.sample import sobol

    points = sobol.sample(_unit_cube(parameters), samples, calc_second_order=False, seed=seed)
    return np.asarray(points, dtype=np.float64)


def _unit_cube(parameters: int) -> dict[str, Any]:
    names = [str(i) for i in range(parameters)]
    return {"num_vars": parameters, "names": names, "bounds": [[0.0, 1.0]] * parameters}
