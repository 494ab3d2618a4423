"""One kidney: who may have it, whom the policy may choose from, how lots and refusals work."""

from functools import cache

import numpy as np
import pytest

from policies.davidson import Davidson
from policies.human import human
from policies.protocol import EVERY_SLOT, Choice, Kidney, certain, equal_chances
from policies.rules import FirstCome, Lottery, Points
from populations.errors import InputError
from populations.formulae import epts_percent, epts_raw
from populations.hazards import Health
from populations.presets import load_population
from populations.world import World, make_world
from sim.detail import Detail
from sim.lots import Lots
from sim.match import Candidates, Match, discretion_limit
from sim.store import BloodGroup, Subset
from sim.waitlist import Waitlist, simulate


@cache
def world(*overrides: str) -> World:
    return make_world(load_population("teaching", overrides).parameters, 2, 0, 3.0)


def run_of(w: World, rows, mask=None) -> Match:
    rows = np.asarray(rows)
    mask = np.ones(len(rows), dtype=bool) if mask is None else np.asarray(mask)
    return Match(Candidates(w), Subset(rows), mask, Kidney(0, 0, 50.0), 1.0)


# Codes of O, A, B, AB: whom each donor's kidney may go to.
MAY_GIVE_TO = {0: {0, 1, 2, 3}, 1: {1, 3}, 2: {2, 3}, 3: {3}}


@pytest.mark.parametrize("policy", [Lottery(), human(), Points()], ids=lambda p: p.name)
@pytest.mark.parametrize("rule", ["identical", "compatible"])
def test_blood_groups(rule, policy) -> None:
    w = world(f'allocation.blood_groups="{rule}"')
    offers = simulate(w, policy).offers
    donor = w.kidneys["blood_type"][offers["kidney"]]
    recipient = w.candidates["blood_type"][offers["candidate"]]
    assert all(r in MAY_GIVE_TO[d] for d, r in zip(donor, recipient, strict=True))
    crossed = (donor != recipient).mean()
    assert crossed > 0.1 if rule == "compatible" else crossed < 0.1


def test_another_group_gets_a_kidney_only_when_the_own_group_has_no_one() -> None:
    w = world("list.initial=10", "arrivals.per_year=30", "kidneys.per_year=60")
    model = Waitlist(w, Lottery())
    crossed = 0
    while model._next_kidney < len(w.kidneys["time"]):
        number = model._next_kidney
        before = len(model.allocator.offers)
        time = float(w.kidneys["time"][number])
        model.run_until(np.nextafter(time, 0))
        model._advance_to(time)
        group = model.groups[w.kidneys["blood_type"][number]]
        own = group.crossmatch_negative(float(w.kidneys["crossmatch"][number])).any()
        model.run_until(time)
        for kidney, _, row, _, _ in model.allocator.offers[before:]:
            if kidney == number:
                same = w.candidates["blood_type"][row] == w.kidneys["blood_type"][number]
                assert same == own
                crossed += not same
    assert crossed > 0


def test_the_crossmatch_is_an_arc_and_has_one_answer() -> None:
    w = world()
    group = BloodGroup(w.candidates)
    rows = np.arange(len(w.candidates["listed"]))
    group.add(rows)
    for position in (0.0, 0.2, 0.999, float(w.kidneys["crossmatch"][0])):
        negative = group.crossmatch_negative(position)
        past = (position - w.candidates["crossmatch_start"]) % 1.0
        np.testing.assert_array_equal(negative, past >= w.candidates["cpra"] / 100.0)
        for row in range(0, len(rows), 2):  # after others have left, and after packing
            group.remove(row)
        later = dict(zip(group.rows, group.crossmatch_negative(position), strict=True))
        assert all(later[row] == negative[row] for row in rows[1::2])
        assert not any(later.get(row, False) for row in rows[::2])
        group = BloodGroup(w.candidates)
        group.add(rows)


def test_a_store_keeps_its_columns_in_step() -> None:
    w = world()
    group, age = BloodGroup(w.candidates), w.candidates["age"]
    rng = np.random.default_rng(0)
    here: list[int] = []
    for start in range(0, 300, 10):
        group.add(np.arange(start, start + 10))
        here += range(start, start + 10)
        for row in rng.choice(here, 8, replace=False).tolist():
            group.remove(row)
            here.remove(row)
        alive = group.crossmatch_negative(0.5)
        all_alive = group._alive[: len(group.rows)]
        assert group.rows[all_alive].tolist() == here
        assert (np.diff(group.rows) > 0).all()
        np.testing.assert_array_equal(group.column(age), age[group.rows])
        assert not (alive & ~all_alive).any()
    assert len(group.rows) < 300  # slots were freed


@pytest.mark.parametrize(("discretion", "limit"), [("pair", 2), ("top:5", 5), ("all", None)])
@pytest.mark.parametrize("policy", [Lottery(), human(), Points()], ids=lambda p: p.name)
def test_discretion_restricts_the_choice_to_the_head_of_the_run(discretion, limit, policy) -> None:
    w = world()
    record = simulate(w, policy, discretion)
    eligible = record.decisions["eligible"]
    np.testing.assert_array_equal(
        record.decisions["shown"], eligible if limit is None else np.minimum(eligible, limit)
    )
    used = record.decisions[record.decisions["outcome"] == "transplanted"]
    if limit is None:
        assert (used["position"] >= 5 * used["offers"]).any()
        return
    # Everyone ahead of the winner: fewer than the limit, but for those at centres that refused.
    model = Waitlist(w, policy, discretion)
    refused_by: dict[int, set[int]] = {}
    for offer in record.offers[~record.offers["accepted"]].itertuples():
        refused_by.setdefault(offer.kidney, set()).add(offer.centre)
    allocate = model.allocator.allocate
    checked = 0

    def checking(kidney: Kidney) -> int:
        nonlocal checked
        match = model.allocator.eligible(kidney)
        rows = match.rows
        row = allocate(kidney)
        if row >= 0:
            refused = refused_by.get(kidney.number, set())
            ahead = [r for r in rows if r < row and w.candidates["centre"][r] not in refused]
            assert len(ahead) < limit
            assert w.candidates["centre"][row] not in refused
            checked += 1
        return row

    model.allocator.allocate = checking
    model.run_until(w.years)
    assert checked == len(used) > 20


def test_unknown_discretion_is_refused() -> None:
    for wrong in ("some", "top:0", "top:", "top:2.5", "top:-1"):
        with pytest.raises(InputError, match="discretion"):
            discretion_limit(wrong)


def test_a_centre_is_asked_once_and_its_answer_is_the_worlds() -> None:
    w = world()
    for policy in (FirstCome(), Lottery(), human()):
        offers = simulate(w, policy).offers
        assert not offers.duplicated(["kidney", "centre"]).any()
        answers = w.accepts[offers["kidney"], offers["centre"]]
        np.testing.assert_array_equal(offers["accepted"], answers)
        np.testing.assert_array_equal(offers["centre"], w.candidates["centre"][offers["candidate"]])
        assert offers["offer"].max() < w.parameters.acceptance.max_centres


class _Says:
    name = "says"

    def __init__(self, answer) -> None:
        self.answer = answer

    def choose(self, match) -> Choice:
        return self.answer(match)


@pytest.mark.parametrize(
    "answer",
    [
        lambda match: Choice(np.ones(len(match) + 1) / (len(match) + 1), 0.0),
        lambda match: Choice(np.ones((1, len(match))) / len(match), 0.0),
        lambda match: Choice(np.full(len(match), np.nan), 0.0),
        lambda match: Choice(np.r_[1.5, -0.5, np.zeros(len(match) - 2)], 0.0),
        lambda match: Choice(np.full(len(match), 1.01 / len(match)), 0.0),
        lambda match: Choice(np.ones(2) / 2, 0.0, match.slots[:1]),
        lambda match: Choice(np.empty(0), 0.0, match.slots[:0]),
        lambda match: Choice(np.ones(1), 0.0, EVERY_SLOT),
        lambda match: certain(int(np.flatnonzero(~match.mask)[0])),
        lambda match: Choice(np.ones(len(match)) / len(match), 7.0),
        lambda match: Choice(np.ones(len(match)) / len(match), float("nan")),
        lambda match: Choice(np.ones(2) / 2, 0.0, match.slots[[1, 0]]),
        lambda match: Choice(np.ones(2) / 2, 0.0, match.slots[[1, 1]]),
        lambda match: Choice(np.ones(1), 0.0, np.array([10**6])),
        lambda match: Choice(np.ones(1), 0.0, slice(0, 1)),
        lambda match: Choice([1.0], 0.0),
        lambda match: (np.ones(len(match)) / len(match), 0.0),
        lambda match: None,
        lambda match: match["agee"],
        lambda match: 1 / 0,
    ],
    ids=[
        *("long", "2-d", "nan", "negative", "sum", "slots", "none", "every", "not in the run"),
        *("tie", "tie nan", "falling", "twice", "far", "slice", "list", "tuple", "nothing"),
        *("column", "error"),
    ],
)
def test_a_wrong_choice_is_an_error_that_names_the_policy(answer) -> None:
    with pytest.raises(InputError, match=r"policy 'says': kidney|asked for column 'agee'"):
        simulate(world(), _Says(answer))


def test_chances_for_those_who_cannot_take_the_kidney_end_the_run() -> None:
    """Every slot is named, eligible or not: whoever is drawn is looked at."""
    even = _Says(lambda match: Choice(np.ones(len(match.mask)) / len(match.mask), 1.0, EVERY_SLOT))
    with pytest.raises(InputError, match="holds no candidate"):
        simulate(world(), even)


def test_columns_read_as_of_now() -> None:
    """Age, dialysis, waiting and EPTS move on while a candidate waits."""
    seen: list[tuple[float, ...]] = []

    def look(match: Match) -> Choice:
        now = Health(*(match[name] for name in Health._fields))
        raw = epts_raw(now.age, now.diabetes, now.prior_transplant, now.dialysis_years)
        np.testing.assert_array_equal(match["epts"], epts_percent(raw))
        at_listing = match._candidates._columns["age"][match.rows]
        np.testing.assert_allclose(match["age"], at_listing + match["waiting_years"])
        seen.append((match.time, float(match["waiting_years"].max())))
        return Choice(np.full(len(match), 1 / len(match)), 1.0)

    simulate(world(), _Says(look))
    assert len(seen) > 20


def test_a_policy_may_withhold() -> None:
    w = world()
    never = simulate(w, _Says(lambda match: Choice(np.zeros(len(match)), 0.0)))
    assert set(never.decisions["outcome"]) <= {"withheld", "no_candidate"}
    assert len(never.offers) == 0
    accepting = world("acceptance.intercept=50", "acceptance.slope=0", "acceptance.curvature=0")
    for answer in (
        lambda match: Choice(np.full(len(match), 0.7 / len(match)), 1.0),
        lambda match: Choice(np.array([0.7]), 0.0, match.slots[:1]),
    ):
        record = simulate(accepting, _Says(answer))
        asked = record.decisions[record.decisions["outcome"] != "no_candidate"]
        share = (asked["outcome"] == "transplanted").mean()
        assert abs(share - 0.7) < 4 * np.sqrt(0.7 * 0.3 / len(asked))


def test_tickets_draw_candidates_with_their_chances() -> None:
    w = world()
    match = run_of(w, np.arange(40))
    chances = np.random.default_rng(0).dirichlet(np.ones(40))
    lots = Lots(match, Choice(chances, 0.0))
    tickets = (np.arange(20_000) + 0.5) / 20_000
    drawn = np.array([lots.draw(ticket)[0] for ticket in tickets])
    share = np.bincount(drawn, minlength=40) / len(tickets)
    np.testing.assert_allclose(share, chances, atol=2 / 20_000)
    # After a refusal: the same chances, conditioned on the other centres.
    centre = int(w.candidates["centre"][0])
    lots.drop(centre)
    elsewhere = w.candidates["centre"][:40] != centre
    drawn = np.array([lots.draw(ticket)[0] for ticket in tickets])
    share = np.bincount(drawn, minlength=40) / len(tickets)
    np.testing.assert_allclose(
        share, np.where(elsewhere, chances, 0) / chances[elsewhere].sum(), atol=2 / 20_000
    )


def test_a_ticket_never_falls_on_someone_without_a_chance() -> None:
    w = world()
    centre = w.candidates["centre"][:200]
    last = int(centre.max())
    assert (centre != last).any()
    # The last centre has refused, the first and last candidates have no chance, and the shares are
    # such that sums of them round: the ends of the ticket still find somebody who has a chance.
    chances = np.random.default_rng(0).dirichlet(np.ones(200))
    chances[[0, -1]] = 0.0
    chances /= chances.sum()
    lots = Lots(run_of(w, np.arange(200)), Choice(chances, 0.0))
    lots.drop(last)
    for ticket in (0.0, 1e-300, 1.0 - 2.0**-53, 1.0):
        row, drawn, chance = lots.draw(ticket)
        assert chance == chances[row] > 0.0
        assert drawn == centre[row] != last


def test_a_match_run_with_gaps_reads_like_one_without() -> None:
    w = world()
    rows = np.arange(30)
    mask = np.random.default_rng(1).random(30) < 0.6
    gaps, plain = run_of(w, rows, mask), run_of(w, rows[mask])
    for column in ("age", "waiting_years", "life_years_gained", "candidate", "race"):
        np.testing.assert_array_equal(gaps[column], plain[column])
    utility = human().values
    np.testing.assert_array_equal(gaps.constant(utility), plain.constant(utility))
    assert gaps.slots.tolist() == np.flatnonzero(mask).tolist()
    np.testing.assert_array_equal(gaps.masked(utility)[mask], plain.constant(utility))
    assert not gaps.masked(utility)[~mask].any()
    u = gaps.constant(utility)
    assert gaps.best(utility).tolist() == gaps.slots[u == u.max()].tolist()
    assert gaps.best(lambda columns: -columns["sex"]).tolist() == [
        slot for slot in gaps.slots if w.candidates["sex"][slot] == 0
    ]
    assert gaps.first() == gaps.slots[0]
    head = gaps.head(4)
    assert head.rows.tolist() == gaps.rows[:4].tolist()
    assert gaps.position(int(gaps.rows[7])) == 7
    late = np.arange(300) >= 200  # nobody near the head may have it
    assert run_of(w, np.arange(300), late).head(2).rows.tolist() == [200, 201]
    assert gaps.best(lambda columns: np.zeros(len(columns["age"]))).tolist() == gaps.slots.tolist()
    left = gaps.without([0, 3])
    centres = w.candidates["centre"][gaps.rows]
    assert left.rows.tolist() == gaps.rows[(centres != 0) & (centres != 3)].tolist()
    with pytest.raises(InputError, match="'shoe_size'"):
        gaps["shoe_size"]


def test_choices_by_slot_and_by_candidate_are_the_same_choice() -> None:
    w = world()
    mask = np.random.default_rng(1).random(30) < 0.6
    gaps, plain = run_of(w, np.arange(30), mask), run_of(w, np.flatnonzero(mask))
    base = human()
    extreme = Davidson("extreme", lambda columns: 1000.0 * columns["age"], -0.5)
    undecided = Davidson("undecided", base.values, 40.0)
    alone = run_of(w, [5])
    for policy in (Lottery(), base, extreme, undecided, Points(), FirstCome()):
        assert policy.choose(alone).dense(alone) == pytest.approx([1.0])
        dense = policy.choose(gaps).dense(gaps)
        np.testing.assert_allclose(dense, policy.choose(plain).dense(plain), rtol=1e-12)
        assert dense.sum() == pytest.approx(1.0)
    u = gaps.constant(base.values)
    r, nu = np.exp(u), np.exp(base.log_tie)
    expected = r**2 + nu / 2 * r * (r.sum() - r)
    np.testing.assert_allclose(base.choose(gaps).dense(gaps), expected / expected.sum())
    # So extreme that the world's best makes everyone else underflow: scaled to this run's best.
    assert extreme.choose(gaps).dense(gaps).max() > 0.5
    two = equal_chances(gaps.slots[[1, 5]])
    assert np.flatnonzero(two.dense(gaps)).tolist() == [1, 5]


def test_detail_keeps_what_each_candidate_was_given() -> None:
    w = world()
    detail = Detail(human(), lambda p, q: (abs(p - q).sum() / 2, 0.0, 0.0, q > 0))
    record = simulate(w, Lottery(), detail=detail)
    asked = record.decisions[record.decisions["outcome"] != "no_candidate"]
    assert record.fates["chance"].sum() == pytest.approx(len(asked))
    np.testing.assert_allclose(asked["entropy"], np.log(asked["shown"]))
    assert (asked["distance"] > 0).mean() > 0.9
    same = simulate(w, human(), detail=detail).decisions["distance"].dropna()
    assert (same == 0).all()
