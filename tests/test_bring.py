"""Your own data: files are read as declared, every impossible value is told, people are kept."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.cli import main
from experiments.population_docs import PAGE, refreshed
from experiments.runner import make_tasks
from experiments.study import Study
from policies.registry import make_policy
from populations import bring_read
from populations.bring_columns import CANDIDATES, DONORS, locus_antigens
from populations.bring_profile import profile
from populations.bring_read import read_sheet
from populations.bring_template import YEARS, write_template
from populations.errors import InputError
from populations.hla import ANTIGENS, cpra
from populations.presets import load_population, preset_names, resolve_population
from populations.schema import SCHEMA
from populations.world import make_world
from sim.waitlist import simulate

HEADER = "listed,age,blood_type"
GOOD = f"{HEADER}\n-1,50,O\n0.5,40,A\n"
DONORS_GOOD = "time,blood_type,kdpi\n0.2,O,30\n0.7,A,60.5\n"


def population(folder: Path, candidates="", donors="", data="", more="") -> str:
    """The path of a population with these files."""
    lines = ['extends = "teaching"', more, "[data]", data]
    for name, text in (("candidates", candidates), ("donors", donors)):
        if text:
            (folder / f"{name}.csv").write_text(text, encoding="utf-8")
            lines.append(f'{name} = "{name}.csv"')
    path = folder / "mine.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


def world_of(path: str, number=0, years=1.0, seed=1):
    return make_world(load_population(path).parameters, seed, number, years)


def refused(call, *args, **kwargs) -> str:
    with pytest.raises(InputError) as caught:
        call(*args, **kwargs)
    message = str(caught.value)
    assert message.isprintable(), message
    return message


def problems(tmp_path: Path, text: str, declared=CANDIDATES, **options) -> list[str]:
    path = tmp_path / "file.csv"
    path.write_text(text, encoding="utf-8")
    return [str(problem) for problem in read_sheet(str(path), declared, **options).problems]


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    write_template(folder)
    return folder


def edited(template: Path, folder: Path, change) -> str:
    """The template with its candidates' table changed."""
    frame = pd.read_csv(template / "candidates.csv", dtype=str, keep_default_na=False)
    text = change(frame).to_csv(index=False)
    return population(folder, text, (template / "donors.csv").read_text(encoding="utf-8"))


# ---- what is declared --------------------------------------------------------------------------


def test_every_attribute_of_the_schema_can_be_given_but_the_computed_score():
    assert set(SCHEMA) - set(CANDIDATES) == {"epts"}
    for name in set(SCHEMA) & set(CANDIDATES):
        of, column = SCHEMA[name], CANDIDATES[name]
        assert (of.role, of.levels, of.low, of.high) == (
            column.role,
            column.levels,
            column.low,
            column.high,
        )


def test_antigens_of_a_locus_are_named_by_it():
    for locus in ("a", "b", "dr"):
        names = [name for name in ANTIGENS if name.rstrip("0123456789") == locus.upper()]
        assert list(locus_antigens(locus)) == names


# ---- impossible values -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{HEADER}\n0,150,O\n", "line 2: age = '150': expected 0 to 100 years"),
        (f"{HEADER}\n0,-1,O\n", "line 2: age = '-1': expected 0 to 100 years"),
        (f"{HEADER}\n0,fifty,O\n", "line 2: age = 'fifty': expected a number, with a decimal"),
        (f"{HEADER}\n0,nan,O\n", "line 2: age = 'nan': expected a number"),
        (f"{HEADER}\n0,1_0,O\n", "line 2: age = '1_0': expected a number"),
        (f'{HEADER}\n0,"54,5",O\n', "line 2: age = '54,5': expected a number, with a decimal"),
        (f"{HEADER}\n0,,O\n", "line 2: age = '': blank: expected a value in every row"),
        (f"{HEADER}\n0,50,o\n", "line 2: blood_type = 'o': did you mean 'O'? expected one of O, A"),
        (f"{HEADER}\n0,50,AB0\n", "did you mean 'AB'?"),
        (f"{HEADER}\n0,17,O\n", "line 2: age = '17': under 18 when followed from"),
        (f"{HEADER}\n-1,16.5,O\n", "line 2: age = '16.5': under 18 when followed from"),
        (f"{HEADER}\n-9,95,O\n", "line 2: age = '95': over 100 when followed from"),
        (f"{HEADER}\n-70,50,O\n", "line 2: listed = '-70': expected -60 to 100 years from"),
        (f"{HEADER}\n2021-01-01,50,O\n", "dates need a day the run starts on"),
        (f"{HEADER}\n01/02/2021,50,O\n", "expected years from the start, or a date such as 2021"),
        (f"{HEADER},dialysis_years\n0,50,O,55\n", "= '55': on dialysis for longer than alive"),
        (f"{HEADER},dialysis_start\n0,50,O,-55\n", "= '-55': dialysis before birth"),
        ("listed,birth,blood_type\n0,3,O\n", "birth = '3': listed before birth"),
        ("listed,birth,blood_type\n0,-10,O\n", "birth = '-10': under 18 when followed from"),
        (f"{HEADER},sex\n0,50,O,femal\n", "sex = 'femal': did you mean 'female'? expected one of"),
        (f"{HEADER},sex\n0,50,O,F\n", "sex = 'F': expected one of female, male"),
        (f"{HEADER},diabetes\n0,50,O,1\n", "diabetes = '1': expected one of no, yes"),
        (f"{HEADER},cpra\n0,50,O,101\n", "cpra = '101': expected 0 to 100 percent"),
        (f"{HEADER},cpra\n0,50,O,0.98\n0,50,O,0\n", "cpra = '0.98': no value is above 1: expected"),
        (f"{HEADER},centre\n0,50,O,5\n", "centre = '5': expected a number from 0 to 4, or names"),
        (f"{HEADER},centre\n" + "".join(f"0,50,O,N{i}\n" for i in range(6)), "population has 5"),
        (f"{HEADER},a1,b1,dr1\n0,50,O,A99,B7,DR4\n", "a1 = 'A99': did you mean"),
        (f"{HEADER},a1,b1,dr1\n0,50,O,B7,B7,DR4\n", "a1 = 'B7': expected an antigen of locus A"),
        (f"{HEADER},a1,b1,dr1\n0,50,O,A2,B7,\n", "dr1 = '': blank: expected antigens at every"),
        (f"{HEADER},a1\n0,50,O,A2\n", "expected antigens at every locus: no column b1"),
        (f"{HEADER},age\n0,50,O,50\n", "line 1: 'age': the column is there twice"),
        (f"{HEADER},birth\n0,50,O,-50\n", "line 1: 'birth': says the same as age"),
        (f"{HEADER},diabetis\n0,50,O,no\n", "unknown column: did you mean 'diabetes'?"),
        (f"{HEADER},Sex\n0,50,O,male\n", "unknown column: did you mean 'sex'?"),
        (f"{HEADER},epts\n0,50,O,50\n", "computed from age, diabetes, prior_transplant and"),
        ("listed,age\n0,50\n", "line 1: expected a column blood_type"),
        ("listed,blood_type\n0,O\n", "line 1: expected a column age or birth"),
        (f"{HEADER}\n0,50\n", "line 2: 2 cells: expected 3, as in the first line"),
        (f"{HEADER}\n", "line 1: no rows below"),
    ],
)
def test_an_impossible_candidate_is_told_with_line_column_value_and_what_is_right(
    tmp_path, text, told
):
    found = problems(tmp_path, text, places={"centre": 5})
    assert any(told in problem for problem in found), found


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("-0.1,O,50", "time = '-0.1': expected 0 to 100 years from the start"),
        ("0.1,O,120", "kdpi = '120': expected 0 to 100 percent"),
        ("0.1,O,0.5", "kdpi = '0.5': no value is above 1"),
        ("0.1,X,50", "blood_type = 'X': expected one of O, A, B, AB"),
        ("0.1,O,", "kdpi = '': blank"),
    ],
)
def test_an_impossible_donor_is_told(tmp_path, row, told):
    found = problems(tmp_path, f"time,blood_type,kdpi\n{row}\n", DONORS)
    assert any(told in problem for problem in found), found
    found = problems(tmp_path, "time,blood_type,kdpi,kidneys\n0,O,50,3\n", DONORS)
    assert found == ["line 2: kidneys = '3': expected one of 1, 2"]


def test_all_problems_are_counted_and_the_first_ten_listed(tmp_path):
    rows = "".join(f"0,{100 + i},O\n" for i in range(1, 24))
    path = population(tmp_path, f"{HEADER}\n{rows}")
    message = refused(load_population, path)
    assert "candidates.csv: 23 problems: line 2: age = '101'" in message
    assert message.count("line ") == 10 and message.endswith("; and 13 more")
    assert "line 11:" in message and "line 12:" not in message


def test_lines_are_those_of_the_file_whatever_its_cells_and_blank_lines_hold(tmp_path):
    text = f'{HEADER},id\r\n\r\n0,50,O,"two\nlines"\r\n,,,\r\n0,500,O,x\r\n'
    assert problems(tmp_path, text) == ["line 6: age = '500': expected 0 to 100 years"]


def test_what_is_no_table_is_refused_in_one_line(tmp_path, monkeypatch):
    path = tmp_path / "file.csv"
    for data, told in (
        (b"", "empty: expected a first line of column names"),
        (b"listed,age\n0,\xff\n", "line 2: not UTF-8 text"),
        (b"listed;age;blood_type\n0;50;O\n", "columns stand between semicolons: expected commas"),
        (b'listed,age\n0,"50\n', "line 2: not CSV"),
    ):
        path.write_bytes(data)
        assert told in refused(read_sheet, str(path), CANDIDATES)
    assert "no such file" in refused(read_sheet, str(tmp_path / "none.csv"), CANDIDATES)
    assert "no such file" in refused(read_sheet, str(tmp_path), CANDIDATES)
    assert refused(read_sheet, "no\0path", CANDIDATES)
    path.write_text(GOOD, encoding="utf-8")
    monkeypatch.setattr(bring_read, "MOST_ROWS", 1)
    assert "more than 1 rows" in refused(read_sheet, str(path), CANDIDATES)
    monkeypatch.setattr(bring_read, "MOST_BYTES", 10)
    assert "larger than" in refused(read_sheet, str(path), CANDIDATES)


def test_a_file_with_a_mark_of_its_encoding_is_read(tmp_path):
    path = tmp_path / "file.csv"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert not read_sheet(str(path), CANDIDATES).problems


# ---- a world of your own people ----------------------------------------------------------------


def test_the_template_gives_the_people_and_donors_it_was_made_from(template):
    mine = load_population(str(template / "mine.toml"))
    world = make_world(mine.parameters, 1, 0, YEARS)
    teaching = make_world(load_population("teaching").parameters, 1, 0, YEARS)
    for name in set(CANDIDATES) & set(world.candidates) - {"cpra", "dialysis_start"}:
        ours, theirs = world.candidates[name], teaching.candidates[name]
        np.testing.assert_allclose(ours, theirs, atol=2e-4, err_msg=name)
    np.testing.assert_array_equal(world.candidates["hla"], teaching.candidates["hla"])
    np.testing.assert_array_equal(world.candidates["epts"], teaching.candidates["epts"])
    for name in set(world.kidneys) - {"appeal", "hla"}:
        np.testing.assert_allclose(world.kidneys[name], teaching.kidneys[name], atol=1e-4)
    np.testing.assert_array_equal(world.kidneys["hla"], teaching.kidneys["hla"])
    on_dialysis = teaching.candidates["dialysis_years"] > 1e-4
    np.testing.assert_allclose(
        world.candidates["dialysis_start"][on_dialysis],
        teaching.candidates["dialysis_start"][on_dialysis],
        atol=2e-4,
    )
    # Not on dialysis when listed: it begins afterwards.
    later = world.candidates["dialysis_start"][~on_dialysis]
    assert np.all(later > world.candidates["listed"][~on_dialysis])


@pytest.mark.parametrize(
    "column", ["sex", "race", "insurance", "centre", "child_dependents", "neighbourhood"]
)
def test_a_column_left_out_is_drawn_as_for_synthetic_people(template, tmp_path, column):
    path = edited(template, tmp_path, lambda frame: frame.drop(columns=column))
    world = world_of(path, years=YEARS)
    teaching = make_world(load_population("teaching").parameters, 1, 0, YEARS)
    arrived = teaching.candidates["listed"] > 0  # both draw for them in order of listing
    np.testing.assert_array_equal(
        world.candidates[column][arrived], teaching.candidates[column][arrived]
    )


def test_a_blank_is_drawn_and_the_rest_of_the_column_is_kept(template, tmp_path):
    def blank(frame):
        frame.loc[::2, "sex"] = ""
        frame.loc[::4, "sex"] = "NA"  # as R writes it
        frame["sex"] = frame["sex"].replace("male", "female")
        return frame

    world = world_of(edited(template, tmp_path, blank), years=YEARS)
    teaching = make_world(load_population("teaching").parameters, 1, 0, YEARS)
    sex = world.candidates["sex"]
    assert not sex[1::2].any()
    arrived = np.flatnonzero(teaching.candidates["listed"] > 0)
    drawn = arrived[arrived % 2 == 0]
    np.testing.assert_array_equal(sex[drawn], teaching.candidates["sex"][drawn])


def test_what_is_drawn_depends_on_what_is_known(tmp_path):
    ages = [25, 60]
    rows = "".join(f"0,{ages[i % 2]},O\n" for i in range(4000))
    world = world_of(population(tmp_path, f"{HEADER}\n{rows}"))
    candidates, by_age = world.candidates, world.parameters.diabetes.share_by_age
    arrived = candidates["listed"] >= 0
    diabetes = candidates["diabetes"][arrived]
    share = [diabetes[0::2].mean(), diabetes[1::2].mean()]
    assert by_age[2] - by_age[0] > 0.2  # 50-64 and 18-34; standard error with 2,000 each: 0.011
    np.testing.assert_allclose(share, [by_age[0], by_age[2]], atol=0.045)


def test_what_is_drawn_depends_on_a_known_race_and_a_known_kdpi(tmp_path):
    rows = "".join(f"0,50,O,{race}\n" for race in ("Asian", "White") * 2000)
    kdpi = "".join(f"0,O,{5 + 90 * (i % 2)},1\n" for i in range(2000))
    donors = f"time,blood_type,kdpi,kidneys\n{kdpi}"
    world = world_of(population(tmp_path, f"{HEADER},race\n{rows}", donors))
    prior = world.candidates["prior_transplant"][world.candidates["listed"] >= 0]
    ratio = world.parameters.prior_transplant.ratio_by_race
    asian, white = (ratio[SCHEMA["race"].levels.index(race)] for race in ("Asian", "White"))
    assert asian < 0.7 * white  # the ratio's standard error is below 0.06
    assert prior[0::2].mean() / prior[1::2].mean() == pytest.approx(asian / white, abs=0.18)
    age = world.kidneys["donor_age"]
    assert age[1::2].mean() > age[0::2].mean() + 15


def test_the_order_of_the_rows_does_not_matter(template, tmp_path):
    mine = template / "candidates.csv", template / "donors.csv"
    shuffled = [
        pd.read_csv(path, dtype=str, keep_default_na=False)
        .drop_duplicates("listed" if "candidates" in path.name else "time")
        .sample(frac=1.0, random_state=1)
        for path in mine
    ]
    texts = [frame.to_csv(index=False) for frame in shuffled]
    ordered = [
        frame.sort_values(frame.columns[0], key=lambda text: text.astype(float)).to_csv(index=False)
        for frame in shuffled
    ]
    one = world_of(population(tmp_path, *texts), years=YEARS).digest()
    assert one == world_of(population(tmp_path, *ordered), years=YEARS).digest()


def test_worlds_hold_the_same_people_with_other_fates(template):
    path = str(template / "mine.toml")
    first, second = (world_of(path, number, YEARS) for number in (0, 1))
    for name in ("age", "sex", "race", "blood_type", "listed", "centre", "hla", "diabetes"):
        np.testing.assert_array_equal(first.candidates[name], second.candidates[name])
    for name in ("time", "kdpi", "blood_type", "hla", "donor_age", "hospital"):
        np.testing.assert_array_equal(first.kidneys[name], second.kidneys[name])
    for name in ("departure", "untreated_death", "survival_draw", "graft_draw"):
        assert np.mean(getattr(first, name) == getattr(second, name)) < 0.05, name
    assert first.digest() != second.digest()
    assert first.digest() == world_of(path, 0, YEARS).digest()


def test_resampled_worlds_draw_rows_with_replacement(tmp_path):
    rows = "".join(f"{listed},{30 + i / 10},O\n" for i, listed in enumerate([-1] * 90 + [0.5] * 60))
    donors = "time,blood_type,kdpi\n" + "".join(f"0.5,O,{i}\n" for i in range(100))
    path = population(tmp_path, f"{HEADER}\n{rows}", donors, "resample = true")
    worlds = [world_of(path, number) for number in (0, 1)]
    for world in worlds:
        age = np.round(world.candidates["age"], 6)
        waiting = world.candidates["listed"] < 0
        assert waiting.sum() == 90 and len(age) == 150
        assert set(age[waiting]) <= set(np.round(30 + np.arange(90) / 10, 6))
        assert set(age[~waiting]) <= set(np.round(30 + np.arange(90, 150) / 10, 6))
        assert 0.5 < len(set(age)) / 150 < 0.75  # 1 - 1/e of the rows are drawn at least once
        kdpi = world.kidneys["kdpi"]
        assert 0.5 < len(set(kdpi)) / 100 < 0.75
    assert set(worlds[0].candidates["age"]) != set(worlds[1].candidates["age"])


def test_a_longer_run_begins_with_a_shorter_one(template):
    path = str(template / "mine.toml")
    short, long = world_of(path, years=1.5), world_of(path, years=YEARS)
    n, m = len(short.candidates["age"]), len(short.kidneys["time"])
    assert n == np.sum(long.candidates["listed"] < 1.5) and m == np.sum(long.kidneys["time"] < 1.5)
    for name in short.candidates:
        np.testing.assert_array_equal(short.candidates[name], long.candidates[name][:n])
    np.testing.assert_array_equal(short.departure, long.departure[:n])
    for name in short.kidneys:
        np.testing.assert_array_equal(short.kidneys[name], long.kidneys[name][:m])


def test_dates_are_years_from_the_day_the_run_starts(tmp_path):
    text = (
        "listed,birth,blood_type,dialysis_start\n"
        "2020-01-01,1970-01-01,O,2019-07-02\n"
        "2021-07-02,1980-02-29,A,\n"
    )
    path = population(tmp_path, text, data="start = 2021-01-01")
    one, two = ((world_of(path).candidates[name][i]) for i, name in ((0, "age"), (1, "age")))
    assert one == pytest.approx((date(2020, 1, 1) - date(1970, 1, 1)) / timedelta(days=365.25))
    assert two == pytest.approx((date(2021, 7, 2) - date(1980, 2, 29)) / timedelta(days=365.25))
    listed = world_of(path).candidates["listed"]
    np.testing.assert_allclose(listed, [-366 / 365.25, 182 / 365.25])
    assert world_of(path).candidates["dialysis_years"][0] == pytest.approx(183 / 365.25)


def test_places_by_name_are_numbered_in_order_of_name(tmp_path):
    text = f"{HEADER},centre\n-3,50,O,Zurich\n-2,50,O,Bern\n-1,50,O,Zurich\n"
    candidates = world_of(population(tmp_path, text)).candidates
    np.testing.assert_array_equal(candidates["centre"][:3], [1, 0, 1])


def test_antigens_are_kept_and_crpa_comes_as_near_as_they_can(tmp_path):
    text = f"{HEADER},cpra,a1,a2,b1,dr1\n-3,50,O,60,A2,A24,B7,DR4\n-2,50,O,0,A1,,B8,DR3\n"
    candidates = world_of(population(tmp_path, text)).candidates
    masks = [
        sum(1 << ANTIGENS.index(name) for name in names)
        for names in (("A2", "A24", "B7", "DR4"), ("A1", "B8", "DR3"))
    ]
    assert candidates["hla"][:2].tolist() == masks
    assert candidates["cpra"][:2] == pytest.approx([60, 0], abs=1)
    assert candidates["unacceptable"][1] == 0
    np.testing.assert_array_equal(candidates["cpra"], cpra(candidates["unacceptable"]))
    assert not int(candidates["unacceptable"][0]) & masks[0]


def test_what_a_file_does_not_give_is_drawn(tmp_path):
    teaching = load_population("teaching").parameters
    waiting = load_population(population(tmp_path, f"{HEADER}\n-1,50,O\n"))
    assert waiting.parameters.list.initial == 1
    assert waiting.parameters.arrivals == teaching.arrivals
    later = load_population(population(tmp_path, f"{HEADER}\n0.5,50,O\n"))
    assert later.parameters.list == teaching.list and later.parameters.arrivals.per_year == 1
    assert len(world_of(population(tmp_path, "", DONORS_GOOD)).candidates["age"]) > 200
    only = make_world(later.parameters, 1, 0, 1)
    assert np.sum(only.candidates["listed"] < 0) == 200


def test_figures_are_counted_in_the_files_and_say_so(tmp_path):
    donors = "time,blood_type,kdpi,kidneys\n0.1,O,30,2\n1.5,A,60,1\n"
    mine = load_population(population(tmp_path, GOOD, donors))
    p = mine.parameters
    assert (p.list.initial, p.arrivals.per_year) == (1, 1.0)
    assert (p.kidneys.per_donor, p.kidneys.per_year) == (1.5, 1.5)  # three in two years
    for key in ("list.initial", "arrivals.per_year", "kidneys.per_year", "kidneys.per_donor"):
        tag, source = mine.origins[key]
        assert tag == "user" and source.startswith("counted in") and source.endswith(".csv")


def test_a_figure_that_the_files_give_cannot_be_set_beside_them(tmp_path):
    path = population(tmp_path, GOOD)
    message = refused(load_population, path, ["arrivals.per_year=900"])
    assert message.startswith("--set: arrivals.per_year is set, but counted in")
    path = population(tmp_path, GOOD, more="list.initial = 3")
    assert "mine.toml: list.initial is set, but counted in" in refused(load_population, path)
    assert load_population(population(tmp_path, GOOD), ["kidneys.per_year=9"])


def test_no_run_goes_on_after_the_files_end(tmp_path):
    path = population(tmp_path, GOOD, DONORS_GOOD)
    told = "candidates.csv covers 1 years from the start"
    assert told in refused(world_of, path, years=1.5)
    assert world_of(population(tmp_path, GOOD, DONORS_GOOD, "years = 2"), years=2)
    # A list as it stands at the start says nothing of later.
    assert world_of(population(tmp_path, f"{HEADER}\n-1,50,O\n"), years=5)


def test_a_file_that_has_changed_since_it_was_checked_is_refused(tmp_path):
    path = population(tmp_path, GOOD)
    parameters = load_population(path).parameters
    make_world(parameters, 1, 0, 1)
    (tmp_path / "candidates.csv").write_text(GOOD.replace("50", "51"), encoding="utf-8")
    changed = load_population(path).parameters
    assert changed.data != parameters.data  # finished runs of the old file are not used again
    other = parameters.model_copy(
        update={"data": parameters.data.model_copy(update={"start": "2020-01-01"})}
    )
    assert "not the file that was checked" in refused(make_world, other, 1, 0, 1)


def test_settings_of_the_data_are_checked(tmp_path):
    for data, told in (
        ('start = "2021-13-01"', "data.start"),
        ('start = "1 May"', "data.start"),
        ("start = 3", "data.start"),
        ("years = -1", "data.years"),
        ('resample = "yes"', "data.resample"),
        ("candidate = 'x.csv'", "did you mean 'candidates'?"),
        ("candidates = 3", "data.candidates"),
        ('candidates = "nowhere.csv"', "nowhere.csv': no such file"),
    ):
        assert told in refused(load_population, population(tmp_path, data=data))


def test_parameters_with_data_go_through_json(tmp_path):
    p = load_population(population(tmp_path, GOOD, data="start = 2021-01-01")).parameters
    assert type(p).model_validate_json(p.model_dump_json()) == p
    assert p.data.start == "2021-01-01"


# ---- a run of your own people ------------------------------------------------------------------


def policy(name: str):
    return make_policy(name, Path("nowhere.sqlite"))


def test_two_policies_meet_the_same_people_and_two_worlds_deal_other_fates(template):
    parameters = load_population(str(template / "mine.toml")).parameters
    first, second = (make_world(parameters, 1, number, YEARS) for number in (0, 1))
    lottery, fifo = (simulate(first, policy(name)) for name in ("lottery", "first-come"))
    other = simulate(second, policy("first-come"))
    pd.testing.assert_frame_equal(lottery.candidates, fifo.candidates)
    assert lottery.meta["exogenous"] == fifo.meta["exogenous"] != other.meta["exogenous"]
    # Antigens that match a cPRA, and when dialysis begins of those not on it, are drawn.
    drawn = ["cpra", "dialysis_start", "dialysis_years", "epts"]
    pd.testing.assert_frame_equal(
        fifo.candidates.drop(columns=drawn), other.candidates.drop(columns=drawn)
    )
    for one, two, alike in ((lottery, fifo, "untreated_death"), (fifo, other, "")):
        assert (one.fates["fate"] != two.fates["fate"]).any()
        same = np.isclose(one.fates["untreated_death"], two.fates["untreated_death"])
        assert same.all() if alike else same.mean() < 0.05
    kidneys = pd.read_csv(template / "donors.csv")["kidneys"].sum()
    assert len(fifo.decisions) == kidneys
    transplanted = fifo.fates["fate"] == "transplanted"
    assert 0.3 * kidneys < transplanted.sum() <= kidneys
    assert fifo.meta["population"]["data"]["candidates_sha256"]


def test_donors_of_one_day_are_all_allocated(tmp_path):
    rows = "\n".join("2021-03-01,O,20,2" for _ in range(3))
    donors = f"time,blood_type,kdpi,kidneys\n{rows}\n2021-03-02,A,20,1\n"
    path = population(tmp_path, "", donors, "start = 2021-01-01")
    world = world_of(path)
    assert world.kidneys["donor"].tolist() == [0, 0, 1, 1, 2, 2, 3]
    record = simulate(world, policy("lottery"))
    assert record.decisions["kidney"].tolist() == list(range(7))


def test_a_study_runs_on_your_data_and_runs_anew_when_it_changes(template, tmp_path):
    donors = (template / "donors.csv").read_text(encoding="utf-8")
    path = edited(template, tmp_path, lambda frame: frame)
    study = Study(
        population=path,
        policies=["lottery", "first-come"],
        worlds=1,
        years=2,
        tie_seeds=1,
        out=tmp_path / "out",
    )

    def folders(of: Study) -> set[Path]:
        arms = {"lottery": policy("lottery")}
        tasks = make_tasks(of, of.check().parameters, arms, policy("human"))
        return {task.folder for task in tasks}

    before = folders(study)
    assert folders(study) == before
    (tmp_path / "donors.csv").write_text(donors.replace(",O,", ",A,", 1), encoding="utf-8")
    assert folders(study) != before
    assert "covers 3 years" in refused(replace(study, years=4).check)


# ---- the profile -------------------------------------------------------------------------------


def profiled(path: str, file="candidates"):
    return profile(resolve_population(path).parameters, file)


def test_a_profile_counts_every_column(tmp_path):
    text = f"{HEADER},sex\n-1,20,O,male\n0,30,A,male\n0.5,50,A,\n0.7,300,A,female\n"
    found = profiled(population(tmp_path, text))
    columns = found.columns.set_index("column")
    assert set(columns.index) == set(CANDIDATES) and found.rows == 4
    age = columns.loc["age"]
    assert (age.n, age.missing, age["min"], age["median"], age["max"]) == (4, 0, 20, 30, 50)
    assert (age.q25, age.q75, age.problems, age.lines) == (25, 40, 1, "5")
    assert columns.loc["sex"].levels == "male: 2, female: 1" and columns.loc["sex"].missing == 1
    assert columns.loc["race"].missing == 4 and columns.loc["race"].n == 0
    assert found.problems.to_dict("records") == [
        {"line": 5, "column": "age", "value": "'300'", "right": "expected 0 to 100 years"}
    ]
    assert profiled(population(tmp_path, text), "donors") is None


def test_warnings_tell_what_is_possible_but_seldom_meant(tmp_path):
    text = (
        f"{HEADER},id,centre,diabetes,sex\n"
        "-5,15,O,=1+1,@home,no,\n-5,50,O,x,b,no,\n-5,50,O,x,b,no,\n0.1,50,O,y,b,no,male\n"
    )
    found = profiled(population(tmp_path, text)).warnings
    told = {(row.column, row.warning): row.lines for row in found.itertuples()}
    assert told["", "2 rows are the same as another: each counts as somebody else"] == "3, 4"
    assert told["id", "2 rows share an id: each counts as somebody else"] == "3, 4"
    assert told["id", "1 cells begin as a spreadsheet formula does"] == "2"
    assert told["centre", "1 cells begin as a spreadsheet formula does"] == "2"
    assert told["age", "1 listed under 18: followed as adults from the start on"] == "2"
    assert ("diabetes", "the same for everybody") in told
    assert ("sex", "3 of 4 cells are blank, and will be drawn") in told
    assert ("", "the last row is at 0.10 years, but the file is taken to cover 1") in told
    assert len(told) == 9  # and blood_type the same for everybody


def test_notes_say_what_is_drawn(tmp_path):
    notes = " ".join(profiled(population(tmp_path, GOOD)).notes)
    assert "1 waiting at the start" in notes and "1 listed in 1 years; no run may be" in notes
    assert "drawn as for synthetic people: drinks_per_day" in notes
    notes = " ".join(profiled(population(tmp_path, f"{HEADER}\n-1,50,O\n")).notes)
    assert "nobody is listed later: 98 a year are drawn (arrivals)" in notes


# ---- any text at all ---------------------------------------------------------------------------

WORDS = st.sampled_from(
    [
        *CANDIDATES,
        *DONORS,
        "O",
        "A2",
        "B7",
        "DR4",
        "male",
        "Black",
        "0",
        "1",
        "50",
        "-1",
        "2021-01-01",
    ]
)
CELLS = st.one_of(WORDS, st.text(max_size=6), st.floats().map(str), st.integers().map(str))
TABLES = st.lists(st.lists(CELLS, max_size=6), max_size=6).map(
    lambda rows: "\n".join(",".join(row) for row in rows).encode("utf-8", "replace")
)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.one_of(st.binary(max_size=60), TABLES))
def test_any_file_is_read_or_refused_in_one_line(tmp_path, data):
    path = tmp_path / "file.csv"
    path.write_bytes(data)
    for declared in (CANDIDATES, DONORS):
        try:
            sheet = read_sheet(str(path), declared, "2020-02-29", {"centre": 3})
            sheet.checked()
        except InputError as error:
            assert str(error).isprintable()


ROWS = st.lists(
    st.tuples(
        st.floats(-20, 2).map(lambda x: f"{x:.3f}"),
        st.floats(10, 100).map(lambda x: f"{x:.2f}"),
        st.sampled_from(["O", "A", "B", "AB", "AB "]),
        st.one_of(st.just(""), st.floats(0, 100).map(lambda x: f"{x:.1f}")),
        st.sampled_from(["", "0", "0.5", "30"]),
        st.sampled_from(["", "yes", "no"]),
        st.sampled_from(["", "x", "y", "7"]),
    ).map(",".join),
    min_size=1,
    max_size=8,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=ROWS)
def test_whoever_is_accepted_gives_a_sound_world(tmp_path, rows):
    header = f"{HEADER},cpra,dialysis_years,diabetes,centre"
    path = population(tmp_path, "\n".join([header, *rows]))
    try:
        world = world_of(path)
    except InputError:
        return
    c = world.candidates
    for name, of in SCHEMA.items():
        assert np.all((c[name] >= of.low) & (c[name] <= of.high)), name
    entry = np.maximum(c["listed"], 0)
    assert np.all(np.diff(c["listed"]) >= 0)
    assert np.all(entry - c["birth"] > 17.98) and np.all(c["dialysis_start"] >= c["birth"])
    assert np.all(world.departure >= entry) and np.all(world.untreated_death >= world.departure)
    assert np.all((c["centre"] >= 0) & (c["centre"] < world.parameters.centres.count))


# ---- the command -------------------------------------------------------------------------------


def command(*arguments: str):
    return CliRunner(env={"COLUMNS": "200"}).invoke(main, ["populations", *arguments])


def test_the_command_checks_a_population_and_writes_its_profile(template, tmp_path):
    result = command(str(template / "mine.toml"), "--check", "--out", str(tmp_path / "out"))
    assert result.exit_code == 0 and "Usable." in result.output
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {
        f"{file}_{table}.csv"
        for file in ("candidates", "donors")
        for table in ("columns", "problems", "warnings")
    }
    columns = pd.read_csv(tmp_path / "out" / "candidates_columns.csv")
    assert list(columns["column"]) == list(CANDIDATES)


def test_the_command_ends_with_1_if_the_data_cannot_be_used(tmp_path):
    path = population(tmp_path, f"{HEADER}\n0,200,O\n[red]x,50,O\n")
    result = command(path, "--check")
    assert result.exit_code == 1 and "Not usable yet" in result.output
    assert "expected 0 to 100 years" in result.output and "'[red]x'" in result.output
    result = command(path)
    assert result.exit_code == 2 and "2 problems: line 2: age = '200'" in result.output


def test_the_command_refuses_what_makes_no_sense(tmp_path):
    assert command("--check").exit_code == 2
    assert "has no data of its own" in command("teaching", "--check").output
    assert "goes with --check" in command("teaching", "--out", str(tmp_path)).output
    path = population(tmp_path, GOOD)
    result = command(path, "--check", "--set", "list.initial=5")
    assert result.exit_code == 2 and "is set, but counted in" in result.output


def test_the_command_lists_the_data_among_the_figures_and_writes_a_template(tmp_path):
    result = command("--template", str(tmp_path / "new"))
    assert result.exit_code == 0
    result = command(str(tmp_path / "new" / "mine.toml"))
    assert result.exit_code == 0 and "data.candidates" in result.output
    assert "counted in" in result.output
    again = command("--template", str(tmp_path / "new"))
    assert again.exit_code == 2 and "is there already" in again.output


def test_the_page_has_the_columns_and_presets_of_the_code():
    page = PAGE.read_text(encoding="utf-8")
    assert refreshed(page) == page, "python -m experiments.population_docs"
    for name in [*CANDIDATES, *DONORS]:
        assert f"| `{name}` |" in page
    for name in preset_names():
        assert f"### `{name}`" in page


def test_the_example_of_the_page_can_be_used(tmp_path):
    blocks = PAGE.read_text(encoding="utf-8").split("```")
    text = next(block for block in blocks if "start = 2021" in block).removeprefix("toml\n")
    for name, begins in (("candidates", "\nlisted,"), ("donors", "\ntime,")):
        csv = next(block for block in blocks if block.startswith(begins)).lstrip()
        (tmp_path / f"{name}.csv").write_text(csv, encoding="utf-8")
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    world = world_of(str(tmp_path / "mine.toml"))
    np.testing.assert_array_equal(world.candidates["centre"], [0, 1, 0])
    assert len(world.kidneys["time"]) == 3
