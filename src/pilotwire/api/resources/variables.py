"""The device model of a station: read with what the standard says of it, set and read anew through the station."""

from __future__ import annotations

from typing import Any

import msgspec

from pilotwire.core.ids import StationKey
from pilotwire.core.time import to_rfc3339
from pilotwire.domain.records import Variable
from pilotwire.domain.variables import merged
from pilotwire.protocols.ocpp.catalogue import Entry, described
from pilotwire.translate.answers import SECRETS

from .. import types
from ..access import Principal
from ..commands import execute
from ..context import ApiContext
from ..language import _
from ..listing import wanted
from ..problems import Problem, problem
from ..queries import Queries

_PER_MESSAGE = 10
"""Variables of one SetVariables where the station has not said how many it takes."""
_NUMBERS = {"integer": int, "decimal": float}

WORDS = {
    "Accepted": "Set.",
    "RebootRequired": "Set; it takes effect after a restart of the station.",
    "Rejected": "The station refuses it: read-only, out of range, or not now.",
    "NotSupported": "The station does not know this key.",
    "UnknownComponent": "The station has no such component.",
    "UnknownVariable": "This component has no such variable.",
    "NotSupportedAttributeType": "This variable has no such attribute.",
    "NoAnswer": "The station has not answered in time; read the variable anew to see what became of it.",
    "NotSent": "Not sent, because of what came before it.",
}
"""Status → what it means to whoever set it."""


async def variables(
    context: ApiContext,
    principal: Principal,
    station_id: str,
    *,
    component: str | None = None,
    search: str | None = None,
    writable: bool | None = None,
    changed_since: int | None = None,
) -> list[types.Variable]:
    """A station's variables, as far as wanted; `search` is part of a name, value or description, `changed_since` ms.

    Raises Problem 404.
    """
    principal.need("variables:read")
    station = await Queries(context, principal).station(station_id)
    found = merged(await context.store.variables(StationKey(principal.tenant, station_id)))
    shown = [_shown(one, station.ocpp_version or "2.0.1") for one in found]
    return [
        one
        for one, record in zip(shown, found, strict=True)
        if (component is None or one.component.casefold() == component.casefold())
        and (writable is None or one.writable is writable)
        and (changed_since is None or record.reported_at >= changed_since)
        and wanted(search, one.component, one.variable, one.variable_instance, one.value or "", one.description)
    ]


def _shown(record: Variable, version: str) -> types.Variable:
    entry = described("1.6" if not record.component else version, record.component, record.variable)
    secret = record.variable in SECRETS
    mutability = record.mutability or (entry.mutability if entry else "")
    return types.Variable(
        component=record.component,
        component_instance=record.component_instance,
        evse=record.evse,
        connector=record.connector,
        variable=record.variable,
        variable_instance=record.variable_instance,
        attribute=record.attribute,
        value=None if secret else record.value,
        secret=secret,
        mutability=mutability,
        writable=mutability in ("ReadWrite", "WriteOnly"),
        data_type=record.data_type or (entry.kind if entry else ""),
        unit=record.unit or (entry.unit if entry else ""),
        description=entry.text if entry else "",
        standard=entry is not None,
        required=entry.required if entry else False,
        values=list(entry.values) if entry else [],
        low=entry.low if entry else None,
        high=entry.high if entry else None,
        reboot=entry.reboot if entry else False,
        reported_at=to_rfc3339(record.reported_at) if record.reported_at else None,
    )


# -- setting ----------------------------------------------------------------------------------------------------------
async def change(
    context: ApiContext, principal: Principal, station_id: str, data: types.VariableSettings
) -> types.VariableOutcomes:
    """Set values: ChangeConfiguration for each key of 1.6, SetVariables in 2.x. The station's answer to each.

    Raises Problem 403, 404, 409 (not connected), 422 (read-only, or no value of its type: nothing was sent).
    """
    principal.need("variables:write")
    station = await Queries(context, principal).station(station_id)
    known = await variables(context, principal, station_id)
    if not data.unchecked:
        _check(data.variables, known, station.ocpp_version or "")
    if station.ocpp_version == "1.6":
        batches = [[one] for one in data.variables]
    else:
        size = _items_per_message(known)
        batches = [data.variables[start : start + size] for start in range(0, len(data.variables), size)]
    results: list[types.VariableOutcome] = []
    for number, batch in enumerate(batches):
        payload = {"variables": [_payload(one) for one in batch]}
        command = types.NewCommand(
            action="set-variables", payload=payload, timeout_s=data.timeout_s, reason=data.reason
        )
        try:
            answer = await execute(context, principal, station_id, command)
        except Problem as failed:
            if number == 0 and failed.details.status != 504:
                raise
            status = "NoAnswer" if failed.details.status == 504 else "NotSent"
            results += [_outcome(one, status, failed.details.command_id or "", failed.details.detail) for one in batch]
            results += [_outcome(one, "NotSent", "") for rest in batches[number + 1 :] for one in rest]
            break
        results += _outcomes(batch, answer)
    return types.VariableOutcomes(
        results=results,
        accepted=sum(one.accepted for one in results),
        reboot_required=any(one.reboot_required for one in results),
    )


def _items_per_message(known: list[types.Variable]) -> int:
    for one in known:
        named = (one.component, one.variable, one.variable_instance)
        if named == ("DeviceDataCtrlr", "ItemsPerMessage", "SetVariables") and (one.value or "").isdecimal():
            return max(1, int(one.value or 1))
    return _PER_MESSAGE


def _payload(one: types.VariableSetting | types.VariableNamed) -> dict[str, Any]:
    return {
        name: value for name, value in msgspec.to_builtins(one).items() if value not in (None, "") or name == "value"
    }


def _outcomes(batch: list[types.VariableSetting], answer: types.CommandAnswer) -> list[types.VariableOutcome]:
    """What the station said to each of a batch."""
    said = answer.answer
    if answer.outcome == "refused":
        told = f"{said.get('code', 'Error')}: {said.get('description') or 'the station refuses the request.'}"
        return [_outcome(one, "Rejected", answer.command_id, told) for one in batch]
    listed = said.get("setVariableResult")
    if not isinstance(listed, list):
        return [_outcome(one, str(said.get("status", "Rejected")), answer.command_id) for one in batch]
    statuses: dict[tuple[object, ...], list[dict[str, Any]]] = {}
    for each in listed:
        statuses.setdefault(_named_in(each), []).append(each)
    made: list[types.VariableOutcome] = []
    for one in batch:
        found = statuses.get(_named(one))
        each = found.pop(0) if found else {}
        info = each.get("attributeStatusInfo") or {}
        more = " ".join(str(info[name]) for name in ("reasonCode", "additionalInfo") if info.get(name))
        made.append(_outcome(one, str(each.get("attributeStatus", "NoAnswer")), answer.command_id, more))
    return made


def _named(one: types.VariableSetting) -> tuple[object, ...]:
    evse = (one.evse, one.connector) if one.evse else None
    return (one.component, one.component_instance, evse, one.variable, one.variable_instance, one.attribute or "Actual")


def _named_in(each: dict[str, Any]) -> tuple[object, ...]:
    component, variable = each.get("component") or {}, each.get("variable") or {}
    evse = component.get("evse")
    return (
        component.get("name", ""),
        component.get("instance", ""),
        (evse.get("id"), evse.get("connectorId")) if evse else None,
        variable.get("name", ""),
        variable.get("instance", ""),
        each.get("attributeType", "Actual"),
    )


def _outcome(one: types.VariableSetting, status: str, command_id: str, more: str = "") -> types.VariableOutcome:
    words = WORDS.get(status, status)
    if status in ("Accepted", "RebootRequired") and one.variable in SECRETS:
        words += " Now give the station's account the same password, else it cannot come back."
    return types.VariableOutcome(
        component=one.component,
        variable=one.variable,
        evse=one.evse,
        connector=one.connector,
        status=status,
        accepted=status in ("Accepted", "RebootRequired"),
        reboot_required=status == "RebootRequired",
        message=f"{words} ({more})" if more else words,
        command_id=command_id,
    )


def _check(given: list[types.VariableSetting], known: list[types.Variable], version: str) -> None:
    """Raises Problem 422 for what cannot be right, as far as is known. What nothing is known of is sent."""
    reported = {
        (one.component, one.component_instance, one.evse, one.connector, one.variable, one.variable_instance): one
        for one in known
    }
    errors: list[dict[str, str]] = []
    for number, one in enumerate(given):
        place = (one.component, one.component_instance, one.evse, one.connector, one.variable, one.variable_instance)
        shown = reported.get(place)
        entry = described(version or "2.0.1", one.component, one.variable)
        mutability = shown.mutability if shown else entry.mutability if entry else ""
        if mutability == "ReadOnly":
            errors.append(
                {"field": f"variables[{number}]", "message": _("{variable} can only be read", variable=one.variable)}
            )
            continue
        kind = shown.data_type if shown else entry.kind if entry else ""
        wrong = _wrong(one.value, kind, entry)
        if wrong:
            errors.append({"field": f"variables[{number}].value", "message": wrong})
    if errors:
        text = "; ".join(one["message"] for one in errors)
        raise problem("bad-body", _("{said}. Send it `unchecked` if you know better.", said=text), errors=errors)


def _wrong(value: str, kind: str, entry: Entry | None) -> str:
    """Why this is no value of its kind; "" when it may be one."""
    if kind in _NUMBERS:
        try:
            number = _NUMBERS[kind](value)
        except ValueError:
            return "must be a whole number" if kind == "integer" else "must be a number"
        if entry and entry.low is not None and number < entry.low:
            return f"must be {entry.low} or more"
        if entry and entry.high is not None and number > entry.high:
            return f"must be {entry.high} or less"
    if kind == "boolean" and value.casefold() not in ("true", "false"):
        return "must be true or false"
    if kind == "OptionList" and entry and entry.values and value not in entry.values:
        return f"must be one of {', '.join(entry.values)}"
    return ""


# -- reading anew -----------------------------------------------------------------------------------------------------
async def refresh(
    context: ApiContext, principal: Principal, station_id: str, data: types.VariableRefresh
) -> types.VariableRefreshed:
    """Ask the station for its values: those named, or all. Raises Problem 403, 404, 409, 422, 504."""
    principal.need("variables:read")
    station = await Queries(context, principal).station(station_id)
    if data.variables:
        action, payload = "get-variables", {"variables": [_payload(one) for one in data.variables]}
    elif station.ocpp_version == "1.6":
        action, payload = "get-variables", {}
    else:
        action, payload = "base-report", {"report": data.report}
    command = types.NewCommand(action=action, payload=payload, timeout_s=data.timeout_s)
    answer = await execute(context, principal, station_id, command)
    return types.VariableRefreshed(answer=answer, complete=action != "base-report" and answer.outcome == "answered")
