"""How Home Assistant finds the site: a retained message for each entity (MQTT discovery).

    <prefix>/<component>/pilotwire_<site>/<kind>_<id>_<field>/config

The site is a device, and each EVSE, meter, inverter, battery and load is one that hangs on it. An entity is available
while the site is at the broker and its device is heard, and no longer than `EXPIRE_AFTER_S` after the last word of it.

What can be told an EVSE is a number (the most it may give), a switch (whether it may charge) and a selection (its
mode). Each expires, and Home Assistant sends it again only when somebody moves it: a forgotten slider does not throttle
a car for ever. They show what is in force, so an order that is over jumps back. What can be said of the car that is
there is a number (what it still wants; 0 takes it back) and a text (when it leaves, such as 07:30, the next time that a
clock shows it; discovery knows no entity of a time that could be set). They end with the visit.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from pilotwire.domain.steering import Mode

from .. import picture as seen
from ..entered import MOST_WH
from .topics import Names, field_of

EXPIRE_AFTER_S = 900
"""Three times as long as what has not changed is silent."""
_TEMPLATE = '{"id": "{{ now().timestamp() }}", "%s": %s, "expires_s": %d}'

_CAR = '{"id": "{{ now().timestamp() }}", "%s": %s}'
_NEXT = (
    "{% if value %}{% set at = today_at(value) %}{% if at <= now() %}{% set at = at + timedelta(days=1) %}{% endif %}"
    '"{{ at.isoformat() }}"{% else %}null{% endif %}'
)
"""The next time that a clock shows it, where Home Assistant is."""
_CLOCK = "{{ (value_json.departure | as_datetime | as_local).strftime('%H:%M') if value_json.departure else '' }}"

_POWER = {"device_class": "power", "unit_of_measurement": "W", "state_class": "measurement"}
_CURRENT = {"device_class": "current", "unit_of_measurement": "A", "state_class": "measurement"}
_VOLTAGE = {"device_class": "voltage", "unit_of_measurement": "V", "state_class": "measurement"}
_ENERGY = {"device_class": "energy", "unit_of_measurement": "kWh", "state_class": "total_increasing"}
_SOC = {"device_class": "battery", "unit_of_measurement": "%", "state_class": "measurement"}
_HERTZ = {"device_class": "frequency", "unit_of_measurement": "Hz", "state_class": "measurement"}
_HEAT = {"device_class": "temperature", "unit_of_measurement": "°C", "state_class": "measurement"}
_DETAIL: Mapping[str, Any] = {"entity_category": "diagnostic"}

_SITE = (
    ("grid_w", "Grid power", _POWER), ("pv_w", "PV power", _POWER), ("battery_w", "Battery power", _POWER),
    ("cars_w", "Charging power", _POWER), ("building_w", "Building power", _POWER),
    ("charging", "Cars charging", {"state_class": "measurement"}),
    ("plugged", "Cars plugged in", {"state_class": "measurement"}),
)  # fmt: skip
_EVSE = (
    ("power_w", "Power", _POWER), ("current_l1_a", "Current L1", _CURRENT), ("current_l2_a", "Current L2", _CURRENT),
    ("current_l3_a", "Current L3", _CURRENT), ("session_kwh", "Session energy", _ENERGY),
    ("energy_kwh", "Energy", _ENERGY), ("soc_percent", "State of charge", _SOC),
    ("departure", "Departure", {"device_class": "timestamp"}), ("departure_by", "Departure from", _DETAIL),
    ("needs_by", "Energy needed from", _DETAIL), ("reason", "Reason", {}),
    ("pilot", "Pilot state", _DETAIL), ("fault", "Fault", _DETAIL),
)  # fmt: skip
_POINTS: dict[str, tuple[str, dict[str, str]]] = {
    "power_w": ("Power", _POWER), "battery_w": ("Battery power", _POWER),
    "current_l1_a": ("Current L1", _CURRENT), "current_l2_a": ("Current L2", _CURRENT),
    "current_l3_a": ("Current L3", _CURRENT), "voltage_l1_v": ("Voltage L1", _VOLTAGE),
    "voltage_l2_v": ("Voltage L2", _VOLTAGE), "voltage_l3_v": ("Voltage L3", _VOLTAGE),
    "energy_import_kwh": ("Energy imported", _ENERGY), "energy_export_kwh": ("Energy exported", _ENERGY),
    "soc_percent": ("State of charge", _SOC), "frequency_hz": ("Frequency", _HERTZ),
    "temperature_c": ("Temperature", _HEAT),
}  # fmt: skip


class HomeAssistant(msgspec.Struct, frozen=True, kw_only=True):
    """What its discovery says beside the picture."""

    prefix: str = "homeassistant"
    on: bool = True
    """Otherwise it is shown nothing, and what it was shown before is taken back."""
    version: str = ""
    limits: Mapping[str, tuple[int, int]] = msgspec.field(default_factory=dict[str, tuple[int, int]])
    """The lowest and highest limit of each EVSE in mA (or mW)."""
    points: Mapping[str, frozenset[str]] = msgspec.field(default_factory=dict[str, frozenset[str]])
    """What each device can say, by the names of its points; one that is not here has what it has said by now."""
    modes: tuple[Mode, ...] = ("now", "min_pv", "pv", "off")
    commands: bool = True
    """Whether EVSEs can be told anything."""
    expires_s: int = 3_600


class _Device:
    """A device of Home Assistant's and its entities. `id` "" is the site itself."""

    def __init__(
        self, home: HomeAssistant, names: Names, kind: str, id: str, model: str, topic: str, site: str
    ) -> None:
        self._home, self._names, self._topic = home, names, topic
        self._node = node_of(names)
        self._object = f"{kind}_{_safe(id)}" if id else kind
        unique = f"{self._node}_{self._object}"
        self._about = {
            "identifiers": [unique], "name": id or site, "manufacturer": "Pilotwire", "model": model,
            **({"via_device": f"{self._node}_site"} if id else {"sw_version": home.version}),
        }  # fmt: skip
        self._there: list[dict[str, str]] = [{"topic": names.status}]
        self._heard: list[dict[str, str]] = [
            {"topic": topic, "value_template": "{{ 'online' if value_json.online else 'offline' }}"}
        ] if id else []  # fmt: skip
        self.made: dict[str, bytes] = {}

    def entity(self, component: str, field: str, name: str, *, always: bool = False, **more: Any) -> None:
        """`always`: it is there though its device is not heard."""
        object = f"{self._object}_{field}"
        unique = f"{self._node}_{object}"
        entity = {
            "name": name,
            "unique_id": unique,
            "default_entity_id": f"{component}.{unique}".lower().replace("-", "_"),
            "state_topic": self._topic,
            "availability": self._there if always else [*self._there, *self._heard],
            "availability_mode": "all",
            "device": self._about,
            "origin": {"name": "Pilotwire", "sw_version": self._home.version},
            **more,
        }
        if component in ("sensor", "binary_sensor"):
            entity["expire_after"] = EXPIRE_AFTER_S
        self.made[f"{self._home.prefix}/{component}/{self._node}/{object}/config"] = msgspec.json.encode(entity)

    def sensor(self, field: str, name: str, kind: Mapping[str, Any]) -> None:
        self.entity("sensor", field, name, value_template=f"{{{{ value_json.{field} }}}}", **kind)

    def sign(self, field: str, name: str, kind: str) -> None:
        """Something that is or is not."""
        self.entity(
            "binary_sensor", field, name, value_template=f"{{{{ 'ON' if value_json.{field} else 'OFF' }}}}",
            device_class=kind,
        )  # fmt: skip

    def connected(self) -> None:
        self.entity(
            "binary_sensor", "online", "Connected", value_template="{{ 'ON' if value_json.online else 'OFF' }}",
            always=True, device_class="connectivity", **_DETAIL,
        )  # fmt: skip


def discovery(names: Names, picture: seen.SitePicture, home: HomeAssistant) -> dict[str, bytes]:
    """All configuration messages by topic, to be retained."""
    if not home.on:
        return {}
    one = _Device(home, names, "site", "", "Site controller", names.state, picture.site)
    for field, name, kind in _SITE:
        one.sensor(field, name, kind)
    one.sign("trouble", "Trouble", "problem")
    made = dict(one.made)
    for evse in picture.evses:
        made |= _evse(home, names, evse)
    for device in picture.devices:
        if device.kind != "contacts":
            made |= _device(home, names, device)
    return made


def found(names: Names, prefix: str) -> str:
    """Where all that Home Assistant has been shown of a site is to be seen, and nothing of another."""
    return f"{prefix}/+/{node_of(names)}/+/config"


def node_of(names: Names) -> str:
    """Under which all entities of a site stand: no other site's, whatever these are called."""
    own = names.prefix == "pilotwire" and _safe(names.site) == names.site
    return f"pilotwire_{names.site}" if own else f"pilotwire_{_plain(names.site)}_{_sum(names.root)}"


def _device(home: HomeAssistant, names: Names, device: seen.DevicePicture) -> dict[str, bytes]:
    each = _Device(home, names, "device", device.id, device.kind.title(), names.of("device", device.id), "")
    fields = {field_of(point) for point in home.points.get(device.id, frozenset(device.points))}
    for field, (name, kind) in _POINTS.items():
        if field in fields:
            each.sensor(field, name, kind)
    each.connected()
    return each.made


def _evse(home: HomeAssistant, names: Names, evse: seen.EvsePicture) -> dict[str, bytes]:
    one = _Device(home, names, "evse", evse.id, "EVSE", names.of("evse", evse.id), "")
    for field, name, kind in _EVSE:
        one.sensor(field, name, kind)
    one.sign("plugged", "Vehicle", "plug")
    one.sign("charging", "Charging", "battery_charging")
    one.connected()
    unit, step, kind = ("a", 1, "current") if evse.unit == "mA" else ("w", 100, "power")
    one.sensor(f"limit_{unit}", "Offered", _CURRENT if unit == "a" else _POWER)
    if not home.commands:
        return one.made
    _, most = home.limits.get(evse.id, (6_000, 32_000))
    command = {"command_topic": names.set("evse", evse.id), "qos": 1, "retain": False}
    one.entity(
        "number", "maximum", "Limit", value_template=f"{{{{ value_json.maximum_{unit} }}}}",
        command_template=_TEMPLATE % (f"limit_{unit}", "{{ value }}", home.expires_s), min=0, max=most // 1000,
        step=step, unit_of_measurement=unit.upper(), device_class=kind, mode="slider", **command,
    )  # fmt: skip
    one.entity(
        "select", "mode", "Mode", value_template="{{ value_json.mode }}", options=list(home.modes),
        command_template=_TEMPLATE % ("mode", '"{{ value }}"', home.expires_s), **command,
    )  # fmt: skip
    one.entity(
        "number", "needs", "Energy needed", value_template="{{ value_json.needs_kwh }}",
        command_template=_CAR % ("energy_kwh", "{{ value if value | float > 0 else 'null' }}"), min=0,
        max=MOST_WH // 1_000, step=1, unit_of_measurement="kWh", mode="box", icon="mdi:battery-charging", **command,
    )  # fmt: skip
    one.entity(
        "text", "leaves", "Leaves at", value_template=_CLOCK, command_template=_CAR % ("departure", _NEXT),
        pattern=r"^$|^([01]?\d|2[0-3]):[0-5]\d$", max=5, icon="mdi:clock-end", **command,
    )  # fmt: skip
    # Home Assistant's switches have no template for commands: what they send is the whole command.
    on, off = (f'{{"enable": {word}, "expires_s": {home.expires_s}}}' for word in ("true", "false"))
    one.entity(
        "switch", "enable", "Charging allowed", payload_on=on, payload_off=off, state_on="ON", state_off="OFF",
        value_template="{{ 'ON' if value_json.enabled else 'OFF' }}", **command,
    )  # fmt: skip
    return one.made


def _plain(id: str) -> str:
    """Letters, digits, `_` and `-`: Home Assistant's discovery topics take nothing else."""
    return "".join(character if character.isalnum() or character in "_-" else "_" for character in id)


def _safe(id: str) -> str:
    """The same, and still another for each other id."""
    plain = _plain(id)
    return plain if plain == id else f"{plain}_{_sum(id)}"


def _sum(text: str) -> str:
    return blake2b(text.encode(), digest_size=3).hexdigest()
