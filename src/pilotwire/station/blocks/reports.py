"""B Provisioning, the part about reports of the device model: GetBaseReport and GetReport (B07, B08)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pilotwire.station import device_model
from pilotwire.station.attributes import Attribute, Place
from pilotwire.station.host import Reply

from .handling import V2, in_parts, on, reason
from .variables import check_size, component_of, place_of, variable_of

if TYPE_CHECKING:
    from pilotwire.station.program import Station

_BUSY = "Unspecified", "there is still too much to be said of what was asked before"


def base_report(station: Station, request: Any) -> Reply:
    m = station.messages
    kind = request.report_base
    if station.conversation.crowded:
        return Reply(m.GetBaseReportResponse(status="Rejected", status_info=reason(m, *_BUSY)))  # B07.FR.13
    if kind == "SummaryInventory":
        rows = _summary(device_model.inventory(station))
    else:
        rows = device_model.inventory(station, configuration=kind == "ConfigurationInventory")
    return Reply(m.GetBaseReportResponse(status="Accepted"), _tell(station, request.request_id, rows))


def _summary(rows: Iterable[Attribute]) -> list[Attribute]:
    """B07.FR.09: whether things can be used, and what is wrong."""
    return [
        row
        for row in rows
        if row.place.variable == "AvailabilityState" or (row.place.variable == "Problem" and row.value == "true")
    ]


def report(station: Station, request: Any) -> Reply:
    m = station.messages
    asked = request.component_variable or []
    check_size(station, request, len(asked), "report")
    if station.conversation.crowded:
        return Reply(m.GetReportResponse(status="Rejected", status_info=reason(m, *_BUSY)))  # B08.FR.16
    rows = list(device_model.inventory(station))
    if request.component_criteria:
        meeting = _meeting(rows, request.component_criteria)
        rows = [row for row in rows if _component(row.place) in meeting]
    if asked:
        wanted = [(place_of(row.component, row.variable), row.variable is not None) for row in asked]
        rows = [row for row in rows if any(row.place.is_in(place, variable=named) for place, named in wanted)]
    if not rows:
        return Reply(m.GetReportResponse(status="EmptyResultSet"))
    return Reply(m.GetReportResponse(status="Accepted"), _tell(station, request.request_id, rows))


Component = tuple[str, str | None, int | None, int | None]


def _component(place: Place) -> Component:
    return place.component, place.component_instance, place.evse, place.connector


def _meeting(rows: Iterable[Attribute], criteria: Iterable[str]) -> set[Component]:
    """The components that meet one of `criteria` (B08.FR.07 to .10, .13)."""
    values: dict[Component, dict[str, str | None]] = {}
    for row in rows:
        if row.place.instance is None:
            values.setdefault(_component(row.place), {})[row.place.variable] = row.value
        else:
            values.setdefault(_component(row.place), {})
    return {
        component
        for component, variables in values.items()
        if any(variables.get(name, "false" if name == "Problem" else "true") == "true" for name in criteria)
    }


def _tell(station: Station, request_id: int, rows: Iterable[Attribute]) -> Callable[[], None]:
    m = station.messages

    def then() -> None:
        generated = station.clock.wall()
        wire = (_report_row(m, row) for row in rows)
        for part, number, tbc in in_parts(wire, station.settings.number("report_items")):
            station.conversation.call(
                "NotifyReport",
                m.NotifyReportRequest(
                    request_id=request_id, generated_at=generated, seq_no=number, tbc=tbc, report_data=part
                ),
            )

    return then


def _report_row(m: Any, row: Attribute) -> Any:
    limits: dict[str, Any] = {}
    if row.max_limit is not None:
        limits["max_limit"] = row.max_limit
    elif row.setting is not None and row.setting.kind == "integer" and row.setting.writable:
        limits = {"min_limit": _decimal(row.low), "max_limit": _decimal(row.high)}
    return m.ReportDataType(
        component=component_of(m, row.place),
        variable=variable_of(m, row.place),
        variable_attribute=[
            m.VariableAttributeType(
                type="Actual",
                value=row.value,
                mutability=row.mutability,
                persistent=row.mutability != "ReadOnly",
            )
        ],
        variable_characteristics=m.VariableCharacteristicsType(
            data_type=row.data_type,
            supports_monitoring=row.monitored,
            unit=row.unit or None,
            values_list=",".join(row.members) or None,
            **limits,
        ),
    )


def _decimal(value: int | None) -> Decimal | None:
    return None if value is None else Decimal(value)


HANDLERS = on(V2, {"GetBaseReport": base_report, "GetReport": report})
