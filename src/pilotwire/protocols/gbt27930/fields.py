"""Fields as GB/T 27930 has them: little-endian (4.4), in base units, all ones where nothing is told (7.9).

The standard counts a current into the vehicle below zero (4.5), offset by -400 A; here it is positive, as everywhere
with us, which is a factor of -0.1 A and an offset of +400 A.
"""

from __future__ import annotations

from pilotwire.protocols.can.signals import Signal, choice, number

CHARGER, BMS = 0x56, 0xF4
"""Addresses (table 2)."""
MOST_MA = 400_000
"""What the coding of a current can say."""


def volts(name: str, byte: int, spn: str) -> Signal:
    """0.1 V."""
    return number(name, byte * 8, 16, unit="mV", factor=100, missing=0xFFFF, about=spn)


def cell_volts(name: str, byte: int, spn: str, *, bits: int = 16) -> Signal:
    """0.01 V, up to 24 V."""
    return number(name, byte * 8, bits, unit="mV", factor=10, missing=(1 << bits) - 1, low=0, high=24_000, about=spn)


def amperes(name: str, byte: int, spn: str) -> Signal:
    """0.1 A, offset -400 A, the sign turned: into the vehicle is positive."""
    return number(
        name,
        byte * 8,
        16,
        unit="mA",
        factor=-100,
        offset=MOST_MA,
        missing=0xFFFF,
        low=-MOST_MA,
        high=MOST_MA,
        about=spn,
    )


def kilowatt_hours(name: str, byte: int, spn: str) -> Signal:
    """0.1 kWh, up to 1000."""
    return number(name, byte * 8, 16, unit="Wh", factor=100, missing=0xFFFF, low=0, high=1_000_000, about=spn)


def minutes(name: str, byte: int, spn: str) -> Signal:
    """1 min, up to 600."""
    return number(name, byte * 8, 16, unit="ms", factor=60_000, missing=0xFFFF, low=0, high=36_000_000, about=spn)


def celsius(name: str, byte: int, spn: str) -> Signal:
    """1 degree, offset -50."""
    return number(name, byte * 8, 8, unit="°C", offset=-50, missing=0xFF, low=-50, high=200, about=spn)


def percent(name: str, byte: int, spn: str) -> Signal:
    """1 %."""
    return number(name, byte * 8, 8, unit="0.1 %", factor=10, missing=0xFF, low=0, high=1000, about=spn)


def readiness(name: str, spn: str) -> Signal:
    """One byte: not yet, ready, invalid."""
    return choice(name, 0, 8, {0x00: "not ready", 0xAA: "ready", 0xFF: "invalid"}, about=spn)


def pair(name: str, byte: int, bit: int, words: str, *, two: str = "untrusted") -> Signal:
    """Two bits from `bit` (1, 3, 5, 7) on: 00 no, 01 yes, 10 untrusted; `words` is what 01 says, for people."""
    return choice(name, byte * 8 + bit - 1, 2, {0: "no", 1: "yes", 2: two}, missing=3, about=words)
