"""A charger behind Modbus as the control loop sees it: `site.ports.EvseDriver` over a `DeviceDriver`.

What stands in the charger is read before anything is written. A set-point that is in force already is not written
again, but by the keepalive, at a third of the watchdog: many a charger keeps what it is told in a memory that wears.
An offer counts for `valid_ms`: when it is over and no other has come, the fall-back is written until it is taken, and
the keepalive ends, so that the charger's own watchdog does the same where our word does not reach it. A charger whose
watchdog is fed by being read, and which takes no fall-back, is not even read until the next offer.

When somebody else has changed the set-point, ours is written anew, at most each `CONTEST_MS`, and `contested` counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, cast

import msgspec

from pilotwire.core.time import Scheduler, Timer
from pilotwire.site.conductors import Conductors
from pilotwire.site.ports import Abilities, EvseStatus, PilotState, Told, Value
from pilotwire.transport.modbus.link import Link

from .driver import DeviceDriver, Pace
from .fallback import set_fallback
from .schema import Abilities as FileAbilities
from .schema import DeviceFile

Done = Callable[[Told], None]
CONTEST_MS = 5000
AGAIN_MS = 2_000
"""A fall-back that was not taken is written again after so long."""
SWITCH_MS = 15_000
"""So long is waited for the current to end before the phases are switched."""
_IDLE_MA = 500


class EvseCounts(msgspec.Struct):
    """What has happened since the driver was made."""

    kept: int = 0
    """Keepalives written."""
    spared: int = 0
    """Offers that were in force already, and not written."""
    lapsed: int = 0
    """Offers whose time was over before another came."""
    contested: int = 0
    """Times that another set-point than ours was found in the charger."""


class ModbusEvse:
    """See the module's head. `driver` may be started and stopped through this."""

    def __init__(
        self,
        id: str,
        device: DeviceFile,
        link: Link,
        scheduler: Scheduler,
        *,
        unit: int | None = None,
        outlet: int = 1,
        pace: Pace | None = None,
        abilities: Abilities | None = None,
    ) -> None:
        """`abilities` says what was wired and configured on the site, where that is less than the file's."""
        self.driver = DeviceDriver(id, device, link, scheduler, unit=unit, outlet=outlet, pace=pace)
        self.counts = EvseCounts()
        self._scheduler = scheduler
        self._device = device
        self._file = device.abilities or FileAbilities()
        self._limit = (
            "limit_ma" if "limit_ma" in device.commands else "limit_mw" if "limit_mw" in device.commands else ""
        )
        self._abilities = abilities or abilities_of(device)
        self._offer: int | None = None
        """What we want in force; None: nothing was offered yet, or the offer has lapsed."""
        self._until = 0
        self._force: int | None = None
        """What stands in the charger, as it has confirmed it."""
        self._force_at = 0
        self._enabled: bool | None = None
        self._written_at = -CONTEST_MS
        self._raised_at: int | None = None
        self._held: Timer | None = None
        self._busy = 0
        self._fallback = self._abilities.failsafe
        self._falls = False
        """Its offer has lapsed, and it has not yet taken what it falls back to."""
        self._lapse: Timer | None = None
        self._keep: Timer | None = None
        self._switching: Timer | None = None
        self._rest: Timer | None = None
        self._alone = False
        """Nothing is said to it until an offer comes, or `_rest` is over."""
        self._conductors = Conductors()
        self.driver.listeners.append(self._sampled)

    @property
    def id(self) -> str:
        return self.driver.id

    @property
    def abilities(self) -> Abilities:
        return self._abilities

    @property
    def contested(self) -> int:
        """How often another set-point than ours was found."""
        return self.counts.contested

    def start(self) -> None:
        """Ask and tell from now on."""
        if self._rest is not None:
            self._rest.cancel()
        self._rest, self._alone = None, False
        self.driver.start()

    def stop(self) -> None:
        """Say no more: the charger's watchdog takes over, where it has one."""
        self._falls = self._alone = False
        for timer in (self._lapse, self._keep, self._held, self._switching, self._rest):
            if timer is not None:
                timer.cancel()
        self._lapse = self._keep = self._held = self._switching = self._rest = None
        self.driver.stop()

    def rest(self, ms: int) -> None:
        """See `site.ports.Restful`. An offer ends it."""
        self._leave()
        self._rest = self._scheduler.call_later(ms, self.start)

    def _leave(self) -> None:
        self.stop()
        self._alone = True

    def status(self) -> EvseStatus:
        driver, points, texts = self.driver, self.driver.points(), self.driver.texts
        phases = points.get("phases")
        soc = points.get("soc_permille")
        error = points.get("error")
        fault = "" if driver.online else driver.trouble
        if not fault and error is not None and error.quality == "good" and error.value:
            fault = f"error {error.value}"
        return EvseStatus(
            online=driver.online,
            pilot=cast(PilotState | None, texts.get("state")) if driver.online else None,
            points=points,
            phases=self._used(phases),
            id_token=texts.get("id_token", ""),
            soc=soc.value if soc and soc.quality == "good" else None,
            offered=0 if self._enabled is False else self._force,
            offered_at_ms=self._force_at,
            fault=fault,
        )

    def _used(self, connected: Value | None) -> Literal[1, 2, 3] | None:
        """What it connects, where it says that; where it does not switch, no more than the car uses of them."""
        said = cast(Literal[1, 2, 3], connected.value) if connected and connected.value in (1, 2, 3) else None
        used = None if self._abilities.phase_switching else self._conductors.count
        return said if used is None else used if said is None or used < said else said

    def offer(self, value: int, phases: Literal[1, 3] | None, valid_ms: int, done: Done) -> None:
        able = self._abilities
        if not self._limit and "enable" not in self._device.commands:
            done(Told(False, f"{self._device.id} cannot be told a limit"))
            return
        if 0 < value < able.minimum:
            done(
                Told(
                    False,
                    f"{value} {able.unit} is below the charger's minimum {able.minimum}: offer 0 or more than that",
                )
            )
            return
        if value < 0 or valid_ms <= 0:
            done(Told(False, f"an offer of {value} {able.unit} for {valid_ms} ms is none"))
            return
        value = min(value, able.maximum)
        value -= value % able.step if value > able.minimum else 0
        if 0 < value < able.minimum:
            value = able.minimum
        if self._alone:
            self.start()
        now = self._now()
        self._offer, self._until, self._falls = value, now + valid_ms, False
        self._arm(valid_ms)
        stands = self.driver.points().get("phases")
        if phases is None:
            self._set(value, done)
        elif not able.phase_switching or stands is None or stands.quality != "good":
            # Lowered at once, but never confirmed: it would be counted on phases that it may not be on.
            why = "how many phases it connects cannot be read" if able.phase_switching else "it cannot switch phases"
            self._set(min(value, self._force or 0), lambda told: done(Told(False, told.error or why)))
        elif stands.value != phases:
            self._switch(phases, now + SWITCH_MS, done)
        else:
            self._set(value, done)

    def failsafe(self, value: int, watchdog_ms: int, done: Done) -> None:
        self._fallback = value
        name = "failsafe_ma" if self._abilities.unit == "mA" else "failsafe_mw"
        if name not in self._device.commands:
            fixed = self._abilities.failsafe
            if fixed is None or fixed > value or (self._abilities.watchdog_ms or 0) > watchdog_ms:
                what = "no fail-safe of its own" if fixed is None else f"a fail-safe of {fixed} that cannot be changed"
                done(Told(False, f"{self._device.id} has {what}"))
                return

        def stands(told: Told) -> None:
            if told.ok:
                self._abilities = msgspec.structs.replace(self._abilities, failsafe=value, watchdog_ms=watchdog_ms)
                self._keepalive()
            done(told)

        set_fallback(self.driver, name, value, watchdog_ms, stands)

    @property
    def unlocks(self) -> bool:
        """See `site.ports.Attended`."""
        return "unlock" in self._device.commands

    @property
    def restarts(self) -> bool:
        """See `site.ports.Attended`."""
        return "restart" in self._device.commands

    def unlock(self, done: Done) -> None:
        """See `site.ports.Attended`."""
        self.driver.command("unlock", 1, done)

    def restart(self, done: Done) -> None:
        """See `site.ports.Attended`."""
        self.driver.command("restart", 1, done)

    # what is in force

    def _set(self, value: int, done: Done, force: bool = False) -> None:
        """Bring the charger to `value`, with as few writes as that takes."""
        now = self._now()
        pausable = self._limit and self._device.commands[self._limit].pause is not None
        by_enable = "enable" in self._device.commands
        writes: list[tuple[str, int]] = []
        resume = by_enable and value > 0 and self._enabled is not True and bool(self._limit)
        """A charger that is off may say anything of its limit: that is read back when it is on again."""
        if value == 0 and not pausable:
            if not by_enable:
                done(Told(False, f"{self._device.id} cannot be paused: it has neither a pause value nor enable"))
                return
            if force or self._enabled is not False:
                writes.append(("enable", 0))
        else:
            if self._limit and (force or self._force != value):
                writes.append((self._limit, value))
            if by_enable and value > 0 and self._enabled is not True:
                writes.append(("enable", 1))
                if self._limit and len(writes) > 1:
                    writes.append(("", value))
        if not writes:
            self.counts.spared += 1
            self._force_at = now
            done(Told(True))
            return
        command = self._device.commands.get(self._limit)
        raising = value > (self._force or 0) and self._enabled is not False
        wait = command.min_ms - (now - self._written_at) if command and raising and not force else 0
        if self._held is not None:
            self._held.cancel()
            self._held = None
        if wait > 0 and self._force is not None:
            self._held = self._scheduler.call_later(wait, self._release)
            done(Told(True))
            return
        self._busy += 1

        def step(told: Told) -> None:
            if not told.ok or not writes:
                self._busy -= 1
                done(told)
                return
            name, wanted = writes.pop(0)
            check = not name
            self.driver.command(
                name or self._limit,
                wanted,
                lambda result: finished(name, wanted, result),
                write=not check,
                verify=check or not resume or name != self._limit,
            )

        def finished(name: str, wanted: int, result: Told) -> None:
            if result.ok:
                if name == "enable":
                    self._enabled = bool(wanted)
                else:
                    self._force = wanted
                    self._written_at = self._now() if name else self._written_at
                self._force_at = self._now()
            step(result)

        step(Told(True))

    def _release(self) -> None:
        """A raise that was held back, as the charger wants writes to be so far apart."""
        self._held = None
        if self._offer is not None and self._now() < self._until:
            self._set(self._offer, _ignore)

    def _arm(self, valid_ms: int) -> None:
        if self._lapse is not None:
            self._lapse.cancel()
        self._lapse = self._scheduler.call_later(valid_ms, self._lapsed)
        self._keepalive()

    def _lapsed(self) -> None:
        """Nobody has said anything in time."""
        self._lapse = None
        self.counts.lapsed += 1
        for timer in (self._keep, self._held):
            if timer is not None:
                timer.cancel()
        self._keep = self._held = None
        now = self._offer if self._force is None else self._force
        self._offer = None
        self._falls = now is None or now > self._falls_to
        self._fall()

    @property
    def _falls_to(self) -> int:
        return 0 if self._fallback is None else self._fallback

    def _fall(self) -> None:
        """Until it is taken: nobody else will say anything."""
        self._lapse = None

        def said(told: Told) -> None:
            if told.ok or not self._falls:
                self._falls = False
            elif self._abilities.watchdog_ms and self._file.keepalive == "read":
                self._leave()
            else:
                self._lapse = self._scheduler.call_later(AGAIN_MS, self._fall)

        if self._falls:
            self._set(self._falls_to, said)

    def _keepalive(self) -> None:
        """The next word for the watchdog, at a third of its time."""
        watchdog, keep = self._abilities.watchdog_ms, self._file.keepalive
        if self._keep is None and watchdog and keep not in (None, "read") and self._offer is not None:
            self._keep = self._scheduler.call_later(watchdog // 3, self._kept)

    def _kept(self) -> None:
        self._keep = None
        keep = self._file.keepalive
        if self._offer is None or self._now() >= self._until or keep is None:
            return
        if not self._busy:
            self.counts.kept += 1
            if keep == self._limit:
                self._set(self._offer, _ignore, force=True)
            else:
                self.driver.command(keep, 1, _ignore)
        self._keepalive()

    def _sampled(self) -> None:
        """A cycle is over: what stands in the charger now?"""
        if not self.driver.online:
            self._force = self._enabled = None  # it may have been restarted: what stands there is to be read again
            self._conductors.forget()
            return
        points = self.driver.points()
        if self.driver.texts.get("state") in ("B", "C", "D"):
            self._conductors.seen(points)
        else:
            self._conductors.forget()
        enable = points.get("enable")
        if enable is not None and enable.quality == "good" and not self._busy:
            self._enabled = bool(enable.value)
        verify = self._device.commands[self._limit].verify if self._limit else None
        stands = points.get(verify if verify not in (None, "self", "none") else self._limit)
        if stands is None or stands.quality != "good" or self._busy or stands.at_ms <= self._force_at:
            return
        tolerance = self._device.commands[self._limit].tolerance
        if self._force is None:
            self._force, self._force_at = stands.value, stands.at_ms
        elif abs(stands.value - self._force) > tolerance and self._enabled is not False:
            self._force, self._force_at = stands.value, stands.at_ms
            if self._offer is not None:
                self.counts.contested += 1
                if self._now() - self._written_at >= CONTEST_MS and self._now() < self._until:
                    self._set(self._offer, _ignore)

    # phases

    def _switch(self, phases: Literal[1, 3], until: int, done: Done) -> None:
        """Pause, wait until no current flows, switch, and go on with what is offered then."""
        if self._switching is not None:
            done(Told(True))
            return

        def idle() -> bool:
            points = self.driver.points()
            currents = [points[name].value for name in _CURRENTS if name in points and points[name].quality == "good"]
            return self.driver.texts.get("state") not in ("C", "D") or (bool(currents) and max(currents) <= _IDLE_MA)

        def wait(told: Told) -> None:
            if not told.ok:
                self._switching = None
                done(told)
            elif idle():
                self.driver.command("phase_switch", phases, switched)
            elif self._now() >= until:
                self._switching = None
                done(Told(False, "the vehicle goes on charging: the phases were not switched"))
                if self._offer is not None:
                    self._set(self._offer, _ignore)
            else:
                self._switching = self._scheduler.call_later(500, lambda: wait(Told(True)))

        def switched(told: Told) -> None:
            self._switching = None
            if told.ok and self._offer is not None:
                self._set(self._offer, done)
            else:
                done(told)

        self._switching = self._scheduler.call_later(SWITCH_MS, lambda: None)
        self._set(0, wait)

    def _now(self) -> int:
        return int(self._scheduler.now())


_CURRENTS = ("current_l1_ma", "current_l2_ma", "current_l3_ma", "current_ma")


def _ignore(told: Told) -> None:
    """For what nobody waits for: it is told again with the next offer or keepalive."""


def abilities_of(device: DeviceFile) -> Abilities:
    """A file's abilities as the loop wants them."""
    able = device.abilities or FileAbilities()
    amperes = "limit_mw" not in device.commands or "limit_ma" in device.commands
    name = "limit_ma" if amperes else "limit_mw"
    command = device.commands.get(name)
    low, high = command.range if command is not None and command.range else (0, 1 << 40)
    return Abilities(
        unit="mA" if amperes else "mW",
        minimum=max(able.minimum_ma if amperes else able.minimum_mw, low),
        maximum=min(able.maximum_ma if amperes else able.maximum_mw or high, high),
        step=able.step_ma if amperes else able.step_mw,
        phases=able.phases,
        phase_switching=able.phase_switching,
        failsafe=able.failsafe_ma if amperes else able.failsafe_mw,
        watchdog_ms=able.watchdog_ms,
    )
