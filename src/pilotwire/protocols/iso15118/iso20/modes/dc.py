"""DC and DC_BPT, the station's part (ISO 15118-20, 8.3.4.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from pilotwire.core.evse_link import Limits, Needs, Requested, Service

from ... import v2gtp
from .. import services, timers
from ..rational import discharge, milli, rational
from ..services import Selection
from ..states import requests
from ..wire import Came
from .base import SeccMode
from .limits import clip, discharge_mw, offer_of, range_mw, setpoint_mw

if TYPE_CHECKING:
    from ..secc import Iso20Secc

Message = dict[str, Any]

PRECHARGE_MA: Final = 2_000
"""The most that precharge may take (IEC 61851-23)."""
CORE: Final = 1
EXTENDED: Final = 2
"""Connector: the combined couplers and all others with pins of their own for DC (table 207)."""
_ZERO: Final[Message] = {"Exponent": 0, "Value": 0}
_NO_LIMITS: Final[Message] = {
    "EVSEMaximumChargePower": _ZERO,
    "EVSEMinimumChargePower": _ZERO,
    "EVSEMaximumChargeCurrent": _ZERO,
    "EVSEMinimumChargeCurrent": _ZERO,
    "EVSEMaximumVoltage": _ZERO,
    "EVSEMinimumVoltage": _ZERO,
}
DC_EMPTY: Final[dict[str, Message]] = {
    "DC_ChargeParameterDiscoveryRes": {"DC_CPDResEnergyTransferMode": _NO_LIMITS},
    "DC_CableCheckRes": {"EVSEProcessing": "Finished"},
    "DC_PreChargeRes": {"EVSEPresentVoltage": _ZERO},
    "DC_ChargeLoopRes": {
        "EVSEPresentCurrent": _ZERO,
        "EVSEPresentVoltage": _ZERO,
        "EVSEPowerLimitAchieved": False,
        "EVSECurrentLimitAchieved": False,
        "EVSEVoltageLimitAchieved": False,
        "Scheduled_DC_CLResControlMode": {},
    },
    "DC_WeldingDetectionRes": {"EVSEPresentVoltage": _ZERO},
}


class DcSecc(SeccMode):
    """Cable check, precharge, loop, welding detection."""

    payload = v2gtp.DC
    states: ClassVar = {
        "DC_ChargeParameterDiscovery": requests("DC_ChargeParameterDiscoveryReq", "SessionStopReq"),
        "DC_CableCheck": requests("DC_CableCheckReq", "SessionStopReq"),
        "DC_PreCharge": requests("DC_PreChargeReq", "SessionStopReq"),
        "DC_PowerDelivery": requests("DC_PreChargeReq", "PowerDeliveryReq", "SessionStopReq"),
        "DC_ChargeLoop": requests("DC_ChargeLoopReq"),
        "DC_WeldingDetection": requests("DC_WeldingDetectionReq", "SessionStopReq"),
    }
    discovery = "DC_ChargeParameterDiscovery"
    prepare = "DC_CableCheck"
    loop = "DC_ChargeLoop"
    stopped = "DC_WeldingDetection"
    locks_early: ClassVar[bool] = True
    """The plug is locked before the cable is checked."""

    def __init__(self, secc: Iso20Secc, selection: Selection) -> None:
        super().__init__(secc, selection)
        self.handlers = {
            "DC_ChargeParameterDiscoveryReq": self._discovery,
            "DC_CableCheckReq": self._cable_check,
            "DC_PreChargeReq": self._pre_charge,
            "DC_ChargeLoopReq": self._charge_loop,
            "DC_WeldingDetectionReq": self._welding_detection,
        }
        bpt = "BPT_" if selection.bidirectional else ""
        self._discovery_mode = f"{bpt}DC_CPD%sEnergyTransferMode"
        self._loop_mode = f"{bpt}{'Dynamic' if selection.dynamic else 'Scheduled'}_DC_CL%sControlMode"
        self._max_mv: int | None = None
        """Of the vehicle."""
        self._control: Message | None = None
        """What the last request of the loop wanted."""
        self._pre_charging_mv: int | None = None

    @classmethod
    def parameters(cls, secc: Iso20Secc, service: Service) -> list[Message]:
        core = secc.config.connector in ("cType1", "cType2")
        fixed = {"Connector": CORE if core else EXTENDED}
        if service in services.BIDIRECTIONAL:
            fixed |= {"BPTChannel": 1, "GeneratorMode": 1}
        return services.parameter_sets(fixed, secc.services.controls())

    # ── before the loop ──────────────────────────────────────────────────────────────────────────────────────────────
    def _discovery(self, came: Came) -> None:
        secc, offer = self.secc, offer_of(self.secc)
        given: Message | None = came.body.get(self._discovery_mode % "Req")
        if given is None:
            text = f"{self.selection.service} wants {self._discovery_mode % 'Req'}"
            secc.refuse(came, "FAILED_WrongChargeParameter", text, "8.3.4.5.2")
            return
        max_mv, min_mv = milli(given["EVMaximumVoltage"]), milli(given["EVMinimumVoltage"])
        max_ma, max_mw = milli(given["EVMaximumChargeCurrent"]), milli(given["EVMaximumChargePower"])
        if not (0 <= min_mv <= max_mv and max_ma >= 0 and max_mw >= 0 and offer.min_mv <= max_mv):
            text = f"{min_mv} to {max_mv} mV, {max_ma} mA and {max_mw} mW cannot be given"
            secc.refuse(came, "FAILED_WrongChargeParameter", text, "8.3.4.5.2")
            return
        self._max_mv = max_mv
        secc.emit(
            Limits(
                service=self.selection.service,
                max_mv=max_mv,
                min_mv=min_mv,
                max_ma=max_ma,
                min_ma=milli(given["EVMinimumChargeCurrent"]),
                max_mw=max_mw,
                min_mw=milli(given["EVMinimumChargePower"]),
                max_discharge_ma=discharge(given.get("EVMaximumDischargeCurrent")),
                max_discharge_mw=discharge(given.get("EVMaximumDischargePower")),
            )
        )
        if given.get("TargetSOC") is not None:
            secc.power.tell(Needs(target_soc=given["TargetSOC"] * 10, dynamic=self.selection.dynamic))
        limits: Message = {
            "EVSEMaximumChargePower": rational(secc.power.offered_mw()),
            "EVSEMinimumChargePower": rational(offer.min_mw),
            "EVSEMaximumChargeCurrent": rational(offer.max_ma),
            "EVSEMinimumChargeCurrent": rational(offer.min_ma),
            "EVSEMaximumVoltage": rational(offer.max_mv or 0),
            "EVSEMinimumVoltage": rational(offer.min_mv),
        }
        if self.selection.bidirectional:
            limits |= {
                "EVSEMaximumDischargePower": rational(discharge_mw(secc)),
                "EVSEMinimumDischargePower": rational(0),
                "EVSEMaximumDischargeCurrent": rational(offer.max_discharge_ma),
                "EVSEMinimumDischargeCurrent": rational(0),
            }
        if self.locks_early:
            secc.output.lock()
        secc.go("ScheduleExchange")
        secc.answer(came, **{self._discovery_mode % "Res": limits})

    def _cable_check(self, came: Came) -> None:
        secc = self.secc
        secc.output.lock()
        secc.output.test()
        secc.alarms.begin("ongoing", secc.now + timers.PERFORMANCE.ms)
        if secc.output.isolated:
            secc.alarms.drop("ongoing")
            secc.go("DC_PreCharge")
        secc.answer(came, EVSEProcessing="Finished" if secc.output.isolated else "Ongoing")

    def _pre_charge(self, came: Came) -> None:
        secc = self.secc
        self._pre_charging_mv = milli(came.body["EVTargetVoltage"])
        secc.output.close()
        self.changed()
        secc.go("DC_PowerDelivery")
        secc.answer(came, EVSEPresentVoltage=rational(secc.measured.mv))

    def start_ready(self) -> str:
        return "" if self.secc.state in ("DC_PowerDelivery", "DC_ChargeLoop") else "there was no precharge"

    # ── the loop ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def _charge_loop(self, came: Came) -> None:
        secc = self.secc
        control: Message | None = came.body.get(self._loop_mode % "Req")
        if control is None:
            text = f"{self._loop_mode % 'Req'} was agreed upon, and it is not there"
            secc.refuse(came, "FAILED", text, "8.3.4.5.5")
            return
        self._control = control | {"EVPresentVoltage": came.body["EVPresentVoltage"]}
        secc.power.loop_needs(came, control)
        wanted, granted = self._wanted()
        secc.output.request(granted)
        offer = offer_of(secc)
        fields: Message = {
            "EVSEPresentCurrent": rational(secc.measured.ma),
            "EVSEPresentVoltage": rational(secc.measured.mv),
            "EVSEPowerLimitAchieved": abs(granted.ma) < abs(wanted.ma) and abs(granted.ma) < offer.max_ma,
            "EVSECurrentLimitAchieved": abs(wanted.ma) > offer.max_ma,
            "EVSEVoltageLimitAchieved": granted.mv < wanted.mv,
            self._loop_mode % "Res": self._limits(),
        }
        status = secc.status()
        if status is not None:
            fields["EVSEStatus"] = status
        secc.answer(came, **fields, **secc.sides.reading(came.body["MeterInfoRequested"]))

    def _limits(self) -> Message:
        secc, offer = self.secc, offer_of(self.secc)
        least, most = range_mw(secc)
        found: Message = {
            "EVSEMaximumChargePower": rational(most),
            "EVSEMinimumChargePower": rational(min(offer.min_mw, most)),
            "EVSEMaximumChargeCurrent": rational(offer.max_ma),
            "EVSEMaximumVoltage": rational(offer.max_mv or 0),
        }
        if self.selection.bidirectional:
            found |= {
                "EVSEMaximumDischargePower": rational(-least),
                "EVSEMinimumDischargePower": rational(0),
                "EVSEMaximumDischargeCurrent": rational(offer.max_discharge_ma),
                "EVSEMinimumVoltage": rational(offer.min_mv),
            }
        return found

    def changed(self) -> None:
        secc = self.secc
        if secc.state == "DC_CableCheck":
            secc.output.test()
        elif secc.in_loop:
            if self._control is not None:
                secc.output.request(self._wanted()[1])
        elif self._pre_charging_mv is not None and not secc.power.stopped:
            mv = self._voltage(self._pre_charging_mv)
            secc.output.request(Requested(mv=mv, ma=PRECHARGE_MA, phase="precharge"))

    def stop(self) -> None:
        self._control = self._pre_charging_mv = None

    def _voltage(self, mv: int) -> int:
        most = offer_of(self.secc).max_mv
        bounds = [one for one in (most, self._max_mv) if one is not None]
        return clip(mv, 0, min(bounds, default=0))

    def _wanted(self) -> tuple[Requested, Requested]:
        """What the vehicle wants (or, under dynamic control, is to have), and what it gets."""
        assert self._control is not None
        secc, offer, control = self.secc, offer_of(self.secc), self._control
        if secc.power.standby:
            return Requested(), Requested()
        if self.selection.dynamic:
            wanted = self._set_by_station(control)
        else:
            wanted = Requested(mv=milli(control["EVTargetVoltage"]), ma=milli(control["EVTargetCurrent"]))
        mv = self._voltage(wanted.mv)
        if not mv:
            return wanted, Requested()
        back = offer.max_discharge_ma if self.selection.bidirectional else 0
        ma = clip(wanted.ma, -back, offer.max_ma)
        least, most = range_mw(secc)
        # By the voltage that is there, where there is one: by what was asked for nobody pays.
        by = max(mv, secc.measured.mv)
        ma = clip(ma, -(-least * 1000 // by), most * 1000 // by)
        return wanted, Requested(mv=mv, ma=ma)

    def _set_by_station(self, control: Message) -> Requested:
        mv = max(1, self.secc.measured.mv or milli(control["EVPresentVoltage"]))
        mw = setpoint_mw(self.secc)
        most_mw, most_ma = milli(control["EVMaximumChargePower"]), milli(control["EVMaximumChargeCurrent"])
        back_mw = discharge(control.get("EVMaximumDischargePower")) or 0
        back_ma = discharge(control.get("EVMaximumDischargeCurrent")) or 0
        mw = clip(mw, -back_mw, max(0, most_mw))
        ma = abs(mw) * 1000 // mv * (1 if mw >= 0 else -1)
        return Requested(mv=milli(control["EVMaximumVoltage"]), ma=clip(ma, -back_ma, max(0, most_ma)))

    # ── behind the loop ──────────────────────────────────────────────────────────────────────────────────────────────
    def _welding_detection(self, came: Came) -> None:
        secc = self.secc
        if came.body["EVProcessing"] == "Finished":
            secc.go("SessionStop")
        secc.answer(came, EVSEPresentVoltage=rational(secc.measured.mv))
