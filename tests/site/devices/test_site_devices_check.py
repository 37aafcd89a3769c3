"""Faults of device files: each is said with its line, its place and what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.core.errors import ConfigError
from pilotwire.site.devices.load import LIBRARY, FaultyFile, find_device, load_device, load_library, parse_device

GOOD = """\
id: good
kind: charger
vendor: Somebody
models: [One]
sources:
  a: {title: List, publisher: Somebody, url: "https://example.org/list"}
modbus: {unit: 1, transports: [tcp, rtu], max_registers: 8, forbidden: [[300, 310]]}
points:
  state: {address: 10, map: {0: A, 1: B, 2: C}, from: [a]}
  current_l1_ma: {address: 12, type: u32, from: [a]}
  power_mw: {address: 14, type: s32, scale: "1000", from: [a]}
  serial: {address: 20, type: string, length: 8, from: [a]}
commands:
  limit_ma: {address: 100, scale: "1000", range: [6000, 32000], pause: 0, from: [a]}
  failsafe_ma: {address: 101, scale: "1000", range: [6000, 32000], from: [a]}
  watchdog_ms: {address: 102, scale: "1000", range: [1000, 60000], from: [a]}
abilities: {keepalive: limit_ma}
evidence: one source, nothing was compared
"""
FAILSAFE = '  failsafe_ma: {address: 101, scale: "1000", range: [6000, 32000], from: [a]}\n'
WATCHDOG = '  watchdog_ms: {address: 102, scale: "1000", range: [1000, 60000], from: [a]}\n'
SOURCE = 'sources:\n  a: {title: List, publisher: Somebody, url: "https://example.org/list"}\n'
RANGE = "range: [6000, 32000], pause: 0"
LIMIT = f'  limit_ma: {{address: 100, scale: "1000", {RANGE}, from: [a]}}\n'
COIL = "before: [{address: 5, table: coils, type: u16, value: 1}]"
FAULTS = [
    ("id: good", "id: other", "id", "the file is called good.yaml"),
    ("kind: charger", "kind: toaster", "kind", "toaster"),
    ("unit: 1", "unit: 300", "modbus.unit", "255"),
    ("unit: 1, transports: [tcp, rtu]", "unit: 255, transports: [rtu]", "modbus.unit", "no address on a serial line"),
    ("url: \"https://example.org/list\"", "url: somewhere", "sources.a.url", "no address of a page"),
    ("  current_l1_ma: {", "  curent_l1_ma: {", "points.curent_l1_ma", "did you mean current_l1_ma"),
    ("address: 12,", "adress: 12,", "points.current_l1_ma", "did you mean address"),
    ("address: 12,", "address: 99999,", "points.current_l1_ma.address", "65535"),
    ("address: 12,", "address: 65535,", "points.current_l1_ma.address", "behind the last address"),
    ("address: 12,", "address: 13,", "points.power_mw", "across current_l1_ma"),
    ("address: 12,", "address: 300,", "points.current_l1_ma", "forbids"),
    ("type: u32,", "type: i32,", "points.current_l1_ma.type", "i32"),
    ("type: u32,", "type: u32, length: 2,", "points.current_l1_ma.length", "a string has a length"),
    ("type: u32,", "type: string, length: 2,", "points.current_l1_ma.type", "a string needs a map"),
    ("type: u32,", "table: coils, type: u32,", "points.current_l1_ma.type", "coils"),
    ("type: u32,", 'type: u32, scale: "0",', "points.current_l1_ma.scale", "other than 0"),
    ("type: u32,", "type: u32, sum: [power_mw],", "points.current_l1_ma", "exactly one of"),
    ("type: u32,", "type: s32, mask: 0x0F,", "points.current_l1_ma.mask", "unsigned"),
    ("type: u32, from: [a]", "type: u32, from: [z]", "points.current_l1_ma.from", "no source z"),
    ("type: u32, from: [a]", "type: u32", "points.current_l1_ma", "from: [a]"),
    ("map: {0: A, 1: B, 2: C}", "map: {0: A, 1: X}", "points.state.map", "none of A to F"),
    ("map: {0: A, 1: B, 2: C}, ", "", "points.state", "needs a map or cases"),
    ("length: 8", "length: 9", "points.serial", "cannot be read"),
    ("commands:", "  _idle: {address: 40, from: [a]}\ncommands:", "points._idle", "nothing here uses this helper"),
    ("  limit_ma: {", "  voltage_l1_mv: {", "commands.voltage_l1_mv", "nothing that can be told"),
    ("range: [6000, 32000], pause: 0", "range: [6000, 99000000]", "commands.limit_ma.range", "cannot be written"),
    ("range: [6000, 32000], pause: 0", "range: [0, 32000], pause: 0", "commands.limit_ma.pause", "within the range"),
    ("range: [6000, 32000], pause: 0", "range: [32000, 6000]", "commands.limit_ma.range", "ends before it begins"),
    ("address: 101,", "address: 100,", "commands.failsafe_ma", "which is it"),
    ("pause: 0, from", "pause: 0, verify: offered_ma, from", "commands.limit_ma.verify", "no point offered_ma"),
    ("pause: 0, from", "pause: 0, function: 5, from", "commands.limit_ma.function", "does not write"),
    ("keepalive: limit_ma", "keepalive: alive", "abilities.keepalive", "no command alive"),
    ("abilities: {keepalive: limit_ma}\n", "abilities: {}\n", "abilities.keepalive", "what keeps the watchdog content"),
    ("abilities: {keepalive: limit_ma}\n", "", "abilities", "a charger needs abilities"),
    ("keepalive: limit_ma", "keepalive: limit_ma, phase_switching: true", "abilities.phase_switching", "phase_switch"),
    (WATCHDOG, "", "commands.failsafe_ma", "watchdog"),
    (FAILSAFE, "", "abilities", "without a fail-safe"),
    ("evidence: one source, nothing was compared", "evidence: none", "evidence", "which registers"),
    ("  power_mw:", "  current_l1_ma:", "points.current_l1_ma", "is there twice"),
    ("vendor: Somebody", "vendor: [", "", "is no YAML"),
    ("vendor: Somebody\n", "", "", "vendor"),
    (SOURCE, "sources: {}\n", "sources", "at least one source"),
    ("models: [One]", "models: []", "models", "at least one model"),
    ("  state: {address: 10, map: {0: A, 1: B, 2: C}, from: [a]}\n", "", "points", "a charger needs state"),
    ("evidence:", "simulate: {power_w: 1}\nevidence:", "simulate.power_w", "no such point"),
    ("evidence:", "outlets: {count: 2}\nevidence:", "outlets", "by how much"),
    ("evidence:", "sunspec: {models: [0]}\nevidence:", "sunspec.models", "1 to 65534"),
    ("[[300, 310]]", "[[310, 300]]", "modbus.forbidden", "ends before it begins"),
    ("address: 12, type: u32,", "sunspec: 103.AphA,", "points.current_l1_ma.sunspec", "no section sunspec"),
    ("type: u32,", "type: u32, valid: [9, 1],", "points.current_l1_ma.valid", "ends before it begins"),
    ("address: 12, type: u32, from: [a]", "sum: [power_l9_mw]", "points.current_l1_ma.sum", "no point power_l9_mw"),
    ("address: 12, type: u32, from: [a]", "sum: [serial]", "points.current_l1_ma.sum", "serial is no number"),
    ("type: u32,", "type: u32, map: {1: x},", "points.current_l1_ma.map", "'x' is no number"),
    ("type: u32,", "table: coils, type: bit, map: {2: 1},", "points.current_l1_ma.map", "a bit is 0 or 1"),
    ("type: u32,", "type: u32, map: {x: 1},", "points.current_l1_ma.map", "raw values of a string"),
    ("address: 100,", "address: 100, type: string,", "commands.limit_ma.type", "a command is a number"),
    ("address: 100,", 'address: 100, sunspec: "123.W",', "commands.limit_ma", "either an address or sunspec"),
    ("address: 100,", 'sunspec: "123.W",', "commands.limit_ma.sunspec", "no section sunspec"),
    ('address: 100, scale: "1000"', 'address: 100, scale: "0"', "commands.limit_ma.scale", "other than 0"),
    ("pause: 0,", "pause: 0, before: [{value: 1}],", "commands.limit_ma.before.0", "either an address or sunspec"),
    ("pause: 0,", f"pause: 0, {COIL},", "commands.limit_ma.before.0.type", "coils are of type bit"),
    (RANGE, "map: {1: 6000, 2: 6000}", "commands.limit_ma.map", "mean the same"),
    (RANGE, "map: {1: 6000}, range: [6000, 32000]", "commands.limit_ma.range", "names all values"),
    ("pause: 0,", "pause: 0, wear: true,", "commands.limit_ma.wear", "must not wear"),
    (LIMIT, "", "commands", "cannot be told anything is a meter"),
    ("keepalive: limit_ma", "keepalive: limit_ma, step_ma: 0", "abilities", "do not fit together"),
]  # fmt: skip


def test_the_good_file_is_good() -> None:
    assert parse_device(GOOD, "good.yaml").commands["limit_ma"].address == 100


@pytest.mark.parametrize(("old", "new", "where", "words"), FAULTS, ids=lambda each: str(each)[:30])
def test_a_fault_is_said_where_it_is(old: str, new: str, where: str, words: str) -> None:
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    with pytest.raises(FaultyFile) as caught:
        parse_device(text, "good.yaml")
    found = [fault for fault in caught.value.faults if fault.where == where and words in fault.text]
    assert found, str(caught.value)
    line = text.splitlines()[found[0].line - 1]
    there = any(part in line for part in where.split("."))
    assert there or (found[0].line == 1 and where.split(".")[0] + ":" not in text), f"line {found[0].line}: {line!r}"
    assert str(found[0]).startswith(f"good.yaml:{found[0].line}: ")


def test_all_faults_are_said_at_once() -> None:
    text = GOOD.replace("from: [a]", "from: [z]")
    with pytest.raises(FaultyFile) as caught:
        parse_device(text, "good.yaml")
    assert len(caught.value.faults) == 7
    lines = [fault.line for fault in caught.value.faults]
    assert lines == sorted(lines)


def test_cycles_and_cases_that_are_never_looked_at() -> None:
    text = GOOD.replace(
        "commands:", "  voltage_l1_mv: {sum: [voltage_l2_mv]}\n  voltage_l2_mv: {sum: [voltage_l1_mv]}\ncommands:"
    )
    with pytest.raises(FaultyFile, match="is made from itself"):
        parse_device(text, "good.yaml")
    text = GOOD.replace("commands:", "  cable: {cases: [{is: 1}, {when: {state: [A]}, is: 0}]}\ncommands:")
    with pytest.raises(FaultyFile, match="never looked at"):
        parse_device(text, "good.yaml")


def test_the_library_has_no_fault_and_every_name_is_found() -> None:
    library = load_library()
    assert len(library) >= 60
    assert find_device("keba-p30") == library["keba-p30"] == load_device(LIBRARY / "chargers" / "keba-p30.yaml")
    with pytest.raises(ConfigError, match="did you mean"):
        find_device("keba-p31")


def test_a_file_in_the_wrong_folder(tmp_path: Path) -> None:
    (tmp_path / "meters").mkdir()
    (tmp_path / "meters" / "good.yaml").write_text(GOOD)
    with pytest.raises(FaultyFile, match="belongs into the folder chargers/"):
        load_library(tmp_path)
    with pytest.raises(FaultyFile, match="cannot be read"):
        load_device(tmp_path / "nothing.yaml")


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 40), st.text("{}[]:,-&*!|>'\"%@` \n\tax0", max_size=6))
@settings(max_examples=150, derandomize=True, deadline=None)
def test_any_text_is_a_device_or_a_fault_with_a_line(at: int, length: int, put: str) -> None:
    text = GOOD[:at] + put + GOOD[at + length :]
    try:
        parse_device(text, "good.yaml")
    except FaultyFile as error:
        assert all(re.match(r"good\.yaml:\d+: .", str(fault)) for fault in error.faults)
