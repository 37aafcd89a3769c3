"""`gateway:` in a site's file: Modbus chargers that appear to a central system as OCPP stations of their own.

    gateway:
      - {identity: PW-BAY-1, url: "wss://csms.example/ocpp", evses: [bay-1], password_file: bay-1.secret}

A session begins and ends by what the charger says, its energy is that of the charger's register, also over a time in
which the box was off. What the central system allows is one limit among others: the lowest counts. Without a session
the charger is held at 0 A.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from pilotwire.core.errors import ConfigError
from pilotwire.site.sections import Id, Positive, Section, milli
from pilotwire.site.typed import Finding

from .config import GatewayConfig

__all__ = ["StationSection", "gateway_findings", "password", "station_config"]

_VERSIONS = ("1.6", "2.0.1")


class StationSection(Section, frozen=True):
    """One OCPP station, with one EVSE or those of a charger with several outlets."""

    identity: str
    url: str
    """Of the central system, without the identity: ws:// or wss://."""
    evses: tuple[Id, ...]
    """The first is EVSE (1.6: connector) 1."""
    version: Any = "2.0.1"
    """1.6 or 2.0.1; YAML takes one of them for a number."""
    password_file: str | None = None
    """The password's file, beside the site's. None: none is sent."""
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    """wss: PEM files; without `ca` the system's authorities count, `certificate` and `key` are the station's own."""
    vendor: str = ""
    model: str = ""
    serial: str = ""
    firmware: str = ""
    """As the central system is told; left out: the gateway's own."""
    free_vend: bool = False
    """Everybody may charge: a session begins with the cable, and nobody is asked."""
    id_token: str = ""
    """Under which sessions run that nobody has shown a card for. 1.6 needs one for free_vend."""
    register: Literal["auto", "energy", "session", "power"] = "auto"
    """What counts energy: the charger's total, else its session's, else what its power adds up to."""
    fixed_cable: bool = False
    """The charger's cable is its own: there is nothing to unlock, though chargers of that kind can."""
    rollover_kwh: Positive | None = None
    """Its total begins at 0 again after so much."""
    poll_s: Positive = Decimal(1)


def station_config(section: StationSection, folder: Path) -> GatewayConfig:
    """Raises ConfigError for a password's file that cannot be read."""
    return GatewayConfig(
        identity=section.identity,
        url=section.url,
        version=cast('Literal["1.6", "2.0.1"]', str(section.version)),
        evses=section.evses,
        password=password(section, folder),
        vendor=section.vendor,
        model=section.model,
        serial=section.serial,
        firmware=section.firmware,
        free_vend=section.free_vend,
        token=section.id_token,
        register=section.register,
        fixed_cable=section.fixed_cable,
        rollover_wh=None if section.rollover_kwh is None else milli(section.rollover_kwh),
        poll_ms=milli(section.poll_s),
    )


def password(section: StationSection, folder: Path) -> str:
    """The text of its file, without the line's end; "" where there is none. Raises ConfigError."""
    if section.password_file is None:
        return ""
    path = folder / section.password_file
    try:
        return path.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"gateway, {section.identity}: {path} cannot be read: {error}") from error


def gateway_findings(sections: tuple[StationSection, ...], chargers: Mapping[str, bool], folder: Path) -> list[Finding]:
    """`chargers`: EVSE to whether it is reached by a device file. `folder`: what paths begin at."""
    found: list[Finding] = []
    owner: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    for section in sections:
        where = f"gateway[{section.identity}]"
        if (key := (section.identity, section.url)) in seen:
            found.append(Finding(f"{where}.identity", "is there twice; each station has an identity of its own"))
        seen.add(key)
        found += _own(section, where, folder)
        if not section.evses:
            found.append(Finding(f"{where}.evses", "is empty; name the EVSEs that it stands for"))
        for id in section.evses:
            if id not in chargers:
                found.append(Finding(f"{where}.evses", f"there is no EVSE {id}"))
            elif not chargers[id]:
                text = f"{id} speaks OCPP itself: its central systems are ocpp.upstreams"
                found.append(Finding(f"{where}.evses", text))
            elif owner.setdefault(id, section.identity) != section.identity:
                found.append(Finding(f"{where}.evses", f"{id} is {owner[id]}'s already; an EVSE has one station"))
    return found


def _own(section: StationSection, where: str, folder: Path) -> Iterator[Finding]:
    if str(section.version) not in _VERSIONS:
        yield Finding(f"{where}.version", f"{section.version} is none that the gateway speaks: 1.6 or 2.0.1")
    place = urlsplit(section.url)
    if place.scheme not in ("ws", "wss") or not place.hostname:
        yield Finding(
            f"{where}.url", f"{section.url!r} is no address of a central system; e.g. wss://csms.example/ocpp"
        )
    if place.password:
        yield Finding(f"{where}.url", "has a password; put it into a file and name that by password_file")
    if section.free_vend and str(section.version) == "1.6" and not section.id_token:
        yield Finding(f"{where}.id_token", "is missing: OCPP 1.6 knows no session without a card")
    if not 0 < len(section.identity) <= 48 or ":" in section.identity:
        yield Finding(f"{where}.identity", "has 1 to 48 characters, and no colon")
    for name in ("password_file", "ca", "certificate", "key"):
        text = getattr(section, name)
        if text is not None and not (folder / text).is_file():
            yield Finding(f"{where}.{name}", f"there is no file {folder / text}")
    if (section.certificate is None) != (section.key is None):
        yield Finding(f"{where}.key", "certificate and key go together: give both")
    if place.scheme == "ws" and (section.ca or section.certificate):
        yield Finding(f"{where}.url", "has TLS files but is not encrypted: begin it with wss://")
