"""The station fetches firmware, verifies who has signed it and that it is whole, and boots with it; it leaves logs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from tests.crypto.firmware_kit import Manufacturer, image
from tests.station.conftest import START

from pilotwire.core.time import to_datetime
from pilotwire.protocols.ocpp.rpc.errors import RpcError
from pilotwire.station.config import EvseConfig, Quirks
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


def order(world, maker=None, signature=None, *, fetch=0, install=None, number=8, url=URL, **more):
    """`fetch` and `install`: in so many minutes."""
    now = to_datetime(int(world.scheduler.now()))
    when = now + timedelta(minutes=fetch)
    m = world.csms.messages
    if maker is None and world.config.version == "1.6":
        return ask(world, "UpdateFirmware", location=url, retrieve_date=when, **more)
    given = {"signing_certificate": maker.certificate, "signature": signature or maker.sign(DATA)} if maker else {}
    if install is not None:
        given["install_date_time"] = now + timedelta(minutes=install)
    firmware = m.FirmwareType(location=url, retrieve_date_time=when, **given)
    action = "SignedUpdateFirmware" if world.config.version == "1.6" else "UpdateFirmware"
    return ask(world, action, request_id=number, firmware=firmware, **more)


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
    said = [one.request.status if one.action == BOTH[version] else one.action for one in world.csms.said]
    last = len(said) - 1 - said[::-1].index("BootNotification")
    assert said.index("InstallRebooting") < last < said.index("Installed")
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
def test_firmware_of_a_revoked_signer_is_not_even_fetched(make_world, version, maker):
    serial = x509.load_pem_x509_certificate(maker.certificate.encode()).serial_number
    world = ready(make_world, version, maker, revoked_signers=("1F", f"{serial:x}"))
    assert order(world, maker).status == "RevokedCertificate"
    world.run(60)
    assert told(world, BOTH[version]) == [] and versions(world) == ["1.0.0"]
    assert [one.type for one in world.csms.heard("SecurityEventNotification")] == ["InvalidFirmwareSigningCertificate"]


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
        ("verification", "InstallVerificationFailed", 1, True),
        ("silent", "Downloaded", 1, True),
        ("old-version", "InstallRebooting", 2, True),
        ("gone", "InstallRebooting", 1, False),
    ],
)
@pytest.mark.parametrize("version", VERSIONS[1:])
def test_what_can_go_wrong(make_world, version, fault, last, boots, online):
    world = ready(make_world, version, quirks=Quirks(firmware_fault=fault))
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
        world.shelf.takes = True
        assert ask(world, "GetDiagnostics", location="https://logs.example/c").file_name
        world.run(30)
        assert told(world, "DiagnosticsStatusNotification") == ["Uploading", "Uploaded"]
        assert world.shelf.left["https://logs.example/c"][1]
        world.shelf.takes = False
        ask(world, "GetDiagnostics", location="https://logs.example/b")
        world.run(30)
        assert told(world, "DiagnosticsStatusNotification")[2:] == ["Uploading", "UploadFailed"]
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


TWO = (EvseConfig(), EvseConfig())
_BOTH_WAYS = [(version, signed) for version in VERSIONS[1:] for signed in (True, False)]
EITHER = pytest.mark.parametrize(("version", "signed"), [("1.6", False), *_BOTH_WAYS])
"""Signed firmware of 1.6 is told in other messages: it has tests of its own."""
ANSWERED = pytest.mark.parametrize(("version", "signed"), [("1.6", True), *_BOTH_WAYS])
"""The answer to UpdateFirmware of 1.6 has no status."""


def statuses(world, evse):
    if world.config.version == "1.6":
        return [n.status for n in world.csms.heard("StatusNotification") if n.connector_id == evse]
    return [n.connector_status for n in world.csms.heard("StatusNotification") if n.evse_id == evse]


def charge(world, evse, token="AA11"):
    world.station.plug(evse, world.car())
    world.station.tap(evse, token)
    world.run(30)


@EITHER
def test_nobody_begins_while_an_update_waits_for_the_others_to_end(make_world, version, signed, maker):
    world = ready(make_world, version, maker, evses=TWO)
    charge(world, 1)
    order(world, maker if signed else None)
    world.run(60)
    waits = ["Downloading", "Downloaded", *["SignatureVerified"] * signed, *["InstallScheduled"] * (version != "1.6")]
    assert told(world) == waits
    assert len(world.csms.heard("BootNotification")) == 1 and world.station.truth[0].register_end is None
    assert statuses(world, 2)[-1] == "Unavailable"
    world.station.plug(2, world.car())
    world.station.tap(2, "BB22")
    world.run(5)
    assert len(world.station.truth) == 1
    world.station.tap(1, "AA11")
    world.run(3)
    assert statuses(world, 1)[-1] == "Unavailable"
    world.run(120)
    assert told(world) == [*waits, "Installing", *["InstallRebooting"] * (version != "1.6"), "Installed"]
    assert versions(world) == ["1.0.0", "2.0.0"] and len(world.station.truth) == 1
    world.station.unplug(1)
    world.run(5)
    assert statuses(world, 1)[-1] == "Available" != statuses(world, 2)[-1] != "Unavailable"


@pytest.mark.parametrize("version", VERSIONS)
def test_signed_firmware_waits_for_its_time_and_then_for_the_sessions(make_world, version, maker):
    """A session that ends before the time does not bring it forward."""
    world = ready(make_world, version, maker, evses=TWO)
    charge(world, 1)
    assert order(world, maker, fetch=2, install=20).status == "Accepted"
    world.run(300)
    waits = ["DownloadScheduled", "Downloading", "Downloaded", "SignatureVerified", "InstallScheduled"]
    assert told(world, BOTH[version]) == waits
    world.station.tap(1, "AA11")
    world.station.unplug(1)
    world.run(300)
    assert told(world, BOTH[version]) == waits and statuses(world, 1)[-1] == statuses(world, 2)[-1] == "Available"
    charge(world, 1)
    world.run(700)
    assert told(world, BOTH[version]) == waits and world.station.truth[1].register_end is None
    assert statuses(world, 2)[-1] == "Unavailable"
    world.station.tap(1, "AA11")
    world.station.unplug(1)
    world.run(3)
    assert statuses(world, 1)[-1] == "Unavailable"
    world.run(120)
    assert told(world, BOTH[version]) == [*waits, "Installing", "InstallRebooting", "Installed"]
    assert statuses(world, 1)[-1] == statuses(world, 2)[-1] == "Available"


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_unsigned_firmware_waits_for_its_time(make_world, version):
    world = ready(make_world, version)
    order(world, fetch=2, install=10)
    world.run(500)
    assert told(world) == ["DownloadScheduled", "Downloading", "Downloaded", "InstallScheduled"]
    world.run(200)
    assert told(world)[4:] == ["Installing", "InstallRebooting", "Installed"]
    assert {one.request_id for one in world.csms.heard("FirmwareStatusNotification")} == {8}


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_new_sessions_may_begin_where_it_is_set_so(make_world, version):
    world = ready(make_world, version, evses=TWO, settings={"sessions_before_update": "true"})
    charge(world, 1)
    order(world)
    world.run(60)
    assert told(world)[-1] == "InstallScheduled" and "Unavailable" not in statuses(world, 2)
    charge(world, 2, "BB22")
    assert len(world.station.truth) == 2
    world.station.tap(1, "AA11")
    world.run(30)
    assert told(world)[-1] == "InstallScheduled"
    m = world.csms.messages
    wanted = m.SetVariableDataType(
        component=m.ComponentType(name="ChargingStation"),
        variable=m.VariableType(name="AllowNewSessionsPendingFirmwareUpdate"),
        attribute_value="false",
    )
    ask(world, "SetVariables", set_variable_data=[wanted])
    assert statuses(world, 1)[-1] == "Unavailable"
    world.station.tap(2, "BB22")
    world.run(120)
    assert told(world)[-1] == "Installed"


@ANSWERED
def test_a_second_order_takes_the_place_of_the_first_until_it_is_too_late(make_world, version, signed, maker):
    maker = maker if signed else None
    world = ready(make_world, version, maker)
    assert order(world, maker, install=30).status == "Accepted"
    world.run(30)
    world.shelf.remote["https://files.example/other"] = DATA
    world.shelf.remote.pop(URL)  # nobody looks whether it is there before the first is called off
    assert order(world, maker, number=9, fetch=5, url="https://files.example/other").status == "AcceptedCanceled"
    world.run(10)
    heard = [(one.status, one.request_id) for one in world.csms.heard(BOTH[version])]
    assert heard[-2:] == [("InstallScheduled", 8), ("DownloadScheduled", 9)]
    world.run(290)
    while told(world, BOTH[version])[-1] != "InstallRebooting":
        world.run(0.1)
    when = to_datetime(int(world.scheduler.now()))
    fields = {"signing_certificate": maker.certificate, "signature": maker.sign(DATA)} if maker else {}
    firmware = world.csms.messages.FirmwareType(location=URL, retrieve_date_time=when, **fields)
    action = "SignedUpdateFirmware" if version == "1.6" else "UpdateFirmware"
    request = world.csms.version.actions[action].request_type(request_id=10, firmware=firmware)
    world.csms.command(action, request)
    world.run(0.1)
    assert world.csms.answers[-1][1].status == "Rejected"
    world.run(60)
    assert versions(world) == ["1.0.0", "2.0.0"]
    assert [(one.status, one.request_id) for one in world.csms.heard(BOTH[version])][-1] == ("Installed", 9)
    world.run(1800)
    assert told(world, BOTH[version]).count("Installed") == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_told_when_it_is_asked_for(make_world, version, maker):
    """Nothing yet: Idle. After that the last that was told, also after a failure and over a restart; after Installed
    Idle again."""
    world = ready(make_world, version, maker)
    action = "ExtendedTriggerMessage" if version == "1.6" else "TriggerMessage"

    def asked():
        assert ask(world, action, requested_message="FirmwareStatusNotification").status == "Accepted"
        last = world.csms.heard(BOTH[version])[-1]
        return last.status, last.request_id

    assert asked() == ("Idle", None)
    order(world, maker, install=30)
    world.run(30)
    assert asked() == ("InstallScheduled", 8)
    world.shelf.remote[URL] = DATA[:-1] + b"?"
    order(world, maker, number=9)
    world.run(30)
    assert asked() == ("InvalidSignature", 9)
    world.station.power_off()
    world.station.power_on()
    world.run(10)
    assert asked() == ("InvalidSignature", 9)
    world.station.certificates._kept.roots = [Root(MANUFACTURER_ROOT, maker.root)]
    world.shelf.remote[URL] = DATA
    order(world, maker, number=10)
    world.run(60)
    assert told(world, BOTH[version])[-1] == "Installed"
    assert asked() == ("Idle", None)
    if version == "1.6":
        ask(world, "TriggerMessage", requested_message="FirmwareStatusNotification")
        assert told(world) == ["Idle"]


@pytest.mark.parametrize("version", VERSIONS)
def test_only_signed_firmware_where_it_is_set_so(make_world, version, maker):
    world = ready(make_world, version, maker, signed_firmware_only=True)
    refused = order(world)
    if version == "1.6":
        assert isinstance(refused, RpcError) and refused.code == "NotSupported"
    else:
        assert refused.status == "Rejected"
    world.run(60)
    assert told(world) == [] and versions(world) == ["1.0.0"]
    assert order(world, maker).status == "Accepted"
    world.run(60)
    assert versions(world) == ["1.0.0", "2.0.0"]
