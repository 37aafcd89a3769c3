"""The times of IEC 61851-1 (tables A.6 and A.9) and of ISO 15118-3 where it speaks of the pilot."""

from __future__ import annotations

from typing import Final, Literal

from pilotwire.core.timers import TimerRule

_IEC = "IEC 61851-1"
_ISO = "ISO 15118-3"


def _rule(
    name: str,
    ms: int,
    clause: str,
    then: str,
    side: Literal["ev", "evse"] = "evse",
    protocol: str = _IEC,
    least: bool = False,
) -> TimerRule:
    return TimerRule(name=name, protocol=protocol, side=side, ms=ms, clause=clause, then=then, least=least)


DEBOUNCE: Final = _rule(
    "t_debounce",
    10,
    "",
    "a new state counts once it has stayed so long: ten periods; the contactor has 90 of the 100 ms of sequence 8.1",
    least=True,
)
CLOSE: Final = _rule("t_C_close", 3_000, "table A.6, sequence 4", "the contactor did not close: MREC17")
WELDED: Final = _rule(
    "t_welded", 500, "", "the contactor was told to open and has not, it may be welded: MREC17, F (ours)"
)
LOAD_OFF: Final = _rule(
    "t_C1_open",
    6_000,
    "table A.6, sequence 10.2",
    "the vehicle draws on without oscillation: the contactor opens under load",
)
CHANGE: Final = _rule("t_duty_change", 5_000, "table A.6, sequence 6", "the duty cycle may change again", least=True)
STEP_X1: Final = _rule("t_step_X1", 3_000, "table A.6, sequence 9.2", "the oscillation may come back", least=True)
STATE_F: Final = _rule("t_state_F", 300, "table A.6, sequence 12", "state F may be left", least=True)
UNLOCK_F: Final = _rule("t_unlock_F", 5_000, "", "the plug is unlocked in state F (EVerest's figure)", least=True)
STEP_EF: Final = _rule("T_step_EF", 4_000, "table A.1", "state E or F may be left again", protocol=_ISO, least=True)
WAKE_UP: Final = _rule(
    "t_wake_up",
    30_000,
    "",
    "a vehicle that does not take what it is offered is woken: by B1, then by E (EVerest's figure)",
)
PHASES: Final = _rule("t_phases", 10_000, "", "the contactor may close on another number of phases", least=True)
OVER_CURRENT: Final = _rule("t_over_current", 7_000, "", "more than 110 % has flowed so long: MREC4 (EVerest's figure)")
CP_STATE: Final = _rule(
    "V2G_SECC_CPState_Detection_Timeout",
    1_500,
    "ISO 15118-2 8.7.2.2",
    "the vehicle is not in state C or D though energy is to flow: MREC10, the session ends",
    protocol=_ISO,
)
HLC_DELAY: Final = _rule(
    "t_5_percent_delay",
    500,
    "",
    "5 % is set and matching is listened for (EVerest's figure)",
    protocol=_ISO,
    least=True,
)
EV_CHANGE: Final = _rule(
    "t_ev_duty", 5_000, "table A.6, sequence 6", "the vehicle draws no more than is told now", "ev"
)
EV_STOP: Final = _rule(
    "t_ev_stop",
    3_000,
    "table A.6, sequence 10.1",
    "the vehicle shows B although its charger did not say that it stopped",
    "ev",
)

TIMERS: Final = (
    DEBOUNCE, CLOSE, WELDED, LOAD_OFF, CHANGE, STEP_X1, STATE_F, UNLOCK_F, STEP_EF, WAKE_UP, PHASES, OVER_CURRENT,
    CP_STATE, HLC_DELAY, EV_CHANGE, EV_STOP,
)  # fmt: skip
