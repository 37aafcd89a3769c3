"""How journal and projections are written: JSON by msgspec, keys as plain tuples, one checksum per journal row.

Pure functions, shared by every store so that a row means the same in SQLite, PostgreSQL, a backup and memory.
"""

from __future__ import annotations

import base64
import zlib
from typing import Final, TypeVar

import msgspec

from pilotwire.core.errors import LocalError
from pilotwire.domain.facts import AnyFact
from pilotwire.domain.records import ApiKey, Command, Sample, Session, Station, StationAccount, Token, User, Variable

Record = Session | Station | Command | Variable
"""What an entry may touch."""

SETTLED_OUTCOMES: Final = frozenset({"answered", "refused", "timed-out", "expired", "undeliverable"})
"""Outcomes after which a command is history; anything else is still pending for the actor."""

ENDED_SESSIONS_IN_IMAGE: Final = 32
"""How many ended sessions a `StationImage` brings: late and repeated messages nearly always name one of these."""

DIRECTIONS: Final = ("sys", "in", "out")
DIRECTION_NUMBERS: Final = {name: number for number, name in enumerate(DIRECTIONS)}

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000

encode: Final = msgspec.json.Encoder().encode
_facts_decoder = msgspec.json.Decoder(tuple[AnyFact, ...])

T = TypeVar("T")
_decoders: Final[dict[type, msgspec.json.Decoder[object]]] = {
    kind: msgspec.json.Decoder(kind)
    for kind in (ApiKey, Command, Sample, Session, Station, StationAccount, Token, User, Variable)
}
"""Of every kind of row, made here once: rows are read in several threads, and msgspec ends the process when one of them
uses a struct whose decoder another is just making."""


class BadCursor(LocalError):
    """A page cursor that no list of ours has given out."""


def decode_facts(data: bytes) -> tuple[AnyFact, ...]:
    """The facts of a journal row. Raises msgspec.DecodeError (or its ValidationError) when they are not readable."""
    return _facts_decoder.decode(data) if data else ()


def encode_facts(facts: tuple[AnyFact, ...]) -> bytes:
    """Facts as a JSON list of tagged objects; no facts is no bytes."""
    return encode(facts) if facts else b""


def decode_as(kind: type[T], data: bytes) -> T:
    """`data` as one record of `kind`, in any thread. Raises KeyError for what is no kind of row."""
    return _decoders[kind].decode(data)  # type: ignore[return-value]


def row_crc(
    stream: str,
    seq: int,
    tenant: str,
    station: str,
    recv_time: int,
    epoch: int,
    direction: str,
    frame: bytes,
    facts: bytes,
) -> int:
    """CRC-32 over everything that a journal row says, as a signed-safe 32-bit integer.

    The head holds the length of the frame, so that bytes cannot wander between frame and facts unnoticed.
    """
    head = f"{stream}\0{seq}\0{tenant}\0{station}\0{recv_time}\0{epoch}\0{direction}\0{len(frame)}\0"
    return zlib.crc32(facts, zlib.crc32(frame, zlib.crc32(head.encode())))


def record_key(record: Record) -> tuple[object, ...]:
    """What makes a touched record the same record: its kind, tenant and ids."""
    match record:
        case Session():
            return (Session, record.tenant, record.id)
        case Station():
            return (Station, record.tenant, record.id)
        case Command():
            return (Command, record.tenant, record.id)
        case Variable():
            return (Variable, record.tenant, record.station_id, variable_name(record))
        case other:
            raise TypeError(f"an entry cannot touch a {type(other).__name__}")


def variable_name(variable: Variable) -> str:
    """All that names a variable within its station, as JSON text: a key column that sorts and never collides."""
    return encode(
        (
            variable.component,
            variable.component_instance,
            variable.variable,
            variable.variable_instance,
            variable.evse,
            variable.connector,
            variable.attribute,
        )
    ).decode()


def variable_order(variable: Variable) -> tuple[object, ...]:
    """The order in which variables are listed."""
    return (
        variable.component,
        variable.component_instance,
        variable.evse if variable.evse is not None else -1,
        variable.connector if variable.connector is not None else -1,
        variable.variable,
        variable.variable_instance,
        variable.attribute,
    )


def sample_order(sample: Sample) -> tuple[object, ...]:
    """The order in which a session's samples are listed: time first, then all that makes one unique."""
    return (
        sample.time,
        sample.evse,
        sample.connector,
        sample.measurand,
        sample.phase,
        sample.location,
        sample.context,
        sample.unit,
    )


def encode_cursor(*parts: object) -> str:
    """A page cursor: opaque, safe in a URL, holding the sort key of the last item given out."""
    return base64.urlsafe_b64encode(encode(parts)).rstrip(b"=").decode()


def decode_cursor(cursor: str, kind: type[T]) -> T:
    """The parts of a cursor made by `encode_cursor`. Raises BadCursor for anything else."""
    try:
        raw = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4))
        return msgspec.json.decode(raw, type=kind)
    except ValueError as error:  # binascii.Error, UnicodeError and msgspec's errors are ValueErrors
        raise BadCursor(f"not a cursor of this list: {cursor[:80]!r}") from error
