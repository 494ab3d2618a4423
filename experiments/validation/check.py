"""One line of the ladder: what is expected, what was found, and how the two compare."""

from dataclasses import dataclass
from math import isfinite, log

TOLERANCE = 0.10
POINTS = 0.02  # of shares near 1, of which a tenth would be no test

RUNGS: dict[str, str] = {
    "traced": "Histories worked out by hand",
    "conserved": "Conservation: nobody and no kidney appears or vanishes",
    "little": "Little's law: the list is as long as arrivals times waiting",
    "closed form": "A queue with impatience, whose solution is known",
    "monotone": "More kidneys, relabelled groups: what must follow, and what must not",
    "published": "Published figures (face validity)",
    "predicted": "The change of December 2014, predicted from the years before",
}


@dataclass(frozen=True)
class Check:
    """One line of the ladder.

    Parameters
    ----------
    rung : str
        Key of ``RUNGS``.
    name : str
        What is compared, with its unit.
    expected, found : float
        By hand, by theory or published; and by the simulation.
    verdict : {"holds", "FAILS", "within", "direction", "MISS"}
        ``holds`` or ``FAILS`` where the answer is exact or has a standard error; ``within`` or
        ``MISS`` for a published figure, by ``TOLERANCE``; ``direction`` for a change that goes the
        right way by another amount.
    use : {"exact", "input", "fitted", "checked", "predicted"}
        How the figure entered the model: not at all because it follows from arithmetic or theory;
        as a parameter; as what a parameter was set to meet; not at all; as a change not looked at.
    tag, source : str
        Where the expected value comes from; see ``populations.presets.TAGS``.
    note : str
        Why it misses, or what the two figures do not share.
    """

    rung: str
    name: str
    expected: float
    found: float
    verdict: str
    use: str = "exact"
    tag: str = "D"
    source: str = "arithmetic"
    note: str = ""

    @property
    def met(self) -> bool:
        """Whether nothing needs explaining."""
        return self.verdict in ("holds", "within")


def exact(rung: str, name: str, expected: float, found: float, note: str = "") -> Check:
    """A line that must hold to the last digit (of a float: to one part in a thousand million)."""
    equal = abs(found - expected) <= 1e-9 * max(1.0, abs(expected))
    return Check(rung, name, expected, found, "holds" if equal else "FAILS", note=note)


def by_theory(rung: str, name: str, expected: float, samples: list[float], source: str) -> Check:
    """A mean over worlds that must lie within four standard errors of what theory says."""
    n = len(samples)
    mean = sum(samples) / n
    error = (sum((each - mean) ** 2 for each in samples) / (n - 1) / n) ** 0.5
    holds = abs(mean - expected) <= 4 * error
    note = f"mean of {n} worlds, standard error {error:.2g}"
    return Check(
        rung, name, expected, mean, "holds" if holds else "FAILS", "exact", "D", source, note
    )


def compared(expected: float, found: float, *, at_most: bool = False, points: bool = False) -> str:
    """The verdict on a published figure: within ``TOLERANCE`` or ``POINTS`` of it, or not above."""
    if at_most:
        return "within" if found <= expected else "MISS"
    near = POINTS if points else TOLERANCE * expected
    return "within" if abs(found - expected) <= near else "MISS"


def compared_change(expected: float, found: float) -> str:
    """The verdict on a ratio of after to before: its size, or at least on which side of 1."""
    if not (isfinite(found) and found > 0):
        return "MISS"
    if abs(found / expected - 1.0) <= TOLERANCE:
        return "within"
    return "direction" if log(found) * log(expected) > 0 else "MISS"
