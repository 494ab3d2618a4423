"""A language model in this process: a function of the patients shown, behind the door."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from policies.answers import Answer, AnswerStore
from policies.categories import categorise
from policies.reading import Form

Said = Callable[[list[str]], list[float]]


class FakeModel:
    """``said(patients)`` gives the probability of each patient, then of the coin."""

    def __init__(self, said: Said) -> None:
        self.said = said
        self.asked: list[tuple[str, ...]] = []
        self.opened: list[str] = []
        self.cost, self.stopped = 0.0, False

    def __call__(self, messages: list[dict[str, str]], sample: int = 0) -> Answer:
        patients = re.findall(r"Patient [A-J]: (.*)", messages[-1]["content"])
        self.asked.append(tuple(patients))
        *chosen, coin = self.said(patients)
        other = max(0.0, 1.0 - sum(chosen) - coin)
        category = categorise(chosen, coin, other, "I cannot choose.")
        return Answer(tuple(map(float, chosen)), float(coin), other, category, "logprobs", "")

    async def answer(self, messages: list[dict[str, str]], sample: int) -> Answer:
        return self(messages)

    def stop(self) -> None:
        pass

    def serve(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Be the model that is asked, under any name."""
        serve(monkeypatch, lambda name: self)


def serve(monkeypatch: pytest.MonkeyPatch, model_of: Callable[[str], FakeModel]) -> None:
    """Answer for every model, by its name; without waiting for the disk at every answer."""

    @contextmanager
    def asking(name: str, form: Form, limits: object = None) -> Iterator[FakeModel]:
        model_of(name).opened.append(name)
        yield model_of(name)

    opened = AnswerStore.__init__

    def quick(store: AnswerStore, path: Path) -> None:
        opened(store, path)
        store._connection.execute("PRAGMA synchronous = OFF")

    monkeypatch.setattr(AnswerStore, "__init__", quick)
    monkeypatch.setattr("policies.elicit.asking", asking)
    monkeypatch.setattr("policies.live.asking", asking)


def age(patient: str) -> int:
    """Age in a patient's description."""
    return int(patient.split()[0])


def younger(patients: list[str]) -> list[float]:
    """The youngest; a coin among several of that age."""
    ages = list(map(age, patients))
    if ages.count(min(ages)) > 1:
        return [0.0] * len(ages) + [1.0]
    return [float(age == min(ages)) for age in ages] + [0.0]


def first(patients: list[str]) -> list[float]:
    """Whoever is shown first."""
    return [1.0] + [0.0] * len(patients)
