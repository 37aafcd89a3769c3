"""permessage-deflate: negotiation, bombs, and both servers against the `websockets` client and our own."""

from __future__ import annotations

import asyncio
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import connect as websockets_connect
from websockets.exceptions import ConnectionClosedError
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from pilotwire.core.errors import RemoteError
from pilotwire.transport.ocpp import deflate
from pilotwire.transport.ocpp.client import connect
from pilotwire.transport.ocpp.limits import EdgeLimits

BASE = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
TEXT = ('[2,"1","NotifyReport",{"x":"' + "Grüße " * 2000 + '"}]').encode()


@pytest.mark.parametrize(
    ("offer", "answer", "bits"),
    [
        ("permessage-deflate", f"{BASE}; server_max_window_bits=12", 12),
        (
            "permessage-deflate; client_max_window_bits",
            f"{BASE}; client_max_window_bits=12; server_max_window_bits=12",
            12,
        ),
        (
            "permessage-deflate; client_max_window_bits=10; server_max_window_bits=9",
            f"{BASE}; client_max_window_bits=10; server_max_window_bits=9",
            9,
        ),
        ("x-webkit-deflate-frame, permessage-deflate", f"{BASE}; server_max_window_bits=12", 12),
        ("permessage-deflate; server_max_window_bits=8, permessage-deflate", f"{BASE}; server_max_window_bits=12", 12),
        ('permessage-deflate; server_max_window_bits="15"', f"{BASE}; server_max_window_bits=12", 12),
        (deflate.OFFER, f"{BASE}; client_max_window_bits=12; server_max_window_bits=12", 12),
    ],
)
def test_an_offer_is_answered(offer: str, answer: str, bits: int) -> None:
    agreement = deflate.negotiate(offer.encode())
    assert agreement is not None
    assert sorted(agreement.response.split("; ")) == sorted(answer.split("; ")) and agreement.window_bits == bits


@pytest.mark.parametrize(
    "offer",
    [
        "",
        "x-webkit-deflate-frame",
        "permessage-deflate; unknown",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=08",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
    ],
)
def test_an_offer_that_cannot_be_taken_is_declined(offer: str) -> None:
    assert deflate.negotiate(offer.encode()) is None


def test_no_offer_no_answer() -> None:
    assert deflate.negotiate(None) is None and deflate.read_answer(None) is None


@pytest.mark.parametrize(
    "answer",
    [
        "permessage-deflate",
        "something-else",
        f"{BASE}; mystery=1",
        f"{BASE}; client_max_window_bits=99",
        f"{BASE}; server_no_context_takeover",
    ],
)
def test_a_server_that_answers_what_was_not_offered_is_at_fault(answer: str) -> None:
    with pytest.raises(RemoteError):
        deflate.read_answer(answer)


@given(st.binary(max_size=5000), st.integers(9, 15))
def test_every_message_comes_back(data: bytes, bits: int) -> None:
    assert deflate.decompress(deflate.compress(data, bits), 5000) == data


@given(st.binary(max_size=300))
def test_any_bytes_inflate_or_are_refused(data: bytes) -> None:
    try:
        assert len(deflate.decompress(data, 1000)) <= 1000
    except (deflate.BadCompression, deflate.TooLarge):
        return


def test_a_bomb_stops_at_the_limit() -> None:
    machine = zlib.compressobj(wbits=-15)
    bomb = b"".join(machine.compress(bytes(1 << 20)) for _ in range(64)) + machine.flush(zlib.Z_SYNC_FLUSH)
    with pytest.raises(deflate.TooLarge):
        deflate.decompress(bomb[:-4], 262_144)
    assert deflate.decompress(deflate.compress(bytes(1000)), 1000) == bytes(1000)
    with pytest.raises(deflate.TooLarge):
        deflate.decompress(deflate.compress(bytes(1001)), 1000)


def test_final_blocks_are_read_and_nothing_may_follow_them() -> None:
    machine = zlib.compressobj(wbits=-15)
    final = machine.compress(b"hello") + machine.flush(zlib.Z_FINISH)
    assert deflate.decompress(final + b"\x00", 100) == b"hello"
    with pytest.raises(deflate.BadCompression):
        deflate.decompress(final + final, 100)


async def test_both_servers_speak_to_the_websockets_client(start: Any) -> None:
    edge = await start()
    factories = [
        ClientPerMessageDeflateFactory(),
        ClientPerMessageDeflateFactory(client_max_window_bits=None),
        ClientPerMessageDeflateFactory(server_max_window_bits=9, client_max_window_bits=10),
        ClientPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True),
    ]
    for factory in factories:
        async with websockets_connect(
            edge.url(), subprotocols=["ocpp2.0.1"], extensions=[factory], compression=None
        ) as peer:
            assert [extension.name for extension in peer.protocol.extensions] == ["permessage-deflate"]
            for text in (TEXT.decode(), "[]", "", "[2,ü]") * 3:
                await peer.send(text)
                assert await peer.recv() == text
            # Fragments of one compressed message.
            await peer.send([TEXT.decode()[:100], TEXT.decode()[100:], ""])
            assert await peer.recv() == TEXT.decode()


async def test_without_an_offer_nothing_is_compressed(start: Any) -> None:
    edge = await start()
    async with websockets_connect(edge.url(), subprotocols=["ocpp2.0.1"], compression=None) as peer:
        assert peer.protocol.extensions == []
        await peer.send(TEXT.decode())
        assert await peer.recv() == TEXT.decode()


async def test_compression_can_be_switched_off(start: Any) -> None:
    edge = await start(limits=EdgeLimits(deflate=False))
    async with websockets_connect(edge.url(), subprotocols=["ocpp2.0.1"]) as peer:
        assert peer.protocol.extensions == []


async def test_our_own_client_compresses(start: Any, make_end: Any) -> None:
    edge = await start()
    end = make_end(echo=False)
    await connect(edge.url(), end, subprotocols=["ocpp2.0.1"], compress=True)
    end.link.send(TEXT)
    end.link.send(b"[small]")
    await end.until(lambda end: len(end.frames) == 2)
    assert end.frames == edge.desk.ends[0].frames == [TEXT, b"[small]"]
    end.link.close()
    await end.until(lambda end: end.ended)


async def compressed(edge: Any) -> Any:
    raw, _ = await edge.station("/ocpp/CS1", "Sec-WebSocket-Extensions: permessage-deflate")
    return raw


async def test_what_goes_over_the_wire(start: Any) -> None:
    edge = await start()
    raw = await compressed(edge)
    raw.frame(1, deflate.compress(TEXT), rsv=4)
    opcode, payload, reserved = await raw.read_frame()
    assert (opcode, reserved) == (1, 4) and len(payload) < len(TEXT) / 10
    assert deflate.decompress(payload, len(TEXT)) == TEXT
    raw.frame(1, b"[plain]")
    assert await raw.read_frame() == (1, b"[plain]", 0)
    # A window of 12 bits reaches 4 KiB back and no further.
    noise = bytes(33 + (index * 7919 % 89) ^ index % 3 for index in range(5000))
    end = edge.desk.ends[0]
    end.link.send(noise + noise)
    _, payload, _ = await raw.read_frame()
    machine = zlib.decompressobj(wbits=-12)
    assert machine.decompress(payload + b"\x00\x00\xff\xff") == noise + noise


@pytest.mark.parametrize(
    ("name", "codes"), [("bomb", (1009, 1009)), ("noise", (1007, 1002)), ("latin-1", (1007, 1007))]
)
async def test_bad_compression_is_closed_with_its_code(
    start: Any, server_class: Any, name: str, codes: tuple[int, int]
) -> None:
    edge = await start()
    raw = await compressed(edge)
    payload = {
        "bomb": deflate.compress(b"x" * 50_000_000, 15),
        "noise": b"\xff" * 50,
        "latin-1": deflate.compress(b"\xc3\x28" * 400),
    }[name]
    assert len(payload) < 262_144
    raw.frame(1, payload, rsv=4)
    assert await raw.closed_with() == codes[server_class.__name__ == "WebsocketsServer"]
    await edge.desk.ends[0].until(lambda end: end.ended)
    assert edge.desk.ends[0].frames == []
    await edge.unharmed()


async def test_a_compressed_bomb_in_fragments_is_1009(start: Any) -> None:
    edge = await start()
    raw = await compressed(edge)
    bomb = deflate.compress(b"x" * 50_000_000, 15)
    raw.frame(1, bomb[:20_000], fin=False, rsv=4)
    raw.frame(0, bomb[20_000:])
    assert await raw.closed_with() == 1009
    await edge.unharmed()


async def test_a_reserved_bit_on_a_continuation_is_1002(start: Any) -> None:
    edge = await start()
    raw = await compressed(edge)
    data = deflate.compress(TEXT)
    raw.frame(1, data[:20], fin=False, rsv=4)
    raw.frame(0, data[20:], rsv=4)
    assert await raw.closed_with() == 1002


async def test_the_websockets_client_sees_the_close_of_its_own_bomb(start: Any) -> None:
    edge = await start()
    async with websockets_connect(edge.url(), subprotocols=["ocpp1.6"]) as peer:
        await peer.send("x" * 1_000_000)
        with pytest.raises(ConnectionClosedError) as caught:
            async with asyncio.timeout(90):
                await peer.recv()
        assert caught.value.rcvd is not None and caught.value.rcvd.code == 1009
