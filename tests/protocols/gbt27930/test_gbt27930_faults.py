"""Buses that lose, double, flip and delay: both ends charge on, or end safely and say why."""

from __future__ import annotations

import random
import re

import pytest
from tests.protocols.gbt27930.gbt_world import VIN, World

from pilotwire.core.evse_link import Ended, Fault, Requested
from pilotwire.protocols.can import CanFrame
from pilotwire.protocols.gbt27930 import EvConfig
from pilotwire.protocols.gbt27930.codec import group
from pilotwire.protocols.j1939 import parse


def invariants(world: World) -> None:
    """Current is asked for only while charging, the contactor is closed only when it may be."""
    if world.charger.phase != "charging":
        assert world.asked.ma == 0
    if world.charger.phase in ("ended", "unplugged", "identify", "handshake"):
        assert not world.closed


@pytest.mark.parametrize("seed", range(8))
def test_a_bus_that_loses_doubles_and_flips(seed: int):
    chance = random.Random(seed)
    rate = chance.choice((0.01, 0.05, 0.2, 0.5))
    world = World(ev=EvConfig(vin=VIN, cells=((3_900, 0),) * 40))

    def fault(frame: CanFrame) -> list[CanFrame]:
        if chance.random() > rate:
            return [frame]
        kind = chance.randrange(3)
        if kind == 0:
            return []
        if kind == 1:
            return [frame, frame]
        data = bytearray(frame.data)
        if data:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        return [frame._replace(data=bytes(data))]

    world.bus.fault = fault
    world.plug()
    for _ in range(150):
        world.run(500)
        invariants(world)
    world.halt()
    for _ in range(300):
        world.run(500)
        invariants(world)
        if world.ended and world.parted:
            break
    assert world.ended and world.parted, (world.charger.phase, world.bms.phase)
    assert world.safe and not world.contacts
    assert world.ended.reason and world.parted.reason


@pytest.mark.parametrize("name", ["BRM", "BCP", "BRO", "BCL", "BCS", "CRM", "CML", "CRO", "CCS"])
def test_a_message_that_never_arrives_ends_it_with_its_name(name: str):
    """Three reconnections, then the end; each time the output was off first."""
    pgn = group(name)[0]
    world = World()
    long = {0xEC00, 0xEB00} if name in ("BRM", "BCP", "BCS") else set()

    def fault(frame: CanFrame) -> list[CanFrame]:
        identifier = parse(frame.id)
        if identifier.pgn == pgn:
            return []
        # A long one is lost by its request: its bytes say which group it is of.
        return [] if identifier.pgn in long and frame.data[5:8] == pgn.to_bytes(3, "little") else [frame]

    world.bus.fault = fault
    world.plug()
    world.until(lambda: world.ended and world.parted, 600_000)
    assert not world.ended.ok and not world.parted.ok
    texts = " ".join(fault.text for fault in world.of(Fault) + world.of(Fault, "ev"))
    # Without CRM the vehicle says nothing, and the charger gives up before the vehicle's 30 s are over.
    missed = "BRM" if name == "CRM" else name
    assert re.search(rf"no (first |CTS and )?{missed}\b", texts), texts
    assert world.safe and not world.contacts and not world.supply
    assert not any(event.ma for event in world.of(Requested)) or name in ("BCL", "BCS", "CCS")


@pytest.mark.parametrize("when", ["handshake", "identify", "recognised", "configure", "prepare", "ready", "charging"])
def test_a_bus_that_falls_silent_at_any_time(when: str):
    world = World()
    world.plug()
    world.until(lambda: world.charger.phase == when)
    if when == "charging":
        world.run(3_000)
    world.bus.fault = lambda frame: []
    began = world.time.now()
    world.until(lambda: world.asked == Requested() and not world.closed, 61_000)
    assert when != "charging" or world.time.now() - began <= 1_100
    world.until(lambda: world.ended and world.parted, 300_000)
    assert world.safe and not world.contacts


def test_the_bus_comes_back_and_charging_goes_on():
    world = World()
    world.charge()
    world.bus.fault = lambda frame: []
    world.run(1_500)
    assert world.charger.phase == "error" and world.safe
    world.bus.fault = None
    world.until(lambda: world.charger.phase == world.bms.phase == "charging" and world.asked.ma, 30_000)
    assert not world.of(Ended)
    world.halt()
    world.until(lambda: world.ended and world.parted)
    assert world.ended.ok and world.safe


@pytest.mark.parametrize(
    ("quirk", "code"),
    [
        ("opens", "EVSEContactorFault"),
        ("current_falls", "OverCurrentFailure"),
        ("voltage_falls", "ConnectorVoltageHigh"),
    ],
)
def test_an_output_that_does_not_go_off_is_told(quirk: str, code: str):
    world = World()
    world.charge()
    setattr(world, quirk, False)
    world.halt()
    world.until(lambda: world.ended and world.parted)
    assert code in [fault.code for fault in world.of(Fault)]
    assert quirk == "current_falls" or not world.ended.ok


@pytest.mark.parametrize(
    ("quirks", "code"),
    [
        ({"locks": False}, "ConnectorLockFailure"),
        ({"isolation": "fault"}, "CableCheckFailure"),
        ({"isolation": ""}, "CableCheckFailure"),
        ({"contactor_works": False}, "EVSEContactorFault"),
        ({"powers": False}, "PreChargeFailure"),
        ({"authorize": None}, "AuthorizationTimeout"),
    ],
)
def test_a_charger_that_cannot_says_why(quirks: dict[str, object], code: str):
    world = World()
    for name, value in quirks.items():
        setattr(world, name, value)
    world.plug()
    world.until(lambda: world.ended, 120_000)
    assert world.of(Fault)[0].code == code
    assert not world.ended.ok and world.safe
    assert not any(event.ma for event in world.of(Requested))


def test_contactors_of_the_vehicle_that_do_not_close_or_open():
    world = World()
    world.contacts_work = False
    world.plug()
    world.until(lambda: world.ended and world.parted)
    assert world.parted.reason == "the contactors do not close"
    assert "high-voltage relay" in world.ended.reason
    world = World()
    world.charge()
    world.contacts_open = False
    world.halt()
    world.until(lambda: world.ended and world.parted)
    assert [fault.code for fault in world.of(Fault, "ev")] == ["EVContactorFault"]
    assert not world.parted.ok
