"""What the station requests of its outlet: never more than offer, schedule and vehicle allow, whoever asks for it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.protocols.iso15118.iso20.iso20_talk import Talk, n
from tests.protocols.iso15118.iso20.iso20_world import AC_OFFER, OFFER

from pilotwire.core.evse_link import Measured, Offer, Requested, Schedule


def asked(talk: Talk) -> Requested:
    return talk.said(Requested)[-1]


def dc(talk: Talk, **control: Any) -> Requested:
    """One round of the loop with these elements of its control mode."""
    name = next(name for name in talk.words("DC_ChargeLoopReq") if name.endswith("CLReqControlMode"))
    talk.say("DC_ChargeLoopReq", **{name: talk.words("DC_ChargeLoopReq")[name] | control})
    return asked(talk)


@pytest.mark.parametrize(
    ("offer", "want", "ma"),
    [
        ({}, 60, 60_000),
        ({}, 200, 100_000),
        ({"max_mw": 10_000_000}, 60, 25_000),
        ({"max_ma": 7_000}, 60, 7_000),
        ({}, -30, 0),
    ],
)
def test_scheduled(offer: dict[str, Any], want: int, ma: int) -> None:
    talk = Talk("DC").to("DC_ChargeLoop")
    talk.command(msgspec.structs.replace(OFFER, **offer))
    assert dc(talk, EVTargetCurrent=n(want)) == Requested(mv=400_000, ma=ma)


@pytest.mark.parametrize(
    ("offer", "want", "ma"),
    [
        ({}, -30, -30_000),
        ({}, -90, -50_000),
        ({"max_discharge_ma": 9_000}, -30, -9_000),
        ({"max_discharge_mw": 4_000_000}, -30, -10_000),
        ({"max_discharge_ma": 0, "max_discharge_mw": 0}, -30, 0),
    ],
)
def test_given_back(offer: dict[str, Any], want: int, ma: int) -> None:
    talk = Talk("DC_BPT").to("DC_ChargeLoop")
    talk.command(msgspec.structs.replace(OFFER, **offer))
    assert dc(talk, EVTargetCurrent=n(want)).ma == ma


def test_a_schedule_binds_below_the_offer() -> None:
    talk = Talk("DC")
    talk.command(Schedule(points=((0, 10_000_000), (60, 2_000_000))))
    talk.to("DC_PowerDelivery")
    made = talk.words("PowerDeliveryReq")["EVPowerProfile"]
    entries = {"EVPowerProfileEntry": [{"Duration": 3600, "Power": n(2, 3)}]}
    talk.say("PowerDeliveryReq", EVPowerProfile=made | {"EVPowerProfileEntries": entries})
    assert dc(talk, EVTargetCurrent=n(60)).ma == 25_000
    for _ in range(150):
        talk.elapse(400)
        dc(talk, EVTargetCurrent=n(60))
    assert asked(talk).ma == 5_000


def test_the_voltage_is_bound_by_both() -> None:
    talk = Talk("DC").to("DC_ChargeLoop")
    assert dc(talk, EVTargetVoltage=n(900)).mv == 450_000, "the vehicle's own maximum"
    talk.command(msgspec.structs.replace(OFFER, max_mv=420_000))
    assert asked(talk).mv == 420_000, "at once"


def test_precharge_is_bound() -> None:
    talk = Talk("DC").to("DC_PreCharge")
    talk.say("DC_PreChargeReq", EVTargetVoltage=n(2_000))
    assert asked(talk) == Requested(mv=450_000, ma=2_000, phase="precharge")


@pytest.mark.parametrize(
    ("setpoint", "ma"),
    [(None, 88_888), (8_000_000, 20_000), (90_000_000, 88_888), (-8_000_000, -20_000), (-90_000_000, -37_500)],
)
def test_dynamic(setpoint: int | None, ma: int) -> None:
    """40 kW are reckoned by the 450 V that the output may go up to, a setpoint by the 400 V that are there."""
    talk = Talk("DC_BPT", dynamic=True).to("DC_ChargeLoop")
    dc(talk)
    talk.command(msgspec.structs.replace(OFFER, setpoint_mw=setpoint))
    assert asked(talk).ma == ma, "the vehicle needs not say anything for it"
    dc(talk)
    assert asked(talk).ma == ma


def test_dynamic_keeps_to_what_the_vehicle_takes() -> None:
    talk = Talk("DC", dynamic=True).to("DC_ChargeLoop")
    assert dc(talk, EVMaximumChargeCurrent=n(12)).ma == 12_000
    assert dc(talk, EVMaximumChargePower=n(2_000)).ma == 5_000
    assert dc(talk, EVMaximumChargeCurrent=n(0)).ma == 0


@pytest.mark.parametrize(
    ("offer", "want", "mw"),
    [({}, 5_000, 5_000_000), ({}, 20_000, 11_000_000), ({"max_mw": 3_000_000}, 5_000, 3_000_000), ({}, -5_000, 0)],
)
def test_ac_scheduled(offer: dict[str, Any], want: int, mw: int) -> None:
    talk = Talk("AC")
    talk.command(Schedule(points=((0, 11_000_000),)))
    talk.to("AC_ChargeLoop")
    talk.command(msgspec.structs.replace(AC_OFFER, **offer))
    talk.say("AC_ChargeLoopReq", Scheduled_AC_CLReqControlMode={"EVPresentActivePower": n(want)})
    assert (asked(talk).mw or 0) == mw


def test_ac_by_phases() -> None:
    talk = Talk("AC", dynamic=True).to("AC_ChargeParameterDiscovery")
    limits = {f"EV{which}imumChargePower{phase}": n(3_000 if which == "Max" else 0)
              for which in ("Max", "Min") for phase in ("", "_L2", "_L3")}  # fmt: skip
    given_ = talk.say("AC_ChargeParameterDiscoveryReq", AC_CPDReqEnergyTransferMode=limits)
    mode = given_["AC_CPDResEnergyTransferMode"]
    assert mode["EVSEMaximumChargePower_L2"] == mode["EVSEMaximumChargePower"] == n(3_680)
    while talk.machine.state == "ScheduleExchange":
        talk.say("ScheduleExchangeReq")
    talk.say("PowerDeliveryReq")
    talk.command(msgspec.structs.replace(AC_OFFER, setpoint_mw=6_000_000))
    control = talk.words("AC_ChargeLoopReq")["Dynamic_AC_CLReqControlMode"] | limits
    answer = talk.say("AC_ChargeLoopReq", Dynamic_AC_CLReqControlMode=control)["Dynamic_AC_CLResControlMode"]
    assert [answer[f"EVSETargetActivePower{phase}"] for phase in ("", "_L2", "_L3")] == [n(2_000)] * 3
    assert asked(talk).mw == 6_000_000


OFFERS = st.builds(
    Offer,
    max_mv=st.integers(0, 1_000_000),
    max_ma=st.integers(0, 500_000),
    max_mw=st.none() | st.integers(0, 350_000_000),
    max_discharge_ma=st.integers(0, 100_000),
    max_discharge_mw=st.integers(0, 50_000_000),
    setpoint_mw=st.none() | st.integers(-(10**9), 10**9),
)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    st.booleans(),
    st.lists(
        st.tuples(OFFERS, st.integers(-2_000, 2_000), st.integers(-200, 2_000), st.integers(-1_000, 1_200_000)),
        min_size=1,
        max_size=6,
    ),
)
def test_whatever_is_asked_for_the_offer_holds(dynamic: bool, rounds: list[tuple[Offer, int, int, int]]) -> None:
    talk = Talk("DC_BPT", dynamic=dynamic).to("DC_ChargeLoop")
    for offer, amperes, volts, measured in rounds:
        talk.command(offer)
        talk.command(Measured(mv=measured))
        if dynamic:
            dc(talk, EVMaximumChargeCurrent=n(amperes), EVMaximumVoltage=n(volts))
        else:
            dc(talk, EVTargetCurrent=n(amperes), EVTargetVoltage=n(volts))
        now = talk.machine.output.asked
        assert 0 <= now.mv <= (offer.max_mv or 0)
        assert -offer.max_discharge_ma <= now.ma <= offer.max_ma
        if offer.max_mw is not None:
            assert now.mv * now.ma // 1000 <= offer.max_mw
        if offer.max_discharge_mw:
            assert -now.mv * now.ma // 1000 <= offer.max_discharge_mw
