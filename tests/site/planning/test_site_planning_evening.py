"""An evening with a plan and the same without: what it costs, how high it peaks, and what each car has when it leaves.

Ticks are 10 s apart and cars are looked at each 5 s, so that an evening is seconds of a test; nothing else is changed.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.site.planning.site_planning_kit import EVENING, HOUR, TEXT, Planned

from pilotwire.site import loop as loop_module
from pilotwire.site import simulated
from pilotwire.site.planning import runner as runner_module

PRICES = TEXT.replace("expected_cars: false", "expected_cars: false, value_per_kwh: 2, every_minutes: 20, hours: 9")
PEAKS = (
    TEXT.split("steering:", maxsplit=1)[0]
    + """
steering:
  windows:
    - {id: quarter, node: grid, minutes: 15, contracted_kw: 12, worst_kw: 43, side_lost_kw: 14, ratchet: true}
planning:
  expected_cars: false
  every_minutes: 20
  hours: 9
  peaks: [{window: quarter, price_per_kw: 8}]
"""
)


@pytest.fixture(autouse=True)
def _slowly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(loop_module, "LOOK_MS", 2_500)
    monkeypatch.setattr(loop_module, "TICK_MS", 10_000)
    monkeypatch.setattr(runner_module, "LOOK_MS", 10_000)
    init = simulated.SimCharger.__init__

    def slower(self: simulated.SimCharger, *args: object, **more: object) -> None:
        init(self, *args, **{"poll_ms": 5_000, "notice_ms": 12_000, **more})  # type: ignore[arg-type]

    monkeypatch.setattr(simulated.SimCharger, "__init__", slower)
    read = simulated.SimMeter.__init__

    def seldom(self: simulated.SimMeter, *args: object, **more: object) -> None:
        read(self, *args, **{"poll_ms": 10_000, **more})  # type: ignore[arg-type]

    monkeypatch.setattr(simulated.SimMeter, "__init__", seldom)
    yield


class Evening:
    """Four cars come home in turn and leave at set times; a building takes most of its power until eight."""

    def __init__(self, text: str, *, plans: bool) -> None:
        small = self.small = Planned(text, plans=plans)
        self.had: dict[str, int] = {}
        self.cost_micro = 0
        self.peak_mw = 0
        """The highest mean of a quarter of an hour."""
        window = 0
        comes = {"a": 0, "b": 20, "c": 40, "d": 60}
        leaves = {"a": 6 * HOUR, "b": 5 * HOUR, "c": 6 * HOUR, "d": 5 * HOUR}
        limits = {node.id: node.limits[0].phases_ma for node in small.site.topology.tree.nodes}
        above = dict.fromkeys(limits, 0)
        for step in range(6 * 180 + 2):
            at = step * 20_000
            building = (12_000, 9_000, 11_000) if at < 3 * HOUR else (3_000, 2_000, 4_000)
            small.side("grid", building)
            for id, charger in small.chargers.items():
                if comes[id] * 60_000 == at:
                    charger.ask(14_000 if id != "c" else 9_000, EVENING + leaves[id], phases=1 if id == "c" else 3)
                if leaves[id] == at:
                    self.had[id] = charger.energy_wh
                    charger.unplug()
            small.run(20)
            flows = small.plant.flows("grid")
            mw = sum(flows) * 230
            window += mw // 45
            self.cost_micro += mw * 20_000 // 3_600_000 * (400 if at < 3 * HOUR else 200) // 1_000_000
            if (at + 20_000) % 900_000 == 0:
                self.peak_mw, window = max(self.peak_mw, window), 0
            for node, phases in limits.items():
                assert phases is not None
                over = any(flow > most for flow, most in zip(small.plant.flows(node), phases, strict=True))
                above[node] = above[node] + 1 if over else 0
                assert above[node] < 2, f"{node} above its limit for more than 20 s"
        assert small.loop.counts.failures == 0, small.said
        assert small.runner.counts.failures == 0, small.runner.failure


def test_a_plan_saves_money_and_every_car_has_what_it_asked_for() -> None:
    planned, free = Evening(PRICES, plans=True), Evening(PRICES, plans=False)
    assert planned.small.runner.counts.plans > 18
    assert planned.small.runner.counts.fallbacks == 0
    for id, had in free.had.items():
        assert planned.had[id] >= had - 60, "but for what a car's last step is rounded by"
        assert planned.had[id] >= (13_900 if id != "c" else 8_900)
    assert planned.cost_micro < free.cost_micro * 85 // 100


def test_a_plan_keeps_a_peak_low_that_would_be_billed() -> None:
    """Beside a site that charges as fast as its fuses allow: as much energy, at little more than half of its peak."""
    planned, free = (
        Evening(PEAKS, plans=True),
        Evening(PEAKS.replace("contracted_kw: 12", "contracted_kw: 40"), plans=False),
    )
    for id, had in free.had.items():
        assert planned.had[id] >= had - 60
    assert planned.peak_mw < free.peak_mw * 80 // 100
