"""Periodic event streams (2.1 N11 to N15): what periodic monitors see, told in batches that nobody answers.

A stream is named by the id of its monitor. It is opened once per boot; until the CSMS has agreed, and while there is no
connection, values wait. What the CSMS does not want as a stream goes the ordinary way, as events.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from pilotwire.core.time import Timer, to_datetime
from pilotwire.protocols.ocpp.rpc.errors import RpcError

from .parts import Part

if TYPE_CHECKING:
    from .monitors import Monitor
    from .program import Station

MOST = 20
"""MonitoringCtrlr.MaxPeriodicEventStreams."""
_WAITING = 1_000
"""Values of one stream that are kept while they cannot be sent."""


class Params(msgspec.Struct, frozen=True, array_like=True):
    """PeriodicEventStreamParamsType: flush every `interval` seconds, or when there are `values` (0: not by it)."""

    interval: int = 0
    values: int = 0


class Stream:
    """One stream that is open, or about to be."""

    __slots__ = ("accepted", "asked", "buffer", "monitor", "params", "timer")

    def __init__(self, monitor: Monitor, params: Params) -> None:
        self.monitor = monitor
        self.params = params
        self.buffer: list[tuple[int, str]] = []
        """(station clock, ms; value)"""
        self.asked = False
        self.accepted = False
        self.timer: Timer | None = None


class Streams(Part):
    """The periodic event streams of one station."""

    __slots__ = ("_streams",)

    def __init__(self, station: Station) -> None:
        super().__init__(station)
        self._streams: dict[int, Stream] = {}

    def restore(self, stored: Mapping[str, bytes]) -> None:
        self._streams.clear()
        self.sync()

    def stop(self) -> None:
        for stream in self._streams.values():
            self._cancel(stream)

    def accepted(self, *, booted: bool) -> None:
        for stream in self._streams.values():
            if booted or not stream.asked:
                self._open(stream)

    def open(self) -> list[Stream]:
        """Those that the CSMS has agreed to."""
        return [stream for stream in self._streams.values() if stream.accepted]

    def __len__(self) -> int:
        return len(self._streams)

    def sync(self) -> None:
        """The monitors are others than before: close what has lost its own, open what is new."""
        wanted = {each.id: each for each in self._station.monitors if each.stream is not None}
        for id_, stream in list(self._streams.items()):
            monitor = wanted.get(id_)
            if monitor is None or monitor.stream != stream.params or monitor.place != stream.monitor.place:
                self._close(stream)
            else:
                stream.monitor = monitor
        for id_, monitor in wanted.items():
            if id_ not in self._streams and monitor.stream is not None:
                stream = self._streams[id_] = Stream(monitor, monitor.stream)
                if self._station.online:
                    self._open(stream)

    def _open(self, stream: Stream) -> None:
        station = self._station
        m = station.messages
        stream.asked = True
        station.conversation.call(
            "OpenPeriodicEventStream",
            m.OpenPeriodicEventStreamRequest(constant_stream_data=self.described(stream)),
            lambda response, error: self._opened(stream, response, error),
            keep=True,
        )

    def described(self, stream: Stream) -> Any:
        """Its ConstantStreamDataType."""
        m = self._station.messages
        return m.ConstantStreamDataType(
            id=stream.monitor.id,
            variable_monitoring_id=stream.monitor.id,
            params=m.PeriodicEventStreamParamsType(
                interval=stream.params.interval or None, values=stream.params.values or None
            ),
        )

    def _opened(self, stream: Stream, response: Any, error: RpcError | None) -> None:
        if self._streams.get(stream.monitor.id) is not stream:
            return
        if response is None and error is None:
            stream.asked = False  # nobody answered: asked again with the next connection
            return
        if response is None or response.status != "Accepted":
            # N11.FR.07: events it is.
            del self._streams[stream.monitor.id]
            self._cancel(stream)
            self._station.monitors.unstream(stream.monitor.id, stream.buffer)
            return
        stream.accepted = True
        self._arm(stream)
        self._full(stream)

    def adjust(self, id_: int, params: Params) -> bool:
        """Other times or sizes (N14); False: there is no such stream."""
        stream = self._streams.get(id_)
        if stream is None or not stream.accepted:
            return False
        stream.params = params
        self._station.monitors.restream(id_, params)
        self._arm(stream)
        self._full(stream)
        return True

    def take(self, monitor: Monitor, value: str) -> bool:
        """A value of `monitor`; False: it has no stream."""
        stream = self._streams.get(monitor.id)
        if stream is None:
            return False
        stream.buffer.append((self._station.clock.now(), value))
        del stream.buffer[:-_WAITING]
        self._full(stream)
        return True

    def _full(self, stream: Stream) -> None:
        """N15.FR.08."""
        while 0 < stream.params.values <= len(stream.buffer) and self._flush(stream):
            pass

    def _flush(self, stream: Stream) -> bool:
        """Send what waits, as much as one message may hold (N15.FR.07); False when it cannot be sent."""
        station = self._station
        if not stream.buffer or not stream.accepted or not station.online:
            return False
        m = station.messages
        most = stream.params.values or len(stream.buffer)
        rows, stream.buffer = stream.buffer[:most], stream.buffer[most:]
        base = rows[0][0]
        station.conversation.send(
            "NotifyPeriodicEventStream",
            m.NotifyPeriodicEventStreamRequest(
                id=stream.monitor.id,
                pending=len(stream.buffer),
                basetime=to_datetime(base),
                data=[m.StreamDataElementType(t=Decimal(at - base).scaleb(-3), v=value[:2500]) for at, value in rows],
            ),
        )
        return True

    def _close(self, stream: Stream) -> None:
        """N13.FR.03: nothing is left behind."""
        while self._flush(stream):
            pass
        self._cancel(stream)
        del self._streams[stream.monitor.id]
        if stream.asked:
            self._station.conversation.call(
                "ClosePeriodicEventStream",
                self._station.messages.ClosePeriodicEventStreamRequest(id=stream.monitor.id),
                keep=True,
            )

    def _cancel(self, stream: Stream) -> None:
        if stream.timer is not None:
            stream.timer.cancel()
            stream.timer = None

    def _arm(self, stream: Stream) -> None:
        self._cancel(stream)
        if stream.params.interval:
            stream.timer = self._station.scheduler.call_later(stream.params.interval * 1000, lambda: self._due(stream))

    def _due(self, stream: Stream) -> None:
        stream.timer = None
        self._flush(stream)
        self._arm(stream)
        self._station.finish()
