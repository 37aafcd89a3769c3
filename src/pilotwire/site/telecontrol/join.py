"""All of a site's telecontrol in one object.

telecontrol = Telecontrol(config, devices, scheduler, utc, InterventionLog(path), changed=loop.nudge, report=say)
await telecontrol.open()
loop.external = External(controls=telecontrol.controls, prices=...)     # when `changed` is called, and each tick
telecontrol.decided(decision.state.steering.interventions, decision.ended)   # after each tick
await telecontrol.close()
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping

import msgspec

from pilotwire.core.errors import ConfigError
from pilotwire.core.time import Scheduler, Timer
from pilotwire.domain.steering import Control, Intervention
from pilotwire.domain.telecontrol import (
    ContactState,
    ReceiverState,
    RegisterState,
    decode,
    in_force,
    resumed,
    resumed_receiver,
    step,
)
from pilotwire.site.ports import Device
from pilotwire.transport.modbus.guard import Audit

from .config import TelecontrolConfig
from .log import InterventionLog
from .register import RegisterServer
from .samples import sample_of
from .watcher import Reader, ScheduleWatcher, read_file

__all__ = ["Telecontrol"]


class _Kept(msgspec.Struct, frozen=True):
    """`registers`: each with the UTC time at which it was written, as the steady clock does not survive."""

    contacts: dict[str, ContactState]
    receivers: dict[str, ReceiverState]
    registers: dict[str, RegisterState]


_KEPT = msgspec.json.Decoder(_Kept)
_ENCODER = msgspec.json.Encoder()
_KEY = "state"


class Telecontrol:
    """`controls` is what is ordered now; `changed` is called when it is not what it was."""

    def __init__(
        self,
        config: TelecontrolConfig,
        devices: Mapping[str, Device],
        scheduler: Scheduler,
        utc: Callable[[], int],
        log: InterventionLog,
        *,
        changed: Callable[[], None] = lambda: None,
        report: Callable[[str], None] = lambda text: None,
        power: Callable[[str], int | None] = lambda node: None,
        read: Reader = read_file,
        audit: Callable[[Audit], None] | None = None,
    ) -> None:
        """What was known before a restart counts at once. Raises ConfigError."""
        self.controls: tuple[Control, ...] = ()
        self.log = log
        self._config, self._devices, self._scheduler, self._utc = config, devices, scheduler, utc
        self._changed, self._report = changed, report
        self._timer: Timer | None = None
        self._trouble = ""
        now = int(scheduler.now())
        kept = self._remembered()
        self.contacts = {
            each.contact.id: resumed(kept.contacts.get(each.contact.id, ContactState())) for each in config.inputs
        }
        self.receivers = {
            each.id: resumed_receiver(kept.receivers.get(each.id, ReceiverState()), now) for each in config.receivers
        }
        self.schedules: dict[str, ScheduleWatcher] = {}
        self._polls: dict[str, int] = {}
        for each in config.schedules:
            before = log.remembered(f"schedule {each.rules.id}") or b""
            self.schedules[each.rules.id] = ScheduleWatcher(each, read, report, before)
        self.registers: dict[str, RegisterServer] = {}
        for each in config.registers:
            state = kept.registers.get(each.rules.id)
            if state is not None and (state.raw is None or state.raw == 65_535 or state.raw <= each.rules.maximum):
                age = max(0, utc() - state.written_ms)
                state = msgspec.structs.replace(state, written_ms=now - age)
            else:
                state = RegisterState(written_ms=now)
            self.registers[each.rules.id] = RegisterServer(each, state, scheduler, power, self.look, audit)
        self._saved = b""

    async def open(self) -> None:
        """Look, then serve the registers and go on looking. Raises ConfigError; nothing is left open then."""
        self.look()
        try:
            for server in self.registers.values():
                await server.open()
        except ConfigError:
            await self.close()
            raise
        self._again()

    async def close(self) -> None:
        """Stop looking and serving. The log stays open: it is the caller's."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for server in self.registers.values():
            await server.close()

    def look(self) -> None:
        """Everything once, now. Raises nothing."""
        now, utc = int(self._scheduler.now()), self._utc()
        found: list[Control] = []
        known = {each.contact.id: each.contact for each in self._config.inputs}
        for entry in self._config.inputs:
            id = entry.contact.id
            sample = sample_of(entry, self._devices.get(entry.device))
            self.contacts[id], events = step(entry.contact, self.contacts[id], sample, now)
            for event in events:
                if event.after in ("broken", "lost") or event.before in ("broken", "lost"):
                    self._report(f"contact {id} is {event.after}, it was {event.before}")
        shown = {id: (contact, self.contacts[id]) for id, contact in known.items()}
        for receiver in self._config.receivers:
            state, controls, _ = decode(receiver, shown, self.receivers[receiver.id], now)
            self.receivers[receiver.id] = state
            found += controls
        for entry in self._config.schedules:
            found += self._scheduled(entry.rules.id, entry.poll_ms, now, utc)
        for server in self.registers.values():
            control = in_force(server.entry.rules, server.state, now).control
            if control is not None:
                found.append(control)
        self._save(now, utc)
        controls = tuple(sorted(found, key=lambda each: each.id))
        if controls != self.controls:
            self.controls = controls
            self._changed()

    def decided(self, going: Mapping[str, Intervention], ended: Iterable[Intervention]) -> None:
        """A tick is over. What cannot be written is reported; interventions that last are written when it works again,
        those that ended meanwhile then end as not seen."""
        self._written("the intervention log", lambda: self.log.note(going, ended, self._utc()))

    def _scheduled(self, id: str, poll_ms: int, now: int, utc: int) -> list[Control]:
        watcher = self.schedules[id]
        if now >= self._polls.get(id, now):
            self._polls[id] = now + poll_ms
            before = watcher.data
            watcher.poll()
            if watcher.data != before:
                data = watcher.data
                self._written(f"schedule {id}", lambda: self.log.remember(f"schedule {id}", data))
        control = watcher.at(utc).control
        return [] if control is None else [control]

    def _save(self, now: int, utc: int) -> None:
        """What is known, and nothing that changes with each look; of a register, that it has been fed is worth it."""
        kept = _Kept(
            {id: ContactState(known=each.known) for id, each in self.contacts.items()},
            {id: resumed_receiver(each, 0) for id, each in self.receivers.items()},
            {id: server.state for id, server in self.registers.items()},
        )
        data = _ENCODER.encode(kept)
        if data == self._saved:
            return
        registers = {
            id: msgspec.structs.replace(each, written_ms=utc - (now - each.written_ms))
            for id, each in kept.registers.items()
        }
        stored = _ENCODER.encode(msgspec.structs.replace(kept, registers=registers))
        if self._written("the state of telecontrol", lambda: self.log.remember(_KEY, stored)):
            self._saved = data

    def _remembered(self) -> _Kept:
        data = self.log.remembered(_KEY)
        try:
            return _KEPT.decode(data) if data is not None else _Kept({}, {}, {})
        except msgspec.DecodeError as error:
            self._report(f"the state of telecontrol before this start cannot be read: {error}")
            return _Kept({}, {}, {})

    def _written(self, what: str, write: Callable[[], object]) -> bool:
        try:
            write()
        except sqlite3.Error as error:
            trouble = f"{what} cannot be written: {error}"
            if trouble != self._trouble:
                self._report(trouble)
            self._trouble = trouble
            return False
        self._trouble = ""
        return True

    def _again(self) -> None:
        self._timer = self._scheduler.call_later(self._config.look_ms, self._looked)

    def _looked(self) -> None:
        self.look()
        self._again()
