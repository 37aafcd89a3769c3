"""Minimum required error codes: what may be wrong at an outlet, in words that all links share.

The list is that of the ChargeX consortium (MREC, revision 5); the names are written as EVerest writes them. OCPP 1.6
tells them in StatusNotification (`errorCode`, with `tech_code` as vendorErrorCode under `VENDOR_ID`); OCPP 2.x in
NotifyEvent (`techCode`, component and variable).
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

VENDOR_ID: Final = "https://chargex.inl.gov"
"""vendorId of OCPP 1.6 beside `tech_code`."""

Effect = Literal["stop", "derate", "warn"]


class ErrorCode(msgspec.Struct, frozen=True, kw_only=True):
    """One code."""

    name: str
    """As `Fault.code` has it."""
    number: int
    text: str
    ocpp16: str = "OtherError"
    """errorCode of OCPP 1.6."""
    component: str = "EVSE"
    """Of OCPP 2.x; its variable is `variable`."""
    variable: str = "Problem"
    effect: Effect = "stop"
    """What it means for the flow of energy."""
    unplug: bool = False
    """It is the vehicle's or the cable's: with another one plugged in, it is over."""

    @property
    def tech_code(self) -> str:
        """techCode of OCPP 2.x: CX001 to CX026."""
        return f"CX{self.number:03}"


_LIST: Final = (
    ErrorCode(
        name="MREC1ConnectorLockFailure",
        number=1,
        text="The plug could not be locked or unlocked.",
        ocpp16="ConnectorLockFailure",
        component="ConnectorPlugRetentionLock",
    ),
    ErrorCode(name="MREC2GroundFailure", number=2, text="The residual current device tripped.", ocpp16="GroundFailure"),
    ErrorCode(
        name="MREC3HighTemperature",
        number=3,
        text="It is too hot inside; less power is given.",
        ocpp16="HighTemperature",
        effect="derate",
    ),
    ErrorCode(
        name="MREC4OverCurrentFailure",
        number=4,
        text="More current flowed than was allowed, or the protection against it tripped.",
        ocpp16="OverCurrentFailure",
        unplug=True,
    ),
    ErrorCode(name="MREC5OverVoltage", number=5, text="The voltage is too high.", ocpp16="OverVoltage"),
    ErrorCode(name="MREC6UnderVoltage", number=6, text="The voltage is too low.", ocpp16="UnderVoltage"),
    ErrorCode(
        name="MREC7WeakSignal",
        number=7,
        text="The wireless connection is weak.",
        ocpp16="WeakSignal",
        component="ChargingStation",
        effect="warn",
    ),
    ErrorCode(name="MREC8EmergencyStop", number=8, text="The emergency stop was pressed.", component="ChargingStation"),
    ErrorCode(
        name="MREC9AuthorizationTimeout",
        number=9,
        text="Nobody authorised charging in time.",
        effect="warn",
        unplug=True,
    ),
    ErrorCode(
        name="MREC10InvalidVehicleMode",
        number=10,
        text="The vehicle is in a mode in which it cannot be charged here.",
        unplug=True,
    ),
    ErrorCode(name="MREC11CableCheckFault", number=11, text="The cable check failed: isolation.", unplug=True),
    ErrorCode(name="MREC12PreChargeFault", number=12, text="The pre-charge did not reach its voltage.", unplug=True),
    ErrorCode(
        name="MREC13NoInternet",
        number=13,
        text="There is no connection to the network.",
        component="ChargingStation",
        effect="warn",
    ),
    ErrorCode(
        name="MREC14PilotFault",
        number=14,
        text="The control pilot is out of range, or the vehicle's diode is missing.",
        component="Connector",
        unplug=True,
    ),
    ErrorCode(name="MREC15PowerLoss", number=15, text="The mains are gone.", component="ChargingStation"),
    ErrorCode(
        name="MREC16EVContactorFault",
        number=16,
        text="The vehicle's contactors fail to open or to close.",
        ocpp16="EVCommunicationError",
        unplug=True,
    ),
    ErrorCode(
        name="MREC17EVSEContactorFault",
        number=17,
        text="The EVSE's contactor fails to open or to close; it may be welded.",
        ocpp16="PowerSwitchFailure",
    ),
    ErrorCode(
        name="MREC18CableOverTempDerate",
        number=18,
        text="The cable is too warm; less power is given.",
        ocpp16="HighTemperature",
        component="Connector",
        effect="derate",
    ),
    ErrorCode(
        name="MREC19CableOverTempStop",
        number=19,
        text="The cable is too hot.",
        ocpp16="HighTemperature",
        component="Connector",
    ),
    ErrorCode(
        name="MREC20PartialInsertion",
        number=20,
        text="The plug is not fully in: its latch is up.",
        component="Connector",
        unplug=True,
    ),
    ErrorCode(name="MREC21CapacitanceFault", number=21, text="The capacitance is out of range.", unplug=True),
    ErrorCode(name="MREC22ResistanceFault", number=22, text="The isolation resistance is too low.", unplug=True),
    ErrorCode(
        name="MREC23ProximityFault",
        number=23,
        text="The proximity contact is out of range.",
        component="Connector",
        unplug=True,
    ),
    ErrorCode(
        name="MREC24ConnectorVoltageHigh",
        number=24,
        text="There is voltage at the outlet before charging begins or after it ended.",
        ocpp16="OverVoltage",
        component="Connector",
    ),
    ErrorCode(name="MREC25BrokenLatch", number=25, text="The connector's latch is broken.", component="Connector"),
    ErrorCode(name="MREC26CutCable", number=26, text="The cable was cut off.", component="Connector"),
)

MREC: Final[dict[str, ErrorCode]] = {code.name: code for code in _LIST}
"""All of them by name, in the order of their numbers."""

Extra = Literal["PowerMeterFailure"]
"""What OCPP 1.6 knows and the list does not; `Fault.code` may be these too."""


def by_number(number: int) -> ErrorCode:
    """The code of a number, 1 to 26. Raises LookupError."""
    for code in _LIST:
        if code.number == number:
            return code
    raise LookupError(f"no minimum required error code has the number {number}")
