"""The door to every language model: litellm, one question at a time."""

import json
import math
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from policies.answers import Answer
from policies.local_model import local_model
from populations.errors import InputError

LOCAL = "local"
Messages = list[dict[str, str]]
Ask = Callable[[Messages, bool], Answer]

TOP_LOGPROBS = 20
ANSWER_TOKENS = 16
REASONING_TOKENS = 4096
TIMEOUT_SECONDS = 120.0
BACK_OFF_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0)

_AROUND = " \t\n.,:;!*_`\"'()[]"
_PERSON = r"(?:choose |give )?(?:option |patient )?{letter}(?: the kidney)?"
_COIN = r"(?:choose |option )?c|flip a coin|coin flip"
_TEXTS = {
    letter: re.compile(rf"(?:answer\W+)?(?:{says})(?:\W+(?:{says}))?")
    for letter, says in (
        ("A", _PERSON.format(letter="a")),
        ("B", _PERSON.format(letter="b")),
        ("C", _COIN),
    )
}


def parse_text(text: str) -> str | None:
    """The letter A, B or C that a whole answer states, or None if it does anything else."""
    plain = " ".join(text.strip(_AROUND).casefold().replace("*", "").split())
    stated = [letter for letter, pattern in _TEXTS.items() if pattern.fullmatch(plain)]
    return stated[0] if stated else None


def letter_masses(tokens: list[tuple[str, float]]) -> dict[str, float]:
    """Probability that the next token is A, B or C, summed over variants such as "A", " A", "A.".

    Parameters
    ----------
    tokens : list of (token, natural logarithm of its probability)
    """
    masses = dict.fromkeys("ABC", 0.0)
    for token, log_probability in tokens:
        letter = token.strip(_AROUND)
        if letter in masses:
            masses[letter] += math.exp(log_probability)
    return masses


def read_answer(text: str, tokens: list[tuple[str, float]], coin: bool) -> Answer:
    """An answer from next-token probabilities, or from the text where there are none.

    What is neither A, B nor an offered C (a refusal, rambling, a coin that was not offered) is
    "other", never "coin".
    """
    masses, read = letter_masses(tokens), "logprobs"
    if not any(masses.values()):
        stated = parse_text(text)
        masses = {letter: float(letter == stated) for letter in "ABC"}
        read = "logprobs" if tokens and stated is None else "text"
    first, second, flip = masses["A"], masses["B"], masses["C"] if coin else 0.0
    total = max(1.0, first + second + flip)  # rounding can carry a sum beyond 1
    first, second, flip = first / total, second / total, flip / total
    raw = json.dumps({"text": text, "tokens": tokens}) if tokens else text
    other = max(0.0, 1.0 - first - second - flip)
    return Answer(first, second, flip, other, read, raw)


@contextmanager
def asking(model: str) -> Iterator[Ask]:
    """A function that asks ``model`` one question: ``ask(messages, coin) -> Answer``.

    Parameters
    ----------
    model : str
        ``local`` for the embedded model, else a litellm name such as ``openai/gpt-4o``; where the
        server is and its key are set by litellm's environment variables.

    Raises
    ------
    InputError
        If there is no such model, no server, no key, or the server keeps refusing.
    """
    if model != LOCAL:
        yield _Door(model, {"model": model})
        return
    with local_model() as (api_base, api_key):
        yield _Door(model, {"model": "openai/local", "api_base": api_base, "api_key": api_key})


class _Door:
    """One model reached through litellm; remembers what this model cannot do."""

    def __init__(self, name: str, address: dict[str, str]) -> None:
        # Set before the import: litellm would fetch a price list from the network.
        os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
        import litellm  # here, since importing it takes seconds

        litellm.suppress_debug_info = True
        self._litellm: Any = litellm
        self._name = name
        reasoning = litellm.supports_reasoning(address["model"])
        self._options: dict[str, Any] = {
            **address,
            "temperature": 0,
            "max_tokens": REASONING_TOKENS if reasoning else ANSWER_TOKENS,
            "logprobs": True,
            "top_logprobs": TOP_LOGPROBS,
            "drop_params": True,  # a provider without logprobs is asked without
            "max_retries": 0,
            "timeout": TIMEOUT_SECONDS,
        }
        if name == LOCAL:
            self._options["max_tokens"] = 1
        self._answered = False

    def __call__(self, messages: Messages, coin: bool) -> Answer:
        try:
            choice = self._complete(messages).choices[0]
        except self._litellm.exceptions.ContentPolicyViolationError as error:
            return Answer(0.0, 0.0, 0.0, 1.0, "text", f"refused: {error}")
        self._answered = True
        content = getattr(getattr(choice, "logprobs", None), "content", None)
        top = (content[0].top_logprobs or []) if content else []
        tokens = [(token.token, token.logprob) for token in top]
        return read_answer(choice.message.content or "", tokens, coin)

    def _complete(self, messages: Messages) -> Any:
        errors = self._litellm.exceptions
        passing = (errors.RateLimitError, errors.Timeout, errors.ServiceUnavailableError)
        # Before the first answer these mean that there is no server or no key: no use in waiting.
        broken = (errors.APIConnectionError, errors.InternalServerError)
        waits = iter(BACK_OFF_SECONDS)
        while True:
            try:
                return self._litellm.completion(messages=messages, **self._options)
            except errors.ContentPolicyViolationError:
                raise
            except errors.BadRequestError as error:
                if "logprobs" not in self._options or "logprobs" not in str(error):
                    raise self._no_answer(error) from error
                del self._options["logprobs"], self._options["top_logprobs"]
            except (*passing, *broken) as error:
                wait = next(waits, None)
                if wait is None or (not self._answered and not isinstance(error, passing)):
                    raise self._no_answer(error) from error
                time.sleep(wait)
            except tuple(errors.LITELLM_EXCEPTION_TYPES) as error:
                raise self._no_answer(error) from error

    def _no_answer(self, error: Exception) -> InputError:
        cause = " ".join(str(error).partition("Traceback")[0].split())[:300]
        cause = re.sub(r"sk-\S+", "sk-...", cause)  # some servers repeat the key they refuse
        return InputError(
            f"model {self._name!r} does not answer: {cause} "
            "(check its name, server and key; answers so far are kept)"
        )
