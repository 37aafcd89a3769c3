"""Who may charge: the local authorization list, the cache, and what holds when nobody can be asked.

1.6 3.5 and 4.2, 2.0.1 C10 to C15. The list comes before the cache; a known non-accepted entry is never a yes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import msgspec

from .settings import Settings

ACCEPTED = "Accepted"
_CACHE_LIMIT = 200


class Grant(msgspec.Struct, frozen=True, array_like=True):
    """What is known of a token: AuthorizationStatus, its group, and until when (ms, station clock)."""

    status: str
    group: str = ""
    expires_at: int | None = None


class Authorizer:
    """Cache and list of one station. `dirty` names what has to be stored."""

    __slots__ = ("_cache", "_list", "_settings", "dirty", "list_version")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._cache: OrderedDict[str, Grant] = OrderedDict()
        self._list: dict[str, Grant] = {}
        self.list_version = 0
        self.dirty: set[str] = set()

    def load(self, stored: Mapping[str, bytes]) -> None:
        if "cache" in stored:
            self._cache = OrderedDict(msgspec.json.decode(stored["cache"], type=list[tuple[str, Grant]]))
        if "list" in stored:
            self.list_version, self._list = msgspec.json.decode(stored["list"], type=tuple[int, dict[str, Grant]])

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

    def locally(self, token: str, now: int) -> Grant | None:
        """What list or cache say; None when neither knows the token. An expired entry says Expired."""
        grant = None
        if self._settings.flag("list_enabled"):
            grant = self._list.get(token)
        if grant is None and self._settings.flag("cache_enabled"):
            grant = self._cache.get(token)
            if grant is not None:
                self._cache.move_to_end(token)
        if grant is not None and grant.expires_at is not None and grant.expires_at <= now:
            return Grant("Expired", grant.group)
        return grant

    def offline(self, token: str, now: int) -> Grant:
        """The verdict when the CSMS cannot be asked (1.6 3.5.1, C11, C13, C15)."""
        if self._settings.flag("local_offline"):
            grant = self.locally(token, now)
            if grant is not None:
                return grant
        if self._settings.flag("offline_unknown"):
            return Grant(ACCEPTED)
        return Grant("Invalid")

    def learn(self, token: str, grant: Grant) -> None:
        """The CSMS has said what it thinks of `token`; what the list holds is not cached."""
        if not token or not self._settings.flag("cache_enabled") or token in self._list:
            return
        if self._cache.get(token) == grant:
            return
        self._cache[token] = grant
        self._cache.move_to_end(token)
        while len(self._cache) > _CACHE_LIMIT:
            self._cache.popitem(last=False)
        self.dirty.add("cache")

    def entries_of(self, token: str) -> tuple[Grant | None, Grant | None]:
        """What cache and list hold of `token`, as it stands there."""
        return self._cache.get(token), self._list.get(token)

    def forget(self, token: str) -> None:
        """Out of the cache with it."""
        if self._cache.pop(token, None) is not None:
            self.dirty.add("cache")

    def clear_cache(self) -> bool:
        """False when there is no cache to clear."""
        if not self._settings.flag("cache_enabled"):
            return False
        self._cache.clear()
        self.dirty.add("cache")
        return True

    def replace_list(self, version: int, entries: Mapping[str, Grant]) -> bool:
        """Full update; False when the list would grow too long."""
        if len(entries) > self._settings.number("list_max"):
            return False
        self._list = dict(entries)
        self.list_version = version
        self.dirty.add("list")
        return True

    def change_list(self, version: int, entries: Mapping[str, Grant | None]) -> str:
        """Differential update: Accepted, VersionMismatch or Failed. None removes a token."""
        if version <= self.list_version:
            return "VersionMismatch"
        merged = dict(self._list)
        for token, grant in entries.items():
            if grant is None:
                merged.pop(token, None)
            else:
                merged[token] = grant
        if not self.replace_list(version, merged):
            return "Failed"
        return "Accepted"
