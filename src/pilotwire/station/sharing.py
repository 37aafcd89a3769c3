"""Who gets how much of what all EVSEs of a station may draw together (K03, K04; 1.6 3.13.3).

The most urgent first: as much as it can use, before anybody less urgent gets any. Among those alike equal parts, but
never less than a car can use: where it does not suffice for all, the first ones are served and the others wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilotwire.domain.schedules.model import Limits

from .evse import MIN_AC_MA, Evse

if TYPE_CHECKING:
    from .program import Station
    from .sessions import Session

_MIN_AC_MW = MIN_AC_MA * 230
_MIN_DC_MW = 1_000_000


class Sharing:
    """The parts of one station's EVSEs."""

    __slots__ = ("_ranks", "_station")

    def __init__(self, station: Station) -> None:
        self._station = station
        self._ranks: dict[str, tuple[int, bool]] = {}
        """Transaction → chargingPriority, and whether it was given for it alone."""

    def clear(self) -> None:
        """Nothing of an earlier run is left."""
        self._ranks.clear()

    def began(self, session: Session) -> None:
        """What was said of the token counts for its transaction (K03.FR.05); nothing said is 0 (K03.FR.06)."""
        station = self._station
        known = station.authorizer.locally(session.token, session.token_type, station.clock.now())
        if known is not None and known.priority:
            self._ranks[session.key] = known.priority, False

    def ended(self, session: Session) -> None:
        """What was said of the transaction is of no use any more."""
        self._ranks.pop(session.key, None)

    def rank(self, transaction: str, priority: int, *, own: bool = False) -> None:
        """How urgent a transaction is, -9 to 9. What was said of it alone (`own`) comes before all else."""
        before = self._ranks.get(transaction)
        if self._station.transactions.of_key(transaction) is None or (before is not None and before[1] and not own):
            return
        self._ranks[transaction] = priority, own
        if before is None or before[0] != priority:
            self._station.v2x.refresh()

    def _rank(self, evse: Evse) -> int:
        return 0 if evse.session is None else self._ranks.get(evse.session.key, (0, False))[0]

    def part(self, evse: Evse, whole: Limits) -> Limits:
        """The part of `whole` that `evse` gets."""
        active = [
            each
            for each in self._station.evses
            if each.session is not None and not each.session.held and each.phase != "SuspendedEV"
        ]
        if evse not in active:
            active.append(evse)
        rank = self._rank(evse)
        before = sorted({self._rank(each) for each in active if self._rank(each) > rank}, reverse=True)
        ma, mw = whole.ma, whole.mw
        for more_urgent in before:
            group = [each for each in active if self._rank(each) == more_urgent]
            ma = None if ma is None else _left(ma, [each.max_ma for each in group], MIN_AC_MA)
            mw = None if mw is None else _left(mw, [each.max_mw for each in group], _least_mw(group[0]))
        alike = sorted(each.id for each in active if self._rank(each) == rank)
        place = alike.index(evse.id)
        return Limits(
            None if ma is None else _part(ma, len(alike), place, MIN_AC_MA),
            None if mw is None else _part(mw, len(alike), place, _least_mw(evse)),
            whole.phases,
            whole.until,
        )


def _least_mw(evse: Evse) -> int:
    return _MIN_DC_MW if evse.config.dc else _MIN_AC_MW


def _part(whole: int, count: int, place: int, least: int) -> int:
    served = max(1, min(count, whole // least))
    return whole // served if place < served else 0


def _left(whole: int, most: list[int], least: int) -> int:
    """What those who can use `most` leave."""
    count = len(most)
    return max(0, whole - sum(min(_part(whole, count, place, least), can) for place, can in enumerate(most)))
