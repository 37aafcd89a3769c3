"""N Diagnostics, the part about log files: GetDiagnostics and GetLog (1.6 section 5.9 and whitepaper; 2.x N01)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilotwire.protocols.ocpp.v16 import messages as v16
from pilotwire.station.host import Reply

from .handling import V2, V16, on

if TYPE_CHECKING:
    from pilotwire.station.program import Station


def get_diagnostics(station: Station, request: v16.GetDiagnosticsRequest) -> Reply:
    station.maintenance.upload_log(None, request.location, diagnostics=True)
    name = f"{station.config.identity}-diagnostics.log"
    return Reply(v16.GetDiagnosticsResponse(file_name=name), station.maintenance.begin_upload)


def get_log(station: Station, request: Any) -> Reply:
    replaced = station.maintenance.upload_log(
        request.request_id, request.log.remote_location, request.log_type, diagnostics=False
    )
    name = f"{station.config.identity}-{request.log_type}.log"
    status = "AcceptedCanceled" if replaced else "Accepted"
    return Reply(station.messages.GetLogResponse(status=status, filename=name), station.maintenance.begin_upload)


HANDLERS = {
    **on(V16, {"GetDiagnostics": get_diagnostics}),
    **on(V16 + V2, {"GetLog": get_log}),
}
