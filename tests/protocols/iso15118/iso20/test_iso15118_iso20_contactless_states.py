"""WPT and ACDP: every request in every state of the station, what cannot be read, and every timer of theirs."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from tests.protocols.iso15118.iso20.iso20_talk import Talk, n
from tests.protocols.iso15118.iso20.iso20_world import DRIVE, World
from tests.protocols.iso15118.iso20.test_iso15118_iso20_states import over
from tests.timers import OUTSIDE, every_timer, just, shown

from pilotwire.core.ev_link import Halt, Parted
from pilotwire.core.evse_link import (
    Contactor,
    ContactorAsked,
    Ended,
    Fault,
    LockAsked,
    Locked,
    Offer,
    Positioned,
    Requested,
)
from pilotwire.core.machines import Send
from pilotwire.core.timers import TimerRule
from pilotwire.protocols import exi
from pilotwire.protocols.iso15118 import v2gtp
from pilotwire.protocols.iso15118.iso20 import timers, wire
from pilotwire.protocols.iso15118.iso20.rational import milli
from pilotwire.protocols.iso15118.iso20.wire import SCHEMAS

LISTS = {
    "EVDeviceFinePositioningMethodList": {"WPT_FinePositioningMethod": ["Manual"]},
    "EVDevicePairingMethodList": {"WPT_PairingMethod": ["External confirmation"]},
    "EVDeviceAlignmentCheckMethodList": {"WPT_AlignmentCheckMethod": ["PowerCheck"]},
    "NaturalOffset": 0,
}
LOOKS = {"EVProcessing": "Ongoing", "EVResultCode": "EVResultUnknown"}
STATUS = {"EVTechnicalStatus": {"EVReadyToCharge": True, "EVImmobilizationRequest": True}}
OWN: dict[str, dict[str, Any]] = {
    "WPT_FinePositioningSetupReq": {"EVProcessing": "Finished", **LISTS},
    "WPT_FinePositioningReq": LOOKS,
    "WPT_PairingReq": LOOKS,
    "WPT_AlignmentCheckReq": LOOKS,
    "WPT_ChargeParameterDiscoveryReq": {
        "EVPCMaxReceivablePower": n(11, 3),
        "SDMaxGroundClearence": 250,
        "SDMinGroundClearence": 100,
        "EVPCNaturalFrequency": n(85, 3),
        "EVPCDeviceLocalControl": False,
    },
    "WPT_ChargeLoopReq": {
        "MeterInfoRequested": False,
        "EVPCPowerRequest": n(7, 3),
        "EVPCPowerOutput": n(0),
        "EVPCChargeDiagnostics": "EVPCNoIssue",
    },
    "ACDP_VehiclePositioningReq": {"EVMobilityStatus": True, "EVPositioningSupport": True},
    "ACDP_ConnectReq": {"EVElectricalChargingDeviceStatus": "State_A"},
    "ACDP_DisconnectReq": {"EVElectricalChargingDeviceStatus": "State_B"},
}
ACCESS = ["AuthorizationSetup", "Authorization", "ServiceDiscovery", "ServiceDetail", "ServiceSelection"]
WAYS = {
    "WPT": [
        "SessionSetup", "WPT_FinePositioningSetup", "WPT_FinePositioning", "WPT_Pairing", *ACCESS,
        "WPT_ChargeParameterDiscovery", "ScheduleExchange", "WPT_AlignmentCheck", "PowerDelivery", "WPT_ChargeLoop",
        "SessionStop", "Over",
    ],
    "DC_ACDP": [
        "SessionSetup", "ACDP_VehiclePositioning", *ACCESS, "DC_ChargeParameterDiscovery", "ScheduleExchange",
        "ACDP_Connect", "DC_CableCheck", "DC_PreCharge", "DC_PowerDelivery", "DC_ChargeLoop", "ACDP_Disconnect",
        "SessionStop", "Over",
    ],
}  # fmt: skip
STOP = {"SessionStopReq"}
LIFT = {"ACDP_DisconnectReq"}
# Written down from the standard's message flow once more, apart from the tables of the machine.
LEGAL: dict[str, dict[str, set[str]]] = {
    "WPT": {
        "WPT_FinePositioningSetup": {"WPT_FinePositioningSetupReq"} | STOP,
        "WPT_FinePositioning": {"WPT_FinePositioningReq", "WPT_FinePositioningSetupReq"} | STOP,
        "WPT_Pairing": {"WPT_PairingReq"} | STOP,
        "AuthorizationSetup": {"AuthorizationSetupReq"} | STOP,
        "WPT_ChargeParameterDiscovery": {"WPT_ChargeParameterDiscoveryReq"} | STOP,
        "WPT_AlignmentCheck": {"WPT_AlignmentCheckReq"} | STOP,
        "PowerDelivery": {"PowerDeliveryReq"} | STOP,
        "WPT_ChargeLoop": {"WPT_ChargeLoopReq", "PowerDeliveryReq"},
        "SessionStop": STOP,
    },
    "DC_ACDP": {
        "ACDP_VehiclePositioning": {"ACDP_VehiclePositioningReq"} | STOP,
        "AuthorizationSetup": {"AuthorizationSetupReq"} | STOP,
        "ACDP_Connect": {"ACDP_ConnectReq"} | STOP | LIFT,
        "DC_CableCheck": {"DC_CableCheckReq"} | STOP | LIFT,
        "DC_PreCharge": {"DC_PreChargeReq"} | STOP | LIFT,
        "DC_PowerDelivery": {"DC_PreChargeReq", "PowerDeliveryReq"} | STOP | LIFT,
        "DC_ChargeLoop": {"DC_ChargeLoopReq", "PowerDeliveryReq"},
        "ACDP_Disconnect": LIFT,
        "SessionStop": STOP,
    },
}
PLACES = [(service, state) for service, states in LEGAL.items() for state in states]
ASKED = [
    "SessionSetupReq", "AuthorizationSetupReq", "AuthorizationReq", "ServiceDiscoveryReq", "ServiceDetailReq",
    "ServiceSelectionReq", "ScheduleExchangeReq", "PowerDeliveryReq", "SessionStopReq", "DC_CableCheckReq",
    "DC_PreChargeReq", "DC_ChargeLoopReq", "DC_WeldingDetectionReq", *OWN,
]  # fmt: skip


class Contactless(Talk):
    """A station with a pad or a pantograph."""

    def words(self, name: str) -> dict[str, Any]:
        if name in OWN:
            return dict(OWN[name])
        service, self.service = self.service, "DC"
        try:
            said = super().words(name)
        finally:
            self.service = service
        id_ = {"WPT": 3, "DC_ACDP": 4}[service]
        if name == "ServiceDetailReq":
            said = {"ServiceID": id_}
        elif name == "ServiceSelectionReq":
            said = {"SelectedEnergyTransferService": {"ServiceID": id_, "ParameterSetID": 2 if self.dynamic else 1}}
        return said

    def frame_of(self, name: str, payload: int | None = None, **changes: Any) -> v2gtp.Frame:
        payload = wire.payload_of(name) if payload is None else payload
        session = changes.pop("SessionID", self.session)
        body = {key: value for key, value in (self.words(name) | changes).items() if value is not None}
        body["Header"] = {"SessionID": session, "TimeStamp": self.now // 1000}
        return v2gtp.Frame(payload, exi.encode(SCHEMAS[payload], {name: body}))

    @property
    def way(self) -> list[tuple[str, str]]:
        stop = {"WPT_ChargeLoop": "stop", "DC_ChargeLoop": "stop", "DC_PowerDelivery": "PowerDeliveryReq", "Over": ""}
        return [(state, stop.get(state, f"{state}Req")) for state in WAYS[self.service]]


@pytest.mark.parametrize(("service", "state"), PLACES)
def test_every_request_in_every_state(service: Any, state: str) -> None:
    assert Contactless(service).to(state).machine.allowed == LEGAL[service][state]
    for name in ASKED:
        talk = Contactless(service).to(state)
        at = len(talk.out)
        answer = talk.say(name)
        if name not in LEGAL[service][state]:
            assert answer["ResponseCode"] == "FAILED_SequenceError", (name, state)
            over(talk, at)
        elif answer:
            refused = state.endswith("ChargeLoop") and name == "PowerDeliveryReq"  # it starts what has started
            assert answer["ResponseCode"].startswith("FAILED") is refused, (name, answer)


@pytest.mark.parametrize(("service", "state"), PLACES)
def test_what_cannot_be_read_is_answered(service: Any, state: str) -> None:
    for name in sorted(LEGAL[service][state]):
        whole = Contactless(service).to(state).frame_of(name)
        for broken in (whole.payload[:1], whole.payload[: len(whole.payload) // 2], b"", b"\x80\xff\xff"):
            try:
                exi.decode(SCHEMAS[whole.type], broken)
            except exi.DecodeError:
                pass
            else:
                continue
            talk = Contactless(service).to(state)
            at = len(talk.out)
            talk.frame(v2gtp.Frame(whole.type, broken))
            (sent,) = [one.data for one in talk.out[at:] if type(one) is Send]
            ((_, answer),) = exi.decode(SCHEMAS[sent.type], sent.payload).items()
            assert answer["ResponseCode"] == "FAILED"
            over(talk, at)


@pytest.mark.parametrize("state", list(LEGAL["DC_ACDP"]))
def test_system_status_is_answered_in_every_state(state: str) -> None:
    talk = Contactless("DC_ACDP").to(state)
    frame = v2gtp.Frame(v2gtp.ACDP_SYSTEM_STATUS, _status(talk, STATUS))
    before = talk.machine.state
    at = len(talk.out)
    talk.frame(frame)
    (sent,) = [one.data for one in talk.out[at:] if type(one) is Send]
    assert sent.type == v2gtp.ACDP_SYSTEM_STATUS
    assert talk.machine.state == before
    error = STATUS["EVTechnicalStatus"] | {"EVErrorCode": "FAILED_EmergencyEvent"}
    talk.frame(v2gtp.Frame(v2gtp.ACDP_SYSTEM_STATUS, _status(talk, {"EVTechnicalStatus": error})))
    assert talk.machine.output.asked == Requested()
    name = sorted(LEGAL["DC_ACDP"][state] - STOP)
    if name:
        at = len(talk.out)
        assert talk.say(name[0])["ResponseCode"] == "FAILED"
        assert talk.said(Fault)[-1].code == "FAILED_EmergencyEvent"


def test_no_system_status_before_a_session_and_in_no_other_service() -> None:
    for talk in (Contactless("DC_ACDP"), Contactless("WPT").to("WPT_ChargeLoop")):
        at = len(talk.out)
        talk.frame(v2gtp.Frame(v2gtp.ACDP_SYSTEM_STATUS, _status(talk, STATUS)))
        over(talk, at)


def _status(talk: Contactless, body: dict[str, Any]) -> bytes:
    header = {"SessionID": talk.session, "TimeStamp": talk.now // 1000}
    return exi.encode("iso20-acdp", {"ACDP_SystemStatusReq": {"Header": header, **body}})


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("EVDevicePairingMethodList", {"WPT_PairingMethod": ["Optical"]}),
        ("EVDeviceFinePositioningMethodList", {"WPT_FinePositioningMethod": ["Manual", "LPE"]}),
        ("EVDeviceAlignmentCheckMethodList", {"WPT_AlignmentCheckMethod": ["LPE"]}),
    ],
)
def test_methods_that_do_not_fit(name: str, changes: Any) -> None:
    talk = Contactless("WPT").to("WPT_FinePositioningSetup")
    at = len(talk.out)
    assert talk.say("WPT_FinePositioningSetupReq", **{name: changes})["ResponseCode"] == "FAILED"
    over(talk, at)


def test_methods_are_told_before_one_is_chosen() -> None:
    talk = Contactless("WPT").to("WPT_FinePositioningSetup")
    asked = {"EVProcessing": "Ongoing", "EVDevicePairingMethodList": {
        "WPT_PairingMethod": ["Optical", "External confirmation"]}}  # fmt: skip
    answer = talk.say("WPT_FinePositioningSetupReq", **asked)
    assert answer["PrimaryDevicePairingMethodList"] == {"WPT_PairingMethod": ["External confirmation"]}
    assert talk.machine.state == "WPT_FinePositioningSetup"
    talk.to("WPT_FinePositioningSetup")
    assert talk.say("WPT_FinePositioningSetupReq")["ResponseCode"] == "OK"
    assert talk.machine.state == "WPT_FinePositioning"


@pytest.mark.parametrize("state", ["WPT_FinePositioning", "WPT_Pairing"])
def test_a_vehicle_that_says_that_it_failed_begins_anew(state: str) -> None:
    talk = Contactless("WPT").to(state)
    answer = talk.say(f"{state}Req", EVProcessing="Finished", EVResultCode="EVResultFailed")
    assert (answer["ResponseCode"], answer["EVSEProcessing"]) == ("WARNING_WPT", "Finished")
    assert talk.machine.state == "WPT_FinePositioningSetup"


def test_parameters_that_no_pad_serves() -> None:
    for changes in ({"SDMinGroundClearence": 300, "SDMaxGroundClearence": 400}, {"EVPCMaxReceivablePower": n(-1)}):
        talk = Contactless("WPT").to("WPT_ChargeParameterDiscovery")
        at = len(talk.out)
        code = talk.say("WPT_ChargeParameterDiscoveryReq", **changes)["ResponseCode"]
        assert code == "FAILED_WrongChargeParameter"
        over(talk, at)


def test_a_vehicle_that_tells_of_a_fault_in_the_loop() -> None:
    talk = Contactless("WPT").to("WPT_ChargeLoop")
    assert talk.say("WPT_ChargeLoopReq")["ResponseCode"] == "OK"
    assert talk.machine.output.asked == Requested(mw=7_000_000)
    at = len(talk.out)
    answer = talk.say("WPT_ChargeLoopReq", EVPCChargeDiagnostics="EVPCTempOverheatDetected")
    assert answer["ResponseCode"] == "FAILED"
    over(talk, at)


@pytest.mark.parametrize("dynamic", [False, True])
def test_a_pad_gives_no_more_than_was_offered(dynamic: bool) -> None:
    talk = Contactless("WPT", dynamic=dynamic, offer=Offer(max_mw=9_000_000, setpoint_mw=5_000_000))
    talk.to("WPT_ChargeLoop")
    answer = talk.say("WPT_ChargeLoopReq", EVPCPowerRequest=n(30, 3))
    most = 5_000_000 if dynamic else 9_000_000
    assert talk.machine.output.asked == Requested(mw=most)
    assert milli(answer["EVPCPowerRequest"]) == milli(answer["SPCMaxOutputPowerLimit"]) == most
    talk.say("WPT_ChargeLoopReq", EVPCPowerRequest=n(-5, 3))
    assert talk.machine.output.asked == Requested(mw=0)


def test_power_is_not_begun_where_the_vehicle_has_moved_since_it_was_aligned() -> None:
    talk = Contactless("WPT").to("PowerDelivery")
    talk.command(Positioned(in_place=False))
    at = len(talk.out)
    assert talk.say("PowerDeliveryReq")["ResponseCode"] == "FAILED_PowerDeliveryNotApplied"
    assert ContactorAsked(True) not in talk.out
    over(talk, at)


@pytest.mark.parametrize("state", ["ACDP_Connect", "DC_CableCheck", "DC_PreCharge", "DC_PowerDelivery"])
def test_the_pantograph_can_be_sent_up_from_anywhere(state: str) -> None:
    talk = Contactless("DC_ACDP").to(state)
    answer = talk.say("ACDP_DisconnectReq")
    for _ in range(2):
        if answer["EVSEProcessing"] != "Finished":
            answer = talk.say("ACDP_DisconnectReq")
    assert (answer["EVSEProcessing"], answer["EVSEMechanicalChargingDeviceStatus"]) == ("Finished", "Home")
    assert talk.machine.state == "SessionStop"
    assert not talk.machine.output.wanted
    assert talk.say("SessionStopReq")["ResponseCode"] == "OK"
    assert talk.said(Ended)[-1].ok


def test_the_pantograph_does_not_move_before_the_contactor_is_open() -> None:
    talk = Contactless("DC_ACDP").to("DC_ChargeLoop")
    talk.answers = False
    talk.say("PowerDeliveryReq", ChargeProgress="Stop", EVPowerProfile=None)
    assert talk.said(ContactorAsked)[-1] == ContactorAsked(False)
    assert talk.say("ACDP_DisconnectReq")["EVSEProcessing"] == "Ongoing"
    assert LockAsked(False) not in talk.out
    talk.command(Contactor(False))
    assert talk.say("ACDP_DisconnectReq")["EVSEMechanicalChargingDeviceStatus"] == "Moving"
    assert LockAsked(False) in talk.out
    talk.command(Locked(False))
    assert talk.say("ACDP_DisconnectReq")["EVSEProcessing"] == "Finished"


def test_the_station_waits_until_the_vehicle_is_immobilized() -> None:
    talk = Contactless("DC_ACDP").to("ACDP_VehiclePositioning")
    for _ in range(3):
        assert talk.say("ACDP_VehiclePositioningReq", EVMobilityStatus=False)["EVSEProcessing"] == "Ongoing"
    assert talk.machine.state == "ACDP_VehiclePositioning"
    assert talk.say("ACDP_VehiclePositioningReq")["EVSEProcessing"] == "Finished"
    assert talk.machine.state == "AuthorizationSetup"


def test_a_vehicle_that_has_stopped_in_a_wrong_place_gets_no_pantograph() -> None:
    talk = Contactless("DC_ACDP")
    talk.command(Positioned(in_place=False))
    talk.to("ACDP_Connect")
    at = len(talk.out)
    assert talk.say("ACDP_ConnectReq")["ResponseCode"] == "FAILED"
    assert LockAsked(True) not in talk.out
    over(talk, at)


# ── timers ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def _deaf_to(request: str) -> tuple[World, int]:
    """A session in which `request` gets lost, and when that was."""
    service = "WPT" if request.startswith("WPT") else "DC_ACDP"
    world = World(service, drive=DRIVE)
    lost: list[int] = []
    streams: set[int] = set()

    def send(frame: Any) -> None:
        world._seen("ev", frame)
        stream = wire.stream_of(frame.type)
        if world.frames[-1][2] == request or stream in streams:
            streams.add(stream)
            lost.append(int(world.scheduler.now()))
            return
        world.scheduler.call_later(2, lambda: world.secc.received(frame))

    world.evcc._send = send
    world.evcc.start()
    for step in range(4_000):
        if lost:
            break
        world.run(5)
        if step == 1_600 and request == "ACDP_DisconnectReq":
            world.evcc.command(Halt())
    return world, lost[0]


def _never_placed(side: str) -> tuple[World, int]:
    """A session in which the vehicle does not come to its place, and since when the clock of that side runs."""
    world = World("WPT", drive=DRIVE)
    world.secc.command(Positioned(in_place=False))
    world.evcc.start()
    answered = 0
    while not answered:
        world.run(1)
        answered = len(world.bodies("WPT_FinePositioningRes"))
    if side == "evse":
        return world, int(world.scheduler.now())
    while not world.ev.alarms.running("ongoing"):
        world.run(1)
    return world, int(world.scheduler.now())


@every_timer(timers.CONTACTLESS)
def test_timers(rule: TimerRule, edge: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if rule is timers.POSITIONING_EVCC:  # the station, which gives up first, is to be patient
        patient = replace(timers.POSITIONING_SECC, ms=10**9)
        monkeypatch.setattr(timers, "POSITIONING_SECC", patient)
    if rule.name.startswith(timers.MESSAGE):
        world, since = _deaf_to(rule.name.removeprefix(timers.MESSAGE))
    else:
        world, since = _never_placed(rule.side)
    world.scheduler.run_until(since + just(rule, edge))
    if rule.side == "evse" and edge == OUTSIDE:
        world.run(timers.POLL_MS + 5)  # the vehicle hears of it in its next answer
    over_ = world.said(Parted, "car") if rule.side == "ev" else world.said(Fault)
    assert bool(over_) == (edge == OUTSIDE)
    if edge == OUTSIDE and rule.side == "ev":
        assert not over_[0].ok
        assert world.said(Fault, "car")[0].code == rule.name
    if edge == OUTSIDE and rule.side == "evse":
        assert ContactorAsked(True) not in world.station
    shown(rule, edge, (getattr(over_[0], "reason", "") or over_[0].text) if over_ else "the session goes on")
