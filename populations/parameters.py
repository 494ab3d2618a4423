"""What a population consists of: the parameters, their units and what is allowed."""

from collections.abc import Callable
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from populations.schema import AGE_BANDS, SCHEMA

SUM_TOLERANCE = 0.005  # published shares are rounded


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
    """Transplant centres; candidates are spread over them evenly."""

    count: Annotated[int, Field(ge=1, le=1000)]


class Acceptance(Section):
    """Whether a centre takes a kidney: a logit in KDPI/100 with centre and kidney effects."""

    max_centres: Annotated[int, Field(ge=1, le=100)]
    intercept: Number
    slope: Number
    curvature: Number
    centre_sd: Rate
    kidney_sd: Rate


class Waiting(Section):
    """Hazards while waiting, per year; ``level`` multiplies the Parker 2021 hazard of death."""

    level: Rate
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
    """Calculated panel-reactive antibody (cPRA), percent; below 1 counts as 0."""

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


class Dialysis(Section):
    """Years on dialysis of new listings and of the initial list, and ratios by race."""

    none_at_listing: Share
    none_ratio_by_race: RatioByRace
    edges_at_listing: Annotated[Edges, AfterValidator(_up_to("dialysis_years"))]
    shares_at_listing: Shares
    none_on_list: Share
    edges_on_list: Annotated[Edges, AfterValidator(_up_to("dialysis_years"))]
    shares_on_list: Shares
    ratio_by_race: RatioByRace

    @model_validator(mode="after")
    def _fit(self) -> Self:
        _fit_together(self.edges_at_listing, self.shares_at_listing, "_at_listing")
        _fit_together(self.edges_on_list, self.shares_on_list, "_on_list")
        return self


class Parameters(Section):
    """Everything a world is made from."""

    list: InitialList
    arrivals: Arrivals
    kidneys: Kidneys
    allocation: Allocation
    centres: Centres
    acceptance: Acceptance
    waiting: Waiting
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
    dialysis: Dialysis

    @model_validator(mode="after")
    def _listed_after_birth(self) -> Self:
        longest, youngest = self.list.waiting_years.edges[-1], self.age.edges[0]
        if longest > youngest:
            raise ValueError(
                f"list.waiting_years.edges end at {longest:g}, but age.edges begin at "
                f"{youngest:g}: nobody may be listed before birth"
            )
        return self
