"""Commands of ours that the standard does not let us send, though their payload is valid; and what is to be said of it.

Certificates and credentials have theirs in `certificates.actions`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from pilotwire.domain.kept import SessionLimit
from pilotwire.domain.tokens import verdict

from . import charging_objections as charging

if TYPE_CHECKING:
    from .actor import StationActor


def objection(actor: StationActor, action: str, request: Any, size: int) -> str:
    """Why a command must not go out; "" where it may. `size` is that of its payload in bytes."""
    look = _LOOKS.get(action)
    return _too_large(actor, action, request, size) or ("" if look is None else look(actor, request))


def limited(actor: StationActor, limit: SessionLimit | None) -> str:
    """Why a session cannot be begun with this limit (2.1 E16.FR.12); "" where it can."""
    kept = actor.known().station.kept
    if limit is None or kept is None or kept.takes is None:
        return ""
    able = [name.strip() for name in kept.takes.split(",")]
    beyond = [name for name in limit.named if name not in able]
    return f"the station follows no {' or '.join(beyond)}" if beyond else ""


def _too_large(actor: StationActor, action: str, request: Any, size: int) -> str:
    """More than the station has said that it takes at once (B08.FR.06, D01.FR.11, N02.FR.07; 1.6
    GetConfigurationMaxKeys and SendLocalListMaxLength). What may as well come in several has been divided by now."""
    field = _ITEMS.get(action)
    kept = actor.known().station.kept
    if field is None or kept is None:
        return ""
    limited = "GetReport" if action == "GetMonitoringReport" else action
    most = kept.limits.get(f"items {limited}")
    items = len(getattr(request, field) or ())
    if most is not None and items > most:
        return f"the station takes {most} at once, these are {items}: send several"
    most = kept.limits.get(f"bytes {limited}")
    if most is not None and size > most:
        return f"the station takes {most} bytes at once, these are {size}: send several"
    return ""


_ITEMS: Mapping[str, str] = {
    "GetConfiguration": "key",
    "GetVariables": "get_variable_data",
    "SetVariables": "set_variable_data",
    "GetReport": "component_variable",
    "GetMonitoringReport": "component_variable",
    "SetVariableMonitoring": "set_monitoring_data",
    "ClearVariableMonitoring": "id",
    "SendLocalList": "local_authorization_list",
}
"""Action → the list in it that is limited."""


def _swap(actor: StationActor, request: Any) -> str:
    """2.1 S02.FR.03."""
    token = request.id_token
    status = verdict(token.id_token, token.type, actor.context(actor.around.now())).status
    if status == "Accepted":
        return ""
    return f"the token is not authorized ({status}): no battery may be swapped for it"


def _monitors(actor: StationActor, request: Any) -> str:
    """2.1 N11.FR.09."""
    for one in request.set_monitoring_data:
        pace = getattr(one, "periodic_event_stream", None)
        if pace is not None and pace.interval is None and pace.values is None:
            return "a periodic event stream needs an interval, a number of values, or both"
    return ""


def _variables(actor: StationActor, request: Any) -> str:
    """B05.FR.13. An attribute that is not named is the Actual one."""
    seen: set[bytes] = set()
    for one in request.set_variable_data:
        place = msgspec.json.encode((one.component, one.variable, one.attribute_type or "Actual")).lower()
        if place in seen:
            return f"{one.component.name}.{one.variable.name} is set twice in one message"
        seen.add(place)
    return _networks(actor, request) if actor.version == "2.1" else ""


def _networks(actor: StationActor, request: Any) -> str:
    """2.1 B09.FR.21, .29, .30: the profile of a slot that is not in use, with whether it goes by APN and VPN."""
    slots: dict[str, dict[str, str]] = {}
    for one in request.set_variable_data:
        if one.component.name.lower() == "networkconfiguration":
            slots.setdefault(one.component.instance or "", {})[one.variable.name.lower()] = one.attribute_value
    kept = actor.known().station.kept
    used = [] if kept is None else [slot.strip() for slot in kept.networks.split(",")]
    for slot, values in slots.items():
        if slot in used:
            return f"the station connects by slot {slot}: set another one, then change NetworkConfigurationPriority"
        for kind in ("apn", "vpn"):
            enabled = values.get(f"{kind}enabled", "").lower()
            given = any(value for name, value in values.items() if name.startswith(kind) and name != f"{kind}enabled")
            if given and enabled != "true":
                return (
                    f"with what is set of its {kind.upper()}, {kind.capitalize()}Enabled of slot {slot} is to be true"
                )
            if "ocppcsmsurl" in values and not given and enabled != "false":
                return f"slot {slot} has no {kind.upper()}: {kind.capitalize()}Enabled is to be set to false with it"
    return ""


def _log(actor: StationActor, request: Any) -> str:
    """2.1 N01.FR.27, .28."""
    place = request.log.remote_location
    if actor.version == "2.1" and "#" in place:
        return "the place for a log has no fragment (#)"
    if actor.version == "2.1" and "?" in place and place.endswith("/"):
        return "the query of a place for a log does not end with a slash"
    return ""


_LANGUAGE = re.compile("[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
"""What an RFC 5646 tag looks like."""


def _display(actor: StationActor, request: Any) -> str:
    """O01.FR.17, O02.FR.12."""
    info = request.message
    for text in (info.message, *(getattr(info, "message_extra", None) or ())):
        if text.language and not _LANGUAGE.fullmatch(text.language):
            return f"{text.language} is no language tag (RFC 5646), such as en-US"
    return ""


def _customer(actor: StationActor, request: Any) -> str:
    """N09.FR.08, N10.FR.09: a customer's certificate is named by the hash by which the station knows it."""
    asked, desk = request.customer_certificate, actor.around.certificates
    known = desk.installed.of(actor.key) if asked is not None and desk is not None else None
    if asked is None or known is None:
        return ""
    serial = asked.serial_number.lower()
    hashes = {row.hash_algorithm for row in known.rows if row.serial_number.lower() == serial}
    if not hashes or asked.hash_algorithm in hashes:
        return ""
    return f"the station knows that certificate by {', '.join(sorted(hashes))}, not by {asked.hash_algorithm}"


_LOOKS: Mapping[str, Callable[[StationActor, Any], str]] = {
    "ClearChargingProfile": charging.cleared,
    "RemoteStartTransaction": charging.started,
    "RequestBatterySwap": _swap,
    "RequestStartTransaction": charging.started,
    "SetChargingProfile": charging.profile_set,
    "SetDisplayMessage": _display,
    "SetVariableMonitoring": _monitors,
    "SetVariables": _variables,
    "CustomerInformation": _customer,
    "GetLog": _log,
}
