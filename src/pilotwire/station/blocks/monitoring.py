"""N Diagnostics, the part about monitors: set, clear, base, level and report (N02 to N06)."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pilotwire.station.attributes import Attribute, Place
from pilotwire.station.host import Reply
from pilotwire.station.monitors import BASES, HARD_WIRED, PERIODIC, THRESHOLDS, Monitor
from pilotwire.station.streams import MOST, Params

from .handling import V2, in_parts, on, reason
from .variables import check_size, component_of, find, place_of, variable_of

if TYPE_CHECKING:
    from pilotwire.station.program import Station

Refused = tuple[str, str, str]
"""SetMonitoringStatusEnumType, reasonCode, words."""

_CRITERIA = {
    "ThresholdMonitoring": THRESHOLDS,
    "DeltaMonitoring": ("Delta", "TargetDelta", "TargetDeltaRelative"),
    "PeriodicMonitoring": PERIODIC,
}


def set_monitoring(station: Station, request: Any) -> Reply:
    check_size(station, request, len(request.set_monitoring_data), "monitor")
    rows = [_set(station, row) for row in request.set_monitoring_data]
    return Reply(station.messages.SetVariableMonitoringResponse(set_monitoring_result=rows))


def _set(station: Station, row: Any) -> Any:
    m = station.messages
    outcome = _try(station, row)
    if isinstance(outcome, Monitor):
        status, id_, why = "Accepted", outcome.id, None
    else:
        status, id_, why = outcome[0], row.id, reason(m, outcome[1], outcome[2])
    return m.SetMonitoringResultType(
        id=id_,
        status=status,
        type=row.type,
        severity=row.severity,
        component=row.component,
        variable=row.variable,
        status_info=why,
    )


def _try(station: Station, row: Any) -> Monitor | Refused:
    found = find(station, row)
    if isinstance(found, str):
        return found, "NotFound", f"no {row.component.name}.{row.variable.name} here"
    value = Decimal(row.value)
    refused = _unsuitable(found, row.type, value, row.severity)
    if refused is not None:
        return refused
    stream, refused = _stream(station, row)
    if refused is not None:
        return refused
    place = found.place
    if row.id is not None:
        existing = station.monitors.find(row.id)
        if existing is None:
            return "Rejected", "NotFound", f"no monitor {row.id}"  # N04.FR.13
        if existing.kind == HARD_WIRED:
            return "Rejected", "ReadOnly", "that monitor is wired in"  # N04.FR.18
        if existing.place != place:
            return "Rejected", "InvalidValue", "that monitor is of another variable"  # N04.FR.16
    for other in station.monitors:
        same = (other.place, other.type, other.severity) == (place, row.type, row.severity)
        if same and other.id != row.id:
            return "Duplicate", "Unspecified", f"monitor {other.id} is the same"  # N04.FR.10
    put = station.monitors.put(
        Monitor(
            id=row.id or 0,
            place=place,
            type=row.type,
            value=value,
            severity=row.severity,
            transaction=bool(row.transaction),
            stream=stream,
        )
    )
    return put or ("Rejected", "OutOfStorage", "no room for more monitors")


def _stream(station: Station, row: Any) -> tuple[Params | None, Refused | None]:
    """The periodic event stream that is asked for with a monitor (2.1 N11)."""
    asked = getattr(row, "periodic_event_stream", None)
    if asked is None:
        return None, None
    params = Params(asked.interval or 0, asked.values or 0)
    if row.type not in PERIODIC:
        return None, ("Rejected", "UnsupportedParam", f"{row.type} is told by events")
    if params == Params():
        return None, ("Rejected", "MissingParam", "a stream needs interval or values")  # N11.FR.09
    if len(station.streams) >= MOST:
        return None, ("Rejected", "TooManyElements", f"there are {MOST} streams")
    return params, None


def _unsuitable(found: Attribute, kind: str, value: Decimal, severity: int) -> Refused | None:
    unsupported = "UnsupportedMonitorType", "UnsupportedParam", f"{kind} does not suit this variable"
    if not found.monitored or kind not in (*THRESHOLDS, "Delta", *PERIODIC):
        return unsupported
    if not 0 <= severity <= 9:
        return "Rejected", "ValueOutOfRange", "severities go from 0 to 9"
    if kind in THRESHOLDS:
        if not found.numeric:
            return unsupported
        low = found.low
        high = found.max_limit if found.max_limit is not None else found.high
        if (low is not None and value < low) or (high is not None and value > high):
            return "Rejected", "ValueOutOfRange", "the variable never has that value"  # N04.FR.06
    elif kind == "Delta" and value < 0:
        return "Rejected", "ValuePositiveOnly", "a change has no sign"  # N04.FR.14
    elif kind in PERIODIC and value < 1:
        return "Rejected", "ValueTooLow", "at most one event per second"
    return None


def clear_monitoring(station: Station, request: Any) -> Reply:
    m = station.messages
    check_size(station, request, len(request.id), "monitor_clear")
    rows = [m.ClearMonitoringResultType(id=id_, status=station.monitors.clear(id_)) for id_ in request.id]
    return Reply(m.ClearVariableMonitoringResponse(clear_monitoring_result=rows))


def set_base(station: Station, request: Any) -> Reply:
    m = station.messages
    if request.monitoring_base not in BASES:
        return Reply(m.SetMonitoringBaseResponse(status="NotSupported"))
    station.monitors.set_base(request.monitoring_base)
    return Reply(m.SetMonitoringBaseResponse(status="Accepted"))


def set_level(station: Station, request: Any) -> Reply:
    m = station.messages
    if not 0 <= request.severity <= 9:
        why = reason(m, "ValueOutOfRange", "severities go from 0 to 9")
        return Reply(m.SetMonitoringLevelResponse(status="Rejected", status_info=why))
    station.monitors.set_level(request.severity)
    return Reply(m.SetMonitoringLevelResponse(status="Accepted"))


def monitoring_report(station: Station, request: Any) -> Reply:
    m = station.messages
    asked = request.component_variable or []
    check_size(station, request, len(asked), "report")
    types = [kind for name in request.monitoring_criteria or () for kind in _CRITERIA[name]]
    by_place: dict[Place, list[Monitor]] = {}
    for monitor in station.monitors:
        if types and monitor.type not in types:
            continue
        if asked and not any(
            monitor.place.is_in(place_of(row.component, row.variable), variable=row.variable is not None)
            for row in asked
        ):
            continue
        by_place.setdefault(monitor.place, []).append(monitor)
    if not by_place:
        return Reply(m.GetMonitoringReportResponse(status="EmptyResultSet"))
    rows = [_report_row(station, place, monitors) for place, monitors in by_place.items()]

    def then() -> None:
        generated = station.clock.wall()
        for part, number, tbc in in_parts(rows, station.settings.number("report_items")):
            station.conversation.call(
                "NotifyMonitoringReport",
                m.NotifyMonitoringReportRequest(
                    request_id=request.request_id, generated_at=generated, seq_no=number, tbc=tbc, monitor=part
                ),
            )

    return Reply(m.GetMonitoringReportResponse(status="Accepted"), then)


def _report_row(station: Station, place: Place, monitors: list[Monitor]) -> Any:
    m = station.messages
    newer = station.config.version != "2.0.1"
    return m.MonitoringDataType(
        component=component_of(m, place),
        variable=variable_of(m, place),
        variable_monitoring=[
            m.VariableMonitoringType(
                id=monitor.id,
                transaction=monitor.transaction,
                value=monitor.value,
                type=monitor.type,
                severity=monitor.severity,
                **({"event_notification_type": monitor.kind} if newer else {}),  # N02.FR.22
            )
            for monitor in monitors
        ],
    )


HANDLERS = on(
    V2,
    {
        "ClearVariableMonitoring": clear_monitoring,
        "GetMonitoringReport": monitoring_report,
        "SetMonitoringBase": set_base,
        "SetMonitoringLevel": set_level,
        "SetVariableMonitoring": set_monitoring,
    },
)
