"""E Transactions: GetTransactionStatus (E14). What starts and ends them is the program's business."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilotwire.station.host import Reply

from .handling import V2, on

if TYPE_CHECKING:
    from pilotwire.station.program import Station


def transaction_status(station: Station, request: Any) -> Reply:
    m = station.messages
    key = request.transaction_id
    if key is None:
        return Reply(m.GetTransactionStatusResponse(messages_in_queue=len(station.outbox) > 0))
    return Reply(
        m.GetTransactionStatusResponse(
            ongoing_indicator=station.transactions.of_key(key) is not None,
            messages_in_queue=station.outbox.any(lambda entry: entry.session == key),
        )
    )


HANDLERS = on(V2, {"GetTransactionStatus": transaction_status})
