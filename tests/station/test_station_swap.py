"""A battery swap station: slots, sets, timeouts, and the charging of what was brought (2.1 S)."""

from __future__ import annotations

import pytest

from pilotwire.core.errors import LocalError
from pilotwire.station.config import EvseConfig
from pilotwire.station.settings import BY_NAME
from pilotwire.vehicle.cartridge import Cartridge

SLOT = EvseConfig(dc=True, connector_type="bBatterySlot", fixed_cable=True, max_w=1_500, max_ma=40_000)


def ready(make_world, *, size=1, socs=(900, 850, None, None), **more):
    world = make_world("2.1", evses=(SLOT,) * len(socs), swap_set=size, **more)
    for slot, soc in enumerate(socs, 1):
        if soc is not None:
            world.station.plug(slot, Cartridge(f"B-{slot}", soc, soh=987))
    world.station.power_on()
    world.run(5)
    return world


def request(world, id_=7, token="AA11"):
    m = world.csms.messages
    world.csms.command(
        "RequestBatterySwap",
        m.RequestBatterySwapRequest(request_id=id_, id_token=m.IdTokenType(id_token=token, type="ISO14443")),
    )
    world.run(1)
    return world.csms.answers[-1][1]


def swaps(world):
    return [
        (s.event_type, s.request_id, s.id_token.id_token, [row.evse_id for row in s.battery_data])
        for s in world.csms.heard("BatterySwap")
    ]


def events(world, evse, kind=None):
    keys = {
        e.transaction_info.transaction_id
        for e in world.csms.heard("TransactionEvent")
        if e.evse is not None and e.evse.id == evse
    }
    return [
        e
        for e in world.csms.heard("TransactionEvent")
        if e.transaction_info.transaction_id in keys and kind in (None, e.event_type)
    ]


def states(world, evse):
    return [
        row.actual_value
        for told in world.csms.heard("NotifyEvent")
        for row in told.event_data
        if row.component.name == "Connector" and row.component.evse.id == evse
    ]


@pytest.mark.requirement(
    "2.1", "S01.FR.01", "S03.FR.01", "S03.FR.02", "S03.FR.03", "S03.FR.04", "S04.FR.07", side="station"
)
def test_a_driver_swaps_one_for_one(make_world):
    world = ready(make_world)
    world.station.swap.present("AA11")
    world.run(1)
    assert world.csms.heard("Authorize")[0].id_token.id_token == "AA11"
    world.station.swap.insert({3: Cartridge("OLD", 120, soh=900)})
    world.run(1)
    assert world.station.swap.offered == (1,), "the fullest of those that are ready"
    taken = world.station.swap.take()
    world.run(2)
    assert [battery.serial for battery in taken.values()] == ["B-1"]
    (inserted, _, token, slots), (out, _, _, emptied) = swaps(world)
    assert (inserted, out, token, slots, emptied) == ("BatteryIn", "BatteryOut", "AA11", [3], [1])
    assert swaps(world)[0][1] == swaps(world)[1][1]
    row = world.csms.heard("BatterySwap")[0].battery_data[0]
    assert (row.serial_number, row.soc, row.soh) == ("OLD", 12, 90)
    assert states(world, 3)[-1] == "Occupied"
    assert states(world, 1)[-1] == "Available"
    assert world.csms.heard("StatusNotification") == []
    ended = events(world, 1, "Ended")[-1]
    assert (ended.trigger_reason, ended.transaction_info.stopped_reason, ended.transaction_info.charging_state) == (
        "EVCommunicationLost", "EVDisconnected", "Idle",
    )  # fmt: skip
    assert world.station.swap.swap is None


@pytest.mark.requirement("2.1", "S04.FR.01", "S04.FR.03", "S04.FR.04", "S04.FR.05", "S04.FR.06", side="station")
def test_the_brought_battery_is_charged_until_it_is_full_and_can_be_handed_out_before(make_world):
    world = ready(make_world, settings={"sample_interval": "600"})
    request(world)
    world.station.swap.insert({3: Cartridge("OLD", 500)})
    world.station.swap.take()
    world.run(5)
    started = events(world, 3, "Started")[-1]
    assert (started.trigger_reason, started.transaction_info.charging_state) == ("CablePluggedIn", "Charging")
    assert (started.id_token.id_token, started.id_token.type) == ("", "NoAuthorization")
    assert [evse.id for evse in world.station.swap.eligible()] == [2]
    world.run(3600)
    assert 3 in [evse.id for evse in world.station.swap.eligible()]
    suspended = [e for e in events(world, 3) if e.trigger_reason == "EnergyLimitReached"]
    assert [e.transaction_info.charging_state for e in suspended] == ["SuspendedEVSE"]
    assert world.station.evses[2].car.soc == 950
    assert world.station.evses[2].session is not None
    told = [row.measurand for e in events(world, 3) for v in e.meter_value or () for row in v.sampled_value]
    assert "SoC" in told


@pytest.mark.requirement("2.1", "S04.FR.02", "S04.FR.08", "S04.FR.09", "S04.FR.11", side="station")
def test_charging_runs_under_the_token_that_is_set(make_world):
    world = ready(make_world, settings={"swap_token": "SWAPSTATION"})
    started = events(world, 1, "Started")[0]
    assert (started.id_token.id_token, started.id_token.type) == ("SWAPSTATION", "Central")
    assert world.station.settings.text("start_point") == "EVConnected"
    world.station.power_off()
    world.station.power_on()
    world.run(30)
    assert len(events(world, 1, "Started")) == 2, "S04.FR.11"


@pytest.mark.requirement("2.1", "S02.FR.01", "S02.FR.02", side="station")
def test_the_csms_asks_for_a_swap_and_its_id_comes_back(make_world):
    world = ready(make_world)
    assert request(world, 42).status == "Accepted"
    assert request(world, 42).status == "Accepted", "the same once more"
    busy = request(world, 43)
    assert (busy.status, busy.status_info.reason_code) == ("Rejected", "InvalidMessageSeq")
    world.station.swap.insert({4: Cartridge("OLD", 100)})
    world.run(1)
    assert swaps(world) == [("BatteryIn", 42, "AA11", [4])]


@pytest.mark.requirement("2.1", "S02.FR.04", "S03.FR.05", side="station")
@pytest.mark.parametrize(("socs", "size"), [((790, 100, None), 1), ((900, None, None), 2), ((900, 900), 1)])
def test_without_enough_batteries_or_slots_nothing_begins(make_world, socs, size):
    world = ready(make_world, socs=socs, size=size)
    refused = request(world)
    assert (refused.status, refused.status_info.reason_code) == ("Rejected", "NoBatteryAvailable")
    world.station.swap.present("AA11")
    world.run(1)
    assert world.csms.heard("Authorize") == []
    assert world.station.swap.swap is None


def test_a_station_of_cables_swaps_nothing(make_world):
    world = make_world("2.1")
    world.station.power_on()
    world.run(5)
    assert request(world).status_info.reason_code == "UnsupportedRequest"


@pytest.mark.requirement("2.1", "S01.FR.02", "S02.FR.05", side="station")
def test_nobody_brings_a_battery(make_world):
    world = ready(make_world)
    request(world)
    world.run(130)
    assert world.station.swap.swap is None
    with pytest.raises(LocalError):
        world.station.swap.insert({3: Cartridge("OLD", 100)})
    assert swaps(world) == []


@pytest.mark.requirement("2.1", "S03.FR.06", side="station")
def test_what_is_offered_and_not_taken_is_reported_and_locked_again(make_world):
    world = ready(make_world)
    request(world, 5)
    world.station.swap.insert({3: Cartridge("OLD", 100)})
    world.run(130)
    assert swaps(world) == [("BatteryIn", 5, "AA11", [3]), ("BatteryOutTimeout", 5, "AA11", [1])]
    with pytest.raises(LocalError):
        world.station.swap.take()
    assert world.station.evses[0].car is not None


def test_a_set_is_two_and_goes_together(make_world):
    world = ready(make_world, size=2, socs=(900, 850, 990, None, None))
    request(world)
    with pytest.raises(LocalError):
        world.station.swap.insert({4: Cartridge("X", 100)})
    with pytest.raises(LocalError):
        world.station.swap.insert({1: Cartridge("X", 100), 4: Cartridge("Y", 100)})
    world.station.swap.insert({4: Cartridge("X", 100), 5: Cartridge("Y", 100)})
    assert sorted(world.station.swap.take()) == [1, 3]
    world.run(2)
    assert [rows for _, _, _, rows in swaps(world)] == [[4, 5], [3, 1]]


def test_a_swap_over_a_loss_of_power_and_of_the_connection(make_world):
    world = ready(make_world)
    request(world, 9)
    world.offline()
    world.station.swap.insert({3: Cartridge("OLD", 100)})
    world.station.power_off()
    world.run(10)
    world.station.power_on()
    assert world.station.swap.offered == (1,)
    world.station.swap.take()
    world.online()
    world.run(120)
    assert swaps(world) == [("BatteryIn", 9, "AA11", [3]), ("BatteryOut", 9, "AA11", [1])]


@pytest.mark.requirement("2.1", "S04.FR.10", side="station")
def test_the_most_is_not_below_the_target(make_world):
    world = ready(make_world)
    settings = world.station.settings
    assert settings.change(BY_NAME["swap_max"], "79") == "Rejected"
    assert settings.change(BY_NAME["swap_target"], "96") == "Rejected"
    assert settings.change(BY_NAME["swap_target"], "95") == "Accepted"
