"""What is said otherwise to a station with a quirk (`pilotwire.domain.quirks.REMEDIES`): a command is completed, or
goes out in parts whose answers are put together. So does one with more items than the station takes at once (2.x
ItemsPerMessage; B05.FR.11, B06.FR.05, N04.FR.09, N06.FR.04)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from pilotwire.domain.quirks import REMEDIES, Setting
from pilotwire.protocols.ocpp.catalogue import entries
from pilotwire.storage.documents import unpack
from pilotwire.storage.port import Store
from pilotwire.transport.bus import CommandReply, CommandRequest

if TYPE_CHECKING:
    from .actor import StationActor

SETTING = "quirk-setting"
"""Documents: what operators said, each a `domain.quirks.Setting`."""
KEYS_AT_ONCE = 8
_ASKS = ("GetConfiguration", "get-variables", "base-report")
_LISTS: Mapping[str, tuple[str, str]] = {
    "GetVariables": ("getVariableData", "getVariableResult"),
    "SetVariables": ("setVariableData", "setVariableResult"),
    "get-variables": ("variables", "variables"),
    "set-variables": ("variables", "variables"),
    "SetVariableMonitoring": ("setMonitoringData", "setMonitoringResult"),
    "ClearVariableMonitoring": ("id", "clearMonitoringResult"),
}
"""Action → the list that is asked and the one that is answered."""
_SMALL: Mapping[str, str] = {
    "GetVariables": "GetVariables",
    "SetVariables": "SetVariables",
    "get-variables": "GetVariables",
    "set-variables": "SetVariables",
}
"""What the quirk "small-batches" is about, with the message that it leads to."""

Reply = Callable[[CommandReply], None]


async def load(store: Store, tenant: str) -> tuple[Setting, ...]:
    """What a tenant's operators said. What cannot be read counts as not said."""
    found: list[Setting] = []
    cursor: str | None = None
    while True:
        page = await store.documents(tenant, SETTING, cursor=cursor, limit=500)
        for one in page.items:
            try:
                setting = unpack(one, Setting).value
            except msgspec.DecodeError:
                continue
            if setting.remedy in REMEDIES:
                found.append(setting)
        cursor = page.next
        if cursor is None:
            return tuple(found)


def completed(actor: StationActor, asked: CommandRequest) -> CommandRequest:
    """The command as it is better said to this station."""
    if asked.action not in ("start", "RemoteStartTransaction") or "connector-in-start" not in actor.quirks.active:
        return asked
    field = "evse" if asked.action == "start" else "connectorId"
    if asked.payload.get(field) or actor.version != "1.6":
        return asked
    connectors = [one for one in actor.known().station.connectors if one.evse]
    waiting = [one for one in connectors if one.status == "Preparing"]
    chosen = waiting if len(waiting) == 1 else connectors
    if len(chosen) != 1:
        return asked
    return replace(asked, payload={**asked.payload, field: chosen[0].evse})


def parts(actor: StationActor, asked: CommandRequest) -> Sequence[CommandRequest]:
    """The commands that go out instead of this one; none where it goes out as it is. One that outlives a connection is
    never parted: its parts could end at different times."""
    if asked.expires_at is not None:
        return ()
    active, payload = actor.quirks.active, asked.payload
    if asked.action in _ASKS and actor.version == "1.6" and "keys-by-name" in active:
        if payload.get("key") or payload.get("variables"):
            return ()
        keys = [one.variable for one in entries("1.6").values() if one.mutability != "WriteOnly"]
        return [
            replace(asked, action="GetConfiguration", payload={"key": keys[start : start + KEYS_AT_ONCE]})
            for start in range(0, len(keys), KEYS_AT_ONCE)
        ]
    most = most_at_once(actor, asked.action)
    rows = payload.get(_LISTS[asked.action][0]) if most else None
    if isinstance(rows, list) and len(rows) > most:  # pyright: ignore[reportUnknownArgumentType]
        field = _LISTS[asked.action][0]
        return [
            replace(asked, payload={**payload, field: rows[start : start + most]})  # pyright: ignore[reportUnknownVariableType]
            for start in range(0, len(rows), most)  # pyright: ignore[reportUnknownArgumentType]
        ]
    return ()


def most_at_once(actor: StationActor, action: str) -> int:
    """How many items of a command's list go out at once; 0: any number."""
    if action not in _LISTS or actor.version == "1.6":
        return 0
    batches = actor.known().station.batches
    if action in _SMALL and "small-batches" in actor.quirks.active:
        return 1
    return batches.get(_SMALL.get(action, action), 0)


class Gathering:
    """Parts of one command, one after the other, and one reply in the end. The first that is not answered ends it, with
    its own outcome; what was answered before stands in the journal."""

    def __init__(
        self, parts: Sequence[CommandRequest], ask: Callable[[CommandRequest, Reply], None], reply: Reply
    ) -> None:
        self._parts = list(parts)
        self._ask = ask
        self._reply = reply
        self._answer: dict[str, Any] = {}

    def go(self) -> None:
        """Ask the next."""
        self._ask(self._parts.pop(0), self._answered)

    def _answered(self, reply: CommandReply) -> None:
        if reply.outcome != "answered":
            self._reply(reply)
            return
        for name, value in reply.answer.items():
            before = self._answer.get(name)
            if isinstance(before, list) and isinstance(value, list):
                before.extend(value)  # pyright: ignore[reportUnknownMemberType]
            else:
                self._answer[name] = value
        if self._parts:
            self.go()
        else:
            self._reply(replace(reply, answer=self._answer))
