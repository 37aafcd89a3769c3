"""N Diagnostics, the part about log files: GetDiagnostics and GetLog (1.6 section 5.9 and whitepaper; 2.x N01)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilotwire.protocols.ocpp.v16 import messages as v16
from pilotwire.station.host import Reply

from .handling import V2, V16, on, reason

if TYPE_CHECKING:
    from pilotwire.station.program import Station

_LOGS = ("DiagnosticsLog", "SecurityLog")
"""LogEnumTypes that there are; no data is collected (2.1 DataCollectorLog)."""


def get_diagnostics(station: Station, request: v16.GetDiagnosticsRequest) -> Reply:
    station.maintenance.upload_log(None, request.location, diagnostics=True)
    name = f"{station.config.identity}-diagnostics.log"
    return Reply(v16.GetDiagnosticsResponse(file_name=name), station.maintenance.begin_upload)


def get_log(station: Station, request: Any) -> Reply:
    m = station.messages
    since = request.log.oldest_timestamp
    if request.log_type not in _LOGS or (since is not None and since > station.clock.wall()):
        # N01.FR.05: there is no such log, or nothing in it yet of that time. 1.6 knows no reason.
        why = {} if station.config.version == "1.6" else {"status_info": reason(m, "NotFound", "there is no such log")}
        return Reply(m.GetLogResponse(status="Rejected", **why))
    replaced = station.maintenance.upload_log(
        request.request_id, request.log.remote_location, request.log_type, diagnostics=False
    )
    name = f"{station.config.identity}-{request.log_type}.log"
    status = "AcceptedCanceled" if replaced else "Accepted"
    return Reply(m.GetLogResponse(status=status, filename=name), station.maintenance.begin_upload)


HANDLERS = {
    **on(V16, {"GetDiagnostics": get_diagnostics}),
    **on(V16 + V2, {"GetLog": get_log}),
}
