"""The client's TLS towards upstreams: one context for all stations that show the same files, made again when they
change."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

from pilotwire.core.errors import ConfigError
from pilotwire.transport.ocpp.tls import Stamps, client_context, stamps

from .config import KnownStation, Upstream
from .entries import UpstreamEntry, path_of

Files = tuple[Path | None, Path | None, Path | None]
"""Authorities, certificate, key."""


def files_of(upstream: Upstream, identity: str, folder: Path) -> Files:
    """What is shown in a station's name, and who is believed."""
    if not isinstance(upstream, UpstreamEntry):
        return None, None, None
    named = (upstream.ca, upstream.certificate, upstream.key)
    ca, chain, key = (None if each is None else path_of(folder, each, identity) for each in named)
    return ca, chain, key


class UpstreamContexts:
    """A `live.UpstreamTls`. Connections that are open keep what they have, the next one gets what the files hold then;
    files that cannot be used are reported, and what was there before stays."""

    def __init__(self, folder: Path, report: Callable[[str], None] = lambda text: None) -> None:
        """`folder`: what paths begin at."""
        self._folder, self._report = folder, report
        self._made: dict[Files, tuple[Stamps, ssl.SSLContext]] = {}

    def __call__(self, upstream: Upstream, station: KnownStation) -> ssl.SSLContext | None:
        """None: not encrypted. Raises ConfigError where there has never been anything that can be used."""
        if not upstream.url.startswith("wss:"):
            return None
        files = files_of(upstream, station.identity, self._folder)
        found, now = self._made.get(files), stamps(files)
        if found is not None and found[0] == now:
            return found[1]
        ca, chain, key = files
        try:
            context = client_context(ca=ca, chain=chain, key=key)
        except ConfigError as error:
            if found is None:
                raise
            self._report(f"ocpp.upstreams[{upstream.name}]: {error}; the files before are still used")
            context = found[1]
        self._made[files] = now, context
        return context
