"""Deviations that real chargers are known for, accepted by named rules when receiving; never when sending.

A rule sees one fault (`pilotwire.protocols.ocpp.diagnosis.Fault`) of a parsed payload. It mends it in place, or drops
what cannot be understood, and says so by its name, which travels in `Decoded.deviations` into the record of the
message beside the raw frame. A fault that no rule explains is refused. Rules are as narrow as the cases behind them:
what identifies (idTag, transactionId) or moves money is never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, NamedTuple

import msgspec

from pilotwire.protocols.ocpp.diagnosis import Fault, Kind, faults, is_date_time
from pilotwire.protocols.ocpp.model import sound
from pilotwire.protocols.ocpp.rpc.errors import RpcError
from pilotwire.protocols.ocpp.version import VersionName

ALL: frozenset[VersionName] = frozenset({"1.6", "2.0.1", "2.1"})
V16: frozenset[VersionName] = frozenset({"1.6"})

MAX_FAULTS = 1_000
"""A payload with more faults than this is noise, not a charger with a habit."""

_MAX_ROUNDS = 4
_MAX_KEPT_TEXT = 255


class _Dropped:
    """Stands in a list for an item that is to go when the round is over."""


_DROPPED = _Dropped()


class Repair:
    """The hands of the rules: replaces and drops, and keeps texts that are longer than the type allows."""

    def __init__(self) -> None:
        self.kept: list[tuple[tuple[Any, ...], str]] = []
        """(path from the message, whole text)"""
        self._lists: list[list[Any]] = []

    def put(self, fault: Fault, value: Any) -> None:
        container, key = fault.chain[-1]
        container[key] = value

    def drop(self, fault: Fault, level: int = 1) -> bool:
        """Takes the faulty value out (level 1), or the object (2) or the list (3) that holds it."""
        if len(fault.chain) <= level:
            return False
        container, key = fault.chain[-level]
        if isinstance(container, list):
            container[key] = _DROPPED
            self._lists.append(container)  # pyright: ignore[reportUnknownArgumentType]
        else:
            container.pop(key, None)
        return True

    def sweep(self) -> None:
        for items in self._lists:
            items[:] = [item for item in items if item is not _DROPPED]
        self._lists.clear()


class Rule(NamedTuple):
    """`mend` gets a fault of one of `kinds` in one of `versions`, repairs it and returns True, or leaves it alone."""

    name: str
    seen: str
    """Who does it: what the deviation looks like and where it was reported."""
    kinds: frozenset[Kind]
    versions: frozenset[VersionName]
    mend: Callable[[Fault, Repair], bool]


def _kinds(*kinds: Kind) -> frozenset[Kind]:
    return frozenset(kinds)


# --- date-times ------------------------------------------------------------------------------------------------------

_LOOSE = re.compile(
    r"(\d{4}-\d\d-\d\d)(?P<sep>[Tt ])(\d\d:\d\d:)(\d\d)((?:\.\d+)?)(?P<offset>[Zz]|[+-]\d\d(?::?\d\d)?|)", re.ASCII
)


def _date_time(part: str) -> Callable[[Fault, Repair], bool]:
    """Mends one looseness of a date-time; a text with two of them is mended by two rules, one per round."""

    def mend(fault: Fault, repair: Repair) -> bool:
        match = _LOOSE.fullmatch(fault.value)
        if match is None:
            return False
        date, separator, clock, second, fraction, offset = match.groups()
        if part == "space" and separator == " ":
            separator = "T"
        elif part == "short" and len(offset) in (3, 5):
            offset = f"{offset[:3]}:{offset[3:] or '00'}"
        elif part == "none" and not offset:
            offset = "Z"
        elif part == "leap" and second == "60":
            second = "59"
        else:
            return False
        mended = f"{date}{separator}{clock}{second}{fraction}{offset}"
        if not (is_date_time(mended) or _LOOSE.fullmatch(mended)):
            return False
        repair.put(fault, mended)
        return True

    return mend


# --- types -----------------------------------------------------------------------------------------------------------

_JSON_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,30})(?:\.\d{1,30})?", re.ASCII)


def _number_as_string(fault: Fault, repair: Repair) -> bool:
    if fault.shape is None or fault.shape.kind not in ("integer", "number") or not isinstance(fault.value, str):
        return False
    text = fault.value.strip()
    if _JSON_NUMBER.fullmatch(text) is None:
        return False
    repair.put(fault, int(text) if "." not in text else Decimal(text))
    return True


def _integral_number(fault: Fault, repair: Repair) -> bool:
    if fault.shape is None or fault.shape.kind != "integer" or not isinstance(fault.value, Decimal):
        return False
    if not sound(fault.value) or fault.value != fault.value.to_integral_value():
        return False
    repair.put(fault, int(fault.value))
    return True


def _fractional_reading(fault: Fault, repair: Repair) -> bool:
    if fault.field not in ("meterStart", "meterStop") or not isinstance(fault.value, Decimal) or not sound(fault.value):
        return False
    repair.put(fault, int(fault.value.to_integral_value(rounding=ROUND_HALF_EVEN)))
    return True


def _number_for_string(fault: Fault, repair: Repair) -> bool:
    if (fault.owner, fault.field) != ("SampledValue", "value"):
        return False
    if type(fault.value) is int:
        repair.put(fault, str(fault.value))
        return True
    if isinstance(fault.value, Decimal) and sound(fault.value):
        repair.put(fault, format(fault.value, "f"))
        return True
    return False


def _data_not_text(fault: Fault, repair: Repair) -> bool:
    if fault.field != "data" or not fault.owner.startswith("DataTransfer"):
        return False
    repair.put(fault, msgspec.json.encode(fault.value, enc_hook=float).decode())
    return True


def _object_for_list(fault: Fault, repair: Repair) -> bool:
    if fault.shape is None or fault.shape.kind != "array" or not isinstance(fault.value, dict):
        return False
    repair.put(fault, [fault.value])  # pyright: ignore[reportUnknownMemberType]
    return True


# --- what should have been left out ----------------------------------------------------------------------------------


def _null_payload(fault: Fault, repair: Repair) -> bool:
    if fault.value is not None:
        return False
    repair.put(fault, {})
    return True


def _drop_optional(fault: Fault, repair: Repair) -> bool:
    return fault.optional and repair.drop(fault)


def _empty_string(fault: Fault, repair: Repair) -> bool:
    return fault.value == "" and fault.optional and repair.drop(fault)


def _empty_list(fault: Fault, repair: Repair) -> bool:
    return fault.value == [] and fault.optional and repair.drop(fault)


def _empty_sampled_value(fault: Fault, repair: Repair) -> bool:
    return fault.value == [] and fault.field == "sampledValue" and repair.drop(fault, 2)


# --- texts and enumerations ------------------------------------------------------------------------------------------

# Texts that describe and do not identify: kept whole, beyond the schema's length.
_DESCRIPTIVE = frozenset({
    "chargeBoxSerialNumber", "chargePointModel", "chargePointSerialNumber", "chargePointVendor", "firmwareVersion",
    "iccid", "imsi", "info", "meterSerialNumber", "meterType", "model", "serialNumber", "techInfo", "vendorErrorCode",
    "vendorName",
})  # fmt: skip


def _over_long(fault: Fault, repair: Repair) -> bool:
    assert fault.shape is not None and fault.shape.high is not None
    # A certificate's serialNumber identifies it; a cut or overlong one must not match anything.
    if fault.field not in _DESCRIPTIVE or "Certificate" in fault.owner or len(fault.value) > _MAX_KEPT_TEXT:
        return False
    repair.kept.append((tuple(key for _, key in fault.chain[1:]), fault.value))
    repair.put(fault, fault.value[: fault.shape.high])
    return True


def _enum_case(fault: Fault, repair: Repair) -> bool:
    assert fault.shape is not None
    wanted = fault.value.strip().casefold()
    same = [value for value in fault.shape.values if value.casefold() == wanted]
    if len(same) != 1:
        return False
    repair.put(fault, same[0])
    return True


_UNITS = {"hz": "Hertz", "%": "Percent", "c": "Celsius", "°c": "Celsius", "f": "Fahrenheit", "°f": "Fahrenheit"}


def _unit_spelling(fault: Fault, repair: Repair) -> bool:
    unit = _UNITS.get(fault.value.strip().casefold())
    if unit is None or (fault.owner, fault.field) != ("SampledValue", "unit"):
        return False
    repair.put(fault, unit)
    return True


def _unknown_context(fault: Fault, repair: Repair) -> bool:
    if fault.field != "context" or not fault.owner.startswith("SampledValue"):
        return False
    repair.put(fault, "Other")
    return True


def _unknown_sample(field: str) -> Callable[[Fault, Repair], bool]:
    """Drops the sample: without the field it would be read as its default, which is energy, and counted."""

    def mend(fault: Fault, repair: Repair) -> bool:
        return fault.field == field and fault.owner.startswith("SampledValue") and repair.drop(fault, 2)

    return mend


def _unknown_error_code(fault: Fault, repair: Repair) -> bool:
    if (fault.owner, fault.field) != ("StatusNotificationRequest", "errorCode"):
        return False
    holder, _ = fault.chain[-1]
    if fault.value:
        holder.setdefault("vendorErrorCode", fault.value[:50])
    repair.put(fault, "OtherError")
    return True


def _unknown_stop_reason(fault: Fault, repair: Repair) -> bool:
    if (fault.owner, fault.field) not in (("StopTransactionRequest", "reason"), ("TransactionType", "stoppedReason")):
        return False
    repair.put(fault, "Other")
    return True


RULES: tuple[Rule, ...] = (
    Rule(
        "null-payload",
        "null for an empty payload, which OCPP-J (1.6: 4.2.1; 2.x part 4, 4.1.5) advises against but knows",
        _kinds("not-an-object"),
        ALL,
        _null_payload,
    ),
    Rule(
        "null-for-absent",
        "null where an optional field should be left out; StatusNotification.info of many (mobilityhouse/ocpp#296)",
        _kinds("null"),
        ALL,
        _drop_optional,
    ),
    Rule(
        "unknown-field",
        "a field of the vendor's own, or an echo of the request in the response (mobilityhouse/ocpp#424): dropped",
        _kinds("unknown"),
        ALL,
        _drop_optional,
    ),
    Rule(
        "empty-string-for-absent",
        'an optional date-time, enumeration or URI that is "" (EVerest/libocpp#808)',
        _kinds("date-time", "enum", "uri"),
        ALL,
        _empty_string,
    ),
    Rule(
        "empty-list-for-absent",
        "[] where 2.x part 4, 4.1.5 wants the optional list left out",
        _kinds("few"),
        ALL,
        _empty_list,
    ),
    Rule(
        "empty-sampled-value",
        "a meterValue without samples (evcc-io/evcc#25708, lbbrhzn/ocpp#466); that meterValue is dropped",
        _kinds("few"),
        ALL,
        _empty_sampled_value,
    ),
    Rule(
        "date-time-with-space",
        "2024-05-01 10:00:00Z",
        _kinds("date-time"),
        ALL,
        _date_time("space"),
    ),
    Rule(
        "date-time-short-offset",
        "2024-05-01T10:00:00+02 or +0200 (monta-app/ocpp-emulator#5)",
        _kinds("date-time"),
        ALL,
        _date_time("short"),
    ),
    Rule(
        "date-time-without-offset",
        "2024-05-01T10:00:00, taken as UTC (Growatt THOR, evcc-io/evcc#10399; Python's utcnow().isoformat())",
        _kinds("date-time"),
        ALL,
        _date_time("none"),
    ),
    Rule(
        "date-time-leap-second",
        "second 60, which RFC 3339 allows and our clock has not: taken as 59",
        _kinds("date-time"),
        ALL,
        _date_time("leap"),
    ),
    Rule(
        "number-as-string",
        '"12" or "12.5" for a number',
        _kinds("type"),
        ALL,
        _number_as_string,
    ),
    Rule(
        "integral-number",
        "12.0 for an integer; JSON Schema draft 6 (2.x) even allows it, draft 4 (1.6) does not",
        _kinds("type"),
        ALL,
        _integral_number,
    ),
    Rule(
        "fractional-meter-reading",
        "meterStart or meterStop with a fraction of a Wh (shiv3/ocpp-cp-simulator#83), rounded half-even",
        _kinds("type"),
        V16,
        _fractional_reading,
    ),
    Rule(
        "number-for-string",
        "a sampled value as a JSON number (OpenEVSE/openevse_esp32_firmware#335); its digits are kept",
        _kinds("type"),
        V16,
        _number_for_string,
    ),
    Rule(
        "data-not-text",
        "DataTransfer.data as an object (mobilityhouse/ocpp#462); it becomes its JSON text",
        _kinds("type"),
        V16,
        _data_not_text,
    ),
    Rule(
        "object-for-list",
        "a single meterValue without its list (Huawei, lbbrhzn/ocpp#1144)",
        _kinds("type"),
        ALL,
        _object_for_list,
    ),
    Rule(
        "over-long-text",
        "serial numbers of 26 and 33 characters (Schneider EVlink, lbbrhzn/ocpp#1622); kept whole up to 255",
        _kinds("long"),
        ALL,
        _over_long,
    ),
    Rule(
        "enum-case",
        "an enumeration value in other capitals or with spaces around it (kwh)",
        _kinds("enum"),
        ALL,
        _enum_case,
    ),
    Rule(
        "unit-spelling",
        "Hz for Hertz (lbbrhzn/ocpp#1576), % for Percent, °C for Celsius",
        _kinds("enum"),
        V16,
        _unit_spelling,
    ),
    Rule(
        "unknown-context",
        "a reading context of the vendor's own (Alfen's CurrentMax, lbbrhzn/ocpp#361), taken as Other",
        _kinds("enum"),
        ALL,
        _unknown_context,
    ),
    *(
        Rule(
            f"unknown-{field}",
            f"a sample whose {field} the standard does not have; the sample is dropped, the raw frame keeps it",
            _kinds("enum"),
            ALL,
            _unknown_sample(field),
        )
        for field in ("measurand", "unit", "phase", "location", "format")
    ),
    Rule(
        "unknown-error-code",
        "errorCode Error (Legrand Green'Up, lbbrhzn/ocpp#1248), taken as OtherError, its text into vendorErrorCode",
        _kinds("enum"),
        V16,
        _unknown_error_code,
    ),
    Rule(
        "unknown-stop-reason",
        "a reason of the vendor's own for stopping, taken as Other: refusing it would strand the session",
        _kinds("enum"),
        ALL,
        _unknown_stop_reason,
    ),
)


def mend(type_: type[msgspec.Struct], version: VersionName, root: list[Any]) -> tuple[tuple[str, ...], Repair]:
    """Repairs `root[0]` in place. Returns the rules that it took and what they kept; RpcError when none explains it."""
    repair = Repair()
    names: dict[str, None] = {}
    for _ in range(_MAX_ROUNDS):
        count = 0
        for fault in list(faults(type_, root)):
            count += 1
            name = None if count > MAX_FAULTS else _apply(fault, version, repair)
            if name is None:
                raise RpcError(fault.code, fault.describe())
            names[name] = None
        repair.sweep()
        if not count:
            return tuple(names), repair
    fault = next(faults(type_, root), None)
    if fault is not None:
        raise RpcError(fault.code, fault.describe())
    return tuple(names), repair


def _apply(fault: Fault, version: VersionName, repair: Repair) -> str | None:
    for rule in RULES:
        if fault.kind in rule.kinds and version in rule.versions and rule.mend(fault, repair):
            return rule.name
    return None


def restore(message: msgspec.Struct, repair: Repair) -> None:
    """Puts the whole texts, which the strict type could not carry, into the decoded message."""
    for path, text in repair.kept:
        target: Any = message
        for step in path[:-1]:
            target = target[step] if isinstance(step, int) else getattr(target, _python_name(target, step))
        setattr(target, _python_name(target, path[-1]), text)


def _python_name(struct: msgspec.Struct, wire: str) -> str:
    return struct.__struct_fields__[struct.__struct_encode_fields__.index(wire)]
