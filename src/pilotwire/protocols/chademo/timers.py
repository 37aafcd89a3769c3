"""The timers of CHAdeMO (IEEE 2030.1.1 annex A), both ends.

The sequence is public, most of its limits are not: a rule without a clause is a figure of ours, wide enough for the
vehicles and chargers whose recordings are public, and `then` says so. `CAN start` is what implementers use.
"""

from __future__ import annotations

from typing import Final, Literal

from pilotwire.core.timers import TimerRule


def _rule(name: str, side: Literal["ev", "evse"], ms: int, then: str, clause: str = "") -> TimerRule:
    text = then if clause else f"{then} (a figure of ours)"
    return TimerRule(name=name, protocol="CHAdeMO", side=side, ms=ms, clause=clause, then=text)


TIMERS: Final = (
    _rule("CAN start", "evse", 6_000, "the first frames of the vehicle after d1: session ends, d1 off"),
    _rule("vehicle permission", "evse", 20_000, "k and 102.5.0 after the first 108 and 109: session ends"),
    _rule("connector lock", "evse", 5_000, "the lock has not answered: session ends"),
    _rule("insulation test", "evse", 30_000, "the monitor has not answered: session ends"),
    _rule("output discharged", "evse", 5_000, "20 V or more after the insulation test: session ends"),
    _rule("vehicle contactors", "evse", 8_000, "102.5.3 still set after d2: session ends, d2 off"),
    _rule("output contactor", "evse", 3_000, "our own contactor has not answered: session ends"),
    _rule("vehicle frames", "evse", 1_000, "no 102 for so long: output off at once, session ends"),
    _rule("current down", "evse", 10_000, "more than 5 A after a stop: contactor opened under load, fault"),
    _rule("vehicle contactors open", "evse", 10_000, "102.5.3 still clear after a stop: suspected weld, fault"),
    _rule("voltage down", "evse", 10_000, "more than 10 V behind the output: the plug stays locked, fault"),
    _rule("charger frames first", "ev", 6_000, "no 108 and 109 after our first frames: session ends"),
    _rule("charger ready", "ev", 45_000, "d2 after k: session ends, k off"),
    _rule("contactors", "ev", 3_000, "our own contactors have not answered: session ends"),
    _rule("output start", "ev", 10_000, "109.5.0 still clear after contactors are closed: session ends"),
    _rule("charger frames", "ev", 1_000, "no 109 for so long: contactors opened, session ends"),
    _rule("current deviation", "ev", 1_000, "more than requested by over 10 A for so long: 102.4.2, session ends"),
    _rule("current down", "ev", 10_000, "more than 5 A after a stop: contactors opened under load, fault"),
    _rule(
        "weld quarter", "ev", 1_000, "a quarter of the voltage still there after contactors opened: weld", "A.10.2.1"
    ),
    _rule("weld end", "ev", 2_000, "more than 10 V still there after contactors opened: weld", "A.10.2.1"),
    _rule("charger off", "ev", 10_000, "d1 and d2 still on after 102.5.3: session ends all the same"),
)

_MS: Final = {(rule.side, rule.name): rule.ms for rule in TIMERS}


def limit(side: Literal["ev", "evse"], name: str) -> int:
    """Milliseconds of a timer."""
    return _MS[side, name]


CYCLE_MS: Final = 100
"""Every frame is sent this often."""
