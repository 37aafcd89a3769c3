"""A small site with sun, a battery, a demand window and an order, that is watched, remembered and recorded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.site.site_kit import Small, config_of

from pilotwire.site.decide import Decision
from pilotwire.site.history import History
from pilotwire.site.history_file import Bounds
from pilotwire.site.inputs import TickInputs
from pilotwire.site.log import SiteLog
from pilotwire.site.loop import Loop
from pilotwire.site.ports import Points, Told, Value
from pilotwire.site.watch import Watched

TEXT = """
site: {id: seen, name: A seen site, time_zone: Europe/Berlin}
nodes:
  - id: grid
    kind: connection
    meter: main
    side_lost_a: 20
    feeds_a: 60
    limits: [{source: fuse, current_a: 63}, {source: building works, current_a: 50, from: "2027-02-01T00:00:00Z"}]
  - {id: garage, kind: feeder, parent: grid, limits: [{source: fuse, current_a: 40}]}
  - {id: yard, kind: feeder, parent: grid, limits: [{source: fuse, current_a: 40, imbalance_a: 20}]}
devices:
  - {id: main, kind: meter, file: none, endpoint: none}
  - {id: roof, kind: inverter, file: none, endpoint: none}
  - {id: cellar, kind: battery, file: none, endpoint: none}
sources:
  - {id: cloud, node: garage, lost_after_s: 60, lost_limit: {source: cloud lost, current_a: 32}}
failsafe: {current_a: 6, watchdog_s: 30}
steering:
  windows: [{id: quarters, node: grid, contracted_kw: 30, worst_kw: 60, side_lost_kw: 10}]
  contracts: [{node: yard, power_kw: 25}]
  schedules: [{node: yard, limit: {source: quiet hours, current_a: 20}, span: {from: "22:00", until: "06:00"}}]
  rates: [{import_price: 0.30, export_price: 0.08}]
  surplus: {node: grid, enable_s: 20, disable_s: 40, grace_s: 20}
  batteries: [{id: cellar, node: grid, capacity_kwh: 20, charge_kw: 5, discharge_kw: 5}]
  inverters: [{id: roof, node: grid, nominal_kw: 15}]
  feed_in: [{node: grid, share_percent: 60}]
evses:
  - {id: a, node: garage, rotation: RST, maximum_a: 32, charger: {ocpp: A}}
  - {id: b, node: garage, rotation: STR, maximum_a: 32, charger: {ocpp: B}}
  - {id: c, node: yard, rotation: TRS, maximum_a: 32, phases: 1, charger: {ocpp: C}}
  - {id: d, node: yard, rotation: RST, maximum_a: 16, mode: pv, charger: {ocpp: D}}
"""
START = 1_800_000_000_000
"""2027-01-15, 9:00 in Berlin: a window begins here."""


class Says:
    """A device that says what it is told to say."""

    def __init__(self, id: str, now: Callable[[], int], **points: int) -> None:
        self.id, self.online, self.said, self._now = id, True, points, now

    def points(self) -> Points:
        return {name: Value(value, self._now()) for name, value in self.said.items()}

    def command(self, name: str, value: int, done: Callable[[Told], None]) -> None:
        done(Told(True))


class Seen(Small):
    """All of it, in a folder. `shown` is every tick as it was."""

    def __init__(self, folder: Path, text: str = TEXT, *, bounds: Bounds = Bounds(), **more: Any) -> None:  # noqa: B008
        self.folder = folder
        self.watched = Watched(config_of(text))
        self.log = SiteLog(folder / "log", text, version="test")
        self.shown: list[tuple[TickInputs, Decision]] = []
        self.bounds = bounds
        self.reported: list[str] = []
        more.setdefault("start", START)
        super().__init__(text, record=self.log, on_decision=self._on_decision, **more)
        self.log.begin(self.loop.state)
        self.history = self.remember()

    def begin(self, state: Any = None) -> Loop:
        now = lambda: int(self.time.now())  # noqa: E731
        self.roof = Says("roof", now, power_mw=-6_000_000)
        self.cellar = Says("cellar", now, power_mw=0, soc_permille=500)
        self.meters |= {"roof": self.roof, "cellar": self.cellar}  # type: ignore[dict-item]
        return super().begin(state)

    def remember(self) -> History:
        kinds = {device.id: device.kind for device in self.config.devices}
        path = self.folder / "history.db"
        self.history = History(self.site, kinds, {"cellar": 20_000}, path, self.bounds, report=self.reported.append)
        self.watched.join(history=self.history)
        return self.history

    def _on_decision(self, inputs: TickInputs, decision: Decision) -> None:
        self.shown.append((inputs, decision))
        self.watched.show(self.loop, inputs, decision)

    @property
    def utc(self) -> int:
        return int(self.time.now()) + self.utc_offset
