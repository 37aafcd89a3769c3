"""Discovery: the datagrams of both ends, the vehicle's patience, and what is not answered."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.timers import every_timer, just, shown

from pilotwire.core.machines import Send
from pilotwire.core.runner import Runner
from pilotwire.core.time import SimScheduler
from pilotwire.core.timers import TimerRule
from pilotwire.protocols.iso15118 import sdp
from pilotwire.protocols.iso15118.sdp import Datagram, Found, NotFound, Request, Response, Wireless
from pilotwire.protocols.iso15118.timers import SDP_MOST, SDP_RETRY

HERE = Response("fe80::1", 50_000, True)


class World:
    def __init__(self, **options: Any) -> None:
        self.machine = sdp.SdpClient(**options)
        self.scheduler = SimScheduler()
        self.sent: list[bytes] = []
        self.events: list[Any] = []
        self.runner = Runner(self.machine, self.scheduler, send=self.sent.append, event=self.events.append)
        self.runner.start()

    def hears(self, response: Response) -> None:
        self.runner.received(sdp.write_response(response))


def test_the_bytes_are_those_of_the_field() -> None:
    assert sdp.write_request(Request(tls=False)).hex() == "01fe9000000000021000"
    assert sdp.write_request(Request(tls=True)).hex() == "01fe9000000000020000"
    answer = sdp.write_response(Response("fe80::c0a8:1", 61_851, False))
    assert answer.hex() == "01fe900100000014" + "fe8000000000000000000000c0a80001" + "f19b" + "1000"


ids = st.text("ABCXYZ123456789*", max_size=20)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    st.booleans(),
    st.none() | st.builds(Wireless, st.integers(0, 65_535), st.integers(0, 255), ids, ids, st.just("found")),
)
def test_requests_there_and_back(tls: bool, wireless: Wireless | None) -> None:
    assert sdp.read_request(sdp.write_request(Request(tls, wireless))) == Request(tls, wireless)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    st.ip_addresses(v=6).filter(lambda one: not one.is_multicast and not one.is_unspecified),
    st.integers(1, 65_535),
    st.booleans(),
    st.none() | st.builds(Wireless, st.just(0), st.integers(0, 255), st.just(""), ids, st.just("found")),
)
def test_responses_there_and_back(address: Any, port: int, tls: bool, wireless: Wireless | None) -> None:
    response = Response(str(address), port, tls, wireless)
    assert sdp.read_response(sdp.write_response(response)) == response


BAD = [
    b"", b"\x01\xfe", bytes.fromhex("01fe90000000000210"), bytes.fromhex("01fe9000000000021000ff"),
    bytes.fromhex("01fd9000000000021000"), bytes.fromhex("01fe8001000000021000"),
    bytes.fromhex("01fe9000000000022000"), bytes.fromhex("01fe9000000000021010"),
    bytes.fromhex("01fe900000000003100000"), bytes.fromhex("01fe9000ffffffff1000"),
    bytes.fromhex("01fe9002000000021000"), bytes.fromhex("01fe90020000003d") + b"\x00" * 5 + b"\xff" * 56,
]  # fmt: skip


@pytest.mark.parametrize("data", BAD, ids=[data.hex()[:24] or "nothing" for data in BAD])
def test_the_station_is_silent_to_what_is_no_request(data: bytes) -> None:
    server = sdp.SdpServer("fe80::1", tcp=50_000, tls=None)
    assert server.receive(Datagram(data), 0) == ()
    assert (server.ignored, server.answered) == (1, 0)


@pytest.mark.parametrize(
    ("tcp", "tls", "asked", "told"),
    [
        (50_000, 50_001, True, (50_001, True)),
        (50_000, 50_001, False, (50_000, False)),
        (50_000, None, True, (50_000, False)),
        (50_000, None, False, (50_000, False)),
        (None, 50_001, True, (50_001, True)),
        (None, 50_001, False, (50_001, True)),
    ],
)
def test_a_vehicle_is_told_what_there_is(tcp: Any, tls: Any, asked: bool, told: tuple[int, bool]) -> None:
    server = sdp.SdpServer("fe80::1%eth0", tcp=tcp, tls=tls)
    (effect,) = server.receive(Datagram(sdp.write_request(Request(asked)), "asker"), 0)
    assert isinstance(effect, Send) and effect.data.peer == "asker"
    assert sdp.read_response(effect.data.data) == Response("fe80::1", *told)


def test_a_station_that_listens_nowhere_is_none() -> None:
    with pytest.raises(ValueError, match="listens"):
        sdp.SdpServer("fe80::1", tcp=None, tls=None)


def test_the_vehicle_asks_fifty_times_and_gives_up() -> None:
    world = World(tls="none")
    world.scheduler.run_for(60_000)
    assert world.sent == [sdp.write_request(Request(False))] * SDP_MOST
    assert world.events == [NotFound("nobody answered, asked 50 times")]
    world.hears(Response("fe80::1", 50_000, False))
    assert len(world.events) == 1


def test_the_first_answer_that_fits_counts() -> None:
    world = World(tls="required")
    world.hears(HERE._replace(tls=False))
    world.runner.received(b"\x01\xfe\x90\x01")
    world.runner.received(sdp.write_request(Request(True)))
    assert not world.events and world.machine.ignored == 2
    world.hears(HERE)
    world.hears(HERE._replace(port=50_001))
    assert world.events == [Found("fe80::1", 50_000, True)]
    world.scheduler.run_for(60_000)
    assert len(world.sent) == 1 and len(world.events) == 1


@pytest.mark.parametrize(
    ("wanted", "offered", "taken"),
    [
        ("required", True, True), ("required", False, False), ("preferred", True, True), ("preferred", False, True),
        ("none", True, False), ("none", False, True),
    ],
)  # fmt: skip
def test_what_the_vehicle_takes(wanted: Any, offered: bool, taken: bool) -> None:
    world = World(tls=wanted)
    world.hears(HERE._replace(tls=offered))
    assert bool(world.events) == taken
    world.scheduler.run_for(60_000)
    assert world.events == [
        Found("fe80::1", 50_000, offered)
        if taken
        else NotFound(f"the station at fe80::1 {'wants' if offered else 'has no'} TLS, asked 50 times")
    ]


@pytest.mark.parametrize(
    "response", [HERE._replace(port=0), HERE._replace(address="ff02::1"), HERE._replace(address="::")]
)
def test_nobody_listens_there(response: Response) -> None:
    world = World()
    world.hears(response)
    assert not world.events and world.machine.ignored == 1


def test_wireless_waits_until_the_station_knows_where_the_vehicle_stands() -> None:
    server = sdp.SdpServer("fe80::1", tcp=None, tls=50_000, evse_id="ZZ*PWR*E1")
    world = World(tls="required", wireless=Wireless(0x40, 0x03, "WMIV1234567890ABCDEX"))

    def answer() -> None:
        (effect,) = server.receive(Datagram(world.sent[-1]), 0)
        world.runner.received(effect.data.data)

    server.diagnosis = "ongoing"
    for _ in range(100):
        world.scheduler.run_for(SDP_RETRY.ms)
        answer()
    server.diagnosis = "no-secc"
    answer()
    assert not world.events and len(world.sent) == 101
    world.hears(HERE)
    assert world.machine.ignored == 1, "an answer of the other kind is none"
    server.diagnosis = "found"
    answer()
    assert world.events == [Found("fe80::1", 50_000, True, "ZZ*PWR*E1")]


def test_every_bit_flip_and_every_cut_of_a_response_is_taken_or_ignored() -> None:
    for wireless in (None, Wireless(0, 0, "", "ZZ*PWR*E1")):
        good = sdp.write_response(HERE._replace(wireless=wireless))
        inputs = [good[:cut] for cut in range(len(good))]
        for place in range(len(good) * 8):
            flipped = bytearray(good)
            flipped[place // 8] ^= 1 << place % 8
            inputs.append(bytes(flipped))
        for data in inputs:
            world = World(tls="preferred", wireless=Wireless() if wireless else None)
            world.runner.received(data)
            assert len(world.events) <= 1
            assert world.machine.deadline is not None or type(world.events[0]) is Found


@every_timer((SDP_RETRY,))
def test_timer_of_the_answer(rule: TimerRule, edge: str) -> None:
    world = World()
    world.scheduler.run_for(just(rule, edge))
    assert len(world.sent) == (2 if edge == "outside" else 1)
    last = World()
    last.scheduler.run_for(rule.ms * (SDP_MOST - 1) + just(rule, edge))
    last.hears(HERE)
    assert type(last.events[0]) is (NotFound if edge == "outside" else Found)
    shown(
        rule,
        edge,
        f"{len(world.sent)} request(s) sent; an answer to the last one is {'late' if edge == 'outside' else 'taken'}",
    )
