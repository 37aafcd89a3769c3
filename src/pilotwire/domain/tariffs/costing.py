"""The course of one transaction, priced step by step: the state that is kept, and how it goes on.

    costing = begin(tariff, Mark(start, wh=register), zone="Europe/Berlin", evse_kind="AC")
    costing.feed(Mark(time, wh=…, charging=…, power=…, current=…))     # as messages say it
    costing.change(tariff, time)                                       # I11
    details.of(costing)                                                # what it costs so far
    costing.finish(time); details.of(costing, ended=True)

Times are whole ms and energy is whole mWh, so every volume is a sum of integers, and the cost is exact until `details`
rounds it. Between two readings of the register energy flows evenly. A price is used from the moment when its conditions
hold: the course is cut wherever that may change, at readings, times of day, thresholds and changes of the charging
state. What lies between the newest reading and now is priced when the next reading comes, and not before: a cost that
has been shown is never taken back.

What was measured last of power and current holds until it is measured again; where no power is ever measured, the mean
between two readings counts. What comes out of order, older than the newest reading, is not priced anew: its energy is
in the register already (`late` counts it).

A state keeps what is needed to go on, not the course: it is as small after a week as after a minute.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec

from . import amounts, clock, conditions
from .clock import zone
from .conditions import Bounds, Situation
from .model import Energy, Fixed, Tariff, Time
from .shares import Share

UNREAD = -1
"""No register was read yet: the first that is, is where the energy begins."""
MAX_PERIODS = 500
"""Periods that are told apart; beyond, the last one goes on."""


class Mark(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one message says of the course, at `time` (ms, the station's clock)."""

    time: int
    wh: int | None = None
    """The energy register."""
    charging: bool | None = None
    power: Decimal | None = None
    """W."""
    current: Decimal | None = None
    """A, all phases together."""


class Period(msgspec.Struct, omit_defaults=True, gc=False):
    """A time in which the same prices were used (I12.FR.35)."""

    tariff_id: str
    start: int
    energy: int = 0
    charging: int = 0
    idle: int = 0
    min_power: Decimal | None = None
    max_power: Decimal | None = None
    min_current: Decimal | None = None
    max_current: Decimal | None = None


class Costing(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """See the module. Stored as it is between two messages."""

    start: int
    """When the transaction began."""
    zone: str = ""
    evse_kind: str = "AC"
    payment: tuple[str, str] = ("", "")
    reserved_ms: int | None = None
    """How long the EVSE was reserved for it before."""
    shares: list[Share]
    periods: list[Period] = []
    at: int
    """Up to when it is priced: the newest reading."""
    wh: int
    """The register there; `UNREAD` before the first."""
    first_wh: int
    charging: bool | None = None
    """None: the station has said nothing; energy says it."""
    power: Decimal | None = None
    current: Decimal | None = None
    energy: int = 0
    """mWh so far."""
    charged_ms: int = 0
    idle_ms: int = 0
    idle_since: int | None = None
    used: tuple[int, int, int] = (-1, -1, -1)
    """Places of the prices in use: energy, chargingTime, idleTime."""
    waiting: list[Mark] = []
    """Marks after `at` that await a reading."""
    changes: list[tuple[int, Tariff]] = []
    """Tariffs to change to, likewise."""
    capped: bool = False
    """maxCost is reached: nothing is added any more (I12.FR.39)."""
    late: int = 0
    """Marks that came too late to be priced."""
    ended: bool = False

    @property
    def tariff(self) -> Tariff:
        """The one in force, or about to be."""
        return self.changes[-1][1] if self.changes else self.shares[-1].tariff

    def copy(self) -> Costing:
        """One that goes on by itself."""
        new = msgspec.structs.replace(self)
        new.shares = [share.copy() for share in self.shares]
        new.periods = self.periods[:]
        if new.periods:
            new.periods[-1] = msgspec.structs.replace(new.periods[-1])
        new.waiting = self.waiting[:]
        new.changes = self.changes[:]
        return new

    # -- the course ---------------------------------------------------------------------------------------------------
    def feed(self, mark: Mark) -> None:
        """The next mark."""
        if self.ended:
            self.late += 1
            return
        if mark.wh is not None and self.wh == UNREAD:
            self.wh = self.first_wh = mark.wh
        if mark.time < self.at:
            self._late(mark)
            return
        if mark.wh is not None and mark.wh < self.wh:
            mark = msgspec.structs.replace(mark, wh=self.wh)  # a register that fell has taken nothing back
        waiting = self.waiting
        waiting.append(mark)
        if len(waiting) > 1 and waiting[-2].time > mark.time:
            waiting.sort(key=lambda one: one.time)
        if mark.wh is not None:
            self._price_to(mark.time, mark.wh)

    def change(self, tariff: Tariff, time: int) -> None:
        """Another tariff from `time` on; nothing is calculated back (I11.FR.08)."""
        if self.ended or tariff == self.tariff:
            return
        if time <= self.at:
            self._use(tariff, self.at)
        else:
            self.changes.append((max(time, self.changes[-1][0] if self.changes else time), tariff))

    def finish(self, time: int) -> None:
        """The transaction is over; what has not been read has not flowed."""
        if not self.ended:
            self._price_to(max(time, self.at, self.waiting[-1].time if self.waiting else self.at), self.wh)
            self.ended = True

    def _late(self, mark: Mark) -> None:
        """Older than what is priced: the register alone still counts, where it is beyond (the clock was set back)."""
        self.late += 1
        if mark.wh is not None and mark.wh > self.wh:
            self._price_to(self.at, mark.wh)

    # -- pricing ------------------------------------------------------------------------------------------------------
    def _price_to(self, until: int, wh: int) -> None:
        """Everything up to `until`, when the register stands at `wh`."""
        begin, length = self.at, until - self.at
        flow = (wh - self.wh) * 1000
        base = self.energy
        mean = Decimal(flow * 3600) / Decimal(length) if length else Decimal(0)
        while True:
            self._take_up()
            if self.at >= until:
                break
            share = self.shares[-1]
            limits = _bounds(share.tariff)
            now = self._situation(flow, mean)
            used = _choose(share.tariff, now)
            end = self._cut(limits, now, until, begin, length, flow, base)
            reached = base + flow * (end - begin) // length
            self._account(share, used, now, end, reached - self.energy, self._charges(flow))
        if length == 0 and flow:
            now = self._situation(flow, mean)
            self._account(self.shares[-1], _choose(self.tariff, now), now, until, flow, self._charges(flow))
        self.wh = wh

    def _situation(self, flow: int, mean: Decimal) -> Situation:
        charging = self._charges(flow)
        idle = 0 if charging else self.at - (self.idle_since if self.idle_since is not None else self.at)
        return Situation(
            at=self.at,
            place=zone(self.zone),
            evse_kind=self.evse_kind,
            energy=self.energy,
            power=mean if self.power is None else self.power,
            current=self.current,
            elapsed=self.at - self.start,
            charging=self.charged_ms,
            idle=idle,
            payment=self.payment,
        )

    def prices_at(self, at: int) -> tuple[int, int, int]:
        """Places of the prices that are used at `at` if nothing changes before but the time."""
        now = self._situation(0, Decimal(0))
        now.elapsed += at - now.at
        now.at = at
        return _choose(self.shares[-1].tariff, now)

    def _take_up(self) -> None:
        """What is due at `at`: marks and changes of the tariff."""
        waiting = self.waiting
        while waiting and waiting[0].time <= self.at:
            mark = waiting.pop(0)
            if mark.charging is not None:
                self.charging = mark.charging
            if mark.power is not None:
                self.power = mark.power
            if mark.current is not None:
                self.current = mark.current
        while self.changes and self.changes[0][0] <= self.at:
            self._use(self.changes.pop(0)[1], self.at)

    def _cut(self, limits: Bounds, now: Situation, until: int, begin: int, length: int, flow: int, base: int) -> int:
        """The first moment after `at`, `until` at the latest, when something may be otherwise."""
        at = self.at
        end = until
        if self.waiting:
            end = min(end, self.waiting[0].time)
        if self.changes:
            end = min(end, self.changes[0][0])
        if limits.timed:
            end = min(end, clock.next_change(at, now.place, limits.minutes))
        end = _next(limits.elapsed, now.elapsed, at, end)
        if now.idle or not self._charges(flow):
            end = _next(limits.idle, now.idle, at, end)
        else:
            end = _next(limits.charging, now.charging, at, end)
        if flow > 0:
            for edge in limits.energy:
                if edge > self.energy:
                    # The first ms by which so much has flowed.
                    end = min(end, max(at + 1, begin - (-(edge - base) * length // flow)))
                    break
        return end

    def _charges(self, flow: int) -> bool:
        return self.charging if self.charging is not None else flow > 0

    def _account(
        self, share: Share, used: tuple[int, int, int], now: Situation, end: int, energy: int, charging: bool
    ) -> None:
        """The prices `used` hold from `at` to `end`, in which `energy` flows."""
        length = end - self.at
        if not self.periods or used != self.used:
            self._period(share.tariff.tariff_id)
        self.used = used
        _measure(self.periods[-1], _bounds(share.tariff), now)
        if not self.capped:
            priced = self._up_to_the_cap(share, used, length, energy, charging)
            _price(share, used, *priced, charging)
        period = self.periods[-1]
        period.energy += energy
        self.energy += energy
        if charging:
            period.charging += length
            self.charged_ms += length
            self.idle_since = None
        else:
            if self.idle_since is None:
                self.idle_since = self.at
            period.idle += length
            self.idle_ms += length
        self.at = end

    def _up_to_the_cap(
        self, share: Share, used: tuple[int, int, int], length: int, energy: int, charging: bool
    ) -> tuple[int, int]:
        """(ms, mWh) of this step until maxCost is reached."""
        if share.tariff.max_cost is None:
            return length, energy
        trial = self.copy()
        _price(trial.shares[-1], used, length, energy, charging)
        before, after = amounts.total(self.shares, self.reserved_ms), amounts.total(trial.shares, self.reserved_ms)
        part = amounts.part_below(share.tariff.max_cost, before, after)
        if part is None:
            return length, energy
        self.capped = True
        return int(length * part), int(energy * part)

    def _period(self, tariff_id: str) -> None:
        if len(self.periods) < MAX_PERIODS:
            self.periods.append(Period(tariff_id, self.at))

    def _use(self, tariff: Tariff, time: int) -> None:
        """This tariff from now on. One that was used before in this transaction is taken up again."""
        self.shares.append(Share(tariff))
        _open(self.shares[-1])
        self.used = (-2, -2, -2)  # a new tariff is a new period
        self.capped = amounts.reached(tariff.max_cost, amounts.total(self.shares, self.reserved_ms))


def begin(
    tariff: Tariff,
    first: Mark,
    *,
    zone: str = "",
    evse_kind: str = "AC",
    payment: tuple[str, str] = ("", ""),
    reserved_ms: int | None = None,
) -> Costing:
    """The state when a tariff is first used, at the reading `first`. Fixed fees and a reservation's are due at once."""
    wh = UNREAD if first.wh is None else first.wh
    share = Share(tariff)
    _open(share)
    new = Costing(
        start=first.time,
        zone=zone,
        evse_kind=evse_kind,
        payment=payment,
        reserved_ms=reserved_ms,
        shares=[share],
        at=first.time,
        wh=wh,
        first_wh=wh,
        charging=first.charging,
        power=first.power,
        current=first.current,
    )
    now = Situation(at=first.time, place=clock.zone(zone), evse_kind=evse_kind, payment=payment)
    wall = conditions.wall(first.time, now.place)
    share.fixed = _choose_fixed(tariff.fixed_fee, now, wall)
    if reserved_ms is not None:
        share.reservation_fixed = _choose_fixed(tariff.reservation_fixed, now, wall)
        share.reservation_time = _choose_one(tariff.reservation_time, now, wall)
    new.capped = amounts.reached(tariff.max_cost, amounts.total(new.shares, reserved_ms))
    return new


def _open(share: Share) -> None:
    tariff = share.tariff
    share.energy = [0] * (len(tariff.energy.prices) if tariff.energy is not None else 0)
    share.charging = [0] * (len(tariff.charging_time.prices) if tariff.charging_time is not None else 0)
    share.idle = [0] * (len(tariff.idle_time.prices) if tariff.idle_time is not None else 0)


def _price(share: Share, used: tuple[int, int, int], length: int, energy: int, charging: bool) -> None:
    if used[0] >= 0:
        share.energy[used[0]] += energy
    if charging and used[1] >= 0:
        share.charging[used[1]] += length
    if not charging and used[2] >= 0:
        share.idle[used[2]] += length


def _measure(period: Period, limits: Bounds, now: Situation) -> None:
    if limits.power and now.power is not None:
        low, high = period.min_power, period.max_power
        period.min_power = now.power if low is None or now.power < low else low
        period.max_power = now.power if high is None or now.power > high else high
    if limits.current and now.current is not None:
        low, high = period.min_current, period.max_current
        period.min_current = now.current if low is None or now.current < low else low
        period.max_current = now.current if high is None or now.current > high else high


def _next(edges: tuple[int, ...], value: int, at: int, end: int) -> int:
    """When a length that is `value` at `at` reaches its next edge, `end` at the latest."""
    for edge in edges:
        if edge > value:
            return min(end, at + edge - value)
    return end


def _choose(tariff: Tariff, now: Situation) -> tuple[int, int, int]:
    """The "used element list": of each list the first price whose conditions hold (I12.FR.34), -1 where none does."""
    wall = conditions.wall(now.at, now.place)
    return (
        _choose_one(tariff.energy, now, wall),
        _choose_one(tariff.charging_time, now, wall),
        _choose_one(tariff.idle_time, now, wall),
    )


def _choose_one(given: Energy | Time | None, now: Situation, wall: datetime) -> int:
    if given is not None:
        for place, price in enumerate(given.prices):
            if price.conditions is None or conditions.holds(price.conditions, now, wall):
                return place
    return -1


def _choose_fixed(given: Fixed | None, now: Situation, wall: datetime) -> int:
    if given is not None:
        for place, price in enumerate(given.prices):
            if price.conditions is None or conditions.holds_fixed(price.conditions, now, wall):
                return place
    return -1


_known: dict[int, tuple[Tariff, Bounds]] = {}
_KNOWN = 1024


def _bounds(tariff: Tariff) -> Bounds:
    """Worked out once per tariff that is in memory."""
    found = _known.get(id(tariff))
    if found is not None and found[0] is tariff:
        return found[1]
    if len(_known) >= _KNOWN:
        _known.clear()
    limits = conditions.bounds(tariff)
    _known[id(tariff)] = (tariff, limits)
    return limits
