"""The scheduler and the ids of the real world. Simulated ones are in `pilotwire.core`."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable

from pilotwire.core.ids import encode_id
from pilotwire.core.time import Timer, Timestamp


class LoopScheduler:
    """`Scheduler` over an asyncio event loop and the system clock."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop or asyncio.get_running_loop()

    def now(self) -> Timestamp:
        return Timestamp(time.time_ns() // 1_000_000)

    def call_later(self, delay_ms: int, callback: Callable[[], None]) -> Timer:
        return self._loop.call_later(delay_ms / 1000, callback) if delay_ms > 0 else self._loop.call_soon(callback)


class SteadyScheduler:
    """The time of the day once, then only forward and at an even pace: a clock that is set trips no timer of 50 ms."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._wall = LoopScheduler(self._loop)
        self._offset_ms = int(self._wall.now()) - int(self._loop.time() * 1000)

    def now(self) -> Timestamp:
        return Timestamp(self._offset_ms + int(self._loop.time() * 1000))

    def call_later(self, delay_ms: int, callback: Callable[[], None]) -> Timer:
        return self._wall.call_later(delay_ms, callback)


class SystemIds:
    """`Ids` from the operating system's randomness."""

    def new(self) -> str:
        return encode_id(time.time_ns() // 1_000_000, secrets.randbits(80))

    def message_id(self) -> str:
        return secrets.token_hex(12)

    def transaction_id(self) -> int:
        return secrets.randbelow((1 << 31) - 1) + 1
