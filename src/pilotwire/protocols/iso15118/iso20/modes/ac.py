"""AC and AC_BPT, the station's part (ISO 15118-20, 8.3.4.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from pilotwire.core.evse_link import Limits, Requested, Service

from ... import v2gtp
from .. import services, timers
from ..rational import discharge, milli, rational
from ..services import Selection
from ..states import requests
from ..wire import Came
from .base import SeccMode
from .limits import clip, discharge_mw, offer_of, range_mw, scheduled_mw, setpoint_mw

if TYPE_CHECKING:
    from ..secc import Iso20Secc

Message = dict[str, Any]

HERTZ: Final = 50_000
"""EVSENominalFrequency, mHz."""
PHASES: Final = ("", "_L2", "_L3")
TOLERANCE_PERCENT: Final = 10
TOLERANCE_MW: Final = 500_000
"""What a vehicle may draw above its profile before it is told: meters and chargers are not exact."""
_ZERO: Final[Message] = {"Exponent": 0, "Value": 0}
AC_EMPTY: Final[dict[str, Message]] = {
    "AC_ChargeParameterDiscoveryRes": {
        "AC_CPDResEnergyTransferMode": {
            "EVSEMaximumChargePower": _ZERO,
            "EVSEMinimumChargePower": _ZERO,
            "EVSENominalFrequency": _ZERO,
        }
    },
    "AC_ChargeLoopRes": {"Scheduled_AC_CLResControlMode": {}},
}


def total(given: Message, name: str) -> int | None:
    """The mW of all phases: with L2 and L3 beside it a figure is that of L1, alone it is that of all."""
    if given.get(name) is None:
        return None
    return sum(milli(given[name + phase]) for phase in PHASES if given.get(name + phase) is not None)


def spread(name: str, mw: int, phases: int) -> Message:
    """A power as one figure, or as one for each of `phases`."""
    if phases == 1:
        return {name: rational(mw)}
    each = abs(mw) // phases * (1 if mw >= 0 else -1)
    return {name + phase: rational(each) for phase in PHASES[:phases]}


class AcSecc(SeccMode):
    """Contactor at PowerDelivery, then the loop."""

    payload = v2gtp.AC
    states: ClassVar = {
        "AC_ChargeParameterDiscovery": requests("AC_ChargeParameterDiscoveryReq", "SessionStopReq"),
        "AC_ChargeLoop": requests("AC_ChargeLoopReq"),
    }
    discovery = "AC_ChargeParameterDiscovery"
    prepare = "PowerDelivery"
    loop = "AC_ChargeLoop"
    stopped = "SessionStop"

    def __init__(self, secc: Iso20Secc, selection: Selection) -> None:
        super().__init__(secc, selection)
        self.handlers = {
            "AC_ChargeParameterDiscoveryReq": self._discovery,
            "AC_ChargeLoopReq": self._charge_loop,
        }
        bpt = "BPT_" if selection.bidirectional else ""
        self._discovery_mode = f"{bpt}AC_CPD%sEnergyTransferMode"
        self._loop_mode = f"{bpt}{'Dynamic' if selection.dynamic else 'Scheduled'}_AC_CL%sControlMode"
        self._control: Message | None = None
        self._phases = 1
        """How many figures the vehicle gives for a power: it gets as many."""

    @classmethod
    def parameters(cls, secc: Iso20Secc, service: Service) -> list[Message]:
        offer = offer_of(secc)
        fixed = {"Connector": 1 if offer.phases == 1 else 2, "EVSENominalVoltage": offer.nominal_mv // 1000}
        if service in services.BIDIRECTIONAL:
            fixed |= {"BPTChannel": 1, "GeneratorMode": 1, "GridCodeIslandingDetectionMethod": 1}
        return services.parameter_sets(fixed, secc.services.controls())

    def _discovery(self, came: Came) -> None:
        secc, offer = self.secc, offer_of(self.secc)
        given: Message | None = came.body.get(self._discovery_mode % "Req")
        if given is None:
            text = f"{self.selection.service} wants {self._discovery_mode % 'Req'}"
            secc.refuse(came, "FAILED_WrongChargeParameter", text, "8.3.4.4.2")
            return
        most, least = total(given, "EVMaximumChargePower") or 0, total(given, "EVMinimumChargePower") or 0
        if not 0 <= least <= most:
            text = f"a maximum of {most} mW and a minimum of {least} mW"
            secc.refuse(came, "FAILED_WrongChargeParameter", text, "8.3.4.4.2")
            return
        self._phases = sum(1 for phase in PHASES if given.get("EVMaximumChargePower" + phase) is not None)
        back = total(given, "EVMaximumDischargePower")
        secc.emit(
            Limits(
                service=self.selection.service,
                max_mw=most,
                min_mw=least,
                phases=self._phases if self._phases > 1 else None,
                max_discharge_mw=None if back is None else abs(back),
            )
        )
        limits: Message = {
            **self._spread("EVSEMaximumChargePower", secc.power.offered_mw()),
            **self._spread("EVSEMinimumChargePower", offer.min_mw),
            "EVSENominalFrequency": rational(HERTZ),
        }
        if self.selection.bidirectional:
            limits |= self._spread("EVSEMaximumDischargePower", discharge_mw(secc))
            limits |= self._spread("EVSEMinimumDischargePower", 0)
        secc.output.isolation = "not-wanted"
        secc.output.lock()
        secc.go("ScheduleExchange")
        secc.answer(came, **{self._discovery_mode % "Res": limits})

    def _spread(self, name: str, mw: int) -> Message:
        return spread(name, mw, self._phases)

    def _charge_loop(self, came: Came) -> None:
        secc = self.secc
        control: Message | None = came.body.get(self._loop_mode % "Req")
        if control is None:
            text = f"{self._loop_mode % 'Req'} was agreed upon, and it is not there"
            secc.refuse(came, "FAILED", text, "8.3.4.4.3")
            return
        self._control = control
        secc.power.loop_needs(came, control)
        self.changed()
        fields: Message = {self._loop_mode % "Res": self._limits()}
        status = secc.status()
        if status is not None:
            fields["EVSEStatus"] = status
        violated = self._draws_too_much()
        if violated:
            secc.alarms.begin("violation", secc.now + timers.VIOLATION.ms)
        else:
            secc.alarms.drop("violation")
        code = "WARNING_EVPowerProfileViolation" if violated else "OK"
        secc.answer(came, code, **fields, **secc.sides.reading(came.body["MeterInfoRequested"]))

    def _limits(self) -> Message:
        secc = self.secc
        found = self._spread("EVSEPresentActivePower", secc.measured.mw)
        if self.selection.dynamic:
            return self._spread("EVSETargetActivePower", self._set_by_station()) | found
        # A target beside a schedule says that less may be drawn than the schedule promised.
        promised, (_, most) = scheduled_mw(secc), range_mw(secc)
        if promised is not None and most < promised[1]:
            found |= self._spread("EVSETargetActivePower", most)
        return found

    def _draws_too_much(self) -> bool:
        if self.selection.dynamic:
            return False
        _, most = range_mw(self.secc)
        return self.secc.measured.mw > most + most * TOLERANCE_PERCENT // 100 + TOLERANCE_MW

    def changed(self) -> None:
        secc = self.secc
        if not secc.in_loop or self._control is None:
            return
        if secc.power.standby:
            secc.output.zero()
            return
        if self.selection.dynamic:
            mw = self._set_by_station()
        else:
            mw = clip(total(self._control, "EVPresentActivePower") or 0, *range_mw(secc))
        secc.output.request(Requested(mw=mw))

    def _set_by_station(self) -> int:
        """What is to flow, within what the vehicle can."""
        if self.secc.power.standby or self._control is None:
            return 0
        most = total(self._control, "EVMaximumChargePower") or 0
        back = sum(discharge(self._control.get("EVMaximumDischargePower" + phase)) or 0 for phase in PHASES)
        return clip(setpoint_mw(self.secc), -back, max(0, most))

    def stop(self) -> None:
        self._control = None
        self.secc.alarms.drop("violation")
