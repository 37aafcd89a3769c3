"""Plug & Charge from the car's contract to the central system and back, in simulated time: certificates all the way."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pytest
from cryptography import x509
from tests.twin.shop_kit import Shop, done

from pilotwire.core.ids import DEFAULT_TENANT, StationKey
from pilotwire.core.time import to_datetime
from pilotwire.crypto import pem
from pilotwire.crypto.hash_data import HashData, hash_data
from pilotwire.crypto.pnc import pki as test_pki
from pilotwire.crypto.pnc.provisioning import Provisioning, TestOperator
from pilotwire.crypto.pnc.station import Station as StationPnc
from pilotwire.crypto.pnc.vehicle import Identity
from pilotwire.crypto.pnc.vehicle import Vehicle as VehiclePnc
from pilotwire.domain.certificates import EvCertificateAsked, EvCertificateTold, OneStatus
from pilotwire.domain.facts import TokenPresented
from pilotwire.domain.records import Token
from pilotwire.station.config import EvseConfig
from pilotwire.twin.links import LinkedCarAtEvse
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import CATALOGUE

DC = EvseConfig(dc=True, max_ma=200_000, max_w=60_000, max_mv=500_000, connector_type="cCCS2", fixed_cable=True)
KIND = CATALOGUE["compact three-phase 11 kW"]
EDITIONS = {"iso2-dc": "iso2", "iso2-ac": "iso2", "iso20-dc": "iso20"}


class Statuses:
    """Says of each certificate of the PKI whether it was revoked, by the hashes that were asked about."""

    def __init__(self, pki: test_pki.Pki) -> None:
        self.revoked: set[str] = set()
        self.asked: list[str] = []
        self._names = {}
        chain = [pki["contract"].certificate, *pki["contract"].above, *pki.roots()["mo"]]
        for name, (certificate, issuer) in zip(
            ("contract", "mo-sub2", "mo-sub1"), itertools.pairwise(chain), strict=False
        ):
            self._names[hash_data(certificate, issuer).key()] = name

    def chain(
        self,
        tenant: str,
        about: Sequence[Any],
        told: Callable[[tuple[OneStatus, ...]], None],
        issuers: Sequence[x509.Certificate] = (),
    ) -> None:
        keys = [(one.algorithm, one.issuer_name_hash, one.issuer_key_hash, one.serial_number) for one in about]
        names = [self._names.get(HashData(*key).key(), "unknown") for key in keys]
        self.asked += names
        verdicts = ["Failed" if name == "unknown" else "Revoked" if name in self.revoked else "Good" for name in names]
        told(tuple(OneStatus(one, said, 0) for one, said in zip(about, verdicts, strict=True)))


class Contracts:
    """The provisioning service behind the central system."""

    def __init__(self, service: Provisioning, shop: Shop) -> None:
        self.service = service
        self.shop = shop
        self.asked: list[EvCertificateAsked] = []

    def certificate(
        self, key: StationKey, asked: EvCertificateAsked, told: Callable[[EvCertificateTold], None]
    ) -> None:
        from base64 import b64decode, b64encode

        self.asked.append(asked)
        edition: Any = "iso20" if ":-20:" in asked.schema_version else "iso2"
        answer = self.service.answer(edition, b64decode(asked.exi_request), int(self.shop.clock.now()))
        told(EvCertificateTold(status="Accepted", exi_response=b64encode(answer).decode()))


class Place:
    def __init__(self, link: str, version: str, *, contract: bool = True) -> None:
        self.shop = shop = Shop(1)
        edition: Any = EDITIONS[link]
        now = to_datetime(shop.clock.now())
        self.pki = pki = test_pki.make(edition, random=Random(5).randbytes, now=now)
        self.emaid = test_pki.EMAID
        done(shop.store.put_token(Token(tenant=DEFAULT_TENANT, token=self.emaid, created_at=int(shop.clock.now()))))
        done(shop.csms.refresh())
        self.statuses = Statuses(pki)
        desk = shop.csms.certificates
        desk.statuses = self.statuses  # type: ignore[assignment]
        signer = Identity(pki["cps"].chain, pki["cps"].key)
        operator = TestOperator(pki["mo-sub2"], Random(6).randbytes, {test_pki.PCID: self.emaid})
        self.contracts = Contracts(Provisioning(pki.trust(), signer, operator, Random(7).randbytes), shop)
        desk.contracts = self.contracts  # type: ignore[assignment]
        self.station = shop.station(
            version, DC if link.endswith("dc") else EvseConfig(), built={"plug_and_charge": True}
        )
        self.station.certificates.provide(None, {"MORootCertificate": [pem.text(pki.roots()["mo"])]})
        provisioning = {edition: Identity(pki["oem"].chain, pki["oem"].key)}
        held = {edition: Identity(pki["contract"].chain, pki["contract"].key)} if contract else {}
        self.car = VehiclePnc(pki.trust(), contracts=held, provisioning=provisioning)
        self.edition = edition
        self.vehicle = Vehicle(KIND, 300, max_taken_wh=2_000, evccid="ZZPWRV00000001X" if "20" in link else "")
        self.link = LinkedCarAtEvse(
            self.station, 1, self.vehicle, link, shop.clock, random=Random(8).randbytes,
            pnc=(StationPnc(pki.trust()), self.car),
        )  # fmt: skip

    def session(self) -> Any:
        (row,) = self.shop.sessions("CS-1")
        return row


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
@pytest.mark.parametrize("link", ["iso2-ac", "iso2-dc", "iso20-dc"])
def test_the_contract_lets_the_car_in_without_anybody_s_doing(link: str, version: str) -> None:
    place = Place(link, version)
    place.link.plug()
    place.shop.run(60)
    session = place.session()
    assert (session.token, session.token_type, session.status) == (place.emaid, "eMAID", "active")
    assert place.station.evses[0].meter.power_mw > 1_000_000
    assert place.statuses.asked == ["contract", "mo-sub2", "mo-sub1"], "the hashes of the whole chain were asked about"
    presented = [fact for fact in place.shop.facts(TokenPresented) if fact.token == place.emaid]
    assert presented and all(fact.verdict == "Accepted" for fact in presented)
    place.shop.run(1_800)
    place.link.pull()
    place.shop.run(10)
    over = place.session()
    assert over.status == "ended" and over.energy_wh == pytest.approx(place.vehicle.taken_uj / 3.6e9, abs=1)


@pytest.mark.parametrize("link", ["iso2-dc", "iso20-dc"])
def test_a_contract_that_was_revoked_lets_nobody_in_and_the_car_is_told(link: str) -> None:
    place = Place(link, "2.1")
    place.statuses.revoked.add("contract")
    place.link.plug()
    place.shop.run(60)
    assert place.station.evses[0].meter.power_mw == 0
    assert place.link.inside is not None and place.link.inside.over is not None
    assert not place.link.inside.over.ok
    assert not [row for row in place.shop.sessions("CS-1") if row.token]


@pytest.mark.parametrize(("link", "version"), [("iso2-dc", "2.0.1"), ("iso2-dc", "2.1"), ("iso20-dc", "2.1")])
def test_a_car_without_a_contract_gets_one_over_ocpp_and_charges_with_it(link: str, version: str) -> None:
    place = Place(link, version, contract=False)
    place.link.plug()
    place.shop.run(90)
    (asked,) = place.contracts.asked
    assert asked.action == "Install"
    assert place.car.emaid(place.edition) == place.emaid
    session = place.session()
    assert (session.token, session.token_type, session.status) == (place.emaid, "eMAID", "active")
    assert place.station.evses[0].meter.power_mw > 1_000_000


def test_a_contract_that_nobody_knows_is_refused() -> None:
    place = Place("iso2-dc", "2.1")
    done(place.shop.store.delete_token(DEFAULT_TENANT, place.emaid))
    done(place.shop.csms.refresh())
    place.link.plug()
    place.shop.run(60)
    assert place.station.evses[0].meter.power_mw == 0
    assert place.link.inside is not None and place.link.inside.over is not None
