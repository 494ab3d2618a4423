"""Published figures beside simulated ones."""

import pandas as pd
from rich.markup import escape
from rich.table import Table

from measures.rates import transplant_rate_ratio
from measures.survival import cumulative_incidence
from policies.rules import Points
from populations.presets import Population
from populations.world import make_world
from sim.record import Record
from sim.waitlist import simulate

TOLERANCE = 0.10
_US_LIST = 90_000.0  # scale of the published counts; smaller presets are compared in proportion

# Name, published value for the United States, whether it scales with the list, how it was used
# ("input": a parameter of the preset; "fitted": a parameter was set to meet it; "checked":
# neither), tag, source.
TARGETS: tuple[tuple[str, float, bool, str, str, str], ...] = (
    ("candidates waiting at the end", 90_000, True, "checked", "R", "Johns Hopkins HBHI 2023"),
    ("registrations added per year", 44_000, True, "input", "D", "494,862 in 2015-26 (STAR file)"),
    ("kidneys recovered per year", 30_799, True, "input", "D", "OPTN/SRTR ADR 2023"),
    ("deceased-donor transplants per year", 21_849, True, "checked", "R", "OPTN/SRTR ADR 2023"),
    ("living-donor transplants per year", 6_300, True, "fitted", "R", "Johns Hopkins HBHI 2023"),
    ("deaths on the list per year", 4_500, True, "fitted", "D", "5.0 per 100 p-y x 90,000"),
    ("too-sick removals : deaths", 7.1 / 7.0, False, "input", "R", "STAR file 2015-26"),
    ("deaths per 100 person-years", 5.0, False, "fitted", "R2", "SRTR ADR 2023"),
    ("deaths per 100 p-y, age 18-34", 2.04, False, "fitted", "R2", "SRTR ADR 2023"),
    ("deaths per 100 p-y, age 35-49", 3.01, False, "fitted", "R2", "SRTR ADR 2023"),
    ("deaths per 100 p-y, age 50-64", 5.20, False, "fitted", "R2", "SRTR ADR 2023"),
    ("deaths per 100 p-y, age 65+", 7.48, False, "fitted", "R2", "SRTR ADR 2023"),
    ("non-use", 0.279, False, "fitted", "R", "OPTN/SRTR ADR 2023"),
    ("non-use, KDPI >= 85", 0.713, False, "fitted", "R", "OPTN/SRTR ADR 2022"),
    ("waiting 5 years or more, share of list", 0.114, False, "checked", "R", "OPTN/SRTR ADR 2023"),
    ("transplanted 3 years after listing", 0.3079, False, "checked", "R2", "ADR, listed 2018-20"),
    ("died 3 years after listing", 0.0683, False, "checked", "R2", "ADR, listed 2018-20"),
    ("transplant rate, blood type A : O", 1.44, False, "checked", "R", "Massie 2016, adjusted"),
    ("transplant rate, blood type B : O", 0.90, False, "checked", "R", "Massie 2016, adjusted"),
    ("transplant rate, blood type AB : O", 2.72, False, "checked", "R", "Massie 2016, adjusted"),
)


def validate(population: Population, seed: int, years: float) -> pd.DataFrame:
    """Run one world under the ``points`` policy and compare it with published figures.

    Returns
    -------
    DataFrame
        ``name, target, simulated, ratio, within, use, tag, source``: ``within`` is whether the
        ratio lies within 10 % of 1; ``use`` is how the figure entered the preset.
    """
    world = make_world(population.parameters, seed, 0, years)
    simulated = _simulated(simulate(world, Points()))
    scale = population.parameters.list.initial / _US_LIST
    rows = []
    for name, published, scales, use, tag, source in TARGETS:
        target = published * scale if scales else published
        ratio = simulated[name] / target if target else float("nan")
        within = abs(ratio - 1.0) <= TOLERANCE
        rows.append((name, target, simulated[name], ratio, within, use, tag, source))
    columns = ["name", "target", "simulated", "ratio", "within", "use", "tag", "source"]
    return pd.DataFrame(rows, columns=columns)


def _simulated(record: Record) -> dict[str, float]:
    people, years = record.people(), record.years
    waited = people["exit"] - people["entry"]
    counts = people["fate"].value_counts()
    non_use = record.decisions["outcome"] != "transplanted"
    simulated = {
        "candidates waiting at the end": float(counts["waiting"]),
        "registrations added per year": float((people["listed"] >= 0).sum()) / years,
        "kidneys recovered per year": len(record.decisions) / years,
        "deceased-donor transplants per year": counts["transplanted"] / years,
        "living-donor transplants per year": counts["living_donor"] / years,
        "deaths on the list per year": counts["died"] / years,
        "too-sick removals : deaths": counts["too_sick"] / max(counts["died"], 1),
        "deaths per 100 person-years": 100.0 * counts["died"] / waited.sum(),
        "non-use": float(non_use.mean()),
        "non-use, KDPI >= 85": float(non_use[record.decisions["kdpi"] >= 85].mean()),
    }
    for band, here in people.groupby("age_band", observed=False):
        waited_here = (here["exit"] - here["entry"]).sum()
        died = (here["fate"] == "died").sum()
        simulated[f"deaths per 100 p-y, age {band}"] = 100.0 * died / waited_here
    cohort = cumulative_incidence(record, times=(3.0,)).set_index("measure")["value"]
    simulated["transplanted 3 years after listing"] = cohort["cumulative_incidence.transplanted.3y"]
    simulated["died 3 years after listing"] = cohort["cumulative_incidence.died.3y"]
    ratios = transplant_rate_ratio(record, "blood_type").set_index("group")["value"]
    simulated |= {f"transplant rate, blood type {t} : O": ratios[t] for t in ("A", "B", "AB")}
    still = people[people["fate"] == "waiting"]
    simulated["waiting 5 years or more, share of list"] = float(
        (years - still["listed"] >= 5).mean()
    )
    return simulated


def validation_table(checked: pd.DataFrame, population: str, years: float) -> Table:
    """The comparison as a table for the terminal."""
    met = int(checked["within"].sum())
    unfitted = checked[checked["use"] == "checked"]
    table = Table(
        title=escape(
            f"{population}, one world of {years:g} years under `points`: {met} of {len(checked)} "
            f"published figures within 10 %, {int(unfitted['within'].sum())} of the "
            f"{len(unfitted)} not used in fitting"
        )
    )
    for heading in ("figure", "published", "simulated", "ratio", "", "use", "tag", "source"):
        table.add_column(
            heading, justify="right" if heading in ("published", "simulated", "ratio") else "left"
        )
    for row in checked.itertuples():
        verdict = "[green]within[/]" if row.within else "[red]MISS[/]"
        table.add_row(
            row.name,
            f"{row.target:,.4g}" if row.target < 1000 else f"{row.target:,.0f}",
            f"{row.simulated:,.4g}" if row.simulated < 1000 else f"{row.simulated:,.0f}",
            f"{row.ratio:.3f}",
            verdict,
            row.use,
            row.tag,
            row.source,
        )
    table.caption = (
        "Use: input, a parameter of the preset; fitted, a parameter was set to meet it; checked, "
        "neither. Tags: R read in the source, R2 secondary, D derived. Age bands are at entry. "
        "Counts of smaller populations are compared in proportion to their list."
    )
    return table
