"""Q Bidirectional power transfer: which transfers are allowed (Q02), and the operator's signal (Q08)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilotwire.core.time import from_datetime
from pilotwire.protocols.ocpp.v21 import messages as v21
from pilotwire.station.host import Reply

from .handling import V21, on, reason

if TYPE_CHECKING:
    from pilotwire.station.program import Station


def allowed(station: Station, request: v21.NotifyAllowedEnergyTransferRequest) -> Reply:
    code = words = ""
    if station.transactions.of_key(request.transaction_id) is None:
        code, words = "TxNotFound", request.transaction_id
    elif not station.v2x.enabled:
        code, words = "NotEnabled", "energy flows one way here"
    elif not station.v2x.knows(request.transaction_id):
        code, words = "UnsupportedRequest", "the car does not speak ISO 15118-20"
    if code:
        return Reply(v21.NotifyAllowedEnergyTransferResponse(status="Rejected", status_info=reason(v21, code, words)))
    return Reply(
        v21.NotifyAllowedEnergyTransferResponse(status="Accepted"),
        lambda: station.v2x.allow(request.transaction_id, list(request.allowed_energy_transfer)),
    )


def signal(station: Station, request: v21.AFRRSignalRequest) -> Reply:
    if not station.v2x.hears_signals():
        return Reply(
            v21.AFRRSignalResponse(
                status="Rejected",
                status_info=reason(v21, "NoSignalWattCurve", "no period of LocalFrequency with v2xSignalWattCurve"),
            )
        )
    at = int(from_datetime(request.timestamp))
    return Reply(v21.AFRRSignalResponse(status="Accepted"), lambda: station.v2x.signal(at, request.signal))


HANDLERS = on(V21, {"AFRRSignal": signal, "NotifyAllowedEnergyTransfer": allowed})
