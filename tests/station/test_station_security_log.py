"""Logs that the central system asks for (1.6 whitepaper N01, 2.x N01): what is in them, and what is told on the way."""

from __future__ import annotations

from typing import Any

import pytest

from pilotwire.station.program import Station

VERSIONS = ("1.6", "2.0.1", "2.1")
PLACE = "https://logs.example/a"


class Server:
    """Where logs are left: `left` is by URL, and with `takes` False nothing is."""

    def __init__(self, world: Any) -> None:
        self._world = world
        self.takes = True
        self.left: dict[str, tuple[str, str]] = {}

    def leave(self, url: str, name: str, data: bytes, done: Any) -> None:
        if self.takes:
            self.left[url] = (name, data.decode())
        self._world.scheduler.call_later(500, lambda: done(self.takes))


@pytest.fixture
def make(make_world):
    def build(version: str) -> Any:
        world = make_world(version)
        world.server = Server(world)
        world.station = Station(
            world.config,
            world.scheduler,
            world.network.dialer("CS-1", user="CS-1", password=b"secret"),
            world.ids,
            world.random,
            world.storage,
            files=world.server,
        )
        world.station.power_on()
        world.run(5)
        return world

    return build


def get_log(world: Any, kind: str, number: int, url: str = PLACE) -> Any:
    m = world.csms.messages
    log = m.LogParametersType(remote_location=url)
    world.csms.command("GetLog", m.GetLogRequest(log=log, log_type=kind, request_id=number))
    world.run(1)
    assert world.csms.answers[-1][0] == "GetLog"
    return world.csms.answers[-1][1]


def told(world: Any) -> list[tuple[str, int | None]]:
    return [(one.status, one.request_id) for one in world.csms.heard("LogStatusNotification")]


@pytest.mark.parametrize("taken", [True, False])
@pytest.mark.parametrize("kind", ["SecurityLog", "DiagnosticsLog"])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_log_is_left_and_every_step_is_told(make, version, kind, taken) -> None:
    world = make(version)
    world.server.takes = taken
    world.station.security.event("InvalidMessages", "something odd")
    answer = get_log(world, kind, 7)
    assert answer.status == "Accepted" and answer.filename
    assert told(world) == [("Uploading", 7)]
    world.run(30)
    assert told(world) == [("Uploading", 7), ("Uploaded" if taken else "UploadFailure", 7)]
    if not taken:
        assert world.server.left == {}
        return
    name, text = world.server.left[PLACE]
    assert name == answer.filename
    assert ("InvalidMessages something odd" in text) and ("firmware 1.0.0" in text) is (kind == "DiagnosticsLog")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_newer_request_takes_the_place_of_the_older(make, version) -> None:
    world = make(version)
    assert get_log(world, "SecurityLog", 7).status == "Accepted"
    assert get_log(world, "SecurityLog", 8, "https://logs.example/b").status == "AcceptedCanceled"
    world.run(30)
    # 1.6 has no word for the end of the first in LogStatusNotification.
    canceled = [] if version == "1.6" else [("AcceptedCanceled", 7)]
    assert told(world) == [("Uploading", 7), *canceled, ("Uploading", 8), ("Uploaded", 8)]
    assert list(world.server.left) == ["https://logs.example/b"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_trigger_while_no_log_is_under_way(make, version) -> None:
    """N01.FR.12: a number is told while there is an upload that it is about; 1.6's field cannot be left out."""
    world = make(version)
    m = world.csms.messages

    def trigger() -> None:
        if version == "1.6":
            request = m.ExtendedTriggerMessageRequest(requested_message="LogStatusNotification")
            world.csms.command("ExtendedTriggerMessage", request)
        else:
            world.csms.command("TriggerMessage", m.TriggerMessageRequest(requested_message="LogStatusNotification"))
        world.run(1)
        assert world.csms.answers[-1][1].status == "Accepted"

    trigger()
    assert told(world)[-1] in (("Idle", None), ("Idle", 0))
    get_log(world, "SecurityLog", 7)
    trigger()
    assert told(world)[-1] == ("Uploading", 7)
