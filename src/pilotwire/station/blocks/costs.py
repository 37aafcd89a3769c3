"""I Tariff and cost: the cost by the CSMS (I02), and the tariffs by which the station works it out (I07 to I11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from pilotwire.core.time import from_rfc3339, to_datetime
from pilotwire.domain.tariffs import model
from pilotwire.domain.tariffs.model import Tariff
from pilotwire.protocols.ocpp.rpc.errors import NOT_SUPPORTED, RpcError
from pilotwire.station.host import Reply
from pilotwire.station.tariffs import Answer

from .handling import V2, V21, evse_of, on, reason

if TYPE_CHECKING:
    from pilotwire.station.program import Station


def cost_updated(station: Station, request: Any) -> Reply:
    # The answer has no room for a refusal: the cost of a transaction that does not run is not shown.
    station.transactions.cost(request.transaction_id, request.total_cost)
    then = None
    session = station.transactions.of_key(request.transaction_id)
    if session is not None:
        evse = station.evses[session.evse - 1]
        then = lambda: station.touch(evse.id)  # noqa: E731 - the limit by cost is looked at anew (E16.FR.15)
    return Reply(station.messages.CostUpdatedResponse(), then)


def tariff_of(given: Any) -> Tariff:
    """A TariffType as the domain has it."""
    return model.decode(model.encode(given))


def _needs_tariffs(station: Station) -> None:
    if not station.tariffs.enabled:
        raise RpcError(NOT_SUPPORTED, "TariffCostCtrlr is not enabled")  # I07.FR.01


def _info(station: Station, answer: Answer) -> Any:
    return reason(station.messages, answer.code, answer.words) if answer.code else None


def set_default_tariff(station: Station, request: Any) -> Reply:
    _needs_tariffs(station)
    answer = station.tariffs.install(request.evse_id, tariff_of(request.tariff))
    return Reply(station.messages.SetDefaultTariffResponse(status=answer.status, status_info=_info(station, answer)))


def get_tariffs(station: Station, request: Any) -> Reply:
    _needs_tariffs(station)
    m = station.messages
    if request.evse_id and evse_of(station, request.evse_id) is None:
        words = reason(m, "UnknownEvse", f"there is no EVSE {request.evse_id}")
        return Reply(m.GetTariffsResponse(status="Rejected", status_info=words))
    rows = station.tariffs.assignments(request.evse_id)
    found = [
        m.TariffAssignmentType(
            tariff_id=row.tariff.tariff_id,
            tariff_kind=row.kind,
            valid_from=None if row.tariff.valid_from is None else to_datetime(from_rfc3339(row.tariff.valid_from)),
            evse_ids=row.evses or None,
            id_tokens=row.tokens or None,
        )
        for row in rows
    ]
    return Reply(m.GetTariffsResponse(status="Accepted" if found else "NoTariff", tariff_assignments=found or None))


def clear_tariffs(station: Station, request: Any) -> Reply:
    _needs_tariffs(station)
    m = station.messages
    cleared = station.tariffs.clear(request.tariff_ids, request.evse_id)
    rows = [m.ClearTariffsResultType(status="Accepted", tariff_id=one) for one in cleared]
    return Reply(m.ClearTariffsResponse(clear_tariffs_result=rows or [m.ClearTariffsResultType(status="NoTariff")]))


def change_transaction_tariff(station: Station, request: Any) -> Reply:
    _needs_tariffs(station)
    # Nobody can be without a tariff between the answer and the event that tells of the new one.
    tariff = msgspec.structs.replace(tariff_of(request.tariff), valid_from=None)
    answer = station.costs.change(request.transaction_id, tariff)
    response = station.messages.ChangeTransactionTariffResponse(
        status=answer.status, status_info=_info(station, answer)
    )
    if answer.status != "Accepted":
        return Reply(response)
    return Reply(response, lambda: station.costs.changed(request.transaction_id, tariff))


HANDLERS = on(V2, {"CostUpdated": cost_updated}) | on(
    V21,
    {
        "SetDefaultTariff": set_default_tariff,
        "GetTariffs": get_tariffs,
        "ClearTariffs": clear_tariffs,
        "ChangeTransactionTariff": change_transaction_tariff,
    },
)
