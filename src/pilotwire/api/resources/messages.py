"""The message log of a station, newest first: the journal's frames decoded and explained, with what only passed by.

The journal keeps what the station said and what became of our commands. Our own answers, signs of life and refused
messages are not kept; while somebody looks at a station's log they are seen passing (`pilotwire.api.recorder`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from pilotwire.core.time import to_rfc3339
from pilotwire.domain import facts, records
from pilotwire.storage.port import JournalRow
from pilotwire.transport.bus import Frame

from .. import explain, types
from ..access import Principal
from ..context import ApiContext
from ..language import _
from ..listing import cursor_after, place_in, question
from ..mapping import json_value
from ..queries import Queries
from ..recorder import recorder_of
from ..words import Level, say
from ..words import level as level_of
from .timeline import seq_before

_SCANNED_AT_MOST = 3_000
"""Journal entries that one filtered page looks at before it hands out what it has, with the cursor to go on."""
_LEVELS: tuple[Level, ...] = ("info", "good", "warn", "bad")
_SAME_MS = 2_000
"""The journal's time of a message and the tap's are at most so far apart."""


async def messages(
    context: ApiContext,
    principal: Principal,
    station_id: str,
    *,
    cursor: str | None = None,
    limit: int = 50,
    action: str | None = None,
    direction: str | None = None,
    errors: bool = False,
    since: int | None = None,
    until: int | None = None,
) -> types.MessagePage:
    """Messages of a station, newest first. `since` and `until` are ms; `errors`: only what went wrong.

    A page may hold fewer than `limit` and still have a next. Raises Problem 400 (cursor), 403, 404.
    """
    principal.need("messages:read")
    station = await Queries(context, principal).station(station_id)
    asked = question(
        f"messages {station_id}",
        "newest",
        {"action": action, "direction": direction, "errors": errors, "since": since, "until": until},
    )
    before = place_in(cursor, asked, dict[str, int])
    teller = _Teller(context, principal, station_id, station.ocpp_version)
    taps, watched = recorder_of(context).frames(context, principal.tenant, station_id)
    passing = _Passing(taps)
    place = dict(before or {})
    if not place and until is not None:
        newest = await seq_before(context.store, principal.tenant, station_id, until + 1)
        place[context.store.stream] = newest + 1
    found: list[types.MessageShown] = []
    scanned, more = 0, False
    oldest = since if since is not None else 0
    rows = context.store.journal(
        tenant=principal.tenant, station=station_id, newest_first=True, before=place or None, lenient=True
    )

    def fits(one: types.MessageShown) -> bool:
        return (
            (action is None or one.action == action)
            and (direction is None or one.direction == direction)
            and (not errors or one.level == "bad" or bool(one.error_code) or bool(one.fault))
        )

    async for row in rows:
        if since is not None and row.recv_time < since:
            break
        if len(found) >= limit or scanned >= _SCANNED_AT_MOST:
            more = True
            break
        scanned += 1
        place[row.stream] = row.seq
        oldest = row.recv_time
        if until is not None and row.recv_time > until:
            continue
        found += [one for one in reversed(await teller.told(row, passing)) if fits(one)]
    else:
        oldest = since if since is not None else 0
    if before is None:
        # What only passed by stands among what was kept, as far back as this page reaches.
        unkept = passing.rest(oldest, until)
        found += [one for one in (teller.passed(frame, passing) for frame in unkept) if one is not None and fits(one)]
        found.sort(key=lambda one: (one.time, one.seq or 0), reverse=True)
    return types.MessagePage(
        items=found,
        next=cursor_after(asked, place) if more else None,
        watched_since=to_rfc3339(watched),
    )


class _Passing:
    """Frames that were seen passing, by their message ids."""

    def __init__(self, frames: Sequence[Frame]) -> None:
        self._frames = list(frames)
        self._heads = [_head(frame.data) for frame in self._frames]
        self._used: set[int] = set()

    def seen(self, message_id: str, direction: str, time: int, kinds: tuple[int, ...]) -> Frame | None:
        """The frame with this id that passed around `time`; it then counts as told."""
        for place, ((kind, name), frame) in enumerate(zip(self._heads, self._frames, strict=True)):
            near = abs(frame.time - time) <= _SAME_MS
            if name == message_id and kind in kinds and frame.direction == direction and near:
                self._used.add(place)
                return frame
        return None

    def answer(self, message_id: str, direction: str, time: int) -> Frame | None:
        """The first answer with this id since `time`; it then counts as told."""
        for place, ((kind, name), frame) in enumerate(zip(self._heads, self._frames, strict=True)):
            if name == message_id and kind in (3, 4, 5) and frame.direction == direction and frame.time >= time:
                self._used.add(place)
                return frame
        return None

    def rest(self, since: int, until: int | None) -> list[Frame]:
        """What has not been told."""
        return [
            frame
            for place, frame in enumerate(self._frames)
            if place not in self._used and frame.time >= since and (until is None or frame.time <= until)
        ]

    def told(self, frame: Frame) -> bool:
        return self._frames.index(frame) in self._used

    def action_of(self, message_id: str, direction: str) -> str:
        """The action of the CALL with this id that went the other way."""
        for (kind, name), frame in zip(self._heads, self._frames, strict=True):
            if kind == 2 and name == message_id and frame.direction != direction:
                return explain.read(frame.data, explain.VERSIONS).action
        return ""


def _head(data: bytes) -> tuple[int, str]:
    """Kind and id of a frame, without reading the rest."""
    try:
        parts = msgspec.json.decode(data, type=list[msgspec.Raw])
        return msgspec.json.decode(parts[0], type=int), msgspec.json.decode(parts[1], type=str)
    except (msgspec.DecodeError, IndexError):
        return 0, ""


class _Teller:
    """Makes of journal entries and frames what is shown."""

    def __init__(self, context: ApiContext, principal: Principal, station_id: str, version: str | None) -> None:
        self._store = context.store
        self._tenant = principal.tenant
        self._station = station_id
        self._tokens = principal.may("tokens:read")
        self._versions = (version, *explain.VERSIONS) if version else explain.VERSIONS

    async def told(self, row: JournalRow, passing: _Passing) -> list[types.MessageShown]:
        """What to show of an entry: mostly one message; for what came without a frame, one line each."""
        if row.frame:
            return [await self._framed(row, passing)]
        return [await self._unframed(row, fact, number) for number, fact in enumerate(row.facts)]

    async def _framed(self, row: JournalRow, passing: _Passing) -> types.MessageShown:
        settled = next((one for one in row.facts if isinstance(one, facts.CommandSettled)), None)
        command = await self._store.command(self._tenant, settled.command_id) if settled is not None else None
        one = explain.read(row.frame, self._versions, command.action if command else "", tokens=self._tokens)
        shown = self._shown(f"{row.stream}.{row.seq}", row.recv_time, "in", one, len(row.frame), row.epoch)
        shown.seq = row.seq
        shown.facts = [self._said(fact) for fact in row.facts if not isinstance(fact, facts.CommandSettled)]
        levels: list[Level] = [level_of(fact) for fact in row.facts]
        shown.level = _worst(shown.level, *levels)
        if command is not None:
            shown.command_id = command.id
            shown.request = explain.hide(json_value(command.payload), tokens=self._tokens)
            shown.latency_ms = _since(command)
        passing.seen(one.message_id, "in", row.recv_time, (2, 3, 4, 6))
        if one.kind == "CALL":
            self._answered(shown, passing.answer(one.message_id, "out", row.recv_time - 1), row.recv_time)
        return shown

    async def _unframed(self, row: JournalRow, fact: facts.AnyFact, number: int) -> types.MessageShown:
        shown = types.MessageShown(
            id=f"{row.stream}.{row.seq}.{number}",
            seq=row.seq,
            time=to_rfc3339(row.recv_time),
            direction="sys",
            kind="",
            action="",
            message_id="",
            summary=self._said(fact),
            facts=[],
            level=level_of(fact),
            payload=None,
            answer=None,
            request=None,
            latency_ms=None,
            error_code="",
            error_description="",
            fault="",
            deviations=[],
            command_id=None,
            connection=row.epoch,
            size=0,
        )
        if not isinstance(fact, facts.CommandRequested | facts.CommandSettled):
            return shown
        shown.command_id = fact.command_id
        command = await self._store.command(self._tenant, fact.command_id)
        if command is None:
            return shown
        shown.action = command.action
        shown.latency_ms = _since(command)
        answer = json_value(command.answer)
        if isinstance(fact, facts.CommandSettled):
            shown.summary = f"{command.action}: {shown.summary}"
            shown.request = explain.hide(json_value(command.payload), tokens=self._tokens)
            if fact.outcome != "answered" and isinstance(answer, dict):
                shown.error_code = str(answer.get("code", ""))
                shown.error_description = str(answer.get("description", ""))
            return shown
        shown.direction, shown.kind = "out", "CALL"
        payload = explain.hide(json_value(command.payload), tokens=self._tokens)
        shown.payload = payload if payload is not None else explain.HIDDEN
        asked = explain.Reading(kind="CALL", action=command.action, payload=payload)
        by = f" ({_('asked for by {name}', name=command.by)})" if command.by else ""
        shown.summary = f"{explain.sentence(asked, 'out')}{by}"
        if command.outcome in ("answered", "refused"):
            shown.answer = _answer(command, answer, self._tokens)
        if command.outcome not in ("answered", "pending", "sent"):
            shown.level = "bad" if command.outcome == "refused" else "warn"
            shown.error_code = str(answer.get("code", "")) if isinstance(answer, dict) else ""
            shown.error_description = str(answer.get("description", "")) if isinstance(answer, dict) else ""
        return shown

    def passed(self, frame: Frame, passing: _Passing) -> types.MessageShown | None:
        """A frame that was only seen passing; None where it has been told with its CALL."""
        if passing.told(frame):
            return None
        direction = "in" if frame.direction == "in" else "out"
        head = _head(frame.data)
        action = passing.action_of(head[1], frame.direction) if head[0] in (3, 4, 5) else ""
        one = explain.read(frame.data, self._versions, action, tokens=self._tokens)
        shown = self._shown(
            f"live.{frame.time}.{head[0]}.{head[1]}"[:120], frame.time, direction, one, len(frame.data), 0
        )
        if one.kind == "CALL":
            self._answered(
                shown, passing.answer(one.message_id, "out" if direction == "in" else "in", frame.time), frame.time
            )
        return shown

    def _answered(self, shown: types.MessageShown, frame: Frame | None, asked_at: int) -> None:
        if frame is None:
            return
        one = explain.read(frame.data, self._versions, shown.action, tokens=self._tokens)
        direction = "in" if frame.direction == "in" else "out"
        shown.answer = types.MessageAnswer(
            kind=one.kind,
            payload=one.payload,
            error_code=one.code,
            error_description=one.description,
            summary=explain.sentence(one, direction),
        )
        shown.latency_ms = max(0, frame.time - asked_at)
        if one.kind == "CALLERROR":
            shown.error_code, shown.error_description = one.code, one.description
            shown.level = "bad"

    def _shown(
        self, id: str, time: int, direction: Literal["in", "out"], one: explain.Reading, size: int, epoch: int
    ) -> types.MessageShown:
        wrong = bool(one.fault) or one.kind in ("CALLERROR", "CALLRESULTERROR")
        return types.MessageShown(
            id=id,
            seq=None,
            time=to_rfc3339(time),
            direction=direction,
            kind=one.kind,
            action=one.action,
            message_id=one.message_id,
            summary=explain.sentence(one, direction),
            facts=[],
            level="bad" if wrong else "info",
            payload=one.payload,
            answer=None,
            request=None,
            latency_ms=None,
            error_code=one.code,
            error_description=one.description,
            fault=one.fault,
            deviations=[types.DeviationShown(rule=each.rule, text=each.text) for each in one.deviations],
            command_id=None,
            connection=epoch,
            size=size,
        )

    def _said(self, fact: facts.AnyFact) -> str:
        """A fact in words, without its token for those who may not see tokens."""
        text = say(fact)
        token = getattr(fact, "token", "")
        return text if self._tokens or not token else text.replace(token, explain.covered(token))


def _answer(command: records.Command, answer: Any, tokens: bool) -> types.MessageAnswer:
    refused = command.outcome == "refused"
    code = str(answer.get("code", "")) if refused and isinstance(answer, dict) else ""
    description = str(answer.get("description", "")) if refused and isinstance(answer, dict) else ""
    payload = explain.hide(answer, tokens=tokens)
    kind = "CALLERROR" if refused else "CALLRESULT"
    one = explain.Reading(kind=kind, action=command.action, payload=payload, code=code, description=description)
    return types.MessageAnswer(
        kind=kind,
        payload=payload,
        error_code=code,
        error_description=description,
        summary=explain.sentence(one, "in"),
    )


def _since(command: records.Command) -> int | None:
    return command.settled_at - command.requested_at if command.settled_at is not None else None


def _worst(first: Level, *more: Level) -> Level:
    return max((first, *more), key=_LEVELS.index)
