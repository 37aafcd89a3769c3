"""A vehicle's requests by hand: one good one of each kind, and the way to each state of the station."""

from __future__ import annotations

from typing import Any

from tests.protocols.exi.exi_messages import Maker
from tests.protocols.iso15118.iso20.iso20_world import Station

from pilotwire.core.machines import Send
from pilotwire.protocols import exi
from pilotwire.protocols.exi.grammar import grammar_of
from pilotwire.protocols.iso15118 import v2gtp
from pilotwire.protocols.iso15118.iso20 import wire
from pilotwire.protocols.iso15118.iso20.modes.base import SeccMode
from pilotwire.protocols.iso15118.iso20.wire import SCHEMAS, SIDE_STREAMS

EVCCID = "ZZPWRV00000001X"


def n(value: int, exponent: int = 0) -> dict[str, int]:
    return {"Exponent": exponent, "Value": value}


DC_LIMITS = {
    "EVMaximumChargePower": n(50, 3),
    "EVMinimumChargePower": n(0),
    "EVMaximumChargeCurrent": n(120),
    "EVMinimumChargeCurrent": n(0),
    "EVMaximumVoltage": n(450),
    "EVMinimumVoltage": n(200),
}
DC_BACK = {
    "EVMaximumDischargePower": n(15, 3),
    "EVMinimumDischargePower": n(0),
    "EVMaximumDischargeCurrent": n(40),
    "EVMinimumDischargeCurrent": n(0),
}
AC_LIMITS = {"EVMaximumChargePower": n(11, 3), "EVMinimumChargePower": n(0)}
AC_BACK = {"EVMaximumDischargePower": n(11, 3), "EVMinimumDischargePower": n(0)}
ENERGY = {"EVTargetEnergyRequest": n(30, 3), "EVMaximumEnergyRequest": n(40, 3), "EVMinimumEnergyRequest": n(0)}
OTHER_PAYLOADS = {"WPT": v2gtp.WPT, "ACDP": v2gtp.ACDP}


def other_requests() -> list[tuple[str, int]]:
    """The requests of the services that this talk has no words for, with their payload types."""
    found: list[tuple[str, int]] = []
    for prefix, payload in OTHER_PAYLOADS.items():
        for name, _ in grammar_of(SCHEMAS[payload]).document:
            if name.startswith(prefix) and name.endswith("Req"):
                found.append((name, payload))
    return found


class Talk(Station):
    """A station, and the words to bring it anywhere."""

    def __init__(self, service: Any = "DC", *, dynamic: bool = False, **options: Any) -> None:
        super().__init__(service, **options)
        self.service = service
        self.dynamic = dynamic
        self.session = bytes(8)

    def words(self, name: str) -> dict[str, Any]:
        """A good request, as it would come from a vehicle that runs this service in this mode."""
        bpt = "BPT_" if self.service.endswith("BPT") else ""
        control = "Dynamic" if self.dynamic else "Scheduled"
        dynamic = ENERGY | {"DepartureTime": 7200}
        anchor = self.now // 1000
        power = {"EVPowerProfileEntries": {"EVPowerProfileEntry": [{"Duration": 3600, "Power": n(9, 3)}]}}
        mode = {"Dynamic_EVPPTControlMode": {}} if self.dynamic else {
            "Scheduled_EVPPTControlMode": {"SelectedScheduleTupleID": 1}
        }  # fmt: skip
        dc = {"EVTargetCurrent": n(20), "EVTargetVoltage": n(400)}
        if self.dynamic:
            dc = dynamic | {key: DC_LIMITS[key] for key in DC_LIMITS if key != "EVMinimumChargeCurrent"}
        ac: dict[str, Any] = {"EVPresentActivePower": n(0)}
        if self.dynamic:
            ac |= dynamic | AC_LIMITS | {"EVPresentReactivePower": n(0)}
        if bpt:
            dc |= {key: DC_BACK[key] for key in DC_BACK if key != "EVMinimumDischargeCurrent"}
            ac |= AC_BACK
        ids = {"AC": 1, "DC": 2, "AC_BPT": 5, "DC_BPT": 6}
        chain = {"Id": "id1", "Certificate": b"\x30\x00"}
        return {
            "SessionSetupReq": {"EVCCID": EVCCID},
            "AuthorizationSetupReq": {},
            "AuthorizationReq": {"SelectedAuthorizationService": "EIM", "EIM_AReqAuthorizationMode": {}},
            "CertificateInstallationReq": {
                "OEMProvisioningCertificateChain": chain,
                "ListOfRootCertificateIDs": {
                    "RootCertificateID": [{"X509IssuerName": "CN=V2G Root", "X509SerialNumber": 1}]
                },
                "MaximumContractCertificateChains": 1,
            },
            "ServiceDiscoveryReq": {},
            "ServiceDetailReq": {"ServiceID": ids[self.service]},
            "ServiceSelectionReq": {
                "SelectedEnergyTransferService": {
                    "ServiceID": ids[self.service],
                    "ParameterSetID": 2 if self.dynamic else 1,
                }
            },
            "ScheduleExchangeReq": {
                "MaximumSupportingPoints": 12,
                f"{control}_SEReqControlMode": dynamic if self.dynamic else {},
            },
            "PowerDeliveryReq": {
                "EVProcessing": "Finished",
                "ChargeProgress": "Start",
                "EVPowerProfile": {"TimeAnchor": anchor, **mode, **power},
            },
            "MeteringConfirmationReq": {
                "SignedMeteringData": {
                    "Id": "id1",
                    "SessionID": self.session,
                    "MeterInfo": {"MeterID": "M1", "ChargedEnergyReadingWh": 1},
                    "Dynamic_SMDTControlMode": {},
                }
            },
            "SessionStopReq": {"ChargingSession": "Terminate"},
            "VehicleCheckInReq": {"EVCheckInStatus": "CheckIn", "ParkingMethod": "Manual"},
            "VehicleCheckOutReq": {"EVCheckOutStatus": "CheckOut", "CheckOutTime": anchor},
            "AC_ChargeParameterDiscoveryReq": {
                f"{bpt}AC_CPDReqEnergyTransferMode": AC_LIMITS | (AC_BACK if bpt else {})
            },
            "AC_ChargeLoopReq": {"MeterInfoRequested": False, f"{bpt}{control}_AC_CLReqControlMode": ac},
            "DC_ChargeParameterDiscoveryReq": {
                f"{bpt}DC_CPDReqEnergyTransferMode": DC_LIMITS | (DC_BACK if bpt else {})
            },
            "DC_CableCheckReq": {},
            "DC_PreChargeReq": {
                "EVProcessing": "Ongoing",
                "EVPresentVoltage": n(400),
                "EVTargetVoltage": n(400),
            },
            "DC_ChargeLoopReq": {
                "MeterInfoRequested": False,
                "EVPresentVoltage": n(400),
                f"{bpt}{control}_DC_CLReqControlMode": dc,
            },
            "DC_WeldingDetectionReq": {"EVProcessing": "Finished"},
        }[name]

    def frame_of(self, name: str, payload: int | None = None, **changes: Any) -> v2gtp.Frame:
        """The frame of a good request, with some of its elements changed (None: left out)."""
        payload = wire.payload_of(name) if payload is None else payload
        prefix = name.partition("_")[0]
        if prefix in OTHER_PAYLOADS:
            grammar = grammar_of(SCHEMAS[payload])
            index = dict(grammar.document)[name]
            body = Maker(grammar, 7, 0).element(index)
        else:
            body = self.words(name) | changes
        session = changes.pop("SessionID", self.session)
        body.pop("SessionID", None)
        body["Header"] = {"SessionID": session, "TimeStamp": self.now // 1000}
        body = {key: value for key, value in body.items() if value is not None}
        return v2gtp.Frame(payload, exi.encode(SCHEMAS[payload], {name: body}))

    def say(self, name: str, payload: int | None = None, **changes: Any) -> dict[str, Any]:
        """A request, and its answer; {}: there is none yet."""
        at = len(self.out)
        self.frame(self.frame_of(name, payload, **changes))
        answers = [one.data for one in self.out[at:] if type(one) is Send]
        if not answers:
            return {}
        assert len(answers) == 1, answers
        ((answered, body),) = exi.decode(SCHEMAS[answers[0].type], answers[0].payload).items()
        assert answers[0].type == (wire.payload_of(name) if payload is None else payload)
        assert answered == wire.response_to(name), f"{name} was answered with {answered}"
        if name == "SessionSetupReq" and body["ResponseCode"].startswith("OK"):
            self.session = body["Header"]["SessionID"]
        return body

    @property
    def way(self) -> list[tuple[str, str]]:
        """The states in order, and what brings the station out of each."""
        ac = self.service.startswith("AC")
        kind = "AC" if ac else "DC"
        common = ["SessionSetup", "AuthorizationSetup", "Authorization", "ServiceDiscovery", "ServiceDetail"]
        found = [(state, f"{state}Req") for state in (*common, "ServiceSelection")]
        found[4] = ("ServiceDetail", "ServiceDetailReq")
        found.append((f"{kind}_ChargeParameterDiscovery", f"{kind}_ChargeParameterDiscoveryReq"))
        found.append(("ScheduleExchange", "ScheduleExchangeReq"))
        if ac:
            found += [("PowerDelivery", "PowerDeliveryReq"), ("AC_ChargeLoop", "stop")]
        else:
            found += [
                ("DC_CableCheck", "DC_CableCheckReq"),
                ("DC_PreCharge", "DC_PreChargeReq"),
                ("DC_PowerDelivery", "PowerDeliveryReq"),
                ("DC_ChargeLoop", "stop"),
                ("DC_WeldingDetection", "DC_WeldingDetectionReq"),
            ]
        return [*found, ("SessionStop", "SessionStopReq"), ("Over", "")]

    def to(self, state: str) -> Talk:
        """Brings the station there, with good requests only."""
        for here, request in self.way:
            if here == state:
                assert self.machine.state == state
                return self
            for _ in range(4):
                if self.machine.state != here:
                    break
                if request == "stop":
                    self.say("PowerDeliveryReq", ChargeProgress="Stop", EVPowerProfile=None)
                else:
                    self.say(request)
            assert self.machine.state != here, f"{request} does not lead out of {here}"
        raise AssertionError(state)


__all__ = ["EVCCID", "SIDE_STREAMS", "SeccMode", "Talk", "n", "other_requests"]
