"""Who is let in: cards, cables and the CSMS's requests to start, up to the moment when a session begins."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pilotwire.protocols.ocpp.rpc.errors import RpcError

from .authorization import ACCEPTED, UNCACHED, Grant
from .evse import Evse, PendingStart
from .points import AUTHORIZED
from .sessions import NO_AUTHORIZATION, Session

if TYPE_CHECKING:
    from .program import Station

KEY_CODE = "KeyCode"
_GUESSES = 3
_FIRST_WAIT_MS, _LONGEST_WAIT_MS = 10_000, 3_600_000

OnGrant = Callable[[Grant], None]
OnSession = Callable[[Session], None]


class Entrance:
    """The way in to one station's sessions."""

    __slots__ = ("_guesses", "_station", "_waiting", "_wary_until")

    def __init__(self, station: Station) -> None:
        self._station = station
        self._waiting: dict[int, OnSession] = {}
        """By EVSE: who wants to know the session that a remote start leads to."""
        self._guesses = 0
        """Wrong key codes one after the other."""
        self._wary_until = 0
        """True time (ms) up to which no key code is taken."""

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
        known = station.authorizer.locally(token, token_type, now)
        first = station.settings.flag("local_preauthorize") and not station.tariffs.asks(token)
        if known is not None and known.status == ACCEPTED and first:
            station.tariffs.remembered(token)
            then(known)
            return
        if not station.online:
            station.tariffs.remembered(token)
            then(station.authorizer.offline(token, token_type, now))
            return

        def answered(response: Any, error: RpcError | None) -> None:
            if response is not None:
                grant = station.dialect.authorize_grant(response)
                self.learned(token, token_type, grant)
                station.v2x.granted(token, getattr(response, "allowed_energy_transfer", None))
                if grant.status == ACCEPTED and station.config.version != "1.6":
                    station.tariffs.personal(token, response.id_token_info.personal_message)
                if grant.status == ACCEPTED and not station.tariffs.named(token, getattr(response, "tariff", None)):
                    grant = Grant("Invalid")  # I08: its tariff cannot be followed
            elif error is not None:
                grant = Grant("Invalid")
            else:
                station.tariffs.remembered(token)
                grant = station.authorizer.offline(token, token_type, station.clock.now())
            if station.powered:
                then(grant)

        station.conversation.call("Authorize", station.dialect.authorize_request(token, token_type), answered)

    def learned(self, token: str, token_type: str, grant: Grant) -> None:
        """The CSMS has said what it thinks of `token`."""
        station = self._station
        if station.authorizer.learn(token, token_type, grant, station.clock.now()):
            station.dialect.list_conflict()

    def is_master(self, grant: Grant) -> bool:
        """A master pass stops whatever runs, and begins nothing (2.x C16)."""
        group = self._station.settings.text("master_group")
        return bool(group) and grant.status == ACCEPTED and grant.group.casefold() == group.casefold()

    def presented(self, evse: Evse, token: str, token_type: str, grant: Grant) -> None:
        """Somebody has shown `token` at an EVSE that nobody uses."""
        if token_type == KEY_CODE:
            self._guessed(grant.status == ACCEPTED)
        if self.is_master(grant):
            self._stop_all(token, token_type)
        else:
            self.let_in(evse, token, token_type, grant, "", None)

    def wary(self, token_type: str) -> bool:
        """Too many wrong key codes came for another one to be taken now (C04.FR.06)."""
        return token_type == KEY_CODE and int(self._station.scheduler.now()) < self._wary_until

    def _guessed(self, right: bool) -> None:
        self._guesses = 0 if right else self._guesses + 1
        beyond = self._guesses - _GUESSES
        if beyond >= 0:
            wait = min(_FIRST_WAIT_MS << min(beyond, 16), _LONGEST_WAIT_MS)
            self._wary_until = int(self._station.scheduler.now()) + wait

    def _stop_all(self, token: str, token_type: str) -> None:
        """C16.FR.02: there is no input to choose by, so it is everything that runs."""
        for evse in self._station.evses:
            self._station.transactions.end(evse, "MasterPass", "StopAuthorized", token=token, token_type=token_type)

    def let_in(
        self, evse: Evse, token: str, token_type: str, grant: Grant, trigger: str, remote_start_id: int | None
    ) -> None:
        """`token` may charge, if `grant` says so: start now, or wait for the cable."""
        station = self._station
        if (
            grant.status != ACCEPTED
            or not (station.conversation.accepted or station.settings.flag("before_accepted"))  # B02.FR.03, B03.FR.01
            or (evse.session is not None and evse.session.authorized)
            or evse.fault
            or not evse.available
            or (grant.evses and evse.id not in grant.evses)  # C01.FR.21
            or self.is_master(grant)  # C16.FR.03
            or not station.reservations.admits(evse, token, grant.group)
        ):
            self.forget(evse)
            station.tariffs.unused(token)
            return
        deadline = int(station.scheduler.now()) + station.settings.number("connection_timeout") * 1000
        pending = PendingStart(token, token_type, grant.group, trigger, remote_start_id, deadline)
        pending.languages = grant.languages
        station.reservations.presented(evse, pending)
        if evse.session is not None:
            station.transactions.authorize(evse, evse.session, pending, trigger or "Authorized")
        elif evse.car is not None or AUTHORIZED in station.points.start:
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
            self._station.tariffs.unused(pending.token)

    def stops(self, evse: Evse, session: Session, token: str, token_type: str) -> None:
        """Another token than the session's is shown where it runs: one of its group may end it, and a master pass."""
        station = self._station
        if station.config.version != "1.6":
            known = station.authorizer.locally(token, token_type, station.clock.now())
            if known is not None and known.status == ACCEPTED and known.group and known.group == session.group:
                self._stop_by_group(evse, session, token, token_type, known)  # C01.FR.03, C09.FR.07
                return
        self.authorize(token, token_type, lambda grant: self._stop_by_group(evse, session, token, token_type, grant))

    def _stop_by_group(self, evse: Evse, session: Session, token: str, token_type: str, grant: Grant) -> None:
        station = self._station
        if self.is_master(grant):
            self._stop_all(token, token_type)
        elif grant.status == ACCEPTED and grant.group and grant.group == session.group and evse.session is session:
            station.transactions.release(evse, "Local", "StopAuthorized", token=token, token_type=token_type)

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
            or (evse.session is not None and evse.session.authorized)
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
    ) -> tuple[Evse | None, Callable[[], None]]:
        """RemoteStartTransaction / RequestStartTransaction: (where it is accepted, what to do after the answer).

        `then` is called with the session as soon as its start is told, before any energy flows. `group` is the one
        that the request names (2.x groupIdToken); it counts for reservations.
        """
        station = self._station
        evse = self._evse_for_remote(evse_id, token, group)
        if evse is None or not (station.carries(token) or token_type == NO_AUTHORIZATION):
            return None, lambda: None

        def go() -> None:
            station.payment.unlock(evse.id)
            if then is not None:
                self._waiting[evse.id] = then
            # C03.FR.01, C05.FR.01: what the CSMS has made itself, it need not be asked about.
            own = station.config.version != "1.6" and token_type in UNCACHED
            if station.settings.flag("authorize_remote") and not own:
                self.authorize(
                    token,
                    token_type,
                    lambda grant: self.let_in(evse, token, token_type, grant, "RemoteStart", remote_start_id),
                )
            else:
                self.let_in(evse, token, token_type, Grant(ACCEPTED, group), "RemoteStart", remote_start_id)

        return evse, go

    def _evse_for_remote(self, evse_id: int | None, token: str, group: str) -> Evse | None:
        station = self._station

        def free(evse: Evse) -> bool:
            idle = (evse.session is None or not evse.session.authorized) and evse.pending is None
            idle = idle and not evse.fault and evse.available and not evse.cable_left
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
