"""The timers of the transport protocol (SAE J1939-21, 5.10.2.4 and annex C)."""

from __future__ import annotations

from typing import Literal

from pilotwire.core.timers import TimerRule


def _rule(name: str, side: Literal["ev", "evse"], ms: int, then: str, *, least: bool = False) -> TimerRule:
    return TimerRule(
        name=name, protocol="SAE J1939-21", side=side, ms=ms, clause="SAE J1939-21 5.10.2.4", then=then, least=least
    )


# Both ends run all of them; GB/T 27930 has the vehicle send the long messages, so it is named as the sender here.
TR = _rule("Tr", "ev", 200, "who sends data slower than this is refused as a configuration")
TH = _rule("Th", "evse", 500, "a receiver that holds the sender back says so again (CTS for no packets)")
T1 = _rule("T1", "evse", 750, "no further data packet: the receiver aborts (reason 3)")
T2 = _rule("T2", "evse", 1250, "no data packet after a CTS: the receiver aborts (reason 3)")
T3 = _rule("T3", "ev", 1250, "no CTS or end of message: the sender aborts (reason 3)")
T4 = _rule("T4", "ev", 1050, "held back and not told again: the sender aborts (reason 3)")

TIMERS = (TR, TH, T1, T2, T3, T4)
