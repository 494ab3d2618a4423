"""What a model is tuned on: answered questions, who answered them, and what is held out."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from policies.choices import Choices
from policies.protocol import Judge
from policies.schemas import SCHEMAS, Profile
from populations.errors import InputError
from populations.schema import Columns

FIRST, SECOND, COIN = range(3)
_SWAPPED = np.array([SECOND, FIRST, COIN])

Profiles = NDArray[np.float64]
Ints = NDArray[np.int_]
Pair = frozenset[Profile]
Shown = tuple[Profile, ...]


@dataclass(frozen=True)
class Examples:
    """n answered questions about the k attributes of a schema.

    Parameters
    ----------
    schema : str
        A name in `policies.schemas.SCHEMAS`.
    first, second : ndarray, shape (n, k)
        The patients in the order shown.
    answer : ndarray of int, shape (n,)
        ``FIRST``, ``SECOND`` or ``COIN``.
    person : ndarray of int, shape (n,)
        Who answered.
    """

    schema: str
    first: Profiles
    second: Profiles
    answer: Ints
    person: Ints

    def __len__(self) -> int:
        return len(self.answer)

    def rows(self, which: NDArray[np.generic] | slice) -> "Examples":
        """Those of the examples that ``which`` picks, by number or mask."""
        return Examples(
            self.schema,
            self.first[which],
            self.second[which],
            self.answer[which],
            self.person[which],
        )

    def columns(self) -> tuple[Columns, Columns]:
        """The patients shown first and second, attribute by attribute."""
        names = list(SCHEMAS[self.schema].levels)
        first, second = (
            dict(zip(names, side.T, strict=True)) for side in (self.first, self.second)
        )
        return first, second

    def shown(self) -> list[Shown]:
        """The two profiles of each question, in the order shown."""
        both = zip(self.first.tolist(), self.second.tolist(), strict=True)
        return [(tuple(first), tuple(second)) for first, second in both]

    def pairs(self) -> list[Pair]:
        """The two profiles of each question, whichever was shown first."""
        return [frozenset(shown) for shown in self.shown()]

    def both_orders(self) -> "Examples":
        """Every answer twice: as given, then with the patients swapped; 2n examples."""
        return Examples(
            self.schema,
            np.concatenate([self.first, self.second]),
            np.concatenate([self.second, self.first]),
            np.concatenate([self.answer, _SWAPPED[self.answer]]),
            np.concatenate([self.person, self.person]),
        )

    def shuffled(self, seed: int) -> "Examples":
        """The same questions with the answers dealt out at random: nothing to learn but rates."""
        rng = np.random.default_rng([seed, 1])
        return replace(self, answer=rng.permutation(self.answer))


def drawn(judge: Judge, schema: str, n: int, seed: int, avoid: Collection[Pair] = ()) -> Examples:
    """One answer of each of n people, drawn from a judge's probabilities, about n random pairs.

    Parameters
    ----------
    avoid : collection of pairs
        Pairs that must not be asked about, since the result is to be judged by them.

    Raises
    ------
    InputError
        If there are fewer than n other pairs.
    """
    levels = [np.array(values, dtype=float) for values in SCHEMAS[schema].levels.values()]
    count = int(np.prod([len(values) for values in levels]))
    if n > count * (count - 1) // 2 - len(avoid):
        raise InputError(
            f"{n} answers: schema {schema!r} has {count * (count - 1) // 2} pairs, of which "
            f"{len(avoid)} are set aside to judge by; expected fewer answers, or fewer pairs to "
            "judge by"
        )
    rng = np.random.default_rng([seed, 0])
    seen = set(avoid)
    pairs: list[Shown] = []
    while len(pairs) < n:
        a, b = (tuple(float(rng.choice(values)) for values in levels) for _ in ("first", "second"))
        if a != b and frozenset((a, b)) not in seen:
            seen.add(frozenset((a, b)))
            pairs.append((a, b))
    first, second = np.array(pairs).transpose(1, 0, 2)
    unanswered = Examples(schema, first, second, np.zeros(n, dtype=int), np.arange(n))
    cumulative = judge.judge(*unanswered.columns()).cumsum(axis=1)
    answer = (rng.random(n)[:, None] > cumulative[:, :2]).sum(axis=1)
    return replace(unanswered, answer=answer)


def from_people(choices: Choices) -> Examples:
    """People's answers from a file.

    Raises
    ------
    InputError
        If they are not about the attributes of one of the schemas, which have words for a prompt.
    """
    schema = choices.asked.schema
    if schema not in SCHEMAS:
        raise InputError(
            f"{choices.source}: schema {schema!r}: a prompt needs words for its attributes: "
            f"expected one of {', '.join(SCHEMAS)}"
        )
    first, second = (
        np.stack([side[name] for name in SCHEMAS[schema].levels], axis=1).astype(float)
        for side in (choices.a, choices.b)
    )
    return Examples(schema, first, second, choices.answers.argmax(axis=1), choices.person)


def split(examples: Examples, share: float, seed: int) -> tuple[Examples, Examples]:
    """Examples to learn from, and a share of the people held out with every pair they judged.

    What others answered about a pair that is held out is in neither part.
    """
    people = np.unique(examples.person)
    out = max(1, round(share * len(people)))
    if len(people) - out < 1:
        raise InputError(f"{len(people)} people: expected 2 or more, so that some can be held out")
    chosen = np.random.default_rng([seed, 2]).permutation(people)[:out]
    held_out = np.isin(examples.person, chosen)
    pairs = examples.pairs()
    known = {pair for pair, hidden in zip(pairs, held_out, strict=True) if hidden}
    learned = ~held_out & np.array([pair not in known for pair in pairs])
    if not learned.any():
        raise InputError(
            f"{len(people)} people who judged the same pairs: holding some out with their pairs "
            "leaves nothing to learn from; expected people who judged different pairs"
        )
    return examples.rows(learned), examples.rows(held_out)
