"""The loop of a site: measure, decide, tell; on each fresh reading of a meter, and at least each second.

It waits for nobody. A tick reads what the drivers know, decides, writes down what is about to be told, and tells; the
answers come in while it sleeps and are part of the next tick. A tick that fails commands the written safe state and
the loop goes on. Only steady time controls; the time of the day is an input like any other.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from pilotwire.core.time import Scheduler, Timer
from pilotwire.domain.energy import Limit, Moment
from pilotwire.domain.steering import External, Plan

from .compiled import Site
from .decide import Command, Decision, Mark, SiteState, decide
from .inputs import DeviceInput, EvseInput, Heard, TickInputs
from .lost import Charger, safe
from .ports import Device, EvseDriver, EvseStatus, Told
from .telling import Teller

TICK_MS = 1_000
LOOK_MS = 100
"""How often it looks whether a meter has a fresh reading."""
GAP_MS = 200
"""Ticks are at least this far apart, however many meters there are."""


class Record(Protocol):
    """Writes down what was decided on what (`pilotwire.site.log`)."""

    def tick(self, inputs: TickInputs, decision: Decision) -> None: ...


class Memory(Protocol):
    """Keeps what a restart needs (`pilotwire.site.store`)."""

    def told(self, chargers: Mapping[str, Charger]) -> None:
        """Before anybody is told: what each may be doing from now on."""
        ...

    def heard(self, words: Sequence[Heard], now: Moment) -> None:
        """What has been heard from outside, and when: how long it counts after a restart rests on it."""
        ...

    def keep(self, state: SiteState, now: Moment) -> None: ...


class Counts(msgspec.Struct):
    """Since the start."""

    ticks: int = 0
    failures: int = 0
    """Ticks that raised; the safe state was commanded instead."""
    commands: int = 0
    late: int = 0
    """Ticks more than half a second after they were due: the machine is too busy."""
    longest_ms: int = 0
    """The longest tick."""
    record_failures: int = 0
    """What could not be written down: a full disk stops nobody from charging."""


class Loop:
    """One site. `start`, then it runs on `scheduler` until `stop`."""

    def __init__(
        self,
        site: Site,
        evses: Sequence[EvseDriver],
        devices: Sequence[Device],
        scheduler: Scheduler,
        *,
        utc: Callable[[], int],
        state: SiteState | None = None,
        valid_ms: int = 30_000,
        record: Record | None = None,
        memory: Memory | None = None,
        keep_ms: int = 30_000,
        report: Callable[[str], None] = lambda text: print(text, file=sys.stderr),
        on_decision: Callable[[TickInputs, Decision], None] | None = None,
    ) -> None:
        self.site = site
        self.state = state or SiteState()
        self.decision: Decision | None = None
        """The last one."""
        self.inputs: TickInputs | None = None
        self.counts = Counts()
        self.external = External()
        """Telecontrol and prices: whoever decodes them sets this, and may `nudge`."""
        self.plan: Plan | None = None
        """The planner sets this when it has one; the loop never waits for it."""
        self.notices: dict[str, Mark] = {}
        """What parts beside the loop find wrong, by a name of theirs: among the marks as long as it is there."""
        self.safe_state = ""
        """Why the last tick commanded the safe state; "" when all is well."""
        self.watchers: list[Callable[[TickInputs, Decision], None]] = []
        """Parts that are told of each decision, once everybody has been told his set-point; they must be quick."""
        known = {driver.id: driver for driver in evses}
        unknown = sorted(set(known) - set(site.outlets))
        if unknown:
            raise ValueError(f"drivers of EVSEs that are not in the configuration: {', '.join(unknown)}")
        self.evses = [known[id] for id in sorted(known)]
        self.devices = {device.id: device for device in sorted(devices, key=lambda device: device.id)}
        self._scheduler, self._utc = scheduler, utc
        self._record, self._memory, self._keep_ms = record, memory, keep_ms
        self._report, self._on_decision = report, on_decision
        self.tellers = {
            driver.id: Teller(
                driver,
                now=lambda: int(scheduler.now()),
                failsafe=site.outlets[driver.id].failsafe,
                watchdog_ms=site.outlets[driver.id].watchdog_ms,
                valid_ms=valid_ms,
                command_ms=site.command_ms,
            )
            for driver in self.evses
        }
        self._meters = [self.devices[id] for id in sorted(set(site.meters.values())) if id in self.devices]
        self._heard: dict[str, Heard] = {}
        self._commands: dict[tuple[str, str], tuple[int, int]] = {}
        """What devices have been told last, and when."""
        self._samples: tuple[int, ...] = ()
        self._last_ms: int | None = None
        self._kept_ms: int | None = None
        self._timer: Timer | None = None
        self._decide = decide
        self._running = False
        self._in_tick = False

    # --- from outside -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """The first tick is at once."""
        self._running = True
        self._timer = self._scheduler.call_later(0, self._wake)

    def hear(self, source: str, limit: Limit | None) -> None:
        """A source has spoken: this limit counts until its next word, until it ends, or until the source is lost.

        Raises LookupError for a source that the configuration does not name.
        """
        if source not in self.site.sources:
            raise LookupError(f"there is no source {source} in the configuration")
        before = self._heard.get(source)
        self._heard[source] = Heard(source, limit, int(self._scheduler.now()))
        # Now, not with the next tick: should that never come, whoever begins anew has to know.
        self._remember_heard({**self.state.heard, **self._heard})
        if before is None or before.limit != limit:
            self.nudge()

    def nudge(self) -> None:
        """Something has changed: the next tick comes as soon as it may."""
        if self._running and not self._in_tick:
            self._samples = ()

    def stop(self, timeout_ms: int, done: Callable[[], None]) -> None:
        """No more ticks; everybody is told the safe value; `done` when all have confirmed, or after `timeout_ms`."""
        self._running = False
        if self._timer is not None:
            self._timer.cancel()
        self._tell_safe()
        self._save()
        deadline = int(self._scheduler.now()) + timeout_ms

        def look() -> None:
            waits = any(each.link.open is not None and each.driver.status().online for each in self.tellers.values())
            if waits and int(self._scheduler.now()) < deadline:
                self._scheduler.call_later(50, look)
            else:
                done()

        look()

    # --- time ---------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        """Called each `LOOK_MS`. The next call is arranged before anything can fail."""
        if not self._running:
            return
        self._timer = self._scheduler.call_later(LOOK_MS, self._wake)
        now = int(self._scheduler.now())
        since = None if self._last_ms is None else now - self._last_ms
        if since is not None and 0 <= since < GAP_MS:
            return
        samples = self._sampled()
        if since is None or since < 0 or since + LOOK_MS // 2 >= TICK_MS or samples != self._samples:
            self._samples = samples
            self.tick()

    def _sampled(self) -> tuple[int, ...]:
        """When each meter was read last: whether any of them is fresh is all that matters here."""
        found: list[int] = []
        for meter in self._meters:
            try:
                found.append(max((value.at_ms for value in meter.points().values()), default=-1))
            except Exception:  # a driver's fault; the tick itself says so
                found.append(-1)
        return (len(found), *found)

    # --- one tick -----------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Measure, decide, tell. Raises nothing: what fails leads to the safe state, is counted and reported."""
        begun = int(self._scheduler.now())
        if self._last_ms is not None and begun - self._last_ms > TICK_MS + 500:
            self.counts.late += 1
        self._last_ms = begun
        self._in_tick = True
        try:
            inputs = self.look()
            decision = self._decide(self.site, inputs, self.state)
            self.inputs, self.decision, self.state = inputs, decision, decision.state
            self.safe_state = ""
        except Exception as error:
            self.counts.failures += 1
            self.safe_state = f"{type(error).__name__}: {error}"
            self._report(f"a tick failed, the safe state is commanded: {traceback.format_exc()}")
            self._tell_safe()
        else:
            self._remember(inputs, decision)
            self._tell(decision)
            self._show(inputs, decision)
        finally:
            self._in_tick = False
            self.counts.ticks += 1
            self.counts.longest_ms = max(self.counts.longest_ms, int(self._scheduler.now()) - begun)

    def look(self) -> TickInputs:
        """All that there is to know now."""
        return TickInputs(
            seq=self.state.seq + 1,
            now=Moment(tick_ms=int(self._scheduler.now()), utc_ms=self._utc()),
            evses=tuple(
                EvseInput(driver.id, self._status(driver), self.tellers[driver.id].link) for driver in self.evses
            ),
            devices=tuple(self._device(device) for device in self.devices.values()),
            heard=tuple(self._heard[id] for id in sorted(self._heard)),
            external=self.external,
            plan=self.plan,
        )

    def _status(self, driver: EvseDriver) -> EvseStatus:
        try:
            return driver.status()
        except Exception as error:  # that charger is lost, the others are not
            return EvseStatus(online=False, fault=f"driver: {type(error).__name__}: {error}")

    def _device(self, device: Device) -> DeviceInput:
        try:
            return DeviceInput(device.id, device.online, dict(device.points()))
        except Exception:  # nothing measured is what the deadlines are for
            return DeviceInput(device.id, False, {})

    def _tell(self, decision: Decision) -> None:
        for point in decision.set_points:
            teller = self.tellers.get(point.evse)
            may = decision.state.chargers[point.evse].may
            if teller is not None and teller.tell(point.value, point.phases, may):
                self.counts.commands += 1
        for command in decision.commands:
            self._command(command)

    def _show(self, inputs: TickInputs, decision: Decision) -> None:
        for watcher in (*self.watchers, *(() if self._on_decision is None else (self._on_decision,))):
            try:
                watcher(inputs, decision)
            except Exception:  # whoever watches must not stop what he watches
                self._report(f"whoever is shown the decisions failed: {traceback.format_exc()}")

    def _command(self, command: Command) -> None:
        """On change, and each 10 s, for most inverters and batteries forget what nobody repeats."""
        device, key, now = self.devices.get(command.device), (command.device, command.name), int(self._scheduler.now())
        last = self._commands.get(key)
        if device is None or (last is not None and last[0] == command.value and now - last[1] < 10_000):
            return
        self._commands[key] = (command.value, now)

        def done(told: Told) -> None:
            if not told.ok and self._commands.get(key) == (command.value, now):
                self._commands[key] = (command.value, now - 8_000)  # again in 2 s

        try:
            device.command(command.name, command.value, done)
        except Exception as error:
            done(Told(False, str(error)))
        self.counts.commands += 1

    def _tell_safe(self) -> None:
        for id, teller in self.tellers.items():
            charger = self.state.chargers.get(id, Charger())
            try:
                teller.tell(safe(charger, self.site.outlets[id]), may=charger.may)
            except Exception as error:  # the others must hear of it all the same
                self._report(f"{id} cannot be told its safe value: {error}")

    def _remember_heard(self, words: Mapping[str, Heard]) -> None:
        if self._memory is None:
            return
        now = Moment(tick_ms=int(self._scheduler.now()), utc_ms=self._utc())
        try:
            self._memory.heard([words[id] for id in sorted(words)], now)
        except Exception as error:
            self._cannot_write("what a restart needs", error)

    def _remember(self, inputs: TickInputs, decision: Decision) -> None:
        now = inputs.now
        self._remember_heard(decision.state.heard)
        if self._memory is not None:
            try:
                self._memory.told(_about_to_be_told(decision))
                if self._kept_ms is None or now.tick_ms - self._kept_ms >= self._keep_ms:
                    self._kept_ms = now.tick_ms
                    self._memory.keep(decision.state, now)
            except Exception as error:
                self._cannot_write("what a restart needs", error)
        if self._record is not None:
            try:
                self._record.tick(inputs, decision)
            except Exception as error:
                self._cannot_write("the record of decisions", error)

    def _save(self) -> None:
        if self._memory is None:
            return
        try:
            self._memory.keep(self.state, Moment(tick_ms=int(self._scheduler.now()), utc_ms=self._utc()))
        except Exception as error:
            self._cannot_write("what a restart needs", error)

    def _cannot_write(self, what: str, error: Exception) -> None:
        self.counts.record_failures += 1
        if self.counts.record_failures in (1, 10, 100) or self.counts.record_failures % 1_000 == 0:
            self._report(f"{what} cannot be written ({self.counts.record_failures} times): {error}")

    @property
    def marks(self) -> tuple[Mark, ...]:
        """All that is wrong now."""
        own = () if self.decision is None else self.decision.marks
        own = (*own, *(self.notices[name] for name in sorted(self.notices)))
        if not self.safe_state:
            return own
        return (
            *own,
            Mark("site", "safe_state", f"the last tick failed, the safe state is commanded: {self.safe_state}"),
        )


def _about_to_be_told(decision: Decision) -> dict[str, Charger]:
    """What each may have once it is told: the higher of what it may have now and what it is going to be told."""
    chargers: dict[str, Charger] = {}
    values = {point.evse: point.value for point in decision.set_points}
    for id, charger in decision.state.chargers.items():
        base = None if charger.base is None else max(charger.base, values.get(id, 0))
        chargers[id] = msgspec.structs.replace(charger, base=base, heard_ms=None, why="", may=0)
    return chargers
