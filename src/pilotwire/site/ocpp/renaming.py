"""1.6 transaction ids: as the station knows them, and as each upstream does.

Live, a station gets the authority's own id, and nothing is renamed. While the authority is away the box gives one; when
the message has reached an upstream, that one's id stands beside it, and each message is told in the words of its
reader.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

UNKNOWN = -1
"""For an upstream that refused the StartTransaction for good: the id that 1.6 stations say then."""

_OVER_KEPT = 16


class Link(msgspec.Struct, omit_defaults=True):
    """One transaction."""

    station: int
    """Its id at the station."""
    names: dict[str, int] = {}
    """Its id at each upstream that has answered the StartTransaction, by the upstream's name."""
    connector: int = 0
    token: str = ""
    over: bool = False


class Renaming:
    """The transactions of one station."""

    def __init__(self, links: Iterable[Link] = ()) -> None:
        self.links: list[Link] = list(links)

    def find(self, station_id: object) -> Link | None:
        """By the station's id; the youngest, should there be two."""
        return next((link for link in reversed(self.links) if link.station == station_id), None)

    def at(self, upstream: str, theirs: object) -> Link | None:
        """By an upstream's id."""
        return next((link for link in reversed(self.links) if link.names.get(upstream) == theirs), None)

    def fresh(self, draw: Callable[[], int]) -> int:
        """An id for the station that neither it nor an upstream uses for another transaction."""
        taken = {link.station for link in self.links} | {name for link in self.links for name in link.names.values()}
        while (station_id := draw()) in taken:
            pass
        return station_id

    def begin(self, station_id: int, connector: int, token: str) -> Link:
        """A transaction that the station will call so."""
        link = Link(station_id, {}, connector, token)
        self.links.append(link)
        return link

    def theirs(self, upstream: str, station_id: object) -> int | None:
        """What `upstream` calls it; None: as the station does."""
        link = self.find(station_id)
        if link is None:
            return None
        return link.names.get(upstream, UNKNOWN)

    def tidy(self) -> None:
        """Nothing waits any more: of what is over, a few are enough for late words."""
        over = [link for link in self.links if link.over]
        gone = {id(link) for link in over[:-_OVER_KEPT]}
        if gone:
            self.links = [link for link in self.links if id(link) not in gone]
