"""What a charger is told beside its set-point: its plug set free, a restart; by the register that its file names."""

from __future__ import annotations

import msgspec
import pytest
from tests.site.devices.rig import Rig

from pilotwire.site.devices.behaviour import ChargerBehaviour
from pilotwire.site.devices.evse import ModbusEvse
from pilotwire.site.devices.load import find_device
from pilotwire.site.devices.schema import Command, DeviceFile
from pilotwire.site.ports import Attended, Told

KEBA = find_device("keba-p30")
RESTARTS = msgspec.structs.replace(
    KEBA, commands={**KEBA.commands, "restart": Command(address=5030, map={1: 1}, verify="none")}
)


def site(device: DeviceFile) -> tuple[Rig, ChargerBehaviour, ModbusEvse]:
    rig = Rig()
    inside = rig.simulator.add(device)
    assert isinstance(inside, ChargerBehaviour)
    inside.plugged = True
    evse = ModbusEvse("c", device, rig.link(), rig.clock)
    evse.start()
    rig.run(4_000)
    return rig, inside, evse


@pytest.mark.parametrize(
    ("file", "written"), [("keba-p30", (5012, 0)), ("abb-terra-ac", (0x4103, 0)), ("phoenix-charx-sec", (1305, 1))]
)
def test_a_plug_is_set_free_by_the_register_of_its_file(file: str, written: tuple[int, int]):
    rig, inside, evse = site(find_device(file))
    assert isinstance(evse, Attended) and evse.unlocks and not evse.restarts
    rig.audits.clear()
    told: list[Told] = []
    evse.unlock(told.append)
    rig.run(3_000)
    assert told == [Told(True)] and inside.unlocks == 1 and written in rig.written()


def test_a_charger_without_such_a_register_says_so():
    rig, _, evse = site(find_device("heidelberg-energy-control"))
    assert not evse.unlocks and not evse.restarts
    told: list[Told] = []
    evse.unlock(told.append)
    evse.restart(told.append)
    rig.run(1_000)
    assert [each.ok for each in told] == [False, False] and "has no unlock" in told[0].error


def test_after_a_restart_the_charger_is_told_its_set_point_anew():
    rig, inside, evse = site(RESTARTS)
    assert evse.restarts
    told: list[Told] = []
    evse.offer(10_000, None, 600_000, told.append)
    rig.run(5_000)
    evse.restart(told.append)
    rig.run(1_000)
    assert told == [Told(True), Told(True)] and inside.restarts == 1
    rig.run(30_000)
    assert inside.limit_ma == 10_000


def test_a_charger_that_does_not_answer_is_not_said_to_be_unlocked():
    rig, inside, evse = site(KEBA)
    rig.deaf = True
    told: list[Told] = []
    evse.unlock(told.append)
    rig.run(60_000)
    assert [each.ok for each in told] == [False] and inside.unlocks == 0
