"""What happened during a session, from the journal: its messages, its connector's states, commands, lost connections.

The journal is ordered by arrival. A session's part of it is found by bisection over the sequence numbers, so that a
station's years before it cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from pilotwire.core.time import to_rfc3339
from pilotwire.domain import facts, records
from pilotwire.storage.port import JournalRow, Store

from .. import types
from ..access import Principal
from ..context import ApiContext
from ..problems import not_found
from ..queries import Queries
from ..words import level, say

_BEFORE_MS = 180_000
"""How long before a session's first message its token and its start command may have come."""
_AFTER_MS = 120_000
_ROWS = 20_000
"""At most so many journal entries of one session are looked at: a day and more of one reading every five seconds."""
_EVENTS = 1_000
_ROUTINE = ("MeterValuePeriodic", "MeterValueClock", "SignedDataReceived", "RunningCost", "")
"""Triggers of messages that bring figures and no news."""


async def timeline(context: ApiContext, principal: Principal, session_id: str) -> list[types.SessionEvent]:
    """Events in order of time. Raises Problem 404, 403."""
    principal.need("sessions:read")
    await Queries(context, principal).session(session_id)
    session = await context.store.session(principal.tenant, session_id)
    if session is None:
        raise not_found("session", session_id)
    begin = (session.received_at or session.started_at) - _BEFORE_MS
    end = (session.updated_at or context.scheduler.now()) + _AFTER_MS if session.status == "ended" else None
    store, found = context.store, list[types.SessionEvent]()
    after = await seq_before(store, principal.tenant, session.station_id, begin)
    teller = _Teller(session)
    async for row in store.journal(
        tenant=principal.tenant, station=session.station_id, after=after, limit=_ROWS, lenient=True
    ):
        if row.recv_time < begin:
            continue
        if end is not None and row.recv_time > end:
            break
        found += teller.tell(row)
        if len(found) >= _EVENTS:
            break
    return sorted(found, key=lambda one: one.time)


async def seq_before(store: Store, tenant: str, station: str, instant: int) -> int:
    """A sequence number before the first entry of `station` that arrived at `instant` or later."""

    async def first(after: int, *, newest: bool = False) -> JournalRow | None:
        rows = store.journal(tenant=tenant, station=station, after=after, limit=1, newest_first=newest, lenient=True)
        return await anext(aiter(rows), None)

    newest = await first(0, newest=True)
    low, high = 0, newest.seq if newest else 0
    while high - low > 1:
        middle = (low + high) // 2
        row = await first(middle)
        if row is not None and row.recv_time < instant:
            low = max(middle, row.seq) if row.seq < high else middle
        else:
            high = middle
    return low


class _Teller:
    """Picks from journal entries what belongs to one session and is news."""

    def __init__(self, session: records.Session) -> None:
        self._session = session
        self._state = ""
        self._status = ""
        self._commands: dict[str, str] = {}

    def tell(self, row: JournalRow) -> Iterator[types.SessionEvent]:
        for fact in row.facts:
            if (code := self._code(fact)) is None:
                continue
            own = isinstance(fact, facts.SessionStarted | facts.SessionUpdated | facts.SessionEnded)
            clock = self._session.clock_ms if own else 0
            yield types.SessionEvent(
                time=to_rfc3339(fact.event_time - clock if _possible(fact.event_time - clock, row) else row.recv_time),
                received_at=to_rfc3339(row.recv_time),
                type=str(type(fact).__struct_config__.tag),
                code=code or None,
                charging_state=getattr(fact, "charging_state", "") or None,
                offline=bool(getattr(fact, "offline", False)),
                summary=say(fact),
                level=level(fact),
            )

    def _code(self, fact: facts.AnyFact) -> str | None:
        """The standard's word for a fact that belongs here ("" where it has none); None for one that does not."""
        session = self._session
        match fact:
            case facts.SessionStarted():
                if fact.session_id != session.id:
                    return None
                self._state = fact.charging_state
                return fact.trigger
            case facts.SessionUpdated():
                if fact.session_id != session.id:
                    return None
                changed = bool(fact.charging_state) and fact.charging_state != self._state
                self._state = fact.charging_state or self._state
                return fact.trigger if changed or fact.trigger not in _ROUTINE else None
            case facts.SessionEnded():
                return (fact.reason or fact.trigger) if fact.session_id == session.id else None
            case facts.ConnectorStatusChanged():
                if fact.evse not in (0, session.evse) or fact.connector not in (0, session.connector):
                    return None
                told = f"{fact.evse}{fact.status}{fact.error_code}"
                changed, self._status = told != self._status, told
                code = fact.status if fact.error_code in ("", "NoError") else fact.error_code
                return code if changed else None
            case facts.TokenPresented():
                return fact.verdict if fact.evse in (0, session.evse) and fact.token == session.token else None
            case facts.CommandRequested():
                self._commands[fact.command_id] = fact.action
                return fact.action
            case facts.CommandSettled():
                return fact.outcome if fact.command_id in self._commands and fact.outcome != "answered" else None
            case facts.StationConnected() | facts.StationDisconnected() | facts.StationBooted():
                return getattr(fact, "reason", "") or ""
            case facts.EventNotified():
                return fact.variable if fact.evse in (None, 0, session.evse) else None
            case facts.SecurityEventNotified():
                return fact.kind
        return None


def _possible(time: int, row: JournalRow) -> bool:
    """Whether a station's own time may stand beside ours: neither 1970 nor the future."""
    return 0 < row.recv_time - time < 366 * 86_400_000 or abs(row.recv_time - time) <= 60_000
