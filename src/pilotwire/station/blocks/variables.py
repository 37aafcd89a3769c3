"""B Provisioning, the part about single variables: GetVariables and SetVariables (B05, B06)."""

from __future__ import annotations

from string import ascii_letters, digits
from typing import TYPE_CHECKING, Any

from pilotwire.protocols.ocpp.rpc.errors import FORMAT_VIOLATION, OCCURRENCE_CONSTRAINT, RpcError
from pilotwire.station import device_model, network_variables
from pilotwire.station.attributes import Attribute, Place
from pilotwire.station.host import Reply

from .handling import V2, on, reason

if TYPE_CHECKING:
    from pilotwire.station.program import Station

_PASSWORD_LETTERS = frozenset(ascii_letters + digits + "*-_=:+|@.")
"""passwordString of 2.0.1 (part 2, 2.1.4)."""


def get_variables(station: Station, request: Any) -> Reply:
    check_size(station, request, len(request.get_variable_data), "get")
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
    check_size(station, request, len(request.set_variable_data), "set")
    before = station.settings.text("password")
    results = [_set(station, row) for row in request.set_variable_data]
    # A01: a station that has got a new password connects anew with it.
    rekeyed = station.settings.text("password") != before
    if rekeyed:
        station.networks.password_changed()
    then = station.conversation.reconnect if rekeyed else None
    return Reply(station.messages.SetVariablesResponse(set_variable_result=results), then)


def _set(station: Station, row: Any) -> Any:
    found = find(station, row)
    kind = row.attribute_type or "Actual"
    why: tuple[str, str] | None = None
    if isinstance(found, str):
        status = found
    elif kind != "Actual":
        status = "NotSupportedAttributeType"
    elif found.place.component == network_variables.COMPONENT:
        why = network_variables.change(station, found, row.attribute_value)
        status = "Accepted" if why is None else "Rejected"
    elif found.setting is None or (
        found.setting.name == "password"
        and not (station.takes_passwords and _is_password(station, row.attribute_value))
    ):
        status = "Rejected"
    elif found.setting.name == "network_priority" and not _all_valid(station, row.attribute_value):
        status = "Rejected"  # B10.FR.02
        why = "InvalidNetworkConf", "not every slot holds a profile that could be used"
    elif found.setting.name == "network_priority" and (objection := _objection(station, row.attribute_value)):
        status = "Rejected"
        why = "InvalidNetworkConf", objection
    else:
        status = station.settings.change(found.setting, row.attribute_value)
    return station.messages.SetVariableResultType(
        attribute_status=status,
        attribute_type=kind,
        component=row.component,
        variable=row.variable,
        attribute_status_info=None if why is None else reason(station.messages, *why),
    )


def _all_valid(station: Station, slots: str) -> bool:
    named = [slot.strip() for slot in slots.split(",")]
    return all(slot.isdecimal() and station.networks.valid(int(slot)) for slot in named)


def _objection(station: Station, slots: str) -> str:
    """A05.FR.02, .03, .08 to .10: why the station cannot go to the security profile of one of these slots."""
    levels = [station.networks.security_of(int(slot)) for slot in slots.split(",")]
    return next(filter(None, map(station.certificates.objection, levels)), "")


def _is_password(station: Station, value: str) -> bool:
    """A00.FR.205: by 2.0.1 of certain characters, by 2.1 of any."""
    letters = station.config.version != "2.0.1" or all(one in _PASSWORD_LETTERS for one in value)
    return letters and 16 <= len(value) <= device_model.PASSWORD_LENGTH[station.config.version]


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


def check_size(station: Station, request: Any, items: int, limits: str) -> None:
    """Raises RpcError when a message has more items or bytes than the settings `limits`_items and _bytes allow
    (ItemsPerMessage, BytesPerMessage; B06.FR.16, .17, B08.FR.17, .18, N06.FR.06, .07)."""
    most = station.settings.number(f"{limits}_items")
    if items > most:
        raise RpcError(OCCURRENCE_CONSTRAINT, f"at most {most} items per message")
    most = station.settings.number(f"{limits}_bytes")
    if len(station.dialect.encode(request)) > most:
        raise RpcError(FORMAT_VIOLATION, f"at most {most} bytes per message")


HANDLERS = on(V2, {"GetVariables": get_variables, "SetVariables": set_variables})
