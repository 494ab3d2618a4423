"""The rungs that need no published figure hold, and fail when the engine or a record is broken."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy.linalg import null_space

from experiments.cli import main
from experiments.validation import aggregates, change, ladder, monotone, queue, traced
from experiments.validation.check import RUNGS, Check, by_theory, compared, compared_change, exact
from experiments.validation.conservation import conservation
from experiments.validation.published import LIST, PUBLISHED
from experiments.validation.reasons import REASONS, REASONS_OF_CHANGE, reason
from experiments.validation.spells import cpra_group, recipients, spells
from policies.rules import FirstCome, Lottery, Points
from populations.errors import InputError
from populations.presets import TAGS, load_population
from populations.world import World, make_world
from sim.record import Record
from sim.waitlist import simulate

DOCS = Path(__file__).parents[1] / "docs" / "validation.md"


@cache
def world() -> World:
    """A list on which many come back."""
    overrides = ["relisting.share=1", "relisting.delay_years=0.1"]
    return make_world(load_population("teaching", overrides).parameters, 3, 0, 8.0)


@cache
def run() -> Record:
    return simulate(world(), Points())


@pytest.mark.parametrize("scenario", traced.SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_scenario_goes_as_worked_out_by_hand(scenario: traced.Scenario) -> None:
    record = simulate(traced.by_hand(scenario), FirstCome())
    assert tuple(record.decisions["candidate"]) == scenario.given
    assert tuple(record.fates["fate"]) == scenario.fates
    assert len(record.returns) == scenario.returns
    assert tuple(record.decisions["offers"][: len(scenario.offers)]) == scenario.offers
    assert traced._trace(scenario).verdict == "holds"


def test_a_scenario_that_goes_otherwise_fails() -> None:
    first = traced.SCENARIOS[0]
    wrong = replace(first, given=(0, 0, -1))
    check = traced._trace(wrong)
    assert check.verdict == "FAILS" and check.found == check.expected - 1


@pytest.mark.parametrize("policy", [Points(), Lottery()], ids=lambda policy: policy.name)
def test_everything_is_conserved(policy) -> None:
    checks = conservation(simulate(world(), policy))
    assert [check for check in checks if not check.met] == []
    assert len(checks) == 11


def test_people_do_come_back_in_the_world_that_is_conserved() -> None:
    assert len(run().returns) > 20
    assert (run().returns["fate"] == "transplanted").any()


def failing(record: Record) -> set[str]:
    return {check.name for check in conservation(record) if not check.met}


def test_what_vanishes_or_appears_is_noticed() -> None:
    record = run()
    assert failing(record) == set()
    fewer = replace(record, decisions=record.decisions.drop(index=5))
    assert failing(fewer)
    again = replace(record, returns=pd.concat([record.returns, record.returns.tail(1)]))
    assert "nobody is on the list twice at a time" in failing(again)
    got = record.fates.index[record.fates["kidney"] >= 0]
    twice = record.fates.copy()
    twice.loc[got[0], "kidney"] = twice.loc[got[1], "kidney"]
    assert {
        "no kidney is given twice",
        "each kidney went to who its decision names",
    } <= failing(replace(record, fates=twice))
    early = replace(record, returns=record.returns.assign(listed=record.returns["listed"] - 5.0))
    assert "every return follows a graft failed in the run" in failing(early)
    backwards = record.fates.assign(exit=record.fates["entry"] - 1.0)
    assert "nobody leaves before they enter" in failing(replace(record, fates=backwards))
    lost = replace(record, offers=record.offers.iloc[1:])
    assert "offers made = offers recorded" in failing(lost)
    refused = replace(record, offers=record.offers.assign(accepted=False))
    assert "offers accepted = kidneys transplanted" in failing(refused)


def test_the_closed_form_is_the_stationary_distribution() -> None:
    """Solved a second way: the null space of the generator of the birth-and-death process."""
    n = 120
    up = np.full(n, queue.ARRIVALS)
    down = queue.KIDNEYS + queue.LEAVING * np.arange(n + 1.0)
    down[0] = 0.0
    generator = np.diag(up, 1) + np.diag(down[1:], -1)
    generator -= np.diag(generator.sum(axis=1))
    stationary = null_space(generator.T)[:, 0]
    stationary /= stationary.sum()
    assert queue.idle() == pytest.approx(stationary[0], rel=1e-9)
    length = (queue.ARRIVALS - queue.KIDNEYS * (1 - queue.idle())) / queue.LEAVING
    assert length == pytest.approx(float(stationary @ np.arange(n + 1)), rel=1e-9)


def test_theory_holds() -> None:
    checks = [*queue.closed_forms(6), *queue.littles_law(6)]
    assert [check for check in checks if not check.met] == []
    length = next(check for check in checks if check.name == "mean number waiting")
    assert length.expected == pytest.approx(8.69, abs=0.01)


def test_a_mean_too_far_from_theory_fails() -> None:
    samples = [1.0, 1.1, 0.9, 1.0]  # mean 1, standard error 0.0408
    assert by_theory("little", "x", 1.16, samples, "").verdict == "holds"
    assert by_theory("little", "x", 1.17, samples, "").verdict == "FAILS"


def test_more_kidneys_and_other_labels() -> None:
    nobody_returns = replace(world(), relists=np.zeros_like(world().relists))
    checks = [*monotone.more_kidneys(2), *monotone.audit_labels(nobody_returns)]
    assert [check for check in checks if not check.met] == []


def test_a_rule_that_reads_labels_is_noticed() -> None:
    """Ranked by sex: relabelling then changes decisions."""
    before = simulate(world(), BySex())
    after = simulate(monotone.relabelled(world(), "sex"), BySex())
    assert monotone._changed(before, after) > 0
    assert monotone._changed(before, before) == 0


class BySex:
    name = "by sex"

    def choose(self, match):
        from policies.protocol import ranked

        return ranked(match, match["sex"].astype(float))


def test_verdicts() -> None:
    assert [compared(10.0, found) for found in (8.9, 9.1, 10.9, 11.1)] == [
        *("MISS", "within", "within", "MISS")
    ]
    assert compared(0.05, 0.02, at_most=True) == "within"
    assert compared(0.05, 0.051, at_most=True) == "MISS"
    assert compared(0.95, 0.935, points=True) == "within"
    assert compared(0.95, 0.925, points=True) == "MISS"
    assert compared(10.0, float("nan")) == "MISS"
    assert [compared_change(1.4, found) for found in (1.5, 1.1, 0.99)] == [
        *("within", "direction", "MISS")
    ]
    assert compared_change(0.5, 0.9) == "direction"
    assert compared_change(0.5, float("nan")) == compared_change(0.5, 0.0) == "MISS"
    assert exact("traced", "x", 3, 3).met and not exact("traced", "x", 3, 4).met


def test_every_published_figure_is_computed_and_has_its_provenance() -> None:
    figures = aggregates.simulated(run())
    assert set(figures) == {each.name for each in PUBLISHED}
    assert len(PUBLISHED) == len(figures) >= 90
    for each in PUBLISHED:
        assert each.use in ("input", "fitted", "checked") and each.tag in TAGS and each.source
        assert each.value > 0
    for start in REASONS:
        assert any(each.name.startswith(start) for each in PUBLISHED), start
    for start in REASONS_OF_CHANGE:
        assert any(each.name.startswith(start) for each in change.CHANGES), start
    unexplained = [e.name for e in PUBLISHED if e.use == "checked" and not reason(e.name, REASONS)]
    assert unexplained == ["deaths on the list: inactive"]  # met


def test_figures_of_a_run_by_other_arithmetic() -> None:
    """A few, counted again with plain loops over the record."""
    record = run()
    figures = aggregates.simulated(record)
    people = record.people()
    died = years = 0.0
    attributes = {row.candidate: row for row in people.itertuples()}
    for row in people.itertuples():
        if row.race == "Black":
            years += row.exit - row.entry
            died += row.fate == "died"
    for row in record.returns.itertuples():
        if attributes[row.candidate].race == "Black":
            years += row.exit - row.listed
            died += row.fate == "died"
    assert figures["deaths per 100 person-years, Black"] == pytest.approx(100 * died / years)
    alive = [
        row.death - row.exit > 3
        for row in people.itertuples()
        if row.fate == "transplanted" and 50 <= row.age + row.exit - row.listed < 65
    ]
    assert figures["patient alive after 3 y, age 50-64"] == pytest.approx(np.mean(alive))
    offers = [row.offers for row in record.decisions.itertuples() if row.candidate >= 0]
    assert figures["offers of a transplanted kidney, median"] == np.median(offers)
    poor = [row.candidate < 0 for row in record.decisions.itertuples() if row.kdpi >= 85]
    assert figures["not used, KDPI >= 85"] == pytest.approx(np.mean(poor))
    dialysis = [
        max(row.exit - row.dialysis_start, 0.0)
        for row in people.itertuples()
        if row.fate == "transplanted"
    ]
    assert figures["recipients: years on dialysis, median"] == pytest.approx(np.median(dialysis))


def test_registrations_and_recipients() -> None:
    every = spells(run())
    assert len(every) == len(run().candidates) + len(run().returns)
    again = every[every["returned"]]
    assert (again["entry"] == again["began"]).all() and (again["began"] > 0).all()
    who = recipients(run())
    assert len(who) == (run().fates["fate"] == "transplanted").sum()
    assert (who["graft_years"] <= who["patient_years"]).all()
    assert (who["epts"].between(0, 100)).all() and (who["waited"] >= 0).all()
    assert cpra_group(pd.Series([97.4, 98.5, 99.4, 99.5, 100.0])).tolist() == [97, 99, 99, 100, 100]


def test_a_policy_that_changes_at_a_time() -> None:
    switched = change.Switched(FirstCome(), Points(), 4.0)
    record, old, new = (simulate(world(), each) for each in (switched, FirstCome(), Points()))
    early = record.decisions["time"] < 4.0
    columns = ["kidney", "candidate"]
    assert record.decisions[columns][early].equals(old.decisions[columns][early])
    assert not record.decisions[columns].equals(old.decisions[columns])
    late = record.decisions["time"] >= 4.0
    assert not record.decisions[columns][late].equals(new.decisions[columns][late])


def test_the_change_is_counted_in_its_window() -> None:
    w = make_world(world().parameters, 3, 0, change.SWITCH + change.WINDOW)
    record = simulate(w, Points())
    counts = change._counted(record, w)
    got = {*record.fates.index[record.fates["fate"] == "transplanted"]}
    women = record.candidates["race"].to_numpy()
    events = years = 0.0
    for row in record.fates.itertuples():
        if women[row.candidate] == "Black":
            years += max(row.exit - max(row.entry, change.SWITCH), 0.0)
            events += row.candidate in got and row.exit >= change.SWITCH
    assert len(record.returns) == 0 or counts["Black"][1] >= years
    if len(record.returns) == 0:
        assert counts["Black"] == pytest.approx((events, years))
    figures = change._figures([counts, counts])
    assert set(figures) == {each.name for each in change.CHANGES}
    black, white = counts["Black"], counts["White"]
    ratio = (black[0] / black[1]) / (white[0] / white[1])
    assert figures["transplant rate, Black : White"] == pytest.approx(ratio)


def test_lines_of_a_change() -> None:
    both = change.Change("transplants per 100 person-years, cPRA 98", 9.7, 13.2 / 9.7, "")
    before, after = change._lines(both, 9.0, 18.0)
    assert (before.expected, before.found, before.verdict) == (9.7, 9.0, "within")
    assert after.found == 2.0 and after.verdict == "direction" and after.note
    assert len(change._lines(change.Change("x", np.nan, 1.2, ""), 1.0, 1.2)) == 1


def test_the_years_before_are_set_in_proportion() -> None:
    p = load_population("teaching").parameters
    scale = p.list.initial / LIST
    era = change._set(p, {key: value * scale for key, value in change.ERA.items()}, 1.5)
    assert era.list.initial == round(100_000 * 200 / 90_000)
    assert era.kidneys.per_year == pytest.approx(13_250 * 200 / 90_000)
    assert era.acceptance.intercept == 1.5 and era.age == p.age


def test_acceptance_is_fitted_to_the_kidneys_that_go_unused(monkeypatch) -> None:
    monkeypatch.setattr(change, "FITTED_ON", 1000.0)
    p = load_population("teaching").parameters
    fitted = change.fit_acceptance(p, Points(), 1)
    counts = {key: value * 1000.0 / LIST for key, value in change.ERA.items()}
    w = make_world(change._set(p, counts, fitted), 1, 0, 1.0)
    unused = (simulate(w, Points()).decisions["outcome"] != "transplanted").mean()
    assert unused == pytest.approx(change.UNUSED, abs=0.06)


CHECKS = [
    Check("traced", "a | b", 3.0, 3.0, "holds"),
    Check("published", "c", 2.0, 1.0, "MISS", "checked", "R", "someone [1]", "why"),
    Check("predicted", "d", 1.2, 1.19, "within", "predicted", "R", "someone"),
]


def test_misses_are_printed_as_misses() -> None:
    assert ladder.title(CHECKS) == "2 of 3 lines met; of the 2 that were not fitted, 1"
    text = ladder.markdown(CHECKS, "somewhere")
    assert "| c | 2 | 1 | 0.500 | MISS | checked | R | someone \\[1\\] | why |" in text
    assert text.index(RUNGS["traced"]) < text.index(RUNGS["published"])
    assert RUNGS["monotone"] not in text
    shown = ladder.table(CHECKS, "somewhere [x]")
    assert shown.row_count == 6 and "MISS" in str(shown.columns[4]._cells)


def test_the_command_climbs_the_rungs_asked_for() -> None:
    done = CliRunner(env={"COLUMNS": "200"}).invoke(
        main, ["validate", "--rungs", "traced", "--population", "teaching", "--markdown"]
    )
    assert done.exit_code == 0, done.stderr
    assert f"{len(traced.SCENARIOS)} of {len(traced.SCENARIOS)} lines met" in done.stdout
    assert RUNGS["published"] not in done.stdout
    wrong = CliRunner().invoke(main, ["validate", "--rungs", "tracd"])
    assert wrong.exit_code == 2 and "--rungs 'tracd': expected all" in wrong.stderr
    none = CliRunner().invoke(main, ["validate", "--worlds", "0"])
    assert none.exit_code == 2 and "--worlds 0: expected 1 or more" in none.stderr
    with pytest.raises(InputError, match="expected all, or some of traced"):
        ladder.chosen_rungs("published, monoton")


def test_the_documentation_has_every_line() -> None:
    """The numbers take minutes and are of the day they were made; what is compared is not."""
    text = DOCS.read_text()
    for rung in RUNGS.values():
        assert f"## {rung}" in text
    for name in (*(each.name for each in PUBLISHED), *(each.name for each in change.CHANGES)):
        assert ladder.escaped(name) in text, f"refresh it with: {ladder.REFRESH}"
