"""Vehicles that talk: what an `EvseLink` says becomes what the station does, and the other way round.

    plugged = station.links.plug(1)                       the plug is in
    runner = Runner(link, scheduler, send=..., event=plugged.event)
    plugged.attach(runner.command)                        what the station wants goes to the link
    station.links.unplug(1)

Whichever protocol it is: identity and authorisation, limits, needs and schedules, power and faults travel the same way.
What the station decides (profiles, costs, reservations, set-points) reaches the vehicle as `Offer`, `Schedule`, `Stop`.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pilotwire.core.errors import LocalError
from pilotwire.core.evse_link import (
    AuthorizationAsked,
    Authorize,
    Certificate,
    CertificateAsked,
    Connected,
    Ended,
    EvseCommand,
    Fault,
    Identified,
    Limits,
    Needs,
    Offer,
    Paused,
    ProfileChosen,
    Requested,
    Schedule,
    Stop,
)
from pilotwire.crypto import pem

from .linked_car import LinkedCar
from .outlet import Flow, Hardware, Outlet
from .parts import Part

if TYPE_CHECKING:
    from pilotwire.domain.schedules.model import Composite

    from .evse import Evse
    from .ports import Car
    from .program import Station
    from .sessions import Session


class Plugged:
    """One vehicle on its cable, with its link."""

    __slots__ = (
        "_links",
        "_offer",
        "_refreshing",
        "_say",
        "_stopped",
        "asked",
        "car",
        "evse",
        "fault",
        "outlet",
        "preparing",
    )

    def __init__(self, links: Links, evse: Evse, hardware: Hardware) -> None:
        self._links = links
        self._say: Callable[[EvseCommand], None] = lambda command: None
        self._offer: Offer | None = None
        self._refreshing = False
        self._stopped = False
        self.evse = evse
        self.preparing = False
        """A conversation has begun, and no energy has flowed in it yet."""
        self.asked: AuthorizationAsked | None = None
        """It waits to be let in."""
        self.fault: Fault | None = None
        """The last one that was told."""
        station = links.station
        self.outlet = Outlet(
            station.scheduler, self.tell, hardware, flow=self._flow,
            register=lambda: evse.meter.register_wh, meter_id=station.config.serial,
        )  # fmt: skip
        self.outlet.changed = self._changed
        self.car = LinkedCar(self.outlet, dc=evse.config.dc)

    def attach(self, command: Callable[[EvseCommand], None]) -> None:
        """`command` takes what is said to the vehicle from now on: a link is there, or another one."""
        self._say = command
        self._offer = None
        self.look()

    # ── from the vehicle ─────────────────────────────────────────────────────────────────────────────────────────

    def event(self, event: Any) -> None:
        """An event of the link."""
        self.outlet.event(event)
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event)
        self._links.station.touch(self.evse.id)

    def _connected(self, event: Connected) -> None:
        self.car.connected = event
        self._stopped = False
        self.preparing = event.protocol != "iec61851"
        self.look()

    def _identified(self, event: Identified) -> None:
        self.car.identity = event

    def _authorization(self, event: AuthorizationAsked) -> None:
        self.asked = event
        if event.by == "contract":
            self._present()
        elif self._links.autocharge and self.evse.session is None:
            self._links.show_name(self)

    def _present(self) -> None:
        identity = self.car.identity
        try:
            self._links.station.contracts.present(
                self.evse.id, identity.emaid, pem.text(list(identity.contract)), refused=self.refuse
            )
        except (LocalError, ValueError) as error:
            self.refuse(str(error))

    def refuse(self, reason: str) -> None:
        """It is not let in."""
        if self.asked is not None:
            self.asked = None
            self.tell(Authorize(accepted=False, reason=reason))

    def _certificate(self, event: CertificateAsked) -> None:
        def then(status: str, exi: str, more: int) -> None:
            self.tell(Certificate(exi=b64decode(exi) if status == "Accepted" else b"", more=more))

        try:
            self._links.station.contracts.install(
                b64encode(event.exi).decode(), event.schema, then, update=event.action == "update",
                most=event.most_contracts,
            )  # fmt: skip
        except LocalError:
            self.tell(Certificate())

    def _limits(self, event: Limits) -> None:
        first, gave = self.car.limits is None, self.car.can_give
        self.car.limits = event
        if first or self.car.can_give != gave:
            self._links.told(self)

    def _needs(self, event: Needs) -> None:
        before, self.car.needs = self.car.needs, event
        if _wish(event) != _wish(before):
            self._links.needs(self)

    def _requested(self, event: Requested) -> None:
        if event.phase == "charge" and not event.ma and not event.mw:
            self.preparing = False  # it could, and does not want to

    def _profile(self, event: ProfileChosen) -> None:
        self._links.station.smart_charging.planning.chosen(self.evse.id, event.points)

    def _faulted(self, event: Fault) -> None:
        self.fault = event
        if event.by == "evse" and event.code not in _NO_DEFECTS:
            self._links.station.break_down(self.evse.id, "OtherError")

    def _ended(self, event: Ended) -> None:
        self.asked = None
        self.preparing = False
        self._stopped = True
        station = self._links.station
        if event.by == "ev" and event.ok:
            station.end_by_car(self.evse.id)
        elif not event.ok:
            self._links.failed(self, event)

    def _paused(self, event: Paused) -> None:
        self.asked = None

    # ── to the vehicle ───────────────────────────────────────────────────────────────────────────────────────────

    def look(self) -> None:
        """What the station wants now, as far as the vehicle has to hear of it."""
        session = self.evse.session
        authorized = session is not None and session.authorized and not session.ending
        if authorized and self.asked is not None:
            self.asked = None
            self.tell(Authorize(accepted=True))
        if self._links.was_authorized(self) and not authorized:
            self.session_over()
        offer = self._offering(authorized)
        if offer != self._offer:
            self._offer = offer
            self._refreshing = True
            try:
                self.outlet.offering(offer)
            finally:
                self._refreshing = False

    def session_over(self) -> None:
        """The session was ended at the station, or by the central system: the vehicle is to end it too."""
        if not self._stopped and self.car.connected is not None:
            self._stopped = True
            self.tell(Stop("the session was ended at the station"))

    def _offering(self, authorized: bool) -> Offer:
        evse, config = self.evse, self.evse.config
        setpoint = self._links.station.v2x.setpoint(evse)
        gives = config.max_discharge_w * 1000
        if config.dc:
            most = evse.max_mw if not authorized else max(0, evse.offered_mw)
            ma = config.max_ma if not authorized else evse.offered_ma
            return Offer(
                max_mv=config.max_mv, min_mv=config.min_mv, max_ma=ma, max_mw=most, phases=1,
                max_discharge_ma=config.max_ma if gives else 0, max_discharge_mw=gives, setpoint_mw=setpoint,
            )  # fmt: skip
        ma = config.max_ma if not authorized else evse.offered_ma
        most = evse.max_mw if not authorized else evse.offered_mw
        return Offer(
            max_ma=ma, min_ma=6_000, max_mw=most, phases=config.phases,
            max_discharge_ma=config.max_ma if gives else 0, max_discharge_mw=gives, setpoint_mw=setpoint,
        )  # fmt: skip

    def _flow(self, mv: int, ma: int) -> Flow:
        """What the meter says of what the outlet is set to."""
        meter = self.evse.meter
        if self.evse.config.dc:
            current = meter.currents[0] if meter.currents else 0
            return Flow(mv, current, meter.power_mw)
        return Flow(mv, max(meter.currents, default=0), meter.power_mw)

    def _changed(self) -> None:
        if not self._refreshing:
            self._links.station.touch(self.evse.id)

    def measured(self) -> None:
        """The meter has moved."""
        self.outlet.report()

    def tell(self, command: EvseCommand) -> None:
        """Say something to the vehicle."""
        self._say(command)

    def cut(self) -> None:
        """The power is gone."""
        self.asked = None
        self._stopped = True
        self.tell(Stop("the station lost its power", emergency=True))

    def stop(self) -> None:
        """The plug is out."""
        self.outlet.stop()


_NO_DEFECTS = frozenset({
    "AuthorizationTimeout", "CertificateNotTaken", "EVCommunicationError", "NotAuthorized", "NothingInCommon",
})  # fmt: skip
"""Faults on our side after which the outlet is as good as before, for the next vehicle."""

_HANDLERS: dict[type, Callable[[Plugged, Any], None]] = {
    Connected: Plugged._connected,
    Identified: Plugged._identified,
    AuthorizationAsked: Plugged._authorization,
    CertificateAsked: Plugged._certificate,
    Limits: Plugged._limits,
    Needs: Plugged._needs,
    ProfileChosen: Plugged._profile,
    Requested: Plugged._requested,
    Fault: Plugged._faulted,
    Ended: Plugged._ended,
    Paused: Plugged._paused,
}


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


def _wish(needs: Needs) -> tuple[bool, bool]:
    return needs.energy_wh is not None, needs.departure_ms is not None
