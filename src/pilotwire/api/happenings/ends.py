"""How overdue the stations' certificates are, for the alarms: looked at once an hour, no fact tells of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pilotwire.domain.trust import SHOWN
from pilotwire.storage.documents import sort_time
from pilotwire.storage.port import Store

GAUGE = "certificate-overdue-days"
EVERY_MS = 3_600_000
RENEWED_DAYS = 30
"""So long before its end a certificate is renewed (A03.FR.02)."""
_DAY_MS = 86_400_000
_PAGE = 500


class Ends:
    """Of one tenant."""

    def __init__(self, store: Store, tenant: str, enabled: Callable[[str], bool]) -> None:
        self._store = store
        self._tenant = tenant
        self._enabled = enabled
        self._due = 0
        self._overdue: set[str] = set()

    def remember(self, stations: Iterable[str]) -> None:
        """These were overdue when the last process ended."""
        self._overdue.update(stations)

    async def look(self, now: int) -> dict[str, int]:
        """Station → days that its certificate is overdue, 0 for one that no longer is; nothing between two looks."""
        if now < self._due:
            return {}
        self._due = now + EVERY_MS
        found: dict[str, int] = {}
        high, cursor = sort_time(now + RENEWED_DAYS * _DAY_MS), None
        while True:
            page = await self._store.documents(self._tenant, SHOWN, high=high, cursor=cursor, limit=_PAGE)
            for document in page.items:
                if self._enabled(document.id):
                    found[document.id] = RENEWED_DAYS - (int(document.sort) - now) // _DAY_MS
            cursor = page.next
            if cursor is None:
                break
        over = self._overdue - found.keys()
        self._overdue = set(found)
        return found | dict.fromkeys(over, 0)
