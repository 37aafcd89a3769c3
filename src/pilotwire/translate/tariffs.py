"""Block I ⇄ the domain: tariffs on the wire, what 2.1 stations say of cost, what answers to our commands mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from pilotwire.domain import costs, inputs
from pilotwire.domain.tariffs import model
from pilotwire.domain.tariffs.bill import Told
from pilotwire.domain.tariffs.model import Tariff
from pilotwire.protocols.ocpp.v21 import messages as v21

from .limits import with_limit
from .table import Read, Served


def tariff_of(wire: Any) -> Tariff:
    """A TariffType as the domain has it."""
    return model.decode(model.encode(wire))


def tariff_wire(tariff: Tariff) -> Any:
    """A TariffType of the domain's."""
    return _wire_decoder.decode(model.encode(tariff))


_wire_decoder = msgspec.json.Decoder(v21.TariffType)


def with_cost(read: Read) -> Read:
    """TransactionEvent of 2.1: `read` and what it says of tariff and cost."""

    def both(request: Any) -> inputs.TransactionEvent:
        given = read(request)
        assert isinstance(given, inputs.TransactionEvent)
        named, cost = request.transaction_info.tariff_id, request.cost_details
        if named is None and cost is None:
            return given
        return replace(given, tariff_id=named or "", cost=None if cost is None else _told(cost, given.kind == "Ended"))

    return both


def rows_21(base: Mapping[str, Served]) -> dict[str, Served]:
    """What 2.1 adds to messages that 2.0.1 has too."""
    event, authorize = base["TransactionEvent"], base["Authorize"]

    def authorized(outcome: inputs.TokenVerdict, now: int) -> Any:
        response: Any = authorize.answer(outcome, now)
        if outcome.tariff is not None:
            response.tariff = tariff_wire(outcome.tariff)
        return response

    return {
        "TransactionEvent": replace(event, read=with_limit(with_cost(event.read))),
        "Authorize": replace(authorize, answer=authorized),
    }


def _told(cost: Any, final: bool) -> Told:
    total = cost.total_cost.total
    failed = (cost.failure_reason or "it does not say why") if cost.failure_to_calculate else ""
    reserved = cost.total_usage.reservation_time
    return Told(
        cost.total_cost.currency, total.excl_tax, total.incl_tax, final=final, failed=failed, reserved_s=reserved
    )


# ── what stations answer ─────────────────────────────────────────────────────────────────────────────────────────────


def _set(request: Any, response: Any) -> inputs.Input | None:
    # A station that says that it has this tariff has it.
    if response.status not in ("Accepted", "DuplicateTariffId"):
        return None
    return costs.DefaultAccepted(evse=request.evse_id, tariff=tariff_of(request.tariff))


def _cleared(request: Any, response: Any) -> inputs.Input | None:
    rows = response.clear_tariffs_result
    kept = {row.tariff_id for row in rows if row.status == "Rejected"}
    if None in kept:
        return None
    if request.tariff_ids is None:
        gone = [row.tariff_id for row in rows if row.status == "Accepted" and row.tariff_id is not None]
        every = not gone and not kept  # NoTariff: there is none
        return costs.Cleared(ids=None if every else tuple(gone), evse=request.evse_id or 0)
    return costs.Cleared(ids=tuple(one for one in request.tariff_ids if one not in kept), evse=request.evse_id or 0)


def _listed(request: Any, response: Any) -> inputs.Input | None:
    if response.status not in ("Accepted", "NoTariff"):
        return None
    rows = response.tariff_assignments or ()
    ids = frozenset(row.tariff_id for row in rows if row.tariff_kind == "DefaultTariff")
    return costs.Listed(ids=ids, evse=request.evse_id)


def _changed(request: Any, response: Any) -> inputs.Input | None:
    if response.status != "Accepted":
        return None
    return costs.TariffOffered(transaction=request.transaction_id, tariff=tariff_of(request.tariff))


_READERS: Mapping[str, Callable[[Any, Any], inputs.Input | None]] = {
    "SetDefaultTariff": _set,
    "ClearTariffs": _cleared,
    "GetTariffs": _listed,
    "ChangeTransactionTariff": _changed,
}


def answered(action: str, request: Any, response: Any) -> inputs.Input | None:
    """What the answer to a command of ours says of tariffs, or None."""
    reader = _READERS.get(action)
    return None if reader is None else reader(request, response)
