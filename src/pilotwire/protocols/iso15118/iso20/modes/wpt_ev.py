"""WPT, the vehicle's part (ISO 15118-20, 8.3.4.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pilotwire.core.ev_link import Flowing
from pilotwire.core.evse_link import Offer

from ... import v2gtp
from .. import timers
from ..rational import milli, rational
from ..services import Selection
from ..wire import Came, sub
from .base import EvccMode

if TYPE_CHECKING:
    from ..evcc import Iso20Evcc

Message = dict[str, Any]

CLEARANCE_MM: Final = (100, 250)
"""Of its coil above the ground, unloaded and loaded."""
FREQUENCY_MHZ: Final = 85_000_000
"""Natural frequency of its coil, in thousandths of a hertz (SAE J2954: 85 kHz)."""


class WptEvcc(EvccMode):
    """Alignment, PowerDelivery, contactors, loop."""

    payload = v2gtp.WPT
    loop = "WPT_ChargeLoopReq"

    def __init__(self, evcc: Iso20Evcc, selection: Selection) -> None:
        super().__init__(evcc, selection)
        self.handlers = {
            "WPT_ChargeParameterDiscoveryRes": self._discovered,
            "WPT_AlignmentCheckRes": self._aligned,
            "WPT_ChargeLoopRes": self._looped,
        }

    def discover(self) -> None:
        self.evcc.send(
            self.payload,
            "WPT_ChargeParameterDiscoveryReq",
            EVPCMaxReceivablePower=rational(self.evcc.drive.max_mw),
            SDMaxGroundClearence=CLEARANCE_MM[1],
            SDMinGroundClearence=CLEARANCE_MM[0],
            EVPCNaturalFrequency=rational(FREQUENCY_MHZ),
            EVPCDeviceLocalControl=False,
        )

    def _discovered(self, came: Came) -> None:
        body = came.body
        if body["ResponseCode"].startswith("WARNING"):
            self.evcc.why = ("NotAligned", "the station has no place for this vehicle")
            self.evcc.power.stop_session("Terminate")
            return
        self._offer(milli(body["SDMaxOutputPower"]), milli(body["SDMinOutputPower"]))
        self.evcc.power.exchange()

    def _offer(self, most_mw: int, least_mw: int) -> None:
        most_mw, mv = max(0, most_mw), max(1, self.evcc.drive.present_mv)
        self.evcc.power.tell(Offer(max_mw=most_mw, min_mw=max(0, least_mw), max_ma=most_mw * 1000 // mv))

    def prepare(self) -> None:
        power = self.evcc.power
        power.doing, power.ongoing_rule = "WPT_AlignmentCheck", timers.ONGOING
        self._align()

    def _align(self) -> None:
        self.evcc.send(self.payload, "WPT_AlignmentCheckReq", EVProcessing="Ongoing", EVResultCode="EVResultUnknown")

    def _aligned(self, came: Came) -> None:
        evcc, body = self.evcc, came.body
        if body["EVSEProcessing"] == "Finished" and body["ResponseCode"] == "OK":
            evcc.alarms.drop("ongoing")
            evcc.power.start_power()
        else:
            evcc.poll(self._align)

    def started(self) -> None:
        self.evcc.contact(True)
        self.evcc.power.loop()

    def loop_request(self) -> Message:
        return {
            "MeterInfoRequested": True,
            "EVPCPowerRequest": rational(self._wanted_mw()),
            "EVPCPowerOutput": rational(self.evcc.power.flowing.mw or 0),
            "EVPCChargeDiagnostics": "EVPCNoIssue",
        }

    def _wanted_mw(self) -> int:
        """What it wants, within its own bounds, the pad's and those of its schedule."""
        evcc, drive, power = self.evcc, self.evcc.drive, self.evcc.power
        if power.resting or not evcc.contacts:
            return 0
        mw = min(drive.target_ma * max(1, drive.present_mv) // 1000, drive.max_mw)
        if power.offer.max_mw is not None:
            mw = min(mw, power.offer.max_mw)
        return max(0, power.within_schedule(mw))

    def _looped(self, came: Came) -> None:
        evcc, power, body = self.evcc, self.evcc.power, came.body
        if body["SPCChargeDiagnostics"] != "SPCNoIssue":
            evcc.wrong(f"the pad tells of {body['SPCChargeDiagnostics']}", "8.3.4.6.7", body["SPCChargeDiagnostics"])
            return
        self._offer(milli(body["SPCMaxOutputPowerLimit"]), milli(body["SPCMinOutputPowerLimit"]))
        mw = milli(body["SDPowerInput"]) if body.get("SDPowerInput") is not None else 0
        mv = max(1, evcc.drive.present_mv)
        energy = sub(body, "MeterInfo").get("ChargedEnergyReadingWh")
        power.flow(Flowing(mv=mv, ma=mw * 1000 // mv, mw=mw, energy_wh=energy))
        if body["ResponseCode"] == "WARNING_WPT":
            power.flows = False
            evcc.contact(False)
            self.prepare()
            return
        power.looped(came)

    def stopped(self) -> None:
        self.evcc.power.stop_session()
