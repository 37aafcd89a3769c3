"""Our own map, read and written by pymodbus's client and by mbpoll; its page in the guide."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from pymodbus.client import AsyncModbusTcpClient
from tests.site.facades.evses import SITE, FakeEvse, serving

from pilotwire.core.errors import ConfigError
from pilotwire.core.time import SimScheduler
from pilotwire.domain.energy import Limit
from pilotwire.protocols.modbus.errors import IllegalDataAddress, IllegalDataValue
from pilotwire.site.facades import own_doc
from pilotwire.site.facades.cells import Context, Unit
from pilotwire.site.facades.orders import EvseOrder, ExternalLimits, Fight
from pilotwire.site.facades.own import OwnConfig, own_unit
from pilotwire.site.facades.own_table import MAGIC
from pilotwire.site.facades.serving import MapConfig
from pilotwire.site.ports import Abilities, EvseStatus, Value

GUIDE = Path(__file__).parents[3] / "docs" / "guide" / "modbus-map.md"
COMMAND = [0, 20_000, 160, 0xFFFF, 100, 30, 60, 7]
"""20 kW, 16 A, none, 10 A, for 30 s, then 6 A; number 7."""


class Site:
    """The map in simulated time, without a server."""

    def __init__(self, count: int = 2, config: OwnConfig | None = None) -> None:
        self.time = SimScheduler()
        self.evses = [FakeEvse(f"bay-{n + 1}") for n in range(count)]
        self.fights: list[Fight] = []
        self.limits = ExternalLimits(self.fights.append)
        self.unit: Unit = own_unit(config or OwnConfig(), self.evses, lambda: SITE, self.limits, self.now)

    @property
    def now(self) -> int:
        return int(self.time.now())

    def read(self, address: int, count: int = 1, client: str = "a") -> list[int]:
        return self.unit.read(Context(client, self.now), "holding", address, count)

    def write(self, address: int, *values: int, client: str = "a") -> None:
        self.unit.write(Context(client, self.now), "holding", address, values)


def u32(registers: Sequence[int]) -> int:
    return registers[0] << 16 | registers[1]


async def test_pymodbus_reads_and_commands():
    evse = FakeEvse()
    evse.charges()
    async with serving(MapConfig(map="own", own=OwnConfig(maximum_ma=63_000)), evses=[evse]) as served:
        client = AsyncModbusTcpClient("127.0.0.1", port=served.port)
        assert await client.connect()
        head = (await client.read_holding_registers(0, count=8)).registers
        assert u32(head) == MAGIC and head[2:7] == [1, 3, 1, 1000, 100]
        site = (await client.read_input_registers(100, count=100)).registers
        assert u32(site) == 2**32 - 3500 and u32(site[4:]) == 2**32 - 5250
        assert site[8:13] == [630, 630, 500, 0, 40_000]
        assert bytes.fromhex("".join(f"{each:04x}" for each in site[20:36])).rstrip(b"\0") == b"feeder-1"
        block = (await client.read_holding_registers(1000, count=100)).registers
        assert block[:6] == [1, 1, 3, 3, 3, 160] and u32(block[6:]) == 16_000 and u32(block[12:]) == 11_040
        assert block[14:18] == [0, 0, 1_234_567 >> 16, 1_234_567 & 0xFFFF] and u32(block[18:]) == 4321
        assert block[22] == 456 and block[40:45] == [2295, 2300, 2305, 60, 320]
        assert not (await client.write_registers(200, COMMAND)).isError()
        assert served.limits.at(served.now).limits == {
            "grid": (Limit("modbus 127.0.0.1", phases_ma=(16_000, 1_000_000_000, 10_000), power_mw=20_000_000),)
        }
        echo = (await client.read_holding_registers(220, count=8)).registers
        assert echo[0] == 7 and echo[1] in (29, 30) and echo[2] == 1 and echo[3:] == [0, 20_000, 160, 0xFFFF, 100]
        wrong = await client.write_registers(200, [0, 20_000, 631, 0xFFFF, 100, 30, 60, 8])
        assert wrong.exception_code == 3
        assert (await client.read_holding_registers(220, count=1)).registers == [7]
        assert (await client.write_register(100, 1)).exception_code == 2
        assert (await client.read_holding_registers(300, count=1)).exception_code == 2
        assert [bool(each.refused) for each in served.audits] == [False, True, True]
        client.close()


async def test_a_client_that_is_not_named_reads_only():
    async with serving(writers=()) as served:
        client = AsyncModbusTcpClient("127.0.0.1", port=served.port)
        assert await client.connect()
        assert (await client.write_registers(200, COMMAND)).exception_code == 1
        assert (await client.read_holding_registers(220, count=1)).registers == [0]
        assert served.limits.at(served.now).limits == {}
        client.close()


async def mbpoll(port: int, *more: str) -> str:
    process = await asyncio.create_subprocess_exec(
        "mbpoll", "-m", "tcp", "-p", str(port), "-a", "1", "-0", "-q", "-1", *more, stdout=-1, stderr=-2
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, out.decode()
    return out.decode()


async def test_mbpoll_reads_and_commands():
    async with serving() as served:
        served.evses[0].charges()
        said = await mbpoll(served.port, "-t", "4", "-r", "1002", "-c", "4", "127.0.0.1")
        assert [line.split()[-1] for line in said.splitlines() if line.startswith("[")] == ["3", "3", "3", "160"]
        await mbpoll(served.port, "-t", "4", "-r", "1080", "127.0.0.1", "100")
        (order,) = served.limits.at(served.now).evses.values()
        assert order == EvseOrder(maximum_ma=10_000, source="modbus 127.0.0.1")


def test_a_command_is_taken_whole_and_with_its_sequence_only():
    site = Site()
    site.write(200, *COMMAND)
    before = site.limits.at(site.now)
    site.write(202, 80)
    site.write(203, 80, 80, client="b")
    site.write(205, 10)
    assert site.limits.at(site.now) == before
    assert site.read(202) == [80] and site.read(202, client="c") == [160], "what is prepared is its client's own"
    site.write(207, 8)
    ((limit,),) = site.limits.at(site.now).limits.values()
    assert limit.phases_ma == (8_000, 1_000_000_000, 10_000) and site.read(220, 3) == [8, 10, 1]
    site.write(207, 9, client="b")
    ((limit,),) = site.limits.at(site.now).limits.values()
    assert limit.phases_ma == (8_000, 8_000, 8_000), "what was not written stays as it was"


def test_a_command_expires_into_its_fallback():
    site = Site()
    site.write(200, *COMMAND)
    site.time.run_for(29_999)
    assert site.read(221, 2) == [1, 1]
    site.time.run_for(1)
    assert site.read(221, 7) == [0, 2, 0xFFFF, 0xFFFF, 60, 60, 60]
    ((limit,),) = site.limits.at(site.now).limits.values()
    assert limit == Limit("modbus a, expired", phases_ma=(6_000, 6_000, 6_000))
    site.write(206, 0xFFFF, 9)
    site.time.run_for(30_000)
    assert site.limits.at(site.now).limits == {} and site.read(222) == [0]


@pytest.mark.parametrize(
    ("address", "values", "error"),
    [
        (202, (321,), IllegalDataValue), (205, (0,), IllegalDataValue), (205, (3601,), IllegalDataValue),
        (207, (0,), IllegalDataValue), (206, (321,), IllegalDataValue), (200, (0, 22_001), IllegalDataValue),
        (200, (0,), IllegalDataAddress), (201, (0,), IllegalDataAddress), (208, (0,), IllegalDataAddress),
        (204, (1, 1, 1, 1, 1), IllegalDataAddress), (220, (1,), IllegalDataAddress), (0, (1,), IllegalDataAddress),
        (1080, (321,), IllegalDataValue), (1081, (2,), IllegalDataValue), (1082, (1001,), IllegalDataValue),
        (1083, (0,), IllegalDataValue), (1080, (100, 2), IllegalDataValue), (1090, (1,), IllegalDataAddress),
        (2080, (100,), IllegalDataAddress), (205, (0xFFFF,), IllegalDataValue),
    ],
)  # fmt: skip
def test_what_is_out_of_range_is_refused_and_does_nothing(
    address: int, values: tuple[int, ...], error: type[Exception]
):
    site = Site(1, OwnConfig(maximum_ma=32_000, maximum_mw=22_000_000))
    before = site.read(0, 7), site.read(100, 200), site.read(1000, 100)
    with pytest.raises(error):
        site.write(address, *values)
    assert (site.read(0, 7), site.read(100, 200), site.read(1000, 100)) == before
    assert site.limits.at(site.now).limits == {} and site.limits.at(site.now).evses == {}


def test_an_evses_block():
    site = Site()
    site.write(1180, 100, 1, 5, 20)
    assert site.limits.at(site.now).evses == {"bay-2": EvseOrder(maximum_ma=10_000, priority=5, source="modbus a")}
    site.write(1181, 0)
    assert not site.limits.at(site.now).evses["bay-2"].enable
    assert site.limits.at(site.now).evses["bay-2"].maximum_ma == 10_000
    assert site.read(1180, 4) == [100, 0, 5, 20] and site.read(1190, 2) == [1, 20]
    site.time.run_for(20_000)
    assert site.limits.at(site.now).evses == {}
    assert site.read(1180, 4) == [0xFFFF, 1, 0, 60] and site.read(1190, 2) == [0, 0]
    site.write(1180, 0)
    assert site.limits.at(site.now).evses["bay-2"].maximum_ma == 0 and site.read(1191) == [60]


def test_what_a_charger_can_be_offered_bounds_what_is_written():
    site = Site()
    with pytest.raises(IllegalDataValue):
        site.write(1080, 321)
    site.write(1080, 320)


def test_what_is_said_of_the_car_that_is_there_lasts_as_long_as_its_visit():
    utc = 1_800_000_000_000
    evse, limits = FakeEvse(), ExternalLimits()
    unit = own_unit(OwnConfig(), [evse], lambda: msgspec.structs.replace(SITE, utc_ms=utc), limits, 0)

    def write(address: int, *values: int, client: str = "a") -> None:
        unit.write(Context(client, 0), "holding", address, values)

    def read() -> tuple[int, int]:
        found = unit.read(Context("b", 0), "holding", 1086, 4)
        return u32(found), u32(found[2:])

    with pytest.raises(IllegalDataValue, match="no car is plugged in"):
        write(1086, 0, 7_200)
    evse.charges()
    assert read() == (2**32 - 1, 2**32 - 1)
    write(1086, 0, 7_200, 0, 20_000)
    found = limits.at(0).evses["bay-1"].entered
    assert found is not None
    assert (found.departure_ms, found.energy_wh, found.register_wh) == (utc + 7_200_000, 20_000, 1_234_567)
    assert read() == (7_200, 20_000) and unit.read(Context("b", 0), "holding", 1090, 1) == [0], "nothing is limited"
    evse.charges(at=1)
    points = evse.now.points
    evse.now = msgspec.structs.replace(evse.now, points={**points, "energy_import_wh": Value(1_239_567, 1)})
    assert read() == (7_200, 15_000)
    write(1080, 100)  # another register of the block leaves it as it is
    write(1086, 0xFFFF, 0xFFFF, client="b")
    assert read() == (2**32 - 1, 15_000) and limits.at(0).evses["bay-1"].maximum_ma == 10_000
    for values, why in (
        ((0, 0), "in the past"),
        ((20, 0), "more than 7 days"),
        ((0xFFFF, 0xFFFF, 0x100, 0), "a car can"),
    ):
        with pytest.raises(IllegalDataValue, match=why):
            write(1086, *values)
    assert limits.fights == []


def test_two_masters_that_fight_are_told_once():
    site = Site()
    for turn in range(6):
        site.write(200, *COMMAND[:2], 100 + turn % 2, *COMMAND[3:], client="ab"[turn % 2])
        site.time.run_for(1000)
    (fight,) = site.fights
    assert fight.clients == ("a", "b") and fight.place == "node grid"
    assert site.read(228) == [1] and site.read(1092) == [0]
    site.time.run_for(121_000)
    assert site.read(228) == [0]


def test_a_handover_and_two_that_agree_are_no_fight():
    site = Site()
    site.write(200, *COMMAND, client="a")
    site.write(200, *COMMAND[:2], 90, *COMMAND[3:], client="b")
    site.write(200, *COMMAND[:2], 80, *COMMAND[3:], client="b")
    for turn in range(6):
        site.write(1080, 100, client="ab"[turn % 2])
    site.time.run_for(300_000)
    site.write(200, *COMMAND, client="a")
    assert site.fights == []


def test_heartbeat_and_what_is_not_known():
    site = Site(1)
    site.evses[0].now = EvseStatus()
    assert site.read(7) == [0]
    site.time.run_for(66_000_000)
    assert site.read(7) == [66_000 & 0xFFFF]
    assert site.read(1001, 7) == [0, 0, 0, 0, 0xFFFF, 0x8000, 0] and site.read(1014, 4) == [0xFFFF] * 4


def test_what_is_bad_is_not_shown():
    site = Site(1)
    site.evses[0].charges()
    points = {
        **site.evses[0].now.points,
        "energy_import_wh": Value(77, 0, "bad"),
        "power_mw": Value(5000, 0, "suspect"),
    }
    site.evses[0].now = msgspec.structs.replace(site.evses[0].now, points=points)
    assert site.read(1014, 4) == [0xFFFF] * 4 and site.read(1012, 2) == [0, 5]


def test_a_dc_evse_is_steered_by_power():
    dc = FakeEvse("dc", Abilities(unit="mW", minimum=0, maximum=150_000_000, step=1_000))
    dc.now = EvseStatus(online=True, pilot="C", offered=90_000_000)
    limits = ExternalLimits()
    unit = own_unit(OwnConfig(), [dc], lambda: SITE, limits, 0)
    context = Context("a", 0)
    assert unit.read(context, "holding", 1043, 6) == [0xFFFF, 0xFFFF, 0xFFFF, 90_000 >> 16, 90_000 & 0xFFFF, 1]
    unit.write(context, "holding", 1084, [50_000 >> 16, 50_000 & 0xFFFF])
    assert limits.at(0).evses["dc"] == EvseOrder(maximum_mw=50_000_000, source="modbus a")


def test_more_evses_than_there_is_room_for():
    with pytest.raises(ConfigError):
        own_unit(OwnConfig(), [FakeEvse(str(n)) for n in range(646)], lambda: SITE, ExternalLimits(), 0)


def test_the_guide_says_what_the_server_does():
    assert GUIDE.read_text() == own_doc.page(), "python -m pilotwire.site.facades.own_doc > docs/guide/modbus-map.md"
