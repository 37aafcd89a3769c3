"""Reservations of a station: who may use which EVSE until when (1.6 3.12, 5.1, 5.13; 2.x H01 to H04).

A reservation is for one EVSE, for a connector type, or for whatever EVSE is left. Those of the last two kinds hold an
EVSE only when no more than they need are left: then all of these show as Reserved. Reservations are stored, so a
restart keeps them; one that expired meanwhile is reported once the station is back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec

from pilotwire.core.time import Timer

from .evse import Evse, PendingStart
from .parts import Part

if TYPE_CHECKING:
    from .program import Station
    from .sessions import Session

_PREFIX = "reservation."


class Reservation(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One reservation that is neither used nor over."""

    id: int
    expires_at: int
    """Station clock, ms."""
    token: str
    group: str = ""
    evse: int = 0
    """0: not a certain one."""
    connector_type: str = ""
    """ConnectorEnumType; empty: any."""
    received_at: int = 0
    """When ReserveNow came (station clock, ms)."""

    def fits(self, evse: Evse) -> bool:
        """Whether it could be used at `evse`."""
        if self.evse:
            return self.evse == evse.id
        return not self.connector_type or self.connector_type == evse.config.connector_type

    def is_of(self, token: str, group: str) -> bool:
        """Whether a token of that group (empty: of none) is the one that it is for."""
        return (bool(token) and token == self.token) or (bool(group) and group == self.group)


_decoder = msgspec.json.Decoder(Reservation)


class Reservations(Part):
    """Every reservation of one station."""

    __slots__ = ("_by_id", "_timer")

    def __init__(self, station: Station) -> None:
        super().__init__(station)
        self._by_id: dict[int, Reservation] = {}
        self._timer: Timer | None = None

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Reservation]:
        return iter(self._by_id.values())

    def restore(self, stored: Mapping[str, bytes]) -> None:
        rows = [_decoder.decode(value) for key, value in stored.items() if key.startswith(_PREFIX)]
        self._by_id = {row.id: row for row in rows}
        self._rearm()

    def stop(self) -> None:
        self._cancel()

    def clock_moved(self) -> None:
        self._rearm()

    # ── what the CSMS wants ──────────────────────────────────────────────────────────────────────────────────────

    def take(self, wanted: Reservation) -> str:
        """Accepted, Occupied, Faulted, Unavailable or Rejected (ReserveNowStatus). An earlier one of that id is
        replaced, unless the new one cannot be had."""
        station = self._station
        if not station.settings.flag("reservation_enabled") or wanted.expires_at <= station.clock.now():
            return "Rejected"
        if not wanted.evse and not station.settings.flag("reserve_any"):
            return "Rejected"
        targets = [evse for evse in station.evses if wanted.fits(evse)]
        if not targets:
            return "Rejected"
        replaced = self._by_id.pop(wanted.id, None)
        verdict = self._verdict(wanted, targets)
        if verdict != "Accepted":
            if replaced is not None:
                self._by_id[replaced.id] = replaced
            return verdict
        wanted.received_at = station.clock.now()
        self._by_id[wanted.id] = wanted
        station.store({f"{_PREFIX}{wanted.id}": msgspec.json.encode(wanted)})
        self._rearm()
        return verdict

    def _verdict(self, wanted: Reservation, targets: list[Evse]) -> str:
        states = {self._station.dialect.status(evse) for evse in targets}
        for state in ("Faulted", "Unavailable"):
            if states == {state}:
                return state
        free = [evse for evse in targets if evse.phase == "Idle" and _usable(evse)]
        if wanted.evse:
            return "Accepted" if free and self.holder(free[0]) is None else "Occupied"
        pool = [evse for evse in self._station.evses if evse.phase == "Idle" and _usable(evse)]
        waiting = [*self._unspecific(), wanted]
        return "Accepted" if _served(waiting, self._unheld(pool)) == len(waiting) else "Occupied"

    def cancel(self, id_: int) -> bool:
        """CancelReservation: False when there is none of that id."""
        return self._remove(id_) is not None

    def forget_token(self, token: str) -> None:
        """N10.FR.03: nothing is kept of its owner."""
        for row in [row for row in self._by_id.values() if row.token == token]:
            self._over(row.id, "Removed")

    # ── what it means for an EVSE ────────────────────────────────────────────────────────────────────────────────

    def holder(self, evse: Evse) -> Reservation | None:
        """The reservation because of which `evse` is not free for all; None when it is free."""
        if not self._by_id:
            return None
        certain = next((row for row in self._by_id.values() if row.evse == evse.id), None)
        if certain is not None:
            return certain
        waiting = self._unspecific()
        pool = self._unheld(evse for evse in self._station.evses if _usable(evse))
        if evse not in pool or not waiting:
            return None
        without = [other for other in pool if other is not evse]
        if _served(waiting, without) == _served(waiting, pool):
            return None
        return next((row for row in waiting if row.fits(evse)), None)

    def admits(self, evse: Evse, token: str, group: str) -> bool:
        """Whether that token (of that group; empty: of none) may charge at `evse` as far as reservations go."""
        if not self._by_id:
            return True
        certain = next((row for row in self._by_id.values() if row.evse == evse.id), None)
        if certain is not None:
            return certain.is_of(token, group)
        own = self.of(evse, token, group)
        waiting = self._unspecific()
        others = [row for row in waiting if row is not own]
        pool = self._unheld(other for other in self._station.evses if _usable(other))
        without = [other for other in pool if other is not evse]
        # With somebody at `evse`, as many reservations must be served as without, theirs included.
        return _served(others, without) + (own is not None) >= _served(waiting, pool)

    def of(self, evse: Evse, token: str, group: str) -> Reservation | None:
        """The reservation that this token would use up at `evse`: the most certain of its own."""
        mine = [row for row in self._by_id.values() if row.fits(evse) and row.is_of(token, group)]
        mine.sort(key=lambda row: (not row.evse, not row.connector_type, row.expires_at))
        return mine[0] if mine else None

    def preferred(self, token: str, group: str) -> Evse | None:
        """The EVSE that is reserved for this token, if a certain one is."""
        mine = (row for row in self._by_id.values() if row.evse and row.is_of(token, group))
        return next((self._station.evses[row.evse - 1] for row in mine), None)

    # ── how it ends ──────────────────────────────────────────────────────────────────────────────────────────────

    def presented(self, evse: Evse, pending: PendingStart) -> None:
        """Its token has been let in at `evse`. 2.x: it is used from now on (H03.FR.09); 1.6: when charging starts."""
        own = self.of(evse, pending.token, pending.group)
        if own is None:
            return
        pending.reservation, pending.reserved_since = own.id, own.received_at
        if self._station.config.version != "1.6":
            self._remove(own.id)

    def began(self, session: Session, pending: PendingStart) -> None:
        """A session has begun that `pending` had authorized."""
        session.reservation = pending.reservation
        if pending.reserved_since:
            reserved = self._station.clock.now() - pending.reserved_since
            session.reserved_ms = max(0, reserved) // 1000 * 1000
        if pending.reservation is not None:
            self._remove(pending.reservation)

    def unused(self, pending: PendingStart) -> None:
        """Somebody was let in and never plugged in (H03.FR.11)."""
        if pending.reservation is not None:
            self._station.dialect.reservation_ended(pending.reservation, "NoTransaction")

    def evse_lost(self) -> None:
        """An EVSE has become Faulted or Unavailable: what can no longer be kept is taken back (H01.FR.16, .17)."""
        if not self._by_id:
            return
        working = [evse for evse in self._station.evses if not evse.fault and evse.available]
        for row in list(self._by_id.values()):
            if row.evse and self._station.evses[row.evse - 1] not in working:
                self._over(row.id, "Removed")
        waiting = self._unspecific()
        while waiting and _served(waiting, self._unheld(working)) < len(waiting):
            self._over(waiting.pop().id, "Removed")

    def _over(self, id_: int, status: str) -> None:
        if self._remove(id_) is not None:
            self._station.dialect.reservation_ended(id_, status)

    def _remove(self, id_: int) -> Reservation | None:
        gone = self._by_id.pop(id_, None)
        if gone is not None:
            self._station.store({f"{_PREFIX}{id_}": None})
            self._rearm()
        return gone

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _rearm(self) -> None:
        self._cancel()
        if self._by_id:
            wait = min(row.expires_at for row in self._by_id.values()) - self._station.clock.now()
            self._timer = self._station.scheduler.call_later(max(0, wait), self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = self._station.clock.now()
        for row in [row for row in self._by_id.values() if row.expires_at <= now]:
            self._over(row.id, "Expired")
        self._rearm()
        self._station.availability.report_all()
        self._station.finish()

    # ── helpers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _unspecific(self) -> list[Reservation]:
        """Those without a number, but for the ones whose token has been let in somewhere (1.6)."""
        let_in = {evse.pending.reservation for evse in self._station.evses if evse.pending is not None}
        return [row for row in self._by_id.values() if not row.evse and row.id not in let_in]

    def _unheld(self, evses: Iterable[Evse]) -> list[Evse]:
        """Without those that are reserved by number."""
        certain = {row.evse for row in self._by_id.values()}
        return [evse for evse in evses if evse.id not in certain]


def _usable(evse: Evse) -> bool:
    """Somebody could still start at it; a cable without a session does not take it away."""
    taken = evse.session is not None and evse.session.authorized
    return not taken and evse.pending is None and not evse.fault and evse.available


def _served(waiting: list[Reservation], pool: list[Evse]) -> int:
    """How many of the reservations can have an EVSE of their own at once: a matching by augmenting paths."""
    taken: dict[int, Reservation] = {}

    def place(row: Reservation, seen: set[int]) -> bool:
        for evse in pool:
            if evse.id not in seen and row.fits(evse):
                seen.add(evse.id)
                other = taken.get(evse.id)
                if other is None or place(other, seen):
                    taken[evse.id] = row
                    return True
        return False

    return sum(place(row, set()) for row in waiting)
