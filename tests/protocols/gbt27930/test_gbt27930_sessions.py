"""Whole sessions of GB/T 27930, both ends ours, in simulated time."""

from __future__ import annotations

import msgspec
import pytest
from tests.protocols.gbt27930.gbt_world import DRIVE, OFFER, VIN, World

from pilotwire.core.ev_link import Allowed, Flowing, Linked, Offered
from pilotwire.core.evse_link import (
    Authorize,
    Connected,
    Fault,
    Identified,
    Limits,
    LockAsked,
    Needs,
    Pause,
    Requested,
    Resume,
    Stop,
)
from pilotwire.protocols.gbt27930 import EvConfig, EvseConfig


def test_a_session_of_2015_from_plug_to_plug():
    world = World()
    world.charge()
    world.halt()
    world.until(lambda: world.ended and world.parted)
    assert world.order() == [
        "CHM", "BHM", "CRM", "BRM", "BCP", "CTS", "CML", "BRO", "CRO", "BCL", "BSM", "BCS", "CCS",
        "BST", "CST", "BSD", "CSD",
    ]  # fmt: skip
    assert world.of(Connected) == [Connected(protocol="gbt27930-2015")]
    assert world.of(Identified) == [Identified(vin=VIN)]
    assert world.of(Limits) == [
        Limits(service="DC", max_mv=450_000),
        Limits(service="DC", max_mv=450_000, max_ma=200_000, capacity_wh=60_000),
    ]
    assert world.of(Needs) == [Needs(soc=500), Needs(soc=500, remaining_ms=1_800_000), Needs(soc=500)]
    asked = world.of(Requested)
    assert asked[0] == Requested(mv=380_000, phase="precharge")
    assert asked[1] == Requested(mv=400_000, ma=100_000)
    assert asked[2] == Requested()
    assert world.of(Linked, "ev") == [Linked(protocol="gbt27930-2015", service="DC")]
    assert world.of(Allowed, "ev") and Flowing(mv=400_000, ma=100_000) in world.of(Flowing, "ev")
    offered = world.of(Offered, "ev")[0].offer
    assert (offered.max_mv, offered.min_mv, offered.max_ma, offered.min_ma) == (750_000, 200_000, 250_000, 0)
    assert world.ended is not None and world.ended.ok and world.ended.by == "ev"
    assert world.ended.reason == "the vehicle has stopped (BST)"
    assert world.parted is not None and world.parted.ok and world.parted.reason == "the vehicle ends it"
    assert world.safe and not world.contacts and not world.supply
    assert world.charger.deadline is world.bms.deadline is None
    assert not world.of(Fault) + world.of(Fault, "ev")
    for end in (world.charger, world.bms):
        assert end.line.counts.malformed == end.line.counts.unknown == end.line.transport.counts.aborted == 0


def test_lengths_and_periods_of_2015():
    world = World()
    world.charge()
    world.run(5_000)
    world.halt()
    world.until(lambda: world.ended)
    spoken = world.spoken()
    lengths = {name: size for _, name, _, size in spoken}
    assert lengths == {
        "CHM": 3, "BHM": 2, "CRM": 8, "BRM": 49, "BCP": 13, "CTS": 7, "CML": 8, "BRO": 1, "CRO": 1, "BCL": 5,
        "BCS": 9, "CCS": 8, "BSM": 7, "BST": 4, "CST": 4, "BSD": 7, "CSD": 8,
    }  # fmt: skip
    for name, period in (("BCL", 50), ("CCS", 50), ("BSM", 250), ("BCS", 250)):
        at = [when for when, spoke, _, _ in spoken if spoke == name]
        turns = len(at) - 1
        assert turns > 20
        assert abs((at[-1] - at[0]) - turns * period) <= 16, f"{name} drifts"


def test_a_session_of_2011_has_its_own_lengths():
    world = World(EvseConfig(edition="2011", charger=7, region="310115"))
    world.charge()
    world.halt()
    world.until(lambda: world.ended and world.parted)
    assert world.of(Connected) == [Connected(protocol="gbt27930-2011")]
    assert world.of(Linked, "ev")[0].protocol == "gbt27930-2011"
    spoken = world.spoken("2011")
    lengths = {name: size for _, name, _, size in spoken}
    assert "CHM" not in lengths and "BHM" not in lengths
    assert (lengths["CRM"], lengths["BRM"], lengths["CML"], lengths["CCS"], lengths["CSD"]) == (8, 41, 6, 6, 5)
    crm = next(values for _, name, values, _ in spoken if name == "CRM")
    assert crm == {"recognised": 0, "charger": 7, "region": "310115"}
    assert world.ended is not None and world.ended.ok
    assert world.safe


def test_a_charger_of_2015_falls_back_for_a_vehicle_of_2011():
    world = World(ev=EvConfig(vin=VIN, edition="2011"))
    world.charge()
    assert world.of(Connected) == [Connected(protocol="gbt27930-2011")]
    world.evse.command(Stop("the driver has had enough"))
    world.until(lambda: world.ended and world.parted)
    lengths = {name: size for _, name, _, size in world.spoken("2011") if name in ("BRM", "CML", "CCS", "CSD")}
    assert lengths == {"BRM": 41, "CML": 6, "CCS": 6, "CSD": 5}
    assert world.ended is not None and (world.ended.ok, world.ended.by) == (True, "evse")
    assert world.parted is not None and world.parted.reason == "the charger has stopped (CST): stopped by hand"


def test_a_charger_that_speaks_2015_alone_ends_without_a_bhm():
    world = World(EvseConfig(edition="2015"), EvConfig(edition="2011"))
    world.plug()
    world.until(lambda: world.ended)
    assert world.ended is not None and not world.ended.ok and world.ended.reason == "no BHM came in time"


def test_cells_and_temperatures_are_told_when_there_are_any():
    cells = tuple((3_700 + number, number // 24) for number in range(96))
    world = World(ev=EvConfig(vin=VIN, cells=cells, temperatures=(21, 25, 19), reserved=b"abc"))
    world.charge()
    world.run(12_000)
    assert [mv for mv, _ in world.charger.cells] == [(mv + 5) // 10 * 10 for mv, _ in cells]
    assert world.charger.temperatures == (21, 25, 19)
    assert world.charger.phase == "charging", "the status goes on arriving while the cells are told"
    assert {"BMV", "BMT", "BSP"} <= set(world.order())


def test_the_output_follows_demand_and_offer():
    world = World()
    world.charge()
    world.evse.command(OFFER.__class__(max_mv=750_000, max_ma=60_000))
    assert world.asked == Requested(mv=400_000, ma=60_000)
    world.evse.command(OFFER.__class__(max_mv=750_000, max_ma=250_000, max_mw=20_000_000))
    assert world.asked == Requested(mv=400_000, ma=50_000)
    world.evse.command(OFFER)
    world.ev.command(msgspec.structs.replace(DRIVE, target_ma=30_000))
    world.run(120)
    assert world.asked == Requested(mv=400_000, ma=30_000)


def test_the_charger_pauses_and_resumes():
    world = World()
    world.charge()
    world.evse.command(Pause())
    assert world.asked == Requested()
    world.run(5_000)
    assert world.closed and world.charger.phase == "charging"
    assert [values["permitted"] for _, name, values, _ in world.spoken() if name == "CCS"][-1] == 0
    world.evse.command(Resume())
    assert world.asked.ma == 100_000
    world.run(1_000)
    assert world.bms.phase == "charging"


def test_the_vehicle_pauses_and_resumes():
    world = World()
    world.charge()
    world.ev.command(msgspec.structs.replace(DRIVE, ready=False))
    world.run(300)
    assert world.asked == Requested() and world.charger.phase == "charging"
    world.run(60_000)
    world.ev.command(DRIVE)
    world.run(300)
    assert world.asked == Requested(mv=400_000, ma=100_000)


def test_the_station_stops_and_both_say_why():
    world = World()
    world.charge()
    world.register += 3_240
    world.measure()
    world.evse.command(Stop("paid for"))
    world.until(lambda: world.ended and world.parted)
    assert world.ended is not None and (world.ended.reason, world.ended.by, world.ended.ok) == (
        "paid for",
        "evse",
        True,
    )
    csd = next(values for _, name, values, _ in world.spoken() if name == "CSD")
    assert csd == {"time": 0, "energy": 3_200, "charger": 7}
    assert world.safe and not world.contacts


def test_no_more_energy_than_offered():
    world = World(offer=msgspec.structs.replace(OFFER, energy_wh=2_000))
    world.charge()
    world.register += 1_999
    world.measure()
    assert world.charger.phase == "charging"
    world.register += 1
    world.measure()
    world.until(lambda: world.ended and world.parted)
    assert world.ended is not None and world.ended.ok
    assert world.ended.reason == "the 2000 Wh that were offered are delivered"
    assert world.parted is not None and "what was set at the charger is reached" in world.parted.reason


def test_an_emergency_opens_at_once():
    world = World()
    world.charge()
    world.evse_events.clear()
    world.evse.command(Stop("the red button", emergency=True))
    first = [type(event).__name__ for _, event in world.evse_events]
    assert first[:2] == ["Requested", "ContactorAsked"]
    world.until(lambda: world.ended and world.parted)
    assert world.ended is not None and not world.ended.ok
    assert world.parted is not None and "emergency stop" in world.parted.reason and not world.parted.ok


def test_who_is_not_authorised_is_sent_away_and_may_come_back():
    world = World(authorize=False)
    world.plug()
    world.until(lambda: world.ended and world.parted)
    assert world.ended is not None and world.ended.reason == "charging is not authorised"
    assert not any(event.ma for event in world.of(Requested))
    assert world.safe
    world.evse.command(Authorize(accepted=True))
    world.until(lambda: world.charger.phase == "charging", 20_000)


def test_authorisation_first_keeps_the_vehicle_asleep():
    world = World(EvseConfig(authorize_first=True), authorize=None)
    world.plug()
    world.run(600_000)
    assert not world.supply and not world.bus.log
    world.evse.command(Authorize(accepted=True))
    world.until(lambda: world.charger.phase == "charging", 20_000)


def test_drawing_the_plug_ends_it_within_the_time():
    world = World()
    world.charge()
    world.evse_events.clear()
    world.unplug()
    world.until(lambda: world.ended and world.parted)
    assert world.ended is not None and world.ended.reason == "the plug was drawn (CC1)"
    names = [type(event).__name__ for _, event in world.evse_events]
    assert names[0] == "Requested"
    opened = next(at for at, event in world.evse_events if type(event).__name__ == "ContactorAsked")
    assert opened - world.evse_events[0][0] <= 50
    assert world.parted is not None and world.parted.reason == "the plug was drawn (CC2)"
    world.plug()
    world.until(lambda: world.charger.phase == world.bms.phase == "charging", 20_000)


def test_lost_buses_end_both_ends():
    world = World()
    world.charge()
    world.evse.lost()
    world.ev.lost()
    assert world.asked == Requested()
    assert "CAN bus" in world.of(Fault)[0].text
    assert world.ended is not None and not world.ended.ok, "at once: who has lost its bus is not asked again"
    assert world.parted is not None and not world.parted.ok
    assert not any(not event.locked for event in world.of(LockAsked)), "what may be live stays locked"
    world.run(1_000)
    assert not world.closed and not world.contacts


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"present_mv": 150_000}, "the battery has 150000 mV"),
        ({"max_mv": 150_000, "present_mv": 140_000}, "the battery takes 150000 mV at most"),
    ],
)
def test_a_battery_that_does_not_fit_is_not_charged(change: dict[str, int], reason: str):
    world = World(drive=msgspec.structs.replace(DRIVE, **change))
    world.plug()
    world.until(lambda: world.ended)
    assert world.ended is not None and not world.ended.ok and world.ended.reason.startswith(reason)
    assert not any(event.mv for event in world.of(Requested))


@pytest.mark.parametrize(("lost", "edition"), [(0x1826F456, "2011"), (0x182756F4, "2015")])
def test_a_handshake_that_is_lost_still_ends_in_one_edition_for_both(lost: int, edition: str):
    """Without CHM the vehicle takes the charger for one of 2011; without BHM the vehicle's BRM says what it is."""
    world = World()
    world.bus.fault = lambda frame: [] if frame.id == lost else [frame]
    world.charge()
    assert world.charger.line.edition == world.bms.line.edition == edition
    assert world.of(Connected) == [Connected(protocol=f"gbt27930-{edition}")]  # type: ignore[arg-type]
    world.halt()
    world.until(lambda: world.ended and world.parted)
    assert world.ended is not None and world.ended.ok


def test_a_vehicle_that_lost_its_power_begins_anew_at_the_next_charge():
    world = World()
    world.charge()
    world.evse.command(Stop("enough"))
    world.until(lambda: world.ended and world.parted)
    assert world.bms.phase == "ended"
    world.evse.command(Authorize(accepted=True))
    world.until(lambda: world.charger.phase == world.bms.phase == "charging" and world.asked.ma, 20_000)
