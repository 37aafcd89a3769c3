"""The commands of an OCPP 1.6 central system: one action, one small handler.

An action that the table does not name is answered NotSupported; one that 1.6 does not have never comes here.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pilotwire.core.quantities import scaled
from pilotwire.core.time import from_datetime, to_datetime
from pilotwire.protocols.ocpp.rpc.errors import NOT_SUPPORTED, RpcError
from pilotwire.protocols.ocpp.v16 import messages as m

from .authorization import Grant
from .conversation import Reply
from .evse import Evse
from .maintenance import Update
from .profiles import STATION_MAX, TX, Period, Profile, Schedule
from .schedules import to_wire
from .sessions import Session
from .settings import BY_KEY, TABLE, Setting

if TYPE_CHECKING:
    from .program import Station

_PURPOSE = {"ChargePointMaxProfile": STATION_MAX}


class Commands16:
    """Answers of one station."""

    __slots__ = ("_station",)

    def __init__(self, station: Station) -> None:
        self._station = station

    def serve(self, action: str, request: Any) -> Reply:
        handler = _HANDLERS.get(action)
        if handler is None:
            raise RpcError(NOT_SUPPORTED, f"this station does not serve {action}")
        return handler(self, request)

    # ── remote control ───────────────────────────────────────────────────────────────────────────────────────────

    def remote_start(self, request: m.RemoteStartTransactionRequest) -> Reply:
        station = self._station
        profile = request.charging_profile
        then: Callable[[Session], None] | None = None
        if profile is not None:
            # 5.11: only a TxProfile, and it names no transaction yet.
            if profile.charging_profile_purpose != TX or not _valid(station, profile):
                return Reply(m.RemoteStartTransactionResponse(status="Rejected"))
            wanted = profile

            def install(session: Session) -> None:
                station.energy.profiles.put(_profile(wanted, session.evse, session.key))
                station.energy.profiles_changed()

            then = install
        if request.connector_id == 0:
            return Reply(m.RemoteStartTransactionResponse(status="Rejected"))
        accepted, go = station.entrance.remote_start(request.connector_id, request.id_tag, "Central", None, then)
        return Reply(m.RemoteStartTransactionResponse(status="Accepted" if accepted else "Rejected"), go)

    def remote_stop(self, request: m.RemoteStopTransactionRequest) -> Reply:
        station = self._station
        session = station.dialect.session_of(request.transaction_id)
        if session is None:
            return Reply(m.RemoteStopTransactionResponse(status="Rejected"))
        key = session.key
        return Reply(
            m.RemoteStopTransactionResponse(status="Accepted"),
            lambda: _ignore(station.stop_session(key, "Remote", "RemoteStop")),
        )

    def reset(self, request: m.ResetRequest) -> Reply:
        maintenance = self._station.maintenance
        reason = "HardReset" if request.type == "Hard" else "SoftReset"
        return Reply(m.ResetResponse(status="Accepted"), lambda: maintenance.reset(reason))

    def unlock(self, request: m.UnlockConnectorRequest) -> Reply:
        evse = self._evse(request.connector_id)
        if evse is None or evse.config.fixed_cable:
            return Reply(m.UnlockConnectorResponse(status="NotSupported"))

        def then() -> None:
            if evse.session is not None:
                self._station.stop_session(evse.session.key, "UnlockCommand", "UnlockCommand")

        return Reply(m.UnlockConnectorResponse(status="Unlocked"), then)

    def change_availability(self, request: m.ChangeAvailabilityRequest) -> Reply:
        station = self._station
        evses = self._evses(request.connector_id)
        if evses is None:
            return Reply(m.ChangeAvailabilityResponse(status="Rejected"))
        available = request.type == "Operative"
        status = station.change_availability(evses, available)
        return Reply(
            m.ChangeAvailabilityResponse(status=status),  # type: ignore[arg-type]
            lambda: station.apply_availability(evses, available),
        )

    def trigger(self, request: m.TriggerMessageRequest | m.ExtendedTriggerMessageRequest) -> Reply:
        station = self._station
        extended = isinstance(request, m.ExtendedTriggerMessageRequest)
        response = m.ExtendedTriggerMessageResponse if extended else m.TriggerMessageResponse
        evses = self._evses(request.connector_id or 0)
        if evses is None:
            return Reply(response(status="Rejected"))
        maintenance = station.maintenance
        wanted = request.requested_message

        def statuses() -> None:
            if not request.connector_id:
                station.dialect.report_main()
            for evse in evses:
                evse.reported = station.dialect.status(evse)
                station.dialect.report_status(evse, evse.reported)

        def readings() -> None:
            for evse in evses:
                station.energy.send_reading(evse, "Trigger", "Trigger")

        def firmware() -> None:
            update = maintenance.update
            station.dialect.firmware_status(update.status if update else "Idle", update.request_id if update else None)

        actions: dict[str, Callable[[], None]] = {
            "BootNotification": station.conversation.boot_again,
            "Heartbeat": station.conversation.heartbeat,
            "StatusNotification": statuses,
            "MeterValues": readings,
            "FirmwareStatusNotification": firmware,
            "DiagnosticsStatusNotification": lambda: station.dialect.log_status(
                maintenance.log_status, None, diagnostics=True
            ),
            "LogStatusNotification": lambda: station.dialect.log_status(
                maintenance.log_status, maintenance.log_id or 0, diagnostics=False
            ),
        }
        action = actions.get(wanted)
        if action is None:
            return Reply(response(status="NotImplemented"))
        return Reply(response(status="Accepted"), action)

    # ── configuration ────────────────────────────────────────────────────────────────────────────────────────────

    def get_configuration(self, request: m.GetConfigurationRequest) -> Reply:
        known: list[m.KeyValue] = []
        unknown: list[str] = []
        if request.key:
            for key in request.key:
                setting = BY_KEY.get(key.lower())
                if setting is not None:
                    known.append(self._key_value(setting))
                elif key.lower() in _COMPUTED:
                    known.append(self._computed(key.lower()))
                else:
                    unknown.append(key)
        else:
            known = [self._key_value(setting) for setting in TABLE if setting.key]
            known += [self._computed(name) for name in _COMPUTED]
        return Reply(m.GetConfigurationResponse(configuration_key=known or None, unknown_key=unknown or None))

    def _key_value(self, setting: Setting) -> m.KeyValue:
        value = None if setting.secret else self._station.settings.text(setting.name)
        return m.KeyValue(key=setting.key, readonly=not setting.writable, value=value)

    def _computed(self, name: str) -> m.KeyValue:
        key, value = _COMPUTED[name]
        return m.KeyValue(key=key, readonly=True, value=value(self._station))

    def change_configuration(self, request: m.ChangeConfigurationRequest) -> Reply:
        setting = BY_KEY.get(request.key.lower())
        if setting is None:
            status = "Rejected" if request.key.lower() in _COMPUTED else "NotSupported"
        elif setting.name == "password":
            return self._change_password(setting, request.value)
        else:
            status = self._station.settings.change(setting, request.value)
        return Reply(m.ChangeConfigurationResponse(status=status))  # type: ignore[arg-type]

    def _change_password(self, setting: Setting, value: str) -> Reply:
        """Security whitepaper A01: 8 to 20 bytes as hexadecimal; then the station connects anew with it."""
        station = self._station
        if not station.takes_passwords or not 16 <= len(value) <= 40 or len(value) % 2 or not _is_hex(value):
            return Reply(m.ChangeConfigurationResponse(status="Rejected"))
        station.settings.change(setting, value)
        return Reply(m.ChangeConfigurationResponse(status="Accepted"), station.conversation.reconnect)

    # ── local authorization ──────────────────────────────────────────────────────────────────────────────────────

    def clear_cache(self, request: m.ClearCacheRequest) -> Reply:
        cleared = self._station.authorizer.clear_cache()
        return Reply(m.ClearCacheResponse(status="Accepted" if cleared else "Rejected"))

    def list_version(self, request: m.GetLocalListVersionRequest) -> Reply:
        # 5.10: -1 says that there is no list.
        enabled = self._station.settings.flag("list_enabled")
        return Reply(
            m.GetLocalListVersionResponse(list_version=self._station.authorizer.list_version if enabled else -1)
        )

    def send_list(self, request: m.SendLocalListRequest) -> Reply:
        station = self._station
        if not station.settings.flag("list_enabled"):
            return Reply(m.SendLocalListResponse(status="NotSupported"))
        rows = request.local_authorization_list or []
        entries = {
            row.id_tag: None
            if row.id_tag_info is None
            else Grant(
                row.id_tag_info.status,
                row.id_tag_info.parent_id_tag or "",
                None if row.id_tag_info.expiry_date is None else int(from_datetime(row.id_tag_info.expiry_date)),
            )
            for row in rows
        }
        if len(entries) > station.settings.number("list_items") or request.list_version <= 0:
            return Reply(m.SendLocalListResponse(status="Failed"))
        if request.update_type == "Full":
            if any(grant is None for grant in entries.values()):
                return Reply(m.SendLocalListResponse(status="Failed"))
            full = {token: grant for token, grant in entries.items() if grant is not None}
            taken = station.authorizer.replace_list(request.list_version, full)
            return Reply(m.SendLocalListResponse(status="Accepted" if taken else "Failed"))
        status = station.authorizer.change_list(request.list_version, entries)
        return Reply(m.SendLocalListResponse(status=status))  # type: ignore[arg-type]

    # ── smart charging ───────────────────────────────────────────────────────────────────────────────────────────

    def set_profile(self, request: m.SetChargingProfileRequest) -> Reply:
        station = self._station
        wire = request.cs_charging_profiles
        rejected = Reply(m.SetChargingProfileResponse(status="Rejected"))
        if request.connector_id > len(station.evses) or request.connector_id < 0 or not _valid(station, wire):
            return rejected
        session_key: str | None = None
        if wire.charging_profile_purpose == TX:
            # 5.16.2: only with a running transaction on that connector.
            session = station.evses[request.connector_id - 1].session if request.connector_id else None
            if session is None or (wire.transaction_id is not None and wire.transaction_id != session.transaction):
                return rejected
            session_key = session.key
        elif wire.charging_profile_purpose == "ChargePointMaxProfile" and request.connector_id != 0:
            return rejected
        profile = _profile(wire, request.connector_id, session_key)

        def then() -> None:
            station.energy.profiles.put(profile)
            station.energy.profiles_changed()

        return Reply(m.SetChargingProfileResponse(status="Accepted"), then)

    def clear_profile(self, request: m.ClearChargingProfileRequest) -> Reply:
        purpose = request.charging_profile_purpose
        wanted = None if purpose is None else _PURPOSE.get(purpose, purpose)

        def matches(profile: Profile) -> bool:
            if request.id is not None:
                return profile.id == request.id
            return (
                (request.connector_id is None or profile.evse == request.connector_id)
                and (wanted is None or profile.purpose == wanted)
                and (request.stack_level is None or profile.stack == request.stack_level)
            )

        cleared = self._station.energy.clear_profiles(matches)
        return Reply(m.ClearChargingProfileResponse(status="Accepted" if cleared else "Unknown"))

    def composite_schedule(self, request: m.GetCompositeScheduleRequest) -> Reply:
        station = self._station
        if not 0 <= request.connector_id <= len(station.evses) or request.duration < 0:
            return Reply(m.GetCompositeScheduleResponse(status="Rejected"))
        now = station.clock.now()
        evse = self._evse(request.connector_id)
        unit = request.charging_rate_unit or ("W" if evse is not None and evse.config.dc else "A")
        rows = station.energy.schedule(evse, unit, now, request.duration)
        return Reply(
            m.GetCompositeScheduleResponse(
                status="Accepted",
                connector_id=request.connector_id,
                schedule_start=to_datetime(now),
                charging_schedule=m.ChargingSchedule(
                    charging_rate_unit=unit,
                    duration=request.duration,
                    charging_schedule_period=[
                        m.ChargingSchedulePeriod(start_period=start, limit=to_wire(value)) for start, value in rows
                    ],
                ),
            )
        )

    # ── maintenance ──────────────────────────────────────────────────────────────────────────────────────────────

    def diagnostics(self, request: m.GetDiagnosticsRequest) -> Reply:
        maintenance = self._station.maintenance
        maintenance.upload_log(None, diagnostics=True)
        name = f"{self._station.config.identity}-diagnostics.log"
        return Reply(m.GetDiagnosticsResponse(file_name=name), maintenance.begin_upload)

    def log(self, request: m.GetLogRequest) -> Reply:
        maintenance = self._station.maintenance
        replaced = maintenance.upload_log(request.request_id, diagnostics=False)
        name = f"{self._station.config.identity}-{request.log_type}.log"
        status = "AcceptedCanceled" if replaced else "Accepted"
        return Reply(m.GetLogResponse(status=status, filename=name), maintenance.begin_upload)  # type: ignore[arg-type]

    def firmware(self, request: m.UpdateFirmwareRequest) -> Reply:
        maintenance = self._station.maintenance
        maintenance.update_firmware(
            Update(location=request.location, retrieve_at=int(from_datetime(request.retrieve_date)))
        )
        return Reply(m.UpdateFirmwareResponse(), maintenance.begin_update)

    def data_transfer(self, request: m.DataTransferRequest) -> Reply:
        return Reply(m.DataTransferResponse(status="UnknownVendorId"))

    # ── helpers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _evse(self, connector: int) -> Evse | None:
        return self._station.evses[connector - 1] if 1 <= connector <= len(self._station.evses) else None

    def _evses(self, connector: int) -> tuple[Evse, ...] | None:
        """0: all of them; None: no such connector."""
        if connector == 0:
            return self._station.evses
        evse = self._evse(connector)
        return None if evse is None else (evse,)


def _is_hex(text: str) -> bool:
    return all(character in "0123456789abcdefABCDEF" for character in text)


def _ignore(_: object) -> None:
    """The result is of no interest."""


def _valid(station: Station, wire: m.ChargingProfile) -> bool:
    periods = wire.charging_schedule.charging_schedule_period
    settings = station.settings
    return (
        0 <= wire.stack_level <= settings.number("max_stack")
        and 1 <= len(periods) <= settings.number("max_periods")
        and periods[0].start_period == 0
        and all(a.start_period < b.start_period for a, b in pairwise(periods))
        and all(period.limit >= 0 for period in periods)
        and not (wire.charging_profile_kind == "Recurring" and wire.recurrency_kind is None)
        and not (wire.charging_profile_purpose == "ChargePointMaxProfile" and wire.charging_profile_kind == "Relative")
        and len(station.energy.profiles) < settings.number("max_profiles")
    )


def _profile(wire: m.ChargingProfile, evse: int, session: str | None) -> Profile:
    schedule = wire.charging_schedule
    return Profile(
        id=wire.charging_profile_id,
        evse=evse,
        stack=wire.stack_level,
        purpose=_PURPOSE.get(wire.charging_profile_purpose, wire.charging_profile_purpose),
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


_COMPUTED: dict[str, tuple[str, Callable[[Any], str]]] = {
    "numberofconnectors": ("NumberOfConnectors", lambda station: str(len(station.evses))),
    "securityprofile": ("SecurityProfile", lambda station: str(station.config.security_profile)),
}

_HANDLERS: dict[str, Callable[[Commands16, Any], Reply]] = {
    "ChangeAvailability": Commands16.change_availability,
    "ChangeConfiguration": Commands16.change_configuration,
    "ClearCache": Commands16.clear_cache,
    "ClearChargingProfile": Commands16.clear_profile,
    "DataTransfer": Commands16.data_transfer,
    "ExtendedTriggerMessage": Commands16.trigger,
    "GetCompositeSchedule": Commands16.composite_schedule,
    "GetConfiguration": Commands16.get_configuration,
    "GetDiagnostics": Commands16.diagnostics,
    "GetLocalListVersion": Commands16.list_version,
    "GetLog": Commands16.log,
    "RemoteStartTransaction": Commands16.remote_start,
    "RemoteStopTransaction": Commands16.remote_stop,
    "Reset": Commands16.reset,
    "SendLocalList": Commands16.send_list,
    "SetChargingProfile": Commands16.set_profile,
    "TriggerMessage": Commands16.trigger,
    "UnlockConnector": Commands16.unlock,
    "UpdateFirmware": Commands16.firmware,
}
