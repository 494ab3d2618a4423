"""The spread of access to a transplant: against statsmodels, and where the truth is known."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from hand_made import hand_made, one

from measures import access
from measures.registry import MEASURES
from populations.errors import InputError
from populations.schema import SCHEMA
from populations.streams import stream
from sim.record import Record

YEARS = 4.0
LEVELS = {name: attribute.levels for name, attribute in SCHEMA.items() if attribute.levels}


def queue(seed: int, n: int, effect=lambda people: 0.0, rate: float = 0.3) -> Record:
    """``n`` people with attributes at random, transplanted at ``rate exp(effect)`` a year."""
    rng = np.random.default_rng(seed)
    columns = {"listed": np.maximum(rng.uniform(-2, YEARS, n), 0.0)}
    for name, attribute in SCHEMA.items():
        own = stream(seed, 0, name)  # so that a new attribute changes no other
        if attribute.levels:
            share = np.arange(1.0, len(attribute.levels) + 1)
            drawn = own.choice(len(share), n, p=share / share.sum())
            columns[name] = np.array(attribute.levels)[drawn]
        else:
            columns[name] = own.uniform(attribute.low, min(attribute.high, 90.0), n)
    columns["dialysis_start"] = columns["listed"] - columns["dialysis_years"]
    people = pd.DataFrame(columns)
    wait = rng.exponential(1 / (rate * np.exp(effect(people))), n)
    other, end = rng.exponential(1 / 0.2, n), YEARS - people["listed"]
    stay = np.minimum(np.minimum(wait, other), end)
    fate = np.where(stay == end, "waiting", np.where(wait < other, "transplanted", "died"))
    return hand_made(YEARS, exit=people["listed"] + stay, fate=fate, **people.to_dict("series"))


def planted(people: pd.DataFrame) -> pd.Series:
    of_race = people["race"].map({"White": 0.9, "Black": 0.3}).fillna(0.0)
    return of_race + 0.5 * (people["sex"] == "male")


def spread_of(effect: pd.Series, record: Record) -> float:
    """Its SD over person-years: what the measure is to find."""
    waited = record.fates["exit"] - record.fates["entry"]
    mean = np.average(effect, weights=waited)
    return float(np.sqrt(np.average((effect - mean) ** 2, weights=waited)))


def values(record: Record, **settings) -> pd.Series:
    found = access.access_to_transplant(record, **settings).set_index("measure")["value"]
    return found.rename(lambda name: name.removeprefix("access_to_transplant."))


# --- against an independent computation ----------------------------------------------------------


def cohorts(record: Record) -> pd.DataFrame:
    """One row per candidate and calendar year, in the plainest way."""
    rows = []
    for i, fate in record.fates.iterrows():
        person = record.candidates.loc[i]
        for year in range(int(YEARS)):
            start, end = max(fate["entry"], year), min(fate["exit"], year + 1)
            if end <= start:
                continue
            row = person[list(access.ATTRIBUTES)].to_dict()
            waited = start - person["listed"]
            row["age"] += waited
            row["dialysis_years"] = max(start - person["dialysis_start"], 0.0)
            row["cpra"] = np.log(1 - row["cpra"] / 100)
            row |= {"year": year, "py": end - start}
            row["had"] = int(fate["fate"] == "transplanted" and fate["exit"] == end)
            rows.append(row)
    return pd.DataFrame(rows)


@pytest.mark.parametrize("held", [access.POLICY_INTENDED, (), ("cpra", "race", "age")])
def test_spread_against_a_regression_by_formula(held: tuple[str, ...]) -> None:
    record = queue(11, 500, planted)
    record.candidates.loc[:99, "dialysis_start"] += 8.0  # some begin after they are listed
    table = cohorts(record)
    terms = [f"C({name})" if name in LEVELS else name for name in access.ATTRIBUTES]
    fitted = smf.glm(
        f"had ~ C(year) + {' + '.join(terms)}",
        table,
        family=sm.families.Poisson(),
        offset=np.log(table["py"]),
    ).fit()
    names, errors = np.array(fitted.model.exog_names), fitted.cov_params().to_numpy()

    def expected(attributes: list[str]) -> float:
        of = {name.split("[")[0].removeprefix("C(").removesuffix(")") for name in attributes}
        mine = np.array([name.split("[")[0].removeprefix("C(").rstrip(")") in of for name in names])
        columns, b = fitted.model.exog[:, mine], fitted.params.to_numpy()[mine]
        apart = columns - np.average(columns, axis=0, weights=table["py"])
        square = np.average((apart @ b) ** 2, weights=table["py"])
        own = np.einsum("ij,jk,ik->i", apart, errors[np.ix_(mine, mine)], apart)
        return float(np.sqrt(max(0.0, square - np.average(own, weights=table["py"]))))

    free = [name for name in access.ATTRIBUTES if name not in held]
    found = values(record, held=held)
    assert found["sd"] == pytest.approx(expected(free), rel=1e-5)
    assert found["sd"] > 0.15
    for role in ("audit", "clinical"):
        of_role = [name for name in free if SCHEMA[name].role == role]
        assert found[f"sd_{role}"] == pytest.approx(expected(of_role), rel=1e-5)
    for name in free:
        assert found[f"sd_{name}"] == pytest.approx(expected([name]), rel=1e-4, abs=1e-6)
    assert not {f"sd_{name}" for name in held} & set(found.index)


def test_time_on_the_list_is_cut_into_years() -> None:
    record = hand_made(
        3.5,
        listed=[0.5, -2.0, 1.0, 3.0],
        exit=[2.25, 2.0, 1.0, 3.5],
        fate=["transplanted", "transplanted", "died", "waiting"],
    )
    rows = access.registrations(record)
    found = sorted(
        zip(rows.person, rows.period, rows.since, rows.years, rows.transplanted, strict=True)
    )
    assert found == [
        (0, 0, 0.5, 0.5, 0.0),
        (0, 1, 1.0, 1.0, 0.0),
        (0, 2, 2.0, 0.25, 1.0),
        (1, 0, 0.0, 1.0, 0.0),
        (1, 1, 1.0, 1.0, 1.0),  # on the stroke of the year: it ends the year before
        (3, 3, 3.0, 0.5, 0.0),  # candidate 2 left the moment they came
    ]
    second = access.registrations(record, every=2)
    assert set(second.person.tolist()) == {0}
    assert second.years.sum() == 1.75


def test_winsorising_draws_in_the_tails_by_weight() -> None:
    score = np.r_[np.zeros(60), np.ones(137), [50.0] * 3]
    weights = np.r_[np.ones(197), [0.1] * 3]
    scores = access._Scores(
        score[:, None], weights, np.ones(1), np.zeros((1, 1)), np.atleast_2d(1.0)
    )
    _, winsorised = scores.spread(np.array([True]))
    share = 60 / weights.sum()  # of people 1.5 % have 50, but of the weight .15 %: they count as 1
    assert winsorised == pytest.approx(np.sqrt(share * (1 - share)))


# --- where the truth is known --------------------------------------------------------------------


def test_a_lottery_among_all_is_close_to_equal_access() -> None:
    """Some 270 transplants: without the correction the spread would read 0.27."""
    found, raw = [], []
    for seed in range(12):
        record = queue(seed, 700)
        found.append(values(record)[["sd", "sd_winsorised", "sd_audit", "sd_sex"]])
        rows = access.registrations(record)
        scores = access._scores(rows, access._design(record, rows))
        raw.append(scores.coefficients @ scores.scatter @ scores.coefficients)
    means = pd.DataFrame(found).mean()
    assert np.sqrt(np.mean(raw)) > 0.25
    assert means["sd"] < 0.09 and means["sd_audit"] < 0.09 and means["sd_sex"] < 0.06
    assert means["sd_winsorised"] <= means["sd"]


def test_the_noise_taken_off_is_the_noise_there_is() -> None:
    """Unbiased in the square: over lotteries the square less the noise averages to 0."""
    squares = []
    for seed in range(100, 130):
        record = queue(seed, 500)
        rows = access.registrations(record)
        scores = access._scores(rows, access._design(record, rows))
        square = scores.coefficients @ scores.scatter @ scores.coefficients
        squares.append((square, np.sum(scores.errors * scores.scatter)))
    square, noise = np.mean(squares, axis=0)
    error = np.std(np.diff(squares), ddof=1) / np.sqrt(len(squares))
    assert noise > 0.1
    assert abs(square - noise) < 3 * error < 0.06


def test_a_planted_spread_is_recovered() -> None:
    found, truth = [], []
    for seed in range(12):
        record = queue(seed, 700, planted)
        found.append(values(record)[["sd", "sd_audit", "sd_race", "sd_sex"]])
        people = record.candidates
        truth.append(
            [
                spread_of(planted(people), record),
                spread_of(planted(people), record),
                spread_of(planted(people.assign(sex="female")), record),
                spread_of(planted(people.assign(race="Asian")), record),
            ]
        )
    assert pd.DataFrame(found).mean().tolist() == pytest.approx(np.mean(truth, axis=0), abs=0.04)


def test_what_a_policy_intends_is_not_inequity() -> None:
    """The young first: unequal unless age may drive the choice."""
    record = queue(2, 1500, lambda people: -0.02 * (people["age"] - 45))
    assert values(record)["sd"] < 0.1
    loose = values(record, held=())
    truth = spread_of(-0.02 * record.candidates["age"], record)
    assert loose["sd"] == pytest.approx(truth, abs=0.08)
    assert loose["sd_age"] == pytest.approx(truth, abs=0.08)
    note = access.access_to_transplant(record)["note"]
    intended = "age, drinks_per_day, child_dependents, skin_cancer"
    assert note.eq(f"held as policy-intended: {intended}").all()
    assert access.access_to_transplant(record, held=())["note"].str.endswith("none").all()


def test_the_rate_under_chance_is_proportional_to_the_share_of_compatible_donors() -> None:
    record = queue(3, 2000, lambda people: np.log(1 - people["cpra"] / 100))
    truth = spread_of(np.log(1 - record.candidates["cpra"] / 100), record)
    assert values(record)["sd_cpra"] == pytest.approx(truth, abs=0.08)


def test_names_and_order_of_groups_do_not_matter() -> None:
    record = queue(4, 600, planted)
    turned = record.candidates.copy()
    for name in ("race", "insurance", "blood_type"):
        other = dict(zip(LEVELS[name], np.roll(LEVELS[name], 1), strict=True))
        turned[name] = turned[name].map(other)
    ours, theirs = values(record), values(replace(record, candidates=turned))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


# --- where there is nothing to find --------------------------------------------------------------


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def undefined(record: Record) -> str:
    """The one reason for which all of it is undefined."""
    found = access.access_to_transplant(record)
    assert found["value"].isna().all() and found["note"].nunique() == 1
    assert found["measure"].tolist() == access.access_to_transplant(EVERYBODY)["measure"].tolist()
    return found["note"].iloc[0]


EVERYBODY = queue(5, 500)


def test_undefined_without_enough_to_go_by() -> None:
    waiting = replace(EVERYBODY, fates=EVERYBODY.fates.assign(fate="waiting"))
    assert undefined(waiting) == "no transplants"
    nobody = replace(
        EVERYBODY, fates=EVERYBODY.fates.iloc[:0], candidates=EVERYBODY.candidates.iloc[:0]
    )
    assert undefined(nobody) == "nobody on the list"
    assert "needs 5 transplants for each coefficient" in undefined(queue(6, 60))
    never = [np.inf, np.inf]
    fates = ["transplanted", "waiting"]
    one_of_two = hand_made(4.0, exit=[1.0, 4.0], fate=fates, dialysis_start=never)
    assert undefined(one_of_two).endswith("coefficient, and there are 1 for 1")
    for n in (2, 5, 11):
        assert "needs 5 transplants" in undefined(queue(8, n, rate=5.0))


def test_a_group_shut_out_has_no_finite_spread() -> None:
    shut_out = EVERYBODY.candidates["race"] == "Hispanic"
    fates = EVERYBODY.fates.copy()
    fates.loc[shut_out, "fate"] = "died"
    found = access.access_to_transplant(replace(EVERYBODY, fates=fates))
    undefined = found["value"].isna()
    assert found.loc[undefined, "measure"].str.split(".").str[1].tolist() == [
        "sd",
        "sd_winsorised",
        "sd_audit",
        "sd_race",
    ]
    assert (
        found.loc[undefined, "note"].eq("no transplants in race Hispanic: no finite spread").all()
    )


def coefficients(record: Record) -> pd.Series:
    """Those of the regression, by attribute."""
    rows = access.registrations(record)
    design = access._design(record, rows)
    owner = [name for name, block in design.blocks.items() for _ in block.T]
    return pd.Series(access._scores(rows, design).coefficients, index=owner)


@pytest.mark.parametrize("level", ["yes", "no"])  # two thirds have it: the level others differ from
def test_a_level_shut_out_on_purpose_tells_nothing_of_the_others(level: str) -> None:
    """Nobody with skin cancer, say, is transplanted: the rest as if they had not been there."""
    record = queue(9, 1500, planted)
    out = record.candidates["skin_cancer"] == level
    record = replace(record, fates=record.fates.assign(fate=record.fates["fate"].mask(out, "died")))
    without = replace(
        record,
        fates=record.fates[~out].reset_index(drop=True),
        candidates=record.candidates[~out].reset_index(drop=True),
    )
    found, expected = coefficients(record), coefficients(without)
    assert "skin_cancer" not in found and "skin_cancer" not in expected
    names = ["race", "sex", "insurance", "diabetes"]
    np.testing.assert_allclose(found[names], expected[names], atol=1e-6)
    all_of_it = access.access_to_transplant(record)
    assert all_of_it["value"].notna().all()
    assert not all_of_it["note"].str.contains("told apart").any()


def test_a_year_without_transplants_tells_nothing() -> None:
    record = queue(12, 900, planted)
    fates = record.fates
    fates = fates.assign(fate=fates["fate"].mask(fates["exit"] <= 1, "died"))
    later = fates["exit"] > 1
    without = replace(
        record,
        fates=fates.assign(entry=fates["entry"].clip(lower=1.0))[later].reset_index(drop=True),
        candidates=record.candidates[later].reset_index(drop=True),
    )
    found, expected = coefficients(replace(record, fates=fates)), coefficients(without)
    names = ["race", "sex", "insurance", "diabetes"]
    np.testing.assert_allclose(found[names], expected[names], atol=1e-6)


def test_groups_too_small_to_tell_apart_join_the_largest() -> None:
    race = EVERYBODY.candidates["race"].replace({"Asian": "White"}).copy()
    race.iloc[:3] = "Asian"
    record = replace(EVERYBODY, candidates=EVERYBODY.candidates.assign(race=race))
    found = access.access_to_transplant(record)
    assert found["note"].str.endswith("; cannot be told apart from others: race Asian").all()
    largest = race.value_counts().index[0]
    joined = record.candidates.assign(race=race.replace({"Asian": largest}))
    expected = values(replace(record, candidates=joined))
    np.testing.assert_allclose(found["value"], expected, rtol=1e-9)


def test_an_attribute_all_have_alike_adds_nothing() -> None:
    alike = EVERYBODY.candidates.assign(race="Black", cpra=33.3, diabetes="no")
    record = replace(EVERYBODY, candidates=alike)
    found = values(record)
    assert found[["sd_race", "sd_cpra", "sd_diabetes"]].tolist() == [0.0, 0.0, 0.0]
    assert found.notna().all()
    assert not access.access_to_transplant(record)["note"].str.contains("told apart").any()


def test_attributes_that_say_the_same_count_once() -> None:
    """The total stays; what they share goes to the one that the schema names first."""
    record = queue(10, 900, planted)
    alone = values(replace(record, candidates=record.candidates.assign(insurance="Private")))
    insurance = np.where(record.candidates["sex"] == "male", "Medicaid", "Private")
    twice = replace(record, candidates=record.candidates.assign(insurance=insurance))
    np.testing.assert_allclose(values(twice), alone, rtol=1e-9)
    note = access.access_to_transplant(twice)["note"]
    assert note.str.endswith("; cannot be told apart from others: insurance").all()


def test_a_number_that_decides_everything_has_no_finite_slope() -> None:
    """Children enough to be one of many, and never a transplant: the more children, the less."""
    record = queue(7, 1500)
    some = np.arange(len(record.fates)) % 5 == 0
    fates = record.fates.assign(fate=record.fates["fate"].mask(some, "died"))
    candidates = record.candidates.assign(child_dependents=np.where(some, 5.0, 0.0))
    assert undefined(replace(record, fates=fates, candidates=candidates)) == (
        "the regression has no finite solution"
    )


def test_long_lists_are_sampled_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    record = queue(8, 1500, planted)
    whole = values(record)
    monkeypatch.setattr(access, "MOST", 600)
    found = access.access_to_transplant(record)
    assert found["note"].str.contains("one candidate in 3").all()
    third = record.fates.iloc[::3]
    waited = (third["exit"] - third["entry"]).sum()
    assert found["denominator"].iloc[0] == pytest.approx(waited)
    assert one(found, "access_to_transplant.sd")["value"] == pytest.approx(whole["sd"], abs=0.15)


def test_counts_stand_beside_the_spread_and_unknown_attributes_are_refused() -> None:
    found = access.access_to_transplant(EVERYBODY)
    assert found["numerator"].eq((EVERYBODY.fates["fate"] == "transplanted").sum()).all()
    waited = EVERYBODY.fates["exit"] - EVERYBODY.fates["entry"]
    assert found["denominator"].to_numpy() == pytest.approx(waited.sum())
    with pytest.raises(InputError, match="held: 'epts' is not an attribute"):
        access.access_to_transplant(EVERYBODY, held=("epts",))
    assert "value judgement" in MEASURES["access_to_transplant"].cannot_see
