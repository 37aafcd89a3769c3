"""One vehicle on its cable, with its link: what its events mean to the station, what the station wants of it."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
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
    Stop,
)
from pilotwire.crypto import pem

from .linked_car import LinkedCar
from .outlet import Flow, Hardware, Outlet

if TYPE_CHECKING:
    from .evse import Evse
    from .links import Links


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


def _wish(needs: Needs) -> tuple[bool, bool]:
    return needs.energy_wh is not None, needs.departure_ms is not None
