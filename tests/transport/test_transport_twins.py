"""Random frame streams: both servers deliver the same messages and close for the same reason, or not at all."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest

from pilotwire.transport.ocpp.limits import EdgeLimits
from pilotwire.transport.ocpp.picows_server import PicowsServer
from pilotwire.transport.ocpp.websockets_server import WebsocketsServer


@pytest.fixture
def server_class() -> Any:
    """Both are started by each test."""
    return PicowsServer


def stream(seed: int, encode: Any) -> bytes:
    """Mostly sound frames with a close at the end; in three of four streams one thing is wrong somewhere."""
    random = Random(seed)
    out: list[bytes] = []
    for index in range(random.randrange(1, 12)):
        text = f"[{index},{random.choice(['', 'ü', 'x' * 200, '€' * 70])}]".encode()
        kind = random.randrange(4)
        if kind == 0:
            cut = random.randrange(len(text) + 1)
            out += [encode(1, text[:cut], fin=False), encode(9, b"?"), encode(0, text[cut:])]
        elif kind == 1:
            out.append(encode(random.choice([9, 10]), b"p" * random.randrange(126)))
        else:
            out.append(encode(1, text))
    if random.random() < 0.75:
        bad = random.choice(
            [
                encode(1, b"unmasked", mask=False),
                encode(1, b"\xff\xfe"),
                encode(2, b"binary"),
                encode(random.choice([3, 4, 5, 6, 7, 11, 12, 13, 14, 15]), b""),
                encode(1, b"rsv", rsv=random.randrange(1, 8)),
                encode(9, b"rsv", rsv=random.randrange(1, 8)),
                encode(0, b"orphan"),
                encode(1, b"a", fin=False) + encode(1, b"b"),
                encode(1, b"x" * 2000),
                encode(1, b"x" * 600, fin=False) + encode(0, b"x" * 600),
                encode(8, b"\x03"),
                encode(8, random.choice([999, 1004, 1005, 1006, 1015, 1016, 2999, 5000]).to_bytes(2, "big")),
                encode(8, b"\x03\xe8\xff"),
                encode(10, b"", fin=False),
            ]
        )
        out.insert(random.randrange(len(out) + 1), bad)
    out.append(encode(8, random.choice([b"", b"\x03\xe8", b"\x03\xe9bye", b"\x0f\xa0"])))
    return b"".join(out)


@pytest.mark.parametrize("seed", range(40))
async def test_both_servers_hear_the_same(start: Any, make_desk: Any, make_end: Any, encode: Any, seed: int) -> None:
    data = stream(seed, encode)
    heard: list[tuple[list[bytes], Any]] = []
    for server in (PicowsServer(), WebsocketsServer()):
        limits = EdgeLimits(message_bytes=1000, message_bytes_v16=1000)
        edge = await start(server=server, limits=limits, desk=make_desk(lambda: make_end(echo=False)))
        raw, end = await edge.station()
        # One frame stream in pieces that do not respect frames, with time between to be handled.
        random = Random(seed + 1)
        rest = data
        while rest:
            count = random.randrange(1, 60)
            raw.write(rest[:count])
            rest = rest[count:]
            await asyncio.sleep(0)
        await end.until(lambda end: end.ended)
        heard.append((end.frames, end.ended[0][0]))
    first, second = heard
    assert first[1] == second[1], "the same close code"
    shorter, longer = sorted((first[0], second[0]), key=len)
    if first[1] in (1000, 1001, 4000, 1005):
        assert first[0] == second[0]
    else:
        # Whole messages just before a violation may be dropped, depending on what came in one read.
        assert longer[: len(shorter)] == shorter
