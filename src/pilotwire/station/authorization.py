"""Who may charge: the local authorization list, the cache, and what holds when nobody can be asked.

1.6 3.5 and 4.2, 2.0.1 C10 to C15. The list comes before the cache; a known non-accepted entry is never a yes.
Identifiers are the same without regard to case; in 2.1 those of another type are others (C01.FR.25).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from .settings import Settings

ACCEPTED = "Accepted"
CACHE_LIMIT = 200
UNCACHED = frozenset({"Central", "NoAuthorization"})
"""IdTokenEnumTypes of 2.x whose verdicts are nothing to remember (C02.FR.03, C03.FR.02, C05.FR.02)."""
_RFID = "ISO14443"


class Grant(msgspec.Struct, frozen=True, array_like=True):
    """What is known of a token: AuthorizationStatus, its group, and until when (ms, station clock)."""

    status: str
    group: str = ""
    expires_at: int | None = None
    evses: tuple[int, ...] = ()
    """Where alone it may charge (2.x evseId); empty: everywhere."""
    languages: tuple[str, ...] = ()
    """Of its driver, the preferred first (2.x language1, language2)."""
    learned_at: int = 0
    """When the CSMS has said so (ms, station clock)."""
    info: str = ""
    """2.1: the IdTokenInfoType as it was told, as JSON (C10.FR.14)."""
    priority: int = 0
    """2.x chargingPriority, -9 to 9 (K03)."""


class Authorizer:
    """Cache and list of one station. `dirty` names what has to be stored."""

    __slots__ = ("_cache", "_list", "_settings", "_version", "dirty", "list_version")

    def __init__(self, settings: Settings, version: str) -> None:
        """`version`: of OCPP."""
        self._settings = settings
        self._version = version
        self._cache: OrderedDict[str, Grant] = OrderedDict()
        self._list: dict[str, Grant] = {}
        self.list_version = 0
        self.dirty: set[str] = set()

    def key(self, token: str, token_type: str = "") -> str:
        """What is the same of two presentations of one identifier."""
        plain = token.casefold()
        return f"{token_type or _RFID}/{plain}" if self._version == "2.1" else plain

    def load(self, stored: Mapping[str, bytes]) -> None:
        if "cache" in stored:
            rows = msgspec.json.decode(stored["cache"], type=list[tuple[str, Grant]])
            self._cache = OrderedDict((self._key_of_stored(key), grant) for key, grant in rows)
        if "list" in stored:
            self.list_version, rows = msgspec.json.decode(stored["list"], type=tuple[int, dict[str, Grant]])
            self._list = {self._key_of_stored(key): grant for key, grant in rows.items()}

    def _key_of_stored(self, key: str) -> str:
        """Earlier programs stored the bare identifier."""
        return key if "/" in key else self.key(key)

    def save(self, changes: dict[str, bytes | None]) -> None:
        if "cache" in self.dirty:
            changes["cache"] = msgspec.json.encode(list(self._cache.items()))
        if "list" in self.dirty:
            changes["list"] = msgspec.json.encode((self.list_version, self._list))
        self.dirty.clear()

    @property
    def entries(self) -> int:
        """Tokens in the local list."""
        return len(self._list)

    def locally(self, token: str, token_type: str, now: int) -> Grant | None:
        """What list or cache say; None when neither knows the token. An expired entry says Expired."""
        key = self.key(token, token_type)
        grant = None
        if self._settings.flag("list_enabled"):
            grant = self._list.get(key)
        if grant is not None:
            over = grant.expires_at is not None and grant.expires_at <= now
            # C13.FR.02, .05
            return Grant("Expired", grant.group) if over and self._settings.flag("list_expiry") else grant
        if not self._settings.flag("cache_enabled"):
            return None
        grant = self._cached(key, now)
        if grant is not None:
            self._cache.move_to_end(key)
        return grant

    def _cached(self, key: str, now: int) -> Grant | None:
        """The cache's entry, which is changed to Expired when its time is over (C10.FR.08, .10, .13)."""
        grant = self._cache.get(key)
        if grant is None or grant.status == "Expired":
            return grant
        until = grant.expires_at
        if until is None and self._version != "1.6":
            until = grant.learned_at + self._settings.number("cache_lifetime") * 1000
        if until is not None and until <= now:
            grant = self._cache[key] = replace(grant, status="Expired")
            self.dirty.add("cache")
        return grant

    def offline(self, token: str, token_type: str, now: int) -> Grant:
        """The verdict when the CSMS cannot be asked (1.6 3.5.1, C11, C13, C15)."""
        known = self.locally(token, token_type, now)
        if known is not None and (self._settings.flag("local_offline") or known.status != ACCEPTED):
            return known
        if self._settings.flag("offline_unknown"):
            return Grant(ACCEPTED)
        return Grant("Invalid")

    def learn(self, token: str, token_type: str, grant: Grant, now: int) -> bool:
        """The CSMS has said what it thinks of `token`; what the list holds is not cached.

        True when that contradicts what the list says (1.6 3.5.2).
        """
        key = self.key(token, token_type)
        listed = self._list.get(key)
        if listed is not None:
            return self._settings.flag("list_enabled") and (listed.status == ACCEPTED) != (grant.status == ACCEPTED)
        uncached = self._version != "1.6" and token_type in UNCACHED
        if not token or uncached or not self._settings.flag("cache_enabled"):
            return False
        over = grant.expires_at is not None and grant.expires_at <= now
        if over and self._version == "2.1":
            self.forget(token, token_type)  # C10.FR.10, C17.FR.01: it is not to remain
            return False
        new = replace(grant, learned_at=now, status="Expired" if over and grant.status == ACCEPTED else grant.status)
        self._cache[key] = new
        self._cache.move_to_end(key)
        if len(self._cache) > CACHE_LIMIT:
            self._make_room(key)
        self.dirty.add("cache")
        return False

    def _make_room(self, newest: str) -> None:
        """What does not count goes first, then what is oldest (1.6 3.5.1, C10.FR.07)."""
        for key in [key for key, grant in self._cache.items() if grant.status != ACCEPTED and key != newest]:
            del self._cache[key]
        while len(self._cache) > CACHE_LIMIT:
            self._cache.popitem(last=False)

    def entries_of(self, token: str, now: int) -> tuple[Grant | None, Grant | None]:
        """What cache and list hold of `token`, of whatever type, as it stands there."""
        names = self._names(token)
        cached = next((grant for name in names if (grant := self._cached(name, now)) is not None), None)
        return cached, next((self._list[name] for name in names if name in self._list), None)

    def _names(self, token: str) -> list[str]:
        if self._version != "2.1":
            return [self.key(token)]
        end = f"/{token.casefold()}"
        return [key for key in (*self._cache, *self._list) if key.endswith(end)]

    def forget(self, token: str, token_type: str | None = None) -> None:
        """Out of the cache with it; of every type where none is given."""
        names = self._names(token) if token_type is None else [self.key(token, token_type)]
        for name in names:
            if self._cache.pop(name, None) is not None:
                self.dirty.add("cache")

    def clear_cache(self) -> bool:
        """False when there is no cache to clear."""
        if not self._settings.flag("cache_enabled"):
            return False
        self._cache.clear()
        self.dirty.add("cache")
        return True

    def replace_list(self, version: int, entries: Mapping[str, Grant]) -> bool:
        """Full update, by `key`; False when the list would grow too long."""
        if len(entries) > self._settings.number("list_max"):
            return False
        self._list = dict(entries)
        self.list_version = version
        # What the list knows is not in the cache (1.6 3.5.3).
        for key in self._list.keys() & self._cache.keys():
            del self._cache[key]
            self.dirty.add("cache")
        self.dirty.add("list")
        return True

    def change_list(self, version: int, entries: Mapping[str, Grant | None]) -> str:
        """Differential update, by `key`: Accepted, VersionMismatch or Failed. None removes a token."""
        if version <= self.list_version:
            return "VersionMismatch"
        merged = dict(self._list)
        for key, grant in entries.items():
            if grant is None:
                merged.pop(key, None)
            else:
                merged[key] = grant
        if not self.replace_list(version, merged):
            return "Failed"
        return "Accepted"
