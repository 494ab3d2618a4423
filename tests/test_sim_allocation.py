"""One kidney: who may have it, whom the policy may choose from, how lots and refusals work."""

from collections import Counter
from functools import cache

import numpy as np
import pandas as pd
import pytest

from policies.davidson import Davidson
from policies.forced import force
from policies.human import human
from policies.protocol import EVERY_SLOT, Choice, Kidney, certain, equal_chances, ranked
from policies.rules import FirstCome, Lottery, Points
from populations.acceptance import Acceptance
from populations.errors import InputError
from populations.formulae import epts_percent, epts_raw
from populations.hazards import Health
from populations.presets import load_population
from populations.world import World, make_world
from sim.detail import Detail
from sim.lots import fresh_lots
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


def test_another_group_is_offered_a_kidney_only_when_nobody_of_its_own_is_left() -> None:
    w = world("list.initial=10", "arrivals.per_year=30", "kidneys.per_year=60")
    model = Waitlist(w, Lottery())
    crossed = 0
    while model._next_kidney < len(w.kidneys["time"]):
        number = model._next_kidney
        time = float(w.kidneys["time"][number])
        model.run_until(np.nextafter(time, 0))
        model._advance_to(time)
        donor = w.kidneys["blood_type"][number]
        group = model.groups[donor]
        own = set(group.rows[group.crossmatch_negative(int(w.kidneys["hla"][number]))].tolist())
        before = len(model.allocator.offered)
        model.run_until(time)
        offers = model.allocator.decisions[number].offers
        for row in model.allocator.offered[before : before + offers]:
            if w.candidates["blood_type"][row] == donor:
                own.remove(row)
            else:
                assert not own  # all of them have refused
                crossed += 1
    assert crossed > 0


def group_of(w: World, rows) -> BloodGroup:
    group = BloodGroup(w.candidates["unacceptable"])
    group.add(rows, np.ones(len(rows), dtype=bool))
    return group


def test_the_crossmatch_is_antibodies_against_antigens_and_has_one_answer() -> None:
    w = world()
    rows = np.arange(len(w.candidates["listed"]))
    group = group_of(w, rows)
    antibodies = w.candidates["unacceptable"]
    positive = 0
    for antigens in w.kidneys["hla"][:20].tolist():
        negative = group.crossmatch_negative(antigens)
        expected = [int(against) & antigens == 0 for against in antibodies]
        np.testing.assert_array_equal(negative, expected)
        positive += np.count_nonzero(~negative)
        for row in range(0, len(rows), 2):  # after others have left, and after packing
            group.remove(row)
        later = dict(zip(group.rows, group.crossmatch_negative(antigens), strict=True))
        assert all(later[row] == negative[row] for row in rows[1::2])
        assert not any(later.get(row, False) for row in rows[::2])
        group = group_of(w, rows)
    assert positive > 0


def test_whoever_is_inactive_is_offered_nothing() -> None:
    w = world()
    group = group_of(w, np.arange(50))
    group.set_active(7, False)
    assert np.flatnonzero(~group.crossmatch_negative(0)).tolist() == [7]
    group.set_active(7, True)
    assert group.crossmatch_negative(0).all()
    record = simulate(w, Lottery())
    state = w.active_at_entry.copy()
    changes = list(zip(w.status_time, w.status_row, w.status_active, strict=True))
    offers = record.offers.assign(time=w.kidneys["time"][record.offers["kidney"]])
    came_back = set(record.returns["candidate"])
    seen_inactive = 0
    for offer in offers.itertuples():
        while changes and changes[0][0] <= offer.time:
            _, row, active = changes.pop(0)
            state[row] = active
        assert state[offer.candidate] or offer.candidate in came_back
        seen_inactive += np.count_nonzero(~state)
    assert seen_inactive > 0 and not state.all()


def test_an_order_stays_the_order_while_people_come_and_go() -> None:
    w = world()
    rng = np.random.default_rng(3)
    value = np.round(rng.normal(size=len(w.candidates["listed"])), 1)  # with equals
    group, here = BloodGroup(w.candidates["unacceptable"]), []
    for start in range(0, 400, 10):
        rows = np.arange(start, start + 10)
        group.add(rows, np.ones(10, dtype=bool))
        here += rows.tolist()
        for row in rng.choice(here, 8, replace=False).tolist():
            group.remove(row)
            here.remove(row)
        alive = group.crossmatch_negative(0)
        falling = group.falling(value)
        rows = group.rows[falling[alive[falling]]]
        assert rows.tolist() == sorted(here, key=lambda row: (-value[row], row))


def test_a_store_keeps_its_columns_in_step() -> None:
    w = world()
    group, age = BloodGroup(w.candidates["unacceptable"]), w.candidates["age"]
    rng = np.random.default_rng(0)
    here: list[int] = []
    for start in range(0, 300, 10):
        group.add(np.arange(start, start + 10), np.ones(10, dtype=bool))
        here += range(start, start + 10)
        for row in rng.choice(here, 8, replace=False).tolist():
            group.remove(row)
            here.remove(row)
        alive = group.crossmatch_negative(int(w.kidneys["hla"][0]))
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
    # Everyone ahead of the winner: fewer than the limit, but for those who refused.
    model = Waitlist(w, policy, discretion)
    allocate = model.allocator.allocate
    checked = 0

    def checking(kidney: Kidney) -> int:
        nonlocal checked
        rows = model.allocator.eligible(kidney).rows.tolist()
        before = len(model.allocator.offered)
        row = allocate(kidney)
        if row in rows:  # and not of another blood group, after all of its own refused
            refused = model.allocator.offered[before:-1]
            ahead = [r for r in rows[: rows.index(row)] if r not in refused]
            assert len(ahead) < limit
            checked += 1
        return row

    model.allocator.allocate = checking
    model.run_until(w.years)
    assert len(used) >= checked > 20


def test_unknown_discretion_is_refused() -> None:
    for wrong in ("some", "top:0", "top:", "top:2.5", "top:-1"):
        with pytest.raises(InputError, match="discretion"):
            discretion_limit(wrong)


def test_a_candidate_is_asked_once_and_the_answer_is_the_worlds() -> None:
    w = world()
    acceptance = Acceptance(w)
    for policy in (FirstCome(), Lottery(), human(), force(human(), "argmax")):
        record = simulate(w, policy)
        offers = record.offers
        assert not offers.duplicated(["kidney", "candidate"]).any()
        answers = [acceptance.answer(o.kidney, o.candidate) for o in offers.itertuples()]
        assert offers["accepted"].tolist() == answers
        assert offers["accepted"].sum() == (record.decisions["outcome"] == "transplanted").sum()
        np.testing.assert_array_equal(offers["centre"], w.candidates["centre"][offers["candidate"]])
        assert offers["offer"].max() == w.parameters.acceptance.max_offers - 1
        assert (
            record.decisions["offers"]
            == offers.groupby("kidney")
            .size()
            .reindex(record.decisions["kidney"], fill_value=0)
            .to_numpy()
        ).all()


def test_a_refusal_passes_to_the_next_in_order() -> None:
    """What a ranking says after its first is what the policy would say without them."""
    w = world()
    utility = human().values

    class OneByOne:
        name = "one by one"

        def choose(self, match) -> Choice:
            values = match.constant(utility)
            return certain(int(match.slots[values.argmax()]))

    ranked_at_once = simulate(w, force(human(), "argmax"))
    asked_again = simulate(w, OneByOne())
    for table in ("offers", "fates"):
        pd.testing.assert_frame_equal(getattr(ranked_at_once, table), getattr(asked_again, table))
    assert ranked_at_once.decisions["offers"].max() > 5


def test_centres_and_candidates_and_kidneys_have_their_say() -> None:
    sure = ["acceptance.slope=0", "acceptance.curvature=0", "acceptance.longevity=0"]
    sure += [f"acceptance.{of}_sd=0" for of in ("centre", "kidney", "candidate")]
    w = world("acceptance.intercept=-1.0986122887", *sure)
    answers = [Acceptance(w).answer(kidney, row) for kidney in range(60) for row in range(200)]
    assert abs(np.mean(answers) - 0.25) < 4 * np.sqrt(0.25 * 0.75 / len(answers))
    declining = world("acceptance.intercept=0", *sure[:2], "acceptance.longevity=-40", *sure[3:])
    taken = [
        (declining.kidneys["kdpi"][k] / 100 * (1 - declining.candidates["epts"][c] / 100))
        for k in range(60)
        for c in range(100)
        if Acceptance(declining).answer(k, c)
    ]
    assert np.mean(taken) < 0.1  # poor kidneys only go to those not expected to live long


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
        lambda match: certain(int(match.slots[0]))._replace(then=np.array([10**6])),
        lambda match: match["agee"],
        lambda match: 1 / 0,
    ],
    ids=[
        *("long", "2-d", "nan", "negative", "sum", "slots", "none", "every", "not in the run"),
        *("tie", "tie nan", "falling", "twice", "far", "slice", "list", "tuple", "nothing", "then"),
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

    simulate(world("relisting.share=0"), _Says(look))
    assert len(seen) > 20


def test_a_policy_may_withhold() -> None:
    w = world()
    never = simulate(w, _Says(lambda match: Choice(np.zeros(len(match)), 0.0)))
    assert set(never.decisions["outcome"]) <= {"withheld", "no_candidate"}
    assert len(never.offers) == 0
    accepting = world("acceptance.intercept=900")
    for answer in (
        lambda match: Choice(np.full(len(match), 0.7 / len(match)), 1.0),
        lambda match: Choice(np.array([0.7]), 0.0, match.slots[:1]),
    ):
        record = simulate(accepting, _Says(answer))
        asked = record.decisions[record.decisions["outcome"] != "no_candidate"]
        share = (asked["outcome"] == "transplanted").mean()
        assert abs(share - 0.7) < 4 * np.sqrt(0.7 * 0.3 / len(asked))


def test_tickets_draw_candidates_with_their_chances_and_nobody_twice() -> None:
    match = run_of(world(), np.arange(6))
    chances = np.random.default_rng(0).dirichlet(np.ones(6))
    rng, n = np.random.default_rng(1), 60_000
    tickets = rng.random((n, 6))
    drawn = [
        [slot for slot, _ in fresh_lots(match, Choice(chances, 0.0), iter(row.tolist()))]
        for row in tickets
    ]
    assert all(sorted(order) == list(range(6)) for order in drawn)
    orders = Counter(tuple(order[:3]) for order in drawn)
    p = chances
    for (i, j, k), seen in orders.items():  # the chances of those left, one after the other
        expected = p[i] * p[j] / (1 - p[i]) * p[k] / (1 - p[i] - p[j])
        assert abs(seen / n - expected) < 5 * np.sqrt(expected / n)


def test_a_ticket_never_falls_on_someone_without_a_chance() -> None:
    # The first and last candidates have no chance, and the shares are such that sums of them
    # round: the ends of the ticket still find somebody who has a chance, and find all of them.
    chances = np.random.default_rng(0).dirichlet(np.ones(40))
    chances[[0, -1]] = 0.0
    chances /= chances.sum()
    match = run_of(world(), np.arange(40))
    for ticket in (0.0, 1e-300, 0.5, 1.0 - 2.0**-53, 1.0):
        drawn = list(fresh_lots(match, Choice(chances, 0.0), iter([ticket] * 64)))
        assert sorted(slot for slot, _ in drawn) == list(range(1, 39))
        assert all(chance == chances[slot] > 0.0 for slot, chance in drawn)


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
    top, tied = gaps.top(utility)
    assert tied == np.count_nonzero(u == u.max())
    assert top.tolist() == gaps.slots[np.argsort(-u, kind="stable")].tolist()
    top, tied = gaps.top(lambda columns: -columns["sex"])
    assert top[:tied].tolist() == [slot for slot in gaps.slots if w.candidates["sex"][slot] == 0]
    assert gaps.first(3).tolist() == gaps.slots[:3].tolist()
    head = gaps.head(4)
    assert head.rows.tolist() == gaps.rows[:4].tolist()
    assert gaps.position(int(gaps.rows[7])) == 7
    late = np.arange(300) >= 200  # nobody near the head may have it
    assert run_of(w, np.arange(300), late).head(2).rows.tolist() == [200, 201]
    many = run_of(w, np.arange(150))
    top, tied = many.top(lambda columns: np.zeros(len(columns["age"])))
    assert tied == 150 and top.tolist() == many.slots.tolist()
    value = np.random.default_rng(4).permutation(150).astype(float)
    ordered = np.argsort(-value)[:64].tolist()
    assert ranked(many, value).slots.tolist() == ordered[:1]
    assert ranked(many, value).then.tolist() == ordered[1:]
    left = gaps.without(gaps.rows[[0, 3]].tolist())
    assert left.rows.tolist() == np.delete(gaps.rows, [0, 3]).tolist()
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
