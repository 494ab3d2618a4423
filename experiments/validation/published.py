"""Published figures about the kidney waiting list of the United States."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from populations.schema import AGE_BANDS

LIST = 90_000.0  # scale of the published counts; other populations are compared in proportion

_ADR = "SRTR/OPTN Annual Data Report 2023"
_LIST_2019 = "SRTR, prevalent list 31 Dec 2019"
_PARKER = "Parker et al. 2021, recipients listed 2005-10"
_MASSIE = "Massie et al. 2016, adjusted, first 9 months of KAS"
_COHORT = "SRTR/OPTN Annual Data Report, listed 2018-20"
_PSR = "SRTR program-specific reports 2025 (release 2511), 232 centres"


@dataclass(frozen=True)
class Published:
    """One published figure.

    Parameters
    ----------
    name : str
        What it is, with its unit; key of what ``aggregates.simulated`` returns.
    value : float
    use : {"input", "fitted", "checked"}
        Whether a parameter of the preset is it, was set to meet it, or neither.
    tag, source : str
        See ``populations.presets.TAGS``.
    scales : bool
        A count, compared in proportion to the list of the population.
    at_most : bool
        The source gives an upper limit alone.
    points : bool
        A share near 1, compared by its distance in percentage points.
    """

    name: str
    value: float
    use: str
    tag: str
    source: str
    scales: bool = False
    at_most: bool = False
    points: bool = False


def _counts() -> Iterator[Published]:
    hopkins = "Johns Hopkins HBHI 2023"
    yield Published("candidates waiting at the end", 90_000, "checked", "R", hopkins, scales=True)
    yield Published(
        "registrations added a year", 44_000, "input", "D", "494,862 in 2015-26 (STAR file)", True
    )
    yield Published("kidneys recovered a year", 30_799, "input", "D", _ADR, scales=True)
    yield Published("deceased-donor transplants a year", 21_849, "fitted", "R", _ADR, scales=True)
    yield Published("living-donor transplants a year", 6_300, "fitted", "R", hopkins, scales=True)
    yield Published(
        "deaths on the list a year",
        4_500,
        "fitted",
        "D",
        "5.0 per 100 person-years x 90,000",
        scales=True,
    )
    yield Published("too-sick removals : deaths", 7.1 / 7.0, "fitted", "R", "STAR file 2015-26")


def _deaths() -> Iterator[Published]:
    yield Published("deaths per 100 person-years", 5.0, "fitted", "R2", _ADR)
    for band, rate in zip(AGE_BANDS, (2.04, 3.01, 5.20, 7.48), strict=True):
        yield Published(f"deaths per 100 person-years, age {band}", rate, "fitted", "R2", _ADR)
    for race, rate in (("Black", 4.62), ("White", 5.71), ("Hispanic", 4.59)):
        yield Published(f"deaths per 100 person-years, {race}", rate, "checked", "R2", _ADR)


def _kidneys() -> Iterator[Published]:
    offers, husain = "Huml et al. 2017, kidneys accepted 2007-12", "Husain et al. 2019, 2008-15"
    yield Published("kidneys not used", 0.279, "fitted", "R", _ADR)
    nasem = "Parker et al. 2021, year 2019"
    yield Published("not used, KDPI <= 34, at most", 0.05, "checked", "R", nasem, at_most=True)
    yield Published("not used, KDPI 35-85", 0.20, "checked", "R", nasem)
    yield Published("not used, KDPI >= 85", 0.713, "fitted", "R", "OPTN/SRTR ADR 2022")
    yield Published("offers of a transplanted kidney, median", 7, "fitted", "R", offers)
    yield Published("transplanted kidneys refused at least once", 0.84, "checked", "R", husain)
    yield Published("offers to a recipient, median", 17, "checked", "R", husain)
    yield Published("offers to who died waiting, median", 16, "checked", "R", husain)
    for name, hours in (("median", 16.0), ("lower quartile", 11.0), ("upper quartile", 22.0)):
        yield Published(f"cold time, hours, {name}", hours, "fitted", "R", _PARKER)


def _access() -> Iterator[Published]:
    ratios = {"A : O": 1.44, "B : O": 0.90, "AB : O": 2.72}
    ratios |= {"Black : White": 1.15, "Hispanic : White": 0.99, "female : male": 0.99}
    for groups, ratio in ratios.items():
        yield Published(f"transplant rate, {groups}", ratio, "checked", "R", _MASSIE)
    gebel = "Gebel 2016, first 9 months of KAS"
    for cpra, rate in (("98", 13.2), ("99", 21.6), ("100", 19.1)):
        yield Published(
            f"transplants per 100 person-years, cPRA {cpra}", rate, "checked", "R", gebel
        )
    yield Published("waiting 5 years or more, share of list", 0.114, "checked", "R", _ADR)
    for fate, share in (
        ("transplanted", 0.3079),
        ("living-donor transplant", 0.1346),
        ("died", 0.0683),
        ("removed", 0.1906),
        ("waiting", 0.2987),
    ):
        yield Published(f"3 years after listing: {fate}", share, "checked", "R2", _COHORT)
    yield Published("1 year after listing: transplanted by either", 0.3673, "checked", "R2", _PSR)
    yield Published("1 year after listing: died", 0.0194, "checked", "R2", _PSR)
    for quantile, share in (("10 %", 0.194), ("50 %", 0.353), ("90 %", 0.553)):
        yield Published(
            f"transplanted in a year, {quantile} of centres below", share, "checked", "R2", _PSR
        )


def _list() -> Iterator[Published]:
    shares: Mapping[str, float] = {
        **{
            f"age {band}": s for band, s in zip(AGE_BANDS, (0.083, 0.24, 0.435, 0.242), strict=True)
        },
        **{"female": 0.381, "Black": 0.323, "Hispanic": 0.207, "White": 0.355, "Asian": 0.097},
        **{"blood type O": 0.535, "A": 0.273, "B": 0.167, "AB": 0.025, "diabetes": 0.468},
        **{"not on dialysis": 0.182, "over 5 years on dialysis": 0.322},
        **{"earlier transplant": 0.118},
    }
    for name, share in shares.items():
        said = f"blood type {name}" if name in ("A", "B", "AB") else name
        yield Published(f"list at the end: {said}", share, "checked", "R2", _LIST_2019)
    delmonico = "Delmonico & McBride 2008, end of 2007"
    yield Published("list at the end: inactive", 0.328, "fitted", "R", delmonico)
    yield Published("deaths on the list: inactive", 0.52, "checked", "R", delmonico)


def _recipients() -> Iterator[Published]:
    for name, value in (
        ("age, median", 55.0),
        ("diabetes", 0.35),
        ("earlier transplant", 0.14),
        ("not on dialysis", 0.098),
        ("years on dialysis, median", 3.5),
        ("years waited, median", 984 / 365.25),
        ("EPTS, median", 45.0),
        ("KDPI, median", 43.0),
    ):
        yield Published(f"recipients: {name}", value, "checked", "R", _PARKER)
    yield Published(
        "prior living donors: years waited, median",
        102.6 / 365.25,
        "checked",
        "R",
        "Wainright 2017",
    )


# Surviving 1, 3 and 5 years after a deceased donor's kidney, by age band.
_ALIVE = {
    "patient alive": (
        (0.990, 0.977, 0.957),
        (0.984, 0.959, 0.914),
        (0.963, 0.909, 0.820),
        (0.939, 0.845, 0.701),
    ),
    "graft works": (
        (0.964, 0.898, 0.822),
        (0.961, 0.908, 0.835),
        (0.940, 0.871, 0.768),
        (0.915, 0.811, 0.661),
    ),
}
YEARS = (1, 3, 5)
# Share of kidneys functioning five years on, at a KDPI.
GRAFT_BY_KDPI = {10: 0.76, 50: 0.70, 90: 0.56}


def _survival() -> Iterator[Published]:
    source = f"{_ADR}, transplanted 2016-18"
    for (what, table), (i, year) in product(_ALIVE.items(), enumerate(YEARS)):
        for band, row in zip(AGE_BANDS, table, strict=True):
            name = f"{what} after {year} y, age {band}"
            yield Published(name, row[i], "input", "R2", source, points=True)
    for kdpi, share in GRAFT_BY_KDPI.items():
        yield Published(
            f"graft works after 5 y, KDPI {kdpi - 5}-{kdpi + 5}",
            share,
            "checked",
            "R",
            "CJASN, kidneys of bilateral donors transplanted 2000-15",
        )


PUBLISHED: tuple[Published, ...] = (
    *_counts(),
    *_deaths(),
    *_kidneys(),
    *_access(),
    *_list(),
    *_recipients(),
    *_survival(),
)
