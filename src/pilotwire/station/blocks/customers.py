"""N Diagnostics, the part about people: CustomerInformation (N09, N10)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pilotwire.core.time import to_rfc3339
from pilotwire.station.host import Reply

from .handling import V2, on, reason

if TYPE_CHECKING:
    from pilotwire.station.program import Station

_PART = 512
"""Characters of NotifyCustomerInformation.data."""


def customer_information(station: Station, request: Any) -> Reply:
    m = station.messages

    def refused(status: str, code: str, words: str) -> Reply:
        return Reply(m.CustomerInformationResponse(status=status, status_info=reason(m, code, words)))

    named = (request.id_token, request.customer_certificate, request.customer_identifier)
    if sum(given is not None for given in named) != 1:
        return refused("Invalid", "MissingParam", "exactly one of token, certificate and identifier")  # N09.FR.09
    if not request.report and not request.clear:
        return refused("Rejected", "InvalidValue", "neither a report nor clearing is asked for")  # N09.FR.07
    # Of certificates and of customers by other names the station keeps nothing.
    token = request.id_token.id_token if request.id_token is not None else request.customer_identifier or ""
    if request.clear and any(evse.session is not None and evse.session.token == token for evse in station.evses):
        return refused("Rejected", "TxInProgress", "they are charging")
    lines = _known(station, token) if token else []
    if request.clear and token:
        _forget(station, token)
    if not lines:
        text = "No data was found."
    elif request.report:
        text = "\n".join(lines)
    else:
        text = "The data was cleared."  # N10.FR.06
    return Reply(m.CustomerInformationResponse(status="Accepted"), _tell(station, request.request_id, text))


def _known(station: Station, token: str) -> list[str]:
    lines: list[str] = []
    cached, listed = station.authorizer.entries_of(token, station.clock.now())
    for where, grant in (("cache", cached), ("local list", listed)):
        if grant is not None:
            group = f", group {grant.group}" if grant.group else ""
            until = "" if grant.expires_at is None else f", until {to_rfc3339(grant.expires_at)}"
            lines.append(f"{where}: {token} {grant.status}{group}{until}")
    lines += [
        f"reservation {row.id}: EVSE {row.evse or 'any'}, until {to_rfc3339(row.expires_at)}"
        for row in station.reservations
        if row.token == token
    ]
    for truth in station.truth:
        if truth.token == token:
            end = "running" if truth.ended_at is None else f"{to_rfc3339(truth.ended_at)}, {truth.energy_wh} Wh"
            lines.append(f"session {truth.transaction}: EVSE {truth.evse}, {to_rfc3339(truth.started_at)} to {end}")
    return lines


def _forget(station: Station, token: str) -> None:
    """All but the local list, which is the CSMS's alone (N10.FR.03)."""
    station.authorizer.forget(token)
    station.transactions.forget_token(token)
    station.reservations.forget_token(token)
    station.tariffs.forget_token(token)


def _tell(station: Station, request_id: int, text: str) -> Callable[[], None]:
    m = station.messages

    def then() -> None:
        generated = station.clock.wall()
        parts = [text[start : start + _PART] for start in range(0, len(text), _PART)]
        for number, part in enumerate(parts):
            station.conversation.call(
                "NotifyCustomerInformation",
                m.NotifyCustomerInformationRequest(
                    request_id=request_id,
                    generated_at=generated,
                    seq_no=number,
                    tbc=True if number + 1 < len(parts) else None,
                    data=part,
                ),
            )
        station.availability.report_all()

    return then


HANDLERS = on(V2, {"CustomerInformation": customer_information})
