"""The installation's authority: what it signs, how it is kept, and what it says of what it has revoked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pilotwire.crypto import crl, ocsp, requests
from pilotwire.crypto.authority import Authority, anchors
from pilotwire.crypto.chains import der, load, verify
from pilotwire.crypto.crl import CrlError
from pilotwire.crypto.hash_data import hash_data
from pilotwire.crypto.ocsp import Answers, OcspError
from pilotwire.crypto.subject import read_subject
from pilotwire.crypto.vault import Vault

NOW = datetime(2026, 3, 1, tzinfo=UTC)
OURS = Authority.new("Netz AG", now=NOW)
OTHER = Authority.new("Netz AG", now=NOW)


def station(authority: Authority = OURS, **how) -> list[bytes]:
    request = requests.read(requests.make(requests.new_key(), "whatever", "whoever"))
    return authority.sign(request, "CP1", "Netz AG", now=NOW, **how)


@pytest.mark.parametrize("kind", ["ec-p256", "ec-p384", "rsa-2048"])
@pytest.mark.parametrize("asked", ["ec-p256", "rsa-2048"])
def test_what_it_signs(kind, asked) -> None:
    authority = Authority.new("Netz AG", now=NOW, kind=kind)
    key = requests.new_key(asked)
    request = requests.read(requests.make(key, "wish", "wish"))
    chain = authority.sign(request, "SN-1", "Netz AG", now=NOW, days=90)
    leaf, sub = (load(one) for one in chain)
    assert verify(leaf, [sub], [authority.root], NOW) == [leaf, authority.issuing, authority.root]
    assert read_subject(chain[0]) == ("SN-1", "Netz AG")  # never what the request wished for
    assert requests.fingerprint(leaf.public_key()) == request.fingerprint
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature and not usage.key_cert_sign
    with pytest.raises(x509.ExtensionNotFound):  # A00.FR.5xx: better without
        leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert leaf.not_valid_after_utc == NOW + timedelta(days=90)
    assert len(chain[0]) < 1000


def test_nothing_outlives_its_authority() -> None:
    late = NOW + timedelta(days=10 * 365 - 30)
    request = requests.read(requests.make(requests.new_key(), "x", "x"))
    leaf = load(OURS.sign(request, "CP1", "Netz AG", now=late)[0])
    assert leaf.not_valid_after_utc == OURS.issuing.not_valid_after_utc


def test_kept_in_the_vault_and_taken_up() -> None:
    vault = Vault(b"0123456789abcdef")
    locked = vault.lock("authority", OURS.keep())
    assert "PRIVATE" not in locked
    again = Authority.taken_up(vault.open("authority", locked))
    leaf = load(station(again)[0])
    assert verify(leaf, [OURS.issuing], [OURS.root], NOW)


def test_a_new_sub_authority_under_the_same_root() -> None:
    renewed = OURS.renewed(now=NOW, kind="ec-p384")
    assert isinstance(renewed.issuing_key, ec.EllipticCurvePrivateKey)
    assert renewed.issuing_key.key_size == 384
    assert renewed.issuing.subject == OURS.issuing.subject
    leaf, sub = (load(one) for one in station(renewed))
    assert verify(leaf, [sub, OURS.issuing], [OURS.root], NOW)[1] == renewed.issuing


def test_anchors_of_texts() -> None:
    from pilotwire.crypto import pem

    text = pem.text([der(OURS.root), der(OTHER.root)])
    assert anchors([text, text]) == [OURS.root, OTHER.root] * 2
    assert str(OURS.root.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value) == "Netz AG Station Root"


# -- OCSP -------------------------------------------------------------------------------------------------------------
LEAF, SUB = station()
ABOUT = hash_data(LEAF, SUB)
SERIAL = int(ABOUT.serial_number, 16)


def said(status, authority: Authority = OURS, about=ABOUT, now: datetime = NOW, **how) -> bytes:
    return authority.say(ocsp.question(about), lambda serial: status if serial == SERIAL else False, now=now, **how)


@pytest.mark.parametrize("algorithm", ["SHA256", "SHA384", "SHA512"])
@pytest.mark.parametrize(("status", "word"), [(True, "good"), (False, "unknown"), (NOW - timedelta(days=1), "revoked")])
def test_asked_and_answered(algorithm, status, word) -> None:
    about = hash_data(LEAF, SUB, algorithm)
    issuer = ocsp.find_issuer(about, [OTHER.issuing, OURS.root, OURS.issuing])
    assert issuer == OURS.issuing
    got = ocsp.read(said(status, about=about), about, issuer, NOW)
    assert got.status == word
    assert got.next_update == NOW + timedelta(hours=12)


def believed(response: bytes, issuer: x509.Certificate = OURS.issuing, now: datetime = NOW) -> str:
    with pytest.raises(OcspError) as caught:
        ocsp.read(response, ABOUT, issuer, now)
    return caught.value.code


def test_answers_that_are_not_believed() -> None:
    other_leaf, other_sub = station()
    other = hash_data(other_leaf, other_sub)
    about_other = OURS.say(ocsp.question(other), lambda serial: True, now=NOW)
    assert believed(about_other) == "other-certificate"
    assert believed(said(True), issuer=OTHER.issuing) == "signature"
    assert believed(said(True), now=NOW + timedelta(days=1)) == "stale"
    assert believed(said(True), now=NOW - timedelta(days=1)) == "stale"
    assert believed(b"") == believed(b"junk") == believed(said(True)[:-3]) == "unreadable"
    assert believed(OTHER.say(ocsp.question(ABOUT), lambda serial: True, now=NOW)) == "refused"
    assert believed(OURS.say(b"junk", lambda serial: True, now=NOW)) == "refused"
    changed = bytearray(said(NOW))
    changed[-1] ^= 1
    assert believed(bytes(changed)) in ("signature", "unreadable")


def delegated(usage: bool, issuer: Authority = OURS) -> tuple[x509.Certificate, object]:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "responder")]))
        .issuer_name(issuer.issuing.subject)
        .public_key(key.public_key())
        .serial_number(99)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=30))
    )
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.OCSP_SIGNING]), critical=False)
    return builder.sign(issuer.issuing_key, requests.hash_for(issuer.issuing_key)), key


def by_delegate(certificate: x509.Certificate, key) -> bytes:
    from cryptography.hazmat.primitives import hashes, serialization

    return (
        x509.ocsp.OCSPResponseBuilder()
        .add_response(
            cert=load(LEAF),
            issuer=OURS.issuing,
            algorithm=hashes.SHA256(),
            cert_status=x509.ocsp.OCSPCertStatus.GOOD,
            this_update=NOW,
            next_update=None,
            revocation_time=None,
            revocation_reason=None,
        )
        .responder_id(x509.ocsp.OCSPResponderEncoding.NAME, certificate)
        .certificates([certificate])
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )


def test_a_responder_that_the_issuer_has_named() -> None:
    got = ocsp.read(by_delegate(*delegated(True)), ABOUT, OURS.issuing, NOW)
    assert (got.status, got.next_update) == ("good", NOW + timedelta(hours=1))
    assert believed(by_delegate(*delegated(False))) == "signature"
    assert believed(by_delegate(*delegated(True, OTHER))) == "signature"


def test_a_station_may_not_answer_about_itself() -> None:
    key = requests.new_key()
    leaf = load(OURS.sign(requests.read(requests.make(key, "x", "x")), "CP1", "Netz AG", now=NOW)[0])
    assert believed(by_delegate(leaf, key)) == "signature"


def test_answers_are_kept_and_forgotten() -> None:
    kept = Answers(limit=2)
    good = ocsp.read(said(True), ABOUT, OURS.issuing, NOW)
    kept.put(ABOUT, good)
    assert kept.get(ABOUT._replace(serial_number="00" + ABOUT.serial_number.upper()), NOW) is good
    assert kept.get(ABOUT, NOW + timedelta(hours=13)) is None
    for serial in ("1", "2", "3"):
        kept.put(ABOUT._replace(serial_number=serial), good)
    assert len(kept) == 2
    assert kept.get(ABOUT._replace(serial_number="1"), NOW) is None
    kept.put(ABOUT._replace(serial_number="4"), good._replace(status="unknown"))
    assert kept.get(ABOUT._replace(serial_number="4"), NOW) is None
    assert (kept.hits, kept.misses) == (1, 3)


@pytest.mark.parametrize("broken", [{"serial_number": "xyz"}, {"issuer_key_hash": "0g"}, {"algorithm": "MD5"}])
def test_hashes_that_are_none(broken) -> None:
    with pytest.raises(OcspError):
        ocsp.question(ABOUT._replace(**broken))


# -- CRL --------------------------------------------------------------------------------------------------------------
def test_revocation_lists() -> None:
    revoked = OURS.revocations({SERIAL: NOW, 5: NOW}, number=1, now=NOW)
    assert crl.read(revoked, ABOUT, OURS.issuing, NOW) == ("revoked", NOW + timedelta(days=7))
    good = OURS.revocations({5: NOW}, number=2, now=NOW, days=1)
    assert crl.read(good, ABOUT, OURS.issuing, NOW) == ("good", NOW + timedelta(days=1))


def test_lists_that_are_not_believed() -> None:
    listed = OURS.revocations({}, number=1, now=NOW)

    def code(data: bytes, issuer: x509.Certificate = OURS.issuing, now: datetime = NOW) -> str:
        with pytest.raises(CrlError) as caught:
            crl.read(data, ABOUT, issuer, now)
        return caught.value.code

    assert code(listed, OTHER.issuing) == "signature"
    assert code(listed, now=NOW + timedelta(days=8)) == "stale"
    assert code(listed, now=NOW - timedelta(days=1)) == "stale"
    assert code(b"") == code(b"junk") == code(b"-----BEGIN X509 CRL-----") == "unreadable"
