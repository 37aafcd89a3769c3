"""Signatures of firmware: what holds, what does not, and what is told apart."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from tests.crypto.firmware_kit import Manufacturer, image

from pilotwire.crypto import chains, firmware, pem

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DATA = image("2.0.0")
DIGEST = hashlib.sha256(DATA).digest()


@pytest.fixture(scope="module")
def maker() -> Manufacturer:
    return Manufacturer(NOW)


@pytest.mark.parametrize("rsa_key", [False, True])
def test_a_signature_holds_for_its_file_alone(rsa_key: bool) -> None:
    made = Manufacturer(NOW, rsa_key=rsa_key)
    first, others = firmware.signer(made.certificate)
    assert others == []
    signature = made.sign(DATA)
    firmware.check_signature(first, signature, DIGEST)
    firmware.check_signature(first, "\n".join((signature[:40], signature[40:])), DIGEST)  # folded, as mails do
    with pytest.raises(firmware.BadFirmware) as told:
        firmware.check_signature(first, signature, hashlib.sha256(DATA + b"\n").digest())
    assert told.value.code == "InvalidSignature"


def test_pkcs1_is_told_apart_from_a_wrong_signature() -> None:
    made = Manufacturer(NOW, rsa_key=True)
    first, _ = firmware.signer(made.certificate)
    with pytest.raises(firmware.BadFirmware, match="asks for RSA-PSS"):
        firmware.check_signature(first, made.sign(DATA, pkcs1=True), DIGEST)
    with pytest.raises(firmware.BadFirmware, match="not of this file"):
        firmware.check_signature(first, made.sign(DATA + b"x"), DIGEST)


@pytest.mark.parametrize("signature", ["", "not base64 !", base64.b64encode(b"x" * 70).decode(), "====", "é"])
def test_what_is_no_signature(maker: Manufacturer, signature: str) -> None:
    first, _ = firmware.signer(maker.certificate)
    with pytest.raises(firmware.BadFirmware) as told:
        firmware.check_signature(first, signature, DIGEST)
    assert told.value.code == "InvalidSignature"


@pytest.mark.parametrize("text", ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate(text: str) -> None:
    with pytest.raises(firmware.BadFirmware) as told:
        firmware.signer(text)
    assert told.value.code == "InvalidCertificate"


def test_only_who_is_trusted_for_firmware_may_sign(maker: Manufacturer) -> None:
    root = [chains.load(pem.one(maker.root))]
    first, others = firmware.signer(maker.certificate + maker.root)  # the root may come along; it is not believed
    assert len(others) == 1
    firmware.check_chain(first, others, root, NOW)
    stranger = Manufacturer(NOW, "Somebody else")
    silent = Manufacturer(NOW, "May not sign", may_sign=False)
    for certificate, anchors, when, text in (
        (first, [], NOW, "no authority"),
        (first, [chains.load(pem.one(stranger.root))], NOW, "leads to no authority"),
        (first, root, NOW + timedelta(days=400), "expired"),
        (firmware.signer(silent.certificate)[0], [chains.load(pem.one(silent.root))], NOW, "may not sign"),
    ):
        with pytest.raises(firmware.BadFirmware, match=text) as told:
            firmware.check_chain(certificate, others, anchors, when)
        assert told.value.code == "InvalidCertificate"
