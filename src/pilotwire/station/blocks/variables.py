"""B Provisioning, the part about single variables: GetVariables and SetVariables (B05, B06)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilotwire.protocols.ocpp.rpc.errors import OCCURRENCE_CONSTRAINT, RpcError
from pilotwire.station import device_model
from pilotwire.station.device_model import Attribute, Place
from pilotwire.station.host import Reply

from .handling import V2, on

if TYPE_CHECKING:
    from pilotwire.station.program import Station


def get_variables(station: Station, request: Any) -> Reply:
    check_items(station, len(request.get_variable_data), "get_items")
    rows = [_get(station, row) for row in request.get_variable_data]
    return Reply(station.messages.GetVariablesResponse(get_variable_result=rows))


def _get(station: Station, row: Any) -> Any:
    found = find(station, row)
    kind = row.attribute_type or "Actual"
    value: str | None = None
    if isinstance(found, str):
        status = found
    elif kind != "Actual":
        status = "NotSupportedAttributeType"
    elif found.value is None:
        status = "Rejected"  # WriteOnly
    else:
        status, value = "Accepted", found.value
    return station.messages.GetVariableResultType(
        attribute_status=status,
        attribute_type=kind,
        attribute_value=value,
        component=row.component,
        variable=row.variable,
    )


def set_variables(station: Station, request: Any) -> Reply:
    check_items(station, len(request.set_variable_data), "set_items")
    before = station.settings.text("password")
    results = [_set(station, row) for row in request.set_variable_data]
    # A01: a station that has got a new password connects anew with it.
    rekeyed = station.settings.text("password") != before
    then = station.conversation.reconnect if rekeyed else None
    return Reply(station.messages.SetVariablesResponse(set_variable_result=results), then)


def _set(station: Station, row: Any) -> Any:
    found = find(station, row)
    kind = row.attribute_type or "Actual"
    if isinstance(found, str):
        status = found
    elif kind != "Actual":
        status = "NotSupportedAttributeType"
    elif found.setting is None or (
        # A BasicAuthPassword has at least 16 characters (part 2 appendix, SecurityCtrlr).
        found.setting.name == "password" and not (station.takes_passwords and 16 <= len(row.attribute_value) <= 64)
    ):
        status = "Rejected"
    elif found.setting.name == "network_priority" and not _all_valid(station, row.attribute_value):
        status = "Rejected"  # B10.FR.02
    else:
        status = station.settings.change(found.setting, row.attribute_value)
    return station.messages.SetVariableResultType(
        attribute_status=status, attribute_type=kind, component=row.component, variable=row.variable
    )


def _all_valid(station: Station, slots: str) -> bool:
    named = [slot.strip() for slot in slots.split(",")]
    return all(slot.isdecimal() and station.networks.valid(int(slot)) for slot in named)


def find(station: Station, row: Any) -> Attribute | str:
    """The variable that `row` names, or UnknownComponent / UnknownVariable."""
    return device_model.find(station, place_of(row.component, row.variable))


def place_of(component: Any, variable: Any) -> Place:
    """A ComponentType and a VariableType (None: no certain one) as the station says it."""
    evse = component.evse
    return Place(
        component=component.name,
        component_instance=component.instance,
        evse=None if evse is None else evse.id,
        connector=None if evse is None else evse.connector_id,
        variable="" if variable is None else variable.name,
        instance=None if variable is None else variable.instance,
    )


def component_of(m: Any, place: Place) -> Any:
    """The ComponentType of a place."""
    evse = None if place.evse is None else m.EVSEType(id=place.evse, connector_id=place.connector)
    return m.ComponentType(name=place.component, instance=place.component_instance, evse=evse)


def variable_of(m: Any, place: Place) -> Any:
    """The VariableType of a place."""
    return m.VariableType(name=place.variable, instance=place.instance)


def check_items(station: Station, count: int, setting: str) -> None:
    """Raises RpcError when a message has more items than the `setting` (an ItemsPerMessage) allows."""
    most_items = station.settings.number(setting)
    if count > most_items:
        raise RpcError(OCCURRENCE_CONSTRAINT, f"at most {most_items} items per message")


HANDLERS = on(V2, {"GetVariables": get_variables, "SetVariables": set_variables})
