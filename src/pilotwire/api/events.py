"""`/events`: the journal as server-sent events, from any point of it, without a gap and without a repeat.

The live stream is subscribed to first, then the journal is read from where the client stood up to its end, then live
events follow, those already sent left out. A client that is too slow for the live stream is told so (`lagged`) and
caught up from the journal; nothing is lost and what waits for it here is bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TypeVar

import msgspec

from pilotwire.core.time import to_rfc3339
from pilotwire.domain.facts import AnyFact
from pilotwire.transport.bus import Event, Subscription

from . import types
from .access import Principal
from .context import ApiContext
from .live import COMMENT, HEARTBEAT_S, message
from .scope import visible_stations
from .words import say

T = TypeVar("T")

BUFFER = 1_000
"""Live events that may wait for one client."""
LIFETIME_MS = 3_600_000
"""A stream ends after an hour; clients reconnect by themselves and are then asked again who they are."""
CHUNK = 500


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asked for."""

    principal: Principal
    after: int | None
    """Journal seq after which to begin; None: only what comes from now on."""
    station: str | None = None
    kinds: frozenset[str] = frozenset()
    """Fact types without their version, e.g. session-started; empty: all."""


def shown(fact: AnyFact) -> types.FactShown:
    """A fact as the API shows it."""
    fields = msgspec.to_builtins(fact)
    kind = fields.pop("type")
    return types.FactShown(type=kind, summary=say(fact), fact=fields)


def _encoded(wanted: Wanted, seq: int, station: str, recv_time: int, facts: tuple[AnyFact, ...]) -> bytes | None:
    if wanted.station is not None and station != wanted.station:
        return None
    chosen = [shown(fact) for fact in facts]
    if wanted.kinds:
        chosen = [fact for fact in chosen if fact.type.rpartition(".")[0] in wanted.kinds or fact.type in wanted.kinds]
    if not chosen:
        return None
    entry = types.JournalEvent(seq=seq, station_id=station, received_at=to_rfc3339(recv_time), facts=chosen)
    return message("facts", entry, seq=seq)


async def stream(context: ApiContext, wanted: Wanted) -> AsyncIterator[bytes]:
    """Server-sent events: `facts` with the journal's seq as id, `lagged`, and comments in silence."""
    tenant = wanted.principal.tenant
    subject = f"facts.{tenant}.>" if wanted.station is None else f"facts.{tenant}.{wanted.station}"
    subscription = context.bus.subscribe(subject, limit=BUFFER)
    queue: asyncio.Queue[Event] = asyncio.Queue(maxsize=1)
    pump = asyncio.get_running_loop().create_task(_pump(subscription, queue))
    end = context.scheduler.now() + LIFETIME_MS
    position = wanted.after
    shed = 0
    try:
        yield b"retry: 2000\n: connected\n\n"
        if position is not None:
            async for seq, data in _replay(context, wanted, position):
                position = seq
                if data is not None:
                    yield data
        while not context.closing.is_set() and context.scheduler.now() < end:
            event = await next_of(context, queue)
            if subscription.shed != shed:
                lost, shed = subscription.shed - shed, subscription.shed
                yield message("lagged", {"events": lost, "next": "replayed from the journal"})
                if position is None:
                    if event is None:
                        continue
                    position = event.seq - 1
                async for seq, data in _replay(context, wanted, position):
                    position = seq
                    if data is not None:
                        yield data
                continue
            if event is None:
                yield COMMENT
            elif position is None or event.seq > position:
                position = event.seq
                data = None
                if await _visible(context, wanted, event.station):
                    data = _encoded(wanted, event.seq, event.station, event.recv_time, event.facts)
                if data is not None:
                    yield data
    finally:
        pump.cancel()
        subscription.close()


async def _visible(context: ApiContext, wanted: Wanted, station: str) -> bool:
    """Asked for every event, since a station may be moved to another site while the stream is open."""
    stations = await visible_stations(context, wanted.principal)
    return stations is None or station in stations


async def _pump(subscription: Subscription, queue: asyncio.Queue[Event]) -> None:
    """Waits while the client has not taken the one before, so that the subscription's bound is the bound."""
    async for _, event in subscription:
        if isinstance(event, Event) and event.facts:
            await queue.put(event)


async def next_of(context: ApiContext, queue: asyncio.Queue[T]) -> T | None:
    """The next item; None after a silence or when the server closes."""
    with contextlib.suppress(asyncio.QueueEmpty):
        return queue.get_nowait()
    taking = asyncio.ensure_future(queue.get())
    closing = asyncio.ensure_future(context.closing.wait())
    try:
        await asyncio.wait((taking, closing), timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED)
        return taking.result() if taking.done() else None
    finally:
        taking.cancel()
        closing.cancel()


async def _replay(context: ApiContext, wanted: Wanted, after: int) -> AsyncIterator[tuple[int, bytes | None]]:
    """The journal after `after` to its end, in chunks, so that a slow client holds no read open."""
    while True:
        rows = [
            row
            async for row in context.store.journal(
                tenant=wanted.principal.tenant, station=wanted.station, after=after, limit=CHUNK, lenient=True
            )
        ]
        for row in rows:
            after = row.seq
            data = None
            if row.facts and await _visible(context, wanted, row.station):
                data = _encoded(wanted, row.seq, row.station, row.recv_time, row.facts)
            yield row.seq, data
        if len(rows) < CHUNK or context.closing.is_set():
            return
