"""Vehicles that talk: what an `EvseLink` says becomes what the station does, and the other way round.

    plugged = station.links.plug(1)                       the plug is in
    runner = Runner(link, scheduler, send=..., event=plugged.event)
    plugged.attach(runner.command)                        what the station wants goes to the link
    station.links.unplug(1)

Whichever protocol it is: identity and authorisation, limits, needs and schedules, power and faults travel the same way.
What the station decides (profiles, costs, reservations, set-points) reaches the vehicle as `Offer`, `Schedule`, `Stop`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pilotwire.core.errors import LocalError
from pilotwire.core.evse_link import Ended, Schedule

from .linked_car import LinkedCar
from .outlet import Hardware
from .parts import Part
from .plugged import Plugged

if TYPE_CHECKING:
    from pilotwire.domain.schedules.model import Composite

    from .evse import Evse
    from .ports import Car
    from .program import Station
    from .sessions import Session


class Links(Part):
    """Which EVSE has a vehicle that talks."""

    __slots__ = ("_authorized", "_plugged", "_told")

    def __init__(self, station: Station) -> None:
        super().__init__(station)
        self._plugged: dict[int, Plugged] = {}
        self._authorized: set[int] = set()
        self._told: set[str] = set()
        """Sessions whose vehicle's needs the CSMS has heard."""

    @property
    def station(self) -> Station:
        return self._station

    @property
    def autocharge(self) -> bool:
        """Vehicles are let in by their names."""
        return self._station.config.autocharge

    # ── plugs ────────────────────────────────────────────────────────────────────────────────────────────────────

    def plug(self, evse_id: int, hardware: Hardware | None = None, *, physical: Car | None = None) -> Plugged:
        """A car with a link is plugged in. The link's events go to `Plugged.event`; `Plugged.attach` takes the link.

        `physical`: the car itself, where it is known. Raises LocalError when a car is there already.
        """
        evse = self._station.evse(evse_id)
        if evse.car is not None:
            raise LocalError(f"EVSE {evse_id} of {self._station.config.identity} is taken")
        built = Hardware(dc=evse.config.dc, contactless=evse.config.contactless)
        plugged = Plugged(self, evse, hardware or built)
        plugged.car.physical = physical
        self._plugged[evse_id] = plugged
        self._station.plug(evse_id, plugged.car)
        return plugged

    def unplug(self, evse_id: int) -> None:
        """The cable is pulled and the car gone. Nothing happens where none was."""
        plugged = self._plugged.pop(evse_id, None)
        if plugged is None:
            return
        self._authorized.discard(evse_id)
        plugged.stop()
        if self._station.evse(evse_id).car is plugged.car:
            self._station.leave(evse_id)

    def plugged(self, evse_id: int) -> Plugged | None:
        """The vehicle there that talks."""
        return self._plugged.get(evse_id)

    def car(self, evse: Evse) -> LinkedCar | None:
        plugged = self._plugged.get(evse.id)
        return plugged.car if plugged is not None and evse.car is plugged.car else None

    def name(self, evse: Evse) -> tuple[str, str]:
        """What the vehicle there calls itself, and which kind of name that is; empty: it does not say."""
        car = self.car(evse)
        if car is None:
            evccid = self._station.v2x.evccid(evse)
            return evccid, "EVCCID" if evccid else ""
        identity = car.identity
        if car.evccid:
            return car.evccid, "EVCCID"
        if identity.vin:
            return identity.vin, "VIN"
        return (identity.mac.replace(":", ""), "MacAddress") if identity.mac else ("", "")

    def preparing(self, evse: Evse) -> bool:
        """The two talk (cable check, precharge, ...) and no energy has flowed yet: it is no pause."""
        plugged = self._plugged.get(evse.id)
        return plugged is not None and plugged.preparing

    def soc_known(self, evse: Evse) -> bool:
        """The state of charge of the car there is known: it has told it, or the station reads it (DC)."""
        car = self.car(evse)
        if car is not None:
            return car.soc_known
        return evse.config.dc or self._station.config.soc_over_ac

    # ── what the station tells ───────────────────────────────────────────────────────────────────────────────────

    def stop(self) -> None:
        """Power-off: what talks falls silent, and nothing flows."""
        for plugged in self._plugged.values():
            plugged.cut()
        self._authorized.clear()
        self._told.clear()

    def session_began(self, session: Session) -> None:
        plugged = self._plugged.get(session.evse)
        if plugged is not None:
            self.needs(plugged)

    def session_ended(self, session: Session) -> None:
        self._told.discard(session.key)
        plugged = self._plugged.get(session.evse)
        if plugged is not None:
            plugged.session_over()

    def look(self, evse: Evse) -> None:
        """Limits, session or meter are others by now: the vehicle hears of it."""
        plugged = self._plugged.get(evse.id)
        if plugged is None:
            return
        if evse.meter.power_mw:
            plugged.preparing = False
        plugged.look()
        session = evse.session
        if session is not None and session.authorized and not session.ending:
            self._authorized.add(evse.id)
        else:
            self._authorized.discard(evse.id)
        plugged.measured()

    def was_authorized(self, plugged: Plugged) -> bool:
        return plugged.evse.id in self._authorized

    def offered(self, evse_id: int, offers: Sequence[Composite]) -> None:
        """What the CSMS offers to a vehicle that plans."""
        plugged = self._plugged.get(evse_id)
        if plugged is None:
            return
        most = plugged.evse.max_mw
        for number, offer in enumerate(offers, 1):
            points = tuple(
                (each.start_ms // 1000, most if each.limit is None else min(most, each.limit))
                for each in offer.intervals
            )
            plugged.tell(Schedule(points=points, duration_s=offer.duration_ms // 1000, id=number))

    # ── what vehicles tell ───────────────────────────────────────────────────────────────────────────────────────

    def show_name(self, plugged: Plugged) -> None:
        """Autocharge: the vehicle's name is its card."""
        name, kind = self.name(plugged.evse)
        mac = plugged.car.identity.mac.replace(":", "")
        if mac:
            self._station.tap(plugged.evse.id, mac, "MacAddress")
        elif name and self._station.config.version == "2.1":  # earlier versions have no such types of tokens
            self._station.tap(plugged.evse.id, name, kind)

    def told(self, plugged: Plugged) -> None:
        """A vehicle has said what it can take and give: one of ISO 15118-20 may do so both ways (Q01)."""
        session = plugged.evse.session
        if session is not None and session.begun:
            self._station.v2x.session_began(session)
        self.needs(plugged)

    def needs(self, plugged: Plugged) -> None:
        """What it needs reaches the CSMS once in a session (K15), as soon as both are known."""
        station, session, car = self._station, plugged.evse.session, plugged.car
        wish = car.needs
        if (
            session is None
            or not session.authorized
            or session.key in self._told
            or not car.told
            or wish.energy_wh is None
            or station.config.version == "1.6"
            or not station.settings.flag("iso15118_enabled")
            or (station.v2x.enabled and station.v2x.speaks(plugged.evse))  # told there, with more
        ):
            return
        self._told.add(session.key)
        departure = None if wish.departure_ms is None else station.clock.now() + wish.departure_ms
        station.smart_charging.planning.needs(
            plugged.evse.id, energy_wh=wish.energy_wh, departure=departure, tuples=wish.tuples
        )

    def failed(self, plugged: Plugged, event: Ended) -> None:
        """The conversation broke off: nothing flows any more, and the session is over."""
        evse = plugged.evse
        if evse.session is not None and evse.session.authorized and not evse.session.ending:
            self._station.transactions.release(evse, "Other", "EVCommunicationLost")
            self._station.finish()
