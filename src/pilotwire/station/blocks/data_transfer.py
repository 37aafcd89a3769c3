"""P DataTransfer (1.6 section 5.6; 2.x P01). Of vendors' extensions this station has one: in 1.6 California's messages
of prices and cost, where `CustomDisplayCostAndPrice` is on."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from pilotwire.core.time import from_rfc3339
from pilotwire.domain.tariffs.model import Text
from pilotwire.station.host import Reply
from pilotwire.station.meter_watch import Wanted
from pilotwire.translate import california

from .handling import V2, V16, on

if TYPE_CHECKING:
    from pilotwire.station.program import Station


class _Price(msgspec.Struct, rename="camel"):
    """SetUserPrice."""

    id_token: str
    price_text: str


class _Trigger(msgspec.Struct, rename="camel"):
    """triggerMeterValue: when the meter is to be read (kWh of the register, kW)."""

    at_time: str | None = None
    at_energyk_wh: Decimal | None = None
    at_powerk_w: Decimal | None = None
    at_cp_status: list[str] = msgspec.field(default_factory=list, name="atCPStatus")


class _Cost(msgspec.Struct, rename="camel"):
    """RunningCost and FinalCost, as far as this station shows it."""

    transaction_id: int
    cost: Decimal
    trigger_meter_value: _Trigger | None = None


_price = msgspec.json.Decoder(_Price)
_cost = msgspec.json.Decoder(_Cost)


def data_transfer(station: Station, request: Any) -> Reply:
    status = "UnknownVendorId"
    if request.vendor_id == california.VENDOR and station.config.version == "1.6":
        status = _shown(station, request.message_id or "", request.data or "")
    return Reply(station.messages.DataTransferResponse(status=status))


def _shown(station: Station, message: str, data: str) -> str:
    if not station.settings.flag("cost_display"):
        return "Rejected"
    try:
        if message == california.USER_PRICE:
            price = _price.decode(data)
            station.tariffs.show(price.id_token, Text(format="UTF8", content=price.price_text))
        elif message in (california.RUNNING, california.FINAL):
            cost = _cost.decode(data)
            key = station.transactions.key_of(str(cost.transaction_id))
            if key is None:
                return "Rejected"
            station.transactions.cost(key, cost.cost, final=message == california.FINAL)
            session = station.transactions.of_key(key)
            if message == california.RUNNING and session is not None:
                station.meter_watch.ask(session.evse, _wanted(cost.trigger_meter_value))
        else:
            return "UnknownMessageId"
    except (msgspec.DecodeError, ValueError):
        return "Rejected"
    return "Accepted"


def _wanted(given: _Trigger | None) -> Wanted:
    if given is None:
        return Wanted()
    return Wanted(
        at=None if given.at_time is None else from_rfc3339(given.at_time),
        wh=None if given.at_energyk_wh is None else int(given.at_energyk_wh * 1000),
        watts=None if given.at_powerk_w is None else int(given.at_powerk_w * 1000),
        statuses=frozenset(given.at_cp_status),
    )


HANDLERS = on(V16 + V2, {"DataTransfer": data_transfer})
