"""OCPP frames in plain words: what kind, which action, what it says, which tolerances it needed, why it is wrong.

What may not be seen is taken out before anything else looks at a payload: passwords always, tokens for those who may
not see tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from typing import Any

import msgspec

from pilotwire.protocols.ocpp.catalogue.actions import CALLS
from pilotwire.protocols.ocpp.rpc.errors import RpcError, wire_code
from pilotwire.protocols.ocpp.tolerance import RULES
from pilotwire.protocols.ocpp.version import load
from pilotwire.translate.answers import SECRETS

from .language import N_, _
from .words import HIDDEN, KEY_CODE, named, spaced

KINDS = {2: "CALL", 3: "CALLRESULT", 4: "CALLERROR", 5: "CALLRESULTERROR", 6: "SEND"}
VERSIONS = ("1.6", "2.0.1", "2.1")
_SECRET_FIELDS = frozenset(
    ("password", "basicauthpassword", "apnpassword", "simpin", "authorizationkey", "key_", "secret", "privatekey")
)
_TOKEN_FIELDS = frozenset(("idTag", "parentIdTag", "idToken", "groupIdToken", "masterPassGroupId"))
_read = msgspec.json.Decoder(float_hook=Decimal).decode


class Deviation(msgspec.Struct, kw_only=True):
    """A tolerance that a message needed."""

    rule: str
    text: str


class Reading(msgspec.Struct, kw_only=True):
    """A frame as it was read."""

    kind: str = ""
    """CALL, CALLRESULT, CALLERROR, CALLRESULTERROR, SEND; "" for what is none."""
    message_id: str = ""
    action: str = ""
    payload: Any = None
    """JSON values, without secrets."""
    code: str = ""
    """Of an error."""
    description: str = ""
    deviations: list[Deviation] = []
    fault: str = ""
    """Why its version does not allow it; "" where it does."""


def read(frame: bytes, versions: Sequence[str], action: str = "", *, tokens: bool = True) -> Reading:
    """What a frame says in the first of `versions` that knows its action. `action`: of the CALL that a result answers;
    `tokens`: whether tokens may be seen."""
    try:
        parts: Any = _read(frame)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return Reading(fault="This is no JSON.")
    kind = KINDS.get(parts[0]) if isinstance(parts, list) and parts and type(parts[0]) is int else None  # pyright: ignore[reportUnknownArgumentType]
    if kind is None or len(parts) < 3 or not isinstance(parts[1], str):
        return Reading(fault="This is no OCPP-J message: an array that begins with 2, 3, 4, 5 or 6 and an id.")
    if kind in ("CALLERROR", "CALLRESULTERROR"):
        code, description, details = (*parts[2:], "", {})[:3] if len(parts) < 5 else parts[2:5]
        return Reading(
            kind=kind,
            message_id=parts[1],
            action=action,
            code=str(code),
            description=str(description),
            payload=hide(details, tokens=tokens),
        )
    if kind != "CALLRESULT":
        if len(parts) != 4 or not isinstance(parts[2], str):
            return Reading(kind=kind, message_id=parts[1], fault=f'A {kind} is [{parts[0]}, "id", "Action", {{…}}].')
        action = parts[2]
    made = Reading(kind=kind, message_id=parts[1], action=action)
    _decode(made, frame, kind, versions)
    made.payload = hide(parts[-1], tokens=tokens)
    return made


def _decode(made: Reading, frame: bytes, kind: str, versions: Sequence[str]) -> None:
    """Fill in tolerances and fault, as the first version that knows the action sees them."""
    version = next((name for name in versions if made.action in load(name).actions), None)
    if version is None:
        if made.action:
            made.fault = f"OCPP {versions[0]} has no action {made.action[:50]}."
        return
    known = load(version).actions[made.action]
    payload = msgspec.json.decode(frame, type=list[msgspec.Raw])[-1]
    try:
        decoded = known.decode_response(payload) if kind == "CALLRESULT" else known.decode_request(payload)
    except RpcError as error:
        made.code = wire_code(error.code, version)
        made.fault = f"{error.description}."
        return
    made.deviations = [Deviation(rule=rule, text=rules().get(rule, "")) for rule in decoded.deviations]


@cache
def rules() -> dict[str, str]:
    """Tolerance rule → who is known for it."""
    return {rule.name: rule.seen for rule in RULES}


def hide(value: Any, *, tokens: bool, codes: bool = False, name: str = "") -> Any:
    """`value` without what may not be seen. Values of secret variables are hidden wherever OCPP puts them; key codes
    (C04.FR.04) too, unless `codes`."""
    plain = name.casefold().replace("_", "")
    if value is not None and plain in _SECRET_FIELDS:
        return HIDDEN
    if isinstance(value, dict):
        secret = value.get("key") in SECRETS or _variable_of(value) in SECRETS
        typed = not codes and value.get("type") == KEY_CODE
        made: dict[str, Any] = {}
        for key, one in value.items():
            if (secret and key in ("value", "attributeValue", "variableAttribute")) or (typed and key == "idToken"):
                made[key] = HIDDEN
            elif not tokens and key in _TOKEN_FIELDS and isinstance(one, str):
                made[key] = covered(one)
            else:
                made[key] = hide(one, tokens=tokens, codes=codes, name=key)
        return made
    if isinstance(value, list):
        return [hide(one, tokens=tokens, codes=codes, name=name) for one in value]
    return value


def _variable_of(value: dict[str, Any]) -> str:
    variable = value.get("variable")
    return str(variable.get("name", "")) if isinstance(variable, dict) else ""


def covered(token: str) -> str:
    """A token as those see it who may not see tokens."""
    return f"{token[:2]}…" if token else token


# -- sentences --------------------------------------------------------------------------------------------------------
def sentence(one: Reading, direction: str) -> str:
    """What a message means, in one sentence."""
    who = _("The station") if direction == "in" else _("We")
    if not one.kind:
        return one.fault
    if one.kind in ("CALLERROR", "CALLRESULTERROR"):
        if one.action:
            said = _("{who} refused {action} with {code}", who=who, action=one.action, code=one.code)
        else:
            said = _("{who} refused with {code}", who=who, code=one.code)
        return said + (f": {one.description}" if one.description else "")
    told = CALLS.get(one.action)
    title = _(told.title) if told else spaced(one.action) or _("a message")
    if one.kind == "CALLRESULT":
        status = _status(one.payload)
        said = _("{who} answered {action}", who=who, action=one.action) if one.action else _("{who} answered", who=who)
        return said + (f": {status}" if status else "")
    if one.fault:
        return _("{title}, but the message is wrong: {fault}", title=title, fault=one.fault)
    said = _says(one.action, one.payload if isinstance(one.payload, dict) else {})
    return f"{title}: {said}" if said else title


def _status(payload: Any) -> str:
    """The verdict in an answer, wherever a version puts it."""
    if not isinstance(payload, dict):
        return ""
    for name in ("status", "idTagInfo", "idTokenInfo", "certificateHashDataChain"):
        inner = payload.get(name)
        if isinstance(inner, str):
            return named(inner)
        if isinstance(inner, dict) and isinstance(inner.get("status"), str):
            return named(inner["status"])
    results = [one for name in ("setVariableResult", "getVariableResult") for one in payload.get(name) or ()]
    statuses = {str(one.get("attributeStatus")) for one in results if isinstance(one, dict)}
    return ", ".join(sorted(statuses))


def _says(action: str, payload: dict[str, Any]) -> str:
    """What is worth saying of a request, by the fields that most of them share."""
    parts: list[str] = []

    def add(text: str, *names: str) -> None:
        for name in names:
            value = payload.get(name)
            if isinstance(value, dict):
                value = value.get("idToken") or value.get("name")
            if isinstance(value, str | int | Decimal) and value != "":
                parts.append(_(text).format(named(value) if name in _CODES and isinstance(value, str) else value))
                return

    match action:
        case "Heartbeat":
            return ""
        case "BootNotification":
            station = payload.get("chargingStation")
            of = station if isinstance(station, dict) else payload
            names = (of.get("vendorName") or of.get("chargePointVendor"), of.get("model") or of.get("chargePointModel"))
            parts.append(" ".join(str(one) for one in names if one))
            add(N_("because of {}"), "reason")
        case "StatusNotification":
            add("EVSE {}", "evseId")
            add(N_("connector {}"), "connectorId")
            add("{}", "status", "connectorStatus")
            if payload.get("errorCode") not in (None, "NoError"):
                add(N_("error {}"), "errorCode")
            add("{}", "info")
        case "MeterValues" | "StartTransaction" | "StopTransaction" | "TransactionEvent":
            add("{}", "eventType")
            add("EVSE {}", "evseId")
            add(N_("connector {}"), "connectorId")
            add(N_("token {}"), "idTag", "idToken")
            add(N_("meter {} Wh"), "meterStart", "meterStop")
            add(N_("because of {}"), "reason", "triggerReason")
            parts += _readings(payload)
        case _:
            add(N_("token {}"), "idTag", "idToken")
            add("EVSE {}", "evseId")
            add(N_("connector {}"), "connectorId")
            add(N_("session {}"), "transactionId")
            add("{}", "key")
            add("{}", "type", "requestedMessage", "status", "reportBase", "operationalStatus", "vendorId")
    return ", ".join(part for part in parts if part)


_CODES = frozenset(("status", "connectorStatus", "eventType", "operationalStatus"))
"""Fields whose values have words of their own."""
_SHOWN = {
    "Energy.Active.Import.Register": N_("meter"),
    "Power.Active.Import": N_("power"),
    "SoC": N_("battery"),
    "Current.Import": N_("current"),
    "Voltage": N_("voltage"),
}


def _readings(payload: dict[str, Any]) -> list[str]:
    """The newest readings without a phase: what the meter says."""
    values = payload.get("meterValue") or payload.get("transactionData")
    last = values[-1] if isinstance(values, list) and values else None
    sampled = last.get("sampledValue") if isinstance(last, dict) else None
    found: list[str] = []
    for one in sampled if isinstance(sampled, list) else ():
        if not isinstance(one, dict) or one.get("phase") is not None:
            continue
        measurand = one.get("measurand") or "Energy.Active.Import.Register"
        name = _SHOWN.get(measurand)
        if name is None:
            continue
        unit = one.get("unit") or (one.get("unitOfMeasure") or {}).get("unit") or _UNITS.get(measurand, "")
        found.append(f"{_(name)} {one.get('value')} {'%' if unit == 'Percent' else unit}".rstrip())
    return found


_UNITS = {
    "Energy.Active.Import.Register": "Wh",
    "Power.Active.Import": "W",
    "SoC": "%",
    "Current.Import": "A",
    "Voltage": "V",
}
