"""What state an EVSE is in, whether it may be used, and who is told (1.6 4.9, 5.2; 2.x G01 to G04)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pilotwire.protocols.ocpp.rpc.errors import RpcError

from .evse import Evse
from .host import OnAnswer
from .states import IN_SESSION, Event, after

if TYPE_CHECKING:
    from .program import Station


class Availability:
    """The states of one station's EVSEs."""

    __slots__ = ("_station",)

    def __init__(self, station: Station) -> None:
        self._station = station

    def advance(self, evse: Evse, event: Event, *, quiet: bool = False) -> None:
        """`event` has happened at `evse`; the CSMS hears of a new phase, unless `quiet`."""
        phase = after(evse.phase, event)
        if phase == evse.phase:
            return
        evse.phase = phase
        if quiet:
            return
        if evse.session is not None and phase in IN_SESSION:
            self._station.dialect.state_changed(evse, evse.session)
        self.report(evse)

    def report(self, evse: Evse) -> None:
        """Tell the CSMS the status of the connector, if it does not know it."""
        station = self._station
        status = station.dialect.status(evse)
        if station.online and evse.reported != status:
            evse.reported = status
            station.dialect.report_status(evse, status)

    def told(self, evse: Evse, status: str) -> OnAnswer:
        """The answer to a StatusNotification: without one the CSMS may not know, so it is told again."""

        def answered(response: Any, error: RpcError | None) -> None:
            if response is None and error is None and evse.reported == status:
                evse.reported = ""

        return answered

    def set(self, evse: Evse, available: bool) -> None:
        """Operative or not; survives a restart (G03.FR.08)."""
        evse.scheduled = None
        evse.available = available
        self._station.store({f"inoperative.{evse.id}": None if available else b"1"})
        if not available and evse.pending is not None:
            evse.pending = None
            self.advance(evse, "deauthorize", quiet=True)
        self.report(evse)

    def change(self, evses: Sequence[Evse], available: bool) -> str:
        """Accepted, or Scheduled when a session has to end first."""
        scheduled = False
        for evse in evses:
            if evse.available == available:
                evse.scheduled = None
            elif evse.session is not None:
                evse.scheduled = available
                scheduled = True
        return "Scheduled" if scheduled else "Accepted"

    def apply(self, evses: Sequence[Evse], available: bool) -> None:
        """What `change` has accepted; after the answer."""
        for evse in evses:
            if evse.session is None and evse.available != available:
                self.set(evse, available)
        self._station.dialect.report_station()
