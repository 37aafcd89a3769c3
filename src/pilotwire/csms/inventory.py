"""What a station is made of is read without being asked for: once for each firmware, after a boot that was accepted.

Politely: some time after the boot, when the station has told what it has to tell; behind every command; a few stations
at a time, so that a whole fleet that comes back after an outage is read one after the other; and never again where it
was answered, whatever the answer was, but that it cannot be told just now (2.x Rejected; B07.FR.13). 1.6 is asked for
its whole configuration, 2.x for its full inventory (B07), which comes in NotifyReport. A station that has monitors of
ours is asked for them after every boot: their ids may be other ones then (N04.FR.19).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from pilotwire.core.time import Scheduler
from pilotwire.domain.context import Decision
from pilotwire.domain.facts import InventoryAsked
from pilotwire.domain.inputs import BootVerdict, Input
from pilotwire.domain.kept import CUSTOM
from pilotwire.transport.bus import CommandReply

if TYPE_CHECKING:
    from .actor import StationActor
    from .connection import Connection

AFTER_MS = 10_000
"""From the boot to the question."""
AT_ONCE = 8
"""Stations that are asked at the same time."""
AGAIN_MS = 300_000
"""To the next question, where it could not be told just now."""
TRIES = 3
"""So often after one boot."""
PAUSE_MS = 500
"""From an answer to the next question, so that reports do not come all at once."""


class Inventories:
    """Who waits to be asked. One for the process."""

    __slots__ = ("_asking", "_scheduler", "_waiting")

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._waiting: deque[tuple[StationActor, Connection, _Ask]] = deque()
        self._asking = 0

    def booted(self, actor: StationActor, connection: Connection) -> None:
        """A station was accepted."""
        if _needed(actor):
            self._scheduler.call_later(AFTER_MS, partial(self._wait, actor, connection, self._ask_all))
        if _monitored(actor):
            self._scheduler.call_later(AFTER_MS, partial(self._wait, actor, connection, self._ask_monitors))

    def _wait(self, actor: StationActor, connection: Connection, ask: _Ask) -> None:
        self._waiting.append((actor, connection, ask))
        self._next()

    def _next(self) -> None:
        while self._waiting and self._asking < AT_ONCE:
            actor, connection, ask = self._waiting.popleft()
            if actor.current is connection:
                self._asking += 1
                actor.when_ready(partial(self._begin, actor, connection, ask))

    def _begin(self, actor: StationActor, connection: Connection, ask: _Ask) -> None:
        if actor.current is connection:
            ask(actor)
        else:
            self._over()

    def _ask_all(self, actor: StationActor, tries: int = 1) -> None:
        if not _needed(actor):
            self._over()
            return
        then = partial(self._answered, actor, actor.known().station.firmware, tries)
        if actor.version == "1.6":
            actor.outbox.ask("GetConfiguration", b"{}", urgent=False, then=then)
        else:
            question = {"requestId": actor.around.ids.transaction_id(), "reportBase": "FullInventory"}
            actor.outbox.ask("GetBaseReport", msgspec.json.encode(question), urgent=False, then=then)

    def _ask_monitors(self, actor: StationActor) -> None:
        question = msgspec.json.encode({"requestId": actor.around.ids.transaction_id()})
        actor.outbox.ask("GetMonitoringReport", question, urgent=False, then=self._answered_monitors)

    def _answered_monitors(self, reply: CommandReply) -> None:
        self._scheduler.call_later(PAUSE_MS, self._over)

    def _answered(self, actor: StationActor, firmware: str, tries: int, reply: CommandReply) -> None:
        self._scheduler.call_later(PAUSE_MS, self._over)
        if reply.outcome not in ("answered", "refused"):
            return  # it is asked again after its next boot
        status = str(reply.answer.get("code") or reply.answer.get("status") or "Accepted")
        if status == "Rejected" and actor.version != "1.6":
            connection = actor.current
            if tries < TRIES and connection is not None:
                again = partial(self._wait, actor, connection, partial(self._ask_all, tries=tries + 1))
                self._scheduler.call_later(AGAIN_MS, again)
            return
        fact = InventoryAsked(event_time=actor.around.now(), firmware=firmware, status=status)
        actor.when_ready(lambda: actor.record((fact,), None))

    def _over(self) -> None:
        self._asking -= 1
        self._next()


_Ask = Callable[["StationActor"], None]


def _monitored(actor: StationActor) -> bool:
    kept = actor.known().station.kept
    return actor.version != "1.6" and kept is not None and any(one.origin == CUSTOM for one in kept.monitors)


def _needed(actor: StationActor) -> bool:
    station = actor.known().station
    inventory = None if station.kept is None else station.kept.inventory
    return inventory is None or inventory.firmware != station.firmware


def booted(actor: StationActor, given: Input, decision: Decision) -> None:
    """BootNotification was answered."""
    outcome, connection = decision.outcome, actor.current
    if connection is None or not isinstance(outcome, BootVerdict) or outcome.verdict != "Accepted":
        return
    if actor.around.config.read_inventory:
        actor.around.inventories.booted(actor, connection)
