"""Orders from outside, kept so that a restart forgets none: a small SQLite file, one row for each register set.

An order is written before whoever gave it has his answer. After a restart what has not expired goes on for as long as
it had left, by `elapsed`; what has expired goes, but for what is allowed from then on (`Order.after_ma`). A row belongs
to the part of the configuration by which it came: when that has changed, only what is still running counts, and nothing
is left of it afterwards. So a server, a broker or a gateway that is taken out of the file leaves nothing behind.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from hashlib import blake2b
from pathlib import Path

import msgspec

from pilotwire.core.errors import ConfigError

from .elapsed import Clocks, moved_ms
from .facades.orders import Order
from .small_file import open_whole

_TABLE = "CREATE TABLE IF NOT EXISTS orders (key TEXT PRIMARY KEY, value BLOB, sum BLOB) WITHOUT ROWID"


class _Kept(msgspec.Struct, frozen=True):
    clocks: Clocks
    section: str
    order: Order


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Kept)


class OrderStore:
    """The file. One process at a time."""

    def __init__(self, path: Path, clocks: Callable[[], Clocks], sections: Mapping[str, str]) -> None:
        """`sections`: `Order.via` to a fingerprint of what the file says of that way; those that are missing are not
        configured. Raises ConfigError where no file can be made; a damaged one is put aside as `.damaged`."""
        self.troubles: list[str] = []
        """What could not be read, in words."""
        self._path, self._clocks, self._sections = path, clocks, sections
        try:
            self._db, why = open_whole(path, _TABLE)
        except sqlite3.Error as error:
            raise ConfigError(f"cannot use {path} for orders from outside: {error}") from error
        if why:
            self.troubles.append(f"{why}: orders of before are forgotten")

    def put(self, order: Order) -> None:
        """Raises sqlite3.Error."""
        key = _key(order.channel, order.place)
        value = _ENCODER.encode(_Kept(self._clocks(), self._sections.get(order.via, ""), order))
        self._db.execute("INSERT OR REPLACE INTO orders VALUES (?, ?, ?)", (key, value, _sum(key, value)))

    def drop(self, channel: str, place: str) -> None:
        """Raises sqlite3.Error."""
        self._db.execute("DELETE FROM orders WHERE key = ?", (_key(channel, place),))

    def load(self) -> list[Order]:
        """What still counts, on the clock of this process; what does not is forgotten."""
        now = self._clocks()
        found: list[Order] = []
        gone: list[str] = []
        for key, value, sum_ in self._db.execute("SELECT key, value, sum FROM orders ORDER BY key").fetchall():
            order = self._read(key, value, sum_, now)
            if order is None:
                gone.append(key)
            else:
                found.append(order)
        for key in gone:
            self._db.execute("DELETE FROM orders WHERE key = ?", (key,))
        return found

    def _read(self, key: str, value: object, sum_: object, now: Clocks) -> Order | None:
        if not isinstance(value, bytes) or sum_ != _sum(key, value):
            self.troubles.append(f"{self._path}: an order is damaged and was left out: {key!r}")
            return None
        try:
            kept = _DECODER.decode(value)
        except (msgspec.MsgspecError, RecursionError) as error:
            self.troubles.append(f"{self._path}: an order is of another version and was left out: {error}")
            return None
        order = kept.order
        section = self._sections.get(order.via)
        if section is None:
            return None
        if order.until_ms is not None:
            order = msgspec.structs.replace(order, until_ms=order.until_ms + moved_ms(kept.clocks, now))
        alive = order.until_ms is not None and now.tick_ms < order.until_ms
        if section != kept.section:
            return msgspec.structs.replace(order, after_ma=None, after_mw=None) if alive else None
        leaves = order.until_ms is None or order.after_ma is not None or order.after_mw is not None
        return order if alive or leaves else None

    def close(self) -> None:
        self._db.close()


def fingerprint(*parts: object) -> str:
    """Of sections of the configuration."""
    return blake2b(repr(parts).encode(), digest_size=12).hexdigest()


def _key(channel: str, place: str) -> str:
    return f"{channel}\n{place}"


def _sum(key: str, value: bytes) -> bytes:
    return blake2b(value + key.encode(), digest_size=16).digest()
