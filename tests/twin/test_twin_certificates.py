"""Certificates over real TLS: our station and our central system with its real listener, profiles 1 to 3."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pilotwire.cli.secret import make_certificates, server_chain, server_tls
from pilotwire.core.ids import DEFAULT_TENANT, StationKey
from pilotwire.crypto import chains, pem, requests
from pilotwire.crypto.authority import Authority
from pilotwire.crypto.hash_data import hash_data, write
from pilotwire.crypto.passwords import Passwords
from pilotwire.csms.service import CentralSystem
from pilotwire.domain.facts import CertificateSettled, SecurityEventNotified
from pilotwire.domain.records import StationAccount, Token
from pilotwire.protocols.ocpp.version import SUBPROTOCOL
from pilotwire.station.config import StationConfig
from pilotwire.station.keystore import CSMS_ROOT, Leaf
from pilotwire.station.program import Station
from pilotwire.station.storage import MemoryStorage
from pilotwire.storage.memory import MemoryStore
from pilotwire.transport.bus import CommandReply, CommandRequest, LocalBus
from pilotwire.transport.ocpp.client import LoopDialer
from pilotwire.transport.ocpp.picows_server import PicowsServer
from pilotwire.transport.runtime import LoopScheduler, SystemIds
from pilotwire.twin.fleet import rekey
from pilotwire.twin.identity import dress
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import CATALOGUE

VERSIONS = ("1.6", "2.0.1", "2.1")
KEY = StationKey(DEFAULT_TENANT, "CP1")
PASSWORD = b"a-password-of-16+"
FAST = {"backoff_minimum": "1", "backoff_random": "0", "organization": "Netz AG", "sample_interval": "1"}
assert SUBPROTOCOL


class House:
    """A central system on two real ports, and one station."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        make_certificates(folder / "tls", "127.0.0.1")
        self.store, self.bus = MemoryStore(), LocalBus()
        self.scheduler, self.ids = LoopScheduler(), SystemIds()
        self.passwords = Passwords(b"0123456789abcdef")
        self.system = CentralSystem(
            store=self.store,
            bus=self.bus,
            scheduler=self.scheduler,
            ids=self.ids,
            verify=self.passwords.verify_station,
            hash_password=self.passwords.hash_station,
            secret=b"the installation's secret",
            log=lambda *_, **__: None,
        )
        self.plain, self.tls = PicowsServer(), PicowsServer()
        self.station: Station | None = None
        self.storage = MemoryStorage()

    async def start(self, **account: Any) -> None:
        await self.store.open()
        await self.store.put_account(
            StationAccount(
                tenant=DEFAULT_TENANT,
                id="CP1",
                password=self.passwords.hash_station(PASSWORD),
                **{"organization": "Netz AG", **account},
            )
        )
        await self.store.put_token(Token(tenant=DEFAULT_TENANT, token="TAG"))
        await self.system.start()
        certificates = self.system.certificates
        context = server_tls(self.folder, "127.0.0.1", certificates.client_anchors)
        certificates.on_anchors = context.reload
        certificates.installed.serve_with(server_chain(self.folder))
        await self.plain.start("127.0.0.1", 0, self.system.endpoint)
        await self.tls.start("127.0.0.1", 0, self.system.endpoint, ssl=context)

    @property
    def ca(self) -> Path:
        return self.folder / "tls" / "ca.pem"

    def make(self, version: str, profile: int, leaf: Leaf | None = None, **settings: str) -> Station:
        plain = f"ws://127.0.0.1:{self.plain.port}/ocpp/CP1"
        secure = f"wss://127.0.0.1:{self.tls.port}/ocpp/CP1"
        dialer = LoopDialer(plain if profile < 2 else secure, user="CP1", password=PASSWORD)
        if profile == 3:
            dialer.user = dialer.password = None
        config = StationConfig(
            identity="CP1", version=version, security_profile=profile, settings=FAST | settings, reboot_ms=200
        )
        self.station = station = Station(
            config,
            self.scheduler,
            dialer,
            self.ids,
            Random(1),
            self.storage,
            on_password=lambda password: rekey(dialer, version, password),
            on_identity=dress(dialer, ca=self.ca, plain_url=plain, tls_url=secure),
        )
        station.certificates.provide(leaf, {CSMS_ROOT: [self.ca.read_text()]} if profile >= 2 else {})
        station.power_on()
        return station

    def leaf(self, name: str = "CP1", authority: Authority | None = None) -> Leaf:
        """A certificate that a station comes with, of the central system's own authority."""
        authority = authority or self.system.certificates.authority
        assert authority is not None
        key = requests.new_key()
        request = requests.read(requests.make(key, name, "Netz AG"))
        return Leaf(pem.text(authority.sign(request, name, "Netz AG", now=datetime.now(UTC))), requests.key_text(key))

    async def until(self, what: Callable[[], bool], seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds):
            while not what():
                await asyncio.sleep(0.01)

    async def command(self, action: str, payload: dict[str, Any]) -> CommandReply:
        asked = CommandRequest(tenant=DEFAULT_TENANT, station="CP1", action=action, payload=payload, timeout_ms=5_000)
        return await self.bus.request(f"command.{DEFAULT_TENANT}.CP1", asked, timeout_ms=8_000)

    async def trigger(self) -> None:
        v16 = self.station.config.version == "1.6"
        action = "ExtendedTriggerMessage" if v16 else "TriggerMessage"
        message = "SignChargePointCertificate" if v16 else "SignChargingStationCertificate"
        reply = await self.command(action, {"requestedMessage": message})
        assert reply.answer == {"status": "Accepted"}

    def facts(self, kind: type) -> list[Any]:
        return [fact for entry in self.store._entries for fact in entry.facts if type(fact) is kind]

    @property
    def account(self) -> StationAccount:
        account = self.system._around.accounts.get(KEY)
        assert account is not None
        return account


@pytest.fixture
def house(tmp_path) -> Callable[..., Any]:
    @asynccontextmanager
    async def open_house(**account: Any) -> AsyncIterator[House]:
        one = House(tmp_path)
        await one.start(**account)
        try:
            yield one
        finally:
            if one.station is not None:
                one.station.shut_down()
            await one.plain.stop()
            await one.tls.stop()
            await one.system.stop()
            await one.store.close()

    return open_house


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_certificate_is_exchanged_in_mid_session(house, version) -> None:
    async with house(security_profile=3) as one:
        first = one.leaf()
        station = one.make(version, 3, first)
        await one.until(lambda: station.online)
        station.plug(1, Vehicle(CATALOGUE["compact three-phase 11 kW"], 300))
        station.tap(1, "TAG")
        await one.until(lambda: station.truth and station.truth[0].ended_at is None)
        await one.trigger()
        await one.until(lambda: one.facts(CertificateSettled))
        assert one.facts(CertificateSettled)[0].status == "delivered"
        await one.until(lambda: station.conversation.counts.lost == 1)
        await one.until(lambda: station.online and station.certificates.leaf != first)
        await asyncio.sleep(1.2)
        station.unplug(1)
        await one.until(lambda: not len(station.outbox))
        page = await one.store.sessions(DEFAULT_TENANT)
        (session,) = page.items
        assert (session.status, session.flags) == ("ended", [])
        (truth,) = station.truth
        assert session.meter_stop_wh - session.meter_start_wh == truth.register_end - truth.register_start
        assert one.facts(SecurityEventNotified) == []


@pytest.mark.parametrize("version", VERSIONS)
async def test_from_a_password_to_a_certificate(house, version) -> None:
    """Profile 2: the station gets its first certificate; in 1.6 it then goes up to profile 3, and never down."""
    async with house(security_profile=2) as one:
        station = one.make(version, 2)
        await one.until(lambda: station.online)
        await one.trigger()
        await one.until(lambda: one.facts(CertificateSettled))
        assert station.certificates.leaf is not None
        if version != "1.6":
            return
        reply = await one.command("ChangeConfiguration", {"key": "SecurityProfile", "value": "3"})
        assert reply.answer == {"status": "Accepted"}
        await one.until(lambda: one.account.security_profile == 3)
        await one.until(lambda: station.online)
        assert station.certificates.profile == 3
        reply = await one.command("ChangeConfiguration", {"key": "SecurityProfile", "value": "2"})
        assert reply.outcome == "invalid"
        stored = await one.store.account(KEY)
        assert stored is not None and stored.security_profile == 3


async def test_all_the_way_up_from_plain(house) -> None:
    async with house(security_profile=1) as one:
        station = one.make("1.6", 1)
        await one.until(lambda: station.online)
        refused = await one.command("ChangeConfiguration", {"key": "SecurityProfile", "value": "2"})
        assert refused.answer == {"status": "Rejected"}  # the station has no root yet
        reply = await one.command(
            "InstallCertificate",
            {"certificateType": "CentralSystemRootCertificate", "certificate": one.ca.read_text()},
        )
        assert reply.answer == {"status": "Accepted"}
        reply = await one.command("ChangeConfiguration", {"key": "SecurityProfile", "value": "2"})
        assert reply.answer == {"status": "Accepted"}
        await one.until(lambda: one.account.security_profile == 2 and station.online)
        data = write(hash_data(pem.one(one.ca.read_text())), _Wire)
        reply = await one.command("DeleteCertificate", {"certificateHashData": data})
        assert reply.outcome == "invalid" and "never connect again" in reply.answer["description"]


class _Wire(dict):
    def __init__(self, *, hash_algorithm: str, issuer_name_hash: str, issuer_key_hash: str, serial_number: str) -> None:
        super().__init__(
            hashAlgorithm=hash_algorithm,
            issuerNameHash=issuer_name_hash,
            issuerKeyHash=issuer_key_hash,
            serialNumber=serial_number,
        )


@pytest.mark.parametrize("version", ["1.6", "2.1"])
async def test_a_new_password_over_tls(house, version) -> None:
    async with house(security_profile=2) as one:
        station = one.make(version, 2)
        await one.until(lambda: station.online)
        new = "another-password-16"
        if version == "1.6":
            reply = await one.command("ChangeConfiguration", {"key": "AuthorizationKey", "value": new.encode().hex()})
            assert reply.answer == {"status": "Accepted"}
        else:
            row = {
                "component": {"name": "SecurityCtrlr"},
                "variable": {"name": "BasicAuthPassword"},
                "attributeValue": new,
            }
            reply = await one.command("SetVariables", {"setVariableData": [row]})
            assert reply.answer["setVariableResult"][0]["attributeStatus"] == "Accepted"
        await one.until(lambda: station.conversation.counts.lost >= 1)
        await one.until(lambda: station.online)
        stored = await one.store.account(KEY)
        assert stored is not None and stored.next_password == ""
        assert one.passwords.verify_station(stored.password, new.encode())
        assert not one.passwords.verify_station(stored.password, PASSWORD)


async def test_a_certificate_of_somebody_else_does_not_get_in(house) -> None:
    async with house(security_profile=3) as one:
        stranger = Authority.new("Netz AG", now=datetime.now(UTC))
        station = one.make("2.0.1", 3, one.leaf(authority=stranger))
        await one.until(lambda: station.conversation.counts.dials >= 3)
        assert not station.online
        station.shut_down()
        station = one.make("2.0.1", 3, one.leaf("CP2"))  # ours, and another station's
        await one.until(lambda: station.conversation.counts.dials >= 3)
        assert not station.online
        assert any("FailedToAuthenticateAtCsms" in line for line in station.security.lines())


async def test_a_station_falls_back_when_the_new_certificate_is_not_let_in(house) -> None:
    """The central system is told of another organization meanwhile: only the old certificate carries the right one."""
    async with house(security_profile=3) as one:
        station = one.make("2.0.1", 3, one.leaf())
        await one.until(lambda: station.online)
        desk = one.system.certificates
        authority, first = desk.authority, station.certificates.leaf
        desk.use(Authority.new("Netz AG", now=datetime.now(UTC)))  # which the listener does not trust
        await one.trigger()
        await one.until(lambda: one.facts(CertificateSettled))
        await one.until(
            lambda: any(fact.kind == "DiscardedRenewedClientCertificate" for fact in one.facts(SecurityEventNotified)),
            15,
        )
        assert station.certificates.leaf == first
        assert authority is not None and chains.der(authority.root)


async def test_a_server_that_the_station_does_not_trust_is_told_of_later(house) -> None:
    async with house(security_profile=3) as one:
        station = one.make("2.0.1", 3, one.leaf())
        await one.until(lambda: station.online)
        stranger = pem.text([chains.der(Authority.new("Other", now=datetime.now(UTC)).root)])
        leaf = station.certificates.leaf
        station.certificates.provide(leaf, {CSMS_ROOT: [stranger]})
        station.conversation.reconnect()
        await one.until(lambda: any("InvalidCsmsCertificate" in line for line in station.security.lines()))
        station.certificates.provide(leaf, {CSMS_ROOT: [one.ca.read_text()]})
        await one.until(lambda: one.facts(SecurityEventNotified))
        assert one.facts(SecurityEventNotified)[0].kind == "InvalidCsmsCertificate"
