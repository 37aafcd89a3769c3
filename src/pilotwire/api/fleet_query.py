"""What stations can be asked for, and in which order they are listed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from . import types
from .cursors import bad_cursor
from .fleet_member import Member
from .listing import Key, Sort, order_of, rank


class StationQuery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is asked for. Everything given has to hold; of several values of one field, one. In any case of letters."""

    connected: bool | None = None
    enabled: bool | None = None
    registered: bool | None = None
    status: tuple[str, ...] = ()
    """A connector says one of these."""
    vendor: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    firmware: tuple[str, ...] = ()
    ocpp_version: tuple[str, ...] = ()
    site: tuple[str, ...] = ()
    """Ids; "-" stands for none."""
    q: str = ""
    """Part of id, vendor, model, serial, firmware or note."""

    @property
    def everything(self) -> bool:
        return self == _EVERYTHING


_EVERYTHING: Final = StationQuery()


SORTS: Final[dict[str, Callable[[types.Station], Key]]] = {
    "id": lambda one: one.id,
    "site": lambda one: one.site or None,
    "vendor": lambda one: one.vendor or None,
    "model": lambda one: one.model or None,
    "firmware": lambda one: one.firmware or None,
    "ocpp_version": lambda one: one.ocpp_version,
    "connected": lambda one: one.connected,
    "power_w": lambda one: one.power_w,
    "last_seen": lambda one: one.last_seen,
    "connected_at": lambda one: one.connected_at,
    "booted_at": lambda one: one.booted_at,
}
"""What the list can be sorted by."""


_Check = Callable[[types.Station], bool]


def _is(checks: list[_Check], name: str, value: bool | None) -> None:
    if value is not None:
        checks.append(lambda one: getattr(one, name) is value)


def _one_of(checks: list[_Check], name: str, values: tuple[str, ...]) -> None:
    if values:
        folded = frozenset(text.casefold() for text in values)
        checks.append(lambda one: (getattr(one, name) or "").casefold() in folded)


def filter_of(wanted: StationQuery) -> Callable[[Member], bool]:
    """Whether a station is asked for."""
    checks: list[_Check] = []
    for name in ("connected", "enabled", "registered"):
        _is(checks, name, getattr(wanted, name))
    for name in ("vendor", "model", "firmware", "ocpp_version"):
        _one_of(checks, name, getattr(wanted, name))
    if wanted.site:
        sites = frozenset("" if one == "-" else one for one in wanted.site)
        checks.append(lambda one: one.site in sites)
    if wanted.status:
        states = frozenset(text.casefold() for text in wanted.status)
        checks.append(lambda one: any(connector.status.casefold() in states for connector in one.connectors))
    needle = wanted.q.casefold()

    def fits(member: Member) -> bool:
        shown = member.shown
        return all(check(shown) for check in checks) and (not needle or needle in member.text)

    return fits


class Order:
    """The stations by one field, up or down."""

    __slots__ = ("ids", "key", "keys", "sort")

    def __init__(self, sort: Sort, members: Iterable[Member]) -> None:
        self.sort = sort
        self.key = SORTS[sort.field]
        rows: list[tuple[str, Any]] = sorted(
            ((one.id, order_of(self.key(one.shown))) for one in members), key=lambda row: row[0]
        )
        self.keys = dict(rows)
        # Sorting is stable: equal ones stay in order of their ids, up and down alike. What has no value comes last.
        present = sorted((row for row in rows if not row[1][0]), key=lambda row: row[1][1], reverse=sort.descending)
        self.ids = [id for id, _ in present] + [id for id, key in rows if key[0]]

    def after(self, place: tuple[Key, str]) -> int:
        """Where the list goes on after an item that had this key and id then, wherever that is now."""
        wanted = rank(order_of(place[0]), place[1], self.sort.descending)
        try:
            return bisect_right(self.ids, wanted, key=lambda id: rank(self.keys[id], id, self.sort.descending))
        except TypeError:  # a key of another kind than this field's: made up
            raise bad_cursor() from None

    def still(self, member: Member | None, id: str) -> bool:
        """Whether a changed station keeps its place."""
        known = self.keys.get(id)
        if member is None or known is None:
            return member is None and known is None
        return order_of(self.key(member.shown)) == known
