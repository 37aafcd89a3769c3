"""I Tariff and cost, the part about what the CSMS has worked out: CostUpdated (I02)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilotwire.station.host import Reply

from .handling import V2, on

if TYPE_CHECKING:
    from pilotwire.station.program import Station


def cost_updated(station: Station, request: Any) -> Reply:
    # The answer has no room for a refusal: the cost of a transaction that does not run is not shown.
    station.transactions.cost(request.transaction_id, request.total_cost)
    return Reply(station.messages.CostUpdatedResponse())


HANDLERS = on(V2, {"CostUpdated": cost_updated})
