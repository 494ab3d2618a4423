"""Simulated answers in the shape of a choice study with a coin: 132 people, 5,297 answers."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

SCALE = {"age": (25.0, 70.0), "drinks_per_day": (1.0, 5.0), "child_dependents": (0.0, 2.0)}
HUMAN = np.array([-1.675, -1.163, 1.222])
LOG_TIE = -0.504
PEOPLE, ANSWERS = 132, 5297
SPANS = np.array([45.0, 4.0, 2.0])


def profiles(n: int, rng: np.random.Generator) -> np.ndarray:
    """Age, drinks and dependents of n patients, shape (n, 3)."""
    return np.stack(
        [rng.integers(25, 71, n), rng.integers(1, 6, n), rng.integers(0, 3, n)], axis=1
    ).astype(float)


def columns(patients: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(SCALE, patients.T, strict=True))


def davidson(s: np.ndarray, log_tie: np.ndarray | float) -> np.ndarray:
    """P(first), P(second), P(coin) written out from the definition."""
    worth = np.stack([np.exp(s), np.exp(-s), np.exp(log_tie) + 0 * s], axis=1)
    return worth / worth.sum(axis=1, keepdims=True)


def drawn(chances: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One-hot answers."""
    return np.eye(3)[(rng.random((len(chances), 1)) > chances.cumsum(axis=1)).sum(axis=1)]


def study(
    rng: np.random.Generator,
    weights: np.ndarray = HUMAN,
    log_tie: np.ndarray | float = LOG_TIE,
    order: float = 0.0,
    n: int = ANSWERS,
    people: int = PEOPLE,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Left, right, one-hot answers and person; ``weights`` and ``log_tie`` may be per person."""
    left, right = profiles(n, rng), profiles(n, rng)
    person = np.arange(n) % people
    own = np.broadcast_to(weights, (people, 3))[person]
    s = np.sum((left - right) / SPANS * own, axis=1) + order
    ties = np.broadcast_to(log_tie, people)[person]
    return left, right, drawn(davidson(s, ties), rng), person


def write_csv(
    path: Path,
    left: np.ndarray,
    right: np.ndarray,
    answers: np.ndarray,
    person: np.ndarray,
    coding: Sequence[str] = ("left", "right", "coin"),
) -> Path:
    header = [
        "person",
        "decision",
        *(f"{side}_{name}" for side in ("left", "right") for name in SCALE),
    ]
    rows = zip(person, answers.argmax(axis=1), left, right, strict=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for who, answer, one, other in rows:
            values = [f"{value:g}" for value in (*one, *other)]
            writer.writerow([f"p{who}", coding[answer], *values])
    return path
