"""What goes wrong on either side of a CHAdeMO plug: the output goes off first, the reason is told, all is opened."""

from __future__ import annotations

import msgspec
import pytest
from tests.protocols.chademo.chademo_kit import DRIVE, FAST, OFFER, Plug
from tests.protocols.chademo.test_chademo_timers import change, drop

from pilotwire.core.ev_link import Contacts, Drive, Halt, Parted
from pilotwire.core.evse_link import Contactor, Ended, Fault, Limits, Measured, Offer, Requested, Stop
from pilotwire.protocols.can import CanFrame
from pilotwire.protocols.chademo import ChademoEvseConfig, Pin, encode_frame


def charging(**more: object) -> Plug:
    return Plug(**more).plug().until("power").run(8_000)  # type: ignore[arg-type]


def off_first(plug: Plug) -> None:
    """The output was told to be off before the first fault was told."""
    mine = [event for _, who, event in plug.log if who == "evse"]
    first = next(place for place, event in enumerate(mine) if type(event) is Fault)
    assert Requested() in mine[:first]
    assert plug.outlet.ma == 0 and not plug.outlet.closed


@pytest.mark.parametrize(
    ("byte", "bit", "rule", "code"),
    [
        (4, 0, "102.4.0", "OverVoltage"),
        (4, 1, "102.4.1", "UnderVoltage"),
        (4, 2, "102.4.2", "OverCurrentFailure"),
        (4, 3, "102.4.3", "EVBatteryTemperature"),
        (4, 4, "102.4.4", "EVVoltageDeviation"),
        (5, 2, "102.5.2", "EVSystemFault"),
        (5, 3, "102.5.3", "EVContactorOpened"),
    ],
)
def test_a_fault_bit_of_the_vehicle_ends_the_session(byte: int, bit: int, rule: str, code: str) -> None:
    plug = charging()
    plug.spoil = change("ev", 0x102, byte, lambda raw: raw | 1 << bit)
    plug.run(15_000)
    assert plug.phases == ("over", "over")
    fault = plug.events("evse", Fault)[0]
    assert (fault.rule, fault.code, fault.by) == (rule, code, "ev")
    ended = plug.last("evse", Ended)
    assert rule in ended.reason and not ended.ok
    off_first(plug)


@pytest.mark.parametrize(
    ("bit", "rule"), [(1, "102.5.1"), (4, "102.5.4")], ids=["not in park", "stop request"]
)  # fmt: skip
def test_a_status_bit_of_the_vehicle_ends_it_in_order(bit: int, rule: str) -> None:
    plug = charging()
    plug.spoil = change("ev", 0x102, 5, lambda raw: raw | 1 << bit)
    plug.run(15_000)
    assert plug.phases == ("over", "over") and rule in plug.last("evse", Ended).reason
    assert plug.last("evse", Ended).ok and plug.outlet.ma == 0


def test_a_target_voltage_of_zero_is_a_stop() -> None:
    plug = charging()
    zero = change("ev", 0x102, 1, lambda raw: 0)
    plug.spoil = lambda data, who: change("ev", 0x102, 2, lambda raw: 0)(zero(data, who)[0], who)
    plug.run(15_000)
    assert "102.1-2" in plug.last("evse", Ended).reason


def test_permission_taken_back_is_a_stop() -> None:
    plug = charging()
    plug.a.received(Pin("k", False))
    plug.run(15_000)
    assert plug.last("evse", Ended).reason == "the vehicle took its charge permission back (pin 4)"
    assert plug.phases == ("over", "over")


def test_precedence_a_fault_names_the_end_even_when_permission_goes_at_the_same_time() -> None:
    plug = charging()
    plug.spoil = change("ev", 0x102, 4, lambda raw: raw | 0x11)
    plug.run(200)
    plug.a.received(Pin("k", False))
    plug.run(15_000)
    assert [fault.rule for fault in plug.events("evse", Fault)] == ["102.4.0"], "the first of the table, once"


@pytest.mark.parametrize(
    ("bit", "code"), [(1, "ChargerMalfunction"), (3, "EVIncompatible"), (4, "ChargingSystemFault")]
)
def test_a_fault_bit_of_the_charger_ends_the_session(bit: int, code: str) -> None:
    plug = charging()
    plug.spoil = change("evse", 0x109, 5, lambda raw: raw | 1 << bit)
    plug.run(15_000)
    assert plug.events("ev", Fault)[0].code == code and not plug.last("ev", Parted).ok
    assert plug.phases == ("over", "over") and not plug.inlet and plug.outlet.ma == 0


@pytest.mark.parametrize("pin", ["d1", "d2"])
def test_a_wire_of_the_charger_that_breaks_opens_the_contactors(pin: str) -> None:
    plug = charging()
    plug.b.received(Pin(pin, False))  # type: ignore[arg-type]
    plug.run(200)
    assert not plug.inlet and plug.last("ev", Fault).code == "ChargerEmergencyStop"
    plug.run(15_000)
    assert plug.phases == ("over", "over")


def test_the_plug_is_pulled_under_load() -> None:
    plug = charging()
    plug.unplug()
    plug.run(2)
    assert plug.evse.asked_ma == 0 and plug.outlet.ma == 0
    plug.run(15_000)
    assert plug.evse.phase == "unplugged" and not plug.last("evse", Ended).ok
    assert "pin 7" in plug.last("evse", Ended).reason and not plug.inlet
    off_first(plug)


def test_a_dead_vehicle_stops_the_output_within_a_second() -> None:
    plug = charging()
    plug.spoil = drop("ev")
    plug.run(1_050)
    assert plug.outlet.ma == 0 and plug.last("evse", Fault).rule == "102"
    plug.run(20_000)
    assert plug.evse.phase == "over" and "no 102 for one second" in plug.last("evse", Ended).reason
    off_first(plug)


def test_a_dead_charger_opens_the_vehicle() -> None:
    plug = charging()
    plug.spoil = drop("evse")
    plug.run(1_300)
    assert not plug.inlet and not plug.ev.pins["k"]
    plug.run(20_000)
    assert plug.ev.phase == "over" and "no 109 for one second" in plug.last("ev", Parted).reason


def test_a_babbling_vehicle_stops_the_output_and_is_no_longer_read() -> None:
    plug = charging()
    frame = plug.sent("ev", 0x102)[-1]
    for _ in range(1_000):
        plug.say(frame)
    plug.run(2)
    assert plug.outlet.ma == 0 and "floods the bus" in plug.last("evse", Fault).text
    plug.run(20_000)
    assert plug.evse.phase == "over" and len(plug.events("evse", Ended)) == 1


def test_a_babbling_charger_opens_the_vehicle() -> None:
    plug = charging()
    frame = plug.sent("evse", 0x109)[-1]
    for _ in range(1_000):
        plug.b.received(frame)
    plug.run(300)
    assert not plug.inlet and "floods the bus" in plug.last("ev", Fault).text


def test_frames_that_are_none_of_ours_are_counted_and_left_alone() -> None:
    plug = charging()
    for frame in (CanFrame(0x202, b"\0" * 8), CanFrame(0x102, b"\0" * 8, True), CanFrame(0x102, b"\xff"), "what"):
        plug.say(frame)
    assert (plug.evse.unknown_frames, plug.evse.bad_frames) == (3, 1)
    plug.run(3_000)
    assert plug.phases == ("power", "power")


def test_a_failed_insulation_test() -> None:
    plug = Plug(hardware=msgspec.structs.replace(FAST, isolation="fault")).plug().run(10_000)
    assert plug.last("evse", Fault).code == "CableCheckFault" and not plug.evse.pins["d2"]
    assert plug.phases == ("over", "over") and not plug.outlet.locked
    assert plug.events("ev", Fault)[0].code == "ChargerMalfunction", "109.5.1"


def test_voltage_before_the_insulation_test_is_a_welded_contactor() -> None:
    plug = Plug().plug().until("lock")
    plug.a.command(Measured(mv=380_000))
    plug.run(200)
    assert plug.last("evse", Fault).code == "EVContactorWelded"


def test_a_lock_that_fails() -> None:
    plug = Plug(hardware=msgspec.structs.replace(FAST, lock_fails=True)).plug().run(12_000)
    assert plug.last("evse", Fault).code == "ConnectorLockFailure" and plug.phases == ("over", "over")
    assert not any(event.ma for event in plug.events("evse", Requested))


def test_a_lock_that_does_not_open_again() -> None:
    plug = charging()
    plug.outlet.hardware = msgspec.structs.replace(FAST, lock_fails=True)
    plug.a.command(Stop())
    plug.run(20_000)
    assert plug.last("evse", Fault).text == "the plug could not be unlocked" and not plug.last("evse", Ended).ok


def test_a_battery_that_does_not_fit() -> None:
    plug = Plug(offer=Offer(max_mv=400_000, max_ma=100_000)).plug().run(3_000)
    assert plug.last("evse", Fault).code == "EVIncompatible"
    said = plug.sent("evse", 0x109)[-1]
    assert said.data[5] & 0b1000, "109.5.3"
    assert plug.phases == ("over", "over") and plug.events("ev", Fault)[0].code == "EVIncompatible"
    assert not plug.events("evse", Limits) or not plug.outlet.locked


def test_a_charger_whose_reach_is_above_the_battery() -> None:
    offer = msgspec.structs.replace(OFFER, min_mv=430_000)
    plug = Plug(offer=offer).plug().run(3_000)
    assert plug.last("evse", Fault).code == "EVIncompatible"


def test_over_voltage_at_the_outlet() -> None:
    plug = charging()
    plug.a.command(Measured(mv=421_000, ma=100_000))
    assert plug.last("evse", Fault).rule == "108.4-5" and plug.outlet.ma == 0


def test_over_voltage_at_the_inlet() -> None:
    plug = charging(drive=msgspec.structs.replace(DRIVE, max_mv=415_000))
    plug.b.received(encode_frame(0x109, {"present_output_voltage": 416_000, "charger_charging": True}))
    assert plug.last("ev", Fault).code == "OverVoltage"
    assert plug.sent("ev", 0x102)[-1].data[4] & 1, "102.4.0"


def test_a_contactor_that_opens_under_load() -> None:
    plug = charging()
    plug.a.command(Contactor(False))
    assert plug.last("evse", Fault).code == "ContactorFault" and plug.outlet.ma == 0
    plug = charging()
    plug.inlet = False
    plug.b.command(Contacts(False))
    plug.run(200)
    assert plug.last("ev", Fault).code == "EVContactorOpened" and plug.outlet.ma == 0


def test_a_fault_of_the_station_is_told_to_the_vehicle() -> None:
    plug = charging()
    plug.a.command(Fault(code="GroundFailure", by="evse", text="residual current"))
    plug.run(15_000)
    assert plug.last("evse", Ended).reason == "residual current (109.5.1)"
    assert not plug.events("evse", Fault), "the station knows what it said"
    assert plug.events("ev", Fault)[0].rule == "109.5.1"


def test_a_fault_inside_the_vehicle_is_told_to_the_charger() -> None:
    plug = charging()
    plug.b.command(Fault(code="EVBatteryTemperature", by="ev", text="60 degrees"))
    plug.run(15_000)
    assert plug.events("evse", Fault)[0].rule == "102.4.3" and plug.phases == ("over", "over")


def test_an_emergency_stop_takes_both_wires_away_at_once() -> None:
    plug = charging()
    plug.a.command(Stop("the mushroom", emergency=True))
    assert not plug.evse.pins["d1"] and not plug.evse.pins["d2"] and plug.outlet.ma == 0
    plug.run(15_000)
    assert plug.last("evse", Ended).reason == "stopped by the station: the mushroom (109.5.5)"
    plug = charging()
    plug.b.command(Halt("the driver pulled the fuse", emergency=True))
    plug.run(200)
    assert not plug.inlet and plug.outlet.ma == 0


def test_an_emergency_stop_does_not_wait_for_the_current() -> None:
    plug = charging()
    plug.station_hears = False  # the power stage does not obey
    plug.a.command(Stop("the mushroom", emergency=True))
    assert plug.evse.phase == "current down" and plug.evse.measured.ma > 5_000
    assert not plug.evse.pins["d1"] and not plug.evse.pins["d2"]


def test_a_bus_that_is_lost() -> None:
    plug = charging()
    plug.a.lost()
    assert plug.outlet.ma == 0 and plug.last("evse", Ended).reason == "the bus to the vehicle is gone (CAN)"
    plug.b.lost()
    assert plug.last("ev", Parted).reason == "the bus to the charger is gone (CAN)"
    off_first_events = [type(event) for _, who, event in plug.log if who == "evse"]
    assert off_first_events.index(Fault) > off_first_events.index(Requested)


def test_a_plug_stays_locked_as_long_as_there_is_voltage() -> None:
    plug = charging()
    plug.welded = True
    plug.a.command(Stop())
    plug.run(30_000)
    assert plug.evse.phase == "over" and plug.outlet.locked
    assert "the plug stays locked" in plug.last("evse", Fault).text
    assert "weld" in plug.events("ev", Fault)[0].code.lower()


def test_permission_before_the_first_frame_is_a_contradiction() -> None:
    plug = Plug()
    plug.spoil = drop("ev")
    plug.spoil = lambda data, who: [] if who == "ev" and not isinstance(data, Pin) else [data]
    plug.plug().until("wake")
    plug.a.received(Pin("k", True))
    assert plug.last("evse", Fault).code == "EVPermissionInconsistent"


def test_a_vehicle_that_never_can_charge_is_let_go() -> None:
    plug = Plug(ChademoEvseConfig(), drive=Drive(ready=False)).plug().run(30_000)
    assert plug.evse.phase == "over" and plug.last("evse", Fault).code == "EVPermissionTimeout"
