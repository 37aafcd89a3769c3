"""HTTP to addresses that a tenant typed in. They must not lead into our own network.

A name is looked up here and the connection goes to an address that was looked at, so that a name that changes its mind
between looking and connecting gains nothing. Loopback, private, link-local (where clouds keep their metadata), shared,
multicast and reserved addresses are refused, also inside IPv6 forms that carry an IPv4 address. Redirects are not
followed: their target would have to be looked at as well, and a POST must not be turned into something else.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Iterable
from time import perf_counter
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpcore

from pilotwire.core.errors import RemoteError
from pilotwire.transport.outward import forbidden

CONNECT_S = 5.0
TOTAL_S = 15.0
READ_AT_MOST = 64 * 1024
EXCERPT = 2_000
CONNECTIONS = 64


class OutboundFailed(RemoteError):
    """No answer was had; the text says why, in words for those who set the address."""


class Answer(NamedTuple):
    """What was answered."""

    status: int
    excerpt: str
    """Beginning of the body, as text."""
    retry_after_ms: int | None
    duration_ms: int


def check_url(url: str, *, private: bool) -> str:
    """What is wrong with a webhook's URL by its looks; "" where nothing is. Names are looked up when it is used."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "is no URL"
    if not url.isascii() or not url.isprintable() or " " in url:
        return "may only hold printable ASCII characters"
    if parts.scheme not in ("http", "https") or not host:
        return "must begin with https:// and a host"
    if parts.username is not None or parts.password is not None:
        return "may not hold a user name or password"
    if parts.fragment:
        return "may not hold a fragment (#…)"
    if port == 0:
        return "has no such port"
    if private:
        return ""
    if parts.scheme != "https":
        return "must be https://, since events tell of people"
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return "leads into a private network, which this installation does not allow"
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return ""
    return "leads into a private network, which this installation does not allow" if forbidden(host) else ""


class _Backend(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were looked at, and to none that is forbidden."""

    def __init__(self, private: bool) -> None:
        self._inner: httpcore.AsyncNetworkBackend = httpcore.AnyIOBackend()  # type: ignore[assignment]
        self._private = private

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface of httpcore
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except TimeoutError:
            raise OutboundFailed(f"the name {host} was not found in time") from None
        except (OSError, UnicodeError) as error:
            raise OutboundFailed(f"the name {host} is not known ({error})") from None
        addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
        allowed = addresses if self._private else [one for one in addresses if not forbidden(one)]
        if not allowed:
            raise OutboundFailed(f"{host} leads into a private network, which this installation does not allow")
        failed: Exception | None = None
        for address in allowed[:4]:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        assert failed is not None
        raise failed


class Outbound:
    """A pool of connections."""

    def __init__(self, *, private: bool = False, total_s: float = TOTAL_S, trust: ssl.SSLContext | None = None) -> None:
        """`private`: whether loopback and private addresses are allowed. `trust`: None is the system's authorities."""
        self._total_s = total_s
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=trust or ssl.create_default_context(),
            max_connections=CONNECTIONS,
            max_keepalive_connections=CONNECTIONS // 2,
            keepalive_expiry=30.0,
            network_backend=_Backend(private),
        )

    async def post(self, url: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        """POST once. Raises OutboundFailed where there is no answer."""
        began = perf_counter()
        timeouts = {"connect": CONNECT_S, "read": self._total_s, "write": self._total_s, "pool": self._total_s}
        try:
            async with (
                asyncio.timeout(self._total_s),
                self._pool.stream(
                    "POST",
                    url,
                    headers=headers,
                    content=body,
                    extensions={"timeout": timeouts},
                ) as response,
            ):
                text = bytearray()
                async for chunk in response.aiter_stream():
                    text += chunk
                    if len(text) >= READ_AT_MOST:
                        break
                asked = _header(response.headers, b"retry-after")
                return Answer(
                    response.status,
                    bytes(text[:EXCERPT]).decode("utf-8", "replace"),
                    int(asked) * 1000 if asked.isdigit() and len(asked) < 7 else None,
                    round((perf_counter() - began) * 1000),
                )
        except TimeoutError:
            raise OutboundFailed(f"no answer within {self._total_s:g} s") from None
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            text = str(error) or type(error).__name__
            raise OutboundFailed(f"no answer: {text}") from None
        except (httpcore.UnsupportedProtocol, ValueError, UnicodeError) as error:
            raise OutboundFailed(f"the address cannot be used: {error}") from None

    async def close(self) -> None:
        """Hang up."""
        await self._pool.aclose()


def _header(headers: list[tuple[bytes, bytes]], name: bytes) -> bytes:
    return next((value for key, value in headers if key.lower() == name), b"")
