"""The samples that are not history yet, in two tables: single rows by station, and sets by time.

PostgreSQL's writer makes rows. SQLite's writer makes sets: the samples of one message and one time are one row, in
order of time first, since a row per sample cost it more than all the rest of a message: nine insertions, and a page per
station for each group to write. Readers find a station's sets by looking into every slot of the time in question.

Either database may hold both: SQLite's from before there were sets, PostgreSQL's by the restoring of a backup. A sample
is unique by all but its value, and the one that came first stays: sets are compared when they are read or rolled off,
and a row counts as older than a set.
"""

# ruff: noqa: S608 - the only texts put into SQL here are written here; every value is bound.
from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from pilotwire.domain.records import Sample

from .codec import DAY_MS, HOUR_MS, encode, sample_order
from .queries import Plan, Row

SLOT_MS: Final = 15_000
"""A long session is some seeks per minute to read; the sets that are being added are on few pages."""
SLOTS_AN_HOUR: Final = HOUR_MS // SLOT_MS
SLOTS_A_DAY: Final = DAY_MS // SLOT_MS

_LOW, _HIGH = -(1 << 63), (1 << 63) - 1
_decode = msgspec.json.Decoder(list[int]).decode

SETS_OF_STATION: Final = (
    "WITH RECURSIVE slots (slot) AS "
    "(SELECT CAST(?2 AS BIGINT) UNION ALL SELECT slot + 1 FROM slots WHERE slot + 1 < CAST(?3 AS BIGINT)) "
    "SELECT s.slot, s.time, s.session, s.body, x.id FROM slots CROSS JOIN sample_sets s "
    "LEFT JOIN session_numbers x ON x.n = s.session "
    "WHERE s.slot = slots.slot AND s.station = ?1 ORDER BY s.slot, s.time, s.n"
)
"""(station number, first slot, the slot after the last) → what was kept first comes first."""


def encode_set(series: Sequence[int], values: list[int]) -> bytes:
    """A set's body. Raises OverflowError for a value beyond 64 bits, as a column would."""
    if min(values) < _LOW or max(values) > _HIGH:
        raise OverflowError("a sample's value does not fit into 64 bits")
    return encode([*series, *values])


def decode_set(body: bytes) -> list[tuple[int, int]]:
    """(number of series, value) of each sample."""
    both = _decode(body)
    half = len(both) // 2
    return list(zip(both[:half], both[half:], strict=True))


def session_sets(
    station: int, first_hour: int, last_hour: int, session: tuple[int, str], measurand: str | None, limit: int
) -> Plan[list[Sample]]:
    """The samples of a session (number, id) in a station's sets of these hours, each once: the one that came first.

    An hour at a time, until `limit` are found: there may be more, but none that is older.
    """
    number, name = session
    names: dict[int, Row] = {}
    found: dict[tuple[object, ...], Sample] = {}
    for hour in range(first_hour, last_hour + 1):
        rows = yield SETS_OF_STATION, (station, hour * SLOTS_AN_HOUR, (hour + 1) * SLOTS_AN_HOUR)
        for _, time, owner, body, _ in rows:
            if owner != number:
                continue
            for series, value in decode_set(body):
                if series not in names:
                    got = yield (
                        "SELECT evse, connector, measurand, phase, location, context, unit FROM series WHERE n = ?1",
                        (series,),
                    )
                    names[series] = got[0]
                evse, connector, what, phase, location, context, unit = names[series]
                if measurand is None or what == measurand:
                    sample = Sample(evse, connector, time, what, value, unit, phase, location, context, name)
                    found.setdefault(sample_order(sample), sample)
        if len(found) >= limit:
            break
    return list(found.values())


class HotSamples(NamedTuple):
    """What the hot store has of a session, and the hours (since the epoch) in which the history may have more."""

    samples: list[Sample]
    hours: list[tuple[int, str]]
    """(hour, station id)"""


def session_samples(tenant: str, session_id: str, measurand: str | None, limit: int) -> Plan[HotSamples]:
    """A session's hot samples, the first ones in order of time, at least `limit` per unbroken span of hours if there
    are as many."""
    rows = yield (
        "SELECT h.hour, h.station, s.id, n.n FROM session_numbers n JOIN session_hours h ON h.session = n.n "
        "JOIN station_numbers s ON s.n = h.station WHERE n.tenant = ?1 AND n.id = ?2 ORDER BY h.station, h.hour",
        (tenant, session_id),
    )
    spans: list[list[int]] = []  # [station, first hour, last hour]
    for hour, station, _, _ in rows:
        if spans and spans[-1][0] == station and spans[-1][2] + 1 == hour:
            spans[-1][2] = hour
        else:
            spans.append([station, hour, hour])
    found: list[Sample] = []
    which = "AND k.measurand = ?6 " if measurand is not None else ""
    for station, first, last in spans:
        args: tuple[object, ...] = (station, first * HOUR_MS, (last + 1) * HOUR_MS, rows[0][3], limit)
        got = yield (
            "SELECT k.evse, k.connector, s.time, k.measurand, s.value, k.unit, k.phase, k.location, k.context "
            "FROM samples s JOIN series k ON k.n = s.series "
            f"WHERE s.station = ?1 AND s.time >= ?2 AND s.time < ?3 AND s.session = ?4 {which}"
            "ORDER BY s.time, k.evse, k.connector, k.measurand, k.phase, k.location, k.context, k.unit LIMIT ?5",
            (*args, measurand) if which else args,
        )
        found += [Sample(*row, session_id=session_id) for row in got]
        found += yield from session_sets(station, first, last, (rows[0][3], session_id), measurand, limit)
    return HotSamples(found, [(row[0], row[2]) for row in rows])


def any_before(time: int) -> Plan[bool]:
    """Whether there are samples before `time`, the begin of a UTC day in ms: one seek in the index per station."""
    if (yield "SELECT 1 FROM sample_sets WHERE slot < ?1 LIMIT 1", (time // SLOT_MS,)):
        return True
    oldest = "SELECT min(s.time) FROM samples s WHERE s.station = n.n"
    return bool((yield f"SELECT 1 FROM station_numbers n WHERE ({oldest}) < ?1 LIMIT 1", (time,)))


def delete_rows(moved: Sequence[tuple[int, int, int]]) -> Plan[int]:
    """Delete single rows that are durable in a file: (station number, UTC day, how many the file took).

    Samples are only ever added. As many rows as the file took are therefore the rows that it took; were there more, a
    late one has come meanwhile and this station's day stays for the next roll-off.
    """
    gone = 0
    for station, day, count in moved:
        span = (station, day * DAY_MS, (day + 1) * DAY_MS)
        rows = yield "SELECT count(*) FROM samples WHERE station = ?1 AND time >= ?2 AND time < ?3", span
        if rows[0][0] == count:
            yield "DELETE FROM samples WHERE station = ?1 AND time >= ?2 AND time < ?3", span
            gone += count
    return gone


class MovedSets(NamedTuple):
    """What a file has taken of the slots from `first` until before `end`, of all stations."""

    first: int
    end: int
    sets: int
    samples: int


def delete_sets(moved: MovedSets) -> Plan[int]:
    """Delete sets that are durable in files; returns how many samples were in them.

    Sets are only ever added. As many as the files took are therefore those that they took; were there more, a late one
    has come meanwhile and these slots stay for the next roll-off.
    """
    span = (moved.first, moved.end)
    rows = yield "SELECT count(*) FROM sample_sets WHERE slot >= ?1 AND slot < ?2", span
    if rows[0][0] != moved.sets:
        return 0
    yield "DELETE FROM sample_sets WHERE slot >= ?1 AND slot < ?2", span
    return moved.samples
