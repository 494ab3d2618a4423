"""Quality, grafts, offers and the list: a history of seven candidates traced by hand, and oracles.

Candidate 0 is transplanted, loses the graft, comes back and is transplanted again; 1 before
dialysis; 2 waits, inactive; 3 dies inactive; 4 has a living donor; 5 is removed; 6's graft will
fail after the run.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hand_made import hand_made, one
from scipy.integrate import quad
from sksurv.nonparametric import kaplan_meier_estimator
from statsmodels.duration.survfunc import SurvfuncRight
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.rates import confint_poisson

from measures import grafts, listing, offers, outcomes, quality
from measures.registry import MEASURES
from policies.rules import LifeYears
from populations.presets import load_population
from populations.world import make_world
from sim.record import Record
from sim.waitlist import simulate

INF, NAN = np.inf, np.nan
NEW = [
    name
    for name, card in MEASURES.items()
    if card.function.__module__.partition(".")[2] in ("grafts", "listing", "offers", "quality")
]


def history() -> Record:
    decisions = pd.DataFrame(
        [
            (0, 2.0, 10.0, 2, 0, "transplanted", 10.0, 10.0, "local", 0.0),
            (1, 1.0, 50.0, 1, 1, "transplanted", 20.0, 500.0, "national", 6.0),
            (2, 7.0, 90.0, 2, 6, "transplanted", 12.0, 20.0, "local", 3.0),
            (3, 8.0, 20.0, 2, 0, "transplanted", 30.0, 200.0, "regional", 3.0),
            (4, 5.0, 99.0, 2, -1, "refused", NAN, NAN, None, NAN),
            (5, 9.0, 99.0, 0, -1, "no_candidate", NAN, NAN, None, NAN),
        ],
        columns=[
            *("kidney", "time", "kdpi", "offers", "candidate", "outcome"),
            *("cold_hours", "distance_nm", "level", "mismatches"),
        ],
    )
    asked = [(0, 2, False), (0, 0, True), (1, 1, True), (2, 2, False), (2, 6, True)]
    asked += [(3, 2, False), (3, 0, True), (4, 3, False), (4, 2, False)]
    returns = pd.DataFrame(
        {"candidate": [0], "listed": 5.5, "exit": 8.0, "fate": "transplanted", "kidney": 3}
    )
    return hand_made(
        decisions=decisions,
        offers=pd.DataFrame(asked, columns=["kidney", "candidate", "accepted"]),
        returns=returns.assign(graft_failure=INF),
        listed=[0.0, 0.0, -2.0, 4.0, 0.0, 0.0, 0.0],
        dialysis_start=[-1.0, 3.0, 1.0, 2.0, 0.0, 0.0, -1.0],
        exit=[2.0, 1.0, 10.0, 6.0, 3.0, 2.0, 7.0],
        fate=[
            *("transplanted", "transplanted", "waiting", "died"),
            *("living_donor", "too_sick", "transplanted"),
        ],
        kidney=[0, 1, -1, -1, -1, -1, 2],
        graft_failure=[5.0, INF, NAN, NAN, NAN, NAN, 11.0],
        death=[12.0, 4.0, 15.0, 6.0, 9.0, 5.0, 20.0],
        active_years=[2.0, 1.0, 4.0, 0.5, 3.0, 2.0, 7.0],
        inactive=[False, False, True, True, False, False, False],
        prior_transplant=["no"] * 6 + ["yes"],
        sex=["female", "female", "male", "male", "male", "female", "male"],
    )


RECORD = history()
# What each lives through from entry, by hand: state and years; the first loses a graft at 5.
LIVED = [
    [("dialysis", 0, 2), ("graft", 2, 5), ("dialysis", 5, 8), ("graft", 8, 10)],
    [("before", 0, 1), ("graft", 1, 4)],
    [("before", 0, 1), ("dialysis", 1, 10)],
    [("dialysis", 4, 6)],
    [("dialysis", 0, 3), ("graft", 3, 9)],
    [("dialysis", 0, 5)],
    [("dialysis", 0, 7), ("graft", 7, 10)],
]
DIALYSIS = [5.0, 0.0, 9.0, 2.0, 3.0, 5.0, 7.0]
QUALITY = [7.45, 3.28, 7.21, 1.42, 7.05, 3.55, 7.43]


def value(frame: pd.DataFrame, measure: str, group: str = "all") -> float:
    return float(one(frame, measure, group)["value"])


# --- quality and dialysis -----------------------------------------------------------------------


def test_quality_and_dialysis_by_hand() -> None:
    np.testing.assert_allclose(quality.quality_years(RECORD), QUALITY)
    found = quality.quality_adjusted_life_years(RECORD)
    assert value(found, "quality_adjusted_life_years") == pytest.approx(sum(QUALITY) / 7)
    spent = one(quality.dialysis_years(RECORD), "dialysis_years")
    assert (spent["numerator"], spent["denominator"]) == (sum(DIALYSIS), 7)
    by_sex = quality.dialysis_years(RECORD, "sex")
    assert value(by_sex, "dialysis_years", "female") == pytest.approx((5 + 0 + 5) / 3)


def test_discounted_quality_is_the_integral_of_the_utility() -> None:
    utility = {"dialysis": 0.71, "graft": 0.82, "before": 0.82}
    expected = []
    for spells in LIVED:
        entry = spells[0][1]
        parts = [
            quad(lambda t, u=utility[state], e=entry: u * 1.03 ** -(t - e), start, end)[0]
            for state, start, end in spells
        ]
        expected.append(sum(parts))
    expected[0] -= 0.2 * 1.03**-5
    np.testing.assert_allclose(quality.quality_years(RECORD, 0.03), expected)
    found = quality.quality_adjusted_life_years(RECORD)
    mean = value(found, "quality_adjusted_life_years.discounted")
    assert mean == pytest.approx(np.mean(expected))


def test_a_graft_spares_dialysis_and_losing_it_costs() -> None:
    alone = {"exit": [4.0], "fate": ["transplanted"], "kidney": [0], "death": [30.0]}
    works, fails = (hand_made(graft_failure=[at], **alone) for at in (INF, 6.0))
    assert quality.quality_years(works)[0] == pytest.approx(4 * 0.71 + 6 * 0.82)
    assert quality.quality_years(fails)[0] == pytest.approx(8 * 0.71 + 2 * 0.82 - 0.2)
    late = hand_made(graft_failure=[10.5], **alone)
    assert quality.quality_years(late) == pytest.approx(quality.quality_years(works))


def test_preemptive_transplants_are_before_dialysis() -> None:
    found = one(quality.preemptive_transplants(RECORD), "preemptive_transplants")
    assert (found["numerator"], found["denominator"]) == (1, 3)
    limits = proportion_confint(1, 3, method="beta")
    assert (found["low"], found["high"]) == pytest.approx(limits)


# --- grafts -------------------------------------------------------------------------------------


def test_grafts_are_in_order_and_end_by_failure_or_death() -> None:
    found = grafts.grafts(RECORD)
    assert found.person.tolist() == [0, 0, 1, 4, 6]
    assert found.start.tolist() == [2, 8, 1, 3, 7]
    assert found.end.tolist() == [5, 12, 4, 9, 11]
    assert found.failed.tolist() == [True, False, False, False, True]
    assert found.again.tolist() == [False, True, False, False, False]
    assert found.deceased.tolist() == [True, True, True, False, True]


def test_graft_survival_by_hand() -> None:
    """Grafts last 3 (failed), 4 (died), 3 (died) and 4 years (failed)."""
    found = grafts.graft_survival(RECORD)
    found = found[found["grouping"] == "all"]
    assert value(found, "graft_survival.all_cause.1y") == 1
    assert value(found, "graft_survival.all_cause.3y") == 0.5
    assert value(found, "graft_survival.all_cause.5y") == 0
    assert value(found, "graft_survival.death_censored.1y") == 1
    assert one(found, "graft_survival.death_censored.1y")["note"] == "no failures by then"
    assert value(found, "graft_survival.death_censored.3y") == 0.75
    last = one(found, "graft_survival.death_censored.5y")
    assert np.isnan(last["value"]) and last["note"] == "nobody followed for 5 years"


def test_graft_survival_by_kdpi_band_and_group() -> None:
    found = grafts.graft_survival(RECORD)
    bands = found[found["grouping"] == "kdpi_band"].set_index(["measure", "group"])
    three = bands.loc["graft_survival.all_cause.3y"]
    assert three["denominator"].to_dict() == {"0-20": 2, "21-34": 0, "35-85": 1, "86-100": 1}
    assert three["value"].drop("21-34").to_dict() == {"0-20": 0.5, "35-85": 0, "86-100": 1}
    assert (bands.loc[(slice(None), "21-34"), "note"] == "no transplants").all()
    by_sex = grafts.graft_survival(RECORD, "sex")
    assert value(by_sex, "graft_survival.all_cause.3y", "female") == pytest.approx(1 / 3)


@pytest.mark.parametrize("seed", range(3))
def test_death_censored_survival_equals_two_kaplan_meiers(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 200
    start = rng.integers(0, 20, n) / 2
    death = start + rng.integers(1, 40, n) / 4
    failure = start + rng.integers(1, 60, n) / 4
    failure[failure >= death] = INF
    record = hand_made(
        exit=start, fate="transplanted", kidney=np.arange(n), death=death, graft_failure=failure
    )
    found = grafts.graft_survival(record, "sex")
    lasted, failed = np.minimum(failure, death) - start, failure < death
    time, alive, limits = kaplan_meier_estimator(failed, lasted, conf_type="log-log")
    other = SurvfuncRight(lasted, failed.astype(int))
    gone, ever = kaplan_meier_estimator(np.ones(n, dtype=bool), lasted)
    for t in (1.0, 3.0, 5.0):
        row = one(found, f"graft_survival.death_censored.{t:g}y", "female")
        at = np.searchsorted(time, t, side="right") - 1
        assert row["value"] == pytest.approx(alive[at])
        assert (row["low"], row["high"]) == pytest.approx(limits[:, at])
        again = np.searchsorted(other.surv_times, t, side="right") - 1
        assert row["value"] == pytest.approx(other.surv_prob[again])
        both = ever[np.searchsorted(gone, t, side="right") - 1]
        assert value(found, f"graft_survival.all_cause.{t:g}y", "female") == pytest.approx(both)


def test_failures_and_returns_per_graft_year_by_hand() -> None:
    found = grafts.graft_failure_rate(RECORD)
    for name in ("graft_failure_rate", "graft_failure_rate.returns"):
        row = one(found, name)
        assert (row["numerator"], row["denominator"]) == (1, 3 + 2 + 3 + 3)
        assert row["value"] == pytest.approx(100 / 11)
        limits = np.array(confint_poisson(1, 11, method="exact-c")) * 100
        assert (row["low"], row["high"]) == pytest.approx(tuple(limits))
    by_sex = grafts.graft_failure_rate(RECORD, "sex")
    assert value(by_sex, "graft_failure_rate.returns", "male") == 0


def test_retransplants_by_hand() -> None:
    found = grafts.retransplants(RECORD)
    assert value(found, "retransplants.returned") == 0.25
    assert value(found, "retransplants.prior") == 0.5


def test_life_years_gained_counts_every_kidney() -> None:
    """Gains by the end: 0 lives 4 years longer, 1 none, 6 lives 3 longer; four kidneys."""
    dies = [6.0, 4.0, 15.0, 6.0, 9.0, 5.0, 7.0]
    record = replace(RECORD, fates=RECORD.fates.assign(untreated_death=dies))
    row = one(outcomes.life_years_gained(record), "life_years_gained.per_transplant")
    assert (row["numerator"], row["denominator"]) == (7, 4)


# --- offers -------------------------------------------------------------------------------------


def test_offers_by_hand() -> None:
    found = offers.offers_per_kidney(RECORD)
    assert value(found, "offers_per_kidney.mean") == 1.75
    assert value(found, "offers_per_kidney.p50") == 2
    # The second kidney of 0 was offered after they had left the list for the first time.
    assert offers.offers_received(RECORD).tolist() == [1, 1, 4, 1, 0, 0, 1]
    found = offers.offers_to_candidates(RECORD)
    assert value(found, "offers_to_candidates.rate") == pytest.approx(800 / 27)
    assert value(found, "offers_to_candidates.recipients") == 1
    assert value(found, "offers_to_candidates.died") == 1
    assert value(offers.decline_rate(RECORD), "decline_rate") == pytest.approx(5 / 9)
    by_sex = offers.decline_rate(RECORD, "sex")
    assert value(by_sex, "decline_rate", "male") == pytest.approx(5 / 6)


def test_median_offers_are_of_recipients() -> None:
    asked = [(0, k, False) for k in (0, 1, 1, 1, 2, 2)] + [(0, 0, True)]
    record = replace(
        RECORD, offers=pd.DataFrame(asked, columns=["kidney", "candidate", "accepted"])
    )
    found = offers.offers_to_candidates(record)  # 0, 1, 6: 2, 3 and 0 offers
    assert value(found, "offers_to_candidates.recipients") == 2


def test_way_and_match_of_kidneys_by_hand() -> None:
    found = offers.cold_time(RECORD)
    assert value(found, "cold_time.mean") == 18
    assert value(found, "cold_time.p50") == 12
    assert value(offers.cold_time(RECORD, "sex"), "cold_time.mean", "female") == 20
    found = offers.placement(RECORD)
    shares = [value(found, f"placement.{level}") for level in offers.LEVELS]
    assert shares == [0.5, 0.25, 0.25]
    assert value(found, "placement.distance") == 20
    found = offers.hla_mismatches(RECORD)
    assert (value(found, "hla_mismatches.mean"), value(found, "hla_mismatches.none")) == (3, 0.25)


# --- the list -----------------------------------------------------------------------------------


def test_inactive_status_by_hand() -> None:
    found = listing.inactive_status(RECORD)
    assert value(found, "inactive_status.at_end") == 1
    assert value(found, "inactive_status.deaths") == 1
    assert value(found, "inactive_status.years") == pytest.approx((6 + 1.5) / 27)
    women = listing.inactive_status(RECORD, "sex")
    women = women[women["group"] == "female"].set_index("measure")
    assert women.loc["inactive_status.years", "value"] == 0
    assert women.loc["inactive_status.at_end", "note"] == "nobody waiting at the end"


def test_centre_spread_by_hand() -> None:
    """Four of four in 8 years, and none of four in 8: rates 50 and 0, two expected of each."""
    fate = ["transplanted"] * 4 + ["waiting"] * 4
    record = hand_made(4.0, exit=[2.0] * 8, fate=fate, centre=[0] * 4 + [2] * 4)
    found = listing.centre_spread(record)
    assert value(found, "centre_spread.iqr") == 25
    assert value(found, "centre_spread.sd") == pytest.approx(np.sqrt(((4 - 2) + (4 - 2)) / 8))
    assert (found["denominator"] == 2).all()


@pytest.mark.parametrize("spread", [0.0, 0.4])
def test_centre_spread_leaves_chance_out(spread: float) -> None:
    rng = np.random.default_rng(3)
    centres, each = 400, 50
    shape = 1 / spread**2 if spread else 1.0
    factor = rng.gamma(shape, 1 / shape, centres) if spread else np.ones(centres)
    rate = 0.1 * np.repeat(factor, each)
    wait = rng.exponential(1 / rate)
    record = hand_made(
        1.0,
        exit=np.minimum(wait, 1.0),
        fate=np.where(wait < 1, "transplanted", "waiting"),
        centre=np.repeat(np.arange(centres), each),
    )
    found = listing.centre_spread(record)
    assert value(found, "centre_spread.sd") == pytest.approx(spread, abs=0.1)
    assert value(found, "centre_spread.iqr") > 1


# --- all of them --------------------------------------------------------------------------------


def nobody() -> Record:
    """The same list, with no kidney used and nobody asked."""
    fates = RECORD.fates.assign(fate="waiting", kidney=-1, graft_failure=NAN, exit=10.0)
    unused = RECORD.decisions.assign(outcome="refused", candidate=-1, offers=0)
    return replace(
        RECORD,
        fates=fates,
        decisions=unused,
        offers=RECORD.offers.iloc[:0],
        returns=RECORD.returns.iloc[:0],
    )


@pytest.mark.parametrize("name", NEW)
def test_without_transplants_a_value_is_there_or_a_note_says_why(name: str) -> None:
    card = MEASURES[name]
    for record in (RECORD, nobody()):
        for by in (None,) if card.by == "never" else (None, "sex", "race"):
            frame = card.function(record) if card.by == "never" else card.function(record, by)
            missing = frame["value"].isna()
            assert (frame.loc[missing, "note"].str.len() > 0).all()
            numbers = frame[["value", "low", "high"]].to_numpy(dtype=float)
            assert not np.isinf(numbers).any()
            assert frame["measure"].str.partition(".")[0].eq(name).all()
            keys = frame[["measure", "grouping", "group"]]
            assert not keys.duplicated().any()


def test_the_same_rows_whatever_happened() -> None:
    for name in NEW:
        function = MEASURES[name].function
        keys = [set(function(record)["measure"]) for record in (RECORD, nobody())]
        assert keys[0] == keys[1], name


def test_groups_add_up_to_everybody() -> None:
    for name in NEW:
        card = MEASURES[name]
        if card.by == "never":
            continue
        whole, parts = card.function(RECORD), card.function(RECORD, "sex")
        whole = whole[(whole["grouping"] == "all") & whole["numerator"].notna()]
        for measure, expected in whole.set_index("measure")["numerator"].items():
            mine = parts.loc[parts["measure"] == measure, "numerator"]
            assert mine.sum() == pytest.approx(expected), measure


# --- a simulated history ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def simulated() -> Record:
    world = make_world(load_population("teaching").parameters, 4, 0, 12.0)
    return simulate(world, LifeYears())


def test_every_kidney_used_is_a_graft_of_whoever_got_it(simulated: Record) -> None:
    found = grafts.grafts(simulated)
    used = simulated.decisions[simulated.decisions["outcome"] == "transplanted"]
    order = np.argsort(found.kidney[found.deceased])
    assert found.kidney[found.deceased][order].tolist() == used["kidney"].tolist()
    assert found.person[found.deceased][order].tolist() == used["candidate"].tolist()
    assert found.start[found.deceased][order] == pytest.approx(used["time"])
    assert found.again.any() and len(simulated.returns) > found.again.sum()
    asked = offers.offers_received(simulated)
    later = np.isin(simulated.offers["candidate"], simulated.returns["candidate"]).sum()
    assert len(simulated.offers) - later <= asked.sum() < len(simulated.offers)
    given = simulated.fates["fate"] == "transplanted"
    assert (asked[given] >= 1).all()


def test_quality_is_what_walking_through_every_life_gives(simulated: Record) -> None:
    """State by state on a fine grid, from what the record says of each moment."""
    fates, step = simulated.fates, 0.02
    entry, death = fates["entry"].to_numpy(), fates["death"].to_numpy()
    started = simulated.candidates["dialysis_start"].to_numpy()
    lost = np.zeros(len(fates))
    ended = [
        (row.Index, row.exit, row.graft_failure if row.graft_failure < INF else INF)
        for row in fates.itertuples()
        if row.fate in ("transplanted", "living_donor")
    ]
    ended += [
        (row.candidate, row.exit, row.graft_failure if row.graft_failure < INF else INF)
        for row in simulated.returns.itertuples()
        if row.fate in ("transplanted", "living_donor")
    ]
    dialysis, kidney = np.zeros(len(fates)), np.zeros(len(fates))
    for moment in np.arange(step / 2, simulated.years, step):
        alive = (entry <= moment) & (moment < death)
        works, failed = np.zeros(len(fates), dtype=bool), np.zeros(len(fates), dtype=bool)
        for person, start, end in ended:
            works[person] |= start <= moment < end
            failed[person] |= end <= moment
        on = alive & ~works & ((started <= moment) | failed)
        dialysis += step * on
        kidney += step * (alive & ~on)
    for person, _, end in ended:
        lost[person] += end < simulated.years
    expected = 0.71 * dialysis + 0.82 * kidney - 0.2 * lost
    np.testing.assert_allclose(quality.quality_years(simulated), expected, atol=3 * step)
    assert lost.any() and dialysis.any()
    mean = value(quality.dialysis_years(simulated), "dialysis_years")
    assert mean == pytest.approx(dialysis.mean(), abs=step)


def test_shares_of_a_simulated_history_are_shares(simulated: Record) -> None:
    for name in NEW:
        card = MEASURES[name]
        if card.unit.startswith(("share", "probability")):
            frame = card.function(simulated)
            frame = frame[frame["measure"] != "placement.distance"]
            assert frame["value"].dropna().between(0, 1).all(), name
            assert (frame["low"].isna() | (frame["low"] <= frame["value"])).all(), name
            assert (frame["high"].isna() | (frame["high"] >= frame["value"])).all(), name


def test_access_by_cpra_rounds_as_allocation_does() -> None:
    cpra = [0.0, 19.49, 19.5, 97.5, 98.49, 98.5, 99.5, 100.0]
    record = hand_made(
        4.0,
        exit=[1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0],
        fate=["transplanted", "died", "transplanted", "waiting"] * 2,
        cpra=cpra,
    )
    found = listing.access_by_cpra(record).set_index("measure")
    per_band = found.rename(lambda name: name.removeprefix("access_by_cpra."))
    assert per_band["denominator"].to_dict() == {
        "0-19": 3.0,
        "20-79": 3.0,
        "80-97": 0.0,
        "98": 5.0,
        "99": 2.0,
        "100": 7.0,
    }
    assert per_band["numerator"].tolist() == [1, 1, 0, 1, 0, 1]
    assert per_band["value"]["98"] == pytest.approx(20.0)
    assert per_band["low"]["98"] < 20.0 < per_band["high"]["98"]
    assert np.isnan(per_band["value"]["80-97"])
