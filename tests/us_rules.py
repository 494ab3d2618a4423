"""Match runs for the US rules, and those rules as sentences, read a second time.

The sentences give every candidate a key by which a kidney's candidates are ordered.
"""

import numpy as np
from match_run import Run

from policies.protocol import Kidney
from populations.formulae import epts_percent, epts_raw


def run(kdpi: float = 50.0, donor_age: float = 40.0, **columns) -> Run:
    """Candidates listed two years ago, on dialysis for one; age and EPTS follow from the rest."""
    match = Run(**columns)
    match.columns["age"] = match.time - match["birth"]
    match.columns["epts"] = epts_percent(raw_epts(match))
    match.kidney = Kidney(0, 0, kdpi, donor_age)
    return match


def raw_epts(match):
    on_dialysis = np.maximum(match.time - match["dialysis_start"], 0)
    age, prior = match.time - match["birth"], match["prior_transplant"]
    return epts_raw(age, match["diabetes"], prior, on_dialysis)


def varied(n: int, seed: int, kdpi: float = 50.0) -> Run:
    """Candidates among whom every condition of every table is common."""
    rng = np.random.default_rng(seed)
    mismatches = rng.integers(0, 3, (3, n)) * (rng.random(n) < 0.6)
    match = run(
        kdpi,
        donor_age=float(rng.uniform(20, 60)),
        birth=-rng.uniform(3, 80, n),
        diabetes=rng.integers(0, 2, n),
        prior_transplant=rng.integers(0, 2, n),
        listed=-rng.uniform(0, 8, n),
        dialysis_start=rng.uniform(-9, 3, n),
        cpra=rng.choice([0, 20.4, 20.5, 50, 79.4, 79.5, 90, 97.4, 98, 98.6, 99.4, 99.9], n),
        level=rng.integers(0, 3, n),
        distance_nm=rng.choice([3.0, 249.9, 250.0, 250.1, 800.0, 2600.0], n).astype(np.float32),
        mismatches_a=mismatches[0],
        mismatches_b=mismatches[1],
        mismatches_dr=mismatches[2],
        mismatches=mismatches.sum(axis=0),
        prior_living_donor=(rng.random(n) < 0.2).astype(np.int8),
        blood_type=rng.integers(0, 4, n),
    )

    def lent(function):
        """What is computed once is not the policy's to change."""
        values = Run.constant(match, function)
        values.setflags(write=False)
        return values

    match.constant = lent
    return match


def reach(c, who):
    """Place in the shared sub-list of candidates without a mismatch; None if not in it."""
    if c["zero"] and c["place"] == 0:
        return 0
    steps = [c["cpra"] >= 80, 21 <= c["cpra"] < 80]
    if who == "children too":
        steps = [steps[0], c["young"] and c["cpra"] >= 21, c["young"], steps[1]]
    for number, holds in enumerate(steps):
        if c["zero"] and holds:
            return 2 * number + c["place"]
    return None


def spoken_2014(c, letter):
    """Key by which candidates of one kidney are ordered, from the rules as sentences."""
    zero_second = 0 if c["zero"] else 1
    if c["cpra"] == 100:
        return (0, c["place"], zero_second)
    if c["cpra"] == 99 and c["place"] < 2:
        return (1, c["place"], zero_second)
    if c["cpra"] == 98 and c["place"] == 0:
        return (2, zero_second)
    top = c["epts"] <= 20 or c["young"]
    if letter == "D":
        found = reach(c, "adults")
        return (3, found) if found is not None else (4, int(c["place"] == 2))
    found = reach(c, "children too")
    if found is not None and (letter != "A" or top):
        return (3, found)
    if c["donor"] and c["place"] == 0:
        return (4,)
    if letter == "C":
        return (5, c["place"])
    if letter == "B":
        return (5, c["place"], 0 if c["listed_young"] else 1)
    among_peers = 0 if c["listed_young"] else 1 if top else 3
    found = reach(c, "adults")
    if found is not None and (c["place"] > 0 or among_peers == 3):
        return (5, 0, 2, found)  # after local children and local EPTS 20, before other locals
    return (5, c["place"], among_peers)


def spoken_2021(c, letter):
    zero_second = 0 if c["zero"] else 1
    if c["cpra"] == 100:
        return (0, c["place"], zero_second)
    inside = c["place"] == 0
    if c["donor"] and inside and letter != "D":
        return (1,)
    if c["listed_young"] and inside and letter in "AB":
        return (2,)
    if c["cpra"] >= 98 and inside:
        return (3, -c["cpra"], zero_second)
    top = c["epts"] <= 20 or c["young"]
    found = reach(c, "adults" if letter == "D" else "children too")
    if found is not None and (letter != "A" or top):
        return (4, found)
    if letter == "A" and top and inside:
        return (5,)
    found = reach(c, "adults")
    if letter == "A" and found is not None:
        return (6, found)
    if inside:
        return (7,)
    if letter in "AB" and c["listed_young"]:
        return (8,)
    return (9,) if letter == "A" and top else (10,)


def spoken_pre_kas(c, kind):
    found = reach(c, "adults" if kind == "expanded" else "children too")
    if found is not None:
        return (0, found)
    if kind != "expanded" and c["donor"] and c["place"] == 0:
        return (1,)
    child_second = 0 if kind == "young" and c["listed_young"] else 1
    return (2, c["place"], child_second)


def read_aloud(match, place, key):
    """Rank of each candidate's key, 0 first: equal classes are equal."""
    keys = []
    for i in range(len(match)):
        born = match["birth"][i]
        c = {
            "cpra": int(np.floor(match["cpra"][i] + 0.5)),
            "place": int(place[i]),
            "zero": match["mismatches"][i] == 0,
            "young": match.time - born < 18,
            "listed_young": match["listed"][i] - born < 18,
            "donor": match["prior_living_donor"][i] == 1,
            "epts": match["epts"][i],
        }
        keys.append(key(c))
    ranks = {each: number for number, each in enumerate(sorted(set(keys)))}
    return [ranks[each] for each in keys]


def dense(classes):
    return np.unique(classes, return_inverse=True)[1].tolist()
