"""The grid operator's orders in a running site: a `run.Part`.

    TelecontrolPart(section, meters, folder_of_the_file, folder_of_the_data, report, audit)

The intervention log is `interventions.db` in the site's folder. One that is damaged is put aside under a name with the
time, and that is said: the site has to hold its limits whatever becomes of its papers.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from pilotwire.core.errors import ConfigError
from pilotwire.core.time import Scheduler
from pilotwire.site.decide import Decision
from pilotwire.site.inputs import TickInputs
from pilotwire.site.loop import Loop
from pilotwire.site.ports import Device, trusted
from pilotwire.transport.modbus.guard import Audit
from pilotwire.transport.runtime import LoopScheduler, SteadyScheduler

from .entries import TelecontrolSection
from .filed import from_file
from .join import Telecontrol
from .log import InterventionLog

__all__ = ["LOG_NAME", "TelecontrolPart", "open_log"]

LOG_NAME = "interventions.db"


class TelecontrolPart:
    """Contacts, schedules and registers go into the loop's inputs; what was carried out goes into the log."""

    def __init__(
        self,
        section: TelecontrolSection,
        meters: Mapping[str, str],
        paths: Path,
        data: Path,
        report: Callable[[str], None],
        audit: Callable[[Audit], None] | None = None,
        *,
        scheduler: Callable[[], Scheduler] = SteadyScheduler,
        utc: Callable[[], int] | None = None,
    ) -> None:
        """`meters`: node to device. `paths`: what paths in the file begin at. `data`: where the log is."""
        self.telecontrol: Telecontrol | None = None
        """Once started."""
        self._section, self._meters, self._paths, self._data = section, meters, paths, data
        self._report, self._audit = report, audit
        self._scheduler, self._utc = scheduler, utc
        self._loop: Loop | None = None

    async def start(self, loop: Loop) -> None:
        """See `run.Part`. Raises ConfigError where the log or a register's port cannot be had."""
        self._loop = loop
        log, aside = open_log(self._data / LOG_NAME, self._now())
        if aside:
            self._report(aside)
        try:
            self.telecontrol = Telecontrol(
                from_file(self._section, self._paths),
                loop.devices,
                self._scheduler(),
                self._now,
                log,
                changed=self._changed,
                report=self._report,
                power=self._power,
                audit=self._audit,
            )
            await self.telecontrol.open()
        except BaseException:
            log.close()
            self.telecontrol = None
            raise
        self._changed()
        loop.watchers.append(self._decided)

    async def stop(self) -> None:
        """See `run.Part`. What is ordered stays ordered: the next start knows it."""
        if self.telecontrol is None:
            return
        await self.telecontrol.close()
        self.telecontrol.log.close()

    def _now(self) -> int:
        return int(LoopScheduler().now()) if self._utc is None else self._utc()

    def _changed(self) -> None:
        loop, it = self._loop, self.telecontrol
        if loop is None or it is None:
            return  # the first look, before anybody listens
        # Orders of others stand beside these: each of us sets his own part alone.
        loop.external = msgspec.structs.replace(loop.external, controls=it.controls)
        loop.nudge()

    def _decided(self, inputs: TickInputs, decision: Decision) -> None:
        if self.telecontrol is not None:
            self.telecontrol.decided(decision.state.steering.interventions, decision.ended)

    def _power(self, node: str) -> int | None:
        """What flows at a node now, mW; None where nobody measures it or its meter is not believed."""
        loop = self._loop
        if loop is None or loop.decision is None or loop.inputs is None or node not in self._meters:
            return None
        if any(mark.where == node for mark in loop.decision.marks):
            return None
        return _power_of(loop.devices.get(self._meters[node]))


def _power_of(device: Device | None) -> int | None:
    try:
        return None if device is None else trusted(device.points(), "power_mw")
    except Exception:  # a driver's fault: nothing is known then
        return None


def open_log(path: Path, utc_ms: int) -> tuple[InterventionLog, str]:
    """The log, and what became of one that was damaged. Raises ConfigError where there can be none."""
    try:
        return InterventionLog(path), ""
    except sqlite3.DatabaseError as error:
        if not path.exists() or isinstance(error, sqlite3.OperationalError):
            raise ConfigError(f"cannot use {path} for the intervention log: {error}") from error
        aside = path.with_name(f"{path.name}.damaged-{utc_ms}")
        try:
            path.replace(aside)
            for ending in ("-wal", "-shm"):
                path.with_name(path.name + ending).unlink(missing_ok=True)
            return InterventionLog(path), f"{path} is damaged ({error}) and was put aside as {aside.name}: keep it"
        except (OSError, sqlite3.Error) as again:
            raise ConfigError(f"cannot use {path} for the intervention log: {again}") from again
