"""The planner as a part of a running site (`site.run.Part`)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pilotwire.core.errors import ConfigError
from pilotwire.domain.seen import Outlook
from pilotwire.domain.tariffs.clock import zone
from pilotwire.transport.runtime import LoopScheduler, SteadyScheduler

from ..config import SiteConfig
from ..loop import Loop
from .entries import PlanningEntry
from .kept import Kept
from .outlook import outlook_of
from .prices import PricesFile
from .problem import Known
from .runner import Runner
from .worker import Workers

FILE = "planning.db"


class Planner:
    """Prices, and plans where the configuration wants them. Nothing of it is needed for a site to be safe."""

    def __init__(self, config: SiteConfig, beside: Path, data: Path, report: Callable[[str], None]) -> None:
        """`beside`: the folder of the site's file, `data`: of the site's data."""
        self._config, self._beside, self._data, self._report = config, beside, data, report
        self._workers = Workers()
        self._kept: Kept | None = None
        self._prices: PricesFile | None = None
        self.runner: Runner | None = None

    @property
    def entry(self) -> PlanningEntry | None:
        """None where nothing is planned."""
        entry = self._config.planning
        return entry if entry is not None and entry.enabled else None

    async def start(self, loop: Loop) -> None:
        """See `run.Part`."""
        scheduler, wall = SteadyScheduler(), LoopScheduler()

        def utc() -> int:
            return int(wall.now())

        if self._config.prices is not None:
            path = self._beside / self._config.prices.file
            self._prices = PricesFile(path, self._config.prices, scheduler, utc, self._report)
            self._prices.start(loop)
        if self.entry is None:
            return
        try:
            self._data.mkdir(parents=True, exist_ok=True)
            self._kept = Kept(self._data / FILE)
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(f"cannot use {self._data} for plans: {error}; choose another with --data") from error
        learned, why = self._kept.load()
        for each in (self._kept.set_aside, why):
            if each:
                self._report(each)
        known = Known(loop.site, self.entry, zone(self._config.site.time_zone))
        self.runner = Runner(
            known, loop, scheduler, utc=utc, spawn=self._workers, keep=self._kept, learned=learned, report=self._report
        )
        self.runner.start()

    async def stop(self) -> None:
        """See `run.Part`."""
        if self._prices is not None:
            self._prices.stop()
        if self.runner is not None:
            self.runner.stop()
        await self._workers.stop()
        if self._kept is not None:
            self._kept.close()

    def outlook(self) -> Outlook | None:
        """The plan in force; None without one."""
        runner = self.runner
        if runner is None or runner.in_force is None:
            return None
        force = runner.in_force
        return outlook_of(force.record, force.plan, force.followed.until_ms, runner.words)

    def planned_at(self, utc_ms: int) -> tuple[int | None, int | None, int | None] | None:
        """mW planned of this moment at the connection, of cars and of batteries; None without a plan."""
        force = None if self.runner is None else self.runner.in_force
        if force is None:
            return None
        for begin, end, grid, cars, batteries in force.quarters:
            if begin <= utc_ms < end:
                return grid, cars, batteries if force.plan.batteries else None
        return None

    def status(self) -> dict[str, Any]:
        """For a status page: counts, words."""
        if self.runner is None:
            return {}
        counts = self.runner.counts
        return {
            "words": self.runner.words, "plans": counts.plans, "fallbacks": counts.fallbacks,
            "failures": counts.failures, "killed": counts.killed, "longest_ms": counts.longest_ms,
            "cpu_ms": counts.cpu_ms, "peak_kb": counts.peak_kb,
        }  # fmt: skip
