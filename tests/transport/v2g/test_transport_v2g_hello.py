"""The first message of a TLS client: what OpenSSL sends, cut anywhere, and what is none."""

from __future__ import annotations

import asyncio
import socket
import ssl

import pytest

from pilotwire.transport.v2g import hello
from pilotwire.transport.v2g.hello import Hello, NotTls


def client_hello(newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bytes:
    """What this library's OpenSSL would send."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.maximum_version = newest
    out = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out).do_handshake()
    return out.read()


def with_extensions(*extensions: tuple[int, bytes]) -> bytes:
    """A small ClientHello of TLS 1.2 with these."""
    written = b"".join(number.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data for number, data in extensions)
    body = b"\x03\x03" + b"\x00" * 32 + b"\x00" + b"\x00\x02\xc0\x23" + b"\x01\x00"
    body += len(written).to_bytes(2, "big") + written if extensions else b""
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message


def test_the_versions_of_a_client() -> None:
    both = hello.read(client_hello())
    assert both is not None and both.newest == hello.TLS_1_3 and 0x0303 in both.versions
    older = hello.read(client_hello(ssl.TLSVersion.TLSv1_2))
    assert older is not None and older.newest == 0x0303


def test_whom_it_trusts_and_whether_it_wants_staples() -> None:
    assert hello.read(with_extensions()) == Hello((0x0303,))
    keys = b"\x00" + b"\x01" + b"K" * 20 + b"\x02\x00\x03DER" + b"\x03" + b"C" * 20
    known = frozenset((b"k" + b"K" * 20, b"nDER", b"c" + b"C" * 20))
    assert hello.read(with_extensions((3, len(keys).to_bytes(2, "big") + keys))) == Hello((0x0303,), known)
    names = b"\x00\x0a" + b"\x00\x03ONE" + b"\x00\x03TWO"
    assert hello.read(with_extensions((47, names), (17, b""))) == Hello(
        (0x0303,), frozenset((b"nONE", b"nTWO")), staples=True
    )
    assert hello.read(with_extensions((43, b"\x04\x0a\x0a\x03\x04"))) == Hello((0x0304,)), "0A0A means nothing"


def test_a_hello_that_has_not_come_wholly_is_waited_for() -> None:
    whole = client_hello()
    assert [cut for cut in range(len(whole)) if hello.read(whole[:cut]) is not None] == []
    message = whole[5:]
    records = b"".join(
        b"\x16\x03\x01" + len(message[at : at + 50]).to_bytes(2, "big") + message[at : at + 50]
        for at in range(0, len(message), 50)
    )
    assert hello.read(records) == hello.read(whole), "several records"


@pytest.mark.parametrize(
    "data",
    [
        with_extensions((3, b"\x00\x01\x09")), with_extensions((3, b"\x00\x05\x01")), with_extensions((47, b"")),
        b"\x01\xfe\x80\x01", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x02\x00\x00\x05",
        b"\x16\x03\x01\x00\x04\x02\x00\x00\x00", b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03",
        b"\x16\x03\x01\xff\xff" + b"\x01\x00\xff\xff" + b"\x00" * 20_000,
    ],
)  # fmt: skip
def test_what_is_no_hello(data: bytes) -> None:
    with pytest.raises(NotTls):
        hello.read(data)


def test_every_bit_flip_is_read_refused_or_waited_for() -> None:
    good = client_hello()
    for place in range(len(good) * 8):
        flipped = bytearray(good)
        flipped[place // 8] ^= 1 << place % 8
        try:
            found = hello.read(bytes(flipped))
        except NotTls:
            continue
        assert found is None or type(found) is Hello


async def test_looking_takes_nothing_away_and_has_an_end() -> None:
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        whole = client_hello()
        looking = asyncio.create_task(hello.peek(here, 5))
        for at in range(0, len(whole), 200):
            there.sendall(whole[at : at + 200])
            await asyncio.sleep(0.03)
        assert (await looking).newest == hello.TLS_1_3
        assert here.recv(20_000) == whole
        with pytest.raises(TimeoutError):
            await hello.peek(here, 0.02)
        there.close()
        with pytest.raises(NotTls, match="without a word"):
            await hello.peek(here, 5)
