"""Continuous distribution: one score made of rated attributes, with weights that the user gives.

The attributes and the goals they serve are those the OPTN names for continuous distribution of
kidneys (R: optn.transplant.hrsa.gov, continuous distribution, kidney and pancreas); medical urgency
and the safety net are not modelled. No weights of the OPTN were found in any source read, so that
there are none here, and how each attribute is rated from 0 to 1 is ours (A). Illustrative weights:
``policies/official/example_weights.toml``.
"""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.official.kas import qualifying_start
from policies.protocol import Choice, MatchRun, ranked
from populations.errors import InputError, did_you_mean
from populations.schema import Columns

Floats = NDArray[np.float64]

# Attribute: the goal it serves, and how it is rated from 0 to 1.
ATTRIBUTES: dict[str, tuple[str, str]] = {
    "hla_match": ("post-transplant survival", "1, 0.5, 0 for no, one, two HLA-DR mismatches"),
    "longevity_match": ("post-transplant survival", "(1 - EPTS/100) times (1 - KDPI/100)"),
    "cpra": ("candidate biology", "(b^(cPRA/100) - 1) / (b - 1), b = cpra_base"),
    "blood_type": ("candidate biology", "share of donors whose blood group they cannot take"),
    "paediatric": ("patient access", "1 if below 18 years when listed"),
    "prior_living_donor": ("patient access", "1 for prior living donors"),
    "waiting": ("patient access", "qualifying years / waiting_years, at most 1"),
    "proximity": ("placement efficiency", "1 - distance / proximity_nm, at least 0"),
}

# Settings of the ratings: their default (A), and the number they must exceed.
RATINGS: dict[str, tuple[float, float]] = {
    "cpra_base": (100.0, 1.0),
    "waiting_years": (10.0, 0.0),
    "proximity_nm": (2500.0, 0.0),
}

# Of US donors, in the order of the schema's codes O, A, B, AB (R2: Saidman et al. 2006).
_DONORS = np.array([0.4814, 0.3373, 0.1428, 0.0385])
_INCOMPATIBLE = np.array(
    [_DONORS[1:].sum(), _DONORS[2:].sum(), _DONORS[1] + _DONORS[3], 0.0],
)
_ADULT = 18.0  # years
_ONE = 1e-6  # what weights may sum away from 1


@dataclass(frozen=True)
class Lasting:
    """The part of the score that does not change while a candidate waits."""

    weights: dict[str, float]
    cpra_base: float

    def __call__(self, columns: Columns) -> Floats:
        """Weighted ratings of cPRA, blood type, age at listing and prior donation, shape (n,)."""
        power = self.cpra_base ** (columns["cpra"] / 100.0) - 1.0
        ratings = {
            "cpra": power / (self.cpra_base - 1.0),
            "blood_type": _INCOMPATIBLE[columns["blood_type"]],
            "paediatric": columns["listed"] - columns["birth"] < _ADULT,
            "prior_living_donor": columns["prior_living_donor"] == 1,
        }
        return np.sum([self.weights[name] * rating for name, rating in ratings.items()], axis=0)


@dataclass(frozen=True)
class Composite:
    """The highest weighted sum of ratings first.

    Parameters
    ----------
    name : str
    weights : dict
        Of every one of ``ATTRIBUTES``; they sum to 1.
    ratings : dict
        Of every one of ``RATINGS``.
    """

    name: str
    weights: dict[str, float]
    ratings: dict[str, float]
    card: dict[str, Any] = field(default_factory=dict)
    lasting: Lasting = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lasting", Lasting(self.weights, self.ratings["cpra_base"]))

    def points(self, match: MatchRun) -> Floats:
        """Composite score, 0 to 1, shape (n,)."""
        score = match.constant(self.lasting)
        for name, rate in _CHANGING.items():
            if self.weights[name] > 0:  # EPTS among them is dear
                score = score + self.weights[name] * rate(match, self.ratings)
        return score

    def choose(self, match: MatchRun) -> Choice:
        """The highest score, then the next; lots between exact equals."""
        return ranked(match, self.points(match))


def _hla_match(match: MatchRun, ratings: dict[str, float]) -> Floats:
    return np.asarray(1.0 - match["mismatches_dr"] / 2.0)


def _longevity_match(match: MatchRun, ratings: dict[str, float]) -> Floats:
    return np.asarray((1.0 - match.kidney.kdpi / 100.0) * (1.0 - match["epts"] / 100.0))


def _waiting(match: MatchRun, ratings: dict[str, float]) -> Floats:
    years = match.time - match.constant(qualifying_start)
    return np.minimum(years / ratings["waiting_years"], 1.0)


def _proximity(match: MatchRun, ratings: dict[str, float]) -> Floats:
    return np.maximum(1.0 - match["distance_nm"] / ratings["proximity_nm"], 0.0)


_CHANGING = {
    "hla_match": _hla_match,
    "longevity_match": _longevity_match,
    "waiting": _waiting,
    "proximity": _proximity,
}


def composite(written: str) -> Composite:
    """The policy ``composite(WEIGHTS)``.

    Parameters
    ----------
    written : str
        A TOML file, with ``[weights]`` and perhaps ``[ratings]``, or the same in one line, as in
        ``waiting=0.6, cpra=0.4, cpra_base=20``. An attribute left out has no weight.

    Raises
    ------
    InputError
        If a name is unknown, a number is not allowed, or the weights do not sum to 1.
    """
    if "=" in written:
        source = f"composite({written})"
        given = _inline(written, source)
    else:
        source = written.strip()
        given = _file(Path(source))
    ratings = {name: default for name, (default, _) in RATINGS.items()} | {
        name: _number(source, name, given.pop(name), above=RATINGS[name][1])
        for name in list(given)
        if name in RATINGS
    }
    weights = dict.fromkeys(ATTRIBUTES, 0.0)
    for name, value in given.items():
        if name not in ATTRIBUTES:
            hint = did_you_mean(name, [*ATTRIBUTES, *RATINGS])
            known = f"{', '.join(ATTRIBUTES)}, or a rating's {', '.join(RATINGS)}"
            raise InputError(f"{source}: {name} = {value!r}: {hint}expected a weight of {known}")
        weights[name] = _number(source, name, value)
    total = sum(weights.values())
    if abs(total - 1.0) > _ONE:
        raise InputError(f"{source}: weights sum to {total:g}; they must sum to 1")
    card = {
        "provenance": "user's own weights, none of them official; A: how attributes are rated",
        "weights": {name: weight for name, weight in weights.items() if weight},
        "ratings": ratings,
    }
    return Composite(f"composite({written})", weights, ratings, card)


def _inline(written: str, source: str) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for part in written.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or name in given:
            problem = "is given twice" if equals else "has no value"
            raise InputError(f"{source}: {name!r} {problem}; expected name=number, name=number")
        try:
            given[name] = float(value)
        except ValueError:
            given[name] = value
    return given


def _file(path: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"composite({path}): cannot read it ({error.strerror}); expected a TOML file with "
            "[weights], or weights as in waiting=0.6, cpra=0.4"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a TOML file: {error}") from error
    sections: dict[str, list[str]] = {"weights": [*ATTRIBUTES], "ratings": [*RATINGS]}
    given: dict[str, Any] = {}
    for section, inside in content.items():
        if section not in sections or not isinstance(inside, dict):
            raise InputError(f"{path}: {section!r}: expected only the tables [weights], [ratings]")
        for name, value in inside.items():
            if name not in sections[section]:
                elsewhere = [f"it belongs in [{of}]; " for of in sections if name in sections[of]]
                hint = "".join(elsewhere) or did_you_mean(name, sections[section])
                known = ", ".join(sections[section])
                raise InputError(f"{path}: [{section}] {name}: {hint}expected {known}")
            given[name] = value
    return given


def _number(source: str, name: str, value: Any, above: float | None = None) -> float:
    """A weight (at least 0), or with ``above`` a setting of the ratings (more than that)."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if above is None and not (number and 0 <= value <= 1):
        raise InputError(f"{source}: {name} = {value!r}: expected a weight from 0 to 1")
    if above is not None and not (number and above < value < float("inf")):
        raise InputError(f"{source}: {name} = {value!r}: expected a number > {above:g}")
    return float(value)
