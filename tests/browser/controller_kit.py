"""A site with a controller, for the pages that show one: the simulated car park in simulated time.

What it is now, why, and at any moment since it began is of a real loop over `pilotwire.site.demo`; the courses of days
and the plan are made up, so that a day is there at once.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any

from pilotwire.core.time import SimScheduler
from pilotwire.domain import seen
from pilotwire.domain.steering.state import WindowSummary
from pilotwire.site.compiled import compile_site
from pilotwire.site.config import read
from pilotwire.site.decide import Decision
from pilotwire.site.demo import TEXT, Demo, Operator
from pilotwire.site.inputs import TickInputs
from pilotwire.site.loop import Loop
from pilotwire.site.watch import Watched

QUARTER = 900_000
HOUR = 3_600_000
EVSES = 11


class CarPark:
    """A `seen.Controller`. `run_for` lets it go on; `gone` makes it unreachable."""

    def __init__(self, now_ms: int, *, text: str = TEXT, seconds: int = 300, seed: int = 3) -> None:
        config, wrong = read(text)
        assert config is not None and wrong == []
        self.config = config
        self.clock = SimScheduler(now_ms - seconds * 1_000)
        self.said: list[tuple[TickInputs, Decision]] = []
        self._watched = Watched(config)
        site = compile_site(config)
        self.demo = Demo(config, self.clock, seed)
        self.loop = Loop(
            site, self.demo.evses, self.demo.devices, self.clock, utc=lambda: int(self.clock.now()),
            on_decision=self._decided, report=lambda text: None,
        )  # fmt: skip
        self._operator = Operator(self.clock, seed)
        self._seconds = seconds
        self._news = asyncio.Event()
        self.gone = False

    def _decided(self, inputs: TickInputs, decision: Decision) -> None:
        self.said.append((inputs, decision))
        self._watched.show(self.loop, inputs, decision)

    async def start(self) -> CarPark:
        """Run up to the present."""
        await self._watched.start(self.loop)
        await self.demo.start()
        if self.loop.site.sources:
            await self._operator.start(self.loop)
        self.loop.start()
        self.clock.run_for(self._seconds * 1_000)
        return self

    def run_for(self, ms: int) -> None:
        """Go on, and tell who listens."""
        self.clock.run_for(ms)
        self._news.set()

    def leave(self, gone: bool = True) -> None:
        """The link is cut, or is back."""
        self.gone = gone
        self._news.set()

    def _reached(self) -> None:
        if self.gone:
            raise ConnectionError("its link is down")

    # --- the port -----------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        return self.config.site.id

    @property
    def name(self) -> str:
        return self.config.site.name

    @property
    def time_zone(self) -> str:
        return self.config.site.time_zone

    @property
    def heard_ms(self) -> int | None:
        return self._watched.heard_ms

    async def now(self) -> seen.Now:
        self._reached()
        return await self._watched.now()

    async def ticks(self) -> AsyncIterator[seen.Now]:
        while True:
            self._reached()
            self._news.clear()
            yield await self._watched.now()
            await self._news.wait()

    async def at(self, utc_ms: int) -> seen.Past:
        self._reached()
        before = [each for each in self.said if each[0].now.utc_ms <= utc_ms]
        if not before:
            raise seen.NotKnown("the record begins later")
        then = Watched(self.config)
        then.show(self.loop, *before[-1])
        return seen.Past(now=await then.now(), same=True)

    async def changes(self, evse: str, from_ms: int, until_ms: int) -> tuple[seen.Change, ...]:
        self._reached()
        found: list[seen.Change] = []
        for inputs, decision in self.said:
            point = next(each for each in decision.set_points if each.evse == evse)
            reason = decision.reasons[evse]
            if inputs.now.utc_ms >= until_ms:
                break
            if not found or (found[-1].value, found[-1].code) != (point.value, reason.code):
                change = seen.Change(
                    at_ms=inputs.now.utc_ms, evse=evse, unit=point.unit, value=point.value, code=reason.code,
                    words=reason.words,
                )  # fmt: skip
                found = [change] if change.at_ms <= from_ms else [*found, change]
        return tuple(found)

    async def course(self, from_ms: int, until_ms: int, step_ms: int) -> seen.Course:
        self._reached()
        now = int(self.clock.now())
        count = -(-(until_ms - from_ms) // step_ms)
        steps = tuple(self._step(from_ms + place * step_ms, now) for place in range(count))
        return seen.Course(from_ms=from_ms, step_ms=step_ms, steps=steps)

    @staticmethod
    def _step(at: int, now: int) -> seen.Step:
        if at >= now:
            return seen.Step(from_ms=at)
        hour = at % (24 * HOUR) / HOUR
        sun = -round(max(0.0, math.sin((hour - 6) / 12 * math.pi)) ** 1.5 * 24_000) * 1_000
        building = round(7_000 + 4_000 * math.exp(-(((hour - 11) / 5) ** 2)) + 600 * math.sin(hour * 7)) * 1_000
        cars = round(max(0.0, 26_000 * math.exp(-(((hour - 10.5) / 3) ** 2)) + 3_000 * math.sin(hour * 3))) * 1_000
        battery = round(9_000 * math.sin((hour - 7) / 3.5)) * 1_000
        grid = sun + building + cars + battery
        return seen.Step(
            from_ms=at, grid_mw=grid, pv_mw=sun, battery_mw=battery, cars_mw=cars, building_mw=building,
            highest_grid_mw=grid + 6_000_000, soc_permille=500 + round(200 * math.sin(hour / 4)),
            planned_grid_mw=grid - round(3_000 * math.sin(hour * 2)) * 1_000, planned_battery_mw=battery // 2,
            planned_cars_mw=cars - round(3_000 * math.sin(hour * 2)) * 1_000,
        )  # fmt: skip

    async def windows(self, from_ms: int, until_ms: int) -> tuple[WindowSummary, ...]:
        self._reached()
        now, found = int(self.clock.now()), []
        first = -(-from_ms // QUARTER) * QUARTER
        for at in range(first, min(until_ms, now - QUARTER), QUARTER):
            step = self._step(at, now)
            mean = max(0, (step.grid_mw or 0) + 4_000_000)
            causes = {
                "side": step.building_mw or 0,
                "bay-1": (step.cars_mw or 0) // 2,
                "yard-dc": (step.cars_mw or 0) // 3,
            }
            found.append(
                WindowSummary(
                    id="quarter-hour", node="grid", from_ms=at, until_ms=at + QUARTER, energy_wh=mean // 4_000,
                    known_wh=mean // 4_000, peak_mw=mean, billed_mw=mean, target_mw=42_000_000,
                    overshoot_mw=max(0, mean - 42_000_000), quality="register" if at % HOUR else "assumed",
                    causes=causes,
                )
            )  # fmt: skip
        return tuple(found)

    async def peaks(self, from_ms: int, until_ms: int) -> tuple[seen.Peak, ...]:
        self._reached()
        found = await self.windows(from_ms, until_ms)
        if not found:
            return ()
        top = max(found, key=lambda one: one.peak_mw)
        return (seen.Peak(window=top.id, node=top.node, month=202601, peak_mw=top.peak_mw, at_ms=top.from_ms),)

    async def outlook(self) -> seen.Outlook | None:
        self._reached()
        now = int(self.clock.now())
        begin = now // QUARTER * QUARTER
        grid = [round(18_000 + 9_000 * math.sin(place / 9)) * 1_000 for place in range(48)]
        cars = (
            seen.CarOutlook(
                evse="bay-1", energy_wh=22_400, unmet_wh=0, words="it gets all that it needs",
                course=(
                    (begin, begin + 4 * QUARTER, 11_000_000), (begin + 8 * QUARTER, begin + 12 * QUARTER, 11_400_000),
                ),
            ),
            seen.CarOutlook(
                evse="bay-7", energy_wh=9_100, unmet_wh=4_300, words="it leaves before there is room on deck-2",
                course=((begin + 4 * QUARTER, begin + 9 * QUARTER, 7_360_000),),
            ),
        )  # fmt: skip
        return seen.Outlook(
            made_ms=now - 180_000, until_ms=begin + 48 * QUARTER, words="the plan is optimal", step_ms=QUARTER,
            from_ms=begin, grid_mw=tuple(grid),
            batteries={"cellar": tuple(round(6_000 * math.cos(place / 7)) * 1_000 for place in range(48))}, cars=cars,
        )  # fmt: skip


def large(groups: int = 8, each: int = 25) -> str:
    """The file of a depot: connection, transformer, two feeders, `groups` of `each` EVSEs."""
    lines = [
        "site: {id: depot, name: Depot, time_zone: Europe/Berlin}",
        "nodes:",
        "  - {id: grid, kind: connection, meter: main, side_lost_a: 30, limits: [{source: fuse, current_a: 1600}]}",
        "  - {id: trafo, kind: transformer, parent: grid, limits: [{source: transformer, power_kw: 1000}]}",
        "  - {id: north, kind: feeder, parent: trafo, limits: [{source: fuse, current_a: 800}]}",
        "  - {id: south, kind: feeder, parent: trafo, limits: [{source: fuse, current_a: 800}]}",
    ]
    for group in range(groups):
        parent = "north" if group % 2 == 0 else "south"
        lines.append(
            f"  - {{id: row-{group + 1}, kind: group, parent: {parent}, limits: [{{source: fuse, current_a: 250}}]}}"
        )
    lines += ["devices:", "  - {id: main, kind: meter, file: simulated, endpoint: simulated}"]
    lines += ["failsafe: {current_a: 6, watchdog_s: 30}", "evses:"]
    for number in range(groups * each):
        rotation = ("RST", "STR", "TRS")[number % 3]
        lines.append(
            f"  - {{id: p-{number + 1:03}, node: row-{number // each + 1}, rotation: {rotation}, maximum_a: 32, "
            f"charger: {{ocpp: p-{number + 1:03}}}}}"
        )
    return "\n".join(lines) + "\n"


def register(context: Any, site_id: str, controller: CarPark) -> None:
    """Show it as that site."""
    from pilotwire.api.resources.controllers import Controllers

    Controllers.of(context).add(site_id, controller)
