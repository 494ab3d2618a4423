"""How fast and how much a model may be asked: limits, and the pause between questions."""

import asyncio
import contextlib
import time
from dataclasses import dataclass

from populations.errors import InputError


@dataclass(frozen=True)
class Limits:
    """How much may be asked, and how fast.

    Parameters
    ----------
    max_calls : int, optional
        Most questions; a battery that would need more is not begun.
    max_cost : float, optional
        Most to pay, US dollars by litellm's price table; a battery that may cost more is not
        begun, and one that does is stopped, with its answers kept.
    concurrency : int
        Questions in flight at once. The embedded model always answers one at a time.
    requests_per_minute : float, optional
        Most requests sent, retries included.
    timeout : float, optional
        Seconds without a byte after which a request is sent again; 120, or 600 with reasoning. An
        answer that takes three times as long altogether is cut off.

    Raises
    ------
    InputError
        If a value is out of range.
    """

    max_calls: int | None = None
    max_cost: float | None = None
    concurrency: int = 4
    requests_per_minute: float | None = None
    timeout: float | None = None

    def __post_init__(self) -> None:
        for name, least, strict in (
            ("max_calls", 0, False),
            ("max_cost", 0, False),
            ("concurrency", 1, False),
            ("requests_per_minute", 0, True),
            ("timeout", 0, True),
        ):
            value = getattr(self, name)
            if value is not None and not (value > least if strict else value >= least):
                expected = f"more than {least}" if strict else f"{least} or more"
                raise InputError(f"{name} = {value}: expected {expected}")


class Pacer:
    """Lets requests begin one by one, not too fast, and not before a server wants them.

    Parameters
    ----------
    per_minute : float, optional
        Most requests per minute.
    """

    def __init__(self, per_minute: float | None) -> None:
        self._gap = 60.0 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._stop = asyncio.Event()

    @property
    def stopped(self) -> bool:
        """Whether nothing shall begin any more."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Let nothing begin any more, and end every pause."""
        self._stop.set()

    async def pause(self, seconds: float) -> None:
        """Wait so long, or until `stop`."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    async def turn(self) -> None:
        """Wait until a request may begin, or until `stop`."""
        while not self.stopped and (wait := self._next - time.monotonic()) > 0:
            await self.pause(wait)
        self._next = max(self._next, time.monotonic()) + self._gap

    def hold(self, seconds: float) -> None:
        """Begin nothing for so long: the server said so."""
        self._next = max(self._next, time.monotonic() + seconds)
