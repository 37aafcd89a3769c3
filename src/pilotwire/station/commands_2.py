"""The commands of an OCPP 2.0.1 or 2.1 CSMS: one action, one small handler.

An action that the table does not name is answered NotSupported; one that the version does not have never comes here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any

from pilotwire.core.quantities import scaled
from pilotwire.core.time import from_datetime, to_datetime
from pilotwire.protocols.ocpp.rpc.errors import NOT_SUPPORTED, OCCURRENCE_CONSTRAINT, RpcError

from . import device_model
from .authorization import Grant
from .conversation import Reply
from .device_model import Attribute
from .evse import Evse
from .maintenance import Update
from .profiles import EXTERNAL, STATION_MAX, TX, TX_DEFAULT, Period, Profile, Schedule
from .schedules import to_wire
from .sessions import Session

if TYPE_CHECKING:
    from .program import Station

_SUPPORTED = (STATION_MAX, TX_DEFAULT, TX)


class Commands2:
    """Answers of one station, built from its version's message module `m`."""

    __slots__ = ("_station", "m")

    def __init__(self, station: Station, m: Any) -> None:
        self._station = station
        self.m = m

    def serve(self, action: str, request: Any) -> Reply:
        handler = _HANDLERS.get(action)
        if handler is None:
            raise RpcError(NOT_SUPPORTED, f"this station does not serve {action}")
        return handler(self, request)

    # ── remote control ───────────────────────────────────────────────────────────────────────────────────────────

    def request_start(self, request: Any) -> Reply:
        m, station = self.m, self._station
        wire = request.charging_profile
        then: Callable[[Session], None] | None = None
        if wire is not None:
            # F01.FR.09: only a TxProfile, and without transactionId.
            if wire.charging_profile_purpose != TX or wire.transaction_id is not None or not self._valid(wire):
                return Reply(m.RequestStartTransactionResponse(status="Rejected"))

            def install(session: Session) -> None:
                station.energy.profiles.put(_profile(wire, session.evse, session.key))
                station.energy.profiles_changed()

            then = install
        token = request.id_token
        accepted, go = station.entrance.remote_start(
            request.evse_id, token.id_token, token.type, request.remote_start_id, then
        )
        return Reply(m.RequestStartTransactionResponse(status="Accepted" if accepted else "Rejected"), go)

    def request_stop(self, request: Any) -> Reply:
        station = self._station
        key = request.transaction_id
        if station.session_of_key(key) is None:
            return Reply(self.m.RequestStopTransactionResponse(status="Rejected"))

        def then() -> None:
            station.stop_session(key, "Remote", "RemoteStop")

        return Reply(self.m.RequestStopTransactionResponse(status="Accepted"), then)

    def reset(self, request: Any) -> Reply:
        m, station = self.m, self._station
        if request.type == "ImmediateAndResume" or (
            request.evse_id is not None and self._evse(request.evse_id) is None
        ):
            return Reply(m.ResetResponse(status="Rejected"))
        if request.evse_id:
            return self._reset_evse(request.evse_id, request.type)
        if request.type == "OnIdle" and station.busy:
            return Reply(m.ResetResponse(status="Scheduled"), station.maintenance.reset_on_idle)
        return Reply(m.ResetResponse(status="Accepted"), lambda: station.maintenance.reset("HardReset"))

    def _reset_evse(self, evse_id: int, kind: str) -> Reply:
        station = self._station
        evse = station.evses[evse_id - 1]
        if kind == "OnIdle" and evse.session is not None:
            # Resetting an idle EVSE is instant and changes nothing, so that the schedule is fulfilled by waiting.
            return Reply(self.m.ResetResponse(status="Scheduled"))
        return Reply(
            self.m.ResetResponse(status="Accepted"),
            lambda: station.stop_all("HardReset", "ResetCommand", evse_id),
        )

    def unlock(self, request: Any) -> Reply:
        m = self.m
        evse = self._evse(request.evse_id)
        if evse is None or request.connector_id != 1:
            status = "UnknownConnector"
        elif evse.session is not None and not evse.session.held:
            status = "OngoingAuthorizedTransaction"
        elif evse.config.fixed_cable:
            status = "UnlockFailed"
        else:
            status = "Unlocked"
        return Reply(m.UnlockConnectorResponse(status=status))

    def change_availability(self, request: Any) -> Reply:
        station = self._station
        evses: Sequence[Evse] = station.evses
        if request.evse is not None:
            evse = self._evse(request.evse.id)
            if evse is None or request.evse.connector_id not in (None, 1):
                return Reply(self.m.ChangeAvailabilityResponse(status="Rejected"))
            evses = (evse,)
        available = request.operational_status == "Operative"
        status = station.change_availability(evses, available)
        return Reply(
            self.m.ChangeAvailabilityResponse(status=status), lambda: station.apply_availability(evses, available)
        )

    def trigger(self, request: Any) -> Reply:
        m, station = self.m, self._station
        maintenance = station.maintenance
        evses: Sequence[Evse] = station.evses
        if request.evse is not None and request.evse.id:
            evse = self._evse(request.evse.id)
            if evse is None:
                return Reply(m.TriggerMessageResponse(status="Rejected"))
            evses = (evse,)
        wanted = request.requested_message
        if wanted == "BootNotification":
            if station.conversation.registration == "Accepted":
                return Reply(m.TriggerMessageResponse(status="Rejected"))  # F06.FR.17
            return Reply(m.TriggerMessageResponse(status="Accepted"), station.conversation.boot_again)
        if wanted == "TransactionEvent" and not any(evse.session for evse in evses):
            return Reply(m.TriggerMessageResponse(status="Rejected"))

        def statuses() -> None:
            for evse in evses:
                evse.reported = station.dialect.status(evse)
                station.dialect.report_status(evse, evse.reported)

        def meter_values() -> None:
            for evse in evses:
                reading = station.energy.read(evse, "aligned", "Trigger")
                if reading.values:
                    station.dialect.idle_sampled(evse, reading)

        def transactions() -> None:
            for evse in evses:
                if evse.session is not None:
                    reading = station.energy.read(evse, "sampled", "Trigger")
                    station.dialect.sampled(evse, evse.session, reading, "Trigger")

        def firmware() -> None:
            update = maintenance.update
            station.dialect.firmware_status(update.status if update else "Idle", update.request_id if update else None)

        def log() -> None:
            uploading = maintenance.log_status == "Uploading"
            station.dialect.log_status(
                maintenance.log_status, maintenance.log_id if uploading else None, diagnostics=False
            )

        action = {
            "Heartbeat": station.conversation.heartbeat,
            "StatusNotification": statuses,
            "MeterValues": meter_values,
            "TransactionEvent": transactions,
            "FirmwareStatusNotification": firmware,
            "LogStatusNotification": log,
        }.get(wanted)
        if action is None:
            return Reply(m.TriggerMessageResponse(status="NotImplemented"))
        return Reply(m.TriggerMessageResponse(status="Accepted"), action)

    def transaction_status(self, request: Any) -> Reply:
        station = self._station
        key = request.transaction_id
        if key is None:
            return Reply(self.m.GetTransactionStatusResponse(messages_in_queue=len(station.outbox) > 0))
        return Reply(
            self.m.GetTransactionStatusResponse(
                ongoing_indicator=station.session_of_key(key) is not None,
                messages_in_queue=station.outbox.any(lambda entry: entry.session == key),
            )
        )

    # ── device model ─────────────────────────────────────────────────────────────────────────────────────────────

    def get_variables(self, request: Any) -> Reply:
        self._check_items(len(request.get_variable_data), "get_items")
        return Reply(
            self.m.GetVariablesResponse(get_variable_result=[self._get(row) for row in request.get_variable_data])
        )

    def _get(self, row: Any) -> Any:
        found = self._find(row)
        kind = row.attribute_type or "Actual"
        value: str | None = None
        if isinstance(found, str):
            status = found
        elif kind != "Actual":
            status = "NotSupportedAttributeType"
        elif found.value is None:
            status = "Rejected"  # WriteOnly
        else:
            status, value = "Accepted", found.value
        return self.m.GetVariableResultType(
            attribute_status=status,
            attribute_type=kind,
            attribute_value=value,
            component=row.component,
            variable=row.variable,
        )

    def set_variables(self, request: Any) -> Reply:
        self._check_items(len(request.set_variable_data), "set_items")
        before = self._station.settings.text("password")
        results = [self._set(row) for row in request.set_variable_data]
        # A01: a station that has got a new password connects anew with it.
        rekeyed = self._station.settings.text("password") != before
        then = self._station.conversation.reconnect if rekeyed else None
        return Reply(self.m.SetVariablesResponse(set_variable_result=results), then)

    def _set(self, row: Any) -> Any:
        found = self._find(row)
        kind = row.attribute_type or "Actual"
        if isinstance(found, str):
            status = found
        elif kind != "Actual":
            status = "NotSupportedAttributeType"
        elif found.setting is None or (
            # A BasicAuthPassword has at least 16 characters (part 2 appendix, SecurityCtrlr).
            found.setting.name == "password"
            and not (self._station.takes_passwords and 16 <= len(row.attribute_value) <= 64)
        ):
            status = "Rejected"
        else:
            status = self._station.settings.change(found.setting, row.attribute_value)
        return self.m.SetVariableResultType(
            attribute_status=status, attribute_type=kind, component=row.component, variable=row.variable
        )

    def _find(self, row: Any) -> Attribute | str:
        evse = row.component.evse
        return device_model.find(
            self._station,
            row.component.name,
            row.variable.name,
            row.variable.instance,
            None if evse is None else evse.id,
            None if evse is None else evse.connector_id,
        )

    def _check_items(self, count: int, setting: str) -> None:
        most_items = self._station.settings.number(setting)
        if count > most_items:
            raise RpcError(OCCURRENCE_CONSTRAINT, f"at most {most_items} items per message")

    def base_report(self, request: Any) -> Reply:
        m, station = self.m, self._station
        if request.report_base == "SummaryInventory":
            return Reply(m.GetBaseReportResponse(status="NotSupported"))
        configuration = request.report_base == "ConfigurationInventory"

        def then() -> None:
            rows = device_model.inventory(station, configuration=configuration)
            size = station.settings.number("report_items")
            parts: list[list[Any]] = []
            while part := [self._report_row(row) for row in islice(rows, size)]:
                parts.append(part)
            generated = station.clock.wall()
            for number, part in enumerate(parts):
                station.conversation.call(
                    "NotifyReport",
                    m.NotifyReportRequest(
                        request_id=request.request_id,
                        generated_at=generated,
                        seq_no=number,
                        tbc=True if number + 1 < len(parts) else None,
                        report_data=part,
                    ),
                )

        return Reply(m.GetBaseReportResponse(status="Accepted"), then)

    def _report_row(self, row: Attribute) -> Any:
        m = self.m
        evse = None if row.evse is None else m.EVSEType(id=row.evse, connector_id=row.connector)
        limits: dict[str, Any] = {}
        if row.max_limit is not None:
            limits["max_limit"] = row.max_limit
        elif row.setting is not None and row.setting.kind == "integer" and row.setting.writable:
            limits = {"min_limit": _decimal(row.low), "max_limit": _decimal(row.high)}
        return m.ReportDataType(
            component=m.ComponentType(name=row.component, evse=evse),
            variable=m.VariableType(name=row.variable, instance=row.instance),
            variable_attribute=[
                m.VariableAttributeType(
                    type="Actual",
                    value=row.value,
                    mutability=row.mutability,
                    persistent=row.setting is not None and row.setting.writable,
                )
            ],
            variable_characteristics=m.VariableCharacteristicsType(
                data_type=row.data_type,
                supports_monitoring=False,
                unit=row.unit or None,
                values_list=",".join(row.members) or None,
                **limits,
            ),
        )

    # ── local authorization ──────────────────────────────────────────────────────────────────────────────────────

    def clear_cache(self, request: Any) -> Reply:
        cleared = self._station.authorizer.clear_cache()
        return Reply(self.m.ClearCacheResponse(status="Accepted" if cleared else "Rejected"))

    def list_version(self, request: Any) -> Reply:
        enabled = self._station.settings.flag("list_enabled")
        version = self._station.authorizer.list_version if enabled else 0  # D02.FR.03
        return Reply(self.m.GetLocalListVersionResponse(version_number=version))

    def send_list(self, request: Any) -> Reply:
        m, station = self.m, self._station
        failed = Reply(m.SendLocalListResponse(status="Failed"))
        rows = request.local_authorization_list or []
        if (
            not station.settings.flag("list_enabled")
            or len(rows) > station.settings.number("list_items")
            or request.version_number <= 0
        ):
            return failed
        entries = {
            row.id_token.id_token: None
            if row.id_token_info is None
            else Grant(
                row.id_token_info.status,
                row.id_token_info.group_id_token.id_token if row.id_token_info.group_id_token is not None else "",
                None
                if row.id_token_info.cache_expiry_date_time is None
                else int(from_datetime(row.id_token_info.cache_expiry_date_time)),
            )
            for row in rows
        }
        if request.update_type == "Full":
            full = {token: grant for token, grant in entries.items() if grant is not None}
            if len(full) != len(entries) or not station.authorizer.replace_list(request.version_number, full):
                return failed
            return Reply(m.SendLocalListResponse(status="Accepted"))
        return Reply(m.SendLocalListResponse(status=station.authorizer.change_list(request.version_number, entries)))

    # ── smart charging ───────────────────────────────────────────────────────────────────────────────────────────

    def set_profile(self, request: Any) -> Reply:
        m, station = self.m, self._station
        wire = request.charging_profile
        purpose = wire.charging_profile_purpose
        rejected = Reply(m.SetChargingProfileResponse(status="Rejected"))
        if not 0 <= request.evse_id <= len(station.evses) or purpose not in _SUPPORTED or not self._valid(wire):
            return rejected
        session_key: str | None = None
        if purpose == TX:
            # K01.FR.09, .16, .33: only for the transaction that runs on that EVSE.
            session = station.evses[request.evse_id - 1].session if request.evse_id else None
            if session is None or wire.transaction_id != session.key:
                return rejected
            session_key = session.key
        elif purpose == STATION_MAX and (request.evse_id != 0 or wire.charging_profile_kind == "Relative"):
            return rejected  # K01.FR.38
        profile = _profile(wire, request.evse_id, session_key)

        def then() -> None:
            station.energy.profiles.put(profile)
            station.energy.profiles_changed()

        return Reply(m.SetChargingProfileResponse(status="Accepted"), then)

    def _valid(self, wire: Any) -> bool:
        settings = self._station.settings
        if len(wire.charging_schedule) != 1 or wire.charging_profile_kind not in ("Absolute", "Recurring", "Relative"):
            return False
        schedule = wire.charging_schedule[0]
        periods = schedule.charging_schedule_period
        return (
            0 <= wire.stack_level <= settings.number("max_stack")
            and len(periods) <= settings.number("max_periods")
            and periods[0].start_period == 0
            and all(a.start_period < b.start_period for a, b in pairwise(periods))
            and all(period.limit is not None and period.limit >= 0 for period in periods)
            and not (wire.charging_profile_kind == "Recurring" and wire.recurrency_kind is None)
            and len(self._station.energy.profiles) < settings.number("max_profiles")
        )

    def clear_profile(self, request: Any) -> Reply:
        criteria = request.charging_profile_criteria

        def matches(profile: Profile) -> bool:
            if profile.purpose == EXTERNAL:
                return False  # K10.FR.06
            if request.charging_profile_id is not None:
                return profile.id == request.charging_profile_id
            if criteria is None:
                return True
            return (
                (criteria.evse_id is None or profile.evse == criteria.evse_id)
                and (criteria.charging_profile_purpose in (None, profile.purpose))
                and (criteria.stack_level is None or profile.stack == criteria.stack_level)
            )

        cleared = self._station.energy.clear_profiles(matches)
        return Reply(self.m.ClearChargingProfileResponse(status="Accepted" if cleared else "Unknown"))

    def composite_schedule(self, request: Any) -> Reply:
        m, station = self.m, self._station
        if not 0 <= request.evse_id <= len(station.evses) or request.duration <= 0:
            return Reply(m.GetCompositeScheduleResponse(status="Rejected"))
        now = station.clock.now()
        evse = self._evse(request.evse_id)
        unit = request.charging_rate_unit or ("W" if evse is not None and evse.config.dc else "A")
        rows = station.energy.schedule(evse, unit, now, request.duration)
        return Reply(
            m.GetCompositeScheduleResponse(
                status="Accepted",
                schedule=m.CompositeScheduleType(
                    evse_id=request.evse_id,
                    duration=request.duration,
                    schedule_start=to_datetime(now),
                    charging_rate_unit=unit,
                    charging_schedule_period=[
                        m.ChargingSchedulePeriodType(start_period=start, limit=to_wire(value)) for start, value in rows
                    ],
                ),
            )
        )

    # ── maintenance ──────────────────────────────────────────────────────────────────────────────────────────────

    def log(self, request: Any) -> Reply:
        maintenance = self._station.maintenance
        replaced = maintenance.upload_log(request.request_id, diagnostics=False)
        name = f"{self._station.config.identity}-{request.log_type}.log"
        return Reply(
            self.m.GetLogResponse(status="AcceptedCanceled" if replaced else "Accepted", filename=name),
            maintenance.begin_upload,
        )

    def firmware(self, request: Any) -> Reply:
        firmware = request.firmware
        replaced = self._station.maintenance.update_firmware(
            Update(
                location=firmware.location,
                retrieve_at=int(from_datetime(firmware.retrieve_date_time)),
                install_at=None
                if firmware.install_date_time is None
                else int(from_datetime(firmware.install_date_time)),
                request_id=request.request_id,
            )
        )
        status = "AcceptedCanceled" if replaced else "Accepted"
        return Reply(self.m.UpdateFirmwareResponse(status=status), self._station.maintenance.begin_update)

    def data_transfer(self, request: Any) -> Reply:
        return Reply(self.m.DataTransferResponse(status="UnknownVendorId"))

    def _evse(self, evse_id: int) -> Evse | None:
        return self._station.evses[evse_id - 1] if 1 <= evse_id <= len(self._station.evses) else None


def _decimal(value: int | None) -> Decimal | None:
    return None if value is None else Decimal(value)


def _profile(wire: Any, evse: int, session: str | None) -> Profile:
    schedule = wire.charging_schedule[0]
    return Profile(
        id=wire.id,
        evse=evse,
        stack=wire.stack_level,
        purpose=wire.charging_profile_purpose,
        kind=wire.charging_profile_kind,
        recurrency=wire.recurrency_kind,
        valid_from=None if wire.valid_from is None else int(from_datetime(wire.valid_from)),
        valid_to=None if wire.valid_to is None else int(from_datetime(wire.valid_to)),
        session=session,
        schedule=Schedule(
            unit=schedule.charging_rate_unit,
            periods=tuple(
                Period(period.start_period * 1000, scaled(period.limit, 3), period.number_phases)
                for period in schedule.charging_schedule_period
            ),
            start=None if schedule.start_schedule is None else int(from_datetime(schedule.start_schedule)),
            duration_ms=None if schedule.duration is None else schedule.duration * 1000,
        ),
    )


_HANDLERS: dict[str, Callable[[Commands2, Any], Reply]] = {
    "ChangeAvailability": Commands2.change_availability,
    "ClearCache": Commands2.clear_cache,
    "ClearChargingProfile": Commands2.clear_profile,
    "DataTransfer": Commands2.data_transfer,
    "GetBaseReport": Commands2.base_report,
    "GetCompositeSchedule": Commands2.composite_schedule,
    "GetLocalListVersion": Commands2.list_version,
    "GetLog": Commands2.log,
    "GetTransactionStatus": Commands2.transaction_status,
    "GetVariables": Commands2.get_variables,
    "RequestStartTransaction": Commands2.request_start,
    "RequestStopTransaction": Commands2.request_stop,
    "Reset": Commands2.reset,
    "SendLocalList": Commands2.send_list,
    "SetChargingProfile": Commands2.set_profile,
    "SetVariables": Commands2.set_variables,
    "TriggerMessage": Commands2.trigger,
    "UnlockConnector": Commands2.unlock,
    "UpdateFirmware": Commands2.firmware,
}
