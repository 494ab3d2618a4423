"""Social welfare: how the worst-off group fares, welfare averse to inequality, and its price."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from measures.outcomes import HORIZONS, restricted_life_years
from measures.rates import PER, transplant_rate
from measures.registry import measure
from measures.table import column, levels, tidy
from sim.record import Record

SYSTEM = "life-years"  # the policy that gives each kidney to whom it is expected to help most
_UNITS = "years per candidate; transplants per 100 person-years"


class Utility(NamedTuple):
    """What the people of one group can expect, and how many candidates or years that rests on."""

    group: str
    value: float
    amount: float


def _utilities(record: Record, by: str) -> dict[str, list[Utility]]:
    """By name, the groups somebody is in: mean years from listing, and the transplant rate.

    The rate is 0 where nobody was transplanted.
    """
    lived, rates = restricted_life_years(record, by), transplant_rate(record, by)
    names = levels(by)
    years, people = (
        column(lived, name).reshape(len(HORIZONS), len(names)) for name in ("value", "denominator")
    )
    waited = column(rates, "denominator")
    rate = PER * column(rates, "numerator") / np.where(waited > 0, waited, np.nan)
    found = {
        f"life_years.{horizon:g}y": (years[i], people[i]) for i, horizon in enumerate(HORIZONS)
    }
    found["transplant_rate"] = (rate, waited)
    return {
        name: [
            Utility(*group)
            for group in zip(names, values, amounts, strict=True)
            if not np.isnan(group[1])
        ]
        for name, (values, amounts) in found.items()
    }


def _nobody(name: str) -> str:
    horizon = name.removeprefix("life_years.").removesuffix("y")
    if name == "transplant_rate":
        return "no person-years in any group"
    return f"nobody listed in the run and followed for {horizon} years"


@measure(
    formula="min over groups of the mean of min(death - listed, t), t = 1, 3, 5 years; min over "
    "groups of 100 * transplants / person-years",
    unit=_UNITS,
    direction="higher",
    discipline="political philosophy (Rawls), welfare economics (max-min)",
    protects="the group that fares worst, whichever it is",
    cannot_see="every other group; people within the worst-off group; why it fares worst: the old "
    "live shorter under any policy. The lowest of several noisy numbers is too low, the more so "
    "the smaller the groups (compare arms, which have the same groups)",
    source="max-min (M: Rawls 1971; Bertsimas, Farias and Trichakis 2011), on group means (D)",
    by="always",
)
def worst_off(record: Record, by: str) -> pd.DataFrame:
    """The lowest group's life-years within 1, 3 and 5 years of listing, and transplant rate.

    Rows ``worst_off.life_years.<t>y`` and ``worst_off.transplant_rate``, group "all"; the note
    names the group, ``denominator`` is its candidates or person-years. Groups that nobody is in are
    left out.
    """
    rows: list[dict[str, Any]] = []
    for name, utilities in _utilities(record, by).items():
        row: dict[str, Any] = {"measure": f"worst_off.{name}", "grouping": by}
        if utilities:
            lowest = min(utilities, key=lambda utility: utility.value)
            row |= {"value": lowest.value, "denominator": lowest.amount}
            row["note"] = f"lowest: {lowest.group}"
        else:
            row["note"] = _nobody(name)
        rows.append(row)
    return tidy(rows)


@measure(
    formula="exp of the mean over groups of ln u_g; u_g the mean of min(death - listed, t), "
    "t = 1, 3, 5 years, or 100 * transplants / person-years",
    unit=_UNITS,
    direction="higher",
    discipline="welfare economics, bargaining (Nash)",
    protects="groups that fare worse: a loss weighs in proportion to how little there is to lose",
    cannot_see="the size of groups, each counts once; people within groups; that it is 0 as soon "
    "as one group has nothing, whatever the others have",
    source="Nash 1950, proportional fairness (M), on group means (D)",
    by="always",
)
def nash_welfare(record: Record, by: str) -> pd.DataFrame:
    """Geometric mean over groups of life-years from listing, and of transplant rates.

    Rows ``nash_welfare.life_years.<t>y`` and ``nash_welfare.transplant_rate``, group "all";
    ``denominator`` is the number of groups. Groups that nobody is in are left out.
    """
    rows: list[dict[str, Any]] = []
    for name, utilities in _utilities(record, by).items():
        row: dict[str, Any] = {"measure": f"nash_welfare.{name}", "grouping": by}
        nothing = ", ".join(utility.group for utility in utilities if utility.value == 0)
        if not utilities:
            row["note"] = _nobody(name)
        elif nothing:
            row |= {"value": 0.0, "denominator": len(utilities), "note": f"nothing for {nothing}"}
        else:
            mean = np.mean(np.log([utility.value for utility in utilities]))
            row |= {"value": float(np.exp(mean)), "denominator": len(utilities)}
        rows.append(row)
    return tidy(rows)


@measure(
    formula="(S - A) / S; A, S life-years gained by transplants under the arm, and under the "
    f"{SYSTEM} policy in the same world",
    unit="share of the life-years gained",
    direction="lower",
    discipline="operations research, health economics",
    protects="everybody listed, in sum: what a policy gives up in life-years, fair or not",
    cannot_see="who gets the life-years; whether what is given up buys any fairness. The "
    f"{SYSTEM} policy decides kidney by kidney by what it expects within 10 years: it is no "
    "optimum, so the price may be negative; gains beyond the end of the run",
    source="(SYSTEM - FAIR) / SYSTEM of Bertsimas, Farias and Trichakis 2011 (R2). Their "
    "worst-case bounds hold for policies that are max-min or proportionally fair, which no arm is "
    "(D), and are not printed",
    reads="arms",
    by="never",
)
def price_of_fairness(measures: pd.DataFrame) -> pd.DataFrame:
    """Share of the ``life-years`` policy's life-years that each arm does without.

    Parameters
    ----------
    measures : DataFrame
        Measures of every run of a study: ``arm``, ``world``, and the columns of ``tidy``, with
        ``life_years_gained.total``. Tie seeds of the same arm and world are averaged first.

    Returns
    -------
    DataFrame
        One row per (``arm``, ``world``), ``numerator`` the years given up, ``denominator`` those
        of the ``life-years`` policy. NaN, and a note, where the study lacks that arm.
    """
    total = (measures["measure"] == "life_years_gained.total") & (measures["grouping"] == "all")
    gained = measures[total].groupby(["arm", "world"], sort=False)["value"].mean()
    rows: list[dict[str, Any]] = []
    for (arm, world), years in gained.items():
        row: dict[str, Any] = {"measure": "price_of_fairness", "arm": arm, "world": world}
        if (SYSTEM, world) not in gained:
            row["note"] = f"the study has no arm {SYSTEM}"
        elif (best := gained[SYSTEM, world]) > 0:
            row |= {"value": (best - years) / best, "numerator": best - years, "denominator": best}
        else:
            row["note"] = f"no life-years gained under {SYSTEM}"
        rows.append(row)
    return tidy(rows)
