"""What is found becomes entries of the file, as one would write them at first: the rest is for who knows the site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from pilotwire.domain.commissioning import Found
from pilotwire.site.devices.schema import DeviceFile

Data = dict[str, Any]
_NAMES = {"meter": "meter", "inverter": "pv", "battery": "battery", "contacts": "contacts", "load": "load"}


def entered(data: Mapping[str, Any], found: Sequence[Found]) -> dict[str, str]:
    """Id of what was found to the id that it has in the file."""
    devices: dict[tuple[str, int], str] = {}
    stations: dict[str, str] = {}
    for each in rows(data, "evses"):
        charger = each.get("charger")
        if not isinstance(charger, Mapping):
            continue
        if charger.get("ocpp") is not None:
            stations.setdefault(str(charger["ocpp"]), str(each.get("id")))
        elif charger.get("endpoint") is not None:
            devices.setdefault((str(charger["endpoint"]), _unit(charger)), str(each.get("id")))
    for each in rows(data, "devices"):
        devices.setdefault((str(each.get("endpoint")), _unit(each)), str(each.get("id")))
    mapped: dict[str, str] = {}
    for one in found:
        id = stations.get(one.identity) if one.identity else devices.get((one.endpoint, one.unit))
        if id is not None:
            mapped[one.id] = id
    return mapped


def rows(data: Mapping[str, Any], section: str) -> list[Data]:
    """The entries of a section that are entries."""
    found = data.get(section)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _unit(entry: Mapping[str, Any]) -> int:
    unit = entry.get("unit", 1)
    return unit if isinstance(unit, int) else 1


def take(
    data: Data, one: Found, library: Mapping[str, DeviceFile], *, watchdog_ms: int, password_sha256: str = ""
) -> list[str]:
    """Enter what was found; the ids that it got. [] where no file fits it: it needs one first."""
    node = _node(data)
    if one.identity:
        id = _free(data, "bay")
        known = data.setdefault("ocpp", {}).setdefault("stations", [])
        if not any(isinstance(each, dict) and each.get("identity") == one.identity for each in known):
            entry: Data = {"identity": one.identity}
            entry |= {"password_sha256": password_sha256} if password_sha256 else {"security_profile": 0}
            known.append(entry)
        data.setdefault("evses", []).append(
            {"id": id, "node": node, "maximum_a": 32, "charger": {"ocpp": one.identity, "connector": 1}}
        )
        return [id]
    if not one.files:
        return []
    file = one.files[0]
    if file.kind != "charger":
        meters = any(each.get("kind") == "meter" for each in rows(data, "devices"))
        id = "main" if file.kind == "meter" and not meters else _free(data, _NAMES[file.kind])
        data.setdefault("devices", []).append(
            {"id": id, "kind": file.kind, "file": file.id, "endpoint": one.endpoint, "unit": one.unit}
        )
        if id == "main":
            top = next((each for each in rows(data, "nodes") if each.get("kind") == "connection"), None)
            if top is not None:
                top.setdefault("meter", id)
        return [id]
    made: list[str] = []
    for outlet in range(1, file.outlets + 1):
        id = _free(data, "bay")
        charger: Data = {"file": file.id, "endpoint": one.endpoint, "unit": one.unit}
        charger |= {"connector": outlet} if file.outlets > 1 else {}
        entry = {"id": id, "node": node, "charger": charger}
        entry |= _able(library[file.id], watchdog_ms)
        data.setdefault("evses", []).append(entry)
        made.append(id)
    return made


def _able(device: DeviceFile, watchdog_ms: int) -> Data:
    """What the charger's own file says of it."""
    able = device.abilities
    if able is None:
        return {"maximum_a": 32}
    found: Data = {}
    if "limit_mw" in device.commands and "limit_ma" not in device.commands and able.maximum_mw:
        found["current"] = "DC"
        found["maximum_kw"] = Decimal(able.maximum_mw).scaleb(-6).normalize()
        found["minimum_kw"] = Decimal(able.minimum_mw).scaleb(-6).normalize()
        name, fixed = "failsafe_mw", able.failsafe_mw
    else:
        found["maximum_a"] = Decimal(able.maximum_ma).scaleb(-3).normalize()
        if able.phases != 3:
            found["phases"] = able.phases
        name, fixed = "failsafe_ma", able.failsafe_ma
    watches = "watchdog_ms" in device.commands or (able.watchdog_ms is not None and able.watchdog_ms <= watchdog_ms)
    if not watches or (name not in device.commands and fixed is None):
        found["has_failsafe"] = False
    return {key: int(value) if isinstance(value, Decimal) and value == int(value) else value
            for key, value in found.items()}  # fmt: skip


def _node(data: Data) -> str:
    """The connection; it is made where there is none."""
    nodes = rows(data, "nodes")
    top = next((each for each in nodes if each.get("kind") == "connection"), None)
    if top is None:
        top = {"id": "grid", "kind": "connection"}
        data["nodes"] = [top, *nodes]
        meter = next((each for each in rows(data, "devices") if each.get("id") == "main"), None)
        if meter is not None:
            top["meter"] = "main"
    return str(top.get("id"))


def _free(data: Data, name: str) -> str:
    ids = {str(each.get("id")) for section in ("nodes", "devices", "evses") for each in rows(data, section)}
    number = 1
    while f"{name}-{number}" in ids:
        number += 1
    return f"{name}-{number}"
