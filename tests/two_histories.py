"""Two histories of the same six candidates, traced by hand: under a reference, and under an arm."""

import numpy as np
import pandas as pd

from populations.schema import SCHEMA
from sim.record import Record

COLUMNS = ["listed", "age", "sex", "race", "exit", "fate", "death"]
REFERENCE = [
    (-1.0, 40.0, "male", "White", 1.5, "transplanted", 9.0),
    (0.0, 40.0, "male", "White", 2.0, "died", 2.0),
    (0.0, 40.0, "female", "Black", 0.5, "transplanted", 2.5),
    (0.5, 40.0, "female", "Black", 3.0, "waiting", 9.0),
    (1.0, 70.0, "male", "Black", 2.25, "too_sick", 2.75),
    (1.0, 70.0, "female", "White", 2.5, "transplanted", 2.75),
]
# 0 is transplanted later, 1 gains (and lives on), 2 loses (and dies at 1), 5 is earlier.
ARM = [
    (-1.0, 40.0, "male", "White", 2.5, "transplanted", 9.0),
    (0.0, 40.0, "male", "White", 0.5, "transplanted", 9.0),
    (0.0, 40.0, "female", "Black", 1.0, "died", 1.0),
    (0.5, 40.0, "female", "Black", 3.0, "waiting", 9.0),
    (1.0, 70.0, "male", "Black", 2.25, "too_sick", 2.75),
    (1.0, 70.0, "female", "White", 1.5, "transplanted", 2.0),
]


def make_record(rows: list[tuple], kidneys: tuple[int, ...] = (), **meta) -> Record:
    people = pd.DataFrame(rows, columns=COLUMNS)
    n = len(people)
    candidates = pd.DataFrame({"candidate": np.arange(n), "listed": people["listed"]})
    for name, attribute in SCHEMA.items():
        default = attribute.levels[0] if attribute.levels else attribute.low
        candidates[name] = people.get(name, pd.Series([default] * n))
    fates = people[["exit", "fate", "death"]].assign(
        candidate=np.arange(n), entry=people["listed"].clip(lower=0.0), kidney=kidneys or -1
    )
    empty = pd.DataFrame()
    base = {"years": 3.0, "exogenous": "same"}
    return Record(candidates, fates, empty, empty, empty, base | meta)


A, B = make_record(REFERENCE), make_record(ARM)


def pick(frame: pd.DataFrame, **keys) -> pd.Series:
    for name, key in keys.items():
        frame = frame[frame[name] == key]
    assert len(frame) == 1
    return frame.iloc[0]
