"""Fuzzes what Plug & Charge takes from strangers: certificates, chains, signatures, installation requests and answers.

    python fuzz/fuzz_pnc.py [--seconds 60] [corpus directory] [libFuzzer options]

The first byte picks who is spoken to, the second a good input of his, the rest is laid over that: pairs of place and
value. A verdict, or the error that is said to come, comes out, and never a contract by what was changed.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime

import atheris
from target import run

with atheris.instrument_imports(include=["pilotwire"]):
    from pilotwire.crypto.chains import ChainError
    from pilotwire.crypto.pnc import pki
    from pilotwire.crypto.pnc.extensions import see
    from pilotwire.crypto.pnc.provisioning import Provisioning, Refused, TestOperator
    from pilotwire.crypto.pnc.station import Station
    from pilotwire.crypto.pnc.trust import Trust
    from pilotwire.crypto.pnc.vehicle import Identity, Vehicle
    from pilotwire.protocols import exi
    from pilotwire.protocols.iso15118 import pnc
    from pilotwire.protocols.iso15118.signature import SignatureError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MS = int(NOW.timestamp() * 1000)
PKI = pki.make("iso2", random=random.Random(1).randbytes, now=NOW)
ROOTS = PKI.roots()
# Without the sub-authorities that it knows of itself: they would make good what is changed in the chain.
STATION = Station(Trust(v2g=ROOTS["v2g"], mo=ROOTS["mo"], oem=ROOTS["oem"]))
RANDOM = random.Random(2).randbytes
DESK = Provisioning(
    PKI.trust(),
    Identity(PKI["cps"].chain, PKI["cps"].key),
    TestOperator(PKI["mo-sub2"], RANDOM, lambda pcid: pki.EMAID),
    RANDOM,
)


def vehicle() -> Vehicle:
    return Vehicle(PKI.trust(), provisioning={"iso2": Identity(PKI["oem"].chain, PKI["oem"].key)})


def request() -> bytes:
    car = vehicle()
    body = {
        "Id": "id1",
        "OEMProvisioningCert": PKI["oem"].certificate,
        "ListOfRootCertificateIDs": pnc.root_ids(car.roots("iso2")),
    }
    header = {"SessionID": bytes(8), "Signature": pnc.signed_by_provisioning(car, "iso2", body)}
    return exi.encode("iso2", {"V2G_Message": {"Header": header, "Body": {"CertificateInstallationReq": body}}})


REQUEST = request()
ANSWER = DESK.answer("iso2", REQUEST, MS)


def changed(good: bytes, raw: bytes) -> bytes:
    """`good` with bytes of `raw` laid over it: two of place, one of value, each."""
    made = bytearray(good)
    for at in range(0, len(raw) - 2, 3):
        place = int.from_bytes(raw[at : at + 2]) % (len(made) + 1)
        if place == len(made):
            del made[len(made) * raw[at + 2] // 256 :]
            if not made:
                break
        else:
            made[place] ^= raw[at + 2]
    return bytes(made)


def certificate(pick: int, raw: bytes) -> None:
    names = list(PKI.issued)
    try:
        see(changed(PKI[names[pick % len(names)]].certificate, raw))
        see(raw)
    except ChainError:
        return


def chain(pick: int, raw: bytes) -> None:
    shown = list(PKI["contract"].chain)
    place = pick % len(shown)
    shown[place] = changed(shown[place], raw)
    verdict = STATION.contract("iso2", tuple(shown), "", MS)
    assert not verdict.ok or tuple(shown) == PKI["contract"].chain


def asked(pick: int, raw: bytes) -> None:
    del pick
    try:
        DESK.answer("iso2", changed(REQUEST, raw), MS)
    except Refused:
        return


def told(pick: int, raw: bytes) -> None:
    del pick
    data = changed(ANSWER, raw)
    try:
        message = exi.decode("iso2", data)["V2G_Message"]
        body = message["Body"]["CertificateInstallationRes"]
    except (exi.DecodeError, KeyError):
        return
    car = vehicle()
    verdict = car.take("iso2", body, message["Header"].get("Signature"), MS)
    assert bool(car.emaid("iso2")) == verdict.ok


def signature(pick: int, raw: bytes) -> None:
    del pick
    try:
        found = exi.decode_fragment("xmldsig", raw)
    except exi.DecodeError:
        return
    try:
        leaf = PKI["contract"].certificate
        element = {"Id": "id1", "GenChallenge": bytes(16)}
        pnc.check_signed(STATION, "iso2", "AuthorizationReq", element, found.get("Signature"), leaf)
    except SignatureError:
        return
    raise AssertionError("nobody has signed this")


WAYS = [certificate, chain, asked, told, signature]


def one(raw: bytes) -> None:
    """One input."""
    if len(raw) >= 2:
        WAYS[raw[0] % len(WAYS)](raw[1], raw[2:])


if __name__ == "__main__":
    run(one, "-max_len=512")
