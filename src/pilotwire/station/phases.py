"""How the phases of a connector are wired to those of the meter (1.6 ConnectorPhaseRotation, 9.1.7).

R, S and T are the phases L1, L2 and L3 of the meter; the first letter says where L1 of the connector is wired to.
Readings are told as the meter sees them (4.7).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from .sessions import Sampled

if TYPE_CHECKING:
    from .program import Station

_LETTERS = "RST"
_ROTATIONS = frozenset({"RST", "RTS", "SRT", "STR", "TRS", "TSR"})
_MOST = 1_000
_OTHERS = frozenset({"NotApplicable", "Unknown"})


def parse(text: str, connectors: int) -> dict[int, str] | None:
    """Connector (0: between grid and meter) → rotation; None for what is no value of ConnectorPhaseRotation."""
    found: dict[int, str] = {}
    for part in text.split(","):
        number, _, rotation = part.strip().partition(".")
        if not number.isdecimal() or int(number) > connectors or int(number) in found:
            return None
        if rotation not in _ROTATIONS and rotation not in _OTHERS:
            return None
        found[int(number)] = rotation
    return found


def told(station: Station) -> str:
    """The value of ConnectorPhaseRotation: as it was set, else as the station is built."""
    return station.settings.text("phase_rotation") or ",".join(
        f"{evse.id}.{'NotApplicable' if evse.config.dc or evse.config.phases == 1 else 'RST'}" for evse in station.evses
    )


def as_metered(values: tuple[Sampled, ...], setting: str, connector: int) -> tuple[Sampled, ...]:
    """Readings by the phases of a connector, by those of the meter."""
    rotation = (parse(setting, _MOST) or {}).get(connector, "") if setting else ""
    if rotation not in _ROTATIONS or rotation == "RST":
        return values
    names = {f"L{at}": f"L{_LETTERS.index(letter) + 1}" for at, letter in enumerate(rotation, 1)}
    turned = [replace(row, phase=names[row.phase[:2]] + row.phase[2:]) if row.phase else row for row in values]
    # In the meter's order, each measurand where it was.
    order = {row.measurand: at for at, row in reversed(list(enumerate(values)))}
    return tuple(sorted(turned, key=lambda row: (order[row.measurand], row.phase or "")))
