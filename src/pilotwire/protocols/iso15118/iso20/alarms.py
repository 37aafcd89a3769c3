"""What a machine waits for, by name: it says when it must be woken, and what has run out."""

from __future__ import annotations


class Alarms:
    """Named instants (ms since the epoch)."""

    __slots__ = ("_due",)

    def __init__(self) -> None:
        self._due: dict[str, int] = {}

    @property
    def next(self) -> int | None:
        return min(self._due.values()) if self._due else None

    def set(self, name: str, due: int) -> None:
        """From now on `name` runs out at `due`, whatever was before."""
        self._due[name] = due

    def begin(self, name: str, due: int) -> None:
        """As `set`, but one that runs already goes on."""
        self._due.setdefault(name, due)

    def drop(self, name: str) -> None:
        self._due.pop(name, None)

    def clear(self) -> None:
        self._due.clear()

    def running(self, name: str) -> bool:
        return name in self._due

    def expired(self, now: int) -> str | None:
        """The one that ran out first, and is dropped; None: none has."""
        if not self._due:
            return None
        name = min(self._due, key=self._due.__getitem__)
        if self._due[name] > now:
            return None
        del self._due[name]
        return name
