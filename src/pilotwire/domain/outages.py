"""Outages: time in which an EVSE could not be used, and the time in which that does not count. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

Cause = Literal["offline", "faulted", "unavailable"]
"""What an outage began with."""


class Outage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Time in which an EVSE could not be used."""

    station: str
    evse: int
    site: str
    cause: Cause
    detail: str = ""
    began: int
    ended: int = 0
    """0: it lasts."""
    excluded: int = 0
    """ms of it."""
    excluded_by: dict[str, int] = {}
    """The same by day."""


class Window(msgspec.Struct, frozen=True):
    """Time (ms) in which outages of a station, or of a whole site, do not count."""

    begin: int
    end: int
    station: str = ""
    site: str = ""

    def concerns(self, station: str, site: str) -> bool:
        """Whether it is about this station."""
        return self.station == station if self.station else bool(self.site) and self.site == site


def overlap(begin: int, end: int, windows: Iterable[Window]) -> list[tuple[int, int]]:
    """The parts of begin … end that lie in any of the windows, in order, without overlap."""
    parts: list[tuple[int, int]] = []
    for low, high in sorted((max(begin, one.begin), min(end, one.end)) for one in windows):
        if low >= high:
            continue
        if parts and low <= parts[-1][1]:
            parts[-1] = (parts[-1][0], max(parts[-1][1], high))
        else:
            parts.append((low, high))
    return parts
