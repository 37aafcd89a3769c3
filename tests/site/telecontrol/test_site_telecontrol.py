"""Telecontrol at a site: inputs, files, the register over real TCP, and the log through restarts."""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from pymodbus.client import AsyncModbusTcpClient

from pilotwire.core.time import SimScheduler, to_rfc3339
from pilotwire.domain.steering import Intervention
from pilotwire.domain.telecontrol import Contact, Figure, RegisterRules, ScheduleRules, fnn_box
from pilotwire.site.ports import Value
from pilotwire.site.telecontrol.config import (
    InputEntry,
    RegisterEntry,
    ScheduleEntry,
    TelecontrolConfig,
    telecontrol_faults,
)
from pilotwire.site.telecontrol.join import Telecontrol
from pilotwire.site.telecontrol.log import COLUMNS, InterventionLog
from pilotwire.transport.modbus.guard import Audit

UTC = 1_800_000_000_000
NAMES = ("w3", "s2", "s1", "w4")
CONFIG = TelecontrolConfig(
    inputs=tuple(InputEntry(contact=Contact(id=each), device="io", point=each) for each in NAMES),
    receivers=(fnn_box("fnn", "grid", w3="w3", s2="s2", s1="s1", w4="w4"),),
    schedules=(
        ScheduleEntry(
            rules=ScheduleRules(id="plan", source="DSO file", node="grid", missing=Figure(value_mw=5)),
            path="plan.csv", poll_ms=1_000,
        ),
    ),
    registers=(
        RegisterEntry(
            rules=RegisterRules(id="rtu", source="DSO RTU", node="grid", watchdog_ms=60_000, lost="figure",
                                lost_figure=Figure(permille=300)),
            port=0, writers=("127.0.0.1",), writes_per_minute=5,
        ),
    ),
)  # fmt: skip


class Inputs:
    """A module of digital inputs, read each time that it is asked while it is `online`."""

    def __init__(self, scheduler: SimScheduler) -> None:
        self.id, self.online, self.on = "io", True, dict.fromkeys(NAMES, 0)
        self._scheduler = scheduler
        self._last: dict[str, Value] = {}

    def points(self) -> Mapping[str, Value]:
        if self.online:
            self._last = {name: Value(raw, int(self._scheduler.now())) for name, raw in self.on.items()}
        return self._last

    def command(self, name: str, value: int, done: Any) -> None:
        raise AssertionError("inputs are not told anything")


class Site:
    def __init__(self, tmp: Path, config: TelecontrolConfig = CONFIG, steady: int = 0, utc: int = UTC) -> None:
        self.scheduler = SimScheduler(steady)
        self.inputs, self.files, self.said = Inputs(self.scheduler), dict[str, bytes](), list[str]()
        self.audits: list[Audit] = []
        self.changes = 0
        self.log = InterventionLog(tmp / "interventions.sqlite")
        self.start = utc - steady
        self.it = Telecontrol(
            config, {"io": self.inputs}, self.scheduler, lambda: self.start + int(self.scheduler.now()), self.log,
            changed=self.changed, report=self.said.append, power=lambda node: -12_000_000, read=self.files.get,
            audit=self.audits.append,
        )  # fmt: skip

    def changed(self) -> None:
        self.changes += 1

    def run(self, ms: int) -> dict[str, int | None]:
        for _ in range(0, ms, 100):
            self.scheduler.run_until(int(self.scheduler.now()) + 100)
            self.it.look()
        return self.orders

    @property
    def orders(self) -> dict[str, int | None]:
        return {c.id: c.permille if c.permille is not None else c.value_mw for c in self.it.controls}


def made(version: int, kw: int) -> bytes:
    return (
        f"# version: {version}\n# valid_until: {to_rfc3339(UTC + 3_600_000)}\n# entries: 1\nfrom,until,kw\n"
        f"{to_rfc3339(UTC)},{to_rfc3339(UTC + 1_800_000)},{kw}\n"
    ).encode()


def test_contacts_become_orders_and_survive_a_restart(tmp_path: Path) -> None:
    site = Site(tmp_path)
    assert site.run(300) == {"plan": 5}
    site.inputs.on["w4"] = site.inputs.on["s2"] = 1
    assert "fnn/export_limit" not in site.run(100), "seen for the first time"
    assert site.run(100) == {"plan": 5, "fnn/export_limit": 300, "fnn/steuve_limit": None}
    assert site.changes == 2
    site.log.close()
    again = Site(tmp_path, steady=77, utc=UTC + 9_000)
    again.inputs.online = False
    assert again.run(20_000) == {"plan": 5, "fnn/export_limit": 300, "fnn/steuve_limit": None}
    assert any("contact w4 is lost" in text for text in again.said)
    again.inputs.online = True
    assert again.run(300) == {"plan": 5}
    again.log.close()


def test_a_driver_that_fails_makes_its_contacts_stale(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.inputs.on["w3"] = 1
    assert site.run(300)["fnn/export_limit"] == 0

    def broken() -> Mapping[str, Value]:
        raise RuntimeError("gone")

    site.inputs.points = broken  # type: ignore[method-assign]
    assert site.run(11_000)["fnn/export_limit"] == 0
    assert any("w3 is lost, it was on" in text for text in site.said)
    site.log.close()


def test_a_schedule_is_taken_whole_and_only_a_newer_one(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.files["plan.csv"] = made(1, 50)[:-1]
    assert site.run(1_200) == {"plan": 5} and "middle of a line" in site.said[-1]
    site.files["plan.csv"] = made(1, 50)
    assert site.run(1_000) == {"plan": 50_000_000}
    site.files["plan.csv"] = made(2, 60)
    assert site.run(1_000) == {"plan": 50_000_000}, "seen once: it may still be written"
    assert site.run(1_000) == {"plan": 60_000_000}
    site.files["plan.csv"] = made(1, 99)
    assert site.run(3_000) == {"plan": 60_000_000} and "older than version 2" in site.said[-1]
    del site.files["plan.csv"]
    assert site.run(3_000) == {"plan": 60_000_000} and "is not there" in site.said[-1]
    site.log.close()
    again = Site(tmp_path, utc=UTC + 20_000)
    assert again.run(100) == {"plan": 60_000_000}, "remembered"
    again.log.close()
    gone = structs.replace(CONFIG, schedules=(structs.replace(CONFIG.schedules[0], gone="missing"),))
    strict = Site(tmp_path, gone, utc=UTC + 20_000)
    assert strict.run(100) == {"plan": 5}
    strict.log.close()


async def test_the_register_over_tcp(tmp_path: Path) -> None:
    site = Site(tmp_path)
    await site.it.open()
    server = site.it.registers["rtu"]
    client = AsyncModbusTcpClient("127.0.0.1", port=server.port or 0, timeout=60, retries=0)
    try:
        assert await client.connect()

        async def shown() -> list[int]:
            return list((await client.read_holding_registers(0, count=6, device_id=1)).registers)

        power = [0xFFFF, 0x1_0000 - 12_000]
        assert await shown() == [0xFFFF, 0xFFFF, 0, 60, *power]
        assert not (await client.write_register(0, 60, device_id=1)).isError()
        assert site.orders["rtu"] == 600 and await shown() == [60, 60, 1, 60, *power]
        assert (await client.write_register(0, 101, device_id=1)).exception_code == 3
        assert (await client.write_register(1, 5, device_id=1)).exception_code == 2
        site.run(60_000)
        assert site.orders["rtu"] == 300 and await shown() == [60, 30, 2, 0, *power]
        for _ in range(5):
            assert not (await client.write_register(0, 0xFFFF, device_id=1)).isError()
        assert "rtu" not in site.orders
        assert (await client.write_register(0, 0, device_id=1)).exception_code == 6, "too many in a minute"
        assert [bool(each.refused) for each in site.audits] == [False, True, True, *[False] * 5, True]
    finally:
        client.close()
        await site.it.close()
    site.log.close()


def test_who_is_not_named_does_not_write_and_what_was_written_survives(tmp_path: Path) -> None:
    from pilotwire.protocols.modbus.pdu import WriteRegister

    class Stranger:
        name = "127.0.0.9"

    class Dso:
        name = "127.0.0.1"

    site = Site(tmp_path)
    guard, out = site.it.registers["rtu"].guard, list[Any]()
    guard.handle(Stranger(), 1, WriteRegister(0, 60), out.append)
    assert out[0].code == 1 and "rtu" not in site.run(100)
    guard.handle(Dso(), 1, WriteRegister(0, 60), out.append)
    assert site.orders["rtu"] == 600
    site.log.close()
    again = Site(tmp_path, steady=5, utc=UTC + 30_000)
    assert again.run(100)["rtu"] == 600
    assert again.run(30_000)["rtu"] == 300, "the watchdog goes on where it was"
    again.log.close()


def order(from_ms: int, until: int | None = None, after: int | None = None) -> Intervention:
    return Intervention("w4", "=box", "steuve_limit", "grid", 4_200_000, from_ms, until, 9_000_499, after, after)


def test_the_log_has_one_record_through_restarts(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"
    log = InterventionLog(path)
    assert log.note({"w4": order(10)}, (), 10) == 1
    assert log.note({"w4": order(10)}, (), 20) == 0
    log.close()
    log = InterventionLog(path)
    log.note({"w4": order(50, after=4_000_000)}, (), 50)
    log.close()
    log = InterventionLog(path)
    log.note({}, (order(50, 90),), 90)
    log.note({"w4": order(100)}, (), 100)
    log.close()
    log = InterventionLog(path)
    found = log.records()
    assert [(each.number, each.from_ms, each.until_ms, each.after_mw) for each in found] == [
        (1, 10, 90, 4_000_000), (2, 100, None, None),
    ]  # fmt: skip
    assert [each.number for each in log.records(90)] == [2] and [each.number for each in log.records(0, 100)] == [1]
    rows = list(csv.DictReader(io.StringIO(log.export())))
    assert tuple(rows[0]) == COLUMNS and rows[0]["source"] == "'=box" and rows[0]["before_w"] == "9000"
    assert (rows[0]["until"], rows[0]["end_seen"], rows[1]["until"]) == ("1970-01-01T00:00:00.090Z", "1", "")
    log.close()


@pytest.mark.parametrize("statement", ["UPDATE rows SET at_ms = 0", "DELETE FROM rows"])
def test_rows_of_the_log_are_only_added(tmp_path: Path, statement: str) -> None:
    log = InterventionLog(tmp_path / "log.sqlite")
    log.note({"w4": order(10)}, (), 10)
    log.close()
    other = sqlite3.connect(tmp_path / "log.sqlite")
    with pytest.raises(sqlite3.IntegrityError, match="only added"):
        other.execute(statement)
    other.close()


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.log.close()
    site.inputs.on["w3"] = 1
    assert site.run(300)["fnn/export_limit"] == 0
    site.it.decided({"w4": order(10)}, ())
    assert any("cannot be written" in text for text in site.said)


def test_mistakes_in_the_configuration_are_said() -> None:
    assert not telecontrol_faults(CONFIG, {"io"}, {"grid"})
    assert len(telecontrol_faults(CONFIG, (), {"grid"})) == 4
    assert len(telecontrol_faults(CONFIG, {"io"}, ())) == 3
    twice = structs.replace(CONFIG, inputs=CONFIG.inputs + CONFIG.inputs[:1], look_ms=0)
    assert len(telecontrol_faults(twice, {"io"}, {"grid"})) == 2
