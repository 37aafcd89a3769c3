"""Who is let in: cards, cables and the CSMS's requests to start, up to the moment when a session begins."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pilotwire.protocols.ocpp.rpc.errors import RpcError

from .authorization import ACCEPTED, Grant
from .evse import Evse, PendingStart
from .sessions import NO_AUTHORIZATION, Session

if TYPE_CHECKING:
    from .program import Station

OnGrant = Callable[[Grant], None]
OnSession = Callable[[Session], None]


class Entrance:
    """The way in to one station's sessions."""

    __slots__ = ("_station", "_waiting")

    def __init__(self, station: Station) -> None:
        self._station = station
        self._waiting: dict[int, OnSession] = {}
        """By EVSE: who wants to know the session that a remote start leads to."""

    def forget(self, evse: Evse | None = None) -> None:
        """Nothing comes of the remote start (on that EVSE, or on any)."""
        if evse is None:
            self._waiting.clear()
        else:
            self._waiting.pop(evse.id, None)

    def began(self, session: Session) -> None:
        """The session is there."""
        then = self._waiting.pop(session.evse, None)
        if then is not None:
            then(session)

    def authorize(self, token: str, token_type: str, then: OnGrant) -> None:
        """Find out whether `token` may charge: locally, from the CSMS, or by the rules for being offline."""
        station = self._station
        now = station.clock.now()
        known = station.authorizer.locally(token, now)
        if known is not None and known.status == ACCEPTED and station.settings.flag("local_preauthorize"):
            then(known)
            return
        if not station.online:
            then(station.authorizer.offline(token, now))
            return

        def answered(response: Any, error: RpcError | None) -> None:
            if response is not None:
                grant = station.dialect.authorize_grant(response)
                station.authorizer.learn(token, grant)
                station.v2x.granted(token, getattr(response, "allowed_energy_transfer", None))
                if grant.status == ACCEPTED and not station.tariffs.named(token, getattr(response, "tariff", None)):
                    grant = Grant("Invalid")  # I08: its tariff cannot be followed
            elif error is not None:
                grant = Grant("Invalid")
            else:
                grant = station.authorizer.offline(token, station.clock.now())
            if station.powered:
                then(grant)

        station.conversation.call("Authorize", station.dialect.authorize_request(token, token_type), answered)

    def let_in(
        self, evse: Evse, token: str, token_type: str, grant: Grant, trigger: str, remote_start_id: int | None
    ) -> None:
        """`token` may charge, if `grant` says so: start now, or wait for the cable."""
        station = self._station
        if (
            grant.status != ACCEPTED
            or not (station.conversation.accepted or station.settings.flag("before_accepted"))  # B02.FR.03, B03.FR.01
            or evse.session is not None
            or evse.fault
            or not evse.available
            or not station.reservations.admits(evse, token, grant.group)
        ):
            self.forget(evse)
            return
        deadline = int(station.scheduler.now()) + station.settings.number("connection_timeout") * 1000
        pending = PendingStart(token, token_type, grant.group, trigger, remote_start_id, deadline)
        station.reservations.presented(evse, pending)
        if evse.car is not None:
            station.transactions.start(evse, pending, trigger or "Authorized")
        else:
            evse.pending = pending
            station.availability.advance(evse, "authorize")
            station.energy.rearm(evse)
        if pending.reservation is not None:
            station.availability.report_all()

    def give_up(self, evse: Evse) -> None:
        """Nobody plugs in at `evse` any more, although somebody was let in."""
        pending, evse.pending = evse.pending, None
        self.forget(evse)
        if pending is not None:
            self._station.reservations.unused(pending)
            self._station.payment.unused(pending.token)

    def stop_by_group(self, evse: Evse, session: Session, token: str, grant: Grant) -> None:
        """Another card of the session's group may end it."""
        station = self._station
        if grant.status == ACCEPTED and grant.group and grant.group == session.group and evse.session is session:
            station.transactions.end(evse, "Local", "StopAuthorized", token=token)

    def autostart(self, evse: Evse) -> None:
        """The cable alone starts a session, where the station is set up so."""
        station = self._station
        token = station.config.autostart_token
        if station.swap.active:
            token, token_type = station.swap.token()
            if evse.available and not evse.fault and evse.session is None:
                self.let_in(evse, token, token_type, Grant(ACCEPTED), "CablePluggedIn", None)
            return
        if (
            token is None
            or evse.fault
            or not evse.available
            or evse.session is not None
            or station.payment.locked(evse)
        ):
            return
        if station.config.version == "1.6":
            self.authorize(token, "Central", lambda grant: self.let_in(evse, token, "Central", grant, "", None))
        else:
            self.let_in(evse, "", NO_AUTHORIZATION, Grant(ACCEPTED), "CablePluggedIn", None)

    def remote_start(
        self,
        evse_id: int | None,
        token: str,
        token_type: str,
        remote_start_id: int | None,
        then: OnSession | None,
        group: str = "",
    ) -> tuple[bool, Callable[[], None]]:
        """RemoteStartTransaction / RequestStartTransaction: (accepted, what to do after the answer).

        `then` is called with the session as soon as its start is told, before any energy flows. `group` is the one
        that the request names (2.x groupIdToken); it counts for reservations.
        """
        station = self._station
        evse = self._evse_for_remote(evse_id, token, group)
        if evse is None or not (station.carries(token) or token_type == NO_AUTHORIZATION):
            return False, lambda: None

        def go() -> None:
            station.payment.unlock(evse.id)
            if then is not None:
                self._waiting[evse.id] = then
            if station.settings.flag("authorize_remote"):
                self.authorize(
                    token,
                    token_type,
                    lambda grant: self.let_in(evse, token, token_type, grant, "RemoteStart", remote_start_id),
                )
            else:
                self.let_in(evse, token, token_type, Grant(ACCEPTED, group), "RemoteStart", remote_start_id)

        return True, go

    def _evse_for_remote(self, evse_id: int | None, token: str, group: str) -> Evse | None:
        station = self._station

        def free(evse: Evse) -> bool:
            idle = evse.session is None and evse.pending is None and not evse.fault and evse.available
            return idle and station.reservations.admits(evse, token, group)  # F01.FR.21, .22

        if evse_id is None:
            reserved = station.reservations.preferred(token, group)
            if reserved is not None and free(reserved):
                return reserved

        if evse_id is not None:
            evse = station.evses[evse_id - 1] if 1 <= evse_id <= len(station.evses) else None
            return evse if evse is not None and free(evse) else None
        candidates = [evse for evse in station.evses if free(evse)]
        plugged = [evse for evse in candidates if evse.car is not None]
        return next(iter(plugged or candidates), None)
