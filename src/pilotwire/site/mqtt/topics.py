"""The topics of a site and what is said under them, in the units that people use, as JSON.

    pilotwire/<site>/status                online or offline (the broker says offline when we are gone), retained
    pilotwire/<site>/state                 power of grid, PV, battery, cars and building; what is wrong; retained
    pilotwire/<site>/node/<id>/state       currents and power against the lowest limits in force; retained
    pilotwire/<site>/evse/<id>/state       what it gives, may give, and why not more; retained
    pilotwire/<site>/device/<id>/state     a meter's, inverter's, battery's or load's figures; retained
    pilotwire/<site>/evse/<id>/set         commands, see `commands`; never retained
    pilotwire/<site>/node/<id>/set
    pilotwire/<site>/source/<id>/set       the word of one of the file's sources, see `commands`; never retained
    pilotwire/<site>/result                what became of a command; never retained

Power is in W, current in A, energy in kWh, voltage in V, temperature in °C, shares in percent. Import is positive: into
the site, into the car, into a battery; PV is negative. A figure that is not known is null.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from pilotwire.core.time import to_rfc3339
from pilotwire.domain.steering import Mode

from ..entered import Want
from ..picture import DevicePicture, EvsePicture, NodePicture, SitePicture

_json = msgspec.json.Encoder(decimal_format="number")
ONLINE, OFFLINE = b"online", b"offline"


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What an EVSE is to do by the orders in force, and by the site's file where there is none."""

    mode: Mode = "now"
    enabled: bool = True
    maximum: int | None = None
    """In the EVSE's unit."""
    car: Want = Want()
    """What is known of the car that is there."""


_FREE = Standing()


class Names:
    """The topics of one site below a prefix."""

    def __init__(self, site: str, prefix: str = "pilotwire") -> None:
        self.site, self.prefix = site, prefix
        self.root = f"{prefix}/{site}"
        self.status = f"{self.root}/status"
        self.state = f"{self.root}/state"
        self.result = f"{self.root}/result"

    def of(self, kind: str, id: str) -> str:
        """Of a node, evse or device."""
        return f"{self.root}/{kind}/{id}/state"

    def set(self, kind: str, id: str) -> str:
        """Where it is commanded, or speaks itself; `+` for all."""
        return f"{self.root}/{kind}/{id}/set"


def _in(value: int | None, per: int) -> Decimal | None:
    """An integer of a base unit in the unit that is `per` of it, exactly."""
    if value is None:
        return None
    made = Decimal(value) / per
    return made.quantize(1) if made == made.to_integral_value() else made.normalize()


def watts(mw: int | None) -> Decimal | None:
    return _in(mw, 1_000)


def amperes(ma: int | None) -> Decimal | None:
    return _in(ma, 1_000)


def kilowatt_hours(wh: int | None) -> Decimal | None:
    return _in(wh, 1_000)


def _currents(phases: tuple[int | None, int | None, int | None]) -> dict[str, Decimal | None]:
    return {f"current_l{number}_a": amperes(ma) for number, ma in enumerate(phases, 1)}


def site_state(picture: SitePicture) -> dict[str, Any]:
    """See the module."""
    flows = picture.flows
    return {
        "grid_w": watts(flows.grid),
        "pv_w": watts(flows.pv),
        "battery_w": watts(flows.battery),
        "cars_w": watts(flows.cars),
        "building_w": watts(flows.building),
        "charging": sum(evse.charging for evse in picture.evses),
        "plugged": sum(evse.pilot in ("B", "C", "D") for evse in picture.evses),
        "trouble": [f"{mark.where}: {mark.words}" for mark in picture.marks],
    }


def node_state(node: NodePicture) -> dict[str, Any]:
    """See the module; limits by figure, each with its source."""
    limits: dict[str, Any] = {}
    for limit in node.limits:
        name = "limit_w" if limit.what == "power" else f"limit_{limit.what.lower()}_a"
        limits[name] = _in(limit.value, 1_000)
        limits[f"{name.rsplit('_', 1)[0]}_source"] = limit.source
    return {"online": node.online, **_currents(node.phases_ma), "power_w": watts(node.power_mw), **limits}


def evse_state(evse: EvsePicture, standing: Standing = _FREE) -> dict[str, Any]:
    """See the module. `limit`, `target`, `confirmed` and `maximum` are in A for AC and in W for DC."""
    unit = "a" if evse.unit == "mA" else "w"
    return {
        "online": evse.online,
        "pilot": evse.pilot,
        "plugged": evse.pilot in ("B", "C", "D"),
        "charging": evse.charging,
        "power_w": watts(evse.power_mw),
        **_currents(evse.phases_ma),
        f"limit_{unit}": _in(evse.set_point, 1_000),
        f"target_{unit}": _in(evse.target, 1_000),
        f"confirmed_{unit}": _in(evse.confirmed, 1_000),
        "mode": standing.mode,
        "enabled": standing.enabled,
        f"maximum_{unit}": _in(standing.maximum, 1_000),
        "reason": evse.reason,
        "session": evse.session or None,
        "session_kwh": kilowatt_hours(evse.session_wh),
        "energy_kwh": kilowatt_hours(evse.energy_wh),
        "soc_percent": _in(evse.soc, 10),
        "departure": None if evse.departure_ms is None else to_rfc3339(evse.departure_ms),
        "departure_by": standing.car.departure_by or None,
        "needs_kwh": kilowatt_hours(standing.car.energy_wh),
        "needs_by": standing.car.energy_by or None,
        "fault": evse.fault or None,
    }


_UNITS = (
    ("_mvar", "_var", 1_000), ("_mva", "_va", 1_000), ("_mw", "_w", 1_000), ("_ma", "_a", 1_000), ("_mv", "_v", 1_000),
    ("_mhz", "_hz", 1_000), ("_wh", "_kwh", 1_000), ("_permille", "_percent", 10), ("_mc", "_c", 1_000),
    ("_ms", "_s", 1_000),
)  # fmt: skip


def field_of(point: str) -> str:
    """The name of a point in the unit that people use."""
    return _people(point)[0]


def _people(point: str) -> tuple[str, int]:
    """And how many of its base units are one of that."""
    ending, other, per = next(((e, o, p) for e, o, p in _UNITS if point.endswith(e)), ("", "", 1))
    return point.removesuffix(ending) + other, per


def device_state(device: DevicePicture) -> dict[str, Any]:
    """Its points, each in the unit that people use."""
    made: dict[str, Any] = {"online": device.online}
    for point, value in device.points.items():
        name, per = _people(point)
        made[name] = _in(value, per)
    return made


_NOTHING: Mapping[str, Standing] = {}


def states(
    names: Names, picture: SitePicture, standing: Mapping[str, Standing] = _NOTHING
) -> dict[str, dict[str, Any]]:
    """All that is said of a site at one moment, by topic, without the time."""
    made = {names.state: site_state(picture)}
    made |= {names.of("node", node.id): node_state(node) for node in picture.nodes}
    made |= {names.of("evse", evse.id): evse_state(evse, standing.get(evse.id, _FREE)) for evse in picture.evses}
    made |= {names.of("device", device.id): device_state(device) for device in picture.devices}
    return made


def written(state: dict[str, Any], at_ms: int) -> bytes:
    """As it is published, with when it was so (UTC)."""
    return _json.encode({**state, "at": to_rfc3339(at_ms)})
