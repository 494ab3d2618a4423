"""A match run made by hand, for tests of policies."""

import numpy as np

from policies.protocol import FURTHER, Kidney

_DEFAULTS = {
    "age": 50.0,
    "drinks_per_day": 1.0,
    "child_dependents": 0.0,
    "skin_cancer": 0,
    "blood_type": 0,
    "cpra": 0.0,
    "diabetes": 0,
    "prior_transplant": 0,
    "dialysis_years": 1.0,
    "epts": 50.0,
    "sex": 0,
    "race": 0,
    "insurance": 0,
    "neighbourhood": 0,
    "centre": 0,
    "waiting_years": 2.0,
    "life_years_gained": 1.0,
    "listed": -2.0,
    "dialysis_start": -1.0,
    "birth": -50.0,
    "level": 0,
    "distance_nm": 10.0,
    "mismatches_a": 1,
    "mismatches_b": 1,
    "mismatches_dr": 1,
    "mismatches": 3,
    "hla": np.uint64(0),
    "prior_living_donor": 0,
    "returned": 0,
}


class Run:
    """Candidates in order of listing; columns not given are the same for all.

    Every other slot is nobody's, so that a slot is never a place in the list.
    """

    def __init__(self, **columns) -> None:
        n = len(next(iter(columns.values())))
        self.columns = {name: np.full(n, value) for name, value in _DEFAULTS.items()}
        self.columns |= {"candidate": np.arange(n), "registration": np.arange(n)}
        self.columns |= {name: np.asarray(column) for name, column in columns.items()}
        self.kidney = Kidney(0, 0, 50.0, 45.0)
        self.time = 0.0

    def __len__(self) -> int:
        return len(self.columns["age"])

    def __getitem__(self, name):
        return self.columns[name]

    def constant(self, function):
        return function(self.columns)

    @property
    def slots(self):
        return 2 * np.arange(len(self)) + 1

    def first(self, count):
        return self.slots[:count]

    def top(self, function):
        values = self.constant(function)
        order = np.argsort(-values, kind="stable")
        tied = int(np.count_nonzero(values == values.max()))
        return self.slots[order][: max(FURTHER, tied)], tied

    def masked(self, function):
        everywhere = np.zeros(2 * len(self) + 1)
        everywhere[self.slots] = self.constant(function)
        return everywhere

    def one(self, place: int) -> dict:
        """Columns of one candidate, as a judge takes them."""
        return {name: column[[place]] for name, column in self.columns.items()}


def people(n: int, seed: int = 0) -> Run:
    """A match run of n different people."""
    rng = np.random.default_rng(seed)
    return Run(
        age=rng.uniform(25, 70, n),
        drinks_per_day=rng.integers(1, 6, n).astype(float),
        child_dependents=rng.integers(0, 3, n).astype(float),
        skin_cancer=rng.integers(0, 2, n),
        race=rng.integers(0, 5, n),
        registration=rng.permutation(10 * n)[:n],
        life_years_gained=rng.normal(2, 1, n),
        cpra=rng.uniform(0, 100, n),
        listed=np.sort(-rng.uniform(0, 5, n)),
        dialysis_start=rng.uniform(-5, 5, n),
    )
