"""How things are shown: numbers with units, states with words, colours and icons."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from pilotwire.api.types import Connector, Session, Station
from pilotwire.api.words import spaced

STATIC = Path(__file__).parent / "static"
LIBRARIES = ("vendor/htmx.min.js", "vendor/uPlot.iife.min.js", "vendor/uPlot.min.css")


class State(NamedTuple):
    """What a connector does, to the eye."""

    kind: str
    """free, charging, busy, reserved, off or fault: the colour."""
    text: str
    icon: str


_STATES = {
    "Available": State("free", "Available", "check"),
    "Preparing": State("busy", "Preparing", "plug"),
    "EVConnected": State("busy", "Car connected", "plug"),
    "Occupied": State("busy", "Occupied", "plug"),
    "Idle": State("busy", "Idle", "pause"),
    "Charging": State("charging", "Charging", "bolt"),
    "SuspendedEV": State("busy", "Paused by the car", "pause"),
    "SuspendedEVSE": State("busy", "Paused by the station", "pause"),
    "Finishing": State("busy", "Finishing", "plug"),
    "Reserved": State("reserved", "Reserved", "clock"),
    "Unavailable": State("off", "Out of service", "off"),
    "Faulted": State("fault", "Faulted", "alert"),
    "Unknown": State("off", "Not reported yet", "off"),
}
OFFLINE = State("off", "Offline", "off")


def state_of(station: Station, connector: Connector, session: Session | None) -> State:
    """A 2.x connector only says Occupied; what its session does says more."""
    if not station.connected:
        return OFFLINE
    status = connector.status
    if session is not None and status in ("Occupied", "Unknown") and session.charging_state in _STATES:
        status = session.charging_state
    return _STATES.get(status, State("busy", spaced(status), "plug"))


def kw(power_w: int) -> str:
    """Kilowatts with one decimal; halves go up, as in live.js."""
    return f"{(power_w + 50) // 100 / 10:.1f}"


def kwh(energy_wh: int) -> str:
    """Kilowatt-hours: two decimals below 100, one above."""
    if energy_wh < 100_000:
        return f"{(energy_wh + 5) // 10 / 100:.2f}"
    return f"{(energy_wh + 50) // 100 / 10:,.1f}"


def key_of(station: Station, sessions: dict[str, Session]) -> str:
    """What a card shows besides its moving numbers: `cardKey` in live.js. A change of it draws it anew."""
    parts = [str(int(station.connected)), str(int(station.enabled)), station.ocpp_version or "", station.vendor]
    parts += [station.model]
    for connector in station.connectors:
        session = sessions.get(connector.session_id or "")
        parts += [str(connector.evse), str(connector.connector), connector.status, connector.error_code]
        if session is not None:
            parts += [session.id, session.token, session.charging_state, str(int(session.soc_percent is not None))]
    return "|".join(parts)


def missing_libraries() -> list[str]:
    """Browser libraries that the build has not put in place."""
    return [name for name in LIBRARIES if not (STATIC / name).is_file()]


@cache
def asset(name: str) -> str:
    """The address of a static file, with its content's hash, so that a new release is never shown with old files."""
    try:
        content = (STATIC / name).read_bytes()
    except FileNotFoundError:
        return f"/static/{name}"
    return f"/static/{name}?v={hashlib.sha256(content).hexdigest()[:10]}"


def ticks(text: str) -> Markup:
    """`code` between backticks as code; all else is escaped."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # one backtick too many or too few: it is none of ours
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else escape(part) for index, part in enumerate(parts)
    )


def _segment(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


_environment = Environment(
    loader=PackageLoader("pilotwire.console"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
    lstrip_blocks=True,
)  # fmt: skip


def tiles_of(station: Station) -> list[Connector]:
    """The connectors that are shown; 1.6's connector 0 is the station itself."""
    return [one for one in station.connectors if one.evse > 0]


_environment.globals.update(asset=asset, state_of=state_of, key_of=key_of, tiles_of=tiles_of)
_environment.filters.update(kw=kw, kwh=kwh, segment=_segment, spaced=spaced, ticks=ticks)


def render(template: str, **values: Any) -> str:
    return _environment.get_template(template).render(**values)
