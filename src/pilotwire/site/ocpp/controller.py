"""The local controller: all its stations, who of them may come in, and what it looks like from outside.

controller = LocalController(config, scheduler, ids, random, store, dial)
controller.start()                take up what a restart left; queues go on at once
await listener.start(..., controller)      it is a `transport.port.Endpoint`
controller.status()               for pages and metrics
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from hmac import compare_digest
from random import Random

import msgspec

from pilotwire.core.ids import Ids, StationKey
from pilotwire.core.time import Scheduler
from pilotwire.crypto.subject import read_subject
from pilotwire.protocols.ocpp.version import SUBPROTOCOL, VersionName
from pilotwire.storage.forwarding import EMPTY, Change, Forwarding
from pilotwire.transport.port import Handshake, Link, Receiver, Refuse, TurnedAway

from .around import Around
from .config import ControllerConfig, KnownStation
from .counters import Counters
from .seams import North
from .seat import Dial, Seat
from .telling import Telling
from .tokens import TokenBook
from .uplink import State

_SITE = "\nsite"
"""The box of what belongs to no station."""

UNKNOWN = Refuse(404, "unknown-identity")
WRONG_CREDENTIAL = Refuse(401, "wrong-credential")
WRONG_PROFILE = Refuse(403, "wrong-security-profile")
WRONG_CERTIFICATE = Refuse(403, "wrong-certificate")
OTHER_VERSION = Refuse(503, "messages-of-another-version-wait")


class UpstreamStatus(msgspec.Struct, frozen=True):
    """One station's connection to one upstream."""

    name: str
    state: State
    since_ms: int
    reason: str
    queued: int
    oldest_ms: int | None
    """When the message was taken that has waited longest; None: nothing waits, or it has not been read yet."""
    booted: bool
    """It has accepted the station's last boot."""


class StationStatus(msgspec.Struct, frozen=True):
    """One station."""

    tenant: str
    identity: str
    online: bool
    version: VersionName
    shown_as: VersionName
    peer: str
    managed: bool
    upstreams: tuple[UpstreamStatus, ...]
    sessions: int
    """1.6 transactions that run."""


class ControllerStatus(msgspec.Struct, frozen=True):
    """Everything."""

    stations: tuple[StationStatus, ...]
    counters: Counters
    tokens: int
    """Cards that are remembered."""
    queued: int
    oldest_ms: int | None


class LocalController:
    """`transport.port.Endpoint` for the stations of a site. See the head of this file."""

    def __init__(
        self,
        config: ControllerConfig,
        scheduler: Scheduler,
        ids: Ids,
        random: Random,
        store: Forwarding,
        dial: Dial,
        telling: Telling | None = None,
    ) -> None:
        self.config = config
        self._telling = telling or Telling()
        self.counters = Counters()
        self.around = Around(config, scheduler, ids, random, store, self.counters)
        self._dial = dial
        self._known: Mapping[StationKey, KnownStation] = {each.key: each for each in config.stations}
        self.book = TokenBook(config.tokens, unknown=config.unknown_tokens, most=config.token_cache)
        self.seats: dict[StationKey, Seat] = {}

    def start(self) -> None:
        """Take up what a restart left. Before anything is admitted."""
        boxes = self.around.store.boxes()
        self.book.load(boxes.get(_SITE, EMPTY).notes)
        for key, known in self._known.items():
            self.seats[key] = Seat(
                self.around, known, self._dial, self.book, boxes, save_book=self._save_book, north=_north
            )

    def stop(self) -> None:
        """Nothing more is done; connections are closed."""
        for seat in self.seats.values():
            seat.stop()

    def seat(self, identity: str, tenant: str | None = None) -> Seat:
        """A station's. Raises KeyError for one that is not known."""
        return self.seats[StationKey(tenant, identity) if tenant else StationKey("default", identity)]

    def _save_book(self) -> None:
        changes = self.book.changes()
        if changes:
            self.around.store.write([Change(_SITE, changes)], _unheard)

    # ── Endpoint ─────────────────────────────────────────────────────────────────────────────────────────────────

    def admit(self, handshake: Handshake) -> Receiver | Refuse:
        """Known stations only, credentials before the upgrade."""
        key = StationKey(handshake.tenant, handshake.identity)
        known = self._known.get(key)
        seat = self.seats.get(key)
        set_later, moved = ((), False) if seat is None else (seat.notes.passwords, seat.notes.moved)
        refusal = judge(known, handshake, set_later, moved=moved)
        if refusal is not None or seat is None:
            self.counters.refused += 1
            self._telling.refused(known, handshake, refusal or UNKNOWN)
            return refusal or UNKNOWN
        version = SUBPROTOCOL.get(handshake.subprotocol or "")
        if version is None:
            return _NoCommonVersion()
        if not seat.admits(version):
            self.counters.refused += 1
            self._telling.refused(known, handshake, OTHER_VERSION)
            return OTHER_VERSION
        self.counters.admitted += 1
        self._telling.admitted(key, handshake.peer)
        if handshake.user is not None and handshake.password is not None:
            seat.credential = (handshake.identity, handshake.password)
            seat.came_with(handshake.password)
        return seat.receiver(version, handshake.peer)

    def turned_away(self, attempt: TurnedAway) -> None:
        """See `transport.port.Doorkeeper`."""
        self._telling.turned_away(attempt)

    # ── looking on ───────────────────────────────────────────────────────────────────────────────────────────────

    def status(self) -> ControllerStatus:
        """All that pages and metrics want."""
        stations = tuple(_shown(seat) for seat in self.seats.values())
        oldest = [each.oldest_ms for station in stations for each in station.upstreams if each.oldest_ms is not None]
        return ControllerStatus(
            stations,
            msgspec.structs.replace(self.counters),
            len(self.book),
            sum(each.queued for station in stations for each in station.upstreams),
            min(oldest, default=None),
        )


def _shown(seat: Seat) -> StationStatus:
    return StationStatus(
        seat.known.tenant,
        seat.known.identity,
        seat.online,
        seat.version,
        seat.upstream_version,
        "" if seat.downlink is None else seat.downlink.peer,
        seat.limits is not None,
        tuple(
            UpstreamStatus(
                each.upstream.name,
                each.uplink.state,
                each.uplink.since,
                each.uplink.reason,
                each.depth,
                each.oldest,
                bool(seat.notes.boot) and each.upstream.name not in seat.notes.due,
            )
            for each in seat.forwarders
        ),
        sum(not link.over for link in seat.names.links),
    )


def judge(
    known: KnownStation | None, handshake: Handshake, set_later: Sequence[str] = (), *, moved: bool = False
) -> Refuse | None:
    """Why a station is not let in; None: it is. An unknown one takes as long as a wrong password.

    `set_later`: hashes of the password that an upstream has set since; `moved`: it alone counts.
    """
    given = sha256(handshake.password or b"").hexdigest()
    expected = "" if known is None else known.password_sha256
    right = compare_digest(given, expected.lower()) and not moved
    for each in set_later:
        right = compare_digest(given, each) or right
    if known is None:
        return UNKNOWN
    profile = known.security_profile
    if profile == 0:
        return None
    if profile == 3:
        return _judge_certificate(known, handshake)
    if not right or handshake.user != known.identity.encode():
        return WRONG_CREDENTIAL
    return None if handshake.tls is (profile == 2) else WRONG_PROFILE


def _judge_certificate(known: KnownStation, handshake: Handshake) -> Refuse | None:
    if not handshake.tls or handshake.certificate is None:
        return WRONG_PROFILE
    try:
        name, organization = read_subject(handshake.certificate)
    except ValueError:
        return WRONG_CERTIFICATE
    return None if name == known.identity and organization == known.organization else WRONG_CERTIFICATE


class _NoCommonVersion:
    """Part 4, 3.1.3: complete the handshake, then close at once."""

    def opened(self, link: Link) -> None:
        link.close(1002, "no common subprotocol")

    def frame(self, data: bytes) -> None:
        """Nothing is understood."""

    def pong(self) -> None:
        """Nothing was asked."""

    def closed(self, code: int, reason: str) -> None:
        """Nobody to tell."""


def _unheard(_: object) -> None:
    """What could not be remembered is learned again."""


def _north(seat: Seat, kept: msgspec.Raw) -> North:
    from .north import North201

    return North201(seat, kept)
