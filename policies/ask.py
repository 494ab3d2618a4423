"""The door to every language model: litellm, one question at a time."""

import asyncio
import logging
import os
import re
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from policies.answers import Answer
from policies.local_model import MODEL, adapter_key, local_model
from policies.pacing import Limits, Pacer
from policies.reading import Form, read_answer
from populations.errors import InputError

LOCAL = "local"
Messages = list[dict[str, str]]

TOP_LOGPROBS = 20
ANSWER_TOKENS = 16
REASONING_TOKENS = 4096
LOCAL_REASONING_TOKENS = 512  # question and answer share 1,024
TIMEOUT_SECONDS = 120.0
REASONING_TIMEOUT_SECONDS = 600.0
TOTAL_TIMEOUTS = 3.0  # an answer takes at most so many time-outs altogether
BACK_OFF_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0)
LONGEST_WAIT_SECONDS = 300.0  # a server that wants a longer pause ends the battery
_LEAST_SECRET = 8


def split_model(model: str) -> tuple[str, str | None]:
    """A model's name and its LoRA adapter: ``local+NAME`` is the embedded one with an adapter."""
    name, plus, adapter = model.partition("+")
    return (name, adapter) if plus and name == LOCAL else (model, None)


def kept_as(model: str) -> tuple[str, str]:
    """What a model and its adapter are called in the answer store.

    A server of one's own (``OPENAI_API_BASE`` and the like) is part of the name, since what it
    serves under a name need not be what the provider does.
    """
    name, adapter = split_model(model)
    if name == LOCAL:
        return f"{LOCAL}/{MODEL}", adapter_key(adapter) if adapter is not None else ""
    host = _own_host(name)
    return (f"{name}@{host}" if host and not name.endswith(f"@{host}") else name), ""


def _own_host(name: str) -> str:
    """Host and port of the server that the environment names for this model's provider, or ""."""
    bases = {
        variable: value
        for variable, value in os.environ.items()
        if value and variable.endswith(("_API_BASE", "_BASE_URL"))
    }
    if not bases:
        return ""
    provider = name.partition("/")[0]
    if "/" not in name:
        try:
            provider = _litellm().get_llm_provider(name)[1]
        except Exception:  # litellm's own words follow when it is asked
            return ""
    prefix = provider.upper().replace("-", "_")
    base = bases.get(f"{prefix}_BASE_URL") or bases.get(f"{prefix}_API_BASE") or ""
    return urlsplit(base if "//" in base else f"//{base}").netloc.rpartition("@")[2]


@cache
def _litellm() -> Any:
    # Set before the import: litellm would fetch a price list from the network.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm  # here, since importing it takes seconds

    litellm.suppress_debug_info = True
    if "LITELLM_LOG" not in os.environ:  # what it logs quotes questions and answers
        logging.getLogger("LiteLLM").setLevel(logging.CRITICAL + 1)
    return litellm


@cache
def _loop(process: int) -> asyncio.AbstractEventLoop:
    """An event loop in a thread of its own, one per process.

    Requests run there, since only an awaited one can be given up in the middle of an endless
    answer with its connection closed; and a notebook's own loop is busy.
    """
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="equipoise-asking", daemon=True).start()
    return loop


def in_background(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Start a coroutine on the requests' loop: a ``concurrent.futures.Future``."""
    return asyncio.run_coroutine_threadsafe(coroutine, _loop(os.getpid()))


@contextmanager
def asking(model: str, form: Form, limits: Limits | None = None) -> Iterator["Door"]:
    """A model that can be asked questions of one form.

    Parameters
    ----------
    model : str
        ``local`` for the embedded model, ``local+NAME`` for it with an adapter, else a litellm name
        such as ``openai/gpt-4o``; where the server is and its key are set by litellm's environment
        variables.
    form : Form
        What an answer may be.
    limits : Limits, optional
        How fast it may be asked.

    Raises
    ------
    InputError
        If there is no such model.
    """
    name, adapter = split_model(model)
    limits = limits or Limits()
    if name != LOCAL:
        yield Door(model, {"model": model}, form, limits)
        return
    with local_model(adapter) as (api_base, api_key):
        address = {"model": "openai/local", "api_base": api_base, "api_key": api_key}
        yield Door(model, address, form, limits)


def answer_tokens(model: str, form: Form) -> int:
    """Most tokens that an answer may have."""
    if split_model(model)[0] == LOCAL:
        return LOCAL_REASONING_TOKENS if form.reasoning else 1
    reasons = form.reasoning or _litellm().supports_reasoning(model)
    return REASONING_TOKENS if reasons else ANSWER_TOKENS


def price(model: str, prompt_tokens: int, completion_tokens: int) -> float | None:
    """US dollars by litellm's price table; None for a model without a price in it."""
    if split_model(model)[0] == LOCAL:
        return 0.0
    litellm = _litellm()
    try:
        costs = litellm.cost_per_token(
            model=model, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens
        )
    except Exception:  # it raises what it likes for a model that it does not know
        return None
    return float(sum(costs)) or None  # some models that it does not know cost 0 there


def count_tokens(messages: Messages) -> int:
    """About how many tokens a question has: counted as OpenAI's models of 2023 did."""
    few = 4 * len(messages) + 3
    return few + sum(len(_litellm().encoding.encode(part["content"])) for part in messages)


class Door:
    """One model reached through litellm; remembers what this model cannot do and what it cost.

    ``door(messages)`` asks one question and waits; ``await door.answer(messages)`` does so on the
    loop of `in_background`.
    """

    def __init__(self, name: str, address: dict[str, str], form: Form, limits: Limits) -> None:
        self.cost = 0.0
        self._name, self._form = name, form
        self._pacer = Pacer(limits.requests_per_minute)
        usual = REASONING_TIMEOUT_SECONDS if form.reasoning else TIMEOUT_SECONDS
        self._timeout = limits.timeout or usual
        self._address = address
        self._options: dict[str, Any] = {
            **address,
            "max_tokens": answer_tokens(name, form),
            "drop_params": True,  # a provider without logprobs is asked without
            "max_retries": 0,
            "num_retries": 0,
            "timeout": self._timeout,
        }
        if not form.reasoning:
            self._options |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
        self._answered = False

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._pacer.stopped

    def stop(self) -> None:
        """Ask nothing more, not even again; what is being answered still is."""
        self._pacer.stop()

    def __call__(self, messages: Messages, sample: int = 0) -> Answer:
        """Ask one question and wait for the answer."""
        answer: Answer = in_background(self.answer(messages, sample)).result()
        return answer

    async def answer(self, messages: Messages, sample: int = 0) -> Answer:
        """Ask one question.

        Parameters
        ----------
        messages : list of dict
            The question.
        sample : int
            0 for the likeliest answer (temperature 0, with next-token probabilities where there
            are any), else the number of a draw at temperature 1, read from its text.

        Raises
        ------
        InputError
            If there is no server, no key, or the server keeps refusing.
        """
        options = {**self._options, "temperature": min(sample, 1)}
        if sample:
            for name in ("logprobs", "top_logprobs"):
                options.pop(name, None)
            if split_model(self._name)[0] == LOCAL:
                options["seed"] = sample
        try:
            response = await self._complete(messages, options)
        except _litellm().exceptions.ContentPolicyViolationError:
            # Not in the server's words: they may repeat the key, and answers are kept and shared.
            return self._nothing("refusal", "refused by the server")
        except TimeoutError:  # of the whole answer: silence is litellm's Timeout
            return self._nothing("cut off", "")
        self._answered = True
        self.cost += response._hidden_params.get("response_cost") or 0.0
        choice = response.choices[0]
        text = choice.message.content or ""
        if choice.finish_reason == "content_filter":
            return self._nothing("refusal", text)
        content = getattr(getattr(choice, "logprobs", None), "content", None)
        top = (content[0].top_logprobs or []) if content and not sample else []
        tokens = [(token.token, token.logprob) for token in top]
        cut = choice.finish_reason == "length" and self._options["max_tokens"] > 1
        return read_answer(text, tokens, self._form, cut=cut)

    def _nothing(self, category: str, raw: str) -> Answer:
        return Answer((0.0,) * self._form.size, 0.0, 1.0, category, "text", raw)

    async def _complete(self, messages: Messages, options: dict[str, Any]) -> Any:
        litellm = _litellm()
        errors = litellm.exceptions
        passing = (
            errors.RateLimitError,
            errors.Timeout,
            errors.ServiceUnavailableError,
            errors.APIConnectionError,
            errors.InternalServerError,
        )
        waits = iter(BACK_OFF_SECONDS)
        while True:
            await self._pacer.turn()
            if self.stopped:
                raise InputError(f"model {self._name!r}: stopped")
            try:
                return await asyncio.wait_for(
                    litellm.acompletion(messages=messages, **options),
                    TOTAL_TIMEOUTS * self._timeout,
                )
            except (TimeoutError, errors.ContentPolicyViolationError):
                raise
            except errors.BadRequestError as error:
                if "logprobs" not in options or "logprobs" not in str(error):
                    raise self._no_answer(error, messages) from error
                for name in ("logprobs", "top_logprobs"):
                    del options[name]
                    self._options.pop(name, None)
            except passing as error:
                wait = next(waits, None)
                # Before the first answer this means that there is no server: no use in waiting.
                hopeless = not self._answered and _unreached(error)
                if wait is None or hopeless:
                    raise self._no_answer(error, messages) from error
                told = _retry_after(error)
                if told > LONGEST_WAIT_SECONDS:
                    raise self._no_answer(error, messages, f", wants {told:.0f} s") from error
                self._pacer.hold(told)
                await self._pacer.pause(told or wait)
            except tuple(errors.LITELLM_EXCEPTION_TYPES) as error:
                raise self._no_answer(error, messages) from error

    def _no_answer(self, error: Exception, messages: Messages, more: str = "") -> InputError:
        cause = " ".join(str(error).partition("Traceback")[0].split())
        return InputError(
            f"model {self._name!r} does not answer: {_discreet(cause, messages)[:300]}{more} "
            "(check its name, server and key; answers so far are kept)"
        )


def _unreached(error: Exception) -> bool:
    """Whether no server has said anything, not even by closing the connection."""
    if getattr(error, "litellm_response_headers", None) is not None:
        return False
    causes, cause = [], error.__cause__ or error.__context__
    while cause is not None:
        causes.append(type(cause).__name__)
        cause = cause.__cause__ or cause.__context__
    heard = {"JSONDecodeError", "ReadError", "ReadTimeout", "RemoteProtocolError"}
    return not heard.intersection(causes)


def _retry_after(error: Any) -> float:
    """Seconds that the server asks to wait, 0 if it does not say."""
    response = getattr(error, "response", None)
    headers = getattr(error, "litellm_response_headers", None) or getattr(response, "headers", {})
    told = headers.get("retry-after", "0")
    try:
        return max(0.0, float(told))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(told).timestamp() - time.time())
    except ValueError:
        return 0.0


def _discreet(text: str, messages: Messages) -> str:
    """The text of an error without keys, and without the question where a server repeats it."""
    for variable, value in os.environ.items():
        if variable.endswith(("KEY", "TOKEN", "SECRET")) and len(value) >= _LEAST_SECRET:
            text = text.replace(value, "...")
    text = re.sub(r"(?:sk-|Bearer )\S+", "...", text)
    for message in messages:
        for line in message["content"].splitlines():
            if len(line) > _LEAST_SECRET:
                text = text.replace(line, "[question]")
    return text
