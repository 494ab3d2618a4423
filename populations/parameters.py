"""What a population consists of: the parameters, their units and what is allowed."""

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


Rate = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Shares = Annotated[list[Share], Field(min_length=1), AfterValidator(_sums_to_one)]
Edges = Annotated[list[Number], Field(min_length=2), AfterValidator(_increasing)]
ByAge = Annotated[list[Share], Field(min_length=len(AGE_BANDS), max_length=len(AGE_BANDS))]
_RACES = len(SCHEMA["race"].levels)
ByRace = Annotated[list[Number], Field(min_length=_RACES, max_length=_RACES)]
RatioByRace = Annotated[list[Rate], Field(min_length=_RACES, max_length=_RACES)]


class Section(BaseModel):
    """A section of a preset: no unknown keys, no change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Histogram(Section):
    """Even within each class: ``edges`` one longer than ``shares``."""

    edges: Edges
    shares: Shares

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if len(self.edges) != len(self.shares) + 1:
            raise ValueError(
                f"{len(self.shares)} shares need {len(self.shares) + 1} edges, "
                f"got {len(self.edges)}"
            )
        return self


class InitialList(Section):
    """Who waits at the start: how many, and for how long they have (years)."""

    initial: Annotated[int, Field(ge=0, le=2_000_000)]
    waiting_years: Histogram


class Arrivals(Section):
    """Registrations per year, a Poisson process."""

    per_year: Annotated[Rate, Field(le=1_000_000)]


class Kidneys(Section):
    """Kidneys recovered per year, per donor (1 to 2), and their blood types."""

    per_year: Annotated[Rate, Field(le=1_000_000)]
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

    whole_years: bool
    shift_by_race: ByRace


class Levels(Section):
    """A number that takes a few values."""

    values: Annotated[list[Rate], Field(min_length=1)]
    shares: Shares

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if len(self.values) != len(self.shares):
            raise ValueError(f"{len(self.values)} values but {len(self.shares)} shares")
        return self


class LevelsByAge(Section):
    """A number that takes a few values, with other shares in each age band."""

    values: Annotated[list[Rate], Field(min_length=1)]
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
    edges_at_listing: Edges
    shares_at_listing: Shares
    none_on_list: Share
    edges_on_list: Edges
    shares_on_list: Shares
    ratio_by_race: RatioByRace

    @model_validator(mode="after")
    def _fit(self) -> Self:
        for place in ("at_listing", "on_list"):
            Histogram(
                edges=getattr(self, f"edges_{place}"), shares=getattr(self, f"shares_{place}")
            )
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
    drinks_per_day: Levels
    child_dependents: LevelsByAge
    skin_cancer: ShareByAge
    sex: Sex
    race: Race
    insurance: Insurance
    neighbourhood: Neighbourhood
    blood_type: BloodType
    cpra: Histogram
    diabetes: Diabetes
    prior_transplant: PriorTransplant
    dialysis: Dialysis
