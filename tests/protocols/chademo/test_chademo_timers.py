"""Every timer of CHAdeMO, both ends, one millisecond before its limit and one behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from tests.protocols.chademo.chademo_kit import FAST, Plug
from tests.timers import OUTSIDE, every_timer, just, shown

from pilotwire.core.ev_link import Halt, Parted
from pilotwire.core.evse_link import Ended, Fault, Measured, Stop
from pilotwire.core.timers import TimerRule
from pilotwire.protocols.can import CanFrame
from pilotwire.protocols.chademo import Pin, encode_frame
from pilotwire.protocols.chademo.timers import TIMERS


def drop(side: str, *ids: int, pins: tuple[str, ...] = ()) -> Callable[[Any, str], list[Any]]:
    """Loses frames (no ids: all of them) or pins of one side."""

    def spoil(data: Any, who: str) -> list[Any]:
        lost = who == side and (
            data.name in pins if isinstance(data, Pin) else not pins and (not ids or data.id in ids)
        )
        return [] if lost else [data]

    return spoil


def change(side: str, id: int, byte: int, how: Callable[[int], int]) -> Callable[[Any, str], list[Any]]:
    """Changes a byte of one frame of one side."""

    def spoil(data: Any, who: str) -> list[Any]:
        if who != side or not isinstance(data, CanFrame) or data.id != id:
            return [data]
        raw = bytearray(data.data)
        raw[byte] = how(raw[byte])
        return [data._replace(data=bytes(raw))]

    return spoil


def lone_ev(*pins: str) -> Plug:
    """A vehicle at a charger that stands still before power: 108 and 109 come, and these pins, and nothing changes."""
    plug = Plug()
    plug.spoil = lambda data, who: []
    plug.plug(authorized=False)
    frames = [
        encode_frame(0x108, {"available_output_voltage": 500_000, "available_output_current": 100_000}),
        encode_frame(0x109, {"charging_stop_control": True, "connector_locked": True}),
    ]

    def again() -> None:
        for frame in frames:
            plug.b.received(frame)
        plug.time.call_later(100, again)

    for pin in pins:
        plug.b.received(Pin(pin, True))  # type: ignore[arg-type]
        again() if pin == "d1" else None
    return plug


def evse_can_start() -> Plug:
    plug = Plug()
    plug.spoil = lambda data, who: [] if who == "ev" and isinstance(data, CanFrame) else [data]
    return plug.plug().until("wake")


def evse_vehicle_permission() -> Plug:
    plug = Plug()
    plug.spoil = drop("ev", pins=("k",))
    return plug.plug().until("negotiate")


def evse_connector_lock() -> Plug:
    plug = Plug()
    plug.station_hears = False
    return plug.plug().until("lock")


def evse_insulation_test() -> Plug:
    return Plug(hardware=msgspec.structs.replace(FAST, isolation_ms=90_000)).plug().until("insulation")


def evse_output_discharged() -> Plug:
    plug = Plug().plug().until("insulation")
    plug.a.command(Measured(mv=25_000))
    return plug.until("discharged")


def evse_vehicle_contactors() -> Plug:
    plug = Plug()
    plug.spoil = change("ev", 0x102, 5, lambda status: status | 0x08)
    return plug.plug().until("vehicle contactors")


def evse_output_contactor() -> Plug:
    return Plug(hardware=msgspec.structs.replace(FAST, contactor_fails=True)).plug().until("output contactor")


def evse_vehicle_frames() -> Plug:
    plug = Plug().plug().until("power").run(3_000)
    plug.spoil = drop("ev")
    return plug.run(50)


def evse_current_down() -> Plug:
    plug = Plug().plug().until("power").run(8_000)
    plug.station_hears = False
    plug.a.command(Stop())
    return plug.until("current down")


def evse_vehicle_contactors_open() -> Plug:
    plug = Plug().plug().until("power").run(3_000)
    plug.spoil = change("ev", 0x102, 5, lambda status: status & ~0x08)
    plug.a.command(Stop())
    return plug.until("contactors open")


def evse_voltage_down() -> Plug:
    plug = Plug().plug().until("power").run(3_000)
    plug.welded = True
    plug.a.command(Stop())
    return plug.until("voltage down")


def ev_charger_frames_first() -> Plug:
    plug = Plug()
    plug.spoil = drop("evse")
    return plug.plug().until_ev("greet")


def ev_charger_ready() -> Plug:
    return lone_ev("d1").until_ev("ready")


def ev_contactors() -> Plug:
    plug = Plug()
    plug.silent = True
    return plug.plug().until_ev("contactors")


def ev_output_start() -> Plug:
    return lone_ev("d1", "d2").until_ev("output")


def ev_charger_frames() -> Plug:
    plug = Plug().plug().until_ev("power").run(3_000)
    plug.spoil = drop("evse")
    return plug.run(50)


def ev_current_deviation() -> Plug:
    plug = Plug().plug().until_ev("power").run(8_000)
    plug.spoil = change("evse", 0x109, 3, lambda amperes: amperes + 40)
    while "current deviation" not in plug.ev._timers:
        plug.run(5)
    return plug


def ev_current_down() -> Plug:
    plug = Plug().plug().until_ev("power").run(8_000)
    plug.station_hears = False
    plug.b.command(Halt())
    return plug.until_ev("current down")


def ev_weld_quarter() -> Plug:
    plug = Plug().plug().until_ev("power").run(3_000)
    plug.welded = True
    plug.b.command(Halt())
    return plug.until_ev("weld")


def ev_weld_end() -> Plug:
    plug = Plug().plug().until_ev("power").run(3_000)
    plug.welded = True
    plug.b.command(Halt())
    plug.until_ev("weld")
    plug.battery_mv = 15_000  # something is left, and stays
    while "weld end" not in plug.ev._timers:
        plug.run(5)
    return plug


def ev_charger_off() -> Plug:
    plug = Plug().plug().until_ev("power").run(3_000)
    plug.spoil = drop("evse", pins=("d1", "d2"))
    plug.b.command(Halt())
    return plug.until_ev("charger off")


SETTINGS: dict[tuple[str, str], Callable[[], Plug]] = {
    (rule.side, rule.name): globals()[f"{rule.side}_{rule.name.lower().replace(' ', '_')}"] for rule in TIMERS
}


@every_timer(TIMERS)
def test_timers(rule: TimerRule, edge: str) -> None:
    plug = SETTINGS[rule.side, rule.name]()
    end = plug.evse if rule.side == "evse" else plug.ev
    armed = end._timers[rule.name] - rule.ms
    before = len(plug.log)
    plug.time.run_until(armed + just(rule, edge))
    new = [event for _, who, event in plug.log[before:] if who == rule.side]
    told = [event for event in new if type(event) in (Fault, Ended, Parted)]
    if edge == OUTSIDE:
        assert rule.name not in end._timers
        if rule.name == "charger off":
            assert told and end.phase == "over"
            seen = f"ends all the same: {told[-1].reason}"
        else:
            faults = [event for event in told if type(event) is Fault]
            assert faults, f"no fault: {new}"
            seen = f"{faults[-1].code}: {faults[-1].text}; phase {end.phase}"
    else:
        assert rule.name in end._timers and not told, told
        seen = f"waits on in phase {end.phase}"
    shown(rule, edge, seen)


def test_a_timer_that_ran_out_turns_the_output_off_before_it_says_why() -> None:
    plug = Plug().plug().until("power").run(8_000)
    plug.spoil = drop("ev")
    plug.run(1_200)
    tail = [type(event).__name__ for _, who, event in plug.log if who == "evse"]
    assert tail.index("Fault") > len(tail) - 6
    assert tail[tail.index("Fault") - 1] == "Requested" and plug.outlet.ma == 0
    assert not plug.evse.pins["d1"] and not plug.evse.pins["d2"]


@pytest.mark.parametrize("pause", [100, 400, 800])
def test_lost_frames_below_the_limit_are_lived_with(pause: int) -> None:
    plug = Plug().plug().until("power").run(8_000)
    plug.spoil = lambda data, who: [] if isinstance(data, CanFrame) else [data]
    plug.run(pause)
    plug.spoil = None
    plug.run(3_000)
    assert plug.phases == ("power", "power") and plug.evse.asked_ma == 100_000
