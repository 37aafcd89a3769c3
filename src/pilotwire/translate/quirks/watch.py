"""What is remembered of one station to recognise its quirks: a few numbers, nothing that grows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pilotwire.domain import clock
from pilotwire.domain.stations import StationState

MINUTE = 60_000
QUARTER = 15 * MINUTE
CHANGES_KEPT = 8
DIALS = 6
"""So many connections within `DIALS_MS` are a loop."""
DIALS_MS = 10 * MINUTE


class Watch:
    """See the module. `begin` before each look; what it saw is in `out`. Times are ms."""

    __slots__ = (
        "asked",
        "at_boot",
        "beat_s",
        "beats",
        "boots",
        "changed",
        "charging_at",
        "connected_at",
        "dials",
        "freed",
        "gone_at",
        "heard",
        "interval_s",
        "last_beat",
        "list_version",
        "loud",
        "now",
        "offset",
        "out",
        "reports",
        "retries",
        "retry_s",
        "state",
        "status",
        "status_count",
        "statuses",
        "stops_asked",
        "unplaced_at",
        "zero_limit_at",
    )

    def __init__(self, state: StationState, beat_s: int, retry_s: int) -> None:
        """`beat_s` and `retry_s`: the intervals that BootNotification is answered."""
        self.state = state
        self.beat_s = beat_s
        self.retry_s = retry_s
        self.now = 0
        self.out: list[str] = []
        self.asked: dict[str, tuple[int, str]] = {}
        """Quirk → (until when something is expected, what): seen when it has not come by then."""
        self.changed: dict[str, str] = {}
        """Keys that the station took, with the value it was given; the newest few."""
        self.at_boot: dict[str, str] = {}
        """Those that it takes when it starts the next time."""
        self.boots: list[int] = []
        """The last BootNotifications of this connection."""
        self.connected_at = self.gone_at = 0
        self.dials: list[int] = []
        self.heard = 0
        self.interval_s = 0
        """The heartbeat interval that it was told; 0 where nobody knows."""
        self.last_beat = self.beats = 0
        self.list_version = 0
        self.loud: list[int] = []
        """Security events lately."""
        self.offset: tuple[int, int] | None = None
        """(arrival, event time minus arrival) of a live message."""
        self.reports: dict[int, int] = {}
        self.retries = 0
        self.status: tuple[Any, ...] = ()
        self.status_count = 0
        self.statuses = 0
        """StatusNotifications since the last boot."""
        self.charging_at: dict[int, int] = {}
        """Connector → when it told that it charges while no session was known, by the station's clock."""
        self.freed: dict[str, int] = {}
        """Running session → when its connector was told to be free, or nearly, by the station's clock."""
        self.stops_asked: dict[str, int] = {}
        """Transactions that we asked to stop."""
        self.unplaced_at = self.zero_limit_at = 0

    # -- being used ---------------------------------------------------------------------------------------------------
    def begin(self, state: StationState, now: int) -> list[str]:
        """Before a look; returns the list in which it names what it saw."""
        self.state, self.now = state, now
        if self.out:
            self.out = []
        return self.out

    def saw(self, quirk: str) -> None:
        """A look has recognised it."""
        if quirk not in self.out:
            self.out.append(quirk)

    # -- the connection -----------------------------------------------------------------------------------------------
    def connected(self) -> None:
        """A new connection has been adopted."""
        now = self.now
        self.connected_at = now
        self.heard = self.last_beat = self.beats = 0
        self.boots.clear()
        self.freed.clear()
        dials = self.dials = [one for one in self.dials if now - one < DIALS_MS][1 - DIALS :]
        dials.append(now)
        if len(dials) == DIALS:
            self.saw("reconnect-loop")

    def disconnected(self) -> None:
        """It has ended."""
        self.gone_at = self.now
        self.asked.pop("reset-ignored", None)

    def message(self, before: int) -> None:
        """Anything has come that the station sent of its own accord; the last one that was not looked at came at
        `before`."""
        now, heard = self.now, max(self.heard, before)
        if heard and self.interval_s and now - heard > self.interval_s * 2_500:
            self.saw("heartbeat-interval-ignored")
        self.heard = now

    # -- what several looks share -------------------------------------------------------------------------------------
    def expect(self, quirk: str, within_ms: int, what: str = "") -> None:
        """See this quirk unless `came` is called in time."""
        self.asked[quirk] = self.now + within_ms, what

    def came(self, quirk: str) -> str | None:
        """What was expected is there: what was said of it, None where nothing was expected."""
        found = self.asked.pop(quirk, None)
        return None if found is None else found[1]

    def overdue(self) -> None:
        """See what has not come in time."""
        if self.asked:
            for quirk, (until, _) in list(self.asked.items()):
                if self.now >= until:
                    del self.asked[quirk]
                    self.saw(quirk)

    def time(self, event_time: int, *, live: bool = True, queued: bool = False) -> None:
        """A time in a message: can it be right, and is it the time of day? `live`: it is about now. `queued`: the
        message may have waited, which makes it look older, never newer."""
        now = self.now
        wrong = clock.regime(event_time, now)
        if wrong:
            self.saw("clock-1970" if wrong < 0 else "clock-future")
            return
        if not live:
            return
        offset, before = event_time - now, self.offset
        if queued and offset < 0:
            return
        if before is None or abs(before[1] - offset) > 10_000:
            self.offset = now, offset
            return
        if now - before[0] < 20_000 or abs(offset) < 2 * MINUTE:
            return
        # The same offset twice, with time between: that is the clock, not a queue.
        rest = abs(offset) % QUARTER
        if abs(offset) >= 25 * MINUTE and min(rest, QUARTER - rest) <= 90_000:
            self.saw("local-time-as-utc")
        elif self.heard and self.state.station.booted_at and now - self.state.station.booted_at > MINUTE:
            self.saw("clock-not-set")

    def said_status(self, told: tuple[Any, ...]) -> None:
        """A StatusNotification, but for its time."""
        self.statuses += 1
        if told != self.status:
            self.status, self.status_count = told, 0
        self.status_count += 1
        if self.status_count >= 10:
            self.saw("status-flood")

    def booted(self, vendor: str, model: str) -> None:
        """A BootNotification of any version."""
        now, station = self.now, self.state.station
        self.overdue()
        self.came("reset-ignored")
        while self.at_boot:
            self.change(*self.at_boot.popitem())
        if not vendor.strip() or not model.strip():
            self.saw("boot-nameless")
        boots = self.boots = [one for one in self.boots if now - one < 10 * MINUTE][-4:]
        if station.boot_status in ("Pending", "Rejected") and boots and now - boots[-1] < self.retry_s * 500:
            self.saw("boot-retry-early")
        elif station.boot_status == "Accepted":
            if not boots and self.gone_at and self.connected_at - self.gone_at < 15_000:
                self.saw("boot-on-reconnect")
            if len(boots) >= 2:
                self.saw("boot-storm")
        boots.append(now)
        self.statuses = 0
        self.interval_s = self.beat_s
        self.last_beat = now
        self.beats = 0

    def beat(self) -> None:
        """A Heartbeat."""
        self.overdue()
        now, last = self.now, self.last_beat
        self.last_beat = now
        if self.interval_s and last:
            if now - last < self.interval_s * 500:
                self.beats += 1
                if self.beats >= 3:
                    self.saw("heartbeat-too-often")
            else:
                self.beats = 0
        if self.boots and not self.statuses and now - self.boots[-1] > 30_000:
            self.saw("no-status-after-boot")

    def alarmed(self) -> None:
        """A SecurityEventNotification."""
        self.loud = [one for one in self.loud if self.now - one < 10 * MINUTE][-19:]
        self.loud.append(self.now)
        if len(self.loud) == 20:
            self.saw("security-event-flood")

    def change(self, key: str, value: str, *, at_boot: bool = False) -> None:
        """The station took a value for a key; `at_boot`: it counts when it has restarted."""
        self.changed.pop(key, None)
        kept = self.at_boot if at_boot else self.changed
        kept[key] = value
        while len(kept) > CHANGES_KEPT:
            del kept[next(iter(kept))]


Look = Callable[[Watch, Any], None]
"""(watch, the typed request): names what it sees by `Watch.saw`."""
