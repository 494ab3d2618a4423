"""What a measure is called in a sentence, and what its rising and falling are."""

from typing import NamedTuple

from measures.registry import MEASURES


class Wording(NamedTuple):
    """One measure in words.

    Parameters
    ----------
    noun : str
        As in "no difference was detected in ...".
    more, less : str
        What is said where it is higher, and where it is lower.
    unit : str
        Said after the first number.
    how : str
        Format of the number.
    """

    noun: str
    more: str
    less: str
    unit: str
    how: str


_PER_YEARS = "per 100 years that people spent waiting"
WORDINGS: dict[str, Wording] = {
    "mortality_rate": Wording(
        "deaths while waiting",
        "more candidates died while waiting",
        "fewer candidates died while waiting",
        _PER_YEARS,
        ".2f",
    ),
    "life_years": Wording(
        "years lived by the end of the run",
        "candidates lived longer by the end of the run",
        "candidates lived less long by the end of the run",
        "years each",
        ".3f",
    ),
    "fate_counts.waiting": Wording(
        "how many were still waiting at the end",
        "more candidates were still waiting at the end",
        "fewer candidates were still waiting at the end",
        "people",
        ",.1f",
    ),
    "fate_counts.died": Wording(
        "how many died waiting",
        "more people died waiting",
        "fewer people died waiting",
        "people",
        ",.1f",
    ),
    "fate_counts.too_sick": Wording(
        "how many became too sick for a transplant",
        "more candidates became too sick for a transplant",
        "fewer candidates became too sick for a transplant",
        "people",
        ",.1f",
    ),
    "cumulative_incidence.transplanted.3y": Wording(
        "the share of new candidates transplanted within 3 years of listing",
        "more of the new candidates were transplanted within 3 years of listing",
        "fewer of the new candidates were transplanted within 3 years of listing",
        "of them",
        ".1%",
    ),
    "life_years_gained.per_transplant": Wording(
        "years of life gained by the end for each transplant",
        "each transplant gained more years of life by the end of the run",
        "each transplant gained fewer years of life by the end of the run",
        "years",
        ".3f",
    ),
    "pre_transplant_mortality": Wording(
        "deaths before any transplant",
        "more candidates died before any transplant, on the list or taken off it as too sick",
        "fewer candidates died before any transplant, on the list or taken off it as too sick",
        "per 100 years until then",
        ".2f",
    ),
    "transplant_rate": Wording(
        "transplants",
        "transplants came at a higher rate",
        "transplants came at a lower rate",
        _PER_YEARS,
        ".1f",
    ),
    "transplant_rate_ratio": Wording(
        "transplant rates relative to a group",
        "the transplant rate was higher, relative to the group it is compared with",
        "the transplant rate was lower, relative to the group it is compared with",
        "times",
        ".2f",
    ),
    "non_use": Wording(
        "the share of kidneys that nobody took",
        "more kidneys went unused",
        "fewer kidneys went unused",
        "of them",
        ".1%",
    ),
    "indecision_rate": Wording(
        "decisions left to lots",
        "more decisions were left to lots",
        "fewer decisions were left to lots",
        "of them",
        ".1%",
    ),
    "ex_ante.determinism": Wording(
        "how much was settled before lots were drawn",
        "more of who is transplanted was settled before any lot was drawn (D)",
        "less of who is transplanted was settled before any lot was drawn (D)",
        "on a scale from 0 to 1",
        ".3f",
    ),
    "misalignment": Wording(
        "misalignment",
        "more chance went to candidates whom {values} hardly considers (M)",
        "less chance went to candidates whom {values} hardly considers (M)",
        "of a decision's whole chance",
        ".3f",
    ),
    "over_decisiveness": Wording(
        "over-decisiveness",
        "more chance was heaped on some of the candidates whom {values} does consider (I)",
        "less chance was heaped on some of the candidates whom {values} does consider (I)",
        "of a decision's whole chance",
        ".3f",
    ),
    "broome_gap": Wording(
        "the share of chances that went elsewhere than to claims",
        "more of all chances went to others than {values} would have given them to",
        "less of all chances went to others than {values} would have given them to",
        "of all chances",
        ".1%",
    ),
    "repeat_losers.at_10": Wording(
        "how many lose draw after draw",
        "more people were without a win after so many draws that fair lots would leave one in ten",
        "fewer people were without a win after so many draws that fair lots would leave one in ten",
        "of them",
        ".1%",
    ),
    "systemic_exclusion": Wording(
        "how many are transplanted in none of the runs with other lottery tickets",
        "more people were transplanted in none of the runs with other lottery tickets",
        "fewer people were transplanted in none of the runs with other lottery tickets",
        "of all candidates",
        ".1%",
    ),
    "access_to_transplant.sd_audit": Wording(
        "how unequal access is by sex, race, insurance and neighbourhood",
        "access to a transplant was more unequal by sex, race, insurance and neighbourhood",
        "access to a transplant was less unequal by sex, race, insurance and neighbourhood",
        "(spread of the logarithm of the rate; 0 is equal)",
        ".3f",
    ),
    "winner_position": Wording(
        "how far down the list kidneys went",
        "kidneys went further down the list",
        "kidneys went less far down the list",
        "people listed before the recipient",
        ",.1f",
    ),
}


def wording(measure: str, values: str = "") -> Wording:
    """Words for any measure; of one that has none here, from its card.

    Parameters
    ----------
    measure : str
        As in a study's tables.
    values : str
        The policy whose choices count as people's.
    """
    if measure in WORDINGS:
        words = WORDINGS[measure]
        return words._replace(
            more=words.more.replace("{values}", values), less=words.less.replace("{values}", values)
        )
    card = MEASURES.get(measure.partition(".")[0])
    unit = card.unit if card else ""
    said = f"the measure {measure}"
    return Wording(said, f"{said} was higher", f"{said} was lower", unit, ".3f")


_GROUPS: dict[str, tuple[str, str]] = {
    "age_band": ("candidates aged {}", "those aged {}"),
    "race": ("{} candidates", "{} ones"),
    "sex": ("{} candidates", "{} ones"),
    "blood_type": ("candidates of blood type {}", "those of type {}"),
    "insurance": ("candidates with {} insurance", "those with {} insurance"),
    "neighbourhood": (
        "candidates from neighbourhoods in deprivation quintile {}",
        "those from quintile {}",
    ),
}
GROUPINGS: dict[str, str] = {
    "age_band": "age",
    "race": "race or ethnicity",
    "sex": "sex",
    "insurance": "insurance",
    "neighbourhood": "neighbourhood deprivation",
    "blood_type": "blood type",
}


def group_name(grouping: str, group: str) -> str:
    """A group as a sentence calls it."""
    if group == "Other":
        return f"candidates of other {GROUPINGS[grouping]}"
    return _GROUPS.get(grouping, (f"candidates with {grouping} {{}}",))[0].format(group)


def base_name(grouping: str, group: str) -> str:
    """The group that another is compared with."""
    return _GROUPS.get(grouping, ("", f"those with {grouping} {{}}"))[1].format(group)
