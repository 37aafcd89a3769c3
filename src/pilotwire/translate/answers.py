"""What a station's answer to a command of ours says that is worth a fact: the values of its variables.

Secrets never become facts: whoever sets a password knows it, and the journal must not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pilotwire.domain.facts import ReportedVariable
from pilotwire.domain.inputs import Input, Report

from . import blocks_answers, charging, tariffs
from .v201 import reported

SECRETS = frozenset(("AuthorizationKey", "BasicAuthPassword"))
"""Variables whose value must not be kept anywhere of ours (1.6 security whitepaper 6.2; 2.x SecurityCtrlr)."""


def _shown(name: str, value: str | None) -> str | None:
    return None if name in SECRETS else value


def _configuration(request: Any, response: Any) -> tuple[ReportedVariable, ...]:
    return tuple(
        ReportedVariable(
            component="",
            variable=one.key,
            value=_shown(one.key, one.value),
            mutability="ReadOnly" if one.readonly else "ReadWrite",
        )
        for one in response.configuration_key or ()
    )


def _changed(request: Any, response: Any) -> tuple[ReportedVariable, ...]:
    if response.status not in ("Accepted", "RebootRequired"):
        return ()
    value = _shown(request.key, request.value)
    return (ReportedVariable(component="", variable=request.key, value=value, mutability="ReadWrite"),)


def _got(request: Any, response: Any) -> tuple[ReportedVariable, ...]:
    return tuple(
        reported(
            one.component,
            one.variable,
            attribute=one.attribute_type or "Actual",
            value=_shown(one.variable.name, one.attribute_value),
        )
        for one in response.get_variable_result
        if one.attribute_status == "Accepted"
    )


def _set(request: Any, response: Any) -> tuple[ReportedVariable, ...]:
    values = {_named(one): one.attribute_value for one in request.set_variable_data}
    return tuple(
        reported(
            one.component,
            one.variable,
            attribute=one.attribute_type or "Actual",
            value=_shown(one.variable.name, values[_named(one)]),
        )
        for one in response.set_variable_result
        if one.attribute_status in ("Accepted", "RebootRequired") and _named(one) in values
    )


def _named(one: Any) -> tuple[Any, ...]:
    evse = one.component.evse
    return (
        one.component.name,
        one.component.instance,
        None if evse is None else (evse.id, evse.connector_id),
        one.variable.name,
        one.variable.instance,
        one.attribute_type or "Actual",
    )


_READERS: Mapping[str, Callable[[Any, Any], tuple[ReportedVariable, ...]]] = {
    "GetConfiguration": _configuration,
    "ChangeConfiguration": _changed,
    "GetVariables": _got,
    "SetVariables": _set,
}


def report(action: str, request: Any, response: Any) -> Input | None:
    """What an answer says of variables (a `Report`), of charging or of what the station keeps; None: of nothing."""
    reader = _READERS.get(action)
    if reader is None:
        return (
            charging.answered(action, request, response)
            or tariffs.answered(action, request, response)
            or blocks_answers.answered(action, request, response)
        )
    variables = reader(request, response)
    return Report(variables=variables) if variables else None


def holds_secret(action: str, request: Any) -> bool:
    """Whether a request sets a password, so that neither it nor its frame may be kept."""
    if action == "ChangeConfiguration":
        return request.key in SECRETS
    if action == "SetVariables":
        return any(one.variable.name in SECRETS for one in request.set_variable_data)
    if action == "SetNetworkProfile":
        return getattr(request.connection_data, "basic_auth_password", None) is not None or any(
            getattr(request.connection_data, name, None) is not None for name in ("apn", "vpn")
        )
    return False
