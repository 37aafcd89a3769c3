"""What a station hands to its CSMS for a vendor's extension: DataTransfer of its own accord (1.6 section 4.3; 2.x P02).

The station only carries it. `then` is given the response, or None where nobody answered or the CSMS refused. Nothing is
kept for later.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .program import Station

Then = Callable[[Any], None]


def transfer(station: Station, vendor: str, message: str = "", data: str = "", then: Then | None = None) -> None:
    """Send DataTransfer, in every version."""
    m = station.messages
    request = m.DataTransferRequest(vendor_id=vendor, message_id=message or None, data=data or None)
    station.conversation.call(
        "DataTransfer", request, lambda response, error: then(response) if then is not None else None
    )
    station.finish()
