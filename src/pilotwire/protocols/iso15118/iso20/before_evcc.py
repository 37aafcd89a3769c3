"""What comes between SessionSetup and AuthorizationSetup where nothing is plugged in. The vehicle's part; see
`before_secc`. It moves by hand: who drives sees what the station says of its place, and the machine waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import v2gtp
from . import timers
from .before_secc import ALIGNMENT, PAIRING, POSITIONING
from .wire import Came

if TYPE_CHECKING:
    from .evcc import Iso20Evcc

Message = dict[str, Any]

STATUS = "system status"
_KEPT = 3
"""Times that a vehicle begins anew when it is told that it stands wrong."""


class Before:
    """The part of the vehicle's machine that finds the pad or the pantograph."""

    def __init__(self, evcc: Iso20Evcc) -> None:
        self.evcc = evcc
        self.handlers: dict[str, Callable[[Came], None]] = {
            "WPT_FinePositioningSetupRes": self._set_up,
            "WPT_FinePositioningRes": self._positioned,
            "WPT_PairingRes": self._paired,
            "ACDP_VehiclePositioningRes": self._vehicle,
            "ACDP_SystemStatusRes": self._status,
        }
        self._anew = 0
        self.immobile = False
        """It stands still and stays so."""

    def begin(self) -> None:
        """SessionSetup is OK."""
        evcc = self.evcc
        if evcc.dialect == "iso20-wpt":
            self._setup()
        elif evcc.dialect == "iso20-acdp":
            self.tell_status()
            self._ask_vehicle()
        else:
            evcc.common("AuthorizationSetupReq")

    def resumed(self) -> None:
        """A session goes on that slept where it stands."""
        if self.evcc.dialect == "iso20-acdp":
            self.immobile = True
            self.tell_status()

    def _wait(self, doing: str, step: Callable[[], None]) -> None:
        power = self.evcc.power
        power.doing, power.ongoing_rule = doing, timers.POSITIONING_EVCC
        self.evcc.poll(step, timers.POSITIONING_EVCC)

    def _done(self) -> None:
        power = self.evcc.power
        power.ongoing_rule = timers.ONGOING
        self.evcc.alarms.drop("ongoing")
        self.evcc.common("AuthorizationSetupReq")

    # ── WPT ──────────────────────────────────────────────────────────────────────────────────────────────────────────
    def _setup(self) -> None:
        self.evcc.send(
            v2gtp.WPT,
            "WPT_FinePositioningSetupReq",
            EVProcessing="Finished",
            EVDeviceFinePositioningMethodList={"WPT_FinePositioningMethod": [POSITIONING]},
            EVDevicePairingMethodList={"WPT_PairingMethod": [PAIRING]},
            EVDeviceAlignmentCheckMethodList={"WPT_AlignmentCheckMethod": [ALIGNMENT]},
            NaturalOffset=0,
        )

    def _set_up(self, came: Came) -> None:
        self._position()

    def _position(self) -> None:
        self.evcc.send(v2gtp.WPT, "WPT_FinePositioningReq", EVProcessing="Ongoing", EVResultCode="EVResultUnknown")

    def _positioned(self, came: Came) -> None:
        if self._wrong_place(came):
            return
        if came.body["EVSEProcessing"] == "Finished":
            self.evcc.alarms.drop("ongoing")
            self._pair()
        else:
            self._wait("WPT_FinePositioning", self._position)

    def _pair(self) -> None:
        self.evcc.send(v2gtp.WPT, "WPT_PairingReq", EVProcessing="Ongoing", EVResultCode="EVResultUnknown")

    def _paired(self, came: Came) -> None:
        if self._wrong_place(came):
            return
        if came.body["EVSEProcessing"] == "Finished":
            self._done()
        else:
            self._wait("WPT_Pairing", self._pair)

    def _wrong_place(self, came: Came) -> bool:
        if not came.body["ResponseCode"].startswith("WARNING"):
            return False
        self._anew += 1
        if self._anew > _KEPT:
            self.evcc.why = ("NotPositioned", "the vehicle does not find its place")
            self.evcc.power.stop_session("Terminate")
        else:
            self.evcc.after(timers.POLL_MS, self._setup)
        return True

    # ── ACDP ─────────────────────────────────────────────────────────────────────────────────────────────────────────
    def _ask_vehicle(self) -> None:
        fields: Message = {"EVMobilityStatus": self.immobile, "EVPositioningSupport": True}
        self.evcc.send(v2gtp.ACDP, "ACDP_VehiclePositioningReq", **fields)

    def _vehicle(self, came: Came) -> None:
        if came.body["EVSEProcessing"] == "Finished" and self.immobile:
            self._done()
            return
        self.immobile = came.body["EVInChargePosition"]
        self._wait("ACDP_VehiclePositioning", self._ask_vehicle)

    def tell_status(self) -> None:
        """SystemStatus on its side stream, again and again until the session is over."""
        evcc = self.evcc
        if evcc.waits(v2gtp.ACDP_SYSTEM_STATUS):
            return
        status: Message = {
            "EVReadyToCharge": evcc.drive.ready and not evcc.ending,
            "EVImmobilizationRequest": self.immobile,
            "EVImmobilized": self.immobile,
            "EVCPStatus": "StateC" if evcc.contacts else "StateB",
            "EVSOC": max(0, min(100, evcc.drive.soc // 10)),
            "EVErrorCode": "FAILED" if evcc.why[0] else "OK_NoEVError",
            "EVTimeout": False,
        }
        evcc.send(v2gtp.ACDP_SYSTEM_STATUS, "ACDP_SystemStatusReq", EVTechnicalStatus=status)

    def _status(self, came: Came) -> None:
        evcc, body = self.evcc, came.body
        if body["EVSEEmergencyShutdown"] or body["EVSEMalfunction"]:
            evcc.wrong("the station tells of an emergency or a fault of its own", "8.3.4.7.8", "EVSEMalfunction")
        else:
            evcc.alarms.set(STATUS, evcc.now + timers.STATUS_MS)
