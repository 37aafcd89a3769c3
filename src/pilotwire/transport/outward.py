"""HTTP to addresses that somebody else has named. They must not lead into our own network.

A name is looked up here and the connection goes to an address that was looked at, so that a name that changes its mind
between looking and connecting gains nothing. Loopback, private, link-local (where clouds keep their metadata), shared,
multicast and reserved addresses are refused, also inside IPv6 forms that carry an IPv4 address. Redirects are not
followed: their target would have to be looked at as well. Answers are bounded in size and time.

The URL itself is judged by `judge_url` before anything is looked up: scheme, no credentials, a usual port, and the
hosts that the operator allows.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpcore

from pilotwire.core.errors import RemoteError, TransientError

TOTAL_S = 3.0
READ_AT_MOST = 64 * 1024
_CONNECTIONS = 16
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_PORTS = (80, 443, 8080, 8443)


class NotAllowed(RemoteError):
    """The address is one that nobody is sent to; the text says why."""


class NoAnswer(TransientError):
    """No answer was had; the text says why."""


class Answer(NamedTuple):
    """What was answered."""

    status: int
    headers: dict[str, str]
    """By lower-case name; of repeated ones the last."""
    body: bytes


def forbidden(address: str) -> bool:
    """Whether an IP address is none of the public internet."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return True
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        if inner is not None:
            return forbidden(str(inner))
    return not ip.is_global or ip.is_multicast or ip.is_reserved or ip.is_unspecified


def judge_url(url: str, *, hosts: Collection[str] = (), private: bool = False) -> str:
    """What is wrong with a URL that a peer named; "" where nothing is by its looks.

    `hosts`: the only ones that are allowed (a leading dot means every name below); none: every public one. `private`:
    loopback, private addresses and any port are allowed.
    """
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return "holds more than printable ASCII"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "is no URL"
    if parts.scheme not in ("http", "https") or not host:
        return "is not http:// or https:// with a host"
    if parts.username is not None or parts.password is not None:
        return "holds a user name or password"
    host = host.rstrip(".")
    if hosts and not any(host == one or (one.startswith(".") and host.endswith(one)) for one in hosts):
        return f"leads to {host}, which is not among the hosts that are allowed"
    if private:
        return ""
    if port is not None and port not in _PORTS:
        return f"names the port {port}"
    if (
        host == "localhost"
        or host.endswith((".localhost", ".local", ".internal"))
        or ("." not in host and ":" not in host)
    ):
        return "leads into a private network"
    try:
        ipaddress.ip_address(host)
    except ValueError:
        # Forms of addresses that resolvers take and parsers do not: 0x7f.1, 2130706433, 017700000001.
        last = host.rpartition(".")[2]
        return "leads to a number that is no address" if last.isdigit() or last[:2] == "0x" else ""
    return "leads into a private network" if forbidden(host) else ""


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
        try:
            async with asyncio.timeout(timeout):
                found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except TimeoutError:
            raise NoAnswer(f"the name {host} was not found in time") from None
        except (OSError, UnicodeError) as error:
            raise NoAnswer(f"the name {host} is not known ({error})") from None
        addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
        allowed = addresses if self._private else [one for one in addresses if not forbidden(one)]
        if not allowed:
            raise NotAllowed(f"{host} leads into a private network")
        failed: Exception | None = None
        for address in allowed[:4]:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        assert failed is not None
        raise failed


class Outward:
    """A pool of connections. `private`: whether loopback and private addresses are allowed."""

    def __init__(self, *, private: bool = False, trust: ssl.SSLContext | None = None, total_s: float = TOTAL_S) -> None:
        """`trust`: None is the system's authorities; with a certificate of our own where the server wants one."""
        self._total_s = total_s
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=trust or ssl.create_default_context(),
            max_connections=_CONNECTIONS,
            max_keepalive_connections=_CONNECTIONS // 2,
            keepalive_expiry=30.0,
            network_backend=_Backend(private),
        )

    async def fetch(
        self,
        method: str,
        url: str,
        headers: list[tuple[str, str]] | None = None,
        body: bytes = b"",
        *,
        at_most: int = READ_AT_MOST,
    ) -> Answer:
        """One request and its answer. Raises NotAllowed, NoAnswer (also for an answer that is too long)."""
        timeouts = {"connect": self._total_s, "read": self._total_s, "write": self._total_s, "pool": self._total_s}
        try:
            async with (
                asyncio.timeout(self._total_s),
                self._pool.stream(
                    method, url, headers=headers or [], content=body or None, extensions={"timeout": timeouts}
                ) as response,
            ):
                read = bytearray()
                async for chunk in response.aiter_stream():
                    read += chunk
                    if len(read) > at_most:
                        raise NoAnswer(f"the answer is longer than {at_most} bytes")
                names = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
                return Answer(response.status, names, bytes(read))
        except TimeoutError:
            raise NoAnswer(f"no answer within {self._total_s:g} s") from None
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            raise NoAnswer(f"no answer: {error or type(error).__name__}") from None
        except (httpcore.UnsupportedProtocol, ValueError, UnicodeError) as error:
            raise NotAllowed(f"the address cannot be used: {error}") from None

    async def close(self) -> None:
        """Hang up."""
        await self._pool.aclose()
