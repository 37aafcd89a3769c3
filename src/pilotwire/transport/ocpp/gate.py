"""Who comes in: asks the endpoint, slows down those who guess passwords, tells the endpoint whom it never saw."""

from __future__ import annotations

import asyncio
import logging
import ssl as ssl_module
from collections.abc import Callable
from typing import Any

from pilotwire.transport.port import Endpoint, Handshake, Receiver, Refuse, TurnedAway

from . import handshake as http
from .limits import AuthGuard, EdgeCounters

log = logging.getLogger("pilotwire.transport.ocpp")


class Gate:
    """The admission of one listener. `stopping()` says that nobody is let in any more."""

    def __init__(
        self, endpoint: Endpoint, guard: AuthGuard, counters: EdgeCounters, *, tls: bool, stopping: Callable[[], bool]
    ) -> None:
        self._endpoint = endpoint
        self._guard = guard
        self._counters = counters
        self._tls = tls
        self._stopping = stopping

    def admit(
        self,
        upgrade: http.Upgrade,
        request: http.Request,
        transport: asyncio.Transport,
        *,
        address: str,
        peer: str,
    ) -> Receiver:
        """Ask the endpoint. Raises HttpRefusal."""
        tenant, identity = upgrade.tenant, upgrade.identity
        wait = self._guard.wait(address, tenant, identity)
        if wait > 0:
            self._counters.blocked_after_failures += 1
            raise http.HttpRefusal(429, "too many failed attempts", (("Retry-After", str(int(wait) + 1)),))
        if self._stopping():
            raise http.refusal(503)
        if upgrade.user is not None and upgrade.user != identity.encode():
            # OCPP-J 1.6 security whitepaper and 2.x A00.FR.204: the user is the identity, whatever the password.
            self._guard.failed(address, tenant, identity)
            refusal = http.unauthorized()
            refusal.reason = "user-mismatch"
            raise refusal
        secure = transport.get_extra_info("ssl_object")
        answer = self._endpoint.admit(
            Handshake(
                tenant=tenant,
                identity=identity,
                subprotocol=upgrade.subprotocol,
                user=upgrade.user,
                password=upgrade.password,
                peer=peer,
                tls=secure is not None,
                certificate=_client_certificate(secure, transport),
                offered=http.offered_subprotocols(request.headers.get("sec-websocket-protocol")),
                path=http.shown_path(request.target),
            )
        )
        if isinstance(answer, Refuse):
            if answer.status == 401:
                self._guard.failed(address, tenant, identity)
            refusal = http.refusal(answer.status)
            refusal.told = True
            raise refusal
        self._guard.passed(address, tenant, identity)
        return answer

    def turned_away(self, peer: str, refusal: http.HttpRefusal, request: http.Request | None) -> None:
        """Let the endpoint know, where it wants to: it is the one who is asked why a station does not come up."""
        if refusal.told:
            return
        headers = request.headers if request is not None else {}
        try:
            user, _ = http.parse_basic(headers.get("authorization"))
        except http.HttpRefusal:
            user = None
        self.tell(
            TurnedAway(
                peer=peer,
                tls=self._tls,
                status=refusal.status,
                reason=refusal.reason,
                path=http.shown_path(request.target) if request is not None else "",
                offered=http.offered_subprotocols(headers.get("sec-websocket-protocol")),
                user=user,
            )
        )

    def tell(self, attempt: TurnedAway) -> None:
        """Tell the endpoint of somebody who did not come as far as admission, where it wants to know."""
        tell = getattr(self._endpoint, "turned_away", None)
        if tell is None:
            return
        try:
            tell(attempt)
        except Exception:
            self._counters.receiver_failures += 1
            log.exception("the endpoint failed to hear of a handshake")


def _client_certificate(secure: Any, transport: asyncio.Transport) -> bytes | None:
    """DER of the client's certificate where TLS has verified it."""
    if secure is None:
        return None
    context = transport.get_extra_info("sslcontext")
    if context is None or context.verify_mode == ssl_module.CERT_NONE:
        return None
    return secure.getpeercert(True)
