"""A car that plans its charging with the station (ISO 15118-2, and ISO 15118-20 where it has an EVCCID)."""

from __future__ import annotations

from collections.abc import Sequence

from pilotwire.domain.schedules.model import Composite

from .car import Vehicle
from .catalogue import CarKind


class PlanningVehicle(Vehicle):
    """Takes the offer that brings the most energy until it leaves, and says what it will draw of it."""

    __slots__ = ("departure", "scheduled", "tuples")

    def __init__(
        self,
        kind: CarKind,
        soc: int,
        *,
        target_soc: int = 1000,
        evccid: str = "",
        departure: int | None = None,
        tuples: int | None = None,
        scheduled: bool = True,
    ) -> None:
        super().__init__(kind, soc, target_soc=target_soc, evccid=evccid)
        self.departure = departure
        """ms since the epoch."""
        self.tuples = tuples
        """How many periods of a schedule it can take."""
        self.scheduled = scheduled
        """False: it leaves it to the station from moment to moment (ISO 15118-20, dynamic control)."""

    @property
    def energy_wh(self) -> int:
        """What it still needs at the battery."""
        return max(0, self.target_uj - self.battery.stored_uj) // 3_600_000_000

    @property
    def most_mw(self) -> int:
        """What it draws at most: over DC where it has an inlet for that."""
        ac = self.kind.ac_max_ma * self.kind.ac_phases * 230
        return max([ac, *(watts * 1000 for _, watts in self.kind.dc_curve)])

    def plan(self, offers: Sequence[Composite]) -> tuple[int, Composite | None]:
        """Which of `offers` it takes, and how it will draw; None: as offered (in dynamic control)."""
        if not offers or not self.scheduled:
            return 0, None
        chosen = max(range(len(offers)), key=lambda number: (self._energy(offers[number]), -number))
        offer = offers[chosen]
        rows = [
            each._replace(limit=self.most_mw if each.limit is None else min(each.limit, self.most_mw))
            for each in offer.intervals
        ]
        merged = [row for at, row in enumerate(rows) if not at or row[1:] != rows[at - 1][1:]]
        return chosen, offer._replace(intervals=tuple(merged))

    def _energy(self, offer: Composite) -> int:
        """mW × ms until it leaves, or until the offer ends."""
        end = offer.duration_ms
        if self.departure is not None:
            end = max(0, min(end, self.departure - offer.start))
        starts = [each.start_ms for each in offer.intervals]
        return sum(
            (min(until, end) - min(each.start_ms, end))
            * (self.most_mw if each.limit is None else min(each.limit, self.most_mw))
            for each, until in zip(offer.intervals, [*starts[1:], offer.duration_ms], strict=True)
        )
