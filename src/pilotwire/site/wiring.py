"""What an id of the file stands for: what is stored of one charger, meter or contract is never believed of another.

A file may be edited between two runs: the id stays, and what stands behind it is another charger, in another unit, with
fail-safe registers that nobody has set. What is remembered of such an id is forgotten; it begins as at the first start.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar

import msgspec

from .compiled import steering_config
from .config import SiteConfig
from .decide import SiteState

Wiring = Mapping[str, str]
"""By `evse ID`, `meter NODE` and `window ID`: all that makes it what it is, as a text to compare."""


def wiring(config: SiteConfig) -> Wiring:
    """Of a configuration that can be compiled."""
    devices = {each.id: f"{each.file} {each.endpoint} {each.unit}" for each in config.devices}
    found: dict[str, str] = {}
    for entry in config.evses:
        at = entry.charger
        where = f"{at.file} {at.endpoint} {at.unit}" if at.ocpp is None else at.ocpp
        found[f"evse {entry.id}"] = f"{entry.current} {where} {at.connector}"
    for node in config.nodes:
        if node.meter is not None:
            found[f"meter {node.id}"] = devices[node.meter]
    for window in () if config.steering is None else steering_config(config).windows:
        meter = found.get(f"meter {window.node}", "")
        found[f"window {window.id}"] = (
            f"{window.node} {window.minutes} {window.billing} {config.site.time_zone} {meter}"
        )
    return found


def others(before: Wiring, now: Wiring) -> tuple[str, ...]:
    """What is something else now, in order. What is new or gone is no other."""
    return tuple(sorted(each for each, what in now.items() if before.get(each, what) != what))


_T = TypeVar("_T")


def _kept(names: Collection[str], kind: str, known: Mapping[str, _T]) -> dict[str, _T]:
    return {id: each for id, each in known.items() if f"{kind} {id}" not in names}


def without(state: SiteState, names: Collection[str]) -> SiteState:
    """`state` without all that it holds of these."""
    energy, steering = state.energy, state.steering
    return msgspec.structs.replace(
        state,
        energy=msgspec.structs.replace(
            energy,
            evses=_kept(names, "evse", energy.evses),
            rotations=_kept(names, "evse", energy.rotations),
            sides=_kept(names, "meter", energy.sides),
        ),
        chargers=_kept(names, "evse", state.chargers),
        meters=_kept(names, "meter", state.meters),
        quality=_kept(names, "meter", state.quality),
        steering=msgspec.structs.replace(steering, demands=_kept(names, "window", steering.demands)),
    )
