"""The files of `pilotwire pki FOLDER`, as a station and a vehicle use them: TLS, and Plug & Charge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotwire.core.errors import ConfigError

if TYPE_CHECKING:
    from pilotwire.crypto.pnc.pki import Pki
    from pilotwire.crypto.pnc.trust import Trust
    from pilotwire.protocols.iso15118.pnc import Edition
    from pilotwire.transport.v2g.tls import EvccTls, SeccTls

EDITIONS: tuple[Edition, ...] = ("iso2", "iso20")
V2G_ROOTS = "v2g-roots.pem"


def editions(folder: Path) -> dict[Edition, Pki]:
    """What is in the folder, by edition. Raises ConfigError when there is nothing, or something else."""
    from pilotwire.cli.pki import load

    found: dict[Edition, Pki] = {edition: load(folder, edition) for edition in EDITIONS if (folder / edition).is_dir()}
    if not found:
        raise ConfigError(f"{folder} holds no PKI: make one with `pilotwire pki {folder}`")
    return found


def trust_of(made: dict[Edition, Pki]) -> Trust:
    """Believes in the roots of all editions."""
    from pilotwire.crypto.pnc.trust import Trust

    roots: dict[str, list[bytes]] = {"v2g": [], "mo": [], "oem": []}
    for pki in made.values():
        for anchor, ders in pki.roots().items():
            roots[anchor] += ders
    return Trust(
        v2g=roots["v2g"],
        mo=roots["mo"],
        oem=roots["oem"],
        kinds={edition: (pki.kind,) for edition, pki in made.items()},
        below=[der for pki in made.values() for der in pki.below()],
    )


def station_of(folder: Path) -> tuple[SeccTls, Any]:
    """TLS files of the station and its `SeccPnc`. Raises ConfigError."""
    from pilotwire.crypto.pnc.station import Station
    from pilotwire.transport.v2g.tls import SeccTls

    made = editions(folder)
    first, last = folder / next(iter(made)), folder / list(made)[-1]
    tls = SeccTls(
        chain=first / "secc.pem",
        key=first / "secc.key",
        chain20=last / "secc.pem" if last != first else None,
        key20=last / "secc.key" if last != first else None,
        vehicle_roots=last / "oem-root.pem" if "iso20" in made else None,
    )
    return tls, Station(trust_of(made))


def vehicle_of(folder: Path, *, contract: bool) -> tuple[EvccTls, Any]:
    """TLS files of the vehicle and its `EvccPnc`; without `contract` it only has its provisioning certificate. Raises
    ConfigError."""
    from pilotwire.crypto.pnc.vehicle import Identity, Vehicle
    from pilotwire.transport.v2g.tls import EvccTls

    made = editions(folder)
    newest = folder / "iso20"
    tls = EvccTls(
        roots=folder / V2G_ROOTS,
        chain=newest / "vehicle.pem" if "iso20" in made else None,
        key=newest / "vehicle.key" if "iso20" in made else None,
        newest="iso20" in made,
    )
    held: dict[str, dict[Edition, Identity]] = {
        name: {edition: Identity(pki[name].chain, pki[name].key) for edition, pki in made.items()}
        for name in ("contract", "oem")
    }
    return tls, Vehicle(trust_of(made), contracts=held["contract"] if contract else None, provisioning=held["oem"])
