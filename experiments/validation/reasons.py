"""Why figures may miss, in words: what the published and the simulated figure do not share."""

_ISLAND = "a population smaller than a nation is an island: no kidney comes from outside"
_FILTERS = (
    "the source counts every entry of the match run, refusals by a centre's filter among them; "
    "here each offer is answered for one candidate, at most acceptance.max_offers times"
)
_PAST = (
    "recipients of the years before December 2014, when waiting counted from listing, not from "
    "dialysis, and half as many kidneys were transplanted"
)
_COHORT = "listed 2018-20, when fewer kidneys were transplanted a year than the preset's 2023"
_REPORTS = (
    "36.7 % are transplanted within a year by the reports of 2025, 44 % within three by the annual "
    "report for those listed 2018-20: no one level of supply meets both"
)
_RECIPIENTS = (
    "survival is fitted by age; here poor kidneys go to the old, good ones to the young, and "
    "published figures are of 2000-15 and of kidneys of which both were used"
)
_TYPES = (
    "blood types come from two sources, candidates' from the list of 2019, donors' from Saidman "
    "2006; the source adjusts for other attributes"
)
_RACE = (
    "the source adjusts for other attributes; here Black and Hispanic candidates have been longer "
    "on dialysis and are younger, which the rules favour, and all races live evenly on the map"
)

# By how a figure's name begins; the longest that fits is told.
REASONS: dict[str, str] = {
    "candidates waiting": "follows from all other flows",
    "deaths per 100 person-years, age": "hazards rise with age, diabetes and dialysis as in "
    "2005-10; a small population has few deaths",
    "deaths per 100 person-years": "health differs between races by age, diabetes, dialysis, "
    "earlier transplants and one ratio, of candidates of 65 and older, taken for all ages (A)",
    "not used, KDPI 35-85": "published for 2019, when 20.1 % of all went unused; the preset is "
    "fitted to 2023's 27.9 %",
    "not used, KDPI <=": "one logit in KDPI for all kidneys",
    "offers": _FILTERS,
    "transplanted kidneys refused": _FILTERS,
    "cold time": "hours grow evenly with offers and distance; of 2005-10 in the source",
    "transplant rate": "published for the rules of December 2014, adjusted for other attributes",
    "transplant rate, A : O": _TYPES,
    "transplant rate, B : O": f"{_TYPES}; kidneys of subtype A2 for B are not in the model",
    "transplant rate, AB : O": f"{_TYPES}; few have AB",
    "transplant rate, Black : White": _RACE,
    "transplant rate, Hispanic : White": _RACE,
    "transplants per 100 person-years, cPRA": "published for the rules of December 2014, "
    f"whose first months met candidates who had waited for years for such priority; {_ISLAND}",
    "waiting 5 years or more": "kidneys and candidates are spread evenly over areas; published "
    "shares transplanted within five years run from 14.8 to 73 % by area (ADR 2020)",
    "3 years after listing": _COHORT,
    "1 year after listing: transplanted": _REPORTS,
    "1 year after listing: died": "the hazard is the same from the first day on the list; that the "
    "newly listed have just been found fit is not in the model",
    "transplanted in a year": "centres differ in acceptance and place alone, kidneys and "
    "candidates are spread evenly, and a small population has few centres",
    "list at the end": "follows from who is listed, transplanted and dies, as by transplant rates",
    "list at the end: age": "ages of new listings are taken from the list (A); whoever is listed "
    "grows older on it",
    "list at the end: blood type": _TYPES,
    "list at the end: over 5": "those longest on dialysis come first under today's rules; the list "
    "of 2019 was five years into them",
    "list at the end: not on": "dialysis starts at a constant rate (A)",
    "list at the end: earlier": "the share of failed grafts that lead back is an assumption",
    "recipients": _PAST,
    "prior living donors": f"one candidate in a thousand; {_ISLAND}",
    "patient alive": _RECIPIENTS,
    "graft works": _RECIPIENTS,
}

# Of the change of December 2014, likewise.
REASONS_OF_CHANGE: dict[str, str] = {
    "transplant rate": "of the list at the start, years listed and years on dialysis go together "
    "by an assumed correlation alone, and years on dialysis differ by race more than years listed, "
    "so that counting these instead of those changes the order more than it did; the source "
    "adjusts for other attributes",
    "transplant rate, blood type": _TYPES,
    "transplants per 100 person-years": f"few candidates, and who they are is assumed; {_ISLAND}",
    "recipients with cPRA 100": f"as by cPRA; {_ISLAND}",
    "kidneys shared": f"classes of the rules are partly from memory; {_ISLAND}",
    "recipients over 30": "ages of donors and recipients meet by chance: no centre matches them",
}


def reason(name: str, reasons: dict[str, str]) -> str:
    """What is known of why a figure differs."""
    fitting = [start for start in reasons if name.startswith(start)]
    return reasons[max(fitting, key=len)] if fitting else ""
