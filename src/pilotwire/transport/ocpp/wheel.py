"""The open connections of a listener, and the one timer that visits them all: pings, and the end of those that idle."""

from __future__ import annotations

import asyncio
from typing import Protocol

from .limits import EdgeCounters, EdgeLimits

_SLOTS = 60


class Connection(Protocol):
    """One upgraded connection, as the listener keeps it."""

    heard: bool
    """A frame came since the wheel last passed."""
    quiet: int
    """Rounds of the wheel without one."""
    slot: int

    def close(self, code: int = 1000, reason: str = "") -> None: ...

    def ping(self) -> None: ...

    def abort(self) -> None: ...


class Wheel:
    """Each connection is visited once per round, spread evenly over it."""

    def __init__(self, counters: EdgeCounters) -> None:
        self.empty = asyncio.Event()
        """No connection is open."""
        self.empty.set()
        self._counters = counters
        self._limits = EdgeLimits()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._slots: list[set[Connection]] = [set() for _ in range(_SLOTS)]
        self._next_slot = 0
        self._hand = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self, loop: asyncio.AbstractEventLoop, limits: EdgeLimits) -> None:
        """Begin to turn, where the limits ask for pings or an end of silence."""
        self._loop, self._limits = loop, limits
        if limits.ping_s or limits.idle_s:
            self._timer = loop.call_later(self._tick_s, self._tick)

    def stop(self) -> None:
        """Turn no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def connections(self) -> list[Connection]:
        """All that are open."""
        return [connection for slot in self._slots for connection in slot]

    def entered(self, connection: Connection) -> None:
        """A connection is open."""
        self._counters.open += 1
        self.empty.clear()
        connection.slot = self._next_slot
        self._next_slot = (self._next_slot + 1) % _SLOTS
        self._slots[connection.slot].add(connection)

    def left(self, connection: Connection, code: int) -> None:
        """A connection has gone."""
        self._counters.open -= 1
        self._counters.close(code)
        self._slots[connection.slot].discard(connection)
        if self._counters.open == 0:
            self.empty.set()

    @property
    def _round_s(self) -> float:
        return self._limits.ping_s or max(self._limits.idle_s / 4, 0.06)

    @property
    def _tick_s(self) -> float:
        return self._round_s / _SLOTS

    def _tick(self) -> None:
        assert self._loop is not None
        self._timer = self._loop.call_later(self._tick_s, self._tick)
        idle_rounds = self._limits.idle_s / self._round_s
        for connection in list(self._slots[self._hand]):
            connection.quiet = 0 if connection.heard else connection.quiet + 1
            connection.heard = False
            if idle_rounds and connection.quiet >= max(idle_rounds, 2):
                self._counters.idle_closed += 1
                connection.close(1001, "idle")
            elif self._limits.ping_s:
                connection.ping()
        self._hand = (self._hand + 1) % _SLOTS
