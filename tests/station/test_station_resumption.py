"""E17 (2.1): a transaction survives an interruption that was short enough."""

from __future__ import annotations

from typing import Any

import pytest

RESUME = {"resumption_timeout": "600", "resume_energy": "true", "sample_interval": "0"}


def begin(make_world: Any, **settings: str) -> Any:
    world = make_world("2.1", settings={**RESUME, **settings})
    world.station.power_on()
    world.run(5)
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(120)
    return world


def interrupt(world: Any, seconds: float) -> None:
    world.station.power_off()
    world.run(seconds)
    world.station.power_on()
    world.run(10)


def heard(world: Any) -> list[tuple[str, str, str | None, str | None]]:
    """(eventType, triggerReason, chargingState, stoppedReason) of every event."""
    return [
        (e.event_type, e.trigger_reason, e.transaction_info.charging_state, e.transaction_info.stopped_reason)
        for e in world.csms.heard("TransactionEvent")
    ]


def test_a_short_interruption_is_survived_in_the_same_state(make_world):
    """E17.FR.10, .11, .14: one transaction, numbered on, the energy of both parts in it."""
    world = begin(make_world)
    before = len(heard(world))
    interrupt(world, 590)
    assert heard(world)[before:] == [("Updated", "TxResumed", "Charging", None)]
    resumed = world.csms.heard("TransactionEvent")[-1]
    assert resumed.evse.id == 1 and resumed.number_of_phases_used in (None, 3)
    assert world.station.evses[0].meter.power_mw > 0
    world.run(600)
    world.station.tap(1, "AA11")
    world.run(5)
    events = world.csms.heard("TransactionEvent")
    assert len({e.transaction_info.transaction_id for e in events}) == 1
    assert [e.seq_no for e in events] == list(range(len(events)))
    [truth] = world.station.truth
    assert truth.reason == "Local" and truth.energy_wh == world.station.evses[0].car.taken_uj // 3_600_000_000


def test_another_process_takes_the_transaction_up(make_world):
    """E17.FR.01: what is needed is in the memory that survives."""
    world = begin(make_world)
    world.station.power_off()
    car = world.station.evses[0].car
    world.station = world.build()
    world.station.evses[0].car = car
    world.station.power_on()
    world.run(10)
    assert heard(world)[-1] == ("Updated", "TxResumed", "Charging", None)
    assert len(world.station.truth) == 1


@pytest.mark.parametrize(("timeout", "away", "goes_on"), [("600", 599, True), ("600", 601, False), ("0", 1, False)])
def test_the_interruption_counts_from_its_first_moment(make_world, timeout, away, goes_on):
    """E17.FR.02, .10, .20, .21."""
    world = begin(make_world, resumption_timeout=timeout)
    interrupt(world, away)
    if goes_on:
        assert heard(world)[-1][1] == "TxResumed"
    else:
        assert heard(world)[-1] == ("Ended", "AbnormalCondition", "EVConnected", "PowerLoss")
        assert world.station.evses[0].session is None


def test_a_restart_by_the_station_itself_is_named_so(make_world):
    """E17.FR.22."""
    world = begin(make_world, resumption_timeout="5")
    world.station.reboot("Watchdog")
    world.run(60)
    assert heard(world)[-1] == ("Ended", "AbnormalCondition", "EVConnected", "Reboot")


@pytest.mark.parametrize("state", ["Charging", "SuspendedEV"])
def test_energy_may_be_kept_from_flowing_again(make_world, state):
    """E17.FR.12, .13: the transaction goes on without energy until its driver ends it."""
    world = begin(make_world, resume_energy="false")
    if state == "SuspendedEV":
        world.station.evses[0].car.paused = True
        world.station.touch(1)
        world.run(5)
        assert heard(world)[-1] == ("Updated", "ChargingStateChanged", "SuspendedEV", None)
    interrupt(world, 60)
    assert heard(world)[-1] == ("Updated", "TxResumed", "SuspendedEVSE", None)
    world.run(600)
    assert world.station.evses[0].meter.power_mw == 0
    world.station.tap(1, "AA11")
    world.run(5)
    assert heard(world)[-1] == ("Ended", "StopAuthorized", "EVConnected", "Local")


@pytest.mark.parametrize("allowed", ["true", "false"])
def test_a_transaction_that_nobody_was_let_in_for_waits_on(make_world, allowed):
    """E17.FR.11, .13: EVConnected before, EVConnected after, and a card still begins the energy."""
    world = make_world("2.1", settings={**RESUME, "resume_energy": allowed, "start_point": "EVConnected"})
    world.station.power_on()
    world.run(5)
    world.station.plug(1, world.car())
    world.run(5)
    interrupt(world, 60)
    assert heard(world) == [
        ("Started", "CablePluggedIn", "EVConnected", None),
        ("Updated", "TxResumed", "EVConnected", None),
    ]
    world.station.tap(1, "AA11")
    world.run(5)
    assert [row[1] for row in heard(world)[2:]] == ["Authorized", "ChargingStateChanged"]


def test_not_all_begin_at_the_same_moment(make_world):
    """E17.FR.18."""
    waits = set()
    for seed in (1, 2, 3):
        world = make_world("2.1", seed=seed, settings={**RESUME, "resume_random": "300"})
        world.station.power_on()
        world.run(5)
        world.station.plug(1, world.car())
        world.station.tap(1, "AA11")
        world.run(60)
        world.station.power_off()
        world.run(30)
        on = world.scheduler.now()
        world.station.power_on()
        world.run(400)
        resumed, charging = world.csms.heard("TransactionEvent")[-2:]
        assert resumed.trigger_reason == "TxResumed"
        assert resumed.transaction_info.charging_state == "SuspendedEVSE"
        assert charging.trigger_reason == "ChargingStateChanged"
        assert charging.transaction_info.charging_state == "Charging"
        waits.add(round(charging.timestamp.timestamp() * 1000) - on)
    assert len(waits) == 3 and all(0 <= wait <= 300_000 for wait in waits) and max(waits) > 1000


@pytest.mark.parametrize(
    ("settings", "last"),
    [
        ({}, ("Ended", "EVCommunicationLost", "Idle", "EVDisconnected")),
        ({"stop_point": "EVConnected"}, ("Ended", "EVCommunicationLost", "Idle", "EVDisconnected")),
        ({"stop_point": "Authorized", "stop_on_disconnect": "false"}, ("Updated", "TxResumed", "Idle", None)),
        ({"stop_point": "ParkingBayOccupancy"}, ("Updated", "TxResumed", "Idle", None)),
    ],
)
def test_the_cable_was_pulled_meanwhile(make_world, settings, last):
    """E17.FR.16, .17."""
    world = begin(make_world, **settings)
    world.station.power_off()
    world.station.unplug(1)
    world.station.power_on()
    world.run(10)
    assert heard(world)[-1] == last
    assert world.station.evses[0].meter.power_mw == 0


def test_the_car_has_left_the_bay_meanwhile(make_world):
    """E17.FR.17."""
    world = begin(make_world, stop_point="ParkingBayOccupancy")
    world.station.power_off()
    world.station.leave(1)
    world.station.power_on()
    world.run(10)
    assert heard(world)[-1] == ("Ended", "EVDeparted", "Idle", "EVDisconnected")


def test_20_1_ends_it(make_world):
    world = make_world("2.0.1", settings=RESUME)
    world.station.power_on()
    world.run(5)
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(60)
    interrupt(world, 10)
    assert heard(world)[-1][1] == "AbnormalCondition"
