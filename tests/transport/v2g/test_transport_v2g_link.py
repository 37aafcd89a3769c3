"""One connection: streams cut anywhere, peers that babble, fall silent, do not read or go; none hurts another."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from tests.timers import every_timer, just, shown
from tests.transport.v2g.stand_in import STOP, Wire

from pilotwire.core.errors import ConfigError
from pilotwire.core.evse_link import Ended, Fault
from pilotwire.core.time import SimScheduler
from pilotwire.core.timers import TimerRule
from pilotwire.protocols.iso15118 import sap, v2gtp
from pilotwire.protocols.iso15118.config import EvccConfig, SeccConfig
from pilotwire.protocols.iso15118.evcc import Evcc
from pilotwire.protocols.iso15118.secc import Secc
from pilotwire.protocols.iso15118.timers import CLOSE_WAIT, SECC_SEQUENCE
from pilotwire.protocols.iso15118.v2gtp import Frame
from pilotwire.transport.v2g import NoConnection, Tapped, V2gLink, dial_secc, run_secc
from pilotwire.transport.v2g.link import MOST_UNSENT, UNREAD_MS

pytestmark = pytest.mark.usefixtures("stand_in")

ASK = v2gtp.write(Frame(v2gtp.SAP, sap.request(("iso2",))))


def word(text: bytes) -> bytes:
    return v2gtp.write(Frame(v2gtp.SAP, text))


class World:
    """A station's connection over a transport that keeps what was written, in simulated time."""

    def __init__(self, *, events: Any = None) -> None:
        self.scheduler = SimScheduler()
        self.events: list[Any] = []
        self.taps: list[Tapped] = []
        self.gone: list[V2gLink] = []
        self.wire = Wire()
        self.link = V2gLink(
            lambda link: Secc(SeccConfig(), random=bytes, tls=link.tls),
            lambda link: events or self.events.append,
            self.scheduler,
            peer_side="ev",
            tap=self.taps.append,
            gone=self.gone.append,
        )
        self.link.connection_made(self.wire)  # type: ignore[arg-type]

    def goes(self) -> None:
        """What asyncio does once a transport was closed or aborted, or the peer has gone."""
        self.link.connection_lost(None)

    @property
    def answers(self) -> list[Frame]:
        reader = v2gtp.FrameReader()
        return reader.feed(b"".join(self.wire.written))


async def test_however_the_stream_is_cut_the_answers_are_the_same() -> None:
    stream = ASK + b"".join(word(b"word %d" % number) for number in range(20))
    whole = World()
    whole.link.data_received(stream)
    assert [one.payload for one in whole.answers[1:]] == [b"word %d" % number for number in range(20)]
    dice = random.Random(1)
    for size in (1, 2, 7, 8, 9):
        world = World()
        for at in range(0, len(stream), size):
            world.link.data_received(stream[at : at + size])
        assert world.wire.written == whole.wire.written
    for _ in range(20):
        world, at = World(), 0
        while at < len(stream):
            size = dice.randint(1, 60)
            world.link.data_received(stream[at : at + size])
            at += size
        assert world.wire.written == whole.wire.written


@pytest.mark.parametrize(
    "babble",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x00\xa5\x01\x00\x00",
        b"\x01\xfe\x80\x01\xff\xff\xff\xff",
        b"\x01\xfe\x80\x01\x00\x01\x00\x01",
        b"\x01\x01\x80\x01\x00\x00\x00\x00",
        b"\x00" * 65_536,
    ],
)
@pytest.mark.parametrize("agreed", [False, True])
async def test_what_is_no_v2gtp_ends_the_connection(babble: bytes, agreed: bool) -> None:
    world = World()
    if agreed:
        world.link.data_received(ASK)
    world.link.data_received(babble)
    world.link.data_received(babble)
    assert world.wire.closed == "aborted"
    (fault,) = [event for event in world.events if type(event) is Fault]
    assert (fault.code, fault.by) == ("V2GTP", "ev") and "V2GTP message" in fault.text
    world.link.data_received(ASK)
    world.goes()
    assert (world.events[-1] == "lost") if agreed else (type(world.events[-1]) is Ended)
    assert await world.link.done == fault.text and world.gone == [world.link]
    assert len(world.wire.written) == int(agreed), "nothing is said to a babbler"


async def test_every_bit_flip_of_a_header_is_survived() -> None:
    for place in range(8 * v2gtp.HEADER):
        stream = bytearray(ASK)
        stream[place // 8] ^= 0x80 >> place % 8
        world = World()
        world.link.data_received(bytes(stream))
        world.scheduler.run_for(SECC_SEQUENCE.ms + 1)
        assert world.wire.closed, f"bit {place}: cut at once, refused, or waited for in vain"
        world.goes()
        assert type(world.events[-1]) is Ended
        assert len(world.answers) <= 1


async def test_a_peer_that_stops_within_a_message_is_not_waited_for_forever() -> None:
    world = World()
    world.link.data_received(ASK[:-3])
    world.scheduler.run_for(SECC_SEQUENCE.ms + 1)
    assert world.wire.closed == "closed"
    world = World()
    world.link.data_received(ASK[:-3])
    assert not world.link.eof_received(), "the transport closes"
    world.goes()
    assert "within a message" in await world.link.done
    assert type(world.events[-1]) is Ended


async def test_a_silent_peer_is_left() -> None:
    world = World()
    world.scheduler.run_for(SECC_SEQUENCE.ms + 1)
    assert world.wire.closed == "closed" and not world.wire.written
    world.goes()
    assert "no supportedAppProtocolReq" in await world.link.done


async def test_a_peer_that_does_not_read_is_cut() -> None:
    world = World()
    assert world.wire.high == MOST_UNSENT
    world.link.data_received(ASK)
    world.link.pause_writing()
    assert world.wire.closed == "aborted" and "does not read" in world.events[-1].text


@pytest.mark.parametrize("where", ["receive", "command", "events"])
async def test_a_fault_of_ours_ends_this_conversation_and_the_machine_hears_of_it(where: str, caplog: Any) -> None:
    def failing(event: Any) -> None:
        heard.append(event)
        if event == b"word":
            raise ValueError("planted")

    heard: list[Any] = []
    world = World(events=failing)
    world.link.data_received(ASK)
    if where == "command":
        world.link.command("fail")
    else:
        world.link.data_received(word(b"fail" if where == "receive" else b"word"))
    assert world.wire.closed == "aborted" and "planted" in caplog.text
    world.goes()
    assert heard[-1] == "lost" and "a fault of ours" in await world.link.done
    world.link.command(b"more")
    world.link.data_received(word(b"more"))
    assert len(world.wire.written) == 1


async def test_a_machine_that_cannot_be_made_ends_its_connection(caplog: Any) -> None:
    wire, scheduler = Wire(), SimScheduler()

    def make(link: V2gLink) -> Any:
        raise ConfigError("planted")

    link = V2gLink(make, lambda link: print, scheduler, peer_side="ev")
    link.connection_made(wire)  # type: ignore[arg-type]
    link.data_received(ASK)
    assert wire.closed == "aborted" and "planted" in caplog.text
    link.connection_lost(None)
    assert await link.done == "a fault of ours: ConfigError"


@every_timer((CLOSE_WAIT,))
async def test_the_vehicle_may_close_first(rule: TimerRule, edge: str) -> None:
    world = World()
    world.link.data_received(ASK + word(STOP))
    world.scheduler.run_for(just(rule, edge))
    assert bool(world.wire.closed) == (edge == "outside")
    shown(rule, edge, "the station has closed the connection" if world.wire.closed else "it leaves that to the vehicle")
    if edge == "inside":
        world.goes()
        world.scheduler.run_for(60_000)
        assert not world.wire.closed
    else:
        world.scheduler.run_for(UNREAD_MS)
        assert world.wire.closed == "aborted", "what was sent last is not read by anybody"


async def test_everything_that_passes_is_seen_by_the_tap() -> None:
    world = World()
    world.link.data_received(ASK + word(b"one"))
    assert [(one.sent, one.carrier, one.frame) for one in world.taps] == [
        (False, "tcp", ASK), (True, "tcp", world.wire.written[0]), (False, "tcp", word(b"one")),
        (True, "tcp", world.wire.written[1]),
    ]  # fmt: skip
    assert world.taps[0].peer == ("fe80::2", 50_000) and world.taps[0].local == ("fe80::1", 50_001)


# ── over loopback ────────────────────────────────────────────────────────────────────────────────────────────────────
class Heard:
    """The events of every link of a server."""

    def __init__(self) -> None:
        self.links: list[V2gLink] = []
        self.events: list[list[Any]] = []
        self.lost_before: list[int] = []
        """How many links were over when each one was opened."""

    def __call__(self, link: V2gLink) -> Any:
        self.lost_before.append(sum("lost" in events for events in self.events))
        self.links.append(link)
        self.events.append([])
        return self.events[-1].append


async def until(condition: Any) -> None:
    async with asyncio.timeout(90):
        while not condition():
            await asyncio.sleep(0.005)


async def call(port: int | None, heard: Heard, **options: Any) -> V2gLink:
    return await dial_secc(EvccConfig(), heard, host="127.0.0.1", port=port, **options)


async def test_a_conversation_over_loopback_and_ports_of_the_standard() -> None:
    heard, driven = Heard(), Heard()
    async with await run_secc(SeccConfig(), heard, host="127.0.0.1") as server:
        assert server.tcp_port is not None and 49_152 <= server.tcp_port <= 65_535 and server.tls_port is None
        link = await call(server.tcp_port, driven)
        await until(lambda: b"hello" in driven.events[0])
        link.command(STOP)
        assert await asyncio.wait_for(link.done, 90) == "all was said"
        await until(lambda: "lost" in heard.events[0])
        assert not server.links
    assert isinstance(link.machine, Evcc) and link.machine.kept is None


async def test_a_second_vehicle_is_turned_away_unless_it_is_the_same() -> None:
    heard, first, again = Heard(), Heard(), Heard()
    async with await run_secc(SeccConfig(), heard, host="127.0.0.1") as server:
        await call(server.tcp_port, first)
        await until(lambda: b"hello" in first.events[0])
        await call(server.tcp_port, again)
        await until(lambda: b"hello" in again.events[0])
        assert heard.lost_before == [0, 1], "the old one is over before the new one begins"
        assert "lost" not in heard.events[1]
        (old,) = [link for link in heard.links if link not in server.links]
        assert await asyncio.wait_for(old.done, 90) == "another connection took its place"
        (other,) = server.links
        other.peer = ("192.0.2.1", 1)
        third = await call(server.tcp_port, Heard())
        await asyncio.wait_for(third.done, 90)
        assert server.turned_away == 1 and server.links == {other}


async def test_who_says_nothing_keeps_nobody_out() -> None:
    heard, car = Heard(), Heard()
    async with await run_secc(SeccConfig(), heard, host="127.0.0.1") as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.tcp_port)
        await until(lambda: server.links)
        (silent,) = server.links
        silent.peer = ("192.0.2.1", 1)
        await call(server.tcp_port, car)
        await until(lambda: b"hello" in car.events[0])
        assert type(heard.events[0][-1]) is Ended and server.turned_away == 0
        writer.close()


async def test_a_babbler_hurts_nobody_else() -> None:
    heard, good = Heard(), Heard()
    async with await run_secc(SeccConfig(), heard, host="127.0.0.1", most=3) as server:
        link = await call(server.tcp_port, good)
        await until(lambda: b"hello" in good.events[0])
        for babble in (b"\xff" * 100, b"\x01\xfe\x80\x01\x7f\xff\xff\xff", ASK + b"\x00" * 9, ASK[:5]):
            _, writer = await asyncio.open_connection("127.0.0.1", server.tcp_port)
            writer.write(babble)
            await writer.drain()
            writer.close()
        await until(lambda: len(server.links) == 1 and len(heard.links) == 5)
        link.command(b"still here")
        await until(lambda: b"still here" in good.events[0])
    await until(lambda: heard.events[0][-1] == "lost")


async def test_a_station_that_stops_tells_its_machines() -> None:
    heard, driven = Heard(), Heard()
    server = await run_secc(SeccConfig(), heard, host="127.0.0.1")
    await call(server.tcp_port, driven)
    await until(lambda: b"hello" in driven.events[0])
    await server.close()
    assert heard.events[0][-1] == "lost"
    with pytest.raises(NoConnection, match=r"127\.0\.0\.1 port"):
        await call(server.tcp_port, driven)


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({}, "interface or on a host"),
        ({"host": "somewhere"}, "no IP address"),
        ({"host": "fe80::1"}, "name its interface"),
        ({"interface": "nope0"}, "no network interface"),
        ({"host": "127.0.0.1", "tcp_port": None}, "needs certificates"),
        ({"host": "192.0.2.1"}, "cannot listen"),
    ],
)
async def test_what_a_station_cannot_listen_on_is_said(given: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        await run_secc(SeccConfig(), Heard(), **given)


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({}, "over an interface"),
        ({"host": "127.0.0.1"}, "without its port"),
        ({"host": "127.0.0.1", "port": 1, "security": "required"}, "needs the roots"),
    ],
)
async def test_what_a_vehicle_cannot_do_is_said(given: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        await dial_secc(EvccConfig(), Heard(), **given)
