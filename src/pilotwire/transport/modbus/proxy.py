"""A caching proxy: many clients in front of a device that bears one.

    link = open_link("tcp://10.0.0.5")
    proxy = CachingProxy(link, scheduler, ages=(Age(function=3, first=0, last=99, ms=500),))
    server = Server(Guard(proxy, access, scheduler), ServerConfig(), scheduler)

Equal reads are asked once, and an answer serves every read that lies within it until it is too old. A write goes to the
device before all reads; from the moment it is asked nothing that was read before it is served any more, of that unit.
Two ranges that come from one answer are of one moment; an answer is never put together from several.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from pilotwire.core.time import Scheduler
from pilotwire.protocols.modbus.client import READ, WRITE
from pilotwire.protocols.modbus.client import Outcome as Asked
from pilotwire.protocols.modbus.errors import (
    GatewayPathUnavailable,
    GatewayTargetFailed,
    ModbusException,
    NoAnswer,
    ServerDeviceBusy,
)
from pilotwire.protocols.modbus.pdu import Bits, ReadBits, ReadRegisters, Registers, Request, writes

from .link import Link
from .registers import Caller, Outcome

_KEPT = 256


class Age(msgspec.Struct, frozen=True, kw_only=True):
    """How old answers from some addresses may be."""

    function: int
    first: int
    last: int
    ms: int
    unit: int | None = None
    """None: every unit."""


class ProxyCounts(msgspec.Struct):
    """What became of the requests of the clients."""

    asked: int = 0
    """Of the device."""
    served: int = 0
    """From an answer that was there."""
    joined: int = 0
    """With a read that was on its way."""
    written: int = 0
    failed: int = 0
    """No answer from the device: the client was told exception 6, 10 or 11."""


class _Kept:
    __slots__ = ("at", "request", "values")

    def __init__(self, request: ReadBits | ReadRegisters, values: Sequence[int], at: int) -> None:
        self.request = request
        self.values = values
        self.at = at


class CachingProxy:
    """A `Handler` before a link."""

    def __init__(
        self,
        link: Link,
        scheduler: Scheduler,
        *,
        ages: Sequence[Age] = (),
        age_ms: int = 0,
        timeout_ms: int = 3000,
    ) -> None:
        """`age_ms` is for addresses that `ages` does not name; a read over several takes the least of theirs.

        `timeout_ms`: how long a client is kept waiting at the most.
        """
        self.counts = ProxyCounts()
        self._link = link
        self._scheduler = scheduler
        self._ages = tuple(ages)
        self._age_ms = age_ms
        self._timeout_ms = timeout_ms
        self._kept: dict[tuple[int, int], list[_Kept]] = {}
        self._flying: dict[tuple[int, ReadBits | ReadRegisters], list[Callable[[Outcome], None]]] = {}
        self._turn: dict[int, int] = {}

    def age_of(self, unit: int, request: ReadBits | ReadRegisters) -> int:
        """How old an answer to this read may be, ms."""
        last = request.address + request.count - 1
        at, least = request.address, []
        while at <= last:
            rules = [
                rule
                for rule in self._ages
                if rule.function == request.function and rule.unit in (None, unit) and rule.first <= at <= rule.last
            ]
            least.append(min((rule.ms for rule in rules), default=self._age_ms))
            # The next address at which another rule may begin or end.
            edges = [rule.first for rule in self._ages if rule.first > at]
            edges += [rule.last + 1 for rule in self._ages if rule.last >= at]
            at = min(edges, default=last + 1)
        return min(least)

    def handle(self, caller: Caller, unit: int, request: Request, reply: Callable[[Outcome], None]) -> None:
        if isinstance(request, ReadBits | ReadRegisters):
            self._read(unit, request, reply)
        elif writes(request):
            self._write(unit, request, reply)
        else:
            self.counts.asked += 1
            self._link.ask(unit, request, lambda found: reply(self._told(found)), timeout_ms=self._timeout_ms)

    def _read(self, unit: int, request: ReadBits | ReadRegisters, reply: Callable[[Outcome], None]) -> None:
        now = int(self._scheduler.now())
        age = self.age_of(unit, request)
        kept = self._fitting(unit, request, now - age) if age else None
        if kept is not None:
            self.counts.served += 1
            start = request.address - kept.request.address
            reply(_answer(request, kept.values[start : start + request.count]))
            return
        key = (unit, request)
        waiting = self._flying.get(key)
        if waiting is not None and age:
            self.counts.joined += 1
            waiting.append(reply)
            return
        mine = [reply]
        self._flying[key] = mine
        self.counts.asked += 1
        turn = self._turn.get(unit, 0)

        def done(found: Asked) -> None:
            if self._flying.get(key) is mine:
                del self._flying[key]
            if isinstance(found, Registers | Bits) and turn == self._turn.get(unit, 0) and age:
                # It is as old as the question: nobody knows when the device looked.
                self._keep(unit, _Kept(request, found.values, now))
            told = self._told(found)
            for each in mine:
                each(told)

        self._link.ask(unit, request, done, priority=READ, timeout_ms=self._timeout_ms)

    def _write(self, unit: int, request: Request, reply: Callable[[Outcome], None]) -> None:
        self.counts.written += 1
        self._forget(unit)

        def done(found: Asked) -> None:
            self._forget(unit)
            reply(self._told(found))

        self._link.ask(unit, request, done, priority=WRITE, timeout_ms=self._timeout_ms)

    def _forget(self, unit: int) -> None:
        """Something has changed, or may have: in unit 0, which is all of them on a bus, for everybody."""
        for one in {unit} if unit else {unit, *self._turn, *(known for known, _ in (*self._kept, *self._flying))}:
            self._turn[one] = self._turn.get(one, 0) + 1
        for key in [key for key in self._kept if unit in (0, key[0])]:
            del self._kept[key]
        for flying in [key for key in self._flying if unit in (0, key[0])]:
            del self._flying[flying]  # it is answered, to those who asked before; nobody joins it any more

    def _fitting(self, unit: int, request: ReadBits | ReadRegisters, since: int) -> _Kept | None:
        end = request.address + request.count
        for kept in reversed(self._kept.get((unit, request.function), ())):
            held = kept.request
            if kept.at >= since and held.address <= request.address and end <= held.address + held.count:
                return kept
        return None

    def _keep(self, unit: int, kept: _Kept) -> None:
        room = self._kept.setdefault((unit, kept.request.function), [])
        room[:] = [each for each in room if each.request != kept.request][-_KEPT + 1 :]
        room.append(kept)

    def _told(self, found: Asked) -> Outcome:
        """What the client is told."""
        if isinstance(found, NoAnswer):
            self.counts.failed += 1
            if found.why == "full":
                return ServerDeviceBusy()
            return GatewayTargetFailed() if self._link.online else GatewayPathUnavailable()
        if isinstance(found, Exception) and not isinstance(found, ModbusException):
            self.counts.failed += 1
            return GatewayTargetFailed()
        return found


def _answer(request: ReadBits | ReadRegisters, values: Sequence[int]) -> Outcome:
    if isinstance(request, ReadBits):
        return Bits(tuple(bool(value) for value in values))
    return Registers(tuple(values))
