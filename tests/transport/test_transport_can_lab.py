"""Pins over a bus: what changes is told once, what is lost comes again, silence is a pulled plug."""

from __future__ import annotations

from typing import Any

import pytest

from pilotwire.core.time import SimScheduler
from pilotwire.protocols.can.frame import CanFrame
from pilotwire.protocols.chademo.pins import Pin
from pilotwire.protocols.gbt27930.wires import Supply
from pilotwire.transport.can_lab import IDENTIFIER, SILENT_MS, TURN_MS, LabPlug
from pilotwire.transport.can_sim import SimCanBus


class Ends:
    def __init__(self) -> None:
        self.clock = SimScheduler(0)
        self.bus = SimCanBus(self.clock, 500_000)
        self.told: dict[str, list[Any]] = {"evse": [], "ev": []}
        self.evse = self.end("evse")

    def end(self, side: Any) -> LabPlug:
        told = self.told[side]
        plug = LabPlug(
            self.bus.port(), side, self.clock,
            plugged=lambda: told.append("plugged"), pulled=lambda: told.append("pulled"),
        )  # fmt: skip
        plug.received = told.append
        return plug

    def run(self, ms: int) -> None:
        self.clock.run_for(ms)

    def taken(self, side: str) -> list[Any]:
        told, self.told[side][:] = list(self.told[side]), []
        return told


def together() -> tuple[Ends, LabPlug]:
    ends = Ends()
    ends.run(5_000)
    assert ends.told["evse"] == [] and not ends.evse.there, "nobody is there"
    ev = ends.end("ev")
    ends.run(3 * TURN_MS)
    assert ends.taken("evse") == ["plugged"] and ends.taken("ev") == ["plugged"]
    return ends, ev


@pytest.mark.parametrize("pin", [*(Pin(name, True) for name in ("proximity", "d1", "d2", "k")), Supply(True)], ids=str)
def test_a_pin_is_told_when_it_changes_and_once(pin: Any) -> None:
    ends, ev = together()
    ev.send(pin)
    ends.run(SILENT_MS)
    assert ends.taken("evse") == [pin]
    ev.send(type(pin)(*pin[:-1], False) if isinstance(pin, Pin) else Supply(False))
    ev.send(pin)
    ends.run(SILENT_MS)
    assert [each.on for each in ends.taken("evse")] == [False, True]
    assert ends.taken("ev") == []


def test_a_pin_whose_frame_is_lost_is_told_again() -> None:
    ends, ev = together()
    ends.bus.fault = lambda frame: []
    ev.send(Pin("k", True))
    ends.run(100)
    ends.bus.fault = None
    ends.run(3 * TURN_MS)
    assert ends.taken("evse") == [Pin("k", True)]


def test_frames_of_protocols_go_through_untouched_and_only_while_somebody_is_there() -> None:
    ends, ev = together()
    frames = [CanFrame(0x108, b"\1\2"), CanFrame(IDENTIFIER & 0x7FF, b"x"), CanFrame(0x1801F456, b"\0" * 8, True)]
    for frame in frames:
        ev.send(frame)
    ends.run(50)
    assert sorted(ends.taken("evse")) == sorted(frames)
    ev.close()
    ends.run(50)
    assert ends.taken("evse") == ["pulled"]
    stranger = ends.bus.port()
    stranger.send(frames[0])
    ends.run(50)
    assert ends.taken("evse") == []


def test_who_is_silent_has_pulled_and_may_come_again_with_nothing_remembered() -> None:
    ends, ev = together()
    ev.send(Pin("k", True))
    ends.run(100)
    assert ends.taken("evse") == [Pin("k", True)]
    ends.bus.fault = lambda frame: []
    ends.run(SILENT_MS - 200)
    assert ends.taken("evse") == []
    ends.run(400)
    assert ends.taken("evse") == ["pulled"] and ends.taken("ev") == ["pulled"]
    ends.bus.fault = None
    ends.run(3 * TURN_MS)
    assert ends.taken("evse") == ["plugged"], "its pins are off"
    ev.send(Pin("k", True))
    ends.run(50)
    assert ends.taken("evse") == [Pin("k", True)]


@pytest.mark.parametrize(
    "data", [b"", b"\1", b"\1\2", b"\1\2\2", b"\0\2\1", b"\2\2\1", b"\1\0\1", b"\1\x63\1", b"\1\2\1\0", b"\xff" * 8]
)
def test_what_is_no_pin_of_the_other_end_is_nothing(data: bytes) -> None:
    ends, _ = together()
    stranger = ends.bus.port()
    stranger.send(CanFrame(IDENTIFIER, data, True))
    ends.run(SILENT_MS)
    assert ends.taken("evse") == []
    assert ends.evse.there


def test_anything_else_is_no_unit_of_this_carrier() -> None:
    ends, _ = together()
    with pytest.raises(TypeError, match="neither a frame nor a pin"):
        ends.evse.send("d1")
