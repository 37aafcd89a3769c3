"""CAN buses by python-can: `virtual:name` in one process, `udp_multicast:239.74.163.2` across processes, and
`socketcan:can0` in the field.

Frames are read in a thread, which hands them to the event loop in batches; what comes while the queue is full is
dropped and counted. On SocketCAN the bit rate is set where the interface is brought up (`ip link set can0 type can
bitrate ...`), by whoever may do that; the other interfaces have none.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import can

from pilotwire.core.errors import ConfigError
from pilotwire.core.time import Timer
from pilotwire.protocols.can.frame import CanFrame

from .can_port import CanCounts, CanPort, Listener

__all__ = ["CanBus", "CanCounts", "CanPort", "open_bus"]

QUEUE = 4096
"""Frames between the thread and the loop; a second of a full bus at 500 kbit/s."""
_WAIT_S = 0.2
_ECHOES = 1024
_INTERFACES = ("virtual", "udp_multicast", "socketcan")


def open_bus(address: str, bitrate: int | None = None, *, lost: Callable[[str], None] | None = None) -> CanBus:
    """`interface:channel` → a bus that is being read. To be called in a running event loop.

    `lost` is told once, in words, when the bus can no longer be read. Raises ConfigError when it cannot be opened.
    """
    interface, colon, channel = address.partition(":")
    if interface not in _INTERFACES or not colon or not channel:
        raise ConfigError(f"{address!r} is no CAN bus: {', '.join(f'{each}:…' for each in _INTERFACES)}")
    settings: dict[str, Any] = {"ignore_config": True}
    if interface == "udp_multicast":
        group, _, port = channel.rpartition(":") if channel.count(":") == 1 else (channel, "", "")
        if port:
            channel, settings["port"] = group, int(port)
    elif bitrate is not None:
        settings["bitrate"] = bitrate
    try:
        bus = can.Bus(channel=channel, interface=interface, **settings)
    except (can.CanError, OSError, ValueError, ImportError, NotImplementedError) as error:
        raise ConfigError(f"the CAN bus {address} cannot be opened: {error}") from None
    return CanBus(bus, lost=lost, echoes=interface == "udp_multicast")


class CanBus:
    """A `CanPort` over a python-can bus, which it owns from now on. `echoes`: the bus hands us back what we send."""

    def __init__(
        self, bus: can.BusABC, *, queue: int = QUEUE, lost: Callable[[str], None] | None = None, echoes: bool = False
    ) -> None:
        self.counts = CanCounts()
        self._bus = bus
        self._limit = queue
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._listeners: list[Listener] = []
        self._cycles: list[_Cycle] = []
        self._came: deque[CanFrame] = deque()
        self._guard = threading.Lock()
        self._called = False
        self._echoes: deque[CanFrame] | None = deque(maxlen=_ECHOES) if echoes else None
        self._open = True
        self._thread = threading.Thread(target=self._read, name=f"can-{bus.channel_info}", daemon=True)
        self._thread.start()

    def send(self, frame: CanFrame) -> None:
        message = can.Message(arbitration_id=frame.id, is_extended_id=frame.extended, data=frame.data, check=False)
        if self._echoes is not None:
            with self._guard:
                self._echoes.append(frame)
        try:
            self._bus.send(message)
        except (can.CanError, OSError):
            self.counts.send_errors += 1  # the queue of the driver is full, or the controller is off the bus
            return
        self.counts.sent += 1

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def every(self, period_ms: int, make: Callable[[], CanFrame | None]) -> Timer:
        cycle = _Cycle(self._loop, self, period_ms / 1000, make)
        self._cycles.append(cycle)
        return cycle

    def close(self) -> None:
        """Returns when the thread is done, within 0.2 s."""
        if not self._open:
            return
        self._open = False
        for cycle in self._cycles:
            cycle.cancel()
        self._listeners.clear()
        self._thread.join()
        self._bus.shutdown()

    # ── the thread ───────────────────────────────────────────────────────────────────────────────────────────────────
    def _read(self) -> None:
        while self._open:
            try:
                message = self._bus.recv(_WAIT_S)
            except (can.CanError, OSError, ValueError) as error:
                self._post(self._failed, str(error))
                return
            if message is None:
                continue
            if message.is_error_frame:
                self._post(self._error_frame, bool(message.arbitration_id & 0x40))
                continue
            if message.is_remote_frame or message.is_fd:
                continue
            frame = CanFrame(message.arbitration_id, bytes(message.data), message.is_extended_id)
            with self._guard:
                if self._echoes is not None and frame in self._echoes:
                    self._echoes.remove(frame)
                    continue
                if len(self._came) >= self._limit:
                    self.counts.dropped += 1
                    continue
                self._came.append(frame)
                called, self._called = self._called, True
            if not called:
                self._post(self._drain)

    def _post(self, step: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody listens any more
            self._loop.call_soon_threadsafe(step, *arguments)

    # ── the loop ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def _drain(self) -> None:
        with self._guard:
            came, self._came, self._called = self._came, deque(), False
        self.counts.received += len(came)
        for frame in came:
            for listener in tuple(self._listeners):
                listener(frame)

    def _error_frame(self, bus_off: bool) -> None:
        self.counts.error_frames += 1
        if bus_off:  # CAN_ERR_BUSOFF of linux/can/error.h
            self.counts.bus_off += 1

    def _failed(self, why: str) -> None:
        self.counts.bus_off += 1
        if self._open and self._lost is not None:
            self._lost(why)


class _Cycle:
    __slots__ = ("_bus", "_due", "_loop", "_make", "_period", "_timer")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, bus: CanBus, period: float, make: Callable[[], CanFrame | None]
    ) -> None:
        self._loop, self._bus, self._period, self._make = loop, bus, period, make
        self._due = loop.time()
        self._timer: asyncio.Handle | None = loop.call_soon(self._turn)

    def _turn(self) -> None:
        frame = self._make()
        if frame is not None:
            self._bus.send(frame)
        if self._timer is None:
            return  # called off by `make`
        self._due += self._period
        late = int(max(0.0, self._loop.time() - self._due) / self._period)
        self._bus.counts.skipped += late
        self._due += late * self._period
        self._timer = self._loop.call_at(self._due, self._turn)

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
