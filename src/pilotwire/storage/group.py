"""A group: what one commit makes durable.

Why records are encoded when the group is taken, on the loop's thread: an actor goes on changing the record it handed
over. Between two callbacks of the loop a record is exactly the fold of the facts appended so far; a writer thread that
encoded it later could see half of a change (a torn read) or facts that are not yet in the journal. So `take_records`
runs in one callback, once per touched record however often it was touched, and what goes to the writer is bytes. The
group is always everything that waits: were a part left behind, records would be newer than the journal beside them.
Facts, samples and frames are immutable; the writer encodes those, off the loop.
"""

from __future__ import annotations

from typing import NamedTuple

from pilotwire.core.ids import StationKey
from pilotwire.domain.records import Command, Session, Station, Variable

from .codec import SETTLED_OUTCOMES, Record, encode, record_key, variable_name
from .port import Done, Entry
from .session_list import ListColumns, columns_of


class SessionRow(NamedTuple):
    """A session, its key columns taken out."""

    tenant: str
    id: str
    station: str
    transaction: str
    start_key: str
    status: str
    started_at: int
    body: bytes
    listed: ListColumns
    """What it is searched by."""


class StationRow(NamedTuple):
    """A station."""

    tenant: str
    station: str
    body: bytes


class CommandRow(NamedTuple):
    """A command; `pending` is 1 while an actor still has to do something about it."""

    tenant: str
    id: str
    station: str
    requested_at: int
    pending: int
    body: bytes


class VariableRow(NamedTuple):
    """A variable and its name within the station."""

    tenant: str
    station: str
    name: str
    body: bytes


class Records:
    """Encoded records, by kind."""

    __slots__ = ("commands", "sessions", "stations", "variables")

    def __init__(self) -> None:
        self.sessions: list[SessionRow] = []
        self.stations: list[StationRow] = []
        self.commands: list[CommandRow] = []
        self.variables: list[VariableRow] = []

    def add(self, record: Record) -> None:
        """Encode one record. Raises TypeError for what is no projection."""
        if isinstance(record, Session):
            self.sessions.append(
                SessionRow(
                    record.tenant,
                    record.id,
                    record.station_id,
                    record.transaction,
                    record.start_key,
                    record.status,
                    record.started_at,
                    encode(record),
                    columns_of(record),
                )
            )
        elif isinstance(record, Station):
            self.stations.append(StationRow(record.tenant, record.id, encode(record)))
        elif isinstance(record, Command):
            pending = 0 if record.outcome in SETTLED_OUTCOMES else 1
            self.commands.append(
                CommandRow(record.tenant, record.id, record.station_id, record.requested_at, pending, encode(record))
            )
        elif isinstance(record, Variable):
            self.variables.append(VariableRow(record.tenant, record.station_id, variable_name(record), encode(record)))
        else:
            raise TypeError(f"an entry cannot touch a {type(record).__name__}")

    def of_station(self, key: StationKey) -> Records:
        """Those that belong to one station."""
        part = Records()
        part.sessions = [row for row in self.sessions if (row.tenant, row.station) == key]
        part.stations = [row for row in self.stations if (row.tenant, row.station) == key]
        part.commands = [row for row in self.commands if (row.tenant, row.station) == key]
        part.variables = [row for row in self.variables if (row.tenant, row.station) == key]
        return part


class Group:
    """Entries in order of appending, whom to tell, and the records that they touched as they are now."""

    __slots__ = ("dones", "entries", "records")

    def __init__(self, entries: list[Entry], dones: list[Done | None]) -> None:
        self.entries = entries
        self.dones = dones
        self.records = take_records(entries)

    def stations(self) -> dict[StationKey, list[int]]:
        """Which entries are of which station: places in `entries`."""
        places: dict[StationKey, list[int]] = {}
        for place, entry in enumerate(self.entries):
            places.setdefault(StationKey(entry.tenant, entry.station), []).append(place)
        return places


def take_records(entries: list[Entry]) -> Records:
    """The touched records of these entries, each once, as it is now. To be called on the loop's thread (see above)."""
    newest: dict[tuple[object, ...], Record] = {}
    for entry in entries:
        for record in entry.touched:
            newest[record_key(record)] = record
    records = Records()
    for record in newest.values():
        records.add(record)
    return records
