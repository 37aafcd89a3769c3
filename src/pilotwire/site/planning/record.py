"""All that a plan rests on, as plain data: a plan can be made again from it, here or in another process."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

import msgspec

from pilotwire.domain import planning
from pilotwire.domain.energy import Limit, SiteTree, prepare

FORMAT = 1


class Basis(msgspec.Struct, frozen=True):
    """On what it rests what a car is meant to want and when to leave: in words."""

    energy: str
    departure: str


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """`domain.planning.Problem` with the tree instead of what is prepared of it, and what it was made of.

    `windows_of`: the steering's ids of `windows`, in their order. `steered`: EVSEs whose cars the plan steers; the
    others it only reckons with. `words`: what was assumed, for people.
    """

    format: int = FORMAT
    site: str
    tree: SiteTree
    now_ms: int
    needs: tuple[planning.Need, ...] = ()
    expected: tuple[planning.Expected, ...] = ()
    loads: tuple[planning.Load, ...] = ()
    batteries: tuple[planning.Battery, ...] = ()
    prices: planning.Prices = planning.Prices()
    windows: tuple[planning.Window, ...] = ()
    windows_of: tuple[str, ...] = ()
    limits: Mapping[str, tuple[Limit, ...]] = msgspec.field(default_factory=dict[str, tuple[Limit, ...]])
    pools_mw: Mapping[str, tuple[int, ...]] = msgspec.field(default_factory=dict[str, tuple[int, ...]])
    feed_in_mw: int | None = None
    options: planning.Options = planning.Options()
    previous: planning.Plan | None = None
    steered: tuple[str, ...] = ()
    basis: Mapping[str, Basis] = msgspec.field(default_factory=dict[str, Basis])
    words: tuple[str, ...] = ()


class Answer(msgspec.Struct, frozen=True):
    """What became of a record: a plan, or why there is none. `of` is the record's digest."""

    of: bytes
    plan: planning.Plan | None = None
    error: str = ""
    cpu_ms: int = 0
    peak_kb: int = 0


_ENCODER = msgspec.msgpack.Encoder(order="deterministic")
_RECORD = msgspec.msgpack.Decoder(Record)
_ANSWER = msgspec.msgpack.Decoder(Answer)


def encoded(record: Record | Answer) -> bytes:
    """The same bytes for the same record."""
    return _ENCODER.encode(record)


def digest(data: bytes) -> bytes:
    """The name of a record."""
    return blake2b(data, digest_size=12).digest()


def record_of(data: bytes) -> Record:
    """Raises ValueError for what is none, or of another format."""
    found = _RECORD.decode(data)
    if found.format != FORMAT:
        raise ValueError(f"the record has format {found.format}, this program knows {FORMAT}")
    return found


def answer_of(data: bytes) -> Answer:
    """Raises ValueError for what is none."""
    return _ANSWER.decode(data)


def problem_of(record: Record) -> planning.Problem:
    """Raises ConfigError for a tree that cannot be used."""
    return planning.Problem(
        topology=prepare(record.tree),
        now_ms=record.now_ms,
        needs=record.needs,
        expected=record.expected,
        loads=record.loads,
        batteries=record.batteries,
        prices=record.prices,
        windows=record.windows,
        limits=record.limits,
        pools_mw=record.pools_mw,
        feed_in_mw=record.feed_in_mw,
        options=record.options,
    )
