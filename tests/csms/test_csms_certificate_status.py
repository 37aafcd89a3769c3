"""Blocks A and M where somebody outside is asked, over real HTTP: OCSP responders, revocation lists, providers of
contracts, an authority of the operator's own."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509 import ocsp as x509_ocsp
from csms_kit import Client, World
from tests.crypto.est_server import EstServer

from pilotwire.core.time import to_datetime
from pilotwire.crypto import chains, est, pem, requests
from pilotwire.crypto.authority import Authority
from pilotwire.crypto.hash_data import hash_data
from pilotwire.csms.certificates.contracts import HttpContracts
from pilotwire.csms.certificates.signers import Est
from pilotwire.csms.certificates.status import Statuses

V2 = ("2.0.1", "2.1")
VERSIONS = ("1.6", *V2)


class Web:
    """A server that answers (method, path, body) with (status, body); what it was asked is kept."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes]] = []
        self.answer: Callable[[str, str, bytes], tuple[int, bytes]] = lambda method, path, body: (404, b"")
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                outer.asked.append((self.command, self.path, body))
                status, answer = outer.answer(self.command, self.path, body)
                self.send_response(status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_POST = do_GET

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Scene:
    """A central system that asks outside, a station, and the server outside."""

    def __init__(self, version: str, now: datetime | None = None) -> None:
        self.web = Web()
        self.world = World(vault=True)
        if now is not None:
            self.world.clock.run_until(int(now.timestamp() * 1000))
        self.world.account("CP1", organization="Netz AG")
        self.station: Client = self.world.station("CP1", version)
        self.station.boot()
        self.work: list[Coroutine[Any, Any, None]] = []
        desk = self.world.system.certificates
        assert desk.authority is not None
        self.authority: Authority = desk.authority
        self.statuses = Statuses(self.world.clock, self.work.append, desk.issuers, private=True)
        desk.statuses = self.statuses
        self.contracts = HttpContracts(self.web.url, "token", self.work.append)
        desk.contracts = self.contracts
        self.revoked: dict[int, datetime] = {}
        self.unknown: set[int] = set()

    @property
    def now(self) -> datetime:
        return to_datetime(self.world.clock.now())

    def certificate(self) -> tuple[int, dict[str, str]]:
        """(serial, as the wire names it) of a new one of our authority."""
        request = requests.read(requests.make(requests.new_key(), "CP1", "Netz AG"))
        leaf, issuing = self.authority.sign(request, "CP1", "Netz AG", now=self.now)
        data = hash_data(leaf, issuing)
        return int(data.serial_number, 16), {
            "hashAlgorithm": data.algorithm,
            "issuerNameHash": data.issuer_name_hash,
            "issuerKeyHash": data.issuer_key_hash,
            "serialNumber": data.serial_number,
        }

    def say(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """/ocsp and /crl as the authority would answer; anything else is not there."""
        if path == "/ocsp":
            status = lambda serial: self.revoked.get(serial, serial not in self.unknown)  # noqa: E731
            return 200, self.authority.say(body, status, now=self.now)
        if path == "/crl":
            return 200, self.authority.revocations(self.revoked, number=1, now=self.now)
        return 500, b"no"

    async def ask(self, action: str, body: dict[str, Any]) -> dict[str, Any]:
        """A CALL of the station, its answer after whoever is asked has answered."""
        message_id = self.station.send(action, body)
        self.world.run(100)
        while self.work:
            await self.work.pop(0)
        self.world.run(100)
        (answer,) = [frame for frame in self.station.frames if frame[1] == message_id]
        assert answer[0] == 3, answer
        return answer[2]


@pytest.fixture
async def scene() -> AsyncIterator[Callable[..., Scene]]:
    made: list[Scene] = []

    def make(version: str, now: datetime | None = None) -> Scene:
        made.append(Scene(version, now))
        made[-1].web.answer = made[-1].say
        return made[-1]

    yield make
    for one in made:
        await one.statuses.close()
        one.web.stop()


@pytest.mark.parametrize("version", V2)
async def test_the_answer_of_a_responder_is_passed_on_as_it_is(scene, version) -> None:
    one = scene(version)
    good, asked = one.certificate()
    bad, about_bad = one.certificate()
    one.revoked[bad] = one.now - timedelta(hours=1)
    for data, serial, said in ((asked, good, "GOOD"), (about_bad, bad, "REVOKED")):
        answer = await one.ask(
            "GetCertificateStatus", {"ocspRequestData": data | {"responderURL": f"{one.web.url}/ocsp"}}
        )
        assert answer["status"] == "Accepted"
        der = base64.b64decode(answer["ocspResult"], validate=True)
        read = x509_ocsp.load_der_ocsp_response(der)  # RFC 6960, in DER
        assert (read.serial_number, read.certificate_status.name) == (serial, said)
    method, path, question = one.web.asked[0]
    assert (method, path) == ("POST", "/ocsp")
    assert x509_ocsp.load_der_ocsp_request(question).serial_number == good
    await one.ask("GetCertificateStatus", {"ocspRequestData": asked | {"responderURL": f"{one.web.url}/ocsp"}})
    assert len(one.web.asked) == 2, "an answer is kept until its next update"


@pytest.mark.parametrize("version", V2)
async def test_no_answer_of_a_responder_is_a_failure(scene, version) -> None:
    one = scene(version)
    _, asked = one.certificate()
    foreign = asked | {"issuerKeyHash": "00" * 32}
    for data, url in (
        (asked, f"{one.web.url}/broken"),
        (asked, "http://127.0.0.1:1/"),
        (foreign, f"{one.web.url}/ocsp"),
    ):
        answer = await one.ask("GetCertificateStatus", {"ocspRequestData": data | {"responderURL": url}})
        assert answer["status"] == "Failed" and "ocspResult" not in answer
    assert [path for _, path, _ in one.web.asked] == ["/broken"], "nobody is asked whom we could not believe"
    one.web.answer = lambda method, path, body: (200, b"no OCSP")
    answer = await one.ask("GetCertificateStatus", {"ocspRequestData": asked | {"responderURL": f"{one.web.url}/ocsp"}})
    assert answer["status"] == "Failed"


async def test_a_chain_by_responders_and_lists(scene) -> None:
    """M07: each by the way that is asked for, from whichever address answers."""
    one = scene("2.1")
    serials, names = zip(*(one.certificate() for _ in range(6)), strict=True)
    one.revoked |= {serials[1]: one.now - timedelta(hours=1), serials[4]: one.now - timedelta(hours=1)}
    one.unknown.add(serials[2])
    broken, ocsp, crl = (f"{one.web.url}/{path}" for path in ("broken", "ocsp", "crl"))
    wanted = [
        ("OCSP", [broken, ocsp], "Good"),
        ("OCSP", [ocsp], "Revoked"),
        ("OCSP", [ocsp], "Unknown"),
        ("CRL", [crl], "Good"),
        ("CRL", [broken, crl], "Revoked"),
        ("OCSP", [broken], "Failed"),
    ]
    rows = [
        {"certificateHashData": name, "source": source, "urls": urls}
        for name, (source, urls, _) in zip(names, wanted, strict=True)
    ]
    for some in (rows[:4], rows[4:]):
        answer = await one.ask("GetCertificateChainStatus", {"certificateStatusRequests": some})
        said = answer["certificateStatus"]
        first = rows.index(some[0])
        assert [row["certificateHashData"] for row in said] == [row["certificateHashData"] for row in some]
        assert [row["source"] for row in said] == [row["source"] for row in some]
        assert [row["status"] for row in said] == [status for _, _, status in wanted[first : first + len(some)]]
        for row in said:
            later = datetime.fromisoformat(row["nextUpdate"]) - one.now
            days = {"OCSP": 0.5, "CRL": 7}[row["source"]] if row["status"] != "Failed" else 0
            assert abs(later - timedelta(days=days)) < timedelta(minutes=1)
    assert {path for method, path, _ in one.web.asked if method == "GET"} == {"/crl", "/broken"}
    lost = {"certificateHashData": names[3], "source": "CRL", "urls": [broken]}
    answer = await one.ask("GetCertificateChainStatus", {"certificateStatusRequests": [lost]})
    assert [row["status"] for row in answer["certificateStatus"]] == ["Failed"]


V2G2, V2G20 = "urn:iso:15118:2:2013:MsgDef", "urn:iso:std:iso:15118:-20:CommonMessages"


def contracts(*found: str) -> Callable[[str, str, bytes], tuple[int, bytes]]:
    """A pool that has these."""
    rows = [{"certificateInstallationRes": one} for one in found]
    return lambda method, path, body: (200, json.dumps({"CCPResponse": {"emaidContent": rows}}).encode())


@pytest.mark.parametrize("action", ["Install", "Update"])
@pytest.mark.parametrize("version", V2)
async def test_a_contract_is_fetched_from_the_pool(scene, version, action) -> None:
    one = scene(version)
    one.web.answer = contracts("RVhJ")
    body = {"iso15118SchemaVersion": V2G2, "action": action, "exiRequest": "gA=="}
    answer = await one.ask("Get15118EVCertificate", body)
    assert (answer["status"], answer["exiResponse"]) == ("Accepted", "RVhJ")
    ((method, path, sent),) = one.web.asked
    assert (method, path) == ("POST", "/signedcontractdata")
    name = "certificateInstallationReq" if action == "Install" else "certificateUpdateReq"
    assert json.loads(sent) == {name: "gA==", "xsdMsgDefNamespace": V2G2}
    one.web.answer = lambda method, path, body: (404, b"")
    answer = await one.ask("Get15118EVCertificate", body)
    assert answer["status"] == "Failed"


async def test_by_iso_15118_20_one_contract_comes_after_the_other(scene) -> None:
    """M01.FR.04, .07: the same request again brings the next, and says how many are left."""
    one = scene("2.1")
    one.web.answer = contracts("MQ==", "Mg==", "Mw==", "NA==")
    body = {
        "iso15118SchemaVersion": V2G20,
        "action": "Install",
        "exiRequest": "gA==",
        "maximumContractCertificateChains": 3,
    }
    told = [await one.ask("Get15118EVCertificate", body) for _ in range(3)]
    assert [(each["exiResponse"], each["remainingContracts"]) for each in told] == [
        ("MQ==", 2),
        ("Mg==", 1),
        ("Mw==", 0),
    ]
    assert len(one.web.asked) == 1
    other = await one.ask("Get15118EVCertificate", body | {"exiRequest": "gQ=="})
    assert (other["exiResponse"], other["remainingContracts"]) == ("MQ==", 2), "another car, another list"
    anew = await one.ask("Get15118EVCertificate", body)
    assert (anew["exiResponse"], len(one.web.asked)) == ("MQ==", 3)


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_authority_of_the_operators_own_signs(scene, version, tmp_path) -> None:
    """We sign nothing ourselves: the request goes there as it is, and what comes back goes to the station."""
    one = scene(version, datetime.now(UTC))
    csr = requests.make(requests.new_key(), "CP1", "Netz AG")
    with EstServer(tmp_path) as outside:
        server = est.Server(outside.url, user="csms", password="secret")
        signer = Est(server, one.work.append, trust=ssl.create_default_context(cafile=outside.ca_file))
        one.world.system.certificates._signers["ChargingStationCertificate"] = signer
        assert (await one.ask("SignCertificate", {"csr": csr}))["status"] == "Accepted"
        await signer.close()
    assert [path for _, path, _ in outside.asked] == ["/.well-known/est/simpleenroll"]
    (sent,) = [call[3] for call in one.station.calls if call[2] == "CertificateSigned"]
    leaf, sub = (chains.load(der) for der in pem.blocks(sent["certificateChain"]))
    assert chains.verify(leaf, [sub], [outside.root], one.now)
    assert requests.fingerprint(leaf.public_key()) == requests.read(csr).fingerprint


# -- certificates of stations -----------------------------------------------------------------------------------------
def shown(one: Scene, days: float, place: str) -> tuple[int, bytes]:
    """(serial, DER) of a station's certificate that says where it can be asked about: at /ocsp, or in the list /crl."""
    key = requests.new_key()
    request = requests.read(requests.make(key, "CP1", "Netz AG"))
    url = f"{one.web.url}/ocsp" if place == "ocsp" else ""
    der = one.authority.sign(request, "CP1", "Netz AG", now=one.now, days=days, ocsp_url=url)[0]
    certificate = chains.load(der)
    if place == "crl":
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(f"{one.web.url}/crl")], None, None, None)
        issuing = one.authority.issuing_key
        certificate = (
            x509.CertificateBuilder(
                certificate.issuer, certificate.subject, key.public_key(), certificate.serial_number,
                certificate.not_valid_before_utc, certificate.not_valid_after_utc, [],
            )
            .add_extension(x509.CRLDistributionPoints([point]), critical=False)
            .sign(issuing, requests.hash_for(issuing))
        )  # fmt: skip
    return certificate.serial_number, chains.der(certificate)


class Profile3:
    """A scene with a station of security profile 3, and the way to see whether it is in."""

    def __init__(self, one: Scene, version: str) -> None:
        self.one, self.version = one, version
        one.world.account("CP2", organization="Netz AG", security_profile=3, serial="CP1")
        self.client: Client | None = None

    async def come(self, der: bytes) -> int:
        """The status of the handshake; then whoever is asked has answered."""
        self.client = Client(self.one.world, "CP2", self.version, tls=True, user=None, password=None, certificate=der)
        self.client.dial()
        assert self.client.result is not None
        await self.settle()
        return self.client.result.status

    async def settle(self, seconds: float = 1) -> None:
        self.one.world.run(int(seconds * 1000))
        while self.one.work:
            await self.one.work.pop(0)
        self.one.world.run(1_000)

    @property
    def inside(self) -> bool:
        return self.client is not None and self.client.link is not None

    def leave(self) -> None:
        assert self.client is not None and self.client.link is not None
        self.client.link.close(1000, "")
        self.one.world.run()


@pytest.mark.parametrize("place", ["ocsp", "crl"])
@pytest.mark.parametrize("version", VERSIONS)
async def test_a_station_whose_certificate_was_revoked_is_hung_up_on_and_stays_out(scene, version, place) -> None:
    one = scene(version)
    station = Profile3(one, version)
    serial, der = shown(one, 30, place)
    assert await station.come(der) == 101 and station.inside
    one.revoked[serial] = one.now
    await station.settle(23 * 3600)
    assert station.inside is (place == "crl"), "an answer holds for as long as it says; a list for a week"
    if place == "crl":
        await station.settle(8 * 86_400)
    assert not station.inside
    assert station.client is not None and station.client.end == (1008, "its certificate was revoked")
    assert await station.come(der) == 403
    assert one.world.system.counters.rejected == {"revoked-certificate": 1}
    _, new = shown(one, 30, place)
    assert await station.come(new) == 101 and station.inside


@pytest.mark.parametrize("version", VERSIONS)
async def test_who_cannot_be_asked_keeps_no_station_out(scene, version) -> None:
    one = scene(version)
    station = Profile3(one, version)
    serial, der = shown(one, 30, "ocsp")
    one.unknown.add(serial)
    assert await station.come(der) == 101 and station.inside
    station.leave()
    one.web.answer = lambda method, path, body: (500, b"broken")
    one.statuses.answers = type(one.statuses.answers)()
    assert await station.come(der) == 101 and station.inside
    asked = len(one.web.asked)
    station.leave()
    nowhere, foreign = shown(one, 30, "")[1], Authority.new("Pilotwire", now=one.now)
    assert foreign.issuing.subject == one.authority.issuing.subject, "of the same name, with another key"
    request = requests.read(requests.make(requests.new_key(), "CP1", "Netz AG"))
    other = foreign.sign(request, "CP1", "Netz AG", now=one.now, ocsp_url=f"{one.web.url}/ocsp")[0]
    for shows in (nowhere, other):  # no address; nobody who could be believed
        assert await station.come(shows) == 101 and station.inside
        station.leave()
    assert len(one.web.asked) == asked
