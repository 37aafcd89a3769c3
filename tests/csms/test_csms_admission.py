"""Who comes in, by which door: judged before the upgrade."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from csms_kit import PASSWORD, Client, World, now_of

from pilotwire.core.ids import DEFAULT_TENANT, StationKey
from pilotwire.csms.admission import is_local
from pilotwire.domain.records import StationAccount
from pilotwire.transport.port import Handshake, Refuse


def certificate(name: str | None, organization: str | None) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    parts = [(NameOID.COMMON_NAME, name), (NameOID.ORGANIZATION_NAME, organization)]
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in parts if value is not None])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, now, now + timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


GOOD = certificate("SN-1", "Operator")


def judged(world: World, **fields: object) -> int:
    """101, or the status of the refusal."""
    handshake = Handshake(
        **{
            "tenant": DEFAULT_TENANT,
            "identity": "CP1",
            "subprotocol": "ocpp1.6",
            "user": b"CP1",
            "password": PASSWORD,
            "peer": "192.0.2.7:4711",
            "tls": False,
            **fields,
        }
    )
    verdict = world.system.endpoint.admit(handshake)
    return verdict.status if isinstance(verdict, Refuse) else 101


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 101),
        ({"identity": "CP2"}, 404),
        ({"identity": "CP2", "user": b"CP2", "password": None}, 404),
        ({"identity": "CP:1"}, 404),
        ({"identity": "x" * 49}, 404),
        ({"tenant": "other"}, 404),
        ({"password": b"wrong"}, 401),
        ({"password": b""}, 401),
        ({"user": b"CP2"}, 401),
        ({"user": None, "password": None}, 401),
        ({"password": PASSWORD + b"\xff\x00"}, 401),
        ({"tls": True}, 403),
        ({"tls": True, "password": b"wrong"}, 401),
    ],
)
def test_profile_1(fields: dict[str, object], status: int) -> None:
    world = World()
    world.account()
    assert judged(world, **fields) == status


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"tls": True}, 101),
        ({"tls": False}, 403),
        ({"tls": True, "password": b"wrong"}, 401),
        ({"tls": True, "password": None, "user": None, "certificate": GOOD}, 401),
    ],
)
def test_profile_2(fields: dict[str, object], status: int) -> None:
    world = World()
    world.account(security_profile=2)
    assert judged(world, **fields) == status


@pytest.mark.parametrize(
    ("shown", "status"),
    [
        (GOOD, 101),
        (certificate("CP1", "Operator"), 403),
        (certificate("SN-1", "Somebody"), 403),
        (certificate("SN-1", None), 403),
        (certificate(None, "Operator"), 403),
        (b"no certificate", 403),
        (None, 403),
    ],
)
def test_profile_3_wants_the_stations_own_certificate(shown: bytes | None, status: int) -> None:
    world = World()
    world.account(security_profile=3, serial="SN-1", organization="Operator")
    assert judged(world, tls=True, certificate=shown, user=None, password=None) == status


def test_profile_3_takes_no_password_instead() -> None:
    world = World()
    world.account(security_profile=3, serial="SN-1", organization="Operator")
    assert judged(world, tls=True) == 403
    assert judged(world, tls=False) == 403


def test_without_a_serial_the_certificate_names_the_identity() -> None:
    world = World()
    world.account(security_profile=3, organization="Operator")
    assert judged(world, tls=True, certificate=certificate("CP1", "Operator"), password=None, user=None) == 101


def test_a_disabled_account() -> None:
    world = World()
    world.account(enabled=False)
    assert judged(world) == 403


def test_profile_0_is_for_the_lab_alone() -> None:
    open_, closed = World(lab=True), World()
    for world in (open_, closed):
        world.account(security_profile=0)
    local = {"peer": "127.0.0.1:5", "user": None, "password": None}
    assert judged(open_, **local) == 101
    assert judged(open_, **local | {"peer": "192.0.2.7:5"}) == 403
    assert judged(closed, **local) == 403


async def test_the_lab_takes_strangers_from_this_machine_and_remembers_them() -> None:
    world = World(lab=True)
    await world.system.start()
    assert judged(world, identity="NEW", peer="192.0.2.7:5") == 404
    assert judged(world, identity="NEW", peer="[::1]:5", user=None, password=None) == 101
    await world.system.stop()
    account = now_of(world.store.account(StationKey(DEFAULT_TENANT, "NEW")))
    assert account.security_profile == 0


def test_an_account_with_a_password_needs_it_in_the_lab_too() -> None:
    world = World(lab=True)
    world.account()
    assert judged(world, peer="127.0.0.1:5", password=b"wrong") == 401


def test_refusals_are_counted_and_logged() -> None:
    world = World()
    world.account()
    judged(world, password=b"wrong")
    judged(world, identity="CP2")
    assert world.system.counters.rejected == {"wrong-credential": 1, "unknown-identity": 1}
    assert world.logged == ["handshake refused"] * 2


def test_an_unknown_identity_costs_a_comparison_too() -> None:
    asked: list[str] = []
    world = World()
    world.system._admission._verify = lambda verifier, password: bool(asked.append(verifier))
    assert judged(world, identity="CP2") == 404
    assert asked == [""]


def test_no_common_subprotocol_is_opened_and_closed_at_once() -> None:
    world = World()
    world.account()
    handshake = Handshake(
        tenant=DEFAULT_TENANT, identity="CP1", subprotocol=None, user=b"CP1", password=PASSWORD, peer="", tls=False
    )
    receiver = world.system.endpoint.admit(handshake)
    assert not isinstance(receiver, Refuse)
    ended: list[int] = []

    class Link:
        def close(self, code: int = 1000, reason: str = "") -> None:
            ended.append(code)

    receiver.opened(Link())  # type: ignore[arg-type]
    assert ended == [1002] and not world.actor().connected


async def test_the_books_are_read_at_the_start() -> None:
    world = World()
    await world.store.put_account(
        StationAccount(tenant=DEFAULT_TENANT, id="CP1", password="hash of " + PASSWORD.decode())
    )
    assert judged(world) == 404
    await world.system.start()
    assert judged(world) == 101
    await world.system.stop()


async def test_changed_accounts_are_heard_of() -> None:
    world = World()
    await world.system.start()
    station = world.station()
    station.boot()
    await world.store.delete_account(StationKey(DEFAULT_TENANT, "CP1"))
    world.bus.publish("settings.default.accounts", "CP1")
    for _ in range(10):
        await asyncio.sleep(0)
    world.run()
    assert station.end == (1008, "the account is gone or disabled")
    assert Client(world, "CP1", "1.6").dial().result.status == 404  # type: ignore[union-attr]
    await world.system.stop()


def test_what_is_local() -> None:
    assert all(map(is_local, ("127.0.0.1:80", "127.8.9.1:80", "[::1]:80", "memory:CP1")))
    assert not any(map(is_local, ("192.0.2.1:80", "[2001:db8::1]:80", "localhost:80", "", "127.0.0.1", "10.0.0.1:1")))
