"""The station's end of an OCPP-J connection."""

from __future__ import annotations

import asyncio
import ssl as ssl_module
from collections.abc import Callable, Sequence
from typing import NamedTuple

from picows import WSHandshakeError, WSInvalidStatusError, WSUpgradeRequest, WSUpgradeResponse, ws_connect

from pilotwire.core.errors import RemoteError, TransientError
from pilotwire.transport.port import DialResult, Link, Receiver

from . import deflate
from .handshake import basic_header
from .limits import EdgeCounters, EdgeLimits
from .picows_link import QUIET, PicowsLink

CLIENT_LIMITS = EdgeLimits(rate_per_s=0, ping_s=0)
"""A station trusts its CSMS with its rate; sizes stay bounded."""


class ConnectFailed(TransientError):
    """No connection. `status` is the server's HTTP status where it refused, else 0."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{reason} (HTTP {status})" if status else reason)
        self.status = status
        self.reason = reason


class Connected(NamedTuple):
    """An open connection."""

    link: Link
    subprotocol: str | None
    """None when the server spoke none of the offered; it closes the connection then, and so should we."""


async def connect(
    url: str,
    receiver: Receiver,
    *,
    subprotocols: Sequence[str],
    user: str | None = None,
    password: bytes | None = None,
    ssl: ssl_module.SSLContext | None = None,
    headers: Sequence[tuple[str, str]] = (),
    compress: bool = False,
    timeout_s: float = 30.0,
    limits: EdgeLimits = CLIENT_LIMITS,
    counters: EdgeCounters | None = None,
    before_open: Callable[[str | None], None] | None = None,
) -> Connected:
    """Connect once. `before_open` is called with the subprotocol directly before `receiver.opened`.

    Raises ConnectFailed; the receiver has then not been touched.
    """
    loop = asyncio.get_running_loop()
    counters = counters if counters is not None else EdgeCounters()
    request_headers = list(headers)
    if subprotocols:
        request_headers.append(("Sec-WebSocket-Protocol", ", ".join(subprotocols)))
    if user is not None:
        request_headers.append(("Authorization", basic_header(user, password or b"")))
    if compress:
        request_headers.append(("Sec-WebSocket-Extensions", deflate.OFFER))
    chosen: str | None = None

    def opened(link: PicowsLink) -> None:
        counters.open += 1
        if before_open is not None:
            before_open(chosen)

    def left(link: PicowsLink, code: int) -> None:
        counters.open -= 1
        counters.close(code)

    def listener(request: WSUpgradeRequest, response: WSUpgradeResponse) -> PicowsLink:
        nonlocal chosen
        chosen = response.headers.get("Sec-WebSocket-Protocol")
        if chosen is not None and chosen not in subprotocols:
            raise RemoteError(f"the server chose {chosen!r}, which was not offered")
        agreement = deflate.read_answer(response.headers.get("Sec-WebSocket-Extensions"))
        if agreement is not None and not compress:
            raise RemoteError("the server chose compression, which was not offered")
        return PicowsLink(
            receiver,
            loop=loop,
            limits=limits,
            counters=counters,
            message_limit=limits.message_bytes,
            agreement=agreement,
            before_open=opened,
            left=left,
        )

    try:
        async with asyncio.timeout(timeout_s):
            _, link = await ws_connect(
                listener,
                url,
                ssl_context=ssl,
                websocket_handshake_timeout=timeout_s,
                logger_name=QUIET,  # type: ignore[arg-type]
                enable_auto_pong=False,
                max_frame_size=limits.message_bytes,
                max_redirects=0,
                extra_headers=request_headers,
                read_buffer_init_size=4096,
            )
    except WSInvalidStatusError as error:
        status = error.response.status if error.response is not None else 0
        raise ConnectFailed(int(status), "the server refused") from error
    except (WSHandshakeError, RemoteError) as error:
        raise ConnectFailed(0, str(error)) from error
    except (OSError, TimeoutError) as error:
        raise ConnectFailed(0, str(error) or "no answer in time") from error
    if link is None:
        # picows takes an end of the stream before any answer for the end of the handshake.
        # By TLS 1.3 a client's certificate is judged when the client has finished its handshake.
        hint = ", as those do that want a client certificate, or another one" if ssl is not None else ""
        raise ConnectFailed(0, f"the server closed the connection during the handshake{hint}")
    counters.upgraded += 1
    return Connected(link, chosen)  # type: ignore[arg-type]


class LoopDialer:
    """`Dialer` over real sockets. The attributes may be changed between two calls: a station's URL and key can be."""

    def __init__(
        self,
        url: str,
        *,
        user: str | None = None,
        password: bytes | None = None,
        ssl: ssl_module.SSLContext | None = None,
        headers: Sequence[tuple[str, str]] = (),
        compress: bool = False,
        timeout_s: float = 30.0,
        limits: EdgeLimits = CLIENT_LIMITS,
        counters: EdgeCounters | None = None,
    ) -> None:
        self.url = url
        self.user = user
        self.password = password
        self.ssl = ssl
        self.headers = headers
        self.compress = compress
        self.timeout_s = timeout_s
        self.limits = limits
        self.counters = counters if counters is not None else EdgeCounters()
        self._attempts: set[asyncio.Task[None]] = set()

    def dial(self, receiver: Receiver, offered: Sequence[str], done: Callable[[DialResult], None]) -> None:
        """See `Dialer.dial`."""
        attempt = asyncio.get_running_loop().create_task(self._attempt(receiver, tuple(offered), done))
        self._attempts.add(attempt)
        attempt.add_done_callback(self._attempts.discard)

    async def _attempt(self, receiver: Receiver, offered: tuple[str, ...], done: Callable[[DialResult], None]) -> None:
        try:
            await connect(
                self.url,
                receiver,
                subprotocols=offered,
                user=self.user,
                password=self.password,
                ssl=self.ssl,
                headers=self.headers,
                compress=self.compress,
                timeout_s=self.timeout_s,
                limits=self.limits,
                counters=self.counters,
                before_open=lambda subprotocol: done(DialResult(status=101, subprotocol=subprotocol)),
            )
        except ConnectFailed as error:
            done(DialResult(status=error.status, reason=error.reason))
