"""The authorities that we know: the installation's own, and one that is asked by EST."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509

from pilotwire.core.errors import PilotwireError
from pilotwire.core.time import Scheduler, to_datetime
from pilotwire.crypto import chains, est
from pilotwire.crypto.authority import Authority
from pilotwire.crypto.requests import Request
from pilotwire.transport.outward import NoAnswer, NotAllowed, Outward

from .ports import Later, Refused, Signed

_AGAIN_S = 60
EST_TOTAL_S = 20.0

Done = Callable[[Signed | Later | Refused], None]
Spawn = Callable[[Coroutine[Any, Any, None]], None]


class BuiltIn:
    """Signs at once."""

    def __init__(self, authority: Authority, scheduler: Scheduler, *, days: int = 365) -> None:
        self._authority = authority
        self._scheduler = scheduler
        self._days = days

    @property
    def name(self) -> str:
        return "built-in"

    @property
    def anchors(self) -> list[x509.Certificate]:
        return [self._authority.root]

    def sign(self, request: Request, common_name: str, organization: str, *, again: bool, done: Done) -> None:
        """See `Signer`."""
        now = to_datetime(self._scheduler.now())
        done(Signed(self._authority.sign(request, common_name, organization, now=now, days=self._days)))


class Est:
    """Asks a server (RFC 7030). A failure of the way there is `Later`: authorities have maintenance, too."""

    def __init__(self, server: est.Server, spawn: Spawn, *, trust: ssl.SSLContext | None = None) -> None:
        self._server = server
        self._spawn = spawn
        # An operator has typed the address in: it may stand in the operator's own network.
        self._outward = Outward(private=True, trust=trust, total_s=EST_TOTAL_S)

    @property
    def name(self) -> str:
        return urlsplit(self._server.url).netloc

    @property
    def anchors(self) -> list[x509.Certificate]:
        """Its root is what stations' certificates are verified with at the handshake, not here."""
        return []

    def sign(self, request: Request, common_name: str, organization: str, *, again: bool, done: Done) -> None:
        """See `Signer`. The request goes as it is: its names have been judged."""
        self._spawn(self._sign(request, again, done))

    async def _sign(self, request: Request, again: bool, done: Done) -> None:
        result: Signed | Later | Refused
        try:
            result = await self._enroll(request, again)
        except est.EstLater as error:
            result = Later(error.retry_after_s, str(error))
        except (NoAnswer, TimeoutError) as error:
            result = Later(_AGAIN_S, f"the authority's server: {error}")
        except (est.EstRefused, NotAllowed, chains.ChainError) as error:
            result = Refused(str(error))
        except (PilotwireError, ValueError) as error:
            result = Refused(f"the authority's server: {error}")
        done(result)

    async def _enroll(self, request: Request, again: bool) -> Signed:
        ask = self._server.enroll(request, again=again)
        answer = await self._outward.fetch(ask.method, ask.url, ask.headers, ask.body, at_most=est.LONGEST)
        found = est.certificates(answer.status, answer.headers, answer.body)
        leaf = est.issued_for(request, found)
        if len(found) == 1:
            found += await self._authorities()
        others = [one for one in found if one != leaf]
        return Signed([chains.der(one) for one in chains.order([leaf, *others])])

    async def _authorities(self) -> list[x509.Certificate]:
        """RFC 7030 4.2.3 sends the certificate alone; its chain is asked for."""
        ask = self._server.cacerts()
        answer = await self._outward.fetch(ask.method, ask.url, ask.headers, ask.body, at_most=est.LONGEST)
        return est.certificates(answer.status, answer.headers, answer.body)

    async def close(self) -> None:
        """Hang up."""
        await self._outward.close()


def client_context(trust_pem: str) -> ssl.SSLContext | None:
    """TLS towards a server whose certificate is signed by one of these; None for the system's authorities.

    Raises ValueError for what is no PEM.
    """
    if not trust_pem.strip():
        return None
    try:
        return ssl.create_default_context(cadata=trust_pem)
    except ssl.SSLError as error:
        raise ValueError(f"no certificates in PEM: {error}") from error


def run_in(loop: asyncio.AbstractEventLoop) -> Spawn:
    """Spawn on a loop; the loop keeps its tasks alive by this set."""
    tasks: set[asyncio.Task[None]] = set()

    def spawn(work: Coroutine[Any, Any, None]) -> None:
        task = loop.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    return spawn
