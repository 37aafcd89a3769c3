"""What the emulators of all families have in common: one module's end of the conversation, above a `Rectifier`.

An emulator takes the frames of its bus and returns the frames that the module would answer with. It turns off when it
hears nothing for `silence_ms`, as real ones do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from pilotwire.core.machines import Send
from pilotwire.protocols.can import CanFrame

from .messages import SILENCE as SILENT
from .messages import Alarm, Family
from .rectifier import Rating, Rectifier
from .timers import SILENCE


class ModuleEmulator:
    """One emulated module at `address`."""

    family: ClassVar[Family]
    rating: ClassVar[Rating] = Rating()

    def __init__(
        self, address: int, rectifier: Rectifier | None = None, *, silence_ms: int = SILENCE.ms, serial: int = 0
    ) -> None:
        self.address = address
        self.rectifier = rectifier or Rectifier(self.rating)
        self.serial = serial or 0x1000 + address
        self.silence_ms = silence_ms
        self.heard = 0
        self.lie_mv = 0
        """It reports so much more than there is."""
        self.lie_ma = 0

    @staticmethod
    def destination(frame: CanFrame) -> int | None:
        """The address a frame is for: of a module, -1 for all of them, None for no module of this family."""
        raise NotImplementedError

    def receive(self, frame: CanFrame, now: int) -> Iterable[CanFrame]:
        """A frame that is for this module or for all."""
        if not self.rectifier.alive:
            return ()
        self.heard = now
        self.rectifier.faults.discard(SILENT.word)
        return self._answer(frame, now)

    def elapse(self, now: int) -> None:
        """Time has gone by: ramps, heat, and silence."""
        stage = self.rectifier
        stage.step(now)
        if stage.on and now - self.heard > self.silence_ms:
            stage.switch(False, now)
            stage.faults.add(SILENT.word)

    def _answer(self, frame: CanFrame, now: int) -> Iterable[CanFrame]:
        raise NotImplementedError

    @property
    def shown_mv(self) -> int:
        """The voltage it reports."""
        return max(0, self.rectifier.mv + self.lie_mv)

    @property
    def shown_ma(self) -> int:
        """The current it reports."""
        return max(0, self.rectifier.ma + self.lie_ma)

    def status(self, table: Mapping[int, Alarm]) -> int:
        """The status word of its faults."""
        words = self.rectifier.faults
        bits = 0
        for bit, alarm in table.items():
            if alarm.word in words:
                bits |= 1 << bit
                words = words - {alarm.word}
        return bits


class EmulatedBus:
    """Many emulated modules on one bus: the machine at its other end (`core.machines.Machine`)."""

    def __init__(self, modules: Iterable[ModuleEmulator], *, step_ms: int = 50) -> None:
        self.modules = {module.address: module for module in modules}
        self._where = next(iter(self.modules.values())).destination
        self._step_ms = step_ms
        self._due: int | None = 0

    @property
    def deadline(self) -> int | None:
        """The next step of the physics."""
        return self._due

    def frames(self, frame: CanFrame, now: int) -> list[CanFrame]:
        """What the modules answer, in the order of their addresses."""
        to = self._where(frame)
        if to is None:
            return []
        if to >= 0:
            module = self.modules.get(to)
            return [] if module is None else list(module.receive(frame, now))
        return [answer for module in self.modules.values() for answer in module.receive(frame, now)]

    def receive(self, data: CanFrame, now: int) -> Sequence[Any]:
        """A frame of the charger."""
        return [Send(frame) for frame in self.frames(data, now)]

    def elapse(self, now: int) -> Sequence[Any]:
        """Moves every module on."""
        if self._due is not None and now >= self._due:
            self._due = now + self._step_ms
            for module in self.modules.values():
                module.elapse(now)
        return ()

    def lost(self, now: int) -> Sequence[Any]:
        """The bus is gone; the modules live on, and find out by themselves."""
        return ()
