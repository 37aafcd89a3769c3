"""What stations of 1.6 send."""

from __future__ import annotations

from pilotwire.domain import sessions_v16
from pilotwire.domain.inputs import StartTransaction
from pilotwire.protocols.ocpp.v16 import messages as m

from ..metering import milliseconds
from .metered import meter_values
from .watch import MINUTE, Look, Watch


def _status(watch: Watch, request: m.StatusNotificationRequest) -> None:
    watch.overdue()
    connector, status, error = request.connector_id, request.status, request.error_code
    watch.said_status((connector, status, error, request.info, request.vendor_error_code))
    if status == "Faulted" and error == "NoError":
        watch.saw("faulted-without-error")
    time = watch.now
    if request.timestamp is not None:
        time = milliseconds(request.timestamp)
        watch.time(time)
    if status == "Charging" and connector:
        if all(one.evse != connector for one in watch.state.active) and len(watch.charging_at) < 64:
            watch.charging_at[connector] = time
    else:
        watch.charging_at.pop(connector, None)
    if status in ("Available", "Finishing"):
        if len(watch.freed) > 64:
            watch.freed.clear()
        watch.freed.update((one.id, time) for one in watch.state.active if one.evse == connector)
    watch.came("trigger-without-message")


def _authorize(watch: Watch, request: m.AuthorizeRequest) -> None:
    if not request.id_tag.strip():
        watch.saw("idtag-empty")


def _start(watch: Watch, request: m.StartTransactionRequest) -> None:
    state, connector = watch.state, request.connector_id
    watch.came("remote-start-ignored")
    watch.overdue()
    if not request.id_tag.strip():
        watch.saw("idtag-empty")
    if connector == 0:
        watch.saw("start-at-connector-zero")
    time = milliseconds(request.timestamp)
    told = watch.charging_at.pop(connector, None)
    if told is not None and told < time < told + 2 * MINUTE:  # a start of before had to wait
        watch.saw("charging-before-start")
    key = sessions_v16.start_key(
        StartTransaction(connector=connector, token=request.id_tag, meter_start_wh=request.meter_start, time=time)
    )
    if state.by_start_key(key) is not None:
        watch.retries += 1
        if watch.retries >= 3:
            watch.saw("start-repeated")
        return
    watch.retries = 0
    if request.meter_start == 0 and any(
        one.evse == connector and one.reported_stop is not None and (one.meter_stop_wh or 0) > 0
        for one in state.sessions.values()
    ):
        watch.saw("meter-start-zero")
    watch.time(time, live=False)


_FORCED = frozenset(("Other", "PowerLoss", None))


def _stop(watch: Watch, request: m.StopTransactionRequest) -> None:
    watch.overdue()
    transaction = request.transaction_id
    asked = watch.stops_asked.pop(str(transaction), None)
    if asked is not None:
        watch.came("remote-stop-ignored")
    if transaction <= 0:
        watch.saw(
            "transaction-id-zero"
            if transaction == 0
            else "transaction-id-minus-one"
            if transaction == -1
            else "transaction-id-negative"
        )
    watch.time(milliseconds(request.timestamp), live=False)
    session = watch.state.by_transaction(str(transaction)) if transaction > 0 else None
    if session is None or session.reported_stop is not None:
        return
    if session.meter_start_wh is not None and request.meter_stop < session.meter_start_wh:
        watch.saw("meter-stop-below-start")
    freed = watch.freed.pop(session.id, None)
    if freed is not None and milliseconds(request.timestamp) > freed:  # else the stop had to wait
        watch.saw("available-before-stop")
    reason = request.reason
    if asked is not None and watch.now - asked < 2 * MINUTE and reason in (None, "Local"):
        watch.saw("remote-stop-reason")
    if watch.zero_limit_at and watch.now - watch.zero_limit_at < 2 * MINUTE and reason in _FORCED and asked is None:
        watch.saw("zero-limit-ends-transaction")


def _boot(watch: Watch, request: m.BootNotificationRequest) -> None:
    watch.booted(request.charge_point_vendor, request.charge_point_model)


def _heartbeat(watch: Watch, request: object) -> None:
    watch.beat()


def _security_event(watch: Watch, request: m.SecurityEventNotificationRequest) -> None:
    watch.alarmed()
    watch.time(milliseconds(request.timestamp), live=False)


LOOKS: dict[str, Look] = {
    "Authorize": _authorize,
    "BootNotification": _boot,
    "Heartbeat": _heartbeat,
    "MeterValues": meter_values,
    "SecurityEventNotification": _security_event,
    "StartTransaction": _start,
    "StatusNotification": _status,
    "StopTransaction": _stop,
}
