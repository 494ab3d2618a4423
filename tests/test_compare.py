"""The main job end to end on small worlds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from experiments import sequential
from experiments.cli import main
from experiments.compare import Results, compare
from experiments.runner import process_pool
from experiments.study import Study

ROOT = Path(__file__).parents[1]
SMALL = {"population": "teaching", "worlds": 2, "years": 2, "tie_seeds": 2, "seed": 3}


def study(out: Path, policies: tuple[str, ...], **changes: object) -> Study:
    return Study(policies=policies, out=out, answers=out / "answers.sqlite", **{**SMALL, **changes})


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return compare(study(tmp_path_factory.mktemp("one"), ("human", "lottery", "first-come")))


def run_files(out: Path) -> dict[str, bytes]:
    """Every file of every run, by arm, world, tie seed and name; folders without their hash."""
    return {
        f"{path.relative_to(out / 'runs')}": path.read_bytes()
        for path in sorted((out / "runs").rglob("*"))
        if path.is_file()
    }


def test_two_workers_give_bit_identical_records(results: Results, tmp_path: Path) -> None:
    with process_pool(2) as pool:
        compare(study(tmp_path, ("human", "lottery"), worlds=1), pool)
    one, two = run_files(Path(results.study.out)), run_files(tmp_path)
    each = 2 * 8 + 4  # tables and settings of two tie seeds, frames
    assert len(one) == 3 * 2 * each and len(two) == 2 * each
    assert {name: one[name] for name in two} == two


def test_adding_an_arm_changes_no_other(results: Results, tmp_path: Path) -> None:
    compare(study(tmp_path, ("lottery", "points"), reference="points", worlds=1))
    before, after = run_files(Path(results.study.out)), run_files(tmp_path)
    shared = [name for name in after if name in before]
    assert shared and {name.partition("_")[0] for name in shared} == {"lottery"}
    assert all(after[name] == before[name] for name in shared)


def test_all_arms_see_the_same_events(results: Results) -> None:
    hashes: dict[str, set[str]] = {}
    for meta in (Path(results.study.out) / "runs").rglob("meta.json"):
        content = json.loads(meta.read_text())
        hashes.setdefault(content["world"], set()).add(content["exogenous"])
    assert sorted(hashes) == [0, 1] and all(len(seen) == 1 for seen in hashes.values())
    assert hashes[0] != hashes[1]


def test_finished_runs_are_used_again(results: Results) -> None:
    out = Path(results.study.out)
    stamps = {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*.parquet")}
    again = compare(results.study)
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    pd.testing.assert_frame_equal(again.differences, results.differences)


def test_a_policy_is_at_no_distance_from_itself(results: Results) -> None:
    rows = results.levels.set_index(["arm", "measure", "group"])["value"]
    assert rows["human", "distance", "all"] == pytest.approx(0, abs=1e-9)
    assert rows["lottery", "misalignment", "all"] > 0.01
    assert (
        rows["first-come", "over_decisiveness", "all"] > rows["lottery", "over_decisiveness", "all"]
    )


def test_what_is_written(results: Results) -> None:
    out = Path(results.study.out)
    for name in (
        *("measures", "levels", "differences", "steady_levels", "steady_differences"),
        *("ledger", "floor", "over_time", "incidence", "lorenz", "conflict", "conflict_tau"),
        *("alignment", "weights"),
    ):
        assert len(pd.read_csv(out / f"{name}.csv")) > 0
    settings = json.loads((out / "study.json").read_text())
    assert settings["population"]["list"]["initial"] == 200
    assert settings["origins"]["list.initial"]["tag"] == "A"
    assert settings["arms"] == ["human", "lottery", "first-come"]
    assert settings["reference"] == "human" and settings["command"]
    assert {"python", "equipoise", "mesa", "numpy"} <= set(settings["versions"])
    assert settings["warm_up"]["steady"] is False and settings["warm_up"]["years"] == 1.0
    assert settings["precision"] is None
    captions = json.loads((out / "figures" / "captions.json").read_text())
    drawn = {path.stem for path in (out / "figures").glob("*.svg")}
    assert drawn == set(captions) and all(said["alt"] for said in captions.values())
    for name in drawn:
        for ending in ("png", "svg", "csv"):
            assert (out / "figures" / f"{name}.{ending}").stat().st_size > 100
    assert {"fairness_over_time", "winners_and_losers", "lorenz", "conflict"} <= drawn
    assert not list((out / "runs").glob(".unfinished*"))


def test_candidates_and_the_ledger_agree(results: Results) -> None:
    """One row per arm, world and candidate, in numbers that add up to the ledger's."""
    people = pd.read_parquet(Path(results.study.out) / "patients.parquet")
    assert not people.duplicated(["arm", "world", "candidate"]).any()
    assert list(people["arm"].cat.categories) == sorted(results.arms)
    own = people[people["arm"] == "human"]
    assert (own["transplanted"] == own["reference_transplanted"]).all()
    assert own[["gained", "lost", "displaced", "regret"]].to_numpy().max() == 0
    ledger = results.ledger[results.ledger["arm"] == "lottery"]
    for what in ("gained", "lost", "displaced"):
        n = ledger.loc[ledger["what"] == what, "n"].sum() / 2  # tie seeds
        assert people.loc[people["arm"] == "lottery", what].sum() == pytest.approx(n)
        assert n > 0


def test_all_tie_seeds_are_compared(results: Results) -> None:
    for frame in (results.ledger, results.floor):
        churn = frame[frame["what"] == "churn"]
        assert set(churn["tie_seed"]) == {0, 1} and set(churn["world"]) == {0, 1}
        assert not churn.duplicated(["arm", "world", "tie_seed"]).any()
    assert set(results.ledger["arm"]) == {"lottery", "first-come"}
    assert set(results.floor["arm"]) == {"human", "lottery", "first-come"}
    alone = results.floor[
        (results.floor["arm"] == "first-come") & (results.floor["what"] == "churn")
    ]
    assert (alone["share"] == 0).all()  # no lots, no luck


def test_whole_histories_are_tested_and_the_steady_view_is_not(results: Results) -> None:
    tested = results.differences[results.differences["family"] == "declared"]
    assert set(tested["arm"]) == {"lottery", "first-come"}
    assert (
        tested["p_holm"].notna().any() and (tested["p_holm"].dropna() >= tested["p"].dropna()).all()
    )
    steady = results.steady_differences
    assert set(steady["measure"]) >= {"transplant_rate", "transplant_rate_ratio"}
    assert (steady["family"] == "exploratory").all() and steady["p"].notna().any()
    whole = results.levels.set_index(["arm", "measure", "group"])["value"]
    later = results.steady_levels.set_index(["arm", "measure", "group"])["value"]
    key = ("human", "transplant_rate", "all")
    assert whole[key] != later[key] and later[key] > 0


def test_measures_of_all_arms_together_are_there(results: Results) -> None:
    assert "price_of_fairness" in set(results.measures["measure"])


def test_a_precision_adds_worlds_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So wide a target that the least number of worlds meets it; here that is 2 + 1."""
    monkeypatch.setattr(sequential, "LEAST", 2)
    monkeypatch.setattr(sequential, "LOOK_AHEAD", 1)
    given = ("run", "compare", "--population", "teaching", "--policies", "first-come,lottery")
    given += ("--worlds", "2", "--years", "1", "--tie-seeds", "1", "--workers", "1")
    given += ("--set", "list.initial=60", "--out", str(tmp_path))
    code, out, err = invoke(*given, "--precision", "50", "--worlds-most", "4")
    assert code == 0 and "met with 3 worlds" in out, err
    settings = json.loads((tmp_path / "study.json").read_text())
    assert settings["study"]["worlds"] == 3 and settings["precision"]["met"] is True
    assert pd.read_csv(tmp_path / "measures.csv")["world"].nunique() == 3


def invoke(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, list(arguments))
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--policies", "humen"], "did you mean 'human'"),
        (["--policies", "human,human"], "each once"),
        (["--policies", "forced(human"], "bracket"),
        (["--population", "us-opoo"], "did you mean 'us-opo'"),
        (["--population", "nowhere.toml"], "nowhere.toml"),
        (["--set", "arrivals.per_year=-5"], "arrivals.per_year"),
        (["--set", "arrivals.per_year=nan"], "arrivals.per_year"),
        (["--set", "race.shares=[1, 1, 0, 0, 0]"], "sum to 1"),
        (["--set", "arivals.per_year=5"], "did you mean 'arrivals'"),
        (["--worlds", "0"], "worlds = 0"),
        (["--precision", "-1"], "precision = -1"),
        (["--precision", "0.1", "--worlds-most", "5"], "worlds_most = 5"),
        (["--years", "nan"], "years = nan"),
        (["--discretion", "top:0"], "top:K"),
        (["--reference", "points"], "reference 'points'"),
        (["--workers", "-1"], "--workers -1"),
        (["--set", "list.initial=0", "--set", "arrivals.per_year=0"], "expected somebody to wait"),
        (["--set", "kidneys.per_year=1000000"], "kidneys in a world"),
        (["--worlds", "1000000000"], "runs (worlds x policies x tie seeds)"),
        (["--policies", "modal(" * 3000 + "human" + ")" * 3000], "few brackets"),
        (["--policies", "llm:\udcff"], "printable"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(
    arguments: list[str], says: str, tmp_path: Path
) -> None:
    code, _, err = invoke("run", "compare", "--out", str(tmp_path / "out"), *arguments)
    assert code == 2 and says in err and err.strip().count("\n") == 0
    assert not (tmp_path / "out").exists()


def test_wrong_input_leaves_earlier_results_untouched(results: Results) -> None:
    out = Path(results.study.out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert invoke("run", "compare", "--out", str(out), "--policies", "nobody")[0] == 2
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_results_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    code, _, err = invoke(
        *("run", "compare", "--population", "teaching", "--policies", "lottery"),
        *("--worlds", "1", "--years", "1", "--workers", "1", "--out", str(tmp_path / "file")),
    )
    assert code == 2 and str(tmp_path / "file") in err and err.strip().count("\n") <= 1


def test_command_line_prints_tables(tmp_path: Path) -> None:
    code, out, _ = invoke(
        *("run", "compare", "--population", "teaching", "--policies", "human,lottery"),
        *("--worlds", "2", "--years", "1", "--tie-seeds", "1", "--workers", "1"),
        *("--out", str(tmp_path)),
    )
    assert code == 0
    for words in (
        *("What happened", "Paired difference from human", "declared (", "exploratory", "Access"),
        *("Winners and losers", "by lots alone", "No steady state", "from memory"),
    ):
        assert words in out


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["policies"], ["human-assembly", "forced(POLICY, MODE)", "llm:MODEL"]),
        (["populations"], ["us-national", "survey", "teaching", "us-opo"]),
        (["populations", "us-opo"], ["arrivals.per_year", "786", "44,000 / 56"]),
        (["measures"], ["transplant_rate", "policy-invariant"]),
    ],
)
def test_lists(command: list[str], words: list[str]) -> None:
    code, out, _ = invoke(*command)
    assert code == 0 and all(word in out for word in words)


def test_help_is_quick_because_heavy_packages_wait() -> None:
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom experiments.cli import main\n"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0\n"
        "print([m for m in ('mesa', 'matplotlib', 'litellm', 'xllamacpp') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stderr


def readme_blocks() -> list[str]:
    text = (ROOT / "README.md").read_text()
    return [block.split("```")[0] for block in text.split("```python\n")[1:]]


def test_readme_python_runs(tmp_path: Path) -> None:
    blocks = readme_blocks()
    assert len(blocks) == 2
    policy = next(block for block in blocks if "@register" in block)
    assert len(policy.strip().splitlines()) <= 20
    for block in blocks:
        done = subprocess.run(
            [sys.executable, "-c", block],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert done.returncode == 0 and "arm" in done.stdout, done.stderr


@pytest.mark.parametrize("wrong", [["--years", "nan"], ["--years", "0"], ["--seed", "-1"]])
def test_validate_refuses_what_cannot_be_run(wrong: list[str]) -> None:
    code, _, err = invoke("validate", "--population", "teaching", *wrong)
    assert code == 2 and wrong[0][2:] in err


def test_validate_shows_misses(tmp_path: Path) -> None:
    code, out, _ = invoke(
        "validate", "--population", "teaching", "--years", "1", "--set", "waiting.level=2"
    )
    assert code == 0 and "MISS" in out and "not fitted" in out


def test_text_of_users_is_shown_as_it_is(tmp_path: Path) -> None:
    """Square brackets are markup to the terminal, dollars mathematics to the figures."""
    odd = tmp_path / "a$b^$[x].toml"
    odd.write_text('extends = "teaching"\ndescription = "odd [/note] one"\n')
    code, out, err = invoke("populations", str(odd))
    assert code == 0 and "odd [/note] one" in out, err
    code, out, err = invoke(
        *("run", "compare", "--population", str(odd), "--policies", "lottery"),
        *("--worlds", "1", "--years", "1", "--workers", "1", "--out", str(tmp_path / "[/o]")),
    )
    assert code == 0 and "[/o]" in out, err
