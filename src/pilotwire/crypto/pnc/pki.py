"""A whole V2G PKI for tests and trials, for ISO 15118-2 (P-256) and ISO 15118-20 (P-521, or Ed448).

    v2g-root ─ cpo-sub1 ─ cpo-sub2 ─ secc          the station's TLS
             └ cps-sub1 ─ cps-sub2 ─ cps           who signs installation answers
    mo-root  ─ mo-sub1  ─ mo-sub2  ─ contract
    oem-root ─ oem-sub1 ─ oem-sub2 ─ oem           the provisioning certificate
                                   └ vehicle       the vehicle's TLS (ISO 15118-20 alone)

All below a root name the OCSP responder; answers are signed by the issuers themselves (`responder`). Reproducible by
`random` and `now`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, cast

from cryptography import x509

from pilotwire.protocols.iso15118.pnc import Edition

from .. import pem
from ..authority import Authority
from ..chains import load
from .issuing import AGREEING, AUTHORITY, CONTRACT, SIGNING, Issued, Wanted, issue
from .keys import Kind, Random, read_key
from .trust import Trust

OCSP_URL: Final = "http://ocsp.test/"
EMAID: Final = "DEPWRC00000001"
PCID: Final = "PWRVEHICLE00000018"
SECC_ID: Final = "DEPWRS0000000000000000000000000000000001"
EVCC_ID: Final = "PWRVEHICLE00000018VEH"


class Names(NamedTuple):
    """Whom the leaves are of."""

    emaid: str = EMAID
    pcid: str = PCID
    secc: str = SECC_ID
    vehicle: str = EVCC_ID
    organization: str = "Pilotwire Test"


class Row(NamedTuple):
    """A line of the table of what was made."""

    name: str
    common_name: str
    key: str
    until: str
    bytes: int


@dataclass(frozen=True)
class Pki:
    """All certificates of one edition, by name."""

    edition: Edition
    kind: Kind
    issued: dict[str, Issued]

    def __getitem__(self, name: str) -> Issued:
        return self.issued[name]

    def roots(self) -> dict[str, list[bytes]]:
        """The roots by the keyword of `Trust`."""
        return {anchor: [self[f"{anchor}-root"].certificate] for anchor in ("v2g", "mo", "oem")}

    def trust(self) -> Trust:
        """One that believes in all of them, each for what it is."""
        roots = self.roots()
        return Trust(
            v2g=roots["v2g"], mo=roots["mo"], oem=roots["oem"], kinds={self.edition: (self.kind,)}, below=self.below()
        )

    def below(self) -> list[bytes]:
        """All sub-authorities: what a provisioning service knows of the chains of cars, which send their leaf alone."""
        return [one.certificate for name, one in self.issued.items() if "-sub" in name]

    def responder(self, name: str) -> Authority:
        """Who says by OCSP, and by a revocation list, what became of that which the authority `name` has issued
        (`Authority.say`, `revocations`). Not for Ed448: raises ValueError."""
        issuing, root = self[name], self[_SUBS[name.split("-")[0]][0]]
        if self.kind == "ed448":
            raise ValueError("answers signed with Ed448 are not made")
        raw = cast(Any, issuing.key.raw), cast(Any, root.key.raw)
        return Authority(load(root.certificate), raw[1], load(issuing.certificate), raw[0])

    def rows(self) -> Iterator[Row]:
        """What was made, for people."""
        for name, one in self.issued.items():
            certificate = x509.load_der_x509_certificate(one.certificate)
            common_name = str(certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)
            until = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
            yield Row(name, common_name, one.key.kind, until, len(one.certificate))

    def files(self, password: bytes = b"") -> Iterator[tuple[str, str, bool]]:
        """(name, content, secret) of each file: `<name>.pem` with the certificate and all below the root that is above
        it, `<name>.key` with the key."""
        for name, one in self.issued.items():
            yield f"{name}.pem", pem.text(list(one.chain)), False
            yield f"{name}.key", one.key.secret_pem(password), True


def read(edition: Edition, files: Mapping[str, str], password: bytes = b"") -> Pki:
    """What `Pki.files` gave, by name of the file. Raises ValueError (and ChainError) for what is not that."""
    issued: dict[str, Issued] = {}
    for file, text in files.items():
        name, dot, ending = file.rpartition(".")
        if not dot or ending != "pem":
            continue
        if f"{name}.key" not in files:
            raise ValueError(f"{name}.pem has no {name}.key beside it")
        certificate, *above = pem.blocks(text)
        root = load(certificate).subject == load(certificate).issuer
        issued[name] = Issued(name, certificate, read_key(files[f"{name}.key"], password), tuple(above), root)
    missing = {"v2g-root", "mo-root", "oem-root"} - issued.keys()
    if missing:
        raise ValueError(f"this is no whole PKI: {', '.join(sorted(missing))} is not there")
    return Pki(edition, issued["v2g-root"].key.kind, issued)


_YEARS: Final = 365
_SUBS: Final = {
    "cpo": ("v2g-root", "V2G"),
    "cps": ("v2g-root", "V2G"),
    "mo": ("mo-root", "MO"),
    "oem": ("oem-root", "OEM"),
}


def make(
    edition: Edition,
    *,
    random: Random,
    now: datetime,
    kind: Kind | None = None,
    names: Names | None = None,
    ocsp_url: str = OCSP_URL,
) -> Pki:
    """All of it. `kind` of keys: that of the edition, or "ed448" for ISO 15118-20; `now` with a time zone."""
    keys: Kind = kind or ("p256" if edition == "iso2" else "p521")
    called = names or Names()
    at = now.astimezone(UTC)
    made: dict[str, Issued] = {}

    def add(name: str, wanted: Wanted, issuer: str = "") -> None:
        made[name] = issue(
            name, wanted, made.get(issuer), kind=keys, random=random, now=at,
            organization=called.organization, ocsp_url=ocsp_url,
        )  # fmt: skip

    for name, domain in (("v2g", "V2G"), ("mo", "MO"), ("oem", "OEM")):
        add(f"{name}-root", Wanted(f"{domain} Root {edition}", 40 * _YEARS, AUTHORITY, domain, authority=True))
    for name, (root, domain) in _SUBS.items():
        upper = name.upper()
        add(f"{name}-sub1", Wanted(f"{upper} Sub1", 10 * _YEARS, AUTHORITY, domain, 1, authority=True), root)
        more = frozenset({"digitalSignature", "nonRepudiation"}) if name == "mo" else frozenset[str]()
        below = Wanted(f"{upper} Sub2", 5 * _YEARS, AUTHORITY | more, domain, 0, authority=True)
        add(f"{name}-sub2", below, f"{name}-sub1")
    add("secc", Wanted(called.secc, 60, AGREEING, "CPO"), "cpo-sub2")
    add("cps", Wanted("Provisioning Service", 90, SIGNING, "CPS"), "cps-sub2")
    add("contract", Wanted(called.emaid, 2 * _YEARS, CONTRACT, "MO"), "mo-sub2")
    add("oem", Wanted(called.pcid, 4 * _YEARS, AGREEING, "OEM"), "oem-sub2")
    if edition == "iso20":
        add("vehicle", Wanted(called.vehicle, 4 * _YEARS, AGREEING, "OEM"), "oem-sub2")
    return Pki(edition, keys, made)
