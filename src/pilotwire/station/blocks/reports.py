"""B Provisioning, the part about reports of the device model: GetBaseReport (B07)."""

from __future__ import annotations

from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any

from pilotwire.station import device_model
from pilotwire.station.device_model import Attribute
from pilotwire.station.host import Reply

from .handling import V2, on

if TYPE_CHECKING:
    from pilotwire.station.program import Station


def base_report(station: Station, request: Any) -> Reply:
    m = station.messages
    if request.report_base == "SummaryInventory":
        return Reply(m.GetBaseReportResponse(status="NotSupported"))
    configuration = request.report_base == "ConfigurationInventory"

    def then() -> None:
        rows = device_model.inventory(station, configuration=configuration)
        size = station.settings.number("report_items")
        parts: list[list[Any]] = []
        while part := [_report_row(m, row) for row in islice(rows, size)]:
            parts.append(part)
        generated = station.clock.wall()
        for number, part in enumerate(parts):
            station.conversation.call(
                "NotifyReport",
                m.NotifyReportRequest(
                    request_id=request.request_id,
                    generated_at=generated,
                    seq_no=number,
                    tbc=True if number + 1 < len(parts) else None,
                    report_data=part,
                ),
            )

    return Reply(m.GetBaseReportResponse(status="Accepted"), then)


def _report_row(m: Any, row: Attribute) -> Any:
    evse = None if row.evse is None else m.EVSEType(id=row.evse, connector_id=row.connector)
    limits: dict[str, Any] = {}
    if row.max_limit is not None:
        limits["max_limit"] = row.max_limit
    elif row.setting is not None and row.setting.kind == "integer" and row.setting.writable:
        limits = {"min_limit": _decimal(row.low), "max_limit": _decimal(row.high)}
    return m.ReportDataType(
        component=m.ComponentType(name=row.component, evse=evse),
        variable=m.VariableType(name=row.variable, instance=row.instance),
        variable_attribute=[
            m.VariableAttributeType(
                type="Actual",
                value=row.value,
                mutability=row.mutability,
                persistent=row.setting is not None and row.setting.writable,
            )
        ],
        variable_characteristics=m.VariableCharacteristicsType(
            data_type=row.data_type,
            supports_monitoring=False,
            unit=row.unit or None,
            values_list=",".join(row.members) or None,
            **limits,
        ),
    )


def _decimal(value: int | None) -> Decimal | None:
    return None if value is None else Decimal(value)


HANDLERS = on(V2, {"GetBaseReport": base_report})
