"""Asking a server that misbehaves, run as a process of its own (see fault_server.py)."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from experiments.cli import main
from policies.answers import AnswerStore
from policies.ask import LONGEST_WAIT_SECONDS, _litellm, asking, kept_as
from policies.elicit import Answered, Battery, Row, elicit
from policies.pacing import Limits, Pacer
from policies.reading import Form, read_answer
from populations.errors import InputError

ROOT = Path(__file__).parents[1]
MODEL = "openai/gpt-4o"
KEY = "a-key-that-must-not-be-seen"
QUICK = Limits(timeout=1.0, concurrency=8)


class Faults:
    """A running fault server: its plans, and what it was asked."""

    def __init__(self, plans: list[list[str]], log: Path) -> None:
        self.plans, self._log = plans, log
        log.touch()
        command = [sys.executable, ROOT / "tests" / "fault_server.py", log, json.dumps(plans)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.base = f"http://127.0.0.1:{self.process.stdout.readline().strip()}/v1"

    def log(self) -> list[tuple[int, str, str]]:
        lines = (line.split("\t") for line in self._log.read_text(encoding="utf-8").splitlines())
        return [(int(question), step, event) for question, step, event in lines]

    def asked(self) -> Counter[int]:
        return Counter(question for question, _, event in self.log() if event == "asked")

    def plan(self, battery: Battery, row: Row) -> list[str]:
        return self.plans[number(battery, row) % len(self.plans)]


def number(battery: Battery, row: Row) -> int:
    """What the server calls a question."""
    return zlib.crc32(json.dumps(battery.messages(*row.patients)).encode())


@pytest.fixture(scope="module")
def warm() -> None:
    """Import what litellm imports at its first question: seconds that are no server's silence."""
    litellm = _litellm()
    litellm.completion(model=MODEL, messages=[{"role": "user", "content": ""}], mock_response="A")


@pytest.fixture
def serve(
    warm: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[list[list[str]]], Faults]]:
    started: list[Faults] = []

    def start(plans: list[list[str]]) -> Faults:
        started.append(Faults(plans, tmp_path / f"log{len(started)}"))
        monkeypatch.setenv("OPENAI_API_BASE", started[-1].base)
        return started[-1]

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr("policies.ask.BACK_OFF_SECONDS", (0.02,) * 5)
    yield start
    for faults in started:
        faults.process.kill()
        faults.process.wait()
        assert faults.process.stdout is not None
        faults.process.stdout.close()


def stored(path: Path, battery: Battery) -> int:
    with AnswerStore(path) as store:
        return len(store.load(battery.questions(MODEL)))


EVERY_FAULT = {
    "choice": [["A"], ["429", "B"], ["500", "500", "A"], ["truncated", "B"], ["drop", "A"],
               ["hang", "B"], ["p:A=0.6,B=0.3"]],
    "coin": [["heads"], ["C. Flip a coin"]],
    "refusal": [["I can't help with that"], ["filtered"]],
    "cut off": [["cut"], ["endless"]],
    "unparseable": [["The younger one"], ["A or B"]],
}  # fmt: skip


def test_nothing_is_lost_asked_twice_or_left_hanging(
    serve: Callable[[list[list[str]]], Faults], tmp_path: Path
) -> None:
    faults = serve([plan for plans in EVERY_FAULT.values() for plan in plans])
    battery, path = Battery(n_pairs=23), tmp_path / "a.sqlite"
    answered = elicit(MODEL, battery, path, limits=QUICK)
    rows = battery.rows(MODEL)
    expected = [
        next(kind for kind, plans in EVERY_FAULT.items() if faults.plan(battery, row) in plans)
        for row in rows
    ]
    assert [answer.category for answer in answered.answers] == expected
    # No plan went untried, and none was tried beyond its first real answer.
    assert {tuple(faults.plan(battery, row)) for row in rows} == {*map(tuple, faults.plans)}
    assert faults.asked() == {number(battery, row): len(faults.plan(battery, row)) for row in rows}
    spread = next(x for x in answered.answers if x.read == "logprobs")
    assert spread.chosen == pytest.approx((0.6, 0.3)) and spread.other == pytest.approx(0.1)
    closed = {step for _, step, event in faults.log() if event == "closed by the client"}
    assert "endless" in closed

    before = len(faults.log())
    again = elicit(MODEL, battery, path, limits=QUICK)
    assert again.answers == answered.answers
    assert not [event for *_, event in faults.log()[before:] if event == "asked"]


ASK = """
import sys
from pathlib import Path
from policies.elicit import Battery, elicit
from policies.pacing import Limits
elicit("openai/gpt-4o", Battery(n_pairs=40), Path(sys.argv[1]), limits=Limits(concurrency=4))
"""


@pytest.mark.parametrize("killed", [True, False])
def test_two_processes_share_a_store_and_kill_9_loses_only_what_is_in_flight(
    serve: Callable[[list[list[str]]], Faults], tmp_path: Path, killed: bool
) -> None:
    _litellm()  # its import takes seconds, in which the other process would finish
    faults, battery, path = serve([["slow:A"], ["slow:B"]]), Battery(n_pairs=40), tmp_path / "a.db"
    command = [sys.executable, "-c", ASK, path]
    other = subprocess.Popen(command, cwd=ROOT, env=dict(os.environ))
    for _ in range(1200):
        if path.is_file() and stored(path, battery) >= 2:
            break
        time.sleep(0.05)
    kept = [stored(path, battery), 0]

    def progress(done: int, total: int) -> None:
        if killed and other.poll() is None:  # we wait for it, and are told what it does
            other.send_signal(signal.SIGKILL)
            other.wait()
            kept[1] = stored(path, battery)

    answered = elicit(MODEL, battery, path, progress, Limits(concurrency=4))
    assert len(answered.answers) == stored(path, battery) == 80
    asked = faults.asked()
    assert set(asked) == {number(battery, row) for row in battery.rows(MODEL)}
    if killed:
        assert 2 <= kept[0] <= kept[1] < 80
        assert 80 <= sum(asked.values()) <= 80 + 4 and max(asked.values()) <= 2
    else:
        assert other.wait(60) == 0
        assert set(asked.values()) == {1}


def test_a_server_that_dies_ends_in_one_line_with_all_kept(
    serve: Callable[[list[list[str]]], Faults], tmp_path: Path
) -> None:
    faults, path = serve([["A"], ["B"], ["A"], ["B"], ["A"], ["die"]]), tmp_path / "a.db"
    battery = Battery(n_pairs=30)
    with pytest.raises(InputError, match=r"does not answer: .*answers so far are kept") as caught:
        elicit(MODEL, battery, path, limits=Limits(timeout=1.0, concurrency=2))
    assert "\n" not in str(caught.value)
    sent = sum(event == "done" for *_, event in faults.log())
    assert sent - 1 <= stored(path, battery) <= sent
    assert sent > 0


def test_a_wrong_key_ends_at_once_and_is_not_repeated(
    serve: Callable[[list[list[str]]], Faults], tmp_path: Path
) -> None:
    faults = serve([["401"]])
    with pytest.raises(InputError, match=r"wrong key \.\.\.") as caught:
        elicit(MODEL, Battery(n_pairs=10), tmp_path / "a.db", limits=Limits(concurrency=2))
    assert KEY not in str(caught.value) and "\n" not in str(caught.value)
    assert sum(faults.asked().values()) <= 2


def test_a_server_that_wants_an_hour_is_not_waited_for(
    serve: Callable[[list[list[str]]], Faults], tmp_path: Path
) -> None:
    faults = serve([["busy"]])
    assert LONGEST_WAIT_SECONDS < 4000
    with pytest.raises(InputError, match="wants 4000 s"):
        elicit(MODEL, Battery(n_pairs=10), tmp_path / "a.db", limits=Limits(concurrency=1))
    assert sum(faults.asked().values()) == 1


def test_retry_after_holds_every_question(
    serve: Callable[[list[list[str]]], Faults], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[float] = []
    hold = Pacer.hold
    monkeypatch.setattr(Pacer, "hold", lambda self, s: (held.append(s), hold(self, s))[1])
    serve([["429", "A"]])
    elicit(MODEL, Battery(n_pairs=2), tmp_path / "a.db", limits=Limits(concurrency=1))
    assert held == [0.2] * 4


def test_a_refusal_that_repeats_the_key_is_kept_without_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    litellm = _litellm()

    async def refuse(**_: object) -> None:
        said = f"content_policy_violation; Authorization: Basic {KEY}"
        raise litellm.exceptions.ContentPolicyViolationError(said, MODEL, "openai")

    monkeypatch.setattr(litellm, "acompletion", refuse)
    with asking(MODEL, Form(2, "coin", False)) as ask:
        answer = ask([{"role": "user", "content": "A or B?"}])
    assert (answer.category, answer.raw) == ("refusal", "refused by the server")


def test_a_battery_that_costs_too_much_is_stopped(
    serve: Callable[[list[list[str]]], Faults], tmp_path: Path
) -> None:
    # 100,010 tokens of gpt-4o are some 0.25 dollars; the estimate knows nothing of them.
    faults, battery, path = serve([["costly:A"]]), Battery(n_pairs=20), tmp_path / "a.db"
    limits = Limits(max_cost=0.6, concurrency=1)
    with pytest.raises(InputError, match=r"0\.7503 US dollars paid, more than max_cost = 0\.6"):
        elicit(MODEL, battery, path, limits=limits)
    assert stored(path, battery) == sum(faults.asked().values()) == 3


class Clock:
    """A clock that pauses move on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("policies.pacing.time.monotonic", lambda: self.now)

        async def pause(pacer: Pacer, seconds: float) -> None:
            self.now += seconds

        monkeypatch.setattr(Pacer, "pause", pause)


def test_requests_begin_evenly_and_not_before_the_server_wants_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)

    async def turns() -> list[float]:
        pacer, began = Pacer(per_minute=30), []
        for number in range(5):
            if number == 3:
                pacer.hold(60)
            await pacer.turn()
            began.append(clock.now - 1000)
        return began

    assert asyncio.run(turns()) == [0, 2, 4, 64, 66]


def test_a_stopped_pacer_ends_its_pauses() -> None:
    async def stopped() -> None:
        pacer = Pacer(None)
        waiting = asyncio.create_task(pacer.pause(1000))
        await asyncio.sleep(0)
        pacer.stop()
        await asyncio.wait_for(waiting, 10)

    asyncio.run(stopped())


@pytest.mark.parametrize(
    "values", [{"max_calls": -1}, {"max_cost": -0.1}, {"concurrency": 0}, {"timeout": 0},
               {"requests_per_minute": 0}]
)  # fmt: skip
def test_impossible_limits(values: dict[str, float]) -> None:
    (name,) = values
    with pytest.raises(InputError, match=f"{name} = "):
        Limits(**values)  # type: ignore[arg-type]


def test_the_command_counts_every_category_and_says_no_more_than_asked(
    serve: Callable[[list[list[str]]], Faults], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def equipoise(*arguments: str) -> tuple[str, str]:
        main([*arguments], standalone_mode=False)
        return capfd.readouterr()

    said = "I can't help with that, Dave"
    faults = serve([["429", "A"], ["B"], [said], ["truncated", "tails"]])
    options = ["elicit", MODEL, "--pairs", "8", "--answers", str(tmp_path / "a.db")]
    options += ["--steer", "You are a nephrologist of note."]
    shown, progress = equipoise(*options)
    for secret in (KEY, "nephrologist", "kidney is available", "Dave", "Patient A"):
        assert secret not in shown + progress
    battery = Battery(n_pairs=8, steer="You are a nephrologist of note.")
    plans = Counter(faults.plan(battery, row)[-1] for row in battery.rows(MODEL))
    for category, count in (
        ("choice", plans["A"] + plans["B"]), ("coin", plans["tails"]), ("refusal", plans[said]),
        ("unparseable", 0), ("cut off", 0),
    ):  # fmt: skip
        assert re.search(rf"answers: {category} +│ {count} ", shown)
    assert "16; 0 answered before, 0 from shipped tables, 16 calls to make" in shown
    before = sum(faults.asked().values())
    again, _ = equipoise(*options, "--show-answers")
    assert "16 answered before, 0 from shipped tables, 0 calls" in again
    assert again.count("Dave") == plans[said]
    assert sum(faults.asked().values()) == before


def test_a_server_of_ones_own_is_not_taken_for_the_provider(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in os.environ if name.endswith(("_API_BASE", "_BASE_URL"))]:
        monkeypatch.delenv(name)
    assert kept_as(MODEL) == (MODEL, "")
    monkeypatch.setenv("OPENAI_API_BASE", "http://me:secret@gpu-7:8000/v1")
    assert kept_as(MODEL) == ("openai/gpt-4o@gpu-7:8000", "")
    assert kept_as("openai/gpt-4o@gpu-7:8000") == ("openai/gpt-4o@gpu-7:8000", "")
    assert kept_as("gpt-4o") == ("gpt-4o@gpu-7:8000", "")
    assert kept_as("anthropic/claude") == ("anthropic/claude", "")
    assert kept_as("local")[0] == "local/SmolLM2-135M-Instruct.Q4_1-f32"


def test_what_a_model_says_cannot_steer_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    battery, path = Battery(n_pairs=2), tmp_path / "a.db"
    said = read_answer("A\x1b[2J", [], Form(2, "coin", False))
    with AnswerStore(path) as store:
        for row in battery.rows(MODEL):
            store.add(battery.questions(MODEL), row.asked, said)
    command = ["elicit", MODEL, "--pairs", "2", "--answers", str(path), "--show-answers"]
    main(command, standalone_mode=False)
    shown = capsys.readouterr().out
    assert "A\ufffd[2J" in shown and "\x1b[2J" not in shown


def test_one_question_can_be_asked_by_itself(
    serve: Callable[[list[list[str]]], Faults], tmp_path: Path
) -> None:
    serve([["B"]])
    with asking(MODEL, Form(2, "coin", False)) as ask:
        assert ask([{"role": "user", "content": "A or B?"}]).chosen == (0.0, 1.0)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        os.environ["OPENAI_API_BASE"] = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
    with (
        asking(MODEL, Form(2, "coin", False)) as ask,
        pytest.raises(InputError, match="Connection error"),
    ):
        ask([{"role": "user", "content": "A or B?"}])


def test_answered_is_what_was_shown(
    serve: Callable[[list[list[str]]], Faults], tmp_path: Path
) -> None:
    serve([["C. Give C the kidney"]])
    battery = Battery(n_pairs=3, size=3, samples=2)
    answered: Answered = elicit(MODEL, battery, tmp_path / "a.db", limits=QUICK)
    assert answered.pair.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert answered.order.tolist() == [0, 1] * 6
    assert answered.sample.tolist() == [1, 1, 2, 2] * 3
    assert {answer.chosen for answer in answered.answers} == {(0.0, 0.0, 1.0)}
    for place in range(3):
        for name, column in answered.shown[place].items():
            assert (column[0::2] == answered.shown[2 - place][name][1::2]).all()
    first = battery.lists()[0]
    assert [side["age"][0] for side in answered.shown] == [patient[0] for patient in first]
