"""One run: who is counted where, what the record says, what Mesa shows, what never changes."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.davidson import Band
from policies.forced import force
from policies.human import human, human_assembly
from policies.protocol import Choice
from policies.rules import FirstCome, LifeYears, Lottery, Points
from populations.presets import load_population
from populations.schema import SCHEMA
from populations.world import DEPARTURES, World, make_world
from sim.agents import Patient
from sim.detail import Detail
from sim.lots import LOTTERIES
from sim.record import FATES, TABLES, Record
from sim.waitlist import Waitlist, simulate

POLICIES = [
    FirstCome(),
    Points(),
    Lottery(),
    human(),
    human_assembly(),
    LifeYears(),
    force(human(), "argmax"),
    force(Lottery(), "stable_id"),
]


@cache
def world(seed: int = 1, years: float = 3.0, number: int = 0, *overrides: str) -> World:
    return make_world(load_population("teaching", overrides).parameters, seed, number, years)


def assert_same(a: Record, b: Record) -> None:
    for table in TABLES:
        pd.testing.assert_frame_equal(getattr(a, table), getattr(b, table), check_exact=True)


def assert_conserved(record: Record, w: World) -> None:
    snapshots = record.snapshots
    assert (snapshots[list(FATES)].sum(axis=1) == snapshots["listed"]).all()
    listed, fates, returns = w.candidates["listed"], record.fates, record.returns
    for row in snapshots.itertuples():
        back = returns["listed"] <= row.time
        assert row.listed == np.count_nonzero(listed <= row.time) + back.sum()
        gone = sum(
            ((table["exit"] <= row.time) & (table["fate"] != "waiting")).sum()
            for table in (fates, returns)
        )
        assert row.waiting == row.listed - gone
    assert len(fates) == np.count_nonzero(listed <= record.years)
    assert set(returns["candidate"]) <= set(fates["candidate"][fates["graft_failure"] < w.years])
    used = (record.decisions["outcome"] == "transplanted").sum()
    assert used == sum((table["fate"] == "transplanted").sum() for table in (fates, returns))


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    initial=st.integers(0, 40),
    arrivals=st.integers(0, 60),
    kidneys=st.integers(0, 60),
    rule=st.sampled_from(["identical", "compatible"]),
    policy=st.sampled_from(POLICIES),
    discretion=st.sampled_from(["all", "pair", "top:3"]),
    lottery=st.sampled_from(LOTTERIES),
)
def test_everyone_listed_is_in_exactly_one_place(
    seed, initial, arrivals, kidneys, rule, policy, discretion, lottery
) -> None:
    overrides = [
        f"list.initial={initial}",
        f"arrivals.per_year={arrivals}",
        f"kidneys.per_year={kidneys}",
        f'allocation.blood_groups="{rule}"',
    ]
    w = make_world(load_population("teaching", overrides).parameters, seed, 0, 2.0)
    record = simulate(w, policy, discretion, lottery=lottery)
    assert_conserved(record, w)
    assert len(record.decisions) == len(w.kidneys["time"])
    assert record.snapshots["time"].tolist() == [0.25 * quarter for quarter in range(9)]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_a_transplant_comes_while_waiting_and_once(policy) -> None:
    w = world()
    record = simulate(w, policy)
    assert_conserved(record, w)
    fates = record.fates
    got = fates[fates["fate"] == "transplanted"]
    assert len(got) > 20
    assert (got["exit"] >= w.candidates["listed"][got["candidate"]]).all()
    assert (got["exit"] < w.departure[got["candidate"]]).all()
    np.testing.assert_array_equal(w.kidneys["time"][got["kidney"]], got["exit"])
    assert got["kidney"].is_unique
    used = record.decisions[record.decisions["outcome"] == "transplanted"]
    assert used["kidney"].is_unique
    again = record.returns[record.returns["fate"] == "transplanted"]
    both = pd.concat([got, again])
    pairs = used.set_index("kidney")["candidate"]
    assert sorted(pairs.items()) == sorted(zip(both["kidney"], both["candidate"], strict=True))
    others = fates[~fates["fate"].isin(["transplanted", "waiting"])]
    np.testing.assert_array_equal(others["exit"], w.departure[others["candidate"]])
    causes = np.array(DEPARTURES)[w.departure_cause[others["candidate"]]]
    np.testing.assert_array_equal(others["fate"].astype(str), causes)
    still = fates[fates["fate"] == "waiting"]["candidate"]
    assert (w.departure[still] > w.years).all()


def test_the_survival_of_a_recipient_belongs_to_the_pair_not_to_the_policy() -> None:
    w = world(1, 3.0, 0, "relisting.share=0", "cold_time.hours_per_offer=0")
    records = [simulate(w, policy).people() for policy in (FirstCome(), Lottery(), Points())]
    pairs: dict[tuple[int, int], float] = {}
    shared = 0
    for people in records:
        got = people[people["fate"] == "transplanted"]
        for row in got.itertuples():
            key = (row.candidate, row.kidney)
            shared += key in pairs
            assert pairs.setdefault(key, row.death) == row.death
            assert row.death > row.exit
        rest = people[people["fate"] != "transplanted"]
        np.testing.assert_array_equal(rest["death"], rest["untreated_death"])
    assert shared > 0


def test_a_second_run_is_identical_and_no_other_arm_matters() -> None:
    w = world()
    alone = {policy.name: simulate(w, policy) for policy in POLICIES}
    for policy in reversed(POLICIES):
        assert_same(simulate(w, policy), alone[policy.name])
    assert {record.meta["exogenous"] for record in alone.values()} == {w.digest()}
    again = make_world(w.parameters, w.seed, w.number, w.years)
    assert_same(simulate(again, human()), alone["human"])


def test_a_tie_seed_changes_nothing_but_tickets() -> None:
    w = world()
    zero, one = (simulate(w, Lottery(), tie_seed=seed) for seed in (0, 1))
    assert zero.meta["exogenous"] == one.meta["exogenous"]
    assert zero.meta["tie_seed"] == 0 and one.meta["tie_seed"] == 1
    assert not np.array_equal(zero.fates["kidney"], one.fates["kidney"])
    pd.testing.assert_frame_equal(zero.candidates, one.candidates)
    no_lots = [simulate(w, FirstCome(), tie_seed=seed) for seed in (0, 1)]
    assert_same(*no_lots)


@pytest.mark.parametrize("policy", [Lottery(), human(), Points()], ids=lambda p: p.name)
def test_a_longer_run_begins_with_the_shorter_one(policy) -> None:
    short, long = simulate(world(1, 1.5), policy), simulate(world(1, 3.0), policy)
    kidneys = len(short.decisions)
    pd.testing.assert_frame_equal(
        short.decisions, long.decisions.iloc[:kidneys], check_categorical=False
    )
    pd.testing.assert_frame_equal(short.offers, long.offers.iloc[: len(short.offers)])
    pd.testing.assert_frame_equal(short.snapshots, long.snapshots.iloc[: len(short.snapshots)])
    left = short.fates[short.fates["fate"] != "waiting"]
    left = left[~left["candidate"].isin(long.returns["candidate"])]  # who returns dies otherwise
    pd.testing.assert_frame_equal(left, long.fates.loc[left.index])


def test_running_in_pieces_is_running_in_one_go() -> None:
    w = world()
    model = Waitlist(w, human())
    model.run_for(0.4)
    model.run_until(1.1)
    model.run_for(0.9)
    half = model.record()
    assert half.years == model.time == pytest.approx(2.0)
    assert_conserved(half, w)
    model.run_until(w.years)
    assert_same(model.record(), simulate(w, human()))


def test_mesa_sees_a_patient_for_everyone_who_waits() -> None:
    w = world()
    model = Waitlist(w, human())
    seen = set()
    for time in (0.3, 0.7, 1.9):
        model.run_until(time)
        model._advance_to(time)  # the list is brought up to date only when something happens
        waiting = np.flatnonzero(model.fate == FATES.index("waiting"))
        assert not model.grafts.returns
        patients = model.agents_by_type[Patient]
        assert sorted(patient.row for patient in patients) == waiting.tolist()
        assert all(patient in model.agents for patient in patients)
        seen.add(len(patients))
        for patient in list(patients)[:5]:
            row = patient.row
            columns = w.candidates
            assert patient.age == pytest.approx(time - columns["birth"][row])
            assert patient.waiting_years == pytest.approx(time - columns["listed"][row])
            assert patient.dialysis_years == pytest.approx(
                max(time - columns["dialysis_start"][row], 0.0)
            )
            assert patient.cpra == columns["cpra"][row]
            assert patient.race == SCHEMA["race"].levels[columns["race"][row]]
            with pytest.raises(AttributeError, match="shoe_size"):
                _ = patient.shoe_size
    assert len(seen) > 1


class _Youngest:
    """A policy as a user writes it: columns in, a vector of chances out."""

    name = "youngest"

    def __init__(self) -> None:
        self.runs: list[tuple[float, np.ndarray]] = []

    def choose(self, match) -> Choice:
        age = match["age"]
        self.runs.append((match.time, match["candidate"]))
        assert age.shape == (len(match),)
        assert (np.diff(match["waiting_years"]) <= 0).all()  # longest listed first
        return Choice((age == age.min()).astype(float), 0.0)


@pytest.mark.parametrize("rule", ["identical", "compatible"])
def test_a_plain_policy_sees_exactly_who_may_take_the_kidney(rule) -> None:
    w = world(1, 1.0, 0, f'allocation.blood_groups="{rule}"')
    policy = _Youngest()
    record = simulate(w, policy)
    asked = record.decisions[record.decisions["outcome"] != "no_candidate"]
    first_asked = {}
    for time, candidates in policy.runs:
        first_asked.setdefault(time, candidates)
    gone = np.minimum(w.departure, _transplant_times(record, len(w.departure)))
    c = w.candidates
    for kidney in asked.drop_duplicates("time").itertuples():
        number, time = kidney.kidney, kidney.time
        on_list = (c["listed"] <= time) & (gone >= time) & (w.departure > time)
        before = w.status_time <= time
        active = w.active_at_entry.copy()
        active[w.status_row[before]] = w.status_active[before]
        on_list &= active
        fits = [_fits(w, row, number) for row in range(len(c["listed"]))]
        pool = on_list & fits
        donor = w.kidneys["blood_type"][number]
        if rule == "identical" and (pool & (c["blood_type"] == donor)).any():
            pool &= c["blood_type"] == donor
        else:
            pool &= [_compatible(donor, group) for group in c["blood_type"]]
        np.testing.assert_array_equal(first_asked[time], np.flatnonzero(pool))
        assert kidney.eligible == pool.sum()


def _transplant_times(record: Record, n: int) -> np.ndarray:
    times = np.full(n, np.inf)
    got = record.fates[record.fates["fate"] == "transplanted"]
    times[got["candidate"]] = got["exit"]
    return times


def _fits(w: World, row: int, kidney: int) -> bool:
    """Whether the donor has none of the antigens that the candidate has antibodies against."""
    return int(w.kidneys["hla"][kidney]) & int(w.candidates["unacceptable"][row]) == 0


def _compatible(donor: int, recipient: int) -> bool:
    antigens = ["", "A", "B", "AB"]
    return set(antigens[donor]) <= set(antigens[recipient])


def test_no_kidney_means_no_decision() -> None:
    w = world()
    bare = replace(w, kidneys={name: column[:0] for name, column in w.kidneys.items()})
    record = simulate(bare, human())
    assert len(record.decisions) == len(record.offers) == 0
    assert "transplanted" not in set(record.fates["fate"])
    assert_conserved(record, bare)


@cache
def long_record() -> Record:
    """Long enough that some come back to the list twice."""
    return simulate(world(1, 30.0, 0, "relisting.share=1"), Points())


def test_people_come_back_more_than_once_and_leave_when_it_is_their_time() -> None:
    record = long_record()
    returns = record.returns
    assert returns["candidate"].duplicated().any()
    assert_conserved(record, world(1, 30.0, 0, "relisting.share=1"))
    death = record.fates["death"].to_numpy()
    died = returns[returns["fate"] == "died"]
    assert len(died) > 5
    np.testing.assert_array_equal(died["exit"], death[died["candidate"]])
    later = returns.sort_values("listed").groupby("candidate")
    for _, mine in later:
        assert (mine["listed"].to_numpy()[1:] > mine["graft_failure"].to_numpy()[:-1]).all()
        assert (mine["fate"].iloc[:-1] == "transplanted").all()
    assert (returns["listed"] < death[returns["candidate"]]).all()


def test_a_match_run_is_in_order_of_listing_with_those_who_came_back() -> None:
    class Looks:
        name = "looks"
        returned = 0

        def choose(self, match) -> Choice:
            assert (np.diff(match["waiting_years"]) <= 0).all()
            self.returned += int(match["returned"].sum())
            return Points().choose(match)

    looks = Looks()
    simulate(world(1, 12.0, 0, "relisting.share=1"), looks)
    assert looks.returned > 0


def test_a_claim_is_as_at_first_listing_whoever_came_back() -> None:
    class Judges:
        name = "cPRA"

        def choose(self, match) -> Choice:
            return Lottery().choose(match)

        def judge(self, a, b) -> np.ndarray:
            higher = a["cpra"] + 50.0 * a["prior_transplant"]
            share = 1.0 / (1.0 + np.exp(b["cpra"] + 50.0 * b["prior_transplant"] - higher))
            return np.stack([share, 1.0 - share, np.zeros_like(share)], axis=1)

    w = world(1, 12.0, 0, "relisting.share=1")
    detail = Detail(Judges(), lambda p, q: (0.0, 0.0, 0.0, q > 0))
    records = [simulate(w, policy, detail=detail) for policy in (Points(), Lottery())]
    assert all(len(record.returns) for record in records)
    np.testing.assert_array_equal(*(record.candidates["claim"] for record in records))


def test_a_band_is_used_up_in_order_before_the_policy_is_asked_again() -> None:
    """Taking the coin away changes who is first among the tied, not whom a refusal passes to."""
    w = world()
    band = Band("band", human(), 0.3)
    for mode in ("first_listed", "last_listed"):
        forced = force(band, mode)
        seen = 0

        class Compares:
            name = "compares"

            def choose(self, match) -> Choice:
                nonlocal seen
                choice = forced.choose(match)  # noqa: B023
                order = [*choice.slots.tolist(), *choice.then.tolist()]
                tied = match.slots[band.tied(match)].tolist()
                assert order == (tied if mode == "first_listed" else tied[::-1])  # noqa: B023
                seen += len(tied) > 1
                return choice

        simulate(w, Compares())
        assert seen > 5
