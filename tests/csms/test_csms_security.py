"""Block A of the central system in every version: a station's door, what is kept of passwords, security events."""

from __future__ import annotations

from typing import Any

import pytest
from csms_kit import PASSWORD, SUBPROTOCOL, Client, World, now_of

from pilotwire.core.ids import DEFAULT_TENANT, StationKey
from pilotwire.core.time import to_datetime
from pilotwire.crypto import requests
from pilotwire.crypto.authority import Authority
from pilotwire.crypto.passwords import Passwords
from pilotwire.domain.facts import SecurityEventNotified
from pilotwire.transport.port import Handshake, Refuse

VERSIONS = ("1.6", "2.0.1", "2.1")
CA = Authority.new("Netz AG", now=to_datetime(1_767_225_600_000))
KEY = requests.new_key()


def certificate(name: str = "SN-1", organization: str = "Netz AG") -> bytes:
    request = requests.read(requests.make(KEY, name, organization))
    return CA.sign(request, name, organization, now=to_datetime(1_767_225_600_000))[0]


# -- doors ------------------------------------------------------------------------------------------------------------
BY_CERTIFICATE: dict[str, Any] = {"tls": True, "user": None, "password": None}
DOORS: dict[int, dict[str, Any]] = {
    1: {},
    2: {"tls": True},
    3: {**BY_CERTIFICATE, "certificate": certificate()},
}


def knock(world: World, version: str, name: str = "CP1", **how: Any) -> int:
    """The status of a handshake; who gets in goes again."""
    one = Client(world, name, version, **how)
    one.dial()
    assert one.result is not None
    if one.link is not None:
        one.link.close(1000, "")
        world.run()
    return one.result.status


@pytest.mark.parametrize("own", DOORS)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_station_has_one_door(version: str, own: int) -> None:
    """The profile of its account alone; whoever comes by another one is turned away, and that is written down."""
    world = World()
    world.account("CP1", security_profile=own, serial="SN-1", organization="Netz AG")
    for profile, how in DOORS.items():
        before = len(world.logged)
        assert (knock(world, version, **how) == 101) is (profile == own)
        assert (world.logged[before:] == ["handshake refused"]) is (profile != own)
    assert knock(world, version, "CP2", **DOORS[own]) == 404, "without an account there is none"


@pytest.mark.parametrize("profile", [1, 2])
@pytest.mark.parametrize("version", VERSIONS)
def test_identity_user_and_password_belong_together(version: str, profile: int) -> None:
    world = World()
    world.account("CP1", security_profile=profile)
    world.account("CP2", security_profile=profile, password="hash of another one's")
    tls: dict[str, Any] = {"tls": profile == 2}
    assert knock(world, version, **tls) == 101
    assert knock(world, version, password=b"wrong", **tls) == 401
    assert knock(world, version, user=None, password=None, **tls) == 401
    assert knock(world, version, "CP2", user="CP2", password=PASSWORD, **tls) == 401, "somebody else's password"
    # The listener does not let somebody else's name pass; nor does who judges after it.
    offered = SUBPROTOCOL[version]
    borrowed = Handshake(
        tenant=DEFAULT_TENANT, identity="CP1", subprotocol=offered, user=b"CP2", password=PASSWORD, peer="", **tls
    )
    assert world.system.endpoint.admit(borrowed) == Refuse(401, "wrong-credential")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_certificate_is_the_operators_and_this_stations(version: str) -> None:
    world = World()
    world.account("CP1", security_profile=3, serial="SN-1", organization="Netz AG")
    for shown, status in (
        (certificate(), 101),
        (certificate("SN-2"), 403),
        (certificate(organization="Other AG"), 403),
        (certificate(organization=""), 403),
        (None, 403),
    ):
        assert knock(world, version, **BY_CERTIFICATE, certificate=shown) == status
    assert world.system.counters.rejected == {"wrong-certificate": 3, "wrong-security-profile": 1}
    assert world.logged.count("handshake refused") == 4


# -- passwords --------------------------------------------------------------------------------------------------------
NEW = "kept-in-no-clear-text"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_password_is_kept_as_a_salted_hash_and_written_nowhere(version: str) -> None:
    world, lines = World(vault=True), list[str]()
    passwords = Passwords(b"0123456789abcdef")
    world.account("CP1", password=passwords.hash_station(PASSWORD))
    world.system._admission._verify = passwords.verify_station
    world.system.certificates.credentials._hash = passwords.hash_station
    world.system._around.log = lambda event, key, **details: lines.append(f"{event} {details}")
    station = world.station("CP1", version)
    station.boot()
    if version == "1.6":
        replies = world.command("ChangeConfiguration", {"key": "AuthorizationKey", "value": NEW.encode().hex()})
    else:
        row = {
            "component": {"name": "SecurityCtrlr"},
            "variable": {"name": "BasicAuthPassword"},
            "attributeValue": NEW,
        }
        station.on["SetVariables"] = lambda payload: {
            "setVariableResult": [
                {"attributeStatus": "Accepted", "component": row["component"], "variable": row["variable"]}
            ]
        }
        replies = world.command("SetVariables", {"setVariableData": [row]})
    world.run()
    assert replies[0].outcome == "answered"
    assert station.link is not None
    station.link.close(1000, "")
    world.run()
    assert knock(world, version, password=b"wrong password of a guest") == 401
    assert knock(world, version, password=PASSWORD) == 401
    assert knock(world, version, password=NEW.encode()) == 101
    kept = now_of(world.store.account(StationKey(DEFAULT_TENANT, "CP1"))).password
    assert passwords.verify_station(kept, NEW.encode())
    assert kept != passwords.hash_station(NEW.encode()), "salted"
    everything = repr(vars(world.store)) + repr(replies) + "".join(lines)
    for secret in (NEW, PASSWORD.decode(), "wrong password of a guest"):
        assert secret not in everything and secret.encode().hex() not in everything
    assert replies[0].action in everything and lines, "what happened is written down"


# -- security events --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("version", VERSIONS)
def test_a_security_event_is_kept_before_it_is_answered(version: str) -> None:
    world = World()
    station = world.station("CP1", version)
    station.boot()
    world.store.failing = 1
    told = {"type": "DiscardedRenewedClientCertificate", "timestamp": station.at(), "techInfo": "it was not let in"}
    assert station.call("SecurityEventNotification", told, ms=3_000) == "InternalError"
    assert world.facts(SecurityEventNotified) == []
    assert station.call("SecurityEventNotification", told) == {}
    (fact,) = world.facts(SecurityEventNotified)
    assert (fact.kind, fact.tech_info) == ("DiscardedRenewedClientCertificate", "it was not let in")
