"""F Remote control: start, stop and unlock from afar (1.6 section 5.11, 5.12, 5.18; 2.x F01 to F05)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pilotwire.protocols.ocpp.v16 import messages as v16
from pilotwire.station.host import Later, Reply
from pilotwire.station.sessions import Session

from . import smart_charging
from .handling import V2, V16, evse_of, on, reason

if TYPE_CHECKING:
    from pilotwire.station.program import Station

_NOT_YET = "Unspecified", "the central system has not accepted this station yet"
"""B02.FR.05: also where cards may start sessions before that."""
_NO_LOCK = "UnsupportedRequest", "this connector has no lock that can be opened from afar"


def remote_start_16(station: Station, request: v16.RemoteStartTransactionRequest) -> Reply:
    if not station.conversation.accepted:
        return Reply(v16.RemoteStartTransactionResponse(status="Rejected"))  # 4.2
    profile = smart_charging.of_start(station, request)
    then: Callable[[Session], None] | None = None
    if profile is not None:
        # 5.11: only a TxProfile, and it names no transaction yet.
        if smart_charging.unfit(station, profile, request.connector_id) is not None:
            return Reply(v16.RemoteStartTransactionResponse(status="Rejected"))
        wanted = profile

        def install(session: Session) -> None:
            station.smart_charging.install(smart_charging.for_start(station, wanted, session.evse, session))

        then = install
    if request.connector_id == 0:
        return Reply(v16.RemoteStartTransactionResponse(status="Rejected"))
    evse, go = station.entrance.remote_start(request.connector_id, request.id_tag, "Central", None, then)
    return Reply(v16.RemoteStartTransactionResponse(status="Rejected" if evse is None else "Accepted"), go)


def remote_stop_16(station: Station, request: v16.RemoteStopTransactionRequest) -> Reply:
    session = station.dialect.session_of(request.transaction_id)
    if session is None or not station.conversation.accepted:
        return Reply(v16.RemoteStopTransactionResponse(status="Rejected"))
    key = session.key

    def then() -> None:
        station.transactions.stop(key, "Remote", "RemoteStop")

    return Reply(v16.RemoteStopTransactionResponse(status="Accepted"), then)


def unlock_16(station: Station, request: v16.UnlockConnectorRequest) -> Reply | Later:
    evse = evse_of(station, request.connector_id)
    if evse is None or evse.config.fixed_cable:
        return Reply(v16.UnlockConnectorResponse(status="NotSupported"))
    if evse.jammed:
        return Reply(v16.UnlockConnectorResponse(status="UnlockFailed"))

    def begin(answer: Callable[[v16.UnlockConnectorResponse], None]) -> None:
        if evse.session is not None:  # 5.18: that is finished first
            station.transactions.stop(evse.session.key, "UnlockCommand", "UnlockCommand")
        station.unlock(
            evse, lambda free: answer(v16.UnlockConnectorResponse(status="Unlocked" if free else "UnlockFailed"))
        )

    return Later(begin)


def request_start(station: Station, request: Any) -> Reply:
    m = station.messages
    if not station.conversation.accepted:
        return Reply(m.RequestStartTransactionResponse(status="Rejected", status_info=reason(m, *_NOT_YET)))
    wire = smart_charging.of_start(station, request)
    then: Callable[[Session], None] | None = None
    if wire is not None:
        refusal = smart_charging.unfit(station, wire, request.evse_id)
        if refusal is not None:
            return Reply(
                m.RequestStartTransactionResponse(
                    status="Rejected", status_info=reason(m, refusal.reason, refusal.text)
                )
            )

        def install(session: Session) -> None:
            station.smart_charging.install(smart_charging.for_start(station, wire, session.evse, session))

        then = install
    token = request.id_token
    group = request.group_id_token
    evse, go = station.entrance.remote_start(
        request.evse_id,
        token.id_token,
        token.type,
        request.remote_start_id,
        then,
        group.id_token if group is not None else "",
    )
    if evse is None:
        return Reply(m.RequestStartTransactionResponse(status="Rejected"))
    running = evse.session  # F01.FR.13: begun, and nobody let in yet
    key = running.key if running is not None and running.begun else None
    return Reply(m.RequestStartTransactionResponse(status="Accepted", transaction_id=key), go)


def request_stop(station: Station, request: Any) -> Reply:
    m = station.messages
    key = request.transaction_id
    if not station.conversation.accepted:
        return Reply(m.RequestStopTransactionResponse(status="Rejected", status_info=reason(m, *_NOT_YET)))
    if station.transactions.of_key(key) is None:
        return Reply(m.RequestStopTransactionResponse(status="Rejected"))

    def then() -> None:
        session = station.transactions.of_key(key)
        if session is not None:
            station.transactions.release(station.evses[session.evse - 1], "Remote", "RemoteStop")

    return Reply(m.RequestStopTransactionResponse(status="Accepted"), then)


def unlock(station: Station, request: Any) -> Reply | Later:
    m = station.messages
    evse = evse_of(station, request.evse_id)
    if evse is None or request.connector_id != 1:
        return Reply(m.UnlockConnectorResponse(status="UnknownConnector"))
    if evse.session is not None and evse.session.authorized and not evse.session.held:
        return Reply(m.UnlockConnectorResponse(status="OngoingAuthorizedTransaction"))
    if evse.config.fixed_cable:
        return Reply(m.UnlockConnectorResponse(status="UnlockFailed", status_info=reason(m, *_NO_LOCK)))
    if evse.jammed:
        return Reply(m.UnlockConnectorResponse(status="UnlockFailed"))

    def begin(answer: Callable[[Any], None]) -> None:
        station.unlock(
            evse, lambda free: answer(m.UnlockConnectorResponse(status="Unlocked" if free else "UnlockFailed"))
        )

    return Later(begin)


HANDLERS = {
    **on(
        V16,
        {
            "RemoteStartTransaction": remote_start_16,
            "RemoteStopTransaction": remote_stop_16,
            "UnlockConnector": unlock_16,
        },
    ),
    **on(
        V2,
        {
            "RequestStartTransaction": request_start,
            "RequestStopTransaction": request_stop,
            "UnlockConnector": unlock,
        },
    ),
}
