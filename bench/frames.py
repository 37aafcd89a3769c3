"""The frames that the load sends: OCPP 1.6, a MeterValues with nine sampled values of about 840 bytes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_VALUES = [
    ("Energy.Active.Import.Register", "Wh", None, "{register}"),
    ("Power.Active.Import", "W", None, "11040.0"),
    ("Current.Import", "A", "L1", "16.01"),
    ("Current.Import", "A", "L2", "15.98"),
    ("Current.Import", "A", "L3", "16.00"),
    ("Voltage", "V", "L1-N", "230.1"),
    ("Voltage", "V", "L2-N", "229.8"),
    ("Voltage", "V", "L3-N", "231.0"),
    ("SoC", "Percent", None, "57"),
]


def _value(measurand: str, unit: str, phase: str | None, value: str) -> str:
    middle = f'"phase":"{phase}",' if phase else ""
    return f'{{"value":"{value}","measurand":"{measurand}",{middle}"unit":"{unit}"}}'


_SAMPLED = ",".join(_value(*row) for row in _VALUES)
_BEFORE, _AFTER = _SAMPLED.split("{register}")
START = datetime.now(UTC).replace(microsecond=0)
"""Now: samples of days that are over would be moved to history in the midst of a measurement."""


def boot(message_id: str) -> bytes:
    return f'[2,"{message_id}","BootNotification",{{"chargePointVendor":"bench","chargePointModel":"load"}}]'.encode()


def heartbeat(message_id: str) -> bytes:
    return f'[2,"{message_id}","Heartbeat",{{}}]'.encode()


def authorize(message_id: str) -> bytes:
    return f'[2,"{message_id}","Authorize",{{"idTag":"BENCH"}}]'.encode()


def start(message_id: str) -> bytes:
    stamp = START.isoformat().replace("+00:00", "Z")
    return (
        f'[2,"{message_id}","StartTransaction",{{"connectorId":1,"idTag":"BENCH","meterStart":0,"timestamp":"{stamp}"}}]'
    ).encode()


def meter_values(message_id: str, transaction: int, count: int) -> bytes:
    """The `count`-th MeterValues of a session: time and register advance, so no value is a repeat of another."""
    stamp = (START + timedelta(seconds=10 * count)).isoformat().replace("+00:00", "Z")
    return (
        f'[2,"{message_id}","MeterValues",{{"connectorId":1,"transactionId":{transaction},"meterValue":'
        f'[{{"timestamp":"{stamp}","sampledValue":[{_BEFORE}{count * 30}{_AFTER}]}}]}}]'
    ).encode()
