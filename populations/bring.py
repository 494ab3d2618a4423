"""Your own candidates and donors in a world: what the files know, and what is left to be drawn."""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from populations.bring_columns import CANDIDATES, DONORS, Column
from populations.bring_read import Sheet, read_sheet
from populations.errors import InputError
from populations.hla import LOCI
from populations.parameters import Parameters
from populations.people import Floats, Given, Known, Streams

DECLARED: dict[str, Mapping[str, Column]] = {"candidates": CANDIDATES, "donors": DONORS}


def sheet_of(p: Parameters, file: str) -> Sheet | None:
    """The population's file of ``"candidates"`` or ``"donors"``; None if it has none.

    Raises
    ------
    InputError
        If it cannot be read as a table at all, or is not the one that was checked.
    """
    path = getattr(p.data, file)
    if not path:
        return None
    places = (("centre", p.centres.count), ("hospital", p.geography.hospitals))
    digest = getattr(p.data, f"{file}_sha256")
    # Without a digest it may be another file by now.
    read = _read if digest else _read.__wrapped__
    return read(file, path, digest, p.data.start, places)


@lru_cache(maxsize=4)  # each world asks for it again
def _read(
    file: str, path: str, digest: str, start: str, places: tuple[tuple[str, int], ...]
) -> Sheet:
    sheet = read_sheet(path, DECLARED[file], start, dict(places))
    if digest and sheet.sha256 != digest:
        raise InputError(
            f"{path}: not the file that was checked: its SHA-256 is {sheet.sha256[:12]}..., "
            f"expected {digest[:12]}...; start again, or put the file back"
        )
    return sheet


class Counted(NamedTuple):
    """A population whose figures agree with its files.

    Parameters
    ----------
    parameters : Parameters
        With the digests of the files, and what can be counted in them.
    sources : dict of str
        Of each dotted key that was counted, where.
    """

    parameters: Parameters
    sources: dict[str, str]


def counted(p: Parameters) -> Counted:
    """Check the population's files, and count in them what its figures would else say.

    Raises
    ------
    InputError
        If a file cannot be used: how many problems, and the first ten.
    """
    sheets = {file: sheet_of(p, file) for file in DECLARED}
    data = {f"{file}_sha256": sheet.checked().sha256 for file, sheet in sheets.items() if sheet}
    if not data:
        return Counted(p, {})
    p = p.model_copy(update={"data": p.data.model_copy(update=data)})
    found: dict[str, dict[str, float]] = {"list": {}, "arrivals": {}, "kidneys": {}}
    sources: dict[str, str] = {}
    if candidates := sheets["candidates"]:
        listed = times_of(candidates)
        if np.any(listed < 0):
            found["list"]["initial"] = int(np.sum(listed < 0))
        if np.any(listed >= 0):
            found["arrivals"]["per_year"] = _per_year(p, candidates)
    if donors := sheets["donors"]:
        both = donors.values.get("kidneys", np.full(len(donors.lines), np.nan))
        each = np.where(np.isnan(both), p.kidneys.per_donor, both + 1.0)
        per_donor = float(each.mean())
        rate = _per_year(p, donors)
        found["kidneys"] = {"per_donor": per_donor, "per_year": rate * per_donor}
    for section, figures in found.items():
        sheet = donors if section == "kidneys" else candidates
        sources |= {f"{section}.{key}": f"counted in {sheet.path}" for key in figures if sheet}
    update = {
        section: getattr(p, section).model_copy(update=figures)
        for section, figures in found.items()
    }
    return Counted(p.model_copy(update=update), sources)


def _per_year(p: Parameters, sheet: Sheet) -> float:
    times, covered = times_of(sheet), covered_by(p, sheet)
    return float(np.sum((times >= 0) & (times < covered)) / covered)


def _when(sheet: Sheet) -> str:
    """The column that says when a row comes."""
    return "listed" if sheet.declared is CANDIDATES else "time"


def times_of(sheet: Sheet) -> Floats:
    """When each row of a file comes, in years from the start, shape (n,)."""
    return sheet.values[_when(sheet)]


def covered_by(p: Parameters, sheet: Sheet) -> float:
    """Years from the start that a file covers; infinite if it ends before the start.

    Unless the population says so: to its last listing or donor, rounded up to whole years.
    """
    last = float(times_of(sheet).max())
    if last < 0:
        return np.inf
    return p.data.years or max(float(np.ceil(last)), 1.0)


def check_covered(p: Parameters, years: float) -> None:
    """Raise InputError if a run of ``years`` would go on after the files have ended."""
    for file in DECLARED:
        sheet = sheet_of(p, file)
        if sheet and covered_by(p, sheet.checked()) < years:
            raise InputError(
                f"years = {years:g}: {sheet.path} covers {covered_by(p, sheet):g} years from the "
                "start, so that nobody would come afterwards: run no longer than that, or say "
                "what it covers with [data] years"
            )


def given_candidates(
    p: Parameters, streams: Streams, years: float, initial: bool
) -> tuple[Floats, Given] | None:
    """When the candidates of a file are listed, shape (n,), and what it knows of them.

    Parameters
    ----------
    streams : callable
        Gives the generator for a purpose; the i-th to be listed takes the i-th draw of each.
    years : float
        Length of the run: nobody listed later.
    initial : bool
        Those listed before the start, or those listed later.

    Returns
    -------
    tuple, or None
        None if the population has no file, or it has nobody of these: they are to be drawn.
    """
    sheet = sheet_of(p, "candidates")
    if sheet is None:
        return None
    every = times_of(sheet.checked())
    rows = np.flatnonzero((every < 0) == initial)
    if not len(rows):
        return None
    rows = _in_order(p, streams, every, rows, years)
    given = _known(sheet, rows)
    listed = every[rows]
    since = np.maximum(listed, 0.0)
    birth = given.pop("birth").values if "birth" in given else listed - given["age"].values
    given["age"] = Known(since - birth, np.ones(len(rows), dtype=bool))
    if "dialysis_years" in given:
        on, known = given.pop("dialysis_years")
        later = streams("dialysis start").standard_exponential(len(rows))
        rate = p.waiting.dialysis_start_per_year
        begins = listed + (later / rate if rate > 0 else np.inf)
        given["dialysis_start"] = Known(np.where(on > 0, listed - on, begins), known)
    return listed, given


def given_donors(p: Parameters, streams: Streams, years: float) -> tuple[Floats, Given] | None:
    """When the donors of a file come, ascending, shape (n,), and what it knows of them.

    As `given_candidates`; ``kidneys`` is how many each gives.
    """
    sheet = sheet_of(p, "donors")
    if sheet is None:
        return None
    every = times_of(sheet.checked())
    rows = _in_order(p, streams, every, np.arange(len(every)), years)
    given = _known(sheet, rows)
    if "kidneys" in given:
        code, known = given["kidneys"]
        given["kidneys"] = Known(code + 1, known)
    return every[rows], given


def _in_order(
    p: Parameters, streams: Streams, times: Floats, rows: NDArray[np.intp], years: float
) -> NDArray[np.intp]:
    """The rows of a run in order of time: a longer run begins with those of a shorter one."""
    if p.data.resample:
        rows = rows[streams("resample").integers(0, len(rows), len(rows))]
    rows = rows[np.argsort(times[rows], kind="stable")]
    return rows[times[rows] < years]


def _known(sheet: Sheet, rows: NDArray[np.intp]) -> dict[str, Known]:
    """What a file knows of the people in some of its rows, by attribute."""
    given = {}
    for name, column in sheet.values.items():
        if sheet.declared[name].kind != "antigen":
            values = column[rows]
            given[name] = Known(values, ~np.isnan(values))
    del given[_when(sheet)]
    if f"{LOCI[0]}1" in sheet.values:
        masks = np.zeros(len(rows), dtype=np.uint64)
        for name, column in sheet.values.items():
            if sheet.declared[name].kind == "antigen":
                bit = column[rows]
                typed = ~np.isnan(bit)
                masks[typed] |= np.uint64(1) << bit[typed].astype(np.uint64)
        given["hla"] = Known(masks, masks != 0)
    return given
