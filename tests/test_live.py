"""A language model asked inside the run: who wins, what is asked, how often, and what is kept."""

import json
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import Executor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from fake_model import FakeModel, age, first, younger
from match_run import Run, people

from experiments.compare import compare
from experiments.runner import FRAMES, make_tasks, process_pool, run_tasks
from experiments.study import Study
from experiments.tables import model_sentence, model_table
from policies import live
from policies.answers import Answer, AnswerStore
from policies.live import Live, likeliest, live_policy
from policies.reading import Form, read_answer
from policies.registry import make_policy
from populations.errors import InputError
from sim.record import TABLES

MODEL = "openai/fake"
TEXT = f"live(llm:{MODEL})"


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Processes remember their models and answers; tests do not."""
    yield
    live._asker.cache_clear()
    live._door.cache_clear()


def make(folder: Path) -> Live:
    policy = make_policy(TEXT, folder / "a.sqlite")
    assert isinstance(policy, Live)
    return policy


def chances(policy: Live, run: Run) -> list[float]:
    return list(policy.choose(run).dense(run))


# ---- who wins ------------------------------------------------------------------------------------


def test_a_pair_and_a_list_in_the_order_of_the_match_run(monkeypatch, tmp_path):
    model = FakeModel(younger)
    model.serve(monkeypatch)
    policy = make(tmp_path)
    assert chances(policy, Run(age=[60.2, 30.4])) == [0, 1]
    assert chances(policy, Run(age=[60.2, 30.4, 45.0, 33.0])) == [0, 1, 0, 0]
    shown = [[age(patient) for patient in asked] for asked in model.asked]
    assert shown == [[60, 30], [60, 30, 45, 33]]
    assert policy.choose(Run(age=[60.2, 30.4])).tie == 0
    assert chances(policy, people(1)) == [1] and len(model.asked) == 2  # nobody to choose between


def test_who_is_beyond_what_can_be_shown_counts_as_the_nearest(monkeypatch, tmp_path):
    model = FakeModel(first)
    model.serve(monkeypatch)
    run = Run(age=[18.0, 80.0], drinks_per_day=[0.0, 9.0], child_dependents=[5.0, 0.0])
    chances(make(tmp_path), run)
    assert model.asked[0] == (
        "25 years old, 1 drink per day prediagnosis, 2 child dependents",
        "70 years old, 5 drinks per day prediagnosis, 0 child dependents",
    )


def test_a_pair_of_one_profile_is_a_tie_and_nothing_is_asked(monkeypatch, tmp_path):
    model = FakeModel(first)
    model.serve(monkeypatch)
    policy = make(tmp_path)
    twins = Run(age=[71.0, 79.0])  # both are shown as 70
    assert chances(policy, twins) == [0.5, 0.5] and policy.choose(twins).tie == 1
    assert model.asked == []
    assert chances(policy, Run(age=[71.0, 79.0, 30.0])) == [1, 0, 0]  # a list is shown as it is
    assert len(model.asked) == 1


@pytest.mark.parametrize(
    ("masses", "winner"),
    [
        ((0.5, 0.3, 0.2), 0),
        ((0.2, 0.3, 0.4), None),  # the coin
        ((0.4, 0.4, 0.2), None),  # as likely as each other
        ((0.2, 0.4, 0.4), None),
        ((0.3, 0.1, 0.05), None),  # most of it is no choice
        ((0.0, 0.0, 0.0), None),
        ((0.1, 0.2, 0.3, 0.4, 0.0), 3),
    ],
)
def test_the_most_likely_answer(masses, winner):
    *chosen, coin = masses
    assert likeliest(Answer(tuple(chosen), coin, 0.0, "", "logprobs", "")) == winner


@pytest.mark.parametrize("text", ["Heads", "tails", "C", "Flip a coin."])
def test_whoever_names_a_side_of_the_coin_has_only_flipped_it(text):
    assert likeliest(read_answer(text, [], Form(2, "coin", False))) is None


def test_a_tie_is_among_all_shown_and_refusals_are_counted(monkeypatch, tmp_path):
    def said(patients: list[str]) -> list[float]:
        coin = age(patients[0]) < 50
        return [0.0] * len(patients) + [float(coin)]  # else nothing that was offered

    FakeModel(said).serve(monkeypatch)
    policy = make(tmp_path)
    for ages in ([40.0, 60.0, 50.0], [60.0, 40.0, 50.0], [30.0, 40.0, 50.0]):
        run = Run(age=ages)
        assert chances(policy, run) == pytest.approx([1 / 3] * 3)
        assert policy.choose(run).tie == 1
    card = policy.card
    assert card["way"] == "live" and (card["kept"], card["kept_unusable"]) == (3, 1)
    assert "very candidates" in model_sentence(policy.name, card)
    assert model_table(policy.name, card).row_count == 2


# ---- what is asked -------------------------------------------------------------------------------


def test_nothing_is_asked_twice_and_the_model_is_opened_once(monkeypatch, tmp_path):
    model = FakeModel(younger)
    model.serve(monkeypatch)
    policy, run = make(tmp_path), Run(age=[60.0, 30.0])
    assert model.opened == []  # not before the first question
    before = chances(policy, run)
    there = pickle.loads(pickle.dumps(policy))
    assert chances(there, run) == before and len(model.asked) == 1
    swapped = Run(age=[30.0, 60.0])
    assert chances(policy, swapped) == [1, 0] and len(model.asked) == 2
    assert model.opened == [MODEL]
    live._asker.cache_clear()  # another process
    live._door.cache_clear()
    assert chances(policy, run) == before
    assert len(model.asked) == 2 and model.opened == [MODEL]


def test_one_question_of_two_processes_is_asked_once(monkeypatch, tmp_path):
    model = FakeModel(younger)
    model.serve(monkeypatch)
    policy, run = make(tmp_path), Run(age=[60.0, 30.0])
    battery = policy.battery(2)
    asker = live._Asker(MODEL, battery, policy.answers)
    asked: list[float] = []

    def other_process(seconds: float) -> None:
        """It was asking the same, and has ended meanwhile."""
        asked.append(seconds)
        busy.clear()
        with AnswerStore(policy.answers) as store:
            row = battery.rows(MODEL)[0]._replace(patients=live.profiles("indecision3", run))
            key = live.Asked(*live.in_order(row.patients), 0)
            answer = Answer((1.0, 0.0), 0.0, 0.0, "choice", "text", "A")
            store.add(battery.questions(MODEL), key, answer)

    busy = [True]
    alone = AnswerStore.alone

    def taken(self, questions):
        return alone(self, questions) if not busy else _Taken()

    monkeypatch.setattr(AnswerStore, "alone", taken)
    monkeypatch.setattr("policies.live.time.sleep", other_process)
    assert asker.answer(live.profiles("indecision3", run)).chosen == (1.0, 0.0)
    assert len(asked) == 1 and model.asked == []


class _Taken:
    def __enter__(self) -> bool:
        return False

    def __exit__(self, *_: object) -> None:
        pass


def test_too_many_candidates(monkeypatch, tmp_path):
    FakeModel(first).serve(monkeypatch)
    policy = make(tmp_path)
    assert policy.most_candidates == 10
    assert chances(policy, people(10)) == [1] + [0] * 9
    with pytest.raises(InputError, match="11 candidates at once: expected at most 10"):
        policy.choose(people(11))
    eight = live_policy(MODEL, tmp_path / "a.sqlite", schema="freedman3")
    assert eight.most_candidates == 7 and eight.name == f"live(llm:{MODEL}, freedman3)"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("live(human)", r"expected live\(llm:MODEL\)"),
        ("live(llm:fake, stability5)", "elderly_dependents, obesity.*expected one of indecision3"),
        ("live(llm:fake, indecision)", "did you mean 'indecision3'"),
        ("live(llm:local+nobody)", "adapter 'nobody'"),
        ("forced(live(llm:fake), first_listed)", "no coin to take away"),
        ("band(live(llm:fake), 0.1)", "no fitted utilities"),
    ],
)
def test_wrong_names_are_refused_before_the_run(text, said, tmp_path):
    with pytest.raises(InputError, match=said):
        make_policy(text, tmp_path / "a.sqlite")


def test_offered_no_coin(monkeypatch, tmp_path):
    policy = make_policy(f"forced({TEXT}, as_measured)", tmp_path / "a.sqlite")
    assert isinstance(policy, Live)
    assert policy.name == f"forced({TEXT}, as_measured)" and policy.option == "none"
    assert policy.battery(2).questions(MODEL) != make(tmp_path).battery(2).questions(MODEL)


# ---- in a study ----------------------------------------------------------------------------------

SMALL = {
    "population": "teaching",
    "worlds": 2,
    "years": 1,
    "tie_seeds": 1,
    "discretion": "top:3",
    "overrides": ("list.initial=40", "kidneys.per_year=20", "arrivals.per_year=20"),
}


def study(out: Path, **changes: object) -> Study:
    options = {"policies": ("human", TEXT), "out": out, "answers": out / "a.sqlite"}
    return Study(**{**SMALL, **options, **changes})


@pytest.mark.parametrize("discretion", ["all", "top:11"])
def test_too_much_discretion_is_refused_before_the_run(monkeypatch, tmp_path, discretion):
    model = FakeModel(first)
    model.serve(monkeypatch)
    with pytest.raises(InputError, match=f"discretion '{discretion}': .*top:K with K at most 10"):
        compare(study(tmp_path, discretion=discretion))
    assert model.asked == [] and not (tmp_path / "runs").exists()


def test_a_model_that_breaks_down_loses_nothing(monkeypatch, tmp_path):
    def said(patients: list[str]) -> list[float]:
        if len(model.asked) > 15:
            raise InputError("model 'openai/fake' does not answer: gone")
        return younger(patients)

    model = FakeModel(said)
    model.serve(monkeypatch)
    with pytest.raises(InputError, match="does not answer: gone"):
        run(tmp_path)
    finished = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert finished and any(name.startswith("human") for name in finished)
    with AnswerStore(tmp_path / "a.sqlite") as store:
        assert sum(row[-1] for row in store.counts()) == 15
    model.said = younger
    run(tmp_path)
    assert len(model.asked) == 1 + len(set(model.asked))  # the question that failed, once more
    names = {path.name for path in (tmp_path / "runs").iterdir()}
    assert names > set(finished) and len(names) == 4


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A model that other processes can reach too; every question it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            question = body["messages"][-1]["content"]
            asked.append(question)
            letters = "ABC"[: question.count("Patient ")]
            message = {"role": "assistant", "content": letters[crc32(question.encode()) % 2]}
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
            content = {"id": "1", "object": "chat.completion", "created": 1, "model": "fake"}
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps({**content, "choices": [choice], "usage": usage}).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("OPENAI_API_BASE", f"http://127.0.0.1:{http.server_port}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    yield asked
    http.shutdown()
    http.server_close()


def records(out: Path) -> dict[str, bytes]:
    """Every file of every run; folders without their hash."""
    runs = out / "runs"
    files = [path.relative_to(runs) for path in runs.rglob("*") if path.is_file()]
    return {
        "/".join([file.parts[0].rpartition("_")[0], *file.parts[1:]]): (runs / file).read_bytes()
        for file in files
    }


def run(out: Path, executor: Executor | None = None) -> None:
    """The runs of a study, without its figures."""
    small = study(out)
    arms = {text: make_policy(text, Path(small.answers)) for text in small.policies}
    tasks = make_tasks(small, small.check().parameters, arms, arms["human"])
    run_tasks(tasks, executor, lambda done, total: None)


def test_one_worker_or_two_give_bit_identical_records(server: list[str], tmp_path: Path) -> None:
    run(tmp_path / "one")
    alone = list(server)
    with process_pool(2) as pool:
        run(tmp_path / "two", pool)
    assert len(set(alone)) == len(alone) > 20
    assert sorted(server) == sorted(2 * alone)  # two workers ask the same, each question once
    one, two = records(tmp_path / "one"), records(tmp_path / "two")
    assert len(one) == 2 * 2 * (len(TABLES) + 1 + len(FRAMES)) and one == two


@pytest.mark.slow_model
def test_the_embedded_model_decides_in_a_run(tmp_path: Path) -> None:
    changes = {"policies": ("live(llm:local)", "first-come"), "worlds": 1, "values": "lottery"}
    few = ("list.initial=20", "kidneys.per_year=6", "arrivals.per_year=5")
    found = compare(study(tmp_path, overrides=few, **changes))
    card = found.cards["live(llm:local)"]
    assert card["kept"] >= 2 and card["kept_unusable"] == 0
    assert np.isfinite(found.levels["value"]).any()
