"""Facts in plain words, for people who watch."""

from __future__ import annotations

from typing import Literal

from pilotwire.core.time import to_rfc3339
from pilotwire.domain import facts

from . import types

Level = Literal["info", "good", "warn", "bad"]

_UPDATES = (facts.SessionUpdated, facts.VariablesReported, facts.CommandRequested)
"""What happens all the time, or is told again by the fact that follows it: no news."""

_ROUTINE = ("Occupied", "Preparing", "Charging", "SuspendedEV", "SuspendedEVSE", "Finishing")
"""States that go with every session; its beginning and end are the news."""
_NO_ERROR = ("", "NoError")


def kwh(energy_wh: int) -> str:
    return f"{energy_wh / 1000:.2f} kWh"


def say(fact: facts.AnyFact) -> str:
    """One sentence without the station's name, e.g. "EVSE 1: charging started with token 04A1B2C3"."""
    match fact:
        case facts.StationConnected():
            return f"connected with OCPP {fact.ocpp_version}"
        case facts.StationDisconnected():
            return f"connection lost ({fact.code})" if fact.code == 1006 else f"disconnected ({fact.code})"
        case facts.StationBooted():
            verdict = "" if fact.verdict == "Accepted" else f": answered {fact.verdict}"
            return f"booted ({' '.join(part for part in (fact.vendor, fact.model) if part)}){verdict}"
        case facts.ConnectorStatusChanged():
            where = _where(fact.evse, fact.connector)
            error = f" ({fact.error_code})" if fact.error_code not in _NO_ERROR else ""
            return f"{where}{spaced(fact.status).lower()}{error}"
        case facts.TokenPresented():
            verdict = "" if fact.verdict == "Accepted" else f": {spaced(fact.verdict).lower()}"
            return f"token {fact.token} presented{verdict}"
        case facts.SessionStarted():
            with_token = f" with token {fact.token}" if fact.token else ""
            return f"{_where(fact.evse, fact.connector)}session started{with_token}"
        case facts.SessionUpdated():
            state = spaced(fact.charging_state).lower() or "meter values"
            return f"session: {state}"
        case facts.SessionEnded():
            return f"session ended ({spaced(fact.reason).lower()})" if fact.reason else "session ended"
        case facts.OrphanReceived():
            return f"{fact.action} for an unknown transaction {fact.transaction} ({fact.why})"
        case facts.VariablesReported():
            return f"reported {len(fact.variables)} variables"
        case facts.EventNotified():
            value = f" = {fact.actual_value}" if fact.actual_value else ""
            return f"{fact.component}.{fact.variable}{value}{' (cleared)' if fact.cleared else ''}"
        case facts.SecurityEventNotified():
            return f"security event: {spaced(fact.kind)}"
        case facts.DataTransferred():
            return f"data of {fact.vendor_id} {fact.message_id}".rstrip()
        case facts.FirmwareStatusChanged():
            return f"firmware: {spaced(fact.status).lower()}"
        case facts.LogStatusChanged():
            return f"{fact.kind}: {spaced(fact.status).lower()}"
        case facts.CommandRequested():
            return f"command {fact.action}" + (f" by {fact.by}" if fact.by else "")
        case facts.CommandSettled():
            return f"command {fact.outcome.replace('-', ' ')}"
        case facts.DeviationAccepted():
            return f"{fact.action} was let pass by {', '.join(fact.rules)}"
    return type(fact).__name__


def level(fact: facts.AnyFact) -> Level:
    """How much it matters to somebody who watches."""
    match fact:
        case facts.ConnectorStatusChanged(status="Faulted"):
            return "bad"
        case facts.ConnectorStatusChanged(status="Unavailable") | facts.StationDisconnected():
            return "warn"
        case facts.TokenPresented(verdict=verdict) if verdict != "Accepted":
            return "warn"
        case facts.CommandSettled(outcome=outcome) if outcome != "answered":
            return "warn"
        case facts.SecurityEventNotified() | facts.OrphanReceived():
            return "warn"
        case facts.SessionStarted() | facts.StationConnected():
            return "good"
    return "info"


def happening(seq: int, station: str, recv_time: int, fact: facts.AnyFact) -> types.Happening | None:
    """A line of news; None for what is not worth one."""
    if isinstance(fact, _UPDATES) or (isinstance(fact, facts.TokenPresented) and fact.verdict == "Accepted"):
        return None
    if isinstance(fact, facts.ConnectorStatusChanged) and fact.status in _ROUTINE and fact.error_code in _NO_ERROR:
        return None
    return types.Happening(
        seq=seq,
        time=to_rfc3339(recv_time),
        station_id=station,
        type=_tag(fact),
        summary=say(fact),
        level=level(fact),
    )


def spaced(name: str) -> str:
    """CamelCase as words, capitals of abbreviations kept together: SuspendedEV → Suspended EV."""
    out: list[str] = []
    for index, letter in enumerate(name):
        if index and letter.isupper() and (name[index - 1].islower() or name[index + 1 : index + 2].islower()):
            out.append(" ")
        out.append(letter)
    return "".join(out)


def _where(evse: int, connector: int) -> str:
    if evse == 0:
        return ""
    return f"EVSE {evse}: " if connector in (0, 1) else f"EVSE {evse}, connector {connector}: "


def _tag(fact: facts.AnyFact) -> str:
    return str(type(fact).__struct_config__.tag)
