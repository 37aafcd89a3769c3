"""Where a transaction begins and where it ends (2.x E01, E06: TxStartPoint, TxStopPoint). 1.6 has one way only."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .evse import Evse
    from .program import Station

BAY, CONNECTED, AUTHORIZED = "ParkingBayOccupancy", "EVConnected", "Authorized"
SIGNED, CLOSED, FLOWING = "DataSigned", "PowerPathClosed", "EnergyTransfer"
POINTS = (BAY, CONNECTED, AUTHORIZED, SIGNED, CLOSED, FLOWING)
"""TxStartStopPoint values, in the order in which they usually come true."""

_16 = (CLOSED,)


class Points:
    """The points as they are set, and whether they hold at an EVSE."""

    __slots__ = ("_station",)

    def __init__(self, station: Station) -> None:
        self._station = station

    @property
    def start(self) -> tuple[str, ...]:
        """With the first of these that comes true a transaction begins."""
        return _16 if self._station.config.version == "1.6" else self._station.settings.members("start_point")

    @property
    def stop(self) -> tuple[str, ...]:
        """With the first of these that is true no more it ends."""
        return _16 if self._station.config.version == "1.6" else self._station.settings.members("stop_point")

    def reached(self, evse: Evse, *, authorized: bool) -> bool:
        """Whether a transaction begins at `evse` as things are. Whether energy flows is for `Energy` to see."""
        connected = evse.car is not None
        holds = {
            BAY: evse.bay,
            CONNECTED: connected,
            AUTHORIZED: authorized,
            SIGNED: connected and authorized and self._station.signing.able(evse),
            CLOSED: connected and authorized,
        }
        return any(holds.get(point, False) for point in self.start)

    def trigger(self, evse: Evse, trigger: str) -> str:
        """What a transaction begins with: `trigger`, unless it had to wait for the meter to sign."""
        others = {BAY: evse.bay, CONNECTED: True, AUTHORIZED: True, CLOSED: True}
        if SIGNED in self.start and not any(others.get(point, False) for point in self.start):
            return "SignedDataReceived"
        return trigger

    def over_without_authorization(self, evse: Evse) -> bool:
        """Whether a transaction at `evse` ends with its authorization. One that nothing else could end does too."""
        stop = self.stop
        if AUTHORIZED in stop or CLOSED in stop or FLOWING in stop:
            return True
        return evse.car is None and not (BAY in stop and evse.bay)

    def over_without_cable(self, *, authorized: bool) -> bool:
        """Whether a transaction ends when car and EVSE are parted."""
        return CONNECTED in self.stop or (authorized and CLOSED in self.stop)
