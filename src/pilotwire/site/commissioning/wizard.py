"""A commissioning over real sockets: `domain.commissioning.Commissioning`, one job at a time, restart-safe.

    wizard = Wizard(folder, Path("site.yaml"))
    await wizard.scan(ScanAsk(hosts=("192.168.1.0/24",)))
    ...
    await wizard.close()

`folder` keeps the draft and all results. The draft begins with what `file` says, or empty. While a site runs in this
process (`live`) only the scan and the draft are worked on: two loops must not command the same chargers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec

from pilotwire.core.errors import ConfigError
from pilotwire.domain.commissioning import Edit, FailsafeResult, FoundFile, PhasesAsk, Refused, ScanAsk, Verdict
from pilotwire.domain.energy.model import Rotation
from pilotwire.domain.energy.pulse import plan
from pilotwire.site.compiled import overloads
from pilotwire.site.devices.load import load_library
from pilotwire.site.devices.schema import DeviceFile

from . import failsafe_loads, keep
from .bench import STOP_MS, Drivers, loop_of, plain_site, pulsed_site
from .doorbell import Doorbell
from .draft import DraftFile
from .dry import Tally, verdict
from .failsafe import Proving
from .pulses import Detection, by_external
from .running import Running
from .scan import found_file, look
from .silent import Silent
from .suggest import entered, rows, take

MOST_DRY_S = 7 * 86_400
KEEP_S = 30.0
"""How often the report of a dry run is written down."""


class Wizard(Running):
    """See the module's head. Made and used on one event loop."""

    # --- the draft ----------------------------------------------------------------------------------------------

    async def edit(self, change: Edit) -> None:
        """See `Commissioning.edit`."""
        if self._busy() and not self._busy("scan"):
            raise Refused("the draft is in use: wait until that is over, or cancel it")
        made = self._draft.edited(change)
        if change.take:
            library = await self._files()
            watchdog = rows({"x": [made.data.get("failsafe", {})]}, "x")
            seconds = watchdog[0].get("watchdog_s", 60) if watchdog else 60
            for id, wanted in change.take.items():
                one = self._found.get(id)
                if one is None:
                    raise Refused(f"{id} has not been found; look again")
                if wanted:
                    files = [each for each in one.files if each.id == wanted] or [_file(library, wanted)]
                    one = msgspec.structs.replace(one, files=tuple(files))
                if id in entered(made.data, [one]):
                    continue
                if not take(
                    made.data, one, library, watchdog_ms=int(seconds * 1_000),
                    password_sha256=self._bells.get(one.identity, ""),
                ):  # fmt: skip
                    raise Refused(f"{id}: no device file fits; `pilotwire device new` begins one")
        self._changed(made)

    def _changed(self, made: DraftFile) -> None:
        """Results of what is another thing now are forgotten."""
        before = {str(each.get("id")): each for each in rows(self._draft.data, "evses")}
        after = {str(each.get("id")): each for each in rows(made.data, "evses")}
        other = self._draft.data.get("failsafe") != made.data.get("failsafe")
        for id in {*before, *after}:
            old, new = before.get(id, {}), after.get(id, {})
            if old.get("charger") != new.get("charger"):
                self._verdicts.pop(id, None)
            loose = ("rotation", "node", "mode", "priority")
            if other or {k: v for k, v in old.items() if k not in loose} != {
                k: v for k, v in new.items() if k not in loose
            }:
                self._failsafes.pop(id, None)
        for part in ("devices", "loads"):
            before, after = (
                {str(each.get("id")): each for each in rows(data, part)} for data in (self._draft.data, made.data)
            )
            for id in {*before, *after}:
                if before.get(id) != after.get(id):
                    self._failsafes.pop(id, None)
        if made.data != self._draft.data:
            self._dry = None
        self._draft = made
        self._sum()
        self._save()

    def _sum(self) -> None:
        """Which limits could be exceeded, as far as fail-safes have been read back."""
        config, found = self._draft.checked()
        if config is None or any(each.severity == "error" for each in found) or not self._failsafes:
            self._overloads = ()
            return
        confirmed = {id for id, each in self._failsafes.items() if each.outcome == "confirmed"}
        self._overloads = tuple(f"{each.node}: {each.words}" for each in overloads(config, confirmed))

    async def accept(self, evses: tuple[str, ...]) -> None:
        """See `Commissioning.accept`."""
        chosen = [each for id, each in self._verdicts.items() if each.rotation and (not evses or id in evses)]
        if not chosen:
            raise Refused("no rotation has been found that could be written down")
        there = {str(each.get("id")) for each in rows(self._draft.data, "evses")}
        await self.edit(
            Edit(evses=tuple({"id": each.evse, "rotation": each.rotation} for each in chosen if each.evse in there))
        )
        for each in chosen:
            self._verdicts[each.evse] = msgspec.structs.replace(each, agrees=True, todo="")
        self._save()

    # --- jobs ---------------------------------------------------------------------------------------------------

    async def scan(self, ask: ScanAsk) -> None:
        """See `Commissioning.scan`."""
        if not ask.hosts and not ask.serial and not ask.stations_s:
            raise Refused("say where to look: a network such as 192.168.1.0/24, a serial line, or for how long to "
                          "wait for stations")  # fmt: skip

        async def go() -> tuple[str, str]:
            library = await self._files()
            bell: Doorbell | None = None
            knocks = self._knocks
            try:
                if ask.stations_s and knocks is None:
                    section = self._draft.data.get("ocpp")
                    listen = section.get("listen", "") if isinstance(section, dict) else ""
                    bell = Doorbell(self._utc)
                    await bell.start(str(listen) or "0.0.0.0:9000")
                    knocks = lambda: tuple(bell.knocks.values()) if bell else ()  # noqa: E731 - the bell's own
                words = await look(ask, self, utc=self._utc, knocks=knocks, library=library)
            except OSError as error:
                raise ConfigError(f"cannot listen for stations: {error}") from error
            finally:
                if bell is not None:
                    self._bells |= {each.identity: each.password_sha256 for each in bell.knocks.values()}
                    await bell.stop()
            return words, ""

        self._begin("scan", go)

    async def phases(self, ask: PhasesAsk) -> None:
        """See `Commissioning.phases`."""
        config = self._ready()
        known = {each.id for each in config.evses}
        if strange := [id for id in ask.evses if id not in known]:
            raise Refused(f"there is no EVSE {strange[0]} in the draft")
        if not 1 <= ask.pulses <= 10 or not 1 <= ask.settle_s <= 120:
            raise Refused("from 1 to 10 pulses, and from 1 to 120 s for a car to follow")
        chosen = [
            each.id
            for each in config.evses
            if each.in_service
            and each.current == "AC"
            and (each.id in ask.evses if ask.evses else ask.verify or each.rotation is None)
        ]
        if not chosen:
            raise Refused("every rotation is written down; ask to verify them")
        site = pulsed_site(config)
        steps = {
            each.evse: msgspec.structs.replace(each, wait_ms=ask.settle_s * 1_000, pulses=ask.pulses)
            for each in plan(site.topology, everybody=True)
        }
        written: dict[str, Rotation] = {each.id: each.rotation for each in config.evses if each.rotation is not None}

        async def go() -> tuple[str, str]:
            for id in chosen:
                if id not in steps:
                    self._heard(
                        Verdict(
                            evse=id, outcome="no_meter", at_ms=self._utc(), words="no meter is above it",
                            todo="Enter the meter of the feeder or of the connection; until then it counts on each "
                            "phase",
                        )
                    )  # fmt: skip
            drivers = self._make(config, self._folder, self._scheduler, False)
            loop = loop_of(site, drivers, self._scheduler, utc=self._utc, report=self._report)
            await drivers.start()
            try:
                loop.start()
                detection = Detection(
                    loop, by_external(loop), [steps[id] for id in chosen if id in steps], written,
                    now=self._now, utc=self._utc, progress=self.progress, heard=self._heard,
                )  # fmt: skip
                await self._driven(detection.course())
            finally:
                told = asyncio.Event()
                loop.stop(STOP_MS, told.set)
                await asyncio.shield(self._ended(told, drivers))
            open_ = [id for id in chosen if not self._verdicts[id].rotation]
            words = f"{len(chosen) - len(open_)} of {len(chosen)} found"
            return words, "" if not open_ else f"See what is said of {', '.join(open_)}"

        self._begin("phases", go, len(chosen))

    async def _ended(self, told: asyncio.Event, drivers: Drivers) -> None:
        """Everybody has his safe value, or has had time for it."""
        try:
            await told.wait()
        finally:
            await drivers.stop()

    async def failsafe(self, prove: bool) -> None:
        """See `Commissioning.failsafe`."""
        config = self._ready()

        async def go() -> tuple[str, str]:
            drivers = self._make(config, self._folder, self._scheduler, False)
            await drivers.start()

            def heard(result: FailsafeResult) -> None:
                self._failsafes[result.evse] = result
                self._save()

            try:
                proving = Proving(
                    config, drivers.evses, prove=prove, now=self._now, utc=self._utc, progress=self.progress,
                    heard=heard,
                )  # fmt: skip
                loads = failsafe_loads.course(
                    config, drivers.devices, now=self._now, utc=self._utc, progress=self.progress, heard=heard,
                )  # fmt: skip
                results = (*await self._driven(loads), *await self._driven(proving.course()))
            finally:
                await asyncio.shield(self._rested(drivers))
            self._sum()
            sure = sum(each.outcome == "confirmed" for each in results)
            wrong = [each for each in results if each.outcome not in ("confirmed", "none") or each.proof == "kept"]
            words = f"{sure} of {len(results)} read back"
            return words, wrong[0].todo if wrong else self._overloads[0] if self._overloads else ""

        loads = sum(each.failsafe_kw is not None for each in config.loads)
        self._begin("failsafe", go, sum(each.in_service for each in config.evses) + loads)

    async def _rested(self, drivers: Drivers) -> None:
        """The last offers are out before nobody is spoken to any more."""
        await asyncio.sleep(0.5)
        await drivers.stop()

    async def dry_run(self, seconds: int) -> None:
        """See `Commissioning.dry_run`."""
        config = self._ready()
        if not 1 <= seconds <= MOST_DRY_S:
            raise Refused(f"from 1 to {MOST_DRY_S:,} s (a week)")
        site = plain_site(config)

        async def go() -> tuple[str, str]:
            drivers = Silent(self._make(config, self._folder, self._scheduler, True))
            tally = Tally(site, drivers, self._utc)
            loop = loop_of(site, drivers, self._scheduler, utc=self._utc, report=self._report, shown=tally.see)
            await drivers.start()
            try:
                loop.start()
                begun = self._now()
                kept = begun
                while (passed := self._now() - begun) < seconds * 1_000:
                    await asyncio.sleep(min(1.0, seconds - passed / 1_000))
                    self._dry = tally.report(loop.counts.failures)
                    self.progress(min(seconds, (self._now() - begun) // 1_000), seconds, "watching, commanding nobody")
                    if self._now() - kept >= KEEP_S * 1_000:
                        kept = self._now()
                        self._save()
            finally:
                told = asyncio.Event()
                loop.stop(0, told.set)  # to drivers that pass nothing on
                await asyncio.shield(self._ended(told, drivers))
            self._dry = tally.report(loop.counts.failures)
            return verdict(self._dry, seconds)

        self._dry = None
        self._begin("dry_run", go, seconds)

    async def write(self, live: bool) -> str:
        """See `Commissioning.write`."""
        if self._busy() and not self._busy("scan"):
            raise Refused("something is under way: wait until it is over, or cancel it")
        _ = self._draft.config
        if live:
            missing = [each for each in ("failsafe", "dry_run") if each not in self._done()]
            if missing:
                names = {"failsafe": "the fail-safe check", "dry_run": "the dry run"}
                raise Refused(f"first {' and '.join(names[each] for each in missing)}")
            if self._go_live is None:
                raise Refused(f"this program does not run the site: write the file, then `pilotwire site run "
                              f"{self._file}`")  # fmt: skip
        text = self._draft.text
        if DraftFile.of_text(text, self._file.parent).data != self._draft.data:
            raise Refused("the file would not say what the draft says: write it by hand from the text shown")
        try:
            await asyncio.to_thread(self._put, text.encode())
        except OSError as error:
            raise Refused(f"cannot write {self._file}: {error.strerror or error}") from error
        self._written_ms = self._utc()
        self._save()
        if live and self._go_live is not None:
            await self._go_live()
        return str(self._file)

    def _put(self, data: bytes) -> None:
        mode = 0o600
        if self._file.exists():
            mode = self._file.stat().st_mode & 0o777
            keep.write_whole(self._file.with_name(self._file.name + ".before"), self._file.read_bytes(), mode=mode)
        keep.write_whole(self._file, data, mode=mode)

    async def _files(self) -> dict[str, DeviceFile]:
        if self._library is None:
            self._library = await asyncio.to_thread(load_library)
        return self._library


def _file(library: Mapping[str, DeviceFile], id: str) -> FoundFile:
    """A file that somebody names though nothing showed that it fits."""
    device = library.get(id)
    if device is None:
        raise Refused(f"there is no device file {id}; `pilotwire device list` names them")
    return found_file(device, "choice")
