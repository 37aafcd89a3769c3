"""What a station watches of itself (N02 to N08): monitors on variables, and the events that they lead to.

Three kinds: those that are wired in, those of the factory, and the CSMS's own. Thresholds and deltas are looked at
whenever something has happened in the station (`look`, at the end of every entry); periodic ones have a timer. What
the CSMS has set, and what has been triggered, survives a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from pilotwire.core.time import Timer

from .attributes import Place
from .device_model import reader
from .parts import Part
from .streams import Params

if TYPE_CHECKING:
    from .program import Station

HARD_WIRED, PRECONFIGURED, CUSTOM = "HardWiredMonitor", "PreconfiguredMonitor", "CustomMonitor"
"""EventNotificationEnumType of monitors."""
BASES = ("All", "FactoryDefault", "HardWiredOnly")
THRESHOLDS = ("UpperThreshold", "LowerThreshold")
PERIODIC = ("Periodic", "PeriodicClockAligned")
MOST = 100
"""How many monitors the CSMS may set."""
_FIRST_PRECONFIGURED, _FIRST_CUSTOM = 1_001, 10_001
_EVENTS_PER_MESSAGE = 20
_DAY_MS = 86_400_000


class Monitor(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One VariableMonitoringType with its place."""

    id: int
    place: Place
    type: str
    value: Decimal
    severity: int
    transaction: bool = False
    """Only while a transaction runs (there)."""
    kind: str = CUSTOM
    stream: Params | None = None
    """2.1: it tells over a periodic event stream (N11)."""


class Mark(msgspec.Struct, array_like=True):
    """How a monitor stands; survives a restart (N07.FR.14)."""

    triggered: bool = False
    reference: str = ""
    """Delta: the value that was told last."""


class Event(msgspec.Struct):
    """One EventDataType."""

    id: int
    monitor: Monitor
    time: int
    """Station clock, ms."""
    trigger: str
    value: str
    cleared: bool = False
    transaction: str = ""


class _Memory(msgspec.Struct, kw_only=True, omit_defaults=True):
    base: str = "FactoryDefault"
    level: int = 9
    custom: list[Monitor] = []
    cleared: list[int] = []
    """Preconfigured monitors that the CSMS has cleared."""
    marks: dict[int, Mark] = {}
    next_id: int = _FIRST_CUSTOM
    next_event: int = 1


_decoder = msgspec.json.Decoder(_Memory)


class _Watched:
    """A monitor at work."""

    __slots__ = ("due", "last", "mark", "monitor", "numeric", "read")

    def __init__(self, monitor: Monitor, read: Callable[[], str], numeric: bool, mark: Mark) -> None:
        self.monitor = monitor
        self.read = read
        self.numeric = numeric
        self.mark = mark
        self.last: str | None = None
        """The value that was judged last: the same again is not worth a look."""
        self.due = 0
        """Periodic: true time of the next event, ms."""

    def over(self, value: str) -> bool:
        limit = self.monitor.value
        return Decimal(value) > limit if self.monitor.type == "UpperThreshold" else Decimal(value) < limit

    def judge(self, value: str) -> tuple[str, bool] | None:
        """(trigger, cleared) of the event that `value` is, if it is one."""
        if self.monitor.type in THRESHOLDS:
            over = self.over(value)
            if over == self.mark.triggered:
                return None
            self.mark.triggered = over
            return "Alerting", not over
        if self.numeric:
            if abs(Decimal(value) - Decimal(self.mark.reference)) <= self.monitor.value:
                return None
        elif value == self.mark.reference:
            return None
        self.mark.reference = value
        return "Delta", False


class Monitors(Part):
    """The monitors of one station."""

    __slots__ = ("_changing", "_looking", "_memory", "_periodic", "_timer")

    def __init__(self, station: Station) -> None:
        super().__init__(station)
        self._memory = _Memory()
        self._changing: list[_Watched] = []
        self._periodic: list[_Watched] = []
        self._looking = False
        self._timer: Timer | None = None

    def restore(self, stored: Mapping[str, bytes]) -> None:
        self._memory = _decoder.decode(stored["monitoring"]) if "monitoring" in stored else _Memory()
        self._arm()

    def stop(self) -> None:
        self._cancel()
        self._changing = []
        self._periodic = []

    def clock_moved(self) -> None:
        for watched in self._periodic:
            self._plan(watched)
        self._rearm()

    # ── what there is ────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def base(self) -> str:
        """MonitoringBaseEnumType that was set last."""
        return self._memory.base

    @property
    def level(self) -> int:
        """Severity up to which events are told."""
        return self._memory.level

    def __iter__(self) -> Iterator[Monitor]:
        """Every monitor that is at work, by id."""
        custom = {monitor.id: monitor for monitor in self._memory.custom}
        for monitor in self._built_in():
            if monitor.id not in custom:
                yield monitor
        yield from sorted(custom.values(), key=lambda monitor: monitor.id)

    def _built_in(self) -> Iterator[Monitor]:
        station = self._station
        for evse in station.evses:
            place = Place(component="EVSE", variable="Problem", evse=evse.id)
            yield Monitor(id=evse.id, place=place, type="Delta", value=Decimal(1), severity=2, kind=HARD_WIRED)
        if self._memory.base == "HardWiredOnly":
            return
        for evse in station.evses:
            id_ = _FIRST_PRECONFIGURED - 1 + evse.id
            if id_ not in self._memory.cleared:
                place = Place(component="EVSE", variable="Temperature", evse=evse.id)
                yield Monitor(
                    id=id_, place=place, type="UpperThreshold", value=Decimal(85), severity=4, kind=PRECONFIGURED
                )

    def find(self, id_: int) -> Monitor | None:
        """The monitor with that id."""
        return next((monitor for monitor in self if monitor.id == id_), None)

    # ── what the CSMS wants ──────────────────────────────────────────────────────────────────────────────────────

    def put(self, monitor: Monitor) -> Monitor | None:
        """Set or replace (by id; 0: a new one) a monitor of the CSMS; None when there is no room for it."""
        memory = self._memory
        if not monitor.id:
            if len(memory.custom) >= MOST:
                return None
            monitor.id = memory.next_id
            memory.next_id += 1
        memory.custom = [row for row in memory.custom if row.id != monitor.id] + [monitor]
        mark = memory.marks.get(monitor.id)
        watched = self._watched(monitor)
        if mark is not None:
            mark.reference = ""
            if monitor.type not in THRESHOLDS or (watched is not None and watched.over(watched.read())):
                # N07.FR.11: a new threshold that is exceeded as well is told of anew.
                mark.triggered = False
        self._changed()
        return monitor

    def clear(self, id_: int) -> str:
        """Accepted, NotFound, or Rejected for one that is wired in (ClearMonitoringStatusEnumType)."""
        monitor = self.find(id_)
        if monitor is None:
            return "NotFound"
        if monitor.kind == HARD_WIRED:
            return "Rejected"
        memory = self._memory
        memory.custom = [row for row in memory.custom if row.id != id_]
        memory.marks.pop(id_, None)
        if id_ < _FIRST_CUSTOM:
            memory.cleared = [*memory.cleared, id_]
        self._changed()
        return "Accepted"

    def set_base(self, base: str) -> None:
        """SetMonitoringBase (N03)."""
        memory = self._memory
        memory.base = base
        memory.cleared = []
        if base != "All":
            memory.custom = []
        at_work = {monitor.id for monitor in self}
        memory.marks = {id_: mark for id_, mark in memory.marks.items() if id_ in at_work}
        self._changed()

    def set_level(self, level: int) -> None:
        """SetMonitoringLevel (N05)."""
        self._memory.level = level
        self._store()

    def _changed(self) -> None:
        self._store()
        self._arm()
        self._station.streams.sync()

    def restream(self, id_: int, params: Params | None) -> None:
        """The stream of a monitor has other parameters, or is no more."""
        memory = self._memory
        memory.custom = [msgspec.structs.replace(row, stream=params) if row.id == id_ else row for row in memory.custom]
        for watched in self._periodic:
            if watched.monitor.id == id_:
                watched.monitor = next((row for row in memory.custom if row.id == id_), watched.monitor)
        self._store()

    def unstream(self, id_: int, values: list[tuple[int, str]]) -> None:
        """The CSMS does not want that stream (N11.FR.07): what has been seen since is told as events."""
        self.restream(id_, None)
        monitor = self.find(id_)
        if monitor is not None and values:
            events = [self._event(monitor, "Periodic", value) for _, value in values]
            for event, (at, _) in zip(events, values, strict=True):
                event.time = at
            self._tell(events)

    def _store(self) -> None:
        self._station.store({"monitoring": msgspec.json.encode(self._memory)})

    # ── watching ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _arm(self) -> None:
        dues = {watched.monitor.id: (watched.monitor, watched.due) for watched in self._periodic}
        self._changing = []
        self._periodic = []
        if self._station.config.version == "1.6":
            return
        for monitor in self:
            watched = self._watched(monitor)
            if watched is None:
                continue
            if monitor.type not in PERIODIC:
                self._changing.append(watched)
                continue
            before = dues.get(monitor.id)
            if before is not None and before[0] is monitor:
                watched.due = before[1]
            else:
                self._plan(watched)
            self._periodic.append(watched)
        self._rearm()

    def _watched(self, monitor: Monitor) -> _Watched | None:
        """None where the variable is no longer there (N04: then the monitor is at rest)."""
        found = reader(self._station, monitor.place)
        if found is None:
            return None
        read, numeric = found
        mark = self._memory.marks.setdefault(monitor.id, Mark())
        if monitor.type == "Delta" and not mark.reference:
            mark.reference = read()
        return _Watched(monitor, read, numeric, mark)

    def look(self) -> None:
        """Something may have changed: judge all thresholds and deltas, and queue what there is to tell."""
        if self._looking or not self._changing or not self._station.powered:
            return
        self._looking = True
        try:
            events: list[Event] = []
            for watched in self._changing:
                value = watched.read()
                if value == watched.last or not self._concerns(watched.monitor):
                    continue
                watched.last = value
                verdict = watched.judge(value)
                if verdict is not None:
                    events.append(self._event(watched.monitor, verdict[0], value, cleared=verdict[1]))
            if events:
                self._tell(events)
        finally:
            self._looking = False

    def _concerns(self, monitor: Monitor) -> bool:
        if not monitor.transaction:
            return True
        evse = monitor.place.evse
        return any(e.session is not None and evse in (None, e.id) for e in self._station.evses)

    def _event(self, monitor: Monitor, trigger: str, value: str, *, cleared: bool = False) -> Event:
        station = self._station
        id_ = self._memory.next_event
        self._memory.next_event += 1
        place = monitor.place
        session = station.evses[place.evse - 1].session if place.evse else None
        return Event(id_, monitor, station.clock.now(), trigger, value, cleared, "" if session is None else session.key)

    def next_event(self) -> int:
        """An eventId for an event of no monitor."""
        id_ = self._memory.next_event
        self._memory.next_event += 1
        self._store()
        return id_

    def _tell(self, events: list[Event]) -> None:
        """NotifyEvent, but for what the level leaves out (N07.FR.15); offline only what is grave (N07.FR.04)."""
        station = self._station
        self._store()
        if not station.settings.flag("monitoring_enabled"):
            return
        grave = station.settings.number("offline_severity")
        told = [
            event
            for event in events
            if event.monitor.severity <= self._memory.level and (station.online or event.monitor.severity <= grave)
        ]
        parts = [told[start : start + _EVENTS_PER_MESSAGE] for start in range(0, len(told), _EVENTS_PER_MESSAGE)]
        for number, part in enumerate(parts):
            station.dialect.notify_events(
                part,
                number,
                more=number + 1 < len(parts),
                keep=any(event.monitor.severity <= grave for event in part),
            )

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _plan(self, watched: _Watched) -> None:
        station = self._station
        period = int(watched.monitor.value * 1000)
        now = int(station.scheduler.now())
        if watched.monitor.type == "PeriodicClockAligned":
            watched.due = now + period - station.clock.now() % _DAY_MS % period
        else:
            watched.due = now + period

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _rearm(self) -> None:
        self._cancel()
        if self._periodic:
            station = self._station
            wait = min(watched.due for watched in self._periodic) - int(station.scheduler.now())
            self._timer = station.scheduler.call_later(max(0, wait), self._due)

    def _due(self) -> None:
        self._timer = None
        now = int(self._station.scheduler.now())
        events: list[Event] = []
        for watched in self._periodic:
            if watched.due <= now:
                if self._concerns(watched.monitor):
                    value = watched.read()
                    if not self._station.streams.take(watched.monitor, value):
                        events.append(self._event(watched.monitor, "Periodic", value))
                self._plan(watched)
        self._rearm()
        if events:
            self._tell(events)
        self._station.finish()
