"""The control pilot as a circuit: what the EVSE drives, what the vehicle shows, what both measure (IEC 61851-1, A.2).

The EVSE drives ±12 V through 1 kΩ. The vehicle shows a resistance behind a diode: 2.74 kΩ (B), 882 Ω (C), 246 Ω (D,
it wants ventilation). Voltages in mV, resistances in Ω, duty in 0.1 %.

    state   upper level    what it means                       window at the EVSE
    A       +12 V          no vehicle                          11 to 13 V
    B       +9 V           connected                           8 to 10 V
    C       +6 V           wants energy                        5 to 7 V
    D       +3 V           wants energy and ventilation        2 to 4 V
    E       0 V            short, or no supply                 −1 to +1 V
    F       −12 V          the EVSE is not available           −13 to −11 V

x1 has no oscillation, x2 has one; then the lower level is −12 V, or the vehicle's diode is missing. Between two
windows the state stays what it was.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from .duty import STEADY

State = Literal["A", "B", "C", "D", "E", "F"]
Drive = Literal["steady", "pwm", "off", "negative"]


class PilotLevel(msgspec.Struct, frozen=True):
    """What the EVSE drives: +12 V, an oscillation, nothing (state E), or −12 V (state F)."""

    drive: Drive = "steady"
    duty: int = STEADY
    """Of the oscillation, 0.1 %."""


class PilotLoad(msgspec.Struct, frozen=True):
    """What the vehicle shows between pilot and earth."""

    ohm: int | None = None
    """None: nothing is plugged in; 0: a short."""
    diode: bool = True


class PilotSample(msgspec.Struct, frozen=True):
    """What is measured on the pilot, at either end."""

    high_mv: int
    low_mv: int
    duty: int = STEADY
    """STEADY: it does not oscillate, and both levels are the same."""


B_OHM: Final = 2_740
C_OHM: Final = 882
D_OHM: Final = 246
UNPLUGGED: Final = PilotLoad()
X1: Final = PilotLevel()
STATE_E: Final = PilotLevel("off", 0)
STATE_F: Final = PilotLevel("negative", 0)
LOADS: Final[dict[str, PilotLoad]] = {
    "A": UNPLUGGED,
    "B": PilotLoad(B_OHM),
    "C": PilotLoad(C_OHM),
    "D": PilotLoad(D_OHM),
    "E": PilotLoad(0, diode=False),
}
"""What is shown for a state, by a vehicle in order."""

_SOURCE_OHM: Final = 1_000
_DIODE_MV: Final = 700
_WINDOWS: Final[tuple[tuple[State, int, int], ...]] = (
    ("A", 11_000, 13_000),
    ("B", 8_000, 10_000),
    ("C", 5_000, 7_000),
    ("D", 2_000, 4_000),
    ("E", -1_000, 1_000),
    ("F", -13_000, -11_000),
)
LOW_MV: Final = (-13_000, -11_000)
"""Where the lower level of an oscillation lies when the vehicle has its diode."""


def pwm(duty: int) -> PilotLevel:
    """An oscillation, or +12 V where the duty cycle is STEADY."""
    return X1 if duty >= STEADY else PilotLevel("pwm", duty)


def _level(source_mv: int, load: PilotLoad) -> int:
    if load.ohm is None:
        return source_mv
    if not load.diode:
        return source_mv * load.ohm // (load.ohm + _SOURCE_OHM)
    if source_mv <= _DIODE_MV:
        return source_mv
    return _DIODE_MV + (source_mv - _DIODE_MV) * load.ohm // (load.ohm + _SOURCE_OHM)


def measure(level: PilotLevel, load: PilotLoad) -> PilotSample:
    """What both ends measure: the circuit of figure A.1, worked out."""
    if level.drive == "off":
        return PilotSample(0, 0, 0)
    if level.drive == "negative":
        mv = _level(-12_000, load)
        return PilotSample(mv, mv, 0)
    high = _level(12_000, load)
    if level.drive == "steady":
        return PilotSample(high, high)
    return PilotSample(high, _level(-12_000, load), level.duty)


def state_of(mv: int, before: State | None = None) -> State | None:
    """The state of an upper level; between two windows the one before. None: out of every range."""
    for state, low, high in _WINDOWS:
        if low <= mv <= high:
            return state
    return before if -13_000 <= mv <= 13_000 else None


def diode_missing(sample: PilotSample) -> bool:
    """It oscillates, and the lower level is not −12 V though it is not zero all the time."""
    return sample.duty not in (0, STEADY) and not LOW_MV[0] <= sample.low_mv <= LOW_MV[1]
