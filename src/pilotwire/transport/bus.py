"""The bus: facts out, commands in. `LocalBus` is the embedded default; subjects are dotted, `>` ends a pattern.

Subjects in use
    facts.<tenant>.<station>      `Event`: a journal entry that has been committed
    live.<tenant>.<station>       `Frame`: a raw frame as it passed, for the tap; shed first when a reader is slow
    command.<tenant>.<station>    request: `CommandRequest` → `CommandReply`
    power.<tenant>.<station>      `PowerNow`: present values for the live page
    refused.<tenant>.<station>    `Refused`: a handshake that was turned away; "-" where it named no station
    handshakes.<tenant>           request: `HandshakesAsked` → list[`Refused`]
    alarms.<tenant>.<station>     `AlarmNews`: an alarm was raised, cleared, acknowledged; "-" where it has no station
    jobs.<tenant>.<job>           `JobNews`: a job has gone on
    rollouts.<tenant>.<rollout>   `RolloutNews`: a roll-out has gone on
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Container
from typing import Any, Protocol

import msgspec

from pilotwire.core.errors import TransientError
from pilotwire.domain.facts import AnyFact


class NoResponder(TransientError):
    """Nobody serves this subject: the station is on no gateway."""


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A committed journal entry, for whoever listens. Nothing in it can lead back to it: no work for the collector."""

    stream: str
    seq: int
    tenant: str
    station: str
    recv_time: int
    facts: tuple[AnyFact, ...]


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """A raw frame as it passed."""

    tenant: str
    station: str
    time: int
    direction: str
    """in or out."""
    data: bytes


class PowerNow(msgspec.Struct, frozen=True, kw_only=True):
    """The newest power of a connector and of the session on it."""

    tenant: str
    station: str
    time: int
    evse: int
    connector: int
    power_w: int
    session_id: str = ""
    energy_wh: int = 0
    soc: int | None = None


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who named a station was not let in. The name is what was claimed: nobody has proved it."""

    tenant: str
    station: str
    time: int
    peer: str
    status: int
    """HTTP status that was answered; 0 where it did not come to HTTP, 101 for one that was let in."""
    reason: str
    """Empty for one that was let in (`HandshakesAsked` tells of these too)."""
    path: str = ""
    user: str = ""
    offered: tuple[str, ...] = ()
    tls: bool = False
    detail: str = ""


class HandshakesAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Which handshakes came lately in the name of a station; "" for those that named none. Answer: list[Refused],
    newest first."""

    tenant: str
    station: str


class JobNews(msgspec.Struct, frozen=True, kw_only=True):
    """A job has gone on: look at it again."""

    tenant: str
    job: str


class RolloutNews(msgspec.Struct, frozen=True, kw_only=True):
    """A roll-out has gone on: look at it again."""

    tenant: str
    rollout: str


class AlarmNews(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an alarm; who wants to know more reads it."""

    tenant: str
    alarm: str
    what: str
    """raised, again, cleared, acknowledged."""
    severity: str
    station: str
    site: str
    time: int


class CommandRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`action` is an OCPP action of the station's own version with its own payload, or one of our lower-case verbs
    (start, stop, unlock, reset, availability, trigger, variables …) with a version-neutral payload."""

    tenant: str
    station: str
    action: str
    payload: dict[str, Any]
    by: str = ""
    timeout_ms: int = 30_000
    expires_at: int | None = None
    """Durable until then: if the station is away, it is sent when it comes back. None: now or never."""


class CommandReply(msgspec.Struct, frozen=True, kw_only=True):
    command_id: str
    outcome: str
    """answered, refused, timed-out, expired, undeliverable, invalid."""
    action: str
    answer: dict[str, Any]
    """The station's own answer; of a refusal {"code", "description", "details"}."""


Handler = Callable[[Any], Awaitable[Any]]


class Subscription:
    """A bounded queue of (subject, message). When it is full the oldest is shed and counted in `shed`."""

    def __init__(self, limit: int, close: Callable[[Subscription], None]) -> None:
        self.shed = 0
        self._limit = limit
        self._queue: deque[tuple[str, Any]] = deque()
        self._wake = asyncio.Event()
        self._close = close
        self._closed = False

    def offer(self, subject: str, message: Any) -> None:
        if len(self._queue) >= self._limit:
            self._queue.popleft()
            self.shed += 1
        self._queue.append((subject, message))
        self._wake.set()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._close(self)
            self._wake.set()

    async def wait(self, timeout_s: float) -> bool:
        """Until something is queued, for those who take many at once; False when the time has passed first."""
        if self._queue or self._closed:
            return bool(self._queue)
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._wake.wait()
        return bool(self._queue)

    def drain(self, limit: int) -> list[tuple[str, Any]]:
        """What is queued, oldest first, at most `limit`."""
        queue = self._queue
        return [queue.popleft() for _ in range(min(limit, len(queue)))]

    async def __aiter__(self) -> AsyncIterator[tuple[str, Any]]:
        while not self._closed:
            while self._queue:
                yield self._queue.popleft()
            self._wake.clear()
            if not self._queue and not self._closed:
                await self._wake.wait()


class Bus(Protocol):
    @property
    def topics(self) -> Container[str]:
        """The first words of all subjects that somebody subscribed to: the quickest way to learn that nobody did."""
        ...

    def publish(self, subject: str, message: Any) -> None:
        """Never blocks and never fails; slow readers lose their oldest messages, counted."""
        ...

    def wanted(self, subject: str) -> bool:
        """Whether anybody listens: lets a hot path skip building what nobody reads."""
        ...

    def subscribe(self, pattern: str, *, limit: int = 1000) -> Subscription: ...

    def serve(self, pattern: str, handler: Handler) -> Callable[[], None]:
        """Answer requests on a subject; returns what ends it."""
        ...

    async def request(self, subject: str, message: Any, *, timeout_ms: int = 30_000) -> Any:
        """Raises NoResponder at once where nobody serves, TransientError after `timeout_ms`."""
        ...


def matches(pattern: str, subject: str) -> bool:
    """`a.b` matches itself, `a.>` everything below `a.`, `>` everything."""
    if pattern.endswith(">"):
        return subject.startswith(pattern[:-1])
    return pattern == subject


class _Everything:
    """The topics of a pattern that begins with no whole word, such as `>`."""

    def __contains__(self, topic: object) -> bool:
        return True


ROUTES = 100_000
"""Subjects whose listeners are remembered at most."""


class LocalBus:
    """The bus within one process and one event loop."""

    def __init__(self) -> None:
        self.topics: Container[str] = frozenset()
        self._subscriptions: dict[str, set[Subscription]] = {}
        self._routes: dict[str, tuple[Subscription, ...]] = {}
        """Subject → who listens, as found the last time: a message of a large fleet costs one look."""
        self._servers: dict[str, Handler] = {}

    def publish(self, subject: str, message: Any) -> None:
        route = self._routes.get(subject)
        for subscription in self._route(subject) if route is None else route:
            subscription.offer(subject, message)

    def wanted(self, subject: str) -> bool:
        route = self._routes.get(subject)
        return bool(self._route(subject) if route is None else route)

    def _route(self, subject: str) -> tuple[Subscription, ...]:
        if len(self._routes) >= ROUTES:
            self._routes.clear()
        found = [one for pattern, some in self._subscriptions.items() if matches(pattern, subject) for one in some]
        route = self._routes[subject] = tuple(found)
        return route

    def subscribe(self, pattern: str, *, limit: int = 1000) -> Subscription:
        def close(subscription: Subscription) -> None:
            remaining = self._subscriptions.get(pattern, set())
            remaining.discard(subscription)
            self._routes.clear()
            if not remaining:
                self._subscriptions.pop(pattern, None)
                self._note_topics()

        subscription = Subscription(limit, close)
        self._subscriptions.setdefault(pattern, set()).add(subscription)
        self._routes.clear()
        self._note_topics()
        return subscription

    def _note_topics(self) -> None:
        topics = frozenset(pattern.split(".", 1)[0] for pattern in self._subscriptions)
        self.topics = _Everything() if any(topic.endswith(">") for topic in topics) else topics

    def serve(self, pattern: str, handler: Handler) -> Callable[[], None]:
        self._servers[pattern] = handler

        def end() -> None:
            if self._servers.get(pattern) is handler:
                del self._servers[pattern]

        return end

    async def request(self, subject: str, message: Any, *, timeout_ms: int = 30_000) -> Any:
        handler = self._servers.get(subject)
        if handler is None:
            handler = next((h for pattern, h in self._servers.items() if matches(pattern, subject)), None)
        if handler is None:
            raise NoResponder(f"nobody answers on {subject}")
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                return await handler(message)
        except TimeoutError:
            raise TransientError(f"no answer on {subject} within {timeout_ms} ms") from None
