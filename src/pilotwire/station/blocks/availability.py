"""G Availability: ChangeAvailability (1.6 section 5.2; 2.x G03, G04)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pilotwire.protocols.ocpp.v16 import messages as v16
from pilotwire.station.evse import Evse
from pilotwire.station.host import Reply

from .handling import V2, V16, evses_of, on

if TYPE_CHECKING:
    from pilotwire.station.program import Station


def change_availability_16(station: Station, request: v16.ChangeAvailabilityRequest) -> Reply:
    return _change(station, evses_of(station, request.connector_id), request.type == "Operative")


def change_availability(station: Station, request: Any) -> Reply:
    evse = request.evse
    if evse is None:
        evses = station.evses
    elif evse.id:
        evses = evses_of(station, evse.id, evse.connector_id)
    else:
        evses = None
    return _change(station, evses, request.operational_status == "Operative")


def _change(station: Station, evses: Sequence[Evse] | None, available: bool) -> Reply:
    response = station.messages.ChangeAvailabilityResponse
    if evses is None:
        return Reply(response(status="Rejected"))
    status = station.availability.change(evses, available)
    return Reply(response(status=status), lambda: station.availability.apply(evses, available))


HANDLERS = {
    **on(V16, {"ChangeAvailability": change_availability_16}),
    **on(V2, {"ChangeAvailability": change_availability}),
}
