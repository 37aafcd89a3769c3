"""Alarms and events in words and as the API shows them."""

from __future__ import annotations

from typing import Any

import msgspec

from pilotwire.core.time import to_rfc3339
from pilotwire.domain.alarms import Cell
from pilotwire.domain.alarms_rules import FactCondition, GaugeCondition, HandshakeRefused, Rule
from pilotwire.domain.facts import AnyFact

from .. import types
from ..language import _, speaking
from ..words import say
from .ends import RENEWED_DAYS
from .records import AlarmRecord


def summary(rule: Rule, cell: Cell) -> str:
    """One sentence without the station's name."""
    condition, cause = rule.condition, cell.cause
    if isinstance(condition, GaugeCondition):
        match condition.gauge:
            case "certificate-overdue-days":
                left = RENEWED_DAYS - cell.value
                return _("certificate ends in {n} d", n=left) if left >= 0 else _("certificate has ended")
            case "clock-skew-s":
                return _("clock differs by {n} s", n=cell.value)
            case "site-power-percent":
                return _("sessions draw {n} % of the power limit", n=cell.value)
            case "rollout-stopped":
                return _("a roll-out has stopped itself")
            case "webhook-failing-min":
                return _("webhook has taken nothing for {n} min", n=cell.value)
        return f"{_(rule.name)}: {cell.value}"
    if not isinstance(condition, FactCondition):
        where = f"EVSE {cell.part}: " if cell.part else ""
        return where + _("session without energy for {n} min", n=cell.value)
    if isinstance(cause, HandshakeRefused):
        reason = _(cause.reason.replace("-", " "))
        return _("connection refused ({reason}), {n} times", reason=reason, n=cell.count)
    if cause is None:
        return _(rule.name)
    if condition.count > 1:
        return _("{what}, {n} times", what=say(cause), n=cell.count)
    return say(cause)


def place(cell: Cell) -> tuple[int | None, int | None]:
    """EVSE and connector of an alarm, where it has such."""
    if cell.cause is not None:
        evse, connector = getattr(cell.cause, "evse", None), getattr(cell.cause, "connector", None)
        return evse or None, connector or None
    return (int(cell.part), None) if cell.part.isdecimal() and cell.station else (None, None)


def shown_alarm(record: AlarmRecord, *, muted: bool) -> types.Alarm:
    """An alarm as the API shows it."""
    return types.Alarm(
        id=record.id,
        rule_id=record.rule,
        rule_name=record.rule_name,
        severity=record.severity,
        state=record.state,
        station_id=record.station or None,
        site=record.site or None,
        part=record.part,
        evse=record.evse,
        connector=record.connector,
        summary=record.said.get(speaking(), record.summary),
        raised_at=to_rfc3339(record.raised_at),
        last_at=to_rfc3339(record.last_at),
        cleared_at=time_or_none(record.cleared_at),
        cleared_why=record.cleared_why or None,  # type: ignore[arg-type]
        count=record.count,
        flapping=record.returns >= 3,
        value=record.value,
        acknowledged_at=time_or_none(record.acknowledged_at),
        acknowledged_by=record.acknowledged_by or None,
        note=record.note,
        muted=muted,
        event_seq=record.seq or None,
    )


def time_or_none(value: int | None) -> str | None:
    """A time as the API has it; None for none."""
    return to_rfc3339(value) if value else None


def event_body(id: str, kind: str, version: int, time: int, tenant: str, data: dict[str, Any]) -> str:
    """The body of a webhook request."""
    event = types.WebhookEvent(id=id, type=kind, version=version, time=to_rfc3339(time), tenant=tenant, data=data)
    return msgspec.json.encode(event).decode()


def fact_data(fact: AnyFact, station: str, site: str, seq: int, recv_time: int) -> dict[str, Any]:
    """`data` of an event that is a fact."""
    fields = msgspec.to_builtins(fact)
    del fields["type"]
    return {
        "station_id": station,
        "site_id": site or None,
        "seq": seq,
        "received_at": to_rfc3339(recv_time),
        "summary": say(fact),
        "fact": fields,
    }


def tag_of(fact: AnyFact) -> tuple[str, int]:
    """Name and version of a fact."""
    name, _, version = str(type(fact).__struct_config__.tag).rpartition(".")
    return name, int(version)
