"""§ 14a EnWG: what the grid operator has to leave to controllable devices when he dims (BK6-22-300, Anlage 1, 4.5).

Controlled directly, a device is left 4.2 kW (4.5.1). Where an energy management shares out for n of them, it is

    4.2 kW + (n - 1) * GZF * 4.2 kW

together (4.5.2), with a simultaneity factor GZF from 0.80 for two to 0.45 for nine and more. Heat pumps count as one
device with the sum of their power, and so does cooling; above 11 kW such a group is left 40 % of that in place of 4.2
kW, and of two such groups the larger counts.

The figures are those of public calculations that name these clauses, and of makers' pages; the order's own text was
not at hand. That several heat pumps count as one rests on such pages alone.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from .config import Load, Steuve

DEVICE_MW = 4_200_000
LARGE_MW = 11_000_000
"""A group of heat pumps, or of cooling, above this is left a share of its power."""
_SHARE_PERMILLE = 400
_GZF = {2: 800, 3: 750, 4: 700, 5: 650, 6: 600, 7: 550, 8: 500}
_MANY = 450
_GROUPED = ("heat_pump", "hvac")


class Minimum(NamedTuple):
    """In mW from the grid: what is left to all of them together, and to each device by itself."""

    together: int
    each: Mapping[str, int]


def gzf_permille(devices: int) -> int:
    """The simultaneity factor for so many devices."""
    return 1_000 if devices < 2 else _GZF.get(devices, _MANY)


def minimum_mw(devices: int, first_mw: int = DEVICE_MW) -> int:
    """What so many devices behind one energy management may draw at least; `first_mw`: what one alone is left."""
    if devices <= 0:
        return 0
    return first_mw + (devices - 1) * gzf_permille(devices) * DEVICE_MW // 1_000


def left(steuve: Steuve, loads: Iterable[Load]) -> Minimum:
    """To these devices. `loads`: all of the site; what is none of them is a charge point or a battery."""
    known = {load.id: load for load in loads}
    each = dict.fromkeys(steuve.devices, DEVICE_MW)
    groups: dict[str, list[Load]] = {}
    for id in each:
        load = known.get(id)
        if load is not None and load.kind in _GROUPED:
            groups.setdefault(load.kind, []).append(load)
    largest, count = DEVICE_MW, len(each)
    for members in groups.values():
        power = sum(load.nominal_mw for load in members)
        group = DEVICE_MW if power <= LARGE_MW else power * _SHARE_PERMILLE // 1_000
        largest, count = max(largest, group), count - len(members) + 1
        for load in members:
            each[load.id] = group * load.nominal_mw // max(1, power)
    return Minimum(minimum_mw(count, largest), each)
