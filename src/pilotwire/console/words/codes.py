"""Codes of every OCPP version in plain words: what happened, and what it means for whoever looks.

Data alone. Names are the standards' own (1.6 edition 2; 2.0.1 edition 4; 2.1), texts are English; the console shows
them through its catalogue (`_()`), so that every language has them. A code that no table knows is a vendor's own or a
newer standard's: it is shown as it came, its words set apart.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Word(NamedTuple):
    """A code in words: a name to show, and a sentence of what it means ("" where the name says it all)."""

    name: str
    text: str = ""
    level: str = "info"
    """good, info, warn or bad: how much it should draw the eye."""


STOP_REASONS: Final[dict[str, Word]] = {
    "DeAuthorized": Word(
        "Token was refused", "The token was not, or no longer, allowed to charge, so the station stopped.", "warn"
    ),
    "EmergencyStop": Word("Emergency stop", "Somebody pressed the emergency stop button of the station.", "bad"),
    "EnergyLimitReached": Word(
        "Energy limit reached", "As much energy as was asked for, or allowed, had been delivered.", "good"
    ),
    "EVDisconnected": Word("Cable unplugged", "The cable was taken out of the car, or the car drove off.", "good"),
    "GroundFault": Word(
        "Ground fault", "Current leaked to ground and the protection switched off. Have the outlet inspected.", "bad"
    ),
    "HardReset": Word("Hard reset", "The station was restarted at once by a command.", "warn"),
    "ImmediateReset": Word("Immediate reset", "The station was restarted at once by a command.", "warn"),
    "Local": Word("Stopped at the station", "The driver stopped at the station, with the token or a button.", "good"),
    "LocalOutOfCredit": Word("Out of credit", "The station's own payment terminal found the credit used up.", "warn"),
    "MasterPass": Word("Stopped by service staff", "A master pass was used at the station to stop the session."),
    "Other": Word("Another reason", "The station gave no reason that the standard has a word for.", "warn"),
    "OvercurrentFault": Word(
        "Overcurrent", "The car drew more current than it was allowed and the station switched off.", "bad"
    ),
    "PowerLoss": Word("Power failure", "The station lost its supply entirely.", "bad"),
    "PowerQuality": Word(
        "Poor power quality", "Voltage, phases or frequency of the supply were outside what the station bears.", "bad"
    ),
    "Reboot": Word("Station restarted", "The station restarted by itself: its watchdog, or a fault.", "warn"),
    "Remote": Word("Stopped remotely", "A command of an operator, an app or a program stopped the session."),
    "ReqEnergyTransferRejected": Word(
        "Kind of charging refused",
        "The car asked for a kind of energy transfer (AC, DC, bidirectional) that was not allowed.",
        "warn",
    ),
    "SOCLimitReached": Word("Charge level reached", "The battery had reached the level that was asked for.", "good"),
    "SoftReset": Word("Soft reset", "The station was asked to restart and ended its sessions in good order."),
    "StoppedByEV": Word("Stopped by the car", "The car ended charging itself, most often because it was full.", "good"),
    "TimeLimitReached": Word("Time limit reached", "The time that was asked for, or allowed, was over.", "good"),
    "Timeout": Word("No car in time", "No car was plugged in within the time that the station waits for one.", "warn"),
    "UnlockCommand": Word("Unlocked remotely", "The connector was unlocked by a command, which ends the session."),
}
"""Reason (1.6) and ReasonEnumType (2.x): why a session ended."""

TRIGGERS: Final[dict[str, Word]] = {
    "AbnormalCondition": Word("Abnormal condition", "The station met an error or a fault.", "bad"),
    "Authorized": Word("Token accepted", "The driver's token was accepted."),
    "CablePluggedIn": Word("Cable plugged in", "The cable was plugged in and a car detected."),
    "ChargingRateChanged": Word("Charging rate changed", "A limit changed by more than the threshold."),
    "ChargingStateChanged": Word("Charging state changed", "Charging began, paused or went on."),
    "CostLimitReached": Word("Cost limit reached", "The highest cost that was allowed had been reached."),
    "Deauthorized": Word("Token no longer accepted", "The token may no longer charge.", "warn"),
    "EnergyLimitReached": Word("Energy limit reached", "As much energy as was allowed had been delivered."),
    "EVCommunicationLost": Word("Car stopped talking", "The communication with the car broke off.", "warn"),
    "EVConnectTimeout": Word("No car in time", "No car was plugged in within the time that the station waits.", "warn"),
    "EVDeparted": Word("Car drove away", "The parking bay is empty again."),
    "EVDetected": Word("Car arrived", "The parking bay sensor detected a car."),
    "LimitSet": Word("Limit set", "A limit of energy, time, cost or charge level was set for the session."),
    "MeterValueClock": Word("Meter reading on the clock", "A reading at a fixed time of day."),
    "MeterValuePeriodic": Word("Meter reading", "A reading at the interval that is configured."),
    "OperationModeChanged": Word("Operation mode changed", "Another way of controlling the power applies now."),
    "RemoteStart": Word("Started remotely", "A command of an operator, an app or a program."),
    "RemoteStop": Word("Stopped remotely", "A command of an operator, an app or a program."),
    "ResetCommand": Word("Restart commanded", "The station was told to restart."),
    "RunningCost": Word("Running cost", "The station reports what the session costs so far."),
    "SignedDataReceived": Word("Signed meter value", "The meter handed over a signed reading."),
    "SoCLimitReached": Word("Charge level reached", "The battery reached the level that was asked for."),
    "StopAuthorized": Word("Stopped at the station", "The driver presented the token, or pressed stop."),
    "TariffChanged": Word("Tariff changed", "Another price applies from now on."),
    "TariffNotAccepted": Word("Price not accepted", "The driver did not accept the price.", "warn"),
    "TimeLimitReached": Word("Time limit reached", "The time that was allowed is over."),
    "Trigger": Word("Asked for by us", "The central system asked the station to report."),
    "TxResumed": Word("Session went on", "The session went on after the station had restarted."),
    "UnlockCommand": Word("Unlocked remotely", "A command unlocked the connector."),
}
"""TriggerReasonEnumType (2.x): why a station reported; the first one is why a session began."""

CHARGING_STATES: Final[dict[str, Word]] = {
    "Charging": Word("Charging", "Energy flows into the car.", "good"),
    "EVConnected": Word("Car connected", "The cable is plugged in; the driver or the car has yet to begin."),
    "Finishing": Word("Finishing", "The session is over; the cable is still plugged in."),
    "Idle": Word("Idle", "No car is connected."),
    "Preparing": Word("Preparing", "A car is connected or a token was shown; charging has yet to begin."),
    "SuspendedEV": Word(
        "Paused by the car", "The station offers energy; the car takes none, often because it is full."
    ),
    "SuspendedEVSE": Word(
        "Paused by the station", "The car would take energy; the station, or a limit set for it, offers none.", "warn"
    ),
}
"""ChargingStateEnumType (2.x) and the states of a running session in ChargePointStatus (1.6)."""

CONNECTORS: Final[dict[str, Word]] = {
    "Available": Word("Available", "", "good"),
    "Charging": CHARGING_STATES["Charging"],
    "Faulted": Word("Faulted", "", "bad"),
    "Finishing": CHARGING_STATES["Finishing"],
    "Occupied": Word("Occupied"),
    "Preparing": CHARGING_STATES["Preparing"],
    "Reserved": Word("Reserved"),
    "SuspendedEV": CHARGING_STATES["SuspendedEV"],
    "SuspendedEVSE": CHARGING_STATES["SuspendedEVSE"],
    "Unavailable": Word("Out of service", "", "warn"),
}
"""ChargePointStatus (1.6) and ConnectorStatusEnumType (2.x)."""

FLAGS: Final[dict[str, Word]] = {
    "clock-1970": Word(
        "Clock not set",
        "The station's clock had not been set. Its times were moved to when the messages came; durations are exact.",
        "warn",
    ),
    "clock-future": Word(
        "Clock ahead",
        "The station's clock ran more than a day ahead. Its times were moved back; durations are exact.",
        "warn",
    ),
    "clock-skewed": Word(
        "Clock wrong", "The station's clock is off by more than a day. The times were corrected by that.", "warn"
    ),
    "clock-stepped": Word(
        "Clock was set back",
        "The station's clock was set back during the session, so that it ended before it began. The end is when the "
        "message came, if it came live.",
        "warn",
    ),
    "connector-available": Word(
        "Connector already free",
        "The station calls the connector available while it has not ended the session. The end may still come.",
        "warn",
    ),
    "ended-offline": Word(
        "Ended offline", "The station had no connection when the session ended and told of it later."
    ),
    "gaps-forgotten": Word(
        "Many messages missing",
        "So many messages of this session are missing that not every gap is kept. The energy counts what was reported.",
        "warn",
    ),
    "cost-differs": Word(
        "Cost differs",
        "The station's final cost is not what follows from its own messages by the same tariff.",
    ),
    "meter-went-back": Word(
        "Meter went back",
        "The register at the end is lower than at the start: the meter was changed or reset. The energy is not known "
        "and stands at 0.",
        "bad",
    ),
    "no-start": Word(
        "Start missing",
        "The first message of the session has not come. Begin and first reading are those of the earliest that did.",
        "warn",
    ),
    "not-authorized": Word(
        "Began without permission",
        "The station began although the token was refused, most often because it was offline and lets everybody "
        "charge then.",
        "warn",
    ),
    "seq-gap": Word(
        "Messages missing",
        "Some messages of this session have not come, or not yet. The energy is right once the last one is here.",
        "warn",
    ),
    "started-offline": Word(
        "Started offline", "The station had no connection when the session began and told of it later."
    ),
    "superseded": Word(
        "End missing",
        "The station never reported the end; a later session on the same connector shows that it was over. A late "
        "report still counts.",
        "warn",
    ),
    "transaction-reused": Word(
        "Number given twice",
        "The station gave the number of an earlier session to this one. They are kept apart by their start.",
        "warn",
    ),
}
"""The flags of a session (`pilotwire.domain`): what was odd, and what that does to the figures."""

ERROR_CODES: Final[dict[str, Word]] = {
    "ConnectorLockFailure": Word("Lock does not work", "The connector could not be locked or unlocked.", "bad"),
    "EVCommunicationError": Word(
        "Car cannot be understood", "The station and the car do not understand one another. Try another car.", "bad"
    ),
    "GroundFailure": Word(
        "Ground fault", "The protection against current to ground switched off. Have the outlet inspected.", "bad"
    ),
    "HighTemperature": Word("Too hot", "The inside of the station is too hot; the power is cut.", "bad"),
    "InternalError": Word("Internal error", "Hardware or software of the station failed. A restart may help.", "bad"),
    "LocalListConflict": Word(
        "Local token list is out of step", "The list of tokens in the station contradicts ours. Send it anew.", "warn"
    ),
    "NoError": Word("No error"),
    "OtherError": Word("Another error", "The vendor's own error code tells more.", "bad"),
    "OverCurrentFailure": Word("Overcurrent", "The overcurrent protection switched off.", "bad"),
    "OverVoltage": Word("Voltage too high", "The supply voltage is above what the station bears.", "bad"),
    "PowerMeterFailure": Word("Meter cannot be read", "The station cannot read its meter.", "bad"),
    "PowerSwitchFailure": Word("Contactor does not switch", "The power contactor does not open or close.", "bad"),
    "ReaderFailure": Word("Card reader failed", "Tokens cannot be read; remote start still works.", "bad"),
    "ResetFailure": Word("Restart failed", "The station was told to restart and could not.", "bad"),
    "UnderVoltage": Word("Voltage too low", "The supply voltage is below what the station needs.", "bad"),
    "WeakSignal": Word("Weak radio signal", "The mobile or wireless connection of the station is poor.", "warn"),
}
"""ChargePointErrorCode (1.6)."""

MEASURANDS: Final[dict[str, Word]] = {
    "Current.Export": Word("Current out of the car"),
    "Current.Import": Word("Current"),
    "Current.Offered": Word("Current offered"),
    "Energy.Active.Export.Interval": Word("Energy out of the car in the interval"),
    "Energy.Active.Export.Register": Word("Export register"),
    "Energy.Active.Import.Interval": Word("Energy in the interval"),
    "Energy.Active.Import.Register": Word("Energy register"),
    "Energy.Reactive.Export.Interval": Word("Reactive energy exported in the interval"),
    "Energy.Reactive.Export.Register": Word("Reactive export register"),
    "Energy.Reactive.Import.Interval": Word("Reactive energy in the interval"),
    "Energy.Reactive.Import.Register": Word("Reactive energy register"),
    "Frequency": Word("Frequency"),
    "Power.Active.Export": Word("Power out of the car"),
    "Power.Active.Import": Word("Power"),
    "Power.Factor": Word("Power factor"),
    "Power.Offered": Word("Power offered"),
    "Power.Reactive.Export": Word("Reactive power exported"),
    "Power.Reactive.Import": Word("Reactive power"),
    "RPM": Word("Fan speed"),
    "SoC": Word("Charge level of the car"),
    "Temperature": Word("Temperature"),
    "Voltage": Word("Voltage"),
}
"""Measurands people look at most; the others are shown by their own name."""

CONTEXTS: Final[dict[str, Word]] = {
    "Interruption.Begin": Word("Interruption begins"),
    "Interruption.End": Word("Interruption ends"),
    "Other": Word("Other"),
    "Sample.Clock": Word("On the clock"),
    "Sample.Periodic": Word("Periodic"),
    "Transaction.Begin": Word("Session begins"),
    "Transaction.End": Word("Session ends"),
    "Trigger": Word("Asked for"),
}
"""ReadingContext."""

LOCATIONS: Final[dict[str, Word]] = {
    "Body": Word("Station body"),
    "Cable": Word("Cable"),
    "EV": Word("Car"),
    "Inlet": Word("Grid side"),
    "Outlet": Word("Outlet"),
    "Upstream": Word("Upstream"),
}
"""Location of a reading."""

TOKEN_STATUSES: Final[dict[str, Word]] = {
    "Accepted": Word("Accepted", "May charge.", "good"),
    "Blocked": Word("Blocked", "May not charge, until it is accepted again.", "bad"),
    "ConcurrentTx": Word("Already charging", "The token has a running session elsewhere.", "warn"),
    "Expired": Word("Expired", "Was valid once, and is no longer.", "warn"),
    "Invalid": Word("Invalid", "Is refused as unknown.", "warn"),
    "NoCredit": Word("No credit", "The account behind it is empty.", "warn"),
    "NotAllowedTypeEVSE": Word("Not on this kind of outlet", "The contract excludes this kind of EVSE.", "warn"),
    "NotAtThisLocation": Word("Not at this place", "The contract excludes this location.", "warn"),
    "NotAtThisTime": Word("Not at this time", "The contract excludes this time of day.", "warn"),
    "Unknown": Word("Unknown", "Nobody here knows this token.", "warn"),
}
"""AuthorizationStatus: what a token is answered."""

TOKEN_TYPES: Final[dict[str, Word]] = {
    "Central": Word("Made by the central system"),
    "DirectPayment": Word("Payment terminal"),
    "eMAID": Word("Contract (Plug & Charge)"),
    "EVCCID": Word("Identity of the car"),
    "ISO14443": Word("RFID card"),
    "ISO15693": Word("RFID card (vicinity)"),
    "KeyCode": Word("Key code"),
    "Local": Word("Local"),
    "MacAddress": Word("MAC address of the car"),
    "NoAuthorization": Word("No authorization"),
    "VIN": Word("Vehicle identification number"),
}
"""IdTokenEnumType (2.x); 1.6 has no types and its tags are cards."""

COMMAND_OUTCOMES: Final[dict[str, Word]] = {
    "answered": Word("Answered", level="good"),
    "expired": Word("Expired", "The station did not come back in time to be told.", "warn"),
    "invalid": Word("Not sent", "The station's version of OCPP has no such command.", "warn"),
    "pending": Word("Waiting for the station"),
    "refused": Word("Refused", "The station answered with an error.", "bad"),
    "sent": Word("Sent"),
    "timed-out": Word("No answer", "The station did not answer in time.", "warn"),
    "undeliverable": Word("Not delivered", "The station was not connected.", "warn"),
}
"""What became of a command."""
