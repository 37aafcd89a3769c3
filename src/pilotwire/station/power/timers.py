"""The times that the power stage keeps."""

from __future__ import annotations

from pilotwire.core.timers import TimerRule

_IEC = "IEC 61851-23"

EMERGENCY_VOLTAGE = TimerRule(
    name="over-voltage, emergency",
    protocol=_IEC,
    side="evse",
    ms=9,
    clause="2023, 6.3.1.106.2, table 103",
    then="emergency shutdown: the outlet's contactors are opened by the monitor itself",
)
ERROR_VOLTAGE = TimerRule(
    name="over-voltage, error",
    protocol=_IEC,
    side="evse",
    ms=400,
    clause="2023, 6.3.1.106.3, table 104",
    then="error shutdown of the output",
)
PLAUSIBLE = TimerRule(
    name="voltage plausibility",
    protocol=_IEC,
    side="evse",
    ms=30_000,
    clause="EVerest, EvseManager: measurements 50 V apart for 30 s",
    then="the output is turned off: someone measures wrong",
)
EXCESS = TimerRule(
    name="current above the request",
    protocol=_IEC,
    side="evse",
    ms=500,
    clause="ours: tolerance of 2014, 101.2.1, and no time said for it",
    then="the output is turned off as in an emergency",
)
OFF = TimerRule(
    name="current after off",
    protocol=_IEC,
    side="evse",
    ms=500,
    clause="2014, CC: below 5 A within 1 s in an emergency; half of it is left to the contactors",
    then="contactors are opened under load",
)
CONTACT = TimerRule(
    name="contactor of the matrix",
    protocol=_IEC,
    side="evse",
    ms=200,
    clause="ours: twice what such a contactor takes",
    then="the module is taken out of service; welded under load: the whole cabinet is tripped",
)
STALE = TimerRule(
    name="module says nothing",
    protocol=_IEC,
    side="evse",
    ms=1_000,
    clause="ours: four polls",
    then="nothing is given to the module any more, and what it may deliver is counted as delivered",
)
METER = TimerRule(
    name="meter says nothing",
    protocol=_IEC,
    side="evse",
    ms=1_000,
    clause="2014, 6.4.3.107: current and voltage are measured at all times",
    then="the output is turned off: no one knows what flows",
)
TOLD = TimerRule(
    name="limit told before a module is taken away",
    protocol=_IEC,
    side="evse",
    ms=1_000,
    clause="ours: four loops of CurrentDemand",
    then="the module is taken, whether the vehicle has followed or not",
)
SELF_TEST = TimerRule(
    name="isolation monitor, self test",
    protocol=_IEC,
    side="evse",
    ms=25_000,
    clause="2023, CC.4.1.2: vehicles give up cable check after 30 to 40 s",
    then="the test has failed",
)

TIMERS = (EMERGENCY_VOLTAGE, ERROR_VOLTAGE, PLAUSIBLE, EXCESS, OFF, CONTACT, STALE, METER, TOLD, SELF_TEST)
