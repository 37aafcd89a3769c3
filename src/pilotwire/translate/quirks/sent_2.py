"""What stations of 2.0.1 and 2.1 send."""

from __future__ import annotations

from typing import Any

from pilotwire.domain import ranges

from ..metering import milliseconds
from .watch import MINUTE, Look, Watch


def _boot(watch: Watch, request: Any) -> None:
    watch.booted(request.charging_station.vendor_name, request.charging_station.model)


def _heartbeat(watch: Watch, request: object) -> None:
    watch.beat()


def _status(watch: Watch, request: Any) -> None:
    watch.overdue()
    watch.said_status((request.evse_id, request.connector_id, request.connector_status))
    watch.time(milliseconds(request.timestamp))
    watch.came("trigger-without-message")


def _authorize(watch: Watch, request: Any) -> None:
    _token(watch, request.id_token)


def _token(watch: Watch, token: Any) -> None:
    if token.type not in ("NoAuthorization", "Central") and not token.id_token.strip():
        watch.saw("idtag-empty")


def _event(watch: Watch, request: Any) -> None:
    kind = request.event_type
    state = watch.state
    transaction = request.transaction_info.transaction_id
    session = state.by_transaction(transaction)
    time = milliseconds(request.timestamp)
    if request.id_token is not None:
        _token(watch, request.id_token)
    if kind == "Started":
        watch.overdue()
        watch.came("remote-start-ignored")
        if request.evse is None:
            watch.saw("start-without-evse")
        if session is not None and session.status == "ended" and time > session.latest_event:
            watch.saw("transaction-id-reused")
    elif session is None:
        if state.complete:
            watch.saw("event-before-start")
    elif (
        kind == "Updated"
        and time > session.latest_event
        and session.status == "active"
        and ranges.contains(session.seen, request.seq_no)
    ):
        watch.saw("seq-no-constant")
    if kind == "Ended":
        watch.overdue()
        if watch.stops_asked.pop(transaction, None) is not None:
            watch.came("remote-stop-ignored")
        if session is not None and session.reported_stop is None and request.transaction_info.stopped_reason == "Other":
            limited = watch.zero_limit_at
            if limited and watch.now - limited < 2 * MINUTE:
                watch.saw("zero-limit-ends-transaction")
    if request.offline:
        watch.time(time, live=False)
        return
    if (
        watch.gone_at
        and abs(state.station.skew_ms) < 2 * MINUTE
        and watch.gone_at + 2 * MINUTE < time < watch.connected_at - MINUTE
    ):
        watch.saw("offline-not-flagged")  # it had no connection then, and has had time to notice
    watch.time(time, queued=True)


def _report(watch: Watch, request: Any) -> None:
    number = request.request_id
    if number not in watch.reports:
        if request.seq_no != 0:
            watch.saw("report-begins-late")
        while len(watch.reports) >= 4:
            del watch.reports[next(iter(watch.reports))]
    watch.reports[number] = request.seq_no


def _security_event(watch: Watch, request: Any) -> None:
    watch.alarmed()
    watch.time(milliseconds(request.timestamp), live=False)


LOOKS: dict[str, Look] = {
    "Authorize": _authorize,
    "BootNotification": _boot,
    "Heartbeat": _heartbeat,
    "NotifyReport": _report,
    "SecurityEventNotification": _security_event,
    "StatusNotification": _status,
    "TransactionEvent": _event,
}
