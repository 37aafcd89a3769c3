"""What is kept of certificates beside the journal: documents (`storage.documents`) that people and the desk work with.

Certificates are PEM text, times ms since the epoch, serial numbers hexadecimal as OCPP writes them.
"""

from __future__ import annotations

from typing import Literal

import msgspec

ENROLLMENTS = "enrollment"
ANCHORS = "trust-anchor"
INSTALLED = "installed-certificates"
SHOWN = "shown-certificate"
AUTHORITY = "certificate-authority"
"""Setting of the installation: `AuthoritySettings` as JSON."""
AUTHORITY_KEY = "certificate-authority-key"
"""Setting of the installation: the built-in authority, locked by the vault under this purpose."""
EST_PASSWORD = "certificate-authority-password"  # noqa: S105 - the purpose, not a password

AnchorUse = Literal["csms", "v2g", "mo", "oem", "manufacturer", "station", "other"]
"""What an authority is trusted for: csms (whom stations trust as us), v2g, mo, oem (ISO 15118), manufacturer (firmware,
station certificates made by the vendor), station (client certificates of our own PKI)."""
EnrollmentStatus = Literal["signing", "delivering", "delivered", "refused", "failed", "superseded"]
"""signing: the authority has it; delivering: on its way to the station; delivered: the station has accepted it;
refused: the station has not; failed: no certificate was had or it could not be delivered; superseded: a newer request
came."""


class TrustAnchor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An authority that somebody decided to trust."""

    name: str
    use: AnchorUse
    certificate: str
    subject: str = ""
    issuer: str = ""
    serial: str = ""
    fingerprint: str = ""
    """SHA-256 of the certificate, hex."""
    not_before: int = 0
    not_after: int = 0
    added_at: int = 0
    added_by: str = ""


class Enrollment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A signing request of a station and what became of it."""

    id: str
    station: str
    use: str
    """ChargingStationCertificate, V2GCertificate or V2G20Certificate."""
    status: EnrollmentStatus
    asked_at: int
    changed_at: int
    csr: str
    common_name: str = ""
    organization: str = ""
    key: str = ""
    request_id: int | None = None
    reason: str = ""
    authority: str = ""
    """built-in, or the host of the EST server."""
    attempts: int = 0
    """How often the authority was asked."""
    deliveries: int = 0
    """How often CertificateSigned was sent."""
    certificate: str = ""
    """The chain as it is sent: leaf first, the root left out."""
    serial: str = ""
    issuer: str = ""
    not_before: int = 0
    not_after: int = 0

    @property
    def over(self) -> bool:
        """Nothing more happens."""
        return self.status not in ("signing", "delivering")


class InstalledCertificate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One certificate that a station says it has."""

    use: str
    """As the station's version calls it: CSMSRootCertificate, CentralSystemRootCertificate, V2GCertificateChain …"""
    hash_algorithm: str
    issuer_name_hash: str
    issuer_key_hash: str
    serial_number: str
    children: tuple[tuple[str, str, str, str], ...] = ()
    """Hash data of the sub-authorities of a chain: algorithm, name hash, key hash, serial."""


class InstalledCertificates(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a station answered GetInstalledCertificateIds last; of each use the newest answer. Id: the station's."""

    asked_at: int
    rows: tuple[InstalledCertificate, ...] = ()


class ShownCertificate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The client certificate by which a station came in last. Id: the station's; sorted by its end."""

    station: str
    common_name: str = ""
    organization: str = ""
    issuer: str = ""
    serial: str = ""
    fingerprint: str = ""
    """SHA-256 of the certificate, hex."""
    not_before: int = 0
    not_after: int = 0
    seen_at: int = 0
    """When it was shown for the first time."""


class EstSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where an external authority is asked (RFC 7030)."""

    url: str
    label: str = ""
    user: str = ""
    password: str = ""
    """Locked by the vault."""
    trust: str = ""
    """PEM of who has signed the server's certificate; "" is the system's authorities."""


class AuthoritySettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who signs stations' certificates."""

    source: Literal["none", "built-in", "est"] = "none"
    organization: str = ""
    """O of certificates of stations whose account names none."""
    days: int = 365
    key: str = "ec-p256"
    """Of the built-in authority, when it is made."""
    est: EstSettings | None = None
    est_v2g: EstSettings | None = None
    """Of an ISO 15118 PKI, for V2GCertificate; None: such requests are refused."""
    ocsp_hosts: tuple[str, ...] = ()
    """The only hosts that are asked for the status of certificates; none: every public one."""
    contracts_url: str = ""
    """Of the provider that Get15118EVCertificate is forwarded to; "": there is none."""
    contracts_token: str = ""
    """Locked by the vault."""
