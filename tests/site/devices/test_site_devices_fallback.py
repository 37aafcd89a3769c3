"""What a load falls back to: in its registers, read back, and in force when nobody speaks to it. In simulated time."""

from __future__ import annotations

import msgspec
from tests.site.devices.rig import Rig
from tests.site.site_kit import config_of
from tests.site.test_site_loads import LOADED

from pilotwire.domain.commissioning import FailsafeResult
from pilotwire.site.commissioning import failsafe_loads
from pilotwire.site.commissioning.course import drive
from pilotwire.site.compiled import overloads
from pilotwire.site.devices.behaviour import LoadBehaviour
from pilotwire.site.devices.fallback import LoadDriver
from pilotwire.site.devices.load import find_device
from pilotwire.site.devices.schema import Command, DeviceFile
from pilotwire.site.ports import Fallible, Told

THOR = find_device("my-pv-ac-thor")
PUMP = msgspec.structs.replace(
    THOR,
    commands=THOR.commands | {"failsafe_mw": Command(address=1200, scale=THOR.commands["limit_mw"].scale)},
    abilities=msgspec.structs.replace(THOR.abilities, failsafe_mw=None),
)
"""The same with a register for what it falls back to."""


class Cellar:
    """A load and its driver."""

    def __init__(self, device: DeviceFile) -> None:
        self.rig = Rig()
        inside = self.rig.simulator.add(device)
        assert isinstance(inside, LoadBehaviour)
        self.load = inside
        self.driver = LoadDriver("cooler", device, self.rig.link(), self.rig.clock)
        self.driver.start()
        self.answers: list[Told] = []
        self.rig.run(4_000)

    def failsafe(self, value: int, watchdog_ms: int) -> Told:
        before = len(self.answers)
        self.driver.failsafe(value, watchdog_ms, self.answers.append)
        self.rig.run(3_000)
        assert len(self.answers) == before + 1, "told exactly once"
        return self.answers[-1]

    def power_mw(self) -> int:
        """As it is measured now."""
        self.rig.run(2_000)
        return self.driver.points()["power_mw"].value

    def commissioned(self) -> FailsafeResult:
        """What the wizard says of it."""
        config = config_of(LOADED.replace("failsafe_kw: 3,\n     watchdog_s: 60", "priority: 0"))
        heard: list[FailsafeResult] = []
        now = lambda: int(self.rig.clock.now())  # noqa: E731
        course = failsafe_loads.course(
            config, [self.driver], now=now, utc=now, progress=lambda *_: None, heard=heard.append
        )
        drive(course, self.rig.clock, lambda result, error: None)
        self.rig.run(40_000)
        (result,) = heard
        return result


def test_it_is_set_and_read_back_and_not_written_again() -> None:
    cellar = Cellar(PUMP)
    assert isinstance(cellar.driver, Fallible)
    assert cellar.failsafe(1_000_000, 60_000) == Told(True)
    assert cellar.rig.written() == [(1200, 1_000), (1004, 60)]
    assert (cellar.load.failsafe_mw, cellar.load.watchdog_ms) == (1_000_000, 60_000)
    cellar.rig.audits.clear()
    assert cellar.failsafe(1_000_000, 60_000) == Told(True)
    assert cellar.rig.written() == [], "such registers wear"


def test_left_alone_it_falls_back() -> None:
    cellar = Cellar(PUMP)
    assert cellar.failsafe(1_000_000, 60_000).ok
    cellar.driver.command("limit_mw", 3_000_000, cellar.answers.append)
    assert cellar.power_mw() == 3_000_000
    cellar.rig.run(61_000)
    assert cellar.power_mw() == 1_000_000
    cellar.driver.command("limit_mw", 2_000_000, cellar.answers.append)
    assert cellar.power_mw() == 2_000_000


def test_what_it_does_not_take_is_told() -> None:
    cellar = Cellar(PUMP)
    cellar.rig.deaf_to.add(1004)
    told = cellar.failsafe(1_000_000, 60_000)
    assert not told.ok
    fixed = Cellar(THOR)
    assert fixed.failsafe(0, 60_000).ok, "it heats no more by itself, and its time-out can be set"
    none = Cellar(find_device("my-pv-ac-elwa-2"))
    assert none.failsafe(0, 60_000) == Told(False, "my-pv-ac-elwa-2 has no watchdog")
    assert none.rig.written() == []


def test_the_wizard_sets_it_and_counts_it_with_its_maximum_until_it_is_read_back() -> None:
    result = Cellar(PUMP).commissioned()
    assert (result.evse, result.outcome, result.value, result.watchdog_ms) == ("cooler", "confirmed", 1_000_000, 60_000)
    assert result.words == "falls back to 1 kW after 60 s without a word; read back"
    assert Cellar(find_device("my-pv-ac-elwa-2")).commissioned().outcome == "refused"
    silent = Cellar(PUMP)
    silent.rig.deaf = True
    silent.rig.run(10_000)
    assert silent.commissioned().outcome == "offline"
    config = config_of(LOADED.replace("maximum_kw: 4,", "maximum_kw: 22,"))
    assert not overloads(config)
    everybody = {"pump", "cooler", *(each.id for each in config.evses)}
    assert not overloads(config, everybody)
    assert "cooler" in " ".join(each.words for each in overloads(config, everybody - {"cooler"}))
