"""The outlet as a session may use it: nothing flows that authorisation, lock, isolation and contactor do not allow.

The one place where `Requested` and `ContactorAsked` come from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pilotwire.core.evse_link import ContactorAsked, IsolationAsked, LockAsked, Requested

_NOTHING = Requested()


class Output:
    """What the commands have said of the outlet, and what was asked of it."""

    __slots__ = (
        "_awaited", "_emit", "_lock_wanted", "_wanted", "asked", "authorised", "closed", "isolation", "locked",
    )  # fmt: skip

    def __init__(self, emit: Callable[[Any], None]) -> None:
        self._emit = emit
        self.authorised = False
        self.locked = False
        self.closed = False
        """Where the contactor is."""
        self.isolation: Literal["", "asked", "valid", "warning", "fault", "no-monitor", "not-wanted"] = ""
        self.asked = _NOTHING
        """What was last requested."""
        self._wanted = False
        self._lock_wanted = False
        self._awaited: list[bool] = []
        """What was asked of the contactor and is not answered yet."""

    @property
    def isolated(self) -> bool:
        return self.isolation in ("valid", "warning", "not-wanted")

    @property
    def wanted(self) -> bool:
        """The contactor was asked to close."""
        return self._wanted

    @property
    def lock_wanted(self) -> bool:
        return self._lock_wanted

    @property
    def may_flow(self) -> bool:
        return self.authorised and self.locked and self.closed and self.isolated and self._wanted

    def lock(self) -> None:
        if not self._lock_wanted:
            self._lock_wanted = True
            self._emit(LockAsked(True))

    def unlock(self) -> None:
        if self._lock_wanted:
            self._lock_wanted = False
            self._emit(LockAsked(False))

    def test(self) -> None:
        """The isolation, once, when the plug is locked."""
        if self.locked and self.isolation == "":
            self.isolation = "asked"
            self._emit(IsolationAsked())

    def tested(self, status: Literal["valid", "warning", "fault", "no-monitor"]) -> None:
        """The answer. Good news that nobody asked for is no test of this cable; bad news always counts."""
        if status in ("fault", "no-monitor") or self.isolation in ("asked", "valid", "warning"):
            self.isolation = status

    def close(self) -> None:
        """Ask for the contactor, as soon as everything before it allows it."""
        if not self._wanted and self.authorised and self.locked and self.isolated:
            self._wanted = True
            self._switch(True)

    def contactor(self, closed: bool) -> Literal["", "failed", "lost"]:
        """It has answered, or moved by itself: what is wrong with that, if anything."""
        asked = self._awaited.pop(0) if self._awaited else None
        self.closed = closed
        if closed or not self._wanted:
            return ""
        if asked is False:
            return ""  # the answer to an earlier question; the one that counts is still to come
        self._wanted = False
        return "failed" if asked else "lost"

    def request(self, wanted: Requested) -> None:
        """What the vehicle wants. Zero instead where it must not flow."""
        allowed = wanted if self.may_flow else _NOTHING
        if allowed != self.asked:
            self.asked = allowed
            self._emit(allowed)

    def zero(self) -> None:
        """Nothing is to flow, the contactor stays."""
        self.request(_NOTHING)

    def off(self) -> None:
        """Nothing flows and the contactor opens. In this order, and safe to call at any time."""
        self.zero()
        if self._wanted or (self.closed and False not in self._awaited):
            self._wanted = False
            self._switch(False)

    def _switch(self, closed: bool) -> None:
        self._awaited.append(closed)
        self._emit(ContactorAsked(closed))

    def forget(self) -> None:
        """A new energy service: the isolation must be tested anew."""
        self.off()
        self.isolation = ""
