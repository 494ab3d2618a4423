"""The main measures, and what the rows of tables and figures call any measure."""

from measures.rates import reference_group

# Label, measure and format of the rows of the main tables.
HEADLINES: tuple[tuple[str, str, str], ...] = (
    ("transplants per 100 person-years", "transplant_rate", ".1f"),
    ("deaths per 100 person-years", "mortality_rate", ".2f"),
    ("waiting at the end", "fate_counts.waiting", ",.0f"),
    ("life-years by the end, per candidate", "life_years", ".3f"),
    ("kidneys not used", "non_use", ".1%"),
    ("transplanted within 3 years of listing", "cumulative_incidence.transplanted.3y", ".1%"),
    ("median years to transplant", "time_to_transplant.p50", ".2f"),
    ("people listed before the recipient", "winner_position", ",.0f"),
    ("decisions left to lots", "indecision_rate", ".1%"),
    ("misalignment M", "misalignment", ".3f"),
    ("over-decisiveness I", "over_decisiveness", ".3f"),
    ("determinism D", "ex_ante.determinism", ".3f"),
)


def row_label(measure: str, grouping: str = "all", group: str = "all") -> str:
    """Plain name of a measure of a group; of a ratio of rates, with the group it is against."""
    if measure.endswith("_rate_ratio") and grouping != "all":
        rates = measure.removesuffix("_ratio").replace("_", " ")
        return f"{rates}s, {group} : {reference_group(grouping)}"
    known = {name: label for label, name, _ in HEADLINES}
    label = known.get(measure) or measure.replace("_", " ").replace(".", ", ")
    return label if grouping == "all" else f"{label}, {group}"
