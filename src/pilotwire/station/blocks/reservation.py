"""H Reservation: ReserveNow and CancelReservation (1.6 section 5.1, 5.13; 2.x H01, H02)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilotwire.core.time import from_datetime
from pilotwire.protocols.ocpp.v16 import messages as v16
from pilotwire.station.host import Reply
from pilotwire.station.reservations import Reservation

from .handling import V2, V16, on, reason

if TYPE_CHECKING:
    from pilotwire.station.program import Station


def reserve_16(station: Station, request: v16.ReserveNowRequest) -> Reply:
    status = "Rejected"
    if 0 <= request.connector_id <= len(station.evses):
        status = station.reservations.take(
            Reservation(
                id=request.reservation_id,
                expires_at=int(from_datetime(request.expiry_date)),
                token=request.id_tag,
                group=request.parent_id_tag or "",
                evse=request.connector_id,
            )
        )
    return Reply(v16.ReserveNowResponse(status=status), station.availability.report_all)  # type: ignore[arg-type]


def reserve(station: Station, request: Any) -> Reply:
    m = station.messages
    group = request.group_id_token
    if request.evse_id is not None and not 1 <= request.evse_id <= len(station.evses):
        return Reply(
            m.ReserveNowResponse(status="Rejected", status_info=reason(m, "UnknownEvse", f"no EVSE {request.evse_id}"))
        )
    wanted = Reservation(
        id=request.id,
        expires_at=int(from_datetime(request.expiry_date_time)),
        token=request.id_token.id_token,
        group=group.id_token if group is not None else "",
        evse=request.evse_id or 0,
        connector_type=request.connector_type or "",
    )
    status = station.reservations.take(wanted)
    why = reason(m, *_why(station, wanted)) if status == "Rejected" else None
    return Reply(m.ReserveNowResponse(status=status, status_info=why), station.availability.report_all)


def _why(station: Station, wanted: Reservation) -> tuple[str, str]:
    if not station.settings.flag("reservation_enabled"):
        return "NotEnabled", "reservations are switched off"
    if wanted.expires_at <= station.clock.now():
        return "InvalidValue", "the expiry has passed"
    if not wanted.evse and not station.settings.flag("reserve_any"):
        return "UnsupportedRequest", "only a certain EVSE can be reserved"
    return "UnknownConnectorType", "no EVSE has such a connector"


def cancel(station: Station, request: Any) -> Reply:
    cancelled = station.reservations.cancel(request.reservation_id)
    return Reply(
        station.messages.CancelReservationResponse(status="Accepted" if cancelled else "Rejected"),
        station.availability.report_all if cancelled else None,
    )


HANDLERS = {
    **on(V16, {"CancelReservation": cancel, "ReserveNow": reserve_16}),
    **on(V2, {"CancelReservation": cancel, "ReserveNow": reserve}),
}
