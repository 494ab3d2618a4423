"""Values fitted to people's answers."""

import numpy as np

from policies.davidson import Assembly, Davidson, Linear
from policies.protocol import Chances
from populations.schema import Columns

# Ends of the scales that the weights below refer to: the study's ranges.
AGE = (25.0, 70.0)
DRINKS = (1.0, 5.0)
DEPENDENTS = (0.0, 2.0)


def _linear(age: float, drinks: float, dependents: float) -> Linear:
    return Linear(
        {
            "age": (age, *AGE),
            "drinks_per_day": (drinks, *DRINKS),
            "child_dependents": (dependents, *DEPENDENTS),
        }
    )


def human() -> Davidson:
    """The pooled fit to 5,297 answers of 132 people who could flip a coin.

    Data: McElfresh et al. 2021, study 2; the fit is ours (tag D): standard errors 0.148, 0.124,
    0.105 and 0.121 by resampling people.
    """
    return Davidson("human", _linear(-1.675, -1.163, 1.222), log_tie=-0.504)


# The same pooled fit to disjoint halves of those 132 people, and its standard errors by resampling
# people (D): the people of the file, in order of appearance, shuffled by NumPy's default_rng(1) and
# cut in two. Weights of age, drinks, dependents, then lambda; 2,647 and 2,650 answers.
_HALVES = {
    "a": ((-1.850, -1.035, 1.206, -0.473), (0.186, 0.144, 0.146, 0.178)),
    "b": ((-1.517, -1.296, 1.255, -0.526), (0.223, 0.151, 0.149, 0.160)),
}


def _half(name: str) -> Davidson:
    (*weights, log_tie), errors = _HALVES[name]
    named = ("age", "drinks_per_day", "child_dependents", "log_tie")
    return Davidson(
        f"human-half-{name}",
        _linear(*weights),
        log_tie,
        card={"errors": dict(zip(named, errors, strict=True))},
    )


def human_half_a() -> Davidson:
    """The pooled fit to a random half of the 132 people.

    How it differs from ``human_half_b`` is what another sample of people does by itself.
    """
    return _half("a")


def human_half_b() -> Davidson:
    """The pooled fit to the other half."""
    return _half("b")


# Share, then weights of age, drinks, dependents, then lambda, of four classes of citizens fitted
# to the same answers (tag D).
_CLASSES = (
    (0.296, -1.36, -2.93, 1.24, 0.14),
    (0.283, -2.82, -1.18, 0.85, -2.24),
    (0.280, -1.34, -0.74, 3.13, -0.55),
    (0.141, -5.72, -0.44, 1.39, 1.71),
)


def human_assembly() -> Assembly:
    """A citizen drawn per decision from a four-class mixture fitted to the same answers."""
    members = tuple(
        Davidson(f"citizen {number}", _linear(*weights[:3]), log_tie=weights[3])
        for number, (_, *weights) in enumerate(_CLASSES, 1)
    )
    return Assembly("human-assembly", members, tuple(share for share, *_ in _CLASSES))


# Bradley-Terry scores of eight profiles, Freedman et al. 2020 (tag R): index old*4 + cancer*2 +
# frequent drinker.
FREEDMAN_SCORES = np.array(
    [
        1.000000000,
        0.103243396,
        0.236280167,
        0.035722844,
        0.070045054,
        0.011349772,
        0.024072427,
        0.002769801,
    ]
)
# The profiles were age 30 or 70, and a drink a month or five a day (M): cuts half-way (A).
OLD_FROM_AGE = 50.0
FREQUENT_FROM_DRINKS = 2.5
# That study offered no coin. Borrowed (D): makes the mean P(coin) over its 28 pairs 16.9 %, the
# rate of McElfresh 2021 study 2.
FREEDMAN_LOG_TIE = -0.407


def freedman_profile(columns: Columns) -> np.ndarray:
    """Index of each candidate's profile in ``FREEDMAN_SCORES``, shape (n,)."""
    old = columns["age"] >= OLD_FROM_AGE
    frequent = columns["drinks_per_day"] >= FREQUENT_FROM_DRINKS
    return np.asarray(old * 4 + columns["skin_cancer"].astype(int) * 2 + frequent)


def _freedman_utility(columns: Columns) -> Chances:
    return np.asarray(0.5 * np.log(FREEDMAN_SCORES)[freedman_profile(columns)])


def freedman() -> Davidson:
    """Eight profiles by age, drinking and cancer; its willingness to flip a coin is borrowed."""
    return Davidson(
        "freedman",
        _freedman_utility,
        log_tie=FREEDMAN_LOG_TIE,
        steady=False,
        card={"provenance": "cuts between profiles are assumptions; the coin rate is borrowed"},
    )
