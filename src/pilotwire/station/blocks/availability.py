"""G Availability: ChangeAvailability (1.6 section 5.2; 2.x G03, G04)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pilotwire.protocols.ocpp.v16 import messages as v16
from pilotwire.station.availability import STATION, Place
from pilotwire.station.host import Reply

from .handling import V2, V16, evse_of, on

if TYPE_CHECKING:
    from pilotwire.station.program import Station


def change_availability_16(station: Station, request: v16.ChangeAvailabilityRequest) -> Reply:
    places: list[Place] = []
    if request.connector_id == 0:
        # 5.2: connector 0 is the Charge Point and all of its connectors.
        places = [(evse.id, 0) for evse in station.evses]
    elif evse_of(station, request.connector_id) is not None:
        places = [(request.connector_id, 0)]
    return _change(station, places, request.type == "Operative")


def change_availability(station: Station, request: Any) -> Reply:
    wanted = request.evse
    places: list[Place] = []
    if wanted is None:
        places = [STATION]
    elif evse_of(station, wanted.id) is not None and wanted.connector_id in (None, 1):
        places = [(wanted.id, wanted.connector_id or 0)]
    return _change(station, places, request.operational_status == "Operative")


def _change(station: Station, places: Sequence[Place], available: bool) -> Reply:
    response = station.messages.ChangeAvailabilityResponse
    if not places:
        return Reply(response(status="Rejected"))
    return Reply(response(status=station.availability.change(places, available)), station.availability.apply)


HANDLERS = {
    **on(V16, {"ChangeAvailability": change_availability_16}),
    **on(V2, {"ChangeAvailability": change_availability}),
}
