"""Outlets of `pilotwire station --link` at which real vehicles, or other programs, plug in by a real carrier."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pilotwire.cli.can_ends import EDITIONS, open_can_outlet
from pilotwire.core.errors import ConfigError
from pilotwire.core.evse_link import AuthorizationAsked, Ended, Paused

if TYPE_CHECKING:
    from pilotwire.core.time import Scheduler
    from pilotwire.protocols.iso15118.config import SeccConfig
    from pilotwire.station.plugged import Plugged
    from pilotwire.station.program import Station
    from pilotwire.transport.v2g.link import V2gLink

Closer = Callable[[], Awaitable[None]]
FORMS = "v2g:INTERFACE, v2g:HOST:PORT, chademo:BUS or gbt27930:BUS, where BUS is socketcan:can0 or the like"
_UNPLUG_MS = 1_000
"""From the end of a conversation to the plug's being out, where nothing but the network says so."""


class Outlet:
    """One EVSE whose vehicles come over a carrier. Where nothing but a network says so the plug is in while one talks,
    and while its session is paused."""

    def __init__(
        self, station: Station, evse: int, scheduler: Scheduler, token: str, *, plug_seen: bool = False
    ) -> None:
        """`token`: the card that is shown when a vehicle asks to be let in; empty: nobody shows one. `plug_seen`: the
        carrier tells when the plug is out (`pulled`)."""
        self._station = station
        self._evse = evse
        self._scheduler = scheduler
        self._token = token
        self._plug_seen = plug_seen
        self._paused = False
        self._conversations = 0

    def begin(self, command: Callable[[Any], None]) -> Callable[[Any], None]:
        """A conversation has begun; returns who hears its events."""
        plugged = self._station.links.plugged(self._evse) or self._station.links.plug(self._evse)
        plugged.attach(command)
        self._paused = False
        self._conversations += 1
        mine = self._conversations

        def event(event: Any) -> None:
            self._hear(plugged, event)
            if type(event) is Ended and not self._plug_seen:
                self._scheduler.call_later(_UNPLUG_MS, lambda: self._unplug(mine))

        return event

    def _hear(self, plugged: Plugged, event: Any) -> None:
        self._paused = self._paused or type(event) is Paused
        plugged.event(event)
        session = self._station.evse(self._evse).session
        waits = session is None or not session.authorized
        if type(event) is AuthorizationAsked and event.by == "external" and self._token and waits:
            self._station.tap(self._evse, self._token)

    def pulled(self) -> None:
        """The plug is out."""
        self._station.links.unplug(self._evse)

    def _unplug(self, conversation: int) -> None:
        if conversation == self._conversations and not self._paused:
            self._station.links.unplug(self._evse)


async def open_outlet(
    station: Station, evse: int, spec: str, scheduler: Scheduler, *, token: str, pki: Path | None
) -> Closer:
    """Let vehicles in at an EVSE by `spec`, one of FORMS; returns what ends it. Raises ConfigError."""
    kind, _, place = spec.partition(":")
    if kind in EDITIONS and place:
        outlet = Outlet(station, evse, scheduler, token, plug_seen=True)
        return open_can_outlet(outlet, kind, place, station.config.evses[evse - 1]).close
    if kind != "v2g" or not place:
        raise ConfigError(f"--link {spec!r}: write {FORMS}")
    from pilotwire.transport.v2g.secc import run_secc

    outlet = Outlet(station, evse, scheduler, token)
    tls, pnc = None, None
    if pki is not None:
        from pilotwire.cli.v2g_keys import station_of

        tls, pnc = station_of(pki)

    def opened(link: V2gLink) -> Callable[[Any], None]:
        return outlet.begin(link.command)

    where: dict[str, Any] = {"interface": place}
    if ":" in place:
        from pilotwire.cli.options import address

        listen = address(place)
        port = {"tls_port" if tls is not None else "tcp_port": listen.port}
        where = {"host": listen.host, **port} | ({"tcp_port": None} if tls is not None else {})
    server = await run_secc(
        secc_config(station, evse, contract=pnc is not None), opened, tls=tls, pnc=pnc, scheduler=scheduler, **where
    )
    return server.close


def secc_config(station: Station, evse: int, *, contract: bool) -> SeccConfig:
    """What the outlet offers, as the EVSE is built."""
    from pilotwire.protocols.iso15118.config import SeccConfig

    config = station.config.evses[evse - 1]
    identity = "".join(c for c in station.config.identity.upper() if c.isalnum())
    if config.contactless:
        kind: Any = "DC_ACDP" if config.dc else "WPT"
        dialects: Any = ("iso20-acdp" if config.dc else "iso20-wpt",)
    else:
        kind, dialects = ("DC", ("iso20-dc", "iso2", "din")) if config.dc else ("AC", ("iso20-ac", "iso2"))
    services: list[Any] = [kind]
    if config.bidirectional and kind != "WPT":
        services.insert(0, f"{kind}_BPT")
    return SeccConfig(
        evse_id=f"ZZ*PWR*E{identity}{evse:02d}"[:37],
        dialects=dialects,
        services=tuple(services),
        connector=config.connector_type,
        payments=("contract", "external") if contract else ("external",),
        install=contract,
    )
