"""The answers that the kit gives where a case says nothing: valid, friendly, and the same every time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import inspect

from pilotwire.protocols.ocpp import version as ocpp

from .settings import Settings, moment

_FRIENDLY = ("Accepted", "Unlocked", "Idle", "NoReservation", "OK")


def as_csms(version: str, action: str, request: Any, settings: Settings) -> Any:
    """The CSMS's answer to a station's `action`."""
    if action == "BootNotification":
        interval = settings.get("heartbeat", 300)
        return {"currentTime": moment(), "interval": interval, "status": "Accepted"}
    if action == "StartTransaction":
        settings.values["next.transaction"] = number = settings.get("next.transaction", 1000) + 1
        return {"transactionId": number, "idTagInfo": {"status": "Accepted"}}
    if action == "TransactionEvent":
        return {"idTokenInfo": {"status": "Accepted"}} if "idToken" in request else {}
    return least(version, action)


def as_station(version: str, action: str, request: Any, settings: Settings) -> Any:
    """The station's answer to a CSMS's `action`."""
    known: dict[str, str] = settings.values.setdefault("variables", {})
    if action == "GetVariables":
        return {"getVariableResult": [_got(row, known) for row in request["getVariableData"]]}
    if action == "SetVariables":
        rows: list[dict[str, Any]] = []
        for row in request["setVariableData"]:
            known[_name(row)] = row["attributeValue"]
            rows.append({"attributeStatus": "Accepted", "component": row["component"], "variable": row["variable"]})
        return {"setVariableResult": rows}
    if action == "GetConfiguration":
        keys = request.get("key")
        shown = known if keys is None else {key: known[key] for key in keys if key in known}
        rows = [{"key": key, "readonly": False, "value": value} for key, value in shown.items()]
        unknown = [key for key in keys or () if key not in known]
        return {"configurationKey": rows, **({"unknownKey": unknown} if unknown else {})}
    if action == "ChangeConfiguration":
        known[request["key"]] = request["value"]
    if action == "GetLocalListVersion":
        return {("listVersion" if version == "1.6" else "versionNumber"): settings.get("list.version", 0)}
    if action == "SendLocalList":
        settings.values["list.version"] = request["listVersion" if version == "1.6" else "versionNumber"]
    if action == "SetVariableMonitoring":
        return {
            "setMonitoringResult": [
                {
                    "id": row.get("id", number),
                    "status": "Accepted",
                    "type": row["type"],
                    "component": row["component"],
                    "variable": row["variable"],
                    "severity": row["severity"],
                }
                for number, row in enumerate(request["setMonitoringData"], 1)
            ]
        }
    if action == "ClearVariableMonitoring":
        return {"clearMonitoringResult": [{"id": each, "status": "Accepted"} for each in request["id"]]}
    return least(version, action)


def _name(row: Mapping[str, Any]) -> str:
    component, variable = row["component"], row["variable"]
    return f"{component['name']}.{variable['name']}[{variable.get('instance', '')}]"


def _got(row: Mapping[str, Any], known: Mapping[str, str]) -> dict[str, Any]:
    got = {"component": row["component"], "variable": row["variable"]}
    if "attributeType" in row:
        got["attributeType"] = row["attributeType"]
    many = row["variable"]["name"] in ("ItemsPerMessage", "BytesPerMessage")
    value = known.get(_name(row), "1000" if many else "1")
    return {**got, "attributeStatus": "Accepted", "attributeValue": value}


def least(version: str, action: str) -> Any:
    """The smallest valid answer, as friendly as the type allows."""
    response = ocpp.load(version).actions[action].response_type
    return {} if response is None else _least(inspect.type_info(response))


def _least(info: inspect.Type) -> Any:
    if isinstance(info, inspect.StructType):
        return {field.encode_name: _least(field.type) for field in info.fields if field.required}
    if isinstance(info, inspect.Metadata):
        return _least(info.type)
    if isinstance(info, inspect.LiteralType):
        return next((word for word in _FRIENDLY if word in info.values), info.values[0])
    if isinstance(info, inspect.ListType):
        return [_least(info.item_type)] * max(1, info.min_length or 0)
    if isinstance(info, inspect.StrType):
        return "-" * max(1, info.min_length or 0)
    if isinstance(info, inspect.BoolType):
        return False
    if isinstance(info, inspect.DateTimeType):
        return moment()
    if isinstance(info, inspect.IntType | inspect.FloatType | inspect.DecimalType | inspect.AnyType):
        return 0
    if isinstance(info, inspect.UnionType):
        return _least(info.types[0])
    raise msgspec.ValidationError(f"no least value of {info}")
