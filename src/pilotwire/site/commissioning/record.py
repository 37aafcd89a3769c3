"""What is known of a commissioning: its draft, what was found and proven, and how far it is. Restart-safe."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

from pilotwire.core.errors import ConfigError
from pilotwire.core.time import Scheduler
from pilotwire.domain.commissioning import DryReport, JobKind, Refused, Stage, State
from pilotwire.site import parts
from pilotwire.site.config import SiteConfig
from pilotwire.site.devices.schema import DeviceFile
from pilotwire.transport.runtime import LoopScheduler, SteadyScheduler

from . import keep
from .bench import Drivers
from .doorbell import Knock
from .draft import FRESH, DraftFile
from .hosts import own_networks
from .keep import Kept
from .suggest import entered

Make = Callable[[SiteConfig, Path, Scheduler, bool], Drivers]
"""The drivers of a configuration. The flag: they are only read, and nobody is told anything."""
STAGES: tuple[Stage, ...] = ("scan", "map", "phases", "failsafe", "dry_run", "live")


def built(config: SiteConfig, folder: Path, scheduler: Scheduler, silent: bool) -> Drivers:
    """The real ones."""
    return parts.Built(config, folder, scheduler, silent=silent)


class Record:
    """The draft and all results, kept in `folder` whenever they change."""

    def __init__(
        self,
        folder: Path,
        file: Path,
        *,
        make: Make = built,
        live: Callable[[], bool] = lambda: False,
        go_live: Callable[[], Awaitable[None]] | None = None,
        knocks: Callable[[], Sequence[Knock]] | None = None,
        scheduler: Scheduler | None = None,
        utc: Callable[[], int] | None = None,
        report: Callable[[str], None] = lambda text: print(text, file=sys.stderr),
    ) -> None:
        """`go_live` runs the site from `file`; `knocks`: stations at a controller that listens already. Raises
        ConfigError for a file that is there and is no configuration at all."""
        wall = LoopScheduler()
        self._folder, self._file, self._make, self._live, self._go_live = folder, file, make, live, go_live
        self._knocks, self._report = knocks, report
        self._scheduler = scheduler or SteadyScheduler()
        self._utc = utc or (lambda: int(wall.now()))
        self._library: dict[str, DeviceFile] | None = None
        self._task: asyncio.Task[None] | None = None
        self._bells: dict[str, str] = {}
        self._networks: tuple[str, ...] | None = None
        self._closing = False
        kept, why = keep.load(folder)
        if why:
            report(why)
        self._draft = self._first(kept)
        self._found = {each.id: each for each in kept.found} if kept else {}
        self._verdicts = {each.evse: each for each in kept.verdicts} if kept else {}
        self._failsafes = {each.evse: each for each in kept.failsafes} if kept else {}
        self._overloads: tuple[str, ...] = kept.overloads if kept else ()
        self._dry: DryReport | None = kept.dry_run if kept else None
        self._bells = dict(kept.passwords) if kept else {}
        self._written_ms = kept.written_ms if kept else None
        self._job = kept.job if kept else None
        if self._job is not None and self._job.status == "running":
            self._job = msgspec.structs.replace(
                self._job, status="interrupted", ended_ms=self._utc(), words="the program ended while it ran",
                todo="Begin it again: what it had found until then is kept",
            )  # fmt: skip
            self._save()

    def _first(self, kept: Kept | None) -> DraftFile:
        root = self._file.parent
        try:
            if kept is not None:
                return DraftFile.of_text(kept.draft, root)
            if self._file.exists():
                return DraftFile.of_text(self._file.read_text("utf-8"), root)
        except (Refused, OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{self._file} cannot be begun with: {error}") from error
        return DraftFile(FRESH, root)

    # --- looking ------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        return self._draft.shown().site

    @property
    def name(self) -> str:
        draft = self._draft.shown()
        return draft.name or draft.site

    async def state(self) -> State:
        """See `Commissioning.state`."""
        if self._networks is None:
            self._networks = await asyncio.to_thread(own_networks)
        draft, done = self._draft.shown(), self._done()
        ahead: list[Stage] = [each for each in STAGES if each not in done]
        return State(
            stage=ahead[0] if ahead else "live",
            done=done,
            draft=draft,
            found=tuple(sorted(self._found.values(), key=lambda one: (bool(one.identity), one.id))),
            mapped=entered(self._draft.data, list(self._found.values())),
            verdicts=tuple(self._verdicts.values()),
            failsafes=tuple(self._failsafes.values()),
            overloads=self._overloads,
            dry_run=self._dry,
            job=self._job,
            networks=self._networks,
            file=str(self._file),
            live=self._live(),
            written_ms=self._written_ms,
        )

    def _done(self) -> tuple[Stage, ...]:
        draft = self._draft.shown()
        done: list[Stage] = []
        if self._found or draft.evses:
            done.append("scan")
        config, _ = self._draft.checked()
        if config is None or not draft.sound:
            return tuple(done)
        done.append("map")
        used = [each for each in config.evses if each.in_service]
        if all(each.current == "DC" or each.rotation or each.id in self._verdicts for each in used):
            done.append("phases")
        fall = [each.id for each in config.loads if each.failsafe_kw is not None]
        results = [self._failsafes.get(id) for id in (*(each.id for each in used), *fall)]
        if all(each is not None and each.outcome in ("confirmed", "none") for each in results) and not self._overloads:
            done.append("failsafe")
        if self._dry is not None and self._dry.seconds and not self._busy("dry_run"):
            done.append("dry_run")
        if self._written_ms is not None and self._live():
            done.append("live")
        return tuple(done)

    def _busy(self, kind: JobKind | None = None) -> bool:
        job = self._job
        return job is not None and job.status == "running" and kind in (None, job.kind)

    def _now(self) -> int:
        return int(self._scheduler.now())

    def _save(self) -> None:
        kept = Kept(
            draft=self._draft.text, found=tuple(self._found.values()), verdicts=tuple(self._verdicts.values()),
            failsafes=tuple(self._failsafes.values()), overloads=self._overloads, dry_run=self._dry, job=self._job,
            passwords=self._bells, written_ms=self._written_ms,
        )  # fmt: skip
        try:
            keep.save(self._folder, kept)
        except OSError as error:
            self._report(f"the commissioning cannot be kept for a restart: {error}")
