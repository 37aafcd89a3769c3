"""What state an EVSE is in, whether it may be used, and who is told (1.6 4.9, 5.2; 2.x G01 to G04)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pilotwire.protocols.ocpp.rpc.errors import RpcError

from .evse import Evse
from .host import OnAnswer
from .parts import Part
from .sessions import Session
from .states import IN_SESSION, Event, after

if TYPE_CHECKING:
    from .program import Station


Place = tuple[int, int]
"""What has an availability of its own: (0, 0) the station, (evse, 0) an EVSE, (evse, 1) its connector."""
STATION: Place = (0, 0)


class Availability(Part):
    """The states of one station's EVSEs.

    Station, EVSE and connector are each operative or not by themselves, and an EVSE can be used when all three are
    (G03 and G04, note 1). What the CSMS wants is stored at once; it takes effect when no session is in the way.
    """

    __slots__ = ("_out",)

    def __init__(self, station: Station) -> None:
        super().__init__(station)
        self._out: set[Place] = set()
        """What the CSMS has put out of service."""

    def restore(self, stored: Mapping[str, bytes]) -> None:
        places = [STATION, *((evse.id, connector) for evse in self._station.evses for connector in (0, 1))]
        self._out = {place for place in places if _key(place) in stored}
        for evse in self._station.evses:
            evse.available = self._wanted(evse)
            evse.locked_for = stored.get(f"locked.{evse.id}", b"").decode()
            if evse.cable_left:
                evse.phase = "Finishing"

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

    def left_behind(self, evse: Evse, session: Session, reason: str) -> bool:
        """Whether the cable of a session that is over stays locked although the car is gone (1.6 4.10
        UnlockConnectorOnEVSideDisconnect, 2.x UnlockOnEVSideDisconnect): until who began it is there again."""
        station = self._station
        unlocks = evse.config.fixed_cable or station.settings.flag("unlock_on_disconnect")
        if reason != "EVDisconnected" or unlocks:
            return False
        evse.locked_for = session.token.casefold()
        station.store({f"locked.{evse.id}": evse.locked_for.encode()})
        return True

    def unlock(self, evse: Evse) -> None:
        """A cable that was left behind is free."""
        if evse.locked_for:
            free = evse.cable_left
            evse.locked_for = ""
            self._station.store({f"locked.{evse.id}": None})
            if free:
                self.advance(evse, "unplug")

    def report_all(self, *, back: bool = False) -> None:
        """Tell the CSMS the status of every connector of which it does not know it. `back`: after an absence."""
        for evse in self._station.evses:
            self._report(evse, back=back)

    def report(self, evse: Evse) -> None:
        """Tell the CSMS the status of the connector, if it does not know it."""
        if len(self._station.reservations):
            # Whether an EVSE is reserved may depend on what the others do.
            self.report_all()
        else:
            self._report(evse)

    def _report(self, evse: Evse, *, back: bool = False) -> None:
        station = self._station
        status = station.dialect.status(evse)
        if station.online and evse.reported != status:
            evse.reported = status
            station.dialect.report_status(evse, status, back=back)

    def told(self, evse: Evse, status: str) -> OnAnswer:
        """The answer to a StatusNotification: without one the CSMS may not know, so it is told again."""

        def answered(response: Any, error: RpcError | None) -> None:
            if response is None and error is None and evse.reported == status:
                evse.reported = ""

        return answered

    def session_began(self, session: Session) -> None:
        evse = self._station.evses[session.evse - 1]
        self.unlock(evse)
        if evse.unlocked:
            self._station.dialect.lock_failed(evse)

    def _wanted(self, evse: Evse) -> bool:
        shut = evse.broken or self._station.maintenance.shuts
        return not shut and self._out.isdisjoint((STATION, (evse.id, 0), (evse.id, 1)))

    def _set(self, evse: Evse, available: bool) -> None:
        evse.available = available
        if not available and evse.pending is not None:
            self._station.entrance.give_up(evse)
            self.advance(evse, "deauthorize", quiet=True)
        if not available:
            self._station.reservations.evse_lost()
        self.report(evse)

    def change(self, places: Iterable[Place], available: bool) -> str:
        """Accepted, or Scheduled when a session has to end first. Survives a restart (G03.FR.08)."""
        changes: dict[str, bytes | None] = {}
        for place in places:
            if available:
                self._out.discard(place)
            else:
                self._out.add(place)
            changes[_key(place)] = None if available else b"1"
        self._station.store(changes)
        waits = any(evse.session is not None and self._due(evse) for evse in self._station.evses)
        return "Scheduled" if waits else "Accepted"

    def apply(self) -> None:
        """What `change` has accepted; after the answer."""
        for evse in self._station.evses:
            self.session_over(evse)
        self._station.dialect.report_station()

    def session_over(self, evse: Evse) -> None:
        """Nothing is in the way (any more) of what the CSMS wants for `evse`."""
        if evse.session is None and self._due(evse):
            self._set(evse, self._wanted(evse))

    def _due(self, evse: Evse) -> bool:
        return evse.available != self._wanted(evse)


def _key(place: Place) -> str:
    evse, connector = place
    return f"inoperative.{evse}.{connector}" if connector else f"inoperative.{evse}"
