"""HLA antigens: who carries which, which are unacceptable to whom, cPRA and mismatches.

A person's antigens of the loci A, B and DR are bits of one uint64: bit i is ``ANTIGENS[i]``.
Everybody has two haplotypes drawn from one table (Hardy-Weinberg proportions), so that the linkage
between the loci is kept and every probability over donors is a sum over haplotypes, not a sample.

The haplotypes (``tables/haplotypes.csv``, frequencies in millionths) were made so (tag D):

1. The A, B and DR types of 570 people, the example candidates and donors of histoc 0.3.0 (TxOR, MIT
   licence; R; real or simulated, it does not say), were resolved into haplotypes by expectation
   maximisation from independent loci. 480 haplotypes with an expected count of at least half a
   chromosome were kept (0.998 of all).
2. They were scaled, locus by locus until nothing changed, to the antigen frequencies of 37,993
   voluntary bone marrow donors of northern Portugal (R, the same source). Nine antigens that none
   of the 570 carries (0.19 % of chromosomes at A, 0.26 % at B) were left out, the rest rescaled.

So antigen frequencies are those of a large register, while linkage is that of 570 people: the long
tail of rare haplotypes is missing, and another country's donors differ. Antigens are as fine as in
the source (B14, B15 and B40 unsplit); C, DQ, DP and antibodies against alleles do not exist here.
Whom somebody is sensitised against is our assumption (A): antigens in random order.
"""

import csv
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from populations.errors import InputError

SOURCE = (
    "[D] 480 A-B-DR haplotypes of Portuguese donors: linkage from 570 example people, antigen "
    "frequencies from 37,993 marrow donors, both [R] from histoc 0.3.0 (TxOR, MIT)"
)

Locus = Literal["a", "b", "dr"]
Masks = NDArray[np.uint64]
Floats = NDArray[np.float64]

LOCI: tuple[Locus, ...] = ("a", "b", "dr")
_MILLION = 1_000_000
_CHUNK = 1024  # people at a time: people x haplotypes take 2 MB
_NEVER = np.uint8(255)  # the place of one's own antigens in the random order


def _read_haplotypes() -> tuple[tuple[str, ...], NDArray[np.intp], NDArray[np.int64]]:
    """Antigen names, haplotypes (h, 3) as places in the names, and frequencies in millionths."""
    path = Path(__file__).parent / "tables" / "haplotypes.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    names = tuple(
        name
        for locus in LOCI
        for name in sorted({row[locus] for row in rows}, key=lambda name: int(name.lstrip("ABDR")))
    )
    places = np.array([[names.index(row[locus]) for locus in LOCI] for row in rows])
    return names, places, np.array([round(float(row["frequency"]) * _MILLION) for row in rows])


ANTIGENS, _PLACES, _COUNTS = _read_haplotypes()
_BITS: Masks = np.uint64(1) << np.arange(len(ANTIGENS), dtype=np.uint64)
LOCUS_BITS: dict[str, np.uint64] = {
    locus: np.bitwise_or.reduce(_BITS[_PLACES[:, j]]) for j, locus in enumerate(LOCI)
}
_HAPLOTYPES: Masks = np.bitwise_or.reduce(_BITS[_PLACES], axis=1)
_CUMULATED = np.cumsum(_COUNTS)
# Sums of whole millionths are exact in float32, whatever the order: the same bits on any machine.
_WEIGHTS = _COUNTS.astype(np.float32)
_CARRIED = np.zeros((len(ANTIGENS), len(_COUNTS)), dtype=np.float32)  # weight where carried
_CARRIED[_PLACES.T, np.arange(len(_COUNTS))] = _WEIGHTS
_SPARED = (_CARRIED == 0).astype(np.float32)  # (antigens, haplotypes): 1 where it is not


def draw_hla(rng: np.random.Generator, n: int) -> Masks:
    """The antigens of ``n`` people, two haplotypes each.

    Returns
    -------
    uint64 (n,)
        One bit per antigen carried, as in `ANTIGENS`. Person i's do not depend on ``n``.
    """
    drawn = np.searchsorted(_CUMULATED, rng.integers(_MILLION, size=(n, 2)), side="right")
    return _HAPLOTYPES[drawn[:, 0]] | _HAPLOTYPES[drawn[:, 1]]


def cpra(unacceptable: Masks) -> Floats:
    """Percentage of donors with at least one unacceptable antigen, exact over the haplotypes.

    Parameters
    ----------
    unacceptable : uint64 (n,)
        Masks of unacceptable antigens.

    Returns
    -------
    float64 (n,)
        100 (1 - f^2) with f the frequency of the haplotypes without an unacceptable antigen.
    """
    free = np.empty(len(unacceptable))
    for start in range(0, len(unacceptable), _CHUNK):
        part = unacceptable[start : start + _CHUNK, None]
        free[start : start + _CHUNK] = ((part & _HAPLOTYPES) == 0).astype(np.float32) @ _WEIGHTS
    return _percent(free)


def mismatches(donor: np.uint64 | int, hla: Masks, locus: Locus | None = None) -> NDArray[np.uint8]:
    """How many of the donor's antigens each candidate lacks.

    Parameters
    ----------
    donor : uint64
        The donor's antigens; one carried twice counts once.
    hla : uint64 (n,)
        The candidates' antigens.
    locus : {"a", "b", "dr"}, optional
        One locus (0 to 2 mismatches); without it all three (0 to 6).

    Returns
    -------
    uint8 (n,)
    """
    wanted = np.uint64(donor) if locus is None else np.uint64(donor) & LOCUS_BITS[locus]
    return np.bitwise_count(wanted & ~hla)


def match_probability(hla: Masks) -> tuple[Floats, Floats]:
    """The chance that a random donor has no, and exactly one, A, B or DR mismatch.

    Exact under Hardy-Weinberg proportions, for a donor of any blood group. No mismatch: both
    haplotypes are within the candidate's antigens, frequency s0 in all. One mismatch, antigen a:
    both lack nothing or a alone, (s0 + s_a)^2, less s0^2. It takes microseconds a person: ask once
    for all candidates, not at every offer.

    Parameters
    ----------
    hla : uint64 (n,)
        The candidates' antigens.

    Returns
    -------
    none, one : float64 (n,)
        Probabilities from 0 to 1.
    """
    none, one = np.empty(len(hla)), np.empty(len(hla))
    for start in range(0, len(hla), _CHUNK):
        rows = slice(start, start + _CHUNK)
        own = hla[rows, None]
        missing = np.bitwise_count(_HAPLOTYPES & ~own)
        within = (missing == 0).astype(np.float32) @ _WEIGHTS / np.float64(_MILLION)
        lacking = (missing == 1).astype(np.float32) @ _CARRIED.T / np.float64(_MILLION)
        lacking[(own & _BITS) != 0] = 0.0  # what those haplotypes carry besides the antigen missing
        none[rows] = within**2
        one[rows] = (lacking**2).sum(axis=1) + 2.0 * within * lacking.sum(axis=1)
    return none, one


def draw_unacceptable(rng: np.random.Generator, hla: Masks, target: Floats) -> tuple[Masks, Floats]:
    """Unacceptable antigens, never one's own, that make cPRA as near its target as they can.

    Antigens are taken in random order as long as cPRA stays at or below the target; then, of those
    left, a few more in that order that still fit; last a few that come nearest (A).

    Parameters
    ----------
    hla : uint64 (n,)
        The candidates' antigens.
    target : float64 (n,)
        Wanted cPRA in percent, 0 to 100; 0 gives no unacceptable antigen. Nobody reaches 100: a
        donor of one's own haplotypes is always acceptable.

    Returns
    -------
    unacceptable : uint64 (n,)
    cpra : float64 (n,)
        Their exact cPRA in percent, `cpra` of the masks.

    Raises
    ------
    InputError
        If a target is not from 0 to 100.
    """
    wrong = np.flatnonzero(~((target >= 0) & (target <= 100)))
    if len(wrong):
        raise InputError(f"target: cPRA is {target[wrong[0]]}; it must be from 0 to 100 percent")
    unacceptable = np.zeros(len(hla), dtype=np.uint64)
    order = np.arange(len(ANTIGENS), dtype=np.uint8)
    for start in range(0, len(hla), _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, len(hla)))
        # Everybody draws an order, so that nobody's depends on who else is sensitised.
        ranks = rng.permuted(np.tile(order, (len(rows), 1)), axis=1)
        some = target[rows] > 0
        unacceptable[rows[some]] = _choose(ranks[some], hla[rows[some]], target[rows[some]])
    return unacceptable, cpra(unacceptable)


def _choose(ranks: NDArray[np.uint8], hla: Masks, target: Floats) -> Masks:
    """Unacceptable antigens of n people from each antigen's place (n, antigens) in their order."""
    ranks = np.where((hla[:, None] & _BITS) != 0, _NEVER, ranks)
    # A haplotype is struck out by whichever of its antigens comes first.
    struck = np.minimum.reduce([ranks.take(_PLACES[:, j], axis=1) for j in range(3)])
    wanted = _MILLION * np.sqrt(1.0 - target / 100.0)  # frequency of haplotypes to leave
    low, high = np.zeros(len(hla), dtype=np.uint8), np.full(len(hla), len(ANTIGENS), dtype=np.uint8)
    while (low < high).any():  # halve the interval of how many antigens of the order to take
        middle = (low + high + 1) // 2
        fits = (struck >= middle[:, None]).astype(np.float32) @ _WEIGHTS >= wanted
        low, high = np.where(fits, middle, low), np.where(fits, high, middle - 1)
    left = (struck >= low[:, None]).astype(np.float32)
    chosen = ranks < low[:, None]
    for nearest in (False, False, False, True, True, True):
        _add_one(chosen, left, ranks, wanted, nearest)
    masks: Masks = np.bitwise_or.reduce(np.where(chosen, _BITS, np.uint64(0)), axis=1)
    return masks


def _add_one(
    chosen: NDArray[np.bool_],
    left: NDArray[np.float32],
    ranks: NDArray[np.uint8],
    wanted: Floats,
    nearest: bool,
) -> None:
    """Make one more antigen unacceptable, in place, to those of n people whom one brings closer.

    Parameters
    ----------
    chosen : bool (n, antigens)
        Which are unacceptable already.
    left : float32 (n, haplotypes)
        1 for a haplotype without an unacceptable antigen, else 0.
    ranks : uint8 (n, antigens)
        Place of each antigen in a person's order.
    wanted : float64 (n,)
        Frequency of the haplotypes to be left, in millionths.
    nearest : bool
        Take the antigen that comes nearest, though it overshoot; else the first that does not.
    """
    free = (left @ _WEIGHTS).astype(np.float64)
    after = free[:, None] - left @ _CARRIED.T
    allowed = (ranks < _NEVER) & (after < free[:, None])
    if nearest:
        miss = np.where(allowed, np.abs(after**2 - wanted[:, None] ** 2), np.inf)
        pick = miss.argmin(axis=1)
        closer = miss.min(axis=1) < np.abs(free**2 - wanted**2)
    else:
        place = np.where(allowed & (after >= wanted[:, None]), ranks, _NEVER)
        pick = place.argmin(axis=1)
        closer = place.min(axis=1) < _NEVER
    who = np.flatnonzero(closer)
    chosen[who, pick[who]] = True
    left[who] *= _SPARED[pick[who]]


def _percent(free: NDArray[np.floating]) -> Floats:
    """CPRA in percent from the frequency, in millionths, of haplotypes nothing speaks against."""
    return 100.0 * (1.0 - (free.astype(np.float64) / _MILLION) ** 2)
