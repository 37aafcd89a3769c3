"""Against PyPI `iso15118`: what we sign and wrap it checks and opens, and the other way round."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.crypto.pnc.test_crypto_pnc_installing import MS, opened, request_of

from pilotwire.crypto.pnc import transport
from pilotwire.crypto.pnc.keys import Wrapped, new_key
from pilotwire.crypto.pnc.station import Station
from pilotwire.crypto.pnc.trust import Trust
from pilotwire.protocols import exi
from pilotwire.protocols.exi.relaxed import encode_relaxed
from pilotwire.protocols.iso15118 import pnc
from pilotwire.protocols.iso15118.signature import ECDSA_SHA256, Part, SignatureError, sign

PYTHON = Path(sys.prefix) / "iso15118" / "bin" / "python"
CHALLENGE = bytes(range(16))


class Peer:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, do: str, **arguments: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "answer" in answer, answer
        return answer["answer"]


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    script = str(Path(__file__).with_name("pypi_peer.py"))
    with subprocess.Popen(
        [str(PYTHON), script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=tmp_path_factory.mktemp("peer"),
        env={"PATH": "/usr/bin:/bin"},
    ) as process:
        yield Peer(process)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(20)


def authorization(signature: object) -> bytes:
    header = {"SessionID": bytes(8), "Signature": signature}
    body = {"AuthorizationReq": {"Id": "id1", "GenChallenge": CHALLENGE}}
    return exi.encode("iso2", {"V2G_Message": {"Header": header, "Body": body}})


def test_our_signature_verifies_there(peer: Peer, pkis, vehicle) -> None:
    car = vehicle("iso2")
    request = {"Id": "id1", "GenChallenge": CHALLENGE}
    message = authorization(pnc.signed_by_contract(car, "iso2", "AuthorizationReq", request)).hex()
    assert peer("verify", exi=message, leaf=car.chain("iso2")[0].hex()) is True
    assert peer("verify", exi=message, leaf=pkis["iso2"]["oem"].certificate.hex()) is False


def test_their_signature_verifies_here(peer: Peer, pkis) -> None:
    own = pkis["iso2"]
    answer = peer("sign_authorization", key=own["contract"].key.secret_pem(), challenge=CHALLENGE.hex())
    message = exi.decode("iso2", bytes.fromhex(answer))["V2G_Message"]
    request = message["Body"]["AuthorizationReq"]
    assert request == {"Id": "id1", "GenChallenge": CHALLENGE}
    station = Station(own.trust())
    signature = message["Header"]["Signature"]
    pnc.check_signed(station, "iso2", "AuthorizationReq", request, signature, own["contract"].certificate)
    with pytest.raises(SignatureError):
        pnc.check_signed(station, "iso2", "AuthorizationReq", request, signature, own["oem"].certificate)


def test_their_installation_request_is_answered_and_they_open_the_answer(peer: Peer, pkis, vehicle, service) -> None:
    own = pkis["iso2"]
    pem = own["oem"].key.secret_pem()
    asked = bytes.fromhex(peer("sign_installation", key=pem, certificate=own["oem"].certificate.hex()))
    answer = service("iso2").answer("iso2", asked, MS)
    body, _ = opened("iso2", answer)
    secret = bytes.fromhex(peer("open_answer", exi=answer.hex(), key=pem))
    ours = own["oem"].key.open(
        Wrapped(body["DHpublickey"]["value"], body["ContractSignatureEncryptedPrivateKey"]["value"])
    )
    assert secret == ours.secret()
    parts = ["contract_cert_chain", "encrypted_private_key", "dh_public_key", "emaid"]
    relaxed = encode_relaxed("iso2", {"eMAID": body["eMAID"]})
    assert peer("fragment_of", exi=answer.hex(), part="emaid") == relaxed.hex()
    assert peer("verify_answer", exi=answer.hex(), parts=parts) is True
    ours_asked = request_of(vehicle("iso2", contract=False), "iso2")
    assert peer("verify", exi=ours_asked.hex(), leaf=own["oem"].certificate.hex()) is True


def test_what_they_wrap_opens_here_and_ours_there(peer: Peer, pkis) -> None:
    own = pkis["iso2"]
    contract = new_key("p256", random.Random(77).randbytes)
    public, data = peer("wrap", certificate=own["oem"].certificate.hex(), key=contract.secret_pem())
    found = own["oem"].key.open(Wrapped(bytes.fromhex(public), bytes.fromhex(data)))
    assert found.secret() == contract.secret()
    packet = transport.wrapped(contract, own["oem"].key.point, "p256", random.Random(78).randbytes)
    pem = own["oem"].key.secret_pem()
    assert peer("unwrap", key=pem, public=packet.public.hex(), data=packet.data.hex()) == contract.secret().hex()


def test_authorization_of_20_as_they_sign_it(peer: Peer, pkis) -> None:
    """With the keys and hashes of -2: taken where the station's trust says so."""
    own = pkis["iso2"]
    chain = own["contract"].chain
    answer = peer(
        "sign_authorization_20",
        key=own["contract"].key.secret_pem(), challenge=CHALLENGE.hex(), chain=[one.hex() for one in chain],
    )  # fmt: skip
    request = exi.decode("iso20-common", bytes.fromhex(answer))["AuthorizationReq"]
    trust = Trust(**own.roots(), kinds={"iso20": ("p521", "ed448", "p256")})  # type: ignore[arg-type]
    station = Station(trust)
    shown = pnc.chain_of(request["PnC_AReqAuthorizationMode"]["ContractCertificateChain"])
    assert station.contract("iso20", shown, "", MS).ok
    pnc.check_signed(station, "iso20", "AuthorizationReq", request, request["Header"]["Signature"], shown[0])


def test_authorization_of_20_as_they_take_it(peer: Peer, pkis) -> None:
    own = pkis["iso2"]
    chain = own["contract"].chain
    data = {"Id": "id1", "GenChallenge": CHALLENGE, "ContractCertificateChain": pnc.chain_element(chain)}
    signature = sign([Part("iso20-common", "PnC_AReqAuthorizationMode", data)], ECDSA_SHA256, own["contract"].key.sign)
    header = {"SessionID": bytes(8), "TimeStamp": 1, "Signature": signature}
    request = {"Header": header, "SelectedAuthorizationService": "PnC", "PnC_AReqAuthorizationMode": data}
    message = exi.encode("iso20-common", {"AuthorizationReq": request})
    assert peer("verify_20", exi=message.hex(), leaf=chain[0].hex()) is True
    assert peer("verify_20", exi=message.hex(), leaf=own["oem"].certificate.hex()) is False
