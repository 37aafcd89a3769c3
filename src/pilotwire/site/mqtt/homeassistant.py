"""How Home Assistant finds the site: a retained message for each entity (MQTT discovery), all with one availability.

The site is a device, and each EVSE, meter, inverter and battery is one that hangs on it. What can be told an EVSE is a
number (the most it may give) and a switch (whether it may charge); both expire after an hour, and Home Assistant sends
them again only when somebody moves them: a forgotten slider does not throttle a car for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from .. import picture as seen
from .topics import Names

EXPIRES_S = 3_600
_TEMPLATE = '{"id": "{{ now().timestamp() }}", "%s": {{ value }}, "expires_s": ' + str(EXPIRES_S) + "}"

_POWER = {"device_class": "power", "unit_of_measurement": "W", "state_class": "measurement"}
_CURRENT = {"device_class": "current", "unit_of_measurement": "A", "state_class": "measurement"}
_VOLTAGE = {"device_class": "voltage", "unit_of_measurement": "V", "state_class": "measurement"}
_ENERGY = {"device_class": "energy", "unit_of_measurement": "kWh", "state_class": "total_increasing"}
_SOC = {"device_class": "battery", "unit_of_measurement": "%", "state_class": "measurement"}
_HERTZ = {"device_class": "frequency", "unit_of_measurement": "Hz", "state_class": "measurement"}
_HEAT = {"device_class": "temperature", "unit_of_measurement": "°C", "state_class": "measurement"}

_SITE = (
    ("grid_w", "Grid power", _POWER), ("pv_w", "PV power", _POWER), ("battery_w", "Battery power", _POWER),
    ("cars_w", "Charging power", _POWER), ("building_w", "Building power", _POWER),
    ("charging", "Cars charging", {"state_class": "measurement"}),
)  # fmt: skip
_EVSE = (
    ("power_w", "Power", _POWER), ("current_l1_a", "Current L1", _CURRENT), ("current_l2_a", "Current L2", _CURRENT),
    ("current_l3_a", "Current L3", _CURRENT), ("session_kwh", "Session energy", _ENERGY),
    ("energy_kwh", "Energy", _ENERGY), ("soc_percent", "State of charge", _SOC), ("pilot", "Pilot state", {}),
    ("reason", "Reason", {}),
)  # fmt: skip
_POINTS: dict[str, tuple[str, dict[str, str]]] = {
    "power_w": ("Power", _POWER), "current_l1_a": ("Current L1", _CURRENT), "current_l2_a": ("Current L2", _CURRENT),
    "current_l3_a": ("Current L3", _CURRENT), "voltage_l1_v": ("Voltage L1", _VOLTAGE),
    "voltage_l2_v": ("Voltage L2", _VOLTAGE), "voltage_l3_v": ("Voltage L3", _VOLTAGE),
    "energy_import_kwh": ("Energy imported", _ENERGY), "energy_export_kwh": ("Energy exported", _ENERGY),
    "soc_percent": ("State of charge", _SOC), "frequency_hz": ("Frequency", _HERTZ),
    "temperature_c": ("Temperature", _HEAT),
}  # fmt: skip


class _Device:
    """A device of Home Assistant's and its entities."""

    def __init__(self, prefix: str, names: Names, node: str, about: dict[str, Any], topic: str, version: str) -> None:
        self._prefix, self._names, self._node = prefix, names, node
        self._about, self._topic, self._version = about, topic, version
        self.made: dict[str, bytes] = {}

    def entity(self, component: str, object: str, name: str, **more: Any) -> None:
        entity = {
            "name": name,
            "unique_id": f"{self._node}_{object}",
            "object_id": f"{self._node}_{object}",
            "state_topic": self._topic,
            "availability_topic": self._names.status,
            "device": self._about,
            "origin": {"name": "Pilotwire", "sw_version": self._version},
            **more,
        }
        self.made[f"{self._prefix}/{component}/{self._node}/{object}/config"] = msgspec.json.encode(entity)

    def sensor(self, field: str, name: str, kind: dict[str, str]) -> None:
        self.entity("sensor", field, name, value_template=f"{{{{ value_json.{field} }}}}", **kind)

    def sign(self, field: str, name: str, kind: str) -> None:
        """Something that is or is not."""
        self.entity(
            "binary_sensor", field, name, value_template=f"{{{{ 'ON' if value_json.{field} else 'OFF' }}}}",
            device_class=kind,
        )  # fmt: skip


def discovery(
    names: Names, picture: seen.SitePicture, limits: Mapping[str, tuple[int, int]], *, prefix: str, version: str
) -> dict[str, bytes]:
    """All configuration messages by topic, to be retained. `limits`: minimum and maximum in mA (or mW) by EVSE."""
    site = f"pilotwire_{_safe(picture.site)}"
    about = {"identifiers": [site], "name": picture.site, "manufacturer": "Pilotwire", "model": "Site controller"}
    one = _Device(prefix, names, site, about | {"sw_version": version}, names.state, version)
    for field, name, kind in _SITE:
        one.sensor(field, name, kind)
    one.entity(
        "binary_sensor", "trouble", "Trouble", value_template="{{ 'ON' if value_json.trouble else 'OFF' }}",
        device_class="problem",
    )  # fmt: skip
    made = dict(one.made)
    for evse in picture.evses:
        made |= _evse(names, evse, site, limits.get(evse.id, (6_000, 32_000)), prefix, version)
    for device in picture.devices:
        if device.kind == "contacts":
            continue
        node = f"{site}_{_safe(device.id)}"
        about = {"identifiers": [node], "name": device.id, "manufacturer": "Pilotwire", "model": device.kind.title(),
                 "via_device": site}  # fmt: skip
        each = _Device(prefix, names, node, about, names.of("device", device.id), version)
        for field, (name, kind) in _POINTS.items():
            each.sensor(field, name, kind)
        each.sign("online", "Connected", "connectivity")
        made |= each.made
    return made


def _evse(
    names: Names, evse: seen.EvsePicture, site: str, limits: tuple[int, int], prefix: str, version: str
) -> dict[str, bytes]:
    node = f"{site}_{_safe(evse.id)}"
    about = {"identifiers": [node], "name": evse.id, "manufacturer": "Pilotwire", "model": "EVSE", "via_device": site}
    one = _Device(prefix, names, node, about, names.of("evse", evse.id), version)
    for field, name, kind in _EVSE:
        one.sensor(field, name, kind)
    one.sign("plugged", "Vehicle", "plug")
    one.sign("charging", "Charging", "battery_charging")
    one.sign("online", "Connected", "connectivity")
    command = {"command_topic": names.set("evse", evse.id), "qos": 1, "retain": False}
    field, unit, kind = ("limit_a", "A", "current") if evse.unit == "mA" else ("limit_w", "W", "power")
    one.entity(
        "number", field, "Limit", value_template=f"{{{{ value_json.{field} }}}}",
        command_template=_TEMPLATE % field, min=0, max=limits[1] // 1000, step=1 if unit == "A" else 100,
        unit_of_measurement=unit, device_class=kind, mode="slider", **command,
    )  # fmt: skip
    # Home Assistant's switches have no template for commands: what they send is the whole command.
    on, off = (f'{{"enable": {word}, "expires_s": {EXPIRES_S}}}' for word in ("true", "false"))
    one.entity(
        "switch", "enable", "Charging allowed", payload_on=on, payload_off=off, state_on="ON", state_off="OFF",
        value_template=f"{{{{ 'ON' if value_json.{field} else 'OFF' }}}}", **command,
    )  # fmt: skip
    return one.made


def _safe(id: str) -> str:
    """Letters, digits, `_` and `-`: Home Assistant's discovery topics take nothing else."""
    return "".join(character if character.isalnum() or character in "_-" else "_" for character in id)
