"""Language models as policies, against a small server that answers as we tell it to."""

import json
import math
import re
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from policies.answers import AnswerStore
from policies.davidson import Band
from policies.elicit import Battery, elicit
from policies.llm import COIN, FIRST, SECOND, llm_policy
from policies.pacing import Limits
from policies.summary import most_likely
from populations.errors import InputError

MODEL = "openai/fake"
ONE = Limits(concurrency=1)
Reply = str | dict[str, float] | int  # a text, next-token probabilities, or an HTTP error


class Server:
    """Answers every question with ``reply(age of A, age of B)`` and counts the questions."""

    def __init__(self) -> None:
        self.reply: Callable[[int, int], Reply] = lambda a, b: "A"
        self.asked: list[dict[str, Any]] = []


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told.asked.append(body)
            ages = re.findall(r"Patient [AB]: (\d+) years", body["messages"][-1]["content"])
            status, content = completion(told.reply(int(ages[0]), int(ages[1])))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("OPENAI_API_BASE", f"http://127.0.0.1:{http.server_port}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setattr("policies.ask.BACK_OFF_SECONDS", (0.01,) * 5)
    yield told
    http.shutdown()
    http.server_close()


def completion(reply: Reply) -> tuple[int, dict[str, Any]]:
    if isinstance(reply, int):
        return reply, {"error": {"message": "logprobs are not supported", "code": reply}}
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
    text = reply if isinstance(reply, str) else max(reply, key=lambda token: reply[token])
    choice["message"] = {"role": "assistant", "content": text}
    if not isinstance(reply, str):
        top = [{"token": t, "logprob": math.log(p), "bytes": None} for t, p in reply.items()]
        choice["logprobs"] = {"content": [{**top[0], "top_logprobs": top}]}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return 200, {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "fake",
        "choices": [choice],
        "usage": usage,
    }


def younger(a: int, b: int) -> str:
    return "A" if a < b else "B" if b < a else "C"


def test_the_most_likely_answer_of_equals_is_a_tie() -> None:
    rows = [(0.6, 0.3, 0.1), (0.1, 0.6, 0.3), (0.1, 0.2, 0.7), (0.4, 0.4, 0.2), (0.0, 0.0, 0.0)]
    assert most_likely(np.array(rows)).tolist() == [FIRST, SECOND, COIN, COIN, COIN]
    assert most_likely(np.array([(0.1, 0.2, 0.4, 0.3), (0.3, 0.1, 0.3, 0.3)])).tolist() == [2, 3]


def test_a_model_that_follows_the_patient(server: Server, tmp_path: Path) -> None:
    server.reply = younger
    policy = llm_policy(MODEL, tmp_path / "a.sqlite", n_pairs=30)
    card = policy.card
    assert isinstance(policy, Band)
    assert policy.name == policy.base.name == f"llm:{MODEL}"
    assert card["way"] == "surrogate"
    assert card["same_patient"] + card["coin_both"] == 1.0
    assert card["same_position"] == 0.0
    assert card["weights"]["age"] < -3 < 3 * abs(card["order"])
    assert card["read"] == {"text": 60} and card["pairs"] == 30
    assert card["unusable"] == card["other_mass"] == 0.0
    assert card["held_out_modal_agreement"] > card["held_out_modal_agreement_constant"]
    one, other = ({"age": np.array([age]), "drinks_per_day": np.array([2.0]),
                   "child_dependents": np.array([1.0])} for age in (30.0, 60.0))  # fmt: skip
    assert policy.judge(one, other).tolist() == [[1, 0, 0]]
    assert policy.judge(other, one).tolist() == [[0, 1, 0]]


def test_a_model_that_follows_the_position(server: Server, tmp_path: Path) -> None:
    server.reply = lambda a, b: {"A": 0.5, " A": 0.1, "B": 0.2, "The": 0.2}
    policy = llm_policy(MODEL, tmp_path / "a.sqlite", n_pairs=10, coin=False)
    card = policy.card
    assert card["same_position"] == 1.0 and card["same_patient"] == 0.0
    assert card["mean_first"] == pytest.approx(0.75)
    assert card["mean_coin"] == 0.0 and card["log_tie"] is None
    assert card["other_mass"] == pytest.approx(0.2)
    # P(first) / P(second) = exp(2 order): no weight explains it.
    assert policy.base.log_tie == -math.inf
    assert policy.base.order == pytest.approx(0.5 * math.log(3), abs=0.01)
    assert all(abs(weight) < 0.01 for weight in card["weights"].values())
    assert card["read"] == {"logprobs": 20}
    assert policy.name == f"forced(llm:{MODEL}, as_measured)"
    assert all("coin" not in body["messages"][-1]["content"] for body in server.asked)


def test_a_model_that_always_flips_is_not_called_consistent(server: Server, tmp_path: Path) -> None:
    server.reply = lambda a, b: {"C": 0.7, "A": 0.1, "B": 0.1}
    card = llm_policy(MODEL, tmp_path / "a.sqlite", n_pairs=20).card
    assert card["coin_both"] == card["coin_modal"] == 1.0
    assert card["same_patient"] == card["same_position"] == 0.0
    assert card["mean_coin"] == pytest.approx(7 / 9)
    assert card["log_tie"] == pytest.approx(math.log(7), abs=0.01)


def test_both_orders_of_a_pair_are_held_out_together(server: Server, tmp_path: Path) -> None:
    first = {int(patient[0]) for patient in Battery(n_pairs=2).lists()[0]}
    server.reply = lambda a, b: "A" if {a, b} == first else "B"
    card = llm_policy(MODEL, tmp_path / "a.sqlite", n_pairs=2).card
    # From the other pair alone the right answer has (0 + 1/3) / (2 + 1).
    assert card["held_out_log_loss_constant"] == pytest.approx(math.log(9))


def test_nothing_is_asked_twice(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    told: list[tuple[int, int]] = []
    server.reply = lambda a, b: {"A": 0.6, "B": 0.3, "C": 0.1}
    first = llm_policy(MODEL, path, n_pairs=6, progress=lambda *x: told.append(x))
    assert told == [(done, 12) for done in range(1, 13)]
    assert len(server.asked) == 12
    again = llm_policy(MODEL, path, n_pairs=6, progress=lambda *x: told.append(x))
    assert len(server.asked) == 12 and len(told) == 12
    assert again.card == first.card
    llm_policy(MODEL, path, n_pairs=8, progress=lambda *x: told.append(x))
    assert len(server.asked) == 16
    assert told[12:] == [(13, 16), (14, 16), (15, 16), (16, 16)]


def test_what_is_asked_for(server: Server, tmp_path: Path) -> None:
    elicit(MODEL, Battery(n_pairs=2), tmp_path / "a.sqlite", limits=ONE)
    body = server.asked[0]
    assert body["temperature"] == 0 and body["logprobs"] is True and body["top_logprobs"] == 20
    shown = [
        re.findall(r"Patient [AB]: (.*)", asked["messages"][-1]["content"])
        for asked in server.asked
    ]
    assert shown[0] == shown[1][::-1] and shown[2] == shown[3][::-1]


def test_an_interrupt_loses_only_the_answer_in_flight(server: Server, tmp_path: Path) -> None:
    path, battery = tmp_path / "a.sqlite", Battery(n_pairs=4)

    def interrupt(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        elicit(MODEL, battery, path, interrupt, ONE)
    with AnswerStore(path) as store:
        kept = len(store.load(battery.questions(MODEL)))
    assert 3 <= kept <= 4
    assert len(server.asked) <= kept + 1
    elicit(MODEL, battery, path)
    # On a busy machine the question in flight reaches the server after the interrupt.
    assert 8 <= len(server.asked) <= 9


def test_refusals_are_counted_as_themselves(server: Server, tmp_path: Path) -> None:
    server.reply = lambda a, b: "I cannot choose." if a < b else "B"
    card = llm_policy(MODEL, tmp_path / "a.sqlite", n_pairs=30).card
    assert 0.4 < card["unusable"] == card["other_mass"] < 0.6
    assert card["mean_second"] == 1.0 and card["mean_coin"] == 0.0
    server.reply = lambda a, b: "I would rather not."
    with pytest.raises(InputError, match=r"0 of 8 answers are a choice.*unparseable 8$"):
        llm_policy("openai/shy", tmp_path / "a.sqlite", n_pairs=4)


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    replies: list[Reply] = [429, 429, "A", 500, "B", "A", "C"]
    server.reply = lambda a, b: replies.pop(0)
    answered = elicit(MODEL, Battery(n_pairs=2), tmp_path / "a.sqlite", limits=ONE)
    assert len(server.asked) == 7
    assert [answer.raw for answer in answered.answers] == ["A", "B", "A", "C"]


def test_a_server_that_stays_busy_ends_in_one_line(server: Server, tmp_path: Path) -> None:
    path, battery = tmp_path / "a.sqlite", Battery(n_pairs=2)
    replies: list[Reply] = ["A"]
    server.reply = lambda a, b: replies.pop(0) if replies else 429
    with pytest.raises(InputError, match=f"model '{MODEL}' does not answer") as caught:
        elicit(MODEL, battery, path, limits=ONE)
    assert "\n" not in str(caught.value)
    assert len(server.asked) == 1 + 6
    with AnswerStore(path) as store:
        assert len(store.load(battery.questions(MODEL))) == 1


def test_a_server_without_logprobs_is_asked_for_text(server: Server, tmp_path: Path) -> None:
    def reply(a: int, b: int) -> Reply:
        return 400 if "logprobs" in server.asked[-1] else "B"

    server.reply = reply
    answered = elicit(MODEL, Battery(n_pairs=2), tmp_path / "a.sqlite", limits=ONE)
    assert len(server.asked) == 5  # refused once, then never asked for them again
    assert {(answer.chosen, answer.read) for answer in answered.answers} == {((0.0, 1.0), "text")}


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_server_that_refuses_us_is_not_asked_again(
    server: Server, tmp_path: Path, status: int
) -> None:
    server.reply = lambda a, b: status
    with pytest.raises(InputError, match=f"model '{MODEL}' does not answer"):
        elicit(MODEL, Battery(n_pairs=2), tmp_path / "a.sqlite", limits=ONE)
    assert len(server.asked) == 1


def test_an_absent_server_an_absent_key_and_an_unknown_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
    monkeypatch.setenv("OPENAI_API_BASE", address)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    for model, cause in (
        ("openai/gone", "Connection error"),
        ("nonsense", "LLM Provider NOT provided"),
    ):
        with pytest.raises(InputError, match=f"'{model}' does not answer: .*{cause}") as caught:
            llm_policy(model, tmp_path / "a.sqlite", n_pairs=2)
        assert "\n" not in str(caught.value)
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(InputError, match="OPENAI_API_KEY"):
        llm_policy("openai/gone", tmp_path / "a.sqlite", n_pairs=2)
