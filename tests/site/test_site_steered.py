"""Contracts, sun and batteries in the loop: from the file to what cars and devices are told, and replayed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.site.site_kit import TEXT, Small, config_of

from pilotwire.domain.steering import Control, External, Measured
from pilotwire.site import decide as decide_module
from pilotwire.site.compiled import compile_site, findings
from pilotwire.site.config import read
from pilotwire.site.decide import SiteState
from pilotwire.site.log import SiteLog
from pilotwire.site.ports import Points, Told, Value
from pilotwire.site.replay import Note, Step, replay

STEERED = (
    TEXT.replace(
        "  - {id: main, kind: meter, file: none, endpoint: none}",
        "  - {id: main, kind: meter, file: none, endpoint: none}\n"
        "  - {id: roof, kind: inverter, file: none, endpoint: none}\n"
        "  - {id: store, kind: battery, file: none, endpoint: none}",
    )
    .replace("side_lost_a: 20", "side_lost_a: 20\n    feeds_a: 60")
    .replace("{id: d, node: grid,", "{id: d, node: grid, mode: pv,")
    + """
steering:
  surplus: {node: grid, enable_s: 20, disable_s: 30}
  batteries: [{id: store, node: grid, capacity_kwh: 20, charge_kw: 5, discharge_kw: 5}]
  inverters: [{id: roof, node: grid, nominal_kw: 30}]
  feed_in: [{node: grid, limit_kw: 10}]
  windows:
    - {id: quarter, node: grid, minutes: 15, contracted_kw: 20, hard: true, worst_kw: 60, side_lost_kw: 15}
  schedules:
    - {node: garage, limit: {source: night, current_a: 10}, span: {from: "22:00", until: "06:00"}}
"""
)
NOON = 1_800_014_400_000
"""2027-01-15T12:00:00Z."""


class Plain:
    """A device that says what it is given and remembers what it was told."""

    def __init__(self, id: str, small: Callable[[], Small], **points: int) -> None:
        self.id, self.online = id, True
        self.says = points
        self.told: list[tuple[str, int]] = []
        self._small = small

    def points(self) -> Points:
        now = int(self._small().time.now())
        return {name: Value(value, now) for name, value in self.says.items()}

    def command(self, name: str, value: int, done: Callable[[Told], None]) -> None:
        self.told.append((name, value))
        done(Told(True))


class Steered(Small):
    def begin(self, state: SiteState | None = None):  # type: ignore[no-untyped-def]
        self.roof = Plain("roof", lambda: self, power_mw=0)
        self.store = Plain("store", lambda: self, power_mw=0, soc_permille=500)
        self.meters |= {"roof": self.roof, "store": self.store}  # type: ignore[dict-item]
        return super().begin(state)


def test_every_section_is_in_the_units_of_people() -> None:
    site = compile_site(config_of(STEERED)).steering
    assert site is not None
    config = site.config
    assert config.windows[0].contracted_mw == 20_000_000
    assert config.windows[0].zone == "UTC"
    assert config.batteries[0].capacity_wh == 20_000
    assert config.schedules[0].limit.phases_ma == (10_000,) * 3
    assert (config.schedules[0].span.from_minute, config.schedules[0].span.until_minute) == (1_320, 360)
    assert config.surplus is not None and config.surplus.enable_ms == 20_000


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("capacity_kwh", "capacity_wh", "steering.batteries[store].capacity_wh"),
        ('from: "22:00"', 'from: "25:00"', "steering"),
        ("{id: store, node: grid, cap", "{id: shop, node: grid, cap", "steering, battery shop"),
        ("{id: quarter, node: grid", "{id: quarter, node: grind", "steering, demand window quarter"),
        ("  surplus: {node: grid, enable_s: 20, disable_s: 30}\n", "", "evses[d].mode"),
    ],
)  # fmt: skip
def test_mistakes_in_it_are_named(old: str, new: str, where: str) -> None:
    assert old in STEERED
    config, found = read(STEERED.replace(old, new, 1))
    if config is not None:
        found = findings(config)
    assert where in {each.where for each in found}


def test_a_window_and_an_order_lower_the_cars_and_all_of_it_replays(tmp_path: Path) -> None:
    log = SiteLog(tmp_path, STEERED, version="test")
    log.begin(SiteState())
    small = Steered(STEERED, start=NOON, record=log)
    for id in "ab":
        small.chargers[id].plug(32_000)
    small.chargers["d"].plug(32_000)
    small.run(120)
    assert small.loop.counts.failures == 0, small.said
    assert small.drawn()["d"] == 0, "it waits for the sun"
    assert small.drawn()["a"] > 6_000
    view = small.loop.decision.windows[0]  # type: ignore[union-attr]
    assert view.id == "quarter"
    small.loop.external = External(
        controls=(Control(id="1", source="operator", kind="import_limit", node="grid", value_mw=9_000_000),)
    )
    small.run(20)
    assert sum(small.plant.flows("grid")) * 230 <= 9_000_000
    small.loop.external = External()
    small.side("grid", (-58_000, -58_000, -58_000))
    small.roof.says["power_mw"] = -40_000_000
    small.run(150)
    assert small.drawn()["d"] >= 6_000, "the sun is out"
    small.run(600)
    assert small.loop.counts.failures == 0, small.said
    log.close()
    items = list(replay(tmp_path))
    assert not [item for item in items if isinstance(item, Note) and item.fault]
    steps = [item for item in items if isinstance(item, Step)]
    assert len(steps) == small.loop.counts.ticks
    assert not [step.difference for step in steps if step.difference]


def test_a_battery_and_an_inverter_are_told() -> None:
    small = Steered(STEERED, start=NOON)
    small.side("grid", (-60_000, -60_000, -60_000))
    small.roof.says["power_mw"] = -30_000_000
    small.run(60)
    assert any(name == "setpoint_mw" and value > 0 for name, value in small.store.told), "it stores what is too much"
    assert any(name == "power_limit_mw" and value < 30_000_000 for name, value in small.roof.told), "10 kW may go out"
    told = len(small.store.told)
    small.run(60)
    assert told < len(small.store.told) <= told + 60


def test_a_window_goes_on_after_a_restart(tmp_path: Path) -> None:
    from pilotwire.domain.energy import Moment
    from pilotwire.site.decide import resumed
    from pilotwire.site.store import SiteStore

    store = SiteStore(tmp_path / "site.db")
    small = Steered(STEERED, start=NOON + 60_000, memory=store)
    small.side("grid", (20_000, 20_000, 20_000))
    small.run(300)
    before = small.loop.decision.windows[0].energy_wh  # type: ignore[union-attr]
    assert before > 500
    small.loop._running = False
    small.loop._save()
    small.run(5)
    now = Moment(int(small.time.now()), int(small.time.now()))
    state = store.load(now).state
    assert state is not None
    small.begin(resumed(small.site, state, now))
    small.run(2)
    assert small.loop.decision is not None
    assert small.loop.decision.windows[0].energy_wh >= before


def test_steering_sees_what_a_car_was_offered_and_the_voltage_that_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A car that takes less than it was offered gives room back, and surplus is reckoned with the real voltage."""
    seen: list[Measured] = []
    real = decide_module.measured

    def spy(*arguments: Any) -> Measured:
        seen.append(real(*arguments))
        return seen[-1]

    monkeypatch.setattr(decide_module, "measured", spy)
    small = Steered(STEERED, start=NOON)
    small.chargers["a"].plug(8_000)
    small.run(60)
    told = small.set_points()["a"]
    assert told > 8_000
    car = seen[-1].cars["a"]
    assert car.offered_mw == told * 230 * 3
    assert car.power_mw == 8_000 * 230 * 3
    volts = seen[-1].meters["grid"].voltage_mv
    assert volts is not None and 230_000 < volts < 232_000
    small.chargers["a"].mute = True
    small.side("grid", (55_000, 55_000, 55_000))
    small.run(2.5)
    assert seen[-1].cars["a"].offered_mw is None, "which of two offers it has nobody knows"
