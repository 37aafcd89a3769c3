"""A05: which security profile a station goes to, what it needs for that, and that it never goes back by itself."""

from __future__ import annotations

from typing import Any

import pytest

from pilotwire.core.time import to_datetime
from pilotwire.crypto import chains, pem, requests
from pilotwire.crypto.authority import Authority
from pilotwire.station.certificates import Identity
from pilotwire.station.keystore import CSMS_ROOT, Leaf
from pilotwire.station.networks import NetworkProfile
from pilotwire.station.program import Station
from pilotwire.transport.port import DialResult

START = 1_767_571_200_000
V2 = ("2.0.1", "2.1")
CA = Authority.new("Netz AG", now=to_datetime(START))
ROOT = pem.text([chains.der(CA.root)])
KEY = requests.new_key()
CHAIN = pem.text(
    CA.sign(requests.read(requests.make(KEY, "CS-1", "Netz AG")), "CS-1", "Netz AG", now=to_datetime(START))
)
LEAF = Leaf(CHAIN, requests.key_text(KEY))
GOOD, BAD, OTHER = "wss://csms.example", "wss://nobody.example", "wss://other.example"
TRUST = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"


class Places:
    """Where a station can connect: `attempts` are (profile's URL or "" for the built-in one, the roots it trusts)."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.attempts: list[tuple[str, str]] = []
        self.served: dict[str, str] = {}
        """URL → the only root by which the certificate that is shown there can be verified."""

    def dialer(self, url: str) -> Any:
        world, places = self.world, self
        inner = world.network.dialer("CS-1", user="CS-1", password=b"secret")

        class Dialer:
            def dial(self, receiver: Any, offered: Any, done: Any) -> None:
                trusted = world.seen[-1].roots
                places.attempts.append((url, trusted))
                reason = "nobody" if url == BAD else ""
                if url in places.served and places.served[url] not in trusted:
                    reason = TRUST
                if reason:
                    world.scheduler.call_later(10, lambda: done(DialResult(status=0, reason=reason)))
                else:
                    inner.dial(receiver, offered, done)

        return Dialer()


@pytest.fixture
def make(make_world):
    """A connected station that can be sent elsewhere."""

    def build(
        version: str, profile: int, *, roots: tuple[str, ...] = (), leaf: Leaf | None = None, **settings: str
    ) -> Any:
        shape = {"organization": "Netz AG", "backoff_random": "0", "backoff_minimum": "1", **settings}
        world = make_world(version, security_profile=profile, settings=shape)
        world.seen = list[Identity]()
        world.places = Places(world)
        world.build = lambda: Station(
            world.config,
            world.scheduler,
            world.places.dialer(""),
            world.ids,
            world.random,
            world.storage,
            on_password=world.passwords.append,
            on_identity=world.seen.append,
            networks=lambda made: world.places.dialer(made.url),
        )
        world.station = world.build()
        world.station.certificates.provide(leaf, {CSMS_ROOT: roots})
        world.station.power_on()
        world.run(5)
        assert world.station.online
        return world

    return build


def ask(world: Any, action: str, **fields: Any) -> Any:
    world.csms.command(action, world.csms.version.actions[action].request_type(**fields))
    world.run(1)
    assert world.csms.answers[-1][0] == action
    return world.csms.answers[-1][1]


def put(world: Any, slot: int, level: int, url: str = GOOD) -> None:
    """A profile in a slot, whatever the station thinks of it."""
    world.station.networks.put(
        NetworkProfile(
            slot=slot,
            url=url if level > 1 else url.replace("wss", "ws"),
            security_profile=level,
            interface="Wired0",
            transport="JSON",
            timeout_s=30,
        )
    )


def order(world: Any, slots: str) -> str:
    m = world.csms.messages
    row = m.SetVariableDataType(
        attribute_value=slots,
        component=m.ComponentType(name="OCPPCommCtrlr"),
        variable=m.VariableType(name="NetworkConfigurationPriority"),
    )
    return ask(world, "SetVariables", set_variable_data=[row]).set_variable_result[0].attribute_status


def profile(world: Any) -> str:
    m = world.csms.messages
    row = m.GetVariableDataType(
        component=m.ComponentType(name="SecurityCtrlr"), variable=m.VariableType(name="SecurityProfile")
    )
    return ask(world, "GetVariables", get_variable_data=[row]).get_variable_result[0].attribute_value


def reboot(world: Any) -> None:
    world.places.attempts.clear()
    world.station.reboot("RemoteReset")
    world.run(60)


@pytest.mark.parametrize(
    ("now", "wanted", "roots", "leaf", "status"),
    [
        (1, 2, (), None, "Rejected"),
        (1, 2, (ROOT,), None, "RebootRequired"),
        (1, 3, (), LEAF, "Rejected"),
        (1, 3, (ROOT,), None, "Rejected"),
        (1, 3, (ROOT,), LEAF, "RebootRequired"),
        (2, 3, (ROOT,), None, "Rejected"),
        (2, 3, (ROOT,), LEAF, "RebootRequired"),
        (2, 2, (ROOT,), None, "RebootRequired"),
        (2, 1, (ROOT,), None, "Rejected"),
        (3, 2, (ROOT,), LEAF, "Rejected"),
        (3, 1, (ROOT,), LEAF, "Rejected"),
    ],
)
@pytest.mark.parametrize("version", V2)
def test_what_a_higher_profile_needs(make, version, now, wanted, roots, leaf, status) -> None:
    world = make(version, now, roots=roots, leaf=leaf)
    put(world, 2, wanted)
    assert order(world, "2,1") == status
    assert profile(world) == str(now) and len(world.csms.handshakes) == 1
    assert world.station.settings.text("network_priority") == ("1" if status == "Rejected" else "2,1")


@pytest.mark.parametrize("version", V2)
def test_what_worked_is_the_profile_and_lower_ones_are_gone(make, version) -> None:
    world = make(version, 1, roots=(ROOT,), leaf=LEAF)
    put(world, 2, 3)
    put(world, 3, 1, OTHER)
    assert order(world, "2,3,1") == "RebootRequired"
    reboot(world)
    assert [url for url, _ in world.places.attempts] == [GOOD]
    assert world.seen[-1].profile == 3 and world.seen[-1].chain == CHAIN
    assert world.station.online and profile(world) == "3"
    assert list(world.station.networks.profiles) == [2]
    assert world.station.settings.text("network_priority") == "2"
    assert any("security profile 3" in line for line in world.station.security.lines())
    assert order(world, "2,1") == order(world, "1") == "Rejected", "the door is shut"
    world.offline()
    world.run(300)
    assert {url for url, _ in world.places.attempts} == {GOOD}
    world.online()
    world.run(120)
    world.station.power_off()
    world.station = world.build()
    reboot(world)
    assert profile(world) == "3" and list(world.station.networks.profiles) == [2]


@pytest.mark.parametrize("version", V2)
def test_what_never_worked_changes_nothing(make, version) -> None:
    world = make(version, 1, roots=(ROOT,))
    put(world, 2, 2, BAD)
    assert order(world, "2,1") == "RebootRequired"
    reboot(world)
    assert [url for url, _ in world.places.attempts] == [BAD, BAD, BAD, ""]
    assert [one.profile for one in world.seen] == [1, 2, 1]
    assert world.station.online and profile(world) == "1"
    assert list(world.station.networks.profiles) == [2]


@pytest.mark.parametrize(
    ("now", "wanted", "status"), [(3, 2, "RebootRequired"), (3, 1, "Rejected"), (2, 1, "Rejected")]
)
@pytest.mark.parametrize("version", V2)
def test_down_from_3_to_2_where_that_is_allowed(make, version, now, wanted, status) -> None:
    world = make(version, now, roots=(ROOT,), leaf=LEAF, allow_downgrade="true")
    put(world, 2, wanted)
    assert order(world, "2,1") == status
    if status != "Rejected":
        reboot(world)
        assert world.station.online and profile(world) == "2" and world.seen[-1].profile == 2


# -- a new root and another central system (M05.FR.15, .16) -----------------------------------------------------------
def successor() -> str:
    """A root that the old one has signed."""
    from cryptography import x509

    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Root 2")]))
        .issuer_name(CA.root.subject)
        .public_key(requests.new_key().public_key())
        .serial_number(7)
        .not_valid_before(CA.root.not_valid_before_utc)
        .not_valid_after(CA.root.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(CA.root_key, requests.hash_for(CA.root_key))
    )
    return pem.text([chains.der(made)])


@pytest.mark.parametrize("version", V2)
def test_elsewhere_the_new_root_counts_and_back_home_the_old_one(make, version) -> None:
    new = successor()
    world = make(version, 2, roots=(ROOT,), root_check="true")
    assert ask(world, "InstallCertificate", certificate_type=CSMS_ROOT, certificate=new).status == "Accepted"
    world.places.served = {GOOD: "no root that the station has", "": ROOT}
    put(world, 2, 2)
    assert order(world, "2,1") == "RebootRequired"
    reboot(world)
    assert world.places.attempts == [(GOOD, new)] * 3 + [("", ROOT)]
    assert world.station.online and world.station.certificates.roots() == [ROOT, new]


# -- 1.6 --------------------------------------------------------------------------------------------------------------
def change(world: Any, key: str, value: str) -> str:
    return ask(world, "ChangeConfiguration", key=key, value=value).status


@pytest.mark.parametrize(
    ("now", "wanted", "roots", "leaf", "status"),
    [
        (2, "2", (ROOT,), None, "Rejected"),
        (2, "1", (ROOT,), None, "Rejected"),
        (3, "2", (ROOT,), LEAF, "Rejected"),
        (1, "0", (), None, "Rejected"),
        (1, "4", (ROOT,), LEAF, "Rejected"),
        (1, "high", (ROOT,), LEAF, "Rejected"),
        (1, "2", (), None, "Rejected"),
        (1, "2", (ROOT,), None, "Accepted"),
        (2, "3", (ROOT,), None, "Rejected"),
        (1, "3", (), LEAF, "Rejected"),
        (1, "3", (ROOT,), LEAF, "Accepted"),
    ],
)
def test_16_what_a_higher_profile_needs(make, now, wanted, roots, leaf, status) -> None:
    world = make("1.6", now, roots=roots, leaf=leaf, allow_downgrade="true")
    assert change(world, "SecurityProfile", wanted) == status
    world.run(60)
    accepted = status == "Accepted"
    assert world.station.online and len(world.csms.handshakes) == (2 if accepted else 1)
    assert world.seen[-1].profile == world.station.certificates.profile == (int(wanted) if accepted else now)


def test_16_a_password_comes_before_the_profiles_that_need_one(make) -> None:
    world = make("1.6", 0, roots=(ROOT,))
    for level in ("1", "2"):
        assert change(world, "SecurityProfile", level) == "Rejected"
    assert change(world, "AuthorizationKey", b"a-password-of-16".hex()) == "Accepted"
    world.run(30)
    assert change(world, "SecurityProfile", "2") == "Accepted"
    world.run(30)
    assert world.station.online and world.station.certificates.profile == 2


# -- passwords --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("version", "password", "taken"),
    [
        ("1.6", b"x" * 15, False),
        ("1.6", b"x" * 16, True),
        ("1.6", b"\xff" * 20, True),
        ("1.6", b"x" * 21, False),
        ("2.0.1", "x" * 15, False),
        ("2.0.1", "aZ09*-_=:+|@.abc", True),
        ("2.0.1", "x" * 40, True),
        ("2.0.1", "x" * 41, False),
        ("2.0.1", "with a blank in it", False),
        ("2.0.1", "ein-schlüsselwort", False),
        ("2.1", "x" * 15, False),
        ("2.1", "ein Schlüsselwort", True),
        ("2.1", "x" * 64, True),
        ("2.1", "x" * 65, False),
    ],
)
def test_passwords_that_a_station_takes(make, version, password, taken) -> None:
    world = make(version, 1)
    if version == "1.6":
        value = password.hex()
        status = change(world, "AuthorizationKey", value)
    else:
        value = password
        m = world.csms.messages
        row = m.SetVariableDataType(
            attribute_value=value,
            component=m.ComponentType(name="SecurityCtrlr"),
            variable=m.VariableType(name="BasicAuthPassword"),
        )
        status = ask(world, "SetVariables", set_variable_data=[row]).set_variable_result[0].attribute_status
    assert status == ("Accepted" if taken else "Rejected")
    assert world.passwords == ([value] if taken else [])
    assert world.station.settings.text("password") == (value if taken else "")
    world.run(10)
    assert len(world.csms.handshakes) == (2 if taken else 1), "it is used at once"
