"""An EST server (RFC 7030) over real TLS, written on `cryptography` and the standard library alone, to try our client
against something that is not ours: it signs with an own CA, answers PKCS #7, says 202 when told to."""

from __future__ import annotations

import base64
import ssl
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID


class EstServer:
    """`url`, `ca_file` (what clients trust) and `client` (a chain and key that it takes) between start and stop."""

    def __init__(self, folder: Path, *, password: str = "secret", want_certificate: bool = False) -> None:
        self.folder = folder
        self.password = password
        self.asked: list[tuple[str, str, str]] = []
        self.wait: list[int] = []
        """Answers 202 with these Retry-After first."""
        self.refuse = 0
        self.garbage = b""
        self.wrong_key = False
        self.bare = False
        """DER instead of Base64."""
        self.root_key, self.sub_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        self.root = self._sign("EST Root", None, self.root_key.public_key(), self.root_key, ca=True)
        self.sub = self._sign("EST Sub", self.root, self.sub_key.public_key(), self.root_key, ca=True)
        key = ec.generate_private_key(ec.SECP256R1())
        server = self._sign("localhost", self.root, key.public_key(), self.root_key, names=["localhost"])
        self.ca_file = self._write("ca.pem", self.root)
        chain = self._write("server.pem", server)
        key_file = self._write_key("server.key", key)
        client_key = ec.generate_private_key(ec.SECP256R1())
        client = self._sign("ra", self.root, client_key.public_key(), self.root_key)
        self.client = (self._write("client.pem", client), self._write_key("client.key", client_key))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key_file)
        if want_certificate:
            context.load_verify_locations(self.ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.get(self)

            def do_POST(self) -> None:
                outer.post(self)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self.url = f"https://localhost:{self._http.server_address[1]}"

    def __enter__(self) -> EstServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    # -- the protocol -------------------------------------------------------------------------------------------------
    def get(self, on: BaseHTTPRequestHandler) -> None:
        self.asked.append(("GET", on.path, ""))
        if on.path.endswith("/cacerts"):
            self._send(on, [self.sub, self.root])
        else:
            on.send_error(404)

    def post(self, on: BaseHTTPRequestHandler) -> None:
        body = on.rfile.read(int(on.headers["content-length"]))
        self.asked.append(("POST", on.path, on.headers["content-type"]))
        expected = "Basic " + base64.b64encode(f"csms:{self.password}".encode()).decode()
        if on.headers["authorization"] != expected:
            on.send_response(401)
            on.send_header("www-authenticate", 'Basic realm="est"')
            on.send_header("content-length", "0")
            on.end_headers()
            return
        if self.wait:
            on.send_response(202)
            on.send_header("retry-after", str(self.wait.pop(0)))
            on.send_header("content-length", "0")
            on.end_headers()
            return
        if self.refuse:
            on.send_response(self.refuse)
            on.send_header("content-type", "text/plain")
            text = b"the CN is not ours"
            on.send_header("content-length", str(len(text)))
            on.end_headers()
            on.wfile.write(text)
            return
        request = x509.load_der_x509_csr(base64.b64decode(body))
        key = ec.generate_private_key(ec.SECP256R1()).public_key() if self.wrong_key else request.public_key()
        leaf = self._sign(None, self.sub, key, self.sub_key, subject=request.subject)
        self._send(on, [self.sub, leaf, self.root])

    def _send(self, on: BaseHTTPRequestHandler, certificates: list[x509.Certificate]) -> None:
        data = self.garbage or pkcs7.serialize_certificates(certificates, serialization.Encoding.DER)
        if not self.bare and not self.garbage:
            data = base64.encodebytes(data)
        on.send_response(200)
        on.send_header("content-type", "application/pkcs7-mime; smime-type=certs-only")
        on.send_header("content-transfer-encoding", "base64")
        on.send_header("content-length", str(len(data)))
        on.end_headers()
        on.wfile.write(data)

    # -- the authority ------------------------------------------------------------------------------------------------
    def _sign(self, name, issuer, public, key, *, ca=False, names=(), subject=None) -> x509.Certificate:
        now = datetime.now(UTC)
        subject = subject or x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.subject if issuer else subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=90))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
        return builder.sign(key, hashes.SHA256())

    def _write(self, name: str, certificate: x509.Certificate) -> Path:
        path = self.folder / name
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return path

    def _write_key(self, name: str, key: ec.EllipticCurvePrivateKey) -> Path:
        path = self.folder / name
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return path
