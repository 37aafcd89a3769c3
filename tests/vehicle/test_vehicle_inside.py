"""The inside of a vehicle behind a link: what it tells, what it does, and that its battery takes what flows."""

from __future__ import annotations

from typing import Any

import msgspec

from pilotwire.core.ev_link import Contacts, ContactsAsked, Drive, Flowing, Halt, Offered, Parted
from pilotwire.core.evse_link import Offer
from pilotwire.core.time import SimScheduler
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import CATALOGUE
from pilotwire.vehicle.inside import Habits, Inside

KIND = CATALOGUE["compact three-phase 11 kW"]


class World:
    def __init__(self, vehicle: Vehicle | None = None, *, dc: bool = True, **habits: Any) -> None:
        self.scheduler = SimScheduler()
        self.told: list[Any] = []
        self.vehicle = vehicle or Vehicle(KIND, 500)
        self.inside = Inside(self.vehicle, self.scheduler, self.told.append, dc=dc, habits=Habits(**habits))
        self.inside.begin()

    def drive(self) -> Drive:
        return [one for one in self.told if type(one) is Drive][-1]


def test_it_wants_what_its_battery_takes_within_what_is_offered() -> None:
    world = World()
    free = world.drive()
    assert free.soc == 500 and free.target_ma > 100_000 and free.energy_wh == 29_000
    world.inside.event(Offered(offer=Offer(max_mv=500_000, max_ma=60_000, max_mw=100_000_000)))
    assert world.drive().target_ma == 60_000
    world.inside.event(Offered(offer=Offer(max_mv=500_000, max_ma=60_000, max_mw=10_000_000)))
    assert world.drive().target_ma == 10_000_000_000 // world.drive().target_mv


def test_what_flows_is_in_the_battery() -> None:
    world = World()
    world.inside.event(Flowing(mv=400_000, ma=100_000))
    world.scheduler.run_for(360_000)
    assert world.vehicle.taken_uj == 4_000 * 3_600_000_000
    assert world.drive().soc == world.vehicle.soc > 500
    assert world.drive().remaining_ms is not None


def test_energy_that_somebody_else_counts_is_not_counted_twice() -> None:
    world = World()
    settled: list[int] = []
    world.inside._settle = lambda: settled.append(1)
    world.inside.event(Flowing(mv=400_000, ma=100_000))
    world.scheduler.run_for(60_000)
    assert world.vehicle.taken_uj == 0 and len(settled) >= 60


def test_contactors_follow_and_a_full_battery_halts_once() -> None:
    world = World(Vehicle(KIND, 500, max_taken_wh=100))
    world.inside.event(ContactsAsked(True))
    world.scheduler.run_for(100)
    assert world.told[-1] == Contacts(True)
    world.inside.event(Flowing(mv=400_000, ma=100_000))
    world.scheduler.run_for(20_000)
    assert not world.drive().ready and world.drive().target_ma == 0
    world.inside.event(Flowing())
    world.scheduler.run_for(5_000)
    assert [one for one in world.told if type(one) is Halt] == [Halt("the battery has what it wants")]


def test_it_gives_back_down_to_its_reserve() -> None:
    kind = msgspec.structs.replace(KIND, dc_discharge_w=10_000)
    world = World(Vehicle(kind, 210, reserve_soc=200), discharge_ma=20_000)
    assert world.drive().target_ma == -20_000 and world.drive().max_discharge_mw == kind.dc_discharge_w * 1000
    world.inside.event(Flowing(mv=400_000, ma=-20_000))
    world.scheduler.run_for(3_600_000)
    assert world.vehicle.soc <= 200 and world.vehicle.given_uj > 0 and world.drive().target_ma >= 0


def test_parted_it_is_open_and_silent() -> None:
    world = World()
    world.inside.event(ContactsAsked(True))
    world.scheduler.run_for(100)
    world.inside.event(Parted(reason="done", by="ev"))
    before = len(world.told)
    world.scheduler.run_for(60_000)
    assert not world.inside.closed and len(world.told) == before
