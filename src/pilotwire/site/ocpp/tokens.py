"""Who may charge while nobody can be asked: the operator's own cards, the local lists, what the authority said before.

Tokens are the same in either case of letters (CiString, identifierString). A local list is its station's own: it comes
before everything else there. What is remembered serves the whole site and is bounded; the oldest goes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from pilotwire.core.time import from_rfc3339

ACCEPTED = "Accepted"


class Known(msgspec.Struct, array_like=True, frozen=True):
    """What was said of a token."""

    status: str
    until: int | None = None
    """ms UTC; None: for good."""


_KNOWN = msgspec.json.Decoder(Known)
_LIST = msgspec.json.Decoder(dict[str, Known])
_encode = msgspec.json.encode


def _instant(text: object) -> int | None:
    if not isinstance(text, str) or not text:
        return None
    try:
        return int(from_rfc3339(text))
    except (ValueError, OverflowError):
        return None


class TokenBook:
    """See the head of this file. Changes are collected until `changes` takes them."""

    def __init__(self, own: Iterable[str], *, unknown: Literal["accept", "refuse"], most: int) -> None:
        self._own = frozenset(token.casefold() for token in own)
        self._unknown = unknown
        self._most = most
        self._cache: dict[str, Known] = {}
        self._lists: dict[str, dict[str, Known]] = {}
        self._dirty: dict[str, bytes | None] = {}

    def __len__(self) -> int:
        return len(self._cache)

    def load(self, notes: Mapping[str, bytes]) -> None:
        """What a restart left."""
        for key, value in notes.items():
            kind, _, name = key.partition(".")
            if kind == "token":
                self._cache[name] = _KNOWN.decode(value)
            elif kind == "list":
                self._lists[name] = _LIST.decode(value)

    def changes(self) -> dict[str, bytes | None]:
        """What is to be written, once."""
        dirty, self._dirty = self._dirty, {}
        return dirty

    # ── deciding ─────────────────────────────────────────────────────────────────────────────────────────────────

    def known(self, station: str, token: str, now: int) -> str | None:
        """What is known of it; None: nothing that still holds."""
        key = token.casefold()
        for found in (self._lists.get(station, {}).get(key), self._cache.get(key)):
            if found is not None and (found.until is None or found.until > now):
                return found.status
        return ACCEPTED if key in self._own else None

    def decide(self, station: str, token: str, kind: str, now: int) -> str:
        """What is said of it while the authority is away: Accepted, what it said last, or Invalid."""
        if kind == "NoAuthorization":
            return ACCEPTED
        known = self.known(station, token, now)
        if known is not None:
            return known
        return ACCEPTED if self._unknown == "accept" else "Invalid"

    # ── learning ─────────────────────────────────────────────────────────────────────────────────────────────────

    def learn(self, token: str, status: str, expiry: str) -> None:
        """The authority has said so."""
        key = token.casefold()
        if not key or not status or len(key) > 255:
            return
        known = Known(status, _instant(expiry))
        if self._cache.pop(key, None) != known:
            self._dirty[f"token.{key}"] = _encode(known)
        self._cache[key] = known
        while len(self._cache) > self._most:
            oldest = next(iter(self._cache))
            del self._cache[oldest]
            self._dirty[f"token.{oldest}"] = None

    def forget(self) -> None:
        """ClearCache."""
        for key in self._cache:
            self._dirty[f"token.{key}"] = None
        self._cache.clear()

    def list_changed(self, station: str, full: bool, rows: Iterable[Mapping[str, object]]) -> None:
        """A station has accepted SendLocalList. `rows` are its entries in JSON; one without an info is taken out."""
        entries = {} if full else dict(self._lists.get(station, {}))
        for row in rows:
            token: object = row.get("idTag")
            if token is None and isinstance(inner := row.get("idToken"), dict):
                token = inner.get("idToken")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            info = row.get("idTagInfo", row.get("idTokenInfo"))
            if not isinstance(token, str):
                continue
            if isinstance(info, dict) and isinstance(status := info.get("status"), str):  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
                until = info.get("expiryDate", info.get("cacheExpiryDateTime"))  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
                entries[token.casefold()] = Known(status, _instant(until))
            else:
                entries.pop(token.casefold(), None)
        self._lists[station] = entries
        self._dirty[f"list.{station}"] = _encode(entries)
