"""C Authorization, the part about ad hoc payment: somebody pays on the web (C25)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilotwire.protocols.ocpp.rpc.errors import PROPERTY_CONSTRAINT, RpcError
from pilotwire.protocols.ocpp.v21 import messages as v21
from pilotwire.station.host import Reply

from .handling import V21, evses_of, on

if TYPE_CHECKING:
    from pilotwire.station.program import Station


def web_payment_started(station: Station, request: v21.NotifyWebPaymentStartedRequest) -> Reply:
    evses = evses_of(station, request.evse_id)
    if evses is None:
        # The answer has no word for it (C25.FR.27).
        raise RpcError(PROPERTY_CONSTRAINT, f"there is no EVSE {request.evse_id}")

    def then() -> None:
        for evse in evses:
            station.payment.lock(evse, request.timeout)

    return Reply(v21.NotifyWebPaymentStartedResponse(), then)


HANDLERS = on(V21, {"NotifyWebPaymentStarted": web_payment_started})
