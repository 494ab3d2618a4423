"""What a population consists of: the parameters, their units and what is allowed."""

from collections.abc import Callable
from datetime import date
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from populations.schema import AGE_BANDS, SCHEMA

SUM_TOLERANCE = 0.005  # published shares are rounded
TICKETS = 64  # lottery tickets of a kidney, one an offer: no kidney is offered more often


def _sums_to_one(shares: list[float]) -> list[float]:
    total = sum(shares)
    if abs(total - 1.0) > SUM_TOLERANCE:
        raise ValueError(f"shares must sum to 1, these sum to {total:g}")
    return shares


def _increasing(edges: list[float]) -> list[float]:
    if any(high <= low for low, high in pairwise(edges)):
        raise ValueError("edges must increase")
    return edges


def _any(ratios: list[float]) -> list[float]:
    if not any(ratios):
        raise ValueError("at least one ratio must be above 0")
    return ratios


def _iso(day: object) -> object:
    """A day, which TOML may also give as a date, as text; empty text is none."""
    if isinstance(day, str) and day and date.fromisoformat(day).isoformat() != day:
        raise ValueError("a day as in 2021-01-31")
    return day.isoformat() if type(day) is date else day


def _up_to(attribute: str) -> Callable[[list[float]], list[float]]:
    high = SCHEMA[attribute].high

    def check(values: list[float]) -> list[float]:
        if max(values) > high:
            raise ValueError(f"{attribute} must not exceed {high:g}, got {max(values):g}")
        return values

    return check


def _fit_together(edges: list[float], shares: list[float], place: str = "") -> None:
    if len(edges) != len(shares) + 1:
        raise ValueError(
            f"{len(shares)} shares{place} need {len(shares) + 1} edges{place}, got {len(edges)}"
        )


# The upper limits only keep arithmetic finite; real figures are far below them.
Rate = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
Number = Annotated[float, Field(ge=-1000, le=1000, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Effect = Annotated[float, Field(ge=0, le=5, allow_inf_nan=False)]  # sd of a log hazard
Shares = Annotated[list[Share], Field(min_length=1), AfterValidator(_sums_to_one)]
Edges = Annotated[list[Rate], Field(min_length=2), AfterValidator(_increasing)]
ByAge = Annotated[list[Share], Field(min_length=len(AGE_BANDS), max_length=len(AGE_BANDS))]
_RACES = len(SCHEMA["race"].levels)
ByRace = Annotated[list[Number], Field(min_length=_RACES, max_length=_RACES)]
RatioByRace = Annotated[
    list[Rate], Field(min_length=_RACES, max_length=_RACES), AfterValidator(_any)
]


class Section(BaseModel):
    """A section of a preset: no unknown keys, no change after loading, no true for a 1."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Histogram(Section):
    """Even within each class: ``edges`` one longer than ``shares``."""

    edges: Edges
    shares: Shares

    @model_validator(mode="after")
    def _fit(self) -> Self:
        _fit_together(self.edges, self.shares)
        return self


class InitialList(Section):
    """Who waits at the start: how many, and for how long they have (years)."""

    initial: Annotated[int, Field(ge=0, le=2_000_000)]
    waiting_years: Histogram


class Arrivals(Section):
    """Registrations per year, a Poisson process."""

    per_year: Rate


class Kidneys(Section):
    """Kidneys recovered per year, per donor (1 to 2), and their blood types."""

    per_year: Rate
    per_donor: Annotated[float, Field(ge=1, le=2)]
    blood_type: Annotated[Shares, Field(min_length=4, max_length=4)]


class Allocation(Section):
    """Medical rule that is not the policy's: whose blood group a kidney may go to."""

    blood_groups: Literal["identical", "compatible"]


class Centres(Section):
    """Transplant centres; candidates are spread over them evenly.

    ``waiting_sd`` and ``survival_sd`` are of centres' log hazards of death while waiting and after
    a transplant, ``correlation`` is between the two.
    """

    count: Annotated[int, Field(ge=1, le=1000)]
    waiting_sd: Effect
    survival_sd: Effect
    correlation: Annotated[float, Field(ge=-1, le=1)]


class Map(Section):
    """Donation areas within regions on a map, and the hospitals that kidneys come from.

    Sides of the map in nautical miles.
    """

    areas: Annotated[int, Field(ge=1, le=1000)]
    regions: Annotated[int, Field(ge=1, le=1000)]
    hospitals: Annotated[int, Field(ge=1, le=10_000)]
    width_nm: Annotated[float, Field(gt=0, le=100_000)]
    height_nm: Annotated[float, Field(gt=0, le=100_000)]

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.regions > self.areas:
            raise ValueError(f"{self.regions} regions need as many areas, got {self.areas}")
        if self.areas > self.hospitals:
            raise ValueError(f"{self.areas} areas need as many hospitals, got {self.hospitals}")
        return self


class Acceptance(Section):
    """Whether a kidney is taken for a candidate: a logit, and how often a kidney is offered.

    ``intercept + slope x + curvature x^2 + longevity x (1 - EPTS/100)`` with x = KDPI/100, and
    normal effects of centre, kidney and candidate with the given standard deviations.
    """

    max_offers: Annotated[int, Field(ge=1, le=TICKETS)]
    intercept: Number
    slope: Number
    curvature: Number
    longevity: Number
    centre_sd: Rate
    kidney_sd: Rate
    candidate_sd: Rate


class ColdTime(Section):
    """Hours a kidney is without blood: before offers begin, per offer, per 100 nautical miles."""

    hours_before_offers: Rate
    hours_per_offer: Rate
    hours_per_100_nm: Rate


class Status(Section):
    """Shares of candidates inactive on the list, and rates of change per year.

    Activation depends on whether someone has been inactive for less than a year.
    """

    inactive_at_listing: Share
    inactive_on_list: Share
    activation_first_year: Rate
    activation_later: Rate
    inactivation: Rate


class Relisting(Section):
    """Share that would return to the list after a failed graft, and after how many years."""

    share: Share
    delay_years: Annotated[float, Field(ge=1 / 12, le=100)]


class Waiting(Section):
    """Hazards while waiting, per year.

    ``level`` multiplies the Parker 2021 hazard of death, of candidates with active status, and so
    does each race's ratio to the mean.
    """

    level: Rate
    ratio_by_race: RatioByRace
    too_sick_ratio: Rate
    living_donor_per_year: Rate
    other_per_year: Rate
    dialysis_start_per_year: Rate


class Age(Histogram):
    """Age at listing (or, of the initial list, at the start), years."""

    edges: Annotated[Edges, AfterValidator(_up_to("age"))]
    whole_years: bool
    shift_by_race: ByRace


class Sensitisation(Histogram):
    """Calculated panel-reactive antibody (cPRA) aimed at, percent; below 1 counts as 0.

    A candidate's own is that of the antigens unacceptable to them, which come as near as they can.
    """

    edges: Annotated[Edges, AfterValidator(_up_to("cpra"))]


class Drinks(Section):
    """Drinks per day: a number that takes a few values."""

    values: Annotated[list[Rate], Field(min_length=1), AfterValidator(_up_to("drinks_per_day"))]
    shares: Shares

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if len(self.values) != len(self.shares):
            raise ValueError(f"{len(self.values)} values but {len(self.shares)} shares")
        return self


class Dependents(Section):
    """Child dependents: a number that takes a few values, with other shares in each age band."""

    values: Annotated[list[Rate], Field(min_length=1), AfterValidator(_up_to("child_dependents"))]
    shares_by_age: Annotated[
        list[Shares], Field(min_length=len(AGE_BANDS), max_length=len(AGE_BANDS))
    ]

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if any(len(shares) != len(self.values) for shares in self.shares_by_age):
            raise ValueError(f"each row of shares_by_age needs {len(self.values)} shares")
        return self


class ShareByAge(Section):
    """The share of "yes" in each age band."""

    share_by_age: ByAge


class Sex(Section):
    """Shares of female, male."""

    shares: Annotated[Shares, Field(min_length=2, max_length=2)]


class Race(Section):
    """Shares in the schema's order: Asian, Black, Hispanic, White, Other."""

    shares: Annotated[Shares, Field(min_length=_RACES, max_length=_RACES)]


class Insurance(Section):
    """Shares in the schema's order: Private, Medicare, Medicaid, Other."""

    shares: Annotated[Shares, Field(min_length=4, max_length=4)]


class Neighbourhood(Section):
    """Shares of the quintiles Q1 to Q5."""

    shares: Annotated[Shares, Field(min_length=5, max_length=5)]


class BloodType(Section):
    """Candidates' shares of O, A, B, AB."""

    shares: Annotated[Shares, Field(min_length=4, max_length=4)]


class Diabetes(Section):
    """Share with diabetes by age band, and each race's ratio to the mean."""

    share_by_age: ByAge
    ratio_by_race: RatioByRace


class PriorTransplant(Section):
    """Share with an earlier transplant, and each race's ratio to the mean."""

    share: Share
    ratio_by_race: RatioByRace


class PriorLivingDonor(Section):
    """Share that once gave an organ while living."""

    share: Share


class Dialysis(Section):
    """Years on dialysis of new listings and of the initial list, and ratios by race.

    ``correlation_on_list`` is between years listed and years on dialysis, as normal scores.
    """

    none_at_listing: Share
    none_ratio_by_race: RatioByRace
    edges_at_listing: Annotated[Edges, AfterValidator(_up_to("dialysis_years"))]
    shares_at_listing: Shares
    none_on_list: Share
    edges_on_list: Annotated[Edges, AfterValidator(_up_to("dialysis_years"))]
    shares_on_list: Shares
    correlation_on_list: Annotated[float, Field(ge=-1, le=1)]
    ratio_by_race: RatioByRace

    @model_validator(mode="after")
    def _fit(self) -> Self:
        _fit_together(self.edges_at_listing, self.shares_at_listing, "_at_listing")
        _fit_together(self.edges_on_list, self.shares_on_list, "_on_list")
        return self


class Data(Section):
    """Your own people: CSV files, and how they are used (see ``populations.bring``).

    ``start`` is the ISO date that the run starts on, ``years`` what the files cover (0: up to the
    last row, in whole years), ``resample`` draws rows with replacement for every world. The
    digests say which files were checked.
    """

    candidates: str = ""
    donors: str = ""
    start: Annotated[str, BeforeValidator(_iso)] = ""
    years: Annotated[float, Field(ge=0, le=100)] = 0.0
    resample: bool = False
    candidates_sha256: str = ""
    donors_sha256: str = ""


class Parameters(Section):
    """Everything a world is made from."""

    list: InitialList
    arrivals: Arrivals
    kidneys: Kidneys
    allocation: Allocation
    centres: Centres
    geography: Map
    acceptance: Acceptance
    cold_time: ColdTime
    waiting: Waiting
    status: Status
    relisting: Relisting
    age: Age
    drinks_per_day: Drinks
    child_dependents: Dependents
    skin_cancer: ShareByAge
    sex: Sex
    race: Race
    insurance: Insurance
    neighbourhood: Neighbourhood
    blood_type: BloodType
    cpra: Sensitisation
    diabetes: Diabetes
    prior_transplant: PriorTransplant
    prior_living_donor: PriorLivingDonor
    dialysis: Dialysis
    data: Data = Data()

    @model_validator(mode="after")
    def _listed_after_birth(self) -> Self:
        longest, youngest = self.list.waiting_years.edges[-1], self.age.edges[0]
        if longest > youngest:
            raise ValueError(
                f"list.waiting_years.edges end at {longest:g}, but age.edges begin at "
                f"{youngest:g}: nobody may be listed before birth"
            )
        return self
