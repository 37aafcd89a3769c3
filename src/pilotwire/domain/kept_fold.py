"""The fold of what stations keep (`Station.kept`): one small function per fact, the same live and in replay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from msgspec.structs import replace

from . import facts, kept, ranges
from .kept import Kept, Progress
from .records import Station

T = TypeVar("T")

_FRESH_MS = 10_000
"""How stale a stream's figures may be in the store."""


def of(station: Station) -> Kept:
    """The station's, made on first use."""
    if station.kept is None:
        station.kept = Kept()
    return station.kept


def _put(held: list[T], new: T, same: Callable[[T], bool], most: int) -> None:
    """`new` in the place of the one that is the same, else at the end; the first go where there are too many."""
    for index, one in enumerate(held):
        if same(one):
            held[index] = new
            return
    held.append(new)
    del held[:-most]


# -- reports in parts -------------------------------------------------------------------------------------------------
def progress(station: Station, kind: str, request_id: int, seq_no: int | None, more: bool, now: int) -> None:
    """A part of a report has come. Reports without seqNo come in order."""
    reports = of(station).reports
    found = next((one for one in reports if one.kind == kind and one.request_id == request_id), None)
    if found is not None and found.complete and (seq_no is None or (seq_no == 0 and found.last != 0)):
        reports.remove(found)  # the same requestId was asked for anew
        found = None
    if found is None:
        found = Progress(kind=kind, request_id=request_id)
        reports.append(found)
        del reports[: -kept.MOST_REPORTS]
    number = seq_no if seq_no is not None else (found.seen[-1][1] + 1 if found.seen else 0)
    ranges.insert(found.seen, number)
    if not more:
        found.last = number
    found.at = now


def on_variables(station: Station, fact: facts.VariablesReported, now: int) -> bool:
    changed = False
    for one in fact.variables:
        name = _limit(one)
        value = _FLAGS.get(one.value or "", one.value)
        if name and value is not None and value.isdecimal() and len(value) < 10:
            changed |= _put_limit(station, name, int(value))
        elif (one.component, one.variable) == _MASTER and one.value is not None:
            changed |= one.value != of(station).master
            of(station).master = one.value
        elif (one.component, one.variable) == _TAKES and one.value is not None:
            changed |= one.value != of(station).takes
            of(station).takes = one.value
        elif (one.component, one.variable, one.attribute) == _NETWORKS and one.value is not None:
            changed |= one.value != of(station).networks
            of(station).networks = one.value
    if fact.request_id is None:
        return changed
    progress(station, "variables", fact.request_id, fact.seq_no, fact.more, now)
    return True


_PERSISTENCE = ("SmartChargingCtrlr", "ChargingProfilePersistence")
_MASTER = ("AuthCtrlr", "MasterPassGroupId")
_TAKES = ("TxCtrlr", "SupportedLimits")
_NETWORKS = ("OCPPCommCtrlr", "NetworkConfigurationPriority", "Actual")
_LIMITS = {"ItemsPerMessage": "items", "BytesPerMessage": "bytes"}
_LIMITED = {
    "items": ("GetReport",),
    "bytes": ("GetReport", "GetVariables", "SetVariables", "SetVariableMonitoring", "ClearVariableMonitoring"),
}
_FLAGS = {"true": "1", "false": "0"}
_SMART = {
    "ACPhaseSwitchingSupported": "phase switching",
    "MaxExternalConstraintsId": "external ids",
    "PeriodsPerSchedule": "periods",
}
"""Variables of SmartChargingCtrlr; ACPhaseSwitchingSupported is 0 or 1, that of an EVSE has its number behind it."""
_LIMITS_16 = {"GetConfigurationMaxKeys": "items GetConfiguration", "SendLocalListMaxLength": "items SendLocalList"}


def _limit(one: facts.ReportedVariable) -> str:
    """Which of `Kept.limits` a variable is; "" for all others."""
    if not one.component:
        return _LIMITS_16.get(one.variable, "")
    if (one.component, one.variable) == _PERSISTENCE:
        return kept.PERSISTS if one.variable_instance == "TxProfile" and one.attribute == "Actual" else ""
    if one.component == "SmartChargingCtrlr":
        name = _SMART.get(one.variable, "") if one.attribute == "Actual" else ""
        return f"{name} {one.evse}" if name and one.evse else name
    what = _LIMITS.get(one.variable)
    if what is None or one.attribute != "Actual":
        return ""
    if one.component == "LocalAuthListCtrlr":
        return f"{what} SendLocalList"
    return f"{what} {one.variable_instance}" if one.variable_instance in _LIMITED[what] else ""


def _put_limit(station: Station, name: str, most: int) -> bool:
    limits = of(station).limits
    if limits.get(name) == most:
        return False
    limits[name] = most
    return True


# -- H ----------------------------------------------------------------------------------------------------------------
def on_reserved(station: Station, fact: facts.ReservationMade, now: int) -> bool:
    made = kept.Reservation(
        id=fact.reservation_id,
        token=fact.token,
        token_type=fact.token_type,
        group=fact.group,
        evse=fact.evse,
        connector_type=fact.connector_type,
        made_at=fact.event_time,
        expires_at=fact.expires_at,
    )
    _put(of(station).reservations, made, lambda one: one.id == made.id, kept.MOST_RESERVATIONS)
    return True


def on_reservation_ended(station: Station, fact: facts.ReservationEnded, now: int) -> bool:
    for one in of(station).reservations:
        if one.id == fact.reservation_id and one.status == "waiting":
            one.status, one.ended_at = fact.why, fact.event_time
    return True


def on_session(station: Station, reservation_id: int, session: str, at: int) -> bool:
    """A session names the reservation that it came by."""
    if station.kept is None:
        return False
    for one in station.kept.reservations:
        if one.id == reservation_id and not one.session:
            one.status, one.ended_at, one.session = "used", at, session
            return True
    return False


# -- N ----------------------------------------------------------------------------------------------------------------
def on_monitors(station: Station, fact: facts.MonitorsTold, now: int) -> bool:
    now_kept = of(station)
    if fact.request_id is not None and now_kept.renumbered:
        now_kept.renumbered = False
        now_kept.monitors = [one for one in now_kept.monitors if one.origin != kept.CUSTOM]
    held = {one.id: one for one in now_kept.monitors}
    for one in fact.monitors:
        held[one.id] = one
    now_kept.monitors = list(held.values())[-kept.MOST_MONITORS :]
    if fact.request_id is not None:
        progress(station, "monitors", fact.request_id, fact.seq_no, fact.more, now)
    return True


def on_monitors_cleared(station: Station, fact: facts.MonitorsCleared, now: int) -> bool:
    held = of(station)
    held.monitors = [one for one in held.monitors if one.id not in fact.ids]
    return True


def on_monitoring(station: Station, fact: facts.MonitoringSet, now: int) -> bool:
    held = of(station)
    if fact.base:
        held.monitoring_base = fact.base
        # N05: the monitors that we set are gone with another base; what is there now, a report tells.
        held.monitors = [one for one in held.monitors if one.origin != kept.CUSTOM or fact.base == "All"]
    if fact.severity is not None:
        held.monitoring_level = fact.severity
    return True


def on_customer_information(station: Station, fact: facts.CustomerInformationTold, now: int) -> bool:
    progress(station, "customer", fact.request_id, fact.seq_no, fact.more, now)
    return True


def on_stream_set(station: Station, fact: facts.StreamSet, now: int) -> bool:
    streams = of(station).streams
    old = next((one for one in streams if one.id == fact.stream), None)
    if old is not None and fact.monitor in (None, old.monitor):
        old.interval_s = fact.interval_s if fact.interval_s is not None else old.interval_s
        old.values = fact.values if fact.values is not None else old.values
        return True
    if fact.monitor is None:
        return False
    new = kept.Stream(
        id=fact.stream, monitor=fact.monitor, interval_s=fact.interval_s, values=fact.values, opened_at=fact.event_time
    )
    _put(streams, new, lambda one: one.id == fact.stream, kept.MOST_STREAMS)
    return True


def on_streams_listed(station: Station, fact: facts.StreamsListed, now: int) -> bool:
    held = of(station)
    known = {(one.id, one.monitor): one for one in held.streams}
    listed: list[kept.Stream] = []
    for row in fact.streams[: kept.MOST_STREAMS]:
        one = known.get((row.stream, row.monitor))
        if one is None:
            one = kept.Stream(id=row.stream, monitor=row.monitor, opened_at=fact.event_time)
        one.interval_s, one.values = row.interval_s, row.values
        listed.append(one)
    held.streams = listed
    return True


def on_stream_closed(station: Station, fact: facts.StreamClosed, now: int) -> bool:
    held = of(station)
    held.streams = [one for one in held.streams if one.id != fact.stream]
    return True


def on_stream_told(station: Station, fact: facts.StreamTold, now: int) -> bool:
    if station.kept is None:
        return False
    for one in station.kept.streams:
        if one.id == fact.stream:
            stale = one.last_at is None or now - one.last_at >= _FRESH_MS
            one.told += len(fact.values)
            one.pending = fact.pending
            if stale:
                one.last_at = now
            return stale
    return False


# -- O ----------------------------------------------------------------------------------------------------------------
def on_messages(station: Station, fact: facts.DisplayMessagesTold, now: int) -> bool:
    held = of(station)
    found = {one.id: one for one in held.messages}
    for one in fact.messages:
        found[one.id] = one
    held.messages = list(found.values())[-kept.MOST_MESSAGES :]
    if fact.request_id is not None:
        progress(station, "messages", fact.request_id, None, fact.more, now)
    return True


def on_message_cleared(station: Station, fact: facts.DisplayMessageCleared, now: int) -> bool:
    held = of(station)
    held.messages = [one for one in held.messages if one.id != fact.message]
    return True


# -- C, D, Q, S -------------------------------------------------------------------------------------------------------
def on_payment(station: Station, fact: facts.PaymentSettled, now: int) -> bool:
    new = kept.Payment(
        reference=fact.reference,
        status=fact.status,
        amount=fact.amount,
        at=fact.event_time,
        transaction=fact.transaction,
        receipt=fact.receipt,
        receipt_url=fact.receipt_url,
        why=fact.why,
        vat_number=fact.vat_number,
        company=fact.company,
    )
    # C20: one settlement per pspRef; a station says it again until it is answered.
    _put(of(station).payments, new, lambda one: one.reference == fact.reference, kept.MOST_PAYMENTS)
    return True


def on_local_list(station: Station, fact: facts.LocalListTold, now: int) -> bool:
    held = of(station)
    old = held.local_list
    if not fact.kind and old is not None and old.version == fact.version:
        old.at = fact.event_time
    else:
        held.local_list = kept.ListAtStation(
            version=fact.version, at=fact.event_time, kind=fact.kind, entries=fact.entries
        )
    return True


def on_transfers(station: Station, fact: facts.EnergyTransferAllowed, now: int) -> bool:
    transfers = of(station).transfers
    transfers.pop(fact.transaction, None)
    transfers[fact.transaction] = fact.modes
    while len(transfers) > kept.MOST_TRANSFERS:
        del transfers[next(iter(transfers))]
    return True


def on_swap_requested(station: Station, fact: facts.BatterySwapRequested, now: int) -> bool:
    _swap(station, kept.Swap(request_id=fact.request_id, kind="requested", at=fact.event_time, token=fact.token))
    return True


def on_swapped(station: Station, fact: facts.BatterySwapped, now: int) -> bool:
    new = kept.Swap(
        request_id=fact.request_id,
        kind=fact.kind,
        at=fact.event_time,
        token=fact.token,
        batteries=fact.batteries,
    )
    _swap(station, new)
    return True


def _swap(station: Station, new: kept.Swap) -> None:
    swaps = of(station).swaps
    _put(swaps, new, lambda one: (one.request_id, one.kind) == (new.request_id, new.kind), kept.MOST_SWAPS)


def on_signal(station: Station, fact: facts.GridSignalTaken, now: int) -> bool:
    of(station).signal = (fact.event_time, fact.signal)
    return True


# -- R ----------------------------------------------------------------------------------------------------------------
def on_controls(station: Station, fact: facts.GridControlsTold, now: int) -> bool:
    held = of(station)
    found = {one.id: one for one in held.controls}
    for one in fact.controls:
        old = found.get(one.id)
        found[one.id] = replace(one, running=old.running) if old is not None else one
    _supersede(found, fact.superseded)
    held.controls = list(found.values())[-kept.MOST_CONTROLS :]
    if fact.request_id is not None:
        progress(station, "controls", fact.request_id, None, fact.more, now)
    return True


def _supersede(controls: dict[str, kept.Control], ids: tuple[str, ...]) -> None:
    for name in ids:
        if name in controls:
            controls[name] = replace(controls[name], superseded=True, running=False)


def on_controls_cleared(station: Station, fact: facts.GridControlsCleared, now: int) -> bool:
    held = of(station)

    def goes(one: kept.Control) -> bool:
        if one.default != fact.default:
            return False
        return one.id == fact.control if fact.control else fact.kind in ("", one.kind)

    gone = [one for one in held.controls if goes(one)]
    held.controls = [one for one in held.controls if not goes(one)]
    # R04: what a control had superseded holds again once nothing of its kind stands before it.
    for one in gone:
        _revive(held, one)
    return True


def _revive(held: Kept, gone: kept.Control) -> None:
    rivals = [one for one in held.controls if one.kind == gone.kind and one.default == gone.default]
    if rivals and all(one.superseded for one in rivals):
        best = min(rivals, key=lambda one: one.priority)
        held.controls[held.controls.index(best)] = replace(best, superseded=False)


def on_control_ran(station: Station, fact: facts.GridControlRan, now: int) -> bool:
    held = of(station)
    found = {one.id: one for one in held.controls}
    one = found.get(fact.control)
    if one is not None and fact.started:
        found[fact.control] = replace(one, running=True, superseded=False)
    elif one is not None and not one.default:
        del found[fact.control]  # R05: a scheduled control that has ended is gone
    elif one is not None:
        found[fact.control] = replace(one, running=False)
    _supersede(found, fact.superseded)
    held.controls = list(found.values())
    return True


def on_alarm(station: Station, fact: facts.GridAlarm, now: int) -> bool:
    alarms = of(station).alarms
    name = f"{fact.kind} {fact.fault}".rstrip()
    if fact.ended:
        # An end without a fault ends all of that control type.
        of(station).alarms = [one for one in alarms if one != name and (fact.fault or one.split(" ")[0] != fact.kind)]
    elif name not in alarms:
        alarms.append(name)
    return True


# -- B ----------------------------------------------------------------------------------------------------------------
def on_inventory(station: Station, fact: facts.InventoryAsked, now: int) -> bool:
    of(station).inventory = kept.Inventory(fact.firmware, fact.event_time, fact.status)
    return True


def on_booted(station: Station, reason: str) -> None:
    """What does not outlive a restart: streams are opened anew (2.1 N11.FR.10), and monitors may get other ids."""
    if station.kept is not None:
        station.kept.streams = []
        station.kept.renumbered = any(one.origin == kept.CUSTOM for one in station.kept.monitors)


# -- F ----------------------------------------------------------------------------------------------------------------
def on_session_limit(station: Station, fact: facts.SessionLimitSet, now: int) -> bool:
    limits = of(station).session_limits
    limits.pop(fact.start_id, None)
    limits[fact.start_id] = fact.limit
    while len(limits) > kept.MOST_SESSION_LIMITS:
        del limits[next(iter(limits))]
    return True


FOLDS: dict[type, Callable[[Station, Any, int], bool]] = {
    facts.ReservationMade: on_reserved,
    facts.ReservationEnded: on_reservation_ended,
    facts.MonitorsTold: on_monitors,
    facts.MonitorsCleared: on_monitors_cleared,
    facts.MonitoringSet: on_monitoring,
    facts.CustomerInformationTold: on_customer_information,
    facts.StreamSet: on_stream_set,
    facts.StreamsListed: on_streams_listed,
    facts.StreamClosed: on_stream_closed,
    facts.StreamTold: on_stream_told,
    facts.DisplayMessagesTold: on_messages,
    facts.DisplayMessageCleared: on_message_cleared,
    facts.PaymentSettled: on_payment,
    facts.LocalListTold: on_local_list,
    facts.EnergyTransferAllowed: on_transfers,
    facts.BatterySwapRequested: on_swap_requested,
    facts.BatterySwapped: on_swapped,
    facts.GridSignalTaken: on_signal,
    facts.GridControlsTold: on_controls,
    facts.GridControlsCleared: on_controls_cleared,
    facts.GridControlRan: on_control_ran,
    facts.GridAlarm: on_alarm,
    facts.InventoryAsked: on_inventory,
    facts.SessionLimitSet: on_session_limit,
}
"""Fact → what it does to a station's record, and whether the record has to be written."""
