"""`pilotwire decode can` and `pilotwire dbc`: logs of CAN buses as timelines, and our tables for other tools."""

from __future__ import annotations

import json
from pathlib import Path

import cantools
import pytest
from tests.cli.cli_kit import pilotwire
from tests.protocols.gbt27930.gbt_world import World

from pilotwire.core.evse_link import Stop
from pilotwire.protocols.chademo.frames import FRAMES
from pilotwire.protocols.gbt27930 import EvseConfig


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same session in all formats, and one of 2011."""
    folder = tmp_path_factory.mktemp("logs")
    made: dict[str, Path] = {}
    for edition in ("2015", "2011"):
        world = World(EvseConfig(edition=edition, charger=7))  # type: ignore[arg-type]
        world.charge()
        world.evse.command(Stop("enough"))
        world.until(lambda world=world: world.ended and world.parted)
        frames = [(at - world.began, frame) for at, frame in world.bus.log or []]
        dump = [f"({at / 1000:.6f}) can0 {frame.id:08X}#{frame.data.hex().upper()}" for at, frame in frames]
        made[f"dump-{edition}"] = folder / f"{edition}.log"
        made[f"dump-{edition}"].write_text("\n".join(dump) + "\n")
        if edition == "2015":
            shown = [
                f" ({at / 1000:010.6f})  can0  {frame.id:08X}   [{len(frame.data)}]  {frame.data.hex(' ').upper()}"
                for at, frame in frames
            ]
            asc = [
                f"   {at / 1000:.6f} 1  {frame.id:X}x       Rx   d {len(frame.data)} {frame.data.hex(' ').upper()}"
                for at, frame in frames
            ]
            made["shown"] = folder / "shown.log"
            made["shown"].write_text("\n".join(shown) + "\n")
            made["asc"] = folder / "session.asc"
            made["asc"].write_text("\n".join(["base hex  timestamps absolute", *asc]) + "\n")
    chademo = FRAMES.messages[0]
    made["chademo"] = folder / "chademo.log"
    made["chademo"].write_text(
        f"(1.000000) can0 {chademo.id:03X}#0000F401A401{'64'}00\n(1.100000) can0 {chademo.id:03X}#00\n"
    )
    return made


@pytest.mark.parametrize("form", ["dump-2015", "shown", "asc"])
def test_every_format_gives_the_same_timeline(logs: dict[str, Path], form: str):
    ended = pilotwire("decode", "can", logs[form], "--protocol", "gbt27930", "--json")
    assert ended.returncode == 0
    told = [json.loads(line) for line in ended.stdout.splitlines()]
    reference = pilotwire("decode", "can", logs["dump-2015"], "--json").stdout.splitlines()
    assert [one | {"channel": ""} for one in told] == [json.loads(line) | {"channel": ""} for line in reference]
    brm = next(one for one in told if one["message"] == "BRM")
    assert brm["values"]["vin"] == "LSVAA49J132047371" and brm["words"]["battery"] == "ternary"
    assert (brm["side"], brm["edition"]) == ("ev", "2015")
    assert next(one for one in told if one["message"] == "CST")["note"] == "stopped by hand"


def test_the_edition_is_found_out(logs: dict[str, Path]):
    told = [json.loads(line) for line in pilotwire("decode", "can", logs["dump-2011"], "--json").stdout.splitlines()]
    assert {one["edition"] for one in told} == {"2011"}
    assert told[0]["message"] == "CRM" and told[0]["values"]["charger"] == 7


def test_people_read_it_in_lines(logs: dict[str, Path]):
    ended = pilotwire("decode", "can", logs["dump-2015"], "--changes")
    lines = ended.stdout.splitlines()
    assert sum(" BCL " in line for line in lines) == 1
    assert any(line.endswith("← stopped by hand") and "charger  CST" in line for line in lines)
    assert any("voltage=400000 mV current=100000 mA mode=constant current" in line for line in lines)


def test_chademo_is_read_too(logs: dict[str, Path]):
    ended = pilotwire("decode", "can", logs["chademo"], "--json")
    first, second = [json.loads(line) for line in ended.stdout.splitlines()]
    assert first["values"]["maximum_battery_voltage"] == 420_000 and first["protocol"] == "chademo"
    assert "1 of at least" in second["error"]


def test_standard_input_and_what_is_no_log(logs: dict[str, Path], tmp_path: Path):
    assert pilotwire("decode", "can", "-", stdin=logs["chademo"].read_text()).returncode == 0
    nothing = tmp_path / "nothing"
    nothing.write_text("hello\n")
    ended = pilotwire("decode", "can", nothing)
    assert ended.returncode != 0 and "no frame of CAN" in ended.stderr
    assert "cannot be read" in pilotwire("decode", "can", tmp_path / "absent").stderr
    assert pilotwire("decode", "can", logs["dump-2015"], "--protocol", "chademo").returncode == 1


@pytest.mark.parametrize("protocol", ["chademo", "gbt27930"])
def test_the_dbc_file_loads(protocol: str):
    ended = pilotwire("dbc", protocol)
    database = cantools.database.load_string(ended.stdout, "dbc")
    assert len(database.messages) > 10
