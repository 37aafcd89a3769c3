"""The simulated power side of an EVSE: answers in time, ramps, and is off when the link says so."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from pilotwire.core.evse_link import (
    Contactor,
    ContactorAsked,
    Ended,
    Fault,
    Isolation,
    IsolationAsked,
    LockAsked,
    Locked,
    Measured,
    Offer,
    Requested,
)
from pilotwire.core.time import SimScheduler
from pilotwire.station.outlet import Flow, Hardware, Outlet

OFFER = Offer(max_mv=500_000, max_ma=200_000, max_mw=50_000_000, min_mv=150_000)


class World:
    def __init__(self, hardware: Hardware | None = None, **options: Any) -> None:
        self.scheduler = SimScheduler()
        self.told: list[Any] = []
        self.outlet = Outlet(self.scheduler, self.told.append, hardware or Hardware(), **options)
        self.outlet.offering(OFFER)

    def charging(self) -> World:
        for event in (LockAsked(True), Requested(mv=400_000, phase="precharge"), ContactorAsked(True)):
            self.outlet.event(event)
        self.scheduler.run_for(1_000)
        self.outlet.event(Requested(mv=400_000, ma=100_000))
        self.scheduler.run_for(6_000)
        return self

    def measured(self) -> Measured:
        return [one for one in self.told if type(one) is Measured][-1]


def test_isolation_lock_and_contactor_answer_after_their_time() -> None:
    world = World()
    for event in (IsolationAsked(), LockAsked(True), ContactorAsked(True)):
        world.outlet.event(event)
    world.scheduler.run_for(79)
    assert Contactor(True) not in world.told
    world.scheduler.run_for(1)
    assert Contactor(True) in world.told
    world.scheduler.run_for(220)
    assert Locked(True) in world.told and Isolation("valid") not in world.told
    world.scheduler.run_for(1_200)
    assert Isolation("valid") in world.told


def test_precharge_lifts_the_voltage_and_lets_nothing_flow() -> None:
    world = World()
    world.outlet.event(ContactorAsked(True))
    world.outlet.event(Requested(mv=400_000, ma=2_000, phase="precharge"))
    world.scheduler.run_for(400)
    assert 0 < world.measured().mv < 400_000
    world.scheduler.run_for(1_000)
    assert world.measured() == Measured(mv=400_000, ma=0, mw=0)


def test_current_rises_by_its_ramp_and_falls_at_once() -> None:
    world = World().charging()
    assert world.measured().ma == 100_000
    seen = [one.ma for one in world.told if type(one) is Measured]
    assert all(later - earlier <= 2_000 for earlier, later in pairwise(seen))
    world.outlet.event(Requested(mv=400_000, ma=10_000))
    assert world.measured().ma == 10_000


def test_the_offer_caps_current_and_power() -> None:
    world = World().charging()
    world.outlet.offering(Offer(max_mv=500_000, max_ma=200_000, max_mw=20_000_000))
    assert world.measured().ma == 50_000
    world.outlet.offering(Offer(max_mv=500_000, max_ma=30_000, max_mw=20_000_000))
    assert world.measured().ma == 30_000


@pytest.mark.parametrize(
    "event", [Ended(reason="gone", by="ev"), Fault(code="PowerLoss", by="ev"), ContactorAsked(False)]
)
def test_what_ends_the_conversation_ends_the_flow_at_once(event: Any) -> None:
    world = World().charging()
    world.outlet.event(event)
    assert world.measured().ma == 0
    world.scheduler.run_for(2_000)
    assert not world.outlet.closed and world.measured().mv == 0


def test_the_register_counts_what_flowed() -> None:
    world = World().charging()
    before = world.outlet.register_wh
    world.scheduler.run_for(3_600_000)
    assert world.outlet.register_wh - before == 40_000


def test_an_ac_outlet_gives_only_with_its_contactor_closed_and_what_the_car_draws() -> None:
    world = World(Hardware(dc=False), flow=lambda mv, ma: Flow(mv, min(ma, 16_000), mv * min(ma, 16_000) * 3 // 1000))
    world.outlet.offering(Offer(max_ma=32_000, phases=3))
    world.outlet.event(Requested(ma=32_000))
    assert not world.outlet.flowing.mw
    world.outlet.event(ContactorAsked(True))
    world.scheduler.run_for(100)
    assert world.measured() == Measured(mv=230_000, ma=16_000, mw=11_040_000)


def test_a_lock_and_a_contactor_that_do_not_move_say_so() -> None:
    world = World(Hardware(lock_fails=True, contactor_fails=True))
    world.outlet.event(LockAsked(True))
    world.outlet.event(ContactorAsked(True))
    world.scheduler.run_for(1_000)
    assert Locked(False) in world.told and Contactor(False) in world.told


def test_stopped_it_says_nothing_more() -> None:
    world = World()
    world.outlet.event(IsolationAsked())
    world.outlet.stop()
    before = list(world.told)
    world.scheduler.run_for(60_000)
    assert world.told == before
