"""`telecontrol:` of a site's file: what is wrong in it, and the way from a contact to a set-point and a record."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.site.site_kit import TEXT, Small, config_of

from pilotwire.cli.main import main
from pilotwire.core.errors import ConfigError
from pilotwire.core.time import SimScheduler
from pilotwire.domain.energy import Limit
from pilotwire.domain.telecontrol import Figure
from pilotwire.site import parts
from pilotwire.site.compiled import compile_site
from pilotwire.site.config import SiteConfig, read
from pilotwire.site.devices.behaviour import ContactsBehaviour
from pilotwire.site.devices.load import LIBRARY, load_device
from pilotwire.site.ports import Value
from pilotwire.site.telecontrol.filed import from_file
from pilotwire.site.telecontrol.log import InterventionLog
from pilotwire.site.telecontrol.part import LOG_NAME, TelecontrolPart, open_log

WHOLE = """
telecontrol:
  contacts:
    - {id: w3, device: io, point: input_1}
    - {id: s2, device: io, point: input_2}
    - {id: s1, device: io, point: input_3, other: input_4, debounce_s: 0.2, release_s: 1}
    - {id: w4, device: io, point: input_5, broken: active, lost: active, stale_s: 5}
    - {id: k1, device: io, point: input_6, levels: {open: [100, 200], closed: [300, 400]}}
  receivers:
    - {id: box, source: control box, node: grid, fnn: {w3: w3, s2: s2, s1: s1, w4: w4}, minimum_s: 60}
    - id: ripple
      source: ripple control
      node: grid
      coded: true
      rows:
        - {contacts: [k1], limits: import, kw: 12.5}
        - {contacts: [], limits: import, free: true}
  schedules:
    - id: plan
      source: operator's file
      node: grid
      file: plan.csv
      stale: {kw: 10}
      missing: {percent: 50}
      reference_kw: 40
  registers:
    - {id: rtu, source: control room, node: grid, listen: "127.0.0.1:0", writers: [10.0.0.9], watchdog_s: 60,
       lost: {percent: 30}}
"""
SITE = """
site: {id: dimmed}
nodes:
  - {id: grid, kind: connection, meter: main, side_lost_a: 5, limits: [{source: fuse, current_a: 63}]}
devices:
  - {id: main, kind: meter, file: eastron-sdm630, endpoint: "tcp://127.0.0.1:1"}
  - {id: io, kind: contacts, file: moxa-iologik-e1210, endpoint: "tcp://127.0.0.1:2"}
  - {id: roof, kind: inverter, file: fronius-symo, endpoint: "tcp://127.0.0.1:3"}
evses:
  - {id: a, node: grid, rotation: RST, charger: {file: keba-p30, endpoint: "tcp://127.0.0.1:4"}}
steering:
  steuve: [{node: grid, devices: [a]}]
  inverters: [{id: roof, node: grid, nominal_kw: 20}]
"""


def wrong(text: str, folder: Path = Path()) -> list[str]:
    config, found = read(text)
    if config is not None:
        found = parts.findings(config, folder)
    return [str(each) for each in found if each.severity == "error"]


def test_the_whole_of_it_is_understood(tmp_path: Path) -> None:
    assert wrong(SITE + WHOLE) == []
    section = config_of(SITE + WHOLE).telecontrol
    assert section is not None
    made = from_file(section, tmp_path)
    contacts = {each.contact.id: each.contact for each in made.inputs}
    assert (contacts["s1"].debounce_on_ms, contacts["s1"].debounce_off_ms, contacts["s1"].changeover) == (
        200,
        1000,
        True,
    )
    assert (contacts["w4"].broken, contacts["w4"].lost, contacts["w4"].stale_ms) == ("active", "active", 5_000)
    levels = contacts["k1"].levels
    assert levels is not None and (levels.open, levels.closed) == ((100, 200), (300, 400))
    box, ripple = made.receivers
    assert [row.figure and row.figure.permille for row in box.rows] == [0, 300, 600, None]
    assert (box.rows[3].kind, box.rows[3].figure, box.minimum_ms) == ("steuve_limit", Figure(), 60_000)
    assert ripple.coding == "coded" and ripple.rows[0].figure == Figure(value_mw=12_500_000)
    assert ripple.rows[1].figure is None, "the pattern says: no limit"
    (plan,) = made.schedules
    assert (plan.path, plan.rules.kind, plan.poll_ms) == (str(tmp_path / "plan.csv"), "import_limit", 10_000)
    assert (plan.rules.stale, plan.rules.missing) == (Figure(value_mw=10_000_000), Figure(permille=500))
    (rtu,) = made.registers
    assert (rtu.rules.kind, rtu.rules.lost, rtu.rules.lost_figure) == ("export_limit", "figure", Figure(permille=300))
    assert rtu.rules.watchdog_ms == 60_000 and rtu.port == 0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("device: io, point: input_1}", "device: oi, point: input_1}", "contacts[w3].device: there is no device oi"),
        ("point: input_2}", "point: input_20}", "contacts[s2].point: device io has no input_20"),
        ("other: input_4", "other: power_mw", "contacts[s1].other: device io has no power_mw"),
        ("debounce_s: 0.2", "debounce_s: -1", "debounce_s: -1 has to be at least 0"),
        ("debounce_s", "debounce_ms", "did you mean debounce_s"),
        ("closed: [300, 400]", "closed: [150, 400]", "the levels of open and closed overlap"),
        ("w3: w3", "w3: w5", "there is no contact 'w5'"),
        ("node: grid, fnn", "node: gird, fnn", "there is no node 'gird'"),
        (", fnn: {w3: w3, s2: s2, s1: s1, w4: w4}", "", "receivers[box]: needs exactly one of dims, fnn and rows"),
        ("coded: true", "dims: w4", "it has dims and rows"),
        ("free: true", "free: true, kw: 3", "says that nothing is limited, beside a limit"),
        (
            "limits: import, kw: 12.5",
            "limits: steuve, percent: 50",
            "a share is only meant of the installed generation",
        ),
        ("reference_kw: 40", "poll_s: 5", "a share of the import needs reference_mw"),
        ('listen: "127.0.0.1:0"', 'listen: "somewhere"', "registers[rtu].listen: 'somewhere' is no HOST:PORT"),
        ("writers: [10.0.0.9]", "writers: [10.0.0.900]", "registers[rtu].writers"),
        (", watchdog_s: 60", "", "registers[rtu].lost: needs watchdog_s"),
        ("percent: 30}", "percent: 130}", "percent: 130 has to be at most 100"),
        ("id: plan", "id: rtu", "telecontrol rtu is there twice"),
        ("  steuve: [{node: grid, devices: [a]}]\n", "", "enter them in steering.steuve, with node: grid"),
        ("  inverters: [{id: roof, node: grid, nominal_kw: 20}]\n", "", "enter what there is in steering.inverters"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(old: str, new: str, said: str) -> None:
    text = SITE + WHOLE
    assert old in text
    found = wrong(text.replace(old, new, 1))
    assert any(said in each for each in found), found


@pytest.mark.parametrize(("amps", "said"), [(6, False), (7, True), (32, True)])
def test_chargers_that_fall_back_to_more_than_a_dimming_leaves_are_worth_a_word(amps: int, said: bool) -> None:
    """One device is left 4.2 kW: 6.08 A on three phases."""
    text = (SITE + WHOLE).replace("side_lost_a: 5", "side_lost_a: 20") + f"failsafe: {{current_a: {amps}}}\n"
    found = [each for each in parts.findings(config_of(text), Path()) if "fall back to" in each.text]
    assert bool(found) is said
    assert all(each.severity == "warning" and each.where == "steering.steuve[grid]" for each in found)


def test_two_servers_at_one_address_are_refused() -> None:
    server = 'modbus_servers: [{listen: "127.0.0.1:1502"}]\n'
    text = SITE + WHOLE.replace('"127.0.0.1:0"', '"127.0.0.1:1502"') + server
    assert any("modbus_servers[1] listens there already" in each for each in wrong(text))


def test_a_register_that_nobody_may_write_is_worth_a_word() -> None:
    config = config_of(SITE + WHOLE.replace("writers: [10.0.0.9], ", ""))
    found = parts.findings(config, Path())
    assert any(each.severity == "warning" and "nobody may write it" in each.text for each in found)


class Inputs:
    """A module of digital inputs."""

    def __init__(self, scheduler: SimScheduler) -> None:
        self.id, self.online, self.answers = "io", True, True
        self.inside = ContactsBehaviour(load_device(LIBRARY / "contacts" / "moxa-iologik-e1210.yaml"))
        self.values: dict[int, int] = {}
        """What an input shows that is neither open nor closed."""
        self._scheduler = scheduler
        self._last: dict[str, Value] = {}

    def points(self) -> Mapping[str, Value]:
        if self.answers:
            now = int(self._scheduler.now()) // 1_000 * 1_000
            shown = {**self.inside.step(now)} | {f"input_{number}": raw for number, raw in self.values.items()}
            self._last = {name: Value(int(raw), now) for name, raw in shown.items()}
        return self._last

    def command(self, name: str, value: int, done: Any) -> None:
        raise AssertionError("inputs are told nothing")


DIMS = """
steering: {steuve: [{node: garage, devices: [a, b, c]}]}
telecontrol:
  contacts: [{id: w4, device: io, point: input_1, stale_s: 5, lost: active, broken: active}]
  receivers: [{id: box, source: DSO, node: garage, dims: w4}]
  schedules: [{id: plan, source: plan, node: grid, file: plan.csv, poll_s: 1, missing: {kw: 30}}]
"""
FLOOR_MW = 4_200_000 + 2 * 750 * 4_200_000 // 1_000
"""Of three devices behind one energy management."""


class World:
    """The loop of a small site in simulated time, and telecontrol beside it."""

    def __init__(self, tmp: Path, start: int = 1_800_000_000_000) -> None:
        text = TEXT.replace("devices:\n", "devices:\n  - {id: io, kind: contacts, file: none, endpoint: none}\n") + DIMS
        self.small = Small(text, start=start)
        self.config: SiteConfig = self.small.config
        self.tmp = tmp
        self.inputs = Inputs(self.small.time)
        self.small.loop.devices["io"] = self.inputs
        self.said: list[str] = []
        for charger in self.small.chargers.values():
            charger.plug(32_000)
        self.part = self.new()

    def new(self) -> TelecontrolPart:
        assert self.config.telecontrol is not None
        return TelecontrolPart(
            self.config.telecontrol, {"grid": "main"}, self.tmp, self.tmp, self.said.append,
            scheduler=lambda: self.small.time, utc=lambda: int(self.small.time.now()),
        )  # fmt: skip

    async def start(self) -> None:
        await self.part.start(self.small.loop)

    async def again(self) -> None:
        """Killed, and a new process: nobody had time to close anything."""
        await self.part.stop()  # SQLite's file has what was committed; its handles would leak in one process
        self.small.loop.watchers.clear()
        self.small.begin()
        self.small.loop.devices["io"] = self.inputs
        self.part = self.new()
        await self.start()

    @property
    def garage_mw(self) -> int:
        """What the three EVSEs of the garage may draw."""
        given = self.small.set_points()
        return (given["a"] * 3 + given["b"] * 3 + given["c"]) * 230

    @property
    def controls(self) -> set[str]:
        return {each.id for each in self.small.loop.external.controls}


async def test_a_contact_dims_to_the_legal_floor_and_the_record_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(tmp_path)
    await world.start()
    world.small.run(120)
    free = world.garage_mw
    assert free > FLOOR_MW * 3 // 2 and world.controls == {"plan"}, "no schedule yet: 30 kW at the connection"
    world.inputs.inside.closed = {1}
    world.small.run(30)
    assert world.controls == {"plan", "box/steuve_limit"}
    # No less than the law leaves, but for steps of 6 A that cannot be given; no more than that.
    assert FLOOR_MW * 6 // 10 <= world.garage_mw <= FLOOR_MW
    await world.again()
    world.small.run(30)
    assert world.controls == {"plan", "box/steuve_limit"} and world.garage_mw <= FLOOR_MW, "a restart frees nobody"
    world.inputs.inside.closed = set()
    world.small.run(120)
    assert world.controls == {"plan"} and world.garage_mw > FLOOR_MW
    await world.part.stop()
    assert main(["site", "interventions", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert said.count("steuve limit") == 1 and "DSO" in said and "10.5" in said and "goes on" in said, said
    assert main(["site", "interventions", str(tmp_path), "--csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (row,) = [line.split(",") for line in lines[1:] if "box/" in line]
    assert row[2:6] == ["DSO", "steuve_limit", "garage", str(FLOOR_MW // 1_000)] and row[-1] == "1", "seen to its end"
    assert int(row[8]) > FLOOR_MW // 1_000 >= int(row[9]) > 0, "what they drew before, and under it"


async def test_a_lost_module_and_a_broken_wire_are_what_is_written_for_them(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.start()
    world.small.run(60)
    world.inputs.answers = False
    world.small.run(8)
    assert "box/steuve_limit" in world.controls and any("contact w4 is lost" in each for each in world.said)
    world.inputs.answers = True
    world.small.run(5)
    assert "box/steuve_limit" not in world.controls
    world.inputs.values[1] = 7  # neither open nor closed
    world.small.run(5)
    assert "box/steuve_limit" in world.controls and any("w4 is broken" in each for each in world.said)
    del world.inputs.values[1]
    world.small.run(5)
    assert world.controls == {"plan"}
    await world.part.stop()


async def test_orders_of_others_stand_beside_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.start()
    loop = world.small.loop
    other = {"grid": (Limit(source="modbus 10.0.0.7", power_mw=20_000_000),)}
    loop.external = msgspec.structs.replace(loop.external, limits=other)
    world.inputs.inside.closed = {1}
    world.small.run(10)
    assert loop.external.limits == other and world.controls == {"plan", "box/steuve_limit"}
    await world.part.stop()


async def test_a_schedule_is_read_when_it_comes_and_when_it_changes(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.start()
    world.small.run(20)

    def limit() -> int | None:
        return next((each.value_mw for each in world.small.loop.external.controls if each.id == "plan"), None)

    def write(version: int, kw: int) -> None:
        (tmp_path / "plan.csv").write_bytes(
            f"# version: {version}\n# valid_until: 2027-01-16T00:00:00Z\n# entries: 1\nfrom,until,kw\n"
            f"2027-01-14T00:00:00Z,2027-01-16T00:00:00Z,{kw}\n".encode()
        )

    assert limit() == 30_000_000
    write(1, 12)
    world.small.run(5)
    assert limit() == 12_000_000
    write(2, 9)
    world.small.run(5)
    assert limit() == 9_000_000
    (tmp_path / "plan.csv").write_bytes(b"\xff\x00 nonsense")
    world.small.run(5)
    assert limit() == 9_000_000 and any("is not taken" in each for each in world.said), "the last good one holds"
    await world.again()
    world.small.run(2)
    assert limit() == 9_000_000, "also over a restart with a file that cannot be read"
    await world.part.stop()


def test_a_damaged_record_is_put_aside_and_said(tmp_path: Path) -> None:
    path = tmp_path / LOG_NAME
    path.write_bytes(b"SQLite format 3\0" + b"\x99" * 5_000)
    log, aside = open_log(path, 77)
    log.close()
    assert "put aside as interventions.db.damaged-77" in aside
    assert (tmp_path / "interventions.db.damaged-77").stat().st_size == 5_016
    with pytest.raises(ConfigError, match="cannot use"):
        open_log(tmp_path / "nowhere" / LOG_NAME, 0)


def test_a_folder_without_a_record_and_one_with_rubbish_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["site", "interventions", str(tmp_path)]) == 1
    assert "there is no" in capsys.readouterr().err
    (tmp_path / LOG_NAME).write_bytes(b"rubbish" * 1_000)
    assert main(["site", "interventions", str(tmp_path)]) == 1
    assert "cannot be read" in capsys.readouterr().err
    (tmp_path / LOG_NAME).unlink()
    InterventionLog(tmp_path / LOG_NAME).close()
    assert main(["site", "interventions", str(tmp_path), "--from", "yesterday"]) == 1
    assert "--from yesterday" in capsys.readouterr().err


def test_a_site_with_telecontrol_alone_is_steered() -> None:
    assert compile_site(config_of(TEXT + "telecontrol: {}\n")).steering is not None
