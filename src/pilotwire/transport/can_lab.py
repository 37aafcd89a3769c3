"""The plug of a laboratory: what is beside a CAN bus (pins, the charger's supply) between two programs on one bus.

On real equipment pins are wires, and the board's business behind the same seam: what a machine sends that is no frame
is given to relays, and what is measured is handed to `Runner.received`. Two programs have no wires between them, so
here pins go over the bus itself, in extended frames of an identifier that no protocol uses: J1939 keeps the data page
of `IDENTIFIER` for ISO 15765, CHAdeMO has eleven bits. What goes over the bus besides is not touched.

    byte 0     who says it: 0 the EVSE, 1 the vehicle
    byte 1     what: 1 the plug in its socket; 2 proximity, 3 d1, 4 d2, 5 k (CHAdeMO); 6 the supply (GB/T 18487.1)
    byte 2     1 on, 0 off

Every state is said when it changes and again all the time; who is silent for `SILENT_MS` has pulled the plug.
The detection points of GB/T are told to a machine by whoever runs it: that the plug is in is what they measure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

from pilotwire.core.time import Scheduler
from pilotwire.protocols.can.frame import CanFrame
from pilotwire.protocols.chademo.pins import Pin, PinName
from pilotwire.protocols.gbt27930.wires import Supply

from .can_port import CanPort

Side = Literal["evse", "ev"]

IDENTIFIER: Final = 0x1FFF_5057
TURN_MS: Final = 50
"""One state is said again in each turn."""
SILENT_MS: Final = 2_000
_SIDES: Final[tuple[Side, Side]] = ("evse", "ev")
_SOCKET: Final = 1
_PINS: Final[dict[PinName, int]] = {"proximity": 2, "d1": 3, "d2": 4, "k": 5}
_SUPPLY: Final = 6
_NAMES: Final[dict[int, PinName]] = {number: name for name, number in _PINS.items()}


class LabPlug:
    """One end of the plug, on a bus that stays its owner's.

    `received` is given the other end's frames and pins; `plugged` and `pulled` are told when the other end is there,
    and gone. Nothing is said of pins before it is there.
    """

    def __init__(
        self,
        bus: CanPort,
        side: Side,
        scheduler: Scheduler,
        *,
        plugged: Callable[[], None],
        pulled: Callable[[], None] = lambda: None,
    ) -> None:
        self.received: Callable[[Any], None] = lambda unit: None
        self.there = False
        """The other end is."""
        self._bus = bus
        self._side = _SIDES.index(side)
        self._scheduler = scheduler
        self._plugged = plugged
        self._pulled = pulled
        self._ours = {_SOCKET: True}
        self._theirs: dict[int, bool] = {}
        self._heard = 0
        self._turn = 0
        self._unsubscribe = bus.subscribe(self._came)
        self._cycle = bus.every(TURN_MS, self._again)

    def send(self, unit: Any) -> None:
        """A frame, a `Pin` or a `Supply` to the other end. Raises TypeError for anything else."""
        if isinstance(unit, CanFrame):
            self._bus.send(unit)
            return
        what = _kind(unit)
        self._ours[what] = unit.on
        self._bus.send(self._frame(what, on=unit.on))

    def close(self) -> None:
        """Pull the plug."""
        self._cycle.cancel()
        self._unsubscribe()
        self._bus.send(self._frame(_SOCKET, on=False))

    # ── the bus ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _frame(self, what: int, *, on: bool) -> CanFrame:
        return CanFrame(IDENTIFIER, bytes((self._side, what, on)), True)

    def _again(self) -> CanFrame:
        if self.there and int(self._scheduler.now()) - self._heard >= SILENT_MS:
            self._gone()
        self._turn += 1
        what = list(self._ours)[self._turn % len(self._ours)]
        return self._frame(what, on=self._ours[what])

    def _came(self, frame: CanFrame) -> None:
        if frame.id != IDENTIFIER or not frame.extended:
            if self.there:
                self.received(frame)
            return
        if len(frame.data) != 3 or frame.data[0] != 1 - self._side or frame.data[2] > 1:
            return
        what, on = frame.data[1], frame.data[2] == 1
        self._heard = int(self._scheduler.now())
        if what == _SOCKET:
            if on and not self.there:
                self.there = True
                self._plugged()
            elif self.there and not on:
                self._gone()
        elif self.there and self._theirs.get(what) != on:
            self._theirs[what] = on
            unit = _unit(what, on=on)
            if unit is not None:
                self.received(unit)

    def _gone(self) -> None:
        self.there = False
        self._theirs.clear()
        self._ours = {_SOCKET: True}
        self._pulled()


def _kind(unit: Any) -> int:
    if isinstance(unit, Pin):
        return _PINS[unit.name]
    if isinstance(unit, Supply):
        return _SUPPLY
    raise TypeError(f"{unit!r} is neither a frame nor a pin")


def _unit(what: int, *, on: bool) -> Pin | Supply | None:
    if what == _SUPPLY:
        return Supply(on)
    name = _NAMES.get(what)
    return None if name is None else Pin(name, on)
