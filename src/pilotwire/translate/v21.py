"""OCPP 2.1 ⇄ the domain: the delta over 2.0.1."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from pilotwire.domain import inputs
from pilotwire.protocols.ocpp.v21 import messages as m

from . import blocks, certificates, charging, tariffs
from .table import Table
from .v201 import device_event, table_for


def _severity(event: Any) -> int | None:
    return event.severity


def _device_event(request: m.NotifyEventRequest) -> inputs.DeviceEvent:
    return device_event(request, _severity)


_BASE = table_for(m)

TABLE: Table = (
    _BASE
    | {"NotifyEvent": replace(_BASE["NotifyEvent"], read=_device_event)}
    | tariffs.rows_21(_BASE)
    | certificates.rows_21(m)
    | charging.rows_21(m)
    | blocks.rows_21(m)
)
