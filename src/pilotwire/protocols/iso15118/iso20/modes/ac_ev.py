"""AC and AC_BPT, the vehicle's part (ISO 15118-20, 8.3.4.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilotwire.core.ev_link import Flowing
from pilotwire.core.evse_link import Offer

from ... import v2gtp
from ..rational import rational
from ..services import Selection
from ..wire import Came, sub
from .ac import total
from .base import EvccMode

if TYPE_CHECKING:
    from ..evcc import Iso20Evcc

Message = dict[str, Any]

PHASE_MV = 230_000
"""What a current per phase is reckoned by."""


class AcEvcc(EvccMode):
    """PowerDelivery, contactors, loop. All powers are of all phases together."""

    payload = v2gtp.AC
    loop = "AC_ChargeLoopReq"

    def __init__(self, evcc: Iso20Evcc, selection: Selection) -> None:
        super().__init__(evcc, selection)
        self.handlers = {
            "AC_ChargeParameterDiscoveryRes": self._discovered,
            "AC_ChargeLoopRes": self._looped,
        }
        bpt = "BPT_" if selection.bidirectional else ""
        self._discovery_mode = f"{bpt}AC_CPD%sEnergyTransferMode"
        self._loop_mode = f"{bpt}{'Dynamic' if selection.dynamic else 'Scheduled'}_AC_CL%sControlMode"
        self._target: int | None = None
        """EVSETargetActivePower, mW."""
        self._closing = False

    def _most_mw(self, ma: int | None = None) -> int:
        """What it takes at the most, by a current per phase (None: by its own maximum)."""
        drive = self.evcc.drive
        return min(drive.max_mw, (drive.max_ma if ma is None else ma) * PHASE_MV * drive.phases // 1000)

    def discover(self) -> None:
        limits: Message = {"EVMaximumChargePower": rational(self._most_mw()), "EVMinimumChargePower": rational(0)}
        if self.selection.bidirectional:
            limits["EVMaximumDischargePower"] = rational(self.evcc.drive.max_discharge_mw)
            limits["EVMinimumDischargePower"] = rational(0)
        self.evcc.send(self.payload, "AC_ChargeParameterDiscoveryReq", **{self._discovery_mode % "Req": limits})

    def _discovered(self, came: Came) -> None:
        evcc = self.evcc
        given: Message | None = came.body.get(self._discovery_mode % "Res")
        if given is None:
            evcc.wrong(f"{self._discovery_mode % 'Res'} is not there", came.name, "WrongChargeParameter")
            return
        most = total(given, "EVSEMaximumChargePower") or 0
        back = abs(total(given, "EVSEMaximumDischargePower") or 0)
        evcc.power.tell(self._offer(most, back))
        evcc.power.exchange()

    def _offer(self, mw: int, back_mw: int, setpoint: int | None = None) -> Offer:
        phases = self.evcc.drive.phases
        return Offer(
            max_mw=mw,
            max_ma=mw * 1000 // (PHASE_MV * phases),
            phases=phases,
            max_discharge_mw=back_mw,
            max_discharge_ma=back_mw * 1000 // (PHASE_MV * phases),
            setpoint_mw=setpoint,
        )

    def prepare(self) -> None:
        self.evcc.power.start_power()

    def started(self) -> None:
        """The outlet is live: close, then take what may be taken."""
        self.evcc.contact(True)
        self.evcc.power.loop()

    def loop_request(self) -> Message:
        drive, power = self.evcc.drive, self.evcc.power
        control: Message = {"EVPresentActivePower": rational(self.present_mw())}
        most = self._most_mw(power.takes_ma())
        back = 0 if power.resting else drive.max_discharge_mw
        if self.selection.dynamic:
            control |= {
                "DepartureTime": power.departure_s(),
                **power.energies(),
                "EVMaximumChargePower": rational(most),
                "EVMinimumChargePower": rational(0),
                "EVPresentReactivePower": rational(0),
            }
        if self.selection.bidirectional:
            control["EVMaximumDischargePower"] = rational(back)
            control["EVMinimumDischargePower"] = rational(0)
        return {"MeterInfoRequested": True, self._loop_mode % "Req": control}

    def present_mw(self) -> int:
        """What it draws: under dynamic control what it is told to, else what it wants, its profile and target allow."""
        evcc, drive, power = self.evcc, self.evcc.drive, self.evcc.power
        if power.resting or not evcc.contacts:
            return 0
        back = drive.max_discharge_mw if self.selection.bidirectional else 0
        if self.selection.dynamic:
            return max(-back, min(self._target or 0, self._most_mw(power.takes_ma())))
        mw = drive.target_ma * PHASE_MV * drive.phases // 1000
        mw = max(-min(back, power.offer.max_discharge_mw), min(mw, self._most_mw()))
        if power.offer.max_mw is not None:
            mw = min(mw, power.offer.max_mw)
        mw = power.within_schedule(mw)
        return mw if self._target is None else min(mw, self._target)

    def _looped(self, came: Came) -> None:
        evcc, power = self.evcc, self.evcc.power
        given: Message = sub(came.body, self._loop_mode % "Res")
        self._target = total(given, "EVSETargetActivePower")
        offer = power.offer
        setpoint = self._target if self.selection.dynamic else None
        power.tell(self._offer(offer.max_mw or 0, offer.max_discharge_mw, setpoint))
        mw = total(given, "EVSEPresentActivePower")
        mw = self.present_mw() if mw is None else mw
        energy = sub(came.body, "MeterInfo").get("ChargedEnergyReadingWh")
        ma = mw * 1000 // (PHASE_MV * evcc.drive.phases)
        power.flow(Flowing(mv=PHASE_MV, ma=ma, mw=mw, energy_wh=energy))
        power.looped(came)

    def stopped(self) -> None:
        self.evcc.power.stop_session()
