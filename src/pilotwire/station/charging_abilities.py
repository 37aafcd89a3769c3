"""What a station can follow of charging profiles, by its hardware and its settings (K01; 2.1 Q01)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from pilotwire.domain.schedules.model import (
    EXTERNAL_LIMITS,
    EXTERNAL_SETPOINT,
    LOCAL_GENERATION,
    PRIORITY,
    STATION_MAX,
    TX,
    TX_DEFAULT,
    Place,
)
from pilotwire.domain.schedules.rules import Abilities

from .config import EvseConfig

_NOMINAL_MV = 230_000
_DC_MV = 400_000
"""What A and W are converted with on DC, where the voltage is the car's."""
_MODES = frozenset(("CentralSetpoint", EXTERNAL_SETPOINT, EXTERNAL_LIMITS, "Idle"))
_V2X_MODES = _MODES | {"CentralFrequency", "LocalFrequency", "LocalLoadBalancing"}
_ADDITIONAL = frozenset((PRIORITY, LOCAL_GENERATION))
_PURPOSES = frozenset((STATION_MAX, TX_DEFAULT, TX))


@cache
def places(evses: tuple[EvseConfig, ...]) -> Mapping[int, Place]:
    """What is electrically known of the EVSEs, and of the whole station (0). Stations of one build share one."""
    found = {0: Place(_NOMINAL_MV, 3)}
    for number, evse in enumerate(evses, 1):
        if evse.dc:
            found[number] = Place(_DC_MV, 1, dc=True, max_ma=evse.max_ma, max_mw=evse.max_w * 1000)
        else:
            most = min(evse.max_w * 1000, evse.max_ma * 230 * evse.phases)
            found[number] = Place(_NOMINAL_MV, evse.phases, max_ma=evse.max_ma, max_mw=most)
    return found


@cache
def abilities(
    version: str,
    evses: tuple[EvseConfig, ...],
    max_stack: int,
    max_periods: int,
    most: int,
    both_ways: bool,
    balancing: bool,
    units: frozenset[str],
    external_id: int | None,
    sleep: bool,
) -> Abilities:
    """What a station of that build can follow, as it is set; the last are MaxExternalConstraintsId and
    SupportsEvseSleep."""
    newest = version == "2.1"
    return Abilities(
        version=version,
        places={number: place for number, place in places(evses).items() if number},
        purposes=_PURPOSES | _ADDITIONAL if newest else _PURPOSES,
        max_stack=max_stack,
        max_periods=max_periods,
        max_profiles=most,
        units=units,
        max_external_id=external_id if newest else None,
        dynamic=newest,
        max_offline=newest,
        local_time=newest,
        random_delay=newest,
        limit_at_soc=newest,
        sleep=newest and sleep,
        modes=_V2X_MODES if both_ways else _MODES if newest else frozenset(),
        balancing=balancing,
    )
