"""The PKI of a provider of contracts for vehicles: a root, a sub-authority that signs contracts, and a responder that
is asked whether one was revoked (OCSP over HTTP)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from pilotwire.crypto.hash_data import hash_data


class Made:
    """A certificate with its key."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, issuer: Made | None) -> None:
        self.certificate, self.key, self.issuer = certificate, key, issuer or self

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)


class ContractPki:
    """See the module. `asked`: the serial numbers that the responder was asked about, in order."""

    def __init__(self, url: str, now: datetime | None = None) -> None:
        self.url, self._now = url, now or datetime.now(UTC)
        self.asked: list[int] = []
        self.revoked: set[int] = set()
        self._by_serial: dict[int, Made] = {}
        self.root = self._make("MO Root", None, authority=True)
        self.sub = self._make("MO Sub 2", self.root, authority=True)

    def contract(self, emaid: str, *, revoked: bool = False) -> Made:
        """A contract's certificate."""
        made = self._make(emaid, self.sub)
        if revoked:
            self.revoked.add(made.certificate.serial_number)
        return made

    def _make(self, name: str, issuer: Made | None, *, authority: bool = False) -> Made:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = self._now
        usage = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "encipher_only", "decipher_only"), False
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.certificate.subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=not authority,
                    key_agreement=not authority,
                    key_cert_sign=authority,
                    crl_sign=authority,
                    **usage,
                ),
                critical=True,
            )
        )
        if issuer is not None:
            where = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(self.url))
            builder = builder.add_extension(x509.AuthorityInformationAccess([where]), critical=False)
        certificate = builder.sign(issuer.key if issuer else key, hashes.SHA256())
        made = Made(certificate, key, issuer)
        self._by_serial[certificate.serial_number] = made
        return made

    def asks(self, *of: Made) -> list[dict[str, Any]]:
        """OCSPRequestDataType of each."""
        rows: list[dict[str, Any]] = []
        for one in of:
            data = hash_data(one.der, one.issuer.der)
            rows.append(
                {
                    "hashAlgorithm": data.algorithm,
                    "issuerNameHash": data.issuer_name_hash,
                    "issuerKeyHash": data.issuer_key_hash,
                    "serialNumber": data.serial_number,
                    "responderURL": self.url,
                }
            )
        return rows

    def answer(self, question: bytes) -> bytes:
        """What the responder says: of what it does not know, that it may not be asked."""
        asked = ocsp.load_der_ocsp_request(question)
        self.asked.append(asked.serial_number)
        made = self._by_serial.get(asked.serial_number)
        if made is None:
            built = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.UNAUTHORIZED)
            return built.public_bytes(serialization.Encoding.DER)
        now, gone = datetime.now(UTC), asked.serial_number in self.revoked
        response = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                cert=made.certificate,
                issuer=made.issuer.certificate,
                algorithm=hashes.SHA256(),
                cert_status=ocsp.OCSPCertStatus.REVOKED if gone else ocsp.OCSPCertStatus.GOOD,
                this_update=now - timedelta(minutes=1),
                next_update=now + timedelta(hours=1),
                revocation_time=now - timedelta(days=1) if gone else None,
                revocation_reason=x509.ReasonFlags.key_compromise if gone else None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, made.issuer.certificate)
        )
        return response.sign(made.issuer.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


@contextmanager
def running() -> Iterator[ContractPki]:
    """The PKI, with its responder on loopback."""
    pki: ContractPki

    class Responder(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = pki.answer(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-type", "application/ocsp-response")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Responder) as server:
        pki = ContractPki(f"http://127.0.0.1:{server.server_address[1]}/ocsp")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield pki
        finally:
            server.shutdown()
            thread.join()
