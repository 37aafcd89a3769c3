"""Periodic event streams: batches that nobody answers (2.1 N11 to N15)."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest

from pilotwire.core.time import from_datetime
from pilotwire.protocols.ocpp.rpc.machine import SendReceived


def ready(make_world, **more):
    world = make_world("2.1", **more)
    m = world.csms.messages
    world.sends = []
    whole = world.csms.frame

    def frame(data):
        if data.startswith(b"[6,"):
            event = world.csms.rpc.receive(data, int(world.scheduler.now()))
            assert isinstance(event, SendReceived)
            world.sends.append((world.scheduler.now(), event.request))
        else:
            whole(data)

    world.csms.frame = frame
    world.csms.scripts["OpenPeriodicEventStream"] = lambda request: m.OpenPeriodicEventStreamResponse(status="Accepted")
    world.station.power_on()
    world.run(5)
    return world


def ask(world, action, **fields):
    world.csms.command(action, world.csms.version.actions[action].request_type(**fields))
    world.run(1)
    assert world.csms.answers[-1][0] == action
    return world.csms.answers[-1][1]


def watch(world, *, every=1, id_=None, kind="Periodic", **params):
    m = world.csms.messages
    answer = ask(
        world,
        "SetVariableMonitoring",
        set_monitoring_data=[
            m.SetMonitoringDataType(
                id=id_,
                value=Decimal(every),
                type=kind,
                severity=5,
                component=m.ComponentType(name="EVSE", evse=m.EVSEType(id=1)),
                variable=m.VariableType(name="Power"),
                periodic_event_stream=m.PeriodicEventStreamParamsType(**params) if params else None,
            )
        ],
    )
    return answer.set_monitoring_result[0]


@pytest.mark.requirement(
    "2.1", "N11.FR.01", "N11.FR.02", "N15.FR.01", "N15.FR.04", "N15.FR.08", "N15.FR.09", side="station"
)
def test_values_come_in_batches_with_their_times(make_world):
    world = ready(make_world)
    id_ = watch(world, values=5).id
    (opened,) = world.csms.heard("OpenPeriodicEventStream")
    assert opened.constant_stream_data.variable_monitoring_id == id_
    assert opened.constant_stream_data.params.values == 5
    world.run(20)
    assert len(world.sends) == 4
    for at, sent in world.sends:
        assert len(sent.data) == 5
        assert [row.t for row in sent.data] == [0, 1, 2, 3, 4]
        assert at - from_datetime(sent.basetime) == 4_010
        assert sent.pending == 0
    assert world.csms.heard("NotifyEvent") == []


@pytest.mark.requirement("2.1", "N15.FR.06", side="station")
def test_every_interval_and_no_more_than_so_many_at_a_time(make_world):
    world = ready(make_world)
    watch(world, interval=10)
    world.run(31)
    assert [len(sent.data) for _, sent in world.sends] == [10, 10, 10]
    times = [at for at, _ in world.sends]
    assert [b - a for a, b in pairwise(times)] == [10_000, 10_000]


def test_what_waits_offline_comes_in_its_order(make_world):
    world = ready(make_world)
    watch(world, values=3)
    world.run(3)
    world.offline()
    world.run(30)
    before = len(world.sends)
    world.online()
    world.run(60)
    rows = [from_datetime(sent.basetime) + int(row.t * 1000) for _, sent in world.sends for row in sent.data]
    assert len(world.sends) > before + 8
    assert rows == list(range(rows[0], rows[-1] + 1, 1000)), "none is missing, none is double"
    assert len(world.csms.heard("OpenPeriodicEventStream")) == 1, "a stream outlives its connection"


@pytest.mark.requirement("2.1", "N11.FR.07", side="station")
def test_a_refused_stream_leaves_events(make_world):
    world = ready(make_world)
    m = world.csms.messages
    world.csms.scripts["OpenPeriodicEventStream"] = lambda request: m.OpenPeriodicEventStreamResponse(status="Rejected")
    watch(world, every=10, values=1)
    world.run(31)
    assert world.sends == []
    assert len(world.csms.heard("NotifyEvent")) == 3
    assert ask(world, "GetPeriodicEventStream").constant_stream_data is None
    world.station.power_off()
    world.station = world.build()
    world.station.power_on()
    world.run(30)
    assert len(world.csms.heard("OpenPeriodicEventStream")) == 1, "it is not asked for again"


@pytest.mark.requirement("2.1", "N12.FR.01", "N14.FR.02", "N14.FR.03", side="station")
def test_streams_are_listed_adjusted_and_opened_again_after_a_restart(make_world):
    world = ready(make_world)
    id_ = watch(world, values=5).id
    m = world.csms.messages
    (row,) = ask(world, "GetPeriodicEventStream").constant_stream_data
    assert (row.id, row.params.values, row.params.interval) == (id_, 5, None)
    params = m.PeriodicEventStreamParamsType(values=2)
    assert ask(world, "AdjustPeriodicEventStream", id=id_, params=params).status == "Accepted"
    refused = ask(world, "AdjustPeriodicEventStream", id=999, params=params)
    assert (refused.status, refused.status_info.reason_code) == ("Rejected", "NotFound")
    nothing = ask(world, "AdjustPeriodicEventStream", id=id_, params=m.PeriodicEventStreamParamsType())
    assert nothing.status_info.reason_code == "MissingParam"
    world.sends.clear()
    world.run(10)
    assert {len(sent.data) for _, sent in world.sends} <= {2, 3, 4}
    assert len(world.sends[-1][1].data) == 2
    world.station.power_off()
    world.station = world.build()
    world.station.power_on()
    world.run(20)
    again = world.csms.heard("OpenPeriodicEventStream")[1]
    assert again.constant_stream_data.params.values == 2


@pytest.mark.requirement("2.1", "N13.FR.01", "N13.FR.03", "N13.FR.05", "N13.FR.06", side="station")
@pytest.mark.parametrize("how", ["clear", "replace"])
def test_a_stream_ends_with_its_monitor_and_leaves_nothing_behind(make_world, how):
    world = ready(make_world)
    id_ = watch(world, values=50).id
    world.run(10)
    assert world.sends == []
    if how == "clear":
        ask(world, "ClearVariableMonitoring", id=[id_])
    else:
        watch(world, id_=id_, every=5)
    world.run(1)
    assert len(world.sends) == 1
    assert len(world.sends[0][1].data) >= 10
    assert [closed.id for closed in world.csms.heard("ClosePeriodicEventStream")] == [id_]
    world.run(20)
    assert len(world.sends) == 1
    assert bool(world.csms.heard("NotifyEvent")) is (how == "replace")


def test_what_cannot_be_a_stream_is_refused(make_world):
    world = ready(make_world)
    assert watch(world, kind="UpperThreshold", values=1).status_info.reason_code == "UnsupportedParam"
    assert watch(world, values=0).status_info.reason_code == "MissingParam"
    for every in range(1, 21):
        assert watch(world, every=every, kind="PeriodicClockAligned" if every % 2 else "Periodic", values=9).status in (
            "Accepted",
            "Duplicate",
        )
    assert len(world.station.streams) == 2
