"""P DataTransfer: this station has no vendor's extensions (1.6 section 5.6; 2.x P01)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilotwire.station.host import Reply

from .handling import V2, V16, on

if TYPE_CHECKING:
    from pilotwire.station.program import Station


def data_transfer(station: Station, request: Any) -> Reply:
    return Reply(station.messages.DataTransferResponse(status="UnknownVendorId"))


HANDLERS = on(V16 + V2, {"DataTransfer": data_transfer})
