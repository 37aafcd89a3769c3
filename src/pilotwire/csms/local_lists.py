"""SendLocalList as a whole (1.6 5.15, 2.x D01): in several messages where a list is longer than the station takes at
once, and the full list where the station has not taken its changes (D01.FR.03).

What the list is, is read from the commands that the station has accepted: the last full one and the changes since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

import msgspec
from msgspec.structs import replace

from pilotwire.domain.records import Command
from pilotwire.transport.bus import CommandReply, CommandRequest

if TYPE_CHECKING:
    from .actor import StationActor

ACTION = "SendLocalList"
HISTORY = 500
"""How many commands back the last full list may be."""
_ROWS = "localAuthorizationList"
_AROUND = 100
"""Bytes of a message beside its rows, at most."""

Reply = Callable[[CommandReply], None]
Row = dict[str, Any]


def fits(asked: CommandRequest) -> bool:
    """Whether it is a command that can be seen to here: well-formed so far, and not one that outlives a connection (its
    parts could end at different times)."""
    rows = asked.payload.get(_ROWS) or []
    return (
        asked.action == ACTION
        and asked.expires_at is None
        and isinstance(asked.payload.get(_version_field(asked.payload)), int)
        and asked.payload.get("updateType") in ("Full", "Differential")
        and isinstance(rows, list)
        and all(_key(row) for row in cast("list[Any]", rows))
    )


class Sending:
    """One such command: its messages, one after the other, and one reply in the end, that of the last message."""

    def __init__(
        self, actor: StationActor, asked: CommandRequest, ask: Callable[[CommandRequest, Reply], None], reply: Reply
    ) -> None:
        self._actor = actor
        self._asked = asked
        self._ask = ask
        self._reply = reply
        self._full = asked.payload["updateType"] == "Full"
        self._rows: list[Row] = list(asked.payload.get(_ROWS) or ())
        self._parts = self._parted(self._rows, full=self._full)
        self._sent = 0
        self._again = False

    def go(self) -> None:
        """Send the next message."""
        self._sent += 1
        self._ask(self._parts[self._sent - 1], self._answered)

    def _answered(self, reply: CommandReply) -> None:
        status = reply.answer.get("status") if reply.outcome == "answered" else ""
        if status == "Accepted" and self._sent < len(self._parts):
            self.go()
        elif status in ("Failed", "VersionMismatch") and not self._again and self._was_change():
            self._again = True
            if self._full:
                self._whole(self._rows)
            else:
                actor = self._actor

                def found(commands: list[Command]) -> None:
                    rows = as_sent(commands)
                    actor.when_ready(lambda: self._known(rows, reply))

                actor.around.history(actor.key, HISTORY, found)
        else:
            self._reply(reply)

    def _was_change(self) -> bool:
        return self._parts[self._sent - 1].payload["updateType"] == "Differential"

    def _known(self, rows: dict[Any, Row] | None, reply: CommandReply) -> None:
        if rows is None:
            self._reply(reply)  # nobody here knows the whole list
            return
        _apply(rows, self._rows)
        self._whole(list(rows.values()))

    def _whole(self, rows: list[Row]) -> None:
        self._parts = self._parted(rows, full=True)
        self._sent = 0
        self.go()

    def _parted(self, rows: list[Row], *, full: bool) -> list[CommandRequest]:
        kept = self._actor.known().station.kept
        limits = {} if kept is None else kept.limits
        known = 0 if kept is None or kept.local_list is None else kept.local_list.version
        groups = _groups(rows, limits.get(f"items {ACTION}", 0), limits.get(f"bytes {ACTION}", 0))
        field = _version_field(self._asked.payload)
        last: int = self._asked.payload[field]
        # The last message carries the version that was asked for, where there is room for the others below it.
        first = last if len(groups) == 1 else max(1 if full else known + 1, last - len(groups) + 1)
        return [
            replace(
                self._asked,
                payload={
                    **{name: value for name, value in self._asked.payload.items() if name != _ROWS},
                    "updateType": "Full" if full and not at else "Differential",
                    field: first + at,
                    **({_ROWS: list(group)} if group else {}),
                },
            )
            for at, group in enumerate(groups)
        ]


def _groups(rows: Sequence[Row], most: int, most_bytes: int) -> list[list[Row]]:
    """Rows that go out together; one group without any where there are none."""
    groups: list[list[Row]] = [[]]
    size = 0
    for row in rows:
        length = len(msgspec.json.encode(row)) + 1
        group = groups[-1]
        full = (most and len(group) >= most) or (most_bytes and size + length + _AROUND > most_bytes)
        if group and full:
            group, size = [], 0
            groups.append(group)
        group.append(row)
        size += length
    return groups


def as_sent(commands: Iterable[Command]) -> dict[Any, Row] | None:
    """The list as the station has it by its own answers, from its commands, newest first; None where the last full one
    is not among them."""
    changes: list[dict[str, Any]] = []
    for command in commands:
        if command.action != ACTION or command.outcome != "answered":
            continue
        if msgspec.json.decode(command.answer).get("status") != "Accepted":
            continue
        payload = msgspec.json.decode(command.payload)
        changes.append(payload)
        if payload["updateType"] == "Full":
            break
    else:
        return None
    rows: dict[Any, Row] = {}
    for payload in reversed(changes):
        _apply(rows, payload.get(_ROWS) or ())
    return rows


def _apply(rows: dict[Any, Row], changes: Iterable[Row]) -> None:
    for row in changes:
        if row.get("idTokenInfo") is None and row.get("idTagInfo") is None:
            rows.pop(_key(row), None)
        else:
            rows[_key(row)] = row


def _key(row: Any) -> Any:
    """Of an element of the list; None for what is none."""
    if not isinstance(row, dict):
        return None
    found = cast("Row", row)
    if isinstance(found.get("idTag"), str):
        return found["idTag"].casefold()
    token = found.get("idToken")
    if not isinstance(token, dict):
        return None
    name, kind = cast("Row", token).get("idToken"), cast("Row", token).get("type")
    return (name.casefold(), kind) if isinstance(name, str) else None


def _version_field(payload: Any) -> str:
    return "listVersion" if "listVersion" in payload else "versionNumber"
