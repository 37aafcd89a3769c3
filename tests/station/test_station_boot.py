"""Booting, heartbeats and a clock that may be wrong."""

from __future__ import annotations

from itertools import pairwise

import pytest

from pilotwire.station.config import Quirks
from pilotwire.transport.port import Refuse

VERSIONS = ("1.6", "2.0.1", "2.1")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("status", ["Pending", "Rejected"])
def test_a_station_that_is_not_accepted_asks_again_after_the_interval(make_world, version, status):
    world = make_world(version)
    world.csms.boot_status = status
    world.csms.interval = 45
    world.station.power_on()
    world.station.plug(1, world.car())
    world.run(200)
    assert {s.action for s in world.csms.said} == {"BootNotification"}
    times = world.csms.times("BootNotification")
    assert [round(b - a, 3) for a, b in pairwise(times)] == [45.02] * 4
    world.csms.boot_status = "Accepted"
    world.run(60)
    assert world.station.online
    assert "StatusNotification" in {s.action for s in world.csms.said}


@pytest.mark.parametrize("version", VERSIONS)
def test_pending_still_takes_commands_and_a_triggered_boot(make_world, version):
    world = make_world(version)
    world.csms.boot_status = "Pending"
    world.csms.interval = 600
    world.station.power_on()
    world.run(5)
    m = world.csms.messages
    if version == "1.6":
        world.csms.command("GetConfiguration", m.GetConfigurationRequest(key=["HeartbeatInterval"]))
    else:
        world.csms.command("GetBaseReport", m.GetBaseReportRequest(request_id=1, report_base="SummaryInventory"))
    world.csms.boot_status = "Accepted"
    world.csms.command("TriggerMessage", m.TriggerMessageRequest(requested_message="BootNotification"))
    world.run(5)
    assert len(world.csms.heard("BootNotification")) == 2 and world.station.online
    assert world.csms.answers[-1][1].status == "Accepted"
    if version != "1.6":
        assert world.csms.heard("BootNotification")[1].reason == "Triggered"
        world.csms.command("TriggerMessage", m.TriggerMessageRequest(requested_message="BootNotification"))
        world.run(2)
        assert world.csms.answers[-1][1].status == "Rejected"  # F06.FR.17


@pytest.mark.parametrize("version", VERSIONS)
def test_rejected_refuses_commands(make_world, version):
    world = make_world(version)
    world.csms.boot_status = "Rejected"
    world.station.power_on()
    world.run(5)
    world.csms.command("ClearCache", world.csms.messages.ClearCacheRequest())
    world.run(2)
    assert world.csms.answers[-1][1].code == "SecurityError"


@pytest.mark.parametrize("version", VERSIONS)
def test_heartbeats_only_when_nothing_else_was_said(make_world, version):
    world = make_world(version, settings={"sample_interval": "30"})
    world.csms.interval = 60
    world.station.power_on()
    world.run(310)
    times = world.csms.times("Heartbeat")
    assert len(times) == 5 and [round(b - a) for a, b in pairwise(times)] == [60] * 4
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(600)
    assert len(world.csms.times("Heartbeat")) <= 6


@pytest.mark.parametrize("version", VERSIONS)
def test_a_clock_of_1970_is_set_by_the_boot(make_world, version):
    world = make_world(version, quirks=Quirks(clock_at_epoch=True))
    world.network.serve(None)
    world.station.power_on()
    world.run(100)
    assert world.station.clock.now() < 200_000
    world.online()
    world.run(200)
    assert abs(world.station.clock.now() - world.scheduler.now()) < 1000
    world.station.plug(1, world.car())
    world.run(2)
    stamp = world.csms.heard("StatusNotification")[-1].timestamp
    assert abs(stamp.timestamp() * 1000 - world.scheduler.now()) < 5000


def test_sessions_before_the_first_sync_carry_1970(make_world):
    world = make_world("2.0.1", quirks=Quirks(clock_at_epoch=True), settings={"offline_unknown": "true"})
    world.network.serve(None)
    world.station.power_on()
    world.station.plug(1, world.car())
    world.station.tap(1, "AA11")
    world.run(600)
    world.online()
    world.run(200)
    world.station.tap(1, "AA11")
    world.run(5)
    events = world.csms.heard("TransactionEvent")
    assert events[0].timestamp.year == 1970 and events[-1].timestamp.year == 2026
    assert [e.seq_no for e in events] == list(range(len(events)))
    assert events[-1].meter_value[-1].sampled_value[0].value == world.station.truth[0].register_end


@pytest.mark.parametrize("version", VERSIONS)
def test_a_clock_that_nobody_can_set(make_world, version):
    world = make_world(version, quirks=Quirks(clock_offset_ms=-7_200_000))
    start = int(world.scheduler.now())
    world.station.power_on()
    world.run(100)
    stamp = world.csms.heard("StatusNotification")[-1].timestamp
    assert round(stamp.timestamp() * 1000 - start) // 1000 == -7200


def test_the_clock_follows_the_heartbeat(make_world):
    world = make_world("1.6")
    world.csms.interval = 60
    world.station.power_on()
    world.run(5)
    world.csms.clock_error_ms = 3_600_000
    world.run(120)
    assert abs(world.station.clock.now() - world.scheduler.now() - 3_600_000) < 1000


@pytest.mark.parametrize("version", VERSIONS)
def test_refused_before_the_upgrade_it_comes_back(make_world, version):
    world = make_world(version)

    class Deny:
        def admit(self, handshake):
            return Refuse(404, "unknown")

    world.network.serve(Deny())
    world.station.power_on()
    world.run(300)
    assert world.station.conversation.counts.dials > 3 and not world.station.online
    world.online()
    world.run(300)
    assert world.station.online


def test_an_unanswered_boot_is_said_again(make_world):
    world = make_world("1.6")
    world.csms.silent.add("BootNotification")
    world.station.power_on()
    world.run(60)
    assert len(world.csms.heard("BootNotification")) == 2
    world.csms.silent.clear()
    world.run(60)
    assert world.station.online


@pytest.mark.parametrize("version", VERSIONS)
def test_quirk_a_boot_on_every_connection_and_none_at_all(make_world, version):
    world = make_world(version, quirks=Quirks(boot_on_reconnect=True))
    world.station.power_on()
    world.run(5)
    world.offline()
    world.online()
    world.run(60)
    assert len(world.csms.heard("BootNotification")) == 2
    silent = make_world(version, quirks=Quirks(never_boots=True))
    silent.station.power_on()
    silent.run(5)
    assert not silent.csms.heard("BootNotification") and silent.csms.heard("StatusNotification")
