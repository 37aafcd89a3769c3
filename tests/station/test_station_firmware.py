"""The station fetches firmware, verifies who has signed it and that it is whole, and boots with it; it leaves logs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.crypto.firmware_kit import Manufacturer, image
from tests.station.conftest import START

from pilotwire.core.time import to_datetime
from pilotwire.station.config import Quirks
from pilotwire.station.keystore import MANUFACTURER_ROOT, Kept, Root
from pilotwire.station.program import Station

VERSIONS = ["1.6", "2.0.1", "2.1"]
DATA = image("2.0.0")
URL = "https://files.example/fw.bin"
BOTH = {"1.6": "SignedFirmwareStatusNotification", "2.0.1": "FirmwareStatusNotification",
        "2.1": "FirmwareStatusNotification"}  # fmt: skip


class Shelf:
    """What can be fetched elsewhere, and what was left there."""

    def __init__(self, world):
        self.world = world
        self.remote = {URL: DATA}
        self.failures = 0
        self.left = {}
        self.takes = True

    def fetch(self, url, done):
        self.failures -= 1
        found = None if self.failures >= 0 else self.remote.get(url)
        self.world.scheduler.call_later(500, lambda: done(found))

    def leave(self, url, name, data, done):
        self.left[url] = (name, data)
        self.world.scheduler.call_later(500, lambda: done(self.takes))

    def publish(self, name, data):
        return []

    def withdraw(self, name):
        return True


@pytest.fixture(scope="module")
def maker():
    return Manufacturer(to_datetime(START))


def ready(make_world, version, maker=None, **more):
    world = make_world(version, **more)
    world.shelf = Shelf(world)
    world.station = Station(
        world.config,
        world.scheduler,
        world.network.dialer("CS-1", user="CS-1", password=b"secret"),
        world.ids,
        world.random,
        world.storage,
        files=world.shelf,
    )
    world.station.power_on()
    if maker is not None:
        kept: Kept = world.station.certificates._kept
        kept.roots = [Root(MANUFACTURER_ROOT, maker.root)]
    world.run(5)
    return world


def ask(world, action, **fields):
    world.csms.command(action, world.csms.version.actions[action].request_type(**fields))
    world.run(2)
    return world.csms.answers[-1][1]


def order(world, maker=None, signature=None, **more):
    when = to_datetime(int(world.scheduler.now()))
    m = world.csms.messages
    if maker is None and world.config.version == "1.6":
        return ask(world, "UpdateFirmware", location=URL, retrieve_date=when, **more)
    signed = {"signing_certificate": maker.certificate, "signature": signature or maker.sign(DATA)} if maker else {}
    firmware = m.FirmwareType(location=URL, retrieve_date_time=when, **signed)
    action = "SignedUpdateFirmware" if world.config.version == "1.6" else "UpdateFirmware"
    return ask(world, action, request_id=8, firmware=firmware, **more)


def told(world, action="FirmwareStatusNotification"):
    return [one.status for one in world.csms.heard(action)]


def versions(world):
    field = "firmware_version"
    return [
        getattr(one, field) if world.config.version == "1.6" else getattr(one.charging_station, field)
        for one in world.csms.heard("BootNotification")
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_signed_firmware_to_its_end(make_world, version, maker):
    world = ready(make_world, version, maker)
    assert order(world, maker).status == "Accepted"
    world.run(120)
    assert told(world, BOTH[version]) == [
        "Downloading", "Downloaded", "SignatureVerified", "Installing", "InstallRebooting", "Installed",
    ]  # fmt: skip
    assert {one.request_id for one in world.csms.heard(BOTH[version])} == {8}
    assert versions(world) == ["1.0.0", "2.0.0"]
    assert "FirmwareUpdated" in [one.type for one in world.csms.heard("SecurityEventNotification")]
    # It stays, also over a loss of power.
    world.station.power_off()
    world.station.power_on()
    world.run(10)
    assert versions(world)[-1] == "2.0.0"


@pytest.mark.parametrize("version", VERSIONS)
def test_firmware_of_somebody_else_is_not_even_fetched(make_world, version, maker):
    world = ready(make_world, version, Manufacturer(to_datetime(START), "Somebody else"))
    assert order(world, maker).status == "InvalidCertificate"
    world.run(60)
    assert told(world, BOTH[version]) == []
    events = [one.type for one in world.csms.heard("SecurityEventNotification")]
    assert events == ["InvalidFirmwareSigningCertificate"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_file_that_was_changed_on_its_way_is_not_installed(make_world, version, maker):
    world = ready(make_world, version, maker)
    world.shelf.remote[URL] = DATA[:-1] + b"?"
    assert order(world, maker).status == "Accepted"
    world.run(120)
    assert told(world, BOTH[version]) == ["Downloading", "Downloaded", "InvalidSignature"]
    assert [one.type for one in world.csms.heard("SecurityEventNotification")] == ["InvalidFirmwareSignature"]
    assert versions(world) == ["1.0.0"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_download_is_tried_again_as_often_as_asked(make_world, version):
    world = ready(make_world, version)
    world.shelf.failures = 2
    order(world, retries=2, retry_interval=30)
    world.run(120)
    assert told(world).count("Downloading") == 3
    assert versions(world) == ["1.0.0", "2.0.0"]
    world.shelf.failures = 3
    order(world, retries=2, retry_interval=30)
    world.run(120)
    assert told(world)[-1] == "DownloadFailed"


def test_an_image_that_says_no_version_changes_none(make_world):
    world = ready(make_world, "2.0.1")
    world.shelf.remote[URL] = b"something else"
    order(world)
    world.run(120)
    assert told(world)[-1] == "Installed"
    assert versions(world) == ["1.0.0", "1.0.0"]


@pytest.mark.parametrize(
    ("fault", "last", "boots", "online"),
    [
        ("download", "DownloadFailed", 1, True),
        ("install", "InstallationFailed", 1, True),
        ("silent", "Downloaded", 1, True),
        ("old-version", "InstallRebooting", 2, True),
        ("gone", "InstallRebooting", 1, False),
    ],
)
def test_what_can_go_wrong(make_world, fault, last, boots, online):
    world = ready(make_world, "2.0.1", quirks=Quirks(firmware_fault=fault))
    order(world)
    world.run(600)
    assert told(world)[-1] == last
    assert (versions(world), world.station.online) == (["1.0.0"] * boots, online)


@pytest.mark.parametrize("version", VERSIONS)
def test_logs_are_left(make_world, version):
    world = ready(make_world, version)
    m = world.csms.messages
    log = m.LogParametersType(remote_location="https://logs.example/a")
    assert ask(world, "GetLog", log=log, log_type="SecurityLog", request_id=3).status == "Accepted"
    world.run(30)
    assert told(world, "LogStatusNotification") == ["Uploading", "Uploaded"]
    name, data = world.shelf.left["https://logs.example/a"]
    assert (name, data.endswith(b"\n")) == ("CS-1-SecurityLog.log", True)
    world.shelf.takes = False
    if version == "1.6":
        ask(world, "GetDiagnostics", location="https://logs.example/b")
        world.run(30)
        assert told(world, "DiagnosticsStatusNotification") == ["Uploading", "UploadFailed"]
    else:
        log = m.LogParametersType(remote_location="https://logs.example/b")
        ask(world, "GetLog", log=log, log_type="DiagnosticsLog", request_id=4)
        world.run(30)
        assert told(world, "LogStatusNotification")[-1] == "UploadFailure"
    assert b"firmware 1.0.0" in world.shelf.left["https://logs.example/b"][1]


def test_firmware_can_wait_for_its_time(make_world):
    world = ready(make_world, "2.1")
    m, now = world.csms.messages, to_datetime(int(world.scheduler.now()))
    firmware = m.FirmwareType(
        location=URL,
        retrieve_date_time=now + timedelta(minutes=5),
        install_date_time=now + timedelta(minutes=20),
    )
    ask(world, "UpdateFirmware", request_id=8, firmware=firmware)
    world.run(600)
    assert told(world) == ["DownloadScheduled", "Downloading", "Downloaded", "InstallScheduled"]
    world.run(700)
    assert versions(world) == ["1.0.0", "2.0.0"]
