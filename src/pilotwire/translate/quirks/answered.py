"""What stations answer to our commands, and what they then do not do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pilotwire.domain.facts import AnyFact, CompositeScheduleDiffered
from pilotwire.protocols.ocpp.catalogue import described, entries
from pilotwire.protocols.ocpp.rpc import errors

from .watch import MINUTE, Watch

_CORE_16 = frozenset(
    (
        "ChangeAvailability", "ChangeConfiguration", "ClearCache", "GetConfiguration", "RemoteStartTransaction",
        "RemoteStopTransaction", "Reset", "UnlockConnector",
    )
)  # fmt: skip
"""What every station of 1.6 serves (3.3, feature profile Core)."""
_CORE_2 = frozenset(
    (
        "ChangeAvailability", "GetBaseReport", "GetVariables", "RequestStartTransaction", "RequestStopTransaction",
        "Reset", "SetVariables", "TriggerMessage",
    )
)  # fmt: skip
_TRIGGERS = frozenset(("BootNotification", "Heartbeat", "MeterValues", "StatusNotification"))
_BOOLEAN = frozenset(("true", "false"))
_MISSING = 4
"""So many of the required keys missing from a whole answer are a habit and no oversight."""

_REQUIRED = frozenset(
    one.variable for one in entries("1.6").values() if one.required and one.profile == "Core"
)  # fmt: skip


_OF_METER_VALUES = frozenset(
    ("MeterValuesSampledData", "MeterValueSampleInterval", "MeterValuesAlignedData", "ClockAlignedDataInterval")
)
"""Required and writable by 1.6, 9.1; without them nobody chooses what is measured and when."""


def _configuration(watch: Watch, request: Any, response: Any) -> None:
    rows = response.configuration_key or []
    told = {row.key.casefold() for row in rows}
    unknown = {key.casefold() for key in response.unknown_key or ()}
    asked = {key.casefold() for key in request.key or ()}
    if not asked:
        if sum(key.casefold() not in told for key in _REQUIRED) >= _MISSING:
            watch.saw("configuration-incomplete")
    else:
        if asked - told - unknown or told - asked:
            watch.saw("configuration-not-as-asked")
        if any(key.casefold() in unknown for key in _REQUIRED):
            watch.saw("required-key-unknown")
    for row in rows:
        known = described("1.6", "", row.key)
        if known is not None and row.value is not None:
            if known.kind == "boolean" and row.value not in _BOOLEAN and row.value.strip():
                watch.saw("boolean-spelling")
            if row.readonly and row.key in _OF_METER_VALUES:
                watch.saw("key-read-only")
        given = watch.changed.get(row.key)
        if given is not None and row.value is not None and _plain(row.value) != _plain(given):
            watch.saw("change-not-kept")
            del watch.changed[row.key]


def _plain(value: str) -> str:
    text = value.strip().casefold()
    try:
        return format(float(text), "g")
    except ValueError:
        return ",".join(sorted(part.strip() for part in text.split(",")))


def _changed(watch: Watch, request: Any, response: Any) -> None:
    if response.status == "RebootRequired" and request.key != "AuthorizationKey":
        watch.change(request.key, request.value[:500], at_boot=True)
    if response.status != "Accepted":
        return
    if request.key == "HeartbeatInterval" and request.value.strip().isdecimal():
        watch.interval_s = int(request.value)
        watch.last_beat = watch.beats = 0
    if request.key != "AuthorizationKey":
        watch.change(request.key, request.value[:500])


def _triggered(watch: Watch, request: Any, response: Any) -> None:
    if response.status == "NotImplemented" and request.requested_message in _TRIGGERS:
        watch.saw("trigger-not-implemented")
    elif response.status == "Accepted" and request.requested_message == "StatusNotification":
        watch.expect("trigger-without-message", 2 * MINUTE)


def _waiting(watch: Watch, evse: int | None) -> bool:
    """Whether a car is plugged in where a start was asked for."""
    return any(
        one.status in ("Preparing", "Occupied") and evse in (None, 0, one.evse)
        for one in watch.state.station.connectors
    )


def _started(watch: Watch, request: Any, response: Any) -> None:
    place = getattr(request, "connector_id", None) or getattr(request, "evse_id", None)
    if response.status == "Accepted":
        if _waiting(watch, place):
            watch.expect("remote-start-ignored", 3 * MINUTE)
        if place and watch.unplaced_at and watch.now - watch.unplaced_at < 5 * MINUTE:
            watch.saw("start-needs-connector")
        watch.unplaced_at = 0
    elif not place:
        watch.unplaced_at = watch.now


def _stopped(watch: Watch, request: Any, response: Any) -> None:
    if response.status != "Accepted":
        return
    transaction = str(request.transaction_id)
    session = watch.state.by_transaction(transaction)
    if session is None or session.reported_stop is not None:
        return
    watch.stops_asked[transaction] = watch.now
    while len(watch.stops_asked) > 8:
        del watch.stops_asked[next(iter(watch.stops_asked))]
    watch.expect("remote-stop-ignored", 3 * MINUTE, transaction)


def _reset(watch: Watch, request: Any, response: Any) -> None:
    if response.status == "Accepted" and getattr(request, "evse_id", None) is None:
        kind = str(request.type)
        if kind != "OnIdle" and not any(True for _ in watch.state.active):
            watch.expect("reset-ignored", 5 * MINUTE)


def _profile(watch: Watch, request: Any, response: Any) -> None:
    if response.status != "Accepted":
        return
    profile = getattr(request, "cs_charging_profiles", None) or request.charging_profile
    schedules = profile.charging_schedule
    for schedule in schedules if isinstance(schedules, list) else [schedules]:
        if any(period.limit == 0 for period in schedule.charging_schedule_period[:64]):
            watch.zero_limit_at = watch.now


def _list_sent(watch: Watch, request: Any, response: Any) -> None:
    if response.status == "Accepted":
        watch.list_version = getattr(request, "list_version", None) or getattr(request, "version_number", 0)


def _list_told(watch: Watch, request: Any, response: Any) -> None:
    version = getattr(response, "list_version", None)
    if version is None:
        version = getattr(response, "version_number", None)
    if watch.list_version > 0 and version is not None and version <= 0:
        watch.saw("local-list-forgotten")
        watch.list_version = 0


_READERS: dict[str, Callable[[Watch, Any, Any], None]] = {
    "ChangeConfiguration": _changed,
    "GetConfiguration": _configuration,
    "GetLocalListVersion": _list_told,
    "RemoteStartTransaction": _started,
    "RemoteStopTransaction": _stopped,
    "RequestStartTransaction": _started,
    "RequestStopTransaction": _stopped,
    "Reset": _reset,
    "SendLocalList": _list_sent,
    "SetChargingProfile": _profile,
    "TriggerMessage": _triggered,
}


def answered(watch: Watch, action: str, request: Any, response: Any, facts: Iterable[AnyFact]) -> None:
    """A CALLRESULT; `facts` are what it says."""
    reader = _READERS.get(action)
    if reader is not None:
        reader(watch, request, response)
    for fact in facts:
        if isinstance(fact, CompositeScheduleDiffered):
            watch.saw("composite-schedule-empty" if fact.why == "empty" else "composite-schedule-wrong")


_UNABLE = (errors.NOT_IMPLEMENTED, errors.NOT_SUPPORTED)
_BATCHES = {"GetVariables": "get_variable_data", "SetVariables": "set_variable_data"}


def refused(watch: Watch, action: str, request: Any, code: str, version: str) -> None:
    """A CALLERROR."""
    if code in _UNABLE:
        if action == "TriggerMessage":
            watch.saw("trigger-not-implemented")
        elif action in (_CORE_16 if version == "1.6" else _CORE_2):
            watch.saw("core-action-missing")
    if action == "GetConfiguration" and not request.key:
        watch.saw("configuration-unanswered")
    field = _BATCHES.get(action)
    if field is not None and code not in _UNABLE and len(getattr(request, field)) > 1:
        watch.saw("batch-refused")


def silent(watch: Watch, action: str, request: Any, sent_at: int) -> None:
    """No answer came in time."""
    if action == "GetConfiguration" and not request.key:
        watch.saw("configuration-unanswered")
    elif watch.heard > sent_at:
        watch.saw("command-unanswered")
