"""Signatures of messages: XML-DSIG over EXI fragments (ISO 15118-2 7.9.2.4 and annex J, ISO 15118-20 7.9.2.4).

The digest of each signed element is taken of its EXI fragment in the message's schema; what is signed is the fragment
of SignedInfo in the schema of XML signatures. No key is known here: who signs or checks is a function that gets bytes.

    parts = [Part("iso2", "AuthorizationReq", {"Id": "id1", "GenChallenge": challenge})]
    header["Signature"] = sign(parts, ECDSA_SHA256, car.sign)
    check(header["Signature"], parts, ISO2, lambda suite, data, value: station.verify(leaf, suite, data, value))

A `Signature` element is a dict as `protocols.exi` reads and writes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, cast

from pilotwire.core.errors import RemoteError
from pilotwire.protocols import exi
from pilotwire.protocols.exi.codec import Message
from pilotwire.protocols.exi.relaxed import encode_relaxed

EXI_CANONICAL: Final = "http://www.w3.org/TR/canonical-exi/"
MOST_REFERENCES: Final = 4
"""CertificateInstallationRes of ISO 15118-2 has four, all others have fewer."""

Sign = Callable[[bytes], bytes]
"""Hashes and signs these bytes; returns r and s, each as long as the field, one behind the other."""


class Suite(NamedTuple):
    """A signature algorithm with the digest that goes with it."""

    name: str
    signature: str
    """Identifier of the signature algorithm."""
    digest: str
    """Identifier of the digest algorithm."""
    hash: str
    """hashlib's name of it."""
    size: int
    """Bytes of a signature."""

    def digest_of(self, data: bytes) -> bytes:
        """Digest of an EXI fragment."""
        made = hashlib.new(self.hash, data, usedforsecurity=True)
        return cast(Any, made).digest(64) if self.hash == "shake_256" else made.digest()


_DSIG = "http://www.w3.org/2001/04/xmldsig-more#"
_ENC = "http://www.w3.org/2001/04/xmlenc#"
ECDSA_SHA256: Final = Suite("ecdsa-sha256", f"{_DSIG}ecdsa-sha256", f"{_ENC}sha256", "sha256", 64)
"""ISO 15118-2: P-256."""
ECDSA_SHA512: Final = Suite("ecdsa-sha512", f"{_DSIG}ecdsa-sha512", f"{_ENC}sha512", "sha512", 132)
"""ISO 15118-20: P-521."""
ED448: Final = Suite(
    "ed448",
    "urn:iso:std:iso:15118:-20:Security:xmldsig#Ed448",
    "urn:iso:std:iso:15118:-20:Security:xmlenc#SHAKE256",
    "shake_256",
    114,
)
"""ISO 15118-20, the alternative. How long its digest is was nowhere to be read; 64 bytes are assumed."""

ISO2: Final = (ECDSA_SHA256,)
ISO20: Final = (ECDSA_SHA512, ED448)

Verify = Callable[[Suite, bytes, bytes], bool]
"""Whether (suite, what was signed, signature) are right."""


class Part(NamedTuple):
    """An element that is signed: its EXI schema, its local name, its value with an `Id`."""

    schema: str
    name: str
    element: Message


class SignatureError(RemoteError):
    """The signature is not right; `code`: missing, malformed, algorithm, reference, digest or signature."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def sign(parts: Sequence[Part], suite: Suite, key: Sign) -> Message:
    """The `Signature` of these elements, for the message's header. Raises EncodeError for what the schema has not."""
    info: Message = {
        "CanonicalizationMethod": {"Algorithm": EXI_CANONICAL},
        "SignatureMethod": {"Algorithm": suite.signature},
        "Reference": [_reference(part, suite) for part in parts],
    }
    return {"SignedInfo": info, "SignatureValue": {"value": key(signed_bytes(info))}}


def check(signature: object, parts: Sequence[Part], suites: Sequence[Suite], verify: Verify) -> Suite:
    """The suite of a signature that covers exactly these elements. Raises SignatureError.

    `signature` is the header's (None: there is none). Of ISO 15118-20 both forms of SignedInfo are taken that are in
    the field, the fragment in the schema of XML signatures and that in the messages' own.
    """
    if not isinstance(signature, dict):
        raise SignatureError("missing", "the message is not signed")
    try:
        info = cast(Message, signature)["SignedInfo"]
        value = cast(bytes, signature["SignatureValue"]["value"])
        suite = _suite(info, suites)
        references = cast(list[Message], info["Reference"])
        if len(references) > MOST_REFERENCES:
            raise SignatureError("reference", f"{len(references)} references; {MOST_REFERENCES} are the most")
        found = {str(one["URI"]): one for one in references}
        wanted = {f"#{part.element['Id']}": part for part in parts}
    except (KeyError, TypeError) as error:
        raise SignatureError("malformed", f"the signature lacks {error}") from None
    if len(found) != len(references) or len(wanted) != len(parts) or found.keys() != wanted.keys():
        told = ", ".join(sorted(found)) or "nothing"
        raise SignatureError("reference", f"signed is {told} and not {', '.join(sorted(wanted))}, once each")
    for uri, part in wanted.items():
        _check_reference(found[uri], part, suite)
    if len(value) != suite.size:
        raise SignatureError("signature", f"{len(value)} bytes of signature, not {suite.size}")
    schemas = ["xmldsig", *sorted({part.schema for part in parts if part.schema.startswith("iso20")})]
    if not any(verify(suite, signed_bytes(info, schema), value) for schema in schemas):
        raise SignatureError("signature", "the signature is not by the key that is in the certificate")
    return suite


def signed_bytes(info: Message, schema: str = "xmldsig") -> bytes:
    """What is signed: the EXI fragment of SignedInfo. Raises SignatureError("malformed")."""
    try:
        return exi.encode_fragment(schema, {"SignedInfo": info})
    except exi.EncodeError as error:
        raise SignatureError("malformed", str(error)) from error


def _reference(part: Part, suite: Suite) -> Message:
    return {
        "URI": f"#{part.element['Id']}",
        "Transforms": {"Transform": [{"Algorithm": EXI_CANONICAL}]},
        "DigestMethod": {"Algorithm": suite.digest},
        "DigestValue": suite.digest_of(_fragments(part)[0]),
    }


def _suite(info: Message, suites: Sequence[Suite]) -> Suite:
    form, method = info["CanonicalizationMethod"]["Algorithm"], info["SignatureMethod"]["Algorithm"]
    suite = next((one for one in suites if one.signature == method), None)
    if form != EXI_CANONICAL or suite is None:
        raise SignatureError("algorithm", f"signed as {method} over {form}, which is not what the standard has")
    return suite


def _check_reference(reference: Message, part: Part, suite: Suite) -> None:
    try:
        (transform,) = reference["Transforms"]["Transform"]
        named = transform["Algorithm"], reference["DigestMethod"]["Algorithm"]
    except (KeyError, TypeError, ValueError):
        raise SignatureError("malformed", f"one transform is wanted in the reference to {part.name}") from None
    if named != (EXI_CANONICAL, suite.digest):
        raise SignatureError("algorithm", f"the digest of {part.name} is {named[1]} over {named[0]}")
    try:
        fragments = _fragments(part)
    except exi.EncodeError as error:
        raise SignatureError("malformed", str(error)) from error
    if reference.get("DigestValue") not in [suite.digest_of(one) for one in fragments]:
        raise SignatureError("digest", f"{part.name} is not what was signed")


def _fragments(part: Part) -> list[bytes]:
    """The forms of an element that digests are made of, that of the EXI standard first."""
    message = {part.name: part.element}
    typed = exi.encode_fragment(part.schema, message)
    # Two types of ISO 15118-2 are called eMAID. Codecs that are generated for V2G take the signed one regardless.
    if (part.schema, part.name) == ("iso2", "eMAID"):
        return [encode_relaxed(part.schema, message), typed]
    return [typed]
