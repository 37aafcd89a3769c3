"""Every command of the CSMS that the station serves, and how it turns the others down."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pilotwire.core.errors import LocalError
from pilotwire.core.time import to_datetime
from pilotwire.protocols.ocpp import version as ocpp
from pilotwire.protocols.ocpp.rpc.errors import RpcError
from pilotwire.station.blocks.table import HANDLERS
from pilotwire.station.config import EvseConfig
from pilotwire.station.settings import BY_KEY, BY_NAME, TABLE, clean

VERSIONS = ("1.6", "2.0.1", "2.1")


def ready(make_world, version, **more):
    world = make_world(version, **more)
    world.station.power_on()
    world.run(5)
    return world


def ask(world, action, **fields):
    request = world.csms.version.actions[action].request_type(**fields)
    world.csms.command(action, request)
    world.run(2)
    assert world.csms.answers[-1][0] == action
    return world.csms.answers[-1][1]


# ── settings ─────────────────────────────────────────────────────────────────────────────────────────────────────────

CORE_KEYS = """
AllowOfflineTxForUnknownId AuthorizationCacheEnabled AuthorizeRemoteTxRequests BlinkRepeat
ClockAlignedDataInterval ConnectionTimeOut ConnectorPhaseRotation ConnectorPhaseRotationMaxLength
GetConfigurationMaxKeys HeartbeatInterval
LightIntensity LocalAuthorizeOffline LocalPreAuthorize MaxEnergyOnInvalidId MeterValuesAlignedData
MeterValuesAlignedDataMaxLength MeterValuesSampledData MeterValuesSampledDataMaxLength MeterValueSampleInterval
MinimumStatusDuration NumberOfConnectors ResetRetries StopTransactionOnEVSideDisconnect StopTransactionOnInvalidId
StopTxnAlignedData StopTxnAlignedDataMaxLength StopTxnSampledData StopTxnSampledDataMaxLength SupportedFeatureProfiles
SupportedFeatureProfilesMaxLength TransactionMessageAttempts TransactionMessageRetryInterval
UnlockConnectorOnEVSideDisconnect WebSocketPingInterval LocalAuthListEnabled LocalAuthListMaxLength
SendLocalListMaxLength ChargeProfileMaxStackLevel ChargingScheduleAllowedChargingRateUnit ChargingScheduleMaxPeriods
ConnectorSwitch3to1PhaseSupported MaxChargingProfilesInstalled AuthorizationKey CpoName SecurityProfile
""".split()  # noqa: SIM905


def test_16_all_configuration_keys(make_world):
    world = ready(make_world, "1.6")
    answer = ask(world, "GetConfiguration")
    rows = {row.key: row for row in answer.configuration_key}
    assert set(CORE_KEYS) <= set(rows) and answer.unknown_key is None
    assert rows["AuthorizationKey"].value is None
    assert rows["HeartbeatInterval"].value == "300" and not rows["HeartbeatInterval"].readonly
    assert rows["NumberOfConnectors"].readonly
    answer = ask(world, "GetConfiguration", key=["heartbeatinterval", "Nonsense"])
    assert [row.key for row in answer.configuration_key] == ["HeartbeatInterval"]
    assert answer.unknown_key == ["Nonsense"]


@pytest.mark.parametrize(
    ("key", "value", "status"),
    [
        ("HeartbeatInterval", "120", "Accepted"),
        ("HeartbeatInterval", "-1", "Rejected"),
        ("HeartbeatInterval", "soon", "Rejected"),
        ("WebSocketPingInterval", "-5", "Rejected"),
        ("LocalPreAuthorize", "TRUE", "Accepted"),
        ("LocalPreAuthorize", "maybe", "Rejected"),
        ("MeterValuesSampledData", "Energy.Active.Import.Register, Voltage", "Accepted"),
        ("MeterValuesSampledData", "Energy.Active.Import.Register,Magic", "Rejected"),
        ("NumberOfConnectors", "9", "Rejected"),
        ("GetConfigurationMaxKeys", "9", "Rejected"),
        ("Nonsense", "9", "NotSupported"),
        ("AuthorizationKey", "00", "Rejected"),
    ],
)
def test_16_change_configuration(make_world, key, value, status):
    world = ready(make_world, "1.6")
    assert ask(world, "ChangeConfiguration", key=key, value=value).status == status
    if status == "Accepted":
        world.station.power_off()
        world.station = world.build()
        world.station.power_on()
        stored = world.station.settings.text(BY_KEY[key.lower()].name)
        assert stored == clean(BY_KEY[key.lower()], value)


def test_what_is_sampled_follows_the_configuration(make_world):
    world = ready(make_world, "1.6")
    ask(world, "ChangeConfiguration", key="MeterValueSampleInterval", value="10")
    ask(world, "ChangeConfiguration", key="MeterValuesSampledData", value="Voltage,Power.Offered,Current.Offered")
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(65)
    values = world.csms.heard("MeterValues")
    assert len(values) == 6
    measurands = [s.measurand for s in values[0].meter_value[0].sampled_value]
    assert measurands == ["Voltage"] * 3 + ["Power.Offered", "Current.Offered"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_new_password_is_used_from_the_next_connection_on(make_world, version):
    world = ready(make_world, version)

    def change(value):
        if version == "1.6":
            return ask(world, "ChangeConfiguration", key="AuthorizationKey", value=value).status
        m = world.csms.messages
        row = m.SetVariableDataType(
            component=m.ComponentType(name="SecurityCtrlr"),
            variable=m.VariableType(name="BasicAuthPassword"),
            attribute_value=value,
        )
        return ask(world, "SetVariables", set_variable_data=[row]).set_variable_result[0].attribute_status

    right = "0123456789abcdef" * (2 if version == "1.6" else 1)  # 16 bytes, 16 characters
    assert change(right[:-2]) == "Rejected"
    if version == "1.6":
        assert change("not hexadecimal!" * 2) == "Rejected"
    assert change(right) == "Accepted"
    assert world.passwords == [right]
    world.run(30)
    assert len(world.csms.handshakes) == 2 and world.station.online
    world.station.power_off()
    world.station = world.build()
    world.station.power_on()
    assert world.passwords == [right] * 2


def test_a_restart_called_off_by_a_power_cut(make_world):
    world = ready(make_world, "1.6")
    ask(world, "Reset", type="Soft")
    world.run(1)
    assert not world.station.powered
    world.station.power_off()
    world.run(60)
    assert not world.station.powered and len(world.csms.heard("BootNotification")) == 1


def test_a_token_that_the_version_cannot_carry(make_world):
    world = ready(make_world, "1.6")
    world.station.plug(1, world.car())
    with pytest.raises(LocalError):
        world.station.tap(1, "X" * 21)
    world.run(30)
    assert not world.station.truth and world.station.online


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_2_get_and_set_variables(make_world, version):
    world = ready(make_world, version)
    m = world.csms.messages

    def at(component, variable, instance=None, evse=None, connector=None):
        return {
            "component": m.ComponentType(
                name=component, evse=None if evse is None else m.EVSEType(id=evse, connector_id=connector)
            ),
            "variable": m.VariableType(name=variable, instance=instance),
        }

    asked = [
        (at("OCPPCommCtrlr", "HeartbeatInterval"), None, "Accepted", "300"),
        (at("ocppcommctrlr", "MESSAGEATTEMPTS", "TransactionEvent"), None, "Accepted", "3"),
        (at("OCPPCommCtrlr", "MessageAttempts"), None, "UnknownVariable", None),
        (at("EVSE", "AvailabilityState", evse=1), None, "Accepted", "Available"),
        (at("Connector", "ConnectorType", evse=1, connector=1), None, "Accepted", "cType2"),
        (at("EVSE", "AvailabilityState", evse=2), None, "UnknownComponent", None),
        (at("Toaster", "Heat"), None, "UnknownComponent", None),
        (at("ChargingStation", "Heat"), None, "UnknownVariable", None),
        (at("SecurityCtrlr", "BasicAuthPassword"), None, "Rejected", None),
        (at("OCPPCommCtrlr", "HeartbeatInterval"), "Target", "NotSupportedAttributeType", None),
        (at("SmartChargingCtrlr", "Entries", "ChargingProfiles"), None, "Accepted", "0"),
    ]
    answer = ask(
        world,
        "GetVariables",
        get_variable_data=[m.GetVariableDataType(attribute_type=kind, **place) for place, kind, _, _ in asked],
    )
    got = [(row.attribute_status, row.attribute_value) for row in answer.get_variable_result]
    assert got == [(status, value) for _, _, status, value in asked]
    assert answer.get_variable_result[1].component.name == "ocppcommctrlr"

    changes = [
        (at("OCPPCommCtrlr", "HeartbeatInterval"), "60", None, "Accepted"),
        (at("OCPPCommCtrlr", "HeartbeatInterval"), "soon", None, "Rejected"),
        (at("ChargingStation", "Model"), "X", None, "Rejected"),
        (at("TxCtrlr", "TxStartPoint"), "Someday", None, "Rejected"),
        (at("TxCtrlr", "Nonsense"), "X", None, "UnknownVariable"),
        (at("Nonsense", "X"), "X", None, "UnknownComponent"),
        (at("OCPPCommCtrlr", "HeartbeatInterval"), "60", "MaxSet", "NotSupportedAttributeType"),
        (at("SampledDataCtrlr", "TxUpdatedMeasurands"), "SoC,Voltage", None, "Accepted"),
    ]
    answer = ask(
        world,
        "SetVariables",
        set_variable_data=[
            m.SetVariableDataType(attribute_value=value, attribute_type=kind, **place)
            for place, value, kind, _ in changes
        ],
    )
    assert [row.attribute_status for row in answer.set_variable_result] == [status for *_, status in changes]
    assert world.station.settings.number("heartbeat_interval") == 60


def test_2_more_items_than_the_station_takes(make_world):
    world = ready(make_world, "2.0.1")
    m = world.csms.messages
    row = m.GetVariableDataType(component=m.ComponentType(name="A"), variable=m.VariableType(name="B"))
    answer = ask(world, "GetVariables", get_variable_data=[row] * 51)
    assert isinstance(answer, RpcError) and answer.code == "OccurrenceConstraintViolation"


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_2_the_full_inventory_comes_in_parts(make_world, version):
    world = ready(make_world, version, evses=(EvseConfig(), EvseConfig()), settings={"report_items": "20"})
    answer = ask(world, "GetBaseReport", request_id=5, report_base="FullInventory")
    world.run(10)
    parts = world.csms.heard("NotifyReport")
    assert answer.status == "Accepted" and len(parts) > 3
    assert [part.seq_no for part in parts] == list(range(len(parts)))
    assert [bool(part.tbc) for part in parts] == [True] * (len(parts) - 1) + [False]
    assert all(part.request_id == 5 and len(part.report_data) <= 20 for part in parts)
    rows = [row for part in parts for row in part.report_data]
    places = {
        (r.component.name, r.component.evse and r.component.evse.id, r.variable.name, r.variable.instance) for r in rows
    }
    assert len(places) == sum(r.component.instance in (None, "1") for r in rows), "and one for each further slot"
    assert ("EVSE", 2, "AvailabilityState", None) in places
    assert sum(1 for s in TABLE if s.variable and not s.feature) < len(rows)
    password = next(r for r in rows if r.variable.name == "BasicAuthPassword")
    assert password.variable_attribute[0].value is None and password.variable_attribute[0].mutability == "WriteOnly"
    # What is reported can be read, variable by variable.
    m = world.csms.messages
    for row in rows[:: max(1, len(rows) // 40)]:
        data = m.GetVariableDataType(component=row.component, variable=row.variable)
        [result] = ask(world, "GetVariables", get_variable_data=[data]).get_variable_result
        wanted = "Rejected" if row.variable_attribute[0].value is None else "Accepted"
        assert result.attribute_status == wanted


def test_2_the_configuration_inventory_holds_what_can_be_set(make_world):
    world = ready(make_world, "2.0.1")
    ask(world, "GetBaseReport", request_id=6, report_base="ConfigurationInventory")
    world.run(5)
    rows = [row for part in world.csms.heard("NotifyReport") for row in part.report_data]
    assert {row.variable_attribute[0].mutability for row in rows} == {"ReadWrite", "WriteOnly"}


def test_the_table_of_settings_is_sound():
    assert len(BY_NAME) == len(TABLE)
    assert sum(1 for s in TABLE if s.key) == len(BY_KEY)
    for setting in TABLE:
        assert setting.key or setting.variable
        assert clean(setting, setting.default) == setting.default, setting.name


# ── the rest ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("version", VERSIONS)
def test_every_other_action_is_turned_down_in_the_right_words(make_world, version, monkeypatch):
    """Known and not served: NotSupported; unknown: NotImplemented; malformed: a CALLERROR."""
    world = ready(make_world, version)
    served = {action for of, action in HANDLERS if of == version}
    known = {name for name, action in ocpp.load(version).actions.items() if action.by_csms}
    assert served <= known
    monkeypatch.delitem(HANDLERS, (version, "CancelReservation"))
    error = ask(world, "CancelReservation", reservation_id=1)
    assert isinstance(error, RpcError) and error.code == "NotSupported"
    link = next(iter(world.network.connections.values())).csms
    frames = []
    world.csms.frame = frames.append  # type: ignore[method-assign]
    link.send(b'[2,"x1","Levitate",{}]')
    link.send(b'[2,"x2","ChangeAvailability",{}]')
    link.send(b"nonsense")
    world.run(1)
    assert b'"NotImplemented"' in frames[0]
    assert frames[1].startswith(b'[4,"x2",')
    assert len(frames) == 3 and b'"-1"' in frames[2]
    assert world.station.online


@pytest.mark.parametrize("version", VERSIONS)
def test_availability_waits_for_the_session_and_survives(make_world, version):
    world = ready(make_world, version)
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(60)
    m = world.csms.messages
    if version == "1.6":
        fields = {"connector_id": 1, "type": "Inoperative"}
        back = {"connector_id": 0, "type": "Operative"}
    else:
        fields = {"operational_status": "Inoperative", "evse": m.EVSEType(id=1)}
        back = {"operational_status": "Operative"}
    assert ask(world, "ChangeAvailability", **fields).status == "Scheduled"
    world.station.tap(1, "AA11")
    world.run(5)

    def status():
        last = world.csms.heard("StatusNotification")[-1]
        return last.status if version == "1.6" else last.connector_status

    assert status() == "Unavailable"
    world.station.tap(1, "AA11")
    world.run(5)
    assert len(world.station.truth) == 1
    world.station.power_off()
    world.station = world.build()
    world.station.power_on()
    world.run(5)
    assert status() == "Unavailable"
    assert ask(world, "ChangeAvailability", **fields).status == "Accepted"
    assert ask(world, "ChangeAvailability", **back).status == "Accepted"
    world.run(2)
    if version != "1.6":
        # G03 note 1: station and EVSE have states of their own, so the EVSE stays as it was put.
        assert status() == "Unavailable"
        assert ask(world, "ChangeAvailability", **back, evse=m.EVSEType(id=1)).status == "Accepted"
        world.run(2)
    assert status() == "Available"
    bad = {"connector_id": 9, "type": "Operative"} if version == "1.6" else {**back, "evse": m.EVSEType(id=9)}
    assert ask(world, "ChangeAvailability", **bad).status == "Rejected"


def test_16_unlock(make_world):
    world = ready(make_world, "1.6", evses=(EvseConfig(), EvseConfig(fixed_cable=True)))
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(60)
    assert ask(world, "UnlockConnector", connector_id=1).status == "Unlocked"
    assert world.station.truth[0].reason == "UnlockCommand"
    assert ask(world, "UnlockConnector", connector_id=2).status == "NotSupported"
    assert ask(world, "UnlockConnector", connector_id=3).status == "NotSupported"


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_2_unlock(make_world, version):
    world = ready(make_world, version, evses=(EvseConfig(), EvseConfig(fixed_cable=True)))
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(60)
    expected = {
        (1, 1): "OngoingAuthorizedTransaction",
        (2, 1): "UnlockFailed",
        (1, 2): "UnknownConnector",
        (3, 1): "UnknownConnector",
    }
    for (evse, connector), status in expected.items():
        assert ask(world, "UnlockConnector", evse_id=evse, connector_id=connector).status == status
    world.station.tap(1, "AA11")
    world.run(5)
    assert ask(world, "UnlockConnector", evse_id=1, connector_id=1).status == "Unlocked"


@pytest.mark.parametrize("version", VERSIONS)
def test_triggers(make_world, version):
    world = ready(make_world, version)
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(60)
    wanted = {
        "Heartbeat": "Heartbeat",
        "StatusNotification": "StatusNotification",
        "MeterValues": "MeterValues",
        "FirmwareStatusNotification": "FirmwareStatusNotification",
    }
    if version == "1.6":
        wanted["DiagnosticsStatusNotification"] = "DiagnosticsStatusNotification"
        wanted["BootNotification"] = "BootNotification"
    else:
        wanted["LogStatusNotification"] = "LogStatusNotification"
        wanted["TransactionEvent"] = "TransactionEvent"
    for message, action in wanted.items():
        before = len(world.csms.heard(action))
        assert ask(world, "TriggerMessage", requested_message=message).status == "Accepted"
        assert len(world.csms.heard(action)) > before, message
    m = world.csms.messages
    if version == "1.6":
        assert ask(world, "TriggerMessage", requested_message="MeterValues", connector_id=4).status == "Rejected"
        assert ask(world, "ExtendedTriggerMessage", requested_message="LogStatusNotification").status == "Accepted"
        assert world.csms.heard("LogStatusNotification")[-1].status == "Idle"
        sign = ask(world, "ExtendedTriggerMessage", requested_message="SignChargePointCertificate")
        assert sign.status == "Accepted" and world.csms.heard("SignCertificate")
    else:
        event = world.csms.heard("TransactionEvent")[-1]
        assert event.trigger_reason == "Trigger" and event.transaction_info.charging_state == "Charging"
        sign = ask(world, "TriggerMessage", requested_message="SignChargingStationCertificate")
        assert sign.status == "Accepted" and world.csms.heard("SignCertificate")
        publish = ask(world, "TriggerMessage", requested_message="PublishFirmwareStatusNotification")
        assert publish.status == "Accepted"
        assert world.csms.heard("PublishFirmwareStatusNotification")[-1].status == "Idle"
        # F06.FR.03: an EVSE that means nothing to the message is not looked at
        assert ask(world, "TriggerMessage", requested_message="Heartbeat", evse=m.EVSEType(id=4)).status == "Accepted"
        if version == "2.1":
            custom = ask(world, "TriggerMessage", requested_message="CustomTrigger", custom_trigger="Sing")
            assert custom.status == "NotImplemented"
            custom = ask(world, "TriggerMessage", requested_message="CustomTrigger", custom_trigger="Heartbeat")
            assert custom.status == "Accepted"
        bad = ask(world, "TriggerMessage", requested_message="MeterValues", evse=m.EVSEType(id=4))
        assert bad.status == "Rejected"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_firmware_update_to_its_end(make_world, version):
    world = ready(make_world, version)
    m = world.csms.messages
    when = to_datetime(int(world.scheduler.now())) + timedelta(seconds=30)
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(10)
    if version == "1.6":
        ask(world, "UpdateFirmware", location="https://firmware.example/1.bin", retrieve_date=when)
    else:
        firmware = m.FirmwareType(location="https://firmware.example/1.bin", retrieve_date_time=when)
        assert ask(world, "UpdateFirmware", request_id=8, firmware=firmware).status == "Accepted"
    world.run(300)
    # Nobody is thrown out: it waits for the session to end.
    assert world.station.truth[0].register_end is None
    assert len(world.csms.heard("BootNotification")) == 1
    world.station.tap(1, "AA11")
    world.run(120)
    statuses = [r.status for r in world.csms.heard("FirmwareStatusNotification")]
    if version == "1.6":
        assert statuses == ["Downloading", "Downloaded", "Installing", "Installed"]
    else:
        assert statuses == [
            "DownloadScheduled", "Downloading", "Downloaded", "InstallScheduled", "Installing", "InstallRebooting",
            "Installed",
        ]  # fmt: skip
        assert {r.request_id for r in world.csms.heard("FirmwareStatusNotification")} == {8}
        assert world.csms.heard("BootNotification")[1].reason == "FirmwareUpdate"
    assert len(world.csms.heard("BootNotification")) == 2


@pytest.mark.parametrize("version", VERSIONS)
def test_firmware_from_nowhere(make_world, version):
    world = ready(make_world, version)
    when = to_datetime(int(world.scheduler.now()))
    if version == "1.6":
        ask(world, "UpdateFirmware", location="gopher://x.example/1.bin", retrieve_date=when)
    else:
        firmware = world.csms.messages.FirmwareType(location="gopher://x.example/1", retrieve_date_time=when)
        ask(world, "UpdateFirmware", request_id=8, firmware=firmware)
    world.run(60)
    assert [r.status for r in world.csms.heard("FirmwareStatusNotification")] == ["DownloadFailed"]


@pytest.mark.parametrize("version", VERSIONS)
def test_logs_are_announced_and_fail_honestly(make_world, version):
    world = ready(make_world, version)
    m = world.csms.messages
    log = m.LogParametersType(remote_location="https://logs.example/")
    answer = ask(world, "GetLog", log=log, log_type="SecurityLog", request_id=3)
    assert answer.status == "Accepted" and answer.filename
    answer = ask(world, "GetLog", log=log, log_type="SecurityLog", request_id=4)
    assert answer.status == "AcceptedCanceled"
    world.run(30)
    rows = [(r.status, r.request_id) for r in world.csms.heard("LogStatusNotification")]
    canceled = [] if version == "1.6" else [("AcceptedCanceled", 3)]
    assert rows == [("Uploading", 3), *canceled, ("Uploading", 4), ("UploadFailure", 4)]
    if version == "1.6":
        assert ask(world, "GetDiagnostics", location="https://logs.example/").file_name
        world.run(30)
        assert [r.status for r in world.csms.heard("DiagnosticsStatusNotification")] == ["Uploading", "UploadFailed"]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_local_list(make_world, version):
    world = ready(make_world, version)
    m = world.csms.messages

    def version_now():
        answer = ask(world, "GetLocalListVersion")
        return answer.list_version if version == "1.6" else answer.version_number

    def send(number, kind, rows):
        if version == "1.6":
            data = [
                m.AuthorizationData(id_tag=t, id_tag_info=None if s is None else m.IdTagInfo(status=s)) for t, s in rows
            ]
            return ask(
                world, "SendLocalList", list_version=number, update_type=kind, local_authorization_list=data or None
            ).status
        data = [
            m.AuthorizationData(
                id_token=m.IdTokenType(id_token=t, type="ISO14443"),
                id_token_info=None if s is None else m.IdTokenInfoType(status=s),
            )
            for t, s in rows
        ]
        return ask(
            world, "SendLocalList", version_number=number, update_type=kind, local_authorization_list=data or None
        ).status

    assert version_now() == 0
    assert send(3, "Full", [("L1", "Accepted"), ("L2", "Blocked")]) == "Accepted"
    assert version_now() == 3
    assert send(3, "Differential", [("L3", "Accepted")]) == "VersionMismatch"
    assert send(4, "Differential", [("L3", "Accepted"), ("L1", None)]) == "Accepted"
    assert send(5, "Full", [(f"T{n}", "Accepted") for n in range(101)]) == "Failed"
    world.offline()
    world.run(1)
    for token, starts in (("L1", False), ("L2", False), ("L3", True)):
        world.station.plug(1, world.car())
        world.station.tap(1, token)
        world.run(5)
        assert (world.station.evses[0].session is not None) is starts, token
        world.station.unplug(1)
    world.online()
    world.run(60)
    assert send(9, "Full", []) == "Accepted"
    assert world.station.authorizer.entries == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_clear_cache(make_world, version):
    world = ready(make_world, version)
    world.station.tap(1, "AA11")
    world.run(5)
    assert world.station.authorizer.locally("AA11", "ISO14443", 0) is not None
    assert ask(world, "ClearCache").status == "Accepted"
    assert world.station.authorizer.locally("AA11", "ISO14443", 0) is None
    world.station.settings.put(BY_NAME["cache_enabled"], "false")
    assert ask(world, "ClearCache").status == "Rejected"


@pytest.mark.parametrize("version", VERSIONS)
def test_data_transfer_of_unknown_vendors(make_world, version):
    world = ready(make_world, version)
    assert ask(world, "DataTransfer", vendor_id="com.example").status == "UnknownVendorId"


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_transaction_status(make_world, version):
    world = ready(make_world, version, settings={"attempt_interval": "600"})
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(30)
    key = world.station.truth[0].transaction
    answer = ask(world, "GetTransactionStatus", transaction_id=key)
    assert (answer.ongoing_indicator, answer.messages_in_queue) == (True, False)
    world.csms.refuse["TransactionEvent"] = 1
    world.station.tap(1, "AA11")
    world.run(2)
    answer = ask(world, "GetTransactionStatus", transaction_id=key)
    assert (answer.ongoing_indicator, answer.messages_in_queue) == (False, True)
    assert ask(world, "GetTransactionStatus").messages_in_queue is True


@pytest.mark.parametrize("version", VERSIONS)
def test_remote_start_is_refused_where_nothing_is_free(make_world, version):
    world = ready(make_world, version)
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(30)
    for place in (1, 5, None):
        if version == "1.6":
            answer = ask(world, "RemoteStartTransaction", id_tag="R", connector_id=place)
        else:
            token = world.csms.messages.IdTokenType(id_token="R", type="Central")
            answer = ask(world, "RequestStartTransaction", id_token=token, remote_start_id=1, evse_id=place)
        assert answer.status == "Rejected"


@pytest.mark.parametrize("version", VERSIONS)
def test_remote_start_authorizes_first_if_it_is_set_so(make_world, version):
    world = ready(make_world, version, settings={"authorize_remote": "true"})
    world.csms.token_status = "Blocked"
    world.station.plug(1, world.car())
    if version == "1.6":
        answer = ask(world, "RemoteStartTransaction", id_tag="R", connector_id=1)
    else:
        token = world.csms.messages.IdTokenType(id_token="R", type="ISO14443")
        answer = ask(world, "RequestStartTransaction", id_token=token, remote_start_id=1, evse_id=1)
    world.run(10)
    assert answer.status == "Accepted" and len(world.csms.heard("Authorize")) == 1 and not world.station.truth
