"""Heat pumps, batteries and inverters in the tree: from the file to shares, commands, fail-safe check and record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from tests.site.site_kit import TEXT, Small, config_of
from tests.site.test_site_steered import Plain

from pilotwire.domain.energy import Load, Resource
from pilotwire.domain.steering import Control, External
from pilotwire.site import parts
from pilotwire.site.compiled import compile_site, findings, overloads
from pilotwire.site.config import read
from pilotwire.site.decide import SiteState
from pilotwire.site.devices.load import find_device
from pilotwire.site.devices.schema import Abilities
from pilotwire.site.fallbacks import Fallbacks
from pilotwire.site.loads import device_findings
from pilotwire.site.log import SiteLog
from pilotwire.site.ports import Told
from pilotwire.site.replay import Step, replay

LOADED = (
    TEXT.replace(
        "  - {id: main, kind: meter, file: none, endpoint: none}",
        "  - {id: main, kind: meter, file: none, endpoint: none}\n"
        "  - {id: pump, kind: load, file: none, endpoint: none}\n"
        "  - {id: cooler, kind: load, file: none, endpoint: none}\n"
        "  - {id: store, kind: battery, file: none, endpoint: none}",
    )
    + """
loads:
  - {id: pump, node: garage, maximum_kw: 6, levels_kw: [3, 6], modes: [1, 2, 4], floor_kw: 3, failsafe_kw: 3,
     watchdog_s: 60}
  - {id: cooler, node: grid, maximum_kw: 4, step_kw: 0.5, min_off_s: 30, failsafe_kw: 1, watchdog_s: 60}
resources:
  - {id: store, node: garage, lost_a: 2, feeds_a: 10}
"""
)


class Loaded(Small):
    """Loads take at once what they are told, and flow at their nodes."""

    def begin(self, state: SiteState | None = None):  # type: ignore[no-untyped-def]
        self.pump = Plain("pump", lambda: self, power_mw=0)
        self.cooler = Plain("cooler", lambda: self, power_mw=0)
        self.store = Plain("store", lambda: self, power_mw=0, soc_permille=500)
        self.meters |= {"pump": self.pump, "cooler": self.cooler, "store": self.store}  # type: ignore[dict-item]
        return super().begin(state)

    def obey(self) -> None:
        """What the loads draw after their last commands."""
        mode = next((value for name, value in reversed(self.pump.told) if name == "mode"), 1)
        self.pump.says["power_mw"] = {1: 0, 2: 3_000_000, 4: 6_000_000}[mode]
        limit = next((value for name, value in reversed(self.cooler.told) if name == "limit_mw"), 0)
        self.cooler.says["power_mw"] = limit
        ma = self.pump.says["power_mw"] // 690
        self.side("garage", (ma, ma, ma))
        ma = self.cooler.says["power_mw"] // 690
        self.side("grid", (ma, ma, ma))

    def live(self, seconds: int) -> None:
        for _ in range(seconds):
            self.run(1)
            self.obey()
            for node, most in (("grid", 63_000), ("garage", 40_000)):
                self.highest[node] = max(self.highest.get(node, 0), *self.plant.flows(node))
                over = max(self.plant.flows(node)) > most
                self.over[node] = self.over.get(node, 0) + 1 if over else 0
                assert self.over[node] <= 8, f"{node} above its limit"

    @property
    def highest(self) -> dict[str, int]:
        return self.__dict__.setdefault("_highest", {})

    @property
    def over(self) -> dict[str, int]:
        return self.__dict__.setdefault("_over", {})


def test_the_sections_become_members_of_the_tree() -> None:
    site = compile_site(config_of(LOADED))
    assert site.topology.loads["pump"] == Load(
        id="pump", node="garage", maximum=6_000_000, levels=(3_000_000, 6_000_000), floor=3_000_000,
        failsafe=3_000_000, watchdog_ms=60_000,
    )  # fmt: skip
    assert site.topology.tree.resources == (
        Resource(id="store", node="garage", kind="battery", lost_ma=(2_000,) * 3, feeds_ma=(10_000,) * 3),
    )
    assert site.feeds == {"grid": (10_000, 10_000, 10_000)}


def test_a_load_has_its_floor_before_cars_and_is_told_by_level_or_power() -> None:
    small = Loaded(LOADED)
    for id in "ab":
        small.chargers[id].plug(32_000)
    small.live(120)
    assert small.loop.counts.failures == 0, small.said
    assert small.pump.says["power_mw"] >= 3_000_000, "its floor comes first"
    assert small.cooler.says["power_mw"] > 0
    assert ("pump", "limit_mw") not in {("pump", name) for name, _ in small.pump.told}
    drawn = small.drawn()
    assert drawn["a"] >= 6_000
    assert drawn["b"] >= 6_000
    assert small.highest["garage"] <= 46_000
    assert small.loop.decision is not None
    assert "pump" in small.loop.decision.reasons


def test_one_that_is_not_heard_is_counted_with_what_it_may_draw() -> None:
    small = Loaded(LOADED.replace("current_a: 45", "current_a: 63"))  # what binds is the garage, which has no meter
    for id in "ab":
        small.chargers[id].plug(32_000)
    small.live(60)
    assert small.pump.says["power_mw"] == 6_000_000
    small.pump.online = False
    small.run(30)
    assert ("pump", "offline") in small.marks()
    after = small.set_points()
    assert after["a"] + after["b"] <= 40_000 - 3_000_000 // 690, "what it falls back to is kept free"
    small.pump.online = True
    small.live(60)
    assert ("pump", "offline") not in small.marks()


@pytest.mark.parametrize(("name", "value"), [("failsafe_mw", 6_000_000), ("watchdog_ms", 600_000), ("watchdog_ms", 0)])
def test_registers_that_say_otherwise_are_believed_more_than_the_file(name: str, value: int) -> None:
    small = Loaded(LOADED.replace("current_a: 45", "current_a: 63"))
    for id in "ab":
        small.chargers[id].plug(32_000)
    small.live(60)
    small.pump.says[name] = value
    small.run(1)
    small.pump.online = False
    small.run(150)
    after = small.set_points()
    assert after["a"] + after["b"] <= 40_000 - 6_000_000 // 690, "its maximum is kept free, whatever its file says"


class _Falling(Plain):
    """A load with fail-safe registers, which takes them or does not."""

    def __init__(self, id: str, small: Loaded) -> None:
        super().__init__(id, lambda: small, power_mw=0)
        self.asked: list[tuple[int, int]] = []
        self.answer: Told | None = Told(True)
        self.waiting: list[Callable[[Told], None]] = []

    def failsafe(self, value: int, watchdog_ms: int, done: Callable[[Told], None]) -> None:
        self.asked.append((value, watchdog_ms))
        if self.answer is None:
            self.waiting.append(done)
        else:
            done(self.answer)


def _falling() -> tuple[Loaded, _Falling]:
    small = Loaded(LOADED)
    pump = _Falling("pump", small)
    small.loop.devices["pump"] = pump
    Fallbacks().watch(small.loop)
    return small, pump


def test_the_failsafe_registers_of_a_load_are_set_whenever_it_comes() -> None:
    small, pump = _falling()
    small.run(60)
    assert pump.asked == [(3_000_000, 60_000)], "once, for such registers wear"
    pump.online = False
    small.run(5)
    pump.online = True
    small.run(5)
    assert pump.asked == [(3_000_000, 60_000)] * 2, "it may have been without power"


def test_a_load_that_does_not_take_its_failsafe_is_marked_and_told_again() -> None:
    small, pump = _falling()
    pump.answer = Told(False, "read back otherwise")
    small.run(70)
    assert len(pump.asked) == 3, "each half a minute"
    words = next(each.words for each in small.loop.marks if (each.where, each.code) == ("pump", "unverified"))
    assert words.endswith("read back otherwise")
    pump.answer = Told(True)
    small.run(31)
    assert ("pump", "unverified") not in {(each.where, each.code) for each in small.loop.marks}


def test_an_answer_from_before_a_load_went_away_says_nothing() -> None:
    small, pump = _falling()
    pump.answer = None
    small.run(2)
    pump.online = False
    small.run(2)
    pump.online = True
    small.run(2)
    assert len(pump.asked) == 2
    pump.waiting[0](Told(True))
    small.run(40)
    assert len(pump.asked) == 3, "the second was never answered, so it is asked again"


def test_an_order_dims_a_load_to_no_less_than_its_floor() -> None:
    text = (
        LOADED
        + "steering:\n  loads: [{id: cooler, node: grid, nominal_kw: 4}]\n"
        + "  steuve: [{node: grid, devices: [cooler], control: direct}]\n"
    )
    small = Loaded(text.replace("maximum_kw: 4, step_kw: 0.5", "maximum_kw: 8, floor_kw: 2, step_kw: 0.5"))
    small.live(60)
    assert small.cooler.says["power_mw"] > 4_200_000
    told = len(small.cooler.told)
    small.loop.external = External(controls=(Control(id="1", source="operator", kind="steuve_limit", node="grid"),))
    small.live(20)
    assert small.cooler.says["power_mw"] == 4_000_000, "the highest step below 4.2 kW"
    assert set(small.cooler.told[told:]) == {("limit_mw", 4_000_000)}, "one voice tells it"


def test_the_fail_safe_check_counts_them() -> None:
    assert overloads(config_of(LOADED)) == ()
    wild = LOADED.replace(", failsafe_kw: 1, watchdog_s: 60", "").replace("maximum_kw: 4,", "maximum_kw: 22,")
    words = " ".join(each.words for each in overloads(config_of(wild)))
    assert "cooler" in words
    words = " ".join(each.words for each in overloads(config_of(LOADED.replace("lost_a: 2", "lost_a: 30"))))
    assert "garage" in words


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("modes: [1, 2, 4]", "modes: [1, 2]", "loads[pump].modes"),
        ("{id: pump, node: garage", "{id: main, node: garage", "loads[main]"),
        ("failsafe_kw: 1, watchdog_s: 60", "failsafe_kw: 1", "loads[cooler]"),
        ("failsafe_kw: 1,", "failsafe_kw: 5,", "loads[cooler].failsafe_kw"),
        ("failsafe_kw: 1, watchdog_s: 60", "failsafe_kw: 1, watchdog_s: 15", "loads[cooler].watchdog_s"),
        ("{id: store, node: garage, lost", "{id: pump, node: garage, lost", "resources[pump]"),
        ("min_off_s: 30", "minimum_off: 30", "loads[cooler].minimum_off"),
        ("levels_kw: [3, 6]", "levels_kw: [6, 3]", "load pump"),
        ("{id: cooler, node: grid", "{id: cooler, node: nowhere", "load cooler"),
    ],
)  # fmt: skip
def test_mistakes_are_named(old: str, new: str, where: str) -> None:
    assert old in LOADED
    config, found = read(LOADED.replace(old, new, 1))
    if config is not None:
        found = findings(config)
    assert where in {each.where for each in found if each.severity == "error"}, found


def test_a_device_that_cannot_be_told_is_named() -> None:
    text = LOADED.replace("file: none, endpoint: none", "file: eastron-sdm630, endpoint: 'tcp://127.0.0.1:502'")
    text = text.replace(
        "{id: cooler, kind: load, file: eastron-sdm630", "{id: cooler, kind: load, file: my-pv-ac-thor"
    ).replace("failsafe_kw: 1,", "failsafe_kw: 0,")
    said = [str(each) for each in parts.findings(config_of(text))]
    assert "loads[pump]: its device file eastron-sdm630 has no command mode" in said
    assert not [each for each in said if each.startswith("loads[cooler]")]


@pytest.mark.parametrize(
    ("file", "entry", "words"),
    [
        ("my-pv-ac-elwa-2", "failsafe_kw: 1, watchdog_s: 60", "my-pv-ac-elwa-2 has no watchdog"),
        ("my-pv-ac-thor", "failsafe_kw: 1, watchdog_s: 60", ""),
        ("fixed", "failsafe_kw: 1, watchdog_s: 30", "has a watchdog of 60 s that cannot be set"),
        ("fixed", "failsafe_kw: 1, watchdog_s: 60", "cannot be told what to fall back to"),
        ("fixed", "failsafe_kw: 2, watchdog_s: 60", ""),
    ],
)
def test_a_failsafe_that_its_device_does_not_have_is_refused(file: str, entry: str, words: str) -> None:
    """The file of the site alone says nothing of what is in the cabinet: `site check` would add up a wish."""
    entries = config_of(LOADED.replace("failsafe_kw: 1, watchdog_s: 60", entry))
    thor = find_device("my-pv-ac-thor")
    fixed = msgspec.structs.replace(
        thor,
        commands={"limit_mw": thor.commands["limit_mw"]},
        abilities=Abilities(keepalive="limit_mw", watchdog_ms=60_000, failsafe_mw=2_000_000),
    )
    device = fixed if file == "fixed" else find_device(file)
    found = [each for each in device_findings(entries, {"none": device}) if each.where == "loads[cooler].failsafe_kw"]
    assert [words in each.text for each in found] == ([True] if words else [])


def test_all_of_it_replays(tmp_path: Path) -> None:
    log = SiteLog(tmp_path, LOADED, version="test")
    log.begin(SiteState())
    small = Loaded(LOADED, record=log)
    small.chargers["a"].plug(32_000)
    small.live(30)
    log.close()
    steps = [each for each in replay(tmp_path) if isinstance(each, Step)]
    assert len(steps) > 25
    assert not [each.difference for each in steps if each.difference]
