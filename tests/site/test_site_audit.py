"""Who told the site what: each write is on record, what repeats is counted, the file is bounded, damage is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pilotwire.cli.main import main
from pilotwire.protocols.modbus.pdu import (
    MaskWriteRegister,
    ReadWriteRegisters,
    Request,
    WriteCoil,
    WriteCoils,
    WriteRegister,
    WriteRegisters,
)
from pilotwire.site.audit import NAME, OLDER, AuditFile, Entry, entries, text_of
from pilotwire.transport.modbus.guard import Audit

UTC = 1_800_000_000_000


class World:
    def __init__(self, tmp: Path, limit: int = 5_000_000) -> None:
        self.utc, self.said, self.folder = UTC, list[str](), tmp
        self.file = AuditFile(tmp, lambda: self.utc, self.said.append, limit_bytes=limit)

    def found(self) -> list[Entry]:
        return [each for each in entries(self.folder) if not isinstance(each, str)]


def test_each_write_is_on_record_at_once_and_a_refused_one_says_why(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.file.modbus(
        Audit(at=5, client="10.0.0.7", unit=1, request=WriteRegister(1080, 80), done=WriteRegister(1080, 80))
    )
    (one,) = world.found()
    assert (one.by, one.what, one.refused, one.at) == (
        "modbus 10.0.0.7", "unit 1: register 1080 = 80", "", "2027-01-15T08:00:00.000Z",
    )  # fmt: skip
    world.file.modbus(Audit(at=6, client="10.0.0.8", unit=1, request=WriteRegister(1080, 9), refused="may not write"))
    world.file.modbus(Audit(at=6, client="10.9.9.9", refused="not among the clients"))
    clamped = Audit(at=7, client="10.0.0.7", unit=2, request=WriteRegister(5, 99), done=WriteRegister(5, 32))
    world.file.modbus(clamped)
    assert [(each.what, each.refused) for each in world.found()[1:]] == [
        ("unit 1: register 1080 = 9", "may not write"),
        ("a connection", "not among the clients"),
        ("unit 2: register 5 = 99, as register 5 = 32", ""),
    ]


def test_what_comes_again_is_counted_and_none_is_lost(tmp_path: Path) -> None:
    world = World(tmp_path)
    for _ in range(150):
        world.file.note("mqtt broker", "node/grid/set: 10")
        world.utc += 1_000
    world.file.close()
    assert sum(each.times for each in world.found()) == 150
    assert len(world.found()) == 6, "three minutes: a line and its count for each"
    second = world.found()[1]
    assert second.times == 59 and second.until > second.at
    world = World(tmp_path)
    world.utc -= 3_600_000  # the clock is set back: nothing waits for an hour
    world.file.note("mqtt broker", "node/grid/set: 10")
    world.utc -= 10
    world.file.note("mqtt broker", "node/grid/set: 10")
    assert len(world.found()) == 8
    world.file.close()


def test_many_who_are_turned_away_fill_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, limit=20_000)
    for number in range(2_000):
        world.file.note(f"modbus 10.0.{number // 250}.{number % 250}", "a connection", "not among the clients" * 40)
    world.file.close()
    assert (tmp_path / NAME).stat().st_size <= 21_000 and (tmp_path / OLDER).stat().st_size <= 21_000
    found = world.found()
    assert found[-1].by.endswith("10.0.7.249") and all(len(each.refused) == 400 for each in found)


def test_a_line_that_was_cut_off_is_said_and_the_next_is_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(tmp_path)
    world.file.note("mqtt broker", "one")
    world.file.close()
    with (tmp_path / NAME).open("ab") as file:
        file.write(b'{"at":"2027-01-15T08:0')
    world = World(tmp_path)
    world.file.note("mqtt broker", "two", "too late")
    world.file.close()
    assert main(["site", "audit", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert "line 2: cannot be read" in said.err
    assert [line.split("  ", 1)[1] for line in said.out.splitlines()] == [
        "mqtt broker  one", "mqtt broker  two  refused: too late",
    ]  # fmt: skip
    assert main(["site", "audit", str(tmp_path), "--refused", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["what"] == "two"
    assert main(["site", "audit", str(tmp_path), "--until", "2027-01-01T00:00:00Z"]) == 1
    assert "nothing that fits" in capsys.readouterr().out
    assert main(["site", "audit", str(tmp_path / "nowhere")]) == 1
    assert "there is no" in capsys.readouterr().err


def test_a_disk_that_is_full_is_said_once(tmp_path: Path) -> None:
    world = World(tmp_path / "nowhere")
    for number in range(5):
        world.file.note("mqtt broker", str(number))
    world.file.close()
    assert len(world.said) == 1 and "who orders what is not recorded" in world.said[0]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (WriteRegister(7, 9), "register 7 = 9"),
        (WriteRegisters(7, (1, 2)), "registers 7 to 8 = 1, 2"),
        (ReadWriteRegisters(0, 1, 7, (1, 2)), "registers 7 to 8 = 1, 2"),
        (MaskWriteRegister(4, 0xF2, 0x25), "register 4 & 0x00f2 | 0x0025"),
        (WriteCoil(3, True), "coil 3 = 1"),
        (WriteCoils(3, (True, False)), "coils 3 to 4 = 1, 0"),
    ],
)
def test_writes_in_words(request_: Request, words: str) -> None:
    assert text_of(request_) == words
