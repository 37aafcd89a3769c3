"""Groups put into PostgreSQL: one statement for what nearly every group is, and the numbers that stand for names."""

# ruff: noqa: S608 - the only texts put into SQL here are names from this file; every value is bound.
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from .codec import DIRECTION_NUMBERS, HOUR_MS, encode_facts, row_crc
from .group import Records, SessionRow
from .port import Entry
from .postgres_plans import Connection, text
from .queries import SEQ_BITS

_CACHE_LIMIT: Final = 100_000

_WRITE = """
WITH journal_rows AS (
    INSERT INTO journal (id, station, recv_time, epoch, direction, frame, facts, crc)
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[], $7::bytea[],
                         $8::bigint[])
), sample_rows AS (
    INSERT INTO samples (station, time, series, value, session)
    SELECT * FROM unnest($9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[])
    ON CONFLICT DO NOTHING
), hour_rows AS (
    INSERT INTO session_hours (session, hour, station) SELECT * FROM unnest($14::bigint[], $15::bigint[], $16::bigint[])
    ON CONFLICT DO NOTHING
), session_bodies AS (
    UPDATE sessions SET body = fresh.body FROM unnest($17::bigint[], $18::bytea[]) AS fresh (n, body)
    WHERE sessions.n = fresh.n
) SELECT 1
"""
"""What nearly every group needs. Rarer rows follow in statements of their own, then within one transaction."""

_SESSIONS = """
INSERT INTO sessions (n, tenant, id, station, txn, start_key, status, started_at, body)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[],
                     $8::bigint[], $9::bytea[])
ON CONFLICT (n) DO UPDATE SET station = excluded.station, txn = excluded.txn, start_key = excluded.start_key,
    status = excluded.status, started_at = excluded.started_at, body = excluded.body
"""
_SESSION_LIST = """
INSERT INTO session_list (n, tenant, station, started_at, ended_at, energy_wh, token, reason, flags)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[],
                     $8::text[], $9::text[])
ON CONFLICT (n) DO UPDATE SET station = excluded.station, started_at = excluded.started_at,
    ended_at = excluded.ended_at, energy_wh = excluded.energy_wh, token = excluded.token, reason = excluded.reason,
    flags = excluded.flags
"""
_STATIONS = """
INSERT INTO stations (station, body) SELECT * FROM unnest($1::bigint[], $2::bytea[])
ON CONFLICT (station) DO UPDATE SET body = excluded.body
"""
_COMMANDS = """
INSERT INTO commands (tenant, id, station, requested_at, pending, body)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[])
ON CONFLICT (tenant, id) DO UPDATE SET station = excluded.station, requested_at = excluded.requested_at,
    pending = excluded.pending, body = excluded.body
"""
_VARIABLES = """
INSERT INTO variables (station, name, body) SELECT * FROM unnest($1::bigint[], $2::text[], $3::bytea[])
ON CONFLICT (station, name) DO UPDATE SET body = excluded.body
"""


class PostgresWriter:
    """Writes the entries and records of one stream over whichever connection holds it.

    What it remembers (numbers of names, what a session's row says) is true of committed rows alone: `forget` it when a
    write has failed.
    """

    def __init__(self, stream: str, stream_number: int) -> None:
        self._stream = stream
        self._stream_number = stream_number
        self.forget()

    def forget(self) -> None:
        """Ask for everything again."""
        self._station_numbers: dict[tuple[str, ...], int] = {}
        self._session_numbers: dict[tuple[str, ...], int] = {}
        self._series: dict[tuple[object, ...], int] = {}
        self._session_columns: dict[int, tuple[object, ...]] = {}
        self._hours: set[tuple[int, int]] = set()

    async def replace(self, connection: Connection, records: Records) -> None:
        """Replace every projection row by these, in one transaction."""
        await self.find_numbers(connection, (), records)
        self._session_columns.clear()
        sessions = {(row.tenant, row.id): row for row in records.sessions}
        async with connection.transaction():
            for table in ("stations", "sessions", "session_list", "commands", "variables"):
                await connection.execute(f"DELETE FROM {table}")
            await self.write_records(connection, list(sessions.values()), records)

    async def write(
        self, connection: Connection, seq: int, entries: Sequence[Entry], records: Records, *, alone: bool
    ) -> None:
        """Write entries and records: in one statement where that is all, else in one transaction."""
        await self.find_numbers(connection, entries, records)
        journal: list[tuple[object, ...]] = []
        samples: list[tuple[int, ...]] = []
        hours: list[tuple[int, ...]] = []
        base = self._stream_number << SEQ_BITS
        for entry in entries:
            seq += 1
            tenant, name, frame, direction = entry.tenant, entry.station, entry.frame, entry.direction
            station = self._station_numbers[tenant, name]
            facts = encode_facts(entry.facts)
            crc = row_crc(self._stream, seq, tenant, name, entry.recv_time, entry.epoch, direction, frame, facts)
            number = DIRECTION_NUMBERS[direction]
            journal.append((base | seq, station, entry.recv_time, entry.epoch, number, frame, facts, crc))
            if entry.samples:
                self._sample_rows(entry, station, samples, hours)
        bodies: list[tuple[int, bytes]] = []
        whole: list[SessionRow] = []
        for row in records.sessions:
            number = self._session_numbers[row.tenant, row.id]
            station = self._station_numbers[row.tenant, row.station]
            columns = (station, row.transaction, row.start_key, row.status, row.started_at, row.listed)
            if self._session_columns.get(number) == columns:
                bodies.append((number, row.body))
            else:
                if len(self._session_columns) >= _CACHE_LIMIT:
                    self._session_columns.clear()
                self._session_columns[number] = columns
                whole.append(row)
        main = (
            *_columns(journal, 8),
            *_columns(samples, 5),
            *_columns(hours, 3),
            *_columns(bodies, 2),
        )
        if alone and not (whole or records.stations or records.commands or records.variables):
            await connection.execute(_WRITE, *main)
            return
        async with connection.transaction():
            await connection.execute(_WRITE, *main)
            await self.write_records(connection, whole, records)

    async def write_records(self, connection: Connection, sessions: list[SessionRow], records: Records) -> None:
        """Write `sessions` whole, and what else `records` has; within a transaction of the caller."""
        numbers = self._station_numbers
        if sessions:
            whole: list[tuple[object, ...]] = []
            listed: list[tuple[object, ...]] = []
            for row in sessions:
                number, station = self._session_numbers[row.tenant, row.id], numbers[row.tenant, row.station]
                named = (text(row.transaction), text(row.start_key), row.status, row.started_at)
                whole.append((number, row.tenant, row.id, station, *named, row.body))
                ended_at, energy, token, reason, flags = row.listed
                found = (ended_at, energy, text(token), text(reason), text(flags))
                listed.append((number, row.tenant, station, row.started_at, *found))
            await connection.execute(_SESSIONS, *_columns(whole, 9))
            await connection.execute(_SESSION_LIST, *_columns(listed, 9))
        if records.stations:
            rows = [(numbers[row.tenant, row.station], row.body) for row in records.stations]
            await connection.execute(_STATIONS, *_columns(rows, 2))
        if records.commands:
            kept = [
                (one.tenant, one.id, numbers[one.tenant, one.station], one.requested_at, one.pending, one.body)
                for one in records.commands
            ]
            await connection.execute(_COMMANDS, *_columns(kept, 6))
        if records.variables:
            named = [(numbers[one.tenant, one.station], text(one.name), one.body) for one in records.variables]
            await connection.execute(_VARIABLES, *_columns(named, 3))

    def _sample_rows(
        self, entry: Entry, station: int, rows: list[tuple[int, ...]], hours: list[tuple[int, ...]]
    ) -> None:
        for sample in entry.samples:
            session = self._session_numbers[entry.tenant, sample.session_id] if sample.session_id else 0
            series = self._series[_series_key(sample)]
            rows.append((station, sample.time, series, sample.value, session))
            if session:
                mark = (session, sample.time // HOUR_MS)
                if mark not in self._hours:
                    if len(self._hours) >= _CACHE_LIMIT:
                        self._hours.clear()
                    self._hours.add(mark)
                    hours.append((*mark, station))

    async def find_numbers(self, connection: Connection, entries: Sequence[Entry], records: Records) -> None:
        """Make sure that every name in a group has its number: known ones from memory, others in a commit before.

        A number that then stays unused does no harm, and no two gateways wait for one another in the middle of a group.
        """
        stations = {(entry.tenant, entry.station) for entry in entries}
        sessions = {(row.tenant, row.id) for row in records.sessions}
        stations.update((row.tenant, row.station) for row in records.sessions)
        stations.update((row.tenant, row.station) for row in records.stations)
        stations.update((row.tenant, row.station) for row in records.commands)
        stations.update((row.tenant, row.station) for row in records.variables)
        series: set[tuple[object, ...]] = set()
        known = self._series
        for entry in entries:
            for sample in entry.samples:
                if sample.session_id:
                    sessions.add((entry.tenant, sample.session_id))
                if (key := _series_key(sample)) not in known:
                    series.add(key)
        await _number(
            connection, "station_numbers", ("tenant", "id"), ("text", "text"), stations, self._station_numbers
        )
        await _number(
            connection, "session_numbers", ("tenant", "id"), ("text", "text"), sessions, self._session_numbers
        )
        if series:
            kinds = ("bigint", "bigint", "text", "text", "text", "text", "text")
            names = ("evse", "connector", "measurand", "phase", "location", "context", "unit")
            await _number(connection, "series", names, kinds, series, known)


def _series_key(sample: Any) -> tuple[object, ...]:
    return (
        sample.evse,
        sample.connector,
        sample.measurand,
        sample.phase,
        sample.location,
        sample.context,
        sample.unit,
    )


def _columns(rows: Sequence[Sequence[object]], width: int) -> list[list[object]]:
    """Rows turned into the arrays that unnest takes."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


async def _number(
    connection: Connection,
    table: str,
    names: tuple[str, ...],
    kinds: tuple[str, ...],
    keys: set[Any],
    known: dict[Any, int],
) -> None:
    """Give numbers to the keys that have none yet, and remember them."""
    missing = [key for key in keys if key not in known]
    if not missing:
        return
    if len(known) + len(missing) > _CACHE_LIMIT:
        # Only what this group needs is asked for again.
        known.clear()
        missing = list(keys)
    clean = {tuple(text(one) if isinstance(one, str) else one for one in key) for key in missing}
    arrays = _columns(sorted(clean), len(names))
    listed = ", ".join(names)
    unnested = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(kinds, 1))
    await connection.execute(
        f"INSERT INTO {table} ({listed}) SELECT * FROM unnest({unnested}) ON CONFLICT DO NOTHING", *arrays
    )
    rows = await connection.fetch(
        f"SELECT n, {listed} FROM {table} JOIN unnest({unnested}) AS wanted ({listed}) USING ({listed})", *arrays
    )
    numbers = {tuple(row)[1:]: row[0] for row in rows}
    for key in missing:
        known[key] = numbers[tuple(text(one) if isinstance(one, str) else one for one in key)]
