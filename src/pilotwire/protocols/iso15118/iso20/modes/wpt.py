"""WPT, the station's part: energy over an air gap (ISO 15118-20, 8.3.4.6).

The pad is to a vehicle what the plug is to others: `LockAsked` makes it ready (and its watch for foreign objects), the
contactor feeds its coil. What stands where is `secc.position`; a vehicle that moves gets nothing from that moment on,
is told WARNING_WPT, and may be aligned anew. The alignment check goes by that place alone: power for a test, which the
method PowerCheck speaks of, is the power electronics' own matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from pilotwire.core.evse_link import Limits, Requested, Service

from ... import v2gtp
from .. import services, timers
from ..rational import milli, rational
from ..services import Selection
from ..states import requests
from ..wire import Came
from .base import SeccMode
from .limits import clip, offer_of, range_mw, setpoint_mw

if TYPE_CHECKING:
    from ..secc import Iso20Secc

Message = dict[str, Any]

CLASSES: Final = ((3_700_000, "MF-WPT1"), (7_700_000, "MF-WPT2"), (11_100_000, "MF-WPT3"))
"""Input power up to which a pad is of a class (IEC 61980-3); above them is MF-WPT4."""
CLEARANCE_MM: Final = (100, 250)
"""Between ground and coil of the vehicles that it serves (Z1 to Z3)."""
COIL_MA: Final = (0, 75_000)
_ZERO: Final[Message] = {"Exponent": 0, "Value": 0}
WPT_EMPTY: Final[dict[str, Message]] = {
    "WPT_ChargeParameterDiscoveryRes": {
        "PDInputPowerClass": "MF-WPT1",
        "SDMinOutputPower": _ZERO,
        "SDMaxOutputPower": _ZERO,
        "SDMaxGroundClearanceSupport": 0,
        "SDMinGroundClearanceSupport": 0,
        "PDMinCoilCurrent": _ZERO,
        "PDMaxCoilCurrent": _ZERO,
    },
    "WPT_AlignmentCheckRes": {"EVSEProcessing": "Finished"},
    "WPT_ChargeLoopRes": {
        "EVPCPowerRequest": _ZERO,
        "SPCMaxOutputPowerLimit": _ZERO,
        "SPCMinOutputPowerLimit": _ZERO,
        "SPCChargeDiagnostics": "SPCNoIssue",
    },
}


class WptSecc(SeccMode):
    """Alignment check, loop."""

    payload = v2gtp.WPT
    states: ClassVar = {
        "WPT_ChargeParameterDiscovery": requests("WPT_ChargeParameterDiscoveryReq", "SessionStopReq"),
        "WPT_AlignmentCheck": requests("WPT_AlignmentCheckReq", "SessionStopReq"),
        "WPT_ChargeLoop": requests("WPT_ChargeLoopReq"),
    }
    discovery = "WPT_ChargeParameterDiscovery"
    prepare = "WPT_AlignmentCheck"
    loop = "WPT_ChargeLoop"
    stopped = "SessionStop"

    def __init__(self, secc: Iso20Secc, selection: Selection) -> None:
        super().__init__(secc, selection)
        self.handlers = {
            "WPT_ChargeParameterDiscoveryReq": self._discovery,
            "WPT_AlignmentCheckReq": self._alignment,
            "WPT_ChargeLoopReq": self._charge_loop,
        }
        self._wanted_mw: int | None = None
        """What the last request of the loop wanted."""

    @classmethod
    def parameters(cls, secc: Iso20Secc, service: Service) -> list[Message]:
        return services.parameter_sets({}, secc.services.controls())

    def _discovery(self, came: Came) -> None:
        secc, body = self.secc, came.body
        most_mw = milli(body["EVPCMaxReceivablePower"])
        low, high = body["SDMinGroundClearence"], body["SDMaxGroundClearence"]
        if most_mw < 0 or low > high or high < CLEARANCE_MM[0] or low > CLEARANCE_MM[1]:
            text = f"{most_mw} mW at {low} to {high} mm above the ground cannot be served"
            secc.refuse(came, "FAILED_WrongChargeParameter", text, "8.3.4.6.5")
            return
        secc.emit(Limits(service="WPT", max_mw=most_mw))
        offered = secc.power.offered_mw()
        secc.output.isolation = "not-wanted"
        secc.output.lock()
        secc.go("ScheduleExchange")
        secc.answer(
            came,
            PDInputPowerClass=next((name for most, name in CLASSES if offered <= most), "MF-WPT4"),
            SDMinOutputPower=rational(min(offer_of(secc).min_mw, offered)),
            SDMaxOutputPower=rational(offered),
            SDMaxGroundClearanceSupport=CLEARANCE_MM[1],
            SDMinGroundClearanceSupport=CLEARANCE_MM[0],
            PDMinCoilCurrent=rational(COIL_MA[0]),
            PDMaxCoilCurrent=rational(COIL_MA[1]),
        )

    def _alignment(self, came: Came) -> None:
        secc = self.secc
        failed = came.body["EVResultCode"] == "EVResultFailed"
        aligned = secc.position.in_place and not failed
        if aligned:
            secc.alarms.drop("ongoing")
            secc.go("PowerDelivery")
        else:
            secc.alarms.begin("ongoing", secc.now + timers.PERFORMANCE.ms)
        if failed:
            secc.answer(came, "WARNING_WPT", EVSEProcessing="Finished")
        else:
            secc.answer(came, EVSEProcessing="Finished" if aligned else "Ongoing")

    def start_ready(self) -> str:
        return "" if self.secc.position.in_place else "the vehicle does not stand over the pad"

    def _charge_loop(self, came: Came) -> None:
        secc, body = self.secc, came.body
        if body["EVPCChargeDiagnostics"] != "EVPCNoIssue":
            text = f"the vehicle tells of {body['EVPCChargeDiagnostics']}"
            secc.refuse(came, "FAILED", text, "8.3.4.6.7", fault=body["EVPCChargeDiagnostics"])
            return
        self._wanted_mw = max(0, milli(body["EVPCPowerRequest"]))
        secc.power.loop_needs(came, {})
        self.changed()
        code = "OK"
        if not secc.position.in_place:
            self._wanted_mw, code = None, "WARNING_WPT"
            secc.go("WPT_AlignmentCheck")
        fields: Message = {
            "EVPCPowerRequest": rational(self._granted()),
            "SDPowerInput": rational(secc.measured.mw),
            "SPCMaxOutputPowerLimit": rational(self._most()),
            "SPCMinOutputPowerLimit": rational(min(offer_of(secc).min_mw, self._most())),
            "SPCChargeDiagnostics": "SPCNoIssue",
        }
        status = secc.status()
        if status is not None:
            fields["EVSEStatus"] = status
        secc.answer(came, code, **fields, **secc.sides.reading(body["MeterInfoRequested"]))

    def _most(self) -> int:
        """Of what may flow now; under dynamic control what is to."""
        return max(0, setpoint_mw(self.secc) if self.selection.dynamic else range_mw(self.secc)[1])

    def _granted(self) -> int:
        if self._wanted_mw is None or self.secc.power.standby:
            return 0
        return clip(self._wanted_mw, 0, self._most())

    def changed(self) -> None:
        secc = self.secc
        if not secc.position.in_place:
            secc.output.off()
            if secc.alarms.running("contactor"):
                secc.doom("the vehicle has moved off the pad", "ev", "EVNotInPosition")
        elif secc.in_loop and self._wanted_mw is not None:
            secc.output.request(Requested(mw=self._granted()))

    def stop(self) -> None:
        self._wanted_mw = None
