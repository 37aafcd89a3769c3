"""The first message of a TLS client, looked at before the library takes it: what it speaks, and whom it trusts.

The library shows neither in time: which chain a station is to show follows from the version (-2 or -20).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Final, NamedTuple

from pilotwire.core.errors import RemoteError

MOST: Final = 16_384
TLS_1_3: Final = 0x0304
_HANDSHAKE, _CLIENT_HELLO = 22, 1
_TRUSTED_CA_KEYS, _SUPPORTED_VERSIONS, _AUTHORITIES, _STATUS, _STATUS_V2 = 3, 43, 47, 5, 17
_AGREED, _BY_KEY, _BY_NAME, _BY_CERTIFICATE = range(4)
KEY, NAME, CERTIFICATE = b"k", b"n", b"c"
_AGAIN_S: Final = 0.02


class NotTls(RemoteError):
    """What came is no ClientHello."""


class Hello(NamedTuple):
    """What a client says of itself (RFC 8446 4.1.2, RFC 6066, RFC 6961)."""

    versions: tuple[int, ...]
    trusts: frozenset[bytes] = frozenset()
    """Marks of the roots that it trusts (trusted_ca_keys or certificate_authorities): KEY, NAME or CERTIFICATE, then
    the SHA-1 of the public key, the subject in DER, or the SHA-1 of the certificate."""
    staples: bool = False
    """It asks for OCSP answers (status_request or status_request_v2)."""

    @property
    def newest(self) -> int:
        return max(self.versions, default=0)


class _Cut(Exception):
    """There is more to come."""


class _Bytes:
    """Reads from the front."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def take(self, count: int) -> bytes:
        if len(self.data) < count:
            raise _Cut
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "big")

    def vector(self, count: int) -> _Bytes:
        """What a length of so many bytes announces."""
        return _Bytes(self.take(self.number(count)))


def read(data: bytes) -> Hello | None:
    """The ClientHello that a stream begins with; None: more must come. Raises NotTls."""
    stream, message = _Bytes(data), b""
    while True:
        try:
            kind, version, body = stream.number(1), stream.number(2), stream
            if kind != _HANDSHAKE or version >> 8 != 3:
                raise NotTls("this does not begin like TLS")
            message += body.vector(2).data
        except _Cut:
            break
        if len(message) >= 4 and len(message) >= 4 + int.from_bytes(message[1:4], "big"):
            return _hello(_Bytes(message))
    if data and data[0] != _HANDSHAKE:
        raise NotTls("this does not begin like TLS")
    if len(data) >= MOST:
        raise NotTls(f"a ClientHello of more than {MOST} bytes")
    return None


def _hello(message: _Bytes) -> Hello:
    try:
        if message.number(1) != _CLIENT_HELLO:
            raise NotTls("the first message is no ClientHello")
        body = message.vector(3)
        legacy = body.number(2)
        body.take(32)
        body.vector(1)
        body.vector(2)
        body.vector(1)
        found: dict[int, _Bytes] = {}
        if body.data:
            extensions = body.vector(2)
            while extensions.data:
                number = extensions.number(2)
                found[number] = extensions.vector(2)
        trusts = [*_trusted(found[_TRUSTED_CA_KEYS])] if _TRUSTED_CA_KEYS in found else []
        if _AUTHORITIES in found:
            trusts += _named(found[_AUTHORITIES])
        versions = (legacy,)
        if _SUPPORTED_VERSIONS in found:
            listed = found[_SUPPORTED_VERSIONS].vector(1)
            versions = tuple(int.from_bytes(listed.take(2), "big") for _ in range(len(listed.data) // 2))
    except _Cut:
        raise NotTls("the ClientHello ends within itself") from None
    # Values that mean nothing are sent among the versions, so that nobody stumbles over new ones (RFC 8701).
    versions = tuple(one for one in versions if one >> 8 == 3)
    return Hello(versions, frozenset(trusts), bool({_STATUS, _STATUS_V2} & set(found)))


def _trusted(listed: _Bytes) -> Iterator[bytes]:
    """TrustedAuthorities (RFC 6066, 6)."""
    authorities = listed.vector(2)
    while authorities.data:
        kind = authorities.number(1)
        if kind == _BY_NAME:
            yield NAME + authorities.vector(2).data
        elif kind in (_BY_KEY, _BY_CERTIFICATE):
            yield (KEY if kind == _BY_KEY else CERTIFICATE) + authorities.take(20)
        elif kind != _AGREED:
            raise NotTls(f"there is no kind {kind} of trusted authorities")


def _named(listed: _Bytes) -> Iterator[bytes]:
    """CertificateAuthoritiesExtension (RFC 8446, 4.2.4)."""
    names = listed.vector(2)
    while names.data:
        yield NAME + names.vector(2).data


async def peek(connection: socket.socket, patience_s: float) -> Hello:
    """Looks at what has come, and leaves it there. Raises NotTls, TimeoutError, OSError."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(patience_s):
        while True:
            await _readable(loop, connection)
            data = connection.recv(MOST, socket.MSG_PEEK)
            if not data:
                raise NotTls("it went without a word")
            hello = read(data)
            if hello is not None:
                return hello
            await asyncio.sleep(_AGAIN_S)


async def _readable(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> None:
    ready: asyncio.Future[None] = loop.create_future()

    def now() -> None:
        loop.remove_reader(connection)
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(connection, now)
    try:
        await ready
    finally:
        loop.remove_reader(connection)
