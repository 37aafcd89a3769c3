"""Whole sessions of CHAdeMO: charging and giving back, 1.x and 2.0, and every orderly end."""

from __future__ import annotations

import msgspec
import pytest
from tests.protocols.chademo.chademo_kit import DRIVE, OFFER, Plug

from pilotwire.core.ev_link import Allowed, Flowing, Halt, Linked, Offered, Parted, Rest
from pilotwire.core.evse_link import (
    AuthorizationAsked,
    Authorize,
    Connected,
    ContactorAsked,
    Ended,
    Fault,
    IsolationAsked,
    Limits,
    LockAsked,
    Needs,
    Offer,
    Pause,
    Renegotiate,
    Requested,
    Resume,
    Stop,
)
from pilotwire.core.runner import Runner
from pilotwire.protocols.chademo import ChademoEvConfig, ChademoEvseConfig, Pin, decode_frame

V2X = ChademoEvseConfig(discharge=True)
GIVES = msgspec.structs.replace(DRIVE, max_discharge_ma=40_000)
BOTH_WAYS = msgspec.structs.replace(OFFER, max_discharge_ma=50_000)


@pytest.mark.parametrize("evse", [1, 2])
@pytest.mark.parametrize("ev", [1, 2])
def test_a_vehicle_charges_whatever_the_versions(evse: int, ev: int) -> None:
    plug = Plug(ChademoEvseConfig(version=evse), ChademoEvConfig(version=ev)).plug()
    plug.run(15_000)
    assert plug.phases == ("power", "power")
    assert plug.last("evse", Requested) == Requested(mv=410_000, ma=100_000)
    assert plug.last("ev", Flowing).ma == 100_000
    assert plug.evse.dynamic == plug.evse.high_current == (evse == ev == 2)
    assert plug.evse.their_protocol.startswith("3 (2.0" if ev == 2 else "2 (1.0 to 1.2")
    plug.b.command(Halt("the driver comes back"))
    plug.run(10_000)
    assert plug.phases == ("over", "over")
    assert plug.last("evse", Ended) == Ended(reason="the vehicle ended charging (102.5.0)", by="ev")
    assert plug.last("ev", Parted).ok and not plug.events("evse", Fault) and not plug.events("ev", Fault)
    assert not plug.outlet.locked and not plug.outlet.closed and not plug.inlet


def test_what_the_station_hears_comes_in_order() -> None:
    plug = Plug().plug().run(6_000)
    plug.b.command(Halt())
    plug.run(10_000)
    kinds: list[str] = []
    for _, who, event in plug.log:
        if who == "evse" and (not kinds or kinds[-1] != type(event).__name__):
            kinds.append(type(event).__name__)
    assert kinds[:8] == [
        "Connected", "AuthorizationAsked", "Limits", "Needs", "LockAsked", "IsolationAsked", "ContactorAsked",
        "Requested",
    ]  # fmt: skip
    assert kinds[-3:] == ["ContactorAsked", "LockAsked", "Ended"]
    assert plug.events("evse", ContactorAsked) == [ContactorAsked(True), ContactorAsked(False)]
    assert plug.events("evse", LockAsked) == [LockAsked(True), LockAsked(False)]
    assert len(plug.events("evse", IsolationAsked)) == 1


def test_limits_and_needs_and_the_first_states_of_charge_are_not_believed() -> None:
    plug = Plug().plug().run(1_600)
    assert [needs.soc for needs in plug.events("evse", Needs)] == [None]
    plug.run(1_800)
    assert plug.last("evse", Needs).soc == 420
    limits = plug.last("evse", Limits)
    assert (limits.service, limits.max_mv, limits.min_mv, limits.capacity_wh) == ("DC", 420_000, 260_000, 60_000)
    filler = [decode_frame(frame)["charged_rate"] for frame in plug.sent("ev", 0x102)[:20]]  # type: ignore[index]
    assert set(filler) == {10}


def test_nothing_happens_before_the_station_lets_it_in() -> None:
    plug = Plug().plug(authorized=False).run(60_000)
    assert plug.events("evse", Connected) and plug.events("evse", AuthorizationAsked)
    assert plug.phases == ("authorize", "plugged") and not plug.evse.pins["d1"]
    plug.a.command(Authorize(accepted=False, reason="expired"))
    assert plug.last("evse", Ended).reason == "not authorised: expired" and not plug.last("evse", Ended).ok
    plug.a.command(Authorize(accepted=True))
    plug.run(5_000)
    assert plug.phases == ("power", "power"), "a second card is a second try"


def test_authorised_before_the_plug_is_in() -> None:
    plug = Plug()
    plug.a.command(Authorize(accepted=True))
    plug.plug(authorized=False).run(5_000)
    assert plug.phases == ("power", "power")
    plug.unplug()
    plug.run(15_000)
    assert plug.evse.phase == "unplugged" and not plug.evse.accepted, "the next vehicle is authorised anew"


def test_current_rises_by_no_more_than_20_amperes_a_second_and_falls_at_once() -> None:
    plug = Plug().plug().until("power")
    before, worst = plug.evse.asked_ma, 0
    for _ in range(80):
        plug.run(100)
        worst = max(worst, plug.evse.asked_ma - before)
        before = plug.evse.asked_ma
    assert worst == 2_000 and plug.evse.asked_ma == 100_000
    plug.outlet.offering(msgspec.structs.replace(OFFER, max_ma=30_000))
    assert plug.evse.asked_ma == 30_000 and plug.outlet.ma == 30_000


def test_a_request_that_jumps_is_followed_slowly() -> None:
    """Vehicles ramp by themselves; one that does not is not followed any faster."""

    def hundred(data: object, side: str) -> list[object]:
        if side == "ev" and not isinstance(data, Pin) and data.id == 0x102:  # type: ignore[attr-defined]
            return [data._replace(data=data.data[:3] + b"\x64" + data.data[4:])]  # type: ignore[attr-defined]
        return [data]

    plug = Plug()
    plug.spoil = hundred
    plug.plug().until("power").run(1_050)
    assert 18_000 <= plug.evse.asked_ma <= 22_000
    plug.run(5_000)
    assert plug.evse.asked_ma == 100_000


@pytest.mark.parametrize(("version", "told"), [(1, 121_000), (2, 30_000)])
def test_dynamic_control_tells_a_new_limit_only_to_who_knows_it(version: int, told: int) -> None:
    plug = Plug(ChademoEvseConfig(version=version)).plug().run(12_000)
    plug.outlet.offering(msgspec.structs.replace(OFFER, max_ma=30_000))
    plug.run(500)
    assert decode_frame(plug.sent("evse", 0x108)[-1])["available_output_current"] == told  # type: ignore[index]
    assert plug.last("ev", Flowing).ma == 30_000, "the limit holds all the same"
    assert plug.phases == ("power", "power")


def test_extended_current_between_two_ends_of_2_0() -> None:
    drive = msgspec.structs.replace(DRIVE, target_ma=300_000, max_ma=350_000)
    plug = Plug(offer=Offer(max_mv=500_000, max_ma=320_000), drive=drive).plug().run(25_000)
    assert plug.last("evse", Requested).ma == 300_000 and plug.last("ev", Flowing).ma == 300_000
    assert plug.sent("ev", 0x102)[-1].data[3] == 0xFF and plug.sent("ev", 0x110)[-1].data[1:3] == b"\x2c\x01"
    old = Plug(ChademoEvseConfig(version=1), offer=Offer(max_mv=500_000, max_ma=320_000), drive=drive).plug()
    old.run(25_000)
    assert old.last("evse", Requested).ma == 254_000 and not old.sent("evse", 0x118)


@pytest.mark.parametrize("handshake", [True, False], ids=["with 201", "without 201"])
def test_power_flows_back_when_both_ends_can_and_turns_round_within_the_session(handshake: bool) -> None:
    ev = ChademoEvConfig(discharge=True, sends_201=handshake)
    plug = Plug(V2X, ev, offer=BOTH_WAYS, drive=GIVES).plug().run(10_000)
    assert plug.last("evse", Limits).service == "DC_BPT" and plug.last("evse", Limits).max_discharge_ma == 40_000
    assert plug.last("ev", Flowing).ma == 100_000
    plug.outlet.offering(msgspec.structs.replace(BOTH_WAYS, setpoint_mw=-7_600_000))
    plug.run(3_000)
    assert plug.last("evse", Requested).ma == -20_000
    assert plug.last("ev", Flowing).ma == -20_000, "208.0"
    plug.outlet.offering(msgspec.structs.replace(BOTH_WAYS, setpoint_mw=-50_000_000))
    plug.run(5_000)
    assert plug.last("evse", Requested).ma == -40_000, "no more than the vehicle gives (200.0)"
    plug.outlet.offering(msgspec.structs.replace(BOTH_WAYS, setpoint_mw=3_800_000))
    plug.run(5_000)
    assert plug.last("evse", Requested).ma == 9_000
    assert plug.phases == ("power", "power")
    assert plug.evse.v2h_sequence == (2 if handshake else None)
    plug.a.command(Stop())
    plug.run(10_000)
    assert plug.phases == ("over", "over") and plug.last("evse", Ended).ok


@pytest.mark.parametrize(
    ("evse", "ev"), [(V2X, ChademoEvConfig()), (ChademoEvseConfig(), ChademoEvConfig(discharge=True))]
)
def test_nothing_flows_back_when_one_end_cannot(evse: ChademoEvseConfig, ev: ChademoEvConfig) -> None:
    offer = msgspec.structs.replace(BOTH_WAYS, setpoint_mw=-5_000_000)
    plug = Plug(evse, ev, offer=offer, drive=GIVES).plug().run(10_000)
    assert plug.phases == ("power", "power") and plug.evse.asked_ma == 0
    assert plug.events("evse", Limits)[-1].service == "DC"


@pytest.mark.parametrize("what", ["level", "voltage"])
def test_a_vehicle_is_not_emptied_below_its_limits(what: str) -> None:
    drive = msgspec.structs.replace(GIVES, min_mv=380_000) if what == "voltage" else GIVES
    ev = ChademoEvConfig(discharge=True, minimum_level=42 if what == "level" else 10)
    offer = msgspec.structs.replace(BOTH_WAYS, setpoint_mw=-5_000_000)
    plug = Plug(V2X, ev, offer=offer, drive=drive).plug().run(10_000)
    assert plug.phases == ("power", "power") and plug.evse.asked_ma == 0


def test_the_highest_level_ends_charging_of_a_vehicle_that_can_give() -> None:
    plug = Plug(V2X, ChademoEvConfig(discharge=True, maximum_level=42), offer=BOTH_WAYS, drive=GIVES).plug()
    plug.run(10_000)
    assert plug.phases == ("power", "power") and plug.evse.asked_ma == 0


def test_the_station_stops_in_order() -> None:
    plug = Plug().plug().run(10_000)
    plug.a.command(Stop("the driver tapped the card"))
    assert plug.outlet.ma == 0, "output first"
    plug.run(10_000)
    assert plug.last("evse", Ended) == Ended(
        reason="stopped by the station: the driver tapped the card (109.5.5)", by="evse"
    )
    assert plug.last("ev", Parted) == Parted(reason="the charger ended charging (109.5.5)", by="evse")


def test_the_order_on_the_wires_at_the_end() -> None:
    plug = Plug().plug().run(8_000)
    start = len(plug.wire)
    plug.b.command(Halt())
    plug.run(10_000)
    seen: list[str] = []
    for _, _, unit in plug.wire[start:]:
        if type(unit) is Pin:
            word = f"{unit.name} off"
        elif unit.id == 0x102:
            values = decode_frame(unit)
            assert values is not None
            word = f"enabled {int(values['vehicle_charging_enabled'])} open {int(values['vehicle_contactor_open'])}"
        elif unit.id == 0x109:
            values = decode_frame(unit)
            assert values is not None
            word = f"stop {int(values['charging_stop_control'])} charging {int(values['charger_charging'])}"
        else:
            continue
        if word not in seen:
            seen.append(word)
    assert seen == [
        "enabled 0 open 0", "stop 1 charging 1", "stop 1 charging 0", "k off", "enabled 0 open 1", "d2 off", "d1 off",
    ]  # fmt: skip


def test_pause_stops_the_current_and_keeps_the_session() -> None:
    plug = Plug().plug().run(10_000)
    plug.a.command(Pause())
    assert plug.evse.asked_ma == 0 and plug.outlet.ma == 0
    plug.a.command(Renegotiate())
    plug.run(5_000)
    assert plug.phases == ("power", "power")
    plug.a.command(Resume())
    plug.run(8_000)
    assert plug.last("ev", Flowing).ma == 100_000


def test_a_vehicle_that_pauses_ends_the_session_since_chademo_has_no_pause() -> None:
    plug = Plug().plug().run(8_000)
    plug.b.command(Rest())
    plug.run(10_000)
    assert plug.phases == ("over", "over") and "pause" in plug.last("ev", Parted).reason


def test_the_longest_charging_time_of_the_vehicle_ends_it() -> None:
    def shorter(data: object, side: str) -> list[object]:
        if side == "ev" and not isinstance(data, Pin) and data.id == 0x101:  # type: ignore[attr-defined]
            return [data._replace(data=b"\0\x03\xff\x0a\0\x58\x02\0")]  # type: ignore[attr-defined]
        return [data]

    plug = Plug()
    plug.spoil = shorter
    plug.plug().until("power").run(29_000)
    assert plug.evse.phase == "power"
    assert decode_frame(plug.sent("evse", 0x109)[-1])["remaining_time_10s"] == 0  # type: ignore[index]
    plug.run(12_000)
    assert plug.phases == ("over", "over")
    assert plug.last("evse", Ended).reason == "the vehicle's longest charging time is over (101.1-2)"


def test_a_vehicle_that_is_not_ready_is_waited_for_and_then_charges() -> None:
    plug = Plug(drive=msgspec.structs.replace(DRIVE, ready=False)).plug().run(4_000)
    assert plug.phases == ("negotiate", "waiting")
    plug.b.command(DRIVE)
    plug.run(4_000)
    assert plug.phases == ("power", "power")


def test_two_sessions_at_one_plug() -> None:
    plug = Plug().plug().run(6_000)
    plug.b.command(Halt())
    plug.run(10_000)
    plug.unplug()
    plug.run(100)
    assert plug.evse.phase == "unplugged"
    plug.plug().run(6_000)
    assert plug.phases == ("power", "power")
    assert len(plug.events("evse", Connected)) == 2 and len(plug.events("ev", Linked)) == 2


def test_over_a_simulated_bus_with_arbitration() -> None:
    from pilotwire.transport.can_sim import SimCanBus

    plug = Plug()
    bus = SimCanBus(plug.time, 500_000, keep_log=True)
    ports = {"evse": bus.port(), "ev": bus.port()}
    runners: dict[str, Runner] = {"evse": plug.a, "ev": plug.b}
    for side, port in ports.items():
        port.subscribe(runners[side].received)

    def carry(data: object, side: str) -> list[object]:
        if isinstance(data, Pin):
            return [data]
        ports[side].send(data)  # type: ignore[arg-type]
        return []

    plug.spoil = carry
    plug.plug().run(12_000)
    assert plug.phases == ("power", "power") and plug.last("ev", Offered).offer.max_ma == 121_000
    assert plug.events("ev", Allowed)
    assert bus.log is not None and len(bus.log) > 500
