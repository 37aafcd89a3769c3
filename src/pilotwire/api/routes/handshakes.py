"""Handshakes over HTTP."""

from __future__ import annotations

from litestar import get

from .. import types
from ..resources import handshakes
from .common import PlainRequest, StationPath, context_of, segment, whoever


@get(
    "/stations/{station_id:str}/handshakes",
    operation_id="listHandshakes",
    tags=["Stations"],
    summary="Who tried to connect as this station",
)
async def list_handshakes(request: PlainRequest, station_id: StationPath) -> types.HandshakePage:
    """The last handshakes in the name of a station, newest first, with what was wrong and what to do: wrong path,
    password, subprotocol, certificate, clock. Also of a station that has no account yet. Kept in memory alone."""
    return types.HandshakePage(
        items=await handshakes.handshakes(context_of(request), whoever(request), segment(station_id))
    )


@get("/handshakes", operation_id="listStrangers", tags=["Stations"], summary="Who tried to connect as no station")
async def list_strangers(request: PlainRequest) -> types.HandshakePage:
    """The last connections that named no station: TLS that failed, plain HTTP, other protocols."""
    return types.HandshakePage(items=await handshakes.strangers(context_of(request), whoever(request)))


HANDLERS = [list_handshakes, list_strangers]
