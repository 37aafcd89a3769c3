"""What comes between SessionSetup and AuthorizationSetup where nothing is plugged in: the vehicle finds its pad (WPT)
or its pantograph (ACDP). The station's part (ISO 15118-20, 8.3.4.6, 8.3.4.7 and 8.6.4.5.3).

    WPT    FinePositioningSetup → FinePositioning* → Pairing*      a wrong place (WARNING_WPT) leads back to the first
    ACDP   VehiclePositioning*, and beside everything SystemStatus on a stream of its own

Where the vehicle stands is told by the command `Positioned`; before the first one it stands right. By hand and by
confirmation from outside are the methods that are offered: those of low-frequency antennas need hardware to speak of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from ..config import Dialect
from . import timers
from .wire import Came, sub

if TYPE_CHECKING:
    from .secc import Iso20Secc

Message = dict[str, Any]

FIRST: Final[dict[Dialect, str]] = {"iso20-wpt": "WPT_FinePositioningSetup", "iso20-acdp": "ACDP_VehiclePositioning"}
"""The state behind SessionSetup of a new session; of all other dialects AuthorizationSetup."""
POSITIONING: Final = "Manual"
PAIRING: Final = "External confirmation"
ALIGNMENT: Final = "PowerCheck"
CONTACT_WINDOW_MM: Final = (500, 500)
"""How far off a vehicle may stand below a pantograph, along and across."""
MOST_MM: Final = 32_767

METHODS: Final[Message] = {
    "PrimaryDeviceFinePositioningMethodList": {"WPT_FinePositioningMethod": [POSITIONING]},
    "PrimaryDevicePairingMethodList": {"WPT_PairingMethod": [PAIRING]},
    "PrimaryDeviceAlignmentCheckMethodList": {"WPT_AlignmentCheckMethod": [ALIGNMENT]},
    "NaturalOffset": 0,
}
BEFORE_EMPTY: Final[dict[str, Message]] = {
    "WPT_FinePositioningSetupRes": METHODS,
    "WPT_FinePositioningRes": {"EVSEProcessing": "Finished"},
    "WPT_PairingRes": {"EVSEProcessing": "Finished"},
    "ACDP_VehiclePositioningRes": {
        "EVSEProcessing": "Finished",
        "EVSEPositioningSupport": False,
        "EVRelativeXDeviation": 0,
        "EVRelativeYDeviation": 0,
        "ContactWindowXc": 0,
        "ContactWindowYc": 0,
        "EVInChargePosition": False,
    },
    "ACDP_SystemStatusRes": {
        "EVSEMechanicalChargingDeviceStatus": "Home",
        "EVSEReadyToCharge": False,
        "EVSEIsolationStatus": "Invalid",
        "EVSEDisabled": True,
        "EVSEUtilityInterruptEvent": False,
        "EVSEEmergencyShutdown": False,
        "EVSEMalfunction": True,
        "EVInChargePosition": False,
        "EVAssociationStatus": False,
    },
}
_ISOLATION: Final = {"valid": "Safe", "warning": "Warning", "fault": "Fault"}


class Before:
    """The part of the station's machine that looks where the vehicle stands."""

    def __init__(self, secc: Iso20Secc) -> None:
        self.secc = secc
        self.handlers: dict[str, Callable[[Came], None]] = {
            "WPT_FinePositioningSetupReq": self._setup,
            "WPT_FinePositioningReq": self._positioning,
            "WPT_PairingReq": self._pairing,
            "ACDP_VehiclePositioningReq": self._vehicle,
            "ACDP_SystemStatusReq": self._status,
        }

    # ── WPT ──────────────────────────────────────────────────────────────────────────────────────────────────────────
    def _setup(self, came: Came) -> None:
        secc = self.secc
        chosen = came.body["EVProcessing"] == "Finished"
        for name, method, mine in (
            ("EVDeviceFinePositioningMethodList", "WPT_FinePositioningMethod", POSITIONING),
            ("EVDevicePairingMethodList", "WPT_PairingMethod", PAIRING),
            ("EVDeviceAlignmentCheckMethodList", "WPT_AlignmentCheckMethod", ALIGNMENT),
        ):
            listed = sub(came.body, name)[method]
            if mine not in listed or (chosen and len(listed) != 1):
                secc.refuse(came, "FAILED", f"{mine} is what can be done here, not {', '.join(listed)}", "8.3.4.6.2")
                return
        secc.go("WPT_FinePositioning" if chosen else "WPT_FinePositioningSetup")
        secc.answer(came, **METHODS)

    def _positioning(self, came: Came) -> None:
        self._looked(came, "WPT_FinePositioning", "WPT_Pairing")

    def _pairing(self, came: Came) -> None:
        self._looked(came, "WPT_Pairing", "AuthorizationSetup")

    def _looked(self, came: Came, here: str, then: str) -> None:
        """Finished where it stands right; a vehicle that says it is done and is not must begin anew."""
        secc = self.secc
        failed = came.body["EVResultCode"] == "EVResultFailed"
        done = came.body["EVProcessing"] == "Finished"
        right = secc.position.in_place and not failed
        if not right and (failed or done or here == "WPT_Pairing"):
            secc.alarms.drop("ongoing")
            secc.go("WPT_FinePositioningSetup")
            secc.answer(came, "WARNING_WPT", EVSEProcessing="Finished")
            return
        if right:
            secc.alarms.drop("ongoing")
            secc.go(then)
        else:
            secc.alarms.begin("ongoing", secc.now + timers.POSITIONING_SECC.ms)
            secc.go(here)
        secc.answer(came, EVSEProcessing="Finished" if right else "Ongoing")

    # ── ACDP ─────────────────────────────────────────────────────────────────────────────────────────────────────────
    def _vehicle(self, came: Came) -> None:
        secc, position = self.secc, self.secc.position
        # EVMobilityStatus is true once the vehicle is immobilized. That is its own decision ([V2G20-4069]): one that
        # has stopped in a wrong place is refused when the pantograph is to come down.
        done = came.body["EVMobilityStatus"]
        if done:
            secc.alarms.drop("ongoing")
            secc.go("AuthorizationSetup")
        else:
            secc.alarms.begin("ongoing", secc.now + timers.POSITIONING_SECC.ms)
        secc.answer(
            came,
            EVSEProcessing="Finished" if done else "Ongoing",
            EVSEPositioningSupport=True,
            EVRelativeXDeviation=max(-MOST_MM, min(MOST_MM, position.x_mm)),
            EVRelativeYDeviation=max(-MOST_MM, min(MOST_MM, position.y_mm)),
            ContactWindowXc=CONTACT_WINDOW_MM[0],
            ContactWindowYc=CONTACT_WINDOW_MM[1],
            EVInChargePosition=position.in_place,
        )

    def _status(self, came: Came) -> None:
        secc, output = self.secc, self.secc.output
        said: Message = came.body["EVTechnicalStatus"]
        error = said.get("EVErrorCode") or "OK_NoEVError"
        secc.answer(
            came,
            EVSEMechanicalChargingDeviceStatus=mechanical(secc),
            EVSEReadyToCharge=secc.offer is not None,
            EVSEIsolationStatus=_ISOLATION.get(output.isolation, "Invalid"),
            EVSEDisabled=False,
            EVSEUtilityInterruptEvent=False,
            EVSEEmergencyShutdown=False,
            EVSEMalfunction=False,
            EVInChargePosition=secc.position.in_place,
            EVAssociationStatus=True,
        )
        if error.startswith("FAILED"):
            secc.doom(f"the vehicle tells of {error}", "ev", error)


def mechanical(secc: Iso20Secc) -> str:
    """Where the pantograph is. Down and in contact is what a locked plug is to others."""
    output = secc.output
    if output.lock_wanted != output.locked:
        return "Moving"
    return "EndPosition" if output.locked else "Home"
