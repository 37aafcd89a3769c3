"""`ocpp.tls` of a site's file: the certificate that it names, or certificates of the box's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pilotwire.cli import ocpps, secret

if TYPE_CHECKING:
    from pilotwire.site.config import SiteConfig
    from pilotwire.site.loop import Loop
    from pilotwire.transport.ocpp.tls import ServerTls


class SiteTls:
    """A `site.run.Part`: what its stations are shown."""

    def __init__(self, tls: ServerTls, folder: Path, host: str, report: Callable[[str], None]) -> None:
        self.tls = tls
        self._renewal = ocpps.renewal(tls, folder, host, report)

    async def start(self, loop: Loop) -> None:
        """See `run.Part`."""
        await self._renewal.start()

    async def stop(self) -> None:
        """See `run.Part`."""
        await self._renewal.stop()


def site_tls(config: SiteConfig, paths: Path, data: Path, report: Callable[[str], None]) -> SiteTls | None:
    """None where the site's file has no `ocpp.tls`. `paths`: what paths in it begin at; `data`: the site's own folder.
    Raises ConfigError."""
    from pilotwire.site.addresses import address
    from pilotwire.site.ocpp.entries import given_tls

    entry = config.ocpp.tls
    if entry is None:
        return None
    host, _ = address(entry.listen)
    trusted = None if entry.client_ca is None else paths / entry.client_ca
    tls = given_tls(entry, paths) or secret.server_tls(data, host, client_ca=trusted)
    return SiteTls(tls, data / "tls", host, report)
