"""The authority of the installation: a root that signs one sub-authority, which signs the stations of a first
deployment. Whoever has a PKI of their own asks that one by EST instead (`pilotwire.crypto.est`).

The root is needed to renew the sub-authority and for nothing else; both keys are kept in the vault as one text
(`keep`, `Authority.taken_up`). Stations' certificates follow A00.FR.5xx: CN the serial number or identity, O the
operator, a key of at least 112 bits, key usage digitalSignature, no extended key usage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from . import pem
from .chains import der, load
from .requests import Key, Request, hash_for, key_text, new_key, read_key

_BACKDATED = timedelta(hours=1)
"""Stations' clocks lag."""
ROOT_YEARS = 20
ISSUING_YEARS = 10
STATION_DAYS = 365


class Kept(msgspec.Struct, frozen=True):
    """What goes into the vault: PEM texts."""

    root: str
    root_key: str
    issuing: str
    issuing_key: str


_read_kept = msgspec.json.Decoder(Kept)


@dataclass(frozen=True)
class Authority:
    """A root with its sub-authority and both keys."""

    root: x509.Certificate
    root_key: Key
    issuing: x509.Certificate
    issuing_key: Key

    @classmethod
    def new(cls, organization: str, *, now: datetime, kind: str = "ec-p256", name: str = "Station") -> Authority:
        """A new one with keys of a kind of `requests.KINDS`."""
        root_key = new_key(kind)
        root_name = _name(f"{organization} {name} Root", organization)
        root = (
            _builder(root_name, root_name, root_key.public_key(), now, timedelta(days=ROOT_YEARS * 365))
            .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .sign(root_key, hash_for(root_key))
        )
        return cls._with_issuing(root, root_key, organization, now, kind, name)

    @classmethod
    def _with_issuing(
        cls, root: x509.Certificate, root_key: Key, organization: str, now: datetime, kind: str, name: str
    ) -> Authority:
        key = new_key(kind)
        life = min(timedelta(days=ISSUING_YEARS * 365), root.not_valid_after_utc - now)
        issuing = (
            _builder(_name(f"{organization} {name} CA", organization), root.subject, key.public_key(), now, life)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
            .sign(root_key, hash_for(root_key))
        )
        return cls(root, root_key, issuing, key)

    def renewed(self, *, now: datetime, kind: str = "ec-p256") -> Authority:
        """With a new sub-authority under the same root: stations go on trusting what they trust."""
        organization = _value(self.root.subject, NameOID.ORGANIZATION_NAME)
        common_name = _value(self.issuing.subject, NameOID.COMMON_NAME)
        name = common_name.removeprefix(organization).removesuffix("CA").strip() or "Station"
        return self._with_issuing(self.root, self.root_key, organization, now, kind, name)

    # -- keeping ------------------------------------------------------------------------------------------------------
    def keep(self) -> str:
        """All of it as text, for the vault."""
        kept = Kept(
            pem.text([der(self.root)]),
            key_text(self.root_key),
            pem.text([der(self.issuing)]),
            key_text(self.issuing_key),
        )
        return msgspec.json.encode(kept).decode()

    @classmethod
    def taken_up(cls, text: str) -> Authority:
        """What `keep` gave. Raises ValueError (msgspec's among them) and RemoteError for what is not that."""
        kept = _read_kept.decode(text)
        return cls(
            load(pem.one(kept.root)),
            read_key(kept.root_key),
            load(pem.one(kept.issuing)),
            read_key(kept.issuing_key),
        )

    # -- signing ------------------------------------------------------------------------------------------------------
    def sign(
        self,
        request: Request,
        common_name: str,
        organization: str,
        *,
        now: datetime,
        days: float = STATION_DAYS,
        ocsp_url: str = "",
    ) -> list[bytes]:
        """The station's certificate and the sub-authority's (DER): what CertificateSigned carries.

        The names are the caller's, never the request's: what was asked for has been judged before. The certificate
        never outlives the sub-authority.
        """
        public = x509.load_der_x509_csr(request.der).public_key()
        life = min(timedelta(days=days), self.issuing.not_valid_after_utc - now)
        builder = (
            _builder(_name(common_name, organization), self.issuing.subject, public, now, life)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(encipher=isinstance(public, rsa.RSAPublicKey)), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.issuing_key.public_key()), critical=False
            )
        )
        if ocsp_url:
            where = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(ocsp_url))
            builder = builder.add_extension(x509.AuthorityInformationAccess([where]), critical=False)
        return [der(builder.sign(self.issuing_key, hash_for(self.issuing_key))), der(self.issuing)]

    # -- saying what was revoked --------------------------------------------------------------------------------------
    def revocations(self, revoked: Mapping[int, datetime], *, number: int, now: datetime, days: int = 7) -> bytes:
        """A CRL (DER) of these serials, revoked at these times."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.issuing.subject)
            .last_update(now)
            .next_update(now + timedelta(days=days))
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.issuing_key.public_key()), critical=False
            )
        )
        for serial, at in revoked.items():
            one = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at).build()
            builder = builder.add_revoked_certificate(one)
        return builder.sign(self.issuing_key, hash_for(self.issuing_key)).public_bytes(serialization.Encoding.DER)

    def say(
        self,
        request: bytes,
        status: Callable[[int], datetime | bool],
        *,
        now: datetime,
        life: timedelta = timedelta(hours=12),
    ) -> bytes:
        """An OCSP response (DER) to a request of one certificate.

        `status(serial)`: the time of its revocation, True where it is good, False where it is unknown.
        """
        try:
            asked = ocsp.load_der_ocsp_request(request)
            algorithm = asked.hash_algorithm
        except (ValueError, NotImplementedError):
            return _bytes(ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.MALFORMED_REQUEST))
        ours = ocsp.OCSPRequestBuilder().add_certificate(self.issuing, self.issuing, algorithm).build()
        if asked.issuer_key_hash != ours.issuer_key_hash:
            return _bytes(ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.UNAUTHORIZED))
        found = status(asked.serial_number)
        revoked = found if isinstance(found, datetime) else None
        if revoked is not None:
            verdict = ocsp.OCSPCertStatus.REVOKED
        else:
            verdict = ocsp.OCSPCertStatus.GOOD if found else ocsp.OCSPCertStatus.UNKNOWN
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response_by_hash(
                issuer_name_hash=asked.issuer_name_hash,
                issuer_key_hash=asked.issuer_key_hash,
                serial_number=asked.serial_number,
                algorithm=algorithm,
                cert_status=verdict,
                this_update=now,
                next_update=now + life,
                revocation_time=revoked,
                revocation_reason=None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, self.issuing)
        )
        nonce = _nonce(asked)
        if nonce is not None:
            builder = builder.add_extension(nonce, critical=False)
        return _bytes(builder.sign(self.issuing_key, hash_for(self.issuing_key)))


def _nonce(request: ocsp.OCSPRequest) -> x509.OCSPNonce | None:
    try:
        return request.extensions.get_extension_for_class(x509.OCSPNonce).value
    except (x509.ExtensionNotFound, ValueError):
        return None


def _bytes(response: ocsp.OCSPResponse) -> bytes:
    return response.public_bytes(serialization.Encoding.DER)


def _builder(
    name: x509.Name, issuer: x509.Name, public: object, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(public)  # type: ignore[arg-type]
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)  # type: ignore[arg-type]
    )


def _name(common_name: str, organization: str) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


def _value(name: x509.Name, oid: x509.ObjectIdentifier) -> str:
    found = name.get_attributes_for_oid(oid)
    return str(found[0].value) if found else ""


def _usage(*, authority: bool = False, encipher: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,  # authorities sign OCSP answers
        content_commitment=False,
        key_encipherment=encipher,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def anchors(certificates: Iterable[str]) -> list[x509.Certificate]:
    """The certificates in PEM texts, each text holding any number."""
    return [load(one) for text in certificates for one in pem.blocks(text, at_most=500)]
