"""Sessions with real keys and certificates: from the test PKI over an installed contract to what OCPP is asked."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.protocols.iso15118.iso20.iso20_world import World

from pilotwire.core.ev_link import Allowed, Halt
from pilotwire.core.evse_link import (
    AuthorizationAsked,
    Certificate,
    CertificateAsked,
    Identified,
    Measured,
    ReceiptSigned,
    ReceiptWanted,
)
from pilotwire.crypto.chains import load
from pilotwire.crypto.pnc import pki as makers
from pilotwire.crypto.pnc.provisioning import NAMESPACES
from pilotwire.crypto.pnc.station import Station
from pilotwire.crypto.pnc.trust import chain_hash_data
from pilotwire.crypto.pnc.vehicle import Identity, Vehicle

CONTRACT: dict[str, Any] = {"payments": ("contract",)}
INSTALL: dict[str, Any] = CONTRACT | {"install": True}


def world_of(pki: makers.Pki, car: Vehicle, service: str = "DC", **options: Any) -> World:
    station = Station(pki.trust(), providers=("PWR",))
    given: dict[str, Any] = {"secc": CONTRACT, "evcc": CONTRACT, "secc_pnc": station, "evcc_pnc": car}
    return World(service, **(given | options))


def of_contract(pki: makers.Pki) -> Vehicle:
    return Vehicle(pki.trust(), contracts={"iso20": Identity(pki["contract"].chain, pki["contract"].key)})


@pytest.mark.parametrize("service", ["DC", "AC_BPT", "WPT", "DC_ACDP"])
@pytest.mark.parametrize("kind", ["iso20", "ed448"])
def test_a_session_of_20_by_contract(pkis, kind: str, service: str) -> None:
    world = world_of(pkis[kind], of_contract(pkis[kind]), service).begin(8_000)
    assert world.said(AuthorizationAsked) == [AuthorizationAsked(by="contract")]
    known = world.said(Identified)[-1]
    assert (known.emaid, known.contract) == (makers.EMAID, pkis[kind]["contract"].chain)
    assert world.said(Allowed, "car")
    # In one motion to OCPP: the hashes of the whole chain, by which a central system asks whether they still hold.
    hashes = chain_hash_data(known.contract, pkis[kind].roots()["mo"])
    assert [one.serial_number for one in hashes] == [f"{load(der).serial_number:x}" for der in known.contract]
    world.secc.command(Measured(energy_wh=10, meter_id="M1"))
    world.secc.command(ReceiptWanted())
    world.run(2_000)
    assert len(world.said(ReceiptSigned)[0].signature) == {"iso20": 132, "ed448": 114}[kind]
    world.evcc.command(Halt())
    world.run(5_000)
    assert world.ended.ok and world.parted.ok


def test_a_contract_of_20_is_installed_and_used_at_once(pkis, vehicle, service) -> None:
    car, desk = vehicle("iso20", contract=False), service("iso20")

    def install(asked: CertificateAsked) -> Certificate:
        edition = NAMESPACES[asked.schema]
        return Certificate(exi=desk.answer(edition, asked.exi, 1_767_225_600_000))

    world = world_of(pkis["iso20"], car, secc=INSTALL, evcc=INSTALL, install=install).begin(8_000)
    assert car.emaid("iso20") == "DEPWRC00000002"
    assert world.said(Identified)[-1].emaid == "DEPWRC00000002"
    assert world.outlet.flowing.mw > 10_000_000


def test_a_contract_of_somebody_else_opens_nothing(pkis) -> None:
    stranger = makers.make("iso20", random=random.Random(9).randbytes, now=datetime(2026, 1, 1, tzinfo=UTC))
    station = Station(pkis["iso20"].trust())
    world = world_of(stranger, of_contract(stranger), secc_pnc=station).begin(8_000)
    assert "WARNING_CertificateValidationError" in world.codes()
    assert not world.said(Allowed, "car")
    assert world.outlet.flowing.mw == 0


def test_a_key_that_is_not_the_contracts_opens_nothing(pkis) -> None:
    own = pkis["iso20"]
    car = Vehicle(own.trust(), contracts={"iso20": Identity(own["contract"].chain, own["oem"].key)})
    world = world_of(own, car).begin(8_000)
    assert "FAILED_SignatureError" in world.codes()
    assert world.ended.ok is False
