"""What goes wrong, at either end: the output is off first, the peer hears of it, and both say why."""

from __future__ import annotations

from typing import Any

import pytest
from tests.protocols.iso15118.iso20.iso20_talk import DC_LIMITS, Talk, n
from tests.protocols.iso15118.iso20.iso20_world import DRIVE, OFFER, World, random

from pilotwire.core.ev_link import Contacts, ContactsAsked, Halt, Linked, Parted
from pilotwire.core.evse_link import (
    Authorize,
    Certificate,
    Contactor,
    ContactorAsked,
    Ended,
    Fault,
    Isolation,
    IsolationAsked,
    Locked,
    Measured,
    Offer,
    Pause,
    Paused,
    ReceiptWanted,
    Renegotiate,
    Requested,
    Resume,
    Schedule,
    Stop,
)
from pilotwire.core.machines import Close, Send
from pilotwire.protocols.iso15118.config import SeccConfig
from pilotwire.protocols.iso15118.iso20.secc import Iso20Secc


def dark(world: World) -> None:
    """Nothing flows, and both ends know that it is over."""
    assert world.outlet.flowing.ma == 0 and not world.outlet.closed
    assert not world.ended.ok and world.ended.reason
    assert not world.parted.ok and world.parted.reason
    asked = world.said(ContactsAsked, "car")
    assert not asked or asked[-1] == ContactsAsked(False)


# ── hardware ─────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("status", ["fault", "no-monitor"])
def test_bad_isolation(status: str) -> None:
    world = World("DC", hardware={"isolation": status}).begin(4_000)
    dark(world)
    assert world.said(ContactorAsked) == []
    assert world.said(Fault)[0].code == "GroundFailure"
    assert world.bodies("DC_CableCheckRes")[-1]["ResponseCode"] == "FAILED"


def test_isolation_with_a_warning() -> None:
    world = World("DC", hardware={"isolation": "warning"}).begin(8_000)
    assert world.outlet.flowing.mw > 0


@pytest.mark.parametrize("service", ["AC", "DC"])
def test_a_plug_that_does_not_lock(service: str) -> None:
    world = World(service, hardware={"lock_fails": True}).begin(6_000)
    dark(world)
    assert world.said(ContactorAsked) == [] and world.said(IsolationAsked) == []
    assert world.said(Fault)[0].code == "ConnectorLockFailure"


@pytest.mark.parametrize("service", ["AC", "DC"])
def test_a_contactor_that_does_not_close(service: str) -> None:
    world = World(service, hardware={"contactor_fails": True}).begin(6_000)
    dark(world)
    assert "FAILED_ContactorError" in world.codes()
    assert world.said(Fault)[0].code == "PowerSwitchFailure"
    assert all(not one.ma and not one.mw for one in world.said(Requested))


@pytest.mark.parametrize("service", ["AC", "DC"])
def test_a_contactor_that_opens_by_itself(service: str) -> None:
    world = World(service).begin(8_000)
    world.outlet.closed = False
    world.secc.command(Contactor(False))
    assert world.evse.output.asked == Requested(), "at once"
    world.run(1_000)
    dark(world)
    assert "FAILED_ContactorError" in world.codes()


@pytest.mark.parametrize("service", ["AC", "DC"])
def test_a_lock_that_opens_while_energy_flows(service: str) -> None:
    world = World(service).begin(8_000)
    world.secc.command(Locked(False))
    assert world.evse.output.asked == Requested(), "at once"
    world.run(1_000)
    dark(world)


def test_isolation_that_fails_while_energy_flows() -> None:
    world = World("DC").begin(8_000)
    world.secc.command(Isolation("fault"))
    assert world.evse.output.asked == Requested(), "at once"
    world.run(1_000)
    dark(world)


@pytest.mark.parametrize("service", ["AC", "DC"])
def test_inlet_contactors_that_do_not_close(service: str) -> None:
    world = World(service)
    world.contacts_fail = True
    world.begin(8_000)
    assert not world.parted.ok and "contactors" in world.parted.reason
    assert world.outlet.flowing.ma == 0 and not world.outlet.closed
    stop = world.bodies("SessionStopReq")[0]
    assert stop["EVTerminationCode"] == "EVFault"


@pytest.mark.parametrize("service", ["AC", "DC", "AC_BPT", "DC_BPT"])
def test_the_station_has_a_fault(service: str) -> None:
    world = World(service).begin(8_000)
    world.secc.command(Fault(code="OverTemperature", by="evse", text="it is too hot"))
    world.run(1_000)
    dark(world)
    assert world.said(Fault)[0].code == "OverTemperature"


def test_the_vehicle_has_a_fault() -> None:
    world = World("DC").begin(8_000)
    world.evcc.command(Fault(code="Battery", by="ev", text="a cell is too warm"))
    world.run(4_000)
    assert not world.parted.ok and world.parted.reason == "a cell is too warm"
    assert "EVFault: a cell is too warm" in world.ended.reason
    assert world.outlet.flowing.ma == 0 and not world.outlet.closed


def test_who_may_not_charge_any_more() -> None:
    world = World("DC").begin(8_000)
    world.secc.command(Authorize(accepted=False, reason="blocked"))
    assert world.evse.output.asked == Requested()
    world.run(1_000)
    dark(world)


def test_who_is_not_let_in() -> None:
    world = World("DC", authorize=False).begin(500)
    world.secc.command(Authorize(accepted=False))
    world.run(2_000)
    assert "WARNING_EIMAuthorizationFailure" in world.codes()
    assert not world.parted.ok
    assert world.said(ContactorAsked) == []


# ── the wire ─────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("ms", [50, 300, 700, 1_500, 8_000])
@pytest.mark.parametrize("service", ["AC", "DC_BPT"])
def test_a_connection_that_is_lost(service: str, ms: int) -> None:
    world = World(service).begin(ms)
    at = len(world.station)
    world.secc.lost()
    world.evcc.lost()
    world.run(1_000)
    dark(world)
    kinds = [type(one) for one in world.station[at:]]
    assert kinds[-1] is Ended
    assert ContactorAsked not in kinds[kinds.index(Ended) :]


@pytest.mark.parametrize("service", ["AC", "DC"])
def test_a_wire_that_falls_silent_in_the_loop(service: str) -> None:
    world = World(service).begin(8_000)
    world.link = False
    world.run(1_000)
    dark(world)
    assert world.said(Fault)[0].code == "V2G_SECC_Sequence_Timeout_CL"
    assert world.said(Fault, "car")[0].code == f"V2G_EVCC_Msg_Timeout {service}_ChargeLoopReq"


def test_a_session_that_sleeps_outlives_its_connection() -> None:
    talk = Talk("DC").to("DC_WeldingDetection")
    assert talk.say("SessionStopReq", ChargingSession="Pause")["ResponseCode"] == "OK"
    at = len(talk.out)
    talk._take(talk.machine.lost(talk.now))
    assert len(talk.out) == at
    assert talk.said(Paused) and not talk.said(Ended)
    assert list(talk.machine.paused) == [talk.session]


# ── answers that say no ──────────────────────────────────────────────────────────────────────────────────────────────
WRONG: list[tuple[str, str, str, dict[str, Any], str]] = [
    ("DC", "ServiceDetail", "ServiceDetailReq", {"ServiceID": 3}, "FAILED_ServiceIDInvalid"),
    ("DC", "ServiceDetail", "ServiceDetailReq", {"ServiceID": 65}, "FAILED_ServiceIDInvalid"),
    (
        "DC",
        "ServiceSelection",
        "ServiceSelectionReq",
        {"SelectedEnergyTransferService": {"ServiceID": 66, "ParameterSetID": 1}},
        "FAILED_NoEnergyTransferServiceSelected",
    ),
    (
        "DC",
        "ServiceSelection",
        "ServiceSelectionReq",
        {"SelectedEnergyTransferService": {"ServiceID": 2, "ParameterSetID": 31}},
        "FAILED_ServiceSelectionInvalid",
    ),
    (
        "DC",
        "ServiceSelection",
        "ServiceSelectionReq",
        {"SelectedVASList": {"SelectedService": [{"ServiceID": 65, "ParameterSetID": 1}]}},
        "FAILED_ServiceSelectionInvalid",
    ),
    (
        "DC_BPT",
        "DC_ChargeParameterDiscovery",
        "DC_ChargeParameterDiscoveryReq",
        {"BPT_DC_CPDReqEnergyTransferMode": None, "DC_CPDReqEnergyTransferMode": DC_LIMITS},
        "FAILED_WrongChargeParameter",
    ),
    (
        "DC",
        "DC_ChargeParameterDiscovery",
        "DC_ChargeParameterDiscoveryReq",
        {"DC_CPDReqEnergyTransferMode": DC_LIMITS | {"EVMaximumVoltage": n(100)}},
        "FAILED_WrongChargeParameter",
    ),
    (
        "AC",
        "AC_ChargeParameterDiscovery",
        "AC_ChargeParameterDiscoveryReq",
        {"AC_CPDReqEnergyTransferMode": {"EVMaximumChargePower": n(1), "EVMinimumChargePower": n(2)}},
        "FAILED_WrongChargeParameter",
    ),
    (
        "DC",
        "ScheduleExchange",
        "ScheduleExchangeReq",
        {
            "Scheduled_SEReqControlMode": None,
            "Dynamic_SEReqControlMode": {
                "DepartureTime": 1,
                "EVTargetEnergyRequest": n(1),
                "EVMaximumEnergyRequest": n(1),
                "EVMinimumEnergyRequest": n(1),
            },
        },
        "FAILED",
    ),
    ("DC", "DC_PowerDelivery", "PowerDeliveryReq", {"EVPowerProfile": None}, "FAILED_EVPowerProfileInvalid"),
    (
        "AC",
        "PowerDelivery",
        "PowerDeliveryReq",
        {"BPT_ChannelSelection": "Discharge"},
        "FAILED_PowerDeliveryNotApplied",
    ),
    ("AC", "AC_ChargeLoop", "PowerDeliveryReq", {}, "FAILED_PowerDeliveryNotApplied"),
    ("AC", "PowerDelivery", "PowerDeliveryReq", {"ChargeProgress": "Standby"}, "WARNING_StandbyNotAllowed"),
    (
        "AC",
        "AC_ChargeLoop",
        "PowerDeliveryReq",
        {"ChargeProgress": "ScheduleRenegotiation", "EVPowerProfile": None},
        "WARNING_ScheduleRenegotiationFailed",
    ),
    ("DC", "Authorization", "SessionStopReq", {"ChargingSession": "Pause"}, "FAILED_PauseNotAllowed"),
    (
        "DC",
        "Authorization",
        "SessionStopReq",
        {"ChargingSession": "ServiceRenegotiation"},
        "FAILED_NoServiceRenegotiationSupported",
    ),
    ("DC", "Authorization", "CertificateInstallationReq", {}, "WARNING_NoCertificateAvailable"),
    (
        "DC",
        "Authorization",
        "AuthorizationReq",
        {
            "SelectedAuthorizationService": "PnC",
            "EIM_AReqAuthorizationMode": None,
            "PnC_AReqAuthorizationMode": {
                "Id": "id1",
                "GenChallenge": bytes(16),
                "ContractCertificateChain": {"Certificate": b"1", "SubCertificates": {"Certificate": [b"2"]}},
            },
        },
        "WARNING_AuthorizationSelectionInvalid",
    ),
]


@pytest.mark.parametrize(("service", "state", "name", "changes", "code"), WRONG)
def test_response_codes(service: str, state: str, name: str, changes: dict[str, Any], code: str) -> None:
    talk = Talk(service).to(state)
    assert talk.say(name, **changes)["ResponseCode"] == code
    if code.startswith("FAILED"):
        assert talk.machine.state == "Over" and len(talk.said(Ended)) == 1
        assert [one.after_ms for one in talk.said(Close)] == [5_000]
        assert name in talk.said(Fault)[0].rule
    else:
        assert talk.machine.state == state and not talk.said(Ended)


def profile(chosen: int, watts: int, at: int) -> dict[str, Any]:
    entries = {"EVPowerProfileEntry": [{"Duration": 3600, "Power": n(watts)}]}
    mode = {"Scheduled_EVPPTControlMode": {"SelectedScheduleTupleID": chosen}}
    return {"EVPowerProfile": {"TimeAnchor": at, **mode, "EVPowerProfileEntries": entries}}


@pytest.mark.parametrize(
    ("chosen", "watts", "code"),
    [
        (1, 11_000, "OK"),
        (1, 12_000, "FAILED_EVPowerProfileInvalid"),
        (7, 1_000, "FAILED_ScheduleSelectionInvalid"),
        (1, -1_000, "OK"),
    ],
)
@pytest.mark.parametrize("anchor", ["now", "zero"])
def test_profiles(chosen: int, watts: int, code: str, anchor: str) -> None:
    talk = Talk("AC").to("PowerDelivery")
    at = talk.now // 1000 if anchor == "now" else 0
    assert talk.say("PowerDeliveryReq", **profile(chosen, watts, at))["ResponseCode"] == code


@pytest.mark.parametrize("said", ["PowerToleranceConfirmed", "PowerToleranceNotConfirmed"])
def test_power_tolerance(said: str) -> None:
    talk = Talk("AC").to("PowerDelivery")
    made = profile(1, 1_000, talk.now // 1000)
    made["EVPowerProfile"]["Scheduled_EVPPTControlMode"]["PowerToleranceAcceptance"] = said
    code = talk.say("PowerDeliveryReq", **made)["ResponseCode"]
    assert code == {"PowerToleranceConfirmed": "OK_PowerToleranceConfirmed"}.get(
        said, "WARNING_PowerToleranceNotConfirmed"
    )
    assert talk.machine.state == "AC_ChargeLoop"


def test_a_profile_that_is_still_being_made_starts_nothing() -> None:
    talk = Talk("AC").to("PowerDelivery")
    answer = talk.say("PowerDeliveryReq", EVProcessing="Ongoing", EVPowerProfile=None)
    assert answer["ResponseCode"] == "OK"
    assert talk.said(ContactorAsked) == [] and talk.machine.state == "PowerDelivery"


def test_a_renegotiation_that_fails_leaves_the_old_profile() -> None:
    talk = Talk("AC").to("AC_ChargeLoop")
    before = talk.machine.session.profile
    made = profile(1, 30_000, talk.now // 1000)
    answer = talk.say("PowerDeliveryReq", ChargeProgress="ScheduleRenegotiation", **made)
    assert answer["ResponseCode"] == "WARNING_ScheduleRenegotiationFailed"
    assert talk.machine.session.profile == before and talk.machine.state == "AC_ChargeLoop"


def test_who_draws_more_than_its_profile_is_told() -> None:
    talk = Talk("AC").to("AC_ChargeLoop")
    assert talk.say("AC_ChargeLoopReq")["ResponseCode"] == "OK"
    talk.command(Measured(mv=230_000, mw=13_000_000))
    assert talk.say("AC_ChargeLoopReq")["ResponseCode"] == "WARNING_EVPowerProfileViolation"
    talk.command(Measured(mv=230_000, mw=11_000_000))
    assert talk.say("AC_ChargeLoopReq")["ResponseCode"] == "OK"


@pytest.mark.parametrize("negative", [False, True])
def test_limits_of_discharge_have_either_sign(negative: bool) -> None:
    talk = Talk("DC_BPT", dynamic=True)
    back = {"EVMaximumDischargePower": n(-15, 3), "EVMaximumDischargeCurrent": n(-40)} if negative else {}
    talk.to("DC_ChargeParameterDiscovery")
    limits = talk.words("DC_ChargeParameterDiscoveryReq")["BPT_DC_CPDReqEnergyTransferMode"] | back
    talk.say("DC_ChargeParameterDiscoveryReq", BPT_DC_CPDReqEnergyTransferMode=limits)
    seen = [one for one in talk.out if hasattr(one, "max_discharge_ma") and hasattr(one, "service")]
    assert (seen[-1].max_discharge_ma, seen[-1].max_discharge_mw) == (40_000, 15_000_000)
    for state, request in talk.way[7:11]:
        while talk.machine.state == state:
            talk.say(request)
    talk.command(
        Offer(**{name: getattr(OFFER, name) for name in Offer.__struct_fields__} | {"setpoint_mw": -30_000_000})
    )
    control = talk.words("DC_ChargeLoopReq")["BPT_Dynamic_DC_CLReqControlMode"] | back
    talk.say("DC_ChargeLoopReq", BPT_Dynamic_DC_CLReqControlMode=control)
    assert talk.said(Requested)[-1].ma == -37_500, "15 kW at 400 V"


# ── what a station may say at any time ───────────────────────────────────────────────────────────────────────────────
COMMANDS = [
    Offer(),
    Offer(max_mv=1, max_ma=1, setpoint_mw=-(10**12)),
    Authorize(accepted=True),
    Authorize(accepted=False),
    Isolation("valid"),
    Isolation("fault"),
    Locked(True),
    Locked(False),
    Contactor(True),
    Contactor(False),
    Measured(mv=10**9, ma=-(10**9), mw=10**12, energy_wh=-5, meter_id="x" * 99, signed=b"x" * 99),
    Certificate(exi=b"nothing"),
    Schedule(points=()),
    Schedule(points=((99, 5), (-5, 10**15), (3, -(10**15))), duration_s=0, id=-4),
    ReceiptWanted(),
    Pause(),
    Resume(),
    Renegotiate(),
    Renegotiate(service=True),
    Stop("enough"),
    Stop(emergency=True),
    Fault(code="x", by="evse"),
]


@pytest.mark.parametrize("service", ["AC", "DC", "AC_BPT", "DC_BPT"])
def test_every_command_in_every_state(service: str) -> None:
    for dynamic in (False, True):
        for state, request in Talk(service, dynamic=dynamic).way[:-1]:
            for command in COMMANDS:
                talk = Talk(service, dynamic=dynamic).to(state)
                talk.command(command)
                if not talk.machine.output.may_flow:
                    assert talk.machine.output.asked == Requested(), (state, command)
                for name in (request if request != "stop" else "PowerDeliveryReq", f"{service[:2]}_ChargeLoopReq"):
                    at = len(talk.out)
                    talk.frame(talk.frame_of(name))
                    assert all(type(one) is not Send or one.data.payload for one in talk.out[at:])
                talk.elapse(200_000)
                assert talk.machine.state == "Over", "and nothing lasts for ever"
                assert talk.machine.output.asked == Requested()
                assert len(talk.said(Ended)) == 1


def test_a_station_without_an_offer_lets_nothing_flow() -> None:
    machine = Iso20Secc(SeccConfig(), "iso20-dc", random=random(), tls=True, paused={})
    talk = Talk("DC")
    talk.machine = machine
    talk.to("ScheduleExchange")
    assert talk.say("ScheduleExchangeReq")["EVSEProcessing"] == "Ongoing"
    assert talk.say("ScheduleExchangeReq")["EVSEProcessing"] == "Ongoing"
    talk.command(OFFER)
    assert talk.say("ScheduleExchangeReq")["EVSEProcessing"] == "Finished"


def test_a_station_with_no_service_for_the_protocol_says_so() -> None:
    talk = Talk("DC", config={"services": ("AC",)}).to("ServiceDiscovery")
    assert talk.say("ServiceDiscoveryReq")["ResponseCode"] == "FAILED"
    assert talk.said(Ended)[0].by == "evse"


@pytest.mark.parametrize("at_ms", [0, 20, 200, 400, 900, 1_300, 2_000, 2_800, 8_000])
@pytest.mark.parametrize("emergency", [False, True])
@pytest.mark.parametrize("service", ["AC", "DC"])
def test_the_vehicle_may_end_it_at_any_time(service: str, at_ms: int, emergency: bool) -> None:
    world = World(service)
    world.evcc.start()
    world.run(at_ms)
    world.evcc.command(Halt("no more", emergency=emergency))
    world.run(5_000)
    assert world.parted.ok and world.parted.reason == "no more"
    assert world.outlet.flowing.ma == 0 and not world.outlet.closed
    assert not world.said(Fault)
    if world.said(Linked, "car"):
        assert world.ended.ok


def test_a_vehicle_that_is_told_of_contacts_it_never_asked_for() -> None:
    world = World("DC", drive=DRIVE)
    world.evcc.command(Contacts(True))
    world.begin(8_000)
    assert world.outlet.flowing.mw > 0
    assert world.said(Parted, "car") == []


def test_an_answer_that_cannot_be_written_is_an_answer_that_fails() -> None:
    talk = Talk("DC", config={"evse_id": "x" * 300})
    assert talk.say("SessionSetupReq")["ResponseCode"] == "FAILED"
    assert talk.said(Fault)[0].by == "evse" and talk.machine.state == "Over"
