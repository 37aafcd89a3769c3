"""A CAN bus in memory, in simulated time: frames take as long as they take at the bit rate, and the lowest identifier
goes first."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from pilotwire.core.time import Scheduler, Timer
from pilotwire.protocols.can.frame import CanFrame

from .can_port import CanCounts, Listener

Fault = Callable[[CanFrame], list[CanFrame]]


class SimCanBus:
    """A bus that ports join. `fault` is given every frame and says what comes of it: [] it is lost."""

    __slots__ = ("_busy_until_us", "_going", "_order", "_ports", "_waiting", "bitrate", "fault", "log", "scheduler")

    def __init__(self, scheduler: Scheduler, bitrate: int = 250_000, *, keep_log: bool = False) -> None:
        self.scheduler = scheduler
        self.bitrate = bitrate
        self.fault: Fault | None = None
        self.log: list[tuple[int, CanFrame]] | None = [] if keep_log else None
        """Every frame as it was delivered: (ms since the epoch, frame)."""
        self._ports: list[SimCanPort] = []
        self._waiting: list[tuple[int, int, CanFrame, SimCanPort]] = []
        self._going: tuple[CanFrame, SimCanPort] | None = None
        self._order = 0
        self._busy_until_us = 0

    def port(self) -> SimCanPort:
        port = SimCanPort(self)
        self._ports.append(port)
        return port

    def _leave(self, port: SimCanPort) -> None:
        if port in self._ports:
            self._ports.remove(port)

    def _enter(self, frame: CanFrame, port: SimCanPort) -> None:
        # Arbitration: an extended frame loses against a standard one with the same first eleven bits.
        rank = frame.id << 1 | 1 if frame.extended else frame.id << 19
        self._order += 1
        heapq.heappush(self._waiting, (rank, self._order, frame, port))
        if self._going is None:
            self._begin()

    def _begin(self) -> None:
        if not self._waiting:
            self._going = None
            return
        _, _, frame, sender = heapq.heappop(self._waiting)
        self._going = frame, sender
        now_us = int(self.scheduler.now()) * 1000
        self._busy_until_us = max(self._busy_until_us, now_us) + self._duration_us(frame)
        self.scheduler.call_later((self._busy_until_us - now_us) // 1000, self._deliver)

    def _duration_us(self, frame: CanFrame) -> int:
        bits = (67 if frame.extended else 47) + 8 * len(frame.data)
        return bits * 1_000_000 // self.bitrate

    def _deliver(self) -> None:
        assert self._going is not None
        frame, sender = self._going
        sender.counts.sent += 1
        for each in [frame] if self.fault is None else self.fault(frame):
            if self.log is not None:
                self.log.append((int(self.scheduler.now()), each))
            for port in list(self._ports):
                if port is not sender:
                    port.deliver(each)
        self._begin()


class SimCanPort:
    """One participant of a `SimCanBus`."""

    __slots__ = ("_bus", "_listeners", "_timers", "counts")

    def __init__(self, bus: SimCanBus) -> None:
        self.counts = CanCounts()
        self._bus = bus
        self._listeners: list[Listener] = []
        self._timers: list[_Cycle] = []

    def send(self, frame: CanFrame) -> None:
        self._bus._enter(frame, self)  # type: ignore[reportPrivateUsage]

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def every(self, period_ms: int, make: Callable[[], CanFrame | None]) -> Timer:
        cycle = _Cycle(self._bus.scheduler, self, period_ms, make)
        self._timers.append(cycle)
        return cycle

    def deliver(self, frame: CanFrame) -> None:
        """A frame has come."""
        self.counts.received += 1
        for listener in list(self._listeners):
            listener(frame)

    def close(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._listeners.clear()
        self._bus._leave(self)  # type: ignore[reportPrivateUsage]


class _Cycle:
    __slots__ = ("_due", "_make", "_period", "_port", "_scheduler", "_timer")

    def __init__(
        self, scheduler: Scheduler, port: SimCanPort, period: int, make: Callable[[], CanFrame | None]
    ) -> None:
        self._scheduler, self._port, self._period, self._make = scheduler, port, period, make
        self._due = int(scheduler.now())
        self._timer: Timer | None = scheduler.call_later(0, self._turn)

    def _turn(self) -> None:
        frame = self._make()
        if frame is not None:
            self._port.send(frame)
        if self._timer is None:
            return  # called off by `make`
        self._due += self._period
        now = int(self._scheduler.now())
        late = max(0, now - self._due) // self._period
        self._port.counts.skipped += late
        self._due += late * self._period
        self._timer = self._scheduler.call_later(max(0, self._due - now), self._turn)

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
