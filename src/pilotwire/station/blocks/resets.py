"""B Provisioning, the part about resets (1.6 section 5.14; 2.x B11 to B13); `maintenance` carries them out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilotwire.protocols.ocpp.v16 import messages as v16
from pilotwire.station.host import Reply

from .handling import V2, V16, evse_of, on, reason

if TYPE_CHECKING:
    from pilotwire.station.program import Station


_PROGRAM_ALONE = "NoError", "the charger behind this station cannot be restarted from afar: its gateway restarts"


def reset_16(station: Station, request: v16.ResetRequest) -> Reply:
    if request.type == "Hard" and not station.restarts:
        return Reply(v16.ResetResponse(status="Rejected"))  # 5.14: Hard restarts all hardware
    why = "HardReset" if request.type == "Hard" else "SoftReset"
    return Reply(v16.ResetResponse(status="Accepted"), lambda: station.maintenance.reset(why))


def reset(station: Station, request: Any) -> Reply:
    m = station.messages
    resumes = request.type == "ImmediateAndResume"
    if (request.evse_id is not None and evse_of(station, request.evse_id) is None) or (
        resumes and not station.settings.number("resumption_timeout")  # B13.FR.01
    ):
        return Reply(m.ResetResponse(status="Rejected"))
    if station.maintenance.installing:
        # B11.FR.06, .07, B12.FR.10: it ends with a restart of its own, and is not interrupted.
        if request.type == "OnIdle" and request.evse_id is None:
            return Reply(m.ResetResponse(status="Scheduled"), station.maintenance.reset_on_idle)
        return Reply(m.ResetResponse(status="Rejected"))
    if resumes and station.transactions.busy:
        return Reply(
            m.ResetResponse(status="Accepted"), lambda: station.maintenance.reset_and_resume(request.evse_id or None)
        )
    if request.evse_id:
        return _reset_evse(station, request.evse_id, request.type)
    if request.type == "OnIdle" and station.transactions.busy:
        return Reply(m.ResetResponse(status="Scheduled"), station.maintenance.reset_on_idle)
    info = None if station.restarts else reason(m, *_PROGRAM_ALONE)
    return Reply(m.ResetResponse(status="Accepted", status_info=info), lambda: station.maintenance.reset("HardReset"))


def _reset_evse(station: Station, evse_id: int, kind: str) -> Reply:
    m = station.messages
    evse = station.evses[evse_id - 1]
    if kind == "OnIdle" and evse.session is not None:
        # Resetting an idle EVSE is instant and changes nothing, so that the schedule is fulfilled by waiting.
        return Reply(m.ResetResponse(status="Scheduled"))
    return Reply(
        m.ResetResponse(status="Accepted"), lambda: station.transactions.stop_all("HardReset", "ResetCommand", evse_id)
    )


HANDLERS = {**on(V16, {"Reset": reset_16}), **on(V2, {"Reset": reset})}
