"""Signatures over fragments: what they cover, and that nothing that was changed passes. Keys are stood in for."""

from __future__ import annotations

import copy
import hashlib
from typing import Any

import pytest

from pilotwire.protocols import exi
from pilotwire.protocols.iso15118 import pnc
from pilotwire.protocols.iso15118.signature import (
    ECDSA_SHA256,
    ECDSA_SHA512,
    ED448,
    ISO2,
    Part,
    SignatureError,
    Suite,
    check,
    sign,
    signed_bytes,
)

REQUEST = {"Id": "id1", "GenChallenge": bytes(range(16))}
SUITES = (ECDSA_SHA256, ECDSA_SHA512, ED448)


def stand_in(data: bytes, size: int = 64) -> bytes:
    """A key that everybody has: enough to see what was signed."""
    return hashlib.shake_256(b"key" + data).digest(size)


def verify(suite: Suite, data: bytes, signature: bytes) -> bool:
    return signature == stand_in(data, suite.size)


def signed(parts: list[Part], suite: Suite = ECDSA_SHA256) -> dict[str, Any]:
    return sign(parts, suite, lambda data: stand_in(data, suite.size))


@pytest.fixture
def parts() -> list[Part]:
    return [Part("iso2", "AuthorizationReq", dict(REQUEST))]


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_what_was_signed_passes(parts: list[Part], suite: Suite) -> None:
    signature = signed(parts, suite)
    assert check(signature, parts, SUITES, verify) is suite
    header = {"SessionID": bytes(8), "Signature": signature}
    message = {"V2G_Message": {"Header": header, "Body": {"AuthorizationReq": REQUEST}}}
    back = exi.decode("iso2", exi.encode("iso2", message))["V2G_Message"]
    assert back["Header"]["Signature"] == signature
    check(
        back["Header"]["Signature"],
        [Part("iso2", "AuthorizationReq", back["Body"]["AuthorizationReq"])],
        SUITES,
        verify,
    )


def test_the_digest_is_of_the_fragment_and_the_signature_of_signed_info(parts: list[Part]) -> None:
    signature = signed(parts)
    (reference,) = signature["SignedInfo"]["Reference"]
    fragment = exi.encode_fragment("iso2", {"AuthorizationReq": REQUEST})
    assert reference["DigestValue"] == hashlib.sha256(fragment).digest()
    assert reference["URI"] == "#id1"
    info = exi.encode_fragment("xmldsig", {"SignedInfo": signature["SignedInfo"]})
    assert signature["SignatureValue"]["value"] == stand_in(info)
    assert info[0] == 0x80, "no options"
    assert info[1] >> 2 == 32, "SignedInfo is number 32 of 45 elements in fragments of that schema"


CHANGES: dict[str, tuple[str, Any]] = {
    "value": ("signature", lambda one: one["SignatureValue"].update(value=bytes(64))),
    "short value": ("signature", lambda one: one["SignatureValue"].update(value=bytes(63))),
    "no value": ("malformed", lambda one: one.pop("SignatureValue")),
    "no info": ("malformed", lambda one: one.pop("SignedInfo")),
    "digest": ("digest", lambda one: one["SignedInfo"]["Reference"][0].update(DigestValue=bytes(32))),
    "no URI": ("malformed", lambda one: one["SignedInfo"]["Reference"][0].pop("URI")),
    "other URI": ("reference", lambda one: one["SignedInfo"]["Reference"][0].update(URI="#id2")),
    "twice": ("reference", lambda one: one["SignedInfo"]["Reference"].append(one["SignedInfo"]["Reference"][0])),
    "five": ("reference", lambda one: one["SignedInfo"].update(Reference=one["SignedInfo"]["Reference"] * 5)),
    "none": ("reference", lambda one: one["SignedInfo"].update(Reference=[])),
    "no transform": ("malformed", lambda one: one["SignedInfo"]["Reference"][0].pop("Transforms")),
    "two transforms": (
        "malformed",
        lambda one: one["SignedInfo"]["Reference"][0].update(Transforms={"Transform": [{"Algorithm": "a"}] * 2}),
    ),
    "other transform": (
        "algorithm",
        lambda one: one["SignedInfo"]["Reference"][0].update(Transforms={"Transform": [{"Algorithm": "a"}]}),
    ),
    "other digest": (
        "algorithm",
        lambda one: one["SignedInfo"]["Reference"][0].update(DigestMethod={"Algorithm": "a"}),
    ),
    "other method": ("algorithm", lambda one: one["SignedInfo"].update(SignatureMethod={"Algorithm": "none"})),
    "other form": ("algorithm", lambda one: one["SignedInfo"].update(CanonicalizationMethod={"Algorithm": "a"})),
    "an Id for the info": ("signature", lambda one: one["SignedInfo"].update(Id="x")),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_was_changed_does_not(parts: list[Part], name: str) -> None:
    code, change = CHANGES[name]
    signature = copy.deepcopy(signed(parts))
    change(signature)
    with pytest.raises(SignatureError) as caught:
        check(signature, parts, ISO2, verify)
    assert caught.value.code == code


@pytest.mark.parametrize("element", [{"Id": "id1", "GenChallenge": bytes(16)}, {"Id": "id1"}])
def test_another_element_is_not_what_was_signed(parts: list[Part], element: dict[str, Any]) -> None:
    with pytest.raises(SignatureError) as caught:
        check(signed(parts), [Part("iso2", "AuthorizationReq", element)], ISO2, verify)
    assert caught.value.code == "digest"


def test_no_signature_is_told_from_a_wrong_one(parts: list[Part]) -> None:
    with pytest.raises(SignatureError) as caught:
        check(None, parts, ISO2, verify)
    assert caught.value.code == "missing"


def test_an_algorithm_of_the_other_edition_is_not_taken(parts: list[Part]) -> None:
    with pytest.raises(SignatureError) as caught:
        check(signed(parts, ECDSA_SHA512), parts, ISO2, verify)
    assert caught.value.code == "algorithm"


def test_both_forms_of_signed_info_that_are_in_the_field_are_taken_in_20() -> None:
    data = {"Id": "id1", "GenChallenge": bytes(16), "ContractCertificateChain": pnc.chain_element((b"leaf", b"sub"))}
    parts = [Part("iso20-common", "PnC_AReqAuthorizationMode", data)]
    signature = signed(parts, ECDSA_SHA512)
    check(signature, parts, SUITES, verify)
    signature["SignatureValue"]["value"] = stand_in(signed_bytes(signature["SignedInfo"], "iso20-common"), 132)
    check(signature, parts, SUITES, verify)


def test_chains_come_back() -> None:
    for chain in ((b"leaf",), (b"leaf", b"sub2"), (b"leaf", b"sub2", b"sub1")):
        assert pnc.chain_of(pnc.chain_element(chain)) == chain
    assert pnc.chain_element((b"leaf",), "id1") == {"Id": "id1", "Certificate": b"leaf"}


@pytest.mark.parametrize("edition", ["iso2", "iso20"])
def test_every_verdict_has_a_code_of_the_schema(edition: pnc.Edition) -> None:
    from pilotwire.protocols.exi.grammar import grammar_of

    kinds = grammar_of(pnc.SCHEMAS[edition]).types
    (codes,) = [
        kind["values"] for kind in kinds if kind["kind"] == "enumeration" and "FAILED_SequenceError" in kind["values"]
    ]
    for verdict, code in pnc.RESPONSES[edition].items():
        assert code in codes
        assert pnc.Verdict(verdict).ok == code.startswith("OK")


@pytest.mark.parametrize("edition", ["iso2", "iso20"])
def test_what_is_said_to_be_signed_can_be_a_fragment(edition: pnc.Edition) -> None:
    from pilotwire.protocols.exi.grammar import grammar_of

    elements = {local for local, _ in grammar_of(pnc.SCHEMAS[edition]).fragment}
    for message, within in pnc.SIGNED[edition].items():
        assert elements.issuperset(within or (message,))


def test_a_message_without_its_parts_is_malformed() -> None:
    for message in ({}, {"PnC_AReqAuthorizationMode": {"GenChallenge": b""}}):
        with pytest.raises(SignatureError) as caught:
            pnc.parts_of("iso20", "AuthorizationReq", message)
        assert caught.value.code == "malformed"


def test_an_emaid_is_signed_in_the_form_of_the_standard_and_taken_in_both() -> None:
    """Its name has two types: the general grammar for fragments is right, codecs of the field take the type."""
    element = {"Id": "id4", "value": "DEPWRC00000002"}
    part = [Part("iso2", "eMAID", element)]
    signature = signed(part)
    digest = signature["SignedInfo"]["Reference"][0]["DigestValue"]
    general = bytes.fromhex("80ec0202b4b21a400411115415d490cc0c0c0c0c0c0c0cbd3d00")  # as an independent codec has it
    assert digest == hashlib.sha256(general).digest()
    check(signature, part, ISO2, verify)
    info = signature["SignedInfo"]
    info["Reference"][0]["DigestValue"] = hashlib.sha256(exi.encode_fragment("iso2", {"eMAID": element})).digest()
    signature["SignatureValue"]["value"] = stand_in(signed_bytes(info))
    check(signature, part, ISO2, verify)


@pytest.mark.parametrize("element", [{"Id": "id4"}, {"value": "x"}, "DE", {}])
def test_no_other_shape_has_a_general_form(element: Any) -> None:
    from pilotwire.protocols.exi.relaxed import encode_relaxed

    with pytest.raises(exi.EncodeError):
        encode_relaxed("iso2", {"eMAID": element})


SIGNED = {
    "iso2": [
        "AuthorizationReq", "CertificateInstallationReq", "CertificateUpdateReq", "ContractSignatureCertChain",
        "ContractSignatureEncryptedPrivateKey", "DHpublickey", "eMAID", "MeteringReceiptReq", "SalesTariff",
    ],
    "iso20-common": [
        "AbsolutePriceSchedule", "OEMProvisioningCertificateChain", "PnC_AReqAuthorizationMode", "PriceLevelSchedule",
        "SignedInstallationData", "SignedMeteringData",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("schema", "name"), [(schema, name) for schema in SIGNED for name in SIGNED[schema]])
def test_every_element_that_is_signed_in_v2g(schema: str, name: str) -> None:
    from tests.protocols.exi.exi_messages import Maker

    from pilotwire.protocols.exi.grammar import grammar_of

    grammar = grammar_of(schema)
    index = dict(grammar.fragment)[name]
    suite = ECDSA_SHA256 if schema == "iso2" else ECDSA_SHA512
    made = [Maker(grammar, seed, fullness=0).element(index) | {"Id": f"id{seed}"} for seed in (1, 2)]
    if name == "AuthorizationReq":
        made[0]["GenChallenge"], made[1]["GenChallenge"] = bytes(16), b"\x01" * 16
    parts = [Part(schema, name, one) for one in made]
    signature = signed(parts, suite)
    assert check(signature, parts, (suite,), verify) is suite
    assert check(signature, parts[::-1], (suite,), verify) is suite, "the order of the references does not matter"
    back = exi.decode_fragment(schema, exi.encode_fragment(schema, {name: made[0]}))[name]
    assert check(signature, [Part(schema, name, back), parts[1]], (suite,), verify) is suite
    for wrong in ([parts[0]], [parts[0], Part(schema, name, made[0] | {"Id": "id2"})], [parts[0], parts[0]]):
        with pytest.raises(SignatureError):
            check(signature, wrong, (suite,), verify)
