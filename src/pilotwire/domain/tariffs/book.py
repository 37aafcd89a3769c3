"""The tariffs that people make, and who and what has which: kept as documents, looked up in memory.

A tariff has revisions: a changed price is a new one, with a tariffId of its own (`<id>.<revision>`), so that a station
never has two of one name and a session goes on by the one that it began with. A revision with validFrom waits until
then beside the one before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

import msgspec

from . import choice
from .model import Tariff

TARIFF, ASSIGNMENT = "tariff", "tariff-assignment"
"""Kinds of documents."""
MOST_REVISIONS = 50

Scope = Literal["all", "site", "station", "evse", "group", "driver", "token"]
DEFAULTS: tuple[Scope, ...] = ("evse", "station", "site", "all")
DRIVERS: tuple[Scope, ...] = ("token", "driver", "group")
"""The narrower first; whatever is the driver's is before what is the place's."""

_OURS = re.compile(r"([A-Za-z0-9_-]{1,40})\.(\d{1,6})(?:\.(\d{1,4}))?", re.ASCII)


class TariffRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is kept of a tariff."""

    name: str
    note: str = ""
    revisions: list[Tariff] = []
    """The oldest first; each with its own tariffId."""
    created_at: int = 0
    updated_at: int = 0


class AssignmentRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Who or what has a tariff. One place and one driver have one at most: the document's id says which."""

    tariff: str
    scope: Scope
    target: str = ""
    """Id of the site, station, group, driver or token; "" of `all`."""
    evse: int = 0
    """Of `evse`: which one of the station `target`."""
    created_at: int = 0


def assignment_id(scope: Scope, target: str, evse: int) -> str:
    """The document's id."""
    return f"{scope} {target.casefold() if scope == 'token' else target} {evse}"


def numbered(tariff_id: str, revision: int) -> str:
    """The tariffId of a revision."""
    return f"{tariff_id}.{revision}"


def placed(tariff: Tariff, evse: int) -> Tariff:
    """As a default one at an EVSE (0: all): a station takes no tariffId twice."""
    return msgspec.structs.replace(tariff, tariff_id=f"{tariff.tariff_id}.{evse}")


def revision_of(wire_id: str) -> str | None:
    """The revision that a tariffId at a station means; None where it is none of ours."""
    found = _OURS.fullmatch(wire_id)
    return None if found is None else f"{found[1]}.{found[2]}"


class Match(NamedTuple):
    """A tariff, and for whom it was chosen."""

    tariff: Tariff
    scope: Scope


class Book:
    """Of one tenant. Never changed: a change makes a new one."""

    def __init__(
        self,
        tariffs: Mapping[str, TariffRecord] | None = None,
        assignments: Iterable[AssignmentRecord] = (),
        zones: Mapping[str, str] | None = None,
        carriers: Mapping[str, str] | None = None,
    ) -> None:
        """`zones`: time zone by site; `carriers`: driver by token in lower case."""
        self._tariffs = dict(tariffs or {})
        self._places = {assignment_id(one.scope, one.target, one.evse): one.tariff for one in assignments}
        self._by_id = {each.tariff_id: each for record in self._tariffs.values() for each in record.revisions}
        self._zones = dict(zones or {})
        self._carriers = dict(carriers or {})

    def __bool__(self) -> bool:
        return bool(self._tariffs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Book) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def zone(self, site: str) -> str:
        """The time zone of a site, "" where none is known."""
        return self._zones.get(site, "")

    def named(self, wire_id: str) -> Tariff | None:
        """The tariff that a station calls so, under that name."""
        revision = revision_of(wire_id)
        found = None if revision is None else self._by_id.get(revision)
        return None if found is None else msgspec.structs.replace(found, tariff_id=wire_id)

    def current(self, tariff_id: str, at: int) -> Tariff | None:
        """The revision of a tariff that is in force."""
        record = self._tariffs.get(tariff_id)
        return None if record is None else choice.current(record.revisions, at)

    def drivers(self, token: str, group: str, at: int) -> Match | None:
        """The tariff of a driver, by token, person or group."""
        if not token:
            return None
        name = token.casefold()
        for scope, target in (("token", name), ("driver", self._carriers.get(name, "")), ("group", group)):
            found = self._find(scope, target, 0, at) if target else None  # type: ignore[arg-type]
            if found is not None:
                return found
        return None

    def default(self, station: str, site: str, evse: int, at: int) -> Match | None:
        """The tariff of a place."""
        return (
            (self._find("evse", station, evse, at) if evse else None)
            or self._find("station", station, 0, at)
            or (self._find("site", site, 0, at) if site else None)
            or self._find("all", "", 0, at)
        )

    def at_station(self, station: str, site: str, at: int) -> dict[int, list[Tariff]]:
        """The default tariffs that a station is to hold: by EVSE, 0 for all, with those that begin later."""
        found: dict[int, list[Tariff]] = {}
        whole = (
            self._places.get(assignment_id("station", station, 0))
            or (self._places.get(assignment_id("site", site, 0)) if site else None)
            or self._places.get(assignment_id("all", "", 0))
        )
        if whole is not None:
            found[0] = self._kept(whole, 0, at)
        prefix = f"evse {station} "
        for place, tariff in self._places.items():
            if place.startswith(prefix) and place[len(prefix) :].isdigit():
                evse = int(place[len(prefix) :])
                found[evse] = self._kept(tariff, evse, at)
        return {evse: tariffs for evse, tariffs in sorted(found.items()) if tariffs}

    def _find(self, scope: Scope, target: str, evse: int, at: int) -> Match | None:
        tariff_id = self._places.get(assignment_id(scope, target, evse))
        found = None if tariff_id is None else self.current(tariff_id, at)
        return None if found is None else Match(found, scope)

    def _kept(self, tariff_id: str, evse: int, at: int) -> list[Tariff]:
        record = self._tariffs.get(tariff_id)
        return [] if record is None else [placed(each, evse) for each in choice.kept(record.revisions, at)]
