"""The lots as they fell: the record's tallies, and what is made of them."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from statsmodels.stats.proportion import proportion_confint

from measures import decisions, lots
from measures.claims import broome_gap
from measures.inequality import chance_inequality
from policies.davidson import Band
from policies.forced import force
from policies.human import human
from policies.protocol import Choice, Policy
from policies.rules import FirstCome, Lottery
from populations.presets import load_population
from populations.schema import AGE_BANDS, SCHEMA
from populations.world import World, make_world
from sim import detail as sim_detail
from sim.detail import Detail
from sim.record import GROUPINGS, TIE_COLUMNS, Record
from sim.waitlist import simulate

BAND, LOTTERY = Band("band", human(), 0.4), Lottery()
JUDGES = [human(), BAND, force(human(), "stable_id")]
FATES = ["chance", "reference_chance", "considered", "fair_wins", "wins", "ever_won"]
FATES += ["exposure", "exposure_before"]


@cache
def world(years: float = 3.0, *overrides: str) -> World:
    return make_world(load_population("teaching", overrides).parameters, 2, 0, years)


class Listening:
    """A policy, and what a reference says of the same match runs; keeps each kidney's first."""

    def __init__(self, policy: Policy, reference: Policy) -> None:
        self.name, self.policy, self.reference = policy.name, policy, reference
        self.runs: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    def choose(self, match) -> Choice:
        choice = self.policy.choose(match)
        dense = [decider.choose(match).dense(match) for decider in (self.policy, self.reference)]
        self.runs.setdefault(match.kidney.number, (match["candidate"], *dense))
        return choice


def by_the_definition(listening: Listening, record: Record) -> tuple[pd.DataFrame, list[dict]]:
    """The tallies again, one candidate at a time."""
    people = record.people()
    table = {name: [0.0] * len(people) for name in FATES}
    draws = []
    offers = record.offers[record.offers["offer"] == 0].set_index("kidney")["candidate"]
    for kidney, (who, q, h) in listening.runs.items():
        mask = decisions.favourites(h)
        inside = dict(zip(who[mask].tolist(), h[mask].tolist(), strict=True))
        for k, i in enumerate(who):
            table["chance"][i] += q[k]
            table["reference_chance"][i] += h[k]
            table["considered"][i] += int(i) in inside
        first = offers.get(kidney, -1)
        if len(inside) < 2 or first not in inside:
            continue
        draw = {"kidney": kidney, "winner": first}
        for i, chance in inside.items():
            share = chance / sum(inside.values())
            table["fair_wins"][i] += share
            if not table["ever_won"][i]:
                table["exposure"][i] -= np.log(1 - share)
                table["exposure_before"][i] -= np.log(1 - share) if i != first else 0.0
            for grouping in GROUPINGS:
                name = f"{grouping}.{people[grouping].iloc[i]}"
                draw[name] = draw.get(name, 0.0) + share
        table["wins"][first] += 1
        table["ever_won"][first] = 1.0
        draws.append(draw)
    return pd.DataFrame(table), draws


@pytest.mark.parametrize("policy", [human(), FirstCome(), Lottery()], ids=lambda p: p.name)
@pytest.mark.parametrize("reference", [human(), BAND], ids=lambda p: p.name)
def test_the_tallies_are_their_definition(policy, reference, monkeypatch) -> None:
    monkeypatch.setattr(sim_detail, "_LEAST_HELD", 500)  # added up more than once
    listening = Listening(policy, reference)
    record = simulate(world(), listening, detail=Detail(reference, decisions.compare))
    expected, draws = by_the_definition(listening, record)
    pd.testing.assert_frame_equal(
        record.fates[FATES].astype(float), expected.astype(float), rtol=1e-9, atol=1e-12
    )
    assert len(record.ties) == len(draws) >= 3
    shares = pd.DataFrame(draws, columns=list(TIE_COLUMNS)).fillna(0.0)
    pd.testing.assert_frame_equal(record.ties, shares, check_dtype=False, rtol=1e-9)
    assert record.fates["considered"].dtype == record.fates["wins"].dtype == np.int64
    assert record.fates["ever_won"].dtype == bool
    np.testing.assert_allclose(record.fates["fair_wins"].sum(), record.fates["wins"].sum())
    for grouping in GROUPINGS:  # every draw's shares add up to one, whoever is counted
        levels = AGE_BANDS if grouping == "age_band" else SCHEMA[grouping].levels
        mine = record.ties[[f"{grouping}.{level}" for level in levels]]
        np.testing.assert_allclose(mine.sum(axis=1), 1.0)


def test_tallies_are_of_now_and_survive_the_disk(tmp_path) -> None:
    detail = Detail(human(), decisions.compare)
    record = simulate(world(), human(), detail=detail)
    record.save(tmp_path)
    pd.testing.assert_frame_equal(Record.load(tmp_path).ties, record.ties)
    bare = simulate(world(), human())
    assert list(bare.ties.columns) == list(record.ties.columns) and len(bare.ties) == 0
    assert not {*FATES, "claim"} & {*bare.fates, *bare.candidates}
    bare.save(tmp_path / "bare")
    pd.testing.assert_frame_equal(Record.load(tmp_path / "bare").ties, bare.ties)


def test_a_policy_may_use_its_array_again() -> None:
    class Reusing:
        name = "reusing"
        buffer = np.zeros(10_000)

        def choose(self, match) -> Choice:
            chances = self.buffer[: len(match)]
            chances[:] = Lottery().choose(match).dense(match)
            return Choice(chances, 1.0)

    detail = Detail(human(), decisions.compare)
    one, two = (simulate(world(), policy, detail=detail) for policy in (Reusing(), Lottery()))
    pd.testing.assert_series_equal(one.fates["chance"], two.fates["chance"])


# --- claims -------------------------------------------------------------------------------------


def claims(w: World, reference: Policy, policy: Policy = LOTTERY) -> np.ndarray:
    detail = Detail(reference, decisions.compare)
    return simulate(w, policy, detail=detail).candidates["claim"].to_numpy()


@pytest.mark.parametrize("judge", JUDGES, ids=lambda j: j.name)
def test_a_claim_is_the_share_of_others_one_is_preferred_to(judge) -> None:
    """In a world so small that everybody is in the sample; against every pair one by one."""
    w = world(1.0, "list.initial=20", "arrivals.per_year=10")
    n = len(w.candidates["listed"])
    assert 20 < n <= 64
    one = [{name: column[[i]] for name, column in w.candidates.items()} for i in range(n)]
    for i, claim in enumerate(claims(w, judge)):
        answers = [judge.judge(one[i], one[j])[0] for j in range(n) if j != i]
        assert claim == pytest.approx(np.mean([a + coin / 2 for a, _, coin in answers]))


def test_claims_are_the_worlds_and_of_a_sample_of_it(monkeypatch) -> None:
    w = world(1.0)
    found = claims(w, human())
    np.testing.assert_array_equal(found, claims(w, human(), FirstCome()))
    assert (found >= 0).all() and (found <= 1).all()
    monkeypatch.setattr(sim_detail, "_CHUNK", 70)
    np.testing.assert_allclose(claims(w, human()), found, rtol=1e-12)
    monkeypatch.setattr(sim_detail, "_COMPARED_WITH", 10_000)  # everybody
    everybody = claims(w, human())
    assert everybody.mean() == pytest.approx(0.5)
    assert np.abs(found - everybody).mean() < 0.05
    assert np.corrcoef(found, everybody)[0, 1] > 0.99
    assert (claims(w, Lottery()) == 0.5).all()


def test_no_claims_without_a_judge_of_pairs() -> None:
    record = simulate(world(), human(), detail=Detail(FirstCome(), decisions.compare))
    assert "claim" not in record.candidates
    alone = world(1.0, "list.initial=1", "arrivals.per_year=0")
    assert np.isnan(claims(alone, human())).all()


# --- the distribution of wins -------------------------------------------------------------------

PROBABILITIES = st.lists(st.floats(0.0, 1.0), max_size=40)


@given(PROBABILITIES)
def test_poisson_binomial_against_one_trial_after_the_other(p) -> None:
    expected = np.ones(1)
    for chance in p:
        expected = np.convolve(expected, [1 - chance, chance])
    found = lots.poisson_binomial(np.array(p))
    np.testing.assert_allclose(found[: len(expected)], expected, atol=1e-13)
    np.testing.assert_allclose(found[len(expected) :], 0.0, atol=1e-13)


def test_poisson_binomial_of_many_equal_trials_is_the_binomial() -> None:
    found = lots.poisson_binomial(np.full(5000, 0.2))
    np.testing.assert_allclose(found[:5001], binom.pmf(np.arange(5001), 5000, 0.2), atol=1e-13)


@pytest.mark.parametrize("count", [0, 3, 20, 37, 60])
def test_p_and_limits_where_all_chances_are_equal(count) -> None:
    """Then the tail is a binomial's and the score interval Wilson's."""
    p = np.full(60, 0.35)
    tails = binom.cdf(count, 60, 0.35), binom.sf(count - 1, 60, 0.35)
    assert lots.two_sided(count, p) == pytest.approx(min(1, max(2 * min(tails), 1e-10)), abs=1e-12)
    expected = 60 * np.array(proportion_confint(count, 60, method="wilson"))
    assert lots.tilted_limits(count, p) == pytest.approx(expected, abs=1e-4)


def test_limits_cover_a_tilt_of_the_odds() -> None:
    rng = np.random.default_rng(0)
    p = rng.beta(1, 4, 300)
    odds = 1.7 * p / (1 - p)
    tilted = odds / (1 + odds)
    inside = 0
    for _ in range(400):
        low, high = lots.tilted_limits(int((rng.random(300) < tilted).sum()), p)
        inside += low <= tilted.sum() <= high
    assert 0.92 < inside / 400 < 0.98


# --- measures -----------------------------------------------------------------------------------


def record_of(shares: list[dict[str, float]], winners: list[str], **meta) -> Record:
    """Draws among one woman and one man each time, by the shares of the two."""
    ties = pd.DataFrame(0.0, index=range(len(shares)), columns=list(TIE_COLUMNS))
    for i, (share, winner) in enumerate(zip(shares, winners, strict=True)):
        ties.loc[i, "winner"] = ["female", "male"].index(winner) + 10
        for group, value in share.items():
            ties.loc[i, f"sex.{group}"] = value
    people = pd.DataFrame({"candidate": [11, 10], "sex": ["male", "female"]})
    fates = pd.DataFrame({"candidate": [11, 10], "fair_wins": [1.0, 1.0]})
    nothing = pd.DataFrame()
    return Record(people, fates, nothing, nothing, nothing, {"lottery": "fresh"} | meta, ties)


def test_tie_ledger_by_hand() -> None:
    shares = [{"female": 0.5, "male": 0.5}] * 3 + [{"female": 0.25, "male": 0.75}, {"male": 1.0}]
    record = record_of(shares, ["female", "female", "female", "female", "male"])
    found = lots.tie_ledger(record, "sex").set_index("group")
    assert found.loc["female", ["numerator", "denominator"]].tolist() == [4, 1.75]
    assert found.loc["male", ["numerator", "denominator"]].tolist() == [1, 3.25]
    assert found["value"].tolist() == pytest.approx([4 / 1.75, 1 / 3.25])
    # All four open draws, at 1/2, 1/2, 1/2 and 1/4; the fifth could not be lost by men.
    assert found["p"].tolist() == pytest.approx([2 / 32, 2 / 32])
    low, high = found.loc["male", ["low", "high"]]
    assert low == pytest.approx(1 / 3.25)  # the sure one, and none of the others
    assert low < 1 / 3.25 + 1e-9 < high < 1
    assert found["note"].tolist() == ["p = 0.063"] * 2


def test_tie_ledger_says_what_it_does_not_know() -> None:
    record = record_of([{"female": 1.0}], ["female"])
    found = lots.tie_ledger(record, "sex").set_index("group")
    assert found.loc["male", "note"] == "no draws within H for this group"
    for_life = record_of([{"female": 0.5, "male": 0.5}], ["male"], lottery="persistent")
    found = lots.tie_ledger(for_life, "sex")
    assert found["value"].tolist() == [0.0, 2.0] and found[["low", "high", "p"]].isna().all(
        axis=None
    )
    assert found["note"].str.contains("for life").all()
    bare = replace(record, fates=record.fates[["candidate"]], ties=record.ties.iloc[:0])
    for table in (lots.tie_ledger(bare, "sex"), lots.repeat_losers(bare, "sex")):
        assert table["note"].eq('recorded only with detail="full"').all()


def fair_histories(n: int, seed: int) -> pd.DataFrame:
    """Candidates in draws of two to ten, won as fair lots would have it, until they leave."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(n):
        draws = rng.geometric(0.15)
        share = 1 / rng.choice([2, 3, 10], draws)
        won = np.flatnonzero(rng.random(draws) < share)
        until = int(won[0]) + 1 if won.size else draws
        steps = -np.log(1 - share[:until])
        before = steps.sum() - (steps[-1] if won.size else 0.0)
        rows.append((won.size > 0, steps.sum(), before))
    table = pd.DataFrame(rows, columns=["ever_won", "exposure", "exposure_before"])
    return table.assign(fate="other", considered=1)


def with_fates(fates: pd.DataFrame) -> Record:
    people, nothing = pd.DataFrame({"candidate": np.arange(len(fates))}), pd.DataFrame()
    return Record(people, fates, nothing, nothing, nothing, {})


def test_fair_lots_leave_what_they_should() -> None:
    """Also where draws are among two or three, so that exposure grows by leaps."""
    inside = np.zeros(3)
    for seed in range(60):
        found = lots.repeat_losers(with_fates(fair_histories(400, seed)))[:3]
        fair = np.array(lots.FAIR_SHARES)
        inside += (found["low"] <= fair) & (found["high"] >= fair)
    assert (inside[:2] >= 53).all()  # hardly any of 400 are followed to the third
    large = lots.repeat_losers(with_fates(fair_histories(40_000, 1)))
    assert large["value"][:2].to_numpy() == pytest.approx([0.5, 0.1], rel=0.06)
    assert (large["low"] <= [*lots.FAIR_SHARES, 9]).all() and large["high"][2] >= 0.01


def test_once_everybody_has_won_nobody_is_left_without() -> None:
    """Undefined there, the mean over worlds would be one of the unlucky worlds alone."""
    fates = pd.DataFrame(
        {"ever_won": [True] * 3, "exposure": [0.7] * 3, "exposure_before": [0.0] * 3}
    ).assign(fate="other", considered=1)
    found = lots.repeat_losers(with_fates(fates)).set_index("measure")["value"]
    assert found["repeat_losers.at_10"] == 0 and found["repeat_losers.at_1"] == 0
    lost = lots.repeat_losers(with_fates(fates.assign(ever_won=False)))
    assert lost["value"][:1].tolist() == [1.0] and lost["value"][1:3].isna().all()


def test_chances_under_numbers_for_life_say_so() -> None:
    fates = fair_histories(50, 1).assign(chance=1.0, reference_chance=1.0)
    fresh = with_fates(fates)
    for_life = replace(fresh, meta={"lottery": "persistent"})
    for measured in (lots.repeat_losers, chance_inequality, broome_gap):
        assert not measured(fresh)["note"].str.contains("for life").any()
        defined = measured(for_life).dropna(subset="value")
        assert len(defined) and defined["note"].str.contains("for life").all()


def test_starved_by_hand() -> None:
    fates = pd.DataFrame(
        {
            "ever_won": [False, False, False, True, False],
            "exposure": [2.4, 2.2, 5.0, 2.4, 0.0],
            "exposure_before": [2.4, 2.2, 5.0, 2.4, 0.0],
            "fate": ["died", "died", "waiting", "died", "died"],
            "considered": [9, 9, 9, 9, 0],
        }
    )
    found = lots.repeat_losers(with_fates(fates)).set_index("measure")
    starved = found.loc["repeat_losers.starved"]
    assert (starved["value"], starved["numerator"], starved["denominator"]) == (25.0, 1, 4)
    assert found.loc["repeat_losers.at_10", "denominator"] == 3  # exposure 2.303 or more
    assert found.loc["repeat_losers.at_1", "value"] == pytest.approx(2 / 3)  # one of three won
    nobody = with_fates(fates.assign(exposure=0.0, exposure_before=0.0, considered=0))
    found = lots.repeat_losers(nobody)
    assert found["value"].isna().all() and (found["note"] != "").all()


def test_touched_are_those_ever_in_a_draw() -> None:
    def seeded(seed: int, transplanted: list[int], touched: list[float]) -> Record:
        fates = pd.DataFrame({"fair_wins": touched})
        fates["fate"] = np.where(transplanted, "transplanted", "waiting")
        meta = {"policy": "p", "seed": 1, "world": 0, "tie_seed": seed}
        return replace(with_fates(fates), meta=meta)

    records = [
        seeded(0, [1, 0, 1, 0, 1], [0.5, 0.5, 0.5, 0.0, 0.0]),
        seeded(1, [0, 1, 0, 0, 1], [0.5, 0.5, 0.0, 0.5, 0.0]),
    ]
    [found] = lots.ex_ante_touched(records).to_dict("records")
    drawn = np.array([[1, 0, 1, 0], [0, 1, 0, 0]])
    assert found["value"] == pytest.approx(lots.determinism_index(drawn))
    assert (found["numerator"], found["denominator"]) == (4, 2)
    nobody = [seeded(seed, [1, 0], [0.0, 0.0]) for seed in (0, 1)]
    assert lots.ex_ante_touched(nobody)["note"].tolist() == ["no draws within H"]


# --- favourites ---------------------------------------------------------------------------------


@settings(max_examples=200)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=9), st.sampled_from([1.0, 0.97, 0.5]))
def test_favourites_hold_95_percent_and_no_smaller_set_does(weights, total) -> None:
    weights[0] += 1
    h = total * np.array(weights) / sum(weights)
    mask = decisions.favourites(h)
    assert mask.shape == h.shape
    if mask.any() and not mask.all():
        assert h[mask].min() > h[~mask].max()  # equals are in or out together
    nobody = 1 - total
    needed = sorted([*h, nobody], reverse=True)
    last = needed[next(k for k in range(len(needed)) if sum(needed[: k + 1]) >= 0.95 - 1e-9)]
    np.testing.assert_array_equal(mask, h >= last - 1e-12)
    q = np.roll(h, 1)
    assert decisions.compare(q, h)[:3] == tuple(decisions.split_distance(q, h))
    np.testing.assert_array_equal(decisions.compare(q, h)[3], mask)


def test_entropy_gap_is_what_the_reference_leaves_open_and_the_policy_settles() -> None:
    """The reference is even between four; the policy is certain, or as even."""
    for policy, settled in ((FirstCome(), True), (Lottery(), False)):
        record = simulate(world(1.0), policy, "top:4", detail=Detail(Lottery(), decisions.compare))
        first = record.decisions[record.decisions["shown"] == 4].iloc[0]
        assert first["entropy_gap"] == pytest.approx(np.log(4) if settled else 0.0)
        assert first["entropy"] == pytest.approx(0.0 if settled else np.log(4))
