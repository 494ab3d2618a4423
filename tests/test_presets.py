"""Presets: every figure has a source, wrong input is one line that says what would be right."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from populations.errors import InputError
from populations.presets import PRESETS, TAGS, load_population, preset_names

NAMES = [
    "australia",
    "eurotransplant",
    "survey",
    "teaching",
    "uk",
    "us-centre",
    "us-national",
    "us-opo",
]


def refused(*args, **kwargs) -> str:
    """The message of the InputError that loading ends with: always one line."""
    with pytest.raises(InputError) as caught:
        load_population(*args, **kwargs)
    message = str(caught.value)
    assert message.isprintable(), message
    return message


def written(folder: Path, text: str, name: str = "mine.toml") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def leaves(table, prefix=""):
    for name, entry in table.items():
        if isinstance(entry, dict) and "value" not in entry:
            yield from leaves(entry, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", entry


# ---- the presets that come with it -------------------------------------------------------------


def test_the_presets_are_these():
    assert preset_names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_has_a_tag_and_a_source(name):
    population = load_population(name)
    assert population.name == name
    assert population.description.strip()
    flat = dict(leaves(population.parameters.model_dump(exclude={"data"})))
    assert set(population.origins) == set(flat)
    for key, (tag, source) in population.origins.items():
        assert tag in TAGS and tag != "user", key
        assert len(source) >= 8 and not source.endswith(".toml"), key


@pytest.mark.parametrize("name", NAMES)
def test_the_files_write_every_figure_with_tag_and_source(name):
    content = tomllib.loads((PRESETS / f"{name}.toml").read_text(encoding="utf-8"))
    for key, leaf in leaves({k: v for k, v in content.items() if isinstance(v, dict)}):
        assert set(leaf) == {"value", "tag", "source"}, key


# Key, value, tag; from the sources, written down here a second time.
PUBLISHED = [
    ("list.initial", 90000, "R"),
    ("list.waiting_years.shares", [0.329, 0.215, 0.143, 0.104, 0.072, 0.137], "R2"),
    ("arrivals.per_year", 44000, "D"),
    ("kidneys.per_year", 10818 + 10659 + 2 * 372 + 4038 + 4220 + 2 * 160, "D"),
    ("kidneys.blood_type", [0.4814, 0.3373, 0.1428, 0.0385], "R2"),
    ("centres.count", 232, "R2"),
    ("age.shares", [0.083, 0.240, 0.435, 0.242], "R2"),
    ("age.shift_by_race", [56 - 55, 52 - 55, 53 - 55, 57 - 55, 0], "D"),
    ("sex.shares", [0.381, 0.619], "R2"),
    ("race.shares", [0.097, 0.323, 0.207, 0.355, 0.018], "R2"),
    ("blood_type.shares", [0.535, 0.273, 0.167, 0.025], "R2"),
    ("cpra.edges", [0, 1, 51, 85, 98, 99.5, 99.98, 100], "R"),
    ("prior_transplant.share", 0.118, "R2"),
    ("dialysis.none_at_listing", 0.22, "R"),
    ("dialysis.edges_at_listing", [0, 0.12, 0.90, 2.18, 8.0], "R"),
    ("dialysis.none_on_list", 0.182, "R2"),
    ("dialysis.edges_on_list", [0, 1, 3, 5, 12], "R2"),
]
# Key, what it is derived from; equal after rounding to the digits that the preset gives.
DERIVED = [
    ("kidneys.per_donor", 30799 / 16335, 3),
    ("acceptance.centre_sd", 0.400**0.5, 3),
    ("acceptance.kidney_sd", 0.670**0.5, 3),
    ("acceptance.candidate_sd", 0.512**0.5, 3),
    ("centres.waiting_sd", 0.04**0.5, 4),
    ("centres.survival_sd", 0.05**0.5, 4),
    (
        "cpra.shares",
        [0.70, 0.10, 0.10, *[(0.1 - 9228 / 190467) / 2] * 2, *[9228 / 190467 / 2] * 2],
        5,
    ),
    ("status.activation_first_year", -np.log(1 - 0.527), 3),
    ("status.activation_later", np.log(0.473 / 0.337) / 2, 3),
    ("waiting.too_sick_ratio", 7.1 / 7.0, 3),
    ("waiting.living_donor_per_year", 6300 / 90000, 3),
    ("waiting.other_per_year", (0.092 + 0.075) * 44000 / 90000, 3),
    ("drinks_per_day.shares", [1 - 0.258, 0.258 - 0.063, 0.063], 3),
    ("skin_cancer.share_by_age", [1 - 0.9999063] * 2 + [1 - 0.999275] * 2, 4),
    ("insurance.shares", np.array([49, 51, 12, 11]) / 123, 3),
    ("diabetes.ratio_by_race", np.array([36, 36, 43, 31, 35]) / 35, 2),
    ("prior_transplant.ratio_by_race", np.array([9.3, 11, 11, 18, 14]) / 14, 2),
    ("dialysis.none_ratio_by_race", np.array([6.9, 5.2, 5.0, 15, 9.8]) / 9.8, 2),
    ("dialysis.ratio_by_race", np.array([4.1, 4.4, 4.7, 2.5, 3.5]) / 3.5, 2),
    ("dialysis.shares_on_list", np.array([11.6, 21.3, 16.7, 32.2]) / 81.8, 3),
]


def figure(name: str, key: str):
    population = load_population(name)
    value = population.parameters
    for part in key.split("."):
        value = getattr(value, part)
    return value, population.origins[key].tag


@pytest.mark.parametrize(("key", "value", "tag"), PUBLISHED, ids=[row[0] for row in PUBLISHED])
def test_published_figures(key, value, tag):
    assert figure("us-national", key) == (value, tag)


@pytest.mark.parametrize(("key", "value", "digits"), DERIVED, ids=[row[0] for row in DERIVED])
def test_derived_figures(key, value, digits):
    given_value, _ = figure("us-national", key)
    # 0.6 of the last digit: rows of shares are nudged by rounding so that they sum to 1
    assert np.allclose(given_value, value, rtol=0, atol=0.6 * 10.0**-digits)


def test_figures_of_the_scaled_presets():
    for name, list_size in (("teaching", 200), ("us-opo", 90000 / 56)):
        p = load_population(name).parameters
        assert p.list.initial == round(list_size)
        assert p.arrivals.per_year == round(44000 * list_size / 90000)
        assert p.kidneys.per_year == pytest.approx(30799 * list_size / 90000, abs=0.06)


def test_diabetes_by_age_averages_to_what_the_source_line_says():
    p = load_population("us-national")
    mean = np.dot(p.parameters.age.shares, p.parameters.diabetes.share_by_age)
    assert f"weighted mean {100 * mean:.1f} %" in p.origins["diabetes.share_by_age"].source
    assert mean == pytest.approx(0.468, abs=0.0015)


def test_dialysis_at_listing_reproduces_the_published_quartiles():
    """A quarter of everyone listed below 0.12 years, half below 0.90, three quarters below 2.18."""
    d = load_population("us-national").parameters.dialysis
    below = d.none_at_listing + (1 - d.none_at_listing) * np.cumsum(d.shares_at_listing)
    assert np.allclose(below, [0.25, 0.50, 0.75, 1.0], atol=0.005)
    assert d.edges_at_listing[1:4] == [0.12, 0.90, 2.18]


# ---- extending and overriding --------------------------------------------------------------------


def test_a_preset_keeps_what_it_does_not_replace():
    base, child = load_population("us-national"), load_population("us-opo")
    assert child.parameters.race == base.parameters.race
    assert child.origins["race.shares"] == base.origins["race.shares"]
    assert child.parameters.arrivals.per_year == 786
    assert child.description != base.description


def test_a_file_extends_a_preset(tmp_path):
    path = written(
        tmp_path,
        'extends = "teaching"\n[arrivals]\nper_year = 12\n'
        '[kidneys]\nper_year = { value = 7, tag = "R", source = "our own registry 2024" }\n',
    )
    mine = load_population(path)
    assert mine.name == "mine"
    assert mine.description == load_population("teaching").description
    assert (mine.parameters.arrivals.per_year, mine.parameters.kidneys.per_year) == (12, 7)
    assert mine.origins["arrivals.per_year"] == ("user", path)
    assert mine.origins["kidneys.per_year"] == ("R", "our own registry 2024")
    assert mine.parameters.list.initial == 200


def test_a_file_extends_a_file(tmp_path):
    first = written(tmp_path, 'extends = "teaching"\ncentres.count = 3\n', "first.toml")
    second = written(tmp_path, f'extends = "{first}"\nlist.initial = 9\n', "second.toml")
    p = load_population(second).parameters
    assert (p.centres.count, p.list.initial, p.arrivals.per_year) == (3, 9, 98)


def test_overrides_win_and_are_marked_as_the_users():
    mine = load_population(
        "teaching",
        ["arrivals.per_year = 50", "allocation.blood_groups=compatible", "sex.shares=[0.5, 0.5]"],
    )
    assert mine.parameters.arrivals.per_year == 50
    assert mine.parameters.allocation.blood_groups == "compatible"
    assert mine.parameters.sex.shares == [0.5, 0.5]
    assert mine.origins["arrivals.per_year"].tag == "user"
    assert "arrivals.per_year = 50" in mine.origins["arrivals.per_year"].source


def test_the_last_override_of_a_key_wins():
    p = load_population("teaching", ["list.initial=5", "list.initial=6"]).parameters
    assert p.list.initial == 6


def test_parameters_cannot_be_changed_after_loading():
    p = load_population("teaching").parameters
    with pytest.raises(ValueError, match="frozen"):
        p.arrivals.per_year = 3


# ---- wrong input ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("arrivals.per_yaer=3", ["arrivals.per_yaer", "did you mean 'per_year'"]),
        ("arivals.per_year=3", ["arivals", "did you mean 'arrivals'", "kidneys"]),
        ("list.waiting_years.edgse=[0, 1]", ["edgse", "did you mean 'edges'"]),
        ("arrivals.per_year=nan", ["arrivals.per_year = nan", "finite"]),
        ("arrivals.per_year=inf", ["arrivals.per_year = inf"]),
        ("arrivals.per_year=-1", ["arrivals.per_year = -1", "greater than or equal to 0"]),
        ("arrivals.per_year=1e300", ["1e+300", "less than or equal to 1000000"]),
        ("arrivals.per_year=many", ["'many'", "number"]),
        ("arrivals.per_year=true", ["arrivals.per_year = True", "number"]),
        ("arrivals.per_year=", ["arrivals.per_year = ''", "number"]),
        ("acceptance.slope=nan", ["acceptance.slope = nan"]),
        ("list.initial=2.5", ["list.initial = 2.5", "integer"]),
        ("list.initial=-1", ["list.initial = -1"]),
        ("list.initial=true", ["list.initial = True", "integer"]),
        ("kidneys.per_donor=2.1", ["kidneys.per_donor = 2.1", "less than or equal to 2"]),
        ("centres.count=0", ["centres.count = 0", "greater than or equal to 1"]),
        ("allocation.blood_groups=any", ["'any'", "'identical' or 'compatible'"]),
        ("race.shares=[0.2, 0.2, 0.2, 0.2, 0.1]", ["race.shares", "sum to 1", "0.9"]),
        ("race.shares=[0.5, 0.5]", ["race.shares", "at least 5 items"]),
        ("blood_type.shares=[0.5, 0.3, 0.2]", ["blood_type.shares", "at least 4 items"]),
        ("kidneys.blood_type=[0.2, 0.2, 0.2, 0.2, 0.2]", ["kidneys.blood_type", "at most 4"]),
        ("sex.shares=[-0.5, 1.5]", ["sex.shares", "greater than or equal to 0"]),
        ("sex.shares=[nan, 1]", ["sex.shares"]),
        ("cpra.edges=[0, 1, 51, 85]", ["cpra", "7 shares need 8 edges, got 4"]),
        ("cpra.edges=[0, 1, 1, 85, 100]", ["cpra.edges", "increase"]),
        ("cpra.edges=[0, 1, 51, 85, 101]", ["cpra", "must not exceed 100, got 101"]),
        ("age.edges=[18, 35, 50, 65, 130]", ["age", "must not exceed 100, got 130"]),
        ("dialysis.edges_on_list=[0, 1, 3, 5, 70]", ["dialysis.edges_on_list", "exceed 60"]),
        ("drinks_per_day.values=[1, 2, 50]", ["drinks_per_day.values", "exceed 20"]),
        ("child_dependents.values=[0, 1, 11]", ["child_dependents.values", "exceed 10"]),
        ("list.waiting_years.edges=[0, 1]", ["list.waiting_years", "6 shares need 7 edges"]),
        ("list.waiting_years.edges=[-1, 1, 2, 3, 4, 5, 12]", ["list.waiting_years.edges = -1"]),
        ("list.waiting_years.edges=[0, 1, 2, 3, 4, 5, 19]", ["19", "18", "before birth"]),
        ("dialysis.shares_on_list=[0.5, 0.5]", ["2 shares_on_list need 3 edges_on_list, got 5"]),
        ("dialysis.shares_at_listing=[1.0]", ["1 shares_at_listing need 2 edges_at_listing"]),
        ("dialysis.ratio_by_race=[0, 0, 0, 0, 0]", ["dialysis.ratio_by_race", "above 0"]),
        ("diabetes.share_by_age=[0.1, 0.1, 0.1]", ["diabetes.share_by_age", "at least 4"]),
        ("child_dependents.shares_by_age=[[1], [1], [1], [1]]", ["child_dependents", "3 shares"]),
        ("child_dependents.shares_by_age=[[1, 0, 0]]", ["shares_by_age", "at least 4"]),
        ("drinks_per_day.values=[1]", ["drinks_per_day", "1 values but 3 shares"]),
        ("geography.regions=57", ["geography", "57 regions need as many areas, got 56"]),
        ("geography.hospitals=55", ["geography", "56 areas need as many hospitals, got 55"]),
        ("geography.width_nm=0", ["geography.width_nm = 0", "greater than 0"]),
        ("list=3", ["list = 3", "initial, waiting_years"]),
        ("list.initial.x=3", ["list.initial.x", "'initial' is a figure, not a section"]),
        ("arrivals={per_year = 5}", ["arrivals", "singly"]),
        ("list.initial={value = 5}", ["list.initial", "singly"]),
        ("nonsense", ["nonsense", "key=value"]),
        ("=3", ["=3", "key=value"]),
        ("arrivals.per_year=[3]", ["arrivals.per_year = [3]", "number"]),
        ("arrivals.per_year=3\nx=4", ["arrivals.per_year", "number"]),
        ("a\nb=3", ["unknown key"]),
    ],
)
def test_wrong_overrides(override, said):
    message = refused("us-national", [override])
    assert message.startswith("--set")
    for part in said:
        assert part in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('extends = "us-opo"\n[list]\ninitail = 3', ["'list.initail'", "did you mean 'initial'"]),
        ('extends = "us-opo"\n[arrivals]\nper_year = -3', ["arrivals.per_year = -3"]),
        ('extends = "us-opo"\narrivals = 3', ["arrivals = 3", "a section of per_year"]),
        ('extends = "us-opo"\n[list]\ninitial = { value = 3, tag = "Z" }', ["'Z'", "R, R2, D, M"]),
        ('extends = "us-opo"\n[list]\ninitial = { value = 3, tag = [1] }', ["[1]", "R, R2, D, M"]),
        ('extends = "us-opo"\n[list]\ninitial = { value = 3, source = 7 }', ["7", "source"]),
        ('extends = "us-opo"\n[list]\ninitial = { value = 3, sauce = "x" }', ["sauce"]),
        ('extends = "us-opo"\n[list]\ninitial = { value = { a = 1 } }', ["list.initial", "singly"]),
        ('extends = "us-opo"\ndialysis.shares_on_list = [1.0]', ["1 shares_on_list"]),
        ('extends = "us-opp"', ["'us-opp'", "did you mean 'us-opo'", "survey"]),
        ("extends = 3", ["extends = 3"]),
        ('extends = "a\\u0000.toml"', ["cannot be read"]),
        ("", ["list is missing"]),
        ("[list]\ninitial = 3", ["list.waiting_years is missing"]),
        ("list = [", ["not valid TOML"]),
        ("x = " + "[" * 5000, ["not valid TOML"]),
        ("x = " + "9" * 5000, ["not valid TOML"]),
        ('extends = "us-opo"\n[arrivals]\nper_year = 0x' + "F" * 5000, ["arrivals.per_year"]),
        ('extends = "us-opo"\n"\\n" = 3', ["unknown key"]),
        ("\ufeffextends = 'us-opo'", ["not valid TOML"]),
    ],
)
def test_wrong_files(tmp_path, text, said):
    path = written(tmp_path, text)
    message = refused(path)
    for part in said:
        assert part in message
    assert path in message or "us-opp" in text or "u0000" in text


def test_the_file_at_fault_is_the_one_named(tmp_path):
    path = written(tmp_path, 'extends = "us-opo"\nlist.initial = 5')
    assert refused(path, ["list.initial=-1"]).startswith("--set")
    assert refused(path, ["dialysis.shares_on_list=[1.0]"]).startswith("--set")
    worse = written(tmp_path, f'extends = "{path}"\nlist.initial = -1', "worse.toml")
    assert refused(worse).startswith(worse)
    assert refused(worse, ["arrivals.per_year=1"]).startswith(worse)


def test_unreadable_files(tmp_path):
    folder = tmp_path / "folder.toml"
    folder.mkdir()
    junk = tmp_path / "junk.toml"
    junk.write_bytes(bytes(range(256)))
    for path in (folder, junk, tmp_path / "absent.toml", tmp_path / ("n" * 500 + ".toml")):
        assert "cannot be read" in refused(str(path))
    for name in ("", "us_opo", "US-OPO", str(tmp_path), "\x00", "../presets/us-opo"):
        assert "unknown population" in refused(name)


def test_a_chain_that_bites_its_tail(tmp_path):
    itself = tmp_path / "self.toml"
    itself.write_text(f'extends = "{itself}"')
    assert "extends itself" in refused(str(itself))
    one, two = tmp_path / "one.toml", tmp_path / "two.toml"
    one.write_text(f'extends = "{two}"')
    two.write_text(f'extends = "{one}"')
    assert f"{one} -> {two} -> {one}" in refused(str(one))


KEYS = st.sampled_from(
    ["list", "list.initial", "arrivals.per_year", "race.shares", "cpra.edges", "age", "dialysis"]
) | st.text(max_size=12)
SCALARS = st.sampled_from(
    ["nan", "-inf", "1e999", "0x" + "F" * 40, "true", "[[]]", "{}", '""', "2020-01-01", "[1, 'a']"]
) | st.text(max_size=20)


def loads_or_is_refused(*args) -> None:
    try:
        load_population(*args)
    except InputError as error:
        assert len(str(error).splitlines()) == 1


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(KEYS, SCALARS), max_size=3))
def test_any_override_loads_or_is_refused(pairs):
    loads_or_is_refused("teaching", [f"{key}={value}" for key, value in pairs])


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(KEYS, SCALARS), max_size=4), st.booleans(), st.text(max_size=30))
def test_any_file_loads_or_is_refused(tmp_path, pairs, extends, junk):
    lines = ['extends = "teaching"'] * extends + [f"{k} = {v}" for k, v in pairs] + [junk]
    text = "\n".join(lines).encode("utf-8", "surrogatepass")
    (tmp_path / "fuzz.toml").write_bytes(text)
    loads_or_is_refused(str(tmp_path / "fuzz.toml"))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=60))
def test_any_bytes_load_or_are_refused(tmp_path, content):
    (tmp_path / "bytes.toml").write_bytes(content)
    loads_or_is_refused(str(tmp_path / "bytes.toml"))
