"""An OpenAI-compatible server that misbehaves by a plan; run as a process, no imports of ours.

    python fault_server.py LOG PLANS [PORT]

PLANS is a JSON list of plans; a question always gets the same plan, chosen by a checksum of its
text, and its n-th request the plan's n-th step (the last one from then on). Steps:

    429      too many requests, Retry-After: 0.2     500      an internal error
    401      the key is refused, and repeated        hang     no byte at all
    drop     the connection is closed                truncated  half a JSON document
    endless  one word after another for ever         cut      an answer stopped at its length
    slow:T   T after a third of a second             die      the server process ends
    filtered an empty answer, stopped by a filter
    busy     too many requests, Retry-After: 4000    costly:T T, with 100,000 tokens billed
    p:A=0.6,B=0.3  next-token probabilities          anything else: that text

Every request is one line of LOG: checksum, step, "done" once it was sent whole. The first line of
standard output is the port.
"""

import json
import math
import os
import sys
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LOG, PLANS = Path(sys.argv[1]), json.loads(sys.argv[2])
PORT = int(sys.argv[3]) if len(sys.argv) > 3 else 0
HANG_SECONDS = 20.0
attempts: dict[int, int] = {}
lock = threading.Lock()


def log(*fields: object) -> None:
    with lock, LOG.open("a", encoding="utf-8") as file:
        file.write("\t".join(str(field) for field in fields) + "\n")


def completion(text: str, finish: str, top: dict[str, float], billed: int = 100) -> bytes:
    choice = {
        "index": 0,
        "finish_reason": finish,
        "message": {"role": "assistant", "content": text},
    }
    if top:
        tokens = [{"token": t, "logprob": math.log(p), "bytes": None} for t, p in top.items()]
        choice["logprobs"] = {"content": [{**tokens[0], "top_logprobs": tokens}]}
    return json.dumps(
        {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": "fake",
            "choices": [choice],
            "usage": {
                "prompt_tokens": billed,
                "completion_tokens": 10,
                "total_tokens": billed + 10,
            },
        }
    ).encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        question = zlib.crc32(json.dumps(body["messages"]).encode())
        with lock:
            attempt = attempts[question] = attempts.get(question, 0) + 1
        plan = PLANS[question % len(PLANS)]
        step = plan[min(attempt, len(plan)) - 1]
        log(question, step, "asked")
        try:
            self.answer(step)
        except OSError:
            log(question, step, "closed by the client")
            self.close_connection = True
            return
        log(question, step, "done")

    def answer(self, step: str) -> None:
        if step == "die":
            os._exit(1)
        elif step == "hang":
            time.sleep(HANG_SECONDS)
            self.close_connection = True
        elif step == "drop":
            self.close_connection = True
        elif step == "429":
            self.send(429, error("slow down"), {"Retry-After": "0.2"})
        elif step == "busy":
            self.send(429, error("come back later"), {"Retry-After": "4000"})
        elif step == "500":
            self.send(500, error("something broke"))
        elif step == "401":
            self.send(401, error(f"wrong key {self.headers['Authorization'].split()[1]}"))
        elif step == "truncated":
            whole = completion("A", "stop", {})
            self.send(200, whole[: len(whole) // 2])
        elif step == "endless":
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            start = completion("and so on ", "stop", {}).partition(b"and so on ")[0]
            for _ in range(600):  # half a minute: for ever, but a test that waits for it ends
                self.wfile.write(b"%x\r\n%s\r\n" % (len(start), start))
                start = b"and so on "
                time.sleep(0.05)
        elif step == "cut":
            self.send(200, completion("Well, where should I begin with", "length", {}))
        elif step == "filtered":
            self.send(200, completion("", "content_filter", {}))
        elif step.startswith("p:"):
            pairs = (part.split("=") for part in step[2:].split(","))
            top = {token: float(share) for token, share in pairs}
            self.send(200, completion(max(top, key=lambda t: top[t]), "stop", top))
        elif step.startswith("costly:"):
            self.send(200, completion(step.removeprefix("costly:"), "stop", {}, 100_000))
        else:
            if step.startswith("slow:"):
                time.sleep(0.3)
            self.send(200, completion(step.removeprefix("slow:"), "stop", {}))

    def send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(content)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


def error(message: str) -> bytes:
    return json.dumps({"error": {"message": message, "type": "fault"}}).encode()


class Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that was killed


server = Server(("127.0.0.1", PORT), Handler)
server.daemon_threads = True
print(server.server_port, flush=True)
server.serve_forever(0.05)
