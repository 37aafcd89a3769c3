"""Which certificates lead to one that we trust, and why others do not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from pilotwire.crypto import pem
from pilotwire.crypto.chains import ChainError, der, load, order, verify

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Node:
    """One certificate with its key, to build trees of."""

    def __init__(self, certificate: x509.Certificate, key) -> None:
        self.certificate, self.key = certificate, key

    def below(self, cn: str, **how) -> Node:
        return node(cn, self, **how)


def node(
    cn: str,
    above: Node | None = None,
    *,
    ca: bool = True,
    path_length: int | None = None,
    usage: bool = True,
    begin: datetime = NOW - timedelta(days=1),
    end: datetime = NOW + timedelta(days=100),
    key=None,
    signer=None,
    constraints: bool = True,
    extra: x509.ExtensionType | None = None,
) -> Node:
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(above.certificate.subject if above else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )
    if constraints:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
    if ca and constraints:
        builder = builder.add_extension(
            x509.KeyUsage(True, False, False, False, False, usage, False, False, False), critical=True
        )
    if extra is not None:
        builder = builder.add_extension(extra, critical=True)
    return Node(builder.sign(signer or (above.key if above else key), hashes.SHA256()), key)


ROOT = node("root", path_length=2)
SUB1 = ROOT.below("sub 1", path_length=1)
SUB2 = SUB1.below("sub 2", path_length=0)
LEAF = SUB2.below("CP1", ca=False)
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def check(leaf: Node, between: list[Node], anchors: list[Node], now: datetime = NOW) -> list[str]:
    path = verify(leaf.certificate, [one.certificate for one in between], [one.certificate for one in anchors], now)
    return [one.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value for one in path]


@pytest.mark.parametrize("between", [[SUB2, SUB1], [SUB1, SUB2], [SUB1, LEAF, ROOT, SUB2, SUB2]])
def test_a_path_of_four_whatever_the_order(between) -> None:
    assert check(LEAF, between, [ROOT]) == ["CP1", "sub 2", "sub 1", "root"]


def test_a_sub_authority_may_be_the_anchor() -> None:
    assert check(LEAF, [], [SUB2]) == ["CP1", "sub 2"]
    assert check(LEAF, [SUB2], [SUB1]) == ["CP1", "sub 2", "sub 1"]


def test_an_anchor_itself_needs_no_path() -> None:
    assert check(ROOT, [], [ROOT]) == ["root"]


def test_a_cross_certificate_leads_around() -> None:
    """The same sub-authority (name and key) certified by a second root."""
    other = node("other root", path_length=2)
    crossed = other.below("sub 1", key=SUB1.key, path_length=1)
    assert check(LEAF, [SUB1, SUB2, crossed], [other]) == ["CP1", "sub 2", "sub 1", "other root"]


def fails(code: str, leaf: Node, between: list[Node], anchors: list[Node], now: datetime = NOW) -> None:
    with pytest.raises(ChainError) as caught:
        check(leaf, between, anchors, now)
    assert caught.value.code == code, str(caught.value)


def test_nothing_leads_there() -> None:
    fails("no-path", LEAF, [SUB2], [ROOT])
    fails("no-path", LEAF, [SUB1, SUB2], [node("root", path_length=2)])  # same name, another key
    fails("no-path", LEAF, [SUB1, SUB2], [])
    fails("no-path", node("CP1", ca=False), [], [ROOT])  # self-signed


def test_a_signature_of_somebody_else() -> None:
    forged = SUB2.below("CP1", ca=False, signer=ec.generate_private_key(ec.SECP256R1()))
    fails("no-path", forged, [SUB1, SUB2], [ROOT])


@pytest.mark.parametrize("which", ["leaf", "sub", "root"])
@pytest.mark.parametrize("when", ["expired", "not-yet-valid"])
def test_every_part_is_of_today(which, when) -> None:
    days = {"begin": NOW - timedelta(days=10), "end": NOW - timedelta(days=1)}
    if when == "not-yet-valid":
        days = {"begin": NOW + timedelta(days=1), "end": NOW + timedelta(days=10)}
    root = node("root", **(days if which == "root" else {}))
    sub = root.below("sub", **(days if which == "sub" else {}))
    leaf = sub.below("CP1", ca=False, **(days if which == "leaf" else {}))
    fails(when, leaf, [sub], [root])


def test_a_leaf_is_no_authority() -> None:
    """The oldest trick: sign with a station's certificate."""
    fails("not-an-authority", LEAF.below("CP2", ca=False), [LEAF, SUB2, SUB1], [ROOT])
    bare = ROOT.below("bare", constraints=False)
    fails("not-an-authority", bare.below("CP2", ca=False), [bare], [ROOT])


def test_an_authority_that_may_not_sign_certificates() -> None:
    sub = ROOT.below("sub", usage=False)
    fails("key-usage", sub.below("CP2", ca=False), [sub], [ROOT])


def test_path_lengths() -> None:
    sub3 = SUB2.below("sub 3")
    fails("path-length", sub3.below("CP1", ca=False), [sub3, SUB2, SUB1], [ROOT])
    deep = root = node("root")
    between = []
    for level in range(6):
        deep = deep.below(f"sub {level}")
        between.append(deep)
    fails("path-length", deep.below("CP1", ca=False), between, [root])


def test_weak_keys_and_curves() -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    fails("weak-key", ROOT.below("CP1", ca=False, key=weak), [], [ROOT])
    sub = ROOT.below("sub", key=weak)
    fails("weak-key", sub.below("CP1", ca=False), [sub], [ROOT])
    fails("weak-key", ROOT.below("CP1", ca=False, key=ec.generate_private_key(ec.SECP192R1())), [], [ROOT])


def test_weak_hashes() -> None:
    """A certificate that says it was signed with SHA-1: no library signs so any more, so the name is exchanged."""
    data = der(ROOT.below("CP1", ca=False, key=RSA_KEY, signer=RSA_KEY).certificate)
    sha256, sha1 = bytes.fromhex("06092a864886f70d01010b"), bytes.fromhex("06092a864886f70d010105")
    assert data.count(sha256) == 2
    fails("weak-hash", Node(load(data.replace(sha256, sha1)), RSA_KEY), [], [ROOT])


def test_a_critical_extension_that_nobody_knows() -> None:
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
    sub = ROOT.below("sub", extra=odd)
    fails("unknown-critical", sub.below("CP1", ca=False), [sub], [ROOT])
    names = x509.NameConstraints([x509.DirectoryName(x509.Name([]))], None)
    sub = ROOT.below("sub", extra=names)
    fails("unknown-critical", sub.below("CP1", ca=False), [sub], [ROOT])


def test_the_search_is_bounded() -> None:
    """A peer sends many authorities of one name and key that lead to one another."""
    key = ec.generate_private_key(ec.SECP256R1())
    a = Node(node("a", key=key).certificate, key)
    ring = [Node(a.below("a", key=key).certificate, key) for _ in range(12)]
    with pytest.raises(ChainError) as caught:
        check(a.below("CP1", ca=False), ring, [ROOT])
    assert caught.value.code in ("too-hard", "path-length", "no-path")


def test_order() -> None:
    pile = [one.certificate for one in (SUB1, ROOT, LEAF, SUB2)]
    assert order(pile) == [LEAF.certificate, SUB2.certificate, SUB1.certificate]
    with pytest.raises(ChainError):
        order([LEAF.certificate, SUB2.below("CP2", ca=False).certificate])
    with pytest.raises(ChainError):
        order([ROOT.certificate])


def test_pem_is_read_with_tolerance_and_written_strictly() -> None:
    both = pem.text([der(LEAF.certificate), der(SUB2.certificate)])
    assert pem.blocks(both) == [der(LEAF.certificate), der(SUB2.certificate)]
    assert both == "".join(pem.text([der(one.certificate)]) for one in (LEAF, SUB2))
    assert max(len(line) for line in both.splitlines()) == 64
    assert pem.blocks("Bag Attributes\r\n" + both.replace("\n", "\r\n")) == pem.blocks(both)
    assert pem.blocks("".join(pem.text([der(LEAF.certificate)]).split("\n")[1:-2])) == [der(LEAF.certificate)]
    assert load(pem.blocks(both)[0]) == LEAF.certificate
    for bad in ("", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", both * 9):
        with pytest.raises(pem.BadPem):
            pem.blocks(bad)
    with pytest.raises(pem.BadPem):
        pem.one(both)


def test_what_is_no_certificate() -> None:
    whole = der(LEAF.certificate)
    for bad in (b"", b"\x30\x03\x02\x01\x01", whole[:-1], whole + b"x"):
        with pytest.raises(ChainError) as caught:
            load(bad)
        assert caught.value.code == "unreadable"
