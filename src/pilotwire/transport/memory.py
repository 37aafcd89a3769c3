"""OCPP-J connections in memory, over a `Scheduler`: the twin of the sockets for simulated time.

Everything that could go wrong is a decision of an injected `Faults`, so that a run is a function of its seed. What TCP
cannot do does not happen by itself either: a frame is lost only together with its connection, and frames are delivered
in order and once, unless the faults explicitly ask for duplicated or overtaking frames.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, Protocol

from pilotwire.core.ids import DEFAULT_TENANT
from pilotwire.core.time import Scheduler, Timestamp

from .port import SUBPROTOCOLS, DialResult, Endpoint, Handshake, Link, Receiver, Refuse

Direction = Literal["up", "down"]
"""up: from the station to the CSMS."""


class Flight(NamedTuple):
    """A frame as the faults see it when it is sent."""

    tenant: str
    identity: str
    connection: int
    """Counted from 1 over the whole network."""
    direction: Direction
    data: bytes
    number: int
    """Counted from 1 per connection and direction."""
    now: Timestamp


class Fate(NamedTuple):
    """What happens to a frame."""

    delay_ms: int = 0
    """On top of the latency. Later frames of the same direction wait behind it."""
    cut: Literal["", "before", "after"] = ""
    """The connection breaks when the frame arrives: before it is delivered (it is lost) or right after (its answer is).
    What is in flight by then in either direction is lost too."""
    notice_up_ms: int = 0
    """After a cut: how long until the station notices."""
    notice_down_ms: int = 0
    """After a cut: how long until the CSMS notices. Until then its end looks open (half-open)."""
    copies: int = 1
    """2: delivered twice, which no TCP does; for receivers that must survive worse."""
    overtake: bool = False
    """Ignore the order of the connection: with a delay this frame comes after younger ones."""


FINE = Fate()


class Faults(Protocol):
    """The decisions."""

    def dial(self, tenant: str, identity: str, now: Timestamp) -> str | int:
        """May this attempt reach the server: "" yes; a text is the reason why nothing answers; a number is the HTTP
        status that something in between answers (502 …)."""
        ...

    def frame(self, flight: Flight) -> Fate: ...


class NoFaults:
    """A perfect network."""

    def dial(self, tenant: str, identity: str, now: Timestamp) -> str | int:
        return ""

    def frame(self, flight: Flight) -> Fate:
        return FINE


class MemoryLink:
    """One end of a connection; `Link`."""

    def __init__(self, connection: MemoryConnection, direction: Direction, receiver: Receiver) -> None:
        self._connection = connection
        self._direction: Direction = direction
        self._receiver = receiver
        self._held: deque[bytes] = deque()
        self._paused = False
        self._releasing = False
        self._in_flight = 0
        self.open = True
        """Not yet reported as closed."""
        self.closing = False

    def send(self, frame: bytes) -> None:
        if self.open and not self.closing:
            self._connection.carry(self._direction, bytes(frame))

    def close(self, code: int = 1000, reason: str = "") -> None:
        if self.open and not self.closing:
            self.closing = True
            self._held.clear()
            self._connection.carry_close(self._direction, code, reason)

    def abort(self) -> None:
        """Vanish without a word, as a process that is killed: what is in flight is lost, the other end notices."""
        if self.open:
            self.open = False
            self._held.clear()
            self._connection.cut()

    def ping(self) -> None:
        if self.open and not self.closing:
            self._connection.carry_ping(self._direction)

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        if not self._paused:
            return
        self._paused = False
        if self._releasing:
            return
        self._releasing = True
        try:
            while self._held and not self._paused and self.open and not self.closing:
                self._receiver.frame(self._held.popleft())
        finally:
            self._releasing = False

    @property
    def backlog(self) -> int:
        """Bytes sent that the other end has not read: in flight, or waiting there while it is paused."""
        return self._connection.unread(self._direction)

    # Called by the connection

    def arrive(self, data: bytes) -> None:
        if not self.open or self.closing:
            return
        if self._paused or self._held:
            self._held.append(data)
        else:
            self._receiver.frame(data)

    def arrive_pong(self) -> None:
        if self.open and not self.closing:
            self._receiver.pong()

    def ended(self, code: int, reason: str) -> None:
        if self.open:
            self.open = False
            self._held.clear()
            self._receiver.closed(code, reason)

    def start(self) -> None:
        self._receiver.opened(self)

    @property
    def unread(self) -> int:
        return sum(map(len, self._held))


class MemoryConnection:
    """Both ends and the wires between them."""

    def __init__(
        self,
        network: MemoryNetwork,
        number: int,
        tenant: str,
        identity: str,
        station: Receiver,
        csms: Receiver,
        done: Callable[[DialResult], None],
    ) -> None:
        self._done: Callable[[DialResult], None] | None = done
        self.number = number
        self.tenant = tenant
        self.identity = identity
        self._network = network
        self._links: dict[Direction, MemoryLink] = {
            "up": MemoryLink(self, "up", station),
            "down": MemoryLink(self, "down", csms),
        }
        self._whole = True
        self._arrival: dict[Direction, int] = {"up": 0, "down": 0}
        self._count: dict[Direction, int] = {"up": 0, "down": 0}
        self._flying: dict[Direction, int] = {"up": 0, "down": 0}

    @property
    def station(self) -> MemoryLink:
        """The station's end."""
        return self._links["up"]

    @property
    def csms(self) -> MemoryLink:
        """The central system's end."""
        return self._links["down"]

    @property
    def whole(self) -> bool:
        """The wires carry."""
        return self._whole

    def cut(self, *, notice_up_ms: int = 0, notice_down_ms: int = 0) -> None:
        """Break the connection now: what is in flight is lost. Each end notices after its time, with code 1006."""
        if not self._whole:
            return
        self._whole = False
        self._flying = {"up": 0, "down": 0}
        later = self._network.scheduler.call_later
        later(notice_up_ms, lambda: self._ended("up", 1006, ""))
        later(notice_down_ms, lambda: self._ended("down", 1006, ""))

    def greet(self, subprotocol: str | None) -> None:
        """The station reads the server's answer: its end opens, unless the wire broke first."""
        done, self._done = self._done, None
        if done is not None:
            done(DialResult(status=101, subprotocol=subprotocol))
            self.station.start()

    # Called by the links; `direction` is that of travel, the sending end has the same name

    def carry(self, direction: Direction, data: bytes) -> None:
        if not self._whole:
            return
        now = self._network.scheduler.now()
        self._count[direction] += 1
        number = self._count[direction]
        fate = self._network.faults.frame(Flight(self.tenant, self.identity, self.number, direction, data, number, now))

        def arrive() -> None:
            self._flying[direction] -= len(data)
            if fate.cut == "before":
                self.cut(notice_up_ms=fate.notice_up_ms, notice_down_ms=fate.notice_down_ms)
                return
            for _ in range(fate.copies):
                self._other(direction).arrive(data)
            if fate.cut == "after":
                self.cut(notice_up_ms=fate.notice_up_ms, notice_down_ms=fate.notice_down_ms)

        self._flying[direction] += len(data)
        self._later(direction, arrive, fate.delay_ms, fate.overtake)

    def carry_close(self, direction: Direction, code: int, reason: str) -> None:
        back: Direction = "down" if direction == "up" else "up"

        def arrive() -> None:
            # The peer closes in answer; neither end is written to any more.
            self._ended(back, code, reason)
            self._later(back, lambda: self._over(direction, code, reason), 0, False)

        if self._whole:
            self._later(direction, arrive, 0, False)
        else:
            # Half-open: nobody answers; the end gives up after the time that the sockets' edge waits too.
            self._network.scheduler.call_later(3000, lambda: self._ended(direction, code, reason))

    def carry_ping(self, direction: Direction) -> None:
        back: Direction = "down" if direction == "up" else "up"

        def arrive() -> None:
            if self._links[back].open:
                self._later(back, self._links[direction].arrive_pong, 0, False)

        if self._whole:
            self._later(direction, arrive, 0, False)

    def unread(self, direction: Direction) -> int:
        return self._flying[direction] + self._other(direction).unread

    # Within

    def _other(self, direction: Direction) -> MemoryLink:
        return self._links["down" if direction == "up" else "up"]

    def _later(self, direction: Direction, arrive: Callable[[], None], delay_ms: int, overtake: bool) -> None:
        scheduler = self._network.scheduler
        due = scheduler.now() + self._network.latency_ms + delay_ms
        if not overtake:
            due = max(due, self._arrival[direction])
            self._arrival[direction] = due

        def landed() -> None:
            if self._whole:
                arrive()

        scheduler.call_later(due - scheduler.now(), landed)

    def _over(self, direction: Direction, code: int, reason: str) -> None:
        self._whole = False
        self._ended(direction, code, reason)

    def _ended(self, direction: Direction, code: int, reason: str) -> None:
        link = self._links[direction]
        done = self._done if direction == "up" else None
        if done is not None:
            # The station never saw the answer to its handshake.
            self._done = None
            link.open = False
            done(DialResult(status=0, reason="the connection broke during the handshake"))
        elif link.open:
            link.ended(code, reason)
        if not self.station.open and not self.csms.open:
            self._whole = False
            self._network.forget(self)


class MemoryNetwork:
    """Stations' dialers on one side, one endpoint on the other."""

    def __init__(self, scheduler: Scheduler, *, latency_ms: int = 20, faults: Faults | None = None) -> None:
        self.scheduler = scheduler
        self.latency_ms = latency_ms
        """One way."""
        self.faults: Faults = faults or NoFaults()
        self.connections: dict[int, MemoryConnection] = {}
        """Of which at least one end has not noticed the end yet, by number."""
        self._endpoint: Endpoint | None = None
        self._opened = 0

    def serve(self, endpoint: Endpoint | None) -> None:
        """Who answers from now on; None: nobody, connections are refused. Open connections are not touched."""
        self._endpoint = endpoint

    def crash(self, *, notice_ms: int = 0) -> None:
        """The server process dies: nobody answers, its ends vanish without a word (no `closed` is called on them)."""
        self._endpoint = None
        for connection in list(self.connections.values()):
            connection.csms.open = False
            connection.cut(notice_up_ms=notice_ms)

    def dialer(
        self,
        identity: str,
        *,
        tenant: str = DEFAULT_TENANT,
        user: str | None = None,
        password: bytes | None = None,
        certificate: bytes | None = None,
        tls: bool = False,
    ) -> MemoryDialer:
        """A station's `Dialer`."""
        return MemoryDialer(self, tenant, identity, user, password, certificate, tls)

    def forget(self, connection: MemoryConnection) -> None:
        """Called by a connection that is over at both ends."""
        self.connections.pop(connection.number, None)

    def attempt(
        self, dialer: MemoryDialer, receiver: Receiver, offered: Sequence[str], done: Callable[[DialResult], None]
    ) -> None:
        """Called by a dialer: the request takes one latency there, the answer one back."""
        names = tuple(offered)

        def refuse(status: int, reason: str) -> None:
            self.scheduler.call_later(self.latency_ms, lambda: done(DialResult(status=status, reason=reason)))

        def arrive() -> None:
            trouble = self.faults.dial(dialer.tenant, dialer.identity, self.scheduler.now())
            if trouble != "":
                refuse(trouble, "refused on the way") if isinstance(trouble, int) else refuse(0, trouble)
                return
            endpoint = self._endpoint
            if endpoint is None:
                refuse(0, "connection refused")
                return
            if dialer.user is not None and dialer.user != dialer.identity:
                refuse(401, "the user is not the identity")
                return
            chosen = next((name for name in names if name in SUBPROTOCOLS), None)
            answer = endpoint.admit(
                Handshake(
                    tenant=dialer.tenant,
                    identity=dialer.identity,
                    subprotocol=chosen,
                    user=dialer.user.encode() if dialer.user is not None else None,
                    password=dialer.password,
                    peer=f"memory:{dialer.identity}",
                    tls=dialer.tls,
                    certificate=dialer.certificate,
                )
            )
            if isinstance(answer, Refuse):
                refuse(answer.status, "the server refused")
                return
            self._open(dialer, receiver, answer if chosen is not None else _Nobody(), chosen, done)

        self.scheduler.call_later(self.latency_ms, arrive)

    def _open(
        self,
        dialer: MemoryDialer,
        station: Receiver,
        csms: Receiver,
        chosen: str | None,
        done: Callable[[DialResult], None],
    ) -> None:
        self._opened += 1
        connection = MemoryConnection(self, self._opened, dialer.tenant, dialer.identity, station, csms, done)
        self.connections[connection.number] = connection

        # Scheduled before anything that the server sends on opening, so it comes first at the station.
        self.scheduler.call_later(self.latency_ms, lambda: connection.greet(chosen))
        connection.csms.start()


class MemoryDialer:
    """`Dialer` into a MemoryNetwork. `password`, `certificate` and the rest may be changed between attempts."""

    def __init__(
        self,
        network: MemoryNetwork,
        tenant: str,
        identity: str,
        user: str | None,
        password: bytes | None,
        certificate: bytes | None,
        tls: bool,
    ) -> None:
        self.tenant, self.identity = tenant, identity
        self.user, self.password = user, password
        self.certificate, self.tls = certificate, tls
        self._network = network

    def dial(self, receiver: Receiver, offered: Sequence[str], done: Callable[[DialResult], None]) -> None:
        """See `Dialer.dial`."""
        self._network.attempt(self, receiver, offered, done)


class _Nobody:
    """At the server's end when no subprotocol is common."""

    def opened(self, link: Link) -> None:
        link.close(1002, "no common subprotocol")

    def frame(self, data: bytes) -> None:
        raise AssertionError("no frame is delivered after close")

    def pong(self) -> None:
        """Nothing was asked."""

    def closed(self, code: int, reason: str) -> None:
        """Nobody to tell."""
