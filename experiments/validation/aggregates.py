"""The figures of ``published``, computed from one simulated history."""

from itertools import product

import numpy as np
import pandas as pd

from experiments.validation.check import Check, compared
from experiments.validation.published import GRAFT_BY_KDPI, LIST, PUBLISHED, YEARS
from experiments.validation.reasons import REASONS, reason
from experiments.validation.spells import cpra_group, rate, recipients, spells
from measures.survival import cumulative_incidence
from policies.protocol import Policy
from populations.presets import Population
from populations.schema import AGE_BANDS, SCHEMA, age_band
from populations.world import make_world
from sim.record import Record
from sim.waitlist import simulate

Figures = dict[str, float]


def against_published(
    population: Population, policy: Policy, seed: int, worlds: int, years: float
) -> list[Check]:
    """Run worlds under a policy and compare their mean with every published figure."""
    runs = []
    for number in range(worlds):
        world = make_world(population.parameters, seed, number, years)
        runs.append(simulated(simulate(world, policy)))
    scale = population.parameters.list.initial / LIST
    checks = []
    for each in PUBLISHED:
        expected = each.value * scale if each.scales else each.value
        found = float(np.mean([run[each.name] for run in runs]))
        verdict = compared(expected, found, at_most=each.at_most, points=each.points)
        checks.append(
            Check(
                "published",
                each.name,
                expected,
                found,
                verdict,
                each.use,
                each.tag,
                each.source,
                reason(each.name, REASONS) if verdict == "MISS" else "",
            )
        )
    return checks


def simulated(record: Record) -> Figures:
    """Every figure of ``PUBLISHED``, by name; NaN where nobody is counted."""
    every = spells(record)
    return {
        **_counts(record, every),
        **_deaths(every),
        **_kidneys(record, every),
        **_access(record, every),
        **_list(record, every),
        **_recipients(recipients(record)),
    }


def _share(of: pd.Series) -> float:
    return float(of.mean()) if len(of) else float("nan")


def _median(of: pd.Series) -> float:
    return float(of.median()) if len(of) else float("nan")


def _counts(record: Record, every: pd.DataFrame) -> Figures:
    years, fates = record.years, every["fate"].value_counts()
    return {
        "candidates waiting at the end": float(fates["waiting"]),
        "registrations added a year": float((every["began"] >= 0).sum()) / years,
        "kidneys recovered a year": len(record.decisions) / years,
        "deceased-donor transplants a year": fates["transplanted"] / years,
        "living-donor transplants a year": fates["living_donor"] / years,
        "deaths on the list a year": fates["died"] / years,
        "too-sick removals : deaths": fates["too_sick"] / max(fates["died"], 1),
    }


def _deaths(every: pd.DataFrame) -> Figures:
    by_age = {f"age {band}": every[every["age_band"] == band] for band in AGE_BANDS}
    by_race = {race: every[every["race"] == race] for race in ("Black", "White", "Hispanic")}
    groups = {
        f"deaths per 100 person-years, {name}": who for name, who in (by_age | by_race).items()
    }
    return {name: rate(who, "died") for name, who in groups.items()} | {
        "deaths per 100 person-years": rate(every, "died")
    }


def _kidneys(record: Record, every: pd.DataFrame) -> Figures:
    kidneys, offers = record.decisions, record.offers
    unused, kdpi = kidneys["outcome"] != "transplanted", kidneys["kdpi"]
    used = kidneys[~unused]
    received = offers["candidate"].value_counts()
    # Of the last year alone: offers before the start of the run are unknown.
    late = every[(every["exit"] >= record.years - 1.0) & ~every["returned"]].set_index("candidate")
    cold = used["cold_hours"]
    return {
        "kidneys not used": _share(unused),
        "not used, KDPI <= 34, at most": _share(unused[kdpi < 35]),
        "not used, KDPI 35-85": _share(unused[(kdpi >= 35) & (kdpi < 85)]),
        "not used, KDPI >= 85": _share(unused[kdpi >= 85]),
        "offers of a transplanted kidney, median": _median(used["offers"]),
        "transplanted kidneys refused at least once": _share(used["offers"] > 1),
        "offers to a recipient, median": _median(
            received.reindex(late.index[late["fate"] == "transplanted"]).dropna()
        ),
        "offers to who died waiting, median": _median(
            received.reindex(late.index[late["fate"] == "died"]).dropna()
        ),
        "cold time, hours, median": _median(cold),
        "cold time, hours, lower quartile": float(cold.quantile(0.25)),
        "cold time, hours, upper quartile": float(cold.quantile(0.75)),
    }


def _access(record: Record, every: pd.DataFrame) -> Figures:
    found: Figures = {}
    for column, base, others in (
        ("blood_type", "O", ("A", "B", "AB")),
        ("race", "White", ("Black", "Hispanic")),
        ("sex", "male", ("female",)),
    ):
        rates = {
            name: rate(who, "transplanted") for name, who in every.groupby(column, observed=True)
        }
        for other in others:
            ratio = rates.get(other, np.nan) / rates[base] if rates.get(base) else np.nan
            found[f"transplant rate, {other} : {base}"] = ratio
    cpra = cpra_group(every["cpra"])
    for whole in (98, 99, 100):
        name = f"transplants per 100 person-years, cPRA {whole}"
        found[name] = rate(every[cpra == whole], "transplanted")
    still = every[every["fate"] == "waiting"]
    found["waiting 5 years or more, share of list"] = _share(record.years - still["began"] >= 5)
    return found | _cohort(record) | _centres(record)


def _cohort(record: Record) -> Figures:
    """What had become of candidates one and three years after they were listed."""
    frame = cumulative_incidence(record, times=(1.0, 3.0)).set_index("measure")["value"]

    def share(fate: str, year: int) -> float:
        return float(frame[f"cumulative_incidence.{fate}.{year}y"])

    three = {fate: share(fate, 3) for fate in ("transplanted", "living_donor", "died")}
    removed = share("too_sick", 3) + share("other", 3)
    return {
        "3 years after listing: transplanted": three["transplanted"],
        "3 years after listing: living-donor transplant": three["living_donor"],
        "3 years after listing: died": three["died"],
        "3 years after listing: removed": removed,
        "3 years after listing: waiting": 1.0 - sum(three.values()) - removed,
        "1 year after listing: transplanted by either": share("transplanted", 1)
        + share("living_donor", 1),
        "1 year after listing: died": share("died", 1),
    }


def _centres(record: Record) -> Figures:
    """Share of each centre's newly listed transplanted within a year: its quantiles."""
    people = record.people()
    followed = people[(people["listed"] >= 0) & (people["listed"] <= record.years - 1.0)]
    quick = followed["fate"].isin(["transplanted", "living_donor"]) & (
        followed["exit"] - followed["listed"] <= 1.0
    )
    by_centre = quick.groupby(followed["centre"]).agg(["mean", "size"])
    shares = by_centre.loc[by_centre["size"] >= 100, "mean"]  # as the reports have it
    return {
        f"transplanted in a year, {100 * q:g} % of centres below": float(shares.quantile(q))
        for q in (0.1, 0.5, 0.9)
    }


def _list(record: Record, every: pd.DataFrame) -> Figures:
    """Who waits at the end."""
    still = every[every["fate"] == "waiting"]
    shares = {f"age {band}": s for band, s in _end_bands(still, record.years).items()}
    for column, names in (
        ("sex", ("female",)),
        ("race", ("Black", "Hispanic", "White", "Asian")),
        ("blood_type", SCHEMA["blood_type"].levels),
    ):
        for name in names:
            said = f"blood type {name}" if column == "blood_type" else name
            shares[said] = _share(still[column] == name)
    first = still[~still["returned"]]
    dialysis = record.years - first["dialysis_start"]
    shares["diabetes"] = _share(still["diabetes"] == "yes")
    shares["not on dialysis"] = float((dialysis <= 0).mean())
    shares["over 5 years on dialysis"] = float((dialysis > 5).mean())
    shares["earlier transplant"] = _share((still["prior_transplant"] == "yes") | still["returned"])
    fates = record.fates
    shares["inactive"] = _share(fates.loc[fates["fate"] == "waiting", "inactive"].astype(bool))
    died = fates.loc[fates["fate"] == "died", "inactive"].astype(bool)
    found = {f"list at the end: {name}": share for name, share in shares.items()}
    return found | {"deaths on the list: inactive": _share(died)}


def _end_bands(still: pd.DataFrame, years: float) -> Figures:
    codes = age_band((still["age"] + years - still["listed"]).to_numpy())
    return {band: float((codes == code).mean()) for code, band in enumerate(AGE_BANDS)}


def _recipients(who: pd.DataFrame) -> Figures:
    found = {
        "recipients: age, median": _median(who["age"]),
        "recipients: diabetes": _share(who["diabetes"]),
        "recipients: earlier transplant": _share(who["prior_transplant"]),
        "recipients: not on dialysis": _share(who["dialysis"] <= 0),
        "recipients: years on dialysis, median": _median(who["dialysis"]),
        "recipients: years waited, median": _median(who["waited"]),
        "recipients: EPTS, median": _median(who["epts"]),
        "recipients: KDPI, median": _median(who["kdpi"]),
        "prior living donors: years waited, median": _median(
            who.loc[who["prior_living_donor"], "waited"]
        ),
    }
    for band, year in product(AGE_BANDS, YEARS):
        here, at = who[who["age_band"] == band], f"after {year} y, age {band}"
        found[f"patient alive {at}"] = _share(here["patient_years"] > year)
        found[f"graft works {at}"] = _share(here["graft_years"] > year)
    for kdpi in GRAFT_BY_KDPI:
        five = who.loc[(who["kdpi"] - kdpi).abs() <= 5, "graft_years"] > 5
        found[f"graft works after 5 y, KDPI {kdpi - 5}-{kdpi + 5}"] = _share(five)
    return found
