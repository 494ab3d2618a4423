"""From contrasts at the points of a design to effects, shares of variance, and noise."""

import warnings
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2

from experiments.inference import half_width
from experiments.sensitivity_design import STEP
from measures.table import Floats

_RESAMPLES = 1000
INDEX_COLUMNS = ["parameter", "index", "value", "low", "high"]


class Noise(NamedTuple):
    """How much of what differs between points is due to having few worlds.

    Parameters
    ----------
    share : float
        Variance that chance alone gives to the mean contrast of a point, over the variance of the
        mean contrasts between points. Every point has the same worlds, so what the worlds have in
        common at all points makes no difference between points and is left out of it.
    unpaired : float
        The variance between worlds of the mean contrast at a point over that between points: what
        the share would be if every point had worlds of its own.
    effect : float
        Mean absolute elementary effect that chance alone gives to a parameter.
    """

    share: float
    unpaired: float
    effect: float


def noise(values: Floats) -> Noise:
    """Noise of a contrast over a design.

    Parameters
    ----------
    values : ndarray, shape (points, worlds)
        The contrast in every world at every point.

    Returns
    -------
    Noise
        NaN with fewer than two worlds or points; a share is NaN if no two points differ. Derived
        here (D): with mean contrasts m_p over R worlds, the residuals of points + worlds have
        variance s2 on (points - 1)(R - 1) degrees of freedom, and ``share = s2 / R / var(m)``. A
        difference of two points has variance 2 s2 / R, so, were it normal, an elementary effect has
        mean absolute value ``sqrt(2 / pi) sqrt(2 s2 / R) / step``.
    """
    points, worlds = values.shape
    if points < 2 or worlds < 2:
        return Noise(np.nan, np.nan, np.nan)
    means = values.mean(axis=1)
    residual = values - means[:, None] - values.mean(axis=0) + values.mean()
    chance = (residual**2).sum() / ((points - 1) * (worlds - 1)) / worlds
    between = float(means.var(ddof=1))
    effect = float(np.sqrt(2 / np.pi) * np.sqrt(2 * chance) / STEP)
    if between == 0:
        return Noise(np.nan, np.nan, effect)
    alone = values.var(axis=1, ddof=1).mean() / worlds
    return Noise(float(chance / between), float(alone / between), effect)


def elementary_effects(units: Floats, values: Floats) -> Floats:
    """Change of the contrast over the change of a parameter, in units of its range.

    Parameters
    ----------
    units : ndarray, shape (trajectories * (D + 1), D)
        Points in the unit cube, trajectory after trajectory.
    values : ndarray, shape (trajectories * (D + 1), worlds)

    Returns
    -------
    ndarray, shape (D, trajectories, worlds)
    """
    size = units.shape[1]
    walks = units.reshape(-1, size + 1, size)
    steps = np.diff(walks, axis=1)
    changes = np.diff(values.reshape(len(walks), size + 1, -1), axis=1)
    moved = np.abs(steps).argmax(axis=2)  # which parameter changed, (trajectories, D)
    length = np.take_along_axis(steps, moved[:, :, None], axis=2)
    effects = np.empty_like(changes)
    np.put_along_axis(effects, moved[:, :, None], changes / length, axis=1)
    return np.asarray(effects.transpose(1, 0, 2))


def screening(units: Floats, values: Floats, names: list[str]) -> pd.DataFrame:
    """Morris screening: how much each parameter moves the contrast, and how unevenly.

    Parameters
    ----------
    units, values : ndarray
        As for `elementary_effects`.
    names : list of str
        The D parameters.

    Returns
    -------
    DataFrame
        ``parameter, index, value, low, high`` with index ``mu_star``, the mean absolute elementary
        effect, and ``sigma``, their standard deviation (large where the effect is not linear or
        depends on other parameters), with 95 % intervals over trajectories; and ``mu``, the mean
        effect with its 95 % interval over worlds. Effects are per whole range of a parameter.
        Morris 1991, Campolongo et al. 2007 (M); intervals (t and chi-squared) assume that effects
        are normal (A).
    """
    effects = elementary_effects(units, values)
    rows: list[dict[str, Any]] = []
    for name, of_one in zip(names, effects, strict=True):
        means = of_one.mean(axis=1)  # over worlds, (trajectories,)
        trajectories = len(means)
        sizes = np.abs(means)
        half = float(half_width(sizes.std(ddof=1), trajectories))
        rows.append(_index(name, "mu_star", sizes.mean(), half))
        sigma, freedom = float(means.std(ddof=1)), trajectories - 1
        low, high = (sigma * np.sqrt(freedom / chi2.ppf(q, freedom)) for q in (0.975, 0.025))
        rows.append({"parameter": name, "index": "sigma", "value": sigma, "low": low, "high": high})
        by_world = of_one.mean(axis=0)
        worlds = by_world.size
        spread = float(half_width(by_world.std(ddof=1), worlds)) if worlds > 1 else np.nan
        rows.append(_index(name, "mu", by_world.mean(), spread))
    return pd.DataFrame(rows, columns=INDEX_COLUMNS)


def _index(parameter: str, index: str, value: float, half: float) -> dict[str, Any]:
    limits = {"low": value - half, "high": value + half}
    if index == "mu_star":  # a mean of absolute values is not negative
        limits["low"] = max(limits["low"], 0.0)
    return {"parameter": parameter, "index": index, "value": float(value), **limits}


def variance_shares(values: Floats, names: list[str], seed: int) -> pd.DataFrame:
    """Sobol indices: the share of the contrast's variance that each parameter accounts for.

    Parameters
    ----------
    values : ndarray, shape (samples * (D + 2), worlds)
        At Saltelli's points.
    names : list of str
        The D parameters.
    seed : int
        For the resampling behind the intervals.

    Returns
    -------
    DataFrame
        ``parameter, index, value, low, high`` with index ``S1``, first order (by itself), and
        ``ST``, total order (with all interactions), and 95 % percentile intervals by resampling
        the points. All 0 if the contrast is the same at every point. Estimators of Saltelli et al.
        2010, as in SALib (R).
    """
    from SALib.analyze import sobol

    means = values.mean(axis=1)
    none = np.zeros(len(names))
    found: Any = {"S1": none, "ST": none, "S1_conf_all": none[None], "ST_conf_all": none[None]}
    problem = {"num_vars": len(names), "names": names, "bounds": [[0.0, 1.0]] * len(names)}
    if not _constant(means):
        with warnings.catch_warnings():  # of resamples in which all values are the same
            warnings.simplefilter("ignore")
            # Seed 0 would make SALib draw from the global generator.
            found = sobol.analyze(
                problem,
                means,
                calc_second_order=False,
                num_resamples=_RESAMPLES,
                keep_resamples=True,
                seed=seed + 1,
            )
    rows = []
    for place, name in enumerate(names):
        for index in ("S1", "ST"):
            limits = np.quantile(found[f"{index}_conf_all"][:, place], [0.025, 0.975])
            value = float(found[index][place])
            low, high = map(float, limits)
            rows.append(
                {"parameter": name, "index": index, "value": value, "low": low, "high": high}
            )
    return pd.DataFrame(rows, columns=INDEX_COLUMNS)


def _constant(values: NDArray[np.float64]) -> bool:
    return bool(np.ptp(values) <= 1e-12 * max(1.0, float(np.abs(values).max())))
