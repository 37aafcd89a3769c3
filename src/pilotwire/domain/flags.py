"""A session's anomalies, kept sorted so that two orders of arrival give the same record."""

from __future__ import annotations

from bisect import bisect_left

from .records import Session


def has(session: Session, name: str) -> bool:
    """Whether `name` is among the session's flags."""
    return name in session.flags


def flag(session: Session, name: str) -> None:
    """Set a flag; setting it twice is once."""
    flags = session.flags
    at = bisect_left(flags, name)
    if at == len(flags) or flags[at] != name:
        flags.insert(at, name)


def clear(session: Session, name: str) -> None:
    """Take a flag away if it is there."""
    if name in session.flags:
        session.flags.remove(name)
