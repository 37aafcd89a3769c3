"""Connections in memory: what TCP and the handshake promise, and exactly the faults that are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import pytest

from pilotwire.core.time import SimScheduler, Timestamp
from pilotwire.transport.memory import FINE, Fate, Flight, MemoryDialer, MemoryNetwork
from pilotwire.transport.port import DialResult, Handshake, Link, Receiver, Refuse


class End:
    """A receiver that remembers everything, with the time of it."""

    def __init__(self, scheduler: SimScheduler, name: str = "", echo: bool = False) -> None:
        self.scheduler, self.name, self.echo = scheduler, name, echo
        self.link: Link | None = None
        self.frames: list[bytes] = []
        self.log: list[tuple[int, str]] = []

    def note(self, what: str) -> None:
        self.log.append((self.scheduler.now(), what))

    def opened(self, link: Link) -> None:
        assert self.link is None
        self.link = link
        self.note("opened")

    def frame(self, data: bytes) -> None:
        self.frames.append(data)
        self.note("frame")
        if self.echo:
            assert self.link is not None
            self.link.send(b"re:" + data)

    def pong(self) -> None:
        self.note("pong")

    def closed(self, code: int, reason: str) -> None:
        self.note(f"closed {code}")


class Desk:
    """An endpoint that admits everybody but "stranger"."""

    def __init__(self, scheduler: SimScheduler, echo: bool = False, greeting: bytes = b"") -> None:
        self.scheduler, self.echo, self.greeting = scheduler, echo, greeting
        self.handshakes: list[Handshake] = []
        self.ends: list[End] = []

    def admit(self, handshake: Handshake) -> Receiver | Refuse:
        self.handshakes.append(handshake)
        if handshake.identity == "stranger":
            return Refuse(404, "unknown")
        end = End(self.scheduler, "csms", self.echo)
        if self.greeting:
            plain = end.opened

            def opened(link: Link) -> None:
                plain(link)
                link.send(self.greeting)

            end.opened = opened  # type: ignore[method-assign]
        self.ends.append(end)
        return end


class Scripted:
    """Faults by (direction, number of the frame), and texts for dials in order."""

    def __init__(self, frames: dict[tuple[str, int], Fate] | None = None, dials: Sequence[str | int] = ()) -> None:
        self.frames, self.dials = frames or {}, list(dials)

    def dial(self, tenant: str, identity: str, now: Timestamp) -> str | int:
        return self.dials.pop(0) if self.dials else ""

    def frame(self, flight: Flight) -> Fate:
        return self.frames.get((flight.direction, flight.number), FINE)


@pytest.fixture
def scheduler() -> SimScheduler:
    return SimScheduler(start=0)


def dial(dialer: MemoryDialer, end: End, offered: Sequence[str] = ("ocpp2.0.1",)) -> list[DialResult]:
    results: list[DialResult] = []

    def done(result: DialResult) -> None:
        end.note(f"done {result.status}")
        results.append(result)

    dialer.dial(end, offered, done)
    return results


def opened(
    scheduler: SimScheduler, faults: Scripted | None = None, echo: bool = False
) -> tuple[MemoryNetwork, End, End]:
    network = MemoryNetwork(scheduler, latency_ms=10, faults=faults)
    desk = Desk(scheduler, echo)
    network.serve(desk)
    station = End(scheduler)
    dial(network.dialer("CS1"), station)
    scheduler.run_for(20)
    return network, station, desk.ends[0]


def test_opening_takes_a_round_trip_and_done_comes_before_opened_before_frames(scheduler: SimScheduler) -> None:
    network = MemoryNetwork(scheduler, latency_ms=10)
    desk = Desk(scheduler, greeting=b"hello")
    network.serve(desk)
    station = End(scheduler)
    dialer = network.dialer("CS1", tenant="t", user="CS1", password=b"\xff:x", certificate=b"der", tls=True)
    results = dial(dialer, station, ("ocpp3.0", "ocpp1.6", "ocpp2.1"))
    assert results == [], "never called before dial returns"
    scheduler.run_for(1000)
    assert results == [DialResult(status=101, subprotocol="ocpp1.6")]
    assert station.log == [(20, "done 101"), (20, "opened"), (20, "frame")]
    assert desk.ends[0].log == [(10, "opened")]
    handshake = desk.handshakes[0]
    assert (handshake.tenant, handshake.identity, handshake.subprotocol) == ("t", "CS1", "ocpp1.6")
    assert (handshake.user, handshake.password, handshake.certificate) == (b"CS1", b"\xff:x", b"der")
    assert handshake.tls


@pytest.mark.parametrize(
    ("identity", "user", "serving", "dials", "status"),
    [
        ("stranger", None, True, [], 404),
        ("CS1", "CS2", True, [], 401),
        ("CS1", None, False, [], 0),
        ("CS1", None, True, ["no route"], 0),
        ("CS1", None, True, [502], 502),
    ],
)
def test_a_refused_dial_reports_once_and_touches_nothing(
    scheduler: SimScheduler, identity: str, user: str | None, serving: bool, dials: list[str | int], status: int
) -> None:
    network = MemoryNetwork(scheduler, latency_ms=10, faults=Scripted(dials=dials))
    if serving:
        network.serve(Desk(scheduler))
    station = End(scheduler)
    results = dial(network.dialer(identity, user=user), station)
    scheduler.run_for(1000)
    assert [result.status for result in results] == [status]
    assert not results[0].opened and results[0].reason
    assert station.log == [(20, f"done {status}")]
    assert not network.connections


def test_no_common_subprotocol_opens_and_closes_at_once(scheduler: SimScheduler) -> None:
    network = MemoryNetwork(scheduler, latency_ms=10)
    desk = Desk(scheduler)
    network.serve(desk)
    station = End(scheduler)
    results = dial(network.dialer("CS1"), station, ("ocpp1.2",))
    scheduler.run_for(1000)
    assert results == [DialResult(status=101, subprotocol=None)]
    assert [what for _, what in station.log] == ["done 101", "opened", "closed 1002"]
    assert desk.handshakes[0].subprotocol is None
    assert desk.ends[0].log == [], "the endpoint's receiver is never opened"
    assert not network.connections


def test_frames_keep_their_order_behind_a_delayed_one(scheduler: SimScheduler) -> None:
    _network, station, csms = opened(scheduler, Scripted({("up", 2): Fate(delay_ms=500)}))
    assert station.link is not None
    for number in range(4):
        station.link.send(b"%d" % number)
    scheduler.run_for(1000)
    assert csms.frames == [b"0", b"1", b"2", b"3"]
    assert [when for when, what in csms.log if what == "frame"] == [30, 530, 530, 530]


def test_overtaking_and_copies_happen_only_when_asked_for(scheduler: SimScheduler) -> None:
    faults = Scripted({("up", 1): Fate(delay_ms=500, overtake=True), ("up", 2): Fate(copies=2)})
    _network, station, csms = opened(scheduler, faults)
    assert station.link is not None
    for number in range(3):
        station.link.send(b"%d" % number)
    scheduler.run_for(1000)
    assert csms.frames == [b"1", b"1", b"2", b"0"]


def test_a_cut_before_delivery_loses_the_frame_and_everything_behind_it(scheduler: SimScheduler) -> None:
    faults = Scripted({("up", 2): Fate(cut="before", notice_up_ms=100, notice_down_ms=30_000)})
    network, station, csms = opened(scheduler, faults)
    assert station.link is not None and csms.link is not None
    for number in range(3):
        station.link.send(b"%d" % number)
    scheduler.run_for(50)
    assert csms.frames == [b"0"]
    # Half-open: the CSMS writes into the void, and a ping is not answered.
    csms.link.send(b"lost")
    csms.link.ping()
    scheduler.run_for(60_000)
    assert station.frames == []
    assert station.log[-1] == (130, "closed 1006")
    assert csms.log[-1] == (30_030, "closed 1006")
    assert not network.connections
    csms.link.send(b"nothing happens")
    scheduler.run_for(1000)


def test_a_cut_after_delivery_loses_the_answer(scheduler: SimScheduler) -> None:
    _network, station, csms = opened(scheduler, Scripted({("up", 1): Fate(cut="after")}), echo=True)
    assert station.link is not None
    station.link.send(b"x")
    scheduler.run_for(1000)
    assert csms.frames == [b"x"]
    assert station.frames == []
    assert [what for _, what in station.log][-1] == "closed 1006"


def test_closing_is_told_to_both_ends_once_and_stops_frames(scheduler: SimScheduler) -> None:
    network, station, csms = opened(scheduler)
    assert station.link is not None and csms.link is not None
    station.link.send(b"before")
    station.link.close(1001, "bye")
    station.link.send(b"after")
    station.link.close(1000)
    csms.link.send(b"crossing")
    scheduler.run_for(1000)
    assert csms.frames == [b"before"]
    assert station.frames == [], "no frame is delivered after close"
    assert [what for _, what in csms.log] == ["opened", "frame", "closed 1001"]
    assert [what for _, what in station.log] == ["done 101", "opened", "closed 1001"]
    assert not network.connections


def test_both_ends_closing_at_once_end_once_each(scheduler: SimScheduler) -> None:
    network, station, csms = opened(scheduler)
    assert station.link is not None and csms.link is not None
    station.link.close(1000)
    csms.link.close(1012)
    scheduler.run_for(5000)
    assert sum(what.startswith("closed") for _, what in station.log) == 1
    assert sum(what.startswith("closed") for _, what in csms.log) == 1
    assert not network.connections


def test_closing_a_half_open_link_ends_after_the_closing_timeout(scheduler: SimScheduler) -> None:
    network, _station, csms = opened(scheduler)
    assert csms.link is not None
    network.connections[1].cut(notice_up_ms=0, notice_down_ms=900_000)
    scheduler.run_for(10)
    csms.link.close(1000)
    scheduler.run_for(5000)
    assert csms.log[-1][1] == "closed 1000"
    assert not network.connections


def test_ping_is_answered_after_a_round_trip(scheduler: SimScheduler) -> None:
    _, _station, csms = opened(scheduler)
    assert csms.link is not None
    csms.link.ping()
    scheduler.run_for(1000)
    assert csms.log[-1] == (40, "pong")


def test_pause_holds_frames_and_shows_as_backlog(scheduler: SimScheduler) -> None:
    _, station, csms = opened(scheduler)
    assert station.link is not None and csms.link is not None
    csms.link.pause()
    for number in range(3):
        station.link.send(b"%d" % number)
    scheduler.run_for(1000)
    assert csms.frames == [] and station.link.backlog == 3
    link = csms.link
    plain: Callable[[bytes], None] = csms.frame

    def pause_again(data: bytes) -> None:
        plain(data)
        if data == b"1":
            link.pause()

    csms.frame = pause_again  # type: ignore[method-assign]
    csms.link.resume()
    assert csms.frames == [b"0", b"1"]
    csms.link.resume()
    assert csms.frames == [b"0", b"1", b"2"] and station.link.backlog == 0


def test_a_connection_that_breaks_during_the_handshake_fails_the_dial(scheduler: SimScheduler) -> None:
    network = MemoryNetwork(scheduler, latency_ms=10)
    desk = Desk(scheduler)
    network.serve(desk)
    station = End(scheduler)
    results = dial(network.dialer("CS1"), station)
    scheduler.run_for(15)
    network.connections[1].cut()
    scheduler.run_for(1000)
    assert [result.status for result in results] == [0]
    assert [what for _, what in station.log] == ["done 0"]
    assert desk.ends[0].log[-1][1] == "closed 1006"


def test_a_crash_takes_the_server_away_without_a_word(scheduler: SimScheduler) -> None:
    network, station, csms = opened(scheduler)
    network.crash(notice_ms=200)
    scheduler.run_for(1000)
    assert [what for _, what in csms.log] == ["opened"]
    assert station.log[-1] == (220, "closed 1006")
    again = End(scheduler)
    assert dial(network.dialer("CS1"), again) == []
    scheduler.run_for(1000)
    assert again.log == [(1040, "done 0")]
    network.serve(Desk(scheduler))
    dial(network.dialer("CS1"), again)
    scheduler.run_for(1000)
    assert again.log[-1][1] == "opened"


class Dice:
    """Random faults from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def dial(self, tenant: str, identity: str, now: Timestamp) -> str | int:
        return self._random.choice(["", "", "", "no route", 503])

    def frame(self, flight: Flight) -> Fate:
        return Fate(
            delay_ms=self._random.randrange(300),
            cut=self._random.choices(["", "before", "after"], [8, 1, 1])[0],  # type: ignore[arg-type]
            notice_up_ms=self._random.randrange(100),
            notice_down_ms=self._random.randrange(10_000),
        )


def run_of(seed: int) -> tuple[list[tuple[int, str]], list[bytes], list[bytes]]:
    scheduler = SimScheduler(start=0)
    network = MemoryNetwork(scheduler, latency_ms=10, faults=Dice(seed))
    desk = Desk(scheduler, echo=True)
    network.serve(desk)
    log: list[tuple[int, str]] = []
    sent: list[bytes] = []

    def attempt() -> None:
        station = End(scheduler)
        station.log = log

        def done(result: DialResult) -> None:
            if not result.opened:
                scheduler.call_later(1000, attempt)
                return
            scheduler.call_later(5, talk)
            plain = station.closed

            def closed(code: int, reason: str) -> None:
                plain(code, reason)
                scheduler.call_later(1000, attempt)

            station.closed = closed  # type: ignore[method-assign]

        def talk() -> None:
            if station.link is not None and len(sent) < 200:
                sent.append(b"%d" % len(sent))
                station.link.send(sent[-1])
                scheduler.call_later(50, talk)

        network.dialer("CS1").dial(station, ("ocpp2.1",), done)

    attempt()
    scheduler.run_for(3_600_000)
    return log, sent, [frame for end in desk.ends for frame in end.frames]


def test_a_run_is_a_function_of_its_seed_and_frames_arrive_at_most_once_in_order() -> None:
    first, again, other = run_of(7), run_of(7), run_of(8)
    assert first == again
    assert first != other
    _log, sent, arrived = first
    assert len(sent) == 200
    assert 0 < len(arrived) < len(sent), "some were lost with their connections"
    assert len(set(arrived)) == len(arrived)
