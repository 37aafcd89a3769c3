"""Our station and our central system over real mutual TLS (security profile 3), in time that the test moves.

Sockets, handshakes, certificates and frames are real; only the clock of both sides stands still until whatever is on
its way has arrived. So an hour passes in a second, and no machine is too slow. Every frame is seen at both ends of the
wire and held against the standard's schemas, as PyPI `ocpp` has them.
"""

from __future__ import annotations

import asyncio
import heapq
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

import jsonschema_rs

from pilotwire.cli.secret import server_chain, server_tls
from pilotwire.core.ids import DEFAULT_TENANT, SeededIds, StationKey
from pilotwire.core.time import SimScheduler, to_datetime, to_rfc3339
from pilotwire.crypto import pem, requests
from pilotwire.crypto.subject import read_subject
from pilotwire.csms.service import CentralSystem
from pilotwire.domain.records import StationAccount, Token
from pilotwire.station.config import EvseConfig, StationConfig
from pilotwire.station.keystore import CSMS_ROOT, Leaf
from pilotwire.station.ports import Receipt
from pilotwire.station.program import Station
from pilotwire.station.storage import MemoryStorage
from pilotwire.storage.memory import MemoryStore
from pilotwire.transport.bus import CommandReply, CommandRequest, LocalBus
from pilotwire.transport.ocpp.client import LoopDialer
from pilotwire.transport.ocpp.picows_server import PicowsServer
from pilotwire.transport.port import DialResult, Handshake, Receiver
from pilotwire.twin.identity import dress

NAME, ORGANIZATION = "CS-1", "Netz AG"
KEY = StationKey(DEFAULT_TENANT, NAME)
BEHIND_MS = 3 * 3_600_000
"""The test's clock starts so far behind the real one, by which TLS judges: no certificate is made in its future."""
_PATIENCE_S = 90
_QUIET = 6
"""Rounds of the loop in which nothing moves: then nothing is on its way."""
_FOLDERS = {"1.6": "v16", "2.0.1": "v201", "2.1": "v21"}


class Clock(SimScheduler):
    """Simulated time that tells what is next."""

    @property
    def due(self) -> int | None:
        """When the next timer is due."""
        while self._heap and self._heap[0][2].callback is None:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None


@cache
def validator(version: str, message: str) -> Any:
    """Of `<Action>Request` or `<Action>Response`."""
    spec = find_spec("ocpp")
    assert spec is not None and spec.origin is not None
    folder = Path(spec.origin).parent / _FOLDERS[version] / "schemas"
    unanswered = message == "NotifyPeriodicEventStreamRequest"
    name = message.removesuffix("Request") if version == "1.6" or unanswered else message
    schema = json.loads((folder / f"{name}.json").read_text("utf-8-sig"))
    return jsonschema_rs.validator_for(schema, validate_formats=True)


class Wire:
    """What went over it: `answered[direction, action]` counts CALLs with their CALLRESULT and SENDs that arrived,
    directions being "up" (by the station) and "down"."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.answered: Counter[tuple[str, str]] = Counter()
        self.errors: list[tuple[str, str, list[Any]]] = []
        """(direction, action, CALLERROR)"""
        self.faults: list[str] = []
        """Frames that no schema allows."""
        self.handshakes: list[Handshake] = []
        self.dialing = 0
        self.moved = 0
        """Counts everything: whoever sees it stand still sees the wire at rest."""
        self._open: dict[tuple[str, str], str] = {}
        self._ends: dict[str, list[_End]] = {"station": [], "csms": []}

    def end(self, side: str) -> _End:
        made = _End(self, side)
        self._ends[side].append(made)
        return made

    @property
    def at_rest(self) -> bool:
        """Nobody dials, and every connection is closed at both ends or has nothing under way."""
        if self.dialing or len(self._ends["station"]) != len(self._ends["csms"]):
            return False
        for station, csms in zip(self._ends["station"], self._ends["csms"], strict=True):
            if station.closed != csms.closed:
                return False
            if not station.closed and (station.sent != csms.heard or csms.sent != station.heard or station.pings):
                return False
        return True

    def seen(self, direction: str, frame: bytes) -> None:
        """A frame has arrived. What is wrong with it is kept for the test: raised here, it would end the connection."""
        try:
            self._judge(direction, json.loads(frame))
        except (ValueError, KeyError, OSError) as error:
            self.faults.append(f"{direction}: {frame[:300]!r}: {error!r}")

    def _judge(self, direction: str, message: list[Any]) -> None:
        kind = message[0]
        back = "down" if direction == "up" else "up"
        if kind in (2, 6):
            action = message[2]
            validator(self.version, f"{action}Request").validate(message[3])
            if kind == 6:
                self.answered[direction, action] += 1
            else:
                self._open[direction, message[1]] = action
            return
        action = self._open.pop((back, message[1]))
        if kind == 3:
            validator(self.version, f"{action}Response").validate(message[2])
            self.answered[back, action] += 1
        else:
            self.errors.append((back, action, message))

    # Endpoint and Dialer, as the wire has them in between
    def endpoint(self, inner: Any) -> Any:
        return _Endpoint(self, inner)

    def dialer(self, inner: LoopDialer) -> Any:
        return _Dialer(self, inner)


class _End:
    """One end of one connection, counting."""

    def __init__(self, wire: Wire, side: str) -> None:
        self.wire, self.side = wire, side
        self.sent = self.heard = self.pings = 0
        self.closed = False


class _Link:
    def __init__(self, end: _End, inner: Any) -> None:
        self._end, self._inner = end, inner

    def send(self, frame: bytes) -> None:
        self._end.sent += 1
        self._end.wire.moved += 1
        self._inner.send(frame)

    def ping(self) -> None:
        self._end.pings += 1
        self._inner.ping()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _Receiver:
    def __init__(self, wire: Wire, side: str, inner: Any) -> None:
        self._wire, self._side, self._inner = wire, side, inner
        self._end: _End | None = None

    def opened(self, link: Any) -> None:
        self._end = self._wire.end(self._side)
        self._wire.moved += 1
        self._inner.opened(_Link(self._end, link))

    def frame(self, data: bytes) -> None:
        assert self._end is not None
        self._end.heard += 1
        self._wire.moved += 1
        self._wire.seen("up" if self._side == "csms" else "down", bytes(data))
        self._inner.frame(data)

    def pong(self) -> None:
        assert self._end is not None
        self._end.pings = 0
        self._inner.pong()

    def closed(self, code: int, reason: str) -> None:
        if self._end is not None:
            self._end.closed = True
        self._wire.moved += 1
        self._inner.closed(code, reason)


class _Endpoint:
    def __init__(self, wire: Wire, inner: Any) -> None:
        self._wire, self._inner = wire, inner

    def admit(self, handshake: Handshake) -> Any:
        admitted = self._inner.admit(handshake)
        if not hasattr(admitted, "opened"):
            return admitted
        self._wire.handshakes.append(handshake)
        return _Receiver(self._wire, "csms", admitted)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _Dialer:
    def __init__(self, wire: Wire, inner: LoopDialer) -> None:
        self._wire, self._inner = wire, inner

    def dial(self, receiver: Receiver, offered: Sequence[str], done: Callable[[DialResult], None]) -> None:
        self._wire.dialing += 1

        def ended(result: DialResult) -> None:
            self._wire.dialing -= 1
            self._wire.moved += 1
            done(result)

        self._inner.dial(_Receiver(self._wire, "station", receiver), offered, ended)


class Terminal:
    """A payment terminal that takes every card."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def reserve(self, card: str, amount: Decimal, done: Callable[[str | None, Mapping[str, str]], None]) -> None:
        self._clock.call_later(1000, lambda: done("PSP-1", {}))

    def increase(self, ref: str, more: Decimal, done: Callable[[bool], None]) -> None:
        self._clock.call_later(1000, lambda: done(True))

    def release(self, ref: str) -> None: ...

    def settle(self, ref: str, amount: Decimal, done: Callable[[Receipt], None]) -> None:
        self._clock.call_later(1000, lambda: done(Receipt("Settled", "R-1", "https://receipts.example/R-1")))


class Pair:
    """The two, and the time between them."""

    def __init__(self, version: str, folder: Path) -> None:
        """`folder` has the listener's certificates in `tls`."""
        self.version, self.folder = version, folder
        self.clock = Clock(int(datetime.now(UTC).timestamp() * 1000) - BEHIND_MS)
        self.wire = Wire(version)
        self.ids = SeededIds(3, self.clock.now)
        self.store = MemoryStore()
        self.csms = CentralSystem(
            store=self.store,
            bus=LocalBus(),
            scheduler=self.clock,
            ids=self.ids,
            verify=lambda verifier, password: False,
            secret=b"the installation's secret",
            log=lambda *_, **__: None,
        )
        self.server = PicowsServer()
        self.station: Station
        self.published: dict[str, bytes] = {}
        self.elsewhere: dict[str, bytes] = {}
        """URL → what the station fetches there; whatever is not named is some file."""
        self.left: dict[str, bytes] = {}
        """URL → what the station has left there."""

    async def start(self, **more: Any) -> None:
        """`more`: of the StationConfig."""
        await self.store.open()
        await self.store.put_account(
            StationAccount(tenant=DEFAULT_TENANT, id=NAME, security_profile=3, organization=ORGANIZATION)
        )
        for token in ("AA11", "BB22", "PSP-1"):
            await self.store.put_token(Token(tenant=DEFAULT_TENANT, token=token))
        await self.csms.start()
        certificates = self.csms.certificates
        context = server_tls(self.folder, "127.0.0.1", certificates.client_anchors)
        certificates.on_anchors = context.reload
        certificates.installed.serve_with(server_chain(self.folder))
        await self.server.start("127.0.0.1", 0, self.wire.endpoint(self.csms.endpoint), ssl=context)
        dialer = LoopDialer(self.url)
        ca = self.folder / "tls" / "ca.pem"
        settings = {"backoff_minimum": "1", "backoff_random": "0", "organization": ORGANIZATION}
        self.station = Station(
            StationConfig(
                identity=NAME,
                version=self.version,  # type: ignore[arg-type]
                evses=more.pop("evses", (EvseConfig(), EvseConfig())),
                security_profile=3,
                security_events=True,
                settings={**settings, **more.pop("settings", {})},
                **more,
            ),
            self.clock,
            self.wire.dialer(dialer),
            SeededIds(4, self.clock.now),
            Random(4),
            MemoryStorage(),
            networks=lambda profile: self.wire.dialer(dialer),
            files=self,
            on_identity=dress(dialer, ca=ca, tls_url=self.url),
            terminal=Terminal(self.clock),
        )
        self.station.certificates.provide(self.leaf(), {CSMS_ROOT: [ca.read_text()]})
        self.station.power_on()
        await self.run(5)

    async def stop(self) -> None:
        self.station.shut_down()
        await self.server.stop()
        await self.csms.stop()
        await self.store.close()

    @property
    def url(self) -> str:
        return f"wss://127.0.0.1:{self.server.port}/ocpp/{NAME}"

    def leaf(self) -> Leaf:
        """The certificate that the station comes with, of the central system's own authority."""
        authority = self.csms.certificates.authority
        assert authority is not None
        key = requests.new_key()
        request = requests.read(requests.make(key, NAME, ORGANIZATION))
        chain = authority.sign(request, NAME, ORGANIZATION, now=to_datetime(self.clock.now()))
        return Leaf(pem.text(chain), requests.key_text(key))

    # Files, as the station has them
    def fetch(self, url: str, then: Any) -> None:
        self.clock.call_later(100, lambda: then(self.elsewhere.get(url, b"firmware")))

    def leave(self, url: str, name: str, data: bytes, then: Any) -> None:
        self.left[url] = data
        self.clock.call_later(100, lambda: then(True))

    def publish(self, name: str, data: bytes) -> list[str]:
        self.published[name] = data
        return [f"http://local.example/{name}"]

    def withdraw(self, name: str) -> bool:
        return self.published.pop(name, None) is not None

    # Time
    async def settle(self) -> None:
        """Until nothing is on its way."""
        async with asyncio.timeout(_PATIENCE_S):
            quiet, before = 0, -1
            while quiet < _QUIET:
                # A socket that has to wait is given a moment, a loop with work at hand is not kept from it.
                await asyncio.sleep(0 if self.wire.at_rest else 0.0005)
                now = self.wire.moved
                quiet, before = (quiet + 1 if self.wire.at_rest and now == before else 0), now

    async def run(self, seconds: float) -> None:
        """Let the time pass, and everything that is due in it happen."""
        end = self.clock.now() + int(seconds * 1000)
        await self.settle()
        while (due := self.clock.due) is not None and due <= end:
            self.clock.run_until(due)
            await self.settle()
        self.clock.run_until(end)

    def later(self, seconds: int) -> str:
        return to_rfc3339(self.clock.now() + seconds * 1000)

    # What people do
    async def ask(self, action: str, payload: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
        """Send a command; the answer, which has these fields."""
        replies: list[CommandReply] = []
        asked = CommandRequest(tenant=DEFAULT_TENANT, station=NAME, action=action, payload=payload or {})
        self.csms.actor(KEY).command(asked, replies.append)
        await self.run(5)
        [reply] = replies
        assert reply.outcome == "answered", (action, reply)
        assert {name: reply.answer.get(name) for name in status} == status, (action, reply)
        return dict(reply.answer)

    def heard(self, action: str) -> int:
        """How often the station said it and was answered."""
        return self.wire.answered["up", action]

    def profile_3(self) -> bool:
        """Every connection was made by a client certificate of the station, over TLS, without a password."""
        shown = [(one.tls, one.password, read_subject(one.certificate or b"")) for one in self.wire.handshakes]
        return bool(shown) and all(one == (True, None, (NAME, ORGANIZATION)) for one in shown)


@asynccontextmanager
async def pair(version: str, folder: Path, **more: Any) -> AsyncIterator[Pair]:
    """A pair that is connected."""
    made = Pair(version, folder)
    try:
        await made.start(**more)
        yield made
    finally:
        await made.stop()
