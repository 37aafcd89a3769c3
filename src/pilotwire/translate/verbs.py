"""Commands to stations: our lower-case verbs into the version's own request, any OCPP action as it is.

A verb has one payload for all versions (the Structs below), so that whoever commands need not know what a station
speaks. Whatever the way, the request is decoded strictly by the version's own action before it is sent: what the
station's schema would refuse never leaves, and the caller is told which field is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from pilotwire.core.errors import LocalError
from pilotwire.domain.kept import SessionLimit
from pilotwire.protocols.ocpp.rpc.errors import RpcError
from pilotwire.protocols.ocpp.version import Version

Wire = dict[str, Any]
"""A payload as JSON values, with the wire's own names."""


class Invalid(LocalError):
    """The command cannot be made for this station. `field` names what is wrong, as far as it is one field."""

    def __init__(self, description: str, field: str = "") -> None:
        super().__init__(description)
        self.description = description
        self.field = field

    def answer(self) -> Wire:
        """As a `CommandReply.answer`."""
        return {"code": "Invalid", "description": self.description, "details": {"field": self.field or "payload"}}


class Prepared(NamedTuple):
    """A request that may be sent."""

    action: str
    """The OCPP action of the version."""
    request: msgspec.Struct
    payload: bytes
    """The same as JSON."""
    limit: SessionLimit | None = None
    """2.1: how far the session may go that this begins; the request itself has no field for it."""


class Asking(NamedTuple):
    """What the making of a request may ask for."""

    version: str
    transaction_of: Callable[[str], str | None]
    """Session id → its transactionId; None when the station has no such session."""
    number: Callable[[], int]
    """A new requestId or remoteStartId, positive, 31 bits."""


class _Payload(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    pass


class Nothing(_Payload, kw_only=True):
    """clear-cache."""


class Start(_Payload, kw_only=True):
    """start: charge with this token, at this EVSE if given; 2.1: no further than the lowest of the limits."""

    token: str
    token_type: str = "ISO14443"  # noqa: S105
    evse: int | None = None
    connector: int | None = None
    max_cost: Annotated[float, Meta(gt=0)] | None = None
    max_energy_wh: Annotated[float, Meta(gt=0)] | None = None
    max_time_s: Annotated[int, Meta(gt=0)] | None = None
    max_soc: Annotated[int, Meta(gt=0, le=100)] | None = None

    @property
    def limit(self) -> SessionLimit | None:
        """How far the session may go; None: as far as it likes."""
        made = SessionLimit(
            max_cost=_exact(self.max_cost),
            max_energy=_exact(self.max_energy_wh),
            max_time=self.max_time_s,
            max_soc=self.max_soc,
        )
        return None if made == SessionLimit() else made


def _exact(number: float | None) -> str:
    return "" if number is None else f"{Decimal(str(number)):f}"


class Stop(_Payload, kw_only=True):
    """stop: one of `session` (our id) and `transaction` (the protocol's id)."""

    session: str | None = None
    transaction: str | int | None = None


class Reset(_Payload, kw_only=True):
    """reset. hard and immediate are one, soft and on-idle are one; `resume` (2.1) takes up transactions afterwards."""

    type: Literal["soft", "hard", "immediate", "on-idle", "resume"] = "soft"
    evse: int | None = None


class Unlock(_Payload, kw_only=True):
    evse: int
    connector: int = 1


class Availability(_Payload, kw_only=True):
    """availability of a connector, an EVSE, or (without `evse`, or 0) the whole station."""

    operative: bool
    evse: int = 0
    connector: int | None = None


class Trigger(_Payload, kw_only=True):
    """trigger: `message` is one of `MESSAGES` or the standard's own name."""

    message: str
    evse: int | None = None
    connector: int | None = None


class VariableName(_Payload, kw_only=True):
    """A variable of the device model. 1.6 takes `variable` alone: the configuration key."""

    variable: str
    component: str = ""
    component_instance: str = ""
    variable_instance: str = ""
    evse: int | None = None
    connector: int | None = None
    attribute: Literal["Actual", "Target", "MinSet", "MaxSet"] | None = None


class VariableValue(VariableName, kw_only=True):
    value: str | int | float | bool


class GetVariables(_Payload, kw_only=True):
    """get-variables. A text is the key in 1.6 and "Component.Variable" in 2.x; none asks for all in 1.6."""

    variables: list[VariableName | str] = []


class SetVariables(_Payload, kw_only=True):
    """set-variables. 1.6 sets one key with each request."""

    variables: list[VariableValue]


class BaseReport(_Payload, kw_only=True):
    """base-report of the device model; 1.6 gives its configuration."""

    report: Literal["configuration", "full", "summary"] = "full"


class GetLog(_Payload, kw_only=True):
    """get-log: upload it to `location` (a URL). `oldest` and `latest` are RFC 3339."""

    location: str
    type: Literal["diagnostics", "security"] = "diagnostics"
    oldest: str | None = None
    latest: str | None = None
    request_id: int | None = None
    """None: a new one; a 1.6 GetDiagnostics has none."""
    retries: int | None = None
    retry_interval: int | None = None


class UpdateFirmware(_Payload, kw_only=True):
    """update-firmware from `location` (a URL); with a certificate and a signature it is SignedUpdateFirmware in 1.6.

    `retrieve_at` and `install_at` are RFC 3339; 1.6 knows when to install signed firmware alone."""

    location: str
    retrieve_at: str
    install_at: str | None = None
    signing_certificate: str | None = None
    signature: str | None = None
    request_id: int | None = None
    retries: int | None = None
    retry_interval: int | None = None


class DataTransfer(_Payload, kw_only=True):
    vendor: str
    message: str | None = None
    data: Any = None


MESSAGES: Mapping[str, str] = {
    "boot": "BootNotification",
    "certificate": "SignChargingStationCertificate",
    "diagnostics": "DiagnosticsStatusNotification",
    "firmware": "FirmwareStatusNotification",
    "heartbeat": "Heartbeat",
    "log": "LogStatusNotification",
    "meter-values": "MeterValues",
    "status": "StatusNotification",
    "transaction": "TransactionEvent",
}


def _is_16(ask: Asking) -> bool:
    return ask.version == "1.6"


def _some(**fields: Any) -> Wire:
    return {name: value for name, value in fields.items() if value is not None}


def _evse(evse: int | None, connector: int | None) -> Wire | None:
    return None if not evse else _some(id=evse, connectorId=connector)


def _start(given: Start, ask: Asking) -> tuple[str, Wire]:
    if given.limit is not None and ask.version != "2.1":
        raise Invalid("a start with a limit needs OCPP 2.1", "max_cost max_energy_wh max_time_s max_soc")
    if _is_16(ask):
        return "RemoteStartTransaction", _some(idTag=given.token, connectorId=given.evse)
    return "RequestStartTransaction", _some(
        idToken={"idToken": given.token, "type": given.token_type}, remoteStartId=ask.number(), evseId=given.evse
    )


_WHOLE = re.compile("-?[0-9]{1,18}")


def _stop(given: Stop, ask: Asking) -> tuple[str, Wire]:
    if (given.session is None) == (given.transaction is None):
        raise Invalid("give one of session and transaction", "session")
    transaction = str(given.transaction)
    if given.session is not None:
        found = ask.transaction_of(given.session)
        if found is None:
            raise Invalid(f"this station has no running session {given.session}", "session")
        transaction = found
    if not _is_16(ask):
        return "RequestStopTransaction", {"transactionId": transaction}
    if not _WHOLE.fullmatch(transaction):
        raise Invalid("a transactionId of OCPP 1.6 is a whole number", "transaction")
    return "RemoteStopTransaction", {"transactionId": int(transaction)}


def _reset(given: Reset, ask: Asking) -> tuple[str, Wire]:
    if _is_16(ask):
        if given.evse is not None:
            raise Invalid("OCPP 1.6 resets the whole station", "evse")
        if given.type == "resume":
            raise Invalid("OCPP 1.6 has no such reset", "type")
        return "Reset", {"type": "Hard" if given.type in ("hard", "immediate") else "Soft"}
    kinds = {"soft": "OnIdle", "on-idle": "OnIdle", "resume": "ImmediateAndResume"}
    return "Reset", _some(type=kinds.get(given.type, "Immediate"), evseId=given.evse)


def _unlock(given: Unlock, ask: Asking) -> tuple[str, Wire]:
    if _is_16(ask):
        return "UnlockConnector", {"connectorId": given.evse}
    return "UnlockConnector", {"evseId": given.evse, "connectorId": given.connector}


def _availability(given: Availability, ask: Asking) -> tuple[str, Wire]:
    word = "Operative" if given.operative else "Inoperative"
    if _is_16(ask):
        return "ChangeAvailability", {"connectorId": given.evse, "type": word}
    return "ChangeAvailability", _some(operationalStatus=word, evse=_evse(given.evse, given.connector))


def _trigger(given: Trigger, ask: Asking) -> tuple[str, Wire]:
    message = MESSAGES.get(given.message, given.message)
    if not _is_16(ask):
        return "TriggerMessage", _some(requestedMessage=message, evse=_evse(given.evse, given.connector))
    if given.message == "certificate":
        message = "SignChargePointCertificate"
    action = (
        "ExtendedTriggerMessage"
        if message in ("LogStatusNotification", "SignChargePointCertificate")
        else "TriggerMessage"
    )
    return action, _some(requestedMessage=message, connectorId=given.evse)


def _name(one: VariableName | str) -> VariableName:
    if not isinstance(one, str):
        return one
    component, _, variable = one.rpartition(".")
    return VariableName(component=component, variable=variable)


def _wire_variable(one: VariableName) -> Wire:
    if not one.component:
        raise Invalid(f"OCPP 2.x needs the component of {one.variable}", "variables")
    return _some(
        component=_some(
            name=one.component, instance=one.component_instance or None, evse=_evse(one.evse, one.connector)
        ),
        variable=_some(name=one.variable, instance=one.variable_instance or None),
        attributeType=one.attribute,
    )


def _get_variables(given: GetVariables, ask: Asking) -> tuple[str, Wire]:
    if _is_16(ask):
        keys = [one if isinstance(one, str) else one.variable for one in given.variables]
        return "GetConfiguration", {"key": keys} if keys else {}
    if not given.variables:
        raise Invalid("name at least one variable, or ask for a base-report", "variables")
    return "GetVariables", {"getVariableData": [_wire_variable(_name(one)) for one in given.variables]}


def _text(value: str | int | float | bool) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _set_variables(given: SetVariables, ask: Asking) -> tuple[str, Wire]:
    if _is_16(ask):
        if len(given.variables) != 1:
            raise Invalid("OCPP 1.6 sets one key with each request", "variables")
        one = given.variables[0]
        return "ChangeConfiguration", {"key": one.variable, "value": _text(one.value)}
    return "SetVariables", {
        "setVariableData": [{**_wire_variable(one), "attributeValue": _text(one.value)} for one in given.variables]
    }


def _base_report(given: BaseReport, ask: Asking) -> tuple[str, Wire]:
    if _is_16(ask):
        return "GetConfiguration", {}
    base = {"configuration": "ConfigurationInventory", "full": "FullInventory", "summary": "SummaryInventory"}
    return "GetBaseReport", {"requestId": ask.number(), "reportBase": base[given.report]}


def _clear_cache(given: Nothing, ask: Asking) -> tuple[str, Wire]:
    return "ClearCache", {}


def _get_log(given: GetLog, ask: Asking) -> tuple[str, Wire]:
    often = _some(retries=given.retries, retryInterval=given.retry_interval)
    if _is_16(ask) and given.type == "diagnostics":
        times = _some(startTime=given.oldest, stopTime=given.latest)
        return "GetDiagnostics", {"location": given.location, **times, **often}
    log = _some(remoteLocation=given.location, oldestTimestamp=given.oldest, latestTimestamp=given.latest)
    kind = "DiagnosticsLog" if given.type == "diagnostics" else "SecurityLog"
    number = ask.number() if given.request_id is None else given.request_id
    return "GetLog", {"log": log, "logType": kind, "requestId": number, **often}


def _update_firmware(given: UpdateFirmware, ask: Asking) -> tuple[str, Wire]:
    if (given.signing_certificate is None) != (given.signature is None):
        missing = "signature" if given.signature is None else "signing_certificate"
        raise Invalid("a certificate and a signature belong together", missing)
    often = _some(retries=given.retries, retryInterval=given.retry_interval)
    signed = given.signature is not None
    if _is_16(ask) and not signed:
        if given.install_at is not None:
            raise Invalid("OCPP 1.6 installs unsigned firmware as soon as it is there", "install_at")
        return "UpdateFirmware", {"location": given.location, "retrieveDate": given.retrieve_at, **often}
    firmware = _some(
        location=given.location,
        retrieveDateTime=given.retrieve_at,
        installDateTime=given.install_at,
        signingCertificate=given.signing_certificate,
        signature=given.signature,
    )
    number = ask.number() if given.request_id is None else given.request_id
    action = "SignedUpdateFirmware" if _is_16(ask) else "UpdateFirmware"
    return action, {"requestId": number, "firmware": firmware, **often}


def _data_transfer(given: DataTransfer, ask: Asking) -> tuple[str, Wire]:
    data = given.data
    if _is_16(ask) and data is not None and not isinstance(data, str):
        data = msgspec.json.encode(data).decode()  # 1.6 carries text alone
    return "DataTransfer", _some(vendorId=given.vendor, messageId=given.message, data=data)


VERBS: Mapping[str, tuple[type[_Payload], Callable[[Any, Asking], tuple[str, Wire]]]] = {
    "start": (Start, _start),
    "stop": (Stop, _stop),
    "reset": (Reset, _reset),
    "unlock": (Unlock, _unlock),
    "availability": (Availability, _availability),
    "trigger": (Trigger, _trigger),
    "get-variables": (GetVariables, _get_variables),
    "set-variables": (SetVariables, _set_variables),
    "base-report": (BaseReport, _base_report),
    "clear-cache": (Nothing, _clear_cache),
    "get-log": (GetLog, _get_log),
    "data-transfer": (DataTransfer, _data_transfer),
    "update-firmware": (UpdateFirmware, _update_firmware),
}
"""Verb → its payload and how it is said."""


_FIELD = re.compile(r"Object (?:missing required|contains unknown) field `(\w+)`")


def _where(text: str) -> tuple[str, str]:
    """msgspec's "… - at `$.a.b`" and the codec's "$.a.b: …" → (text, "a.b")."""
    if text.startswith("$"):
        path, _, what = text.partition(": ")
    else:
        what, _, path = text.partition(" - at ")
    named = _FIELD.match(what)
    path = path.strip("`").removeprefix("$") + (f".{named[1]}" if named else "")
    return what, path.lstrip(".")


def prepare(version: Version, action: str, payload: Mapping[str, Any], ask: Asking) -> Prepared:
    """The request to send. Raises Invalid when there is no such command in this version or its payload is wrong."""
    known = VERBS.get(action)
    wire: Mapping[str, Any] = payload
    if known is not None:
        shape, say = known
        try:
            given = msgspec.convert(payload, shape)
        except msgspec.ValidationError as error:
            raise Invalid(*_where(str(error))) from error
        action, wire = say(given, ask)
        if isinstance(given, Start):
            return decode(version, action, msgspec.json.encode(wire))._replace(limit=given.limit)
    return decode(version, action, msgspec.json.encode(wire))


def decode(version: Version, action: str, payload: bytes) -> Prepared:
    """A request of the version's own action from its JSON, strictly. Raises Invalid."""
    codec = version.actions.get(action)
    if codec is None:
        raise Invalid(f"OCPP {version.name} has no action {action[:50]}", "action")
    if not codec.by_csms:
        raise Invalid(f"{action} is for the station to send", "action")
    try:
        request = codec.decode_request(payload, tolerant=False).message
    except RpcError as error:
        text, field = _where(error.description)
        raise Invalid(text, field) from error
    return Prepared(action, request, payload)
