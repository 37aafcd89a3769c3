"""Who came to the door lately: the last handshakes in the name of each station, bounded, forgotten by a restart.

What a stranger says fills memory, so there is a limit to the names and to the handshakes of each; the names that were
longest unheard go first. Those that were refused are told on the bus as well.
"""

from __future__ import annotations

from collections import OrderedDict, deque

from pilotwire.core.ids import StationKey
from pilotwire.transport.bus import Bus, Refused

NAMES = 2_000
EACH = 20


class Door:
    """The last handshakes by station."""

    __slots__ = ("_bus", "_recent")

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._recent: OrderedDict[StationKey, deque[Refused]] = OrderedDict()

    def came(self, one: Refused) -> None:
        """Note one, and tell the bus where it was refused."""
        if not one.station.isprintable():
            return
        key = StationKey(one.tenant, one.station)
        found = self._recent.get(key)
        if found is None:
            found = self._recent[key] = deque(maxlen=EACH)
            if len(self._recent) > NAMES:
                self._recent.popitem(last=False)
        else:
            self._recent.move_to_end(key)
        if found and not one.reason and not found[0].reason:
            found.popleft()  # of those that were let in the newest is enough
        found.appendleft(one)
        if one.reason and "refused" in self._bus.topics:
            self._bus.publish(f"refused.{one.tenant}.{one.station or '-'}", one)

    def recent(self, key: StationKey) -> list[Refused]:
        """Newest first."""
        return list(self._recent.get(key, ()))
