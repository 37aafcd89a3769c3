"""A whole session in every version, and the ways in which one begins and ends."""

from __future__ import annotations

from typing import Any

import pytest

VERSIONS = ("1.6", "2.0.1", "2.1")


def register_values(world: Any) -> list[tuple[int, int]]:
    """(time ms, Wh) of every Energy.Active.Import.Register that the CSMS was told, in order of arrival."""
    rows: list[tuple[int, int]] = []
    for said in world.csms.said:
        values = getattr(said.request, "meter_value", None) or getattr(said.request, "transaction_data", None) or []
        for value in values:
            rows.extend(
                (int(value.timestamp.timestamp() * 1000), int(sample.value))
                for sample in value.sampled_value
                if sample.measurand == "Energy.Active.Import.Register"
            )
        if said.action == "StartTransaction":
            rows.append((int(said.request.timestamp.timestamp() * 1000), said.request.meter_start))
        if said.action == "StopTransaction":
            rows.append((int(said.request.timestamp.timestamp() * 1000), said.request.meter_stop))
    return rows


def ends(world: Any) -> list[tuple[str, int]]:
    """(transaction, last register) of every session that the CSMS heard the end of."""
    if world.config.version == "1.6":
        return [(str(r.transaction_id), r.meter_stop) for r in world.csms.heard("StopTransaction")]
    return [
        (r.transaction_info.transaction_id, int(r.meter_value[-1].sampled_value[0].value))
        for r in world.csms.heard("TransactionEvent")
        if r.event_type == "Ended"
    ]


def begin(world: Any, car: Any, token: str = "AA11") -> None:
    world.station.power_on()
    world.run(5)
    world.station.plug(1, car)
    world.run(2)
    world.station.tap(1, token)
    world.run(1)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_from_plug_to_unplug_is_exact(make_world, version):
    world = make_world(version)
    car = world.car(soc=300)
    begin(world, car)
    world.run(1800)
    world.station.tap(1, "AA11")
    world.run(5)
    assert world.station.unplug(1) is car
    world.run(5)
    [truth] = world.station.truth
    assert truth.reason == "Local" and truth.energy_wh is not None and truth.energy_wh > 5000
    # What the meter counted is what the car took, to the microjoule.
    meter = world.station.evses[0].meter
    assert meter.energy_uj == car.taken_uj == car.gained_uj + car.lost_uj
    assert ends(world) == [(truth.transaction, truth.register_end)]
    rows = register_values(world)
    assert [wh for _, wh in sorted(rows)] == sorted(wh for _, wh in rows)
    assert len(rows) > 30
    assert not len(world.station.outbox)


def test_16_tells_the_statuses_in_order(make_world):
    world = make_world("1.6")
    begin(world, world.car(soc=990))
    world.run(3600)
    world.station.tap(1, "AA11")
    world.run(2)
    world.station.unplug(1)
    world.run(2)
    statuses = [r.status for r in world.csms.heard("StatusNotification") if r.connector_id == 1]
    assert statuses == ["Available", "Preparing", "Charging", "SuspendedEV", "Finishing", "Available"]
    actions = [s.action for s in world.csms.said if s.action != "MeterValues"]
    assert actions.index("StartTransaction") < actions.index("StatusNotification", actions.index("Authorize"))


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_2_tells_charging_states_and_numbers_without_gaps(make_world, version):
    world = make_world(version)
    begin(world, world.car(soc=990))
    world.run(3600)
    world.station.unplug(1)
    world.run(2)
    events = world.csms.heard("TransactionEvent")
    assert [e.seq_no for e in events] == list(range(len(events)))
    states = [e.transaction_info.charging_state for e in events if e.transaction_info.charging_state]
    assert states == ["EVConnected", "Charging", "SuspendedEV", "Idle"]
    assert events[0].event_type == "Started" and events[0].trigger_reason == "Authorized"
    assert events[0].evse.id == 1 and events[0].id_token.id_token == "AA11"
    assert events[1].number_of_phases_used == 3
    assert events[-1].event_type == "Ended" and events[-1].trigger_reason == "EVCommunicationLost"
    assert events[-1].transaction_info.stopped_reason == "EVDisconnected"
    assert [r.connector_status for r in world.csms.heard("StatusNotification")] == [
        "Available",
        "Occupied",
        "Available",
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_card_first_then_cable(make_world, version):
    world = make_world(version)
    world.station.power_on()
    world.run(2)
    world.station.tap(1, "AA11")
    world.run(10)
    assert not world.station.truth
    world.station.plug(1, world.car())
    world.run(60)
    assert len(world.station.truth) == 1
    if version != "1.6":
        assert world.csms.heard("TransactionEvent")[0].trigger_reason == "CablePluggedIn"


@pytest.mark.parametrize("version", VERSIONS)
def test_nobody_waits_for_a_cable_for_ever(make_world, version):
    world = make_world(version, settings={"connection_timeout": "30"})
    world.station.power_on()
    world.run(2)
    world.station.tap(1, "AA11")
    world.run(1)
    if version == "1.6":
        assert world.csms.heard("StatusNotification")[-1].status == "Preparing"
    world.run(30)
    if version == "1.6":
        assert world.csms.heard("StatusNotification")[-1].status == "Available"
    world.station.plug(1, world.car())
    world.run(10)
    assert not world.station.truth


@pytest.mark.parametrize("version", VERSIONS)
def test_a_card_that_is_not_accepted_starts_nothing(make_world, version):
    world = make_world(version)
    world.csms.token_status = "Blocked"
    begin(world, world.car())
    world.run(60)
    assert not world.station.truth and world.station.evses[0].meter.energy_uj == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_another_card_of_the_same_group_may_stop(make_world, version):
    world = make_world(version)
    world.csms.group = "FLEET"
    begin(world, world.car())
    world.run(60)
    world.station.tap(1, "BB22")
    world.run(5)
    [truth] = world.station.truth
    assert truth.reason == "Local" and truth.token == "AA11"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_stranger_may_not_stop(make_world, version):
    world = make_world(version)
    begin(world, world.car())
    world.run(60)
    world.station.tap(1, "BB22")
    world.run(5)
    assert world.station.truth[0].register_end is None


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("stop", [True, False])
def test_a_token_that_turns_out_invalid(make_world, version, stop):
    """E05 / StopTransactionOnInvalidId: the start was let in locally, the CSMS says no."""
    world = make_world(version, settings={"stop_on_invalid": "true" if stop else "false", "local_preauthorize": "true"})
    begin(world, world.car())
    world.run(120)
    world.station.tap(1, "AA11")
    world.run(5)
    world.csms.token_status = "Blocked"
    world.station.tap(1, "AA11")
    world.run(120)
    first, second = world.station.truth
    assert first.energy_wh is not None and first.energy_wh > 300
    if stop:
        assert second.reason == "DeAuthorized" and second.energy_wh in (0, 1)
    else:
        assert second.register_end is None
        assert world.station.evses[0].meter.power_mw == 0
        assert world.station.evses[0].phase == "SuspendedEVSE"
        if version != "1.6":
            last = [e for e in world.csms.heard("TransactionEvent") if e.transaction_info.charging_state][-1]
            assert last.transaction_info.charging_state == "SuspendedEVSE"


@pytest.mark.parametrize("version", VERSIONS)
def test_remote_start_and_stop(make_world, version):
    world = make_world(version)
    world.station.power_on()
    world.run(2)
    world.station.plug(1, world.car())
    world.run(2)
    m = world.csms.messages
    if version == "1.6":
        world.csms.command("RemoteStartTransaction", m.RemoteStartTransactionRequest(connector_id=1, id_tag="REMOTE"))
    else:
        token = m.IdTokenType(id_token="REMOTE", type="Central")
        world.csms.command(
            "RequestStartTransaction", m.RequestStartTransactionRequest(evse_id=1, remote_start_id=9, id_token=token)
        )
    world.run(120)
    [truth] = world.station.truth
    assert truth.token == "REMOTE"
    if version == "1.6":
        stop = m.RemoteStopTransactionRequest(transaction_id=int(truth.transaction))
        world.csms.command("RemoteStopTransaction", m.RemoteStopTransactionRequest(transaction_id=1))
        world.csms.command("RemoteStopTransaction", stop)
    else:
        started = world.csms.heard("TransactionEvent")[0]
        assert started.trigger_reason == "RemoteStart" and started.transaction_info.remote_start_id == 9
        world.csms.command("RequestStopTransaction", m.RequestStopTransactionRequest(transaction_id="no"))
        world.csms.command("RequestStopTransaction", m.RequestStopTransactionRequest(transaction_id=truth.transaction))
    world.run(5)
    assert [a.status for _, a in world.csms.answers] == ["Accepted", "Rejected", "Accepted"]
    assert truth.reason == "Remote"
    assert ends(world) == [(truth.transaction, truth.register_end)]


@pytest.mark.parametrize("version", VERSIONS)
def test_plug_and_charge_by_cable_alone(make_world, version):
    world = make_world(version, autostart_token="AUTO")
    world.station.power_on()
    world.run(2)
    world.station.plug(1, world.car())
    world.run(60)
    assert len(world.station.truth) == 1
    if version == "1.6":
        assert world.csms.heard("StartTransaction")[0].id_tag == "AUTO"
    else:
        assert world.csms.heard("TransactionEvent")[0].id_token.type == "NoAuthorization"


def test_16_a_pulled_cable_may_leave_the_transaction_open(make_world):
    world = make_world("1.6", settings={"stop_on_disconnect": "false"})
    car = world.car()
    begin(world, car)
    world.run(120)
    world.station.unplug(1)
    world.run(60)
    assert world.csms.heard("StatusNotification")[-1].status == "SuspendedEV"
    world.station.plug(1, car)
    world.run(60)
    assert world.csms.heard("StatusNotification")[-1].status == "Charging"
    world.station.tap(1, "AA11")
    world.run(5)
    [truth] = world.station.truth
    assert truth.energy_wh == car.taken_uj // 3_600_000_000


@pytest.mark.parametrize("version", VERSIONS)
def test_a_fault_ends_the_session_and_is_told(make_world, version):
    world = make_world(version)
    begin(world, world.car())
    world.run(120)
    world.station.break_down(1, "GroundFailure")
    world.run(5)
    assert world.station.truth[0].reason == "Other"
    last = world.csms.heard("StatusNotification")[-1]
    if version == "1.6":
        assert (last.status, last.error_code) == ("Faulted", "GroundFailure")
    else:
        assert last.connector_status == "Faulted"
    world.station.repair(1)
    world.run(5)
    last = world.csms.heard("StatusNotification")[-1]
    assert (last.status if version == "1.6" else last.connector_status) in ("Finishing", "Occupied")


@pytest.mark.parametrize("version", VERSIONS)
def test_dc_tapers_and_tells_the_soc(make_world, version):
    from pilotwire.twin.demo import DC_150

    world = make_world(version, evses=(DC_150,))
    car = world.car("sedan three-phase 11 kW 800 V", soc=700)
    begin(world, car)
    world.run(1500)
    powers, socs = [], []
    for said in world.csms.said:
        for value in getattr(said.request, "meter_value", None) or []:
            for sample in value.sampled_value:
                if sample.measurand == "Power.Active.Import":
                    powers.append(float(sample.value))
                if sample.measurand == "SoC":
                    socs.append(int(sample.value))
    assert max(powers) <= 150_000 and powers[0] > 100_000 > 40_000 > powers[-1]
    assert socs == sorted(socs) and socs[0] >= 70 and socs[-1] > 90


@pytest.mark.parametrize("version", VERSIONS)
def test_clock_aligned_readings(make_world, version):
    world = make_world(version, settings={"aligned_interval": "900", "sample_interval": "0"})
    world.station.power_on()
    world.run(1000)
    begin(world, world.car())
    world.run(2700)
    aligned = [
        value
        for said in world.csms.said
        for value in getattr(said.request, "meter_value", None) or []
        if value.sampled_value[0].context == "Sample.Clock"
    ]
    assert len(aligned) == 4
    assert all(int(value.timestamp.timestamp()) % 900 == 0 for value in aligned)


@pytest.mark.parametrize("version", VERSIONS)
def test_readings_for_the_last_message(make_world, version):
    world = make_world(version, settings={"ended_interval": "300", "ended": "Energy.Active.Import.Register"})
    begin(world, world.car())
    world.run(1000)
    world.station.tap(1, "AA11")
    world.run(2)
    if version == "1.6":
        values = world.csms.heard("StopTransaction")[0].transaction_data
    else:
        values = world.csms.heard("TransactionEvent")[-1].meter_value
    contexts = [value.sampled_value[0].context for value in values]
    assert contexts == ["Transaction.Begin", *["Sample.Periodic"] * 3, "Transaction.End"]


def test_a_first_reading_that_does_not_wait_for_the_interval(make_world):
    world = make_world("1.6", first_sample_ms=2_000)
    begin(world, world.car())
    world.run(200)
    begun = world.csms.times("StartTransaction")[0]
    assert [round(time - begun) for time in world.csms.times("MeterValues")] == [2, 62, 122, 182]
