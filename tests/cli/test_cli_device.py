"""`pilotwire device` as somebody types it: what it prints, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from pilotwire.cli.device_live import endpoint
from pilotwire.cli.device_words import template, words
from pilotwire.cli.main import main
from pilotwire.core.errors import ConfigError
from pilotwire.protocols.modbus.pdu import Registers
from pilotwire.protocols.modbus.server import ServerConfig
from pilotwire.site.devices.load import find_device, parse_device
from pilotwire.transport.modbus.guard import Access, Guard
from pilotwire.transport.modbus.server import Server
from pilotwire.transport.runtime import SteadyScheduler

PATIENCE = 90.0


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_list_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["device", "list", "--kind", "charger", "keba"]) == 0
    out = capsys.readouterr().out
    assert "keba-p30" in out and "eastron" not in out
    assert re.search(r"\n\d+ chargers?; ", out)
    assert main(["device", "list", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["kind"] for row in rows} >= {"charger", "meter"}
    assert main(["device", "list", "nobody-has-this"]) == 1


def test_a_device_is_shown_with_its_registers_and_sources(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["device", "show", "keba-p30"]) == 0
    out = capsys.readouterr().out
    assert "holding 5004 (0x138C)" in out and "6.00 A" in out and "falls back" in out and "https://" in out
    assert main(["device", "show", "keba-p30", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["commands"]["limit_ma"]["address"] == 5004


def test_a_name_that_is_not_there_is_said_with_one_that_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["device", "show", "keba-p03"]) == 1
    assert re.search("did you mean .*keba-p30", capsys.readouterr().err)


@pytest.mark.parametrize("kind", ["charger", "meter", "inverter", "battery", "contacts"])
def test_a_new_file_is_whole_and_passes_its_test(kind: str, capsys: pytest.CaptureFixture[str], here: Path) -> None:
    assert main(["device", "new", "my-own", "--kind", kind]) == 0
    assert main(["device", "test", "my-own.yaml"]) == 0
    assert "in order" in capsys.readouterr().out
    assert main(["device", "new", "my-own", "--kind", kind]) == 1  # never written over
    assert "is there already" in capsys.readouterr().err
    assert parse_device(template("x", kind), "x.yaml").kind == kind


def test_a_copy_of_a_file_of_the_library(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["device", "new", "my-keba", "--like", "keba-p30"]) == 0
    assert main(["device", "test", "my-keba.yaml", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] and found["id"] == "my-keba"
    assert main(["device", "new", "Not A Name"]) == 1
    assert "is no name" in capsys.readouterr().err


def test_a_fault_is_said_with_its_line(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    text = template("my-meter", "meter").replace("power_mw:", "powr_mw:")
    (here / "my-meter.yaml").write_text(text)
    line = next(at for at, each in enumerate(text.splitlines(), 1) if "powr_mw" in each)
    assert main(["device", "test", "my-meter.yaml"]) == 1
    assert f"my-meter.yaml:{line}: points.powr_mw: there is no name 'powr_mw'; did you mean power_mw?" in (
        capsys.readouterr().err
    )


def test_addresses_are_taken_as_people_write_them() -> None:
    meter = find_device("eastron-sdm630")
    assert endpoint("10.0.0.5", meter, None, None) == "tcp://10.0.0.5:502"
    assert endpoint("10.0.0.5:1502", None, None, None) == "tcp://10.0.0.5:1502"
    assert endpoint("/dev/ttyUSB0", meter, 19200, None) == "rtu:///dev/ttyUSB0?baud=19200&parity=N&stop=1"
    assert endpoint("rtu+tcp://10.0.0.6:4001", meter, None, None) == "rtu+tcp://10.0.0.6:4001"
    with pytest.raises(ConfigError):
        endpoint("ftp://10.0.0.6", meter, None, None)


def test_values_are_written_as_people_write_them() -> None:
    assert words("voltage_l1_mv", 230_100) == "230.1 V"
    assert words("power_mw", -4_200_000) == "-4.200 kW"
    assert words("soc_permille", 455) == "45.5 %"
    assert words("energy_import_wh", 1_234_567) == "1234.567 kWh"
    assert words("watchdog_ms", 30_000) == "30.0 s"
    assert words("state", "C") == "C"
    assert words("power_mw", None) == "–"


async def run(*arguments: str) -> tuple[int, str, str]:
    """A command in a process of its own, to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pilotwire.cli.main", "device", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A simulated meter (unit 1) and charger (unit 2) in a process of their own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pilotwire.cli.main", "device", "simulate", "eastron-sdm630", "keba-p30",
        "--port", "0", "--plug", "0", "--seconds", "120", stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            line = (await process.stdout.readline()).decode()
        found = re.search(r"127\.0\.0\.1:(\d+), unit 1", line)
        assert found, line
        yield int(found.group(1))
    finally:
        process.kill()
        await process.wait()


class Erased:
    """A device whose registers are all ones: a gateway that has not heard its meter yet."""

    def handle(self, caller: Any, unit: int, request: Any, reply: Callable[[Any], None]) -> None:
        reply(Registers((0xFFFF,) * request.count))


async def test_a_device_that_answers_without_a_value_is_said_to(capsys: pytest.CaptureFixture[str]) -> None:
    scheduler = SteadyScheduler()
    server = Server(Guard(Erased(), Access(), scheduler), ServerConfig(), scheduler)
    number = await server.listen("127.0.0.1", 0)
    asked = ["device", "test", "eastron-sdm630", f"127.0.0.1:{number}", "--seconds", "1"]
    try:
        assert await asyncio.to_thread(main, asked) == 1
        assert "none of these points is there (what it says are no values)" in capsys.readouterr().err
    finally:
        await server.close()


async def test_a_simulated_device_is_found_and_read_and_told(port: int) -> None:
    status, out, err = await run("scan", f"127.0.0.1:{port}", "--units", "1-3", "--json")
    assert status == 0, err
    units = {unit["number"]: unit for unit in map(json.loads, out.splitlines())}
    assert sorted(units) == [1, 2]
    assert units[2]["guesses"][0]["id"].startswith("keba-")
    assert "eastron-sdm630" in [guess["id"] for guess in units[1]["guesses"]]

    status, out, err = await run("test", "eastron-sdm630", f"127.0.0.1:{port}", "--seconds", "1")
    assert status == 0, out + err
    assert "231.2 V" in out and "nothing it says contradicts" in out

    status, out, err = await run(
        "test", "keba-p30", f"127.0.0.1:{port}", "--unit", "2", "--seconds", "1", "--tell", "limit_ma=10000"
    )
    assert "told limit_ma 10.00 A: it stands there" in out, out + err

    status, out, err = await run("test", "eastron-sdm630", f"127.0.0.1:{port}", "--unit", "2", "--seconds", "1")
    assert status == 1
    assert "Is it another device?" in err
