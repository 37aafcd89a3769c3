"""1.6: whole sections of the standard, one after the other (3.8 to 3.16, 4.2.1, 4.9, 4.10, 5.6, 9.1)."""

from __future__ import annotations

from datetime import UTC, timedelta, timezone
from decimal import Decimal
from itertools import pairwise

import pytest

from pilotwire.core.time import to_datetime
from pilotwire.station import phases
from pilotwire.station.config import EvseConfig
from pilotwire.station.sessions import Sampled

VERSIONS = ("1.6", "2.0.1", "2.1")
ENERGY = "Energy.Active.Import.Register"


def ready(make_world, version="1.6", **more):
    world = make_world(version, **more)
    world.station.power_on()
    world.run(5)
    return world


def ask(world, action, **fields):
    world.csms.command(action, world.csms.version.actions[action].request_type(**fields))
    world.run(1)
    assert world.csms.answers[-1][0] == action
    return world.csms.answers[-1][1]


def put(world, key, value, status="Accepted"):
    assert ask(world, "ChangeConfiguration", key=key, value=value).status == status, (key, value)


def value(world, key):
    (row,) = ask(world, "GetConfiguration", key=[key]).configuration_key
    return row.value


def charge(world, minutes, token="AA11"):
    world.station.plug(1, world.car())
    world.station.tap(1, token)
    world.run(minutes * 60)
    world.station.tap(1, token)
    world.run(2)
    world.station.unplug(1)
    world.run(2)


def statuses(world, connector=1):
    return [s.status for s in world.csms.heard("StatusNotification") if s.connector_id == connector]


# ── 3.8 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_connectors_are_numbered_from_one_and_zero_is_the_whole(make_world):
    world = ready(make_world, evses=(EvseConfig(), EvseConfig(), EvseConfig()))
    assert value(world, "NumberOfConnectors") == "3"
    assert [s.connector_id for s in world.csms.heard("StatusNotification")] == [0, 1, 2, 3]
    for number, status in ((4, "Rejected"), (0, "Accepted")):
        assert ask(world, "ChangeAvailability", connector_id=number, type="Inoperative").status == status
    assert [statuses(world, number)[-1] for number in range(4)] == ["Unavailable"] * 4
    assert ask(world, "ChangeAvailability", connector_id=0, type="Operative").status == "Accepted"
    assert ask(world, "UnlockConnector", connector_id=4).status == "NotSupported"
    assert ask(world, "RemoteStartTransaction", connector_id=4, id_tag="AA11").status == "Rejected"
    assert ask(world, "RemoteStartTransaction", connector_id=0, id_tag="AA11").status == "Rejected"
    world.station.plug(3, world.car())
    world.station.tap(3, "AA11")
    world.run(120)
    assert [s.connector_id for s in world.csms.heard("StartTransaction")] == [3]
    assert {s.connector_id for s in world.csms.heard("MeterValues")} == {3}


# ── 3.12, 5.6 ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_messages_of_vendors_that_are_not_known_are_answered_so(make_world):
    world = ready(make_world)
    for fields in ({}, {"message_id": "M"}, {"message_id": "M", "data": "any text"}):
        answer = ask(world, "DataTransfer", vendor_id="com.example", **fields)
        assert (answer.status, answer.data) == ("UnknownVendorId", None)
    assert world.csms.heard("DataTransfer") == [], "and it sends none of its own accord"


# ── 3.14, 3.15 ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_times_are_told_in_utc_and_read_in_every_zone(make_world):
    world = make_world()
    m = world.csms.messages
    east = timezone(timedelta(hours=5, minutes=45))
    told = (to_datetime(int(world.scheduler.now())) + timedelta(hours=1, microseconds=250_000)).astimezone(east)
    boot = lambda request: m.BootNotificationResponse(status="Accepted", current_time=told, interval=300)  # noqa: E731
    world.csms.scripts["BootNotification"] = boot
    world.station.power_on()
    world.run(5)
    off = world.station.clock.now() - int(world.scheduler.now())
    assert 3_590_000 <= off <= 3_600_500, "an hour ahead, as it was told"
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(60)
    (begun,) = world.csms.heard("StartTransaction")
    assert begun.timestamp.tzinfo == UTC and begun.timestamp.utcoffset() == timedelta(0)
    until = (world.station.clock.wall() + timedelta(minutes=5)).astimezone(east)
    world.station.tap(1, "AA11")
    world.run(5)
    world.station.unplug(1)
    world.run(5)
    assert ask(world, "ReserveNow", connector_id=1, expiry_date=until, id_tag="AA11", reservation_id=1).status == (
        "Accepted"
    )
    world.run(240)
    assert statuses(world)[-1] == "Reserved"
    world.run(120)
    assert statuses(world)[-1] == "Available"


# ── 3.16 ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def contexts(values):
    return [value.sampled_value[0].context for value in values or ()]


def test_readings_of_a_session_by_their_interval(make_world):
    """3.16.1: MeterValuesSampledData in MeterValues, StopTxnSampledData in StopTransaction, every so many seconds."""
    world = ready(make_world)
    put(world, "MeterValueSampleInterval", "120")
    put(world, "MeterValuesSampledData", f"{ENERGY},SoC,Power.Active.Import")
    put(world, "StopTxnSampledData", f"{ENERGY},Voltage")
    for key in ("MeterValuesSampledDataMaxLength", "StopTxnSampledDataMaxLength"):
        assert int(value(world, key)) >= 3
    charge(world, 11)
    sent = [one for request in world.csms.heard("MeterValues") for one in request.meter_value]
    assert contexts(sent) == ["Sample.Periodic"] * 5
    assert {row.measurand for row in sent[0].sampled_value} == {ENERGY, "Power.Active.Import"}
    (stop,) = world.csms.heard("StopTransaction")
    assert contexts(stop.transaction_data) == ["Transaction.Begin", *["Sample.Periodic"] * 5, "Transaction.End"]
    assert {row.measurand for one in stop.transaction_data for row in one.sampled_value} == {ENERGY, "Voltage"}
    gaps = [b.timestamp - a.timestamp for a, b in pairwise(sent)]
    assert gaps == [timedelta(minutes=2)] * 4
    put(world, "MeterValueSampleInterval", "0")
    charge(world, 11)
    assert len(world.csms.heard("MeterValues")) == 5, "0 is: none at all"
    assert contexts(world.csms.heard("StopTransaction")[1].transaction_data) == ["Transaction.Begin", "Transaction.End"]


def test_readings_by_the_clock(make_world):
    """3.16.2: from midnight on, in MeterValues and with the StopTransaction."""
    world = ready(make_world)
    put(world, "MeterValueSampleInterval", "0")
    put(world, "ClockAlignedDataInterval", "900")
    put(world, "MeterValuesAlignedData", f"{ENERGY},Voltage")
    put(world, "StopTxnAlignedData", "Current.Import")
    put(world, "StopTxnSampledData", "")
    for key in ("MeterValuesAlignedDataMaxLength", "StopTxnAlignedDataMaxLength"):
        assert int(value(world, key)) >= 2
    world.run(100)
    charge(world, 50)
    sent = [one for request in world.csms.heard("MeterValues") for one in request.meter_value]
    assert contexts(sent) == ["Sample.Clock"] * 3
    assert {row.measurand for row in sent[0].sampled_value} == {ENERGY, "Voltage"}
    (stop,) = world.csms.heard("StopTransaction")
    assert contexts(stop.transaction_data) == ["Sample.Clock"] * 3
    assert {row.measurand for one in stop.transaction_data for row in one.sampled_value} == {"Current.Import"}
    for one in (*sent, *stop.transaction_data):
        assert (one.timestamp.minute % 15, one.timestamp.second) == (0, 0)
    put(world, "StopTxnAlignedData", "")
    put(world, "ClockAlignedDataInterval", "0")
    before = len(world.csms.heard("MeterValues"))
    charge(world, 50)
    assert len(world.csms.heard("MeterValues")) == before, "0 is: none at all"
    assert world.csms.heard("StopTransaction")[1].transaction_data is None, "3.16.5"


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_2_readings_by_the_clock_go_with_the_end(make_world, version):
    settings = {"sample_interval": "0", "aligned_ended": "Voltage", "aligned_ended_interval": "600", "ended": ""}
    world = ready(make_world, version, settings=settings)
    charge(world, 35)
    ended = world.csms.heard("TransactionEvent")[-1]
    assert contexts(ended.meter_value) == ["Sample.Clock"] * 3
    assert {row.measurand for one in ended.meter_value for row in one.sampled_value} == {"Voltage"}


def test_every_phase_is_told(make_world):
    """3.16.3."""
    world = ready(make_world, settings={"sampled": "Current.Import,Voltage", "ended": "Current.Import"})
    charge(world, 2)
    first = world.csms.heard("MeterValues")[0].meter_value[0].sampled_value
    assert [(row.measurand, row.phase) for row in first] == [
        *(("Current.Import", phase) for phase in ("L1", "L2", "L3")),
        *(("Voltage", phase) for phase in ("L1-N", "L2-N", "L3-N")),
    ]
    assert [row.phase for row in world.csms.heard("StopTransaction")[0].transaction_data[-1].sampled_value] == [
        "L1", "L2", "L3",
    ]  # fmt: skip


def test_measurands_that_it_cannot_measure_change_nothing(make_world):
    """3.16.4."""
    world = ready(make_world)
    for key in ("MeterValuesAlignedData", "MeterValuesSampledData", "StopTxnAlignedData", "StopTxnSampledData"):
        put(world, key, "Voltage")
        for wrong in ("RPM", f"{ENERGY},RPM", "Voltage,,Energy.Reactive.Export.Register"):
            put(world, key, wrong, "Rejected")
        assert value(world, key) == "Voltage"


def test_nothing_is_measured_for_the_stop_where_nothing_is_asked_for(make_world):
    """3.16.5, also where it is said in the middle of a session."""
    world = ready(make_world)
    put(world, "ClockAlignedDataInterval", "60")
    for before in ("", ENERGY):
        put(world, "StopTxnAlignedData", before)
        put(world, "StopTxnSampledData", before)
        world.station.plug(1, world.car())
        world.station.tap(1, "AA11")
        world.run(200)
        assert bool(world.station.evses[0].session.kept) is bool(before)
        put(world, "StopTxnAlignedData", "")
        put(world, "StopTxnSampledData", "")
        world.station.tap(1, "AA11")
        world.run(5)
        world.station.unplug(1)
        world.run(5)
        assert world.csms.heard("StopTransaction")[-1].transaction_data is None
    assert len(world.csms.heard("MeterValues")) > 5


# ── 4.2.1 ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_begins_before_the_station_is_accepted_is_told_later(make_world):
    world = make_world()
    world.csms.boot_status = "Pending"
    world.csms.interval = 60
    world.station.authorizer.learn("AA11", "", world.station.dialect.authorize_grant(accepted(world)), 0)
    world.station.commit()
    world.station.power_on()
    world.run(5)
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(120)
    assert world.csms.heard("StartTransaction") == [] and world.station.evses[0].session is not None
    world.csms.boot_status = "Accepted"
    world.run(120)
    assert [s.id_tag for s in world.csms.heard("StartTransaction")] == ["AA11"]
    world.station.power_off()
    world.station = world.build()
    boots = len(world.csms.heard("BootNotification"))
    world.station.power_on()
    world.run(5)
    assert len(world.csms.heard("BootNotification")) == boots + 1, "after a restart it says so again"


def accepted(world):
    m = world.csms.messages
    return m.AuthorizeResponse(id_tag_info=m.IdTagInfo(status="Accepted"))


# ── 4.9 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_told_of_a_car_that_is_pulled_off_its_cable(make_world):
    for stops in ("true", "false"):
        world = ready(make_world)
        put(world, "StopTransactionOnEVSideDisconnect", stops)
        world.station.plug(1, world.car())
        world.station.tap(1, "AA11")
        world.run(60)
        world.station.unplug(1)
        world.run(5)
        told = [s for s in world.csms.heard("StatusNotification") if s.info]
        assert [(s.status, s.error_code, s.info) for s in told] == [
            ("Finishing" if stops == "true" else "SuspendedEV", "NoError", "EV side disconnected")
        ]
        assert (world.station.evses[0].session is None) is (stops == "true")
        assert statuses(world)[-1] == ("Available" if stops == "true" else "SuspendedEV")


def test_the_statuses_of_a_connector(make_world):
    world = ready(make_world, evses=(EvseConfig(), EvseConfig()), settings={"connection_timeout": "30"})
    station, told = world.station, []

    def now(expected):
        world.run(2)
        fresh = statuses(world)[len(told) :]
        told.extend(fresh)
        assert fresh == expected

    now(["Available"])
    station.tap(1, "AA11")
    now(["Preparing"])  # A2
    world.run(30)
    now(["Available"])  # B1
    until = world.station.clock.wall() + timedelta(minutes=1)
    ask(world, "ReserveNow", connector_id=1, expiry_date=until, id_tag="AA11", reservation_id=1)
    now(["Reserved"])  # A7
    ask(world, "CancelReservation", reservation_id=1)
    now(["Available"])  # G1
    station.plug(1, world.car(soc=985))
    now(["Preparing"])
    station.break_down(1, "GroundFailure")
    now(["Faulted"])  # B9
    station.repair(1)
    now(["Preparing"])  # I2
    station.tap(1, "AA11")
    now(["Charging"])  # B3
    m = world.csms.messages
    period = m.ChargingSchedulePeriod(start_period=0, limit=Decimal(0))
    schedule = m.ChargingSchedule(charging_rate_unit="A", charging_schedule_period=[period])
    profile = m.ChargingProfile(
        charging_profile_id=1,
        stack_level=0,
        charging_profile_purpose="TxDefaultProfile",
        charging_profile_kind="Relative",
        charging_schedule=schedule,
    )
    ask(world, "SetChargingProfile", connector_id=1, cs_charging_profiles=profile)
    now(["SuspendedEVSE"])  # C5
    ask(world, "ClearChargingProfile", id=1)
    now(["Charging"])  # E3
    world.run(3600)
    now(["SuspendedEV"])  # C4
    ask(world, "SetChargingProfile", connector_id=1, cs_charging_profiles=profile)
    now(["SuspendedEVSE"])  # D5: that of the station comes first
    ask(world, "ClearChargingProfile", id=1)
    now(["SuspendedEV"])  # E4
    ask(world, "ChangeAvailability", connector_id=1, type="Inoperative")
    now([])
    station.tap(1, "AA11")
    now(["Unavailable"])  # D8
    station.unplug(1)
    now([])
    station.power_off()
    world.station = station = world.build()
    station.power_on()
    world.run(3)
    now(["Unavailable"])
    ask(world, "ChangeAvailability", connector_id=1, type="Operative")
    now(["Available"])  # H1
    world.offline()
    station.plug(1, world.car())
    world.run(5)
    station.unplug(1)
    world.run(5)
    station.plug(1, world.car())
    world.online()
    world.run(40)
    now(["Preparing"])
    assert set(statuses(world, 0)) == {"Available"}, "connector 0 follows the station, not its connectors"
    assert set(statuses(world, 2)) == {"Available"}


# ── 4.10, 9.1.33 ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("by", ["owner", "csms", "restart", "car"])
def test_a_cable_that_is_left_behind_stays_locked(make_world, version, by):
    world = ready(make_world, version, settings={"unlock_on_disconnect": "false"})
    station = world.station

    def last():
        one = world.csms.heard("StatusNotification")[-1]
        return one.status if version == "1.6" else one.connector_status

    busy, free = ("Finishing", "Available") if version == "1.6" else ("Occupied", "Available")
    station.plug(1, world.car())
    station.tap(1, "AA11")
    world.run(60)
    station.unplug(1)
    world.run(5)
    assert station.evses[0].session is None and last() == busy
    station.tap(1, "BB22")
    world.run(5)
    assert last() == busy and station.evses[0].pending is None, "it is not theirs"
    m = world.csms.messages
    if version == "1.6":
        answer = ask(world, "RemoteStartTransaction", connector_id=1, id_tag="BB22")
    else:
        token = m.IdTokenType(id_token="BB22", type="Central")
        answer = ask(world, "RequestStartTransaction", evse_id=1, remote_start_id=1, id_token=token)
    assert answer.status == "Rejected"
    if by == "restart":
        station.power_off()
        world.station = station = world.build()
        station.power_on()
        world.run(5)
        assert last() == busy
        by = "owner"
    if by == "owner":
        station.tap(1, "aa11")
    elif by == "csms":
        place = {"connector_id": 1} if version == "1.6" else {"evse_id": 1, "connector_id": 1}
        assert ask(world, "UnlockConnector", **place).status == "Unlocked"
    else:
        station.plug(1, world.car())
        station.tap(1, "BB22")
        world.run(30)
        assert station.evses[0].session is not None
        station.tap(1, "BB22")
        world.run(2)
        station.unplug(1)
    world.run(5)
    assert last() == free
    count = 1 if by != "car" else 2
    assert len(station.truth) == count


def test_the_key_that_unlocks_is_the_csmss_to_set(make_world):
    world = ready(make_world)
    assert value(world, "UnlockConnectorOnEVSideDisconnect") == "true"
    put(world, "UnlockConnectorOnEVSideDisconnect", "false")
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(60)
    world.station.unplug(1)
    world.run(5)
    assert statuses(world)[-1] == "Finishing"
    fixed = ready(make_world, evses=(EvseConfig(fixed_cable=True),))
    put(fixed, "UnlockConnectorOnEVSideDisconnect", "false")
    fixed.station.plug(1, fixed.car())
    fixed.station.tap(1, "AA11")
    fixed.run(60)
    fixed.station.unplug(1)
    fixed.run(5)
    assert statuses(fixed)[-1] == "Available", "a cable of the station's own is not locked"


# ── 9.1.7 ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_phases_are_told_as_the_meter_sees_them(make_world):
    evses = (EvseConfig(), EvseConfig(), EvseConfig(phases=1))
    world = ready(make_world, evses=evses, settings={"sampled": "Current.Import,Voltage"})
    assert value(world, "ConnectorPhaseRotation") == "1.RST,2.RST,3.NotApplicable"
    assert value(world, "ConnectorPhaseRotationMaxLength") == "4"
    for wrong in ("", "RST", "1.RSS", "4.RST", "1.RST,1.RTS", "1.R", "-1.RST"):
        put(world, "ConnectorPhaseRotation", wrong, "Rejected")
    put(world, "ConnectorPhaseRotation", "0.RST, 1.STR, 2.Unknown, 3.NotApplicable")
    assert value(world, "ConnectorPhaseRotation") == "0.RST, 1.STR, 2.Unknown, 3.NotApplicable"
    for evse in (1, 2):
        world.station.plug(evse, world.car("compact one-phase 7 kW"))
        world.station.tap(evse, "AA11")
        world.run(1)
    world.run(65)
    used = {}
    for request in world.csms.heard("MeterValues"):
        rows = request.meter_value[0].sampled_value
        used[request.connector_id] = [
            row.phase for row in rows if row.measurand == "Current.Import" and Decimal(row.value) > 1
        ]
        assert [row.phase for row in rows if row.measurand == "Voltage"] == ["L1-N", "L2-N", "L3-N"]
    assert used == {1: ["L2"], 2: ["L1"]}
    world.station.power_off()
    world.station = world.build()
    world.station.power_on()
    world.run(5)
    assert value(world, "ConnectorPhaseRotation").startswith("0.RST, 1.STR")


@pytest.mark.parametrize(
    ("rotation", "told"),
    [
        ("RST", "123"),
        ("RTS", "132"),
        ("SRT", "213"),
        ("STR", "312"),
        ("TRS", "231"),
        ("TSR", "321"),
        ("Unknown", "123"),
    ],
)
def test_each_rotation(rotation, told):
    """Which phase of the connector (1, 2, 3) is on L1, L2 and L3 of the meter."""
    rows = tuple(Sampled("Current.Import", Decimal(n), "A", f"L{n}") for n in (1, 2, 3))
    found = phases.as_metered(rows, f"2.RST,1.{rotation}", 1)
    assert [row.phase for row in found] == ["L1", "L2", "L3"]
    assert "".join(str(row.value) for row in found) == told
    assert phases.as_metered(rows, f"2.RST,1.{rotation}", 2) == rows
