"""The figures of one EVSE as registers show them, whichever map they stand in."""

from __future__ import annotations

from typing import Literal

import msgspec

from pilotwire.domain.energy.model import Phases
from pilotwire.site.ports import EvseDriver, EvseStatus, shown

__all__ = ["OCPP_STATUS", "Figures", "SiteStatus", "figures_of", "ocpp_status"]

OcppStatus = Literal[
    "", "Available", "Preparing", "Charging", "SuspendedEVSE", "SuspendedEV", "Finishing", "Reserved", "Unavailable",
    "Faulted",
]  # fmt: skip
OCPP_STATUS: dict[OcppStatus, int] = {
    "": 0, "Available": 1, "Preparing": 2, "Charging": 3, "SuspendedEVSE": 4, "SuspendedEV": 5, "Finishing": 6,
    "Reserved": 7, "Unavailable": 8, "Faulted": 9,
}  # fmt: skip
"""OCPP 1.6's ChargePointStatus as numbers of our own map; 0: not known."""

_FLOWS_MA = 500
"""Below that a car draws nothing that counts: its electronics."""
_NO_FIGURE = (None, None, None)


class SiteStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The site as its connection is measured and limited now. None: not known, or no such limit."""

    power_mw: int | None = None
    phases_ma: tuple[int | None, int | None, int | None] = _NO_FIGURE
    limit_ma: Phases | None = None
    limit_mw: int | None = None
    limiting: str = ""
    """The node that limits most, and why."""
    reason: str = ""
    nodes: int = 0
    trouble: str = ""
    """What is wrong with the site, in words; "" while all is well."""
    utc_ms: int | None = None
    """When it was so."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Of one EVSE, in base units; None: not known."""

    online: bool
    status: EvseStatus
    ocpp: OcppStatus
    volts_mv: tuple[int | None, int | None, int | None]
    amps_ma: tuple[int | None, int | None, int | None]
    power_mw: int | None
    energy_wh: int | None
    session_wh: int | None
    session_s: int | None
    soc: int | None
    age_ms: int | None
    """Of the oldest of power and currents."""

    def get(self, point: str) -> int | None:
        """A point by its name, unless it is bad or not there."""
        return shown(self.status.points, point)


def figures_of(driver: EvseDriver, now: int) -> Figures:
    """What a driver knows. Where only the sum or only the phases are measured, the other is not made up, but for
    power, which is voltage by current at 230 V where the charger does not measure it."""
    status = driver.status()
    amps = tuple(shown(status.points, f"current_l{n}_ma") for n in (1, 2, 3))
    volts = tuple(shown(status.points, f"voltage_l{n}_mv") for n in (1, 2, 3))
    power = shown(status.points, "power_mw")
    if power is None and any(each is not None for each in amps):
        power = sum((each or 0) * (mv or 230_000) for each, mv in zip(amps, volts, strict=True)) // 1000
    times = [value.at_ms for name, value in status.points.items() if name == "power_mw" or name.startswith("current_")]
    return Figures(
        online=status.online,
        status=status,
        ocpp=ocpp_status(status, amps, power),
        volts_mv=(volts[0], volts[1], volts[2]),
        amps_ma=(amps[0], amps[1], amps[2]),
        power_mw=power,
        energy_wh=shown(status.points, "energy_import_wh"),
        session_wh=shown(status.points, "session_wh"),
        session_s=shown(status.points, "session_s"),
        soc=status.soc if status.soc is not None else shown(status.points, "soc_permille"),
        age_ms=max(0, now - min(times)) if times else None,
    )


def ocpp_status(status: EvseStatus, amps: tuple[int | None, ...], power_mw: int | None) -> OcppStatus:
    """What a central system would show for it."""
    if not status.online or status.pilot is None:
        return ""
    if status.fault or status.pilot == "E":
        return "Faulted"
    if status.pilot == "F":
        return "Unavailable"
    if status.pilot == "A":
        return "Available"
    if status.ended:
        return "Finishing"
    known = [each for each in amps if each is not None]
    if known:
        flows = max(abs(each) for each in known) > _FLOWS_MA
    else:
        flows = power_mw is None or abs(power_mw) > 230 * _FLOWS_MA
    if status.pilot in ("C", "D") and flows:
        return "Charging"
    if status.pilot == "B" and not status.session and not status.id_token:
        return "Preparing"
    return "SuspendedEVSE" if status.offered == 0 else "SuspendedEV"
