"""Searching, sorting and summing up sessions, at a million of them.

Narrow rows beside the sessions (`session_list`) hold what may be asked for. One condition, the most selective one that
has an index, leads; rows in its order are looked at, at most `WINDOW` of them for one page, and what else was asked is
checked on each. So every page is bounded in time: one that found little says with its cursor where to go on. The rows
are written when a session begins, ends or is mended, never with a meter value.
"""

# ruff: noqa: S608 - the only texts put into SQL here are names from this file; every value is bound.
from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final, Literal, NamedTuple

import msgspec

from pilotwire.domain.records import Session

from .codec import decode_as, decode_cursor, encode_cursor
from .port import Page
from .queries import Plan, Row

SessionSort = Literal["started_at", "ended_at", "energy_wh"]
WINDOW: Final = 10_000
"""Rows looked at for one page."""
COUNTED: Final = 10_000
"""What is counted exactly; more is "many"."""
_LASTED: Final = "CASE WHEN ended_at > started_at THEN ended_at - started_at ELSE 0 END"
SUMMED: Final = 100_000
"""Rows looked at for one sum; what needs more is for the reports, which have their figures by day."""
_LEADING: Final = 64
"""So many stations or tokens may lead; more are checked row by row."""
COLUMNS: Final = ("n", "tenant", "station", "started_at", "ended_at", "energy_wh", "token", "reason", "flags")


class SessionQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for. Everything given has to hold; of several values of one field, one."""

    stations: tuple[str, ...] | None = None
    status: str | None = None
    """active or ended."""
    tokens: tuple[str, ...] | None = None
    """In any case, as OCPP compares them."""
    started_from: int | None = None
    started_before: int | None = None
    ended_from: int | None = None
    ended_before: int | None = None
    energy_from: int | None = None
    """Wh; of sessions that have ended."""
    energy_to: int | None = None
    reasons: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    """Any of these."""
    flagged: bool | None = None
    """With any flag at all, or with none."""
    q: str = ""
    """Part of the station's id or of the token; or the session's id; in any case of ASCII letters."""
    within: frozenset[str] | None = None
    """Only of these stations: what the asker may see."""
    by: frozenset[str] | None = None
    """Only by these tokens: what the asker may see."""
    sort: SessionSort = "started_at"
    """By end or energy, only those that have ended are listed."""
    descending: bool = True


class StationTotal(NamedTuple):
    """What one station's ended sessions come to."""

    sessions: int
    energy_wh: int


class SessionSums(NamedTuple):
    """What ended sessions come to."""

    sessions: int
    energy_wh: int
    lasted_ms: int


class EndedRow(NamedTuple):
    """A session that has ended, as far as a sum needs it."""

    id: str
    station_id: str
    token: str
    """In lower case."""
    started_at: int
    ended_at: int
    energy_wh: int


class ListColumns(NamedTuple):
    """A session's columns in the list."""

    ended_at: int | None
    energy_wh: int | None
    token: str
    reason: str
    flags: str


def columns_of(session: Session) -> ListColumns:
    """What is kept of a session for searching."""
    flags = f",{','.join(session.flags)}," if session.flags else ""
    if session.status == "active":
        return ListColumns(None, None, session.token.lower(), session.stop_reason, flags)
    ended = session.ended_at
    if ended is None:
        ended = session.updated_at or session.started_at
    return ListColumns(ended, session.energy_wh, session.token.lower(), session.stop_reason, flags)


# -- SQL --------------------------------------------------------------------------------------------------------------
class _Where:
    """Conditions and their values; numbered when they are written down."""

    def __init__(self) -> None:
        self.parts: list[tuple[str, tuple[object, ...]]] = []

    def add(self, text: str, *values: object) -> None:
        """`text` with {} (or {0}, {1} …) where the values go."""
        self.parts.append((text, values))

    def any_of(self, column: str, values: Iterable[object]) -> None:
        listed = tuple(values)
        self.add(f"{column} IN ({', '.join(['{}'] * len(listed))})" if listed else "1 = 0", *listed)

    def __contains__(self, text: str) -> bool:
        return (text, ()) in self.parts

    def written(self, args: list[object]) -> str:
        """The conditions as SQL; their values go to `args`."""
        texts: list[str] = []
        for text, values in self.parts:
            marks: list[str] = []
            for value in values:
                args.append(value)
                marks.append(f"?{len(args)}")
            texts.append(text.format(*marks))
        return " AND ".join(texts)


def _numbers(tenant: str, ids: Sequence[str]) -> Plan[list[int]]:
    where, args = _Where(), list[object]()
    where.add("tenant = {}", tenant)
    where.any_of("id", ids)
    rows = yield f"SELECT n FROM station_numbers WHERE {where.written(args)}", tuple(args)
    return [row[0] for row in rows]


def _like(text: str) -> str:
    plain = text.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{plain}%"


class _Question(NamedTuple):
    key: str
    lead: _Where
    rest: _Where


def _question(tenant: str, wanted: SessionQuery) -> Plan[_Question | None]:
    """The conditions; None when nothing can fit."""
    stations = wanted.stations
    if wanted.within is not None:
        stations = tuple(wanted.within) if stations is None else tuple(one for one in stations if one in wanted.within)
    tokens = None if wanted.tokens is None else {one.lower() for one in wanted.tokens}
    if wanted.by is not None:
        own = {one.lower() for one in wanted.by}
        tokens = own if tokens is None else tokens & own
    if tokens is not None:
        tokens -= {""}  # who began without a token belongs to nobody
    if stations == () or tokens == set():
        return None
    numbers: list[int] | None = None
    if stations is not None:
        numbers = yield from _numbers(tenant, stations)
        if not numbers:
            return None
    lead, rest = _Where(), _Where()
    ordered = wanted.sort == "started_at"
    if numbers is not None and len(numbers) <= _LEADING:
        lead.any_of("station", numbers)
        numbers = None
    elif tokens is not None and len(tokens) <= _LEADING:
        lead.add("tenant = {}", tenant)
        lead.any_of("token", sorted(tokens))
        lead.add("token <> ''")
        tokens = None
    else:
        lead.add("tenant = {}", tenant)
        if ordered and wanted.status == "active":
            lead.add("ended_at IS NULL")
        elif ordered and (wanted.flags or wanted.flagged):
            lead.add("flags <> ''")
        elif ordered and wanted.reasons and "" not in wanted.reasons:
            lead.any_of("reason", sorted(wanted.reasons))
            lead.add("reason <> ''")
    _bound_by(lead if ordered else rest, "started_at", wanted.started_from, wanted.started_before)
    if ordered and wanted.ended_before is not None and wanted.started_before is None:
        lead.add("started_at <= {}", wanted.ended_before)  # what ends has begun: passes over all that came later
    ended = lead if wanted.sort == "ended_at" else rest
    _bound_by(ended, "ended_at", wanted.ended_from, wanted.ended_before)
    energy = lead if wanted.sort == "energy_wh" else rest
    if wanted.energy_from is not None:
        energy.add("energy_wh >= {}", wanted.energy_from)
    if wanted.energy_to is not None:
        energy.add("energy_wh <= {}", wanted.energy_to)
    if not ordered:
        lead.add(f"{wanted.sort} IS NOT NULL")
    _rest(rest, lead, tenant, wanted, numbers, tokens)
    return _Question(wanted.sort, lead, rest)


def _bound_by(where: _Where, column: str, low: int | None, high: int | None) -> None:
    if low is not None:
        where.add(f"{column} >= {{}}", low)
    if high is not None:
        where.add(f"{column} < {{}}", high)


def _rest(
    rest: _Where,
    lead: _Where,
    tenant: str,
    wanted: SessionQuery,
    numbers: list[int] | None,
    tokens: set[str] | None,
) -> None:
    """What does not lead."""
    if wanted.status == "active" and "ended_at IS NULL" not in lead:
        rest.add("ended_at IS NULL")
    elif wanted.status == "ended" and wanted.sort == "started_at":
        rest.add("ended_at IS NOT NULL")
    if numbers is not None:
        rest.any_of("station", numbers)
    if tokens is not None:
        rest.any_of("token", sorted(tokens))
    if wanted.reasons and "reason <> ''" not in lead:
        rest.any_of("reason", sorted(wanted.reasons))
    if wanted.flags:
        alternatives = " OR ".join("flags LIKE {} ESCAPE '\\'" for _ in wanted.flags)
        rest.add(f"({alternatives})", *(_like(f",{flag},") for flag in wanted.flags))
    if wanted.flagged is not None and not (wanted.flagged and "flags <> ''" in lead):
        rest.add("flags <> ''" if wanted.flagged else "flags = ''")
    if wanted.q:
        rest.add(
            "(token LIKE {0} ESCAPE '\\' OR station IN (SELECT n FROM station_numbers WHERE tenant = {1} "
            "AND lower(id) LIKE {2} ESCAPE '\\') "
            "OR n IN (SELECT n FROM session_numbers WHERE tenant = {1} AND id = {3}))",
            _like(wanted.q), tenant, _like(wanted.q), wanted.q,
        )  # fmt: skip


def page_plan(tenant: str, wanted: SessionQuery, cursor: str | None, limit: int) -> Plan[Page]:
    """A page of sessions."""
    asked = yield from _question(tenant, wanted)
    if asked is None:
        return Page(items=[])
    key, way = asked.key, "DESC" if wanted.descending else "ASC"
    order = f"{key} {way}, n {way}"
    if cursor is not None:
        sign = "<" if wanted.descending else ">"
        asked.lead.add(f"({key}, n) {sign} ({{}}, {{}})", *decode_cursor(cursor, tuple[int, int]))
    checked = bool(asked.rest.parts)
    args: list[object] = []
    lead = asked.lead.written(args)
    args.append(WINDOW if checked else limit + 1)
    chosen = f"SELECT {', '.join(COLUMNS)} FROM session_list WHERE {lead} ORDER BY {order} LIMIT ?{len(args)}"
    if checked:
        rest = asked.rest.written(args)
        args.append(limit + 1)
        chosen = f"SELECT n, {key} FROM ({chosen}) AS looked WHERE {rest} ORDER BY {order} LIMIT ?{len(args)}"
    rows = yield (
        f"SELECT s.body, c.{key}, c.n FROM ({chosen}) AS c CROSS JOIN sessions s WHERE s.n = c.n "
        f"ORDER BY c.{key} {way}, c.n {way}",
        tuple(args),
    )
    items: list[object] = [decode_as(Session, row[0]) for row in rows[:limit]]
    if len(rows) > limit:
        last = rows[limit - 1]
        return Page(items=items, next=encode_cursor(last[1], last[2]))
    if not checked:
        return Page(items=items)
    # Fewer than asked for: are these all, or all within what was looked at?
    args = []
    lead = asked.lead.written(args)
    args.append(WINDOW - 1)
    end: list[Row] = yield (
        f"SELECT {key}, n FROM session_list WHERE {lead} ORDER BY {order} LIMIT 1 OFFSET ?{len(args)}",
        tuple(args),
    )
    return Page(items=items, next=encode_cursor(end[0][0], end[0][1]) if end else None)


def count_plan(tenant: str, wanted: SessionQuery) -> Plan[int | None]:
    """How many fit; None where there are more than `COUNTED`, or it would take a look at too many to tell."""
    asked = yield from _question(tenant, wanted)
    if asked is None:
        return 0
    args: list[object] = []
    lead = asked.lead.written(args)
    if not asked.rest.parts:
        args.append(COUNTED + 1)
        rows = yield (
            f"SELECT count(*) FROM (SELECT 1 FROM session_list WHERE {lead} LIMIT ?{len(args)}) AS c",
            tuple(args),
        )
        return rows[0][0] if rows[0][0] <= COUNTED else None
    args.append(WINDOW + 1)
    looked_at = f"SELECT {', '.join(COLUMNS)} FROM session_list WHERE {lead} LIMIT ?{len(args)}"
    rest = asked.rest.written(args)
    rows = yield (
        f"SELECT count(*), coalesce(sum(CASE WHEN {rest} THEN 1 ELSE 0 END), 0) FROM ({looked_at}) AS looked",
        tuple(args),
    )
    looked, found = rows[0]
    return int(found) if looked <= WINDOW else None


def sums_plan(tenant: str, wanted: SessionQuery) -> Plan[SessionSums | None]:
    """What those come to that fit and have ended; None where more than `SUMMED` rows had to be looked at."""
    if wanted.status == "active":
        return SessionSums(0, 0, 0)
    plain = msgspec.structs.replace(wanted, status="ended", sort="started_at")
    asked = yield from _question(tenant, plain)
    if asked is None:
        return SessionSums(0, 0, 0)
    args: list[object] = []
    lead = asked.lead.written(args)
    args.append(SUMMED + 1)
    looked_at = f"SELECT {', '.join(COLUMNS)} FROM session_list WHERE {lead} LIMIT ?{len(args)}"
    fit = f"CASE WHEN {asked.rest.written(args)} THEN {{}} ELSE 0 END"
    figures = ", ".join(f"coalesce(sum({fit.format(one)}), 0)" for one in ("1", "energy_wh", _LASTED))
    rows = yield f"SELECT count(*), {figures} FROM ({looked_at}) AS looked", tuple(args)
    looked, count, energy, lasted = (int(one) for one in rows[0])
    return SessionSums(count, energy, lasted) if looked <= SUMMED else None


def totals_plan(tenant: str, ended_from: int, ended_before: int | None) -> Plan[dict[str, StationTotal]]:
    """Station → what its sessions come to that ended within a time, from the index alone."""
    args: list[object] = [tenant, ended_from]
    if ended_before is not None:
        args.append(ended_before)
    rows = yield (
        "SELECT k.id, t.sessions, t.energy FROM (SELECT station, count(*) AS sessions, sum(energy_wh) AS energy "
        "FROM session_list WHERE tenant = ?1 AND ended_at IS NOT NULL AND ended_at >= ?2"
        f"{' AND ended_at < ?3' if ended_before is not None else ''} GROUP BY station) AS t "
        "CROSS JOIN station_numbers k WHERE k.n = t.station",
        tuple(args),
    )
    return {row[0]: StationTotal(row[1], int(row[2])) for row in rows}


def ended_plan(tenant: str, ended_from: int) -> Plan[list[EndedRow]]:
    """Every session that ended at this time or later."""
    rows = yield (
        "SELECT i.id, k.id, l.token, l.started_at, l.ended_at, l.energy_wh FROM session_list l "
        "CROSS JOIN session_numbers i CROSS JOIN station_numbers k "
        "WHERE l.tenant = ?1 AND l.ended_at IS NOT NULL AND l.ended_at >= ?2 AND i.n = l.n AND k.n = l.station",
        (tenant, ended_from),
    )
    return [EndedRow(*row) for row in rows]


def some_plan(tenant: str, ids: Collection[str]) -> Plan[list[Session]]:
    """These sessions, in no order; a few hundred at most."""
    if not ids:
        return []
    where, args = _Where(), list[object]()
    where.add("i.tenant = {}", tenant)
    where.any_of("i.id", ids)
    rows = yield (
        f"SELECT s.body FROM session_numbers i CROSS JOIN sessions s WHERE {where.written(args)} AND s.n = i.n",
        tuple(args),
    )
    return [decode_as(Session, row[0]) for row in rows]


# -- the same in memory -----------------------------------------------------------------------------------------------
def fits(wanted: SessionQuery) -> Callable[[Session], bool]:
    """Whether a session is what was asked for."""
    stations = frozenset(wanted.stations) if wanted.stations is not None else None
    tokens = frozenset(one.lower() for one in wanted.tokens) - {""} if wanted.tokens is not None else None
    own = frozenset(one.lower() for one in wanted.by) - {""} if wanted.by is not None else None
    needle = wanted.q.lower()

    def fit(session: Session) -> bool:
        row = columns_of(session)
        return (
            (stations is None or session.station_id in stations)
            and (wanted.within is None or session.station_id in wanted.within)
            and (wanted.status is None or (row.ended_at is None) is (wanted.status == "active"))
            and (wanted.sort == "started_at" or row.ended_at is not None)
            and (tokens is None or row.token in tokens)
            and (own is None or row.token in own)
            and _between(session.started_at, wanted.started_from, wanted.started_before)
            and _between(row.ended_at, wanted.ended_from, wanted.ended_before)
            and _between(row.energy_wh, wanted.energy_from, None if wanted.energy_to is None else wanted.energy_to + 1)
            and (not wanted.reasons or row.reason in wanted.reasons)
            and (not wanted.flags or any(flag in session.flags for flag in wanted.flags))
            and (wanted.flagged is None or bool(session.flags) is wanted.flagged)
            and (not needle or needle in row.token or needle in session.station_id.lower() or wanted.q == session.id)
        )

    return fit


def sort_key(wanted: SessionQuery, session: Session) -> int:
    """What a session is sorted by."""
    if wanted.sort == "started_at":
        return session.started_at
    row = columns_of(session)
    key: Any = row.ended_at if wanted.sort == "ended_at" else row.energy_wh
    return key


def _between(value: int | None, low: int | None, high: int | None) -> bool:
    if low is None and high is None:
        return True
    return value is not None and (low is None or value >= low) and (high is None or value < high)
