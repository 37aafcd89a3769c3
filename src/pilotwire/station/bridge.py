"""A station that stands for a real charger: what the charger does becomes what the station does.

    station = Station(config, scheduler, dialer, ids, random, storage, outlets=gateway)
    gateway.attach(Bridge(station))

The charger measures and switches by itself, and goes on when this program does not: sessions that storage holds are
kept at power-on until the gateway has looked what became of them. `pilotwire.site.gateway` knows this by structure.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .evse import PendingStart
from .sessions import RFID

if TYPE_CHECKING:
    from .ports import Car
    from .program import Station


class Bridge:
    """One station, as the gateway to its charger sees it. EVSEs are counted from 1."""

    def __init__(self, station: Station) -> None:
        self._station = station

    @property
    def online(self) -> bool:
        """Connected and accepted by the CSMS."""
        return self._station.online

    @property
    def powered(self) -> bool:
        return self._station.powered

    def session(self, evse: int) -> str | None:
        """The key of the session that runs there."""
        session = self._station.evse(evse).session
        return None if session is None else session.key

    def token(self, evse: int) -> str:
        """By which the session was begun."""
        session = self._station.evse(evse).session
        return "" if session is None else session.token

    def expected(self, evse: int) -> bool:
        """Somebody is let in and the cable awaited, or a session runs that somebody was let in for."""
        found = self._station.evse(evse)
        return found.pending is not None or (found.session is not None and found.session.authorized)

    def plugged(self, evse: int) -> bool:
        """As far as the station knows, a car is there."""
        return self._station.evse(evse).car is not None

    def offered(self, evse: int) -> int:
        """What the car may draw now by session, profiles and costs: mA per phase, or mW on DC; 0: nothing."""
        found = self._station.evse(evse)
        session = found.session
        if not self._station.powered or session is None or session.ending or not session.authorized:
            return 0
        return found.offered_mw if found.config.dc else found.offered_ma

    def plug(self, evse: int, car: Car) -> None:
        """A car is there. Raises LocalError when one is there already."""
        self._station.plug(evse, car)

    def unplug(self, evse: int) -> None:
        """It is gone; its session is over."""
        self._station.leave(evse)

    def tap(self, evse: int, token: str) -> None:
        """A card is shown: the CSMS is asked. Raises LocalError for one that the version cannot carry."""
        self._station.tap(evse, token)

    def begin(self, evse: int, token: str, token_type: str = "") -> bool:
        """A session begins that need not be asked for: the charger has let the car in, or lets in everybody.

        It begins whether or not the CSMS can be reached, which then says what it thinks of it. False: one runs, or
        the EVSE is out of order.
        """
        station = self._station
        found = station.evse(evse)
        busy = found.session is not None and found.session.authorized
        if busy or not found.available or found.fault or not station.powered or found.car is None:
            return False
        now = int(station.scheduler.now())
        pending = PendingStart(token, token_type or RFID, "", "", None, now)
        if found.session is not None:
            station.transactions.authorize(found, found.session, pending, "Authorized")
        else:
            station.transactions.start(found, pending, "Authorized")
        found.pending = None
        station.finish()
        return True

    def end(self, evse: int, reason: str, trigger: str) -> None:
        """The charger has ended the session; the car may still be there."""
        self._station.transactions.release(self._station.evse(evse), reason, trigger)
        self._station.finish()

    @contextmanager
    def looking_back(self, at_ms: int) -> Generator[None]:
        """What is told meanwhile happened at `at_ms` (true time)."""
        clock = self._station.clock
        clock.looking_back = at_ms
        try:
            yield
        finally:
            clock.looking_back = None

    def fault(self, evse: int, error: str, code: str, text: str) -> None:
        """The charger reports a fault, or cannot be reached; the session, if there is one, is not ended by that.

        `error`: 1.6 ChargePointErrorCode; `code`: of an industry's list; `text`: the charger's own words.
        """
        station = self._station
        found = station.evse(evse)
        if (found.fault, found.fault_code, found.fault_text) == (error, code, text):
            return
        found.fault, found.fault_code, found.fault_text = error, code, text
        if station.powered:
            station.reservations.evse_lost()
            found.reported = ""
            station.availability.report_all()
            if station.online:
                station.dialect.fault_told(found, gone=False)
            station.finish()

    def repair(self, evse: int) -> None:
        """It is over."""
        station = self._station
        found = station.evse(evse)
        if not found.fault:
            return
        if station.powered and station.online:
            station.dialect.fault_told(found, gone=True)
        found.fault_code = found.fault_text = ""
        station.repair(evse)

    def out_of_service(self, evse: int, out: bool) -> None:
        """The charger cannot be used, or can again; what the CSMS has put out of service stays so."""
        station = self._station
        found = station.evse(evse)
        found.broken = out
        station.availability.session_over(found)
        station.finish()

    def touch(self, evse: int) -> None:
        """Something has changed: look again."""
        self._station.touch(evse)

    def store(self, key: str, value: bytes) -> None:
        """Remember it with the station's memory, in one write with what it stores itself."""
        self._station.store({key: value})
        self._station.commit()
