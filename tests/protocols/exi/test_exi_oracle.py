"""Byte for byte what the Java codec of PyPI `iso15118` writes: every element of every schema, and what is signed."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.protocols.exi.exi_messages import Maker, NotMade, xml

import compile_exi
from pilotwire.protocols import exi
from pilotwire.protocols.exi.grammar import grammar_of

SIGNED = {
    "xmldsig": ["SignedInfo"],
    "iso2": [
        "AuthorizationReq", "CertificateInstallationReq", "CertificateUpdateReq", "ContractSignatureCertChain",
        "ContractSignatureEncryptedPrivateKey", "DHpublickey", "MeteringReceiptReq", "SalesTariff", "SignedInfo",
    ],
    "iso20-common": [
        "AbsolutePriceSchedule", "OEMProvisioningCertificateChain", "PnC_AReqAuthorizationMode", "PriceLevelSchedule",
        "SignedInstallationData", "SignedMeteringData",
    ],
}  # fmt: skip
"""Not `eMAID` of ISO 15118-2: an element of that name is declared with two types, for which the Java codec takes the
general grammar of fragments; what is signed in the field has the type with the Id."""


def test_the_tables_are_those_of_the_schemas(schemas: Path) -> None:
    for name, text in compile_exi.compiled(schemas).items():
        assert (compile_exi.TARGET / name).read_text() == text, f"{name}: python tools/compile_exi.py {schemas}"


@pytest.mark.parametrize("schema", exi.SCHEMAS)
def test_every_element_of_the_schema(java, schema: str) -> None:
    grammar = grammar_of(schema)
    same = 0
    for number, (local, index) in enumerate(grammar.document):
        maker = Maker(grammar, number, fullness=(0, 0.5, 1)[number % 3])
        try:
            value = maker.element(index)
        except NotMade:
            continue
        ours = exi.encode(schema, {local: value})
        theirs = java.encode(compile_exi.ROOTS[schema], xml(grammar, local, grammar.namespaces[local], index, value))
        assert ours == theirs, f"{local}: {ours.hex()} and not {theirs.hex()}"
        same += 1
    assert same > len(grammar.document) * 0.6


@pytest.mark.parametrize(("schema", "local"), [(schema, local) for schema in SIGNED for local in SIGNED[schema]])
def test_what_is_signed(java, schema: str, local: str) -> None:
    grammar = grammar_of(schema)
    index = dict(grammar.fragment)[local]
    for seed in range(3):
        value = Maker(grammar, seed, fullness=(0, 0.5, 1)[seed]).element(index)
        ours = exi.encode_fragment(schema, {local: value})
        text = xml(grammar, local, grammar.fragment_namespaces[local], index, value)
        assert ours == java.encode(compile_exi.ROOTS[schema], text, fragment=True)
        assert exi.decode_fragment(schema, ours) == {local: value}
