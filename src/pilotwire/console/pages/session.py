"""The page of one session: what it delivered, how it went and why it began and ended."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, NamedTuple

from litestar import Response, get, post
from litestar.params import QueryParameter

from pilotwire.api import types
from pilotwire.api.commands import execute
from pilotwire.api.language import N_, _
from pilotwire.api.problems import Problem
from pilotwire.api.queries import Queries
from pilotwire.api.resources import tariffs
from pilotwire.api.resources.timeline import timeline

from .. import words
from ..view import numeral
from ..words import Word, word
from .common import PlainRequest, Text, allowed, context_of, fragment, page, segment

_ROWS = 200
"""Readings shown with one request."""
_SAMPLES = 20_000
_COLUMNS = 14
_FIRST = ("Energy.Active.Import.Register", "Power.Active.Import", "SoC", "Current.Import", "Voltage", "Power.Offered")
"""The columns that come first in the table of readings."""


PARTS = {
    "fixed": N_("Fixed price"),
    "energy": N_("Energy"),
    "charging_time": N_("Time of charging"),
    "idle_time": N_("Time without charging"),
    "reservation_time": N_("Time of reservation"),
    "reservation_fixed": N_("Reservation"),
}
"""Lines of the bill."""


class Line(NamedTuple):
    """A line of the timeline."""

    event: types.SessionEvent
    level: str
    icon: str
    title: str
    text: str


_SYMBOLS = {
    "session-started": "play",
    "session-updated": "bolt",
    "session-ended": "stop",
    "token-presented": "card",
    "connector-status-changed": "plug",
    "station-connected": "wifi",
    "station-disconnected": "wifi",
    "station-booted": "restart",
    "command-requested": "message",
    "command-settled": "message",
    "event-notified": "info",
    "security-event-notified": "shield",
}
_NAMES = {
    "station-connected": Word(N_("Station connected"), "", "good"),
    "station-disconnected": Word(
        N_("Connection lost"), N_("What happens meanwhile is told later, as soon as the station is back."), "warn"
    ),
    "station-booted": Word(N_("Station booted"), "", "warn"),
}


def line_of(event: types.SessionEvent) -> Line:
    """An event in plain words."""
    kind = event.type.rpartition(".")[0]
    icon = _SYMBOLS.get(kind, "info")
    match kind:
        case "session-started":
            why = word("trigger", event.code)
            text = _(why.text) if why.text else ""
            title = f"{_('Session began')}: {_(why.name)}" if why.name else _("Session began")
            return Line(event, "good", icon, title, text)
        case "session-ended":
            why = word("stop", event.code)
            title = f"{_('Session ended')}: {_(why.name)}" if why.name else _("Session ended")
            return Line(event, why.level, icon, title, _(why.text) if why.text else "")
        case "session-updated":
            state, why = word("state", event.charging_state), word("trigger", event.code)
            if state.name and event.code in ("ChargingStateChanged", "MeterValuePeriodic", "MeterValueClock", None):
                return Line(event, state.level, icon, _(state.name), _(state.text))
            note = f"{_('Now')}: {_(state.name)}" if state.name else (_(why.text) if why.text else "")
            return Line(event, why.level, icon, _(why.name) if why.name else event.summary, note)
        case "token-presented":
            status = word("token-status", event.code)
            good = event.code == "Accepted"
            title = f"{_('Token presented')}: {_(status.name)}"
            return Line(event, "info" if good else "warn", icon, title, "" if good else _(status.text))
        case "connector-status-changed":
            error = word("error", event.code)
            if error.text:
                return Line(event, error.level, "alert", _(error.name), _(error.text))
            level = "bad" if event.code == "Faulted" else "info"
            return Line(event, level, icon, f"{_('Connector')}: {_(word('connector', event.code).name)}", "")
        case "command-requested":
            return Line(event, "info", icon, f"{_('Command')}: {event.code}", _by(event.summary))
        case "command-settled":
            outcome = word("command", event.code)
            return Line(event, outcome.level, icon, f"{_('Command')}: {_(outcome.name)}", _(outcome.text))
    if known := _NAMES.get(kind):
        return Line(event, known.level, icon, _(known.name), _(known.text) if known.text else "")
    return Line(event, event.level, icon, event.summary, "")


def _by(summary: str) -> str:
    who = summary.partition(" by ")[2]
    return f"{_('by')} {who}" if who else ""


def lasted(begin: str, end: str | None, now_ms: int) -> str:
    """How long from `begin` to `end` (now, where there is none): 1 h 25 min."""
    until = datetime.fromisoformat(end).timestamp() if end else now_ms / 1000
    minutes = max(0, int(until - datetime.fromisoformat(begin).timestamp()) // 60)
    if minutes < 1:
        return "< 1 min"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 1440:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


def mean_power(session: types.Session, now_ms: int) -> int:
    """W over the whole of the session; 0 for one that has hardly begun, whose first readings would make it jump."""
    end = datetime.fromisoformat(session.ended_at).timestamp() if session.ended_at else now_ms / 1000
    seconds = end - datetime.fromisoformat(session.started_at).timestamp()
    return round(session.energy_wh * 3600 / seconds) if seconds >= (1 if session.ended_at else 60) else 0


@get("/sessions/{session_id:str}")
async def one(request: PlainRequest, session_id: Text) -> Response[Any]:
    """One session."""
    context, principal = allowed(request, "sessions:read")
    queries = Queries(context, principal)
    session = await queries.session(segment(session_id))
    station = await queries.find_station(session.station_id) if principal.may("stations:read") else None
    events = await timeline(context, principal, session.id)
    began = next((one for one in events if one.type.startswith("session-started") and one.code), None)
    now = context.scheduler.now()
    return page(
        request,
        "sessions/one.html",
        here="sessions",
        crumbs=[(_("Sessions"), "/sessions"), (session.id, None)],
        session=session,
        station=station,
        lines=[line_of(event) for event in events],
        began=word("trigger", began.code if began else None),
        ended=word("stop", session.stop_reason),
        state=word("state", session.charging_state),
        flags=[(name, word("flag", name)) for name in session.flags],
        token_type=word("token-type", session.token_type),
        name_type=word("token-type", session.vehicle.name_type if session.vehicle else None),
        lasted=lasted(session.started_at, session.ended_at, now),
        mean_power=mean_power(session, now),
        bill=None if session.cost is None else await tariffs.cost(context, principal, session.id),
        bill_parts={name: _(text) for name, text in PARTS.items()},
        may_stop=session.status == "active" and principal.may("commands:send"),
        may_export=principal.may("sessions:export"),
        live=session.status == "active" and principal.may("events:read"),
    )


@get("/ui/sessions/{session_id:str}/timeline")
async def events_of(request: PlainRequest, session_id: Text) -> Response[Any]:
    """The timeline, drawn anew."""
    context, principal = allowed(request, "sessions:read")
    events = await timeline(context, principal, segment(session_id))
    return fragment(request, "sessions/timeline.html", lines=[line_of(event) for event in events])


class Column(NamedTuple):
    """A column of the table of readings."""

    measurand: str
    name: str
    phase: str
    location: str
    unit: str


class Row(NamedTuple):
    """What was read at one time."""

    time: str
    contexts: list[str]
    values: list[str]


def table_of(samples: list[types.Sample]) -> tuple[list[Column], list[Row]]:
    """Samples as a table: a row for each time, a column for each quantity, phase and place."""
    found: dict[tuple[str, str, str, str], None] = {}
    rows: dict[str, dict[tuple[str, str, str, str], types.Sample]] = {}
    for one in samples:
        location = "" if one.measurand == "SoC" or one.location == "Outlet" else one.location or ""
        key = (one.measurand, one.phase or "", location, one.unit)
        found[key] = None
        rows.setdefault(one.time, {})[key] = one
    order = sorted(
        found,
        key=lambda key: (key[2] != "", _FIRST.index(key[0]) if key[0] in _FIRST else len(_FIRST), key[0], key[1]),
    )[:_COLUMNS]
    columns = [
        Column(measurand, word("measurand", measurand).name, phase, word("location", location).name, _shown_unit(unit))
        for measurand, phase, location, unit in order
    ]
    lines = [
        Row(
            time,
            sorted({one.context for one in given.values() if one.context and one.context != "Sample.Periodic"}),
            [_reading(given[key]) if key in given else "" for key in order],
        )
        for time, given in rows.items()
    ]
    return columns, lines


_SHOWN = {"Wh": ("kWh", 1000, 3), "W": ("kW", 1000, 2), "Percent": ("%", 1, 0), "A": ("A", 1, 1), "V": ("V", 1, 1)}
_OTHERS = {"Celsius": "°C", "varh": "kvarh", "var": "kvar", "VA": "kVA", "VAh": "kVAh"}


def _shown_unit(unit: str) -> str:
    return _SHOWN[unit][0] if unit in _SHOWN else _OTHERS.get(unit, unit)


def _reading(sample: types.Sample) -> str:
    """A value as people read it; the exact one is in the export."""
    if sample.unit in _SHOWN:
        _name, divisor, digits = _SHOWN[sample.unit]
        return numeral(sample.value / divisor, digits)
    divisor = 1000 if _OTHERS.get(sample.unit, "").startswith("k") else 1
    return numeral(sample.value / divisor, 2)


@get("/ui/sessions/{session_id:str}/samples")
async def readings(
    request: PlainRequest,
    session_id: Text,
    start: Annotated[int, QueryParameter(ge=0, le=1_000_000)] = 0,
) -> Response[Any]:
    """The table of readings, a part of it."""
    context, principal = allowed(request, "sessions:read")
    wanted = segment(session_id)
    samples = await Queries(context, principal).samples(wanted, limit=_SAMPLES)
    columns, rows = table_of(samples)
    return fragment(
        request,
        "sessions/samples.html" if start == 0 else "sessions/sample_rows.html",
        session_id=wanted,
        columns=columns,
        rows=rows[start : start + _ROWS],
        total=len(rows),
        following=start + _ROWS if start + _ROWS < len(rows) else None,
        cut=len(samples) >= _SAMPLES,
    )


@post("/ui/sessions/{session_id:str}/stop", status_code=200)
async def stop(request: PlainRequest, session_id: Text) -> Response[Any]:
    """Stop charging. The station's answer comes back in plain words."""
    context, principal = allowed(request, "commands:send")
    session = await Queries(context, principal).session(segment(session_id))
    try:
        command = types.NewCommand(action="stop", payload={"session": session.id})
        answer = await execute(context_of(request), principal, session.station_id, command)
    except Problem as refused:
        if refused.status == 403:
            raise
        return fragment(request, "sessions/answer.html", said=words.of_problem(refused), raw=refused.details.answer)
    return fragment(request, "sessions/answer.html", said=words.of_answer("stop", answer), raw=answer.answer)


HANDLERS: list[Any] = [one, events_of, readings, stop]
