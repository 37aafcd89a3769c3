"""Power cuts, restarts and resets in the middle of a session."""

from __future__ import annotations

import pytest

from pilotwire.station.storage import SqliteShelf

VERSIONS = ("1.6", "2.0.1", "2.1")


def begin(world, token="AA11", soc=300):
    car = world.car(soc=soc)
    world.station.power_on()
    world.run(5)
    world.station.plug(1, car)
    world.station.tap(1, token)
    world.run(600)
    return car


def last_end(world):
    if world.config.version == "1.6":
        r = world.csms.heard("StopTransaction")[-1]
        return str(r.transaction_id), r.meter_stop, r.reason
    r = world.csms.heard("TransactionEvent")[-1]
    assert r.event_type == "Ended"
    return (
        r.transaction_info.transaction_id,
        int(r.meter_value[-1].sampled_value[0].value),
        r.transaction_info.stopped_reason,
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_a_power_cut_in_mid_session(make_world, version):
    world = make_world(version)
    car = begin(world)
    world.station.power_off()
    world.run(3600)
    taken = car.taken_uj
    world.station.power_on()
    world.run(30)
    [truth] = world.station.truth
    assert last_end(world) == (truth.transaction, truth.register_end, "PowerLoss")
    assert taken == car.taken_uj == world.station.evses[0].meter.energy_uj
    status = world.csms.heard("StatusNotification")[-1]
    assert (status.status if version == "1.6" else status.connector_status) in ("Finishing", "Occupied")
    assert len(world.csms.heard("BootNotification")) == 2


@pytest.mark.parametrize("version", VERSIONS)
def test_another_process_takes_up_from_the_storage(make_world, version, tmp_path):
    """Killed without a word, even without a last look at the meter: what was told is known, the register goes on."""
    world = make_world(version)
    shelf = SqliteShelf(tmp_path / "stations.sqlite")
    world.storage = shelf.open("CS-1")
    world.station = world.build()
    begin(world)
    told = max(
        int(sample.value)
        for said in world.csms.said
        for value in getattr(said.request, "meter_value", None) or []
        for sample in value.sampled_value
        if sample.measurand == "Energy.Active.Import.Register"
    )
    # The old station object simply is no more.
    world.station.conversation.stop()
    for evse in world.station.evses:
        world.station.energy.cancel(evse)
    shelf.close()
    world.network.crash()
    world.online()
    shelf = SqliteShelf(tmp_path / "stations.sqlite")
    world.storage = shelf.open("CS-1")
    world.station = world.build()
    world.station.power_on()
    world.run(30)
    [truth] = world.station.truth
    assert last_end(world) == (truth.transaction, truth.register_end, "PowerLoss")
    assert truth.register_end == told == world.station.evses[0].meter.register_wh
    shelf.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_an_offline_queue_survives_the_restart(make_world, version):
    world = make_world(version)
    begin(world)
    world.offline()
    world.run(300)
    world.station.tap(1, "AA11")
    world.run(1)
    queued = len(world.station.outbox)
    assert queued >= 6
    world.station.power_off()
    world.station = world.build()
    world.station.power_on()
    assert len(world.station.outbox) == queued
    world.online()
    world.run(600)
    [truth] = world.station.truth
    assert last_end(world) == (truth.transaction, truth.register_end, "Local")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_reset_in_mid_session(make_world, version, kind):
    world = make_world(version)
    begin(world)
    m = world.csms.messages
    if version == "1.6":
        world.csms.command("Reset", m.ResetRequest(type="Hard" if kind == "hard" else "Soft"))
    else:
        world.csms.command("Reset", m.ResetRequest(type="Immediate" if kind == "hard" else "OnIdle"))
    world.run(60)
    [truth] = world.station.truth
    if version != "1.6" and kind == "soft":
        assert world.csms.answers[-1][1].status == "Scheduled"
        assert truth.register_end is None and len(world.csms.heard("BootNotification")) == 1
        world.station.tap(1, "AA11")
        world.run(60)
        reason = "Local"
    else:
        assert world.csms.answers[-1][1].status == "Accepted"
        reason = {"hard": "HardReset", "soft": "SoftReset"}[kind] if version == "1.6" else "ImmediateReset"
    boots = world.csms.heard("BootNotification")
    assert len(boots) == 2
    if version == "1.6":
        assert last_end(world) == (truth.transaction, truth.register_end, reason)
    else:
        assert boots[1].reason == ("ScheduledReset" if kind == "soft" else "RemoteReset")
        assert last_end(world) == (truth.transaction, truth.register_end, reason)


def test_reset_while_the_csms_is_silent_sends_the_end_after_the_restart(make_world):
    """B12.FR.05."""
    world = make_world("2.0.1", settings={"sample_interval": "0"})
    begin(world)
    world.csms.silent.add("TransactionEvent")
    world.csms.command("Reset", world.csms.messages.ResetRequest(type="Immediate"))
    world.run(10)
    world.csms.silent.clear()
    world.run(60)
    ended = [e for e in world.csms.heard("TransactionEvent") if e.event_type == "Ended"]
    assert len(ended) == 2 and ended[0] == ended[1]
    assert not len(world.station.outbox)


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_one_evse_is_reset_alone(make_world, version):
    from pilotwire.station.config import EvseConfig

    world = make_world(version, evses=(EvseConfig(), EvseConfig()))
    begin(world)
    world.station.plug(2, world.car())
    world.station.tap(2, "BB22")
    world.run(60)
    world.csms.command("Reset", world.csms.messages.ResetRequest(type="Immediate", evse_id=2))
    world.run(30)
    assert len(world.csms.heard("BootNotification")) == 1
    assert [t.register_end is None for t in world.station.truth] == [True, False]


def test_a_killed_station_says_no_goodbye(make_world):
    world = make_world("1.6")
    begin(world)
    world.station.power_off()
    assert world.csms.closes == []
    world.run(1)
    assert [code for code, _ in world.csms.closes] == [1006]
    world.station.power_on()
    world.run(5)
    world.station.shut_down()
    world.run(1)
    assert [code for code, _ in world.csms.closes][1:] == [1001]


def test_the_truth_is_bounded(make_world):
    world = make_world("1.6", settings={"sample_interval": "0"})
    world.station.transactions.truth_limit = 3
    world.station.power_on()
    world.run(2)
    for number in range(6):
        world.station.plug(1, world.car())
        world.station.tap(1, "AA11")
        world.run(5)
        world.station.unplug(1)
        world.run(5)
        assert world.station.truth[-1].n == number + 1
    assert [t.n for t in world.station.truth] == [4, 5, 6]
    assert sum(key.startswith("truth.") for key in world.storage.load()) == 3
