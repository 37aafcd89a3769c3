"""The power of all sessions of each site, kept up to date with every fact. Pure."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from . import facts
from .facts import Fact


class _Drawing(msgspec.Struct):
    station: str
    site: str
    power_w: int


class SitePower:
    """Sums per site."""

    def __init__(self, site_of: Callable[[str], str]) -> None:
        self._site_of = site_of
        self._sessions: dict[str, _Drawing] = {}
        self.totals: dict[str, int] = {}
        """Site → W; "" holds stations at no site."""

    def fact(self, station: str, fact: Fact) -> str | None:
        """Take in a fact; the site whose sum has changed, None where none has."""
        if type(fact) is facts.SessionUpdated:
            return self.set(fact.session_id, station, fact.power_w) if fact.power_w is not None else None
        if type(fact) is facts.SessionEnded:
            return self.set(fact.session_id, station, 0)
        return None

    def set(self, session_id: str, station: str, power_w: int) -> str | None:
        """A session draws so much now; 0 also when it has ended."""
        known = self._sessions.get(session_id)
        if known is None:
            if power_w <= 0:
                return None
            known = self._sessions[session_id] = _Drawing(station, self._site_of(station), 0)
        elif known.power_w == power_w:
            return None
        self.totals[known.site] = self.totals.get(known.site, 0) + power_w - known.power_w
        known.power_w = power_w
        if power_w <= 0:
            del self._sessions[session_id]
        return known.site

    def moved(self) -> None:
        """Stations may stand elsewhere now: sum up anew."""
        self.totals.clear()
        for one in self._sessions.values():
            one.site = self._site_of(one.station)
            self.totals[one.site] = self.totals.get(one.site, 0) + one.power_w
