"""The values of a message as people read them: 398.5 V, 40 %, OK; long octets cut, numbers put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, cast

_UNITS: Final = {"A": "A", "V": "V", "W": "W", "Wh": "Wh", "VA": "VA", "W_s": "Ws", "h": "h", "m": "min", "s": "s"}
FIRST: Final = (
    "ResponseCode", "EVSEProcessing", "EVErrorCode", "EVSEStatusCode", "EVSEIsolationStatus", "EVSENotification",
    "ChargeProgress", "ReadyToChargeState", "ChargingSession", "EVRESSSOC", "PresentSOC", "EVTargetVoltage",
    "EVTargetCurrent", "EVSEPresentVoltage", "EVSEPresentCurrent", "EVPresentVoltage",
)  # fmt: skip
"""What matters most, shown first."""
_MOST_OCTETS: Final = 8


def values_of(body: Mapping[str, Any]) -> dict[str, str]:
    """Every leaf of a message by its path, those that matter most first."""
    found: dict[str, str] = {}
    _walk("", body, found)
    ranked = sorted(found, key=lambda path: _rank(path))
    return {path: found[path] for path in ranked}


def _rank(path: str) -> int:
    last = path.rsplit(".", 1)[-1]
    return FIRST.index(last) if last in FIRST else len(FIRST)


def _walk(path: str, value: Any, found: dict[str, str]) -> None:
    if isinstance(value, Mapping):
        table = cast(Mapping[str, Any], value)
        quantity = _quantity(table)
        if quantity is not None:
            found[path] = quantity
        elif not table and path:
            found[path] = "-"
        for name, inner in table.items() if quantity is None else ():
            _walk(f"{path}.{name}" if path else name, inner, found)
    elif isinstance(value, list | tuple):
        items = cast(Sequence[Any], value)
        for number, inner in enumerate(items):
            _walk(f"{path}[{number}]", inner, found)
    else:
        found[path] = _leaf(value)


def _quantity(table: Mapping[str, Any]) -> str | None:
    """PhysicalValue (DIN, -2) and RationalNumber (-20) as one number."""
    keys = set(table)
    if {"Multiplier", "Value"} <= keys <= {"Multiplier", "Unit", "Value"}:
        unit = _UNITS.get(str(table.get("Unit", "")), str(table.get("Unit", "")))
        return f"{_number(table['Value'], table['Multiplier'])} {unit}".rstrip()
    if keys == {"Exponent", "Value"}:
        return _number(table["Value"], table["Exponent"])
    return None


def _number(value: Any, exponent: Any) -> str:
    text = format(Decimal(int(value)).scaleb(int(exponent)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _leaf(value: Any) -> str:
    if isinstance(value, bytes):
        shown = value[:_MOST_OCTETS].hex().upper()
        return shown if len(value) <= _MOST_OCTETS else f"{shown}... ({len(value)} bytes)"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
