"""What serving one version needs: each action that its stations send, with all that is to be known about it in one
look-up."""

from __future__ import annotations

import msgspec

from pilotwire.protocols.ocpp.version import Version
from pilotwire.protocols.ocpp.version import load as load_version
from pilotwire.translate.quirks import Look
from pilotwire.translate.quirks import looks as load_looks
from pilotwire.translate.table import Answer, Read
from pilotwire.translate.tables import load as load_table

from .actions import PLAIN, SPECIAL, Complete, Fetch, Follow, Prepare
from .counters import Counters
from .durability import ANSWERED_AT_ONCE

_ROUTINE = {"MeterValues": "all", "TransactionEvent": "Updated"}


class Way(msgspec.Struct, frozen=True, gc=False):
    """How one action of a version is served: `translate.table.Served` and `actions.Special` in one."""

    name: str
    read: Read
    answer: Answer
    constant: bytes | None
    """The payload of its answer, where that is always the same."""
    at_once: bool
    """It is answered before what it said is durable."""
    routine: str
    """It comes all the time: "all", or the eventType of those that do; "" where it does not."""
    timed: bool
    """Its answer tells the time."""
    judged: bool
    """Its decision may show a quirk."""
    look: Look | None
    """How its quirks are recognised."""
    fetch: Fetch | None
    prepare: Prepare | None
    complete: Complete | None
    follow: Follow | None


class Speech:
    """Made once per process and version."""

    __slots__ = ("counts", "version", "ways")

    def __init__(self, name: str, counters: Counters) -> None:
        """Raises KeyError for a version that we do not speak."""
        self.version: Version = load_version(name)
        self.ways: dict[str, Way] = {}
        """By action; what is not here but known to the version is answered NotSupported."""
        looks = load_looks(name)
        for action, served in load_table(name).items():
            constant, special = served.constant, SPECIAL.get(action, PLAIN)
            self.ways[action] = Way(
                name=action,
                read=served.read,
                answer=served.answer,
                constant=None if constant is None else self.version.actions[action].encode(constant),
                at_once=action in ANSWERED_AT_ONCE,
                routine=_ROUTINE.get(action, ""),
                timed=action in ("BootNotification", "Heartbeat"),
                judged=action == "StopTransaction",
                look=looks.get(action),
                fetch=special.fetch,
                prepare=special.prepare,
                complete=special.complete,
                follow=special.follow,
            )
        self.counts: dict[str, int] = counters.messages.setdefault(name, dict.fromkeys(self.version.actions, 0))
        counters.connected.setdefault(name, 0)
