"""Chains: what is believed, and the verdict on everything that is not."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.crypto import pem
from pilotwire.crypto.chains import load
from pilotwire.crypto.der import parts
from pilotwire.crypto.hash_data import hash_data
from pilotwire.crypto.ocsp import question, read, responders
from pilotwire.crypto.pnc import pki as makers
from pilotwire.crypto.pnc.extensions import see
from pilotwire.crypto.pnc.issuing import AGREEING, AUTHORITY, CONTRACT, SIGNING, Issued, Wanted, issue
from pilotwire.crypto.pnc.keys import Kind
from pilotwire.crypto.pnc.pki import Pki
from pilotwire.crypto.pnc.profiles import Role
from pilotwire.crypto.pnc.station import Station
from pilotwire.crypto.pnc.trust import Trust, chain_hash_data
from pilotwire.protocols.iso15118.pnc import Edition

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MS = int(NOW.timestamp() * 1000)
DAY = 86_400_000
ROLES: tuple[Role, ...] = ("secc", "contract", "oem", "cps", "vehicle")


@dataclass
class Bench:
    """Makes a chain that is wrong in one thing."""

    pki: Pki
    kind: Kind = "p256"
    edition: Edition = "iso2"
    random: random.Random = field(default_factory=lambda: random.Random(3))

    def of(self, issuer: str | Issued, wanted: Wanted, *, kind: Kind | None = None, organization: str = "T") -> Issued:
        above = self.pki[issuer] if isinstance(issuer, str) else issuer
        return issue(
            "x", wanted, above, kind=kind or self.kind, random=self.random.randbytes, now=NOW, organization=organization
        )

    def judged(self, role: Role, one: Issued, now: int = MS) -> tuple[str, str]:
        verdict = self.pki.trust().judge(role, self.edition, one.chain, now)
        return verdict.code, verdict.text


@pytest.fixture
def bench(pkis) -> Bench:
    return Bench(pkis["iso2"])


CONTRACT_2 = Wanted("DEPWRC00000009", 100, CONTRACT, "MO")


@pytest.mark.parametrize("kind", ["iso2", "iso20", "ed448"])
def test_each_role_is_believed_as_itself_and_as_nothing_else(pkis, kind: str) -> None:
    pki: Pki = pkis[kind]
    trust = pki.trust()
    present = [role for role in ROLES if role in pki.issued]
    for shown in present:
        for asked in present:
            code = trust.judge(asked, pki.edition, pki[shown].chain, MS).code
            # A vehicle's TLS certificate is told from its provisioning certificate by its name alone.
            alike = shown == asked or (asked == "vehicle" and shown == "oem")
            assert (code == "ok") == alike, f"{shown} shown as {asked}: {code}"
    assert trust.judge("contract", pki.edition, pki["contract"].chain, MS).emaid == makers.EMAID


@pytest.mark.parametrize(
    ("role", "issuer", "wanted", "code", "text"),
    [
        ("contract", "mo-sub2", CONTRACT_2, "ok", ""),
        ("contract", "mo-sub2", CONTRACT_2._replace(domain=""), "ok", ""),
        ("contract", "mo-sub2", CONTRACT_2._replace(common_name="DE-PWR-C00000009-X"), "ok", ""),
        ("contract", "mo-sub2", CONTRACT_2._replace(common_name="somebody"), "bad", "EMAID"),
        ("contract", "mo-sub2", CONTRACT_2._replace(domain="CPO"), "bad", "domain"),
        ("contract", "mo-sub2", CONTRACT_2._replace(usage=frozenset({"keyAgreement"})), "bad", "digitalSignature"),
        ("contract", "mo-sub2", CONTRACT_2._replace(usage=CONTRACT | AUTHORITY), "bad", "sign certificates"),
        ("contract", "mo-sub2", CONTRACT_2._replace(authority=True), "bad", "authority"),
        ("contract", "mo-sub2", CONTRACT_2._replace(days=10), "expires-soon", ""),
        ("contract", "oem-sub2", CONTRACT_2, "no-trust", "no authority that is trusted"),
        ("contract", "cpo-sub2", CONTRACT_2, "ok", ""),  # contracts may end at a V2G root too
        ("contract", "mo-root", CONTRACT_2, "ok", ""),
        ("secc", "cpo-sub2", Wanted("S", 50, SIGNING, "CPO"), "ok", ""),
        ("secc", "cpo-sub2", Wanted("S", 50, SIGNING), "bad", "CPO"),
        ("secc", "mo-sub2", Wanted("S", 50, SIGNING, "CPO"), "no-trust", ""),
        ("cps", "cps-sub2", Wanted("S", 50, SIGNING), "bad", "CPS"),
        ("cps", "mo-sub2", Wanted("S", 50, SIGNING, "CPS"), "no-trust", ""),
        ("oem", "oem-sub2", Wanted(makers.PCID, 50, SIGNING, "OEM"), "bad", "keyAgreement"),
        ("oem", "oem-sub2", Wanted("short", 50, AGREEING, "OEM"), "bad", "PCID"),
        ("oem", "mo-sub2", Wanted(makers.PCID, 50, AGREEING, "OEM"), "no-trust", ""),
    ],
)  # fmt: skip
def test_rules_of_leaves(bench: Bench, role: Role, issuer: str, wanted: Wanted, code: str, text: str) -> None:
    found, why = bench.judged(role, bench.of(issuer, wanted))
    assert found == code, why
    assert text in why


def test_a_sub_authority_has_a_path_length_and_may_sign(bench: Bench) -> None:
    for wanted, text in (
        (Wanted("Sub", 100, AUTHORITY, "MO", None, authority=True), "path length None"),
        (Wanted("Sub", 100, AUTHORITY, "MO", 2, authority=True), "path length 2"),
        (Wanted("Sub", 100, SIGNING, "MO", 0, authority=True), "sign certificates"),
        (Wanted("Sub", 100, AUTHORITY, "MO", None, authority=False), "no authority"),
    ):
        leaf = bench.of(bench.of("mo-root", wanted), CONTRACT_2)
        code, why = bench.judged("contract", leaf)
        assert (code, text in why) == ("bad", True), why


def test_no_more_than_two_sub_authorities(bench: Bench) -> None:
    third = bench.of("mo-sub2", Wanted("Sub3", 100, AUTHORITY, "MO", 0, authority=True))
    code, why = bench.judged("contract", bench.of(third, CONTRACT_2))
    assert (code, "0 authorities below" in why) == ("bad", True), why


def test_a_contract_under_four_authorities_is_too_long(pkis) -> None:
    """Path lengths that allow it do not help: three certificates below the root are the most."""
    bench = Bench(pkis["iso2"])
    chain = bench.of("mo-root", Wanted("A", 100, AUTHORITY, "MO", 1, authority=True))
    sub = bench.of(chain, Wanted("B", 100, AUTHORITY, "MO", 1, authority=True))
    third = bench.of(sub, Wanted("C", 100, AUTHORITY, "MO", 1, authority=True))
    leaf = bench.of(third, CONTRACT_2)
    assert bench.judged("contract", leaf)[0] == "bad"


def test_size_and_curve(pkis) -> None:
    bench = Bench(pkis["iso2"])
    code, why = bench.judged("contract", bench.of("mo-sub2", CONTRACT_2, organization="x" * 63))
    assert code == "ok", why
    large = bench.of("mo-sub2", CONTRACT_2._replace(dns="x" * 60 + "." + ".".join(["y" * 60] * 5)))
    assert len(large.certificate) > 800
    assert bench.judged("contract", large)[0] == "bad"
    assert "800" in bench.judged("contract", large)[1]
    code, why = bench.judged("contract", bench.of("mo-sub2", CONTRACT_2, kind="p521"))
    assert (code, "p521" in why) == ("bad", True)


def test_keys_of_2_in_20_only_where_that_is_wanted(pkis) -> None:
    own: Pki = pkis["iso2"]
    assert own.trust().judge("contract", "iso20", own["contract"].chain, MS).code == "bad"
    lenient = Trust(**own.roots(), kinds={"iso20": ("p521", "ed448", "p256")})  # type: ignore[arg-type]
    assert lenient.judge("contract", "iso20", own["contract"].chain, MS).code == "ok"


def test_time(pkis) -> None:
    own: Pki = pkis["iso2"]
    for days, code in ((-2, "not-yet-valid"), (0, "ok"), (700, "ok"), (720, "expires-soon"), (731, "expired")):
        assert own.trust().judge("contract", "iso2", own["contract"].chain, MS + days * DAY).code == code, days


def test_what_was_revoked_anywhere_in_the_path(pkis) -> None:
    own: Pki = pkis["iso2"]
    path = [own["contract"].certificate, own["mo-sub2"].certificate, own["mo-sub1"].certificate]
    issuers = [*path[1:], own["mo-root"].certificate]
    for certificate, issuer in zip(path, issuers, strict=True):
        data = hash_data(certificate, issuer)
        trust = Trust(**own.roots(), revoked=data.same)  # type: ignore[arg-type]
        assert trust.judge("contract", "iso2", own["contract"].chain, MS).code == "revoked"


def test_the_order_of_a_chain_and_a_root_in_it_do_not_matter(pkis) -> None:
    own: Pki = pkis["iso2"]
    leaf, sub2, sub1 = own["contract"].chain
    for chain in ((leaf, sub1, sub2), (leaf, sub2, sub1, own["mo-root"].certificate)):
        assert own.trust().judge("contract", "iso2", chain, MS).code == "ok"
    assert Trust(**own.roots()).judge("contract", "iso2", (leaf, sub2), MS).code == "no-trust"  # type: ignore[arg-type]


def test_a_root_that_was_sent_is_not_believed(pkis) -> None:
    stranger = makers.make("iso2", random=random.Random(99).randbytes, now=NOW)
    chain = (*stranger["contract"].chain, stranger["mo-root"].certificate)
    assert pkis["iso2"].trust().judge("contract", "iso2", chain, MS).code == "no-trust"


def test_a_certificate_of_a_version_that_there_is_not(pkis) -> None:
    """What a parser refuses in a way of its own (found by fuzzing)."""
    own: Pki = pkis["iso2"]
    leaf, *above = own["contract"].chain
    version = bytes.fromhex("a003020102")
    assert leaf.count(version) == 1
    odd = leaf.replace(version, bytes.fromhex("a003020178"))
    assert own.trust().judge("contract", "iso2", (odd, *above), MS).code == "bad"


def test_no_chain_or_a_very_long_one(pkis) -> None:
    own: Pki = pkis["iso2"]
    assert own.trust().judge("contract", "iso2", (), MS).code == "bad"
    assert own.trust().judge("contract", "iso2", own["contract"].chain * 3, MS).code == "bad"


@settings(max_examples=60, derandomize=True, deadline=None)
@given(data=st.data())
def test_damaged_certificates_get_a_verdict(pkis, data: st.DataObject) -> None:
    own: Pki = pkis["iso2"]
    chain = list(own["contract"].chain)
    place = data.draw(st.integers(0, len(chain) - 1))
    raw = bytearray(chain[place])
    at = data.draw(st.integers(0, len(raw) - 1))
    if data.draw(st.booleans()):
        raw[at] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del raw[at:]
    chain[place] = bytes(raw)
    trust = Trust(**own.roots())  # type: ignore[arg-type]
    assert trust.judge("contract", "iso2", tuple(chain), MS).code in ("bad", "no-trust", "expired", "not-yet-valid")


def test_the_station_compares_the_name_and_asks_its_own_rules(pkis) -> None:
    own: Pki = pkis["iso2"]
    chain = own["contract"].chain
    station = Station(own.trust(), allowed=lambda emaid: emaid != makers.EMAID)
    assert station.contract("iso2", chain, "", MS).code == "not-allowed"
    station = Station(own.trust())
    assert station.contract("iso2", chain, "de-pwr-c00000001", MS) == ("ok", "", makers.EMAID)
    assert station.contract("iso2", chain, "DEPWRC00000002", MS).code == "bad"
    assert station.provisioning("iso2", own["oem"].chain[:1], MS).code == "ok"


def test_extensions_that_strict_parsers_refuse() -> None:
    """The default of basic constraints written out (CA FALSE), as contracts in the field have it."""
    own = makers.make("iso2", random=random.Random(5).randbytes, now=NOW)
    der = own["contract"].certificate
    strict = bytes.fromhex("0603551d130101ff04023000")
    assert strict in der
    # The same with CA FALSE spelled out; every length around it grows by three.
    odd = _grown(der, strict, bytes.fromhex("0603551d130101ff04053003010100"))
    with pytest.raises(ValueError, match=r"basic_constraints|ParseError|Encoded"):
        _ = load(odd).extensions
    seen = see(odd)
    assert (seen.authority, seen.path_length) == (False, None)
    assert seen.usage == CONTRACT
    assert len(seen.identifier) == 8


def _grown(der: bytes, old: bytes, new: bytes) -> bytes:
    """DER with a part exchanged for a longer one, and the lengths around it mended."""
    at = der.index(old)
    grown = bytearray(der.replace(old, new))
    more = len(new) - len(old)
    place, end = 0, len(der)
    while place < at:
        tag, length, start = der[place], der[place + 1], place + 2
        if length & 0x80:
            size = length & 0x7F
            length = int.from_bytes(der[start : start + size], "big")
            if start + size <= at < start + size + length:
                grown[start : start + size] = (length + more).to_bytes(size, "big")
            start += size
        elif start <= at < start + length:
            grown[place + 1] += more
        place = start if start <= at < start + length and tag & 0x20 else start + length
        assert place <= end
    return bytes(grown)


def test_hash_data_of_a_chain_reach_up_to_the_root(pkis) -> None:
    own: Pki = pkis["iso2"]
    chain = own["contract"].chain
    found = chain_hash_data(chain, own.roots()["mo"])
    assert len(found) == 3
    assert [one.serial_number for one in found] == [f"{load(der).serial_number:x}" for der in chain]
    assert len(chain_hash_data(chain, [])) == 2, "the issuer of the last one is not known"


def test_the_status_of_a_certificate_is_told_by_its_issuer(pkis) -> None:
    own: Pki = pkis["iso2"]
    (data, *_) = chain_hash_data(own["contract"].chain, own.roots()["mo"])
    certificate, issuer = load(own["contract"].certificate), load(own["mo-sub2"].certificate)
    assert responders(certificate) == (makers.OCSP_URL,)
    responder = own.responder("mo-sub2")
    for status, word in ((True, "good"), (NOW - timedelta(hours=1), "revoked"), (False, "unknown")):
        answer = responder.say(question(data), lambda _, status=status: status, now=NOW)
        assert read(answer, data, issuer, NOW).status == word


@pytest.mark.parametrize("kind", ["iso2", "iso20", "ed448"])
def test_a_pki_is_the_same_for_the_same_randomness_and_time(pkis, kind: str) -> None:
    seed = {"iso2": 2, "iso20": 20, "ed448": 448}[kind]
    own: Pki = pkis[kind]
    again = makers.make(own.edition, random=random.Random(seed).randbytes, now=NOW, kind=own.kind)
    assert list(again.files()) == list(own.files())
    other = makers.make(own.edition, random=random.Random(1).randbytes, now=NOW, kind=own.kind)
    assert {one.certificate for one in other.issued.values()}.isdisjoint(one.certificate for one in own.issued.values())


@pytest.mark.parametrize("kind", ["iso2", "iso20", "ed448"])
def test_key_identifiers_are_the_short_ones(pkis, kind: str) -> None:
    """RFC 5280 4.2.1.2, method 2: four bits 0100, then the last 60 of the SHA-1 of the key's bits."""
    for one in pkis[kind].issued.values():
        bits = parts(one.certificate).public_key
        last = int.from_bytes(hashlib.sha1(bits).digest()) & ((1 << 60) - 1)
        assert int.from_bytes(see(one.certificate).identifier) == 0b0100 << 60 | last


def test_files_hold_what_a_tls_server_wants(pkis) -> None:
    files = {name: content for name, content, _ in pkis["iso2"].files()}
    blocks = pem.blocks(files["secc.pem"])
    assert [see(one).common_name for one in blocks] == [makers.SECC_ID, "CPO Sub2", "CPO Sub1"]
    assert "PRIVATE KEY" in files["secc.key"]
    assert all("PRIVATE" not in text for name, text in files.items() if name.endswith(".pem"))
    rows = {row.name: row for row in pkis["iso2"].rows()}
    assert rows["contract"].common_name == makers.EMAID
    assert all(row.bytes <= 800 for row in rows.values())
