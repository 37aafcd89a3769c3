"""Plug & Charge in -20 as the machines see it: contract, installation, readings, and what goes wrong."""

from __future__ import annotations

from typing import Any

import pytest
from tests.protocols.iso15118.iso20.iso20_pnc import EMAID, LEAF, SUB, CarKeys, StationKeys, installation
from tests.protocols.iso15118.iso20.iso20_world import World

from pilotwire.core.ev_link import Allowed, Halt, Parted
from pilotwire.core.evse_link import (
    AuthorizationAsked,
    Authorize,
    Certificate,
    CertificateAsked,
    Ended,
    Identified,
    Measured,
    ReceiptSigned,
    ReceiptWanted,
)
from pilotwire.protocols.iso15118 import v2gtp
from pilotwire.protocols.iso15118.pnc import RESPONSES

BOTH: Any = {"payments": ("contract", "external")}
CONTRACT: Any = {"payments": ("contract",)}
INSTALL: Any = CONTRACT | {"install": True}


def contract_world(service: str = "DC", **options: Any) -> World:
    given: dict[str, Any] = {"secc": BOTH, "evcc": CONTRACT, "secc_pnc": StationKeys(), "evcc_pnc": CarKeys()}
    return World(service, **(given | options))


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("service", ["DC", "DC_BPT", "AC", "AC_BPT"])
def test_a_session_by_contract(service: str, dynamic: bool) -> None:
    world = contract_world(service, dynamic=dynamic).begin(8_000)
    assert world.said(AuthorizationAsked) == [AuthorizationAsked(by="contract")]
    assert world.said(Identified)[-1].emaid == EMAID
    assert world.said(Identified)[-1].contract == (LEAF, SUB)
    assert world.bodies("AuthorizationSetupRes")[0]["AuthorizationServices"] == ["PnC", "EIM"]
    assert world.outlet.flowing.mw > 10_000_000
    world.evcc.command(Halt())
    world.run(4_000)
    assert world.ended.ok and world.parted.ok


def test_there_is_no_contract_without_tls() -> None:
    world = contract_world(tls=False, evcc=BOTH).begin(8_000)
    assert world.bodies("AuthorizationSetupRes")[0]["AuthorizationServices"] == ["EIM"]
    assert "PnC_ASResAuthorizationMode" not in world.bodies("AuthorizationSetupRes")[0]
    assert world.said(AuthorizationAsked) == [AuthorizationAsked(by="external")]


def test_a_contract_is_installed() -> None:
    keys = CarKeys(empty=True)
    world = contract_world(secc=INSTALL, evcc=INSTALL, evcc_pnc=keys, install=installation).begin(8_000)
    (asked,) = world.said(CertificateAsked)
    assert asked.action == "install" and asked.schema == "urn:iso:std:iso:15118:-20:CommonMessages"
    assert {one["EVSEProcessing"] for one in world.bodies("CertificateInstallationRes")} == {"Ongoing", "Finished"}
    assert keys.taken == 1 and keys.has
    assert world.said(Identified)[-1].emaid == EMAID
    assert world.outlet.flowing.mw > 10_000_000


@pytest.mark.parametrize("answer", [b"", b"\x80\x00", b"no EXI"])
def test_there_is_no_contract_to_install(answer: bytes) -> None:
    world = contract_world(
        secc=BOTH | {"install": True},
        evcc=BOTH | {"install": True},
        evcc_pnc=CarKeys(empty=True),
        install=lambda asked: Certificate(exi=answer),
    ).begin(8_000)
    assert "WARNING_NoCertificateAvailable" in world.codes()
    assert world.said(AuthorizationAsked) == [AuthorizationAsked(by="external")], "it goes on by other means"
    assert world.outlet.flowing.mw > 10_000_000


def test_an_installation_by_a_key_that_is_not_in_the_certificate() -> None:
    world = contract_world(secc=INSTALL, evcc=INSTALL, evcc_pnc=CarKeys(empty=True, forged=True)).begin(4_000)
    assert "FAILED_SignatureError" in world.codes()
    assert world.said(CertificateAsked) == []
    assert not world.ended.ok


def test_a_contract_by_a_key_that_is_not_in_the_certificate() -> None:
    world = contract_world(evcc_pnc=CarKeys(forged=True)).begin(4_000)
    assert "FAILED_SignatureError" in world.codes()
    assert world.said(AuthorizationAsked) == [] and world.said(Allowed, "car") == []
    assert not world.ended.ok


@pytest.mark.parametrize("code", [one for one in RESPONSES["iso20"] if one not in ("ok", "expires-soon")])
def test_a_chain_that_is_not_believed(code: Any) -> None:
    world = contract_world(secc_pnc=StationKeys(code), evcc=BOTH).begin(8_000)
    assert RESPONSES["iso20"][code] in world.codes()
    assert world.said(AuthorizationAsked) == [AuthorizationAsked(by="external")], "then somebody else pays"
    assert world.outlet.flowing.mw > 10_000_000


def test_a_contract_that_expires_soon() -> None:
    world = contract_world(secc_pnc=StationKeys("expires-soon")).begin(8_000)
    assert "OK_CertificateExpiresSoon" in world.codes()
    assert world.outlet.flowing.mw > 10_000_000


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("expired", "WARNING_CertificateExpired"),
        ("revoked", "WARNING_CertificateRevoked"),
        ("unknown", "WARNING_eMSPUnknown"),
        ("no-contract", "WARNING_NoContractMatchingPCIDFound"),
        ("", "WARNING_GeneralPnCAuthorizationError"),
    ],
)
def test_a_contract_that_is_not_let_in(reason: str, code: str) -> None:
    world = contract_world(authorize=False).begin(1_000)
    world.secc.command(Authorize(accepted=False, reason=reason))
    world.run(3_000)
    assert code in world.codes()
    assert world.said(Allowed, "car") == []
    (parted,) = world.said(Parted, "car")
    assert not parted.ok
    assert world.bodies("SessionStopReq")[0]["EVTerminationCode"] == "NotAuthorized"


def test_an_old_challenge() -> None:
    world = contract_world()
    world.evcc.start()
    world.run(3)
    world.evse.random = lambda count: b"\x77" * count
    signed = world.ev.begin._signed

    def stale() -> Any:
        world.ev.begin._setup["PnC_ASResAuthorizationMode"]["GenChallenge"] = bytes(16)
        return signed()

    world.ev.begin._signed = stale  # type: ignore[method-assign]
    world.run(4_000)
    assert "WARNING_ChallengeInvalid" in world.codes()
    assert world.said(AuthorizationAsked) == []


@pytest.mark.parametrize("dynamic", [False, True])
def test_a_reading_is_confirmed_beside_the_loop(dynamic: bool) -> None:
    world = contract_world(dynamic=dynamic).begin(8_000)
    loops = len(world.bodies("DC_ChargeLoopRes"))
    world.secc.command(ReceiptWanted())
    world.run(2_000)
    side = [name for _, type_, name, _ in world.frames if type_ == v2gtp.METERING_CONFIRMATION]
    assert side == ["MeteringConfirmationReq", "MeteringConfirmationRes"]
    (receipt,) = world.said(ReceiptSigned)
    assert receipt.signature and receipt.energy_wh > 0
    assert len(world.bodies("DC_ChargeLoopRes")) >= loops + 8
    assert world.said(Ended) == []


def test_only_a_contract_confirms() -> None:
    world = World("DC").begin(8_000)
    world.secc.command(ReceiptWanted())
    world.run(2_000)
    assert world.bodies("MeteringConfirmationReq") == []


def test_a_reading_that_nobody_told() -> None:
    world = contract_world().begin(8_000)
    confirm = world.ev.power._confirm
    world.ev.power._confirm = lambda came: confirm(  # type: ignore[method-assign]
        came._replace(body=came.body | {"MeterInfo": came.body["MeterInfo"] | {"ChargedEnergyReadingWh": 1_000_000}})
    )
    world.secc.command(Measured(mv=400_000, energy_wh=77, meter_id="M1"))
    world.secc.command(ReceiptWanted())
    world.run(1_000)
    assert "FAILED_MeteringSignatureNotValid" in world.codes()
    assert not world.ended.ok
    assert world.outlet.flowing.ma == 0 and not world.outlet.closed
