"""B Provisioning in 1.6: configuration keys out of the settings table (section 5.3, 5.8; chapter 9)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pilotwire.protocols.ocpp.v16 import messages as v16
from pilotwire.station import phases
from pilotwire.station.host import Reply
from pilotwire.station.settings import BY_KEY, TABLE, Setting

from .certificates import rise_16
from .handling import V16, on

if TYPE_CHECKING:
    from pilotwire.station.program import Station

_COMPUTED: dict[str, tuple[str, Callable[[Station], str]]] = {
    "numberofconnectors": ("NumberOfConnectors", lambda station: str(len(station.evses))),
    "connectorphaserotationmaxlength": (
        "ConnectorPhaseRotationMaxLength",
        lambda station: str(len(station.evses) + 1),
    ),
    "securityprofile": ("SecurityProfile", lambda station: str(station.certificates.profile)),
}


def get_configuration(station: Station, request: v16.GetConfigurationRequest) -> Reply:
    known: list[v16.KeyValue] = []
    unknown: list[str] = []
    if request.key:
        for key in request.key:
            setting = BY_KEY.get(key.lower())
            if setting is not None:
                known.append(_key_value(station, setting))
            elif key.lower() in _COMPUTED:
                known.append(_computed(station, key.lower()))
            else:
                unknown.append(key)
    else:
        known = [_key_value(station, setting) for setting in TABLE if setting.key]
        known += [_computed(station, name) for name in _COMPUTED]
    return Reply(v16.GetConfigurationResponse(configuration_key=known or None, unknown_key=unknown or None))


def _key_value(station: Station, setting: Setting) -> v16.KeyValue:
    value = None if setting.secret else station.settings.text(setting.name)
    if setting.name == "phase_rotation":
        value = phases.told(station)
    return v16.KeyValue(key=setting.key, readonly=not setting.writable, value=value)


def _computed(station: Station, name: str) -> v16.KeyValue:
    key, value = _COMPUTED[name]
    return v16.KeyValue(key=key, readonly=True, value=value(station))


def change_configuration(station: Station, request: v16.ChangeConfigurationRequest) -> Reply:
    setting = BY_KEY.get(request.key.lower())
    if request.key.lower() == "securityprofile":
        return rise_16(station, request.value)
    if setting is None:
        status = "Rejected" if request.key.lower() in _COMPUTED else "NotSupported"
    elif setting.name == "phase_rotation" and phases.parse(request.value, len(station.evses)) is None:
        status = "Rejected"
    elif setting.name == "password":
        return _change_password(station, setting, request.value)
    else:
        status = station.settings.change(setting, request.value)
    return Reply(v16.ChangeConfigurationResponse(status=status))  # type: ignore[arg-type]


def _change_password(station: Station, setting: Setting, value: str) -> Reply:
    """Security whitepaper A00.FR.205, A01: 16 to 20 bytes as hexadecimal; then it connects anew with them."""
    if not station.takes_passwords or not 32 <= len(value) <= 40 or len(value) % 2 or not _is_hex(value):
        return Reply(v16.ChangeConfigurationResponse(status="Rejected"))
    station.settings.change(setting, value)
    return Reply(v16.ChangeConfigurationResponse(status="Accepted"), station.conversation.reconnect)


def _is_hex(text: str) -> bool:
    return all(character in "0123456789abcdefABCDEF" for character in text)


HANDLERS = on(V16, {"ChangeConfiguration": change_configuration, "GetConfiguration": get_configuration})
