"""The contactor and the lock of a plug as the EVSE knows them: what was asked, what was answered, what is late.

open ─ask→ closing ─Contactor(True)→ closed ─ask→ opening ─Contactor(False)→ open
              │ 3 s: it did not close      │ Contactor(False): by itself     │ 500 ms: it may be welded
"""

from __future__ import annotations

from typing import Literal

from . import timers

Contact = Literal["open", "closing", "closed", "opening"]


class ContactorControl:
    """`at` is when it was asked last."""

    __slots__ = ("at", "contact", "told")

    def __init__(self) -> None:
        self.contact: Contact = "open"
        self.at = 0
        self.told = False
        """That it has not opened has been said. Somebody who resets the fault sets it back: then it is said again."""

    @property
    def deadline(self) -> int | None:
        if self.contact == "closing":
            return self.at + timers.CLOSE.ms
        if self.contact == "opening" and not self.told:
            return self.at + timers.WELDED.ms
        return None

    @property
    def on(self) -> bool:
        """Closed, or asked to be."""
        return self.contact in ("closing", "closed")

    def ask(self, closed: bool, now: int) -> bool:
        """It is wanted closed (or open). True: it is to be told so now."""
        if closed and self.contact == "open":
            self.contact = "closing"
        elif not closed and self.on:
            self.contact = "opening"
        else:
            return False
        self.at, self.told = max(now, self.at), False
        return True

    def answer(self, closed: bool, now: int) -> str:
        """Where it says that it is. Returns what is wrong with that, in words; empty: nothing."""
        contact = self.contact
        if contact == "closing" and closed:
            self.contact = "closed"
        elif contact == "opening" and not closed:
            self.contact = "open"
        elif contact == "open" and closed:
            self.contact, self.at, self.told = "opening", now, True
            return "the contactor is closed though nobody asked for it"
        elif contact == "closed" and not closed:
            self.contact = "open"
            return "the contactor opened by itself"
        return ""

    def late(self, now: int) -> tuple[str, str]:
        """What is wrong since it has not answered, and by which rule; empty: nothing."""
        due = self.deadline
        if due is None or now < due:
            return "", ""
        if self.contact == "closing":
            return "the contactor did not close", timers.CLOSE.clause
        self.told = True
        return "the contactor did not open; it may be welded", timers.WELDED.name


class PlugLock:
    """The lock of a socket. Each question is answered once; what comes unasked is the lock's own doing."""

    __slots__ = ("asked", "due", "locked")

    def __init__(self) -> None:
        self.locked = False
        self.asked = False
        """What was asked for last."""
        self.due = 0
        """Answers that have not come."""

    def ask(self, lock: bool) -> bool:
        """It is wanted locked (or not). True: it is to be told so now."""
        if lock == self.asked:
            return False
        self.asked = lock
        self.due += 1
        return True

    def answer(self, locked: bool) -> str:
        """Where it says that it is. Returns what is wrong with that, in words; empty: nothing."""
        before, self.locked = self.locked, locked
        self.due = max(0, self.due - 1)
        if self.due or locked == self.asked:
            return ""
        if locked:
            return "the plug could not be unlocked"
        return "the plug was unlocked by itself" if before else "the plug could not be locked"
