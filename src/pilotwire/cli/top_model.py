"""What `pilotwire top` knows and how it is put in words, without a terminal and without a connection."""

from __future__ import annotations

import re
from collections import Counter, deque
from datetime import datetime
from typing import NamedTuple

from pilotwire.client import types

NEWS = 200
_METRIC = re.compile(r"^([a-z_:]+)(?:\{[^}]*\})? (\S+)$", re.M)
_SPACED = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Row(NamedTuple):
    """A line of a table: what it is, what is shown, and what it is sorted by."""

    key: str
    cells: tuple[str, ...]
    order: tuple[object, ...]


class Column(NamedTuple):
    title: str
    width: int
    right: bool = False
    falls: bool = False
    """The largest, or newest, comes first."""


STATIONS = (
    Column("Station", 16), Column("State", 24), Column("kW", 7, True, True), Column("kWh", 8, True, True),
    Column("SoC", 5, True, True), Column("OCPP", 5), Column("Seen", 8, False, True), Column("Vendor, model", 24),
)  # fmt: skip
SESSIONS = (
    Column("Station", 16), Column("EVSE", 6, True), Column("kW", 7, True, True), Column("kWh", 8, True, True),
    Column("SoC", 6, True, True), Column("Since", 8, False, True), Column("Token", 14), Column("State", 14),
)  # fmt: skip
ALARMS = (Column("Severity", 10), Column("Raised", 15, False, True), Column("Station", 16), Column("What", 60))
NEWS_COLUMNS = (Column("Time", 8, False, True), Column("Station", 16), Column("What", 60))
VIEWS: dict[str, tuple[Column, ...]] = {
    "stations": STATIONS, "sessions": SESSIONS, "alarms": ALARMS, "news": NEWS_COLUMNS,
}  # fmt: skip
_SEVERITY = {"critical": 0, "major": 1, "minor": 2, "warning": 3}


class Gauges(NamedTuple):
    """What `/metrics` says, at one moment."""

    at: float
    messages: float
    errors: float
    loop_lag_s: float | None
    store_lag_s: float | None
    waiting: float | None


def gauges(text: str, at: float) -> Gauges:
    """The few metrics that are shown, from the text exposition format."""
    sums: dict[str, float] = {}
    for name, value in _METRIC.findall(text):
        try:
            sums[name] = sums.get(name, 0.0) + float(value)
        except ValueError:
            continue
    return Gauges(
        at=at,
        messages=sums.get("pilotwire_messages_total", 0.0),
        errors=sums.get("pilotwire_errors_total", 0.0) + sums.get("pilotwire_faults_total", 0.0),
        loop_lag_s=sums.get("pilotwire_loop_lag_seconds"),
        store_lag_s=sums.get("pilotwire_store_lag_seconds"),
        waiting=sums.get("pilotwire_store_waiting"),
    )


class Model:
    """The newest picture."""

    def __init__(self) -> None:
        self.stations: dict[str, types.Station] = {}
        self.sessions: dict[str, types.Session] = {}
        """The running ones."""
        self.totals: types.Totals | None = None
        self.news: deque[types.Happening] = deque(maxlen=NEWS)
        """The newest first."""
        self.alarms: list[types.Alarm] | None = None
        """The open ones; None: not known, or not to be seen with this key."""
        self.gauges: Gauges | None = None
        self._before: Gauges | None = None

    def take(self, message: types.Overview | types.LiveUpdate) -> None:
        """What `/live` said."""
        self.totals = message.totals
        if isinstance(message, types.Overview):
            self.stations = {one.id: one for one in message.stations}
            self.sessions = {one.id: one for one in message.sessions}
            self.news.clear()
        else:
            self.stations.update({one.id: one for one in message.stations})
            for name in message.removed:
                self.stations.pop(name, None)
            for one in message.sessions:
                if one.status == "active":
                    self.sessions[one.id] = one
                else:
                    self.sessions.pop(one.id, None)
        newest = self.news[0].seq if self.news else -1
        fresh = [one for one in message.events if one.seq > newest]
        self.news.extendleft(sorted(fresh, key=lambda one: one.seq))

    def measure(self, measured: Gauges) -> None:
        """What `/metrics` said."""
        self._before, self.gauges = self.gauges, measured

    @property
    def messages_per_s(self) -> float | None:
        """None until it was measured twice, and when the server was restarted in between."""
        before, now = self._before, self.gauges
        if before is None or now is None or now.at <= before.at or now.messages < before.messages:
            return None
        return (now.messages - before.messages) / (now.at - before.at)

    # -- in words ----------------------------------------------------------------------------------------------------
    def headline(self) -> list[tuple[str, str, str]]:
        """Figures as (what, value, mood): mood is "", good, warn or bad."""
        totals, measured = self.totals, self.gauges
        made: list[tuple[str, str, str]] = []
        if totals is not None:
            away = totals.stations - totals.stations_online
            made += [
                ("Stations", f"{totals.stations_online:,} of {totals.stations:,} online", "warn" if away else "good"),
                ("Charging", f"{totals.charging_now:,} of {totals.sessions_active:,} sessions", ""),
                ("Power", f"{kw(totals.power_w)} kW", ""),
                ("Today", f"{kwh(totals.energy_today_wh)} kWh", ""),
            ]
            if totals.connectors_faulted:
                made.append(("Faulted", f"{totals.connectors_faulted:,} connectors", "bad"))
        rate = self.messages_per_s
        made.append(("Messages", "–" if rate is None else f"{rate:,.1f}/s", ""))
        if measured is not None:
            made.append(("Errors", f"{measured.errors:,.0f}", "bad" if measured.errors else ""))
            made.append(("Loop lag", *_lag(measured.loop_lag_s)))
            made.append(("Store lag", *_lag(measured.store_lag_s)))
        if self.alarms is not None:
            worst = min((_SEVERITY.get(one.severity, 3) for one in self.alarms), default=9)
            made.append(("Alarms", str(len(self.alarms)), "bad" if worst < 2 else "warn" if self.alarms else ""))
        return made

    def rows(self, view: str, wanted: str = "") -> list[Row]:
        """A table, in no particular order. `wanted`: only rows in which each of these words occurs."""
        made = {
            "stations": self._station_rows, "sessions": self._session_rows, "alarms": self._alarm_rows,
            "news": self._news_rows,
        }[view]()  # fmt: skip
        words = wanted.casefold().split()
        if not words:
            return made
        return [row for row in made if all(word in " ".join(row.cells).casefold() for word in words)]

    def _station_rows(self) -> list[Row]:
        charged: dict[str, list[types.Session]] = {}
        for one in self.sessions.values():
            charged.setdefault(one.station_id, []).append(one)
        made = []
        for one in self.stations.values():
            mine = charged.get(one.id, [])
            energy = sum(session.energy_wh for session in mine)
            soc = max((s.soc_percent for s in mine if s.soc_percent is not None), default=None)
            state, rank = state_of(one, mine)
            cells = (
                one.id, state, kw(one.power_w) if one.connected else "", kwh(energy) if mine else "",
                percent(soc), one.ocpp_version or "", clock(one.last_seen), f"{one.vendor} {one.model}".strip(),
            )  # fmt: skip
            order = (
                one.id, rank, -one.power_w, -energy, -(soc if soc is not None else -1), one.ocpp_version or "",
                _newest_first(one.last_seen), (one.vendor, one.model),
            )  # fmt: skip
            made.append(Row(one.id, cells, order))
        return made

    def _session_rows(self) -> list[Row]:
        made = []
        for one in self.sessions.values():
            cells = (
                one.station_id, str(one.evse), kw(one.power_w), kwh(one.energy_wh), percent(one.soc_percent),
                clock(one.started_at), one.token, spaced(one.charging_state) or "–",
            )  # fmt: skip
            soc = one.soc_percent if one.soc_percent is not None else -1
            order = (
                one.station_id, one.evse, -one.power_w, -one.energy_wh, -soc, _newest_first(one.started_at), one.token,
                one.charging_state,
            )  # fmt: skip
            made.append(Row(one.id, cells, order))
        return made

    def _alarm_rows(self) -> list[Row]:
        made = []
        for one in self.alarms or []:
            seen = " (seen)" if one.acknowledged_at else ""
            cells = (one.severity, clock(one.raised_at, day=True), one.station_id or "", one.summary + seen)
            order = (_SEVERITY.get(one.severity, 9), _newest_first(one.raised_at), one.station_id or "", one.summary)
            made.append(Row(one.id, cells, order))
        return made

    def _news_rows(self) -> list[Row]:
        return [
            Row(str(one.seq), (clock(one.time), one.station_id, one.summary), (-one.seq, one.station_id, one.summary))
            for one in self.news
        ]

    def details(self, view: str, key: str) -> list[tuple[str, str]]:
        """Everything that is known of a row."""
        if view == "stations" and (station := self.stations.get(key)):
            return self._station_details(station)
        if view == "sessions" and (session := self.sessions.get(key)):
            return [
                ("Session", session.id), ("Station", f"{session.station_id}, EVSE {session.evse}"),
                ("Token", session.token or "–"), ("Since", clock(session.started_at, day=True)),
                ("Power", f"{kw(session.power_w)} kW"), ("Energy", f"{kwh(session.energy_wh)} kWh"),
                ("State of charge", percent(session.soc_percent) or "–"),
                ("State", spaced(session.charging_state) or "–"),
                ("Transaction", session.transaction), ("Noticed", ", ".join(session.flags) or "nothing"),
            ]  # fmt: skip
        if view == "alarms":
            for one in self.alarms or []:
                if one.id == key:
                    return [
                        ("Alarm", one.rule_name), ("Severity", one.severity), ("What", one.summary),
                        ("Station", one.station_id or "–"), ("Raised", clock(one.raised_at, day=True)),
                        ("Seen", f"by {one.acknowledged_by}" if one.acknowledged_by else "by nobody yet"),
                        ("Note", one.note or "–"),
                    ]  # fmt: skip
        if view == "news":
            for event in self.news:
                if str(event.seq) == key:
                    return [
                        ("When", clock(event.time, day=True)),
                        ("Station", event.station_id),
                        ("What", event.summary),
                    ]
        return []

    def _station_details(self, one: types.Station) -> list[tuple[str, str]]:
        made = [
            ("Station", one.id),
            ("Connection", f"{one.peer or 'connected'} since {clock(one.connected_at, day=True)}" if one.connected
             else f"away since {clock(one.disconnected_at, day=True)}"),
            ("Last heard", clock(one.last_seen, day=True)),
            ("Make", f"{one.vendor} {one.model} {one.serial}".strip() or "–"),
            ("Firmware", f"{one.firmware or '–'} {one.firmware_status}".strip()),
            ("OCPP", f"{one.ocpp_version or '–'}, security profile {one.security_profile}"),
            ("Clock", f"{one.clock_skew_ms / 1000:+.1f} s"),
        ]  # fmt: skip
        for connector in one.connectors:
            if connector.evse == 0:
                continue
            error = f" {connector.error_code}" if connector.error_code not in ("", "NoError") else ""
            text = f"{spaced(connector.status)}{error}, {kw(connector.power_w)} kW"
            session = self.sessions.get(connector.session_id or "")
            if session is not None:
                soc = f", {percent(session.soc_percent)}" if session.soc_percent is not None else ""
                text += (
                    f", {kwh(session.energy_wh)} kWh{soc} since {clock(session.started_at)} for {session.token or '–'}"
                )
            made.append((f"EVSE {connector.evse}", text))
        if one.note:
            made.append(("Note", one.note))
        return made


def state_of(station: types.Station, sessions: list[types.Session]) -> tuple[str, int]:
    """What a station does, in a few words, and how far up that belongs (0 first)."""
    if not station.connected:
        return "Offline", 1
    by_evse = {one.evse: one for one in sessions}
    states: Counter[str] = Counter()
    for one in station.connectors:
        if one.evse == 0:
            continue
        session = by_evse.get(one.evse)
        says = one.status
        if says in ("Occupied", "Unknown") and session is not None and session.charging_state:
            says = session.charging_state
        states[says] += 1
    if not states:
        return "Connected", 6
    ranks = {"Faulted": 0, "Charging": 2, "SuspendedEV": 3, "SuspendedEVSE": 3, "Unavailable": 7, "Available": 5}
    ordered = sorted(states, key=lambda state: (ranks.get(state, 4), state))
    several = sum(states.values()) > 1
    text = ", ".join(f"{states[state]} {spaced(state)}" if several else spaced(state) for state in ordered)
    return text, ranks.get(ordered[0], 4)


def ordered(rows: list[Row], column: int, *, backwards: bool) -> list[Row]:
    """Rows by a column; equal ones by the first."""
    return sorted(rows, key=lambda row: (row.order[column], row.order[0], row.key), reverse=backwards)  # type: ignore[arg-type]


def kw(power_w: int) -> str:
    return f"{power_w / 1000:,.1f}"


def kwh(energy_wh: int) -> str:
    return f"{energy_wh / 1000:,.2f}" if energy_wh < 100_000 else f"{energy_wh / 1000:,.1f}"


def percent(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} %"


def spaced(name: str) -> str:
    """`SuspendedEV` as `Suspended EV`."""
    return _SPACED.sub(" ", name)


def clock(time: str | None, *, day: bool = False) -> str:
    """A time of the API by the clock on this wall."""
    if not time:
        return "–"
    local = datetime.fromisoformat(time).astimezone()
    return local.strftime("%d %b %H:%M:%S" if day else "%H:%M:%S")


def _newest_first(time: str | None) -> float:
    return -datetime.fromisoformat(time).timestamp() if time else 0.0


def _lag(seconds: float | None) -> tuple[str, str]:
    if seconds is None:
        return "–", ""
    mood = "bad" if seconds >= 1 else "warn" if seconds >= 0.25 else ""
    return (f"{seconds * 1000:,.0f} ms" if seconds < 1 else f"{seconds:,.1f} s"), mood


def plain(model: Model, address: str, limit: int | None = None) -> str:
    """A snapshot as text, for scripts and for where there is no terminal."""
    lines = [f"Pilotwire  {address}", "  ".join(f"{what}: {value}" for what, value, _ in model.headline()), ""]
    for view in ("stations", "sessions", "alarms"):
        rows = ordered(model.rows(view), 0, backwards=False)
        shown = rows[:limit]
        columns = VIEWS[view]
        lines.append(f"{view.upper()} ({len(rows):,})")
        if shown:
            widths = [
                max(len(column.title), *(len(row.cells[at]) for row in shown)) for at, column in enumerate(columns)
            ]
            lines.append(_line(columns, widths, tuple(column.title for column in columns)))
            lines += [_line(columns, widths, row.cells) for row in shown]
        if len(shown) < len(rows):
            lines.append(f"… and {len(rows) - len(shown):,} more")
        lines.append("")
    return "\n".join(lines)


def _line(columns: tuple[Column, ...], widths: list[int], cells: tuple[str, ...]) -> str:
    parts = [
        cell.rjust(width) if column.right else cell.ljust(width)
        for column, width, cell in zip(columns, widths, cells, strict=True)
    ]
    return "  ".join(parts).rstrip()
