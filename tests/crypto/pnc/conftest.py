"""A test PKI of each kind, made once, and both ends of Plug & Charge with it."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from pilotwire.crypto.pnc import pki
from pilotwire.crypto.pnc.provisioning import Provisioning, TestOperator
from pilotwire.crypto.pnc.vehicle import Identity, Vehicle
from pilotwire.protocols.iso15118.pnc import Edition

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MS = int(NOW.timestamp() * 1000)
DAY = 86_400_000
EDITIONS: tuple[Edition, ...] = ("iso2", "iso20")


@pytest.fixture(scope="session")
def pkis() -> dict[str, pki.Pki]:
    return {
        "iso2": pki.make("iso2", random=random.Random(2).randbytes, now=NOW),
        "iso20": pki.make("iso20", random=random.Random(20).randbytes, now=NOW),
        "ed448": pki.make("iso20", random=random.Random(448).randbytes, now=NOW, kind="ed448"),
    }


@pytest.fixture
def vehicle(pkis: dict[str, pki.Pki]):
    """(edition, with a contract) → a vehicle."""

    def made(edition: Edition, *, contract: bool = True) -> Vehicle:
        own = pkis[edition]
        held = {edition: Identity(own["contract"].chain, own["contract"].key)} if contract else {}
        return Vehicle(own.trust(), contracts=held, provisioning={edition: Identity(own["oem"].chain, own["oem"].key)})

    return made


@pytest.fixture
def service(pkis: dict[str, pki.Pki]):
    """edition → the provisioning service."""

    def made(edition: Edition) -> Provisioning:
        own = pkis[edition]
        rng = random.Random(7)
        operator = TestOperator(own["mo-sub2"], rng.randbytes, {pki.PCID: "DEPWRC00000002"})
        return Provisioning(own.trust(), Identity(own["cps"].chain, own["cps"].key), operator, rng.randbytes)

    return made
