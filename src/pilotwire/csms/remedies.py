"""What is said otherwise to a station with a quirk (`pilotwire.domain.quirks.REMEDIES`): a command is completed, or
goes out in parts whose answers are put together."""

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
}
"""Action → the list that is asked and the one that is answered."""

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
    if asked.action in _LISTS and "small-batches" in active:
        field = _LISTS[asked.action][0]
        rows = payload.get(field)
        if isinstance(rows, list) and len(rows) > 1:  # pyright: ignore[reportUnknownArgumentType]
            return [replace(asked, payload={**payload, field: [row]}) for row in rows]  # pyright: ignore[reportUnknownVariableType]
    if asked.action in ("get-variables", "set-variables") and actor.version != "1.6" and "small-batches" in active:
        rows = payload.get("variables")
        if isinstance(rows, list) and len(rows) > 1:  # pyright: ignore[reportUnknownArgumentType]
            return [replace(asked, payload={**payload, "variables": [row]}) for row in rows]  # pyright: ignore[reportUnknownVariableType]
    return ()


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
