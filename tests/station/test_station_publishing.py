"""Firmware that a station fetches and offers to others."""

from __future__ import annotations

import hashlib

import pytest

from pilotwire.station.program import Station

VERSIONS = ("2.0.1", "2.1")
FILE = b"firmware " * 1000
SUM = hashlib.md5(FILE, usedforsecurity=False).hexdigest()


class Shelf:
    """Files elsewhere and here."""

    def __init__(self, world):
        self.world = world
        self.remote: dict[str, bytes] = {"https://files.example/fw.bin": FILE}
        self.offered: dict[str, bytes] = {}
        self.fetched = 0
        self.delay_ms = 1000
        self.full = False
        self.in_use = False

    def fetch(self, url, done):
        self.fetched += 1
        self.world.scheduler.call_later(self.delay_ms, lambda: done(self.remote.get(url)))

    def publish(self, name, data):
        if self.full:
            return []
        self.offered[name] = data
        return [f"http://local.example/{name}", f"https://local.example/{name}"]

    def withdraw(self, name):
        if self.in_use:
            return False
        del self.offered[name]
        return True


def ready(make_world, version):
    world = make_world(version)
    world.shelf = Shelf(world)
    world.build = lambda config=None: Station(
        world.config,
        world.scheduler,
        world.network.dialer("CS-1", user="CS-1", password=b"secret"),
        world.ids,
        world.random,
        world.storage,
        files=world.shelf,
    )
    world.station = world.build()
    world.station.power_on()
    world.run(5)
    return world


def ask(world, action, **fields):
    world.csms.command(action, world.csms.version.actions[action].request_type(**fields))
    world.run(2)
    assert world.csms.answers[-1][0] == action
    return world.csms.answers[-1][1]


def publish(world, location="https://files.example/fw.bin", checksum=SUM, request_id=8, **more):
    return ask(world, "PublishFirmware", location=location, checksum=checksum, request_id=request_id, **more).status


def told(world):
    return [(n.status, n.request_id) for n in world.csms.heard("PublishFirmwareStatusNotification")]


@pytest.mark.parametrize("version", VERSIONS)
def test_from_the_request_to_the_place_and_back(make_world, version):
    world = ready(make_world, version)
    assert publish(world, checksum=SUM.upper()) == "Accepted"
    world.run(5)
    assert told(world) == [
        ("Downloading", 8), ("Downloaded", 8), ("ChecksumVerified", 8), ("Published", 8),
    ]  # fmt: skip
    last = world.csms.heard("PublishFirmwareStatusNotification")[-1]
    assert last.location == [f"http://local.example/{SUM}", f"https://local.example/{SUM}"]
    ask(world, "TriggerMessage", requested_message="PublishFirmwareStatusNotification")
    assert told(world)[-1] == ("Idle", None)  # L03.FR.10
    world.station.power_off()
    world.station = world.build()
    world.station.power_on()
    world.run(20)
    world.shelf.in_use = True
    assert ask(world, "UnpublishFirmware", checksum=SUM).status == "DownloadOngoing"  # L04.FR.04
    world.shelf.in_use = False
    assert ask(world, "UnpublishFirmware", checksum=SUM).status == "Unpublished"
    assert ask(world, "UnpublishFirmware", checksum=SUM).status == "NoFirmware"
    assert not world.shelf.offered


@pytest.mark.parametrize("version", VERSIONS)
def test_what_goes_wrong(make_world, version):
    world = ready(make_world, version)
    assert publish(world, "gopher://files.example/fw.bin") == "Rejected"
    assert publish(world, "https://files.example/none", retries=2, retry_interval=10) == "Accepted"
    assert publish(world) == "Rejected"  # one at a time
    assert ask(world, "UnpublishFirmware", checksum=SUM).status == "DownloadOngoing"
    world.run(60)
    assert world.shelf.fetched == 3 and told(world)[-1] == ("DownloadFailed", 8)
    ask(world, "TriggerMessage", requested_message="PublishFirmwareStatusNotification")
    assert told(world)[-1][0] == "DownloadFailed"  # L03.FR.11
    assert publish(world, checksum="0" * 32, request_id=9) == "Accepted"
    world.run(5)
    assert told(world)[-1] == ("InvalidChecksum", 9)
    world.shelf.full = True
    assert publish(world, request_id=10) == "Accepted"
    world.run(5)
    assert told(world)[-1] == ("PublishFailed", 10)
    world.shelf.full = False
    world.shelf.delay_ms = 10_000
    assert publish(world, request_id=11) == "Accepted"
    world.station.power_off()  # the download is lost with the power, and comes to nothing later
    world.run(5)
    world.station.power_on()
    world.run(30)
    assert not world.shelf.offered
    ask(world, "TriggerMessage", requested_message="PublishFirmwareStatusNotification")
    assert told(world)[-1] == ("Idle", None)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_station_that_is_no_local_controller(make_world, version):
    world = make_world(version)
    world.station.power_on()
    world.run(5)
    assert publish(world) == "Rejected"
    assert ask(world, "UnpublishFirmware", checksum=SUM).status == "NoFirmware"
