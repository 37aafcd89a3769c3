"""DC and DC_BPT, the vehicle's part (ISO 15118-20, 8.3.4.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pilotwire.core.ev_link import Flowing
from pilotwire.core.evse_link import Offer

from ... import v2gtp
from .. import timers
from ..rational import discharge, milli, rational
from ..services import Selection
from ..wire import Came, sub
from .base import EvccMode

if TYPE_CHECKING:
    from ..evcc import Iso20Evcc

Message = dict[str, Any]

CLOSE_TO_MV: Final = 20_000
"""Between the outlet and the battery, before the contactors close (IEC 61851-23)."""
SAFE_MV: Final = 60_000
WELD_ROUNDS: Final = 20
"""WeldingDetection is asked so often while the outlet's voltage goes down."""


class DcEvcc(EvccMode):
    """Cable check, precharge to the battery's voltage, contactors, loop, welding detection."""

    payload = v2gtp.DC
    loop = "DC_ChargeLoopReq"

    def __init__(self, evcc: Iso20Evcc, selection: Selection) -> None:
        super().__init__(evcc, selection)
        self.handlers = {
            "DC_ChargeParameterDiscoveryRes": self._discovered,
            "DC_CableCheckRes": self._cable_checked,
            "DC_PreChargeRes": self._pre_charged,
            "DC_ChargeLoopRes": self._looped,
            "DC_WeldingDetectionRes": self._welding,
        }
        bpt = "BPT_" if selection.bidirectional else ""
        self._discovery_mode = f"{bpt}DC_CPD%sEnergyTransferMode"
        self._loop_mode = f"{bpt}{'Dynamic' if selection.dynamic else 'Scheduled'}_DC_CL%sControlMode"
        self._matched = False
        """The voltage is there, and the contactors are asked to close."""
        self._welds = 0

    # ── before the loop ──────────────────────────────────────────────────────────────────────────────────────────────
    def discover(self) -> None:
        drive = self.evcc.drive
        limits: Message = {
            "EVMaximumChargePower": rational(drive.max_mw),
            "EVMinimumChargePower": rational(0),
            "EVMaximumChargeCurrent": rational(drive.max_ma),
            "EVMinimumChargeCurrent": rational(drive.min_ma),
            "EVMaximumVoltage": rational(drive.max_mv),
            "EVMinimumVoltage": rational(drive.min_mv),
            "TargetSOC": max(0, min(100, drive.target_soc // 10)),
        }
        if self.selection.bidirectional:
            limits |= {
                "EVMaximumDischargePower": rational(drive.max_discharge_mw),
                "EVMinimumDischargePower": rational(0),
                "EVMaximumDischargeCurrent": rational(drive.max_discharge_ma),
                "EVMinimumDischargeCurrent": rational(0),
            }
        self.evcc.send(self.payload, "DC_ChargeParameterDiscoveryReq", **{self._discovery_mode % "Req": limits})

    def _discovered(self, came: Came) -> None:
        given: Message | None = came.body.get(self._discovery_mode % "Res")
        if given is None:
            self.evcc.wrong(f"{self._discovery_mode % 'Res'} is not there", came.name, "WrongChargeParameter")
            return
        self._offer(given)
        self.evcc.power.exchange()

    def _offer(self, given: Message) -> None:
        """Limits of ChargeParameterDiscovery or of the loop; what is left out stays as it was."""
        before = self.evcc.power.offer

        def of(name: str, kept: int | None) -> int | None:
            return milli(given[name]) if given.get(name) is not None else kept

        back_ma, back_mw = (discharge(given.get(f"EVSEMaximumDischarge{what}")) for what in ("Current", "Power"))
        self.evcc.power.tell(
            Offer(
                max_mv=of("EVSEMaximumVoltage", before.max_mv),
                min_mv=of("EVSEMinimumVoltage", before.min_mv) or 0,
                max_ma=of("EVSEMaximumChargeCurrent", before.max_ma) or 0,
                min_ma=of("EVSEMinimumChargeCurrent", before.min_ma) or 0,
                max_mw=of("EVSEMaximumChargePower", before.max_mw),
                min_mw=of("EVSEMinimumChargePower", before.min_mw) or 0,
                max_discharge_ma=before.max_discharge_ma if back_ma is None else back_ma,
                max_discharge_mw=before.max_discharge_mw if back_mw is None else back_mw,
            )
        )

    def prepare(self) -> None:
        power = self.evcc.power
        power.doing, power.ongoing_rule = "DC_CableCheck", timers.CABLE_CHECK
        self.evcc.alarms.begin("ongoing", self.evcc.now + timers.CABLE_CHECK.ms)
        self._cable_check()

    def _cable_check(self) -> None:
        self.evcc.send(self.payload, "DC_CableCheckReq")

    def _cable_checked(self, came: Came) -> None:
        evcc, power = self.evcc, self.evcc.power
        if came.body["EVSEProcessing"] != "Finished":
            evcc.poll(self._cable_check, timers.CABLE_CHECK)
            return
        power.doing, power.ongoing_rule = "DC_PreCharge", timers.PRE_CHARGE
        evcc.alarms.set("ongoing", evcc.now + timers.PRE_CHARGE.ms)
        self._pre_charge()

    def _pre_charge(self) -> None:
        drive = self.evcc.drive
        self.evcc.send(
            self.payload,
            "DC_PreChargeReq",
            EVProcessing="Finished" if self.evcc.contacts and self._matched else "Ongoing",
            EVPresentVoltage=rational(drive.present_mv),
            EVTargetVoltage=rational(drive.present_mv),
        )

    def _pre_charged(self, came: Came) -> None:
        evcc = self.evcc
        mv = milli(came.body["EVSEPresentVoltage"])
        evcc.power.flow(Flowing(mv=mv))
        if self._matched and evcc.contacts:
            evcc.alarms.drop("ongoing")
            evcc.power.start_power()
            return
        if abs(mv - evcc.drive.present_mv) <= CLOSE_TO_MV:
            self._matched = True
            evcc.contact(True)
        evcc.poll(self._pre_charge, timers.PRE_CHARGE)

    # ── the loop ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def started(self) -> None:
        self.evcc.power.loop()

    def loop_request(self) -> Message:
        drive, power = self.evcc.drive, self.evcc.power
        control = self._dynamic() if self.selection.dynamic else self._scheduled()
        if self.selection.bidirectional:
            resting = power.resting and self.selection.dynamic
            control["EVMaximumDischargePower"] = rational(0 if resting else drive.max_discharge_mw)
            control["EVMinimumDischargePower"] = rational(0)
            control["EVMaximumDischargeCurrent"] = rational(0 if resting else drive.max_discharge_ma)
        return {
            "MeterInfoRequested": True,
            "EVPresentVoltage": rational(drive.present_mv),
            self._loop_mode % "Req": control,
        }

    def _scheduled(self) -> Message:
        drive = self.evcc.drive
        return {
            "EVTargetCurrent": rational(self._target_ma()),
            "EVTargetVoltage": rational(max(drive.target_mv, drive.present_mv)),
            "EVMaximumChargePower": rational(drive.max_mw),
            "EVMaximumChargeCurrent": rational(drive.max_ma),
            "EVMaximumVoltage": rational(drive.max_mv),
            "EVMinimumVoltage": rational(drive.min_mv),
        }

    def _target_ma(self) -> int:
        """What it wants, within its own bounds, the EVSE's, and what its profile says of now."""
        drive, power, offer = self.evcc.drive, self.evcc.power, self.evcc.power.offer
        if power.resting:
            return 0
        back = min(drive.max_discharge_ma, offer.max_discharge_ma) if self.selection.bidirectional else 0
        ma = max(-back, min(drive.target_ma, drive.max_ma, offer.max_ma))
        mv = max(1, drive.present_mv)
        mw = power.within_schedule(mv * ma // 1000)
        if offer.max_mw is not None:
            mw = min(mw, offer.max_mw)
        most = abs(mw) * 1000 // mv
        return max(-most, min(most, ma))

    def _dynamic(self) -> Message:
        drive, power = self.evcc.drive, self.evcc.power
        return {
            "DepartureTime": power.departure_s(),
            **power.energies(),
            "EVMaximumChargePower": rational(0 if power.resting else drive.max_mw),
            "EVMinimumChargePower": rational(0),
            "EVMaximumChargeCurrent": rational(power.takes_ma()),
            "EVMaximumVoltage": rational(drive.max_mv),
            "EVMinimumVoltage": rational(drive.min_mv),
        }

    def _looped(self, came: Came) -> None:
        evcc, body = self.evcc, came.body
        mv, ma = milli(body["EVSEPresentVoltage"]), milli(body["EVSEPresentCurrent"])
        energy = sub(body, "MeterInfo").get("ChargedEnergyReadingWh")
        self._offer(sub(body, self._loop_mode % "Res"))
        evcc.power.flow(Flowing(mv=mv, ma=ma, mw=mv * ma // 1000, energy_wh=energy))
        evcc.power.looped(came)

    # ── behind the loop ──────────────────────────────────────────────────────────────────────────────────────────────
    def stopped(self) -> None:
        self._welds = 0
        self._ask_welding("Ongoing")

    def _ask_welding(self, processing: str) -> None:
        self._processing = processing
        self.evcc.send(self.payload, "DC_WeldingDetectionReq", EVProcessing=processing)

    def _welding(self, came: Came) -> None:
        evcc = self.evcc
        if self._processing == "Finished":
            evcc.power.stop_session()
            return
        self._welds += 1
        mv = milli(came.body["EVSEPresentVoltage"])
        evcc.power.flow(Flowing(mv=mv))
        # With its contactors open the outlet's voltage goes down by itself; where it stays, one of them is welded.
        if not evcc.contacts and (mv <= SAFE_MV or self._welds >= WELD_ROUNDS):
            if mv > SAFE_MV:
                evcc.why = ("WeldingDetected", f"{mv} mV stay at the inlet")
            self._ask_welding("Finished")
        else:
            evcc.after(timers.POLL_MS, lambda: self._ask_welding("Ongoing"))
