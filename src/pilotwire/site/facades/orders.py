"""What energy managers outside have asked for over Modbus, each order until it expires; the control loop reads it.

An order never goes to a charger: it is one limit among others, and the lowest counts. Each register set that can be
written is a channel; within one the last order stands, as it does in a register, among channels the lowest counts.

    limits = ExternalLimits(fought=print)
    limits.put(Order(channel="own", client="10.0.0.7", node="grid", power_mw=9_000_000, until_ms=now + 60_000), now)
    limits.at(now).limits["grid"]       # (Limit(source="modbus 10.0.0.7", power_mw=9_000_000),)

Two clients that take a register from each other, back and forth, or that order different things of the same place by
different registers, are told as a `Fight`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, Protocol

import msgspec

from pilotwire.domain.energy import Limit
from pilotwire.domain.energy.model import Phases
from pilotwire.domain.steering import Entered, Mode

__all__ = ["EvseOrder", "External", "ExternalLimits", "Fight", "Order", "each"]

FIGHT_WINDOW_MS = 120_000
"""A register that goes to and fro within this time is fought over."""
_SAID_AGAIN_MS = 600_000
_FIGHTS_KEPT = 100
_MODES: tuple[Mode, ...] = ("off", "pv", "min_pv", "now")


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One order for a node of the tree or for an EVSE, exactly one of the two. None: nothing is said of it."""

    channel: str
    """Which registers it was written to."""
    client: str
    via: str = "modbus"
    """By which way it came."""
    node: str = ""
    evse: str = ""
    phases_ma: Phases | None = None
    power_mw: int | None = None
    enable: bool | None = None
    priority: int | None = None
    phases: Literal[1, 3] | None = None
    """Conductors that the EVSE is to use."""
    mode: Mode | None = None
    """By which it is to charge."""
    entered: Entered | None = None
    """What is said of the car that is there, and by nobody contradicted: the last word counts."""
    session: str = ""
    """Of that car, where it has one."""
    until_ms: int | None = None
    """Of the steady clock: it is in force before that. None: until it is replaced."""
    after_ma: Phases | None = None
    """What is allowed once it has expired, until the next order; None: it is gone then."""
    after_mw: int | None = None

    @property
    def place(self) -> str:
        return f"evse {self.evse}" if self.evse else f"node {self.node}"

    @property
    def asks(self) -> tuple[object, ...]:
        """What it is about, without who and how long."""
        return self.phases_ma, self.power_mw, self.enable, self.phases


def each(ma: int) -> Phases:
    """The same on each phase."""
    return ma, ma, ma


class EvseOrder(msgspec.Struct, frozen=True, kw_only=True):
    """All that is ordered of one EVSE at one moment. `maximum_ma` is per phase; `enable` False: it is to pause."""

    maximum_ma: int | None = None
    maximum_mw: int | None = None
    enable: bool = True
    priority: int | None = None
    phases: Literal[1, 3] | None = None
    mode: Mode | None = None
    """Of several the one that gives least."""
    entered: Entered | None = None
    source: str = ""
    """Whose the maximum is."""


class External(msgspec.Struct, frozen=True):
    """A moment's orders, for the inputs of a tick: `limits` as `Signals.limits` wants them, `evses` by EVSE."""

    limits: Mapping[str, tuple[Limit, ...]] = msgspec.field(default_factory=dict[str, tuple[Limit, ...]])
    evses: Mapping[str, EvseOrder] = msgspec.field(default_factory=dict[str, EvseOrder])


class Fight(msgspec.Struct, frozen=True, kw_only=True):
    """Two clients command the same place and do not agree."""

    at_ms: int
    place: str
    clients: tuple[str, str]
    """Sorted."""
    text: str


class _Channel(msgspec.Struct):
    order: Order
    since_ms: int
    before: Order | None = None
    """The last order of another client."""
    taken_ms: int = 0
    """When this client took it over."""


class Keeper(Protocol):
    """Keeps orders over a restart."""

    def put(self, order: Order) -> None: ...

    def drop(self, channel: str, place: str) -> None: ...


class ExternalLimits:
    """The orders in force. `fought` is told of each fight, and again every ten minutes while it goes on."""

    def __init__(self, fought: Callable[[Fight], None] | None = None, keeper: Keeper | None = None) -> None:
        self.fights: list[Fight] = []
        """The newest last."""
        self.keeper = keeper
        """Is told of each order before `put` returns."""
        self._fought = fought
        self._channels: dict[tuple[str, str], _Channel] = {}
        self._said: dict[tuple[str, tuple[str, str]], int] = {}

    def put(self, order: Order, now: int) -> None:
        """An order has come. Of its channel it replaces the one before."""
        key = (order.channel, order.place)
        old = self._channels.get(key)
        fresh = _Channel(order, now)
        if old is not None:
            if old.order.client != order.client:
                fresh.before, fresh.taken_ms = old.order, now
                handed_back = old.before is not None and old.before.client == order.client
                if handed_back and now - old.taken_ms <= FIGHT_WINDOW_MS and _differ(old.order, order):
                    self._fight(order, old.order, now, "take the same registers from each other")
            else:
                fresh.before, fresh.taken_ms = old.before, old.taken_ms
        for (channel, place), other in self._channels.items():
            rival = other.order
            elsewhere = place == order.place and channel != order.channel and rival.client != order.client
            # What a central system allows is a ceiling, and no command: who orders less does not contradict it.
            elsewhere = elsewhere and "ocpp" not in (order.via, rival.via)
            if elsewhere and _alive(rival, now) and _differ(rival, order):
                self._fight(order, rival, now, f"order different things by {rival.channel} and {order.channel}")
        self._channels[key] = fresh
        if self.keeper is not None:
            self.keeper.put(order)

    def restore(self, orders: Iterable[Order], now: int) -> None:
        """After a restart: what was ordered before, on the clock of this process."""
        for order in orders:
            self._channels[order.channel, order.place] = _Channel(order, now)

    def drop(self, channel: str, place: str) -> None:
        """Nothing is ordered by this channel any more."""
        if self._channels.pop((channel, place), None) is not None and self.keeper is not None:
            self.keeper.drop(channel, place)

    def order(self, channel: str, place: str) -> Order | None:
        """The last one of a channel, expired or not."""
        found = self._channels.get((channel, place))
        return found.order if found is not None else None

    def entered(self) -> list[Order]:
        """What people have entered for cars, expired or not."""
        return [each.order for each in self._channels.values() if each.order.entered is not None]

    def at(self, now: int) -> External:
        """What is in force at `now` of the steady clock. The order of what came does not matter."""
        limits: dict[str, list[Limit]] = {}
        evses: dict[str, EvseOrder] = {}
        for _, each in sorted(self._channels.items()):
            order = each.order
            alive = _alive(order, now)
            amps = order.phases_ma if alive else order.after_ma
            power = order.power_mw if alive else order.after_mw
            source = f"{order.via} {order.client}" + ("" if alive else ", expired")
            if order.node:
                if amps is not None or power is not None:
                    limits.setdefault(order.node, []).append(Limit(source=source, phases_ma=amps, power_mw=power))
                continue
            if not alive and amps is None and power is None:
                continue
            evses[order.evse] = _merged(evses.get(order.evse, EvseOrder()), order, amps, power, alive, source)
        return External({node: tuple(found) for node, found in limits.items()}, evses)

    def _fight(self, one: Order, other: Order, now: int, how: str) -> None:
        clients = (min(one.client, other.client), max(one.client, other.client))
        said = self._said.get((one.place, clients))
        if said is not None and now - said < _SAID_AGAIN_MS:
            return
        self._said[one.place, clients] = now
        text = f"{clients[0]} and {clients[1]} {how} ({one.place})"
        fight = Fight(at_ms=now, place=one.place, clients=clients, text=text)
        self.fights = [*self.fights[-_FIGHTS_KEPT + 1 :], fight]
        if self._fought is not None:
            self._fought(fight)


def _alive(order: Order, now: int) -> bool:
    return order.until_ms is None or now < order.until_ms


def _differ(one: Order, other: Order) -> bool:
    """A mode contradicts another mode, and no figure; what is said of a car contradicts nothing."""
    if one.entered is not None or other.entered is not None:
        return False
    if one.mode is None and other.mode is None:
        return one.asks != other.asks
    return None not in (one.mode, other.mode) and one.mode != other.mode


def _merged(
    had: EvseOrder, order: Order, amps: Phases | None, power: int | None, alive: bool, source: str
) -> EvseOrder:
    ma = min(amps) if amps is not None else None
    lower = (ma is not None and (had.maximum_ma is None or ma < had.maximum_ma)) or (
        power is not None and (had.maximum_mw is None or power < had.maximum_mw)
    )
    priorities = [each for each in (had.priority, order.priority if alive else None) if each is not None]
    return EvseOrder(
        maximum_ma=_least(had.maximum_ma, ma),
        maximum_mw=_least(had.maximum_mw, power),
        enable=had.enable and not (alive and order.enable is False),
        priority=max(priorities) if priorities else None,
        phases=1 if 1 in (had.phases, order.phases) else had.phases or order.phases,
        mode=next((each for each in _MODES if each in (had.mode, order.mode)), None),
        entered=_together(had.entered, order.entered),
        source=source if lower or not had.source else had.source,
    )


def _together(one: Entered | None, other: Entered | None) -> Entered | None:
    """A departure and an energy; of each there is one at most."""
    if one is None or other is None:
        return one or other
    departure = one.departure_ms if other.departure_ms is None else other.departure_ms
    return msgspec.structs.replace(other if one.energy_wh is None else one, departure_ms=departure)


def _least(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)
