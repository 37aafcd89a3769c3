"""What the drivers of all families have in common: one conversation with all modules of one bus.

A driver is a machine (`core.machines.Machine`): it takes `CanFrame`s, returns `Send(CanFrame)` and the events of
`messages`, and asks to be woken at `deadline`. Commands (`Set`, `Switch`) are sent at once, remembered, and repeated:
the last one counts, whatever was lost on the way. A module that comes back after it was lost is off until it is
switched on again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from pilotwire.core.machines import Send
from pilotwire.protocols.can import CanFrame

from .messages import Alarm, Alarms, Family, Found, Limits, Lost, ModuleCommand, Reading, Refused, Set
from .timers import OFFLINE, POLL_MS, REPEAT, SLICES, SLOW_POLLS

_STEP_MS = POLL_MS // SLICES


class Slot:
    """What a driver knows of one module."""

    __slots__ = (
        "address",
        "alarms",
        "heard",
        "ma",
        "mode",
        "mode_until",
        "mode_wanted",
        "mv",
        "obeyed",
        "on",
        "polls",
        "present",
        "read_ma",
        "read_mv",
        "repeated",
        "running",
        "temperature",
    )

    def __init__(self, address: int) -> None:
        self.address = address
        self.present = False
        self.heard = 0
        self.mv = 0
        self.ma = 0
        self.on = False
        self.obeyed = False
        self.repeated = 0
        self.polls = 0
        self.read_mv: int | None = None
        self.read_ma: int | None = None
        self.running: bool | None = None
        self.temperature: int | None = None
        self.alarms: tuple[Alarm, ...] = ()
        # Families with voltage modes only.
        self.mode = 0
        self.mode_wanted = 0
        self.mode_until: int | None = None


class ModuleDriver:
    """The charger's end towards the modules of one bus. `addresses`: fixed ones; none: they are discovered.

    Families fill in `_ask`, `_ask_slowly`, `_setpoint`, `_power`, `_discover` and `_hear`.
    """

    family: ClassVar[Family]
    most_mv: ClassVar[int] = 1_500_000
    """No reading above this is believed."""
    most_ma: ClassVar[int] = 400_000

    def __init__(self, addresses: Iterable[int] = (), *, offline_ms: int = OFFLINE.ms) -> None:
        self.slots: dict[int, Slot] = {address: Slot(address) for address in addresses}
        self.discovering = not self.slots
        self.rejected = 0
        """Frames that were for us and made no sense."""
        self._offline_ms = offline_ms
        self._step = 0
        self._due: int | None = 0

    # ── the machine ──────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def deadline(self) -> int | None:
        """The next step of the polling; None: the bus is gone."""
        return self._due

    def receive(self, data: CanFrame, now: int) -> Sequence[Any]:
        """A frame of the bus; what is not from a module of this family is passed over."""
        out: list[Any] = []
        self._hear(data, now, out)
        return out

    def elapse(self, now: int) -> Sequence[Any]:
        """Polls, repeats and gives up what has been silent for too long."""
        if self._due is None or now < self._due:
            return ()
        # Steps that were missed are not made up for: the bus would only get fuller.
        self._due = now + _STEP_MS
        out: list[Any] = []
        part = self._step % SLICES
        if self._step % (SLICES * 4) == 0 and (self.discovering or not all(s.present for s in self.slots.values())):
            self._send(out, self._discover())
        self._step += 1
        for index, slot in enumerate(list(self.slots.values())):
            if index % SLICES == part:
                self._serve(slot, now, out)
        return out

    def lost(self, now: int) -> Sequence[Any]:
        """The bus is gone. Modules are given up when their time is over, not before: they may still deliver."""
        return self.elapse(now)

    def command(self, command: ModuleCommand, now: int) -> Sequence[Any]:
        """`Set` or `Switch`, at any time, for a module that is there or not yet."""
        slot = self.slots.get(command.address)
        if slot is None:
            return (Refused(command.address, "no such module"),)
        out: list[Any] = []
        if isinstance(command, Set):
            slot.mv, slot.ma = command.mv, command.ma
            if self._ready(slot, now, out):
                self._send(out, self._setpoint(slot))
        elif command.on:
            if not slot.present:
                return (Refused(command.address, "the module does not answer"),)
            slot.on, slot.obeyed = True, False
            if self._ready(slot, now, out):
                self._send(out, self._setpoint(slot))
                self._send(out, self._power(slot, True))
        else:
            slot.obeyed = slot.obeyed and not slot.on
            slot.on = False
            self._send(out, self._power(slot, False))
        slot.repeated = now
        return out

    def inquire(self, address: int) -> Sequence[Any]:
        """Ask a module how it is, now and not with the next poll."""
        slot = self.slots.get(address)
        out: list[Any] = []
        if slot is not None:
            # Whether it is on first: the reading that follows tells all together.
            self._send(out, self._ask_slowly(slot))
            self._send(out, self._ask(slot))
        return out

    # ── for families ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _ask(self, slot: Slot) -> Iterable[CanFrame]:
        """Frames that ask for voltage and current."""
        raise NotImplementedError

    def _ask_slowly(self, slot: Slot) -> Iterable[CanFrame]:
        """Frames that ask for alarms, temperature, limits."""
        raise NotImplementedError

    def _setpoint(self, slot: Slot) -> Iterable[CanFrame]:
        raise NotImplementedError

    def _power(self, slot: Slot, on: bool) -> Iterable[CanFrame]:
        raise NotImplementedError

    def _discover(self) -> Iterable[CanFrame]:
        return ()

    def _hear(self, frame: CanFrame, now: int, out: list[Any]) -> None:
        raise NotImplementedError

    def _ready(self, slot: Slot, now: int, out: list[Any]) -> bool:
        """The module can take setpoints and be turned on. Families with modes are not, while they change."""
        return True

    def _heard(self, address: int, now: int, out: list[Any]) -> Slot | None:
        """The slot of a module that has spoken; None: it is none of ours."""
        slot = self.slots.get(address)
        if slot is None:
            if not self.discovering:
                return None
            slot = self.slots[address] = Slot(address)
        slot.heard = now
        if not slot.present:
            slot.present = True
            slot.on = slot.obeyed = False
            slot.running = None
            slot.read_mv = slot.read_ma = None
            out.append(Found(address))
            # Whatever it did when we did not hear it, it begins from off.
            self._send(out, self._power(slot, False))
        return slot

    def _read(self, slot: Slot, out: list[Any], *, mv: int | None = None, ma: int | None = None) -> None:
        """Voltage, current or both have come; tells when both have."""
        if (mv is not None and not 0 <= mv <= self.most_mv) or (ma is not None and not -1000 <= ma <= self.most_ma):
            self._bad(slot.address, f"reading out of range: {mv} mV, {ma} mA", out)
            return
        if mv is not None:
            slot.read_mv = mv
        if ma is not None:
            slot.read_ma = ma
        if slot.read_mv is None or slot.read_ma is None:
            return
        out.append(
            Reading(
                address=slot.address,
                mv=slot.read_mv,
                ma=slot.read_ma,
                running=slot.running,
                obeyed=slot.obeyed,
                temperature=slot.temperature,
            )
        )
        slot.read_mv = slot.read_ma = None

    def _limits(self, limits: Limits, out: list[Any]) -> None:
        if 0 <= limits.min_mv < limits.max_mv <= self.most_mv and 0 < limits.max_ma <= self.most_ma:
            out.append(limits)
        else:
            self._bad(limits.address, "limits out of range", out)

    def _alarm(self, slot: Slot, alarms: tuple[Alarm, ...], out: list[Any]) -> None:
        if alarms != slot.alarms:
            slot.alarms = alarms
            out.append(Alarms(slot.address, alarms))

    def _bad(self, address: int, text: str, out: list[Any]) -> None:
        self.rejected += 1
        out.append(Refused(address, text))

    @staticmethod
    def _send(out: list[Any], frames: Iterable[CanFrame]) -> None:
        out.extend(Send(frame) for frame in frames)

    # ── polling ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _serve(self, slot: Slot, now: int, out: list[Any]) -> None:
        if slot.present and now - slot.heard > self._offline_ms:
            slot.present = False
            slot.on = False
            slot.alarms = ()
            out.append(Lost(slot.address, now - slot.heard))
        self._send(out, self._ask(slot))
        if slot.polls % SLOW_POLLS == 0 or slot.running is not slot.on:
            # Until it has done what it was told, it is asked with every poll.
            self._send(out, self._ask_slowly(slot))
        slot.polls += 1
        if slot.present and now - slot.repeated >= REPEAT.ms:
            slot.repeated = now
            if not slot.on:
                self._ready(slot, now, out)
                # Off is repeated for as long as it is not sure: always, so that it is always sure.
                self._send(out, self._power(slot, False))
            elif self._ready(slot, now, out):
                self._send(out, self._setpoint(slot))
                self._send(out, self._power(slot, True))
