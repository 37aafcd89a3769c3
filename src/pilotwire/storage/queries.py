"""What is asked of the SQL stores, written once.

A query is a *plan*: a generator that yields (SQL, arguments), is sent the rows, and returns the answer. SQLite runs a
plan in one go on a reading thread, PostgreSQL awaits each step; neither knows what the plan is about. Placeholders are
?1, ?2 … (PostgreSQL's store writes them as $1, $2 …); the SQL keeps to what both dialects understand.
"""

# ruff: noqa: S608 - the only texts put into SQL here are names from this file; every value is bound.
from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Sequence
from typing import Any, NamedTuple, TypeVar

from pilotwire.core.ids import StationKey
from pilotwire.domain.records import Command, Session, Station, Variable

from .codec import (
    DIRECTIONS,
    ENDED_SESSIONS_IN_IMAGE,
    decode_as,
    decode_cursor,
    decode_facts,
    encode_cursor,
    row_crc,
    variable_order,
)
from .port import JournalRow, Page, StationImage

T = TypeVar("T")
Row = Sequence[Any]
Plan = Generator[tuple[str, tuple[object, ...]], list[Row], T]

SEQ_BITS = 40
SEQ_MASK = (1 << SEQ_BITS) - 1
JOURNAL_CHUNK = 500


def run_plan(plan: Plan[T], fetch: Callable[[str, tuple[object, ...]], list[Row]]) -> T:
    """Drive a plan with a function that fetches at once."""
    try:
        step = next(plan)
        while True:
            step = plan.send(fetch(*step))
    except StopIteration as end:
        return end.value


class RawRow(NamedTuple):
    """A journal row as it lies in the table, for those who check it."""

    stream: str
    seq: int
    tenant: str
    station: str
    recv_time: int
    epoch: int
    direction: str
    frame: bytes
    facts: bytes
    crc: int

    def sound(self) -> bool:
        """True when the row is what was written."""
        return row_crc(*self[:-1]) == self.crc

    def decoded(self) -> JournalRow:
        """The row with its facts as objects. Raises msgspec.DecodeError."""
        return JournalRow(
            stream=self.stream,
            seq=self.seq,
            tenant=self.tenant,
            station=self.station,
            recv_time=self.recv_time,
            epoch=self.epoch,
            direction=self.direction,
            frame=self.frame,
            facts=decode_facts(self.facts),
        )


# -- stations and sessions --------------------------------------------------------------------------------------------
def station_number(key: StationKey) -> Plan[int | None]:
    """The number that stands for a station, None when nothing was ever kept of it."""
    rows = yield "SELECT n FROM station_numbers WHERE tenant = ?1 AND id = ?2", (key.tenant, key.station)
    return rows[0][0] if rows else None


def stations_page(tenant: str, cursor: str | None, limit: int) -> Plan[Page]:
    """Station records by id."""
    after = decode_cursor(cursor, tuple[str])[0] if cursor else ""
    rows = yield (
        "SELECT s.body FROM station_numbers n JOIN stations s ON s.station = n.n "
        "WHERE n.tenant = ?1 AND n.id > ?2 ORDER BY n.id LIMIT ?3",
        (tenant, after, limit + 1),
    )
    items = [decode_as(Station, row[0]) for row in rows[:limit]]
    return Page(items=list(items), next=encode_cursor(items[-1].id) if len(rows) > limit else None)


def some_stations(tenant: str, ids: Collection[str] | None) -> Plan[list[Station]]:
    """The records of these stations, or of all."""
    sql = "SELECT s.body FROM station_numbers n JOIN stations s ON s.station = n.n WHERE n.tenant = ?1"
    if ids is None:
        rows = yield sql, (tenant,)
    elif ids:
        marks = ", ".join(f"?{place}" for place in range(2, len(ids) + 2))
        rows = yield f"{sql} AND n.id IN ({marks})", (tenant, *ids)
    else:
        return []
    return [decode_as(Station, row[0]) for row in rows]


def one_station(key: StationKey) -> Plan[Station | None]:
    """One station's record."""
    rows = yield (
        "SELECT s.body FROM station_numbers n JOIN stations s ON s.station = n.n WHERE n.tenant = ?1 AND n.id = ?2",
        (key.tenant, key.station),
    )
    return decode_as(Station, rows[0][0]) if rows else None


def one_session(tenant: str, session_id: str) -> Plan[Session | None]:
    """One session."""
    rows = yield (
        "SELECT s.body FROM session_numbers n JOIN sessions s ON s.n = n.n WHERE n.tenant = ?1 AND n.id = ?2",
        (tenant, session_id),
    )
    return decode_as(Session, rows[0][0]) if rows else None


def image(key: StationKey) -> Plan[StationImage]:
    """All that an actor needs to go on."""
    number = yield from station_number(key)
    if number is None:
        return StationImage(station=None, sessions=[], complete=True, commands=[])
    found = yield "SELECT body FROM stations WHERE station = ?1", (number,)
    sessions = yield (
        "SELECT body, status, started_at, id FROM sessions WHERE station = ?1 "
        "ORDER BY started_at DESC, id DESC LIMIT ?2",
        (number, ENDED_SESSIONS_IN_IMAGE + 1),
    )
    rows = list(sessions)
    complete = len(rows) <= ENDED_SESSIONS_IN_IMAGE
    if not complete:
        _, _, started_at, name = rows.pop()
        # Sessions still active that are older than the newest ones: rare, so asked for only now.
        rows += yield (
            "SELECT body, status, started_at, id FROM sessions WHERE station = ?1 AND status = 'active' "
            "AND (started_at, id) <= (?2, ?3) ORDER BY started_at DESC, id DESC",
            (number, started_at, name),
        )
        # Every older session may be active; then nothing is missing.
        older = yield (
            "SELECT 1 FROM sessions WHERE station = ?1 AND status <> 'active' AND (started_at, id) <= (?2, ?3) LIMIT 1",
            (number, started_at, name),
        )
        complete = not older
    commands = yield (
        "SELECT body FROM commands WHERE station = ?1 AND pending = 1 ORDER BY requested_at, id",
        (number,),
    )
    return StationImage(
        station=decode_as(Station, found[0][0]) if found else None,
        sessions=[decode_as(Session, row[0]) for row in rows],
        complete=complete,
        commands=[decode_as(Command, row[0]) for row in commands],
    )


def find_session(key: StationKey, transaction: str, start_key: str) -> Plan[Session | None]:
    """The newest session with this transactionId or, where that is empty, this start_key."""
    number = yield from station_number(key)
    if number is None or not (transaction or start_key):
        return None
    rows = yield (
        f"SELECT body FROM sessions WHERE station = ?1 AND "
        f"{'txn = ?2' if transaction else 'start_key = ?2'} ORDER BY started_at DESC, id DESC LIMIT 1",
        (number, transaction or start_key),
    )
    return decode_as(Session, rows[0][0]) if rows else None


# -- variables and commands -------------------------------------------------------------------------------------------
def variables(key: StationKey) -> Plan[list[Variable]]:
    """A station's variables by component and name."""
    rows = yield (
        "SELECT v.body FROM station_numbers n JOIN variables v ON v.station = n.n WHERE n.tenant = ?1 AND n.id = ?2",
        (key.tenant, key.station),
    )
    return sorted((decode_as(Variable, row[0]) for row in rows), key=variable_order)


def one_command(tenant: str, command_id: str) -> Plan[Command | None]:
    """One command."""
    rows = yield "SELECT body FROM commands WHERE tenant = ?1 AND id = ?2", (tenant, command_id)
    return decode_as(Command, rows[0][0]) if rows else None


def commands(key: StationKey, limit: int) -> Plan[list[Command]]:
    """A station's commands, newest first."""
    rows = yield (
        "SELECT c.body FROM station_numbers n JOIN commands c ON c.station = n.n WHERE n.tenant = ?1 AND n.id = ?2 "
        "ORDER BY c.requested_at DESC, c.id DESC LIMIT ?3",
        (key.tenant, key.station, limit),
    )
    return [decode_as(Command, row[0]) for row in rows]


# -- journal ----------------------------------------------------------------------------------------------------------
def streams() -> Plan[list[tuple[int, str]]]:
    """Every stream: (number, name)."""
    rows = yield "SELECT n, name FROM streams ORDER BY n", ()
    return [(row[0], row[1]) for row in rows]


def last_seq(stream: int) -> Plan[int]:
    """The highest seq of a stream; 0 when it is empty."""
    rows = yield (
        "SELECT max(id) FROM journal WHERE id >= ?1 AND id <= ?2",
        (stream << SEQ_BITS, stream << SEQ_BITS | SEQ_MASK),
    )
    return (rows[0][0] or 0) & SEQ_MASK


def journal_chunk(
    stream: tuple[int, str],
    low: int,
    high: int,
    *,
    tenant: str | None,
    station: str | None,
    descending: bool,
    limit: int = JOURNAL_CHUNK,
) -> Plan[list[RawRow]]:
    """At most `limit` rows of one stream with low < seq < high, by seq."""
    number, name = stream
    args: list[object] = [number << SEQ_BITS | low, number << SEQ_BITS | min(high, SEQ_MASK), limit]
    where = ""
    if tenant is not None and station is not None:
        found = yield from station_number(StationKey(tenant, station))
        args.append(found if found is not None else -1)
        where = f" AND j.station = ?{len(args)}"
    elif tenant is not None or station is not None:
        args.append(tenant if tenant is not None else station)
        where = f" AND n.{'tenant' if tenant is not None else 'id'} = ?{len(args)}"
    rows = yield (
        "SELECT j.id, n.tenant, n.id, j.recv_time, j.epoch, j.direction, j.frame, j.facts, j.crc "
        "FROM journal j JOIN station_numbers n ON n.n = j.station "
        f"WHERE j.id > ?1 AND j.id < ?2{where} ORDER BY j.id {'DESC' if descending else 'ASC'} LIMIT ?3",
        tuple(args),
    )
    return [
        RawRow(name, row[0] & SEQ_MASK, row[1], row[2], row[3], row[4], _direction(row[5]), row[6], row[7], row[8])
        for row in rows
    ]


def _direction(number: int) -> str:
    # A number out of range is damage; verify must be able to say so instead of stumbling.
    return DIRECTIONS[number] if 0 <= number < len(DIRECTIONS) else f"?{number}"


PROJECTION_KEYS = {
    "stations": ("station",),
    "sessions": ("n",),
    "commands": ("tenant", "id"),
    "variables": ("station", "name"),
}


def bodies_after(table: str, cursor: tuple[object, ...] | None) -> Plan[list[Row]]:
    """The next rows of a projection table by its key: (key …, body)."""
    key = PROJECTION_KEYS[table]
    listed = ", ".join(key)
    if cursor is None:
        rows = yield f"SELECT {listed}, body FROM {table} ORDER BY {listed} LIMIT ?1", (JOURNAL_CHUNK,)
    else:
        marks = ", ".join(f"?{place}" for place in range(1, len(key) + 1))
        rows = yield (
            f"SELECT {listed}, body FROM {table} WHERE ({listed}) > ({marks}) ORDER BY {listed} LIMIT ?{len(key) + 1}",
            (*cursor, JOURNAL_CHUNK),
        )
    return rows


# -- settings ---------------------------------------------------------------------------------------------------------
def put_body(table: str, tenant: str, name: str, body: bytes) -> Plan[None]:
    """Insert or replace one row of a settings table."""
    yield (
        f"INSERT INTO {table} (tenant, id, body) VALUES (?1, ?2, ?3) "
        "ON CONFLICT (tenant, id) DO UPDATE SET body = excluded.body",
        (tenant, name, body),
    )


_BODIES_PER_STATEMENT = 200


def put_bodies(table: str, rows: Sequence[tuple[str, str, bytes]]) -> Plan[None]:
    """Insert or replace many rows (tenant, id, body) of a settings table; of one that comes twice the last counts."""
    last = list({row[:2]: row for row in rows}.values())
    for start in range(0, len(last), _BODIES_PER_STATEMENT):
        some = last[start : start + _BODIES_PER_STATEMENT]
        marks = ", ".join(f"(?{3 * n + 1}, ?{3 * n + 2}, ?{3 * n + 3})" for n in range(len(some)))
        yield (
            f"INSERT INTO {table} (tenant, id, body) VALUES {marks} "
            "ON CONFLICT (tenant, id) DO UPDATE SET body = excluded.body",
            tuple(value for row in some for value in row),
        )


def get_body(table: str, tenant: str, name: str, kind: type[T]) -> Plan[T | None]:
    """One row of a settings table."""
    rows = yield f"SELECT body FROM {table} WHERE tenant = ?1 AND id = ?2", (tenant, name)
    return decode_as(kind, rows[0][0]) if rows else None


def list_bodies(table: str, tenant: str | None, kind: type[T]) -> Plan[list[T]]:
    """Rows of a settings table by tenant and id; of every tenant where it is None."""
    if tenant is None:
        rows = yield f"SELECT body FROM {table} ORDER BY tenant, id", ()
    else:
        rows = yield f"SELECT body FROM {table} WHERE tenant = ?1 ORDER BY id", (tenant,)
    return [decode_as(kind, row[0]) for row in rows]


def delete_body(table: str, tenant: str, name: str) -> Plan[bool]:
    """Delete one row of a settings table; True when there was one."""
    rows = yield f"DELETE FROM {table} WHERE tenant = ?1 AND id = ?2 RETURNING 1", (tenant, name)
    return bool(rows)


def get_setting(name: str) -> Plan[str | None]:
    """A setting of the installation."""
    rows = yield "SELECT value FROM settings WHERE name = ?1", (name,)
    return rows[0][0] if rows else None


def put_setting(name: str, value: str) -> Plan[None]:
    """Insert or replace a setting."""
    yield (
        "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )
